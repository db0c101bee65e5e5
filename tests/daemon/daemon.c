// SPDX-License-Identifier: MIT
/*
 * kssld without a kernel: its configuration, who may use what, and its key process.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "../../userspace/daemon/kssld.h"

static int count, failed;
static const char *doing;

#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, doing, #cond); \
			exit(1);						\
		}								\
	} while (0)

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
	    is_bad("profile \"a\" {\n\n\tmin_version = \"1.1\"\n}\n", 3, "1.2 1.3") ||
	    is_bad("profile \"a\" {\n\tclient_cert = \"req\"\n}\n", 2, "client_cert") ||
	    is_bad("profile \"a\" {\n\tallow = { \"user:nobody-has-this\" }\n}\n", 2, "nobody-has-this") ||
	    is_bad("profile \"a\" {\n\tallow = { \"root\" }\n}\n", 2, "everybody") ||
	    is_bad("profile \"a\" {\n\tallow = { \"user:-1\" }\n}\n", 2, "-1") ||
	    is_bad("profile \"a\" {\n\tstarts_max = 4294967296\n}\n", 2, "starts_max") ||
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
	static const char *const values[] = { "1", "yes", "\"x\"", "{ \"x\" }" };
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
	allow.any_netns = true;
	CHECK(allow_is(&allow, &r));
	r.uid = 7;
	CHECK(!allow_is(&allow, &r));
	CHECK(!allow_add(&allow, "group:6"));
	CHECK(allow_is(&allow, &r));
	r.gid = 0;
	CHECK(!allow_is(&allow, &r));
	CHECK(!allow_add(&allow, "everybody"));
	CHECK(allow_is(&allow, &r));
	allow.any_netns = false;
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

static int sign_and_verify(EVP_PKEY *pkey, X509 *cert)
{
	uint8_t sig[1024];
	size_t len = sizeof(sig);
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	CHECK(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey) == 1);
	CHECK(EVP_DigestSign(md, sig, &len, (const uint8_t *)"text", 4) == 1);
	EVP_MD_CTX_reset(md);
	CHECK(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1);
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

static int two_keys(void)
{
	char *const uris[] = { (char *)"build/certs/rsa.key", (char *)"build/certs/ecdsa.key" };
	char *const missing[] = { (char *)"build/certs/none.key" }, *const no_key[] = { (char *)"build/certs/ca.crt" };
	X509 *rsa = read_cert("build/certs/rsa.crt"), *ec = read_cert("build/certs/ecdsa.crt");
	char why[KSSLD_TEXT_LEN];
	uint8_t digest[32] = "digest", out[1024];
	struct keys *keys;
	EVP_PKEY *pkey;

	doing = "keys";
	keys = keys_start(uris, 2, 2, why);
	if (!keys)
		printf("# %s\n", why);
	CHECK(keys && rsa && ec);
	keys_set_worker(1);
	pkey = keys_private(keys, 0, rsa, why);
	CHECK(pkey && !sign_and_verify(pkey, rsa) && !has_private_part(pkey));
	EVP_PKEY_free(pkey);
	keys_set_worker(2);
	pkey = keys_private(keys, 1, ec, why);
	CHECK(pkey && !sign_and_verify(pkey, ec));
	CHECK(!has_private_part(pkey));
	EVP_PKEY_free(pkey);
	keys_set_worker(0);
	CHECK(keys_call(keys, 1, KEYS_SIGN, KEYS_ARG(NID_sha256, 0), digest, sizeof(digest), out, sizeof(out)) > 0);
	CHECK(keys_call(keys, 2, KEYS_SIGN, KEYS_ARG(NID_sha256, 0), digest, sizeof(digest), out, sizeof(out)) == -ENOENT);
	CHECK(keys_call(keys, UINT32_MAX, KEYS_SIGN, KEYS_ARG(NID_sha256, 0), digest, sizeof(digest), out, sizeof(out)) == -ENOENT);
	CHECK(keys_call(keys, 1, KEYS_PREMASTER, 0, digest, sizeof(digest), out, sizeof(out)) == -EINVAL);
	CHECK(keys_call(keys, 1, 99, 0, digest, sizeof(digest), out, sizeof(out)) == -EINVAL);
	CHECK(keys_call(keys, 0, KEYS_SIGN, KEYS_ARG(NID_sha256, 77), digest, sizeof(digest), out, sizeof(out)) == -EBADMSG);
	CHECK(keys_call(keys, 1, KEYS_SIGN, KEYS_ARG(NID_sha256, 0), digest, sizeof(digest), out, 4) < 0);
	CHECK(keys_call(keys, 1, KEYS_SIGN, KEYS_ARG(NID_sha256, 0), digest, sizeof(digest), out, sizeof(out)) > 0);
	keys_stop(keys);
	CHECK(!keys_start(missing, 1, 1, why) && why[0]);
	CHECK(!keys_start(no_key, 1, 1, why) && strstr(why, "no private key"));
	X509_free(rsa);
	X509_free(ec);
	return 0;
}

/* Whole handshakes with contexts whose keys are elsewhere, over memory. */
static int shake_hands(SSL_CTX *ctx, const char *suite12)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *server = SSL_new(ctx), *client = SSL_new(client_ctx);
	BIO *a = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());
	int i;

	SSL_CTX_load_verify_file(client_ctx, "build/certs/ca.crt");
	SSL_set_verify(client, SSL_VERIFY_PEER, NULL);
	if (suite12)
		CHECK(SSL_set_max_proto_version(client, TLS1_2_VERSION) && SSL_set_cipher_list(client, suite12));
	BIO_up_ref(a);
	BIO_up_ref(b);
	SSL_set_bio(server, a, b);
	SSL_set_bio(client, b, a);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	if (!SSL_is_init_finished(client) || !SSL_is_init_finished(server))
		ERR_print_errors_fp(stdout);
	doing = suite12 ? suite12 : "TLS 1.3";
	CHECK(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	CHECK(SSL_get_verify_result(client) == X509_V_OK);
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(client_ctx);
	return 0;
}

static int handshakes(void)
{
	char *const uris[] = { (char *)"build/certs/rsa.key", (char *)"build/certs/ecdsa.key" };
	static const char *const files[] = { "build/certs/rsa.crt", "build/certs/ecdsa.crt" };
	static const char *const suites[] = { "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256" };
	char why[KSSLD_TEXT_LEN];
	struct keys *keys = keys_start(uris, 2, 1, why);
	int i;

	doing = "handshakes";
	CHECK(keys);
	for (i = 0; i < 2; i++) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
		EVP_PKEY *pkey;

		CHECK(SSL_CTX_use_certificate_chain_file(ctx, files[i]) == 1);
		pkey = keys_private(keys, i, SSL_CTX_get0_certificate(ctx), why);
		CHECK(pkey && SSL_CTX_use_PrivateKey(ctx, pkey) == 1);
		EVP_PKEY_free(pkey);
		if (shake_hands(ctx, NULL) || shake_hands(ctx, suites[i]))
			return -1;
		SSL_CTX_free(ctx);
	}
	keys_stop(keys);
	return 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..7\n");
	keys_program = "build/userspace/kssld";
	report("every word of the configuration", every_word());
	report("what a configuration leads to", what_is_read());
	report("bad configurations, with their line", bad_ones());
	report("who may use a profile", who_may());
	report("sessions of clients", sessions_of_clients());
	report("keys by their number, and no other", two_keys());
	report("handshakes with keys of another process", handshakes());
	return failed ? 1 : 0;
}
