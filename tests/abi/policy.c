// SPDX-License-Identifier: MIT
/* KSSL_POLICY as a socket option: what is taken, what is refused, what reads back. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static const struct kssl_policy zero;

static long set_bytes(int fd, const void *policy, size_t len)
{
	return setsockopt(fd, SOL_KSSL, KSSL_POLICY, policy, len);
}

static struct kssl_policy policy_of(int fd)
{
	struct kssl_policy p;
	socklen_t len = sizeof(p);

	memset(&p, 0xee, sizeof(p));
	SYS(getsockopt(fd, SOL_KSSL, KSSL_POLICY, &p, &len));
	EQ(len, sizeof(p));
	EQ(p.size, sizeof(p));
	return p;
}

/* Equal but for the size, which the kernel fills in. */
static int same(const struct kssl_policy *a, const struct kssl_policy *b)
{
	return !memcmp(&a->flags, &b->flags, sizeof(*a) - offsetof(struct kssl_policy, flags));
}

/* Every member has its own value. */
static const struct kssl_policy full = {
	.size = sizeof(full),
	.flags = KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE | KSSL_POLICY_IDENTITY |
		 KSSL_POLICY_INSECURE_EOF | KSSL_POLICY_HALF_CLOSE | KSSL_POLICY_SPLIT_EMPTY |
		 KSSL_POLICY_NO_SPLIT,
	.helper_ms = 1001, .peer_ms = 1002, .lookahead = 1003, .message_max = 1004,
	.flight_max = 1005, .starts_max = 1006, .starts_ms = 1007, .useless_max = 1008,
	.tx_soft = 1009, .tx_hard = 1010, .rx_soft = 1011, .rx_hard = 1012,
	.rekey_bytes = 1ULL << 40, .rekey_records = 1ULL << 41, .rekey_ms = 1013, .pad_to = 1014,
};

/* Nothing set is all zero: zero means the default, and reads back as it is. */
static void reads_back(void)
{
	struct kssl_policy got;
	struct conn c;

	conn_attend(&c);
	got = policy_of(c.fd);
	CHECK(same(&got, &zero));
	SYS(set_policy(c.fd, &full));
	got = policy_of(c.fd);
	CHECK(same(&got, &full));
	conn_hand_over(&c);
	got = policy_of(c.fd);
	CHECK(same(&got, &full));
	/* all of it at once: what is zero now is the default again */
	SYS(set_policy(c.fd, &zero));
	got = policy_of(c.fd);
	CHECK(same(&got, &zero));
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* At any time after the attach, with a helper or without. */
static void any_time(void)
{
	struct conn c;

	conn_connect(&c);
	FAILS(set_policy(c.fd, &full), ENOPROTOOPT);
	conn_attach(&c);
	SYS(set_policy(c.fd, &full));
	conn_keys(&c);
	SYS(set_policy(c.fd, &zero));
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	SYS(set_policy(c.fd, &full));
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
}

static void sizes(void)
{
	struct {
		struct kssl_policy policy;
		uint8_t more[16];
	} big = { .policy = full };
	struct kssl_policy p = full, got;
	struct conn c;

	conn_attend(&c);
	FAILS(set_bytes(c.fd, &p, 0), EINVAL);
	FAILS(set_bytes(c.fd, &p, 3), EINVAL);
	FAILS(set_bytes(c.fd, &p, sizeof(p) - 1), EINVAL);
	p.size = sizeof(p) + 1;
	FAILS(set_bytes(c.fd, &p, sizeof(p)), EINVAL);
	p.size = sizeof(p);
	FAILS(set_bytes(c.fd, NULL, sizeof(p)), EFAULT);
	FAILS(set_bytes(c.fd, nowhere, sizeof(p)), EFAULT);
	got = policy_of(c.fd);
	CHECK(same(&got, &zero));

	/* a longer one, if what the kernel does not know is zero */
	big.policy.size = sizeof(big);
	big.more[15] = 1;
	FAILS(set_bytes(c.fd, &big, sizeof(big)), E2BIG);
	got = policy_of(c.fd);
	CHECK(same(&got, &zero));
	big.more[15] = 0;
	SYS(set_bytes(c.fd, &big, sizeof(big)));
	got = policy_of(c.fd);
	CHECK(same(&got, &full));

	/* a shorter one, as if the rest were zero */
	p.size = offsetof(struct kssl_policy, lookahead);
	SYS(set_bytes(c.fd, &p, p.size));
	got = policy_of(c.fd);
	EQ(got.flags, full.flags);
	EQ(got.peer_ms, full.peer_ms);
	EQ(got.lookahead, 0);
	EQ(got.tx_soft, 0);
	EQ(got.rekey_ms, 0);
	p.size = sizeof(p.size);
	SYS(set_bytes(c.fd, &p, p.size));
	got = policy_of(c.fd);
	CHECK(same(&got, &zero));
}

/* getsockopt gives as much as there is room for. */
static void get_sizes(void)
{
	struct {
		struct kssl_policy policy;
		uint8_t more[16];
	} big;
	struct kssl_policy p;
	socklen_t len;
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &full));
	len = 3;
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_POLICY, &p, &len), EINVAL);
	memset(&p, 0xee, sizeof(p));
	len = offsetof(struct kssl_policy, peer_ms);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_POLICY, &p, &len));
	EQ(len, offsetof(struct kssl_policy, peer_ms));
	EQ(p.size, len);
	EQ(p.helper_ms, full.helper_ms);
	EQ(p.peer_ms, 0xeeeeeeee);
	memset(&big, 0xee, sizeof(big));
	len = sizeof(big);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_POLICY, &big, &len));
	EQ(len, sizeof(p));
	EQ(big.policy.size, sizeof(p));
	CHECK(same(&big.policy, &full));
	EQ(big.more[0], 0xee);
	len = sizeof(p);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_POLICY, nowhere, &len), EFAULT);
}

