// SPDX-License-Identifier: MIT
/*
 * Two engines of libkssl and no kernel between them but what is here of it: whatever the
 * two begin, in whatever order it arrives, both must come to rest, agree on keys, and
 * have answered every request.  Nothing that either of them does may be the other's end.
 *
 * With E2E_LEGACY set it is run with an OpenSSL that has SSL 3.0, 3DES and RC4, see
 * tests/vm/legacy-openssl, and shows those; else, that their absence is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/ssl.h>
#include "engine_priv.h"
#include "peer.h"

#define ROUNDS		100
#define WEAK_ROUNDS	30	/* of each suite */
#define LONE_SEED	3	/* of a round whose client has no certificate */
#define QUIET_MAX	10000	/* messages until all must be quiet */

enum kind {
	RAW,
	RECORD,
	CLOSE,		/* close_notify */
};

/**
 * struct message - on its way to an end
 * @next: the one behind it
 * @kind: what it is
 * @type: content type of a record
 * @by_kernel: a KeyUpdate that the other end's kernel made
 * @key: what the other end sends under from here on, @key.size 0 if that does not change
 * @len: bytes of @data
 * @data: payload
 */
struct message {
	struct message *next;
	enum kind kind;
	uint8_t type;
	bool by_kernel;
	struct kssl_key key;
	size_t len;
	uint8_t data[];
};

/**
 * struct end - an engine and its kernel
 * @e: the engine
 * @other: whom it talks to
 * @updates: its kernel does KeyUpdates
 * @inbox: what is on the way here
 * @tail: where the next one goes
 * @epoch: keys so far, [0] receiving, [1] sending
 * @tx: sending key
 * @first: those of the hand-over, [0] receiving, [1] sending
 * @rx_next: receiving key that follows the record the engine has, size 0 if none
 * @rx_held: until CONTINUE
 * @tx_held: until RELEASE
 * @awaits: the peer's clock runs
 * @answer_due: a KeyUpdate was asked for
 * @requested: number of the request that has no result, or 0
 * @requests: requests so far
 * @identities: KSSL_OP_IDENTITY
 * @closing: sends close_notify as soon as it may
 * @closed: has done so
 * @deaf: has received one
 */
struct end {
	struct kssl_engine *e;
	struct end *other;
	bool updates;
	struct message *inbox;
	struct message **tail;
	uint32_t epoch[2];
	struct kssl_key tx;
	struct kssl_key first[2];
	struct kssl_key rx_next;
	bool rx_held;
	bool tx_held;
	bool awaits;
	bool answer_due;
	uint32_t requested;
	uint32_t requests;
	unsigned int identities;
	bool closing;
	bool closed;
	bool deaf;
};

/* A suite that wants to be named, and RSA; 0 for what is usual. */
static unsigned int weak_suite;

/* SSL 3.0: the server does not let its client begin, which is the end if it does. */
static bool forbidden;

/* The sentence with which an end shall fail, if that is what is tested. */
static const char *end_expected;
static bool end_came;

/* What this round is like. */
static struct {
	unsigned int seed;
	bool cert;
	bool authenticates;
	bool may_begin;
	bool refuses;
	bool split;
	bool closes;
	unsigned int limits[2];	/* record_size_limit of each, 0: none */
	struct end ends[2];	/* client, server */
} r;

static void explain_round(void)
{
	note("round %u: cert %d, authenticates %d, may begin %d, refuses %d, split %d, closes %d, limits %u %u, kernel's updates %d %d",
	     r.seed, r.cert, r.authenticates, r.may_begin, r.refuses, r.split, r.closes, r.limits[0], r.limits[1],
	     r.ends[0].updates, r.ends[1].updates);
}

static unsigned int pick(unsigned int n)
{
	return random() % n;
}

/* ---- what is of the kernel ---- */

static struct message *put(struct end *to, enum kind kind, uint8_t type, const void *data, size_t len)
{
	struct message *m = calloc(1, sizeof(*m) + len);

