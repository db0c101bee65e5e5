// SPDX-License-Identifier: MIT
/* Paths of armed sockets, and of those that wait for a helper. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include "../../abi/helper.h"
#include "fault.h"

static void serve(struct conn *c, int nl)
{
	struct told t;

	c->control = helper_accept(nl, &t);
	new_keys(c);
	hand_over(c);
	conn_both_ways(c, 100, 100);
	conn_end(c);
}

/* Connected at TCP, with the peer's end; no call has come by since. */
static void connect_armed(struct conn *c, int listener, const struct sockaddr_storage *to, socklen_t len)
{
	FAILS(connect(c->fd, (void *)to, len), EINPROGRESS);
	c->peer.fd = SYS(accept(listener, NULL, NULL));
	c->control = -1;
}

/* What a helper has to have: the message, or news that one was lost. */
static void expect_told(int nl)
{
	char room[16384];

	if (recv(nl, room, sizeof(room), MSG_DONTWAIT) < 0)
		EQ(errno, ENOBUFS);
	while (recv(nl, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
}

/* 0 while it is under way. */
static long begun(long ret)
{
	return ret < 0 && (errno == EINPROGRESS || errno == EALREADY) ? 0 : ret;
}

static long ask_server(int fd)
{
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);

	return begun(shake(fd, &h));
}

static long ask_client(int fd)
{
	struct kssl_handshake h = wants(KSSL_ROLE_CLIENT);

	return begun(shake(fd, &h));
}

/* Did it fail for want of memory? */
static int is_dead(struct conn *c, int hit)
{
	struct kssl_error e = error_of(c->fd);

	if (!e.err)
		return 0;
	CHECK(hit);
	EQ(e.err, ENOMEM);
	CHECK(e.text[0]);
	EQ(e.who, KSSL_WHO_KERNEL);
	conn_end(c);
	return 1;
}

/* ---- arming ---- */

static long arm_attach(int fd)
{
	return attach(fd);
}

static long arm_policy(int fd)
{
	const struct kssl_policy p = { .lookahead = 1234 };

	return set_policy(fd, &p);
}

static long arm_get_policy(int fd)
{
	struct kssl_policy p;
	socklen_t len = sizeof(p);

	return getsockopt(fd, SOL_KSSL, KSSL_POLICY, &p, &len);
}

static long (*const steps[])(int fd) = { arm_attach, ask_client, arm_policy, arm_get_policy };

static long step(unsigned int i, int fd)
{
	return steps[i](fd);
}

void path_arm(const struct source *s)
{
	const unsigned int count = sizeof(steps) / sizeof(*steps);
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, hit;
	unsigned int nth, i, j, faults = 0;
	struct sockaddr_storage to;
	socklen_t len;

	listener = listen_plain(&to, &len);
	for (i = 0; i < count; i++)
		for (nth = 1, hit = 1; hit; nth++) {
			struct conn c;

			c.fd = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
			for (j = 0; j < i; j++)
				SYS(step(j, c.fd));
			if (WITH_FAULT(s, nth, hit, step(i, c.fd)) < 0)
				SYS(step(i, c.fd));
			while (++j < count)
				SYS(step(j, c.fd));
			connect_armed(&c, listener, &to, len);
			EQ(ready(c.fd, POLLOUT), 0);
			serve(&c, nl);
			faults += hit;
		}
	fault_count(s, faults, 0);
}

/* ---- from armed to attached ---- */

void path_armed_connect(const struct source *s)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, hit = 1;
	unsigned int nth, dead = 0;
	struct sockaddr_storage to;
	socklen_t len;

	listener = listen_plain(&to, &len);
	for (nth = 1; hit; nth++) {
		struct conn c;

		c.fd = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
		SYS(attach(c.fd));
		SYS(ask_client(c.fd));
		connect_armed(&c, listener, &to, len);
		if (WITH_FAULT(s, nth, hit, begun(connect(c.fd, (void *)&to, len))) < 0 && !error_of(c.fd).err)
			SYS(begun(connect(c.fd, (void *)&to, len)));
		if (is_dead(&c, hit)) {
			dead++;
			continue;
		}
		expect_told(nl);
		serve(&c, nl);
	}
	fault_count(s, nth - 2, dead);
}

