// SPDX-License-Identifier: GPL-2.0
/*
 * Records protected by a block cipher in CBC mode and a MAC.  Owns IV, MAC and
 * padding; knows no socket.
 *
 * MAC-then-encrypt (RFC 5246 6.2.3.2):
 *	header | IV | E(content | MAC | padding)
 *	MAC over seq 8 | type 1 | version 2 | length of content 2 | content
 *
 * Encrypt-then-MAC (RFC 7366 3):
 *	header | IV | E(content | padding) | MAC
 *	MAC over seq 8 | type 1 | version 2 | length of IV and E() 2 | IV | E()
 *
 * IV is a block; up to TLS 1.0 there is none, but the last block of the record before.
 * padding is 1 to 256 octets, each of which is their number less one.  In SSL 3.0 it is
 * a block at most, whatever is in it but the last octet, and the MAC does without the
 * version (RFC 6101 5.2.3).
 */
#include <crypto/algapi.h>
#include <crypto/scatterwalk.h>
#include <linux/random.h>
#include "ct.h"
#include "record.h"

#define BLOCK_MAX	16
#define PADDING_MAX	256

/* Where a message's end can be, plus what lies before it in the same block of the hash. */
#define TAIL_MAX	(KSSL_BLOCK_MAX + KSSL_DIGEST_MAX + PADDING_MAX)

static bool is_etm(const struct kssl_epoch *e)
{
	return e->flags & KSSL_KEY_ETM;
}

static bool is_ssl3(const struct kssl_epoch *e)
{
	return e->ver->flags & KSSL_V_SSL3;
}

static bool is_chained(const struct kssl_epoch *e)
{
	return e->ver->flags & KSSL_V_CHAINED_IV;
}

static unsigned int block_of(const struct kssl_epoch *e)
{
	return e->suite->cipher->explicit_len;
}

static unsigned int mac_len_of(const struct kssl_epoch *e)
{
	return e->suite->cipher->tag_len;
}

static int set_residue(struct kssl_epoch *e, const u8 *iv)
{
	e->residue = kmemdup(iv, block_of(e), GFP_KERNEL);
	if (!e->residue)
		return -ENOMEM;
	e->residue_len = block_of(e);
	return 0;
}

static int cbc_setup(struct kssl_epoch *e, const struct kssl_key *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	int ret;

	e->prefix_len = is_chained(e) ? 0 : cipher->explicit_len;
	e->trailer_len = is_etm(e) ? cipher->tag_len : 0;
	ret = kssl_mac_setup_record(e, key);
	if (!ret && is_chained(e))
		ret = set_residue(e, key->iv);
	return ret ? ret : kssl_crypt_cbc_setup(e, key->key);
}

/* The shortest padding there is; longer ones only hide lengths, and badly. */
static unsigned int padding_len(const struct kssl_epoch *e, unsigned int payload_len)
{
	unsigned int block = block_of(e);

	return block - (payload_len + (is_etm(e) ? 0 : mac_len_of(e))) % block;
}

static unsigned int cbc_suffix_len(const struct kssl_epoch *e, unsigned int payload_len)
{
	return mac_len_of(e) + padding_len(e, payload_len);
}

static bool cbc_legal_len(const struct kssl_epoch *e, unsigned int body_len)
{
	unsigned int enciphered = body_len - e->prefix_len - e->trailer_len;

	return body_len >= e->prefix_len + cbc_suffix_len(e, 0) && enciphered % block_of(e) == 0;
}

/* The MAC of encrypt-then-MAC: over IV and ciphertext, whose length everybody sees. */
static int mac_of_ciphertext(struct kssl_epoch *e, u64 seq, u8 type, const u8 *iv,
			     struct scatterlist *sg, unsigned int len, u8 *mac)
{
	struct kssl_mac_run run;

	kssl_mac_begin_record(&run, e, seq, type, e->prefix_len + len);
	kssl_mac_update(&run, iv, e->prefix_len);
	kssl_mac_update_sg(&run, sg, 0, len);
	return kssl_mac_final(&run, mac);
}

/* The IV of the record that @prefix begins. */
static void take_iv(struct kssl_epoch *e, const u8 *prefix)
{
	memcpy(e->nonce, is_chained(e) ? e->residue : prefix + KSSL_HEADER_LEN, block_of(e));
}

/* fmt.seal: see aead_seal() */
static int cbc_seal(struct kssl_epoch *e, u64 seq, u64 nonce, u8 type, u8 *prefix,
		    struct scatterlist *sg, unsigned int payload_len)
{
	unsigned int padding = padding_len(e, payload_len);
	unsigned int mac_len = mac_len_of(e), len = payload_len;
	u8 suffix[KSSL_DIGEST_MAX + BLOCK_MAX], *iv = prefix + KSSL_HEADER_LEN;
	int ret = 0;

