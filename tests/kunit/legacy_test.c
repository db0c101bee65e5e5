// SPDX-License-Identifier: GPL-2.0
/*
 * What is older than TLS 1.2, or behind the parameter "legacy": RC2 and RC4 by published
 * vectors, records that go on from each other, and the lock.
 */
#include <kunit/test.h>
#include "../../kmod/fmt_stream.c"
#include "../../kmod/weak.c"
#include "../vectors/legacy_openssl.h"
#include "fixture.h"

static int legacy_init(struct kunit *test)
{
	kssl_legacy = true;
	return 0;
}

static void legacy_exit(struct kunit *test)
{
	kssl_legacy = false;
}

/* RFC 2268 5 */
static const struct {
	unsigned int len;
	unsigned int bits;
	u8 key[33];
	u8 plain[8];
	u8 sealed[8];
} rc2_rfc2268[] = {
	{ 8, 63, { 0 }, { 0 }, { 0xeb, 0xb7, 0x73, 0xf9, 0x93, 0x27, 0x8e, 0xff } },
	{ 8, 64, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	  { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	  { 0x27, 0x8b, 0x27, 0xe4, 0x2e, 0x2f, 0x0d, 0x49 } },
	{ 8, 64, { 0x30 }, { 0x10, 0, 0, 0, 0, 0, 0, 0x01 },
	  { 0x30, 0x64, 0x9e, 0xdf, 0x9b, 0xe7, 0xd2, 0xc2 } },
	{ 1, 64, { 0x88 }, { 0 }, { 0x61, 0xa8, 0xa2, 0x44, 0xad, 0xac, 0xcc, 0xf0 } },
	{ 7, 64, { 0x88, 0xbc, 0xa9, 0x0e, 0x90, 0x87, 0x5a }, { 0 },
	  { 0x6c, 0xcf, 0x43, 0x08, 0x97, 0x4c, 0x26, 0x7f } },
	{ 16, 64, { 0x88, 0xbc, 0xa9, 0x0e, 0x90, 0x87, 0x5a, 0x7f, 0x0f, 0x79, 0xc3, 0x84, 0x62,
		    0x7b, 0xaf, 0xb2 }, { 0 },
	  { 0x1a, 0x80, 0x7d, 0x27, 0x2b, 0xbe, 0x5d, 0xb1 } },
	{ 16, 128, { 0x88, 0xbc, 0xa9, 0x0e, 0x90, 0x87, 0x5a, 0x7f, 0x0f, 0x79, 0xc3, 0x84, 0x62,
		     0x7b, 0xaf, 0xb2 }, { 0 },
	  { 0x22, 0x69, 0x55, 0x2a, 0xb0, 0xf8, 0x5c, 0xa6 } },
	{ 33, 129, { 0x88, 0xbc, 0xa9, 0x0e, 0x90, 0x87, 0x5a, 0x7f, 0x0f, 0x79, 0xc3, 0x84, 0x62,
		     0x7b, 0xaf, 0xb2, 0x16, 0xf8, 0x0a, 0x6f, 0x85, 0x92, 0x05, 0x84, 0xc4, 0x2f,
		     0xce, 0xb0, 0xbe, 0x25, 0x5d, 0xaf, 0x1e }, { 0 },
	  { 0x5b, 0x78, 0xd3, 0xa4, 0x3d, 0xff, 0xf1, 0xf1 } },
};

static void rc2(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rc2_rfc2268); i++) {
		struct kssl_rc2 rc2;
		u8 block[8];

		kssl_rc2_set_key(&rc2, rc2_rfc2268[i].key, rc2_rfc2268[i].len, rc2_rfc2268[i].bits);
		memcpy(block, rc2_rfc2268[i].plain, 8);
		kssl_rc2_encrypt(&rc2, block);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(block, rc2_rfc2268[i].sealed, 8), 0, "%u", i);
		kssl_rc2_decrypt(&rc2, block);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(block, rc2_rfc2268[i].plain, 8), 0, "%u", i);
	}
}

