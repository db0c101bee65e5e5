// SPDX-License-Identifier: MIT
/*
 * OpenSSL's side of a profile: one SSL_CTX for each of its certificates.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "kssld.h"

#define OCSP_MAX	65536

static int fail(char *why, const char *what, const char *file)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	snprintf(why, KSSLD_TEXT_LEN, "%s%s%s: %s", what, file ? " " : "", file ? file : "",
		 reason ? reason : "not usable");
	ERR_clear_error();
	return -EINVAL;
}

/* ---- callbacks: all find the connection by its SSL object ---- */

/* Trust is decided by OpenSSL; a pin has to match beside that. */
static int verify(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct conn *c = conn_of(ssl);
	uint8_t digest[KSSL_PIN_LEN], *der = NULL;
	unsigned int i;
	int len;

	if (c && !c->profile->server && !c->profile->verify)
		ok = 1;
	if (!ok || !c || !c->request.pins_count || X509_STORE_CTX_get_error_depth(store))
		return ok;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(X509_STORE_CTX_get_current_cert(store)), &der);
	if (len > 0) {
		SHA256(der, len, digest);
		OPENSSL_free(der);
		for (i = 0; i < c->request.pins_count; i++)
			if (!memcmp(digest, c->request.pins[i], sizeof(digest)))
				return ok;
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	const struct conn *c = conn_of(ssl);
	const uint8_t *ours = c && c->request.alpn_len ? c->request.alpn : c ? c->profile->alpn : NULL;
	unsigned int len = c && c->request.alpn_len ? c->request.alpn_len : c ? c->profile->alpn_len : 0;
	unsigned char *selected;

	(void)arg;
	if (!len)
		return SSL_TLSEXT_ERR_NOACK;
	/* RFC 7301 3.2: none in common is fatal. */
	if (SSL_select_next_proto(&selected, out_len, ours, len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

/* An asterisk is one label (RFC 6125 6.4.3). */
static bool matches(const char *pattern, const char *name, size_t len)
{
	const char *rest = pattern[0] == '*' ? memchr(name, '.', len) : name;

	if (pattern[0] == '*' && rest == name)
		return false;
	pattern += pattern[0] == '*';
	return rest && strlen(pattern) == len - (rest - name) && !strncasecmp(pattern, rest, len - (rest - name));
}

/* The name itself before a pattern, wherever they are in the file. */
static const struct identity *find_identity(const struct profile *p, const char *name, size_t len)
{
	const struct identity *found = &p->identities[0];
	unsigned int i;

	for (i = 1; len && i < p->identities_count; i++) {
		const struct identity *id = &p->identities[i];

		if (matches(id->server_name, name, len) && (id->server_name[0] != '*' || found == &p->identities[0]))
			found = id;
	}
	return found;
}

/* RFC 6066 3, with one name, as OpenSSL takes it too. */
static size_t name_of_hello(SSL *ssl, const char **name)
{
	const unsigned char *ext;
	size_t len, name_len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) || len < 5 || ext[2])
		return 0;
	name_len = ext[3] << 8 | ext[4];
	*name = (const char *)ext + 5;
	return name_len <= len - 5 ? name_len : 0;
}

/* A session of another profile, name, certificate policy or pins is not resumed (CVE-2025-23419). */
static int bind_sessions(SSL *ssl, const struct conn *c, const struct identity *id)
{
	char text[KSSL_PROFILE_MAX + KSSL_NAME_MAX + 3 * SHA256_DIGEST_LENGTH + 64];
	uint8_t digest[SHA256_DIGEST_LENGTH], pins[SHA256_DIGEST_LENGTH];
	int mode = SSL_get_verify_mode(ssl), len;
	char *hex;

	SHA256((const uint8_t *)c->request.pins, c->request.pins_count * sizeof(c->request.pins[0]), pins);
	hex = OPENSSL_buf2hexstr(pins, sizeof(pins));
	if (!hex)
		return 0;
	len = snprintf(text, sizeof(text), "%s/%s/%d/%s", c->profile->name,
		       id->server_name ? id->server_name : "", mode, hex);
	OPENSSL_free(hex);
	SHA256((uint8_t *)text, len < (int)sizeof(text) ? len : (int)sizeof(text) - 1, digest);
	return SSL_set_session_id_context(ssl, digest, sizeof(digest));
}

/*
 * Before OpenSSL looks at a ticket; its own callback for server names comes after that.
 * At a renegotiation the name stays (libkssl), and with it the context.
 */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
	const struct conn *c = conn_of(ssl);
	const struct identity *id;
	const char *name = NULL;
	size_t len;

	(void)arg;
	*alert = SSL_AD_INTERNAL_ERROR;
	if (!c)
		return SSL_CLIENT_HELLO_ERROR;
	if (SSL_get_finished(ssl, NULL, 0))
		return SSL_CLIENT_HELLO_SUCCESS;
	len = name_of_hello(ssl, &name);
	id = find_identity(c->profile, name, len);
	if (SSL_get_SSL_CTX(ssl) != id->ctx && !SSL_set_SSL_CTX(ssl, id->ctx))
		return SSL_CLIENT_HELLO_ERROR;
	return bind_sessions(ssl, c, id) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

static int staple(SSL *ssl, void *arg)
{
	const struct identity *id = arg;
	unsigned char *copy = time(NULL) < id->ocsp_until ? OPENSSL_memdup(id->ocsp, id->ocsp_len) : NULL;

	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, id->ocsp_len);
	return SSL_TLSEXT_ERR_OK;
}

