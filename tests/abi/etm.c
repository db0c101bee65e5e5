// SPDX-License-Identifier: MIT
/*
 * From one record protection to another in TLS 1.2: block ciphers and AEADs may
 * follow each other, but never MAC-then-encrypt encrypt-then-MAC (RFC 7366 3.1).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

/* One suite of each kind. */
enum {
	AES_128_SHA = 0x002f,
	AES_256_SHA384 = 0xc028,
	CAMELLIA_256_SHA256 = 0x00c4,
	AES_128_GCM = 0x009c,
	AES_256_CCM_8 = 0xc0a1,
	CHACHA20 = 0xcca8,
};

static struct keys keys_of(uint16_t suite, unsigned int flags, unsigned int seed)
{
	struct keys k = make_keys(seed);

	k.suite = suite_info(suite, 0x0303);
	k.flags = flags;
	pattern(k.key, seed, sizeof(k.key));
	pattern(k.iv, seed + 1, sizeof(k.iv));
	pattern(k.mac_key, seed + 2, sizeof(k.mac_key));
	return k;
}

static void data_both_ways(struct conn *c)
{
	send_pattern(c->fd, 0, 20000);
	peer_expect_pattern(&c->peer, 0, 20000);
	peer_send_pattern(&c->peer, 0, 20000, 5000);
	recv_pattern(c->fd, 0, 20000);
}

static void expect_flags(struct conn *c, const struct keys *k)
{
	struct kssl_status s = status_of(c->fd);

	EQ(s.tx.suite, k->suite.suite);
	EQ(s.rx.suite, k->suite.suite);
	EQ(s.tx.flags, k->flags);
	EQ(s.rx.flags, k->flags);
}

/* ---- without a helper ---- */

static void set_both(struct conn *c, uint16_t suite, unsigned int flags)
{
	static unsigned int seed = 10;

	c->peer.rx = keys_of(suite, flags, seed++);
	c->peer.tx = keys_of(suite, flags, seed++);
	SYS(set_key(c->fd, KSSL_TX_KEY, &c->peer.rx));
	SYS(set_key(c->fd, KSSL_RX_KEY, &c->peer.tx));
	data_both_ways(c);
	expect_flags(c, &c->peer.tx);
}

static void refuse_mte(struct conn *c)
{
	static const uint16_t block_suites[] = { AES_128_SHA, AES_256_SHA384, CAMELLIA_256_SHA256 };
	unsigned int i;

	for (i = 0; i < sizeof(block_suites) / sizeof(block_suites[0]); i++) {
		struct keys k = keys_of(block_suites[i], 0, 3);

		FAILS(set_key(c->fd, KSSL_TX_KEY, &k), EINVAL);
		FAILS(set_key(c->fd, KSSL_RX_KEY, &k), EINVAL);
	}
	data_both_ways(c);
}

static void unattended(void)
{
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	set_both(&c, AES_128_SHA, 0);
	set_both(&c, CHACHA20, 0);
	set_both(&c, CAMELLIA_256_SHA256, 0);
	set_both(&c, CAMELLIA_256_SHA256, KSSL_KEY_ETM);
	refuse_mte(&c);
	set_both(&c, AES_256_CCM_8, 0);
	refuse_mte(&c);
	set_both(&c, AES_256_SHA384, KSSL_KEY_ETM);
	refuse_mte(&c);
	set_both(&c, AES_128_GCM, 0);
	set_both(&c, CHACHA20, 0);
	refuse_mte(&c);
	set_both(&c, AES_128_SHA, KSSL_KEY_ETM);
}

/* What one direction had is over for both. */
static void one_direction(int first, int second)
{
	struct keys etm, mte;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	etm = keys_of(AES_128_SHA, KSSL_KEY_ETM, 1);
	mte = keys_of(AES_128_SHA, 0, 2);
	SYS(set_key(c.fd, first, &mte));
	SYS(set_key(c.fd, first, &etm));
	FAILS(set_key(c.fd, second, &mte), EINVAL);
	FAILS(set_key(c.fd, first, &mte), EINVAL);
	SYS(set_key(c.fd, second, &etm));
}

static void either_direction(void)
{
	one_direction(KSSL_TX_KEY, KSSL_RX_KEY);
	one_direction(KSSL_RX_KEY, KSSL_TX_KEY);
}

/* A key that was refused for another reason was never in use. */
static void refused_is_not_used(void)
{
	struct kssl_key key;
	struct conn c;
	struct keys k;

	conn_connect(&c);
	conn_attach(&c);
	k = keys_of(AES_128_SHA, KSSL_KEY_ETM, 1);
	key = key_of(&k);
	key.key_len++;
	FAILS(setsockopt(c.fd, SOL_KSSL, KSSL_TX_KEY, &key, sizeof(key)), EINVAL);
	set_both(&c, AES_128_SHA, 0);
}

/* ---- with a helper: renegotiations ---- */

