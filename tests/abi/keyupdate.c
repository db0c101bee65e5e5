// SPDX-License-Identifier: MIT
/*
 * KeyUpdates that the kernel does itself (RFC 8446 4.6.3, 5.1, 7.2), and those that it
 * leaves to the helper.
 */
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static const struct kssl_policy updates = { .flags = KSSL_POLICY_KEY_UPDATE };

static void open_updates(struct conn *c)
{
	conn_open_policy(c, &updates);
}

static void expect_counts(struct conn *c, unsigned int sent, unsigned int received)
{
	struct kssl_status s = status_of(c->fd);

	EQ(s.key_updates_sent, sent);
	EQ(s.key_updates_received, received);
	EQ(s.tx.epoch, 1 + sent);
	EQ(s.rx.epoch, 1 + received);
	/* those of the kernel are not among them */
	EQ(s.handshakes, 1);
	EQ(error_of(c->fd).err, 0);
}

/* The helper hears of them, of several at once perhaps, and of nothing else. */
static void expect_told(struct conn *c, unsigned int tx_epoch, unsigned int rx_epoch)
{
	struct kssl_msg m;

	do {
		m = get_event(c->control, KSSL_EV_KEY_UPDATE);
		CHECK(m.epoch <= rx_epoch && m.value <= tx_epoch);
	} while (m.epoch != rx_epoch || m.value != tx_epoch);
	EQ(ready(c->control, POLLIN), 0);
}

/* ---- the peer's ---- */

static void not_requested(void)
{
	struct conn c;

	open_updates(&c);
	peer_send_pattern(&c.peer, 0, 50, 50);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send_pattern(&c.peer, 50, 50, 50);
	recv_pattern(c.fd, 0, 100);
	expect_told(&c, 1, 2);
	expect_counts(&c, 0, 1);
	conn_both_ways(&c, 100, 100);
	/* no answer went out in between */
	expect_counts(&c, 0, 1);
}

static void requested(void)
{
	struct conn c;

	open_updates(&c);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
	send_pattern(c.fd, 100, 100);
	/* before our next data, under the key before */
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect_pattern(&c.peer, 100, 100);
	expect_told(&c, 2, 2);
	expect_counts(&c, 1, 1);
	conn_both_ways(&c, 100, 100);
}

/* Nobody reads, nobody writes: the answer comes, and the helper is told. */
static void requested_of_nobody(void)
{
	struct conn c;

	open_updates(&c);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	expect_told(&c, 2, 2);
	conn_both_ways(&c, 100, 100);
}

/* The reader sleeps all the time and sees only data. */
static void *read_all(void *arg)
{
	struct conn *c = arg;

	recv_pattern(c->fd, 0, 100 * 1000);
	return NULL;
}

static void many_with_data(void)
{
	struct conn c;
	pthread_t t;
	int i;

	open_updates(&c);
	t = start(read_all, &c);
	for (i = 0; i < 100; i++) {
		peer_send_update(&c.peer, i % 3 ? UPDATE_NOT_REQUESTED : UPDATE_REQUESTED);
		peer_send_pattern(&c.peer, i * 1000, 1000, 300);
	}
	finish(t);
	send_pattern(c.fd, 0, 1000);
	/* requests may have been answered together */
	i = peer_expect_pattern_updates(&c.peer, 0, 1000);
	CHECK(i >= 1 && i <= 34);
	expect_told(&c, 1 + i, 101);
	expect_counts(&c, i, 100);
	conn_both_ways(&c, 100, 100);
}

/* Each answered before the next comes: as many answers as requests. */
static void ping_pong(void)
{
	struct conn c;
	int i;

	open_updates(&c);
	for (i = 0; i < 50; i++) {
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		conn_both_ways(&c, 100, 100);
	}
	expect_told(&c, 51, 51);
	expect_counts(&c, 50, 50);
}

#define STORM		1200
/*
 * Answers of 27 octets.  When nothing may be written any more, up to a third of the send
 * buffer, which is twice 32 KiB, is free yet.
 */
#define STORM_ANSWERS	(65536 / 3 / 27 + 1)