/* Without it OpenSSL takes no name, and tells none. */
static int on_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- making one ---- */

static int set_trust(SSL_CTX *ctx, const struct profile *p, char *why)
{
	X509_STORE *store;

	if (!p->trust) {
		if (!SSL_CTX_set_default_verify_paths(ctx))
			return fail(why, "the system's trust", NULL);
	} else if (SSL_CTX_load_verify_file(ctx, p->trust) != 1) {
		return fail(why, "trust", p->trust);
	}
	if (p->server && p->trust)
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(p->trust));
	if (!p->crl)
		return 0;
	store = SSL_CTX_get_cert_store(ctx);
	if (X509_STORE_load_file(store, p->crl) != 1)
		return fail(why, "crl", p->crl);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

static int set_certificate(struct settings *s, SSL_CTX *ctx, struct identity *id, char *why)
{
	EVP_PKEY *pkey;
	int ok;

	if (!id->certificate)
		return 0;
	if (SSL_CTX_use_certificate_chain_file(ctx, id->certificate) != 1)
		return fail(why, "certificate", id->certificate);
	pkey = keys_private(s->keys, id->key_index, SSL_CTX_get0_certificate(ctx), why);
	if (!pkey)
		return -EINVAL;
	ok = SSL_CTX_use_PrivateKey(ctx, pkey);
	EVP_PKEY_free(pkey);
	return ok == 1 ? 0 : fail(why, "key", id->key);
}

/* When it is out of date (RFC 6960 4.2.2.1); -1: it says nothing of this certificate. */
static int64_t good_until(OCSP_BASICRESP *basic, const X509 *cert)
{
	ASN1_GENERALIZEDTIME *next = NULL;
	ASN1_INTEGER *serial;
	struct tm tm;
	int i;

	for (i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(single));
		if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)))
			continue;
		OCSP_single_get0_status(single, NULL, NULL, NULL, &next);
		if (!next)
			return INT64_MAX;
		return ASN1_TIME_to_tm(next, &tm) ? timegm(&tm) : -1;
	}
	return -1;
}

/* Its signature is for clients to verify. */
static int read_response(struct identity *id, const X509 *cert, char *why)
{
	const unsigned char *der = id->ocsp;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, id->ocsp_len);
	OCSP_BASICRESP *basic = NULL;

	if (response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	id->ocsp_until = basic ? good_until(basic, cert) : -1;
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	if (id->ocsp_until < 0) {
		snprintf(why, KSSLD_TEXT_LEN, "%s is no OCSP response for %s", id->ocsp_file, id->certificate);
		return -EINVAL;
	}
	if (time(NULL) >= id->ocsp_until)
		log_line(LOG_IS_WARNING, "the OCSP response in %s is out of date; it is not sent", id->ocsp_file);
	return 0;
}

static int set_staple(SSL_CTX *ctx, struct identity *id, char *why)
{
	FILE *f;

	if (!id->ocsp_file)
		return 0;
	f = fopen(id->ocsp_file, "re");
	if (!f) {
		snprintf(why, KSSLD_TEXT_LEN, "ocsp %s: %s", id->ocsp_file, strerror(errno));
		return -EINVAL;
	}
	id->ocsp = malloc(OCSP_MAX);
	id->ocsp_len = id->ocsp ? fread(id->ocsp, 1, OCSP_MAX, f) : 0;
	fclose(f);
	SSL_CTX_set_tlsext_status_cb(ctx, staple);
	SSL_CTX_set_tlsext_status_arg(ctx, id);
	return read_response(id, SSL_CTX_get0_certificate(ctx), why);
}

/* OpenSSL takes a bound that it was built without, and then has no suites. */
static bool has_ssl3(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	STACK_OF(SSL_CIPHER) *left = NULL;
	bool has;

	if (ssl && SSL_set_max_proto_version(ssl, SSL3_VERSION))
		left = SSL_get1_supported_ciphers(ssl);
	has = sk_SSL_CIPHER_num(left) > 0;
	sk_SSL_CIPHER_free(left);
	SSL_free(ssl);
	ERR_clear_error();
	return has;
}

