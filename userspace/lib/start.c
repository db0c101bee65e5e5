// SPDX-License-Identifier: MIT
/*
 * Handshakes we start: because the library is called, because the kernel says that a
 * key is old, or because the application asked the kernel for one.
 */
#include <errno.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "engine_priv.h"

/* ---- may it be ---- */

static bool wants_cert(int how)
{
	return how > KSSL_RENEG_RESUME;
}

static int may_renegotiate(const struct kssl_engine *e, const char **why)
{
	*why = "HTTP/2 forbids renegotiation";
	if (e->identity.http2)
		return -EOPNOTSUPP;
	*why = "the peer does not offer secure renegotiation (RFC 5746)";
	if (!SSL_get_secure_renegotiation_support(e->ssl))
		return -EOPNOTSUPP;
	*why = "the peer refuses to renegotiate";
	if (e->stuck)
		return -EOPNOTSUPP;
	*why = "renegotiation is switched off";
	if (SSL_get_options(e->ssl) & SSL_OP_NO_RENEGOTIATION)
		return -EOPNOTSUPP;
	*why = "a handshake runs already";
	return e->handshaking || e->asked ? -EALREADY : 0;
}

static int may_authenticate(const struct kssl_engine *e, const char **why)
{
	*why = "HTTP/2 forbids authentication after the handshake";	/* RFC 9113 9.2.3 */
	if (e->identity.http2)
		return -EOPNOTSUPP;
	*why = "the client was asked for a certificate already";
	if (e->asked)
		return -EALREADY;
	*why = "a message of the peer is not complete yet";
	return SSL_in_init(e->ssl) ? -EALREADY : 0;
}

static int may_start(const struct kssl_engine *e, int how, const char **why)
{
	*why = "the connection is not up";
	if (e->phase != KSSL_PHASE_OPEN)
		return -ENOTCONN;
	*why = "only a server asks for a certificate";
	if (how < KSSL_RENEG_FULL || how > KSSL_RENEG_REQUIRE_CERT ||
	    (!e->server && wants_cert(how)))
		return -EINVAL;
	*why = "sending is closed";
	if (e->mute)
		return -EPIPE;
	*why = "the peer has closed its side";
	if (e->left)
		return -ENOTCONN;
	if (!kssl_engine_is_tls13(e))
		return may_renegotiate(e, why);
	return wants_cert(how) ? may_authenticate(e, why) : 0;
}

/* ---- renegotiation ---- */

static void set_verify(struct kssl_engine *e, int how)
{
	e->verify_before = SSL_get_verify_mode(e->ssl);
	SSL_set_verify(e->ssl, how == KSSL_RENEG_REQUIRE_CERT ?
		       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER,
		       SSL_get_verify_callback(e->ssl));
}

static void restore_verify(struct kssl_engine *e)
{
	SSL_set_verify(e->ssl, e->verify_before, SSL_get_verify_callback(e->ssl));
}

/* A session made under another context is not resumed, so the handshake is full. */
static int change_session_context(struct kssl_engine *e)
{
	uint8_t context[SSL_MAX_SID_CTX_LENGTH];

	if (RAND_bytes(context, sizeof(context)) != 1 ||
	    !SSL_set_session_id_context(e->ssl, context, sizeof(context)))
		return -EIO;
	return 0;
}

static int prepare_server(struct kssl_engine *e, int how)
{
	e->verify_before = SSL_get_verify_mode(e->ssl);
	if (how == KSSL_RENEG_RESUME)
		return 0;
	if (wants_cert(how))
		set_verify(e, how);
	return change_session_context(e);
}

/* From here on the server's peer owes an answer. */
static void ask(struct kssl_engine *e, struct kssl_batch *batch)
{
	e->asked = true;
	e->awaited = e->require_answer;
	if (e->awaited)
		kssl_bounce_add(batch, KSSL_OP_AWAIT);
}

