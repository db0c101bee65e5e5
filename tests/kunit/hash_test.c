// SPDX-License-Identifier: GPL-2.0
/* The bare compression functions: published digests, and calls that go on from each other. */
#include <kunit/test.h>
#include "../../kmod/hash.c"
#include "../vectors/sha_fips180.h"

#define BLOCKS	8

static const struct kssl_hash *const hashes[] = { &kssl_sha1, &kssl_sha256, &kssl_sha384,
							 &kssl_md5 };

static const struct kssl_hash *hash_of(struct kunit *test, const char *alg)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hashes); i++)
		if (!strcmp(hashes[i]->alg, alg))
			return hashes[i];
	KUNIT_ASSERT_TRUE_MSG(test, false, "no hash %s", alg);
	return NULL;
}

/* FIPS 180-4 6: the digest is the left part of the last chaining value. */
static void expect_digest(struct kunit *test, const struct kssl_hash *hash,
			  const union kssl_chain *chain, const u8 *digest, const char *name)
{
	u8 ours[64];
	unsigned int i;

	for (i = 0; i < hash->words; i++) {
		if (hash->word_len == 8)
			put_unaligned_be64(chain->w64[i], ours + 8 * i);
		else
			put_unaligned_be32(chain->w32[i], ours + 4 * i);
	}
	KUNIT_EXPECT_EQ_MSG(test, memcmp(ours, digest, hash->digest_len), 0, "%s", name);
}

/* FIPS 180-4 5.1: @v's message with its padding; returns the blocks. */
static unsigned int padded(struct kunit *test, const struct kssl_hash *hash,
			   const struct kssl_digest_vector *v, u8 **message)
{
	unsigned int len = v->data_len * v->repeat;
	unsigned int blocks = DIV_ROUND_UP(len + 1 + 2 * hash->word_len, hash->block_len);
	unsigned int i;
	u8 *buf = kvzalloc(blocks * hash->block_len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < v->repeat; i++)
		memcpy(buf + i * v->data_len, v->data, v->data_len);
	buf[len] = 0x80;
	put_unaligned_be64((u64)len * 8, buf + blocks * hash->block_len - 8);
	*message = buf;
	return blocks;
}

/* @step blocks in each call */
static void check_vector(struct kunit *test, const struct kssl_digest_vector *v,
			 unsigned int step)
{
	const struct kssl_hash *hash = hash_of(test, v->alg);
	union kssl_chain chain;
	unsigned int blocks, at, n;
	int err = 0;
	u8 *message;

	KUNIT_ASSERT_EQ(test, hash->digest_len, v->digest_len);
	KUNIT_ASSERT_EQ(test, kssl_hash_get(hash), 0);
	blocks = padded(test, hash, v, &message);
	kssl_hash_start(hash, &chain);
	for (at = 0; at < blocks; at += n) {
		n = min(step, blocks - at);
		err |= kssl_hash_compress(hash, &chain, message + at * hash->block_len, n);
	}
	kvfree(message);
	KUNIT_EXPECT_EQ(test, err, 0);
	expect_digest(test, hash, &chain, v->digest, v->name);
}

static void fips180(struct kunit *test)
{
	static const unsigned int steps[] = { 1, 2, 3, 7, 64, 1000, UINT_MAX };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(sha_fips180); i++)
		for (j = 0; j < ARRAY_SIZE(steps); j++)
			check_vector(test, &sha_fips180[i], steps[j]);
}

/* Bit i of @cuts: another call begins behind block i. */
static void compress_cut(struct kunit *test, const struct kssl_hash *hash, const u8 *data,
			 unsigned int cuts, union kssl_chain *chain)
{
	unsigned int i, from = 0;

	kssl_hash_start(hash, chain);
	for (i = 0; i < BLOCKS; i++) {
		if (i + 1 < BLOCKS && !(cuts & 1 << i))
			continue;
		KUNIT_EXPECT_EQ(test, kssl_hash_compress(hash, chain, data + from * hash->block_len,
							 i + 1 - from), 0);
		from = i + 1;
	}
}

