// SPDX-License-Identifier: MIT
/* The table of errors in the header, row by row: errno, alert, and that both stay. */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#define ANY	(-1)

/*
 * After the bad record went out: the data before it can be read, then the error
 * comes and stays, the peer has its alert under the live key, and KSSL_ERROR says why.
 */
static void expect_failure(struct conn *c, int error, int alert)
{
	struct kssl_error e;
	struct kssl_status s;
	uint8_t byte;

	recv_pattern(c->fd, 0, 100);
	FAILS(recv(c->fd, &byte, 1, 0), error);
	FAILS(recv(c->fd, &byte, 1, 0), error);
	FAILS(recv(c->fd, &byte, 1, MSG_DONTWAIT), error);
	/* both directions have failed, sending not with EPIPE */
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), error);
	CHECK(ready(c->fd, POLLIN) & POLLIN);

	e = error_of(c->fd);
	EQ(e.err, error);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.x509, 0);
	EQ(e.has_alert, alert != ANY);
	CHECK(e.text[0]);
	if (alert != ANY) {
		EQ(e.alert, alert);
		peer_expect_alert(&c->peer, FATAL, alert);
	}
	/* SO_ERROR, once POLLERR says it is there, forgets; KSSL_ERROR and the calls do not */
	wait_ready(c->fd, POLLERR);
	EQ(so_error(c->fd), error);
	EQ(so_error(c->fd), 0);
	FAILS(recv(c->fd, &byte, 1, 0), error);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), error);
	EQ(error_of(c->fd).err, error);
	s = status_of(c->fd);
	EQ(s.tx.state, KSSL_STATE_FAILED);
	EQ(s.rx.state, KSSL_STATE_FAILED);
}

/* An open connection with 100 good bytes already on their way. */
static void prepare(struct conn *c)
{
	conn_open(c);
	peer_send_pattern(&c->peer, 0, 100, 100);
}

/* ---- bytes that are not a good record ---- */

