// SPDX-License-Identifier: MIT
/*
 * A helper that dies, talks nonsense or brings wrong keys, at every step of a handshake,
 * a renegotiation and a KeyUpdate.  The application gets the right error, nobody hangs,
 * and nothing leaves in the clear.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conn.h"
#include "schedule.h"
#include "tap.h"

static const char secret[] = "what nobody but the peer may read";
static const uint8_t hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
static const uint8_t answer[] = { 22, 3, 3, 0, 6, 2, 0, 0, 2, 1, 2 };

/**
 * enum fate - what becomes of a connection whose helper dies after a step
 * @LIVES: it goes on
 * @DIES: ESRCH
 * @ORPHAN: it goes on if the policy says so
 */
enum fate { LIVES, DIES, ORPHAN };

/**
 * struct step - of a script
 * @say: what the peer sends before, or NULL
 * @help: what the helper does, in a process of its own
 * @see: what the peer gets then, or NULL
 * @fate: what the helper's death behind it leads to
 */
struct step {
	void (*say)(struct conn *c);
	void (*help)(struct conn *c, struct batch *b);
	void (*see)(struct conn *c);
	enum fate fate;
};

/**
 * struct script - what happens on one connection
 * @open: up to where it begins
 * @steps: ended by one without a helper
 * @orphan: what an orphan does when it finds the record that was not answered
 */
struct script {
	void (*open)(struct conn *c, const struct kssl_policy *p);
	const struct step *steps;
	void (*orphan)(struct conn *c);
};

/* Keys both ways; in TLS 1.3 @generation 1 follows from 0 by a KeyUpdate. */
static struct keys keys_of(int seed, int generation)
{
	struct keys k;

	if (!is_13() || !strcmp(schedule_hash(v->suite.suite), "SM3"))
		return make_keys(seed + 10 * generation);
	k = make_secret_keys(seed);
	while (generation--)
		next_generation(&k);
	return k;
}

static void write_batch(struct conn *c, struct batch *b)
{
	SYS(batch_write(b, c->control));
}

static void go_on(struct conn *c, struct batch *b)
{
	batch_op(b, KSSL_OP_CONTINUE);
	write_batch(c, b);
}

/* ---- a first handshake ---- */

static void open_plain(struct conn *c, const struct kssl_policy *p)
{
	conn_attend(c);
	SYS(set_policy(c->fd, p));
}

static void say_hello(struct conn *c)
{
	peer_write(&c->peer, hello, sizeof(hello));
}

static void read_hello(struct conn *c, struct batch *b)
{
	(void)b;
	expect_message(c->control, KSSL_MSG_RAW, HANDSHAKE, hello, sizeof(hello));
}

static void write_answer(struct conn *c, struct batch *b)
{
	batch_add(b, KSSL_OP_RAW, 0, answer, sizeof(answer));
	write_batch(c, b);
}

static void see_answer(struct conn *c)
{
	uint8_t record[RECORD_MAX];

	EQ(peer_read_raw(&c->peer, record), sizeof(answer));
	CHECK(!memcmp(record, answer, sizeof(answer)));
}

static void first_tx_key(struct conn *c, struct batch *b)
{
	struct keys tx = keys_of(1, 0);

	batch_key(b, KSSL_OP_TX_KEY, &tx);
	write_batch(c, b);
}

static void has_first_tx_key(struct conn *c)
{
	c->peer.rx = keys_of(1, 0);
}

static void first_rx_key(struct conn *c, struct batch *b)
{
	struct keys rx = keys_of(2, 0);

	batch_key(b, KSSL_OP_RX_KEY, &rx);
	go_on(c, b);
}

static void has_first_rx_key(struct conn *c)
{
	c->peer.tx = keys_of(2, 0);
}

static void established(struct conn *c, struct batch *b)
{
	batch_op(b, KSSL_OP_ESTABLISHED);
	write_batch(c, b);
}

static void done(struct conn *c, struct batch *b)
{
	batch_op(b, KSSL_OP_RELEASE);
	batch_op(b, KSSL_OP_DONE);
	write_batch(c, b);
}

