// SPDX-License-Identifier: GPL-2.0
/*
 * Records protected by an AEAD.  Owns nonce and additional data; knows no socket.
 *
 * TLS 1.2, GCM and CCM (RFC 5246 6.2.3.3, RFC 5288 3, RFC 6655 3):
 *	header | explicit nonce 8 | content | tag
 *	nonce = salt 4 | explicit nonce 8
 *	additional data = seq 8 | type 1 | version 2 | length of content 2
 *
 * TLS 1.2, ChaCha20-Poly1305 (RFC 7905 2):
 *	header | content | tag
 *	nonce = iv 12 xor seq
 *	additional data as above
 *
 * TLS 1.3 (RFC 8446 5.2, 5.3):
 *	header | content | type 1 | zero padding | tag
 *	nonce = iv 12 xor seq
 *	additional data = header
 */
#include <crypto/scatterwalk.h>
#include "record.h"

static int aead_setup(struct kssl_epoch *e, const struct kssl_key *key)
{
	const struct kssl_cipher *cipher = e->suite->cipher;

	e->trailer_len = cipher->tag_len;
	if (e->ver->flags & KSSL_V_INNER_TYPE) {
		e->aad_len = KSSL_HEADER_LEN;
	} else {
		e->prefix_len = cipher->explicit_len;
		e->aad_len = 8 + KSSL_HEADER_LEN;
	}
	memcpy(e->iv, key->iv, key->iv_len);
	return kssl_crypt_aead_setup(e, key->key);
}

static unsigned int inner_type_len(const struct kssl_epoch *e)
{
	return !!(e->ver->flags & KSSL_V_INNER_TYPE);
}

/* Zeros behind content and type (RFC 8446 5.4), which the limit counts too (RFC 8449 4). */
static unsigned int padding_len(const struct kssl_epoch *e, unsigned int payload_len)
{
	unsigned int padded;

	if (!e->pad_to || payload_len >= e->max_payload)
		return 0;
	padded = min(roundup(payload_len + 1, e->pad_to), e->max_payload + 1U);
	return padded - (payload_len + 1);
}

static unsigned int aead_suffix_len(const struct kssl_epoch *e, unsigned int payload_len)
{
	return inner_type_len(e) + padding_len(e, payload_len) + e->suite->cipher->tag_len;
}

static bool aead_legal_len(const struct kssl_epoch *e, unsigned int body_len)
{
	return body_len >= e->prefix_len + inner_type_len(e) + e->suite->cipher->tag_len;
}

static void make_nonce(struct kssl_epoch *e, u64 seq, const u8 *explicit)
{
	const struct kssl_cipher *cipher = e->suite->cipher;
	u8 *nonce = e->nonce + !!cipher->lead;

	e->nonce[0] = cipher->lead;
	if (e->prefix_len) {
		memcpy(nonce, e->iv, cipher->salt_len);
		memcpy(nonce + cipher->salt_len, explicit, e->prefix_len);
	} else {
		memcpy(nonce, e->iv, 4);
		put_unaligned_be64(get_unaligned_be64(e->iv + 4) ^ seq, nonce + 4);
	}
}

static void make_aad(struct kssl_epoch *e, u64 seq, u8 type, const u8 *header,
		     unsigned int content_len)
{
	if (e->ver->flags & KSSL_V_INNER_TYPE) {
		memcpy(e->aad, header, KSSL_HEADER_LEN);
	} else {
		put_unaligned_be64(seq, e->aad);
		kssl_record_build(e->aad + 8, type, e->ver->record_wire, content_len);
	}
}

/* Find the content type behind the padding (RFC 8446 5.4). */
static int strip_padding(struct scatterlist *dst, unsigned int aad_len, unsigned int len,
			 u8 *type)
{
	u8 chunk[64];

	while (len) {
		unsigned int n = min_t(unsigned int, len, sizeof(chunk));
		unsigned int i = n;

		/* Mostly there is no padding: look at one octet first. */
		scatterwalk_map_and_copy(chunk, dst, aad_len + len - 1, 1, 0);
		if (chunk[0]) {
			*type = chunk[0];
			return len - 1;
		}
		scatterwalk_map_and_copy(chunk, dst, aad_len + len - n, n, 0);
		while (i && !chunk[i - 1])
			i--;
		if (i) {
			*type = chunk[i - 1];
			len = len - n + i - 1;
			memzero_explicit(chunk, sizeof(chunk));
			return len;
		}
		len -= n;
	}
	return -EPROTO;
}