static void flip_bit(size_t at)
{
	uint8_t record[RECORD_MAX], data[200];
	struct conn c;
	size_t len;

	prepare(&c);
	pattern(data, 100, sizeof(data));
	len = seal(&c.peer.tx, DATA, data, sizeof(data), record);
	record[at < len ? at : len - 1] ^= 0x40;
	peer_write(&c.peer, record, len);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

/* The first byte of ciphertext, or of explicit nonce. */
static void bad_body(void)
{
	flip_bit(HEADER);
}

static void bad_ciphertext(void)
{
	flip_bit(HEADER + 8 + 50);
}

static void bad_tag(void)
{
	flip_bit(~0UL);
}

/* What is authenticated although it is not encrypted. */
static void bad_type(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;
	size_t len;

	prepare(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[0] = HANDSHAKE;
	peer_write(&c.peer, record, len);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

static void bad_version_octet(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;
	size_t len;

	prepare(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[2] = 1;
	peer_write(&c.peer, record, len);
	/* TLS 1.3 ignores the octets, but not in the additional data */
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

static void bad_number(void)
{
	struct conn c;

	prepare(&c);
	c.peer.tx.seq++;
	peer_send(&c.peer, DATA, "data", 4);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

static void replayed(void)
{
	uint8_t record[RECORD_MAX], data[100];
	struct conn c;
	size_t len;

	conn_open(&c);
	pattern(data, 0, sizeof(data));
	len = seal(&c.peer.tx, DATA, data, sizeof(data), record);
	peer_write(&c.peer, record, len);
	peer_write(&c.peer, record, len);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

static void bad_key(void)
{
	struct conn c;

	prepare(&c);
	c.peer.tx.key[0] ^= 1;
	/* encrypt-then-MAC would find out only by padding, if at all */
	if (is_etm())
		c.peer.tx.mac_key[0] ^= 1;
	peer_send(&c.peer, DATA, "data", 4);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

/* A header that says too little, followed by what it says. */
static void short_record(size_t missing)
{
	uint8_t record[RECORD_MAX] = { DATA, 3, 3 };
	struct conn c;

	prepare(&c);
	record[4] = sealed_len(&c.peer.tx, 0) - HEADER - missing;
	peer_write(&c.peer, record, HEADER + record[4]);
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

static void too_short(void)
{
	short_record(1);
}

static void no_body(void)
{
	uint8_t record[HEADER] = { DATA, 3, 3, 0, 0 };
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, sizeof(record));
	expect_failure(&c, EBADMSG, BAD_RECORD_MAC);
}

/* ---- lengths ---- */

static void header_too_long(void)
{
	unsigned int len = 16384 + (is_13() ? 256 : 2048) + 1;
	uint8_t record[HEADER] = { DATA, 3, 3, len >> 8, len };
	struct conn c;

	prepare(&c);
	/* the header is enough */
	peer_write(&c.peer, record, sizeof(record));
	expect_failure(&c, EMSGSIZE, RECORD_OVERFLOW);
}

static void header_longest(void)
{
	uint8_t record[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, sizeof(record));
	expect_failure(&c, EMSGSIZE, RECORD_OVERFLOW);
}

/* Authentic, but with more content than a record may have. */
static void content_too_long(void)
{
	uint8_t record[RECORD_MAX], data[16385];
	struct conn c;

	prepare(&c);
	pattern(data, 100, sizeof(data));
	peer_write(&c.peer, record, seal(&c.peer.tx, DATA, data, sizeof(data), record));
	expect_failure(&c, EMSGSIZE, RECORD_OVERFLOW);
}

/* RFC 8446 5.4: padding counts. */
static void padding_too_long(void)
{
	uint8_t record[RECORD_MAX], inner[16386] = { 'x', DATA };
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0303, inner, sizeof(inner),
					       record));
	expect_failure(&c, EMSGSIZE, RECORD_OVERFLOW);
}

static void longest_good(void)
{
	uint8_t record[RECORD_MAX], data[16385];
	struct conn c;

	conn_open(&c);
	pattern(data, 0, 16384);
	peer_write(&c.peer, record, seal(&c.peer.tx, DATA, data, 16384, record));
	recv_pattern(c.fd, 0, 16384);
	if (!is_13())
		return;
	/* all padding */
	memset(data, 0, sizeof(data));
	data[0] = 'x';
	data[1] = DATA;
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0303, data, sizeof(data),
					       record));
	EQ(SYS(recv(c.fd, record, 100, 0)), 1);
}

/* ---- types ---- */

static void outer_type(uint8_t type)
{
	uint8_t record[RECORD_MAX];
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, type, 0x0303, "abc\27", 4, record));
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

static void unknown_type(void)
{
	outer_type(24);
}

static void heartbeat_and_below(void)
{
	outer_type(19);
}

/* RFC 8446 5.2: the outer type is always application_data. */
static void unprotected_handshake(void)
{
	outer_type(HANDSHAKE);
}

/* RFC 8446 5: after the handshake it is an unexpected message. */
static void plain_ccs(void)
{
	static const uint8_t record[] = { CCS, 3, 3, 0, 1, 1 };
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, sizeof(record));
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

static void sealed_ccs(void)
{
	struct conn c;

	prepare(&c);
	peer_send(&c.peer, CCS, "\1", 1);
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

static void inner_type(uint8_t type)
{
	struct conn c;

	prepare(&c);
	peer_send(&c.peer, type, "abc", 3);
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

static void unknown_inner_type(void)
{
	inner_type(24);
}

static void invalid_inner_type(void)
{
	inner_type(1);
}

static void only_zeros(void)
{
	uint8_t record[RECORD_MAX], inner[200] = {};
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0303, inner, sizeof(inner),
					       record));
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

/* RFC 5246 6.2.1, RFC 8446 5.4 */
static void empty_handshake(void)
{
	struct conn c;

	prepare(&c);
	peer_send(&c.peer, HANDSHAKE, "", 0);
	expect_failure(&c, EPROTO, UNEXPECTED_MESSAGE);
}

/* ---- versions ---- */

static void sealed_version(uint16_t version)
{
	uint8_t record[RECORD_MAX];
	struct conn c;

	prepare(&c);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, version, "abcd", 4, record));
	expect_failure(&c, EPROTONOSUPPORT, PROTOCOL_VERSION);
}

static void older_version(void)
{
	sealed_version(0x0302);
}

static void newer_version(void)
{
	sealed_version(0x0304);
}

static void strange_version(void)
{
	sealed_version(0x0202);
}

/* RFC 8446 5.2: legacy_record_version is ignored. */
static void ignored_version(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;

	conn_open(&c);
	peer_write(&c.peer, record, seal_inner(&c.peer.tx, DATA, 0x0301, "abc\27", 4, record));
	expect_typed(c.fd, DATA, "abc", 3);
}

/* ---- who notices ---- */

static void found_by_poll(void)
{
	uint8_t record[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	struct pollfd p;
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	p = (struct pollfd){ .fd = c.fd, .events = POLLIN };
	peer_write(&c.peer, record, sizeof(record));
	EQ(SYS(poll(&p, 1, -1)), 1);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EMSGSIZE);
	wait_ready(c.fd, POLLERR);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
}

static void found_by_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = SYS(epoll_create1(0));
	uint8_t record[RECORD_MAX];
	uint8_t byte;
	struct conn c;
	size_t len;

	conn_open(&c);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event));
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	EQ(SYS(epoll_wait(epoll, &event, 1, -1)), 1);
	FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EBADMSG);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
}

static void *read_one(void *arg)
{
	struct conn *c = arg;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EBADMSG);
	return NULL;
}

