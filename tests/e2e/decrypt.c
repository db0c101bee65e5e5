// SPDX-License-Identifier: MIT
/* Key derivation and record protection of SSL 3.0 and TLS 1.0 to 1.3. */
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>
#include "decrypt.h"
#include "tap.h"

#define GCM_OF(id, cipher, bits, hash)	{ id, GCM, cipher "-" #bits "-GCM", (bits) / 8, 16, NULL, hash }
#define CCM_OF(id, bits, tag)		{ id, CCM, "AES-" #bits "-CCM", (bits) / 8, tag, NULL, "SHA256" }
#define CHACHA_OF(id)			{ id, CHACHA20_POLY1305, "ChaCha20-Poly1305", 32, 16, NULL, "SHA256" }
#define CBC_OF(id, cipher, bits, len, mac, hash) \
	{ id, CBC, cipher "-" #bits "-CBC", (bits) / 8, len, mac, hash }
#define DES3_OF(id)			{ id, CBC, "DES-EDE3-CBC", 24, 20, "SHA1", "SHA256" }
#define RC4_OF(id, len, mac)		{ id, STREAM, "RC4", 16, len, mac, "SHA256" }
#define CBC_SHA(id, cipher, bits)	CBC_OF(id, cipher, bits, 20, "SHA1", "SHA256")
#define CBC_SHA256(id, cipher, bits)	CBC_OF(id, cipher, bits, 32, "SHA256", "SHA256")
#define CBC_SHA384(id, cipher, bits)	CBC_OF(id, cipher, bits, 48, "SHA384", "SHA384")

static const struct suite suites[] = {
	/* RFC 8446 B.4 */
	GCM_OF(0x1301, "AES", 128, "SHA256"), GCM_OF(0x1302, "AES", 256, "SHA384"),
	CHACHA_OF(0x1303), CCM_OF(0x1304, 128, 16), CCM_OF(0x1305, 128, 8),
	/* RFC 5288, RFC 5289 */
	GCM_OF(0x009c, "AES", 128, "SHA256"), GCM_OF(0x009d, "AES", 256, "SHA384"),
	GCM_OF(0x009e, "AES", 128, "SHA256"), GCM_OF(0x009f, "AES", 256, "SHA384"),
	GCM_OF(0xc02b, "AES", 128, "SHA256"), GCM_OF(0xc02c, "AES", 256, "SHA384"),
	GCM_OF(0xc02f, "AES", 128, "SHA256"), GCM_OF(0xc030, "AES", 256, "SHA384"),
	/* RFC 7905 */
	CHACHA_OF(0xcca8), CHACHA_OF(0xcca9), CHACHA_OF(0xccaa),
	/* RFC 6655, RFC 7251 */
	CCM_OF(0xc09c, 128, 16), CCM_OF(0xc09d, 256, 16),
	CCM_OF(0xc09e, 128, 16), CCM_OF(0xc09f, 256, 16),
	CCM_OF(0xc0a0, 128, 8), CCM_OF(0xc0a1, 256, 8),
	CCM_OF(0xc0a2, 128, 8), CCM_OF(0xc0a3, 256, 8),
	CCM_OF(0xc0ac, 128, 16), CCM_OF(0xc0ad, 256, 16),
	CCM_OF(0xc0ae, 128, 8), CCM_OF(0xc0af, 256, 8),
	/* RFC 5246 A.5, RFC 8422 */
	CBC_SHA(0x002f, "AES", 128), CBC_SHA(0x0035, "AES", 256),
	CBC_SHA(0x0033, "AES", 128), CBC_SHA(0x0039, "AES", 256),
	CBC_SHA(0xc009, "AES", 128), CBC_SHA(0xc00a, "AES", 256),
	CBC_SHA(0xc013, "AES", 128), CBC_SHA(0xc014, "AES", 256),
	CBC_SHA256(0x003c, "AES", 128), CBC_SHA256(0x003d, "AES", 256),
	CBC_SHA256(0x0067, "AES", 128), CBC_SHA256(0x006b, "AES", 256),
	/* 3DES and RC4 of the same */
	DES3_OF(0x000a), DES3_OF(0x0016), DES3_OF(0xc008), DES3_OF(0xc012),
	RC4_OF(0x0004, 16, "MD5"), RC4_OF(0x0005, 20, "SHA1"), RC4_OF(0xc007, 20, "SHA1"), RC4_OF(0xc011, 20, "SHA1"),
	/* RFC 5289 */
	CBC_SHA256(0xc023, "AES", 128), CBC_SHA384(0xc024, "AES", 256),
	CBC_SHA256(0xc027, "AES", 128), CBC_SHA384(0xc028, "AES", 256),
	/* RFC 5932 */
	CBC_SHA(0x0041, "CAMELLIA", 128), CBC_SHA(0x0084, "CAMELLIA", 256),
	CBC_SHA(0x0045, "CAMELLIA", 128), CBC_SHA(0x0088, "CAMELLIA", 256),
	CBC_SHA256(0x00ba, "CAMELLIA", 128), CBC_SHA256(0x00c0, "CAMELLIA", 256),
	CBC_SHA256(0x00be, "CAMELLIA", 128), CBC_SHA256(0x00c4, "CAMELLIA", 256),
	/* RFC 6367 */
	CBC_SHA256(0xc072, "CAMELLIA", 128), CBC_SHA384(0xc073, "CAMELLIA", 256),
	CBC_SHA256(0xc076, "CAMELLIA", 128), CBC_SHA384(0xc077, "CAMELLIA", 256),
	/* RFC 6209 */
	GCM_OF(0xc050, "ARIA", 128, "SHA256"), GCM_OF(0xc051, "ARIA", 256, "SHA384"),
	GCM_OF(0xc052, "ARIA", 128, "SHA256"), GCM_OF(0xc053, "ARIA", 256, "SHA384"),
	GCM_OF(0xc05c, "ARIA", 128, "SHA256"), GCM_OF(0xc05d, "ARIA", 256, "SHA384"),
	GCM_OF(0xc060, "ARIA", 128, "SHA256"), GCM_OF(0xc061, "ARIA", 256, "SHA384"),
};

const struct suite *suite_find(uint16_t id)
{
	size_t i;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

/* ---- keys ---- */

static void set_cipher(struct protection *p)
{
	p->cipher = EVP_CIPHER_fetch(NULL, p->suite->cipher, NULL);
	p->ctx = EVP_CIPHER_CTX_new();
	CHECK(p->cipher && p->ctx);
	if (p->suite->mode != CCM)
		CHECK(EVP_DecryptInit_ex(p->ctx, p->cipher, NULL, p->key, NULL));
	if (p->suite->mode == CBC)
		EVP_CIPHER_CTX_set_padding(p->ctx, 0);
}

/* Of CBC. */
static unsigned int block_len(const struct protection *p)
{
	return p->suite->key_len == 24 ? 8 : 16;
}

static unsigned int fixed_iv_len(const struct protection *p)
{
	switch (p->suite->mode) {
	case GCM:
	case CCM:
		return p->version == TLS13 ? 12 : 4;
	case CHACHA20_POLY1305:
		return 12;
	case CBC:
		return p->version < TLS11 ? block_len(p) : 0;
	default:
		return 0;
	}
}

unsigned int protection_explicit_len(const struct protection *p)
{
	if (!p->suite || p->version == TLS13 || p->suite->mode == CHACHA20_POLY1305 || p->suite->mode == STREAM)
		return 0;
	return p->suite->mode != CBC ? 8 : p->version < TLS11 ? 0 : block_len(p);
}

static void prf(const char *hash, const struct secret *secret, const char *label,
		const uint8_t *a, const uint8_t *b, uint8_t *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	uint8_t seed[16 + 2 * RANDOM_LEN];
	size_t label_len = strlen(label);
	OSSL_PARAM params[4];

	memcpy(seed, label, label_len);
	memcpy(seed + label_len, a, RANDOM_LEN);
	memcpy(seed + label_len + RANDOM_LEN, b, RANDOM_LEN);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hash, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)secret->bytes,
						      secret->len);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed,
						      label_len + 2 * RANDOM_LEN);
	params[3] = OSSL_PARAM_construct_end();
	CHECK(ctx && EVP_KDF_derive(ctx, out, len, params) > 0);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* MD5(master, SHA('A', master, server random, client random)), then with 'BB' and so on (RFC 6101 6.2.2). */
