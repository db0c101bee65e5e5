/* SPDX-License-Identifier: MIT */
/*
 * A TCP connection over loopback with kssl at one end and the reference at the
 * other, and short forms of what tests do with the kssl end.
 */
#ifndef CONN_H
#define CONN_H

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>
#include "peer.h"

/**
 * struct conn - a connection
 * @fd: socket with kssl
 * @control: control file, -1 if there is none
 * @peer: the other end
 */
struct conn {
	int fd;
	int control;
	struct peer peer;
};

/* TCP only, of the variant's family, @fd connected or accepted as it says. */
void conn_connect(struct conn *c);
/* The same with SO_RCVBUF and SO_SNDBUF of the kssl end set beforehand, 0: as is. */
void conn_connect_bufs(struct conn *c, int rcvbuf, int sndbuf);
/* TCP_ULP "kssl". */
void conn_attach(struct conn *c);
/* Keys for both directions at both ends. */
void conn_keys(struct conn *c);
/* All three: an unattended connection, ready.  Plain TCP if the variant is. */
void conn_open(struct conn *c);
void conn_open_bufs(struct conn *c, int rcvbuf, int sndbuf);
/* Attach and take the control file: an attended connection in the plain phase. */
void conn_attend(struct conn *c);
/* What follows a handshake: keys both ways, established, released. */
void conn_hand_over(struct conn *c);
/* The same with these keys: what the kssl end sends with, and receives with. */
void conn_hand_over_keys(struct conn *c, const struct keys *tx, const struct keys *rx);
/* Both: an attended connection, ready. */
void conn_open_attended(struct conn *c);
/* Likewise, under a policy; in TLS 1.3 the keys come with their secrets, where that may be. */
void conn_open_policy(struct conn *c, const struct kssl_policy *policy);

/* Close whatever of it is open. */
void conn_end(struct conn *c);

/* Where no memory is, which the compiler of a test cannot tell. */
extern void *nowhere;

int attach(int fd);
struct kssl_key key_of(const struct keys *k);
int set_key(int fd, int option, const struct keys *k);
/* @policy->size need not be set. */
int set_policy(int fd, const struct kssl_policy *policy);
int take_control(int fd);
struct kssl_status status_of(int fd);
struct kssl_error error_of(int fd);
/* SO_ERROR, which forgets it. */
int so_error(int fd);
int queued_bytes(int fd);

/* What poll() says now, of @events and errors. */
int ready(int fd, int events);
void wait_ready(int fd, int events);

/* Type 0: no control message at all. */
long send_typed(int fd, uint8_t type, const void *data, size_t len, int flags);
long recv_typed(int fd, uint8_t *type, void *data, size_t len, int flags);
void expect_typed(int fd, uint8_t type, const void *data, size_t len);

/* Application data: @len bytes of pattern() from @at on. */
void send_pattern(int fd, size_t at, size_t len);
void recv_pattern(int fd, size_t at, size_t len);
/* @len bytes each way arrive, the peer's in records of @step: so far all was done, and in order. */
void conn_both_ways(struct conn *c, size_t len, size_t step);
/* Write without waiting until nothing goes any more; bytes of pattern() sent. */
size_t send_until_full(int fd, size_t at);
/* The same until the peer's window is full too, so that it stays so. */
size_t send_until_stuck(int fd);

/* A thread that ends with the test. */
pthread_t start(void *(*run)(void *), void *arg);
/* Likewise, and it sleeps already in the system call that it makes. */
pthread_t start_asleep(void *(*run)(void *), void *arg);
void *finish(pthread_t thread);
/* Until a task of ours is asleep in a system call. */
void wait_asleep(pid_t tid);

/* ---- the control file ---- */

struct message {
	struct kssl_msg head;
	uint8_t data[KSSL_MSG_MAX];
};

/* Like read(): one message, or -1. */
long read_message(int control, struct message *m);
/* Waits for it. */
void expect_message(int control, int kind, int type, const void *data, size_t len);
void expect_event(int control, int event);
/* Likewise; what it says. */
struct kssl_msg get_event(int control, int event);
/* Likewise, whatever comes before it. */
struct kssl_msg find_event(int control, int event);
/* A handshake message with a body of @len octets of pattern(), alone in its record. */
void expect_handshake(int control, uint8_t type, size_t len);

struct batch {
	size_t len;
	uint8_t data[KSSL_BATCH_MAX + 4096];
};

struct batch *batch_new(void);
void batch_add(struct batch *b, int op, int type, const void *payload, size_t len);
void batch_op(struct batch *b, int op);
void batch_record(struct batch *b, int type, const void *content, size_t len);
void batch_message(struct batch *b, uint8_t type, size_t len);
void batch_key(struct batch *b, int op, const struct keys *k);
/* Like write(); empties the batch. */
long batch_write(struct batch *b, int control);
void batch_end_handshake(struct batch *b, int control);
/* One op, which must not fail. */
void control_op(int control, int op);

#endif
