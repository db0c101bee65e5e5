// SPDX-License-Identifier: MIT
/*
 * One transfer between the measured process and its peer, a child that only
 * moves bytes, and the clocks around it.
 *
 * The peer's processor time is known, so what is left of the time of all tasks
 * is the measured end: the process itself and whatever kernel threads work for
 * it.  Over loopback the softirq that receives a segment runs in the process
 * that sent it, so a part of TCP's work is charged to the other side; it is the
 * same for every mode, and the tcp mode shows how much it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "onesided.h"

#define STALL_SECONDS	60
#define FEED_LEN	65536	/* bytes of one send call of the feeder */
#define SINK_LEN	(1 << 20)
#define SINK_LOW_WATER	(1 << 18)
#define PIPE_LEN	65536	/* what a pipe takes */
#define CHECK_MAX	(8u << 20)
#define SETTLE_NS	200000	/* lets the scheduler close its accounts */

/* What the peer does; the child has its own copy. */
struct peer {
	const struct job *job;
	int fd;
	int pipe;			/* the measured process' end is another number */
	const unsigned char *data;	/* to feed */
	size_t len;
	const unsigned char *payload;	/* of every write, write_len bytes */
};

struct peer_report {
	uint64_t cpu_ns;
	uint64_t bytes;
	int failed;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t timeval_ns(struct timeval tv)
{
	return ((uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec) * 1000;
}

/* Nanoseconds that tasks ran, of all processors: field 7 of the cpu lines. */
static uint64_t busy_ns(void)
{
	struct timespec settle = { .tv_nsec = SETTLE_NS };
	unsigned long long ns, sum = 0;
	char line[256];
	FILE *file;

	nanosleep(&settle, NULL);
	file = fopen("/proc/schedstat", "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "cpu%*d %*u %*u %*u %*u %*u %*u %llu", &ns) == 1)
			sum += ns;
	fclose(file);
	return sum;
}

/* Measured end and peer on processors of their own, where there are two. */
static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Corked, TCP sends full segments only.  Otherwise how many it sends would be a
 * matter of luck, and with small writes cost more than the record layer does.
 */
static void set_socket(int fd)
{
	struct timeval limit = { .tv_sec = STALL_SECONDS };
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static int connect_pair(int fds[static 2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);
	int i;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = -1;
	if (listener >= 0 && fds[0] >= 0 && !bind(listener, (struct sockaddr *)&address, len) &&
	    !listen(listener, 1) && !getsockname(listener, (struct sockaddr *)&address, &len) &&
	    !connect(fds[0], (struct sockaddr *)&address, len))
		fds[1] = accept(listener, NULL, NULL);
	close(listener);
	for (i = 0; i < 2 && fds[1] >= 0; i++)
		set_socket(fds[i]);
	if (fds[1] >= 0)
		return 0;
	close(fds[0]);
	return -1;
}

/* Payload that repeats every write_len bytes, as the sender sends it. */
static bool is_payload(const struct job *job, const unsigned char *payload, uint64_t at,
		       const unsigned char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] != payload[(at + i) % job->write_len])
			return false;
	return true;
}

/* The peer of a sender. */

/* Wakes seldom, so that how often it does is no matter of luck either. */
static uint64_t discard(int fd)
{
	int low_water = SINK_LOW_WATER;
	uint64_t bytes = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof(low_water));
	while ((n = recv(fd, NULL, SINK_LEN, MSG_TRUNC)) > 0)
		bytes += (uint64_t)n;
	return n < 0 ? 0 : bytes;
}

/* Keeps what arrives, opens it with EVP if it is records, and compares. */
static int judge(const struct peer *peer, uint64_t *bytes)
{
	unsigned char *data = malloc(CHECK_MAX), *payload = data;
	uint64_t payload_len;
	size_t len = 0;
	ssize_t n = -1;
	int ok;

	while (data && len < CHECK_MAX && (n = recv(peer->fd, data + len, CHECK_MAX - len, 0)) > 0)
		len += (size_t)n;
	ok = data && !n;
	*bytes = len;
	payload_len = len;
	if (ok && peer->job->mode->wire == FIXED_KEYS)
		ok = !open_records(peer->job->suite, data, len, &payload, &payload_len);
	if (ok && peer->job->mode->wire != OWN_KEYS)
		ok = payload_len == peer->job->bytes &&
		     is_payload(peer->job, peer->payload, 0, payload, payload_len);
	free(data);
	return ok ? 0 : -1;
}

/* The peer of a receiver. */

static int feed(const struct peer *peer, uint64_t *bytes)
{
	*bytes = 0;
	while (*bytes < peer->len) {
		size_t left = peer->len - *bytes;
		ssize_t n = send(peer->fd, peer->data + *bytes, left < FEED_LEN ? left : FEED_LEN,
				 MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		*bytes += (uint64_t)n;
	}
	return shutdown(peer->fd, SHUT_WR);
}

/* Ready, then start, then the report, each by one write to the pipe. */
static void run_peer(const struct peer *peer)
{
	struct peer_report report = {};
	uint64_t start;
	char byte = 0;

	pin_to(1);
	if (write(peer->pipe, &byte, 1) != 1 || read(peer->pipe, &byte, 1) != 1)
		return;
	start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (!is_sending(peer->job->direction))
		report.failed = feed(peer, &report.bytes);
	else if (peer->job->check)
		report.failed = judge(peer, &report.bytes);
	else
		report.bytes = discard(peer->fd);
	report.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	if (write(peer->pipe, &report, sizeof(report)) != sizeof(report))
		return;
	/* Hold the connection until the measured process has read everything. */
	if (read(peer->pipe, &byte, 1) < 0)
		return;
}

static int await(int fd, void *data, size_t len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, STALL_SECONDS * 1000) == 1 && read(fd, data, len) == (ssize_t)len ?
	       0 : -1;
}

/* The measured end. */

/**
 * struct ends - where its payload comes from or goes to
 * @payload: write_len bytes, again and again
 * @buf: read_len bytes
 * @file: all of the payload, -1: not needed
 * @pipe: both ends, likewise
 * @null: /dev/null
 */
struct ends {
	const unsigned char *payload;
	unsigned char *buf;
	int file;
	int pipe[2];
	int null;
};

static int make_file(const struct job *job, const unsigned char *payload)
{
	int file = memfd_create("payload", 0);
	uint64_t at;

	for (at = 0; file >= 0 && at < job->bytes; at += job->write_len) {
		if (write(file, payload, job->write_len) != (ssize_t)job->write_len) {
			close(file);
			file = -1;
		}
	}
	return file;
}

static int open_ends(struct side *side, const unsigned char *payload, struct ends *ends)
{
	const struct job *job = side->job;
	bool spliced = job->direction == SPLICE_IN || job->direction == SPLICE_OUT;

	*ends = (struct ends) { .payload = payload, .file = -1, .pipe = { -1, -1 } };
	ends->null = open("/dev/null", O_WRONLY);
	ends->buf = malloc(job->read_len);
	if (is_sending(job->direction) && job->direction != SEND)
		ends->file = make_file(job, payload);
	if (!ends->buf || ends->null < 0 || (spliced && pipe(ends->pipe)) ||
	    (is_sending(job->direction) && job->direction != SEND && ends->file < 0))
		return fail(side->error, "no file, pipe or memory: %s", strerror(errno));
	return 0;
}

static void close_ends(struct ends *ends)
{
	free(ends->buf);
	close(ends->file);
	close(ends->pipe[0]);
	close(ends->pipe[1]);
	close(ends->null);
}

static ssize_t check_arrived(struct side *side, const struct ends *ends, uint64_t at, ssize_t n)
{
	if (n <= 0 || !side->job->check || is_payload(side->job, ends->payload, at, ends->buf, (size_t)n))
		return n;
	return fail(side->error, "wrong payload after byte %llu", (unsigned long long)at);
}

/* From the file through the pipe: as much of it as the pipe takes. */
static ssize_t splice_out(struct side *side, const struct ends *ends, uint64_t at, size_t len)
{
	loff_t offset = (loff_t)at;
	ssize_t filled = splice(ends->file, &offset, ends->pipe[1], NULL, len, 0), sent = 0, n = 1;

	if (filled <= 0)
		return fail(side->error, "splice from a file: %s", strerror(errno));
	for (; n > 0 && sent < filled; sent += n)
		n = side->job->mode->splice_out(side, ends->pipe[0], (size_t)(filled - sent));
	return n > 0 ? sent : -1;
}

/* Through the pipe to nowhere, or for a look at it. */
static ssize_t splice_in(struct side *side, const struct ends *ends, uint64_t at, size_t len)
{
	ssize_t filled = side->job->mode->splice_in(side, ends->pipe[1], len), taken = 0, n = 1;

	for (; n > 0 && taken < filled; taken += n) {
		size_t left = (size_t)(filled - taken);

		if (!side->job->check)
			n = splice(ends->pipe[0], NULL, ends->null, NULL, left, 0);
		else
			n = check_arrived(side, ends, at + (uint64_t)taken,
					  read(ends->pipe[0], ends->buf,
					       left < side->job->read_len ? left : side->job->read_len));
	}
	if (n <= 0 && !side->error[0])
		fail(side->error, "the pipe: %s", strerror(errno));
	return n > 0 ? filled : -1;
}

/* One call's worth, of the payload from @at on. */
static ssize_t move_some(struct side *side, const struct ends *ends, uint64_t at)
{
	const struct job *job = side->job;
	size_t in_write = at % job->write_len, left = job->bytes - at;

	switch (job->direction) {
	case SEND:
		return job->mode->send(side, ends->payload + in_write, job->write_len - in_write);
	case RECV:
		return check_arrived(side, ends, at, job->mode->recv(side, ends->buf, job->read_len));
	case SENDFILE:
		return job->mode->sendfile(side, ends->file, (off_t)at, left);
	case SPLICE_OUT:
		return splice_out(side, ends, at, left < PIPE_LEN ? left : PIPE_LEN);
	default:
		return splice_in(side, ends, at, left < PIPE_LEN ? left : PIPE_LEN);
	}
}

static int move_payload(struct side *side, const struct ends *ends)
{
	const struct job *job = side->job;
	uint64_t bytes = 0;
	ssize_t n = 1;

	while (n > 0 && bytes < job->bytes) {
		n = move_some(side, ends, bytes);
		if (n > 0)
			bytes += (uint64_t)n;
	}
	if (n < 0)
		return -1;
	if (bytes != job->bytes)
		return fail(side->error, "%llu bytes instead of %llu", (unsigned long long)bytes,
			    (unsigned long long)job->bytes);
	return is_sending(job->direction) ? shutdown(side->fd, SHUT_WR) : 0;
}

static int measure(struct side *side, const struct ends *ends, int pipe, struct sample *sample)
{
	struct rusage before, after;
	struct peer_report report;
	uint64_t start, own_start, busy_start;
	char byte = 0;
	int ret;

	if (await(pipe, &byte, 1))
		return fail(side->error, "the peer did not start");
	busy_start = busy_ns();
	getrusage(RUSAGE_SELF, &before);
	own_start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = clock_ns(CLOCK_MONOTONIC);
	if (write(pipe, &byte, 1) != 1)
		return fail(side->error, "the peer went away");

	ret = move_payload(side, ends);
	if (ret)
		shutdown(side->fd, SHUT_RDWR);
	if (await(pipe, &report, sizeof(report)) || report.failed || !report.bytes)
		ret = side->error[0] ? -1 : fail(side->error, "the peer saw wrong or no data");
	sample->wall = clock_ns(CLOCK_MONOTONIC) - start;
	sample->own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_start;
	getrusage(RUSAGE_SELF, &after);
	sample->busy = busy_ns() - busy_start;
	sample->own_user = timeval_ns(after.ru_utime) - timeval_ns(before.ru_utime);
	sample->own_system = timeval_ns(after.ru_stime) - timeval_ns(before.ru_stime);
	sample->peer = report.cpu_ns;
	return ret;
}

/* Forks the peer and measures; the two sockets are in @fds. */
static int with_peer(struct side *side, struct peer *peer, const struct ends *ends,
		     const int fds[static 2], struct sample *sample)
{
	int pipes[2], ret = -1;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pipes))
		return fail(side->error, "socketpair: %s", strerror(errno));
	side->fd = fds[0];
	peer->fd = fds[1];
	peer->pipe = pipes[1];
	child = fork();
	if (!child) {
		close(pipes[0]);
		close(fds[0]);
		run_peer(peer);
		_exit(0);
	}
	close(pipes[1]);
	close(fds[1]);
	if (child < 0) {
		fail(side->error, "fork: %s", strerror(errno));
	} else {
		pin_to(0);
		ret = side->job->mode->attach(side);
		if (!ret)
			ret = measure(side, ends, pipes[0], sample);
		if (!ret)
			ret = side->job->mode->check(side);
		sample->records = side->records;
	}
	close(pipes[0]);
	close(fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return ret;
}

/**
 * transfer() - move a job's bytes once
 * @job: what and how
 * @sample: (out) what it took
 * @error: (out) a sentence
 *
 * Return: 0 or -1.
 */
int transfer(const struct job *job, struct sample *sample, char error[static 200])
{
	struct side side = { .job = job, .fd = -1 };
	struct peer peer = { .job = job };
	unsigned char payload[RECORD_MAX], *data = NULL;
	struct ends ends;
	int fds[2], ret;
	size_t i;

	for (i = 0; i < job->write_len; i++)
		payload[i] = (unsigned char)(i * 31 + i / 256);
	peer.payload = payload;
	ret = open_ends(&side, payload, &ends);
	if (!ret && job->mode->prepare)
		ret = job->mode->prepare(&side);
	if (!ret && !is_sending(job->direction))
		ret = job->mode->feed(&side, payload, &data, &peer.len);
	peer.data = data;
	if (!ret) {
		ret = connect_pair(fds);
		if (ret)
			fail(side.error, "no loopback connection: %s", strerror(errno));
		else
			ret = with_peer(&side, &peer, &ends, fds, sample);
	}
	if (job->mode->close)
		job->mode->close(&side);
	close_ends(&ends);
	free(data);
	strcpy(error, side.error);
	return ret;
}
