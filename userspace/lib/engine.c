// SPDX-License-Identifier: MIT
/*
 * The SSL object: how it is made, the plain phase, and how it fails.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "engine_priv.h"

/* ---- failing ---- */

/**
 * kssl_engine_event() - note something for the application
 * @e: engine
 * @event: what
 * @by_peer: who started it
 */
void kssl_engine_event(struct kssl_engine *e, enum kssl_event event, bool by_peer)
{
	if (e->events_count < KSSL_ENGINE_EVENTS_MAX)
		e->events[e->events_count++] = (struct kssl_engine_event) {
			.event = event, .by_peer = by_peer,
		};
}

/**
 * kssl_engine_key_event() - note KSSL_EVENT_KEY_UPDATE
 * @e: engine; its epoch of that direction is the new one
 * @by_peer: who started it
 * @sending: which direction
 * @from: epoch before
 */
void kssl_engine_key_event(struct kssl_engine *e, bool by_peer, bool sending, uint32_t from)
{
	if (e->events_count < KSSL_ENGINE_EVENTS_MAX)
		e->events[e->events_count++] = (struct kssl_engine_event) {
			.event = KSSL_EVENT_KEY_UPDATE, .by_peer = by_peer, .sending = sending,
			.from = from, .to = e->live[sending],
		};
}

/* The first cause stays. */
static void set_error(struct kssl_engine *e, int err, int who, int alert, const char *text)
{
	struct kssl_error *error = &e->error;

	if (error->err)
		return;
	error->size = sizeof(*error);
	error->err = err;
	error->who = who;
	error->has_alert = alert >= 0;
	error->alert = alert >= 0 ? alert : 0;
	snprintf(error->text, sizeof(error->text), "%s", text);
}

/**
 * kssl_engine_blame() - OpenSSL is told to fail, and cannot tell why
 * @e: engine; the call of OpenSSL that is under way will fail
 * @err: positive errno
 * @alert: alert OpenSSL will send
 * @text: one sentence
 */
void kssl_engine_blame(struct kssl_engine *e, int err, int alert, const char *text)
{
	set_error(e, err, KSSL_WHO_HELPER, alert, text);
}

/**
 * kssl_engine_fail() - the connection ends here
 * @e: engine
 * @batch: (out) KSSL_OP_FAIL is appended
 * @err: positive errno
 * @alert: alert for the peer, or KSSL_NO_ALERT
 * @text: one sentence
 */
void kssl_engine_fail(struct kssl_engine *e, struct kssl_batch *batch, int err, int alert,
		      const char *text)
{
	struct kssl_error wire;

	if (e->phase == KSSL_PHASE_FAILED)
		return;
	set_error(e, err, KSSL_WHO_HELPER, alert, text);
	e->phase = KSSL_PHASE_FAILED;
	e->request.state = KSSL_REQUEST_NONE;
	e->broken = true;
	kssl_engine_event(e, KSSL_EVENT_FAILED, false);
	wire = e->error;
	/* An alert that was received must not be sent back, nor one twice that OpenSSL has sent. */
	if (wire.who == KSSL_WHO_PEER || alert < 0)
		wire.has_alert = 0;
	kssl_batch_add(batch, KSSL_OP_FAIL, 0, &wire, sizeof(wire));
}

/* The entry of OpenSSL's queue that says most; empties it. */
static unsigned long best_error(void)
{
	unsigned long best = 0, code;

	while ((code = ERR_get_error()))
		if (!best || (ERR_GET_LIB(best) != ERR_LIB_SSL && ERR_GET_LIB(code) == ERR_LIB_SSL))
			best = code;
	return best;
}

/**
 * kssl_engine_fail_openssl() - OpenSSL gave up; its error queue says why
 * @e: engine
 * @batch: (out) KSSL_OP_FAIL is appended
 * @alert: alert for the peer, or KSSL_NO_ALERT
 */
