// SPDX-License-Identifier: MIT
/* io_uring on a socket with kssl, by the bare system calls. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#define ENTRIES	8

/* struct io_uring_cqe without the room for more behind it. */
struct done {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

struct ring {
	int fd;
	atomic_uint *sq_tail, *cq_head, *cq_tail;
	unsigned int *sq_array, sq_mask, cq_mask, queued;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void ring_open(struct ring *r)
{
	struct io_uring_params p = {};
	uint8_t *sq, *cq;

	memset(r, 0, sizeof(*r));
	r->fd = SYS(syscall(SYS_io_uring_setup, ENTRIES, &p));
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes), PROT_READ | PROT_WRITE,
		  MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	CHECK(sq != MAP_FAILED && cq != MAP_FAILED && (void *)r->sqes != MAP_FAILED);
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_array = (void *)(sq + p.sq_off.array);
	r->sq_mask = *(unsigned int *)(sq + p.sq_off.ring_mask);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = *(unsigned int *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
}

/* The next request, its @user_data in what comes back. */
static struct io_uring_sqe *request(struct ring *r, int op, int fd, const void *data, size_t len, uint64_t user_data)
{
	unsigned int tail = *r->sq_tail, i = tail & r->sq_mask;
	struct io_uring_sqe *sqe = &r->sqes[i];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)data;
	sqe->len = len;
	sqe->user_data = user_data;
	r->sq_array[i] = i;
	*r->sq_tail = tail + 1;
	r->queued++;
	return sqe;
}

static void submit(struct ring *r)
{
	EQ(SYS(syscall(SYS_io_uring_enter, r->fd, r->queued, 0, 0, NULL, 0)), r->queued);
	r->queued = 0;
}

static int completed(struct ring *r)
{
	return *r->cq_tail - *r->cq_head;
}

/* The next result, waited for. */
static struct done complete(struct ring *r)
{
	struct io_uring_cqe *cqe;
	struct done done;

	while (!completed(r))
		if (syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			EQ(errno, EINTR);
	cqe = &r->cqes[*r->cq_head & r->cq_mask];
	done = (struct done){ cqe->user_data, cqe->res, cqe->flags };
	*r->cq_head = *r->cq_head + 1;
	return done;
}

static int result(struct ring *r, uint64_t user_data)
{
	struct done cqe = complete(r);

	EQ(cqe.user_data, user_data);
	return cqe.res;
}

static void send_and_receive(void)
{
	uint8_t out[40000], in[1000];
	struct ring r;
	struct conn c;

	conn_open(&c);
	ring_open(&r);
	pattern(out, 0, sizeof(out));
	request(&r, IORING_OP_SEND, c.fd, out, sizeof(out), 1)->msg_flags = MSG_WAITALL;
	submit(&r);
	EQ(result(&r, 1), sizeof(out));
	peer_expect_pattern(&c.peer, 0, sizeof(out));
	/* what is there is read at once */
	peer_send_pattern(&c.peer, 0, sizeof(in), 100);
	peer_settle(&c.peer);
	request(&r, IORING_OP_RECV, c.fd, in, sizeof(in), 2);
	submit(&r);
	EQ(result(&r, 2), sizeof(in));
	check_pattern(in, 0, sizeof(in));
	/* also by the plain operations */
	request(&r, IORING_OP_WRITE, c.fd, out, 100, 3);
	submit(&r);
	EQ(result(&r, 3), 100);
	peer_expect_pattern(&c.peer, 0, 100);
	peer_send_pattern(&c.peer, 0, 100, 100);
	request(&r, IORING_OP_READ, c.fd, in, sizeof(in), 4);
	submit(&r);
	EQ(result(&r, 4), 100);
	check_pattern(in, 0, 100);
}

/* A receive that was there first is completed by a whole record, not by a part of one. */
static void receive_waits(void)
{
	uint8_t record[RECORD_MAX], in[1000], out[100];
	struct ring r;
	struct conn c;
	size_t len;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_RECV, c.fd, in, sizeof(in), 1);
	submit(&r);
	pattern(out, 0, sizeof(out));
	len = seal(&c.peer.tx, DATA, out, sizeof(out), record);
	peer_write(&c.peer, record, len / 2);
	peer_settle(&c.peer);
	/* let it run what it has to run */
	SYS(syscall(SYS_io_uring_enter, r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0));
	EQ(completed(&r), 0);
	peer_write(&c.peer, record + len / 2, len - len / 2);
	EQ(result(&r, 1), sizeof(out));
	check_pattern(in, 0, sizeof(out));
}

static void wait_all(void)
{
	struct ring r;
	struct conn c;
	uint8_t in[5000];
	size_t at;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_RECV, c.fd, in, sizeof(in), 1)->msg_flags = MSG_WAITALL;
	submit(&r);
	for (at = 0; at < sizeof(in); at += 500) {
		EQ(completed(&r), 0);
		peer_send_pattern(&c.peer, at, 500, 100);
		peer_settle(&c.peer);
	}
	EQ(result(&r, 1), sizeof(in));
	check_pattern(in, 0, sizeof(in));
}