	CHECK(m);
	m->kind = kind;
	m->type = type;
	m->len = len;
	memcpy(m->data, data, len);
	*to->tail = m;
	to->tail = &m->next;
	return m;
}

static struct message *take(struct end *x)
{
	struct message *m = x->inbox;

	x->inbox = m->next;
	if (!x->inbox)
		x->tail = &x->inbox;
	return m;
}

static void put_raw(struct end *to, const uint8_t *p, size_t len)
{
	while (len) {
		size_t n = kssl_record_len(p, len);

		CHECK(n);
		put(to, RAW, 0, p, n);
		p += n;
		len -= n;
	}
}

static void derive_next(struct kssl_key *key)
{
	const EVP_MD *md = key->secret_len == 48 ? EVP_sha384() : EVP_sha256();
	const struct kssl_suite *suite = kssl_suite_find(key->suite, key->version);
	struct kssl_secret secret = { .len = key->secret_len };
	unsigned int max_payload = key->max_payload;

	CHECK(key->secret_len);
	memcpy(secret.bytes, key->secret, secret.len);
	GIVES(kssl_keys_next_secret(md, &secret), 0);
	GIVES(kssl_keys_of_secret(suite, md, &secret, key), 0);
	key->max_payload = max_payload;
}

static void update(struct end *x, uint8_t request)
{
	const uint8_t octets[] = { SSL3_MT_KEY_UPDATE, 0, 0, 1, request };
	struct message *m = put(x->other, RECORD, KSSL_TYPE_HANDSHAKE, octets, sizeof(octets));

	m->by_kernel = true;
	derive_next(&x->tx);
	m->key = x->tx;
	x->epoch[KSSL_SENDING]++;
	x->answer_due = false;
}

static void set_tx_key(struct end *x, const uint8_t *payload)
{
	struct message *m = x->other->inbox;

	memcpy(&x->tx, payload, sizeof(x->tx));
	if (!x->epoch[KSSL_SENDING])
		x->first[KSSL_SENDING] = x->tx;
	x->epoch[KSSL_SENDING]++;
	while (m && m->next)
		m = m->next;
	if (m && m->kind == RECORD)
		m->key = x->tx;
}

/* It is the one the other end sends under. */
static void set_rx_key(struct end *x, const uint8_t *payload)
{
	struct kssl_key key;

	memcpy(&key, payload, sizeof(key));
	CHECK(x->rx_held);
	if (x->epoch[KSSL_RECEIVING]) {
		EQ(x->rx_next.size, sizeof(key));
		EQ(key.suite, x->rx_next.suite);
		EQ(key.max_payload, x->rx_next.max_payload);
		CHECK(!memcmp(key.key, x->rx_next.key, sizeof(key.key)));
		CHECK(!memcmp(key.iv, x->rx_next.iv, sizeof(key.iv)));
		CHECK(!memcmp(key.mac_key, x->rx_next.mac_key, sizeof(key.mac_key)));
		EQ(key.nonce, x->rx_next.nonce);
		CHECK(!memcmp(key.secret, x->rx_next.secret, sizeof(key.secret)));
	} else {
		x->first[KSSL_RECEIVING] = key;
	}
	x->epoch[KSSL_RECEIVING]++;
}

static void take_result(struct end *x, const uint8_t *payload)
{
	struct kssl_result result;

	memcpy(&result, payload, sizeof(result));
	EQ(result.id, x->requested);
	CHECK(!result.err || result.err == ECONNREFUSED || result.err == EOPNOTSUPP ||
	      (r.closes && (result.err == EPIPE || result.err == ENOTCONN)));
	x->requested = 0;
}

