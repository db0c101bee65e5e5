// SPDX-License-Identifier: MIT
/*
 * Usage limits of keys: where a new one is asked for, and where the old one ends.
 * Limits of the suites: RFC 8446 5.5, RFC 9147 4.5.3.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cipher.h"
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define LARGE		(1ULL << 40)

/* 2^24.5, of which the fraction is no record */
#define GCM_LIMIT	23726566ULL
#define CCM_LIMIT	(1ULL << 23)

/* One record of one byte each. */
static void send_records(struct conn *c, int count)
{
	while (count--)
		EQ(SYS(send(c->fd, "x", 1, MSG_NOSIGNAL)), 1);
}

static void peer_expect_records(struct conn *c, int count)
{
	while (count--)
		peer_expect(&c->peer, DATA, "x", 1);
}

static void peer_send_records(struct conn *c, int count)
{
	while (count--)
		peer_send(&c->peer, DATA, "x", 1);
}

static void recv_records(struct conn *c, int count)
{
	uint8_t byte;

	while (count--)
		EQ(SYS(recv(c->fd, &byte, 1, 0)), 1);
}

static void expect_rekey(struct conn *c, unsigned int reasons)
{
	struct kssl_msg m = get_event(c->control, KSSL_EV_REKEY);

	EQ(m.value, reasons);
}

static void expect_silence(struct conn *c)
{
	EQ(ready(c->control, POLLIN), 0);
}

/* Where soft limits have their default, a key near its end asks for another one. */
static void skip_rekeys(struct conn *c)
{
	struct message m;

	while (ready(c->control, POLLIN)) {
		SYS(read_message(c->control, &m));
		EQ(m.head.kind, KSSL_MSG_EVENT);
		EQ(m.head.type, KSSL_EV_REKEY);
	}
}

/* New keys both ways, as a helper brings them. */
static void new_keys(struct conn *c, unsigned int seed)
{
	struct keys tx = make_keys(seed), rx = make_keys(seed + 1);
	struct batch *b = batch_new();

	peer_send_message(&c->peer, FINISHED, 12);
	expect_handshake(c->control, FINISHED, 12);
	batch_message(b, FINISHED, 12);
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_DONE);
	SYS(batch_write(b, c->control));
	free(b);
	peer_expect_message(&c->peer, FINISHED, 12);
	c->peer.rx = tx;
	c->peer.tx = rx;
}

static void open_with(struct conn *c, const struct kssl_policy *p)
{
	conn_attend(c);
	SYS(set_policy(c->fd, p));
	conn_hand_over(c);
}

/* ---- a new key is wanted ---- */

static void tx_soft(void)
{
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .tx_soft = 10 });
	for (i = 0; i < 3; i++) {
		send_records(&c, 9);
		expect_silence(&c);
		send_records(&c, 1);
		expect_rekey(&c, KSSL_REKEY_TX);
		/* once for each key */
		send_records(&c, 20);
		expect_silence(&c);
		peer_expect_records(&c, 30);
		new_keys(&c, 10 + 2 * i);
	}
	EQ(error_of(c.fd).err, 0);
}

static void rx_soft(void)
{
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .rx_soft = 10 });
	for (i = 0; i < 3; i++) {
		peer_send_records(&c, 9);
		recv_records(&c, 9);
		expect_silence(&c);
		peer_send_records(&c, 1);
		recv_records(&c, 1);
		expect_rekey(&c, KSSL_REKEY_RX);
		peer_send_records(&c, 20);
		recv_records(&c, 20);
		expect_silence(&c);
		new_keys(&c, 10 + 2 * i);
	}
	EQ(error_of(c.fd).err, 0);
}

/* All reasons since it was last read. */
static void reasons_together(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){
		.tx_soft = 5, .rx_soft = 5, .rekey_bytes = 8, .rekey_records = 9,
	});
	send_records(&c, 12);
	peer_send_records(&c, 12);
	recv_records(&c, 12);
	expect_rekey(&c, KSSL_REKEY_TX | KSSL_REKEY_RX | KSSL_REKEY_BYTES | KSSL_REKEY_RECORDS);
	expect_silence(&c);
	peer_expect_records(&c, 12);
	new_keys(&c, 10);
	send_records(&c, 4);
	expect_silence(&c);
	send_records(&c, 1);
	expect_rekey(&c, KSSL_REKEY_TX);
}

