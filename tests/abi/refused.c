// SPDX-License-Identifier: MIT
/* What would lead around the record layer, or under it, and its errno. */
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif
#ifndef TCP_ULP
#define TCP_ULP		31
#endif

/* Everything still works, with the numbers it had. */
static void expect_unharmed(struct conn *c)
{
	send_pattern(c->fd, 0, 20000);
	peer_expect_pattern(&c->peer, 0, 20000);
	peer_send_pattern(&c->peer, 0, 20000, 16384);
	recv_pattern(c->fd, 0, 20000);
	EQ(error_of(c->fd).err, 0);
}

static void urgent(void)
{
	struct conn c;
	char byte;

	conn_open(&c);
	FAILS(send(c.fd, "x", 1, MSG_OOB | MSG_NOSIGNAL), EOPNOTSUPP);
	FAILS(recv(c.fd, &byte, 1, MSG_OOB), EOPNOTSUPP);
	EQ(ready(c.fd, POLLPRI), 0);
	expect_unharmed(&c);
}

/* The peer's urgent byte is a byte of the stream like any other. */
static void urgent_peer(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;
	size_t len;

	conn_open(&c);
	len = seal(&c.peer.tx, DATA, "data", 4, record);
	EQ(SYS(send(c.peer.fd, record, len, MSG_OOB)), len);
	expect_typed(c.fd, DATA, "data", 4);
	EQ(ready(c.fd, POLLPRI), 0);
	expect_unharmed(&c);
}

static void flags(void)
{
	static const int send_flags[] = { MSG_FASTOPEN, MSG_ZEROCOPY, MSG_SYN, MSG_RST, MSG_FIN, MSG_PEEK };
	static const int recv_flags[] = { MSG_ERRQUEUE, MSG_ZEROCOPY, MSG_FASTOPEN };
	unsigned int i;
	struct conn c;
	char byte;

	conn_open(&c);
	for (i = 0; i < sizeof(send_flags) / sizeof(send_flags[0]); i++)
		FAILS(send(c.fd, "x", 1, send_flags[i] | MSG_NOSIGNAL), EOPNOTSUPP);
	for (i = 0; i < sizeof(recv_flags) / sizeof(recv_flags[0]); i++)
		FAILS(recv(c.fd, &byte, 1, recv_flags[i] | MSG_DONTWAIT), EOPNOTSUPP);
	FAILS(send(c.fd, "x", 1, MSG_MORE | MSG_EOR | MSG_NOSIGNAL), EINVAL);
	expect_unharmed(&c);
}

/* Before the attach or after, there is no sending without a copy. */
static void zerocopy(void)
{
	struct conn c;
	int on = 1;

	conn_connect(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	conn_attach(&c);
	conn_keys(&c);
	FAILS(send(c.fd, "x", 1, MSG_ZEROCOPY | MSG_NOSIGNAL), EOPNOTSUPP);
	expect_unharmed(&c);
}

static void repair(void)
{
	static const int options[] = {
		TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_REPAIR_OPTIONS, TCP_REPAIR_WINDOW,
	};
	uint8_t value[64] = { 1 };
	unsigned int i;
	struct conn c;

	conn_open(&c);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		socklen_t len = sizeof(value);

		FAILS(setsockopt(c.fd, IPPROTO_TCP, options[i], value, sizeof(int)), EOPNOTSUPP);
		FAILS(getsockopt(c.fd, IPPROTO_TCP, options[i], value, &len), EOPNOTSUPP);
	}
	expect_unharmed(&c);
}

/* Nor may a socket under repair be attached. */
static void repair_before(void)
{
	struct conn c;
	int on = 1;

	conn_connect(&c);
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	FAILS(attach(c.fd), EOPNOTSUPP);
	on = -1;	/* off, and no window probe */
	SYS(setsockopt(c.fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	conn_attach(&c);
	conn_keys(&c);
	expect_unharmed(&c);
}

static void zerocopy_receive(void)
{
	struct tcp_zerocopy_receive zc = {};
	socklen_t len = sizeof(zc);
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 8192, 8192);
	peer_settle(&c.peer);
	FAILS(getsockopt(c.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len), EOPNOTSUPP);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, c.fd, 0) == -1 ? -1 : 0, EOPNOTSUPP);
	recv_pattern(c.fd, 0, 8192);
	expect_unharmed(&c);
}

/* ---- sockmap ---- */

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int new_sockmap(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1,
	};

	return SYS(bpf(BPF_MAP_CREATE, &attr));
}

static int put_in(int map, int fd)
{
	int key = 0;
	union bpf_attr attr = {
		.map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)&fd,
	};

	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static void sockmap_after(void)
{
	int map = new_sockmap();
	struct conn c;

	conn_open(&c);
	FAILS(put_in(map, c.fd), EINVAL);
	expect_unharmed(&c);
	/* the map itself is fine */
	SYS(put_in(map, c.peer.fd));
}

static void sockmap_before(void)
{
	int map = new_sockmap();
	struct conn c;

	conn_connect(&c);
	SYS(put_in(map, c.fd));
	CHECK(attach(c.fd) < 0);
	/* which of the two says so first differs */
	CHECK(errno == EOPNOTSUPP || errno == EINVAL || errno == EBUSY);
	send_pattern(c.fd, 0, 100);
	recv_pattern(c.peer.fd, 0, 100);
}

