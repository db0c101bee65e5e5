// SPDX-License-Identifier: MIT
/* Records as the bystander reads them, in the order in which they were on the wire. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "messages.h"
#include "tap.h"

/* What of our data may follow something that our TCP has acknowledged: it may have been sealed before
 * we read that, but is no more than fits into a send buffer (tcp_wmem). */
#define SEALED_BEFORE	(4 << 20)

/* Sequence numbers that are tried, up and down, to say what is wrong with a record. */
#define NEAR	8

/* ---- objections ---- */

static const char *type_name(const struct record *r)
{
	switch (r->type) {
	case CHANGE_CIPHER_SPEC:
		return "ChangeCipherSpec";
	case ALERT:
		return "alert";
	case HANDSHAKE:
		return "handshake";
	case APPLICATION_DATA:
		return "data";
	default:
		return "unknown type";
	}
}

static void name_record(const struct record *r, char *to, size_t len)
{
	if (!r->protected)
		snprintf(to, len, "%s record %u (in the clear, type %u %s, %zu bytes%s%s)",
			 r->whose == OURS ? "our" : "the peer's", r->index, r->type, type_name(r),
			 r->len, *r->what ? ": " : "", r->what);
	else
		snprintf(to, len, "%s record %u (epoch %u, seq %llu, type %u %s, %zu bytes%s%s)",
			 r->whose == OURS ? "our" : "the peer's", r->index, r->epoch,
			 (unsigned long long)r->seq, r->type, type_name(r), r->len,
			 *r->what ? ": " : "", r->what);
}

static void add_objection(struct wire *w, const char *rule, const char *where, const char *format,
			  va_list args)
{
	char text[160];

	if (!w->objections_count)
		w->traced_at = w->traced;
	if (w->objections_count < OBJECTIONS_KEPT) {
		vsnprintf(text, sizeof(text), format, args);
		snprintf(w->objections[w->objections_count], sizeof(w->objections[0]), "%s: %s: %s",
			 rule, where, text);
	}
	w->objections_count++;
}

void object(struct wire *w, const char *rule, const char *format, ...)
{
	char where[160];
	va_list args;

	name_record(&w->record, where, sizeof(where));
	va_start(args, format);
	add_objection(w, rule, where, format, args);
	va_end(args);
}

/* Not about a record, but about how @s ended. */
static void object_to_end(struct wire *w, struct side *s, const char *rule, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void object_to_end(struct wire *w, struct side *s, const char *rule, const char *format, ...)
{
	char where[64];
	va_list args;

	snprintf(where, sizeof(where), "%s stream behind record %u",
		 s->whose == OURS ? "our" : "the peer's", s->index);
	va_start(args, format);
	add_objection(w, rule, where, format, args);
	va_end(args);
}

void describe(struct wire *w, const char *format, ...)
{
	struct record *r = &w->record;
	size_t len = strlen(r->what);
	va_list args;

	if (len && len + 3 < sizeof(r->what)) {
		strcpy(r->what + len, ", ");
		len += 2;
	}
	va_start(args, format);
	vsnprintf(r->what + len, sizeof(r->what) - len, format, args);
	va_end(args);
}

unsigned int wire_objections(const struct wire *w)
{
	return w->objections_count;
}

const char *wire_objection(const struct wire *w, unsigned int i)
{
	return i < w->objections_count && i < OBJECTIONS_KEPT ? w->objections[i] : "";
}

void wire_print(const struct wire *w)
{
	unsigned int i = w->traced > TRACE_LEN ? w->traced - TRACE_LEN : 0;
	char line[200];

	for (; i < w->traced; i++) {
		name_record(&w->trace[i % TRACE_LEN], line, sizeof(line));
		note("wire: %s", line);
	}
	for (i = 0; i < w->objections_count && i < OBJECTIONS_KEPT; i++)
		note("wire: OBJECTION: %s", w->objections[i]);
	if (w->objections_count > OBJECTIONS_KEPT)
		note("wire: and %u more objections", w->objections_count - OBJECTIONS_KEPT);
}

/* ---- keys ---- */

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c | 0x20) : NULL;

	return found ? (int)(found - digits) : -1;
}

static size_t read_hex(const char **text, uint8_t *to, size_t room)
{
	size_t len = 0;
	int high, low;

	while (**text == ' ')
		(*text)++;
	while (len < room && (high = hex_value((*text)[0])) >= 0 && (low = hex_value((*text)[1])) >= 0) {
		to[len++] = high << 4 | low;
		*text += 2;
	}
	return len;
}

