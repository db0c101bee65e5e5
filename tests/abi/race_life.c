// SPDX-License-Identifier: MIT
/*
 * Attacks on the life of a connection: who is already there when the layer comes, who
 * is still there when it goes, and what a socket must not become afterwards.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

struct shared {
	struct conn c;
	int stop;
	int unloads;
};

static int stopped(struct shared *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

static void stop(struct shared *s)
{
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
}

/* ---- attach ---- */

static void *use_all_the_time(void *arg)
{
	struct shared *s = arg;
	struct kssl_status status;
	uint8_t byte;

	while (!stopped(s)) {
		socklen_t len = sizeof(status);

		ready(s->c.fd, POLLIN | POLLOUT);
		getsockopt(s->c.fd, SOL_KSSL, KSSL_STATUS, &status, &len);
		so_error(s->c.fd);
		queued_bytes(s->c.fd);
		recv(s->c.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	}
	return NULL;
}

/* CVE-2024-36489: whoever sees the new operations sees what they need. */
static void cve_2024_36489_attach_under_use(void)
{
	int i;

	for (i = 0; i < 60; i++) {
		struct shared s = {};
		pthread_t t[2];

		conn_connect(&s.c);
		t[0] = start(use_all_the_time, &s);
		t[1] = start(use_all_the_time, &s);
		conn_attach(&s.c);
		stop(&s);
		finish(t[0]);
		finish(t[1]);
		conn_keys(&s.c);
		send_pattern(s.c.fd, 0, 100);
		peer_expect_pattern(&s.c.peer, 0, 100);
		close(s.c.fd);
		close(s.c.peer.fd);
	}
}

static void *feed_all_the_time(void *arg)
{
	struct shared *s = arg;

	peer_send_pattern(&s->c.peer, 0, 200000, 1000);
	return NULL;
}

/* CVE-2026-64025: bytes come while the callbacks are exchanged, at attach and at close. */
static void cve_2026_64025_attach_under_traffic(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		struct shared s = {};
		pthread_t t;

		conn_connect(&s.c);
		s.c.peer.rx = make_keys(1);
		s.c.peer.tx = make_keys(2);
		t = start(feed_all_the_time, &s);
		usleep(i * 37);
		conn_attach(&s.c);
		SYS(set_key(s.c.fd, KSSL_TX_KEY, &s.c.peer.rx));
		s.c.peer.rx = make_keys(1);
		{
			struct keys k = make_keys(2);

			SYS(set_key(s.c.fd, KSSL_RX_KEY, &k));
		}
		recv_pattern(s.c.fd, 0, 200000);
		finish(t);
		close(s.c.fd);
		close(s.c.peer.fd);
	}
}

static void *steal(void *arg)
{
	struct conn *c = arg;
	static uint8_t stolen[16];

	/* Inside TCP's recvmsg, from before the attach. */
	return (void *)recv(c->fd, stolen, sizeof(stolen), 0);
}

static pid_t thief;

static void *steal_and_tell(void *arg)
{
	__atomic_store_n(&thief, gettid(), __ATOMIC_RELEASE);
	return steal(arg);
}

/*
 * CVE-2025-38616: a reader that was inside TCP already takes bytes of a record away.
 * That is found out, and is an error, not somebody else's plaintext.
 */
static void cve_2025_38616_data_steal(void)
{
	struct conn c;
	pthread_t t;
	uint8_t byte;
	long n;

	conn_connect(&c);
	thief = 0;
	t = start(steal_and_tell, &c);
	while (!__atomic_load_n(&thief, __ATOMIC_ACQUIRE))
		usleep(100);
	wait_asleep(thief);
	conn_attach(&c);
	conn_keys(&c);
	peer_send(&c.peer, DATA, "secret", 6);
	n = (long)finish(t);
	if (n > 0) {
		peer_send(&c.peer, DATA, "secret", 6);
		FAILS(recv(c.fd, &byte, 1, 0), EIO);
		EQ(error_of(c.fd).err, EIO);
		peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
	} else {
		recv_pattern(c.fd, 0, 0);
		expect_typed(c.fd, DATA, "secret", 6);
	}
}

/* ---- what a socket must not become ---- */

static int disconnect(int fd)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	return connect(fd, &unspec, sizeof(unspec));
}

/* CVE-2023-0461, CVE-2025-37756: no way from our socket to a listener or a new connection. */
static void cve_2023_0461_listen(void)
{
	struct conn c;

	conn_open(&c);
	CHECK(listen(c.fd, 1) < 0);
	CHECK(disconnect(c.fd) < 0);
	CHECK(listen(c.fd, 1) < 0);
	SYS(shutdown(c.fd, SHUT_RDWR));
	CHECK(listen(c.fd, 1) < 0);
	CHECK(disconnect(c.fd) < 0);
	peer_expect_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c.peer);
	close(c.peer.fd);
	/* also once TCP is through with it */
	while (!(ready(c.fd, POLLHUP) & POLLHUP))
		usleep(500);
	CHECK(listen(c.fd, 1) < 0);
	CHECK(disconnect(c.fd) < 0);
	CHECK(listen(c.fd, 1) < 0);
}

