// SPDX-License-Identifier: GPL-2.0
/*
 * HMAC (RFC 2104) and the MAC of SSL 3.0 on the bare compression function.  The point is the last
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
		else if (hash->little_endian)
			put_unaligned_le32(chain->w32[i], digest + 4 * i);
		else
			put_unaligned_be32(chain->w32[i], digest + 4 * i);
	}
}

/* Where in the last block the four octets are that count, of the message's length in bits. */
static unsigned int length_at(const struct kssl_hash *hash)
{
	return hash->block_len - (hash->little_endian ? 8 : 4);
}

static void put_length(const struct kssl_hash *hash, u32 bits, u8 *to)
{
	if (hash->little_endian)
		put_unaligned_le32(bits, to);
	else
		put_unaligned_be32(bits, to);
}

/* What is hashed first: the key and its pad, in @block. */
static int set_side(struct kssl_mac *mac, struct kssl_mac_side *side, const u8 *block)
{
	kssl_hash_start(mac->hash, &side->chain);
	if (mac->before)
		return kssl_hash_compress(mac->hash, &side->chain, block, 1);
	memcpy(side->lead, block, mac->lead_len);
	return 0;
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
	mac->before = hash->block_len;
	mac->lead_len = 0;
	memset(block, 0, sizeof(block));
	memcpy(block, key, key_len);
	for (i = 0; i < hash->block_len; i++)
		block[i] ^= 0x36;
	ret = set_side(mac, &mac->inner, block);
	for (i = 0; i < hash->block_len; i++)
		block[i] ^= 0x36 ^ 0x5c;
	if (!ret)
		ret = set_side(mac, &mac->outer, block);
	memzero_explicit(block, sizeof(block));
	return ret;
}

/**
 * kssl_mac_setup_ssl3() - key the MAC of SSL 3.0 (RFC 6101 5.2.3.1)
 * @mac: (out)
 * @hash: MD5 or SHA-1
 * @key: key, as long as the hash
 *
 * The key and its pad are a block with MD5, and a part of one with SHA-1.
 *
 * Context: Process context, may sleep and load modules.
 * Return: as kssl_mac_setup().
 */
int kssl_mac_setup_ssl3(struct kssl_mac *mac, const struct kssl_hash *hash, const u8 *key)
{
	unsigned int pad_len = hash->digest_len == 16 ? 48 : 40;
	unsigned int len = hash->digest_len + pad_len;
	u8 block[KSSL_BLOCK_MAX];
	int ret = kssl_hash_get(hash);

	if (ret)
		return ret;
	mac->hash = hash;
	mac->before = len == hash->block_len ? len : 0;
	mac->lead_len = len - mac->before;
	memcpy(block, key, hash->digest_len);
	memset(block + hash->digest_len, 0x36, pad_len);
	ret = set_side(mac, &mac->inner, block);
	memset(block + hash->digest_len, 0x5c, pad_len);
	if (!ret)
		ret = set_side(mac, &mac->outer, block);
	memzero_explicit(block, sizeof(block));
	return ret;
}

static void start(struct kssl_mac_run *run, const struct kssl_mac_side *side)
{
	run->chain = side->chain;
	run->fill = 0;
	run->total = run->mac->before;
	kssl_mac_update(run, side->lead, run->mac->lead_len);
}

/**
 * kssl_mac_begin() - begin a MAC
 * @run: (out) the computation
 * @mac: keyed MAC; the caller serializes its use
 */
