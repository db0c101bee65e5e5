// SPDX-License-Identifier: MIT
/* Armed sockets and what waits for a helper: their options, and the odd ways they can go. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "helper.h"
#include "schedule.h"
#include "tap.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

static int armed_socket(int flags)
{
	int fd = SYS(socket(v->family, SOCK_STREAM | flags, 0));

	SYS(attach(fd));
	return fd;
}

static int armed_client(int flags)
{
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	int fd = armed_socket(flags);

	SYS(shake(fd, &h));
	return fd;
}

static int disconnect(int fd)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	return connect(fd, &unspec, sizeof(unspec));
}

/* A helper takes the connection, and data flows. */
static void served(struct conn *c, int nl)
{
	struct told t;

	c->control = helper_accept(nl, &t);
	new_keys(c);
	hand_over(c);
	conn_both_ways(c, 10000, 5000);
}

/* ---- options ---- */

static struct kssl_policy policy_of(int fd)
{
	struct kssl_policy p;
	socklen_t len = sizeof(p);

	SYS(getsockopt(fd, SOL_KSSL, KSSL_POLICY, &p, &len));
	EQ(len, sizeof(p));
	EQ(p.size, sizeof(p));
	return p;
}

/* FIN without close_notify is an end of file, or it is not. */
static void expect_end(struct conn *c, unsigned int flags)
{
	char x;

	SYS(shutdown(c->peer.fd, SHUT_WR));
	if (flags & KSSL_POLICY_INSECURE_EOF)
		EQ(SYS(recv(c->fd, &x, 1, 0)), 0);
	else
		FAILS(recv(c->fd, &x, 1, 0), ECONNRESET);
	conn_end(c);
}

static void policy_of_client(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_INSECURE_EOF, .lookahead = 1234, .rekey_ms = 3600000 };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct conn c = { .control = -1 };
	struct sockaddr_storage to;
	socklen_t len;

	listener = listen_plain(&to, &len);
	c.fd = armed_client(SOCK_NONBLOCK);
	EQ(policy_of(c.fd).flags, 0);
	SYS(set_policy(c.fd, &p));
	p.flags = 0x8000;
	FAILS(set_policy(c.fd, &p), EINVAL);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_POLICY, nowhere, sizeof(p)), EFAULT);
	EQ(policy_of(c.fd).flags, KSSL_POLICY_INSECURE_EOF);
	EQ(policy_of(c.fd).lookahead, 1234);
	FAILS(connect(c.fd, (void *)&to, len), EINPROGRESS);
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	EQ(policy_of(c.fd).lookahead, 1234);
	served(&c, nl);
	EQ(policy_of(c.fd).lookahead, 1234);
	EQ(policy_of(c.fd).rekey_ms, 3600000);
	expect_end(&c, KSSL_POLICY_INSECURE_EOF);
}

/* Of who comes after it was set; also of who was there before the listener was armed. */
static void policy_of_listener(void)
{
	struct kssl_policy p = { .flags = KSSL_POLICY_INSECURE_EOF, .lookahead = 1234 };
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, early, i;
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	struct sockaddr_storage a;
	socklen_t len;

	listener = listen_plain(&a, &len);
	early = connect_plain(&a, len);
	SYS(attach(listener));
	SYS(shake(listener, &h));
	SYS(set_policy(listener, &p));
	EQ(policy_of(listener).lookahead, 1234);
	for (i = 0; i < 3; i++) {
		struct conn c = { .control = -1 };

		c.peer.fd = i ? connect_plain(&a, len) : early;
		if (i == 2) {
			p.flags = 0;
			p.lookahead = 4321;
			SYS(set_policy(listener, &p));
		}
		c.fd = SYS(accept(listener, NULL, NULL));
		EQ(policy_of(c.fd).lookahead, p.lookahead);
		served(&c, nl);
		expect_end(&c, p.flags);
	}
}

