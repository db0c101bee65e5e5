// SPDX-License-Identifier: MIT
/*
 * The bystander of wire.h himself: he has nothing against connections that are
 * right, and objects to each of those that are wrong, by the right rule.  They are
 * made up here, so nothing of this needs kssl, a peer or a network.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include "decrypt.h"
#include "messages.h"
#include "tap.h"

/**
 * struct end - one end of the made-up connection
 * @flow: what it sends
 * @keys: what with, and the sequence number of its next record
 * @secret: TLS 1.3
 */
struct end {
	struct flow flow;
	struct protection keys;
	struct secret secret;
};

static struct end ends[2];
static struct wire *wire;
static uint64_t tick;
static unsigned int hellos;
static struct wire_totals totals[2];
static int with_totals;

/* ---- segments ---- */

static void segment(int whose, uint64_t at, const uint8_t *data, size_t len, uint8_t flags)
{
	struct segment s = {
		.seq = 1000 + at, .ack = 1000 + ends[!whose].flow.len, .flags = flags | SEGMENT_ACK,
		.data = data, .len = len,
	};

	flow_take(&ends[whose].flow, &ends[!whose].flow, &s, ++tick);
}

static void raw(int whose, const void *data, size_t len)
{
	segment(whose, ends[whose].flow.len, data, len, 0);
}

static void fin(int whose)
{
	segment(whose, ends[whose].flow.len, NULL, 0, SEGMENT_FIN);
}

static void rst(int whose)
{
	segment(whose, ends[whose].flow.len, NULL, 0, SEGMENT_RST);
}

/* ---- records ---- */

static void clear_record(int whose, uint8_t type, const void *data, size_t len)
{
	static uint8_t record[HEADER_LEN + 65536];

	record[0] = type;
	record[1] = 3;
	record[2] = 3;
	record[3] = len >> 8;
	record[4] = len;
	memcpy(record + HEADER_LEN, data, len);
	raw(whose, record, HEADER_LEN + len);
}

static void sealed_as(int whose, uint64_t seq, uint8_t type, const void *data, size_t len)
{
	static uint8_t record[65536];

	raw(whose, record, protection_seal(&ends[whose].keys, seq, seq, type, data, len, record));
}

static void record(int whose, uint8_t type, const void *data, size_t len)
{
	if (ends[whose].keys.suite)
		sealed_as(whose, ends[whose].keys.seq++, type, data, len);
	else
		clear_record(whose, type, data, len);
}

static void text(int whose, const char *data)
{
	record(whose, APPLICATION_DATA, data, strlen(data));
}

static void alert(int whose, uint8_t level, uint8_t desc)
{
	record(whose, ALERT, (uint8_t []){ level, desc }, 2);
}

static void message(int whose, uint8_t type, const void *body, size_t len)
{
	static uint8_t m[4 + PLAINTEXT_MAX];

	m[0] = type;
	m[1] = 0;
	m[2] = len >> 8;
	m[3] = len;
	memcpy(m + 4, body, len);
	record(whose, HANDSHAKE, m, 4 + len);
}

static void stub(int whose, uint8_t type)
{
	message(whose, type, "twelve bytes", 12);
}

/* ---- handshakes ---- */

static int is_client(int whose)
{
	return v->server == (whose == THEIRS);
}

static int client(void)
{
	return is_client(OURS) ? OURS : THEIRS;
}

static uint8_t client_random[RANDOM_LEN];
static uint8_t server_random[RANDOM_LEN];

static uint16_t suite_id(void)
{
	return is_13() ? 0x1301 : 0xc02b;
}

static void client_hello(void)
{
	uint8_t body[2 + RANDOM_LEN + 7] = { 3, 3 };

	memset(client_random, 0x10 + hellos++, RANDOM_LEN);
	memcpy(body + 2, client_random, RANDOM_LEN);
	message(client(), CLIENT_HELLO, body, sizeof(body));
}

static void server_hello(void)
{
	/* Session identifier, suite, compression; in TLS 1.3 also supported_versions. */
	uint8_t body[2 + RANDOM_LEN + 4 + 2 + 6] = { 3, 3 };
	uint8_t *p = body + 2 + RANDOM_LEN;

	memset(server_random, 0x80 + hellos, RANDOM_LEN);
	memcpy(body + 2, server_random, RANDOM_LEN);
	*p++ = 0;
	*p++ = suite_id() >> 8;
	*p++ = suite_id() & 0xff;
	*p++ = 0;
	memcpy(p, "\0\6\0\x2b\0\2\3\4", 8);
	message(!client(), SERVER_HELLO, body, is_13() ? sizeof(body) : sizeof(body) - 8);
}

