// SPDX-License-Identifier: MIT
/*
 * What a renegotiation may not change.  OpenSSL accepts most of this; after the
 * Triple Handshake attack (RFC 7627 5.3, 5.4) it is refused here, before any
 * byte of ours that depends on it goes out.
 */
#include <string.h>

#include <openssl/sha.h>
#include <openssl/tls1.h>
#include <openssl/x509.h>

#include "engine_priv.h"

/* A cursor over a message; @bad once something did not fit. */
struct cursor {
	const uint8_t *p;
	size_t len;
	bool bad;
};

static struct cursor take(struct cursor *c, size_t len)
{
	struct cursor part = { .p = c->p, .len = len };

	if (c->bad || len > c->len) {
		c->bad = true;
		return (struct cursor) { .bad = true };
	}
	c->p += len;
	c->len -= len;
	return part;
}

static unsigned int take_number(struct cursor *c, size_t bytes)
{
	struct cursor part = take(c, bytes);
	unsigned int v = 0;

	for (; part.len; part.p++, part.len--)
		v = v << 8 | *part.p;
	return v;
}

/* A vector with its length in front. */
static struct cursor take_vector(struct cursor *c, size_t length_bytes)
{
	return take(c, take_number(c, length_bytes));
}

/* The host name in a server_name extension (RFC 6066 3). */
static void read_name(struct cursor ext, struct kssl_hello *hello)
{
	struct cursor list = take_vector(&ext, 2);

	while (!list.bad && list.len) {
		unsigned int type = take_number(&list, 1);
		struct cursor name = take_vector(&list, 2);

		if (type == TLSEXT_NAMETYPE_host_name && !name.bad)
			SHA256(name.p, name.len, hello->name);
	}
}

static void read_extensions(struct cursor *c, struct kssl_hello *hello, bool client)
{
	struct cursor list = take_vector(c, 2);

	while (!list.bad && list.len) {
		unsigned int type = take_number(&list, 2);
		struct cursor ext = take_vector(&list, 2);

		if (client && type == TLSEXT_TYPE_server_name)
			read_name(ext, hello);
		if (!client && type == TLSEXT_TYPE_extended_master_secret)
			hello->ems = true;
		if (!client && type == TLSEXT_TYPE_encrypt_then_mac)
			hello->etm = true;
		if (!client && type == TLSEXT_TYPE_max_fragment_length)
			hello->fragment = true;
		if (type == KSSL_RECORD_SIZE_LIMIT)
			hello->limit[!client] = take_number(&ext, 2);
	}
}

/**
 * kssl_policy_hello() - note what a hello says
 * @e: engine
 * @message: ClientHello, ServerHello or EncryptedExtensions with its handshake header,
 *	either direction
 * @len: length of it
 *
 * A malformed one is OpenSSL's business.
 */
void kssl_policy_hello(struct kssl_engine *e, const uint8_t *message, size_t len)
{
	struct cursor c = { .p = message, .len = len };
	unsigned int type = take_number(&c, 1);
	bool client = type == SSL3_MT_CLIENT_HELLO;

	take(&c, 3);				/* length */
	if (type == SSL3_MT_ENCRYPTED_EXTENSIONS) {
		read_extensions(&c, &e->hello, false);
		return;
	}
	take(&c, 2 + KSSL_RANDOM_LEN);		/* version, random */
	take_vector(&c, 1);			/* session id */
	if (client) {
		memset(&e->hello, 0, sizeof(e->hello));
		take_vector(&c, 2);		/* suites */
		take_vector(&c, 1);		/* compression methods */
	} else {
		/* Each ServerHello decides anew. */
		e->hello.ems = false;
		e->hello.etm = false;
		e->hello.fragment = false;
		e->hello.limit[1] = 0;
		take(&c, 2 + 1);		/* suite, compression method */
	}
	read_extensions(&c, &e->hello, client);
}

/* RFC 9113 3.2: "h2" is HTTP/2 over TLS. */
static bool is_http2(SSL *ssl)
{
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	return len == 2 && !memcmp(alpn, "h2", 2);
}

