/* SPDX-License-Identifier: MIT */
/*
 * Cipher suites as data, and the key schedules that lead to struct kssl_key.
 */
#ifndef KSSL_KEYS_H
#define KSSL_KEYS_H

#include <stdint.h>
#include <openssl/ssl.h>
#include <linux/kssl.h>

#define KSSL_SSL30	0x0300
#define KSSL_TLS10	0x0301
#define KSSL_TLS11	0x0302
#define KSSL_TLS12	0x0303
#define KSSL_TLS13	0x0304

/* Length of a TLS <= 1.2 master secret (RFC 5246 8.1) and of the two randoms. */
#define KSSL_MASTER_LEN	48
#define KSSL_RANDOM_LEN	32

/**
 * struct kssl_protection - a record protection; several suites share one
 * @evp: name of the cipher for EVP_CIPHER_fetch()
 * @hash: of the MAC beside a cipher in CBC mode or RC4; NULL for an AEAD
 * @key_len: cipher key
 * @salt_len: implicit part of the nonce in TLS 1.2
 * @explicit_len: part of the nonce that travels in each record in TLS 1.2; CBC: a block;
 *	RC4: none
 * @tag_len: authentication tag, or MAC
 * @ccm: EVP wants lengths announced beforehand
 */
struct kssl_protection {
	const char *evp;
	const char *hash;
	uint8_t key_len;
	uint8_t salt_len;
	uint8_t explicit_len;
	uint8_t tag_len;
	uint8_t ccm;
};

/**
 * struct kssl_suite - one cipher suite in one protocol version
 * @id: IANA number
 * @version: protocol version as on the wire
 * @name: OpenSSL's name
 * @protection: its record protection
 */
struct kssl_suite {
	uint16_t id;
	uint16_t version;
	const char *name;
	const struct kssl_protection *protection;
};

/**
 * struct kssl_secret - a traffic secret of TLS 1.3
 * @len: length, 0 if not known
 * @bytes: the secret
 */
struct kssl_secret {
	uint8_t len;
	uint8_t bytes[KSSL_SECRET_MAX];
};

/* suite.c */
const struct kssl_suite *kssl_suite_find(unsigned int id, unsigned int version);
const char *kssl_suite_name(unsigned int id);
int kssl_suite_is_cbc(const struct kssl_suite *suite);
int kssl_suite_is_chained(const struct kssl_suite *suite);
unsigned int kssl_suite_iv_len(const struct kssl_suite *suite);
unsigned int kssl_suite_explicit_len(const struct kssl_suite *suite);
unsigned int kssl_suite_mac_key_len(const struct kssl_suite *suite);
int kssl_suite_narrow(SSL *ssl, const struct kssl_suite_info *kernel, unsigned int count,
		      const char **why);

/* keys.c */
int kssl_keys_of_session(SSL *ssl, const struct kssl_suite *suite, const SSL_CIPHER *cipher,
			 struct kssl_key *client, struct kssl_key *server);
int kssl_keys_of_secret(const struct kssl_suite *suite, const EVP_MD *md,
			const struct kssl_secret *secret, struct kssl_key *key);
int kssl_keys_next_secret(const EVP_MD *md, struct kssl_secret *secret);

#endif
