/* SPDX-License-Identifier: MIT */
/*
 * A record state in user space.  Two uses: replay of the handshake's own records
 * before the hand-over, and the frozen shim between OpenSSL and the kernel.
 *
 * The shim and the kernel hold the same keys and number their records each on
 * its own, so a nonce meets two plaintexts.  That is harmless only because what
 * the shim seals or opens never leaves the process: do not log, dump or send it.
 */
#ifndef KSSL_SHIM_H
#define KSSL_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>
#include "keys.h"

/* Header, IV, the longest MAC, and padding of up to one block; an AEAD needs less. */
#define KSSL_SHIM_OVERHEAD	(5 + 16 + 48 + 16)
#define KSSL_HEADER_LEN		5
/* Longest record (RFC 5246 6.2.3). */
#define KSSL_RECORD_MAX		(KSSL_HEADER_LEN + KSSL_MAX_PAYLOAD + 2048)

/**
 * struct kssl_shim - one direction
 * @suite: suite and version, NULL while there is no key
 * @key: key; its IV is what the last record left, where records are chained
 * @seals: else it opens
 * @evp: keyed cipher, NULL while the shim rests
 * @mac: keyed HMAC, NULL for an AEAD, in SSL 3.0, or while the shim rests
 * @seq: sequence number of the next record
 * @nonce: AEAD: explicit nonce after that of the last record opened; RC4: octets of the key
 *	stream that are spent
 */
struct kssl_shim {
	const struct kssl_suite *suite;
	struct kssl_key key;
	bool seals;
	EVP_CIPHER_CTX *evp;
	EVP_MAC_CTX *mac;
	uint64_t seq;
	uint64_t nonce;
};

int kssl_shim_set_key(struct kssl_shim *shim, const struct kssl_key *key, int seal);
void kssl_shim_rest(struct kssl_shim *shim);
void kssl_shim_clear(struct kssl_shim *shim);
int kssl_shim_seal(struct kssl_shim *shim, uint8_t type, const uint8_t *payload, size_t len,
		   uint8_t *record);
int kssl_shim_open(struct kssl_shim *shim, const uint8_t *record, size_t len, uint8_t *payload,
		   uint8_t *type);

#endif
