// SPDX-License-Identifier: MIT
/* Attended sockets after the hand-over: control records, alerts, and who leaves first. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static const uint8_t hello_request[] = { 0, 0, 0, 0 };

static void nonblocking(int fd)
{
	SYS(fcntl(fd, F_SETFL, O_NONBLOCK));
}

/* ---- control records ---- */

/* Each is given out alone, and nothing behind it is opened before CONTINUE. */
static void holds_after_each(void)
{
	struct message m;
	uint8_t byte;
	struct conn c;

	conn_open_attended(&c);
	nonblocking(c.control);
	peer_send_pattern(&c.peer, 0, 300, 100);
	peer_send(&c.peer, HANDSHAKE, "\13\0\0\3" "one", 7);
	peer_send_pattern(&c.peer, 300, 300, 100);
	peer_send(&c.peer, HANDSHAKE, "\13\0\0\3" "two", 7);
	peer_send(&c.peer, HANDSHAKE, "\13\0\0\5" "three", 9);
	peer_send_pattern(&c.peer, 600, 300, 100);
	peer_settle(&c.peer);

	/* what came before stays readable */
	recv_pattern(c.fd, 0, 300);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\13\0\0\3" "one", 7);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_HELD);
	EQ(ready(c.fd, POLLIN), 0);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(read_message(c.control, &m), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	recv_pattern(c.fd, 300, 300);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\13\0\0\3" "two", 7);
	FAILS(read_message(c.control, &m), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\13\0\0\5" "three", 9);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	recv_pattern(c.fd, 600, 300);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_ACTIVE);
}

static void message_header(void)
{
	struct message m;
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	EQ(SYS(read_message(c.control, &m)), 16 + 9);
	EQ(m.head.kind, KSSL_MSG_RECORD);
	EQ(m.head.type, HANDSHAKE);
	EQ(m.head.epoch, 1);
	EQ(m.head.value, 1);
}

static void largest_record(void)
{
	static uint8_t data[16384];
	struct conn c;

	conn_open_attended(&c);
	EQ(make_message(NEW_SESSION_TICKET, sizeof(data) - 4, data), sizeof(data));
	peer_send(&c.peer, HANDSHAKE, data, sizeof(data));
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, data, sizeof(data));
}

struct job {
	struct conn *c;
	size_t len;
};

static void *read_job(void *arg)
{
	struct job *job = arg;

	recv_pattern(job->c->fd, 0, job->len);
	return NULL;
}

/* Plain read() never sees any of it, however often it happens. */
static void invisible_to_reader(void)
{
	struct job job = { .len = 200 * 1000 };
	struct conn c;
	pthread_t t;
	int i;

	conn_open_attended(&c);
	job.c = &c;
	t = start(read_job, &job);
	for (i = 0; i < 200; i++) {
		peer_send_pattern(&c.peer, i * 1000, 1000, 300);
		if (i % 2) {
			peer_send(&c.peer, HANDSHAKE, "\4\0\0\6" "ticket", 10);
			expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\0\6" "ticket", 10);
			control_op(c.control, KSSL_OP_CONTINUE);
		}
	}
	finish(t);
}

/* The same when the reader only comes when it is told. */
static void invisible_to_poller(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	uint8_t data[1000], byte;
	struct conn c;
	int i;

	conn_open_attended(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	for (i = 0; i < 50; i++) {
		peer_send(&c.peer, HANDSHAKE, "\4\0\0\6" "ticket", 10);
		peer_send_pattern(&c.peer, 0, 1000, 1000);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\0\6" "ticket", 10);
		EQ(ready(c.fd, POLLIN), 0);
		control_op(c.control, KSSL_OP_CONTINUE);
		EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		while (recv(c.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0) {
			EQ(errno, EAGAIN);
			EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		}
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT)), 1000);
		FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
	}
}

/* Nobody reads data, nobody polls: the helper hears of it all the same. */
static void helper_alone(void)
{
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, "\4\0\0\6" "ticket", 10);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\0\6" "ticket", 10);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send_alert(&c.peer, WARNING, USER_CANCELED);
	expect_message(c.control, KSSL_MSG_RECORD, ALERT, "\1\132", 2);
}

