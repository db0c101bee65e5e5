// SPDX-License-Identifier: MIT
/* How connections end: in order, from either side, and cut off. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link.h"

static struct link l;

static void open_usual(void)
{
	struct peer_setup setup = usual_peer();

	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	link_move(&l, up_to_peer(SOME), SOME);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), 1, 1);
	SYS(fcntl(l.fd, F_SETFL, 0));
}

/* A peer answers our close_notify with its own; only gnutls-cli just hangs up. */
static void by_us(void)
{
	char byte = 0;

	open_usual();
	SYS(shutdown(l.fd, SHUT_WR));
	FAILS(write(l.fd, &byte, 1), EPIPE);
	if (v->stack == GNUTLS && v->server) {
		peer_wait(&l.peer, "Peer has closed");
		FAILS(read(l.fd, &byte, 1), ECONNRESET);
		link_close(&l);
		return;
	}
	EQ(SYS(read(l.fd, &byte, 1)), 0);
	EQ(SYS(read(l.fd, &byte, 1)), 0);
	EQ(link_error(&l).err, 0);
	EQ(link_status(&l).tx.state, KSSL_STATE_CLOSED);
	EQ(link_status(&l).rx.state, KSSL_STATE_CLOSED);
	if (v->stack == OPENSSL)
		peer_wait(&l.peer, v->server ? "closed" : "DONE");
	link_close(&l);
}

/* Everything written arrives, and then close_notify, although we do not wait for it. */
static void right_behind_data(void)
{
	const size_t len = up_to_peer(4 << 20);
	uint8_t *buf = malloc(len);
	size_t got = 0, sent;

	CHECK(buf);
	memset(buf, 0xb7, len);
	open_usual();
	SYS(fcntl(l.fd, F_SETFL, O_NONBLOCK));
	/* As much as the socket takes; the peer has read none of it yet. */
	sent = SYS(write(l.fd, buf, len));
	close(l.fd);
	l.fd = -1;
	while (got < sent) {
		struct pollfd pfd = { .fd = l.peer.out, .events = POLLIN };
		ssize_t n;

		EQ(SYS(poll(&pfd, 1, 60000)), 1);
		n = peer_take(&l.peer, buf, len);
		CHECK(n >= 0);
		got += n;
	}
	EQ(got, sent);
	peer_wait(&l.peer, v->stack == GNUTLS ? "Peer has closed" : v->server ? "closed" : "DONE");
	link_wait(&l, KSSL_EVENT_CLOSED, ANYBODY, 1);
	link_close(&l);
	free(buf);
}

/* Clients end when their input does. */
static void by_peer(void)
{
	char byte = 0;

	open_usual();
	close(l.peer.in);
	l.peer.in = -1;
	EQ(SYS(read(l.fd, &byte, 1)), 0);
	EQ(SYS(read(l.fd, &byte, 1)), 0);
	EQ(link_error(&l).err, 0);
	EQ(link_status(&l).rx.state, KSSL_STATE_CLOSED);
	if (!is_13())
		FAILS(write(l.fd, &byte, 1), EPIPE);
	link_close(&l);
}

/* Servers end behind a page they were asked for. */
static void by_peer_behind_page(void)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	static char page[1 << 18];
	struct peer_setup setup = usual_peer();
	size_t got = 0;
	ssize_t n;

	setup.options[0] = v->stack == OPENSSL ? "-www" : "--http";
	link_open(&l, &setup, link_config(NULL));
	SYS(fcntl(l.fd, F_SETFL, 0));
	link_send(&l, request);
	while ((n = SYS(read(l.fd, page + got, sizeof(page) - 1 - got))))
		got += n;
	CHECK(!strncmp(page, "HTTP/1.0 200", 12));
	CHECK(strstr(page, "</HTML>") || strstr(page, "</html>"));
	EQ(link_error(&l).err, 0);
	EQ(link_status(&l).rx.bytes, got);
	EQ(link_status(&l).tx.bytes, strlen(request));
	link_close(&l);
}

/* Without close_notify the end of the stream is not to be trusted. */
static void cut_off(void)
{
	char byte = 0;

	open_usual();
	peer_kill(&l.peer);
	FAILS(read(l.fd, &byte, 1), ECONNRESET);
	FAILS(read(l.fd, &byte, 1), ECONNRESET);
	EQ(link_error(&l).err, ECONNRESET);
	note("%s", link_error(&l).text);
	CHECK(link_status(&l).rx.state == KSSL_STATE_FAILED);
	link_close(&l);
}

/* While data is held for a handshake that will never end. */
static void cut_off_in_handshake(void)
{
	static uint8_t buf[65536];
	ssize_t n;
	int i;

	open_usual();
	kill(l.peer.pid, SIGSTOP);
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
	peer_kill(&l.peer);
	FAILS(read(l.fd, buf, 1), ECONNRESET);
	for (i = 0, n = 1; i < 100 && n > 0; i++)
		n = write(l.fd, buf, sizeof(buf));
	CHECK(n < 0);
	CHECK(errno == ECONNRESET || errno == EPIPE);
	CHECK(kssl_wait(l.k, 60000) < 0);
	link_close(&l);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "by us", OVER_STACKS | OVER_ROLES | OVER_VERSIONS, by_us },
		{ "right behind data", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS, right_behind_data },
		{ "right behind data", OVER_GNUTLS | OVER_SERVER | OVER_VERSIONS, right_behind_data },
		{ "by the peer", OVER_STACKS | OVER_SERVER | OVER_VERSIONS, by_peer },
		{ "by the peer, behind a page", OVER_STACKS | OVER_CLIENT | OVER_VERSIONS,
		  by_peer_behind_page },
		{ "cut off", OVER_STACKS | OVER_ROLES | OVER_VERSIONS, cut_off },
		{ "cut off in a renegotiation", OVER_OPENSSL | OVER_ROLES | OVER_TLS12,
		  cut_off_in_handshake },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