void wire_key_line(const char *line, void *arg)
{
	static const char *const names[LABELS] = {
		[MASTER] = "CLIENT_RANDOM ",
		[CLIENT_HANDSHAKE] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET ",
		[SERVER_HANDSHAKE] = "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
		[CLIENT_TRAFFIC] = "CLIENT_TRAFFIC_SECRET_0 ",
		[SERVER_TRAFFIC] = "SERVER_TRAFFIC_SECRET_0 ",
	};
	struct wire *w = arg;
	struct logged *l;
	int i;

	for (i = 0; i < LABELS && strncmp(line, names[i], strlen(names[i])); i++)
		;
	if (i == LABELS)
		return;
	line += strlen(names[i]);
	pthread_mutex_lock(&w->lock);
	w->logged = realloc(w->logged, (w->logged_count + 1) * sizeof(*w->logged));
	CHECK(w->logged);
	l = &w->logged[w->logged_count];
	l->label = i;
	if (read_hex(&line, l->random, RANDOM_LEN) == RANDOM_LEN) {
		l->secret.len = read_hex(&line, l->secret.bytes, SECRET_MAX);
		w->logged_count++;
	}
	pthread_mutex_unlock(&w->lock);
}

const struct secret *messages_secret(struct wire *w, enum label label)
{
	size_t i;

	for (i = 0; i < w->logged_count; i++)
		if (w->logged[i].label == label &&
		    !memcmp(w->logged[i].random, w->client_random, RANDOM_LEN))
			return &w->logged[i].secret;
	return NULL;
}

static int compare_used(const void *a, const void *b)
{
	const struct used *x = a, *y = b;
	int diff = memcmp(x->nonce, y->nonce, sizeof(x->nonce));

	return diff ? diff : x->index < y->index ? -1 : 1;
}

/* RFC 5288 3: no explicit nonce twice under a key; RFC 5246 6.2.3.2: no IV either. */
static void check_nonces(struct wire *w, struct side *s)
{
	size_t i;

	qsort(s->used, s->used_count, sizeof(*s->used), compare_used);
	for (i = 1; i < s->used_count; i++)
		if (!memcmp(s->used[i - 1].nonce, s->used[i].nonce, sizeof(s->used[i].nonce)))
			object_to_end(w, s, s->keys.suite->mode == CBC ? "RFC 5246 6.2.3.2" : "RFC 5288 3",
				      "records %u and %u of epoch %u have the same nonce",
				      s->used[i - 1].index, s->used[i].index, s->epoch);
	s->used_count = 0;
}

void side_set_keys(struct wire *w, struct side *s, const struct protection *keys)
{
	check_nonces(w, s);
	protection_clear(&s->before);
	s->before = s->keys;
	s->keys = *keys;
	s->blind = 0;
}

static void remember_nonce(struct side *s, const uint8_t *record, size_t record_len)
{
	size_t len = protection_explicit_len(&s->keys);
	struct used *u;

	if (!len || record_len < HEADER_LEN + len)
		return;
	if (!(s->used_count & (s->used_count - 1))) {
		s->used = realloc(s->used, (s->used_count ? 2 * s->used_count : 1) * sizeof(*s->used));
		CHECK(s->used);
	}
	u = &s->used[s->used_count++];
	memset(u, 0, sizeof(*u));
	memcpy(u->nonce, record + HEADER_LEN, len);
	u->index = s->index;
}

/* ---- what records may be there ---- */

static void check_header(struct wire *w, struct side *s, const uint8_t *header, size_t len)
{
	unsigned int version = header[1] << 8 | header[2];
	const int opaque = s->keys.suite && w->version == TLS13;

	if (header[0] < CHANGE_CIPHER_SPEC || header[0] > APPLICATION_DATA)
		object(w, "RFC 8446 5.1", "content type %u", header[0]);
	/* Before a version is agreed on: RFC 5246 E.1, RFC 8446 5.1. */
	if (!w->version ? version < SSL30 || version > TLS12 :
			  version != (w->version == TLS13 ? TLS12 : w->version))
		object(w, w->version == TLS13 ? "RFC 8446 5.1" : "RFC 5246 6.2.1",
		       "version %#06x in the header", version);
	if (len > (!s->keys.suite ? PLAINTEXT_MAX : opaque ? CIPHERTEXT13_MAX : CIPHERTEXT12_MAX))
		object(w, opaque ? "RFC 8446 5.2" : s->keys.suite ? "RFC 5246 6.2.3" : "RFC 5246 6.2.1",
		       "%zu bytes in a record", len);
}

