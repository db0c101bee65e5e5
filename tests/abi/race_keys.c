// SPDX-License-Identifier: MIT
/*
 * Keys that change a thousand times under a flood of data both ways: by the peer, by the
 * helper, by the policy, all at once; and who goes away in the middle of it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

#define ROUNDS	1000

/**
 * struct flood - data both ways, checked, until it is told to stop
 * @c: connection
 * @stop: the writer of our end shall end
 * @quit: everybody may be gone at any time; what arrives must be good all the same
 * @answers: the peer's reader answers requests; nobody else may then send as the peer
 * @sent: bytes that our end has sent
 * @seen: bytes that the peer has got
 * @received: bytes that our end has got
 * @updates: KeyUpdates that the peer has got
 * @keys: changes by ChangeCipherSpec that the peer has got
 */
struct flood {
	struct conn c;
	int stop;
	int quit;
	int answers;
	size_t sent;
	size_t seen;
	size_t received;
	unsigned int updates;
	unsigned int keys;
};

static int is_set(int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

static void open_flood(struct flood *f, const struct kssl_policy *p)
{
	memset(f, 0, sizeof(*f));
	conn_open_policy(&f->c, p);
}

/* ---- our end ---- */

/* Pieces of all sizes, some of them left open. */
static void *write_flood(void *arg)
{
	struct flood *f = arg;
	uint8_t data[5000];
	unsigned int i;

	for (i = 0; !is_set(&f->stop); i++) {
		size_t len = 1 + i * 379 % sizeof(data);
		long n;

		pattern(data, f->sent, len);
		n = send(f->c.fd, data, len, MSG_NOSIGNAL | (i % 5 ? 0 : MSG_MORE));
		if (n < 0 && f->quit)
			return NULL;
		f->sent += SYS(n);
	}
	if (shutdown(f->c.fd, SHUT_WR))
		CHECK(f->quit);
	return NULL;
}

static void *read_flood(void *arg)
{
	struct flood *f = arg;
	uint8_t data[10000];
	long n;

	while ((n = recv(f->c.fd, data, sizeof(data), 0)) > 0) {
		check_pattern(data, f->received, n);
		f->received += n;
	}
	if (!f->quit)
		EQ(SYS(n), 0);
	return NULL;
}

/* ---- the peer ---- */

/* Exactly @len bytes, or 0 at the end, which may be a reset. */
static size_t read_bytes(struct flood *f, uint8_t *to, size_t len)
{
	size_t got = 0;

	while (got < len) {
		long n = recv(f->c.peer.fd, to + got, len - got, 0);

		if (n <= 0) {
			if (!f->quit)
				check_failed(__FILE__, __LINE__, "the stream ends: %s",
					     n ? error_name(errno) : "FIN");
			return 0;
		}
		got += n;
	}
	return len;
}

static long read_record(struct flood *f, uint8_t *type, uint8_t *content)
{
	uint8_t record[RECORD_MAX];
	size_t len;
	long n;

	if (!read_bytes(f, record, HEADER))
		return -1;
	len = record[3] << 8 | record[4];
	CHECK(len <= 16384 + 256);
	if (!read_bytes(f, record + HEADER, len))
		return -1;
	n = open_record(&f->c.peer.rx, record, HEADER + len, type, content);
	if (n < 0)
		check_failed(__FILE__, __LINE__, "record %llu behind %u updates is not authentic",
			     (unsigned long long)f->c.peer.rx.seq, f->updates + f->keys);
	return n;
}

static void take_update(struct flood *f, const uint8_t *message, long n)
{
	EQ(n, 5);
	EQ(message[0], KEY_UPDATE);
	next_generation(&f->c.peer.rx);
	f->updates++;
	if (f->answers && message[4] == UPDATE_REQUESTED)
		peer_send_update(&f->c.peer, UPDATE_NOT_REQUESTED);
}

/* Up to an alert, or the end. */
static void *peer_reads(void *arg)
{
	struct flood *f = arg;
	uint8_t data[RECORD_MAX], type;
	long n;

	while ((n = read_record(f, &type, data)) >= 0) {
		switch (type) {
		case DATA:
			check_pattern(data, f->seen, n);
			f->seen += n;
			break;
		case HANDSHAKE:
			if (is_13())
				take_update(f, data, n);
			else
				EQ(data[0], FINISHED);
			break;
		case CCS:
			f->c.peer.rx = make_keys(100 + f->keys++);
			break;
		default:
			EQ(n, 2);
			if (!f->quit)
				EQ(data[1], CLOSE_NOTIFY);
			return NULL;
		}
	}
	return NULL;
}

static int peer_writes_record(struct flood *f, uint8_t type, const void *content, size_t len)
{
	uint8_t record[RECORD_MAX];
	size_t n = seal(&f->c.peer.tx, type, content, len, record), done = 0;

	while (done < n) {
		long got = send(f->c.peer.fd, record + done, n - done, MSG_NOSIGNAL);

		if (got < 0 && f->quit)
			return 0;
		done += SYS(got);
	}
	return 1;
}

/* Data, and a KeyUpdate after each piece, every other one with a request. */
static void *peer_updates(void *arg)
{
	struct flood *f = arg;
	uint8_t message[5], data[2000];
	size_t at = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		size_t len = 1 + i * 271 % sizeof(data);

		pattern(data, at, len);
		at += len;
		make_key_update(i & 1, message);
		if (!peer_writes_record(f, DATA, data, len) ||
		    !peer_writes_record(f, HANDSHAKE, message, 5))
			return NULL;
		next_generation(&f->c.peer.tx);
	}
	peer_writes_record(f, ALERT, "\1\0", 2);
	return NULL;
}

