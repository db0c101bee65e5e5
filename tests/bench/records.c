// SPDX-License-Identifier: MIT
/*
 * TLS records made and opened with EVP, under fixed keys: an implementation of
 * its own to feed receivers with and to judge senders by.
 *
 * TLS 1.2 (RFC 5246 6.2.3.3, RFC 5288 3):
 *	type, version, length | nonce (8 or none) | payload | tag
 *	associated data: sequence number (8), type, version, payload length
 * TLS 1.2 with CBC (RFC 5246 6.2.3.2, RFC 7366 3):
 *	type, version, length | IV (16) | payload, MAC, padding
 *	type, version, length | IV (16) | payload, padding | MAC
 *	MAC over the same pseudo-header and payload, or IV and ciphertext
 * TLS 1.3 (RFC 8446 5.2, 5.3):
 *	23, 0x0303, length | payload, type | tag
 *	associated data: the header; nonce: IV xor sequence number
 */
#include <stdlib.h>
#include <string.h>

#include <linux/kssl.h>
#include <linux/tls.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "onesided.h"

#define HEADER_LEN	5
#define PSEUDO_LEN	13
#define BLOCK		16

#define GCM(_name, _version, _id, _openssl, _bits)					\
	{ .name = _name, .version = _version, .id = _id, .openssl = _openssl,		\
	  .ktls_cipher = TLS_CIPHER_AES_GCM_##_bits, .cipher = "AES-" #_bits "-GCM",	\
	  .key_len = (_bits) / 8, .explicit_len = (_version) == 0x0303 ? 8 : 0, .tag_len = 16 }

#define CCM(_name, _version, _id, _openssl)						\
	{ .name = _name, .version = _version, .id = _id, .openssl = _openssl,		\
	  .ktls_cipher = TLS_CIPHER_AES_CCM_128, .cipher = "AES-128-CCM", .ccm = true,	\
	  .key_len = 16, .explicit_len = (_version) == 0x0303 ? 8 : 0, .tag_len = 16 }

#define CHACHA20(_name, _version, _id, _openssl)					\
	{ .name = _name, .version = _version, .id = _id, .openssl = _openssl,		\
	  .ktls_cipher = TLS_CIPHER_CHACHA20_POLY1305, .cipher = "ChaCha20-Poly1305",	\
	  .key_len = 32, .tag_len = 16 }

#define CBC(_name, _id, _openssl, _bits, _hash, _mac_len, _etm)				\
	{ .name = _name, .version = 0x0303, .id = _id, .openssl = _openssl,		\
	  .cipher = "AES-" #_bits "-CBC", .hash = _hash, .key_len = (_bits) / 8,	\
	  .explicit_len = BLOCK, .tag_len = _mac_len, .etm = _etm }

