// SPDX-License-Identifier: MIT
/* How much waits where: SIOCINQ, TCP_INQ, SIOCOUTQ, the smallest buffers, and who pays for memory. */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#ifndef TCP_INQ
#define TCP_INQ		36
#endif

/* Plaintext, of all records that are whole. */
static void readable_bytes(void)
{
	uint8_t record[RECORD_MAX], data[1000];
	struct conn c;
	size_t len;

	conn_open(&c);
	EQ(queued_bytes(c.fd), 0);
	peer_send_pattern(&c.peer, 0, 3000, 1000);
	peer_settle(&c.peer);
	EQ(queued_bytes(c.fd), 3000);
	EQ(SYS(recv(c.fd, data, 700, 0)), 700);
	EQ(queued_bytes(c.fd), 2300);
	EQ(SYS(recv(c.fd, data, 700, MSG_PEEK)), 700);
	EQ(queued_bytes(c.fd), 2300);
	recv_pattern(c.fd, 700, 2300);
	EQ(queued_bytes(c.fd), 0);
	if (v->plain)
		return;
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	peer_write(&c.peer, record, len - 1);
	peer_settle(&c.peer);
	EQ(queued_bytes(c.fd), 0);
	peer_write(&c.peer, record + len - 1, 1);
	peer_settle(&c.peer);
	EQ(queued_bytes(c.fd), 4);
}

/* The option of TCP that tells it with each read. */
static void told_with_read(void)
{
	char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(1)];
	uint8_t data[400];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	int on = 1, inq = -1;
	struct cmsghdr *cmsg;
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_INQ, &on, sizeof(on)));
	peer_send_pattern(&c.peer, 0, 1000, 1000);
	peer_settle(&c.peer);
	msg.msg_controllen = sizeof(control);
	EQ(SYS(recvmsg(c.fd, &msg, 0)), 400);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == IPPROTO_TCP && cmsg->cmsg_type == TCP_INQ)
			memcpy(&inq, CMSG_DATA(cmsg), sizeof(inq));
	EQ(inq, 600);
	recv_pattern(c.fd, 400, 600);
}

static int out_queue(int fd, int what)
{
	int n;

	SYS(ioctl(fd, what, &n));
	CHECK(n >= 0);
	return n;
}

/* What was taken and not yet acknowledged, wherever it waits. */
static void unsent_bytes(void)
{
	struct conn c;
	size_t sent;

	conn_open_bufs(&c, 0, 30000);
	EQ(out_queue(c.fd, SIOCOUTQ), 0);
	/* kept for more: it counts, until it is sent and acknowledged */
	EQ(SYS(send(c.fd, "0123456789", 10, MSG_MORE | MSG_NOSIGNAL)), 10);
	if (!v->plain) {
		EQ(out_queue(c.fd, SIOCOUTQ), 10);
		EQ(out_queue(c.fd, SIOCOUTQNSD), 10);
	}
	EQ(SYS(send(c.fd, "x", 1, MSG_NOSIGNAL)), 1);
	peer_expect(&c.peer, DATA, "0123456789x", 11);
	while (out_queue(c.fd, SIOCOUTQ))
		usleep(1000);
	sent = send_until_stuck(c.fd);
	CHECK(out_queue(c.fd, SIOCOUTQNSD) > 0);
	EQ(out_queue(c.fd, SIOCOUTQNSD), out_queue(c.fd, SIOCOUTQ));
	peer_expect_pattern(&c.peer, 0, sent);
	while (out_queue(c.fd, SIOCOUTQ))
		usleep(1000);
	EQ(out_queue(c.fd, SIOCOUTQNSD), 0);
}

/* ---- the smallest buffers there are ---- */

struct job {
	struct conn *c;
	size_t len;
};

static void *peer_sends(void *arg)
{
	struct job *job = arg;

	peer_send_pattern(&job->c->peer, 0, job->len, 16384);
	return NULL;
}

static void *peer_reads(void *arg)
{
	struct job *job = arg;

	peer_expect_pattern(&job->c->peer, 0, job->len);
	return NULL;
}

static void *sends(void *arg)
{
	struct job *job = arg;

	send_pattern(job->c->fd, 0, job->len);
	return NULL;
}

/* Records larger than either buffer, both ways at once. */
static void tiny(void)
{
	struct job job = { .len = 100000 };
	pthread_t threads[3];
	struct conn c;
	int i;

	conn_open_bufs(&c, 1, 1);
	job.c = &c;
	threads[0] = start(peer_sends, &job);
	threads[1] = start(peer_reads, &job);
	threads[2] = start(sends, &job);
	recv_pattern(c.fd, 0, job.len);
	for (i = 0; i < 3; i++)
		finish(threads[i]);
}

/* ---- memory ---- */

