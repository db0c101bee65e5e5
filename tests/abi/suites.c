// SPDX-License-Identifier: MIT
/*
 * Every cipher suite there is in the reference's table: listed and usable where the
 * kernel has its algorithms, ENOPKG where it has not, and nothing else is listed.
 */
#include <fcntl.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cipher.h"
#include "conn.h"
#include "tap.h"

#define ROWS_MAX	256

static struct kssl_suite_info listed[ROWS_MAX];
static unsigned int listed_count;

static void read_list(int fd)
{
	socklen_t len = 0, full = sizeof(listed);

	SYS(getsockopt(fd, SOL_KSSL, KSSL_SUITES, NULL, &len));
	SYS(getsockopt(fd, SOL_KSSL, KSSL_SUITES, listed, &full));
	EQ(len, full);
	listed_count = full / sizeof(listed[0]);
	EQ(listed_count * sizeof(listed[0]), full);
	CHECK(listed_count > 0);
}

static const struct kssl_suite_info *find(uint16_t id, uint16_t version)
{
	const struct kssl_suite_info *found = NULL;
	unsigned int i;

	for (i = 0; i < listed_count; i++)
		if (listed[i].suite == id && listed[i].version == version) {
			CHECK(!found);
			found = &listed[i];
		}
	return found;
}

/* Does this kernel have the cipher?  The crypto API's own socket knows. */
static int kernel_has(const struct protection *p)
{
	static const char *const modes[] = { [GCM] = "gcm", [CCM] = "ccm", [CBC] = "cbc" };
	struct sockaddr_alg addr = { .salg_family = AF_ALG };
	int fd = SYS(socket(AF_ALG, SOCK_SEQPACKET, 0));
	int restrictions = open("/proc/sys/crypto/af_alg_restrict", O_WRONLY);
	int ret;

	/* 7.3 would own up to a few only. */
	if (restrictions >= 0) {
		EQ(SYS(write(restrictions, "0", 1)), 1);
		close(restrictions);
	}

	strcpy((char *)addr.salg_type, p->mode == CBC ? "skcipher" : "aead");
	if (p->mode == CHACHA)
		strcpy((char *)addr.salg_name, "rfc7539(chacha20,poly1305)");
	else
		snprintf((char *)addr.salg_name, sizeof(addr.salg_name), "%s(%s)", modes[p->mode],
			 p->cipher);
	ret = bind(fd, (void *)&addr, sizeof(addr));
	if (ret)
		EQ(errno, ENOENT);
	close(fd);
	return !ret;
}

static void list(void)
{
	struct kssl_suite_info some[ROWS_MAX + 1];
	const struct protection *p;
	unsigned int i, known = 0;
	uint16_t id, version;
	socklen_t len, size;
	struct conn c;

	conn_connect(&c);
	conn_attach(&c);
	read_list(c.fd);
	for (i = 0; (p = suite_at(i, &id, &version)); i++) {
		const struct kssl_suite_info *s = find(id, version);

		if (!s)
			continue;
		known++;
		EQ(s->key_len, p->key_len);
		CHECK(!is_locked(id, version));
		EQ(s->iv_len, iv_len_of(p, version));
		EQ(s->mac_key_len, p->hash ? p->tag_len : 0);
		EQ(s->tag_len, p->tag_len);
	}
	/* and nothing that the reference does not know */
	EQ(known, listed_count);
	/* as many whole rows as fit */
	for (i = 1; i <= listed_count * sizeof(some[0]) + 20; i += i < 20 ? 1 : 97) {
		memset(some, 0xee, sizeof(some));
		len = i;
		SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, some, &len));
		size = i / sizeof(some[0]);
		EQ(len, (size < listed_count ? size : listed_count) * sizeof(some[0]));
		CHECK(!memcmp(some, listed, len));
		EQ(((uint8_t *)some)[len], 0xee);
	}
}

