// SPDX-License-Identifier: MIT
/*
 * One line for the journal, which reads the priority off its beginning.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kssld.h"

static atomic_bool debugging;
static int keylog = -1;

void log_set_debug(bool debug)
{
	debugging = debug;
}

/* A newline that somebody sent would begin a line of his own. */
static void put(int priority, char *line)
{
	char out[1200];
	char *p;
	int len;

	for (p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	len = snprintf(out, sizeof(out), "<%d>%s\n", priority, line);
	if (len > 0 && write(STDERR_FILENO, out, len) != len)
		return;
}

void log_line(enum log_priority priority, const char *format, ...)
{
	char line[1000];
	va_list args;

	if (priority == LOG_IS_DEBUG && !debugging)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	put(priority, line);
}

static const char *address(const struct sockaddr_in6 *sa, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sin6_family == AF_INET6) {
		inet_ntop(AF_INET6, &sa->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(sa->sin6_port));
	} else {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(v4->sin_port));
	}
	return text;
}

/**
 * log_request() - a line about a connection
 * @priority: of the line
 * @r: who asked
 * @text: what happened
 */
void log_request(enum log_priority priority, const struct request *r, const char *text)
{
	char local[64], peer[64];

	log_line(priority, "connection %u %s %s %s, pid %u (%s) uid %u, profile %s%s%s: %s", r->id,
		 address(&r->local, local, sizeof(local)), r->role == KSSL_ROLE_SERVER ? "<-" : "->",
		 address(&r->peer, peer, sizeof(peer)), r->pid, r->comm, r->uid,
		 r->profile[0] ? r->profile : "client", r->name[0] ? ", name " : "", r->name, text);
}

/**
 * keylog_open() - whoever reads this file reads all connections
 * @path: file, NULL: none from now on
 * @why: (out) sentence
 *
 * Return: 0 or -errno.
 */
int keylog_open(const char *path, char *why)
{
	int fd = -1, old = keylog;

	if (path) {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || fchmod(fd, 0600)) {
			snprintf(why, KSSLD_TEXT_LEN, "the key log %s: %s", path, strerror(errno));
			return -errno;
		}
		log_line(LOG_IS_WARNING, "secrets of all connections are written to %s", path);
	}
	keylog = fd;
	if (old >= 0)
		close(old);
	return 0;
}

void keylog_line(const char *line, void *arg)
{
	char out[512];
	int len = snprintf(out, sizeof(out), "%s\n", line);

	(void)arg;
	if (keylog < 0 || len <= 0 || len >= (int)sizeof(out) || write(keylog, out, len) == len)
		return;
}