static void ssl3_block(const struct secret *master, const uint8_t *server, const uint8_t *client,
		       uint8_t *out, size_t len)
{
	uint8_t text[16 + SECRET_MAX + 2 * RANDOM_LEN], sum[EVP_MAX_MD_SIZE];
	size_t n, pos, i;

	for (pos = 0, i = 1; pos < len; pos += 16, i++) {
		memset(text, 'A' - 1 + i, i);
		memcpy(text + i, master->bytes, master->len);
		memcpy(text + i + master->len, server, RANDOM_LEN);
		memcpy(text + i + master->len + RANDOM_LEN, client, RANDOM_LEN);
		CHECK(SHA1(text, i + master->len + 2 * RANDOM_LEN, sum));
		memcpy(text, master->bytes, master->len);
		memcpy(text + master->len, sum, SHA_DIGEST_LENGTH);
		CHECK(EVP_Digest(text, master->len + SHA_DIGEST_LENGTH, sum, NULL, EVP_md5(), NULL));
		n = len - pos < 16 ? len - pos : 16;
		memcpy(out + pos, sum, n);
	}
}

void protection_from_master(struct protection *p, const struct suite *suite, uint16_t version,
			    int etm, const struct secret *master, const uint8_t *client_random,
			    const uint8_t *server_random, int server_writes)
{
	unsigned int mac_len = suite->mac ? suite->tag_len : 0, iv_len, len;
	uint8_t block[2 * (48 + 32 + 16)];
	const uint8_t *part = block;

	memset(p, 0, sizeof(*p));
	p->suite = suite;
	p->version = version;
	p->etm = etm && suite->mode == CBC;
	iv_len = fixed_iv_len(p);
	len = 2 * (mac_len + suite->key_len + iv_len);
	if (version == SSL30)
		ssl3_block(master, server_random, client_random, block, len);
	else
		prf(version < TLS12 ? "MD5-SHA1" : suite->hash, master, "key expansion", server_random,
		    client_random, block, len);
	/* client MAC, server MAC, client key, server key, client IV, server IV */
	memcpy(p->mac_key, part + (server_writes ? mac_len : 0), mac_len);
	part += 2 * mac_len;
	memcpy(p->key, part + (server_writes ? suite->key_len : 0), suite->key_len);
	part += 2 * suite->key_len;
	memcpy(p->iv, part + (server_writes ? iv_len : 0), iv_len);
	set_cipher(p);
}

