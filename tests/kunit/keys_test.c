// SPDX-License-Identifier: GPL-2.0
/* Key epochs: what is taken, and every way to be refused. */
#include <kunit/test.h>
#include "../../kmod/keys.c"

static void fill_key(struct kssl_key *key, const struct kssl_suite *s)
{
	*key = (struct kssl_key) {
		.size = sizeof(*key),
		.version = s->version,
		.suite = s->id,
		.key_len = s->cipher->key_len,
		.iv_len = kssl_suite_iv_len(s),
		.mac_key_len = kssl_suite_mac_key_len(s),
		.seq = 5,
		.nonce = 7,
	};
	memset(key->key, 0x11, key->key_len);
	memset(key->iv, 0x22, key->iv_len);
	memset(key->mac_key, 0x33, key->mac_key_len);
}

/* What kssl_epoch_new() makes of @key: 0 or its error. */
static int try_key(const struct kssl_key *key)
{
	struct kssl_epoch *e = kssl_epoch_new(key);

	if (IS_ERR(e))
		return PTR_ERR(e);
	kssl_epoch_put(e);
	return 0;
}

static void good(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		struct kssl_epoch *e;
		struct kssl_key key;

		fill_key(&key, s);
		e = kssl_epoch_new(&key);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(e), "%04x: %ld", s->id, PTR_ERR(e));
		KUNIT_EXPECT_PTR_EQ(test, e->suite, s);
		KUNIT_EXPECT_EQ(test, e->ver->wire, s->version);
		KUNIT_EXPECT_EQ(test, refcount_read(&e->ref), 1);
		if (s->version == 0x0304) {
			KUNIT_EXPECT_EQ(test, e->prefix_len, 0);
			KUNIT_EXPECT_EQ(test, s->cipher->fmt->suffix_len(e, 0),
					1 + s->cipher->tag_len);
			KUNIT_EXPECT_EQ(test, e->aad_len, 5);
		} else {
			KUNIT_EXPECT_EQ(test, e->prefix_len, s->cipher->explicit_len);
			KUNIT_EXPECT_EQ(test, e->aad_len, 13);
		}
		/* the MAC of MAC-then-encrypt is decrypted */
		KUNIT_EXPECT_EQ(test, e->trailer_len, s->cipher->hash ? 0 : s->cipher->tag_len);
		KUNIT_EXPECT_EQ(test, kssl_epoch_is_mte(e), !!s->cipher->hash);
		KUNIT_EXPECT_LE(test, e->aad_len, KSSL_AAD_MAX);
		kssl_epoch_put(e);
	}
	kssl_epoch_put(NULL);
}

static void lengths(struct kunit *test)
{
	unsigned int i, len;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		struct kssl_key key;

		for (len = 0; len <= 255; len++) {
			fill_key(&key, s);
			key.key_len = len;
			KUNIT_EXPECT_EQ_MSG(test, try_key(&key),
					    len == s->cipher->key_len ? 0 : -EINVAL,
					    "%04x: key of %u", s->id, len);
			fill_key(&key, s);
			key.iv_len = len;
			KUNIT_EXPECT_EQ_MSG(test, try_key(&key),
					    len == kssl_suite_iv_len(s) ? 0 : -EINVAL,
					    "%04x: iv of %u", s->id, len);
			fill_key(&key, s);
			key.mac_key_len = len;
			KUNIT_EXPECT_EQ_MSG(test, try_key(&key),
					    len == kssl_suite_mac_key_len(s) ? 0 : -EINVAL,
					    "%04x: MAC key of %u", s->id, len);
		}
	}
}

static void flags(struct kunit *test)
{
	struct kssl_key key;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		fill_key(&key, &kssl_suites[0]);
		key.flags = 1U << i;
		KUNIT_EXPECT_EQ_MSG(test, try_key(&key), -EINVAL, "flag %u", i);
		fill_key(&key, kssl_suite_find(0xc027, 0x0303));
		key.flags = 1U << i | KSSL_KEY_ETM;
		KUNIT_EXPECT_EQ_MSG(test, try_key(&key), i ? -EINVAL : 0, "flag %u", i);
	}
	for (i = 1; i <= 255; i++) {
		fill_key(&key, &kssl_suites[0]);
		key.reserved = i;
		KUNIT_EXPECT_EQ_MSG(test, try_key(&key), -EINVAL, "reserved %u", i);
	}
}

/* RFC 7366 3: block ciphers only. */
static void etm(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		struct kssl_epoch *e;
		struct kssl_key key;

		fill_key(&key, s);
		key.flags = KSSL_KEY_ETM;
		e = kssl_epoch_new(&key);
		if (!s->cipher->hash) {
			KUNIT_EXPECT_PTR_EQ_MSG(test, e, ERR_PTR(-EINVAL), "%04x", s->id);
			continue;
		}
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(e), "%04x: %ld", s->id, PTR_ERR(e));
		KUNIT_EXPECT_EQ(test, e->prefix_len, 16);
		KUNIT_EXPECT_EQ(test, e->trailer_len, s->cipher->tag_len);
		KUNIT_EXPECT_EQ(test, e->aad_len, 13);
		KUNIT_EXPECT_FALSE(test, kssl_epoch_is_mte(e));
		kssl_epoch_put(e);
	}
}

static void seq(struct kunit *test)
{
	struct kssl_key key;

	fill_key(&key, &kssl_suites[0]);
	key.seq = 0;
	KUNIT_EXPECT_EQ(test, try_key(&key), 0);
	key.seq = U64_MAX - 1;
	KUNIT_EXPECT_EQ(test, try_key(&key), 0);
	/* RFC 5246 6.1, RFC 8446 5.3: must not wrap */
	key.seq = U64_MAX;
	KUNIT_EXPECT_EQ(test, try_key(&key), -EINVAL);
}

static void unknown_suite(struct kunit *test)
{
	struct kssl_key key;

	fill_key(&key, &kssl_suites[0]);
	key.suite = 0;
	KUNIT_EXPECT_EQ(test, try_key(&key), -EOPNOTSUPP);
	fill_key(&key, &kssl_suites[0]);
	key.version = 0x0302;
	KUNIT_EXPECT_EQ(test, try_key(&key), -EOPNOTSUPP);
	key.version = 0x0305;
	KUNIT_EXPECT_EQ(test, try_key(&key), -EOPNOTSUPP);
	fill_key(&key, kssl_suite_find(0x1301, 0x0304));
	key.version = 0x0303;
	KUNIT_EXPECT_EQ(test, try_key(&key), -EOPNOTSUPP);
}

static void references(struct kunit *test)
{
	struct kssl_epoch *e;
	struct kssl_key key;

	fill_key(&key, &kssl_suites[0]);
	e = kssl_epoch_new(&key);
	KUNIT_ASSERT_FALSE(test, IS_ERR(e));
	refcount_inc(&e->ref);
	kssl_epoch_put(e);
	/* still there: KASAN would tell */
	KUNIT_EXPECT_EQ(test, refcount_read(&e->ref), 1);
	KUNIT_EXPECT_NOT_NULL(test, e->aead);
	kssl_epoch_put(e);
}

static struct kunit_case keys_cases[] = {
	KUNIT_CASE(good),
	KUNIT_CASE(lengths),
	KUNIT_CASE(flags),
	KUNIT_CASE(etm),
	KUNIT_CASE(seq),
	KUNIT_CASE(unknown_suite),
	KUNIT_CASE(references),
	{}
};

static struct kunit_suite keys_suite = {
	.name = "kssl_keys",
	.test_cases = keys_cases,
};

kunit_test_suite(keys_suite);
