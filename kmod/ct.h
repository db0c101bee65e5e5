/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Comparison and choice without a branch or an index that depends on the values.
 * Nothing else, so that a reader who looks for a timing leak knows where.  A mask
 * is all ones or all zeros.
 */
#ifndef _KSSL_CT_H
#define _KSSL_CT_H

#include <linux/compiler.h>
#include <linux/types.h>

/* Keep the compiler from finding out that it is 0 or ~0, and branching on it. */
static inline u32 ct_mask(u32 bit)
{
	u32 mask = -bit;

	OPTIMIZER_HIDE_VAR(mask);
	return mask;
}

/* a < b, both below 2^31 */
static inline u32 ct_lt(u32 a, u32 b)
{
	return ct_mask((a - b) >> 31);
}

/* a == b, both below 2^31 */
static inline u32 ct_eq(u32 a, u32 b)
{
	return ct_mask(((a ^ b) - 1) >> 31);
}

/* mask ? a : b */
static inline u32 ct_select(u32 mask, u32 a, u32 b)
{
	return (a & mask) | (b & ~mask);
}

/*
 * The end of secrecy: what everybody will know.  For tests that follow a secret
 * through the code and have to be told where it stops being one.
 */
#ifndef ct_public
#define ct_public(x)	(x)
#endif

#endif /* _KSSL_CT_H */
