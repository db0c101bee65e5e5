// SPDX-License-Identifier: MIT
/*
 * Key schedules: the key block of SSL 3.0 to TLS 1.2 and traffic secrets of TLS 1.3 become
 * struct kssl_key.  Every intermediate copy is cleansed.
 */
#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/md5.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "keys.h"

static int run_kdf(const char *name, const OSSL_PARAM *params, uint8_t *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok = ctx && EVP_KDF_derive(ctx, out, len, params) > 0;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

static OSSL_PARAM digest_param(const EVP_MD *md)
{
	return OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(md), 0);
}

static void set_header(struct kssl_key *key, const struct kssl_suite *suite)
{
	memset(key, 0, sizeof(*key));
	key->size = sizeof(*key);
	key->version = suite->version;
	key->suite = suite->id;
	key->key_len = suite->protection->key_len;
	key->iv_len = kssl_suite_iv_len(suite);
	key->mac_key_len = kssl_suite_mac_key_len(suite);
}

/* What a key block is made of. */
struct origin {
	uint8_t master[KSSL_MASTER_LEN];
	uint8_t randoms[2 * KSSL_RANDOM_LEN];	/* server's, client's */
};

static int get_origin(SSL *ssl, struct origin *o)
{
	SSL_SESSION *session = SSL_get_session(ssl);

	return session && SSL_SESSION_get_master_key(session, o->master, KSSL_MASTER_LEN) == KSSL_MASTER_LEN &&
	       SSL_get_server_random(ssl, o->randoms, KSSL_RANDOM_LEN) == KSSL_RANDOM_LEN &&
	       SSL_get_client_random(ssl, o->randoms + KSSL_RANDOM_LEN, KSSL_RANDOM_LEN) == KSSL_RANDOM_LEN ?
	       0 : -EIO;
}

/* PRF(master, "key expansion", server random + client random), RFC 5246 6.3. */
static int expand_tls(const struct origin *o, const EVP_MD *md, uint8_t *block, size_t len)
{
	static const char label[] = "key expansion";
	OSSL_PARAM params[] = {
		digest_param(md),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)o->master, sizeof(o->master)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (char *)label, sizeof(label) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)o->randoms, sizeof(o->randoms)),
		OSSL_PARAM_construct_end(),
	};

	return run_kdf("TLS1-PRF", params, block, len);
}

/* The digest of three parts, the last of which may be empty. */
static int digest_parts(const EVP_MD *md, const void *a, size_t a_len, const void *b, size_t b_len,
			const void *c, size_t c_len, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) && EVP_DigestUpdate(ctx, a, a_len) &&
		 EVP_DigestUpdate(ctx, b, b_len) && EVP_DigestUpdate(ctx, c, c_len) &&
		 EVP_DigestFinal_ex(ctx, out, NULL);

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

/*
 * RFC 6101 6.2.2: MD5(master + SHA('A' + master + server random + client random)), then with
 * 'BB', 'CCC' and so on, one after the other.
 */
static int expand_ssl3(const struct origin *o, uint8_t *block, size_t len)
{
	uint8_t inner[SHA_DIGEST_LENGTH], outer[MD5_DIGEST_LENGTH];
	char letters[16];
	size_t pos, n;
	int round, ret = 0;

	for (pos = 0, round = 1; !ret && pos < len; pos += n, round++) {
		n = len - pos < sizeof(outer) ? len - pos : sizeof(outer);
		memset(letters, 'A' + round - 1, round);
		ret = digest_parts(EVP_sha1(), letters, round, o->master, sizeof(o->master), o->randoms,
				   sizeof(o->randoms), inner);
		if (!ret)
			ret = digest_parts(EVP_md5(), o->master, sizeof(o->master), inner, sizeof(inner), "", 0,
					   outer);
		if (!ret)
			memcpy(block + pos, outer, n);
	}
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	return ret;
}

/**
 * kssl_keys_of_session() - keys of both directions from the master secret
 * @ssl: up to TLS 1.2, at or after the first ChangeCipherSpec of the handshake
 * @suite: row of @cipher
 * @cipher: the suite being taken into use (SSL_get_pending_cipher(), because a
 *	server has no current one between ServerHello and the client's CCS)
 * @client: (out) what the client sends under, sequence number 0 and no flags
 * @server: (out) what the server sends under
 *
 * Return: 0 or -EIO.
 */
