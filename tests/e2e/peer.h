/* SPDX-License-Identifier: MIT */
/*
 * Peers that know nothing of kssl: openssl s_server and s_client, gnutls-serv
 * and gnutls-cli, selfserv, tstclnt and strsclnt of NSS, and an echo made of JSSE, as child
 * processes between pipes.
 *
 * What they are asked to send and what they print of what they received go
 * through the same pipes as their commands and their remarks.  So, unless they
 * are quiet, data consists of bytes from 0x80 on, and everything in ASCII is
 * theirs.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "tap.h"

#define PEER_OPTIONS_MAX	16

/**
 * struct peer_setup - how to start one
 * @stack: whose
 * @server: it listens, else it connects to @port
 * @version: protocol version as on the wire
 * @bits: length of the AES key
 * @quiet: no remarks and no commands: data may be any bytes
 * @suite: openssl's name of the suite instead of what @bits says, or NULL
 * @cert: name of its certificate in the directory of certificates; NULL: a
 *	client has none, a server has "ecdsa", or that of NSS "rsa"
 * @wants_cert: a server that demands a certificate of ours
 * @connections: a client makes so many, one after another, and resumes the first
 *	one's session if it can; 0 is 1, openssl's makes one, GnuTLS's two at most.
 *	With more than one gnutls-serv keeps sessions, but then it can't renegotiate
 * @session: file where openssl's client keeps its session, from one process to the
 *	next; NULL: nowhere
 * @record_limit: content of the longest record it takes (GnuTLS), or what of it is
 *	protected (NSS); of an OpenSSL client its max_fragment_length; 0: as it comes
 * @options: further ones, ended by NULL
 */
struct peer_setup {
	enum stack stack;
	int server;
	uint16_t version;
	int bits;
	int quiet;
	const char *suite;
	const char *cert;
	int wants_cert;
	int connections;
	const char *session;
	unsigned int record_limit;
	const char *options[PEER_OPTIONS_MAX];
};

/**
 * struct remarks - what a peer printed in ASCII, the latest part of it
 * @text: terminated by a zero
 * @len: bytes of it, without that
 */
struct remarks {
	char text[16384];
	size_t len;
};

/**
 * struct peer - a running one
 * @pid: its process
 * @in: its standard input
 * @out: its standard output
 * @err: its standard error, -1 if that goes nowhere
 * @echo: it sends back what it receives, line by line, and has no input
 * @binary: data may be any bytes
 * @port: where it listens
 * @said: to its standard output
 * @complained: to its standard error, which comes an octet at a time and when it likes
 */
struct peer {
	pid_t pid;
	int in;
	int out;
	int err;
	int echo;
	int binary;
	int port;
	struct remarks said;
	struct remarks complained;
};

/* Directory of certificates: ca.crt, and NAME.crt and NAME.key. */
extern const char *certs;

/* Path of a file there; good until the 32nd next call. */
const char *cert_path(const char *name, const char *suffix);

/* Start one; as client it connects to @port. */
void peer_start(struct peer *p, const struct peer_setup *setup, int port);

/* Give it a line of commands, alone in what it reads at a time. */
void peer_command(struct peer *p, const char *line);

/* Has it taken the last command? */
int peer_is_idle(const struct peer *p);

/* Take what it has printed: data goes to @buf, the rest to @said. Bytes of data; 0 if none
 * came; -1 at the end. */
ssize_t peer_take(struct peer *p, uint8_t *buf, size_t len);

/* Likewise from its standard error, which has no data; 1 if anything came. */
int peer_take_remarks(struct peer *p);

/* Move what is not data from @buf to @said; bytes of data left in @buf. */
size_t peer_sift(struct peer *p, uint8_t *buf, size_t len);

/* Wait until it has said @text in one of the two, or until @text NULL: until it has ended. */
void peer_wait(struct peer *p, const char *text);
int peer_has_said(const struct peer *p, const char *text);

/* End it at once. */
void peer_kill(struct peer *p);

#endif
