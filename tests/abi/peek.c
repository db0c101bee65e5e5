// SPDX-License-Identifier: MIT
/* Reading without taking, and taking without reading: MSG_PEEK, SO_PEEK_OFF, MSG_TRUNC. */
#include <string.h>
#include <sys/socket.h>
#include "conn.h"
#include "tap.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif

static int set_peek_off(int fd, int off)
{
	return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
}

static int peek_off(int fd)
{
	socklen_t len = sizeof(int);
	int off;

	SYS(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, &len));
	return off;
}

/* Exactly @len bytes of pattern() from @at on. */
static void expect(int fd, size_t at, size_t len, size_t room, int flags)
{
	static uint8_t data[400000];

	CHECK(room <= sizeof(data));
	EQ(SYS(recv(fd, data, room, flags)), len);
	check_pattern(data, at, len);
}

static void across_records(void)
{
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 1000, 100);
	peer_settle(&c.peer);
	expect(c.fd, 0, 250, 250, MSG_PEEK);
	expect(c.fd, 0, 999, 999, MSG_PEEK);
	expect(c.fd, 0, 1000, 3000, MSG_PEEK);
	expect(c.fd, 0, 150, 150, 0);
	/* from the middle of a record */
	expect(c.fd, 150, 10, 10, MSG_PEEK);
	expect(c.fd, 150, 850, 850, MSG_PEEK);
	expect(c.fd, 150, 50, 50, 0);
	expect(c.fd, 200, 1, 1, MSG_PEEK);
	expect(c.fd, 200, 800, 3000, 0);
	FAILS(recv(c.fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

struct job {
	struct conn *c;
	size_t at;
	size_t len;
	size_t step;
};

static void *send_job(void *arg)
{
	struct job *job = arg;

	peer_send_pattern(&job->c->peer, job->at, job->len, job->step);
	return NULL;
}

static void waits_for_all(void)
{
	struct job job = { .len = 3000, .step = 100 };
	struct conn c;
	pthread_t t;

	conn_open(&c);
	job.c = &c;
	t = start(send_job, &job);
	expect(c.fd, 0, 3000, 3000, MSG_PEEK | MSG_WAITALL);
	expect(c.fd, 0, 3000, 3000, MSG_WAITALL);
	finish(t);
}

static void *peek_job(void *arg)
{
	struct job *job = arg;
	uint8_t data[200];

	EQ(SYS(recv(job->c->fd, data, sizeof(data), MSG_PEEK | MSG_WAITALL)), sizeof(data));
	/* before the others read, or after */
	check_pattern(data, data[0] == pattern_at(0) ? 0 : 100, sizeof(data));
	return NULL;
}

/* A peeker that waits while others read on. */
static void overtaken(void)
{
	struct job job;
	struct conn c;
	pthread_t t;

	CHECK(pattern_at(0) != pattern_at(100));
	conn_open(&c);
	job.c = &c;
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	t = start_asleep(peek_job, &job);
	expect(c.fd, 0, 100, 100, 0);
	peer_send_pattern(&c.peer, 100, 200, 50);
	finish(t);
	expect(c.fd, 100, 200, 200, MSG_WAITALL);
}

/* There is an end to what is opened ahead, and a peeker does not wait beyond it. */
static void bounded(void)
{
	struct job job = { .len = 300000, .step = 16384 };
	static uint8_t data[300000];
	struct conn c;
	pthread_t t;
	long n;

	conn_open(&c);
	job.c = &c;
	t = start(send_job, &job);
	n = SYS(recv(c.fd, data, sizeof(data), MSG_PEEK | MSG_WAITALL));
	CHECK(n >= 65536);
	CHECK(n < 65536 + 16384);
	check_pattern(data, 0, n);
	recv_pattern(c.fd, 0, job.len);
	finish(t);
}

static void types(void)
{
	uint8_t data[100], type;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "da", 2);
	peer_send(&c.peer, DATA, "ta", 2);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_send(&c.peer, DATA, "more", 4);
	peer_settle(&c.peer);
	/* also a peeker that wants more stops where the type changes */
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK | MSG_WAITALL)), 4);
	EQ(type, DATA);
	CHECK(!memcmp(data, "data", 4));
	EQ(SYS(recv(c.fd, data, 3, 0)), 3);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), 1);
	EQ(type, DATA);
	EQ(SYS(recv(c.fd, data, 1, 0)), 1);
	FAILS(recv(c.fd, data, sizeof(data), MSG_PEEK), EIO);
	EQ(SYS(recv_typed(c.fd, &type, data, 3, MSG_PEEK)), 3);
	EQ(type, HANDSHAKE);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	expect_typed(c.fd, DATA, "more", 4);
}

/* ---- SO_PEEK_OFF ---- */

/* TCP has it from 6.10 on. */
static int has_peek_off(struct conn *c)
{
	if (v->plain && set_peek_off(c->fd, 0)) {
		EQ(errno, EOPNOTSUPP);
		return 0;
	}
	return 1;
}

