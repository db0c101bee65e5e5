// SPDX-License-Identifier: GPL-2.0
/* The cipher calls alone, against published vectors. */
#include <kunit/test.h>
#include "../../kmod/crypt.c"
#include "../vectors/gcm_nist.h"
#include "../vectors/ccm_sp800_38c.h"
#include "../vectors/chacha20_rfc8439.h"
#include "../vectors/sm4_rfc8998.h"

static struct kssl_epoch *epoch(struct kunit *test, const struct kssl_aead_vector *v)
{
	struct kssl_epoch *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	const struct kssl_cipher *cipher;

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->suite = kssl_suite_find(v->suite, v->version);
	KUNIT_ASSERT_NOT_NULL(test, e->suite);
	cipher = e->suite->cipher;
	KUNIT_ASSERT_EQ(test, cipher->key_len, v->key_len);
	KUNIT_ASSERT_EQ(test, cipher->tag_len, v->tag_len);
	KUNIT_ASSERT_EQ_MSG(test, kssl_crypt_aead_setup(e, v->key), 0, "%s", v->name);
	e->nonce[0] = cipher->lead;
	memcpy(e->nonce + !!cipher->lead, v->nonce, sizeof(v->nonce));
	e->aad_len = v->aad_len;
	return e;
}

/* One call in place on additional data | data; @buf is both. */
static int run(struct kssl_epoch *e, bool encrypt, u8 *buf, unsigned int buf_len,
	       unsigned int len)
{
	struct scatterlist sg;

	sg_init_one(&sg, buf, buf_len);
	return kssl_crypt_aead(e, encrypt, &sg, &sg, len);
}

static void check_vector(struct kunit *test, const struct kssl_aead_vector *v)
{
	unsigned int sealed_len = v->plain_len + v->tag_len;
	unsigned int len = v->aad_len + sealed_len;
	struct kssl_epoch *e = epoch(test, v);
	u8 *buf = kunit_kzalloc(test, len, GFP_KERNEL);
	u8 *data = buf + v->aad_len;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	memcpy(buf, v->aad, v->aad_len);
	memcpy(data, v->plain, v->plain_len);
	KUNIT_EXPECT_EQ_MSG(test, run(e, true, buf, len, v->plain_len), 0, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(data, v->sealed, sealed_len), 0, "%s", v->name);

	memcpy(data, v->sealed, sealed_len);
	KUNIT_EXPECT_EQ_MSG(test, run(e, false, buf, len, sealed_len), 0, "%s", v->name);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(data, v->plain, v->plain_len), 0, "%s", v->name);

	memcpy(data, v->sealed, sealed_len);
	data[sealed_len - 1] ^= 1;
	KUNIT_EXPECT_EQ_MSG(test, run(e, false, buf, len, sealed_len), -EBADMSG, "%s", v->name);
	kssl_crypt_aead_teardown(e);
}

static void gcm(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gcm_nist); i++)
		check_vector(test, &gcm_nist[i]);
}

static void ccm_8(struct kunit *test)
{
	check_vector(test, &ccm_sp800_38c[0]);
}

static void chacha20_poly1305(struct kunit *test)
{
	check_vector(test, &chacha20_rfc8439[0]);
}

static void sm4(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sm4_rfc8998); i++)
		check_vector(test, &sm4_rfc8998[i]);
}

static void has(struct kunit *test)
{
	struct kssl_cipher none = { .alg = "gcm(no such cipher)" };
	unsigned int i;

	for (i = 0; i < kssl_suites_count; i++)
		KUNIT_EXPECT_EQ_MSG(test, kssl_crypt_has(kssl_suites[i].cipher), 0, "%s",
				    kssl_suites[i].cipher->alg);
	KUNIT_EXPECT_EQ(test, kssl_crypt_has(&none), -ENOPKG);
	/* no block cipher, although there is the hash */
	none.alg = "cbc(no such cipher)";
	none.hash = &kssl_sha256;
	KUNIT_EXPECT_EQ(test, kssl_crypt_has(&none), -ENOPKG);
	none.alg = "cbc(aes)";
	KUNIT_EXPECT_EQ(test, kssl_crypt_has(&none), 0);
}

static void missing_algorithm(struct kunit *test)
{
	struct kssl_cipher none = { .alg = "gcm(no such cipher)", .key_len = 16, .tag_len = 16 };
	struct kssl_suite suite = { .cipher = &none };
	struct kssl_epoch *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	u8 key[32] = {};

	KUNIT_ASSERT_NOT_NULL(test, e);
	e->suite = &suite;
	KUNIT_EXPECT_EQ(test, kssl_crypt_aead_setup(e, key), -ENOPKG);
	kssl_crypt_aead_teardown(e);

	/* a driver's own complaint, and nothing leaks on the way out */
	memset(e, 0, sizeof(*e));
	none.alg = "gcm(aes)";
	none.key_len = 17;
	e->suite = &suite;
	KUNIT_EXPECT_EQ(test, kssl_crypt_aead_setup(e, key), -EINVAL);
	kssl_crypt_aead_teardown(e);

	/* the same of block ciphers */
	memset(e, 0, sizeof(*e));
	none.alg = "cbc(no such cipher)";
	e->suite = &suite;
	KUNIT_EXPECT_EQ(test, kssl_crypt_cbc_setup(e, key), -ENOPKG);
	kssl_crypt_cbc_teardown(e);
	none.alg = "cbc(aes)";
	KUNIT_EXPECT_EQ(test, kssl_crypt_cbc_setup(e, key), -EINVAL);
	kssl_crypt_cbc_teardown(e);
}

static struct kunit_case crypt_cases[] = {
	KUNIT_CASE(gcm),
	KUNIT_CASE(ccm_8),
	KUNIT_CASE(chacha20_poly1305),
	KUNIT_CASE(sm4),
	KUNIT_CASE(has),
	KUNIT_CASE(missing_algorithm),
	{}
};

static struct kunit_suite crypt_suite = {
	.name = "kssl_crypt",
	.test_cases = crypt_cases,
};

kunit_test_suite(crypt_suite);