static void options(void)
{
	static const int for_connections[] = {
		KSSL_TX_KEY, KSSL_RX_KEY, KSSL_RENEGOTIATE, KSSL_EXPORTER,
	}, from_connections[] = {
		KSSL_CONTROL, KSSL_RENEGOTIATE, KSSL_SESSION, KSSL_PEER_CHAIN, KSSL_EXPORTER,
	};
	int fds[2], i, value = AF_INET;
	struct sockaddr_storage a;
	uint8_t room[4096] = { 0 };
	socklen_t len;
	unsigned int j;

	fds[0] = armed_client(0);
	fds[1] = listen_armed(&a, &len);
	for (i = 0; i < 2; i++) {
		for (j = 0; j < sizeof(for_connections) / sizeof(*for_connections); j++)
			FAILS(setsockopt(fds[i], SOL_KSSL, for_connections[j], room, sizeof(room)), ENOTCONN);
		for (j = 0; j < sizeof(from_connections) / sizeof(*from_connections); j++) {
			len = sizeof(room);
			FAILS(getsockopt(fds[i], SOL_KSSL, from_connections[j], room, &len), ENOTCONN);
		}
		FAILS(setsockopt(fds[i], SOL_KSSL, 77, room, sizeof(room)), ENOPROTOOPT);
		FAILS(getsockopt(fds[i], SOL_KSSL, 77, room, &len), ENOPROTOOPT);
		FAILS(attach(fds[i]), EEXIST);
		FAILS(setsockopt(fds[i], IPPROTO_TCP, TCP_ULP, "tls", 3), EEXIST);
		FAILS(setsockopt(fds[i], IPPROTO_IPV6, IPV6_ADDRFORM, &value, sizeof(value)), EOPNOTSUPP);
		FAILS(setsockopt(fds[i], IPPROTO_TCP, TCP_REPAIR, &value, sizeof(value)), EOPNOTSUPP);
		SYS(setsockopt(fds[i], SOL_SOCKET, SO_PEEK_OFF, &value, sizeof(value)));
		SYS(setsockopt(fds[i], SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)));
	}
	FAILS(attach(SYS(socket(v->family, SOCK_STREAM, IPPROTO_MPTCP))), ENOPROTOOPT);
}

