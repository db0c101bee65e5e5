// SPDX-License-Identifier: GPL-2.0
/* Record headers: every type, every version, every length at its limits. */
#include <kunit/test.h>
#include "../../kmod/record.c"

static const u16 some_versions[] = {
	0x0002, 0x0200, 0x02ff, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0305, 0x03ff,
	0x0400, 0x7f12, 0xfefd, 0xffff,
};

/* An epoch with what the parser reads, and no key. */
static struct kssl_epoch *epoch(struct kunit *test, u16 version)
{
	struct kssl_epoch *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->ver = kssl_version_find(version);
	KUNIT_ASSERT_NOT_NULL(test, e->ver);
	e->suite = kssl_suite_find(version == 0x0304 ? 0x1301 : 0xc02f, version);
	KUNIT_ASSERT_NOT_NULL(test, e->suite);
	e->prefix_len = version == 0x0304 ? 0 : 8;
	e->trailer_len = 16;
	e->max_payload = KSSL_MAX_PAYLOAD;
	return e;
}

static int parse(struct kssl_epoch *e, u8 type, u16 version, unsigned int len)
{
	u8 wire[5] = { type, version >> 8, version, len >> 8, len };
	struct kssl_record_header h = {};
	int ret = kssl_record_parse(wire, e, &h);

	if (!ret && (h.type != type || h.version != version || h.header_len != 5 ||
		     h.body_len != len))
		return -EBADE;
	return ret;
}

static int parse_plain(u8 type, u16 version, unsigned int len)
{
	u8 wire[5] = { type, version >> 8, version, len >> 8, len };
	struct kssl_record_header h = {};
	int ret = kssl_record_parse_plain(wire, false, &h);

	if (!ret && (h.type != type || h.version != version || h.header_len != 5 ||
		     h.body_len != len))
		return -EBADE;
	return ret;
}

/* @len counts from the second octet pair on, as the SSLv2 header does. */
static int parse_ssl2(bool allow, unsigned int len, u8 msg_type, u8 major, u8 minor,
		      struct kssl_record_header *h)
{
	u8 wire[5] = { 0x80 | len >> 8, len, msg_type, major, minor };

	return kssl_record_parse_plain(wire, allow, h);
}

/* RFC 5246 6.2.1: 20 to 23. RFC 8446 5.2: only 23 on the outside. */
static void type(struct kunit *test)
{
	struct kssl_epoch *e12 = epoch(test, 0x0303);
	struct kssl_epoch *e13 = epoch(test, 0x0304);
	unsigned int t;

	for (t = 0; t <= 255; t++) {
		KUNIT_EXPECT_EQ_MSG(test, parse(e12, t, 0x0303, 100),
				    t >= 20 && t <= 23 ? 0 : -EPROTO, "type %u", t);
		KUNIT_EXPECT_EQ_MSG(test, parse(e13, t, 0x0303, 100),
				    t == 23 ? 0 : -EPROTO, "type %u", t);
		KUNIT_EXPECT_EQ_MSG(test, parse_plain(t, 0x0303, 100),
				    t >= 20 && t <= 23 ? 0 : -EPROTO, "type %u", t);
	}
}

static void version(struct kunit *test)
{
	struct kssl_epoch *e12 = epoch(test, 0x0303);
	struct kssl_epoch *e13 = epoch(test, 0x0304);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some_versions); i++) {
		u16 v = some_versions[i];

		KUNIT_EXPECT_EQ_MSG(test, parse(e12, 23, v, 100),
				    v == 0x0303 ? 0 : -EPROTONOSUPPORT, "%04x", v);
		/* RFC 8446 5.1: MUST be ignored for all purposes */
		KUNIT_EXPECT_EQ_MSG(test, parse(e13, 23, v, 100), 0, "%04x", v);
		/* A first ClientHello may say 0x0301 and mean 1.3 (RFC 8446 5.1). */
		KUNIT_EXPECT_EQ_MSG(test, parse_plain(22, v, 100),
				    v >> 8 == 3 ? 0 : -EPROTONOSUPPORT, "%04x", v);
	}
}

