// SPDX-License-Identifier: MIT
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cipher.h"
#include "tap.h"

#define BLOCK	16

/* ---- suites ---- */

#define SSL3	0x0300
#define TLS10	0x0301
#define TLS11	0x0302
#define TLS12	0x0303
#define TLS13	0x0304

#define SUITES_MAX	8

/*
 * Suites with certificates; of those with RSA, DHE_RSA, ECDHE_ECDSA and ECDHE_RSA,
 * in this order, what IANA has.
 */
static const struct {
	struct protection protection;
	uint16_t version;
	uint16_t ids[SUITES_MAX];
} table[] = {
	/* RFC 5288 3, RFC 5289 3.2 */
	{ { "aes", GCM, 16, 16, NULL }, TLS12, { 0x009c, 0x009e, 0xc02b, 0xc02f } },
	{ { "aes", GCM, 32, 16, NULL }, TLS12, { 0x009d, 0x009f, 0xc02c, 0xc030 } },
	/* RFC 6655 3, 4, RFC 7251 2: not with ECDHE_RSA */
	{ { "aes", CCM, 16, 16, NULL }, TLS12, { 0xc09c, 0xc09e, 0xc0ac } },
	{ { "aes", CCM, 32, 16, NULL }, TLS12, { 0xc09d, 0xc09f, 0xc0ad } },
	{ { "aes", CCM, 16, 8, NULL }, TLS12, { 0xc0a0, 0xc0a2, 0xc0ae } },
	{ { "aes", CCM, 32, 8, NULL }, TLS12, { 0xc0a1, 0xc0a3, 0xc0af } },
	/* RFC 7905 3: not with RSA */
	{ { "chacha20", CHACHA, 32, 16, NULL }, TLS12, { 0xccaa, 0xcca9, 0xcca8 } },
	/* RFC 5246 A.5, RFC 8422 6 */
	{ { "aes", CBC, 16, 20, "SHA1" }, TLS12, { 0x002f, 0x0033, 0xc009, 0xc013 } },
	{ { "aes", CBC, 32, 20, "SHA1" }, TLS12, { 0x0035, 0x0039, 0xc00a, 0xc014 } },
	/* RFC 5246 A.5, RFC 5289 3.1 */
	{ { "aes", CBC, 16, 32, "SHA256" }, TLS12, { 0x003c, 0x0067, 0xc023, 0xc027 } },
	{ { "aes", CBC, 32, 32, "SHA256" }, TLS12, { 0x003d, 0x006b } },
	{ { "aes", CBC, 32, 48, "SHA384" }, TLS12, { 0xc024, 0xc028 } },
	/* RFC 5932 2, RFC 6367 2.1 */
	{ { "camellia", CBC, 16, 20, "SHA1" }, TLS12, { 0x0041, 0x0045 } },
	{ { "camellia", CBC, 32, 20, "SHA1" }, TLS12, { 0x0084, 0x0088 } },
	{ { "camellia", CBC, 16, 32, "SHA256" }, TLS12, { 0x00ba, 0x00be, 0xc072, 0xc076 } },
	{ { "camellia", CBC, 32, 32, "SHA256" }, TLS12, { 0x00c0, 0x00c4 } },
	{ { "camellia", CBC, 32, 48, "SHA384" }, TLS12, { 0xc073, 0xc077 } },
	/* RFC 6367 2.2 */
	{ { "camellia", GCM, 16, 16, NULL }, TLS12, { 0xc07a, 0xc07c, 0xc086, 0xc08a } },
	{ { "camellia", GCM, 32, 16, NULL }, TLS12, { 0xc07b, 0xc07d, 0xc087, 0xc08b } },
	/* RFC 6209 2.1, 2.2 */
	{ { "aria", CBC, 16, 32, "SHA256" }, TLS12, { 0xc03c, 0xc044, 0xc048, 0xc04c } },
	{ { "aria", CBC, 32, 48, "SHA384" }, TLS12, { 0xc03d, 0xc045, 0xc049, 0xc04d } },
	/* RFC 6209 2.3, 2.4 */
	{ { "aria", GCM, 16, 16, NULL }, TLS12, { 0xc050, 0xc052, 0xc05c, 0xc060 } },
	{ { "aria", GCM, 32, 16, NULL }, TLS12, { 0xc051, 0xc053, 0xc05d, 0xc061 } },
	/* RFC 8446 B.4 */
	{ { "aes", GCM, 16, 16, NULL }, TLS13, { 0x1301 } },
	{ { "aes", GCM, 32, 16, NULL }, TLS13, { 0x1302 } },
	{ { "chacha20", CHACHA, 32, 16, NULL }, TLS13, { 0x1303 } },
	{ { "aes", CCM, 16, 16, NULL }, TLS13, { 0x1304 } },
	{ { "aes", CCM, 16, 8, NULL }, TLS13, { 0x1305 } },
	/* RFC 2246 A.5, RFC 4492 6, RFC 3268 2, RFC 4132 2; what is the same in TLS 1.2 is above */
	{ { "aes", CBC, 16, 20, "SHA1" }, TLS11, { 0x002f, 0x0033, 0xc009, 0xc013 } },
	{ { "aes", CBC, 32, 20, "SHA1" }, TLS11, { 0x0035, 0x0039, 0xc00a, 0xc014 } },
	{ { "camellia", CBC, 16, 20, "SHA1" }, TLS11, { 0x0041, 0x0045 } },
	{ { "camellia", CBC, 32, 20, "SHA1" }, TLS11, { 0x0084, 0x0088 } },
	{ { "aes", CBC, 16, 20, "SHA1" }, TLS10, { 0x002f, 0x0033, 0xc009, 0xc013 } },
	{ { "aes", CBC, 32, 20, "SHA1" }, TLS10, { 0x0035, 0x0039, 0xc00a, 0xc014 } },
	{ { "camellia", CBC, 16, 20, "SHA1" }, TLS10, { 0x0041, 0x0045 } },
	{ { "camellia", CBC, 32, 20, "SHA1" }, TLS10, { 0x0084, 0x0088 } },
	{ { "aes", CBC, 16, 20, "SHA1" }, SSL3, { 0x002f, 0x0033 } },
	{ { "aes", CBC, 32, 20, "SHA1" }, SSL3, { 0x0035, 0x0039 } },
	{ { "camellia", CBC, 16, 20, "SHA1" }, SSL3, { 0x0041, 0x0045 } },
	{ { "camellia", CBC, 32, 20, "SHA1" }, SSL3, { 0x0084, 0x0088 } },
	{ { "des3_ede", CBC, 24, 20, "SHA1" }, TLS12, { 0x000a, 0x0016, 0xc008, 0xc012 } },
	{ { "des3_ede", CBC, 24, 20, "SHA1" }, TLS11, { 0x000a, 0x0016, 0xc008, 0xc012 } },
	{ { "des3_ede", CBC, 24, 20, "SHA1" }, TLS10, { 0x000a, 0x0016, 0xc008, 0xc012 } },
	{ { "des3_ede", CBC, 24, 20, "SHA1" }, SSL3, { 0x000a, 0x0016 } },
	{ { "des", CBC, 8, 20, "SHA1" }, TLS11, { 0x0009, 0x0015 } },
	{ { "des", CBC, 8, 20, "SHA1" }, TLS10, { 0x0009, 0x0015, 0x0008, 0x0014 } },
	{ { "des", CBC, 8, 20, "SHA1" }, SSL3, { 0x0009, 0x0015, 0x0008, 0x0014 } },
	{ { "rc2", CBC, 16, 16, "MD5" }, TLS10, { 0x0006 } },
	{ { "rc2", CBC, 16, 16, "MD5" }, SSL3, { 0x0006 } },
	{ { "rc4", STREAM, 16, 16, "MD5" }, TLS12, { 0x0004 } },
	{ { "rc4", STREAM, 16, 20, "SHA1" }, TLS12, { 0x0005, 0xc007, 0xc011 } },
	{ { "rc4", STREAM, 16, 16, "MD5" }, TLS11, { 0x0004 } },
	{ { "rc4", STREAM, 16, 20, "SHA1" }, TLS11, { 0x0005, 0xc007, 0xc011 } },
	{ { "rc4", STREAM, 16, 16, "MD5" }, TLS10, { 0x0004, 0x0003 } },
	{ { "rc4", STREAM, 16, 20, "SHA1" }, TLS10, { 0x0005, 0xc007, 0xc011 } },
	{ { "rc4", STREAM, 16, 16, "MD5" }, SSL3, { 0x0004, 0x0003 } },
	{ { "rc4", STREAM, 16, 20, "SHA1" }, SSL3, { 0x0005 } },
	/* RFC 8998 2 */
	{ { "sm4", GCM, 16, 16, NULL }, TLS13, { 0x00c6 } },
	{ { "sm4", CCM, 16, 16, NULL }, TLS13, { 0x00c7 } },
};