static void send_bytes(struct conn *c, size_t len)
{
	send_pattern(c->fd, 0, len);
	peer_expect_pattern(&c->peer, 0, len);
}

static void recv_bytes(struct conn *c, size_t len)
{
	peer_send_pattern(&c->peer, 0, len, 1000);
	recv_pattern(c->fd, 0, len);
}

/* Application bytes, whichever way they go. */
static void rekey_bytes(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .rekey_bytes = 50000 });
	send_bytes(&c, 49999);
	expect_silence(&c);
	send_bytes(&c, 1);
	expect_rekey(&c, KSSL_REKEY_BYTES);
	send_bytes(&c, 100000);
	expect_silence(&c);
	new_keys(&c, 10);
	recv_bytes(&c, 49000);
	expect_silence(&c);
	recv_bytes(&c, 1000);
	expect_rekey(&c, KSSL_REKEY_BYTES);
	new_keys(&c, 20);
	send_bytes(&c, 20000);
	recv_bytes(&c, 20000);
	expect_silence(&c);
}

static void rekey_records(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .rekey_records = 20 });
	send_records(&c, 19);
	expect_silence(&c);
	send_records(&c, 1);
	expect_rekey(&c, KSSL_REKEY_RECORDS);
	peer_expect_records(&c, 20);
	new_keys(&c, 10);
	peer_send_records(&c, 18);
	recv_records(&c, 18);
	expect_silence(&c);
	peer_send_records(&c, 2);
	recv_records(&c, 2);
	expect_rekey(&c, KSSL_REKEY_RECORDS);
}

/* Again and again, for as long as the keys are new each time. */
static void rekey_ms(void)
{
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .rekey_ms = 20 });
	for (i = 0; i < 3; i++) {
		expect_rekey(&c, KSSL_REKEY_TIME);
		/* A key that was old before its handshake was over is asked for once more. */
		skip_rekeys(&c);
		new_keys(&c, 10 + 2 * i);
	}
	EQ(error_of(c.fd).err, 0);
}

/* A limit that a key has passed when the policy comes is passed. */
static void soft_set_late(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){});
	send_records(&c, 20);
	peer_expect_records(&c, 20);
	expect_silence(&c);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .tx_soft = 10 }));
	send_records(&c, 1);
	expect_rekey(&c, KSSL_REKEY_TX);
}

/*
 * Up to TLS 1.2 the handshake would be behind data that nobody reads, so it is asked
 * for when everything was read.
 */
static void when_all_was_read(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .tx_soft = 10 });
	peer_send_records(&c, 3);
	peer_settle(&c.peer);
	EQ(ready(c.fd, POLLIN), POLLIN);
	send_records(&c, 30);
	peer_expect_records(&c, 30);
	expect_silence(&c);
	recv_records(&c, 3);
	/* that nothing more is there is known when the reader is told so */
	FAILS(recv(c.fd, &(uint8_t){ 0 }, 1, MSG_DONTWAIT), EAGAIN);
	expect_rekey(&c, KSSL_REKEY_TX);
}

/* In TLS 1.3 a KeyUpdate does not care who reads. */
static void at_once_13(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .tx_soft = 10 });
	peer_send_records(&c, 3);
	peer_settle(&c.peer);
	EQ(ready(c.fd, POLLIN), POLLIN);
	send_records(&c, 10);
	expect_rekey(&c, KSSL_REKEY_TX);
}

/* ---- the end of a key ---- */

static void check_expired(struct conn *c)
{
	struct kssl_error e = error_of(c->fd);

	EQ(e.err, EKEYEXPIRED);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 0);
	CHECK(e.text[0]);
}

