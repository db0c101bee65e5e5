// SPDX-License-Identifier: MIT
/*
 * Records of block ciphers: every legal padding is taken, and whatever is wrong
 * inside, the peer cannot tell what it was.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

#define BLOCK		16
#define PADDING_MAX	256
#define MAC_MAX		48

/* Enough for a record of the longest padding and a little content. */
#define SMALL		1024

static size_t mac_len(void)
{
	return v->suite.tag_len;
}

/* One suite goes through every position; the others through some. */
static int thorough(void)
{
	return v->suite.suite == 0x002f;
}

/* Where the place of the MAC is a secret, one suite of each other hash as well. */
static int thorough_mac(void)
{
	return thorough() || (!is_etm() && (v->suite.suite == 0x003c || v->suite.suite == 0xc024));
}

/* The keys that conn_open() gives the peer for its first record. */
static struct keys first_keys(void)
{
	return make_keys(2);
}

static size_t seal_padded(struct keys *k, const void *content, size_t len, size_t padding,
			  uint8_t *record)
{
	uint8_t plain[RECORD_MAX];
	size_t n = cbc_plain(k, DATA, 0x0303, content, len, padding, plain);

	return seal_plain(k, DATA, 0x0303, plain, n, record);
}

/* ---- good ones ---- */

#define BURST	24000

/* Records that go out together; their contents are one pattern. */
static struct {
	uint8_t wire[BURST + RECORD_MAX];
	size_t len;
	size_t sent;
	size_t read;
} burst;

static void flush(struct conn *c)
{
	peer_write(&c->peer, burst.wire, burst.len);
	burst.len = 0;
	/* one octet more shows that empty records at the end were taken as well */
	peer_send_pattern(&c->peer, burst.sent++, 1, 1);
	recv_pattern(c->fd, burst.read, burst.sent - burst.read);
	burst.read = burst.sent;
}

static void add(struct conn *c, size_t len, size_t padding)
{
	uint8_t content[16384];

	pattern(content, burst.sent, len);
	burst.len += seal_padded(&c->peer.tx, content, len, padding, burst.wire + burst.len);
	burst.sent += len;
	if (burst.len > BURST)
		flush(c);
}

static void all_paddings(struct conn *c, size_t len, uint8_t *seen)
{
	size_t padding, count = 0;

	for (padding = least_padding(&c->peer.tx, len); padding <= PADDING_MAX; padding += BLOCK) {
		add(c, len, padding);
		seen[padding] = 1;
		count++;
	}
	EQ(count, PADDING_MAX / BLOCK);
	flush(c);
}

static void every_padding(void)
{
	uint8_t seen[PADDING_MAX + 1] = {};
	struct conn c;
	size_t i;

	conn_open(&c);
	for (i = 0; i <= 17; i++)
		all_paddings(&c, i, seen);
	all_paddings(&c, 100, seen);
	all_paddings(&c, 16384, seen);
	for (i = 1; i <= PADDING_MAX; i++)
		CHECK(seen[i]);
	EQ(error_of(c.fd).err, 0);
}

/* Content around every border of a block of the hash, with little and with much padding. */
static void every_length(void)
{
	struct conn c;
	size_t i;

	conn_open(&c);
	for (i = 1; i <= 600; i += thorough_mac() ? 1 : 7) {
		size_t least = least_padding(&c.peer.tx, i);

		add(&c, i, least);
		add(&c, i, least + PADDING_MAX - BLOCK);
	}
	flush(&c);
}

/* A control record may be padded too. */
static void padded_control(void)
{
	uint8_t record[RECORD_MAX], plain[SMALL];
	struct conn c;
	size_t n;

	conn_open(&c);
	n = cbc_plain(&c.peer.tx, HANDSHAKE, 0x0303, "hand", 4,
		      least_padding(&c.peer.tx, 4) + PADDING_MAX - BLOCK, plain);
	peer_write(&c.peer, record, seal_plain(&c.peer.tx, HANDSHAKE, 0x0303, plain, n, record));
	expect_typed(c.fd, HANDSHAKE, "hand", 4);
}

/* ---- bad ones ---- */

