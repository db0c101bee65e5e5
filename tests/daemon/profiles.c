// SPDX-License-Identifier: MIT
/*
 * kssld's profiles, from the text of a configuration to the peer's end of a handshake:
 * who is shown which certificate, who is believed, and what is agreed on.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "scene.h"

#define DAY	86400

/* ---- server names ---- */

static bool is_cert(X509 *cert, const char *name)
{
	char path[64];
	FILE *f;
	X509 *want;
	bool same;

	snprintf(path, sizeof(path), "build/certs/%s.crt", name);
	f = fopen(path, "r");
	want = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	CHECK(cert && want);
	same = !X509_cmp(cert, want);
	fclose(f);
	X509_free(want);
	return same;
}

static void server_names(void)
{
	static const struct {
		const char *name;
		const char *cert;
	} names[] = {
		{ "other.example", "other" }, { "OTHER.example", "other" }, { "a.other.example", "ecdsa" },
		{ "exact.other.example", "other" }, { "a.b.other.example", "rsa" }, { ".other.example", "rsa" },
		{ "other.example.", "rsa" }, { "another.example", "rsa" }, { "localhost", "rsa" }, { NULL, "rsa" },
	};
	struct settings *s = scene_profile(RSA_SERVER "sni \"other.example\" {\n" SERVER("other") "}\n"
					  "sni \"*.other.example\" {\n" SERVER("ecdsa") "}\n"
					  "sni \"exact.other.example\" {\n" SERVER("other") "}\n");
	struct request r = scene_request(s);
	unsigned int i;

	FOR_VERSIONS(version) {
		SSL_CTX *ctx = scene_peer_ctx(s, version, NULL);

		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			SSL *peer = scene_new_peer(ctx, false);
			struct end e;

			doing = names[i].name ? names[i].name : "no name";
			if (names[i].name)
				SSL_set_tlsext_host_name(peer, names[i].name);
			scene_shake_hands(&e, s, &r, peer);
			CHECK(scene_is_up(&e) && is_cert(SSL_get0_peer_certificate(peer), names[i].cert));
			CHECK(!strcmp(e.l.session.name, names[i].name ? names[i].name : ""));
			scene_drop(&e);
		}
		SSL_CTX_free(ctx);
	}
	settings_put(s);
}

/* ---- OCSP ---- */

/* Return: bytes of what was stapled. */
static long stapled(struct settings *s, int version, bool ask, const unsigned char **der)
{
	SSL_CTX *ctx = scene_peer_ctx(s, version, NULL);
	SSL *peer = scene_new_peer(ctx, false);
	static unsigned char copy[8192];
	struct request r = scene_request(s);
	const unsigned char *response;
	struct end e;
	long len;

	if (ask)
		SSL_set_tlsext_status_type(peer, TLSEXT_STATUSTYPE_ocsp);
	scene_shake_hands(&e, s, &r, peer);
	CHECK(scene_is_up(&e));
	len = SSL_get_tlsext_status_ocsp_resp(peer, &response);
	if (len > 0) {
		CHECK(len <= (long)sizeof(copy));
		memcpy(copy, response, len);
		*der = copy;
	}
	scene_drop(&e);
	SSL_CTX_free(ctx);
	return len;
}

static void ocsp(void)
{
	struct settings *s = scene_profile(RSA_SERVER "ocsp = \"build/certs/rsa.ocsp\"\n");
	FILE *f = fopen("build/certs/rsa.ocsp", "r");
	unsigned char file[8192];
	const unsigned char *der;
	long len;

	doing = "OCSP";
	CHECK(f);
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	FOR_VERSIONS(version) {
		CHECK(stapled(s, version, false, &der) <= 0);
		CHECK(stapled(s, version, true, &der) == len && !memcmp(der, file, len));
		scene_ahead = 1001 * DAY;
		CHECK(stapled(s, version, true, &der) <= 0);
		scene_ahead = 0;
	}
	settings_put(s);
	doing = "an OCSP response that is out of date already";
	scene_ahead = 1001 * DAY;
	s = scene_profile(RSA_SERVER "ocsp = \"build/certs/rsa.ocsp\"\n");
	CHECK(stapled(s, TLS1_3_VERSION, true, &der) <= 0);
	scene_ahead = 0;
	settings_put(s);
	doing = "bad OCSP responses";
	scene_refused(RSA_SERVER "ocsp = \"build/certs/none\"\n", "No such file");
	scene_refused(RSA_SERVER "ocsp = \"build/certs/rsa.crt\"\n", "OCSP");
	scene_refused(SERVER("ecdsa") "ocsp = \"build/certs/rsa.ocsp\"\n", "OCSP");
}

