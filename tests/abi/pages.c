// SPDX-License-Identifier: MIT
/*
 * Pages of the caller's that are not there.  Their owner decides when they come, so nobody else may have to wait for
 * that; and of what lies before a page that never comes nothing is lost.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "conn.h"
#include "helper.h"
#include "schedule.h"
#include "tap.h"

#define PAGE	4096
#define PRESENT	8

/* PRESENT pages that are there, and behind them one that is not. */
static uint8_t *absent;

/* Whoever touches the page sleeps until page_comes(). */
static int watch_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register page = { .range = { .len = PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC));
	uint8_t *pages = mmap(NULL, (PRESENT + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	absent = pages + PRESENT * PAGE;
	SYS(ioctl(fd, UFFDIO_API, &api));
	page.range.start = (uintptr_t)absent;
	SYS(ioctl(fd, UFFDIO_REGISTER, &page));
	memset(pages, 0, PRESENT * PAGE);
	return fd;
}

static void page_is_missed(int fd)
{
	struct uffd_msg msg;

	EQ(SYS(read(fd, &msg, sizeof(msg))), sizeof(msg));
	EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

/* With zeros. */
static void page_comes(int fd)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)absent, .len = PAGE } };

	SYS(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
}

/* ---- others need not wait ---- */

static void helper_goes_on(struct conn *c)
{
	control_op(c->control, KSSL_OP_HOLD);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), EAGAIN);
	control_op(c->control, KSSL_OP_RELEASE);
}

/* Also another writer and another reader. */
static void others_go_on(struct conn *c)
{
	helper_goes_on(c);
	conn_both_ways(c, 20000, 7000);
	EQ(status_of(c->fd).tx.state, KSSL_STATE_ACTIVE);
}

static void *write_from_page(void *arg)
{
	struct conn *c = arg;

	EQ(SYS(send(c->fd, absent - 50, 100, MSG_NOSIGNAL)), 100);
	return NULL;
}

/* What is partly there is one record all the same. */
static void expect_from_page(struct conn *c)
{
	uint8_t data[100] = {};

	pattern(data, 0, 50);
	peer_expect(&c->peer, DATA, data, 100);
}

static void writer_asleep(void)
{
	int page = watch_page();
	pthread_t writer;
	struct conn c;

	conn_open_attended(&c);
	pattern(absent - 50, 0, 50);
	writer = start(write_from_page, &c);
	page_is_missed(page);
	others_go_on(&c);
	page_comes(page);
	finish(writer);
	expect_from_page(&c);
}

/* What somebody else left open does not wait either. */
static void writer_asleep_at_open(void)
{
	int page = watch_page();
	pthread_t writer;
	struct conn c;

	conn_open_attended(&c);
	pattern(absent - 50, 0, 50);
	EQ(SYS(send(c.fd, "ab", 2, MSG_MORE | MSG_NOSIGNAL)), 2);
	writer = start(write_from_page, &c);
	page_is_missed(page);
	EQ(SYS(send(c.fd, "cd", 2, MSG_NOSIGNAL)), 2);
	peer_expect(&c.peer, DATA, "abcd", 4);
	others_go_on(&c);
	page_comes(page);
	finish(writer);
	expect_from_page(&c);
}

static void *read_into_page(void *arg)
{
	struct conn *c = arg;

	EQ(SYS(recv(c->fd, absent - 50, 100, 0)), 100);
	check_pattern(absent - 50, 100, 100);
	return NULL;
}

/* Another one takes what it came for. */
static void reader_asleep(void)
{
	int page = watch_page();
	pthread_t reader;
	struct conn c;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 100, 100);
	reader = start(read_into_page, &c);
	page_is_missed(page);
	recv_pattern(c.fd, 0, 100);
	others_go_on(&c);
	page_comes(page);
	peer_send_pattern(&c.peer, 100, 100, 100);
	finish(reader);
}

static void *peek_into_page(void *arg)
{
	struct conn *c = arg;

	EQ(SYS(recv(c->fd, absent - 50, 100, MSG_PEEK)), 100);
	check_pattern(absent - 50, 100, 100);
	return NULL;
}

static void peeker_asleep(void)
{
	int page = watch_page();
	pthread_t reader;
	struct conn c;

	conn_open_attended(&c);
	peer_send_pattern(&c.peer, 0, 200, 100);
	peer_settle(&c.peer);
	reader = start(peek_into_page, &c);
	page_is_missed(page);
	recv_pattern(c.fd, 0, 100);
	helper_goes_on(&c);
	page_comes(page);
	finish(reader);
	recv_pattern(c.fd, 100, 100);
	others_go_on(&c);
}

