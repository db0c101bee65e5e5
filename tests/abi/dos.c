// SPDX-License-Identifier: MIT
/* How much work a peer may make: each limit of the policy, and one below it. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define NEVER	3600000		/* ms */

/* The peer says it, the helper hears it and says "continue". */
static void pass(struct conn *c, uint8_t type, size_t len)
{
	peer_send_message(&c->peer, type, len);
	expect_handshake(c->control, type, len);
	control_op(c->control, KSSL_OP_CONTINUE);
}

static void useful(struct conn *c)
{
	uint8_t byte;

	peer_send(&c->peer, DATA, "x", 1);
	EQ(SYS(recv(c->fd, &byte, 1, 0)), 1);
}

static void expect_refusal(struct conn *c)
{
	struct kssl_error e;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EDQUOT);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), EDQUOT);
	e = error_of(c->fd);
	EQ(e.err, EDQUOT);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 1);
	EQ(e.alert, UNEXPECTED_MESSAGE);
	CHECK(e.text[0]);
	EQ(get_event(c->control, KSSL_EV_FAILED).value, EDQUOT);
	peer_expect_alert(&c->peer, FATAL, UNEXPECTED_MESSAGE);
	close(c->fd);
	peer_expect_fin(&c->peer);
	close(c->control);
	close(c->peer.fd);
}

/* A message that nobody may send now ends it: 1.3 has tickets, before it HelloRequests. */
static uint8_t any_type(void)
{
	return is_13() ? NEW_SESSION_TICKET : SERVER_HELLO;
}

/* ---- message_max ---- */

/* The header alone tells; the rest never comes. */
static void announce(struct conn *c, uint8_t type, size_t len)
{
	uint8_t header[4] = { type, len >> 16, len >> 8, len };

	peer_send(&c->peer, HANDSHAKE, header, sizeof(header));
}

static void message_max(void)
{
	struct kssl_policy p = { .message_max = 1000 };
	struct conn c;

	conn_open_policy(&c, &p);
	pass(&c, any_type(), 1000);
	useful(&c);
	pass(&c, any_type(), 1000);
	peer_send_message(&c.peer, any_type(), 1001);
	expect_refusal(&c);
	conn_open_policy(&c, &p);
	announce(&c, any_type(), 1001);
	expect_refusal(&c);
}

/* The header itself in two records. */
static void message_max_split(void)
{
	struct kssl_policy p = { .message_max = 1000 };
	struct conn c;

	conn_open_policy(&c, &p);
	peer_send(&c.peer, HANDSHAKE, "\4\0\3", 3);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\3", 3);
	control_op(c.control, KSSL_OP_CONTINUE);
	/* 0x3e9 is 1001 */
	peer_send(&c.peer, HANDSHAKE, "\351", 1);
	expect_refusal(&c);
}

/* The second one in a record counts as well as the first. */
static void message_max_second(void)
{
	struct kssl_policy p = { .message_max = 1000 };
	uint8_t messages[3000];
	struct conn c;
	size_t len;

	conn_open_policy(&c, &p);
	len = make_message(any_type(), 1000, messages);
	len += make_message(any_type(), 1001, messages + len);
	peer_send(&c.peer, HANDSHAKE, messages, len);
	expect_refusal(&c);
}

/* RFC 8446 4: the length has three octets. */
static void message_max_default(void)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	announce(&c, any_type(), 131072);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE,
		       (uint8_t[]){ any_type(), 2, 0, 0 }, 4);
	close(c.fd);
	close(c.control);
	close(c.peer.fd);
	conn_open_policy(&c, &(struct kssl_policy){});
	announce(&c, any_type(), 131073);
	expect_refusal(&c);
	conn_open_policy(&c, &(struct kssl_policy){ .message_max = (1 << 24) - 1 });
	announce(&c, any_type(), (1 << 24) - 1);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE,
		       (uint8_t[]){ any_type(), 255, 255, 255 }, 4);
}

/* ---- flight_max ---- */

/* A handshake begins: the helper has sent its hello. */
static void begin(struct conn *c)
{
	control_op(c->control, KSSL_OP_HOLD);
}

static void flight_max(void)
{
	struct kssl_policy p = { .flight_max = 10000, .useless_max = 1000 };
	struct batch *b = batch_new();
	struct conn c;
	int i, round;

	conn_open_policy(&c, &p);
	/* each handshake has its own */
	for (round = 0; round < 3; round++) {
		begin(&c);
		for (i = 0; i < 10; i++)
			pass(&c, SERVER_HELLO, 996);
		batch_op(b, KSSL_OP_RELEASE);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		useful(&c);
	}
	begin(&c);
	for (i = 0; i < 10; i++)
		pass(&c, SERVER_HELLO, 996);
	peer_send(&c.peer, HANDSHAKE, "\2", 1);
	expect_refusal(&c);
}

