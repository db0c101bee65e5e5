// SPDX-License-Identifier: MIT
/* Paths of KeyUpdates that the kernel does itself, of orphans, policies and requests. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../abi/schedule.h"
#include "fault.h"

static const struct kssl_policy updates = { .flags = KSSL_POLICY_KEY_UPDATE };
static const struct kssl_policy orphans = { .flags = KSSL_POLICY_ORPHAN };

static void both_ways(struct conn *c)
{
	send_pattern(c->fd, 0, 100);
	peer_expect_pattern_updates(&c->peer, 0, 100);
	peer_send_pattern(&c->peer, 0, 100, 100);
	recv_pattern(c->fd, 0, 100);
}

/* Nothing was lost: each KeyUpdate happened once. */
static void expect_updates(struct conn *c, unsigned int received)
{
	EQ(status_of(c->fd).key_updates_received, received);
	EQ(status_of(c->fd).rx.epoch, 1 + received);
	EQ(error_of(c->fd).err, 0);
}

/* ---- in a call of the application ---- */

/* The reader meets it, while it reads on. */
void path_update_recv(const struct source *s)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		uint8_t data[200];
		size_t got;
		long n;

		conn_open_policy(&c, &updates);
		/* behind data, where works leave it alone */
		peer_send_pattern(&c.peer, 0, 100, 100);
		peer_settle(&c.peer);
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_send_pattern(&c.peer, 100, 100, 100);
		peer_settle(&c.peer);
		n = WITH_FAULT(s, nth, hit, recv(c.fd, data, sizeof(data), MSG_WAITALL));
		got = n > 0 ? n : 0;
		recv_pattern(c.fd, got, 200 - got);
		expect_updates(&c, 1);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		both_ways(&c);
		conn_end(&c);
	}
	fault_count(s, nth - 2, 0);
}

/* The writer does it before its data. */
void path_update_send(const struct source *s)
{
	struct kssl_policy p = updates;
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	p.tx_soft = 1;
	p.tx_hard = 5;
	for (nth = 1; hit; nth++) {
		uint8_t data[100];
		long n;

		conn_open_policy(&c, &p);
		send_pattern(c.fd, 0, 100);
		pattern(data, 100, 100);
		n = WITH_FAULT(s, nth, hit, send(c.fd, data, 100, MSG_NOSIGNAL));
		if (error_of(c.fd).err) {
			/* a record half encrypted is no use */
			EQ(error_of(c.fd).err, EIO);
			dead++;
			conn_end(&c);
			continue;
		}
		if (n < 0)
			send_pattern(c.fd, 100, 100);
		else
			EQ(n, 100);
		CHECK(peer_expect_pattern_updates(&c.peer, 0, 200) >= 1);
		both_ways(&c);
		conn_end(&c);
	}
	fault_count(s, nth - 2, dead);
}

/* ---- in a call of the helper ---- */

void path_update_batch(const struct source *s)
{
	struct batch *b = batch_new();
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_open_policy(&c, &updates);
		EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\1", 1);
		batch_message(b, NEW_SESSION_TICKET, 100);
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
		if (WITH_FAULT(s, nth, hit, batch_write(b, c.control)) < 0) {
			if (error_of(c.fd).err) {
				peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
				conn_end(&c);
				dead++;
				continue;
			}
			EQ(status_of(c.fd).tx.epoch, 1);
			batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\1", 1);
			batch_message(b, NEW_SESSION_TICKET, 100);
			batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
			SYS(batch_write(b, c.control));
		}
		peer_expect(&c.peer, DATA, "open", 4);
		peer_expect_update(&c.peer, UPDATE_REQUESTED);
		peer_expect_message(&c.peer, NEW_SESSION_TICKET, 100);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		EQ(status_of(c.fd).tx.epoch, 3);
		both_ways(&c);
		conn_end(&c);
	}
	free(b);
	fault_count(s, nth - 2, dead);
}

