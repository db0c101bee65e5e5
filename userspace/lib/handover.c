// SPDX-License-Identifier: MIT
/*
 * The hand-over: derive the keys, prove them, and only then let the kernel see
 * them.  The proof is twofold: the handshake's own encrypted records are replayed
 * (which also yields sequence numbers and the next explicit nonce), and one record
 * each way runs between OpenSSL and the shim.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "engine_priv.h"

/* OpenSSL bounds a handshake to less (max_cert_list 100 KiB each way). */
#define KEPT_MAX	(512 * 1024)

#define TOO_LONG	"a record of the handshake is longer than was agreed on (RFC 8449, RFC 6066)"
#define WRONG_KEYS	"the derived keys do not open the handshake's own records"

static atomic_int corrupt_direction;

void kssl_engine_test_corrupt_key(int direction)
{
	atomic_store(&corrupt_direction, direction);
}

/* ---- records of the plain phase ---- */

/**
 * kssl_keep() - keep a record of the plain phase if it may be encrypted
 * @kept: records of its direction
 * @record: as on the wire
 * @len: length of it
 *
 * Up to TLS 1.2 those after the ChangeCipherSpec are, in TLS 1.3 those of type
 * application_data; a ChangeCipherSpec there means nothing (RFC 8446 D.4).
 *
 * Return: 0, -ENOMEM or -E2BIG.
 */
int kssl_keep(struct kssl_kept *kept, const uint8_t *record, size_t len)
{
	if (record[0] == KSSL_TYPE_CHANGE_CIPHER_SPEC) {
		kept->ccs = true;
		if (!kept->opaque)
			kept->len = 0;
		return 0;
	}
	if (record[0] == KSSL_TYPE_APPLICATION_DATA)
		kept->opaque = true;
	else if (!kept->ccs)
		return 0;
	if (kept->len + len > KEPT_MAX)
		return -E2BIG;
	if (kept->len + len > kept->size) {
		size_t size = 2 * (kept->len + len);
		uint8_t *buf = realloc(kept->buf, size);

		if (!buf)
			return -ENOMEM;
		kept->buf = buf;
		kept->size = size;
	}
	memcpy(kept->buf + kept->len, record, len);
	kept->len += len;
	return 0;
}

void kssl_kept_clear(struct kssl_kept *kept)
{
	free(kept->buf);
	memset(kept, 0, sizeof(*kept));
}

/* ---- replay ---- */

/* Up to TLS 1.2: every record since the ChangeCipherSpec opens under the new key. */
static int replay_tls12(const struct kssl_kept *kept, struct kssl_key *key)
{
	struct kssl_shim shim = { 0 };
	uint8_t payload[KSSL_RECORD_MAX], type;
	size_t pos, len;
	int ret = kssl_shim_set_key(&shim, key, 0);

	/* A Finished is always among them. */
	if (!ret && !kept->len)
		ret = -EBADMSG;
	for (pos = 0; ret >= 0 && pos < kept->len; pos += len) {
		len = kssl_record_len(kept->buf + pos, kept->len - pos);
		ret = len && len <= sizeof(payload) ?
		      kssl_shim_open(&shim, kept->buf + pos, len, payload, &type) : -EBADMSG;
	}
	key->seq = shim.seq;
	key->nonce = shim.nonce;
	memcpy(key->iv, shim.key.iv, sizeof(key->iv));
	kssl_shim_clear(&shim);
	OPENSSL_cleanse(payload, sizeof(payload));
	return ret < 0 ? ret : 0;
}

/* Content, type and padding are within what the kernel would send or take (RFC 8449 4). */
static bool is_within(const struct kssl_key *key, size_t record_len)
{
	const struct kssl_suite *suite = kssl_suite_find(key->suite, key->version);
	unsigned int most = key->max_payload ? key->max_payload : KSSL_MAX_PAYLOAD;

	return record_len <= KSSL_HEADER_LEN + most + 1 + suite->protection->tag_len;
}

/*
 * TLS 1.3: records open under the handshake key, and from some record on under
 * the application key (a server's tickets leave with the end of the handshake).
 * Early data of another server's ticket, which OpenSSL skipped, opens under
 * neither and comes first.  0, -EBADMSG, -EMSGSIZE or -EIO.
 */
static int replay_tls13(const struct kssl_kept *kept, const struct kssl_key *handshake,
			struct kssl_key *key, bool may_skip)
{
	struct kssl_shim early = { 0 }, late = { 0 };
	uint8_t payload[KSSL_RECORD_MAX], type;
	size_t pos, len;
	int ret = kssl_shim_set_key(&early, handshake, 0);

