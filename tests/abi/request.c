// SPDX-License-Identifier: MIT
/* KSSL_RENEGOTIATE: the application asks, the helper does it, and says how it ended. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static int ask(int fd, int how)
{
	return setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how));
}

static int outcome(int fd)
{
	socklen_t len = sizeof(int);
	int result = -1;

	SYS(getsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &result, &len));
	EQ(len, sizeof(int));
	return result;
}

static void nonblocking(int fd)
{
	SYS(fcntl(fd, F_SETFL, O_NONBLOCK));
}

static uint32_t expect_request(struct conn *c, unsigned int how)
{
	struct kssl_msg m = get_event(c->control, KSSL_EV_REQUEST);

	EQ(m.value, how);
	return m.epoch;
}

static void answer(struct conn *c, uint32_t id, uint32_t err)
{
	struct kssl_result r = { .id = id, .err = err };
	struct batch *b = batch_new();

	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	SYS(batch_write(b, c->control));
	free(b);
}

static void open_conn(struct conn *c)
{
	conn_open_policy(c, &(struct kssl_policy){});
}

/**
 * struct asker - a thread that asks
 * @c: connection
 * @how: KSSL_RENEG_*
 * @error: errno it got, 0 if none
 */
struct asker {
	struct conn *c;
	int how;
	int error;
};

static void *asks(void *arg)
{
	struct asker *a = arg;

	a->error = ask(a->c->fd, a->how) ? errno : 0;
	return NULL;
}

/* ---- how it ends ---- */

static void blocking(void)
{
	static const int errors[] = { 0, EOPNOTSUPP, ECONNREFUSED, EACCES, 0 };
	unsigned int i;
	struct conn c;
	uint32_t id, last = 0;
	int how;

	open_conn(&c);
	EQ(outcome(c.fd), 0);
	for (how = KSSL_RENEG_FULL; how <= KSSL_RENEG_REQUIRE_CERT; how++)
		for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			struct asker a = { &c, how, -1 };
			pthread_t t = start(asks, &a);

			id = expect_request(&c, how);
			CHECK(id != last);
			last = id;
			EQ(outcome(c.fd), EINPROGRESS);
			/* meanwhile data goes on */
			conn_both_ways(&c, 100, 100);
			answer(&c, id, errors[i]);
			finish(t);
			EQ(a.error, errors[i]);
			EQ(outcome(c.fd), errors[i]);
			EQ(outcome(c.fd), errors[i]);
		}
	/* whatever the helper says of it, the connection lives */
	conn_both_ways(&c, 100, 100);
	EQ(error_of(c.fd).err, 0);
}

static void in_progress(void)
{
	struct conn c;
	uint32_t id;

	open_conn(&c);
	nonblocking(c.fd);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EINPROGRESS);
	EQ(outcome(c.fd), EINPROGRESS);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EALREADY);
	FAILS(ask(c.fd, KSSL_RENEG_REQUEST_CERT), EALREADY);
	id = expect_request(&c, KSSL_RENEG_FULL);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EALREADY);
	/* asked once */
	EQ(ready(c.control, POLLIN), 0);
	answer(&c, id, 0);
	EQ(outcome(c.fd), 0);
	FAILS(ask(c.fd, KSSL_RENEG_RESUME), EINPROGRESS);
	id = expect_request(&c, KSSL_RENEG_RESUME);
	answer(&c, id, ECONNREFUSED);
	EQ(outcome(c.fd), ECONNREFUSED);
}

/* Two at once: one asks, the other is told that it did. */
static void already(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;
	uint32_t id;

	open_conn(&c);
	a = (struct asker){ &c, KSSL_RENEG_FULL, -1 };
	t = start(asks, &a);
	id = expect_request(&c, KSSL_RENEG_FULL);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EALREADY);
	answer(&c, id, 0);
	finish(t);
	EQ(a.error, 0);
}

