// SPDX-License-Identifier: MIT
/* Handshakes as the bystander follows them: which message may come when, and what keys it leads to. */
#include <stdlib.h>
#include <string.h>
#include "messages.h"
#include "tap.h"

/* Longest message that is believed. */
#define MESSAGE_MAX	(1 << 20)

static const char *message_name(uint8_t type)
{
	static const char *const names[] = {
		[HELLO_REQUEST] = "HelloRequest", [CLIENT_HELLO] = "ClientHello",
		[SERVER_HELLO] = "ServerHello", [NEW_SESSION_TICKET] = "NewSessionTicket",
		[ENCRYPTED_EXTENSIONS] = "EncryptedExtensions", [CERTIFICATE] = "Certificate",
		[SERVER_KEY_EXCHANGE] = "ServerKeyExchange", [CERTIFICATE_REQUEST] = "CertificateRequest",
		[SERVER_HELLO_DONE] = "ServerHelloDone", [CERTIFICATE_VERIFY] = "CertificateVerify",
		[CLIENT_KEY_EXCHANGE] = "ClientKeyExchange", [FINISHED] = "Finished",
		[CERTIFICATE_STATUS] = "CertificateStatus", [KEY_UPDATE] = "KeyUpdate",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "message of unknown type";
}

/* ---- order ---- */

#define MESSAGES_MAX	8

/* Places in a side's part of a handshake; a later message has a higher one (RFC 5246 7.3, RFC 8446 2). */
static const uint8_t orders[4][MESSAGES_MAX] = {
	/* TLS 1.2: client, server */
	{ CLIENT_HELLO, CERTIFICATE, CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY, FINISHED },
	{ SERVER_HELLO, CERTIFICATE, CERTIFICATE_STATUS, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST,
	  SERVER_HELLO_DONE, NEW_SESSION_TICKET, FINISHED },
	/* TLS 1.3: client, server */
	{ CLIENT_HELLO, CERTIFICATE, CERTIFICATE_VERIFY, FINISHED },
	{ SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE_REQUEST, CERTIFICATE, CERTIFICATE_VERIFY,
	  FINISHED },
};

static int rank_of(uint16_t version, int server, uint8_t type)
{
	const uint8_t *order = orders[(version == TLS13 ? 2 : 0) + server];
	int i;

	for (i = 0; i < MESSAGES_MAX && order[i]; i++)
		if (order[i] == type)
			return i + 1;
	return 0;
}

/* Messages outside of a handshake's order. */
static int is_free(const struct wire *w, const struct side *s, uint8_t type)
{
	if (w->version != TLS13)
		return type == HELLO_REQUEST && s->server;
	if (type == KEY_UPDATE)
		return s->finished;
	/* RFC 8446 4.6.1: a ticket may come right behind the server's Finished. */
	return s->server && ((type == NEW_SESSION_TICKET && s->finished) ||
			     (type == CERTIFICATE_REQUEST && w->established));
}

static void check_order(struct wire *w, struct side *s, uint8_t type)
{
	const char *rule = w->version == TLS13 ? "RFC 8446 4" : "RFC 5246 7.3";
	int rank = rank_of(w->version, s->server, type);

	if (s->finish_due && type != FINISHED)
		object(w, "RFC 5246 7.1", "%s between ChangeCipherSpec and Finished", message_name(type));
	if (is_free(w, s, type))
		return;
	if (!rank) {
		object(w, rule, "a %s does not send %s now", s->server ? "server" : "client",
		       message_name(type));
		return;
	}
	if (type == CLIENT_HELLO) {
		if (w->version == TLS13 && (w->established || !w->retried || w->server_hello))
			object(w, "RFC 8446 4.1.2", "ClientHello in a connection of TLS 1.3");
		else if (w->version != TLS13 && w->handshaking)
			object(w, "RFC 5246 7.4.1.2", "ClientHello in the middle of a handshake");
	} else if (!w->handshaking && !(w->version == TLS13 && w->established)) {
		object(w, rule, "%s without a handshake", message_name(type));
	} else if (rank <= s->rank) {
		object(w, rule, "%s too late", message_name(type));
	}
	if (type == FINISHED && w->version != TLS13 && !s->finish_due && !s->blind)
		object(w, "RFC 5246 7.4.9", "Finished without ChangeCipherSpec");
	s->rank = rank;
}

/* ---- hellos ---- */

static int has(const uint8_t *p, const uint8_t *end, size_t len)
{
	return (size_t)(end - p) >= len;
}

static void take_client_hello(struct wire *w, struct side *s, const uint8_t *body, size_t len)
{
	if (len < 2 + RANDOM_LEN) {
		object(w, "RFC 8446 4.1.2", "a short ClientHello");
		return;
	}
	memcpy(w->client_random, body + 2, RANDOM_LEN);
	w->handshaking = 1;
	w->server_hello = 0;
	other_side(w, s)->rank = 0;
	other_side(w, s)->finished = 0;
	s->finished = 0;
	if (!w->version || w->version == TLS13)
		return;
	s->ccs = 0;
	other_side(w, s)->ccs = 0;
}

/* The random by which a ServerHello says it is a HelloRetryRequest (RFC 8446 4.1.3). */
static int is_retry(const uint8_t *random)
{
	static const uint8_t start[] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11 };

	return !memcmp(random, start, sizeof(start));
}

