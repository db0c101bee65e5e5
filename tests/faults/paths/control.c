// SPDX-License-Identifier: MIT
/* Paths of the control file. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fault.h"

static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
static const uint8_t answer[] = { 22, 3, 3, 0, 6, 2, 0, 0, 2, 1, 2 };
static const uint8_t request[] = { 0, 0, 0, 0 };
static uint8_t large[16384];

static void end(struct conn *c)
{
	close(c->fd);
	close(c->control);
	close(c->peer.fd);
}

/**
 * struct way - a batch, and what it leads to
 * @open: makes a connection that is ready for it
 * @build: makes the batch
 * @expect: sees to it that it happened once; bytes of data flow afterwards
 */
struct way {
	void (*open)(struct conn *c);
	void (*build)(struct conn *c, struct batch *b);
	void (*expect)(struct conn *c);
};

static int same(const struct kssl_dir_status *a, const struct kssl_dir_status *b)
{
	return a->seq == b->seq && a->epoch == b->epoch && a->state == b->state &&
	       a->suite == b->suite;
}

/* All of it or nothing: one that failed changes nothing, and works the second time. */
static void walk_batch(const struct source *s, const struct way *w)
{
	struct batch *b = batch_new();
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		struct kssl_status before, after;

		w->open(&c);
		before = status_of(c.fd);
		w->build(&c, b);
		if (WITH_FAULT(s, nth, hit, batch_write(b, c.control)) < 0) {
			after = status_of(c.fd);
			if (error_of(c.fd).err) {
				CHECK(s->what == MEMORY || error_of(c.fd).err == s->fatal);
				peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
				end(&c);
				dead++;
				continue;
			}
			/* An open record may have been finished before it. */
			if (before.tx.bytes == after.tx.bytes)
				CHECK(same(&before.tx, &after.tx));
			CHECK(same(&before.rx, &after.rx));
			EQ(before.holds, after.holds);
			EQ(before.handshakes, after.handshakes);
			w->build(&c, b);
			SYS(batch_write(b, c.control));
		}
		w->expect(&c);
		end(&c);
	}
	free(b);
	fault_count(s, nth - 2, dead);
}

static void expect_answer(struct conn *c)
{
	uint8_t record[RECORD_MAX];

	EQ(peer_read_raw(&c->peer, record), sizeof(answer));
	CHECK(!memcmp(record, answer, sizeof(answer)));
}

static void build_raw(struct conn *c, struct batch *b)
{
	(void)c;
	batch_add(b, KSSL_OP_RAW, 0, answer, sizeof(answer));
}

static void expect_raw(struct conn *c)
{
	expect_answer(c);
	/* and not once more */
	conn_hand_over(c);
	conn_both_ways(c, 100, 100);
}

void path_batch_raw(const struct source *s)
{
	walk_batch(s, &(struct way){ conn_attend, build_raw, expect_raw });
}

static void open_hello(struct conn *c)
{
	conn_attend(c);
	peer_write(&c->peer, hello, sizeof(hello));
	expect_message(c->control, KSSL_MSG_RAW, HANDSHAKE, hello, sizeof(hello));
}

static void build_keys(struct conn *c, struct batch *b)
{
	c->peer.rx = make_keys(1);
	c->peer.tx = make_keys(2);
	batch_add(b, KSSL_OP_RAW, 0, answer, sizeof(answer));
	batch_key(b, KSSL_OP_TX_KEY, &c->peer.rx);
	batch_key(b, KSSL_OP_RX_KEY, &c->peer.tx);
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_DONE);
}

static void expect_keys(struct conn *c)
{
	expect_answer(c);
	conn_both_ways(c, 100, 100);
}

void path_batch_keys(const struct source *s)
{
	walk_batch(s, &(struct way){ open_hello, build_keys, expect_keys });
}

static void build_record(struct conn *c, struct batch *b)
{
	(void)c;
	batch_record(b, HANDSHAKE, request, sizeof(request));
}

static void expect_record(struct conn *c)
{
	peer_expect(&c->peer, HANDSHAKE, request, sizeof(request));
	conn_both_ways(c, 100, 100);
}

void path_batch_record(const struct source *s)
{
	walk_batch(s, &(struct way){ conn_open_attended, build_record, expect_record });
}

