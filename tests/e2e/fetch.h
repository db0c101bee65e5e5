/* SPDX-License-Identifier: MIT */
/*
 * From selfserv of NSS, which answers one request with a file, and closes.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stddef.h>
#include <stdint.h>
#include "link.h"

/**
 * struct fetch - the file
 * @path: where it is
 * @contents: what is in it
 * @len: bytes of that
 */
struct fetch {
	char path[32];
	uint8_t *contents;
	size_t len;
};

void fetch_prepare(struct fetch *f, size_t len);
void fetch_request(const struct fetch *f, struct link *l, const char *headers);
void fetch_answer(const struct fetch *f, struct link *l);
void fetch_end(struct fetch *f);

#endif /* FETCH_H */
