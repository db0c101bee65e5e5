// SPDX-License-Identifier: MIT
/*
 * kssld without a kernel: its configuration, who may use what, and its key process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "../../userspace/daemon/kssld.h"
#include "link.h"

static int count, failed;

static void report(const char *name, int ret)
{
	printf("%sok %d - %s\n", ret ? "not " : "", ++count, name);
	failed += !!ret;
}

/* ---- configuration ---- */

static struct settings *read_text(const char *text, char *why)
{
	char path[] = "/tmp/kssld-conf-XXXXXX";
	int fd = mkstemp(path);
	struct settings *s = NULL;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		s = settings_read(path, true, why);
	close(fd);
	unlink(path);
	return s;
}

/* Refused, with this line and these words. */
static int is_bad(const char *text, int line, const char *words_of_it)
{
	char why[KSSLD_TEXT_LEN] = "", at[16];
	struct settings *s = read_text(text, why);

	doing = text;
	snprintf(at, sizeof(at), ":%d: ", line);
	settings_put(s);
	CHECK(!s);
	if (!strstr(why, at) || !strstr(why, words_of_it))
		printf("# it says: %s\n", why);
	CHECK(strstr(why, at));
	CHECK(strstr(why, words_of_it));
	return 0;
}

static int bad_ones(void)
{
	if (is_bad("bogus = 1\n", 1, "bogus") ||
	    is_bad("workers = -1\n", 1, "workers") ||
	    is_bad("\nkeylog = \"\"\n", 2, "empty") ||
	    is_bad("profile \"a\" {\n\trole = \"both\"\n}\n", 2, "client server") ||
	    is_bad("profile \"a\" {\n\n\tmin_version = \"0.9\"\n}\n", 3, "1.2 1.3") ||
	    is_bad("profile \"a\" {\n\tclient_cert = \"req\"\n}\n", 2, "client_cert") ||
	    is_bad("profile \"a\" {\n\tallow = { \"user:nobody-has-this\" }\n}\n", 2, "nobody-has-this") ||
	    is_bad("profile \"a\" {\n\tallow = { \"root\" }\n}\n", 2, "everybody") ||
	    is_bad("profile \"a\" {\n\tallow = { \"user:-1\" }\n}\n", 2, "-1") ||
	    is_bad("profile \"a\" {\n\tstarts_max = 4294967296\n}\n", 2, "starts_max") ||
	    is_bad("profile \"a\" {\n\trecord_limit = 63\n}\n", 2, "record_limit cannot be 63") ||
	    is_bad("profile \"a\" {\n\trecord_limit = 16386\n}\n", 2, "record_limit") ||
	    is_bad("profile \"a\" {\n\tpad_to = 16385\n}\n", 2, "pad_to") ||
	    is_bad("profile \"a\" {\n\tlookahead = 1048577\n}\n", 2, "lookahead") ||
	    is_bad("profile \"a\" {\n\tmessage_max = 16777216\n}\n", 2, "message_max") ||
	    is_bad("profile \"a\" {\n\tverify = maybe\n}\n", 2, "verify"))
		return -1;
	if (is_bad("profile \"a\" {\n}\n", 2, "certificate") ||
	    is_bad("profile \"a\" {\n\tcertificate = \"x\"\n}\n", 3, "go together") ||
	    is_bad("profile \"a\" {\n\trole = \"client\"\n\tclient_cert = \"require\"\n}\n", 4, "only a server") ||
	    is_bad("profile \"a\" {\n\trole = \"client\"\n\tocsp = \"x\"\n}\n", 4, "ocsp") ||
	    is_bad("profile \"a\" {\n\trole = \"client\"\n\tmin_version = \"1.3\"\n\tmax_version = \"1.2\"\n}\n", 5,
		   "above") ||
	    is_bad("profile \"\" {\n\trole = \"client\"\n}\n", 3, "name") ||
	    is_bad("profile \"a\" {\n\trole = \"client\"\n}\nprofile \"a\" {\n", 4, "a"))
		return -1;
	return 0;
}

