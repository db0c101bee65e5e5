// SPDX-License-Identifier: MIT
/* Who waits for what: blocking and not, timeouts, signals, low water, poll and epoll. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static void set_lowat(int fd, int bytes)
{
	SYS(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)));
}

static void non_blocking(void)
{
	static uint8_t data[1 << 20];
	struct conn c;
	size_t sent;
	long n;

	conn_open(&c);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(recv(c.fd, data, 1, MSG_DONTWAIT | MSG_WAITALL), EAGAIN);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	FAILS(read(c.fd, data, 1), EAGAIN);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, data, 1000, MSG_WAITALL)), 100);
	check_pattern(data, 0, 100);
	/* more than fits: a part of it, then nothing */
	pattern(data, 0, sizeof(data));
	sent = 0;
	while ((n = send(c.fd, data + sent, sizeof(data) - sent, MSG_NOSIGNAL)) > 0) {
		sent += n;
		if (sent == sizeof(data))
			sent = 0;
	}
	EQ(errno, EAGAIN);
	EQ(n, -1);
}

/* What a write of more than fits returns is what the peer gets. */
static void partial_write(void)
{
	static uint8_t data[4 << 20];
	struct conn c;
	long n, more;

	conn_open_bufs(&c, 0, 65536);
	pattern(data, 0, sizeof(data));
	/* the window grows while the peer reads nothing, so the end shows at the second one at the latest */
	n = SYS(send(c.fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL));
	CHECK(n > 0 && n < (long)sizeof(data));
	more = send(c.fd, data + n, sizeof(data) - n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (more > 0)
		n += more;
	peer_expect_pattern(&c.peer, 0, n);
	send_pattern(c.fd, n, 1000);
	peer_expect_pattern(&c.peer, n, 1000);
}

static void receive_timeout(void)
{
	struct timeval tv = { .tv_usec = 20000 };
	uint8_t data[1000];
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	FAILS(recv(c.fd, data, 1, 0), EAGAIN);
	peer_send_pattern(&c.peer, 0, 100, 50);
	peer_settle(&c.peer);
	/* what came until then is not lost */
	EQ(SYS(recv(c.fd, data, sizeof(data), MSG_WAITALL)), 100);
	check_pattern(data, 0, 100);
	FAILS(recv(c.fd, data, 1, MSG_PEEK), EAGAIN);
	peer_send_pattern(&c.peer, 100, 100, 50);
	peer_settle(&c.peer);
	recv_pattern(c.fd, 100, 100);
}

static void send_timeout(void)
{
	struct timeval tv = { .tv_usec = 20000 };
	static uint8_t data[4 << 20];
	struct conn c;
	size_t sent;
	long n;

	conn_open_bufs(&c, 0, 65536);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	pattern(data, 0, sizeof(data));
	for (sent = 0; (n = send(c.fd, data + sent, sizeof(data) - sent, MSG_NOSIGNAL)) > 0; sent += n)
		CHECK(sent < sizeof(data));
	EQ(errno, EAGAIN);
	CHECK(sent > 0);
	peer_expect_pattern(&c.peer, 0, sent);
	send_pattern(c.fd, sent, 1000);
	peer_expect_pattern(&c.peer, sent, 1000);
}

/* ---- signals ---- */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* Signals for the thread that calls this, as fast as the clock makes them. */
static void alarms_on(int flags)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

	SYS(sigaction(SIGALRM, &action, NULL));
	SYS(setitimer(ITIMER_REAL, &often, NULL));
}

static void alarms_off(void)
{
	SYS(setitimer(ITIMER_REAL, &(struct itimerval){}, NULL));
}

