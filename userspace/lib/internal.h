/* SPDX-License-Identifier: MIT */
/*
 * What the files of the library outside the engine share.
 *
 * Locks, in the order they are taken:
 *   kssl.lock       everything of a struct kssl but what the registry has
 *   registry lock   (attendant.c) who exists, who is attended, kssl.busy
 * The callback runs without either.
 */
#ifndef KSSL_INTERNAL_H
#define KSSL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "batch.h"
#include "control.h"
#include "engine.h"
#include "libkssl.h"

#define KSSL_TEXT_LEN	192

typedef void (*kssl_event_cb)(struct kssl *k, const struct kssl_event_info *info, void *arg);

/**
 * struct kssl_config - see libkssl.h
 * @ctx: the SSL_CTX of its connections
 * @own: @ctx is ours, so our defaults hold; else -1 below means what @ctx says
 * @client_cert: 0, 1, 2 or -1
 * @client_renegotiation: 0, 1 or -1
 * @noverify: client: no check of the peer
 * @event_loop: no attendant
 * @require_answer: server: a HelloRequest must be answered
 * @record_limit: record_size_limit, 0: see libkssl.h
 * @kernel_updates: the kernel does KeyUpdates
 * @orphan: its connections live on without a helper
 * @policy: for the kernel; the flags for the two above come to it
 * @session: client: to be resumed, may be NULL
 * @timeout_ms: for the first handshake
 * @cb: called with events, may be NULL
 * @cb_arg: its argument
 * @keylog: called with secrets, may be NULL
 * @keylog_arg: its argument
 * @prepare: called with a new SSL object, may be NULL
 * @prepare_arg: its argument
 * @profile: kssl_adopt(): what the application is told
 * @suites: likewise: what the kernel can carry, NULL: it is asked
 * @suites_count: rows of @suites
 */
struct kssl_config {
	SSL_CTX *ctx;
	bool own;
	int client_cert;
	int client_renegotiation;
	bool noverify;
	bool event_loop;
	bool require_answer;
	unsigned int record_limit;
	bool kernel_updates;
	bool orphan;
	struct kssl_policy policy;
	SSL_SESSION *session;
	int timeout_ms;
	kssl_event_cb cb;
	void *cb_arg;
	kssl_keylog_fn *keylog;
	void *keylog_arg;
	kssl_prepare_fn *prepare;
	void *prepare_arg;
	char profile[KSSL_PROFILE_MAX];
	struct kssl_suite_info *suites;
	unsigned int suites_count;
};

enum kssl_conn_state {
	KSSL_CONN_HANDSHAKE,
	KSSL_CONN_OPEN,
	KSSL_CONN_FAILED,
	KSSL_CONN_CLOSED,
};

/**
 * struct kssl_queued - an event that waits for its callback
 * @next: the next one
 * @info: as the callback sees it
 * @text: its text
 */
struct kssl_queued {
	struct kssl_queued *next;
	struct kssl_event_info info;
	char text[KSSL_TEXT_LEN];
};

/**
 * struct kssl - a connection
 * @lock: protects what follows
 * @changed: state, or whether a handshake runs, has changed
 * @fd: the application's socket; its number may mean another socket by now; -1: adopted
 * @cookie: tells whether it does
 * @control: control file, -1 in a forked child
 * @epoll: where @control is watched, -1 if nowhere
 * @timer: event-loop mode: limit of the first handshake, -1 if none
 * @armed: what it is watched for
 * @state: enum kssl_conn_state; read without the lock too
 * @forked: this is a child's copy, of no use
 * @event_loop: no attendant
 * @want_write: @batch waits for room in the kernel
 * @tx_closed: the kernel takes no more records of ours
 * @detached: the kernel goes on without us
 * @policy: as the kernel has it
 * @engine: OpenSSL's side
 * @batch: not yet written
 * @before: status when the step under way began
 * @last: status as last seen
 * @error: why it failed
 * @text: sentence of the last failure, of the connection or of a call
 * @deadline_ms: event-loop mode: limit of the first handshake, monotonic clock
 * @cb: from the configuration
 * @cb_arg: likewise
 * @queue: events for the callback, oldest first
 * @queue_tail: where the next one goes
 * @busy: (registry lock) the attendant works on it
 * @next: (registry lock) list of all
 * @prev: (registry lock) likewise
 */
struct kssl {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fd;
	uint64_t cookie;
	int control;
	int epoll;
	int timer;
	uint32_t armed;
	atomic_int state;
	bool forked;
	bool event_loop;
	bool want_write;
	bool tx_closed;
	bool detached;
	struct kssl_policy policy;
	struct kssl_engine *engine;
	struct kssl_batch batch;
	struct kssl_status before;
	struct kssl_status last;
	struct kssl_error error;
	char text[KSSL_TEXT_LEN];
	int timeout_ms;
	int64_t deadline_ms;
	kssl_event_cb cb;
	void *cb_arg;
	struct kssl_queued *queue;
	struct kssl_queued **queue_tail;
	bool busy;
	struct kssl *next;
	struct kssl *prev;
};

/* config.c */
int kssl_policy_merge(const struct kssl_policy *from, uint32_t kept_flags, struct kssl_policy *policy);

/* conn.c: one connection, all with k->lock held */
int64_t kssl_now_ms(void);
void kssl_conn_service(struct kssl *k);
void kssl_conn_flush(struct kssl *k);
void kssl_conn_fail(struct kssl *k, int err, const char *text);
void kssl_conn_look(struct kssl *k);
int kssl_conn_policy(struct kssl *k, const struct kssl_policy *policy);
bool kssl_conn_is_busy(const struct kssl *k);

/* event.c: with k->lock held, but for kssl_event_deliver() */
void kssl_event_queue(struct kssl *k, const struct kssl_engine_event *event);
void kssl_event_deliver(struct kssl *k);
void kssl_event_drop(struct kssl *k);

/* attendant.c */
int kssl_registry_add(struct kssl *k);
void kssl_registry_remove(struct kssl *k);
int kssl_attendant_add(struct kssl *k);
void kssl_attendant_remove(struct kssl *k);
int kssl_watch(struct kssl *k, int epoll);
void kssl_watch_update(struct kssl *k);

#endif
