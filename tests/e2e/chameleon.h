/* SPDX-License-Identifier: MIT */
/*
 * A peer of our own, made of OpenSSL, that changes its mind in mid-connection: what
 * it offers and what it agrees to can be set anew before each handshake.  Else it
 * moves data as "s_client -quiet" and "s_server -quiet" do, and takes data for as
 * long as OpenSSL can: up to the ServerHello of a renegotiation.
 */
#ifndef CHAMELEON_H
#define CHAMELEON_H

#include <stdint.h>
#include "link.h"

/**
 * struct mind - what it wants from now on
 * @suites: list for OpenSSL; with @unrest, of which it picks one at a time
 * @alpn: the only protocol it knows, or empty
 * @name: as client: the server it asks for, or empty
 * @cert: as server: its certificate
 * @no_etm: no encrypt-then-MAC
 * @no_ems: no extended master secret
 * @renegotiate: begin now
 * @unrest: nonzero: records have any length, and behind one in so many, of either side,
 *	it begins a renegotiation, or sends a KeyUpdate that may request one
 * @seed: of its randomness, if there is unrest
 */
struct mind {
	char suites[160];
	char alpn[16];
	char name[32];
	char cert[16];
	int no_etm;
	int no_ems;
	int renegotiate;
	int unrest;
	uint64_t seed;
};

/**
 * struct tally - what it has done and seen
 * @started: renegotiations that it began
 * @handshakes: completed ones, the first of the connection among them
 * @updates_sent: KeyUpdates
 * @updates_requested: those of them that requested one
 * @updates_received: KeyUpdates of ours
 */
struct tally {
	unsigned int started;
	unsigned int handshakes;
	unsigned int updates_sent;
	unsigned int updates_requested;
	unsigned int updates_received;
};

/* What it ends with, if not with the fatal alert that came. */
#define CHAMELEON_CLOSED	0	/* close_notify */
#define CHAMELEON_CUT_OFF	126
#define CHAMELEON_CONFUSED	127
/* Added if a ServerHello of the last handshake reached it. */
#define CHAMELEON_GOT_HELLO	128

/* Our side, which agrees to everything there is; as server with certificate @cert. */
struct kssl_config *agreeable_config(const char *cert);

/* Connect it to @l, of which the other end is the server if @l is not. */
void chameleon_start(struct link *l, const struct mind *mind);

/* When this returns it has changed its mind, which it does not in the middle of a handshake. */
struct tally chameleon_tell(const struct mind *mind);

/* Wait for its end; how it ended. */
int chameleon_join(struct link *l);

#endif
