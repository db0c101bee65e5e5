/* SPDX-License-Identifier: MIT */
/* kssld with a configuration of the test's own, and the sockets that know no more than setsockopt. */
#ifndef SERVICE_H
#define SERVICE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>
#include <openssl/ssl.h>
#include <linux/kssl.h>
#include "tap.h"

#define PATIENCE_MS	60000
#define SERVICE_PROGRAM	"build/userspace/kssld"

/* The daemon that was started last; 0: none. */
extern pid_t service_pid;

/* Where it keeps its ticket keys. */
extern char service_tickets[64];

/* Start one whose configuration begins with @profiles; it ends with the test. */
void service_set_up(const char *profiles);

/* What its configuration is from now on, for SIGHUP: @more behind the profiles. */
void service_write_conf(const char *more);
void service_start(void);
void service_stop(int signal);

/* Wait until one says @what to its service manager.  Return: its process, if it tells. */
pid_t service_wait_told(const char *what);

/* OpenSSL's side for a peer: the ECDSA certificate as server, trust as client. */
SSL_CTX *peer_context(int server, uint16_t version);

struct kssl_handshake as_client(const char *profile, const char *name);
struct kssl_handshake as_server(const char *profile);

/* Bound to the loopback, and not yet listening. */
int listen_on(struct sockaddr_in *sa);
int connect_to(const struct sockaddr_in *sa);
void set_ulp(int fd);

/* What comes back has to be @text. */
void echo(int fd, const char *text);
struct kssl_session session_of(int fd);
struct kssl_error error_of(int fd);

#endif