/* As the first record of a connection it is refused, in the one way there is. */
static void refused(const uint8_t *record, size_t len)
{
	struct kssl_error e;
	struct kssl_status s;
	uint8_t byte;
	struct conn c;

	conn_open(&c);
	peer_write(&c.peer, record, len);
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
	e = error_of(c.fd);
	EQ(e.err, EBADMSG);
	EQ(e.who, KSSL_WHO_KERNEL);
	EQ(e.has_alert, 1);
	EQ(e.alert, BAD_RECORD_MAC);
	EQ(e.x509, 0);
	CHECK(!strcmp(e.text, "a record is not authentic"));
	s = status_of(c.fd);
	EQ(s.tx.state, KSSL_STATE_FAILED);
	EQ(s.rx.state, KSSL_STATE_FAILED);
	EQ(s.rx.bytes, 0);
	EQ(s.rx.seq, 0);
	EQ(queued_bytes(c.fd), 0);
	close(c.fd);
	peer_expect_fin(&c.peer);
	close(c.peer.fd);
}

static void refused_plain(const uint8_t *plain, size_t len)
{
	struct keys k = first_keys();
	uint8_t record[RECORD_MAX];

	refused(record, seal_plain(&k, DATA, 0x0303, plain, len, record));
}

/* One octet of the padding is wrong, of short and of the longest paddings. */
static void wrong_padding(void)
{
	static const size_t lens[] = { 0, 33, 500 };
	uint8_t plain[SMALL], content[500];
	struct keys k = first_keys();
	size_t i, j, n;

	pattern(content, 0, sizeof(content));
	for (j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
		size_t least = least_padding(&k, lens[j]), most = least + PADDING_MAX - BLOCK;

		for (i = 0; i < least; i += thorough() ? 1 : 9) {
			n = cbc_plain(&k, DATA, 0x0303, content, lens[j], least, plain);
			plain[n - 1 - i] ^= 0x20;
			refused_plain(plain, n);
		}
		for (i = 0; i < most; i += thorough() && j == 1 ? 1 : 83) {
			n = cbc_plain(&k, DATA, 0x0303, content, lens[j], most, plain);
			plain[n - 1 - i] ^= 1 << i % 8;
			refused_plain(plain, n);
		}
		/* the octet that is farthest away */
		n = cbc_plain(&k, DATA, 0x0303, content, lens[j], most, plain);
		plain[n - most] ^= 0xff;
		refused_plain(plain, n);
	}
}

/* Padding that says it is longer than there is room for. */
static void padding_too_long(void)
{
	size_t room, n = BLOCK, i;
	uint8_t plain[SMALL];

	if (!is_etm())
		n = (mac_len() / BLOCK + 1) * BLOCK;
	for (i = 0; i < 4; i++, n += BLOCK) {
		/* nothing but padding, as far as one can see */
		memset(plain, 0xff, n);
		refused_plain(plain, n);
		/* as long as the record, or one octet more than leaves room for the MAC */
		memset(plain, n, n);
		refused_plain(plain, n);
		room = n - (is_etm() ? 0 : mac_len());
		memset(plain, room, n);
		refused_plain(plain, n);
		if (is_etm())
			continue;
		memset(plain, n - 1, n);
		refused_plain(plain, n);
		/* exactly what there is room for, but that is no MAC */
		memset(plain, room - 1, n);
		refused_plain(plain, n);
	}
	/* more than 256 octets in sight */
	n = 512;
	memset(plain, 0xff, n);
	plain[n - PADDING_MAX] = 0xfe;
	refused_plain(plain, n);
}

/* Each octet of the MAC, behind contents and before paddings of several lengths. */
static void wrong_mac(void)
{
	static const size_t lens[] = { 0, 50, 317 };
	uint8_t plain[SMALL], record[RECORD_MAX], content[317];
	size_t i, j, n, padding, len, at;

	pattern(content, 0, sizeof(content));
	for (j = 0; j < 2 * sizeof(lens) / sizeof(lens[0]); j++)
		for (i = 0; i < mac_len(); i += thorough_mac() ? 1 : 19) {
			struct keys k = first_keys();

			len = lens[j / 2];
			padding = least_padding(&k, len) + (j % 2 ? PADDING_MAX - BLOCK : 0);
			n = cbc_plain(&k, DATA, 0x0303, content, len, padding, plain);
			if (!is_etm())
				plain[len + i] ^= 0x80 >> i % 8;
			n = seal_plain(&k, DATA, 0x0303, plain, n, record);
			at = n - mac_len() + i;
			if (is_etm())
				record[at] ^= 0x80 >> i % 8;
			refused(record, n);
		}
}