/* The helper hears of what came with the record that the reader has woken up for. */
static void message_behind(void)
{
	uint8_t records[2 * RECORD_MAX], data[100], message[100];
	int page = watch_page();
	pthread_t reader;
	struct conn c;
	size_t len;

	/* Nor does he hear of it by the peer's clock. */
	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = 3600000 });
	control_op(c.control, KSSL_OP_HOLD);
	reader = start_asleep(read_into_page, &c);
	pattern(data, 100, 100);
	len = seal(&c.peer.tx, DATA, data, 100, records);
	len += seal(&c.peer.tx, HANDSHAKE, message, make_message(SERVER_HELLO, 50, message), records + len);
	peer_write(&c.peer, records, len);
	page_is_missed(page);
	expect_handshake(c.control, SERVER_HELLO, 50);
	control_op(c.control, KSSL_OP_CONTINUE);
	control_op(c.control, KSSL_OP_RELEASE);
	recv_pattern(c.fd, 100, 100);
	others_go_on(&c);
	page_comes(page);
	peer_send_pattern(&c.peer, 100, 100, 100);
	finish(reader);
}

/* Two records, the second one into the page; or what is there without it. */
static void *read_two(void *arg)
{
	struct conn *c = arg;
	long n = SYS(recv(c->fd, absent - 100, 200, 0));

	check_pattern(absent - 100, 0, n);
	return (void *)n;
}

static void *start_two(struct conn *c, int page)
{
	static pthread_t reader;

	peer_send_pattern(&c->peer, 0, 200, 100);
	peer_settle(&c->peer);
	reader = start(read_two, c);
	page_is_missed(page);
	return &reader;
}

/* No call gives bytes with a hole between them. */
static void no_hole(void)
{
	int page = watch_page();
	pthread_t *reader;
	struct conn c;

	conn_open_attended(&c);
	reader = start_two(&c, page);
	recv_pattern(c.fd, 100, 100);
	peer_send_pattern(&c.peer, 200, 100, 100);
	peer_settle(&c.peer);
	page_comes(page);
	EQ((long)finish(*reader), 100);
	recv_pattern(c.fd, 200, 100);
}

/* What was read is behind SO_PEEK_OFF at once. */
static void peek_offset_asleep(void)
{
	int page = watch_page(), offset = 100;
	pthread_t *reader;
	uint8_t data[100];
	struct conn c;

	conn_open_attended(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
	reader = start_two(&c, page);
	EQ(SYS(recv(c.fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT)), 100);
	check_pattern(data, 100, 100);
	page_comes(page);
	EQ((long)finish(*reader), 200);
}

static void *export_to_page(void *arg)
{
	struct conn *c = arg;
	socklen_t len = 100;

	SYS(getsockopt(c->fd, SOL_KSSL, KSSL_EXPORTER, absent, &len));
	EQ(len, 5);
	CHECK(!memcmp(absent, "12345", 5));
	return NULL;
}

static void exporter_asleep(void)
{
	struct kssl_exporter x = { .size = sizeof(x), .len = 5, .label = "EXPORTER-test" };
	struct batch *b = batch_new();
	struct kssl_result r = {};
	int page = watch_page();
	pthread_t owner;
	struct conn c;

	conn_open_policy(&c, &(struct kssl_policy){});
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_EXPORTER, &x, sizeof(x)), EINPROGRESS);
	SYS(fcntl(c.fd, F_SETFL, 0));
	r.id = find_event(c.control, KSSL_EV_REQUEST).epoch;
	batch_add(b, KSSL_OP_EXPORTER, 0, "12345", 5);
	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	SYS(batch_write(b, c.control));
	owner = start(export_to_page, &c);
	page_is_missed(page);
	others_go_on(&c);
	page_comes(page);
	finish(owner);
}

static long recv_with_control(int fd, void *data, size_t len, void *control, size_t controllen)
{
	struct iovec iov = { data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = controllen,
	};

	return recvmsg(fd, &msg, 0);
}

static void check_type(const void *control, uint8_t type)
{
	const struct cmsghdr *cmsg = control;

	EQ(cmsg->cmsg_level, SOL_KSSL);
	EQ(cmsg->cmsg_type, KSSL_RECORD_TYPE);
	EQ(cmsg->cmsg_len, CMSG_LEN(1));
	EQ(*CMSG_DATA(cmsg), type);
}