static int set_protocol(SSL_CTX *ctx, const struct profile *p, char *why)
{
	char ciphers[256];

	if (!SSL_CTX_set_min_proto_version(ctx, p->min_version) ||
	    !SSL_CTX_set_max_proto_version(ctx, p->max_version) || !SSL_CTX_set_dh_auto(ctx, 1))
		return fail(why, "versions", NULL);
	/* A key exchange by RSA has to be asked for (RFC 9325 4.1). */
	snprintf(ciphers, sizeof(ciphers), "%s%s", OSSL_default_cipher_list(), p->server ? ":!kRSA" : "");
	if (!SSL_CTX_set_cipher_list(ctx, p->ciphers ? p->ciphers : ciphers))
		return fail(why, "ciphers", p->ciphers);
	if (p->ciphersuites && !SSL_CTX_set_ciphersuites(ctx, p->ciphersuites))
		return fail(why, "ciphersuites", p->ciphersuites);
	if (p->min_version == SSL3_VERSION && !has_ssl3(ctx)) {
		snprintf(why, KSSLD_TEXT_LEN,
			 "min_version: this OpenSSL has no SSL 3.0, or none of its suites at this security level");
		return -EINVAL;
	}
	return 0;
}

static void set_server(SSL_CTX *ctx, const struct profile *p)
{
	int mode = p->client_cert == 2 ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT :
		   p->client_cert ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;

	SSL_CTX_set_verify(ctx, mode, verify);
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
	SSL_CTX_set_session_cache_mode(ctx, p->resume && p->session_cache ? SSL_SESS_CACHE_SERVER :
				       SSL_SESS_CACHE_OFF);
	SSL_CTX_sess_set_cache_size(ctx, p->session_cache);
	SSL_CTX_set_timeout(ctx, p->session_lifetime);
	if (!p->resume)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (!p->resume)
		SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static void set_client(SSL_CTX *ctx, const struct profile *p)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, verify);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (p->identities[0].certificate)
		SSL_CTX_set_post_handshake_auth(ctx, 1);
}

/* Only the main thread reads configurations. */
static uint64_t numbers;

static int load_identity(struct settings *s, struct profile *p, struct identity *id, char *why)
{
	SSL_CTX *ctx = SSL_CTX_new(p->server ? TLS_server_method() : TLS_client_method());
	int ret;

	id->ctx = ctx;
	id->number = ++numbers;
	/* Each of them, for it may be the one that a server name leads to. */
	if (!ctx || kssl_prepare_ssl_ctx(ctx))
		return fail(why, "out of memory", NULL);
	ret = set_protocol(ctx, p, why);
	if (!ret)
		ret = set_trust(ctx, p, why);
	if (!ret)
		ret = set_certificate(s, ctx, id, why);
	if (!ret)
		ret = set_staple(ctx, id, why);
	if (p->server)
		set_server(ctx, p);
	else
		set_client(ctx, p);
	ERR_clear_error();
	return ret;
}

/* ---- all of them ---- */

static int number_keys(struct settings *s, char **uris)
{
	unsigned int i, j, count = 0;

	for (i = 0; i < s->profiles_count; i++)
		for (j = 0; j < s->profiles[i].identities_count; j++) {
			struct identity *id = &s->profiles[i].identities[j];

			id->key_index = -1;
			if (!id->certificate)
				continue;
			if (uris)
				uris[count] = id->key;
			id->key_index = count++;
		}
	return count;
}

/**
 * profiles_load() - start the key process and make what OpenSSL needs
 * @s: configuration
 * @workers: how many will use it
 * @why: (out) sentence, with the line of the profile
 *
 * Return: 0 or -errno.
 */
int profiles_load(struct settings *s, unsigned int workers, char *why)
{
	unsigned int count = number_keys(s, NULL), i, j;
	char **uris = calloc(count + 1, sizeof(*uris)), text[KSSLD_TEXT_LEN];
	int ret = uris ? 0 : -ENOMEM;

	if (!ret && count) {
		number_keys(s, uris);
		s->keys = keys_start(uris, count, workers, why);
		ret = s->keys ? 0 : -EINVAL;
	}
	free(uris);
	for (i = 0; !ret && i < s->profiles_count; i++)
		for (j = 0; !ret && j < s->profiles[i].identities_count; j++) {
			ret = load_identity(s, &s->profiles[i], &s->profiles[i].identities[j], text);
			if (ret)
				snprintf(why, KSSLD_TEXT_LEN, "line %d: profile %.63s: %.400s", s->profiles[i].line,
					 s->profiles[i].name, text);
		}
	return ret;
}

void profiles_drop(struct settings *s)
{
	unsigned int i, j;

	for (i = 0; i < s->profiles_count; i++)
		for (j = 0; j < s->profiles[i].identities_count; j++)
			SSL_CTX_free(s->profiles[i].identities[j].ctx);
	keys_stop(s->keys);
}
