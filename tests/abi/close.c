// SPDX-License-Identifier: MIT
/* The end of a connection: close_notify, FIN, truncation, reset. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static void close_sends_notify(void)
{
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 1000);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 1000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void close_at_once(void)
{
	struct conn c;

	conn_open(&c);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void close_after_more(void)
{
	struct conn c;

	conn_open(&c);
	EQ(SYS(send(c.fd, "data", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	close(c.fd);
	peer_expect(&c.peer, DATA, "data", 4);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void exit_sends_notify(void)
{
	struct conn c;
	int status;
	pid_t pid;

	conn_open(&c);
	pid = SYS(fork());
	if (!pid) {
		send_pattern(c.fd, 0, 5000);
		raise(SIGKILL);
	}
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 5000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	EQ(SYS(waitpid(pid, &status, 0)), pid);
}

/* All that was taken, close_notify and FIN come, however full the buffers were. */
static void close_when_full(void)
{
	struct conn c;
	size_t sent;

	conn_open(&c);
	sent = send_until_full(c.fd, 0);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, sent);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void shutdown_when_full(void)
{
	struct conn c;
	size_t sent;

	conn_open(&c);
	sent = send_until_full(c.fd, 0);
	SYS(shutdown(c.fd, SHUT_WR));
	peer_expect_pattern(&c.peer, 0, sent);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void shutdown_write(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 100);
	SYS(shutdown(c.fd, SHUT_WR));
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_CLOSED);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	/* reading goes on */
	peer_send_pattern(&c.peer, 0, 50000, 16384);
	recv_pattern(c.fd, 0, 50000);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	expect_typed(c.fd, ALERT, "\1\0", 2);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(error_of(c.fd).err, 0);
}

static void shutdown_twice(void)
{
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	shutdown(c.fd, SHUT_WR);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void shutdown_both(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_RDWR));
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void *read_to_end(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	EQ(SYS(recv(c->fd, &byte, 1, 0)), 0);
	return NULL;
}

static void shutdown_wakes_reader(void)
{
	struct conn c;
	pthread_t t;

	conn_open(&c);
	t = start_asleep(read_to_end, &c);
	SYS(shutdown(c.fd, SHUT_RD));
	finish(t);
	send_pattern(c.fd, 0, 10);
	peer_expect_pattern(&c.peer, 0, 10);
}

static void shutdown_invalid(void)
{
	struct conn c;

	conn_open(&c);
	FAILS(shutdown(c.fd, 3), EINVAL);
	FAILS(shutdown(c.fd, -1), EINVAL);
	send_pattern(c.fd, 0, 10);
	peer_expect_pattern(&c.peer, 0, 10);
}

static void sigpipe(void)
{
	struct conn c;
	int status;
	pid_t pid;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	pid = SYS(fork());
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		send(c.fd, "x", 1, 0);
		_exit(0);
	}
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