static void offset(void)
{
	struct conn c;

	conn_open(&c);
	if (!has_peek_off(&c))
		return;
	if (!v->plain)
		EQ(peek_off(c.fd), -1);
	SYS(set_peek_off(c.fd, 0));
	peer_send_pattern(&c.peer, 0, 400, 40);
	peer_settle(&c.peer);
	expect(c.fd, 0, 10, 10, MSG_PEEK);
	expect(c.fd, 10, 100, 100, MSG_PEEK);
	EQ(peek_off(c.fd), 110);
	/* reading brings the end of the queue nearer, never below 0 */
	expect(c.fd, 0, 50, 50, 0);
	EQ(peek_off(c.fd), 60);
	expect(c.fd, 110, 10, 10, MSG_PEEK);
	expect(c.fd, 50, 100, 100, 0);
	EQ(peek_off(c.fd), 0);
	expect(c.fd, 150, 250, 1000, MSG_PEEK);
	EQ(peek_off(c.fd), 250);
	FAILS(recv(c.fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	SYS(set_peek_off(c.fd, 200));
	expect(c.fd, 350, 50, 50, MSG_PEEK);
	/* a failed read moves nothing */
	SYS(set_peek_off(c.fd, 20));
	FAILS(recv(c.fd, nowhere, 10, MSG_PEEK), EFAULT);
	EQ(peek_off(c.fd), 20);
	SYS(set_peek_off(c.fd, -1));
	expect(c.fd, 150, 30, 30, MSG_PEEK);
	expect(c.fd, 150, 30, 30, MSG_PEEK);
	EQ(peek_off(c.fd), -1);
}

/* Beyond what is there a peeker waits for it. */
static void offset_waits(void)
{
	struct job job = { .at = 100, .len = 1000, .step = 100 };
	struct conn c;
	pthread_t t;

	conn_open(&c);
	if (!has_peek_off(&c))
		return;
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	SYS(set_peek_off(c.fd, 500));
	FAILS(recv(c.fd, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	job.c = &c;
	t = start(send_job, &job);
	expect(c.fd, 500, 600, 600, MSG_PEEK | MSG_WAITALL);
	finish(t);
	recv_pattern(c.fd, 0, 1100);
	EQ(peek_off(c.fd), 0);
}

static void offset_types(void)
{
	uint8_t data[100], type;
	struct conn c;

	conn_open(&c);
	SYS(set_peek_off(c.fd, 0));
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_settle(&c.peer);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), 4);
	EQ(type, DATA);
	EQ(SYS(recv_typed(c.fd, &type, data, 3, MSG_PEEK)), 3);
	EQ(type, HANDSHAKE);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), 1);
	EQ(type, HANDSHAKE);
	EQ(data[0], 'd');
	FAILS(recv_typed(c.fd, &type, data, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	expect_typed(c.fd, DATA, "data", 4);
	EQ(peek_off(c.fd), 4);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	EQ(peek_off(c.fd), 0);
}

/* ---- MSG_TRUNC: TCP's meaning, not that of datagrams ---- */

static void discard(void)
{
	struct job job = { .at = 1000, .len = 5000, .step = 100 };
	struct conn c;
	pthread_t t;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 1000, 100);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, NULL, 30, MSG_TRUNC)), 30);
	expect(c.fd, 30, 10, 10, MSG_PEEK);
	/* with MSG_PEEK it only counts */
	EQ(SYS(recv(c.fd, NULL, 500, MSG_TRUNC | MSG_PEEK)), 500);
	EQ(SYS(recv(c.fd, NULL, 200, MSG_TRUNC)), 200);
	expect(c.fd, 230, 100, 100, 0);
	EQ(SYS(recv(c.fd, NULL, 5000, MSG_TRUNC)), 670);
	FAILS(recv(c.fd, NULL, 1, MSG_TRUNC | MSG_DONTWAIT), EAGAIN);
	job.c = &c;
	t = start(send_job, &job);
	EQ(SYS(recv(c.fd, NULL, 4321, MSG_TRUNC | MSG_WAITALL)), 4321);
	recv_pattern(c.fd, 5321, 679);
	finish(t);
}

static void discard_control(void)
{
	struct conn c;
	uint8_t type;

	conn_open(&c);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	peer_send(&c.peer, DATA, "more", 4);
	peer_settle(&c.peer);
	EQ(SYS(recv_typed(c.fd, &type, NULL, 100, MSG_TRUNC | MSG_WAITALL)), 4);
	EQ(type, DATA);
	/* not without a word */
	FAILS(recv(c.fd, NULL, 100, MSG_TRUNC), EIO);
	EQ(SYS(recv_typed(c.fd, &type, NULL, 100, MSG_TRUNC)), 4);
	EQ(type, HANDSHAKE);
	expect_typed(c.fd, DATA, "more", 4);
}

static const struct test tests[] = {
	{ "across_records", WITH_TCP, across_records },
	{ "waits_for_all", WITH_TCP, waits_for_all },
	{ "overtaken", VERSIONS, overtaken },
	{ "bounded", VERSIONS, bounded },
	{ "types", VERSIONS, types },
	{ "offset", WITH_TCP, offset },
	{ "offset_waits", WITH_TCP, offset_waits },
	{ "offset_types", VERSIONS, offset_types },
	{ "discard", WITH_TCP, discard },
	{ "discard_control", VERSIONS, discard_control },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