/* A value of its type for each word, so that none is missing from what is read. */
static int every_word(void)
{
	static const char *const values[] = { "64", "yes", "\"x\"", "{ \"x\" }" };
	unsigned int i;

	for (i = 0; i < words_count; i++) {
		const struct word *w = &words[i];
		char text[512], value[64], why[KSSLD_TEXT_LEN];
		bool inside = w->section[0];
		struct settings *s;

		snprintf(value, sizeof(value), "%s", values[w->type]);
		if (w->choices)
			snprintf(value, sizeof(value), "\"%.*s\"", (int)strcspn(w->choices, " "), w->choices);
		if (!strcmp(w->name, "allow"))
			strcpy(value, "{ \"everybody\", \"user:1\", \"group:2\" }");
		snprintf(text, sizeof(text), "%s%s%s = %s\n%s%s",
			 inside ? "profile \"p\" {\ncertificate = \"c\"\nkey = \"k\"\n" : "",
			 !strcmp(w->section, "sni") ? "sni \"n\" {\ncertificate = \"c\"\nkey = \"k\"\n" : "",
			 w->name, value,
			 !strcmp(w->section, "sni") ? "}\n" : "", inside ? "}\n" : "");
		doing = w->name;
		s = read_text(text, why);
		if (!s)
			printf("# %s", text);
		if (!s && !strcmp(w->name, "role")) {
			CHECK(strstr(why, ":"));
			continue;
		}
		if (!s)
			printf("# %s\n", why);
		CHECK(s);
		CHECK(w->meaning && w->meaning[0]);
		settings_put(s);
	}
	return 0;
}

static int what_is_read(void)
{
	char why[KSSLD_TEXT_LEN];
	struct settings *s = read_text("workers = 3\nprofile \"web\" {\ncertificate = \"c\"\nkey = \"k\"\n"
				       "client_cert = \"require\"\nalpn = { \"h2\", \"http/1.1\" }\nrekey_bytes = 5000000000\n"
				       "starts_max = 7\ninsecure_eof = yes\nrenegotiation = no\n"
				       "record_limit = 16385\npad_to = 16384\n"
				       "sni \"*.example.org\" {\ncertificate = \"d\"\nkey = \"l\"\n}\n}\n", why);
	const struct profile *p, *c;

	doing = "what is read";
	CHECK(s);
	CHECK(s->workers == 3 && s->drain == 300 && s->profiles_count == 2);
	p = settings_find(s, "web", KSSL_ROLE_SERVER);
	CHECK(p && p->client_cert == 2 && !p->renegotiation && p->verify && p->key_update);
	CHECK(!settings_find(s, "web", KSSL_ROLE_CLIENT) && !settings_find(s, "we", 0));
	CHECK(p->alpn_len == 12 && !memcmp(p->alpn, "\002h2\010http/1.1", 12));
	CHECK(p->policy.rekey_bytes == 5000000000 && p->policy.starts_max == 7);
	CHECK(p->policy.flags == KSSL_POLICY_INSECURE_EOF);
	CHECK(p->record_limit == 16385 && p->policy.pad_to == 16384);
	CHECK(p->identities_count == 2 && !strcmp(p->identities[1].server_name, "*.example.org"));
	CHECK(!p->allow.everybody && p->allow.uids_count == 1 && !p->allow.uids[0]);
	c = settings_find(s, "", KSSL_ROLE_CLIENT);
	CHECK(c && !strcmp(c->name, "client") && c->verify && c->allow.everybody && !c->trust);
	settings_put(s);
	CHECK(!settings_read("/nonexistent/kssld.conf", true, why));
	s = settings_read("/nonexistent/kssld.conf", false, why);
	CHECK(s && s->profiles_count == 1);
	settings_put(s);
	return 0;
}

