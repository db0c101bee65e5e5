// SPDX-License-Identifier: MIT
/* Connections that live on without their helper, as KSSL_POLICY_ORPHAN says. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static const struct kssl_policy orphans = { .flags = KSSL_POLICY_ORPHAN };

static void orphan(struct conn *c)
{
	SYS(close(c->control));
	c->control = -1;
}

static void open_orphan_policy(struct conn *c, const struct kssl_policy *p)
{
	conn_open_policy(c, p);
	orphan(c);
}

static void open_orphan(struct conn *c)
{
	open_orphan_policy(c, &orphans);
}

static void expect_failure(struct conn *c, int error, int who, int alert)
{
	struct kssl_error e;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), error);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), error);
	e = error_of(c->fd);
	EQ(e.err, error);
	EQ(e.who, who);
	EQ(e.has_alert, 1);
	EQ(e.alert, alert);
	CHECK(e.text[0]);
	peer_expect_alert(&c->peer, FATAL, alert);
	EQ(status_of(c->fd).tx.state, KSSL_STATE_FAILED);
}

/* ---- it lives ---- */

static void lives(void)
{
	struct kssl_status s;
	struct conn c;

	conn_open_policy(&c, &orphans);
	EQ(status_of(c.fd).orphan, 0);
	orphan(&c);
	s = status_of(c.fd);
	EQ(s.attended, 0);
	EQ(s.orphan, 1);
	EQ(s.waits, 0);
	conn_both_ways(&c, 1000, 300);
	SYS(shutdown(c.fd, SHUT_WR));
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(error_of(c.fd).err, 0);
}

/* Neither a helper nor keys from elsewhere come to it any more. */
static void stays_one(void)
{
	struct keys k = make_keys(5);
	socklen_t len = sizeof(int);
	struct conn c;
	int fd, how = KSSL_RENEG_FULL;

	open_orphan(&c);
	CHECK(getsockopt(c.fd, SOL_KSSL, KSSL_CONTROL, &fd, &len) < 0);
	CHECK(set_key(c.fd, KSSL_TX_KEY, &k) < 0);
	CHECK(set_key(c.fd, KSSL_RX_KEY, &k) < 0);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), ESRCH);
	conn_both_ways(&c, 1000, 300);
}

/* A helper that dies with data under way in both directions changes nothing. */
static void *write_lots(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 1000000);
	return NULL;
}

static void *read_lots(void *arg)
{
	struct conn *c = arg;

	recv_pattern(c->fd, 0, 1000000);
	return NULL;
}

static void *peer_writes_lots(void *arg)
{
	struct conn *c = arg;

	peer_send_pattern(&c->peer, 0, 1000000, 10000);
	return NULL;
}

static void *peer_reads_lots(void *arg)
{
	struct conn *c = arg;

	peer_expect_pattern(&c->peer, 0, 1000000);
	return NULL;
}

static void under_traffic(void)
{
	pthread_t t[4];
	struct conn c;
	int i;

	conn_open_policy(&c, &orphans);
	t[0] = start(write_lots, &c);
	t[1] = start(read_lots, &c);
	t[2] = start(peer_writes_lots, &c);
	t[3] = start(peer_reads_lots, &c);
	while (status_of(c.fd).tx.bytes < 300000)
		usleep(100);
	orphan(&c);
	for (i = 0; i < 4; i++)
		finish(t[i]);
	EQ(error_of(c.fd).err, 0);
}

/* ---- TLS 1.3 ---- */

static void tickets(void)
{
	uint8_t messages[400];
	struct conn c;
	size_t len;

	open_orphan(&c);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 200);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 0);
	/* two in a record */
	len = make_message(NEW_SESSION_TICKET, 100, messages);
	len += make_message(NEW_SESSION_TICKET, 150, messages + len);
	peer_send(&c.peer, HANDSHAKE, messages, len);
	/* one in many */
	len = make_message(NEW_SESSION_TICKET, 100, messages);
	{
		size_t i;

		for (i = 0; i < len; i += 7)
			peer_send(&c.peer, HANDSHAKE, messages + i, len - i < 7 ? len - i : 7);
	}
	peer_send_pattern(&c.peer, 0, 1000, 300);
	recv_pattern(c.fd, 0, 1000);
	conn_both_ways(&c, 1000, 300);
	EQ(error_of(c.fd).err, 0);
}

