// SPDX-License-Identifier: GPL-2.0
/* Handshake messages: found again however they are split over records and joined in them. */
#include <kunit/test.h>
#include <linux/slab.h>
#include "../../kmod/message.c"

static const unsigned int bodies[] = { 0, 1, 5, 0, 0, 255, 256, 2, 1000, 1, 0 };

static unsigned int put_message(u8 *to, u8 type, unsigned int len)
{
	unsigned int i;

	to[0] = type;
	to[1] = len >> 16;
	to[2] = len >> 8;
	to[3] = len;
	for (i = 0; i < len; i++)
		to[KSSL_MESSAGE_HEADER_LEN + i] = type + 100 + i;
	return KSSL_MESSAGE_HEADER_LEN + len;
}

/* All of @bodies, one behind the other. */
static u8 *sequence(struct kunit *test, unsigned int *len)
{
	u8 *data = kunit_kzalloc(test, 4096, GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0, *len = 0; i < ARRAY_SIZE(bodies); i++)
		*len += put_message(data + *len, i + 1, bodies[i]);
	KUNIT_ASSERT_LE(test, *len, 4096U);
	return data;
}

/**
 * struct walk - over the sequence, and what has to come
 * @m: under test
 * @message: number of the message
 * @at: octets of it so far
 */
struct walk {
	struct kssl_message m;
	unsigned int message;
	unsigned int at;
};

/* Take one part of the sequence, as a record has it. */
static void take_part(struct kunit *test, struct walk *w, const u8 *data, unsigned int len)
{
	while (len) {
		unsigned int total = KSSL_MESSAGE_HEADER_LEN + bodies[w->message];
		bool whole = false;
		unsigned int n = kssl_message_take(&w->m, data, len, &whole);

		KUNIT_ASSERT_GE(test, n, 1U);
		KUNIT_ASSERT_LE(test, n, len);
		/* never past the end, and never past the header before it was seen */
		KUNIT_ASSERT_LE(test, w->at + n, total);
		if (w->at < KSSL_MESSAGE_HEADER_LEN)
			KUNIT_ASSERT_LE(test, w->at + n, (unsigned int)KSSL_MESSAGE_HEADER_LEN);
		w->at += n;
		KUNIT_EXPECT_EQ(test, w->m.have,
				min_t(unsigned int, w->at, KSSL_MESSAGE_HEADER_LEN));
		KUNIT_EXPECT_EQ(test, whole, w->at == total);
		KUNIT_EXPECT_EQ(test, kssl_message_is_open(&w->m), w->at < total);
		if (w->at >= KSSL_MESSAGE_HEADER_LEN) {
			KUNIT_EXPECT_EQ(test, w->m.header[0], w->message + 1);
			KUNIT_EXPECT_EQ(test, kssl_message_len(&w->m), bodies[w->message]);
			KUNIT_EXPECT_EQ(test, w->m.body, w->at - KSSL_MESSAGE_HEADER_LEN);
		}
		if (w->at > KSSL_MESSAGE_HEADER_LEN)
			KUNIT_EXPECT_EQ(test, w->m.first, w->message + 101);
		if (whole) {
			w->message++;
			w->at = 0;
		}
		data += n;
		len -= n;
	}
}

static void check_end(struct kunit *test, const struct walk *w)
{
	KUNIT_EXPECT_EQ(test, w->message, (unsigned int)ARRAY_SIZE(bodies));
	KUNIT_EXPECT_EQ(test, w->at, 0U);
	KUNIT_EXPECT_FALSE(test, kssl_message_is_open(&w->m));
}

/* Records of one length each, for every length. */
static void equal_parts(struct kunit *test)
{
	unsigned int len, step, at;
	u8 *data = sequence(test, &len);

	for (step = 1; step <= len; step++) {
		struct walk w = {};

		for (at = 0; at < len; at += step)
			take_part(test, &w, data + at, min(step, len - at));
		check_end(test, &w);
	}
}

/* Three records, cut at every pair of places around the first messages. */
static void two_cuts(struct kunit *test)
{
	unsigned int len, a, b;
	u8 *data = sequence(test, &len);

	for (a = 1; a < 40; a++)
		for (b = a + 1; b < 60; b++) {
			struct walk w = {};

			take_part(test, &w, data, a);
			take_part(test, &w, data + a, b - a);
			take_part(test, &w, data + b, len - b);
			check_end(test, &w);
		}
}

static void nothing_yet(struct kunit *test)
{
	struct kssl_message m = {};

	KUNIT_EXPECT_FALSE(test, kssl_message_is_open(&m));
}

/* RFC 8446 4: three octets of length. */
static void longest(struct kunit *test)
{
	u8 *data = kunit_kzalloc(test, KSSL_MAX_PAYLOAD, GFP_KERNEL);
	u32 left = (1 << 24) - 1;
	struct kssl_message m = {};
	bool whole;

	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_EXPECT_EQ(test, kssl_message_take(&m, "\13\377\377\377", 4, &whole), 4U);
	KUNIT_EXPECT_EQ(test, kssl_message_len(&m), left);
	while (left) {
		unsigned int n = min_t(u32, left, KSSL_MAX_PAYLOAD);

		KUNIT_ASSERT_FALSE(test, whole);
		/* more than there is left of it */
		KUNIT_ASSERT_EQ(test, kssl_message_take(&m, data, KSSL_MAX_PAYLOAD, &whole), n);
		left -= n;
	}
	KUNIT_EXPECT_TRUE(test, whole);
	/* what comes next is another one */
	KUNIT_EXPECT_EQ(test, kssl_message_take(&m, "\4\0\0\1", 4, &whole), 4U);
	KUNIT_EXPECT_FALSE(test, whole);
	KUNIT_EXPECT_EQ(test, kssl_message_len(&m), 1U);
	KUNIT_EXPECT_EQ(test, m.body, 0U);
}

static struct kunit_case message_cases[] = {
	KUNIT_CASE(equal_parts),
	KUNIT_CASE(two_cuts),
	KUNIT_CASE(nothing_yet),
	KUNIT_CASE(longest),
	{}
};

static struct kunit_suite message_suite = {
	.name = "kssl_message",
	.test_cases = message_cases,
};

kunit_test_suite(message_suite);
