// SPDX-License-Identifier: MIT
/*
 * Records no longer than the two ends have agreed on (RFC 6066 4, RFC 8449), each way, and
 * padding to a multiple (RFC 8446 5.4).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cipher.h"
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define LIMIT		512
#define OTHER		1000	/* of the other direction */

static struct kssl_key limited(const struct keys *k, unsigned int limit)
{
	struct kssl_key key = key_of(k);

	key.max_payload = limit;
	return key;
}

/* Unattended, we send at most @tx and receive at most @rx. */
static void open_limited(struct conn *c, unsigned int tx, unsigned int rx)
{
	struct kssl_key key;

	conn_connect(c);
	conn_attach(c);
	c->peer.rx = make_keys(1);
	c->peer.tx = make_keys(2);
	key = limited(&c->peer.rx, tx);
	SYS(setsockopt(c->fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)));
	key = limited(&c->peer.tx, rx);
	SYS(setsockopt(c->fd, SOL_KSSL, KSSL_RX_KEY, &key, sizeof(key)));
}

/* The same with a helper, after its handshake. */
static void open_attended(struct conn *c, const struct kssl_policy *policy, unsigned int tx, unsigned int rx)
{
	struct batch *b = batch_new();
	struct kssl_key key;

	conn_attend(c);
	SYS(set_policy(c->fd, policy));
	c->peer.rx = is_13() ? make_secret_keys(1) : make_keys(1);
	c->peer.tx = is_13() ? make_secret_keys(2) : make_keys(2);
	key = limited(&c->peer.rx, tx);
	batch_add(b, KSSL_OP_TX_KEY, 0, &key, sizeof(key));
	key = limited(&c->peer.tx, rx);
	control_op(c->control, KSSL_OP_HOLD);
	peer_write(&c->peer, "\26\3\1\0\5\1\0\0\1\0", 10);
	expect_message(c->control, KSSL_MSG_RAW, HANDSHAKE, "\26\3\1\0\5\1\0\0\1\0", 10);
	batch_add(b, KSSL_OP_RX_KEY, 0, &key, sizeof(key));
	batch_end_handshake(b, c->control);
}

/* Data arrives in records of @max, but for the last; how many there were. */
static unsigned int expect_records(struct conn *c, size_t at, size_t len, long max)
{
	uint8_t content[RECORD_MAX], type;
	unsigned int records = 0;
	size_t end = at + len;

	while (at < end) {
		long n = peer_recv(&c->peer, &type, content);

		EQ(type, DATA);
		EQ(n, (long)(end - at) < max ? (long)(end - at) : max);
		check_pattern(content, at, n);
		at += n;
		records++;
	}
	return records;
}

/* ---- sending ---- */

/* Nothing longer is sent, whatever is written and however, and nothing shorter either. */
static void sending(void)
{
	static const unsigned int limits[] = { KSSL_PAYLOAD_MIN, 64, LIMIT, 4096, 16383, 16384, 0 };
	uint8_t content[3000];
	unsigned int i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		unsigned int limit = limits[i] ? limits[i] : 16384;
		struct conn c;

		open_limited(&c, limits[i], 0);
		EQ(status_of(c.fd).tx.max_payload, limit);
		EQ(status_of(c.fd).rx.max_payload, 16384);
		send_pattern(c.fd, 0, 40000);
		expect_records(&c, 0, 40000, limit);
		/* what MSG_MORE keeps is sent when it is full, and then goes on */
		pattern(content, 0, sizeof(content));
		EQ(send(c.fd, content, 700, MSG_MORE), 700);
		EQ(send(c.fd, content + 700, 2300, 0), 2300);
		expect_records(&c, 0, 3000, limit);
		conn_end(&c);
	}
}

/* Control messages are one record each; so they have to fit. */
static void sending_control(void)
{
	uint8_t content[LIMIT + 1] = { 0 };
	struct conn c;

	open_limited(&c, LIMIT, OTHER);
	FAILS(send_typed(c.fd, HANDSHAKE, content, LIMIT + 1, 0), EINVAL);
	EQ(send_typed(c.fd, HANDSHAKE, content, LIMIT, 0), LIMIT);
	peer_expect(&c.peer, HANDSHAKE, content, LIMIT);
	send_pattern(c.fd, 0, LIMIT + 1);
	EQ(expect_records(&c, 0, LIMIT + 1, LIMIT), 2);
}

