// SPDX-License-Identifier: GPL-2.0
/*
 * The only caller of the Kernel Crypto API's ciphers.  One completion serves
 * transforms that finish at once and those that finish later.
 */
#include <crypto/aead.h>
#include "kssl.h"

/**
 * kssl_crypt_setup() - allocate and key the transform of an epoch
 * @e: epoch with suite set
 * @key: cipher key
 * @key_len: its length
 *
 * Asynchronous transforms are not masked out: on x86 the fast ones are flagged
 * so although they run at once in process context.
 *
 * Context: Process context, may sleep and load modules.
 * Return: 0, %-ENOPKG if this kernel lacks the algorithm, %-ENOMEM, or what the
 * driver says of the key. The caller calls kssl_crypt_teardown() in any case.
 */
int kssl_crypt_setup(struct kssl_epoch *e, const u8 *key, unsigned int key_len)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	struct crypto_aead *aead;
	int ret;

	aead = crypto_alloc_aead(cipher->alg, 0, 0);
	if (IS_ERR(aead))
		return PTR_ERR(aead) == -ENOENT ? -ENOPKG : PTR_ERR(aead);
	e->aead = aead;

	ret = crypto_aead_setkey(aead, key, key_len);
	if (!ret)
		ret = crypto_aead_setauthsize(aead, cipher->tag_len);
	if (ret)
		return ret;

	e->req = aead_request_alloc(aead, GFP_KERNEL);
	return e->req ? 0 : -ENOMEM;
}

/**
 * kssl_crypt_teardown() - free what kssl_crypt_setup() made
 * @e: epoch, possibly half set up
 */
void kssl_crypt_teardown(struct kssl_epoch *e)
{
	aead_request_free(e->req);
	crypto_free_aead(e->aead);
}

/**
 * kssl_crypt_has() - does this kernel have the algorithm?
 * @cipher: row of the cipher table
 *
 * Context: Process context, may sleep and load modules.
 */
bool kssl_crypt_has(const struct kssl_cipher *cipher)
{
	struct crypto_aead *aead = crypto_alloc_aead(cipher->alg, 0, 0);

	if (IS_ERR(aead))
		return false;
	crypto_free_aead(aead);
	return true;
}

/**
 * kssl_crypt_aead() - run the AEAD of an epoch and wait for it
 * @e: epoch; its nonce and aad are set
 * @encrypt: direction
 * @src: additional data, then input
 * @dst: additional data, then output; may be @src
 * @len: bytes of input behind the additional data, tag included when decrypting
 *
 * Context: Process context. Caller serializes use of @e.
 * Return: 0, %-EBADMSG if not authentic, or the error of the driver.
 */
int kssl_crypt_aead(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		    struct scatterlist *dst, unsigned int len)
{
	DECLARE_CRYPTO_WAIT(wait);

	aead_request_set_callback(e->req, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP,
				  crypto_req_done, &wait);
	aead_request_set_ad(e->req, e->aad_len);
	aead_request_set_crypt(e->req, src, dst, len, e->nonce);
	return crypto_wait_req(encrypt ? crypto_aead_encrypt(e->req) :
					 crypto_aead_decrypt(e->req), &wait);
}
