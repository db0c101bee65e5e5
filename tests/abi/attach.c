// SPDX-License-Identifier: MIT
/* Attaching the ULP, socket options, and what stays shut. */
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/tcp.h>
#include "cipher.h"
#include "conn.h"
#include "tap.h"

static void name_of_ulp(void)
{
	char name[16] = "";
	socklen_t len = sizeof(name);
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	SYS(getsockopt(c.fd, IPPROTO_TCP, TCP_ULP, name, &len));
	CHECK(!strcmp(name, "kssl"));
}

static void attach_twice(void)
{
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	FAILS(attach(c.fd), EEXIST);
	/* and it does no harm */
	conn_keys(&c);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* Armed, see arm.c: there is no connection whose options could be asked for. */
static void not_connected(void)
{
	int fd = SYS(socket(v->family, SOCK_STREAM, 0));

	SYS(attach(fd));
	FAILS(take_control(fd), ENOTCONN);
	SYS(listen(fd, 1));
	FAILS(attach(fd), EEXIST);
	FAILS(take_control(fd), ENOTCONN);
}

static void closing(void)
{
	struct conn c;

	conn_connect(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	FAILS(attach(c.fd), ENOTCONN);
}

static void in_repair(void)
{
	struct conn c;
	int on = 1;

	conn_connect(&c);
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	FAILS(attach(c.fd), EOPNOTSUPP);
}

static pid_t writer;

/* A writer asleep inside TCP would go on in clear text. */
static void *write_forever(void *arg)
{
	static char zeros[65536];

	__atomic_store_n(&writer, gettid(), __ATOMIC_RELEASE);
	while (send(*(int *)arg, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void writer_inside(void)
{
	struct conn c;
	pid_t tid;

	conn_connect(&c);
	send_until_stuck(c.fd);
	start(write_forever, &c.fd);
	/* Attaching before it sleeps in TCP is no error. */
	while (!(tid = __atomic_load_n(&writer, __ATOMIC_ACQUIRE)))
		usleep(500);
	wait_asleep(tid);
	FAILS(attach(c.fd), EBUSY);
}

static void data_before(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;

	/* Records that came before the ULP, and some between ULP and key. */
	conn_connect(&c);
	c.peer.tx = make_keys(2);
	peer_send_pattern(&c.peer, 0, 20000, 5000);
	peer_settle(&c.peer);
	conn_attach(&c);
	peer_write(&c.peer, record, seal(&c.peer.tx, DATA, "x", 1, record));
	peer_settle(&c.peer);
	c.peer.tx = make_keys(2);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	/* no callback will announce them */
	EQ(ready(c.fd, POLLIN) & POLLIN, POLLIN);
	recv_pattern(c.fd, 0, 20000);
	EQ(SYS(recv(c.fd, record, 100, 0)), 1);
}

static void no_keys(void)
{
	uint8_t byte;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	FAILS(recv(c.fd, &byte, 1, 0), ENOKEY);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ENOKEY);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_NONE);
	EQ(status_of(c.fd).rx.state, KSSL_STATE_NONE);
	EQ(status_of(c.fd).tx.version, 0);

	/* one direction at a time */
	c.peer.rx = make_keys(1);
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	send_pattern(c.fd, 0, 10);
	peer_expect_pattern(&c.peer, 0, 10);
	FAILS(recv(c.fd, &byte, 1, 0), ENOKEY);
	c.peer.tx = make_keys(2);
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send_pattern(&c.peer, 0, 10, 10);
	recv_pattern(c.fd, 0, 10);
}

/* Without keys nothing was promised to the peer: a plain FIN. */
static void close_without_keys(void)
{
	uint8_t byte;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	close(c.fd);
	EQ(SYS(recv(c.peer.fd, &byte, 1, 0)), 0);
}

/* ---- keys ---- */

static int set_bytes(int fd, const void *key, size_t len)
{
	return setsockopt(fd, SOL_KSSL, KSSL_TX_KEY, key, len);
}

static void key_sizes(void)
{
	struct {
		struct kssl_key key;
		uint8_t more[100];
	} big = {};
	struct kssl_key key;
	struct keys k = make_keys(1);
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	key = key_of(&k);

	FAILS(set_bytes(c.fd, &key, 0), EINVAL);
	FAILS(set_bytes(c.fd, &key, 3), EINVAL);
	FAILS(set_bytes(c.fd, &key, sizeof(key) - 1), EINVAL);
	key.size = 4;
	FAILS(set_bytes(c.fd, &key, sizeof(key)), EINVAL);
	key.size = sizeof(key) + 1;
	FAILS(set_bytes(c.fd, &key, sizeof(key)), EINVAL);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, NULL, sizeof(key)), EFAULT);

	/* what is missing is zero, so this one lacks its key */
	key.size = 4;
	FAILS(set_bytes(c.fd, &key, 4), EOPNOTSUPP);

	big.key = key_of(&k);
	big.key.size = sizeof(big);
	big.more[99] = 1;
	FAILS(set_bytes(c.fd, &big, sizeof(big)), E2BIG);
	big.more[99] = 0;
	big.more[0] = 1;
	FAILS(set_bytes(c.fd, &big, sizeof(big)), E2BIG);
	EQ(status_of(c.fd).tx.epoch, 0);

	/* longer, but zero: as if it were not there */
	big.more[0] = 0;
	SYS(set_bytes(c.fd, &big, sizeof(big)));
	EQ(status_of(c.fd).tx.epoch, 1);
	/* shorter: as if the rest, the MAC key, were zero */
	key = key_of(&k);
	key.size = offsetof(struct kssl_key, mac_key);
	SYS(set_bytes(c.fd, &key, key.size));
	EQ(status_of(c.fd).tx.epoch, 2);
	c.peer.rx = k;
	memset(c.peer.rx.mac_key, 0, sizeof(c.peer.rx.mac_key));
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

static int has_version(uint16_t suite, uint16_t version)
{
	uint16_t id, its;
	unsigned int i;

	for (i = 0; suite_at(i, &id, &its); i++)
		if (id == suite && its == version)
			return 1;
	return 0;
}

static void refuse(struct conn *c, const struct kssl_key *key, int error)
{
	FAILS(setsockopt(c->fd, SOL_KSSL, KSSL_TX_KEY, key, sizeof(*key)), error);
	FAILS(setsockopt(c->fd, SOL_KSSL, KSSL_RX_KEY, key, sizeof(*key)), error);
}

static void bad_keys(void)
{
	struct keys k = make_keys(1);
	struct kssl_key good = key_of(&k);
	struct kssl_key key;
	unsigned int i;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);

#define TRY(member, value, error)	(key = good, key.member = (value), refuse(&c, &key, error))
	for (i = 1; i < 32; i++)
		TRY(flags, 1U << i, EINVAL);
	if (!is_cbc())
		TRY(flags, KSSL_KEY_ETM, EINVAL);
	TRY(key_len, good.key_len - 1, EINVAL);
	TRY(key_len, good.key_len + 1, EINVAL);
	TRY(key_len, 0, EINVAL);
	TRY(key_len, 255, EINVAL);
	TRY(iv_len, good.iv_len - 1, EINVAL);
	TRY(iv_len, good.iv_len + 1, EINVAL);
	TRY(iv_len, 255, EINVAL);
	TRY(mac_key_len, good.mac_key_len - 1, EINVAL);
	TRY(mac_key_len, good.mac_key_len + 1, EINVAL);
	TRY(mac_key_len, 1, EINVAL);
	TRY(mac_key_len, 255, EINVAL);
	if (is_cbc())
		TRY(mac_key_len, 0, EINVAL);
	TRY(reserved, 1, EINVAL);
	/* a number that must not be used, lest the next one wrap */
	TRY(seq, ~0ULL, EINVAL);
	TRY(suite, 0, EOPNOTSUPP);
	TRY(suite, 0xffff, EOPNOTSUPP);
	TRY(suite, 0x00ff, EOPNOTSUPP);
	TRY(version, 0, EOPNOTSUPP);
	TRY(version, 0x0002, EOPNOTSUPP);
	/* Locked, see legacy.c, where there is such a suite. */
	TRY(version, 0x0300, has_version(v->suite.suite, 0x0300) ? EPERM : EOPNOTSUPP);
	TRY(version, 0x0305, EOPNOTSUPP);
	TRY(version, is_13() ? 0x0303 : 0x0304, EOPNOTSUPP);
#undef TRY

	EQ(status_of(c.fd).tx.epoch, 0);
	EQ(status_of(c.fd).rx.epoch, 0);
	EQ(error_of(c.fd).err, 0);
	/* none of it spoilt the socket */
	conn_keys(&c);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* Keys go in and never come out. */
static void keys_stay_inside(void)
{
	static const uint8_t needle[] = { 0xde, 0xad, 0xbe, 0xef, 0x13, 0x37, 0x42, 0x99 };
	uint8_t out[4096];
	struct conn c;
	struct keys k;
	int option;

	conn_connect(&c);
	conn_attach(&c);
	k = make_keys(1);
	memcpy(k.key, needle, sizeof(needle));
	SYS(set_key(c.fd, KSSL_TX_KEY, &k));
	SYS(set_key(c.fd, KSSL_RX_KEY, &k));
	for (option = 0; option < 64; option++) {
		socklen_t len = sizeof(out);

		memset(out, 0, sizeof(out));
		if (option != KSSL_CONTROL)
			getsockopt(c.fd, SOL_KSSL, option, out, &len);
		CHECK(!memmem(out, sizeof(out), needle, sizeof(needle)));
	}
	option = sizeof(out);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, out, (socklen_t *)&option), ENOPROTOOPT);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_RX_KEY, out, (socklen_t *)&option), ENOPROTOOPT);
}