/* The helper splits its messages itself, and a batch is all or nothing. */
static void sending_batch(void)
{
	uint8_t content[LIMIT + 1] = { 0 };
	struct batch *b = batch_new();
	struct conn c;

	open_attended(&c, &(struct kssl_policy){ 0 }, LIMIT, OTHER);
	batch_record(b, HANDSHAKE, content, LIMIT);
	batch_record(b, HANDSHAKE, content, LIMIT + 1);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_record(b, HANDSHAKE, content, LIMIT);
	batch_record(b, HANDSHAKE, content, 1);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, HANDSHAKE, content, LIMIT);
	peer_expect(&c.peer, HANDSHAKE, content, 1);
	free(b);
}

/* Each key brings its own limit; what was left open is sent under the one before. */
static void sending_next_key(void)
{
	uint8_t content[OTHER];
	struct kssl_key key;
	struct conn c;
	struct keys k;

	open_limited(&c, OTHER, 0);
	pattern(content, 0, sizeof(content));
	EQ(send(c.fd, content, OTHER - 1, MSG_MORE), OTHER - 1);
	k = make_keys(3);
	key = limited(&k, LIMIT);
	SYS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)));
	EQ(expect_records(&c, 0, OTHER - 1, OTHER), 1);
	c.peer.rx = k;
	send_pattern(c.fd, 0, 5 * LIMIT);
	expect_records(&c, 0, 5 * LIMIT, LIMIT);
	/* a renegotiation without the extension */
	k = make_keys(4);
	SYS(set_key(c.fd, KSSL_TX_KEY, &k));
	c.peer.rx = k;
	send_pattern(c.fd, 0, 20000);
	expect_records(&c, 0, 20000, 16384);
}

/* A KeyUpdate, ours or the peer's, changes nothing of it. */
static void key_update(void)
{
	static const struct kssl_policy updates = { .flags = KSSL_POLICY_KEY_UPDATE };
	uint8_t content[OTHER + 1] = { 0 }, byte;
	struct conn c;
	int i;

	open_attended(&c, &updates, LIMIT, OTHER);
	for (i = 0; i < 3; i++) {
		peer_send_update(&c.peer, UPDATE_REQUESTED);
		peer_send_pattern(&c.peer, 0, OTHER, OTHER);
		recv_pattern(c.fd, 0, OTHER);
		peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
		send_pattern(c.fd, 0, 3 * LIMIT);
		EQ(expect_records(&c, 0, 3 * LIMIT, LIMIT), 3);
	}
	EQ(status_of(c.fd).key_updates_sent, 3);
	EQ(status_of(c.fd).tx.max_payload, LIMIT);
	EQ(status_of(c.fd).rx.max_payload, OTHER);
	peer_send(&c.peer, DATA, content, sizeof(content));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
}

static struct variant old;

/* TLS 1.0: an octet goes before the rest of what a record may hold (CVE-2011-3389). */
static void sending_split(void)
{
	uint8_t content[RECORD_MAX], type;
	struct conn c;
	size_t at = 0;

	old = (struct variant) { .suite = suite_info(0x002f, 0x0301), .family = v->family, .server = v->server };
	v = &old;
	open_limited(&c, LIMIT, OTHER);
	send_pattern(c.fd, 0, 3 * LIMIT);
	while (at < 3 * LIMIT) {
		long n = peer_recv(&c.peer, &type, content);

		EQ(n, at % LIMIT ? LIMIT - 1 : 1);
		check_pattern(content, at, n);
		at += n;
	}
}

/* ---- receiving ---- */

static void receiving(void)
{
	uint8_t content[OTHER + 1] = { 1 }, byte;
	struct conn c;

	open_limited(&c, LIMIT, OTHER);
	/* what we may send is not what we may receive */
	peer_send_pattern(&c.peer, 0, 3 * OTHER + 5, OTHER);
	recv_pattern(c.fd, 0, 3 * OTHER + 5);
	peer_send(&c.peer, DATA, content, sizeof(content));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
}