/* A peer that asks and asks and does not read: no more answers wait for it than TCP takes. */
static void storm(void)
{
	struct conn c;
	size_t sent;
	int i;

	conn_connect_bufs(&c, 0, 32768);
	conn_attach(&c);
	c.control = SYS(take_control(c.fd));
	SYS(set_policy(c.fd, &updates));
	{
		struct keys tx = make_secret_keys(1), rx = make_secret_keys(2);

		conn_hand_over_keys(&c, &tx, &rx);
	}
	sent = send_until_stuck(c.fd);
	for (i = 0; i < STORM; i++) {
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		if (i % 40 < 39)
			continue;
		peer_send(&c.peer, DATA, "x", 1);
		EQ(SYS(recv(c.fd, &(uint8_t){ 0 }, 1, 0)), 1);
	}
	EQ(status_of(c.fd).key_updates_received, STORM);
	note("%u answers to %u requests", status_of(c.fd).key_updates_sent, STORM);
	CHECK(status_of(c.fd).key_updates_sent <= STORM_ANSWERS);
	CHECK(peer_expect_pattern_updates(&c.peer, 0, sent) <= STORM_ANSWERS);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern_updates(&c.peer, 0, 100);
	/* but one at least */
	CHECK(status_of(c.fd).key_updates_sent >= 1);
	EQ(error_of(c.fd).err, 0);
}

/* In a row, with nothing useful between: one too many is the end. */
static void useless(int request)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE, .useless_max = 5, .starts_ms = 3600000 };
	struct kssl_error e;
	struct conn c;
	uint8_t byte, type, got[RECORD_MAX];
	int i, j;
	long n;

	conn_open_policy(&c, &p);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < 5; i++)
			peer_send_update(&c.peer, request);
		peer_send(&c.peer, DATA, "x", 1);
		EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
	}
	for (i = 0; i < 6; i++)
		peer_send_update(&c.peer, request);
	FAILS(recv(c.fd, &byte, 1, 0), EDQUOT);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EDQUOT);
	e = error_of(c.fd);
	EQ(e.err, EDQUOT);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 1);
	EQ(e.alert, UNEXPECTED_MESSAGE);
	/* answers, perhaps, then the alert */
	while ((n = peer_recv(&c.peer, &type, got)) == 5 && type == HANDSHAKE)
		next_generation(&c.peer.rx);
	EQ(n, 2);
	EQ(type, ALERT);
	EQ(got[1], UNEXPECTED_MESSAGE);
}

static void useless_not_requested(void)
{
	useless(UPDATE_NOT_REQUESTED);
}

static void useless_requested(void)
{
	useless(UPDATE_REQUESTED);
}

/* Those that we have asked for are none of them. */
static void not_useless(void)
{
	struct kssl_policy p = {
		.flags = KSSL_POLICY_KEY_UPDATE, .useless_max = 5, .starts_ms = 3600000,
	};
	struct batch *b = batch_new();
	struct conn c;
	int i, round;

	conn_open_policy(&c, &p);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 8; i++)
			batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\1", 1);
		SYS(batch_write(b, c.control));
		for (i = 0; i < 8; i++)
			peer_expect_update(&c.peer, UPDATE_REQUESTED);
		for (i = 0; i < 8; i++)
			peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	}
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).key_updates_received, 24);
	for (i = 0; i < 6; i++)
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	FAILS(recv(c.fd, &(uint8_t){ 0 }, 1, 0), EDQUOT);
}

