/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engine share: engine.c (SSL object, plain phase),
 * handover.c (first keys), bounce.c (what comes after), update.c (KeyUpdates), start.c
 * (handshakes we start), policy.c (what may not change), session.c (what the application
 * is told), limit.c (how long records may be), keylog.c (secrets of TLS 1.3).
 */
#ifndef KSSL_ENGINE_PRIV_H
#define KSSL_ENGINE_PRIV_H

#include <stdbool.h>
#include "engine.h"
#include "libkssl.h"
#include "shim.h"

#define KSSL_NO_ALERT	-1
#define KSSL_DIGEST_LEN	32
#define KSSL_RECORD_SIZE_LIMIT	28	/* RFC 8449 6 */

/* One bit per handshake message type (RFC 8446 4, RFC 5246 7.4). */
#define KSSL_SEEN(type)	(1u << (type))

/* Index of what is kept for both directions. */
enum {
	KSSL_RECEIVING,
	KSSL_SENDING,
};

enum kssl_phase {
	KSSL_PHASE_PLAIN,
	KSSL_PHASE_OPEN,
	KSSL_PHASE_FAILED,
};

/**
 * struct kssl_kept - records of one direction of the plain phase that are encrypted
 * @buf: whole records, one after the other
 * @len: bytes used
 * @size: bytes allocated
 * @ccs: a ChangeCipherSpec went by
 * @opaque: records of TLS 1.3 are among them
 */
struct kssl_kept {
	uint8_t *buf;
	size_t len;
	size_t size;
	bool ccs;
	bool opaque;
};

/**
 * struct kssl_hello - what the hellos of the running handshake say
 * @name: digest of the server name a client asks for, zero if none
 * @ems: extended master secret agreed (RFC 7627)
 * @etm: encrypt-then-MAC agreed (RFC 7366); means something for CBC suites only
 * @fragment: max_fragment_length agreed (RFC 6066 4)
 * @limit: record_size_limit (RFC 8449) of the client and of the server, 0: none
 */
struct kssl_hello {
	uint8_t name[KSSL_DIGEST_LEN];
	bool ems;
	bool etm;
	bool fragment;
	uint16_t limit[2];
};

/**
 * struct kssl_identity - what a renegotiation must leave as it is
 * @has_cert: the peer has shown a certificate
 * @cert: its digest
 * @name: as in struct kssl_hello
 * @ems: as in struct kssl_hello
 * @etm_ever: encrypt-then-MAC was in use once (RFC 7366 3.1)
 * @http2: the protocol is h2
 */
struct kssl_identity {
	bool has_cert;
	uint8_t cert[KSSL_DIGEST_LEN];
	uint8_t name[KSSL_DIGEST_LEN];
	bool ems;
	bool etm_ever;
	bool http2;
};

enum kssl_request_state {
	KSSL_REQUEST_NONE,
	KSSL_REQUEST_WAITS,
	KSSL_REQUEST_RUNS,
};

/**
 * struct kssl_request - what the application asked for by way of the kernel
 * @state: none, it waits for another handshake to end, or it is under way
 * @how: KSSL_RENEG_*
 * @id: the kernel's number for it
 */
struct kssl_request {
	enum kssl_request_state state;
	int how;
	uint32_t id;
};

/**
 * struct kssl_engine - one connection
 * @ssl: OpenSSL's side of it
 * @rbio: what OpenSSL reads; owned by @ssl
 * @wbio: what OpenSSL wrote; owned by @ssl
 * @server: role
 * @phase: enum kssl_phase
 * @kernel_updates: the kernel does KeyUpdates
 * @require_answer: see struct kssl_engine_setup
 * @record_limit: likewise
 * @limit_octets: record_size_limit as it is sent
 * @handshaking: a renegotiation runs, from ClientHello on
 * @switched: it has changed the receiving key
 * @asked: server: our HelloRequest or certificate request has no answer yet
 * @awaited: the kernel's clock runs for that answer
 * @local: we started what runs
 * @held: application sending is held on our word
 * @stuck: the peer refused or left, OpenSSL waits for its answer for ever
 * @zeros: likewise: octets of a HelloRequest that has begun
 * @left: the peer will send no more
 * @mute: sending is closed, so there is no handshake any more
 * @broken: it ended in a way after which the session is not resumed
 * @seen: messages of this handshake, [0] received, [1] sent
 * @fresh: messages of this step, likewise
 * @alert: fatal alert OpenSSL wanted sent in this step, or KSSL_NO_ALERT
 * @updates_asked: KeyUpdates requested from the peer and not yet come
 * @answer_due: the peer has started one since ours, so the kernel's next may be an answer
 * @live: TLS 1.3: epochs of the kernel, [0] receiving, [1] sending
 * @epoch: likewise, those OpenSSL and the shims are at; never ahead of @live
 * @request: what KSSL_EV_REQUEST asked for
 * @rekey: KSSL_REKEY_* that could not be done at once
 * @exporter: likewise, of KSSL_ASK_EXPORTER
 * @verify_before: server: verification before our last request for a certificate
 * @session: client: newest one that can be resumed, or NULL
 * @read: seals what OpenSSL reads
 * @write: opens what OpenSSL wrote
 * @handshake_secret: TLS 1.3, [0] client, [1] server; until the hand-over
 * @secret: TLS 1.3, current traffic secrets, likewise
 * @kept: plain phase, [0] received, [1] sent
 * @hello: of the running handshake
 * @identity: of the last finished one
 * @profile: told to the application, NULL: nothing is
 * @keylog: told each secret, may be NULL
 * @keylog_arg: its argument
 * @error: why it failed
 * @events: not yet taken
 * @events_count: how many
 */