static void receiving_control(void)
{
	uint8_t content[OTHER + 1] = { 1 };
	struct conn c;

	open_attended(&c, &(struct kssl_policy){ 0 }, LIMIT, OTHER);
	peer_send(&c.peer, HANDSHAKE, content, OTHER);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, content, OTHER);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_send(&c.peer, HANDSHAKE, content, OTHER + 1);
	expect_event(c.control, KSSL_EV_FAILED);
	EQ(error_of(c.fd).err, EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
}

/* Messages take more records where these are short: that is not held against the peer. */
static void receiving_in_pieces(void)
{
	struct kssl_policy policy = { .useless_max = 2 };
	uint8_t content[KSSL_PAYLOAD_MIN] = { 1 };
	struct conn c;
	int i;

	open_attended(&c, &policy, LIMIT, KSSL_PAYLOAD_MIN);
	/* a ticket of 640 octets */
	content[0] = NEW_SESSION_TICKET;
	content[2] = 640 >> 8;
	content[3] = 640 & 0xff;
	for (i = 0; i < 10; i++) {
		peer_send(&c.peer, HANDSHAKE, content, sizeof(content));
		expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, content, sizeof(content));
		control_op(c.control, KSSL_OP_CONTINUE);
	}
	peer_send(&c.peer, HANDSHAKE, content, 644 % KSSL_PAYLOAD_MIN);
	expect_event(c.control, KSSL_EV_FAILED);
	EQ(error_of(c.fd).err, EDQUOT);
}

/* The longest that may be within the limit, and not authentic; and one that cannot be. */
static void receiving_undecrypted(void)
{
	unsigned int most = explicit_len(&(struct keys){ .suite = v->suite, .flags = v->flags }) + OTHER +
			    v->suite.tag_len + (is_cbc() ? 256 : 0) + is_13();
	uint8_t record[RECORD_MAX] = { DATA, 3, 3 }, byte;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		unsigned int len = most + i;
		struct conn c;

		/* whole blocks, else it is the wrong length for another reason */
		if (is_cbc() && !i)
			len -= (len - (is_etm() ? v->suite.tag_len : 0)) % 16;
		open_limited(&c, LIMIT, OTHER);
		record[3] = len >> 8;
		record[4] = len;
		peer_write(&c.peer, record, HEADER + len);
		FAILS(recv(c.fd, &byte, 1, 0), i ? EMSGSIZE : EBADMSG);
		peer_expect_alert(&c.peer, FATAL, i ? RECORD_OVERFLOW : BAD_RECORD_MAC);
		conn_end(&c);
	}
}

/* RFC 8449 4: padding counts, and the octet of the type is one that comes to it. */
static void receiving_padded(void)
{
	uint8_t inner[OTHER + 2] = { 1, DATA }, record[RECORD_MAX], byte;
	struct conn c;

	open_limited(&c, LIMIT, OTHER);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0303, inner, OTHER + 1, record));
	EQ(recv(c.fd, &byte, 1, 0), 1);
	EQ(byte, 1);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0303, inner, OTHER + 2, record));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
}

static void bad_limits(void)
{
	static const unsigned int bad[] = { 1, KSSL_PAYLOAD_MIN - 1, 16385, 65535 };
	struct keys k = make_keys(1);
	unsigned int i;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	EQ(status_of(c.fd).tx.max_payload, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kssl_key key = limited(&k, bad[i]);

		FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)), EINVAL);
		FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RX_KEY, &key, sizeof(key)), EINVAL);
	}
}

/* ---- padding ---- */

/* One record, with what is under its protection as long as @inner; length of the content. */
static long take_padded(struct conn *c, size_t inner, uint8_t *type, uint8_t *content)
{
	uint8_t record[RECORD_MAX];
	size_t len = peer_read_raw(&c->peer, record);

	EQ(len, HEADER + inner + (is_13() ? v->suite.tag_len : 0));
	return open_record(&c->peer.rx, record, len, type, content);
}

