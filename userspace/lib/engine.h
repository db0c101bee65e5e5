/* SPDX-License-Identifier: MIT */
/*
 * The engine: one SSL object on memory BIOs.  Takes what the control file says,
 * gives the batch that answers it, and knows no file descriptor.
 *
 * Until the hand-over OpenSSL protects records itself (plain phase).  From then
 * on its record protection stays frozen: the shim stands between it and the
 * kernel, which numbers and protects the real records.
 */
#ifndef KSSL_ENGINE_H
#define KSSL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <openssl/ssl.h>
#include <linux/kssl.h>
#include "batch.h"

struct kssl_engine;

/**
 * struct kssl_engine_setup - what a connection should be
 * @ctx: certificates, trust, versions, suites; a reference is taken
 * @server: 1 to accept, 0 to connect
 * @name: host name or IP literal of the server, NULL for none
 * @verify: client: check the peer; server: 0 no client certificate, 1 ask,
 *	2 demand, -1 what @ctx says
 * @client_renegotiation: server: 1 allow, 0 refuse, -1 what @ctx says
 * @kernel_updates: the kernel does KeyUpdates (KSSL_POLICY_KEY_UPDATE)
 * @require_answer: server: who ignores a HelloRequest or a certificate request is late
 * @record_limit: record_size_limit (RFC 8449) that a client offers, and a server answers
 *	with; 0: a client offers none, a server has none
 * @session: client: to be resumed, may be NULL; a reference is taken
 * @keylog: told each secret, may be NULL
 * @keylog_arg: its argument
 * @profile: not NULL: the application is told of the session by way of the kernel, with
 *	this for struct kssl_session.profile; must outlive the engine's making only
 * @suites: what the kernel can carry
 * @suites_count: rows of @suites
 */
struct kssl_engine_setup {
	SSL_CTX *ctx;
	int server;
	const char *name;
	int verify;
	int client_renegotiation;
	int kernel_updates;
	int require_answer;
	unsigned int record_limit;
	SSL_SESSION *session;
	void (*keylog)(const char *line, void *arg);
	void *keylog_arg;
	const char *profile;
	const struct kssl_suite_info *suites;
	unsigned int suites_count;
};

#define KSSL_ENGINE_EVENTS_MAX	8

/**
 * struct kssl_engine_event - what one step led to
 * @event: enum kssl_event of libkssl.h
 * @by_peer: the peer started it
 * @sending: KSSL_EVENT_KEY_UPDATE: our sending key, else the receiving one
 * @from: likewise: epoch before
 * @to: likewise: epoch after, 0 for other events
 */
struct kssl_engine_event {
	uint8_t event;
	uint8_t by_peer;
	uint8_t sending;
	uint32_t from;
	uint32_t to;
};

/* engine.c */
struct kssl_engine *kssl_engine_new(const struct kssl_engine_setup *setup, struct kssl_error *error);
void kssl_engine_free(struct kssl_engine *e);
void kssl_engine_start(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_engine_take_raw(struct kssl_engine *e, const uint8_t *record, size_t len,
			  struct kssl_batch *batch);
void kssl_engine_give_up(struct kssl_engine *e, struct kssl_batch *batch, int err, const char *text);
void kssl_engine_peer_closed(struct kssl_engine *e, bool in_order, struct kssl_batch *batch);
void kssl_engine_sending_closed(struct kssl_engine *e, struct kssl_batch *batch);
void kssl_engine_gone(struct kssl_engine *e, bool failed);
unsigned int kssl_engine_take_events(struct kssl_engine *e, struct kssl_engine_event *events);
SSL *kssl_engine_ssl(const struct kssl_engine *e);
SSL_SESSION *kssl_engine_get1_session(const struct kssl_engine *e);
const struct kssl_error *kssl_engine_error(const struct kssl_engine *e);
int kssl_engine_is_open(const struct kssl_engine *e);
int kssl_engine_is_busy(const struct kssl_engine *e);

/* bounce.c */
void kssl_engine_take_record(struct kssl_engine *e, const struct kssl_msg *head,
			     const uint8_t *payload, size_t len, struct kssl_batch *batch);

/* update.c */
int kssl_engine_key_update(struct kssl_engine *e, bool request, struct kssl_batch *batch,
			   const char **why);
void kssl_engine_take_epochs(struct kssl_engine *e, uint32_t receiving, uint32_t sending,
			     struct kssl_batch *batch);

/* start.c */
int kssl_engine_renegotiate(struct kssl_engine *e, int how, struct kssl_batch *batch, const char **why);
void kssl_engine_rekey(struct kssl_engine *e, uint32_t reasons, struct kssl_batch *batch);
void kssl_engine_request(struct kssl_engine *e, uint32_t how, uint32_t id, struct kssl_batch *batch);
void kssl_engine_export(struct kssl_engine *e, const struct kssl_exporter *wanted, uint32_t id,
			struct kssl_batch *batch);

/* keylog.c */
int kssl_keylog_arm(SSL_CTX *ctx);

/* limit.c */
#define KSSL_RECORD_LIMIT_MIN	64	/* RFC 8449 4 */
#define KSSL_RECORD_LIMIT_MAX	(KSSL_MAX_PAYLOAD + 1)
int kssl_limit_arm(SSL_CTX *ctx);

/*
 * handover.c, for tests of the library only and not part of its interface: the
 * next hand-over of this process derives a wrong key for sending (1) or
 * receiving (2), which must be refused before any key reaches the kernel.
 */
void kssl_engine_test_corrupt_key(int direction);

#endif
