// SPDX-License-Identifier: GPL-2.0
/* HMAC: published vectors, any split of the input, and an end at a secret place. */
#include <crypto/hash.h>
#include <kunit/test.h>
#include "../../kmod/mac.c"
#include "../vectors/hmac_rfc.h"

static const struct kssl_hash *const hashes[] = { &kssl_sha1, &kssl_sha256, &kssl_sha384,
							 &kssl_md5 };

static void setup(struct kunit *test, struct kssl_mac *mac, const struct kssl_hash *hash)
{
	static const u8 key[KSSL_DIGEST_MAX] = "forty-eight octets of key, or the first of them";

	memset(mac, 0, sizeof(*mac));
	KUNIT_ASSERT_EQ(test, kssl_mac_setup(mac, hash, key, hash->digest_len), 0);
}

static u8 *message(struct kunit *test, unsigned int len)
{
	u8 *buf = kunit_kzalloc(test, len, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < len; i++)
		buf[i] = i * 13 + (i >> 8) + 1;
	return buf;
}

static void digest_of(struct kunit *test, struct kssl_mac *mac, const u8 *data, unsigned int len,
		      u8 *digest)
{
	struct kssl_mac_run run;

	kssl_mac_begin(&run, mac);
	kssl_mac_update(&run, data, len);
	KUNIT_EXPECT_EQ(test, kssl_mac_final(&run, digest), 0);
}

static void rfc2202_and_4231(struct kunit *test)
{
	unsigned int i, j, split;

	for (i = 0; i < ARRAY_SIZE(hmac_rfc); i++) {
		const struct kssl_digest_vector *v = &hmac_rfc[i];
		const struct kssl_hash *hash = NULL;
		struct kssl_mac mac = {};

		for (j = 0; j < ARRAY_SIZE(hashes); j++)
			if (!strcmp(hashes[j]->alg, v->alg))
				hash = hashes[j];
		KUNIT_ASSERT_NOT_NULL(test, hash);
		KUNIT_ASSERT_EQ(test, kssl_mac_setup(&mac, hash, v->key, v->key_len), 0);
		for (split = 0; split <= v->data_len; split++) {
			struct kssl_mac_run run;
			u8 digest[KSSL_DIGEST_MAX];

			kssl_mac_begin(&run, &mac);
			kssl_mac_update(&run, v->data, split);
			kssl_mac_update(&run, v->data + split, v->data_len - split);
			KUNIT_EXPECT_EQ(test, kssl_mac_final(&run, digest), 0);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(digest, v->digest, v->digest_len), 0,
					    "%s, split at %u", v->name, split);
		}
	}
}

/* Another implementation: the kernel's own. */
static void all_lengths(struct kunit *test)
{
	static const u8 key[KSSL_BLOCK_MAX] = "a key as long as a block, most of it zeros";
	u8 *data = message(test, 700);
	unsigned int i, len, key_len;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		const struct kssl_hash *hash = hashes[i];
		u8 ours[KSSL_DIGEST_MAX], theirs[KSSL_DIGEST_MAX];
		struct crypto_shash *hmac;
		char name[32];

		snprintf(name, sizeof(name), "hmac(%s)", hash->alg);
		hmac = crypto_alloc_shash(name, 0, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR(hmac));
		for (len = 0; len <= 700; len++) {
			struct kssl_mac mac = {};

			key_len = 1 + len % hash->block_len;
			KUNIT_EXPECT_EQ(test, kssl_mac_setup(&mac, hash, key, key_len), 0);
			digest_of(test, &mac, data, len, ours);
			KUNIT_EXPECT_EQ(test, crypto_shash_setkey(hmac, key, key_len), 0);
			KUNIT_EXPECT_EQ(test, crypto_shash_tfm_digest(hmac, data, len, theirs), 0);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(ours, theirs, hash->digest_len), 0,
					    "%s of %u bytes", name, len);
		}
		crypto_free_shash(hmac);
	}
}

/* Three parts, cut at all pairs of places. */
static void splits(struct kunit *test)
{
	const unsigned int len = 150;
	u8 *data = message(test, len);
	unsigned int i, a, b;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		u8 want[KSSL_DIGEST_MAX], digest[KSSL_DIGEST_MAX];
		unsigned int wrong = 0;
		struct kssl_mac mac;

		setup(test, &mac, hashes[i]);
		digest_of(test, &mac, data, len, want);
		for (a = 0; a <= len; a++) {
			for (b = a; b <= len; b++) {
				struct kssl_mac_run run;

				kssl_mac_begin(&run, &mac);
				kssl_mac_update(&run, data, a);
				kssl_mac_update(&run, data + a, b - a);
				kssl_mac_update(&run, data + b, len - b);
				wrong += kssl_mac_final(&run, digest) ||
					 memcmp(digest, want, hashes[i]->digest_len);
			}
		}
		KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "%s", hashes[i]->alg);
	}
}

