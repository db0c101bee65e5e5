// SPDX-License-Identifier: MIT
/* Receiving on an unattended socket: what a record becomes for readers and pollers. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

struct job {
	struct conn *c;
	size_t len;
	size_t step;
};

static void *peer_job(void *arg)
{
	struct job *job = arg;

	peer_send_pattern(&job->c->peer, 0, job->len, job->step);
	return NULL;
}

static void sizes(void)
{
	static const size_t lens[] = { 1, 100, 16383, 16384 };
	unsigned int i;
	size_t at = 0;
	struct conn c;

	conn_open(&c);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		peer_send_pattern(&c.peer, at, lens[i], 16384);
		recv_pattern(c.fd, at, lens[i]);
		at += lens[i];
	}
}

static void bulk(void)
{
	struct job job = { .len = 300000, .step = 16384 };
	struct conn c;
	pthread_t t;

	conn_open(&c);
	job.c = &c;
	t = start(peer_job, &job);
	recv_pattern(c.fd, 0, job.len);
	finish(t);
}

static void partial_reads(void)
{
	uint8_t data[1000];
	struct conn c;
	size_t at = 0;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 1000, 1000);
	EQ(SYS(recv(c.fd, data, 1, 0)), 1);
	check_pattern(data, 0, 1);
	EQ(SYS(recv(c.fd, data, 10, 0)), 10);
	check_pattern(data, 1, 10);
	EQ(queued_bytes(c.fd), 989);
	EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 989);
	check_pattern(data, 11, 989);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
	/* byte by byte over record boundaries */
	peer_send_pattern(&c.peer, 0, 60, 7);
	while (at < 60) {
		EQ(SYS(recv(c.fd, data, 1, 0)), 1);
		check_pattern(data, at++, 1);
	}
}

static void peek(void)
{
	uint8_t data[3000];
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 2000, 1000);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, data, 10, MSG_PEEK)), 10);
	check_pattern(data, 0, 10);
	EQ(SYS(recv(c.fd, data, 500, MSG_PEEK)), 500);
	check_pattern(data, 0, 500);
	EQ(SYS(recv(c.fd, data, 300, 0)), 300);
	check_pattern(data, 0, 300);
	EQ(SYS(recv(c.fd, data, 700, MSG_PEEK)), 700);
	check_pattern(data, 300, 700);
	/* both records are here */
	EQ(SYS(recv(c.fd, data, 1700, MSG_PEEK | MSG_WAITALL)), 1700);
	check_pattern(data, 300, 1700);
	EQ(SYS(recv(c.fd, data, 1700, MSG_WAITALL)), 1700);
	check_pattern(data, 300, 1700);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT | MSG_PEEK), EAGAIN);
}

static void peek_control(void)
{
	uint8_t data[100], type;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_send(&c.peer, DATA, "more", 4);
	peer_settle(&c.peer);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), 4);
	EQ(type, DATA);
	CHECK(!memcmp(data, "data", 4));
	expect_typed(c.fd, DATA, "data", 4);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), 4);
	EQ(type, HANDSHAKE);
	EQ(SYS(recv_typed(c.fd, &type, data, 2, MSG_PEEK)), 2);
	EQ(type, HANDSHAKE);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	expect_typed(c.fd, DATA, "more", 4);
}

static void wait_all(void)
{
	struct job job = { .len = 50000, .step = 777 };
	static uint8_t data[50000];
	struct conn c;
	pthread_t t;

	conn_open(&c);
	job.c = &c;
	t = start(peer_job, &job);
	EQ(SYS(recv(c.fd, data, sizeof(data), MSG_WAITALL)), sizeof(data));
	check_pattern(data, 0, sizeof(data));
	finish(t);
}

/* It ends early where a control record follows. */
static void wait_all_control(void)
{
	uint8_t data[100];
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	EQ(SYS(recv(c.fd, data, sizeof(data), MSG_WAITALL)), 4);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
}