static void do_op(struct end *x, const struct kssl_op *op, const uint8_t *payload)
{
	struct kssl_error error;

	switch (op->op) {
	case KSSL_OP_HOLD:
		x->tx_held = true;
		break;
	case KSSL_OP_RELEASE:
		x->tx_held = false;
		x->awaits = false;
		break;
	case KSSL_OP_RAW:
		put_raw(x->other, payload, op->len);
		break;
	case KSSL_OP_RECORD:
		CHECK(!x->closed);
		CHECK(op->len <= (x->tx.max_payload ? x->tx.max_payload : KSSL_MAX_PAYLOAD));
		put(x->other, RECORD, op->type, payload, op->len);
		break;
	case KSSL_OP_TX_KEY:
		set_tx_key(x, payload);
		break;
	case KSSL_OP_RX_KEY:
		set_rx_key(x, payload);
		break;
	case KSSL_OP_CONTINUE:
		x->rx_held = false;
		break;
	case KSSL_OP_DONE:
		x->awaits = false;
		break;
	case KSSL_OP_AWAIT:
		x->awaits = true;
		break;
	case KSSL_OP_KEY_UPDATE:
		CHECK(x->updates && !x->closed);
		update(x, payload[0]);
		break;
	case KSSL_OP_IDENTITY:
		x->identities++;
		break;
	case KSSL_OP_RESULT:
		take_result(x, payload);
		break;
	case KSSL_OP_FAIL:
		memcpy(&error, payload, sizeof(error));
		end_came = end_expected && !strcmp(error.text, end_expected);
		if (end_came) {
			EQ(error.alert, SSL_AD_HANDSHAKE_FAILURE);
			break;
		}
		check_failed(__FILE__, __LINE__, "the %s fails: %s",
			     x == &r.ends[0] ? "client" : "server", error.text);
	}
}

/* As struct kssl's write does with EPIPE. */
static void close_if_it_sends(struct end *x, struct kssl_batch *batch)
{
	bool sends = false;
	struct kssl_op op;
	size_t pos;

	for (pos = 0; pos < batch->len; pos += sizeof(op) + op.len) {
		memcpy(&op, batch->buf + pos, sizeof(op));
		sends |= op.op == KSSL_OP_RECORD || op.op == KSSL_OP_KEY_UPDATE;
	}
	if (!sends)
		return;
	kssl_batch_drop_output(batch);
	kssl_engine_sending_closed(x->e, batch);
}

static void apply(struct end *x, struct kssl_batch *batch)
{
	struct kssl_engine_event events[KSSL_ENGINE_EVENTS_MAX];
	struct kssl_op op;
	size_t pos;

	EQ(batch->err, 0);
	if (x->closed)
		close_if_it_sends(x, batch);
	for (pos = 0; pos < batch->len; pos += sizeof(op) + op.len) {
		memcpy(&op, batch->buf + pos, sizeof(op));
		do_op(x, &op, batch->buf + pos + sizeof(op));
	}
	kssl_batch_clear(batch);
	kssl_engine_take_events(x->e, events);
	if (!kssl_engine_is_open(x->e) || x->closed)
		return;
	EQ(x->tx_held, x->e->held);
	EQ(x->awaits, x->e->awaited);
}

static void tell_epochs(struct end *x)
{
	struct kssl_batch batch = { 0 };

	kssl_engine_take_epochs(x->e, x->epoch[KSSL_RECEIVING], x->epoch[KSSL_SENDING], &batch);
	apply(x, &batch);
}

/* What the kernel does when nothing is held. */
static void settle(struct end *x)
{
	if (x->tx_held)
		return;
	if (x->closing && !x->closed) {
		put(x->other, CLOSE, 0, "", 0);
		x->closed = true;
	}
	if (x->answer_due && !x->rx_held && !x->closed) {
		update(x, SSL_KEY_UPDATE_NOT_REQUESTED);
		tell_epochs(x);
	}
}

/* ---- what arrives ---- */

