// SPDX-License-Identifier: MIT
/* JSSE of Java as peer: an echo that starts handshakes by itself, see Jsse.java. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/ssl.h>
#include "link.h"

/* The peer starts a handshake behind each so many bytes, and so often. */
#define PART	"100000"
#define TIMES	"2"
#define DATA	250000

static struct link l;

static void open_to_echo(const char *cert, const char *need)
{
	struct peer_setup setup = usual_peer();

	add_option(&setup, TIMES);
	add_option(&setup, PART);
	if (need)
		add_option(&setup, need);
	link_open(&l, &setup, link_config(v->server ? "rsa" : cert));
}

static void move_and_check(void)
{
	link_move(&l, DATA, 0);
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	EQ(link_status(&l).tx.bytes, l.sent);
	EQ(link_status(&l).rx.bytes, l.received);
}

static int shows_certificate(void)
{
	X509 *cert = SSL_get0_peer_certificate(kssl_ssl(l.k));
	char line[128] = "";

	if (cert)
		X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
	return strstr(line, "kssl client") != NULL;
}

static void renegotiate(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_FULL), 0);
}

static void renegotiations(void)
{
	unsigned int keys = 3;
	int i;

	open_to_echo("client", v->server ? NULL : "needs a certificate");
	move_and_check();
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, 2);
	note("%s", l.events[l.events_count - 1].text);
	for (i = 1; i <= 2; i++, keys++) {
		link_at(&l, DATA / 2, renegotiate);
		move_and_check();
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i);
		note("%s", l.events[l.events_count - 1].text);
	}
	if (v->server) {
		CHECK(!shows_certificate());
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUIRE_CERT), 0);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i);
		keys++;
		CHECK(shows_certificate());
	}
	move_and_check();
	EQ(link_status(&l).handshakes, keys);
	EQ(link_status(&l).tx.epoch, keys);
	EQ(link_status(&l).rx.epoch, keys);
	SYS(shutdown(l.fd, SHUT_WR));
	peer_wait(&l.peer, v->server ? "suite" : "peer CN=kssl client");
	link_close(&l);
}

static void update(struct link *link)
{
	GIVES(kssl_key_update(link->k, 1), 0);
}

/* In TLS 1.3 its startHandshake() is a KeyUpdate that requests one. */
static void updates(void)
{
	open_to_echo(NULL, NULL);
	move_and_check();
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 4);
	link_at(&l, DATA / 2, update);
	move_and_check();
	move_and_check();
	EQ(link_status(&l).tx.epoch, 4);
	EQ(link_status(&l).rx.epoch, 4);
	link_close(&l);
}

int main(int argc, char **argv)
{
	const unsigned int both = OVER_JSSE | OVER_ROLES | OVER_SUITES;
	const struct test tests[] = {
		{ "renegotiations by both, a certificate at the last", both | OVER_TLS12, renegotiations },
		{ "KeyUpdates by both", both | OVER_TLS13, updates },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
