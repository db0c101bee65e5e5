// SPDX-License-Identifier: MIT
/* Batches: legal or not, whole or not at all, and in which order they leave. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

/* A message the helper has to answer, so that receiving is held. */
static void bounce(struct conn *c)
{
	peer_send(&c->peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, "\1\0\0\5" "hello", 9);
}

/* Ready, receiving held. */
static void open_held(struct conn *c)
{
	conn_open_attended(c);
	bounce(c);
}

/* ---- whole or not at all ---- */

/* No failed batch changes anything of what can be asked. */
static void same(struct conn *c, const struct kssl_status *before)
{
	struct kssl_status now = status_of(c->fd);

	CHECK(!memcmp(&now, before, sizeof(now)));
	EQ(error_of(c->fd).err, 0);
}

static void one_bad_op(struct conn *c, const struct kssl_op *bad, const void *payload,
		       int error)
{
	struct batch *b = batch_new();
	struct keys tx = make_keys(7), rx = make_keys(8);
	struct kssl_status before = status_of(c->fd);
	long n;

	/* all that comes before it is good, and would show */
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, "before", 6);
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_record(b, HANDSHAKE, "behind", 6);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_DONE);
	memcpy(b->data + b->len, bad, sizeof(*bad));
	b->len += sizeof(*bad);
	if (payload) {
		memcpy(b->data + b->len, payload, bad->len);
		b->len += bad->len;
	}
	n = batch_write(b, c->control);
	if (n != -1 || errno != error)
		check_failed(__FILE__, __LINE__, "op %u type %u flags %u len %u: %s, not %s",
			     bad->op, bad->type, bad->flags, bad->len,
			     n < 0 ? error_name(errno) : "taken", error_name(error));
	same(c, &before);
	free(b);
}

