// SPDX-License-Identifier: GPL-2.0
/*
 * The compression functions of the SHA family and MD5, bare: HMAC over a content whose
 * length is a secret (mac.c) needs to see the chaining value after each block.
 *
 * Two back ends.  From 7.x on the crypto library's contexts are public structs.
 * Before, whole blocks are fed to a shash and its state is exported; drivers agree
 * on the layout by custom only, so each is tried on a known answer first.
 */
#include <crypto/hash.h>
#include <crypto/md5.h>
#include <crypto/sha1.h>
#include <crypto/sha2.h>
#include "record.h"

/* FIPS 180-4 5.3 */
const struct kssl_hash kssl_sha1 = {
	.alg = "sha1", .index = 0, .block_len = 64, .word_len = 4, .words = 5, .digest_len = 20,
	.init = { SHA1_H0, SHA1_H1, SHA1_H2, SHA1_H3, SHA1_H4 },
};

const struct kssl_hash kssl_sha256 = {
	.alg = "sha256", .index = 1, .block_len = 64, .word_len = 4, .words = 8, .digest_len = 32,
	.init = { SHA256_H0, SHA256_H1, SHA256_H2, SHA256_H3,
		  SHA256_H4, SHA256_H5, SHA256_H6, SHA256_H7 },
};

const struct kssl_hash kssl_sha384 = {
	.alg = "sha384", .index = 2, .block_len = 128, .word_len = 8, .words = 8, .digest_len = 48,
	.init = { SHA384_H0, SHA384_H1, SHA384_H2, SHA384_H3,
		  SHA384_H4, SHA384_H5, SHA384_H6, SHA384_H7 },
};

/**
 * kssl_hash_start() - the chaining value before the first block
 * @hash: hash
 * @chain: (out)
 */
void kssl_hash_start(const struct kssl_hash *hash, union kssl_chain *chain)
{
	unsigned int i;

	for (i = 0; i < hash->words; i++) {
		if (hash->word_len == 8)
			chain->w64[i] = hash->init[i];
		else
			chain->w32[i] = hash->init[i];
	}
}

/* RFC 1321 3.3 */
const struct kssl_hash kssl_md5 = {
	.alg = "md5", .index = 3, .block_len = 64, .word_len = 4, .words = 4, .digest_len = 16,
	.little_endian = true, .init = { MD5_H0, MD5_H1, MD5_H2, MD5_H3 },
};

#ifdef KSSL_COMPAT_HASH_LIBRARY

int kssl_hash_get(const struct kssl_hash *hash)
{
	return 0;
}

int kssl_hash_compress(const struct kssl_hash *hash, union kssl_chain *chain, const u8 *blocks,
		       unsigned int count)
{
	union {
		struct sha1_ctx sha1;
		struct __sha256_ctx sha256;
		struct __sha512_ctx sha512;
		struct md5_ctx md5;
	} ctx;
	unsigned int len = hash->words * hash->word_len;

	memset(&ctx, 0, sizeof(ctx));
	switch (hash->index) {
	case 0:
		memcpy(ctx.sha1.state.h, chain, len);
		sha1_update(&ctx.sha1, blocks, count * hash->block_len);
		memcpy(chain, ctx.sha1.state.h, len);
		break;
	case 1:
		memcpy(ctx.sha256.state.h, chain, len);
		__sha256_update(&ctx.sha256, blocks, count * hash->block_len);
		memcpy(chain, ctx.sha256.state.h, len);
		break;
	case 2:
		memcpy(ctx.sha512.state.h, chain, len);
		__sha512_update(&ctx.sha512, blocks, count * hash->block_len);
		memcpy(chain, ctx.sha512.state.h, len);
		break;
	case 3:
		memcpy(ctx.md5.state.h, chain, len);
		md5_update(&ctx.md5, blocks, count * hash->block_len);
		memcpy(chain, ctx.md5.state.h, len);
		break;
	}
	memzero_explicit(&ctx, sizeof(ctx));
	return 0;
}

void kssl_hash_exit(void)
{
}

#else

static struct crypto_shash *back_ends[4];
static DEFINE_MUTEX(back_ends_lock);

/* What shashes export, by custom. */
union shash_state {
	struct sha1_state sha1;
	struct sha256_state sha256;
	struct sha512_state sha512;
	struct md5_state md5;
};

static void *words_of(const struct kssl_hash *hash, union shash_state *state)
{
	void *const words[] = { state->sha1.state, state->sha256.state, state->sha512.state,
				state->md5.hash };

	return words[hash->index];
}