/* Pieces of @step bytes, each with a gap behind it, and an empty one now and then. */
static struct scatterlist *scattered(struct kunit *test, const u8 *data, unsigned int len,
				     unsigned int step)
{
	unsigned int pieces = DIV_ROUND_UP(len, step), n = pieces + pieces / 3;
	struct scatterlist *sg = kunit_kcalloc(test, n, sizeof(*sg), GFP_KERNEL);
	u8 *room = kunit_kzalloc(test, n * (step + 1), GFP_KERNEL);
	unsigned int i, at = 0;

	KUNIT_ASSERT_NOT_NULL(test, sg);
	KUNIT_ASSERT_NOT_NULL(test, room);
	sg_init_table(sg, n);
	for (i = 0; i < n; i++) {
		unsigned int part = i % 4 == 3 ? 0 : min(step, len - at);

		memcpy(room, data + at, part);
		sg_set_buf(&sg[i], room, part);
		room += part + 1;
		at += part;
	}
	KUNIT_ASSERT_EQ(test, at, len);
	return sg;
}

static void scatterlists(struct kunit *test)
{
	static const unsigned int steps[] = { 1, 2, 3, 7, 63, 64, 65, 127, 128, 129, 400 };
	const unsigned int len = 400;
	u8 *data = message(test, len);
	unsigned int i, j, from;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		u8 want[KSSL_DIGEST_MAX], digest[KSSL_DIGEST_MAX];
		struct kssl_mac mac;

		setup(test, &mac, hashes[i]);
		for (j = 0; j < ARRAY_SIZE(steps); j++) {
			struct scatterlist *sg = scattered(test, data, len, steps[j]);
			unsigned int wrong = 0;

			for (from = 0; from <= len; from += 9) {
				unsigned int n = (len - from) * (from % 4) / 3;
				struct kssl_mac_run run;

				n = min(n, len - from);
				digest_of(test, &mac, data + from, n, want);
				kssl_mac_begin(&run, &mac);
				kssl_mac_update_sg(&run, sg, from, n / 2);
				kssl_mac_update_sg(&run, sg, from + n / 2, n - n / 2);
				wrong += kssl_mac_final(&run, digest) ||
					 memcmp(digest, want, hashes[i]->digest_len);
			}
			KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "%s, pieces of %u", hashes[i]->alg,
					    steps[j]);
		}
	}
}

/*
 * End @head known blocks and @tail_len bytes of @data at @secret_len of the latter; the
 * blocks that took.
 */
static u32 end_secretly(struct kunit *test, struct kssl_mac *mac, const u8 *data,
			unsigned int head, unsigned int tail_len, unsigned int secret_len,
			u8 *digest)
{
	unsigned int known = head * mac->hash->block_len;
	struct kssl_mac_run run;
	u32 before = mac->blocks;

	kssl_mac_begin(&run, mac);
	kssl_mac_update(&run, data, known);
	if (kssl_mac_final_secret(&run, data + known, tail_len, secret_len, digest))
		KUNIT_FAIL(test, "%u of %u", secret_len, tail_len);
	return mac->blocks - before;
}

/*
 * All @secret_len up to @tail_len in steps of @step: the same as an HMAC of the shorter message,
 * and as many compressions whatever @secret_len is: one for each block that the longest
 * message fills, and the outer one.
 */
static void check_tail(struct kunit *test, struct kssl_mac *mac, const u8 *data,
		       unsigned int head, unsigned int tail_len, unsigned int step)
{
	const struct kssl_hash *hash = mac->hash;
	unsigned int longest = head * hash->block_len + tail_len;
	unsigned int blocks = DIV_ROUND_UP(longest + 1 + 2 * hash->word_len, hash->block_len) + 1;
	u8 want[KSSL_DIGEST_MAX], digest[KSSL_DIGEST_MAX];
	unsigned int len;

	for (len = tail_len % step; len <= tail_len; len += step) {
		u32 took = end_secretly(test, mac, data, head, tail_len, len, digest);

		if (took != blocks)
			KUNIT_FAIL(test, "%s, %u of %u: %u blocks, not %u", hash->alg, len,
				   tail_len, took, blocks);
		digest_of(test, mac, data, head * hash->block_len + len, want);
		if (memcmp(digest, want, hash->digest_len))
			KUNIT_FAIL(test, "%s, %u of %u behind %u blocks", hash->alg, len, tail_len,
				   head);
	}
}