/* What MSG_MORE left open goes behind the answer, under the new key. */
static void answer_before_open_record(void)
{
	struct conn c;

	open_updates(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_send(&c.peer, DATA, "x", 1);
	EQ(SYS(recv(c.fd, &(uint8_t){ 0 }, 1, 0)), 1);
	EQ(SYS(send(c.fd, "closed", 6, MSG_NOSIGNAL)), 6);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect(&c.peer, DATA, "openclosed", 10);
	conn_both_ways(&c, 100, 100);
}

/* After our close_notify nothing is sent any more; what comes is still read. */
static void after_our_close_notify(void)
{
	struct conn c;

	open_updates(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_send_pattern(&c.peer, 0, 1000, 100);
	recv_pattern(c.fd, 0, 1000);
	EQ(status_of(c.fd).key_updates_received, 1);
	EQ(status_of(c.fd).key_updates_sent, 0);
	EQ(error_of(c.fd).err, 0);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(SYS(recv(c.fd, &(uint8_t){ 0 }, 1, 0)), 0);
	peer_expect_fin(&c.peer);
}

/* Nor while the connection closes in the background. */
static void while_closing(void)
{
	struct conn c;

	open_updates(&c);
	send_pattern(c.fd, 0, 1000);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_settle(&c.peer);
	close(c.fd);
	CHECK(peer_expect_pattern_updates(&c.peer, 0, 1000) <= 1);
	{
		uint8_t got[RECORD_MAX], type;
		long n = peer_recv(&c.peer, &type, got);

		if (type == HANDSHAKE && n == 5) {
			next_generation(&c.peer.rx);
			n = peer_recv(&c.peer, &type, got);
		}
		EQ(type, ALERT);
		EQ(n, 2);
		EQ(got[1], CLOSE_NOTIFY);
	}
	peer_expect_fin(&c.peer);
}

/* The answer waits behind what the peer does not read; close gets all of it out. */
static void close_when_stuck(void)
{
	uint8_t got[RECORD_MAX], type;
	struct keys tx = make_secret_keys(1), rx = make_secret_keys(2);
	struct conn c;
	size_t sent;

	conn_connect_bufs(&c, 0, 32768);
	conn_attach(&c);
	c.control = SYS(take_control(c.fd));
	SYS(set_policy(c.fd, &updates));
	conn_hand_over_keys(&c, &tx, &rx);
	sent = send_until_stuck(c.fd);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_send(&c.peer, DATA, "x", 1);
	EQ(SYS(recv(c.fd, got, 1, 0)), 1);
	close(c.fd);
	CHECK(peer_expect_pattern_updates(&c.peer, 0, sent) <= 1);
	if (peer_recv(&c.peer, &type, got) == 5 && type == HANDSHAKE) {
		next_generation(&c.peer.rx);
		EQ(peer_recv(&c.peer, &type, got), 2);
	}
	EQ(type, ALERT);
	EQ(got[1], CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

/* shutdown() ends an open record, behind the answer that is due or before it. */
static void shutdown_with_open_record(void)
{
	uint8_t got[RECORD_MAX], type;
	struct conn c;
	long n;

	open_updates(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	SYS(shutdown(c.fd, SHUT_WR));
	n = peer_recv(&c.peer, &type, got);
	if (type == HANDSHAKE) {
		EQ(n, 5);
		next_generation(&c.peer.rx);
		n = peer_recv(&c.peer, &type, got);
	}
	EQ(type, DATA);
	EQ(n, 4);
	CHECK(!memcmp(got, "open", 4));
	n = peer_recv(&c.peer, &type, got);
	EQ(type, ALERT);
	EQ(got[1], CLOSE_NOTIFY);
}

/* ---- other ways to read across it ---- */

static void poller(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0)), i;
	uint8_t data[100];
	struct conn c;

	open_updates(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	for (i = 0; i < 50; i++) {
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_settle(&c.peer);
		/* nothing that a reader could get */
		EQ(ready(c.fd, POLLIN), 0);
		FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_send_pattern(&c.peer, 0, 100, 100);
		do {
			EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
		} while (recv(c.fd, data, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN);
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT)), 100);
		check_pattern(data, 0, 100);
		FAILS(recv(c.fd, data, 1, MSG_DONTWAIT), EAGAIN);
	}
	expect_counts(&c, 0, 100);
}

static void waitall_and_peek(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	open_updates(&c);
	for (i = 0; i < 10; i++) {
		peer_send_pattern(&c.peer, i * 100, 100, 100);
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	}
	EQ(SYS(recv(c.fd, data, 1000, MSG_PEEK | MSG_WAITALL)), 1000);
	check_pattern(data, 0, 1000);
	EQ(SYS(recv(c.fd, data, 1000, MSG_WAITALL)), 1000);
	check_pattern(data, 0, 1000);
	conn_both_ways(&c, 100, 100);
	expect_counts(&c, 0, 10);
}

static void spliced(void)
{
	uint8_t data[1000];
	size_t at = 0, sent = 0;
	int pipefd[2];
	struct conn c;

	open_updates(&c);
	SYS(pipe(pipefd));
	for (sent = 0; sent < 1000; sent += 100) {
		peer_send_pattern(&c.peer, sent, 100, 100);
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	}
	while (at < 1000) {
		long n = SYS(splice(c.fd, NULL, pipefd[1], NULL, 1000, 0));

		EQ(SYS(read(pipefd[0], data, sizeof(data))), n);
		check_pattern(data, at, n);
		at += n;
	}
	conn_both_ways(&c, 100, 100);
	expect_counts(&c, 0, 10);
}

/* A window that no record fits into. */
static void narrow_window(void)
{
	struct keys tx = make_secret_keys(1), rx = make_secret_keys(2);
	struct conn c;
	pthread_t t;
	int i;

	conn_connect_bufs(&c, 1, 0);
	conn_attach(&c);
	c.control = SYS(take_control(c.fd));
	SYS(set_policy(c.fd, &updates));
	conn_hand_over_keys(&c, &tx, &rx);
	t = start(read_all, &c);
	for (i = 0; i < 10; i++) {
		peer_send_pattern(&c.peer, i * 10000, 10000, 10000);
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	}
	finish(t);
	conn_both_ways(&c, 100, 100);
	expect_counts(&c, 0, 10);
}

/* ---- both ends ---- */

/* Both ends ask at once: two generations each (RFC 8446 4.6.3). */
static void crossing(void)
{
	struct batch *b = batch_new();
	struct conn c;

	open_updates(&c);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\1", 1);
	SYS(batch_write(b, c.control));
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_expect_update(&c.peer, UPDATE_REQUESTED);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send(&c.peer, DATA, "x", 1);
	EQ(SYS(recv(c.fd, &(uint8_t){ 0 }, 1, 0)), 1);
	send_pattern(c.fd, 0, 100);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect_pattern(&c.peer, 0, 100);
	EQ(status_of(c.fd).rx.epoch, 3);
	EQ(status_of(c.fd).tx.epoch, 3);
	conn_both_ways(&c, 100, 100);
}

/* ---- our own ---- */

static void own(void)
{
	struct batch *b = batch_new();
	struct conn c;
	int i;

	open_updates(&c);
	for (i = 0; i < 20; i++) {
		uint8_t request = i & 1;

		send_pattern(c.fd, 0, 100);
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, &request, 1);
		SYS(batch_write(b, c.control));
		send_pattern(c.fd, 100, 100);
		peer_expect_pattern(&c.peer, 0, 100);
		peer_expect_update(&c.peer, request);
		peer_expect_pattern(&c.peer, 100, 100);
		if (!request)
			continue;
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
		peer_send_pattern(&c.peer, 0, 100, 100);
		recv_pattern(c.fd, 0, 100);
	}
	EQ(status_of(c.fd).tx.epoch, 21);
	EQ(status_of(c.fd).rx.epoch, 11);
	EQ(status_of(c.fd).tx.seq, c.peer.rx.seq);
	EQ(status_of(c.fd).key_updates_received, 10);
}

/* It needs the secret, not the policy; a key that follows can be followed again. */
static void own_without_policy(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	batch_message(b, NEW_SESSION_TICKET, 100);
	SYS(batch_write(b, c.control));
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect_message(&c.peer, NEW_SESSION_TICKET, 100);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).tx.epoch, 3);
}