/* HKDF-Expand-Label without a context (RFC 8446 7.1). */
static void expand_label(const char *hash, const struct secret *secret, const char *label,
			 uint8_t *out, size_t len)
{
	size_t label_len = strlen(label), hash_len = !strcmp(hash, "SHA384") ? 48 : 32;
	const EVP_MD *md = hash_len == 48 ? EVP_sha384() : EVP_sha256();
	uint8_t info[64], mac[EVP_MAX_MD_SIZE];
	unsigned int mac_len;

	info[0] = len >> 8;
	info[1] = len;
	info[2] = 6 + label_len;
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, label_len);
	info[9 + label_len] = 0;
	/* One block of HKDF-Expand is enough for all of ours (RFC 5869 2.3). */
	info[10 + label_len] = 1;
	CHECK(len <= hash_len);
	CHECK(HMAC(md, secret->bytes, secret->len, info, 11 + label_len, mac, &mac_len));
	memcpy(out, mac, len);
}

void protection_from_secret(struct protection *p, const struct suite *suite,
			    const struct secret *secret)
{
	memset(p, 0, sizeof(*p));
	p->suite = suite;
	p->version = TLS13;
	expand_label(suite->hash, secret, "key", p->key, suite->key_len);
	expand_label(suite->hash, secret, "iv", p->iv, 12);
	set_cipher(p);
}

