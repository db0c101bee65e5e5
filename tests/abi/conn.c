// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

/* ---- making connections ---- */

static int new_socket(int rcvbuf, int sndbuf)
{
	int fd = SYS(socket(v->family, SOCK_STREAM, IPPROTO_TCP));

	if (rcvbuf)
		SYS(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)));
	if (sndbuf)
		SYS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)));
	return fd;
}

static socklen_t loopback(struct sockaddr_storage *to)
{
	struct sockaddr_in6 *in6 = (void *)to;
	struct sockaddr_in *in = (void *)to;

	memset(to, 0, sizeof(*to));
	if (v->family == AF_INET6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*in);
}

void conn_connect_bufs(struct conn *c, int rcvbuf, int sndbuf)
{
	int listener, client, server, on = 1;
	struct sockaddr_storage addr;
	socklen_t len = loopback(&addr);

	/* An accepted socket has the buffers of its listener. */
	listener = v->server ? new_socket(rcvbuf, sndbuf) : new_socket(0, 0);
	SYS(bind(listener, (void *)&addr, len));
	SYS(listen(listener, 1));
	SYS(getsockname(listener, (void *)&addr, &len));
	client = v->server ? new_socket(0, 0) : new_socket(rcvbuf, sndbuf);
	SYS(connect(client, (void *)&addr, len));
	server = SYS(accept(listener, NULL, NULL));
	close(listener);

	memset(c, 0, sizeof(*c));
	c->fd = v->server ? server : client;
	c->peer.fd = v->server ? client : server;
	c->control = -1;
	/* Each write of the peer is on its way at once. */
	SYS(setsockopt(c->peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

void conn_connect(struct conn *c)
{
	conn_connect_bufs(c, 0, 0);
}

int attach(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, strlen(KSSL_ULP_NAME));
}

void conn_attach(struct conn *c)
{
	SYS(attach(c->fd));
}

struct kssl_key key_of(const struct keys *k)
{
	struct kssl_key key;

	memset(&key, 0, sizeof(key));
	key.size = sizeof(key);
	key.version = k->suite.version;
	key.suite = k->suite.suite;
	key.flags = k->flags;
	key.key_len = k->suite.key_len;
	key.iv_len = k->suite.iv_len;
	key.mac_key_len = k->suite.mac_key_len;
	key.seq = k->seq;
	key.nonce = k->nonce;
	memcpy(key.key, k->key, sizeof(k->key));
	memcpy(key.iv, k->iv, sizeof(k->iv));
	memcpy(key.mac_key, k->mac_key, sizeof(k->mac_key));
	key.secret_len = k->secret_len;
	memcpy(key.secret, k->secret, sizeof(k->secret));
	return key;
}

int set_key(int fd, int option, const struct keys *k)
{
	struct kssl_key key = key_of(k);

	return setsockopt(fd, SOL_KSSL, option, &key, sizeof(key));
}

void conn_keys(struct conn *c)
{
	c->peer.rx = make_keys(1);
	c->peer.tx = make_keys(2);
	SYS(set_key(c->fd, KSSL_TX_KEY, &c->peer.rx));
	SYS(set_key(c->fd, KSSL_RX_KEY, &c->peer.tx));
}

void conn_open(struct conn *c)
{
	conn_open_bufs(c, 0, 0);
}

void conn_open_bufs(struct conn *c, int rcvbuf, int sndbuf)
{
	conn_connect_bufs(c, rcvbuf, sndbuf);
	if (v->plain)
		return;
	conn_attach(c);
	conn_keys(c);
}

int set_policy(int fd, const struct kssl_policy *policy)
{
	struct kssl_policy p = *policy;

	p.size = sizeof(p);
	return setsockopt(fd, SOL_KSSL, KSSL_POLICY, &p, sizeof(p));
}

int take_control(int fd)
{
	socklen_t len = sizeof(int);
	int control;

	if (getsockopt(fd, SOL_KSSL, KSSL_CONTROL, &control, &len))
		return -1;
	EQ(len, sizeof(int));
	CHECK(control >= 0);
	return control;
}

void conn_attend(struct conn *c)
{
	conn_connect(c);
	conn_attach(c);
	c->control = SYS(take_control(c->fd));
}

/* With what ends a handshake and its answer; frees @b. */
void batch_end_handshake(struct batch *b, int control)
{
	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_CONTINUE);
	batch_op(b, KSSL_OP_DONE);
	SYS(batch_write(b, control));
	free(b);
}

/* A handshake of one record each way; what is in it does not matter to the kernel. */
void conn_hand_over_keys(struct conn *c, const struct keys *tx, const struct keys *rx)
{
	static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
	static const uint8_t answer[] = { 22, 3, 3, 0, 6, 2, 0, 0, 2, 1, 2 };
	struct batch *b = batch_new();
	uint8_t record[RECORD_MAX];

	peer_write(&c->peer, hello, sizeof(hello));
	expect_message(c->control, KSSL_MSG_RAW, HANDSHAKE, hello, sizeof(hello));
	c->peer.rx = *tx;
	c->peer.tx = *rx;
	batch_add(b, KSSL_OP_RAW, 0, answer, sizeof(answer));
	batch_key(b, KSSL_OP_TX_KEY, &c->peer.rx);
	batch_key(b, KSSL_OP_RX_KEY, &c->peer.tx);
	batch_end_handshake(b, c->control);
	EQ(peer_read_raw(&c->peer, record), sizeof(answer));
	CHECK(!memcmp(record, answer, sizeof(answer)));
}

void conn_hand_over(struct conn *c)
{
	struct keys tx = make_keys(1), rx = make_keys(2);

	conn_hand_over_keys(c, &tx, &rx);
}

void conn_open_attended(struct conn *c)
{
	conn_attend(c);
	conn_hand_over(c);
}

void conn_end(struct conn *c)
{
	close(c->fd);
	if (c->control >= 0)
		close(c->control);
	close(c->peer.fd);
}

void conn_open_policy(struct conn *c, const struct kssl_policy *policy)
{
	struct keys tx = make_keys(1), rx = make_keys(2);
	struct kssl_policy patient = *policy;

	if (is_13() && strcmp(schedule_hash(v->suite.suite), "SM3")) {
		tx = make_secret_keys(1);
		rx = make_secret_keys(2);
	}
	conn_attend(c);
	/* However slow the machine, no clock of the test's ends the opening. */
	patient.helper_ms = 0;
	patient.peer_ms = 0;
	SYS(set_policy(c->fd, &patient));
	conn_hand_over_keys(c, &tx, &rx);
	if (policy->helper_ms || policy->peer_ms)
		SYS(set_policy(c->fd, policy));
}

/* ---- asking ---- */

void *nowhere = (void *)8;

struct kssl_status status_of(int fd)
{
	struct kssl_status s;
	socklen_t len = sizeof(s);

	memset(&s, 0, sizeof(s));
	SYS(getsockopt(fd, SOL_KSSL, KSSL_STATUS, &s, &len));
	EQ(len, sizeof(s));
	EQ(s.size, sizeof(s));
	return s;
}

struct kssl_error error_of(int fd)
{
	struct kssl_error e;
	socklen_t len = sizeof(e);

	memset(&e, 0, sizeof(e));
	SYS(getsockopt(fd, SOL_KSSL, KSSL_ERROR, &e, &len));
	EQ(len, sizeof(e));
	EQ(e.size, sizeof(e));
	CHECK(memchr(e.text, 0, sizeof(e.text)));
	return e;
}

int so_error(int fd)
{
	socklen_t len = sizeof(int);
	int error;

	SYS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));
	return error;
}

