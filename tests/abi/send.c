// SPDX-License-Identifier: MIT
/* Sending on an unattended socket: what a write becomes on the wire. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static long quiet_send(int fd, size_t at, size_t len, int flags)
{
	uint8_t data[16384];

	CHECK(len <= sizeof(data));
	pattern(data, at, len);
	return send(fd, data, len, flags | MSG_NOSIGNAL);
}

/* Exactly one record of application data. */
static void expect_one(struct conn *c, size_t at, size_t len)
{
	uint8_t data[16384];

	pattern(data, at, len);
	peer_expect(&c->peer, DATA, data, len);
}

static void sizes(void)
{
	static const size_t lens[] = { 1, 100, 16383, 16384, 16385, 100000 };
	unsigned int i;
	size_t at = 0;
	struct conn c;

	conn_open(&c);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		send_pattern(c.fd, at, lens[i]);
		peer_expect_pattern(&c.peer, at, lens[i]);
		at += lens[i];
	}
}

static void one_write_one_record(void)
{
	struct conn c;

	conn_open(&c);
	EQ(quiet_send(c.fd, 0, 1, 0), 1);
	expect_one(&c, 0, 1);
	EQ(quiet_send(c.fd, 0, 16384, 0), 16384);
	expect_one(&c, 0, 16384);
	send_pattern(c.fd, 0, 16385 + 16384);
	expect_one(&c, 0, 16384);
	expect_one(&c, 16384, 16384);
	expect_one(&c, 32768, 1);
}

/* Nothing goes out, so what comes next is the first record. */
static void empty_write(void)
{
	struct iovec iov = { NULL, 0 };
	struct conn c;

	conn_open(&c);
	EQ(SYS(send(c.fd, "", 0, MSG_NOSIGNAL)), 0);
	EQ(SYS(writev(c.fd, &iov, 1)), 0);
	EQ(SYS(send(c.fd, "", 0, MSG_MORE)), 0);
	EQ(quiet_send(c.fd, 0, 5, 0), 5);
	expect_one(&c, 0, 5);
	EQ(status_of(c.fd).tx.records, 1);
}

static void more_merges(void)
{
	struct conn c;

	conn_open(&c);
	EQ(quiet_send(c.fd, 0, 100, MSG_MORE), 100);
	EQ(quiet_send(c.fd, 100, 200, MSG_MORE), 200);
	EQ(quiet_send(c.fd, 300, 300, 0), 300);
	expect_one(&c, 0, 600);
	/* it ends where a record is full */
	EQ(quiet_send(c.fd, 0, 16000, MSG_MORE), 16000);
	EQ(quiet_send(c.fd, 16000, 1000, 0), 1000);
	expect_one(&c, 0, 16384);
	expect_one(&c, 16384, 616);
	EQ(quiet_send(c.fd, 0, 16384, MSG_MORE), 16384);
	expect_one(&c, 0, 16384);
	EQ(quiet_send(c.fd, 0, 7, 0), 7);
	expect_one(&c, 0, 7);
	/* many small ones: memory in many pieces */
	for (int i = 0; i < 1000; i++)
		EQ(quiet_send(c.fd, i * 3, 3, i < 999 ? MSG_MORE : 0), 3);
	expect_one(&c, 0, 3000);
}

static void more_then_control(void)
{
	struct conn c;

	conn_open(&c);
	EQ(quiet_send(c.fd, 0, 100, MSG_MORE), 100);
	EQ(quiet_send(c.fd, 100, 10, 0), 10);
	expect_one(&c, 0, 110);
	EQ(quiet_send(c.fd, 0, 100, MSG_MORE), 100);
	EQ(send_typed(c.fd, HANDSHAKE, "abc", 3, 0), 3);
	expect_one(&c, 0, 100);
	peer_expect(&c.peer, HANDSHAKE, "abc", 3);
}

static void vectors(void)
{
	uint8_t data[100000];
	struct iovec iov[20];
	struct conn c;
	int i;

	conn_open(&c);
	pattern(data, 0, sizeof(data));
	iov[0] = (struct iovec){ data, 10 };
	iov[1] = (struct iovec){ data + 10, 0 };
	iov[2] = (struct iovec){ data + 10, 90 };
	EQ(SYS(writev(c.fd, iov, 3)), 100);
	expect_one(&c, 0, 100);
	for (i = 0; i < 20; i++)
		iov[i] = (struct iovec){ data + i * 5000, 5000 };
	EQ(SYS(writev(c.fd, iov, 20)), 100000);
	peer_expect_pattern(&c.peer, 0, 100000);
}

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