static int renegotiate(struct kssl_engine *e, int how, struct kssl_batch *batch)
{
	size_t mark = batch->len;
	int ok = !e->server || !prepare_server(e, how);

	if (ok && !e->server && how == KSSL_RENEG_RESUME)
		ok = SSL_renegotiate_abbreviated(e->ssl);
	else if (ok)
		ok = SSL_renegotiate(e->ssl);
	if (ok) {
		int n = SSL_do_handshake(e->ssl);

		ok = n == 1 || SSL_get_error(e->ssl, n) == SSL_ERROR_WANT_READ;
	}
	if (!ok) {
		kssl_bounce_die(e, batch, mark);
		return -EIO;
	}
	e->local = true;
	kssl_bounce_hold_if_hello(e, batch);
	if (kssl_bounce_drain(e, batch)) {
		kssl_bounce_die_inside(e, batch, mark);
		return -EIO;
	}
	if (e->server)
		ask(e, batch);
	return 0;
}

/* ---- post-handshake authentication (RFC 8446 4.6.2) ---- */

static int authenticate(struct kssl_engine *e, int how, struct kssl_batch *batch, const char **why)
{
	size_t mark = batch->len;

	set_verify(e, how);
	if (!SSL_verify_client_post_handshake(e->ssl)) {
		restore_verify(e);
		ERR_clear_error();
		*why = "the client does not take part in authentication after the handshake";
		return -EOPNOTSUPP;
	}
	*why = e->error.text;
	if (SSL_do_handshake(e->ssl) != 1) {
		kssl_bounce_die(e, batch, mark);
		return -EIO;
	}
	if (kssl_bounce_drain(e, batch)) {
		kssl_bounce_die_inside(e, batch, mark);
		return -EIO;
	}
	e->local = true;
	ask(e, batch);
	return 0;
}

/**
 * kssl_engine_renegotiate() - start a renegotiation, or what TLS 1.3 has instead
 * @e: engine
 * @how: KSSL_RENEG_*
 * @batch: (out) ClientHello, HelloRequest, KeyUpdate or CertificateRequest
 * @why: (out) on failure the sentence
 *
 * Return: 0; -EOPNOTSUPP, -EALREADY, -EINVAL, -EPIPE or -ENOTCONN with nothing
 * changed; -EIO with the connection failed.
 */
int kssl_engine_renegotiate(struct kssl_engine *e, int how, struct kssl_batch *batch, const char **why)
{
	int ret = may_start(e, how, why);

	if (ret)
		return ret;
	if (kssl_engine_is_tls13(e) && !wants_cert(how))
		return kssl_engine_key_update(e, true, batch, why);
	kssl_bounce_begin(e);
	ERR_clear_error();
	if (kssl_engine_is_tls13(e))
		return authenticate(e, how, batch, why);
	*why = e->error.text;
	return renegotiate(e, how, batch);
}

/* ---- automatic ones ---- */

/**
 * kssl_engine_rekey() - the kernel says that a new key is due
 * @e: engine
 * @reasons: KSSL_REKEY_*
 * @batch: (out) the beginning of it, or nothing where it cannot be; then the hard
 *	limit ends the connection
 */
void kssl_engine_rekey(struct kssl_engine *e, uint32_t reasons, struct kssl_batch *batch)
{
	const char *why;
	int ret;

	e->rekey = 0;
	if (e->phase != KSSL_PHASE_OPEN || e->mute)
		return;
	if (!kssl_engine_is_tls13(e)) {
		kssl_engine_renegotiate(e, reasons & (KSSL_REKEY_TX | KSSL_REKEY_RX) ?
					KSSL_RENEG_FULL : KSSL_RENEG_RESUME, batch, &why);
		return;
	}
	/* All but one of the reasons may mean the peer's key. */
	ret = kssl_engine_key_update(e, reasons & ~KSSL_REKEY_TX, batch, &why);
	if (ret == -EALREADY)
		e->rekey = reasons;
}

/* ---- KSSL_RENEGOTIATE ---- */

/**
 * kssl_start_result() - what was asked for is over, one way or another
 * @e: engine
 * @err: 0 or positive errno
 * @batch: (out) KSSL_OP_RESULT, or nothing if nothing was asked for
 */
void kssl_start_result(struct kssl_engine *e, int err, struct kssl_batch *batch)
{
	const struct kssl_result result = { .id = e->request.id, .err = err };

	if (e->request.state != KSSL_REQUEST_NONE)
		kssl_batch_add(batch, KSSL_OP_RESULT, 0, &result, sizeof(result));
	e->request.state = KSSL_REQUEST_NONE;
}

