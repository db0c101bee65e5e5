/* SPDX-License-Identifier: MIT */
/*
 * All of kssld but netlink and threads: a configuration's text becomes profiles, and a
 * request a connection with OpenSSL at its other end.  The clock is the test's.
 */
#ifndef SCENE_H
#define SCENE_H

#include <time.h>
#include "../../userspace/daemon/kssld.h"
#include "link.h"

#define SERVER(cert)	"certificate = \"build/certs/" cert ".crt\"\nkey = \"build/certs/" cert ".key\"\n"
#define RSA_SERVER	SERVER("rsa") "allow = { \"everybody\" }\n"
#define TRUST		"trust = \"build/certs/ca.crt\"\n"
#define CLIENT		"role = \"client\"\n" TRUST

/* Where a test may have files. */
extern char scene_dir[32];

/* Seconds by which time() runs ahead, for OpenSSL too. */
extern time_t scene_ahead;

extern const int scene_versions[];

#define FOR_VERSIONS(v)								\
	for (unsigned int v##_i = 0; v##_i < 2; v##_i++)			\
		for (int v = scene_versions[v##_i], once = 1; once; once = 0)

/**
 * struct end - a connection of the daemon, and the peer's end of it
 * @c: the daemon's
 * @l: the peer's
 */
struct end {
	struct conn *c;
	struct link l;
};

/**
 * struct scene_test - one of a program's
 * @name: for a person
 * @run: it ends the process if it fails
 */
struct scene_test {
	const char *name;
	void (*run)(void);
};

const char *scene_path(const char *name);
void scene_write(const char *name, const char *text);
void scene_remove(const char *path);
struct settings *scene_try(const char *text, char *why);
struct settings *scene_read(const char *text);
struct settings *scene_profile(const char *words);
void scene_refused(const char *words, const char *why_not);
SSL_CTX *scene_peer_ctx(const struct settings *s, int version, const char *cert);
SSL *scene_new_peer(SSL_CTX *ctx, bool server);
struct request scene_request(const struct settings *s);
void scene_shake_hands(struct end *e, struct settings *s, const struct request *r, SSL *peer);
void scene_drop(struct end *e);
bool scene_is_up(const struct end *e);
bool scene_tries(struct settings *s, const struct request *r, SSL_CTX *ctx);
struct kssl_error scene_fails(struct settings *s, const struct request *r, SSL_CTX *ctx);
int scene_main(const struct scene_test *tests, unsigned int count);

#endif