static void not_yet(void)
{
	uint8_t record[RECORD_MAX], data[100];
	size_t len, i;
	struct conn c;

	conn_open(&c);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	FAILS(read(c.fd, data, 1), EAGAIN);
	EQ(ready(c.fd, POLLIN), 0);
	pattern(data, 0, sizeof(data));
	len = seal(&c.peer.tx, DATA, data, sizeof(data), record);
	/* as long as one byte is missing there is nothing */
	for (i = 0; i < len - 1; i++) {
		peer_write(&c.peer, record + i, 1);
		if (i < 8 || i > len - 8) {
			peer_settle(&c.peer);
			EQ(ready(c.fd, POLLIN), 0);
			FAILS(read(c.fd, data, 1), EAGAIN);
			EQ(queued_bytes(c.fd), 0);
		}
	}
	peer_write(&c.peer, record + i, 1);
	wait_ready(c.fd, POLLIN);
	EQ(SYS(read(c.fd, data, sizeof(data))), sizeof(data));
	check_pattern(data, 0, sizeof(data));
	EQ(ready(c.fd, POLLIN), 0);
}

static void readable(void)
{
	uint8_t data[100];
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 150, 100);
	wait_ready(c.fd, POLLIN);
	EQ(SYS(recv(c.fd, data, 50, 0)), 50);
	/* a rest of a record, and a record behind it */
	EQ(ready(c.fd, POLLIN), POLLIN);
	EQ(SYS(recv(c.fd, data, 50, 0)), 50);
	wait_ready(c.fd, POLLIN);
	EQ(SYS(recv(c.fd, data, 100, 0)), 50);
	EQ(ready(c.fd, POLLIN), 0);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	wait_ready(c.fd, POLLIN);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	EQ(ready(c.fd, POLLIN), 0);
}

static void readable_edge(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	uint8_t record[RECORD_MAX], data[100];
	size_t len;
	struct conn c;
	int i;

	conn_open(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	EQ(SYS(epoll_wait(epoll, &event, 1, 0)), 0);
	for (i = 0; i < 20; i++) {
		pattern(data, 0, sizeof(data));
		len = seal(&c.peer.tx, DATA, data, sizeof(data), record);
		peer_write(&c.peer, record, len / 2);
		peer_settle(&c.peer);
		EQ(SYS(epoll_wait(epoll, &event, 1, 0)), 0);
		peer_write(&c.peer, record + len / 2, len - len / 2);
		EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		CHECK(event.events & EPOLLIN);
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT)), sizeof(data));
		FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	}
}

static void *poll_job(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLIN);
	return NULL;
}

/* A poller that already sleeps is woken by the last byte. */
static void readable_sleeping(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;
	pthread_t t;
	size_t len;

	conn_open(&c);
	t = start_asleep(poll_job, &c);
	len = seal(&c.peer.tx, DATA, "hello", 5, record);
	peer_write(&c.peer, record, len - 1);
	peer_settle(&c.peer);
	peer_write(&c.peer, record + len - 1, 1);
	finish(t);
	expect_typed(c.fd, DATA, "hello", 5);
}

static void tiny_segments(void)
{
	uint8_t record[RECORD_MAX], data[3000];
	size_t len, i;
	struct conn c;

	conn_open(&c);
	pattern(data, 0, sizeof(data));
	len = seal(&c.peer.tx, DATA, data, sizeof(data), record);
	for (i = 0; i < len; i++)
		peer_write(&c.peer, record + i, 1);
	peer_send_pattern(&c.peer, 3000, 100, 1);
	recv_pattern(c.fd, 0, 3100);
}

/* A record that never fits into the receive window. */
static void small_window(void)
{
	struct job job = { .len = 200000, .step = 16384 };
	struct conn c;
	pthread_t t;

	conn_connect_bufs(&c, 1, 0);
	conn_attach(&c);
	conn_keys(&c);
	job.c = &c;
	t = start(peer_job, &job);
	recv_pattern(c.fd, 0, job.len);
	finish(t);
}

/* The same, found by a poller instead of a reader. */
static void small_window_poll(void)
{
	struct job job = { .len = 50000, .step = 16384 };
	uint8_t data[16384];
	size_t at = 0;
	struct conn c;
	pthread_t t;

	conn_connect_bufs(&c, 1, 0);
	conn_attach(&c);
	conn_keys(&c);
	job.c = &c;
	t = start(peer_job, &job);
	while (at < job.len) {
		long n;

		wait_ready(c.fd, POLLIN);
		n = recv(c.fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0) {
			EQ(errno, EAGAIN);
			continue;
		}
		CHECK(n > 0);
		check_pattern(data, at, n);
		at += n;
	}
	finish(t);
}

