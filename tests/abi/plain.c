// SPDX-License-Identifier: MIT
/* The control file before keys: raw records, who waits, and the hand-over. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

/* A raw record with @len bytes of pattern(); its length on the wire. */
static size_t make_raw(uint8_t *record, uint8_t type, uint16_t version, size_t len)
{
	record[0] = type;
	record[1] = version >> 8;
	record[2] = version;
	record[3] = len >> 8;
	record[4] = len;
	pattern(record + HEADER, 0, len);
	return HEADER + len;
}

static void raw_send(struct conn *c, uint8_t type, size_t len)
{
	uint8_t record[RECORD_MAX];

	peer_write(&c->peer, record, make_raw(record, type, 0x0303, len));
}

static void expect_raw(struct conn *c, uint8_t type, uint16_t version, size_t len)
{
	uint8_t record[RECORD_MAX];

	make_raw(record, type, version, len);
	expect_message(c->control, KSSL_MSG_RAW, type, record, HEADER + len);
}

/* ---- getting the file ---- */

static void only_once(void)
{
	struct conn c;
	struct keys k;

	conn_attend(&c);
	CHECK(SYS(fcntl(c.control, F_GETFD)) & FD_CLOEXEC);
	EQ(status_of(c.fd).attended, 1);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_PLAIN);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_PLAIN);
	EQ(status_of(c.fd).established, 0);
	FAILS(take_control(c.fd), EBUSY);
	k = make_keys(1);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EBUSY);
	FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EBUSY);
	/* also after the hand-over, and after the helper has gone */
	conn_hand_over(&c);
	FAILS(take_control(c.fd), EBUSY);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EBUSY);
	close(c.control);
	FAILS(take_control(c.fd), EBUSY);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EBUSY);
	FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EBUSY);
}

static void not_after_keys(void)
{
	struct conn c;
	struct keys k;

	conn_connect(&c);
	conn_attach(&c);
	k = make_keys(1);
	SYS(set_key(c.fd, KSSL_TX_KEY, &k));
	FAILS(take_control(c.fd), EBUSY);
}

/* A call that cannot succeed does not use up the only one. */
static void bad_calls(void)
{
	struct rlimit limit, none;
	socklen_t len;
	struct conn c;
	int control;

	conn_connect(&c);
	conn_attach(&c);
	len = 3;
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_CONTROL, &control, &len), EINVAL);
	len = sizeof(control);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_CONTROL, NULL, &len), EFAULT);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_CONTROL, &control, NULL), EFAULT);
	SYS(getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	SYS(setrlimit(RLIMIT_NOFILE, &none));
	FAILS(take_control(c.fd), EMFILE);
	SYS(setrlimit(RLIMIT_NOFILE, &limit));
	c.control = SYS(take_control(c.fd));
	conn_hand_over(&c);
}

/* ---- raw records in ---- */

