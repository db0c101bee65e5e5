// SPDX-License-Identifier: MIT
/* Paths of receiving. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fault.h"

/* ---- how the bytes come ---- */

static void feed_record(struct conn *c, size_t at, size_t len)
{
	peer_send_pattern(&c->peer, at, len, len);
}

static void feed_records(struct conn *c, size_t at, size_t len)
{
	peer_send_pattern(&c->peer, at, len, (len + 2) / 3);
}

/* In more pieces than a record's table has room for. */
static void feed_pieces(struct conn *c, size_t at, size_t len)
{
	uint8_t content[16384], record[RECORD_MAX];
	size_t pos, n, step;

	pattern(content, at, len);
	n = seal(&c->peer.tx, DATA, content, len, record);
	step = n / 150 + 1;
	for (pos = 0; pos < n; pos += step)
		peer_write(&c->peer, record + pos, n - pos < step ? n - pos : step);
}

/* ---- walking ---- */

static void open_normal(struct conn *c)
{
	conn_open(c);
}

/* A window that no large record fits into. */
static void open_narrow(struct conn *c)
{
	conn_connect_bufs(c, 1, 0);
	conn_attach(c);
	conn_keys(c);
}

struct way_in {
	void (*open)(struct conn *c);
	void (*feed)(struct conn *c, size_t at, size_t len);
	size_t len;
	/* Bytes read for good, checked against pattern() from @at on, or -1. */
	long (*call)(struct conn *c, size_t at, size_t len);
};

static uint8_t buffer[64 * 1024];

/* Receiving has failed: what was opened before is still there, then everybody is told. */
static void expect_dead(const struct source *s, struct conn *c, size_t at)
{
	struct kssl_error e = error_of(c->fd);
	uint8_t byte;
	long n;

	CHECK(s->fatal);
	EQ(e.err, s->fatal);
	EQ(e.who, KSSL_WHO_KERNEL);
	CHECK(e.text[0]);
	while ((n = recv(c->fd, buffer, sizeof(buffer), 0)) > 0) {
		check_pattern(buffer, at, n);
		at += n;
	}
	FAILS(n, s->fatal);
	FAILS(recv(c->fd, &byte, 1, 0), s->fatal);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), s->fatal);
	EQ(status_of(c->fd).rx.state, KSSL_STATE_FAILED);
	peer_expect_alert(&c->peer, FATAL, s->fatal == EBADMSG ? BAD_RECORD_MAC : INTERNAL_ERROR);
	close(c->fd);
	close(c->peer.fd);
}

static void walk_in(const struct source *s, const struct way_in *w)
{
	unsigned int nth, dead = 0;
	struct conn c;
	size_t at = 0;
	int hit = 1;

	w->open(&c);
	for (nth = 1; hit; nth++) {
		long n;

		w->feed(&c, at, w->len);
		if (w->open == open_normal)
			peer_settle(&c.peer);
		n = WITH_FAULT(s, nth, hit, w->call(&c, at, w->len));
		if (error_of(c.fd).err) {
			expect_dead(s, &c, at + (n > 0 ? n : 0));
			dead++;
			at = 0;
			w->open(&c);
			continue;
		}
		if (n < 0)
			n = 0;
		recv_pattern(c.fd, at + n, w->len - n);
		at += w->len;
	}
	EQ(status_of(c.fd).rx.bytes, at);
	/* the other direction has not noticed */
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	close(c.fd);
	close(c.peer.fd);
	fault_count(s, nth - 2, dead);
}

/* ---- calls ---- */

static long call_recv(struct conn *c, size_t at, size_t len)
{
	long n = recv(c->fd, buffer, len, 0);

	if (n > 0)
		check_pattern(buffer, at, n);
	return n;
}

void path_recv(const struct source *s)
{
	walk_in(s, &(struct way_in){ open_normal, feed_record, 1000, call_recv });
}

void path_recv_pieces(const struct source *s)
{
	walk_in(s, &(struct way_in){ open_normal, feed_pieces, 6000, call_recv });
}

void path_recv_window(const struct source *s)
{
	walk_in(s, &(struct way_in){ open_narrow, feed_record, 16384, call_recv });
}

void path_recv_large(const struct source *s)
{
	walk_in(s, &(struct way_in){ open_normal, feed_records, 30000, call_recv });
}

