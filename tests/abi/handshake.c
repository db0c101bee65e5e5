// SPDX-License-Identifier: MIT
/* KSSL_HANDSHAKE: sockets that find a helper by way of netlink, armed before connect or after, and listeners. */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "helper.h"
#include "tap.h"

static int role(void)
{
	return v->server ? KSSL_ROLE_SERVER : KSSL_ROLE_CLIENT;
}

static void nonblocking(int fd)
{
	SYS(fcntl(fd, F_SETFL, O_NONBLOCK));
}

/* Connected, attached, and asked for on a socket that does not block. */
static void ask(struct conn *c)
{
	struct kssl_handshake h = wants(role());

	conn_connect(c);
	conn_attach(c);
	nonblocking(c->fd);
	EQ(how_it_stands(c->fd), ENOTCONN);
	FAILS(shake(c->fd, &h), EINPROGRESS);
}

/* ---- after connect ---- */

static void connected(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct kssl_handshake h = wants(role());
	struct told ready_, t;
	struct conn c;

	ask(&c);
	EQ(how_it_stands(c.fd), EINPROGRESS);
	FAILS(shake(c.fd, &h), EALREADY);
	h.client_cert = 1;
	h.timeout_ms = 1;
	FAILS(shake(c.fd, &h), EINVAL);
	helper_next(nl, &ready_);
	EQ(ready_.cmd, KSSL_CMD_READY);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	FAILS(send(c.fd, "x", 1, 0), EAGAIN);
	FAILS(recv(c.fd, &t, 1, 0), EAGAIN);
	EQ(status_of(c.fd).attended, 0);

	c.control = helper_accept(nl, &t);
	EQ(t.number[KSSL_A_ID], ready_.number[KSSL_A_ID]);
	EQ(t.number[KSSL_A_ROLE], role());
	EQ(t.number[KSSL_A_UID], getuid());
	EQ(t.number[KSSL_A_PID], getpid());
	EQ(HAS(&t, KSSL_A_LISTENER), 0);
	CHECK(!strcmp(t.text[KSSL_A_PROFILE], "client"));
	CHECK(v->server || !strcmp(t.text[KSSL_A_NAME], "www.example.org"));
	CHECK(t.number[KSSL_A_TIMEOUT] > 0 && t.number[KSSL_A_TIMEOUT] <= 30000);
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, NULL), EAGAIN);
	EQ(status_of(c.fd).attended, 1);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);

	hand_over(&c);
	EQ(ready(c.fd, POLLIN | POLLOUT), POLLOUT);
	EQ(so_error(c.fd), 0);
	EQ(how_it_stands(c.fd), 0);
	h = wants(role());
	EQ(shake(c.fd, &h), 0);
	FAILS(shake(c.fd, &h), EISCONN);
	conn_both_ways(&c, 100000, 5000);
	FAILS(take_control(c.fd), EBUSY);
}

struct asker {
	struct conn *c;
	int error;
};

static void *asks(void *arg)
{
	struct kssl_handshake h = wants(role());
	struct asker *a = arg;

	a->error = shake(a->c->fd, &h) ? errno : 0;
	return NULL;
}

static void blocking(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct conn c;
	struct asker a = { .c = &c, .error = -1 };
	struct told t;
	pthread_t thread;

	conn_connect(&c);
	conn_attach(&c);
	thread = start(asks, &a);
	c.control = helper_accept(nl, &t);
	EQ(a.error, -1);
	hand_over(&c);
	finish(thread);
	EQ(a.error, 0);
	conn_both_ways(&c, 100000, 5000);
}

