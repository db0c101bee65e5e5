// SPDX-License-Identifier: MIT
/*
 * Two engines of libkssl shake hands without a kernel: what they agree on about the size
 * of records, what they refuse, and that OpenSSL's own part of the handshake obeys it.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/ssl.h>
#include "engine_priv.h"
#include "peer.h"

#define LIMIT_EXTENSION	28	/* RFC 8449 6 */
#define MOST		16384

/**
 * struct end - an engine, and what it gave the kernel
 * @e: the engine
 * @ctx: its context
 * @rx: receiving key
 * @tx: sending key
 * @opens: what comes under @rx though it is still raw
 * @longest: of what it protected, all but the tag, or of the plaintext for the kernel
 * @opaque: it has protected records itself, TLS 1.3
 * @octets: what it sends by an extension of its own
 * @octets_len: how many, 0: none
 */
struct end {
	struct kssl_engine *e;
	SSL_CTX *ctx;
	struct kssl_key rx;
	struct kssl_key tx;
	struct kssl_shim opens;
	size_t longest;
	bool opaque;
	uint8_t octets[4];
	size_t octets_len;
};

static struct end ends[2];	/* client, server */

static SSL_CTX *new_ctx(const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, v->version) &&
	      SSL_CTX_set_max_proto_version(ctx, v->version));
	CHECK(SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	if (v->version < 0x0303)
		CHECK(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"));
	EQ(SSL_CTX_use_certificate_chain_file(ctx, cert_path(cert, "crt")), 1);
	EQ(SSL_CTX_use_PrivateKey_file(ctx, cert_path(cert, "key"), SSL_FILETYPE_PEM), 1);
	EQ(SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1), 1);
	return ctx;
}

static void make_ctxs(void)
{
	ends[0].ctx = new_ctx("client");
	ends[1].ctx = new_ctx("rsa");
	SSL_CTX_set_verify(ends[1].ctx, SSL_VERIFY_PEER, NULL);
}

static void make(int server, unsigned int limit, SSL_SESSION *session)
{
	static const struct kssl_suite_info suites[] = {
		{ .suite = 0x1301, .version = 0x0304 }, { .suite = 0xc02f, .version = 0x0303 },
		{ .suite = 0xc013, .version = 0x0303 }, { .suite = 0xc013, .version = 0x0302 },
		{ .suite = 0xc013, .version = 0x0301 },
	};
	struct end *x = &ends[server];
	struct kssl_engine_setup setup = {
		.ctx = x->ctx, .server = server, .name = server ? NULL : "localhost",
		.verify = server ? -1 : 1, .client_renegotiation = 1, .record_limit = limit,
		.session = session, .suites = suites, .suites_count = 5,
	};
	struct kssl_error error;

	x->e = kssl_engine_new(&setup, &error);
	if (!x->e)
		check_failed(__FILE__, __LINE__, "no engine: %s", error.text);
	x->longest = 0;
	x->opaque = false;
	memset(&x->rx, 0, sizeof(x->rx));
	memset(&x->tx, 0, sizeof(x->tx));
}

static void drop(void)
{
	kssl_shim_clear(&ends[0].opens);
	kssl_shim_clear(&ends[1].opens);
	kssl_engine_free(ends[0].e);
	kssl_engine_free(ends[1].e);
	ends[0].e = NULL;
	ends[1].e = NULL;
}

static void drop_all(void)
{
	drop();
	SSL_CTX_free(ends[0].ctx);
	SSL_CTX_free(ends[1].ctx);
	memset(ends, 0, sizeof(ends));
}

/* ---- what goes between them ---- */

static void apply(struct end *x, struct kssl_batch *batch);

static void measure(struct end *x, size_t len)
{
	if (len > x->longest)
		x->longest = len;
}

static void give_content(struct end *to, uint8_t type, const uint8_t *p, size_t len)
{
	const struct kssl_msg head = {
		.kind = KSSL_MSG_RECORD, .type = type, .epoch = to->e->epoch[KSSL_RECEIVING],
		.value = to->e->epoch[KSSL_SENDING],
	};
	struct kssl_batch batch = { 0 };

	kssl_engine_take_record(to->e, &head, p, len, &batch);
	apply(to, &batch);
}

