// SPDX-License-Identifier: GPL-2.0
/*
 * CBC records: vectors, every padding, every bit flipped, limits, scattered buffers, and
 * what an attacker could count: compressions of the hash.
 */
#include <crypto/hash.h>
#include <kunit/test.h>
#include "../../kmod/fmt_cbc.c"
#include "../vectors/cbc_openssl.h"
#include "fixture.h"

/* One suite for each hash, as Encrypt-then-MAC too. */
static const u16 suites[] = { 0xc013, 0xc027, 0xc028 };

#define BLOCK	16

/* Where the plaintext of a record begins. */
#define AT	(KSSL_HEADER_LEN + BLOCK)

/*
 * A peer that seals whatever it is told to: its MAC is the kernel's own HMAC, and its
 * record is @record, where a plaintext is first laid out and then enciphered.
 */
struct peer {
	struct kssl_epoch *e;
	struct crypto_shash *hmac;
	unsigned int mac_len;
	u8 *record;
	u8 *covered;	/* what the MAC covers */
};

static void drop_hmac(struct kunit_resource *res)
{
	crypto_free_shash(res->data);
}

static struct peer *new_peer(struct kunit *test, u16 suite, bool etm)
{
	struct peer *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	const struct kssl_hash *hash;
	u8 key[KSSL_MAC_KEY_MAX];
	char name[32];

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->e = epoch_of_suite(test, suite, 0x0303, etm ? KSSL_KEY_ETM : 0);
	hash = p->e->suite->cipher->hash;
	snprintf(name, sizeof(name), "hmac(%s)", hash->alg);
	p->hmac = crypto_alloc_shash(name, 0, 0);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(p->hmac), "%s", name);
	KUNIT_ASSERT_NOT_NULL(test, kunit_alloc_resource(test, NULL, drop_hmac, GFP_KERNEL,
							 p->hmac));
	memset(key, FIXTURE_MAC_KEY, hash->digest_len);
	KUNIT_ASSERT_EQ(test, crypto_shash_setkey(p->hmac, key, hash->digest_len), 0);
	p->mac_len = crypto_shash_digestsize(p->hmac);
	p->record = buffer(test, KSSL_RECORD_MAX + 1024);
	p->covered = buffer(test, KSSL_RECORD_MAX + 1024);
	return p;
}

static void mac_of(struct kunit *test, struct peer *p, u64 seq, u8 type, const u8 *data,
		   unsigned int len, u8 *mac)
{
	put_unaligned_be64(seq, p->covered);
	p->covered[8] = type;
	p->covered[9] = 3;
	p->covered[10] = 3;
	put_unaligned_be16(len, p->covered + 11);
	memcpy(p->covered + 13, data, len);
	KUNIT_ASSERT_EQ(test, crypto_shash_tfm_digest(p->hmac, p->covered, 13 + len, mac), 0);
}

/*
 * @len bytes of content, MAC if it is inside, and @padding octets (RFC 5246 6.2.3.2,
 * RFC 7366 3); the length of all that.
 */
static unsigned int lay_out(struct kunit *test, struct peer *p, u64 seq, unsigned int len,
			    unsigned int padding)
{
	u8 *plain = p->record + AT;

	fill_bytes(plain, len);
	if (!is_etm(p->e)) {
		mac_of(test, p, seq, 23, plain, len, plain + len);
		len += p->mac_len;
	}
	memset(plain + len, padding - 1, padding);
	return len + padding;
}

/* Encipher @len bytes, and put the MAC behind them if it is outside; length of the record. */
static unsigned int encipher(struct kunit *test, struct peer *p, u64 seq, unsigned int len)
{
	u8 *iv = p->record + KSSL_HEADER_LEN;
	struct scatterlist sg;
	unsigned int i;

	for (i = 0; i < BLOCK; i++)
		iv[i] = 0xd0 + i;
	memcpy(p->e->nonce, iv, BLOCK);
	sg_init_one(&sg, p->record + AT, len);
	KUNIT_ASSERT_EQ(test, kssl_crypt_cbc(p->e, true, &sg, &sg, len), 0);
	len += BLOCK;
	if (is_etm(p->e)) {
		mac_of(test, p, seq, 23, iv, len, iv + len);
		len += p->mac_len;
	}
	p->record[0] = 23;
	p->record[1] = 3;
	p->record[2] = 3;
	put_unaligned_be16(len, p->record + 3);
	return KSSL_HEADER_LEN + len;
}

