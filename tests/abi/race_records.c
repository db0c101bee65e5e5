// SPDX-License-Identifier: MIT
/*
 * Attacks on the borders of records: every short sequence of data, empty and control
 * records against short reads and peeks; keys that change at every byte of the
 * stream.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

/* Starts the KeyUpdate of TLS 1.3, and is a mere handshake record before. */
static const uint8_t key_update[] = { 24, 0, 0, 1, 0 };
static const uint8_t ticket[] = { 4, 0, 0, 1, 7 };

/* ---- peek, short reads, type changes, zero length ---- */

enum kind { BYTE, LONG, EMPTY, CONTROL, KINDS };

#define LENGTH		4
#define SEQUENCES	(KINDS * KINDS * KINDS * KINDS)

/* What a reader must see: control records by themselves, data joined, nothing of empty ones. */
struct stream {
	uint8_t data[LENGTH * 16];
	uint8_t type[LENGTH * 16];
	size_t len;
};

static void add(struct stream *s, uint8_t type, const void *content, size_t len)
{
	memcpy(s->data + s->len, content, len);
	memset(s->type + s->len, type, len);
	s->len += len;
}

static void send_sequence(struct conn *c, unsigned int which, struct stream *s)
{
	unsigned int i;

	s->len = 0;
	for (i = 0; i < LENGTH; i++, which /= KINDS) {
		switch (which % KINDS) {
		case BYTE:
			peer_send(&c->peer, DATA, "x", 1);
			add(s, DATA, "x", 1);
			break;
		case LONG:
			peer_send(&c->peer, DATA, "a longer one", 12);
			add(s, DATA, "a longer one", 12);
			break;
		case EMPTY:
			peer_send(&c->peer, DATA, "", 0);
			break;
		case CONTROL:
			peer_send(&c->peer, HANDSHAKE, ticket, sizeof(ticket));
			add(s, HANDSHAKE, ticket, sizeof(ticket));
			break;
		}
	}
	/* The next sequence begins with something, and this one ends. */
	peer_send(&c->peer, DATA, "|", 1);
	add(s, DATA, "|", 1);
}

static void read_at(struct conn *c, const struct stream *s, size_t *at, size_t len, int flags)
{
	uint8_t data[64], type;
	long n = SYS(recv_typed(c->fd, &type, data, len, flags));
	long i;

	CHECK(n > 0 && n <= (long)len);
	for (i = 0; i < n; i++) {
		CHECK(*at + i < s->len);
		EQ(data[i], s->data[*at + i]);
		EQ(type, s->type[*at + i]);
	}
	if (!(flags & MSG_PEEK))
		*at += n;
}

static void sequences(size_t len, size_t peek)
{
	unsigned int which;
	struct stream s;
	struct conn c;

	conn_open(&c);
	for (which = 0; which < SEQUENCES; which++) {
		size_t at = 0;

		send_sequence(&c, which, &s);
		while (at < s.len) {
			if (peek)
				read_at(&c, &s, &at, peek, MSG_PEEK);
			read_at(&c, &s, &at, len, 0);
		}
	}
	EQ(error_of(c.fd).err, 0);
	EQ(ready(c.fd, POLLIN), 0);
}

static void sequences_byte_by_byte(void)
{
	sequences(1, 0);
}

static void sequences_long_reads(void)
{
	sequences(64, 0);
}

static void sequences_peeked(void)
{
	sequences(5, 64);
}

static void sequences_peeked_short(void)
{
	sequences(64, 3);
}

/* CVE-2025-39682: an empty record between others is lost, and types are not mixed. */
static void cve_2025_39682_zero_length(void)
{
	uint8_t data[64], type;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "", 0);
	peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
	peer_send(&c.peer, DATA, "", 0);
	peer_send(&c.peer, DATA, "data", 4);
	peer_send(&c.peer, DATA, "", 0);
	peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
	peer_settle(&c.peer);
	FAILS(recv(c.fd, data, sizeof(data), 0), EIO);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK)), sizeof(ticket));
	EQ(type, HANDSHAKE);
	expect_typed(c.fd, HANDSHAKE, ticket, sizeof(ticket));
	expect_typed(c.fd, DATA, "data", 4);
	expect_typed(c.fd, HANDSHAKE, ticket, sizeof(ticket));
	FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
}

/* CVE-2024-58239: a read that has given a control record is over, whatever is behind it. */
static void cve_2024_58239_read_past_control(void)
{
	uint8_t data[64], type;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
	peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
	peer_send(&c.peer, DATA, "data", 4);
	peer_settle(&c.peer);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_WAITALL)), sizeof(ticket));
	EQ(type, HANDSHAKE);
	EQ(SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_WAITALL)), sizeof(ticket));
	EQ(type, HANDSHAKE);
	expect_typed(c.fd, DATA, "data", 4);
}