static void give_record(struct end *x, struct message *m)
{
	const struct kssl_msg head = {
		.kind = KSSL_MSG_RECORD, .type = m->type, .epoch = x->epoch[KSSL_RECEIVING],
		.value = x->epoch[KSSL_SENDING],
	};
	struct kssl_batch batch = { 0 };

	x->rx_held = true;
	x->rx_next = m->key;
	kssl_engine_take_record(x->e, &head, m->data, m->len, &batch);
	apply(x, &batch);
	CHECK(!x->rx_held || end_came);
}

static void give_raw(struct end *x, struct message *m)
{
	struct kssl_batch batch = { 0 };

	/* What a server of TLS 1.3 has sent already under the first key: let it be lost. */
	if (kssl_engine_is_open(x->e))
		return;
	x->rx_held = true;
	kssl_engine_take_raw(x->e, m->data, m->len, &batch);
	apply(x, &batch);
}

static void give_close(struct end *x)
{
	struct kssl_batch batch = { 0 };

	x->deaf = true;
	kssl_engine_peer_closed(x->e, true, &batch);
	apply(x, &batch);
	if (!is_13())
		x->closing = true;
}

static void take_update(struct end *x, const struct message *m)
{
	x->epoch[KSSL_RECEIVING]++;
	x->answer_due |= m->data[4] == SSL_KEY_UPDATE_REQUESTED;
	if (pick(2))
		tell_epochs(x);
}

/* A record becomes two, as if the peer had sent it so. */
static void split_first(struct end *x)
{
	struct message *m = x->inbox, *rest;
	size_t at;

	if (m->kind != RECORD || m->type != KSSL_TYPE_HANDSHAKE || m->key.size || m->len < 2)
		return;
	at = 1 + pick(m->len - 1);
	rest = calloc(1, sizeof(*rest) + m->len - at);
	CHECK(rest);
	rest->kind = RECORD;
	rest->type = m->type;
	rest->len = m->len - at;
	memcpy(rest->data, m->data + at, rest->len);
	rest->next = m->next;
	m->next = rest;
	m->len = at;
	if (x->tail == &m->next)
		x->tail = &rest->next;
}

static void deliver(struct end *x)
{
	struct message *m;

	if (!x->inbox || x->rx_held)
		return;
	if (r.split && pick(2))
		split_first(x);
	m = take(x);
	if (x->deaf)
		;	/* what comes after close_notify is dropped */
	else if (m->kind == CLOSE)
		give_close(x);
	else if (m->kind == RAW)
		give_raw(x, m);
	else if (m->len == 5 && m->data[0] == SSL3_MT_KEY_UPDATE && m->key.size && x->updates && pick(8))
		take_update(x, m);
	else
		give_record(x, m);
	free(m);
	settle(x);
}

static void deliver_all(void)
{
	struct end *c = &r.ends[0], *s = &r.ends[1];
	int i;

	for (i = 0; i < QUIET_MAX && !end_came; i++) {
		if (!c->inbox && !s->inbox) {
			tell_epochs(c);
			tell_epochs(s);
			settle(c);
			settle(s);
			if (!c->inbox && !s->inbox)
				return;
		}
		deliver(c);
		deliver(s);
	}
	if (!end_came)
		check_failed(__FILE__, __LINE__, "no end of it");
}

/* ---- what they begin ---- */

static int some_how(const struct end *x)
{
	int how = pick(x->e->server ? 4 : 2);

	/* Which would rightly be the end. */
	return how == KSSL_RENEG_REQUIRE_CERT && !r.cert ? KSSL_RENEG_REQUEST_CERT : how;
}

static void renegotiate(struct end *x)
{
	struct kssl_batch batch = { 0 };
	const char *why;

	CHECK(kssl_engine_renegotiate(x->e, some_how(x), &batch, &why) != -EIO);
	apply(x, &batch);
}

static void request(struct end *x)
{
	struct kssl_batch batch = { 0 };

	if (x->requested || x->closed || x->deaf)
		return;
	x->requested = ++x->requests;
	kssl_engine_request(x->e, some_how(x), x->requested, &batch);
	apply(x, &batch);
}