/* ---- revocation ---- */

static void revocation(void)
{
	struct settings *s = scene_profile(RSA_SERVER TRUST "client_cert = \"require\"\ncrl = \"build/certs/crl.pem\"\n");
	struct request r = scene_request(s);

	doing = "revoked client";
	FOR_VERSIONS(version) {
		SSL_CTX *good = scene_peer_ctx(s, version, "client"), *revoked = scene_peer_ctx(s, version, "revoked");
		struct kssl_error error;

		CHECK(scene_tries(s, &r, good));
		error = scene_fails(s, &r, revoked);
		CHECK(error.err == EKEYREJECTED && error.x509 == X509_V_ERR_CERT_REVOKED);
		SSL_CTX_free(good);
		SSL_CTX_free(revoked);
	}
	settings_put(s);
	doing = "revoked server";
	s = scene_profile(CLIENT "crl = \"build/certs/crl.pem\"\n");
	r = scene_request(s);
	FOR_VERSIONS(version) {
		SSL_CTX *good = scene_peer_ctx(s, version, "rsa"), *revoked = scene_peer_ctx(s, version, "revoked");

		CHECK(scene_tries(s, &r, good));
		CHECK(scene_fails(s, &r, revoked).x509 == X509_V_ERR_CERT_REVOKED);
		SSL_CTX_free(good);
		SSL_CTX_free(revoked);
	}
	settings_put(s);
	doing = "no list";
	scene_refused(RSA_SERVER "crl = \"build/certs/none\"\n", "crl");
	scene_refused(CLIENT "crl = \"build/certs/rsa.key\"\n", "crl");
	scene_refused("role = \"client\"\ntrust = \"build/certs/none\"\n", "trust");
}

/* ---- policies ---- */

/* Whether a server of that profile agrees with a client of that version and those ciphers, and on which. */
static bool agrees(const char *words, int version, const char *ciphers, const char *on)
{
	char text[1024];
	struct settings *s;
	struct request r;
	struct end e;
	SSL_CTX *ctx;
	bool agreed;

	snprintf(text, sizeof(text), RSA_SERVER "%s", words);
	doing = words;
	s = scene_profile(text);
	r = scene_request(s);
	ctx = scene_peer_ctx(s, version, NULL);
	if (version == TLS1_3_VERSION)
		CHECK(SSL_CTX_set_ciphersuites(ctx, ciphers));
	else
		CHECK(SSL_CTX_set_cipher_list(ctx, ciphers));
	scene_shake_hands(&e, s, &r, scene_new_peer(ctx, false));
	agreed = scene_is_up(&e);
	if (agreed && strcmp(SSL_get_cipher_name(e.l.ssl), on))
		printf("# agreed on %s\n", SSL_get_cipher_name(e.l.ssl));
	CHECK(!agreed || !strcmp(SSL_get_cipher_name(e.l.ssl), on));
	CHECK(agreed || e.l.error.err == EPROTO);
	scene_drop(&e);
	SSL_CTX_free(ctx);
	settings_put(s);
	return agreed;
}