/* The answer to another request is none. */
static void other_id(void)
{
	struct conn c;
	uint32_t id;

	open_conn(&c);
	nonblocking(c.fd);
	answer(&c, 0, EACCES);
	answer(&c, 1, EACCES);
	EQ(outcome(c.fd), 0);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EINPROGRESS);
	id = expect_request(&c, KSSL_RENEG_FULL);
	answer(&c, id + 1, EACCES);
	answer(&c, id - 1, EACCES);
	EQ(outcome(c.fd), EINPROGRESS);
	answer(&c, id, 0);
	EQ(outcome(c.fd), 0);
	/* once is enough */
	answer(&c, id, EACCES);
	EQ(outcome(c.fd), 0);
}

static void bad_results(void)
{
	struct kssl_result r = {};
	struct batch *b = batch_new();
	struct conn c;
	size_t len;

	open_conn(&c);
	nonblocking(c.fd);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EINPROGRESS);
	r.id = expect_request(&c, KSSL_RENEG_FULL);
	for (len = 0; len < sizeof(r); len++) {
		batch_add(b, KSSL_OP_RESULT, 0, &r, len);
		FAILS(batch_write(b, c.control), EINVAL);
	}
	batch_add(b, KSSL_OP_RESULT, HANDSHAKE, &r, sizeof(r));
	FAILS(batch_write(b, c.control), EINVAL);
	/* not an errno */
	r.err = (uint32_t)-EACCES;
	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	FAILS(batch_write(b, c.control), EINVAL);
	r.err = 4096;
	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	FAILS(batch_write(b, c.control), EINVAL);
	/* all or nothing */
	r.err = 0;
	batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
	batch_op(b, 99);
	FAILS(batch_write(b, c.control), EINVAL);
	EQ(outcome(c.fd), EINPROGRESS);
	answer(&c, r.id, 0);
	EQ(outcome(c.fd), 0);
}

/* ---- who does not wait until the end ---- */

static void on_signal(int number)
{
	(void)number;
}

/* EINTR, and the handshake goes on. */
static void signalled(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct asker a;
	struct conn c;
	pthread_t t;
	uint32_t id;

	SYS(sigaction(SIGUSR1, &action, NULL));
	open_conn(&c);
	a = (struct asker){ &c, KSSL_RENEG_FULL, -1 };
	t = start(asks, &a);
	id = expect_request(&c, KSSL_RENEG_FULL);
	/* it may be on its way to sleep yet */
	while (__atomic_load_n(&a.error, __ATOMIC_RELAXED) == -1) {
		pthread_kill(t, SIGUSR1);
		usleep(1000);
	}
	finish(t);
	EQ(a.error, EINTR);
	EQ(outcome(c.fd), EINPROGRESS);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EALREADY);
	answer(&c, id, ECONNREFUSED);
	EQ(outcome(c.fd), ECONNREFUSED);
}

/* As connect(2) does. */
static void send_timeout(void)
{
	struct timeval soon = { .tv_usec = 20000 };
	struct conn c;
	uint32_t id;

	open_conn(&c);
	SYS(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)));
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EINPROGRESS);
	EQ(outcome(c.fd), EINPROGRESS);
	id = expect_request(&c, KSSL_RENEG_FULL);
	answer(&c, id, 0);
	EQ(outcome(c.fd), 0);
}

/* ---- the connection ends meanwhile ---- */

static void wait_asked(struct conn *c, struct asker *a, pthread_t *t)
{
	*a = (struct asker){ c, KSSL_RENEG_FULL, -1 };
	*t = start(asks, a);
	expect_request(c, KSSL_RENEG_FULL);
}

static void helper_leaves(void)
{
	int unread;

	for (unread = 0; unread < 2; unread++) {
		struct asker a;
		struct conn c;
		pthread_t t;

		open_conn(&c);
		a = (struct asker){ &c, KSSL_RENEG_FULL, -1 };
		t = start(asks, &a);
		if (unread)
			wait_ready(c.control, POLLIN);
		else
			expect_request(&c, KSSL_RENEG_FULL);
		close(c.control);
		finish(t);
		EQ(a.error, ESRCH);
		EQ(outcome(c.fd), ESRCH);
		FAILS(ask(c.fd, KSSL_RENEG_FULL), ESRCH);
		/* a handshake that has not begun is no loss */
		conn_both_ways(&c, 100, 100);
		EQ(error_of(c.fd).err, 0);
	}
}

