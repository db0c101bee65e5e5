// SPDX-License-Identifier: GPL-2.0
/*
 * For tests only: the ciphers of the record layer once more, in front of the real
 * ones, and failing or late on demand.
 *
 * Parameters, in /sys/module/kssl_faulty/parameters:
 *   what   call meant: 0 none, 1 making a transform, 2 setkey, 3 setauthsize,
 *          4 encrypt, 5 decrypt, 6 both
 *   how    0 it fails at once; 1 it says EINPROGRESS and completes later; 2 it
 *          says EBUSY, goes from backlog to EINPROGRESS, and completes later
 *   err    errno it ends with, 0: as the real one does
 *   nth    which of the calls meant from now on, 0: all of them
 *   hold   1: nothing that is late completes until this is 0 again
 *   hits   (read) calls that met their fate, since "what" was written
 *   held   (read) calls that wait for "hold"
 *   cryptd at load only: 1 puts a cryptd in front of everything here, so that
 *          every call is late, through the kernel's own queue
 */
#include <crypto/internal/aead.h>
#include <crypto/internal/skcipher.h>
#include <linux/module.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

enum { NOTHING, ALLOC, SETKEY, SETAUTHSIZE, ENCRYPT, DECRYPT, BOTH };
enum { FAIL, LATE, BACKLOG };

static DEFINE_SPINLOCK(fate_lock);
static DECLARE_WAIT_QUEUE_HEAD(gate);
static struct workqueue_struct *workqueue;
static unsigned int what, how, err, nth, hits, held;
static bool hold, cryptd;

/* ---- parameters ---- */

static int set_number(const char *text, const struct kernel_param *param)
{
	int ret;

	spin_lock_bh(&fate_lock);
	ret = param_set_uint(text, param);
	if (param->arg == &what)
		hits = 0;
	spin_unlock_bh(&fate_lock);
	return ret;
}

static int set_hold(const char *text, const struct kernel_param *param)
{
	int ret = param_set_bool(text, param);

	wake_up_all(&gate);
	return ret;
}

static const struct kernel_param_ops number = { .set = set_number, .get = param_get_uint };
static const struct kernel_param_ops hold_ops = { .set = set_hold, .get = param_get_bool };

module_param_cb(what, &number, &what, 0644);
module_param_cb(how, &number, &how, 0644);
module_param_cb(err, &number, &err, 0644);
module_param_cb(nth, &number, &nth, 0644);
module_param_cb(hold, &hold_ops, &hold, 0644);
module_param(hits, uint, 0444);
module_param(held, uint, 0444);
module_param(cryptd, bool, 0444);

/* Is this call one that is meant?  If so, how shall it end? */
static bool is_meant(unsigned int call, unsigned int *its_how, int *its_err)
{
	bool meant = false;

	spin_lock_bh(&fate_lock);
	if (what == call || (what == BOTH && (call == ENCRYPT || call == DECRYPT))) {
		meant = !nth;
		if (nth && !--nth) {
			meant = true;
			what = NOTHING;
		}
	}
	hits += meant;
	*its_how = how;
	*its_err = -(int)err;
	spin_unlock_bh(&fate_lock);
	return meant;
}

/* ---- what is late ---- */

/**
 * struct late - a request that completes later
 * @work: does it
 * @base: the request
 * @run: has it done by the real cipher
 * @encrypt: direction
 * @backlog: first it gets out of the backlog
 * @err: errno it ends with, or 0
 */
struct late {
	struct work_struct work;
	struct crypto_async_request *base;
	int (*run)(struct crypto_async_request *base, bool encrypt);
	bool encrypt;
	bool backlog;
	int err;
};

static void complete_late(struct work_struct *work)
{
	struct late *late = container_of(work, struct late, work);
	int ret = late->err;

	wait_event_idle(gate, !READ_ONCE(hold));
	spin_lock_bh(&fate_lock);
	held--;
	spin_unlock_bh(&fate_lock);

	if (late->backlog) {
		local_bh_disable();
		crypto_request_complete(late->base, -EINPROGRESS);
		local_bh_enable();
	}
	if (!ret)
		ret = late->run(late->base, late->encrypt);
	local_bh_disable();
	crypto_request_complete(late->base, ret);
	local_bh_enable();
}