static void unknown_options(void)
{
	uint8_t data[256] = {};
	socklen_t len = sizeof(data);
	struct conn c;

	conn_open(&c);
	FAILS(setsockopt(c.fd, SOL_KSSL, 0, data, len), ENOPROTOOPT);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_CONTROL, data, 4), ENOPROTOOPT);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_STATUS, data, len), ENOPROTOOPT);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_ERROR, data, len), ENOPROTOOPT);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_SUITES, data, len), ENOPROTOOPT);
	FAILS(getsockopt(c.fd, SOL_KSSL, 0, data, &len), ENOPROTOOPT);
	FAILS(getsockopt(c.fd, SOL_KSSL, 9999, data, &len), ENOPROTOOPT);
}

/* ---- what can be asked ---- */

static void status_sizes(void)
{
	struct kssl_status whole, part;
	uint8_t big[1024];
	socklen_t len;
	struct conn c;

	conn_open(&c);
	whole = status_of(c.fd);
	EQ(whole.tx.version, v->suite.version);
	EQ(whole.tx.suite, v->suite.suite);
	EQ(whole.tx.state, KSSL_STATE_ACTIVE);
	EQ(whole.rx.state, KSSL_STATE_ACTIVE);
	EQ(whole.attended, 0);
	EQ(whole.established, 1);
	EQ(whole.tx.epoch, 1);
	EQ(whole.rx.epoch, 1);

	memset(&part, 0xee, sizeof(part));
	len = 8;
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_STATUS, &part, &len));
	EQ(len, 8);
	EQ(part.size, 8);
	EQ(part.attended, 0);
	EQ(part.handshakes, 0xeeeeeeee);
	len = sizeof(big);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_STATUS, big, &len));
	EQ(len, sizeof(whole));
	len = 3;
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_STATUS, big, &len), EINVAL);
	len = sizeof(whole);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_STATUS, NULL, &len), EFAULT);
	len = sizeof(whole);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_ERROR, NULL, &len), EFAULT);
}

