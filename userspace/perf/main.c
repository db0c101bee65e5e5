// SPDX-License-Identifier: MIT
/*
 * kssl-perf: the option table, and the help made from it.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perf.h"

enum group { COMMON, CLIENT, SERVER, GROUPS };
enum kind { FLAG, TEXT, SIZE, SECONDS };

struct option_row {
	char letter;		/* 0: long form only */
	const char *name;
	const char *arg;	/* NULL: takes none */
	enum group group;
	enum kind kind;
	size_t offset;		/* into struct options */
	const char *help;
};

#define FIELD(name) offsetof(struct options, name)

static const struct option_row table[] = {
	{ 'p', "port", "PORT", COMMON, TEXT, FIELD(port),
	  "port to listen on or connect to (5211)" },
	{ 'i', "interval", "SECONDS", COMMON, SECONDS, FIELD(interval),
	  "time between interval lines, 0 for none (1)" },
	{ 'J', "json", NULL, COMMON, FLAG, FIELD(json), "print JSON instead of text" },
	{ 0, "mode", "MODE", COMMON, TEXT, FIELD(mode),
	  "tcp, openssl, ktls or kssl (client: tcp, server: what clients ask for)" },
	{ 0, "cert", "FILE", COMMON, TEXT, FIELD(cert),
	  "own certificate chain, PEM (server: self-signed, made on the spot)" },
	{ 0, "key", "FILE", COMMON, TEXT, FIELD(key), "its private key, PEM" },
	{ 0, "renegotiate", "BYTES", COMMON, SIZE, FIELD(renegotiate),
	  "kssl: this end renegotiates (TLS 1.3: updates keys) every BYTES of a stream" },
	{ 0, "rekey-bytes", "BYTES", COMMON, SIZE, FIELD(rekey_bytes),
	  "kssl: likewise, but the kernel sees to it (struct kssl_policy)" },
	{ 0, "bounce", NULL, COMMON, FLAG, FIELD(bounce),
	  "kssl: KeyUpdates bounce to libkssl instead of being the kernel's" },
	{ 0, "record-limit", "N[KMG]", COMMON, SIZE, FIELD(record_limit),
	  "kssl: longest record this end takes, 64 to 16385 (record_size_limit)" },
	{ 0, "pad-to", "N[KMG]", COMMON, SIZE, FIELD(pad_to),
	  "kssl: TLS 1.3: pad records that this end sends to a multiple of N, at most 16K" },
	{ 'h', "help", NULL, COMMON, FLAG, FIELD(help), "print this" },
	{ 'v', "version", NULL, COMMON, FLAG, FIELD(version), "print the versions used" },

	{ 's', "server", NULL, SERVER, FLAG, FIELD(server), "run as server" },
	{ '1', "one-off", NULL, SERVER, FLAG, FIELD(one_off), "serve one test, then exit" },

	{ 'c', "client", "HOST", CLIENT, TEXT, FIELD(host), "run as client of HOST" },
	{ 't', "time", "SECONDS", CLIENT, SECONDS, FIELD(seconds), "how long to send (10)" },
	{ 'n', "bytes", "N[KMG]", CLIENT, SIZE, FIELD(bytes), "how much to send, instead of -t" },
	{ 'l', "length", "N[KMG]", CLIENT, SIZE, FIELD(length), "bytes per read or write (16K)" },
	{ 'P', "parallel", "N", CLIENT, SIZE, FIELD(parallel), "number of streams (1)" },
	{ 'R', "reverse", NULL, CLIENT, FLAG, FIELD(reverse), "the server sends" },
	{ 0, "tls", "VERSION", CLIENT, TEXT, FIELD(tls), "1.2 or 1.3 (1.3)" },
	{ 0, "suite", "NAME", CLIENT, TEXT, FIELD(suite), "cipher suite, OpenSSL's name of it" },
	{ 0, "mte", NULL, CLIENT, FLAG, FIELD(mte), "do not offer encrypt-then-MAC for CBC suites" },
	{ 0, "ca", "FILE", CLIENT, TEXT, FIELD(ca), "trusted certificates, PEM (the system's)" },
	{ 0, "name", "NAME", CLIENT, TEXT, FIELD(name), "name in the server's certificate (HOST)" },
	{ 0, "insecure", NULL, CLIENT, FLAG, FIELD(insecure), "do not verify the server" },
	{ 0, "digest", "NAME", CLIENT, TEXT, FIELD(digest),
	  "both ends digest the payload and compare: blake2b512 or sha256" },
};