static int crypt(struct late *late, struct crypto_async_request *base, bool encrypt,
		 int (*run)(struct crypto_async_request *base, bool encrypt))
{
	unsigned int its_how;
	int its_err;

	if (!is_meant(encrypt ? ENCRYPT : DECRYPT, &its_how, &its_err))
		return run(base, encrypt);
	if (its_how == FAIL)
		return its_err ? its_err : run(base, encrypt);

	late->base = base;
	late->run = run;
	late->encrypt = encrypt;
	late->err = its_err;
	late->backlog = its_how == BACKLOG;
	spin_lock_bh(&fate_lock);
	held++;
	spin_unlock_bh(&fate_lock);
	INIT_WORK(&late->work, complete_late);
	queue_work(workqueue, &late->work);
	return its_how == BACKLOG ? -EBUSY : -EINPROGRESS;
}

/* The error that a call other than encrypt and decrypt shall have, or 0. */
static int error_of(unsigned int call)
{
	unsigned int its_how;
	int its_err;

	return is_meant(call, &its_how, &its_err) ? its_err : 0;
}

#define MAY	(CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP)

/* ---- AEADs ---- */

struct faulty_aead {
	struct aead_alg alg;
	char real[CRYPTO_MAX_ALG_NAME];
	bool registered;
};

struct faulty_aead_ctx {
	struct crypto_aead *real;
};

struct faulty_aead_request {
	struct late late;
	struct aead_request real;	/* last: it is longer */
};

static int run_aead(struct crypto_async_request *base, bool encrypt)
{
	struct aead_request *req = container_of(base, struct aead_request, base);
	struct faulty_aead_ctx *ctx = crypto_aead_ctx(crypto_aead_reqtfm(req));
	struct faulty_aead_request *r = aead_request_ctx(req);
	DECLARE_CRYPTO_WAIT(wait);

	aead_request_set_tfm(&r->real, ctx->real);
	aead_request_set_callback(&r->real, MAY, crypto_req_done, &wait);
	aead_request_set_crypt(&r->real, req->src, req->dst, req->cryptlen, req->iv);
	aead_request_set_ad(&r->real, req->assoclen);
	return crypto_wait_req(encrypt ? crypto_aead_encrypt(&r->real) :
					 crypto_aead_decrypt(&r->real), &wait);
}

static int faulty_aead_encrypt(struct aead_request *req)
{
	struct faulty_aead_request *r = aead_request_ctx(req);

	return crypt(&r->late, &req->base, true, run_aead);
}

static int faulty_aead_decrypt(struct aead_request *req)
{
	struct faulty_aead_request *r = aead_request_ctx(req);

	return crypt(&r->late, &req->base, false, run_aead);
}

static int faulty_aead_setkey(struct crypto_aead *aead, const u8 *key, unsigned int len)
{
	struct faulty_aead_ctx *ctx = crypto_aead_ctx(aead);
	int ret = error_of(SETKEY);

	return ret ? ret : crypto_aead_setkey(ctx->real, key, len);
}

static int faulty_aead_setauthsize(struct crypto_aead *aead, unsigned int len)
{
	struct faulty_aead_ctx *ctx = crypto_aead_ctx(aead);
	int ret = error_of(SETAUTHSIZE);

	return ret ? ret : crypto_aead_setauthsize(ctx->real, len);
}

static int faulty_aead_init(struct crypto_aead *aead)
{
	struct faulty_aead *f = container_of(crypto_aead_alg(aead), struct faulty_aead, alg);
	struct faulty_aead_ctx *ctx = crypto_aead_ctx(aead);
	int ret = error_of(ALLOC);

	if (ret)
		return ret;
	ctx->real = crypto_alloc_aead(f->real, 0, 0);
	if (IS_ERR(ctx->real))
		return PTR_ERR(ctx->real);
	crypto_aead_set_reqsize(aead, sizeof(struct faulty_aead_request) +
				crypto_aead_reqsize(ctx->real));
	return 0;
}

static void faulty_aead_exit(struct crypto_aead *aead)
{
	struct faulty_aead_ctx *ctx = crypto_aead_ctx(aead);

	crypto_free_aead(ctx->real);
}

