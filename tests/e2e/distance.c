// SPDX-License-Identifier: MIT
/*
 * A peer at a distance, in another network namespace: how long sending is held for
 * a renegotiation, in round trips; and storms where packets get lost and overtake
 * each other.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

/* One renegotiation; how long sending was held, in ms. */
static double hold_once(int sending)
{
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
	return after.hold_last_ns / 1e6;
}

/* Median of so many in ms; each takes @rtts round trips, or it does not measure what it says. @at_home: the median
 * with no distance. */
static double measure(const char *when, int count, int rtts, int sending, double at_home)
{
	static double held[HELD_MAX];
	double p50, p99;
	int i;

	for (i = 0; i < count; i++) {
		held[i] = hold_once(sending);
		CHECK(held[i] >= rtts * RTT_MS);
	}
	link_check_data(&u.l);
	qsort(held, count, sizeof(held[0]), compare);
	p50 = held[count / 2];
	p99 = held[(count * 99 + 99) / 100 - 1];
	note("%s, held %d times: p50 %.1f ms, p99 %.1f ms; %d RTT are needed, without the %.1f ms it takes at home p50 %.2f RTT, p99 %.2f RTT",
	     when, count, p50, p99, rtts, at_home, (p50 - at_home) / RTT_MS, (p99 - at_home) / RTT_MS);
	return p50;
}

static void held(void)
{
	/* As client from ClientHello on, as server from ServerHello on. */
	const int rtts = v->server ? 1 : 2, wanted = 2 * unrest_count();
	const int count = wanted < HELD_MAX ? wanted : HELD_MAX, few = (count + 5) / 6, on = 1;
	double at_home;

	lay_cable();
	unrest_open(&u, 0);
	link_move(&u.l, SOME, SOME);
	at_home = measure("no distance", few, 0, 0, 0);
	shape("");
	measure("idle", few, rtts, 0, at_home);
	measure("sending", few, rtts, 1, at_home);
	/* Nagle's algorithm lets a hello wait until the peer has acknowledged data, which it may put off. */
	SYS(setsockopt(u.l.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	measure("idle, TCP_NODELAY", count, rtts, 0, at_home);
	measure("sending, TCP_NODELAY", few, rtts, 1, at_home);
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
	unrest_move(&u, (unrest_count() + 2) / 3);
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
