// SPDX-License-Identifier: MIT
/*
 * New keys under load: renegotiation as both sides and KeyUpdate, with writers
 * that never stop and a peer that checks the order of every record.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define WRITERS		8
#define ROUNDS		8

/* A message of that name; others than handshake messages are what they say. */
static size_t make_said(uint8_t type, const char *text, uint8_t *to)
{
	static const struct {
		const char *name;
		uint8_t type;
	} names[] = {
		{ "HelloRequest", HELLO_REQUEST }, { "ClientHello", CLIENT_HELLO },
		{ "ServerHello", SERVER_HELLO }, { "ServerHelloDone", 14 },
		{ "ClientKeyExchange", 16 }, { "Finished", FINISHED },
	};
	size_t len = strlen(text);
	unsigned int i;

	if (type != HANDSHAKE) {
		memcpy(to, text, len);
		return len;
	}
	if (!strncmp(text, "KeyUpdate", 9))
		return make_key_update(text[9] ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED, to);
	for (i = 0; strcmp(names[i].name, text); i++)
		CHECK(i + 1 < sizeof(names) / sizeof(names[0]));
	make_message(names[i].type, len, to);
	memcpy(to + 4, text, len);
	return 4 + len;
}

static void peer_say(struct conn *c, uint8_t type, const char *text)
{
	uint8_t said[64];

	peer_send(&c->peer, type, said, make_said(type, text, said));
}

static void peer_expect_said(struct conn *c, uint8_t type, const char *text)
{
	uint8_t said[64];

	peer_expect(&c->peer, type, said, make_said(type, text, said));
}

static void expect_said(struct conn *c, uint8_t type, const char *text)
{
	uint8_t said[64];

	expect_message(c->control, KSSL_MSG_RECORD, type, said, make_said(type, text, said));
}

static void batch_say(struct batch *b, uint8_t type, const char *text)
{
	uint8_t said[64];

	batch_record(b, type, said, make_said(type, text, said));
}

struct head {
	uint32_t writer;
	uint32_t number;
	uint32_t len;
	uint32_t last;
};

/**
 * struct load - writers on the kssl end, and what the peer has seen of them
 * @c: connection
 * @stop: the writers shall end
 * @ids: to tell them apart
 * @threads: the writers
 * @next: number of the next message of each
 * @ended: writers whose last message was seen
 * @records: messages seen
 */
struct load {
	struct conn *c;
	int stop;
	struct writer {
		struct load *load;
		uint32_t id;
	} ids[WRITERS];
	pthread_t threads[WRITERS];
	uint32_t next[WRITERS];
	int ended;
	unsigned long records;
};

static void *write_messages(void *arg)
{
	struct writer *w = arg;
	uint8_t data[3000];
	uint32_t i;

	for (i = 0;; i++) {
		struct head h = { w->id, i, sizeof(h) + (i * 61 + w->id * 301) % 2900, 0 };

		h.last = __atomic_load_n(&w->load->stop, __ATOMIC_ACQUIRE);
		memset(data, w->id, h.len);
		memcpy(data, &h, sizeof(h));
		EQ(SYS(send(w->load->c->fd, data, h.len, MSG_NOSIGNAL)), h.len);
		if (h.last)
			return NULL;
	}
}

/* Small buffers, so that what the peer waits for is not far behind. */
static void load_start(struct load *l, struct conn *c)
{
	int i, rcvbuf = 65536;

	conn_connect_bufs(c, 0, 32768);
	SYS(setsockopt(c->peer.fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)));
	conn_attach(c);
	c->control = SYS(take_control(c->fd));
	conn_hand_over(c);
	memset(l, 0, sizeof(*l));
	l->c = c;
	for (i = 0; i < WRITERS; i++) {
		l->ids[i] = (struct writer){ l, i };
		l->threads[i] = start(write_messages, &l->ids[i]);
	}
}

/* One message: the next of its writer, whole. */
static void check_message(struct load *l, const uint8_t *data, long n)
{
	struct head h;
	long i;

	CHECK(n >= (long)sizeof(h));
	memcpy(&h, data, sizeof(h));
	CHECK(h.writer < WRITERS);
	EQ(h.number, l->next[h.writer]);
	EQ(h.len, n);
	for (i = sizeof(h); i < n; i++)
		EQ(data[i], h.writer);
	l->next[h.writer]++;
	l->ended += h.last;
	l->records++;
}