static void take_extensions(struct wire *w, const uint8_t *p, const uint8_t *end, uint16_t *version)
{
	while (has(p, end, 4)) {
		unsigned int type = p[0] << 8 | p[1], len = p[2] << 8 | p[3];

		p += 4;
		if (!has(p, end, len))
			return;
		/* encrypt_then_mac (RFC 7366 2), supported_versions (RFC 8446 4.2.1) */
		if (type == 22)
			w->etm = 1;
		if (type == 43 && len == 2)
			*version = p[0] << 8 | p[1];
		p += len;
	}
}

static void set_handshake_keys(struct wire *w, struct side *s)
{
	const struct secret *secret = messages_secret(w, s->server ? SERVER_HANDSHAKE : CLIENT_HANDSHAKE);
	struct protection keys;

	if (!secret) {
		s->blind = 1;
		return;
	}
	protection_from_secret(&keys, w->suite, secret);
	side_set_keys(w, s, &keys);
}

static void take_server_hello(struct wire *w, struct side *s, const uint8_t *body, size_t len)
{
	const uint8_t *p = body + 2 + RANDOM_LEN, *end = body + len;
	uint16_t version, suite;

	if (len < 2 + RANDOM_LEN + 1 || !has(p + 1, end, p[0] + 3)) {
		object(w, "RFC 8446 4.1.3", "a short ServerHello");
		return;
	}
	version = body[0] << 8 | body[1];
	p += 1 + p[0];
	suite = p[0] << 8 | p[1];
	p += 3;
	w->etm = 0;
	if (has(p, end, 2))
		take_extensions(w, p + 2, end, &version);
	if (w->version && w->version != version)
		object(w, "RFC 5246 7.4.1.3", "another version, %#x after %#x", version, w->version);
	w->version = version;
	w->suite = suite_find(suite);
	if (!w->suite)
		object(w, "(ours)", "suite %#06x is not known to this test", suite);
	if (version == TLS13 && is_retry(body + 2)) {
		w->retried = 1;
		s->rank = 0;
		describe(w, "HelloRetryRequest");
		return;
	}
	memcpy(w->server_random, body + 2, RANDOM_LEN);
	w->server_hello = 1;
	if (version != TLS13 || !w->suite)
		return;
	set_handshake_keys(w, s);
	set_handshake_keys(w, other_side(w, s));
}

/* ---- Finished and KeyUpdate ---- */

static void set_traffic_keys(struct wire *w, struct side *s)
{
	const struct secret *secret = messages_secret(w, s->server ? SERVER_TRAFFIC : CLIENT_TRAFFIC);
	struct protection keys;

	if (!secret) {
		s->blind = 1;
		return;
	}
	s->secret = *secret;
	protection_from_secret(&keys, w->suite, secret);
	side_set_keys(w, s, &keys);
	s->epoch = 1;
}

static void take_finished(struct wire *w, struct side *s)
{
	s->finish_due = 0;
	s->rank = 0;
	if (w->version == TLS13 && w->established)
		return;	/* of post-handshake authentication */
	s->finished = 1;
	if (w->version == TLS13)
		set_traffic_keys(w, s);
	if (!other_side(w, s)->finished)
		return;
	w->held = 0;
	w->handshaking = 0;
	w->established = 1;
	w->handshakes++;
}