	sg++;	/* an AEAD's additional data */
	kssl_record_build(prefix, type, e->ver->record_wire,
			  e->prefix_len + payload_len + mac_len + padding);
	/* RFC 5246 6.2.3.2: unpredictable */
	get_random_bytes(iv, e->prefix_len);
	take_iv(e, prefix);

	if (!is_etm(e)) {
		ret = kssl_mac_of_content(e, seq, type, sg, payload_len, suffix);
		len += mac_len;
	}
	memset(suffix + (len - payload_len), padding - 1, padding);
	len += padding;
	scatterwalk_map_and_copy(suffix, sg, payload_len, len - payload_len, 1);
	if (!ret)
		ret = kssl_crypt_cbc(e, true, sg, sg, len);
	if (!ret && is_etm(e)) {
		ret = mac_of_ciphertext(e, seq, type, iv, sg, len, suffix);
		scatterwalk_map_and_copy(suffix, sg, len, mac_len, 1);
	}
	/* Not before nothing can fail any more: an alert may still have to go out. */
	if (!ret && is_chained(e))
		scatterwalk_map_and_copy(e->residue, sg, len - block_of(e), block_of(e), 0);
	return ret;
}

/*
 * Is the padding at the end of @data legal?  A mask.  @padding becomes its length,
 * 1 if it is not, so that what follows has something to work on (RFC 5246
 * 6.2.3.2).  @len: at least 256, or a multiple of 8.  @room: bytes that padding may
 * take.  Constant time: only the lengths are public.
 */
static u32 check_padding(const u8 *data, unsigned int len, unsigned int room, u32 *padding)
{
	unsigned int n = min_t(unsigned int, len, PADDING_MAX), pos;
	u32 wanted = data[len - 1], good = ct_lt(wanted, room), ends;
	u32 begin = (n - 1 - wanted) & good;
	u64 pattern = wanted * 0x0101010101010101ULL, wrong = 0;

	for (pos = 0; pos < n; pos += 8)
		wrong |= (get_unaligned_le64(data + len - n + pos) ^ pattern) &
			 ~ct_octets_before(pos, begin, &ends);
	good &= ct_zero((u32)wrong | (u32)(wrong >> 32));
	*padding = (wanted & good) + 1;
	return good;
}

/* SSL 3.0: of the padding only the length means anything. */
static u32 check_padding_ssl3(const u8 *data, unsigned int len, unsigned int block, u32 *padding)
{
	u32 last = data[len - 1], good = ct_lt(last, block);

	*padding = (last & good) + 1;
	return good;
}

/* What is left of a shift by whole words of up to 255 octets, and one word more. */
#define MAC_WORDS_MAX	(KSSL_DIGEST_MAX / 8 + 1)
#define SHIFT_WORDS	(16 + 8 + 4 + 2 + 1)

/*
 * Copy the MAC that begins at the secret offset @at of @data.  It lies between
 * @from and @len, which are public and at most PADDING_MAX + @mac_len apart.  All
 * that is shifted down to its place, by one binary digit of the distance at a time.
 */
static void take_mac(const u8 *data, unsigned int from, unsigned int len, u32 at, u8 *mac,
		     unsigned int mac_len)
{
	unsigned int words = DIV_ROUND_UP(mac_len, 8) + 1 + SHIFT_WORDS;
	u64 w[MAC_WORDS_MAX + SHIFT_WORDS] = { 0 };
	u32 distance = at - from, bits = (distance & 7) * 8;
	unsigned int i, step;

	memcpy(w, data + from, len - from);
	for (i = 0; i < words; i++)
		w[i] = get_unaligned_le64(&w[i]);
	for (step = SHIFT_WORDS / 2 + 1; step; step /= 2) {
		u64 shift = ct_wide(~ct_zero(distance & step * 8));

		words -= step;
		for (i = 0; i < words; i++)
			w[i] = (w[i + step] & shift) | (w[i] & ~shift);
	}
	for (i = 0; i + 1 < words; i++)
		put_unaligned_le64(w[i] >> bits | w[i + 1] << 1 << (63 - bits), &w[i]);
	memcpy(mac, w, mac_len);
	memzero_explicit(w, sizeof(w));
}

static u32 same(const u8 *a, const u8 *b, unsigned int len)
{
	unsigned int i;
	u32 differs = 0;

	for (i = 0; i < len; i++)
		differs |= a[i] ^ b[i];
	return ct_eq(differs, 0);
}