/* Two places where it may have to wait. */
static void *read_type_into_page(void *arg)
{
	struct conn *c = arg;
	uint8_t data[10];

	EQ(SYS(recv_with_control(c->fd, data, sizeof(data), absent, CMSG_SPACE(1))), 4);
	CHECK(!memcmp(data, "data", 4));
	check_type(absent, DATA);
	return NULL;
}

static void *read_data_into_page(void *arg)
{
	struct conn *c = arg;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(1)];
	} control = {};

	EQ(SYS(recv_with_control(c->fd, absent, 10, &control, sizeof(control))), 4);
	CHECK(!memcmp(absent, "data", 4));
	check_type(&control, DATA);
	return NULL;
}

/* What it was about to be told of is not what it gets. */
static void sleeps_while_type_changes(void *(*read)(void *))
{
	int page = watch_page();
	pthread_t reader;
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, HANDSHAKE, "shake", 5);
	reader = start(read, &c);
	page_is_missed(page);
	expect_typed(c.fd, HANDSHAKE, "shake", 5);
	page_comes(page);
	peer_send(&c.peer, DATA, "data", 4);
	finish(reader);
	conn_both_ways(&c, 20000, 7000);
}

static void type_asleep(void)
{
	sleeps_while_type_changes(read_type_into_page);
}

static void typed_asleep(void)
{
	sleeps_while_type_changes(read_data_into_page);
}

/* A process of its own, for it is killed there; told is the number of its userfaultfd. */
static pid_t sleep_at_page(struct conn *c, int sends, volatile int *told)
{
	pid_t pid = SYS(fork());

	if (pid)
		return pid;
	*told = watch_page();
	if (sends)
		write_from_page(c);
	else
		read_into_page(c);
	_exit(1);
}

static void killed_asleep(void)
{
	volatile int *told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int sends, status, pidfd, page;
	struct conn c;
	pid_t pid;

	CHECK(told != MAP_FAILED);
	conn_open_attended(&c);
	for (sends = 0; sends < 2; sends++) {
		if (!sends)
			peer_send_pattern(&c.peer, 0, 100, 100);
		*told = -1;
		pid = sleep_at_page(&c, sends, told);
		while (*told < 0)
			usleep(1000);
		pidfd = SYS(syscall(SYS_pidfd_open, pid, 0));
		page = SYS(syscall(SYS_pidfd_getfd, pidfd, *told, 0));
		page_is_missed(page);
		SYS(kill(pid, SIGKILL));
		EQ(SYS(waitpid(pid, &status, 0)), pid);
		CHECK(WIFSIGNALED(status));
		SYS(close(page));
		SYS(close(pidfd));
		if (!sends)
			recv_pattern(c.fd, 0, 100);
		others_go_on(&c);
	}
}

/* The rest of the kernel does own sockets while it copies. */
static void *linger_at_page(void *arg)
{
	struct conn *c = arg;

	SYS(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, absent - 4, 8));
	return NULL;
}

/* Whoever takes sockets for others has none of them stop him. */
static void accepted_asleep(void)
{
	struct kssl_handshake h = wants(v->server ? KSSL_ROLE_SERVER : KSSL_ROLE_CLIENT);
	int nl = helper_open(KSSL_GENL_GROUP_HELPERS), page = watch_page();
	pthread_t owner;
	struct told t;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	SYS(fcntl(c.fd, F_SETFL, O_NONBLOCK));
	FAILS(shake(c.fd, &h), EINPROGRESS);
	owner = start(linger_at_page, &c);
	page_is_missed(page);
	c.control = helper_accept(nl, &t);
	page_comes(page);
	finish(owner);
	hand_over(&c);
	conn_both_ways(&c, 20000, 7000);
}

