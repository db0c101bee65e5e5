/* SPDX-License-Identifier: MIT */
/*
 * Keys from secrets, and records opened with them, by OpenSSL's EVP alone: nothing
 * here is shared with libkssl or with the module, so a mistake there is not made twice.
 */
#ifndef DECRYPT_H
#define DECRYPT_H

#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>

#define SSL30		0x0300
#define TLS11		0x0302
#define TLS12		0x0303
#define TLS13		0x0304

#define HEADER_LEN	5
#define SECRET_MAX	64
#define RANDOM_LEN	32

/* Longest fragments (RFC 5246 6.2.1 and 6.2.3, RFC 8446 5.1 and 5.2). */
#define PLAINTEXT_MAX	16384
#define CIPHERTEXT12_MAX (16384 + 2048)
#define CIPHERTEXT13_MAX (16384 + 256)

enum mode {
	GCM,
	CCM,
	CHACHA20_POLY1305,
	CBC,
	STREAM,		/* RC4 */
};

/**
 * struct suite - a cipher suite
 * @id: IANA number
 * @mode: how it protects a record
 * @cipher: OpenSSL's name
 * @key_len: length of the key
 * @tag_len: of the tag, or of the MAC
 * @mac: hash of the MAC, CBC and RC4 only
 * @hash: of the PRF or of HKDF; up to TLS 1.1 it is MD5 and SHA-1 together
 */
struct suite {
	uint16_t id;
	enum mode mode;
	const char *cipher;
	uint8_t key_len;
	uint8_t tag_len;
	const char *mac;
	const char *hash;
};

/* NULL if the suite is not known. */
const struct suite *suite_find(uint16_t id);

struct secret {
	uint8_t bytes[SECRET_MAX];
	size_t len;
};

/**
 * struct protection - that of the records of one direction under one key
 * @suite: NULL: none, records are in the clear
 * @version: protocol version
 * @etm: encrypt-then-MAC (RFC 7366)
 * @ctx: cipher with its key, of RC4 where it has come to; CCM takes the key with each record
 * @key: the key
 * @iv: fixed part of the nonce; TLS 1.0: last block of ciphertext
 * @mac_key: CBC and RC4 only
 * @seq: sequence number of the next record
 */
struct protection {
	const struct suite *suite;
	uint16_t version;
	int etm;
	EVP_CIPHER_CTX *ctx;
	EVP_CIPHER *cipher;
	uint8_t key[32];
	uint8_t iv[16];
	uint8_t mac_key[48];
	uint64_t seq;
};

/* Bytes of an explicit nonce or IV in each record: 0, 8 or 16. */
unsigned int protection_explicit_len(const struct protection *p);

/* Keys of a direction from a master secret (RFC 5246 6.3, RFC 6101 6.2.2). */
void protection_from_master(struct protection *p, const struct suite *suite, uint16_t version,
			    int etm, const struct secret *master, const uint8_t *client_random,
			    const uint8_t *server_random, int server_writes);

/* Keys from a traffic secret, and the secret after it (RFC 8446 7.3 and 7.2). */
void protection_from_secret(struct protection *p, const struct suite *suite,
			    const struct secret *secret);
void secret_update(const struct suite *suite, struct secret *secret);

/* Open a record. Length of what was in it, or -1 if it is not authentic as record @seq; -2: TLS
 * 1.3, nothing but padding. @out has room for all of it. @type: as the record says, then in TLS
 * 1.3 as what was in it says. Leaves @p->seq alone. */
int protection_open(const struct protection *p, uint64_t seq, const uint8_t *record, size_t len,
		    uint8_t *out, uint8_t *type);

/* On to the next record, after @record was opened. */
void protection_advance(struct protection *p, const uint8_t *record, size_t len);

/* Make one, for tests of these rules: length of it. AEAD suites but CCM. @nonce: the explicit one. */
int protection_seal(const struct protection *p, uint64_t seq, uint64_t nonce, uint8_t type,
		    const void *data, size_t len, uint8_t *record);

void protection_clear(struct protection *p);

#endif
