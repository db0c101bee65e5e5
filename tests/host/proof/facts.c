// SPDX-License-Identifier: MIT
/*
 * What the constant-time parts compute, said the plain way.  facts.py runs each of these with nothing known of its
 * arguments, and asks a solver for ones that make it false.
 */
#include "record.h"
#include "mac.c"
#include "fmt_cbc.c"

void assume(bool fact);

/* ct.h: "both below 2^31" */
bool fact_compare(u32 a, u32 b)
{
	assume(a < 0x80000000 && b < 0x80000000);
	return (ct_lt(a, b) == (a < b ? ~0U : 0)) & (ct_eq(a, b) == (a == b ? ~0U : 0));
}

bool fact_select(u32 a, u32 b)
{
	return (ct_select(~0U, a, b) == a) & (ct_select(0, a, b) == b);
}

bool fact_same(const u8 *a, const u8 *b)
{
	u32 differ = 0, i;

	for (i = 0; i < KSSL_DIGEST_MAX; i++)
		differ |= a[i] != b[i];
	return same(a, b, KSSL_DIGEST_MAX) == (differ ? 0 : ~0U);
}

/* The padding of RFC 5246 6.2.3.2: all of it the same octet, and no more than there is room for. */
static bool padding_is_right(const u8 *data, unsigned int len, unsigned int room)
{
	u32 wanted = data[len - 1], illegal = wanted >= room, padding, good, i;

	for (i = 0; i < len && i < 256; i++)
		illegal |= (i <= wanted) & (data[len - 1 - i] != wanted);
	good = check_padding(data, len, room, &padding);
	return (good == (illegal ? 0 : ~0U)) & (padding == (illegal ? 1 : wanted + 1));
}

bool fact_padding_short(const u8 *data)
{
	return padding_is_right(data, 32, 12) & padding_is_right(data, 16, 16);
}

bool fact_padding_long(const u8 *data)
{
	return padding_is_right(data, 320, 288);
}

/* Wherever the MAC begins, it is what is taken; in as many places as turn the ring once around. */
static bool mac_is_right(const u8 *data, unsigned int from, unsigned int len, u32 at, unsigned int mac_len)
{
	u8 mac[KSSL_DIGEST_MAX];
	u32 differs = 0, i, a;

	assume(at >= from && at <= len - mac_len);
	take_mac(data, from, len, at, mac, mac_len);
	for (a = from; a <= len - mac_len; a++)
		for (i = 0; i < mac_len; i++)
			differs |= (mac[i] ^ data[a + i]) & -(u32)(a == at);
	return !differs;
}

bool fact_take_sha1(const u8 *data, u32 at)
{
	return mac_is_right(data, 3, 3 + 2 * 20, at, 20);
}

bool fact_take_sha256(const u8 *data, u32 at)
{
	return mac_is_right(data, 0, 2 * 32, at, 32);
}

bool fact_take_sha384(const u8 *data, u32 at)
{
	return mac_is_right(data, 1, 1 + 2 * 48, at, 48);
}

/* The end of a hashed message, FIPS 180-4 5.1: content, 0x80, zeros. */
bool fact_padded_octets(const u8 *head, const u8 *tail, u32 len)
{
	u32 wrong = 0, pos, i;

	assume(len <= 200);
	for (pos = 0; pos < 256; pos += 8) {
		u64 octets = padded(octets_at(head, 13, tail, 187, pos), pos, len);

		for (i = pos; i < pos + 8; i++, octets >>= 8) {
			u8 inside = i < 13 ? head[i] : i < 200 ? tail[i - 13] : 0;

			inside &= -(i < len);
			wrong |= (u8)octets ^ (inside | (i == len) << 7);
		}
	}
	return !wrong;
}
