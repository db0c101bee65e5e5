// SPDX-License-Identifier: MIT
/*
 * Whom a handshake waits for, and for how long: the helper, the peer, or a reader, who
 * may take all the time there is.  Tests wait for what happens; that something is over
 * by some time they never say.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define SOON		20		/* ms */
#define NEVER		3600000		/* ms */
#define LONG_AFTER	(20 * SOON * 1000)	/* us, that a clock of SOON would not survive */

static const struct kssl_policy helper_soon = { .helper_ms = SOON, .peer_ms = NEVER };
static const struct kssl_policy peer_soon = { .helper_ms = NEVER, .peer_ms = SOON };

static void expect_waits(struct conn *c, int waits)
{
	EQ(status_of(c->fd).waits, waits);
}

/* The helper of a connection is told that it is over. */
static void expect_told(struct conn *c)
{
	EQ(find_event(c->control, KSSL_EV_FAILED).value, ETIMEDOUT);
}

/* What it says, for comparison. */
static struct kssl_error expect_timeout(struct conn *c, int who)
{
	struct kssl_error e;
	uint8_t byte;

	/* data that was received before may still be read */
	while (recv(c->fd, &byte, 1, 0) == 1)
		;
	EQ(errno, ETIMEDOUT);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), ETIMEDOUT);
	e = error_of(c->fd);
	EQ(e.err, ETIMEDOUT);
	EQ(e.who, who);
	EQ(e.has_alert, 1);
	EQ(e.alert, INTERNAL_ERROR);
	CHECK(e.text[0]);
	expect_told(c);
	expect_waits(c, 0);
	EQ(status_of(c->fd).tx.state, KSSL_STATE_FAILED);
	return e;
}

static void deliver(struct conn *c)
{
	peer_send_message(&c->peer, HELLO_REQUEST, 0);
	expect_handshake(c->control, HELLO_REQUEST, 0);
}

/* ---- the helper ---- */

static void helper_unread(void)
{
	struct conn c;

	conn_open_policy(&c, &helper_soon);
	peer_send_message(&c.peer, HELLO_REQUEST, 0);
	expect_timeout(&c, KSSL_WHO_HELPER);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

static void helper_read(void)
{
	struct conn c;

	conn_open_policy(&c, &helper_soon);
	deliver(&c);
	expect_timeout(&c, KSSL_WHO_HELPER);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

static void helper_in_plain_phase(void)
{
	static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &helper_soon));
	usleep(LONG_AFTER);
	/* nothing was delivered, so nothing is owed */
	EQ(error_of(c.fd).err, 0);
	peer_write(&c.peer, hello, sizeof(hello));
	expect_timeout(&c, KSSL_WHO_HELPER);
}

/* One answer stops the clock, and it does not go on by itself. */
static void helper_answers(void)
{
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){ .helper_ms = NEVER });
	for (i = 0; i < 5; i++) {
		deliver(&c);
		expect_waits(&c, KSSL_WAITS_HELPER);
		control_op(c.control, KSSL_OP_CONTINUE);
		expect_waits(&c, 0);
		conn_both_ways(&c, 100, 100);
	}
	SYS(set_policy(c.fd, &(struct kssl_policy){ .helper_ms = 1 }));
	usleep(LONG_AFTER);
	conn_both_ways(&c, 100, 100);
	EQ(error_of(c.fd).err, 0);
}

/* Events and an idle connection owe nothing. */
static void helper_owes_nothing(void)
{
	struct conn c;

	/* The hand-over itself may take longer. */
	conn_open_policy(&c, &(struct kssl_policy){ .tx_soft = 1 });
	SYS(set_policy(c.fd, &(struct kssl_policy){ .helper_ms = 1, .peer_ms = 1, .tx_soft = 1 }));
	send_pattern(c.fd, 0, 10);
	peer_expect_pattern(&c.peer, 0, 10);
	wait_ready(c.control, POLLIN);
	usleep(LONG_AFTER);
	EQ(error_of(c.fd).err, 0);
	conn_both_ways(&c, 100, 100);
}

/* ---- the peer ---- */

/* From our hello on. */
static void peer_while_held(void)
{
	struct conn c;

	conn_open_policy(&c, &peer_soon);
	control_op(c.control, KSSL_OP_HOLD);
	expect_timeout(&c, KSSL_WHO_PEER);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

/* Each of its messages starts the clock again; while the helper has one it stands. */
static void peer_each_message(void)
{
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){ .helper_ms = NEVER, .peer_ms = NEVER });
	control_op(c.control, KSSL_OP_HOLD);
	for (i = 0; i < 5; i++) {
		expect_waits(&c, KSSL_WAITS_PEER);
		peer_send_message(&c.peer, SERVER_HELLO, 50);
		expect_handshake(c.control, SERVER_HELLO, 50);
		expect_waits(&c, KSSL_WAITS_HELPER);
		control_op(c.control, KSSL_OP_CONTINUE);
	}
	expect_waits(&c, KSSL_WAITS_PEER);
	control_op(c.control, KSSL_OP_RELEASE);
	expect_waits(&c, 0);
	conn_both_ways(&c, 100, 100);
}

