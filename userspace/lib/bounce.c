// SPDX-License-Identifier: MIT
/*
 * After the hand-over: control records that the kernel bounces, and handshakes
 * we start.  Inbound plaintext is sealed by the shim for OpenSSL; what OpenSSL
 * writes is opened by the shim for the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "engine_priv.h"

#define ALERT_WARNING	1
#define ALERT_FATAL	2

static void add(struct kssl_batch *batch, enum kssl_op_code op)
{
	kssl_batch_add(batch, op, 0, NULL, 0);
}

static void add_warning(struct kssl_batch *batch, uint8_t description)
{
	const uint8_t alert[2] = { ALERT_WARNING, description };

	kssl_batch_add(batch, KSSL_OP_RECORD, KSSL_TYPE_ALERT, alert, sizeof(alert));
}

/* ---- keys ---- */

/* A ChangeCipherSpec went by (TLS <= 1.2): new key for that direction. */
static int change_key(struct kssl_engine *e, bool sending, struct kssl_batch *batch)
{
	struct kssl_key rx = { 0 }, tx = { 0 };
	int ret = kssl_keys_pending(e, &rx, &tx);

	if (!ret && sending)
		ret = kssl_shim_set_key(&e->write, &tx, 0);
	else if (!ret)
		ret = kssl_shim_set_key(&e->read, &rx, 1);
	if (!ret)
		kssl_batch_add_key(batch, sending ? KSSL_OP_TX_KEY : KSSL_OP_RX_KEY, sending ? &tx : &rx);
	OPENSSL_cleanse(&rx, sizeof(rx));
	OPENSSL_cleanse(&tx, sizeof(tx));
	return ret;
}

/* A KeyUpdate went by (RFC 8446 4.6.3, 7.2): likewise. */
static int update_key(struct kssl_engine *e, bool sending, struct kssl_batch *batch)
{
	const struct kssl_suite *suite = e->read.suite;
	const EVP_MD *md = kssl_keys_digest(e);
	struct kssl_secret *secret = &e->secret[sending ? e->server : !e->server];
	struct kssl_key key;
	int ret = md ? kssl_keys_next_secret(md, secret) : -EIO;

	if (!ret)
		ret = kssl_keys_of_secret(suite, md, secret, &key);
	if (!ret && sending)
		ret = kssl_shim_set_key(&e->write, &key, 0);
	else if (!ret)
		ret = kssl_shim_set_key(&e->read, &key, 1);
	if (!ret)
		kssl_batch_add_key(batch, sending ? KSSL_OP_TX_KEY : KSSL_OP_RX_KEY, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return ret;
}

/* ---- OpenSSL's output ---- */

/* One record OpenSSL wrote, in plaintext. */
static int pass_record(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len,
		       struct kssl_batch *batch)
{
	if (type == KSSL_TYPE_ALERT && len == 2 && payload[0] == ALERT_FATAL) {
		e->alert = payload[1];
		return 0;
	}
	if (type == KSSL_TYPE_APPLICATION_DATA || !len)
		return -EIO;
	if (type == KSSL_TYPE_ALERT && len == 2 && payload[1] == SSL_AD_NO_RENEGOTIATION)
		kssl_engine_event(e, KSSL_EVENT_REFUSED, true, false);
	kssl_batch_add(batch, KSSL_OP_RECORD, type, payload, len);
	if (type == KSSL_TYPE_CHANGE_CIPHER_SPEC)
		return change_key(e, true, batch);
	/* OpenSSL gives each handshake message a record of its own. */
	if (type == KSSL_TYPE_HANDSHAKE && payload[0] == SSL3_MT_KEY_UPDATE &&
	    (e->fresh[1] & KSSL_SEEN(SSL3_MT_KEY_UPDATE)))
		return update_key(e, true, batch);
	return 0;
}

/* Hand on everything OpenSSL wrote. */
static int drain(struct kssl_engine *e, struct kssl_batch *batch)
{
	uint8_t payload[KSSL_RECORD_MAX], type;
	const uint8_t *p;
	char *data;
	size_t left = BIO_get_mem_data(e->wbio, &data), len;
	int ret = 0;

	for (p = (uint8_t *)data; !ret && left; p += len, left -= len) {
		len = kssl_record_len(p, left);
		if (!len || len > sizeof(payload))
			return -EIO;
		ret = kssl_shim_open(&e->write, p, len, payload, &type);
		if (ret >= 0)
			ret = pass_record(e, type, payload, ret, batch);
	}
	BIO_reset(e->wbio);
	return ret;
}

/* Data waits from our ClientHello on, as server from our ServerHello on. */
static void hold_if_hello(struct kssl_engine *e, struct kssl_batch *batch)
{
	uint8_t hello = e->server ? SSL3_MT_SERVER_HELLO : SSL3_MT_CLIENT_HELLO;

	if (e->fresh[0] & KSSL_SEEN(SSL3_MT_CLIENT_HELLO) ||
	    e->fresh[1] & KSSL_SEEN(SSL3_MT_CLIENT_HELLO))
		e->handshaking = true;
	if (e->held || !(e->fresh[1] & KSSL_SEEN(hello)))
		return;
	e->held = true;
	add(batch, KSSL_OP_HOLD);
}

/* OpenSSL gave up: its alert, if any, goes out by way of the kernel. */
static void die(struct kssl_engine *e, struct kssl_batch *batch, size_t mark)
{
	struct kssl_batch rest = { 0 };

	/* Of what it wrote before, nothing matters any more. */
	drain(e, &rest);
	kssl_batch_clear(&rest);
	kssl_batch_truncate(batch, mark);
	kssl_engine_fail_openssl(e, batch, e->alert >= 0 ? e->alert : SSL_AD_INTERNAL_ERROR);
}

static void die_inside(struct kssl_engine *e, struct kssl_batch *batch, size_t mark)
{
	kssl_batch_truncate(batch, mark);
	ERR_clear_error();
	kssl_engine_fail(e, batch, EIO, SSL_AD_INTERNAL_ERROR,
			 "the handshake's records do not fit the derived keys");
}

/* ---- the end of a handshake ---- */

static bool is_finished(const struct kssl_engine *e)
{
	return e->handshaking && !SSL_in_init(e->ssl) &&
	       (e->seen[0] & KSSL_SEEN(SSL3_MT_FINISHED)) &&
	       (e->seen[1] & KSSL_SEEN(SSL3_MT_FINISHED));
}

static void release(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->held)
		add(batch, KSSL_OP_RELEASE);
	e->held = false;
	e->handshaking = false;
	e->asked = false;
	e->local = false;
}