/* No MAC; the MAC of the other order; the MAC of another record. */
static void no_mac(void)
{
	uint8_t plain[SMALL], record[RECORD_MAX], content[80];
	struct keys k = first_keys(), other = first_keys();
	size_t n;

	pattern(content, 0, sizeof(content));
	memcpy(plain, content, 80);
	memset(plain + 80, 15, BLOCK);
	if (!is_etm())
		refused_plain(plain, 80 + BLOCK);
	other.flags ^= KSSL_KEY_ETM;
	refused(record, seal_padded(&other, content, 80, least_padding(&other, 80), record));
	/* another number, type, version */
	k.seq = 1;
	refused(record, seal_padded(&k, content, 80, least_padding(&k, 80), record));
	k = first_keys();
	n = cbc_plain(&k, HANDSHAKE, 0x0303, content, 80, least_padding(&k, 80), plain);
	n = seal_plain(&k, HANDSHAKE, 0x0303, plain, n, record);
	record[0] = DATA;
	refused(record, n);
	k = first_keys();
	n = cbc_plain(&k, DATA, 0x0302, content, 80, least_padding(&k, 80), plain);
	n = seal_plain(&k, DATA, 0x0302, plain, n, record);
	record[2] = 3;
	refused(record, n);
}

/* IV, ciphertext or MAC: whichever octet is not what was sent. */
static void any_octet(void)
{
	uint8_t record[RECORD_MAX], content[100];
	struct keys k = first_keys();
	size_t i, n;

	pattern(content, 0, sizeof(content));
	n = seal(&k, DATA, content, thorough() ? 20 : 100, record);
	for (i = HEADER; i < n; i += thorough() ? 1 : 13) {
		record[i] ^= 1 << i % 8;
		refused(record, n);
		record[i] ^= 1 << i % 8;
	}
	record[n - 1] ^= 1;
	refused(record, n);
}

/* The end is missing, and the header agrees. */
static void cut(void)
{
	uint8_t record[RECORD_MAX], content[100];
	struct keys k = first_keys();
	size_t i, n;

	pattern(content, 0, sizeof(content));
	n = seal(&k, DATA, content, thorough() ? 20 : 100, record);
	for (i = 1; i <= n - HEADER; i += thorough() ? 1 : 13) {
		record[3] = (n - HEADER - i) >> 8;
		record[4] = n - HEADER - i;
		refused(record, n - i);
	}
}

/* Random octets of any length: too short, not whole blocks, or just wrong. */
static void garbage(void)
{
	uint8_t record[RECORD_MAX] = { DATA, 3, 3 };
	unsigned int lens[200], count = 0, i, j;

	for (i = 0; i < 170; i += thorough() ? 1 : 16)
		lens[count++] = i;
	for (i = 16384; i <= 16384 + 48; i += 16)
		lens[count++] = i;
	lens[count++] = 16384 + 2048;
	lens[count++] = 16384 + 2047;
	for (i = 0; i < count; i++) {
		record[3] = lens[i] >> 8;
		record[4] = lens[i];
		for (j = 0; j < lens[i]; j++)
			record[HEADER + j] = rand();
		refused(record, HEADER + lens[i]);
	}
}

/* ---- more content than a record may have ---- */

static void overflows(size_t len, size_t padding)
{
	static uint8_t content[16384 + 2048];
	struct keys k = first_keys();
	uint8_t record[RECORD_MAX], byte;
	struct kssl_error e;
	struct conn c;

	pattern(content, 0, len);
	conn_open(&c);
	peer_write(&c.peer, record, seal_padded(&k, content, len, padding, record));
	FAILS(recv(c.fd, &byte, 1, 0), EMSGSIZE);
	peer_expect_alert(&c.peer, FATAL, RECORD_OVERFLOW);
	e = error_of(c.fd);
	EQ(e.err, EMSGSIZE);
	EQ(e.alert, RECORD_OVERFLOW);
	EQ(status_of(c.fd).rx.bytes, 0);
	close(c.fd);
	peer_expect_fin(&c.peer);
	close(c.peer.fd);
}