static const struct step handshake_steps[] = {
	{ say_hello, read_hello, NULL, DIES },
	{ NULL, write_answer, see_answer, DIES },
	{ NULL, first_tx_key, has_first_tx_key, DIES },
	{ NULL, first_rx_key, has_first_rx_key, DIES },
	{ NULL, established, NULL, DIES },
	{ NULL, done, NULL, LIVES },
	{}
};

static const struct script handshake = { open_plain, handshake_steps, NULL };

/* ---- a renegotiation, TLS 1.2 ---- */

static void say_client_hello(struct conn *c)
{
	peer_send_message(&c->peer, CLIENT_HELLO, 100);
}

static void read_client_hello(struct conn *c, struct batch *b)
{
	(void)b;
	expect_handshake(c->control, CLIENT_HELLO, 100);
}

static void refused(struct conn *c)
{
	peer_expect_alert(&c->peer, WARNING, NO_RENEGOTIATION);
}

static void server_hello(struct conn *c, struct batch *b)
{
	batch_op(b, KSSL_OP_HOLD);
	batch_message(b, SERVER_HELLO, 100);
	go_on(c, b);
}

static void see_server_hello(struct conn *c)
{
	peer_expect_message(&c->peer, SERVER_HELLO, 100);
}

static void say_key_exchange(struct conn *c)
{
	peer_send_message(&c->peer, 16, 50);
}

static void read_key_exchange(struct conn *c, struct batch *b)
{
	(void)b;
	expect_handshake(c->control, 16, 50);
}

static void say_ccs(struct conn *c)
{
	peer_send(&c->peer, CCS, "\1", 1);
	c->peer.tx = keys_of(2, 1);
}

static void read_ccs(struct conn *c, struct batch *b)
{
	(void)b;
	expect_message(c->control, KSSL_MSG_RECORD, CCS, "\1", 1);
}

static void next_rx_key(struct conn *c, struct batch *b)
{
	struct keys rx = keys_of(2, 1);

	batch_key(b, KSSL_OP_RX_KEY, &rx);
	go_on(c, b);
}

static void say_finished(struct conn *c)
{
	peer_send_message(&c->peer, FINISHED, 12);
}

static void read_finished(struct conn *c, struct batch *b)
{
	(void)b;
	expect_handshake(c->control, FINISHED, 12);
}

static void our_finished(struct conn *c, struct batch *b)
{
	struct keys tx = keys_of(1, 1);

	batch_op(b, KSSL_OP_ESTABLISHED);
	batch_record(b, CCS, "\1", 1);
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	batch_message(b, FINISHED, 12);
	write_batch(c, b);
}

static void see_finished(struct conn *c)
{
	peer_expect(&c->peer, CCS, "\1", 1);
	c->peer.rx = keys_of(1, 1);
	peer_expect_message(&c->peer, FINISHED, 12);
}

static const struct step renegotiation_steps[] = {
	{ say_client_hello, read_client_hello, NULL, ORPHAN },
	{ NULL, server_hello, see_server_hello, DIES },
	{ say_key_exchange, read_key_exchange, NULL, DIES },
	{ NULL, go_on, NULL, DIES },
	{ say_ccs, read_ccs, NULL, DIES },
	{ NULL, next_rx_key, NULL, DIES },
	{ say_finished, read_finished, NULL, DIES },
	{ NULL, our_finished, see_finished, DIES },
	{ NULL, go_on, NULL, DIES },
	{ NULL, done, NULL, LIVES },
	{}
};

static const struct script renegotiation = { conn_open_policy, renegotiation_steps, refused };

/* ---- KeyUpdates that the helper does, TLS 1.3 ---- */

static void say_update(struct conn *c)
{
	uint8_t message[5];

	peer_send(&c->peer, HANDSHAKE, message, make_key_update(UPDATE_REQUESTED, message));
	c->peer.tx = keys_of(2, 1);
}

