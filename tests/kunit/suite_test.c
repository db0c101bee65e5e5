// SPDX-License-Identifier: GPL-2.0
/* The tables: rows are unique, complete, and say what the RFCs say. */
#include <kunit/test.h>
#include "../../kmod/suite.c"

/*
 * Written down once more, from the RFCs and not from the table.  A row with a MAC key is
 * one that Encrypt-then-MAC is for (RFC 7366 3); its MAC is as long as the key (RFC 5246 C).
 */
static const struct expected {
	u16 id;
	u16 version;
	u8 key_len;
	u8 iv_len;
	u8 tag_len;
	u8 explicit_len;
	u8 mac_key_len;
} expected[] = {
	{ 0x009c, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 5288 3 */
	{ 0x009d, 0x0303, 32, 4, 16, 8, 0 },
	{ 0x009e, 0x0303, 16, 4, 16, 8, 0 },
	{ 0x009f, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc02b, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 5289 3.2 */
	{ 0xc02c, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc02f, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc030, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xcca8, 0x0303, 32, 12, 16, 0, 0 },	/* RFC 7905 2, 3 */
	{ 0xcca9, 0x0303, 32, 12, 16, 0, 0 },
	{ 0xccaa, 0x0303, 32, 12, 16, 0, 0 },
	{ 0xc09c, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 6655 3 */
	{ 0xc09d, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc09e, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc09f, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc0a0, 0x0303, 16, 4, 8, 8, 0 },	/* RFC 6655 4 */
	{ 0xc0a1, 0x0303, 32, 4, 8, 8, 0 },
	{ 0xc0a2, 0x0303, 16, 4, 8, 8, 0 },
	{ 0xc0a3, 0x0303, 32, 4, 8, 8, 0 },
	{ 0xc0ac, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 7251 2 */
	{ 0xc0ad, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc0ae, 0x0303, 16, 4, 8, 8, 0 },
	{ 0xc0af, 0x0303, 32, 4, 8, 8, 0 },
	{ 0x002f, 0x0303, 16, 0, 20, 16, 20 },	/* RFC 5246 A.5, C */
	{ 0x0033, 0x0303, 16, 0, 20, 16, 20 },
	{ 0x0035, 0x0303, 32, 0, 20, 16, 20 },
	{ 0x0039, 0x0303, 32, 0, 20, 16, 20 },
	{ 0x003c, 0x0303, 16, 0, 32, 16, 32 },
	{ 0x003d, 0x0303, 32, 0, 32, 16, 32 },
	{ 0x0067, 0x0303, 16, 0, 32, 16, 32 },
	{ 0x006b, 0x0303, 32, 0, 32, 16, 32 },
	{ 0xc009, 0x0303, 16, 0, 20, 16, 20 },	/* RFC 8422 6 */
	{ 0xc00a, 0x0303, 32, 0, 20, 16, 20 },
	{ 0xc013, 0x0303, 16, 0, 20, 16, 20 },
	{ 0xc014, 0x0303, 32, 0, 20, 16, 20 },
	{ 0xc023, 0x0303, 16, 0, 32, 16, 32 },	/* RFC 5289 3.1 */
	{ 0xc024, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc027, 0x0303, 16, 0, 32, 16, 32 },
	{ 0xc028, 0x0303, 32, 0, 48, 16, 48 },
	{ 0x0041, 0x0303, 16, 0, 20, 16, 20 },	/* RFC 5932 2, 3 */
	{ 0x0045, 0x0303, 16, 0, 20, 16, 20 },
	{ 0x0084, 0x0303, 32, 0, 20, 16, 20 },
	{ 0x0088, 0x0303, 32, 0, 20, 16, 20 },
	{ 0x00ba, 0x0303, 16, 0, 32, 16, 32 },
	{ 0x00be, 0x0303, 16, 0, 32, 16, 32 },
	{ 0x00c0, 0x0303, 32, 0, 32, 16, 32 },
	{ 0x00c4, 0x0303, 32, 0, 32, 16, 32 },
	{ 0xc072, 0x0303, 16, 0, 32, 16, 32 },	/* RFC 6367 2.1 */
	{ 0xc073, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc076, 0x0303, 16, 0, 32, 16, 32 },
	{ 0xc077, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc07a, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 6367 2.2 */
	{ 0xc07b, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc07c, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc07d, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc086, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc087, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc08a, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc08b, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc03c, 0x0303, 16, 0, 32, 16, 32 },	/* RFC 6209 2.1, 2.2 */
	{ 0xc03d, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc044, 0x0303, 16, 0, 32, 16, 32 },
	{ 0xc045, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc048, 0x0303, 16, 0, 32, 16, 32 },
	{ 0xc049, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc04c, 0x0303, 16, 0, 32, 16, 32 },
	{ 0xc04d, 0x0303, 32, 0, 48, 16, 48 },
	{ 0xc050, 0x0303, 16, 4, 16, 8, 0 },	/* RFC 6209 2.3, 2.4 */
	{ 0xc051, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc052, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc053, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc05c, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc05d, 0x0303, 32, 4, 16, 8, 0 },
	{ 0xc060, 0x0303, 16, 4, 16, 8, 0 },
	{ 0xc061, 0x0303, 32, 4, 16, 8, 0 },
	{ 0x1301, 0x0304, 16, 12, 16, 0, 0 },	/* RFC 8446 B.4 */
	{ 0x1302, 0x0304, 32, 12, 16, 0, 0 },
	{ 0x1303, 0x0304, 32, 12, 16, 0, 0 },
	{ 0x1304, 0x0304, 16, 12, 16, 0, 0 },
	{ 0x1305, 0x0304, 16, 12, 8, 0, 0 },
	{ 0x00c6, 0x0304, 16, 12, 16, 0, 0 },	/* RFC 8998 2 */
	{ 0x00c7, 0x0304, 16, 12, 16, 0, 0 },
};

/*
 * What is older than TLS 1.2, or was never made for it: versions from and to, and those
 * that the parameter "legacy" is for.
 */
static const struct {
	u16 id;
	u16 from;
	u16 to;
	u8 key_len;
	u8 block;
	u8 mac_len;
	bool locked;
} old[] = {
	{ 0x002f, 0x0300, 0x0302, 16, 16, 20 },	/* RFC 3268 2; stacks have it in SSL 3.0 too */
	{ 0x0033, 0x0300, 0x0302, 16, 16, 20 },
	{ 0x0035, 0x0300, 0x0302, 32, 16, 20 },
	{ 0x0039, 0x0300, 0x0302, 32, 16, 20 },
	{ 0xc009, 0x0301, 0x0302, 16, 16, 20 },	/* RFC 4492 6 */
	{ 0xc00a, 0x0301, 0x0302, 32, 16, 20 },
	{ 0xc013, 0x0301, 0x0302, 16, 16, 20 },
	{ 0xc014, 0x0301, 0x0302, 32, 16, 20 },
	{ 0x0041, 0x0300, 0x0302, 16, 16, 20 },	/* RFC 4132 2 */
	{ 0x0045, 0x0300, 0x0302, 16, 16, 20 },
	{ 0x0084, 0x0300, 0x0302, 32, 16, 20 },
	{ 0x0088, 0x0300, 0x0302, 32, 16, 20 },
	{ 0x000a, 0x0300, 0x0303, 24, 8, 20 },	/* RFC 5246 A.5, C */
	{ 0x0016, 0x0300, 0x0303, 24, 8, 20 },
	{ 0xc008, 0x0301, 0x0303, 24, 8, 20 },	/* RFC 4492 6 */
	{ 0xc012, 0x0301, 0x0303, 24, 8, 20 },
	{ 0x0004, 0x0300, 0x0303, 16, 0, 16, true },	/* RFC 5246 A.5, C */
	{ 0x0005, 0x0300, 0x0303, 16, 0, 20, true },
	{ 0xc007, 0x0301, 0x0303, 16, 0, 20, true },
	{ 0xc011, 0x0301, 0x0303, 16, 0, 20, true },
	{ 0x0009, 0x0300, 0x0302, 8, 8, 20, true },	/* RFC 4346 A.5, C; RFC 5469 */
	{ 0x0015, 0x0300, 0x0302, 8, 8, 20, true },
	{ 0x0003, 0x0300, 0x0301, 16, 0, 16, true },	/* RFC 2246 A.5, C: the key as expanded */
	{ 0x0006, 0x0300, 0x0301, 16, 8, 16, true },
	{ 0x0008, 0x0300, 0x0301, 8, 8, 20, true },
	{ 0x0014, 0x0300, 0x0301, 8, 8, 20, true },
};

static void old_rows(struct kunit *test)
{
	unsigned int i;
	u16 version;

	for (i = 0; i < ARRAY_SIZE(old); i++) {
		for (version = old[i].from; version <= old[i].to; version++) {
			const struct kssl_suite *s = kssl_suite_find(old[i].id, version);
			unsigned int iv_len = version < 0x0302 ? old[i].block : 0;

			KUNIT_ASSERT_NOT_NULL_MSG(test, s, "%04x of %04x", old[i].id, version);
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->key_len, old[i].key_len, "%04x",
					    old[i].id);
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->tag_len, old[i].mac_len, "%04x",
					    old[i].id);
			KUNIT_EXPECT_EQ_MSG(test, kssl_suite_iv_len(s), iv_len, "%04x of %04x",
					    old[i].id, version);
			KUNIT_EXPECT_EQ_MSG(test, kssl_suite_mac_key_len(s), old[i].mac_len, "%04x",
					    old[i].id);
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->fmt == &kssl_fmt_stream, !old[i].block,
					    "%04x", old[i].id);
			/* SP 800-67r2 3.3 */
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->soft, old[i].block == 8 ? 1 << 20 : 0,
					    "%04x", old[i].id);
			kssl_legacy = false;
			KUNIT_EXPECT_EQ_MSG(test, kssl_suite_is_locked(s),
					    old[i].locked || version == 0x0300, "%04x of %04x",
					    old[i].id, version);
			kssl_legacy = true;
			KUNIT_EXPECT_FALSE(test, kssl_suite_is_locked(s));
			kssl_legacy = false;
		}
	}
}

static unsigned int old_count(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(old); i++)
		n += old[i].to - old[i].from + 1;
	return n;
}

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
		KUNIT_EXPECT_EQ_MSG(test, kssl_suite_mac_key_len(s), want->mac_key_len, "%04x",
				    want->id);
		KUNIT_EXPECT_EQ_MSG(test, !!s->cipher->hash, !!want->mac_key_len, "%04x",
				    want->id);
		KUNIT_EXPECT_FALSE_MSG(test, kssl_suite_is_locked(s), "%04x", want->id);
		if (want->version == 0x0303)
			KUNIT_EXPECT_EQ_MSG(test, s->cipher->explicit_len, want->explicit_len,
					    "%04x", want->id);
	}
	/* Rows are unique, so there are no others. */
	KUNIT_EXPECT_EQ(test, kssl_suites_count, ARRAY_SIZE(expected) + old_count());
}

