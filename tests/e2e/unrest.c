// SPDX-License-Identifier: MIT
/* Connections whose keys change all the time. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include "unrest.h"

/* Data each way at a time. */
#define DATA	400000

static uint64_t seed;

static void make_seed(void)
{
	const char *text = getenv("E2E_SEED");

	if (text)
		seed = strtoull(text, NULL, 0);
	else
		EQ(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	seed |= 1;
	note("E2E_SEED=%#llx", (unsigned long long)seed);
}

unsigned int any(unsigned int below)
{
	if (!seed)
		make_seed();
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

unsigned int unrest_count(void)
{
	const char *text = getenv("E2E_STORM");

	return text ? strtoul(text, NULL, 0) : 100;
}

void unrest_open(struct unrest *u, int unwatched)
{
	struct kssl_config *config = agreeable_config("ecdsa");

	memset(u, 0, sizeof(*u));
	u->mind = (struct mind) {
		.suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384",
		.alpn = "one", .name = "localhost", .cert = "ecdsa", .no_etm = 1, .seed = any(~0u),
	};
	u->l.unwatched = unwatched;
	chameleon_start(&u->l, &u->mind);
	CHECK(link_handshake(&u->l, config, "localhost"));
	kssl_config_free(config);
	SYS(fcntl(u->l.fd, F_SETFL, O_NONBLOCK));
}

void unrest_begin(struct unrest *u, int one_in, int etm)
{
	u->mind.unrest = one_in;
	u->mind.no_etm = !etm;
	chameleon_tell(&u->mind);
}

void unrest_start(struct unrest *u)
{
	int request = any(2), ret;

	if (is_13()) {
		GIVES(kssl_key_update(u->l.k, request), 0);
		u->started++;
		u->requested += request;
		return;
	}
	ret = kssl_renegotiate(u->l.k, !v->server && any(2) ? KSSL_RENEG_RESUME : KSSL_RENEG_FULL);
	if (ret != -EALREADY)
		GIVES(ret, 0);
	u->started += !ret;
}

unsigned int unrest_changes(struct unrest *u)
{
	struct kssl_status st = link_status(&u->l);

	return is_13() ? st.tx.epoch + st.rx.epoch - 2 : st.handshakes - 1;
}

/* Somewhere in what is still to be moved. */
static void start_later(struct link *l)
{
	uint64_t at = l->at + 1 + any(DATA / 5);

	unrest_start((struct unrest *)l);
	if (at >= l->up.want + l->down.want)
		return;
	l->at = at;
	l->then = start_later;
}

void unrest_move(struct unrest *u, unsigned int count)
{
	unsigned int moves = 0;

	while (unrest_changes(u) < count) {
		CHECK(moves++ < count + 10);
		link_at(&u->l, 1 + any(DATA / 5), start_later);
		link_move(&u->l, DATA, DATA);
		link_check_data(&u->l);
	}
}

/* ---- the end ---- */

/* What is under way is over when data behind it has arrived, and data behind what that led to. */
static struct tally calm_down(struct unrest *u)
{
	int i;

	u->mind.unrest = 0;
	chameleon_tell(&u->mind);
	for (i = 0; i < 2; i++) {
		link_move(&u->l, 1000, 1000);
		GIVES(kssl_wait(u->l.k, 60000), 0);
	}
	link_check_data(&u->l);
	return chameleon_tell(&u->mind);
}

static void check_updates(struct unrest *u, const struct tally *t)
{
	struct kssl_status st = link_status(&u->l);

	EQ(st.tx.epoch, 1 + t->updates_received);
	EQ(st.rx.epoch, 1 + t->updates_sent);
	/* A request that comes before the last was answered needs no answer of its own. */
	CHECK(t->updates_received >= u->started);
	CHECK(t->updates_received <= u->started + t->updates_requested);
	note("%u KeyUpdates sent, %u received; %u and %u of them requested one", t->updates_received,
	     t->updates_sent, u->requested, t->updates_requested);
}

static void check_renegotiations(struct unrest *u, const struct tally *t)
{
	struct kssl_status st = link_status(&u->l);
	unsigned int count = t->handshakes - 1;

	EQ(st.handshakes, 1 + count);
	EQ(st.tx.epoch, 1 + count);
	EQ(st.rx.epoch, 1 + count);
	link_wait(&u->l, KSSL_EVENT_RENEGOTIATED, ANYBODY, count);
	EQ(link_count(&u->l, KSSL_EVENT_RENEGOTIATED, ANYBODY), count);
	EQ(link_count(&u->l, KSSL_EVENT_REFUSED, ANYBODY), 0);
	/* What both start at once is one handshake. */
	CHECK(count >= u->started && count >= t->started);
	CHECK(count <= u->started + t->started);
	note("%u renegotiations; we started %u, the peer %u, %u both at once", count, u->started,
	     t->started, u->started + t->started - count);
}

void unrest_end(struct unrest *u)
{
	struct tally tally = calm_down(u);
	struct kssl_status st = link_status(&u->l);

	EQ(st.tx.state, KSSL_STATE_ACTIVE);
	EQ(st.rx.state, KSSL_STATE_ACTIVE);
	EQ(st.tx.bytes, u->l.sent);
	EQ(st.rx.bytes, u->l.received);
	if (is_13())
		check_updates(u, &tally);
	else
		check_renegotiations(u, &tally);
	note("%llu + %llu bytes, none lost; longest hold of sending %.1f ms", (unsigned long long)u->l.sent,
	     (unsigned long long)u->l.received, st.hold_max_ns / 1e6);
	SYS(shutdown(u->l.fd, SHUT_WR));
	EQ(chameleon_join(&u->l) & ~CHAMELEON_GOT_HELLO, CHAMELEON_CLOSED);
	link_close(&u->l);
}