static int who_may(void)
{
	struct allow allow = { 0 };
	struct request r = { .uid = 5, .gid = 6, .netns = 100 };

	doing = "who may";
	allow_set_namespace(100);
	CHECK(!allow_is(&allow, &r));
	CHECK(!allow_add(&allow, "user:5"));
	CHECK(allow_is(&allow, &r));
	r.netns = 101;
	CHECK(!allow_is(&allow, &r));
	r.netns = 100;
	CHECK(allow_is(&allow, &r));
	r.uid = 7;
	CHECK(!allow_is(&allow, &r));
	CHECK(!allow_add(&allow, "group:6"));
	CHECK(allow_is(&allow, &r));
	r.gid = 0;
	CHECK(!allow_is(&allow, &r));
	CHECK(!allow_add(&allow, "everybody"));
	CHECK(allow_is(&allow, &r));
	r.netns = 101;
	CHECK(!allow_is(&allow, &r));
	CHECK(allow_add(&allow, "somebody") == -EINVAL);
	CHECK(allow_add(&allow, "user:") == -EINVAL);
	free(allow.uids);
	free(allow.gids);
	return 0;
}

/* Whatever differs, the session is another one's. */
static int sessions_of_clients(void)
{
	struct identity id = { .number = 1 };
	struct profile p = { .name = (char *)"p", .identities = &id, .verify = true };
	struct request r = { .uid = 1, .netns = 2, .name = "name", .alpn = "\002h2", .alpn_len = 3 };
	uint8_t own[32], other[32];
	SSL_SESSION *session = SSL_SESSION_new();

	doing = "sessions of clients";
	cache_key(&r, &p, own);
	cache_put(own, session);
#define OTHER(change, back)							\
	do {									\
		change;								\
		cache_key(&r, &p, other);					\
		CHECK(memcmp(own, other, sizeof(own)) && !cache_take(other));	\
		back;								\
	} while (0)
	OTHER(r.uid = 2, r.uid = 1);
	OTHER(r.netns = 3, r.netns = 2);
	OTHER(r.name[0] = 'g', r.name[0] = 'n');
	OTHER(r.peer.sin6_port = 1, r.peer.sin6_port = 0);
	OTHER(r.alpn_len = 0, r.alpn_len = 3);
	OTHER(r.pins_count = 1, r.pins_count = 0);
	OTHER(p.verify = false, p.verify = true);
	OTHER(p.name = (char *)"q", p.name = (char *)"p");
	OTHER(id.number = 2, id.number = 1);
	cache_key(&r, &p, other);
	CHECK(cache_take(other) == session && !cache_take(other));
	SSL_SESSION_free(session);
	return 0;
}

/* ---- keys ---- */

static X509 *read_cert(const char *name)
{
	FILE *f = fopen(name, "r");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return cert;
}

static int sign_and_verify(EVP_PKEY *pkey, X509 *cert, const EVP_MD *digest)
{
	uint8_t sig[1024];
	size_t len = sizeof(sig);
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	CHECK(EVP_DigestSignInit(md, NULL, digest, NULL, pkey) == 1);
	CHECK(EVP_DigestSign(md, sig, &len, (const uint8_t *)"text", 4) == 1);
	EVP_MD_CTX_reset(md);
	CHECK(EVP_DigestVerifyInit(md, NULL, digest, NULL, X509_get0_pubkey(cert)) == 1);
	CHECK(EVP_DigestVerify(md, sig, len, (const uint8_t *)"text", 4) == 1);
	CHECK(EVP_DigestVerify(md, sig, len, (const uint8_t *)"test", 4) != 1);
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return 0;
}

static bool has_private_part(EVP_PKEY *pkey)
{
	BIGNUM *d = NULL;
	uint8_t raw[256];
	size_t len = sizeof(raw);
	bool has = EVP_PKEY_get_bn_param(pkey, "d", &d) || EVP_PKEY_get_bn_param(pkey, "priv", &d) ||
		   EVP_PKEY_get_raw_private_key(pkey, raw, &len);

	BN_clear_free(d);
	ERR_clear_error();
	return has;
}

static char *const key_files[] = {
	(char *)"build/certs/rsa.key", (char *)"build/certs/ecdsa.key", (char *)"build/certs/ed25519.key",
};