#define BASE(name, driver, block, ctx) {					\
		.cra_name = name,						\
		.cra_driver_name = driver,					\
		.cra_priority = 10000,						\
		.cra_flags = CRYPTO_ALG_ASYNC,					\
		.cra_blocksize = block,						\
		.cra_ctxsize = sizeof(ctx),					\
		.cra_module = THIS_MODULE,					\
	}

#define AEAD(name, driver, iv) {						\
		.alg = {							\
			.base = BASE(name, driver, 1, struct faulty_aead_ctx),	\
			.ivsize = iv,						\
			.maxauthsize = 16,					\
			.init = faulty_aead_init,				\
			.exit = faulty_aead_exit,				\
			.setkey = faulty_aead_setkey,				\
			.setauthsize = faulty_aead_setauthsize,			\
			.encrypt = faulty_aead_encrypt,				\
			.decrypt = faulty_aead_decrypt,				\
		},								\
	}

static struct faulty_aead aeads[] = {
	AEAD("gcm(aes)", "faulty-gcm-aes", 12),
	AEAD("ccm(aes)", "faulty-ccm-aes", 16),
	AEAD("rfc7539(chacha20,poly1305)", "faulty-chacha20-poly1305", 12),
	AEAD("gcm(camellia)", "faulty-gcm-camellia", 12),
	AEAD("gcm(aria)", "faulty-gcm-aria", 12),
	AEAD("gcm(sm4)", "faulty-gcm-sm4", 12),
	AEAD("ccm(sm4)", "faulty-ccm-sm4", 16),
};

static int register_aead(struct faulty_aead *f)
{
	struct crypto_alg *base = &f->alg.base;
	struct crypto_aead *aead = crypto_alloc_aead(base->cra_name, 0, 0);
	char name[CRYPTO_MAX_ALG_NAME + sizeof("cryptd()")];
	int ret;

	/* This kernel has none: nothing to stand in front of. */
	if (IS_ERR(aead))
		return PTR_ERR(aead) == -ENOENT ? 0 : PTR_ERR(aead);
	strscpy(f->real, crypto_tfm_alg_driver_name(crypto_aead_tfm(aead)), sizeof(f->real));
	crypto_free_aead(aead);

	if (cryptd)
		base->cra_flags = 0;
	ret = crypto_register_aead(&f->alg);
	f->registered = !ret;
	if (ret || !cryptd)
		return ret;
	/* An instance of cryptd stays for as long as what it is made of. */
	snprintf(name, sizeof(name), "cryptd(%s)", base->cra_driver_name);
	aead = crypto_alloc_aead(name, 0, 0);
	if (IS_ERR(aead))
		return PTR_ERR(aead);
	crypto_free_aead(aead);
	return 0;
}

/* ---- block ciphers ---- */

struct faulty_cbc {
	struct skcipher_alg alg;
	char real[CRYPTO_MAX_ALG_NAME];
	bool registered;
};

struct faulty_cbc_ctx {
	struct crypto_skcipher *real;
};

struct faulty_cbc_request {
	struct late late;
	struct skcipher_request real;	/* last: it is longer */
};

static int run_cbc(struct crypto_async_request *base, bool encrypt)
{
	struct skcipher_request *req = container_of(base, struct skcipher_request, base);
	struct faulty_cbc_ctx *ctx = crypto_skcipher_ctx(crypto_skcipher_reqtfm(req));
	struct faulty_cbc_request *r = skcipher_request_ctx(req);
	DECLARE_CRYPTO_WAIT(wait);

	skcipher_request_set_tfm(&r->real, ctx->real);
	skcipher_request_set_callback(&r->real, MAY, crypto_req_done, &wait);
	skcipher_request_set_crypt(&r->real, req->src, req->dst, req->cryptlen, req->iv);
	return crypto_wait_req(encrypt ? crypto_skcipher_encrypt(&r->real) :
					 crypto_skcipher_decrypt(&r->real), &wait);
}

static int faulty_cbc_encrypt(struct skcipher_request *req)
{
	struct faulty_cbc_request *r = skcipher_request_ctx(req);

	return crypt(&r->late, &req->base, true, run_cbc);
}

static int faulty_cbc_decrypt(struct skcipher_request *req)
{
	struct faulty_cbc_request *r = skcipher_request_ctx(req);

	return crypt(&r->late, &req->base, false, run_cbc);
}