static void one_at_a_time(void)
{
	uint8_t all[3 * 1000];
	struct message m;
	size_t len = 0;
	struct conn c;

	conn_attend(&c);
	SYS(fcntl(c.control, F_SETFL, O_NONBLOCK));
	FAILS(read_message(c.control, &m), EAGAIN);
	EQ(ready(c.control, POLLIN | POLLOUT), POLLOUT);

	len += make_raw(all + len, HANDSHAKE, 0x0301, 500);
	len += make_raw(all + len, CCS, 0x0303, 1);
	len += make_raw(all + len, ALERT, 0x0303, 2);
	peer_write(&c.peer, all, len);
	peer_settle(&c.peer);

	expect_raw(&c, HANDSHAKE, 0x0301, 500);
	/* held: the others are there, and wait */
	EQ(ready(c.control, POLLIN), 0);
	FAILS(read_message(c.control, &m), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_raw(&c, CCS, 0x0303, 1);
	FAILS(read_message(c.control, &m), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	/* alerts too are the helper's in this phase */
	expect_raw(&c, ALERT, 0x0303, 2);
	FAILS(read_message(c.control, &m), EAGAIN);
	control_op(c.control, KSSL_OP_CONTINUE);
	FAILS(read_message(c.control, &m), EAGAIN);
	EQ(status_of(c.fd).rx.records, 3);
}

static void not_in_parts(void)
{
	uint8_t record[RECORD_MAX];
	struct message m;
	struct conn c;
	size_t i, len;

	conn_attend(&c);
	SYS(fcntl(c.control, F_SETFL, O_NONBLOCK));
	len = make_raw(record, HANDSHAKE, 0x0303, 20);
	for (i = 0; i < len - 1; i++) {
		peer_write(&c.peer, record + i, 1);
		if (i < 7 || i == len - 2) {
			peer_settle(&c.peer);
			EQ(ready(c.control, POLLIN), 0);
			FAILS(read_message(c.control, &m), EAGAIN);
		}
	}
	peer_write(&c.peer, record + i, 1);
	expect_raw(&c, HANDSHAKE, 0x0303, 20);
}

static void came_before(void)
{
	struct conn c;

	/* before the ULP, and between it and the file */
	conn_connect(&c);
	raw_send(&c, HANDSHAKE, 100);
	peer_settle(&c.peer);
	conn_attach(&c);
	raw_send(&c, HANDSHAKE, 200);
	peer_settle(&c.peer);
	c.control = SYS(take_control(c.fd));
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_raw(&c, HANDSHAKE, 0x0303, 200);
}

static void types_and_versions(void)
{
	static const uint16_t versions[] = { 0x0300, 0x0301, 0x0302, 0x0303, 0x0304 };
	uint8_t record[RECORD_MAX];
	unsigned int i, type;
	struct conn c;

	conn_attend(&c);
	for (type = CCS; type <= DATA; type++) {
		for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
			peer_write(&c.peer, record, make_raw(record, type, versions[i], 1 + i));
			expect_raw(&c, type, versions[i], 1 + i);
			control_op(c.control, KSSL_OP_CONTINUE);
		}
	}
	/* as long as protected records of a handshake may be (RFC 5246 6.2.3) */
	raw_send(&c, DATA, 16384 + 2048);
	expect_raw(&c, DATA, 0x0303, 16384 + 2048);
}

/* RFC 5246 E.2: the first record of a server may be one. */
static void ssl2_hello(void)
{
	uint8_t hello[2 + 46] = { 0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16 };
	struct conn c;

	conn_attend(&c);
	pattern(hello + 11, 0, sizeof(hello) - 11);
	peer_write(&c.peer, hello, 10);
	peer_settle(&c.peer);
	EQ(ready(c.control, POLLIN), 0);
	peer_write(&c.peer, hello + 10, sizeof(hello) - 10);
	expect_message(c.control, KSSL_MSG_RAW, HANDSHAKE, hello, sizeof(hello));
	control_op(c.control, KSSL_OP_CONTINUE);
	raw_send(&c, HANDSHAKE, 100);
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
}

/* A header that may not be: the peer gets a clear text alert, everybody the error. */
static void bad_header(const uint8_t *octets, size_t len, int error, int alert)
{
	struct conn c;
	uint8_t record[RECORD_MAX];

	conn_attend(&c);
	raw_send(&c, HANDSHAKE, 100);
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
	control_op(c.control, KSSL_OP_CONTINUE);
	peer_write(&c.peer, octets, len);
	EQ(peer_read_raw(&c.peer, record), 7);
	EQ(record[0], ALERT);
	EQ(record[5], FATAL);
	EQ(record[6], alert);
	expect_event(c.control, KSSL_EV_FAILED);
	FAILS(recv(c.fd, record, 1, 0), error);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), error);
	EQ(error_of(c.fd).err, error);
	EQ(error_of(c.fd).alert, alert);
	FAILS(write(c.control, &(struct kssl_op){ .op = KSSL_OP_CONTINUE },
		    sizeof(struct kssl_op)), EPIPE);
}

static void bad_headers(void)
{
	static const uint8_t type[] = { 24, 3, 3, 0, 1, 1 };
	static const uint8_t http[] = "GET / HTTP/1.0\r\n";
	static const uint8_t version[] = { HANDSHAKE, 2, 3, 0, 1, 1 };
	static const uint8_t empty[] = { HANDSHAKE, 3, 3, 0, 0 };
	static const uint8_t longer[] = { HANDSHAKE, 3, 3, 0x48, 1 };
	/* only the first record may be */
	static const uint8_t ssl2[] = { 0x80, 46, 1, 3, 1, 0, 21 };

	bad_header(type, sizeof(type), EPROTO, UNEXPECTED_MESSAGE);
	bad_header(http, sizeof(http), EPROTO, UNEXPECTED_MESSAGE);
	bad_header(version, sizeof(version), EPROTONOSUPPORT, PROTOCOL_VERSION);
	bad_header(empty, sizeof(empty), EPROTO, UNEXPECTED_MESSAGE);
	bad_header(longer, sizeof(longer), EMSGSIZE, RECORD_OVERFLOW);
	bad_header(ssl2, sizeof(ssl2), EPROTO, UNEXPECTED_MESSAGE);
}

