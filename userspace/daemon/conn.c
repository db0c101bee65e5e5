// SPDX-License-Identifier: MIT
/*
 * One connection: from what was asked for to libkssl.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kssld.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int conn_index = -1;

static void get_index(void)
{
	conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/** conn_of() - whose SSL object that is, or NULL */
struct conn *conn_of(const SSL *ssl)
{
	pthread_once(&once, get_index);
	return SSL_get_ex_data(ssl, conn_index);
}

static int prepare(SSL *ssl, void *arg)
{
	struct conn *c = arg;

	pthread_once(&once, get_index);
	if (!SSL_set_ex_data(ssl, conn_index, c))
		return -ENOMEM;
	if (c->profile->server)
		return 0;
	/* Nothing is required but the pins: see verify() in profile.c. */
	if (!c->profile->verify && c->request.pins_count)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, SSL_get_verify_callback(ssl));
	if (c->request.alpn_len)
		return SSL_set_alpn_protos(ssl, c->request.alpn, c->request.alpn_len) ? -ENOMEM : 0;
	if (c->profile->alpn_len)
		return SSL_set_alpn_protos(ssl, c->profile->alpn, c->profile->alpn_len) ? -ENOMEM : 0;
	return 0;
}

static void keep_session(struct conn *c)
{
	SSL_SESSION *session;

	if (c->profile->server || !c->profile->resume)
		return;
	session = kssl_get1_session(c->k);
	if (session)
		cache_put(c->key, session);
}

static void on_event(struct kssl *k, const struct kssl_event_info *info, void *arg)
{
	struct conn *c = arg;
	bool bad = info->event == KSSL_EVENT_FAILED;

	/* The first ones may come before kssl_adopt() has returned. */
	c->k = k;
	if (info->event == KSSL_EVENT_HANDSHAKE_DONE || info->event == KSSL_EVENT_TICKET)
		keep_session(c);
	if (bad || info->event == KSSL_EVENT_CLOSED)
		c->gone = true;
	log_request(bad ? LOG_IS_WARNING : LOG_IS_DEBUG, &c->request, info->text);
}

static void set_up(struct conn *c, struct kssl_config *config)
{
	const struct profile *p = c->profile;
	int client_cert = p->client_cert;
	uint32_t timeout = c->request.timeout_ms;

	if (c->request.client_cert > client_cert)
		client_cert = c->request.client_cert;
	/* What was pinned has to be shown. */
	if (p->server && c->request.pins_count)
		client_cert = 2;
	if (p->timeout_ms && p->timeout_ms < timeout)
		timeout = p->timeout_ms;
	kssl_config_set_event_loop(config);
	kssl_config_set_client_cert(config, client_cert);
	kssl_config_set_client_renegotiation(config, p->renegotiation);
	kssl_config_set_require_answer(config, p->require_answer);
	kssl_config_set_kernel_key_update(config, p->key_update);
	kssl_config_set_policy(config, &p->policy);
	kssl_config_set_record_limit(config, p->record_limit);
	kssl_config_set_orphan(config, 1);
	kssl_config_set_timeout(config, timeout > INT32_MAX ? INT32_MAX : timeout);
	kssl_config_set_profile(config, p->name);
	kssl_config_set_prepare_callback(config, prepare, c);
	kssl_config_set_event_callback(config, on_event, c);
	if (c->settings->keylog)
		kssl_config_set_keylog_callback(config, keylog_line, NULL);
	if (!p->server && !p->verify)
		kssl_config_insecure_noverify(config);
}

static struct kssl_config *new_config(struct conn *c)
{
	struct kssl_config *config = kssl_config_new_with(c->profile->identities[0].ctx);
	SSL_SESSION *session = NULL;

	if (!config)
		return NULL;
	set_up(c, config);
	if (!c->profile->server && c->profile->resume) {
		cache_key(&c->request, c->profile, c->key);
		session = cache_take(c->key);
	}
	if (session)
		kssl_config_set_session(config, session);
	SSL_SESSION_free(session);
	return config;
}

/**
 * conn_start() - begin the handshake; by the worker whose it is
 * @c: connection; its control file is given away
 *
 * Return: 0, or -errno after the reason was logged.
 */
int conn_start(struct conn *c)
{
	struct kssl_config *config = new_config(c);
	const char *name = c->request.name[0] ? c->request.name : NULL;

	if (!config) {
		kssl_refuse(c->request.control, ENOMEM, "the helper is out of memory");
		return -ENOMEM;
	}
	c->k = kssl_adopt(c->request.control, c->profile->server, c->profile->server ? NULL : name, config);
	if (!c->k)
		log_request(LOG_IS_WARNING, &c->request, kssl_error(NULL));
	kssl_config_free(config);
	return c->k ? 0 : -EIO;
}
