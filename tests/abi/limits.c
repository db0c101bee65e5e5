// SPDX-License-Identifier: MIT
/*
 * Record by record: what is refused, with which errno and alert, and what is just
 * within the limits.  Rows that the format of records decides run under each protection.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#define MOST		16384		/* RFC 5246 6.2.1, RFC 8446 5.1 */
#define EMPTY_MAX	32
#define BEFORE		3		/* records each way before the one that matters */

enum { BOTH, TLS12, TLS13, TLS12_NONCE };

struct row {
	const char *what;
	int where;
	size_t (*make)(struct keys *k, uint8_t *wire);
	int error;
	int alert;
};

static int applies(const struct row *r)
{
	switch (r->where) {
	case TLS12:
		return !is_13();
	case TLS13:
		return is_13();
	case TLS12_NONCE:
		return !is_13() && v->suite.iv_len == 4;
	default:
		return 1;
	}
}

/* ---- what comes ---- */

static size_t header(uint8_t *wire, uint8_t type, uint16_t version, size_t len)
{
	wire[0] = type;
	wire[1] = version >> 8;
	wire[2] = version;
	wire[3] = len >> 8;
	wire[4] = len;
	return HEADER;
}

/* RFC 5246 6.2.3, RFC 8446 5.2 */
static size_t longest_body(void)
{
	return MOST + (is_13() ? 256 : 2048);
}

static size_t header_one_too_long(struct keys *k, uint8_t *wire)
{
	(void)k;
	return header(wire, DATA, 0x0303, longest_body() + 1);
}

static size_t header_65535(struct keys *k, uint8_t *wire)
{
	(void)k;
	return header(wire, DATA, 0x0303, 65535);
}

static size_t no_body(struct keys *k, uint8_t *wire)
{
	(void)k;
	return header(wire, DATA, 0x0303, 0);
}

static size_t one_too_short(struct keys *k, uint8_t *wire)
{
	size_t len = sealed_len(k, 0) - HEADER - 1;

	pattern(wire + HEADER, 0, len);
	return header(wire, DATA, 0x0303, len) + len;
}

static size_t longest_garbage(struct keys *k, uint8_t *wire)
{
	size_t len = longest_body();

	(void)k;
	pattern(wire + HEADER, 0, len);
	return header(wire, DATA, 0x0303, len) + len;
}

static size_t one_content_too_long(struct keys *k, uint8_t *wire)
{
	uint8_t content[MOST + 1] = { 1 };

	return seal(k, DATA, content, sizeof(content), wire);
}

/* As much content as the longest body holds. */
static size_t most_content(struct keys *k, uint8_t *wire)
{
	uint8_t content[RECORD_MAX] = { 1 };
	size_t len = longest_body() + HEADER - sealed_len(k, 0);

	if (is_cbc())	/* the least padding of no content is not the least padding */
		len += least_padding(k, 0) - 1;
	while (sealed_len(k, len) > HEADER + longest_body())
		len--;
	return seal(k, DATA, content, len, wire);
}

static size_t long_handshake(struct keys *k, uint8_t *wire)
{
	uint8_t content[MOST + 1] = { 1 };

	return seal(k, HANDSHAKE, content, sizeof(content), wire);
}

static size_t type_24(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, 24, 0x0303, "abc\27", 4, wire);
}

static size_t type_19(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, 19, 0x0303, "abc\27", 4, wire);
}

static size_t type_0(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, 0, 0x0303, "abc\27", 4, wire);
}

static size_t type_128(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, 128, 0x0303, "abc\27", 4, wire);
}

static size_t outer_alert(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, ALERT, 0x0303, "\1\0\25", 3, wire);
}

static size_t outer_handshake(struct keys *k, uint8_t *wire)
{
	return seal_inner(k, HANDSHAKE, 0x0303, "abc\26", 4, wire);
}

static size_t outer_ccs(struct keys *k, uint8_t *wire)
{
	(void)k;
	wire[HEADER] = 1;
	return header(wire, CCS, 0x0303, 1) + 1;
}

static size_t inner_24(struct keys *k, uint8_t *wire)
{
	return seal(k, 24, "abc", 3, wire);
}

