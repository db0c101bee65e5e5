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
#include "conn.h"
#include "tap.h"

/* Only a backstop: no test waits for time to pass. */
#define BACKSTOP	120

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

void check_failed(const char *file, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note("%s:%d: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, text);
	_exit(1);
}

void skip(const char *why)
{
	note("%s", why);
	_exit(EXIT_SKIP);
}

/* ---- variants ---- */

static struct kssl_suite_info suites[64];
static unsigned int suites_count;

static void read_suites(void)
{
	socklen_t len = sizeof(suites);
	struct conn c;

	v = &(struct variant){ .family = AF_INET };
	conn_connect(&c);
	conn_attach(&c);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, suites, &len));
	suites_count = len / sizeof(suites[0]);
	CHECK(suites_count > 0);
	close(c.fd);
	close(c.peer.fd);
}

static const struct kssl_suite_info *first_suite(unsigned short version)
{
	unsigned int i;

	for (i = 0; i < suites_count; i++)
		if (suites[i].version == version)
			return &suites[i];
	return NULL;
}

/* The @i-th variant of @over; 0 if there are no more. */
static int make_variant(enum over over, unsigned int i, struct variant *to)
{
	const struct kssl_suite_info *s = NULL;

	memset(to, 0, sizeof(*to));
	switch (over) {
	case ONCE:
		s = i ? NULL : first_suite(0x0303);
		to->family = AF_INET;
		break;
	case VERSIONS:
		s = i < 4 ? first_suite(i < 2 ? 0x0303 : 0x0304) : NULL;
		to->server = i & 1;
		to->family = i & 1 ? AF_INET6 : AF_INET;
		break;
	case ONLY_12:
	case ONLY_13:
		s = i < 2 ? first_suite(over == ONLY_12 ? 0x0303 : 0x0304) : NULL;
		to->server = i & 1;
		to->family = i & 1 ? AF_INET6 : AF_INET;
		break;
	case WITH_TCP:
		s = i < 6 ? first_suite(i < 2 ? 0x0303 : 0x0304) : NULL;
		to->server = i & 1;
		to->family = i & 1 ? AF_INET6 : AF_INET;
		to->plain = i >= 4;
		break;
	case SUITES:
		s = i / 2 < suites_count ? &suites[i / 2] : NULL;
		to->server = i & 1;
		to->family = (i + i / 2) & 1 ? AF_INET6 : AF_INET;
		break;
	}
	if (!s)
		return 0;
	to->suite = *s;
	return 1;
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
		snprintf(to, len, "%s [%04x/%04x %s %s]", t->name, with->suite.suite,
			 with->suite.version, with->server ? "server" : "client",
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
		if (now.tv_sec - start.tv_sec > BACKSTOP + 20)
			return -1; /* not even SIGKILL helps */
		if (now.tv_sec - start.tv_sec > BACKSTOP && !killed) {
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
		for (i = 0; make_variant(t->over, i, &with); i++) {
			set_name(name, sizeof(name), t, &with);
			count += wanted(name, argc, argv);
		}
	printf("TAP version 13\n1..%u\n", count);

	for (t = tests; t->name; t++)
		for (i = 0; make_variant(t->over, i, &with); i++) {
			int result;

			set_name(name, sizeof(name), t, &with);
			if (!wanted(name, argc, argv))
				continue;
			result = run_one(t, &with);
			number++;
			failed += result && result != EXIT_SKIP;
			printf("%sok %u - %s%s\n", result && result != EXIT_SKIP ? "not " : "",
			       number, name, result == EXIT_SKIP ? " # SKIP" : "");
		}
	note("%u of %u failed", failed, number);
	return failed ? 1 : 0;
}
