// SPDX-License-Identifier: MIT
/* A new key on an unattended socket, with data before, behind and between. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static const uint8_t key_update[] = { 24, 0, 0, 1, 0 };

/* What announces the next key: KeyUpdate in TLS 1.3, ChangeCipherSpec before. */
static void peer_announce(struct conn *c)
{
	if (is_13())
		peer_send(&c->peer, HANDSHAKE, key_update, sizeof(key_update));
	else
		peer_send(&c->peer, CCS, "\1", 1);
}

static void expect_announcement(struct conn *c)
{
	if (is_13())
		expect_typed(c->fd, HANDSHAKE, key_update, sizeof(key_update));
	else
		expect_typed(c->fd, CCS, "\1", 1);
}

static void rx_rekey(void)
{
	uint8_t data[100];
	struct conn c;

	conn_open(&c);
	/* old data, the announcement, new data: all of it is there before anyone reads */
	peer_send_pattern(&c.peer, 0, 50, 50);
	peer_announce(&c);
	c.peer.tx = make_keys(4);
	peer_send_pattern(&c.peer, 50, 50, 50);
	peer_settle(&c.peer);

	recv_pattern(c.fd, 0, 50);
	expect_announcement(&c);
	FAILS(recv(c.fd, data, sizeof(data), 0), EKEYEXPIRED);
	FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EKEYEXPIRED);
	FAILS(recv(c.fd, data, sizeof(data), MSG_PEEK), EKEYEXPIRED);
	/* an event loop does not spin on it */
	EQ(ready(c.fd, POLLIN), 0);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_HELD);
	EQ(error_of(c.fd).err, 0);

	c.peer.tx = make_keys(4);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	c.peer.tx.seq = 1;
	c.peer.tx.nonce++;
	EQ(ready(c.fd, POLLIN), POLLIN);
	recv_pattern(c.fd, 50, 50);
	EQ(status_of(c.fd).rx.epoch, 2);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_ACTIVE);
	peer_send_pattern(&c.peer, 0, 1000, 100);
	recv_pattern(c.fd, 0, 1000);
	/* sending was not touched */
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static void *read_expired(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EIO);
	expect_announcement(c);
	FAILS(recv(c->fd, &byte, 1, 0), EKEYEXPIRED);
	return NULL;
}

static void rx_rekey_sleeping(void)
{
	struct conn c;
	pthread_t t;

	conn_open(&c);
	t = start_asleep(read_expired, &c);
	peer_announce(&c);
	finish(t);
}

/* What came before a reset stays readable, once its key is there. */
static void rx_key_after_reset(void)
{
	struct linger reset = { .l_onoff = 1 };
	struct keys next;
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_announce(&c);
	next = make_keys(4);
	c.peer.tx = next;
	peer_send_pattern(&c.peer, 0, 1000, 300);
	peer_settle(&c.peer);
	SYS(setsockopt(c.peer.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(c.peer.fd);
	wait_ready(c.fd, POLLHUP);
	expect_announcement(&c);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	SYS(set_key(c.fd, KSSL_RX_KEY, &next));
	recv_pattern(c.fd, 0, 1000);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ECONNRESET);
}

static void *wait_readable(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLIN);
	return NULL;
}

/* A poller that sleeps while the key is missing is woken by the key. */
static void rx_key_wakes_poller(void)
{
	struct conn c;
	pthread_t t;

	conn_open(&c);
	peer_announce(&c);
	expect_announcement(&c);
	c.peer.tx = make_keys(4);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_settle(&c.peer);
	t = start_asleep(wait_readable, &c);
	c.peer.tx = make_keys(4);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	finish(t);
	recv_pattern(c.fd, 0, 100);
}

/* A peek at the announcement is not yet the announcement read. */
static void rx_rekey_peek(void)
{
	uint8_t data[100], type;
	struct conn c;

	conn_open(&c);
	peer_announce(&c);
	SYS(recv_typed(c.fd, &type, data, sizeof(data), MSG_PEEK));
	EQ(type, is_13() ? HANDSHAKE : CCS);
	expect_announcement(&c);
	FAILS(recv(c.fd, data, 1, 0), EKEYEXPIRED);
}

