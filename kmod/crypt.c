// SPDX-License-Identifier: GPL-2.0
/*
 * The only caller of the Kernel Crypto API's ciphers.  One completion serves
 * transforms that finish at once and those that finish later.
 *
 * Asynchronous transforms are not masked out: on x86 the fast ones are flagged
 * so although they run at once in process context.
 */
#include <crypto/aead.h>
#include <crypto/skcipher.h>
#include <linux/module.h>
#include "record.h"

#define MAY	(CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP)

/* What crypto_alloc_*() says of an algorithm that is not there. */
static int alloc_error(const void *tfm)
{
	return PTR_ERR(tfm) == -ENOENT ? -ENOPKG : PTR_ERR(tfm);
}

/**
 * kssl_crypt_aead_setup() - allocate and key the AEAD of an epoch
 * @e: epoch with suite set
 * @key: cipher key, as long as the suite says
 *
 * Context: Process context, may sleep and load modules.
 * Return: 0, %-ENOPKG if this kernel lacks the algorithm, %-ENOMEM, or what the
 * driver says of the key. The caller calls kssl_crypt_aead_teardown() in any case.
 */
int kssl_crypt_aead_setup(struct kssl_epoch *e, const u8 *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	struct crypto_aead *aead = crypto_alloc_aead(cipher->alg, 0, 0);
	int ret;

	if (IS_ERR(aead))
		return alloc_error(aead);
	e->aead = aead;
	ret = crypto_aead_setkey(aead, key, cipher->key_len);
	if (!ret)
		ret = crypto_aead_setauthsize(aead, cipher->tag_len);
	if (ret)
		return ret;
	e->aead_req = aead_request_alloc(aead, GFP_KERNEL);
	return e->aead_req ? 0 : -ENOMEM;
}

/**
 * kssl_crypt_aead_teardown() - free what kssl_crypt_aead_setup() made
 * @e: epoch, possibly half set up
 */
void kssl_crypt_aead_teardown(struct kssl_epoch *e)
{
	aead_request_free(e->aead_req);
	crypto_free_aead(e->aead);
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
	struct aead_request *req = e->aead_req;
	DECLARE_CRYPTO_WAIT(wait);

	/* Before 6.3 cryptd leaves its child in the request. */
	aead_request_set_tfm(req, e->aead);
	aead_request_set_callback(req, MAY, crypto_req_done, &wait);
	aead_request_set_ad(req, e->aad_len);
	aead_request_set_crypt(req, src, dst, len, e->nonce);
	return crypto_wait_req(encrypt ? crypto_aead_encrypt(req) : crypto_aead_decrypt(req),
			       &wait);
}

/**
 * kssl_crypt_cbc_setup() - allocate and key the block cipher of an epoch
 * @e: epoch with suite set
 * @key: cipher key, as long as the suite says
 *
 * Context: Process context, may sleep and load modules.
 * Return: as kssl_crypt_aead_setup(); the caller calls kssl_crypt_cbc_teardown().
 */
int kssl_crypt_cbc_setup(struct kssl_epoch *e, const u8 *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	struct crypto_skcipher *cbc;
	int ret;

	if (!cipher->alg) {
		e->weak = kmalloc(sizeof(*e->weak), GFP_KERNEL);
		if (!e->weak)
			return -ENOMEM;
		kssl_rc2_set_key(e->weak, key, cipher->key_len, 8 * cipher->key_len);
		return 0;
	}
	cbc = crypto_alloc_skcipher(cipher->alg, 0, 0);
	if (IS_ERR(cbc))
		return alloc_error(cbc);
	e->cbc = cbc;
	ret = crypto_skcipher_setkey(cbc, key, cipher->key_len);
	if (ret)
		return ret;
	e->cbc_req = skcipher_request_alloc(cbc, GFP_KERNEL);
	return e->cbc_req ? 0 : -ENOMEM;
}

/**
 * kssl_crypt_cbc_teardown() - free what kssl_crypt_cbc_setup() made
 * @e: epoch, possibly half set up
 */