/* While a handshake is under way its messages are found behind data that nobody reads. */
static void look_ahead(void)
{
	struct conn c;

	conn_open_attended(&c);
	control_op(c.control, KSSL_OP_HOLD);
	peer_send_pattern(&c.peer, 0, 40000, 4000);
	peer_send(&c.peer, HANDSHAKE, "\13\0\0\6" "answer", 10);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\13\0\0\6" "answer", 10);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send_pattern(&c.peer, 40000, 4000, 4000);
	recv_pattern(c.fd, 0, 44000);
}

/* Control messages are a thing of unattended sockets. */
static void no_control_messages(void)
{
	uint8_t byte, type;
	struct conn c;

	conn_open_attended(&c);
	FAILS(send_typed(c.fd, HANDSHAKE, "x", 1, 0), EINVAL);
	FAILS(send_typed(c.fd, ALERT, "\1\0", 2, 0), EINVAL);
	peer_send(&c.peer, HANDSHAKE, "x", 1);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "x", 1);
	FAILS(recv_typed(c.fd, &type, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

/* ---- TLS 1.3: nothing is sent between a message and its answer ---- */

static void holds_sending(void)
{
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, "\4\0\0\6" "ticket", 10);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\0\6" "ticket", 10);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_HELD);
	EQ(ready(c.fd, POLLOUT), 0);
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	EQ(ready(c.fd, POLLOUT), POLLOUT);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* Before TLS 1.3 data goes on until the helper says hold (RFC 5246 7.4.1.1). */
static void keeps_sending(void)
{
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, hello_request, sizeof(hello_request));
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, hello_request,
		       sizeof(hello_request));
	EQ(status_of(c.fd).tx.state, KSSL_STATE_ACTIVE);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* ---- alerts and ends ---- */

static void close_notify_12(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	send_pattern(c.fd, 0, 100);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	recv_pattern(c.fd, 0, 100);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	expect_event(c.control, KSSL_EV_CLOSE_NOTIFY);
	peer_expect_pattern(&c.peer, 0, 100);
	/* RFC 5246 7.2.1: answered at once */
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_CLOSED);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_CLOSED);
	EQ(error_of(c.fd).err, 0);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

/* Answered also when nobody reads. */
static void close_notify_12_unread(void)
{
	struct conn c;

	conn_open_attended(&c);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	expect_event(c.control, KSSL_EV_CLOSE_NOTIFY);
}

static void *write_to_pipe(void *arg)
{
	struct conn *c = arg;
	uint8_t data[10000] = {};
	long n;

	do {
		n = send(c->fd, data, sizeof(data), MSG_NOSIGNAL);
	} while (n > 0);
	EQ(errno, EPIPE);
	return NULL;
}

/* A writer that waits is told. */
static void close_notify_12_writer(void)
{
	uint8_t data[RECORD_MAX], type;
	struct conn c;
	pthread_t t;
	long n;

	conn_open_attended(&c);
	t = start(write_to_pipe, &c);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	do {
		n = peer_recv(&c.peer, &type, data);
		CHECK(n >= 0);
	} while (type == DATA);
	EQ(type, ALERT);
	EQ(data[1], CLOSE_NOTIFY);
	finish(t);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

/* RFC 8446 6.1: it closes one direction only. */
static void close_notify_13(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	recv_pattern(c.fd, 0, 100);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	expect_event(c.control, KSSL_EV_CLOSE_NOTIFY);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_ACTIVE);
	send_pattern(c.fd, 0, 50000);
	peer_expect_pattern(&c.peer, 0, 50000);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void data_after_notify(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	send_pattern(c.fd, 0, 20000);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_send_pattern(&c.peer, 0, 50000, 16384);
	peer_send(&c.peer, HANDSHAKE, "\13\0\0\4" "late", 8);
	peer_write(&c.peer, "rubbish", 7);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	expect_event(c.control, KSSL_EV_CLOSE_NOTIFY);
	close(c.fd);
	expect_event(c.control, KSSL_EV_CLOSED);
	/* and no reset destroys what was sent before */
	peer_expect_pattern(&c.peer, 0, 20000);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void fatal_alert(void)
{
	struct kssl_error e;
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_send_alert(&c.peer, FATAL, HANDSHAKE_FAILURE);
	recv_pattern(c.fd, 0, 100);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNABORTED);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNABORTED);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ECONNABORTED);
	e = error_of(c.fd);
	EQ(e.err, ECONNABORTED);
	EQ(e.who, KSSL_WHO_PEER);
	EQ(e.has_alert, 1);
	EQ(e.alert, HANDSHAKE_FAILURE);
	/* an alert is not answered by an alert, nor by close_notify */
	close(c.fd);
	peer_expect_fin(&c.peer);
}

