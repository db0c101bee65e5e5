// SPDX-License-Identifier: GPL-2.0
#include <linux/slab.h>
#include "fixture.h"

static void drop_epoch(struct kunit_resource *res)
{
	kssl_epoch_put(res->data);
}

/* The epoch goes away with the test, failed or not. */
struct kssl_epoch *own_epoch(struct kunit *test, const struct kssl_key *key)
{
	struct kssl_epoch *e = kssl_epoch_new(key);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(e), "%04x: %ld", key->suite, PTR_ERR(e));
	KUNIT_ASSERT_NOT_NULL(test, kunit_alloc_resource(test, NULL, drop_epoch, GFP_KERNEL, e));
	return e;
}

struct kssl_epoch *epoch_of_vector(struct kunit *test, const struct kssl_record_vector *v)
{
	struct kssl_key key = {
		.size = sizeof(key),
		.version = v->version,
		.suite = v->suite,
		.flags = v->etm ? KSSL_KEY_ETM : 0,
		.key_len = v->key_len,
		.iv_len = v->iv_len,
		.mac_key_len = v->mac_key_len,
	};

	memcpy(key.key, v->key, v->key_len);
	memcpy(key.iv, v->iv, v->iv_len);
	memcpy(key.mac_key, v->mac_key, v->mac_key_len);
	return own_epoch(test, &key);
}

struct kssl_epoch *epoch_of_suite(struct kunit *test, u16 suite, u16 version, u32 flags)
{
	const struct kssl_suite *s = kssl_suite_find(suite, version);
	struct kssl_key key = {
		.size = sizeof(key),
		.version = version,
		.suite = suite,
		.flags = flags,
	};

	KUNIT_ASSERT_NOT_NULL(test, s);
	key.key_len = s->cipher->key_len;
	key.iv_len = kssl_suite_iv_len(s);
	key.mac_key_len = kssl_suite_mac_key_len(s);
	memset(key.key, FIXTURE_KEY, key.key_len);
	memset(key.iv, FIXTURE_IV, key.iv_len);
	memset(key.mac_key, FIXTURE_MAC_KEY, key.mac_key_len);
	return own_epoch(test, &key);
}

/* Is it the first row of its cipher and version?  The others seal alike. */
bool first_with_cipher(const struct kssl_suite *suite)
{
	const struct kssl_suite *s = kssl_suites;

	while (s->cipher != suite->cipher || s->version != suite->version)
		s++;
	return s == suite;
}

u8 *buffer(struct kunit *test, unsigned int len)
{
	u8 *buf = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return buf;
}

void fill_bytes(u8 *buf, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		buf[i] = i * 7 + (i >> 8);
}

/* Entry 0 free, then @buf in segments of @step bytes; 0: one segment. */
struct scatterlist *scatter(struct kunit *test, u8 *buf, unsigned int len, unsigned int step)
{
	unsigned int n = step ? DIV_ROUND_UP(len, step) : !!len;
	struct scatterlist *sg = kunit_kcalloc(test, n + 1, sizeof(*sg), GFP_KERNEL);
	unsigned int i, at;

	KUNIT_ASSERT_NOT_NULL(test, sg);
	sg_init_table(sg, n + 1);
	for (i = 1, at = 0; i <= n; i++) {
		unsigned int part = step ? min(step, len - at) : len;

		sg_set_buf(&sg[i], buf + at, part);
		at += part;
	}
	return sg;
}

/* Seal @content into @record, header first; returns the length or an error. */
int seal(struct kunit *test, struct kssl_epoch *e, u64 seq, u64 nonce, u8 type,
	 const u8 *content, unsigned int len, u8 *record, unsigned int step)
{
	const struct kssl_fmt *fmt = e->suite->cipher->fmt;
	unsigned int prefix_len = KSSL_HEADER_LEN + e->prefix_len;
	unsigned int suffix_len = fmt->suffix_len(e, len);
	struct scatterlist *sg = scatter(test, record + prefix_len, len + suffix_len, step);
	int ret;

	if (len)
		memcpy(record + prefix_len, content, len);
	ret = fmt->seal(e, seq, nonce, type, record, sg, len);
	kunit_kfree(test, sg);
	return ret ?: prefix_len + len + suffix_len;
}

/*
 * Parse the header and open what it says, all of it inside @record; the content
 * ends up behind the prefix, or in @out.
 */
int open_at(struct kunit *test, struct kssl_epoch *e, u64 seq, u8 *record, u8 *out,
	    unsigned int src_step, unsigned int dst_step, u8 *type)
{
	unsigned int prefix_len = KSSL_HEADER_LEN + e->prefix_len;
	struct scatterlist *src, *dst;
	struct kssl_record_header h;
	unsigned int len;
	int ret;

	ret = kssl_record_parse(record, e, &h);
	if (ret)
		return ret;
	len = h.body_len - e->prefix_len;
	src = scatter(test, record + prefix_len, len, src_step);
	/* what is not decrypted has no place in @out */
	dst = out ? scatter(test, out, len - e->trailer_len, dst_step) : src;
	*type = h.type;
	ret = e->suite->cipher->fmt->open(e, seq, record, src, dst, h.body_len, type);
	if (out)
		kunit_kfree(test, dst);
	kunit_kfree(test, src);
	return ret;
}

int open_in_place(struct kunit *test, struct kssl_epoch *e, u64 seq, u8 *record, u8 *type)
{
	return open_at(test, e, seq, record, NULL, 0, 0, type);
}