	if (!ret)
		ret = kssl_shim_set_key(&late, key, 0);
	for (pos = 0; ret >= 0 && pos < kept->len; pos += len) {
		const uint8_t *record = kept->buf + pos;

		len = kssl_record_len(record, kept->len - pos);
		if (!len || len > sizeof(payload)) {
			ret = -EBADMSG;
		} else if (record[0] == KSSL_TYPE_APPLICATION_DATA) {
			ret = -EBADMSG;
			if (!late.seq)
				ret = kssl_shim_open(&early, record, len, payload, &type);
			if (ret == -EBADMSG && early.seq)
				ret = kssl_shim_open(&late, record, len, payload, &type);
			if (ret >= 0 && !is_within(key, len))
				ret = -EMSGSIZE;
			if (ret == -EBADMSG && may_skip && !early.seq)
				ret = 0;
		}
	}
	if (ret >= 0 && !early.seq)
		ret = -EBADMSG;
	key->seq = late.seq;
	kssl_shim_clear(&early);
	kssl_shim_clear(&late);
	OPENSSL_cleanse(payload, sizeof(payload));
	return ret < 0 ? ret : 0;
}

/* ---- keys ---- */

const EVP_MD *kssl_keys_digest(const struct kssl_engine *e)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(e->ssl);

	return cipher ? SSL_CIPHER_get_handshake_digest(cipher) : NULL;
}

/**
 * kssl_keys_pending() - keys of the handshake that runs, TLS <= 1.2
 * @e: engine, at or after the first ChangeCipherSpec
 * @rx: (out) receiving key, sequence number 0
 * @tx: (out) sending key, likewise; its explicit nonce starts at 0, which is
 *	unique because only the kernel sends under it (RFC 5288 3), and no RC4 is spent
 *
 * Return: 0, -EOPNOTSUPP, -EIO.
 */
int kssl_keys_pending(struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx)
{
	const SSL_CIPHER *cipher = SSL_get_pending_cipher(e->ssl);
	const struct kssl_suite *suite;
	int ret;

	if (!cipher)
		cipher = SSL_get_current_cipher(e->ssl);
	if (!cipher)
		return -EIO;
	suite = kssl_suite_find(SSL_CIPHER_get_protocol_id(cipher), SSL_version(e->ssl));
	if (!suite)
		return -EOPNOTSUPP;
	ret = kssl_keys_of_session(e->ssl, suite, cipher, e->server ? rx : tx, e->server ? tx : rx);
	/* SSL 3.0 has no extensions but by RFC 5746. */
	if (kssl_suite_is_cbc(suite) && e->hello.etm && !kssl_engine_is_ssl3(e)) {
		rx->flags |= KSSL_KEY_ETM;
		tx->flags |= KSSL_KEY_ETM;
	}
	kssl_limit_keys(e, rx, tx);
	return ret;
}

static void corrupt(struct kssl_key *rx, struct kssl_key *tx)
{
	switch (atomic_exchange(&corrupt_direction, 0)) {
	case 1:
		tx->key[0] ^= 1;
		break;
	case 2:
		rx->key[0] ^= 1;
		break;
	}
}

static const char *keys_tls12(struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx)
{
	if (kssl_keys_pending(e, rx, tx))
		return "the keys could not be derived";
	corrupt(rx, tx);
	if (replay_tls12(&e->kept[0], rx) || replay_tls12(&e->kept[1], tx))
		return WRONG_KEYS;
	return NULL;
}

static const char *keys_tls13(struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(e->ssl);
	const struct kssl_suite *suite =
		cipher ? kssl_suite_find(SSL_CIPHER_get_protocol_id(cipher), KSSL_TLS13) : NULL;
	const EVP_MD *md = kssl_keys_digest(e);
	struct kssl_key early_rx = { 0 }, early_tx = { 0 };
	const char *why = NULL;
	int them = !e->server, us = e->server, ret;

	if (!suite)
		return "the cipher suite is not known";
	if (!e->secret[0].len || !e->secret[1].len)
		return "OpenSSL's key log told no traffic secrets: was the SSL_CTX's callback replaced?";
	if (kssl_keys_of_secret(suite, md, &e->handshake_secret[them], &early_rx) ||
	    kssl_keys_of_secret(suite, md, &e->handshake_secret[us], &early_tx) ||
	    kssl_keys_of_secret(suite, md, &e->secret[them], rx) ||
	    kssl_keys_of_secret(suite, md, &e->secret[us], tx))
		why = "the keys could not be derived";
	if (!why) {
		corrupt(rx, tx);
		kssl_limit_keys(e, rx, tx);
		ret = replay_tls13(&e->kept[0], &early_rx, rx, e->server);
		if (!ret)
			ret = replay_tls13(&e->kept[1], &early_tx, tx, false);
		if (ret)
			why = ret == -EMSGSIZE ? TOO_LONG : WRONG_KEYS;
	}
	OPENSSL_cleanse(&early_rx, sizeof(early_rx));
	OPENSSL_cleanse(&early_tx, sizeof(early_tx));
	return why;
}