static void read_update(struct conn *c, struct batch *b)
{
	uint8_t message[5];

	(void)b;
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, message,
		       make_key_update(UPDATE_REQUESTED, message));
}

static void updated(struct conn *c)
{
	peer_expect_update(&c->peer, UPDATE_NOT_REQUESTED);
}

static void update_rx_key(struct conn *c, struct batch *b)
{
	struct keys rx = keys_of(2, 1);

	batch_key(b, KSSL_OP_RX_KEY, &rx);
	write_batch(c, b);
}

static void update_tx_key(struct conn *c, struct batch *b)
{
	struct keys tx = keys_of(1, 1);
	uint8_t message[5];

	batch_record(b, HANDSHAKE, message, make_key_update(UPDATE_NOT_REQUESTED, message));
	batch_key(b, KSSL_OP_TX_KEY, &tx);
	go_on(c, b);
}

static void own_update(struct conn *c, struct batch *b)
{
	batch_add(b, KSSL_OP_KEY_UPDATE, 0, "\0", 1);
	write_batch(c, b);
}

/* Between key and CONTINUE nobody knows whether the message was answered. */
static const struct step update_steps[] = {
	{ say_update, read_update, NULL, ORPHAN },
	{ NULL, update_rx_key, NULL, DIES },
	{ NULL, update_tx_key, updated, LIVES },
	{ NULL, own_update, updated, LIVES },
	{}
};

static const struct script update = { conn_open_policy, update_steps, updated };

/* ---- the helper's process ---- */

/**
 * struct helper - a process that has the only control file
 * @pid: process
 * @order: to tell it which step, and to hear that it is done
 */
struct helper {
	pid_t pid;
	int order;
};

/* Bytes that are no batch, whatever the connection is doing. */
static void talk_nonsense(struct conn *c, unsigned int seed)
{
	uint8_t bytes[300];
	unsigned int i, j;

	srandom(seed);
	for (i = 0; i < 50; i++) {
		size_t len = 1 + random() % sizeof(bytes);

		for (j = 0; j < len; j++)
			bytes[j] = random();
		/* no op has this number, or its length is not there */
		if (len > 1)
			bytes[1] |= 0x80;
		FAILS(write(c->control, bytes, len), EINVAL);
	}
}

static void help(struct conn *c, const struct script *s, int order, int nonsense)
{
	struct batch *b = batch_new();
	unsigned int n;

	while (read(order, &n, sizeof(n)) == sizeof(n)) {
		if (nonsense)
			talk_nonsense(c, n + 1);
		s->steps[n].help(c, b);
		EQ(SYS(write(order, &n, sizeof(n))), sizeof(n));
	}
	_exit(0);
}

static void start_helper(struct helper *h, struct conn *c, const struct script *s, int nonsense)
{
	int ends[2];

	SYS(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	h->pid = SYS(fork());
	if (!h->pid) {
		close(ends[0]);
		/* neither end of the connection is the helper's */
		close(c->fd);
		close(c->peer.fd);
		help(c, s, ends[1], nonsense);
	}
	close(ends[1]);
	h->order = ends[0];
	close(c->control);
	c->control = -1;
}

static void do_step(struct helper *h, struct conn *c, const struct script *s, unsigned int n)
{
	const struct step *step = &s->steps[n];
	unsigned int got;

	if (step->say)
		step->say(c);
	EQ(SYS(write(h->order, &n, sizeof(n))), sizeof(n));
	if (read(h->order, &got, sizeof(got)) != sizeof(got))
		check_failed(__FILE__, __LINE__, "the helper failed at step %u", n);
	if (step->see)
		step->see(c);
}

static void kill_helper(struct helper *h)
{
	int status;

	SYS(kill(h->pid, SIGKILL));
	EQ(SYS(waitpid(h->pid, &status, 0)), h->pid);
	CHECK(WIFSIGNALED(status));
	close(h->order);
}

/* ---- the application ---- */

static void *write_secret(void *arg)
{
	struct conn *c = arg;

	if (send(c->fd, secret, sizeof(secret), MSG_NOSIGNAL) < 0)
		EQ(errno, ESRCH);
	return NULL;
}

/* The alert, under the key of that moment, and nothing in the clear. */
static void expect_end(struct conn *c)
{
	uint8_t record[RECORD_MAX], type;
	long n;

	if (!c->peer.rx.suite.suite) {
		n = peer_read_raw(&c->peer, record);
		EQ(n, HEADER + 2);
		EQ(record[0], ALERT);
		EQ(record[HEADER], FATAL);
		EQ(record[HEADER + 1], INTERNAL_ERROR);
		return;
	}
	n = peer_recv(&c->peer, &type, record);
	if (type == DATA) {
		EQ(n, sizeof(secret));
		CHECK(!memcmp(record, secret, n));
		n = peer_recv(&c->peer, &type, record);
	}
	EQ(n, 2);
	EQ(type, ALERT);
	EQ(record[0], FATAL);
	EQ(record[1], INTERNAL_ERROR);
}

static void expect_death(struct conn *c)
{
	struct kssl_error e;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), ESRCH);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), ESRCH);
	e = error_of(c->fd);
	EQ(e.err, ESRCH);
	EQ(e.who, KSSL_WHO_HELPER);
	EQ(e.has_alert, 1);
	EQ(e.alert, INTERNAL_ERROR);
	EQ(status_of(c->fd).orphan, 0);
	expect_end(c);
}

