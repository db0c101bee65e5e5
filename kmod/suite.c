// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of versions, record protections and cipher suites.  A suite is one
 * row; nothing else in the module knows a suite or a version by number.
 */
#include "kssl.h"

static const struct kssl_version versions[] = {
	/* RFC 5246 6.2 */
	{ .wire = 0x0303, .record_wire = 0x0303, .max_expansion = KSSL_MAX_EXPANSION_12,
	  .flags = KSSL_V_STRICT_VERSION },
	/* RFC 8446 5.2: legacy_record_version is 0x0303 and ignored */
	{ .wire = 0x0304, .record_wire = 0x0303, .max_expansion = KSSL_MAX_EXPANSION_13,
	  .flags = KSSL_V_INNER_TYPE | KSSL_V_REKEY_BY_MESSAGE | KSSL_V_HOLD_TX |
		   KSSL_V_HALF_CLOSE | KSSL_V_ALL_ALERTS_FATAL },
};

/* RFC 5288 3: 4 bytes of salt, 8 bytes of explicit nonce. */
static const struct kssl_cipher aes_128_gcm = {
	.alg = "gcm(aes)", .fmt = &kssl_fmt_aead,
	.key_len = 16, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

static const struct kssl_cipher aes_256_gcm = {
	.alg = "gcm(aes)", .fmt = &kssl_fmt_aead,
	.key_len = 32, .salt_len = 4, .explicit_len = 8, .tag_len = 16,
};

const struct kssl_suite kssl_suites[] = {
	/* RFC 5288 3 */
	{ 0x009c, 0x0303, &aes_128_gcm },	/* RSA */
	{ 0x009d, 0x0303, &aes_256_gcm },
	{ 0x009e, 0x0303, &aes_128_gcm },	/* DHE_RSA */
	{ 0x009f, 0x0303, &aes_256_gcm },
	/* RFC 5289 3.2 */
	{ 0xc02b, 0x0303, &aes_128_gcm },	/* ECDHE_ECDSA */
	{ 0xc02c, 0x0303, &aes_256_gcm },
	{ 0xc02f, 0x0303, &aes_128_gcm },	/* ECDHE_RSA */
	{ 0xc030, 0x0303, &aes_256_gcm },
	/* RFC 8446 B.4 */
	{ 0x1301, 0x0304, &aes_128_gcm },
	{ 0x1302, 0x0304, &aes_256_gcm },
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
 * kssl_suite_iv_len() - length of the fixed part of the nonce
 * @suite: row of the table
 *
 * Return: bytes that struct kssl_key.iv must have: the salt where part of the
 * nonce travels in the record, else the whole nonce (RFC 8446 5.3).
 */
unsigned int kssl_suite_iv_len(const struct kssl_suite *suite)
{
	const struct kssl_version *ver = kssl_version_find(suite->version);

	if (!(ver->flags & KSSL_V_INNER_TYPE) && suite->cipher->explicit_len)
		return suite->cipher->salt_len;
	return suite->cipher->salt_len + suite->cipher->explicit_len;
}
