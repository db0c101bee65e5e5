// SPDX-License-Identifier: MIT
/*
 * KeyUpdates (RFC 8446 4.6.3): those that come as records, those we send, and those the
 * kernel did by itself.  Through the latter OpenSSL is led afterwards, and only when
 * there is something to feed it: post-handshake authentication depends on the traffic
 * secrets of the day.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "engine_priv.h"

/* How far OpenSSL may fall behind; to catch up must not take as long as a clock runs. */
#define LAG_MAX	1024

/* ---- keys ---- */

/**
 * kssl_update_first() - the first keys were handed over
 * @e: engine
 */
void kssl_update_first(struct kssl_engine *e)
{
	int i;

	for (i = KSSL_RECEIVING; i <= KSSL_SENDING; i++) {
		e->live[i] = 1;
		e->epoch[i] = 1;
	}
}

/* The next key of one direction, in the shim too (RFC 8446 7.2). */
static int advance(struct kssl_engine *e, bool sending, struct kssl_key *key)
{
	struct kssl_secret *secret = &e->secret[sending ? e->server : !e->server];
	const struct kssl_suite *suite = e->read.suite;
	unsigned int max_payload = (sending ? &e->write : &e->read)->key.max_payload;
	const EVP_MD *md = kssl_keys_digest(e);
	int ret = md ? kssl_keys_next_secret(md, secret) : -EIO;

	if (!ret)
		ret = kssl_keys_of_secret(suite, md, secret, key);
	/* It is the handshake's. */
	key->max_payload = max_payload;
	if (!ret && sending)
		ret = kssl_shim_set_key(&e->write, key, 0);
	else if (!ret)
		ret = kssl_shim_set_key(&e->read, key, 1);
	e->epoch[sending]++;
	return ret;
}

/**
 * kssl_update_key() - a KeyUpdate went by as a record: new key for that direction
 * @e: engine
 * @sending: which direction
 * @batch: (out) the key
 *
 * Return: 0 or -EIO.
 */
int kssl_update_key(struct kssl_engine *e, bool sending, struct kssl_batch *batch)
{
	struct kssl_key key = { 0 };
	int ret;

	/* A key that the kernel has left behind would be used a second time. */
	if (e->epoch[sending] != e->live[sending])
		return -EIO;
	ret = advance(e, sending, &key);
	if (!ret)
		kssl_batch_add_key(batch, sending ? KSSL_OP_TX_KEY : KSSL_OP_RX_KEY, &key);
	e->live[sending]++;
	OPENSSL_cleanse(&key, sizeof(key));
	return ret;
}

/* ---- those of the kernel ---- */

/**
 * kssl_update_note() - these are the kernel's epochs
 * @e: engine, TLS 1.3
 * @receiving: one of them
 * @sending: the other; older ones than known mean nothing
 * @batch: (out) how a request ended, if this is what it waited for
 */
void kssl_update_note(struct kssl_engine *e, uint32_t receiving, uint32_t sending,
		      struct kssl_batch *batch)
{
	uint32_t from = e->live[KSSL_RECEIVING];
	bool by_peer = !e->updates_asked;

	if (receiving > from) {
		e->answer_due |= by_peer;
		e->live[KSSL_RECEIVING] = receiving;
		e->updates_asked -= e->updates_asked < receiving - from ? e->updates_asked :
									  receiving - from;
		kssl_engine_key_event(e, by_peer, false, from);
		kssl_start_updated(e, batch);
	}
	from = e->live[KSSL_SENDING];
	if (sending > from) {
		e->live[KSSL_SENDING] = sending;
		kssl_engine_key_event(e, e->answer_due, true, from);
		e->answer_due = false;
	}
}

