// SPDX-License-Identifier: MIT
/*
 * kssl-ctl: the tables of commands and options, and the help made from them.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static const struct command commands[] = {
	{ "list", "", "connections with kssl", 0, 0, run_list },
	{ "show", "ID", "one of them in full", 1, 1, run_show },
	{ "stats", "", "counters of this network namespace", 0, 0, run_stats },
	{ "monitor", "", "events as they happen, one line each", 0, 0, run_monitor },
	{ "renegotiate", "ID [HOW]", "full, resume, request-cert or require-cert (full)", 1, 2, run_renegotiate },
	{ "rekey", "ID", "new keys: a KeyUpdate both ways, in TLS 1.2 a renegotiation", 1, 1, run_rekey },
	{ "close", "ID", "end a connection (ECANCELED)", 1, 1, run_close },
	{ "probe", "", "does kssl work here? names what is wrong and what to do", 0, 0, run_probe },
	{ "version", "", "of this program's interface and of the module", 0, 0, run_version },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum kind { FLAG, TEXT, NUMBER, SECONDS };

struct option_row {
	char letter;		/* 0: long form only */
	const char *name;
	const char *arg;	/* NULL: takes none */
	enum kind kind;
	size_t offset;		/* into struct options */
	const char *help;
};

#define FIELD(name) offsetof(struct options, name)

static const struct option_row table[] = {
	{ 'J', "json", NULL, FLAG, FIELD(json), "print JSON instead of text" },
	{ 0, "failed", NULL, FLAG, FIELD(failed), "list: those that failed, with the cause" },
	{ 0, "profile", "NAME", TEXT, FIELD(profile),
	  "list, monitor: of this profile only; probe: shake hands with this profile" },
	{ 0, "pid", "PID", NUMBER, FIELD(pid), "list, monitor: of this process only" },
	{ 0, "uid", "UID", NUMBER, FIELD(uid), "list, monitor: of this user only" },
	{ 0, "prometheus", NULL, FLAG, FIELD(prometheus), "stats: print Prometheus' text format" },
	{ 't', "timeout", "SECONDS", SECONDS, FIELD(timeout), "renegotiate, rekey, probe: how long to wait (10)" },
	{ 0, "connect", "HOST:PORT", TEXT, FIELD(connect), "probe: the server that a client profile connects to" },
	{ 0, "name", "NAME", TEXT, FIELD(name), "probe: server name to send and verify (HOST)" },
	{ 'h', "help", NULL, FLAG, FIELD(help), "print this" },
	{ 'v', "version", NULL, FLAG, FIELD(version), "print the version" },
};

#define ROWS (sizeof(table) / sizeof(table[0]))

static void print_help(void)
{
	char form[48];
	size_t i;

	printf("Usage: kssl-ctl [options] COMMAND [ID]\n\nCommands:\n");
	for (i = 0; i < COMMANDS; i++) {
		snprintf(form, sizeof(form), "%s %s", commands[i].name, commands[i].args);
		printf("  %-26s %s\n", form, commands[i].help);
	}
	printf("\nOptions:\n");
	for (i = 0; i < ROWS; i++) {
		const struct option_row *row = &table[i];

		snprintf(form, sizeof(form), "%c%c%c --%s %s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
			 row->letter ? ',' : ' ', row->name, row->arg ? row->arg : "");
		printf("  %-26s %s\n", form, row->help);
	}
	printf("\nExit status: 0 done, 1 failed, 2 usage, 3 no such connection, 4 not permitted, 5 not in time.\n");
}

static int usage(const char *format, const char *what)
{
	fputs("kssl-ctl: ", stderr);
	fprintf(stderr, format, what);
	fputs("; kssl-ctl --help lists commands and options\n", stderr);
	return EXIT_USAGE;
}

static int set_number(const char *text, uint32_t *value)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || number > UINT32_MAX)
		return -1;
	*value = (uint32_t)number;
	return 0;
}

static int set_option(struct options *options, const struct option_row *row, const char *text)
{
	void *field = (char *)options + row->offset;
	double *seconds = field;
	char *end;

	switch (row->kind) {
	case FLAG:
		*(bool *)field = true;
		break;
	case TEXT:
		*(const char **)field = text;
		break;
	case NUMBER:
		if (set_number(text, field))
			return -1;
		options->has_pid |= row->offset == FIELD(pid);
		options->has_uid |= row->offset == FIELD(uid);
		break;
	case SECONDS:
		*seconds = strtod(text, &end);
		if (end == text || *end || !isfinite(*seconds) || *seconds <= 0 || *seconds > 86400)
			return -1;
		break;
	}
	return 0;
}

static int parse_options(struct options *options, int argc, char **argv)
{
	struct option longs[ROWS + 1] = { 0 };
	char letters[2 * ROWS + 1] = "", *l = letters;
	int option;
	size_t i;

	for (i = 0; i < ROWS; i++) {
		longs[i] = (struct option){ table[i].name, table[i].arg ? required_argument : no_argument, NULL,
					    table[i].letter ? table[i].letter : 256 + (int)i };
		if (table[i].letter)
			*l++ = table[i].letter;
		if (table[i].letter && table[i].arg)
			*l++ = ':';
	}
	*l = 0;
	while ((option = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		for (i = 0; i < ROWS && longs[i].val != option; i++)
			;
		if (i == ROWS)
			return EXIT_USAGE;	/* getopt has said why */
		if (set_option(options, &table[i], optarg))
			return usage("--%s: not such a number", table[i].name);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .timeout = 10 };
	int ret = parse_options(&options, argc, argv), left;
	const char *name;
	size_t i;

	if (ret)
		return ret;
	if (options.help) {
		print_help();
		return 0;
	}
	if (options.version)
		return run_version(&options, NULL);
	if (optind == argc)
		return usage("%s", "which command?");
	name = argv[optind++];
	for (i = 0; i < COMMANDS && strcmp(commands[i].name, name); i++)
		;
	if (i == COMMANDS)
		return usage("no command '%s'", name);
	left = argc - optind;
	if (left < commands[i].args_min || left > commands[i].args_max)
		return usage(left > commands[i].args_max ? "%s: too many arguments" : "%s: the ID is missing", name);
	ret = commands[i].run(&options, argv + optind);
	if (fflush(stdout) || ferror(stdout))
		return EXIT_FAILED;
	return ret;
}