/* Whichever call is first finds the connection attached. */
static void first_calls(void)
{
	/* What the helper would look at, and nobody else may. */
	static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
	struct sockaddr_storage to;
	socklen_t len;
	int listener = listen_plain(&to, &len), first;

	/* Waiting for a helper; without one it would fail. */
	helper_open(KSSL_GENL_GROUP_HELPERS);
	for (first = 0; first < 5; first++) {
		int client = armed_client(SOCK_NONBLOCK), peer, pipes[2];
		char x;

		at_row((const char *const []){ "ioctl", "splice", "status", "poll", "recv" }[first]);
		FAILS(connect(client, (void *)&to, len), EINPROGRESS);
		peer = SYS(accept(listener, NULL, NULL));
		SYS(send(peer, hello, sizeof(hello), 0));
		SYS(pipe(pipes));
		switch (first) {
		case 0:
			EQ(queued_bytes(client), 0);
			break;
		case 1:
			FAILS(splice(client, NULL, pipes[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
			break;
		case 2:
			EQ(status_of(client).rx.bytes, 0);
			break;
		case 3:
			EQ(ready(client, POLLIN) & POLLIN, 0);
			break;
		case 4:
			FAILS(recv(client, &x, 1, 0), EAGAIN);
		}
		EQ(queued_bytes(client), 0);
		EQ(how_it_stands(client), EINPROGRESS);
		FAILS(recv(client, &x, 1, MSG_DONTWAIT), EAGAIN);
		SYS(close(client));
		SYS(close(peer));
	}
}

/* ---- an accept() from before ---- */

struct sleeper {
	int listener;
	pid_t tid;
	int fd;
	int error;
};

static void *accepts(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->fd = accept(s->listener, NULL, NULL);
	s->error = errno;
	return NULL;
}

static pthread_t asleep(struct sleeper *s)
{
	pthread_t thread = start(accepts, s);

	while (!__atomic_load_n(&s->tid, __ATOMIC_ACQUIRE))
		usleep(500);
	wait_asleep(s->tid);
	return thread;
}

/* Nothing goes in or out of what it gives, in no way; and the next one is as good as any. */
static void slept(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), pipes[2], value = 1;
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	struct kssl_policy p = { .lookahead = 1234 };
	struct conn c = { .control = -1 };
	struct sockaddr_storage a;
	struct sleeper s = { 0 };
	pthread_t thread;
	socklen_t len;
	char room[100];
	int peer;

	s.listener = listen_plain(&a, &len);
	thread = asleep(&s);
	SYS(attach(s.listener));
	SYS(shake(s.listener, &h));
	peer = connect_plain(&a, len);
	finish(thread);
	CHECK(s.fd >= 0);
	SYS(send(peer, "clear", 5, 0));
	SYS(pipe(pipes));
	FAILS(recv(s.fd, room, 1, 0), ECONNABORTED);
	FAILS(splice(s.fd, NULL, pipes[1], NULL, 100, 0), ECONNABORTED);
	FAILS(send(s.fd, "x", 1, MSG_NOSIGNAL), ECONNABORTED);
	SYS(write(pipes[1], "x", 1));
	FAILS(splice(pipes[0], NULL, s.fd, NULL, 1, 0), ECONNABORTED);
	FAILS(shake(s.fd, &h), ECONNABORTED);
	FAILS(set_policy(s.fd, &p), ECONNABORTED);
	FAILS(take_control(s.fd), ECONNABORTED);
	FAILS(setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), ECONNABORTED);
	CHECK(ready(s.fd, POLLIN | POLLOUT) & POLLERR);
	EQ(so_error(s.fd), ECONNABORTED);
	FAILS(connect(s.fd, (void *)&a, sizeof(a)), ECONNABORTED);
	FAILS(listen(s.fd, 1), EINVAL);
	FAILS(disconnect(s.fd), EOPNOTSUPP);
	FAILS(listen(s.fd, 1), EINVAL);
	SYS(close(s.fd));
	FAILS(recv(peer, room, 1, 0), ECONNRESET);
	EQ(policy_of(s.listener).lookahead, 0);

	c.peer.fd = connect_plain(&a, len);
	c.fd = SYS(accept(s.listener, NULL, NULL));
	served(&c, nl);
	conn_end(&c);
}

/* What the peer has reset can still not be told what its listener shall do. */
static void slept_and_reset(void)
{
	struct linger l = { 1, 0 };
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct kssl_policy p = { .lookahead = 1234 }, got;
	struct sockaddr_storage a;
	struct sleeper s = { 0 };
	pthread_t thread;
	socklen_t len;
	int peer;

	s.listener = listen_plain(&a, &len);
	thread = asleep(&s);
	SYS(attach(s.listener));
	peer = connect_plain(&a, len);
	finish(thread);
	CHECK(s.fd >= 0);
	SYS(setsockopt(peer, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	SYS(close(peer));
	wait_ready(s.fd, POLLHUP);
	len = sizeof(got);
	FAILS(shake(s.fd, &h), ECONNABORTED);
	FAILS(set_policy(s.fd, &p), ECONNABORTED);
	FAILS(getsockopt(s.fd, SOL_KSSL, KSSL_POLICY, &got, &len), ECONNABORTED);
	EQ(policy_of(s.listener).lookahead, 0);
	SYS(setsockopt(s.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	SYS(close(s.fd));
}

/* ---- what becomes of a socket ---- */

static void disconnected(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct conn c = { .control = -1 };
	struct sockaddr_storage to;
	socklen_t len;
	char x;

	listener = listen_plain(&to, &len);
	c.fd = armed_client(SOCK_NONBLOCK);
	SYS(disconnect(c.fd));
	FAILS(connect(c.fd, (void *)&to, len), EINPROGRESS);
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	/* TCP is connected, and no call has come by. */
	SYS(disconnect(c.fd));
	FAILS(recv(c.peer.fd, &x, 1, 0), ECONNRESET);
	SYS(close(c.peer.fd));
	FAILS(connect(c.fd, (void *)&to, len), EINPROGRESS);
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	EQ(ready(c.fd, POLLOUT), 0);
	FAILS(disconnect(c.fd), EOPNOTSUPP);
	served(&c, nl);
}

/* Shut down under a sleeping accept(), a listener may listen again, or become a client. */
static void listener_again(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener;
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct conn c = { .control = -1 };
	struct sockaddr_storage a, to;
	struct sleeper s = { 0 };
	socklen_t len, to_len;
	pthread_t thread;
	int left;

	s.listener = listen_armed(&a, &len);
	thread = asleep(&s);
	SYS(shutdown(s.listener, SHUT_RDWR));
	finish(thread);
	EQ(s.fd, -1);
	EQ(s.error, EINVAL);
	SYS(listen(s.listener, 8));
	SYS(getsockname(s.listener, (void *)&a, &len));
	c.peer.fd = connect_plain(&a, len);
	c.fd = SYS(accept(s.listener, NULL, NULL));
	served(&c, nl);
	conn_end(&c);

	left = connect_plain(&a, len);
	SYS(disconnect(s.listener));
	SYS(close(left));
	SYS(shake(s.listener, &h));
	SYS(fcntl(s.listener, F_SETFL, O_NONBLOCK));
	listener = listen_plain(&to, &to_len);
	FAILS(connect(s.listener, (void *)&to, to_len), EINPROGRESS);
	c.fd = s.listener;
	c.peer.fd = SYS(accept(listener, NULL, NULL));
	EQ(ready(c.fd, POLLOUT), 0);
	served(&c, nl);
}

/* A duplicate in another process goes on when this one is closed. */
static void inherited(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, status;
	struct sockaddr_storage a;
	struct told t;
	socklen_t len;
	pid_t pid;
	char x;

	listener = listen_armed(&a, &len);
	pid = SYS(fork());
	if (!pid) {
		SYS(setgid(65534));
		SYS(setuid(65534));
		connect_plain(&a, len);
		listener = SYS(accept(listener, NULL, NULL));
		FAILS(recv(listener, &x, 1, 0), ESRCH);
		_exit(0);
	}
	SYS(close(listener));
	status = helper_accept(nl, &t);
	/* Whoever accepts, it is whoever armed it. */
	EQ(t.number[KSSL_A_UID], 0);
	EQ(t.number[KSSL_A_PID], getpid());
	SYS(close(status));
	SYS(waitpid(pid, &status, 0));
	EQ(status, 0);
}

static void mapped(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, i;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	static const uint8_t loopback4[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
	struct kssl_handshake h6 = wants(KSSL_ROLE_CLIENT);

	for (i = 0; i < 2; i++) {
		struct conn c = { .control = -1 };
		socklen_t len = i ? sizeof(v4) : sizeof(v6);

		listener = SYS(socket(i ? AF_INET : AF_INET6, SOCK_STREAM, 0));
		v4.sin_port = 0;
		v6.sin6_port = 0;
		memset(&v6.sin6_addr, 0, 16);
		SYS(bind(listener, i ? (void *)&v4 : (void *)&v6, len));
		SYS(listen(listener, 1));
		SYS(getsockname(listener, i ? (void *)&v4 : (void *)&v6, &len));
		if (i) {
			c.fd = SYS(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
			SYS(attach(c.fd));
			SYS(shake(c.fd, &h6));
			v6.sin6_port = v4.sin_port;
			memcpy(&v6.sin6_addr, loopback4, 16);
			FAILS(connect(c.fd, (void *)&v6, sizeof(v6)), EINPROGRESS);
			c.peer.fd = SYS(accept(listener, NULL, NULL));
			EQ(ready(c.fd, POLLOUT), 0);
		} else {
			SYS(attach(listener));
			SYS(shake(listener, &h));
			c.peer.fd = SYS(socket(AF_INET, SOCK_STREAM, 0));
			v4.sin_port = v6.sin6_port;
			SYS(connect(c.peer.fd, (void *)&v4, sizeof(v4)));
			c.fd = SYS(accept(listener, NULL, NULL));
		}
		served(&c, nl);
		conn_end(&c);
		SYS(close(listener));
	}
}

/* ---- races ---- */

#define ROUNDS	150

/* Sockets come and go, some with a whole handshake, while they are taken and cancelled. */
static void taker(int nl)
{
	struct told t;
	int i, err;

	for (i = 0; i < 4 * ROUNDS; i++) {
		err = helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, &t);
		CHECK(!err || err == EAGAIN);
		if (!err)
			SYS(close(t.number[KSSL_A_CONTROL]));
	}
}

static void canceller(int nl, uint32_t first)
{
	uint32_t i;
	int err;

	for (i = 0; i < 4 * ROUNDS; i++) {
		err = helper_ask(nl, KSSL_CMD_CANCEL, KSSL_A_ID, first + i % ROUNDS, 0, 0, NULL);
		CHECK(!err || err == ENOENT);
		if (i % 16 == 0)
			helper_dump(nl, i % 32 ? KSSL_CMD_SESSION : KSSL_CMD_FAILURE, 0, 0, NULL);
	}
}

static void taken_cancelled_closed(void)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, i, status;
	struct sockaddr_storage a;
	struct told t;
	pid_t pids[2];
	socklen_t len;

	listener = listen_armed(&a, &len);
	SYS(close(connect_plain(&a, len)));
	i = SYS(accept(listener, NULL, NULL));
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, &t), 0);
	SYS(close(t.number[KSSL_A_CONTROL]));
	SYS(close(i));
	for (i = 0; i < 2; i++) {
		pids[i] = SYS(fork());
		if (pids[i])
			continue;
		nl = helper_open(KSSL_GENL_GROUP_HELPERS);
		if (i)
			canceller(nl, t.number[KSSL_A_ID] + 1);
		else
			taker(nl);
		_exit(0);
	}
	for (i = 0; i < ROUNDS; i++) {
		int peer = connect_plain(&a, len), fd = SYS(accept(listener, NULL, NULL));

		if (i & 1)
			usleep(i * 13 % 700);
		if (i & 2)
			SYS(close(peer));
		SYS(close(fd));
		if (!(i & 2))
			SYS(close(peer));
	}
	for (i = 0; i < 2; i++) {
		SYS(waitpid(pids[i], &status, 0));
		EQ(status, 0);
	}
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, NULL), EAGAIN);
}

/* Children are made while their listener goes. */
static void closed_under_connects(void)
{
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	int i, j, status;

	for (i = 0; i < 40; i++) {
		struct sockaddr_storage a;
		socklen_t len;
		int listener = listen_plain(&a, &len), peers[6];
		pid_t pid = SYS(fork());

		if (!pid) {
			SYS(close(listener));
			for (j = 0; j < 6; j++) {
				peers[j] = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
				connect(peers[j], (void *)&a, len);
			}
			_exit(0);
		}
		SYS(attach(listener));
		usleep(i * 41 % 500);
		SYS(shake(listener, &h));
		if (i % 3 == 0) {
			SYS(fcntl(listener, F_SETFL, O_NONBLOCK));
			j = accept(listener, NULL, NULL);
			CHECK(j >= 0 || errno == EAGAIN || errno == ECONNABORTED);
			if (j >= 0)
				SYS(close(j));
		}
		SYS(i & 1 ? close(listener) : shutdown(listener, SHUT_RDWR));
		if (!(i & 1))
			SYS(close(listener));
		SYS(waitpid(pid, &status, 0));
		EQ(status, 0);
	}
}

/* ---- the end of a namespace, and of the module ---- */

static void *wait_for_ever(void *arg)
{
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);
	struct conn *c = arg;

	shake(c->fd, &h);
	return NULL;
}