/* CVE-2026-74611: a read that failed half way starts where it started. */
static void cve_2026_74611_iov_restored(void)
{
	uint8_t data[100];
	struct iovec iov[2] = { { data, 10 }, { nowhere, 100 } };
	struct conn c;
	int i;

	conn_open(&c);
	for (i = 0; i < 10; i++) {
		size_t at = 0;
		long n;

		peer_send_pattern(&c.peer, 0, 100, 100);
		peer_settle(&c.peer);
		n = readv(c.fd, iov, 2);
		if (n < 0) {
			EQ(errno, EFAULT);
		} else {
			check_pattern(data, 0, n);
			at = n;
		}
		recv_pattern(c.fd, at, 100 - at);
	}
}

/* ---- keys at every byte boundary ---- */

/*
 * Data, announcement, data under the next key, cut in two at @cut: the reader sees
 * the same whatever it tries between the two.
 */
static void cut_at(struct conn *c, size_t cut, const struct keys *next)
{
	uint8_t stream[3 * 128], data[64], type;
	size_t len = 0, part;
	struct keys k = *next;
	int announced = 0;

	len += seal(&c->peer.tx, DATA, "old", 3, stream);
	if (is_13())
		len += seal(&c->peer.tx, HANDSHAKE, key_update, sizeof(key_update), stream + len);
	else
		len += seal(&c->peer.tx, CCS, "\1", 1, stream + len);
	c->peer.tx = k;
	len += seal(&c->peer.tx, DATA, "new", 3, stream + len);
	part = cut % len;

	peer_write(&c->peer, stream, part);
	peer_settle(&c->peer);
	ready(c->fd, POLLIN);
	if (recv(c->fd, data, 3, MSG_DONTWAIT | MSG_PEEK) > 0)
		CHECK(!memcmp(data, "old", 3));
	peer_write(&c->peer, stream + part, len - part);
	expect_typed(c->fd, DATA, "old", 3);
	EQ(SYS(recv_typed(c->fd, &type, data, sizeof(data), 0)), is_13() ? 5 : 1);
	EQ(type, is_13() ? HANDSHAKE : CCS);
	announced = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
	CHECK(announced < 0);
	EQ(errno, EKEYEXPIRED);
	SYS(set_key(c->fd, KSSL_RX_KEY, &k));
	expect_typed(c->fd, DATA, "new", 3);
}

static void rekey_at_every_byte(void)
{
	unsigned int cut;
	struct conn c;

	conn_open(&c);
	for (cut = 0; cut < 260; cut++) {
		struct keys next = make_keys(cut + 3);

		cut_at(&c, cut, &next);
	}
	EQ(status_of(c.fd).rx.epoch, 261);
}

/* The same with a helper, which also sees what came before its answer, once. */
static void bounce_at_every_byte(void)
{
	unsigned int cut;
	struct conn c;

	conn_open_attended(&c);
	for (cut = 0; cut < 350; cut++) {
		struct keys next = make_keys(cut + 3);
		uint8_t stream[4 * 128];
		struct batch *b;
		size_t len = 0, part;

		len += seal(&c.peer.tx, DATA, "old", 3, stream);
		len += seal(&c.peer.tx, HANDSHAKE, key_update, sizeof(key_update), stream + len);
		/* A second request while the first one is pending. */
		len += seal(&c.peer.tx, HANDSHAKE, ticket, sizeof(ticket), stream + len);
		c.peer.tx = next;
		len += seal(&c.peer.tx, DATA, "new", 3, stream + len);
		part = cut % len;

		peer_write(&c.peer, stream, part);
		peer_settle(&c.peer);
		ready(c.fd, POLLIN);
		ready(c.control, POLLIN);
		peer_write(&c.peer, stream + part, len - part);
		expect_typed(c.fd, 0, "old", 3);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, key_update,
			       sizeof(key_update));
		EQ(ready(c.control, POLLIN), 0);
		control_op(c.control, KSSL_OP_CONTINUE);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, ticket, sizeof(ticket));
		EQ(ready(c.fd, POLLIN), 0);
		b = batch_new();
		batch_key(b, KSSL_OP_RX_KEY, &next);
		batch_op(b, KSSL_OP_ESTABLISHED);
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		free(b);
		expect_typed(c.fd, 0, "new", 3);
	}
	EQ(error_of(c.fd).err, 0);
}

/* ---- a key that comes while others use the old one ---- */

struct halves {
	struct conn c;
	int stop;
};

static void *read_all_the_time(void *arg)
{
	struct halves *h = arg;
	uint8_t data[64], type;

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		recv_typed(h->c.fd, &type, data, sizeof(data), MSG_DONTWAIT | MSG_PEEK);
		recv(h->c.fd, data, 0, MSG_DONTWAIT);
		ready(h->c.fd, POLLIN);
		queued_bytes(h->c.fd);
	}
	return NULL;
}