/* The helper sees the alert, then that it was the end. */
static void fatal_alert_to_helper(void)
{
	struct message m;
	struct conn c;

	conn_open_attended(&c);
	peer_send_alert(&c.peer, FATAL, HANDSHAKE_FAILURE);
	expect_message(c.control, KSSL_MSG_RECORD, ALERT, "\2\50", 2);
	SYS(read_message(c.control, &m));
	EQ(m.head.kind, KSSL_MSG_EVENT);
	EQ(m.head.type, KSSL_EV_FAILED);
	EQ(m.head.value, ECONNABORTED);
}

/* RFC 8446 6: in TLS 1.3 the level means nothing; all but these two are fatal. */
static void all_alerts_fatal(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send_alert(&c.peer, WARNING, USER_CANCELED);
	expect_message(c.control, KSSL_MSG_RECORD, ALERT, "\1\132", 2);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
	peer_send_alert(&c.peer, WARNING, NO_RENEGOTIATION);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNABORTED);
	EQ(error_of(c.fd).alert, NO_RENEGOTIATION);
}

static void four_warnings(struct conn *c, uint8_t desc)
{
	uint8_t alert[2] = { WARNING, desc };
	int i;

	for (i = 0; i < 4; i++) {
		peer_send_alert(&c->peer, WARNING, desc);
		expect_message(c->control, KSSL_MSG_RECORD, ALERT, alert, 2);
		control_op(c->control, KSSL_OP_CONTINUE);
	}
}

/* CVE-2016-8610: the fifth in a row is one too many, data starts the count again. */
static void warnings(void)
{
	uint8_t desc = is_13() ? USER_CANCELED : NO_RENEGOTIATION;
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	four_warnings(&c, desc);
	peer_send(&c.peer, DATA, "x", 1);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
	four_warnings(&c, desc);
	peer_send_alert(&c.peer, WARNING, desc);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
	expect_event(c.control, KSSL_EV_FAILED);
}

static void malformed_alert(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send(&c.peer, ALERT, "\1\0\1", 3);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
}

static void truncated(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	expect_event(c.control, KSSL_EV_EOF);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	EQ(error_of(c.fd).err, ECONNRESET);
	EQ(error_of(c.fd).who, KSSL_WHO_PEER);
}

static void record_error(void)
{
	uint8_t record[RECORD_MAX];
	struct message m;
	struct conn c;
	uint8_t byte;
	size_t len;

	conn_open_attended(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	SYS(read_message(c.control, &m));
	EQ(m.head.kind, KSSL_MSG_EVENT);
	EQ(m.head.type, KSSL_EV_FAILED);
	EQ(m.head.value, EBADMSG);
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EBADMSG);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
	FAILS(write(c.control, &(struct kssl_op){ .op = KSSL_OP_CONTINUE },
		    sizeof(struct kssl_op)), EPIPE);
}

/* ---- the helper gives up ---- */

static void fail_with_alert(void)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EACCES, .alert = 42, .has_alert = 1, .x509 = 10,
		.text = "the certificate has expired",
	}, got;
	struct batch *b = batch_new();
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	send_pattern(c.fd, 0, 100);
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, "before", 6);
	/* whatever it says here, it is the helper */
	e.who = KSSL_WHO_PEER;
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	FAILS(recv(c.fd, &byte, 1, 0), EACCES);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EACCES);
	FAILS(recv(c.fd, &byte, 1, 0), EACCES);
	got = error_of(c.fd);
	EQ(got.err, EACCES);
	EQ(got.who, KSSL_WHO_HELPER);
	EQ(got.alert, 42);
	EQ(got.has_alert, 1);
	EQ(got.x509, 10);
	CHECK(!strcmp(got.text, e.text));
	EQ(status_of(c.fd).tx.state, KSSL_STATE_FAILED);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_FAILED);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_expect(&c.peer, HANDSHAKE, "before", 6);
	peer_expect_alert(&c.peer, FATAL, 42);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

