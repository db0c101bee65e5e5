// SPDX-License-Identifier: MIT
/*
 * One test at one end: a thread per stream, a common start, interval lines, and
 * a watch that ends streams which make no progress.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "perf.h"

#define PATTERN_PERIOD	65521	/* prime, so that no two writes look alike */
#define NS		1000000000ull

static uint64_t timeval_us(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

static void read_cpu(uint64_t *user_us, uint64_t *system_us)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	*user_us = timeval_us(usage.ru_utime);
	*system_us = timeval_us(usage.ru_stime);
}

struct test *test_new(const struct options *options, const struct params *params,
		      struct report *report)
{
	struct test *test = calloc(1, sizeof(*test));
	pthread_condattr_t attr;

	if (!test)
		return NULL;
	test->options = options;
	test->params = *params;
	test->report = report;
	test->streams = calloc((size_t)params->parallel, sizeof(*test->streams));
	pthread_mutex_init(&test->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&test->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (!test->streams)
		set_text(test->error, "no memory");
	else
		endpoint_init(&test->endpoint, options, params, test->error);
	return test;
}

static int update_digest(struct stream *stream, const void *data, size_t len)
{
	if (!stream->md || EVP_DigestUpdate(stream->md, data, len))
		return 0;
	set_text(stream->conn.error, "the digest failed");
	return -1;
}

static int start_digest(struct stream *stream)
{
	const char *name = stream->test->params.digest;

	if (!name[0])
		return 0;
	stream->md = EVP_MD_CTX_new();
	if (stream->md && EVP_DigestInit_ex(stream->md, EVP_get_digestbyname(name), NULL))
		return 0;
	set_text(stream->conn.error, "OpenSSL has no digest %s", name);
	return -1;
}

static void finish_digest(struct stream *stream)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int len, i;

	if (!stream->md || !EVP_DigestFinal_ex(stream->md, md, &len))
		return;
	for (i = 0; i < len; i++)
		sprintf(stream->digest + 2 * i, "%02x", md[i]);
}

/* Has the stream passed another --renegotiate bytes? */
static bool is_rekey_due(const struct stream *stream, uint64_t bytes, uint64_t *mark)
{
	uint64_t every = stream->test->options->renegotiate;

	if (!every || bytes < *mark)
		return false;
	*mark = bytes + every;
	return !stream->limit || *mark <= stream->limit;
}

static bool is_rekey_asked(struct stream *stream)
{
	int signals = signals_seen();
	bool asked = signals != stream->signals;

	stream->signals = signals;
	return asked && stream->test->endpoint.transport->rekey;
}

static int rekey_when_due(struct stream *stream, uint64_t bytes, uint64_t *mark)
{
	if (!is_rekey_due(stream, bytes, mark) && !is_rekey_asked(stream))
		return 0;
	return stream->test->endpoint.transport->rekey(&stream->conn);
}

static int send_payload(struct stream *stream, const unsigned char *pattern)
{
	const struct transport *ops = stream->test->endpoint.transport;
	uint64_t bytes = 0, mark = stream->test->options->renegotiate;

	while (!atomic_load(&stream->test->stop) && (!stream->limit || bytes < stream->limit)) {
		const unsigned char *data = pattern + bytes % PATTERN_PERIOD;
		size_t len = stream->test->params.length;
		ssize_t n;

		if (stream->limit && len > stream->limit - bytes)
			len = (size_t)(stream->limit - bytes);
		n = ops->send(&stream->conn, data, len);
		if (n < 0 || update_digest(stream, data, (size_t)n))
			return -1;
		bytes += (size_t)n;
		atomic_store_explicit(&stream->bytes, bytes, memory_order_relaxed);
		if (rekey_when_due(stream, bytes, &mark))
			return -1;
	}
	return ops->finish(&stream->conn);
}

static int receive_payload(struct stream *stream, unsigned char *buf)
{
	const struct transport *ops = stream->test->endpoint.transport;
	uint64_t bytes = 0, mark = stream->test->options->renegotiate;
	ssize_t n;

	while ((n = ops->recv(&stream->conn, buf, stream->test->params.length)) > 0) {
		if (update_digest(stream, buf, (size_t)n))
			return -1;
		bytes += (size_t)n;
		atomic_store_explicit(&stream->bytes, bytes, memory_order_relaxed);
		if (rekey_when_due(stream, bytes, &mark))
			return -1;
	}
	return n < 0 ? -1 : 0;
}

static int move_payload(struct stream *stream)
{
	size_t len = stream->test->params.length + PATTERN_PERIOD;
	unsigned char *buf = malloc(len);
	int ret;

	if (!buf || RAND_bytes(buf, (int)len) != 1) {
		set_text(stream->conn.error, "no memory, or no random bytes");
		free(buf);
		return -1;
	}
	if (stream->test->endpoint.sender)
		ret = send_payload(stream, buf);
	else
		ret = receive_payload(stream, buf);
	stream->end_ns = now_ns();
	free(buf);
	if (ret)
		return -1;
	finish_digest(stream);
	return stream->test->endpoint.transport->check(&stream->conn, atomic_load(&stream->bytes));
}

