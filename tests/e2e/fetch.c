// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "fetch.h"

#define PATIENCE_MS	90000
#define HEAD_MAX	4096	/* bytes before the file */

/* Makes a file of @len random bytes. */
void fetch_prepare(struct fetch *f, size_t len)
{
	size_t done;
	int fd;

	f->len = len;
	f->contents = malloc(len);
	CHECK(f->contents);
	for (done = 0; done < len;)
		done += SYS(getrandom(f->contents + done, len - done, 0));
	strcpy(f->path, "/tmp/kssl-file-XXXXXX");
	fd = SYS(mkstemp(f->path));
	EQ(SYS(write(fd, f->contents, len)), (ssize_t)len);
	close(fd);
}

/* @headers: "" or lines, each with its end. */
void fetch_request(const struct fetch *f, struct link *l, const char *headers)
{
	char request[300];

	CHECK(snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n%s\r\n", f->path, headers) < (int)sizeof(request));
	link_send(l, request);
}

/* All up to the end: a head of text, and the file. */
void fetch_answer(const struct fetch *f, struct link *l)
{
	uint8_t *answer = malloc(f->len + HEAD_MAX);
	size_t len = 0, head;
	ssize_t n;

	CHECK(answer);
	for (;;) {
		EQ(SYS(poll(&(struct pollfd){ .fd = l->fd, .events = POLLIN }, 1, PATIENCE_MS)), 1);
		n = read(l->fd, answer + len, f->len + HEAD_MAX - len);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (!SYS(n))
			break;
		link_received(l, answer + len, n);
		len += n;
	}
	CHECK(len > f->len && len < f->len + HEAD_MAX);
	head = len - f->len;
	CHECK(!memcmp(answer, "HTTP/1.0 200 OK", 15));
	CHECK(!memcmp(answer + head - 4, "\r\n\r\n", 4));
	CHECK(!memcmp(answer + head, f->contents, f->len));
	free(answer);
}

/* The file is no more. */
void fetch_end(struct fetch *f)
{
	unlink(f->path);
	free(f->contents);
	memset(f, 0, sizeof(*f));
}