static int open_peers(struct kunit *test, struct peer *p, u64 seq)
{
	u8 type;

	return open_in_place(test, p->e, seq, p->record, &type);
}

/* Lay out, encipher, open. */
static int give(struct kunit *test, struct peer *p, unsigned int len, unsigned int padding)
{
	encipher(test, p, 1, lay_out(test, p, 1, len, padding));
	return open_peers(test, p, 1);
}

/* The same with one octet of what is laid out wrong. */
static int give_wrong(struct kunit *test, struct peer *p, unsigned int len, unsigned int padding,
		      unsigned int at)
{
	unsigned int all = lay_out(test, p, 1, len, padding);

	p->record[AT + at] ^= 0x80;
	encipher(test, p, 1, all);
	return open_peers(test, p, 1);
}

/* The smallest content from @least on that fills whole blocks with that padding. */
static unsigned int content_for(const struct peer *p, unsigned int least, unsigned int padding)
{
	while ((least + (is_etm(p->e) ? 0 : p->mac_len) + padding) % BLOCK)
		least++;
	return least;
}

static bool is_content(const u8 *data, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		if (data[i] != (u8)(i * 7 + (i >> 8)))
			return false;
	return true;
}

static void with_every_peer(struct kunit *test, void (*check)(struct kunit *, struct peer *))
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		check(test, new_peer(test, suites[i], false));
		check(test, new_peer(test, suites[i], true));
	}
}

/* ---- vectors ---- */

static void check_vector(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, v->record_len);
	u8 type = 0;
	int ret;

	memcpy(record, v->record, v->record_len);
	ret = open_in_place(test, e, v->seq, record, &type);
	KUNIT_EXPECT_EQ_MSG(test, ret, v->content_len, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, type, v->type, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(record + AT, v->content, v->content_len), 0, "%s",
			    v->name);

	memcpy(record, v->record, v->record_len);
	KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq + 1, record, &type), -EBADMSG,
			    "%s: next number", v->name);
	memcpy(record, v->record, v->record_len);
	record[0] ^= 1;
	KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq, record, &type), -EBADMSG,
			    "%s: other type", v->name);

	/* Ours has another IV, and no more padding than need be. */
	ret = seal(test, e, v->seq, 0, v->type, v->content, v->content_len, record, 0);
	KUNIT_EXPECT_EQ_MSG(test, ret, v->record_len - 32 * v->long_padding, "%s", v->name);
	if (!v->long_padding)
		KUNIT_EXPECT_EQ_MSG(test, memcmp(record, v->record, KSSL_HEADER_LEN), 0, "%s",
				    v->name);
	KUNIT_EXPECT_EQ_MSG(test, open_in_place(test, e, v->seq, record, &type), v->content_len,
			    "%s", v->name);
}

static void openssl(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cbc_openssl); i++)
		check_vector(test, &cbc_openssl[i]);
}

static void flip_all(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_epoch *e = epoch_of_vector(test, v);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int bit;

	for (bit = 0; bit < v->record_len * 8; bit++) {
		struct kssl_record_header h;
		int want, ret;
		u8 type = 0;

		memset(record, 0, v->record_len + 512);
		memcpy(record, v->record, v->record_len);
		record[bit / 8] ^= 1 << bit % 8;
		want = kssl_record_parse(record, e, &h) ?: -EBADMSG;
		ret = open_in_place(test, e, v->seq, record, &type);
		KUNIT_EXPECT_LT_MSG(test, want, 0, "%s: bit %u", v->name, bit);
		KUNIT_EXPECT_EQ_MSG(test, ret, want, "%s: bit %u", v->name, bit);
		if (bit >= KSSL_HEADER_LEN * 8)
			KUNIT_EXPECT_EQ_MSG(test, ret, -EBADMSG, "%s: bit %u", v->name, bit);
	}
}

