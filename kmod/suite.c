// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of versions, record protections and cipher suites.  A suite is one
 * row; nothing else in the module knows a suite or a version by number.
 */
#include "record.h"

/* The module's parameter "legacy". */
bool kssl_legacy;

static const struct kssl_version versions[] = {
	/* RFC 6101 5.2 */
	{ .wire = 0x0300, .record_wire = 0x0300, .max_expansion = KSSL_MAX_EXPANSION_12,
	  .flags = KSSL_V_STRICT_VERSION | KSSL_V_CHAINED_IV | KSSL_V_SSL3 | KSSL_V_LOCKED },
	/* RFC 2246 6.2 */
	{ .wire = 0x0301, .record_wire = 0x0301, .max_expansion = KSSL_MAX_EXPANSION_12,
	  .flags = KSSL_V_STRICT_VERSION | KSSL_V_CHAINED_IV },
	/* RFC 4346 6.2 */
	{ .wire = 0x0302, .record_wire = 0x0302, .max_expansion = KSSL_MAX_EXPANSION_12,
	  .flags = KSSL_V_STRICT_VERSION },
	/* RFC 5246 6.2 */
	{ .wire = 0x0303, .record_wire = 0x0303, .max_expansion = KSSL_MAX_EXPANSION_12,
	  .flags = KSSL_V_STRICT_VERSION },
	/* RFC 8446 5.2: legacy_record_version is 0x0303 and ignored */
	{ .wire = 0x0304, .record_wire = 0x0303, .max_expansion = KSSL_MAX_EXPANSION_13,
	  .flags = KSSL_V_INNER_TYPE | KSSL_V_REKEY_BY_MESSAGE | KSSL_V_HOLD_TX |
		   KSSL_V_HALF_CLOSE | KSSL_V_ALL_ALERTS_FATAL },
};

/*
 * How many records a key may protect: 2^24.5 with GCM (RFC 8446 5.5, and nobody says
 * that TLS 1.2 could bear more), 2^23 with CCM (RFC 9147 4.5.3).
 */
#define GCM_LIMIT	23726566
#define CCM_LIMIT	8388608

/* RFC 5288 3: 4 bytes of salt, 8 bytes of explicit nonce. */
#define GCM(_alg, _key_len) {							\
	.alg = _alg, .fmt = &kssl_fmt_aead, .limit = GCM_LIMIT,			\
	.key_len = _key_len, .salt_len = 4, .explicit_len = 8, .tag_len = 16,	\
}

/* RFC 6655 3, 4: as GCM; nonces of 12 leave 3 for CCM's own length field. */
#define CCM(_alg, _key_len, _tag_len) {						\
	.alg = _alg, .fmt = &kssl_fmt_aead, .lead = 2, .limit = CCM_LIMIT,	\
	.key_len = _key_len, .salt_len = 4, .explicit_len = 8, .tag_len = _tag_len,	\
}

/* RFC 5246 6.2.3.2: an IV of one block with each record. */
#define CBC(_alg, _key_len, _hash, _mac_len) {					\
	.alg = _alg, .fmt = &kssl_fmt_cbc, .hash = &(_hash),			\
	.key_len = _key_len, .explicit_len = 16, .tag_len = _mac_len,		\
}

/* Blocks of 64 bits: of those 2^20 under one key (SP 800-67r2 3.3), and 2^22 by no means. */
#define CBC_64(_alg, _key_len, _hash, _mac_len, _locked) {			\
	.alg = _alg, .fmt = &kssl_fmt_cbc, .hash = &(_hash), .locked = _locked,	\
	.key_len = _key_len, .explicit_len = 8, .tag_len = _mac_len,		\
	.unit = 8, .limit = 1 << 22, .soft = 1 << 20,				\
}

static const struct kssl_cipher aes_128_gcm = GCM("gcm(aes)", 16);
static const struct kssl_cipher aes_256_gcm = GCM("gcm(aes)", 32);
static const struct kssl_cipher aes_128_ccm = CCM("ccm(aes)", 16, 16);
static const struct kssl_cipher aes_256_ccm = CCM("ccm(aes)", 32, 16);
static const struct kssl_cipher aes_128_ccm_8 = CCM("ccm(aes)", 16, 8);
static const struct kssl_cipher aes_256_ccm_8 = CCM("ccm(aes)", 32, 8);
static const struct kssl_cipher camellia_128_gcm = GCM("gcm(camellia)", 16);
static const struct kssl_cipher camellia_256_gcm = GCM("gcm(camellia)", 32);
static const struct kssl_cipher aria_128_gcm = GCM("gcm(aria)", 16);
static const struct kssl_cipher aria_256_gcm = GCM("gcm(aria)", 32);
static const struct kssl_cipher sm4_gcm = GCM("gcm(sm4)", 16);
static const struct kssl_cipher sm4_ccm = CCM("ccm(sm4)", 16, 16);