/* Tickets that a server of TLS 1.3 has protected itself. */
static void give_opened(struct end *to, const uint8_t *p, size_t len)
{
	uint8_t payload[KSSL_RECORD_MAX], type;
	int n = kssl_shim_open(&to->opens, p, len, payload, &type);

	CHECK(n > 0);
	give_content(to, type, payload, n);
}

static void give_raw(struct end *x, const uint8_t *p, size_t len)
{
	struct end *to = &ends[!x->e->server];

	while (len) {
		size_t n = kssl_record_len(p, len);
		struct kssl_batch batch = { 0 };

		CHECK(n);
		x->opaque |= p[0] == KSSL_TYPE_APPLICATION_DATA;
		if (p[0] == KSSL_TYPE_APPLICATION_DATA)
			measure(x, n - KSSL_HEADER_LEN - 16);
		if (kssl_engine_is_open(to->e)) {
			give_opened(to, p, n);
		} else if (!kssl_engine_error(to->e)->err) {
			kssl_engine_take_raw(to->e, p, n, &batch);
			apply(to, &batch);
		}
		p += n;
		len -= n;
	}
}

static void give_record(struct end *x, uint8_t type, const uint8_t *p, size_t len)
{
	/* as the kernel would refuse */
	CHECK(len <= (x->tx.max_payload ? x->tx.max_payload : MOST));
	measure(x, len);
	give_content(&ends[!x->e->server], type, p, len);
}

static void set_key(struct end *x, unsigned int op, const uint8_t *payload)
{
	if (op == KSSL_OP_TX_KEY)
		memcpy(&x->tx, payload, sizeof(x->tx));
	if (op != KSSL_OP_RX_KEY)
		return;
	memcpy(&x->rx, payload, sizeof(x->rx));
	GIVES(kssl_shim_set_key(&x->opens, &x->rx, 0), 0);
}

/* Before there are keys the alert has gone out from OpenSSL, and the kernel's would be a second one, in the clear. */
static void check_no_alert(struct end *x, const uint8_t *payload)
{
	struct kssl_error error;

	memcpy(&error, payload, sizeof(error));
	CHECK(x->tx.size || !error.has_alert);
}

static void apply(struct end *x, struct kssl_batch *batch)
{
	struct kssl_engine_event events[KSSL_ENGINE_EVENTS_MAX];
	struct kssl_batch mine = *batch;
	struct kssl_op op;
	size_t pos;

	EQ(mine.err, 0);
	memset(batch, 0, sizeof(*batch));
	/* Of a first handshake the other end answers before we have come to the keys. */
	for (pos = 0; !x->tx.size && pos < mine.len; pos += sizeof(op) + op.len) {
		memcpy(&op, mine.buf + pos, sizeof(op));
		if (op.op == KSSL_OP_RX_KEY)
			set_key(x, op.op, mine.buf + pos + sizeof(op));
	}
	for (pos = 0; pos < mine.len; pos += sizeof(op) + op.len) {
		const uint8_t *payload = mine.buf + pos + sizeof(op);

		memcpy(&op, mine.buf + pos, sizeof(op));
		if (op.op == KSSL_OP_RAW)
			give_raw(x, payload, op.len);
		else if (op.op == KSSL_OP_RECORD)
			give_record(x, op.type, payload, op.len);
		else if (op.op == KSSL_OP_TX_KEY || op.op == KSSL_OP_RX_KEY)
			set_key(x, op.op, payload);
		else if (op.op == KSSL_OP_FAIL)
			check_no_alert(x, payload);
	}
	kssl_batch_clear(&mine);
	kssl_engine_take_events(x->e, events);
}

static void shake_hands(void)
{
	struct kssl_batch batch = { 0 };

	kssl_engine_start(ends[0].e, &batch);
	apply(&ends[0], &batch);
}

static void shake_well(void)
{
	shake_hands();
	if (!kssl_engine_is_open(ends[0].e) || !kssl_engine_is_open(ends[1].e))
		check_failed(__FILE__, __LINE__, "client: %s; server: %s",
			     kssl_engine_error(ends[0].e)->text, kssl_engine_error(ends[1].e)->text);
}

/* What each may send, and both ends know of it; 0: as much as there may be. */
static void expect_limits(unsigned int client, unsigned int server)
{
	EQ(ends[0].tx.max_payload, client);
	EQ(ends[1].rx.max_payload, client);
	EQ(ends[1].tx.max_payload, server);
	EQ(ends[0].rx.max_payload, server);
}

