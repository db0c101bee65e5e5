// SPDX-License-Identifier: GPL-2.0
/*
 * Record headers: the only place that reads or writes their bytes and that
 * bounds their lengths.  Pure: no socket, no crypto.
 *
 *	+------+---------+---------+----------------------+
 *	| type | version | length  | body, length bytes   |
 *	| 1    | 2       | 2       |                      |
 *	+------+---------+---------+----------------------+
 */
#include "record.h"

static void read_header(const u8 *wire, struct kssl_record_header *h)
{
	h->type = wire[0];
	h->version = get_unaligned_be16(wire + 1);
	h->header_len = KSSL_HEADER_LEN;
	h->body_len = get_unaligned_be16(wire + 3);
}

/**
 * kssl_record_parse_plain() - parse a header before any key is installed
 * @wire: KSSL_HEADER_LEN octets
 * @allow_ssl2: the record may be a ClientHello in SSLv2 framing (RFC 5246 E.2),
 *	which only the first one from a client can be
 * @h: (out) the header
 *
 * The records of a TLS 1.3 handshake are already encrypted in part, so every
 * content type and the larger of the two length limits are accepted.
 *
 * Return:
 * * %0 - @h is set
 * * %-EMSGSIZE - longer than a record may be (RFC 5246 6.2.3)
 * * %-EPROTO - not a content type, or an empty record
 * * %-EPROTONOSUPPORT - not an SSL 3.0 or TLS version
 */
int kssl_record_parse_plain(const u8 *wire, bool allow_ssl2, struct kssl_record_header *h)
{
	/* msg_length with its top bit set, msg_type 1, version 3.x */
	if (allow_ssl2 && (wire[0] & 0x80) && wire[2] == 1 && wire[3] == 3) {
		h->type = KSSL_TYPE_HANDSHAKE;
		h->version = get_unaligned_be16(wire + 3);
		h->header_len = KSSL_SSL2_HEADER_LEN;
		h->body_len = get_unaligned_be16(wire) & 0x7fff;
		/* version, three lengths and a challenge of 16 at least */
		return h->body_len < 9 + 16 ? -EPROTO :
		       h->body_len > KSSL_MAX_PAYLOAD ? -EMSGSIZE : 0;
	}

	read_header(wire, h);
	if (h->type < KSSL_TYPE_CHANGE_CIPHER_SPEC || h->type > KSSL_TYPE_APPLICATION_DATA)
		return -EPROTO;
	if (h->version >> 8 != 3)
		return -EPROTONOSUPPORT;
	if (h->body_len > KSSL_MAX_PAYLOAD + KSSL_MAX_EXPANSION_12)
		return -EMSGSIZE;
	return h->body_len ? 0 : -EPROTO;
}

/*
 * Where less was agreed on than what the protocol allows, what cannot be within it is not
 * even to be decrypted (RFC 6066 4).
 */
static unsigned int longest_body(const struct kssl_epoch *e)
{
	const struct kssl_cipher *cipher = e->suite->cipher;

	if (e->max_payload == KSSL_MAX_PAYLOAD)
		return KSSL_MAX_PAYLOAD + e->ver->max_expansion;
	return e->prefix_len + e->max_payload + !!(e->ver->flags & KSSL_V_INNER_TYPE) +
	       cipher->tag_len + cipher->fmt->max_padding;
}

/* As kTLS has it: the length is looked at first, and the version octets of each version. */
static int check_any(const struct kssl_epoch *e, const struct kssl_record_header *h)
{
	if (h->body_len > longest_body(e))
		return -EMSGSIZE;
	if (!e->suite->cipher->fmt->legal_len(e, h->body_len))
		return -EBADMSG;
	return h->version == e->ver->record_wire ? 0 : -EPROTONOSUPPORT;
}

/**
 * kssl_record_parse() - parse the header of a protected record
 * @wire: KSSL_HEADER_LEN octets
 * @e: key epoch it will be opened with
 * @h: (out) the header
 *
 * Return:
 * * %0 - @h is set; the body is of a length that its format can have
 * * %-EMSGSIZE - longer than allowed (RFC 5246 6.2.3, RFC 8446 5.2, RFC 6066 4)
 * * %-EPROTO - content type not legal (RFC 8446 5.2: the outer one is 23)
 * * %-EPROTONOSUPPORT - version octets of another version
 * * %-EBADMSG - too short to have been sealed, or not whole blocks
 */
int kssl_record_parse(const u8 *wire, const struct kssl_epoch *e, struct kssl_record_header *h)
{
	const struct kssl_version *ver = e->ver;

	read_header(wire, h);
	if (e->any_type)
		return check_any(e, h);
	if (ver->flags & KSSL_V_INNER_TYPE) {
		if (h->type != KSSL_TYPE_APPLICATION_DATA)
			return -EPROTO;
	} else if (h->type < KSSL_TYPE_CHANGE_CIPHER_SPEC ||
		   h->type > KSSL_TYPE_APPLICATION_DATA) {
		return -EPROTO;
	}
	if ((ver->flags & KSSL_V_STRICT_VERSION) && h->version != ver->record_wire)
		return -EPROTONOSUPPORT;
	if (h->body_len > longest_body(e))
		return -EMSGSIZE;
	return e->suite->cipher->fmt->legal_len(e, h->body_len) ? 0 : -EBADMSG;
}

/**
 * kssl_record_build() - write a record header
 * @wire: (out) KSSL_HEADER_LEN octets
 * @type: content type
 * @version: version octets, read as a number
 * @body_len: bytes that follow
 */
void kssl_record_build(u8 *wire, u8 type, u16 version, unsigned int body_len)
{
	wire[0] = type;
	put_unaligned_be16(version, wire + 1);
	put_unaligned_be16(body_len, wire + 3);
}