static size_t inner_ccs(struct keys *k, uint8_t *wire)
{
	return seal(k, CCS, "\1", 1, wire);
}

static size_t zeros(struct keys *k, size_t len, uint8_t *wire)
{
	static const uint8_t inner[MOST + 256];

	return seal_inner(k, DATA, 0x0303, inner, len, wire);
}

static size_t one_zero(struct keys *k, uint8_t *wire)
{
	return zeros(k, 1, wire);
}

static size_t a_hundred_zeros(struct keys *k, uint8_t *wire)
{
	return zeros(k, 100, wire);
}

static size_t all_zeros(struct keys *k, uint8_t *wire)
{
	return zeros(k, MOST + 1, wire);
}

static size_t more_zeros(struct keys *k, uint8_t *wire)
{
	return zeros(k, MOST + 2, wire);
}

/* Content, type, and zeros up to @len octets. */
static size_t padded(struct keys *k, const char *content, uint8_t type, size_t len, uint8_t *wire)
{
	uint8_t inner[MOST + 256] = {};
	size_t n = strlen(content);

	memcpy(inner, content, n);
	inner[n] = type;
	return seal_inner(k, DATA, 0x0303, inner, len, wire);
}

static size_t padded_beyond(struct keys *k, uint8_t *wire)
{
	return padded(k, "data", DATA, MOST + 2, wire);
}

static size_t padded_far_beyond(struct keys *k, uint8_t *wire)
{
	return padded(k, "data", DATA, MOST + 256 - v->suite.tag_len, wire);
}

static size_t empty_handshake(struct keys *k, uint8_t *wire)
{
	return seal(k, HANDSHAKE, "", 0, wire);
}

static size_t empty_alert(struct keys *k, uint8_t *wire)
{
	return seal(k, ALERT, "", 0, wire);
}

static size_t empty_ccs(struct keys *k, uint8_t *wire)
{
	return seal(k, CCS, "", 0, wire);
}

static size_t padded_empty_handshake(struct keys *k, uint8_t *wire)
{
	return padded(k, "", HANDSHAKE, 200, wire);
}

static size_t half_an_alert(struct keys *k, uint8_t *wire)
{
	return seal(k, ALERT, "\2", 1, wire);
}

static size_t two_alerts(struct keys *k, uint8_t *wire)
{
	return seal(k, ALERT, "\1\132\1\132", 4, wire);
}

static size_t version(struct keys *k, uint16_t number, uint8_t *wire)
{
	return seal_inner(k, DATA, number, "abc\27", 4, wire);
}

static size_t version_0302(struct keys *k, uint8_t *wire)
{
	return version(k, 0x0302, wire);
}

static size_t version_0304(struct keys *k, uint8_t *wire)
{
	return version(k, 0x0304, wire);
}

static size_t version_0203(struct keys *k, uint8_t *wire)
{
	return version(k, 0x0203, wire);
}

static size_t number_skipped(struct keys *k, uint8_t *wire)
{
	k->seq++;
	return seal(k, DATA, "data", 4, wire);
}

static size_t number_again(struct keys *k, uint8_t *wire)
{
	k->seq--;
	return seal(k, DATA, "data", 4, wire);
}

static size_t nonce_changed(struct keys *k, uint8_t *wire)
{
	size_t len = seal(k, DATA, "data", 4, wire);

	wire[HEADER + 7] ^= 1;
	return len;
}

static size_t tag_changed(struct keys *k, uint8_t *wire)
{
	size_t len = seal(k, DATA, "data", 4, wire);

	wire[len - 1] ^= 1;
	return len;
}

static size_t tag_cut(struct keys *k, uint8_t *wire)
{
	size_t len = seal(k, DATA, "some more data", 14, wire) - (is_cbc() ? 16 : 1);

	header(wire, DATA, 0x0303, len - HEADER);
	return len;
}

static size_t type_changed(struct keys *k, uint8_t *wire)
{
	size_t len = seal(k, DATA, "data", 4, wire);

	wire[0] = HANDSHAKE;
	return len;
}

static size_t too_many_empty(struct keys *k, uint8_t *wire)
{
	size_t len = 0;
	int i;

	for (i = 0; i <= EMPTY_MAX; i++)
		len += seal(k, DATA, "", 0, wire + len);
	return len;
}

