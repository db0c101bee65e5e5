// SPDX-License-Identifier: GPL-2.0
/* AEAD records: vectors, every bit flipped, padding, limits, scattered buffers. */
#include <kunit/test.h>
#include "../../kmod/fmt_aead.c"
#include "../vectors/tls13_rfc8448.h"
#include "../vectors/gcm_openssl.h"
#include "../vectors/aead_openssl.h"
#include "../vectors/camellia_gnutls.h"
#include "fixture.h"

/* A record of TLS 1.3 with @inner as it is, padding and all. */
static void seal_inner(struct kunit *test, struct kssl_epoch *e, u64 seq, const u8 *inner,
		       unsigned int len, u8 *record)
{
	struct scatterlist *sg = scatter(test, record + KSSL_HEADER_LEN, len + 16, 0);

	memcpy(record + KSSL_HEADER_LEN, inner, len);
	record[0] = 23;
	record[1] = 3;
	record[2] = 3;
	put_unaligned_be16(len + 16, record + 3);
	memcpy(e->nonce, e->iv, 12);
	put_unaligned_be64(get_unaligned_be64(e->iv + 4) ^ seq, e->nonce + 4);
	memcpy(e->aad, record, 5);
	sg_set_buf(sg, e->aad, 5);
	KUNIT_ASSERT_EQ(test, kssl_crypt_aead(e, true, sg, sg, len), 0);
}

static void check_vector(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, v->record_len);
	u8 type = 0;
	int ret;

	ret = seal(test, e, v->seq, v->nonce, v->type, v->content, v->content_len, record, 0);
	KUNIT_EXPECT_EQ_MSG(test, ret, v->record_len, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(record, v->record, v->record_len), 0, "%s: sealed",
			    v->name);

	memcpy(record, v->record, v->record_len);
	ret = open_in_place(test, e, v->seq, record, &type);
	KUNIT_EXPECT_EQ_MSG(test, ret, v->content_len, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, type, v->type, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(record + KSSL_HEADER_LEN + e->prefix_len, v->content,
					 v->content_len), 0, "%s: opened", v->name);

	/* any other number is another nonce or other additional data */
	memcpy(record, v->record, v->record_len);
	KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq + 1, record, &type), -EBADMSG,
			    "%s: next number", v->name);
	memcpy(record, v->record, v->record_len);
	KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq ^ 1ULL << 63, record, &type),
			    -EBADMSG, "%s: far number", v->name);
}

static void rfc8448(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tls13_rfc8448); i++)
		check_vector(test, &tls13_rfc8448[i]);
}

static void openssl(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gcm_openssl); i++)
		check_vector(test, &gcm_openssl[i]);
	for (i = 0; i < ARRAY_SIZE(aead_openssl); i++)
		check_vector(test, &aead_openssl[i]);
}

static void gnutls(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(camellia_gnutls); i++)
		check_vector(test, &camellia_gnutls[i]);
}

/*
 * Whatever single bit is wrong, in header, explicit nonce, ciphertext or tag:
 * no content comes out, and where the header still parses it is EBADMSG.
 */
static void flip_all(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int bit;

	for (bit = 0; bit < v->record_len * 8; bit++) {
		struct kssl_record_header h;
		int want, ret;
		u8 type = 0;

		memset(record, 0, KSSL_RECORD_MAX);
		memcpy(record, v->record, v->record_len);
		record[bit / 8] ^= 1 << bit % 8;
		want = kssl_record_parse(record, e, &h) ?: -EBADMSG;
		ret = open_in_place(test, e, v->seq, record, &type);
		KUNIT_EXPECT_LT_MSG(test, want, 0, "%s: bit %u", v->name, bit);
		KUNIT_EXPECT_EQ_MSG(test, ret, want, "%s: bit %u", v->name, bit);
		if (bit >= KSSL_HEADER_LEN * 8)
			KUNIT_EXPECT_EQ_MSG(test, ret, -EBADMSG, "%s: bit %u", v->name, bit);
	}
}