const struct protection *suite_at(unsigned int i, uint16_t *id, uint16_t *version)
{
	unsigned int row, n;

	for (row = 0; row < sizeof(table) / sizeof(table[0]); row++)
		for (n = 0; n < SUITES_MAX && table[row].ids[n]; n++)
			if (!i--) {
				*id = table[row].ids[n];
				*version = table[row].version;
				return &table[row].protection;
			}
	return NULL;
}

const struct protection *protection_of(uint16_t id, uint16_t version)
{
	const struct protection *p;
	uint16_t its_id, its_version;
	unsigned int i;

	for (i = 0; (p = suite_at(i, &its_id, &its_version)); i++)
		if (its_id == id && its_version == version)
			return p;
	check_failed(__FILE__, __LINE__, "suite %04x/%04x is unknown to the reference", id, version);
}

size_t block_of(const struct protection *p)
{
	return !strcmp(p->cipher, "des3_ede") || !strcmp(p->cipher, "des") || !strcmp(p->cipher, "rc2") ?
	       8 : BLOCK;
}

size_t iv_len_of(const struct protection *p, uint16_t version)
{
	switch (p->mode) {
	case STREAM:
		return 0;
	case CBC:
		return version <= TLS10 ? block_of(p) : 0;
	default:
		return version == TLS13 || p->mode == CHACHA ? 12 : 4;
	}
}