static void refused(void)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EACCES, .who = KSSL_WHO_HELPER,
		.text = "not for this user",
	};
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct conn c;
	struct asker a = { .c = &c, .error = -1 };
	struct batch *b = batch_new();
	struct told t, last = { 0 };
	pthread_t thread;

	conn_connect(&c);
	conn_attach(&c);
	thread = start(asks, &a);
	c.control = helper_accept(nl, &t);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	finish(thread);
	EQ(a.error, EACCES);
	EQ(how_it_stands(c.fd), EACCES);
	CHECK(!strcmp(error_of(c.fd).text, "not for this user"));
	EQ(error_of(c.fd).who, KSSL_WHO_HELPER);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EACCES);
	EQ(t.number[KSSL_A_ID] > 0, 1);
	SYS(close(c.fd));
	c.fd = -1;
	/* What it was for is told also when it is gone. */
	EQ(helper_dump(nl, KSSL_CMD_FAILURE, KSSL_A_ID, t.number[KSSL_A_ID], &last) > 0, 1);
	CHECK(!strcmp(last.text[KSSL_A_PROFILE], "client"));
	CHECK(v->server || !strcmp(last.text[KSSL_A_NAME], "www.example.org"));
}

static void helper_dies(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct conn c;
	struct told t;

	ask(&c);
	SYS(close(helper_accept(nl, &t)));
	EQ(how_it_stands(c.fd), ESRCH);
	wait_ready(c.fd, POLLOUT);
	EQ(so_error(c.fd), ESRCH);
}

static void too_late(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct kssl_handshake h = wants(role());
	struct conn c;

	h.timeout_ms = 20;
	conn_connect(&c);
	conn_attach(&c);
	FAILS(shake(c.fd, &h), ETIMEDOUT);
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, NULL), EAGAIN);
}

static void no_helper(void)
{
	struct kssl_handshake h = wants(role());
	struct conn c;
	int other = helper_open(KSSL_GENL_GROUP_HELPERS);

	alone();
	conn_connect(&c);
	conn_attach(&c);
	FAILS(shake(c.fd, &h), EUNATCH);
	CHECK(strstr(error_of(c.fd).text, "kssld"));
	EQ(helper_ask(other, KSSL_CMD_ACCEPT, 0, 0, 0, 0, NULL), EAGAIN);
}

/* One that goes leaves its sockets to the next. */
static void restarted(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct told t;
	struct conn c;

	SYS(close(nl));
	ask(&c);
	nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	c.control = helper_accept(nl, &t);
	hand_over(&c);
	conn_both_ways(&c, 10000, 5000);
}

static void malformed(void)
{
	struct kssl_handshake good = wants(KSSL_ROLE_CLIENT), h;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
#define TRY(what)							\
	do {								\
		h = good;						\
		what;							\
		at_row(#what);						\
		FAILS(shake(c.fd, &h), EINVAL);				\
	} while (0)
	TRY(h.size--);
	TRY(h.flags = 0x80);
	TRY(h.role = 0);
	TRY(h.role = 3);
	TRY(h.role = KSSL_ROLE_SERVER);
	TRY(h.name[0] = 0);
	TRY(memset(h.name, 'x', sizeof(h.name)));
	TRY(h.name[100] = 'x');
	TRY(memset(h.profile, 'x', sizeof(h.profile)));
	TRY(h.client_cert = 1);
	TRY(h.client_cert = 3);
	TRY(h.pins_count = 5);
	TRY(h.alpn_len = 129);
	TRY((h.alpn_len = 3, memcpy(h.alpn, "\3ab", 3)));
	TRY((h.alpn_len = 1, h.alpn[0] = 0));
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_HANDSHAKE, nowhere, sizeof(h)), EFAULT);
	EQ(error_of(c.fd).err, 0);
}