static void flipped_bits(struct kunit *test)
{
	unsigned int i;

	flip_all(test, &tls13_rfc8448[1]);
	flip_all(test, &gcm_openssl[0]);
	flip_all(test, &gcm_openssl[3]);	/* empty record */
	for (i = 0; i < ARRAY_SIZE(aead_openssl); i++)
		flip_all(test, &aead_openssl[i]);
}

/* The type is authenticated although TLS 1.2 has it in the clear. */
static void type_is_bound(struct kunit *test)
{
	const struct kssl_record_vector *v = &gcm_openssl[0];
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, v->record_len);
	u8 type;

	memcpy(record, v->record, v->record_len);
	record[0] = 22;
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, v->seq, record, &type), -EBADMSG);
}

static void any_length(struct kunit *test, u16 suite, u16 version)
{
	static const unsigned int more[] = { 1000, 4095, 4096, 4097, 16383, 16384 };
	struct kssl_epoch *e = epoch_of_suite(test, suite, version, 0);
	u8 *content = buffer(test, KSSL_MAX_PAYLOAD);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, len;

	fill_bytes(content, KSSL_MAX_PAYLOAD);
	for (i = 0; i < 100 + ARRAY_SIZE(more); i++) {
		u64 number = (u64)i << 56 | i;
		u8 type = 0;
		int ret;

		len = i < 100 ? i : more[i - 100];
		ret = seal(test, e, number, ~number, 20 + i % 4, content, len, record, 0);
		KUNIT_EXPECT_EQ(test, ret, 5 + e->prefix_len + len + aead_suffix_len(e, len));
		KUNIT_EXPECT_EQ(test, record[0], version == 0x0304 ? 23 : 20 + i % 4);
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(record + 1), 0x0303);
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(record + 3), ret - 5);
		if (e->prefix_len)
			KUNIT_EXPECT_EQ(test, get_unaligned_be64(record + 5), ~number);
		ret = open_in_place(test, e, number, record, &type);
		KUNIT_EXPECT_EQ(test, ret, len);
		KUNIT_EXPECT_EQ(test, type, 20 + i % 4);
		KUNIT_EXPECT_EQ(test, memcmp(record + 5 + e->prefix_len, content, len), 0);
	}
}

static void round_trip(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i];

		if (s->cipher->fmt == &kssl_fmt_aead && first_with_cipher(s))
			any_length(test, s->id, s->version);
	}
}

/* RFC 8446 5.4 */
static void padding(struct kunit *test)
{
	static const unsigned int pads[] = {
		0, 1, 2, 3, 15, 16, 17, 61, 62, 63, 64, 65, 66, 126, 127, 128, 129, 255, 256,
		1000, 4096,
	};
	static const unsigned int lens[] = { 0, 1, 2, 63, 64, 65, 100 };
	struct kssl_epoch *e = epoch_of_suite(test, 0x1301, 0x0304, 0);
	u8 *inner = buffer(test, KSSL_RECORD_MAX);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(pads); i++) {
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			unsigned int len = lens[j];
			u8 type = 0;

			memset(inner, 0, KSSL_RECORD_MAX);
			/* content that ends in zeros is not padding */
			if (len)
				inner[0] = 0xcc;
			inner[len] = 23;
			seal_inner(test, e, i, inner, len + 1 + pads[i], record);
			KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, i, record, &type), len,
					    "%u bytes, %u of padding", len, pads[i]);
			KUNIT_EXPECT_EQ(test, type, 23);
			KUNIT_EXPECT_EQ(test, memcmp(record + 5, inner, len), 0);
		}
	}
}

