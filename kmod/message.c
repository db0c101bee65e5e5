// SPDX-License-Identifier: GPL-2.0
/*
 * Handshake messages (RFC 8446 4, RFC 5246 7.4): where one ends and the next begins,
 * however they are spread over records.  What is in them is the helper's business.
 */
#include "record.h"

/**
 * kssl_message_len() - length of the body
 * @m: walk; its header is complete
 */
u32 kssl_message_len(const struct kssl_message *m)
{
	return m->header[1] << 16 | m->header[2] << 8 | m->header[3];
}

/**
 * kssl_message_is_open() - has a message begun and not ended?
 * @m: walk
 */
bool kssl_message_is_open(const struct kssl_message *m)
{
	return m->have && (m->have < KSSL_MESSAGE_HEADER_LEN || m->body < kssl_message_len(m));
}

/**
 * kssl_message_take() - go on, at most to the end of the message
 * @m: walk; zero before the first message
 * @data: next octets
 * @len: how many, at least one
 * @whole: (out) the message ended with the last octet taken
 *
 * After a message that was whole the next call begins another one; until then
 * @m->header and @m->first tell about it. The header by itself is taken first, so
 * that a length can be judged before the body comes.
 *
 * Return: octets taken, at least one.
 */
unsigned int kssl_message_take(struct kssl_message *m, const u8 *data, unsigned int len,
			       bool *whole)
{
	unsigned int n;

	if (!kssl_message_is_open(m))
		memset(m, 0, sizeof(*m));
	if (m->have < KSSL_MESSAGE_HEADER_LEN) {
		n = min_t(unsigned int, len, KSSL_MESSAGE_HEADER_LEN - m->have);
		memcpy(m->header + m->have, data, n);
		m->have += n;
	} else {
		if (!m->body)
			m->first = *data;
		n = min(len, kssl_message_len(m) - m->body);
		m->body += n;
	}
	*whole = !kssl_message_is_open(m);
	return n;
}
