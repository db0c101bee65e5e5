// SPDX-License-Identifier: MIT
/* close() and shutdown() with bytes on their way: nothing that was taken is lost in silence. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static void set_linger(int fd, int seconds)
{
	struct linger linger = { .l_onoff = 1, .l_linger = seconds };

	SYS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static void expect_end(struct conn *c)
{
	peer_expect_alert(&c->peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c->peer);
}

static void expect_reset(struct conn *c)
{
	uint8_t data[20000];
	long n;

	do {
		n = recv(c->peer.fd, data, sizeof(data), 0);
	} while (n > 0);
	EQ(n, -1);
	EQ(errno, ECONNRESET);
}

/* All that was taken reaches a reader that takes its time, though nobody is left to wait for it. */
static void slow_reader(void)
{
	struct conn c;
	size_t sent, at, n;

	conn_open_bufs(&c, 0, 30000);
	sent = send_until_full(c.fd, 0);
	close(c.fd);
	for (at = 0; at < sent; at += n) {
		n = sent - at < 16384 ? sent - at : 16384;
		usleep(2000);
		peer_expect_pattern(&c.peer, at, n);
	}
	expect_end(&c);
}

/* ---- SO_LINGER ---- */

struct close_job {
	int fd;
	atomic_int done;
};

static void *close_job(void *arg)
{
	struct close_job *job = arg;

	close(job->fd);
	job->done = 1;
	return NULL;
}

/* close() comes back when the peer's TCP has everything, also what was in our own queue. */
static void linger_waits(void)
{
	struct close_job job = {};
	struct conn c;
	pthread_t t;
	size_t sent;

	/* more than the peer's TCP takes while nobody reads */
	conn_open_bufs(&c, 0, 400000);
	set_linger(c.fd, 100);
	sent = send_until_full(c.fd, 0);
	job.fd = c.fd;
	t = start(close_job, &job);
	usleep(200000);
	EQ(job.done, 0);
	peer_expect_pattern(&c.peer, 0, sent);
	finish(t);
	expect_end(&c);
}

/* When the time is over TCP goes on in the background. */
static void linger_ends(void)
{
	struct conn c;
	size_t sent;

	conn_open_bufs(&c, 0, 30000);
	sent = send_until_full(c.fd, 0);
	set_linger(c.fd, 1);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, sent);
	expect_end(&c);
}

/* A reset at once: not even close_notify. */
static void linger_zero(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	set_linger(c.fd, 0);
	close(c.fd);
	FAILS(recv(c.peer.fd, &byte, 1, 0), ECONNRESET);
}

static void linger_zero_full(void)
{
	struct conn c;

	conn_open(&c);
	send_until_full(c.fd, 0);
	set_linger(c.fd, 0);
	close(c.fd);
	expect_reset(&c);
}

/* ---- TCP out of memory at the wrong moment ---- */

static char tcp_mem[100];