struct kssl_engine {
	SSL *ssl;
	BIO *rbio;
	BIO *wbio;
	bool server;
	enum kssl_phase phase;
	bool kernel_updates;
	bool require_answer;
	uint16_t record_limit;
	uint8_t limit_octets[2];
	bool handshaking;
	bool switched;
	bool asked;
	bool awaited;
	bool local;
	bool held;
	bool stuck;
	uint8_t zeros;
	bool left;
	bool mute;
	bool broken;
	uint32_t seen[2];
	uint32_t fresh[2];
	int alert;
	unsigned int updates_asked;
	bool answer_due;
	uint32_t live[2];
	uint32_t epoch[2];
	struct kssl_request request;
	struct kssl_exporter exporter;
	uint32_t rekey;
	int verify_before;
	SSL_SESSION *session;
	struct kssl_shim read;
	struct kssl_shim write;
	struct kssl_secret handshake_secret[2];
	struct kssl_secret secret[2];
	struct kssl_kept kept[2];
	struct kssl_hello hello;
	struct kssl_identity identity;
	char *profile;
	void (*keylog)(const char *line, void *arg);
	void *keylog_arg;
	struct kssl_error error;
	struct kssl_engine_event events[KSSL_ENGINE_EVENTS_MAX];
	unsigned int events_count;
};

static inline bool kssl_engine_is_tls13(const struct kssl_engine *e)
{
	return SSL_version(e->ssl) >= KSSL_TLS13;
}

static inline bool kssl_engine_is_ssl3(const struct kssl_engine *e)
{
	return SSL_version(e->ssl) == KSSL_SSL30;
}

/* engine.c */
void kssl_engine_fail(struct kssl_engine *e, struct kssl_batch *batch, int err, int alert,
		      const char *text);
void kssl_engine_fail_openssl(struct kssl_engine *e, struct kssl_batch *batch, int alert);
void kssl_engine_blame(struct kssl_engine *e, int err, int alert, const char *text);
void kssl_engine_event(struct kssl_engine *e, enum kssl_event event, bool by_peer);
void kssl_engine_key_event(struct kssl_engine *e, bool by_peer, bool sending, uint32_t from);
void kssl_engine_keep_session(struct kssl_engine *e);
int kssl_engine_renew_bios(struct kssl_engine *e);
size_t kssl_record_len(const uint8_t *data, size_t len);

/* bounce.c */
void kssl_bounce_add(struct kssl_batch *batch, enum kssl_op_code op);
void kssl_bounce_begin(struct kssl_engine *e);
int kssl_bounce_feed(struct kssl_engine *e, uint8_t type, const uint8_t *payload, size_t len);
int kssl_bounce_drain(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_bounce_hold_if_hello(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_bounce_release(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_bounce_die(struct kssl_engine *e, struct kssl_batch *batch, size_t mark);
void kssl_bounce_die_inside(struct kssl_engine *e, struct kssl_batch *batch, size_t mark);

/* update.c */
void kssl_update_first(struct kssl_engine *e);
void kssl_update_note(struct kssl_engine *e, uint32_t receiving, uint32_t sending,
		      struct kssl_batch *batch);
int kssl_update_catch_up(struct kssl_engine *e);
int kssl_update_key(struct kssl_engine *e, bool sending, struct kssl_batch *batch);
int kssl_update_take(struct kssl_engine *e, struct kssl_batch *batch);

/* start.c */
void kssl_start_finished(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_start_refused(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_start_updated(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_start_result(struct kssl_engine *e, int err, struct kssl_batch *batch);
void kssl_start_next(struct kssl_engine *e, struct kssl_batch *batch);

/* handover.c */
int kssl_keep(struct kssl_kept *kept, const uint8_t *record, size_t len);
void kssl_kept_clear(struct kssl_kept *kept);
const char *kssl_handover(struct kssl_engine *e, struct kssl_batch *batch);
int kssl_keys_pending(struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx);
const EVP_MD *kssl_keys_digest(const struct kssl_engine *e);

/* limit.c */
void kssl_limit_keys(const struct kssl_engine *e, struct kssl_key *rx, struct kssl_key *tx);

/* keylog.c */
struct kssl_engine *kssl_engine_of(const SSL *ssl);
int kssl_engine_attach(struct kssl_engine *e, SSL *ssl);

/* session.c */
void kssl_session_tell(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_session_export(struct kssl_engine *e, struct kssl_batch *batch);

/* policy.c */
void kssl_policy_hello(struct kssl_engine *e, const uint8_t *message, size_t len);
bool kssl_policy_remember(struct kssl_engine *e);
const char *kssl_policy_check_cert(const struct kssl_engine *e);
const char *kssl_policy_check(const struct kssl_engine *e, bool finished);

#endif
