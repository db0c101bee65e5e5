// SPDX-License-Identifier: MIT
/*
 * The control connection: sockets, hellos, and messages (a big-endian length
 * and a JSON object).  Nothing here knows how payload moves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "perf.h"

static void set_timeouts(int fd)
{
	struct timeval limit = { .tv_sec = PERF_SETUP_SECONDS };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static void clear_timeouts(int fd)
{
	struct timeval none = {};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
}

/* The IPv6 wildcard takes IPv4 too; plain IPv4 is for hosts without IPv6. */
static int listen_on(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, PERF_PARALLEL_MAX + 1))
		return fd;
	close(fd);
	return -1;
}

int control_listen(const char *port)
{
	static const int families[] = { AF_INET6, AF_INET };
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	int fd = -1;
	size_t i;

	for (i = 0; i < 2 && fd < 0; i++) {
		hints.ai_family = families[i];
		if (getaddrinfo(NULL, port, &hints, &list))
			continue;
		fd = listen_on(list);
		freeaddrinfo(list);
	}
	return fd;
}

int control_connect(const char *host, const char *port, char error[static PERF_TEXT_LEN])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *address;
	int fd = -1, status;

	status = getaddrinfo(host, port, &hints, &list);
	if (status) {
		set_text(error, "%s: %s", host, gai_strerror(status));
		return -1;
	}
	for (address = list; address && fd < 0; address = address->ai_next) {
		fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen)) {
			set_text(error, "cannot connect to %s, port %s: %s", host, port,
				 strerror(errno));
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

static int send_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data = (char *)data + n;
		len -= (size_t)n;
	}
	return 0;
}

/**
 * hello_send() - say what a fresh connection is for, and wait for the answer
 * @fd: connected socket
 * @kind: HELLO_CONTROL or HELLO_STREAM
 * @cookie: PERF_COOKIE_LEN digits naming the test
 *
 * Afterwards nothing is in flight in either direction.
 *
 * Return: 0, or -1 with errno set.
 */
int hello_send(int fd, char kind, const char *cookie)
{
	char hello[HELLO_LEN], answer;

	hello[0] = kind;
	memcpy(hello + 1, cookie, PERF_COOKIE_LEN);
	set_timeouts(fd);
	if (send_all(fd, hello, sizeof(hello)) || read_all(fd, &answer, 1) ||
	    answer != HELLO_ANSWER)
		return -1;
	if (kind == HELLO_STREAM)
		clear_timeouts(fd);
	return 0;
}

/**
 * hello_read() - what is this connection for?
 * @fd: accepted socket
 * @cookie: (out) PERF_COOKIE_LEN digits and a zero
 *
 * Return: HELLO_CONTROL, HELLO_STREAM, or -1.
 */
int hello_read(int fd, char *cookie)
{
	char hello[HELLO_LEN];

	set_timeouts(fd);
	if (read_all(fd, hello, sizeof(hello)))
		return -1;
	memcpy(cookie, hello + 1, PERF_COOKIE_LEN);
	cookie[PERF_COOKIE_LEN] = 0;
	return hello[0] == HELLO_CONTROL || hello[0] == HELLO_STREAM ? hello[0] : -1;
}

int hello_answer(int fd)
{
	char answer = HELLO_ANSWER;

	clear_timeouts(fd);
	return send_all(fd, &answer, 1);
}

/* Takes over the reference to @message. */
int message_send(int fd, json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	uint32_t wire_len;
	int on = 1, ret = -1;

	json_decref(message);
	if (text && strlen(text) <= PERF_CONTROL_MAX) {
		wire_len = htonl((uint32_t)strlen(text));
		set_timeouts(fd);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (!send_all(fd, &wire_len, sizeof(wire_len)))
			ret = send_all(fd, text, strlen(text));
	}
	free(text);
	return ret;
}

/**
 * message_read() - the next message of the other end
 * @fd: control connection
 * @error: (out) a sentence; the other end's if its message carries one
 *
 * Return: a new reference, or NULL.
 */
json_t *message_read(int fd, char error[static PERF_TEXT_LEN])
{
	json_t *message = NULL;
	const char *text;
	uint32_t wire_len;
	size_t len;
	char *data;

	set_timeouts(fd);
	if (read_all(fd, &wire_len, sizeof(wire_len))) {
		set_text(error, "the other end went away or fell silent");
		return NULL;
	}
	len = ntohl(wire_len);
	data = len > PERF_CONTROL_MAX ? NULL : malloc(len + 1);
	if (data && !read_all(fd, data, len))
		message = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	free(data);
	if (!json_is_object(message)) {
		set_text(error, "the other end sent no valid message");
		json_decref(message);
		return NULL;
	}
	if (!json_unpack(message, "{s:s}", "error", &text) && *text) {
		set_text(error, "the other end says: %.200s", text);
		json_decref(message);
		return NULL;
	}
	return message;
}

json_t *params_to_json(const struct params *params)
{
	return json_pack("{s:i, s:s, s:i, s:s, s:s, s:f, s:I, s:I, s:i, s:b}",
			 "protocol", PERF_PROTOCOL, "mode", params->transport->name,
			 "tls", params->tls_version, "suite", params->suite,
			 "digest", params->digest, "seconds", params->seconds,
			 "bytes", (json_int_t)params->bytes, "length", (json_int_t)params->length,
			 "parallel", params->parallel, "reverse", params->reverse);
}