/*
 * One byte each way between OpenSSL and the shim: shows that both have the same
 * keys and the same sequence numbers.  Nothing of it leaves the process.
 */
static bool prove(struct kssl_engine *e)
{
	uint8_t record[1 + KSSL_SHIM_OVERHEAD], payload[KSSL_RECORD_MAX], type, byte = 0;
	const uint8_t *p;
	char *data;
	size_t left, len;
	int n;

	if (SSL_write(e->ssl, &byte, 1) != 1)
		return false;
	left = BIO_get_mem_data(e->wbio, &data);
	for (p = (uint8_t *)data; left; p += len, left -= len) {
		len = kssl_record_len(p, left);
		if (!len || len > sizeof(payload) ||
		    kssl_shim_open(&e->write, p, len, payload, &type) < 0)
			return false;
	}
	n = kssl_shim_seal(&e->read, KSSL_TYPE_APPLICATION_DATA, &byte, 1, record);
	return n > 0 && BIO_write(e->rbio, record, n) == n && SSL_read(e->ssl, &byte, 1) == 1;
}

/* What must not be the case when OpenSSL's part of the records ends. */
static const char *check_ssl(struct kssl_engine *e)
{
	if (BIO_pending(e->rbio) || SSL_has_pending(e->ssl))
		return "OpenSSL left received bytes unread at the hand-over";
	return NULL;
}

static const char *set_shims(struct kssl_engine *e, const struct kssl_key *rx, const struct kssl_key *tx)
{
	if (kssl_shim_set_key(&e->read, rx, 1) || kssl_shim_set_key(&e->write, tx, 0))
		return "the record shim could not be set up";
	if (!prove(e))
		return WRONG_KEYS;
	if (kssl_engine_renew_bios(e))
		return "out of memory";
	return NULL;
}

/**
 * kssl_handover() - from the plain phase to the kernel's record layer
 * @e: engine whose first handshake is done; its last flight is in @batch already
 * @batch: (out) keys, and the word that data may flow
 *
 * Return: NULL, or the sentence why not; then @batch has no key.
 */
const char *kssl_handover(struct kssl_engine *e, struct kssl_batch *batch)
{
	struct kssl_key rx = { 0 }, tx = { 0 };
	const char *why = check_ssl(e);

	if (!why)
		why = kssl_engine_is_tls13(e) ? keys_tls13(e, &rx, &tx) : keys_tls12(e, &rx, &tx);
	if (!why)
		why = set_shims(e, &rx, &tx);
	if (!why) {
		kssl_batch_add_key(batch, KSSL_OP_TX_KEY, &tx);
		kssl_batch_add_key(batch, KSSL_OP_RX_KEY, &rx);
		kssl_batch_add(batch, KSSL_OP_ESTABLISHED, 0, NULL, 0);
		kssl_batch_add(batch, KSSL_OP_RELEASE, 0, NULL, 0);
		kssl_batch_add(batch, KSSL_OP_CONTINUE, 0, NULL, 0);
		kssl_session_tell(e, batch);
		kssl_batch_add(batch, KSSL_OP_DONE, 0, NULL, 0);
		e->phase = KSSL_PHASE_OPEN;
		kssl_update_first(e);
		kssl_policy_remember(e);
		kssl_engine_keep_session(e);
		if (e->identity.http2)	/* RFC 9113 9.2.1 */
			SSL_set_options(e->ssl, SSL_OP_NO_RENEGOTIATION);
	}
	OPENSSL_cleanse(&rx, sizeof(rx));
	OPENSSL_cleanse(&tx, sizeof(tx));
	OPENSSL_cleanse(e->handshake_secret, sizeof(e->handshake_secret));
	kssl_kept_clear(&e->kept[0]);
	kssl_kept_clear(&e->kept[1]);
	return why;
}