/* SO_RCVLOWAT counts plaintext, and does not keep records from being found. */
static void low_water(void)
{
	struct job job = { .len = 1200, .step = 600 };
	uint8_t data[4000];
	int lowat = 1000;
	struct conn c;
	pthread_t t;
	long n;

	conn_open(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	job.c = &c;
	t = start(peer_job, &job);
	n = SYS(recv(c.fd, data, sizeof(data), 0));
	CHECK(n >= 1000);
	check_pattern(data, 0, n);
	recv_pattern(c.fd, n, 1200 - n);
	finish(t);
	/* larger than all there will be: the end of the data ends the wait */
	lowat = 1 << 20;
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	expect_typed(c.fd, DATA, "data", 4);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
}

static void timeout(void)
{
	struct timeval tv = { .tv_usec = 1000 };
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	FAILS(recv(c.fd, &byte, 1, 0), EAGAIN);
	peer_send(&c.peer, DATA, "x", 1);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
}

static void on_signal(int number)
{
	(void)number;
}

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	uint8_t byte;
	struct conn c;
	pid_t pid;

	conn_open(&c);
	SYS(sigaction(SIGUSR1, &action, NULL));
	pid = SYS(fork());
	if (!pid) {
		for (;;) {
			kill(getppid(), SIGUSR1);
			usleep(1000);
		}
	}
	FAILS(recv(c.fd, &byte, 1, 0), EINTR);
	kill(pid, SIGKILL);
	peer_send(&c.peer, DATA, "x", 1);
	do {
		errno = 0;
	} while (recv(c.fd, &byte, 1, 0) != 1 && errno == EINTR);
	EQ(errno, 0);
	EQ(byte, 'x');
}

/* ---- control records ---- */

static void control_records(void)
{
	uint8_t data[16384], type;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "one", 3);
	peer_send(&c.peer, HANDSHAKE, "hello", 5);
	peer_send(&c.peer, HANDSHAKE, "again", 5);
	peer_send(&c.peer, DATA, "two", 3);
	peer_send_alert(&c.peer, WARNING, USER_CANCELED);
	peer_send(&c.peer, DATA, "three", 5);
	/* types are never mixed, control records never joined */
	expect_typed(c.fd, DATA, "one", 3);
	expect_typed(c.fd, HANDSHAKE, "hello", 5);
	expect_typed(c.fd, HANDSHAKE, "again", 5);
	expect_typed(c.fd, DATA, "two", 3);
	expect_typed(c.fd, ALERT, "\1\132", 2);
	expect_typed(c.fd, DATA, "three", 5);
	/* in parts: the type comes with each */
	pattern(data, 0, sizeof(data));
	peer_send(&c.peer, HANDSHAKE, data, sizeof(data));
	EQ(SYS(recv_typed(c.fd, &type, data, 1000, 0)), 1000);
	EQ(type, HANDSHAKE);
	check_pattern(data, 0, 1000);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), 0)), 15384);
	EQ(type, HANDSHAKE);
	check_pattern(data, 1000, 15384);
}

/* Without room for the type a control record is not given out, and not lost. */
static void no_room_for_type(void)
{
	char control[8];
	uint8_t data[100];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 4);
	FAILS(recv(c.fd, data, sizeof(data), 0), EIO);
	FAILS(read(c.fd, data, sizeof(data)), EIO);
	FAILS(recv(c.fd, data, sizeof(data), MSG_PEEK), EIO);
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	FAILS(recvmsg(c.fd, &msg, 0), EIO);
	EQ(ready(c.fd, POLLIN), POLLIN);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	EQ(error_of(c.fd).err, 0);
}

/* ---- empty records ---- */

static void empty_records(void)
{
	uint8_t data[100];
	struct conn c;
	int i, round;

	conn_open(&c);
	/* 32 in a row are fine, again and again */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 32; i++)
			peer_send(&c.peer, DATA, "", 0);
		peer_settle(&c.peer);
		FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
		EQ(ready(c.fd, POLLIN), 0);
		peer_send(&c.peer, DATA, "data", 4);
		EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 4);
	}
	/* between data they do not show */
	peer_send(&c.peer, DATA, "da", 2);
	peer_send(&c.peer, DATA, "", 0);
	peer_send(&c.peer, DATA, "ta", 2);
	EQ(SYS(recv(c.fd, data, 4, MSG_WAITALL)), 4);
	CHECK(!memcmp(data, "data", 4));
}

