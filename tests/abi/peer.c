// SPDX-License-Identifier: MIT
/*
 * The reference record layer: RFC 6101 5.2.3, RFC 2246 6.2.3.2, RFC 5246 6.2.3.2 and
 * 6.2.3.3, RFC 5288 3, RFC 6655 3, RFC 7366 3, RFC 7905 2, RFC 8446 5.2 to 5.4.
 */
#include <linux/sockios.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cipher.h"
#include "peer.h"
#include "tap.h"

static const struct protection *of(const struct keys *k)
{
	return protection_of(k->suite.suite, k->suite.version);
}

static int is_tls13(const struct keys *k)
{
	return k->suite.version == 0x0304;
}

static int is_etm_key(const struct keys *k)
{
	return k->flags & KSSL_KEY_ETM;
}

static size_t block(const struct keys *k)
{
	return block_of(of(k));
}

static int is_ssl3(const struct keys *k)
{
	return k->suite.version == 0x0300;
}

/* Of a record. */
static uint16_t version_of(const struct keys *k)
{
	return is_tls13(k) ? 0x0303 : k->suite.version;
}

size_t explicit_len(const struct keys *k)
{
	switch (of(k)->mode) {
	case CBC:
		return block(k) - k->suite.iv_len;
	case STREAM:
	case CHACHA:
		return 0;
	default:
		return is_tls13(k) ? 0 : 8;
	}
}

size_t least_padding(const struct keys *k, size_t len)
{
	return block(k) - (len + (is_etm_key(k) ? 0 : of(k)->tag_len)) % block(k);
}

size_t sealed_len(const struct keys *k, size_t len)
{
	size_t more = is_tls13(k);

	if (of(k)->mode == CBC)
		more = least_padding(k, len);
	else if (of(k)->mode == STREAM)
		more = 0;
	return HEADER + explicit_len(k) + len + more + of(k)->tag_len;
}

static void put(uint8_t *to, uint64_t value, int octets)
{
	while (octets--) {
		to[octets] = value;
		value >>= 8;
	}
}

struct keys make_keys(unsigned int seed)
{
	struct keys k = { .suite = v->suite, .flags = v->flags };
	unsigned int i;

	for (i = 0; i < k.suite.key_len; i++)
		k.key[i] = seed * 31 + i * 7 + 1;
	for (i = 0; i < k.suite.iv_len; i++)
		k.iv[i] = seed * 17 + i * 5 + 3;
	for (i = 0; i < k.suite.mac_key_len; i++)
		k.mac_key[i] = seed * 13 + i * 3 + 5;
	/* not the sequence number, so that nobody can mix them up */
	k.nonce = 0x0102030405060700ULL + seed * 0x10000;
	/* of RC4 what is spent of the key stream */
	if (of(&k)->mode == STREAM)
		k.nonce = seed * 3;
	return k;
}

/* Header of a record with @len bytes behind it. */
static void put_header(uint8_t *record, uint8_t type, uint16_t version, size_t len)
{
	CHECK(HEADER + len <= RECORD_MAX);
	record[0] = type;
	put(record + 1, version, 2);
	put(record + 3, len, 2);
}

/* ---- AEAD ---- */

static void make_nonce(const struct keys *k, const uint8_t *record, uint8_t *nonce)
{
	uint8_t seq[8];
	int i;

	if (explicit_len(k)) {
		memcpy(nonce, k->iv, 4);
		memcpy(nonce + 4, record + HEADER, 8);
		return;
	}
	put(seq, k->seq, 8);
	memcpy(nonce, k->iv, 12);
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= seq[i];
}

static int make_aad(const struct keys *k, const uint8_t *record, size_t content_len, uint8_t *aad)
{
	if (is_tls13(k)) {
		memcpy(aad, record, HEADER);
		return HEADER;
	}
	put(aad, k->seq, 8);
	memcpy(aad + 8, record, 3);
	put(aad + 11, content_len, 2);
	return 13;
}