/* What a suite is named after in the registry, and the name the Kernel Crypto API has for it. */
static const struct {
	u16 from;
	u16 to;
	u16 version;
	const char *alg;
	const char *hash;
} algs[] = {
	{ 0x0003, 0x0004, 0x0303, NULL, "md5" },
	{ 0x0005, 0x0005, 0x0303, NULL, "sha1" },
	{ 0x0006, 0x0006, 0x0303, NULL, "md5" },
	{ 0x0008, 0x0009, 0x0303, "cbc(des)", "sha1" },
	{ 0x000a, 0x000a, 0x0303, "cbc(des3_ede)", "sha1" },
	{ 0x0014, 0x0015, 0x0303, "cbc(des)", "sha1" },
	{ 0x0016, 0x0016, 0x0303, "cbc(des3_ede)", "sha1" },
	{ 0xc007, 0xc007, 0x0303, NULL, "sha1" },
	{ 0xc008, 0xc008, 0x0303, "cbc(des3_ede)", "sha1" },
	{ 0xc011, 0xc011, 0x0303, NULL, "sha1" },
	{ 0xc012, 0xc012, 0x0303, "cbc(des3_ede)", "sha1" },
	{ 0x002f, 0x0039, 0x0303, "cbc(aes)", "sha1" },
	{ 0x003c, 0x003d, 0x0303, "cbc(aes)", "sha256" },
	{ 0x0041, 0x0045, 0x0303, "cbc(camellia)", "sha1" },
	{ 0x0067, 0x006b, 0x0303, "cbc(aes)", "sha256" },
	{ 0x0084, 0x0088, 0x0303, "cbc(camellia)", "sha1" },
	{ 0x009c, 0x009f, 0x0303, "gcm(aes)", "" },
	{ 0x00ba, 0x00c4, 0x0303, "cbc(camellia)", "sha256" },
	{ 0xc009, 0xc00a, 0x0303, "cbc(aes)", "sha1" },
	{ 0xc013, 0xc014, 0x0303, "cbc(aes)", "sha1" },
	{ 0xc023, 0xc023, 0x0303, "cbc(aes)", "sha256" },
	{ 0xc024, 0xc024, 0x0303, "cbc(aes)", "sha384" },
	{ 0xc027, 0xc027, 0x0303, "cbc(aes)", "sha256" },
	{ 0xc028, 0xc028, 0x0303, "cbc(aes)", "sha384" },
	{ 0xc02b, 0xc030, 0x0303, "gcm(aes)", "" },
	{ 0xc03c, 0xc03c, 0x0303, "cbc(aria)", "sha256" },
	{ 0xc03d, 0xc03d, 0x0303, "cbc(aria)", "sha384" },
	{ 0xc044, 0xc044, 0x0303, "cbc(aria)", "sha256" },
	{ 0xc045, 0xc045, 0x0303, "cbc(aria)", "sha384" },
	{ 0xc048, 0xc048, 0x0303, "cbc(aria)", "sha256" },
	{ 0xc049, 0xc049, 0x0303, "cbc(aria)", "sha384" },
	{ 0xc04c, 0xc04c, 0x0303, "cbc(aria)", "sha256" },
	{ 0xc04d, 0xc04d, 0x0303, "cbc(aria)", "sha384" },
	{ 0xc050, 0xc061, 0x0303, "gcm(aria)", "" },
	{ 0xc072, 0xc072, 0x0303, "cbc(camellia)", "sha256" },
	{ 0xc073, 0xc073, 0x0303, "cbc(camellia)", "sha384" },
	{ 0xc076, 0xc076, 0x0303, "cbc(camellia)", "sha256" },
	{ 0xc077, 0xc077, 0x0303, "cbc(camellia)", "sha384" },
	{ 0xc07a, 0xc08b, 0x0303, "gcm(camellia)", "" },
	{ 0xc09c, 0xc0af, 0x0303, "ccm(aes)", "" },
	{ 0xcca8, 0xccaa, 0x0303, "rfc7539(chacha20,poly1305)", "" },
	{ 0x00c6, 0x00c6, 0x0304, "gcm(sm4)", "" },
	{ 0x00c7, 0x00c7, 0x0304, "ccm(sm4)", "" },
	{ 0x1301, 0x1302, 0x0304, "gcm(aes)", "" },
	{ 0x1303, 0x1303, 0x0304, "rfc7539(chacha20,poly1305)", "" },
	{ 0x1304, 0x1305, 0x0304, "ccm(aes)", "" },
};