static void used_before(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	struct told t;
	struct conn c;
	char x;

	conn_connect(&c);
	SYS(send(c.fd, "220 ready\r\n", 11, 0));
	conn_attach(&c);
	FAILS(shake(c.fd, &h), EBADFD);
	h.flags = KSSL_HANDSHAKE_AFTER_PLAINTEXT;
	nonblocking(c.fd);
	FAILS(shake(c.fd, &h), EINPROGRESS);
	SYS(close(helper_accept(nl, &t)));
	EQ(t.number[KSSL_A_FLAGS], KSSL_HANDSHAKE_AFTER_PLAINTEXT);
	conn_end(&c);

	conn_connect(&c);
	peer_write(&c.peer, "x", 1);
	peer_settle(&c.peer);
	h = wants(KSSL_ROLE_CLIENT);
	conn_attach(&c);
	FAILS(shake(c.fd, &h), EBADFD);
	h.flags = KSSL_HANDSHAKE_AFTER_PLAINTEXT;
	FAILS(shake(c.fd, &h), EBADFD);
	conn_end(&c);

	conn_connect(&c);
	peer_write(&c.peer, "x", 1);
	SYS(recv(c.fd, &x, 1, MSG_WAITALL));
	conn_attach(&c);
	h = wants(KSSL_ROLE_SERVER);
	FAILS(shake(c.fd, &h), EBADFD);
	conn_end(&c);

	conn_connect(&c);
	conn_attach(&c);
	SYS(take_control(c.fd));
	FAILS(shake(c.fd, &h), EBUSY);
}

/* ---- before connect ---- */

struct connector {
	int fd;
	struct sockaddr_storage to;
	socklen_t len;
	int error;
};

static void *connects(void *arg)
{
	struct connector *c = arg;

	c->error = connect(c->fd, (void *)&c->to, c->len) ? errno : 0;
	return NULL;
}

static void armed(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct connector k = { .error = -1 };
	struct conn c = { .control = -1 };
	struct told t;
	pthread_t thread;
	socklen_t zero = 0;

	listener = listen_plain(&k.to, &k.len);
	k.fd = SYS(socket(v->family, SOCK_STREAM, 0));
	c.fd = k.fd;
	SYS(attach(c.fd));
	FAILS(attach(c.fd), EEXIST);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, NULL, &zero));
	CHECK(zero > 0);
	FAILS(take_control(c.fd), ENOTCONN);
	EQ(status_of(c.fd).tx.state, KSSL_STATE_NONE);
	SYS(shake(c.fd, &h));
	strcpy(h.name, "other.example.org");
	SYS(shake(c.fd, &h));
	EQ(how_it_stands(c.fd), ENOTCONN);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(recv(c.fd, &t, 1, 0), ENOTCONN);

	thread = start(connects, &k);
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	c.control = helper_accept(nl, &t);
	CHECK(!strcmp(t.text[KSSL_A_NAME], "other.example.org"));
	EQ(k.error, -1);
	new_keys(&c);
	hand_over(&c);
	finish(thread);
	EQ(k.error, 0);
	FAILS(connect(c.fd, (void *)&k.to, k.len), EISCONN);
	conn_both_ways(&c, 100000, 5000);
}

static void armed_nonblocking(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct conn c = { .control = -1 };
	struct sockaddr_storage to;
	struct told t;
	socklen_t len;

	listener = listen_plain(&to, &len);
	c.fd = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
	SYS(attach(c.fd));
	SYS(shake(c.fd, &h));
	FAILS(connect(c.fd, (void *)&to, len), EINPROGRESS);
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	/* Connected, but not in TLS: not writable, whoever looks. */
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	FAILS(send(c.fd, "x", 1, 0), EAGAIN);
	FAILS(connect(c.fd, (void *)&to, len), EALREADY);
	c.control = helper_accept(nl, &t);
	EQ(ready(c.fd, POLLIN | POLLOUT), 0);
	new_keys(&c);
	conn_hand_over(&c);
	EQ(ready(c.fd, POLLIN | POLLOUT), POLLOUT);
	EQ(so_error(c.fd), 0);
	EQ(connect(c.fd, (void *)&to, len), 0);
	FAILS(connect(c.fd, (void *)&to, len), EISCONN);
	SYS(fcntl(c.fd, F_SETFL, 0));
	conn_both_ways(&c, 100000, 5000);
}