void secret_update(const struct suite *suite, struct secret *secret)
{
	struct secret next = { .len = secret->len };

	expand_label(suite->hash, secret, "traffic upd", next.bytes, next.len);
	*secret = next;
}

void protection_clear(struct protection *p)
{
	EVP_CIPHER_CTX_free(p->ctx);
	EVP_CIPHER_free(p->cipher);
	OPENSSL_cleanse(p, sizeof(*p));
}

/* ---- records ---- */

/* Sequence number, type, version, length: what MACs and AEADs up to TLS 1.2 cover too. */
static void put_pseudo_header(uint8_t *to, uint64_t seq, const uint8_t *record, size_t len)
{
	int i;

	for (i = 0; i < 8; i++)
		to[i] = seq >> (56 - 8 * i);
	memcpy(to + 8, record, 3);
	to[11] = len >> 8;
	to[12] = len;
}

static void put_nonce(const struct protection *p, uint64_t seq, const uint8_t *explicit_nonce,
		      uint8_t *nonce)
{
	int i;

	memcpy(nonce, p->iv, 12);
	if (protection_explicit_len(p)) {
		memcpy(nonce + 4, explicit_nonce, 8);
		return;
	}
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= seq >> (56 - 8 * i);
}

static int aead_decrypt(const struct protection *p, const uint8_t *nonce, const uint8_t *aad,
			int aad_len, const uint8_t *in, int len, const uint8_t *tag, uint8_t *out)
{
	const int is_ccm = p->suite->mode == CCM;
	int n = 0, done = 0;

	if (is_ccm && (!EVP_DecryptInit_ex(p->ctx, p->cipher, NULL, NULL, NULL) ||
		       !EVP_CIPHER_CTX_ctrl(p->ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL)))
		return -1;
	if (is_ccm && !EVP_CIPHER_CTX_ctrl(p->ctx, EVP_CTRL_AEAD_SET_TAG, p->suite->tag_len, (void *)tag))
		return -1;
	if (!EVP_DecryptInit_ex(p->ctx, NULL, NULL, is_ccm ? p->key : NULL, nonce))
		return -1;
	if (is_ccm && !EVP_DecryptUpdate(p->ctx, NULL, &n, NULL, len))
		return -1;
	if (!EVP_DecryptUpdate(p->ctx, NULL, &n, aad, aad_len))
		return -1;
	/* CCM tells by this call whether it is authentic, so it needs the call without data too. */
	if ((len || is_ccm) && !EVP_DecryptUpdate(p->ctx, out, &done, in, len))
		return -1;
	if (is_ccm)
		return 0;
	if (!EVP_CIPHER_CTX_ctrl(p->ctx, EVP_CTRL_AEAD_SET_TAG, p->suite->tag_len, (void *)tag))
		return -1;
	return EVP_DecryptFinal_ex(p->ctx, out + done, &n) > 0 ? 0 : -1;
}

