// SPDX-License-Identifier: GPL-2.0
/* Key epochs: what is taken, and every way to be refused. */
#include <kunit/test.h>
#include "../../kmod/keys.c"
#include "../vectors/key_update_openssl.h"
#include "fixture.h"

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
			KUNIT_EXPECT_EQ(test, e->prefix_len,
					s->version < 0x0302 ? 0 : s->cipher->explicit_len);
			KUNIT_EXPECT_EQ(test, e->aad_len, s->cipher->hash ? 0 : 13);
		}
		/* the MAC of MAC-then-encrypt is decrypted */
		KUNIT_EXPECT_EQ(test, e->trailer_len, s->cipher->hash ? 0 : s->cipher->tag_len);
		KUNIT_EXPECT_EQ(test, kssl_epoch_is_mte(e),
				s->cipher->hash && s->cipher->explicit_len);
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
		if (!s->cipher->hash || !s->cipher->explicit_len || s->version == 0x0300) {
			KUNIT_EXPECT_PTR_EQ_MSG(test, e, ERR_PTR(-EINVAL), "%04x", s->id);
			continue;
		}
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(e), "%04x: %ld", s->id, PTR_ERR(e));
		KUNIT_EXPECT_EQ(test, e->prefix_len,
				s->version == 0x0301 ? 0 : s->cipher->explicit_len);
		KUNIT_EXPECT_EQ(test, e->trailer_len, s->cipher->tag_len);
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

/* RFC 8449 4 */
static void max_payload(struct kunit *test)
{
	struct kssl_epoch *e;
	struct kssl_key key;
	unsigned int len;

	for (len = 0; len <= 0xffff; len++) {
		fill_key(&key, &kssl_suites[0]);
		key.max_payload = len;
		if (len && (len < 63 || len > 16384)) {
			KUNIT_EXPECT_EQ_MSG(test, try_key(&key), -EINVAL, "%u", len);
			continue;
		}
		if (len % 97 && len != 63 && len != 16384)
			continue;
		e = kssl_epoch_new(&key);
		KUNIT_ASSERT_FALSE(test, IS_ERR(e));
		KUNIT_EXPECT_EQ(test, e->max_payload, len ?: 16384);
		kssl_epoch_put(e);
	}
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

/* ---- secrets ---- */

static const struct kssl_suite *suite_with_secret(struct kunit *test, u16 id)
{
	const struct kssl_suite *s = kssl_suite_find(id, 0x0304);

	KUNIT_ASSERT_NOT_NULL(test, s);
	return s;
}

static void secret_lengths(struct kunit *test)
{
	unsigned int i, len;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		int none = s->version != 0x0304 ? -EINVAL : s->kdf ? 0 : -EOPNOTSUPP;
		struct kssl_key key;

		for (len = 1; len <= 255; len++) {
			fill_key(&key, s);
			key.secret_len = len;
			KUNIT_EXPECT_EQ_MSG(test, try_key(&key),
					    none ? none : len == s->kdf->digest_len ? 0 : -EINVAL,
					    "%04x: secret of %u", s->id, len);
		}
		fill_key(&key, s);
		key.reserved2 = 1;
		KUNIT_EXPECT_EQ_MSG(test, try_key(&key), -EINVAL, "%04x: reserved2", s->id);
		fill_key(&key, s);
		key.reserved3 = 1;
		KUNIT_EXPECT_EQ_MSG(test, try_key(&key), -EINVAL, "%04x: reserved3", s->id);
	}
}

/* What @e was made with is what belongs to @g generations of @v: it seals the same. */
static void check_generation(struct kunit *test, const struct kssl_epoch *e,
			     const struct kssl_update_vector *v, unsigned int g)
{
	u8 key[KSSL_KEY_MAX];

	KUNIT_EXPECT_EQ(test, e->secret_len, v->secret_len);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(e->secret, v->secret[g], v->secret_len), 0,
			    "%04x: secret %u", v->suite, g);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(e->iv, v->iv[g], sizeof(v->iv[g])), 0,
			    "%04x: iv %u", v->suite, g);
	/* The key is in the transform; it is derived as it was once more. */
	KUNIT_EXPECT_EQ(test, expand_label(e, e->secret, "key", key, v->key_len), 0);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(key, v->key[g], v->key_len), 0, "%04x: key %u",
			    v->suite, g);
}

/* An epoch of the vector's key itself. */
static struct kssl_epoch *epoch_of_generation(struct kunit *test, const struct kssl_suite *s,
					      const struct kssl_update_vector *v, unsigned int g)
{
	struct kssl_epoch *e;
	struct kssl_key key;

	fill_key(&key, s);
	memcpy(key.key, v->key[g], v->key_len);
	memcpy(key.iv, v->iv[g], sizeof(v->iv[g]));
	e = kssl_epoch_new(&key);
	KUNIT_ASSERT_FALSE(test, IS_ERR(e));
	return e;
}