static void stands_while_helper_has_it(void)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .helper_ms = NEVER, .peer_ms = NEVER });
	control_op(c.control, KSSL_OP_HOLD);
	peer_send_message(&c.peer, SERVER_HELLO, 50);
	expect_handshake(c.control, SERVER_HELLO, 50);
	SYS(set_policy(c.fd, &peer_soon));
	usleep(LONG_AFTER);
	EQ(error_of(c.fd).err, 0);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_timeout(&c, KSSL_WHO_PEER);
}

static void stops_at_the_end(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = NEVER });
	control_op(c.control, KSSL_OP_HOLD);
	expect_waits(&c, KSSL_WAITS_PEER);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_DONE);
	SYS(batch_write(b, c.control));
	SYS(set_policy(c.fd, &(struct kssl_policy){ .peer_ms = 1 }));
	usleep(LONG_AFTER);
	conn_both_ways(&c, 100, 100);
	EQ(error_of(c.fd).err, 0);
}

/* After its ChangeCipherSpec its Finished is due. */
static void peer_owes_finished(void)
{
	struct keys rx = make_keys(9);
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &peer_soon);
	peer_send(&c.peer, CCS, "\1", 1);
	expect_message(c.control, KSSL_MSG_RECORD, CCS, "\1", 1);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	expect_timeout(&c, KSSL_WHO_PEER);
}

static void not_in_plain_phase(void)
{
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &peer_soon));
	expect_waits(&c, 0);
	usleep(LONG_AFTER);
	EQ(error_of(c.fd).err, 0);
	conn_hand_over(&c);
	usleep(LONG_AFTER);
	conn_both_ways(&c, 100, 100);
}

/* ---- AWAIT ---- */

static void await(void)
{
	struct conn c;

	conn_open_policy(&c, &peer_soon);
	conn_both_ways(&c, 100, 100);
	control_op(c.control, KSSL_OP_AWAIT);
	expect_timeout(&c, KSSL_WHO_PEER);
	peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
}

/* It holds nothing. */
static void await_holds_nothing(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = NEVER });
	batch_message(b, HELLO_REQUEST, 0);
	batch_op(b, KSSL_OP_AWAIT);
	SYS(batch_write(b, c.control));
	peer_expect_message(&c.peer, HELLO_REQUEST, 0);
	expect_waits(&c, KSSL_WAITS_PEER);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_ACTIVE);
}

static void await_until(int op)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = NEVER });
	control_op(c.control, KSSL_OP_AWAIT);
	expect_waits(&c, KSSL_WAITS_PEER);
	control_op(c.control, op);
	expect_waits(&c, 0);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .peer_ms = 1 }));
	usleep(LONG_AFTER);
	conn_both_ways(&c, 100, 100);
	EQ(error_of(c.fd).err, 0);
}

static void await_until_release(void)
{
	await_until(KSSL_OP_RELEASE);
}

static void await_until_done(void)
{
	await_until(KSSL_OP_DONE);
}

/* The peer's answer is the helper's to judge: what comes does not end the wait. */
static void await_goes_on(void)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .helper_ms = NEVER, .peer_ms = NEVER });
	control_op(c.control, KSSL_OP_AWAIT);
	peer_send_message(&c.peer, CLIENT_HELLO, 50);
	expect_handshake(c.control, CLIENT_HELLO, 50);
	expect_waits(&c, KSSL_WAITS_HELPER);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_waits(&c, KSSL_WAITS_PEER);
}

