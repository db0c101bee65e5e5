// SPDX-License-Identifier: MIT
/*
 * The table of cipher suites the shim can carry, and how a connection is
 * narrowed to those the kernel can carry too.  A suite is one row.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* RFC 5288 3: 4 bytes of salt, 8 bytes of explicit nonce. */
static const struct kssl_protection aes_128_gcm = {
	.evp = "AES-128-GCM", .key_len = 16, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

static const struct kssl_protection aes_256_gcm = {
	.evp = "AES-256-GCM", .key_len = 32, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

/* RFC 7905 2: no explicit nonce. */
static const struct kssl_protection chacha20_poly1305 = {
	.evp = "ChaCha20-Poly1305", .key_len = 32, .salt_len = 12, .tag_len = 16,
};

/* RFC 6655 3, 4: as GCM; the _8 suites cut the tag to 8 bytes. */
static const struct kssl_protection aes_128_ccm = {
	.evp = "AES-128-CCM", .key_len = 16, .salt_len = 4, .explicit_len = 8, .tag_len = 16, .ccm = 1,
};

static const struct kssl_protection aes_256_ccm = {
	.evp = "AES-256-CCM", .key_len = 32, .salt_len = 4, .explicit_len = 8, .tag_len = 16, .ccm = 1,
};

static const struct kssl_protection aes_128_ccm_8 = {
	.evp = "AES-128-CCM", .key_len = 16, .salt_len = 4, .explicit_len = 8, .tag_len = 8, .ccm = 1,
};

static const struct kssl_protection aes_256_ccm_8 = {
	.evp = "AES-256-CCM", .key_len = 32, .salt_len = 4, .explicit_len = 8, .tag_len = 8, .ccm = 1,
};

/* RFC 6209 2.3, 2.4 */
static const struct kssl_protection aria_128_gcm = {
	.evp = "ARIA-128-GCM", .key_len = 16, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

static const struct kssl_protection aria_256_gcm = {
	.evp = "ARIA-256-GCM", .key_len = 32, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

/* RFC 5246 6.2.3.2: an IV of one block with each record. */
static const struct kssl_protection aes_128_sha = {
	.evp = "AES-128-CBC", .hash = "SHA1", .key_len = 16, .explicit_len = 16, .tag_len = 20,
};

static const struct kssl_protection aes_256_sha = {
	.evp = "AES-256-CBC", .hash = "SHA1", .key_len = 32, .explicit_len = 16, .tag_len = 20,
};

static const struct kssl_protection aes_128_sha256 = {
	.evp = "AES-128-CBC", .hash = "SHA256", .key_len = 16, .explicit_len = 16, .tag_len = 32,
};

static const struct kssl_protection aes_256_sha256 = {
	.evp = "AES-256-CBC", .hash = "SHA256", .key_len = 32, .explicit_len = 16, .tag_len = 32,
};

static const struct kssl_protection aes_256_sha384 = {
	.evp = "AES-256-CBC", .hash = "SHA384", .key_len = 32, .explicit_len = 16, .tag_len = 48,
};

static const struct kssl_protection camellia_128_sha = {
	.evp = "CAMELLIA-128-CBC", .hash = "SHA1", .key_len = 16, .explicit_len = 16, .tag_len = 20,
};

static const struct kssl_protection camellia_256_sha = {
	.evp = "CAMELLIA-256-CBC", .hash = "SHA1", .key_len = 32, .explicit_len = 16, .tag_len = 20,
};

static const struct kssl_protection camellia_128_sha256 = {
	.evp = "CAMELLIA-128-CBC", .hash = "SHA256", .key_len = 16, .explicit_len = 16, .tag_len = 32,
};

static const struct kssl_protection camellia_256_sha256 = {
	.evp = "CAMELLIA-256-CBC", .hash = "SHA256", .key_len = 32, .explicit_len = 16, .tag_len = 32,
};

static const struct kssl_protection camellia_256_sha384 = {
	.evp = "CAMELLIA-256-CBC", .hash = "SHA384", .key_len = 32, .explicit_len = 16, .tag_len = 48,
};

/* RFC 5246 A.5; forbidden by RFC 8429 and so for those only who name them. */
static const struct kssl_protection des3_sha = {
	.evp = "DES-EDE3-CBC", .hash = "SHA1", .key_len = 24, .explicit_len = 8, .tag_len = 20,
};

/* RFC 5246 A.5; forbidden by RFC 7465, and in the kernel only with legacy=1. */
static const struct kssl_protection rc4_md5 = {
	.evp = "RC4", .hash = "MD5", .key_len = 16, .tag_len = 16,
};

static const struct kssl_protection rc4_sha = {
	.evp = "RC4", .hash = "SHA1", .key_len = 16, .tag_len = 20,
};

static const struct kssl_suite suites[] = {
	/* RFC 5288 3 */
	{ 0x009c, KSSL_TLS12, "AES128-GCM-SHA256", &aes_128_gcm },
	{ 0x009d, KSSL_TLS12, "AES256-GCM-SHA384", &aes_256_gcm },
	{ 0x009e, KSSL_TLS12, "DHE-RSA-AES128-GCM-SHA256", &aes_128_gcm },
	{ 0x009f, KSSL_TLS12, "DHE-RSA-AES256-GCM-SHA384", &aes_256_gcm },
	/* RFC 5289 3.2 */
	{ 0xc02b, KSSL_TLS12, "ECDHE-ECDSA-AES128-GCM-SHA256", &aes_128_gcm },
	{ 0xc02c, KSSL_TLS12, "ECDHE-ECDSA-AES256-GCM-SHA384", &aes_256_gcm },
	{ 0xc02f, KSSL_TLS12, "ECDHE-RSA-AES128-GCM-SHA256", &aes_128_gcm },
	{ 0xc030, KSSL_TLS12, "ECDHE-RSA-AES256-GCM-SHA384", &aes_256_gcm },
	/* RFC 7905 3 */
	{ 0xcca8, KSSL_TLS12, "ECDHE-RSA-CHACHA20-POLY1305", &chacha20_poly1305 },
	{ 0xcca9, KSSL_TLS12, "ECDHE-ECDSA-CHACHA20-POLY1305", &chacha20_poly1305 },
	{ 0xccaa, KSSL_TLS12, "DHE-RSA-CHACHA20-POLY1305", &chacha20_poly1305 },
	/* RFC 6655 3, 4 */
	{ 0xc09c, KSSL_TLS12, "AES128-CCM", &aes_128_ccm },
	{ 0xc09d, KSSL_TLS12, "AES256-CCM", &aes_256_ccm },
	{ 0xc09e, KSSL_TLS12, "DHE-RSA-AES128-CCM", &aes_128_ccm },
	{ 0xc09f, KSSL_TLS12, "DHE-RSA-AES256-CCM", &aes_256_ccm },
	{ 0xc0a0, KSSL_TLS12, "AES128-CCM8", &aes_128_ccm_8 },
	{ 0xc0a1, KSSL_TLS12, "AES256-CCM8", &aes_256_ccm_8 },
	{ 0xc0a2, KSSL_TLS12, "DHE-RSA-AES128-CCM8", &aes_128_ccm_8 },
	{ 0xc0a3, KSSL_TLS12, "DHE-RSA-AES256-CCM8", &aes_256_ccm_8 },
	/* RFC 7251 2 */
	{ 0xc0ac, KSSL_TLS12, "ECDHE-ECDSA-AES128-CCM", &aes_128_ccm },
	{ 0xc0ad, KSSL_TLS12, "ECDHE-ECDSA-AES256-CCM", &aes_256_ccm },
	{ 0xc0ae, KSSL_TLS12, "ECDHE-ECDSA-AES128-CCM8", &aes_128_ccm_8 },
	{ 0xc0af, KSSL_TLS12, "ECDHE-ECDSA-AES256-CCM8", &aes_256_ccm_8 },
	/* RFC 5246 A.5 */
	{ 0x002f, KSSL_TLS12, "AES128-SHA", &aes_128_sha },
	{ 0x0033, KSSL_TLS12, "DHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0x0035, KSSL_TLS12, "AES256-SHA", &aes_256_sha },
	{ 0x0039, KSSL_TLS12, "DHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0x003c, KSSL_TLS12, "AES128-SHA256", &aes_128_sha256 },
	{ 0x003d, KSSL_TLS12, "AES256-SHA256", &aes_256_sha256 },
	{ 0x0067, KSSL_TLS12, "DHE-RSA-AES128-SHA256", &aes_128_sha256 },
	{ 0x006b, KSSL_TLS12, "DHE-RSA-AES256-SHA256", &aes_256_sha256 },
	/* RFC 8422 6 */
	{ 0xc009, KSSL_TLS12, "ECDHE-ECDSA-AES128-SHA", &aes_128_sha },
	{ 0xc00a, KSSL_TLS12, "ECDHE-ECDSA-AES256-SHA", &aes_256_sha },
	{ 0xc013, KSSL_TLS12, "ECDHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0xc014, KSSL_TLS12, "ECDHE-RSA-AES256-SHA", &aes_256_sha },
	/* RFC 5289 3.1 */
	{ 0xc023, KSSL_TLS12, "ECDHE-ECDSA-AES128-SHA256", &aes_128_sha256 },
	{ 0xc024, KSSL_TLS12, "ECDHE-ECDSA-AES256-SHA384", &aes_256_sha384 },
	{ 0xc027, KSSL_TLS12, "ECDHE-RSA-AES128-SHA256", &aes_128_sha256 },
	{ 0xc028, KSSL_TLS12, "ECDHE-RSA-AES256-SHA384", &aes_256_sha384 },
	/* RFC 5932 2 */
	{ 0x0041, KSSL_TLS12, "CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0045, KSSL_TLS12, "DHE-RSA-CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0084, KSSL_TLS12, "CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x0088, KSSL_TLS12, "DHE-RSA-CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x00ba, KSSL_TLS12, "CAMELLIA128-SHA256", &camellia_128_sha256 },
	{ 0x00be, KSSL_TLS12, "DHE-RSA-CAMELLIA128-SHA256", &camellia_128_sha256 },
	{ 0x00c0, KSSL_TLS12, "CAMELLIA256-SHA256", &camellia_256_sha256 },
	{ 0x00c4, KSSL_TLS12, "DHE-RSA-CAMELLIA256-SHA256", &camellia_256_sha256 },
	/* RFC 6367 2.1 */
	{ 0xc072, KSSL_TLS12, "ECDHE-ECDSA-CAMELLIA128-SHA256", &camellia_128_sha256 },
	{ 0xc073, KSSL_TLS12, "ECDHE-ECDSA-CAMELLIA256-SHA384", &camellia_256_sha384 },
	{ 0xc076, KSSL_TLS12, "ECDHE-RSA-CAMELLIA128-SHA256", &camellia_128_sha256 },
	{ 0xc077, KSSL_TLS12, "ECDHE-RSA-CAMELLIA256-SHA384", &camellia_256_sha384 },
	/* RFC 6209 2.3, 2.4 */
	{ 0xc050, KSSL_TLS12, "ARIA128-GCM-SHA256", &aria_128_gcm },
	{ 0xc051, KSSL_TLS12, "ARIA256-GCM-SHA384", &aria_256_gcm },
	{ 0xc052, KSSL_TLS12, "DHE-RSA-ARIA128-GCM-SHA256", &aria_128_gcm },
	{ 0xc053, KSSL_TLS12, "DHE-RSA-ARIA256-GCM-SHA384", &aria_256_gcm },
	{ 0xc05c, KSSL_TLS12, "ECDHE-ECDSA-ARIA128-GCM-SHA256", &aria_128_gcm },
	{ 0xc05d, KSSL_TLS12, "ECDHE-ECDSA-ARIA256-GCM-SHA384", &aria_256_gcm },
	{ 0xc060, KSSL_TLS12, "ECDHE-ARIA128-GCM-SHA256", &aria_128_gcm },
	{ 0xc061, KSSL_TLS12, "ECDHE-ARIA256-GCM-SHA384", &aria_256_gcm },
	/* RFC 4346 A.5, RFC 4492 6, RFC 3268 2, RFC 4132 2: those of TLS 1.2 that are older */
	{ 0x002f, KSSL_TLS11, "AES128-SHA", &aes_128_sha },
	{ 0x0033, KSSL_TLS11, "DHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0x0035, KSSL_TLS11, "AES256-SHA", &aes_256_sha },
	{ 0x0039, KSSL_TLS11, "DHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0xc009, KSSL_TLS11, "ECDHE-ECDSA-AES128-SHA", &aes_128_sha },
	{ 0xc00a, KSSL_TLS11, "ECDHE-ECDSA-AES256-SHA", &aes_256_sha },
	{ 0xc013, KSSL_TLS11, "ECDHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0xc014, KSSL_TLS11, "ECDHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0x0041, KSSL_TLS11, "CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0045, KSSL_TLS11, "DHE-RSA-CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0084, KSSL_TLS11, "CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x0088, KSSL_TLS11, "DHE-RSA-CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x002f, KSSL_TLS10, "AES128-SHA", &aes_128_sha },
	{ 0x0033, KSSL_TLS10, "DHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0x0035, KSSL_TLS10, "AES256-SHA", &aes_256_sha },
	{ 0x0039, KSSL_TLS10, "DHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0xc009, KSSL_TLS10, "ECDHE-ECDSA-AES128-SHA", &aes_128_sha },
	{ 0xc00a, KSSL_TLS10, "ECDHE-ECDSA-AES256-SHA", &aes_256_sha },
	{ 0xc013, KSSL_TLS10, "ECDHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0xc014, KSSL_TLS10, "ECDHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0x0041, KSSL_TLS10, "CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0045, KSSL_TLS10, "DHE-RSA-CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0084, KSSL_TLS10, "CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x0088, KSSL_TLS10, "DHE-RSA-CAMELLIA256-SHA", &camellia_256_sha },
	/* RFC 6101 A.6; OpenSSL has Camellia there too, but no elliptic curves */
	{ 0x002f, KSSL_SSL30, "AES128-SHA", &aes_128_sha },
	{ 0x0033, KSSL_SSL30, "DHE-RSA-AES128-SHA", &aes_128_sha },
	{ 0x0035, KSSL_SSL30, "AES256-SHA", &aes_256_sha },
	{ 0x0039, KSSL_SSL30, "DHE-RSA-AES256-SHA", &aes_256_sha },
	{ 0x0041, KSSL_SSL30, "CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0045, KSSL_SSL30, "DHE-RSA-CAMELLIA128-SHA", &camellia_128_sha },
	{ 0x0084, KSSL_SSL30, "CAMELLIA256-SHA", &camellia_256_sha },
	{ 0x0088, KSSL_SSL30, "DHE-RSA-CAMELLIA256-SHA", &camellia_256_sha },
	/* Of all versions up to TLS 1.2, those of RFC 8422 not of SSL 3.0 */
	{ 0x000a, KSSL_SSL30, "DES-CBC3-SHA", &des3_sha },
	{ 0x000a, KSSL_TLS10, "DES-CBC3-SHA", &des3_sha },
	{ 0x000a, KSSL_TLS11, "DES-CBC3-SHA", &des3_sha },
	{ 0x000a, KSSL_TLS12, "DES-CBC3-SHA", &des3_sha },
	{ 0x0016, KSSL_SSL30, "DHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0x0016, KSSL_TLS10, "DHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0x0016, KSSL_TLS11, "DHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0x0016, KSSL_TLS12, "DHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc008, KSSL_TLS10, "ECDHE-ECDSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc008, KSSL_TLS11, "ECDHE-ECDSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc008, KSSL_TLS12, "ECDHE-ECDSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc012, KSSL_TLS10, "ECDHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc012, KSSL_TLS11, "ECDHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0xc012, KSSL_TLS12, "ECDHE-RSA-DES-CBC3-SHA", &des3_sha },
	{ 0x0004, KSSL_SSL30, "RC4-MD5", &rc4_md5 },
	{ 0x0004, KSSL_TLS10, "RC4-MD5", &rc4_md5 },
	{ 0x0004, KSSL_TLS11, "RC4-MD5", &rc4_md5 },
	{ 0x0004, KSSL_TLS12, "RC4-MD5", &rc4_md5 },
	{ 0x0005, KSSL_SSL30, "RC4-SHA", &rc4_sha },
	{ 0x0005, KSSL_TLS10, "RC4-SHA", &rc4_sha },
	{ 0x0005, KSSL_TLS11, "RC4-SHA", &rc4_sha },
	{ 0x0005, KSSL_TLS12, "RC4-SHA", &rc4_sha },
	{ 0xc007, KSSL_TLS10, "ECDHE-ECDSA-RC4-SHA", &rc4_sha },
	{ 0xc007, KSSL_TLS11, "ECDHE-ECDSA-RC4-SHA", &rc4_sha },
	{ 0xc007, KSSL_TLS12, "ECDHE-ECDSA-RC4-SHA", &rc4_sha },
	{ 0xc011, KSSL_TLS10, "ECDHE-RSA-RC4-SHA", &rc4_sha },
	{ 0xc011, KSSL_TLS11, "ECDHE-RSA-RC4-SHA", &rc4_sha },
	{ 0xc011, KSSL_TLS12, "ECDHE-RSA-RC4-SHA", &rc4_sha },
	/* RFC 8446 B.4 */
	{ 0x1301, KSSL_TLS13, "TLS_AES_128_GCM_SHA256", &aes_128_gcm },
	{ 0x1302, KSSL_TLS13, "TLS_AES_256_GCM_SHA384", &aes_256_gcm },
	{ 0x1303, KSSL_TLS13, "TLS_CHACHA20_POLY1305_SHA256", &chacha20_poly1305 },
	{ 0x1304, KSSL_TLS13, "TLS_AES_128_CCM_SHA256", &aes_128_ccm },
	{ 0x1305, KSSL_TLS13, "TLS_AES_128_CCM_8_SHA256", &aes_128_ccm_8 },
};

/**
 * kssl_suite_find() - look up a suite
 * @id: IANA number
 * @version: protocol version as on the wire
 *
 * Return: the row, or NULL.
 */
const struct kssl_suite *kssl_suite_find(unsigned int id, unsigned int version)
{
	size_t i;

	for (i = 0; i < COUNT(suites); i++)
		if (suites[i].id == id && suites[i].version == version)
			return &suites[i];
	return NULL;
}

/**
 * kssl_suite_name() - name of a suite for a person
 * @id: IANA number
 *
 * Return: OpenSSL's name, or "unknown".
 */
const char *kssl_suite_name(unsigned int id)
{
	size_t i;

	for (i = 0; i < COUNT(suites); i++)
		if (suites[i].id == id)
			return suites[i].name;
	return "unknown";
}

/**
 * kssl_suite_is_cbc() - is it a block cipher with a MAC beside it?
 * @suite: row of the table
 */
int kssl_suite_is_cbc(const struct kssl_suite *suite)
{
	return suite->protection->hash && suite->protection->explicit_len;
}

/**
 * kssl_suite_is_chained() - is the last block of a record the IV of the next one?
 * @suite: row of the table
 *
 * Return: that of CBC up to TLS 1.0 is (RFC 2246 6.2.3.2).
 */
int kssl_suite_is_chained(const struct kssl_suite *suite)
{
	return suite->version <= KSSL_TLS10 && kssl_suite_is_cbc(suite);
}

/**
 * kssl_suite_iv_len() - length of struct kssl_key.iv
 * @suite: row of the table
 *
 * Return: the salt where part of the nonce travels in the record, else the whole
 * nonce (RFC 8446 5.3, RFC 7905 2); none for CBC (RFC 5246 6.2.3.2), but a block up to
 * TLS 1.0 (RFC 2246 6.3).
 */
unsigned int kssl_suite_iv_len(const struct kssl_suite *suite)
{
	const struct kssl_protection *p = suite->protection;

	return kssl_suite_is_chained(suite) || suite->version >= KSSL_TLS13 ?
	       p->salt_len + p->explicit_len : p->salt_len;
}

/**
 * kssl_suite_explicit_len() - bytes of nonce or IV in each record
 * @suite: row of the table
 */
unsigned int kssl_suite_explicit_len(const struct kssl_suite *suite)
{
	return kssl_suite_is_chained(suite) || suite->version >= KSSL_TLS13 ?
	       0 : suite->protection->explicit_len;
}

/**
 * kssl_suite_mac_key_len() - length of struct kssl_key.mac_key
 * @suite: row of the table
 *
 * Return: what the hash gives (RFC 5246 6.3, A.6), 0 for an AEAD.
 */
unsigned int kssl_suite_mac_key_len(const struct kssl_suite *suite)
{
	return suite->protection->hash ? suite->protection->tag_len : 0;
}

static int kernel_has(const struct kssl_suite *suite, const struct kssl_suite_info *kernel,
		      unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (kernel[i].suite == suite->id && kernel[i].version == suite->version)
			return 1;
	return 0;
}

/* The names of @ssl's suites of @version that both sides carry, in @ssl's order. */
static char *list_names(SSL *ssl, unsigned int version, const struct kssl_suite_info *kernel,
			unsigned int count)
{
	STACK_OF(SSL_CIPHER) *offered = SSL_get_ciphers(ssl);
	size_t len = 0;
	char *names;
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(offered); i++)
		len += strlen(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(offered, i))) + 1;
	names = calloc(1, len + 1);
	if (!names)
		return NULL;
	for (i = 0; i < sk_SSL_CIPHER_num(offered); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(offered, i);
		const struct kssl_suite *suite =
			kssl_suite_find(SSL_CIPHER_get_protocol_id(cipher), version);

		if (!suite || !kernel_has(suite, kernel, count))
			continue;
		if (names[0])
			strcat(names, ":");
		strcat(names, SSL_CIPHER_get_name(cipher));
	}
	return names;
}

/* Does the kernel carry anything of that version? */
static int kernel_speaks(int version, const struct kssl_suite_info *kernel, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (kernel[i].version == version)
			return 1;
	return 0;
}

/*
 * Who names SSL 3.0 gets it or a refusal, lest he believe that his peers are served.  OpenSSL
 * takes a bound that it was built without, and then has no suites.
 */
static const char *why_no_ssl3(SSL *ssl, const struct kssl_suite_info *kernel, unsigned int count)
{
	int max = SSL_get_max_proto_version(ssl);
	STACK_OF(SSL_CIPHER) *left;
	int any;

	if (!kernel_speaks(KSSL_SSL30, kernel, count))
		return "the module speaks SSL 3.0 only if it is loaded with legacy=1";
	if (!SSL_set_max_proto_version(ssl, KSSL_SSL30))
		return "this OpenSSL has no SSL 3.0";
	left = SSL_get1_supported_ciphers(ssl);
	any = sk_SSL_CIPHER_num(left) > 0;
	sk_SSL_CIPHER_free(left);
	SSL_set_max_proto_version(ssl, max);
	return any ? NULL : "this OpenSSL has no SSL 3.0, or none of its suites at this security level";
}

/*
 * The caller's own bounds stay where they are tighter; 0 means unbounded.  What is older than
 * TLS 1.2 is for those only who name it.
 */
static int bound_versions(SSL *ssl, int min, int max, const struct kssl_suite_info *kernel,
			  unsigned int count, const char **why)
{
	int own_min = SSL_get_min_proto_version(ssl);
	int own_max = SSL_get_max_proto_version(ssl);
	const char *no_ssl3 = own_min == KSSL_SSL30 ? why_no_ssl3(ssl, kernel, count) : NULL;

	if (no_ssl3)
		*why = no_ssl3;
	if (no_ssl3 || (own_min == KSSL_SSL30 && min > KSSL_TLS12))
		return -ENOPKG;
	if (own_min > min || (min == KSSL_TLS12 && own_min >= KSSL_SSL30 &&
			      kernel_speaks(own_min, kernel, count)))
		min = own_min;
	if (own_max && own_max < max)
		max = own_max;
	if (min > max)
		return -ENOPKG;
	if (!SSL_set_min_proto_version(ssl, min) || !SSL_set_max_proto_version(ssl, max))
		return -ENOPKG;
	return 0;
}

static int offers_rc4(SSL *ssl)
{
	STACK_OF(SSL_CIPHER) *offered = SSL_get_ciphers(ssl);
	int i;

	for (i = 0; i < sk_SSL_CIPHER_num(offered); i++)
		if (SSL_CIPHER_get_cipher_nid(sk_SSL_CIPHER_value(offered, i)) == NID_rc4)
			return 1;
	return 0;
}

/**
 * kssl_suite_narrow() - offer only what the kernel and the shim both carry
 * @ssl: before its handshake
 * @kernel: rows of KSSL_SUITES
 * @count: how many
 * @why: (out) after -ENOPKG the sentence
 *
 * Return: 0, -ENOMEM, or -ENOPKG if nothing of the configured suites is left.
 */
int kssl_suite_narrow(SSL *ssl, const struct kssl_suite_info *kernel, unsigned int count,
		      const char **why)
{
	char *tls12 = list_names(ssl, KSSL_TLS12, kernel, count);
	char *tls13 = list_names(ssl, KSSL_TLS13, kernel, count);
	int ret = -ENOMEM;

	*why = "the kernel has none of the configured cipher suites";
	if (tls12 && tls13) {
		ret = -ENOPKG;
		if (!tls12[0] && offers_rc4(ssl))
			*why = "the kernel has RC4 only if the module is loaded with legacy=1, and no other suite";
		if (tls12[0] || tls13[0])
			ret = bound_versions(ssl, tls12[0] ? KSSL_TLS12 : KSSL_TLS13,
					     tls13[0] ? KSSL_TLS13 : KSSL_TLS12, kernel, count, why);
		/*
		 * Of these OpenSSL knows what older versions have.  It refuses an empty list for
		 * TLS 1.2, and there it does not matter.
		 */
		if (!ret && tls12[0] && !SSL_set_cipher_list(ssl, tls12))
			ret = -ENOPKG;
		if (!ret && !SSL_set_ciphersuites(ssl, tls13))
			ret = -ENOPKG;
	}
	free(tls12);
	free(tls13);
	return ret;
}
