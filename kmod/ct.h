/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Comparison and choice without a branch or an index that depends on the values.
 * Nothing else, so that a reader who looks for a timing leak knows where.  A mask
 * is all ones or all zeros.
 *
 * Shifts by a secret are as fast as others on the processors this runs on.
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

/* a == 0 */
static inline u32 ct_zero(u32 a)
{
	return ct_mask(~(a | -a) >> 31);
}

/* The same mask for 64 bits. */
static inline u64 ct_wide(u32 mask)
{
	return (u64)mask << 32 | mask;
}

/*
 * A mask of the octets of a little-endian word that come before @end, if the first
 * one is at @pos; both below 2^31.  @ends: whether @end is in this word.
 */
static inline u64 ct_octets_before(u32 pos, u32 end, u32 *ends)
{
	u32 reached, octets;

	/* Lest a loop over @pos be turned into one that counts what is left. */
	OPTIMIZER_HIDE_VAR(pos);
	reached = ~ct_lt(end, pos);
	octets = (end - pos) & reached;

	*ends = ct_lt(octets, 8) & reached;
	return (ct_wide(reached) & ct_wide(~ct_lt(octets, 8))) |
	       (ct_wide(*ends) & ((1ULL << (octets & 7) * 8) - 1));
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
