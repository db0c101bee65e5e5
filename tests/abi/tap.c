// SPDX-License-Identifier: MIT
/* The harness: variants, processes, TAP. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../share.h"
#include "cipher.h"
#include "conn.h"
#include "schedule.h"
#include "tap.h"

unsigned int tap_backstop = 120;

/* Worth a note. */
#define SLOW		10

#define EXIT_SKIP	77

const struct variant *v;

const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "no such error";
}

static void print_note(const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	printf("# %s\n", line);
	fflush(stdout);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_note(format, args);
	va_end(args);
}

static const char *row = "";

void at_row(const char *what)
{
	row = what;
}

void check_failed(const char *file, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note("%s:%d: %s%s%s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, row,
	     *row ? ": " : "", text);
	_exit(1);
}

void skip(const char *why)
{
	note("%s", why);
	_exit(EXIT_SKIP);
}

/* ---- variants ---- */

#define SUITES_MAX	256

struct kssl_suite_info suites[SUITES_MAX];
unsigned int suites_count;

/* Each record protection once, CBC as MAC-then-encrypt and encrypt-then-MAC. */
static struct {
	struct kssl_suite_info suite;
	uint32_t flags;
} protections[64];
static unsigned int protections_count;

/* A row as the kernel has to know it. */
struct kssl_suite_info suite_info(uint16_t id, uint16_t version)
{
	const struct protection *p = protection_of(id, version);
	struct kssl_suite_info s = {
		.suite = id, .version = version, .key_len = p->key_len, .tag_len = p->tag_len,
		.iv_len = iv_len_of(p, version),
	};

	if (p->hash)
		s.mac_key_len = p->tag_len;
	return s;
}

static int is_listed(const struct kssl_suite_info *list, unsigned int count,
		     const struct kssl_suite_info *s)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (list[i].suite == s->suite && list[i].version == s->version)
			return 1;
	return 0;
}

/* Has one of the protections so far the same format, tag, version and hash of TLS 1.3? */
static int is_like_another(const struct protection *p, uint16_t id, uint16_t version)
{
	unsigned int i;

	for (i = 0; i < protections_count; i++) {
		const struct kssl_suite_info *s = &protections[i].suite;
		const struct protection *other = protection_of(s->suite, s->version);

		if (s->version == version && other->mode == p->mode && other->tag_len == p->tag_len &&
		    (version != 0x0304 || !strcmp(schedule_hash(s->suite), schedule_hash(id))))
			return 1;
	}
	return 0;
}

/*
 * The reference's suites, of which this kernel can do without some (see suites.c).
 * With ABI_FEW, for a kernel that is slow, each protection stands for its suites, and
 * one protection for those that differ in the cipher or the length of its key.
 */
static void read_suites(void)
{
	const struct protection *p, *before = NULL;
	int few = !!getenv("ABI_FEW");
	struct kssl_suite_info listed[SUITES_MAX];
	socklen_t len = sizeof(listed);
	uint16_t id, version;
	unsigned int i;
	struct conn c;

	v = &(struct variant){ .family = AF_INET };
	conn_connect(&c);
	conn_attach(&c);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, listed, &len));
	close(c.fd);
	close(c.peer.fd);
	for (i = 0; (p = suite_at(i, &id, &version)); i++) {
		struct kssl_suite_info s = suite_info(id, version);

		if (!is_listed(listed, len / sizeof(s), &s) || (few && p == before) || is_old(p, version))
			continue;
		suites[suites_count++] = s;
		if (p == before)
			continue;
		before = p;
		if (few && is_like_another(p, id, version))
			continue;
		protections[protections_count++].suite = s;
		if (p->mode != CBC)
			continue;
		protections[protections_count].suite = s;
		protections[protections_count++].flags = KSSL_KEY_ETM;
	}
	CHECK(suites_count > 0);
}

static int is_of(enum over over, unsigned int i)
{
	const struct kssl_suite_info *s = &protections[i].suite;
	enum mode mode;

	switch (over) {
	case BLOCK_CIPHERS:
		return s->mac_key_len > 0;
	case EXPLICIT_NONCES:
		return s->version == 0x0303 && s->iv_len == 4;
	case UNLIMITED:
		mode = protection_of(s->suite, s->version)->mode;
		return mode == CHACHA || mode == CBC;
	case ONLY_12:
		return s->version == 0x0303;
	case ONLY_13:
		return s->version == 0x0304;
	case WITH_SECRETS:
		return s->version == 0x0304 && strcmp(schedule_hash(s->suite), "SM3");
	default:
		return 1;
	}
}

/* The @i-th protection of @over, modulo how many there are if @wrap says so. */
static int set_protection(enum over over, unsigned int i, int wrap, struct variant *to)
{
	unsigned int j, count = 0;

	for (j = 0; j < protections_count; j++)
		count += is_of(over, j);
	if (!count || (i >= count && !wrap))
		return 0;
	i %= count;
	for (j = 0; !is_of(over, j) || i--; j++)
		;
	to->suite = protections[j].suite;
	to->flags = protections[j].flags;
	return 1;
}

/* Every suite, the block ciphers twice. */
static int set_suite(unsigned int i, struct variant *to)
{
	unsigned int j;

	for (j = 0; j < suites_count; j++) {
		unsigned int times = suites[j].mac_key_len ? 2 : 1;

		if (i < times) {
			to->suite = suites[j];
			to->flags = i ? KSSL_KEY_ETM : 0;
			return 1;
		}
		i -= times;
	}
	return 0;
}