static void block_alarms(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

struct job {
	struct conn *c;
	size_t len;
	size_t step;
};

static void *send_after_alarms(void *arg)
{
	struct job *job = arg;

	block_alarms();
	while (alarms < 20)
		usleep(1000);
	peer_send_pattern(&job->c->peer, 0, job->len, job->step);
	return NULL;
}

/* With SA_RESTART a read waits on as if nothing had been, and is told otherwise with a timeout. */
static void restarted_read(void)
{
	struct timeval tv = { .tv_sec = 1000 };
	struct job job = { .len = 100, .step = 100 };
	uint8_t data[100];
	struct conn c;
	pthread_t t;

	conn_open(&c);
	job.c = &c;
	alarms_on(SA_RESTART);
	t = start(send_after_alarms, &job);
	EQ(SYS(recv(c.fd, data, sizeof(data), 0)), sizeof(data));
	CHECK(alarms >= 20);
	check_pattern(data, 0, sizeof(data));
	finish(t);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	FAILS(recv(c.fd, data, 1, 0), EINTR);
	alarms_off();
}

static void *read_after_alarms(void *arg)
{
	struct job *job = arg;

	block_alarms();
	while (alarms < 20)
		usleep(1000);
	peer_expect_pattern(&job->c->peer, 0, job->len);
	return NULL;
}

static void restarted_write(void)
{
	struct job job = {};
	uint8_t data[5000];
	struct conn c;
	pthread_t t;
	size_t sent;

	conn_open_bufs(&c, 0, 65536);
	job.c = &c;
	job.len = send_until_stuck(c.fd);
	sent = job.len;
	alarms_on(SA_RESTART);
	t = start(read_after_alarms, &job);
	do {
		long n;

		pattern(data, sent, sizeof(data));
		n = SYS(send(c.fd, data, sizeof(data), MSG_NOSIGNAL));
		CHECK(n > 0);
		sent += n;
	} while (alarms < 20);
	alarms_off();
	finish(t);
	peer_expect_pattern(&c.peer, job.len, sent - job.len);
}

static void *send_job(void *arg)
{
	struct job *job = arg;

	block_alarms();
	peer_send_pattern(&job->c->peer, 0, job->len, job->step);
	return NULL;
}

static void *read_job(void *arg)
{
	struct job *job = arg;

	block_alarms();
	peer_expect_pattern(&job->c->peer, 0, job->len);
	return NULL;
}

/* However often reads and writes are interrupted, no byte is lost and none comes twice. */
static void no_byte_lost(void)
{
	struct job job = { .len = 3 << 20, .step = 5000 };
	uint8_t *data = malloc(100000);
	size_t at = 0;
	struct conn c;
	pthread_t t;

	CHECK(data);
	conn_open_bufs(&c, 30000, 30000);
	job.c = &c;
	t = start(send_job, &job);
	alarms_on(0);
	while (at < job.len) {
		size_t want = 1 + at * 7919 % 100000;
		long n = recv(c.fd, data, want < job.len - at ? want : job.len - at, MSG_WAITALL);

		if (n < 0) {
			EQ(errno, EINTR);
			continue;
		}
		CHECK(n > 0);
		check_pattern(data, at, n);
		at += n;
	}
	finish(t);
	t = start(read_job, &job);
	for (at = 0; at < job.len;) {
		size_t want = 1 + at * 7919 % 100000;
		long n;

		want = want < job.len - at ? want : job.len - at;
		pattern(data, at, want);
		n = send(c.fd, data, want, MSG_NOSIGNAL);
		if (n < 0)
			EQ(errno, EINTR);
		else
			at += n;
	}
	alarms_off();
	finish(t);
}

/* ---- low water, in bytes of plaintext ---- */

static void low_water_poll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	uint8_t data[1000];
	struct conn c;

	conn_open(&c);
	set_lowat(c.fd, 300);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	peer_send_pattern(&c.peer, 0, 299, 100);
	peer_settle(&c.peer);
	EQ(ready(c.fd, POLLIN), 0);
	EQ(SYS(epoll_wait(epoll, &event, 1, 0)), 0);
	peer_send_pattern(&c.peer, 299, 1, 1);
	wait_ready(c.fd, POLLIN);
	EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
	EQ(SYS(recv(c.fd, data, 100, 0)), 100);
	EQ(ready(c.fd, POLLIN), 0);
	/* a reader that wants less is not kept waiting */
	EQ(SYS(recv(c.fd, data, 200, 0)), 200);
	check_pattern(data, 100, 200);
}

/* At the end there will not be more. */
static void low_water_end(void)
{
	uint8_t data[1000];
	struct conn c;

	conn_open(&c);
	set_lowat(c.fd, 300);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	EQ(ready(c.fd, POLLIN), 0);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	wait_ready(c.fd, POLLIN);
	EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 100);
	check_pattern(data, 0, 100);
}

static void low_water_truncated(void)
{
	uint8_t data[1000];
	struct conn c;

	conn_open(&c);
	set_lowat(c.fd, 300);
	peer_send_pattern(&c.peer, 0, 100, 100);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	wait_ready(c.fd, POLLIN);
	EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 100);
	FAILS(recv(c.fd, data, sizeof(data), 0), ECONNRESET);
}

static void low_water_control(void)
{
	struct conn c;

	conn_open(&c);
	set_lowat(c.fd, 300);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	wait_ready(c.fd, POLLIN);
	expect_typed(c.fd, DATA, "data", 4);
	wait_ready(c.fd, POLLIN);
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
}

/* More than will ever be opened ahead: then what there is has to do. */
static void low_water_large(void)
{
	struct job job = { .len = 400000, .step = 16384 };
	struct conn c;
	pthread_t t;

	conn_open(&c);
	set_lowat(c.fd, 1 << 20);
	job.c = &c;
	t = start(send_job, &job);
	wait_ready(c.fd, POLLIN);
	recv_pattern(c.fd, 0, job.len);
	finish(t);
}