static void *disconnect_all_the_time(void *arg)
{
	struct shared *s = arg;

	while (!stopped(s))
		CHECK(disconnect(s->c.fd) < 0);
	return NULL;
}

static void cve_2025_37756_disconnect_under_load(void)
{
	struct shared s = {};
	pthread_t t[2];

	conn_open(&s.c);
	t[0] = start(disconnect_all_the_time, &s);
	t[1] = start(feed_all_the_time, &s);
	recv_pattern(s.c.fd, 0, 200000);
	finish(t[1]);
	stop(&s);
	finish(t[0]);
	send_pattern(s.c.fd, 0, 100);
	peer_expect_pattern(&s.c.peer, 0, 100);
}

/* ---- close ---- */

/* CVE-2024-26585, CVE-2026-23240: room comes while close has stopped the works. */
static void cve_2024_26585_close_as_room_comes(void)
{
	static uint8_t sink[1 << 20];
	int i;

	for (i = 0; i < 60; i++) {
		struct conn c;

		conn_connect_bufs(&c, 0, 1);
		conn_attach(&c);
		conn_keys(&c);
		send_until_full(c.fd, 0);
		/* The work is due now, or running, or not yet due. */
		recv(c.peer.fd, sink, i * 4096, MSG_DONTWAIT);
		close(c.fd);
		while (recv(c.peer.fd, sink, sizeof(sink), 0) > 0)
			;
		close(c.peer.fd);
	}
}

enum end { SHUTDOWN, PEER_RESETS, PEER_CLOSES, HELPER_CLOSES };

