// SPDX-License-Identifier: MIT
/*
 * TLS 1.1, TLS 1.0 and 3DES, and what the module's parameter "legacy" unlocks: SSL 3.0,
 * RC4, DES and RC2, against the reference.  Each of these is a row of its own in the
 * reference's table, and not among the variants of other programs.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../share.h"
#include "cipher.h"
#include "conn.h"
#include "tap.h"

static struct variant variant;

static void load(const char *how)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe kssl %s", how);
	/* TCP lets go of a socket some time after it is closed. */
	while (syscall(SYS_delete_module, "kssl", O_NONBLOCK)) {
		EQ(errno, EWOULDBLOCK);
		usleep(1000);
	}
	EQ(system(command), 0);
}

#define ALL	-1

/*
 * Call @check for each old row that is @locked or not, CBC with encrypt-then-MAC too; if it has a number, @t, for our
 * share of them.
 */
static void for_each(int locked, int t, void (*check)(void))
{
	const struct protection *p, *before = NULL;
	unsigned int i, rows = 0;
	uint16_t id, version;
	char name[64];

	for (i = 0; (p = suite_at(i, &id, &version)); i++) {
		if (p == before || !is_old(p, version) || is_locked(id, version) != locked)
			continue;
		before = p;
		variant = (struct variant) { .suite = suite_info(id, version), .family = AF_INET };
		v = &variant;
		for (variant.flags = 0; variant.flags <= KSSL_KEY_ETM; variant.flags++) {
			if (variant.flags && (p->mode != CBC || version == 0x0300))
				break;
			rows++;
			if (t != ALL && !share_has(t, rows, UINT_MAX))
				continue;
			snprintf(name, sizeof(name), "%04x of %04x%s", id, version, variant.flags ? ", EtM" : "");
			at_row(name);
			variant.server ^= 1;
			check();
		}
	}
	at_row("");
	CHECK(rows > 5);
}

static void close_conn(struct conn *c)
{
	close(c->fd);
	close(c->peer.fd);
}

static int is_split(void)
{
	return v->suite.iv_len > 0;
}

/* Data, control, and data again, of all kinds of lengths. */
static void both_ways(void)
{
	static const size_t lens[] = { 1, 2, 7, 8, 9, 300, 16384, 20000 };
	uint8_t message[100];
	struct conn c;
	unsigned int i;

	conn_open(&c);
	pattern(message, 7, sizeof(message));
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		peer_send_pattern(&c.peer, 0, lens[i], 16384);
		recv_pattern(c.fd, 0, lens[i]);
		send_pattern(c.fd, 0, lens[i]);
		peer_expect_pattern(&c.peer, 0, lens[i]);
	}
	peer_send(&c.peer, HANDSHAKE, message, sizeof(message));
	expect_typed(c.fd, HANDSHAKE, message, sizeof(message));
	EQ(send_typed(c.fd, HANDSHAKE, message, sizeof(message), 0), sizeof(message));
	peer_expect(&c.peer, HANDSHAKE, message, sizeof(message));
	EQ(status_of(c.fd).tx.version, v->suite.version);
	EQ(status_of(c.fd).tx.seq, c.peer.rx.seq);
	EQ(status_of(c.fd).rx.seq, c.peer.tx.seq);
	close_conn(&c);
}

/* The peer's own empty and split records are no end of file. */
static void empty_records(void)
{
	struct conn c;
	unsigned int i;

	conn_open(&c);
	for (i = 0; i < 100; i++) {
		peer_send(&c.peer, DATA, "", 0);
		peer_send_pattern(&c.peer, 10 * i, 1, 1);
		peer_send_pattern(&c.peer, 10 * i + 1, 9, 9);
		recv_pattern(c.fd, 10 * i, 10);
	}
	close_conn(&c);
}