static void status_counts(void)
{
	struct kssl_status s;
	struct conn c;

	conn_open(&c);
	send_pattern(c.fd, 0, 20000);
	peer_expect_pattern(&c.peer, 0, 20000);
	EQ(send_typed(c.fd, HANDSHAKE, "abc", 3, 0), 3);
	peer_expect(&c.peer, HANDSHAKE, "abc", 3);
	peer_send_pattern(&c.peer, 0, 3000, 1000);
	recv_pattern(c.fd, 0, 3000);
	peer_send(&c.peer, HANDSHAKE, "hello", 5);
	expect_typed(c.fd, HANDSHAKE, "hello", 5);
	s = status_of(c.fd);
	EQ(s.tx.records, 3);
	EQ(s.tx.bytes, 20000);
	EQ(s.tx.seq, 3);
	EQ(s.rx.records, 4);
	EQ(s.rx.bytes, 3000);
	EQ(s.rx.seq, 4);
	EQ(error_of(c.fd).err, 0);
	EQ(error_of(c.fd).who, KSSL_WHO_NONE);
	EQ(error_of(c.fd).has_alert, 0);
}

/* ---- no way around ---- */

static void send_flags(void)
{
	static const int refused[] = {
		MSG_OOB, MSG_ZEROCOPY, MSG_FASTOPEN, MSG_PEEK, MSG_TRUNC, MSG_ERRQUEUE,
	};
	unsigned int i;
	int on = 1;
	struct conn c;

	conn_open(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		FAILS(send(c.fd, "x", 1, refused[i] | MSG_NOSIGNAL), EOPNOTSUPP);
	EQ(SYS(send(c.fd, "good", 4, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR)), 4);
	peer_expect(&c.peer, DATA, "good", 4);
}

static void recv_flags(void)
{
	static const int refused[] = { MSG_OOB, MSG_ERRQUEUE };
	unsigned int i;
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "x", 1);
	peer_settle(&c.peer);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		FAILS(recv(c.fd, &byte, 1, refused[i]), EOPNOTSUPP);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 1);
}

