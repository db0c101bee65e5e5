// SPDX-License-Identifier: GPL-2.0
/*
 * RC2 (RFC 2268), which no kernel has, and RC4, which kernels have as a module that
 * whoever loads this one by insmod would have to load before.  For suites that the
 * parameter "legacy" unlocks, and for nothing else: both are broken.
 */
#include <crypto/scatterwalk.h>
#include "record.h"

#define CHUNK	256

/* ---- RC2 ---- */

/* RFC 2268 2 */
static const u8 pitable[256] = {
	0xd9, 0x78, 0xf9, 0xc4, 0x19, 0xdd, 0xb5, 0xed,
	0x28, 0xe9, 0xfd, 0x79, 0x4a, 0xa0, 0xd8, 0x9d,
	0xc6, 0x7e, 0x37, 0x83, 0x2b, 0x76, 0x53, 0x8e,
	0x62, 0x4c, 0x64, 0x88, 0x44, 0x8b, 0xfb, 0xa2,
	0x17, 0x9a, 0x59, 0xf5, 0x87, 0xb3, 0x4f, 0x13,
	0x61, 0x45, 0x6d, 0x8d, 0x09, 0x81, 0x7d, 0x32,
	0xbd, 0x8f, 0x40, 0xeb, 0x86, 0xb7, 0x7b, 0x0b,
	0xf0, 0x95, 0x21, 0x22, 0x5c, 0x6b, 0x4e, 0x82,
	0x54, 0xd6, 0x65, 0x93, 0xce, 0x60, 0xb2, 0x1c,
	0x73, 0x56, 0xc0, 0x14, 0xa7, 0x8c, 0xf1, 0xdc,
	0x12, 0x75, 0xca, 0x1f, 0x3b, 0xbe, 0xe4, 0xd1,
	0x42, 0x3d, 0xd4, 0x30, 0xa3, 0x3c, 0xb6, 0x26,
	0x6f, 0xbf, 0x0e, 0xda, 0x46, 0x69, 0x07, 0x57,
	0x27, 0xf2, 0x1d, 0x9b, 0xbc, 0x94, 0x43, 0x03,
	0xf8, 0x11, 0xc7, 0xf6, 0x90, 0xef, 0x3e, 0xe7,
	0x06, 0xc3, 0xd5, 0x2f, 0xc8, 0x66, 0x1e, 0xd7,
	0x08, 0xe8, 0xea, 0xde, 0x80, 0x52, 0xee, 0xf7,
	0x84, 0xaa, 0x72, 0xac, 0x35, 0x4d, 0x6a, 0x2a,
	0x96, 0x1a, 0xd2, 0x71, 0x5a, 0x15, 0x49, 0x74,
	0x4b, 0x9f, 0xd0, 0x5e, 0x04, 0x18, 0xa4, 0xec,
	0xc2, 0xe0, 0x41, 0x6e, 0x0f, 0x51, 0xcb, 0xcc,
	0x24, 0x91, 0xaf, 0x50, 0xa1, 0xf4, 0x70, 0x39,
	0x99, 0x7c, 0x3a, 0x85, 0x23, 0xb8, 0xb4, 0x7a,
	0xfc, 0x02, 0x36, 0x5b, 0x25, 0x55, 0x97, 0x31,
	0x2d, 0x5d, 0xfa, 0x98, 0xe3, 0x8a, 0x92, 0xae,
	0x05, 0xdf, 0x29, 0x10, 0x67, 0x6c, 0xba, 0xc9,
	0xd3, 0x00, 0xe6, 0xcf, 0xe1, 0x9e, 0xa8, 0x2c,
	0x63, 0x16, 0x01, 0x3f, 0x58, 0xe2, 0x89, 0xa9,
	0x0d, 0x38, 0x34, 0x1b, 0xab, 0x33, 0xff, 0xb0,
	0xbb, 0x48, 0x0c, 0x5f, 0xb9, 0xb1, 0xcd, 0x2e,
	0xc5, 0xf3, 0xdb, 0x47, 0xe5, 0xa5, 0x9c, 0x77,
	0x0a, 0xa6, 0x20, 0x68, 0xfe, 0x7f, 0xc1, 0xad,
};

