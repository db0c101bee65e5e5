// SPDX-License-Identifier: MIT
/* Any bytes for a record, under any key. */
#include "input.h"
#include "ref.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct input in = { data, len }, how;
	static u8 record[REF_MAX];
	unsigned int record_len;
	struct kssl_epoch *e;
	struct kssl_key key;
	u8 pieces[8];
	u64 seq;

	e = input_epoch(&in, &key);
	if (!e)
		return -1;
	seq = input_number(&in, 8);
	input_bytes(&in, pieces, sizeof(pieces));
	how = (struct input) { pieces, sizeof(pieces) };
	record_len = min_t(size_t, in.len, sizeof(record));
	if (record_len >= KSSL_HEADER_LEN) {
		input_bytes(&in, record, record_len);
		open_both(&key, e, seq, record, record_len, &how);
	}
	kssl_epoch_put(e);
	return 0;
}
