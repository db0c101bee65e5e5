// SPDX-License-Identifier: MIT
/*
 * Who writes while keys change: a hundred threads, one that never reads, and files.
 * A write of at most one record is one record: it arrives whole, once and in order.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unrest.h"

#define PATIENCE_MS	90000

/* On one connection. */
#define CHANGES_MAX	1000

static struct unrest u;

static unsigned int changes_wanted(void)
{
	unsigned int count = unrest_count();

	return count < CHANGES_MAX ? count : CHANGES_MAX;
}

/* ---- a hundred writers ---- */

#define WRITERS	100

/**
 * struct chunk - what one call writes
 * @len: of all of it
 * @writer: who
 * @number: how many that writer has written before
 * @filler: depends on those
 */
struct chunk {
	uint32_t len;
	uint32_t writer;
	uint32_t number;
	uint8_t filler[KSSL_MAX_PAYLOAD - 12];
};

/**
 * struct writer - one
 * @thread: its thread
 * @index: which one
 * @written: chunks
 * @arrived: those of them that arrived
 * @waited: how often there was no room
 */
static struct writer {
	pthread_t thread;
	uint32_t index;
	atomic_uint written;
	unsigned int arrived;
	unsigned int waited;
} writers[WRITERS];

static atomic_int enough, running;

/* Chunks are given out in turns, one each time when keys have changed, or nobody would see the peer for the writers. */
#define TURN	150

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t next_turn = PTHREAD_COND_INITIALIZER;
static unsigned int given, to_give;

static void give(unsigned int chunks)
{
	pthread_mutex_lock(&lock);
	to_give = chunks;
	pthread_cond_broadcast(&next_turn);
	pthread_mutex_unlock(&lock);
}

/* May another chunk be written? */
static int ask(void)
{
	pthread_mutex_lock(&lock);
	while (given >= to_give && !enough)
		pthread_cond_wait(&next_turn, &lock);
	given++;
	pthread_mutex_unlock(&lock);
	return !enough;
}

static void fill(struct chunk *c)
{
	uint32_t i, x = c->writer * 2654435761u + c->number * 40503u + 1;

	for (i = 0; i < c->len - offsetof(struct chunk, filler); i++) {
		x = x * 1664525u + 1013904223u;
		c->filler[i] = x >> 24;
	}
}

static void write_blocking(const struct chunk *c)
{
	EQ(SYS(write(u.l.fd, c, c->len)), c->len);
}

static void write_polling(struct writer *w, const struct chunk *c)
{
	struct pollfd pfd = { .fd = u.l.fd, .events = POLLOUT };
	ssize_t n;

	while ((n = send(u.l.fd, c, c->len, MSG_DONTWAIT)) < 0 && errno == EAGAIN) {
		w->waited++;
		EQ(SYS(poll(&pfd, 1, PATIENCE_MS)), 1);
		EQ(pfd.revents, POLLOUT);
	}
	EQ(SYS(n), c->len);
}

static void *write_chunks(void *arg)
{
	struct writer *w = arg;
	unsigned int random = w->index + 1;
	struct chunk *c = malloc(sizeof(*c));

	CHECK(c);
	while (ask()) {
		random = random * 1103515245 + 12345;
		c->len = offsetof(struct chunk, filler) +
			 (random >> 8) % ((random >> 20) % 16 ? 100 : sizeof(c->filler) + 1);
		c->writer = w->index;
		c->number = w->written;
		fill(c);
		if (w->index % 4)
			write_blocking(c);
		else
			write_polling(w, c);
		w->written++;
	}
	free(c);
	running--;
	return NULL;
}

/* The next chunk is at the beginning of @buf; its length, 0 if it is not whole yet. */
static size_t take_chunk(const uint8_t *buf, size_t len)
{
	static struct chunk got, want;

	if (len < offsetof(struct chunk, filler))
		return 0;
	memcpy(&got, buf, len < sizeof(got) ? len : sizeof(got));
	CHECK(got.writer < WRITERS && got.len <= sizeof(got));
	EQ(got.number, writers[got.writer].arrived);
	if (len < got.len)
		return 0;
	memcpy(&want, &got, offsetof(struct chunk, filler));
	fill(&want);
	CHECK(!memcmp(&got, &want, got.len));
	writers[got.writer].arrived++;
	return got.len;
}

