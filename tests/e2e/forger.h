/* SPDX-License-Identifier: MIT */
/*
 * A peer of our own, made of OpenSSL on memory BIOs, that knows its keys and can
 * forge the records it sends: right behind its Finished, and in the same write, it
 * sends data, and one byte of the Finished may be wrong.
 */
#ifndef FORGER_H
#define FORGER_H

#include <stdint.h>

/* What it sends before the handshake that it forges, and behind its Finished. */
#define FORGER_BEFORE	"before"
#define FORGER_BEHIND	"behind the Finished"

/* What it ends with, if not with the fatal alert that came. */
#define FORGER_CLOSED	0	/* close_notify */
#define FORGER_CUT_OFF	200
#define FORGER_CONFUSED	201

/**
 * struct forger - what to do
 * @fd: its socket
 * @server: it is the server
 * @version: protocol version as on the wire
 * @handshake: which of its handshakes: 1 the first, 2 a renegotiation that it starts
 * @honest: the Finished is right all the same
 */
struct forger {
	int fd;
	int server;
	uint16_t version;
	int handshake;
	int honest;
};

/* Be it; how it ended. */
int forger_run(const struct forger *f);

#endif