const struct suite suites[] = {
	GCM("1.2-aes128gcm", 0x0303, 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", 128),
	GCM("1.2-aes256gcm", 0x0303, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", 256),
	GCM("1.3-aes128gcm", 0x0304, 0x1301, "TLS_AES_128_GCM_SHA256", 128),
	GCM("1.3-aes256gcm", 0x0304, 0x1302, "TLS_AES_256_GCM_SHA384", 256),
	CHACHA20("1.2-chacha20", 0x0303, 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
	CHACHA20("1.3-chacha20", 0x0304, 0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
	CCM("1.2-aes128ccm", 0x0303, 0xc0ac, "ECDHE-ECDSA-AES128-CCM"),
	CCM("1.3-aes128ccm", 0x0304, 0x1304, "TLS_AES_128_CCM_SHA256"),
	CBC("1.2-aes128-sha-mte", 0xc009, "ECDHE-ECDSA-AES128-SHA", 128, "SHA1", 20, false),
	CBC("1.2-aes128-sha-etm", 0xc009, "ECDHE-ECDSA-AES128-SHA", 128, "SHA1", 20, true),
	CBC("1.2-aes128-sha256-mte", 0xc023, "ECDHE-ECDSA-AES128-SHA256", 128, "SHA256", 32, false),
	CBC("1.2-aes128-sha256-etm", 0xc023, "ECDHE-ECDSA-AES128-SHA256", 128, "SHA256", 32, true),
	CBC("1.2-aes256-sha384-mte", 0xc024, "ECDHE-ECDSA-AES256-SHA384", 256, "SHA384", 48, false),
	CBC("1.2-aes256-sha384-etm", 0xc024, "ECDHE-ECDSA-AES256-SHA384", 256, "SHA384", 48, true),
};

const size_t suite_count = sizeof(suites) / sizeof(suites[0]);

/* A suite at work on one stream. */
struct stream {
	const struct suite *suite;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	uint64_t seq;
};

/* The same on every run and in every mode. */
void fixed_key(unsigned char *key, size_t key_len, unsigned char iv[static IV_LEN])
{
	size_t i;

	for (i = 0; i < key_len; i++)
		key[i] = (unsigned char)(i * 11 + 3);
	for (i = 0; i < IV_LEN; i++)
		iv[i] = (unsigned char)(i * 7 + 5);
}

void fixed_mac_key(unsigned char *key, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		key[i] = (unsigned char)(i * 13 + 7);
}

static size_t padding_len(const struct suite *suite, size_t payload_len)
{
	return BLOCK - (payload_len + (suite->etm ? 0 : suite->tag_len)) % BLOCK;
}

/* Bytes of a record beside the payload. */
size_t record_overhead(const struct suite *suite, size_t payload_len)
{
	size_t len = HEADER_LEN + suite->explicit_len + suite->tag_len;

	if (suite->version == TLS1_3_VERSION)
		len++;
	return suite->hash ? len + padding_len(suite, payload_len) : len;
}

static void put_be16(unsigned char *to, size_t value)
{
	to[0] = (unsigned char)(value >> 8);
	to[1] = (unsigned char)value;
}

static void put_be64(unsigned char *to, uint64_t value)
{
	int i;

	for (i = 7; i >= 0; i--, value >>= 8)
		to[i] = (unsigned char)value;
}

/* What is authenticated before everything else. */
static size_t make_pseudo(const struct stream *s, const unsigned char *header, size_t len,
			  unsigned char pseudo[static PSEUDO_LEN])
{
	if (s->suite->version == TLS1_3_VERSION) {
		memcpy(pseudo, header, HEADER_LEN);
		return HEADER_LEN;
	}
	put_be64(pseudo, s->seq);
	memcpy(pseudo + 8, header, 3);
	put_be16(pseudo + 11, len);
	return PSEUDO_LEN;
}

/* AEAD */

/* @explicit is where the record carries its nonce, if it does. */
static void make_nonce(const struct stream *s, const unsigned char *explicit,
		       unsigned char nonce[static IV_LEN])
{
	size_t explicit_len = s->suite->explicit_len, i;
	unsigned char key[KEYS_MAX], wire_seq[8];

	fixed_key(key, 0, nonce);
	if (explicit_len) {
		memcpy(nonce + IV_LEN - explicit_len, explicit, explicit_len);
		return;
	}
	put_be64(wire_seq, s->seq);
	for (i = 0; i < sizeof(wire_seq); i++)
		nonce[IV_LEN - sizeof(wire_seq) + i] ^= wire_seq[i];
}

/* In place; @plain_len is what the pseudo-header tells, @len all that is enciphered. */
static int run_aead(struct stream *s, int encrypt, const unsigned char *header, size_t plain_len,
		    unsigned char *data, size_t len, unsigned char *tag)
{
	unsigned char nonce[IV_LEN], pseudo[PSEUDO_LEN];
	size_t pseudo_len = make_pseudo(s, header, plain_len, pseudo);
	int n, last, tag_len = (int)s->suite->tag_len;
	EVP_CIPHER_CTX *ctx = s->cipher;

	make_nonce(s, header + HEADER_LEN, nonce);
	return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, encrypt) &&
	       (encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, tag_len, tag) > 0) &&
	       (!s->suite->ccm || EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)len)) &&
	       EVP_CipherUpdate(ctx, NULL, &n, pseudo, (int)pseudo_len) &&
	       EVP_CipherUpdate(ctx, data, &n, data, (int)len) &&
	       EVP_CipherFinal_ex(ctx, data + n, &last) &&
	       (!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, tag_len, tag) > 0) ?
	       0 : -1;
}

