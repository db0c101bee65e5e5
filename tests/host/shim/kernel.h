/* SPDX-License-Identifier: MIT */
/*
 * What the pure files of kmod use of the kernel, for user space.  Included before everything else, as compat.h is in
 * the kernel; the headers that they name exist as empty files (see the Makefile here).
 */
#ifndef SHIM_KERNEL_H
#define SHIM_KERNEL_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#ifdef SHIM_MEMCHECK
#include <valgrind/memcheck.h>

/* The end of secrecy, see ct.h: memcheck takes what was marked for undefined, and may now see it used. */
#define ct_public(x) ({ typeof(x) x_ = (x); VALGRIND_MAKE_MEM_DEFINED(&x_, sizeof(x_)); x_; })
#else
#define ct_public(x)	(x)
#endif

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define U64_MAX			UINT64_MAX
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define static_assert(fact)	_Static_assert(fact, #fact)
#define min(a, b)		({ typeof(a) a_ = (a); typeof(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define roundup(n, to)		(DIV_ROUND_UP(n, to) * (to))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define swap(a, b)		do { typeof(a) a_ = (a); (a) = (b); (b) = a_; } while (0)
#define rol16(v, n)		((u16)((u16)(v) << (n) | (u16)(v) >> (16 - (n))))
#define ror16(v, n)		rol16(v, 16 - (n))
#define container_of(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))

/* A prover knows no inline assembly, and has no optimizer that would have to be told to forget. */
#ifdef SHIM_PROOF
#define OPTIMIZER_HIDE_VAR(var)	do { } while (0)
#else
#define OPTIMIZER_HIDE_VAR(var)	asm("" : "=r" (var) : "0" (var))
#endif

/* ---- errors in pointers ---- */

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *p)
{
	return (long)p;
}

static inline bool IS_ERR(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)-4095;
}

static inline int PTR_ERR_OR_ZERO(const void *p)
{
	return IS_ERR(p) ? PTR_ERR(p) : 0;
}

void shim_assert(bool fact);

/* ---- memory ---- */

#define GFP_KERNEL		0

void shim_zero(void *p, size_t len);
void shim_free_sensitive(void *p);

#define kzalloc(len, gfp)	calloc(1, len)
#define kmalloc(len, gfp)	malloc(len)
#define kfree(p)		free(p)
#define kfree_sensitive(p)	shim_free_sensitive(p)
#define memzero_explicit(p, len)	shim_zero(p, len)

/* A prover wants to know where it is. */
#ifdef SHIM_PROOF
static u8 shim_copy[512];
#define shim_place(len)	shim_copy
#else
#define shim_place(len)	malloc(len)
#endif

static inline void *kmemdup(const void *p, size_t len, int gfp)
{
	void *copy = shim_place(len);

	return copy ? memcpy(copy, p, len) : NULL;
}

static inline void *memchr_inv(const void *p, int c, size_t len)
{
	const u8 *at = p;

	for (; len; len--, at++)
		if (*at != (u8)c)
			return (void *)at;
	return NULL;
}

static inline unsigned long crypto_memneq(const void *a, const void *b, size_t len)
{
	const u8 *x = a, *y = b;
	u8 differs = 0;

	while (len--)
		differs |= *x++ ^ *y++;
	return ct_public(differs);
}

void get_random_bytes(void *to, size_t len);

static inline u16 get_unaligned_be16(const void *p)
{
	const u8 *b = p;

	return b[0] << 8 | b[1];
}

