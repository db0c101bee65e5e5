// SPDX-License-Identifier: GPL-2.0
/*
 * Records protected by RC4 and a MAC.  Owns the MAC; knows no socket.
 *
 *	header | E(content | MAC)	(RFC 2246 6.2.3.1, RFC 6101 5.2.3.1)
 *	MAC over seq 8 | type 1 | version 2 | length of content 2 | content
 *
 * In SSL 3.0 the MAC does without the version.  The cipher goes on from record to record.
 */
#include <crypto/algapi.h>
#include <crypto/scatterwalk.h>
#include <linux/slab.h>
#include "record.h"

static int rc4_setup(struct kssl_epoch *e, const struct kssl_key *key)
{
	int ret = kssl_mac_setup_record(e, key);
	struct kssl_rc4 *rc4;

	if (ret)
		return ret;
	rc4 = kmalloc(sizeof(*rc4), GFP_KERNEL);
	if (!rc4)
		return -ENOMEM;
	e->residue = rc4;
	e->residue_len = sizeof(*rc4);
	kssl_rc4_set_key(rc4, key->key, key->key_len);
	kssl_rc4_skip(rc4, key->nonce);
	return 0;
}

/* Epochs free their residue. */
static void rc4_teardown(struct kssl_epoch *e)
{
}

static unsigned int rc4_suffix_len(const struct kssl_epoch *e, unsigned int payload_len)
{
	return e->suite->cipher->tag_len;
}

static bool rc4_legal_len(const struct kssl_epoch *e, unsigned int body_len)
{
	return body_len >= e->suite->cipher->tag_len;
}

/* fmt.seal: see aead_seal() */
static int rc4_seal(struct kssl_epoch *e, u64 seq, u64 nonce, u8 type, u8 *prefix,
		    struct scatterlist *sg, unsigned int payload_len)
{
	unsigned int mac_len = e->suite->cipher->tag_len;
	u8 mac[KSSL_DIGEST_MAX];
	int ret;

	sg++;	/* an AEAD's additional data */
	kssl_record_build(prefix, type, e->ver->record_wire, payload_len + mac_len);
	ret = kssl_mac_of_content(e, seq, type, sg, payload_len, mac);
	if (ret)
		return ret;
	scatterwalk_map_and_copy(mac, sg, payload_len, mac_len, 1);
	kssl_rc4_crypt_sg(e->residue, sg, sg, payload_len + mac_len);
	return 0;
}

/* fmt.open: see aead_open() */
static int rc4_open(struct kssl_epoch *e, u64 seq, const u8 *prefix, struct scatterlist *src,
		    struct scatterlist *dst, unsigned int body_len, u8 *type)
{
	unsigned int mac_len = e->suite->cipher->tag_len, len = body_len - mac_len;
	struct kssl_rc4 *rc4 = e->residue, after = *rc4;
	u8 mac[KSSL_DIGEST_MAX], wanted[KSSL_DIGEST_MAX];
	int ret;

	/* Where an AEAD has its additional data. */
	src++;
	dst++;
	kssl_rc4_crypt_sg(&after, src, dst, body_len);
	ret = kssl_mac_of_content(e, seq, *type, dst, len, wanted);
	scatterwalk_map_and_copy(mac, dst, len, mac_len, 0);
	if (!ret && crypto_memneq(mac, wanted, mac_len))
		ret = -EBADMSG;
	if (!ret)
		*rc4 = after;
	memzero_explicit(&after, sizeof(after));
	memzero_explicit(mac, sizeof(mac));
	memzero_explicit(wanted, sizeof(wanted));
	if (ret)
		return ret;
	return len > e->max_payload ? -EMSGSIZE : len;
}

const struct kssl_fmt kssl_fmt_stream = {
	.setup = rc4_setup,
	.teardown = rc4_teardown,
	.suffix_len = rc4_suffix_len,
	.legal_len = rc4_legal_len,
	.seal = rc4_seal,
	.open = rc4_open,
};