/* All there can be in a namespace of its own, in a process that is killed. */
static void leave_everything(int ready_fd)
{
	struct sockaddr_storage a;
	struct sleeper s = { 0 };
	struct conn waits;
	socklen_t len;
	int nl, i;

	alone();
	nl = helper_open(KSSL_GENL_GROUP_HELPERS);
	armed_client(0);
	s.listener = listen_armed(&a, &len);
	for (i = 0; i < 3; i++)
		connect_plain(&a, len);
	for (i = 0; i < 2; i++)
		SYS(accept(s.listener, NULL, NULL));
	EQ(helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, NULL), 0);
	conn_connect(&waits);
	conn_attach(&waits);
	start(wait_for_ever, &waits);
	while (how_it_stands(waits.fd) != EINPROGRESS)
		usleep(500);
	SYS(accept(s.listener, NULL, NULL));
	asleep(&s);
	SYS(write(ready_fd, "x", 1));
	pause();
}

static int references(void)
{
	FILE *file = fopen("/sys/module/kssl/refcnt", "r");
	int count;

	CHECK(file && fscanf(file, "%d", &count) == 1);
	fclose(file);
	return count;
}

static void namespace_ends(void)
{
	int before = references(), pipes[2], status;
	pid_t pid;
	char x;

	SYS(pipe(pipes));
	pid = SYS(fork());
	if (!pid) {
		leave_everything(pipes[1]);
		_exit(1);
	}
	SYS(close(pipes[1]));
	EQ(SYS(read(pipes[0], &x, 1)), 1);
	CHECK(references() > before);
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, &status, 0));
	EQ(WTERMSIG(status), SIGKILL);
	/* the backstop ends this */
	while (references() > before)
		usleep(1000);
}

