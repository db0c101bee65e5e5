// SPDX-License-Identifier: MIT
/*
 * KSSL_OP_IDENTITY: whose bytes these are.  No call gives bytes of two identities, and
 * it can be asked before and told with each.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static const struct kssl_policy tell = { .flags = KSSL_POLICY_IDENTITY };

/* The peer says something after which it is another one. */
static void change(struct conn *c)
{
	struct batch *b = batch_new();

	peer_send_message(&c->peer, FINISHED, 12);
	expect_handshake(c->control, FINISHED, 12);
	batch_op(b, KSSL_OP_IDENTITY);
	batch_op(b, KSSL_OP_CONTINUE);
	SYS(batch_write(b, c->control));
	free(b);
}

/*
 * 100 bytes in two records of each identity; all of it opened, nothing read.  Sending is
 * held, so that the helper hears of what is behind unread data.
 */
static void fill(struct conn *c, int identities)
{
	int i;

	control_op(c->control, KSSL_OP_HOLD);
	for (i = 0; i < identities; i++) {
		if (i)
			change(c);
		peer_send_pattern(&c->peer, i * 100, 100, 50);
	}
	peer_settle(&c->peer);
}

/* recvmsg() with room for control messages; the identity it tells, or -1. */
static long recv_identity(int fd, void *data, size_t len, int flags, long *identity)
{
	char control[CMSG_SPACE(sizeof(uint32_t)) + 64];
	struct iovec iov = { data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	uint32_t value;
	long n = recvmsg(fd, &msg, flags);

	*identity = -1;
	if (n < 0)
		return n;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg) {
		EQ(cmsg->cmsg_level, SOL_KSSL);
		EQ(cmsg->cmsg_type, KSSL_IDENTITY);
		EQ(cmsg->cmsg_len, CMSG_LEN(sizeof(value)));
		memcpy(&value, CMSG_DATA(cmsg), sizeof(value));
		*identity = value;
		CHECK(!CMSG_NXTHDR(&msg, cmsg));
	}
	EQ(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC), 0);
	return n;
}

static void in_status(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){});
	EQ(status_of(c.fd).identity, 0);
	fill(&c, 3);
	for (i = 0; i < 3; i++) {
		/* of the next byte to read */
		EQ(status_of(c.fd).identity, i);
		EQ(SYS(recv(c.fd, data, 50, 0)), 50);
		EQ(status_of(c.fd).identity, i);
		EQ(SYS(recv(c.fd, data, 1000, 0)), 50);
	}
	/* nothing to read: what comes next is the last one's */
	EQ(status_of(c.fd).identity, 2);
	change(&c);
	EQ(status_of(c.fd).identity, 3);
}

static void never_mixed(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 5);
	EQ(queued_bytes(c.fd) >= 100, 1);
	for (i = 0; i < 5; i++) {
		EQ(SYS(recv(c.fd, data, sizeof(data), 0)), 100);
		check_pattern(data, i * 100, 100);
	}
	FAILS(recv(c.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
}

/* Not even if the caller wants all of it. */
static void waitall(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 3);
	for (i = 0; i < 3; i++) {
		EQ(SYS(recv(c.fd, data, 70, MSG_WAITALL)), 70);
		check_pattern(data, i * 100, 70);
		if (i == 2)
			break;
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_WAITALL)), 30);
		check_pattern(data, i * 100 + 70, 30);
	}
}

static void *wait_for_all(void *arg)
{
	struct conn *c = arg;
	uint8_t data[1000];

	EQ(SYS(recv(c->fd, data, sizeof(data), MSG_WAITALL)), 100);
	check_pattern(data, 0, 100);
	return NULL;
}

/* The change comes while the reader sleeps for more. */
static void waitall_sleeping(void)
{
	struct conn c;
	pthread_t t;

	conn_open_policy(&c, &(struct kssl_policy){});
	t = start_asleep(wait_for_all, &c);
	peer_send_pattern(&c.peer, 0, 100, 50);
	change(&c);
	peer_send_pattern(&c.peer, 100, 100, 50);
	finish(t);
	recv_pattern(c.fd, 100, 100);
}

static void peek(void)
{
	uint8_t data[1000];
	struct conn c;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 3);
	for (i = 0; i < 3; i++) {
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_PEEK)), 100);
		check_pattern(data, i * 100, 100);
		EQ(SYS(recv(c.fd, data, 30, 0)), 30);
		EQ(SYS(recv(c.fd, data, sizeof(data), MSG_PEEK)), 70);
		check_pattern(data, i * 100 + 30, 70);
		recv_pattern(c.fd, i * 100 + 30, 70);
	}
}

/* With an offset too. */
static void peek_off(void)
{
	uint8_t data[1000];
	struct conn c;
	int off = 90;

	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 2);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	EQ(SYS(recv(c.fd, data, sizeof(data), MSG_PEEK)), 10);
	check_pattern(data, 90, 10);
}