static void finish(struct kssl_engine *e, struct kssl_batch *batch)
{
	kssl_policy_remember(e);
	kssl_engine_event(e, KSSL_EVENT_RENEGOTIATED, !e->local, false);
	add(batch, KSSL_OP_ESTABLISHED);
	release(e, batch);
	add(batch, KSSL_OP_DONE);
	kssl_engine_renew_bios(e);
}

/* ---- alerts ---- */

/*
 * no_renegotiation kills an SSL object that sees it; the connection has to live
 * (RFC 5246 7.2.2).
 */
static void take_refusal(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->server) {
		/* OpenSSL has not left its state after HelloRequest. */
		if (e->asked && !e->handshaking)
			kssl_engine_event(e, KSSL_EVENT_REFUSED, false, false);
		e->asked = false;
		return;
	}
	if (!e->handshaking)
		return;
	if (e->seen[0] & KSSL_SEEN(SSL3_MT_SERVER_HELLO)) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_HANDSHAKE_FAILURE,
				 "the peer refused a renegotiation it had agreed to");
		return;
	}
	e->stuck = true;
	kssl_engine_event(e, KSSL_EVENT_REFUSED, !e->local, false);
	release(e, batch);
}

static int feed(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len);

static void take_fatal(struct kssl_engine *e, const uint8_t *payload)
{
	struct kssl_batch none = { 0 };
	char text[sizeof(e->error.text)];

	/* For OpenSSL's state: a session that ended so is not resumed (RFC 5246 7.2.2). */
	feed(e, KSSL_TYPE_ALERT, payload, 2);
	ERR_clear_error();
	snprintf(text, sizeof(text), "the peer sent the fatal alert \"%s\" (%d)",
		 SSL_alert_desc_string_long(payload[1]), payload[1]);
	kssl_engine_fail(e, &none, ECONNABORTED, KSSL_NO_ALERT, text);
	e->error.who = KSSL_WHO_PEER;
	e->error.alert = payload[1];
	e->error.has_alert = 1;
	/* The kernel has failed the socket by itself. */
	kssl_batch_clear(&none);
}

/*
 * OpenSSL dies at the fifth warning, because it sees no data in between; the
 * kernel counts them instead.
 */
static void take_alert(struct kssl_engine *e, const uint8_t *payload, size_t len,
		       struct kssl_batch *batch)
{
	bool warning;

	if (len != 2) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_DECODE_ERROR, "an alert of the wrong length");
		return;
	}
	/* RFC 8446 6: the level means nothing, all but user_canceled are fatal. */
	warning = kssl_engine_is_tls13(e) ? payload[1] == SSL_AD_USER_CANCELLED :
					    payload[0] == ALERT_WARNING;
	if (!warning) {
		take_fatal(e, payload);
		return;
	}
	if (payload[1] == SSL_AD_NO_RENEGOTIATION)
		take_refusal(e, batch);
	if (e->phase == KSSL_PHASE_OPEN)
		add(batch, KSSL_OP_CONTINUE);
}

