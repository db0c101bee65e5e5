// SPDX-License-Identifier: MIT
/*
 * What seals and opens CBC records, for each length up to a bound and the longest one, whatever the octets, the
 * padding, the MAC key and the results of cipher and hash.
 */
#include "prove.h"
#include "record.c"
#include "mac.c"
#include "fmt_cbc.c"

static const struct kssl_hash hashes[] = {
	{ .block_len = 64, .word_len = 4, .words = 5, .digest_len = 20 },
	{ .block_len = 64, .word_len = 4, .words = 8, .digest_len = 32 },
	{ .block_len = 128, .word_len = 8, .words = 8, .digest_len = 48 },
	{ .block_len = 64, .word_len = 4, .words = 4, .digest_len = 16, .little_endian = true },
};

/* The version's flags, and octets of a block of the cipher. */
#ifndef VERSION
#define VERSION	0
#define BLOCK	16
#endif

void shim_zero(void *p, size_t len)
{
	memset(p, 0, len);
}

void get_random_bytes(void *to, size_t len)
{
	any_octets(to, len);
}

int kssl_hash_get(const struct kssl_hash *hash)
{
	return 0;
}

void kssl_hash_start(const struct kssl_hash *hash, union kssl_chain *chain)
{
	any_octets(chain, sizeof(*chain));
}

/* May say anything, and fail, but gets whole blocks, all of them there and set. */
int kssl_hash_compress(const struct kssl_hash *hash, union kssl_chain *chain, const u8 *blocks, unsigned int count)
{
	prove(count >= 1);
	read_octets(blocks, count * hash->block_len);
	any_octets(chain, sizeof(*chain));
	return any(0, 1) ? 0 : -EIO;
}

int kssl_crypt_cbc_setup(struct kssl_epoch *e, const u8 *key)
{
	return any(0, 1) ? 0 : -ENOMEM;
}

void kssl_crypt_cbc_teardown(struct kssl_epoch *e)
{
}

/* The octets of @sg, whatever they are. */
static void any_sg(struct scatterlist *sg, unsigned int len)
{
	while (len) {
		prove(sg->length <= len);
		any_octets(sg->buf, sg->length);
		len -= sg->length;
		sg++;
	}
}

int kssl_crypt_cbc(struct kssl_epoch *e, bool encrypt, struct scatterlist *src, struct scatterlist *dst,
		   unsigned int len)
{
	prove(len % BLOCK == 0);
	read_octets(e->nonce, BLOCK);
	if (!encrypt)
		any_sg(dst, len);
	return any(0, 1) ? 0 : -EIO;
}

static u8 data[KSSL_RECORD_MAX + 256], opened[KSSL_RECORD_MAX];

static void pieces(struct scatterlist *sg, u8 *buf, unsigned int len)
{
	sg_init_table(sg, 3);
	sg_set_buf(&sg[1], buf, 7);
	sg_set_buf(&sg[2], buf + 7, len - 7);
}

static void open_and_seal(struct kssl_epoch *e, unsigned int len)
{
	unsigned int suffix_len = e->suite->cipher->fmt->suffix_len(e, len);
	struct scatterlist src[3], dst[3];
	u8 prefix[KSSL_PREFIX_MAX], type = any(0, 255);
	int ret;

	any_octets(prefix, sizeof(prefix));
	if (len % BLOCK == 0 && e->suite->cipher->fmt->legal_len(e, e->prefix_len + len + e->trailer_len)) {
		any_octets(data, len + e->trailer_len);
		pieces(src, data, len + e->trailer_len);
		pieces(dst, opened, len);
		ret = e->suite->cipher->fmt->open(e, any(0, ~0U), prefix, src, dst,
						  e->prefix_len + len + e->trailer_len, &type);
		prove(ret <= KSSL_MAX_PAYLOAD);
	}
	if (len % 8 == 7 && len <= KSSL_MAX_PAYLOAD) {
		any_octets(data, len);
		pieces(src, data, len + suffix_len);
		e->suite->cipher->fmt->seal(e, any(0, ~0U), 0, type, prefix, src, len);
	}
}

static void check(const struct kssl_hash *hash, u32 flags)
{
	const struct kssl_version ver = { .record_wire = 0x0303, .flags = VERSION };
	const struct kssl_cipher cipher = {
		.hash = hash, .fmt = &kssl_fmt_cbc, .tag_len = hash->digest_len, .explicit_len = BLOCK,
	};
	const struct kssl_suite suite = { .cipher = &cipher };
	struct kssl_epoch e = { .suite = &suite, .ver = &ver, .flags = flags, .max_payload = KSSL_MAX_PAYLOAD };
	struct kssl_key key = { .mac_key_len = hash->digest_len };
	unsigned int len;

	any_octets(key.mac_key, sizeof(key.mac_key));
	/* The second cannot be, but the prover mixes up what failed and what did not. */
	if (cipher.fmt->setup(&e, &key) || ((VERSION & KSSL_V_CHAINED_IV) && !e.residue))
		return;
	for (len = SHORTEST; len <= LONGEST; len++)
		open_and_seal(&e, len);
	if (SHORTEST < LONGEST)
		open_and_seal(&e, (KSSL_MAX_PAYLOAD + KSSL_MAX_EXPANSION_12 - e.trailer_len) / BLOCK * BLOCK - BLOCK);
}

int main(void)
{
	check(&hashes[HASH], FLAGS);
	return 0;
}