enum { NO_DATA, SOME_DATA };

/* The next control record, which must be this one, behind data or not. */
static void expect_control(struct load *l, int data_may_come, uint8_t type, const char *text)
{
	uint8_t data[RECORD_MAX], said[64], got;
	long n;

	for (;;) {
		n = peer_recv(&l->c->peer, &got, data);
		CHECK(n >= 0);
		if (got != DATA)
			break;
		if (!data_may_come)
			check_failed(__FILE__, __LINE__, "application data before \"%s\"", text);
		check_message(l, data, n);
	}
	EQ(got, type);
	EQ(n, make_said(type, text, said));
	CHECK(!memcmp(data, said, n));
}

/* A few records more: data flows again. */
static void expect_flow(struct load *l)
{
	uint8_t data[RECORD_MAX], type;
	int i;

	for (i = 0; i < 20; i++) {
		long n = peer_recv(&l->c->peer, &type, data);

		EQ(type, DATA);
		check_message(l, data, n);
	}
}

static void load_stop(struct load *l)
{
	uint8_t data[RECORD_MAX], type;
	int i;

	__atomic_store_n(&l->stop, 1, __ATOMIC_RELEASE);
	while (l->ended < WRITERS) {
		long n = peer_recv(&l->c->peer, &type, data);

		EQ(type, DATA);
		check_message(l, data, n);
	}
	for (i = 0; i < WRITERS; i++)
		finish(l->threads[i]);
}

/* ---- renegotiation, RFC 5246 7.3 ---- */

static void as_client(void)
{
	struct batch *b = batch_new();
	struct kssl_status s;
	static struct load l;
	struct keys tx, rx;
	size_t at = 0;
	struct conn c;
	int i;

	load_start(&l, &c);
	for (i = 0; i < ROUNDS; i++) {
		tx = make_keys(100 + i);
		rx = make_keys(200 + i);
		expect_flow(&l);
		peer_say(&c, HANDSHAKE, "HelloRequest");
		expect_said(&c, HANDSHAKE, "HelloRequest");

		batch_op(b, KSSL_OP_HOLD);
		batch_say(b, HANDSHAKE, "ClientHello");
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		expect_control(&l, SOME_DATA, HANDSHAKE, "ClientHello");

		/* the server may go on sending data up to its ChangeCipherSpec */
		peer_send_pattern(&c.peer, at, 700, 100);
		peer_say(&c, HANDSHAKE, "ServerHello");
		expect_said(&c, HANDSHAKE, "ServerHello");
		batch_say(b, HANDSHAKE, "ClientKeyExchange");
		batch_say(b, CCS, "\1");
		batch_key(b, KSSL_OP_TX_KEY, &tx);
		batch_say(b, HANDSHAKE, "Finished");
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		/* from our ClientHello on nothing but the handshake */
		expect_control(&l, NO_DATA, HANDSHAKE, "ClientKeyExchange");
		expect_control(&l, NO_DATA, CCS, "\1");
		c.peer.rx = tx;
		expect_control(&l, NO_DATA, HANDSHAKE, "Finished");

		peer_send_pattern(&c.peer, at + 700, 300, 100);
		peer_say(&c, CCS, "\1");
		c.peer.tx = rx;
		peer_say(&c, HANDSHAKE, "Finished");
		peer_send_pattern(&c.peer, at + 1000, 500, 100);
		expect_said(&c, CCS, "\1");
		batch_key(b, KSSL_OP_RX_KEY, &rx);
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		expect_said(&c, HANDSHAKE, "Finished");
		/* what was there before the ChangeCipherSpec, and nothing else */
		recv_pattern(c.fd, at, 1000);
		EQ(ready(c.fd, POLLIN | POLLOUT), 0);
		EQ(status_of(c.fd).established, 0);

		batch_op(b, KSSL_OP_ESTABLISHED);
		batch_op(b, KSSL_OP_RELEASE);
		batch_op(b, KSSL_OP_CONTINUE);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		recv_pattern(c.fd, at + 1000, 500);
		at += 1500;
	}
	load_stop(&l);
	s = status_of(c.fd);
	EQ(s.handshakes, 1 + ROUNDS);
	EQ(s.tx.epoch, 1 + ROUNDS);
	EQ(s.rx.epoch, 1 + ROUNDS);
	EQ(s.holds, 1 + ROUNDS);
	EQ(s.rx.bytes, at);
	EQ(s.tx.records, l.records + 4 * ROUNDS);
	EQ(error_of(c.fd).err, 0);
}