/* The key may come before the record that says so is read, but not read under it. */
static void rx_key_early(void)
{
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	peer_announce(&c);
	peer_settle(&c.peer);
	EQ(ready(c.fd, POLLIN), POLLIN);
	recv_pattern(c.fd, 0, 100);
	EQ(ready(c.fd, POLLIN), POLLIN);
	c.peer.tx = make_keys(4);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send_pattern(&c.peer, 0, 100, 100);
	expect_announcement(&c);
	recv_pattern(c.fd, 0, 100);
}

/* Another handshake message is no reason to stop (RFC 8446 4.6.1). */
static void ticket_is_no_rekey(void)
{
	static const uint8_t ticket[] = { 4, 0, 0, 2, 1, 2 };
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, HANDSHAKE, ticket, sizeof(ticket));
	peer_send_pattern(&c.peer, 0, 100, 100);
	expect_typed(c.fd, HANDSHAKE, ticket, sizeof(ticket));
	recv_pattern(c.fd, 0, 100);
}

static void tx_rekey(void)
{
	struct conn c;
	int i;

	conn_open(&c);
	for (i = 0; i < 5; i++) {
		send_pattern(c.fd, 0, 1000);
		EQ(send_typed(c.fd, HANDSHAKE, key_update, sizeof(key_update), 0),
		   sizeof(key_update));
		peer_expect_pattern(&c.peer, 0, 1000);
		peer_expect(&c.peer, HANDSHAKE, key_update, sizeof(key_update));
		c.peer.rx = make_keys(10 + i);
		SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
		EQ(status_of(c.fd).tx.epoch, i + 2);
		EQ(status_of(c.fd).tx.seq, 0);
	}
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
}

/* Bytes taken before the key belong to the key before. */
static void tx_rekey_open_record(void)
{
	struct conn c;

	conn_open(&c);
	EQ(SYS(send(c.fd, "old", 3, MSG_MORE | MSG_NOSIGNAL)), 3);
	c.peer.tx = make_keys(3);
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.tx));
	EQ(SYS(send(c.fd, "new", 3, MSG_NOSIGNAL)), 3);
	peer_expect(&c.peer, DATA, "old", 3);
	c.peer.rx = make_keys(3);
	peer_expect(&c.peer, DATA, "new", 3);
}

static void tx_rekey_when_full(void)
{
	struct conn c;
	struct keys k;
	size_t sent;

	conn_open(&c);
	sent = send_until_full(c.fd, 0);
	k = make_keys(3);
	SYS(set_key(c.fd, KSSL_TX_KEY, &k));
	peer_expect_pattern(&c.peer, 0, sent);
	c.peer.rx = make_keys(3);
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
}

/* Another suite of the same version is what a renegotiation may bring. */
static void other_suite(void)
{
	unsigned int i;
	struct conn c;

	conn_open(&c);
	for (i = 0; i < suites_count; i++) {
		struct keys tx, rx;

		if (suites[i].version != v->suite.version)
			continue;
		c.peer.rx = make_keys(20 + i);
		c.peer.rx.suite = suites[i];
		/* it may not be taken back */
		c.peer.rx.flags = suites[i].mac_key_len ? v->flags : 0;
		memset(c.peer.rx.key, i + 1, sizeof(c.peer.rx.key));
		memset(c.peer.rx.iv, i + 2, sizeof(c.peer.rx.iv));
		memset(c.peer.rx.mac_key, i + 3, sizeof(c.peer.rx.mac_key));
		tx = c.peer.rx;
		rx = c.peer.rx;
		memset(rx.key, i + 101, sizeof(rx.key));
		SYS(set_key(c.fd, KSSL_TX_KEY, &tx));
		peer_announce(&c);
		expect_announcement(&c);
		SYS(set_key(c.fd, KSSL_RX_KEY, &rx));
		c.peer.tx = rx;
		send_pattern(c.fd, 0, 2000);
		peer_expect_pattern(&c.peer, 0, 2000);
		peer_send_pattern(&c.peer, 0, 2000, 500);
		recv_pattern(c.fd, 0, 2000);
		EQ(status_of(c.fd).tx.suite, suites[i].suite);
		EQ(status_of(c.fd).rx.suite, suites[i].suite);
	}
}

