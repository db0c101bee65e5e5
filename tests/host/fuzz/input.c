// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "input.h"
#include "ref.h"

void must_failed(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
	abort();
}

void input_bytes(struct input *in, void *to, size_t len)
{
	size_t n = min(len, in->len);

	memset(to, 0, len);
	if (!n)
		return;
	memcpy(to, in->data, n);
	in->data += n;
	in->len -= n;
}

u64 input_number(struct input *in, unsigned int len)
{
	u64 v = 0;
	u8 octet;

	while (len--) {
		input_bytes(in, &octet, 1);
		v = v << 8 | octet;
	}
	return v;
}

/* By its numbers, so that seeds stay good when the table grows; other numbers are some row too. */
static const struct kssl_suite *input_suite(struct input *in)
{
	u16 id = input_number(in, 2), version = input_number(in, 2);
	const struct kssl_suite *suite = kssl_suite_find(id, version);

	return suite ? suite : &kssl_suites[(id ^ version) % kssl_suites_count];
}

struct kssl_epoch *input_epoch(struct input *in, struct kssl_key *key)
{
	const struct kssl_suite *suite = input_suite(in);
	struct kssl_epoch *e;
	unsigned int how;

	memset(key, 0, sizeof(*key));
	key->size = sizeof(*key);
	key->suite = suite->id;
	key->version = suite->version;
	how = input_number(in, 1);
	if (how & 1 && suite->cipher->fmt == &kssl_fmt_cbc && suite->version > 0x0300)
		key->flags |= KSSL_KEY_ETM;
	if (how & 2)
		key->max_payload = KSSL_PAYLOAD_MIN << (how >> 2) % 9;
	key->key_len = suite->cipher->key_len;
	key->iv_len = kssl_suite_iv_len(suite);
	key->mac_key_len = kssl_suite_mac_key_len(suite);
	input_bytes(in, key->key, key->key_len);
	input_bytes(in, key->iv, key->iv_len);
	input_bytes(in, key->mac_key, key->mac_key_len);
	if (suite->cipher->fmt == &kssl_fmt_stream)
		key->nonce = key->key[0] * 3;
	kssl_legacy = true;
	e = kssl_epoch_new(key);
	if (PTR_ERR_OR_ZERO(e) == -ENOPKG)
		return NULL;
	must(!IS_ERR(e));
	return e;
}

unsigned int input_content(struct input *in, u8 *to, unsigned int max)
{
	unsigned int len = input_number(in, 2) % (max + 1), i;
	u32 seed = input_number(in, 1);
	bool all_alike = seed & 1;

	for (i = 0; i < len; i++) {
		to[i] = seed >> (all_alike ? 1 : 24);
		if (!all_alike)
			seed = seed * 1664525 + 1013904223;
	}
	return len;
}

void pieces_make(struct pieces *p, struct input *in, unsigned int len)
{
	unsigned int left = len;

	memset(p, 0, sizeof(*p));
	p->len = len;
	sg_init_table(p->sg, ARRAY_SIZE(p->sg));
	while (left) {
		unsigned int wish = input_number(in, 1);
		unsigned int n = wish < 192 ? wish : (wish - 191) * 100;

		if (!n || n > left || p->count == PIECES_MAX - 1)
			n = left;
		p->mem[p->count] = malloc(n);
		must(p->mem[p->count]);
		sg_set_buf(&p->sg[1 + p->count], p->mem[p->count], n);
		p->count++;
		left -= n;
	}
	p->sg[ARRAY_SIZE(p->sg) - 1].last = false;
	p->sg[p->count].last = true;
}

void pieces_write(struct pieces *p, unsigned int at, const u8 *from, unsigned int len)
{
	scatterwalk_map_and_copy((u8 *)from, p->sg + 1, at, len, 1);
}

void pieces_read(struct pieces *p, unsigned int at, u8 *to, unsigned int len)
{
	scatterwalk_map_and_copy(to, p->sg + 1, at, len, 0);
}

void pieces_free(struct pieces *p)
{
	unsigned int i;

	for (i = 0; i < p->count; i++)
		free(p->mem[i]);
}

int open_record(struct kssl_epoch *e, u64 seq, const u8 *record, struct input *in, u8 *content, u8 *type)
{
	struct kssl_record_header h;
	struct pieces src, dst;
	u8 prefix[KSSL_PREFIX_MAX];
	int ret = kssl_record_parse(record, e, &h);

	*type = h.type;
	if (ret)
		return ret;
	memcpy(prefix, record, h.header_len + e->prefix_len);
	pieces_make(&src, in, h.body_len - e->prefix_len);
	pieces_write(&src, 0, record + h.header_len + e->prefix_len, src.len);
	/* The room that rx.c gives. */
	pieces_make(&dst, in, src.len - e->trailer_len);
	ret = e->suite->cipher->fmt->open(e, seq, prefix, src.sg, dst.sg, h.body_len, type);
	if (ret > 0) {
		must(ret <= (int)dst.len);
		pieces_read(&dst, 0, content, ret);
	}
	pieces_free(&src);
	pieces_free(&dst);
	return ret;
}

int open_both(const struct kssl_key *key, struct kssl_epoch *e, u64 seq, const u8 *record, unsigned int len,
	      struct input *in)
{
	static u8 ours[REF_MAX], wanted[REF_MAX];
	u8 type, wanted_type;
	u32 blocks;
	int ret, again, wanted_ret = ref_header(key, record);
	void *residue;

	/* rx.c waits until a record is whole. */
	if (len < 5u + (record[3] << 8 | record[4]))
		return -EAGAIN;
	if (!wanted_ret)
		wanted_ret = ref_open(key, seq, record, wanted, &wanted_type);
	must(!kssl_epoch_save(e, &residue));
	blocks = e->mac.blocks;
	ret = open_record(e, seq, record, in, ours, &type);
	blocks = e->mac.blocks - blocks;
	if (ret != wanted_ret)
		fprintf(stderr, "kmod: %d, reference: %d\n", ret, wanted_ret);
	must(ret == wanted_ret);
	if (ret >= 0) {
		must(type == wanted_type);
		must(!memcmp(ours, wanted, ret));
	}

	/* What is not good leaves nothing to the next record. */
	if (ret < 0 && ret != -EMSGSIZE && residue)
		must(!memcmp(residue, e->residue, e->residue_len));
	/* Once more, from other pieces: nothing else is left in the epoch, and the work is the same. */
	kssl_epoch_restore(e, residue);
	again = e->mac.blocks;
	must(open_record(e, seq, record, in, ours, &type) == ret);
	must(e->mac.blocks - again == blocks);
	kssl_epoch_restore(e, residue);
	free(residue);
	return ret;
}
