/* SPDX-License-Identifier: MIT */
/* What the two halves of the bystander share: wire.c has records, messages.c handshake messages. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <pthread.h>
#include "decrypt.h"
#include "wire.h"

/* Content types (RFC 8446 5.1). */
enum {
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
};

/* Handshake messages (RFC 8446 4, RFC 5246 7.4). */
enum {
	HELLO_REQUEST = 0,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	NEW_SESSION_TICKET = 4,
	ENCRYPTED_EXTENSIONS = 8,
	CERTIFICATE = 11,
	SERVER_KEY_EXCHANGE = 12,
	CERTIFICATE_REQUEST = 13,
	SERVER_HELLO_DONE = 14,
	CERTIFICATE_VERIFY = 15,
	CLIENT_KEY_EXCHANGE = 16,
	FINISHED = 20,
	CERTIFICATE_STATUS = 22,
	KEY_UPDATE = 24,
};

/* Alerts (RFC 8446 6). */
enum {
	CLOSE_NOTIFY = 0,
	USER_CANCELED = 90,
	NO_RENEGOTIATION = 100,
};

/**
 * struct record - one of them
 * @whose: OURS or THEIRS
 * @index: its number among those of its side
 * @epoch: of its key; 0 in the clear, and under the handshake keys of TLS 1.3
 * @protected: not in the clear
 * @seq: sequence number under the key
 * @type: content type, in TLS 1.3 the inner one
 * @len: bytes of content
 * @start: where it begins in its stream
 * @end: where it ends
 * @tick: when its last byte was seen
 * @what: for a person
 */
struct record {
	int whose;
	unsigned int index;
	unsigned int epoch;
	int protected;
	uint64_t seq;
	uint8_t type;
	size_t len;
	uint64_t start;
	uint64_t end;
	uint64_t tick;
	char what[64];
};

/* An explicit nonce or IV that was used under the key in use. */
struct used {
	uint8_t nonce[16];
	unsigned int index;
};

/*
 * What has come and demands something before our next data: a request for a
 * KeyUpdate, close_notify, a fatal alert.  Nobody can see from outside when we have
 * read it, only when our TCP had it, and some of our records were sealed before.
 */
enum {
	DUE_UPDATE,
	DUE_CLOSE,
	DUE_END,
	DUES,
};

/**
 * struct due - one of those
 * @pending: it has not been done yet
 * @end: where in the other stream it came
 * @bytes: what of data we sent since our TCP had acknowledged it
 * @limit: data beyond this many bytes was written after it had been read
 */
struct due {
	int pending;
	uint64_t end;
	uint64_t bytes;
	uint64_t limit;
};

/**
 * struct side - one direction
 * @flow: its stream
 * @whose: OURS or THEIRS
 * @server: it is the server's
 * @pos: where its next record begins
 * @index: number of the next record
 * @epoch: keys for data so far
 * @keys: of the next record
 * @before: the ones it had before
 * @secret: TLS 1.3: the traffic secret of @keys
 * @message: beginning of a handshake message that is not whole yet
 * @message_len: bytes there
 * @message_size: room there
 * @rank: how far in the handshake its last message was
 * @ccs: ChangeCipherSpecs in this handshake
 * @finish_due: TLS 1.2: Finished must be next
 * @finished: in this handshake
 * @closed: close_notify was sent
 * @closed_tick: then
 * @fatal: a fatal alert was sent
 * @blind: its key is not known
 * @stopped: nothing more can be read
 * @used: nonces under the key in use
 * @used_count: how many
 * @due: what it owes the other side
 * @bytes: data so far
 * @digest: of as much of it as @totals speaks of
 * @totals: may be NULL
 * @records: by content type from 20 on
 */
struct side {
	const struct flow *flow;
	int whose;
	int server;
	uint64_t pos;
	unsigned int index;
	unsigned int epoch;
	struct protection keys;
	struct protection before;
	struct secret secret;
	uint8_t *message;
	size_t message_len;
	size_t message_size;
	int rank;
	int ccs;
	int finish_due;
	int finished;
	int closed;
	uint64_t closed_tick;
	int fatal;
	int blind;
	int stopped;
	struct used *used;
	size_t used_count;
	struct due due[DUES];
	uint64_t bytes;
	EVP_MD_CTX *digest;
	const struct wire_totals *totals;
	unsigned int records[4];
};

enum label {
	MASTER,
	CLIENT_HANDSHAKE,
	SERVER_HANDSHAKE,
	CLIENT_TRAFFIC,
	SERVER_TRAFFIC,
	LABELS,
};

/**
 * struct logged - a line of the key log
 * @label: what it is
 * @random: of the ClientHello of the handshake
 * @secret: the secret
 */
struct logged {
	enum label label;
	uint8_t random[RANDOM_LEN];
	struct secret secret;
};

#define TRACE_LEN	24
#define OBJECTIONS_KEPT	8

/**
 * struct wire - the bystander
 * @sides: OURS and THEIRS
 * @version: agreed on, 0 before
 * @suite: of this handshake
 * @etm: likewise
 * @client_random: likewise
 * @server_random: likewise
 * @server_hello: it was sent in this handshake
 * @retried: TLS 1.3: a HelloRetryRequest was sent
 * @handshaking: from ClientHello on
 * @established: the first handshake is over
 * @held: our data must wait for both Finished
 * @handshakes: how many are over
 * @lock: protects @logged
 * @logged: the key log
 * @logged_count: lines of it
 * @record: the one being read
 * @trace: the last ones, the n-th record at n modulo its length
 * @traced: records so far
 * @objections: the first of them
 * @objections_count: all of them
 * @traced_at: records when the first objection came
 * @summary: text for wire_summary()
 */
struct wire {
	struct side sides[2];
	uint16_t version;
	const struct suite *suite;
	int etm;
	uint8_t client_random[RANDOM_LEN];
	uint8_t server_random[RANDOM_LEN];
	int server_hello;
	int retried;
	int handshaking;
	int established;
	int held;
	unsigned int handshakes;
	pthread_mutex_t lock;
	struct logged *logged;
	size_t logged_count;
	struct record record;
	struct record trace[TRACE_LEN];
	unsigned int traced;
	char objections[OBJECTIONS_KEPT][400];
	unsigned int objections_count;
	unsigned int traced_at;
	char summary[160];
};

/* The record being read breaks @rule. */
void object(struct wire *w, const char *rule, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Say what the record being read is. */
void describe(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* wire.c: what the record being read demands of @s from now on. */
void side_set_due(struct wire *w, struct side *s, int what);
/* wire.c: records of @s are protected by @keys from now on. */
void side_set_keys(struct wire *w, struct side *s, const struct protection *keys);

/* messages.c: content of a handshake record, and a ChangeCipherSpec. */
void messages_take(struct wire *w, struct side *s, const uint8_t *data, size_t len);
void messages_change_cipher(struct wire *w, struct side *s);
/* The key log has this; NULL if not. */
const struct secret *messages_secret(struct wire *w, enum label label);

static inline struct side *other_side(struct wire *w, struct side *s)
{
	return &w->sides[!s->whose];
}

#endif