/* Its last close cannot fail, and what it left undone is done. */
static void walk_orphan(const struct source *s, const void *content, size_t len, int update)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_open_policy(&c, &orphans);
		peer_send(&c.peer, HANDSHAKE, content, len);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, content, len);
		if (update)
			next_generation(&c.peer.tx);
		EQ(WITH_FAULT(s, nth, hit, close(c.control)), 0);
		c.control = -1;
		EQ(status_of(c.fd).orphan, 1);
		both_ways(&c);
		expect_updates(&c, update);
		conn_end(&c);
	}
	/* a ticket is dropped without any memory */
	if (update)
		fault_count(s, nth - 2, 0);
}

void path_orphan(const struct source *s)
{
	uint8_t message[5];

	walk_orphan(s, "\4\0\0\1x", 5, 0);
	walk_orphan(s, message, make_key_update(UPDATE_REQUESTED, message), 1);
}

/* ---- asking ---- */

static long set_some_policy(int fd)
{
	return set_policy(fd, &updates);
}

static long get_policy(int fd)
{
	struct kssl_policy p;
	socklen_t len = sizeof(p);

	return getsockopt(fd, SOL_KSSL, KSSL_POLICY, &p, &len);
}

static long get_request(int fd)
{
	socklen_t len = sizeof(int);
	int result;

	return getsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &result, &len);
}

/* 0 where it is under way. */
static long ask(int fd)
{
	int how = KSSL_RENEG_FULL;

	if (setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)) && errno != EINPROGRESS)
		return -1;
	return 0;
}

void path_options(const struct source *s)
{
	static long (*const calls[])(int fd) = { set_some_policy, get_policy, get_request };
	unsigned int nth, i, faults = 0;
	struct conn c;
	int hit;

	conn_open_attended(&c);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (nth = 1, hit = 1; hit; nth++) {
			WITH_FAULT(s, nth, hit, calls[i](c.fd));
			faults += hit;
		}
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	conn_end(&c);
	fault_count(s, faults, 0);
}

/* It was asked for once, or not at all. */
void path_request(const struct source *s)
{
	struct batch *b = batch_new();
	struct conn c;
	unsigned int nth;
	int hit = 1;

	conn_open_attended(&c);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	for (nth = 1; hit; nth++) {
		struct kssl_result r = {};

		if (WITH_FAULT(s, nth, hit, ask(c.fd)) < 0) {
			EQ(ready(c.control, POLLIN), 0);
			SYS(ask(c.fd));
		}
		r.id = get_event(c.control, KSSL_EV_REQUEST).epoch;
		batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
		SYS(batch_write(b, c.control));
	}
	free(b);
	conn_end(&c);
	fault_count(s, nth - 2, 0);
}

/* ---- in works ---- */

/* Nobody reads or writes: works take the next key, and send the answer. */
void path_work_update(const struct source *s)
{
	unsigned int nth, misses, hits = 0;
	struct conn c;

	EACH_FAULT(nth, misses) {
		int hit;

		conn_open_policy(&c, &updates);
		fault_arm(s, nth);
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		both_ways(&c);
		expect_updates(&c, 1);
		conn_end(&c);
	}
	fault_count(s, hits, 0);
}

/* Likewise without a helper. */
void path_work_orphan(const struct source *s)
{
	unsigned int nth, misses, hits = 0;
	struct conn c;

	EACH_FAULT(nth, misses) {
		int hit;

		conn_open_policy(&c, &orphans);
		close(c.control);
		c.control = -1;
		fault_arm(s, nth);
		peer_send_message(&c.peer, NEW_SESSION_TICKET, 100);
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_send_pattern(&c.peer, 0, 100, 100);
		wait_ready(c.fd, POLLIN);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		hit = fault_disarm(s) > 0;
		hits += hit;
		misses = hit ? 0 : misses + 1;
		recv_pattern(c.fd, 0, 100);
		both_ways(&c);
		expect_updates(&c, 1);
		conn_end(&c);
	}
	fault_count(s, hits, 0);
}