static void key_updates(void)
{
	struct conn c;
	int i;

	open_orphan(&c);
	for (i = 0; i < 20; i++) {
		peer_send_update(&c.peer, i & 1);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
		send_pattern(c.fd, 0, 100);
		if (i & 1)
			peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_expect_pattern(&c.peer, 0, 100);
	}
	EQ(status_of(c.fd).key_updates_received, 20);
	EQ(status_of(c.fd).key_updates_sent, 10);
	EQ(status_of(c.fd).handshakes, 1);
}

/* However it is spread over records, as long as it ends with one (RFC 8446 5.1). */
static void key_update_split(void)
{
	uint8_t messages[400];
	struct conn c;
	size_t len, at;

	for (at = 1; at < 5; at++) {
		open_orphan(&c);
		len = make_key_update(UPDATE_REQUESTED, messages);
		peer_send(&c.peer, HANDSHAKE, messages, at);
		peer_send(&c.peer, HANDSHAKE, messages + at, len - at);
		next_generation(&c.peer.tx);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		conn_both_ways(&c, 1000, 300);
		conn_end(&c);
	}
	open_orphan(&c);
	len = make_message(NEW_SESSION_TICKET, 100, messages);
	len += make_key_update(UPDATE_REQUESTED, messages + len);
	peer_send(&c.peer, HANDSHAKE, messages, 50);
	peer_send(&c.peer, HANDSHAKE, messages + 50, len - 50);
	next_generation(&c.peer.tx);
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 1000, 300);
}

/* The octets of one inside of a ticket are none. */
static void key_update_inside(void)
{
	uint8_t message[200];
	struct conn c;
	size_t len = make_message(NEW_SESSION_TICKET, 100, message);

	make_key_update(UPDATE_REQUESTED, message + 40);
	open_orphan(&c);
	peer_send(&c.peer, HANDSHAKE, message, 40);
	peer_send(&c.peer, HANDSHAKE, message + 40, 5);
	peer_send(&c.peer, HANDSHAKE, message + 45, len - 45);
	conn_both_ways(&c, 1000, 300);
	EQ(status_of(c.fd).key_updates_received, 0);
}

/**
 * struct bad - a record that ends an orphan
 * @what: name
 * @content: of the record
 * @len: its length
 * @error: errno
 * @alert: what the RFC asks for
 */
struct bad {
	const char *what;
	const char *content;
	size_t len;
	int error;
	int alert;
};

static const struct bad bad_13[] = {
	/* RFC 8446 4.6.3 */
	{ "value 2", "\30\0\0\1\2", 5, EPROTO, ILLEGAL_PARAMETER },
	{ "value 255", "\30\0\0\1\377", 5, EPROTO, ILLEGAL_PARAMETER },
	/* RFC 8446 6.2: the length of the message was incorrect */
	{ "empty", "\30\0\0\0", 4, EPROTO, DECODE_ERROR },
	{ "two octets", "\30\0\0\2\0\0", 6, EPROTO, DECODE_ERROR },
	/* RFC 8446 5.1 */
	{ "two in a record", "\30\0\0\1\0\30\0\0\1\0", 10, EPROTO, UNEXPECTED_MESSAGE },
	{ "a ticket behind", "\30\0\0\1\0\4\0\0\1\0", 10, EPROTO, UNEXPECTED_MESSAGE },
	{ "an octet behind", "\30\0\0\1\1\0", 6, EPROTO, UNEXPECTED_MESSAGE },
	/* RFC 8446 4.1.2, 4 */
	{ "ClientHello", "\1\0\0\2xx", 6, EPROTO, UNEXPECTED_MESSAGE },
	{ "HelloRequest", "\0\0\0\0", 4, EPROTO, UNEXPECTED_MESSAGE },
	{ "ServerHello", "\2\0\0\2xx", 6, EPROTO, UNEXPECTED_MESSAGE },
	/* nobody is left who could answer it */
	{ "CertificateRequest", "\15\0\0\2xx", 6, ESRCH, INTERNAL_ERROR },
	{ "behind a ticket", "\4\0\0\1x\15\0\0\2xx", 11, ESRCH, INTERNAL_ERROR },
	{}
};

static const struct bad bad_12[] = {
	{ "ServerHello", "\2\0\0\2xx", 6, EPROTO, UNEXPECTED_MESSAGE },
	{ "Finished", "\24\0\0\2xx", 6, EPROTO, UNEXPECTED_MESSAGE },
	{ "KeyUpdate", "\30\0\0\1\0", 5, EPROTO, UNEXPECTED_MESSAGE },
	{ "behind a HelloRequest", "\0\0\0\0\24\0\0\2xx", 10, EPROTO, UNEXPECTED_MESSAGE },
	{}
};