static void fail_without_alert(void)
{
	struct kssl_error e = { .size = sizeof(e), .err = ENOTRECOVERABLE };
	struct batch *b = batch_new();
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	/* a text without an end does not read on */
	memset(e.text, 'x', sizeof(e.text));
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	FAILS(recv(c.fd, &byte, 1, 0), ENOTRECOVERABLE);
	EQ(strlen(error_of(c.fd).text), sizeof(e.text) - 1);
	EQ(error_of(c.fd).has_alert, 0);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

/* A helper may know a shorter struct kssl_error than the kernel, or a longer one. */
static void fail_of_another_size(void)
{
	struct {
		struct kssl_error e;
		uint32_t more;
	} longer = { .e = { .size = sizeof(longer), .err = EACCES, .text = "longer" }, .more = 1 };
	struct kssl_error shorter = { .size = 8, .err = EBADE };
	struct batch *b = batch_new();
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	batch_add(b, KSSL_OP_FAIL, 0, &longer, sizeof(longer));
	FAILS(batch_write(b, c.control), E2BIG);
	EQ(error_of(c.fd).err, 0);
	longer.more = 0;
	batch_add(b, KSSL_OP_FAIL, 0, &longer, sizeof(longer));
	SYS(batch_write(b, c.control));
	FAILS(recv(c.fd, &byte, 1, 0), EACCES);
	EQ(error_of(c.fd).size, sizeof(struct kssl_error));
	CHECK(!strcmp(error_of(c.fd).text, "longer"));
	close(c.fd);

	conn_open_attended(&c);
	batch_add(b, KSSL_OP_FAIL, 0, &shorter, shorter.size);
	SYS(batch_write(b, c.control));
	FAILS(recv(c.fd, &byte, 1, 0), EBADE);
	EQ(error_of(c.fd).who, KSSL_WHO_HELPER);
	EQ(error_of(c.fd).text[0], 0);
	close(c.fd);
}

/* In the plain phase the alert is in the clear, for the peer has no other key. */
static void fail_in_plain_phase(void)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EPROTO, .alert = HANDSHAKE_FAILURE, .has_alert = 1,
	};
	struct batch *b = batch_new();
	uint8_t record[RECORD_MAX];
	struct conn c;

	conn_attend(&c);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	EQ(peer_read_raw(&c.peer, record), HEADER + 2);
	EQ(record[0], ALERT);
	EQ(record[5], FATAL);
	EQ(record[6], HANDSHAKE_FAILURE);
	FAILS(recv(c.fd, record, 1, 0), EPROTO);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPROTO);
}

static void *fails_in_read(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EACCES);
	return NULL;
}

static void *fails_in_write(void *arg)
{
	struct conn *c = arg;

	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), EACCES);
	return NULL;
}

static void *fails_in_poll(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLERR);
	return NULL;
}

static void fail_wakes(void)
{
	struct kssl_error e = { .size = sizeof(e), .err = EACCES };
	struct batch *b = batch_new();
	pthread_t t[3];
	struct conn c;

	conn_attend(&c);
	t[0] = start_asleep(fails_in_read, &c);
	t[1] = start_asleep(fails_in_write, &c);
	t[2] = start_asleep(fails_in_poll, &c);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	finish(t[0]);
	finish(t[1]);
	finish(t[2]);
}

/* ---- the helper goes away ---- */

static void gone_in_plain_phase(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;

	conn_attend(&c);
	close(c.control);
	FAILS(recv(c.fd, record, 1, 0), ESRCH);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ESRCH);
	EQ(error_of(c.fd).err, ESRCH);
	EQ(status_of(c.fd).attended, 0);
	EQ(peer_read_raw(&c.peer, record), HEADER + 2);
	EQ(record[0], ALERT);
	EQ(record[5], FATAL);
	EQ(record[6], INTERNAL_ERROR);
}

static void *reads_esrch(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), ESRCH);
	return NULL;
}

static void *writes_esrch(void *arg)
{
	struct conn *c = arg;

	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), ESRCH);
	return NULL;
}