static int open_aead(const struct protection *p, uint64_t seq, const uint8_t *record, size_t len,
		     uint8_t *out, uint8_t *type)
{
	const unsigned int skip = protection_explicit_len(p), tag_len = p->suite->tag_len;
	const uint8_t *body = record + HEADER_LEN;
	int inner = len - HEADER_LEN - skip - tag_len;
	uint8_t nonce[12], aad[13];
	int ret;

	if (len < HEADER_LEN + skip + tag_len)
		return -1;
	put_nonce(p, seq, body, nonce);
	if (p->version == TLS13) {
		memcpy(aad, record, HEADER_LEN);
		ret = aead_decrypt(p, nonce, aad, HEADER_LEN, body, inner, body + inner, out);
	} else {
		put_pseudo_header(aad, seq, record, inner);
		ret = aead_decrypt(p, nonce, aad, 13, body + skip, inner, body + skip + inner, out);
	}
	if (ret)
		return -1;
	if (p->version != TLS13)
		return inner;
	while (inner && !out[inner - 1])
		inner--;
	if (!inner--)
		return -2;
	*type = out[inner];
	return inner;
}

/* What MACs cover, put together. */
static uint8_t text[13 + CIPHERTEXT12_MAX];

static int hmac_matches(const struct protection *p, uint64_t seq, const uint8_t *record,
			const uint8_t *data, size_t len, const uint8_t *mac)
{
	const EVP_MD *md = EVP_get_digestbyname(p->suite->mac);
	uint8_t want[EVP_MAX_MD_SIZE];

	put_pseudo_header(text, seq, record, len);
	memcpy(text + 13, data, len);
	CHECK(md && HMAC(md, p->mac_key, p->suite->tag_len, text, 13 + len, want, NULL));
	return !memcmp(want, mac, p->suite->tag_len);
}

static uint8_t text3[48 + 48 + 11 + CIPHERTEXT12_MAX];

/* hash(key, pad 2, hash(key, pad 1, seq, type, length, data)), RFC 6101 5.2.3.1 */
static int ssl3_mac_matches(const struct protection *p, uint64_t seq, const uint8_t *record,
			    const uint8_t *data, size_t len, const uint8_t *mac)
{
	const EVP_MD *md = EVP_get_digestbyname(p->suite->mac);
	const size_t mac_len = p->suite->tag_len, pad_len = mac_len == 16 ? 48 : 40;
	uint8_t header[13], *at = text3 + mac_len + pad_len;

	put_pseudo_header(header, seq, record, len);
	memcpy(text3, p->mac_key, mac_len);
	memset(text3 + mac_len, 0x36, pad_len);
	memcpy(at, header, 9);
	memcpy(at + 9, header + 11, 2);
	memcpy(at + 11, data, len);
	CHECK(md && EVP_Digest(text3, mac_len + pad_len + 11 + len, at, NULL, md, NULL));
	memset(text3 + mac_len, 0x5c, pad_len);
	CHECK(EVP_Digest(text3, mac_len + pad_len + mac_len, at, NULL, md, NULL));
	return !memcmp(at, mac, mac_len);
}

static int mac_matches(const struct protection *p, uint64_t seq, const uint8_t *record,
		       const uint8_t *data, size_t len, const uint8_t *mac)
{
	if (p->version == SSL30)
		return ssl3_mac_matches(p, seq, record, data, len, mac);
	return hmac_matches(p, seq, record, data, len, mac);
}

/* No secrets to keep from anybody here, so no constant time. */
static int open_cbc(const struct protection *p, uint64_t seq, const uint8_t *record, size_t len,
		    uint8_t *out)
{
	const unsigned int skip = protection_explicit_len(p), mac_len = p->suite->tag_len, block = block_len(p);
	const uint8_t *body = record + HEADER_LEN;
	size_t inner = len - HEADER_LEN;
	unsigned int pad, i;
	int n;

	if (p->etm) {
		if (inner < skip + mac_len)
			return -1;
		inner -= mac_len;
		if (!mac_matches(p, seq, record, body, inner, body + inner))
			return -1;
	}
	if (inner < skip + block)
		return -1;
	inner -= skip;
	if (inner % block)
		return -1;
	CHECK(EVP_DecryptInit_ex(p->ctx, NULL, NULL, NULL, skip ? body : p->iv));
	CHECK(EVP_DecryptUpdate(p->ctx, out, &n, body + skip, inner));
	pad = out[inner - 1];
	if (inner < pad + 1 + (p->etm ? 0 : mac_len))
		return -1;
	/* SSL 3.0 has at most a block of it, of anything (RFC 6101 5.2.3.2). */
	if (p->version == SSL30 && pad >= block)
		return -1;
	for (i = 0; i <= pad && p->version != SSL30; i++)
		if (out[inner - 1 - i] != pad)
			return -1;
	inner -= pad + 1;
	if (p->etm)
		return inner;
	inner -= mac_len;
	return mac_matches(p, seq, record, out, inner, out + inner) ? (int)inner : -1;
}