/* The application says close_notify itself: no second one. */
static void own_notify(void)
{
	struct conn c;

	conn_open(&c);
	EQ(send_typed(c.fd, ALERT, "\1\0", 2, 0), 2);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* ---- the peer's end ---- */

static void peer_notify(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	recv_pattern(c.fd, 0, 100);
	/* unattended: it is a control record, so it needs room for its type */
	FAILS(recv(c.fd, &byte, 1, 0), EIO);
	expect_typed(c.fd, ALERT, "\1\0", 2);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	CHECK(ready(c.fd, POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
	EQ(status_of(c.fd).rx.state, KSSL_STATE_CLOSED);
	EQ(error_of(c.fd).err, 0);
	/* sending is the application's decision */
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	/* the FIN behind it changes nothing */
	SYS(shutdown(c.peer.fd, SHUT_WR));
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(error_of(c.fd).err, 0);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* What comes behind a close_notify is not read, and does not become a reset. */
static void data_after_notify(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_send_pattern(&c.peer, 0, 50000, 16384);
	peer_write(&c.peer, "rubbish", 7);
	peer_settle(&c.peer);
	expect_typed(c.fd, ALERT, "\1\0", 2);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(error_of(c.fd).err, 0);
	send_pattern(c.fd, 0, 20000);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 20000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* FIN without close_notify is an attack or an accident, never an end of file. */
static void truncated_at(size_t part)
{
	uint8_t record[RECORD_MAX], byte;
	struct kssl_error e;
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	seal(&c.peer.tx, DATA, "data", 4, record);
	peer_write(&c.peer, record, part);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	recv_pattern(c.fd, 0, 100);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	CHECK(ready(c.fd, POLLIN) & POLLIN);
	e = error_of(c.fd);
	EQ(e.err, ECONNRESET);
	EQ(e.who, KSSL_WHO_PEER);
	EQ(e.has_alert, 0);
}

static void truncated(void)
{
	truncated_at(0);
}

static void truncated_header(void)
{
	truncated_at(3);
}

static void truncated_record(void)
{
	truncated_at(15);
}

static void *read_reset(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), ECONNRESET);
	return NULL;
}

static void truncated_sleeping(void)
{
	struct conn c;
	pthread_t t;

	conn_open(&c);
	t = start_asleep(read_reset, &c);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	finish(t);
}

static void truncated_poll(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	wait_ready(c.fd, POLLIN);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), ECONNRESET);
}

static void make_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	SYS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(fd);
}

static void peer_resets(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	make_reset(c.peer.fd);
	wait_ready(c.fd, POLLIN);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	EQ(error_of(c.fd).err, ECONNRESET);
	EQ(error_of(c.fd).who, KSSL_WHO_PEER);
	CHECK(send(c.fd, "x", 1, MSG_NOSIGNAL) < 0);
	CHECK(errno == ECONNRESET || errno == EPIPE);
}

static void *write_reset(void *arg)
{
	struct conn *c = arg;
	uint8_t data[10000] = {};
	long n;

	do {
		n = send(c->fd, data, sizeof(data), MSG_NOSIGNAL);
	} while (n > 0);
	CHECK(errno == ECONNRESET || errno == EPIPE);
	return NULL;
}

static void peer_resets_writer(void)
{
	struct conn c;
	pthread_t t;

	conn_open(&c);
	send_until_full(c.fd, 0);
	t = start_asleep(write_reset, &c);
	make_reset(c.peer.fd);
	finish(t);
}

/* Sending has failed, so no answer can bring on what comes behind a message of the helper's. */
static void reset_before_message(void)
{
	struct batch *b = batch_new();
	uint8_t byte;
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, DATA, "x", 1);
	peer_send(&c.peer, HANDSHAKE, "\0\0\0\0", 4);
	peer_send(&c.peer, DATA, "y", 1);
	wait_ready(c.fd, POLLIN);
	make_reset(c.peer.fd);
	wait_ready(c.fd, POLLHUP);
	batch_record(b, HANDSHAKE, "\0\0\0\0", 4);
	/* The record is taken, TCP refuses it. */
	SYS(batch_write(b, c.control));
	free(b);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
	EQ(byte, 'x');
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ECONNRESET);
}

/* ---- how TCP is closed ---- */

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

/* l_linger 0 is a reset, and no close_notify. */
static void linger_zero(void)
{
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	make_reset(c.fd);
	FAILS(recv(c.peer.fd, &byte, 1, 0), ECONNRESET);
}

static void linger(void)
{
	struct linger with = { .l_onoff = 1, .l_linger = 60 };
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &with, sizeof(with)));
	send_pattern(c.fd, 0, 1000);
	/* the peer's TCP has room for all of it, so this does not wait for the peer to read */
	SYS(shutdown(c.peer.fd, SHUT_WR));
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 1000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* As with TCP: closing on unread data tells the peer that it was not read. */
static void close_unread(void)
{
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	close(c.fd);
	expect_reset(&c);
}