/* One run, with the helper killed behind step @last; a writer may wait meanwhile. */
static void run_until(const struct script *s, const struct kssl_policy *p, unsigned int last,
		      int writer)
{
	enum fate fate = s->steps[last].fate;
	struct helper h;
	struct conn c;
	pthread_t t = 0;
	unsigned int n;
	char row[32];

	snprintf(row, sizeof(row), "step %u%s", last, writer ? ", a writer waits" : "");
	at_row(row);
	if (getenv("DIE_ROWS"))
		note("%s", row);
	s->open(&c, p);
	start_helper(&h, &c, s, 0);
	for (n = 0; n <= last; n++)
		do_step(&h, &c, s, n);
	if (fate == ORPHAN && !(p->flags & KSSL_POLICY_ORPHAN))
		fate = DIES;
	if (fate == DIES && writer)
		t = start(write_secret, &c);
	kill_helper(&h);
	if (fate == DIES) {
		expect_death(&c);
		if (writer)
			finish(t);
	} else {
		if (fate == ORPHAN)
			s->orphan(&c);
		conn_both_ways(&c, 1000, 300);
		EQ(error_of(c.fd).err, 0);
		EQ(status_of(c.fd).orphan, !!(p->flags & KSSL_POLICY_ORPHAN));
	}
	close(c.fd);
	close(c.peer.fd);
	at_row("");
}

static void killed(const struct script *s)
{
	static const struct kssl_policy none, orphan = { .flags = KSSL_POLICY_ORPHAN };
	unsigned int last;

	for (last = 0; s->steps[last].help; last++) {
		run_until(s, &none, last, 0);
		run_until(s, &none, last, 1);
		run_until(s, &orphan, last, 0);
	}
}

static void handshake_killed(void)
{
	killed(&handshake);
}

static void renegotiation_killed(void)
{
	killed(&renegotiation);
}

static void update_killed(void)
{
	killed(&update);
}

/* Before each step bytes that mean nothing; they change nothing. */
static void nonsense(const struct script *s)
{
	struct helper h;
	struct conn c;
	unsigned int n;

	s->open(&c, &(struct kssl_policy){});
	start_helper(&h, &c, s, 1);
	for (n = 0; s->steps[n].help; n++)
		do_step(&h, &c, s, n);
	conn_both_ways(&c, 1000, 300);
	EQ(error_of(c.fd).err, 0);
	kill_helper(&h);
	conn_both_ways(&c, 1000, 300);
}

static void handshake_nonsense(void)
{
	nonsense(&handshake);
}

static void renegotiation_nonsense(void)
{
	nonsense(&renegotiation);
}

static void update_nonsense(void)
{
	nonsense(&update);
}