/* Nor who asks how things stand: all of generic netlink would wait with him. */
static void told_asleep(void)
{
	int nl = helper_open(NULL), page;
	pthread_t owner;
	struct told t;
	struct conn c;
	uint32_t id;

	conn_open_attended(&c);
	/* The last one, for others may not be quite gone. */
	CHECK(helper_dump(nl, KSSL_CMD_SESSION, KSSL_A_STATE, KSSL_SESSION_STATE_ATTENDED, &t) > 0);
	id = t.number[KSSL_A_ID];
	page = watch_page();
	owner = start(linger_at_page, &c);
	page_is_missed(page);
	EQ(helper_ask(nl, KSSL_CMD_SESSION, KSSL_A_ID, id, 0, 0, NULL), EBUSY);
	EQ(helper_ask(nl, KSSL_CMD_RENEGOTIATE, KSSL_A_ID, id, KSSL_A_HOW, KSSL_RENEG_FULL, NULL), EBUSY);
	EQ(helper_ask(nl, KSSL_CMD_CANCEL, KSSL_A_ID, id, 0, 0, NULL), EBUSY);
	CHECK(helper_dump(nl, KSSL_CMD_SESSION, KSSL_A_ID, id, &t) > 0);
	EQ(t.number[KSSL_A_ID], id);
	EQ(t.number[KSSL_A_STATE], KSSL_SESSION_STATE_BUSY);
	EQ(t.number[KSSL_A_PID], getpid());
	page_comes(page);
	finish(owner);
	EQ(helper_ask(nl, KSSL_CMD_SESSION, KSSL_A_ID, id, 0, 0, &t), 0);
	EQ(t.number[KSSL_A_STATE], KSSL_SESSION_STATE_ATTENDED);
	others_go_on(&c);
}

#define OWNERS	280	/* more than a workqueue runs at once, up to Linux 6.12 */

static void *send_much(void *arg)
{
	struct conn *c = arg;

	send_pattern(c->fd, 0, 1 << 20);
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Whoever owns a socket sleeps, and the socket's clock runs out. */
static void owners_asleep(void)
{
	const struct kssl_policy p = { .rekey_ms = 4000 };
	static struct conn owners[OWNERS];
	pthread_t threads[OWNERS], writer;
	int page = watch_page(), owned = 0, i;
	int64_t began[OWNERS], slept[OWNERS];
	struct conn c;

	for (i = 0; i < OWNERS; i++) {
		began[i] = now_ms();
		conn_open_policy(&owners[i], &p);
		threads[i] = start(linger_at_page, &owners[i]);
		page_is_missed(page);
		slept[i] = now_ms();
	}
	usleep(p.rekey_ms * 1100);
	/* Somebody else's goes on, which needs a work whenever TCP has room again. */
	conn_open_bufs(&c, 0, 1);
	writer = start(send_much, &c);
	peer_expect_pattern(&c.peer, 0, 1 << 20);
	finish(writer);
	/* Theirs do not, or they would not own them. */
	for (i = 0; i < OWNERS; i++) {
		if (slept[i] - began[i] >= p.rekey_ms)
			continue;	/* it may have run out before */
		EQ(ready(owners[i].control, POLLIN), 0);
		owned++;
	}
	note("%d sockets were owned", owned);
	page_comes(page);
	for (i = 0; i < OWNERS; i++) {
		finish(threads[i]);
		/* What was put off is done now. */
		EQ(find_event(owners[i].control, KSSL_EV_REKEY).value, KSSL_REKEY_TIME);
	}
}

/* ---- pages that only have to be made ---- */

#define MUCH	(1 << 18)

static uint8_t *fresh(size_t len)
{
	uint8_t *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	/* Not every kernel has them. */
	madvise(pages, len, MADV_NOHUGEPAGE);
	return pages;
}

static void *peer_sends_much(void *arg)
{
	struct conn *c = arg;

	peer_send_pattern(&c->peer, 0, MUCH, 16384);
	return NULL;
}

static void read_fresh(void)
{
	uint8_t *to = fresh(MUCH);
	pthread_t peer;
	struct conn c;

	conn_open(&c);
	peer = start(peer_sends_much, &c);
	EQ(SYS(recv(c.fd, to, MUCH, MSG_WAITALL)), MUCH);
	check_pattern(to, 0, MUCH);
	finish(peer);
}

static void read_fresh_type(void)
{
	uint8_t *to = fresh(PAGE), *control = fresh(PAGE);
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, HANDSHAKE, "shake", 5);
	EQ(SYS(recv_with_control(c.fd, to, 10, control, CMSG_SPACE(1))), 5);
	CHECK(!memcmp(to, "shake", 5));
	check_type(control, HANDSHAKE);
}