/* One long message is a flight too; its parts count as they come. */
static void flight_max_one_message(void)
{
	struct kssl_policy p = { .flight_max = 40000, .message_max = 100000 };
	static uint8_t part[16384];
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	begin(&c);
	announce(&c, SERVER_HELLO, 60000);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\2\0\352\140", 4);
	control_op(c.control, KSSL_OP_CONTINUE);
	for (i = 0; i < 2; i++) {
		peer_send(&c.peer, HANDSHAKE, part, sizeof(part));
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, part, sizeof(part));
		control_op(c.control, KSSL_OP_CONTINUE);
	}
	peer_send(&c.peer, HANDSHAKE, part, sizeof(part));
	expect_refusal(&c);
}

/* Short records cost more than their length: 256 each. */
static void flight_max_short_records(void)
{
	struct kssl_policy p = { .flight_max = 2560, .useless_max = 1000 };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	begin(&c);
	for (i = 0; i < 10; i++)
		pass(&c, SERVER_HELLO, i);
	peer_send_message(&c.peer, SERVER_HELLO, 0);
	expect_refusal(&c);
}

/* Outside of a handshake there is no flight, however many tickets come. */
static void no_flight(void)
{
	struct kssl_policy p = { .flight_max = 2560 };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 30; i++) {
		pass(&c, any_type(), 500);
		useful(&c);
	}
}

/* ---- starts_max ---- */

/* A server refuses each, and the connection lives. */
static void refuse(struct conn *c)
{
	struct batch *b = batch_new();

	peer_send_message(&c->peer, CLIENT_HELLO, 100);
	expect_handshake(c->control, CLIENT_HELLO, 100);
	batch_record(b, ALERT, "\1\144", 2);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c->control));
	peer_expect_alert(&c->peer, WARNING, NO_RENEGOTIATION);
	useful(c);
	free(b);
}

static void starts_max(void)
{
	struct kssl_policy p = { .starts_max = 5, .starts_ms = NEVER };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 5; i++)
		refuse(&c);
	peer_send_message(&c.peer, CLIENT_HELLO, 100);
	expect_refusal(&c);
}

static void starts_max_requests(void)
{
	struct kssl_policy p = { .starts_max = 5, .starts_ms = NEVER };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 5; i++) {
		pass(&c, HELLO_REQUEST, 0);
		useful(&c);
	}
	peer_send_message(&c.peer, HELLO_REQUEST, 0);
	expect_refusal(&c);
}

/* So many in one record are as many. */
static void starts_max_in_one_record(void)
{
	struct kssl_policy p = { .starts_max = 5, .starts_ms = NEVER };
	static const uint8_t requests[6 * 4];
	struct conn c;

	conn_open_policy(&c, &p);
	peer_send(&c.peer, HANDSHAKE, requests, 5 * 4);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, requests, 5 * 4);
	close(c.fd);
	close(c.control);
	close(c.peer.fd);
	conn_open_policy(&c, &p);
	peer_send(&c.peer, HANDSHAKE, requests, 6 * 4);
	expect_refusal(&c);
}

/* It counts what comes within the time, and then begins again. */
static void starts_max_in_time(void)
{
	struct kssl_policy p = { .starts_max = 5, .starts_ms = 50 };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 12; i++) {
		pass(&c, HELLO_REQUEST, 0);
		useful(&c);
		if (i % 4 == 3)
			usleep(200000);
	}
	EQ(error_of(c.fd).err, 0);
}

/* Those that we asked for are none of the peer's. */
static void starts_of_ours(void)
{
	struct kssl_policy p = { .starts_max = 2, .starts_ms = NEVER };
	struct batch *b = batch_new();
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 6; i++) {
		begin(&c);
		pass(&c, SERVER_HELLO, 100);
		batch_op(b, KSSL_OP_RELEASE);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		useful(&c);
	}
}

/* Those that the helper has asked for are none either, until it is done. */
static void starts_asked_for(void)
{
	struct kssl_policy p = { .starts_max = 2, .starts_ms = NEVER };
	struct batch *b = batch_new();
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 10; i++) {
		batch_message(b, HELLO_REQUEST, 0);
		SYS(batch_write(b, c.control));
		peer_expect_message(&c.peer, HELLO_REQUEST, 0);
		refuse(&c);
		control_op(c.control, KSSL_OP_DONE);
	}
	for (i = 0; i < 2; i++)
		refuse(&c);
	peer_send_message(&c.peer, CLIENT_HELLO, 100);
	expect_refusal(&c);
}

