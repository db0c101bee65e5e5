// SPDX-License-Identifier: MIT
/*
 * onesided: measures what sending and what receiving costs, each alone, in
 * several record layers in turn.  Writes samples as JSON; report makes sense of
 * them.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#include "onesided.h"

#define CHECK_BYTES	(256u << 10)
#define READ_LEN	16384

/* Small writes are many records, and those are what costs. */
#define RECORDS_MAX	2048

static const char *const directions[DIRECTIONS] = {
	[SEND] = "send", [RECV] = "recv", [SENDFILE] = "sendfile",
	[SPLICE_OUT] = "splice-out", [SPLICE_IN] = "splice-in",
};

struct plan {
	const char *modes;	/* lists, comma separated; NULL: all */
	const char *directions;
	const char *suites;
	const char *write_lens;
	const char *label;
	const char *output;
	uint64_t bytes;
	size_t read_len;
	int repeats;
};

int fail(char error[static 200], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, 200, format, args);
	va_end(args);
	return -1;
}

static bool listed(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *at;

	if (!list)
		return true;
	for (at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

/* The driver that a request for gcm(aes) gets: the one of highest priority. */
static void find_accelerator(char name[static 128])
{
	char line[256], algorithm[128] = "", driver[128] = "";
	FILE *file = fopen("/proc/crypto", "r");
	int priority, best = -1;

	strcpy(name, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "name : %127s", algorithm) == 1 ||
		    sscanf(line, "driver : %127s", driver) == 1)
			continue;
		if (sscanf(line, "priority : %d", &priority) == 1 && priority > best &&
		    !strcmp(algorithm, "gcm(aes)")) {
			best = priority;
			strcpy(name, driver);
		}
	}
	if (file)
		fclose(file);
}

static json_t *describe_machine(const struct plan *plan)
{
	char accelerator[128];
	struct utsname name;

	uname(&name);
	find_accelerator(accelerator);
	return json_pack("{s:s, s:s, s:i, s:s, s:s}", "label", plan->label, "kernel", name.release,
			 "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN),
			 "accelerator", accelerator, "openssl", OpenSSL_version(OPENSSL_VERSION));
}

static json_t *to_json(const struct job *job, const struct sample *sample)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "direction", directions[job->direction], "mode", job->mode->name,
			 "suite", job->suite->name, "write", (json_int_t)job->write_len,
			 "read", (json_int_t)job->read_len, "bytes", (json_int_t)job->bytes,
			 "wall_ns", (json_int_t)sample->wall, "own_ns", (json_int_t)sample->own,
			 "user_ns", (json_int_t)sample->own_user,
			 "system_ns", (json_int_t)sample->own_system,
			 "peer_ns", (json_int_t)sample->peer, "busy_ns", (json_int_t)sample->busy,
			 "records", (json_int_t)sample->records);
}

static int run_job(const struct job *job, json_t *samples)
{
	struct sample sample = {};
	char error[200] = "";

	if (transfer(job, &sample, error)) {
		fprintf(stderr, "onesided: %s %s %s, %zu byte writes: %s\n",
			directions[job->direction], job->mode->name, job->suite->name,
			job->write_len, error);
		return -1;
	}
	if (!samples)
		return 0;
	json_array_append_new(samples, to_json(job, &sample));
	printf("%-10s %-10s %-21s %5zu: %8.3f ms, own %8.3f ms, peer %8.3f ms, busy %8.3f ms\n",
	       directions[job->direction], job->mode->name, job->suite->name, job->write_len,
	       (double)sample.wall / 1e6, (double)sample.own / 1e6, (double)sample.peer / 1e6,
	       (double)sample.busy / 1e6);
	return 0;
}