/* A bit that is wrong, anywhere. */
static void damaged(void)
{
	uint8_t record[RECORD_MAX], byte;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct conn c;
		size_t len;

		conn_open(&c);
		len = seal(&c.peer.tx, DATA, "nobody will read this", 21, record);
		record[HEADER + i * (len - HEADER - 1) / 3] ^= 0x20;
		peer_write(&c.peer, record, len);
		FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
		peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
		close_conn(&c);
	}
}

/* Records of another version are none of ours. */
static void other_version(void)
{
	uint8_t record[RECORD_MAX], byte;
	struct conn c;
	size_t len;

	conn_open(&c);
	len = seal(&c.peer.tx, DATA, "old", 3, record);
	record[2] ^= 1;
	peer_write(&c.peer, record, len);
	FAILS(recv(c.fd, &byte, 1, 0), EPROTONOSUPPORT);
	/* SSL 3.0 has no word for it (RFC 6101 5.4.2). */
	peer_expect_alert(&c.peer, FATAL, v->suite.version == 0x0300 ? HANDSHAKE_FAILURE : PROTOCOL_VERSION);
	close_conn(&c);
}

/* Length of the next record's content, which is application data. */
static long next_len(struct conn *c)
{
	uint8_t content[RECORD_MAX], type;
	long n = peer_recv(&c->peer, &type, content);

	EQ(type, DATA);
	return n;
}

/* CVE-2011-3389: of each record one octet goes first, or none, or nothing does; never twice. */
static void splits(void)
{
	static const struct {
		unsigned int flags;
		long first;
	} policies[] = { { 0, 1 }, { KSSL_POLICY_SPLIT_EMPTY, 0 }, { KSSL_POLICY_NO_SPLIT, -1 } };
	struct kssl_policy policy = {};
	unsigned int i;
	struct conn c;

	if (!is_split())
		return;
	for (i = 0; i < 3; i++) {
		long first = policies[i].first;

		conn_open(&c);
		policy.flags = policies[i].flags;
		SYS(set_policy(c.fd, &policy));
		EQ(send(c.fd, "ab", 2, 0), 2);
		if (first >= 0)
			EQ(next_len(&c), first);
		EQ(next_len(&c), first == 1 ? 1 : 2);
		/* One octet is no more than what goes first. */
		EQ(send(c.fd, "c", 1, 0), 1);
		if (!first)
			EQ(next_len(&c), 0);
		EQ(next_len(&c), 1);
		/* What MSG_MORE has gathered is one record. */
		EQ(send(c.fd, "gather", 6, MSG_MORE), 6);
		EQ(send(c.fd, "ed", 2, 0), 2);
		if (first >= 0)
			EQ(next_len(&c), first);
		EQ(next_len(&c), first == 1 ? 7 : 8);
		EQ(status_of(c.fd).tx.bytes, 11);
		EQ(send_typed(c.fd, HANDSHAKE, "whole", 5, 0), 5);
		peer_expect(&c.peer, HANDSHAKE, "whole", 5);
		close_conn(&c);
	}
}

static void never_split(void)
{
	struct conn c;

	if (is_split())
		return;
	conn_open(&c);
	EQ(send(c.fd, "ab", 2, 0), 2);
	EQ(next_len(&c), 2);
	close_conn(&c);
}

/* A key that comes when records have gone by: the last block, or octets of the key stream. */
static void goes_on(void)
{
	uint8_t record[RECORD_MAX];
	struct conn c;
	unsigned int i;

	conn_connect(&c);
	conn_attach(&c);
	c.peer.rx = make_keys(1);
	c.peer.tx = make_keys(2);
	for (i = 0; i < 3; i++)
		seal(&c.peer.tx, HANDSHAKE, "by somebody else", 16, record);
	SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
	SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
	peer_send_pattern(&c.peer, 0, 1000, 300);
	recv_pattern(c.fd, 0, 1000);
	close_conn(&c);
}