static void *write_to_death(void *arg)
{
	struct conn *c = arg;
	uint8_t data[5000];

	while (send(c->fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void *read_to_death(void *arg)
{
	struct conn *c = arg;
	uint8_t data[5000];

	while (recv(c->fd, data, sizeof(data), 0) > 0)
		;
	return NULL;
}

static void *poll_to_death(void *arg)
{
	struct conn *c = arg;
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	while (!(p.revents & (POLLERR | POLLHUP | POLLRDHUP)))
		SYS(poll(&p, 1, -1));
	return NULL;
}

static void *help_to_death(void *arg)
{
	struct conn *c = arg;
	struct kssl_op go_on = { .op = KSSL_OP_CONTINUE };
	struct message m;

	while (read_message(c->control, &m) > 0)
		if (m.head.kind == KSSL_MSG_RECORD && write(c->control, &go_on, sizeof(go_on)) < 0)
			EQ(errno, EPIPE);
	return NULL;
}

static void *peer_to_death(void *arg)
{
	struct conn *c = arg;
	uint8_t record[RECORD_MAX], data[5000] = {};

	for (;;) {
		size_t len = seal(&c->peer.tx, DATA, data, sizeof(data), record);

		if (send(c->peer.fd, record, len, MSG_NOSIGNAL) < 0)
			return NULL;
		while (recv(c->peer.fd, record, sizeof(record), MSG_DONTWAIT) > 0)
			;
	}
}

/* All of them at once on a connection that ends in one of the ways. */
static void end_under_load(enum end end)
{
	pthread_t t[4], helper = 0;
	struct conn c;
	int i, n;

	for (i = 0; i < 12; i++) {
		conn_open_attended(&c);
		t[0] = start(write_to_death, &c);
		t[1] = start(read_to_death, &c);
		t[2] = start(poll_to_death, &c);
		t[3] = start(peer_to_death, &c);
		if (end != HELPER_CLOSES)
			helper = start(help_to_death, &c);
		usleep(i * 300);
		switch (end) {
		case SHUTDOWN:
			SYS(shutdown(c.fd, SHUT_RDWR));
			break;
		case PEER_RESETS:
			SYS(disconnect(c.peer.fd));
			break;
		case PEER_CLOSES:
			break;
		case HELPER_CLOSES:
			/* in the middle of a handshake, so that it is fatal */
			control_op(c.control, KSSL_OP_HOLD);
			close(c.control);
			break;
		}
		if (end != PEER_RESETS)
			shutdown(c.peer.fd, SHUT_RDWR);
		for (n = 0; n < 4; n++)
			finish(t[n]);
		CHECK(end == SHUTDOWN || error_of(c.fd).err);
		close(c.fd);
		if (end != HELPER_CLOSES) {
			finish(helper);
			close(c.control);
		}
		close(c.peer.fd);
	}
}

static void shutdown_among_all(void)
{
	end_under_load(SHUTDOWN);
}

static void peer_resets_among_all(void)
{
	end_under_load(PEER_RESETS);
}

static void peer_closes_among_all(void)
{
	end_under_load(PEER_CLOSES);
}

static void helper_closes_among_all(void)
{
	end_under_load(HELPER_CLOSES);
}

/* Both files go at the same time, with a record on its way to the helper. */
static void *close_control(void *arg)
{
	struct conn *c = arg;

	close(c->control);
	return NULL;
}

static void both_files_close(void)
{
	int i;

	for (i = 0; i < 60; i++) {
		struct conn c;
		pthread_t t;

		conn_open_attended(&c);
		peer_send(&c.peer, HANDSHAKE, "\0\0\0\0", 4);
		t = start(close_control, &c);
		usleep(i * 11);
		close(c.fd);
		finish(t);
		close(c.peer.fd);
	}
}

/* ---- the module ---- */

static int unload(void)
{
	return syscall(SYS_delete_module, "kssl", O_NONBLOCK);
}

static void load(void)
{
	EQ(system("modprobe kssl"), 0);
}

/* TCP lets go of a socket some time after both ends have closed. */
static void unload_at_last(void)
{
	while (unload()) {
		EQ(errno, EAGAIN);
		usleep(1000);
	}
}

/* It stays for as long as a socket or a control file does. */
static void unload_while_in_use(void)
{
	struct conn c;
	pid_t pid;
	int status;

	conn_open_attended(&c);
	FAILS(unload(), EAGAIN);
	send_pattern(c.fd, 0, 100);
	peer_expect_pattern(&c.peer, 0, 100);
	close(c.fd);
	FAILS(unload(), EAGAIN);
	expect_event(c.control, KSSL_EV_CLOSED);
	close(c.peer.fd);
	FAILS(unload(), EAGAIN);
	close(c.control);
	unload_at_last();
	load();

	/* A socket that a process left at its end, unread bytes and all, is no user. */
	pid = SYS(fork());
	if (!pid) {
		conn_open(&c);
		peer_send_pattern(&c.peer, 0, 5000, 1000);
		EQ(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL), 4);
		raise(SIGKILL);
	}
	EQ(SYS(waitpid(pid, &status, 0)), pid);
	EQ(WTERMSIG(status), SIGKILL);
	unload_at_last();
	load();
}

static void *unload_all_the_time(void *arg)
{
	struct shared *s = arg;

	while (!stopped(s)) {
		if (unload()) {
			CHECK(errno == EAGAIN || errno == EBUSY);
			continue;
		}
		__atomic_fetch_add(&s->unloads, 1, __ATOMIC_RELAXED);
		load();
	}
	return NULL;
}

static void unload_under_attach(void)
{
	struct shared s = {};
	pthread_t t;
	int i, absent = 0;

	t = start(unload_all_the_time, &s);
	for (i = 0; i < 100 || __atomic_load_n(&s.unloads, __ATOMIC_RELAXED) < 5; i++) {
		struct conn c;

		CHECK(i < 20000);
		conn_connect(&c);
		if (attach(c.fd)) {
			EQ(errno, ENOENT);
			absent++;
		} else {
			conn_keys(&c);
			send_pattern(c.fd, 0, 100);
			peer_expect_pattern(&c.peer, 0, 100);
		}
		close(c.fd);
		close(c.peer.fd);
		if (i % 16 == 15)
			usleep(2000);
	}
	stop(&s);
	finish(t);
	note("unloaded %d times, absent %d times", s.unloads, absent);
}

static const struct test tests[] = {
	{ "cve_2024_36489_attach_under_use", VERSIONS, cve_2024_36489_attach_under_use },
	{ "cve_2026_64025_attach_under_traffic", VERSIONS, cve_2026_64025_attach_under_traffic },
	{ "cve_2025_38616_data_steal", VERSIONS, cve_2025_38616_data_steal },
	{ "cve_2023_0461_listen", VERSIONS, cve_2023_0461_listen },
	{ "cve_2025_37756_disconnect_under_load", VERSIONS, cve_2025_37756_disconnect_under_load },
	{ "cve_2024_26585_close_as_room_comes", VERSIONS, cve_2024_26585_close_as_room_comes },
	{ "shutdown_among_all", VERSIONS, shutdown_among_all },
	{ "peer_resets_among_all", VERSIONS, peer_resets_among_all },
	{ "peer_closes_among_all", VERSIONS, peer_closes_among_all },
	{ "helper_closes_among_all", VERSIONS, helper_closes_among_all },
	{ "both_files_close", VERSIONS, both_files_close },
	{ "unload_while_in_use", FORMATS, unload_while_in_use },
	{ "unload_under_attach", FORMATS, unload_under_attach },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