static void check_after_end(struct wire *w, struct side *s)
{
	if (s->closed)
		object(w, w->version == TLS13 ? "RFC 8446 6.1" : "RFC 5246 7.2.1",
		       "a record after close_notify");
	if (s->fatal)
		object(w, w->version == TLS13 ? "RFC 8446 6.2" : "RFC 5246 7.2.2",
		       "a record after a fatal alert");
}

/* What the application writes behind this many bytes it writes after it has read what comes now. */
static uint64_t limit_of(const struct side *reader, const struct side *writer)
{
	const struct wire_totals *t = writer->totals;
	size_t i;

	for (i = 0; reader->whose == OURS && t && i < t->marks_count; i++)
		if (t->marks[i].received > writer->bytes)
			return t->marks[i].sent;
	return UINT64_MAX;
}

void side_set_due(struct wire *w, struct side *s, int what)
{
	if (!s->due[what].pending)
		s->due[what] = (struct due) {
			.pending = 1, .end = w->record.end, .limit = limit_of(s, other_side(w, s)),
		};
}

/* What of our data was seen after our TCP knew of something that forbids it. */
static void check_dues(struct wire *w, struct side *s, size_t len)
{
	static const struct {
		const char *rule;
		const char *text;
	} rules[DUES] = {
		[DUE_UPDATE] = { "RFC 8446 4.6.3", "data goes on without the KeyUpdate that was requested" },
		[DUE_CLOSE] = { "RFC 5246 7.2.1", "data goes on after the peer's close_notify" },
		[DUE_END] = { "RFC 8446 6.2", "data goes on after the peer's fatal alert" },
	};
	const struct side *o = other_side(w, s);
	int i;

	for (i = 0; i < DUES; i++) {
		struct due *due = &s->due[i];
		const struct mark *known;

		if (!due->pending)
			continue;
		known = marks_reach(&o->flow->acked, due->end);
		if (!known || w->record.tick < known->tick)
			continue;
		if (s->bytes + len > due->limit) {
			object(w, rules[i].rule, "%s, and what came after it was read", rules[i].text);
			due->limit = UINT64_MAX;
		}
		due->bytes += len;
		if (due->bytes > SEALED_BEFORE && due->bytes - len <= SEALED_BEFORE)
			object(w, rules[i].rule, "%s: %llu bytes", rules[i].text,
			       (unsigned long long)due->bytes);
	}
}

static void take_data(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	const struct wire_totals *t = s->totals;

	if (!s->keys.suite)
		object(w, "RFC 8446 5.1, RFC 5246 7.4.9", "data in the clear");
	else if (s->finish_due)
		object(w, "RFC 5246 7.4.9", "data between ChangeCipherSpec and Finished");
	else if (!s->epoch)
		object(w, "RFC 8446 4.4.4", "data before Finished");
	else if (s->message_len && w->version == TLS13)
		object(w, "RFC 8446 5.1", "data inside a handshake message");
	else if (s->whose == OURS && w->held)
		object(w, w->version == TLS13 ? "RFC 8446 4.4.4" : "RFC 5246 7.4.9",
		       "data of ours while a handshake runs");
	if (s->whose == OURS)
		check_dues(w, s, len);
	if (t && s->bytes < t->bytes)
		CHECK(EVP_DigestUpdate(s->digest, data,
				       t->bytes - s->bytes < len ? t->bytes - s->bytes : len));
	s->bytes += len;
}

static void take_alert(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	const char *rule = w->version == TLS13 ? "RFC 8446 5.1" : "RFC 5246 7.2";
	int fatal;

	if (len != 2) {
		object(w, rule, "an alert of %zu bytes", len);
		return;
	}
	describe(w, "%s %u", data[0] == 1 ? "warning" : data[0] == 2 ? "fatal" : "bad level", data[1]);
	if (data[0] != 1 && data[0] != 2)
		object(w, "RFC 5246 7.2", "level %u", data[0]);
	/* RFC 8446 6: the level says nothing there. */
	fatal = w->version == TLS13 ? data[1] != CLOSE_NOTIFY && data[1] != USER_CANCELED : data[0] == 2;
	if (fatal) {
		s->fatal = 1;
		side_set_due(w, other_side(w, s), DUE_END);
		return;
	}
	if (s->finish_due)
		object(w, "RFC 5246 7.1", "a warning between ChangeCipherSpec and Finished");
	if (s->message_len && w->version == TLS13)
		object(w, "RFC 8446 5.1", "an alert inside a handshake message");
	if (data[1] == CLOSE_NOTIFY) {
		s->closed = 1;
		s->closed_tick = w->record.tick;
		s->due[DUE_UPDATE].pending = 0;
		if (w->version != TLS13)
			side_set_due(w, other_side(w, s), DUE_CLOSE);
	} else if (data[1] == NO_RENEGOTIATION && w->handshaking && w->established) {
		w->handshaking = 0;
		w->held = 0;
		s->rank = other_side(w, s)->rank = 0;
	}
}