/* What the format of the records decides. */
static const struct row format_rows[] = {
	{ "one_too_short", BOTH, one_too_short, EBADMSG, BAD_RECORD_MAC },
	{ "longest_garbage", BOTH, longest_garbage, EBADMSG, BAD_RECORD_MAC },
	{ "tag_changed", BOTH, tag_changed, EBADMSG, BAD_RECORD_MAC },
	{ "tag_cut", BOTH, tag_cut, EBADMSG, BAD_RECORD_MAC },
	{ "type_changed", TLS12, type_changed, EBADMSG, BAD_RECORD_MAC },
	{ "number_skipped", BOTH, number_skipped, EBADMSG, BAD_RECORD_MAC },
	{ "number_again", BOTH, number_again, EBADMSG, BAD_RECORD_MAC },
	{ "nonce_changed", TLS12_NONCE, nonce_changed, EBADMSG, BAD_RECORD_MAC },
	{ "one_content_too_long", BOTH, one_content_too_long, EMSGSIZE, RECORD_OVERFLOW },
	{ "most_content", BOTH, most_content, EMSGSIZE, RECORD_OVERFLOW },
	{ "more_zeros", TLS13, more_zeros, EMSGSIZE, RECORD_OVERFLOW },
	{ "padded_beyond", TLS13, padded_beyond, EMSGSIZE, RECORD_OVERFLOW },
	{ "padded_far_beyond", TLS13, padded_far_beyond, EMSGSIZE, RECORD_OVERFLOW },
	{ "one_zero", TLS13, one_zero, EPROTO, UNEXPECTED_MESSAGE },
	{ "all_zeros", TLS13, all_zeros, EPROTO, UNEXPECTED_MESSAGE },
	{ "too_many_empty", BOTH, too_many_empty, EPROTO, UNEXPECTED_MESSAGE },
	{}
};

/* What header, content and version decide. */
static const struct row other_rows[] = {
	{ "no_body", BOTH, no_body, EBADMSG, BAD_RECORD_MAC },
	{ "header_one_too_long", BOTH, header_one_too_long, EMSGSIZE, RECORD_OVERFLOW },
	{ "header_65535", BOTH, header_65535, EMSGSIZE, RECORD_OVERFLOW },
	{ "long_handshake", BOTH, long_handshake, EMSGSIZE, RECORD_OVERFLOW },
	{ "type_0", BOTH, type_0, EPROTO, UNEXPECTED_MESSAGE },
	{ "type_19", BOTH, type_19, EPROTO, UNEXPECTED_MESSAGE },
	{ "type_24", BOTH, type_24, EPROTO, UNEXPECTED_MESSAGE },
	{ "type_128", BOTH, type_128, EPROTO, UNEXPECTED_MESSAGE },
	{ "outer_alert", TLS13, outer_alert, EPROTO, UNEXPECTED_MESSAGE },
	{ "outer_handshake", TLS13, outer_handshake, EPROTO, UNEXPECTED_MESSAGE },
	{ "outer_ccs", TLS13, outer_ccs, EPROTO, UNEXPECTED_MESSAGE },
	{ "inner_24", TLS13, inner_24, EPROTO, UNEXPECTED_MESSAGE },
	{ "inner_ccs", TLS13, inner_ccs, EPROTO, UNEXPECTED_MESSAGE },
	{ "a_hundred_zeros", TLS13, a_hundred_zeros, EPROTO, UNEXPECTED_MESSAGE },
	{ "empty_handshake", BOTH, empty_handshake, EPROTO, UNEXPECTED_MESSAGE },
	{ "empty_alert", BOTH, empty_alert, EPROTO, UNEXPECTED_MESSAGE },
	{ "empty_ccs", BOTH, empty_ccs, EPROTO, UNEXPECTED_MESSAGE },
	{ "padded_empty_handshake", TLS13, padded_empty_handshake, EPROTO, UNEXPECTED_MESSAGE },
	{ "half_an_alert", BOTH, half_an_alert, EPROTO, UNEXPECTED_MESSAGE },
	{ "two_alerts", BOTH, two_alerts, EPROTO, UNEXPECTED_MESSAGE },
	{ "version_0302", TLS12, version_0302, EPROTONOSUPPORT, PROTOCOL_VERSION },
	{ "version_0304", TLS12, version_0304, EPROTONOSUPPORT, PROTOCOL_VERSION },
	{ "version_0203", TLS12, version_0203, EPROTONOSUPPORT, PROTOCOL_VERSION },
	{}
};