/* But a control record that nobody reads must not destroy our last bytes. */
static void close_unread_control(void)
{
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 20000);
	peer_send(&c.peer, HANDSHAKE, "\4\0\0\0", 4);
	peer_settle(&c.peer);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 20000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void close_unread_notify(void)
{
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 20000);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_settle(&c.peer);
	close(c.fd);
	peer_expect_pattern(&c.peer, 0, 20000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* Both at once, many times: nobody hangs, nothing leaks. */
static void *write_until_closed(void *arg)
{
	struct conn *c = arg;
	uint8_t data[3000] = {};

	while (send(c->fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void *read_until_closed(void *arg)
{
	struct conn *c = arg;
	uint8_t data[3000];

	while (recv(c->fd, data, sizeof(data), 0) > 0)
		;
	return NULL;
}

static void *poll_until_closed(void *arg)
{
	struct conn *c = arg;
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	while (poll(&p, 1, -1) == 1 && !(p.revents & (POLLHUP | POLLERR)))
		;
	return NULL;
}

static void shutdown_under_load(void)
{
	int round;

	for (round = 0; round < 10; round++) {
		uint8_t data[65536];
		pthread_t t[5];
		struct conn c;

		conn_open(&c);
		t[0] = start(write_until_closed, &c);
		t[1] = start(write_until_closed, &c);
		t[2] = start(read_until_closed, &c);
		t[3] = start(read_until_closed, &c);
		t[4] = start(poll_until_closed, &c);
		peer_send_pattern(&c.peer, 0, 20000, 1000);
		while (SYS(recv(c.peer.fd, data, sizeof(data), 0)) > 0)
			if (round % 2 || data[0] & 1)
				break;
		SYS(shutdown(c.fd, SHUT_RDWR));
		/* data on its way to us may have made a reset of it by now */
		shutdown(c.peer.fd, SHUT_WR);
		while (recv(c.peer.fd, data, sizeof(data), 0) > 0)
			;
		finish(t[0]);
		finish(t[1]);
		finish(t[2]);
		finish(t[3]);
		close(c.peer.fd);
		finish(t[4]);
		close(c.fd);
	}
}

static const struct test tests[] = {
	{ "close_sends_notify", PROTECTIONS, close_sends_notify },
	{ "close_at_once", VERSIONS, close_at_once },
	{ "close_after_more", VERSIONS, close_after_more },
	{ "exit_sends_notify", VERSIONS, exit_sends_notify },
	{ "close_when_full", VERSIONS, close_when_full },
	{ "shutdown_when_full", VERSIONS, shutdown_when_full },
	{ "shutdown_write", VERSIONS, shutdown_write },
	{ "shutdown_twice", VERSIONS, shutdown_twice },
	{ "shutdown_both", VERSIONS, shutdown_both },
	{ "shutdown_wakes_reader", VERSIONS, shutdown_wakes_reader },
	{ "shutdown_invalid", ONCE, shutdown_invalid },
	{ "sigpipe", ONCE, sigpipe },
	{ "own_notify", VERSIONS, own_notify },
	{ "peer_notify", VERSIONS, peer_notify },
	{ "data_after_notify", VERSIONS, data_after_notify },
	{ "truncated", VERSIONS, truncated },
	{ "truncated_header", VERSIONS, truncated_header },
	{ "truncated_record", VERSIONS, truncated_record },
	{ "truncated_sleeping", VERSIONS, truncated_sleeping },
	{ "truncated_poll", VERSIONS, truncated_poll },
	{ "peer_resets", VERSIONS, peer_resets },
	{ "peer_resets_writer", VERSIONS, peer_resets_writer },
	{ "reset_before_message", VERSIONS, reset_before_message },
	{ "linger_zero", VERSIONS, linger_zero },
	{ "linger", VERSIONS, linger },
	{ "close_unread", VERSIONS, close_unread },
	{ "close_unread_control", VERSIONS, close_unread_control },
	{ "close_unread_notify", VERSIONS, close_unread_notify },
	{ "shutdown_under_load", VERSIONS, shutdown_under_load },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