/* Who never polls but writes gets as far. */
static void *writes(void *arg)
{
	struct connector *k = arg;

	k->error = send(k->fd, "hello", 5, 0) == 5 ? 0 : errno;
	return NULL;
}

static void armed_writer(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct conn c = { .control = -1 };
	struct connector k = { .error = -1 };
	struct told t;
	pthread_t thread;

	listener = listen_plain(&k.to, &k.len);
	k.fd = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
	c.fd = k.fd;
	SYS(attach(c.fd));
	SYS(shake(c.fd, &h));
	FAILS(connect(c.fd, (void *)&k.to, k.len), EINPROGRESS);
	SYS(fcntl(c.fd, F_SETFL, 0));
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	thread = start(writes, &k);
	c.control = helper_accept(nl, &t);
	new_keys(&c);
	hand_over(&c);
	finish(thread);
	EQ(k.error, 0);
	peer_expect(&c.peer, DATA, "hello", 5);
}

static void nobody_there(void)
{
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct sockaddr_storage to;
	socklen_t len;
	int fd = SYS(socket(v->family, SOCK_STREAM, 0));

	SYS(close(listen_plain(&to, &len)));
	SYS(attach(fd));
	SYS(shake(fd, &h));
	FAILS(connect(fd, (void *)&to, len), ECONNREFUSED);
	/* as in TCP, once more */
	FAILS(connect(fd, (void *)&to, len), ECONNREFUSED);
	SYS(close(fd));
}

/* Armed without a handshake: the helper is the application, and no byte goes in clear. */
static void armed_for_the_library(void)
{
	struct conn c = { .control = -1 };
	struct sockaddr_storage to;
	socklen_t len;
	int listener = listen_plain(&to, &len);

	c.fd = SYS(socket(v->family, SOCK_STREAM, 0));
	SYS(attach(c.fd));
	SYS(connect(c.fd, (void *)&to, len));
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ENOKEY);
	new_keys(&c);
	c.control = SYS(take_control(c.fd));
	conn_hand_over(&c);
	conn_both_ways(&c, 100000, 5000);
}

static void fast_open(void)
{
	int fd = SYS(socket(v->family, SOCK_STREAM, 0)), on = 1;
	struct sockaddr_storage to;
	socklen_t len = loopback(&to, htons(9));

	SYS(attach(fd));
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)), EOPNOTSUPP);
	FAILS(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on)), EOPNOTSUPP);
	FAILS(sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&to, len), EOPNOTSUPP);
	SYS(close(fd));
	fd = SYS(socket(v->family, SOCK_STREAM, 0));
	SYS(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	FAILS(attach(fd), EOPNOTSUPP);
}

/* ---- listeners ---- */

static void listening(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, i;
	struct sockaddr_storage a;
	uint64_t number = 0;
	struct told t;
	socklen_t len;

	listener = listen_armed(&a, &len);
	for (i = 0; i < 3; i++) {
		struct conn c = { .control = -1 };

		c.peer.fd = connect_plain(&a, len);
		/* It does not wait for a handshake ... */
		c.fd = SYS(accept(listener, NULL, NULL));
		EQ(how_it_stands(c.fd), EINPROGRESS);
		/* ... and its reader and writer do. */
		FAILS(recv(c.fd, &t, 1, MSG_DONTWAIT), EAGAIN);
		FAILS(send(c.fd, "x", 1, MSG_DONTWAIT), EAGAIN);
		c.control = helper_accept(nl, &t);
		CHECK(!strcmp(t.text[KSSL_A_PROFILE], "web"));
		EQ(t.number[KSSL_A_ROLE], KSSL_ROLE_SERVER);
		CHECK(HAS(&t, KSSL_A_LISTENER) && (!number || number == t.number[KSSL_A_LISTENER]));
		number = t.number[KSSL_A_LISTENER];
		new_keys(&c);
		hand_over(&c);
		conn_both_ways(&c, 10000, 5000);
		conn_end(&c);
	}
}

