// SPDX-License-Identifier: GPL-2.0
/* The tables: rows are unique, complete, and say what the RFCs say. */
#include <kunit/test.h>
#include "../../kmod/suite.c"

/* Written down once more, from the RFCs and not from the table. */
static const struct expected {
	u16 id;
	u16 version;
	u8 key_len;
	u8 iv_len;
	u8 tag_len;
	u8 explicit_len;
} expected[] = {
	{ 0x009c, 0x0303, 16, 4, 16, 8 },	/* RFC 5288 3 */
	{ 0x009d, 0x0303, 32, 4, 16, 8 },
	{ 0x009e, 0x0303, 16, 4, 16, 8 },
	{ 0x009f, 0x0303, 32, 4, 16, 8 },
	{ 0xc02b, 0x0303, 16, 4, 16, 8 },	/* RFC 5289 3.2 */
	{ 0xc02c, 0x0303, 32, 4, 16, 8 },
	{ 0xc02f, 0x0303, 16, 4, 16, 8 },
	{ 0xc030, 0x0303, 32, 4, 16, 8 },
	{ 0x1301, 0x0304, 16, 12, 16, 0 },	/* RFC 8446 B.4 */
	{ 0x1302, 0x0304, 32, 12, 16, 0 },
};

static void rows(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct expected *want = &expected[i];
		const struct kssl_suite *s = kssl_suite_find(want->id, want->version);

		KUNIT_ASSERT_NOT_NULL_MSG(test, s, "%04x", want->id);
		KUNIT_EXPECT_EQ_MSG(test, s->cipher->key_len, want->key_len, "%04x", want->id);
		KUNIT_EXPECT_EQ_MSG(test, s->cipher->tag_len, want->tag_len, "%04x", want->id);
		KUNIT_EXPECT_EQ_MSG(test, kssl_suite_iv_len(s), want->iv_len, "%04x", want->id);
		if (want->explicit_len)
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->explicit_len, want->explicit_len,
					    "%04x", want->id);
	}
}

static void unique(struct kunit *test)
{
	unsigned int i, j;

	KUNIT_ASSERT_GT(test, kssl_suites_count, 0);
	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];

		KUNIT_EXPECT_PTR_EQ(test, kssl_suite_find(s->id, s->version), s);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_FALSE_MSG(test, kssl_suites[j].id == s->id &&
					       kssl_suites[j].version == s->version,
					       "%04x of %04x is there twice", s->id, s->version);
	}
}

static void fits(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		const struct kssl_version *v = kssl_version_find(s->version);
		const struct kssl_cipher *c = s->cipher;

		KUNIT_ASSERT_NOT_NULL_MSG(test, v, "%04x", s->id);
		KUNIT_ASSERT_NOT_NULL(test, c);
		KUNIT_EXPECT_NOT_NULL(test, c->alg);
		KUNIT_ASSERT_NOT_NULL(test, c->fmt);
		KUNIT_EXPECT_NOT_NULL(test, c->fmt->seal);
		KUNIT_EXPECT_NOT_NULL(test, c->fmt->open);
		KUNIT_EXPECT_GT(test, c->key_len, 0);
		KUNIT_EXPECT_LE(test, c->key_len, KSSL_KEY_MAX);
		KUNIT_EXPECT_GT(test, c->tag_len, 0);
		KUNIT_EXPECT_LE(test, kssl_suite_iv_len(s), KSSL_IV_MAX);
		KUNIT_EXPECT_LE(test, KSSL_HEADER_LEN + c->explicit_len, KSSL_PREFIX_MAX);
		/* the longest record we send is one that everybody must accept */
		KUNIT_EXPECT_LE(test, c->explicit_len + c->tag_len + 1, v->max_expansion);
		KUNIT_EXPECT_LE(test, KSSL_HEADER_LEN + KSSL_MAX_PAYLOAD + v->max_expansion,
				KSSL_RECORD_MAX);
	}
	KUNIT_EXPECT_LE(test, sizeof(struct kssl_msg) + KSSL_RECORD_MAX, KSSL_MSG_MAX);
}

static void versions_known(struct kunit *test)
{
	unsigned int v;

	for (v = 0; v <= 0xffff; v++)
		if (kssl_version_find(v) && v != 0x0303 && v != 0x0304)
			KUNIT_FAIL(test, "version %04x", v);
	/* RFC 5246 6.2.3, RFC 8446 5.2 */
	KUNIT_EXPECT_EQ(test, kssl_version_find(0x0303)->max_expansion, 2048);
	KUNIT_EXPECT_EQ(test, kssl_version_find(0x0304)->max_expansion, 256);
	KUNIT_EXPECT_EQ(test, kssl_version_find(0x0303)->record_wire, 0x0303);
	KUNIT_EXPECT_EQ(test, kssl_version_find(0x0304)->record_wire, 0x0303);
}

static void unknown(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x1301, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0xc02f, 0x0304));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0xc02f, 0x0302));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0xc02f, 0));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x0000, 0x0303));
	/* TLS_NULL_WITH_NULL_NULL and its like never; signalling values are no suites */
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x0002, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x00ff, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x5600, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0xffff, 0xffff));
}

static struct kunit_case suite_cases[] = {
	KUNIT_CASE(rows),
	KUNIT_CASE(unique),
	KUNIT_CASE(fits),
	KUNIT_CASE(versions_known),
	KUNIT_CASE(unknown),
	{}
};

static struct kunit_suite suite_suite = {
	.name = "kssl_suite",
	.test_cases = suite_cases,
};

kunit_test_suite(suite_suite);
