/* SPDX-License-Identifier: MIT */
/*
 * A connection of libkssl with no kernel: a pair of sockets stands for its control file,
 * OpenSSL on memory for its peer, and between them nothing is protected: so a handshake
 * is over at KSSL_OP_DONE.
 */
#ifndef LINK_H
#define LINK_H

#include <stdio.h>
#include <stdlib.h>
#include "libkssl.h"

#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, doing, #cond); \
			exit(1);						\
		}								\
	} while (0)

/* What a test is at, for CHECK(). */
extern const char *doing;

/* The last one that a control file was given. */
extern struct kssl_policy link_policy;

#define LINK_LABEL	"EXPORTER-Channel-Binding"

extern const struct kssl_suite_info link_suites[];
extern const unsigned int link_suites_count;

/**
 * struct link - a connection, and what stands for the kernel and the peer
 * @k: connection
 * @kernel: other end of its control file
 * @ssl: peer
 * @in: what it reads
 * @out: what it wrote
 * @session: of KSSL_OP_SESSION
 * @chain: of KSSL_OP_PEER_CHAIN
 * @chain_len: bytes of it
 * @exported: of KSSL_OP_EXPORTER
 * @exported_len: bytes of it
 * @result: of KSSL_OP_RESULT
 * @error: of KSSL_OP_FAIL
 * @done: KSSL_OP_DONE came, after the above
 */
struct link {
	struct kssl *k;
	int kernel;
	SSL *ssl;
	BIO *in;
	BIO *out;
	struct kssl_session session;
	uint8_t chain[8192];
	size_t chain_len;
	uint8_t exported[64];
	size_t exported_len;
	struct kssl_result result;
	struct kssl_error error;
	int done;
};

int link_make(struct link *l, SSL *peer);
void link_shake_hands(struct link *l, struct kssl *k);
void link_tell(struct link *l, uint16_t kind, uint8_t type, uint32_t epoch, uint32_t value, const void *payload,
	       size_t len);
void link_take_batches(struct link *l);
void link_drop(struct link *l);

#endif