/* A listener has so many handshakes at a time and no more; another one is served. */
static void too_many(void)
{
	const struct rlimit files = { 4096, 4096 };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listeners[2], first = -1, fd, i;
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	struct sockaddr_storage a[2];
	struct told t;
	socklen_t len;

	SYS(setrlimit(RLIMIT_NOFILE, &files));
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, &t), EAGAIN);
	listeners[0] = listen_armed(&a[0], &len);
	listeners[1] = listen_armed(&a[1], &len);
	/* None ends while the others come, however slow this machine is. */
	h.timeout_ms = 3600000;
	SYS(shake(listeners[0], &h));
	for (i = 0; i < 1024; i++) {
		connect_plain(&a[0], len);
		fd = SYS(accept(listeners[0], NULL, NULL));
		EQ(how_it_stands(fd), EINPROGRESS);
		if (first < 0)
			first = fd;
	}
	connect_plain(&a[0], len);
	fd = SYS(accept(listeners[0], NULL, NULL));
	EQ(how_it_stands(fd), EUSERS);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EUSERS);
	connect_plain(&a[1], len);
	EQ(how_it_stands(SYS(accept(listeners[1], NULL, NULL))), EINPROGRESS);
	/* One leaves, one may come. */
	SYS(close(first));
	connect_plain(&a[0], len);
	EQ(how_it_stands(SYS(accept(listeners[0], NULL, NULL))), EINPROGRESS);
}

/* Who was in the queue before it was armed. */
static void queued_before(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	struct conn c = { .control = -1 };
	struct sockaddr_storage a;
	struct told t;
	socklen_t len;

	listener = listen_plain(&a, &len);
	c.peer.fd = connect_plain(&a, len);
	SYS(attach(listener));
	SYS(shake(listener, &h));
	c.fd = SYS(accept(listener, NULL, NULL));
	FAILS(send(c.fd, "x", 1, MSG_DONTWAIT), EAGAIN);
	c.control = helper_accept(nl, &t);
	new_keys(&c);
	hand_over(&c);
	conn_both_ways(&c, 10000, 5000);
}

/* Armed before listen(), and closed with children nobody accepted, and some gone. */
static void never_accepted(void)
{
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	int fd = SYS(socket(v->family, SOCK_STREAM, 0)), i, peers[4];
	struct sockaddr_storage a;
	socklen_t len = loopback(&a, 0);

	SYS(attach(fd));
	SYS(shake(fd, &h));
	SYS(bind(fd, (void *)&a, len));
	SYS(listen(fd, 8));
	SYS(getsockname(fd, (void *)&a, &len));
	for (i = 0; i < 4; i++)
		peers[i] = connect_plain(&a, len);
	SYS(send(peers[0], "x", 1, 0));
	SYS(close(peers[1]));
	SYS(close(fd));
	FAILS(recv(peers[2], &a, 1, 0), ECONNRESET);
}

static void child_without_helper(void)
{
	struct sockaddr_storage a;
	socklen_t len;
	int listener, peer, fd;

	alone();
	listener = listen_armed(&a, &len);
	peer = connect_plain(&a, len);
	fd = SYS(accept(listener, NULL, NULL));
	FAILS(recv(fd, &a, 1, 0), EUNATCH);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EUNATCH);
	SYS(close(fd));
	SYS(close(peer));
}

/* ---- what is told ---- */