static void log_secret(const char *label, uint8_t fill, struct secret *secret)
{
	char line[256];
	int n = sprintf(line, "%s ", label), i;

	secret->len = is_13() ? 32 : 48;
	memset(secret->bytes, fill, secret->len);
	for (i = 0; i < RANDOM_LEN; i++)
		n += sprintf(line + n, "%02x", client_random[i]);
	line[n++] = ' ';
	for (i = 0; i < (int)secret->len; i++)
		n += sprintf(line + n, "%02X", secret->bytes[i]);
	wire_key_line(line, wire);
}

static void set_keys(int whose, const struct protection *keys)
{
	protection_clear(&ends[whose].keys);
	ends[whose].keys = *keys;
}

/* TLS 1.2 */
static void change_keys(int whose)
{
	struct protection keys;
	struct secret master;

	log_secret("CLIENT_RANDOM", 0x40 + hellos, &master);
	protection_from_master(&keys, suite_find(suite_id()), TLS12, 0, &master, client_random,
			       server_random, !is_client(whose));
	set_keys(whose, &keys);
}

/* TLS 1.3 */
static void use_secret(int whose, const char *client_label, const char *server_label, uint8_t fill)
{
	struct protection keys;

	log_secret(is_client(whose) ? client_label : server_label, fill + whose, &ends[whose].secret);
	protection_from_secret(&keys, suite_find(suite_id()), &ends[whose].secret);
	set_keys(whose, &keys);
}

static void use_handshake_secret(int whose)
{
	use_secret(whose, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x20);
}

static void use_traffic_secret(int whose)
{
	use_secret(whose, "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", 0x30);
}

static void change_cipher(int whose)
{
	record(whose, CHANGE_CIPHER_SPEC, "\1", 1);
	change_keys(whose);
}

static void finished(int whose)
{
	stub(whose, FINISHED);
	if (is_13())
		use_traffic_secret(whose);
}

/* Up to where the client's part goes on: behind ServerHelloDone, or the server's Finished. */
static void hellos_and_server(void)
{
	client_hello();
	server_hello();
	if (is_13()) {
		use_handshake_secret(OURS);
		use_handshake_secret(THEIRS);
		stub(!client(), ENCRYPTED_EXTENSIONS);
	}
	stub(!client(), CERTIFICATE);
	if (is_13()) {
		stub(!client(), CERTIFICATE_VERIFY);
		finished(!client());
	} else {
		message(!client(), SERVER_HELLO_DONE, "", 0);
		stub(client(), CLIENT_KEY_EXCHANGE);
	}
}

/* What is left: up to the Finished of @whose. */
static void finish(int whose)
{
	if (!is_13())
		change_cipher(whose);
	finished(whose);
}

static void handshake(void)
{
	hellos_and_server();
	finish(client());
	if (!is_13())
		finish(!client());
}

static void start(void)
{
	int i;

	wire = wire_new(v->server);
	for (i = 0; i < 2; i++) {
		protection_clear(&ends[i].keys);
		flow_free(&ends[i].flow);
	}
	tick = 0;
	hellos = 0;
	with_totals = 0;
	memset(totals, 0, sizeof(totals));
	for (i = 0; i < 2; i++)
		flow_take(&ends[i].flow, &ends[!i].flow,
			  &(struct segment){ .seq = 999, .flags = SEGMENT_SYN }, ++tick);
}

static void close_both(void)
{
	alert(OURS, 1, CLOSE_NOTIFY);
	alert(THEIRS, 1, CLOSE_NOTIFY);
	fin(OURS);
	fin(THEIRS);
}

/* ---- right ones ---- */

static void plain_good(void)
{
	handshake();
	text(OURS, "question");
	text(THEIRS, "answer");
	close_both();
}

static void renegotiate_good(void)
{
	handshake();
	text(OURS, "before");
	handshake();
	text(OURS, "between");
	handshake();
	text(THEIRS, "after");
	close_both();
}

/* The peer is free to do what we do not. */
static void renegotiate_with_their_data(void)
{
	handshake();
	text(THEIRS, "before");
	hellos_and_server();
	text(THEIRS, "meanwhile");
	finish(client());
	finish(!client());
	close_both();
}

