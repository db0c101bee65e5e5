// SPDX-License-Identifier: MIT
/*
 * After the hand-over: control records that the kernel bounces.  Inbound plaintext
 * is sealed by the shim for OpenSSL; what OpenSSL writes is opened by the shim for
 * the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "engine_priv.h"

#define ALERT_WARNING	1
#define ALERT_FATAL	2

/** kssl_bounce_add() - append an operation without payload */
void kssl_bounce_add(struct kssl_batch *batch, enum kssl_op_code op)
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
	e->switched |= !sending;
	OPENSSL_cleanse(&rx, sizeof(rx));
	OPENSSL_cleanse(&tx, sizeof(tx));
	return ret;
}

/* ---- OpenSSL's output ---- */

/* OpenSSL may have agreed on another limit by now than that of the key which is in use. */
static void add_records(const struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len,
			struct kssl_batch *batch)
{
	size_t most = e->write.key.max_payload ? e->write.key.max_payload : KSSL_MAX_PAYLOAD;

	while (len) {
		size_t n = len < most ? len : most;

		kssl_batch_add(batch, KSSL_OP_RECORD, type, payload, n);
		payload += n;
		len -= n;
	}
}

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
		kssl_engine_event(e, KSSL_EVENT_REFUSED, true);
	add_records(e, type, payload, len, batch);
	if (type == KSSL_TYPE_CHANGE_CIPHER_SPEC)
		return change_key(e, true, batch);
	/* OpenSSL gives each handshake message a record of its own. */
	if (type == KSSL_TYPE_HANDSHAKE && payload[0] == SSL3_MT_KEY_UPDATE &&
	    (e->fresh[1] & KSSL_SEEN(SSL3_MT_KEY_UPDATE)))
		return kssl_update_key(e, true, batch);
	return 0;
}

/**
 * kssl_bounce_drain() - hand on everything OpenSSL wrote
 * @e: engine
 * @batch: (out) records, and keys where they change
 *
 * Return: 0, or less if the connection cannot go on.
 */
int kssl_bounce_drain(struct kssl_engine *e, struct kssl_batch *batch)
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

static void hold(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (!e->held)
		kssl_bounce_add(batch, KSSL_OP_HOLD);
	e->held = true;
}

/**
 * kssl_bounce_hold_if_hello() - data waits from our ClientHello on
 * @e: engine, whose output is not drained yet; as server: from our ServerHello on
 * @batch: (out) KSSL_OP_HOLD, if it is time
 */
void kssl_bounce_hold_if_hello(struct kssl_engine *e, struct kssl_batch *batch)
{
	uint8_t hello = e->server ? SSL3_MT_SERVER_HELLO : SSL3_MT_CLIENT_HELLO;

	if (e->fresh[0] & KSSL_SEEN(SSL3_MT_CLIENT_HELLO) ||
	    e->fresh[1] & KSSL_SEEN(SSL3_MT_CLIENT_HELLO))
		e->handshaking = true;
	if (e->fresh[1] & KSSL_SEEN(hello))
		hold(e, batch);
}

/*
 * TLS 1.3: while OpenSSL has half a message it cannot follow a KeyUpdate of ours, and
 * the answer to a certificate request depends on our secret.  The kernel does none
 * while data is held.
 */
static void hold_if_partial(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->server)
		return;
	if (SSL_in_init(e->ssl))
		hold(e, batch);
	else if (e->held)
		kssl_bounce_release(e, batch);
}

/**
 * kssl_bounce_die() - OpenSSL gave up: its alert, if any, goes out by way of the kernel
 * @e: engine
 * @batch: (out) KSSL_OP_FAIL
 * @mark: length of @batch before this step
 */
void kssl_bounce_die(struct kssl_engine *e, struct kssl_batch *batch, size_t mark)
{
	struct kssl_batch rest = { 0 };

	/* Of what it wrote before, nothing matters any more. */
	kssl_bounce_drain(e, &rest);
	kssl_batch_clear(&rest);
	kssl_batch_truncate(batch, mark);
	kssl_engine_fail_openssl(e, batch, e->alert >= 0 ? e->alert : SSL_AD_INTERNAL_ERROR);
}

/**
 * kssl_bounce_die_inside() - shim and OpenSSL do not agree any more
 * @e: engine
 * @batch: (out) KSSL_OP_FAIL
 * @mark: length of @batch before this step
 */
void kssl_bounce_die_inside(struct kssl_engine *e, struct kssl_batch *batch, size_t mark)
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

/**
 * kssl_bounce_release() - nothing waits for the peer any more
 * @e: engine
 * @batch: (out) KSSL_OP_RELEASE, if something did
 */