/* Sealed: content and type come to a multiple, or to the limit. */
static void padded_to(struct kunit *test)
{
	static const u16 multiples[] = { 2, 16, 100, 4096, 16384 };
	static const u16 limits[] = { 63, 64, 511, 16384 };
	struct kssl_epoch *e = epoch_of_suite(test, 0x1301, 0x0304, 0);
	u8 *content = buffer(test, KSSL_MAX_PAYLOAD), *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, j, k;

	memset(content, 0xdd, KSSL_MAX_PAYLOAD);
	for (i = 0; i < ARRAY_SIZE(limits); i++)
		for (j = 0; j < ARRAY_SIZE(multiples); j++)
			for (k = 0; k < 5; k++) {
				unsigned int limit = limits[i] + 1, multiple = multiples[j];
				unsigned int len = k * (limits[i] / 4), inner;
				u8 type = 0;
				int ret;

				e->max_payload = limits[i];
				kssl_epoch_set_padding(e, multiple);
				memset(record, 0xee, KSSL_RECORD_MAX);
				ret = seal(test, e, k, 0, 22, content, len, record, k * 701);
				inner = ret - KSSL_HEADER_LEN - 16;
				KUNIT_EXPECT_LE(test, inner, limit);
				KUNIT_EXPECT_TRUE(test, inner == limit || inner % multiple == 0);
				KUNIT_EXPECT_LT(test, inner, len + 1 + multiple);
				ret = open_in_place(test, e, k, record, &type);
				KUNIT_EXPECT_EQ(test, ret, len);
				KUNIT_EXPECT_EQ(test, type, 22);
			}
	/* where records have none of their own, there is none */
	e = epoch_of_suite(test, 0xc02f, 0x0303, 0);
	kssl_epoch_set_padding(e, 4096);
	KUNIT_EXPECT_EQ(test, seal(test, e, 0, 0, 23, content, 1, record, 0),
			5 + 8 + 1 + 16);
}

/* Any octet but zero is a type; whether it is a legal one, others decide. */
static void inner_type(struct kunit *test)
{
	struct kssl_epoch *e = epoch_of_suite(test, 0x1301, 0x0304, 0);
	u8 *record = buffer(test, 256);
	unsigned int t;

	for (t = 1; t <= 255; t++) {
		u8 inner[3] = { 0xaa, t, 0 };
		u8 type = 0;

		seal_inner(test, e, t, inner, sizeof(inner), record);
		KUNIT_EXPECT_EQ(test, open_in_place(test, e, t, record, &type), 1);
		KUNIT_EXPECT_EQ(test, type, t);
	}
}

static void only_padding(struct kunit *test)
{
	static const unsigned int lens[] = { 1, 2, 63, 64, 65, 127, 128, 129, 16384, 16385 };
	struct kssl_epoch *e = epoch_of_suite(test, 0x1301, 0x0304, 0);
	u8 *inner = buffer(test, KSSL_RECORD_MAX);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i;
	u8 type;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		seal_inner(test, e, i, inner, lens[i], record);
		KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, i, record, &type), -EPROTO,
				    "%u zeros", lens[i]);
	}
}

/* RFC 8446 5.4: content, type and padding are 2^14 + 1 at most. */
static void limit_13(struct kunit *test)
{
	struct kssl_epoch *e = epoch_of_suite(test, 0x1301, 0x0304, 0);
	u8 *inner = buffer(test, KSSL_RECORD_MAX);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	u8 type = 0;

	fill_bytes(inner, 16500);
	inner[16384] = 23;
	seal_inner(test, e, 0, inner, 16385, record);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), 16384);

	/* one byte of content too many */
	inner[16385] = 23;
	seal_inner(test, e, 0, inner, 16386, record);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EMSGSIZE);

	/* the content would do, the padding does not */
	inner[16384] = 23;
	inner[16385] = 0;
	seal_inner(test, e, 0, inner, 16386, record);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EMSGSIZE);
	memset(inner + 100, 0, 16400);
	seal_inner(test, e, 0, inner, 16385, record);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), 99);

	/* the longest a record may be outside is still too long inside */
	seal_inner(test, e, 0, inner, 16384 + 256 - 16, record);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EMSGSIZE);
	/* but a forged one is a forged one first */
	record[100] ^= 1;
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EBADMSG);
}

