// SPDX-License-Identifier: MIT
/* The other ways to send and receive: many messages in a call, files, pipes, several at a time. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#define MESSAGES	8

static void send_many(void)
{
	struct mmsghdr msgs[MESSAGES] = {};
	struct iovec iov[MESSAGES][2];
	uint8_t data[MESSAGES * 1000];
	struct conn c;
	int i;

	conn_open(&c);
	pattern(data, 0, sizeof(data));
	for (i = 0; i < MESSAGES; i++) {
		iov[i][0] = (struct iovec){ data + i * 1000, 300 };
		iov[i][1] = (struct iovec){ data + i * 1000 + 300, 700 };
		msgs[i].msg_hdr.msg_iov = iov[i];
		msgs[i].msg_hdr.msg_iovlen = 2;
	}
	EQ(SYS(sendmmsg(c.fd, msgs, MESSAGES, MSG_NOSIGNAL)), MESSAGES);
	for (i = 0; i < MESSAGES; i++) {
		EQ(msgs[i].msg_len, 1000);
		peer_expect(&c.peer, DATA, data + i * 1000, 1000);
	}
}

static void receive_many(void)
{
	struct mmsghdr msgs[MESSAGES] = {};
	struct iovec iov[MESSAGES];
	uint8_t data[MESSAGES * 100];
	struct conn c;
	int i;

	conn_open(&c);
	for (i = 0; i < MESSAGES; i++) {
		iov[i] = (struct iovec){ data + i * 100, 100 };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	/* other boundaries than the records have */
	peer_send_pattern(&c.peer, 0, 500, 125);
	peer_settle(&c.peer);
	EQ(SYS(recvmmsg(c.fd, msgs, MESSAGES, MSG_WAITFORONE, NULL)), 5);
	for (i = 0; i < 5; i++)
		EQ(msgs[i].msg_len, 100);
	check_pattern(data, 0, 500);
	peer_send_pattern(&c.peer, 500, 800, 200);
	peer_settle(&c.peer);
	EQ(SYS(recvmmsg(c.fd, msgs, MESSAGES, 0, NULL)), MESSAGES);
	check_pattern(data, 500, 800);
	FAILS(recvmmsg(c.fd, msgs, MESSAGES, MSG_DONTWAIT, NULL), EAGAIN);
}

/* A read takes all the records that are there. */
static void several_records(void)
{
	uint8_t data[5000];
	struct iovec iov[2] = { { data, 1234 }, { data + 1234, sizeof(data) - 1234 } };
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 3000, 100);
	peer_settle(&c.peer);
	EQ(SYS(readv(c.fd, iov, 2)), 3000);
	check_pattern(data, 0, 3000);
}

static void end_of_record(void)
{
	struct conn c;

	conn_open(&c);
	EQ(SYS(send(c.fd, "da", 2, MSG_MORE | MSG_NOSIGNAL)), 2);
	EQ(SYS(send(c.fd, "ta", 2, MSG_EOR | MSG_NOSIGNAL)), 2);
	peer_expect(&c.peer, DATA, "data", 4);
	EQ(SYS(send(c.fd, "more", 4, MSG_EOR | MSG_NOSIGNAL)), 4);
	peer_expect(&c.peer, DATA, "more", 4);
}