static void send_file(void)
{
	int file = file_of(100000);
	off_t at = 0;
	struct conn c;

	conn_open(&c);
	while (at < 100000)
		CHECK(SYS(sendfile(c.fd, file, &at, 100000 - at)) > 0);
	peer_expect_pattern(&c.peer, 0, 100000);
	/* the file ends before what was asked for: nothing may stay behind */
	at = 99000;
	EQ(SYS(sendfile(c.fd, file, &at, 50000)), 1000);
	peer_expect_pattern(&c.peer, 99000, 1000);
	/* an odd beginning, and behind an open record */
	EQ(quiet_send(c.fd, 0, 33, MSG_MORE), 33);
	at = 33;
	EQ(SYS(sendfile(c.fd, file, &at, 5000)), 5000);
	peer_expect_pattern(&c.peer, 0, 5033);
}

static void splice_in(void)
{
	uint8_t data[8192];
	int pipes[2];
	size_t at;
	struct conn c;

	conn_open(&c);
	SYS(pipe(pipes));
	for (at = 0; at < 40000; at += sizeof(data)) {
		pattern(data, at, sizeof(data));
		EQ(SYS(write(pipes[1], data, sizeof(data))), sizeof(data));
		EQ(SYS(splice(pipes[0], NULL, c.fd, NULL, sizeof(data),
			      at + 2 * sizeof(data) > 40000 ? 0 : SPLICE_F_MORE)), sizeof(data));
	}
	peer_expect_pattern(&c.peer, 0, at);
}

static void writable(void)
{
	struct conn c;
	size_t sent;

	conn_open(&c);
	EQ(ready(c.fd, POLLOUT), POLLOUT);
	sent = send_until_full(c.fd, 0);
	CHECK(sent > 0);
	EQ(ready(c.fd, POLLOUT), 0);
	/* everything that was taken arrives, and then there is room again */
	peer_expect_pattern(&c.peer, 0, sent);
	wait_ready(c.fd, POLLOUT);
	send_pattern(c.fd, sent, 1000);
	peer_expect_pattern(&c.peer, sent, 1000);
}

static void writable_edge(void)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	struct conn c;
	size_t sent;

	conn_open(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
	sent = send_until_full(c.fd, 0);
	/* forget what happened meanwhile */
	while (SYS(epoll_wait(epoll, &event, 1, 0)))
		sent += send_until_full(c.fd, sent);
	peer_expect_pattern(&c.peer, 0, sent);
	EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
	CHECK(event.events & EPOLLOUT);
	EQ(quiet_send(c.fd, sent, 10, MSG_DONTWAIT), 10);
}

struct job {
	struct conn *c;
	size_t len;
};

static void *send_job(void *arg)
{
	struct job *job = arg;

	send_pattern(job->c->fd, 0, job->len);
	return NULL;
}

/* A writer that has to wait for the peer many times. */
static void blocking(void)
{
	struct job job = { .len = 3 << 20 };
	struct conn c;
	pthread_t t;

	conn_connect_bufs(&c, 0, 8192);
	conn_attach(&c);
	conn_keys(&c);
	job.c = &c;
	t = start(send_job, &job);
	peer_expect_pattern(&c.peer, 0, job.len);
	finish(t);
}

static void timeout(void)
{
	struct timeval tv = { .tv_usec = 1000 };
	uint8_t data[16384];
	size_t sent;
	struct conn c;
	long n;

	conn_open(&c);
	sent = send_until_full(c.fd, 0);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)));
	pattern(data, sent, sizeof(data));
	n = send(c.fd, data, sizeof(data), MSG_NOSIGNAL);
	if (n < 0)
		EQ(errno, EAGAIN);
	else
		sent += n;
	peer_expect_pattern(&c.peer, 0, sent);
}

static void on_signal(int number)
{
	(void)number;
}