/* All modes of one direction, suite and size; they take turns at every repeat. */
static int run_modes(const struct plan *plan, struct job *job, json_t *samples)
{
	int turn;
	size_t i;

	/* The turn before the first only checks the contents, and warms up. */
	for (turn = -1; turn < plan->repeats; turn++) {
		job->check = turn < 0;
		job->bytes = job->check ? CHECK_BYTES : plan->bytes;
		if (job->bytes > RECORDS_MAX * job->write_len)
			job->bytes = RECORDS_MAX * job->write_len;
		for (i = 0; i < mode_count; i++) {
			job->mode = &modes[i];
			if (!listed(plan->modes, job->mode->name) ||
			    (job->mode->applies && !job->mode->applies(job)))
				continue;
			if (load_modules(job->mode) || run_job(job, job->check ? NULL : samples))
				return -1;
		}
	}
	return 0;
}

static int run_size(const struct plan *plan, size_t write_len, json_t *samples)
{
	struct job job = { .write_len = write_len, .read_len = plan->read_len };
	size_t i;
	int d;

	for (d = 0; d < DIRECTIONS; d++) {
		for (i = 0; i < suite_count; i++) {
			if (!listed(plan->directions, directions[d]) ||
			    !listed(plan->suites, suites[i].name))
				continue;
			/* How long records get by the others is not ours to say. */
			if (d > RECV && write_len != RECORD_MAX)
				continue;
			job.direction = (enum direction)d;
			job.suite = &suites[i];
			if (run_modes(plan, &job, samples))
				return -1;
		}
	}
	return 0;
}

static int run_plan(const struct plan *plan, json_t *samples)
{
	char *list = strdup(plan->write_lens), *at = list, *word;
	int ret = list ? 0 : -1;

	while (!ret && (word = strsep(&at, ","))) {
		size_t write_len = strtoul(word, NULL, 10);

		if (!write_len || RECORD_MAX % write_len) {
			fprintf(stderr, "onesided: writes must be a divisor of %d: %s\n",
				RECORD_MAX, word);
			ret = -1;
		} else {
			ret = run_size(plan, write_len, samples);
		}
	}
	free(list);
	return ret;
}

static void usage(void)
{
	fprintf(stderr,
		"Usage: onesided [-m MODE,..] [-d DIRECTION,..] [-s SUITE,..] [-w WRITE,..] [-b READ]\n"
		"                [-n MIB] [-r REPEATS] [-L LABEL] [-o FILE]\n");
}

static int parse_option(struct plan *plan, int option, const char *value)
{
	switch (option) {
	case 'm':
		plan->modes = value;
		return 0;
	case 'd':
		plan->directions = value;
		return 0;
	case 's':
		plan->suites = value;
		return 0;
	case 'w':
		plan->write_lens = value;
		return 0;
	case 'b':
		plan->read_len = strtoul(value, NULL, 10);
		return plan->read_len ? 0 : -1;
	case 'n':
		plan->bytes = strtoull(value, NULL, 10) << 20;
		return plan->bytes ? 0 : -1;
	case 'r':
		plan->repeats = atoi(value);
		return 0;
	case 'L':
		plan->label = value;
		return 0;
	case 'o':
		plan->output = value;
		return 0;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct plan plan = {
		.write_lens = "16384",
		.read_len = READ_LEN,
		.bytes = 16u << 20,
		.repeats = 3,
		.label = "",
	};
	json_t *result, *samples = json_array();
	int option, ret;

	while ((option = getopt(argc, argv, "m:d:s:w:b:n:r:L:o:")) != -1) {
		if (parse_option(&plan, option, optarg)) {
			usage();
			return 2;
		}
	}
	if (optind < argc) {
		usage();
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = run_plan(&plan, samples);
	result = json_pack("{s:o, s:o}", "machine", describe_machine(&plan), "samples", samples);
	if (!ret && plan.output && json_dump_file(result, plan.output, JSON_INDENT(1))) {
		fprintf(stderr, "onesided: cannot write %s\n", plan.output);
		ret = -1;
	}
	json_decref(result);
	return ret ? 1 : 0;
}