static void tx_hard(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10 });
	send_records(&c, 10);
	FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL), EKEYEXPIRED);
	FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL), EKEYEXPIRED);
	FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL | MSG_DONTWAIT), EKEYEXPIRED);
	check_expired(&c);
	CHECK(status_of(c.fd).tx.bytes == 10);
	/* what was sealed before arrives */
	peer_expect_records(&c, 10);
	EQ(status_of(c.fd).tx.seq, c.peer.rx.seq);
}

/* One write that needs more records than there are: those that may go do. */
static void tx_hard_in_one_write(void)
{
	uint8_t *data = malloc(100000);
	size_t got = 0;
	struct conn c;
	long n;

	CHECK(data);
	pattern(data, 0, 100000);
	open_with(&c, &(struct kssl_policy){ .tx_hard = 3 });
	n = send(c.fd, data, 100000, MSG_NOSIGNAL);
	if (n < 0)
		EQ(errno, EKEYEXPIRED);
	else
		EQ(n, 3 * 16384);
	FAILS(send(c.fd, data, 1, MSG_NOSIGNAL), EKEYEXPIRED);
	for (; got < 3 * 16384; got += 16384)
		peer_expect_pattern(&c.peer, got, 16384);
	check_expired(&c);
	free(data);
}

/* An open record is none yet; the last one may be left open, but not one more. */
static void tx_hard_open_record(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 2 });
	send_records(&c, 1);
	EQ(SYS(send(c.fd, "a", 1, MSG_MORE | MSG_NOSIGNAL)), 1);
	EQ(SYS(send(c.fd, "b", 1, MSG_NOSIGNAL)), 1);
	FAILS(send(c.fd, "c", 1, MSG_MORE | MSG_NOSIGNAL), EKEYEXPIRED);
	peer_expect_records(&c, 1);
	peer_expect(&c.peer, DATA, "ab", 2);
	check_expired(&c);
}

/* A file: what the records hold that may go, then the error. */
static void tx_hard_sendfile(void)
{
	uint8_t *data = malloc(100000);
	int file = SYS(memfd_create("file", 0));
	size_t sent = 0;
	struct conn c;
	long n;

	CHECK(data);
	pattern(data, 0, 100000);
	EQ(SYS(write(file, data, 100000)), 100000);
	SYS(lseek(file, 0, SEEK_SET));
	free(data);
	open_with(&c, &(struct kssl_policy){ .tx_hard = 3 });
	while ((n = sendfile(c.fd, file, NULL, 100000)) > 0)
		sent += n;
	FAILS(n, EKEYEXPIRED);
	CHECK(sent <= 3 * 16384);
	CHECK(status_of(c.fd).tx.bytes <= 3 * 16384);
	peer_expect_pattern(&c.peer, 0, status_of(c.fd).tx.bytes);
	check_expired(&c);
}

/* A new key before the old one is used up: nothing happens at all. */
static void tx_hard_new_key(void)
{
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10, .rx_hard = 10 });
	for (i = 0; i < 3; i++) {
		send_records(&c, 10);
		peer_expect_records(&c, 10);
		/* the last record with a number under 10 is still legal for the peer */
		peer_send_records(&c, 9);
		recv_records(&c, 9);
		skip_rekeys(&c);
		new_keys(&c, 10 + 2 * i);
	}
	EQ(error_of(c.fd).err, 0);
}

/* It holds for application data; the handshake that brings the next key goes. */
static void control_beyond_hard(void)
{
	struct batch *b = batch_new();
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10 });
	send_records(&c, 10);
	peer_expect_records(&c, 10);
	for (i = 0; i < 5; i++)
		batch_message(b, FINISHED, 12);
	SYS(batch_write(b, c.control));
	for (i = 0; i < 5; i++)
		peer_expect_message(&c.peer, FINISHED, 12);
	EQ(error_of(c.fd).err, 0);
	skip_rekeys(&c);
	new_keys(&c, 10);
	send_records(&c, 10);
	peer_expect_records(&c, 10);
}

