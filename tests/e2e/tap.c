// SPDX-License-Identifier: MIT
/* The harness: variants, processes, TAP. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../share.h"
#include "tap.h"

/*
 * Only a backstop, for the slowest machine: no test waits for time to pass.  Seconds; TAP_BACKSTOP changes it for who
 * asks a test to do more than usual.
 */
#define BACKSTOP	240

const struct variant *v;
void (*explain)(void);
void (*conclude)(void);

const char *error_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "no error";

	return name ? name : "no such error";
}

static void print_note(const char *format, va_list args)
{
	char line[1024];

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

void check_failed(const char *file, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note("%s:%d: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, text);
	if (explain)
		explain();
	_exit(1);
}

/* ---- variants ---- */

static const struct {
	const char *name;
	unsigned int over;
} stacks[] = {
	[OPENSSL] = { "OpenSSL", OVER_OPENSSL },
	[GNUTLS] = { "GnuTLS", OVER_GNUTLS },
	[NSS] = { "NSS", OVER_NSS },
	[JSSE] = { "JSSE", OVER_JSSE },
	[OPENSSL35] = { "OpenSSL 3.5", OVER_OPENSSL35 },
};

const char *stack_name(enum stack stack)
{
	return stacks[stack].name;
}

/* The @i-th of all variants; 0 if there are no more. */
static int make_variant(unsigned int i, struct variant *to)
{
	static const uint16_t versions[] = { 0x0303, 0x0304, 0x0302, 0x0301, 0x0300 };
	const unsigned int count = sizeof(versions) / sizeof(versions[0]);

	if (i >= sizeof(stacks) / sizeof(stacks[0]) * 2 * count * 2)
		return 0;
	to->stack = i / (2 * count * 2);
	to->server = i / (count * 2) % 2;
	to->version = versions[i / 2 % count];
	to->bits = i & 1 ? 256 : 128;
	return 1;
}

static int has(unsigned int over, const struct variant *with)
{
	unsigned int need = stacks[with->stack].over;

	need |= with->server ? OVER_SERVER : OVER_CLIENT;
	need |= with->version == 0x0304 ? OVER_TLS13 : with->version == 0x0303 ? OVER_TLS12 :
		with->version == 0x0302 ? OVER_TLS11 : with->version == 0x0301 ? OVER_TLS10 : OVER_SSL30;
	if (with->bits != (with->server ? 256 : 128))
		need |= OVER_KEYS;
	return (over & need) == need;
}

static void set_name(char *to, size_t len, const struct test *t, const struct variant *with)
{
	char key[16] = "", version[16] = "SSL 3.0";

	if (with->version > 0x0300)
		snprintf(version, sizeof(version), "TLS 1.%d", with->version - 0x0301);
	if (!(t->over & OVER_SUITES))
		snprintf(key, sizeof(key), ", AES-%d", with->bits);
	snprintf(to, len, "%s [%s of %s, %s%s]", t->name,
		 with->server ? "server" : "client", stacks[with->stack].name, version, key);
}

/* ---- running ---- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Wait for @pid; a wait status, or -1 if it had to be killed. */
static int wait_child(pid_t pid)
{
	const char *asked = getenv("TAP_BACKSTOP");
	const double backstop = asked ? atof(asked) : BACKSTOP;
	double start = now();
	int status, killed = 0;

	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return killed ? -1 : status;
		if (now() - start > backstop + 20)
			return -1; /* not even SIGKILL helps */
		if (now() - start > backstop && !killed) {
			kill(-pid, SIGKILL);
			killed = 1;
		}
		usleep(2000);
	}
}

/* Run @t in a child, which leads a group with the peers it starts; 0 ok, else not. */
static int run_one(const struct test *t, const struct variant *with)
{
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
		if (conclude)
			conclude();
		fflush(stdout);
		_exit(0);
	}
	setpgid(pid, pid);
	status = wait_child(pid);
	kill(-pid, SIGKILL);
	if (status == -1)
		note("hangs");
	else if (WIFSIGNALED(status))
		note("killed by %s", strsignal(WTERMSIG(status)));
	return status != 0;
}

static int wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return 1;
	return argc < 2;
}

static unsigned int number, failed;

static void run(const struct test *t, const struct variant *with, const char *name)
{
	double begin = now();
	int result = run_one(t, with);

	failed += !!result;
	note("%.1f s", now() - begin);
	printf("%sok %u - %s\n", result ? "not " : "", ++number, name);
}

/* Count every test with its variants, as far as this kernel is to run and somebody asked for them, and @call each. */
static unsigned int for_all(int argc, char **argv, const struct test *tests,
			    void (*call)(const struct test *t, const struct variant *with, const char *name))
{
	unsigned int calls = 0;
	const struct test *t;
	struct variant with;
	char name[160];

	for (t = tests; t->name; t++) {
		unsigned int i, at = 0, count = 0;

		for (i = 0; make_variant(i, &with); i++)
			count += has(t->over, &with);
		for (i = 0; make_variant(i, &with); i++) {
			if (!has(t->over, &with) || !share_has(t - tests, at++, count))
				continue;
			set_name(name, sizeof(name), t, &with);
			if (!wanted(name, argc, argv))
				continue;
			calls++;
			if (call)
				call(t, &with, name);
		}
	}
	return calls;
}

int tap_main(int argc, char **argv, const struct test *tests)
{
	double start = now();
	const struct test *t;

	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (t = tests; t->name; t++)
			printf("%s\n", t->name);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", for_all(argc, argv, tests, NULL));
	for_all(argc, argv, tests, run);
	note("%u of %u failed, %.0f s in all", failed, number, now() - start);
	return failed ? 1 : 0;
}