static const char *const cert_files[] = {
	"build/certs/rsa.crt", "build/certs/ecdsa.crt", "build/certs/ed25519.crt",
};

#define KEYS	(sizeof(key_files) / sizeof(key_files[0]))

static struct keys *start_keys(void)
{
	char why[KSSLD_TEXT_LEN];
	struct keys *keys = keys_start(key_files, KEYS, 2, why);

	if (!keys)
		printf("# %s\n", why);
	CHECK(keys);
	return keys;
}

static int each_key(void)
{
	char *const missing[] = { (char *)"build/certs/none.key" }, *const no_key[] = { (char *)"build/certs/ca.crt" };
	const uint32_t sha256 = KEYS_ARG(NID_sha256, RSA_PKCS1_PADDING);
	uint8_t digest[32] = "digest", out[1024];
	char why[KSSLD_TEXT_LEN];
	struct keys *keys = start_keys();
	unsigned int i;

	for (i = 0; i < KEYS; i++) {
		X509 *cert = read_cert(cert_files[i]);
		EVP_PKEY *pkey;

		doing = key_files[i];
		keys_set_worker(i);
		pkey = keys_private(keys, i, cert, why);
		CHECK(pkey && !sign_and_verify(pkey, cert, i < 2 ? EVP_sha256() : NULL) && !has_private_part(pkey));
		CHECK(EVP_PKEY_eq(pkey, X509_get0_pubkey(cert)) == 1 && EVP_PKEY_eq(X509_get0_pubkey(cert), pkey) == 1);
		CHECK(!i2d_PrivateKey(pkey, NULL) || i2d_PrivateKey(pkey, NULL) < 0);
		EVP_PKEY_free(pkey);
		X509_free(cert);
	}
	ERR_clear_error();
	doing = "what the key process refuses";
	keys_set_worker(0);
	CHECK(keys_call(keys, 1, KEYS_SIGN, sha256, digest, sizeof(digest), out, sizeof(out)) > 0);
	CHECK(keys_call(keys, KEYS, KEYS_SIGN, sha256, digest, sizeof(digest), out, sizeof(out)) == -ENOENT);
	CHECK(keys_call(keys, UINT32_MAX, KEYS_SIGN, sha256, digest, sizeof(digest), out, sizeof(out)) == -ENOENT);
	CHECK(keys_call(keys, 1, KEYS_PREMASTER, 0, digest, sizeof(digest), out, sizeof(out)) == -EINVAL);
	CHECK(keys_call(keys, 1, 99, 0, digest, sizeof(digest), out, sizeof(out)) == -EINVAL);
	CHECK(keys_call(keys, 0, KEYS_SIGN, KEYS_ARG(NID_sha256, RSA_NO_PADDING), digest, sizeof(digest), out,
			sizeof(out)) == -EBADMSG);
	CHECK(keys_call(keys, 0, KEYS_SIGN, KEYS_ARG(0, RSA_PKCS1_PADDING), digest, sizeof(digest), out,
			sizeof(out)) == -EBADMSG);
	CHECK(keys_call(keys, 0, KEYS_SIGN, sha256, digest, sizeof(digest) - 1, out, sizeof(out)) == -EBADMSG);
	CHECK(keys_call(keys, 1, KEYS_SIGN, sha256, digest, sizeof(digest), out, 4) < 0);
	CHECK(keys_call(keys, 1, KEYS_SIGN, sha256, digest, sizeof(digest), out, sizeof(out)) > 0);
	keys_stop(keys);
	CHECK(!keys_start(missing, 1, 1, why) && why[0]);
	CHECK(!keys_start(no_key, 1, 1, why) && strstr(why, "no private key"));
	return 0;
}

/* ---- premaster secrets ---- */

#define BLOCK		256
#define SECRET_LEN	SSL_MAX_MASTER_KEY_LENGTH