static int catch_up_received(struct kssl_engine *e)
{
	static const uint8_t message[] = { SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_NOT_REQUESTED };
	struct kssl_key key;
	int ret;

	kssl_bounce_begin(e);
	if (kssl_bounce_feed(e, KSSL_TYPE_HANDSHAKE, message, sizeof(message)) ||
	    !(e->fresh[0] & KSSL_SEEN(SSL3_MT_KEY_UPDATE)))
		return -EIO;
	ret = advance(e, false, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return ret;
}

static int catch_up_sent(struct kssl_engine *e)
{
	struct kssl_key key;
	int ret;

	if (!SSL_key_update(e->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) || SSL_do_handshake(e->ssl) != 1)
		return -EIO;
	/* The kernel has sent one of its own. */
	BIO_reset(e->wbio);
	ret = advance(e, true, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return ret;
}

/**
 * kssl_update_catch_up() - lead OpenSSL through what the kernel has done
 * @e: engine, TLS 1.3
 *
 * In the middle of a message of the peer OpenSSL sends nothing: then our direction has
 * to wait, which matters to a client only; see hold_if_partial() in bounce.c.
 *
 * Return: 0 or -EIO.
 */
int kssl_update_catch_up(struct kssl_engine *e)
{
	int ret = 0;

	while (!ret && e->epoch[KSSL_RECEIVING] != e->live[KSSL_RECEIVING])
		ret = catch_up_received(e);
	while (!ret && !SSL_in_init(e->ssl) && e->epoch[KSSL_SENDING] != e->live[KSSL_SENDING])
		ret = catch_up_sent(e);
	kssl_bounce_begin(e);
	return ret;
}

static bool is_far_behind(const struct kssl_engine *e)
{
	return e->live[KSSL_RECEIVING] - e->epoch[KSSL_RECEIVING] > LAG_MAX ||
	       e->live[KSSL_SENDING] - e->epoch[KSSL_SENDING] > LAG_MAX;
}

/**
 * kssl_engine_take_epochs() - the kernel did KeyUpdates
 * @e: engine
 * @receiving: its receiving epoch
 * @sending: its sending epoch
 * @batch: (out) how a request ended, if this is what it waited for
 */
void kssl_engine_take_epochs(struct kssl_engine *e, uint32_t receiving, uint32_t sending,
			     struct kssl_batch *batch)
{
	size_t mark = batch->len;

	if (e->phase != KSSL_PHASE_OPEN || !kssl_engine_is_tls13(e))
		return;
	kssl_update_note(e, receiving, sending, batch);
	if (is_far_behind(e) && kssl_update_catch_up(e))
		kssl_bounce_die_inside(e, batch, mark);
}

/* ---- those that are records ---- */

/* It ends no clock that runs for something else. */
static void count_one(struct kssl_engine *e, struct kssl_batch *batch)
{
	kssl_bounce_add(batch, KSSL_OP_DONE);
	if (e->awaited)
		kssl_bounce_add(batch, KSSL_OP_AWAIT);
}

/* OpenSSL would put its answer off to its next SSL_write, which never comes. */
static int send_update(struct kssl_engine *e, int kind, struct kssl_batch *batch)
{
	/* While the peer's message was incomplete, this could not be. */
	if (kssl_update_catch_up(e) || !SSL_key_update(e->ssl, kind) || SSL_do_handshake(e->ssl) != 1)
		return -1;
	return kssl_bounce_drain(e, batch);
}

/**
 * kssl_update_take() - OpenSSL was fed a KeyUpdate of the peer's
 * @e: engine
 * @batch: (out) the key, and the answer
 *
 * Return: 0, or less if the connection cannot go on.
 */
int kssl_update_take(struct kssl_engine *e, struct kssl_batch *batch)
{
	bool asked_by_us = e->updates_asked > 0;
	bool answer = SSL_get_key_update_type(e->ssl) != SSL_KEY_UPDATE_NONE;
	uint32_t from = e->live[KSSL_RECEIVING];
	int ret;

	if (asked_by_us)
		e->updates_asked--;
	ret = kssl_update_key(e, false, batch);
	if (!ret) {
		kssl_engine_key_event(e, !asked_by_us, false, from);
		kssl_start_updated(e, batch);
	}
	if (!ret && answer) {
		from = e->live[KSSL_SENDING];
		ret = send_update(e, SSL_KEY_UPDATE_NOT_REQUESTED, batch);
		if (!ret)
			kssl_engine_key_event(e, true, true, from);
	}
	if (!ret)
		count_one(e, batch);
	return ret;
}

/* Let the kernel send one. OpenSSL will be told when it has to know. */
static int have_sent(struct kssl_engine *e, bool request, struct kssl_batch *batch)
{
	const uint8_t octet = request;

	kssl_batch_add(batch, KSSL_OP_KEY_UPDATE, 0, &octet, sizeof(octet));
	e->live[KSSL_SENDING]++;
	return 0;
}

static int send_ours(struct kssl_engine *e, bool request, struct kssl_batch *batch)
{
	int ret = send_update(e, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED,
			      batch);

	count_one(e, batch);
	return ret;
}

/**
 * kssl_engine_key_update() - take a new sending key into use, TLS 1.3
 * @e: engine
 * @request: ask the peer for one too
 * @batch: (out) KeyUpdate and the key
 * @why: (out) on failure the sentence
 *
 * Return: 0; -EOPNOTSUPP, -ENOTCONN or -EALREADY with nothing changed; -EIO with the
 * connection failed.
 */
int kssl_engine_key_update(struct kssl_engine *e, bool request, struct kssl_batch *batch,
			   const char **why)
{
	uint32_t from = e->live[KSSL_SENDING];
	size_t mark = batch->len;

	*why = "the connection is not up";
	if (e->phase != KSSL_PHASE_OPEN)
		return -ENOTCONN;
	*why = "TLS 1.2 has no KeyUpdate; a renegotiation gives new keys";
	if (!kssl_engine_is_tls13(e))
		return -EOPNOTSUPP;
	*why = "a message of the peer is not complete yet";
	if (SSL_in_init(e->ssl) && !(e->kernel_updates && e->server))
		return -EALREADY;
	kssl_bounce_begin(e);
	*why = e->error.text;
	if ((e->kernel_updates ? have_sent : send_ours)(e, request, batch)) {
		kssl_bounce_die_inside(e, batch, mark);
		return -EIO;
	}
	e->updates_asked += request;
	kssl_engine_key_event(e, false, true, from);
	return 0;
}