static size_t seal_aead(struct keys *k, uint8_t type, uint16_t version, const void *body,
			size_t len, uint8_t *record)
{
	size_t prefix = explicit_len(k), tag_len = of(k)->tag_len;
	uint8_t *data = record + HEADER + prefix;
	uint8_t nonce[12], aad[16];
	int aad_len;

	put_header(record, type, version, prefix + len + tag_len);
	if (prefix)
		put(record + HEADER, k->nonce++, 8);
	make_nonce(k, record, nonce);
	aad_len = make_aad(k, record, len, aad);
	if (len)
		memmove(data, body, len);
	CHECK(aead(of(k), 1, k->key, nonce, aad, aad_len, data, len, data + len));
	k->seq++;
	return HEADER + prefix + len + tag_len;
}

/* The body in @body; length of what was sealed, or -1. */
static long open_aead(const struct keys *k, const uint8_t *record, size_t len, uint8_t *body)
{
	size_t prefix = explicit_len(k), tag_len = of(k)->tag_len;
	long n = (long)(len - HEADER - prefix - tag_len);
	uint8_t nonce[12], aad[16];
	int aad_len;

	if (n < 0)
		return -1;
	make_nonce(k, record, nonce);
	aad_len = make_aad(k, record, n, aad);
	memcpy(body, record + HEADER + prefix, n + tag_len);
	return aead(of(k), 0, k->key, nonce, aad, aad_len, body, n, body + n) ? n : -1;
}

/* ---- CBC ---- */

static void make_ssl3_mac(const struct keys *k, uint8_t type, const void *data, size_t len, uint8_t *mac)
{
	size_t key_len = of(k)->tag_len, pad_len = key_len == 16 ? 48 : 40, before = key_len + pad_len;
	uint8_t text[64 + 11 + RECORD_MAX];

	memset(text, 0x36, before);
	memcpy(text, k->mac_key, key_len);
	put(text + before, k->seq, 8);
	text[before + 8] = type;
	put(text + before + 9, len, 2);
	if (len)
		memcpy(text + before + 11, data, len);
	digest(of(k), text, before + 11 + len, mac);
	memset(text + key_len, 0x5c, pad_len);
	memcpy(text + before, mac, key_len);
	digest(of(k), text, before + key_len, mac);
}

/* The MAC over @len bytes of @data, of a record with this header. */
static void make_mac(const struct keys *k, uint8_t type, uint16_t version, const void *data,
		     size_t len, uint8_t *mac)
{
	uint8_t text[13 + RECORD_MAX];

	if (is_ssl3(k)) {
		make_ssl3_mac(k, type, data, len, mac);
		return;
	}
	put(text, k->seq, 8);
	text[8] = type;
	put(text + 9, version, 2);
	put(text + 11, len, 2);
	if (len)
		memcpy(text + 13, data, len);
	hmac(of(k), k->mac_key, text, 13 + len, mac);
}

size_t cbc_plain(const struct keys *k, uint8_t type, uint16_t version, const void *content,
		 size_t len, size_t padding, uint8_t *plain)
{
	size_t n = len;

	if (len)
		memcpy(plain, content, len);
	if (!is_etm_key(k)) {
		make_mac(k, type, version, content, len, plain + n);
		n += of(k)->tag_len;
	}
	memset(plain + n, padding - 1, padding);
	return n + padding;
}

size_t seal_plain(struct keys *k, uint8_t type, uint16_t version, const uint8_t *plain, size_t len,
		  uint8_t *record)
{
	size_t tag_len = is_etm_key(k) ? of(k)->tag_len : 0, iv_len = explicit_len(k);
	uint8_t *iv = record + HEADER, *data = iv + iv_len;

	put_header(record, type, version, iv_len + len + tag_len);
	CHECK(!iv_len || RAND_bytes(iv, iv_len) == 1);
	memcpy(data, plain, len);
	cbc(of(k), 1, k->key, iv_len ? iv : k->iv, data, len);
	if (!iv_len)
		memcpy(k->iv, data + len - block(k), block(k));
	if (tag_len)
		make_mac(k, type, version, iv, iv_len + len, data + len);
	k->seq++;
	return HEADER + iv_len + len + tag_len;
}