/**
 * kssl_rc2_set_key() - expand a key (RFC 2268 2)
 * @rc2: (out)
 * @key: key
 * @len: bytes of it, 1 to 128
 * @bits: effective length, 1 to 1024
 */
void kssl_rc2_set_key(struct kssl_rc2 *rc2, const u8 *key, unsigned int len, unsigned int bits)
{
	unsigned int bytes = DIV_ROUND_UP(bits, 8);
	u8 l[128];
	int i;

	memcpy(l, key, len);
	for (i = len; i < 128; i++)
		l[i] = pitable[(u8)(l[i - 1] + l[i - len])];
	l[128 - bytes] = pitable[l[128 - bytes] & (0xff >> (8 * bytes - bits))];
	for (i = 127 - bytes; i >= 0; i--)
		l[i] = pitable[l[i + 1] ^ l[i + bytes]];
	for (i = 0; i < 64; i++)
		rc2->k[i] = get_unaligned_le16(l + 2 * i);
	memzero_explicit(l, sizeof(l));
}

/* RFC 2268 3: after the fifth and the eleventh of 16 rounds of mixing comes one of mashing. */
static bool is_before_mash(unsigned int round)
{
	return round == 4 || round == 10;
}

static const u8 turns[4] = { 1, 2, 3, 5 };

/**
 * kssl_rc2_encrypt() - one block (RFC 2268 3)
 * @rc2: key
 * @block: (in, out) KSSL_WEAK_BLOCK octets
 */
void kssl_rc2_encrypt(const struct kssl_rc2 *rc2, u8 *block)
{
	unsigned int round, i;
	u16 r[4];

	for (i = 0; i < 4; i++)
		r[i] = get_unaligned_le16(block + 2 * i);
	for (round = 0; round < 16; round++) {
		for (i = 0; i < 4; i++) {
			u16 a = r[(i + 3) % 4], b = r[(i + 2) % 4], c = r[(i + 1) % 4];

			r[i] = rol16(r[i] + rc2->k[4 * round + i] + (a & b) + (~a & c), turns[i]);
		}
		for (i = 0; is_before_mash(round) && i < 4; i++)
			r[i] += rc2->k[r[(i + 3) % 4] & 63];
	}
	for (i = 0; i < 4; i++)
		put_unaligned_le16(r[i], block + 2 * i);
}

/**
 * kssl_rc2_decrypt() - one block (RFC 2268 4)
 * @rc2: key
 * @block: (in, out) KSSL_WEAK_BLOCK octets
 */
void kssl_rc2_decrypt(const struct kssl_rc2 *rc2, u8 *block)
{
	int round, i;
	u16 r[4];

	for (i = 0; i < 4; i++)
		r[i] = get_unaligned_le16(block + 2 * i);
	for (round = 15; round >= 0; round--) {
		for (i = 3; is_before_mash(round) && i >= 0; i--)
			r[i] -= rc2->k[r[(i + 3) % 4] & 63];
		for (i = 3; i >= 0; i--) {
			u16 a = r[(i + 3) % 4], b = r[(i + 2) % 4], c = r[(i + 1) % 4];

			r[i] = ror16(r[i], turns[i]) - rc2->k[4 * round + i] - (a & b) - (~a & c);
		}
	}
	for (i = 0; i < 4; i++)
		put_unaligned_le16(r[i], block + 2 * i);
}

static void encrypt_chunk(const struct kssl_rc2 *rc2, u8 *data, unsigned int len, u8 *iv)
{
	for (; len; data += KSSL_WEAK_BLOCK, len -= KSSL_WEAK_BLOCK) {
		put_unaligned_le64(get_unaligned_le64(data) ^ get_unaligned_le64(iv), data);
		kssl_rc2_encrypt(rc2, data);
		memcpy(iv, data, KSSL_WEAK_BLOCK);
	}
}

