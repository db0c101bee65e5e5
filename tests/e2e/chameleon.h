/* SPDX-License-Identifier: MIT */
/*
 * A peer of our own, made of OpenSSL, that changes its mind in mid-connection: what
 * it offers and what it agrees to can be set anew before each handshake.  Else it
 * moves data as "s_client -quiet" and "s_server -quiet" do.
 */
#ifndef CHAMELEON_H
#define CHAMELEON_H

#include "link.h"

/**
 * struct mind - what it wants from now on
 * @suites: list for OpenSSL
 * @alpn: the only protocol it knows, or empty
 * @name: as client: the server it asks for, or empty
 * @cert: as server: its certificate
 * @no_etm: no encrypt-then-MAC
 * @no_ems: no extended master secret
 * @renegotiate: begin now
 */
struct mind {
	char suites[80];
	char alpn[16];
	char name[32];
	char cert[16];
	int no_etm;
	int no_ems;
	int renegotiate;
};

/* What it ends with, if not with the fatal alert that came. */
#define CHAMELEON_CLOSED	0	/* close_notify */
#define CHAMELEON_CUT_OFF	126
#define CHAMELEON_CONFUSED	127
/* Added if a ServerHello of the last handshake reached it. */
#define CHAMELEON_GOT_HELLO	128

/* Connect it to @l, of which the other end is the server if @l is not. */
void chameleon_start(struct link *l, const struct mind *mind);

/* When this returns it has changed its mind. */
void chameleon_tell(const struct mind *mind);

/* Wait for its end; how it ended. */
int chameleon_join(struct link *l);

#endif