/* Who waits for connect() has to find an error, or to wait on. */
void path_armed_poll(const struct source *s)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, hit = 1;
	unsigned int nth, failed = 0;
	struct sockaddr_storage to;
	socklen_t len;

	listener = listen_plain(&to, &len);
	for (nth = 1; hit; nth++) {
		struct pollfd p = { .events = POLLOUT };
		struct conn c;

		c.fd = SYS(socket(v->family, SOCK_STREAM | SOCK_NONBLOCK, 0));
		SYS(attach(c.fd));
		SYS(ask_client(c.fd));
		connect_armed(&c, listener, &to, len);
		p.fd = c.fd;
		if (WITH_FAULT(s, nth, hit, poll(&p, 1, 0)) > 0) {
			CHECK(hit);
			CHECK(p.revents & POLLERR);
			EQ(so_error(c.fd), ENOMEM);
			failed++;
		}
		/* Tried again, it is as if nothing had been, but for what failed with its handshake. */
		if (error_of(c.fd).err) {
			is_dead(&c, hit);
			continue;
		}
		EQ(ready(c.fd, POLLOUT), 0);
		expect_told(nl);
		serve(&c, nl);
	}
	fault_count(s, nth - 2, failed);
}

void path_accept(const struct source *s)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), listener, hit = 1, error;
	unsigned int nth, walks = 1, aborted = 0, dead = 0;
	struct sockaddr_storage a;
	socklen_t len;
	char x;

	listener = listen_armed(&a, &len);
	for (nth = 1; hit; nth++) {
		struct conn c = { .control = -1 };

		c.peer.fd = connect_plain(&a, len);
		fault_arm(s, nth);
		c.fd = accept(listener, NULL, NULL);
		error = errno;
		hit = fault_disarm(s);
		if (c.fd < 0) {
			CHECK(hit);
			if (error == ECONNABORTED) {
				FAILS(recv(c.peer.fd, &x, 1, 0), ECONNRESET);
				SYS(close(c.peer.fd));
				aborted++;
				continue;
			}
			/* Before the listener was asked for a child. */
			CHECK(error == ENOMEM || error == ENFILE || error == EMFILE);
			c.fd = SYS(accept(listener, NULL, NULL));
		}
		if (is_dead(&c, hit)) {
			dead++;
			continue;
		}
		expect_told(nl);
		serve(&c, nl);
		/* What else the task has to allocate can shift them, and the one that ends a child is missed. */
		if (!hit && !aborted && walks++ < 5) {
			hit = 1;
			nth = 0;
		}
	}
	CHECK(aborted);
	fault_count(s, nth - 2, aborted + dead);
}

/* ---- KSSL_HANDSHAKE, and helpers ---- */

void path_ask(const struct source *s)
{
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), hit = 1;
	unsigned int nth, dead = 0;

	for (nth = 1; hit; nth++) {
		struct conn c;

		conn_connect(&c);
		conn_attach(&c);
		SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
		if (WITH_FAULT(s, nth, hit, ask_server(c.fd)) < 0 && !error_of(c.fd).err)
			SYS(ask_server(c.fd));
		if (is_dead(&c, hit)) {
			dead++;
			continue;
		}
		expect_told(nl);
		serve(&c, nl);
	}
	fault_count(s, nth - 2, dead);
}

static void ask_for_helper(struct conn *c)
{
	conn_connect(c);
	conn_attach(c);
	SYS(fcntl(c->fd, F_SETFL, O_NONBLOCK));
	SYS(ask_server(c->fd));
}

