// SPDX-License-Identifier: MIT
/*
 * Seal and open single records with EVP.  Speed does not matter here: only
 * control records come this way.
 *
 *   TLS 1.2:  type 0303 length | explicit nonce (0 or 8) | payload | tag
 *   TLS 1.3:  23   0303 length | payload type | tag
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "shim.h"

#define NONCE_LEN	12
#define AAD_MAX		13
#define RECORD_VERSION	0x0303	/* in both versions (RFC 8446 5.1) */

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put64(uint8_t *p, uint64_t v)
{
	int i;

	for (i = 7; i >= 0; i--, v >>= 8)
		p[i] = v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/**
 * kssl_shim_set_key() - start anew under a key
 * @shim: zeroed, or in use under another key
 * @key: key; its sequence number is where the shim starts
 * @seal: 1 to seal, 0 to open
 *
 * Return: 0, -EOPNOTSUPP for a suite without row, -EIO. After a failure the shim
 * has no key.
 */
int kssl_shim_set_key(struct kssl_shim *shim, const struct kssl_key *key, int seal)
{
	const struct kssl_suite *suite = kssl_suite_find(key->suite, key->version);
	EVP_CIPHER *cipher;
	int ok;

	kssl_shim_clear(shim);
	if (!suite)
		return -EOPNOTSUPP;
	cipher = EVP_CIPHER_fetch(NULL, suite->protection->evp, NULL);
	shim->evp = EVP_CIPHER_CTX_new();
	ok = cipher && shim->evp && EVP_CipherInit_ex(shim->evp, cipher, NULL, NULL, NULL, seal) &&
	     EVP_CIPHER_CTX_ctrl(shim->evp, EVP_CTRL_AEAD_SET_IVLEN, NONCE_LEN, NULL) > 0;
	/* CCM's tag length is part of its keying. */
	if (ok && suite->protection->ccm)
		ok = EVP_CIPHER_CTX_ctrl(shim->evp, EVP_CTRL_AEAD_SET_TAG,
					 suite->protection->tag_len, NULL) > 0;
	ok = ok && EVP_CipherInit_ex(shim->evp, NULL, NULL, key->key, NULL, seal);
	EVP_CIPHER_free(cipher);
	if (!ok) {
		kssl_shim_clear(shim);
		return -EIO;
	}
	shim->suite = suite;
	memcpy(shim->iv, key->iv, key->iv_len);
	shim->seq = key->seq;
	return 0;
}

/**
 * kssl_shim_clear() - forget the key
 * @shim: may be zeroed
 */
void kssl_shim_clear(struct kssl_shim *shim)
{
	EVP_CIPHER_CTX_free(shim->evp);
	OPENSSL_cleanse(shim, sizeof(*shim));
}

static void build_nonce(const struct kssl_shim *shim, const uint8_t *explicit, uint8_t *nonce)
{
	unsigned int explicit_len = kssl_suite_explicit_len(shim->suite);
	uint8_t seq[8];
	int i;

	memcpy(nonce, shim->iv, NONCE_LEN);
	if (explicit_len) {
		memcpy(nonce + NONCE_LEN - explicit_len, explicit, explicit_len);
		return;
	}
	/* RFC 8446 5.3, RFC 7905 2 */
	put64(seq, shim->seq);
	for (i = 0; i < 8; i++)
		nonce[NONCE_LEN - 8 + i] ^= seq[i];
}

/* RFC 8446 5.2: the header; RFC 5246 6.2.3.3: seq, type, version, plain length. */
static int build_aad(const struct kssl_shim *shim, const uint8_t *header, size_t plain_len, uint8_t *aad)
{
	if (shim->suite->version >= KSSL_TLS13) {
		memcpy(aad, header, KSSL_HEADER_LEN);
		return KSSL_HEADER_LEN;
	}
	put64(aad, shim->seq);
	memcpy(aad + 8, header, 3);
	put16(aad + 11, plain_len);
	return AAD_MAX;
}

/* En- or decrypt @len bytes in one step; the tag is at @tag. */
static int run_aead(struct kssl_shim *shim, int seal, const uint8_t *nonce, const uint8_t *aad, int aad_len,
		    const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
	const struct kssl_protection *p = shim->suite->protection;
	EVP_CIPHER_CTX *evp = shim->evp;
	int n;

	if (!EVP_CipherInit_ex(evp, NULL, NULL, NULL, nonce, seal))
		return -EIO;
	if (!seal && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, p->tag_len, tag) <= 0)
		return -EIO;
	if (p->ccm && !EVP_CipherUpdate(evp, NULL, &n, NULL, len))
		return -EIO;
	if (!EVP_CipherUpdate(evp, NULL, &n, aad, aad_len))
		return -EIO;
	/* CCM checks the tag here, the others at the end. */
	if (!EVP_CipherUpdate(evp, out, &n, in, len) || !EVP_CipherFinal_ex(evp, out + len, &n))
		return -EBADMSG;
	if (seal && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, p->tag_len, tag) <= 0)
		return -EIO;
	return 0;
}

