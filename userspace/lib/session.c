// SPDX-License-Identifier: MIT
/*
 * What the application is told of a session that it cannot ask OpenSSL about, because
 * the helper is another process: struct kssl_session, the peer's certificates, and
 * keying material for protocols above.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "engine_priv.h"

/* RFC 5929 4.1: the signature's hash, but SHA-256 for MD5 and SHA-1; else not defined. */
static const EVP_MD *end_point_hash(const X509 *cert)
{
	int nid;

	if (!X509_get_signature_info((X509 *)cert, &nid, NULL, NULL, NULL))
		return NULL;
	if (nid == NID_md5 || nid == NID_sha1)
		return EVP_sha256();
	return nid == NID_undef ? NULL : EVP_get_digestbynid(nid);
}

static void set_end_point(const struct kssl_engine *e, struct kssl_session *session)
{
	X509 *cert = e->server ? SSL_get_certificate(e->ssl) : SSL_get0_peer_certificate(e->ssl);
	const EVP_MD *md = cert ? end_point_hash(cert) : NULL;
	unsigned int len = 0;

	if (md && X509_digest(cert, md, session->end_point, &len))
		session->end_point_len = len;
}

static void set_names(const struct kssl_engine *e, struct kssl_session *session)
{
	const char *name = SSL_get_servername(e->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(e->ssl, &alpn, &len);
	snprintf(session->profile, sizeof(session->profile), "%s", e->profile);
	snprintf(session->name, sizeof(session->name), "%s", name ? name : "");
	/* An octet of zero would end it early, as would no honest peer. */
	if (len && len < sizeof(session->alpn))
		memcpy(session->alpn, alpn, len);
}

static void set_flags(const struct kssl_engine *e, struct kssl_session *session)
{
	bool shown = SSL_get0_peer_certificate(e->ssl);

	session->verify = shown ? SSL_get_verify_result(e->ssl) : X509_V_OK;
	if (SSL_session_reused(e->ssl))
		session->flags |= KSSL_SESSION_RESUMED;
	if (shown)
		session->flags |= KSSL_SESSION_PEER_CERT;
	if (shown && session->verify == X509_V_OK && (SSL_get_verify_mode(e->ssl) & SSL_VERIFY_PEER))
		session->flags |= KSSL_SESSION_VERIFIED;
	if (SSL_get_extms_support(e->ssl) == 1)
		session->flags |= KSSL_SESSION_EMS;
}

/* One more certificate, behind its length in three octets, if there is room; without a @chain only counted. */
static size_t put_cert(X509 *cert, uint8_t *chain, size_t used)
{
	int len = i2d_X509(cert, NULL);
	uint8_t *p = chain ? chain + used : NULL;

	if (len <= 0 || used + 3 + len > KSSL_CHAIN_MAX)
		return used;
	if (p) {
		*p++ = len >> 16;
		*p++ = len >> 8;
		*p++ = len;
		i2d_X509(cert, &p);
	}
	return used + 3 + len;
}

/* A client's chain of OpenSSL begins with the server's certificate, a server's does not. */
static size_t put_chain(const struct kssl_engine *e, uint8_t *chain)
{
	STACK_OF(X509) *others = SSL_get_peer_cert_chain(e->ssl);
	X509 *cert = SSL_get0_peer_certificate(e->ssl);
	size_t used = 0;
	int i;

	if (!cert)
		return 0;
	used = put_cert(cert, chain, 0);
	for (i = e->server ? 0 : 1; used && i < sk_X509_num(others); i++)
		used = put_cert(sk_X509_value(others, i), chain, used);
	return used;
}

/**
 * kssl_session_tell() - a handshake is over: what the application may know of it
 * @e: engine
 * @batch: (out) KSSL_OP_SESSION and KSSL_OP_PEER_CHAIN, if it is to be told
 */
void kssl_session_tell(struct kssl_engine *e, struct kssl_batch *batch)
{
	struct kssl_session session = { .size = sizeof(session) };
	uint8_t *chain;

	if (!e->profile)
		return;
	set_flags(e, &session);
	set_names(e, &session);
	set_end_point(e, &session);
	kssl_batch_add(batch, KSSL_OP_SESSION, 0, &session, sizeof(session));
	/* There are many connections, so no more than it takes. */
	chain = malloc(put_chain(e, NULL) + 1);
	if (chain)
		kssl_batch_add(batch, KSSL_OP_PEER_CHAIN, 0, chain, put_chain(e, chain));
	free(chain);
	ERR_clear_error();
}

/**
 * kssl_session_export() - answer KSSL_ASK_EXPORTER, or have it wait
 * @e: engine; its request is that
 * @batch: (out) KSSL_OP_EXPORTER and the result
 */
void kssl_session_export(struct kssl_engine *e, struct kssl_batch *batch)
{
	const struct kssl_exporter *w = &e->exporter;
	uint8_t out[KSSL_EXPORT_MAX];
	int err = 0;

	/* Up to TLS 1.2 a hello changes the randoms that it is made from; one refused does too. */
	if (!kssl_engine_is_tls13(e) && e->handshaking) {
		e->request.state = KSSL_REQUEST_WAITS;
		return;
	}
	if (e->phase != KSSL_PHASE_OPEN)
		err = ENOTCONN;
	else if (!kssl_engine_is_tls13(e) && e->stuck)
		err = EOPNOTSUPP;
	else if (!w->len || w->len > sizeof(out) || w->context_len > sizeof(w->context) ||
		 !memchr(w->label, 0, sizeof(w->label)))
		err = EINVAL;
	else if (SSL_export_keying_material(e->ssl, out, w->len, w->label, strlen(w->label), w->context,
					    w->context_len, w->has_context) != 1)
		err = EIO;
	ERR_clear_error();
	if (!err)
		kssl_batch_add(batch, KSSL_OP_EXPORTER, 0, out, w->len);
	OPENSSL_cleanse(out, sizeof(out));
	kssl_start_result(e, err, batch);
}