static void open_more(struct conn *c)
{
	conn_open_attended(c);
	EQ(SYS(send(c->fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
}

static void expect_behind_more(struct conn *c)
{
	peer_expect(&c->peer, DATA, "open", 4);
	expect_record(c);
}

void path_batch_behind_more(const struct source *s)
{
	walk_batch(s, &(struct way){ open_more, build_record, expect_behind_more });
}

/* Receiving is held, as it is when keys of both directions change at once. */
static void open_held(struct conn *c)
{
	conn_open_attended(c);
	peer_send(&c->peer, HANDSHAKE, request, sizeof(request));
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, request, sizeof(request));
}

static void build_all(struct conn *c, struct batch *b)
{
	struct keys tx = make_keys(3), rx = make_keys(4);

	(void)c;
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, request, sizeof(request));
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_record(b, HANDSHAKE, large, sizeof(large));
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_DONE);
}

static void expect_all(struct conn *c)
{
	peer_expect(&c->peer, HANDSHAKE, request, sizeof(request));
	c->peer.rx = make_keys(3);
	c->peer.tx = make_keys(4);
	peer_expect(&c->peer, HANDSHAKE, large, sizeof(large));
	conn_both_ways(c, 100, 100);
	EQ(status_of(c->fd).handshakes, 2);
}

void path_batch_all(const struct source *s)
{
	walk_batch(s, &(struct way){ open_held, build_all, expect_all });
}

static void build_large(struct conn *c, struct batch *b)
{
	int i;

	(void)c;
	for (i = 0; i < 3; i++)
		batch_record(b, HANDSHAKE, large, sizeof(large));
}

static void expect_large(struct conn *c)
{
	int i;

	for (i = 0; i < 3; i++)
		peer_expect(&c->peer, HANDSHAKE, large, sizeof(large));
	conn_both_ways(c, 100, 100);
}

void path_batch_large(const struct source *s)
{
	walk_batch(s, &(struct way){ conn_open_attended, build_large, expect_large });
}

/* Failing must not fail: the alert comes, if need be later. */
static void build_fail(struct conn *c, struct batch *b)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EACCES, .alert = HANDSHAKE_FAILURE, .has_alert = 1,
		.text = "not this peer",
	};

	(void)c;
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
}

static void expect_fail(struct conn *c)
{
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EACCES);
	FAILS(send(c->fd, &byte, 1, MSG_NOSIGNAL), EACCES);
	EQ(error_of(c->fd).err, EACCES);
	EQ(error_of(c->fd).who, KSSL_WHO_HELPER);
}

void path_batch_fail(const struct source *s)
{
	struct batch *b = batch_new();
	unsigned int nth, mute = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_open_attended(&c);
		build_fail(&c, b);
		if (WITH_FAULT(s, nth, hit, batch_write(b, c.control)) < 0) {
			EQ(error_of(c.fd).err, 0);
			build_fail(&c, b);
			SYS(batch_write(b, c.control));
		}
		expect_fail(&c);
		/* Only a cipher that fails keeps the alert back; without memory it is late. */
		if (hit && s->what != MEMORY && s->error)
			mute++;
		else
			peer_expect_alert(&c.peer, FATAL, HANDSHAKE_FAILURE);
		end(&c);
	}
	free(b);
	fault_count(s, nth - 2, mute);
}

/* ---- reading ---- */

static struct message message;

static void walk_read(const struct source *s, void (*open)(struct conn *c),
		      void (*announce)(struct conn *c), int kind, int type, const void *data,
		      size_t len)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		long n;

		open(&c);
		announce(&c);
		wait_ready(c.control, POLLIN);
		n = WITH_FAULT(s, nth, hit, read(c.control, &message, sizeof(message)));
		if (n < 0)
			n = SYS(read_message(c.control, &message));
		EQ(n, sizeof(message.head) + len);
		EQ(message.head.kind, kind);
		EQ(message.head.type, type);
		CHECK(!memcmp(message.data, data, len));
		end(&c);
	}
	fault_count(s, nth - 2, 0);
}

static void announce_hello(struct conn *c)
{
	peer_write(&c->peer, hello, sizeof(hello));
}

void path_read_raw(const struct source *s)
{
	walk_read(s, conn_attend, announce_hello, KSSL_MSG_RAW, HANDSHAKE, hello, sizeof(hello));
}

static void announce_request(struct conn *c)
{
	peer_send(&c->peer, HANDSHAKE, request, sizeof(request));
}

void path_read_record(const struct source *s)
{
	walk_read(s, conn_open_attended, announce_request, KSSL_MSG_RECORD, HANDSHAKE, request,
		  sizeof(request));
}

static void announce_close(struct conn *c)
{
	peer_send_alert(&c->peer, WARNING, CLOSE_NOTIFY);
}

void path_read_event(const struct source *s)
{
	walk_read(s, conn_open_attended, announce_close, KSSL_MSG_EVENT, KSSL_EV_CLOSE_NOTIFY, "",
		  0);
}