/**
 * kssl_shim_seal() - protect a record
 * @shim: keyed to seal
 * @type: content type
 * @payload: plaintext
 * @len: bytes of it, at most KSSL_MAX_PAYLOAD
 * @record: (out) room for @len + KSSL_SHIM_OVERHEAD
 *
 * Return: length of the record, or -EIO.
 */
int kssl_shim_seal(struct kssl_shim *shim, uint8_t type, const uint8_t *payload, size_t len,
		   uint8_t *record)
{
	unsigned int explicit_len = kssl_suite_explicit_len(shim->suite);
	unsigned int inner = shim->suite->version >= KSSL_TLS13;
	unsigned int tag_len = shim->suite->protection->tag_len;
	uint8_t *body = record + KSSL_HEADER_LEN + explicit_len;
	uint8_t nonce[NONCE_LEN], aad[AAD_MAX];
	int aad_len, ret;

	memcpy(body, payload, len);
	if (inner)
		body[len] = type;
	record[0] = inner ? KSSL_TYPE_APPLICATION_DATA : type;
	put16(record + 1, RECORD_VERSION);
	put16(record + 3, explicit_len + len + inner + tag_len);
	if (explicit_len)
		put64(record + KSSL_HEADER_LEN, shim->seq);

	build_nonce(shim, record + KSSL_HEADER_LEN, nonce);
	aad_len = build_aad(shim, record, len, aad);
	ret = run_aead(shim, 1, nonce, aad, aad_len, body, len + inner, body, body + len + inner);
	if (ret)
		return -EIO;
	shim->seq++;
	return KSSL_HEADER_LEN + explicit_len + len + inner + tag_len;
}

/**
 * kssl_shim_open() - check and decrypt a record
 * @shim: keyed to open
 * @record: one record as on the wire
 * @len: its length
 * @payload: (out) room for @len
 * @type: (out) content type
 *
 * Return: length of the payload; -EBADMSG if the record is not one of this key
 * and sequence number (and the state has not moved), -EIO.
 */
int kssl_shim_open(struct kssl_shim *shim, const uint8_t *record, size_t len, uint8_t *payload,
		   uint8_t *type)
{
	unsigned int explicit_len = kssl_suite_explicit_len(shim->suite);
	unsigned int inner = shim->suite->version >= KSSL_TLS13;
	unsigned int tag_len = shim->suite->protection->tag_len;
	const uint8_t *body = record + KSSL_HEADER_LEN + explicit_len;
	uint8_t nonce[NONCE_LEN], aad[AAD_MAX], tag[16];
	size_t plain_len;
	int aad_len, ret;

	if (len < KSSL_HEADER_LEN + explicit_len + inner + tag_len)
		return -EBADMSG;
	plain_len = len - KSSL_HEADER_LEN - explicit_len - tag_len;
	memcpy(tag, body + plain_len, tag_len);
	build_nonce(shim, record + KSSL_HEADER_LEN, nonce);
	aad_len = build_aad(shim, record, plain_len, aad);
	ret = run_aead(shim, 0, nonce, aad, aad_len, body, plain_len, payload, tag);
	if (ret)
		return ret;
	*type = record[0];
	if (inner) {
		/* RFC 8446 5.4: the last octet that is not zero is the type. */
		while (plain_len && !payload[plain_len - 1])
			plain_len--;
		if (!plain_len)
			return -EBADMSG;
		*type = payload[--plain_len];
	}
	shim->seq++;
	if (explicit_len)
		shim->nonce = get64(record + KSSL_HEADER_LEN) + 1;
	return plain_len;
}
