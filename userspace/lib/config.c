// SPDX-License-Identifier: MIT
/*
 * struct kssl_config: an SSL_CTX with safe defaults, or the caller's own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "internal.h"
#include "keys.h"

#define TIMEOUT_MS	30000

/* 0, or -EINVAL; the error queue of OpenSSL is not for our caller. */
static int done(int ok)
{
	ERR_clear_error();
	return ok ? 0 : -EINVAL;
}

/* Sessions may be resumed only under the same policy for client certificates. */
static int set_session_context(struct kssl_config *config)
{
	const uint8_t context[] = { 'k', 's', 's', 'l', config->client_cert };

	return SSL_CTX_set_session_id_context(config->ctx, context, sizeof(context));
}

static struct kssl_config *new_config(void)
{
	struct kssl_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->own = true;
	config->kernel_updates = true;
	config->policy.size = sizeof(config->policy);
	config->client_renegotiation = 1;
	config->timeout_ms = TIMEOUT_MS;
	return config;
}

struct kssl_config *kssl_config_new(void)
{
	struct kssl_config *config = new_config();

	if (!config)
		return NULL;
	config->ctx = SSL_CTX_new(TLS_method());
	/* Without parameters a server would never agree on DHE. */
	if (!config->ctx || kssl_prepare_ssl_ctx(config->ctx) ||
	    !SSL_CTX_set_min_proto_version(config->ctx, KSSL_TLS12) ||
	    !SSL_CTX_set_dh_auto(config->ctx, 1) ||
	    !SSL_CTX_set_default_verify_paths(config->ctx) || !set_session_context(config)) {
		kssl_config_free(config);
		ERR_clear_error();
		errno = ENOMEM;
		return NULL;
	}
	return config;
}

struct kssl_config *kssl_config_new_with(SSL_CTX *ctx)
{
	struct kssl_config *config = new_config();

	if (config && !kssl_config_set_ssl_ctx(config, ctx))
		return config;
	kssl_config_free(config);
	errno = ENOMEM;
	return NULL;
}

void kssl_config_free(struct kssl_config *config)
{
	if (!config)
		return;
	SSL_SESSION_free(config->session);
	SSL_CTX_free(config->ctx);
	free(config->suites);
	free(config);
}

int kssl_config_set_cert_file(struct kssl_config *config, const char *cert_chain, const char *key)
{
	if (!cert_chain || !key)
		return -EINVAL;
	if (access(cert_chain, R_OK) || access(key, R_OK))
		return -errno;
	/* A client that has a certificate may be asked for it later (RFC 8446 4.2.6). */
	if (config->own)
		SSL_CTX_set_post_handshake_auth(config->ctx, 1);
	return done(SSL_CTX_use_certificate_chain_file(config->ctx, cert_chain) == 1 &&
		    SSL_CTX_use_PrivateKey_file(config->ctx, key, SSL_FILETYPE_PEM) == 1 &&
		    SSL_CTX_check_private_key(config->ctx) == 1);
}

int kssl_config_set_ca_file(struct kssl_config *config, const char *path)
{
	STACK_OF(X509_NAME) *names;
	X509_STORE *store;

	if (!path)
		return -EINVAL;
	if (access(path, R_OK))
		return -errno;
	store = X509_STORE_new();
	names = SSL_load_client_CA_file(path);
	if (!store || !names || X509_STORE_load_file(store, path) != 1) {
		X509_STORE_free(store);
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return done(0);
	}
	/* Instead of the system's trust, not beside it. */
	SSL_CTX_set_cert_store(config->ctx, store);
	SSL_CTX_set_client_CA_list(config->ctx, names);
	return done(1);
}

static int is_version(int version)
{
	return !version || (version >= KSSL_SSL30 && version <= KSSL_TLS13);
}

int kssl_config_set_versions(struct kssl_config *config, int min, int max)
{
	/* What is older has to be named. */
	if (!min)
		min = KSSL_TLS12;
	if (!is_version(min) || !is_version(max) || (max && min > max))
		return -EINVAL;
	return done(SSL_CTX_set_min_proto_version(config->ctx, min) &&
		    SSL_CTX_set_max_proto_version(config->ctx, max));
}

int kssl_config_set_ciphers(struct kssl_config *config, const char *tls12, const char *tls13)
{
	return done(SSL_CTX_set_cipher_list(config->ctx, tls12 ? tls12 : OSSL_default_cipher_list()) &&
		    SSL_CTX_set_ciphersuites(config->ctx, tls13 ? tls13 : OSSL_default_ciphersuites()));
}

int kssl_config_set_client_cert(struct kssl_config *config, int mode)
{
	if (mode < 0 || mode > 2)
		return -EINVAL;
	config->client_cert = mode;
	return config->own ? done(set_session_context(config)) : 0;
}

