// SPDX-License-Identifier: GPL-2.0
/*
 * HMAC (RFC 2104) on the bare compression function.  The point is the last
 * function: a MAC over a message whose length is a secret, with the same blocks
 * compressed and the same memory touched whatever that length is.
 */
#include "ct.h"
#include "record.h"

/* Length of the length field that ends the last block, FIPS 180-4 5.1. */
static unsigned int length_len(const struct kssl_hash *hash)
{
	return 2 * hash->word_len;
}

static void compress(struct kssl_mac_run *run, const u8 *blocks, unsigned int count)
{
	int err = kssl_hash_compress(run->mac->hash, &run->chain, blocks, count);

	run->mac->blocks += count;
	if (err)
		run->err = err;
}

static void write_digest(const struct kssl_hash *hash, const union kssl_chain *chain, u8 *digest)
{
	unsigned int i;

	for (i = 0; i < hash->digest_len / hash->word_len; i++) {
		if (hash->word_len == 8)
			put_unaligned_be64(chain->w64[i], digest + 8 * i);
		else
			put_unaligned_be32(chain->w32[i], digest + 4 * i);
	}
}

/**
 * kssl_mac_setup() - key an HMAC
 * @mac: (out)
 * @hash: its hash
 * @key: key
 * @key_len: its length, at most a block of the hash
 *
 * Context: Process context, may sleep and load modules.
 * Return: 0, %-ENOPKG if this kernel lacks the hash, %-ENOMEM, or the error of the
 * hash.
 */
int kssl_mac_setup(struct kssl_mac *mac, const struct kssl_hash *hash, const u8 *key,
		   unsigned int key_len)
{
	u8 block[KSSL_BLOCK_MAX];
	unsigned int i;
	int ret = kssl_hash_get(hash);

	if (ret)
		return ret;
	mac->hash = hash;
	kssl_hash_start(hash, &mac->inner);
	kssl_hash_start(hash, &mac->outer);
	memset(block, 0, sizeof(block));
	memcpy(block, key, key_len);
	for (i = 0; i < hash->block_len; i++)
		block[i] ^= 0x36;
	ret = kssl_hash_compress(hash, &mac->inner, block, 1);
	for (i = 0; i < hash->block_len; i++)
		block[i] ^= 0x36 ^ 0x5c;
	if (!ret)
		ret = kssl_hash_compress(hash, &mac->outer, block, 1);
	memzero_explicit(block, sizeof(block));
	return ret;
}

/**
 * kssl_mac_begin() - begin a MAC
 * @run: (out) the computation
 * @mac: keyed HMAC; the caller serializes its use
 */
void kssl_mac_begin(struct kssl_mac_run *run, struct kssl_mac *mac)
{
	run->mac = mac;
	run->chain = mac->inner;
	run->fill = 0;
	run->total = 0;
	run->err = 0;
}

/**
 * kssl_mac_update() - take in bytes of the message
 * @run: computation
 * @data: bytes
 * @len: how many
 */
void kssl_mac_update(struct kssl_mac_run *run, const u8 *data, unsigned int len)
{
	unsigned int block_len = run->mac->hash->block_len;
	unsigned int n;

	run->total += len;
	if (run->fill) {
		n = min(len, block_len - run->fill);
		memcpy(run->block + run->fill, data, n);
		run->fill += n;
		data += n;
		len -= n;
		if (run->fill < block_len)
			return;
		compress(run, run->block, 1);
		run->fill = 0;
	}
	n = len / block_len;
	if (n) {
		compress(run, data, n);
		data += n * block_len;
		len -= n * block_len;
	}
	memcpy(run->block, data, len);
	run->fill = len;
}

/**
 * kssl_mac_update_sg() - take in bytes of a scatterlist
 * @run: computation
 * @sg: list
 * @offset: where in it
 * @len: how many bytes; it has them
 *
 * Context: Process context.
 */
void kssl_mac_update_sg(struct kssl_mac_run *run, struct scatterlist *sg, unsigned int offset,
			unsigned int len)
{
	for (; len; sg = sg_next(sg)) {
		unsigned int n;

		if (offset >= sg->length) {
			offset -= sg->length;
			continue;
		}
		n = min(len, sg->length - offset);
		/* All of it is lowmem: the page fragments of tasks and of TCP. */
		kssl_mac_update(run, (u8 *)sg_virt(sg) + offset, n);
		len -= n;
		offset = 0;
	}
}