/* ---- the helper ---- */

/* Takes what is told, so that it does not heap up. */
static void drain_events(struct flood *f)
{
	static struct message m;

	while (ready(f->c.control, POLLIN) & POLLIN) {
		long n = read_message(f->c.control, &m);

		if (n <= 0) {
			CHECK(f->quit);
			return;
		}
		EQ(m.head.kind, KSSL_MSG_EVENT);
		if (m.head.type == KSSL_EV_CLOSED)
			return;
	}
}

static void *own_updates(void *arg)
{
	struct flood *f = arg;
	struct batch *b = batch_new();
	int i;

	for (i = 0; i < ROUNDS; i++) {
		uint8_t request = f->answers && i % 4 == 0;

		batch_add(b, KSSL_OP_KEY_UPDATE, 0, &request, 1);
		while (batch_write(b, f->c.control) < 0) {
			if (f->quit)
				return NULL;
			EQ(errno, EAGAIN);
			wait_ready(f->c.control, POLLOUT);
			batch_add(b, KSSL_OP_KEY_UPDATE, 0, &request, 1);
		}
		if (i % 16 == 0)
			drain_events(f);
	}
	free(b);
	return NULL;
}

static void *own_keys(void *arg)
{
	struct flood *f = arg;
	struct batch *b = batch_new();
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct keys tx = make_keys(100 + i);

		do {
			batch_op(b, KSSL_OP_HOLD);
			batch_record(b, CCS, "\1", 1);
			batch_key(b, KSSL_OP_TX_KEY, &tx);
			batch_message(b, FINISHED, 12);
			batch_op(b, KSSL_OP_RELEASE);
			batch_op(b, KSSL_OP_DONE);
			if (batch_write(b, f->c.control) >= 0)
				break;
			if (f->quit)
				return NULL;
			EQ(errno, EAGAIN);
			wait_ready(f->c.control, POLLOUT);
		} while (1);
	}
	free(b);
	return NULL;
}

/* ---- to the end ---- */

static void check_flood(struct flood *f)
{
	struct kssl_status s = status_of(f->c.fd);

	EQ(f->seen, f->sent);
	EQ(s.tx.bytes, f->sent);
	EQ(s.rx.bytes, f->received);
	EQ(s.tx.epoch, 1 + f->updates + f->keys);
	EQ(error_of(f->c.fd).err, 0);
	note("%zu bytes sent, %u keys", f->sent, f->updates + f->keys);
}

static void by_the_peer(void)
{
	static struct flood f;
	pthread_t t[4];
	int i;

	open_flood(&f, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE });
	t[0] = start(write_flood, &f);
	t[1] = start(read_flood, &f);
	t[2] = start(peer_reads, &f);
	t[3] = start(peer_updates, &f);
	finish(t[3]);
	finish(t[1]);
	set(&f.stop);
	for (i = 0; i < 3; i += 2)
		finish(t[i]);
	check_flood(&f);
	EQ(status_of(f.c.fd).key_updates_received, ROUNDS);
	EQ(status_of(f.c.fd).rx.epoch, 1 + ROUNDS);
	EQ(status_of(f.c.fd).key_updates_sent, f.updates);
	CHECK(f.updates >= 1 && f.updates <= ROUNDS / 2);
}