/* ---- useless_max ---- */

static void useless_max(void)
{
	struct kssl_policy p = { .useless_max = 5, .starts_ms = NEVER };
	struct conn c;
	int i, round;

	conn_open_policy(&c, &p);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 5; i++)
			pass(&c, NEW_SESSION_TICKET, 50);
		useful(&c);
	}
	for (i = 0; i < 5; i++)
		pass(&c, NEW_SESSION_TICKET, 50);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
	expect_refusal(&c);
}

/* Data of ours is some as well: a peer may have every reason to change its key. */
static void useless_max_and_our_data(void)
{
	struct kssl_policy p = { .useless_max = 5, .starts_ms = NEVER };
	struct conn c;
	int i, round;

	conn_open_policy(&c, &p);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 5; i++)
			pass(&c, NEW_SESSION_TICKET, 50);
		send_pattern(c.fd, 0, 1);
		peer_expect_pattern(&c.peer, 0, 1);
	}
	for (i = 0; i < 5; i++)
		pass(&c, NEW_SESSION_TICKET, 50);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
	expect_refusal(&c);
}

/* Within starts_ms: a connection that is idle for days and gets a ticket now and then lives. */
static void useless_max_in_time(void)
{
	struct kssl_policy p = { .useless_max = 5, .starts_ms = 50 };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 16; i++) {
		pass(&c, NEW_SESSION_TICKET, 50);
		if (i % 4 == 3)
			usleep(200000);
	}
	EQ(error_of(c.fd).err, 0);
}

/* An empty record of data is no use either. */
static void useless_max_and_empty(void)
{
	struct kssl_policy p = { .useless_max = 5, .starts_ms = NEVER };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 5; i++) {
		pass(&c, NEW_SESSION_TICKET, 50);
		peer_send(&c.peer, DATA, "", 0);
	}
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
	expect_refusal(&c);
}

static void useless_max_default(void)
{
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){ .starts_ms = NEVER });
	for (i = 0; i < 64; i++)
		pass(&c, NEW_SESSION_TICKET, 50);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
	expect_refusal(&c);
}

/* A handshake may need many records, which are not useless. */
static void useless_max_in_handshake(void)
{
	struct kssl_policy p = { .useless_max = 5, .starts_ms = NEVER };
	struct batch *b = batch_new();
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	begin(&c);
	for (i = 0; i < 20; i++)
		pass(&c, SERVER_HELLO, 50);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_DONE);
	SYS(batch_write(b, c.control));
	useful(&c);
}

/* Warnings keep their own limit, CVE-2016-8610. */
static void warnings(void)
{
	struct kssl_policy p = { .useless_max = 1000 };
	uint8_t desc = is_13() ? USER_CANCELED : NO_RENEGOTIATION, byte;
	uint8_t alert[2] = { WARNING, desc };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 4; i++) {
		peer_send_alert(&c.peer, WARNING, desc);
		expect_message(c.control, KSSL_MSG_RECORD, ALERT, alert, 2);
		control_op(c.control, KSSL_OP_CONTINUE);
	}
	peer_send_alert(&c.peer, WARNING, desc);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
}

static const struct test tests[] = {
	{ "message_max", VERSIONS, message_max },
	{ "message_max_split", VERSIONS, message_max_split },
	{ "message_max_second", VERSIONS, message_max_second },
	{ "message_max_default", VERSIONS, message_max_default },
	{ "flight_max", ONLY_12, flight_max },
	{ "flight_max_one_message", ONLY_12, flight_max_one_message },
	{ "flight_max_short_records", ONLY_12, flight_max_short_records },
	{ "no_flight", VERSIONS, no_flight },
	{ "starts_max", ONLY_12, starts_max },
	{ "starts_max_requests", ONLY_12, starts_max_requests },
	{ "starts_max_in_one_record", ONLY_12, starts_max_in_one_record },
	{ "starts_max_in_time", ONLY_12, starts_max_in_time },
	{ "starts_of_ours", ONLY_12, starts_of_ours },
	{ "starts_asked_for", ONLY_12, starts_asked_for },
	{ "useless_max", ONLY_13, useless_max },
	{ "useless_max_and_our_data", ONLY_13, useless_max_and_our_data },
	{ "useless_max_in_time", ONLY_13, useless_max_in_time },
	{ "useless_max_and_empty", ONLY_13, useless_max_and_empty },
	{ "useless_max_default", ONLY_13, useless_max_default },
	{ "useless_max_in_handshake", ONLY_12, useless_max_in_handshake },
	{ "warnings", VERSIONS, warnings },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