/* ---- poll and epoll ---- */

static void level(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 1000, 200);
	peer_settle(&c.peer);
	for (i = 0; i < 1000; i += 100) {
		EQ(ready(c.fd, POLLIN | POLLRDHUP | POLLPRI), POLLIN);
		EQ(ready(c.fd, POLLIN), POLLIN);
		EQ(SYS(recv(c.fd, data, 100, MSG_DONTWAIT)), 100);
		check_pattern(data, i, 100);
	}
	EQ(ready(c.fd, POLLIN), 0);
}

/* Each arrival is an edge, also where the one before was not read. */
static void edges(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	struct conn c;
	int i;

	conn_open(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	for (i = 0; i < 10; i++) {
		EQ(SYS(epoll_wait(epoll, &event, 1, 0)), 0);
		peer_send_pattern(&c.peer, i * 100, 100, 100);
		EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		EQ(event.events, EPOLLIN);
	}
	recv_pattern(c.fd, 0, 1000);
	FAILS(recv(c.fd, &i, 1, MSG_DONTWAIT), EAGAIN);
}

/* An edge at the end too, and all of it found by one that reads until EAGAIN. */
static void edge_reader(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct job job = { .len = 2 << 20, .step = 3000 };
	int epoll = SYS(epoll_create1(0));
	uint8_t data[10000];
	size_t at = 0;
	struct conn c;
	pthread_t t;

	conn_open(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	job.c = &c;
	t = start(send_job, &job);
	while (at < job.len) {
		long n;

		EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		while ((n = recv(c.fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
			check_pattern(data, at, n);
			at += n;
		}
		EQ(n, -1);
		EQ(errno, EAGAIN);
	}
	finish(t);
	while (SYS(epoll_wait(epoll, &event, 1, 0)))
		;
	SYS(shutdown(c.peer.fd, SHUT_WR));
	EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
	CHECK(event.events & EPOLLIN);
	CHECK(event.events & EPOLLRDHUP);
}

/* The same for a writer; its peer reads all the time. */
static void edge_writer(void)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct job job = { .len = 4 << 20 };
	int epoll = SYS(epoll_create1(0));
	uint8_t data[10000];
	size_t at = 0;
	struct conn c;
	pthread_t t;

	conn_open_bufs(&c, 0, 50000);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	job.c = &c;
	t = start(read_job, &job);
	while (at < job.len) {
		EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		while (at < job.len) {
			size_t want = sizeof(data) < job.len - at ? sizeof(data) : job.len - at;
			long n;

			pattern(data, at, want);
			n = send(c.fd, data, want, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0) {
				EQ(errno, EAGAIN);
				break;
			}
			at += n;
		}
	}
	finish(t);
}

/* One waits for reading, one for writing, and each is woken by its own. */
static void *wait_out(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLOUT);
	return NULL;
}

static void *wait_in(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLIN);
	return NULL;
}

static void both_ways(void)
{
	pthread_t in, out;
	struct conn c;
	size_t sent;

	conn_open(&c);
	sent = send_until_full(c.fd, 0);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	out = start_asleep(wait_out, &c);
	in = start_asleep(wait_in, &c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	finish(in);
	EQ(ready(c.fd, POLLIN | POLLOUT), POLLIN);
	peer_expect_pattern(&c.peer, 0, sent);
	finish(out);
	wait_ready(c.fd, POLLOUT);
	EQ(ready(c.fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	recv_pattern(c.fd, 0, 100);
}

static const struct test tests[] = {
	{ "non_blocking", WITH_TCP, non_blocking },
	{ "partial_write", WITH_TCP, partial_write },
	{ "receive_timeout", WITH_TCP, receive_timeout },
	{ "send_timeout", WITH_TCP, send_timeout },
	{ "restarted_read", WITH_TCP, restarted_read },
	{ "restarted_write", WITH_TCP, restarted_write },
	{ "no_byte_lost", WITH_TCP, no_byte_lost },
	{ "low_water_poll", WITH_TCP, low_water_poll },
	{ "low_water_end", WITH_TCP, low_water_end },
	{ "low_water_truncated", VERSIONS, low_water_truncated },
	{ "low_water_control", VERSIONS, low_water_control },
	{ "low_water_large", VERSIONS, low_water_large },
	{ "level", WITH_TCP, level },
	{ "edges", WITH_TCP, edges },
	{ "edge_reader", WITH_TCP, edge_reader },
	{ "edge_writer", WITH_TCP, edge_writer },
	{ "both_ways", WITH_TCP, both_ways },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
