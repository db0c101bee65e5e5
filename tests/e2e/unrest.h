/* SPDX-License-Identifier: MIT */
/*
 * A connection with a chameleon whose keys change all the time, by both sides and
 * at random.  E2E_STORM: how many changes a test sees; E2E_SEED: of the randomness.
 */
#ifndef UNREST_H
#define UNREST_H

#include "chameleon.h"

/**
 * struct unrest - it
 * @l: the connection; first, so that its callbacks find the rest
 * @mind: what its peer was told last
 * @started: renegotiations or KeyUpdates that we began
 * @requested: those of the KeyUpdates that requested one
 */
struct unrest {
	struct link l;
	struct mind mind;
	unsigned int started;
	unsigned int requested;
};

/* How many changes a test is to see. */
unsigned int unrest_count(void);

/* From 0 to @below - 1. */
unsigned int any(unsigned int below);

/* Connect, and all is quiet yet. @unwatched: nobody looks at the wire. */
void unrest_open(struct unrest *u, int unwatched);

/* From now on the peer begins behind one in so many records. @etm: from now on and for ever
 * (RFC 7366 3.1) CBC suites come with encrypt-then-MAC. */
void unrest_begin(struct unrest *u, int one_in, int etm);

/* Let us begin one, if none runs. */
void unrest_start(struct unrest *u);

/* Keys of both directions, or renegotiations, that came after the first. */
unsigned int unrest_changes(struct unrest *u);

/* Move data both ways, and let us begin at random too, until there were so many changes. */
void unrest_move(struct unrest *u, unsigned int count);

/* The end: what is under way completes, the counts of both sides agree, data passes, all is closed. */
void unrest_end(struct unrest *u);

#endif