/* Content in @body; its length, or -1. */
static long open_cbc(struct keys *k, const uint8_t *record, size_t len, uint8_t *body)
{
	size_t tag_len = of(k)->tag_len, iv_len = explicit_len(k);
	size_t n = len - HEADER - iv_len, padding, i;
	const uint8_t *data = record + HEADER + iv_len;
	uint16_t version = record[1] << 8 | record[2];
	uint8_t mac[64];

	if (len < sealed_len(k, 0))
		return -1;
	if (is_etm_key(k)) {
		n -= tag_len;
		make_mac(k, record[0], version, record + HEADER, iv_len + n, mac);
		if (memcmp(mac, data + n, tag_len))
			return -1;
	}
	if (n % block(k))
		return -1;
	memcpy(body, data, n);
	cbc(of(k), 0, k->key, iv_len ? record + HEADER : k->iv, body, n);
	if (!iv_len)
		memcpy(k->iv, data + n - block(k), block(k));
	padding = body[n - 1] + 1;
	if (padding + (is_etm_key(k) ? 0 : tag_len) > n)
		return -1;
	for (i = 0; i < padding && !is_ssl3(k); i++)
		if (body[n - 1 - i] != padding - 1)
			return -1;
	n -= padding;
	if (is_etm_key(k))
		return n;
	n -= tag_len;
	make_mac(k, record[0], version, body, n, mac);
	return memcmp(mac, body + n, tag_len) ? -1 : (long)n;
}

/* ---- RC4 ---- */

static size_t seal_stream(struct keys *k, uint8_t type, uint16_t version, const void *content, size_t len,
			  uint8_t *record)
{
	size_t n = len + of(k)->tag_len;

	put_header(record, type, version, n);
	if (len)
		memcpy(record + HEADER, content, len);
	make_mac(k, type, version, content, len, record + HEADER + len);
	stream(of(k), k->key, k->nonce, record + HEADER, n);
	k->nonce += n;
	k->seq++;
	return HEADER + n;
}

static long open_stream(struct keys *k, const uint8_t *record, size_t len, uint8_t *body)
{
	long n = (long)(len - HEADER - of(k)->tag_len);
	uint8_t mac[64];

	if (n < 0)
		return -1;
	memcpy(body, record + HEADER, len - HEADER);
	stream(of(k), k->key, k->nonce, body, len - HEADER);
	k->nonce += len - HEADER;
	make_mac(k, record[0], version_of(k), body, n, mac);
	return memcmp(mac, body + n, of(k)->tag_len) ? -1 : n;
}

/* ---- records ---- */

size_t seal_inner(struct keys *k, uint8_t type, uint16_t version, const void *inner, size_t len,
		  uint8_t *record)
{
	uint8_t plain[RECORD_MAX];

	if (of(k)->mode == STREAM)
		return seal_stream(k, type, version, inner, len, record);
	if (of(k)->mode != CBC)
		return seal_aead(k, type, version, inner, len, record);
	len = cbc_plain(k, type, version, inner, len, least_padding(k, len), plain);
	return seal_plain(k, type, version, plain, len, record);
}

size_t seal(struct keys *k, uint8_t type, const void *content, size_t len, uint8_t *record)
{
	uint8_t inner[RECORD_MAX];

	if (!is_tls13(k))
		return seal_inner(k, type, version_of(k), content, len, record);
	CHECK(len < sizeof(inner));
	if (len)
		memcpy(inner, content, len);
	inner[len] = type;
	return seal_inner(k, DATA, 0x0303, inner, len + 1, record);
}