/* As libssl does it. */
static int decrypt(EVP_PKEY *pkey, int padding, const uint8_t *in, size_t len, uint8_t *out)
{
	unsigned int version = TLS1_2_VERSION;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	size_t out_len = SECRET_LEN;
	int ok;

	CHECK(ctx && EVP_PKEY_decrypt_init(ctx) == 1);
	CHECK(EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1 && EVP_PKEY_CTX_set_params(ctx, params) == 1);
	ok = EVP_PKEY_decrypt(ctx, out, &out_len, in, len) == 1 && out_len == SECRET_LEN;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static void encrypt(EVP_PKEY *public, int padding, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(public, NULL);
	size_t out_len = BLOCK;

	CHECK(ctx && EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1);
	CHECK(EVP_PKEY_encrypt(ctx, out, &out_len, in, len) == 1 && out_len == BLOCK);
	EVP_PKEY_CTX_free(ctx);
}

/* 00 02, padding, 00, version, 46 octets (RFC 8017 7.2.1, RFC 5246 7.4.7.1). */
static void fill_block(uint8_t *block)
{
	memset(block, 0x5a, BLOCK);
	block[0] = 0;
	block[1] = 2;
	block[BLOCK - SECRET_LEN - 1] = 0;
	block[BLOCK - SECRET_LEN] = TLS1_2_VERSION_MAJOR;
	block[BLOCK - SECRET_LEN + 1] = TLS1_2_VERSION_MINOR;
}

/* Whatever is wrong with what is encrypted, there are 48 octets, others each time, and no error. */
static int premasters(void)
{
	static const struct {
		const char *what;
		int at;
		uint8_t value;
	} wrong[] = {
		{ "first octet", 0, 1 }, { "block type", 1, 1 }, { "short padding", 5, 0 },
		{ "no end of padding", BLOCK - SECRET_LEN - 1, 1 }, { "shorter secret", BLOCK - SECRET_LEN, 0 },
		{ "longer secret", BLOCK - SECRET_LEN - 2, 0 }, { "major version", BLOCK - SECRET_LEN, 2 },
		{ "minor version", BLOCK - SECRET_LEN + 1, 2 },
	};
	uint8_t block[BLOCK], in[BLOCK + 1] = { 0 }, out[SECRET_LEN], again[SECRET_LEN];
	char why[KSSLD_TEXT_LEN];
	struct keys *keys = start_keys();
	X509 *cert = read_cert(cert_files[0]);
	EVP_PKEY *pkey = keys_private(keys, 0, cert, why), *public = X509_get0_pubkey(cert);
	unsigned int i;

	doing = "good secret";
	fill_block(block);
	encrypt(public, RSA_NO_PADDING, block, BLOCK, in);
	CHECK(decrypt(pkey, RSA_PKCS1_WITH_TLS_PADDING, in, BLOCK, out));
	CHECK(!memcmp(out, block + BLOCK - SECRET_LEN, SECRET_LEN));
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		doing = wrong[i].what;
		fill_block(block);
		block[wrong[i].at] = wrong[i].value;
		encrypt(public, RSA_NO_PADDING, block, BLOCK, in);
		CHECK(decrypt(pkey, RSA_PKCS1_WITH_TLS_PADDING, in, BLOCK, out) && !ERR_peek_error());
		CHECK(decrypt(pkey, RSA_PKCS1_WITH_TLS_PADDING, in, BLOCK, again) && !ERR_peek_error());
		CHECK(memcmp(out, block + BLOCK - SECRET_LEN, SECRET_LEN) && memcmp(out, again, SECRET_LEN));
	}
	doing = "nothing but premaster secrets is decrypted";
	CHECK(!decrypt(pkey, RSA_PKCS1_PADDING, in, BLOCK, out) && !decrypt(pkey, RSA_NO_PADDING, in, BLOCK, out));
	doing = "what is no number of this key";
	CHECK(!decrypt(pkey, RSA_PKCS1_WITH_TLS_PADDING, in, BLOCK + 1, out));
	memset(in, 0xff, sizeof(in));
	CHECK(!decrypt(pkey, RSA_PKCS1_WITH_TLS_PADDING, in, BLOCK, out));
	ERR_clear_error();
	EVP_PKEY_free(pkey);
	X509_free(cert);
	keys_stop(keys);
	return 0;
}