static void set_padding(struct conn *c, unsigned int pad_to)
{
	struct kssl_policy policy = { .pad_to = pad_to };

	SYS(set_policy(c->fd, &policy));
}

/* Data, control and alerts alike, up to the limit, and from the next record on. */
static void padding(void)
{
	uint8_t content[RECORD_MAX], type;
	struct conn c;

	open_limited(&c, LIMIT, 0);
	set_padding(&c, 100);
	send_pattern(c.fd, 0, 1);
	EQ(take_padded(&c, 100, &type, content), 1);
	EQ(type, DATA);
	send_pattern(c.fd, 0, 99);
	EQ(take_padded(&c, 100, &type, content), 99);
	send_pattern(c.fd, 0, 100);
	EQ(take_padded(&c, 200, &type, content), 100);
	send_pattern(c.fd, 0, LIMIT);
	EQ(take_padded(&c, LIMIT + 1, &type, content), LIMIT);
	/* 600 would be beyond the limit */
	send_pattern(c.fd, 0, 505);
	EQ(take_padded(&c, LIMIT + 1, &type, content), 505);
	check_pattern(content, 0, 505);
	EQ(send_typed(c.fd, HANDSHAKE, "\4\0\0\0", 4, 0), 4);
	EQ(take_padded(&c, 100, &type, content), 4);
	EQ(type, HANDSHAKE);
	set_padding(&c, 1);
	send_pattern(c.fd, 0, 7);
	EQ(take_padded(&c, 8, &type, content), 7);
	set_padding(&c, 0);
	send_pattern(c.fd, 0, 7);
	EQ(take_padded(&c, 8, &type, content), 7);
	set_padding(&c, 16384);
	SYS(shutdown(c.fd, SHUT_WR));
	EQ(take_padded(&c, LIMIT + 1, &type, content), 2);
	EQ(type, ALERT);
	/* none of it counts as bytes of the application */
	EQ(status_of(c.fd).tx.bytes, 1 + 99 + 100 + LIMIT + 505 + 7 + 7);
}

/* The most there can be. */
static void padding_most(void)
{
	uint8_t content[RECORD_MAX], type;
	struct conn c, other;
	int i, n;

	conn_open(&other);
	conn_open(&c);
	set_padding(&c, 16384);
	/* wherever in the memory of this task the content ends */
	for (i = 1; i <= 40; i++) {
		send_pattern(c.fd, 0, i * 100);
		EQ(take_padded(&c, 16384, &type, content), i * 100);
		check_pattern(content, 0, i * 100);
	}
	/* other sockets take of it in between, so records are in as many pieces as they may be */
	for (i = 0; i < 40; i++) {
		pattern(content, i, 1);
		EQ(send(c.fd, content, 1, i < 39 ? MSG_MORE : 0), 1);
		send_pattern(other.fd, 0, 100);
		peer_expect_pattern(&other.peer, 0, 100);
	}
	for (i = 0; i < 40; i += n) {
		n = take_padded(&c, 16384, &type, content);
		CHECK(n > 0);
		check_pattern(content, i, n);
	}
	EQ(i, 40);
	/* type and content of one octet more than the multiple: as much as there may be */
	send_pattern(c.fd, 0, 16384);
	EQ(take_padded(&c, 16385, &type, content), 16384);
	check_pattern(content, 0, 16384);
	send_pattern(c.fd, 0, 16383);
	EQ(take_padded(&c, 16384, &type, content), 16383);
}

/* Its policy is the socket's, and not a key's. */
static void padding_next_key(void)
{
	struct kssl_policy policy = { .flags = KSSL_POLICY_KEY_UPDATE, .pad_to = 64 };
	uint8_t content[RECORD_MAX], type;
	struct conn c;

	open_attended(&c, &policy, LIMIT, OTHER);
	send_pattern(c.fd, 0, 10);
	EQ(take_padded(&c, 64, &type, content), 10);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	EQ(take_padded(&c, 64, &type, content), 5);
	EQ(type, HANDSHAKE);
	next_generation(&c.peer.rx);
	send_pattern(c.fd, 0, 10);
	EQ(take_padded(&c, 64, &type, content), 10);
	EQ(type, DATA);
}