static void flipped_bits(struct kunit *test)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(cbc_openssl); i++)
		for (j = 0; j < ARRAY_SIZE(suites); j++)
			if (cbc_openssl[i].suite == suites[j] && !cbc_openssl[i].long_padding)
				flip_all(test, &cbc_openssl[i]);
}

/* ---- sealing ---- */

/* What we seal is what the peer would, octet for octet but for the IV. */
static void check_sealed(struct kunit *test, struct peer *p)
{
	static const unsigned int more[] = { 1000, 4096, 16383, 16384 };
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	u8 *content = buffer(test, KSSL_MAX_PAYLOAD);
	unsigned int i;

	fill_bytes(content, KSSL_MAX_PAYLOAD);
	for (i = 0; i < 70 + ARRAY_SIZE(more); i++) {
		unsigned int len = i < 70 ? i : more[i - 70];
		unsigned int padding = BLOCK - (len + (is_etm(p->e) ? 0 : p->mac_len)) % BLOCK;
		unsigned int all = lay_out(test, p, i, len, padding);
		struct scatterlist sg;
		u8 mac[KSSL_DIGEST_MAX];
		int ret;

		ret = seal(test, p->e, i, 0, 23, content, len, record, 0);
		KUNIT_EXPECT_EQ(test, ret, AT + all + p->e->trailer_len);
		KUNIT_EXPECT_EQ(test, get_unaligned_be16(record + 3), ret - KSSL_HEADER_LEN);
		if (is_etm(p->e)) {
			mac_of(test, p, i, 23, record + KSSL_HEADER_LEN, BLOCK + all, mac);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(record + AT + all, mac, p->mac_len), 0,
					    "%u", len);
		}
		memcpy(p->e->nonce, record + KSSL_HEADER_LEN, BLOCK);
		sg_init_one(&sg, record + AT, all);
		KUNIT_ASSERT_EQ(test, kssl_crypt_cbc(p->e, false, &sg, &sg, all), 0);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(record + AT, p->record + AT, all), 0, "%u", len);
	}
}

static void sealed(struct kunit *test)
{
	with_every_peer(test, check_sealed);
}

/* RFC 5246 6.2.3.2: unpredictable. No two alike, and none is the block before. */
static void fresh_iv(struct kunit *test)
{
	struct kssl_epoch *e = epoch_of_suite(test, 0xc027, 0x0303, 0);
	u8 *ivs = buffer(test, 64 * BLOCK);
	u8 *record = buffer(test, 256);
	unsigned int i, j;

	for (i = 0; i < 64; i++) {
		int len = seal(test, e, 0, 0, 23, "same", 4, record, 0);
		const u8 *last = record + len - BLOCK;

		memcpy(ivs + i * BLOCK, record + KSSL_HEADER_LEN, BLOCK);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE(test, memcmp(ivs + i * BLOCK, ivs + j * BLOCK, BLOCK), 0);
		memcpy(record + 128, last, BLOCK);
		seal(test, e, 0, 0, 23, "same", 4, record, 0);
		KUNIT_EXPECT_NE(test, memcmp(record + KSSL_HEADER_LEN, record + 128, BLOCK), 0);
	}
}

static void check_suffix(struct kunit *test, struct peer *p)
{
	unsigned int len;

	for (len = 0; len <= 300; len++) {
		unsigned int suffix = cbc_suffix_len(p->e, len);
		unsigned int padding = suffix - p->mac_len;
		unsigned int body = BLOCK + len + suffix;

		KUNIT_EXPECT_GE_MSG(test, padding, 1, "%u", len);
		KUNIT_EXPECT_LE_MSG(test, padding, BLOCK, "%u", len);
		KUNIT_EXPECT_EQ_MSG(test, (body - p->e->trailer_len) % BLOCK, 0, "%u", len);
		KUNIT_EXPECT_TRUE_MSG(test, cbc_legal_len(p->e, body), "%u", len);
		KUNIT_EXPECT_FALSE_MSG(test, cbc_legal_len(p->e, body + 1), "%u", len);
		KUNIT_EXPECT_FALSE_MSG(test, cbc_legal_len(p->e, body - 1), "%u", len);
	}
}