static void end_of_stream(void)
{
	struct conn c;
	uint8_t byte;

	conn_attend(&c);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	expect_event(c.control, KSSL_EV_EOF);
	FAILS(recv(c.fd, &byte, 1, 0), ECONNRESET);
}

/* ---- reading the file ---- */

static void small_buffer(void)
{
	uint8_t buffer[200];
	struct kssl_msg head;
	struct conn c;

	conn_attend(&c);
	raw_send(&c, HANDSHAKE, 100);
	wait_ready(c.control, POLLIN);
	FAILS(read(c.control, buffer, 0), EMSGSIZE);
	FAILS(read(c.control, buffer, 15), EMSGSIZE);
	FAILS(read(c.control, buffer, 16), EMSGSIZE);
	FAILS(read(c.control, buffer, 16 + 104), EMSGSIZE);
	EQ(SYS(read(c.control, buffer, 16 + 105)), 16 + 105);
	memcpy(&head, buffer, sizeof(head));
	EQ(head.len, 16 + 105);
	EQ(head.kind, KSSL_MSG_RAW);
	EQ(head.type, HANDSHAKE);
	EQ(head.flags, 0);
	EQ(head.epoch, 0);
	EQ(head.value, 0);
	check_pattern(buffer + 16 + HEADER, 0, 100);
}

static void bad_pointer(void)
{
	struct conn c;

	conn_attend(&c);
	raw_send(&c, HANDSHAKE, 100);
	wait_ready(c.control, POLLIN);
	FAILS(read(c.control, nowhere, 1000), EFAULT);
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
	FAILS(write(c.control, nowhere, 8), EFAULT);
}

static void *read_raw(void *arg)
{
	struct conn *c = arg;
	static struct message m;

	EQ(SYS(read_message(c->control, &m)), 16 + HEADER + 100);
	return NULL;
}

static void sleeping_helper(void)
{
	struct conn c;
	pthread_t t;

	conn_attend(&c);
	t = start(read_raw, &c);
	raw_send(&c, HANDSHAKE, 100);
	finish(t);
}

/* ---- raw records out ---- */

static void raw_out(void)
{
	struct batch *b = batch_new();
	uint8_t record[RECORD_MAX], got[RECORD_MAX];
	struct conn c;
	size_t len;
	int i;

	conn_attend(&c);
	for (i = 0; i < 20; i++) {
		len = make_raw(record, HANDSHAKE, 0x0301, 1 + i * 860);
		batch_add(b, KSSL_OP_RAW, 0, record, len);
	}
	SYS(batch_write(b, c.control));
	for (i = 0; i < 20; i++) {
		len = make_raw(record, HANDSHAKE, 0x0301, 1 + i * 860);
		EQ(peer_read_raw(&c.peer, got), len);
		CHECK(!memcmp(got, record, len));
	}
	/* several records in one op */
	len = make_raw(record, HANDSHAKE, 0x0303, 10);
	len += make_raw(record + len, CCS, 0x0303, 1);
	batch_add(b, KSSL_OP_RAW, 0, record, len);
	SYS(batch_write(b, c.control));
	EQ(peer_read_raw(&c.peer, got), HEADER + 10);
	EQ(peer_read_raw(&c.peer, got), HEADER + 1);
}

/* ---- the application waits ---- */

static void application_waits(void)
{
	struct conn c;
	uint8_t byte;

	conn_attend(&c);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	raw_send(&c, HANDSHAKE, 100);
	raw_send(&c, DATA, 100);
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	control_op(c.control, KSSL_OP_CONTINUE);
	expect_raw(&c, DATA, 0x0303, 100);
	/* not even what calls itself application data is for the application */
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	EQ(queued_bytes(c.fd), 0);
}

static void *write_data(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 100000);
	return NULL;
}