static void update_key(struct end *x)
{
	struct kssl_batch batch = { 0 };
	const char *why;

	CHECK(kssl_engine_key_update(x->e, pick(2), &batch, &why) != -EIO);
	apply(x, &batch);
}

static void update_by_kernel(struct end *x)
{
	if (!is_13() || !x->updates || x->closed || x->tx_held || x->rx_held)
		return;
	update(x, pick(2));
	if (pick(2))
		tell_epochs(x);
}

static void rekey(struct end *x)
{
	struct kssl_batch batch = { 0 };

	if (x->tx_held || x->closed)
		return;
	kssl_engine_rekey(x->e, 1 << pick(5), &batch);
	apply(x, &batch);
}

static void leave(struct end *x)
{
	x->closing |= r.closes && !pick(6);
	settle(x);
}

static void act(struct end *x)
{
	switch (pick(9)) {
	case 0:
		renegotiate(x);
		break;
	case 1:
		request(x);
		break;
	case 2:
		update_key(x);
		break;
	case 3:
		update_by_kernel(x);
		break;
	case 4:
		rekey(x);
		break;
	case 5:
		leave(x);
		break;
	default:
		deliver(x);
	}
}

/* ---- a round ---- */

static SSL_CTX *new_ctx(const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	char list[80];

	CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, v->version) &&
	      SSL_CTX_set_max_proto_version(ctx, v->version));
	CHECK(SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	/* Their signatures are of MD5 and SHA-1. */
	if (weak_suite) {
		snprintf(list, sizeof(list), "%s:@SECLEVEL=0", kssl_suite_name(weak_suite));
		CHECK(SSL_CTX_set_cipher_list(ctx, list));
		CHECK(SSL_CTX_set_dh_auto(ctx, 1));
	} else if (v->version < 0x0303) {
		CHECK(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"));
	}
	if (cert) {
		EQ(SSL_CTX_use_certificate_file(ctx, cert_path(cert, "crt"), SSL_FILETYPE_PEM), 1);
		EQ(SSL_CTX_use_PrivateKey_file(ctx, cert_path(cert, "key"), SSL_FILETYPE_PEM), 1);
	}
	return ctx;
}

static void make_end(struct end *x, SSL_CTX *ctx, int server)
{
	const struct kssl_suite_info weak[] = {
		{ .suite = weak_suite, .version = v->version }, { .suite = weak_suite, .version = 0x0303 },
	};
	static const struct kssl_suite_info suites[] = {
		{ .suite = 0x1301, .version = 0x0304 }, { .suite = 0x1302, .version = 0x0304 },
		{ .suite = 0xc02b, .version = 0x0303 }, { .suite = 0xc02c, .version = 0x0303 },
		{ .suite = 0xc009, .version = 0x0303 }, { .suite = 0xc00a, .version = 0x0303 },
		{ .suite = 0xc009, .version = 0x0302 }, { .suite = 0xc009, .version = 0x0301 },
	};
	struct kssl_engine_setup setup = {
		.ctx = ctx, .server = server, .name = server ? NULL : "localhost", .verify = !server,
		.client_renegotiation = r.may_begin, .kernel_updates = pick(2),
		.require_answer = pick(2), .suites = weak_suite ? weak : suites,
		.suites_count = weak_suite ? 2 : 8,
		.record_limit = r.limits[server],
	};
	struct kssl_error error;

	x->e = kssl_engine_new(&setup, &error);
	CHECK(x->e);
	x->updates = setup.kernel_updates;
	x->other = &r.ends[!server];
	x->tail = &x->inbox;
	x->tx_held = true;
	SSL_CTX_free(ctx);
}

static bool is_ecdsa(void)
{
	return strstr(kssl_suite_name(weak_suite), "ECDSA");
}

/* What one sends under, the other receives under: with the same record, IV or place in the key stream next. */
static void check_first_keys(const struct end *x)
{
	const struct kssl_key *tx = &x->first[KSSL_SENDING], *rx = &x->other->first[KSSL_RECEIVING];

	EQ(tx->suite, rx->suite);
	EQ(tx->version, v->version);
	CHECK(!memcmp(tx->key, rx->key, sizeof(tx->key)));
	CHECK(!memcmp(tx->mac_key, rx->mac_key, sizeof(tx->mac_key)));
	/* A server has sent tickets that the client has not yet seen. */
	if (is_13())
		return;
	CHECK(tx->seq > 0);
	EQ(tx->seq, rx->seq);
	CHECK(!memcmp(tx->iv, rx->iv, sizeof(tx->iv)));
	/* In SSL 3.0 Finished has 4 + 36 octets, else 4 + 12 (RFC 6101 5.6.9, RFC 5246 7.4.9). */
	if (strstr(kssl_suite_name(tx->suite), "RC4")) {
		EQ(tx->nonce, rx->nonce);
		EQ(tx->nonce, (v->version == 0x0300 ? 40 : 16) + tx->mac_key_len);
	}
}

static void begin_round(unsigned int seed)
{
	struct kssl_batch batch = { 0 };
	SSL_CTX *client, *server = new_ctx(weak_suite && !is_ecdsa() ? "rsa" : "ecdsa");

	srandom(seed);
	memset(&r, 0, sizeof(r));
	r.seed = seed;
	r.cert = pick(3);
	r.authenticates = pick(4);
	r.may_begin = pick(4);
	r.refuses = !pick(8);
	r.split = pick(2);
	r.closes = !pick(3);
	r.limits[0] = pick(2) ? 64 + pick(1000) : 0;
	r.limits[1] = pick(2) ? 64 + pick(1000) : 0;
	/* A client that ignores a HelloRequest has no word for it, and a server no other than the last. */
	if (v->version == 0x0300) {
		r.may_begin = !forbidden;
		r.refuses = false;
	}
	client = new_ctx(r.cert ? "client" : NULL);
	SSL_CTX_set_post_handshake_auth(client, r.authenticates);
	if (r.refuses)
		SSL_CTX_set_options(client, SSL_OP_NO_RENEGOTIATION);
	EQ(SSL_CTX_set_session_id_context(server, (const uint8_t *)"x", 1), 1);
	make_end(&r.ends[0], client, 0);
	make_end(&r.ends[1], server, 1);
	kssl_engine_start(r.ends[0].e, &batch);
	apply(&r.ends[0], &batch);
	deliver_all();
	CHECK(kssl_engine_is_open(r.ends[0].e) && kssl_engine_is_open(r.ends[1].e));
	check_first_keys(&r.ends[0]);
	check_first_keys(&r.ends[1]);
}

static void check_rest(struct end *x)
{
	CHECK(kssl_engine_is_open(x->e));
	CHECK(!x->tx_held);
	/* What was asked of who only listens any more, nobody answers. */
	if (x->other->closed && !x->deaf)
		return;
	if (x->other->deaf && !x->deaf)
		return;
	CHECK(!kssl_engine_is_busy(x->e));
	CHECK(!x->awaits);
	EQ(x->requested, 0);
	if (is_13())
		EQ(x->epoch[KSSL_SENDING], x->other->epoch[KSSL_RECEIVING]);
}

/* Both agree on everything, or this would fail. */
static void authenticate(struct end *server)
{
	struct kssl_batch batch = { 0 };
	const char *why;
	int ret = kssl_engine_renegotiate(server->e, KSSL_RENEG_REQUEST_CERT, &batch, &why);

	apply(server, &batch);
	deliver_all();
	check_rest(server);
	check_rest(server->other);
	if (!ret && r.cert && !r.refuses && !server->other->e->stuck)
		CHECK(SSL_get0_peer_certificate(kssl_engine_ssl(server->e)));
	CHECK(server->identities <= 1);
	EQ(server->identities, SSL_get0_peer_certificate(kssl_engine_ssl(server->e)) != NULL);
}

static void end_round(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		kssl_engine_free(r.ends[i].e);
		while (r.ends[i].inbox)
			free(take(&r.ends[i]));
	}
}