static int unload(void)
{
	return syscall(SYS_delete_module, "kssl", O_NONBLOCK);
}

/* Armed sockets keep the module, and nothing that they leave does: children in TIME_WAIT neither. */
static void unload_while_armed(void)
{
	struct sockaddr_storage a;
	struct sleeper s = { 0 };
	pthread_t thread;
	socklen_t len;
	int fd, peer, child;

	fd = armed_client(0);
	FAILS(unload(), EAGAIN);
	SYS(disconnect(fd));
	FAILS(unload(), EAGAIN);
	SYS(close(fd));

	s.listener = listen_plain(&a, &len);
	thread = asleep(&s);
	SYS(attach(s.listener));
	FAILS(unload(), EAGAIN);
	peer = connect_plain(&a, len);
	finish(thread);
	CHECK(s.fd >= 0);
	fd = connect_plain(&a, len);
	child = SYS(accept(s.listener, NULL, NULL));
	SYS(close(child));
	SYS(close(fd));
	fd = connect_plain(&a, len);
	SYS(close(s.listener));
	FAILS(unload(), EAGAIN);
	FAILS(shutdown(s.fd, SHUT_WR), ECONNABORTED);
	SYS(close(s.fd));
	SYS(close(peer));
	SYS(close(fd));
	while (unload()) {
		EQ(errno, EAGAIN);
		usleep(1000);
	}
	EQ(system("modprobe kssl"), 0);
}

