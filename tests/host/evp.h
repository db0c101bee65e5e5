/* SPDX-License-Identifier: MIT */
/* OpenSSL's ciphers, one call each. */
#ifndef HOST_EVP_H
#define HOST_EVP_H

#include <openssl/evp.h>
#include "record.h"

/* OpenSSL's cipher for a row of the table, or NULL if it has none. */
const EVP_CIPHER *evp_find(const struct kssl_cipher *cipher);

/* @nonce: 12 octets.  @len: octets of @in, tag included when decrypting.  False if it is not authentic. */
bool evp_aead(const EVP_CIPHER *cipher, bool encrypt, const u8 *key, const u8 *nonce, const u8 *aad,
	      unsigned int aad_len, const u8 *in, unsigned int len, u8 *out, unsigned int tag_len);

/* In place, when @spent octets of the key stream are. */
void evp_rc4(const EVP_CIPHER *cipher, const u8 *key, unsigned int spent, u8 *buf, unsigned int len);

/* In place, whole blocks. */
void evp_cbc(const EVP_CIPHER *cipher, bool encrypt, const u8 *key, const u8 *iv, u8 *buf, unsigned int len);

#endif
