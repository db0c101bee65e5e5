// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

const char *doing = "";
struct kssl_policy link_policy;

const struct kssl_suite_info link_suites[] = {
	{ 0x1301, 0x0304, 16, 12, 0, 16 }, { 0x1302, 0x0304, 32, 12, 0, 16 },
	{ 0xc02b, 0x0303, 16, 4, 0, 16 }, { 0xc02c, 0x0303, 32, 4, 0, 16 },
	{ 0xc02f, 0x0303, 16, 4, 0, 16 }, { 0xc030, 0x0303, 32, 4, 0, 16 },
	{ 0x009c, 0x0303, 16, 4, 0, 16 }, { 0x009d, 0x0303, 32, 4, 0, 16 },
	/* 3DES and RC4, as with legacy=1 */
	{ 0x000a, 0x0303, 24, 0, 20, 20 }, { 0x000a, 0x0301, 24, 8, 20, 20 },
	{ 0x0005, 0x0303, 16, 0, 20, 20 }, { 0x0005, 0x0300, 16, 0, 20, 20 },
};

const unsigned int link_suites_count = sizeof(link_suites) / sizeof(link_suites[0]);

/* The kernel's, instead of libc's: a pair of sockets has none of them. */
int ioctl(int fd, unsigned long what, ...)
{
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, what);
	arg = va_arg(args, void *);
	va_end(args);
	if (what == KSSL_IOC_POLICY)
		link_policy = *(struct kssl_policy *)arg;
	if (what == KSSL_IOC_EXPORTER)
		*(struct kssl_exporter *)arg = (struct kssl_exporter) {
			.size = sizeof(struct kssl_exporter), .len = 32, .label = LINK_LABEL,
		};
	return 0;
}

static uint8_t batch[KSSL_BATCH_MAX];

static void take_op(struct link *l, const struct kssl_op *op, const uint8_t *payload)
{
	switch (op->op) {
	case KSSL_OP_RAW:
		BIO_write(l->in, payload, op->len);
		break;
	case KSSL_OP_SESSION:
		CHECK(op->len == sizeof(l->session) && !l->done);
		memcpy(&l->session, payload, op->len);
		break;
	case KSSL_OP_PEER_CHAIN:
		CHECK(op->len <= sizeof(l->chain) && !l->done);
		memcpy(l->chain, payload, op->len);
		l->chain_len = op->len;
		break;
	case KSSL_OP_EXPORTER:
		CHECK(op->len <= sizeof(l->exported));
		memcpy(l->exported, payload, op->len);
		l->exported_len = op->len;
		break;
	case KSSL_OP_RESULT:
		memcpy(&l->result, payload, op->len);
		break;
	case KSSL_OP_FAIL:
		memcpy(&l->error, payload, op->len);
		break;
	case KSSL_OP_DONE:
		l->done = 1;
		break;
	}
}

/** link_take_batches() - do what the library told the kernel */
void link_take_batches(struct link *l)
{
	ssize_t n, pos;

	while ((n = recv(l->kernel, batch, sizeof(batch), MSG_DONTWAIT)) > 0)
		for (pos = 0; pos < n;) {
			struct kssl_op op;

			memcpy(&op, batch + pos, sizeof(op));
			take_op(l, &op, batch + pos + sizeof(op));
			pos += sizeof(op) + op.len;
		}
}

/** link_tell() - a message of the kernel to its helper */
void link_tell(struct link *l, uint16_t kind, uint8_t type, uint32_t epoch, uint32_t value,
	       const void *payload, size_t len)
{
	struct kssl_msg msg = { .len = sizeof(msg) + len, .kind = kind, .type = type, .epoch = epoch, .value = value };
	struct iovec iov[2] = { { &msg, sizeof(msg) }, { (void *)payload, len } };
	struct msghdr hdr = { .msg_iov = iov, .msg_iovlen = 2 };

	CHECK(sendmsg(l->kernel, &hdr, 0) == (ssize_t)msg.len);
}

/* What the peer wrote, record by record. */
static void pass_records(struct link *l)
{
	uint8_t record[5 + 20000];

	while (!l->done && BIO_read(l->out, record, 5) == 5) {
		int len = record[3] << 8 | record[4];

		CHECK(BIO_read(l->out, record + 5, len) == len);
		link_tell(l, KSSL_MSG_RAW, 0, 0, 0, record, 5 + len);
		kssl_attend(l->k);
		link_take_batches(l);
	}
}

/**
 * link_make() - a connection whose helper is yet to come
 * @l: (out) connection
 * @peer: becomes its own
 *
 * Return: the control file for the helper.
 */
int link_make(struct link *l, SSL *peer)
{
	int pair[2];

	memset(l, 0, sizeof(*l));
	CHECK(peer && !socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	l->kernel = pair[1];
	l->ssl = peer;
	l->in = BIO_new(BIO_s_mem());
	l->out = BIO_new(BIO_s_mem());
	SSL_set_bio(l->ssl, l->in, l->out);
	return pair[0];
}

/**
 * link_shake_hands() - pass on messages until the handshake is over
 * @l: connection
 * @k: its helper
 */
void link_shake_hands(struct link *l, struct kssl *k)
{
	int i;

	l->k = k;
	for (i = 0; i < 6 && !l->done && !l->error.err; i++) {
		link_take_batches(l);
		SSL_do_handshake(l->ssl);
		pass_records(l);
	}
	link_take_batches(l);
	SSL_do_handshake(l->ssl);
}

/** link_drop() - the connection, its helper and its peer end */
void link_drop(struct link *l)
{
	kssl_free(l->k);
	SSL_free(l->ssl);
	close(l->kernel);
}