/*
 * MAC-then-encrypt: @len bytes of content, MAC and padding are in @sg.  Bytes of
 * content, or -EBADMSG, whatever is wrong.
 *
 * Constant time from here: secret are all bytes in @sg, where the content ends, and
 * which check failed, until the very last line.
 */
static int check_mac_and_padding(struct kssl_epoch *e, u64 seq, u8 type, struct scatterlist *sg,
				 unsigned int len)
{
	unsigned int padding_max = is_ssl3(e) ? block_of(e) : PADDING_MAX;
	unsigned int mac_len = mac_len_of(e);
	unsigned int max = len - mac_len - 1;	/* longest content */
	unsigned int min = max > padding_max - 1 ? max - (padding_max - 1) : 0;
	/* What is content however long the padding. */
	unsigned int skip = kssl_mac_whole_blocks(e, min);
	unsigned int tail_len = len - skip;
	u8 tail[TAIL_MAX], mac[KSSL_DIGEST_MAX], wanted[KSSL_DIGEST_MAX];
	struct kssl_mac_run run;
	u32 good, padding, content_len;
	int ret;

	scatterwalk_map_and_copy(tail, sg, skip, tail_len, 0);
	good = is_ssl3(e) ? check_padding_ssl3(tail, tail_len, padding_max, &padding) :
			    check_padding(tail, tail_len, len - mac_len, &padding);
	content_len = len - mac_len - padding;

	kssl_mac_begin_record(&run, e, seq, type, content_len);
	kssl_mac_update_sg(&run, sg, 0, skip);
	ret = kssl_mac_final_secret(&run, tail, max - skip, content_len - skip, wanted);
	take_mac(tail, min - skip, tail_len, content_len - skip, mac, mac_len);
	good &= same(mac, wanted, mac_len);

	memzero_explicit(tail, sizeof(tail));
	memzero_explicit(mac, sizeof(mac));
	memzero_explicit(wanted, sizeof(wanted));
	if (ret)
		return ret;
	return ct_public(ct_select(good, content_len, -EBADMSG));
}

/* Encrypt-then-MAC: the padding is authentic, and may still be nonsense. */
static int strip_padding(struct scatterlist *sg, unsigned int len)
{
	unsigned int n = min_t(unsigned int, len, PADDING_MAX);
	u8 end[PADDING_MAX];
	u32 good, padding;

	scatterwalk_map_and_copy(end, sg, len - n, n, 0);
	good = check_padding(end, n, len, &padding);
	memzero_explicit(end, sizeof(end));
	return ct_public(ct_select(good, len - padding, -EBADMSG));
}

/* fmt.open: see aead_open(). One error for MAC and padding (RFC 5246 6.2.3.2, RFC 7366 3). */
static int cbc_open(struct kssl_epoch *e, u64 seq, const u8 *prefix, struct scatterlist *src,
		    struct scatterlist *dst, unsigned int body_len, u8 *type)
{
	unsigned int len = body_len - e->prefix_len - e->trailer_len;
	u8 mac[KSSL_DIGEST_MAX], wanted[KSSL_DIGEST_MAX], last[BLOCK_MAX];
	int ret;

	/* Where an AEAD has its additional data. */
	src++;
	dst++;
	if (is_etm(e)) {
		ret = mac_of_ciphertext(e, seq, *type, prefix + KSSL_HEADER_LEN, src, len, wanted);
		if (ret)
			return ret;
		scatterwalk_map_and_copy(mac, src, len, e->trailer_len, 0);
		if (crypto_memneq(mac, wanted, e->trailer_len))
			return -EBADMSG;
	}
	take_iv(e, prefix);
	/* Before it is gone, should @dst be the same. */
	if (is_chained(e))
		scatterwalk_map_and_copy(last, src, len - block_of(e), block_of(e), 0);
	ret = kssl_crypt_cbc(e, false, src, dst, len);
	if (ret)
		return ret;
	ret = is_etm(e) ? strip_padding(dst, len) :
			  check_mac_and_padding(e, seq, *type, dst, len);
	if (ret >= 0 && is_chained(e))
		memcpy(e->residue, last, block_of(e));
	return ret > e->max_payload ? -EMSGSIZE : ret;
}

const struct kssl_fmt kssl_fmt_cbc = {
	.setup = cbc_setup,
	.teardown = kssl_crypt_cbc_teardown,
	.suffix_len = cbc_suffix_len,
	.max_padding = PADDING_MAX,
	.legal_len = cbc_legal_len,
	.seal = cbc_seal,
	.open = cbc_open,
};