/* ---- inbound records ---- */

/* Let OpenSSL read one record. 0, or -1 if it did not like it. */
static int feed(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len)
{
	uint8_t record[KSSL_MAX_PAYLOAD + KSSL_SHIM_OVERHEAD], byte;
	int n = kssl_shim_seal(&e->read, type, payload, len, record);

	ERR_clear_error();
	if (n < 0 || BIO_write(e->rbio, record, n) != n)
		return -1;
	n = SSL_read(e->ssl, &byte, 1);
	return n <= 0 && SSL_get_error(e->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* While OpenSSL waits for a ServerHello that will not come, we answer for it. */
static void answer_stuck(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len,
			 struct kssl_batch *batch)
{
	size_t i = 0;

	while (i < len && !payload[i])
		i++;
	/* HelloRequest: four zero octets (RFC 5246 7.4.1.1). */
	if (type != KSSL_TYPE_HANDSHAKE || i != len || len % 4) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_UNEXPECTED_MESSAGE,
				 "a handshake message after the peer had refused to renegotiate");
		return;
	}
	kssl_engine_event(e, KSSL_EVENT_REFUSED, true, false);
	add_warning(batch, SSL_AD_NO_RENEGOTIATION);
	add(batch, KSSL_OP_CONTINUE);
}

/* OpenSSL would put its answer off to its next SSL_write, which never comes. */
static int send_update(struct kssl_engine *e, int kind, struct kssl_batch *batch)
{
	if (!SSL_key_update(e->ssl, kind) || SSL_do_handshake(e->ssl) != 1)
		return -1;
	return drain(e, batch);
}

static int take_update(struct kssl_engine *e, struct kssl_batch *batch)
{
	bool asked_by_us = e->updates_asked > 0;
	bool answer = SSL_get_key_update_type(e->ssl) != SSL_KEY_UPDATE_NONE;
	int ret;

	if (asked_by_us)
		e->updates_asked--;
	ret = update_key(e, false, batch);
	if (!ret)
		kssl_engine_event(e, KSSL_EVENT_KEY_UPDATE, !asked_by_us, false);
	if (!ret && answer) {
		ret = send_update(e, SSL_KEY_UPDATE_NOT_REQUESTED, batch);
		if (!ret)
			kssl_engine_event(e, KSSL_EVENT_KEY_UPDATE, true, true);
	}
	if (!ret)
		add(batch, KSSL_OP_DONE);
	return ret;
}

/* What the messages just fed mean to the kernel's keys. */
static int follow(struct kssl_engine *e, uint8_t type, struct kssl_batch *batch)
{
	int ret = 0;

	if (type == KSSL_TYPE_CHANGE_CIPHER_SPEC)
		ret = change_key(e, false, batch);
	hold_if_hello(e, batch);
	if (!ret)
		ret = drain(e, batch);
	if (!ret && (e->fresh[0] & KSSL_SEEN(SSL3_MT_KEY_UPDATE)))
		ret = take_update(e, batch);
	if (!ret && kssl_engine_is_tls13(e) && (e->fresh[0] & KSSL_SEEN(SSL3_MT_NEWSESSION_TICKET)))
		kssl_engine_event(e, KSSL_EVENT_TICKET, true, false);
	return ret;
}

/* May these messages be answered at all? */
static const char *check(struct kssl_engine *e)
{
	/* RFC 9113 9.2.3 */
	if (e->identity.http2 && kssl_engine_is_tls13(e) &&
	    (e->fresh[0] & KSSL_SEEN(SSL3_MT_CERTIFICATE_REQUEST)))
		return "the server asked for a certificate after the handshake, which HTTP/2 forbids";
	if (kssl_engine_is_tls13(e))
		return NULL;
	return kssl_policy_check(e, is_finished(e));
}

/**
 * kssl_engine_take_record() - a control record came
 * @e: engine after the hand-over
 * @type: content type 20, 21 or 22
 * @payload: plaintext
 * @len: bytes of it
 * @batch: (out) the answer; empty after a fatal alert of the peer
 */
void kssl_engine_take_record(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len,
			     struct kssl_batch *batch)
{
	size_t mark = batch->len;
	const char *why;