/* RFC 6229 2: the key stream of 128 bits of key, at 0 and at 240. */
static void rc4(struct kunit *test)
{
	static const u8 key[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	static const u8 at_0[] = { 0x9a, 0xc7, 0xcc, 0x9a, 0x60, 0x9d, 0x1e, 0xf7,
				   0xb2, 0x93, 0x28, 0x99, 0xcd, 0xe4, 0x1b, 0x97 };
	static const u8 at_240[] = { 0x06, 0x59, 0x02, 0xe4, 0xb6, 0x20, 0xf6, 0xcc,
				     0x36, 0xc8, 0x58, 0x9f, 0x66, 0x43, 0x2f, 0x2b };
	struct kssl_rc4 rc4;
	u8 stream[16] = {};

	kssl_rc4_set_key(&rc4, key, sizeof(key));
	kssl_rc4_crypt(&rc4, stream, 16);
	KUNIT_EXPECT_EQ(test, memcmp(stream, at_0, 16), 0);
	kssl_rc4_skip(&rc4, 224);
	memset(stream, 0, 16);
	kssl_rc4_crypt(&rc4, stream, 16);
	KUNIT_EXPECT_EQ(test, memcmp(stream, at_240, 16), 0);
}

/* Opens the pair of records from @v on, each after damaged ones, which have to be no matter. */
static void check_open(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, at;
	u8 type;

	for (i = 0; i < 2; i++, v++) {
		for (at = KSSL_HEADER_LEN; at < v->record_len; at += 7) {
			memcpy(record, v->record, v->record_len);
			record[at] ^= 0x10;
			KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq, record, &type),
					    -EBADMSG, "%s, octet %u", v->name, at);
		}
		memcpy(record, v->record, v->record_len);
		KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq, record, &type),
				    v->content_len, "%s", v->name);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(record + KSSL_HEADER_LEN + e->prefix_len,
						 v->content, v->content_len), 0, "%s", v->name);
	}
}

/* Seals them, twice over: what was sealed in vain is taken back. */
static void check_seal(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, len;
	void *before;
	int ret;

	for (i = 0; i < 2; i++, v++) {
		KUNIT_ASSERT_EQ(test, kssl_epoch_save(e, &before), 0);
		KUNIT_EXPECT_EQ(test, !before, v->iv_len == 0 && e->suite->cipher->explicit_len);
		seal(test, e, v->seq, 0, v->type, v->content, v->content_len, record, 0);
		kssl_epoch_restore(e, before);
		kfree_sensitive(before);
		ret = seal(test, e, v->seq, 0, v->type, v->content, v->content_len, record, 3);
		KUNIT_EXPECT_EQ_MSG(test, ret, v->record_len, "%s", v->name);
		/* Where the IV is random only lengths are the same. */
		len = e->prefix_len ? KSSL_HEADER_LEN : v->record_len;
		KUNIT_EXPECT_EQ_MSG(test, memcmp(record, v->record, len), 0, "%s", v->name);
	}
}

static void openssl(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(legacy_openssl); i += 2) {
		check_open(test, &legacy_openssl[i]);
		check_seal(test, &legacy_openssl[i]);
	}
}

/* Every row, one record after the other, of all kinds of lengths and pieces. */
static void round_trip(struct kunit *test)
{
	static const unsigned int lens[] = { 0, 1, 7, 8, 9, 300, KSSL_MAX_PAYLOAD };
	u8 *content = buffer(test, KSSL_MAX_PAYLOAD);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, j, rows = 0;

	fill_bytes(content, KSSL_MAX_PAYLOAD);
	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];
		struct kssl_epoch *from, *to;

		if (!s->cipher->hash || (s->version == 0x0303 && !s->cipher->unit &&
					 s->cipher->explicit_len) || !first_with_cipher(s))
			continue;
		rows++;
		from = epoch_of_suite(test, s->id, s->version, 0);
		to = epoch_of_suite(test, s->id, s->version, 0);
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			u8 type;

			KUNIT_EXPECT_GT(test, seal(test, from, j, 0, 23, content, lens[j], record,
						   61), 0);
			KUNIT_EXPECT_EQ(test, record[2], s->version & 0xff);
			KUNIT_EXPECT_EQ_MSG(test, open_at(test, to, j, record, NULL, 53, 0, &type),
					    lens[j], "%04x of %04x", s->id, s->version);
			KUNIT_EXPECT_EQ(test, memcmp(record + KSSL_HEADER_LEN + to->prefix_len,
						     content, lens[j]), 0);
		}
	}
	KUNIT_EXPECT_GE(test, rows, 20);
}

static void locked(struct kunit *test)
{
	struct kssl_key key = { .size = sizeof(key), .version = 0x0303, .suite = 0x0005 };

	kssl_legacy = false;
	KUNIT_EXPECT_EQ(test, PTR_ERR(kssl_epoch_new(&key)), -EPERM);
	key.version = 0x0300;
	key.suite = 0x002f;
	KUNIT_EXPECT_EQ(test, PTR_ERR(kssl_epoch_new(&key)), -EPERM);
	/* Not locked, only not a key. */
	key.version = 0x0301;
	KUNIT_EXPECT_EQ(test, PTR_ERR(kssl_epoch_new(&key)), -EINVAL);
}

static struct kunit_case legacy_cases[] = {
	KUNIT_CASE(rc2),
	KUNIT_CASE(rc4),
	KUNIT_CASE(openssl),
	KUNIT_CASE(round_trip),
	KUNIT_CASE(locked),
	{}
};

static struct kunit_suite legacy_suite = {
	.name = "kssl_legacy",
	.test_cases = legacy_cases,
	.init = legacy_init,
	.exit = legacy_exit,
};

kunit_test_suite(legacy_suite);