long open_record(struct keys *k, const uint8_t *record, size_t len, uint8_t *type,
		 uint8_t *content)
{
	uint8_t body[RECORD_MAX];
	long n;

	if (len < HEADER || record[1] != 3 || record[2] != (version_of(k) & 0xff))
		return -1;
	n = of(k)->mode == CBC ? open_cbc(k, record, len, body) :
	    of(k)->mode == STREAM ? open_stream(k, record, len, body) : open_aead(k, record, len, body);
	if (n < 0)
		return -1;
	k->seq++;
	*type = record[0];
	if (is_tls13(k)) {
		if (record[0] != DATA)
			return -1;
		while (n && !body[n - 1])
			n--;
		if (!n)
			return -1;
		*type = body[--n];
	}
	memcpy(content, body, n);
	return n;
}

/* ---- on a socket ---- */

void peer_write(struct peer *p, const void *data, size_t len)
{
	while (len) {
		long n = SYS(send(p->fd, data, len, MSG_NOSIGNAL));

		data = (const char *)data + n;
		len -= n;
	}
}

void peer_settle(struct peer *p)
{
	int left;

	for (;;) {
		SYS(ioctl(p->fd, SIOCOUTQ, &left));
		if (!left)
			return;
		usleep(500);
	}
}

void peer_send(struct peer *p, uint8_t type, const void *content, size_t len)
{
	uint8_t record[RECORD_MAX];

	if (v->plain) {
		EQ(type, DATA);
		peer_write(p, content, len);
		return;
	}
	peer_write(p, record, seal(&p->tx, type, content, len, record));
}

void peer_send_alert(struct peer *p, uint8_t level, uint8_t desc)
{
	uint8_t alert[2] = { level, desc };

	if (v->plain) {
		EQ(desc, CLOSE_NOTIFY);
		SYS(shutdown(p->fd, SHUT_WR));
		return;
	}
	peer_send(p, ALERT, alert, 2);
}

void peer_send_pattern(struct peer *p, size_t at, size_t len, size_t step)
{
	uint8_t content[16384];

	while (len) {
		size_t n = len < step ? len : step;

		pattern(content, at, n);
		peer_send(p, DATA, content, n);
		at += n;
		len -= n;
	}
}

/* Exactly @len bytes; 0 if the stream ends before the first. */
static size_t read_all(int fd, uint8_t *to, size_t len)
{
	size_t got = 0;

	while (got < len) {
		long n = SYS(recv(fd, to + got, len - got, 0));

		if (!n) {
			EQ(got, 0);
			return 0;
		}
		got += n;
	}
	return got;
}

size_t peer_read_raw(struct peer *p, uint8_t *record)
{
	size_t len;

	if (!read_all(p->fd, record, HEADER))
		return 0;
	len = record[3] << 8 | record[4];
	CHECK(record[0] >= CCS && record[0] <= DATA);
	EQ(record[1], 3);
	CHECK(len > 0 && len <= 16384 + 256);
	EQ(read_all(p->fd, record + HEADER, len), len);
	return HEADER + len;
}

/* Bytes of plain TCP as if they were a record; -1 at the FIN. */
static long recv_plain(struct peer *p, uint8_t *type, uint8_t *content, size_t max)
{
	long n = SYS(recv(p->fd, content, max, 0));

	*type = DATA;
	return n ? n : -1;
}

