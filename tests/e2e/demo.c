// SPDX-License-Identifier: MIT
/*
 * For a person: bulk data both ways through unmodified peers, in both roles, while
 * each side renegotiates (TLS 1.2) or updates its keys (TLS 1.3).  At the end a server
 * that wants to know halfway whom it talks to.
 *
 *	demo [MEGABYTES]	for each peer's stack, both directions together
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "link.h"

/* The last two are those with a certificate halfway. */
#define SESSIONS	10
#define WITHOUT_CERT	8

/* Between two of these something happens to the keys. */
#define PARTS	6

static struct link l;
static int cert_halfway;

/* Filled by the process of a session, read by the one that sums up. */
struct result {
	uint64_t moved;
	unsigned int by_us;
	unsigned int by_peer;
	uint64_t hold_max_ns;
	int good;
};

static void tell(const struct link *link, const struct event *e)
{
	(void)link;
	if (e->event == KSSL_EVENT_RENEGOTIATED || e->event == KSSL_EVENT_KEY_UPDATE ||
	    e->event == KSSL_EVENT_REFUSED || e->event == KSSL_EVENT_FAILED ||
	    e->event == KSSL_EVENT_AUTHENTICATED)
		printf("    %s\n", e->text);
}

static void renegotiate(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_FULL), 0);
}

static void update(struct link *link)
{
	GIVES(kssl_key_update(link->k, 0), 0);
}

static void update_and_request(struct link *link)
{
	GIVES(kssl_key_update(link->k, 1), 0);
}

static void say_r(struct link *link)
{
	peer_command(&link->peer, "r\n");
}

static void say_k(struct link *link)
{
	peer_command(&link->peer, link->server && v->stack == GNUTLS ? "\n^rekey1^\n" : "k\n");
}

static void say_renegotiate(struct link *link)
{
	peer_command(&link->peer, "\n^renegotiate^\n");
}

/* What gnutls-cli receives it prints byte by byte; it gets less and sends more. */
static void move_part(uint64_t bytes)
{
	uint64_t up = up_to_peer(bytes / 2);

	link_move(&l, up, l.peer.echo ? 0 : bytes - up);
}

static void we_act(uint64_t part)
{
	enum kssl_event event = is_13() ? KSSL_EVENT_KEY_UPDATE : KSSL_EVENT_RENEGOTIATED;
	int count = link_count(&l, event, 0);

	if (is_13()) {
		link_at(&l, up_to_peer(part / 2) / 2, update);
		move_part(part);
	} else if (v->server) {
		/* As clients they bear no data that reaches them during a handshake. */
		renegotiate(&l);
		link_wait(&l, event, 0, count + 1);
		move_part(part);
	} else {
		link_at(&l, up_to_peer(part / 2) / 2, renegotiate);
		move_part(part);
	}
	link_wait(&l, event, 0, count + 1);
}

static void peer_acts(uint64_t part)
{
	enum kssl_event event = is_13() ? KSSL_EVENT_KEY_UPDATE : KSSL_EVENT_RENEGOTIATED;
	int count = link_count(&l, event, 1);
	uint64_t up = up_to_peer(part / 2);

	if (is_13() && l.peer.echo) {
		/* It has no command for that, but obeys a request; when it next sends. */
		count = link_count(&l, event, 0) + 1;
		update_and_request(&l);
		link_move(&l, up / 2, 0);
		link_move(&l, up - up / 2, 0);
		link_wait(&l, event, 0, count + 1);
		return;
	} else if (is_13()) {
		link_at(&l, up / 2, say_k);
		link_move(&l, up, 0);
	} else if (v->stack == OPENSSL && v->server) {
		peer_command(&l.peer, "R\n");
		link_wait(&l, event, 1, count + 1);
		link_move(&l, up, 0);
	} else if (v->stack == OPENSSL || v->server) {
		link_at(&l, up / 2, v->server ? say_renegotiate : say_r);
		link_move(&l, up, 0);
	} else {
		link_send(&l, "**REHANDSHAKE**\n");
		link_wait(&l, event, 1, count + 1);
		link_move(&l, up, 0);
	}
	if (!l.peer.echo)
		link_move(&l, 0, part - up);
	link_wait(&l, event, 1, count + 1);
}

static void print_client(const char *when)
{
	X509 *cert = SSL_get0_peer_certificate(kssl_ssl(l.k));
	char name[80] = "nobody we know";

	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
					  sizeof(name));
	printf("    %s the client is %s\n", when, name);
}

/* The classic case: only now do we need to know. */
static void demand_certificate(void)
{
	print_client("until now");
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUIRE_CERT), 0);
	GIVES(kssl_wait(l.k, 60000), 0);
	link_wait(&l, KSSL_EVENT_AUTHENTICATED, 0, 1);
	print_client("from now on");
	EQ(link_status(&l).identity, 1);
}

static void print_digest(const char *what, uint64_t bytes, const uint8_t *source, const uint8_t *sink)
{
	printf("    %-22s %6.1f MiB  SHA-256 sent %02x%02x%02x%02x.., received %02x%02x%02x%02x..\n",
	       what, bytes / 1048576.0, source[0], source[1], source[2], source[3],
	       sink[0], sink[1], sink[2], sink[3]);
}