/* Of content, under a limit of what is protected. */
static unsigned int content(unsigned int limit)
{
	return limit ? limit - is_13() : MOST;
}

/* ---- record_size_limit ---- */

static const unsigned int limits[][2] = {
	{ 64, 64 }, { 65, 0 }, { 511, 1000 }, { 512, 512 }, { 513, 64 }, { 4096, 700 }, { 16384, 100 },
	{ 16385, 16385 },
};

static unsigned int bounded(unsigned int limit)
{
	return !limit || content(limit) > MOST ? MOST : content(limit);
}

/* Both ways, each its own; a client that offers none has none, and neither has its server. */
static void record_size_limit(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const unsigned int *limit = limits[i];

		make_ctxs();
		make(0, limit[0], NULL);
		make(1, limit[1], NULL);
		shake_well();
		expect_limits(bounded(limit[1]), bounded(limit[0]));
		/* The handshake of TLS 1.3 too, which OpenSSL protects: certificates of both, and tickets. */
		if (is_13()) {
			CHECK(ends[0].opaque && ends[1].opaque);
			CHECK(ends[0].longest <= bounded(limit[1]) + 1);
			CHECK(ends[1].longest <= bounded(limit[0]) + 1);
		}
		drop_all();
	}
	make_ctxs();
	make(0, 0, NULL);
	make(1, 64, NULL);
	shake_well();
	expect_limits(0, 0);
	drop_all();
}

static void change_limits(unsigned int client, unsigned int server)
{
	ends[0].e->record_limit = client;
	ends[1].e->record_limit = server;
}

static void renegotiate(int server)
{
	struct end *x = &ends[server];
	struct kssl_batch batch = { 0 };
	const char *why;

	ends[0].longest = 0;
	ends[1].longest = 0;
	GIVES(kssl_engine_renegotiate(x->e, KSSL_RENEG_FULL, &batch, &why), 0);
	apply(x, &batch);
	CHECK(!kssl_engine_is_busy(ends[0].e) && !kssl_engine_is_busy(ends[1].e));
	EQ(kssl_engine_error(ends[0].e)->err, 0);
	EQ(kssl_engine_error(ends[1].e)->err, 0);
}

/*
 * The limits of a handshake are its keys' (RFC 8449 4): up to the ChangeCipherSpec records
 * are no longer than what was agreed on before, and give_record() sees to that.
 */
static void renegotiated_limits(void)
{
	int server;

	for (server = 0; server < 2; server++) {
		make_ctxs();
		make(0, 100, NULL);
		make(1, 300, NULL);
		shake_well();
		expect_limits(300, 100);
		change_limits(1000, 64);
		renegotiate(server);
		expect_limits(64, 1000);
		EQ(ends[1].longest, 100);
		change_limits(0, 64);
		renegotiate(server);
		expect_limits(0, 0);
		change_limits(4000, 0);
		renegotiate(server);
		expect_limits(MOST, 4000);
		CHECK(ends[1].longest > 1000);
		drop_all();
	}
}

static void update_keys(int server)
{
	struct end *x = &ends[server];
	struct kssl_batch batch = { 0 };
	const char *why;

	GIVES(kssl_engine_key_update(x->e, true, &batch, &why), 0);
	apply(x, &batch);
}