static void take_change_cipher(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	if (len != 1 || data[0] != 1)
		object(w, w->version == TLS13 ? "RFC 8446 5" : "RFC 5246 7.1", "ChangeCipherSpec is not one byte 1");
	if (s->message_len)
		object(w, w->version == TLS13 ? "RFC 8446 5.1" : "RFC 5246 7.1",
		       "ChangeCipherSpec inside a handshake message");
	if (w->version != TLS13) {
		messages_change_cipher(w, s);
		return;
	}
	/* For middleboxes: between the first ClientHello and the Finished of who sends it. */
	if (!w->handshaking || s->finished)
		object(w, "RFC 8446 5", "ChangeCipherSpec after the handshake");
	if (s->ccs++ && s->whose == OURS)
		object(w, "RFC 8446 D.4", "more than one ChangeCipherSpec");
}

static void take_content(struct wire *w, struct side *s, const uint8_t *data, size_t len)
{
	if (w->record.type >= CHANGE_CIPHER_SPEC && w->record.type <= APPLICATION_DATA)
		s->records[w->record.type - CHANGE_CIPHER_SPEC]++;
	if (len > PLAINTEXT_MAX)
		object(w, w->version == TLS13 ? "RFC 8446 5.1" : "RFC 5246 6.2.1", "%zu bytes of plaintext", len);
	if (!len && w->record.type != APPLICATION_DATA) {
		object(w, w->version == TLS13 ? "RFC 8446 5.4" : "RFC 5246 6.2.1", "empty");
		return;
	}
	switch (w->record.type) {
	case CHANGE_CIPHER_SPEC:
		if (w->version == TLS13 && w->record.protected)
			object(w, "RFC 8446 5", "an encrypted ChangeCipherSpec");
		else
			take_change_cipher(w, s, data, len);
		break;
	case ALERT:
		take_alert(w, s, data, len);
		break;
	case HANDSHAKE:
		messages_take(w, s, data, len);
		break;
	case APPLICATION_DATA:
		take_data(w, s, data, len);
		break;
	default:
		object(w, "RFC 8446 5.4", "content type %u inside", w->record.type);
	}
}

/* ---- reading ---- */

/* Why does it not open? */
static void diagnose(struct wire *w, struct side *s, const uint8_t *record, size_t len, uint8_t *out)
{
	const uint64_t seq = s->keys.seq;
	uint8_t type;
	int i;

	for (i = -NEAR; i <= NEAR; i++)
		if (seq + i <= seq + NEAR && protection_open(&s->keys, seq + i, record, len, out, &type) >= 0) {
			object(w, "RFC 5246 6.1, RFC 8446 5.3", "it has sequence number %llu, not %llu",
			       (unsigned long long)(seq + i), (unsigned long long)seq);
			return;
		}
	for (i = 0; i < NEAR && s->before.suite; i++)
		if (protection_open(&s->before, s->before.seq + i, record, len, out, &type) >= 0) {
			object(w, "RFC 5246 7.1, RFC 8446 4.6.3", "it is under the key before");
			return;
		}
	if ((record[0] == ALERT && len == HEADER_LEN + 2) ||
	    (record[0] == HANDSHAKE && len > HEADER_LEN + 4 &&
	     (size_t)(record[6] << 16 | record[7] << 8 | record[8]) + 4 == len - HEADER_LEN)) {
		object(w, "RFC 5246 7.1, RFC 8446 5.2", "it is in the clear, and a key is in use");
		return;
	}
	object(w, "RFC 5246 6.2.3, RFC 8446 5.2", "not authentic");
}