static void await_refused(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	batch_add(b, KSSL_OP_AWAIT, 0, "x", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_add(b, KSSL_OP_AWAIT, HANDSHAKE, "", 0);
	FAILS(batch_write(b, c.control), EINVAL);
	expect_waits(&c, 0);
}

/* ---- the reader ---- */

/* So much data that nothing behind it is looked at, though sending is held. */
static void fill(struct conn *c, const struct kssl_policy *p)
{
	struct kssl_policy small = { .helper_ms = NEVER, .peer_ms = NEVER, .lookahead = 1 };

	/* the peer has all the time it needs to send that much */
	conn_open_policy(c, &small);
	control_op(c->control, KSSL_OP_HOLD);
	peer_send_pattern(&c->peer, 0, 60000, 6000);
	peer_settle(&c->peer);
	/* what can be opened is, before long */
	wait_ready(c->fd, POLLIN);
	while (status_of(c->fd).waits != KSSL_WAITS_READER)
		usleep(1000);
	small = *p;
	small.lookahead = 1;
	SYS(set_policy(c->fd, &small));
}

static void reader_has_time(void)
{
	struct conn c;

	fill(&c, &peer_soon);
	usleep(LONG_AFTER);
	EQ(error_of(c.fd).err, 0);
	expect_waits(&c, KSSL_WAITS_READER);
	/* once everything is read it is the peer's turn */
	recv_pattern(c.fd, 0, 60000);
	expect_timeout(&c, KSSL_WHO_PEER);
}

/* The answer that was behind the data is found, and nothing has failed. */
static void answer_behind_data(void)
{
	struct conn c;

	fill(&c, &(struct kssl_policy){ .helper_ms = NEVER, .peer_ms = NEVER });
	peer_send_message(&c.peer, SERVER_HELLO, 50);
	peer_settle(&c.peer);
	expect_waits(&c, KSSL_WAITS_READER);
	recv_pattern(c.fd, 0, 60000);
	expect_handshake(c.control, SERVER_HELLO, 50);
	expect_waits(&c, KSSL_WAITS_HELPER);
}

static void await_behind_data(void)
{
	struct kssl_policy p = peer_soon;
	struct conn c;

	p.lookahead = 1;
	conn_open_policy(&c, &p);
	peer_send_pattern(&c.peer, 0, 60000, 6000);
	peer_settle(&c.peer);
	wait_ready(c.fd, POLLIN);
	control_op(c.control, KSSL_OP_AWAIT);
	usleep(LONG_AFTER);
	EQ(error_of(c.fd).err, 0);
	expect_waits(&c, KSSL_WAITS_READER);
	recv_pattern(c.fd, 0, 60000);
	expect_timeout(&c, KSSL_WHO_PEER);
}

/* ---- all of them ---- */

/* Who was late can be read in words, and the words differ. */
static void different_words(void)
{
	struct kssl_error helper, peer;
	struct conn a, b;

	conn_open_policy(&a, &helper_soon);
	peer_send_message(&a.peer, HELLO_REQUEST, 0);
	helper = expect_timeout(&a, KSSL_WHO_HELPER);
	conn_open_policy(&b, &peer_soon);
	control_op(b.control, KSSL_OP_HOLD);
	peer = expect_timeout(&b, KSSL_WHO_PEER);
	CHECK(strcmp(helper.text, peer.text));
}

/* Everybody who waits is woken. */
static void *reads(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), ETIMEDOUT);
	return NULL;
}

static void *writes(void *arg)
{
	struct conn *c = arg;

	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), ETIMEDOUT);
	return NULL;
}

static void *polls(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLERR);
	return NULL;
}

static void wakes(void)
{
	pthread_t t[3];
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = 300 });
	control_op(c.control, KSSL_OP_HOLD);
	t[0] = start(reads, &c);
	t[1] = start(writes, &c);
	t[2] = start(polls, &c);
	finish(t[0]);
	finish(t[1]);
	finish(t[2]);
	EQ(error_of(c.fd).who, KSSL_WHO_PEER);
}

/* The application's close does not wait for a clock that nobody stops. */
static void closed_meanwhile(void)
{
	struct conn c;

	conn_open_policy(&c, &peer_soon);
	control_op(c.control, KSSL_OP_HOLD);
	close(c.fd);
	for (;;) {
		static struct message m;

		wait_ready(c.control, POLLIN);
		if (!SYS(read_message(c.control, &m)) || m.head.type == KSSL_EV_CLOSED)
			break;
	}
}

static const struct test tests[] = {
	{ "helper_unread", VERSIONS, helper_unread },
	{ "helper_read", VERSIONS, helper_read },
	{ "helper_in_plain_phase", VERSIONS, helper_in_plain_phase },
	{ "helper_answers", VERSIONS, helper_answers },
	{ "helper_owes_nothing", VERSIONS, helper_owes_nothing },
	{ "peer_while_held", VERSIONS, peer_while_held },
	{ "peer_each_message", VERSIONS, peer_each_message },
	{ "stands_while_helper_has_it", VERSIONS, stands_while_helper_has_it },
	{ "stops_at_the_end", VERSIONS, stops_at_the_end },
	{ "peer_owes_finished", ONLY_12, peer_owes_finished },
	{ "not_in_plain_phase", VERSIONS, not_in_plain_phase },
	{ "await", VERSIONS, await },
	{ "await_holds_nothing", VERSIONS, await_holds_nothing },
	{ "await_until_release", VERSIONS, await_until_release },
	{ "await_until_done", VERSIONS, await_until_done },
	{ "await_goes_on", VERSIONS, await_goes_on },
	{ "await_refused", VERSIONS, await_refused },
	{ "reader_has_time", VERSIONS, reader_has_time },
	{ "answer_behind_data", VERSIONS, answer_behind_data },
	{ "await_behind_data", VERSIONS, await_behind_data },
	{ "different_words", VERSIONS, different_words },
	{ "wakes", VERSIONS, wakes },
	{ "closed_meanwhile", VERSIONS, closed_meanwhile },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