static void decrypt_chunk(const struct kssl_rc2 *rc2, u8 *data, unsigned int len, u8 *iv)
{
	for (; len; data += KSSL_WEAK_BLOCK, len -= KSSL_WEAK_BLOCK) {
		u64 sealed = get_unaligned_le64(data);

		kssl_rc2_decrypt(rc2, data);
		put_unaligned_le64(get_unaligned_le64(data) ^ get_unaligned_le64(iv), data);
		put_unaligned_le64(sealed, iv);
	}
}

/**
 * kssl_rc2_cbc() - CBC over a scatterlist
 * @rc2: key
 * @encrypt: direction
 * @src: input
 * @dst: output; may be @src
 * @len: bytes, whole blocks
 * @iv: (in, out) initial value, then the last block of ciphertext
 */
void kssl_rc2_cbc(const struct kssl_rc2 *rc2, bool encrypt, struct scatterlist *src,
		  struct scatterlist *dst, unsigned int len, u8 *iv)
{
	unsigned int pos, n;
	u8 chunk[CHUNK];

	for (pos = 0; pos < len; pos += n) {
		n = min_t(unsigned int, len - pos, CHUNK);
		scatterwalk_map_and_copy(chunk, src, pos, n, 0);
		if (encrypt)
			encrypt_chunk(rc2, chunk, n, iv);
		else
			decrypt_chunk(rc2, chunk, n, iv);
		scatterwalk_map_and_copy(chunk, dst, pos, n, 1);
	}
	memzero_explicit(chunk, sizeof(chunk));
}

/* ---- RC4 ---- */

/**
 * kssl_rc4_set_key() - begin with a key
 * @rc4: (out)
 * @key: key
 * @len: bytes of it, 1 to 256
 */
void kssl_rc4_set_key(struct kssl_rc4 *rc4, const u8 *key, unsigned int len)
{
	unsigned int i;
	u8 j = 0;

	for (i = 0; i < 256; i++)
		rc4->s[i] = i;
	for (i = 0; i < 256; i++) {
		j += rc4->s[i] + key[i % len];
		swap(rc4->s[i], rc4->s[j]);
	}
	rc4->i = 0;
	rc4->j = 0;
}

/**
 * kssl_rc4_crypt() - en- or decrypt the next octets
 * @rc4: state
 * @data: (in, out) octets
 * @len: how many
 */
void kssl_rc4_crypt(struct kssl_rc4 *rc4, u8 *data, unsigned int len)
{
	u8 *s = rc4->s, i = rc4->i, j = rc4->j;

	for (; len; len--, data++) {
		i++;
		j += s[i];
		swap(s[i], s[j]);
		*data ^= s[(u8)(s[i] + s[j])];
	}
	rc4->i = i;
	rc4->j = j;
}

/**
 * kssl_rc4_skip() - pass over octets that are spent
 * @rc4: state
 * @len: how many
 */
void kssl_rc4_skip(struct kssl_rc4 *rc4, unsigned int len)
{
	u8 waste[64];

	for (; len; len -= min_t(unsigned int, len, sizeof(waste)))
		kssl_rc4_crypt(rc4, waste, min_t(unsigned int, len, sizeof(waste)));
	memzero_explicit(waste, sizeof(waste));
}

/**
 * kssl_rc4_crypt_sg() - en- or decrypt a scatterlist
 * @rc4: state
 * @src: input
 * @dst: output; may be @src
 * @len: bytes
 */
void kssl_rc4_crypt_sg(struct kssl_rc4 *rc4, struct scatterlist *src, struct scatterlist *dst,
		       unsigned int len)
{
	unsigned int pos, n;
	u8 chunk[CHUNK];

	for (pos = 0; pos < len; pos += n) {
		n = min_t(unsigned int, len - pos, CHUNK);
		scatterwalk_map_and_copy(chunk, src, pos, n, 0);
		kssl_rc4_crypt(rc4, chunk, n);
		scatterwalk_map_and_copy(chunk, dst, pos, n, 1);
	}
	memzero_explicit(chunk, sizeof(chunk));
}