/* A signal ends a wait with what was taken so far, or EINTR, and nothing is lost. */
static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	static uint8_t data[1 << 20];
	struct conn c;
	size_t sent;
	pid_t pid;
	long n;

	conn_open(&c);
	SYS(sigaction(SIGUSR1, &action, NULL));
	sent = send_until_full(c.fd, 0);
	pattern(data, sent, sizeof(data));
	pid = SYS(fork());
	if (!pid) {
		/* however early or late it wakes us, again and again */
		for (;;) {
			kill(getppid(), SIGUSR1);
			usleep(1000);
		}
	}
	n = send(c.fd, data, sizeof(data), MSG_NOSIGNAL);
	kill(pid, SIGKILL);
	if (n < 0)
		EQ(errno, EINTR);
	else
		sent += n;
	peer_expect_pattern(&c.peer, 0, sent);
	send_pattern(c.fd, sent, 100);
	peer_expect_pattern(&c.peer, sent, 100);
}

static void control_records(void)
{
	uint8_t data[16385];
	struct conn c;

	conn_open(&c);
	EQ(send_typed(c.fd, HANDSHAKE, "hello", 5, 0), 5);
	peer_expect(&c.peer, HANDSHAKE, "hello", 5);
	EQ(send_typed(c.fd, DATA, "data", 4, 0), 4);
	peer_expect(&c.peer, DATA, "data", 4);
	EQ(send_typed(c.fd, ALERT, "\1\144", 2, 0), 2);
	peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
	pattern(data, 0, 16384);
	EQ(send_typed(c.fd, HANDSHAKE, data, 16384, 0), 16384);
	peer_expect(&c.peer, HANDSHAKE, data, 16384);

	/* what is not one record is refused whole */
	FAILS(send_typed(c.fd, HANDSHAKE, data, 16385, 0), EINVAL);
	FAILS(send_typed(c.fd, HANDSHAKE, data, 0, 0), EINVAL);
	FAILS(send_typed(c.fd, HANDSHAKE, data, 10, MSG_MORE), EINVAL);
	FAILS(send_typed(c.fd, 1, data, 10, 0), EINVAL);
	FAILS(send_typed(c.fd, 19, data, 10, 0), EINVAL);
	FAILS(send_typed(c.fd, 24, data, 10, 0), EINVAL);
	FAILS(send_typed(c.fd, 255, data, 10, 0), EINVAL);
	EQ(quiet_send(c.fd, 0, 10, 0), 10);
	expect_one(&c, 0, 10);
}

static void change_cipher_spec(void)
{
	struct conn c;

	conn_open(&c);
	EQ(send_typed(c.fd, CCS, "\1", 1, 0), 1);
	peer_expect(&c.peer, CCS, "\1", 1);
}

static void malformed_cmsg(void)
{
	char control[64] __attribute__((aligned(8))) = {};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(1),
	};
	struct cmsghdr *cmsg = (void *)control;
	struct conn c;

	conn_open(&c);
#define TRY(level, type, len)						\
	do {								\
		cmsg->cmsg_level = (level);				\
		cmsg->cmsg_type = (type);				\
		cmsg->cmsg_len = (len);					\
		*CMSG_DATA(cmsg) = HANDSHAKE;				\
		FAILS(sendmsg(c.fd, &msg, MSG_NOSIGNAL), EINVAL);	\
	} while (0)
	TRY(SOL_KSSL, 0, CMSG_LEN(1));
	TRY(SOL_KSSL, KSSL_RECORD_TYPE + 1, CMSG_LEN(1));
	TRY(SOL_KSSL, KSSL_RECORD_TYPE, CMSG_LEN(0));
	TRY(SOL_KSSL, KSSL_RECORD_TYPE, CMSG_LEN(2));
	TRY(SOL_KSSL, KSSL_RECORD_TYPE, 4);
	TRY(SOL_KSSL, KSSL_RECORD_TYPE, 1000);
#undef TRY
	/* and this one is good */
	cmsg->cmsg_len = CMSG_LEN(1);
	EQ(SYS(sendmsg(c.fd, &msg, MSG_NOSIGNAL)), 1);
	peer_expect(&c.peer, HANDSHAKE, "x", 1);
}

static void bad_pointer(void)
{
	struct iovec iov[2];
	uint8_t data[100];
	struct conn c;

	conn_open(&c);
	FAILS(send(c.fd, nowhere, 100, MSG_NOSIGNAL), EFAULT);
	/* what can be read goes, or nothing; never something else */
	pattern(data, 0, sizeof(data));
	iov[0] = (struct iovec){ data, 100 };
	iov[1] = (struct iovec){ nowhere, 100 };
	if (writev(c.fd, iov, 2) < 0)
		EQ(errno, EFAULT);
	else
		expect_one(&c, 0, 100);
	EQ(quiet_send(c.fd, 0, 10, 0), 10);
	expect_one(&c, 0, 10);
}