/* RFC 7905 2: no explicit nonce. */
static const struct kssl_cipher chacha20_poly1305 = {
	.alg = "rfc7539(chacha20,poly1305)", .fmt = &kssl_fmt_aead,
	.key_len = 32, .salt_len = 12, .tag_len = 16,
};

static const struct kssl_cipher aes_128_sha = CBC("cbc(aes)", 16, kssl_sha1, 20);
static const struct kssl_cipher aes_256_sha = CBC("cbc(aes)", 32, kssl_sha1, 20);
static const struct kssl_cipher aes_128_sha256 = CBC("cbc(aes)", 16, kssl_sha256, 32);
static const struct kssl_cipher aes_256_sha256 = CBC("cbc(aes)", 32, kssl_sha256, 32);
static const struct kssl_cipher aes_256_sha384 = CBC("cbc(aes)", 32, kssl_sha384, 48);
static const struct kssl_cipher camellia_128_sha = CBC("cbc(camellia)", 16, kssl_sha1, 20);
static const struct kssl_cipher camellia_256_sha = CBC("cbc(camellia)", 32, kssl_sha1, 20);
static const struct kssl_cipher camellia_128_sha256 = CBC("cbc(camellia)", 16, kssl_sha256, 32);
static const struct kssl_cipher camellia_256_sha256 = CBC("cbc(camellia)", 32, kssl_sha256, 32);
static const struct kssl_cipher camellia_256_sha384 = CBC("cbc(camellia)", 32, kssl_sha384, 48);
static const struct kssl_cipher aria_128_sha256 = CBC("cbc(aria)", 16, kssl_sha256, 32);
static const struct kssl_cipher aria_256_sha384 = CBC("cbc(aria)", 32, kssl_sha384, 48);

static const struct kssl_cipher des3_sha = CBC_64("cbc(des3_ede)", 24, kssl_sha1, 20, false);
static const struct kssl_cipher des_sha = CBC_64("cbc(des)", 8, kssl_sha1, 20, true);
/* RFC 2246 C: the 5 octets of an export key are stretched to 16 by the handshake. */
static const struct kssl_cipher rc2_md5 = CBC_64(NULL, 16, kssl_md5, 16, true);

static const struct kssl_cipher rc4_md5 = {
	.fmt = &kssl_fmt_stream, .hash = &kssl_md5, .locked = true, .key_len = 16, .tag_len = 16,
};

static const struct kssl_cipher rc4_sha = {
	.fmt = &kssl_fmt_stream, .hash = &kssl_sha1, .locked = true, .key_len = 16, .tag_len = 20,
};

