// SPDX-License-Identifier: MIT
/* The reference record layer, RFC 5246 6.2.3.3, RFC 5288 3, RFC 7905 2, RFC 8446 5.2 to 5.4. */
#include <linux/sockios.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "peer.h"
#include "tap.h"

#define TAG	16

static const EVP_CIPHER *cipher_of(const struct kssl_suite_info *s)
{
	switch (s->suite) {
	case 0x009c: case 0x009e: case 0xc02b: case 0xc02f: case 0x1301:
		return EVP_aes_128_gcm();
	case 0x009d: case 0x009f: case 0xc02c: case 0xc030: case 0x1302:
		return EVP_aes_256_gcm();
	case 0xcca8: case 0xcca9: case 0xccaa: case 0x1303:
		return EVP_chacha20_poly1305();
	}
	check_failed(__FILE__, __LINE__, "suite %04x is unknown to the reference", s->suite);
}

static int is_tls13(const struct keys *k)
{
	return k->suite.version == 0x0304;
}

/* Bytes of explicit nonce in each record. */
static size_t explicit_len(const struct keys *k)
{
	return !is_tls13(k) && k->suite.iv_len == 4 ? 8 : 0;
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
	struct keys k = { .suite = v->suite };
	unsigned int i;

	for (i = 0; i < k.suite.key_len; i++)
		k.key[i] = seed * 31 + i * 7 + 1;
	for (i = 0; i < k.suite.iv_len; i++)
		k.iv[i] = seed * 17 + i * 5 + 3;
	/* not the sequence number, so that nobody can mix them up */
	k.nonce = 0x0102030405060700ULL + seed * 0x10000;
	return k;
}

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

/* Encrypt or decrypt @len bytes in place; the tag follows them. 0 if not authentic. */
static int run_cipher(const struct keys *k, int encrypt, const uint8_t *nonce,
		      const uint8_t *aad, int aad_len, uint8_t *data, int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[16];
	int out, ok;

	CHECK(ctx);
	CHECK(EVP_CipherInit_ex(ctx, cipher_of(&k->suite), NULL, k->key, nonce, encrypt));
	CHECK(EVP_CipherUpdate(ctx, NULL, &out, aad, aad_len));
	if (len)
		CHECK(EVP_CipherUpdate(ctx, data, &out, data, len));
	if (!encrypt)
		CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, data + len));
	ok = EVP_CipherFinal_ex(ctx, none, &out);
	if (encrypt)
		CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, data + len));
	EVP_CIPHER_CTX_free(ctx);
	return ok;
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

static size_t seal_body(struct keys *k, uint8_t type, uint16_t version, const void *body,
			size_t len, uint8_t *record)
{
	size_t prefix = explicit_len(k);
	uint8_t *data = record + HEADER + prefix;
	uint8_t nonce[12], aad[16];
	int aad_len;

	CHECK(HEADER + prefix + len + TAG <= RECORD_MAX);
	record[0] = type;
	put(record + 1, version, 2);
	put(record + 3, prefix + len + TAG, 2);
	if (prefix)
		put(record + HEADER, k->nonce++, 8);
	make_nonce(k, record, nonce);
	aad_len = make_aad(k, record, len, aad);
	if (len)
		memmove(data, body, len);
	CHECK(run_cipher(k, 1, nonce, aad, aad_len, data, len));
	k->seq++;
	return HEADER + prefix + len + TAG;
}

size_t seal_inner(struct keys *k, uint8_t type, uint16_t version, const void *inner, size_t len,
		  uint8_t *record)
{
	return seal_body(k, type, version, inner, len, record);
}

size_t seal(struct keys *k, uint8_t type, const void *content, size_t len, uint8_t *record)
{
	uint8_t inner[RECORD_MAX];

	if (!is_tls13(k))
		return seal_body(k, type, 0x0303, content, len, record);
	CHECK(len < sizeof(inner));
	if (len)
		memcpy(inner, content, len);
	inner[len] = type;
	return seal_body(k, DATA, 0x0303, inner, len + 1, record);
}

long open_record(struct keys *k, const uint8_t *record, size_t len, uint8_t *type,
		 uint8_t *content)
{
	size_t prefix = explicit_len(k);
	uint8_t body[RECORD_MAX], nonce[12], aad[16];
	long n = (long)(len - HEADER - prefix - TAG);
	int aad_len;

	if (n < 0 || record[1] != 3 || record[2] != 3)
		return -1;
	make_nonce(k, record, nonce);
	aad_len = make_aad(k, record, n, aad);
	memcpy(body, record + HEADER + prefix, n + TAG);
	if (!run_cipher(k, 0, nonce, aad, aad_len, body, n))
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
	size_t prefix = explicit_len(&p->rx);
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
	if (prefix && memcmp(record + HEADER, nonce, 8))
		check_failed(__FILE__, __LINE__, "explicit nonce of record %llu",
			     (unsigned long long)p->rx.seq);
	n = open_record(&p->rx, record, len, type, content);
	if (n < 0)
		check_failed(__FILE__, __LINE__, "record %llu (outer type %u, %zu bytes) is not authentic",
			     (unsigned long long)p->rx.seq, record[0], len);
	p->rx.nonce++;
	CHECK(n <= 16384);
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