static void other_version(void)
{
	unsigned int i, tried = 0;
	struct conn c;

	conn_open(&c);
	for (i = 0; i < suites_count; i++) {
		struct keys k = { .suite = suites[i] };

		if (suites[i].version == v->suite.version)
			continue;
		FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
		FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EINVAL);
		tried++;
	}
	CHECK(tried);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* A key that is refused changes nothing. */
static void refused_key(void)
{
	struct conn c;
	struct keys k;

	conn_open(&c);
	k = make_keys(3);
	k.suite.key_len--;
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
	FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EINVAL);
	EQ(SYS(send(c.fd, "more", 4, MSG_NOSIGNAL)), 4);
	peer_expect(&c.peer, DATA, "openmore", 8);
	peer_send(&c.peer, DATA, "x", 1);
	expect_typed(c.fd, DATA, "x", 1);
	EQ(status_of(c.fd).tx.epoch, 1);
}

static void key_after_close(void)
{
	struct conn c;
	struct keys k;

	conn_open(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	k = make_keys(3);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EPIPE);
}

static void key_after_failure(void)
{
	static const uint8_t header[] = { DATA, 3, 3, 0xff, 0xff };
	uint8_t byte;
	struct conn c;
	struct keys k;

	conn_open(&c);
	peer_write(&c.peer, header, sizeof(header));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	k = make_keys(3);
	FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EMSGSIZE);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EMSGSIZE);
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
}

/* kssl at both ends, many times, with data under way all the time. */
static void *rekeying_writer(void *arg)
{
	struct conn *c = arg;
	int i;

	for (i = 0; i < 50; i++) {
		struct keys k;

		send_pattern(c->fd, i * 5000, 5000);
		EQ(send_typed(c->fd, is_13() ? HANDSHAKE : CCS, key_update,
			      is_13() ? sizeof(key_update) : 1, 0),
		   is_13() ? (long)sizeof(key_update) : 1);
		k = make_keys(100 + i);
		SYS(set_key(c->fd, KSSL_TX_KEY, &k));
	}
	send_pattern(c->fd, i * 5000, 5000);
	return NULL;
}

static void both_ends(void)
{
	uint8_t data[5000], type;
	struct conn c;
	pthread_t t;
	size_t at = 0;
	struct keys k;
	int rekeys = 0;

	conn_connect(&c);
	conn_attach(&c);
	SYS(attach(c.peer.fd));
	k = make_keys(1);
	SYS(set_key(c.fd, KSSL_TX_KEY, &k));
	SYS(set_key(c.peer.fd, KSSL_RX_KEY, &k));
	t = start(rekeying_writer, &c);
	while (at < 51 * 5000) {
		long n = SYS(recv_typed(c.peer.fd, &type, data, sizeof(data), 0));

		CHECK(n > 0);
		if (type == DATA) {
			check_pattern(data, at, n);
			at += n;
			continue;
		}
		FAILS(recv(c.peer.fd, data, 1, MSG_DONTWAIT), EKEYEXPIRED);
		k = make_keys(100 + rekeys++);
		SYS(set_key(c.peer.fd, KSSL_RX_KEY, &k));
	}
	EQ(rekeys, 50);
	finish(t);
}

static const struct test tests[] = {
	{ "rx_rekey", PROTECTIONS, rx_rekey },
	{ "rx_key_after_reset", VERSIONS, rx_key_after_reset },
	{ "rx_rekey_sleeping", VERSIONS, rx_rekey_sleeping },
	{ "rx_key_wakes_poller", VERSIONS, rx_key_wakes_poller },
	{ "rx_rekey_peek", VERSIONS, rx_rekey_peek },
	{ "rx_key_early", VERSIONS, rx_key_early },
	{ "ticket_is_no_rekey", ONLY_13, ticket_is_no_rekey },
	{ "tx_rekey", PROTECTIONS, tx_rekey },
	{ "tx_rekey_open_record", VERSIONS, tx_rekey_open_record },
	{ "tx_rekey_when_full", VERSIONS, tx_rekey_when_full },
	{ "other_suite", VERSIONS, other_suite },
	{ "other_version", VERSIONS, other_version },
	{ "refused_key", VERSIONS, refused_key },
	{ "key_after_close", VERSIONS, key_after_close },
	{ "key_after_failure", VERSIONS, key_after_failure },
	{ "both_ends", VERSIONS, both_ends },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