static void versions_and_ciphers(void)
{
	static const char both12[] = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
	static const char both13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

	CHECK(agrees("", TLS1_2_VERSION, both12, "ECDHE-RSA-AES256-GCM-SHA384"));
	CHECK(agrees("", TLS1_3_VERSION, both13, "TLS_AES_256_GCM_SHA384"));
	CHECK(!agrees("min_version = \"1.3\"\n", TLS1_2_VERSION, both12, ""));
	CHECK(!agrees("max_version = \"1.2\"\n", TLS1_3_VERSION, both13, ""));
	CHECK(agrees("max_version = \"1.2\"\n", TLS1_2_VERSION, both12, "ECDHE-RSA-AES256-GCM-SHA384"));
	CHECK(agrees("ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\"\n", TLS1_2_VERSION, both12,
		     "ECDHE-RSA-AES128-GCM-SHA256"));
	CHECK(!agrees("ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\"\n", TLS1_2_VERSION,
		      "ECDHE-RSA-AES256-GCM-SHA384", ""));
	CHECK(agrees("ciphersuites = \"TLS_AES_128_GCM_SHA256\"\n", TLS1_3_VERSION, both13, "TLS_AES_128_GCM_SHA256"));
	CHECK(!agrees("ciphersuites = \"TLS_AES_128_GCM_SHA256\"\n", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", ""));
	/* A key exchange by RSA is for who asks for it. */
	CHECK(!agrees("", TLS1_2_VERSION, "AES128-GCM-SHA256", ""));
	CHECK(agrees("ciphers = \"AES128-GCM-SHA256\"\n", TLS1_2_VERSION, "AES128-GCM-SHA256", "AES128-GCM-SHA256"));
	CHECK(agrees("ciphers = \"DEFAULT\"\n", TLS1_2_VERSION, "AES128-GCM-SHA256", "AES128-GCM-SHA256"));
	scene_refused(RSA_SERVER "ciphers = \"nonsense\"\n", "ciphers");
	scene_refused(RSA_SERVER "ciphersuites = \"nonsense\"\n", "ciphersuites");
}

/*
 * With E2E_LEGACY set the OpenSSL is one that has SSL 3.0, 3DES and RC4, see tests/vm/legacy-openssl; Debian's has not,
 * and who names them is told so.
 */
static void what_is_old(void)
{
	static const char weak[] = "RC4-SHA:DES-CBC3-SHA:@SECLEVEL=0";

#define RC4	"ciphers = \"RC4-SHA:@SECLEVEL=0\"\n"
#define DES3	"ciphers = \"DES-CBC3-SHA:@SECLEVEL=0\"\n"
#define SSL3	"min_version = \"ssl3\"\n"
	if (!getenv("E2E_LEGACY")) {
		scene_refused(RSA_SERVER SSL3 "ciphers = \"AES128-SHA:@SECLEVEL=0\"\n",
			      "min_version: this OpenSSL has no SSL 3.0");
		scene_refused(RSA_SERVER RC4, "ciphers RC4-SHA:@SECLEVEL=0: no cipher match");
		scene_refused(RSA_SERVER DES3, "ciphers DES-CBC3-SHA:@SECLEVEL=0: no cipher match");
		return;
	}
	CHECK(agrees(SSL3 RC4, SSL3_VERSION, weak, "RC4-SHA"));
	CHECK(agrees(SSL3 "max_version = \"ssl3\"\n" RC4, SSL3_VERSION, weak, "RC4-SHA"));
	CHECK(agrees("min_version = \"1.0\"\n" DES3, TLS1_VERSION, weak, "DES-CBC3-SHA"));
	CHECK(agrees(RC4, TLS1_2_VERSION, weak, "RC4-SHA"));
	/* Nothing of it for who does not name it. */
	CHECK(!agrees(RC4, SSL3_VERSION, weak, ""));
	CHECK(!agrees("min_version = \"1.0\"\n" RC4, SSL3_VERSION, weak, ""));
	CHECK(!agrees("ciphers = \"DEFAULT:@SECLEVEL=0\"\n", TLS1_2_VERSION, weak, ""));
	scene_refused(RSA_SERVER SSL3,
		      "min_version: this OpenSSL has no SSL 3.0, or none of its suites at this security level");
#undef RC4
#undef DES3
#undef SSL3
}

/* Of the profile, and of who asks; with which certificate; whether that is good. */
static void client_certificates(void)
{
	static const struct {
		const char *policy;
		int asked;
		const char *cert;
		bool good;
		bool shown;
	} rows[] = {
		{ "no", 0, NULL, true, false }, { "no", 0, "client", true, false },
		{ "request", 0, NULL, true, false }, { "request", 0, "client", true, true },
		{ "require", 0, NULL, false, false }, { "require", 0, "client", true, true },
		/* A server's certificate is not for clients. */
		{ "request", 0, "rsa", false, true }, { "require", 0, "rsa", false, true },
		{ "no", KSSL_CLIENT_CERT_REQUEST, "client", true, true },
		{ "no", KSSL_CLIENT_CERT_REQUEST, NULL, true, false },
		{ "no", KSSL_CLIENT_CERT_REQUIRE, NULL, false, false },
		{ "require", KSSL_CLIENT_CERT_REQUEST, NULL, false, false },
	};
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct settings *s;

		snprintf(text, sizeof(text), RSA_SERVER TRUST "client_cert = \"%s\"\n", rows[i].policy);
		doing = rows[i].policy;
		s = scene_profile(text);
		FOR_VERSIONS(version) {
			SSL_CTX *ctx = scene_peer_ctx(s, version, rows[i].cert);
			struct request r = scene_request(s);
			struct end e;

			r.client_cert = rows[i].asked;
			scene_shake_hands(&e, s, &r, scene_new_peer(ctx, false));
			CHECK(e.l.done == rows[i].good);
			CHECK(e.l.done ? !e.l.chain_len == !rows[i].shown : e.l.error.err != 0);
			scene_drop(&e);
			SSL_CTX_free(ctx);
		}
		settings_put(s);
	}
}

static void pin_of(SSL_CTX *ctx, uint8_t *pin)
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(SSL_CTX_get0_certificate(ctx)), &der);

	CHECK(len > 0);
	SHA256(der, len, pin);
	OPENSSL_free(der);
}

