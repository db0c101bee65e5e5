/* SPDX-License-Identifier: MIT */
/* A helper of the generic netlink family "kssl", for as long as a test runs. */
#ifndef HELPER_H
#define HELPER_H

#include <stdint.h>
#include <sys/socket.h>
#include <linux/kssl.h>
#include "conn.h"

/**
 * struct told - what a message of the family says
 * @cmd: KSSL_CMD_*
 * @has: bit per attribute that was there
 * @number: of those that are numbers, and the one that is a file
 * @text: of those that are strings or octets, zero terminated
 * @len: of these
 */
struct told {
	int cmd;
	uint64_t has;
	uint64_t number[KSSL_A_MAX + 1];
	char text[KSSL_A_MAX + 1][300];
	unsigned int len[KSSL_A_MAX + 1];
};

#define HAS(t, attr)	((t)->has >> (attr) & 1)

/* A socket of the family; with @group a member of that group. */
int helper_open(const char *group);
/* Send @cmd with up to two u32 attributes (0: none); errno, and the kernel's sentence. */
int helper_ask(int nl, int cmd, int attr1, uint32_t value1, int attr2, uint32_t value2,
	       struct told *answer);
extern char helper_sentence[200];
/* The two halves of it; @flags: NLM_F_*.  The first is like send(), the second an errno also if recv() fails. */
long helper_send(int nl, int flags, int cmd, int attr1, uint32_t value1, int attr2, uint32_t value2);
int helper_answer(int nl, struct told *answer);
/* Next message of a group, waited for. */
void helper_next(int nl, struct told *t);
/* Dump: how many messages; the last one for which number[@attr] is @value in @t. */
unsigned int helper_dump(int nl, int cmd, int attr, uint64_t value, struct told *t);
/* One of KSSL_CMD_STATS, as it is now. */
uint64_t helper_counter(int nl, int counter);
/* Take a socket that waits; the control file. */
int helper_accept(int nl, struct told *t);

/* ---- sockets that a helper is for ---- */

/* KSSL_HANDSHAKE as it must be at least; a client's names www.example.org. */
struct kssl_handshake wants(int role);
int shake(int fd, const struct kssl_handshake *h);
/* getsockopt(KSSL_HANDSHAKE) */
int how_it_stands(int fd);
/* A network namespace of its own: nobody else's helper. */
void alone(void);
/* Loopback of the variant's family; length of the address. */
socklen_t loopback(struct sockaddr_storage *a, int port);
/* A plain listener there; its address. */
int listen_plain(struct sockaddr_storage *a, socklen_t *len);
/* One whose children find a helper, of profile "web". */
int listen_armed(struct sockaddr_storage *a, socklen_t *len);
int connect_plain(const struct sockaddr_storage *a, socklen_t len);
/* Keys of the peer, where there was no conn_attend() to make them. */
void new_keys(struct conn *c);
/* conn_hand_over() of a socket that blocks from now on. */
void hand_over(struct conn *c);

#endif