#define ROWS (sizeof(table) / sizeof(table[0]))

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void set_text(char text[static PERF_TEXT_LEN], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, PERF_TEXT_LEN, format, args);
	va_end(args);
}

static void print_help(void)
{
	static const char *const titles[GROUPS] = { "Client or server", "Client", "Server" };
	enum group group;
	size_t i;

	printf("Usage: kssl-perf -s [options]\n"
	       "       kssl-perf -c HOST [options]\n");
	for (group = 0; group < GROUPS; group++) {
		printf("\n%s:\n", titles[group]);
		for (i = 0; i < ROWS; i++) {
			const struct option_row *row = &table[i];
			char form[48];

			if (row->group != group)
				continue;
			snprintf(form, sizeof(form), "%c%c%c --%s %s", row->letter ? '-' : ' ',
				 row->letter ? row->letter : ' ', row->letter ? ',' : ' ',
				 row->name, row->arg ? row->arg : "");
			printf("  %-26s %s\n", form, row->help);
		}
	}
	printf("\nSIGUSR1 renegotiates or updates keys now, with --mode kssl.\n");
	printf("BYTES and N take the suffixes K, M and G (powers of 1024).\n");
}

static int parse_size(const char *text, uint64_t *value)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno || end == text || text[0] == '-')
		return -1;
	if (!*end)
		return 0;
	suffix = strchr(suffixes, *end & ~0x20);
	if (!suffix || !*suffix || end[1])
		return -1;
	return __builtin_mul_overflow(*value, 1ull << 10 * (suffix - suffixes + 1), value) ? -1 : 0;
}

static int parse_seconds(const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end == text || *end || !isfinite(*value) || *value < 0 || *value > 86400 ? -1 : 0;
}

static int set_option(struct options *options, const struct option_row *row, const char *text)
{
	void *field = (char *)options + row->offset;

	switch (row->kind) {
	case FLAG:
		*(bool *)field = true;
		return 0;
	case TEXT:
		*(const char **)field = text;
		return 0;
	case SIZE:
		return parse_size(text, field);
	case SECONDS:
		return parse_seconds(text, field);
	}
	return -1;
}

static void make_getopt(struct option long_options[static ROWS + 1],
			char letters[static 2 * ROWS + 1])
{
	size_t i;

	for (i = 0; i < ROWS; i++) {
		const struct option_row *row = &table[i];

		long_options[i].name = row->name;
		long_options[i].has_arg = row->arg ? required_argument : no_argument;
		long_options[i].val = 256 + (int)i;
		if (row->letter)
			snprintf(letters + strlen(letters), 3, "%c%s", row->letter,
				 row->arg ? ":" : "");
	}
}

static int parse_options(struct options *options, int argc, char **argv)
{
	struct option long_options[ROWS + 1] = {};
	const char *last[GROUPS] = {};
	char letters[2 * ROWS + 1] = "";
	enum group wrong;
	size_t i;
	int c;

	make_getopt(long_options, letters);
	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		for (i = 0; i < ROWS; i++)
			if (c == 256 + (int)i || (table[i].letter && c == table[i].letter))
				break;
		if (i == ROWS)
			return -1;
		if (set_option(options, &table[i], optarg)) {
			fprintf(stderr, "kssl-perf: --%s: \"%s\" is not a %s\n", table[i].name,
				optarg, table[i].kind == SIZE ? "size" : "number of seconds");
			return -1;
		}
		last[table[i].group] = table[i].name;
	}
	wrong = options->server ? CLIENT : SERVER;
	if (optind < argc)
		fprintf(stderr, "kssl-perf: unexpected argument \"%s\"\n", argv[optind]);
	else if (options->server != !!options->host && last[wrong])
		fprintf(stderr, "kssl-perf: --%s is for a %s\n", last[wrong],
			options->server ? "client" : "server");
	else
		return 0;
	return -1;
}