static void fatal(void)
{
	const struct bad *b;
	struct conn c;

	for (b = is_13() ? bad_13 : bad_12; b->what; b++) {
		at_row(b->what);
		open_orphan(&c);
		peer_send_pattern(&c.peer, 0, 100, 100);
		peer_send(&c.peer, HANDSHAKE, b->content, b->len);
		peer_settle(&c.peer);
		/* what came before is read */
		recv_pattern(c.fd, 0, 100);
		expect_failure(&c, b->error, KSSL_WHO_KERNEL, b->alert);
		conn_end(&c);
	}
}

static void data_inside_a_message(void)
{
	struct conn c;

	open_orphan(&c);
	peer_send(&c.peer, HANDSHAKE, "\4\0\0\5ab", 6);
	peer_send(&c.peer, DATA, "data", 4);
	expect_failure(&c, EPROTO, KSSL_WHO_KERNEL, UNEXPECTED_MESSAGE);
}

/* Without a secret there is no next key. */
static void without_secret(void)
{
	struct keys tx = make_keys(1), rx = make_keys(2);
	uint8_t message[5];
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &orphans));
	conn_hand_over_keys(&c, &tx, &rx);
	orphan(&c);
	conn_both_ways(&c, 1000, 300);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 100);
	conn_both_ways(&c, 1000, 300);
	peer_send(&c.peer, HANDSHAKE, message, make_key_update(UPDATE_NOT_REQUESTED, message));
	expect_failure(&c, ESRCH, KSSL_WHO_KERNEL, INTERNAL_ERROR);
}

/* ---- TLS 1.2 ---- */

/* RFC 5246 7.4.1.1: may be ignored. */
static void hello_request(void)
{
	struct conn c;
	int i;

	open_orphan(&c);
	for (i = 0; i < 10; i++) {
		peer_send_message(&c.peer, HELLO_REQUEST, 0);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
	}
	/* in two records, and two in one */
	peer_send(&c.peer, HANDSHAKE, "\0\0", 2);
	peer_send(&c.peer, HANDSHAKE, "\0\0", 2);
	peer_send(&c.peer, HANDSHAKE, "\0\0\0\0\0\0\0\0", 8);
	conn_both_ways(&c, 1000, 300);
	EQ(error_of(c.fd).err, 0);
}

/* RFC 5246 7.2.2: answered by a warning, and data goes on. */
static void client_hello(void)
{
	struct conn c;
	int i;

	open_orphan(&c);
	for (i = 0; i < 10; i++) {
		peer_send_message(&c.peer, CLIENT_HELLO, 100);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
		peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
		send_pattern(c.fd, 0, 100);
		peer_expect_pattern(&c.peer, 0, 100);
	}
	EQ(error_of(c.fd).err, 0);
}

/* A long one comes in several records. */
static void client_hello_split(void)
{
	uint8_t message[2000];
	size_t len = make_message(CLIENT_HELLO, 1500, message), i;
	struct conn c;

	open_orphan(&c);
	for (i = 0; i < len; i += 300)
		peer_send(&c.peer, HANDSHAKE, message + i, len - i < 300 ? len - i : 300);
	peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
	conn_both_ways(&c, 1000, 300);
}

/* A peer that does not read: a refusal or two wait for it, not one for each. */
static void client_hellos_when_stuck(void)
{
	struct keys tx = make_keys(1), rx = make_keys(2);
	uint8_t got[RECORD_MAX], type;
	int i, refusals = 0;
	struct conn c;
	size_t sent, seen = 0;

	conn_connect_bufs(&c, 0, 32768);
	conn_attach(&c);
	c.control = SYS(take_control(c.fd));
	SYS(set_policy(c.fd, &orphans));
	conn_hand_over_keys(&c, &tx, &rx);
	orphan(&c);
	sent = send_until_stuck(c.fd);
	for (i = 0; i < 100; i++) {
		peer_send_message(&c.peer, CLIENT_HELLO, 100);
		peer_send(&c.peer, DATA, "x", 1);
		EQ(SYS(recv(c.fd, got, 1, 0)), 1);
	}
	while (seen < sent || !refusals) {
		long n = peer_recv(&c.peer, &type, got);

		if (type == ALERT) {
			EQ(got[1], NO_RENEGOTIATION);
			refusals++;
			continue;
		}
		EQ(type, DATA);
		check_pattern(got, seen, n);
		seen += n;
	}
	CHECK(refusals <= 8);
	EQ(error_of(c.fd).err, 0);
}