/* ---- handshakes ---- */

static SSL_CTX *server_ctx(struct keys *keys, int i)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	char why[KSSLD_TEXT_LEN];
	EVP_PKEY *pkey;

	CHECK(SSL_CTX_use_certificate_chain_file(ctx, cert_files[i]) == 1);
	pkey = keys_private(keys, i, SSL_CTX_get0_certificate(ctx), why);
	CHECK(pkey && SSL_CTX_use_PrivateKey(ctx, pkey) == 1);
	EVP_PKEY_free(pkey);
	return ctx;
}

/**
 * struct ends - a server and a client that have memory between them
 * @server: the one whose key is elsewhere
 * @client: the other one
 * @to_server: what the client wrote
 * @to_client: what the server wrote
 */
struct ends {
	SSL *server;
	SSL *client;
	BIO *to_server;
	BIO *to_client;
};

/* The version is the newest that the client has; its suites, if they are not to be the default. */
static void make_ends(struct ends *e, SSL_CTX *ctx, int version, const char *suites)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());

	e->server = SSL_new(ctx);
	e->client = SSL_new(client_ctx);
	e->to_server = BIO_new(BIO_s_mem());
	e->to_client = BIO_new(BIO_s_mem());
	SSL_CTX_load_verify_file(client_ctx, "build/certs/ca.crt");
	SSL_set_verify(e->client, SSL_VERIFY_PEER, NULL);
	CHECK(SSL_set_min_proto_version(e->client, version) && SSL_set_max_proto_version(e->client, version));
	CHECK(!suites || SSL_set_cipher_list(e->client, suites));
	BIO_up_ref(e->to_server);
	BIO_up_ref(e->to_client);
	SSL_set_bio(e->server, e->to_server, e->to_client);
	SSL_set_bio(e->client, e->to_client, e->to_server);
	SSL_set_accept_state(e->server);
	SSL_set_connect_state(e->client);
	SSL_CTX_free(client_ctx);
}

static void drop_ends(struct ends *e)
{
	SSL_free(e->server);
	SSL_free(e->client);
}

static void shake_hands(SSL_CTX *ctx, int version, const char *suite)
{
	struct ends e;
	int i;

	doing = suite ? suite : "TLS 1.3";
	make_ends(&e, ctx, version, suite);
	for (i = 0; i < 10; i++) {
		SSL_do_handshake(e.client);
		SSL_do_handshake(e.server);
	}
	if (!SSL_is_init_finished(e.client) || !SSL_is_init_finished(e.server))
		ERR_print_errors_fp(stdout);
	CHECK(SSL_is_init_finished(e.client) && SSL_is_init_finished(e.server));
	CHECK(SSL_get_verify_result(e.client) == X509_V_OK && SSL_version(e.client) == version);
	CHECK(!suite || !strncmp(SSL_get_cipher_name(e.client), suite, strlen(SSL_get_cipher_name(e.client))));
	drop_ends(&e);
}

static int handshakes(void)
{
	static const char *const suites[] = {
		"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
	};
	struct keys *keys = start_keys();
	unsigned int i;

	for (i = 0; i < KEYS; i++) {
		SSL_CTX *ctx = server_ctx(keys, i);

		shake_hands(ctx, TLS1_3_VERSION, NULL);
		shake_hands(ctx, TLS1_2_VERSION, suites[i]);
		if (!i) {
			shake_hands(ctx, TLS1_2_VERSION, "AES128-GCM-SHA256");
			shake_hands(ctx, TLS1_2_VERSION, "AES256-SHA");
		}
		SSL_CTX_free(ctx);
	}
	keys_stop(keys);
	return 0;
}