/* ---- other sockets, other states ---- */

static void twice(void)
{
	struct conn c;

	conn_open(&c);
	FAILS(attach(c.fd), EEXIST);
	FAILS(setsockopt(c.fd, IPPROTO_TCP, TCP_ULP, "tls", 3), EEXIST);
	expect_unharmed(&c);
}

static void check_both(int a, int b)
{
	struct conn c = { .fd = a, .control = -1, .peer.fd = b };

	conn_attach(&c);
	conn_keys(&c);
	expect_unharmed(&c);
	close(a);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	close(b);
}

static void mptcp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = SYS(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	int client = SYS(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	socklen_t len = sizeof(in);
	int server;

	SYS(bind(listener, (void *)&in, sizeof(in)));
	SYS(listen(listener, 1));
	SYS(getsockname(listener, (void *)&in, &len));
	SYS(connect(client, (void *)&in, sizeof(in)));
	server = SYS(accept(listener, NULL, NULL));
	FAILS(attach(client), ENOPROTOOPT);
	FAILS(attach(server), ENOPROTOOPT);
	FAILS(attach(listener), ENOPROTOOPT);
	send_pattern(client, 0, 1000);
	recv_pattern(server, 0, 1000);
	close(client);
	/* Whoever comes by TCP has a socket of TCP. */
	client = SYS(socket(AF_INET, SOCK_STREAM, 0));
	SYS(connect(client, (void *)&in, sizeof(in)));
	check_both(SYS(accept(listener, NULL, NULL)), client);
}

static void disconnect(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct conn c;

	conn_open(&c);
	FAILS(connect(c.fd, &none, sizeof(none)), EOPNOTSUPP);
	expect_unharmed(&c);
	FAILS(listen(c.fd, 1), EINVAL);
	expect_unharmed(&c);
}

/* ---- addresses ---- */

/* An IPv6 socket that speaks IPv4. */
static void mapped(void)
{
	int kssl_is_server, options;

	for (kssl_is_server = 0; kssl_is_server < 2; kssl_is_server++)
		for (options = 0; options < 2; options++) {
			struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
			int listener = SYS(socket(AF_INET6, SOCK_STREAM, 0));
			int client = SYS(socket(AF_INET6, SOCK_STREAM, 0));
			socklen_t len = sizeof(in6);
			int server, family = AF_INET;

			in6.sin6_addr.s6_addr32[2] = htonl(0xffff);
			in6.sin6_addr.s6_addr32[3] = htonl(INADDR_LOOPBACK);
			SYS(bind(listener, (void *)&in6, sizeof(in6)));
			SYS(listen(listener, 1));
			SYS(getsockname(listener, (void *)&in6, &len));
			SYS(connect(client, (void *)&in6, sizeof(in6)));
			server = SYS(accept(listener, NULL, NULL));
			/* one that becomes an IPv4 socket first */
			if (options)
				SYS(setsockopt(kssl_is_server ? server : client, IPPROTO_IPV6, IPV6_ADDRFORM,
					       &family, sizeof(family)));
			check_both(kssl_is_server ? server : client, kssl_is_server ? client : server);
			close(listener);
		}
}

/* Once attached it stays what it is. */
static void mapped_no_change(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	int listener = SYS(socket(AF_INET6, SOCK_STREAM, 0));
	int client = SYS(socket(AF_INET6, SOCK_STREAM, 0));
	socklen_t len = sizeof(in6);
	int family = AF_INET;
	struct conn c = { .fd = client, .control = -1 };

	in6.sin6_addr.s6_addr32[2] = htonl(0xffff);
	in6.sin6_addr.s6_addr32[3] = htonl(INADDR_LOOPBACK);
	SYS(bind(listener, (void *)&in6, sizeof(in6)));
	SYS(listen(listener, 1));
	SYS(getsockname(listener, (void *)&in6, &len));
	SYS(connect(client, (void *)&in6, sizeof(in6)));
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	conn_attach(&c);
	conn_keys(&c);
	FAILS(setsockopt(c.fd, IPPROTO_IPV6, IPV6_ADDRFORM, &family, sizeof(family)), EBUSY);
	expect_unharmed(&c);
}

static const struct test tests[] = {
	{ "urgent", VERSIONS, urgent },
	{ "urgent_peer", VERSIONS, urgent_peer },
	{ "flags", VERSIONS, flags },
	{ "zerocopy", VERSIONS, zerocopy },
	{ "repair", VERSIONS, repair },
	{ "repair_before", VERSIONS, repair_before },
	{ "zerocopy_receive", VERSIONS, zerocopy_receive },
	{ "sockmap_after", VERSIONS, sockmap_after },
	{ "sockmap_before", VERSIONS, sockmap_before },
	{ "twice", VERSIONS, twice },
	{ "mptcp", ONCE, mptcp },
	{ "disconnect", VERSIONS, disconnect },
	{ "mapped", ONLY_13, mapped },
	{ "mapped_no_change", ONCE, mapped_no_change },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