int queued_bytes(int fd)
{
	int n;

	SYS(ioctl(fd, FIONREAD, &n));
	return n;
}

int ready(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	SYS(poll(&p, 1, 0));
	return p.revents;
}

void wait_ready(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = events };

	EQ(SYS(poll(&p, 1, -1)), 1);
	CHECK(p.revents & events);
}

/* ---- data ---- */

long send_typed(int fd, uint8_t type, const void *data, size_t len, int flags)
{
	char control[CMSG_SPACE(1)] = {};
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (type) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_KSSL;
		cmsg->cmsg_type = KSSL_RECORD_TYPE;
		cmsg->cmsg_len = CMSG_LEN(1);
		*CMSG_DATA(cmsg) = type;
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

long recv_typed(int fd, uint8_t *type, void *data, size_t len, int flags)
{
	char control[CMSG_SPACE(1) + 64];
	struct iovec iov = { data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	long n;

	*type = 0;
	n = recvmsg(fd, &msg, flags);
	if (n < 0)
		return n;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg) {
		EQ(cmsg->cmsg_level, SOL_KSSL);
		EQ(cmsg->cmsg_type, KSSL_RECORD_TYPE);
		EQ(cmsg->cmsg_len, CMSG_LEN(1));
		*type = *CMSG_DATA(cmsg);
		CHECK(!CMSG_NXTHDR(&msg, cmsg));
	}
	EQ(msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC), 0);
	return n;
}