/* A record that MSG_MORE left open belongs before it. */
static void own_behind_open_record(void)
{
	struct batch *b = batch_new();
	struct conn c;

	open_updates(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	SYS(batch_write(b, c.control));
	EQ(SYS(send(c.fd, "closed", 6, MSG_NOSIGNAL)), 6);
	peer_expect(&c.peer, DATA, "open", 4);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect(&c.peer, DATA, "closed", 6);
}

/* All or nothing, and what is not legal changes nothing. */
static void own_refused(void)
{
	static const struct {
		const char *what;
		const char *payload;
		size_t len;
	} rows[] = {
		{ "no payload", "", 0 }, { "two octets", "\0\0", 2 }, { "value 2", "\2", 1 },
		{ "value 255", "\377", 1 },
	};
	struct batch *b = batch_new();
	unsigned int i;
	struct conn c;

	open_updates(&c);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		at_row(rows[i].what);
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, rows[i].payload, rows[i].len);
		FAILS(batch_write(b, c.control), EINVAL);
	}
	at_row("with a type");
	batch_add(b, KSSL_OP_KEY_UPDATE, HANDSHAKE, "\0", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	at_row("behind something malformed");
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	batch_add(b, 99, 0, "", 0);
	FAILS(batch_write(b, c.control), EINVAL);
	at_row("");
	EQ(status_of(c.fd).tx.epoch, 1);
	conn_both_ways(&c, 100, 100);
}