long peer_recv(struct peer *p, uint8_t *type, uint8_t *content)
{
	uint8_t record[RECORD_MAX];
	uint8_t nonce[8];
	size_t len;
	long n;

	if (v->plain)
		return recv_plain(p, type, content, 16384);
	len = peer_read_raw(p, record);
	if (!len)
		return -1;
	/* The sender's explicit nonces count up from where they were set to start. */
	put(nonce, p->rx.nonce, 8);
	if (explicit_len(&p->rx) == 8 && of(&p->rx)->mode != CBC && memcmp(record + HEADER, nonce, 8))
		check_failed(__FILE__, __LINE__, "explicit nonce of record %llu",
			     (unsigned long long)p->rx.seq);
	n = open_record(&p->rx, record, len, type, content);
	if (n < 0)
		check_failed(__FILE__, __LINE__, "record %llu (outer type %u, %zu bytes) is not authentic",
			     (unsigned long long)p->rx.seq, record[0], len);
	if (explicit_len(&p->rx) == 8 && of(&p->rx)->mode != CBC)
		p->rx.nonce++;
	CHECK(n <= 16384);
	/* Nobody asked for padding. */
	EQ(len, sealed_len(&p->rx, n));
	return n;
}

void peer_expect(struct peer *p, uint8_t type, const void *content, size_t len)
{
	uint8_t got[RECORD_MAX];
	uint8_t got_type;
	long n;

	if (v->plain) {
		EQ(recv(p->fd, got, len, MSG_WAITALL), len);
		CHECK(!memcmp(got, content, len));
		return;
	}
	n = peer_recv(p, &got_type, got);
	if (n < 0)
		check_failed(__FILE__, __LINE__, "FIN instead of a record of type %u", type);
	if (got_type == ALERT && type != ALERT && n == 2)
		check_failed(__FILE__, __LINE__, "alert %u %u instead of a record of type %u",
			     got[0], got[1], type);
	EQ(got_type, type);
	EQ(n, len);
	CHECK(!memcmp(got, content, len));
}

void peer_expect_pattern(struct peer *p, size_t at, size_t len)
{
	uint8_t got[RECORD_MAX];
	uint8_t type;

	while (len) {
		long n = v->plain ? recv_plain(p, &type, got, len < 16384 ? len : 16384) :
				    peer_recv(p, &type, got);

		if (n < 0)
			check_failed(__FILE__, __LINE__, "FIN, %zu bytes are missing", len);
		if (type == ALERT && n == 2)
			check_failed(__FILE__, __LINE__, "alert %u %u, %zu bytes are missing",
				     got[0], got[1], len);
		EQ(type, DATA);
		CHECK(n > 0);
		CHECK((size_t)n <= len);
		check_pattern(got, at, n);
		at += n;
		len -= n;
	}
}

void peer_expect_alert(struct peer *p, uint8_t level, uint8_t desc)
{
	uint8_t got[RECORD_MAX];
	uint8_t type;
	long n;

	if (v->plain)
		return;
	n = peer_recv(p, &type, got);
	if (n < 0)
		check_failed(__FILE__, __LINE__, "FIN instead of alert %u", desc);
	EQ(type, ALERT);
	EQ(n, 2);
	EQ(got[0], level);
	EQ(got[1], desc);
}

void peer_expect_fin(struct peer *p)
{
	uint8_t got[RECORD_MAX];
	uint8_t type;
	long n = peer_recv(p, &type, got);

	if (n >= 0)
		check_failed(__FILE__, __LINE__, "a record of type %u, %ld bytes (%02x %02x) instead of FIN",
			     type, n, n ? got[0] : 0, n > 1 ? got[1] : 0);
}

/* ---- bytes ---- */

uint8_t pattern_at(size_t at)
{
	return at * 7 ^ at >> 8 ^ at >> 16;
}

void pattern(void *to, size_t at, size_t len)
{
	uint8_t *b = to;
	size_t i;

	for (i = 0; i < len; i++)
		b[i] = pattern_at(at + i);
}

void check_pattern(const void *from, size_t at, size_t len)
{
	const uint8_t *b = from;
	size_t i;

	for (i = 0; i < len; i++)
		if (b[i] != pattern_at(at + i))
			check_failed(__FILE__, __LINE__, "byte %zu is %02x, not %02x", at + i, b[i],
				     pattern_at(at + i));
}