#define WRITERS		8
#define MESSAGES	200

struct message_head {
	uint32_t writer;
	uint32_t number;
	uint32_t len;
};

struct writer {
	struct conn *c;
	uint32_t id;
};

static void *write_messages(void *arg)
{
	struct writer *w = arg;
	uint8_t data[4096];
	uint32_t i;

	for (i = 0; i < MESSAGES; i++) {
		struct message_head h = { w->id, i, 16 + (i * 37 + w->id * 501) % 4000 };

		memset(data, w->id, h.len);
		memcpy(data, &h, sizeof(h));
		EQ(SYS(send(w->c->fd, data, h.len, MSG_NOSIGNAL)), h.len);
	}
	return NULL;
}

/* One write of up to 16 KiB is one record, also beside others. */
static void many_writers(void)
{
	struct writer writers[WRITERS];
	uint32_t next[WRITERS] = {};
	pthread_t threads[WRITERS];
	uint8_t data[RECORD_MAX];
	struct conn c;
	int i, left;
	uint8_t type;

	conn_open(&c);
	for (i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ &c, i };
		threads[i] = start(write_messages, &writers[i]);
	}
	for (left = WRITERS * MESSAGES; left; left--) {
		long n = peer_recv(&c.peer, &type, data);
		struct message_head h;

		EQ(type, DATA);
		CHECK(n >= (long)sizeof(h));
		memcpy(&h, data, sizeof(h));
		CHECK(h.writer < WRITERS);
		EQ(h.number, next[h.writer]);
		EQ(h.len, n);
		next[h.writer]++;
		for (i = sizeof(h); i < n; i++)
			EQ(data[i], h.writer);
	}
	for (i = 0; i < WRITERS; i++)
		finish(threads[i]);
	EQ(status_of(c.fd).tx.records, WRITERS * MESSAGES);
}

/* The numbers given at the start are those of the first record. */
static void given_numbers(void)
{
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.rx.seq = 0x7abcdeULL;
	c.peer.rx.nonce = 0xfffffffffffffffeULL;
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	EQ(status_of(c.fd).tx.seq, 0x7abcdeULL);
	send_pattern(c.fd, 0, 50000);
	peer_expect_pattern(&c.peer, 0, 50000);
	EQ(status_of(c.fd).tx.seq, 0x7abcdeULL + 4);
}

/* RFC 5246 6.1, RFC 8446 5.3: the sequence number does not wrap. */
static void last_number(void)
{
	struct kssl_error e;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.rx.seq = ~0ULL - 1;
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	EQ(quiet_send(c.fd, 0, 10, 0), 10);
	expect_one(&c, 0, 10);
	FAILS(quiet_send(c.fd, 10, 10, 0), EKEYEXPIRED);
	FAILS(quiet_send(c.fd, 10, 10, 0), EKEYEXPIRED);
	e = error_of(c.fd);
	EQ(e.err, EKEYEXPIRED);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 0);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_FAILED);
}

static const struct test tests[] = {
	{ "sizes", PROTECTIONS, sizes },
	{ "one_write_one_record", PROTECTIONS, one_write_one_record },
	{ "empty_write", VERSIONS, empty_write },
	{ "more_merges", VERSIONS, more_merges },
	{ "more_then_control", VERSIONS, more_then_control },
	{ "vectors", VERSIONS, vectors },
	{ "send_file", VERSIONS, send_file },
	{ "splice_in", VERSIONS, splice_in },
	{ "writable", VERSIONS, writable },
	{ "writable_edge", VERSIONS, writable_edge },
	{ "blocking", VERSIONS, blocking },
	{ "timeout", VERSIONS, timeout },
	{ "interrupted", VERSIONS, interrupted },
	{ "control_records", VERSIONS, control_records },
	{ "change_cipher_spec", ONLY_12, change_cipher_spec },
	{ "malformed_cmsg", VERSIONS, malformed_cmsg },
	{ "bad_pointer", VERSIONS, bad_pointer },
	{ "many_writers", VERSIONS, many_writers },
	{ "given_numbers", VERSIONS, given_numbers },
	{ "last_number", UNLIMITED, last_number },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
