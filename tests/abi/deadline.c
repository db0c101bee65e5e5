// SPDX-License-Identifier: MIT
/* A helper that does not answer.  The kernel waits half a minute, so all of it goes on at once. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static void expect_timeout(struct conn *c)
{
	struct kssl_error e;
	struct message m;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), ETIMEDOUT);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), ETIMEDOUT);
	e = error_of(c->fd);
	EQ(e.err, ETIMEDOUT);
	EQ(e.who, KSSL_WHO_HELPER);
	EQ(e.has_alert, 1);
	EQ(e.alert, INTERNAL_ERROR);
	CHECK(e.text[0]);
	EQ(status_of(c->fd).tx.state, KSSL_STATE_FAILED);
	EQ(status_of(c->fd).rx.state, KSSL_STATE_FAILED);
	do {
		wait_ready(c->control, POLLIN);
		SYS(read_message(c->control, &m));
	} while (m.head.kind != KSSL_MSG_EVENT);
	EQ(m.head.type, KSSL_EV_FAILED);
	EQ(m.head.value, ETIMEDOUT);
	FAILS(write(c->control, &(struct kssl_op){ .op = KSSL_OP_CONTINUE }, sizeof(struct kssl_op)),
	      EPIPE);
}

/* Once it has failed, nothing but the FIN comes. */
static void expect_end(struct conn *c)
{
	close(c->fd);
	peer_expect_fin(&c->peer);
}

static void silent(void)
{
	static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
	struct conn plain, unread, read, held, answered;
	uint8_t record[RECORD_MAX];

	/* its first message, in the clear */
	conn_attend(&plain);
	peer_write(&plain.peer, hello, sizeof(hello));
	/* a handshake message it never reads, one that it read, one while it holds sending */
	conn_open_attended(&unread);
	peer_send(&unread.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	conn_open_attended(&read);
	peer_send(&read.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	expect_message(read.control, KSSL_MSG_RECORD, HANDSHAKE, "\1\0\0\5" "hello", 9);
	conn_open_attended(&held);
	control_op(held.control, KSSL_OP_HOLD);
	peer_send(&held.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	/* and one it does answer */
	conn_open_attended(&answered);
	peer_send(&answered.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	expect_message(answered.control, KSSL_MSG_RECORD, HANDSHAKE, "\1\0\0\5" "hello", 9);
	control_op(answered.control, KSSL_OP_CONTINUE);

	expect_timeout(&plain);
	EQ(peer_read_raw(&plain.peer, record), HEADER + 2);
	EQ(record[0], ALERT);
	EQ(record[5], FATAL);
	EQ(record[6], INTERNAL_ERROR);
	expect_end(&plain);
	expect_timeout(&unread);
	peer_expect_alert(&unread.peer, FATAL, INTERNAL_ERROR);
	expect_end(&unread);
	expect_timeout(&read);
	peer_expect_alert(&read.peer, FATAL, INTERNAL_ERROR);
	expect_end(&read);
	expect_timeout(&held);
	peer_expect_alert(&held.peer, FATAL, INTERNAL_ERROR);
	expect_end(&held);

	send_pattern(answered.fd, 0, 100);
	peer_expect_pattern(&answered.peer, 0, 100);
	EQ(error_of(answered.fd).err, 0);
}

static const struct test tests[] = {
	{ "silent", ONCE, silent },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