static void pins(void)
{
	struct settings *server = scene_profile(RSA_SERVER TRUST), *client = scene_profile(CLIENT);
	struct settings *no_verify = scene_profile("role = \"client\"\nverify = no\n");

	doing = "pins";
	FOR_VERSIONS(version) {
		SSL_CTX *good = scene_peer_ctx(server, version, "client"), *bad = scene_peer_ctx(server, version, "revoked");
		SSL_CTX *none = scene_peer_ctx(server, version, NULL), *rsa = scene_peer_ctx(client, version, "rsa");
		SSL_CTX *ecdsa = scene_peer_ctx(client, version, "ecdsa");
		struct request r = scene_request(server);

		/* At a server they are of the client's key, and demand one. */
		r.pins_count = 2;
		pin_of(good, r.pins[1]);
		CHECK(scene_tries(server, &r, good));
		CHECK(scene_fails(server, &r, bad).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		CHECK(scene_fails(server, &r, none).err);
		r = scene_request(client);
		r.pins_count = 1;
		pin_of(rsa, r.pins[0]);
		CHECK(scene_tries(client, &r, rsa));
		CHECK(scene_fails(client, &r, ecdsa).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		r = scene_request(no_verify);
		CHECK(scene_tries(no_verify, &r, ecdsa));
		r.pins_count = 1;
		pin_of(rsa, r.pins[0]);
		CHECK(scene_tries(no_verify, &r, rsa));
		CHECK(scene_fails(no_verify, &r, ecdsa).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		SSL_CTX_free(good);
		SSL_CTX_free(bad);
		SSL_CTX_free(none);
		SSL_CTX_free(rsa);
		SSL_CTX_free(ecdsa);
	}
	settings_put(server);
	settings_put(client);
	settings_put(no_verify);
}

static void protocols(void)
{
	struct settings *s = scene_profile(RSA_SERVER "alpn = { \"one\", \"two\" }\n");

	FOR_VERSIONS(version) {
		SSL_CTX *ctx = scene_peer_ctx(s, version, NULL);
		struct request r = scene_request(s);
		struct end e;

		doing = "the profile's protocols";
		SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\3two\3one", 8);
		scene_shake_hands(&e, s, &r, scene_new_peer(ctx, false));
		CHECK(scene_is_up(&e) && !strcmp(e.l.session.alpn, "one"));
		scene_drop(&e);
		doing = "the application's protocols";
		memcpy(r.alpn, "\3two", r.alpn_len = 4);
		scene_shake_hands(&e, s, &r, scene_new_peer(ctx, false));
		CHECK(scene_is_up(&e) && !strcmp(e.l.session.alpn, "two"));
		scene_drop(&e);
		doing = "no protocol in common";
		SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\5three", 6);
		CHECK(scene_fails(s, &r, ctx).err == EPROTO);
		SSL_CTX_free(ctx);
	}
	settings_put(s);
}

/* ---- keys ---- */

static void keys_and_certificates(void)
{
	doing = "keys and certificates";
	scene_refused("certificate = \"build/certs/rsa.crt\"\nkey = \"build/certs/other.key\"\n", "does not belong");
	scene_refused("certificate = \"build/certs/ecdsa.crt\"\nkey = \"build/certs/client.key\"\n", "does not belong");
	scene_refused("certificate = \"build/certs/rsa.crt\"\nkey = \"build/certs/ecdsa.key\"\n", "does not belong");
	scene_refused("certificate = \"build/certs/none\"\nkey = \"build/certs/rsa.key\"\n", "certificate");
}

/* As a URI of a store: OpenSSL's own is of files. */
static void key_uris(void)
{
	char text[1024], cwd[512];
	struct settings *s;
	struct request r;
	SSL_CTX *ctx;

	doing = "a key's URI";
	CHECK(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text), "certificate = \"build/certs/rsa.crt\"\nkey = \"file:%s/build/certs/rsa.key\"\n",
		 cwd);
	s = scene_profile(text);
	r = scene_request(s);
	ctx = scene_peer_ctx(s, TLS1_3_VERSION, NULL);
	CHECK(scene_tries(s, &r, ctx));
	SSL_CTX_free(ctx);
	settings_put(s);
	scene_refused("certificate = \"build/certs/rsa.crt\"\nkey = \"file:/nonexistent?pin-value=1234\"\n", "URI");
}

static void run(const char *format, const char *word)
{
	char command[1024];

	snprintf(command, sizeof(command), format, word);
	CHECK(!system(command));
}

/* A token of SoftHSM with this file's key. */
static void make_token(const char *file)
{
	char text[1024];

	CHECK(!mkdir(scene_path("tokens"), 0700));
	snprintf(text, sizeof(text), "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		 scene_path("tokens"));
	scene_write("softhsm", text);
	setenv("SOFTHSM2_CONF", scene_path("softhsm"), 1);
	setenv("PKCS11_MODULE_PATH", "/usr/lib/softhsm/libsofthsm2.so", 1);
	run("softhsm2-util --init-token --free --label kssl --so-pin 12345 --pin 1234 >%s", "/dev/null");
	run("softhsm2-util --import %s --token kssl --label web --id 01 --pin 1234 >/dev/null", file);
	/* SoftHSM reads them each time, and the key process is nobody by then. */
	run("chmod -R a+rX %s", scene_dir);
}

#define TOKEN	"pkcs11:token=kssl;object=web;pin-value="

static void token_keys(void)
{
	static const char *const certs[] = { "rsa", "ecdsa" };
	char text[512];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct settings *s;
		struct request r;

		doing = certs[i];
		snprintf(text, sizeof(text), "build/certs/%s.key", certs[i]);
		make_token(text);
		snprintf(text, sizeof(text), "certificate = \"build/certs/%s.crt\"\nkey = \"" TOKEN "1234\"\n",
			 certs[i]);
		s = scene_profile(text);
		r = scene_request(s);
		FOR_VERSIONS(version) {
			SSL_CTX *ctx = scene_peer_ctx(s, version, NULL);

			CHECK(scene_tries(s, &r, ctx));
			SSL_CTX_free(ctx);
		}
		settings_put(s);
		snprintf(text, sizeof(text), "certificate = \"build/certs/%s.crt\"\nkey = \"" TOKEN "4321\"\n",
			 certs[i]);
		/* A PIN is not for the log. */
		scene_refused(text, "key of a URI: ");
		scene_remove(scene_path("tokens"));
	}
}

static const struct scene_test tests[] = {
	{ "certificates by server name", server_names },
	{ "OCSP responses", ocsp },
	{ "revocation lists", revocation },
	{ "versions and ciphers", versions_and_ciphers },
	{ "what is old", what_is_old },
	{ "certificates of clients", client_certificates },
	{ "pins", pins },
	{ "protocols", protocols },
	{ "keys and certificates", keys_and_certificates },
	{ "URIs of keys", key_uris },
	{ "keys of a token", token_keys },
};

int main(void)
{
	static const struct scene_test legacy[] = { { "what is old", what_is_old } };

	keys_program = "build/userspace/kssld";
	if (getenv("E2E_LEGACY"))
		return scene_main(legacy, 1);
	return scene_main(tests, sizeof(tests) / sizeof(tests[0]));
}
