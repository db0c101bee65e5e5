/* SPDX-License-Identifier: MIT */
/*
 * The reference's cipher suites and what protects their records, from the RFCs, on
 * OpenSSL's EVP.  Where EVP lacks a mode for a block cipher, the mode is here.
 */
#ifndef CIPHER_H
#define CIPHER_H

#include <stddef.h>
#include <stdint.h>

enum mode { GCM, CCM, CHACHA, CBC, STREAM };

/**
 * struct protection - what protects records; several suites share one
 * @cipher: name of the cipher, lower case
 * @mode: how it is used
 * @key_len: its key
 * @tag_len: tag, or MAC
 * @hash: of the MAC, NULL for an AEAD
 */
struct protection {
	const char *cipher;
	enum mode mode;
	uint8_t key_len;
	uint8_t tag_len;
	const char *hash;
};

/**
 * suite_at() - the table of suites; the first of each version is AES_128_GCM
 * @i: row
 * @id: (out) IANA number
 * @version: (out) as on the wire
 *
 * Return: its protection, NULL behind the last row.
 */
const struct protection *suite_at(unsigned int i, uint16_t *id, uint16_t *version);
const struct protection *protection_of(uint16_t id, uint16_t version);
/* Octets of a block of the cipher. */
size_t block_of(const struct protection *p);
/* Octets of IV or salt that come with its key. */
size_t iv_len_of(const struct protection *p, uint16_t version);
/* Is it older than TLS 1.2, or what only that has kept?  Such have a program of their own. */
int is_old(const struct protection *p, uint16_t version);
/* Does it take the module's parameter "legacy"? */
int is_locked(uint16_t id, uint16_t version);

/* Encrypt or decrypt @len bytes in place, with the tag in @tag. 0 if not authentic. */
int aead(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	 const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag);
/* Whole blocks, in place. */
void cbc(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *iv,
	 uint8_t *data, size_t len);
/* RC4, @spent octets of its key stream into it, in place. */
void stream(const struct protection *p, const uint8_t *key, size_t spent, uint8_t *data, size_t len);
/* The hash of a protection, as it is. */
void digest(const struct protection *p, const uint8_t *data, size_t len, uint8_t *to);
/* Key and MAC are as long as the protection says. */
void hmac(const struct protection *p, const uint8_t *key, const uint8_t *data, size_t len,
	  uint8_t *mac);

/* GCM (NIST SP 800-38D) and CCM (RFC 3610) over any block cipher of 128 bits. */
int own_gcm(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	    const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag);
int own_ccm(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	    size_t nonce_len, const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len,
	    uint8_t *tag);

#endif