/* Authentic, so it may be told from what is not (RFC 5246 6.2.1). */
static void content_too_long(void)
{
	struct keys k = first_keys();
	size_t most = 16384 + 2048 - BLOCK - mac_len();

	overflows(16385, least_padding(&k, 16385));
	overflows(16385, least_padding(&k, 16385) + PADDING_MAX - BLOCK);
	/* as much as the header lets through */
	most -= is_etm() ? most % BLOCK + 1 : 1;
	overflows(most, least_padding(&k, most));
	/* with one wrong bit it is not authentic, and that is all there is to say */
}

/* Longer than the limit, and not authentic: nobody learns how long it would have been. */
static void too_long_and_wrong(void)
{
	static uint8_t content[16385];
	struct keys k = first_keys();
	uint8_t record[RECORD_MAX];
	size_t n;

	pattern(content, 0, sizeof(content));
	n = seal_padded(&k, content, sizeof(content), least_padding(&k, sizeof(content)), record);
	record[HEADER + 100] ^= 1;
	refused(record, n);
}

/* ---- what we send ---- */

#define IVS	300

static uint8_t ivs[2 * IVS][BLOCK];

static void collect(struct conn *c, uint8_t (*to)[BLOCK])
{
	uint8_t record[RECORD_MAX], content[RECORD_MAX], last[BLOCK] = {}, type;
	unsigned int i;
	size_t n;

	for (i = 0; i < IVS; i++) {
		EQ(SYS(send(c->fd, "same", 4, MSG_NOSIGNAL)), 4);
		n = peer_read_raw(&c->peer, record);
		EQ(n, sealed_len(&c->peer.rx, 4));
		EQ(open_record(&c->peer.rx, record, n, &type, content), 4);
		memcpy(to[i], record + HEADER, BLOCK);
		/* not the chain of TLS 1.0, which can be foreseen */
		CHECK(memcmp(to[i], last, BLOCK));
		memcpy(last, record + n - BLOCK - (is_etm() ? mac_len() : 0), BLOCK);
	}
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, BLOCK);
}

/* Unpredictable (RFC 5246 6.2.3.2): also under the same key from the same number on. */
static void ivs_differ(void)
{
	unsigned int i, j, ones = 0;
	struct conn c;

	conn_open(&c);
	collect(&c, ivs);
	close(c.fd);
	close(c.peer.fd);
	conn_open(&c);
	collect(&c, ivs + IVS);
	qsort(ivs, 2 * IVS, BLOCK, compare);
	for (i = 1; i < 2 * IVS; i++)
		CHECK(memcmp(ivs[i - 1], ivs[i], BLOCK));
	for (i = 0; i < 2 * IVS; i++)
		for (j = 0; j < BLOCK; j++)
			ones += __builtin_popcount(ivs[i][j]);
	/* half of 76800 bits, give or take ten standard deviations */
	CHECK(ones > 38400 - 1390 && ones < 38400 + 1390);
}

/* The peer of all tests opens them, and insists on the least padding. */
static void sends_least_padding(void)
{
	struct conn c;
	size_t i;

	conn_open(&c);
	for (i = 1; i <= 70; i++) {
		EQ(send_typed(c.fd, HANDSHAKE, ivs, i, 0), i);
		peer_expect(&c.peer, HANDSHAKE, ivs, i);
	}
	for (i = 16384 - 33; i <= 16384; i++) {
		send_pattern(c.fd, 0, i);
		peer_expect_pattern(&c.peer, 0, i);
	}
}

static const struct test tests[] = {
	{ "every_padding", BLOCK_CIPHERS, every_padding },
	{ "every_length", BLOCK_CIPHERS, every_length },
	{ "padded_control", BLOCK_CIPHERS, padded_control },
	{ "wrong_padding", BLOCK_CIPHERS, wrong_padding },
	{ "padding_too_long", BLOCK_CIPHERS, padding_too_long },
	{ "wrong_mac", BLOCK_CIPHERS, wrong_mac },
	{ "no_mac", BLOCK_CIPHERS, no_mac },
	{ "any_octet", BLOCK_CIPHERS, any_octet },
	{ "cut", BLOCK_CIPHERS, cut },
	{ "garbage", BLOCK_CIPHERS, garbage },
	{ "content_too_long", BLOCK_CIPHERS, content_too_long },
	{ "too_long_and_wrong", BLOCK_CIPHERS, too_long_and_wrong },
	{ "ivs_differ", BLOCK_CIPHERS, ivs_differ },
	{ "sends_least_padding", BLOCK_CIPHERS, sends_least_padding },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