/* Flags nobody knows: EINVAL, and nothing changes. */
static void unknown(void)
{
	struct kssl_policy p, got;
	unsigned int i;
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &full));
	for (i = 0; i < 32; i++) {
		p = zero;
		p.flags = 1U << i;
		if (p.flags & full.flags)
			continue;
		FAILS(set_policy(c.fd, &p), EINVAL);
	}
	got = policy_of(c.fd);
	CHECK(same(&got, &full));
}

/* The greatest value that is taken, and the next one. */
static void ranges(void)
{
	struct kssl_policy p = {}, got;
	struct conn c;

	conn_attend(&c);
	p.lookahead = 1 << 20;
	p.message_max = (1 << 24) - 1;
	SYS(set_policy(c.fd, &p));
	p.lookahead++;
	FAILS(set_policy(c.fd, &p), EINVAL);
	p.lookahead--;
	p.message_max++;
	FAILS(set_policy(c.fd, &p), EINVAL);
	p.message_max = ~0U;
	FAILS(set_policy(c.fd, &p), EINVAL);
	p.message_max = 0;
	p.pad_to = 16385;
	FAILS(set_policy(c.fd, &p), EINVAL);
	p.pad_to = ~0U;
	FAILS(set_policy(c.fd, &p), EINVAL);
	got = policy_of(c.fd);
	EQ(got.message_max, (1 << 24) - 1);
	EQ(got.lookahead, 1 << 20);

	/* these have no greatest value, and one above the suite's is the suite's */
	memset(&p, 0xff, sizeof(p));
	p.flags = full.flags;
	p.pad_to = 16384;
	p.lookahead = 1;
	p.message_max = 1;
	SYS(set_policy(c.fd, &p));
	EQ(policy_of(c.fd).pad_to, 16384);
	/* the reference wants none that it has not asked for */
	p.pad_to = 0;
	SYS(set_policy(c.fd, &p));
	conn_hand_over(&c);
	send_pattern(c.fd, 0, 30000);
	peer_expect_pattern(&c.peer, 0, 30000);
	peer_send_pattern(&c.peer, 0, 30000, 10000);
	recv_pattern(c.fd, 0, 30000);
	EQ(error_of(c.fd).err, 0);
}

/* What is set while the connection runs is what holds from then on. */
static void live_change(void)
{
	struct kssl_policy p = { .rx_hard = 1000 };
	struct conn c;
	uint8_t byte;

	conn_open_policy(&c, &p);
	peer_send_pattern(&c.peer, 0, 50, 10);
	recv_pattern(c.fd, 0, 50);
	p.rx_hard = 7;
	SYS(set_policy(c.fd, &p));
	peer_send_pattern(&c.peer, 50, 20, 10);
	recv_pattern(c.fd, 50, 20);
	p.rx_hard = 9;
	SYS(set_policy(c.fd, &p));
	peer_send_pattern(&c.peer, 70, 30, 10);
	recv_pattern(c.fd, 70, 20);
	FAILS(recv(c.fd, &byte, 1, 0), EKEYEXPIRED);
}

