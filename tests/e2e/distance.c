// SPDX-License-Identifier: MIT
/*
 * A peer at a distance, in another network namespace: how long sending is held for
 * a renegotiation, in round trips; and storms where packets get lost and overtake
 * each other.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "unrest.h"

/* There and back. */
#define RTT_MS	20

#define NEAR	"10.75.0.1"
#define HELD_MAX	1000

static struct unrest u;

/* ---- the network ---- */

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[200];
	va_list args;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	status = system(command);
	if (status)
		check_failed(__FILE__, __LINE__, "\"%s\": exit status %#x", command, status);
}

static int new_netns(void)
{
	SYS(unshare(CLONE_NEWNET));
	return SYS(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
}

/* Ends of a cable, each in a namespace of its own; packets of the size of the cable's. */
static int far;

static void lay_cable(void)
{
	int near = new_netns();

	far = new_netns();
	run("ip link add far type veth peer name near");
	run("ip link set near netns /proc/%d/fd/%d", getpid(), near);
	run("ip addr add 10.75.0.2/24 dev far && ip link set far up gso_max_segs 1");
	SYS(setns(near, CLONE_NEWNET));
	run("ip addr add " NEAR "/24 dev near && ip link set near up gso_max_segs 1 && ip link set lo up");
	link_place(NEAR, far);
	close(near);
}

/* @what: netem's words. */
static void shape(const char *what)
{
	int near = SYS(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));

	run("tc qdisc replace dev near root netem limit 20000 delay %dms %s", RTT_MS / 2, what);
	SYS(setns(far, CLONE_NEWNET));
	run("tc qdisc replace dev far root netem limit 20000 delay %dms %s", RTT_MS / 2, what);
	SYS(setns(near, CLONE_NEWNET));
	close(near);
}

/* ---- how long sending is held ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void start(struct link *l)
{
	GIVES(kssl_renegotiate(l->k, KSSL_RENEG_FULL), 0);
	u.started++;
}

/* Median in ms of so many. */
static double measure(const char *when, int count, int rtts, int sending)
{
	static double held[HELD_MAX];
	double p50, p99;
	int i;

	for (i = 0; i < count; i++) {
		struct kssl_status before = link_status(&u.l), after;

		if (sending) {
			link_at(&u.l, 40000, start);
			link_move(&u.l, 80000, 2000);
		} else {
			start(&u.l);
		}
		link_wait(&u.l, KSSL_EVENT_RENEGOTIATED, 0, u.started);
		GIVES(kssl_wait(u.l.k, 60000), 0);
		link_move(&u.l, 2000, 2000);
		after = link_status(&u.l);
		EQ(after.holds, before.holds + 1);
		held[i] = after.hold_last_ns / 1e6;
		/* Else it would not measure what it says. */
		CHECK(held[i] >= rtts * RTT_MS);
	}
	link_check_data(&u.l);
	qsort(held, count, sizeof(held[0]), compare);
	p50 = held[count / 2];
	p99 = held[(count * 99 + 99) / 100 - 1];
	note("%s: held %d times, p50 %.1f ms, p99 %.1f ms%s", when, count, p50, p99, rtts ? "" : ", no distance");
	if (rtts)
		note("%s: p50 %.2f RTT, p99 %.2f RTT of %d ms; %d RTT are what the handshake takes", when,
		     p50 / RTT_MS, p99 / RTT_MS, RTT_MS, rtts);
	return p50;
}

static void held(void)
{
	/* As client from ClientHello on, as server from ServerHello on. */
	const int rtts = v->server ? 1 : 2, wanted = 2 * unrest_count();
	const int count = wanted < HELD_MAX ? wanted : HELD_MAX;
	double at_home, idle;

	lay_cable();
	unrest_open(&u, 0);
	link_move(&u.l, SOME, SOME);
	at_home = measure("idle", count / 4, 0, 0);
	shape("");
	idle = measure("idle", count, rtts, 0);
	note("idle: %.2f RTT for the distance alone", (idle - at_home) / RTT_MS);
	measure("sending", count / 4, rtts, 1);
	unrest_end(&u);
}

/* ---- a bad network ---- */

static void lossy(void)
{
	lay_cable();
	shape("loss 1% reorder 5% 50%");
	unrest_open(&u, 0);
	link_move(&u.l, 1000, 1000);
	unrest_begin(&u, 8, any(2));
	unrest_move(&u, unrest_count());
	unrest_end(&u);
}

int main(int argc, char **argv)
{
	const unsigned int over = OVER_OPENSSL | OVER_ROLES | OVER_SUITES;
	const struct test tests[] = {
		{ "how long sending is held", over | OVER_TLS12, held },
		{ "losses and reordering", over | OVER_VERSIONS, lossy },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