static void play(unsigned int rounds)
{
	unsigned int seed;
	int i;

	explain = explain_round;
	for (seed = 1; seed <= rounds; seed++) {
		begin_round(seed);
		for (i = 5 + pick(40); i; i--)
			act(&r.ends[pick(2)]);
		deliver_all();
		check_rest(&r.ends[0]);
		check_rest(&r.ends[1]);
		if (!r.ends[0].closed && !r.ends[1].closed)
			authenticate(&r.ends[1]);
		end_round();
	}
}

static void whatever_both_begin(void)
{
	play(ROUNDS);
}

/* ---- what only another OpenSSL has ---- */

static void each_weak_suite(void)
{
	static const unsigned int suites[] = {
		0x000a, 0x0016, 0xc008, 0xc012, 0x0004, 0x0005, 0xc007, 0xc011,	/* 3DES, RC4 */
		0x002f, 0x0033, 0x0035, 0x0039, 0x0041, 0x0045, 0x0084, 0x0088,	/* of SSL 3.0 */
	};
	size_t i;

	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (!kssl_suite_find(suites[i], v->version) || (i >= 8 && v->version != 0x0300))
			continue;
		weak_suite = suites[i];
		note("%s", kssl_suite_name(weak_suite));
		play(WEAK_ROUNDS);
	}
}