static void all_or_nothing(void)
{
	static uint8_t big[KSSL_MAX_PAYLOAD + 1];
	struct kssl_error e = { .size = sizeof(e), .err = 5 };
	struct kssl_key key;
	struct conn c;
	struct keys k;

	open_held(&c);
#define BAD(error, payload, ...)					\
	one_bad_op(&c, &(struct kssl_op){ __VA_ARGS__ }, payload, error)
	/* not ops at all */
	BAD(EINVAL, NULL, .op = 0);
	BAD(EINVAL, NULL, .op = KSSL_OP_FAIL + 1);
	BAD(EINVAL, NULL, .op = 0xffff);
	/* not well formed */
	BAD(EINVAL, NULL, .op = KSSL_OP_HOLD, .flags = 1);
	BAD(EINVAL, NULL, .op = KSSL_OP_HOLD, .type = HANDSHAKE);
	BAD(EINVAL, "x", .op = KSSL_OP_HOLD, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RELEASE, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_CONTINUE, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_ESTABLISHED, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_DONE, .len = 1);
	BAD(EINVAL, NULL, .op = KSSL_OP_RECORD, .type = HANDSHAKE, .len = 1);
	BAD(EINVAL, NULL, .op = KSSL_OP_RECORD, .type = HANDSHAKE, .len = 0xffffffff);
	BAD(EINVAL, NULL, .op = KSSL_OP_TX_KEY, .len = sizeof(struct kssl_key));
	/* records that may not be */
	BAD(EINVAL, NULL, .op = KSSL_OP_RECORD, .type = HANDSHAKE, .len = 0);
	BAD(EINVAL, big, .op = KSSL_OP_RECORD, .type = HANDSHAKE, .len = KSSL_MAX_PAYLOAD + 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RECORD, .type = DATA, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RECORD, .type = 0, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RECORD, .type = 19, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RECORD, .type = 24, .len = 1);
	BAD(EINVAL, "x", .op = KSSL_OP_RECORD, .type = HANDSHAKE, .flags = 1, .len = 1);
	/* not in this state: the plain phase is over */
	BAD(EINVAL, "\26\3\3\0\1\1", .op = KSSL_OP_RAW, .len = 6);
	/* keys that may not be */
	k = make_keys(9);
	key = key_of(&k);
	key.size--;
	BAD(EINVAL, &key, .op = KSSL_OP_TX_KEY, .len = sizeof(key));
	key = key_of(&k);
	key.flags = 0x80;
	BAD(EINVAL, &key, .op = KSSL_OP_TX_KEY, .len = sizeof(key));
	key = key_of(&k);
	key.iv_len++;
	BAD(EINVAL, &key, .op = KSSL_OP_RX_KEY, .len = sizeof(key));
	key = key_of(&k);
	key.suite = 0xfefe;
	BAD(EOPNOTSUPP, &key, .op = KSSL_OP_RX_KEY, .len = sizeof(key));
	key = key_of(&k);
	key.version = 0x0305;
	BAD(EOPNOTSUPP, &key, .op = KSSL_OP_TX_KEY, .len = sizeof(key));
	/* not with nothing behind it, and not with nonsense in it */
	BAD(EINVAL, &e, .op = KSSL_OP_FAIL, .len = sizeof(e) - 1);
	e.size = 4;
	BAD(EINVAL, &e, .op = KSSL_OP_FAIL, .len = e.size);
	e.size = sizeof(e);
	BAD(EINVAL, NULL, .op = KSSL_OP_FAIL);
	e.err = 0;
	BAD(EINVAL, &e, .op = KSSL_OP_FAIL, .len = sizeof(e));
	e.err = -5;
	BAD(EINVAL, &e, .op = KSSL_OP_FAIL, .len = sizeof(e));
	e.err = 5000;
	BAD(EINVAL, &e, .op = KSSL_OP_FAIL, .len = sizeof(e));
#undef BAD

	/* and nothing of it ever left: the next record is the first one */
	control_op(c.control, KSSL_OP_CONTINUE);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static void fail_is_last(void)
{
	struct kssl_error e = { .size = sizeof(e), .err = EPERM };
	struct batch *b = batch_new();
	struct kssl_status before;
	struct conn c;

	open_held(&c);
	before = status_of(c.fd);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	batch_op(b, KSSL_OP_DONE);
	FAILS(batch_write(b, c.control), EINVAL);
	same(&c, &before);
}

static void sizes(void)
{
	struct batch *b = batch_new();
	struct kssl_status before;
	struct conn c;
	size_t i;

	open_held(&c);
	before = status_of(c.fd);
	FAILS(write(c.control, b->data, 0), EINVAL);
	batch_op(b, KSSL_OP_DONE);
	for (i = 1; i < sizeof(struct kssl_op); i++)
		FAILS(write(c.control, b->data, i), EINVAL);
	b->len = 0;
	while (b->len <= KSSL_BATCH_MAX)
		batch_op(b, KSSL_OP_DONE);
	FAILS(batch_write(b, c.control), EINVAL);
	same(&c, &before);
	while (b->len < KSSL_BATCH_MAX)
		batch_op(b, KSSL_OP_DONE);
	EQ(SYS(batch_write(b, c.control)), KSSL_BATCH_MAX);
	EQ(status_of(c.fd).handshakes, 1 + KSSL_BATCH_MAX / sizeof(struct kssl_op));
}

/* ---- what is legal when ---- */

static void long_key(void)
{
	uint8_t big[sizeof(struct kssl_key) + 20] = {};
	struct batch *b = batch_new();
	struct kssl_key key;
	struct conn c;
	struct keys k;

	open_held(&c);
	k = make_keys(9);
	key = key_of(&k);
	key.size = sizeof(big);
	memcpy(big, &key, sizeof(key));
	big[sizeof(big) - 1] = 1;
	batch_add(b, KSSL_OP_TX_KEY, 0, big, sizeof(big));
	FAILS(batch_write(b, c.control), E2BIG);
	big[sizeof(big) - 1] = 0;
	batch_add(b, KSSL_OP_TX_KEY, 0, big, sizeof(big));
	SYS(batch_write(b, c.control));
	EQ(status_of(c.fd).tx.epoch, 2);
	key.size = offsetof(struct kssl_key, mac_key);
	batch_add(b, KSSL_OP_TX_KEY, 0, &key, key.size);
	SYS(batch_write(b, c.control));
	EQ(status_of(c.fd).tx.epoch, 3);
}

static void plain_phase(void)
{
	struct batch *b = batch_new();
	struct conn c;
	struct keys k;

	conn_attend(&c);
	k = make_keys(1);
	/* no key to seal it with */
	batch_record(b, HANDSHAKE, "x", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	/* nothing was received, so where would it begin? */
	batch_key(b, KSSL_OP_RX_KEY, &k);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_op(b, KSSL_OP_ESTABLISHED);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_op(b, KSSL_OP_RELEASE);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_op(b, KSSL_OP_DONE);
	FAILS(batch_write(b, c.control), EINVAL);
	/* in one batch what came before counts */
	batch_key(b, KSSL_OP_TX_KEY, &k);
	batch_add(b, KSSL_OP_RAW, 0, "\26\3\3\0\1\1", 6);
	FAILS(batch_write(b, c.control), EINVAL);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_PLAIN);
	EQ(status_of(c.fd).tx.epoch, 0);
	conn_hand_over(&c);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* The receive key takes over where receiving stands still. */
static void rx_key_needs_hold(void)
{
	struct batch *b = batch_new();
	struct conn c;
	struct keys k;

	conn_open_attended(&c);
	k = make_keys(3);
	batch_key(b, KSSL_OP_RX_KEY, &k);
	FAILS(batch_write(b, c.control), EINVAL);
	bounce(&c);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_key(b, KSSL_OP_RX_KEY, &k);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_key(b, KSSL_OP_RX_KEY, &k);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
}

/* No other version on one connection, and within TLS 1.3 no other suite. */
static void successor(void)
{
	struct batch *b = batch_new();
	struct kssl_status before;
	unsigned int i;
	struct conn c;

	open_held(&c);
	before = status_of(c.fd);
	for (i = 0; i < suites_count; i++) {
		struct keys k = { .suite = suites[i] };

		if (suites[i].version == v->suite.version &&
		    (!is_13() || suites[i].suite == v->suite.suite))
			continue;
		batch_key(b, KSSL_OP_TX_KEY, &k);
		FAILS(batch_write(b, c.control), EINVAL);
		batch_key(b, KSSL_OP_RX_KEY, &k);
		FAILS(batch_write(b, c.control), EINVAL);
	}
	same(&c, &before);
}

/* ---- holding ---- */

static void hold(void)
{
	struct kssl_status s;
	struct conn c;
	uint32_t holds;

	conn_open_attended(&c);
	holds = status_of(c.fd).holds;
	EQ(ready(c.fd, POLLOUT), POLLOUT);
	control_op(c.control, KSSL_OP_HOLD);
	EQ(ready(c.fd, POLLOUT), 0);
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	s = status_of(c.fd);
	EQ(s.tx.state, KSSL_STATE_HELD);
	EQ(s.rx.state, KSSL_STATE_ACTIVE);
	EQ(s.holds, holds + 1);
	/* once more is not twice */
	control_op(c.control, KSSL_OP_HOLD);
	EQ(status_of(c.fd).holds, holds + 1);
	/* receiving goes on */
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
	control_op(c.control, KSSL_OP_RELEASE);
	EQ(ready(c.fd, POLLOUT), POLLOUT);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	CHECK(status_of(c.fd).hold_last_ns > 0);
	/* nothing was held, nothing happens */
	control_op(c.control, KSSL_OP_RELEASE);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static void *write_data(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 1000000);
	return NULL;
}

static void *poll_out(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLOUT);
	return NULL;
}

static void hold_wakes(void)
{
	struct conn c;
	pthread_t t;

	conn_open_attended(&c);
	control_op(c.control, KSSL_OP_HOLD);
	t = start_asleep(poll_out, &c);
	control_op(c.control, KSSL_OP_RELEASE);
	finish(t);
}

/* A writer that is stopped in the middle of its write, again and again, loses nothing. */
static void hold_writer(void)
{
	struct batch *b = batch_new();
	struct conn c;
	pthread_t t;
	size_t at = 0;
	int i;

	conn_open_attended(&c);
	t = start(write_data, &c);
	for (i = 0; i < 20; i++) {
		uint8_t data[RECORD_MAX], type;
		long n;

		batch_op(b, KSSL_OP_HOLD);
		batch_record(b, HANDSHAKE, "held", 4);
		SYS(batch_write(b, c.control));
		for (;;) {
			n = peer_recv(&c.peer, &type, data);
			CHECK(n > 0);
			if (type != DATA)
				break;
			check_pattern(data, at, n);
			at += n;
		}
		EQ(type, HANDSHAKE);
		/* between hold and release there is nothing but what the helper sends */
		batch_record(b, HANDSHAKE, "still", 5);
		SYS(batch_write(b, c.control));
		peer_expect(&c.peer, HANDSHAKE, "still", 5);
		batch_record(b, HANDSHAKE, "last", 4);
		batch_op(b, KSSL_OP_RELEASE);
		SYS(batch_write(b, c.control));
		peer_expect(&c.peer, HANDSHAKE, "last", 4);
	}
	peer_expect_pattern(&c.peer, at, 1000000 - at);
	finish(t);
}

/* Bytes that were taken go before the hold, under the key of their time. */
static void hold_open_record(void)
{
	struct batch *b = batch_new();
	struct conn c;
	struct keys k;

	conn_open_attended(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, "\1\0\0\5" "hello", 9);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, DATA, "open", 4);
	peer_expect(&c.peer, HANDSHAKE, "\1\0\0\5" "hello", 9);
	control_op(c.control, KSSL_OP_RELEASE);

	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	k = make_keys(3);
	batch_key(b, KSSL_OP_TX_KEY, &k);
	SYS(batch_write(b, c.control));
	EQ(SYS(send(c.fd, "new", 3, MSG_NOSIGNAL)), 3);
	peer_expect(&c.peer, DATA, "open", 4);
	c.peer.rx = k;
	peer_expect(&c.peer, DATA, "new", 3);
}

