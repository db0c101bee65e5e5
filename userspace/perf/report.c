// SPDX-License-Identifier: MIT
/*
 * What the user sees, as text or as JSON.  Both are made from the same numbers
 * here and nowhere else.
 */
#include <stdlib.h>
#include <string.h>

#include "perf.h"

struct report {
	bool json;
	pthread_mutex_t lock;	/* events come from libkssl's thread, streams from theirs */
	json_t *root;
	json_t *streams;
	json_t *intervals;
	json_t *events;
};

struct report *report_new(bool json)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return NULL;
	report->json = json;
	pthread_mutex_init(&report->lock, NULL);
	report->root = json_object();
	report->streams = json_array();
	report->intervals = json_array();
	report->events = json_array();
	return report;
}

static double bits_per_second(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (double)bytes * 8 / seconds : 0;
}

/* Binary units for amounts, decimal ones for rates, as iperf3 has it. */
static const char *scaled(char *text, size_t len, double value, double base, const char *unit)
{
	static const char *const prefixes[] = { "", "K", "M", "G", "T" };
	size_t i = 0;

	while (value >= base && i < 4) {
		value /= base;
		i++;
	}
	snprintf(text, len, "%5.*f %s%s", value >= 99.95 || !i ? 0 : value >= 9.995 ? 1 : 2, value,
		 prefixes[i], unit);
	return text;
}

static void print_line(int id, double start, double end, uint64_t bytes, const char *note)
{
	char name[16], amount[32], rate[32];

	snprintf(name, sizeof(name), id ? "%3d" : "SUM", id);
	printf("[%s] %6.2f-%-6.2f sec  %-13s  %-15s %s\n", name, start, end,
	       scaled(amount, sizeof(amount), (double)bytes, 1024, "Bytes"),
	       scaled(rate, sizeof(rate), bits_per_second(bytes, end - start), 1000, "bits/sec"),
	       note);
}

static json_t *line_to_json(int id, double start, double end, uint64_t bytes)
{
	return json_pack("{s:i, s:f, s:f, s:I, s:f}", "id", id, "start", start, "end", end,
			 "bytes", (json_int_t)bytes,
			 "bits_per_second", bits_per_second(bytes, end - start));
}

void report_start(struct report *report, const struct params *params, const char *peer)
{
	const char *version = params->tls_version == TLS1_3_VERSION ? "1.3" : "1.2";
	const char *mode = params->transport->name;

	if (report->json) {
		json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:f, s:I, s:b}",
					 "peer", peer, "mode", mode,
					 "tls", params->transport->tls ? version : "",
					 "suite", params->suite, "digest", params->digest,
					 "parallel", params->parallel,
					 "length", (json_int_t)params->length,
					 "seconds", params->seconds,
					 "bytes", (json_int_t)params->bytes,
					 "reverse", params->reverse);

		json_object_set_new(report->root, "start", json);
		return;
	}
	printf("Peer %s, mode %s%s%s, %d stream%s of %zu byte calls, %s sends\n", peer, mode,
	       params->transport->tls ? ", TLS " : "", params->transport->tls ? version : "",
	       params->parallel, params->parallel > 1 ? "s" : "", params->length,
	       params->reverse ? "server" : "client");
}

void report_stream(struct report *report, int id, const char *protocol)
{
	pthread_mutex_lock(&report->lock);
	if (report->json)
		json_array_append_new(report->streams,
				      json_pack("{s:i, s:s}", "id", id, "protocol", protocol));
	else
		printf("[%3d] %s\n", id, protocol);
	pthread_mutex_unlock(&report->lock);
}

/* @id 0 is the sum of all streams. */
void report_interval(struct report *report, int id, double start, double end, uint64_t bytes)
{
	pthread_mutex_lock(&report->lock);
	if (report->json)
		json_array_append_new(report->intervals, line_to_json(id, start, end, bytes));
	else
		print_line(id, start, end, bytes, "");
	pthread_mutex_unlock(&report->lock);
}

void report_event(struct report *report, int id, const char *text)
{
	pthread_mutex_lock(&report->lock);
	if (report->json)
		json_array_append_new(report->events,
				      json_pack("{s:i, s:s}", "id", id, "text", text));
	else
		printf("[%3d] %s\n", id, text);
	pthread_mutex_unlock(&report->lock);
}

static void print_kernel(const struct stream_result *s, const char *side)
{
	if (s->has_kernel)
		printf("[%3d] kssl at the %s: %llu records, %llu bytes, %llu handshakes, %llu key updates, %llu holds, longest %.3f ms\n",
		       s->id, side, (unsigned long long)s->kernel_records,
		       (unsigned long long)s->kernel_bytes, (unsigned long long)s->handshakes,
		       (unsigned long long)s->key_updates, (unsigned long long)s->holds, (double)s->hold_max_ns / 1e6);
}

static json_t *kernel_to_json(const struct stream_result *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}",
			 "records", (json_int_t)s->kernel_records,
			 "bytes", (json_int_t)s->kernel_bytes,
			 "handshakes", (json_int_t)s->handshakes,
			 "key_updates", (json_int_t)s->key_updates, "holds", (json_int_t)s->holds,
			 "hold_max_ns", (json_int_t)s->hold_max_ns);
}

static json_t *side_to_json(const struct stream_result *s)
{
	json_t *json = line_to_json(s->id, 0, s->seconds, s->bytes);

	json_object_set_new(json, "protocol", json_string(s->protocol));
	if (s->digest[0])
		json_object_set_new(json, "digest", json_string(s->digest));
	if (s->error[0])
		json_object_set_new(json, "error", json_string(s->error));
	if (s->has_kernel)
		json_object_set_new(json, "kernel", kernel_to_json(s));
	return json;
}