static void refused_good(void)
{
	handshake();
	client_hello();
	alert(!client(), 1, NO_RENEGOTIATION);
	text(OURS, "goes on");
	close_both();
}

static void update(int whose, int request)
{
	struct protection keys;

	message(whose, KEY_UPDATE, request ? "\1" : "\0", 1);
	secret_update(suite_find(suite_id()), &ends[whose].secret);
	protection_from_secret(&keys, suite_find(suite_id()), &ends[whose].secret);
	set_keys(whose, &keys);
}

static void update_good(void)
{
	int i;

	handshake();
	for (i = 0; i < 3; i++) {
		update(OURS, 0);
		text(OURS, "new key");
		update(THEIRS, 1);
		update(THEIRS, 1);
		text(THEIRS, "new key");
		update(OURS, 0);
		text(OURS, "new key");
	}
	close_both();
}

/* Segments in disorder and twice, and a message in two records. */
static void disorder_good(void)
{
	static uint8_t all[4096];
	struct protection *keys = &ends[OURS].keys;
	size_t len = 0, begin;
	uint64_t from;
	int i;

	handshake();
	if (!is_client(THEIRS)) {
		record(THEIRS, HANDSHAKE, is_13() ? "\4\0\0\4ab" : "\0\0", is_13() ? 6 : 2);
		record(THEIRS, HANDSHAKE, is_13() ? "cd" : "\0\0", 2);
	}
	for (i = 0; i < 10; i++, keys->seq++)
		len += protection_seal(keys, keys->seq, keys->seq, APPLICATION_DATA, "some text", 9, all + len);
	from = ends[OURS].flow.len;
	for (begin = len - len % 50; begin > 0; begin -= 50)
		segment(OURS, from + begin, all + begin, len - begin < 70 ? len - begin : 70, 0);
	segment(OURS, from, all, 50, 0);
	segment(OURS, from + 30, all + 30, 100, 0);
	CHECK(ends[OURS].flow.len == from + len);
	close_both();
}

static void totals_good(void)
{
	plain_good();
	with_totals = 1;
	totals[OURS] = (struct wire_totals){ .bytes = 8, .all = 8 };
	totals[THEIRS] = (struct wire_totals){ .bytes = 4, .all = WIRE_UNKNOWN, .ended = 1 };
	EVP_Digest("question", 8, totals[OURS].digest, NULL, EVP_sha256(), NULL);
	EVP_Digest("answ", 4, totals[THEIRS].digest, NULL, EVP_sha256(), NULL);
}

/* ---- wrong ones: records ---- */

static void handshake_in_the_clear(void)
{
	handshake();
	clear_record(OURS, HANDSHAKE, "\0\0\0\4abcd", 8);
}

static void alert_in_the_clear(void)
{
	handshake();
	clear_record(OURS, ALERT, "\2\50", 2);
}

static void data_in_the_clear(void)
{
	client_hello();
	server_hello();
	clear_record(OURS, APPLICATION_DATA, "secret", 6);
}

static void sequence_skipped(void)
{
	handshake();
	text(OURS, "one");
	ends[OURS].keys.seq++;
	text(OURS, "three");
}

static void sequence_repeated(void)
{
	handshake();
	text(OURS, "one");
	ends[OURS].keys.seq--;
	text(OURS, "one");
}

static void bit_wrong(void)
{
	uint8_t record[256];
	int len;

	handshake();
	len = protection_seal(&ends[OURS].keys, ends[OURS].keys.seq, 0, APPLICATION_DATA, "data", 4, record);
	record[len - 1] ^= 1;
	raw(OURS, record, len);
}

static void their_bit_wrong(void)
{
	uint8_t record[256];
	int len;

	handshake();
	len = protection_seal(&ends[THEIRS].keys, ends[THEIRS].keys.seq, 0, APPLICATION_DATA, "data", 4, record);
	record[len / 2] ^= 1;
	raw(THEIRS, record, len);
}

static void version_wrong(void)
{
	handshake();
	raw(OURS, "\27\3\4\0\1x", 6);
}

static void type_wrong(void)
{
	handshake();
	raw(OURS, "\30\3\3\0\1x", 6);
}

static uint8_t big[65536];