/* Listed and accepted is what the kernel has the algorithms for, no more and no less. */
static void as_the_kernel_has(void)
{
	const struct protection *p, *before = NULL;
	struct batch *b = batch_new();
	unsigned int i, count = 0;
	struct conn c, attended;
	uint16_t id, version;
	int has = 0, first;

	conn_attend(&attended);
	conn_connect(&c);
	conn_attach(&c);
	read_list(c.fd);
	close(c.fd);
	close(c.peer.fd);
	for (i = 0; (p = suite_at(i, &id, &version)); i++) {
		struct keys k = {
			.suite = {
				.suite = id, .version = version, .key_len = p->key_len,
				.iv_len = iv_len_of(p, version),
				.mac_key_len = p->hash ? p->tag_len : 0,
			},
		};

		first = p != before;
		before = p;
		if (is_locked(id, version)) {
			CHECK(!find(id, version));
			conn_connect(&c);
			conn_attach(&c);
			FAILS(set_key(c.fd, KSSL_TX_KEY, &k), EPERM);
			batch_key(b, KSSL_OP_TX_KEY, &k);
			FAILS(batch_write(b, attended.control), EPERM);
			close(c.fd);
			close(c.peer.fd);
			continue;
		}
		if (first)
			has = kernel_has(p);
		EQ(!!find(id, version), has);
		if (!has && first)
			note("this kernel has no %s in the mode that %04x needs", p->cipher, id);
		conn_connect(&c);
		conn_attach(&c);
		if (has) {
			SYS(set_key(c.fd, KSSL_TX_KEY, &k));
			SYS(set_key(c.fd, KSSL_RX_KEY, &k));
		} else {
			FAILS(set_key(c.fd, KSSL_TX_KEY, &k), ENOPKG);
			/* each time the kernel looks for modules */
			if (first) {
				FAILS(set_key(c.fd, KSSL_RX_KEY, &k), ENOPKG);
				batch_key(b, KSSL_OP_TX_KEY, &k);
				FAILS(batch_write(b, attended.control), ENOPKG);
			}
			EQ(status_of(c.fd).tx.epoch, 0);
			EQ(status_of(c.fd).rx.epoch, 0);
			EQ(error_of(c.fd).err, 0);
		}
		close(c.fd);
		close(c.peer.fd);
		count += has;
	}
	EQ(count, listed_count);
	CHECK(count > 0);
	EQ(status_of(attended.fd).tx.epoch, 0);
	free(b);
}

/* Both ways, data and control, and the right key only. */
static void every_suite(void)
{
	uint8_t message[100], byte;
	struct conn c;

	conn_open(&c);
	pattern(message, 7, sizeof(message));
	peer_send_pattern(&c.peer, 0, 20000, 16384);
	recv_pattern(c.fd, 0, 20000);
	send_pattern(c.fd, 0, 20000);
	peer_expect_pattern(&c.peer, 0, 20000);
	peer_send(&c.peer, HANDSHAKE, message, sizeof(message));
	expect_typed(c.fd, HANDSHAKE, message, sizeof(message));
	EQ(send_typed(c.fd, HANDSHAKE, message, sizeof(message), 0), sizeof(message));
	peer_expect(&c.peer, HANDSHAKE, message, sizeof(message));
	EQ(status_of(c.fd).tx.suite, v->suite.suite);
	EQ(status_of(c.fd).rx.suite, v->suite.suite);
	EQ(status_of(c.fd).tx.flags, v->flags);
	EQ(status_of(c.fd).rx.flags, v->flags);

	c.peer.tx.key[v->suite.key_len - 1] ^= 1;
	if (is_etm())
		c.peer.tx.mac_key[v->suite.mac_key_len - 1] ^= 1;
	peer_send(&c.peer, DATA, message, sizeof(message));
	FAILS(recv(c.fd, &byte, 1, 0), EBADMSG);
	peer_expect_alert(&c.peer, FATAL, BAD_RECORD_MAC);
}

static const struct test tests[] = {
	{ "list", ONCE, list },
	{ "as_the_kernel_has", ONCE, as_the_kernel_has },
	{ "every_suite", SUITES, every_suite },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