static void tcp_options(void)
{
	socklen_t len = sizeof(int);
	int on = 1, value = 0;
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	send_pattern(c.fd, 0, 100);
	send_pattern(c.fd, 100, 100);
	SYS(getsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &value, &len));
	EQ(value, 1);
	on = 0;
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	/* the cork joins segments, not records */
	peer_expect_pattern(&c.peer, 0, 200);
	if (!v->plain)
		EQ(status_of(c.fd).tx.records, 2);
	on = 1;
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	SYS(getsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
	EQ(value, 1);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* ---- files and pipes ---- */

static int file_of(size_t len)
{
	int fd = SYS(memfd_create("data", 0));
	uint8_t *data = malloc(len);

	CHECK(data);
	pattern(data, 0, len);
	EQ(SYS(write(fd, data, len)), len);
	free(data);
	return fd;
}

struct job {
	struct conn *c;
	size_t len;
	size_t step;
};

static void *read_job(void *arg)
{
	struct job *job = arg;

	peer_expect_pattern(&job->c->peer, 0, job->len);
	return NULL;
}

static void *send_job(void *arg)
{
	struct job *job = arg;

	peer_send_pattern(&job->c->peer, 0, job->len, job->step);
	return NULL;
}

/* One call for a file of many records, blocking. */
static void large_file(void)
{
	struct job job = { .len = 3 << 20 };
	int file = file_of(job.len);
	off_t at = 0;
	struct conn c;
	pthread_t t;

	conn_open(&c);
	job.c = &c;
	t = start(read_job, &job);
	while (at < (off_t)job.len)
		CHECK(SYS(sendfile(c.fd, file, &at, job.len - at)) > 0);
	finish(t);
	/* by the file's own position, which moves as far as bytes were taken */
	EQ(SYS(lseek(file, 1000, SEEK_SET)), 1000);
	EQ(SYS(sendfile(c.fd, file, NULL, 20000)), 20000);
	EQ(SYS(lseek(file, 0, SEEK_CUR)), 21000);
	peer_expect_pattern(&c.peer, 1000, 20000);
}

/* To a socket that is full: what was taken arrives, once. */
static void file_to_full(void)
{
	struct job job = {};
	size_t len = 8 << 20;
	int file = file_of(len);
	off_t at = 0;
	struct conn c;
	pthread_t t;
	long n;

	conn_open_bufs(&c, 0, 100000);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	while ((n = sendfile(c.fd, file, &at, len - at)) > 0)
		;
	EQ(n, -1);
	EQ(errno, EAGAIN);
	CHECK(at > 0 && at < (off_t)len);
	job.c = &c;
	job.len = len;
	t = start(read_job, &job);
	while (at < (off_t)len) {
		wait_ready(c.fd, POLLOUT);
		n = sendfile(c.fd, file, &at, len - at);
		if (n < 0)
			EQ(errno, EAGAIN);
	}
	finish(t);
}

/* The file ends before what was asked for: nothing may stay behind in an open record. */
static void short_file(void)
{
	int file = file_of(50000);
	off_t at = 40000;
	struct conn c;

	conn_open(&c);
	EQ(SYS(sendfile(c.fd, file, &at, 1 << 20)), 10000);
	peer_expect_pattern(&c.peer, 40000, 10000);
	at = 50000;
	EQ(SYS(sendfile(c.fd, file, &at, 1000)), 0);
	at = 16;
	EQ(SYS(sendfile(c.fd, file, &at, 1)), 1);
	peer_expect_pattern(&c.peer, 16, 1);
}

/* Pages of the sender's own: what is sent is what they held at the time of splice(). */
static void pages(void)
{
	uint8_t *data = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { data, 32768 };
	struct conn c;
	int pipes[2];
	size_t sent;

	CHECK(data != MAP_FAILED);
	conn_open(&c);
	SYS(pipe(pipes));
	pattern(data, 0, 32768);
	EQ(SYS(vmsplice(pipes[1], &iov, 1, 0)), 32768);
	for (sent = 0; sent < 32768;)
		sent += SYS(splice(pipes[0], NULL, c.fd, NULL, 32768 - sent, 0));
	if (!v->plain)
		memset(data, 0, 32768);
	peer_expect_pattern(&c.peer, 0, 32768);
}

static void tees(void)
{
	int a[2], b[2];
	struct conn c;
	uint8_t data[4000];

	conn_open(&c);
	SYS(pipe(a));
	SYS(pipe(b));
	pattern(data, 0, sizeof(data));
	EQ(SYS(write(a[1], data, sizeof(data))), sizeof(data));
	EQ(SYS(tee(a[0], b[1], sizeof(data), 0)), sizeof(data));
	EQ(SYS(splice(a[0], NULL, c.fd, NULL, sizeof(data), 0)), sizeof(data));
	peer_expect_pattern(&c.peer, 0, sizeof(data));
	EQ(SYS(splice(b[0], NULL, c.fd, NULL, sizeof(data), 0)), sizeof(data));
	peer_expect_pattern(&c.peer, 0, sizeof(data));
	/* and what came in, twice: in a file, and on its way */
	peer_send_pattern(&c.peer, 0, sizeof(data), sizeof(data));
	EQ(SYS(splice(c.fd, NULL, a[1], NULL, sizeof(data), 0)), sizeof(data));
	EQ(SYS(tee(a[0], b[1], sizeof(data), 0)), sizeof(data));
	memset(data, 0, sizeof(data));
	EQ(SYS(read(b[0], data, sizeof(data))), sizeof(data));
	check_pattern(data, 0, sizeof(data));
	EQ(SYS(splice(a[0], NULL, c.fd, NULL, sizeof(data), 0)), sizeof(data));
	peer_expect_pattern(&c.peer, 0, sizeof(data));
}

/* A proxy: from one connection through a pipe into another. */
static void proxy(void)
{
	struct job in = { .len = 2 << 20, .step = 5000 };
	struct conn from, to;
	pthread_t sender, reader;
	struct job out;
	int pipes[2];
	size_t at = 0;

	conn_open(&from);
	conn_open(&to);
	SYS(pipe(pipes));
	in.c = &from;
	out = in;
	out.c = &to;
	sender = start(send_job, &in);
	reader = start(read_job, &out);
	while (at < in.len) {
		long n = SYS(splice(from.fd, NULL, pipes[1], NULL, 65536, SPLICE_F_MOVE));

		CHECK(n > 0);
		at += n;
		while (n)
			n -= SYS(splice(pipes[0], NULL, to.fd, NULL, n, SPLICE_F_MOVE |
					(at < in.len ? SPLICE_F_MORE : 0)));
	}
	finish(sender);
	finish(reader);
}

/* A full pipe takes what fits; the rest stays readable. */
static void small_pipe(void)
{
	uint8_t data[16384];
	struct conn c;
	int pipes[2];
	long n, more;

	conn_open(&c);
	SYS(pipe(pipes));
	SYS(fcntl(pipes[1], F_SETPIPE_SZ, 4096));
	peer_send_pattern(&c.peer, 0, 16384, 16384);
	peer_settle(&c.peer);
	n = SYS(splice(c.fd, NULL, pipes[1], NULL, 16384, SPLICE_F_NONBLOCK));
	CHECK(n > 0 && n <= 16384);
	for (more = 0; more < n;) {
		long got = SYS(read(pipes[0], data, n - more));

		check_pattern(data, more, got);
		more += got;
	}
	if (n < 16384)
		recv_pattern(c.fd, n, 16384 - n);
}

/* ---- several at a time ---- */

#define THREADS		4
#define ROUNDS		100
#define BLOCK		16384

struct writer {
	struct conn *c;
	uint32_t id;
};

/* Writes of a whole record: 4096 words that say whose and which it is. */
static void *write_blocks(void *arg)
{
	static __thread uint32_t words[BLOCK / 4];
	struct writer *w = arg;
	uint32_t round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < BLOCK / 4; i++)
			words[i] = w->id << 24 | round << 12 | i;
		EQ(SYS(send(w->c->fd, words, BLOCK, MSG_NOSIGNAL)), BLOCK);
	}
	return NULL;
}

