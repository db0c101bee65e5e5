// SPDX-License-Identifier: MIT
/*
 * A self-signed certificate for a server that was given none.  It proves
 * nothing; clients need --insecure.
 */
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "perf.h"

#define VALID_SECONDS	(7 * 24 * 3600L)
#define CLOCK_SKEW	(24 * 3600L)
#define RSA_BITS	2048

static X509 *sign_own_key(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name;

	if (!cert)
		return NULL;
	name = X509_get_subject_name(cert);
	if (X509_set_version(cert, X509_VERSION_3) &&
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW) &&
	    X509_gmtime_adj(X509_getm_notAfter(cert), VALID_SECONDS) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				       (const unsigned char *)"kssl-perf", -1, -1, 0) &&
	    X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
	    X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

/**
 * self_signed() - give @ctx a fresh key and certificate
 * @ctx: context of a server
 * @rsa: RSA instead of ECDSA, for suites that want it
 *
 * Return: 0, or -1 with the cause in OpenSSL's error queue.
 */
int self_signed(SSL_CTX *ctx, bool rsa)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
	X509 *cert = key ? sign_own_key(key) : NULL;
	int ok;

	ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1 &&
	     SSL_CTX_use_PrivateKey(ctx, key) == 1;
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? 0 : -1;
}