/* In TLS 1.3 some records have no protection although there is a key. */
static int is_exempt(const struct wire *w, const struct side *s, const uint8_t *record, size_t len)
{
	if (w->version != TLS13 || s->epoch)
		return 0;
	/* RFC 8446 D.4, and A.1: what a client objects to in the server's part of the handshake. */
	return record[0] == CHANGE_CIPHER_SPEC ||
	       (record[0] == ALERT && len == HEADER_LEN + 2 && !s->server && !s->keys.seq);
}

static void read_record(struct wire *w, struct side *s, const uint8_t *record, size_t len)
{
	static uint8_t out[65536 + 64];
	int n, exempt = is_exempt(w, s, record, len);

	check_header(w, s, record, len - HEADER_LEN);
	check_after_end(w, s);
	if (s->blind && !exempt) {
		describe(w, "key not known");
		s->stopped = 1;
		return;
	}
	if (!s->keys.suite || exempt) {
		w->record.protected = 0;
		take_content(w, s, record + HEADER_LEN, len - HEADER_LEN);
		return;
	}
	if (w->version == TLS13 && record[0] != APPLICATION_DATA)
		object(w, "RFC 8446 5.2", "type %u outside of an encrypted record", record[0]);
	remember_nonce(s, record, len);
	n = protection_open(&s->keys, s->keys.seq, record, len, out, &w->record.type);
	if (n == -2) {
		object(w, "RFC 8446 5.4", "nothing but padding");
		n = 0;
	} else if (n < 0) {
		diagnose(w, s, record, len, out);
		s->stopped = 1;
		return;
	}
	w->record.len = n;
	protection_advance(&s->keys, record, len);
	take_content(w, s, out, n);
}

/* The next record of a side, if it is whole; the tick when it was. */
static uint64_t next_record(const struct side *s, size_t *len)
{
	const struct flow *f = s->flow;

	if (s->stopped || f->len < s->pos + HEADER_LEN)
		return 0;
	*len = HEADER_LEN + (f->data[s->pos + 3] << 8 | f->data[s->pos + 4]);
	if (f->len < s->pos + *len)
		return 0;
	return marks_reach(&f->seen, s->pos + *len)->tick;
}

static void read_next(struct wire *w, struct side *s, size_t len, uint64_t tick)
{
	const uint8_t *record = s->flow->data + s->pos;

	w->record = (struct record) {
		.whose = s->whose, .index = s->index, .epoch = s->epoch,
		.protected = s->keys.suite != NULL, .seq = s->keys.seq, .type = record[0],
		.len = len - HEADER_LEN, .start = s->pos, .end = s->pos + len, .tick = tick,
	};
	read_record(w, s, record, len);
	/* The trace ends a little after the first objection. */
	if (!w->objections_count || w->traced < w->traced_at + 3)
		w->trace[w->traced++ % TRACE_LEN] = w->record;
	s->pos += len;
	s->index++;
}

/* ---- how it ended ---- */

static int is_before(uint64_t tick, uint64_t other)
{
	return tick && (!other || tick < other);
}

/* Has this side done all that it must before it closes? */
static void check_close(struct wire *w, struct side *s)
{
	const struct side *o = other_side(w, s);
	const struct flow *f = s->flow;
	const char *rule = w->version == TLS13 ? "RFC 8446 6.1" : "RFC 5246 7.2.1";
	uint64_t end = f->fin ? f->fin_tick : 0;

	if (is_before(f->rst, end))
		end = f->rst;
	if (!end || !s->index)
		return;
	if (f->fin && f->len < f->fin_at)
		object_to_end(w, s, "(ours)", "bytes before FIN were not captured");
	if (f->fin && end == f->fin_tick && !s->stopped) {
		if (s->pos < f->fin_at)
			object_to_end(w, s, rule, "FIN inside a record");
		if (s->message_len)
			object_to_end(w, s, rule, "FIN inside a handshake message");
	}
	/* A fatal alert that came ends it too, and who is reset cannot speak any more. */
	if (s->closed || s->fatal || s->stopped || s->blind || o->fatal || is_before(o->flow->rst, end))
		return;
	object_to_end(w, s, rule, "%s without close_notify%s", end == f->rst ? "RST" : "FIN",
		      o->closed ? ", although one came" : "");
}

/* Who has read all that there is has no reason to destroy what is still under way to the other. */
static void check_reset(struct wire *w, struct side *s)
{
	const struct side *o = other_side(w, s);

	if (s->flow->rst && s->closed && o->closed && o->totals && o->totals->ended &&
	    !is_before(o->flow->rst, s->flow->rst))
		object_to_end(w, s, w->version == TLS13 ? "RFC 8446 6.1" : "RFC 5246 7.2.1",
			      "RST after a clean close");
}