/* The look-ahead is as large as it says, at least by what one record holds. */
static void lookahead(void)
{
	struct kssl_policy p = { .lookahead = 120000 };
	size_t large, small;
	struct conn c;

	conn_connect_bufs(&c, 1 << 20, 0);
	conn_attach(&c);
	conn_keys(&c);
	SYS(set_policy(c.fd, &p));
	peer_send_pattern(&c.peer, 0, 160000, 10000);
	peer_settle(&c.peer);
	{
		uint8_t *data = malloc(400000);

		CHECK(data);
		large = SYS(recv(c.fd, data, 400000, MSG_PEEK));
		check_pattern(data, 0, large);
		recv_pattern(c.fd, 0, 160000);
		p.lookahead = 20000;
		SYS(set_policy(c.fd, &p));
		peer_send_pattern(&c.peer, 160000, 160000, 10000);
		peer_settle(&c.peer);
		small = SYS(recv(c.fd, data, 400000, MSG_PEEK));
		free(data);
	}
	CHECK(large > 65536 + 16384);
	CHECK(large <= 120000 + 16384);
	CHECK(small >= 10000 && small <= 20000 + 16384);
	recv_pattern(c.fd, 160000, 160000);
}

static void *write_lots(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 2000000);
	return NULL;
}

/* A writer that waits for room keeps nobody from asking and setting. */
static void beside_a_stuck_writer(void)
{
	static const struct kssl_policy some = { .helper_ms = 5000, .tx_soft = 1000000 };
	int how = KSSL_RENEG_FULL, on = 1, i;
	socklen_t len = sizeof(how);
	struct conn c;
	pthread_t t;
	size_t before;

	conn_open_attended(&c);
	t = start(write_lots, &c);
	do {
		before = status_of(c.fd).tx.bytes;
		usleep(20000);
	} while (!before || status_of(c.fd).tx.bytes != before);
	for (i = 0; i < 10; i++) {
		SYS(set_policy(c.fd, i & 1 ? &zero : &some));
		policy_of(c.fd);
		SYS(getsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, &len));
	}
	SYS(set_policy(c.fd, &zero));
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	peer_expect_pattern(&c.peer, 0, 2000000);
	finish(t);
}

/* KSSL_POLICY_INSECURE_EOF: a FIN between records is the end; within one it is not. */
static void insecure_eof(void)
{
	const struct kssl_policy p = { .flags = KSSL_POLICY_INSECURE_EOF };
	uint8_t record[RECORD_MAX], x;
	struct conn c;
	size_t len;

	conn_open_policy(&c, &p);
	peer_send_pattern(&c.peer, 0, 1000, 400);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	recv_pattern(c.fd, 0, 1000);
	EQ(recv(c.fd, &x, 1, 0), 0);
	EQ(error_of(c.fd).err, 0);
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
	conn_end(&c);

	conn_open_policy(&c, &p);
	len = seal(&c.peer.tx, DATA, "hello", 5, record);
	peer_write(&c.peer, record, len - 1);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	FAILS(recv(c.fd, &x, 1, 0), ECONNRESET);
}

/* KSSL_POLICY_HALF_CLOSE: who has received close_notify may go on sending. */
static void half_close(void)
{
	const struct kssl_policy p = { .flags = KSSL_POLICY_HALF_CLOSE };
	struct conn c;
	uint8_t x;

	conn_open_policy(&c, &p);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(recv(c.fd, &x, 1, 0), 0);
	send_pattern(c.fd, 0, 1000);
	peer_expect_pattern(&c.peer, 0, 1000);
	SYS(shutdown(c.fd, SHUT_WR));
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
}

static const struct test tests[] = {
	{ "reads_back", VERSIONS, reads_back },
	{ "any_time", VERSIONS, any_time },
	{ "sizes", ONCE, sizes },
	{ "get_sizes", ONCE, get_sizes },
	{ "unknown", ONCE, unknown },
	{ "ranges", VERSIONS, ranges },
	{ "live_change", VERSIONS, live_change },
	{ "lookahead", VERSIONS, lookahead },
	{ "beside_a_stuck_writer", VERSIONS, beside_a_stuck_writer },
	{ "insecure_eof", VERSIONS, insecure_eof },
	{ "half_close", VERSIONS, half_close },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