static void *read_data(void *arg)
{
	struct conn *c = arg;

	recv_pattern(c->fd, 0, 30000);
	return NULL;
}

static void *poll_out(void *arg)
{
	struct conn *c = arg;

	wait_ready(c->fd, POLLOUT);
	return NULL;
}

/* Those who came early are served when the handshake is over. */
static void sleepers(void)
{
	pthread_t t[3];
	struct conn c;

	conn_attend(&c);
	t[0] = start(write_data, &c);
	t[1] = start(read_data, &c);
	t[2] = start(poll_out, &c);
	conn_hand_over(&c);
	peer_send_pattern(&c.peer, 0, 30000, 16384);
	peer_expect_pattern(&c.peer, 0, 100000);
	finish(t[0]);
	finish(t[1]);
	finish(t[2]);
}

/* ---- the hand-over ---- */

static void hand_over(void)
{
	struct kssl_status s;
	struct conn c;

	conn_open_attended(&c);
	s = status_of(c.fd);
	EQ(s.attended, 1);
	EQ(s.established, 1);
	EQ(s.handshakes, 1);
	EQ(s.holds, 1);
	CHECK(s.hold_last_ns > 0);
	CHECK(s.hold_max_ns >= s.hold_last_ns);
	EQ(s.tx.epoch, 1);
	EQ(s.rx.epoch, 1);
	EQ(s.tx.state, KSSL_STATE_ACTIVE);
	EQ(s.rx.state, KSSL_STATE_ACTIVE);
	EQ(s.tx.suite, v->suite.suite);
	EQ(s.rx.version, v->suite.version);
	send_pattern(c.fd, 0, 50000);
	peer_expect_pattern(&c.peer, 0, 50000);
	peer_send_pattern(&c.peer, 0, 50000, 16384);
	recv_pattern(c.fd, 0, 50000);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	expect_event(c.control, KSSL_EV_CLOSED);
}

/* Records under the new keys right behind the last raw one, in the same segment. */
static void early_bytes(void)
{
	uint8_t all[20000];
	struct batch *b = batch_new();
	uint8_t data[3000];
	struct conn c;
	size_t len;
	int i;

	conn_attend(&c);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	len = make_raw(all, HANDSHAKE, 0x0303, 100);
	for (i = 0; i < 3; i++) {
		uint8_t record[RECORD_MAX];
		size_t n;

		pattern(data, i * 1000, 1000);
		n = seal(&c.peer.tx, DATA, data, 1000, record);
		memcpy(all + len, record, n);
		len += n;
	}
	peer_write(&c.peer, all, len);
	peer_settle(&c.peer);
	expect_raw(&c, HANDSHAKE, 0x0303, 100);
	c.peer.tx = make_keys(2);
	batch_key(b, KSSL_OP_RX_KEY, &c.peer.tx);
	batch_key(b, KSSL_OP_TX_KEY, &c.peer.rx);
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_DONE);
	SYS(batch_write(b, c.control));
	recv_pattern(c.fd, 0, 3000);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* The keys' own numbers count, also over records of the same batch. */
static void handed_over_numbers(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_attend(&c);
	raw_send(&c, HANDSHAKE, 1);
	expect_raw(&c, HANDSHAKE, 0x0303, 1);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	c.peer.rx.seq = 7;
	c.peer.tx.seq = 9;
	batch_key(b, KSSL_OP_TX_KEY, &c.peer.rx);
	batch_record(b, HANDSHAKE, "finished", 8);
	batch_record(b, HANDSHAKE, "ticket", 6);
	batch_key(b, KSSL_OP_RX_KEY, &c.peer.tx);
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c.control));
	EQ(status_of(c.fd).tx.seq, 9);
	EQ(status_of(c.fd).tx.records, 2);
	peer_expect(&c.peer, HANDSHAKE, "finished", 8);
	peer_expect(&c.peer, HANDSHAKE, "ticket", 6);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_send_pattern(&c.peer, 0, 100, 10);
	recv_pattern(c.fd, 0, 100);
	EQ(status_of(c.fd).rx.seq, 19);
}