/* ---- order ---- */

static void records_in_order(void)
{
	static uint8_t data[KSSL_MAX_PAYLOAD];
	struct batch *b = batch_new();
	struct keys k = {};
	struct conn c;
	int i;

	conn_open_attended(&c);
	for (i = 0; i < 30; i++) {
		pattern(data, i, sizeof(data));
		batch_record(b, i % 3 == 1 ? ALERT : HANDSHAKE, data, i % 3 == 1 ? 2 : 1 + i * 564);
		if (i == 14) {
			k = make_keys(3);
			batch_key(b, KSSL_OP_TX_KEY, &k);
		}
	}
	SYS(batch_write(b, c.control));
	for (i = 0; i < 30; i++) {
		pattern(data, i, sizeof(data));
		peer_expect(&c.peer, i % 3 == 1 ? ALERT : HANDSHAKE, data,
			    i % 3 == 1 ? 2 : 1 + i * 564);
		if (i == 14)
			c.peer.rx = k;
	}
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* Control records wait for nobody: not for the send buffer, not for a stuck writer. */
static void when_full(void)
{
	struct batch *b = batch_new();
	struct conn c;
	size_t sent;
	struct keys k;

	conn_open_attended(&c);
	sent = send_until_full(c.fd, 0);
	k = make_keys(3);
	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, HANDSHAKE, "update", 6);
	batch_key(b, KSSL_OP_TX_KEY, &k);
	batch_record(b, HANDSHAKE, "finished", 8);
	batch_op(b, KSSL_OP_RELEASE);
	SYS(batch_write(b, c.control));
	peer_expect_pattern(&c.peer, 0, sent);
	peer_expect(&c.peer, HANDSHAKE, "update", 6);
	c.peer.rx = k;
	peer_expect(&c.peer, HANDSHAKE, "finished", 8);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static void *write_much(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 8 << 20);
	return NULL;
}