static unsigned int state_size(const struct kssl_hash *hash)
{
	static const u16 sizes[] = { sizeof(struct sha1_state), sizeof(struct sha256_state),
				     sizeof(struct sha512_state), sizeof(struct md5_state) };

	return sizes[hash->index];
}

static int compress(struct crypto_shash *tfm, const struct kssl_hash *hash,
		    union kssl_chain *chain, const u8 *blocks, unsigned int count)
{
	unsigned int len = hash->words * hash->word_len;
	SHASH_DESC_ON_STACK(desc, tfm);
	union shash_state state;
	int ret;

	memset(&state, 0, state_size(hash));
	memcpy(words_of(hash, &state), chain, len);
	desc->tfm = tfm;
	ret = crypto_shash_import(desc, &state);
	if (!ret)
		ret = crypto_shash_update(desc, blocks, count * hash->block_len);
	if (!ret)
		ret = crypto_shash_export(desc, &state);
	if (!ret)
		memcpy(chain, words_of(hash, &state), len);
	shash_desc_zero(desc);
	memzero_explicit(&state, state_size(hash));
	return ret;
}

/* Does its export mean what we take it for?  One padded block is a digest. */
static bool knows_answer(struct crypto_shash *tfm, const struct kssl_hash *hash)
{
	u8 block[KSSL_BLOCK_MAX] = "abc\x80", digest[KSSL_DIGEST_MAX], ours[64];
	union kssl_chain chain;
	unsigned int i;

	if (crypto_shash_statesize(tfm) != state_size(hash))
		return false;
	block[hash->block_len - (hash->little_endian ? 8 : 1)] = 3 * 8;
	kssl_hash_start(hash, &chain);
	if (compress(tfm, hash, &chain, block, 1) ||
	    crypto_shash_tfm_digest(tfm, "abc", 3, digest))
		return false;
	for (i = 0; i < hash->words; i++) {
		if (hash->word_len == 8)
			put_unaligned_be64(chain.w64[i], ours + 8 * i);
		else if (hash->little_endian)
			put_unaligned_le32(chain.w32[i], ours + 4 * i);
		else
			put_unaligned_be32(chain.w32[i], ours + 4 * i);
	}
	return !memcmp(ours, digest, hash->digest_len);
}

/* A driver that knows the answer: the best one, or the generic one. */
static struct crypto_shash *find_back_end(const struct kssl_hash *hash)
{
	char generic[CRYPTO_MAX_ALG_NAME];
	struct crypto_shash *tfm = crypto_alloc_shash(hash->alg, 0, 0);

	if (IS_ERR(tfm) || knows_answer(tfm, hash))
		return tfm;
	crypto_free_shash(tfm);
	snprintf(generic, sizeof(generic), "%s-generic", hash->alg);
	tfm = crypto_alloc_shash(generic, 0, 0);
	if (IS_ERR(tfm) || knows_answer(tfm, hash))
		return tfm;
	crypto_free_shash(tfm);
	return ERR_PTR(-ENOENT);
}

/**
 * kssl_hash_get() - see to it that a hash can be used
 * @hash: hash
 *
 * Context: Process context, may sleep and load modules.
 * Return: 0, %-ENOPKG if this kernel has no driver for it that can be relied on, or
 * %-ENOMEM.
 */
int kssl_hash_get(const struct kssl_hash *hash)
{
	struct crypto_shash *tfm;
	int ret = 0;

	/* Pairs with the release below: whoever sees a back end sees it whole. */
	if (smp_load_acquire(&back_ends[hash->index]))
		return 0;
	mutex_lock(&back_ends_lock);
	if (!back_ends[hash->index]) {
		tfm = find_back_end(hash);
		if (IS_ERR(tfm))
			ret = PTR_ERR(tfm) == -ENOENT ? -ENOPKG : PTR_ERR(tfm);
		else	/* Pairs with the acquire above. */
			smp_store_release(&back_ends[hash->index], tfm);
	}
	mutex_unlock(&back_ends_lock);
	return ret;
}

/**
 * kssl_hash_compress() - the compression function, @count times
 * @hash: hash; kssl_hash_get() has succeeded
 * @chain: (in, out) chaining value
 * @blocks: @count blocks, without any padding
 * @count: how many
 *
 * Context: Any but hard interrupt.
 * Return: 0, or the error of the driver.
 */
int kssl_hash_compress(const struct kssl_hash *hash, union kssl_chain *chain, const u8 *blocks,
		       unsigned int count)
{
	return compress(back_ends[hash->index], hash, chain, blocks, count);
}

/**
 * kssl_hash_exit() - free the back ends
 *
 * Context: Process context, when no epoch is left.
 */
void kssl_hash_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(back_ends); i++)
		crypto_free_shash(back_ends[i]);
}

#endif
