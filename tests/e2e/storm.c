// SPDX-License-Identifier: MIT
/* Renegotiations and KeyUpdates by both sides, in numbers, while both send and receive. */
#include "unrest.h"

/* Data each way at a time. */
#define DATA	400000

/* On one connection: what was on the wire is kept in memory. */
#define CHANGES_MAX	1000

static struct unrest u;

/* Somewhere in what is still to be sent. */
static void start_later(struct link *l)
{
	uint64_t at = l->up.made + 1 + any(DATA / 10);

	unrest_start(&u);
	if (at >= l->up.want)
		return;
	l->at = at;
	l->then = start_later;
}

static void move_until(unsigned int count)
{
	unsigned int moves = 0;

	while (unrest_changes(&u) < count) {
		CHECK(moves++ < count + 10);
		link_at(&u.l, 1 + any(DATA / 10), start_later);
		link_move(&u.l, DATA, DATA);
		link_check_data(&u.l);
	}
}

static void by_both(void)
{
	unsigned int left = unrest_count(), part;

	for (; left; left -= part) {
		part = left < CHANGES_MAX ? left : CHANGES_MAX;
		unrest_open(&u, 0);
		link_move(&u.l, 1000, 1000);
		unrest_begin(&u, 8, 0);
		move_until(part / 2);
		unrest_begin(&u, 8, 1);
		move_until(part);
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
