// SPDX-License-Identifier: MIT
/* What kmod seals, both kmod and the reference open, from and to whatever pieces of memory. */
#include "input.h"
#include "ref.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static u8 content[KSSL_MAX_PAYLOAD], opened[REF_MAX], record[REF_MAX];
	struct input in = { data, len };
	unsigned int content_len, prefix_len, suffix_len, record_len, pad_to, inner_len;
	struct kssl_record_header h;
	struct kssl_epoch *e;
	struct kssl_key key;
	struct pieces p;
	void *residue;
	u64 seq, nonce;
	u8 type, got;

	e = input_epoch(&in, &key);
	if (!e)
		return -1;
	seq = input_number(&in, 8);
	nonce = input_number(&in, 8);
	type = KSSL_TYPE_CHANGE_CIPHER_SPEC + input_number(&in, 1) % 4;
	content_len = input_content(&in, content, e->max_payload);
	pad_to = input_number(&in, 1) * 65;
	kssl_epoch_set_padding(e, pad_to);

	prefix_len = KSSL_HEADER_LEN + e->prefix_len;
	suffix_len = e->suite->cipher->fmt->suffix_len(e, content_len);
	record_len = prefix_len + content_len + suffix_len;
	pieces_make(&p, &in, content_len + suffix_len);
	pieces_write(&p, 0, content, content_len);
	must(!kssl_epoch_save(e, &residue));
	must(!e->suite->cipher->fmt->seal(e, seq, nonce, type, record, p.sg, content_len));
	pieces_read(&p, 0, record + prefix_len, p.len);
	pieces_free(&p);
	kssl_epoch_restore(e, residue);
	free(residue);

	must(!kssl_record_parse(record, e, &h));
	must(h.header_len + h.body_len == (int)record_len);
	inner_len = h.body_len - e->suite->cipher->tag_len;
	if (key.version == 0x0304 && pad_to)
		must(inner_len % pad_to == 0 || inner_len == e->max_payload + 1u);
	else if (key.version == 0x0304)
		must(inner_len == content_len + 1);
	must(open_both(&key, e, seq, record, record_len, &in) == (int)content_len);
	must(ref_open(&key, seq, record, opened, &got) == (int)content_len);
	must(got == type && !memcmp(opened, content, content_len));
	/* Its number is part of what is authentic. */
	must(open_both(&key, e, seq ^ 1, record, record_len, &in) == -EBADMSG);
	kssl_epoch_put(e);
	return 0;
}