/* The outer hash: one block, always. */
static int finish(struct kssl_mac_run *run, u8 *digest)
{
	const struct kssl_hash *hash = run->mac->hash;
	u8 block[KSSL_BLOCK_MAX];
	int err;

	memset(block, 0, sizeof(block));
	write_digest(hash, &run->chain, block);
	block[hash->digest_len] = 0x80;
	put_unaligned_be32((hash->block_len + hash->digest_len) * 8, block + hash->block_len - 4);
	run->chain = run->mac->outer;
	compress(run, block, 1);
	write_digest(hash, &run->chain, digest);
	err = run->err;
	memzero_explicit(block, sizeof(block));
	memzero_explicit(run, sizeof(*run));
	return err;
}

/**
 * kssl_mac_final() - end a MAC
 * @run: computation; zeroized
 * @digest: (out) as long as the hash says
 *
 * Return: 0, or the first error of the hash.
 */
int kssl_mac_final(struct kssl_mac_run *run, u8 *digest)
{
	const struct kssl_hash *hash = run->mac->hash;
	unsigned int bits = (hash->block_len + run->total) * 8;
	u8 *block = run->block;

	block[run->fill++] = 0x80;
	if (run->fill > hash->block_len - length_len(hash)) {
		memset(block + run->fill, 0, hash->block_len - run->fill);
		compress(run, block, 1);
		run->fill = 0;
	}
	memset(block + run->fill, 0, hash->block_len - run->fill);
	put_unaligned_be32(bits, block + hash->block_len - 4);
	compress(run, block, 1);
	return finish(run, digest);
}

/* Eight octets at @pos of the padded message that ends at @len. */
static u64 padded_octets(const u8 *tail, unsigned int tail_len, unsigned int pos, u32 len)
{
	u32 ends;
	u64 content = ct_octets_before(pos, len, &ends);
	u64 octets = pos < tail_len ? get_unaligned_le64(tail + pos) : 0;

	return (octets & content) | ((content + 1) * 0x80 & ct_wide(ends));
}

/* Keep @from in @to if @mask says so. */
static void keep_chain(union kssl_chain *to, const union kssl_chain *from, u32 mask)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(to->w64); i++)
		to->w64[i] |= from->w64[i] & ((u64)mask << 32 | mask);
}

/**
 * kssl_mac_final_secret() - end a MAC at a place nobody may learn
 * @run: computation that stands at the border of a block; zeroized
 * @tail: the rest of the longest message possible, and KSSL_MAC_SLACK octets more
 * @tail_len: its length
 * @secret_len: where in @tail the message really ends, at most @tail_len
 * @digest: (out) as long as the hash says
 *
 * Time and memory accesses depend on @tail_len alone: every block that could be
 * the last one is made and compressed, and the chaining value of the one that is
 * gets picked by mask.
 *
 * Return: 0, or the first error of the hash.
 */
int kssl_mac_final_secret(struct kssl_mac_run *run, const u8 *tail, unsigned int tail_len,
			  u32 secret_len, u8 *digest)
{
	const struct kssl_hash *hash = run->mac->hash;
	unsigned int block_len = hash->block_len;
	unsigned int blocks = (tail_len + length_len(hash)) / block_len + 1;
	u32 bits = (block_len + run->total + secret_len) * 8;
	/* The first block that holds 0x80 and the length field: a shift, not a division. */
	u32 last = (secret_len + length_len(hash)) >> (block_len == 128 ? 7 : 6);
	union kssl_chain chosen = { .w64 = { 0 } };
	unsigned int i, j;
	u8 field[4];

	put_unaligned_be32(bits, field);
	for (i = 0; i < blocks; i++) {
		u32 is_last = ct_eq(i, last);

		for (j = 0; j < block_len; j += 8)
			put_unaligned_le64(padded_octets(tail, tail_len, i * block_len + j,
							 secret_len), run->block + j);
		for (j = 0; j < 4; j++)
			run->block[block_len - 4 + j] |= field[j] & is_last;
		compress(run, run->block, 1);
		keep_chain(&chosen, &run->chain, is_last);
	}
	run->chain = chosen;
	memzero_explicit(&chosen, sizeof(chosen));
	return finish(run, digest);
}