static void behind_a_stuck_writer(void)
{
	uint8_t data[RECORD_MAX], type;
	struct batch *b = batch_new();
	struct conn c;
	size_t at = 0;
	pthread_t t;

	conn_open_attended(&c);
	t = start(write_much, &c);
	/* the writer gets stuck, for nobody reads */
	while (ready(c.fd, POLLOUT))
		;
	batch_record(b, HANDSHAKE, "\1\0\0\5" "hello", 9);
	SYS(batch_write(b, c.control));
	for (;;) {
		long n = peer_recv(&c.peer, &type, data);

		CHECK(n > 0);
		if (type != DATA)
			break;
		check_pattern(data, at, n);
		at += n;
	}
	EQ(type, HANDSHAKE);
	CHECK(at < 8 << 20);
	peer_expect_pattern(&c.peer, at, (8 << 20) - at);
	finish(t);
}

/* The budget of control records is bounded, and a batch that does not fit does nothing. */
static void budget(void)
{
	static uint8_t data[KSSL_MAX_PAYLOAD];
	struct batch *b = batch_new();
	unsigned int i, j, taken = 0;
	struct kssl_status before;
	struct conn c;

	conn_connect_bufs(&c, 0, 8192);
	conn_attach(&c);
	c.control = SYS(take_control(c.fd));
	conn_hand_over(&c);
	for (i = 0;; i++) {
		for (j = 0; j < 10; j++) {
			memset(data, i * 10 + j, sizeof(data));
			batch_record(b, HANDSHAKE, data, sizeof(data));
		}
		before = status_of(c.fd);
		if (batch_write(b, c.control) < 0)
			break;
		taken += 10;
		CHECK(taken < 10000);
	}
	EQ(errno, EAGAIN);
	EQ(ready(c.control, POLLOUT), 0);
	EQ(status_of(c.fd).tx.seq, before.tx.seq);
	EQ(status_of(c.fd).tx.records, before.tx.records);
	CHECK(taken * sizeof(data) >= KSSL_CONTROL_BUDGET - 10 * (sizeof(data) + 100));
	for (i = 0; i < taken; i++) {
		memset(data, i, sizeof(data));
		peer_expect(&c.peer, HANDSHAKE, data, sizeof(data));
	}
	wait_ready(c.control, POLLOUT);
	batch_record(b, HANDSHAKE, "fits", 4);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, HANDSHAKE, "fits", 4);
}

