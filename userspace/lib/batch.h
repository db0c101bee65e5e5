/* SPDX-License-Identifier: MIT */
/*
 * A batch: the operations that go to the control file in one write.  Holds keys,
 * so every byte it ever held is cleansed.
 */
#ifndef KSSL_BATCH_H
#define KSSL_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>

/**
 * struct kssl_batch - operations in order
 * @buf: struct kssl_op and payload, one after the other
 * @len: bytes used of @buf
 * @size: bytes allocated
 * @err: -ENOMEM or -E2BIG once an operation did not fit; later ones are dropped
 */
struct kssl_batch {
	unsigned char *buf;
	size_t len;
	size_t size;
	int err;
};

void kssl_batch_add(struct kssl_batch *batch, enum kssl_op_code op, uint8_t type,
		    const void *payload, size_t len);
void kssl_batch_add_key(struct kssl_batch *batch, enum kssl_op_code op, const struct kssl_key *key);
void kssl_batch_truncate(struct kssl_batch *batch, size_t len);
void kssl_batch_drop_output(struct kssl_batch *batch);
void kssl_batch_clear(struct kssl_batch *batch);

#endif