static void found_by_sleeping_reader(void)
{
	uint8_t record[RECORD_MAX];
	pthread_t t[2];
	struct conn c;
	size_t len;

	conn_open(&c);
	t[0] = start_asleep(read_one, &c);
	t[1] = start_asleep(read_one, &c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	finish(t[0]);
	finish(t[1]);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
}

struct writer {
	struct conn *c;
	size_t sent;
	int error;
};

static void *write_until_error(void *arg)
{
	struct writer *w = arg;
	uint8_t data[5000];
	long n;

	for (;;) {
		pattern(data, w->sent, sizeof(data));
		n = send(w->c->fd, data, sizeof(data), MSG_NOSIGNAL);
		if (n < 0) {
			w->error = errno;
			return NULL;
		}
		w->sent += n;
	}
}

/* A writer that waits for the peer learns of it, and the alert comes after its data. */
static void found_while_writing(void)
{
	uint8_t record[RECORD_MAX], byte, type, data[RECORD_MAX];
	struct writer w = {};
	size_t len, got = 0;
	struct conn c;
	pthread_t t;
	long n;

	conn_open(&c);
	w.c = &c;
	t = start(write_until_error, &w);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	for (;;) {
		n = peer_recv(&c.peer, &type, data);
		CHECK(n >= 0);
		if (type == ALERT)
			break;
		EQ(type, DATA);
		check_pattern(data, got, n);
		got += n;
	}
	EQ(data[0], FATAL);
	EQ(data[1], BAD_RECORD_MAC);
	finish(t);
	EQ(w.error, EBADMSG);
	/* every byte that was taken arrived before the alert */
	EQ(got, w.sent);
}

/* Behind the alert comes nothing: no close_notify, nothing that MSG_MORE left open. */
static void alert_is_last(void)
{
	static const uint8_t header[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
	peer_write(&c.peer, header, sizeof(header));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
	SYS(shutdown(c.fd, SHUT_WR));
	peer_expect_fin(&c.peer);
}

/* The record that was refused must not turn the FIN into a reset, which could eat the alert. */
static void alert_survives_close(void)
{
	uint8_t record[RECORD_MAX], byte;
	struct conn c;
	size_t len;

	conn_open(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	peer_send_pattern(&c.peer, 0, 1000, 100);
	peer_settle(&c.peer);
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	close(c.fd);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
	peer_expect_fin(&c.peer);
}

/* The first error stays the error. */
static void first_error_wins(void)
{
	uint8_t record[RECORD_MAX], header[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	uint8_t byte;
	struct conn c;
	size_t len;

	conn_open(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	record[len - 1] ^= 1;
	peer_write(&c.peer, record, len);
	peer_write(&c.peer, header, sizeof(header));
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	EQ(error_of(c.fd).err, EBADMSG);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
}

/* No SIGPIPE for an error that is not EPIPE. */
static void no_signal(void)
{
	uint8_t header[HEADER] = { DATA, 3, 3, 0xff, 0xff };
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	signal(SIGPIPE, SIG_DFL);
	peer_write(&c.peer, header, sizeof(header));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	FAILS(send(c.fd, "x", 1, 0), EMSGSIZE);
}

static const struct test tests[] = {
	{ "bad_body", VERSIONS, bad_body },
	{ "bad_ciphertext", VERSIONS, bad_ciphertext },
	{ "bad_tag", VERSIONS, bad_tag },
	{ "bad_type", ONLY_12, bad_type },
	{ "bad_version_octet", ONLY_13, bad_version_octet },
	{ "bad_number", VERSIONS, bad_number },
	{ "replayed", VERSIONS, replayed },
	{ "bad_key", VERSIONS, bad_key },
	{ "too_short", VERSIONS, too_short },
	{ "no_body", VERSIONS, no_body },
	{ "header_too_long", VERSIONS, header_too_long },
	{ "header_longest", VERSIONS, header_longest },
	{ "content_too_long", VERSIONS, content_too_long },
	{ "padding_too_long", ONLY_13, padding_too_long },
	{ "longest_good", VERSIONS, longest_good },
	{ "unknown_type", VERSIONS, unknown_type },
	{ "heartbeat_and_below", VERSIONS, heartbeat_and_below },
	{ "unprotected_handshake", ONLY_13, unprotected_handshake },
	{ "plain_ccs", ONLY_13, plain_ccs },
	{ "sealed_ccs", ONLY_13, sealed_ccs },
	{ "unknown_inner_type", ONLY_13, unknown_inner_type },
	{ "invalid_inner_type", ONLY_13, invalid_inner_type },
	{ "only_zeros", ONLY_13, only_zeros },
	{ "empty_handshake", VERSIONS, empty_handshake },
	{ "older_version", ONLY_12, older_version },
	{ "newer_version", ONLY_12, newer_version },
	{ "strange_version", ONLY_12, strange_version },
	{ "ignored_version", ONLY_13, ignored_version },
	{ "found_by_poll", VERSIONS, found_by_poll },
	{ "found_by_epoll", VERSIONS, found_by_epoll },
	{ "found_by_sleeping_reader", VERSIONS, found_by_sleeping_reader },
	{ "found_while_writing", VERSIONS, found_while_writing },
	{ "alert_is_last", VERSIONS, alert_is_last },
	{ "alert_survives_close", VERSIONS, alert_survives_close },
	{ "first_error_wins", VERSIONS, first_error_wins },
	{ "no_signal", VERSIONS, no_signal },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