static void tcp_options(void)
{
	struct tcp_zerocopy_receive zc = {};
	socklen_t len = sizeof(zc);
	struct conn c;
	int value = 1;

	conn_open(&c);
	FAILS(setsockopt(c.fd, IPPROTO_TCP, TCP_REPAIR, &value, sizeof(value)), EOPNOTSUPP);
	FAILS(getsockopt(c.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len), EOPNOTSUPP);
	/* others are TCP's as ever */
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
	value = 0;
	len = sizeof(value);
	SYS(getsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len));
	EQ(value, 1);
}

static void map_socket(void)
{
	struct conn c;
	void *map;

	conn_open(&c);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, c.fd, 0);
	CHECK(map == MAP_FAILED);
}

static void disconnect(void)
{
	struct sockaddr any = { .sa_family = AF_UNSPEC };
	struct conn c;

	conn_open(&c);
	FAILS(connect(c.fd, &any, sizeof(any)), EOPNOTSUPP);
	FAILS(listen(c.fd, 1), EINVAL);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
}

/* ---- more than one owner ---- */

static void duplicates(void)
{
	struct conn c;
	int other;

	conn_open(&c);
	other = SYS(dup(c.fd));
	send_pattern(c.fd, 0, 10);
	send_pattern(other, 10, 10);
	peer_expect_pattern(&c.peer, 0, 20);
	close(c.fd);
	/* not the end yet: what comes next is data, not close_notify */
	send_pattern(other, 20, 10);
	peer_expect_pattern(&c.peer, 20, 10);
	peer_send_pattern(&c.peer, 0, 10, 10);
	recv_pattern(other, 0, 10);
	close(other);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static void after_fork(void)
{
	struct conn c;
	int status;
	pid_t pid;

	conn_open(&c);
	send_pattern(c.fd, 0, 1000);
	pid = SYS(fork());
	if (!pid) {
		send_pattern(c.fd, 1000, 50000);
		_exit(0);
	}
	peer_expect_pattern(&c.peer, 0, 51000);
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	EQ(status, 0);
	send_pattern(c.fd, 51000, 1000);
	peer_expect_pattern(&c.peer, 51000, 1000);
	close(c.fd);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
}

static const struct test tests[] = {
	{ "name_of_ulp", ONCE, name_of_ulp },
	{ "attach_twice", VERSIONS, attach_twice },
	{ "not_connected", VERSIONS, not_connected },
	{ "closing", ONCE, closing },
	{ "in_repair", ONCE, in_repair },
	{ "writer_inside", ONCE, writer_inside },
	{ "data_before", VERSIONS, data_before },
	{ "no_keys", VERSIONS, no_keys },
	{ "close_without_keys", VERSIONS, close_without_keys },
	{ "key_sizes", VERSIONS, key_sizes },
	{ "bad_keys", PROTECTIONS, bad_keys },
	{ "keys_stay_inside", VERSIONS, keys_stay_inside },
	{ "unknown_options", ONCE, unknown_options },
	{ "status_sizes", VERSIONS, status_sizes },
	{ "status_counts", VERSIONS, status_counts },
	{ "send_flags", VERSIONS, send_flags },
	{ "recv_flags", VERSIONS, recv_flags },
	{ "tcp_options", VERSIONS, tcp_options },
	{ "map_socket", ONCE, map_socket },
	{ "disconnect", VERSIONS, disconnect },
	{ "duplicates", VERSIONS, duplicates },
	{ "after_fork", VERSIONS, after_fork },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