static void *read_job(void *arg)
{
	struct conn *c = arg;

	peer_expect_pattern(&c->peer, 0, 4 << 20);
	return NULL;
}

/* Many pieces to a socket that is full most of the time. */
static void send_waits(void)
{
	size_t len = 4 << 20, at = 0;
	uint8_t *data = malloc(len);
	struct ring r;
	struct conn c;
	pthread_t t;

	CHECK(data);
	pattern(data, 0, len);
	conn_open_bufs(&c, 0, 50000);
	ring_open(&r);
	t = start(read_job, &c);
	while (at < len) {
		int n;

		request(&r, IORING_OP_SEND, c.fd, data + at, len - at < 300000 ? len - at : 300000, at);
		submit(&r);
		n = result(&r, at);
		CHECK(n > 0);
		at += n;
	}
	finish(t);
}

static void poll_ops(void)
{
	struct ring r;
	struct conn c;
	size_t sent;
	int events;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_POLL_ADD, c.fd, NULL, 0, 1)->poll32_events = POLLIN;
	submit(&r);
	EQ(completed(&r), 0);
	peer_send_pattern(&c.peer, 0, 100, 100);
	events = result(&r, 1);
	EQ(events, POLLIN);
	recv_pattern(c.fd, 0, 100);
	sent = send_until_full(c.fd, 0);
	request(&r, IORING_OP_POLL_ADD, c.fd, NULL, 0, 2)->poll32_events = POLLOUT;
	submit(&r);
	EQ(completed(&r), 0);
	peer_expect_pattern(&c.peer, 0, sent);
	EQ(result(&r, 2), POLLOUT);
	request(&r, IORING_OP_POLL_ADD, c.fd, NULL, 0, 3)->poll32_events = POLLRDHUP;
	submit(&r);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	CHECK(result(&r, 3) & POLLRDHUP);
}

/* A message with the type of its record. */
static void control_message(void)
{
	char control[CMSG_SPACE(1)] = {}, data[100];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct ring r;
	struct conn c;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_RECVMSG, c.fd, &msg, 1, 1);
	submit(&r);
	peer_send(&c.peer, HANDSHAKE, "hand", 4);
	EQ(result(&r, 1), 4);
	CHECK(!memcmp(data, "hand", 4));
	EQ(CMSG_FIRSTHDR(&msg)->cmsg_type, KSSL_RECORD_TYPE);
	EQ(*CMSG_DATA(CMSG_FIRSTHDR(&msg)), HANDSHAKE);
	iov.iov_len = 4;
	*CMSG_DATA(CMSG_FIRSTHDR(&msg)) = HANDSHAKE;
	request(&r, IORING_OP_SENDMSG, c.fd, &msg, 1, 2);
	submit(&r);
	EQ(result(&r, 2), 4);
	peer_expect(&c.peer, HANDSHAKE, "hand", 4);
}

/* There is no sending without a copy. */
static void zero_copy(void)
{
	struct done cqe;
	struct ring r;
	struct conn c;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_SEND_ZC, c.fd, "x", 1, 1);
	submit(&r);
	do {
		cqe = complete(&r);
		EQ(cqe.user_data, 1);
		if (!(cqe.flags & IORING_CQE_F_NOTIF))
			EQ(cqe.res, -EOPNOTSUPP);
	} while (cqe.flags & IORING_CQE_F_MORE);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
}

/* One that still waits when the application cancels it takes nothing. */
static void cancelled(void)
{
	uint8_t in[100];
	struct ring r;
	struct conn c;
	int i;

	conn_open(&c);
	ring_open(&r);
	request(&r, IORING_OP_RECV, c.fd, in, sizeof(in), 1);
	submit(&r);
	request(&r, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 2);
	submit(&r);
	for (i = 0; i < 2; i++) {
		struct done cqe = complete(&r);

		EQ(cqe.res, cqe.user_data == 1 ? -ECANCELED : 0);
	}
	peer_send_pattern(&c.peer, 0, 100, 100);
	recv_pattern(c.fd, 0, 100);
}

static const struct test tests[] = {
	{ "send_and_receive", WITH_TCP, send_and_receive },
	{ "receive_waits", VERSIONS, receive_waits },
	{ "wait_all", WITH_TCP, wait_all },
	{ "send_waits", WITH_TCP, send_waits },
	{ "poll_ops", WITH_TCP, poll_ops },
	{ "control_message", VERSIONS, control_message },
	{ "zero_copy", VERSIONS, zero_copy },
	{ "cancelled", WITH_TCP, cancelled },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