/* They sign MD5 with SHA-1, and SHA-1 (RFC 4346 7.4.3, RFC 4492 5.4). */
static int old_handshakes(void)
{
	struct keys *keys = start_keys();
	int i;

	for (i = 0; i < 2; i++) {
		SSL_CTX *ctx = server_ctx(keys, i);

		CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION));
		CHECK(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"));
		shake_hands(ctx, TLS1_VERSION, i ? "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0" :
			    "ECDHE-RSA-AES128-SHA:@SECLEVEL=0");
		if (!i)
			shake_hands(ctx, TLS1_1_VERSION, "AES128-SHA:@SECLEVEL=0");
		SSL_CTX_free(ctx);
	}
	keys_stop(keys);
	return 0;
}

#define ALERT_LEN	7

/* The server's alert to a ClientKeyExchange with this in place of what the client encrypted. */
static unsigned long answer_to(SSL_CTX *ctx, const uint8_t *encrypted, uint8_t *alert)
{
	uint8_t flight[2048];
	unsigned long error;
	struct ends e;
	int len;

	make_ends(&e, ctx, TLS1_2_VERSION, "AES128-GCM-SHA256");
	SSL_do_handshake(e.client);
	SSL_do_handshake(e.server);
	SSL_do_handshake(e.client);
	len = BIO_read(e.to_server, flight, sizeof(flight));
	/* Record, message, and the length of what is encrypted (RFC 5246 7.4.7.1). */
	CHECK(len > 11 + BLOCK && flight[0] == SSL3_RT_HANDSHAKE && flight[5] == SSL3_MT_CLIENT_KEY_EXCHANGE);
	if (encrypted)
		memcpy(flight + 11, encrypted, BLOCK);
	else
		flight[11 + BLOCK - 1] ^= 1;
	BIO_write(e.to_server, flight, len);
	ERR_clear_error();
	CHECK(SSL_do_handshake(e.server) <= 0 && !SSL_is_init_finished(e.server));
	error = ERR_peek_last_error();
	ERR_clear_error();
	CHECK(BIO_read(e.to_client, flight, sizeof(flight)) == ALERT_LEN && flight[0] == SSL3_RT_ALERT);
	memcpy(alert, flight, ALERT_LEN);
	drop_ends(&e);
	return error;
}

/* Of who does not know the secret, the server says the same, however it was padded. */
static int no_oracle(void)
{
	uint8_t block[BLOCK], in[BLOCK], alert[ALERT_LEN], other[ALERT_LEN];
	struct keys *keys = start_keys();
	SSL_CTX *ctx = server_ctx(keys, 0);
	EVP_PKEY *public = X509_get0_pubkey(SSL_CTX_get0_certificate(ctx));
	unsigned long error;
	unsigned int i;

	doing = "answers to premaster secrets";
	fill_block(block);
	encrypt(public, RSA_NO_PADDING, block, BLOCK, in);
	error = answer_to(ctx, in, alert);
	CHECK(alert[6] == SSL_AD_BAD_RECORD_MAC && error);
	CHECK(answer_to(ctx, NULL, other) == error && !memcmp(alert, other, sizeof(alert)));
	for (i = 0; i < 3; i++) {
		static const int at[] = { 1, BLOCK - SECRET_LEN - 1, BLOCK - SECRET_LEN + 1 };

		fill_block(block);
		block[at[i]] ^= 1;
		encrypt(public, RSA_NO_PADDING, block, BLOCK, in);
		CHECK(answer_to(ctx, in, other) == error && !memcmp(alert, other, sizeof(alert)));
	}
	SSL_CTX_free(ctx);
	keys_stop(keys);
	return 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..10\n");
	keys_program = "build/userspace/kssld";
	report("every word of the configuration", every_word());
	report("what a configuration leads to", what_is_read());
	report("bad configurations, with their line", bad_ones());
	report("who may use a profile", who_may());
	report("sessions of clients", sessions_of_clients());
	report("keys by their number, and no other", each_key());
	report("premaster secrets, and nothing else", premasters());
	report("handshakes with keys of another process", handshakes());
	report("the same in TLS 1.0 and 1.1", old_handshakes());
	report("no oracle for premaster secrets", no_oracle());
	return failed ? 1 : 0;
}
