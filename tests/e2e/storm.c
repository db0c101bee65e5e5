// SPDX-License-Identifier: MIT
/*
 * Keys that change all the time, by both sides and at random, while data moves
 * both ways.  E2E_STORM: how many changes in each test; E2E_SEED: of the randomness.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include "chameleon.h"

/* Data each way at a time. */
#define DATA	400000

/* On one connection; what was on the wire is kept in memory. */
#define CHANGES_MAX	1000

static struct link l;
static struct mind mind;
static uint64_t seed;
static unsigned int started, requested;

static unsigned int any(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

static unsigned int number(const char *name, unsigned int usual)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : usual;
}

/* ---- our part ---- */

static void start_one(void)
{
	int request = any(2), ret;

	if (is_13()) {
		GIVES(kssl_key_update(l.k, request), 0);
		started++;
		requested += request;
		return;
	}
	ret = kssl_renegotiate(l.k, !v->server && any(2) ? KSSL_RENEG_RESUME : KSSL_RENEG_FULL);
	if (ret != -EALREADY)
		GIVES(ret, 0);
	started += !ret;
}

/* Somewhere in what is still to be sent. */
static void start_later(struct link *link)
{
	uint64_t at = link->up.made + 1 + any(DATA / 10);

	start_one();
	if (at >= link->up.want)
		return;
	link->at = at;
	link->then = start_later;
}

/* ---- both ---- */

static unsigned int changes(void)
{
	struct kssl_status st = link_status(&l);

	return is_13() ? st.tx.epoch + st.rx.epoch - 2 : st.handshakes - 1;
}

static void move_until(unsigned int count)
{
	unsigned int moves = 0;

	while (changes() < count) {
		CHECK(moves++ < count + 10);
		link_at(&l, 1 + any(DATA / 10), start_later);
		link_move(&l, DATA, DATA);
		link_check_data(&l);
	}
}

static void begin(uint64_t peers_seed)
{
	struct kssl_config *config = agreeable_config("ecdsa");

	memset(&l, 0, sizeof(l));
	started = requested = 0;
	mind = (struct mind) {
		.suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
			  "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384",
		.alpn = "one", .name = "localhost", .cert = "ecdsa", .no_etm = 1, .seed = peers_seed,
	};
	chameleon_start(&l, &mind);
	CHECK(link_handshake(&l, config, "localhost"));
	kssl_config_free(config);
	SYS(fcntl(l.fd, F_SETFL, O_NONBLOCK));
}

/* What is under way is over when data behind it has arrived, and data behind what that led to. */
static struct tally calm_down(void)
{
	int i;

	mind.unrest = 0;
	chameleon_tell(&mind);
	for (i = 0; i < 2; i++) {
		link_move(&l, 1000, 1000);
		GIVES(kssl_wait(l.k, 60000), 0);
	}
	link_check_data(&l);
	return chameleon_tell(&mind);
}

static void check_counts(const struct tally *t)
{
	struct kssl_status st = link_status(&l);
	unsigned int handshakes;

	EQ(st.tx.state, KSSL_STATE_ACTIVE);
	EQ(st.rx.state, KSSL_STATE_ACTIVE);
	EQ(st.tx.bytes, l.sent);
	EQ(st.rx.bytes, l.received);
	if (is_13()) {
		/* A request that comes before the last was answered needs no answer of its own. */
		EQ(st.tx.epoch, 1 + t->updates_received);
		EQ(st.rx.epoch, 1 + t->updates_sent);
		CHECK(t->updates_received >= started);
		CHECK(t->updates_received <= started + t->updates_requested);
		note("%u KeyUpdates sent, %u received; %u and %u of them requested one", t->updates_received,
		     t->updates_sent, requested, t->updates_requested);
		return;
	}
	handshakes = t->handshakes;
	EQ(st.handshakes, handshakes);
	EQ(st.tx.epoch, handshakes);
	EQ(st.rx.epoch, handshakes);
	EQ(1 + link_count(&l, KSSL_EVENT_RENEGOTIATED, ANYBODY), handshakes);
	EQ(link_count(&l, KSSL_EVENT_REFUSED, ANYBODY), 0);
	/* What both start at once is one handshake. */
	CHECK(handshakes - 1 >= started && handshakes - 1 >= t->started);
	CHECK(handshakes - 1 <= started + t->started);
	note("%u renegotiations; we started %u, the peer %u, %u both at once", handshakes - 1, started,
	     t->started, started + t->started - (handshakes - 1));
}

/* So many changes on one connection. */
static void storm(unsigned int count)
{
	struct tally tally;

	begin(seed + 1);
	link_move(&l, 1000, 1000);
	mind.unrest = 4;
	chameleon_tell(&mind);
	/* From MAC-then-encrypt to encrypt-then-MAC once and never back (RFC 7366 3.1). */
	move_until(count / 2);
	mind.no_etm = 0;
	chameleon_tell(&mind);
	move_until(count);
	tally = calm_down();
	check_counts(&tally);
	note("%llu + %llu bytes, none lost; longest hold of sending %.1f ms",
	     (unsigned long long)l.sent, (unsigned long long)l.received,
	     link_status(&l).hold_max_ns / 1e6);
	SYS(shutdown(l.fd, SHUT_WR));
	EQ(chameleon_join(&l) & ~CHAMELEON_GOT_HELLO, CHAMELEON_CLOSED);
	link_close(&l);
}

static void by_both(void)
{
	unsigned int left = number("E2E_STORM", 100), part;

	if (getenv("E2E_SEED"))
		seed = strtoull(getenv("E2E_SEED"), NULL, 0);
	else
		EQ(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	seed |= 1;
	note("E2E_SEED=%#llx", (unsigned long long)seed);
	for (; left; left -= part) {
		part = left < CHANGES_MAX ? left : CHANGES_MAX;
		storm(part);
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