static void write_tcp_mem(const char *text)
{
	int fd = SYS(open("/proc/sys/net/ipv4/tcp_mem", O_WRONLY));

	EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void give_memory(void)
{
	write_tcp_mem(tcp_mem);
}

static void take_memory(void)
{
	int fd = SYS(open("/proc/sys/net/ipv4/tcp_mem", O_RDONLY));
	long n = SYS(read(fd, tcp_mem, sizeof(tcp_mem) - 1));

	close(fd);
	CHECK(n > 0);
	write_tcp_mem("1 1 1");
}

/* Run @test with the memory given back whatever becomes of it. */
static void with_memory_back(void (*test)(void))
{
	int fd = SYS(open("/proc/sys/net/ipv4/tcp_mem", O_RDONLY));
	int status;
	pid_t pid;

	CHECK(SYS(read(fd, tcp_mem, sizeof(tcp_mem) - 1)) > 0);
	close(fd);
	pid = SYS(fork());
	if (!pid) {
		test();
		_exit(0);
	}
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	give_memory();
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/*
 * The connection under test, and others that hold memory: each CPU keeps pages to
 * itself, so the total that TCP compares with its limit lags behind.
 */
static void open_full(struct conn *c, size_t *sent)
{
	struct conn hogs[4];
	unsigned int i;

	for (i = 0; i < sizeof(hogs) / sizeof(hogs[0]); i++) {
		conn_connect(&hogs[i]);
		send_until_full(hogs[i].fd, 0);
	}
	/* a fixed send buffer, which TCP does not shrink to get out of its trouble */
	conn_open_bufs(c, 0, 30000);
	*sent = send_until_stuck(c->fd);
}

/*
 * What TCP does not take at once is tried again in the background.  TCP itself may
 * reset a connection that is closed in such times (tcp_check_oom()); but the peer
 * sees all of it with close_notify, or a reset, and nothing between.
 */
static void no_memory_now(void)
{
	static uint8_t wire[4 << 20];
	uint8_t content[RECORD_MAX], type;
	size_t sent, at, got, len = 0;
	struct conn c;
	long n;

	open_full(&c, &sent);
	take_memory();
	close(c.fd);
	/* time for several attempts, but nothing depends on it */
	usleep(200000);
	give_memory();
	while ((n = recv(c.peer.fd, wire + len, sizeof(wire) - len, 0)) > 0)
		len += n;
	if (n < 0) {
		EQ(errno, ECONNRESET);
		note("reset by TCP");
		return;
	}
	for (at = 0, got = 0; got < sent; got += n) {
		size_t record = HEADER + (wire[at + 3] << 8 | wire[at + 4]);

		CHECK(at + record < len);
		n = open_record(&c.peer.rx, wire + at, record, &type, content);
		CHECK(n > 0);
		EQ(type, DATA);
		check_pattern(content, got, n);
		at += record;
	}
	EQ(got, sent);
	EQ(open_record(&c.peer.rx, wire + at, len - at, &type, content), 2);
	EQ(type, ALERT);
	EQ(content[1], CLOSE_NOTIFY);
}

static void no_memory(void)
{
	with_memory_back(no_memory_now);
}

/* ---- data that waits for an answer of the helper (RFC 8446 4.6.3) ---- */

static const uint8_t update[] = { 24, 0, 0, 1, 1 };
static const uint8_t answer[] = { 24, 0, 0, 1, 0 };

/* Closed with a record open, and a KeyUpdate that the helper has not answered. */
static void close_held(struct conn *c)
{
	conn_open_attended(c);
	EQ(SYS(send(c->fd, "data", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_send(&c->peer, HANDSHAKE, update, sizeof(update));
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, update, sizeof(update));
	close(c->fd);
}

static void answer_first(void)
{
	struct batch *b = batch_new();
	struct keys next;
	struct conn c;

	close_held(&c);
	next = make_keys(3);
	batch_record(b, HANDSHAKE, answer, sizeof(answer));
	batch_key(b, KSSL_OP_TX_KEY, &next);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, HANDSHAKE, answer, sizeof(answer));
	c.peer.rx = next;
	peer_expect(&c.peer, DATA, "data", 4);
	expect_end(&c);
	expect_event(c.control, KSSL_EV_CLOSED);
	free(b);
}

/* The helper will not answer any more: the peer is told, and gets no end of file. */
static void no_answer(void)
{
	struct conn c;

	close_held(&c);
	close(c.control);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

struct answer_job {
	int control;
	atomic_int answered;
};

static void *answer_job(void *arg)
{
	struct answer_job *job = arg;
	struct batch *b = batch_new();

	/* so that close() really waits, but nothing depends on it */
	usleep(50000);
	batch_record(b, HANDSHAKE, answer, sizeof(answer));
	batch_op(b, KSSL_OP_CONTINUE);
	job->answered = 1;
	SYS(batch_write(b, job->control));
	free(b);
	return NULL;
}

static void linger_for_answer(void)
{
	struct answer_job job = {};
	struct conn c;
	pthread_t t;

	conn_open_attended(&c);
	set_linger(c.fd, 100);
	EQ(SYS(send(c.fd, "data", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_send(&c.peer, HANDSHAKE, update, sizeof(update));
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, update, sizeof(update));
	job.control = c.control;
	t = start(answer_job, &job);
	/* the peer's TCP acknowledges what it gets, so nobody has to read */
	close(c.fd);
	CHECK(job.answered);
	finish(t);
	peer_expect(&c.peer, HANDSHAKE, answer, sizeof(answer));
	peer_expect(&c.peer, DATA, "data", 4);
	expect_end(&c);
}

/* ---- shutdown ---- */

static void half_close(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 30000);
	SYS(shutdown(c.fd, SHUT_WR));
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(ready(c.fd, POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
	peer_expect_pattern(&c.peer, 0, 30000);
	expect_end(&c);
	/* the other direction lives on */
	peer_send_pattern(&c.peer, 0, 30000, 16384);
	recv_pattern(c.fd, 0, 30000);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	if (!v->plain) {
		expect_typed(c.fd, ALERT, "\1\0", 2);
		SYS(shutdown(c.peer.fd, SHUT_WR));
	}
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	wait_ready(c.fd, POLLHUP);
}

/* Attended, TLS 1.3: the peer's close_notify closes its direction only (RFC 8446 6.1). */
static void peer_half_closes_13(void)
{
	uint8_t byte;
	struct conn c;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	recv_pattern(c.fd, 0, 100);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	CHECK(ready(c.fd, POLLIN | POLLRDHUP | POLLOUT) == (POLLIN | POLLRDHUP | POLLOUT));
	send_pattern(c.fd, 0, 50000);
	peer_expect_pattern(&c.peer, 0, 50000);
	SYS(shutdown(c.fd, SHUT_WR));
	expect_end(&c);
}

/* TLS 1.2: it is answered at once and sending is over (RFC 5246 7.2.1). */
static void peer_half_closes_12(void)
{
	uint8_t byte;
	struct conn c;

	conn_open_attended(&c);
	send_pattern(c.fd, 0, 1000);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	peer_expect_pattern(&c.peer, 0, 1000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

static void shutdown_read(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_RD));
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	CHECK(ready(c.fd, POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
	close(c.fd);
	expect_end(&c);
}

/* As with TCP, what came before it is not lost. */
static void shutdown_read_behind(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 300, 100);
	peer_settle(&c.peer);
	SYS(shutdown(c.fd, SHUT_RD));
	recv_pattern(c.fd, 0, 300);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	close(c.fd);
	expect_end(&c);
}

/* What comes later is, and that is no reason for a reset. */
static void shutdown_read_later(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_RD));
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	peer_send_pattern(&c.peer, 0, 300, 100);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	close(c.fd);
	expect_end(&c);
}

/* Nor is a part of a record an error then. */
static void shutdown_read_within(void)
{
	uint8_t part[3] = { DATA, 3, 3 };
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_write(&c.peer, part, sizeof(part));
	peer_settle(&c.peer);
	SYS(shutdown(c.fd, SHUT_RD));
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(error_of(c.fd).err, 0);
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
	close(c.fd);
	expect_end(&c);
}

/* Neither at the very end. */
static void shutdown_and_close(void)
{
	uint8_t part[3] = { DATA, 3, 3 };
	struct conn c;

	conn_open(&c);
	peer_write(&c.peer, part, sizeof(part));
	peer_settle(&c.peer);
	send_pattern(c.fd, 0, 1000);
	SYS(shutdown(c.fd, SHUT_RDWR));
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 1000);
	expect_end(&c);
}

/* It ends the application's reading only: what is the helper's still comes to it. */
static void shutdown_read_attended(void)
{
	static const char ticket[] = "\4\0\0\6" "ticket";
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 300, 100);
	peer_send(&c.peer, HANDSHAKE, ticket, 10);
	peer_send_pattern(&c.peer, 300, 300, 100);
	peer_settle(&c.peer);
	SYS(shutdown(c.fd, SHUT_RD));
	recv_pattern(c.fd, 0, 300);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, ticket, 10);
	control_op(c.control, KSSL_OP_CONTINUE);
	recv_pattern(c.fd, 300, 300);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	peer_send_pattern(&c.peer, 600, 300, 100);
	peer_send(&c.peer, HANDSHAKE, ticket, 10);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, ticket, 10);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	control_op(c.control, KSSL_OP_CONTINUE);
	close(c.fd);
	close(c.control);
}

static void shutdown_by_halves(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_RD));
	SYS(shutdown(c.fd, SHUT_WR));
	expect_end(&c);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(ready(c.fd, POLLIN) & POLLHUP);
	close(c.fd);
}

