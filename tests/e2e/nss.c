// SPDX-License-Identifier: MIT
/*
 * NSS as peer.  tstclnt moves data as it is told to, and renegotiates after its
 * first reads.  selfserv answers one request with a file, and before that it may
 * renegotiate for a client certificate, as IIS does.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "fetch.h"

#define PATIENCE_MS	90000

static struct link l;

static unsigned int renegotiations(void)
{
	return link_count(&l, KSSL_EVENT_RENEGOTIATED, ANYBODY);
}

static void check_keys(void)
{
	struct kssl_status st = link_status(&l);

	EQ(st.handshakes, 1 + renegotiations());
	EQ(st.tx.epoch, 1 + renegotiations());
	EQ(st.rx.epoch, 1 + renegotiations());
	EQ(st.tx.version, v->version);
	EQ(st.tx.bytes, l.sent);
	EQ(st.rx.bytes, l.received);
}

static int shows_certificate(void)
{
	X509 *cert = SSL_get0_peer_certificate(kssl_ssl(l.k));
	char line[128] = "";

	if (cert)
		X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
	return strstr(line, "kssl client") != NULL;
}

/* ---- we are the server ---- */

static void open_to_tstclnt(const char *cert, const char *renegotiations)
{
	struct peer_setup setup = usual_peer();

	setup.cert = cert;
	if (renegotiations) {
		add_option(&setup, "-r");
		add_option(&setup, renegotiations);
	}
	link_open(&l, &setup, link_config("rsa"));
}

static void move_and_check(void)
{
	link_move(&l, SOME, SOME);
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	check_keys();
}

static void tstclnt_moves_data(void)
{
	open_to_tstclnt(NULL, NULL);
	move_and_check();
	move_and_check();
	link_close(&l);
}

static void tstclnt_renegotiates(void)
{
	open_to_tstclnt(NULL, "3");
	link_move(&l, SOME, SOME);
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, 3);
	note("%s", l.events[l.events_count - 1].text);
	move_and_check();
	link_close(&l);
}

static void start(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_FULL), 0);
}

static void we_renegotiate(void)
{
	int i;

	open_to_tstclnt(NULL, NULL);
	move_and_check();
	for (i = 1; i <= 3; i++) {
		link_at(&l, SOME, start);
		link_move(&l, SOME, SOME);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i);
		move_and_check();
	}
	link_close(&l);
}

static void we_want_a_certificate(void)
{
	open_to_tstclnt("client", NULL);
	move_and_check();
	CHECK(!shows_certificate());
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUIRE_CERT), 0);
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 1);
	move_and_check();
	CHECK(shows_certificate());
	link_close(&l);
}

/* ---- we are the client ---- */

#define FILE_LEN	300000

static void ask_selfserv(const char *cert, const char *option, int by_peer, int by_us)
{
	struct peer_setup setup = usual_peer();
	struct fetch file;
	int i;

	fetch_prepare(&file, FILE_LEN);
	if (option)
		add_option(&setup, option);
	link_open(&l, &setup, link_config(cert));
	for (i = 1; i <= by_us; i++) {
		start(&l);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i);
	}
	fetch_request(&file, &l, "");
	fetch_answer(&file, &l);
	fetch_end(&file);
	/* What is told of them may come after the data behind them. */
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, by_peer);
	EQ(link_count(&l, KSSL_EVENT_RENEGOTIATED, 1), by_peer);
	EQ(link_count(&l, KSSL_EVENT_RENEGOTIATED, 0), by_us);
	check_keys();
	if (cert)
		peer_wait(&l.peer, "Subject: CN=kssl client");
	link_close(&l);
}

static void selfserv_serves(void)
{
	ask_selfserv(NULL, NULL, 0, 0);
}

static void we_renegotiate_first(void)
{
	ask_selfserv(NULL, NULL, 0, 3);
}

/* Request, and demand, at the second handshake only. */
static void selfserv_requests(void)
{
	ask_selfserv(NULL, "-rrr", 1, 0);
}

static void selfserv_demands(void)
{
	ask_selfserv("client", "-rrrr", 1, 0);
}

static void both_of_us(void)
{
	ask_selfserv("client", "-rrrr", 1, 2);
}

int main(int argc, char **argv)
{
	const unsigned int server = OVER_NSS | OVER_SERVER | OVER_SUITES;
	const unsigned int client = OVER_NSS | OVER_CLIENT | OVER_SUITES;
	const struct test tests[] = {
		{ "data", server | OVER_VERSIONS | OVER_OLD, tstclnt_moves_data },
		{ "renegotiations by the peer", server | OVER_TLS12, tstclnt_renegotiates },
		{ "renegotiations by us", server | OVER_TLS12, we_renegotiate },
		{ "a certificate at renegotiation", server | OVER_TLS12 | OVER_OLD, we_want_a_certificate },
		{ "data", client | OVER_VERSIONS | OVER_OLD, selfserv_serves },
		{ "renegotiations by us", client | OVER_TLS12, we_renegotiate_first },
		{ "renegotiation by the peer, a certificate requested", client | OVER_TLS12, selfserv_requests },
		{ "renegotiation by the peer, a certificate demanded", client | OVER_TLS12, selfserv_demands },
		{ "renegotiations by both", client | OVER_TLS12 | OVER_OLD, both_of_us },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