int kssl_config_set_client_renegotiation(struct kssl_config *config, int allow)
{
	config->client_renegotiation = !!allow;
	return 0;
}

void kssl_config_insecure_noverify(struct kssl_config *config)
{
	config->noverify = true;
}

int kssl_config_set_record_limit(struct kssl_config *config, unsigned int limit)
{
	if (limit && (limit < KSSL_RECORD_LIMIT_MIN || limit > KSSL_RECORD_LIMIT_MAX))
		return -EINVAL;
	config->record_limit = limit;
	return 0;
}

int kssl_prepare_ssl_ctx(SSL_CTX *ctx)
{
	/* The callback for secrets is put back whenever it is missed. */
	int ret = kssl_limit_arm(ctx);

	ERR_clear_error();
	return ret;
}

int kssl_config_set_ssl_ctx(struct kssl_config *config, SSL_CTX *ctx)
{
	if (!ctx)
		return -EINVAL;
	if (kssl_prepare_ssl_ctx(ctx) || !SSL_CTX_up_ref(ctx))
		return -ENOMEM;
	SSL_CTX_free(config->ctx);
	config->ctx = ctx;
	if (config->own) {
		/* From now on our defaults do not count, only what is set on purpose. */
		config->client_cert = -1;
		config->client_renegotiation = -1;
	}
	config->own = false;
	return 0;
}

void kssl_config_set_kernel_key_update(struct kssl_config *config, int on)
{
	config->kernel_updates = on;
}

void kssl_config_set_require_answer(struct kssl_config *config, int on)
{
	config->require_answer = on;
}

void kssl_config_set_orphan(struct kssl_config *config, int on)
{
	config->orphan = on;
}

/**
 * kssl_policy_merge() - a policy as the caller knows it becomes ours
 * @from: the caller's, of the size it says; NULL for the defaults
 * @kept_flags: flags that stay as they are in @policy
 * @policy: (out) replaced
 *
 * Return: 0; -EINVAL, or -E2BIG if it has something we do not know.
 */
int kssl_policy_merge(const struct kssl_policy *from, uint32_t kept_flags, struct kssl_policy *policy)
{
	struct kssl_policy merged = { 0 };
	const uint8_t *bytes = (const uint8_t *)from;
	size_t i;

	if (from && from->size < sizeof(from->size))
		return -EINVAL;
	for (i = sizeof(merged); from && i < from->size; i++)
		if (bytes[i])
			return -E2BIG;
	if (from)
		memcpy(&merged, from, from->size < sizeof(merged) ? from->size : sizeof(merged));
	merged.size = sizeof(merged);
	merged.flags &= ~KSSL_POLICY_KEY_UPDATE;
	merged.flags |= policy->flags & kept_flags;
	*policy = merged;
	return 0;
}

int kssl_config_set_policy(struct kssl_config *config, const struct kssl_policy *policy)
{
	return kssl_policy_merge(policy, 0, &config->policy);
}

int kssl_config_set_session(struct kssl_config *config, SSL_SESSION *session)
{
	if (session && !SSL_SESSION_up_ref(session))
		return -ENOMEM;
	SSL_SESSION_free(config->session);
	config->session = session;
	return 0;
}

int kssl_config_set_profile(struct kssl_config *config, const char *profile)
{
	if (profile && strlen(profile) >= sizeof(config->profile))
		return -EINVAL;
	memset(config->profile, 0, sizeof(config->profile));
	if (profile)
		strcpy(config->profile, profile);
	return 0;
}

int kssl_config_set_suites(struct kssl_config *config, const struct kssl_suite_info *suites,
			   unsigned int count)
{
	struct kssl_suite_info *copy = NULL;

	if (suites) {
		copy = calloc(count ? count : 1, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, suites, count * sizeof(*copy));
	}
	free(config->suites);
	config->suites = copy;
	config->suites_count = copy ? count : 0;
	return 0;
}

void kssl_config_set_event_loop(struct kssl_config *config)
{
	config->event_loop = true;
}

void kssl_config_set_timeout(struct kssl_config *config, int ms)
{
	config->timeout_ms = ms > 0 ? ms : TIMEOUT_MS;
}

void kssl_config_set_event_callback(struct kssl_config *config, kssl_event_cb cb, void *arg)
{
	config->cb = cb;
	config->cb_arg = arg;
}

void kssl_config_set_keylog_callback(struct kssl_config *config, kssl_keylog_fn *cb, void *arg)
{
	config->keylog = cb;
	config->keylog_arg = arg;
}

void kssl_config_set_prepare_callback(struct kssl_config *config, kssl_prepare_fn *cb, void *arg)
{
	config->prepare = cb;
	config->prepare_arg = arg;
}
