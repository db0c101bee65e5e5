// SPDX-License-Identifier: MIT
/*
 * Traffic secrets of TLS 1.3.  The key log callback is the only public way to
 * them; it belongs to the SSL_CTX, so one that was there before is called too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "engine_priv.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t arm_lock = PTHREAD_MUTEX_INITIALIZER;
static int engine_index = -1;
static int previous_index = -1;

static void get_indexes(void)
{
	engine_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	previous_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/**
 * kssl_engine_of() - the engine an SSL object belongs to
 * @ssl: any SSL object
 *
 * Return: the engine, or NULL.
 */
struct kssl_engine *kssl_engine_of(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, engine_index);
}

/**
 * kssl_engine_attach() - make an engine findable by its SSL object
 * @e: engine
 * @ssl: its SSL object
 *
 * Return: 0 or -ENOMEM.
 */
int kssl_engine_attach(struct kssl_engine *e, SSL *ssl)
{
	return SSL_set_ex_data(ssl, engine_index, e) ? 0 : -ENOMEM;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void read_hex(const char *hex, struct kssl_secret *secret)
{
	secret->len = 0;
	while (hex[0] && secret->len < KSSL_SECRET_MAX) {
		int high = hex_value(hex[0]), low = hex_value(hex[1]);

		if (high < 0 || low < 0)
			break;
		secret->bytes[secret->len++] = high << 4 | low;
		hex += 2;
	}
}

/* "LABEL client-random secret"; later generations are derived, not read here. */
static void take_line(struct kssl_engine *e, const char *line)
{
	static const char *const labels[] = {
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
		"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 ",
	};
	struct kssl_secret *const secrets[] = {
		&e->handshake_secret[0], &e->handshake_secret[1], &e->secret[0], &e->secret[1],
	};
	size_t i;

	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		size_t len = strlen(labels[i]);
		const char *hex;

		if (strncmp(line, labels[i], len))
			continue;
		hex = strchr(line + len, ' ');
		if (hex)
			read_hex(hex + 1, secrets[i]);
	}
}

static void on_keylog(const SSL *ssl, const char *line)
{
	struct kssl_engine *e = kssl_engine_of(ssl);
	SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
	SSL_CTX_keylog_cb_func previous;
	/* ISO C has no conversion between pointers to objects and to functions. */
	void *p = SSL_CTX_get_ex_data(ctx, previous_index);

	if (e && e->phase == KSSL_PHASE_PLAIN)
		take_line(e, line);
	if (e && e->keylog)
		e->keylog(line, e->keylog_arg);
	if (p) {
		memcpy(&previous, &p, sizeof(previous));
		previous(ssl, line);
	}
}

/**
 * kssl_keylog_arm() - have the secrets of a context's connections told to us
 * @ctx: context; may be armed already
 *
 * Return: 0 or -ENOMEM.
 */
int kssl_keylog_arm(SSL_CTX *ctx)
{
	SSL_CTX_keylog_cb_func previous;
	void *p;
	int ret = 0;

	pthread_once(&once, get_indexes);
	if (engine_index < 0 || previous_index < 0)
		return -ENOMEM;
	pthread_mutex_lock(&arm_lock);
	previous = SSL_CTX_get_keylog_callback(ctx);
	if (previous != on_keylog) {
		memcpy(&p, &previous, sizeof(p));
		if (SSL_CTX_set_ex_data(ctx, previous_index, p))
			SSL_CTX_set_keylog_callback(ctx, on_keylog);
		else
			ret = -ENOMEM;
	}
	pthread_mutex_unlock(&arm_lock);
	return ret;
}