/* In SSL 3.0, with a server that refuses or demands what its client then does not do. */
static void end_in_ssl3(bool client_begins, int how, const char *why)
{
	struct end *client = &r.ends[0], *server = &r.ends[1];
	struct kssl_batch batch = { 0 };
	const char *no;

	weak_suite = 0x0035;
	forbidden = true;
	begin_round(LONE_SEED);
	CHECK(!r.cert);
	/* What the server begins goes on. */
	GIVES(kssl_engine_renegotiate(server->e, KSSL_RENEG_REQUEST_CERT, &batch, &no), 0);
	apply(server, &batch);
	deliver_all();
	check_rest(client);
	check_rest(server);
	EQ(server->epoch[KSSL_SENDING], 2);
	end_expected = why;
	GIVES(kssl_engine_renegotiate(client_begins ? client->e : server->e, how, &batch, &no), 0);
	apply(client_begins ? client : server, &batch);
	deliver_all();
	CHECK(end_came);
	end_round();
}

/* The only word that SSL 3.0 has for it is the last one. */
static void no_renegotiation_in_ssl3(void)
{
	end_in_ssl3(true, KSSL_RENEG_FULL, "the client renegotiates, which SSL 3.0 cannot refuse");
}

/* Instead of an empty Certificate there is an alert (RFC 6101 5.6.6). */
static void no_certificate_in_ssl3(void)
{
	end_in_ssl3(false, KSSL_RENEG_REQUIRE_CERT, "OpenSSL: peer did not return a certificate");
}

static void check_refusal(const struct kssl_suite_info *suites, unsigned int count, int min, int max,
			  const char *list, const char *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct kssl_engine_setup setup = { .ctx = ctx, .server = 1, .suites = suites, .suites_count = count };
	struct kssl_error error;

	CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, min) && SSL_CTX_set_max_proto_version(ctx, max) &&
	      SSL_CTX_set_cipher_list(ctx, list));
	CHECK(!kssl_engine_new(&setup, &error));
	EQ(error.err, ENOPKG);
	if (!strstr(error.text, why))
		check_failed(__FILE__, __LINE__, "\"%s\" has nothing of \"%s\"", error.text, why);
	SSL_CTX_free(ctx);
}