void expect_typed(int fd, uint8_t type, const void *data, size_t len)
{
	uint8_t got[RECORD_MAX];
	uint8_t got_type;

	EQ(SYS(recv_typed(fd, &got_type, got, sizeof(got), 0)), len);
	EQ(got_type, v->plain ? 0 : type);
	CHECK(!memcmp(got, data, len));
}

void send_pattern(int fd, size_t at, size_t len)
{
	uint8_t *data = malloc(len);
	size_t sent = 0;

	CHECK(data);
	pattern(data, at, len);
	while (sent < len)
		sent += SYS(send(fd, data + sent, len - sent, MSG_NOSIGNAL));
	free(data);
}

void recv_pattern(int fd, size_t at, size_t len)
{
	uint8_t *data = malloc(len);
	size_t got = 0;

	CHECK(data);
	while (got < len) {
		long n = SYS(recv(fd, data + got, len - got, 0));

		if (!n)
			check_failed(__FILE__, __LINE__, "end of file, %zu bytes are missing",
				     len - got);
		got += n;
	}
	check_pattern(data, at, len);
	free(data);
}

void conn_both_ways(struct conn *c, size_t len, size_t step)
{
	send_pattern(c->fd, 0, len);
	peer_expect_pattern(&c->peer, 0, len);
	peer_send_pattern(&c->peer, 0, len, step);
	recv_pattern(c->fd, 0, len);
}

size_t send_until_full(int fd, size_t at)
{
	uint8_t data[16384];
	size_t sent = 0;
	long n;

	for (;;) {
		pattern(data, at + sent, sizeof(data));
		n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			EQ(errno, EAGAIN);
			return sent;
		}
		CHECK(n > 0);
		sent += n;
		CHECK(sent < 64 << 20);
	}
}

