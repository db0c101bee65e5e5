// SPDX-License-Identifier: MIT
/* Renegotiations and KeyUpdates by both sides, in numbers, while both send and receive. */
#include "unrest.h"

/* On one connection: what was on the wire is kept in memory. */
#define CHANGES_MAX	1000

static struct unrest u;

static void by_both(void)
{
	unsigned int left = unrest_count(), part;

	for (; left; left -= part) {
		part = left < CHANGES_MAX ? left : CHANGES_MAX;
		unrest_open(&u, 0);
		link_move(&u.l, 1000, 1000);
		unrest_begin(&u, 8, 0);
		unrest_move(&u, part / 2);
		unrest_begin(&u, 8, 1);
		unrest_move(&u, part);
		unrest_end(&u);
	}
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "renegotiations by both", OVER_OPENSSL | OVER_ROLES | OVER_TLS12 | OVER_SUITES, by_both },
		{ "KeyUpdates by both", OVER_OPENSSL | OVER_ROLES | OVER_TLS13 | OVER_SUITES, by_both },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