bool known_digest(const char *name)
{
	return !*name || !strcmp(name, "blake2b512") || !strcmp(name, "sha256");
}

int params_from_options(struct params *params, const struct options *options,
			char error[static PERF_TEXT_LEN])
{
	memset(params, 0, sizeof(*params));
	params->transport = transport_find(options->mode ?: "tcp");
	if (!strcmp(options->tls, "1.2")) {
		params->tls_version = TLS1_2_VERSION;
	} else if (!strcmp(options->tls, "1.3")) {
		params->tls_version = TLS1_3_VERSION;
	} else {
		set_text(error, "--tls: \"%s\" is neither 1.2 nor 1.3", options->tls);
		return -1;
	}
	if (!params->transport->rekey &&
	    (options->renegotiate || options->rekey_bytes || options->bounce ||
	     options->record_limit || options->pad_to)) {
		set_text(error, "--renegotiate, --rekey-bytes, --bounce, --record-limit and --pad-to need --mode kssl");
		return -1;
	}
	if (options->parallel < 1 || options->parallel > PERF_PARALLEL_MAX) {
		set_text(error, "--parallel: 1 to %d streams", PERF_PARALLEL_MAX);
		return -1;
	}
	if (options->length < 1 || options->length > PERF_LENGTH_MAX) {
		set_text(error, "--length: 1 to %u bytes", PERF_LENGTH_MAX);
		return -1;
	}
	if (options->digest)
		snprintf(params->digest, sizeof(params->digest), "%s", options->digest);
	if (!known_digest(params->digest)) {
		set_text(error, "--digest: \"%s\" is neither blake2b512 nor sha256",
			 options->digest);
		return -1;
	}
	if (options->suite)
		snprintf(params->suite, sizeof(params->suite), "%s", options->suite);
	params->seconds = options->bytes ? 0 : options->seconds;
	params->bytes = options->bytes;
	params->length = options->length;
	params->parallel = (int)options->parallel;
	params->reverse = options->reverse;
	return 0;
}

static atomic_int signals;

static void count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

int signals_seen(void)
{
	return atomic_load(&signals);
}

int main(int argc, char **argv)
{
	struct sigaction on_signal = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	struct options options = {
		.port = "5211",
		.interval = 1,
		.seconds = 10,
		.length = 16384,
		.parallel = 1,
		.tls = "1.3",
	};

	if (parse_options(&options, argc, argv))
		return 2;
	if (options.help) {
		print_help();
		return 0;
	}
	if (options.version) {
		printf("kssl-perf (control protocol %d), %s, Jansson %s\n", PERF_PROTOCOL,
		       OpenSSL_version(OPENSSL_VERSION), jansson_version_str());
		return 0;
	}
	if (options.mode && !transport_find(options.mode)) {
		fprintf(stderr, "kssl-perf: --mode: there is no mode \"%s\"\n", options.mode);
		return 2;
	}
	if (options.record_limit && (options.record_limit < 64 || options.record_limit > 16385)) {
		fprintf(stderr, "kssl-perf: --record-limit: 64 to 16385 bytes\n");
		return 2;
	}
	if (options.pad_to > KSSL_MAX_PAYLOAD) {
		fprintf(stderr, "kssl-perf: --pad-to: at most %d bytes\n", KSSL_MAX_PAYLOAD);
		return 2;
	}
	if (options.server == !!options.host) {
		fprintf(stderr, "kssl-perf: give either -s or -c HOST (--help tells more)\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGUSR1, &on_signal, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return options.server ? run_server(&options) : run_client(&options);
}