static void helper_leaves_orphan(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;

	conn_open_policy(&c, &(struct kssl_policy){ .flags = KSSL_POLICY_ORPHAN });
	wait_asked(&c, &a, &t);
	close(c.control);
	finish(t);
	EQ(a.error, ESRCH);
	conn_both_ways(&c, 100, 100);
}

static void helper_leaves_midway(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;
	uint8_t byte;

	conn_open_policy(&c, &(struct kssl_policy){ .flags = KSSL_POLICY_ORPHAN });
	wait_asked(&c, &a, &t);
	control_op(c.control, KSSL_OP_HOLD);
	close(c.control);
	finish(t);
	EQ(a.error, ESRCH);
	FAILS(recv(c.fd, &byte, 1, 0), ESRCH);
}

static void helper_fails(void)
{
	struct kssl_error e = { .size = sizeof(e), .err = EACCES, .alert = 42, .has_alert = 1 };
	struct batch *b = batch_new();
	struct asker a;
	struct conn c;
	pthread_t t;

	open_conn(&c);
	wait_asked(&c, &a, &t);
	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	SYS(batch_write(b, c.control));
	finish(t);
	EQ(a.error, EACCES);
	EQ(outcome(c.fd), EACCES);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EACCES);
}

static void peer_fails(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;

	open_conn(&c);
	wait_asked(&c, &a, &t);
	peer_send_alert(&c.peer, FATAL, HANDSHAKE_FAILURE);
	finish(t);
	EQ(a.error, ECONNABORTED);
	EQ(outcome(c.fd), ECONNABORTED);
}

static void peer_resets(void)
{
	struct linger now = { .l_onoff = 1 };
	struct asker a;
	struct conn c;
	pthread_t t;

	open_conn(&c);
	wait_asked(&c, &a, &t);
	SYS(setsockopt(c.peer.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(c.peer.fd);
	finish(t);
	EQ(a.error, ECONNRESET);
}

static void peer_truncates(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;

	open_conn(&c);
	wait_asked(&c, &a, &t);
	SYS(shutdown(c.peer.fd, SHUT_WR));
	finish(t);
	EQ(a.error, ECONNRESET);
}

static void helper_is_late(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;

	conn_open_policy(&c, &(struct kssl_policy){ .peer_ms = 20 });
	wait_asked(&c, &a, &t);
	control_op(c.control, KSSL_OP_HOLD);
	finish(t);
	EQ(a.error, ETIMEDOUT);
}

/* ---- not to be asked ---- */

static void values(void)
{
	int how = KSSL_RENEG_FULL, bad;
	socklen_t len;
	struct conn c;

	open_conn(&c);
	nonblocking(c.fd);
	for (bad = KSSL_RENEG_REQUIRE_CERT + 1; bad < 70; bad++)
		FAILS(ask(c.fd, bad), EINVAL);
	FAILS(ask(c.fd, -1), EINVAL);
	FAILS(ask(c.fd, -2147483647 - 1), EINVAL);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, 3), EINVAL);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, 0), EINVAL);
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, nowhere, sizeof(how)), EFAULT);
	len = 3;
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, &len), EINVAL);
	len = sizeof(how);
	FAILS(getsockopt(c.fd, SOL_KSSL, KSSL_RENEGOTIATE, nowhere, &len), EFAULT);
	EQ(outcome(c.fd), 0);
	EQ(ready(c.control, POLLIN), 0);
}

static void before_handshake(void)
{
	struct conn c;

	conn_attend(&c);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), ENOTCONN);
	conn_hand_over(&c);
	nonblocking(c.fd);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EINPROGRESS);
}