void kssl_bounce_release(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (e->held || e->awaited)
		kssl_bounce_add(batch, KSSL_OP_RELEASE);
	e->held = false;
	e->awaited = false;
	e->handshaking = false;
	e->switched = false;
	e->asked = false;
	e->local = false;
}

static void remember_identity(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (!kssl_policy_remember(e))
		return;
	kssl_engine_event(e, KSSL_EVENT_AUTHENTICATED, !e->local);
	kssl_bounce_add(batch, KSSL_OP_IDENTITY);
}

static void finish(struct kssl_engine *e, struct kssl_batch *batch)
{
	kssl_engine_event(e, KSSL_EVENT_RENEGOTIATED, !e->local);
	kssl_bounce_add(batch, KSSL_OP_ESTABLISHED);
	remember_identity(e, batch);
	kssl_engine_keep_session(e);
	kssl_bounce_release(e, batch);
	kssl_session_tell(e, batch);
	kssl_bounce_add(batch, KSSL_OP_DONE);
	kssl_start_finished(e, batch);
	kssl_engine_renew_bios(e);
}

/* TLS 1.3, as server: the client has answered our certificate request. */
static void finish_authentication(struct kssl_engine *e, struct kssl_batch *batch)
{
	remember_identity(e, batch);
	kssl_bounce_release(e, batch);
	kssl_session_tell(e, batch);
	kssl_bounce_add(batch, KSSL_OP_DONE);
	kssl_start_finished(e, batch);
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
		if (!e->asked || e->handshaking)
			return;
		kssl_engine_event(e, KSSL_EVENT_REFUSED, false);
		kssl_start_refused(e, batch);
		kssl_bounce_release(e, batch);
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
	kssl_engine_event(e, KSSL_EVENT_REFUSED, !e->local);
	kssl_start_refused(e, batch);
	kssl_bounce_release(e, batch);
}

static void take_fatal(struct kssl_engine *e, const uint8_t *payload)
{
	struct kssl_batch none = { 0 };
	char text[sizeof(e->error.text)];

	/* For OpenSSL's state: a session that ended so is not resumed (RFC 5246 7.2.2). */
	kssl_bounce_feed(e, KSSL_TYPE_ALERT, payload, 2);
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
		kssl_bounce_add(batch, KSSL_OP_CONTINUE);
}

/* ---- inbound records ---- */

/**
 * kssl_bounce_begin() - a step of OpenSSL begins
 * @e: engine
 */
void kssl_bounce_begin(struct kssl_engine *e)
{
	memset(e->fresh, 0, sizeof(e->fresh));
	e->alert = KSSL_NO_ALERT;
}

/**
 * kssl_bounce_feed() - let OpenSSL read one record
 * @e: engine
 * @type: content type
 * @payload: plaintext
 * @len: bytes of it, at most KSSL_MAX_PAYLOAD
 *
 * Return: 0, or -1 if it did not like it.
 */
int kssl_bounce_feed(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len)
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
	if (type != KSSL_TYPE_HANDSHAKE || i != len) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_UNEXPECTED_MESSAGE,
				 "a handshake message after the peer had refused to renegotiate");
		return;
	}
	/* SSL 3.0 lets a client ignore it, and has no word for this (RFC 6101 5.6.1.1). */
	if (e->zeros + len >= 4 && !kssl_engine_is_ssl3(e)) {
		kssl_engine_event(e, KSSL_EVENT_REFUSED, true);
		add_warning(batch, SSL_AD_NO_RENEGOTIATION);
	}
	e->zeros = (e->zeros + len) % 4;
	kssl_bounce_add(batch, KSSL_OP_CONTINUE);
}

static bool has_come(const struct kssl_engine *e, unsigned int message)
{
	return e->fresh[0] & KSSL_SEEN(message);
}

/* What the messages just fed mean to the kernel's keys. */
static int follow(struct kssl_engine *e, uint8_t type, struct kssl_batch *batch)
{
	int ret = 0;

	if (type == KSSL_TYPE_CHANGE_CIPHER_SPEC)
		ret = change_key(e, false, batch);
	kssl_bounce_hold_if_hello(e, batch);
	if (!ret)
		ret = kssl_bounce_drain(e, batch);
	if (!ret && has_come(e, SSL3_MT_KEY_UPDATE))
		ret = kssl_update_take(e, batch);
	return ret;
}