/* Waits for the common start; false: there will be none. */
static bool wait_for_start(struct stream *stream, bool ok)
{
	struct test *test = stream->test;
	bool running;

	pthread_mutex_lock(&test->lock);
	test->ready++;
	if (!ok && !test->failed) {
		set_text(test->error, "stream %d: %.230s", stream->conn.id, stream->conn.error);
		test->failed = true;
	}
	pthread_cond_broadcast(&test->changed);
	while (!test->running && !test->failed)
		pthread_cond_wait(&test->changed, &test->lock);
	running = test->running;
	pthread_mutex_unlock(&test->lock);
	return running;
}

static void *run_stream(void *arg)
{
	struct stream *stream = arg;
	struct test *test = stream->test;
	const struct transport *ops = test->endpoint.transport;
	bool ok;

	ok = !(test->options->server ? ops->accept : ops->open)(&stream->conn) &&
	     !start_digest(stream);
	if (ok)
		report_stream(test->report, stream->conn.id, stream->conn.protocol);
	if (wait_for_start(stream, ok) && move_payload(stream)) {
		/* The other end must not wait for data that will not come. */
		shutdown(stream->conn.fd, SHUT_RDWR);
	}
	pthread_mutex_lock(&test->lock);
	test->done++;
	pthread_cond_broadcast(&test->changed);
	pthread_mutex_unlock(&test->lock);
	return NULL;
}

/**
 * test_add_stream() - begin the handshake of the next stream, in its own thread
 * @test: the test
 * @fd: connected, nothing in flight; closed by test_free()
 *
 * Return: 0, or -1 with a sentence in @test->error.
 */
int test_add_stream(struct test *test, int fd)
{
	struct stream *stream = &test->streams[test->count];
	uint64_t share = test->params.bytes / (uint64_t)test->params.parallel;

	stream->test = test;
	stream->conn.endpoint = &test->endpoint;
	stream->conn.report = test->report;
	stream->conn.fd = fd;
	stream->signals = signals_seen();
	stream->conn.id = ++test->count;
	if (stream->conn.id == 1)	/* the first one takes the remainder */
		stream->limit = test->params.bytes - share * (uint64_t)(test->params.parallel - 1);
	else
		stream->limit = share;
	if (pthread_create(&stream->thread, NULL, run_stream, stream)) {
		set_text(test->error, "cannot create a thread");
		return -1;
	}
	stream->started = true;
	return 0;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS), .tv_nsec = (long)(ns % NS) };
}

static void shut_streams(struct test *test)
{
	int i;

	for (i = 0; i < test->count; i++)
		shutdown(test->streams[i].conn.fd, SHUT_RDWR);
}

/**
 * test_wait_ready() - wait until all streams have shaken hands
 * @test: the test
 *
 * Return: 0, or -1 with a sentence in @test->error.
 */
int test_wait_ready(struct test *test)
{
	struct timespec limit = to_timespec(now_ns() + PERF_SETUP_SECONDS * NS);
	int i, err = 0;

	pthread_mutex_lock(&test->lock);
	while (test->ready < test->params.parallel && !test->failed && !err)
		err = pthread_cond_timedwait(&test->changed, &test->lock, &limit);
	if (err && !test->failed) {
		set_text(test->error, "a handshake did not end in %d seconds", PERF_SETUP_SECONDS);
		test->failed = true;
		pthread_cond_broadcast(&test->changed);
	}
	err = test->failed;
	pthread_mutex_unlock(&test->lock);
	if (!err)
		return 0;
	shut_streams(test);
	for (i = 0; i < test->count; i++) {
		if (test->streams[i].started)
			pthread_join(test->streams[i].thread, NULL);
		test->streams[i].started = false;
	}
	return -1;
}

/* The time from the last line to @now, or from the start if nothing was printed. */
static void print_interval(struct test *test, uint64_t now)
{
	double start = (double)(test->last_ns - test->start_ns) / NS;
	double end = (double)(now - test->start_ns) / NS;
	uint64_t sum = 0;
	int i;

	for (i = 0; i < test->count; i++) {
		struct stream *stream = &test->streams[i];
		uint64_t bytes = atomic_load(&stream->bytes);

		report_interval(test->report, i + 1, start, end, bytes - stream->reported);
		sum += bytes - stream->reported;
		stream->reported = bytes;
	}
	if (test->count > 1)
		report_interval(test->report, 0, start, end, sum);
	test->last_ns = now;
}

static uint64_t total_bytes(struct test *test)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < test->count; i++)
		sum += atomic_load(&test->streams[i].bytes);
	return sum;
}