/* Two helpers' threads at once: batches do not mix. */
static void *write_batches(void *arg)
{
	struct conn *c = arg;
	struct batch *b = batch_new();
	int i;

	for (i = 0; i < 100; i++) {
		batch_op(b, KSSL_OP_HOLD);
		batch_record(b, HANDSHAKE, "1", 1);
		batch_record(b, HANDSHAKE, "2", 1);
		batch_record(b, HANDSHAKE, "3", 1);
		batch_op(b, KSSL_OP_RELEASE);
		SYS(batch_write(b, c->control));
	}
	return NULL;
}

static void batches_do_not_mix(void)
{
	uint8_t data[RECORD_MAX], type;
	pthread_t t[3];
	struct conn c;
	int i, next = 0, seen = 0;
	size_t at = 0;

	conn_open_attended(&c);
	t[0] = start(write_batches, &c);
	t[1] = start(write_batches, &c);
	t[2] = start(write_data, &c);
	while (seen < 600 || at < 1000000) {
		long n = peer_recv(&c.peer, &type, data);

		CHECK(n > 0);
		if (type == DATA) {
			EQ(next, 0);
			check_pattern(data, at, n);
			at += n;
			continue;
		}
		EQ(n, 1);
		EQ(data[0], '1' + next);
		next = (next + 1) % 3;
		seen++;
	}
	for (i = 0; i < 3; i++)
		finish(t[i]);
}

static const struct test tests[] = {
	{ "all_or_nothing", VERSIONS, all_or_nothing },
	{ "fail_is_last", VERSIONS, fail_is_last },
	{ "sizes", ONCE, sizes },
	{ "long_key", VERSIONS, long_key },
	{ "plain_phase", VERSIONS, plain_phase },
	{ "rx_key_needs_hold", VERSIONS, rx_key_needs_hold },
	{ "successor", VERSIONS, successor },
	{ "hold", VERSIONS, hold },
	{ "hold_wakes", VERSIONS, hold_wakes },
	{ "hold_writer", VERSIONS, hold_writer },
	{ "hold_open_record", VERSIONS, hold_open_record },
	{ "records_in_order", PROTECTIONS, records_in_order },
	{ "when_full", VERSIONS, when_full },
	{ "behind_a_stuck_writer", VERSIONS, behind_a_stuck_writer },
	{ "budget", VERSIONS, budget },
	{ "batches_do_not_mix", VERSIONS, batches_do_not_mix },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