static void too_long_sealed(void)
{
	handshake();
	clear_record(OURS, APPLICATION_DATA, big, is_13() ? CIPHERTEXT13_MAX + 1 : CIPHERTEXT12_MAX + 1);
}

static void too_long_plain(void)
{
	handshake();
	record(OURS, APPLICATION_DATA, big, PLAINTEXT_MAX + 1);
}

static void empty_handshake(void)
{
	handshake();
	record(OURS, HANDSHAKE, "", 0);
}

static void empty_alert(void)
{
	handshake();
	record(THEIRS, ALERT, "", 0);
}

static void alert_of_three(void)
{
	handshake();
	record(OURS, ALERT, "\1\0\1", 3);
}

/* Authentic as the next record, but with the nonce of the one before. */
static void nonce_twice(void)
{
	uint8_t record[256];
	uint64_t seq;

	handshake();
	text(OURS, "one");
	seq = ends[OURS].keys.seq++;
	raw(OURS, record, protection_seal(&ends[OURS].keys, seq, seq - 1, APPLICATION_DATA, "two", 3, record));
	close_both();
}

static void only_padding(void)
{
	handshake();
	record(OURS, 0, "\0\0\0", 3);
}

static void unknown_inside(void)
{
	handshake();
	record(OURS, 99, "x", 1);
}

static void no_key(void)
{
	handshake();
	text(OURS, "data");
	memset(wire->logged, 0, wire->logged_count * sizeof(*wire->logged));
}

static void other_byte_again(void)
{
	plain_good();
	segment(OURS, 20, (const uint8_t *)"other", 5, 0);
}

/* ---- wrong ones: keys ---- */

static void data_behind_change(void)
{
	hellos_and_server();
	if (client() == THEIRS)
		finish(THEIRS);
	change_cipher(OURS);
	text(OURS, "early");
}

static void their_data_behind_change(void)
{
	hellos_and_server();
	if (client() == OURS)
		finish(OURS);
	change_cipher(THEIRS);
	text(THEIRS, "early");
}

static void data_behind_later_change(void)
{
	handshake();
	text(OURS, "before");
	data_behind_change();
}

static void message_behind_change(void)
{
	hellos_and_server();
	if (client() == THEIRS)
		finish(THEIRS);
	change_cipher(OURS);
	stub(OURS, CERTIFICATE_VERIFY);
}

static void data_behind_hello(void)
{
	handshake();
	client_hello();
	server_hello();
	text(OURS, "held?");
}

/* Who is first must wait for the other's Finished. */
static void data_before_their_finished(void)
{
	if (!is_13()) {
		handshake();
		hellos_and_server();
		finish(OURS);
	} else if (client() == OURS) {
		client_hello();
		server_hello();
		use_handshake_secret(OURS);
		use_handshake_secret(THEIRS);
		finished(OURS);
	} else {
		hellos_and_server();
	}
	text(OURS, "False Start");
}

static void data_under_handshake_keys(void)
{
	client_hello();
	server_hello();
	use_handshake_secret(OURS);
	use_handshake_secret(THEIRS);
	text(OURS, "early");
}

static void change_of_two(void)
{
	hellos_and_server();
	record(OURS, CHANGE_CIPHER_SPEC, "\1\1", 2);
}

static void change_to_two(void)
{
	hellos_and_server();
	clear_record(OURS, CHANGE_CIPHER_SPEC, "\2", 1);
}

static void change_alone(void)
{
	handshake();
	record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
}

static void change_in_the_clear(void)
{
	handshake();
	clear_record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
}

static void change_twice(void)
{
	client_hello();
	server_hello();
	use_handshake_secret(OURS);
	use_handshake_secret(THEIRS);
	clear_record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
	clear_record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
}

static void change_under_new_key(void)
{
	handshake();
	hellos_and_server();
	if (client() == THEIRS)
		finish(THEIRS);
	change_keys(OURS);
	record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
}

static void finished_under_old_key(void)
{
	struct secret master;

	handshake();
	hellos_and_server();
	if (client() == THEIRS)
		finish(THEIRS);
	record(OURS, CHANGE_CIPHER_SPEC, "\1", 1);
	log_secret("CLIENT_RANDOM", 0x40, &master);
	stub(OURS, FINISHED);
}

static void change_inside_message(void)
{
	hellos_and_server();
	if (client() == THEIRS)
		finish(THEIRS);
	record(OURS, HANDSHAKE, "\17\0\0\10ab", 6);
	change_cipher(OURS);
}