/* Without a secret, in TLS 1.2, in the plain phase: not legal in this state. */
static void own_impossible(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_attend(&c);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	conn_hand_over(&c);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	conn_both_ways(&c, 100, 100);
}

/* At most 8 in a batch. */
static void own_many(void)
{
	struct batch *b = batch_new();
	struct conn c;
	int i;

	open_updates(&c);
	for (i = 0; i < 9; i++)
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	for (i = 0; i < 8; i++)
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	SYS(batch_write(b, c.control));
	for (i = 0; i < 8; i++)
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 100, 100);
}

/* While the kernel may change the key at any time, the helper must hold sending to. */
static void key_not_held(void)
{
	struct keys tx = make_secret_keys(7);
	struct batch *b = batch_new();
	struct conn c;

	open_updates(&c);
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	FAILS(batch_write(b, c.control), EINVAL);
	EQ(status_of(c.fd).tx.epoch, 1);
	conn_both_ways(&c, 100, 100);
}

/* A key of the helper in between, with a secret of its own. */
static void key_between(void)
{
	struct keys tx = make_secret_keys(7);
	struct batch *b = batch_new();
	uint8_t message[5];
	struct conn c;

	open_updates(&c);
	control_op(c.control, KSSL_OP_HOLD);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	batch_record(b, HANDSHAKE, message, make_key_update(0, message));
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	batch_op(b, KSSL_OP_RELEASE);
	SYS(batch_write(b, c.control));
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_expect(&c.peer, HANDSHAKE, message, 5);
	c.peer.rx = tx;
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).tx.epoch, 4);
}

/* ---- what the helper gets ---- */

/* Without secrets, or without the policy: a record as any other. */
static void to_the_helper(struct conn *c)
{
	struct batch *b = batch_new();
	struct keys rx = make_keys(9);
	uint8_t message[5];

	make_key_update(UPDATE_NOT_REQUESTED, message);
	peer_send(&c->peer, HANDSHAKE, message, 5);
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, message, 5);
	EQ(status_of(c->fd).rx.state, KSSL_STATE_HELD);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c->control));
	free(b);
	c->peer.tx = rx;
	conn_both_ways(c, 100, 100);
	EQ(status_of(c->fd).key_updates_received, 0);
	EQ(status_of(c->fd).rx.epoch, 2);
}

static void without_secret(void)
{
	struct keys tx = make_keys(1), rx = make_keys(2);
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &updates));
	conn_hand_over_keys(&c, &tx, &rx);
	to_the_helper(&c);
}

static void without_policy(void)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	to_the_helper(&c);
}

/* The policy may come and go. */
static void policy_changes(void)
{
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	SYS(set_policy(c.fd, &updates));
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 100, 100);
	expect_counts(&c, 0, 1);
	expect_told(&c, 1, 2);
	SYS(set_policy(c.fd, &(struct kssl_policy){}));
	{
		uint8_t message[5];

		make_key_update(UPDATE_NOT_REQUESTED, message);
		peer_send(&c.peer, HANDSHAKE, message, 5);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, 5);
	}
}