const struct kssl_suite kssl_suites[] = {
	/* RFC 5288 3; RSA, then DHE_RSA */
	{ 0x009c, 0x0303, &aes_128_gcm },
	{ 0x009d, 0x0303, &aes_256_gcm },
	{ 0x009e, 0x0303, &aes_128_gcm },
	{ 0x009f, 0x0303, &aes_256_gcm },
	/* RFC 5289 3.2; ECDHE_ECDSA, then ECDHE_RSA */
	{ 0xc02b, 0x0303, &aes_128_gcm },
	{ 0xc02c, 0x0303, &aes_256_gcm },
	{ 0xc02f, 0x0303, &aes_128_gcm },
	{ 0xc030, 0x0303, &aes_256_gcm },
	/* RFC 7905 3; ECDHE_RSA, ECDHE_ECDSA, DHE_RSA */
	{ 0xcca8, 0x0303, &chacha20_poly1305 },
	{ 0xcca9, 0x0303, &chacha20_poly1305 },
	{ 0xccaa, 0x0303, &chacha20_poly1305 },
	/* RFC 6655 3, 4; RSA, then DHE_RSA */
	{ 0xc09c, 0x0303, &aes_128_ccm },
	{ 0xc09d, 0x0303, &aes_256_ccm },
	{ 0xc09e, 0x0303, &aes_128_ccm },
	{ 0xc09f, 0x0303, &aes_256_ccm },
	{ 0xc0a0, 0x0303, &aes_128_ccm_8 },
	{ 0xc0a1, 0x0303, &aes_256_ccm_8 },
	{ 0xc0a2, 0x0303, &aes_128_ccm_8 },
	{ 0xc0a3, 0x0303, &aes_256_ccm_8 },
	/* RFC 7251 2; ECDHE_ECDSA */
	{ 0xc0ac, 0x0303, &aes_128_ccm },
	{ 0xc0ad, 0x0303, &aes_256_ccm },
	{ 0xc0ae, 0x0303, &aes_128_ccm_8 },
	{ 0xc0af, 0x0303, &aes_256_ccm_8 },
	/* RFC 5246 A.5; RSA and DHE_RSA */
	{ 0x002f, 0x0300, &aes_128_sha }, { 0x002f, 0x0301, &aes_128_sha },
	{ 0x002f, 0x0302, &aes_128_sha }, { 0x002f, 0x0303, &aes_128_sha },
	{ 0x0033, 0x0300, &aes_128_sha }, { 0x0033, 0x0301, &aes_128_sha },
	{ 0x0033, 0x0302, &aes_128_sha }, { 0x0033, 0x0303, &aes_128_sha },
	{ 0x0035, 0x0300, &aes_256_sha }, { 0x0035, 0x0301, &aes_256_sha },
	{ 0x0035, 0x0302, &aes_256_sha }, { 0x0035, 0x0303, &aes_256_sha },
	{ 0x0039, 0x0300, &aes_256_sha }, { 0x0039, 0x0301, &aes_256_sha },
	{ 0x0039, 0x0302, &aes_256_sha }, { 0x0039, 0x0303, &aes_256_sha },
	{ 0x003c, 0x0303, &aes_128_sha256 },
	{ 0x003d, 0x0303, &aes_256_sha256 },
	{ 0x0067, 0x0303, &aes_128_sha256 },
	{ 0x006b, 0x0303, &aes_256_sha256 },
	/* RFC 8422 6; ECDHE_ECDSA, then ECDHE_RSA */
	{ 0xc009, 0x0301, &aes_128_sha }, { 0xc009, 0x0302, &aes_128_sha },
	{ 0xc009, 0x0303, &aes_128_sha },
	{ 0xc00a, 0x0301, &aes_256_sha }, { 0xc00a, 0x0302, &aes_256_sha },
	{ 0xc00a, 0x0303, &aes_256_sha },
	{ 0xc013, 0x0301, &aes_128_sha }, { 0xc013, 0x0302, &aes_128_sha },
	{ 0xc013, 0x0303, &aes_128_sha },
	{ 0xc014, 0x0301, &aes_256_sha }, { 0xc014, 0x0302, &aes_256_sha },
	{ 0xc014, 0x0303, &aes_256_sha },
	/* RFC 5289 3.1; ECDHE_ECDSA, then ECDHE_RSA */
	{ 0xc023, 0x0303, &aes_128_sha256 },
	{ 0xc024, 0x0303, &aes_256_sha384 },
	{ 0xc027, 0x0303, &aes_128_sha256 },
	{ 0xc028, 0x0303, &aes_256_sha384 },
	/* RFC 5932 2; RSA and DHE_RSA */
	{ 0x0041, 0x0300, &camellia_128_sha }, { 0x0041, 0x0301, &camellia_128_sha },
	{ 0x0041, 0x0302, &camellia_128_sha }, { 0x0041, 0x0303, &camellia_128_sha },
	{ 0x0045, 0x0300, &camellia_128_sha }, { 0x0045, 0x0301, &camellia_128_sha },
	{ 0x0045, 0x0302, &camellia_128_sha }, { 0x0045, 0x0303, &camellia_128_sha },
	{ 0x0084, 0x0300, &camellia_256_sha }, { 0x0084, 0x0301, &camellia_256_sha },
	{ 0x0084, 0x0302, &camellia_256_sha }, { 0x0084, 0x0303, &camellia_256_sha },
	{ 0x0088, 0x0300, &camellia_256_sha }, { 0x0088, 0x0301, &camellia_256_sha },
	{ 0x0088, 0x0302, &camellia_256_sha }, { 0x0088, 0x0303, &camellia_256_sha },
	{ 0x00ba, 0x0303, &camellia_128_sha256 },
	{ 0x00be, 0x0303, &camellia_128_sha256 },
	{ 0x00c0, 0x0303, &camellia_256_sha256 },
	{ 0x00c4, 0x0303, &camellia_256_sha256 },
	/* RFC 6367 2.1; ECDHE_ECDSA, then ECDHE_RSA */
	{ 0xc072, 0x0303, &camellia_128_sha256 },
	{ 0xc073, 0x0303, &camellia_256_sha384 },
	{ 0xc076, 0x0303, &camellia_128_sha256 },
	{ 0xc077, 0x0303, &camellia_256_sha384 },
	/* RFC 6367 2.2; RSA, DHE_RSA, ECDHE_ECDSA, ECDHE_RSA */
	{ 0xc07a, 0x0303, &camellia_128_gcm },
	{ 0xc07b, 0x0303, &camellia_256_gcm },
	{ 0xc07c, 0x0303, &camellia_128_gcm },
	{ 0xc07d, 0x0303, &camellia_256_gcm },
	{ 0xc086, 0x0303, &camellia_128_gcm },
	{ 0xc087, 0x0303, &camellia_256_gcm },
	{ 0xc08a, 0x0303, &camellia_128_gcm },
	{ 0xc08b, 0x0303, &camellia_256_gcm },
	/* RFC 6209 2.1, 2.2; RSA, DHE_RSA, ECDHE_ECDSA, ECDHE_RSA */
	{ 0xc03c, 0x0303, &aria_128_sha256 },
	{ 0xc03d, 0x0303, &aria_256_sha384 },
	{ 0xc044, 0x0303, &aria_128_sha256 },
	{ 0xc045, 0x0303, &aria_256_sha384 },
	{ 0xc048, 0x0303, &aria_128_sha256 },
	{ 0xc049, 0x0303, &aria_256_sha384 },
	{ 0xc04c, 0x0303, &aria_128_sha256 },
	{ 0xc04d, 0x0303, &aria_256_sha384 },
	/* RFC 6209 2.3, 2.4; likewise */
	{ 0xc050, 0x0303, &aria_128_gcm },
	{ 0xc051, 0x0303, &aria_256_gcm },
	{ 0xc052, 0x0303, &aria_128_gcm },
	{ 0xc053, 0x0303, &aria_256_gcm },
	{ 0xc05c, 0x0303, &aria_128_gcm },
	{ 0xc05d, 0x0303, &aria_256_gcm },
	{ 0xc060, 0x0303, &aria_128_gcm },
	{ 0xc061, 0x0303, &aria_256_gcm },
	/* RFC 8446 B.4 */
	{ 0x1301, 0x0304, &aes_128_gcm, &kssl_sha256 },
	{ 0x1302, 0x0304, &aes_256_gcm, &kssl_sha384 },
	{ 0x1303, 0x0304, &chacha20_poly1305, &kssl_sha256 },
	{ 0x1304, 0x0304, &aes_128_ccm, &kssl_sha256 },
	{ 0x1305, 0x0304, &aes_128_ccm_8, &kssl_sha256 },
	/* RFC 5246 A.5, RFC 8422 6; RSA, DHE_RSA, ECDHE_ECDSA, ECDHE_RSA */
	{ 0x000a, 0x0300, &des3_sha }, { 0x000a, 0x0301, &des3_sha },
	{ 0x000a, 0x0302, &des3_sha }, { 0x000a, 0x0303, &des3_sha },
	{ 0x0016, 0x0300, &des3_sha }, { 0x0016, 0x0301, &des3_sha },
	{ 0x0016, 0x0302, &des3_sha }, { 0x0016, 0x0303, &des3_sha },
	{ 0xc008, 0x0301, &des3_sha }, { 0xc008, 0x0302, &des3_sha },
	{ 0xc008, 0x0303, &des3_sha },
	{ 0xc012, 0x0301, &des3_sha }, { 0xc012, 0x0302, &des3_sha },
	{ 0xc012, 0x0303, &des3_sha },
	/* Likewise, RSA with MD5 and SHA first; RFC 7465 forbids them */
	{ 0x0004, 0x0300, &rc4_md5 }, { 0x0004, 0x0301, &rc4_md5 },
	{ 0x0004, 0x0302, &rc4_md5 }, { 0x0004, 0x0303, &rc4_md5 },
	{ 0x0005, 0x0300, &rc4_sha }, { 0x0005, 0x0301, &rc4_sha },
	{ 0x0005, 0x0302, &rc4_sha }, { 0x0005, 0x0303, &rc4_sha },
	{ 0xc007, 0x0301, &rc4_sha }, { 0xc007, 0x0302, &rc4_sha },
	{ 0xc007, 0x0303, &rc4_sha },
	{ 0xc011, 0x0301, &rc4_sha }, { 0xc011, 0x0302, &rc4_sha },
	{ 0xc011, 0x0303, &rc4_sha },
	/* RFC 4346 A.5, RFC 5469; RSA, DHE_RSA */
	{ 0x0009, 0x0300, &des_sha }, { 0x0009, 0x0301, &des_sha },
	{ 0x0009, 0x0302, &des_sha },
	{ 0x0015, 0x0300, &des_sha }, { 0x0015, 0x0301, &des_sha },
	{ 0x0015, 0x0302, &des_sha },
	/* RFC 2246 A.5: RC4, RC2 and DES (RSA, DHE_RSA) with keys of 40 bits, stretched */
	{ 0x0003, 0x0300, &rc4_md5 }, { 0x0003, 0x0301, &rc4_md5 },
	{ 0x0006, 0x0300, &rc2_md5 }, { 0x0006, 0x0301, &rc2_md5 },
	{ 0x0008, 0x0300, &des_sha }, { 0x0008, 0x0301, &des_sha },
	{ 0x0014, 0x0300, &des_sha }, { 0x0014, 0x0301, &des_sha },
	/* RFC 8998 2; their key schedule is on SM3 */
	{ 0x00c6, 0x0304, &sm4_gcm },
	{ 0x00c7, 0x0304, &sm4_ccm },
};

