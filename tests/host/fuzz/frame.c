// SPDX-License-Identifier: MIT
/* Headers: what kmod says of five octets is what the RFCs say. */
#include "input.h"
#include "ref.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

/* RFC 5246 6.2.1, 6.2.3, E.2 */
static int plain(const u8 *w, bool allow_ssl2, struct kssl_record_header *h)
{
	*h = (struct kssl_record_header) {
		.type = w[0], .version = w[1] << 8 | w[2], .header_len = 5, .body_len = w[3] << 8 | w[4],
	};
	if (allow_ssl2 && w[0] >= 0x80 && w[2] == 1 && w[3] == 3) {
		*h = (struct kssl_record_header) {
			.type = 22, .version = 3 << 8 | w[4], .header_len = 2, .body_len = (w[0] - 0x80) << 8 | w[1],
		};
		return h->body_len < 25 ? -EPROTO : h->body_len > 16384 ? -EMSGSIZE : 0;
	}
	if (w[0] < 20 || w[0] > 23)
		return -EPROTO;
	if (w[1] != 3)
		return -EPROTONOSUPPORT;
	return h->body_len > 18432 ? -EMSGSIZE : h->body_len == 0 ? -EPROTO : 0;
}

static void must_be(const struct kssl_record_header *h, const struct kssl_record_header *wanted)
{
	must(h->type == wanted->type);
	must(h->version == wanted->version);
	must(h->header_len == wanted->header_len);
	must(h->body_len == wanted->body_len);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct input in = { data, len };
	bool allow_ssl2 = input_number(&in, 1) & 1;
	u8 *wire = malloc(KSSL_HEADER_LEN), built[KSSL_HEADER_LEN];
	struct kssl_record_header h, wanted;
	struct kssl_epoch *e;
	struct kssl_key key;
	int ret;

	input_bytes(&in, wire, KSSL_HEADER_LEN);
	ret = kssl_record_parse_plain(wire, allow_ssl2, &h);
	must(ret == plain(wire, allow_ssl2, &wanted));
	if (!ret)
		must_be(&h, &wanted);

	e = input_epoch(&in, &key);
	if (e) {
		ret = kssl_record_parse(wire, e, &h);
		must(ret == ref_header(&key, wire));
		plain(wire, false, &wanted);
		must_be(&h, &wanted);
		kssl_record_build(built, h.type, h.version, h.body_len);
		must(!memcmp(built, wire, KSSL_HEADER_LEN));
		kssl_epoch_put(e);
	}
	free(wire);
	return 0;
}
