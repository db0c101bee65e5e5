// SPDX-License-Identifier: MIT
/* Starts a program so that its connections are TLS: with options in the environment, and our library preloaded. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "run.h"

#ifndef RUN_LIBDIR
#define RUN_LIBDIR "/usr/local/lib/kssl"
#endif

/* As env(1) and its like: what could not be started, and what we would not start. */
#define EXIT_NOT_FOUND	127
#define EXIT_REFUSED	126
#define EXIT_USAGE	125

static void usage(FILE *to)
{
	const struct run_option *o;
	char left[48];

	fputs("usage: kssl-run OPTION.. -- PROGRAM [ARGUMENT..]\n", to);
	for (o = run_options; o < run_options + OPTIONS_COUNT; o++) {
		snprintf(left, sizeof(left), "--%s %s", o->name, o->value ? o->value : "");
		fprintf(to, "  %-26s %s\n", left, o->help);
	}
	fputs("  --help                     this\n", to);
}

__attribute__((noreturn))
static void wrong_usage(const char *format, const char *a, const char *b)
{
	fputs("kssl-run: ", stderr);
	fprintf(stderr, format, a, b);
	fputs("\n", stderr);
	usage(stderr);
	exit(EXIT_USAGE);
}

static enum option_id find_option(const char *word, size_t len)
{
	unsigned int id;

	for (id = 0; id < OPTIONS_COUNT; id++)
		if (strlen(run_options[id].name) == len && !memcmp(run_options[id].name, word, len))
			break;
	return id;
}

static void take(struct settings *s, enum option_id id, const char *value)
{
	const struct run_option *o = &run_options[id];
	const char *old = getenv(o->variable), *wrong;
	char *all;

	wrong = settings_take(s, id, value);
	if (wrong) {
		fprintf(stderr, "kssl-run: --%s %s: %s\n", o->name, value, wrong);
		exit(EXIT_USAGE);
	}
	if (asprintf(&all, "%s%s%s", o->list && old ? old : "", o->list && old ? " " : "", value) < 0 ||
	    setenv(o->variable, all, 1))
		exit(EXIT_REFUSED);
	free(all);
}

/* Returns the program and its arguments. */
static char **parse(struct settings *s, char **argv)
{
	const char *equals, *word;
	enum option_id id;

	while (*argv && strcmp(*argv, "--")) {
		word = *argv++;
		if (!strcmp(word, "--help")) {
			usage(stdout);
			exit(0);
		}
		if (strncmp(word, "--", 2))
			wrong_usage("%s: options begin with two dashes, and the program comes after --%s", word, "");
		word += 2;
		equals = strchrnul(word, '=');
		id = find_option(word, equals - word);
		if (id == OPTIONS_COUNT)
			wrong_usage("there is no option --%s%s", word, "");
		if (!run_options[id].value && *equals)
			wrong_usage("--%s has no value%s", run_options[id].name, "");
		if (!run_options[id].value)
			take(s, id, "1");
		else if (*equals)
			take(s, id, equals + 1);
		else if (*argv && strncmp(*argv, "--", 2))
			take(s, id, *argv++);
		else
			wrong_usage("--%s wants %s", run_options[id].name, run_options[id].value);
		while (run_options[id].list && *argv && strncmp(*argv, "--", 2))
			take(s, id, *argv++);
	}
	if (!*argv || !argv[1])
		wrong_usage("there is no program: -- PROGRAM%s%s", "", "");
	return argv + 1;
}

/* Beside us, as in the build directory, else where it is installed. */
static void find_library(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof(RUN_LIBRARY) - 1);

	if (len > 0) {
		path[len] = 0;
		strcpy(strrchr(path, '/') + 1, RUN_LIBRARY);
		if (!access(path, R_OK))
			return;
	}
	strcpy(path, RUN_LIBDIR "/" RUN_LIBRARY);
}

static void preload(void)
{
	const char *others = getenv("LD_PRELOAD");
	char path[PATH_MAX], *all;

	find_library(path);
	/* The dynamic linker would start the program without it. */
	if (access(path, R_OK) || strpbrk(path, ": ")) {
		fprintf(stderr, "kssl-run: %s: cannot be preloaded: %s\n", path,
			strpbrk(path, ": ") ? "there is a space or a colon in the name" : strerror(errno));
		exit(EXIT_REFUSED);
	}
	if (asprintf(&all, "%s%s%s", path, others ? " " : "", others ? others : "") < 0 ||
	    setenv("LD_PRELOAD", all, 1))
		exit(EXIT_REFUSED);
	free(all);
}

int main(int argc, char **argv)
{
	static struct settings settings;
	const struct run_option *o;
	const char *why;
	char **program;

	(void)argc;
	for (o = run_options; o < run_options + OPTIONS_COUNT; o++)
		unsetenv(o->variable);
	program = parse(&settings, argv + 1);
	if (!settings.connects_count && !settings.listens_count)
		wrong_usage("without --connect and --listen nothing would be protected%s%s", "", "");
	why = why_not_preloaded(*program);
	if (why) {
		fprintf(stderr, "kssl-run: %s would not be protected, so it is not started: %s\n", *program, why);
		return EXIT_REFUSED;
	}
	preload();
	execvp(*program, program);
	fprintf(stderr, "kssl-run: %s: %s\n", *program, strerror(errno));
	return EXIT_NOT_FOUND;
}