	if (e->phase != KSSL_PHASE_OPEN)
		return;
	memset(e->fresh, 0, sizeof(e->fresh));
	e->alert = KSSL_NO_ALERT;
	if (type == KSSL_TYPE_ALERT) {
		take_alert(e, payload, len, batch);
		return;
	}
	if (e->stuck) {
		answer_stuck(e, type, payload, len, batch);
		return;
	}
	if (!len || len > KSSL_MAX_PAYLOAD ||
	    (type == KSSL_TYPE_CHANGE_CIPHER_SPEC && kssl_engine_is_tls13(e))) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_UNEXPECTED_MESSAGE,
				 "a record that is not legal after the handshake");
		return;
	}
	if (feed(e, type, payload, len)) {
		die(e, batch, mark);
		return;
	}
	if (e->fresh[0] & KSSL_SEEN(SSL3_MT_CLIENT_HELLO))
		e->handshaking = true;
	why = check(e);
	if (why) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_HANDSHAKE_FAILURE, why);
		return;
	}
	if (follow(e, type, batch)) {
		die_inside(e, batch, mark);
		return;
	}
	if (is_finished(e))
		finish(e, batch);
	else if (e->handshaking && !SSL_in_init(e->ssl))
		release(e, batch);	/* we refused it */
	add(batch, KSSL_OP_CONTINUE);
}

/* ---- handshakes we start ---- */

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
	int mode = SSL_VERIFY_PEER;

	if (how == KSSL_RENEG_RESUME)
		return 0;
	if (how == KSSL_RENEG_REQUIRE_CERT)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	if (how != KSSL_RENEG_FULL)
		SSL_set_verify(e->ssl, mode, SSL_get_verify_callback(e->ssl));
	return change_session_context(e);
}

static int may_renegotiate(const struct kssl_engine *e, int how, const char **why)
{
	*why = "the connection is not up";
	if (e->phase != KSSL_PHASE_OPEN)
		return -ENOTCONN;
	*why = "TLS 1.3 has no renegotiation; KeyUpdate gives new keys";
	if (kssl_engine_is_tls13(e))
		return -EOPNOTSUPP;
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
	if (e->handshaking || e->asked)
		return -EALREADY;
	*why = "only a server asks for a certificate";
	if (how < KSSL_RENEG_FULL || how > KSSL_RENEG_REQUIRE_CERT ||
	    (!e->server && how > KSSL_RENEG_RESUME))
		return -EINVAL;
	return 0;
}

/**
 * kssl_engine_renegotiate() - start a renegotiation
 * @e: engine
 * @how: KSSL_RENEG_*
 * @batch: (out) ClientHello or HelloRequest
 * @why: (out) on failure the sentence
 *
 * Return: 0; -EOPNOTSUPP, -EALREADY, -EINVAL or -ENOTCONN with nothing changed;
 * -EIO with the connection failed.
 */
int kssl_engine_renegotiate(struct kssl_engine *e, int how, struct kssl_batch *batch, const char **why)
{
	size_t mark = batch->len;
	int ret = may_renegotiate(e, how, why);
	int ok;

	if (ret)
		return ret;
	memset(e->fresh, 0, sizeof(e->fresh));
	e->alert = KSSL_NO_ALERT;
	ERR_clear_error();
	ok = !e->server || !prepare_server(e, how);
	if (ok && !e->server && how == KSSL_RENEG_RESUME)
		ok = SSL_renegotiate_abbreviated(e->ssl);
	else if (ok)
		ok = SSL_renegotiate(e->ssl);
	if (ok) {
		int n = SSL_do_handshake(e->ssl);

		ok = n == 1 || SSL_get_error(e->ssl, n) == SSL_ERROR_WANT_READ;
	}
	*why = e->error.text;
	if (!ok) {
		die(e, batch, mark);
		return -EIO;
	}
	e->local = true;
	e->asked = e->server;
	hold_if_hello(e, batch);
	if (drain(e, batch)) {
		die_inside(e, batch, mark);
		return -EIO;
	}
	return 0;
}

/**
 * kssl_engine_key_update() - take a new sending key into use, TLS 1.3
 * @e: engine
 * @request: ask the peer for one too
 * @batch: (out) KeyUpdate and the key
 * @why: (out) on failure the sentence
 *
 * Return: 0; -EOPNOTSUPP or -ENOTCONN with nothing changed; -EIO with the
 * connection failed.
 */
int kssl_engine_key_update(struct kssl_engine *e, int request, struct kssl_batch *batch, const char **why)
{
	size_t mark = batch->len;

	*why = "the connection is not up";
	if (e->phase != KSSL_PHASE_OPEN)
		return -ENOTCONN;
	*why = "TLS 1.2 has no KeyUpdate; a renegotiation gives new keys";
	if (!kssl_engine_is_tls13(e))
		return -EOPNOTSUPP;
	memset(e->fresh, 0, sizeof(e->fresh));
	e->alert = KSSL_NO_ALERT;
	ERR_clear_error();
	*why = e->error.text;
	if (send_update(e, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED, batch)) {
		die_inside(e, batch, mark);
		return -EIO;
	}
	if (request)
		e->updates_asked++;
	kssl_engine_event(e, KSSL_EVENT_KEY_UPDATE, false, true);
	add(batch, KSSL_OP_DONE);
	return 0;
}