/*
 * The @i-th variant of @over for the @t-th test of a program; 0 if there are no more.
 * Tests that need one variant as server all take another one, and always the same.
 */
static int make_variant(enum over over, unsigned int t, unsigned int i, struct variant *to)
{
	memset(to, 0, sizeof(*to));
	to->server = i & 1;
	to->family = i & 1 ? AF_INET6 : AF_INET;
	switch (over) {
	case ONCE:
		return !i && set_protection(ONLY_12, 0, 0, to);
	case VERSIONS:
		return i < 4 && set_protection(i < 2 ? ONLY_12 : ONLY_13, i & 1 ? t + 1 : 0, 1, to);
	case ONLY_12:
	case ONLY_13:
		return i < 2 && set_protection(over, i & 1 ? t + 1 : 0, 1, to);
	case WITH_SECRETS:
		/* AES_128_GCM has SHA-256, AES_256_GCM, which is the next, SHA-384 */
		return i < 3 && set_protection(over, i < 2 ? i : t + 2, 1, to);
	case WITH_TCP:
		if (i < 4)
			return make_variant(VERSIONS, t, i, to);
		to->plain = 1;
		return i < 6 && set_protection(ONLY_12, 0, 0, to);
	case FORMATS:
		if (i < 2)
			return set_protection(i ? ONLY_13 : ONLY_12, 0, 0, to);
		return i < 4 && set_protection(BLOCK_CIPHERS, i - 2, 0, to);
	case BLOCK_CIPHERS:
	case EXPLICIT_NONCES:
	case UNLIMITED:
	case PROTECTIONS:
		to->server = (i ^ t) & 1;
		to->family = (i >> 1 ^ t) & 1 ? AF_INET6 : AF_INET;
		return set_protection(over, i, 0, to);
	case SUITES:
		to->family = (i ^ t) & 2 ? AF_INET6 : AF_INET;
		return set_suite(i, to);
	}
	return 0;
}

/* ---- running ---- */

static void set_name(char *to, size_t len, const struct test *t, const struct variant *with)
{
	if (t->over == ONCE)
		snprintf(to, len, "%s", t->name);
	else if (with->plain)
		snprintf(to, len, "%s [TCP %s %s]", t->name, with->server ? "server" : "client",
			 with->family == AF_INET6 ? "IPv6" : "IPv4");
	else
		snprintf(to, len, "%s [%04x/%04x%s %s %s]", t->name, with->suite.suite,
			 with->suite.version, !with->suite.mac_key_len ? "" :
			 with->flags ? " EtM" : " MtE", with->server ? "server" : "client",
			 with->family == AF_INET6 ? "IPv6" : "IPv4");
}

/* Wait for @pid; a wait status, or -1 if it had to be killed. */
static int wait_child(pid_t pid)
{
	struct timespec start, now;
	int status, killed = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return killed ? -1 : status;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > tap_backstop + 20)
			return -1; /* not even SIGKILL helps */
		if (now.tv_sec - start.tv_sec > tap_backstop && !killed) {
			kill(-pid, SIGKILL);
			killed = 1;
		}
		usleep(1000);
	}
}

/* Run @t in a child; 0 ok, 1 not ok, EXIT_SKIP. */
static int run_one(const struct test *t, const struct variant *with)
{
	time_t begin = time(NULL);
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		note("fork: %s", error_name(errno));
		return 1;
	}
	if (!pid) {
		setpgid(0, 0);
		signal(SIGPIPE, SIG_IGN);
		v = with;
		t->run();
		fflush(stdout);
		_exit(0);
	}
	setpgid(pid, pid);
	status = wait_child(pid);
	kill(-pid, SIGKILL);
	if (time(NULL) - begin >= SLOW)
		note("took %lld s", (long long)(time(NULL) - begin));
	if (status == -1) {
		note("hangs");
		return 1;
	}
	if (WIFSIGNALED(status)) {
		note("killed by %s", strsignal(WTERMSIG(status)));
		return 1;
	}
	return WEXITSTATUS(status);
}

static int wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return 1;
	return argc < 2;
}

/* The next variant of @t from the @*i-th on that this kernel is to run and somebody asked for, with its @name. */
static int next_variant(const struct test *tests, const struct test *t, unsigned int *i, struct variant *with,
			char *name, size_t len, int argc, char **argv)
{
	unsigned int count = 0;

	while (make_variant(t->over, t - tests, count, with))
		count++;
	for (; make_variant(t->over, t - tests, *i, with); ++*i) {
		set_name(name, len, t, with);
		if (share_has(t - tests, *i, count) && wanted(name, argc, argv)) {
			++*i;
			return 1;
		}
	}
	return 0;
}

int tap_main(int argc, char **argv, const struct test *tests)
{
	unsigned int number = 0, failed = 0, count = 0, i;
	const struct test *t;
	struct variant with;
	char name[160];

	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (t = tests; t->name; t++)
			printf("%s\n", t->name);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_suites();

	for (t = tests; t->name; t++)
		for (i = 0; next_variant(tests, t, &i, &with, name, sizeof(name), argc, argv);)
			count++;
	printf("TAP version 13\n1..%u\n", count);

	for (t = tests; t->name; t++)
		for (i = 0; next_variant(tests, t, &i, &with, name, sizeof(name), argc, argv);) {
			int result = run_one(t, &with);

			number++;
			failed += result && result != EXIT_SKIP;
			printf("%sok %u - %s%s\n", result && result != EXIT_SKIP ? "not " : "",
			       number, name, result == EXIT_SKIP ? " # SKIP" : "");
		}
	note("%u of %u failed", failed, number);
	return failed ? 1 : 0;
}