static uint64_t sum_bytes(const struct summary *summary)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < summary->count; i++)
		sum += summary->streams[i].bytes;
	return sum;
}

static double cpu_percent(double cpu, const struct summary *summary)
{
	return summary->seconds > 0 ? 100 * cpu / summary->seconds : 0;
}

static void print_cpu(const struct summary *summary, const char *side)
{
	printf("CPU of the %s: %.1f%% (user %.1f%%, system %.1f%%)\n", side,
	       cpu_percent(summary->cpu_user + summary->cpu_system, summary),
	       cpu_percent(summary->cpu_user, summary), cpu_percent(summary->cpu_system, summary));
}

static void print_end(const struct params *params, const struct summary *sent,
		      const struct summary *received)
{
	int i;

	printf("- - - - - - - - - - - - - - - - - - - - - - - - - - - - - -\n");
	for (i = 0; i < sent->count; i++) {
		const struct stream_result *s = &sent->streams[i], *r = &received->streams[i];

		print_line(s->id, 0, s->seconds, s->bytes, "sender");
		print_line(r->id, 0, r->seconds, r->bytes, "receiver");
		print_kernel(s, "sender");
		print_kernel(r, "receiver");
		if (params->digest[0])
			printf("[%3d] %s: %s\n", s->id, params->digest,
			       strcmp(s->digest, r->digest) ? "DIFFERENT" : "equal at both ends");
	}
	if (sent->count > 1) {
		print_line(0, 0, sent->seconds, sum_bytes(sent), "sender");
		print_line(0, 0, received->seconds, sum_bytes(received), "receiver");
	}
	print_cpu(sent, "sender");
	print_cpu(received, "receiver");
}

static json_t *cpu_to_json(const struct summary *summary)
{
	return json_pack("{s:f, s:f}", "user_percent", cpu_percent(summary->cpu_user, summary),
			 "system_percent", cpu_percent(summary->cpu_system, summary));
}

static void add_end(struct report *report, const struct params *params, const struct summary *sent,
		    const struct summary *received)
{
	json_t *end, *streams = json_array();
	int i;

	for (i = 0; i < sent->count; i++) {
		const struct stream_result *s = &sent->streams[i], *r = &received->streams[i];
		json_t *item = json_pack("{s:o, s:o}", "sender", side_to_json(s),
					 "receiver", side_to_json(r));

		if (params->digest[0])
			json_object_set_new(item, "digest_equal",
					    json_boolean(!strcmp(s->digest, r->digest)));
		json_array_append_new(streams, item);
	}
	end = json_pack("{s:o, s:o, s:o, s:{s:o, s:o}}", "streams", streams,
			"sum_sent", line_to_json(0, 0, sent->seconds, sum_bytes(sent)),
			"sum_received", line_to_json(0, 0, received->seconds, sum_bytes(received)),
			"cpu", "sender", cpu_to_json(sent), "receiver", cpu_to_json(received));
	json_object_set_new(report->root, "end", end);
}

/* The first reason not to believe the result, or nothing. */
static void find_fault(char text[static PERF_TEXT_LEN], const struct params *params,
		       const struct summary *sent, const struct summary *received)
{
	int i;

	text[0] = 0;
	for (i = 0; i < sent->count && !text[0]; i++) {
		const struct stream_result *s = &sent->streams[i], *r = &received->streams[i];

		if (s->error[0])
			set_text(text, "stream %d, sender: %.200s", s->id, s->error);
		else if (r->error[0])
			set_text(text, "stream %d, receiver: %.200s", r->id, r->error);
		else if (s->bytes != r->bytes)
			set_text(text, "stream %d: %llu bytes were sent, %llu received", s->id,
				 (unsigned long long)s->bytes, (unsigned long long)r->bytes);
		else if (params->digest[0] && (!s->digest[0] || strcmp(s->digest, r->digest)))
			set_text(text, "stream %d: the digests differ", s->id);
	}
	if (sent->error[0])
		set_text(text, "sender: %.200s", sent->error);
	else if (received->error[0])
		set_text(text, "receiver: %.200s", received->error);
}

/**
 * report_end() - show the results of both ends and judge them
 * @report: where to
 * @params: of the test
 * @local: this end's results
 * @remote: the other end's
 *
 * Return: 0, or -1 if a stream failed, bytes were lost or digests differ.
 */
int report_end(struct report *report, const struct params *params,
	       const struct summary *local, const struct summary *remote)
{
	const struct summary *sent = local->sender ? local : remote;
	const struct summary *received = local->sender ? remote : local;
	char fault[PERF_TEXT_LEN];

	if (local->sender == remote->sender || local->count != remote->count) {
		report_error(report, "the results of the two ends do not fit together");
		return -1;
	}
	if (report->json)
		add_end(report, params, sent, received);
	else
		print_end(params, sent, received);
	find_fault(fault, params, sent, received);
	if (!fault[0])
		return 0;
	report_error(report, fault);
	return -1;
}

void report_error(struct report *report, const char *text)
{
	if (report->json)
		json_object_set_new(report->root, "error", json_string(text));
	else
		fprintf(stderr, "kssl-perf: %s\n", text[0] ? text : "the test did not run");
}

/* Prints the JSON, if that is the format. */
void report_free(struct report *report)
{
	if (report->json) {
		json_object_set(report->root, "streams", report->streams);
		json_object_set(report->root, "intervals", report->intervals);
		json_object_set(report->root, "events", report->events);
		json_dumpf(report->root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
		putchar('\n');
		fflush(stdout);
	}
	json_decref(report->root);
	json_decref(report->streams);
	json_decref(report->intervals);
	json_decref(report->events);
	pthread_mutex_destroy(&report->lock);
	free(report);
}