static void take_key_update(struct wire *w, struct side *s, const uint8_t *body, size_t len)
{
	struct protection keys;

	if (len != 1 || body[0] > 1) {
		object(w, "RFC 8446 4.6.3", "a KeyUpdate that is none");
		return;
	}
	describe(w, body[0] ? "KeyUpdate, requests one" : "KeyUpdate");
	s->due[DUE_UPDATE].pending = 0;
	/* One answer is enough for several. */
	if (body[0] && !other_side(w, s)->closed)
		side_set_due(w, other_side(w, s), DUE_UPDATE);
	secret_update(w->suite, &s->secret);
	protection_from_secret(&keys, w->suite, &s->secret);
	side_set_keys(w, s, &keys);
	s->epoch++;
}

/* ---- messages ---- */

/* Behind these the sender has other keys, or may have (RFC 8446 5.1). */
static int ends_record(const struct wire *w, uint8_t type)
{
	return w->version == TLS13 && (type == SERVER_HELLO || type == FINISHED || type == KEY_UPDATE);
}

static void take_message(struct wire *w, struct side *s, const uint8_t *message, size_t len)
{
	const uint8_t *body = message + 4;
	const uint8_t type = message[0];

	describe(w, "%s", message_name(type));
	check_order(w, s, type);
	len -= 4;
	switch (type) {
	case HELLO_REQUEST:
		if (len)
			object(w, "RFC 5246 7.4.1.1", "a HelloRequest that is none");
		if (s->whose == OURS && w->handshaking && w->server_hello)
			object(w, "RFC 5246 7.4.1.1", "HelloRequest in a handshake");
		break;
	case CLIENT_HELLO:
		take_client_hello(w, s, body, len);
		break;
	case SERVER_HELLO:
		take_server_hello(w, s, body, len);
		break;
	case FINISHED:
		take_finished(w, s);
		break;
	case KEY_UPDATE:
		take_key_update(w, s, body, len);
		break;
	}
	/* As client from ClientHello on: openssl servers end a connection with data after it. */
	if (s->whose == OURS && (type == CLIENT_HELLO || type == SERVER_HELLO))
		w->held = 1;
}

static void keep(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	if (s->message_len + len > MESSAGE_MAX) {
		object(w, "(ours)", "a handshake message of more than %d bytes", MESSAGE_MAX);
		s->stopped = 1;
		return;
	}
	if (s->message_len + len > s->message_size) {
		s->message_size = 2 * (s->message_len + len);
		s->message = realloc(s->message, s->message_size);
		CHECK(s->message);
	}
	memcpy(s->message + s->message_len, data, len);
	s->message_len += len;
}

void messages_take(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	size_t pos = 0;

	keep(w, s, data, len);
	while (!s->stopped && s->message_len - pos >= 4) {
		const uint8_t *m = s->message + pos;
		size_t message_len = 4 + (m[1] << 16 | m[2] << 8 | m[3]);
		uint8_t type = m[0];

		if (s->message_len - pos < message_len)
			break;
		take_message(w, s, m, message_len);
		pos += message_len;
		if (ends_record(w, type) && pos < s->message_len)
			object(w, "RFC 8446 5.1", "more in the record of a %s", message_name(type));
	}
	s->message_len -= pos;
	memmove(s->message, s->message + pos, s->message_len);
	if (s->message_len)
		describe(w, "beginning of a handshake message");
	if (s->finish_due && s->message_len && s->message[0] != FINISHED)
		object(w, "RFC 5246 7.1", "not Finished after ChangeCipherSpec");
}

void messages_change_cipher(struct wire *w, struct side *s)
{
	const struct secret *master;
	struct protection keys;

	if (!w->server_hello || s->ccs) {
		object(w, "RFC 5246 7.1", "ChangeCipherSpec without new keys");
		return;
	}
	s->ccs = 1;
	s->finish_due = 1;
	master = messages_secret(w, MASTER);
	if (!master || !w->suite) {
		s->blind = 1;
		return;
	}
	protection_from_master(&keys, w->suite, w->version, w->etm, master, w->client_random,
			       w->server_random, s->server);
	side_set_keys(w, s, &keys);
	s->epoch++;
}