void kssl_mac_begin(struct kssl_mac_run *run, struct kssl_mac *mac)
{
	run->mac = mac;
	run->err = 0;
	start(run, &mac->inner);
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

/* Compress what is left, and the padding and length that end a message (FIPS 180-4 5.1). */
static void pad(struct kssl_mac_run *run)
{
	const struct kssl_hash *hash = run->mac->hash;
	u8 *block = run->block;

	block[run->fill++] = 0x80;
	if (run->fill > hash->block_len - length_len(hash)) {
		memset(block + run->fill, 0, hash->block_len - run->fill);
		compress(run, block, 1);
		run->fill = 0;
	}
	memset(block + run->fill, 0, hash->block_len - run->fill);
	put_length(hash, run->total * 8, block + length_at(hash));
	compress(run, block, 1);
}

/* The outer hash. */
static int finish(struct kssl_mac_run *run, u8 *digest)
{
	const struct kssl_hash *hash = run->mac->hash;
	u8 inner[KSSL_DIGEST_MAX];
	int err;

	write_digest(hash, &run->chain, inner);
	start(run, &run->mac->outer);
	kssl_mac_update(run, inner, hash->digest_len);
	pad(run);
	write_digest(hash, &run->chain, digest);
	err = run->err;
	memzero_explicit(inner, sizeof(inner));
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
	pad(run);
	return finish(run, digest);
}

/* Eight octets at @pos of what is @fill octets of @head, and then @tail. */
static u64 octets_at(const u8 *head, unsigned int fill, const u8 *tail, unsigned int tail_len,
		     unsigned int pos)
{
	u8 octets[8];
	unsigned int n;

	if (pos >= fill)
		return pos - fill < tail_len ? get_unaligned_le64(tail + (pos - fill)) : 0;
	if (pos + 8 <= fill)
		return get_unaligned_le64(head + pos);
	n = fill - pos;
	memcpy(octets, head + pos, n);
	memcpy(octets + n, tail, 8 - n);
	return get_unaligned_le64(octets);
}

/* The word @octets at @pos of the padded message that ends at @len. */
static u64 padded(u64 octets, unsigned int pos, u32 len)
{
	u32 ends;
	u64 content = ct_octets_before(pos, len, &ends);

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
 * @run: computation; zeroized
 * @tail: the rest of the longest message possible, and KSSL_MAC_SLACK octets more
 * @tail_len: its length
 * @secret_len: where in @tail the message really ends, at most @tail_len
 * @digest: (out) as long as the hash says
 *
 * Time and memory accesses depend on @tail_len, and on what @run has taken in, alone:
 * every block that could be the last one is made and compressed, and the chaining
 * value of the one that is gets picked by mask.
 *
 * Return: 0, or the first error of the hash.
 */
int kssl_mac_final_secret(struct kssl_mac_run *run, const u8 *tail, unsigned int tail_len,
			  u32 secret_len, u8 *digest)
{
	const struct kssl_hash *hash = run->mac->hash;
	unsigned int block_len = hash->block_len, fill = run->fill;
	unsigned int blocks = (fill + tail_len + length_len(hash)) / block_len + 1;
	u32 bits = (run->total + secret_len) * 8;
	u32 len = fill + secret_len;
	/* The first block that holds 0x80 and the length field: a shift, not a division. */
	u32 last = (len + length_len(hash)) >> (block_len == 128 ? 7 : 6);
	union kssl_chain chosen = { .w64 = { 0 } };
	u8 head[KSSL_BLOCK_MAX], field[4];
	unsigned int i, j;

	memcpy(head, run->block, fill);
	put_length(hash, bits, field);
	for (i = 0; i < blocks; i++) {
		u32 is_last = ct_eq(i, last);

		for (j = 0; j < block_len; j += 8) {
			unsigned int pos = i * block_len + j;
			u64 octets = octets_at(head, fill, tail, tail_len, pos);

			put_unaligned_le64(padded(octets, pos, len), run->block + j);
		}
		for (j = 0; j < 4; j++)
			run->block[length_at(hash) + j] |= field[j] & is_last;
		compress(run, run->block, 1);
		keep_chain(&chosen, &run->chain, is_last);
	}
	run->chain = chosen;
	memzero_explicit(&chosen, sizeof(chosen));
	memzero_explicit(head, sizeof(head));
	return finish(run, digest);
}

/* ---- the MAC of a record ---- */

#define PSEUDO_MAX	(8 + KSSL_HEADER_LEN)	/* what it covers before the content */

static unsigned int pseudo_len(const struct kssl_epoch *e)
{
	return e->ver->flags & KSSL_V_SSL3 ? PSEUDO_MAX - 2 : PSEUDO_MAX;
}

/**
 * kssl_mac_setup_record() - key the MAC of an epoch
 * @e: epoch with suite and version set
 * @key: its key
 *
 * Context: Process context, may sleep and load modules.
 * Return: as kssl_mac_setup().
 */
int kssl_mac_setup_record(struct kssl_epoch *e, const struct kssl_key *key)
{
	const struct kssl_hash *hash = e->suite->cipher->hash;

	return e->ver->flags & KSSL_V_SSL3 ?
	       kssl_mac_setup_ssl3(&e->mac, hash, key->mac_key) :
	       kssl_mac_setup(&e->mac, hash, key->mac_key, key->mac_key_len);
}

/**
 * kssl_mac_begin_record() - begin the MAC of a record
 * @run: (out) the computation
 * @e: epoch; the caller serializes its use
 * @seq: sequence number of the record
 * @type: its content type
 * @len: bytes that follow; may be a secret
 *
 * RFC 5246 6.2.3.1; RFC 6101 5.2.3.1, which leaves out the version.
 */
void kssl_mac_begin_record(struct kssl_mac_run *run, struct kssl_epoch *e, u64 seq, u8 type,
			   u32 len)
{
	u8 pseudo[PSEUDO_MAX];

	put_unaligned_be64(seq, pseudo);
	kssl_record_build(pseudo + 8, type, e->ver->record_wire, len);
	put_unaligned_be16(len, pseudo + pseudo_len(e) - 2);
	kssl_mac_begin(run, &e->mac);
	kssl_mac_update(run, pseudo, pseudo_len(e));
	memzero_explicit(pseudo, sizeof(pseudo));
}

/**
 * kssl_mac_of_content() - the MAC of a record over its content
 * @e: epoch; the caller serializes its use
 * @seq: sequence number of the record
 * @type: its content type
 * @sg: content
 * @len: bytes of it
 * @digest: (out) as long as the hash says
 *
 * Return: 0, or the first error of the hash.
 */
int kssl_mac_of_content(struct kssl_epoch *e, u64 seq, u8 type, struct scatterlist *sg,
			unsigned int len, u8 *digest)
{
	struct kssl_mac_run run;

	kssl_mac_begin_record(&run, e, seq, type, len);
	kssl_mac_update_sg(&run, sg, 0, len);
	return kssl_mac_final(&run, digest);
}

/**
 * kssl_mac_whole_blocks() - how much of a content fills whole blocks of the hash
 * @e: epoch
 * @len: bytes of content
 *
 * Return: bytes of them, up to the last border of a block; 0 if there is none in them.
 */
unsigned int kssl_mac_whole_blocks(const struct kssl_epoch *e, unsigned int len)
{
	unsigned int before = e->mac.lead_len + pseudo_len(e);
	unsigned int end = (before + len) / e->mac.hash->block_len * e->mac.hash->block_len;

	return end > before ? end - before : 0;
}
