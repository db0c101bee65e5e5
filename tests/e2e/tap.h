/* SPDX-License-Identifier: MIT */
/*
 * A small harness: each test runs in a process of its own, over the variants it
 * asks for, and reports in TAP.  The first check that does not hold ends a test.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdint.h>

enum stack {
	OPENSSL,
	GNUTLS,
	NSS,
	JSSE,
	OPENSSL35,
};

/**
 * struct variant - what one run of a test runs with
 * @stack: whose programs are the peer
 * @server: we are the server and the peer is the client
 * @version: protocol version as on the wire
 * @bits: length of the AES key
 */
struct variant {
	enum stack stack;
	int server;
	uint16_t version;
	int bits;
};

/* Which variants a test runs over; ends without a word are both. */
enum {
	OVER_OPENSSL = 0x01,
	OVER_GNUTLS = 0x02,
	OVER_CLIENT = 0x04,
	OVER_SERVER = 0x08,
	OVER_TLS12 = 0x10,
	OVER_TLS13 = 0x20,
	OVER_KEYS = 0x40,	/* both key lengths, else 128 bits as client and 256 as server */
	OVER_SUITES = 0x80,	/* the test sees to the suites itself */
	OVER_NSS = 0x100,
	OVER_JSSE = 0x200,
	OVER_TLS11 = 0x400,
	OVER_TLS10 = 0x800,
	OVER_SSL30 = 0x1000,
	OVER_OPENSSL35 = 0x4000,
};

#define OVER_STACKS	(OVER_OPENSSL | OVER_GNUTLS)
#define OVER_ROLES	(OVER_CLIENT | OVER_SERVER)
#define OVER_VERSIONS	(OVER_TLS12 | OVER_TLS13)
#define OVER_OLD	(OVER_TLS11 | OVER_TLS10)
#define OVER_LEGACY	(OVER_TLS12 | OVER_OLD | OVER_SSL30)	/* those that had 3DES and RC4 */

struct test {
	const char *name;
	unsigned int over;
	void (*run)(void);
};

/* Its name for people. */
const char *stack_name(enum stack stack);

/* The variant of this run. */
extern const struct variant *v;

#define is_13()	(v->version == 0x0304)
#define is_old()	(v->version < 0x0303)	/* TLS 1.1, 1.0 and SSL 3.0 */

/**
 * tap_main() - run tests
 * @argc: of main()
 * @argv: of main(): -l lists the tests, anything else is part of the names to run
 * @tests: ended by one without a name
 *
 * Return: exit status of the program.
 */
int tap_main(int argc, char **argv, const struct test *tests);

/* A line of diagnosis. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Called by a check that fails, before the test ends: says what may help. */
extern void (*explain)(void);

/* Called at the end of a test that has not failed: the last checks. */
extern void (*conclude)(void);

void check_failed(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define CHECK(cond)							\
	do {								\
		if (!(cond))						\
			check_failed(__FILE__, __LINE__, "%s", #cond);	\
	} while (0)

/* @got and @want are equal numbers. */
#define EQ(got, want)							\
	do {								\
		long long got_ = (got), want_ = (want);			\
									\
		if (got_ != want_)					\
			check_failed(__FILE__, __LINE__,		\
				     "%s is %lld (%#llx), not %lld (%s)", #got, \
				     got_, got_, want_, #want);		\
	} while (0)

/* A system call that must not fail; its result. */
#define SYS(call)							\
	({								\
		long ret_ = (call);					\
									\
		if (ret_ < 0)						\
			check_failed(__FILE__, __LINE__, "%s: %s", #call, \
				     error_name(errno));		\
		ret_;							\
	})

/* A system call that must fail with @error. */
#define FAILS(call, error)						\
	do {								\
		long ret_ = (call);					\
									\
		if (ret_ >= 0)						\
			check_failed(__FILE__, __LINE__,		\
				     "%s gives %ld, not %s", #call, ret_, #error); \
		if (errno != (error))					\
			check_failed(__FILE__, __LINE__, "%s: %s, not %s", #call, \
				     error_name(errno), #error);	\
	} while (0)

/* A call of libkssl that must give @want, zero or -errno. */
#define GIVES(call, want)						\
	do {								\
		int ret_ = (call);					\
									\
		if (ret_ != (want))					\
			check_failed(__FILE__, __LINE__, "%s gives %d (%s), not %s", #call, \
				     ret_, error_name(ret_ < 0 ? -ret_ : 0), #want); \
	} while (0)

const char *error_name(int error);

#endif