/*
 * One that comes in two records, or behind another message in its record, is the
 * helper's, with all of what was before it.
 */
static void split(void)
{
	uint8_t message[5];
	struct conn c;
	int at;

	make_key_update(UPDATE_NOT_REQUESTED, message);
	for (at = 1; at < 5; at++) {
		struct keys rx = make_secret_keys(9);
		struct batch *b = batch_new();

		open_updates(&c);
		peer_send(&c.peer, HANDSHAKE, message, at);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, at);
		control_op(c.control, KSSL_OP_CONTINUE);
		peer_send(&c.peer, HANDSHAKE, message + at, 5 - at);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message + at, 5 - at);
		batch_key(b, KSSL_OP_RX_KEY, &rx);
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		free(b);
		c.peer.tx = rx;
		conn_both_ways(&c, 100, 100);
		/* and the next one is the kernel's again */
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		conn_both_ways(&c, 100, 100);
		conn_end(&c);
	}
}

static void behind_a_ticket(void)
{
	struct keys rx = make_secret_keys(9);
	struct batch *b = batch_new();
	uint8_t messages[200];
	struct conn c;
	size_t len;

	len = make_message(NEW_SESSION_TICKET, 50, messages);
	len += make_key_update(UPDATE_NOT_REQUESTED, messages + len);
	open_updates(&c);
	peer_send(&c.peer, HANDSHAKE, messages, len);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, messages, len);
	batch_key(b, KSSL_OP_RX_KEY, &rx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	c.peer.tx = rx;
	conn_both_ways(&c, 100, 100);
	/* the next record is one of the kernel again */
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).key_updates_received, 1);
}

/* The end of a ticket and a KeyUpdate in one record. */
static void behind_the_end_of_a_ticket(void)
{
	uint8_t messages[200];
	struct conn c;
	size_t len;

	len = make_message(NEW_SESSION_TICKET, 50, messages);
	len += make_key_update(UPDATE_NOT_REQUESTED, messages + len);
	open_updates(&c);
	peer_send(&c.peer, HANDSHAKE, messages, 20);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, messages, 20);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send(&c.peer, HANDSHAKE, messages + 20, len - 20);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, messages + 20, len - 20);
}

/* A KeyUpdate's octets in the middle of another message are none. */
static void inside_a_ticket(void)
{
	uint8_t message[200];
	struct conn c;
	size_t len = make_message(NEW_SESSION_TICKET, 100, message);

	make_key_update(UPDATE_REQUESTED, message + 40);
	open_updates(&c);
	peer_send(&c.peer, HANDSHAKE, message, 40);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, 40);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send(&c.peer, HANDSHAKE, message + 40, 5);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message + 40, 5);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send(&c.peer, HANDSHAKE, message + 45, len - 45);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message + 45, len - 45);
	control_op(c.control, KSSL_OP_CONTINUE);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).key_updates_received, 0);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	conn_both_ways(&c, 100, 100);
	EQ(status_of(c.fd).key_updates_received, 1);
}

/* Another message is the helper's, between KeyUpdates that are not. */
static void ticket_between(void)
{
	struct conn c;

	open_updates(&c);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send_message(&c.peer, NEW_SESSION_TICKET, 100);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send_pattern(&c.peer, 0, 100, 100);
	/* the order of events and records is the kernel's */
	for (;;) {
		static struct message m;

		wait_ready(c.control, POLLIN);
		SYS(read_message(c.control, &m));
		if (m.head.kind == KSSL_MSG_RECORD) {
			EQ(m.head.len, sizeof(m.head) + 104);
			EQ(m.data[0], NEW_SESSION_TICKET);
			/* the key it came under */
			EQ(m.head.epoch, 2);
			break;
		}
		EQ(m.head.type, KSSL_EV_KEY_UPDATE);
	}
	EQ(status_of(c.fd).key_updates_received, 1);
	control_op(c.control, KSSL_OP_CONTINUE);
	recv_pattern(c.fd, 0, 100);
	EQ(status_of(c.fd).key_updates_received, 2);
}