int params_from_json(struct params *params, json_t *json, char error[static PERF_TEXT_LEN])
{
	const char *mode, *suite, *digest;
	json_int_t bytes, length;
	int protocol, reverse;

	memset(params, 0, sizeof(*params));
	if (json_unpack(json, "{s:i}", "protocol", &protocol) || protocol != PERF_PROTOCOL) {
		set_text(error, "the versions of kssl-perf at the two ends do not match");
		return -1;
	}
	if (json_unpack(json, "{s:s, s:i, s:s, s:s, s:F, s:I, s:I, s:i, s:b}", "mode", &mode,
			"tls", &params->tls_version, "suite", &suite, "digest", &digest,
			"seconds", &params->seconds, "bytes", &bytes, "length", &length,
			"parallel", &params->parallel, "reverse", &reverse)) {
		set_text(error, "parameters are missing or of the wrong type");
		return -1;
	}
	params->transport = transport_find(mode);
	if (!params->transport || strlen(suite) >= sizeof(params->suite) ||
	    !known_digest(digest) || !(params->seconds >= 0) ||
	    params->seconds > 86400 || bytes < 0 || length < 1 || length > PERF_LENGTH_MAX ||
	    params->parallel < 1 || params->parallel > PERF_PARALLEL_MAX) {
		set_text(error, "parameters are out of range");
		return -1;
	}
	strcpy(params->suite, suite);
	strcpy(params->digest, digest);
	params->bytes = (uint64_t)bytes;
	params->length = (size_t)length;
	params->reverse = reverse;
	return 0;
}

static json_t *stream_to_json(const struct stream_result *s)
{
	return json_pack("{s:i, s:I, s:f, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "id", s->id, "bytes", (json_int_t)s->bytes, "seconds", s->seconds,
			 "protocol", s->protocol, "digest", s->digest, "error", s->error,
			 "has_kernel", s->has_kernel,
			 "kernel_records", (json_int_t)s->kernel_records,
			 "kernel_bytes", (json_int_t)s->kernel_bytes,
			 "handshakes", (json_int_t)s->handshakes,
			 "key_updates", (json_int_t)s->key_updates, "holds", (json_int_t)s->holds,
			 "hold_max_ns", (json_int_t)s->hold_max_ns);
}

static int stream_from_json(struct stream_result *s, json_t *json)
{
	json_int_t bytes, records, kernel_bytes, handshakes, key_updates, holds, hold_max;
	const char *protocol, *digest, *error;
	int has_kernel;

	if (json_unpack(json, "{s:i, s:I, s:F, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}",
			"id", &s->id, "bytes", &bytes, "seconds", &s->seconds,
			"protocol", &protocol, "digest", &digest, "error", &error,
			"has_kernel", &has_kernel, "kernel_records", &records,
			"kernel_bytes", &kernel_bytes, "handshakes", &handshakes,
			"key_updates", &key_updates, "holds", &holds, "hold_max_ns", &hold_max))
		return -1;
	s->bytes = (uint64_t)bytes;
	snprintf(s->protocol, sizeof(s->protocol), "%s", protocol);
	snprintf(s->digest, sizeof(s->digest), "%s", digest);
	snprintf(s->error, sizeof(s->error), "%s", error);
	s->has_kernel = has_kernel;
	s->kernel_records = (uint64_t)records;
	s->kernel_bytes = (uint64_t)kernel_bytes;
	s->handshakes = (uint64_t)handshakes;
	s->key_updates = (uint64_t)key_updates;
	s->holds = (uint64_t)holds;
	s->hold_max_ns = (uint64_t)hold_max;
	return 0;
}

json_t *summary_to_json(const struct summary *summary)
{
	json_t *streams = json_array();
	int i;

	for (i = 0; i < summary->count; i++)
		json_array_append_new(streams, stream_to_json(&summary->streams[i]));
	return json_pack("{s:b, s:f, s:f, s:f, s:s, s:o}", "sender", summary->sender,
			 "cpu_user", summary->cpu_user, "cpu_system", summary->cpu_system,
			 "seconds", summary->seconds, "test_error", summary->error,
			 "streams", streams);
}

/* NULL: malformed, or no memory. */
struct summary *summary_from_json(json_t *json)
{
	struct summary *summary = calloc(1, sizeof(*summary));
	json_t *streams, *item;
	const char *error;
	int sender;
	size_t i;

	if (!summary)
		return NULL;
	if (json_unpack(json, "{s:b, s:F, s:F, s:F, s:s, s:o}", "sender", &sender,
			"cpu_user", &summary->cpu_user, "cpu_system", &summary->cpu_system,
			"seconds", &summary->seconds, "test_error", &error, "streams", &streams))
		goto fail;
	summary->sender = sender;
	snprintf(summary->error, sizeof(summary->error), "%s", error);
	if (json_array_size(streams) > PERF_PARALLEL_MAX)
		goto fail;
	summary->streams = calloc(json_array_size(streams) + 1, sizeof(*summary->streams));
	if (!summary->streams)
		goto fail;
	json_array_foreach(streams, i, item) {
		if (stream_from_json(&summary->streams[i], item))
			goto fail;
		summary->count++;
	}
	return summary;

fail:
	summary_free(summary);
	return NULL;
}