/* One that could not be handed over goes on waiting. */
void path_take(const struct source *s)
{
	unsigned int nth, waiting = 0;
	int hit = 1, err;

	helper_open(KSSL_GENL_GROUP_HELPERS);
	for (nth = 1; hit; nth++) {
		/* Its first ACCEPT makes a helper of it. */
		int nl = helper_open(NULL);
		struct told t = { 0 };
		struct conn c;

		ask_for_helper(&c);
		err = 0;
		if (WITH_FAULT(s, nth, hit, helper_send(nl, NLM_F_ACK, KSSL_CMD_ACCEPT, 0, 0, 0, 0)) >= 0)
			err = helper_answer(nl, &t);
		if (err)
			CHECK(hit);
		if (!HAS(&t, KSSL_A_CONTROL)) {
			/* The answer itself may not have got through; what it gave, nobody else gets. */
			if (err == ENOBUFS && status_of(c.fd).attended) {
				SYS(close(nl));
				conn_end(&c);
				continue;
			}
			EQ(status_of(c.fd).attended, 0);
			serve(&c, nl);
			waiting++;
		} else {
			c.control = t.number[KSSL_A_CONTROL];
			new_keys(&c);
			hand_over(&c);
			conn_both_ways(&c, 100, 100);
			conn_end(&c);
		}
		SYS(close(nl));
	}
	CHECK(waiting);
	fault_count(s, nth - 2, 0);
}

void path_dump(const struct source *s)
{
	static const int commands[] = { KSSL_CMD_SESSION, KSSL_CMD_FAILURE };
	unsigned int nth, i, faults = 0;
	struct conn alive, failed;
	char room[16384];
	int hit, nl;

	helper_open(KSSL_GENL_GROUP_HELPERS);
	ask_for_helper(&alive);
	ask_for_helper(&failed);
	nl = helper_open(NULL);
	for (i = 0; i < 2; i++)
		for (nth = 1, hit = 1; hit; nth++) {
			struct told t = { 0 };

			WITH_FAULT(s, nth, hit, helper_send(nl, NLM_F_DUMP, commands[i], 0, 0, 0, 0));
			while (recv(nl, room, sizeof(room), MSG_DONTWAIT) > 0)
				;
			CHECK(errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
			SYS(close(nl));
			nl = helper_open(NULL);
			if (!i) {
				CHECK(helper_dump(nl, commands[i], KSSL_A_STATE, KSSL_SESSION_STATE_WAITING, &t) >= 2);
				EQ(HAS(&t, KSSL_A_ID), 1);
			} else if (failed.fd >= 0) {
				CHECK(helper_dump(nl, KSSL_CMD_SESSION, KSSL_A_STATE, KSSL_SESSION_STATE_WAITING,
						  &t) >= 2);
				EQ(helper_ask(nl, KSSL_CMD_CANCEL, KSSL_A_ID, t.number[KSSL_A_ID], 0, 0, NULL), 0);
				conn_end(&failed);
				failed.fd = -1;
			} else {
				CHECK(helper_dump(nl, commands[i], KSSL_A_ERROR, ECANCELED, &t) >= 1);
				EQ(t.number[KSSL_A_ERROR], ECANCELED);
			}
			faults += hit;
		}
	fault_count(s, faults, 0);
}

/* Who watches is told, or that something was lost. */
void path_event(const struct source *s)
{
	int watch = helper_open(KSSL_GENL_GROUP_EVENTS), hit = 1, how = KSSL_RENEG_FULL;
	struct batch *b = batch_new();
	struct conn c;
	unsigned int nth;
	char room[16384];

	conn_open_attended(&c);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	while (recv(watch, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
	for (nth = 1; hit; nth++) {
		struct kssl_result r = { .err = ECONNREFUSED };

		SYS(begun(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how))));
		r.id = get_event(c.control, KSSL_EV_REQUEST).epoch;
		batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
		if (WITH_FAULT(s, nth, hit, batch_write(b, c.control)) < 0) {
			batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
			SYS(batch_write(b, c.control));
		}
		expect_told(watch);
	}
	free(b);
	fcntl(c.fd, F_SETFL, 0);
	conn_both_ways(&c, 100, 100);
	conn_end(&c);
	fault_count(s, nth - 2, 0);
}

/* ---- what a helper tells of the session ---- */

static long get_session(int fd)
{
	struct kssl_session session;
	socklen_t len = sizeof(session);

	return getsockopt(fd, SOL_KSSL, KSSL_SESSION, &session, &len);
}

static long get_chain(int fd)
{
	uint8_t room[100];
	socklen_t len = sizeof(room);

	return getsockopt(fd, SOL_KSSL, KSSL_PEER_CHAIN, room, &len);
}

static void build_session(struct batch *b)
{
	static const uint8_t chain[] = { 0, 0, 3, 'a', 'b', 'c' };
	const struct kssl_session session = { .size = sizeof(session), .profile = "p", .alpn = "http/1.1" };

	batch_add(b, KSSL_OP_SESSION, 0, &session, sizeof(session));
	batch_add(b, KSSL_OP_PEER_CHAIN, 0, chain, sizeof(chain));
}

void path_session(const struct source *s)
{
	static long (*const calls[])(int fd) = { get_session, get_chain };
	struct batch *b = batch_new();
	unsigned int nth, i, faults = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_open_attended(&c);
		build_session(b);
		if (WITH_FAULT(s, nth, hit, batch_write(b, c.control)) < 0) {
			FAILS(get_session(c.fd), ENODATA);
			FAILS(get_chain(c.fd), ENODATA);
			build_session(b);
			SYS(batch_write(b, c.control));
		}
		SYS(get_session(c.fd));
		SYS(get_chain(c.fd));
		if (hit)
			conn_end(&c);
		faults += hit;
	}
	for (i = 0; i < 2; i++)
		for (nth = 1, hit = 1; hit; nth++) {
			WITH_FAULT(s, nth, hit, calls[i](c.fd));
			faults += hit;
		}
	conn_both_ways(&c, 100, 100);
	conn_end(&c);
	free(b);
	fault_count(s, faults, 0);
}