/* So does close_notify. */
static void close_at_hard(void)
{
	struct conn c;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10 });
	send_records(&c, 10);
	close(c.fd);
	peer_expect_records(&c, 10);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* And a fatal alert. */
static void alert_at_hard(void)
{
	uint8_t record[RECORD_MAX], byte;
	struct conn c;
	size_t len;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10 });
	send_records(&c, 10);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	peer_expect_records(&c, 10);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
}

static void *write_one(void *arg)
{
	struct conn *c = arg;

	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), EKEYEXPIRED);
	return NULL;
}

/* Everybody who waits is told. */
static void tx_hard_many(void)
{
	pthread_t t[4];
	struct conn c;
	int i;

	open_with(&c, &(struct kssl_policy){ .tx_hard = 10 });
	send_records(&c, 10);
	for (i = 0; i < 4; i++)
		t[i] = start(write_one, &c);
	for (i = 0; i < 4; i++)
		finish(t[i]);
	CHECK(ready(c.fd, POLLOUT) & POLLERR);
	peer_expect_records(&c, 10);
}

static void rx_hard(void)
{
	struct conn c;
	uint8_t byte;

	open_with(&c, &(struct kssl_policy){ .rx_hard = 10 });
	peer_send_records(&c, 12);
	recv_records(&c, 10);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	check_expired(&c);
	EQ(status_of(c.fd).rx.bytes, 10);
}

/* Unattended sockets have the hard limits too, and the next key frees sending. */
static void unattended(void)
{
	struct keys next = make_keys(9);
	struct conn c;
	int i;

	conn_open(&c);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .tx_hard = 5, .tx_soft = 3 }));
	for (i = 0; i < 2; i++) {
		send_records(&c, 5);
		FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL), EKEYEXPIRED);
		FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL | MSG_DONTWAIT), EKEYEXPIRED);
		EQ(error_of(c.fd).err, 0);
		/* an event loop does not spin on it */
		EQ(ready(c.fd, POLLOUT), 0);
		/* the record that announces the key goes */
		EQ(send_typed(c.fd, HANDSHAKE, "\30\0\0\1\0", 5, 0), 5);
		SYS(set_key(c.fd, KSSL_TX_KEY, &next));
		peer_expect_records(&c, 5);
		peer_expect(&c.peer, HANDSHAKE, "\30\0\0\1\0", 5);
		c.peer.rx = next;
		next = make_keys(10);
	}
	send_records(&c, 1);
	peer_expect_records(&c, 1);
}

static void unattended_rx(void)
{
	struct conn c;
	uint8_t byte;

	conn_open(&c);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .rx_hard = 5 }));
	peer_send_records(&c, 6);
	recv_records(&c, 5);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	check_expired(&c);
}

/* ---- counts begin at the number that the key came with ---- */

static void hand_over_at(struct conn *c, const struct kssl_policy *p, uint64_t seq)
{
	struct keys tx = make_keys(1), rx = make_keys(2);

	tx.seq = seq;
	rx.seq = seq;
	conn_attend(c);
	SYS(set_policy(c->fd, p));
	conn_hand_over_keys(c, &tx, &rx);
}

static void begins_at_seq(void)
{
	struct conn c;
	uint8_t byte;

	hand_over_at(&c, &(struct kssl_policy){ .tx_soft = 105 }, 100);
	send_records(&c, 4);
	expect_silence(&c);
	send_records(&c, 1);
	expect_rekey(&c, KSSL_REKEY_TX);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .tx_hard = 110, .rx_hard = 110 }));
	send_records(&c, 5);
	peer_send_records(&c, 11);
	recv_records(&c, 10);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	peer_expect_records(&c, 10);
}

/* 0: there is none that anybody could reach. */
static uint64_t suite_limit(void)
{
	switch (protection_of(v->suite.suite, v->suite.version)->mode) {
	case GCM:
		return GCM_LIMIT;
	case CCM:
		return CCM_LIMIT;
	default:
		return 0;
	}
}