/* ---- refused ---- */

/* Records that are good, so that numbers are not at their beginning. */
static void some_records(struct conn *c)
{
	peer_send_pattern(&c->peer, 0, BEFORE * 10, 10);
	recv_pattern(c->fd, 0, BEFORE * 10);
	for (int i = 0; i < BEFORE; i++)
		send_pattern(c->fd, 10 * i, 10);
	peer_expect_pattern(&c->peer, 0, BEFORE * 10);
}

/* One fatal alert with the right number, then nothing; both directions say why. */
static void check_refusal(struct conn *c, const struct row *r)
{
	struct kssl_status s;
	struct kssl_error e;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), r->error);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), r->error);
	EQ(c->peer.rx.seq, BEFORE);
	peer_expect_alert(&c->peer, FATAL, r->alert);
	EQ(c->peer.rx.seq, BEFORE + 1);
	e = error_of(c->fd);
	EQ(e.err, r->error);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 1);
	EQ(e.alert, r->alert);
	EQ(e.x509, 0);
	CHECK(e.text[0]);
	s = status_of(c->fd);
	EQ(s.tx.state, KSSL_STATE_FAILED);
	EQ(s.rx.state, KSSL_STATE_FAILED);
	EQ(s.tx.seq, BEFORE + 1);
	EQ(s.rx.bytes, BEFORE * 10);
	FAILS(recv(c->fd, &byte, 1, MSG_DONTWAIT), r->error);
	close(c->fd);
	peer_expect_fin(&c->peer);
	close(c->peer.fd);
}

static void run_row(const struct row *r, int attended)
{
	static uint8_t wire[RECORD_MAX * 2];
	struct message m;
	struct conn c;
	size_t len;

	if (!applies(r))
		return;
	if (attended)
		conn_open_attended(&c);
	else
		conn_open(&c);
	some_records(&c);
	len = r->make(&c.peer.tx, wire);
	CHECK(len <= sizeof(wire));
	peer_write(&c.peer, wire, len);
	if (attended) {
		wait_ready(c.control, POLLIN);
		SYS(read_message(c.control, &m));
		EQ(m.head.kind, KSSL_MSG_EVENT);
		EQ(m.head.type, KSSL_EV_FAILED);
		EQ(m.head.value, r->error);
	}
	check_refusal(&c, r);
	if (attended)
		close(c.control);
}

/* The row that is under way is in the name of what fails. */
static void run_rows(const struct row *rows, int attended)
{
	for (; rows->what; rows++) {
		at_row(rows->what);
		run_row(rows, attended);
	}
}

static void refused_by_format(void)
{
	run_rows(format_rows, 0);
}

static void refused(void)
{
	run_rows(other_rows, 0);
}

static void refused_attended(void)
{
	run_rows(format_rows, 1);
	run_rows(other_rows, 1);
}

/* ---- within the limits ---- */

static size_t longest(struct keys *k, uint8_t *wire)
{
	uint8_t content[MOST];

	pattern(content, 0, MOST);
	return seal(k, DATA, content, MOST, wire);
}

static void expect_next(struct conn *c)
{
	uint8_t byte;

	peer_send(&c->peer, DATA, "n", 1);
	EQ(SYS(recv(c->fd, &byte, 1, 0)), 1);
	EQ(byte, 'n');
}

static void longest_good(void)
{
	uint8_t wire[RECORD_MAX], content[MOST];
	struct conn c;

	conn_open(&c);
	peer_write(&c.peer, wire, longest(&c.peer.tx, wire));
	recv_pattern(c.fd, 0, MOST);
	pattern(content, 0, MOST);
	peer_send(&c.peer, HANDSHAKE, content, MOST);
	expect_typed(c.fd, HANDSHAKE, content, MOST);
	expect_next(&c);
}