static int seal_aead(struct stream *s, const unsigned char *payload, size_t len,
		     unsigned char *record)
{
	unsigned char *at = record + HEADER_LEN + s->suite->explicit_len;
	size_t inner = s->suite->version == TLS1_3_VERSION;

	if (s->suite->explicit_len)
		put_be64(record + HEADER_LEN, s->seq);
	memcpy(at, payload, len);
	if (inner)
		at[len] = KSSL_TYPE_APPLICATION_DATA;
	return run_aead(s, 1, record, len, at, len + inner, at + len + inner);
}

/* The content type, and what lies between @payload and @len; or -1. */
static int open_aead(struct stream *s, unsigned char *record, unsigned char *payload, size_t *len)
{
	*len -= s->suite->tag_len;
	if (run_aead(s, 0, record, *len, payload, *len, payload + *len))
		return -1;
	return s->suite->version == TLS1_3_VERSION ? payload[--*len] : record[0];
}

/* CBC */

static int run_cbc(struct stream *s, int encrypt, const unsigned char *iv, unsigned char *data,
		   size_t len)
{
	int n;

	return EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, iv, encrypt) &&
	       EVP_CipherUpdate(s->cipher, data, &n, data, (int)len) && n == (int)len ? 0 : -1;
}

static int run_mac(struct stream *s, const unsigned char *header, const unsigned char *data,
		   size_t len, unsigned char mac[static EVP_MAX_MD_SIZE])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(s->mac);
	unsigned char pseudo[PSEUDO_LEN];
	int ok;

	make_pseudo(s, header, len, pseudo);
	ok = ctx && EVP_MAC_update(ctx, pseudo, PSEUDO_LEN) && EVP_MAC_update(ctx, data, len) &&
	     EVP_MAC_final(ctx, mac, NULL, EVP_MAX_MD_SIZE);
	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int seal_cbc(struct stream *s, const unsigned char *payload, size_t len,
		    unsigned char *record)
{
	unsigned char *iv = record + HEADER_LEN, *at = iv + BLOCK, mac[EVP_MAX_MD_SIZE];
	size_t padding = padding_len(s->suite, len), mac_len = s->suite->tag_len;

	put_be64(iv, s->seq * 0x9e3779b97f4a7c15);
	put_be64(iv + 8, s->seq);
	memcpy(at, payload, len);
	if (!s->suite->etm) {
		if (run_mac(s, record, payload, len, mac))
			return -1;
		memcpy(at + len, mac, mac_len);
		len += mac_len;
	}
	memset(at + len, (int)padding - 1, padding);
	len += padding;
	if (run_cbc(s, 1, iv, at, len))
		return -1;
	if (s->suite->etm) {
		if (run_mac(s, record, iv, BLOCK + len, mac))
			return -1;
		memcpy(at + len, mac, mac_len);
	}
	return 0;
}

static int open_cbc(struct stream *s, unsigned char *record, unsigned char *payload, size_t *len)
{
	unsigned char *iv = record + HEADER_LEN, mac[EVP_MAX_MD_SIZE], padding;
	size_t mac_len = s->suite->tag_len, i;

	if (s->suite->etm) {
		*len -= mac_len;
		if (run_mac(s, record, iv, BLOCK + *len, mac) ||
		    memcmp(payload + *len, mac, mac_len))
			return -1;
	}
	if (!*len || *len % BLOCK || run_cbc(s, 0, iv, payload, *len))
		return -1;
	padding = payload[*len - 1];
	for (i = 0; i <= padding; i++)
		if (!*len || payload[--*len] != padding)
			return -1;
	if (s->suite->etm)
		return record[0];
	if (*len < mac_len)
		return -1;
	*len -= mac_len;
	if (run_mac(s, record, payload, *len, mac) || memcmp(payload + *len, mac, mac_len))
		return -1;
	return record[0];
}

/* Streams */

static int begin_mac(struct stream *s)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)s->suite->hash, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	unsigned char key[KEYS_MAX];

	s->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	fixed_mac_key(key, s->suite->tag_len);
	return s->mac && EVP_MAC_init(s->mac, key, s->suite->tag_len, params) ? 0 : -1;
}

