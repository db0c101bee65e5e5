// SPDX-License-Identifier: MIT
/*
 * Seal and open single records with EVP.  Speed does not matter here: only
 * control records come this way.
 *
 *   TLS 1.2:  type 0303 length | explicit nonce (0 or 8) | payload | tag
 *   TLS 1.3:  23   0303 length | payload type | tag
 *   CBC:      type version length | IV | payload MAC padding
 *             type version length | IV | payload padding | MAC	(RFC 7366)
 *   RC4:      type version length | payload MAC
 *
 * Up to TLS 1.0 there is no IV in a record, but the last block of the one before.  RC4 goes on
 * from record to record.
 */
#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "shim.h"

#define NONCE_LEN	12
#define AAD_MAX		13
#define BLOCK_MAX	16

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

static bool is_aead(const struct kssl_shim *shim)
{
	return !shim->suite->protection->hash;
}

static bool is_stream(const struct kssl_shim *shim)
{
	return !is_aead(shim) && !kssl_suite_is_cbc(shim->suite);
}

static bool is_ssl3(const struct kssl_shim *shim)
{
	return shim->suite->version == KSSL_SSL30;
}

/* RFC 8446 5.1 */
static unsigned int record_version(const struct kssl_shim *shim)
{
	return shim->suite->version >= KSSL_TLS13 ? KSSL_TLS12 : shim->suite->version;
}

static unsigned int block_of(const struct kssl_shim *shim)
{
	return shim->suite->protection->explicit_len;
}

static bool is_etm(const struct kssl_shim *shim)
{
	return shim->key.flags & KSSL_KEY_ETM;
}

static bool set_aead(struct kssl_shim *shim, const EVP_CIPHER *cipher)
{
	const struct kssl_protection *p = shim->suite->protection;
	bool ok = EVP_CipherInit_ex(shim->evp, cipher, NULL, NULL, NULL, shim->seals) &&
		  EVP_CIPHER_CTX_ctrl(shim->evp, EVP_CTRL_AEAD_SET_IVLEN, NONCE_LEN, NULL) > 0;

	/* CCM's tag length is part of its keying. */
	if (ok && p->ccm)
		ok = EVP_CIPHER_CTX_ctrl(shim->evp, EVP_CTRL_AEAD_SET_TAG, p->tag_len, NULL) > 0;
	return ok && EVP_CipherInit_ex(shim->evp, NULL, NULL, shim->key.key, NULL, shim->seals);
}

static bool set_hmac(struct kssl_shim *shim)
{
	const struct kssl_protection *p = shim->suite->protection;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)p->hash, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	shim->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	return shim->mac && EVP_MAC_init(shim->mac, shim->key.mac_key, shim->key.mac_key_len, params);
}

/* To where the key stream has come. */
static bool skip(struct kssl_shim *shim)
{
	uint8_t scrap[256] = { 0 };
	uint64_t left;
	bool ok = true;
	int n;

	for (left = shim->nonce; ok && left; left -= n) {
		n = left < sizeof(scrap) ? left : sizeof(scrap);
		ok = EVP_CipherUpdate(shim->evp, scrap, &n, scrap, n);
	}
	OPENSSL_cleanse(scrap, sizeof(scrap));
	return ok;
}

static bool set_cipher_and_mac(struct kssl_shim *shim, const EVP_CIPHER *cipher)
{
	return (is_ssl3(shim) || set_hmac(shim)) &&
	       EVP_CipherInit_ex(shim->evp, cipher, NULL, shim->key.key, NULL, shim->seals) &&
	       EVP_CIPHER_CTX_set_padding(shim->evp, 0) && (!is_stream(shim) || skip(shim));
}

/* Return: 0 or -EIO. */
static int wake(struct kssl_shim *shim)
{
	EVP_CIPHER *cipher;
	bool ok;

	if (shim->evp)
		return 0;
	if (!shim->suite)
		return -EIO;
	cipher = EVP_CIPHER_fetch(NULL, shim->suite->protection->evp, NULL);
	shim->evp = EVP_CIPHER_CTX_new();
	ok = cipher && shim->evp &&
	     (is_aead(shim) ? set_aead(shim, cipher) : set_cipher_and_mac(shim, cipher));
	EVP_CIPHER_free(cipher);
	if (!ok)
		kssl_shim_rest(shim);
	return ok ? 0 : -EIO;
}