/* Until all streams are done.  Wakes for interval lines, the end and the watch. */
static void watch_streams(struct test *test)
{
	uint64_t interval = (uint64_t)(test->options->interval * (double)NS);
	uint64_t end = test->start_ns + (uint64_t)(test->params.seconds * (double)NS);
	uint64_t line = interval ? test->start_ns + interval : UINT64_MAX;
	uint64_t seen = 0, seen_ns = test->start_ns;

	pthread_mutex_lock(&test->lock);
	while (test->done < test->count) {
		uint64_t wake = now_ns() + NS;
		struct timespec until;

		if (wake > line)
			wake = line;
		if (test->params.seconds > 0 && !atomic_load(&test->stop) && wake > end)
			wake = end;
		until = to_timespec(wake);
		pthread_cond_timedwait(&test->changed, &test->lock, &until);
		if (test->done == test->count)
			break;
		if (now_ns() >= line) {
			print_interval(test, now_ns());
			line += interval;
		}
		if (test->params.seconds > 0 && now_ns() >= end)
			atomic_store(&test->stop, true);
		if (total_bytes(test) != seen) {
			seen = total_bytes(test);
			seen_ns = now_ns();
		} else if (now_ns() - seen_ns > PERF_STALL_SECONDS * NS && !test->failed) {
			test->failed = true;
			set_text(test->error, "no progress for %d seconds", PERF_STALL_SECONDS);
			shut_streams(test);
		}
	}
	pthread_mutex_unlock(&test->lock);
	if (interval && test->last_ns != test->start_ns)
		print_interval(test, now_ns());
}

/**
 * test_run() - start all streams together and wait for their end
 * @test: test_wait_ready() succeeded
 */
void test_run(struct test *test)
{
	uint64_t user_us, system_us;
	int i;

	read_cpu(&test->cpu_user_us, &test->cpu_system_us);
	pthread_mutex_lock(&test->lock);
	test->start_ns = now_ns();
	test->last_ns = test->start_ns;
	test->running = true;
	pthread_cond_broadcast(&test->changed);
	pthread_mutex_unlock(&test->lock);

	watch_streams(test);
	for (i = 0; i < test->count; i++) {
		pthread_join(test->streams[i].thread, NULL);
		test->streams[i].started = false;
	}
	read_cpu(&user_us, &system_us);
	test->cpu_user_us = user_us - test->cpu_user_us;
	test->cpu_system_us = system_us - test->cpu_system_us;
}

static void fill_result(struct stream_result *result, const struct stream *stream,
			uint64_t start_ns)
{
	const struct kssl_status *status = &stream->conn.status;
	const struct kssl_dir_status *dir;

	dir = stream->conn.endpoint->sender ? &status->tx : &status->rx;
	result->id = stream->conn.id;
	result->bytes = atomic_load(&stream->bytes);
	result->seconds = (double)(stream->end_ns - start_ns) / NS;
	strcpy(result->protocol, stream->conn.protocol);
	strcpy(result->digest, stream->digest);
	strcpy(result->error, stream->conn.error);
	result->has_kernel = stream->conn.kssl;
	result->kernel_records = dir->records;
	result->kernel_bytes = dir->bytes;
	result->handshakes = status->handshakes;
	result->key_updates = (uint64_t)status->key_updates_sent + status->key_updates_received;
	result->holds = status->holds;
	result->hold_max_ns = status->hold_max_ns;
}

/* After test_run(). NULL: no memory. */
struct summary *test_summary(struct test *test)
{
	struct summary *summary = calloc(1, sizeof(*summary));
	int i;

	if (!summary)
		return NULL;
	summary->sender = test->endpoint.sender;
	summary->count = test->count;
	summary->cpu_user = (double)test->cpu_user_us / 1e6;
	summary->cpu_system = (double)test->cpu_system_us / 1e6;
	strcpy(summary->error, test->error);
	summary->streams = calloc((size_t)test->count + 1, sizeof(*summary->streams));
	if (!summary->streams) {
		free(summary);
		return NULL;
	}
	for (i = 0; i < test->count; i++) {
		fill_result(&summary->streams[i], &test->streams[i], test->start_ns);
		if (summary->streams[i].seconds > summary->seconds)
			summary->seconds = summary->streams[i].seconds;
	}
	return summary;
}

void summary_free(struct summary *summary)
{
	if (summary)
		free(summary->streams);
	free(summary);
}

void test_free(struct test *test)
{
	int i;

	if (!test)
		return;
	pthread_mutex_lock(&test->lock);
	if (!test->running) {	/* streams that still shake hands or wait for the start */
		test->failed = true;
		pthread_cond_broadcast(&test->changed);
		shut_streams(test);
	}
	pthread_mutex_unlock(&test->lock);
	for (i = 0; i < test->count; i++) {
		struct stream *stream = &test->streams[i];

		if (stream->started)
			pthread_join(stream->thread, NULL);
		test->endpoint.transport->close(&stream->conn);
		EVP_MD_CTX_free(stream->md);
		close(stream->conn.fd);
	}
	endpoint_cleanup(&test->endpoint);
	pthread_cond_destroy(&test->changed);
	pthread_mutex_destroy(&test->lock);
	free(test->streams);
	free(test);
}