static void session(void)
{
	static const uint8_t chain[] = { 0, 0, 3, 'a', 'b', 'c' };
	struct kssl_session s = {
		.size = sizeof(s), .flags = KSSL_SESSION_RESUMED, .verify = 18, .end_point_len = 3,
		.profile = "p", .name = "n.example", .alpn = "http/1.1", .end_point = "xyz",
	}, got = { .size = sizeof(got) };
	struct {
		struct kssl_session s;
		uint32_t more;
	} longer = { 0 };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct batch *b = batch_new();
	socklen_t len = sizeof(got);
	uint8_t buf[100];
	struct told t;
	struct conn c;

	ask(&c);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_SESSION, &got, &len), ENODATA);
	c.control = helper_accept(nl, &t);
	hand_over(&c);
	batch_add(b, KSSL_OP_SESSION, 0, &s, sizeof(s));
	batch_add(b, KSSL_OP_PEER_CHAIN, 0, chain, sizeof(chain));
	SYS(batch_write(b, c.control));
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SESSION, &got, &len));
	s.chain_len = sizeof(chain);
	CHECK(!memcmp(&s, &got, sizeof(s)));
	len = sizeof(chain) - 1;
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_PEER_CHAIN, buf, &len), EMSGSIZE);
	len = sizeof(buf);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_PEER_CHAIN, buf, &len));
	EQ(len, sizeof(chain));
	CHECK(!memcmp(buf, chain, len));

	EQ(helper_ask(nl, KSSL_CMD_SESSION, KSSL_A_ID, t.number[KSSL_A_ID], 0, 0, &t), 0);
	CHECK(!strcmp(t.text[KSSL_A_ALPN], "http/1.1") && !strcmp(t.text[KSSL_A_NAME], "n.example"));
	EQ(t.number[KSSL_A_STATE], KSSL_SESSION_STATE_ATTENDED);
	EQ(t.number[KSSL_A_HANDSHAKES], 1);

	batch_add(b, KSSL_OP_PEER_CHAIN, 0, NULL, 0);
	SYS(batch_write(b, c.control));
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_PEER_CHAIN, buf, &len), ENODATA);
	longer.s = s;
	longer.s.size = sizeof(longer);
	batch_add(b, KSSL_OP_SESSION, 0, &longer, sizeof(longer));
	SYS(batch_write(b, c.control));
	longer.more = 1;
	batch_add(b, KSSL_OP_SESSION, 0, &longer, sizeof(longer));
	FAILS(batch_write(b, c.control), E2BIG);
	s.end_point_len = 65;
	batch_add(b, KSSL_OP_SESSION, 0, &s, sizeof(s));
	FAILS(batch_write(b, c.control), EINVAL);
}

static void exporter(void)
{
	struct kssl_exporter x = {
		.size = sizeof(x), .len = 5, .label = "EXPORTER-test", .has_context = 1, .context_len = 2,
		.context = "ab",
	}, got = { .size = sizeof(got) };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct kssl_result r = { 0 };
	struct batch *b = batch_new();
	socklen_t len = 100;
	uint8_t buf[100];
	struct kssl_msg m;
	struct told t;
	struct conn c;

	ask(&c);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), ENOTCONN);
	c.control = helper_accept(nl, &t);
	FAILS(ioctl(c.control, KSSL_IOC_EXPORTER, &got), ENODATA);
	hand_over(&c);
	nonblocking(c.fd);
	x.len = 1025;
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), EINVAL);
	x.len = 5;
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), EINPROGRESS);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), EALREADY);
	m = get_event(c.control, KSSL_EV_REQUEST);
	EQ(m.value, KSSL_ASK_EXPORTER);
	SYS(ioctl(c.control, KSSL_IOC_EXPORTER, &got));
	CHECK(!memcmp(&got, &x, sizeof(x)));
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, buf, &len), ENODATA);
	r.id = m.epoch;
	batch_add(b, KSSL_OP_EXPORTER, 0, "1234", 4);
	FAILS(batch_write(b, c.control), EINVAL);
	batch_add(b, KSSL_OP_EXPORTER, 0, "12345", 5);
	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	SYS(batch_write(b, c.control));
	len = 100;
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, buf, &len));
	EQ(len, 5);
	CHECK(!memcmp(buf, "12345", 5));
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, buf, &len), ENODATA);
}