static bool is_13(u16 version)
{
	return version == 0x0304;
}

static void algorithms(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		unsigned int found = 0;

		for (j = 0; j < ARRAY_SIZE(algs); j++) {
			/* What is older is the same. */
			if (is_13(s->version) != is_13(algs[j].version) ||
			    s->id < algs[j].from || s->id > algs[j].to)
				continue;
			found++;
			KUNIT_EXPECT_STREQ(test, s->cipher->alg ?: "", algs[j].alg ?: "");
			KUNIT_EXPECT_STREQ(test, s->cipher->hash ? s->cipher->hash->alg : "",
					   algs[j].hash);
		}
		KUNIT_EXPECT_EQ_MSG(test, found, 1, "%04x", s->id);
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
		KUNIT_ASSERT_NOT_NULL(test, c->fmt);
		KUNIT_EXPECT_NOT_NULL(test, c->fmt->seal);
		KUNIT_EXPECT_NOT_NULL(test, c->fmt->open);
		KUNIT_EXPECT_GT(test, c->key_len, 0);
		KUNIT_EXPECT_LE(test, c->key_len, KSSL_KEY_MAX);
		KUNIT_EXPECT_GT(test, c->tag_len, 0);
		KUNIT_EXPECT_LE(test, kssl_suite_iv_len(s), KSSL_IV_MAX);
		KUNIT_EXPECT_LE(test, kssl_suite_mac_key_len(s), KSSL_MAC_KEY_MAX);
		/* a nonce, and the octet before it, or a block */
		KUNIT_EXPECT_LE(test, c->salt_len + c->explicit_len + !!c->lead, KSSL_IV_MAX);
		KUNIT_EXPECT_EQ(test, c->lead, c->alg && strstarts(c->alg, "ccm(") ? 2 : 0);
		KUNIT_EXPECT_LE(test, KSSL_HEADER_LEN + c->explicit_len, KSSL_PREFIX_MAX);
		/* the longest record we send is one that everybody must accept */
		KUNIT_EXPECT_LE(test, c->explicit_len + c->tag_len + 16, v->max_expansion);
		KUNIT_EXPECT_LE(test, KSSL_HEADER_LEN + KSSL_MAX_PAYLOAD + v->max_expansion,
				KSSL_RECORD_MAX);
	}
	KUNIT_EXPECT_LE(test, sizeof(struct kssl_msg) + KSSL_RECORD_MAX, KSSL_MSG_MAX);
}

static void versions_known(struct kunit *test)
{
	unsigned int v;

	for (v = 0; v <= 0xffff; v++)
		if (kssl_version_find(v) && (v < 0x0300 || v > 0x0304))
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
	/* Suites of TLS 1.2 are not in TLS 1.1 (RFC 5246 A.5), nor DES in TLS 1.2 (RFC 5469). */
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x003c, 0x0302));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x0009, 0x0303));
	/* TLS_NULL_WITH_NULL_NULL and its like never; signalling values are no suites */
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x0002, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x00ff, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0x5600, 0x0303));
	KUNIT_EXPECT_NULL(test, kssl_suite_find(0xffff, 0xffff));
}

static struct kunit_case suite_cases[] = {
	KUNIT_CASE(rows),
	KUNIT_CASE(old_rows),
	KUNIT_CASE(algorithms),
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
