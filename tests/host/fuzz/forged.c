// SPDX-License-Identifier: MIT
/*
 * Records by somebody who has the keys, and damage on both sides of the encryption: padding of any length and value, a
 * MAC that is off by a bit, a type that is not there, contents too long.
 */
#include "input.h"
#include "ref.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

/* Longer than any content may be, but not so long that the record cannot have such a header. */
#define CONTENT_MAX	(KSSL_MAX_PAYLOAD + 300)

/* A few octets, counted from the end, are not what they were; the order is no matter. */
static void damage(struct input *in, u8 *data, unsigned int len)
{
	unsigned int count = input_number(in, 1) % 8;

	while (count--) {
		unsigned int at = input_number(in, 2);
		u8 by = input_number(in, 1);

		if (at < len)
			data[len - 1 - at] ^= by;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static u8 content[CONTENT_MAX], inner[REF_MAX], record[REF_MAX];
	struct input in = { data, len };
	unsigned int content_len, padding, inner_len, record_len;
	struct kssl_epoch *e;
	struct kssl_key key;
	u64 seq, nonce;
	u8 type, iv[16];
	int8_t longer;

	e = input_epoch(&in, &key);
	if (!e)
		return -1;
	seq = input_number(&in, 8);
	nonce = input_number(&in, 8);
	input_bytes(&in, iv, sizeof(iv));
	type = input_number(&in, 1);
	content_len = input_content(&in, content, sizeof(content));
	padding = input_number(&in, 2) % 400;

	inner_len = ref_inner(&key, seq, type, content, content_len, padding, inner);
	damage(&in, inner, inner_len);
	record_len = ref_protect(&key, seq, nonce, iv, type, inner, inner_len, record);
	damage(&in, record, record_len);
	/* Another length, number or type than it was sealed with. */
	longer = input_number(&in, 1);
	if (longer && record_len + longer >= KSSL_HEADER_LEN) {
		if (longer > 0)
			memset(record + record_len, 0, longer);
		record_len += longer;
		kssl_record_build(record, record[0], record[1] << 8 | record[2], record_len - KSSL_HEADER_LEN);
	}
	seq += (int8_t)input_number(&in, 1);
	record[0] ^= input_number(&in, 1);
	open_both(&key, e, seq, record, record_len, &in);
	kssl_epoch_put(e);
	return 0;
}