static void check_totals(struct wire *w, struct side *s)
{
	const struct wire_totals *t = s->totals;
	uint64_t most = t ? t->all : 0, least = !t ? 0 : t->all == WIRE_UNKNOWN ? t->bytes : t->all;
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (!t || s->stopped || s->blind)
		return;
	/* Who is reset did not get to send everything. */
	if (s->bytes > most || (s->bytes < least && !s->flow->rst && !other_side(w, s)->flow->rst))
		object_to_end(w, s, "(ours)", "%llu bytes of data on the wire, %llu at its ends",
			      (unsigned long long)s->bytes, (unsigned long long)least);
	if (s->bytes < t->bytes)
		return;
	CHECK(EVP_DigestFinal_ex(s->digest, digest, NULL));
	if (memcmp(digest, t->digest, sizeof(t->digest)))
		object_to_end(w, s, "(ours)", "the data on the wire is not that of the test");
}

static void check_end(struct wire *w, struct side *s)
{
	check_nonces(w, s);
	if (s->flow->changed)
		object_to_end(w, s, "(ours)", "TCP sent a byte again and it was another one");
	/* OpenSSL logs no secret that it does not come to use. */
	if (s->blind && s->stopped && (s->whose == OURS || !w->sides[OURS].fatal))
		object_to_end(w, s, "(ours)", "the key log has no key for it");
	if (s->whose == OURS) {
		check_close(w, s);
		check_reset(w, s);
	}
	check_totals(w, s);
}

/* ---- all of it ---- */

struct wire *wire_new(int server)
{
	struct wire *w = calloc(1, sizeof(*w));
	int i;

	CHECK(w);
	pthread_mutex_init(&w->lock, NULL);
	for (i = 0; i < 2; i++) {
		w->sides[i].whose = i;
		w->sides[i].server = i == OURS ? server : !server;
		w->sides[i].digest = EVP_MD_CTX_new();
		CHECK(w->sides[i].digest && EVP_DigestInit_ex(w->sides[i].digest, EVP_sha256(), NULL));
	}
	return w;
}

void wire_free(struct wire *w)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct side *s = &w->sides[i];

		protection_clear(&s->keys);
		protection_clear(&s->before);
		EVP_MD_CTX_free(s->digest);
		free(s->message);
		free(s->used);
	}
	OPENSSL_cleanse(w->logged, w->logged_count * sizeof(*w->logged));
	free(w->logged);
	free(w);
}

void wire_read(struct wire *w, const struct flow *ours, const struct flow *theirs,
	       const struct wire_totals *our_data, const struct wire_totals *their_data)
{
	struct side *sides = w->sides;

	sides[OURS].flow = ours;
	sides[THEIRS].flow = theirs;
	sides[OURS].totals = our_data;
	sides[THEIRS].totals = their_data;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		uint64_t ticks[2];
		size_t lens[2];
		int i;

		for (i = 0; i < 2; i++)
			ticks[i] = next_record(&sides[i], &lens[i]);
		if (!ticks[0] && !ticks[1])
			break;
		i = !is_before(ticks[0], ticks[1]);
		read_next(w, &sides[i], lens[i], ticks[i]);
	}
	check_end(w, &sides[OURS]);
	check_end(w, &sides[THEIRS]);
	pthread_mutex_unlock(&w->lock);
}

const char *wire_summary(const struct wire *w)
{
	const struct side *o = &w->sides[OURS], *t = &w->sides[THEIRS];

	snprintf((char *)w->summary, sizeof(w->summary),
		 "wire: %u + %u records, %u + %u keys, %u handshakes, %llu + %llu bytes of data, late %llu %llu %llu",
		 o->index, t->index, o->epoch, t->epoch, w->handshakes, (unsigned long long)o->bytes,
		 (unsigned long long)t->bytes, (unsigned long long)o->due[0].bytes,
		 (unsigned long long)o->due[1].bytes, (unsigned long long)o->due[2].bytes);
	return w->summary;
}

uint16_t wire_suite(const struct wire *w)
{
	return w->suite ? w->suite->id : 0;
}

int wire_etm(const struct wire *w)
{
	return w->etm && w->suite && w->suite->mode == CBC;
}

unsigned int wire_epochs(const struct wire *w, int whose)
{
	return w->sides[whose].epoch;
}

uint64_t wire_bytes(const struct wire *w, int whose)
{
	return w->sides[whose].bytes;
}