int is_old(const struct protection *p, uint16_t version)
{
	return version < TLS12 || p->mode == STREAM || block_of(p) == 8;
}

int is_locked(uint16_t id, uint16_t version)
{
	static const char *const broken[] = { "des", "rc2", "rc4" };
	const char *cipher = protection_of(id, version)->cipher;
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (!strcmp(cipher, broken[i]))
			return 1;
	return version == SSL3;
}

/* ---- EVP ---- */

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

/* EVP's search takes longer than most of what is then done, so each is found once. */
static EVP_CIPHER *fetch_name(const char *name)
{
	static struct {
		char name[40];
		EVP_CIPHER *cipher;
	} cache[64];
	unsigned int i;

	pthread_mutex_lock(&cache_lock);
	for (i = 0; cache[i].name[0] && strcmp(cache[i].name, name); i++)
		CHECK(i + 1 < sizeof(cache) / sizeof(cache[0]));
	if (!cache[i].name[0]) {
		strcpy(cache[i].name, name);
		/* DES, RC2 and RC4 are there; with it no other comes by itself. */
		if (!i)
			CHECK(OSSL_PROVIDER_load(NULL, "default") && OSSL_PROVIDER_load(NULL, "legacy"));
		cache[i].cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	}
	pthread_mutex_unlock(&cache_lock);
	return cache[i].cipher;
}