/* What they mean beside that, in TLS 1.3. */
static void conclude_tls13(struct kssl_engine *e, const uint32_t *fresh, struct kssl_batch *batch)
{
	if (fresh[0] & KSSL_SEEN(SSL3_MT_NEWSESSION_TICKET)) {
		kssl_engine_keep_session(e);
		kssl_engine_event(e, KSSL_EVENT_TICKET, true);
	}
	if (e->server && (fresh[0] & KSSL_SEEN(SSL3_MT_FINISHED)))
		finish_authentication(e, batch);
	hold_if_partial(e, batch);
}

static void conclude_tls12(struct kssl_engine *e, struct kssl_batch *batch)
{
	if (is_finished(e)) {
		finish(e, batch);
	} else if (e->handshaking && !SSL_in_init(e->ssl)) {
		/* we refused it */
		kssl_start_refused(e, batch);
		kssl_bounce_release(e, batch);
	}
}

/*
 * In SSL 3.0 OpenSSL lets clients renegotiate whatever its options say, and there is no
 * warning that would refuse it (RFC 5746 4.5).
 */
static bool is_unwanted(const struct kssl_engine *e)
{
	uint64_t options = SSL_get_options(e->ssl);

	return e->server && kssl_engine_is_ssl3(e) && has_come(e, SSL3_MT_CLIENT_HELLO) && !e->asked &&
	       (!(options & SSL_OP_ALLOW_CLIENT_RENEGOTIATION) || (options & SSL_OP_NO_RENEGOTIATION));
}

/* May these messages be answered at all? */
static const char *check(struct kssl_engine *e)
{
	if (is_unwanted(e))
		return "the client renegotiates, which SSL 3.0 cannot refuse";
	if (!kssl_engine_is_tls13(e))
		return kssl_policy_check(e, is_finished(e));
	/* RFC 9113 9.2.3 */
	if (e->identity.http2 && has_come(e, SSL3_MT_CERTIFICATE_REQUEST))
		return "the server asked for a certificate after the handshake, which HTTP/2 forbids";
	return has_come(e, SSL3_MT_CERTIFICATE) ? kssl_policy_check_cert(e) : NULL;
}

/* A record that OpenSSL has to answer. */
static void take_handshake(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len,
			   struct kssl_batch *batch)
{
	size_t mark = batch->len;
	uint32_t fresh[2];
	const char *why;

	if (kssl_bounce_feed(e, type, payload, len)) {
		kssl_bounce_die(e, batch, mark);
		return;
	}
	if (has_come(e, SSL3_MT_CLIENT_HELLO))
		e->handshaking = true;
	why = check(e);
	if (why) {
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_HANDSHAKE_FAILURE, why);
		return;
	}
	memcpy(fresh, e->fresh, sizeof(fresh));
	if (follow(e, type, batch)) {
		kssl_bounce_die_inside(e, batch, mark);
		return;
	}
	if (kssl_engine_is_tls13(e))
		conclude_tls13(e, fresh, batch);
	else
		conclude_tls12(e, batch);
	kssl_bounce_add(batch, KSSL_OP_CONTINUE);
}

static bool is_legal(const struct kssl_engine *e, uint8_t type, size_t len)
{
	return len && len <= KSSL_MAX_PAYLOAD &&
	       (type != KSSL_TYPE_CHANGE_CIPHER_SPEC || !kssl_engine_is_tls13(e));
}

/**
 * kssl_engine_take_record() - a control record came
 * @e: engine after the hand-over
 * @head: header of the message that brought it: content type 20, 21 or 22, and epochs
 * @payload: plaintext
 * @len: bytes of it
 * @batch: (out) the answer; empty after a fatal alert of the peer
 */
void kssl_engine_take_record(struct kssl_engine *e, const struct kssl_msg *head,
			     const uint8_t *payload, size_t len, struct kssl_batch *batch)
{
	bool tls13 = kssl_engine_is_tls13(e);

	if (e->phase != KSSL_PHASE_OPEN)
		return;
	kssl_bounce_begin(e);
	if (tls13)
		kssl_update_note(e, head->epoch, head->value, batch);
	if (head->type == KSSL_TYPE_ALERT)
		take_alert(e, payload, len, batch);
	else if (e->mute && !tls13)
		/* After our close_notify no handshake begins or goes on. */
		kssl_bounce_add(batch, KSSL_OP_CONTINUE);
	else if (e->stuck)
		answer_stuck(e, head->type, payload, len, batch);
	else if (!is_legal(e, head->type, len))
		kssl_engine_fail(e, batch, EPROTO, SSL_AD_UNEXPECTED_MESSAGE,
				 "a record that is not legal after the handshake");
	else if (tls13 && kssl_update_catch_up(e))
		kssl_bounce_die_inside(e, batch, batch->len);
	else
		take_handshake(e, head->type, payload, len, batch);
	kssl_start_next(e, batch);
}
