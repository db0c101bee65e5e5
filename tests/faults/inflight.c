// SPDX-License-Identifier: MIT
/*
 * A record is inside its cipher, which kssl_faulty keeps from completing: whatever
 * happens to the connection meanwhile, nothing is used after it is freed, nobody
 * hangs, and everybody is told how it ended.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "paths/fault.h"

static const uint8_t request[] = { 0, 0, 0, 0 };

/* ---- who has a record in flight ---- */

static void *by_send(void *arg)
{
	struct conn *c = arg;
	uint8_t data[100] = {};

	if (send(c->fd, data, sizeof(data), MSG_NOSIGNAL) < 0)
		CHECK(errno != EINTR && errno != EAGAIN);
	return NULL;
}

static void *by_recv(void *arg)
{
	struct conn *c = arg;
	uint8_t data[100];

	if (recv(c->fd, data, sizeof(data), 0) < 0)
		CHECK(errno != EINTR && errno != EAGAIN);
	return NULL;
}

static void *by_work(void *arg)
{
	struct conn *c = arg;

	peer_send(&c->peer, HANDSHAKE, request, sizeof(request));
	return NULL;
}

static void *by_batch(void *arg)
{
	struct conn *c = arg;
	struct batch *b = batch_new();

	batch_record(b, HANDSHAKE, request, sizeof(request));
	if (batch_write(b, c->control) < 0)
		CHECK(errno == EPIPE || errno == EIO);
	free(b);
	return NULL;
}

static void *by_alert(void *arg)
{
	uint8_t record[RECORD_MAX];
	struct conn *c = arg;
	size_t len = seal(&c->peer.tx, DATA, "data", 4, record);

	record[len - 1] ^= 1;
	peer_write(&c->peer, record, len);
	return NULL;
}

struct actor {
	const char *name;
	void *(*run)(void *arg);
	enum fault_what what;
	int attended;
	int error;
};

static const struct actor sender = { "send", by_send, ENCRYPT, 0, EIO };
static const struct actor reader = { "recv", by_recv, DECRYPT, 0, EBADMSG };
static const struct actor rx_work = { "work", by_work, DECRYPT, 1, EBADMSG };
static const struct actor helper = { "batch", by_batch, ENCRYPT, 1, EIO };
static const struct actor alert = { "alert", by_alert, ENCRYPT, 1, EIO };

/* ---- what happens meanwhile; none of it may depend on the outcome ---- */

static void *peer_resets(void *arg)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct conn *c = arg;

	SYS(connect(c->peer.fd, &unspec, sizeof(unspec)));
	return NULL;
}

static void *peer_closes(void *arg)
{
	struct conn *c = arg;

	SYS(shutdown(c->peer.fd, SHUT_RDWR));
	return NULL;
}

static void *we_close(void *arg)
{
	struct conn *c = arg;

	close(c->fd);
	c->fd = -1;
	return NULL;
}