static void shutdown_both(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 1000);
	SYS(shutdown(c.fd, SHUT_RDWR));
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(ready(c.fd, POLLIN) & POLLHUP);
	peer_expect_pattern(&c.peer, 0, 1000);
	expect_end(&c);
}

/* The connection ends with the last of all descriptors, not before. */
static void duplicates(void)
{
	struct conn c;
	int again, status;
	pid_t pid;

	conn_open(&c);
	again = SYS(dup(c.fd));
	close(c.fd);
	send_pattern(again, 0, 1000);
	pid = SYS(fork());
	if (!pid) {
		send_pattern(again, 1000, 1000);
		_exit(0);
	}
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	EQ(status, 0);
	send_pattern(again, 2000, 1000);
	peer_expect_pattern(&c.peer, 0, 3000);
	peer_send_pattern(&c.peer, 0, 500, 100);
	pid = SYS(fork());
	if (!pid) {
		recv_pattern(again, 0, 250);
		_exit(0);
	}
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	EQ(status, 0);
	recv_pattern(again, 250, 250);
	close(again);
	expect_end(&c);
}

static const struct test tests[] = {
	{ "slow_reader", WITH_TCP, slow_reader },
	{ "linger_waits", WITH_TCP, linger_waits },
	{ "linger_ends", WITH_TCP, linger_ends },
	{ "linger_zero", WITH_TCP, linger_zero },
	{ "linger_zero_full", WITH_TCP, linger_zero_full },
	{ "no_memory", VERSIONS, no_memory },
	{ "answer_first", ONLY_13, answer_first },
	{ "no_answer", ONLY_13, no_answer },
	{ "linger_for_answer", ONLY_13, linger_for_answer },
	{ "half_close", WITH_TCP, half_close },
	{ "peer_half_closes_13", ONLY_13, peer_half_closes_13 },
	{ "peer_half_closes_12", ONLY_12, peer_half_closes_12 },
	{ "shutdown_read", WITH_TCP, shutdown_read },
	{ "shutdown_read_behind", WITH_TCP, shutdown_read_behind },
	{ "shutdown_read_later", VERSIONS, shutdown_read_later },
	{ "shutdown_read_within", VERSIONS, shutdown_read_within },
	{ "shutdown_and_close", VERSIONS, shutdown_and_close },
	{ "shutdown_read_attended", VERSIONS, shutdown_read_attended },
	{ "shutdown_by_halves", WITH_TCP, shutdown_by_halves },
	{ "shutdown_both", WITH_TCP, shutdown_both },
	{ "duplicates", WITH_TCP, duplicates },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