static void as_server(void)
{
	struct batch *b = batch_new();
	static struct load l;
	struct keys tx, rx;
	size_t at = 0;
	struct conn c;
	int i;

	load_start(&l, &c);
	for (i = 0; i < ROUNDS; i++) {
		tx = make_keys(100 + i);
		rx = make_keys(200 + i);
		expect_flow(&l);
		batch_say(b, HANDSHAKE, "HelloRequest");
		SYS(batch_write(b, c.control));
		expect_control(&l, SOME_DATA, HANDSHAKE, "HelloRequest");
		expect_flow(&l);

		peer_send_pattern(&c.peer, at, 300, 100);
		peer_say(&c, HANDSHAKE, "ClientHello");
		/* no hold yet, so it is found when what is before it has been read */
		recv_pattern(c.fd, at, 300);
		expect_said(&c, HANDSHAKE, "ClientHello");
		batch_op(b, KSSL_OP_HOLD);
		batch_say(b, HANDSHAKE, "ServerHello");
		batch_say(b, HANDSHAKE, "ServerHelloDone");
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		expect_control(&l, SOME_DATA, HANDSHAKE, "ServerHello");
		expect_control(&l, NO_DATA, HANDSHAKE, "ServerHelloDone");

		/* the whole flight, and data behind it, in one go */
		peer_say(&c, HANDSHAKE, "ClientKeyExchange");
		peer_say(&c, CCS, "\1");
		c.peer.tx = rx;
		peer_say(&c, HANDSHAKE, "Finished");
		peer_send_pattern(&c.peer, at + 300, 200, 100);
		expect_said(&c, HANDSHAKE, "ClientKeyExchange");
		control_op(c.control, KSSL_OP_CONTINUE);
		expect_said(&c, CCS, "\1");
		batch_key(b, KSSL_OP_RX_KEY, &rx);
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		expect_said(&c, HANDSHAKE, "Finished");
		batch_op(b, KSSL_OP_ESTABLISHED);
		batch_say(b, CCS, "\1");
		batch_key(b, KSSL_OP_TX_KEY, &tx);
		batch_say(b, HANDSHAKE, "Finished");
		batch_op(b, KSSL_OP_RELEASE);
		batch_op(b, KSSL_OP_CONTINUE);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		expect_control(&l, NO_DATA, CCS, "\1");
		c.peer.rx = tx;
		expect_control(&l, NO_DATA, HANDSHAKE, "Finished");
		recv_pattern(c.fd, at + 300, 200);
		at += 500;
	}
	load_stop(&l);
	EQ(status_of(c.fd).handshakes, 1 + ROUNDS);
	EQ(status_of(c.fd).tx.epoch, 1 + ROUNDS);
	EQ(status_of(c.fd).rx.bytes, at);
	EQ(error_of(c.fd).err, 0);
}

/* Data between ChangeCipherSpec and Finished is refused, under new keys too. */
static void data_before_finished(void)
{
	struct batch *b = batch_new();
	struct keys rx;
	struct conn c;
	uint8_t byte;

	conn_open_attended(&c);
	rx = make_keys(5);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_say(&c, CCS, "\1");
	c.peer.tx = rx;
	peer_send_pattern(&c.peer, 100, 100, 100);
	recv_pattern(c.fd, 0, 100);
	expect_said(&c, CCS, "\1");
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
	EQ(status_of(c.fd).rx.bytes, 100);
}

/* ---- KeyUpdate, RFC 8446 4.6.3 ---- */