static void try_request(struct kssl_engine *e, struct kssl_batch *batch)
{
	const char *why;
	int ret;

	e->request.state = KSSL_REQUEST_RUNS;
	if (e->request.how == KSSL_ASK_EXPORTER) {
		kssl_session_export(e, batch);
		return;
	}
	ret = kssl_engine_renegotiate(e, e->request.how, batch, &why);
	if (ret == -EALREADY)
		e->request.state = KSSL_REQUEST_WAITS;
	else if (ret && ret != -EIO)
		kssl_start_result(e, -ret, batch);
}

/**
 * kssl_engine_export() - the application asks for keying material
 * @e: engine
 * @wanted: of which kind
 * @id: the kernel's number for it
 * @batch: (out) it, and the result
 */
void kssl_engine_export(struct kssl_engine *e, const struct kssl_exporter *wanted, uint32_t id,
			struct kssl_batch *batch)
{
	e->exporter = *wanted;
	kssl_engine_request(e, KSSL_ASK_EXPORTER, id, batch);
}

/**
 * kssl_engine_request() - the application asks for a handshake
 * @e: engine
 * @how: KSSL_RENEG_*
 * @id: the kernel's number for it
 * @batch: (out) the beginning of it, or the result
 */
void kssl_engine_request(struct kssl_engine *e, uint32_t how, uint32_t id, struct kssl_batch *batch)
{
	if (e->phase == KSSL_PHASE_FAILED)
		return;
	e->request.how = how;
	e->request.id = id;
	try_request(e, batch);
}

/* Did the handshake that is over do what was asked for, though it was another's? */
static bool did(const struct kssl_engine *e, int how)
{
	switch (how) {
	case KSSL_ASK_EXPORTER:
		return false;
	case KSSL_RENEG_FULL:
		return !SSL_session_reused(e->ssl);
	case KSSL_RENEG_RESUME:
		return true;
	case KSSL_RENEG_REQUEST_CERT:
		return e->seen[1] & KSSL_SEEN(SSL3_MT_CERTIFICATE_REQUEST);
	default:
		return (e->seen[1] & KSSL_SEEN(SSL3_MT_CERTIFICATE_REQUEST)) &&
		       SSL_get0_peer_certificate(e->ssl);
	}
}

/**
 * kssl_start_finished() - a renegotiation or authentication is over
 * @e: engine
 * @batch: (out) the result, if it was what was asked for
 */
void kssl_start_finished(struct kssl_engine *e, struct kssl_batch *batch)
{
	const struct kssl_request *r = &e->request;

	/* One for another key does not end with this. */
	if (kssl_engine_is_tls13(e) && !wants_cert(r->how))
		return;
	if (r->state == KSSL_REQUEST_RUNS || (r->state == KSSL_REQUEST_WAITS && did(e, r->how)))
		kssl_start_result(e, 0, batch);
}

/**
 * kssl_start_refused() - the peer does not want what we have begun
 * @e: engine
 * @batch: (out) the result, if that was what was asked for
 */
void kssl_start_refused(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->server && e->asked)
		restore_verify(e);
	if (e->request.state == KSSL_REQUEST_RUNS)
		kssl_start_result(e, ECONNREFUSED, batch);
}

/**
 * kssl_start_updated() - the peer has taken a new key into use
 * @e: engine, TLS 1.3
 * @batch: (out) the result, if that was what was asked for
 */
void kssl_start_updated(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->request.state == KSSL_REQUEST_RUNS && !wants_cert(e->request.how))
		kssl_start_result(e, 0, batch);
}

/**
 * kssl_start_next() - do what had to wait, if it can be now
 * @e: engine, after a record was answered
 * @batch: (out) the beginning of it
 */
void kssl_start_next(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->phase == KSSL_PHASE_OPEN && e->rekey)
		kssl_engine_rekey(e, e->rekey, batch);
	if (e->phase == KSSL_PHASE_OPEN && e->request.state == KSSL_REQUEST_WAITS)
		try_request(e, batch);
}