static void finished_alone(void)
{
	hellos_and_server();
	stub(client(), FINISHED);
}

static void old_key_after_update(void)
{
	handshake();
	message(OURS, KEY_UPDATE, "\0", 1);
	text(OURS, "under the old key");
}

static void update_not_last(void)
{
	handshake();
	record(OURS, HANDSHAKE, "\30\0\0\1\0\30\0\0\1\0", 10);
}

static void update_of_two(void)
{
	handshake();
	message(OURS, KEY_UPDATE, "\2", 1);
}

static void update_not_answered(void)
{
	int i;

	handshake();
	update(THEIRS, 1);
	for (i = 0; i < 300; i++)
		record(OURS, APPLICATION_DATA, big, PLAINTEXT_MAX);
	close_both();
}

/* We have read what came behind the request, and go on. */
static void update_read_and_not_answered(void)
{
	static const struct wire_mark mark = { .received = 6, .sent = 8 };

	handshake();
	update(THEIRS, 1);
	text(THEIRS, "answer");
	text(OURS, "question");
	text(OURS, "another one");
	update(OURS, 0);
	close_both();
	with_totals = 1;
	totals[OURS] = (struct wire_totals){ .bytes = 0, .all = WIRE_UNKNOWN };
	totals[THEIRS] = (struct wire_totals){ .bytes = 0, .all = WIRE_UNKNOWN, .marks = &mark, .marks_count = 1 };
	EVP_Digest("", 0, totals[OURS].digest, NULL, EVP_sha256(), NULL);
	memcpy(totals[THEIRS].digest, totals[OURS].digest, 32);
}

/* ---- wrong ones: messages ---- */

static void data_inside_message(void)
{
	handshake();
	record(OURS, HANDSHAKE, "\30\0\0", 3);
	text(OURS, "data");
}

static void hello_later(void)
{
	handshake();
	client_hello();
}

static void message_of_other_role(void)
{
	hellos_and_server();
	stub(OURS, is_client(OURS) ? SERVER_HELLO_DONE : CLIENT_KEY_EXCHANGE);
}

static void messages_in_disorder(void)
{
	client_hello();
	server_hello();
	stub(!client(), CERTIFICATE);
	stub(!client(), CERTIFICATE_STATUS);
	stub(!client(), CERTIFICATE);
}

static void message_out_of_handshake(void)
{
	handshake();
	stub(OURS, is_client(OURS) ? CLIENT_KEY_EXCHANGE : SERVER_HELLO_DONE);
}

/* ---- wrong ones: the end ---- */

static void data_after_close(void)
{
	handshake();
	alert(OURS, 1, CLOSE_NOTIFY);
	text(OURS, "late");
}

static void update_after_close(void)
{
	handshake();
	alert(OURS, 1, CLOSE_NOTIFY);
	update(OURS, 0);
}

static void data_after_fatal(void)
{
	handshake();
	alert(OURS, 2, 20);
	text(OURS, "late");
}

static void close_after_fatal(void)
{
	handshake();
	alert(OURS, 2, 80);
	alert(OURS, 1, CLOSE_NOTIFY);
}

static void fin_alone(void)
{
	handshake();
	text(OURS, "data");
	fin(OURS);
}

static void close_not_answered(void)
{
	handshake();
	alert(THEIRS, 1, CLOSE_NOTIFY);
	fin(THEIRS);
	fin(OURS);
}

static void rst_alone(void)
{
	handshake();
	rst(OURS);
}

static void rst_after_close(void)
{
	totals_good();
	rst(OURS);
}

static void fin_inside_record(void)
{
	handshake();
	raw(OURS, "\27\3\3\0\77abc", 8);
	fin(OURS);
}

static void fatal_ignored(void)
{
	int i;

	handshake();
	alert(THEIRS, 2, 20);
	for (i = 0; i < 300; i++)
		record(OURS, APPLICATION_DATA, big, PLAINTEXT_MAX);
}

static void close_ignored(void)
{
	int i;

	handshake();
	alert(THEIRS, 1, CLOSE_NOTIFY);
	for (i = 0; i < 300; i++)
		record(OURS, APPLICATION_DATA, big, PLAINTEXT_MAX);
	close_both();
}

static void byte_too_many(void)
{
	totals_good();
	totals[OURS].all = 7;
}

static void byte_missing(void)
{
	totals_good();
	totals[OURS].all = 9;
}

