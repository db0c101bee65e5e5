/* SPDX-License-Identifier: MIT */
/*
 * A small harness: each test runs in a process of its own, over the variants it
 * asks for, and reports in TAP.  The first check that does not hold ends a test.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>

/**
 * struct variant - what one run of a test runs with
 * @suite: suite and its lengths, from the reference's table
 * @flags: KSSL_KEY_ETM or 0
 * @family: AF_INET or AF_INET6
 * @server: kssl is on the accepted socket, else on the connecting one
 * @plain: no kssl at all; what holds for TCP proves the test
 */
struct variant {
	struct kssl_suite_info suite;
	unsigned int flags;
	int family;
	int server;
	int plain;
};

/* Which variants a test runs over. */
enum over {
	ONCE,		/* one */
	/*
	 * As client over IPv4 with AES_128_GCM, and as server over IPv6 with another
	 * protection for each test; of each version, or of one only.
	 */
	VERSIONS,
	ONLY_12,
	ONLY_13,
	WITH_SECRETS,	/* likewise, TLS 1.3 where the kernel can do KeyUpdates; of both hashes */
	PROTECTIONS,	/* each record protection once, CBC as MAC-then-encrypt and encrypt-then-MAC */
	BLOCK_CIPHERS,	/* likewise, CBC only */
	EXPLICIT_NONCES,	/* likewise, GCM and CCM of TLS 1.2 only */
	UNLIMITED,	/* likewise, those whose keys may protect any number of records */
	FORMATS,	/* AES_128_GCM of each version; CBC as MAC-then-encrypt and encrypt-then-MAC */
	WITH_TCP,	/* VERSIONS, and plain TCP likewise */
	SUITES,		/* every suite, those with CBC twice */
};

struct test {
	const char *name;
	enum over over;
	void (*run)(void);
};

/* The variant of this run. */
extern const struct variant *v;

/* Every suite that this kernel has; with ABI_FEW some of them. */
extern struct kssl_suite_info suites[];
extern unsigned int suites_count;
/* Any suite of the reference's table. */
struct kssl_suite_info suite_info(uint16_t id, uint16_t version);

#define is_13()		(v->suite.version == 0x0304)
#define is_cbc()	(v->suite.mac_key_len > 0)
#define is_etm()	(v->flags & KSSL_KEY_ETM)

/* Seconds a test may take.  Only a backstop: no test waits for time to pass. */
extern unsigned int tap_backstop;

/**
 * tap_main() - run tests
 * @argc: of main()
 * @argv: of main(): -l lists the tests, anything else is part of the names to run
 * @tests: ended by one without a name
 *
 * Return: exit status of the program.
 */
int tap_main(int argc, char **argv, const struct test *tests);

/* What a failing check shall name, for tests that walk a table. */
void at_row(const char *what);

/* A line of diagnosis. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void check_failed(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* End the test as skipped. */
void skip(const char *why) __attribute__((noreturn));

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

const char *error_name(int error);

#endif