static void scattered(void)
{
	uint8_t data[8][40];
	struct iovec iov[8];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 8 };
	struct conn c;
	int i;

	for (i = 0; i < 8; i++)
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 2);
	EQ(SYS(recvmsg(c.fd, &msg, 0)), 100);
	check_pattern(data, 0, 100);
	EQ(SYS(recvmsg(c.fd, &msg, 0)), 100);
	check_pattern(data, 100, 100);
}

static void spliced(void)
{
	uint8_t data[1000];
	int pipefd[2], i;
	size_t got;
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	SYS(pipe(pipefd));
	fill(&c, 3);
	for (i = 0; i < 3; i++)
		for (got = 0; got < 100;) {
			long n;

			EQ(status_of(c.fd).identity, i);
			n = SYS(splice(c.fd, NULL, pipefd[1], NULL, 1000, 0));
			CHECK(n > 0);
			EQ(SYS(read(pipefd[0], data, sizeof(data))), n);
			check_pattern(data, i * 100 + got, n);
			got += n;
			CHECK(got <= 100);
		}
}

static void told(void)
{
	uint8_t data[1000];
	long identity;
	struct conn c;
	int i;

	conn_open_policy(&c, &tell);
	fill(&c, 4);
	for (i = 0; i < 4; i++) {
		EQ(SYS(recv_identity(c.fd, data, 60, 0, &identity)), 60);
		EQ(identity, i);
		EQ(SYS(recv_identity(c.fd, data, sizeof(data), MSG_PEEK, &identity)), 40);
		EQ(identity, i);
		EQ(SYS(recv_identity(c.fd, data, sizeof(data), 0, &identity)), 40);
		EQ(identity, i);
	}
}

/* Only where the policy asks for it. */
static void not_told(void)
{
	uint8_t data[1000];
	long identity;
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	fill(&c, 2);
	EQ(SYS(recv_identity(c.fd, data, sizeof(data), 0, &identity)), 100);
	EQ(identity, -1);
	SYS(set_policy(c.fd, &tell));
	EQ(SYS(recv_identity(c.fd, data, 50, 0, &identity)), 50);
	EQ(identity, 1);
	SYS(set_policy(c.fd, &(struct kssl_policy){}));
	EQ(SYS(recv_identity(c.fd, data, 50, 0, &identity)), 50);
	EQ(identity, -1);
}

/* A caller that gives no room for it gets its bytes all the same. */
static void no_room(void)
{
	struct conn c;

	conn_open_policy(&c, &tell);
	fill(&c, 2);
	recv_pattern(c.fd, 0, 200);
}

/* Several changes with nothing between count, and are one border. */
static void several(void)
{
	uint8_t data[1000];
	long identity;
	struct conn c;
	int i;

	conn_open_policy(&c, &tell);
	peer_send_pattern(&c.peer, 0, 100, 100);
	EQ(SYS(recv(c.fd, data, 50, 0)), 50);
	recv_pattern(c.fd, 50, 50);
	for (i = 0; i < 5; i++)
		change(&c);
	peer_send_pattern(&c.peer, 100, 100, 100);
	EQ(SYS(recv_identity(c.fd, data, sizeof(data), 0, &identity)), 100);
	EQ(identity, 5);
}

/* It changes nothing else. */
static void changes_nothing_else(void)
{
	struct kssl_status before, after;
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	before = status_of(c.fd);
	control_op(c.control, KSSL_OP_IDENTITY);
	after = status_of(c.fd);
	EQ(after.identity, 1);
	after.identity = 0;
	CHECK(!memcmp(&before, &after, sizeof(before)));
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	EQ(ready(c.fd, POLLIN), 0);
}

static void refused(void)
{
	struct batch *b = batch_new();
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	batch_add(b, KSSL_OP_IDENTITY, 0, "x", 1);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_add(b, KSSL_OP_IDENTITY, HANDSHAKE, "", 0);
	FAILS(batch_write(b, c.control), EINVAL);
	/* all or nothing */
	batch_op(b, KSSL_OP_IDENTITY);
	batch_op(b, 99);
	FAILS(batch_write(b, c.control), EINVAL);
	EQ(status_of(c.fd).identity, 0);
}

static const struct test tests[] = {
	{ "in_status", VERSIONS, in_status },
	{ "never_mixed", VERSIONS, never_mixed },
	{ "waitall", VERSIONS, waitall },
	{ "waitall_sleeping", VERSIONS, waitall_sleeping },
	{ "peek", VERSIONS, peek },
	{ "peek_off", VERSIONS, peek_off },
	{ "scattered", VERSIONS, scattered },
	{ "spliced", VERSIONS, spliced },
	{ "told", VERSIONS, told },
	{ "not_told", VERSIONS, not_told },
	{ "no_room", VERSIONS, no_room },
	{ "several", VERSIONS, several },
	{ "changes_nothing_else", VERSIONS, changes_nothing_else },
	{ "refused", ONCE, refused },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