static void other_data(void)
{
	totals_good();
	totals[OURS].digest[0] ^= 1;
}

/* ---- running ---- */

struct made {
	const char *name;
	int only;	/* 12 or 13, or 0 */
	void (*make)(void);
	const char *rule;	/* that its first objection names */
	const char *text;	/* and says */
};

static void try_one(const struct made *m)
{
	const char *got;

	if (m->only && m->only != (is_13() ? 13 : 12))
		return;
	start();
	m->make();
	wire_read(wire, &ends[OURS].flow, &ends[THEIRS].flow, with_totals ? &totals[OURS] : NULL,
		  with_totals ? &totals[THEIRS] : NULL);
	got = wire_objection(wire, 0);
	if (m->rule ? !wire_objections(wire) || !strstr(got, m->rule) || !strstr(got, m->text) :
		      wire_objections(wire)) {
		wire_print(wire);
		check_failed(__FILE__, __LINE__, "%s: %s", m->name, m->rule ? m->rule : "nothing is wrong");
	}
	if (m->rule)
		note("%s: %s", m->name, got);
	wire_free(wire);
}

static void right_ones(void)
{
	static const struct made list[] = {
		{ "data both ways", 0, plain_good, NULL, NULL },
		{ "renegotiations", 12, renegotiate_good, NULL, NULL },
		{ "data of theirs in a renegotiation", 12, renegotiate_with_their_data, NULL, NULL },
		{ "a refused renegotiation", 12, refused_good, NULL, NULL },
		{ "KeyUpdates", 13, update_good, NULL, NULL },
		{ "segments in disorder", 0, disorder_good, NULL, NULL },
		{ "known data", 0, totals_good, NULL, NULL },
	};
	unsigned int i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		try_one(&list[i]);
}

