/* SPDX-License-Identifier: MIT */
/*
 * A bystander who has the keys: reads both directions of a TLS connection as they
 * were on the wire, record by record, and objects to whatever the RFCs forbid.  It
 * is strict with one side, ours, and lets the other do what RFCs let it do.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "flow.h"

enum {
	OURS,
	THEIRS,
};

struct wire;

/**
 * struct wire_mark - how far the application was, after it had read something
 * @received: bytes it had read
 * @sent: bytes it had written by then: what it writes later comes after what it has read
 */
struct wire_mark {
	uint64_t received;
	uint64_t sent;
};

/**
 * struct wire_totals - what the ends know of the data of one direction
 * @bytes: so many were seen by the test itself
 * @digest: SHA-256 of those, the first ones
 * @all: all bytes there are, WIRE_UNKNOWN if that is not known
 * @marks: of the peer's: in order, may be NULL
 * @marks_count: how many
 * @ended: of the peer's: its close_notify was read before we closed
 */
struct wire_totals {
	uint64_t bytes;
	uint8_t digest[32];
	uint64_t all;
	const struct wire_mark *marks;
	size_t marks_count;
	int ended;
};

#define WIRE_UNKNOWN	UINT64_MAX

/* We are the server, or the client. */
struct wire *wire_new(int server);
void wire_free(struct wire *w);

/* A line of a key log; at any time, by any thread. @arg: struct wire. */
void wire_key_line(const char *line, void *arg);

/* Read all of a connection. @totals: of each direction, or NULL where nothing is known. */
void wire_read(struct wire *w, const struct flow *ours, const struct flow *theirs,
	       const struct wire_totals *our_data, const struct wire_totals *their_data);

/* The objections so far, and the @i-th of those that were kept. */
unsigned int wire_objections(const struct wire *w);
const char *wire_objection(const struct wire *w, unsigned int i);

/* Print the objections, and the records before the first. */
void wire_print(const struct wire *w);

/* One line about what was there. */
const char *wire_summary(const struct wire *w);

/* What was agreed on last. */
uint16_t wire_suite(const struct wire *w);
int wire_etm(const struct wire *w);
/* Keys a side has had for data, and bytes of data it sent. */
unsigned int wire_epochs(const struct wire *w, int whose);
uint64_t wire_bytes(const struct wire *w, int whose);

#endif