void kssl_crypt_cbc_teardown(struct kssl_epoch *e)
{
	kfree_sensitive(e->weak);
	skcipher_request_free(e->cbc_req);
	crypto_free_skcipher(e->cbc);
}

/**
 * kssl_crypt_cbc() - run the block cipher of an epoch and wait for it
 * @e: epoch; its nonce is the IV, and is spent
 * @encrypt: direction
 * @src: input
 * @dst: output; may be @src
 * @len: bytes, whole blocks
 *
 * Context: Process context. Caller serializes use of @e.
 * Return: 0 or the error of the driver.
 */
int kssl_crypt_cbc(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		   struct scatterlist *dst, unsigned int len)
{
	struct skcipher_request *req = e->cbc_req;
	DECLARE_CRYPTO_WAIT(wait);

	if (e->weak) {
		kssl_rc2_cbc(e->weak, encrypt, src, dst, len, e->nonce);
		return 0;
	}
	skcipher_request_set_callback(req, MAY, crypto_req_done, &wait);
	skcipher_request_set_crypt(req, src, dst, len, e->nonce);
	return crypto_wait_req(encrypt ? crypto_skcipher_encrypt(req) :
					 crypto_skcipher_decrypt(req), &wait);
}

static int find_out(const struct kssl_cipher *cipher)
{
	struct crypto_skcipher *cbc;
	struct crypto_aead *aead;

	if (!cipher->hash) {
		aead = crypto_alloc_aead(cipher->alg, 0, 0);
		if (IS_ERR(aead))
			return alloc_error(aead);
		crypto_free_aead(aead);
		return 0;
	}
	cbc = crypto_alloc_skcipher(cipher->alg, 0, 0);
	if (IS_ERR(cbc))
		return alloc_error(cbc);
	crypto_free_skcipher(cbc);
	return kssl_hash_get(cipher->hash);
}

/*
 * To find out that an algorithm is missing takes several runs of modprobe, so what
 * is known stays known until a module is loaded, which may bring what was missing.
 */
static struct known {
	const char *alg;
	const struct kssl_hash *hash;
	int ret;
	int loads;
} known[32];
static DEFINE_MUTEX(known_lock);
static atomic_t loads;

static int on_module(struct notifier_block *nb, unsigned long event, void *module)
{
	if (event == MODULE_STATE_LIVE)
		atomic_inc(&loads);
	return NOTIFY_DONE;
}

static struct notifier_block modules = { .notifier_call = on_module };

/* Where the answer for @cipher is or belongs; NULL: no room. */
static struct known *find_known(const struct kssl_cipher *cipher)
{
	struct known *k;

	lockdep_assert_held(&known_lock);
	for (k = known; k < known + ARRAY_SIZE(known); k++)
		if (!k->alg || (!strcmp(k->alg, cipher->alg) && k->hash == cipher->hash))
			return k;
	return NULL;
}

/**
 * kssl_crypt_has() - does this kernel have the algorithms?
 * @cipher: row of the cipher table
 *
 * Context: Process context, may sleep and load modules.
 * Return: 0, %-ENOPKG if not, or another error if that could not be found out.
 */
int kssl_crypt_has(const struct kssl_cipher *cipher)
{
	struct known *k;
	int ret, now;

	if (!cipher->alg)
		return kssl_hash_get(cipher->hash);
	mutex_lock(&known_lock);
	k = find_known(cipher);
	/* What is loaded on our account counts too: then it is found out twice. */
	now = atomic_read(&loads);
	if (k && k->alg && k->loads == now) {
		ret = k->ret;
	} else {
		ret = find_out(cipher);
		if (k && (!ret || ret == -ENOPKG))
			*k = (struct known) { cipher->alg, cipher->hash, ret, now };
	}
	mutex_unlock(&known_lock);
	return ret;
}

/**
 * kssl_crypt_init() - watch for modules
 *
 * Return: 0 or -errno.
 */
int __init kssl_crypt_init(void)
{
	return register_module_notifier(&modules);
}

/**
 * kssl_crypt_exit() - undo kssl_crypt_init()
 */
void kssl_crypt_exit(void)
{
	unregister_module_notifier(&modules);
}
