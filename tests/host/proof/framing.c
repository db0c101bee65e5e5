// SPDX-License-Identifier: MIT
/* Record headers, of whatever octets, under every row of the tables. */
#include "prove.h"
#include "record.c"
#include "suite.c"

static bool any_legal_len(const struct kssl_epoch *e, unsigned int body_len)
{
	return any(0, 1);
}

const struct kssl_fmt kssl_fmt_aead = { .legal_len = any_legal_len };
const struct kssl_fmt kssl_fmt_cbc = { .legal_len = any_legal_len };
const struct kssl_fmt kssl_fmt_stream = { .legal_len = any_legal_len };
const struct kssl_hash kssl_md5, kssl_sha1, kssl_sha256, kssl_sha384;

static void check_plain(void)
{
	u8 wire[KSSL_HEADER_LEN];
	struct kssl_record_header h;
	int ret;

	any_octets(wire, sizeof(wire));
	ret = kssl_record_parse_plain(wire, any(0, 1), &h);
	prove(ret == 0 || ret == -EMSGSIZE || ret == -EPROTO || ret == -EPROTONOSUPPORT);
	if (ret)
		return;
	prove(h.body_len >= 1 && h.body_len <= KSSL_MAX_PAYLOAD + KSSL_MAX_EXPANSION_12);
	prove(h.header_len == KSSL_HEADER_LEN || h.header_len == KSSL_SSL2_HEADER_LEN);
	prove(h.type >= KSSL_TYPE_CHANGE_CIPHER_SPEC && h.type <= KSSL_TYPE_APPLICATION_DATA);
}

int main(void)
{
	u8 wire[KSSL_HEADER_LEN];
	struct kssl_record_header h;
	struct kssl_epoch e;
	unsigned int i;
	int ret;

	check_plain();
	for (i = 0; i < kssl_suites_count; i++) {
		e.suite = &kssl_suites[i];
		e.ver = kssl_version_find(e.suite->version);
		prove(e.ver != NULL);
		e.max_payload = any(KSSL_PAYLOAD_MIN, KSSL_MAX_PAYLOAD);
		e.prefix_len = any(0, 16);
		e.any_type = any(0, 1);
		any_octets(wire, sizeof(wire));
		ret = kssl_record_parse(wire, &e, &h);
		prove(ret == 0 || ret == -EMSGSIZE || ret == -EPROTO || ret == -EPROTONOSUPPORT || ret == -EBADMSG);
		prove(h.header_len == KSSL_HEADER_LEN);
		if (ret)
			continue;
		prove(h.body_len <= KSSL_MAX_PAYLOAD + e.ver->max_expansion);
		prove(e.any_type || (h.type >= KSSL_TYPE_CHANGE_CIPHER_SPEC && h.type <= KSSL_TYPE_APPLICATION_DATA));
		kssl_record_build(wire, h.type, h.version, h.body_len);
	}
	return 0;
}