/* Pages that all TCP sockets together are charged with. */
static long tcp_pages(void)
{
	FILE *f = fopen("/proc/net/sockstat", "r");
	char line[200];
	long pages = -1;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		char *mem = strstr(line, " mem ");

		if (!strncmp(line, "TCP:", 4) && mem)
			pages = strtol(mem + 5, NULL, 10);
	}
	fclose(f);
	CHECK(pages >= 0);
	return pages;
}

#define SOCKETS	150
#define AHEAD	65536

/*
 * Opened records are charged as their ciphertext was.  Each CPU may keep up to 256
 * pages to itself (SK_MEMORY_PCPU_RESERVE), so there are enough sockets to see it.
 */
static void opened_is_charged(void)
{
	static struct conn conns[SOCKETS];
	long before, opened, want = SOCKETS * (AHEAD / 4096);
	int i;

	for (i = 0; i < SOCKETS; i++)
		conn_open(&conns[i]);
	before = tcp_pages();
	for (i = 0; i < SOCKETS; i++) {
		peer_send_pattern(&conns[i].peer, 0, AHEAD, 16384);
		peer_settle(&conns[i].peer);
		EQ(queued_bytes(conns[i].fd), AHEAD);
	}
	opened = tcp_pages() - before;
	note("%d sockets with %d bytes each: %ld pages", SOCKETS, AHEAD, opened);
	CHECK(opened > want - 1024);
	for (i = 0; i < SOCKETS; i++) {
		recv_pattern(conns[i].fd, 0, AHEAD);
		close(conns[i].fd);
		close(conns[i].peer.fd);
	}
	CHECK(tcp_pages() - before < want / 2);
}

#define WRITERS	400
#define OPEN	16000

/* So is what MSG_MORE leaves open. */
static void open_is_charged(void)
{
	static struct conn conns[WRITERS];
	static uint8_t data[OPEN];
	long before, open, want = WRITERS * (OPEN / 4096);
	int i;

	for (i = 0; i < WRITERS; i++)
		conn_open(&conns[i]);
	before = tcp_pages();
	pattern(data, 0, OPEN);
	for (i = 0; i < WRITERS; i++)
		EQ(SYS(send(conns[i].fd, data, OPEN, MSG_MORE | MSG_NOSIGNAL)), OPEN);
	open = tcp_pages() - before;
	note("%d sockets with %d bytes each: %ld pages", WRITERS, OPEN, open);
	CHECK(open > want - 1024);
	for (i = 0; i < WRITERS; i++) {
		EQ(SYS(send(conns[i].fd, &(uint8_t){ pattern_at(OPEN) }, 1, MSG_NOSIGNAL)), 1);
		peer_expect_pattern(&conns[i].peer, 0, OPEN + 1);
		close(conns[i].fd);
		close(conns[i].peer.fd);
	}
	CHECK(tcp_pages() - before < want / 2);
}

/* However much the peer sends, opened ahead is so much and no more. */
static void opened_is_bounded(void)
{
	struct job job = { .len = 1 << 20 };
	struct conn c;
	pthread_t t;
	int i;

	conn_open(&c);
	job.c = &c;
	t = start(peer_sends, &job);
	wait_ready(c.fd, POLLIN);
	for (i = 0; i < 100; i++) {
		int n = queued_bytes(c.fd);

		CHECK(n < AHEAD + 16384);
		EQ(status_of(c.fd).rx.bytes, n);
		usleep(1000);
	}
	recv_pattern(c.fd, 0, job.len);
	finish(t);
}

/* Records of one byte cost more than a byte. */
static void small_records_are_bounded(void)
{
	static uint8_t records[1000 * 96];
	size_t i, len = 0;
	struct conn c;

	/* Room for all of them, which TCP may not make by itself while nobody reads. */
	conn_open_bufs(&c, 200000, 0);
	for (i = 0; i < 1000; i++) {
		uint8_t byte = pattern_at(i);

		len += seal(&c.peer.tx, DATA, &byte, 1, records + len);
	}
	peer_write(&c.peer, records, len);
	peer_settle(&c.peer);
	CHECK(queued_bytes(c.fd) >= 100);
	CHECK(queued_bytes(c.fd) < 1000);
	recv_pattern(c.fd, 0, 1000);
}

static const struct test tests[] = {
	{ "readable_bytes", WITH_TCP, readable_bytes },
	{ "told_with_read", WITH_TCP, told_with_read },
	{ "unsent_bytes", WITH_TCP, unsent_bytes },
	{ "tiny", WITH_TCP, tiny },
	{ "opened_is_charged", ONCE, opened_is_charged },
	{ "open_is_charged", ONCE, open_is_charged },
	{ "opened_is_bounded", VERSIONS, opened_is_bounded },
	{ "small_records_are_bounded", VERSIONS, small_records_are_bounded },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