static void of_the_suite(const struct kssl_policy *p)
{
	uint64_t limit = suite_limit();
	struct conn c;

	hand_over_at(&c, p, limit ? limit - 3 : LARGE);
	if (!limit) {
		send_records(&c, 10);
		peer_expect_records(&c, 10);
		peer_send_records(&c, 10);
		recv_records(&c, 10);
		expect_silence(&c);
		return;
	}
	/* so near its end a new key is wanted, whatever the soft limit is */
	send_records(&c, 3);
	CHECK(get_event(c.control, KSSL_EV_REKEY).value & KSSL_REKEY_TX);
	FAILS(send(c.fd, "no", 2, MSG_NOSIGNAL), EKEYEXPIRED);
	peer_expect_records(&c, 3);
	check_expired(&c);
	close(c.fd);
	close(c.control);
	close(c.peer.fd);
}

static void suite_limit_tx(void)
{
	of_the_suite(&(struct kssl_policy){});
}

/* A policy above the suite's limit is the suite's. */
static void suite_limit_above(void)
{
	of_the_suite(&(struct kssl_policy){
		.tx_soft = LARGE * 2, .tx_hard = LARGE * 2, .rx_soft = LARGE * 2,
		.rx_hard = LARGE * 2,
	});
}

static void suite_limit_rx(void)
{
	uint64_t limit = suite_limit();
	struct conn c;
	uint8_t byte;

	hand_over_at(&c, &(struct kssl_policy){ .rx_hard = LARGE * 2 }, limit ? limit - 3 : LARGE);
	peer_send_records(&c, 4);
	recv_records(&c, 3);
	if (limit) {
		FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
		check_expired(&c);
	} else {
		recv_records(&c, 1);
	}
}

/* The soft limit of the suite is below its hard one, and far above nothing. */
static void suite_limit_soft(void)
{
	uint64_t limit = suite_limit();
	struct conn c;

	if (!limit)
		return;
	hand_over_at(&c, &(struct kssl_policy){}, limit / 100);
	send_records(&c, 3);
	peer_expect_records(&c, 3);
	expect_silence(&c);
	close(c.fd);
	close(c.control);
	close(c.peer.fd);
	/* well before the end there is time for a handshake */
	hand_over_at(&c, &(struct kssl_policy){}, limit - 100);
	send_records(&c, 1);
	expect_rekey(&c, KSSL_REKEY_TX);
	send_records(&c, 50);
	peer_expect_records(&c, 51);
}

/* ---- KeyUpdates of the kernel instead ---- */

/* Data of one byte in each record, with our KeyUpdates in it: how many of those. */
static int peer_expect_updated(struct conn *c, int count)
{
	return peer_expect_pattern_updates(&c->peer, 0, count);
}

static void send_pattern_records(struct conn *c, int count)
{
	uint8_t byte;
	int i;

	for (i = 0; i < count; i++) {
		byte = pattern_at(i);
		EQ(SYS(send(c->fd, &byte, 1, MSG_NOSIGNAL)), 1);
	}
}

/* No key lives longer than its soft limit, whatever the application sends. */
static void tx_soft_updates(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE, .tx_soft = 10, .tx_hard = 12 };
	struct kssl_status st;
	unsigned int updates;
	struct conn c;

	conn_open_policy(&c, &p);
	send_pattern_records(&c, 200);
	updates = peer_expect_updated(&c, 200);
	/* the KeyUpdate itself is a record too */
	CHECK(updates >= 200 / 10 - 1 && updates <= 200 / 9 + 1);
	/* one that is due may go without waiting for data */
	st = status_of(c.fd);
	CHECK(st.key_updates_sent - updates <= 1);
	EQ(st.key_updates_received, 0);
	EQ(st.tx.epoch, 1 + st.key_updates_sent);
	EQ(error_of(c.fd).err, 0);
}