static void change_cipher_spec(void)
{
	struct conn c;

	open_orphan(&c);
	peer_send(&c.peer, CCS, "\1", 1);
	expect_failure(&c, EPROTO, KSSL_WHO_KERNEL, UNEXPECTED_MESSAGE);
}

/* ---- limits ---- */

static void too_useless(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN, .useless_max = 5, .starts_ms = 3600000 };
	uint8_t byte;
	struct conn c;
	int i, j;

	open_orphan_policy(&c, &p);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < 5; i++)
			peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
		peer_send(&c.peer, DATA, "x", 1);
		EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
	}
	for (i = 0; i < 6; i++)
		peer_send_message(&c.peer, NEW_SESSION_TICKET, 50);
	expect_failure(&c, EDQUOT, KSSL_WHO_KERNEL, UNEXPECTED_MESSAGE);
}

static void starts_too_often(void)
{
	struct kssl_policy p = {
		.flags = KSSL_POLICY_ORPHAN, .starts_max = 5, .starts_ms = 3600000,
	};
	struct conn c;
	int i;

	open_orphan_policy(&c, &p);
	for (i = 0; i < 5; i++) {
		peer_send_message(&c.peer, CLIENT_HELLO, 50);
		peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
		conn_both_ways(&c, 1000, 300);
	}
	peer_send_message(&c.peer, CLIENT_HELLO, 50);
	expect_failure(&c, EDQUOT, KSSL_WHO_KERNEL, UNEXPECTED_MESSAGE);
}

static void too_long(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN, .message_max = 1000 };
	struct conn c;

	open_orphan_policy(&c, &p);
	peer_send_message(&c.peer, is_13() ? NEW_SESSION_TICKET : CLIENT_HELLO, 1000);
	if (!is_13())
		peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
	conn_both_ways(&c, 1000, 300);
	peer_send_message(&c.peer, is_13() ? NEW_SESSION_TICKET : CLIENT_HELLO, 1001);
	expect_failure(&c, EDQUOT, KSSL_WHO_KERNEL, UNEXPECTED_MESSAGE);
}

static void hard_limit(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN, .tx_hard = 5, .tx_soft = 100 };
	struct keys tx = make_keys(1), rx = make_keys(2);
	struct conn c;
	int i;

	conn_attend(&c);
	SYS(set_policy(c.fd, &p));
	conn_hand_over_keys(&c, &tx, &rx);
	orphan(&c);
	for (i = 0; i < 5; i++)
		send_pattern(c.fd, i, 1);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EKEYEXPIRED);
	peer_expect_pattern(&c.peer, 0, 5);
	EQ(error_of(c.fd).err, EKEYEXPIRED);
	EQ(error_of(c.fd).has_alert, 0);
}

/* A key that is used up is followed by another one. */
static void soft_limit(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN, .tx_soft = 5, .tx_hard = 10 };
	unsigned int updates;
	struct conn c;
	int i;

	open_orphan_policy(&c, &p);
	for (i = 0; i < 100; i++)
		send_pattern(c.fd, i, 1);
	updates = peer_expect_pattern_updates(&c.peer, 0, 100);
	CHECK(updates >= 10 && updates <= 25);
	/* one that is due may go without waiting for data */
	CHECK(status_of(c.fd).key_updates_sent - updates <= 1);
}

/* One that was asked for while there was a helper, who then left. */
static void soft_limit_before(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN, .tx_soft = 5, .tx_hard = 10 };
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	for (i = 0; i < 7; i++)
		send_pattern(c.fd, i, 1);
	get_event(c.control, KSSL_EV_REKEY);
	orphan(&c);
	for (; i < 50; i++)
		send_pattern(c.fd, i, 1);
	CHECK(peer_expect_pattern_updates(&c.peer, 0, 50) >= 4);
	EQ(error_of(c.fd).err, 0);
}

/* ---- what the helper left undone ---- */

enum { UNREAD, READ };

