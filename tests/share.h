/* SPDX-License-Identifier: MIT */
/* Kernels that divide the variants of each test among them. */
#ifndef TESTS_SHARE_H
#define TESTS_SHARE_H

#include <stdio.h>
#include <stdlib.h>

/*
 * SHARE in the environment, "K/N": one of N runs of the same tests, which takes every N-th variant, or of a test that
 * has fewer than N variants one.  All N of them together take each variant.  Is the @i-th of @count variants of test
 * number @t among ours?
 */
static inline int share_has(unsigned int t, unsigned int i, unsigned int count)
{
	const char *share = getenv("SHARE");
	unsigned int k, n;

	if (!share)
		return 1;
	if (sscanf(share, "%u/%u", &k, &n) != 2 || !n) {
		printf("Bail out! SHARE is not K/N: %s\n", share);
		exit(2);
	}
	if (n > count)
		n = count;
	return i % n == (k + t) % n;
}

#endif