/* The record whose first half is here is opened with the key that is there when it is whole. */
static void key_in_the_middle_of_a_record(void)
{
	uint8_t record[RECORD_MAX];
	struct halves h = {};
	pthread_t t;
	size_t len;
	int i;

	conn_open(&h.c);
	t = start(read_all_the_time, &h);
	for (i = 0; i < 200; i++) {
		struct keys next = make_keys(i + 3);

		h.c.peer.tx = next;
		len = seal(&h.c.peer.tx, DATA, "under the next key", 18, record);
		peer_write(&h.c.peer, record, len / 2);
		if (i & 1)
			peer_settle(&h.c.peer);
		SYS(set_key(h.c.fd, KSSL_RX_KEY, &next));
		peer_write(&h.c.peer, record + len / 2, len - len / 2);
		expect_typed(h.c.fd, DATA, "under the next key", 18);
	}
	__atomic_store_n(&h.stop, 1, __ATOMIC_RELAXED);
	finish(t);
	EQ(error_of(h.c.fd).err, 0);
}

/* A key that does not fit what is half received ends in one defined error. */
static void wrong_key_in_the_middle_of_a_record(void)
{
	uint8_t record[RECORD_MAX], byte;
	struct halves h = {};
	struct keys other;
	pthread_t t;
	size_t len;

	conn_open(&h.c);
	other = make_keys(9);
	t = start(read_all_the_time, &h);
	len = seal(&h.c.peer.tx, DATA, "under the old key", 17, record);
	peer_write(&h.c.peer, record, len - 1);
	peer_settle(&h.c.peer);
	SYS(set_key(h.c.fd, KSSL_RX_KEY, &other));
	peer_write(&h.c.peer, record + len - 1, 1);
	FAILS(recv(h.c.fd, &byte, 1, 0), EBADMSG);
	__atomic_store_n(&h.stop, 1, __ATOMIC_RELAXED);
	finish(t);
	peer_expect_alert(&h.c.peer, FATAL, BAD_RECORD_MAC);
	EQ(error_of(h.c.fd).err, EBADMSG);
}

static void *sleep_in_recv(void *arg)
{
	struct conn *c = arg;

	recv_pattern(c->fd, 0, 20000);
	return NULL;
}

static void key_under_a_sleeping_reader(void)
{
	struct conn c;
	pthread_t t;
	int i;

	for (i = 0; i < 30; i++) {
		struct keys next = make_keys(i + 3);

		conn_open(&c);
		t = start(sleep_in_recv, &c);
		peer_send_pattern(&c.peer, 0, 10000, 3000);
		/* All that is under the old key is read. */
		while (status_of(c.fd).rx.bytes < 10000)
			usleep(100);
		SYS(set_key(c.fd, KSSL_RX_KEY, &next));
		c.peer.tx = next;
		peer_send_pattern(&c.peer, 10000, 10000, 3000);
		finish(t);
		close(c.fd);
		close(c.peer.fd);
	}
}

/* CVE-2023-28466: asking while keys are set. */
static void *ask_all_the_time(void *arg)
{
	struct halves *h = arg;

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		CHECK(status_of(h->c.fd).tx.version == v->suite.version);
		EQ(error_of(h->c.fd).err, 0);
	}
	return NULL;
}

static void cve_2023_28466_ask_while_set(void)
{
	struct halves h = {};
	pthread_t t[2];
	int i;

	conn_open(&h.c);
	t[0] = start(ask_all_the_time, &h);
	t[1] = start(ask_all_the_time, &h);
	for (i = 0; i < 300; i++) {
		struct keys k = make_keys(i);

		SYS(set_key(h.c.fd, i & 1 ? KSSL_TX_KEY : KSSL_RX_KEY, &k));
	}
	__atomic_store_n(&h.stop, 1, __ATOMIC_RELAXED);
	finish(t[0]);
	finish(t[1]);
	EQ(status_of(h.c.fd).tx.epoch, 151);
	EQ(status_of(h.c.fd).rx.epoch, 151);
}

static const struct test tests[] = {
	{ "sequences_byte_by_byte", FORMATS, sequences_byte_by_byte },
	{ "sequences_long_reads", FORMATS, sequences_long_reads },
	{ "sequences_peeked", FORMATS, sequences_peeked },
	{ "sequences_peeked_short", FORMATS, sequences_peeked_short },
	{ "cve_2025_39682_zero_length", VERSIONS, cve_2025_39682_zero_length },
	{ "cve_2024_58239_read_past_control", VERSIONS, cve_2024_58239_read_past_control },
	{ "cve_2026_74611_iov_restored", VERSIONS, cve_2026_74611_iov_restored },
	{ "rekey_at_every_byte", VERSIONS, rekey_at_every_byte },
	{ "bounce_at_every_byte", VERSIONS, bounce_at_every_byte },
	{ "key_in_the_middle_of_a_record", VERSIONS, key_in_the_middle_of_a_record },
	{ "wrong_key_in_the_middle_of_a_record", VERSIONS, wrong_key_in_the_middle_of_a_record },
	{ "key_under_a_sleeping_reader", VERSIONS, key_under_a_sleeping_reader },
	{ "cve_2023_28466_ask_while_set", VERSIONS, cve_2023_28466_ask_while_set },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