static void *we_shut_down(void *arg)
{
	struct conn *c = arg;

	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static void *we_reset(void *arg)
{
	struct linger l = { 1, 0 };
	struct conn *c = arg;

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	return we_close(arg);
}

static void *helper_closes(void *arg)
{
	struct conn *c = arg;

	if (c->control >= 0)
		close(c->control);
	c->control = -1;
	return NULL;
}

static void *helper_fails(void *arg)
{
	struct kssl_error e = {
		.size = sizeof(e), .err = EACCES, .alert = HANDSHAKE_FAILURE, .has_alert = 1,
	};
	struct conn *c = arg;
	struct batch *b = batch_new();

	batch_add(b, KSSL_OP_FAIL, 0, &e, sizeof(e));
	if (c->control >= 0)
		batch_write(b, c->control);
	free(b);
	return NULL;
}

static void *keys_change(void *arg)
{
	struct conn *c = arg;
	struct keys k = make_keys(5);

	set_key(c->fd, KSSL_TX_KEY, &k);
	set_key(c->fd, KSSL_RX_KEY, &k);
	return NULL;
}

static void *others_use_it(void *arg)
{
	struct kssl_status status;
	struct conn *c = arg;
	socklen_t len = sizeof(status);
	uint8_t byte;

	ready(c->fd, POLLIN | POLLOUT);
	send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	recv(c->fd, &byte, 1, MSG_DONTWAIT);
	SYS(getsockopt(c->fd, SOL_KSSL, KSSL_STATUS, &status, &len));
	return NULL;
}

struct event {
	const char *name;
	void *(*run)(void *arg);
	int attended;	/* 1: only if it is, 0: only if not, -1: either */
};

static const struct event events[] = {
	{ "peer resets", peer_resets, -1 },
	{ "peer closes", peer_closes, -1 },
	{ "close", we_close, -1 },
	{ "reset", we_reset, -1 },
	{ "shutdown", we_shut_down, -1 },
	{ "helper closes", helper_closes, 1 },
	{ "helper fails", helper_fails, 1 },
	{ "keys", keys_change, 0 },
	{ "others", others_use_it, -1 },
	{}
};

/* ---- the two together ---- */

static void one(const struct actor *a, const struct event *e, enum fault_how how, int error)
{
	pthread_t t[2];
	struct conn c;

	if (a->attended)
		conn_open_attended(&c);
	else
		conn_open(&c);
	if (a == &reader) {
		peer_send(&c.peer, DATA, "data", 4);
		peer_settle(&c.peer);
	}
	faulty_set("hold", 1);
	fault_arm(&(struct source){ a->name, a->what, how, error, 0 }, 1);
	t[0] = start(a->run, &c);
	while (!faulty_get("held"))
		usleep(200);
	t[1] = start(e->run, &c);
	/* It either waits for the record by now, or it is over. */
	usleep(3000);
	faulty_set("hold", 0);
	finish(t[0]);
	finish(t[1]);
	if (c.fd >= 0 && error) {
		while (!error_of(c.fd).err)
			usleep(200);
		CHECK(error_of(c.fd).text[0]);
	}
	if (c.fd >= 0)
		close(c.fd);
	if (c.control >= 0)
		close(c.control);
	close(c.peer.fd);
	faulty_off();
	EQ(faulty_get("held"), 0);
}

static void all(const struct actor *a, const struct event *only)
{
	const struct event *e;

	faulty_off();
	for (e = events; e->name; e++) {
		if ((e->attended >= 0 && e->attended != a->attended) || (only && e != only))
			continue;
		one(a, e, LATE, 0);
		one(a, e, BACKLOG, 0);
		/* A batch that fails is the helper's affair, and an alert has no other. */
		if (a != &helper && a != &alert)
			one(a, e, LATE, a->error);
		else
			one(a, e, LATE, 0);
	}
}

static void send_in_flight(void)
{
	all(&sender, NULL);
}

static void recv_in_flight(void)
{
	all(&reader, NULL);
}

static void work_in_flight(void)
{
	all(&rx_work, NULL);
}

static void batch_in_flight(void)
{
	all(&helper, NULL);
}

static void alert_in_flight(void)
{
	all(&alert, NULL);
}

/* CVE-2024-26583: close waits for the completion, not for a flag. */
static void cve_2024_26583_close(void)
{
	int i;

	for (i = 0; i < 10; i++) {
		all(&rx_work, &events[2]);
		all(&helper, &events[2]);
		all(&alert, &events[2]);
	}
}

/* ---- everything is late ---- */

static void *peer_feeds(void *arg)
{
	struct conn *c = arg;

	peer_send_pattern(&c->peer, 0, 200000, 1000);
	return NULL;
}

static void *peer_drains(void *arg)
{
	struct conn *c = arg;

	peer_expect_pattern(&c->peer, 0, 200000);
	return NULL;
}

static void both_ways(enum fault_how how, size_t step)
{
	uint8_t data[5000];
	size_t at = 0;
	struct conn c;
	pthread_t t[2];

	faulty_off();
	conn_open(&c);
	fault_arm(&(struct source){ "all", BOTH, how, 0, 0 }, 0);
	t[0] = start(peer_feeds, &c);
	t[1] = start(peer_drains, &c);
	while (at < 200000) {
		size_t len = 200000 - at < sizeof(data) ? 200000 - at : sizeof(data);
		size_t got = 0;

		send_pattern(c.fd, at, len);
		while (got < len) {
			long n = SYS(recv(c.fd, data, len - got < step ? len - got : step, 0));

			CHECK(n > 0);
			check_pattern(data, at + got, n);
			got += n;
		}
		at += len;
	}
	finish(t[0]);
	finish(t[1]);
	CHECK(faulty_get("hits") > 200);
	faulty_off();
	EQ(error_of(c.fd).err, 0);
}

/* CVE-2024-26584: EBUSY means later, not no, and the completion comes twice. */
static void cve_2024_26584_backlog(void)
{
	both_ways(BACKLOG, 5000);
}

/* CVE-2024-26582: reads that take a record in pieces while decryption is late. */
static void cve_2024_26582_short_reads(void)
{
	both_ways(LATE, 37);
}

/* CVE-2024-26800, CVE-2024-58240: a decryption from the backlog fails, others wait behind it. */
static void cve_2024_26800_backlog_fails(void)
{
	uint8_t data[5000];
	unsigned int nth;

	faulty_off();
	for (nth = 1; nth <= 8; nth++) {
		struct conn c;
		size_t at = 0;
		long n;

		conn_open(&c);
		peer_send_pattern(&c.peer, 0, 1000, 100);
		peer_settle(&c.peer);
		fault_arm(&(struct source){ "decrypt", DECRYPT, BACKLOG, EBADMSG, EBADMSG }, nth);
		while ((n = recv(c.fd, data, sizeof(data), nth & 1 ? MSG_WAITALL : 0)) > 0) {
			check_pattern(data, at, n);
			at += n;
		}
		FAILS(n, EBADMSG);
		EQ(at, (nth - 1) * 100);
		faulty_off();
		peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
		close(c.fd);
		close(c.peer.fd);
	}
}

static const struct test tests[] = {
	{ "send_in_flight", VERSIONS, send_in_flight },
	{ "recv_in_flight", VERSIONS, recv_in_flight },
	{ "work_in_flight", VERSIONS, work_in_flight },
	{ "batch_in_flight", VERSIONS, batch_in_flight },
	{ "alert_in_flight", VERSIONS, alert_in_flight },
	{ "cve_2024_26583_close", FORMATS, cve_2024_26583_close },
	{ "cve_2024_26584_backlog", VERSIONS, cve_2024_26584_backlog },
	{ "cve_2024_26582_short_reads", VERSIONS, cve_2024_26582_short_reads },
	{ "cve_2024_26800_backlog_fails", VERSIONS, cve_2024_26800_backlog_fails },
	{}
};

int main(int argc, char **argv)
{
	if (access("/sys/module/kssl_faulty", F_OK))
		CHECK(!system("modprobe kssl_faulty"));
	return tap_main(argc, argv, tests);
}
