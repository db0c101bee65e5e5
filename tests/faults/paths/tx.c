// SPDX-License-Identifier: MIT
/* Paths of sending. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fault.h"

#define LARGE	50000

/* What the peer has got, and whether it ended in a reset. */
struct flight {
	uint8_t data[256 * 1024];
	size_t len;
	int reset;
};

/* Whole records in it. */
static unsigned int count_records(const struct flight *f)
{
	unsigned int count = 0;
	size_t pos = 0;

	while (f->len - pos >= HEADER) {
		size_t len = HEADER + (f->data[pos + 3] << 8 | f->data[pos + 4]);

		if (f->len - pos < len)
			break;
		pos += len;
		count++;
	}
	return count;
}

/*
 * Until FIN or reset, or @most records: TCP that had no memory for its FIN never
 * sends one.
 */
static struct flight *receive(struct peer *p, unsigned int most)
{
	struct flight *f = calloc(1, sizeof(*f));
	long n = 0;

	CHECK(f);
	while (count_records(f) < most) {
		n = recv(p->fd, f->data + f->len, sizeof(f->data) - f->len, 0);
		if (n <= 0)
			break;
		f->len += n;
	}
	CHECK(f->len < sizeof(f->data));
	if (n < 0) {
		EQ(errno, ECONNRESET);
		f->reset = 1;
	}
	return f;
}

/*
 * Take apart what came: pattern() from @at on, at most @most bytes, then at most
 * one alert, which goes to *@alert (-1 if there is none).  Bytes of data.
 */
static size_t take_apart(struct peer *p, const struct flight *f, size_t at, size_t most, int *alert)
{
	uint8_t content[RECORD_MAX], type;
	size_t pos = 0, got = 0;

	*alert = -1;
	while (f->len - pos >= HEADER) {
		size_t len = HEADER + (f->data[pos + 3] << 8 | f->data[pos + 4]);
		long n;

		if (f->len - pos < len)
			break;
		EQ(*alert, -1);
		n = open_record(&p->rx, f->data + pos, len, &type, content);
		CHECK(n > 0);
		pos += len;
		if (type == ALERT) {
			EQ(n, 2);
			*alert = content[1];
			continue;
		}
		EQ(type, DATA);
		CHECK(got + n <= most);
		check_pattern(content, at + got, n);
		got += n;
	}
	/* A part of a record comes only with a reset. */
	CHECK(f->reset || pos == f->len);
	return got;
}

/* The connection has failed: everybody is told, and the peer gets no byte too many. */
static void expect_dead(const struct source *s, struct conn *c, size_t at, size_t most)
{
	struct kssl_error e = error_of(c->fd);
	struct flight *f;
	uint8_t byte;
	int alert;

	if (s->what == MEMORY)
		EQ(e.err, EIO);
	else
		EQ(e.err, s->fatal);
	EQ(e.who, KSSL_WHO_KERNEL);
	CHECK(e.text[0]);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), e.err);
	FAILS(recv(c->fd, &byte, 1, 0), e.err);
	EQ(status_of(c->fd).tx.state, KSSL_STATE_FAILED);
	EQ(status_of(c->fd).rx.state, KSSL_STATE_FAILED);
	close(c->fd);
	if (c->control >= 0)
		close(c->control);
	f = receive(&c->peer, -1);
	take_apart(&c->peer, f, at, most, &alert);
	EQ(alert, INTERNAL_ERROR);
	free(f);
	close(c->peer.fd);
}

/* ---- data ---- */

typedef long (*out_call)(struct conn *c, size_t at);

/* Walk @call, which sends pattern() from @at on, made ready by @prepare, and tells how many bytes. */
static void walk_out(const struct source *s, void (*prepare)(size_t at), out_call call)
{
	size_t at = 0, seen = 0;
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	conn_open(&c);
	for (nth = 1; hit; nth++) {
		long n;

		if (prepare)
			prepare(at);
		n = WITH_FAULT(s, nth, hit, call(&c, at));
		if (n > 0)
			at += n;
		if (error_of(c.fd).err) {
			CHECK(s->fatal || s->what == MEMORY);
			expect_dead(s, &c, seen, at - seen);
			dead++;
			at = 0;
			seen = 0;
			conn_open(&c);
			continue;
		}
		/* once more, which also finishes what is open */
		send_pattern(c.fd, at, 100);
		at += 100;
		peer_expect_pattern(&c.peer, seen, at - seen);
		seen = at;
	}
	EQ(status_of(c.fd).tx.bytes, at);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	fault_count(s, nth - 2, dead);
}

static long call_send(struct conn *c, size_t at, size_t len, int flags)
{
	static uint8_t data[LARGE];

	pattern(data, at, len);
	return send(c->fd, data, len, flags | MSG_NOSIGNAL);
}

static long call_small(struct conn *c, size_t at)
{
	return call_send(c, at, 100, 0);
}

void path_send_small(const struct source *s)
{
	walk_out(s, NULL, call_small);
}

static long call_large(struct conn *c, size_t at)
{
	return call_send(c, at, LARGE, 0);
}

void path_send_large(const struct source *s)
{
	walk_out(s, NULL, call_large);
}

static long call_vector(struct conn *c, size_t at)
{
	static uint8_t data[3000];
	struct iovec iov[3] = { { data, 10 }, { data + 10, 2000 }, { data + 2010, 990 } };

	pattern(data, at, sizeof(data));
	return writev(c->fd, iov, 3);
}