/* Close with @content delivered, read by the helper or not. */
static void leave_with(struct conn *c, const void *content, size_t len, int how)
{
	conn_open_policy(c, &orphans);
	EQ(SYS(send(c->fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_send(&c->peer, HANDSHAKE, content, len);
	wait_ready(c->control, POLLIN);
	if (how == READ)
		expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, content, len);
	orphan(c);
}

static void expect_open_record(struct conn *c)
{
	EQ(SYS(send(c->fd, "shut", 4, MSG_NOSIGNAL)), 4);
	peer_expect(&c->peer, DATA, "openshut", 8);
}

static void left_ticket(void)
{
	uint8_t message[200];
	struct conn c;
	size_t len = make_message(NEW_SESSION_TICKET, 100, message);
	int how;

	for (how = UNREAD; how <= READ; how++) {
		leave_with(&c, message, len, how);
		EQ(status_of(c.fd).orphan, 1);
		expect_open_record(&c);
		conn_both_ways(&c, 1000, 300);
		conn_end(&c);
	}
}

static void left_key_update(void)
{
	uint8_t message[5];
	struct conn c;
	int how;

	for (how = UNREAD; how <= READ; how++) {
		leave_with(&c, message, make_key_update(UPDATE_REQUESTED, message), how);
		next_generation(&c.peer.tx);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
		EQ(SYS(send(c.fd, "shut", 4, MSG_NOSIGNAL)), 4);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_expect(&c.peer, DATA, "openshut", 8);
		conn_both_ways(&c, 1000, 300);
		EQ(status_of(c.fd).key_updates_received, 1);
		conn_end(&c);
	}
}

/* Half of a message: the kernel knows where it is. */
static void left_half(void)
{
	uint8_t message[200];
	struct conn c;
	size_t len, at;

	for (at = 1; at < 60; at += 6) {
		len = make_message(NEW_SESSION_TICKET, 50, message);
		len += make_key_update(UPDATE_REQUESTED, message + len);
		CHECK(len == 59);
		leave_with(&c, message, at, at & 2 ? READ : UNREAD);
		if (at < len)
			peer_send(&c.peer, HANDSHAKE, message + at, len - at);
		next_generation(&c.peer.tx);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
		EQ(SYS(send(c.fd, "shut", 4, MSG_NOSIGNAL)), 4);
		/* the half may have held what was open, or not */
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_expect(&c.peer, DATA, "openshut", 8);
		conn_both_ways(&c, 1000, 300);
		conn_end(&c);
	}
}

/* Half of a message that the helper had taken, and said "continue" to. */
static void left_continued_half(void)
{
	uint8_t message[5];
	struct conn c;
	int at;

	make_key_update(UPDATE_REQUESTED, message);
	for (at = 1; at < 5; at++) {
		conn_open_policy(&c, &orphans);
		peer_send(&c.peer, HANDSHAKE, message, at);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, at);
		control_op(c.control, KSSL_OP_CONTINUE);
		orphan(&c);
		peer_send(&c.peer, HANDSHAKE, message + at, 5 - at);
		next_generation(&c.peer.tx);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		conn_both_ways(&c, 1000, 300);
		conn_end(&c);
	}
}

static void left_bad(void)
{
	struct conn c;
	int how;

	for (how = UNREAD; how <= READ; how++) {
		leave_with(&c, "\15\0\0\2xx", 6, how);
		expect_failure(&c, ESRCH, KSSL_WHO_KERNEL, INTERNAL_ERROR);
		conn_end(&c);
	}
}

static void left_hello(void)
{
	uint8_t message[200];
	struct conn c;
	int how, type;

	for (type = HELLO_REQUEST; type <= CLIENT_HELLO; type++)
		for (how = UNREAD; how <= READ; how++) {
			size_t len = make_message(type, type ? 100 : 0, message);

			conn_open_policy(&c, &orphans);
			peer_send(&c.peer, HANDSHAKE, message, len);
			wait_ready(c.control, POLLIN);
			if (how == READ)
				expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, len);
			orphan(&c);
			if (type == CLIENT_HELLO)
				peer_expect_alert(&c.peer, WARNING, NO_RENEGOTIATION);
			conn_both_ways(&c, 1000, 300);
			conn_end(&c);
		}
}

static void left_alert(void)
{
	struct conn c;

	conn_open_policy(&c, &orphans);
	peer_send_alert(&c.peer, WARNING, is_13() ? USER_CANCELED : NO_RENEGOTIATION);
	wait_ready(c.control, POLLIN);
	orphan(&c);
	conn_both_ways(&c, 1000, 300);
}

/* ---- in mid-handshake ---- */