/* The transforms of both have the same key: one opens what the other has sealed. */
static void check_transform(struct kunit *test, struct kssl_epoch *a, struct kssl_epoch *b)
{
	static const u8 text[] = "under the next key";
	u8 *record = buffer(test, 200);
	u8 type;

	seal(test, a, 0, 0, KSSL_TYPE_APPLICATION_DATA, text, sizeof(text), record, 0);
	KUNIT_EXPECT_EQ(test, open_in_place(test, b, 0, record, &type), sizeof(text));
	KUNIT_EXPECT_EQ(test, type, KSSL_TYPE_APPLICATION_DATA);
	KUNIT_EXPECT_EQ(test, memcmp(record + KSSL_HEADER_LEN, text, sizeof(text)), 0);
	kunit_kfree(test, record);
}

static void next(struct kunit *test)
{
	unsigned int i, g;

	for (i = 0; i < ARRAY_SIZE(key_update_openssl); i++) {
		const struct kssl_update_vector *v = &key_update_openssl[i];
		const struct kssl_suite *s = suite_with_secret(test, v->suite);
		struct kssl_epoch *e, *n, *same;
		struct kssl_key key;

		fill_key(&key, s);
		key.secret_len = v->secret_len;
		memcpy(key.secret, v->first, v->secret_len);
		e = kssl_epoch_new(&key);
		KUNIT_ASSERT_FALSE(test, IS_ERR(e));
		for (g = 0; g < KEY_UPDATE_GENERATIONS; g++) {
			n = kssl_epoch_next(e);
			KUNIT_ASSERT_FALSE(test, IS_ERR(n));
			KUNIT_EXPECT_PTR_EQ(test, n->suite, e->suite);
			KUNIT_EXPECT_PTR_EQ(test, n->ver, e->ver);
			KUNIT_EXPECT_EQ(test, refcount_read(&n->ref), 1);
			kssl_epoch_put(e);
			e = n;
			check_generation(test, e, v, g);
			same = epoch_of_generation(test, s, v, g);
			check_transform(test, e, same);
			kssl_epoch_put(same);
		}
		kssl_epoch_put(e);
	}
}

/* With blocks of 64 bits it is blocks that are counted: IV, content, MAC. */
static void cost(struct kunit *test)
{
	struct kssl_cipher cipher = { .explicit_len = 8, .tag_len = 20 };
	const struct kssl_suite suite = { .cipher = &cipher };
	const struct kssl_epoch e = { .suite = &suite };

	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 0), 1);
	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 16384), 1);
	cipher.unit = 8;
	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 0), 4);
	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 4), 4);
	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 5), 5);
	KUNIT_EXPECT_EQ(test, kssl_epoch_cost(&e, 16384), 2052);
}

/* RFC 8448 3, server_application_traffic_secret_0 */
static void rfc8448(struct kunit *test)
{
	static const u8 want_key[] = {
		0x9f, 0x02, 0x28, 0x3b, 0x6c, 0x9c, 0x07, 0xef, 0xc2, 0x6b, 0xb9, 0xf2,
		0xac, 0x92, 0xe3, 0x56,
	};
	static const u8 want_iv[] = {
		0xcf, 0x78, 0x2b, 0x88, 0xdd, 0x83, 0x54, 0x9a, 0xad, 0xf1, 0xe9, 0x84,
	};
	u8 out[16];
	struct kssl_epoch *e;
	struct kssl_key key;

	fill_key(&key, suite_with_secret(test, 0x1301));
	key.secret_len = 32;
	memcpy(key.secret, key_update_openssl[0].first, 32);
	e = kssl_epoch_new(&key);
	KUNIT_ASSERT_FALSE(test, IS_ERR(e));
	KUNIT_EXPECT_EQ(test, expand_label(e, e->secret, "key", out, sizeof(want_key)), 0);
	KUNIT_EXPECT_EQ(test, memcmp(out, want_key, sizeof(want_key)), 0);
	KUNIT_EXPECT_EQ(test, expand_label(e, e->secret, "iv", out, sizeof(want_iv)), 0);
	KUNIT_EXPECT_EQ(test, memcmp(out, want_iv, sizeof(want_iv)), 0);
	kssl_epoch_put(e);
}

static struct kunit_case keys_cases[] = {
	KUNIT_CASE(good),
	KUNIT_CASE(lengths),
	KUNIT_CASE(flags),
	KUNIT_CASE(etm),
	KUNIT_CASE(seq),
	KUNIT_CASE(unknown_suite),
	KUNIT_CASE(max_payload),
	KUNIT_CASE(references),
	KUNIT_CASE(secret_lengths),
	KUNIT_CASE(rfc8448),
	KUNIT_CASE(next),
	KUNIT_CASE(cost),
	{}
};

static int keys_init(struct kunit *test)
{
	kssl_legacy = true;
	return 0;
}

static struct kunit_suite keys_suite = {
	.name = "kssl_keys",
	.init = keys_init,
	.test_cases = keys_cases,
};

kunit_test_suite(keys_suite);