static bool digest_cert(SSL *ssl, uint8_t *digest)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);

	memset(digest, 0, KSSL_DIGEST_LEN);
	return cert && X509_digest(cert, EVP_sha256(), digest, NULL);
}

/* Encrypt-then-MAC means nothing to AEAD suites and RC4 (RFC 7366 3). */
static bool uses_cbc(const struct kssl_engine *e)
{
	const SSL_CIPHER *cipher = SSL_get_pending_cipher(e->ssl);

	return cipher && !SSL_CIPHER_is_aead(cipher) && SSL_CIPHER_get_cipher_nid(cipher) != NID_rc4;
}

/* One that is not shown again, because it was not asked for or not given, is not gone. */
static bool remember_cert(struct kssl_engine *e)
{
	struct kssl_identity *id = &e->identity;
	uint8_t cert[KSSL_DIGEST_LEN];
	bool changed = digest_cert(e->ssl, cert) &&
		       !(id->has_cert && !memcmp(cert, id->cert, sizeof(cert)));

	if (changed) {
		id->has_cert = true;
		memcpy(id->cert, cert, sizeof(cert));
	}
	return changed;
}

/**
 * kssl_policy_remember() - the handshake is over: this is who we talk to
 * @e: engine
 *
 * Return: whether the peer's certificate was not known before.
 */
bool kssl_policy_remember(struct kssl_engine *e)
{
	struct kssl_identity *id = &e->identity;
	bool changed = remember_cert(e);

	/* OpenSSL neither tells nor takes ALPN at a renegotiation: the protocol stays. */
	id->http2 |= is_http2(e->ssl);
	memcpy(id->name, e->hello.name, sizeof(id->name));
	id->ems = e->hello.ems;
	id->etm_ever |= (e->write.key.flags & KSSL_KEY_ETM) != 0;
	return changed;
}

static const char *check_hello(const struct kssl_engine *e)
{
	if (e->server && memcmp(e->hello.name, e->identity.name, KSSL_DIGEST_LEN))
		return "the client asked for another server name at a renegotiation";
	/* OpenSSL 3.0 is faster to refuse it: "inconsistent extms". */
	if (e->identity.ems && !e->hello.ems)
		return "the extended master secret was dropped at a renegotiation";
	/* RFC 7366 3.1, also by way of an AEAD suite in between. */
	if (e->identity.etm_ever && uses_cbc(e) && !e->hello.etm)
		return "encrypt-then-MAC was dropped at a renegotiation";
	return NULL;
}

static const char *check_cert(const struct kssl_engine *e, bool finished)
{
	uint8_t cert[KSSL_DIGEST_LEN];
	bool has_cert = digest_cert(e->ssl, cert);

	if (!e->identity.has_cert || (!has_cert && !finished))
		return NULL;
	if (has_cert && !memcmp(cert, e->identity.cert, sizeof(cert)))
		return NULL;
	return e->server ? "the client's identity changed at a renegotiation" :
			   "the server's certificate changed at a renegotiation";
}

/**
 * kssl_policy_check_cert() - may the peer be who it says it is now? TLS 1.3
 * @e: engine, after a message of post-handshake authentication was fed
 *
 * Who shows no certificate stays who he was.
 *
 * Return: NULL, or the sentence it is refused with.
 */
const char *kssl_policy_check_cert(const struct kssl_engine *e)
{
	return check_cert(e, false);
}

/**
 * kssl_policy_check() - may this renegotiation go on?
 * @e: engine, after a record was fed and before its output is taken
 * @finished: the handshake is complete
 *
 * Return: NULL, or the sentence it is refused with.
 */
const char *kssl_policy_check(const struct kssl_engine *e, bool finished)
{
	const char *why = NULL;

	if (e->seen[e->server] & KSSL_SEEN(SSL3_MT_SERVER_HELLO))
		why = check_hello(e);
	if (!why && (finished || (e->seen[0] & KSSL_SEEN(SSL3_MT_CERTIFICATE))))
		why = check_cert(e, finished);
	return why;
}