/* The cipher in EVP, NULL if it has none in that @mode. */
static EVP_CIPHER *fetch(const struct protection *p, const char *mode)
{
	char name[40];

	static const char *const others[][2] = {
		{ "chacha20", "ChaCha20-Poly1305" }, { "des3_ede", "DES-EDE3-CBC" }, { "des", "DES-CBC" },
		{ "rc2", "RC2-CBC" }, { "rc4", "RC4" },
	};
	unsigned int i;

	for (i = 0; i < 5 && strcmp(p->cipher, others[i][0]); i++)
		;
	if (i < 5)
		snprintf(name, sizeof(name), "%s", others[i][1]);
	else if (!strcmp(p->cipher, "sm4"))
		snprintf(name, sizeof(name), "sm4-%s", mode);
	else
		snprintf(name, sizeof(name), "%s-%d-%s", p->cipher, p->key_len * 8, mode);
	return fetch_name(name);
}

/* Whole blocks in a mode that adds nothing to them. */
static void run_blocks(const struct protection *p, const char *mode, int encrypt,
		       const uint8_t *key, const uint8_t *iv, uint8_t *data, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER *cipher = fetch(p, mode);
	int out;

	CHECK(ctx && cipher);
	EQ(EVP_CIPHER_get_key_length(cipher), p->key_len);
	CHECK(EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt));
	CHECK(EVP_CIPHER_CTX_set_padding(ctx, 0));
	CHECK(EVP_CipherUpdate(ctx, data, &out, data, len));
	EQ(out, len);
	EVP_CIPHER_CTX_free(ctx);
}

void cbc(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *iv,
	 uint8_t *data, size_t len)
{
	run_blocks(p, "cbc", encrypt, key, iv, data, len);
}

void stream(const struct protection *p, const uint8_t *key, size_t spent, uint8_t *data, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER *cipher = fetch(p, "");
	uint8_t waste = 0;
	int out;

	CHECK(ctx && cipher && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, 1));
	while (spent--)
		CHECK(EVP_CipherUpdate(ctx, &waste, &out, &waste, 1));
	CHECK(EVP_CipherUpdate(ctx, data, &out, data, len));
	EQ(out, len);
	EVP_CIPHER_CTX_free(ctx);
}

void digest(const struct protection *p, const uint8_t *data, size_t len, uint8_t *to)
{
	CHECK(EVP_Digest(data, len, to, NULL, EVP_get_digestbyname(p->hash), NULL));
}

/* A MAC of that hash, without a key. */
static EVP_MAC_CTX *new_mac(const char *hash)
{
	OSSL_PARAM params[2] = {
		OSSL_PARAM_construct_utf8_string("digest", (char *)hash, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

	CHECK(ctx && EVP_MAC_CTX_set_params(ctx, params));
	EVP_MAC_free(mac);
	return ctx;
}

static EVP_MAC_CTX *find_mac(const char *hash)
{
	static struct {
		const char *hash;
		EVP_MAC_CTX *ctx;
	} cache[8];
	EVP_MAC_CTX *ctx;
	unsigned int i;

	pthread_mutex_lock(&cache_lock);
	for (i = 0; cache[i].hash && strcmp(cache[i].hash, hash); i++)
		CHECK(i + 1 < sizeof(cache) / sizeof(cache[0]));
	if (!cache[i].hash) {
		cache[i].hash = hash;
		cache[i].ctx = new_mac(hash);
	}
	ctx = EVP_MAC_CTX_dup(cache[i].ctx);
	pthread_mutex_unlock(&cache_lock);
	return ctx;
}

void hmac(const struct protection *p, const uint8_t *key, const uint8_t *data, size_t len,
	  uint8_t *mac)
{
	EVP_MAC_CTX *ctx = find_mac(p->hash);
	size_t mac_len;

	CHECK(ctx && EVP_MAC_init(ctx, key, p->tag_len, NULL));
	CHECK(EVP_MAC_update(ctx, data, len));
	CHECK(EVP_MAC_final(ctx, mac, &mac_len, p->tag_len));
	EQ(mac_len, p->tag_len);
	EVP_MAC_CTX_free(ctx);
}

static int evp_aead(const struct protection *p, EVP_CIPHER *cipher, int encrypt,
		    const uint8_t *key, const uint8_t *nonce, const uint8_t *aad, size_t aad_len,
		    uint8_t *data, size_t len, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[BLOCK];
	int out, ok;

	CHECK(ctx);
	EQ(EVP_CIPHER_get_key_length(cipher), p->key_len);
	CHECK(EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt));
	CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL));
	/* CCM must know all lengths before it begins. */
	if (!encrypt)
		CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, p->tag_len, tag));
	else if (p->mode == CCM)
		CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, p->tag_len, NULL));
	CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, encrypt));
	if (p->mode == CCM)
		CHECK(EVP_CipherUpdate(ctx, NULL, &out, NULL, len));
	CHECK(EVP_CipherUpdate(ctx, NULL, &out, aad, aad_len));
	ok = 1;
	if (len || p->mode == CCM)
		ok = EVP_CipherUpdate(ctx, len ? data : none, &out, len ? data : none, len);
	if (p->mode != CCM || encrypt)
		ok = ok && EVP_CipherFinal_ex(ctx, none, &out);
	if (encrypt) {
		CHECK(ok);
		CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, p->tag_len, tag));
	}
	EVP_CIPHER_CTX_free(ctx);
	return ok > 0;
}