/* Keys both ways and receiving goes on, but nobody has checked the Finished yet. */
static void open_unestablished(struct conn *c)
{
	struct batch *b = batch_new();

	conn_attend(c);
	raw_send(c, CCS, 1);
	expect_raw(c, CCS, 0x0303, 1);
	c->peer.rx = make_keys(1);
	c->peer.tx = make_keys(2);
	batch_key(b, KSSL_OP_TX_KEY, &c->peer.rx);
	batch_key(b, KSSL_OP_RX_KEY, &c->peer.tx);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c->control));
	free(b);
	EQ(status_of(c->fd).established, 0);
}

static void *read_nothing(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EPROTO);
	return NULL;
}

/* RFC 5246 7.4.9 */
static void data_before_finished(void)
{
	struct conn c;
	pthread_t t;

	open_unestablished(&c);
	t = start(read_nothing, &c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	finish(t);
	/* the alert goes out although sending is still held */
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
	expect_event(c.control, KSSL_EV_FAILED);
	EQ(error_of(c.fd).err, EPROTO);
	EQ(status_of(c.fd).rx.bytes, 0);
}

/* A Finished that is wrong, and data behind it in the same segment: zero bytes arrive. */
static void wrong_finished(void)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EPROTO, .alert = 51, .has_alert = 1,
		.text = "wrong Finished",
	};
	struct batch *b = batch_new();
	uint8_t all[3000], message[16], byte;
	struct conn c;
	pthread_t t;
	size_t len;

	open_unestablished(&c);
	t = start(read_nothing, &c);
	len = seal(&c.peer.tx, HANDSHAKE, message, make_message(FINISHED, 12, message), all);
	len += seal(&c.peer.tx, DATA, "GET /secret", 11, all + len);
	peer_write(&c.peer, all, len);
	peer_settle(&c.peer);
	expect_handshake(c.control, FINISHED, 12);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
	EQ(queued_bytes(c.fd), 0);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	finish(t);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	peer_expect_alert(&c.peer, FATAL, 51);
	EQ(status_of(c.fd).rx.bytes, 0);
	EQ(error_of(c.fd).who, KSSL_WHO_HELPER);
}

static void right_finished(void)
{
	struct batch *b = batch_new();
	uint8_t all[3000], message[16], type;
	struct conn c;
	size_t len;

	open_unestablished(&c);
	len = seal(&c.peer.tx, HANDSHAKE, message, make_message(FINISHED, 12, message), all);
	len += seal(&c.peer.tx, DATA, "GET /", 5, all + len);
	peer_write(&c.peer, all, len);
	expect_handshake(c.control, FINISHED, 12);
	/* our own Finished may be on its way, but we still hold */
	batch_record(b, HANDSHAKE, "ours", 4);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, HANDSHAKE, "ours", 4);
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), EAGAIN);
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_RELEASE);
	SYS(batch_write(b, c.control));
	/* control messages are a thing of unattended sockets */
	EQ(SYS(recv_typed(c.fd, &type, all, sizeof(all), 0)), 5);
	EQ(type, 0);
	CHECK(!memcmp(all, "GET /", 5));
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static const struct test tests[] = {
	{ "only_once", VERSIONS, only_once },
	{ "not_after_keys", ONCE, not_after_keys },
	{ "bad_calls", ONCE, bad_calls },
	{ "one_at_a_time", VERSIONS, one_at_a_time },
	{ "not_in_parts", VERSIONS, not_in_parts },
	{ "came_before", VERSIONS, came_before },
	{ "types_and_versions", VERSIONS, types_and_versions },
	{ "ssl2_hello", VERSIONS, ssl2_hello },
	{ "bad_headers", VERSIONS, bad_headers },
	{ "end_of_stream", VERSIONS, end_of_stream },
	{ "small_buffer", ONCE, small_buffer },
	{ "bad_pointer", ONCE, bad_pointer },
	{ "sleeping_helper", ONCE, sleeping_helper },
	{ "raw_out", VERSIONS, raw_out },
	{ "application_waits", VERSIONS, application_waits },
	{ "sleepers", VERSIONS, sleepers },
	{ "hand_over", PROTECTIONS, hand_over },
	{ "early_bytes", VERSIONS, early_bytes },
	{ "handed_over_numbers", PROTECTIONS, handed_over_numbers },
	{ "data_before_finished", VERSIONS, data_before_finished },
	{ "wrong_finished", VERSIONS, wrong_finished },
	{ "right_finished", VERSIONS, right_finished },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
