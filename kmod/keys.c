// SPDX-License-Identifier: GPL-2.0
/*
 * Key epochs: from the struct of the user ABI to a keyed transform.
 */
#include <linux/slab.h>
#include "record.h"

static bool may_be_etm(const struct kssl_suite *suite)
{
	return suite->cipher->fmt == &kssl_fmt_cbc &&
	       !(kssl_version_find(suite->version)->flags & KSSL_V_SSL3);
}

static int check_key(const struct kssl_key *key, const struct kssl_suite *suite)
{
	/* Encrypt-then-MAC is for block ciphers, and SSL 3.0 has no extensions (RFC 7366 3). */
	if (key->reserved || key->flags & ~(may_be_etm(suite) ? KSSL_KEY_ETM : 0))
		return -EINVAL;
	if (key->key_len != suite->cipher->key_len ||
	    key->iv_len != kssl_suite_iv_len(suite) ||
	    key->mac_key_len != kssl_suite_mac_key_len(suite))
		return -EINVAL;
	if (key->reserved2 || key->reserved3 || key->max_payload > KSSL_MAX_PAYLOAD ||
	    (key->max_payload && key->max_payload < KSSL_PAYLOAD_MIN))
		return -EINVAL;
	/* RC4 has to be run up to there. */
	if (suite->cipher->fmt == &kssl_fmt_stream && key->nonce > KSSL_RC4_SPENT_MAX)
		return -EINVAL;
	/* The last number may not be used, lest the next one wrap (RFC 5246 6.1). */
	return key->seq == U64_MAX ? -EINVAL : 0;
}

static int check_secret(const struct kssl_key *key, const struct kssl_suite *suite)
{
	if (!key->secret_len)
		return 0;
	if (!(kssl_version_find(suite->version)->flags & KSSL_V_REKEY_BY_MESSAGE))
		return -EINVAL;
	if (!suite->kdf)
		return -EOPNOTSUPP;
	return key->secret_len == suite->kdf->digest_len ? 0 : -EINVAL;
}

/* Where the hash is missing the helper does what the secret is for. */
static int keep_secret(struct kssl_epoch *e, const struct kssl_key *key)
{
	int ret = key->secret_len ? kssl_hash_get(e->suite->kdf) : 0;

	if (!key->secret_len || ret)
		return ret == -ENOMEM ? ret : 0;
	e->secret_len = key->secret_len;
	memcpy(e->secret, key->secret, key->secret_len);
	return 0;
}

/**
 * kssl_epoch_new() - make an epoch from a key
 * @key: key as it came from the user; the caller zeroizes it
 *
 * Context: Process context, may sleep.
 * Return: the epoch with one reference, or
 * * %-EOPNOTSUPP - version or suite not known, or no secret for the suite
 * * %-EPERM - they are locked, see kssl_suite_is_locked()
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
	ret = kssl_suite_is_locked(suite) ? -EPERM : check_key(key, suite);
	if (!ret)
		ret = check_secret(key, suite);
	if (ret)
		return ERR_PTR(ret);
	e = kzalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return ERR_PTR(-ENOMEM);

	refcount_set(&e->ref, 1);
	e->suite = suite;
	e->ver = kssl_version_find(suite->version);
	e->flags = key->flags;
	e->max_payload = key->max_payload ?: KSSL_MAX_PAYLOAD;
	ret = suite->cipher->fmt->setup(e, key);
	if (!ret)
		ret = keep_secret(e, key);
	if (ret) {
		kssl_epoch_put(e);
		return ERR_PTR(ret);
	}
	return e;
}

/*
 * HKDF-Expand-Label(secret, label, "", len) of RFC 8446 7.1.  Nothing of ours is longer
 * than a digest, so HKDF-Expand (RFC 5869 2.3) is one HMAC.
 */