int aead(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	 const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag)
{
	EVP_CIPHER *cipher = fetch(p, p->mode == GCM ? "gcm" : "ccm");

	CHECK(p->mode != CBC);
	if (!cipher)
		return p->mode == GCM ?
		       own_gcm(p, encrypt, key, nonce, aad, aad_len, data, len, tag) :
		       own_ccm(p, encrypt, key, nonce, 12, aad, aad_len, data, len, tag);
	return evp_aead(p, cipher, encrypt, key, nonce, aad, aad_len, data, len, tag);
}

/* ---- modes ---- */

static size_t blocks_of(size_t len)
{
	return (len + BLOCK - 1) / BLOCK;
}

static void *zeros(size_t len)
{
	void *p = calloc(1, len);

	CHECK(p);
	return p;
}

static void put(uint8_t *to, uint64_t value, int octets)
{
	while (octets--) {
		to[octets] = value;
		value >>= 8;
	}
}

/*
 * Counter mode: @tag is masked with the block of the counter's first value, @data with
 * those that follow.  A record is so short that only the last 2 octets count.
 */
static void counter_mode(const struct protection *p, const uint8_t *key, const uint8_t *first,
			 uint32_t count, uint8_t *data, size_t len, uint8_t *tag)
{
	size_t blocks = 1 + blocks_of(len), i;
	uint8_t *stream = zeros(blocks * BLOCK);

	for (i = 0; i < blocks; i++) {
		memcpy(stream + i * BLOCK, first, BLOCK);
		put(stream + i * BLOCK + 14, count + i, 2);
	}
	run_blocks(p, "ecb", 1, key, NULL, stream, blocks * BLOCK);
	for (i = 0; i < BLOCK; i++)
		tag[i] ^= stream[i];
	for (i = 0; i < len; i++)
		data[i] ^= stream[BLOCK + i];
	free(stream);
}