/* RFC 5246 6.2.1 */
static void limit_12(struct kunit *test)
{
	struct kssl_epoch *e = epoch_of_suite(test, 0xc02f, 0x0303, 0);
	u8 *content = buffer(test, KSSL_RECORD_MAX);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	u8 type = 0;

	fill_bytes(content, KSSL_RECORD_MAX);
	seal(test, e, 0, 0, 23, content, 16384, record, 0);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), 16384);
	seal(test, e, 0, 0, 23, content, 16385, record, 0);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EMSGSIZE);
	seal(test, e, 0, 0, 23, content, 16384 + 2048 - 24, record, 0);
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EMSGSIZE);
	record[2000] ^= 1;
	KUNIT_EXPECT_EQ(test, open_in_place(test, e, 0, record, &type), -EBADMSG);
}

/* The same bytes however the buffers are cut up. */
static void check_scattered(struct kunit *test, u16 suite, u16 version, unsigned int len)
{
	static const unsigned int steps[] = { 1, 3, 7, 16, 31, 61, 255, 1021, 4096, 0 };
	unsigned int room = KSSL_HEADER_LEN + len + 64;
	struct kssl_epoch *e = epoch_of_suite(test, suite, version, 0);
	u8 *content = buffer(test, len);
	u8 *whole = buffer(test, room);
	u8 *record = buffer(test, room);
	u8 *out = buffer(test, room);
	unsigned int i, j;
	int sealed;

	fill_bytes(content, len);
	sealed = seal(test, e, 9, 9, 23, content, len, whole, 0);
	KUNIT_ASSERT_GT(test, sealed, 0);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		u8 type = 0;
		int ret;

		memset(record, 0, room);
		ret = seal(test, e, 9, 9, 23, content, len, record, steps[i]);
		KUNIT_EXPECT_EQ(test, ret, sealed);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(record, whole, room), 0, "segments of %u",
				    steps[i]);

		for (j = 0; j < ARRAY_SIZE(steps); j++) {
			memset(out, 0, room);
			ret = open_at(test, e, 9, record, out, steps[i], steps[j], &type);
			KUNIT_EXPECT_EQ_MSG(test, ret, len, "%u to %u", steps[i], steps[j]);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(out, content, len), 0, "%u to %u",
					    steps[i], steps[j]);
			KUNIT_EXPECT_EQ(test, memcmp(record, whole, room), 0);
		}
		ret = open_at(test, e, 9, record, NULL, steps[i], 0, &type);
		KUNIT_EXPECT_EQ(test, ret, len);
		KUNIT_EXPECT_EQ(test, memcmp(record + 5 + e->prefix_len, content, len), 0);
	}
}

static void scattered(struct kunit *test)
{
	check_scattered(test, 0x1301, 0x0304, 700);
	check_scattered(test, 0xc02f, 0x0303, 700);
	check_scattered(test, 0x1302, 0x0304, 5000);
	check_scattered(test, 0xc030, 0x0303, 5000);
	check_scattered(test, 0x1301, 0x0304, 1);
	check_scattered(test, 0x1303, 0x0304, 700);
	check_scattered(test, 0xcca8, 0x0303, 700);
	check_scattered(test, 0x1305, 0x0304, 700);
	check_scattered(test, 0xc0a1, 0x0303, 700);
	check_scattered(test, 0xc07a, 0x0303, 300);
	check_scattered(test, 0xc051, 0x0303, 300);
	check_scattered(test, 0x00c6, 0x0304, 300);
	check_scattered(test, 0x00c7, 0x0304, 300);
}

static struct kunit_case aead_cases[] = {
	KUNIT_CASE(rfc8448),
	KUNIT_CASE(openssl),
	KUNIT_CASE(gnutls),
	KUNIT_CASE(flipped_bits),
	KUNIT_CASE(type_is_bound),
	KUNIT_CASE(round_trip),
	KUNIT_CASE(padding),
	KUNIT_CASE(padded_to),
	KUNIT_CASE(inner_type),
	KUNIT_CASE(only_padding),
	KUNIT_CASE(limit_13),
	KUNIT_CASE(limit_12),
	KUNIT_CASE(scattered),
	{}
};

static struct kunit_suite aead_suite = {
	.name = "kssl_fmt_aead",
	.test_cases = aead_cases,
};

kunit_test_suite(aead_suite);