/* A batch that fails at its end has sealed in vain what came before. */
static void taken_back(void)
{
	struct batch *b = batch_new();
	struct keys k;
	struct conn c;

	conn_open_attended(&c);
	k = make_keys(5);
	batch_record(b, HANDSHAKE, "never sent", 10);
	/* Nothing is held that could have a new key. */
	batch_key(b, KSSL_OP_RX_KEY, &k);
	FAILS(batch_write(b, c.control), EINVAL);
	conn_both_ways(&c, 500, 100);
	batch_record(b, HANDSHAKE, "this one is", 11);
	SYS(batch_write(b, c.control));
	peer_expect(&c.peer, HANDSHAKE, "this one is", 11);
	conn_both_ways(&c, 500, 100);
	close(c.control);
	close_conn(&c);
	free(b);
}

/* Of a cipher with blocks of 64 bits limits count those (SP 800-67r2 3.3): here content, MAC and IV are 10. */
static void counts_blocks(void)
{
	struct kssl_policy policy = { .tx_hard = 10 };
	uint8_t content[50] = {};
	struct conn c;

	if (v->suite.tag_len != 20 || block_of(protection_of(v->suite.suite, v->suite.version)) != 8)
		return;
	conn_open(&c);
	SYS(set_policy(c.fd, &policy));
	EQ(send(c.fd, content, sizeof(content), 0), sizeof(content));
	FAILS(send(c.fd, content, 1, 0), EKEYEXPIRED);
	close_conn(&c);
}

static void wrong_lengths(void)
{
	static const int by[] = { -1, 1 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct keys k = make_keys(1);
		struct conn c;

		conn_connect(&c);
		conn_attach(&c);
		if (k.suite.iv_len || by[i] > 0) {
			k.suite.iv_len += by[i];
			FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
		}
		k = make_keys(1);
		k.suite.mac_key_len += by[i];
		FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
		close_conn(&c);
	}
}

/* Encrypt-then-MAC is for block ciphers, and not for SSL 3.0 (RFC 7366 3). */
static void no_etm(void)
{
	struct keys k = make_keys(1);
	struct conn c;

	if (is_etm() || (protection_of(v->suite.suite, v->suite.version)->mode == CBC && v->suite.version > 0x0300))
		return;
	conn_connect(&c);
	conn_attach(&c);
	k.flags = KSSL_KEY_ETM;
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EINVAL);
	close_conn(&c);
}

static void (*const checks[])(void) = {
	both_ways, empty_records, damaged, other_version, splits, never_split, goes_on, taken_back, counts_blocks,
	wrong_lengths, no_etm,
};

static void check_all(int locked)
{
	unsigned int i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		for_each(locked, i, checks[i]);
}

static void open_to_all(void)
{
	check_all(0);
}

static void is_refused(void)
{
	struct keys k = make_keys(1);
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EPERM);
	FAILS(set_key(c.fd, KSSL_RX_KEY, &k), EPERM);
	EQ(status_of(c.fd).tx.epoch, 0);
	close_conn(&c);
}

static void is_listed(void)
{
	static struct kssl_suite_info list[256];
	socklen_t len = sizeof(list);
	unsigned int i, found = 0;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, list, &len));
	for (i = 0; i < len / sizeof(list[0]); i++)
		found += list[i].suite == v->suite.suite && list[i].version == v->suite.version;
	EQ(found, 1);
	close_conn(&c);
}

/* The only test that has the module so; it leaves it as it was. */
static void unlocked(void)
{
	int status;
	pid_t pid;

	for_each(1, ALL, is_refused);
	load("legacy=1");
	/* A check that fails ends no more than this. */
	pid = SYS(fork());
	if (!pid) {
		for_each(1, ALL, is_listed);
		check_all(1);
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	load("");
	EQ(status, 0);
	for_each(1, ALL, is_refused);
}

static const struct test tests[] = {
	{ "open_to_all", ONCE, open_to_all },
	{ "unlocked", ONCE, unlocked },
	{}
};

int main(int argc, char **argv)
{
	tap_backstop = 600;
	return tap_main(argc, argv, tests);
}