/* The peer's ChangeCipherSpec has come; ours goes out with the keys, of which it may be refused. */
static long switch_keys(struct conn *c, const struct keys *tx, const struct keys *rx)
{
	struct batch *b = batch_new();
	long n;

	batch_op(b, KSSL_OP_HOLD);
	batch_record(b, CCS, "\1", 1);
	batch_key(b, KSSL_OP_TX_KEY, tx);
	batch_record(b, HANDSHAKE, "our finished", 12);
	batch_key(b, KSSL_OP_RX_KEY, rx);
	batch_op(b, KSSL_OP_CONTINUE);
	n = batch_write(b, c->control);
	free(b);
	return n;
}

static void peer_changes(struct conn *c)
{
	peer_send(&c->peer, CCS, "\1", 1);
	expect_message(c->control, KSSL_MSG_RECORD, CCS, "\1", 1);
}

static void changed(struct conn *c, const struct keys *tx, const struct keys *rx)
{
	struct batch *b = batch_new();

	peer_expect(&c->peer, CCS, "\1", 1);
	c->peer.rx = *tx;
	peer_expect(&c->peer, HANDSHAKE, "our finished", 12);
	c->peer.tx = *rx;
	peer_send(&c->peer, HANDSHAKE, "\24\0\0\15" "your finished", 17);
	expect_message(c->control, KSSL_MSG_RECORD, HANDSHAKE, "\24\0\0\15" "your finished", 17);
	batch_end_handshake(b, c->control);
	data_both_ways(c);
	expect_flags(c, tx);
}

static void renegotiate(struct conn *c, uint16_t suite, unsigned int flags)
{
	static unsigned int seed = 40;
	struct keys tx = keys_of(suite, flags, seed++), rx = keys_of(suite, flags, seed++);

	peer_changes(c);
	SYS(switch_keys(c, &tx, &rx));
	changed(c, &tx, &rx);
}

static void change_suites(void)
{
	struct conn c;

	conn_open_attended(&c);
	if (!is_etm()) {
		renegotiate(&c, AES_128_SHA, 0);
		renegotiate(&c, AES_128_GCM, 0);
		renegotiate(&c, AES_256_SHA384, 0);
		renegotiate(&c, CAMELLIA_256_SHA256, 0);
	}
	renegotiate(&c, AES_128_SHA, KSSL_KEY_ETM);
	renegotiate(&c, CHACHA20, 0);
	renegotiate(&c, AES_256_SHA384, KSSL_KEY_ETM);
	renegotiate(&c, AES_256_CCM_8, 0);
	renegotiate(&c, CAMELLIA_256_SHA256, KSSL_KEY_ETM);
	EQ(status_of(c.fd).handshakes, is_etm() ? 6 : 10);
}

/* Refused as a whole, whichever of the two keys it is, and nothing has happened. */
static void try_mte(struct conn *c)
{
	struct keys mte = keys_of(AES_128_SHA, 0, 80), etm = keys_of(AES_128_SHA, KSSL_KEY_ETM, 81);
	struct kssl_status before, now;

	peer_changes(c);
	before = status_of(c->fd);
	FAILS(switch_keys(c, &mte, &mte), EINVAL);
	FAILS(switch_keys(c, &etm, &mte), EINVAL);
	FAILS(switch_keys(c, &mte, &etm), EINVAL);
	now = status_of(c->fd);
	CHECK(!memcmp(&now, &before, sizeof(now)));
	EQ(error_of(c->fd).err, 0);
	SYS(switch_keys(c, &etm, &etm));
	changed(c, &etm, &etm);
}

static void no_way_back(void)
{
	struct conn c;

	conn_open_attended(&c);
	renegotiate(&c, AES_128_SHA, KSSL_KEY_ETM);
	try_mte(&c);
	/* nor with something else in between */
	renegotiate(&c, AES_128_GCM, 0);
	try_mte(&c);
	renegotiate(&c, CHACHA20, 0);
	renegotiate(&c, AES_256_CCM_8, 0);
	try_mte(&c);
}

/* A batch that failed has not used its keys. */
static void failed_batch(void)
{
	struct keys mte, etm;
	struct batch *b = batch_new();
	struct conn c;

	conn_open_attended(&c);
	mte = keys_of(AES_128_SHA, 0, 80);
	etm = keys_of(AES_128_SHA, KSSL_KEY_ETM, 81);
	peer_changes(&c);
	FAILS(switch_keys(&c, &etm, &mte), EINVAL);
	batch_key(b, KSSL_OP_TX_KEY, &etm);
	batch_key(b, KSSL_OP_RX_KEY, &etm);
	batch_op(b, 99);
	FAILS(batch_write(b, c.control), EINVAL);
	if (is_etm()) {
		FAILS(switch_keys(&c, &mte, &mte), EINVAL);
		return;
	}
	SYS(switch_keys(&c, &mte, &mte));
	changed(&c, &mte, &mte);
}

static const struct test tests[] = {
	{ "unattended", ONCE, unattended },
	{ "either_direction", ONCE, either_direction },
	{ "refused_is_not_used", ONCE, refused_is_not_used },
	{ "change_suites", ONLY_12, change_suites },
	{ "no_way_back", ONLY_12, no_way_back },
	{ "failed_batch", ONLY_12, failed_batch },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
