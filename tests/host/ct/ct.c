// SPDX-License-Identifier: MIT
/*
 * Does anything that a CBC record hides decide where kmod jumps or what memory it reads?  Run under memcheck: what was
 * decrypted and the MAC key are marked undefined, so that each such use is an error it counts, up to ct_public().
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>
#include "record.h"
#include "ref.h"

#define SEQ	0x0123456789abcdefULL

/* Hash, version, block. */
static const struct {
	const char *name;
	u16 suite;
	u16 version;
} kinds[] = {
	{ "SHA-1", 0xc013, 0x0303 },
	{ "SHA-256", 0xc027, 0x0303 },
	{ "SHA-384", 0xc028, 0x0303 },
	{ "SHA-1, TLS 1.0", 0xc013, 0x0301 },
	{ "SHA-1, blocks of 64 bits", 0x000a, 0x0302 },
	{ "SHA-1, SSL 3.0", 0x000a, 0x0300 },
	{ "MD5, SSL 3.0", 0x0006, 0x0300 },
};

/* What is wrong with a record. */
enum damage {
	NOTHING,
	MAC_FIRST,		/* a bit of the first octet of the MAC */
	MAC_LAST,
	PADDING_FIRST,		/* a bit of the first octet of padding */
	PADDING_SECOND_LAST,
	PADDING_TOO_LONG,	/* more than there is room for */
	EVERYTHING,
	DAMAGES
};

static struct {
	unsigned int records;
	unsigned int reported;	/* by memcheck */
	unsigned int wrong;	/* verdict or content */
	unsigned int uneven;	/* more or fewer compressions than another record of that length */
} seen;

static unsigned int tests, failed;
static bool few;	/* only the shortest records */

static void ok(bool good, const char *name, const char *what)
{
	tests++;
	failed += !good;
	printf("%sok %u - %s: %s\n", good ? "" : "not ", tests, name, what);
}

static struct kssl_epoch *epoch(u16 suite, u16 version, u32 flags, struct kssl_key *key)
{
	const struct kssl_suite *row = kssl_suite_find(suite, version);
	struct kssl_epoch *e;

	*key = (struct kssl_key) {
		.size = sizeof(*key), .version = version, .suite = suite, .flags = flags,
		.key_len = row->cipher->key_len, .iv_len = kssl_suite_iv_len(row),
		.mac_key_len = kssl_suite_mac_key_len(row),
	};
	kssl_legacy = true;
	memset(key->key, 0x5a, key->key_len);
	memset(key->mac_key, 0xa5, key->mac_key_len);
	e = kssl_epoch_new(key);
	if (IS_ERR(e))
		abort();
	VALGRIND_MAKE_MEM_UNDEFINED(&e->mac.inner, sizeof(e->mac.inner));
	VALGRIND_MAKE_MEM_UNDEFINED(&e->mac.outer, sizeof(e->mac.outer));
	return e;
}

/* @len octets of content, MAC and @padding of padding; false if the damage does not fit. */
static bool spoil(u8 *inner, unsigned int len, unsigned int padding, unsigned int mac_len, bool ssl3,
		  enum damage damage)
{
	unsigned int content_len = len - padding - mac_len;

	/* In SSL 3.0 only the last octet of padding means anything. */
	if (ssl3 && (damage == PADDING_SECOND_LAST || (damage == PADDING_FIRST && padding > 1)))
		return false;
	if ((damage == MAC_FIRST || damage == MAC_LAST) && !mac_len)
		return false;
	switch (damage) {
	case NOTHING:
	case DAMAGES:
		break;
	case MAC_FIRST:
		inner[content_len] ^= 1;
		break;
	case MAC_LAST:
		inner[content_len + mac_len - 1] ^= 0x80;
		break;
	case PADDING_FIRST:
		inner[len - padding] ^= 4;
		break;
	case PADDING_SECOND_LAST:
		if (padding < 2)
			return false;
		inner[len - 2] ^= 0x40;
		break;
	case PADDING_TOO_LONG:
		if (len - mac_len > 255)
			return false;
		memset(inner, len - mac_len, len);
		break;
	case EVERYTHING:
		memset(inner, 0xff, len);
		inner[len - 2] = 0;
		break;
	}
	return true;
}

/* Seals by the book, spoils, opens with kmod. Returns the compressions that took, 0 if there is no such record. */
static unsigned int try(struct kssl_epoch *e, const struct kssl_key *key, unsigned int len, unsigned int padding,
			enum damage damage)
{
	static const u8 iv[16] = { 1, 2, 3 };
	static u8 content[REF_MAX], inner[REF_MAX], record[REF_MAX], opened[REF_MAX];
	unsigned int mac_len = e->suite->cipher->tag_len, inside = e->trailer_len ? 0 : mac_len, content_len, i;
	unsigned int errors = VALGRIND_COUNT_ERRORS, blocks = e->mac.blocks;
	unsigned int prefix_len = KSSL_HEADER_LEN + e->prefix_len;
	bool ssl3 = e->ver->flags & KSSL_V_SSL3;
	struct scatterlist src[3], dst[4];
	struct kssl_record_header h;
	void *residue;
	u8 type;
	int ret;

