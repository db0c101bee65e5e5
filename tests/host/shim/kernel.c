// SPDX-License-Identifier: MIT
/* The part of the shim that is code: hashes and ciphers of OpenSSL behind the kernel's names. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <malloc.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>
#include "record.h"
#include "evp.h"

/* What the kernel would have crashed of, or a mistake in a test. */
void shim_assert(bool fact)
{
	if (!fact)
		abort();
}

void shim_zero(void *p, size_t len)
{
	explicit_bzero(p, len);
}

void shim_free_sensitive(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/* Not random at all, so that whatever a test finds happens again. */
void get_random_bytes(void *to, size_t len)
{
	static u32 state;
	u8 *at = to;

	while (len--) {
		state = state * 1664525 + 1013904223;
		*at++ = state >> 24;
	}
}

void sha1_update(struct sha1_ctx *ctx, const u8 *data, size_t len)
{
	SHA_CTX sha = {
		.h0 = ctx->state.h[0], .h1 = ctx->state.h[1], .h2 = ctx->state.h[2],
		.h3 = ctx->state.h[3], .h4 = ctx->state.h[4],
	};

	shim_assert(len % SHA_CBLOCK == 0);
	for (; len; len -= SHA_CBLOCK, data += SHA_CBLOCK)
		SHA1_Transform(&sha, data);
	ctx->state.h[0] = sha.h0;
	ctx->state.h[1] = sha.h1;
	ctx->state.h[2] = sha.h2;
	ctx->state.h[3] = sha.h3;
	ctx->state.h[4] = sha.h4;
}

void __sha256_update(struct __sha256_ctx *ctx, const u8 *data, size_t len)
{
	SHA256_CTX sha = {};

	shim_assert(len % SHA256_CBLOCK == 0);
	memcpy(sha.h, ctx->state.h, sizeof(sha.h));
	for (; len; len -= SHA256_CBLOCK, data += SHA256_CBLOCK)
		SHA256_Transform(&sha, data);
	memcpy(ctx->state.h, sha.h, sizeof(sha.h));
}

void __sha512_update(struct __sha512_ctx *ctx, const u8 *data, size_t len)
{
	SHA512_CTX sha = {};

	shim_assert(len % SHA512_CBLOCK == 0);
	memcpy(sha.h, ctx->state.h, sizeof(sha.h));
	for (; len; len -= SHA512_CBLOCK, data += SHA512_CBLOCK)
		SHA512_Transform(&sha, data);
	memcpy(ctx->state.h, sha.h, sizeof(sha.h));
}

void md5_update(struct md5_ctx *ctx, const u8 *data, size_t len)
{
	MD5_CTX md5 = {
		.A = ctx->state.h[0], .B = ctx->state.h[1], .C = ctx->state.h[2], .D = ctx->state.h[3],
	};

	shim_assert(len % MD5_CBLOCK == 0);
	for (; len; len -= MD5_CBLOCK, data += MD5_CBLOCK)
		MD5_Transform(&md5, data);
	ctx->state.h[0] = md5.A;
	ctx->state.h[1] = md5.B;
	ctx->state.h[2] = md5.C;
	ctx->state.h[3] = md5.D;
}

/* ---- in place of crypt.c ---- */

struct crypto_aead {
	const EVP_CIPHER *cipher;
	u8 key[KSSL_KEY_MAX];
};

struct crypto_skcipher {
	const EVP_CIPHER *cipher;
	u8 key[KSSL_KEY_MAX];
};

int kssl_crypt_aead_setup(struct kssl_epoch *e, const u8 *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	const EVP_CIPHER *found = evp_find(cipher);

	if (!found)
		return -ENOPKG;
	e->aead = malloc(sizeof(*e->aead));
	e->aead->cipher = found;
	memcpy(e->aead->key, key, cipher->key_len);
	return 0;
}

void kssl_crypt_aead_teardown(struct kssl_epoch *e)
{
	free(e->aead);
}

int kssl_crypt_aead(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		    struct scatterlist *dst, unsigned int len)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	unsigned int out_len = encrypt ? len + cipher->tag_len : len - cipher->tag_len;
	u8 *aad = malloc(e->aad_len), *in = malloc(len), *out = malloc(out_len);
	bool ok;

	/* CCM wants its length field's length before the nonce (RFC 3610 2.3). */
	shim_assert(e->nonce[0] == cipher->lead || !cipher->lead);
	scatterwalk_map_and_copy(aad, src, 0, e->aad_len, 0);
	scatterwalk_map_and_copy(in, src, e->aad_len, len, 0);
	ok = evp_aead(e->aead->cipher, encrypt, e->aead->key, e->nonce + !!cipher->lead, aad,
		      e->aad_len, in, len, out, cipher->tag_len);
	if (ok)
		scatterwalk_map_and_copy(out, dst, e->aad_len, out_len, 1);
	free(aad);
	free(in);
	free(out);
	return ok ? 0 : -EBADMSG;
}

int kssl_crypt_cbc_setup(struct kssl_epoch *e, const u8 *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	const EVP_CIPHER *found = evp_find(cipher);

	if (!found)
		return -ENOPKG;
	if (!cipher->alg) {
		e->weak = malloc(sizeof(*e->weak));
		kssl_rc2_set_key(e->weak, key, cipher->key_len, 8 * cipher->key_len);
		return 0;
	}
	e->cbc = malloc(sizeof(*e->cbc));
	e->cbc->cipher = found;
	memcpy(e->cbc->key, key, cipher->key_len);
	return 0;
}

void kssl_crypt_cbc_teardown(struct kssl_epoch *e)
{
	free(e->cbc);
	free(e->weak);
}

int kssl_crypt_cbc(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		   struct scatterlist *dst, unsigned int len)
{
	u8 *buf = malloc(len);

	scatterwalk_map_and_copy(buf, src, 0, len, 0);
#ifdef SHIM_MEMCHECK
	/* What the cipher does with secrets is its own business; those of the old ones are known for it. */
	VALGRIND_MAKE_MEM_DEFINED(buf, len);
#endif
	if (e->weak) {
		scatterwalk_map_and_copy(buf, dst, 0, len, 1);
		kssl_rc2_cbc(e->weak, encrypt, dst, dst, len, e->nonce);
		scatterwalk_map_and_copy(buf, dst, 0, len, 0);
	} else {
		evp_cbc(e->cbc->cipher, encrypt, e->cbc->key, e->nonce, buf, len);
	}
#ifdef SHIM_MEMCHECK
	/* What was inside is a secret from here on. */
	if (!encrypt)
		VALGRIND_MAKE_MEM_UNDEFINED(buf, len);
#endif
	scatterwalk_map_and_copy(buf, dst, 0, len, 1);
	free(buf);
	return 0;
}