/* Whoever writes beside others: each write is in one piece, in order, once. */
static void many_writers(void)
{
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	uint32_t next[THREADS] = {};
	static uint32_t words[RECORD_MAX / 4];
	struct conn c;
	uint32_t i, j;
	uint8_t type;

	conn_open_bufs(&c, 0, 40000);
	for (i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ &c, i };
		threads[i] = start(write_blocks, &writers[i]);
	}
	for (i = 0; i < THREADS * ROUNDS; i++) {
		uint32_t id;

		EQ(peer_recv(&c.peer, &type, (uint8_t *)words), BLOCK);
		id = words[0] >> 24;
		CHECK(id < THREADS);
		for (j = 0; j < BLOCK / 4; j++)
			EQ(words[j], id << 24 | next[id] << 12 | j);
		next[id]++;
	}
	for (i = 0; i < THREADS; i++)
		finish(threads[i]);
}

struct readers {
	struct conn *c;
	atomic_ulong sum;
	atomic_size_t bytes;
};

static void *sum_bytes(void *arg)
{
	struct readers *r = arg;
	uint8_t data[777];
	long n, i;

	while ((n = SYS(recv(r->c->fd, data, sizeof(data), 0)))) {
		unsigned long sum = 0;

		for (i = 0; i < n; i++)
			sum += data[i];
		r->sum += sum;
		r->bytes += n;
	}
	return NULL;
}

/* Whoever reads beside others: each byte comes to one of them. */
static void many_readers(void)
{
	struct job job = { .len = 1 << 20, .step = 3333 };
	struct readers readers = {};
	pthread_t threads[THREADS], sender;
	unsigned long sum = 0;
	struct conn c;
	size_t i;

	conn_open(&c);
	job.c = &c;
	readers.c = &c;
	for (i = 0; i < THREADS; i++)
		threads[i] = start(sum_bytes, &readers);
	sender = start(send_job, &job);
	for (i = 0; i < job.len; i++)
		sum += pattern_at(i);
	finish(sender);
	while (readers.bytes < job.len)
		usleep(1000);
	SYS(shutdown(c.fd, SHUT_RD));
	for (i = 0; i < THREADS; i++)
		finish(threads[i]);
	EQ(readers.bytes, job.len);
	EQ(readers.sum, sum);
}

static const struct test tests[] = {
	{ "send_many", WITH_TCP, send_many },
	{ "receive_many", WITH_TCP, receive_many },
	{ "several_records", WITH_TCP, several_records },
	{ "end_of_record", WITH_TCP, end_of_record },
	{ "tcp_options", WITH_TCP, tcp_options },
	{ "large_file", WITH_TCP, large_file },
	{ "file_to_full", WITH_TCP, file_to_full },
	{ "short_file", WITH_TCP, short_file },
	{ "pages", WITH_TCP, pages },
	{ "tees", WITH_TCP, tees },
	{ "proxy", WITH_TCP, proxy },
	{ "small_pipe", WITH_TCP, small_pipe },
	{ "many_writers", VERSIONS, many_writers },
	{ "many_readers", WITH_TCP, many_readers },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
