// SPDX-License-Identifier: MIT
/*
 * Batches of the control file as bytes.  Knows the layout of struct kssl_op and
 * nothing of what the operations mean to a handshake.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

static int reserve(struct kssl_batch *batch, size_t more)
{
	size_t size = batch->size ? batch->size : 1024;
	unsigned char *buf;

	if (more > KSSL_BATCH_MAX - batch->len)
		return -E2BIG;
	while (size < batch->len + more)
		size *= 2;
	if (size == batch->size)
		return 0;
	/* Not realloc: it would leave a copy of the keys behind. */
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	if (batch->buf) {
		memcpy(buf, batch->buf, batch->len);
		explicit_bzero(batch->buf, batch->size);
		free(batch->buf);
	}
	batch->buf = buf;
	batch->size = size;
	return 0;
}

/**
 * kssl_batch_add() - append an operation
 * @batch: batch; on failure its @err is set and stays
 * @op: KSSL_OP_*
 * @type: content type of a record, else 0
 * @payload: bytes of the operation, may be NULL if @len is 0
 * @len: how many
 */
void kssl_batch_add(struct kssl_batch *batch, enum kssl_op_code op, uint8_t type,
		    const void *payload, size_t len)
{
	struct kssl_op head = { .op = op, .type = type, .len = len };

	if (batch->err)
		return;
	if (len > KSSL_BATCH_MAX)
		batch->err = -E2BIG;
	else
		batch->err = reserve(batch, sizeof(head) + len);
	if (batch->err)
		return;
	memcpy(batch->buf + batch->len, &head, sizeof(head));
	if (len)
		memcpy(batch->buf + batch->len + sizeof(head), payload, len);
	batch->len += sizeof(head) + len;
}

/**
 * kssl_batch_add_key() - append KSSL_OP_TX_KEY or KSSL_OP_RX_KEY
 * @batch: batch
 * @op: which
 * @key: the key, copied
 */
void kssl_batch_add_key(struct kssl_batch *batch, enum kssl_op_code op, const struct kssl_key *key)
{
	kssl_batch_add(batch, op, 0, key, sizeof(*key));
}

/**
 * kssl_batch_truncate() - drop the operations from @len on, and what went wrong there
 * @batch: batch
 * @len: a length the batch had
 */
void kssl_batch_truncate(struct kssl_batch *batch, size_t len)
{
	if (batch->buf)
		explicit_bzero(batch->buf + len, batch->size - len);
	batch->len = len;
	batch->err = 0;
}

/* Or ends what waits for the peer. */
static int concerns_receiving(unsigned int op)
{
	switch (op) {
	case KSSL_OP_RELEASE:
	case KSSL_OP_RX_KEY:
	case KSSL_OP_CONTINUE:
	case KSSL_OP_ESTABLISHED:
	case KSSL_OP_IDENTITY:
	case KSSL_OP_RESULT:
		return 1;
	default:
		return 0;
	}
}

/**
 * kssl_batch_drop_output() - keep only what concerns receiving
 * @batch: batch
 *
 * For a connection whose sending is closed: the peer's records still have to be
 * answered towards the kernel, but nothing can go out (RFC 8446 6.1).
 */
void kssl_batch_drop_output(struct kssl_batch *batch)
{
	size_t from = 0, to = 0;
	struct kssl_op op;

	while (from < batch->len) {
		size_t len;

		memcpy(&op, batch->buf + from, sizeof(op));
		len = sizeof(op) + op.len;
		if (concerns_receiving(op.op)) {
			memmove(batch->buf + to, batch->buf + from, len);
			to += len;
		}
		from += len;
	}
	kssl_batch_truncate(batch, to);
}

/**
 * kssl_batch_clear() - forget everything
 * @batch: batch, empty and usable afterwards
 */
void kssl_batch_clear(struct kssl_batch *batch)
{
	if (batch->buf) {
		explicit_bzero(batch->buf, batch->size);
		free(batch->buf);
	}
	memset(batch, 0, sizeof(*batch));
}