static void suffix_len(struct kunit *test)
{
	with_every_peer(test, check_suffix);
}

static void round_trip(struct kunit *test)
{
	static const unsigned int lens[] = { 0, 1, 15, 16, 17, 300, 16384 };
	u8 *content = buffer(test, KSSL_MAX_PAYLOAD);
	u8 *record = buffer(test, KSSL_RECORD_MAX);
	unsigned int i, j;

	fill_bytes(content, KSSL_MAX_PAYLOAD);
	for (i = 0; i < 2 * kssl_suites_count; i++) {
		const struct kssl_suite *s = &kssl_suites[i / 2];
		struct kssl_epoch *e;

		if (s->version != 0x0303 || s->cipher->fmt != &kssl_fmt_cbc || s->cipher->unit ||
		    !first_with_cipher(s))
			continue;
		e = epoch_of_suite(test, s->id, s->version, i % 2 ? KSSL_KEY_ETM : 0);
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			u64 number = (u64)j << 56 | j;
			u8 type = 0;
			int ret;

			ret = seal(test, e, number, 0, 20 + j % 4, content, lens[j], record, 0);
			KUNIT_EXPECT_GT_MSG(test, ret, 0, "%04x", s->id);
			ret = open_in_place(test, e, number, record, &type);
			KUNIT_EXPECT_EQ_MSG(test, ret, lens[j], "%04x", s->id);
			KUNIT_EXPECT_EQ(test, type, 20 + j % 4);
			KUNIT_EXPECT_EQ(test, memcmp(record + AT, content, lens[j]), 0);
		}
	}
}

/* ---- padding ---- */

static void check_paddings(struct kunit *test, struct peer *p)
{
	unsigned int padding;

	for (padding = 1; padding <= 256; padding++) {
		unsigned int len = content_for(p, padding % 3 * 150, padding);
		unsigned int inside = is_etm(p->e) ? 0 : p->mac_len;
		unsigned int end = len + inside + padding;

		KUNIT_EXPECT_EQ_MSG(test, give(test, p, len, padding), len, "%u", padding);
		KUNIT_EXPECT_TRUE_MSG(test, is_content(p->record + AT, len), "%u", padding);

		/*
		 * Each octet of it counts: the first, one in the middle, the length.  But 128
		 * with its top bit wrong is 0, a padding of 1, and fine if it is authentic.
		 */
		KUNIT_EXPECT_EQ_MSG(test, give_wrong(test, p, len, padding, end - 1),
				    padding == 129 && !inside ? (int)end - 1 : -EBADMSG, "%u",
				    padding);
		KUNIT_EXPECT_EQ_MSG(test, give_wrong(test, p, len, padding, end - padding),
				    -EBADMSG, "%u", padding);
		KUNIT_EXPECT_EQ_MSG(test, give_wrong(test, p, len, padding, end - 1 - padding / 2),
				    -EBADMSG, "%u", padding);
		if (inside)
			KUNIT_EXPECT_EQ_MSG(test, give_wrong(test, p, len, padding,
							     end - padding - 1), -EBADMSG, "%u",
					    padding);
	}
}

static void every_padding(struct kunit *test)
{
	with_every_peer(test, check_paddings);
}

/* Every octet of one padding, one by one. */
static void check_octets(struct kunit *test, struct peer *p)
{
	unsigned int len = content_for(p, 5, 256);
	unsigned int inside = is_etm(p->e) ? 0 : p->mac_len;
	unsigned int at;

	for (at = 0; at < 256; at++)
		KUNIT_EXPECT_EQ_MSG(test, give_wrong(test, p, len, 256, len + inside + at),
				    -EBADMSG, "%u", at);
}