/* ---- wrong keys ---- */

/* What the peer gets cannot be opened, and is not in the clear. */
static void wrong_tx_key(void)
{
	uint8_t record[RECORD_MAX], content[RECORD_MAX], type;
	struct keys tx = make_keys(7), rx = make_keys(2);
	struct conn c;
	size_t len;

	conn_attend(&c);
	conn_hand_over_keys(&c, &tx, &rx);
	c.peer.rx = make_keys(1);
	EQ(SYS(send(c.fd, secret, sizeof(secret), MSG_NOSIGNAL)), sizeof(secret));
	len = peer_read_raw(&c.peer, record);
	CHECK(open_record(&c.peer.rx, record, len, &type, content) < 0);
	CHECK(!memmem(record, len, secret, sizeof(secret)));
}

static void expect_bad_mac(struct conn *c)
{
	struct kssl_error e;
	uint8_t byte;

	FAILS(recv(c->fd, &byte, 1, 0), EBADMSG);
	FAILS(send(c->fd, "x", 1, MSG_NOSIGNAL), EBADMSG);
	e = error_of(c->fd);
	EQ(e.err, EBADMSG);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.alert, BAD_RECORD_MAC);
	peer_expect_alert(&c->peer, FATAL, BAD_RECORD_MAC);
}

static void wrong_rx_key(void)
{
	struct keys tx = make_keys(1), rx = make_keys(7);
	struct conn c;

	conn_attend(&c);
	conn_hand_over_keys(&c, &tx, &rx);
	c.peer.tx = make_keys(2);
	peer_send(&c.peer, DATA, secret, sizeof(secret));
	expect_bad_mac(&c);
}

/* The peer has the old key still, or the helper has. */
static void wrong_next_key(void)
{
	struct keys rx = keys_of(2, 1);
	struct batch *b = batch_new();
	struct conn c;
	int late;

	for (late = 0; late < 2; late++) {
		conn_open_policy(&c, &(struct kssl_policy){});
		peer_send_message(&c.peer, FINISHED, 12);
		if (late)
			c.peer.tx = rx;
		peer_send_message(&c.peer, FINISHED, 12);
		expect_handshake(c.control, FINISHED, 12);
		if (!late)
			batch_key(b, KSSL_OP_RX_KEY, &rx);
		batch_op(b, KSSL_OP_CONTINUE);
		SYS(batch_write(b, c.control));
		expect_bad_mac(&c);
		close(c.fd);
		close(c.control);
		close(c.peer.fd);
	}
}

/* A secret that does not belong to its key: wrong from the first KeyUpdate on. */
static void wrong_secret(void)
{
	struct keys tx = make_secret_keys(1), rx = make_secret_keys(2), other;
	struct conn c;

	conn_attend(&c);
	SYS(set_policy(c.fd, &(struct kssl_policy){ .flags = KSSL_POLICY_KEY_UPDATE }));
	other = rx;
	other.secret[0] ^= 1;
	conn_hand_over_keys(&c, &tx, &other);
	c.peer.tx = rx;
	conn_both_ways(&c, 1000, 300);
	peer_send_update(&c.peer, UPDATE_NOT_REQUESTED);
	peer_send(&c.peer, DATA, secret, sizeof(secret));
	expect_bad_mac(&c);
}

static const struct test tests[] = {
	{ "handshake_killed", VERSIONS, handshake_killed },
	{ "renegotiation_killed", ONLY_12, renegotiation_killed },
	{ "update_killed", WITH_SECRETS, update_killed },
	{ "handshake_nonsense", VERSIONS, handshake_nonsense },
	{ "renegotiation_nonsense", ONLY_12, renegotiation_nonsense },
	{ "update_nonsense", WITH_SECRETS, update_nonsense },
	{ "wrong_tx_key", PROTECTIONS, wrong_tx_key },
	{ "wrong_rx_key", PROTECTIONS, wrong_rx_key },
	{ "wrong_next_key", VERSIONS, wrong_next_key },
	{ "wrong_secret", WITH_SECRETS, wrong_secret },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
