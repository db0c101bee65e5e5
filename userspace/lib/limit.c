// SPDX-License-Identifier: MIT
/*
 * How long records may be.  OpenSSL knows max_fragment_length (RFC 6066 4) and obeys it;
 * record_size_limit (RFC 8449) it does not know, so that is an extension of our own.  What
 * was agreed on is read from the messages that go by, see kssl_policy_hello(), and goes to
 * the kernel with the keys of that handshake.
 */
#include <errno.h>
#include <pthread.h>

#include "engine_priv.h"

static pthread_mutex_t arm_lock = PTHREAD_MUTEX_INITIALIZER;

/* The most there is: in TLS 1.3 the octet of the type counts too (RFC 8449 4). */
static unsigned int most_of(int version)
{
	return KSSL_MAX_PAYLOAD + (version >= KSSL_TLS13);
}

/* Content within a limit. */
static unsigned int payload_of(int version, unsigned int limit)
{
	unsigned int most = most_of(version);

	return (limit < most ? limit : most) - (most - KSSL_MAX_PAYLOAD);
}

/* Is max_fragment_length in force, at this handshake or since one that is resumed? */
static unsigned int fragment_of(SSL *ssl)
{
	const SSL_SESSION *session = SSL_get_session(ssl);
	unsigned int mode = session ? SSL_SESSION_get_max_fragment_length(session) : 0;

	return mode ? 256 << mode : 0;
}

/* ---- the extension ---- */

static int add_limit(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out,
		     size_t *len, X509 *cert, size_t index, int *alert, void *arg)
{
	struct kssl_engine *e = kssl_engine_of(ssl);
	bool offers = context & SSL_EXT_CLIENT_HELLO;
	unsigned int limit, most;

	(void)type, (void)cert, (void)index, (void)alert, (void)arg;
	if (!e || (offers && !e->record_limit))
		return 0;
	/* RFC 8449 5: not both, and OpenSSL has answered the other one by itself. */
	if (!offers && fragment_of(ssl))
		return 0;
	most = most_of(offers ? SSL_get_max_proto_version(ssl) : SSL_version(ssl));
	limit = e->record_limit && e->record_limit < most ? e->record_limit : most;
	e->limit_octets[0] = limit >> 8;
	e->limit_octets[1] = limit;
	*out = e->limit_octets;
	*len = sizeof(e->limit_octets);
	return 1;
}

static int refuse(struct kssl_engine *e, int *alert, int which, const char *why)
{
	kssl_engine_blame(e, EPROTO, which, why);
	*alert = which;
	return 0;
}

static int take_limit(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *in,
		      size_t len, X509 *cert, size_t index, int *alert, void *arg)
{
	struct kssl_engine *e = kssl_engine_of(ssl);
	unsigned int limit;

	(void)type, (void)cert, (void)index, (void)arg;
	if (!e)
		return 1;
	if (len != 2)
		return refuse(e, alert, SSL_AD_DECODE_ERROR, "the peer's record_size_limit is malformed");
	limit = in[0] << 8 | in[1];
	if (limit < KSSL_RECORD_LIMIT_MIN)
		return refuse(e, alert, SSL_AD_ILLEGAL_PARAMETER, "the peer's record_size_limit is below 64");
	if (!(context & SSL_EXT_CLIENT_HELLO) && e->hello.fragment)
		return refuse(e, alert, SSL_AD_ILLEGAL_PARAMETER,
			      "the server answered with both record_size_limit and max_fragment_length");
	/*
	 * For what OpenSSL still sends by itself.  Up to TLS 1.2 nearly all of that is not under
	 * protection, where it need not be so (RFC 8449 4); but GnuTLS wants it.
	 */
	SSL_set_split_send_fragment(ssl, payload_of(SSL_version(ssl), limit));
	/* Padding it would not bound by that. */
	if (limit < most_of(SSL_version(ssl))) {
		SSL_set_block_padding(ssl, 0);
		SSL_set_record_padding_callback(ssl, NULL);
	}
	return 1;
}

/**
 * kssl_limit_arm() - let a context's connections take part in record_size_limit
 * @ctx: context; may be armed already
 *
 * Connections that are not ours neither offer nor answer it.
 *
 * Return: 0 or -ENOMEM.
 */
int kssl_limit_arm(SSL_CTX *ctx)
{
	int ok = 1;

	pthread_mutex_lock(&arm_lock);
	/* The caller's own, or an OpenSSL that has it, will do: we only read what goes by. */
	if (!SSL_CTX_has_client_custom_ext(ctx, KSSL_RECORD_SIZE_LIMIT) &&
	    !SSL_extension_supported(KSSL_RECORD_SIZE_LIMIT))
		ok = SSL_CTX_add_custom_ext(ctx, KSSL_RECORD_SIZE_LIMIT,
					    SSL_EXT_TLS_ONLY | SSL_EXT_CLIENT_HELLO |
					    SSL_EXT_TLS1_2_SERVER_HELLO |
					    SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS,
					    add_limit, NULL, NULL, take_limit, NULL);
	pthread_mutex_unlock(&arm_lock);
	return ok ? 0 : -ENOMEM;
}

/* ---- keys ---- */

/**
 * kssl_limit_keys() - set what the handshake that runs has led to
 * @e: engine
 * @rx: (out) receiving key
 * @tx: (out) sending key
 */
void kssl_limit_keys(const struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx)
{
	const uint16_t *limit = e->hello.limit;
	int version = SSL_version(e->ssl);

	if (limit[0] && limit[1]) {
		rx->max_payload = payload_of(version, limit[e->server]);
		tx->max_payload = payload_of(version, limit[!e->server]);
	} else {
		rx->max_payload = fragment_of(e->ssl);
		tx->max_payload = rx->max_payload;
	}
}
