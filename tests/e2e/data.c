// SPDX-License-Identifier: MIT
/* Bulk data both ways through unmodified peers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "link.h"

static struct link l;

static uint64_t bulk(void)
{
	const char *mb = getenv("E2E_BULK_MB");

	return (mb ? strtoull(mb, NULL, 0) : 8) << 20;
}

/* Where possible without remarks, so that every byte value is data. */
static struct peer_setup quiet_peer(void)
{
	struct peer_setup setup = usual_peer();

	setup.quiet = v->stack == OPENSSL || v->server;
	return setup;
}

static void bulk_both_ways(void)
{
	struct peer_setup setup = quiet_peer();

	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	link_move(&l, up_to_peer(bulk()), bulk());
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), 1, 1);
	EQ(link_count(&l, KSSL_EVENT_HANDSHAKE_DONE, v->server), 1);
	link_close(&l);
}

/* Many small writes, each of which is a record, against small reads of the peer. */
static void small_writes(void)
{
	struct peer_setup setup = quiet_peer();
	uint64_t records;
	int i;

	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	records = link_status(&l).tx.records;
	for (i = 1; i <= 200; i++)
		link_move(&l, i, i & 1 ? 100 : 0);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), 1, 1);
	CHECK(link_status(&l).tx.records >= records + 200);
	link_close(&l);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "bulk both ways", OVER_STACKS | OVER_ROLES | OVER_VERSIONS | OVER_KEYS, bulk_both_ways },
		{ "small writes", OVER_STACKS | OVER_ROLES | OVER_VERSIONS, small_writes },
		{ "bulk both ways", OVER_STACKS | OVER_ROLES | OVER_OLD, bulk_both_ways },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