/* What MSG_MORE has left open while the helper has a record is sealed with the next key, so it has to fit. */
static void next_key_of_open(void)
{
	struct kssl_policy policy = { .pad_to = 2 };
	struct keys k = make_secret_keys(3);
	uint8_t content[RECORD_MAX], type;
	struct batch *b = batch_new();
	struct kssl_key key;
	struct conn c;

	open_attended(&c, &policy, LIMIT, OTHER);
	pattern(content, 0, 81);
	EQ(send(c.fd, content, 81, MSG_MORE), 81);
	peer_send(&c.peer, HANDSHAKE, "\4\0\0\0", 4);
	expect_message(c.control, KSSL_MSG_RECORD, HANDSHAKE, "\4\0\0\0", 4);
	key = limited(&k, 80);
	batch_add(b, KSSL_OP_TX_KEY, 0, &key, sizeof(key));
	batch_op(b, KSSL_OP_CONTINUE);
	FAILS(batch_write(b, c.control), EINVAL);
	key = limited(&k, 81);
	batch_add(b, KSSL_OP_TX_KEY, 0, &key, sizeof(key));
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	c.peer.rx = k;
	SYS(shutdown(c.fd, SHUT_WR));
	EQ(take_padded(&c, 82, &type, content), 81);
	EQ(type, DATA);
	check_pattern(content, 0, 81);
	free(b);
}

static void set_single_pages(const char *value)
{
	int fd = SYS(open("/proc/sys/net/core/high_order_alloc_disable", O_WRONLY));

	EQ(SYS(write(fd, value, 1)), 1);
	close(fd);
}

/* Memory in single pages: the same, and nothing is lost at the end. */
static void padding_single_pages(void)
{
	uint8_t content[RECORD_MAX], type;
	struct conn c, other;
	int i, n;

	set_single_pages("1");
	padding_most();
	conn_open(&other);
	conn_open(&c);
	set_padding(&c, 16384);
	for (i = 0; i < 7; i++) {
		pattern(content, i, 1);
		EQ(send(c.fd, content, 1, MSG_MORE), 1);
		send_pattern(other.fd, 0, 5000);
		peer_expect_pattern(&other.peer, 0, 5000);
	}
	SYS(close(c.fd));
	for (i = 0; i < 7; i += n) {
		n = take_padded(&c, 16384, &type, content);
		EQ(type, DATA);
		check_pattern(content, i, n);
	}
	take_padded(&c, 16384, &type, content);
	EQ(type, ALERT);
	set_single_pages("0");
}

/* Where records have no padding of their own, there is none. */
static void no_padding(void)
{
	struct conn c;

	conn_open(&c);
	set_padding(&c, 1000);
	conn_both_ways(&c, 30000, 7000);
}

static const struct test tests[] = {
	{ "sending", FORMATS, sending },
	{ "sending_control", PROTECTIONS, sending_control },
	{ "sending_batch", VERSIONS, sending_batch },
	{ "sending_next_key", PROTECTIONS, sending_next_key },
	{ "sending_split", ONCE, sending_split },
	{ "key_update", WITH_SECRETS, key_update },
	{ "receiving", PROTECTIONS, receiving },
	{ "receiving_control", VERSIONS, receiving_control },
	{ "receiving_in_pieces", ONLY_13, receiving_in_pieces },
	{ "receiving_undecrypted", PROTECTIONS, receiving_undecrypted },
	{ "receiving_padded", ONLY_13, receiving_padded },
	{ "bad_limits", VERSIONS, bad_limits },
	{ "padding", ONLY_13, padding },
	{ "padding_most", ONLY_13, padding_most },
	{ "padding_next_key", WITH_SECRETS, padding_next_key },
	{ "padding_single_pages", ONLY_13, padding_single_pages },
	{ "next_key_of_open", WITH_SECRETS, next_key_of_open },
	{ "no_padding", ONLY_12, no_padding },
	{ NULL }
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