static void by_the_helper(void)
{
	static struct flood f;
	pthread_t t[3];

	open_flood(&f, &(struct kssl_policy){
		.flags = KSSL_POLICY_KEY_UPDATE,
		/* the peer may answer many requests together */
		.useless_max = ROUNDS,
	});
	f.answers = 1;
	t[0] = start(write_flood, &f);
	t[1] = start(peer_reads, &f);
	t[2] = start(own_updates, &f);
	finish(t[2]);
	set(&f.stop);
	finish(t[0]);
	finish(t[1]);
	EQ(f.updates, ROUNDS);
	check_flood(&f);
}

static void by_both(void)
{
	static struct flood f;
	pthread_t t[5];

	open_flood(&f, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE });
	t[0] = start(write_flood, &f);
	t[1] = start(read_flood, &f);
	t[2] = start(peer_reads, &f);
	t[3] = start(peer_updates, &f);
	t[4] = start(own_updates, &f);
	finish(t[4]);
	finish(t[3]);
	finish(t[1]);
	set(&f.stop);
	finish(t[0]);
	finish(t[2]);
	check_flood(&f);
	CHECK(f.updates > ROUNDS);
	EQ(status_of(f.c.fd).key_updates_received, ROUNDS);
}

static void *change_policy(void *arg)
{
	struct flood *f = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS || __atomic_load_n(&f->updates, __ATOMIC_RELAXED) <= 10; i++) {
		struct kssl_policy p = {
			.flags = KSSL_POLICY_KEY_UPDATE, .tx_soft = 1 + i % 7,
			.rekey_bytes = 1 + i % 3 * 1000, .rekey_ms = i % 2,
		};

		SYS(set_policy(f->c.fd, &p));
		usleep(i % 50);
	}
	return NULL;
}

/* Nearly every record wants a new key. */
static void by_the_policy(void)
{
	static struct flood f;
	pthread_t t[3];

	open_flood(&f, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE });
	f.answers = 1;
	t[0] = start(write_flood, &f);
	t[1] = start(peer_reads, &f);
	t[2] = start(change_policy, &f);
	finish(t[2]);
	set(&f.stop);
	finish(t[0]);
	finish(t[1]);
	check_flood(&f);
}

static void by_batches(void)
{
	static struct flood f;
	pthread_t t[3];

	open_flood(&f, &(struct kssl_policy){});
	t[0] = start(write_flood, &f);
	t[1] = start(peer_reads, &f);
	t[2] = start(own_keys, &f);
	finish(t[2]);
	set(&f.stop);
	finish(t[0]);
	finish(t[1]);
	EQ(f.keys, ROUNDS);
	check_flood(&f);
}

/* ---- somebody goes away ---- */

/* Everything at once until @leave says otherwise; what arrives is good up to the end. */
static void leave_midway(void (*leave)(struct flood *f), const struct kssl_policy *p, int rounds)
{
	int round;

	for (round = 0; round < rounds; round++) {
		static struct flood f;
		int i, threads = 0;
		pthread_t t[5];

		open_flood(&f, p);
		f.quit = 1;
		t[threads++] = start(peer_reads, &f);
		t[threads++] = start(write_flood, &f);
		t[threads++] = start(read_flood, &f);
		if (is_13())
			t[threads++] = start(peer_updates, &f);
		t[threads++] = start(is_13() ? own_updates : own_keys, &f);
		usleep(1000 + round * 700);
		leave(&f);
		/* once the socket is gone everybody sees it */
		for (i = 0; i < threads; i++)
			finish(t[i]);
		close(f.c.control);
		close(f.c.fd);
		close(f.c.peer.fd);
	}
}

/* So that descriptors stay what they are while threads use them. */
static void close_now(int fd)
{
	int null = SYS(open("/dev/null", O_RDWR));

	SYS(dup2(null, fd));
	close(null);
}

static void close_socket(struct flood *f)
{
	/* who sleeps in it is woken */
	SYS(shutdown(f->c.fd, SHUT_RDWR));
	close_now(f->c.fd);
	set(&f->stop);
	/* a reset may have come */
	if (shutdown(f->c.peer.fd, SHUT_WR))
		EQ(errno, ENOTCONN);
}

static void socket_closes(void)
{
	leave_midway(close_socket, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE }, 30);
}