static void every_octet(struct kunit *test)
{
	with_every_peer(test, check_octets);
}

/*
 * Nothing but one octet, over and over: whatever it says, no more padding is believed
 * than there is room for.  Only with the MAC outside can that be authentic.
 */
static void check_room(struct kunit *test, struct peer *p)
{
	unsigned int len, octet;

	for (len = round_up(is_etm(p->e) ? 1 : p->mac_len + 1, BLOCK); len <= 288; len += 80) {
		for (octet = 0; octet <= 255; octet++) {
			int want = is_etm(p->e) && octet < len ? len - octet - 1 : -EBADMSG;

			memset(p->record + AT, octet, len);
			encipher(test, p, 1, len);
			KUNIT_EXPECT_EQ_MSG(test, open_peers(test, p, 1), want, "%u of %u", len,
					    octet);
		}
	}
}

static void room_for_padding(struct kunit *test)
{
	with_every_peer(test, check_room);
}

/* The parts of it, against the obvious way. */
static void padding_mask(struct kunit *test)
{
	unsigned int len, octet, wrong_at, i, wrong = 0;
	u8 *data = buffer(test, 300);

	for (len = 16; len <= 300; len += 56) {
		for (octet = 0; octet <= 255; octet++) {
			for (wrong_at = 1; wrong_at <= len; wrong_at += 5) {
				bool legal = octet < len - 10;
				u32 padding, good;

				memset(data, octet, len);
				data[len - wrong_at] ^= 4;
				for (i = 1; i <= data[len - 1] + 1 && i <= len; i++)
					legal &= data[len - i] == data[len - 1];
				legal &= data[len - 1] < len - 10;
				if (wrong_at == 1)
					legal = data[len - 1] == 0 && len > 10;
				good = check_padding(data, len, len - 10, &padding);
				wrong += good != (legal ? ~0U : 0);
				wrong += padding != (legal ? data[len - 1] + 1 : 1);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

static void taken_mac(struct kunit *test)
{
	static const unsigned int lens[] = { 20, 32, 48 };
	u8 *data = buffer(test, 400);
	unsigned int i, from, at;

	fill_bytes(data, 400);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (from = 0; from <= 50; from += 7) {
			unsigned int end = from + PADDING_MAX + lens[i];

			for (at = from; at + lens[i] < end; at++) {
				u8 mac[KSSL_DIGEST_MAX];

				take_mac(data, from, end, at, mac, lens[i]);
				if (memcmp(mac, data + at, lens[i]))
					KUNIT_FAIL(test, "%u from %u, at %u", lens[i], from, at);
			}
		}
	}
}

/* ---- lengths ---- */

static void check_lengths(struct kunit *test, struct peer *p)
{
	unsigned int least = is_etm(p->e) ? 1 : p->mac_len + 1;
	unsigned int body;

	for (body = 0; body <= 600; body++) {
		u8 wire[KSSL_HEADER_LEN] = { 23, 3, 3, body >> 8, body };
		int enciphered = (int)body - BLOCK - (int)p->e->trailer_len;
		bool legal = enciphered >= (int)least && enciphered % BLOCK == 0;
		struct kssl_record_header h;

		KUNIT_EXPECT_EQ_MSG(test, kssl_record_parse(wire, p->e, &h), legal ? 0 : -EBADMSG,
				    "%u", body);
		if (!legal)
			continue;
		/* noise of that length */
		fill_bytes(p->record, KSSL_HEADER_LEN + body);
		memcpy(p->record, wire, sizeof(wire));
		KUNIT_EXPECT_EQ_MSG(test, open_peers(test, p, 1), -EBADMSG, "%u", body);
	}
}

static void lengths(struct kunit *test)
{
	with_every_peer(test, check_lengths);
}

/* RFC 5246 6.2.1: content of 2^14 at most; 6.2.3: a body of 2^14 + 2048. */
static void check_limits(struct kunit *test, struct peer *p)
{
	unsigned int inside = is_etm(p->e) ? 0 : p->mac_len;
	unsigned int most = round_down(KSSL_MAX_PAYLOAD + 2048 - BLOCK - p->e->trailer_len, BLOCK);
	unsigned int padding = round_down(256 + inside, BLOCK) - inside;

	/* the longest content, with the least and the most padding */
	KUNIT_EXPECT_EQ(test, give(test, p, 16384, padding_len(p->e, 16384)), 16384);
	KUNIT_EXPECT_EQ(test, give(test, p, 16384, padding), 16384);
	KUNIT_EXPECT_TRUE(test, is_content(p->record + AT, 16384));

	/* one byte too many */
	KUNIT_EXPECT_EQ(test, give(test, p, 16385, padding_len(p->e, 16385)), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, give(test, p, 16385, padding - 1), -EMSGSIZE);

	/* the longest body, which has more than that in any case */
	KUNIT_EXPECT_EQ(test, give(test, p, most - inside - 1, 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, give(test, p, most - inside - 256, 256), -EMSGSIZE);
	/* what is not authentic has no length */
	KUNIT_EXPECT_EQ(test, give_wrong(test, p, most - inside - 1, 1, 16000),
			is_etm(p->e) ? -EMSGSIZE : -EBADMSG);
	lay_out(test, p, 1, most - inside - 1, 1);
	encipher(test, p, 1, most);
	p->record[8000] ^= 1;
	KUNIT_EXPECT_EQ(test, open_peers(test, p, 1), -EBADMSG);

	encipher(test, p, 1, lay_out(test, p, 1, most + BLOCK - inside - 1, 1));
	KUNIT_EXPECT_EQ(test, open_peers(test, p, 1), -EMSGSIZE);
}

static void limits(struct kunit *test)
{
	with_every_peer(test, check_limits);
}

/* ---- buffers ---- */

static void check_scattered(struct kunit *test, struct peer *p)
{
	static const unsigned int steps[] = { 1, 3, 7, 16, 31, 61, 255, 0 };
	unsigned int len = 603, room = AT + len + 128, sealed;
	u8 *content = buffer(test, len);
	u8 *record = buffer(test, room);
	u8 *out = buffer(test, room);
	unsigned int i, j;
	u8 type = 0;

	fill_bytes(content, len);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		int ret = seal(test, p->e, 1, 0, 23, content, len, record, steps[i]);

		KUNIT_EXPECT_GT(test, ret, 0);
		ret = open_in_place(test, p->e, 1, record, &type);
		KUNIT_EXPECT_EQ_MSG(test, ret, len, "sealed in segments of %u", steps[i]);
		KUNIT_EXPECT_EQ(test, memcmp(record + AT, content, len), 0);
	}
	sealed = encipher(test, p, 1, lay_out(test, p, 1, len, padding_len(p->e, len)));
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		int ret;

		memcpy(record, p->record, sealed);
		for (j = 0; j < ARRAY_SIZE(steps); j++) {
			memset(out, 0, room);
			ret = open_at(test, p->e, 1, record, out, steps[i], steps[j], &type);
			KUNIT_EXPECT_EQ_MSG(test, ret, len, "%u to %u", steps[i], steps[j]);
			KUNIT_EXPECT_EQ_MSG(test, memcmp(out, content, len), 0, "%u to %u",
					    steps[i], steps[j]);
			KUNIT_EXPECT_EQ(test, memcmp(record, p->record, sealed), 0);
		}
		ret = open_at(test, p->e, 1, record, NULL, steps[i], 0, &type);
		KUNIT_EXPECT_EQ_MSG(test, ret, len, "in place, segments of %u", steps[i]);
		KUNIT_EXPECT_EQ(test, memcmp(record + AT, content, len), 0);
	}
}

static void scattered(struct kunit *test)
{
	with_every_peer(test, check_scattered);
}

/* ---- what can be counted ---- */

/*
 * MAC-then-encrypt, @len bytes enciphered: as many compressions for every padding there
 * can be, right or wrong, and for wrong MACs, and one error for all that is wrong.  They
 * are what the longest content takes, and the outer hash.
 */
static void check_count(struct kunit *test, struct peer *p, unsigned int len)
{
	const struct kssl_hash *hash = p->e->mac.hash;
	unsigned int longest = 13 + len - p->mac_len - 1;
	u32 want = DIV_ROUND_UP(longest + 1 + 2 * hash->word_len, hash->block_len) + 1;
	unsigned int padding, kind, step = len > 272 ? 5 : 1;

	for (padding = 1; padding <= 256 && padding + p->mac_len <= len; padding += step) {
		unsigned int content = len - p->mac_len - padding;
		/* nothing, content, the MAC's ends, the padding's first octet, its length */
		unsigned int wrong[] = { UINT_MAX, 0, content, len - padding - 1, len - padding,
					 len - 1 };

		for (kind = 0; kind < ARRAY_SIZE(wrong); kind++) {
			u32 before = p->e->mac.blocks;
			int ret = kind ? give_wrong(test, p, content, padding, wrong[kind]) :
					 give(test, p, content, padding);

			if (p->e->mac.blocks - before != want)
				KUNIT_FAIL(test, "%u bytes, padding %u, kind %u: %u blocks, not %u",
					   len, padding, kind, p->e->mac.blocks - before, want);
			KUNIT_EXPECT_EQ_MSG(test, ret, kind ? -EBADMSG : (int)content,
					    "%u bytes, padding %u, kind %u", len, padding, kind);
		}
	}
}

static void compressions(struct kunit *test)
{
	static const unsigned int lens[] = { 32, 64, 80, 128, 272, 304, 400, 512, 1040 };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		struct peer *p = new_peer(test, suites[i], false);

		for (j = 0; j < ARRAY_SIZE(lens); j++)
			if (lens[j] > p->mac_len)
				check_count(test, p, lens[j]);
	}
}

/* Octets of a padding that claims more than there is, and noise: no difference either. */
static void check_noise(struct kunit *test, struct peer *p, unsigned int len)
{
	u32 want = 0;
	unsigned int octet, i;

	for (octet = 0; octet <= 255; octet++) {
		u32 before = p->e->mac.blocks;

		fill_bytes(p->record + AT, len);
		for (i = 0; i < len && i < octet; i += 3)
			p->record[AT + len - 1 - i] = octet;
		p->record[AT + len - 1] = octet;
		encipher(test, p, 1, len);
		KUNIT_EXPECT_EQ_MSG(test, open_peers(test, p, 1), -EBADMSG, "%u, %u", len, octet);
		if (!octet)
			want = p->e->mac.blocks - before;
		KUNIT_EXPECT_EQ_MSG(test, p->e->mac.blocks - before, want, "%u, %u", len, octet);
	}
}

static void compressions_of_noise(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		struct peer *p = new_peer(test, suites[i], false);

		check_noise(test, p, round_up(p->mac_len + 1, BLOCK));
		check_noise(test, p, 256);
		check_noise(test, p, 320);
		check_noise(test, p, 1600);
	}
}

static struct kunit_case cbc_cases[] = {
	KUNIT_CASE(openssl),
	KUNIT_CASE(flipped_bits),
	KUNIT_CASE(sealed),
	KUNIT_CASE(fresh_iv),
	KUNIT_CASE(suffix_len),
	KUNIT_CASE(round_trip),
	KUNIT_CASE(every_padding),
	KUNIT_CASE(every_octet),
	KUNIT_CASE(room_for_padding),
	KUNIT_CASE(padding_mask),
	KUNIT_CASE(taken_mac),
	KUNIT_CASE(lengths),
	KUNIT_CASE(limits),
	KUNIT_CASE(scattered),
	KUNIT_CASE(compressions),
	KUNIT_CASE(compressions_of_noise),
	{}
};

static struct kunit_suite cbc_suite = {
	.name = "kssl_fmt_cbc",
	.test_cases = cbc_cases,
};

kunit_test_suite(cbc_suite);