static int open_stream(const struct protection *p, uint64_t seq, const uint8_t *record, size_t len,
		       uint8_t *out)
{
	const unsigned int mac_len = p->suite->tag_len;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int inner = len - HEADER_LEN - mac_len, n;

	CHECK(ctx && EVP_CIPHER_CTX_copy(ctx, p->ctx));
	CHECK(EVP_DecryptUpdate(ctx, out, &n, record + HEADER_LEN, len - HEADER_LEN));
	EVP_CIPHER_CTX_free(ctx);
	return inner >= 0 && mac_matches(p, seq, record, out, inner, out + inner) ? inner : -1;
}

int protection_open(const struct protection *p, uint64_t seq, const uint8_t *record, size_t len,
		    uint8_t *out, uint8_t *type)
{
	*type = record[0];
	return p->suite->mode == CBC ? open_cbc(p, seq, record, len, out) :
	       p->suite->mode == STREAM ? open_stream(p, seq, record, len, out) :
					  open_aead(p, seq, record, len, out, type);
}

void protection_advance(struct protection *p, const uint8_t *record, size_t len)
{
	static uint8_t spent[CIPHERTEXT12_MAX];
	int n;

	p->seq++;
	/* What was before TLS 1.1 goes on where it stopped (RFC 2246 6.2.3.2). */
	if (p->suite->mode == CBC && p->version < TLS11)
		memcpy(p->iv, record + len - (p->etm ? p->suite->tag_len : 0) - block_len(p), block_len(p));
	if (p->suite->mode == STREAM)
		CHECK(EVP_DecryptUpdate(p->ctx, spent, &n, record + HEADER_LEN, len - HEADER_LEN));
}

int protection_seal(const struct protection *p, uint64_t seq, uint64_t nonce, uint8_t type,
		    const void *data, size_t len, uint8_t *record)
{
	const int is_13 = p->version == TLS13;
	const unsigned int skip = protection_explicit_len(p);
	static uint8_t inner[PLAINTEXT_MAX + 64];
	size_t inner_len = len + is_13, body_len = skip + inner_len + 16;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t iv[12], aad[13], *body = record + HEADER_LEN + skip;
	int n, i;

	CHECK(ctx && !p->suite->mac && p->suite->mode != CCM && inner_len <= sizeof(inner));
	memcpy(inner, data, len);
	inner[len] = type;
	record[0] = is_13 ? 23 : type;
	record[1] = 3;
	record[2] = 3;
	record[3] = body_len >> 8;
	record[4] = body_len;
	for (i = 0; i < (int)skip; i++)
		record[HEADER_LEN + i] = nonce >> (56 - 8 * i);
	put_nonce(p, seq, record + HEADER_LEN, iv);
	put_pseudo_header(aad, seq, record, len);
	CHECK(EVP_EncryptInit_ex(ctx, p->cipher, NULL, p->key, iv));
	CHECK(EVP_EncryptUpdate(ctx, NULL, &n, is_13 ? record : aad, is_13 ? HEADER_LEN : sizeof(aad)));
	CHECK(EVP_EncryptUpdate(ctx, body, &n, inner, inner_len));
	CHECK(EVP_EncryptFinal_ex(ctx, body + n, &n));
	CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, body + inner_len));
	EVP_CIPHER_CTX_free(ctx);
	return HEADER_LEN + body_len;
}
