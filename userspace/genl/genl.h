/* SPDX-License-Identifier: MIT */
/*
 * A client of the generic netlink family "kssl" (linux/kssl.h).  No globals: any number
 * of them in a process, each used by one thread at a time.
 *
 * Requests and multicast messages have a netlink socket each, so that a flood of the
 * latter costs no answer.
 */
#ifndef KSSL_GENL_H
#define KSSL_GENL_H

#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <linux/kssl.h>

#define KSSL_GENL_TEXT_LEN	256

struct kssl_genl;

/* What READY, ACCEPT, SESSION, FAILURE and EVENT tell; see enum kssl_attr for each. */
struct kssl_genl_dir {
	uint16_t version;
	uint16_t suite;
	uint8_t state;
	uint8_t flags;
	uint16_t max_payload;
	uint32_t epoch;
	uint64_t seq;
	uint64_t records;
	uint64_t bytes;
};

union kssl_genl_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct kssl_genl_socket {
	uint64_t has;		/* KSSL_GENL_HAS() of the attributes that came */
	uint32_t id;
	int control;		/* -1: none */
	uint8_t role;
	uint8_t client_cert;
	uint8_t state;
	uint8_t waits;
	uint8_t who;
	uint8_t alert;
	uint8_t event;
	uint8_t alpn_len;
	uint8_t pins_count;
	uint32_t flags;
	uint32_t timeout_ms;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint32_t listener;
	uint32_t handshakes;
	uint32_t key_updates;
	uint32_t holds;
	uint32_t session_flags;
	uint32_t error;
	uint32_t request;
	uint32_t pad_to;
	uint32_t x509;
	uint64_t hold_max_ns;
	uint64_t cgroup;
	uint64_t netns;
	uint64_t age_ms;
	struct kssl_genl_dir tx;
	struct kssl_genl_dir rx;
	union kssl_genl_address local;
	union kssl_genl_address peer;
	char comm[32];
	char profile[KSSL_PROFILE_MAX];
	char name[KSSL_NAME_MAX];
	char text[KSSL_GENL_TEXT_LEN];
	uint8_t alpn[KSSL_ALPN_MAX + 1];	/* zero terminated where it is text */
	uint8_t pins[KSSL_PINS_MAX][KSSL_PIN_LEN];
};

#define KSSL_GENL_HAS(attr)	(UINT64_C(1) << (attr))

/**
 * typedef kssl_genl_put_fn - put attributes into a request
 * @request: its message
 * @arg: of kssl_genl_request()
 */
typedef void kssl_genl_put_fn(struct nlmsghdr *request, void *arg);

/**
 * typedef kssl_genl_reply_fn - take one message
 * @cmd: KSSL_CMD_*
 * @attrs: KSSL_A_MAX + 1 attributes, NULL for those that did not come; NULL altogether: the
 *	dump begins anew, what came of it is to be forgotten
 * @arg: of kssl_genl_request() or kssl_genl_receive()
 *
 * Return: 0, or -errno, which ends the request.
 */
typedef int kssl_genl_reply_fn(uint8_t cmd, const struct nlattr *const *attrs, void *arg);

struct kssl_genl *kssl_genl_open(char *text, size_t size);
void kssl_genl_close(struct kssl_genl *g);
int kssl_genl_fd(const struct kssl_genl *g);
const char *kssl_genl_error(const struct kssl_genl *g);
int kssl_genl_join(struct kssl_genl *g, const char *group);
int kssl_genl_request(struct kssl_genl *g, uint8_t cmd, int dump, kssl_genl_put_fn *put,
		      kssl_genl_reply_fn *reply, void *arg);
int kssl_genl_receive(struct kssl_genl *g, kssl_genl_reply_fn *cb, void *arg);
int kssl_genl_version_check(struct kssl_genl *g);
int kssl_genl_accept(struct kssl_genl *g, uint32_t id, struct kssl_genl_socket *out);
int kssl_genl_table(const struct nlmsghdr *message, const struct nlattr **attrs);
int kssl_genl_parse(const struct nlattr *const *attrs, struct kssl_genl_socket *out);
int kssl_genl_parse_stats(const struct nlattr *const *attrs, uint64_t *stats);

#endif