/* The peer's key is too old: it is asked for another one. */
static void rx_soft_updates(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE, .rx_soft = 10 };
	struct conn c;

	conn_open_policy(&c, &p);
	peer_send_records(&c, 10);
	recv_records(&c, 10);
	send_records(&c, 1);
	peer_expect_update(&c.peer, UPDATE_REQUESTED);
	peer_expect_records(&c, 1);
	/* asked once */
	peer_send_records(&c, 5);
	recv_records(&c, 5);
	send_records(&c, 1);
	peer_expect_records(&c, 1);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send_records(&c, 9);
	recv_records(&c, 9);
	send_records(&c, 1);
	peer_expect_records(&c, 1);
	EQ(status_of(c.fd).key_updates_received, 1);
	EQ(status_of(c.fd).rx.epoch, 2);
	EQ(error_of(c.fd).err, 0);
}

static void rekey_bytes_updates(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE, .rekey_bytes = 100000 };
	uint8_t got[RECORD_MAX], type;
	struct conn c;
	long n;

	conn_open_policy(&c, &p);
	send_pattern(c.fd, 0, 100000);
	send_pattern(c.fd, 100000, 1000);
	peer_expect_pattern(&c.peer, 0, 100000);
	n = peer_recv(&c.peer, &type, got);
	EQ(type, HANDSHAKE);
	EQ(n, 5);
	EQ(got[0], KEY_UPDATE);
	next_generation(&c.peer.rx);
	peer_expect_pattern(&c.peer, 100000, 1000);
	EQ(status_of(c.fd).key_updates_sent, 1);
}

static void rekey_ms_updates(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE, .rekey_ms = 20 };
	unsigned int updates = 0;
	struct conn c;
	size_t at;

	conn_open_policy(&c, &p);
	for (at = 0; updates < 3; at++) {
		send_pattern(c.fd, at, 1);
		updates += peer_expect_pattern_updates(&c.peer, at, 1);
		usleep(1000);
	}
	EQ(error_of(c.fd).err, 0);
}

static const struct test tests[] = {
	{ "tx_soft", VERSIONS, tx_soft },
	{ "rx_soft", VERSIONS, rx_soft },
	{ "reasons_together", VERSIONS, reasons_together },
	{ "rekey_bytes", VERSIONS, rekey_bytes },
	{ "rekey_records", VERSIONS, rekey_records },
	{ "rekey_ms", VERSIONS, rekey_ms },
	{ "soft_set_late", VERSIONS, soft_set_late },
	{ "when_all_was_read", ONLY_12, when_all_was_read },
	{ "at_once_13", ONLY_13, at_once_13 },
	{ "tx_hard", PROTECTIONS, tx_hard },
	{ "tx_hard_in_one_write", VERSIONS, tx_hard_in_one_write },
	{ "tx_hard_open_record", VERSIONS, tx_hard_open_record },
	{ "tx_hard_sendfile", VERSIONS, tx_hard_sendfile },
	{ "tx_hard_new_key", VERSIONS, tx_hard_new_key },
	{ "control_beyond_hard", VERSIONS, control_beyond_hard },
	{ "close_at_hard", VERSIONS, close_at_hard },
	{ "alert_at_hard", VERSIONS, alert_at_hard },
	{ "tx_hard_many", VERSIONS, tx_hard_many },
	{ "rx_hard", PROTECTIONS, rx_hard },
	{ "unattended", VERSIONS, unattended },
	{ "unattended_rx", VERSIONS, unattended_rx },
	{ "begins_at_seq", VERSIONS, begins_at_seq },
	{ "suite_limit_tx", PROTECTIONS, suite_limit_tx },
	{ "suite_limit_above", PROTECTIONS, suite_limit_above },
	{ "suite_limit_rx", PROTECTIONS, suite_limit_rx },
	{ "suite_limit_soft", PROTECTIONS, suite_limit_soft },
	{ "tx_soft_updates", WITH_SECRETS, tx_soft_updates },
	{ "rx_soft_updates", WITH_SECRETS, rx_soft_updates },
	{ "rekey_bytes_updates", WITH_SECRETS, rekey_bytes_updates },
	{ "rekey_ms_updates", WITH_SECRETS, rekey_ms_updates },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
