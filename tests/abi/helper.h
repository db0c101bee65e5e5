/* SPDX-License-Identifier: MIT */
/* A helper of the generic netlink family "kssl", for as long as a test runs. */
#ifndef HELPER_H
#define HELPER_H

#include <stdint.h>
#include <linux/kssl.h>

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
/* Next message of a group, waited for. */
void helper_next(int nl, struct told *t);
/* Dump: how many messages; the last one for which number[@attr] is @value in @t. */
unsigned int helper_dump(int nl, int cmd, int attr, uint64_t value, struct told *t);
/* Take a socket that waits; the control file. */
int helper_accept(int nl, struct told *t);

#endif