/* What arrived at the peer, as far as its chunks are whole. */
static void take_chunks(void)
{
	static uint8_t buf[1 << 18];
	static size_t have;
	size_t pos = 0, len;
	ssize_t n = SYS(read(u.l.peer.out, buf + have, sizeof(buf) - have));

	CHECK(n > 0);
	link_sent(&u.l, buf + have, n);
	have += n;
	while ((len = take_chunk(buf + pos, have - pos)))
		pos += len;
	have -= pos;
	memmove(buf, buf + pos, have);
}

static int all_arrived(void)
{
	int i;

	if (running)
		return 0;
	for (i = 0; i < WRITERS; i++)
		if (writers[i].arrived != writers[i].written)
			return 0;
	return 1;
}

static void start_writers(void)
{
	int i;

	running = WRITERS;
	for (i = 0; i < WRITERS; i++) {
		writers[i].index = i;
		EQ(pthread_create(&writers[i].thread, NULL, write_chunks, &writers[i]), 0);
	}
}

static int all_have_written(void)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		if (!writers[i].arrived)
			return 0;
	return 1;
}

static void hundred_writers(void)
{
	const unsigned int count = changes_wanted();
	struct pollfd pfd = { .events = POLLIN };
	unsigned long long chunks = 0, waited = 0;
	uint64_t next = 0;
	int i, silent = 0;

	unrest_open(&u, 0);
	SYS(fcntl(u.l.fd, F_SETFL, 0));
	pfd.fd = u.l.peer.out;
	unrest_begin(&u, 50, any(2));
	start_writers();
	while (!all_arrived()) {
		const unsigned int changes = unrest_changes(&u);

		enough = changes >= count && all_have_written();
		give((changes + 1) * TURN);
		if (SYS(poll(&pfd, 1, 100))) {
			take_chunks();
			silent = 0;
		} else if (++silent > PATIENCE_MS / 100) {
			check_failed(__FILE__, __LINE__, "nothing arrives any more, %d writers are left", running);
		}
		if (!enough && (silent || u.l.sent >= next)) {
			next = u.l.sent + any(30000);
			unrest_start(&u);
		}
	}
	for (i = 0; i < WRITERS; i++) {
		EQ(pthread_join(writers[i].thread, NULL), 0);
		chunks += writers[i].arrived;
		waited += writers[i].waited;
	}
	note("%llu chunks of %d writers; the polling ones met a full or held socket %llu times", chunks,
	     WRITERS, waited);
	SYS(fcntl(u.l.fd, F_SETFL, O_NONBLOCK));
	unrest_end(&u);
}

/* ---- one that never reads ---- */

#define FLOOD	(16 << 20)

