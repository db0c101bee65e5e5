// SPDX-License-Identifier: MIT
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>
#include "schedule.h"
#include "tap.h"

#define HASH_MAX	48

const char *schedule_hash(uint16_t suite)
{
	switch (suite) {
	case 0x1302:
		return "SHA384";
	case 0x00c6:
	case 0x00c7:
		return "SM3";
	default:
		return "SHA256";
	}
}

size_t schedule_hash_len(uint16_t suite)
{
	return suite == 0x1302 ? 48 : 32;
}

/* HKDF-Expand, RFC 5869 2.3 */
static void expand(const char *hash, const uint8_t *secret, size_t secret_len, const uint8_t *info,
		   size_t info_len, uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hash, 0),
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

	CHECK(ctx && EVP_KDF_derive(ctx, out, len, params) == 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

void expand_label(const char *hash, const uint8_t *secret, size_t secret_len, const char *label,
		  uint8_t *out, size_t len)
{
	uint8_t info[64] = { len >> 8, len, 6 + strlen(label), 't', 'l', 's', '1', '3', ' ' };
	size_t n = strlen(label);

	CHECK(n <= 32);
	memcpy(info + 9, label, n);
	/* the length of the context, which is empty, is the last octet */
	expand(hash, secret, secret_len, info, 9 + n + 1, out, len);
}

/* RFC 8446 7.3 */
static void derive_keys(struct keys *k)
{
	const char *hash = schedule_hash(k->suite.suite);

	memset(k->key, 0, sizeof(k->key));
	memset(k->iv, 0, sizeof(k->iv));
	expand_label(hash, k->secret, k->secret_len, "key", k->key, k->suite.key_len);
	expand_label(hash, k->secret, k->secret_len, "iv", k->iv, k->suite.iv_len);
	k->seq = 0;
}

struct keys make_secret_keys(unsigned int seed)
{
	struct keys k = make_keys(seed);
	unsigned int i;

	EQ(k.suite.version, 0x0304);
	k.secret_len = schedule_hash_len(k.suite.suite);
	for (i = 0; i < k.secret_len; i++)
		k.secret[i] = seed * 29 + i * 11 + 7;
	derive_keys(&k);
	return k;
}

/* RFC 8446 7.2 */
void next_generation(struct keys *k)
{
	uint8_t next[HASH_MAX];

	CHECK(k->secret_len > 0);
	expand_label(schedule_hash(k->suite.suite), k->secret, k->secret_len, "traffic upd", next,
		     k->secret_len);
	memcpy(k->secret, next, k->secret_len);
	derive_keys(k);
}

/* ---- messages ---- */

size_t make_message(uint8_t type, size_t len, uint8_t *to)
{
	to[0] = type;
	to[1] = len >> 16;
	to[2] = len >> 8;
	to[3] = len;
	pattern(to + 4, 0, len);
	return 4 + len;
}

size_t make_key_update(uint8_t request, uint8_t *to)
{
	size_t len = make_message(KEY_UPDATE, 1, to);

	to[4] = request;
	return len;
}

void peer_send_message(struct peer *p, uint8_t type, size_t len)
{
	uint8_t message[4 + 16384];

	peer_send(p, HANDSHAKE, message, make_message(type, len, message));
}

void peer_expect_message(struct peer *p, uint8_t type, size_t len)
{
	uint8_t message[4 + 16384];

	peer_expect(p, HANDSHAKE, message, make_message(type, len, message));
}

void peer_send_update(struct peer *p, uint8_t request)
{
	uint8_t message[5];

	peer_send(p, HANDSHAKE, message, make_key_update(request, message));
	next_generation(&p->tx);
}

void peer_expect_update(struct peer *p, uint8_t request)
{
	uint8_t message[5];

	peer_expect(p, HANDSHAKE, message, make_key_update(request, message));
	next_generation(&p->rx);
}

unsigned int peer_expect_pattern_updates(struct peer *p, size_t at, size_t len)
{
	uint8_t got[RECORD_MAX], type;
	unsigned int updates = 0;

	while (len) {
		long n = peer_recv(p, &type, got);

		if (n < 0)
			check_failed(__FILE__, __LINE__, "FIN, %zu bytes are missing", len);
		if (type == HANDSHAKE) {
			EQ(n, 5);
			EQ(got[0], KEY_UPDATE);
			EQ(got[3], 1);
			CHECK(got[4] <= UPDATE_REQUESTED);
			next_generation(&p->rx);
			updates++;
			continue;
		}
		if (type == ALERT && n == 2)
			check_failed(__FILE__, __LINE__, "alert %u %u, %zu bytes are missing",
				     got[0], got[1], len);
		EQ(type, DATA);
		CHECK(n > 0);
		CHECK((size_t)n <= len);
		check_pattern(got, at, n);
		at += n;
		len -= n;
	}
	return updates;
}