/* y * h in the field of GCM, bit by bit (SP 800-38D 6.3). */
static void multiply(uint64_t y[2], const uint64_t h[2])
{
	uint64_t v0 = h[0], v1 = h[1], z0 = 0, z1 = 0, low;
	int i;

	for (i = 0; i < 128; i++) {
		if (y[i / 64] >> (63 - i % 64) & 1) {
			z0 ^= v0;
			z1 ^= v1;
		}
		low = v1 & 1;
		v1 = v1 >> 1 | v0 << 63;
		v0 = v0 >> 1 ^ (low ? 0xe1ULL << 56 : 0);
	}
	y[0] = z0;
	y[1] = z1;
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t value = 0;
	int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

/* GHASH goes on over @len bytes, padded with zeros to whole blocks. */
static void ghash(uint64_t y[2], const uint64_t h[2], const uint8_t *data, size_t len)
{
	uint8_t block[BLOCK];
	size_t n;

	for (; len; data += n, len -= n) {
		n = len < BLOCK ? len : BLOCK;
		memset(block, 0, BLOCK);
		memcpy(block, data, n);
		y[0] ^= get64(block);
		y[1] ^= get64(block + 8);
		multiply(y, h);
	}
}

/* Compare the tag, or give it. */
static int end_tag(const struct protection *p, int encrypt, const uint8_t *made, uint8_t *tag)
{
	if (!encrypt)
		return !memcmp(made, tag, p->tag_len);
	memcpy(tag, made, p->tag_len);
	return 1;
}

int own_gcm(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	    const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len, uint8_t *tag)
{
	uint8_t first[BLOCK] = {}, block[BLOCK] = {}, made[BLOCK] = {};
	uint64_t h[2], y[2] = {};

	run_blocks(p, "ecb", 1, key, NULL, block, BLOCK);
	h[0] = get64(block);
	h[1] = get64(block + 8);
	memcpy(first, nonce, 12);
	if (encrypt)
		counter_mode(p, key, first, 1, data, len, made);
	ghash(y, h, aad, aad_len);
	ghash(y, h, data, len);
	put(block, aad_len * 8, 8);
	put(block + 8, len * 8, 8);
	ghash(y, h, block, BLOCK);
	if (!encrypt)
		counter_mode(p, key, first, 1, data, len, made);
	/* @made is the mask of the tag so far */
	put(block, get64(made) ^ y[0], 8);
	put(block + 8, get64(made + 8) ^ y[1], 8);
	return end_tag(p, encrypt, block, tag);
}

/* The CBC-MAC of CCM (RFC 3610 2.2). */
static void cbc_mac(const struct protection *p, const uint8_t *key, const uint8_t *nonce,
		    size_t nonce_len, const uint8_t *aad, size_t aad_len, const uint8_t *data,
		    size_t len, uint8_t *mac)
{
	size_t total = (1 + blocks_of(2 + aad_len) + blocks_of(len)) * BLOCK;
	uint8_t *text = zeros(total), iv[BLOCK] = {};
	size_t length_len = 15 - nonce_len;

	text[0] = (aad_len ? 0x40 : 0) | (p->tag_len - 2) / 2 << 3 | (length_len - 1);
	memcpy(text + 1, nonce, nonce_len);
	put(text + 1 + nonce_len, len, length_len);
	put(text + BLOCK, aad_len, 2);
	memcpy(text + BLOCK + 2, aad, aad_len);
	if (len)
		memcpy(text + BLOCK + blocks_of(2 + aad_len) * BLOCK, data, len);
	cbc(p, 1, key, iv, text, total);
	memcpy(mac, text + total - BLOCK, BLOCK);
	free(text);
}

int own_ccm(const struct protection *p, int encrypt, const uint8_t *key, const uint8_t *nonce,
	    size_t nonce_len, const uint8_t *aad, size_t aad_len, uint8_t *data, size_t len,
	    uint8_t *tag)
{
	uint8_t first[BLOCK] = {}, made[BLOCK] = {}, mask[BLOCK] = {};
	int i;

	CHECK(aad_len > 0 && aad_len < 0xff00);
	first[0] = 15 - nonce_len - 1;
	memcpy(first + 1, nonce, nonce_len);
	if (encrypt)
		cbc_mac(p, key, nonce, nonce_len, aad, aad_len, data, len, made);
	counter_mode(p, key, first, 0, data, len, mask);
	if (!encrypt)
		cbc_mac(p, key, nonce, nonce_len, aad, aad_len, data, len, made);
	for (i = 0; i < BLOCK; i++)
		made[i] ^= mask[i];
	return end_tag(p, encrypt, made, tag);
}