/* A KeyUpdate keeps them, and a certificate afterwards is split. */
static void limits_after_handshake(void)
{
	struct kssl_batch batch = { 0 };
	struct kssl_key before;
	const char *why;

	make_ctxs();
	SSL_CTX_set_verify(ends[1].ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_post_handshake_auth(ends[0].ctx, 1);
	make(0, 100, NULL);
	make(1, 300, NULL);
	shake_well();
	before = ends[0].tx;
	update_keys(0);
	update_keys(1);
	CHECK(memcmp(before.key, ends[0].tx.key, sizeof(before.key)));
	expect_limits(299, 99);
	ends[0].longest = 0;
	GIVES(kssl_engine_renegotiate(ends[1].e, KSSL_RENEG_REQUIRE_CERT, &batch, &why), 0);
	apply(&ends[1], &batch);
	CHECK(SSL_get0_peer_certificate(kssl_engine_ssl(ends[1].e)));
	EQ(ends[0].longest, 299);
	drop_all();
}

/* It is not remembered with the session. */
static void resumed_limits(void)
{
	SSL_SESSION *session;

	make_ctxs();
	make(0, 100, NULL);
	make(1, 300, NULL);
	shake_well();
	session = SSL_get1_session(kssl_engine_ssl(ends[0].e));
	drop();
	make(0, 0, session);
	make(1, 300, NULL);
	shake_well();
	CHECK(SSL_session_reused(kssl_engine_ssl(ends[0].e)));
	expect_limits(0, 0);
	drop();
	make(0, 512, session);
	make(1, 0, NULL);
	shake_well();
	CHECK(SSL_session_reused(kssl_engine_ssl(ends[0].e)));
	expect_limits(MOST, content(512));
	drop_all();
	SSL_SESSION_free(session);
}

/* ---- max_fragment_length ---- */

/* OpenSSL's, both ways alike; and of a session that is resumed. */
static void max_fragment_length(void)
{
	static const unsigned int lengths[] = { 0, 512, 1024, 2048, 4096 };
	SSL_SESSION *session;
	unsigned int mode;

	for (mode = 1; mode <= TLSEXT_max_fragment_length_4096; mode++) {
		make_ctxs();
		CHECK(SSL_CTX_set_tlsext_max_fragment_length(ends[0].ctx, mode));
		make(0, 0, NULL);
		make(1, 64, NULL);
		shake_well();
		expect_limits(lengths[mode], lengths[mode]);
		session = SSL_get1_session(kssl_engine_ssl(ends[0].e));
		drop();
		make(0, 0, session);
		make(1, 0, NULL);
		shake_well();
		CHECK(SSL_session_reused(kssl_engine_ssl(ends[0].e)));
		expect_limits(lengths[mode], lengths[mode]);
		if (!is_13()) {
			renegotiate(1);
			expect_limits(lengths[mode], lengths[mode]);
			EQ(ends[1].longest <= lengths[mode], 1);
		}
		drop_all();
		SSL_SESSION_free(session);
	}
}

/* A client that offers both gets one answer, and it is max_fragment_length: OpenSSL gives that by itself. */
static void both_offered(void)
{
	make_ctxs();
	CHECK(SSL_CTX_set_tlsext_max_fragment_length(ends[0].ctx, TLSEXT_max_fragment_length_1024));
	make(0, 700, NULL);
	make(1, 64, NULL);
	shake_well();
	expect_limits(1024, 1024);
	drop_all();
}

/* ---- what is refused ---- */

static int add_own(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out, size_t *len,
		   X509 *cert, size_t index, int *alert, void *arg)
{
	struct end *x = arg;

	(void)ssl, (void)type, (void)context, (void)cert, (void)index, (void)alert;
	*out = x->octets;
	*len = x->octets_len;
	return 1;
}

/* A context that says whatever it is told to. */
static void say(struct end *x, const char *octets, size_t len)
{
	memcpy(x->octets, octets, len);
	x->octets_len = len;
	EQ(SSL_CTX_add_custom_ext(x->ctx, LIMIT_EXTENSION, SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO |
				  SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS, add_own, NULL, x, NULL, NULL), 1);
}

static void expect_refusal(int server, int alert, const char *text)
{
	const struct kssl_error *error = kssl_engine_error(ends[server].e);

	shake_hands();
	EQ(error->err, EPROTO);
	EQ(error->alert, alert);
	if (!strstr(error->text, text))
		check_failed(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error->text, text);
	EQ(kssl_engine_error(ends[!server].e)->err, ECONNABORTED);
	EQ(kssl_engine_error(ends[!server].e)->alert, alert);
	CHECK(!ends[0].tx.size && !ends[1].tx.size && !ends[0].rx.size && !ends[1].rx.size);
	drop_all();
}

static void refusals(void)
{
	static const struct {
		const char *octets;
		size_t len;
		int alert;
		const char *text;
	} rows[] = {
		{ "\0\77", 2, SSL_AD_ILLEGAL_PARAMETER, "below 64" },
		{ "\0", 2, SSL_AD_ILLEGAL_PARAMETER, "below 64" },
		{ "\4", 1, SSL_AD_DECODE_ERROR, "malformed" },
		{ "\4\0\0", 3, SSL_AD_DECODE_ERROR, "malformed" },
	};
	unsigned int i;
	int server;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (server = 0; server < 2; server++) {
			make_ctxs();
			say(&ends[!server], rows[i].octets, rows[i].len);
			make(0, 1000, NULL);
			make(1, 1000, NULL);
			expect_refusal(server, rows[i].alert, rows[i].text);
		}
	/* RFC 8449 5: a server that answers with both */
	make_ctxs();
	say(&ends[1], "\4\0", 2);
	CHECK(SSL_CTX_set_tlsext_max_fragment_length(ends[0].ctx, TLSEXT_max_fragment_length_1024));
	make(0, 1000, NULL);
	make(1, 0, NULL);
	expect_refusal(0, SSL_AD_ILLEGAL_PARAMETER, "both");
}

/* Values beyond what there is mean what there is; in a ClientHello they are legal (RFC 8449 4). */
static void beyond(void)
{
	make_ctxs();
	say(&ends[0], "\377\377", 2);
	make(0, 0, NULL);
	make(1, 1000, NULL);
	shake_well();
	EQ(ends[1].tx.max_payload, MOST);
	EQ(ends[1].rx.max_payload, content(1000));
	/* and who brings his own extension is obeyed too */
	EQ(ends[0].tx.max_payload, content(1000));
	drop_all();
}

static int move_to(SSL *ssl, int *alert, void *arg)
{
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_set_SSL_CTX(ssl, arg) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* One that the server moves to, for the name say, answers if it was prepared; else there is no limit. */
static void further_context(void)
{
	int prepared;

	for (prepared = 0; prepared < 2; prepared++) {
		SSL_CTX *other = new_ctx("rsa");

		if (prepared)
			GIVES(kssl_prepare_ssl_ctx(other), 0);
		make_ctxs();
		SSL_CTX_set_client_hello_cb(ends[1].ctx, move_to, other);
		make(0, 512, NULL);
		make(1, 700, NULL);
		shake_well();
		CHECK(SSL_get_SSL_CTX(kssl_engine_ssl(ends[1].e)) == other);
		expect_limits(prepared ? content(700) : 0, prepared ? content(512) : 0);
		drop_all();
		SSL_CTX_free(other);
	}
}

static int forget(SSL *ssl, void *arg)
{
	(void)arg;
	return SSL_set_split_send_fragment(ssl, MOST);
}

/*
 * TLS 1.3: an OpenSSL that does not obey, with certificates longer than the limit, has the
 * client refuse before its Finished is sent, be it the server's or its own.
 */
static void disobedience(void)
{
	int server;

	for (server = 0; server < 2; server++) {
		const struct kssl_error *error;

		make_ctxs();
		make(0, server ? 100 : 4000, NULL);
		make(1, server ? 4000 : 100, NULL);
		SSL_set_cert_cb(kssl_engine_ssl(ends[server].e), forget, NULL);
		shake_hands();
		error = kssl_engine_error(ends[0].e);
		EQ(error->err, EIO);
		CHECK(strstr(error->text, "longer than was agreed on"));
		CHECK(!ends[0].tx.size && !ends[1].tx.size);
		CHECK(!kssl_engine_is_open(ends[1].e));
		drop_all();
	}
}

int main(int argc, char **argv)
{
	const unsigned int over = OVER_OPENSSL | OVER_CLIENT;
	const struct test tests[] = {
		{ "record_size_limit", over | OVER_VERSIONS | OVER_OLD, record_size_limit },
		{ "renegotiated limits", over | OVER_TLS12 | OVER_OLD, renegotiated_limits },
		{ "limits after the handshake", over | OVER_TLS13, limits_after_handshake },
		{ "resumed limits", over | OVER_VERSIONS, resumed_limits },
		{ "max_fragment_length", over | OVER_VERSIONS, max_fragment_length },
		{ "both offered", over | OVER_VERSIONS, both_offered },
		{ "refusals", over | OVER_VERSIONS, refusals },
		{ "beyond", over | OVER_VERSIONS, beyond },
		{ "further context", over | OVER_VERSIONS, further_context },
		{ "disobedience", over | OVER_TLS13, disobedience },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
