// SPDX-License-Identifier: MIT
/* Handshake messages: kmod finds the same ones as who has all of them at once. */
#include "input.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

/* RFC 8446 4: where the message at @at ends; past @len if it does not. */
static size_t end_of(const u8 *data, size_t len, size_t at)
{
	if (len - at < 4)
		return len + 1;
	return at + 4 + (data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]);
}

/* Octets in an allocation of their own, so that nothing behind them is read. */
static u8 *copy(const u8 *data, size_t len)
{
	u8 *own = malloc(len);

	memcpy(own, data, len);
	return own;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct input in = { data, len };
	struct kssl_message m = {};
	size_t begin = 0, at = 0, end;
	/* records of about this length */
	unsigned int step = 1 + input_number(&in, 1);

	data = in.data;
	len = in.len;
	end = end_of(data, len, 0);
	while (at < len) {
		unsigned int n = min_t(size_t, 1 + (step * (at + 1)) % (2 * step), len - at), pos = 0;
		u8 *record = copy(data + at, n);

		while (pos < n) {
			unsigned int took;
			bool whole;

			took = kssl_message_take(&m, record + pos, n - pos, &whole);
			must(took >= 1 && took <= n - pos);
			pos += took;
			must(at + pos <= end);
			must(whole == (at + pos == end));
			must(kssl_message_is_open(&m) == !whole);
			must(m.header[0] == data[begin]);
			if (at + pos >= begin + 4)
				must(end == begin + 4 + kssl_message_len(&m));
			if (at + pos > begin + 4)
				must(m.first == data[begin + 4] && m.body == at + pos - begin - 4);
			if (whole) {
				begin = end;
				end = begin < len ? end_of(data, len, begin) : len + 1;
			}
		}
		free(record);
		at += n;
	}
	return 0;
}