void kssl_engine_fail_openssl(struct kssl_engine *e, struct kssl_batch *batch, int alert)
{
	unsigned long code = best_error();
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
	const char *what = code ? ERR_reason_error_string(code) : NULL;
	long verify = SSL_get_verify_result(e->ssl);
	char text[sizeof(e->error.text)];

	if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		int received = reason - SSL_AD_REASON_OFFSET;

		snprintf(text, sizeof(text), "the peer sent the fatal alert \"%s\" (%d)",
			 SSL_alert_desc_string_long(received), received);
		set_error(e, ECONNABORTED, KSSL_WHO_PEER, received, text);
		alert = KSSL_NO_ALERT;
	} else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		snprintf(text, sizeof(text), "certificate verify failed: %s",
			 verify == X509_V_ERR_APPLICATION_VERIFICATION ?
			 "it is not one that was pinned, or a callback refused it" :
			 X509_verify_cert_error_string(verify));
		e->error.x509 = verify;
		set_error(e, EKEYREJECTED, KSSL_WHO_HELPER, alert, text);
	} else {
		snprintf(text, sizeof(text), "OpenSSL: %s", what ? what : "no reason given");
		set_error(e, EPROTO, KSSL_WHO_HELPER, alert, text);
	}
	kssl_engine_fail(e, batch, e->error.err, alert, text);
}

/**
 * kssl_engine_give_up() - fail for a reason outside of the handshake
 * @e: engine
 * @batch: (out) KSSL_OP_FAIL is appended
 * @err: positive errno
 * @text: one sentence
 */
void kssl_engine_give_up(struct kssl_engine *e, struct kssl_batch *batch, int err, const char *text)
{
	/* In the plain phase no alert can be sealed but by OpenSSL, which has none. */
	kssl_engine_fail(e, batch, err,
			 e->phase == KSSL_PHASE_OPEN ? SSL_AD_INTERNAL_ERROR : KSSL_NO_ALERT, text);
}

/**
 * kssl_engine_peer_closed() - the peer will send no more
 * @e: engine
 * @in_order: by close_notify
 * @batch: (out) the end of what waited for the peer
 *
 * A renegotiation it left alone is no failure, as long as it spoke under the old keys.
 */
void kssl_engine_peer_closed(struct kssl_engine *e, bool in_order, struct kssl_batch *batch)
{
	if (e->phase == KSSL_PHASE_FAILED)
		return;
	e->left = true;
	if (e->phase == KSSL_PHASE_PLAIN || (e->handshaking && (!in_order || e->switched))) {
		kssl_engine_fail(e, batch, ECONNRESET, KSSL_NO_ALERT,
				 "the peer closed the connection in the middle of a handshake");
		return;
	}
	if (e->handshaking) {
		e->stuck = true;
		kssl_engine_event(e, KSSL_EVENT_REFUSED, !e->local);
	}
	kssl_bounce_release(e, batch);
	kssl_start_result(e, ENOTCONN, batch);
}

/**
 * kssl_engine_sending_closed() - we will send no more
 * @e: engine
 * @batch: (out) the end of what waited for us
 *
 * What a handshake still wanted to send is lost, and with it the handshake.
 */
void kssl_engine_sending_closed(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->phase != KSSL_PHASE_OPEN)
		return;
	e->mute = true;
	kssl_bounce_release(e, batch);
	kssl_start_result(e, EPIPE, batch);
}

/**
 * kssl_engine_gone() - the kernel has failed or closed the connection
 * @e: engine
 * @failed: it has failed
 *
 * Nothing more can be sent; no batch is written.
 */
void kssl_engine_gone(struct kssl_engine *e, bool failed)
{
	e->phase = KSSL_PHASE_FAILED;
	e->broken |= failed;
	e->handshaking = false;
	e->asked = false;
	e->request.state = KSSL_REQUEST_NONE;
}

/* ---- making ---- */

/* What goes by tells when to hold, when keys change and what was agreed. */
static void on_message(int sent, int version, int content_type, const void *buf, size_t len,
		       SSL *ssl, void *arg)
{
	struct kssl_engine *e = arg;
	const uint8_t *message = buf;
	uint8_t type;

	(void)version;
	if (content_type != SSL3_RT_HANDSHAKE || !len)
		return;
	type = message[0];
	if (type == SSL3_MT_CLIENT_HELLO)
		memset(e->seen, 0, sizeof(e->seen));
	if (type < 32) {
		e->seen[!!sent] |= KSSL_SEEN(type);
		e->fresh[!!sent] |= KSSL_SEEN(type);
	}
	if (type == SSL3_MT_CLIENT_HELLO || type == SSL3_MT_SERVER_HELLO ||
	    type == SSL3_MT_ENCRYPTED_EXTENSIONS)
		kssl_policy_hello(e, message, len);
	/* A server name callback may have moved us to another context. */
	if (type == SSL3_MT_SERVER_HELLO && sent)
		kssl_keylog_arm(SSL_get_SSL_CTX(ssl));
}

