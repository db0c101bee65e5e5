// SPDX-License-Identifier: MIT
/*
 * TLS records made and opened with EVP, under fixed keys: an implementation of
 * its own to feed receivers with and to judge senders by.
 *
 * TLS 1.2 (RFC 5246 6.2.3.3, RFC 5288 3):
 *	type, version, length | nonce (8) | payload | tag (16)
 *	associated data: sequence number (8), type, version, payload length
 * TLS 1.3 (RFC 8446 5.2, 5.3):
 *	23, 0x0303, length | payload, type | tag (16)
 *	associated data: the header; nonce: IV xor sequence number
 */
#include <stdlib.h>
#include <string.h>

#include <linux/kssl.h>
#include <linux/tls.h>

#include "onesided.h"

#define HEADER_LEN	5
#define NONCE_LEN	8
#define TAG_LEN		16

const struct suite suites[] = {
	{ "1.2-aes128gcm", 0x0303, 0xc02b, TLS_CIPHER_AES_GCM_128, "ECDHE-ECDSA-AES128-GCM-SHA256",
	  "AES-128-GCM", 16, true },
	{ "1.2-aes256gcm", 0x0303, 0xc02c, TLS_CIPHER_AES_GCM_256, "ECDHE-ECDSA-AES256-GCM-SHA384",
	  "AES-256-GCM", 32, true },
	{ "1.3-aes128gcm", 0x0304, 0x1301, TLS_CIPHER_AES_GCM_128, "TLS_AES_128_GCM_SHA256",
	  "AES-128-GCM", 16, false },
	{ "1.3-aes256gcm", 0x0304, 0x1302, TLS_CIPHER_AES_GCM_256, "TLS_AES_256_GCM_SHA384",
	  "AES-256-GCM", 32, false },
};

const size_t suite_count = sizeof(suites) / sizeof(suites[0]);

/* The same on every run and in every mode. */
void fixed_key(const struct suite *suite, unsigned char *key, unsigned char iv[static IV_LEN])
{
	size_t i;

	for (i = 0; i < suite->key_len; i++)
		key[i] = (unsigned char)(i * 11 + 3);
	for (i = 0; i < IV_LEN; i++)
		iv[i] = (unsigned char)(i * 7 + 5);
}

size_t record_overhead(const struct suite *suite)
{
	return HEADER_LEN + TAG_LEN + (suite->explicit_nonce ? NONCE_LEN : 1);
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

/* @explicit is where the record carries its nonce, TLS 1.2 only. */
static void make_nonce(const struct suite *suite, uint64_t seq, const unsigned char *explicit,
		       unsigned char nonce[static IV_LEN])
{
	unsigned char key[64], wire_seq[8];
	size_t i;

	fixed_key(suite, key, nonce);
	if (suite->explicit_nonce) {
		memcpy(nonce + IV_LEN - NONCE_LEN, explicit, NONCE_LEN);
		return;
	}
	put_be64(wire_seq, seq);
	for (i = 0; i < sizeof(wire_seq); i++)
		nonce[IV_LEN - sizeof(wire_seq) + i] ^= wire_seq[i];
}

static size_t make_aad(const struct suite *suite, uint64_t seq, const unsigned char *header,
		       size_t payload_len, unsigned char aad[static 13])
{
	if (!suite->explicit_nonce) {
		memcpy(aad, header, HEADER_LEN);
		return HEADER_LEN;
	}
	put_be64(aad, seq);
	memcpy(aad + 8, header, 3);
	put_be16(aad + 11, payload_len);
	return 13;
}

static EVP_CIPHER_CTX *new_cipher(const struct suite *suite, int encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suite->cipher, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char key[64], iv[IV_LEN];

	fixed_key(suite, key, iv);
	if (!cipher || !ctx || !EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt)) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher);
	return ctx;
}

static int seal_one(EVP_CIPHER_CTX *ctx, const struct suite *suite, uint64_t seq,
		    const unsigned char *payload, size_t len, unsigned char *record)
{
	unsigned char nonce[IV_LEN], aad[13], type = KSSL_TYPE_APPLICATION_DATA;
	unsigned char *at = record + HEADER_LEN;
	size_t aad_len;
	int n;

	record[0] = type;
	put_be16(record + 1, 0x0303);
	put_be16(record + 3, record_overhead(suite) - HEADER_LEN + len);
	if (suite->explicit_nonce) {
		put_be64(at, seq);
		at += NONCE_LEN;
	}
	make_nonce(suite, seq, record + HEADER_LEN, nonce);
	aad_len = make_aad(suite, seq, record, len, aad);
	if (!EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) ||
	    !EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) ||
	    !EVP_CipherUpdate(ctx, at, &n, payload, (int)len))
		return -1;
	at += n;
	if (!suite->explicit_nonce) {
		if (!EVP_CipherUpdate(ctx, at, &n, &type, 1))
			return -1;
		at += n;
	}
	if (!EVP_CipherFinal_ex(ctx, at, &n) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, at))
		return -1;
	return 0;
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
	size_t wire_len = record_len + record_overhead(suite);
	uint64_t seq, count = bytes / record_len;
	EVP_CIPHER_CTX *ctx = new_cipher(suite, 1);

	*len = wire_len * count;
	*data = malloc(*len);
	for (seq = 0; ctx && *data && seq < count; seq++)
		if (seal_one(ctx, suite, seq, payload, record_len, *data + seq * wire_len))
			break;
	EVP_CIPHER_CTX_free(ctx);
	if (ctx && *data && seq == count)
		return 0;
	free(*data);
	return -1;
}

/* Opens in place; gives the payload's place and length, or -1. */
static int open_one(EVP_CIPHER_CTX *ctx, const struct suite *suite, uint64_t seq,
		    unsigned char *record, size_t wire_len, unsigned char **payload, size_t *len)
{
	unsigned char nonce[IV_LEN], aad[13];
	unsigned char *tag = record + wire_len - TAG_LEN;
	size_t aad_len;
	int n, last;

	if (wire_len < record_overhead(suite))
		return -1;
	*payload = record + HEADER_LEN + (suite->explicit_nonce ? NONCE_LEN : 0);
	*len = (size_t)(tag - *payload);
	make_nonce(suite, seq, record + HEADER_LEN, nonce);
	aad_len = make_aad(suite, seq, record, *len, aad);
	if (!EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) ||
	    !EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) ||
	    !EVP_CipherUpdate(ctx, *payload, &n, *payload, (int)*len) ||
	    !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) ||
	    !EVP_CipherFinal_ex(ctx, *payload + n, &last))
		return -1;
	if (suite->explicit_nonce)
		return record[0];
	return (*payload)[--*len];
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
	EVP_CIPHER_CTX *ctx = new_cipher(suite, 0);
	uint64_t seq = 0;
	size_t at = 0;
	int type = 0;

	*payload = data;
	*bytes = 0;
	while (ctx && at + HEADER_LEN <= len) {
		size_t wire_len = HEADER_LEN + (size_t)(data[at + 3] << 8 | data[at + 4]), part_len;
		unsigned char *part;

		if (at + wire_len > len)
			break;
		type = open_one(ctx, suite, seq++, data + at, wire_len, &part, &part_len);
		if (type != KSSL_TYPE_APPLICATION_DATA)
			break;
		memmove(data + *bytes, part, part_len);
		*bytes += part_len;
		at += wire_len;
	}
	EVP_CIPHER_CTX_free(ctx);
	return ctx && (at == len || type == KSSL_TYPE_ALERT) ? 0 : -1;
}