/* ---- what is not one ---- */

/* Octets that are not one whole KeyUpdate and nothing else: the helper judges them. */
static const struct {
	const char *what;
	const char *content;
	size_t len;
} odd[] = {
	{ "value 2", "\30\0\0\1\2", 5 },
	{ "value 255", "\30\0\0\1\377", 5 },
	{ "empty", "\30\0\0\0", 4 },
	{ "two octets", "\30\0\0\2\0\0", 6 },
	{ "two in a record", "\30\0\0\1\0\30\0\0\1\0", 10 },
	{ "a ticket behind", "\30\0\0\1\0\4\0\0\1\0", 10 },
	{ "half a header behind", "\30\0\0\1\0\30\0", 7 },
	{ "an octet behind", "\30\0\0\1\1\0", 6 },
};

static void not_a_key_update(void)
{
	unsigned int i;
	struct conn c;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		at_row(odd[i].what);
		open_updates(&c);
		peer_send_pattern(&c.peer, 0, 100, 100);
		peer_send(&c.peer, HANDSHAKE, odd[i].content, odd[i].len);
		recv_pattern(c.fd, 0, 100);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, odd[i].content, odd[i].len);
		EQ(status_of(c.fd).rx.state, KSSL_STATE_HELD);
		EQ(status_of(c.fd).key_updates_received, 0);
		EQ(status_of(c.fd).rx.epoch, 1);
		conn_end(&c);
	}
}

/* RFC 8446 5.1: handshake messages are not interleaved with other records. */
static void interleaved(uint8_t type, const char *content, size_t len)
{
	uint8_t message[5], byte;
	struct conn c;
	int at;

	make_key_update(UPDATE_NOT_REQUESTED, message);
	for (at = 1; at < 5; at++) {
		open_updates(&c);
		peer_send(&c.peer, HANDSHAKE, message, at);
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, message, at);
		control_op(c.control, KSSL_OP_CONTINUE);
		peer_send(&c.peer, type, content, len);
		FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
		peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
		conn_end(&c);
	}
}

static void data_between_halves(void)
{
	interleaved(DATA, "data", 4);
}

static void alert_between_halves(void)
{
	interleaved(ALERT, "\1\132", 2);
}

/* ---- keys with secrets ---- */

static void secret_lengths(void)
{
	struct keys k = make_secret_keys(1);
	struct batch *b = batch_new();
	struct kssl_key key;
	unsigned int len;
	struct conn c, a;

	conn_connect(&c);
	conn_attach(&c);
	conn_attend(&a);
	for (len = 1; len < 256; len++) {
		if (len == k.secret_len)
			continue;
		key = key_of(&k);
		key.secret_len = len;
		FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)), EINVAL);
		FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RX_KEY, &key, sizeof(key)), EINVAL);
		batch_add(b, KSSL_OP_TX_KEY, 0, &key, sizeof(key));
		FAILS(batch_write(b, a.control), EINVAL);
	}
	key = key_of(&k);
	key.reserved2 = 1;
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)), EINVAL);
	key = key_of(&k);
	key.reserved3 = 1;
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)), EINVAL);
	/* the struct as it was before it had a secret */
	key = key_of(&k);
	key.size = offsetof(struct kssl_key, secret_len);
	SYS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, key.size));
	SYS(set_key(c.fd, KSSL_RX_KEY, &k));
	EQ(status_of(a.fd).tx.epoch, 0);
}

static void secret_of_12(void)
{
	struct keys k = make_keys(1);
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	for (k.secret_len = 1; k.secret_len <= 48; k.secret_len++) {
		FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
		FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EINVAL);
	}
	EQ(status_of(c.fd).tx.epoch, 0);
}

/* Suites with SM3, where the kernel has them. */
static void secret_of_sm3(void)
{
	unsigned int i, tried = 0;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	for (i = 0; i < suites_count; i++) {
		struct keys k = { .suite = suites[i], .secret_len = 32 };

		if (suites[i].version != 0x0304 || strcmp(schedule_hash(suites[i].suite), "SM3"))
			continue;
		FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EOPNOTSUPP);
		FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EOPNOTSUPP);
		k.secret_len = 0;
		SYS(set_key(c.fd, KSSL_TX_KEY, &k));
		tried++;
	}
	note("%u suites with SM3", tried);
}