static void too_many_empty(void)
{
	uint8_t byte;
	struct conn c;
	int i;

	conn_open(&c);
	for (i = 0; i < 33; i++)
		peer_send(&c.peer, DATA, "", 0);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
}

/* ---- splice ---- */

static void splice_out(void)
{
	struct job job = { .len = 100000, .step = 16384 };
	uint8_t data[65536];
	size_t at = 0;
	int pipes[2];
	struct conn c;
	pthread_t t;

	conn_open(&c);
	SYS(pipe(pipes));
	job.c = &c;
	t = start(peer_job, &job);
	while (at < job.len) {
		long n = SYS(splice(c.fd, NULL, pipes[1], NULL, sizeof(data), 0));

		CHECK(n > 0);
		EQ(SYS(read(pipes[0], data, sizeof(data))), n);
		check_pattern(data, at, n);
		at += n;
	}
	finish(t);
	FAILS(splice(c.fd, NULL, pipes[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
	/* a part of a record, and the rest by read */
	peer_send_pattern(&c.peer, 0, 1000, 1000);
	EQ(SYS(splice(c.fd, NULL, pipes[1], NULL, 300, 0)), 300);
	EQ(SYS(read(pipes[0], data, sizeof(data))), 300);
	check_pattern(data, 0, 300);
	recv_pattern(c.fd, 300, 700);
}

static void splice_control(void)
{
	int pipes[2];
	struct conn c;

	conn_open(&c);
	SYS(pipe(pipes));
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_send(&c.peer, DATA, "data", 4);
	FAILS(splice(c.fd, NULL, pipes[1], NULL, 100, 0), EINVAL);
	FAILS(splice(c.fd, NULL, pipes[1], NULL, 100, 0), EINVAL);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	EQ(SYS(splice(c.fd, NULL, pipes[1], NULL, 100, 0)), 4);
}

/* ---- the rest ---- */

static void scattered_buffers(void)
{
	uint8_t data[3000];
	struct iovec iov[3] = { { data, 1 }, { data + 1, 1500 }, { data + 1501, 1499 } };
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 3000, 3000);
	EQ(SYS(readv(c.fd, iov, 3)), 3000);
	check_pattern(data, 0, 3000);
}

/* Nothing is lost by a bad pointer. */
static void bad_pointer(void)
{
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	FAILS(recv(c.fd, nowhere, 100, 0), EFAULT);
	recv_pattern(c.fd, 0, 100);
}

static void empty_read(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	/* as in TCP: it waits for something that could be read */
	FAILS(recv(c.fd, &byte, 0, MSG_DONTWAIT), EAGAIN);
	EQ(SYS(read(c.fd, &byte, 0)), 0);
	peer_send(&c.peer, DATA, "x", 1);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, &byte, 0, 0)), 0);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
}

#define READERS		4
#define RECORDS		400

struct reader {
	struct conn *c;
	int got[RECORDS];
};

static void *read_records(void *arg)
{
	struct reader *r = arg;
	uint32_t word[25];

	for (;;) {
		unsigned int i;

		EQ(SYS(recv(r->c->fd, word, sizeof(word), 0)), sizeof(word));
		for (i = 1; i < 25; i++)
			EQ(word[i], word[0]);
		if (word[0] == ~0U)
			return NULL;
		CHECK(word[0] < RECORDS);
		r->got[word[0]]++;
	}
}

/* Each record is read once, by one reader, whole. */
static void many_readers(void)
{
	static struct reader readers[READERS];
	pthread_t threads[READERS];
	uint32_t word[25];
	struct conn c;
	int i, j;

	conn_open(&c);
	for (i = 0; i < READERS; i++) {
		readers[i].c = &c;
		threads[i] = start(read_records, &readers[i]);
	}
	for (i = 0; i < RECORDS + READERS; i++) {
		for (j = 0; j < 25; j++)
			word[j] = i < RECORDS ? (uint32_t)i : ~0U;
		peer_send(&c.peer, DATA, word, sizeof(word));
	}
	for (i = 0; i < READERS; i++)
		finish(threads[i]);
	for (i = 0; i < RECORDS; i++) {
		int sum = 0;

		for (j = 0; j < READERS; j++)
			sum += readers[j].got[i];
		EQ(sum, 1);
	}
}