/* ---- what is told of renegotiations ---- */

static uint64_t next_event(int watch, int event)
{
	struct told t;

	helper_next(watch, &t);
	EQ(t.cmd, KSSL_CMD_EVENT);
	EQ(t.number[KSSL_A_EVENT], event);
	return t.number[KSSL_A_REQUEST];
}

static struct kssl_msg answer(struct conn *c, int err)
{
	struct kssl_msg m = get_event(c->control, KSSL_EV_REQUEST);
	struct kssl_result r = { .id = m.epoch, .err = err };
	struct batch *b = batch_new();

	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	SYS(batch_write(b, c->control));
	free(b);
	return m;
}

static void refusals(void)
{
	static const uint8_t refusal[] = { WARNING, 100 };
	int nl = helper_open(NULL), watch, how = KSSL_RENEG_FULL;
	struct kssl_exporter x = { .size = sizeof(x), .len = 5, .label = "EXPORTER-test" };
	struct batch *b = batch_new();
	struct told t = { 0 };
	struct conn c;
	socklen_t len = sizeof(int);
	int result;

	conn_open_attended(&c);
	helper_dump(nl, KSSL_CMD_SESSION, KSSL_A_STATE, KSSL_SESSION_STATE_ATTENDED, &t);
	EQ(HAS(&t, KSSL_A_REQUEST), 0);
	watch = helper_open(KSSL_GENL_GROUP_EVENTS);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));

	/* The peer refuses. */
	EQ(helper_ask(nl, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, t.number[KSSL_A_ID], KSSL_A_HOW, how, NULL), 0);
	EQ(helper_ask(nl, KSSL_CMD_SESSION, KSSL_A_ID, t.number[KSSL_A_ID], 0, 0, &t), 0);
	EQ(t.number[KSSL_A_REQUEST], EINPROGRESS);
	answer(&c, ECONNREFUSED);
	EQ(next_event(watch, KSSL_EVENT_NL_REFUSED), ECONNREFUSED);
	EQ(helper_ask(nl, KSSL_CMD_SESSION, KSSL_A_ID, t.number[KSSL_A_ID], 0, 0, &t), 0);
	EQ(t.number[KSSL_A_REQUEST], ECONNREFUSED);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &result, &len));
	EQ(result, ECONNREFUSED);

	/* No event is none: neither of what is granted nor of what is no renegotiation. */
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), EINPROGRESS);
	answer(&c, 0);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), EINPROGRESS);
	EQ(answer(&c, EOPNOTSUPP).value, KSSL_ASK_EXPORTER);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), EINPROGRESS);
	answer(&c, EOPNOTSUPP);
	EQ(next_event(watch, KSSL_EVENT_NL_REFUSED), EOPNOTSUPP);

	/* We refuse. */
	batch_record(b, ALERT, refusal, sizeof(refusal));
	SYS(batch_write(b, c.control));
	next_event(watch, KSSL_EVENT_NL_DECLINED);
	peer_expect(&c.peer, ALERT, refusal, sizeof(refusal));

	/* The helper goes away. */
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), EINPROGRESS);
	SYS(close(c.control));
	c.control = -1;
	EQ(next_event(watch, KSSL_EVENT_NL_REFUSED), ESRCH);
	conn_end(&c);
	next_event(watch, KSSL_EVENT_NL_CLOSED);
	free(b);
}