static long call_typed(struct conn *c, size_t at, size_t len)
{
	uint8_t type;
	long n = recv_typed(c->fd, &type, buffer, len, 0);

	if (n > 0)
		check_pattern(buffer, at, n);
	return n;
}

static long call_peek(struct conn *c, size_t at, size_t len)
{
	long n = recv(c->fd, buffer, len, MSG_PEEK);

	if (n < 0)
		return n;
	check_pattern(buffer, at, n);
	return 0;
}

void path_peek(const struct source *s)
{
	walk_in(s, &(struct way_in){ open_normal, feed_records, 3000, call_peek });
}

static int ends[2] = { -1, -1 };

static long call_splice(struct conn *c, size_t at, size_t len)
{
	long n = splice(c->fd, NULL, ends[1], NULL, len, 0);
	int e = errno;
	long i = 0;

	/* A walk goes on with the same pipe: whatever came is taken out of it. */
	while (i < n)
		i += SYS(read(ends[0], buffer + i, n - i));
	if (n > 0)
		check_pattern(buffer, at, n);
	errno = e;
	return n;
}

/* What is read here would use up the failure. */
static long splice_only(struct conn *c, size_t at, size_t len)
{
	(void)at;
	return splice(c->fd, NULL, ends[1], NULL, len, 0);
}

void path_splice_read(const struct source *s)
{
	unsigned int nth, dead = 0;
	struct conn c;
	size_t at = 0;
	int hit = 1;

	conn_open(&c);
	SYS(pipe(ends));
	for (nth = 1; hit; nth++) {
		size_t got = 0;
		long n;

		peer_send_pattern(&c.peer, at, 10000, 10000);
		peer_settle(&c.peer);
		n = WITH_FAULT(s, nth, hit, splice_only(&c, at, 10000));
		if (error_of(c.fd).err) {
			expect_dead(s, &c, at);
			dead++;
			at = 0;
			conn_open(&c);
			continue;
		}
		while (n > 0 && got < (size_t)n)
			got += SYS(read(ends[0], buffer + got, n - got));
		check_pattern(buffer, at, got);
		while (got < 10000)
			got += SYS(call_splice(&c, at + got, 10000 - got));
		at += got;
	}
	close(c.fd);
	close(c.peer.fd);
	fault_count(s, nth - 2, dead);
}

/* ---- control records, where the type must not be lost either ---- */

void path_recv_typed(const struct source *s)
{
	static const uint8_t ticket[] = { 4, 0, 0, 1, 0 };
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	conn_open(&c);
	for (nth = 1; hit; nth++) {
		uint8_t type = 0;
		long n;

		peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
		peer_settle(&c.peer);
		n = WITH_FAULT(s, nth, hit, recv_typed(c.fd, &type, buffer, sizeof(buffer), 0));
		if (error_of(c.fd).err) {
			expect_dead(s, &c, 0);
			dead++;
			conn_open(&c);
			continue;
		}
		if (n < 0) {
			expect_typed(c.fd, HANDSHAKE, ticket, sizeof(ticket));
			continue;
		}
		EQ(n, sizeof(ticket));
		EQ(type, HANDSHAKE);
		CHECK(!memcmp(buffer, ticket, sizeof(ticket)));
	}
	close(c.fd);
	close(c.peer.fd);
	fault_count(s, nth - 2, dead);
	walk_in(s, &(struct way_in){ open_normal, feed_record, 1000, call_typed });
}

/* ---- poll ---- */

static long call_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0);
}

void path_poll(const struct source *s)
{
	unsigned int nth, dead = 0;
	struct conn c;
	size_t at = 0;
	int hit = 1;

	conn_open(&c);
	for (nth = 1; hit; nth++) {
		peer_send_pattern(&c.peer, at, 100, 100);
		peer_settle(&c.peer);
		WITH_FAULT(s, nth, hit, call_poll(c.fd));
		/* an answer that was put off comes by itself */
		wait_ready(c.fd, POLLIN);
		if (error_of(c.fd).err) {
			expect_dead(s, &c, at);
			dead++;
			at = 0;
			conn_open(&c);
			continue;
		}
		recv_pattern(c.fd, at, 100);
		at += 100;
	}
	close(c.fd);
	close(c.peer.fd);
	fault_count(s, nth - 2, dead);
}