/* ---- sockets without a helper from the start ---- */

/* They are as they were: the application reads the KeyUpdate and brings the key. */
static void unattended(void)
{
	uint8_t message[5], byte;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	SYS(set_policy(c.fd, &updates));
	c.peer.rx = make_secret_keys(1);
	c.peer.tx = make_secret_keys(2);
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send_pattern(&c.peer, 0, 100, 100);
	make_key_update(UPDATE_NOT_REQUESTED, message);
	FAILS(recv(c.fd, &byte, 1, 0), EIO);
	expect_typed(c.fd, HANDSHAKE, message, 5);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	EQ(ready(c.fd, POLLIN), 0);
	c.peer.tx = make_secret_keys(2);
	next_generation(&c.peer.tx);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	recv_pattern(c.fd, 0, 100);
	EQ(status_of(c.fd).key_updates_received, 0);
}

static const struct test tests[] = {
	{ "not_requested", WITH_SECRETS, not_requested },
	{ "requested", WITH_SECRETS, requested },
	{ "requested_of_nobody", WITH_SECRETS, requested_of_nobody },
	{ "many_with_data", WITH_SECRETS, many_with_data },
	{ "ping_pong", WITH_SECRETS, ping_pong },
	{ "storm", WITH_SECRETS, storm },
	{ "useless_not_requested", WITH_SECRETS, useless_not_requested },
	{ "useless_requested", WITH_SECRETS, useless_requested },
	{ "not_useless", WITH_SECRETS, not_useless },
	{ "answer_before_open_record", WITH_SECRETS, answer_before_open_record },
	{ "after_our_close_notify", WITH_SECRETS, after_our_close_notify },
	{ "while_closing", WITH_SECRETS, while_closing },
	{ "close_when_stuck", WITH_SECRETS, close_when_stuck },
	{ "shutdown_with_open_record", WITH_SECRETS, shutdown_with_open_record },
	{ "poller", WITH_SECRETS, poller },
	{ "waitall_and_peek", WITH_SECRETS, waitall_and_peek },
	{ "spliced", WITH_SECRETS, spliced },
	{ "narrow_window", WITH_SECRETS, narrow_window },
	{ "crossing", WITH_SECRETS, crossing },
	{ "own", WITH_SECRETS, own },
	{ "own_without_policy", WITH_SECRETS, own_without_policy },
	{ "own_behind_open_record", WITH_SECRETS, own_behind_open_record },
	{ "own_refused", WITH_SECRETS, own_refused },
	{ "own_impossible", VERSIONS, own_impossible },
	{ "own_many", WITH_SECRETS, own_many },
	{ "key_not_held", WITH_SECRETS, key_not_held },
	{ "key_between", WITH_SECRETS, key_between },
	{ "without_secret", WITH_SECRETS, without_secret },
	{ "without_policy", WITH_SECRETS, without_policy },
	{ "policy_changes", WITH_SECRETS, policy_changes },
	{ "split", WITH_SECRETS, split },
	{ "behind_a_ticket", WITH_SECRETS, behind_a_ticket },
	{ "behind_the_end_of_a_ticket", WITH_SECRETS, behind_the_end_of_a_ticket },
	{ "inside_a_ticket", WITH_SECRETS, inside_a_ticket },
	{ "ticket_between", WITH_SECRETS, ticket_between },
	{ "not_a_key_update", WITH_SECRETS, not_a_key_update },
	{ "data_between_halves", WITH_SECRETS, data_between_halves },
	{ "alert_between_halves", WITH_SECRETS, alert_between_halves },
	{ "secret_lengths", WITH_SECRETS, secret_lengths },
	{ "secret_of_12", ONLY_12, secret_of_12 },
	{ "secret_of_sm3", ONCE, secret_of_sm3 },
	{ "unattended", WITH_SECRETS, unattended },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