static void by_ioctl(void)
{
	struct kssl_policy p = { .size = sizeof(p), .lookahead = 1000 }, got = { .size = sizeof(got) };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct kssl_status s = { .size = sizeof(s) };
	struct kssl_error e = { .size = 12 };
	socklen_t len = sizeof(got);
	struct told t;
	struct conn c;

	ask(&c);
	c.control = helper_accept(nl, &t);
	SYS(ioctl(c.control, KSSL_IOC_POLICY, &p));
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_POLICY, &got, &len));
	EQ(got.lookahead, 1000);
	p.flags = 0x8000;
	FAILS(ioctl(c.control, KSSL_IOC_POLICY, &p), EINVAL);
	FAILS(ioctl(c.control, KSSL_IOC_POLICY, nowhere), EFAULT);
	FAILS(ioctl(c.control, 1234, &p), ENOTTY);
	hand_over(&c);
	SYS(ioctl(c.control, KSSL_IOC_STATUS, &s));
	EQ(s.size, sizeof(s));
	EQ(s.handshakes, 1);
	EQ(s.tx.suite, v->suite.suite);
	SYS(ioctl(c.control, KSSL_IOC_ERROR, &e));
	EQ(e.size, 12);
	EQ(e.err, 0);
	SYS(close(c.fd));
	c.fd = -1;
	FAILS(ioctl(c.control, KSSL_IOC_STATUS, &s), ENOTCONN);
	FAILS(ioctl(c.control, KSSL_IOC_POLICY, &got), ENOTCONN);
}

static void events(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), watch = helper_open(KSSL_GENL_GROUP_EVENTS);
	struct told t;
	struct conn c;
	uint64_t id;

	ask(&c);
	helper_next(watch, &t);
	EQ(t.number[KSSL_A_EVENT], KSSL_EVENT_NL_ATTACHED);
	c.control = helper_accept(nl, &t);
	id = t.number[KSSL_A_ID];
	hand_over(&c);
	helper_next(watch, &t);
	EQ(t.number[KSSL_A_EVENT], KSSL_EVENT_NL_HANDSHAKE);
	EQ(t.number[KSSL_A_ID], id);

	EQ(helper_ask(nl, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, id, KSSL_A_HOW, KSSL_RENEG_FULL, NULL), 0);
	EQ(get_event(c.control, KSSL_EV_REQUEST).value, KSSL_RENEG_FULL);
	EQ(helper_ask(nl, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, id, KSSL_A_HOW, 77, NULL), EINVAL);
	EQ(helper_ask(nl, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, id, KSSL_A_HOW, 0, NULL), EALREADY);
	CHECK(helper_sentence[0]);

	EQ(helper_ask(nl, KSSL_CMD_CANCEL, KSSL_A_ID, id, 0, 0, NULL), 0);
	helper_next(watch, &t);
	EQ(t.number[KSSL_A_EVENT], KSSL_EVENT_NL_FAILED);
	EQ(t.number[KSSL_A_ERROR], ECANCELED);
	peer_expect_alert(&c.peer, FATAL, USER_CANCELED);
	FAILS(send(c.fd, "x", 1, MSG_NOSIGNAL), ECANCELED);
	CHECK(helper_dump(nl, KSSL_CMD_SESSION, KSSL_A_ID, id, &t) > 0);
	EQ(t.number[KSSL_A_STATE], KSSL_SESSION_STATE_FAILED);
	conn_end(&c);
	helper_next(watch, &t);
	EQ(t.number[KSSL_A_EVENT], KSSL_EVENT_NL_CLOSED);
	memset(&t, 0, sizeof(t));
	CHECK(helper_dump(nl, KSSL_CMD_FAILURE, KSSL_A_ID, id, &t) > 0);
	EQ(t.number[KSSL_A_ID], id);
	EQ(t.number[KSSL_A_ERROR], ECANCELED);
	EQ(helper_ask(nl, KSSL_CMD_CANCEL, KSSL_A_ID, id, 0, 0, NULL), ENOENT);
	EQ(helper_ask(nl, KSSL_CMD_STATS, 0, 0, 0, 0, &t), 0);
	CHECK(HAS(&t, KSSL_A_STATS));
}