const unsigned int kssl_suites_count = ARRAY_SIZE(kssl_suites);

/**
 * kssl_version_find() - look up a protocol version
 * @wire: version number as on the wire
 *
 * Return: the version, or NULL if this module does not speak it.
 */
const struct kssl_version *kssl_version_find(u16 wire)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(versions); i++)
		if (versions[i].wire == wire)
			return &versions[i];
	return NULL;
}

/**
 * kssl_suite_find() - look up a cipher suite
 * @id: IANA number
 * @version: protocol version as on the wire
 *
 * Return: the row, or NULL if this module does not know it.
 */
const struct kssl_suite *kssl_suite_find(u16 id, u16 version)
{
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++)
		if (kssl_suites[i].id == id && kssl_suites[i].version == version)
			return &kssl_suites[i];
	return NULL;
}

/**
 * kssl_suite_is_locked() - is the suite one for the module's parameter "legacy"?
 * @suite: row of the table
 *
 * Return: true if it is, and the module was loaded without it.
 */
bool kssl_suite_is_locked(const struct kssl_suite *suite)
{
	return !kssl_legacy && (suite->cipher->locked ||
				kssl_version_find(suite->version)->flags & KSSL_V_LOCKED);
}

/**
 * kssl_suite_iv_len() - length of the fixed part of the nonce
 * @suite: row of the table
 *
 * Return: bytes that struct kssl_key.iv must have: the salt where part of the
 * nonce travels in the record, else the whole nonce (RFC 8446 5.3, RFC 7905 2);
 * none where each record brings its IV (RFC 5246 6.2.3.2), one block where that of the
 * first record is all (RFC 2246 6.3).
 */
unsigned int kssl_suite_iv_len(const struct kssl_suite *suite)
{
	const struct kssl_version *ver = kssl_version_find(suite->version);

	if (!(ver->flags & (KSSL_V_INNER_TYPE | KSSL_V_CHAINED_IV)))
		return suite->cipher->salt_len;
	return suite->cipher->salt_len + suite->cipher->explicit_len;
}

/**
 * kssl_suite_mac_key_len() - length of the MAC key
 * @suite: row of the table
 *
 * Return: bytes that struct kssl_key.mac_key must have: what the hash gives (RFC
 * 5246 6.3, A.6), 0 for an AEAD.
 */
unsigned int kssl_suite_mac_key_len(const struct kssl_suite *suite)
{
	return suite->cipher->hash ? suite->cipher->hash->digest_len : 0;
}