static int expand_label(const struct kssl_epoch *e, const u8 *secret, const char *label, u8 *out,
			unsigned int len)
{
	const u8 head[3] = { len >> 8, len, 6 + strlen(label) };
	u8 digest[KSSL_DIGEST_MAX];
	struct kssl_mac_run run;
	struct kssl_mac mac;
	int ret;

	ret = kssl_mac_setup(&mac, e->suite->kdf, secret, e->secret_len);
	if (!ret) {
		kssl_mac_begin(&run, &mac);
		kssl_mac_update(&run, head, sizeof(head));
		kssl_mac_update(&run, (const u8 *)"tls13 ", 6);
		kssl_mac_update(&run, (const u8 *)label, strlen(label));
		kssl_mac_update(&run, (const u8 *)"\0\1", 2);	/* no context; block 1 */
		ret = kssl_mac_final(&run, digest);
	}
	if (!ret)
		memcpy(out, digest, len);
	memzero_explicit(digest, sizeof(digest));
	memzero_explicit(&mac, sizeof(mac));
	return ret;
}

/**
 * kssl_epoch_next() - the epoch that a KeyUpdate leads to (RFC 8446 7.2, 7.3)
 * @e: epoch of TLS 1.3 with a secret
 *
 * Context: Process context, may sleep.
 * Return: the epoch with one reference, %-ENOMEM, or the error of the hash.
 */
struct kssl_epoch *kssl_epoch_next(const struct kssl_epoch *e)
{
	struct kssl_epoch *next;
	struct kssl_key key = {
		.version = e->suite->version,
		.suite = e->suite->id,
		.key_len = e->suite->cipher->key_len,
		.iv_len = kssl_suite_iv_len(e->suite),
		.secret_len = e->secret_len,
		.max_payload = e->max_payload,
	};
	int ret;

	ret = expand_label(e, e->secret, "traffic upd", key.secret, key.secret_len);
	if (!ret)
		ret = expand_label(e, key.secret, "key", key.key, key.key_len);
	if (!ret)
		ret = expand_label(e, key.secret, "iv", key.iv, key.iv_len);
	next = ret ? ERR_PTR(ret) : kssl_epoch_new(&key);
	memzero_explicit(&key, sizeof(key));
	if (!IS_ERR(next))
		next->pad_to = e->pad_to;
	return next;
}

/**
 * kssl_epoch_set_padding() - pad records from now on
 * @e: sending epoch
 * @pad_to: struct kssl_policy.pad_to; ignored where records have no padding of their own
 *
 * Context: Caller holds tx.lock, or is the only one who knows @e.
 */
void kssl_epoch_set_padding(struct kssl_epoch *e, unsigned int pad_to)
{
	e->pad_to = (e->ver->flags & KSSL_V_INNER_TYPE) && pad_to > 1 ? pad_to : 0;
}

/**
 * kssl_epoch_save() - remember what the last record left to the next
 * @e: epoch; its use is serialized by the caller
 * @to: (out) for kssl_epoch_restore() and kfree_sensitive(); NULL where each record
 *	stands for itself
 *
 * Context: Process context, may sleep.
 * Return: 0 or %-ENOMEM.
 */
int kssl_epoch_save(const struct kssl_epoch *e, void **to)
{
	*to = e->residue_len ? kmemdup(e->residue, e->residue_len, GFP_KERNEL) : NULL;
	return e->residue_len && !*to ? -ENOMEM : 0;
}

/**
 * kssl_epoch_restore() - as if nothing had been sealed since
 * @e: epoch; its use is serialized by the caller
 * @from: what kssl_epoch_save() gave
 */
void kssl_epoch_restore(struct kssl_epoch *e, const void *from)
{
	if (from)
		memcpy(e->residue, from, e->residue_len);
}

/**
 * kssl_epoch_cost() - how much of the key's limit a record uses up
 * @e: epoch
 * @payload_len: bytes of content
 *
 * Return: 1, or blocks where the cipher's limit counts those.
 */
u64 kssl_epoch_cost(const struct kssl_epoch *e, unsigned int payload_len)
{
	const struct kssl_cipher *cipher = e->suite->cipher;

	if (!cipher->unit)
		return 1;
	return DIV_ROUND_UP(payload_len + cipher->explicit_len + cipher->tag_len, cipher->unit);
}

/**
 * kssl_epoch_is_mte() - is it MAC-then-encrypt?
 * @e: epoch
 */
bool kssl_epoch_is_mte(const struct kssl_epoch *e)
{
	return e->suite->cipher->fmt == &kssl_fmt_cbc && !(e->flags & KSSL_KEY_ETM);
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
	kfree_sensitive(e->residue);
	kfree_sensitive(e);
}