static bool is_address(const char *name)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool is_for(X509 *cert, const char *name)
{
	if (!cert)
		return false;
	return is_address(name) ?
	       X509_check_ip_asc(cert, name, 0) == 1 :
	       X509_check_host(cert, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* Who resumes does not verify again: what does not bear it leads to a full handshake. */
static void offer_session(SSL *ssl, const struct kssl_engine_setup *setup)
{
	if (!setup->session ||
	    (setup->verify && !is_for(SSL_SESSION_get0_peer(setup->session), setup->name)))
		return;
	SSL_set_session(ssl, setup->session);
	if (!setup->verify || SSL_get_verify_result(ssl) == X509_V_OK)
		return;
	SSL_set_session(ssl, NULL);
	SSL_set_verify_result(ssl, X509_V_OK);
}

static int set_up_client(SSL *ssl, const struct kssl_engine_setup *setup)
{
	const char *name = setup->name;

	SSL_set_connect_state(ssl);
	if (!setup->verify) {
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	} else {
		if (!name)
			return -EINVAL;
		SSL_set_verify(ssl, SSL_get_verify_mode(ssl) | SSL_VERIFY_PEER,
			       SSL_get_verify_callback(ssl));
		SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (is_address(name) ? !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) :
				       !SSL_set1_host(ssl, name))
			return -EINVAL;
	}
	/* RFC 6066 3: no literal addresses in server_name. */
	if (name && !is_address(name) && !SSL_set_tlsext_host_name(ssl, name))
		return -EINVAL;
	offer_session(ssl, setup);
	return 0;
}

static void set_up_server(SSL *ssl, const struct kssl_engine_setup *setup)
{
	SSL_set_accept_state(ssl);
	SSL_set_max_early_data(ssl, 0);
	if (setup->verify >= 0)
		SSL_set_verify(ssl, setup->verify == 0 ? SSL_VERIFY_NONE :
			       setup->verify == 1 ? SSL_VERIFY_PEER :
			       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			       SSL_get_verify_callback(ssl));
	if (setup->client_renegotiation == 1)
		SSL_set_options(ssl, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	else if (!setup->client_renegotiation)
		SSL_clear_options(ssl, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
}

/* Whatever the caller's context says, the shim needs it so. */
static void set_up_records(struct kssl_engine *e)
{
	SSL_clear_options(e->ssl, SSL_OP_ENABLE_KTLS | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
	SSL_set_options(e->ssl, SSL_OP_NO_COMPRESSION);
	SSL_set_mode(e->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
	SSL_clear_mode(e->ssl, SSL_MODE_ASYNC);
	SSL_set_read_ahead(e->ssl, 0);
	SSL_set_msg_callback(e->ssl, on_message);
	SSL_set_msg_callback_arg(e->ssl, e);
}

/**
 * kssl_engine_renew_bios() - give back what the BIOs have grown to
 * @e: engine; both BIOs are empty
 *
 * Return: 0 or -ENOMEM.
 */
int kssl_engine_renew_bios(struct kssl_engine *e)
{
	BIO *rbio = BIO_new(BIO_s_mem());
	BIO *wbio = BIO_new(BIO_s_mem());

	if (!rbio || !wbio) {
		BIO_free(rbio);
		BIO_free(wbio);
		return -ENOMEM;
	}
	BIO_set_mem_eof_return(rbio, -1);
	SSL_set0_rbio(e->ssl, rbio);
	SSL_set0_wbio(e->ssl, wbio);
	e->rbio = rbio;
	e->wbio = wbio;
	return 0;
}

static struct kssl_engine *refuse_setup(struct kssl_engine *e, struct kssl_error *error, int err,
					const char *text)
{
	memset(error, 0, sizeof(*error));
	error->size = sizeof(*error);
	error->err = -err;
	error->who = KSSL_WHO_HELPER;
	snprintf(error->text, sizeof(error->text), "%s", text);
	kssl_engine_free(e);
	ERR_clear_error();
	return NULL;
}

/**
 * kssl_engine_new() - make an engine
 * @setup: what the connection should be
 * @error: (out) why not
 *
 * Return: the engine in the plain phase, or NULL with @error set.
 */
struct kssl_engine *kssl_engine_new(const struct kssl_engine_setup *setup, struct kssl_error *error)
{
	struct kssl_engine *e = calloc(1, sizeof(*e));
	const char *why;
	int ret;

	if (!e)
		return refuse_setup(NULL, error, -ENOMEM, "out of memory");
	e->server = setup->server;
	e->kernel_updates = setup->kernel_updates;
	e->require_answer = setup->require_answer;
	e->record_limit = setup->record_limit;
	e->keylog = setup->keylog;
	e->keylog_arg = setup->keylog_arg;
	e->alert = KSSL_NO_ALERT;
	if (setup->profile)
		e->profile = strdup(setup->profile);
	if ((setup->profile && !e->profile) || kssl_keylog_arm(setup->ctx) || kssl_limit_arm(setup->ctx))
		return refuse_setup(e, error, -ENOMEM, "out of memory");
	e->ssl = SSL_new(setup->ctx);
	if (!e->ssl || kssl_engine_attach(e, e->ssl) || kssl_engine_renew_bios(e))
		return refuse_setup(e, error, -ENOMEM, "out of memory");
	set_up_records(e);
	if (e->server) {
		set_up_server(e->ssl, setup);
	} else {
		ret = set_up_client(e->ssl, setup);
		if (ret)
			return refuse_setup(e, error, ret, "a client needs the name of its server");
	}
	ret = kssl_suite_narrow(e->ssl, setup->suites, setup->suites_count, &why);
	if (ret)
		return refuse_setup(e, error, ret, ret == -ENOMEM ? "out of memory" : why);
	return e;
}

/**
 * kssl_engine_free() - release an engine in any state
 * @e: engine, may be NULL
 */
void kssl_engine_free(struct kssl_engine *e)
{
	if (!e)
		return;
	kssl_shim_clear(&e->read);
	kssl_shim_clear(&e->write);
	kssl_kept_clear(&e->kept[0]);
	kssl_kept_clear(&e->kept[1]);
	/* The kernel has seen to close_notify; else OpenSSL would spoil the session. */
	if (e->ssl && !e->broken && e->epoch[KSSL_SENDING])
		SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(e->ssl);
	SSL_SESSION_free(e->session);
	free(e->profile);
	OPENSSL_cleanse(e, sizeof(*e));
	free(e);
}

/* ---- the plain phase ---- */

/**
 * kssl_record_len() - length of the record at the front of OpenSSL's output
 * @data: output
 * @len: bytes of it
 *
 * Return: length with header, or 0 if there is no whole record.
 */
size_t kssl_record_len(const uint8_t *data, size_t len)
{
	size_t record_len;

	if (len < KSSL_HEADER_LEN)
		return 0;
	record_len = KSSL_HEADER_LEN + (data[3] << 8 | data[4]);
	return record_len <= len ? record_len : 0;
}

/* What OpenSSL wrote goes out as it is; keep what the replay will need. */
static int drain_raw(struct kssl_engine *e, struct kssl_batch *batch)
{
	char *data;
	size_t len = BIO_get_mem_data(e->wbio, &data);
	const uint8_t *p = (const uint8_t *)data;
	size_t left = len;
	int ret = 0;

	while (!ret && left) {
		size_t record_len = kssl_record_len(p, left);

		if (!record_len)
			return -EIO;
		ret = kssl_keep(&e->kept[1], p, record_len);
		p += record_len;
		left -= record_len;
	}
	if (!ret && len)
		kssl_batch_add(batch, KSSL_OP_RAW, 0, data, len);
	BIO_reset(e->wbio);
	return ret;
}

static const char *why_not(int ssl_error)
{
	switch (ssl_error) {
	case SSL_ERROR_ZERO_RETURN:
		return "the peer closed the connection during the handshake";
	case SSL_ERROR_WANT_X509_LOOKUP:
	case SSL_ERROR_WANT_CLIENT_HELLO_CB:
	case SSL_ERROR_WANT_ASYNC:
	case SSL_ERROR_WANT_RETRY_VERIFY:
		return "a callback of the SSL_CTX asked to be called again, which is not supported";
	default:
		return NULL;
	}
}

static void hand_over(struct kssl_engine *e, struct kssl_batch *batch, size_t mark)
{
	const char *why = kssl_handover(e, batch);

	if (!why) {
		kssl_engine_event(e, KSSL_EVENT_HANDSHAKE_DONE, e->server);
		return;
	}
	/* Not even our last flight goes out. */
	kssl_batch_truncate(batch, mark);
	ERR_clear_error();
	kssl_engine_fail(e, batch, EIO, KSSL_NO_ALERT, why);
}

/* One step of the first handshake. */
static void step(struct kssl_engine *e, struct kssl_batch *batch, bool answer)
{
	size_t mark = batch->len;
	const char *why;
	int ret, error;

	ERR_clear_error();
	ret = SSL_do_handshake(e->ssl);
	error = SSL_get_error(e->ssl, ret);
	if (drain_raw(e, batch)) {
		kssl_engine_fail(e, batch, EIO, KSSL_NO_ALERT, "OpenSSL's output is not made of records");
		return;
	}
	if (ret == 1) {
		hand_over(e, batch, mark);
		return;
	}
	if (error == SSL_ERROR_WANT_READ) {
		if (answer)
			kssl_batch_add(batch, KSSL_OP_CONTINUE, 0, NULL, 0);
		return;
	}
	/* OpenSSL's own alert is among the raw bytes. */
	why = why_not(error);
	if (why)
		kssl_engine_fail(e, batch, error == SSL_ERROR_ZERO_RETURN ? ECONNABORTED : EOPNOTSUPP,
				 KSSL_NO_ALERT, why);
	else
		kssl_engine_fail_openssl(e, batch, KSSL_NO_ALERT);
}

/**
 * kssl_engine_start() - begin the first handshake
 * @e: new engine
 * @batch: (out) the ClientHello of a client, nothing for a server
 */
void kssl_engine_start(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (!e->server)
		step(e, batch, false);
}

/**
 * kssl_engine_take_raw() - a record of the plain phase came
 * @e: engine
 * @record: as on the wire
 * @len: length of it
 * @batch: (out) the answer; with the last record of the handshake the keys
 */
void kssl_engine_take_raw(struct kssl_engine *e, const uint8_t *record, size_t len,
			  struct kssl_batch *batch)
{
	if (e->phase != KSSL_PHASE_PLAIN)
		return;
	if (kssl_keep(&e->kept[0], record, len) || BIO_write(e->rbio, record, len) != (int)len)
		kssl_engine_fail(e, batch, ENOMEM, KSSL_NO_ALERT, "out of memory");
	else
		step(e, batch, true);
}

/* ---- what the library asks ---- */

/**
 * kssl_engine_take_events() - what happened since the last call
 * @e: engine
 * @events: (out) room for KSSL_ENGINE_EVENTS_MAX
 *
 * Comes after each step, so a connection that rests keeps little.
 *
 * Return: how many.
 */
unsigned int kssl_engine_take_events(struct kssl_engine *e, struct kssl_engine_event *events)
{
	unsigned int count = e->events_count;

	memcpy(events, e->events, count * sizeof(*events));
	e->events_count = 0;
	if (!e->handshaking) {
		kssl_shim_rest(&e->read);
		kssl_shim_rest(&e->write);
	}
	return count;
}

SSL *kssl_engine_ssl(const struct kssl_engine *e)
{
	return e->ssl;
}

/**
 * kssl_engine_keep_session() - a handshake is over, or a ticket came
 * @e: engine
 *
 * While a handshake runs, and after one that was refused, OpenSSL's own is another.
 */
void kssl_engine_keep_session(struct kssl_engine *e)
{
	SSL_SESSION *session = e->server ? NULL : SSL_get1_session(e->ssl);

	if (session && SSL_SESSION_is_resumable(session)) {
		SSL_SESSION_free(e->session);
		e->session = session;
	} else {
		SSL_SESSION_free(session);
	}
}

/**
 * kssl_engine_get1_session() - the newest session that can be resumed
 * @e: engine
 *
 * Return: a reference of the caller's, or NULL.
 */
SSL_SESSION *kssl_engine_get1_session(const struct kssl_engine *e)
{
	/* RFC 5246 7.2.2 */
	if (!e->session || e->broken || !SSL_SESSION_up_ref(e->session))
		return NULL;
	return e->session;
}

const struct kssl_error *kssl_engine_error(const struct kssl_engine *e)
{
	return &e->error;
}

/** kssl_engine_is_open() - the first handshake is done and nothing failed */
int kssl_engine_is_open(const struct kssl_engine *e)
{
	return e->phase == KSSL_PHASE_OPEN;
}

/** kssl_engine_is_busy() - a handshake runs, or was asked for and not answered */
int kssl_engine_is_busy(const struct kssl_engine *e)
{
	return e->phase == KSSL_PHASE_PLAIN || e->handshaking || e->asked;
}