/**
 * kssl_shim_set_key() - start anew under a key
 * @shim: zeroed, or in use under another key
 * @key: key; its sequence number, and with RC4 its nonce, is where the shim starts
 * @seal: 1 to seal, 0 to open
 *
 * Return: 0, -EOPNOTSUPP for a suite without row, -EIO. After a failure the shim
 * has no key.
 */
int kssl_shim_set_key(struct kssl_shim *shim, const struct kssl_key *key, int seal)
{
	int ret;

	kssl_shim_clear(shim);
	shim->suite = kssl_suite_find(key->suite, key->version);
	if (!shim->suite)
		return -EOPNOTSUPP;
	shim->key = *key;
	/* Of no use here. */
	OPENSSL_cleanse(shim->key.secret, sizeof(shim->key.secret));
	shim->seals = seal;
	shim->seq = key->seq;
	shim->nonce = key->nonce;
	ret = wake(shim);
	if (ret)
		kssl_shim_clear(shim);
	return ret;
}

/**
 * kssl_shim_rest() - give back what only a record at work needs
 * @shim: may be zeroed
 *
 * Some 2 KiB less for each connection at rest.
 */
void kssl_shim_rest(struct kssl_shim *shim)
{
	EVP_CIPHER_CTX_free(shim->evp);
	EVP_MAC_CTX_free(shim->mac);
	shim->evp = NULL;
	shim->mac = NULL;
}

/**
 * kssl_shim_clear() - forget the key
 * @shim: may be zeroed
 */
void kssl_shim_clear(struct kssl_shim *shim)
{
	kssl_shim_rest(shim);
	OPENSSL_cleanse(shim, sizeof(*shim));
}

/* ---- AEAD ---- */

static void build_nonce(const struct kssl_shim *shim, const uint8_t *explicit, uint8_t *nonce)
{
	unsigned int explicit_len = kssl_suite_explicit_len(shim->suite);
	uint8_t seq[8];
	int i;

	memcpy(nonce, shim->key.iv, NONCE_LEN);
	if (explicit_len) {
		memcpy(nonce + NONCE_LEN - explicit_len, explicit, explicit_len);
		return;
	}
	/* RFC 8446 5.3, RFC 7905 2 */
	put64(seq, shim->seq);
	for (i = 0; i < 8; i++)
		nonce[NONCE_LEN - 8 + i] ^= seq[i];
}

/* RFC 8446 5.2: the header; RFC 5246 6.2.3.1, 6.2.3.3: seq, type, version, length. */
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

static int seal_aead(struct kssl_shim *shim, uint8_t type, const uint8_t *payload, size_t len, uint8_t *record)
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
	put16(record + 1, record_version(shim));
	put16(record + 3, explicit_len + len + inner + tag_len);
	if (explicit_len)
		put64(record + KSSL_HEADER_LEN, shim->seq);

	build_nonce(shim, record + KSSL_HEADER_LEN, nonce);
	aad_len = build_aad(shim, record, len, aad);
	ret = run_aead(shim, 1, nonce, aad, aad_len, body, len + inner, body, body + len + inner);
	if (ret)
		return -EIO;
	return KSSL_HEADER_LEN + explicit_len + len + inner + tag_len;
}

static int open_aead(struct kssl_shim *shim, const uint8_t *record, size_t len, uint8_t *payload, uint8_t *type)
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
	if (explicit_len)
		shim->nonce = get64(record + KSSL_HEADER_LEN) + 1;
	return plain_len;
}

/* ---- a cipher and a MAC ---- */

static int run_cbc(struct kssl_shim *shim, int seal, const uint8_t *iv, const uint8_t *in, size_t len,
		   uint8_t *out)
{
	int n;

	return EVP_CipherInit_ex(shim->evp, NULL, NULL, NULL, iv, seal) &&
	       EVP_CipherUpdate(shim->evp, out, &n, in, len) && n == (int)len ? 0 : -EIO;
}