static int begin(struct stream *s, const struct suite *suite, int encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
	unsigned char key[KEYS_MAX], iv[IV_LEN];
	int ok;

	memset(s, 0, sizeof(*s));
	s->suite = suite;
	s->cipher = EVP_CIPHER_CTX_new();
	fixed_key(key, suite->key_len, iv);
	ok = cipher && s->cipher && EVP_CipherInit_ex(s->cipher, cipher, NULL, NULL, NULL, encrypt);
	if (ok && suite->ccm)
		ok = EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_IVLEN, IV_LEN, NULL) > 0 &&
		     EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, (int)suite->tag_len,
					 NULL) > 0;
	ok = ok && EVP_CipherInit_ex(s->cipher, NULL, NULL, key, NULL, encrypt);
	if (ok && suite->hash)
		ok = EVP_CIPHER_CTX_set_padding(s->cipher, 0) && !begin_mac(s);
	EVP_CIPHER_free(cipher);
	return ok ? 0 : -1;
}

static void end(struct stream *s)
{
	EVP_CIPHER_CTX_free(s->cipher);
	EVP_MAC_CTX_free(s->mac);
}

/**
 * seal_records() - all records of one stream
 * @suite: how
 * @payload: @record_len bytes, the payload of every record
 * @record_len: at most RECORD_MAX
 * @bytes: payload in all, a multiple of @record_len
 * @data: (out) the records, to be freed
 * @len: (out) their length
 *
 * Return: 0, or -1 and nothing to free.
 */
int seal_records(const struct suite *suite, const unsigned char *payload, size_t record_len,
		 uint64_t bytes, unsigned char **data, size_t *len)
{
	size_t wire_len = record_len + record_overhead(suite, record_len);
	uint64_t count = bytes / record_len;
	struct stream s;
	int ret = begin(&s, suite, 1);

	*len = wire_len * count;
	*data = malloc(*len);
	if (!*data)
		ret = -1;
	for (; !ret && s.seq < count; s.seq++) {
		unsigned char *record = *data + s.seq * wire_len;

		record[0] = KSSL_TYPE_APPLICATION_DATA;
		put_be16(record + 1, 0x0303);
		put_be16(record + 3, wire_len - HEADER_LEN);
		ret = suite->hash ? seal_cbc(&s, payload, record_len, record) :
				    seal_aead(&s, payload, record_len, record);
	}
	end(&s);
	if (ret)
		free(*data);
	return ret;
}

/* Opens in place; gives the payload's place and length, and its type or -1. */
static int open_one(struct stream *s, unsigned char *record, size_t wire_len,
		    unsigned char **payload, size_t *len)
{
	size_t front = HEADER_LEN + s->suite->explicit_len;

	if (wire_len < front + s->suite->tag_len + 1)
		return -1;
	*payload = record + front;
	*len = wire_len - front;
	return s->suite->hash ? open_cbc(s, record, *payload, len) :
				open_aead(s, record, *payload, len);
}

/**
 * open_records() - the payload of a captured stream
 * @suite: how
 * @data: the records; overwritten
 * @len: their length
 * @payload: (out) where in @data the application data is, in one piece
 * @bytes: (out) its length
 *
 * A control record ends the stream: close_notify is not payload.
 *
 * Return: 0, or -1 if a record is not what it should be.
 */
int open_records(const struct suite *suite, unsigned char *data, size_t len,
		 unsigned char **payload, uint64_t *bytes)
{
	struct stream s;
	int type = 0, ret = begin(&s, suite, 0);
	size_t at = 0;

	*payload = data;
	*bytes = 0;
	for (; !ret && at + HEADER_LEN <= len; s.seq++) {
		size_t wire_len = HEADER_LEN + (size_t)(data[at + 3] << 8 | data[at + 4]), part_len;
		unsigned char *part;

		if (at + wire_len > len)
			break;
		type = open_one(&s, data + at, wire_len, &part, &part_len);
		if (type != KSSL_TYPE_APPLICATION_DATA)
			break;
		memmove(data + *bytes, part, part_len);
		*bytes += part_len;
		at += wire_len;
	}
	end(&s);
	return !ret && (at == len || type == KSSL_TYPE_ALERT) ? 0 : -1;
}