/* RFC 8446 5.4 */
static void padded_good(void)
{
	uint8_t wire[RECORD_MAX];
	struct conn c;
	size_t i;

	conn_open(&c);
	for (i = 5; i < 200; i++) {
		peer_write(&c.peer, wire, padded(&c.peer.tx, "data", DATA, i, wire));
		expect_typed(c.fd, DATA, "data", 4);
	}
	peer_write(&c.peer, wire, padded(&c.peer.tx, "data", DATA, MOST + 1, wire));
	expect_typed(c.fd, DATA, "data", 4);
	peer_write(&c.peer, wire, padded(&c.peer.tx, "hand", HANDSHAKE, MOST + 1, wire));
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
	/* nothing but padding is an empty record, which may be */
	peer_write(&c.peer, wire, padded(&c.peer.tx, "", DATA, MOST + 1, wire));
	expect_next(&c);
	/* legacy_record_version is ignored (RFC 8446 5.2) */
	peer_write(&c.peer, wire, seal_inner(&c.peer.tx, DATA, 0x0301, "data\27", 5, wire));
	expect_typed(c.fd, DATA, "data", 4);
}

/* Empty records of application data are not the end, nor anything else to see. */
static void empty_good(void)
{
	struct conn c;
	uint8_t byte;
	int i, j;

	conn_open(&c);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < EMPTY_MAX; i++)
			peer_send(&c.peer, DATA, "", 0);
		peer_settle(&c.peer);
		FAILS(recv(c.fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
		EQ(ready(c.fd, POLLIN), 0);
		expect_next(&c);
	}
	EQ(status_of(c.fd).rx.records, 2 * (EMPTY_MAX + 1));
}

/* The peer may choose its explicit nonces as it likes (RFC 5288 3, RFC 6655 3). */
static void any_explicit_nonce(void)
{
	static const uint64_t nonces[] = { 0, ~0ULL, 1ULL << 63, 7, 7, 0x0123456789abcdefULL };
	struct conn c;
	unsigned int i;

	conn_open(&c);
	for (i = 0; i < sizeof(nonces) / sizeof(nonces[0]); i++) {
		c.peer.tx.nonce = nonces[i];
		expect_next(&c);
	}
}

/* ---- the last numbers ---- */

/* Two records, then no more: they do not wrap (RFC 5246 6.1, RFC 8446 5.3). */
static void numbers_end_rx(void)
{
	struct kssl_error e;
	struct kssl_status s;
	struct conn c;
	uint8_t byte;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	c.peer.tx.seq = ~0ULL - 2;
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	expect_next(&c);
	expect_next(&c);
	EQ(status_of(c.fd).rx.seq, ~0ULL);
	peer_send(&c.peer, DATA, "x", 1);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EKEYEXPIRED);
	e = error_of(c.fd);
	EQ(e.err, EKEYEXPIRED);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 0);
	s = status_of(c.fd);
	EQ(s.rx.state, KSSL_STATE_FAILED);
	EQ(s.rx.seq, ~0ULL);
	close(c.fd);
	peer_expect_fin(&c.peer);
}

static void numbers_end_tx(void)
{
	struct kssl_error e;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	c.peer.rx.seq = ~0ULL - 2;
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	send_pattern(c.fd, 0, 10);
	send_pattern(c.fd, 10, 10);
	peer_expect_pattern(&c.peer, 0, 20);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EKEYEXPIRED);
	FAILS(send_typed(c.fd, HANDSHAKE, "x", 1, 0), EKEYEXPIRED);
	e = error_of(c.fd);
	EQ(e.err, EKEYEXPIRED);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 0);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_FAILED);
	/* no number is left for an alert either */
	close(c.fd);
	peer_expect_fin(&c.peer);
}

static const struct test tests[] = {
	{ "refused_by_format", PROTECTIONS, refused_by_format },
	{ "refused", VERSIONS, refused },
	{ "refused_attended", VERSIONS, refused_attended },
	{ "longest_good", PROTECTIONS, longest_good },
	{ "padded_good", ONLY_13, padded_good },
	{ "empty_good", PROTECTIONS, empty_good },
	{ "any_explicit_nonce", EXPLICIT_NONCES, any_explicit_nonce },
	{ "numbers_end_rx", UNLIMITED, numbers_end_rx },
	{ "numbers_end_tx", UNLIMITED, numbers_end_tx },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