static void reset_peer(struct flood *f)
{
	struct linger now = { .l_onoff = 1 };

	SYS(setsockopt(f->c.peer.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	SYS(shutdown(f->c.peer.fd, SHUT_RD));
	close_now(f->c.peer.fd);
	set(&f->stop);
}

static void peer_resets(void)
{
	leave_midway(reset_peer, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE }, 30);
}

static void close_control(struct flood *f)
{
	close_now(f->c.control);
	usleep(2000);
	set(&f->stop);
	if (shutdown(f->c.peer.fd, SHUT_WR))
		EQ(errno, ENOTCONN);
}

static void helper_closes(void)
{
	leave_midway(close_control, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE }, 30);
}

static void helper_closes_orphan(void)
{
	leave_midway(close_control, &(struct kssl_policy){
		.flags = KSSL_POLICY_KEY_UPDATE | KSSL_POLICY_ORPHAN
	}, 30);
}

/* An orphan goes on to the end, with every key the peer asks for. */
static void orphan_goes_on(void)
{
	static struct flood f;
	pthread_t t[4];

	open_flood(&f, &(struct kssl_policy){ .flags = KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE });
	t[0] = start(write_flood, &f);
	t[1] = start(read_flood, &f);
	t[2] = start(peer_reads, &f);
	t[3] = start(peer_updates, &f);
	while (status_of(f.c.fd).rx.epoch < ROUNDS / 3)
		usleep(1000);
	close(f.c.control);
	finish(t[3]);
	finish(t[1]);
	set(&f.stop);
	finish(t[0]);
	finish(t[2]);
	EQ(status_of(f.c.fd).orphan, 1);
	EQ(status_of(f.c.fd).key_updates_received, ROUNDS);
	check_flood(&f);
}

/* ---- requests ---- */

static void *ask_all_the_time(void *arg)
{
	struct flood *f = arg;
	int how = KSSL_RENEG_FULL;

	while (!is_set(&f->stop))
		if (setsockopt(f->c.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)))
			CHECK(errno == EALREADY || errno == ECONNREFUSED ||
			      (f->quit && errno != EINPROGRESS));
	return NULL;
}

static void *answer_all_the_time(void *arg)
{
	struct flood *f = arg;
	struct message *m = malloc(sizeof(*m));
	struct batch *b = batch_new();
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		struct kssl_result r = { .err = i % 3 ? 0 : ECONNREFUSED };

		wait_ready(f->c.control, POLLIN);
		CHECK(SYS(read_message(f->c.control, m)) > 0);
		EQ(m->head.type, KSSL_EV_REQUEST);
		r.id = m->head.epoch;
		batch_add(b, KSSL_OP_RESULT, 0, &r, sizeof(r));
		SYS(batch_write(b, f->c.control));
	}
	free(b);
	free(m);
	return NULL;
}

/* Three who ask, one who answers; the last ones are told that nobody is left. */
static void requests(void)
{
	static struct flood f;
	pthread_t t[4];
	int i;

	open_flood(&f, &(struct kssl_policy){});
	f.quit = 1;
	t[3] = start(answer_all_the_time, &f);
	for (i = 0; i < 3; i++)
		t[i] = start(ask_all_the_time, &f);
	finish(t[3]);
	set(&f.stop);
	close(f.c.control);
	for (i = 0; i < 3; i++)
		finish(t[i]);
	send_pattern(f.c.fd, 0, 100);
	peer_expect_pattern(&f.c.peer, 0, 100);
	EQ(error_of(f.c.fd).err, 0);
}

static const struct test tests[] = {
	{ "by_the_peer", WITH_SECRETS, by_the_peer },
	{ "by_the_helper", WITH_SECRETS, by_the_helper },
	{ "by_both", WITH_SECRETS, by_both },
	{ "by_the_policy", WITH_SECRETS, by_the_policy },
	{ "by_batches", ONLY_12, by_batches },
	{ "socket_closes_12", ONLY_12, socket_closes },
	{ "socket_closes_13", WITH_SECRETS, socket_closes },
	{ "peer_resets_12", ONLY_12, peer_resets },
	{ "peer_resets_13", WITH_SECRETS, peer_resets },
	{ "helper_closes_12", ONLY_12, helper_closes },
	{ "helper_closes_13", WITH_SECRETS, helper_closes },
	{ "helper_closes_orphan_12", ONLY_12, helper_closes_orphan },
	{ "helper_closes_orphan_13", WITH_SECRETS, helper_closes_orphan },
	{ "orphan_goes_on", WITH_SECRETS, orphan_goes_on },
	{ "requests", VERSIONS, requests },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