static void versions(void)
{
	int nl = helper_open(NULL);
	struct told t;

	EQ(helper_ask(nl, KSSL_CMD_VERSION, KSSL_A_ABI, KSSL_ABI, 0, 0, &t), 0);
	EQ(t.number[KSSL_A_ABI], KSSL_ABI);
	CHECK(t.len[KSSL_A_MODULE] > 1);
	EQ(helper_ask(nl, KSSL_CMD_VERSION, KSSL_A_ABI, KSSL_ABI + 1, 0, 0, NULL), EPROTONOSUPPORT);
	CHECK(strstr(helper_sentence, "module is older"));
	EQ(helper_ask(nl, KSSL_CMD_VERSION, KSSL_A_ABI, KSSL_ABI - 1, 0, 0, NULL), EPROTONOSUPPORT);
	CHECK(strstr(helper_sentence, "program is older"));
	EQ(helper_ask(nl, KSSL_CMD_VERSION, 0, 0, 0, 0, NULL), EINVAL);
	CHECK(helper_sentence[0]);
}

/* What another user may not, and does not see. */
static void others(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	struct told t, ignored;
	struct conn c;
	uint32_t id;
	pid_t pid;
	int status;

	ask(&c);
	c.control = helper_accept(nl, &t);
	id = t.number[KSSL_A_ID];
	hand_over(&c);
	pid = SYS(fork());
	if (!pid) {
		int own;

		SYS(setgid(65534));
		SYS(setuid(65534));
		EQ(helper_open(KSSL_GENL_GROUP_HELPERS), -1);
		EQ(helper_open(KSSL_GENL_GROUP_EVENTS), -1);
		own = helper_open(NULL);
		EQ(helper_ask(own, KSSL_CMD_ACCEPT, 0, 0, 0, 0, &ignored), EPERM);
		EQ(helper_dump(own, KSSL_CMD_SESSION, 0, 0, NULL), 0);
		EQ(helper_ask(own, KSSL_CMD_SESSION, KSSL_A_ID, id, 0, 0, &ignored), ENOENT);
		EQ(helper_ask(own, KSSL_CMD_CANCEL, KSSL_A_ID, id, 0, 0, &ignored), ENOENT);
		EQ(helper_ask(own, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, id, KSSL_A_HOW, 0, &ignored), ENOENT);
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	EQ(status, 0);
	conn_both_ways(&c, 1000, 500);
}

static const struct test tests[] = {
	{ "connected", VERSIONS, connected },
	{ "blocking", VERSIONS, blocking },
	{ "refused", VERSIONS, refused },
	{ "helper_dies", VERSIONS, helper_dies },
	{ "too_late", ONCE, too_late },
	{ "no_helper", ONCE, no_helper },
	{ "restarted", ONCE, restarted },
	{ "malformed", ONCE, malformed },
	{ "used_before", ONCE, used_before },
	{ "armed", VERSIONS, armed },
	{ "armed_nonblocking", VERSIONS, armed_nonblocking },
	{ "armed_writer", VERSIONS, armed_writer },
	{ "nobody_there", VERSIONS, nobody_there },
	{ "armed_for_the_library", VERSIONS, armed_for_the_library },
	{ "fast_open", ONCE, fast_open },
	{ "listening", VERSIONS, listening },
	{ "too_many", ONCE, too_many },
	{ "queued_before", VERSIONS, queued_before },
	{ "never_accepted", VERSIONS, never_accepted },
	{ "child_without_helper", ONCE, child_without_helper },
	{ "session", ONCE, session },
	{ "exporter", ONCE, exporter },
	{ "by_ioctl", VERSIONS, by_ioctl },
	{ "events", VERSIONS, events },
	{ "versions", ONCE, versions },
	{ "others", ONCE, others },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