static void in_plain_phase(void)
{
	uint8_t record[RECORD_MAX], byte;
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &orphans));
	orphan(&c);
	FAILS(recv(c.fd, &byte, 1, 0), ESRCH);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ESRCH);
	EQ(error_of(c.fd).who, KSSL_WHO_HELPER);
	EQ(status_of(c.fd).orphan, 0);
	EQ(peer_read_raw(&c.peer, record), HEADER + 2);
	EQ(record[0], ALERT);
	EQ(record[6], INTERNAL_ERROR);
}

static void while_held(void)
{
	struct conn c;

	conn_open_policy(&c, &orphans);
	control_op(c.control, KSSL_OP_HOLD);
	orphan(&c);
	expect_failure(&c, ESRCH, KSSL_WHO_HELPER, INTERNAL_ERROR);
	EQ(status_of(c.fd).orphan, 0);
}

/* After a new receiving key, before Finished. */
static void not_established(void)
{
	struct keys rx = make_keys(9);
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &orphans);
	peer_send(&c.peer, CCS, "\1", 1);
	expect_message(c.control, KSSL_MSG_RECORD, CCS, "\1", 1);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	orphan(&c);
	expect_failure(&c, ESRCH, KSSL_WHO_HELPER, INTERNAL_ERROR);
}

/* Without the flag it is as it was: alive until the next control record. */
static void without_policy(void)
{
	struct conn c;

	open_orphan_policy(&c, &(struct kssl_policy){});
	EQ(status_of(c.fd).orphan, 0);
	conn_both_ways(&c, 1000, 300);
	peer_send_message(&c.peer, is_13() ? NEW_SESSION_TICKET : HELLO_REQUEST, 0);
	expect_failure(&c, ESRCH, KSSL_WHO_KERNEL, INTERNAL_ERROR);
}

/* It is the policy at the moment the helper leaves that counts. */
static void policy_too_late(void)
{
	struct conn c;

	open_orphan_policy(&c, &(struct kssl_policy){});
	SYS(set_policy(c.fd, &orphans));
	conn_both_ways(&c, 1000, 300);
	peer_send_message(&c.peer, is_13() ? NEW_SESSION_TICKET : HELLO_REQUEST, 0);
	expect_failure(&c, ESRCH, KSSL_WHO_KERNEL, INTERNAL_ERROR);
}

static const struct test tests[] = {
	{ "lives", VERSIONS, lives },
	{ "stays_one", VERSIONS, stays_one },
	{ "under_traffic", VERSIONS, under_traffic },
	{ "tickets", WITH_SECRETS, tickets },
	{ "key_updates", WITH_SECRETS, key_updates },
	{ "key_update_split", WITH_SECRETS, key_update_split },
	{ "key_update_inside", WITH_SECRETS, key_update_inside },
	{ "fatal_12", ONLY_12, fatal },
	{ "fatal_13", WITH_SECRETS, fatal },
	{ "data_inside_a_message", WITH_SECRETS, data_inside_a_message },
	{ "without_secret", ONLY_13, without_secret },
	{ "hello_request", ONLY_12, hello_request },
	{ "client_hello", ONLY_12, client_hello },
	{ "client_hello_split", ONLY_12, client_hello_split },
	{ "client_hellos_when_stuck", ONLY_12, client_hellos_when_stuck },
	{ "change_cipher_spec", ONLY_12, change_cipher_spec },
	{ "too_useless", ONLY_13, too_useless },
	{ "starts_too_often", ONLY_12, starts_too_often },
	{ "too_long", VERSIONS, too_long },
	{ "hard_limit", VERSIONS, hard_limit },
	{ "soft_limit", WITH_SECRETS, soft_limit },
	{ "soft_limit_before", WITH_SECRETS, soft_limit_before },
	{ "left_ticket", WITH_SECRETS, left_ticket },
	{ "left_key_update", WITH_SECRETS, left_key_update },
	{ "left_half", WITH_SECRETS, left_half },
	{ "left_continued_half", WITH_SECRETS, left_continued_half },
	{ "left_bad", WITH_SECRETS, left_bad },
	{ "left_hello", ONLY_12, left_hello },
	{ "left_alert", VERSIONS, left_alert },
	{ "in_plain_phase", VERSIONS, in_plain_phase },
	{ "while_held", VERSIONS, while_held },
	{ "not_established", ONLY_12, not_established },
	{ "without_policy", VERSIONS, without_policy },
	{ "policy_too_late", VERSIONS, policy_too_late },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