static const struct kssl_suite_info unlocked[] = {
	{ .suite = 0x002f, .version = 0x0300 }, { .suite = 0x0005, .version = 0x0300 },
	{ .suite = 0x002f, .version = 0x0303 }, { .suite = 0x0005, .version = 0x0303 },
	{ .suite = 0x002f, .version = 0x0301 }, { .suite = 0x1301, .version = 0x0304 },
};

static const struct kssl_suite_info locked[] = {
	{ .suite = 0x002f, .version = 0x0303 }, { .suite = 0x002f, .version = 0x0301 },
	{ .suite = 0x1301, .version = 0x0304 },
};

static void locked_in_the_kernel(void)
{
	check_refusal(locked, 3, 0x0300, 0x0300, "AES128-SHA:@SECLEVEL=0", "SSL 3.0 only if it is loaded with legacy=1");
	check_refusal(locked, 3, 0x0300, 0, "AES128-SHA:@SECLEVEL=0", "SSL 3.0 only if it is loaded with legacy=1");
	if (getenv("E2E_LEGACY"))
		check_refusal(locked, 3, 0x0301, 0x0303, "RC4-SHA:@SECLEVEL=0", "RC4 only if the module is loaded with legacy=1");
}

static void absent_from_openssl(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	check_refusal(unlocked, 6, 0x0300, 0x0300, "AES128-SHA:@SECLEVEL=0", "this OpenSSL has no SSL 3.0");
	check_refusal(unlocked, 6, 0x0300, 0x0303, "AES128-SHA:@SECLEVEL=0", "this OpenSSL has no SSL 3.0");
	CHECK(ctx && !SSL_CTX_set_cipher_list(ctx, "RC4-SHA:DES-CBC3-SHA:@SECLEVEL=0"));
	SSL_CTX_free(ctx);
}

/* What nobody has named is not offered, whatever there is. */
static void not_by_default(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct kssl_engine_setup setup = { .ctx = ctx, .server = 1, .suites = unlocked, .suites_count = 6 };
	struct kssl_error error;
	struct kssl_engine *e = kssl_engine_new(&setup, &error);
	STACK_OF(SSL_CIPHER) *left;
	int i;

	CHECK(ctx && e);
	EQ(SSL_get_min_proto_version(kssl_engine_ssl(e)), 0x0303);
	left = SSL_get1_supported_ciphers(kssl_engine_ssl(e));
	CHECK(sk_SSL_CIPHER_num(left) > 0);
	for (i = 0; i < sk_SSL_CIPHER_num(left); i++)
		CHECK(!strstr(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(left, i)), "RC4") &&
		      !strstr(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(left, i)), "DES"));
	sk_SSL_CIPHER_free(left);
	kssl_engine_free(e);
	SSL_CTX_free(ctx);
}

int main(int argc, char **argv)
{
	const unsigned int once = OVER_OPENSSL | OVER_SERVER | OVER_TLS12;
	const struct test usual[] = {
		{ "whatever both begin", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS | OVER_OLD, whatever_both_begin },
		{ "locked in the kernel", once, locked_in_the_kernel },
		{ "absent from OpenSSL", once, absent_from_openssl },
		{ "not by default", once, not_by_default },
		{ 0 },
	};
	const struct test legacy[] = {
		{ "whatever both begin", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS | OVER_OLD, whatever_both_begin },
		{ "each weak suite", OVER_OPENSSL | OVER_CLIENT | OVER_LEGACY | OVER_SUITES, each_weak_suite },
		{ "no renegotiation", OVER_OPENSSL | OVER_CLIENT | OVER_SSL30, no_renegotiation_in_ssl3 },
		{ "no certificate", OVER_OPENSSL | OVER_CLIENT | OVER_SSL30, no_certificate_in_ssl3 },
		{ "locked in the kernel", once, locked_in_the_kernel },
		{ "not by default", once, not_by_default },
		{ 0 },
	};

	return tap_main(argc, argv, getenv("E2E_LEGACY") ? legacy : usual);
}