/* However some blocks are cut into calls, and wherever they lie, the chaining value is one. */
static void split_anyhow(struct kunit *test)
{
	u8 *data = kunit_kzalloc(test, BLOCKS * KSSL_BLOCK_MAX + 8, GFP_KERNEL);
	unsigned int i, cuts;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		const struct kssl_hash *hash = hashes[i];
		unsigned int len = hash->words * hash->word_len;
		union kssl_chain whole, chain;

		KUNIT_ASSERT_EQ(test, kssl_hash_get(hash), 0);
		for (cuts = 0; cuts < 1 << (BLOCKS - 1); cuts++) {
			u8 *at = data + cuts % 8;
			unsigned int j;

			for (j = 0; j < BLOCKS * hash->block_len; j++)
				at[j] = j * 11 + (j >> 8);
			compress_cut(test, hash, at, cuts, &chain);
			if (!cuts)
				whole = chain;
			KUNIT_EXPECT_EQ_MSG(test, memcmp(&chain, &whole, len), 0, "%s, cuts %x",
					    hash->alg, cuts);
		}
	}
}

/* Two computations that take turns do not meet. */
static void interleaved(struct kunit *test)
{
	const struct kssl_digest_vector *v = &sha_fips180[1];
	const struct kssl_hash *hash = hash_of(test, v->alg);
	union kssl_chain chain[2];
	unsigned int blocks, i;
	u8 *message;

	KUNIT_ASSERT_EQ(test, kssl_hash_get(hash), 0);
	blocks = padded(test, hash, v, &message);
	kssl_hash_start(hash, &chain[0]);
	kssl_hash_start(hash, &chain[1]);
	for (i = 0; i < blocks; i++) {
		kssl_hash_compress(hash, &chain[0], message + i * hash->block_len, 1);
		kssl_hash_compress(hash, &chain[1], message + i * hash->block_len, 1);
	}
	kvfree(message);
	expect_digest(test, hash, &chain[0], v->digest, "first");
	expect_digest(test, hash, &chain[1], v->digest, "second");
}

static void none(struct kunit *test)
{
	union kssl_chain chain, before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		memset(&chain, 0, sizeof(chain));
		kssl_hash_start(hashes[i], &chain);
		before = chain;
		KUNIT_ASSERT_EQ(test, kssl_hash_get(hashes[i]), 0);
		KUNIT_EXPECT_EQ(test, kssl_hash_compress(hashes[i], &chain, (u8 *)"", 0), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&chain, &before, sizeof(chain)), 0);
	}
}

/* Lengths are from FIPS 180-4 1, figure 1, and RFC 1321; TLS knows these (RFC 5246 A.6, 5289). */
static void lengths(struct kunit *test)
{
	static const u8 want[][3] = { { 64, 4, 20 }, { 64, 4, 32 }, { 128, 8, 48 },
					{ 64, 4, 16 } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		KUNIT_EXPECT_EQ(test, hashes[i]->block_len, want[i][0]);
		KUNIT_EXPECT_EQ(test, hashes[i]->word_len, want[i][1]);
		KUNIT_EXPECT_EQ(test, hashes[i]->digest_len, want[i][2]);
		KUNIT_EXPECT_LE(test, hashes[i]->block_len, KSSL_BLOCK_MAX);
		KUNIT_EXPECT_LE(test, hashes[i]->digest_len, KSSL_DIGEST_MAX);
		KUNIT_EXPECT_LE(test, hashes[i]->digest_len, KSSL_MAC_KEY_MAX);
	}
}

/* RFC 1321 A.5: the digest of "message digest", in one block. */
static void md5(struct kunit *test)
{
	static const u8 want[] = { 0xf9, 0x6b, 0x69, 0x7d, 0x7c, 0xb7, 0x93, 0x8d,
				   0x52, 0x5a, 0x2f, 0x31, 0xaa, 0xf1, 0x61, 0xd0 };
	u8 block[64] = "message digest\x80", ours[16];
	union kssl_chain chain;
	unsigned int i;

	block[56] = 14 * 8;
	KUNIT_ASSERT_EQ(test, kssl_hash_get(&kssl_md5), 0);
	kssl_hash_start(&kssl_md5, &chain);
	KUNIT_EXPECT_EQ(test, kssl_hash_compress(&kssl_md5, &chain, block, 1), 0);
	for (i = 0; i < 4; i++)
		put_unaligned_le32(chain.w32[i], ours + 4 * i);
	KUNIT_EXPECT_EQ(test, memcmp(ours, want, sizeof(want)), 0);
}

static struct kunit_case hash_cases[] = {
	KUNIT_CASE(md5),
	KUNIT_CASE(fips180),
	KUNIT_CASE(split_anyhow),
	KUNIT_CASE(interleaved),
	KUNIT_CASE(none),
	KUNIT_CASE(lengths),
	{}
};

static struct kunit_suite hash_suite = {
	.name = "kssl_hash",
	.test_cases = hash_cases,
};

kunit_test_suite(hash_suite);

module_exit(kssl_hash_exit);