static inline u64 get_unaligned_be64(const void *p)
{
	const u8 *b = p;
	u64 v = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

static inline u16 get_unaligned_le16(const void *p)
{
	const u8 *b = p;

	return b[1] << 8 | b[0];
}

static inline u64 get_unaligned_le64(const void *p)
{
	const u8 *octets = p;
	u64 v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | octets[i];
	return v;
}

static inline void put_unaligned_be16(u16 v, void *p)
{
	u8 *b = p;

	b[0] = v >> 8;
	b[1] = v;
}

static inline void put_unaligned_be32(u32 v, void *p)
{
	put_unaligned_be16(v >> 16, p);
	put_unaligned_be16(v, (u8 *)p + 2);
}

static inline void put_unaligned_be64(u64 v, void *p)
{
	put_unaligned_be32(v >> 32, p);
	put_unaligned_be32(v, (u8 *)p + 4);
}

static inline void put_unaligned_le16(u16 v, void *p)
{
	u8 *b = p;

	b[0] = v;
	b[1] = v >> 8;
}

static inline void put_unaligned_le32(u32 v, void *p)
{
	put_unaligned_le16(v, p);
	put_unaligned_le16(v >> 16, (u8 *)p + 2);
}

static inline void put_unaligned_le64(u64 v, void *p)
{
	u8 *octets = p;
	int i;

	for (i = 0; i < 8; i++, v >>= 8)
		octets[i] = v;
}

#define refcount_t struct shim_refcount

refcount_t {
	int n;
};

static inline void refcount_set(refcount_t *r, int n)
{
	r->n = n;
}

static inline void refcount_inc(refcount_t *r)
{
	r->n++;
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	return !--r->n;
}

struct list_head {
	struct list_head *next, *prev;
};

/* ---- scatterlists: as the kernel's, but for memory that is mapped anyway ---- */

struct scatterlist {
	u8 *buf;
	unsigned int length;
	bool last;
};

static inline void sg_init_table(struct scatterlist *sg, unsigned int entries)
{
	memset(sg, 0, entries * sizeof(*sg));
	sg[entries - 1].last = true;
}

static inline void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg->buf = (u8 *)buf;
	sg->length = len;
}

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->last ? NULL : sg + 1;
}

static inline unsigned int sg_nents(struct scatterlist *sg)
{
	unsigned int n = 0;

	for (; sg; sg = sg_next(sg))
		n++;
	return n;
}

static inline void *sg_virt(struct scatterlist *sg)
{
	return sg->buf;
}

static inline void scatterwalk_map_and_copy(void *buf, struct scatterlist *sg, unsigned int start,
					    unsigned int len, int out)
{
	u8 *at = buf;

	for (; len; sg = sg_next(sg)) {
		unsigned int n;

		if (start >= sg->length) {
			start -= sg->length;
			continue;
		}
		n = min(len, sg->length - start);
		if (out)
			memcpy(sg->buf + start, at, n);
		else
			memcpy(at, sg->buf + start, n);
		at += n;
		len -= n;
		start = 0;
	}
}

static inline void sg_zero_buffer(struct scatterlist *sg, unsigned int entries, unsigned int len,
				  unsigned int start)
{
	u8 zero = 0;

	shim_assert(entries == sg_nents(sg));
	for (; len; len--)
		scatterwalk_map_and_copy(&zero, sg, start++, 1, 1);
}

/* ---- the hash library of newer kernels, which hash.c can work with ---- */

#define KSSL_COMPAT_HASH_LIBRARY

/* FIPS 180-4 5.3.1, 5.3.3, 5.3.4 */
#define SHA1_H0		0x67452301U
#define SHA1_H1		0xefcdab89U
#define SHA1_H2		0x98badcfeU
#define SHA1_H3		0x10325476U
#define SHA1_H4		0xc3d2e1f0U
#define SHA256_H0	0x6a09e667U
#define SHA256_H1	0xbb67ae85U
#define SHA256_H2	0x3c6ef372U
#define SHA256_H3	0xa54ff53aU
#define SHA256_H4	0x510e527fU
#define SHA256_H5	0x9b05688cU
#define SHA256_H6	0x1f83d9abU
#define SHA256_H7	0x5be0cd19U
#define SHA384_H0	0xcbbb9d5dc1059ed8ULL
#define SHA384_H1	0x629a292a367cd507ULL
#define SHA384_H2	0x9159015a3070dd17ULL
#define SHA384_H3	0x152fecd8f70e5939ULL
#define SHA384_H4	0x67332667ffc00b31ULL
#define SHA384_H5	0x8eb44a8768581511ULL
#define SHA384_H6	0xdb0c2e0d64f98fa7ULL
#define SHA384_H7	0x47b5481dbefa4fa4ULL

/* RFC 1321 3.3 */
#define MD5_H0		0x67452301U
#define MD5_H1		0xefcdab89U
#define MD5_H2		0x98badcfeU
#define MD5_H3		0x10325476U

struct md5_ctx {
	struct { u32 h[4]; } state;
};

struct sha1_ctx {
	struct { u32 h[5]; } state;
};

struct __sha256_ctx {
	struct { u32 h[8]; } state;
};

struct __sha512_ctx {
	struct { u64 h[8]; } state;
};

/* Whole blocks only, which is all that hash.c asks for. */
void md5_update(struct md5_ctx *ctx, const u8 *data, size_t len);
void sha1_update(struct sha1_ctx *ctx, const u8 *data, size_t len);
void __sha256_update(struct __sha256_ctx *ctx, const u8 *data, size_t len);
void __sha512_update(struct __sha512_ctx *ctx, const u8 *data, size_t len);

#endif