/* RFC 6101 5.2.3.1: hash(key + pad 2 + hash(key + pad 1 + seq, type, length, data)) */
static int run_mac_ssl3(struct kssl_shim *shim, const uint8_t *header, const uint8_t *data, size_t len,
			uint8_t *mac)
{
	const struct kssl_protection *p = shim->suite->protection;
	const EVP_MD *md = EVP_get_digestbyname(p->hash);
	/* As many whole digests as go into 48 octets. */
	size_t pad_len = 48 / p->tag_len * p->tag_len;
	uint8_t pad[2][48], head[8 + 1 + 2];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	memset(pad[0], 0x36, pad_len);
	memset(pad[1], 0x5c, pad_len);
	put64(head, shim->seq);
	head[8] = header[0];
	put16(head + 9, len);
	ok = ctx && md && EVP_DigestInit_ex(ctx, md, NULL) &&
	     EVP_DigestUpdate(ctx, shim->key.mac_key, shim->key.mac_key_len) &&
	     EVP_DigestUpdate(ctx, pad[0], pad_len) && EVP_DigestUpdate(ctx, head, sizeof(head)) &&
	     EVP_DigestUpdate(ctx, data, len) && EVP_DigestFinal_ex(ctx, mac, NULL) &&
	     EVP_DigestInit_ex(ctx, md, NULL) &&
	     EVP_DigestUpdate(ctx, shim->key.mac_key, shim->key.mac_key_len) &&
	     EVP_DigestUpdate(ctx, pad[1], pad_len) && EVP_DigestUpdate(ctx, mac, p->tag_len) &&
	     EVP_DigestFinal_ex(ctx, mac, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int run_hmac(struct kssl_shim *shim, const uint8_t *header, const uint8_t *data, size_t len,
		    uint8_t *mac)
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(shim->mac);
	uint8_t aad[AAD_MAX];
	int aad_len = build_aad(shim, header, len, aad);
	size_t mac_len;
	int ok = ctx && EVP_MAC_update(ctx, aad, aad_len) && EVP_MAC_update(ctx, data, len) &&
		 EVP_MAC_final(ctx, mac, &mac_len, EVP_MAX_MD_SIZE);

	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static int run_mac(struct kssl_shim *shim, const uint8_t *header, const uint8_t *data, size_t len,
		   uint8_t *mac)
{
	return (is_ssl3(shim) ? run_mac_ssl3 : run_hmac)(shim, header, data, len, mac);
}

static int check_mac(struct kssl_shim *shim, const uint8_t *header, const uint8_t *data, size_t len,
		     const uint8_t *mac)
{
	uint8_t wanted[EVP_MAX_MD_SIZE];
	int ret = run_mac(shim, header, data, len, wanted);

	if (ret)
		return ret;
	return CRYPTO_memcmp(mac, wanted, shim->suite->protection->tag_len) ? -EBADMSG : 0;
}

/* What is the IV of the next record, where records are chained. */
static void chain(struct kssl_shim *shim, const uint8_t *end)
{
	if (kssl_suite_is_chained(shim->suite))
		memcpy(shim->key.iv, end - block_of(shim), block_of(shim));
}

static int seal_cbc(struct kssl_shim *shim, uint8_t type, const uint8_t *payload, size_t len, uint8_t *record)
{
	unsigned int mac_len = shim->suite->protection->tag_len, iv_len = kssl_suite_explicit_len(shim->suite);
	uint8_t *iv = record + KSSL_HEADER_LEN, *body = iv + iv_len;
	uint8_t mac[EVP_MAX_MD_SIZE] = { 0 };
	unsigned int padding;
	int ret = !iv_len || RAND_bytes(iv, iv_len) == 1 ? 0 : -EIO;

	record[0] = type;
	put16(record + 1, record_version(shim));
	memcpy(body, payload, len);
	if (!ret && !is_etm(shim)) {
		ret = run_mac(shim, record, payload, len, mac);
		memcpy(body + len, mac, mac_len);
		len += mac_len;
	}
	padding = block_of(shim) - len % block_of(shim);
	memset(body + len, padding - 1, padding);
	len += padding;
	if (!ret)
		ret = run_cbc(shim, 1, iv_len ? iv : shim->key.iv, body, len, body);
	if (!ret)
		chain(shim, body + len);
	if (!ret && is_etm(shim)) {
		ret = run_mac(shim, record, iv, iv_len + len, mac);
		memcpy(body + len, mac, mac_len);
		len += mac_len;
	}
	put16(record + 3, iv_len + len);
	return ret ? ret : (int)(KSSL_HEADER_LEN + iv_len + len);
}

/*
 * Bytes of what is left when padding is taken off; -EBADMSG if it is none.  In SSL 3.0 it is
 * of at most a block, and means nothing (RFC 6101 5.2.3.2).
 */
static int strip_padding(const struct kssl_shim *shim, const uint8_t *data, size_t len, size_t mac_len)
{
	size_t padding = data[len - 1] + 1, i;

	if (padding + mac_len > len || (is_ssl3(shim) && padding > block_of(shim)))
		return -EBADMSG;
	for (i = 2; i <= padding && !is_ssl3(shim); i++)
		if (data[len - i] != data[len - 1])
			return -EBADMSG;
	return len - padding - mac_len;
}

/*
 * One error whatever is wrong. Its time tells what, which matters little: only
 * records that this process or the kernel has checked, and a peer's first ones,
 * come this way.
 */
static int open_cbc(struct kssl_shim *shim, const uint8_t *record, size_t len, uint8_t *payload, uint8_t *type)
{
	unsigned int mac_len = shim->suite->protection->tag_len, iv_len = kssl_suite_explicit_len(shim->suite);
	const uint8_t *iv = record + KSSL_HEADER_LEN, *body = iv + iv_len;
	int ret;

	if (len < KSSL_HEADER_LEN + iv_len + block_of(shim) + (is_etm(shim) ? mac_len : 0))
		return -EBADMSG;
	len -= KSSL_HEADER_LEN + iv_len + (is_etm(shim) ? mac_len : 0);
	if (len % block_of(shim))
		return -EBADMSG;
	if (is_etm(shim)) {
		ret = check_mac(shim, record, iv, iv_len + len, body + len);
		if (ret)
			return ret;
	}
	if (run_cbc(shim, 0, iv_len ? iv : shim->key.iv, body, len, payload))
		return -EIO;
	ret = strip_padding(shim, payload, len, is_etm(shim) ? 0 : mac_len);
	if (ret >= 0 && !is_etm(shim) && check_mac(shim, record, payload, ret, payload + ret))
		ret = -EBADMSG;
	if (ret >= 0)
		chain(shim, body + len);
	*type = record[0];
	return ret;
}

static int seal_stream(struct kssl_shim *shim, uint8_t type, const uint8_t *payload, size_t len,
		       uint8_t *record)
{
	unsigned int mac_len = shim->suite->protection->tag_len;
	uint8_t *body = record + KSSL_HEADER_LEN;
	int ret, n;

	record[0] = type;
	put16(record + 1, record_version(shim));
	put16(record + 3, len + mac_len);
	memcpy(body, payload, len);
	ret = run_mac(shim, record, body, len, body + len);
	if (ret || !EVP_CipherUpdate(shim->evp, body, &n, body, len + mac_len))
		return -EIO;
	shim->nonce += len + mac_len;
	return KSSL_HEADER_LEN + len + mac_len;
}

static int open_stream(struct kssl_shim *shim, const uint8_t *record, size_t len, uint8_t *payload,
		       uint8_t *type)
{
	unsigned int mac_len = shim->suite->protection->tag_len;
	int ret, n;

	if (len < KSSL_HEADER_LEN + mac_len)
		return -EBADMSG;
	len -= KSSL_HEADER_LEN;
	if (!EVP_CipherUpdate(shim->evp, payload, &n, record + KSSL_HEADER_LEN, len))
		return -EIO;
	ret = check_mac(shim, record, payload, len - mac_len, payload + len - mac_len);
	if (ret) {
		/* Whoever wakes it finds the key stream where it was. */
		kssl_shim_rest(shim);
		return ret;
	}
	shim->nonce += len;
	*type = record[0];
	return len - mac_len;
}

/* ---- either ---- */

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
	int ret = wake(shim);

	if (!ret)
		ret = is_aead(shim) ? seal_aead(shim, type, payload, len, record) :
		      is_stream(shim) ? seal_stream(shim, type, payload, len, record) :
					seal_cbc(shim, type, payload, len, record);
	if (ret >= 0)
		shim->seq++;
	return ret;
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
	int ret = wake(shim);

	if (!ret)
		ret = is_aead(shim) ? open_aead(shim, record, len, payload, type) :
		      is_stream(shim) ? open_stream(shim, record, len, payload, type) :
					open_cbc(shim, record, len, payload, type);
	if (ret >= 0)
		shim->seq++;
	return ret;
}