static void never_reads(void)
{
	const uint64_t stuck = 1 << 20;
	int small = 131072, i;
	char byte = 0;

	unrest_open(&u, 0);
	SYS(setsockopt(u.l.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	link_move(&u.l, SOME, SOME);
	for (i = 0; i < 3; i++) {
		link_move_unread(&u.l, 1 << 20, FLOOD, stuck);
		CHECK(u.l.down.made < u.l.down.want);
		GIVES(kssl_renegotiate(u.l.k, KSSL_RENEG_FULL), 0);
		if (v->server) {
			/* Nothing is held before the ClientHello, which is behind all that. */
			link_move_unread(&u.l, 1 << 20, 0, stuck);
		} else {
			FAILS(write(u.l.fd, &byte, 1), EAGAIN);
			EQ(link_status(&u.l).tx.state, KSSL_STATE_HELD);
		}
		EQ(link_count(&u.l, KSSL_EVENT_RENEGOTIATED, ANYBODY), i);
		u.l.down.want = u.l.down.made;
		link_move(&u.l, SOME, SOME);
		link_wait(&u.l, KSSL_EVENT_RENEGOTIATED, 0, i + 1);
		link_check_data(&u.l);
		u.started++;
	}
	unrest_end(&u);
}

/* ---- files and pipes ---- */

#define FILE_LEN	(1 << 20)

static uint8_t *contents;
static int file;

static void make_file(void)
{
	uint32_t *words, i;

	file = SYS(memfd_create("data", 0));
	SYS(ftruncate(file, FILE_LEN));
	contents = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(contents != MAP_FAILED);
	words = (uint32_t *)contents;
	for (i = 0; i < FILE_LEN / 4; i++)
		words[i] = any(~0u);
}

/* Bytes from @pos on of a stream of the file, again and again, in one piece. */
static size_t piece(uint64_t pos, size_t most)
{
	size_t left = FILE_LEN - pos % FILE_LEN;

	return left < most ? left : most;
}

static size_t check_piece(uint64_t pos, const uint8_t *buf, size_t len)
{
	size_t n = piece(pos, len);

	CHECK(!memcmp(contents + pos % FILE_LEN, buf, n));
	if (n < len)
		CHECK(!memcmp(contents, buf + n, len - n));
	return len;
}

/* Not more than fits into a pipe, to be one. */
static size_t some(uint64_t pos)
{
	return piece(pos, 1 + any(any(2) ? 500 : 60000));
}

static int may_wait(ssize_t n)
{
	return n < 0 && errno == EAGAIN;
}

static ssize_t by_sendfile(uint64_t pos)
{
	off_t from = pos % FILE_LEN;

	return sendfile(u.l.fd, file, &from, some(pos));
}

/* What a pipe could not give to the socket stays in it. */
static ssize_t by_splice(int pipe[2], size_t *in_pipe, uint64_t pos)
{
	off_t from = pos % FILE_LEN;
	ssize_t n;

	if (!*in_pipe)
		*in_pipe = SYS(splice(file, &from, pipe[1], NULL, some(pos), 0));
	n = splice(pipe[0], NULL, u.l.fd, NULL, *in_pipe, SPLICE_F_NONBLOCK);
	*in_pipe -= n > 0 ? n : 0;
	return n;
}

static size_t send_more(int pipe[2], size_t *in_pipe, uint64_t pos)
{
	ssize_t n = *in_pipe || any(2) ? by_splice(pipe, in_pipe, pos) : by_sendfile(pos);

	if (may_wait(n))
		return 0;
	link_sent(&u.l, contents + pos % FILE_LEN, SYS(n));
	return n;
}

static size_t receive(int pipe[2], uint64_t pos)
{
	static uint8_t buf[65536];
	ssize_t n = splice(u.l.fd, NULL, pipe[1], NULL, sizeof(buf), SPLICE_F_NONBLOCK);

	if (may_wait(n))
		return 0;
	CHECK(SYS(n) > 0);
	EQ(SYS(read(pipe[0], buf, n)), n);
	link_received(&u.l, buf, n);
	return check_piece(pos, buf, n);
}

static size_t arrive(uint64_t pos)
{
	static uint8_t buf[65536];
	ssize_t n = SYS(read(u.l.peer.out, buf, sizeof(buf)));

	CHECK(n > 0);
	return check_piece(pos, buf, n);
}

static void files_and_pipes(void)
{
	const unsigned int count = changes_wanted();
	uint64_t up = 0, up_got = 0, down = 0, down_got = 0, next = 0;
	struct pollfd fds[3] = { { 0 }, { .events = POLLIN }, { 0 } };
	int out[2], in[2];
	size_t in_pipe = 0;

	make_file();
	unrest_open(&u, 0);
	SYS(pipe2(out, O_CLOEXEC));
	SYS(pipe2(in, O_CLOEXEC));
	fds[0].fd = u.l.fd;
	fds[1].fd = u.l.peer.out;
	fds[2].fd = u.l.peer.in;
	unrest_begin(&u, 8, any(2));
	for (;;) {
		const unsigned int changes = unrest_changes(&u);
		const int more = changes < count || in_pipe;

		if (!more && up_got == up && down_got == down)
			break;
		fds[0].events = POLLIN | (more ? POLLOUT : 0);
		fds[2].events = changes < count ? POLLOUT : 0;
		CHECK(SYS(poll(fds, 3, PATIENCE_MS)));
		if (fds[1].revents)
			up_got += arrive(up_got);
		if (fds[0].revents & ~POLLOUT)
			down_got += receive(in, down_got);
		if (fds[0].revents & POLLOUT)
			up += send_more(out, &in_pipe, up);
		if (fds[2].revents & POLLOUT)
			down += SYS(write(u.l.peer.in, contents + down % FILE_LEN, piece(down, 4096)));
		if (up >= next && changes < count) {
			next = up + any(60000);
			unrest_start(&u);
		}
	}
	unrest_end(&u);
}

int main(int argc, char **argv)
{
	const unsigned int all = OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS | OVER_SUITES;
	const unsigned int tls12 = OVER_OPENSSL | OVER_ROLES | OVER_TLS12 | OVER_SUITES;
	const struct test tests[] = {
		{ "a hundred writers", all, hundred_writers },
		{ "a writer that never reads", tls12, never_reads },
		{ "sendfile and splice", all, files_and_pipes },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