static void length_12(struct kunit *test)
{
	struct kssl_epoch *e = epoch(test, 0x0303);
	unsigned int i;

	for (i = 0; i < 24; i++)
		KUNIT_EXPECT_EQ_MSG(test, parse(e, 23, 0x0303, i), -EBADMSG, "%u", i);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 24), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 25), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 24), 0);
	/* RFC 5246 6.2.3: 2^14 + 2048 */
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 2047), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 2048), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 2049), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 32768), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 65535), -EMSGSIZE);
}

static void length_13(struct kunit *test)
{
	struct kssl_epoch *e = epoch(test, 0x0304);
	unsigned int i;

	for (i = 0; i < 17; i++)
		KUNIT_EXPECT_EQ_MSG(test, parse(e, 23, 0x0303, i), -EBADMSG, "%u", i);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 17), 0);
	/* RFC 8446 5.2: 2^14 + 256 */
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 255), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 256), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16384 + 257), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 65535), -EMSGSIZE);
}

/* RFC 6066 4: what cannot be within the limit is not to be decrypted. */
static void length_limited(struct kunit *test)
{
	struct kssl_epoch *e = epoch(test, 0x0303);

	e->max_payload = 512;
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 8 + 512 + 16), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 8 + 512 + 16 + 1), -EMSGSIZE);
	e->max_payload = 16383;
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 8 + 16383 + 16), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 8 + 16384 + 16), -EMSGSIZE);
	/* its octet of type comes to it, padding does not */
	e = epoch(test, 0x0304);
	e->max_payload = 63;
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 64 + 16), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 64 + 16 + 1), -EMSGSIZE);
	/* with AES_128_CBC_SHA there is an IV, and up to 256 octets of padding */
	e = epoch(test, 0x0303);
	e->suite = kssl_suite_find(0xc013, 0x0303);
	KUNIT_ASSERT_NOT_NULL(test, e->suite);
	e->prefix_len = 16;
	e->trailer_len = 0;
	e->max_payload = 508;
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16 + 508 + 20 + 256), 0);
	KUNIT_EXPECT_EQ(test, parse(e, 23, 0x0303, 16 + 508 + 20 + 256 + 16), -EMSGSIZE);
}

static void length_plain(struct kunit *test)
{
	/* RFC 5246 6.2.1, RFC 8446 5.1: no empty handshake or alert record */
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 0), -EPROTO);
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 1), 0);
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 16384), 0);
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 16384 + 2048), 0);
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 16384 + 2049), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0303, 65535), -EMSGSIZE);
}

/* RFC 5246 E.2 */
static void ssl2(struct kunit *test)
{
	struct kssl_record_header h = {};
	unsigned int i;

	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 46, 1, 3, 1, &h), 0);
	KUNIT_EXPECT_EQ(test, h.type, 22);
	KUNIT_EXPECT_EQ(test, h.version, 0x0301);
	KUNIT_EXPECT_EQ(test, h.header_len, 2);
	KUNIT_EXPECT_EQ(test, h.body_len, 46);

	KUNIT_EXPECT_EQ(test, parse_ssl2(false, 46, 1, 3, 1, &h), -EPROTO);
	for (i = 0; i <= 255; i++) {
		KUNIT_EXPECT_EQ_MSG(test, parse_ssl2(true, 46, i, 3, 1, &h),
				    i == 1 ? 0 : -EPROTO, "message type %u", i);
		KUNIT_EXPECT_EQ_MSG(test, parse_ssl2(true, 46, 1, i, 2, &h),
				    i == 3 ? 0 : -EPROTO, "major version %u", i);
	}
	/* SSL 2.0 itself */
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 46, 1, 0, 2, &h), -EPROTO);

	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 0, 1, 3, 3, &h), -EPROTO);
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 24, 1, 3, 3, &h), -EPROTO);
	/* one cipher spec of three octets, challenge of 16: the shortest that is real */
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 28, 1, 3, 3, &h), 0);
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 16384, 1, 3, 3, &h), 0);
	KUNIT_EXPECT_EQ(test, h.body_len, 16384);
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 16385, 1, 3, 3, &h), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse_ssl2(true, 32767, 1, 3, 3, &h), -EMSGSIZE);

	/* what is not SSLv2 is read as usual even where SSLv2 would be welcome */
	KUNIT_EXPECT_EQ(test, parse_plain(22, 0x0301, 1), 0);
}