/**
 * aead_seal() - seal one record in place
 * @e: key epoch
 * @seq: its sequence number
 * @nonce: its explicit nonce, where the format has one
 * @type: content type
 * @prefix: (out) header and explicit nonce
 * @sg: entry 0 is free for the additional data; then the content, then
 *	what suffix_len says of room
 * @payload_len: bytes of content
 *
 * Context: Process context. Caller serializes use of @e.
 * Return: 0 or the error of the cipher.
 */
static int aead_seal(struct kssl_epoch *e, u64 seq, u64 nonce, u8 type, u8 *prefix,
		     struct scatterlist *sg, unsigned int payload_len)
{
	unsigned int padding = padding_len(e, payload_len);
	unsigned int len = payload_len + inner_type_len(e) + padding;
	u8 outer = type;

	if (inner_type_len(e)) {
		outer = KSSL_TYPE_APPLICATION_DATA;
		scatterwalk_map_and_copy(&type, sg + 1, payload_len, 1, 1);
	}
	if (padding)
		sg_zero_buffer(sg + 1, sg_nents(sg + 1), padding, payload_len + 1);
	kssl_record_build(prefix, outer, e->ver->record_wire,
			  e->prefix_len + len + e->suite->cipher->tag_len);
	if (e->prefix_len)
		put_unaligned_be64(nonce, prefix + KSSL_HEADER_LEN);
	make_nonce(e, seq, prefix + KSSL_HEADER_LEN);
	make_aad(e, seq, type, prefix, payload_len);
	sg_set_buf(sg, e->aad, e->aad_len);
	return kssl_crypt_aead(e, true, sg, sg, len);
}

/**
 * aead_open() - open one record
 * @e: key epoch
 * @seq: its sequence number
 * @prefix: header and explicit nonce
 * @src: entry 0 is free for the additional data; then ciphertext and tag
 * @dst: entry 0 likewise; then room for the plaintext, inner type included
 * @body_len: length field of the header
 * @type: (in, out) content type
 *
 * Context: Process context. Caller serializes use of @e.
 * Return:
 * * >=0 - bytes of content, which may be shorter than what was written to @dst
 * * %-EBADMSG - not authentic
 * * %-EMSGSIZE - content longer than allowed (RFC 5246 6.2.1, RFC 8446 5.4, RFC 8449 4)
 * * %-EPROTO - no content type inside (RFC 8446 5.4)
 */
static int aead_open(struct kssl_epoch *e, u64 seq, const u8 *prefix,
		     struct scatterlist *src, struct scatterlist *dst,
		     unsigned int body_len, u8 *type)
{
	unsigned int tag_len = e->suite->cipher->tag_len;
	unsigned int cipher_len = body_len - e->prefix_len;
	unsigned int len = cipher_len - tag_len;
	int ret;

	make_nonce(e, seq, prefix + KSSL_HEADER_LEN);
	make_aad(e, seq, *type, prefix, len);
	sg_set_buf(src, e->aad, e->aad_len);
	sg_set_buf(dst, e->aad, e->aad_len);
	ret = kssl_crypt_aead(e, false, src, dst, cipher_len);
	if (ret)
		return ret;

	if (inner_type_len(e)) {
		/* RFC 8446 5.4, RFC 8449 4: content, type and padding */
		if (len > e->max_payload + 1)
			return -EMSGSIZE;
		return strip_padding(dst, e->aad_len, len, type);
	}
	return len > e->max_payload ? -EMSGSIZE : len;
}

const struct kssl_fmt kssl_fmt_aead = {
	.setup = aead_setup,
	.teardown = kssl_crypt_aead_teardown,
	.suffix_len = aead_suffix_len,
	.legal_len = aead_legal_len,
	.seal = aead_seal,
	.open = aead_open,
};