	if (padding + inside > len || (ssl3 && padding > e->suite->cipher->explicit_len))
		return 0;
	content_len = len - padding - inside;
	for (i = 0; i < content_len; i++)
		content[i] = i * 7 + padding;
	ref_inner(key, SEQ, KSSL_TYPE_APPLICATION_DATA, content, content_len, padding - 1, inner);
	if (!spoil(inner, len, padding, inside, ssl3, damage))
		return 0;
	ref_protect(key, SEQ, 0, iv, KSSL_TYPE_APPLICATION_DATA, inner, len, record);
	if (kssl_record_parse(record, e, &h))
		abort();

	sg_init_table(src, 3);
	sg_set_buf(&src[1], record + prefix_len, 7);
	sg_set_buf(&src[2], record + prefix_len + 7, len + e->trailer_len - 7);
	sg_init_table(dst, 4);
	sg_set_buf(&dst[1], opened, 7);
	sg_set_buf(&dst[2], opened + 7, len / 2);
	sg_set_buf(&dst[3], opened + 7 + len / 2, len - 7 - len / 2);
	type = h.type;
	if (kssl_epoch_save(e, &residue))
		abort();
	ret = e->suite->cipher->fmt->open(e, SEQ, record, src, dst, h.body_len, &type);
	kssl_epoch_restore(e, residue);
	free(residue);
	blocks = e->mac.blocks - blocks;

	VALGRIND_MAKE_MEM_DEFINED(opened, len);
	if (damage == NOTHING && content_len <= KSSL_MAX_PAYLOAD)
		seen.wrong += ret != (int)content_len || memcmp(opened, content, content_len);
	else if (damage == NOTHING)
		seen.wrong += ret != -EMSGSIZE;
	else
		seen.wrong += ret != -EBADMSG;
	seen.reported += VALGRIND_COUNT_ERRORS - errors;
	seen.records++;
	return blocks;
}

static void try_length(struct kssl_epoch *e, const struct kssl_key *key, unsigned int len, unsigned int step)
{
	unsigned int padding, first = 0;
	enum damage damage;

	/* Legal ones are as long as blocks want them; all others are damage. */
	for (padding = 1; padding <= 256; padding += step) {
		for (damage = NOTHING; damage < DAMAGES; damage++) {
			unsigned int blocks = try(e, key, len, padding, damage);

			if (!first)
				first = blocks;
			seen.uneven += blocks && blocks != first;
		}
	}
}

static void test_open(const char *name, u16 suite, u16 version, u32 flags)
{
	struct kssl_key key;
	struct kssl_epoch *e = epoch(suite, version, flags, &key);
	unsigned int block = e->suite->cipher->explicit_len, least, len;

	memset(&seen, 0, sizeof(seen));
	least = e->trailer_len ? block : (e->suite->cipher->tag_len + block) / block * block;
	for (len = least; len < least + 48; len += block)
		try_length(e, &key, len, 1);
	if (few)
		goto done;
	/* Around where the content may or may not reach into the block of the hash before. */
	for (len = 256; len <= 512; len += block)
		try_length(e, &key, len, 17);
	try_length(e, &key, 1024, 1);
	try_length(e, &key, KSSL_MAX_PAYLOAD + 256, 51);
done:
	printf("# %u records\n", seen.records);
	ok(!seen.reported, name, "no jump and no address depends on a secret");
	ok(!seen.wrong && seen.records, name, "legal records are opened, others are not");
	ok(!seen.uneven, name, "as many compressions whatever the padding");
	kssl_epoch_put(e);
}

static void test_seal(const char *name, u16 suite, u16 version, u32 flags)
{
	static u8 content[512 + 64], prefix[KSSL_PREFIX_MAX];
	struct scatterlist sg[2];
	struct kssl_key key;
	struct kssl_epoch *e = epoch(suite, version, flags, &key);
	unsigned int errors = VALGRIND_COUNT_ERRORS, len;
	bool good = true;

	for (len = 0; len <= 512; len += 37) {
		VALGRIND_MAKE_MEM_UNDEFINED(content, len);
		sg_init_table(sg, 2);
		sg_set_buf(&sg[1], content, len + e->suite->cipher->fmt->suffix_len(e, len));
		if (e->suite->cipher->fmt->seal(e, SEQ, 0, KSSL_TYPE_APPLICATION_DATA, prefix, sg, len))
			good = false;
	}
	ok(good && VALGRIND_COUNT_ERRORS == errors, name, "sealing follows no secret");
	VALGRIND_MAKE_MEM_DEFINED(content, sizeof(content));
	kssl_epoch_put(e);
}

/* Parts of names choose tests, as in the other layers. */
static bool chosen(const char *name, char **parts)
{
	if (!*parts)
		return true;
	while (*parts)
		if (strstr(name, *parts++))
			return true;
	return false;
}

static void test(const char *format, unsigned int kind, u32 flags, char **parts)
{
	char name[64];

	snprintf(name, sizeof(name), "%s, %s", format, kinds[kind].name);
	if (!chosen(name, parts))
		return;
	test_open(name, kinds[kind].suite, kinds[kind].version, flags);
	test_seal(name, kinds[kind].suite, kinds[kind].version, flags);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (!RUNNING_ON_VALGRIND) {
		printf("Bail out! this sees nothing without memcheck\n");
		return 1;
	}
	setbuf(stdout, NULL);
	argv++;
	if (*argv && !strcmp(*argv, "-s")) {
		few = true;
		argv++;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		test("MAC-then-encrypt", i, 0, argv);
		if (kinds[i].version > 0x0300)
			test("encrypt-then-MAC", i, KSSL_KEY_ETM, argv);
	}
	printf("1..%u\n", tests);
	return failed != 0;
}