static void key_update(void)
{
	struct batch *b = batch_new();
	static struct load l;
	struct keys tx, rx;
	size_t at = 0;
	struct conn c;
	int i;

	load_start(&l, &c);
	for (i = 0; i < 5 * ROUNDS; i++) {
		tx = make_keys(100 + i);
		rx = make_keys(200 + i);
		expect_flow(&l);
		peer_send_pattern(&c.peer, at, 300, 100);
		peer_say(&c, HANDSHAKE, "KeyUpdate, requested");
		c.peer.tx = rx;
		peer_send_pattern(&c.peer, at + 300, 200, 100);
		recv_pattern(c.fd, at, 300);
		expect_said(&c, HANDSHAKE, "KeyUpdate, requested");
		batch_key(b, KSSL_OP_RX_KEY, &rx);
		batch_say(b, HANDSHAKE, "KeyUpdate");
		batch_key(b, KSSL_OP_TX_KEY, &tx);
		batch_op(b, KSSL_OP_CONTINUE);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		/* no ESTABLISHED: it needs no Finished */
		recv_pattern(c.fd, at + 300, 200);
		at += 500;
		expect_control(&l, SOME_DATA, HANDSHAKE, "KeyUpdate");
		c.peer.rx = tx;
	}
	load_stop(&l);
	EQ(status_of(c.fd).handshakes, 1 + 5 * ROUNDS);
	EQ(status_of(c.fd).tx.epoch, 1 + 5 * ROUNDS);
	EQ(status_of(c.fd).rx.bytes, at);
	EQ(error_of(c.fd).err, 0);
}

static void *write_one(void *arg)
{
	struct conn *c = arg;

	EQ(SYS(send(c->fd, "data", 4, MSG_NOSIGNAL)), 4);
	return NULL;
}

/* The answer is sent before the next application data (RFC 8446 4.6.3). */
static void answer_comes_first(void)
{
	struct batch *b = batch_new();
	struct conn c;
	struct keys tx;
	pthread_t t;

	conn_open_attended(&c);
	peer_say(&c, HANDSHAKE, "KeyUpdate, requested");
	expect_said(&c, HANDSHAKE, "KeyUpdate, requested");
	t = start(write_one, &c);
	FAILS(send(c.fd, "no", 2, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	tx = make_keys(5);
	batch_say(b, HANDSHAKE, "KeyUpdate");
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	peer_expect_said(&c, HANDSHAKE, "KeyUpdate");
	c.peer.rx = tx;
	peer_expect(&c.peer, DATA, "data", 4);
	finish(t);
}

/* Also before what MSG_MORE had left open, which then goes under the new key. */
static void answer_before_open_record(void)
{
	struct batch *b = batch_new();
	struct conn c;
	struct keys tx;

	conn_open_attended(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_say(&c, HANDSHAKE, "KeyUpdate, requested");
	expect_said(&c, HANDSHAKE, "KeyUpdate, requested");
	tx = make_keys(5);
	batch_say(b, HANDSHAKE, "KeyUpdate");
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	peer_expect_said(&c, HANDSHAKE, "KeyUpdate");
	c.peer.rx = tx;
	EQ(SYS(send(c.fd, "closed", 6, MSG_NOSIGNAL)), 6);
	peer_expect(&c.peer, DATA, "openclosed", 10);
}

/* Our own KeyUpdate needs nobody's answer. */
static void own_key_update(void)
{
	struct batch *b = batch_new();
	static struct load l;
	struct keys tx;
	struct conn c;
	int i;

	load_start(&l, &c);
	for (i = 0; i < 5 * ROUNDS; i++) {
		tx = make_keys(100 + i);
		batch_say(b, HANDSHAKE, "KeyUpdate");
		batch_key(b, KSSL_OP_TX_KEY, &tx);
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		expect_control(&l, SOME_DATA, HANDSHAKE, "KeyUpdate");
		c.peer.rx = tx;
		expect_flow(&l);
	}
	load_stop(&l);
	EQ(status_of(c.fd).tx.epoch, 1 + 5 * ROUNDS);
	EQ(status_of(c.fd).holds, 1);
}

static const struct test tests[] = {
	{ "as_client", ONLY_12, as_client },
	{ "as_server", ONLY_12, as_server },
	{ "data_before_finished", ONLY_12, data_before_finished },
	{ "key_update", ONLY_13, key_update },
	{ "answer_comes_first", ONLY_13, answer_comes_first },
	{ "answer_before_open_record", ONLY_13, answer_before_open_record },
	{ "own_key_update", ONLY_13, own_key_update },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