static void secret_length(struct kunit *test)
{
	u8 *data = message(test, 900);
	unsigned int i, len;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		struct kssl_mac mac;

		setup(test, &mac, hashes[i]);
		for (len = 0; len <= 150; len++)
			check_tail(test, &mac, data, len % 3, len, 1);
		for (len = 151; len <= 600; len++)
			check_tail(test, &mac, data, len % 3, len, 29);
		/* the longest that a record asks for, and then some */
		check_tail(test, &mac, data, 0, 383, 1);
		check_tail(test, &mac, data, 2, 600, 1);
	}
}

/* What lies behind the end does not matter. */
static void secret_rest(struct kunit *test)
{
	u8 *data = message(test, 400);
	unsigned int i, len;

	for (i = 0; i < ARRAY_SIZE(hashes); i++) {
		u8 want[KSSL_DIGEST_MAX], digest[KSSL_DIGEST_MAX];
		struct kssl_mac mac;

		setup(test, &mac, hashes[i]);
		for (len = 0; len <= 300; len++) {
			u8 *other = kunit_kzalloc(test, 300 + KSSL_MAC_SLACK, GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, other);
			memset(other, 0xff, 300 + KSSL_MAC_SLACK);
			memcpy(other, data, len);
			digest_of(test, &mac, data, len, want);
			end_secretly(test, &mac, other, 0, 300, len, digest);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(digest, want, hashes[i]->digest_len), 0,
					    "%s, %u of 300", hashes[i]->alg, len);
			kunit_kfree(test, other);
		}
	}
}

/* RFC 6101 5.2.3.1 by the kernel's own hash. */
static void ssl3_by_shash(struct kunit *test, const struct kssl_hash *hash, const u8 *key,
			  const u8 *data, unsigned int len, u8 *digest)
{
	struct crypto_shash *tfm = crypto_alloc_shash(hash->alg, 0, 0);
	unsigned int before = hash->digest_len == 16 ? 64 : 60;
	u8 *buf = kunit_kzalloc(test, before + max(len, 64), GFP_KERNEL);

	KUNIT_ASSERT_FALSE(test, IS_ERR(tfm));
	KUNIT_ASSERT_NOT_NULL(test, buf);
	memset(buf, 0x36, before);
	memcpy(buf, key, hash->digest_len);
	memcpy(buf + before, data, len);
	KUNIT_EXPECT_EQ(test, crypto_shash_tfm_digest(tfm, buf, before + len, digest), 0);
	memset(buf + hash->digest_len, 0x5c, before - hash->digest_len);
	memcpy(buf + before, digest, hash->digest_len);
	KUNIT_EXPECT_EQ(test, crypto_shash_tfm_digest(tfm, buf, before + hash->digest_len,
						      digest), 0);
	kunit_kfree(test, buf);
	crypto_free_shash(tfm);
}

/* All lengths, and all ends of a tail that nobody knows, behind some that everybody does. */
static void ssl3(struct kunit *test)
{
	static const struct kssl_hash *const both[] = { &kssl_md5, &kssl_sha1 };
	static const u8 key[] = "twenty octets of key";
	u8 *data = message(test, 400);
	unsigned int i, len, known;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		const struct kssl_hash *hash = both[i];
		u8 want[KSSL_DIGEST_MAX], digest[KSSL_DIGEST_MAX];
		struct kssl_mac mac = {};

		KUNIT_ASSERT_EQ(test, kssl_mac_setup_ssl3(&mac, hash, key), 0);
		for (len = 0; len <= 200; len++) {
			ssl3_by_shash(test, hash, key, data, len, want);
			digest_of(test, &mac, data, len, digest);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(digest, want, hash->digest_len), 0,
					    "%s, %u bytes", hash->alg, len);
			for (known = 0; known <= len; known += 13) {
				struct kssl_mac_run run;

				kssl_mac_begin(&run, &mac);
				kssl_mac_update(&run, data, known);
				kssl_mac_final_secret(&run, data + known, 200 - known, len - known,
						      digest);
				if (memcmp(digest, want, hash->digest_len))
					KUNIT_FAIL(test, "%s, %u of 200, %u known", hash->alg, len,
						   known);
			}
		}
	}
}

static struct kunit_case mac_cases[] = {
	KUNIT_CASE(ssl3),
	KUNIT_CASE(rfc2202_and_4231),
	KUNIT_CASE(all_lengths),
	KUNIT_CASE(splits),
	KUNIT_CASE(scatterlists),
	KUNIT_CASE(secret_length),
	KUNIT_CASE(secret_rest),
	{}
};

static struct kunit_suite mac_suite = {
	.name = "kssl_mac",
	.test_cases = mac_cases,
};

kunit_test_suite(mac_suite);