static long ask_for_bytes(int fd)
{
	const struct kssl_exporter x = { .size = sizeof(x), .len = 5, .label = "EXPORTER-test" };

	return begun(setsockopt(fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)));
}

/* It was asked for once, or not at all; what it gave is given once, and only once. */
void path_exporter(const struct source *s)
{
	unsigned int nth, i, faults = 0;
	struct batch *b = batch_new();
	struct conn c;
	int hit;

	conn_open_attended(&c);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	for (i = 0; i < 3; i++)
		for (nth = 1, hit = 1; hit; nth++) {
			struct kssl_exporter got = { .size = sizeof(got) };
			struct kssl_result r = { 0 };
			uint8_t bytes[16] = { 0 };
			socklen_t len = sizeof(bytes);
			long ret;

			ret = i == 0 ? WITH_FAULT(s, nth, hit, ask_for_bytes(c.fd)) : SYS(ask_for_bytes(c.fd));
			if (ret < 0) {
				EQ(ready(c.control, POLLIN), 0);
				SYS(ask_for_bytes(c.fd));
			}
			r.id = get_event(c.control, KSSL_EV_REQUEST).epoch;
			if (i == 1 && WITH_FAULT(s, nth, hit, ioctl(c.control, KSSL_IOC_EXPORTER, &got)) < 0)
				SYS(ioctl(c.control, KSSL_IOC_EXPORTER, &got));
			batch_add(b, KSSL_OP_EXPORTER, 0, "12345", 5);
			batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
			SYS(batch_write(b, c.control));
			ret = -1;
			if (i == 2)
				ret = WITH_FAULT(s, nth, hit, getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, bytes, &len));
			if (ret < 0)
				SYS(getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, bytes, &len));
			EQ(len, 5);
			CHECK(!memcmp(bytes, "12345", 5));
			len = sizeof(bytes);
			FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, bytes, &len), ENODATA);
			faults += hit;
		}
	conn_end(&c);
	free(b);
	fault_count(s, faults, 0);
}
