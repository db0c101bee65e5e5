// SPDX-License-Identifier: MIT
/*
 * Renegotiations: who starts one, from which suite to which, and what moves at that
 * time, in all combinations.  From encrypt-then-MAC back to MAC-then-encrypt is
 * refused; change.c has that.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "chameleon.h"

/* Data one way while keys change. */
#define DATA	60000

static struct link l;
static struct mind mind;

static const struct place {
	char name;
	const char *suite;
	unsigned int id;
	int flags;
} places[] = {
	{ 'G', "ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, 0 },
	{ 'C', "ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, 0 },
	{ 'M', "ECDHE-ECDSA-AES128-SHA256", 0xc023, 0 },
	{ 'E', "ECDHE-ECDSA-AES256-SHA384", 0xc024, KSSL_KEY_ETM },
};

/* Each step from one place to another, or to itself, is taken once. */
static const char walk[] = "MMGGCCMCGMEEGECE";

static const struct activity {
	const char *name;
	unsigned int up;
	unsigned int down;
} activities[] = {
	{ "idle", 0, 0 },
	{ "sending", DATA, 0 },
	{ "receiving", 0, DATA },
	{ "both", DATA, DATA },
};

static const struct place *place_of(char name)
{
	unsigned int i = 0;

	while (places[i].name != name)
		i++;
	return &places[i];
}

static void want(const struct place *p)
{
	snprintf(mind.suites, sizeof(mind.suites), "%s", p->suite);
	mind.no_etm = !p->flags;
}

static void begin(struct link *link)
{
	chameleon_tell(&mind);
	if (!mind.renegotiate)
		GIVES(kssl_renegotiate(link->k, KSSL_RENEG_FULL), 0);
}

static void check_place(const struct place *p, unsigned int keys)
{
	GIVES(kssl_wait(l.k, 60000), 0);
	link_move(&l, 100, 100);
	link_check_data(&l);
	link_check_carried(&l, p->id, keys, keys);
	EQ(link_status(&l).tx.flags, p->flags);
	EQ(link_status(&l).rx.flags, p->flags);
	EQ(link_status(&l).handshakes, keys);
}

static void step(const struct place *to, const struct activity *a, int by_peer)
{
	int before = link_count(&l, KSSL_EVENT_RENEGOTIATED, by_peer);

	want(to);
	if (a->up || a->down) {
		link_at(&l, (a->up + a->down) / 2, begin);
		link_move(&l, a->up, a->down);
	} else {
		begin(&l);
	}
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, by_peer, before + 1);
}

static void take_walk(const struct activity *a, int by_peer)
{
	struct kssl_config *config = agreeable_config("ecdsa");
	unsigned int i;

	memset(&l, 0, sizeof(l));
	mind = (struct mind) { .alpn = "one", .name = "localhost", .cert = "ecdsa", .renegotiate = by_peer };
	want(place_of(walk[0]));
	chameleon_start(&l, &mind);
	CHECK(link_handshake(&l, config, "localhost"));
	kssl_config_free(config);
	SYS(fcntl(l.fd, F_SETFL, O_NONBLOCK));
	check_place(place_of(walk[0]), 1);
	for (i = 1; walk[i]; i++) {
		step(place_of(walk[i]), a, by_peer);
		check_place(place_of(walk[i]), i + 1);
	}
	note("%s: %u renegotiations, sending held for at most %.1f ms", a->name, i - 1,
	     link_status(&l).hold_max_ns / 1e6);
	SYS(shutdown(l.fd, SHUT_WR));
	EQ(chameleon_join(&l) & ~CHAMELEON_GOT_HELLO, CHAMELEON_CLOSED);
	link_close(&l);
}

static void take_walks(int by_peer)
{
	unsigned int i;

	for (i = 0; i < sizeof(activities) / sizeof(activities[0]); i++)
		take_walk(&activities[i], by_peer);
}

static void by_us(void)
{
	take_walks(0);
}

static void by_peer(void)
{
	take_walks(1);
}

int main(int argc, char **argv)
{
	const unsigned int over = OVER_OPENSSL | OVER_ROLES | OVER_TLS12 | OVER_SUITES;
	const struct test tests[] = {
		{ "from each suite to each, by us", over, by_us },
		{ "from each suite to each, by the peer", over, by_peer },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
