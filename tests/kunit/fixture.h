/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of record formats share: epochs, buffers, records sealed and opened. */
#ifndef KSSL_FIXTURE_H
#define KSSL_FIXTURE_H

#include <kunit/test.h>
#include "../../kmod/kssl.h"
#include "../vectors/vector.h"

/* Keys and IVs of epoch_of_suite() consist of these octets. */
#define FIXTURE_KEY	0x5a
#define FIXTURE_IV	0xa5
#define FIXTURE_MAC_KEY	0x3c

struct kssl_epoch *own_epoch(struct kunit *test, const struct kssl_key *key);
struct kssl_epoch *epoch_of_vector(struct kunit *test, const struct kssl_record_vector *v);
struct kssl_epoch *epoch_of_suite(struct kunit *test, u16 suite, u16 version, u32 flags);
bool first_with_cipher(const struct kssl_suite *suite);
u8 *buffer(struct kunit *test, unsigned int len);
void fill_bytes(u8 *buf, unsigned int len);
struct scatterlist *scatter(struct kunit *test, u8 *buf, unsigned int len, unsigned int step);
int seal(struct kunit *test, struct kssl_epoch *e, u64 seq, u64 nonce, u8 type,
	 const u8 *content, unsigned int len, u8 *record, unsigned int step);
int open_at(struct kunit *test, struct kssl_epoch *e, u64 seq, u8 *record, u8 *out,
	    unsigned int src_step, unsigned int dst_step, u8 *type);
int open_in_place(struct kunit *test, struct kssl_epoch *e, u64 seq, u8 *record, u8 *type);

#endif /* KSSL_FIXTURE_H */