static void refused_by_orphan(void)
{
	static const uint8_t refusal[] = { WARNING, 100 };
	const struct kssl_policy p = { .flags = KSSL_POLICY_ORPHAN };
	int watch;
	struct conn c;

	conn_open_policy(&c, &p);
	watch = helper_open(KSSL_GENL_GROUP_EVENTS);
	SYS(close(c.control));
	c.control = -1;
	next_event(watch, KSSL_EVENT_NL_ORPHANED);
	peer_send_message(&c.peer, CLIENT_HELLO, 10);
	peer_expect(&c.peer, ALERT, refusal, sizeof(refusal));
	next_event(watch, KSSL_EVENT_NL_DECLINED);
	conn_both_ways(&c, 1000, 500);
}

static void key_update(void)
{
	const struct kssl_policy p = { .flags = KSSL_POLICY_KEY_UPDATE };
	int nl = helper_open(NULL), watch;
	struct batch *b = batch_new();
	uint64_t before;
	struct conn c;
	int i;

	conn_open_policy(&c, &p);
	watch = helper_open(KSSL_GENL_GROUP_EVENTS);
	before = helper_counter(nl, KSSL_A_STATS_KEY_UPDATES);
	peer_send_update(&c.peer, UPDATE_REQUESTED);
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	for (i = 0; i < 2; i++)
		next_event(watch, KSSL_EVENT_NL_KEY_UPDATE);
	EQ(helper_counter(nl, KSSL_A_STATS_KEY_UPDATES), before + 2);
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	SYS(batch_write(b, c.control));
	peer_expect_update(&c.peer, UPDATE_NOT_REQUESTED);
	next_event(watch, KSSL_EVENT_NL_KEY_UPDATE);
	EQ(helper_counter(nl, KSSL_A_STATS_KEY_UPDATES), before + 3);
	free(b);
	conn_both_ways(&c, 1000, 500);
}

static const struct test tests[] = {
	{ "policy_of_client", VERSIONS, policy_of_client },
	{ "policy_of_listener", VERSIONS, policy_of_listener },
	{ "options", VERSIONS, options },
	{ "first_calls", VERSIONS, first_calls },
	{ "slept", VERSIONS, slept },
	{ "slept_and_reset", VERSIONS, slept_and_reset },
	{ "disconnected", VERSIONS, disconnected },
	{ "listener_again", VERSIONS, listener_again },
	{ "inherited", ONCE, inherited },
	{ "mapped", ONCE, mapped },
	{ "taken_cancelled_closed", ONCE, taken_cancelled_closed },
	{ "closed_under_connects", VERSIONS, closed_under_connects },
	{ "namespace_ends", ONCE, namespace_ends },
	{ "unload_while_armed", VERSIONS, unload_while_armed },
	{ "refusals", VERSIONS, refusals },
	{ "refused_by_orphan", ONLY_12, refused_by_orphan },
	{ "key_update", WITH_SECRETS, key_update },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
