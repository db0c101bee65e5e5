// SPDX-License-Identifier: MIT
/*
 * Attacks on the stream of sending and receiving: every way of writing mixed until
 * nothing fits, pages that change after they were given, short pipes, signals, many
 * processes on one socket.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

/* ---- every way of writing ---- */

#define MOST	40000

struct mix {
	struct conn c;
	size_t sent;
	size_t done;	/* once nothing more comes, SIZE_MAX before */
	uint8_t *data;
	int file;
	int ends[2];
};

static void mix_open(struct mix *m)
{
	conn_open(&m->c);
	m->sent = 0;
	m->done = -1;
	m->data = mmap(NULL, MOST + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	CHECK(m->data != MAP_FAILED);
	m->file = SYS(memfd_create("data", 0));
	SYS(pipe(m->ends));
}

enum way { SEND, SEND_MORE, WRITEV, SENDFILE, SPLICE, SPLICE_MORE, VMSPLICE, NOTHING, WAYS };

static long from_file(struct mix *m, size_t len)
{
	off_t from = 0;

	EQ(SYS(pwrite(m->file, m->data, len, 0)), len);
	return sendfile(m->c.fd, m->file, &from, len);
}

/* Through a pipe; what does not go is taken out again, for the pipe has to be empty. */
static long from_pipe(struct mix *m, size_t len, int vm, int flags)
{
	struct iovec iov = { m->data, len };
	long in, out = 0, n = 0, left;
	uint8_t rest[4096];

	in = vm ? SYS(vmsplice(m->ends[1], &iov, 1, SPLICE_F_NONBLOCK)) :
		  SYS(write(m->ends[1], m->data, len < 60000 ? len : 60000));
	while (out < in) {
		n = splice(m->ends[0], NULL, m->c.fd, NULL, in - out, flags | SPLICE_F_NONBLOCK);
		if (n <= 0)
			break;
		out += n;
	}
	for (left = in - out; left > 0;)
		left -= SYS(read(m->ends[0], rest, sizeof(rest)));
	if (vm) /* They were given, not lent: what is in them now is nobody's business. */
		memset(m->data, 0xee, len);
	return out ? out : n;
}

static long write_one(struct mix *m, enum way by, size_t len)
{
	struct iovec iov[3] = {
		{ m->data, len / 3 }, { m->data + len / 3, 1 },
		{ m->data + len / 3 + 1, len - len / 3 - 1 },
	};

	pattern(m->data, m->sent, len);
	switch (by) {
	case SEND:
		return send(m->c.fd, m->data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	case SEND_MORE:
		return send(m->c.fd, m->data, len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
	case WRITEV:
		return writev(m->c.fd, iov, 3);
	case SENDFILE:
		return from_file(m, len);
	case SPLICE:
		return from_pipe(m, len, 0, 0);
	case SPLICE_MORE:
		return from_pipe(m, len, 0, SPLICE_F_MORE);
	case VMSPLICE:
		return from_pipe(m, len, 1, 0);
	default:
		return send(m->c.fd, m->data, 0, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void *drain(void *arg)
{
	struct mix *m = arg;
	uint8_t content[RECORD_MAX], type;
	size_t at = 0;
	long n;

	while ((n = peer_recv(&m->c.peer, &type, content)) >= 0 && type == DATA) {
		check_pattern(content, at, n);
		at += n;
	}
	EQ(type, ALERT);
	return (void *)at;
}

/* A number that only looks random, the same in each run. */
static unsigned int next_number(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16;
}

/* In order, until nothing fits, with nobody who reads; then on with a reader. */
static void ways_of_writing(void)
{
	unsigned int state = 1, full = 0, i;
	struct mix m;
	pthread_t t = 0;

	mix_open(&m);
	SYS(fcntl(m.c.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < 600; i++) {
		enum way by = next_number(&state) % WAYS;
		size_t len = 1 + next_number(&state) % (i & 3 ? 5000 : MOST);
		long n = write_one(&m, by, len);

		if (n > 0) {
			CHECK(n <= (long)len);
			m.sent += n;
			continue;
		}
		if (by == NOTHING)
			continue;
		EQ(errno, EAGAIN);
		full++;
		if (!t)
			t = start(drain, &m);
		wait_ready(m.c.fd, POLLOUT);
	}
	if (!t)
		t = start(drain, &m);
	close(m.c.fd);
	EQ((size_t)finish(t), m.sent);
	note("%zu bytes, full %u times", m.sent, full);
}

/* Every way after every other, over the borders of records. */
static void pairs_of_ways(void)
{
	static const size_t lens[] = { 1, 4096, 16383, 16384, 16385, 20000 };
	enum way first, second;
	unsigned int i;
	struct mix m;
	pthread_t t;

	mix_open(&m);
	t = start(drain, &m);
	for (first = SEND; first < WAYS; first++)
		for (second = SEND; second < WAYS; second++)
			for (i = 0; i < 2; i++) {
				enum way by = i ? second : first;
				size_t left = lens[(first + second + i) % 6];

				while (left) {
					long n = write_one(&m, by, left);

					if (by == NOTHING)
						break;
					if (n < 0) {
						EQ(errno, EAGAIN);
						wait_ready(m.c.fd, POLLOUT);
						continue;
					}
					m.sent += n;
					left -= n;
				}
			}
	close(m.c.fd);
	EQ((size_t)finish(t), m.sent);
}

/* CVE-2024-0646: pages spliced onto a record that is just full. */
static void cve_2024_0646_splice_onto_full(void)
{
	size_t fill;
	struct mix m;
	pthread_t t;

	mix_open(&m);
	t = start(drain, &m);
	for (fill = 16384 - 3; fill <= 16384 + 3; fill++) {
		pattern(m.data, m.sent, fill);
		EQ(SYS(send(m.c.fd, m.data, fill, MSG_MORE | MSG_NOSIGNAL)), fill);
		m.sent += fill;
		pattern(m.data, m.sent, 5000);
		EQ(SYS(write(m.ends[1], m.data, 5000)), 5000);
		EQ(SYS(splice(m.ends[0], NULL, m.c.fd, NULL, 5000, SPLICE_F_MORE)), 5000);
		m.sent += 5000;
	}
	close(m.c.fd);
	EQ((size_t)finish(t), m.sent);
}

/* CVE-2023-52767: the end of what was spliced, with nothing open. */
static void cve_2023_52767_splice_eof(void)
{
	struct mix m;
	off_t from;

	mix_open(&m);
	pattern(m.data, 0, 100);
	EQ(SYS(pwrite(m.file, m.data, 100, 0)), 100);
	from = 100;
	EQ(SYS(sendfile(m.c.fd, m.file, &from, 5000)), 0);
	from = 0;
	/* more is asked for than there is: the record must not stay open */
	EQ(SYS(sendfile(m.c.fd, m.file, &from, 5000)), 100);
	peer_expect(&m.c.peer, DATA, m.data, 100);
	close(m.ends[1]);
	EQ(SYS(splice(m.ends[0], NULL, m.c.fd, NULL, 100, 0)), 0);
	send_pattern(m.c.fd, 0, 100);
	peer_expect_pattern(&m.c.peer, 0, 100);
}

/* A pipe of one page takes a record in pieces; none is lost while it is full. */
static void short_pipe(void)
{
	uint8_t data[4096];
	struct mix m;
	size_t at = 0;
	long n, got;

	mix_open(&m);
	SYS(fcntl(m.ends[1], F_SETPIPE_SZ, 4096));
	peer_send_pattern(&m.c.peer, 0, 100000, 16384);
	while (at < 100000) {
		n = splice(m.c.fd, NULL, m.ends[1], NULL, 100000, SPLICE_F_NONBLOCK);
		if (n < 0) {
			EQ(errno, EAGAIN);
			wait_ready(m.c.fd, POLLIN);
			continue;
		}
		/* the pipe is full or holds all there is; then it is no room that is missing */
		if (splice(m.c.fd, NULL, m.ends[1], NULL, 1, SPLICE_F_NONBLOCK) > 0)
			n++;
		while (n > 0) {
			got = SYS(read(m.ends[0], data, sizeof(data)));
			check_pattern(data, at, got);
			at += got;
			n -= got;
		}
	}
	EQ(status_of(m.c.fd).rx.bytes, 100000);
}

/* ---- signals ---- */

static void on_signal(int number)
{
	(void)number;
}

/* Without SA_RESTART: each call has to tell how far it got. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	SYS(sigaction(SIGUSR1, &action, NULL));
}

static int calm;

static void *shoot(void *arg)
{
	pthread_t *at = arg;
	int i;

	for (i = 0; i < 100000 && !__atomic_load_n(&calm, __ATOMIC_RELAXED); i++) {
		pthread_kill(*at, SIGUSR1);
		usleep(i % 7 * 50);
	}
	return NULL;
}

#define THROUGH	2000000

static void *drain_slowly(void *arg)
{
	struct conn *c = arg;
	uint8_t content[RECORD_MAX], type;
	size_t at = 0;

	while (at < THROUGH) {
		long n = peer_recv(&c->peer, &type, content);

		EQ(type, DATA);
		check_pattern(content, at, n);
		at += n;
	}
	return NULL;
}

static void signals_while_sending(void)
{
	static uint8_t data[60000];
	pthread_t self = pthread_self(), t[2];
	size_t at = 0, interrupted = 0;
	struct conn c;

	catch_signals();
	conn_open_bufs(&c, 0, 1);
	at = send_until_full(c.fd, 0);
	t[1] = start(shoot, &self);
	/* Nobody makes room yet, so nothing else ends it. */
	while (!interrupted) {
		long n;

		pattern(data, at, 1000);
		n = send(c.fd, data, 1000, MSG_NOSIGNAL);
		if (n < 0)
			EQ(errno, EINTR);
		else
			at += n;
		interrupted += n < 0;
	}
	t[0] = start(drain_slowly, &c);
	while (at < THROUGH) {
		size_t len = THROUGH - at < sizeof(data) ? THROUGH - at : sizeof(data);
		long n;

		pattern(data, at, len);
		n = send(c.fd, data, len, MSG_NOSIGNAL);
		if (n < 0) {
			EQ(errno, EINTR);
			interrupted++;
			continue;
		}
		interrupted += n < (long)len;
		at += n;
	}
	__atomic_store_n(&calm, 1, __ATOMIC_RELAXED);
	finish(t[1]);
	finish(t[0]);
	EQ(error_of(c.fd).err, 0);
	note("interrupted %zu times", interrupted);
}

static void *feed(void *arg)
{
	struct conn *c = arg;

	peer_send_pattern(&c->peer, 0, THROUGH, 5000);
	return NULL;
}

static void signals_while_receiving(void)
{
	static uint8_t data[60000];
	pthread_t self = pthread_self(), t[2];
	size_t at = 0, interrupted = 0;
	struct conn c;

	catch_signals();
	conn_open(&c);
	t[1] = start(shoot, &self);
	FAILS(recv(c.fd, data, 1, 0), EINTR);
	t[0] = start(feed, &c);
	while (at < THROUGH) {
		size_t len = THROUGH - at < sizeof(data) ? THROUGH - at : sizeof(data);
		long n = recv(c.fd, data, len, at & 1 ? 0 : MSG_WAITALL);

		if (n < 0) {
			EQ(errno, EINTR);
			interrupted++;
			continue;
		}
		CHECK(n > 0);
		check_pattern(data, at, n);
		at += n;
	}
	__atomic_store_n(&calm, 1, __ATOMIC_RELAXED);
	finish(t[1]);
	finish(t[0]);
	EQ(error_of(c.fd).err, 0);
	note("interrupted %zu times", interrupted);
}

static void *send_through(void *arg)
{
	struct conn *c = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	send_pattern(c->fd, 0, THROUGH);
	return NULL;
}

/* A key option that is interrupted has not happened; who sends does not notice. */
static void signals_while_setting_keys(void)
{
	unsigned int i, interrupted = 0;
	pthread_t self = pthread_self(), t[3];
	struct conn c;

	catch_signals();
	conn_open(&c);
	t[0] = start(drain_slowly, &c);
	t[1] = start(send_through, &c);
	t[2] = start(shoot, &self);
	for (i = 1; i <= 100; i++) {
		struct keys k = make_keys(i);

		while (set_key(c.fd, KSSL_RX_KEY, &k)) {
			EQ(errno, EINTR);
			interrupted++;
		}
		EQ(status_of(c.fd).rx.epoch, i + 1);
		c.peer.tx = k;
		peer_send(&c.peer, DATA, "new", 3);
		/* then the read has nothing to wait for */
		peer_settle(&c.peer);
		expect_typed(c.fd, DATA, "new", 3);
	}
	__atomic_store_n(&calm, 1, __ATOMIC_RELAXED);
	finish(t[2]);
	finish(t[1]);
	finish(t[0]);
	EQ(error_of(c.fd).err, 0);
	note("interrupted %u times", interrupted);
}

/* ---- many processes ---- */

#define PROCESSES	4
#define LINES		200

/* One write is one record, however many write at the same time. */
static void writing_processes(void)
{
	unsigned int seen[PROCESSES] = {}, i;
	uint8_t content[RECORD_MAX], type;
	struct conn c;
	int who, status;

	conn_open(&c);
	for (who = 0; who < PROCESSES; who++) {
		if (SYS(fork()))
			continue;
		for (i = 0; i < LINES; i++) {
			uint32_t line[50] = { who, i };
			int fd = dup(c.fd);

			EQ(SYS(send(fd, line, sizeof(line), MSG_NOSIGNAL)), sizeof(line));
			close(fd);
		}
		_exit(0);
	}
	for (i = 0; i < PROCESSES * LINES; i++) {
		uint32_t line[50];

		EQ(peer_recv(&c.peer, &type, content), sizeof(line));
		EQ(type, DATA);
		memcpy(line, content, sizeof(line));
		CHECK(line[0] < PROCESSES);
		EQ(line[1], seen[line[0]]++);
	}
	for (who = 0; who < PROCESSES; who++) {
		SYS(wait(&status));
		EQ(status, 0);
	}
	/* Nobody's exit has closed what the others use. */
	EQ(error_of(c.fd).err, 0);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_ACTIVE);
}

/* Every byte goes to exactly one reader. */
static void reading_processes(void)
{
	uint32_t *got = mmap(NULL, PROCESSES * LINES * sizeof(*got), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct conn c;
	uint32_t i;
	int who, status;

	CHECK(got != MAP_FAILED);
	conn_open(&c);
	for (who = 0; who < PROCESSES; who++) {
		uint32_t line[16];

		if (SYS(fork()))
			continue;
		while (SYS(recv(c.fd, line, sizeof(line), 0)) == sizeof(line)) {
			CHECK(line[0] < PROCESSES * LINES);
			for (i = 0; i < 16; i++)
				EQ(line[i], line[0]);
			__atomic_fetch_add(&got[line[0]], 1, __ATOMIC_RELAXED);
		}
		_exit(0);
	}
	for (i = 0; i < PROCESSES * LINES; i++) {
		uint32_t line[16];
		int k;

		for (k = 0; k < 16; k++)
			line[k] = i;
		peer_send(&c.peer, DATA, line, sizeof(line));
	}
	peer_settle(&c.peer);
	while (status_of(c.fd).rx.bytes < PROCESSES * LINES * 64)
		usleep(1000);
	/* All of them see the end of file. */
	SYS(shutdown(c.fd, SHUT_RD));
	for (who = 0; who < PROCESSES; who++) {
		SYS(wait(&status));
		EQ(status, 0);
	}
	for (i = 0; i < PROCESSES * LINES; i++)
		EQ(got[i], 1);
}

static const struct test tests[] = {
	{ "ways_of_writing", VERSIONS, ways_of_writing },
	{ "pairs_of_ways", VERSIONS, pairs_of_ways },
	{ "cve_2024_0646_splice_onto_full", VERSIONS, cve_2024_0646_splice_onto_full },
	{ "cve_2023_52767_splice_eof", VERSIONS, cve_2023_52767_splice_eof },
	{ "short_pipe", VERSIONS, short_pipe },
	{ "signals_while_sending", VERSIONS, signals_while_sending },
	{ "signals_while_receiving", VERSIONS, signals_while_receiving },
	{ "signals_while_setting_keys", VERSIONS, signals_while_setting_keys },
	{ "writing_processes", VERSIONS, writing_processes },
	{ "reading_processes", VERSIONS, reading_processes },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