/* Is the peer's window shut, and nothing under way that could open it? */
static int is_stuck(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int all, unsent;

	SYS(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	SYS(ioctl(fd, SIOCOUTQNSD, &unsent));
	SYS(ioctl(fd, SIOCOUTQ, &all));
	return !info.tcpi_snd_wnd && unsent > 0 && all == unsent;
}

size_t send_until_stuck(int fd)
{
	size_t sent = 0, n;

	do {
		usleep(10000);
		n = send_until_full(fd, sent);
		sent += n;
	} while (n || !is_stuck(fd));
	return sent;
}

pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	EQ(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

struct sleeper {
	void *(*run)(void *arg);
	void *arg;
	atomic_int tid;
};

static void *run_sleeper(void *arg)
{
	struct sleeper *s = arg, copy = { .run = s->run, .arg = s->arg };

	s->tid = gettid();
	return copy.run(copy.arg);
}

pthread_t start_asleep(void *(*run)(void *), void *arg)
{
	struct sleeper s = { .run = run, .arg = arg };
	pthread_t thread = start(run_sleeper, &s);

	while (!s.tid)
		usleep(500);
	wait_asleep(s.tid);
	return thread;
}

void *finish(pthread_t thread)
{
	void *result;

	EQ(pthread_join(thread, &result), 0);
	return result;
}

/* Its state is S then. */
void wait_asleep(pid_t tid)
{
	char path[64], text[512] = {}, *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	for (;;) {
		fd = SYS(open(path, O_RDONLY));
		SYS(read(fd, text, sizeof(text) - 1));
		close(fd);
		state = strrchr(text, ')');
		if (state && state[2] == 'S')
			return;
		usleep(500);
	}
}

/* ---- the control file ---- */

long read_message(int control, struct message *m)
{
	long n = read(control, m, sizeof(*m));

	if (n > 0) {
		CHECK(n >= (long)sizeof(m->head));
		EQ(m->head.len, n);
		EQ(m->head.flags, 0);
	}
	return n;
}

void expect_message(int control, int kind, int type, const void *data, size_t len)
{
	struct message m;

	wait_ready(control, POLLIN);
	if (!SYS(read_message(control, &m)))
		check_failed(__FILE__, __LINE__, "end of the control file instead of a message");
	if (m.head.kind != kind || m.head.type != type)
		check_failed(__FILE__, __LINE__, "message of kind %u type %u (%u), not kind %u type %u",
			     m.head.kind, m.head.type, m.head.value, kind, type);
	EQ(m.head.len - sizeof(m.head), len);
	if (len)
		CHECK(!memcmp(m.data, data, len));
}

void expect_event(int control, int event)
{
	expect_message(control, KSSL_MSG_EVENT, event, NULL, 0);
}

struct kssl_msg get_event(int control, int event)
{
	struct message m;

	wait_ready(control, POLLIN);
	if (!SYS(read_message(control, &m)))
		check_failed(__FILE__, __LINE__, "end of the control file instead of event %u", event);
	if (m.head.kind != KSSL_MSG_EVENT || m.head.type != event)
		check_failed(__FILE__, __LINE__, "message of kind %u type %u (%u), not event %u",
			     m.head.kind, m.head.type, m.head.value, event);
	EQ(m.head.len, sizeof(m.head));
	return m.head;
}

struct kssl_msg find_event(int control, int event)
{
	static struct message m;

	do {
		wait_ready(control, POLLIN);
		CHECK(SYS(read_message(control, &m)) > 0);
	} while (m.head.kind != KSSL_MSG_EVENT || m.head.type != event);
	return m.head;
}

void expect_handshake(int control, uint8_t type, size_t len)
{
	uint8_t message[4 + 16384];

	expect_message(control, KSSL_MSG_RECORD, HANDSHAKE, message,
		       make_message(type, len, message));
}

struct batch *batch_new(void)
{
	struct batch *b = malloc(sizeof(*b));

	CHECK(b);
	b->len = 0;
	return b;
}

void batch_add(struct batch *b, int op, int type, const void *payload, size_t len)
{
	struct kssl_op head = { .op = op, .type = type, .len = len };

	CHECK(b->len + sizeof(head) + len <= sizeof(b->data));
	memcpy(b->data + b->len, &head, sizeof(head));
	b->len += sizeof(head);
	if (len)
		memcpy(b->data + b->len, payload, len);
	b->len += len;
}

void batch_op(struct batch *b, int op)
{
	batch_add(b, op, 0, NULL, 0);
}

void batch_record(struct batch *b, int type, const void *content, size_t len)
{
	batch_add(b, KSSL_OP_RECORD, type, content, len);
}

void batch_message(struct batch *b, uint8_t type, size_t len)
{
	uint8_t message[4 + 16384];

	batch_record(b, HANDSHAKE, message, make_message(type, len, message));
}

void batch_key(struct batch *b, int op, const struct keys *k)
{
	struct kssl_key key = key_of(k);

	batch_add(b, op, 0, &key, sizeof(key));
}

long batch_write(struct batch *b, int control)
{
	long n = write(control, b->data, b->len);

	if (n >= 0)
		EQ(n, b->len);
	b->len = 0;
	return n;
}

void control_op(int control, int op)
{
	struct kssl_op head = { .op = op };

	EQ(SYS(write(control, &head, sizeof(head))), sizeof(head));
}