/* kssl at both ends. */
static void *both_job(void *arg)
{
	struct job *job = arg;

	send_pattern(job->c->fd, 0, job->len);
	return NULL;
}

static void both_ends(void)
{
	struct job job = { .len = 1 << 20 };
	struct keys a, b;
	struct conn c;
	uint8_t byte;
	pthread_t t;

	conn_connect(&c);
	conn_attach(&c);
	SYS(attach(c.peer.fd));
	a = make_keys(1);
	b = make_keys(2);
	SYS(set_key(c.fd, KSSL_TX_KEY, &a));
	SYS(set_key(c.fd, KSSL_RX_KEY, &b));
	SYS(set_key(c.peer.fd, KSSL_TX_KEY, &b));
	SYS(set_key(c.peer.fd, KSSL_RX_KEY, &a));
	job.c = &c;
	t = start(both_job, &job);
	recv_pattern(c.peer.fd, 0, job.len);
	finish(t);
	send_pattern(c.peer.fd, 0, 10000);
	recv_pattern(c.fd, 0, 10000);
	EQ(send_typed(c.fd, HANDSHAKE, "hand", 4, 0), 4);
	expect_typed(c.peer.fd, HANDSHAKE, "hand", 4);
	close(c.fd);
	expect_typed(c.peer.fd, ALERT, "\1\0", 2);
	EQ(SYS(recv(c.peer.fd, &byte, 1, 0)), 0);
}

static void given_number(void)
{
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.tx = make_keys(2);
	c.peer.tx.seq = 0x8000000000000001ULL;
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send_pattern(&c.peer, 0, 5000, 1000);
	recv_pattern(c.fd, 0, 5000);
	EQ(status_of(c.fd).rx.seq, 0x8000000000000006ULL);
}

static void last_number(void)
{
	uint8_t byte;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	c.peer.tx.seq = ~0ULL - 1;
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send(&c.peer, DATA, "x", 1);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
	peer_send(&c.peer, DATA, "y", 1);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	EQ(error_of(c.fd).err, EKEYEXPIRED);
	EQ(error_of(c.fd).has_alert, 0);
}

static const struct test tests[] = {
	{ "sizes", PROTECTIONS, sizes },
	{ "bulk", PROTECTIONS, bulk },
	{ "partial_reads", VERSIONS, partial_reads },
	{ "peek", VERSIONS, peek },
	{ "peek_control", VERSIONS, peek_control },
	{ "wait_all", VERSIONS, wait_all },
	{ "wait_all_control", VERSIONS, wait_all_control },
	{ "not_yet", VERSIONS, not_yet },
	{ "readable", VERSIONS, readable },
	{ "readable_edge", VERSIONS, readable_edge },
	{ "readable_sleeping", VERSIONS, readable_sleeping },
	{ "tiny_segments", VERSIONS, tiny_segments },
	{ "small_window", VERSIONS, small_window },
	{ "small_window_poll", VERSIONS, small_window_poll },
	{ "low_water", VERSIONS, low_water },
	{ "timeout", VERSIONS, timeout },
	{ "interrupted", VERSIONS, interrupted },
	{ "control_records", PROTECTIONS, control_records },
	{ "no_room_for_type", VERSIONS, no_room_for_type },
	{ "empty_records", VERSIONS, empty_records },
	{ "too_many_empty", VERSIONS, too_many_empty },
	{ "splice_out", VERSIONS, splice_out },
	{ "splice_control", VERSIONS, splice_control },
	{ "scattered_buffers", VERSIONS, scattered_buffers },
	{ "bad_pointer", VERSIONS, bad_pointer },
	{ "empty_read", VERSIONS, empty_read },
	{ "many_readers", VERSIONS, many_readers },
	{ "both_ends", PROTECTIONS, both_ends },
	{ "given_number", UNLIMITED, given_number },
	{ "last_number", UNLIMITED, last_number },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