int kssl_keys_of_session(SSL *ssl, const struct kssl_suite *suite, const SSL_CIPHER *cipher,
			 struct kssl_key *client, struct kssl_key *server)
{
	const EVP_MD *md = SSL_CIPHER_get_handshake_digest(cipher);
	uint8_t block[2 * (KSSL_KEY_MAX + KSSL_IV_MAX + KSSL_MAC_KEY_MAX)];
	uint8_t *p = block;
	struct origin origin;
	size_t len;
	int ret;

	set_header(client, suite);
	set_header(server, suite);
	/* RFC 2246 5; OpenSSL's default handshake digest stands for SHA-256 in TLS 1.2. */
	if (suite->version < KSSL_TLS12)
		md = EVP_md5_sha1();
	else if (!md || EVP_MD_get_type(md) == NID_md5_sha1)
		md = EVP_sha256();
	len = 2 * (client->mac_key_len + client->key_len + client->iv_len);
	ret = get_origin(ssl, &origin);
	if (!ret)
		ret = suite->version < KSSL_TLS10 ? expand_ssl3(&origin, block, len) :
						    expand_tls(&origin, md, block, len);
	OPENSSL_cleanse(&origin, sizeof(origin));
	if (!ret) {
		memcpy(client->mac_key, p, client->mac_key_len);
		p += client->mac_key_len;
		memcpy(server->mac_key, p, server->mac_key_len);
		p += server->mac_key_len;
		memcpy(client->key, p, client->key_len);
		p += client->key_len;
		memcpy(server->key, p, server->key_len);
		p += server->key_len;
		memcpy(client->iv, p, client->iv_len);
		p += client->iv_len;
		memcpy(server->iv, p, server->iv_len);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return ret;
}

/* HKDF-Expand-Label(secret, label, "", len), RFC 8446 7.1. */
static int expand_label(const EVP_MD *md, const struct kssl_secret *secret, const char *label,
			uint8_t *out, size_t len)
{
	uint8_t info[2 + 1 + 6 + 16 + 1];
	size_t label_len = strlen(label);
	size_t n = 0;
	OSSL_PARAM params[5];

	info[n++] = len >> 8;
	info[n++] = len;
	info[n++] = 6 + label_len;
	memcpy(info + n, "tls13 ", 6);
	n += 6;
	memcpy(info + n, label, label_len);
	n += label_len;
	info[n++] = 0;

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)"EXPAND_ONLY", 0);
	params[1] = digest_param(md);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret->bytes,
						      secret->len);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, n);
	params[4] = OSSL_PARAM_construct_end();
	return run_kdf("HKDF", params, out, len);
}

/**
 * kssl_keys_of_secret() - key of one direction from a traffic secret (RFC 8446 7.3)
 * @suite: row of the suite
 * @md: hash of the suite
 * @secret: traffic secret
 * @key: (out) sequence number 0; with the secret, from which the kernel gets the next key
 *
 * Return: 0 or -EIO.
 */
int kssl_keys_of_secret(const struct kssl_suite *suite, const EVP_MD *md,
			const struct kssl_secret *secret, struct kssl_key *key)
{
	int ret;

	set_header(key, suite);
	if (!md || secret->len != EVP_MD_get_size(md))
		return -EIO;
	key->secret_len = secret->len;
	memcpy(key->secret, secret->bytes, secret->len);
	ret = expand_label(md, secret, "key", key->key, key->key_len);
	return ret ? ret : expand_label(md, secret, "iv", key->iv, key->iv_len);
}

/**
 * kssl_keys_next_secret() - the traffic secret after a KeyUpdate (RFC 8446 7.2)
 * @md: hash of the suite
 * @secret: replaced by its successor
 *
 * Return: 0 or -EIO, with @secret unchanged.
 */
int kssl_keys_next_secret(const EVP_MD *md, struct kssl_secret *secret)
{
	struct kssl_secret next = { .len = secret->len };
	int ret = expand_label(md, secret, "traffic upd", next.bytes, next.len);

	if (!ret)
		*secret = next;
	OPENSSL_cleanse(&next, sizeof(next));
	return ret;
}