/* Two messages, in two pages. */
static void read_fresh_identity(void)
{
	const size_t first = CMSG_SPACE(1);
	struct cmsghdr identity;
	uint8_t *control, byte;
	struct conn c;
	int i;

	conn_open(&c);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .flags = KSSL_POLICY_IDENTITY }));
	for (i = 0; i < 2; i++) {
		control = fresh(2 * PAGE) + PAGE - first;
		peer_send(&c.peer, i ? HANDSHAKE : DATA, "x", 1);
		EQ(SYS(recv_with_control(c.fd, &byte, 1, control, 2 * first)), 1);
		check_type(control, i ? HANDSHAKE : DATA);
		memcpy(&identity, control + first, sizeof(identity));
		EQ(identity.cmsg_level, SOL_KSSL);
		EQ(identity.cmsg_type, KSSL_IDENTITY);
	}
}

/* Pieces of one record, each of a page of its own. */
static void write_more_fresh(void)
{
	uint8_t *from = fresh(100 * PAGE), zeros[100 * 100] = {};
	struct conn c;
	int i;

	conn_open(&c);
	for (i = 0; i < 100; i++)
		EQ(SYS(send(c.fd, from + i * PAGE, 100, MSG_NOSIGNAL | (i < 99 ? MSG_MORE : 0))), 100);
	peer_expect(&c.peer, DATA, zeros, sizeof(zeros));
}