static void print_digests(void)
{
	uint8_t digests[4][DIGEST_LEN];

	link_digests(&l, digests);
	if (l.peer.echo) {
		print_digest("there and back again", l.up.got, digests[0], digests[1]);
		return;
	}
	print_digest("from us to the peer", l.up.got, digests[0], digests[1]);
	print_digest("from the peer to us", l.down.got, digests[2], digests[3]);
}

static void session(uint64_t bytes, struct result *result)
{
	enum kssl_event event = is_13() ? KSSL_EVENT_KEY_UPDATE : KSSL_EVENT_RENEGOTIATED;
	struct peer_setup setup = usual_peer();
	uint64_t part = bytes / PARTS + 1;
	struct kssl_status status;
	int i;

	if (!is_13() && setup.server && v->stack == OPENSSL)
		add_option(&setup, "-client_renegotiation");
	if (cert_halfway)
		setup.cert = "client";
	if (cert_halfway && is_13())
		add_option(&setup, "-enable_pha");
	l.tell = tell;
	l.unwatched = 1;	/* that costs time, and is for the tests */
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	move_part(part);
	we_act(part);
	peer_acts(part);
	if (cert_halfway)
		demand_certificate();
	we_act(part);
	peer_acts(part);
	move_part(part);
	GIVES(kssl_wait(l.k, 60000), 0);

	print_digests();
	link_check_data(&l);
	result->by_us = link_count(&l, event, 0);
	result->by_peer = link_count(&l, event, 1);
	status = link_status(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), status.tx.epoch, status.rx.epoch);
	CHECK(status.tx.epoch > 1);
	/* What is echoed went both ways. */
	result->moved = l.peer.echo ? 2 * l.up.got : l.up.got + l.down.got;
	for (i = 0; i < l.events_count; i++)
		if (l.events[i].event == event && l.events[i].after.hold_last_ns > result->hold_max_ns)
			result->hold_max_ns = l.events[i].after.hold_last_ns;
	link_close(&l);
	result->good = 1;
}

static void run_session(const struct variant *with, uint64_t bytes, struct result *result)
{
	pid_t pid;

	printf("\n  We are the %s, %s is %s, TLS 1.%d, AES-%d-GCM%s\n",
	       with->server ? "server" : "client",
	       with->stack == OPENSSL ? (with->server ? "openssl s_client" : "openssl s_server") :
					(with->server ? "gnutls-cli" : "gnutls-serv"),
	       with->server ? "the client" : "the server", with->version - 0x0301, with->bits,
	       cert_halfway ? ", and halfway we demand a certificate" : "");
	fflush(stdout);
	pid = SYS(fork());
	if (!pid) {
		setpgid(0, 0);
		signal(SIGPIPE, SIG_IGN);
		v = with;
		session(bytes, result);
		fflush(stdout);
		_exit(0);
	}
	setpgid(pid, pid);
	waitpid(pid, NULL, 0);
	kill(-pid, SIGKILL);
}

static void choose(unsigned int i, struct variant *with)
{
	*with = (struct variant) {
		.stack = i & 4 ? GNUTLS : OPENSSL, .server = !!(i & 2),
		.version = i & 1 ? 0x0304 : 0x0303, .bits = i & 2 ? 256 : 128,
	};
	if (i < WITHOUT_CERT)
		return;
	with->stack = OPENSSL;
	with->server = 1;
}

int main(int argc, char **argv)
{
	uint64_t megabytes = argc > 1 ? strtoull(argv[1], NULL, 0) : 256;
	static struct variant with[SESSIONS];
	struct result *results;
	uint64_t moved[2] = { 0 };
	unsigned int i, good = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	results = mmap(NULL, SESSIONS * sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		return 1;
	for (i = 0; i < SESSIONS; i++) {
		choose(i, &with[i]);
		cert_halfway = i >= WITHOUT_CERT;
		run_session(&with[i], (megabytes << 20) / 5, &results[i]);
	}

	printf("\n  peer                 we are  TLS  by us  by peer  longest hold      moved\n");
	for (i = 0; i < SESSIONS; i++) {
		const struct result *r = &results[i];

		printf("  %-20s %-6s  1.%d  %5u  %7u  %9.1f ms  %5.1f MiB  %s\n",
		       with[i].stack == GNUTLS ? "GnuTLS" : i < WITHOUT_CERT ? "OpenSSL" :
		       "OpenSSL, certificate", with[i].server ? "server" : "client",
		       with[i].version - 0x0301, r->by_us, r->by_peer, r->hold_max_ns / 1e6,
		       r->moved / 1048576.0, r->good ? "ok" : "FAILED");
		good += r->good;
		moved[with[i].stack == GNUTLS] += r->moved;
	}
	printf("\n  %.1f MiB with OpenSSL, %.1f MiB with GnuTLS\n", moved[0] / 1048576.0,
	       moved[1] / 1048576.0);
	if (good != SESSIONS) {
		printf("  %u of %u sessions FAILED\n", SESSIONS - good, SESSIONS);
		return 1;
	}
	printf("  All digests match.\n");
	return 0;
}
