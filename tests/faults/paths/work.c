// SPDX-License-Identifier: MIT
/* Paths that works walk, while no system call of ours does. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fault.h"

static const uint8_t request[] = { 0, 0, 0, 0 };

/* The next message is the record, or, where receiving has failed, says so. */
static int expect_request(struct conn *c)
{
	struct message m;

	wait_ready(c->control, POLLIN);
	SYS(read_message(c->control, &m));
	if (m.head.kind == KSSL_MSG_EVENT) {
		EQ(m.head.type, KSSL_EV_FAILED);
		return 0;
	}
	EQ(m.head.kind, KSSL_MSG_RECORD);
	EQ(m.head.type, HANDSHAKE);
	EQ(m.head.len, sizeof(m.head) + sizeof(request));
	CHECK(!memcmp(m.data, request, sizeof(request)));
	return 1;
}

static void expect_dead(const struct source *s, struct conn *c)
{
	CHECK(s->fatal);
	EQ(error_of(c->fd).err, s->fatal);
	peer_expect_alert(&c->peer, FATAL, s->fatal == EBADMSG ? BAD_RECORD_MAC : INTERNAL_ERROR);
}

static void walk_record(const struct source *s, size_t ahead)
{
	unsigned int nth, misses, hits = 0, dead = 0;
	struct conn c;

	EACH_FAULT(nth, misses) {
		int hit, alive;

		conn_open_attended(&c);
		if (ahead)
			control_op(c.control, KSSL_OP_HOLD);
		fault_arm(s, nth);
		if (ahead)
			peer_send_pattern(&c.peer, 0, ahead, ahead);
		peer_send(&c.peer, HANDSHAKE, request, sizeof(request));
		alive = expect_request(&c);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		if (!alive) {
			CHECK(hit);
			expect_dead(s, &c);
			dead++;
			conn_end(&c);
			continue;
		}
		if (ahead)
			recv_pattern(c.fd, 0, ahead);
		control_op(c.control, KSSL_OP_CONTINUE);
		if (ahead)
			control_op(c.control, KSSL_OP_RELEASE);
		peer_send_pattern(&c.peer, ahead, 100, 100);
		recv_pattern(c.fd, ahead, 100);
		send_pattern(c.fd, 0, 100);
		peer_expect_pattern(&c.peer, 0, 100);
		conn_end(&c);
	}
	fault_count(s, hits, dead);
}

void path_work_record(const struct source *s)
{
	walk_record(s, 0);
}

/* Behind data that nobody reads. */
void path_work_lookahead(const struct source *s)
{
	walk_record(s, 10000);
}

/* Records that the peer's receive buffer, however much of it is free, does not hold. */
#define MUCH	10

/* Control records do not wait for the send buffer; what TCP did not take follows later. */
void path_work_push(const struct source *s)
{
	static uint8_t large[16384];
	struct batch *b = batch_new();
	unsigned int nth, misses, hits = 0, i;
	struct conn c;

	EACH_FAULT(nth, misses) {
		size_t sent;
		int hit;

		conn_connect_bufs(&c, 0, 1);
		conn_attach(&c);
		c.control = SYS(take_control(c.fd));
		conn_hand_over(&c);
		sent = send_until_full(c.fd, 0);
		for (i = 0; i < MUCH; i++)
			batch_record(b, HANDSHAKE, large, sizeof(large));
		SYS(batch_write(b, c.control));
		EQ(ready(c.control, POLLOUT), 0);
		fault_arm(s, nth);
		peer_expect_pattern(&c.peer, 0, sent);
		for (i = 0; i < MUCH; i++)
			peer_expect(&c.peer, HANDSHAKE, large, sizeof(large));
		wait_ready(c.control, POLLOUT);
		wait_ready(c.fd, POLLOUT);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		send_pattern(c.fd, sent, 100);
		peer_expect_pattern(&c.peer, sent, 100);
		conn_end(&c);
	}
	free(b);
	fault_count(s, hits, 0);
}

/* Whether or not the alert can go out, everybody here is told. */
void path_work_alert(const struct source *s)
{
	unsigned int nth, misses, hits = 0, mute = 0;
	uint8_t record[RECORD_MAX], byte;
	struct conn c;

	EACH_FAULT(nth, misses) {
		size_t len;
		int hit;

		conn_open_attended(&c);
		len = seal(&c.peer.tx, DATA, "data", 4, record);
		record[len - 1] ^= 1;
		fault_arm(s, nth);
		peer_write(&c.peer, record, len);
		wait_ready(c.fd, POLLERR);
		if (s->what == WORKERS)
			peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		/* an error of the cipher may have come first */
		if (!hit || !s->fatal || s->what == ENCRYPT)
			EQ(error_of(c.fd).err, EBADMSG);
		else
			EQ(error_of(c.fd).err, s->fatal);
		EQ(so_error(c.fd), error_of(c.fd).err);
		FAILS(recv(c.fd, &byte, 1, 0), error_of(c.fd).err);
		FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), error_of(c.fd).err);
		mute += hit && s->what == ENCRYPT && s->error;
		conn_end(&c);
	}
	fault_count(s, hits, mute);
}

/* RFC 5246 7.2.1: a close_notify is answered. */
void path_work_close_notify(const struct source *s)
{
	unsigned int nth, misses, hits = 0, dead = 0;
	struct conn c;
	uint8_t byte;

	EACH_FAULT(nth, misses) {
		int hit;

		conn_open_attended(&c);
		fault_arm(s, nth);
		peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
		wait_ready(c.fd, POLLIN);
		/* No longer open, one way or the other. */
		while (status_of(c.fd).tx.state == KSSL_STATE_ACTIVE)
			usleep(1000);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		if (error_of(c.fd).err) {
			CHECK(hit);
			EQ(error_of(c.fd).err, s->fatal);
			FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), s->fatal);
			dead++;
			conn_end(&c);
			continue;
		}
		EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
		FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
		peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
		conn_end(&c);
	}
	fault_count(s, hits, dead);
}