/* No five octets make the parser read, or claim, more than a record may have. */
static void any_header(struct kunit *test)
{
	struct kssl_epoch *e12 = epoch(test, 0x0303);
	struct kssl_epoch *e13 = epoch(test, 0x0304);
	unsigned int bad = 0;
	u64 x = 88172645463325252ULL;
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		struct kssl_record_header h;
		u8 wire[5];

		/* xorshift: the same headers on every run */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		put_unaligned_be32(x >> 32, wire);
		wire[4] = x;
		if (i & 1)
			wire[0] = 20 + (wire[0] & 7);
		if (i & 2)
			wire[1] = 3;
		if (i & 4)
			wire[2] = 3;

		if (!kssl_record_parse(wire, e12, &h))
			bad += h.header_len + h.body_len > KSSL_RECORD_MAX || h.body_len < 24;
		if (!kssl_record_parse(wire, e13, &h))
			bad += h.header_len + h.body_len > KSSL_RECORD_MAX || h.body_len < 17;
		if (!kssl_record_parse_plain(wire, i & 8, &h))
			bad += h.header_len + h.body_len > KSSL_RECORD_MAX || !h.body_len;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* For the kTLS front: any type, the length is looked at before the version, 1.3 has one too. */
static void any_type(struct kunit *test)
{
	struct kssl_epoch *e12 = epoch(test, 0x0303), *e13 = epoch(test, 0x0304);
	unsigned int t;

	e12->any_type = true;
	e13->any_type = true;
	for (t = 0; t < 256; t++) {
		KUNIT_EXPECT_EQ_MSG(test, parse(e12, t, 0x0303, 100), 0, "%u", t);
		KUNIT_EXPECT_EQ_MSG(test, parse(e13, t, 0x0303, 100), 0, "%u", t);
	}
	KUNIT_EXPECT_EQ(test, parse(e12, 0x55, 0x5555, 0x5555), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(e13, 0x55, 0x5555, 0x5555), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(e12, 23, 0x0303, 23), -EBADMSG);
	KUNIT_EXPECT_EQ(test, parse(e13, 23, 0x0303, 16), -EBADMSG);
	KUNIT_EXPECT_EQ(test, parse(e12, 23, 0x0301, 100), -EPROTONOSUPPORT);
	KUNIT_EXPECT_EQ(test, parse(e13, 23, 0x0304, 100), -EPROTONOSUPPORT);
}

static void build(struct kunit *test)
{
	static const u8 want[] = { 23, 3, 3, 0x40, 0x18 };
	static const u8 other[] = { 22, 3, 1, 0, 1 };
	u8 wire[6] = { [5] = 0xee };

	kssl_record_build(wire, 23, 0x0303, 16384 + 24);
	KUNIT_EXPECT_EQ(test, memcmp(wire, want, 5), 0);
	kssl_record_build(wire, 22, 0x0301, 1);
	KUNIT_EXPECT_EQ(test, memcmp(wire, other, 5), 0);
	KUNIT_EXPECT_EQ(test, wire[5], 0xee);
}

static struct kunit_case record_cases[] = {
	KUNIT_CASE(type),
	KUNIT_CASE(version),
	KUNIT_CASE(length_12),
	KUNIT_CASE(length_13),
	KUNIT_CASE(length_limited),
	KUNIT_CASE(length_plain),
	KUNIT_CASE(ssl2),
	KUNIT_CASE(any_header),
	KUNIT_CASE(any_type),
	KUNIT_CASE(build),
	{}
};

static struct kunit_suite record_suite = {
	.name = "kssl_record",
	.test_cases = record_cases,
};

kunit_test_suite(record_suite);

MODULE_DESCRIPTION("kssl unit tests");
MODULE_LICENSE("GPL");