void path_send_vector(const struct source *s)
{
	walk_out(s, NULL, call_vector);
}

static long call_more(struct conn *c, size_t at)
{
	return call_send(c, at, 20000, MSG_MORE);
}

void path_send_more(const struct source *s)
{
	walk_out(s, NULL, call_more);
}

/* A control record behind an open one: it goes whole or not at all. */
static long call_control(struct conn *c, size_t at)
{
	static const uint8_t ticket[] = { 4, 0, 0, 1, 0 };
	long n = call_send(c, at, 100, MSG_MORE);

	if (n < 0)
		return n;
	EQ(n, 100);
	n = send_typed(c->fd, HANDSHAKE, ticket, sizeof(ticket), 0);
	if (n >= 0)
		EQ(n, sizeof(ticket));
	return n;
}

void path_send_control(const struct source *s)
{
	static const uint8_t ticket[] = { 4, 0, 0, 1, 0 };
	unsigned int nth, dead = 0;
	uint8_t content[RECORD_MAX], type;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		size_t want, got = 0;
		long n, len;

		conn_open(&c);
		n = WITH_FAULT(s, nth, hit, call_control(&c, 0));
		if (error_of(c.fd).err) {
			CHECK(s->fatal || s->what == MEMORY);
			dead++;
			close(c.fd);
			close(c.peer.fd);
			continue;
		}
		/* where it failed, once more; the first part was either sent or not */
		want = status_of(c.fd).tx.bytes;
		if (n < 0)
			EQ(SYS(send_typed(c.fd, HANDSHAKE, ticket, sizeof(ticket), 0)),
			   sizeof(ticket));
		want = status_of(c.fd).tx.bytes;
		CHECK(want == 0 || want == 100);
		while ((len = peer_recv(&c.peer, &type, content)) >= 0 && type == DATA) {
			check_pattern(content, got, len);
			got += len;
		}
		EQ(got, want);
		EQ(type, HANDSHAKE);
		EQ(len, sizeof(ticket));
		close(c.fd);
		peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
		close(c.peer.fd);
	}
	fault_count(s, nth - 2, dead);
}

static int file = -1;

static void prepare_file(size_t at)
{
	static uint8_t data[LARGE];

	if (file < 0)
		file = SYS(memfd_create("data", 0));
	pattern(data, at, sizeof(data));
	EQ(SYS(pwrite(file, data, sizeof(data), 0)), sizeof(data));
	SYS(lseek(file, 0, SEEK_SET));
}

static long call_sendfile(struct conn *c, size_t at)
{
	(void)at;
	return sendfile(c->fd, file, NULL, LARGE);
}

void path_sendfile(const struct source *s)
{
	walk_out(s, prepare_file, call_sendfile);
}

static int ends[2] = { -1, -1 };
static size_t piped;

/* Three pages and a bit; what an earlier round left there is in the way. */
static void prepare_pipe(size_t at)
{
	static uint8_t data[3 * 4096 + 100];

	if (ends[0] >= 0) {
		close(ends[0]);
		close(ends[1]);
	}
	SYS(pipe(ends));
	pattern(data, at, sizeof(data));
	piped = SYS(write(ends[1], data, sizeof(data)));
	EQ(piped, sizeof(data));
}

static long call_splice(struct conn *c, size_t at)
{
	(void)at;
	return splice(ends[0], NULL, c->fd, NULL, piped, 0);
}

void path_splice(const struct source *s)
{
	walk_out(s, prepare_pipe, call_splice);
}

/* ---- the end ---- */

static void prepare_end(struct conn *c)
{
	conn_open(c);
	send_pattern(c->fd, 0, 5000);
	EQ(call_send(c, 5000, 100, MSG_MORE), 100);
}

void path_shutdown(const struct source *s)
{
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		struct flight *f;
		int alert;
		size_t n;

		prepare_end(&c);
		if (WITH_FAULT(s, nth, hit, shutdown(c.fd, SHUT_WR)))
			SYS(shutdown(c.fd, SHUT_WR));
		FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), error_of(c.fd).err ? : EPIPE);
		if (error_of(c.fd).err) {
			CHECK(s->fatal || s->what == MEMORY);
			dead++;
			shutdown(c.fd, SHUT_WR);
		}
		f = receive(&c.peer, 3);
		n = take_apart(&c.peer, f, 0, 5100, &alert);
		if (error_of(c.fd).err) {
			CHECK(alert != CLOSE_NOTIFY);
		} else {
			EQ(f->reset, 0);
			EQ(n, 5100);
			EQ(alert, CLOSE_NOTIFY);
		}
		free(f);
		close(c.fd);
		close(c.peer.fd);
	}
	fault_count(s, nth - 2, dead);
}

/* Whole and with close_notify, or a reset: never a part that looks like the whole. */
void path_close(const struct source *s)
{
	unsigned int nth, resets = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		struct flight *f;
		int alert;
		size_t n;

		prepare_end(&c);
		EQ(WITH_FAULT(s, nth, hit, close(c.fd)), 0);
		f = receive(&c.peer, 3);
		n = take_apart(&c.peer, f, 0, 5100, &alert);
		if (f->reset) {
			CHECK(hit);
			resets++;
		} else {
			EQ(n, 5100);
			EQ(alert, CLOSE_NOTIFY);
		}
		free(f);
		close(c.peer.fd);
	}
	fault_count(s, nth - 2, resets);
}