static int faulty_cbc_setkey(struct crypto_skcipher *cbc, const u8 *key, unsigned int len)
{
	struct faulty_cbc_ctx *ctx = crypto_skcipher_ctx(cbc);
	int ret = error_of(SETKEY);

	return ret ? ret : crypto_skcipher_setkey(ctx->real, key, len);
}

static int faulty_cbc_init(struct crypto_skcipher *cbc)
{
	struct faulty_cbc *f = container_of(crypto_skcipher_alg(cbc), struct faulty_cbc, alg);
	struct faulty_cbc_ctx *ctx = crypto_skcipher_ctx(cbc);
	int ret = error_of(ALLOC);

	if (ret)
		return ret;
	ctx->real = crypto_alloc_skcipher(f->real, 0, 0);
	if (IS_ERR(ctx->real))
		return PTR_ERR(ctx->real);
	crypto_skcipher_set_reqsize(cbc, sizeof(struct faulty_cbc_request) +
				    crypto_skcipher_reqsize(ctx->real));
	return 0;
}

static void faulty_cbc_exit(struct crypto_skcipher *cbc)
{
	struct faulty_cbc_ctx *ctx = crypto_skcipher_ctx(cbc);

	crypto_free_skcipher(ctx->real);
}

#define CBC(name, driver) {							\
		.alg = {							\
			.base = BASE(name, driver, 16, struct faulty_cbc_ctx),	\
			.min_keysize = 16,					\
			.max_keysize = 32,					\
			.ivsize = 16,						\
			.init = faulty_cbc_init,				\
			.exit = faulty_cbc_exit,				\
			.setkey = faulty_cbc_setkey,				\
			.encrypt = faulty_cbc_encrypt,				\
			.decrypt = faulty_cbc_decrypt,				\
		},								\
	}

static struct faulty_cbc cbcs[] = {
	CBC("cbc(aes)", "faulty-cbc-aes"),
	CBC("cbc(camellia)", "faulty-cbc-camellia"),
	CBC("cbc(aria)", "faulty-cbc-aria"),
};

static int register_cbc(struct faulty_cbc *f)
{
	struct crypto_alg *base = &f->alg.base;
	struct crypto_skcipher *cbc = crypto_alloc_skcipher(base->cra_name, 0, 0);
	char name[CRYPTO_MAX_ALG_NAME + sizeof("cryptd()")];
	int ret;

	if (IS_ERR(cbc))
		return PTR_ERR(cbc) == -ENOENT ? 0 : PTR_ERR(cbc);
	strscpy(f->real, crypto_tfm_alg_driver_name(crypto_skcipher_tfm(cbc)), sizeof(f->real));
	crypto_free_skcipher(cbc);

	if (cryptd)
		base->cra_flags = 0;
	ret = crypto_register_skcipher(&f->alg);
	f->registered = !ret;
	if (ret || !cryptd)
		return ret;
	snprintf(name, sizeof(name), "cryptd(%s)", base->cra_driver_name);
	cbc = crypto_alloc_skcipher(name, 0, 0);
	if (IS_ERR(cbc))
		return PTR_ERR(cbc);
	crypto_free_skcipher(cbc);
	return 0;
}

/* ---- the module ---- */

static void unregister(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(aeads); i++)
		if (aeads[i].registered)
			crypto_unregister_aead(&aeads[i].alg);
	for (i = 0; i < ARRAY_SIZE(cbcs); i++)
		if (cbcs[i].registered)
			crypto_unregister_skcipher(&cbcs[i].alg);
	destroy_workqueue(workqueue);
}

static int __init kssl_faulty_init(void)
{
	unsigned int i;
	int ret = 0;

	workqueue = alloc_workqueue("kssl_faulty", WQ_UNBOUND, 0);
	if (!workqueue)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(aeads) && !ret; i++)
		ret = register_aead(&aeads[i]);
	for (i = 0; i < ARRAY_SIZE(cbcs) && !ret; i++)
		ret = register_cbc(&cbcs[i]);
	if (ret)
		unregister();
	return ret;
}

static void __exit kssl_faulty_exit(void)
{
	unregister();
}

module_init(kssl_faulty_init);
module_exit(kssl_faulty_exit);

MODULE_DESCRIPTION("Ciphers that fail or are late on demand, to test kssl");
MODULE_LICENSE("GPL");
