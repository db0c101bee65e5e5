// SPDX-License-Identifier: GPL-2.0
/*
 * Key epochs: from the struct of the user ABI to a keyed transform.
 */
#include <linux/slab.h>
#include "record.h"

static int check_key(const struct kssl_key *key, const struct kssl_suite *suite)
{
	/* Encrypt-then-MAC needs a MAC (RFC 7366 3). */
	if (key->reserved || key->flags & ~(suite->cipher->hash ? KSSL_KEY_ETM : 0))
		return -EINVAL;
	if (key->key_len != suite->cipher->key_len ||
	    key->iv_len != kssl_suite_iv_len(suite) ||
	    key->mac_key_len != kssl_suite_mac_key_len(suite))
		return -EINVAL;
	/* The last number may not be used, lest the next one wrap (RFC 5246 6.1). */
	return key->seq == U64_MAX ? -EINVAL : 0;
}

/**
 * kssl_epoch_new() - make an epoch from a key
 * @key: key as it came from the user; the caller zeroizes it
 *
 * Context: Process context, may sleep.
 * Return: the epoch with one reference, or
 * * %-EOPNOTSUPP - version or suite not known
 * * %-EINVAL - lengths or flags do not fit the suite
 * * %-ENOPKG - this kernel lacks the algorithm
 * * %-ENOMEM
 */
struct kssl_epoch *kssl_epoch_new(const struct kssl_key *key)
{
	const struct kssl_suite *suite = kssl_suite_find(key->suite, key->version);
	struct kssl_epoch *e;
	int ret;

	if (!suite)
		return ERR_PTR(-EOPNOTSUPP);
	ret = check_key(key, suite);
	if (ret)
		return ERR_PTR(ret);
	e = kzalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return ERR_PTR(-ENOMEM);

	refcount_set(&e->ref, 1);
	e->suite = suite;
	e->ver = kssl_version_find(suite->version);
	e->flags = key->flags;
	ret = suite->cipher->fmt->setup(e, key);
	if (ret) {
		kssl_epoch_put(e);
		return ERR_PTR(ret);
	}
	return e;
}

/**
 * kssl_epoch_is_mte() - is it MAC-then-encrypt?
 * @e: epoch
 */
bool kssl_epoch_is_mte(const struct kssl_epoch *e)
{
	return e->suite->cipher->hash && !(e->flags & KSSL_KEY_ETM);
}

/**
 * kssl_epoch_put() - drop a reference; the last one zeroizes and frees
 * @e: epoch or NULL
 */
void kssl_epoch_put(struct kssl_epoch *e)
{
	if (!e || !refcount_dec_and_test(&e->ref))
		return;
	e->suite->cipher->fmt->teardown(e);
	kfree_sensitive(e);
}