static void gone_wakes(void)
{
	pthread_t t[2];
	struct conn c;

	conn_attend(&c);
	t[0] = start_asleep(reads_esrch, &c);
	t[1] = start_asleep(writes_esrch, &c);
	close(c.control);
	finish(t[0]);
	finish(t[1]);
}

/* In the middle of a renegotiation the alert is under the live key. */
static void gone_while_held(void)
{
	struct batch *b = batch_new();
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, "\1\0\0\5" "hello", 9);
	SYS(batch_write(b, c.control));
	close(c.control);
	FAILS(recv(c.fd, &byte, 1, 0), ESRCH);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ESRCH);
	peer_expect(&c.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

static void gone_with_unanswered(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	wait_ready(c.control, POLLIN);
	close(c.control);
	FAILS(recv(c.fd, &byte, 1, 0), ESRCH);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

/* After the handshake the connection goes on, until a message comes that needs a helper. */
static void gone_afterwards(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	close(c.control);
	EQ(status_of(c.fd).attended, 0);
	send_pattern(c.fd, 0, 50000);
	peer_expect_pattern(&c.peer, 0, 50000);
	peer_send_pattern(&c.peer, 0, 50000, 16384);
	recv_pattern(c.fd, 0, 50000);
	EQ(error_of(c.fd).err, 0);
	peer_send(&c.peer, HANDSHAKE, "\30\0\0\1\1", 5);
	FAILS(recv(c.fd, &byte, 1, 0), ESRCH);
	EQ(error_of(c.fd).err, ESRCH);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

static void gone_close_notify(void)
{
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	close(c.control);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* It is gone when the last duplicate is. */
static void duplicated_file(void)
{
	struct conn c;
	int other;

	conn_attend(&c);
	other = SYS(dup(c.control));
	close(c.control);
	EQ(status_of(c.fd).attended, 1);
	c.control = other;
	conn_hand_over(&c);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* ---- the application goes away ---- */

static void application_closes(void)
{
	struct message m;
	struct conn c;

	conn_open_attended(&c);
	close(c.fd);
	SYS(read_message(c.control, &m));
	EQ(m.head.kind, KSSL_MSG_EVENT);
	EQ(m.head.type, KSSL_EV_CLOSED);
	EQ(m.head.value, 0);
	EQ(SYS(read_message(c.control, &m)), 0);
	EQ(SYS(read_message(c.control, &m)), 0);
	FAILS(write(c.control, &(struct kssl_op){ .op = KSSL_OP_HOLD },
		    sizeof(struct kssl_op)), EPIPE);
	CHECK(ready(c.control, POLLIN) & POLLHUP);
	CHECK(ready(c.control, POLLIN) & POLLIN);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void *reads_closed(void *arg)
{
	struct conn *c = arg;
	static struct message m;

	SYS(read_message(c->control, &m));
	EQ(m.head.type, KSSL_EV_CLOSED);
	return NULL;
}

static void application_closes_waiting_helper(void)
{
	struct conn c;
	pthread_t t;

	conn_open_attended(&c);
	t = start_asleep(reads_closed, &c);
	close(c.fd);
	finish(t);
}

/* What was not read yet can still be read; the end comes last. */
static void application_closes_unread(void)
{
	struct message m;
	struct conn c;

	conn_open_attended(&c);
	peer_send(&c.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	wait_ready(c.control, POLLIN);
	close(c.fd);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\1\0\0\5" "hello", 9);
	expect_event(c.control, KSSL_EV_CLOSED);
	EQ(SYS(read_message(c.control, &m)), 0);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void application_closes_in_plain_phase(void)
{
	struct message m;
	struct conn c;
	uint8_t byte;

	conn_attend(&c);
	close(c.fd);
	expect_event(c.control, KSSL_EV_CLOSED);
	EQ(SYS(read_message(c.control, &m)), 0);
	/* no key, no close_notify */
	EQ(SYS(recv(c.peer.fd, &byte, 1, 0)), 0);
}

static void closed_after_error(void)
{
	uint8_t header[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	struct message m;
	struct conn c;

	conn_open_attended(&c);
	peer_write(&c.peer, header, sizeof(header));
	expect_event(c.control, KSSL_EV_FAILED);
	close(c.fd);
	SYS(read_message(c.control, &m));
	EQ(m.head.type, KSSL_EV_CLOSED);
	EQ(m.head.value, EMSGSIZE);
}

/* Both at once, with traffic: nobody hangs, nothing leaks. */
static void *helper(void *arg)
{
	struct conn *c = arg;
	struct message *m = malloc(sizeof(*m));
	struct kssl_op op = { .op = KSSL_OP_CONTINUE };

	while (read_message(c->control, m) > 0 && m->head.type != KSSL_EV_CLOSED)
		if (write(c->control, &op, sizeof(op)) < 0)
			EQ(errno, EPIPE);
	free(m);
	return NULL;
}

static void *reader(void *arg)
{
	struct conn *c = arg;
	uint8_t data[1000];

	while (recv(c->fd, data, sizeof(data), 0) > 0)
		;
	return NULL;
}

static void all_at_once(void)
{
	int round;

	for (round = 0; round < 20; round++) {
		pthread_t t[2];
		struct conn c;
		int i;

		conn_open_attended(&c);
		t[0] = start(helper, &c);
		t[1] = start(reader, &c);
		for (i = 0; i < 20 + round; i++) {
			peer_send_pattern(&c.peer, 0, 300, 100);
			peer_send(&c.peer, HANDSHAKE, "\4\0\0\6" "ticket", 10);
		}
		SYS(shutdown(c.fd, SHUT_RD));
		finish(t[1]);
		close(c.fd);
		finish(t[0]);
		close(c.control);
		close(c.peer.fd);
	}
}

static const struct test tests[] = {
	{ "holds_after_each", VERSIONS, holds_after_each },
	{ "message_header", VERSIONS, message_header },
	{ "largest_record", PROTECTIONS, largest_record },
	{ "invisible_to_reader", VERSIONS, invisible_to_reader },
	{ "invisible_to_poller", VERSIONS, invisible_to_poller },
	{ "helper_alone", VERSIONS, helper_alone },
	{ "look_ahead", VERSIONS, look_ahead },
	{ "no_control_messages", VERSIONS, no_control_messages },
	{ "holds_sending", ONLY_13, holds_sending },
	{ "keeps_sending", ONLY_12, keeps_sending },
	{ "close_notify_12", ONLY_12, close_notify_12 },
	{ "close_notify_12_unread", ONLY_12, close_notify_12_unread },
	{ "close_notify_12_writer", ONLY_12, close_notify_12_writer },
	{ "close_notify_13", ONLY_13, close_notify_13 },
	{ "data_after_notify", VERSIONS, data_after_notify },
	{ "fatal_alert", VERSIONS, fatal_alert },
	{ "fatal_alert_to_helper", VERSIONS, fatal_alert_to_helper },
	{ "all_alerts_fatal", ONLY_13, all_alerts_fatal },
	{ "warnings", VERSIONS, warnings },
	{ "malformed_alert", VERSIONS, malformed_alert },
	{ "truncated", VERSIONS, truncated },
	{ "record_error", VERSIONS, record_error },
	{ "fail_with_alert", VERSIONS, fail_with_alert },
	{ "fail_without_alert", VERSIONS, fail_without_alert },
	{ "fail_of_another_size", VERSIONS, fail_of_another_size },
	{ "fail_in_plain_phase", VERSIONS, fail_in_plain_phase },
	{ "fail_wakes", VERSIONS, fail_wakes },
	{ "gone_in_plain_phase", VERSIONS, gone_in_plain_phase },
	{ "gone_wakes", VERSIONS, gone_wakes },
	{ "gone_while_held", VERSIONS, gone_while_held },
	{ "gone_with_unanswered", VERSIONS, gone_with_unanswered },
	{ "gone_afterwards", VERSIONS, gone_afterwards },
	{ "gone_close_notify", VERSIONS, gone_close_notify },
	{ "duplicated_file", VERSIONS, duplicated_file },
	{ "application_closes", VERSIONS, application_closes },
	{ "application_closes_waiting_helper", VERSIONS, application_closes_waiting_helper },
	{ "application_closes_unread", VERSIONS, application_closes_unread },
	{ "application_closes_in_plain_phase", VERSIONS, application_closes_in_plain_phase },
	{ "closed_after_error", VERSIONS, closed_after_error },
	{ "all_at_once", VERSIONS, all_at_once },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