/* From a file, no page of which is mapped yet: records are as they always are. */
static void write_fresh(void)
{
	int fd = SYS(memfd_create("pattern", MFD_CLOEXEC)), i;
	uint8_t data[16384], *from;
	struct conn c;

	for (i = 0; i < MUCH / 16384; i++) {
		pattern(data, i * 16384, 16384);
		EQ(SYS(pwrite(fd, data, 16384, i * 16384)), 16384);
	}
	from = mmap(NULL, MUCH, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(from != MAP_FAILED);
	conn_open_bufs(&c, 0, 4 * MUCH);
	EQ(SYS(send(c.fd, from, MUCH, MSG_NOSIGNAL)), MUCH);
	for (i = 0; i < MUCH / 16384; i++) {
		pattern(data, i * 16384, 16384);
		peer_expect(&c.peer, DATA, data, 16384);
	}
}

/* ---- pages that never come ---- */

/* The first byte that nobody can touch; PRESENT pages before it are there. */
static uint8_t *end_of_memory(void)
{
	uint8_t *pages = fresh((PRESENT + 1) * PAGE);

	SYS(mprotect(pages + PRESENT * PAGE, PAGE, PROT_NONE));
	return pages + PRESENT * PAGE;
}

static void write_past_end(void)
{
	const size_t len = 16384 + 2000;
	uint8_t *end = end_of_memory();
	struct conn c;

	conn_open(&c);
	pattern(end - len, 0, len);
	EQ(SYS(send(c.fd, end - 100, 200, MSG_NOSIGNAL)), 100);
	peer_expect(&c.peer, DATA, end - 100, 100);
	EQ(SYS(send(c.fd, end - len, len + 100, MSG_NOSIGNAL)), len);
	peer_expect(&c.peer, DATA, end - len, 16384);
	peer_expect(&c.peer, DATA, end - 2000, 2000);
	FAILS(send(c.fd, end, 100, MSG_NOSIGNAL), EFAULT);
	conn_both_ways(&c, 20000, 7000);
}

/* One record, or none. */
static void write_typed_past_end(void)
{
	uint8_t *end = end_of_memory();
	struct conn c;

	conn_open(&c);
	FAILS(send_typed(c.fd, HANDSHAKE, end - 50, 100, 0), EFAULT);
	EQ(SYS(send_typed(c.fd, HANDSHAKE, end - 50, 50, 0)), 50);
	peer_expect(&c.peer, HANDSHAKE, end - 50, 50);
	conn_both_ways(&c, 20000, 7000);
}

/* What was left open is as it was. */
static void write_more_past_end(void)
{
	uint8_t *end = end_of_memory(), data[104];
	struct conn c;

	conn_open(&c);
	pattern(end - 100, 0, 100);
	EQ(SYS(send(c.fd, "ab", 2, MSG_MORE | MSG_NOSIGNAL)), 2);
	FAILS(send(c.fd, end, 10, MSG_MORE | MSG_NOSIGNAL), EFAULT);
	FAILS(send(c.fd, end, 10, MSG_NOSIGNAL), EFAULT);
	EQ(SYS(send(c.fd, "cd", 2, MSG_MORE | MSG_NOSIGNAL)), 2);
	EQ(SYS(send(c.fd, end - 100, 200, MSG_NOSIGNAL)), 100);
	memcpy(data, "abcd", 4);
	pattern(data + 4, 0, 100);
	peer_expect(&c.peer, DATA, data, 104);
	conn_both_ways(&c, 20000, 7000);
}

static void read_past_end(void)
{
	uint8_t *end = end_of_memory();
	struct conn c;

	conn_open(&c);
	peer_send_pattern(&c.peer, 0, 130, 130);
	FAILS(recv(c.fd, end - 50, 100, 0), EFAULT);
	EQ(SYS(recv(c.fd, end - 30, 30, 0)), 30);
	check_pattern(end - 30, 0, 30);
	recv_pattern(c.fd, 30, 100);
	/* What fits was read. */
	peer_send_pattern(&c.peer, 0, 30, 30);
	peer_send_pattern(&c.peer, 30, 100, 100);
	peer_settle(&c.peer);
	EQ(SYS(recv(c.fd, end - 50, 150, 0)), 30);
	check_pattern(end - 50, 0, 30);
	recv_pattern(c.fd, 30, 100);
	conn_both_ways(&c, 20000, 7000);
}

/* What there is a page for is told, however little that is. */
static void read_types_past_end(void)
{
	const size_t first = CMSG_SPACE(1);
	struct cmsghdr head;
	struct conn c;
	uint8_t *end, byte;
	int i;

	conn_open(&c);
	for (i = 0; i < 4; i++) {
		end = end_of_memory();
		/* Tight, or room for what cannot be written then. */
		end -= i & 1 ? CMSG_LEN(1) : first;
		SYS(set_policy(c.fd, &(struct kssl_policy){ .flags = i & 1 ? 0 : KSSL_POLICY_IDENTITY }));
		peer_send(&c.peer, i & 2 ? HANDSHAKE : DATA, "x", 1);
		EQ(SYS(recv_with_control(c.fd, &byte, 1, end, i & 1 ? first : 2 * first)), 1);
		memcpy(&head, end, sizeof(head));
		EQ(head.cmsg_type, KSSL_RECORD_TYPE);
		EQ(end[CMSG_LEN(0)], i & 2 ? HANDSHAKE : DATA);
	}
}

/* Data has a type that nobody needs to be told. */
static void read_type_past_end(void)
{
	uint8_t *end = end_of_memory(), data[10];
	struct conn c;

	conn_open(&c);
	peer_send(&c.peer, DATA, "data", 4);
	EQ(SYS(recv_with_control(c.fd, data, sizeof(data), end, CMSG_SPACE(1))), 4);
	CHECK(!memcmp(data, "data", 4));
	peer_send(&c.peer, HANDSHAKE, "shake", 5);
	FAILS(recv_with_control(c.fd, data, sizeof(data), end, CMSG_SPACE(1)), EIO);
	expect_typed(c.fd, HANDSHAKE, "shake", 5);
}

static const struct test tests[] = {
	{ "writer_asleep", VERSIONS, writer_asleep },
	{ "writer_asleep_at_open", VERSIONS, writer_asleep_at_open },
	{ "reader_asleep", VERSIONS, reader_asleep },
	{ "peeker_asleep", VERSIONS, peeker_asleep },
	{ "message_behind", VERSIONS, message_behind },
	{ "no_hole", VERSIONS, no_hole },
	{ "peek_offset_asleep", VERSIONS, peek_offset_asleep },
	{ "exporter_asleep", VERSIONS, exporter_asleep },
	{ "type_asleep", VERSIONS, type_asleep },
	{ "typed_asleep", VERSIONS, typed_asleep },
	{ "killed_asleep", VERSIONS, killed_asleep },
	{ "accepted_asleep", VERSIONS, accepted_asleep },
	{ "told_asleep", VERSIONS, told_asleep },
	{ "owners_asleep", ONCE, owners_asleep },
	{ "read_fresh", FORMATS, read_fresh },
	{ "read_fresh_type", VERSIONS, read_fresh_type },
	{ "read_fresh_identity", VERSIONS, read_fresh_identity },
	{ "write_more_fresh", FORMATS, write_more_fresh },
	{ "write_fresh", FORMATS, write_fresh },
	{ "write_past_end", FORMATS, write_past_end },
	{ "write_typed_past_end", VERSIONS, write_typed_past_end },
	{ "write_more_past_end", VERSIONS, write_more_past_end },
	{ "read_past_end", FORMATS, read_past_end },
	{ "read_types_past_end", VERSIONS, read_types_past_end },
	{ "read_type_past_end", VERSIONS, read_type_past_end },
	{ 0 },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