static void unattended(void)
{
	struct conn c;

	conn_open(&c);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EOPNOTSUPP);
	conn_both_ways(&c, 100, 100);
}

/* One direction is closed: no handshake can run. */
static void half_closed(void)
{
	struct conn c;
	uint8_t byte;

	open_conn(&c);
	SYS(shutdown(c.fd, SHUT_WR));
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EPIPE);
	open_conn(&c);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	EQ(SYS(recv(c.fd, &byte, 1, 0)), 0);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EPIPE);
}

/* It closes while somebody waits. */
static void closes_meanwhile(void)
{
	struct asker a;
	struct conn c;
	pthread_t t;

	open_conn(&c);
	wait_asked(&c, &a, &t);
	peer_send_alert(&c.peer, WARNING, CLOSE_NOTIFY);
	peer_settle(&c.peer);
	/* it is the helper's to say how it ends; when it goes there is an end in any case */
	close(c.control);
	finish(t);
	CHECK(a.error == ESRCH || a.error == EPIPE);
}

static void after_the_end(void)
{
	struct conn c;
	uint8_t byte;

	open_conn(&c);
	peer_send(&c.peer, ALERT, "\1\0\1", 3);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	FAILS(ask(c.fd, KSSL_RENEG_FULL), EPROTO);
}

/* ---- the whole of it ---- */

/* TLS 1.3: a KeyUpdate both ways. */
static void with_key_update(void)
{
	struct batch *b = batch_new();
	struct kssl_result r = {};
	struct asker a;
	struct conn c;
	pthread_t t;
	int i;

	conn_open_policy(&c, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE });
	for (i = 0; i < 20; i++) {
		a = (struct asker){ &c, KSSL_RENEG_FULL, -1 };
		t = start(asks, &a);
		r.id = expect_request(&c, KSSL_RENEG_FULL);
		batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\1", 1);
		SYS(batch_write(b, c.control));
		peer_expect_update(&c.peer, UPDATE_REQUESTED);
		peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
		do {
			struct kssl_msg m = get_event(c.control, KSSL_EV_KEY_UPDATE);

			CHECK(m.epoch <= 2U + i && m.value <= 2U + i);
			if (m.epoch == 2U + i)
				break;
		} while (1);
		batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
		batch_op(b, KSSL_OP_DONE);
		SYS(batch_write(b, c.control));
		finish(t);
		EQ(a.error, 0);
		conn_both_ways(&c, 100, 100);
	}
	EQ(status_of(c.fd).rx.epoch, 21);
	EQ(status_of(c.fd).tx.epoch, 21);
}

static const struct test tests[] = {
	{ "blocking", VERSIONS, blocking },
	{ "in_progress", VERSIONS, in_progress },
	{ "already", VERSIONS, already },
	{ "other_id", VERSIONS, other_id },
	{ "bad_results", ONCE, bad_results },
	{ "signalled", VERSIONS, signalled },
	{ "send_timeout", VERSIONS, send_timeout },
	{ "helper_leaves", VERSIONS, helper_leaves },
	{ "helper_leaves_orphan", VERSIONS, helper_leaves_orphan },
	{ "helper_leaves_midway", VERSIONS, helper_leaves_midway },
	{ "helper_fails", VERSIONS, helper_fails },
	{ "peer_fails", VERSIONS, peer_fails },
	{ "peer_resets", VERSIONS, peer_resets },
	{ "peer_truncates", VERSIONS, peer_truncates },
	{ "helper_is_late", VERSIONS, helper_is_late },
	{ "values", ONCE, values },
	{ "before_handshake", VERSIONS, before_handshake },
	{ "unattended", VERSIONS, unattended },
	{ "half_closed", VERSIONS, half_closed },
	{ "closes_meanwhile", VERSIONS, closes_meanwhile },
	{ "after_the_end", VERSIONS, after_the_end },
	{ "with_key_update", WITH_SECRETS, with_key_update },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
