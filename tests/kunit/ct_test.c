// SPDX-License-Identifier: GPL-2.0
/* Comparison and choice without branches, at the borders of what they promise. */
#include <kunit/test.h>
#include "../../kmod/ct.h"

/* ct_lt() and ct_eq() take what is below 2^31. */
static const u32 numbers[] = {
	0, 1, 2, 3, 15, 16, 127, 128, 254, 255, 256, 257, 16383, 16384, 18432, 65535, 65536,
	0x3fffffff, 0x40000000, 0x7ffffffe, 0x7fffffff,
};

static const u32 any[] = {
	0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0x12345678,
};

static void mask(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, ct_mask(0), 0);
	KUNIT_EXPECT_EQ(test, ct_mask(1), 0xffffffff);
}

static void lt_and_eq(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (j = 0; j < ARRAY_SIZE(numbers); j++) {
			u32 a = numbers[i], b = numbers[j];

			KUNIT_EXPECT_EQ_MSG(test, ct_lt(a, b), a < b ? 0xffffffff : 0, "%u, %u",
					    a, b);
			KUNIT_EXPECT_EQ_MSG(test, ct_eq(a, b), a == b ? 0xffffffff : 0, "%u, %u",
					    a, b);
		}
	}
}

/* All pairs of octets: what padding is made of. */
static void octets(struct kunit *test)
{
	unsigned int wrong = 0;
	u32 a, b;

	for (a = 0; a <= 256; a++) {
		for (b = 0; b <= 256; b++) {
			wrong += ct_lt(a, b) != (a < b ? 0xffffffff : 0);
			wrong += ct_eq(a, b) != (a == b ? 0xffffffff : 0);
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

static void choice(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(any); i++) {
		for (j = 0; j < ARRAY_SIZE(any); j++) {
			KUNIT_EXPECT_EQ(test, ct_select(0xffffffff, any[i], any[j]), any[i]);
			KUNIT_EXPECT_EQ(test, ct_select(0, any[i], any[j]), any[j]);
		}
	}
}

static struct kunit_case ct_cases[] = {
	KUNIT_CASE(mask),
	KUNIT_CASE(lt_and_eq),
	KUNIT_CASE(octets),
	KUNIT_CASE(choice),
	{}
};

static struct kunit_suite ct_suite = {
	.name = "kssl_ct",
	.test_cases = ct_cases,
};

kunit_test_suite(ct_suite);