static void wrong_ones(void)
{
	static const struct made list[] = {
		{ "handshake in the clear", 0, handshake_in_the_clear, "RFC", "" },
		{ "alert in the clear", 0, alert_in_the_clear, "RFC", "" },
		{ "data in the clear", 12, data_in_the_clear, "RFC 5246 7.4.9", "in the clear" },
		{ "sequence number skipped", 0, sequence_skipped, "RFC 5246 6.1", "it has sequence number" },
		{ "sequence number repeated", 0, sequence_repeated, "RFC 5246 6.1", "it has sequence number" },
		{ "a wrong bit", 0, bit_wrong, "RFC 5246 6.2.3", "not authentic" },
		{ "a wrong bit of theirs", 0, their_bit_wrong, "RFC 5246 6.2.3", "not authentic" },
		{ "wrong version", 0, version_wrong, "RFC", "version 0x0304" },
		{ "wrong type", 0, type_wrong, "RFC 8446 5.1", "content type 24" },
		{ "too long sealed", 12, too_long_sealed, "RFC 5246 6.2.3", "18433 bytes" },
		{ "too long sealed", 13, too_long_sealed, "RFC 8446 5.2", "16641 bytes" },
		{ "too long", 0, too_long_plain, "RFC", "16385 bytes" },
		{ "empty handshake record", 12, empty_handshake, "RFC 5246 6.2.1", "empty" },
		{ "empty handshake record", 13, empty_handshake, "RFC 8446 5.4", "empty" },
		{ "empty alert", 0, empty_alert, "RFC", "empty" },
		{ "alert of three bytes", 0, alert_of_three, "RFC", "3 bytes" },
		{ "a nonce twice", 12, nonce_twice, "RFC 5288 3", "same nonce" },
		{ "only padding", 13, only_padding, "RFC 8446 5.4", "padding" },
		{ "an unknown type inside", 13, unknown_inside, "RFC 8446 5.4", "type 99" },
		{ "no key", 0, no_key, "(ours)", "no key" },
		{ "another byte at a retransmission", 0, other_byte_again, "(ours)", "again" },

		{ "data behind ChangeCipherSpec", 12, data_behind_change, "RFC 5246 7.4.9", "Finished" },
		{ "theirs behind ChangeCipherSpec", 12, their_data_behind_change, "RFC 5246 7.4.9",
		  "Finished" },
		{ "data behind a later ChangeCipherSpec", 12, data_behind_later_change, "RFC 5246 7.4.9",
		  "Finished" },
		{ "message behind ChangeCipherSpec", 12, message_behind_change, "RFC 5246 7.1", "Finished" },
		{ "data behind the hello", 12, data_behind_hello, "RFC 5246 7.4.9", "handshake runs" },
		{ "data before their Finished", 12, data_before_their_finished, "RFC 5246 7.4.9", "handshake runs" },
		{ "data before their Finished", 13, data_before_their_finished, "RFC 8446 4.4.4", "handshake runs" },
		{ "data under handshake keys", 13, data_under_handshake_keys, "RFC 8446 4.4.4", "Finished" },
		{ "ChangeCipherSpec of two bytes", 12, change_of_two, "RFC 5246 7.1", "one byte" },
		{ "ChangeCipherSpec 2", 12, change_to_two, "RFC 5246 7.1", "one byte" },
		{ "ChangeCipherSpec alone", 12, change_alone, "RFC 5246 7.1", "without" },
		{ "ChangeCipherSpec encrypted", 13, change_alone, "RFC 8446 5", "encrypted" },
		{ "ChangeCipherSpec in the clear", 13, change_in_the_clear, "RFC 8446 5", "" },
		{ "ChangeCipherSpec twice", 13, change_twice, "RFC 8446 D.4", "one" },
		{ "ChangeCipherSpec under the new key", 12, change_under_new_key, "RFC 5246 6.2.3", "" },
		{ "Finished under the old key", 12, finished_under_old_key, "RFC 5246 7.1", "key before" },
		{ "ChangeCipherSpec inside a message", 12, change_inside_message, "RFC 5246 7.1", "inside" },
		{ "Finished alone", 12, finished_alone, "RFC 5246 7.4.9", "without" },
		{ "old key after KeyUpdate", 13, old_key_after_update, "RFC 8446 4.6.3", "key before" },
		{ "KeyUpdate not last", 13, update_not_last, "RFC 8446 5.1", "more in the record" },
		{ "KeyUpdate 2", 13, update_of_two, "RFC 8446 4.6.3", "none" },
		{ "KeyUpdate not answered", 13, update_not_answered, "RFC 8446 4.6.3", "without" },
		{ "KeyUpdate read and not answered", 13, update_read_and_not_answered, "RFC 8446 4.6.3",
		  "was read" },

		{ "data inside a message", 13, data_inside_message, "RFC 8446 5.1", "inside" },
		{ "ClientHello later", 13, hello_later, "RFC 8446 4.1.2", "ClientHello" },
		{ "message of the other role", 0, message_of_other_role, "RFC", "does not send" },
		{ "messages in disorder", 12, messages_in_disorder, "RFC 5246 7.3", "too late" },
		{ "message without a handshake", 12, message_out_of_handshake, "RFC 5246 7.3", "without" },

		{ "data after close_notify", 12, data_after_close, "RFC 5246 7.2.1", "after close_notify" },
		{ "data after close_notify", 13, data_after_close, "RFC 8446 6.1", "after close_notify" },
		{ "KeyUpdate after close_notify", 13, update_after_close, "RFC 8446 6.1", "after close_notify" },
		{ "data after a fatal alert", 12, data_after_fatal, "RFC 5246 7.2.2", "after a fatal" },
		{ "data after a fatal alert", 13, data_after_fatal, "RFC 8446 6.2", "after a fatal" },
		{ "close_notify after a fatal alert", 0, close_after_fatal, "RFC", "after a fatal" },
		{ "FIN without close_notify", 0, fin_alone, "RFC", "FIN without close_notify" },
		{ "close_notify not answered", 12, close_not_answered, "RFC 5246 7.2.1", "one came" },
		{ "RST without close_notify", 0, rst_alone, "RFC", "RST without close_notify" },
		{ "RST after a clean close", 0, rst_after_close, "RFC", "RST after" },
		{ "FIN inside a record", 0, fin_inside_record, "RFC", "inside a record" },
		{ "fatal alert ignored", 0, fatal_ignored, "RFC 8446 6.2", "goes on" },
		{ "close_notify ignored", 12, close_ignored, "RFC 5246 7.2.1", "goes on" },
		{ "a byte too many", 0, byte_too_many, "(ours)", "8 bytes" },
		{ "a byte missing", 0, byte_missing, "(ours)", "8 bytes" },
		{ "other data", 0, other_data, "(ours)", "not that" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		try_one(&list[i]);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "right ones", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS, right_ones },
		{ "wrong ones", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS, wrong_ones },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
