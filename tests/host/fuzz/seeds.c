// SPDX-License-Identifier: MIT
/*
 * Writes the seeds of the fuzzers: seeds DIR.  For raw.c the records of the vectors, which are opened as they are; for
 * the others a few inputs for each kind of protection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "evp.h"
#include "record.h"
#include "ref.h"
#include "../../vectors/vector.h"
#include "../../vectors/aead_openssl.h"
#include "../../vectors/camellia_gnutls.h"
#include "../../vectors/cbc_openssl.h"
#include "../../vectors/gcm_openssl.h"
#include "../../vectors/tls13_rfc8448.h"

static const char *dir;
static unsigned int written, opened;

static void put_number(FILE *f, unsigned int len, u64 v)
{
	while (len--)
		fputc(v >> 8 * len, f);
}

static void put_octets(FILE *f, unsigned int len, u8 octet)
{
	while (len--)
		fputc(octet, f);
}

static FILE *begin(const char *fuzzer)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, fuzzer);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%03u", dir, fuzzer, written++);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static void end(FILE *f)
{
	if (fclose(f)) {
		perror("seeds");
		exit(1);
	}
}

/* The reference opens the vectors too, or it is none. */
static void check_reference(const struct kssl_record_vector *v)
{
	struct kssl_key key = {
		.version = v->version, .suite = v->suite, .flags = v->etm ? KSSL_KEY_ETM : 0,
		.key_len = v->key_len, .iv_len = v->iv_len, .mac_key_len = v->mac_key_len,
	};
	static u8 content[REF_MAX];
	u8 type;

	memcpy(key.key, v->key, v->key_len);
	memcpy(key.iv, v->iv, v->iv_len);
	memcpy(key.mac_key, v->mac_key, v->mac_key_len);
	if (ref_header(&key, v->record) ||
	    ref_open(&key, v->seq, v->record, content, &type) != (int)v->content_len ||
	    type != v->type || memcmp(content, v->content, v->content_len)) {
		fprintf(stderr, "seeds: the reference does not open %s\n", v->name);
		exit(1);
	}
	opened++;
}

static void raw(const struct kssl_record_vector *v)
{
	const struct kssl_suite *suite = kssl_suite_find(v->suite, v->version);
	FILE *f = begin("raw");

	if (!suite) {
		fprintf(stderr, "seeds: no such suite: %s\n", v->name);
		exit(1);
	}
	if (evp_find(suite->cipher))
		check_reference(v);
	put_number(f, 2, v->suite);
	put_number(f, 2, v->version);
	put_number(f, 1, v->etm);
	fwrite(v->key, 1, v->key_len, f);
	fwrite(v->iv, 1, v->iv_len, f);
	fwrite(v->mac_key, 1, v->mac_key_len, f);
	put_number(f, 8, v->seq);
	put_octets(f, 8, 21);	/* pieces */
	fwrite(v->record, 1, v->record_len, f);
	end(f);
}

static void put_key(FILE *f, const struct kssl_suite *suite, bool etm)
{
	put_number(f, 2, suite->id);
	put_number(f, 2, suite->version);
	put_number(f, 1, etm);
	put_octets(f, suite->cipher->key_len + kssl_suite_iv_len(suite) + kssl_suite_mac_key_len(suite), 0x5a);
}

static void others(const struct kssl_suite *suite, bool etm)
{
	static const u16 lens[] = { 0, 1, 300, KSSL_MAX_PAYLOAD };
	unsigned int i;
	FILE *f;

	f = begin("frame");
	put_number(f, 1, 1);
	put_number(f, 1, KSSL_TYPE_APPLICATION_DATA);
	put_number(f, 2, suite->version > 0x0303 ? 0x0303 : suite->version);
	put_number(f, 2, 64 + suite->cipher->tag_len);
	put_key(f, suite, etm);
	end(f);

	f = begin("batch");
	put_number(f, 1, 0);
	put_number(f, 2, KSSL_OP_HOLD << 8);
	for (i = 0; i < 2; i++) {
		put_number(f, 2, (i ? KSSL_OP_RX_KEY : KSSL_OP_TX_KEY) << 8);
		put_number(f, 2, suite->id);
		put_number(f, 2, suite->version);
		put_number(f, 2, 0);
	}
	put_number(f, 2, KSSL_OP_RECORD << 8 | 2);
	put_number(f, 2, 40);
	put_number(f, 2, KSSL_OP_RELEASE << 8);
	end(f);

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		f = begin("roundtrip");
		put_key(f, suite, etm);
		put_number(f, 8, 7);
		put_number(f, 8, 9);
		put_number(f, 1, 3);
		put_number(f, 2, lens[i]);
		put_number(f, 1, 0x42);
		put_octets(f, 20, 200);
		end(f);

		f = begin("forged");
		put_key(f, suite, etm);
		put_number(f, 8, 7);
		put_number(f, 8, 9);
		put_octets(f, 16, 0x11);
		put_number(f, 1, KSSL_TYPE_APPLICATION_DATA);
		put_number(f, 2, lens[i]);
		put_number(f, 1, 0x42);
		put_number(f, 2, 32 * i);
		/* Damage inside and outside, length, number, type; then pieces. */
		put_number(f, 1, i == 2);
		if (i == 2)
			put_number(f, 3, 0x000108);
		put_number(f, 1, 0);
		put_number(f, 3, 0);
		put_octets(f, 20, 200);
		end(f);
	}
}

/* A ticket, a KeyUpdate, empty ones and a long one, in records of @step octets or so. */
static void messages(unsigned int step)
{
	static const unsigned int lens[] = { 30, 1, 0, 0, 500, 3 };
	unsigned int i;
	FILE *f = begin("message");

	put_number(f, 1, step);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		put_number(f, 1, i == 1 ? KSSL_HANDSHAKE_KEY_UPDATE : KSSL_HANDSHAKE_TICKET);
		fputc(lens[i] >> 16, f);
		fputc(lens[i] >> 8, f);
		fputc(lens[i], f);
		put_octets(f, lens[i], i);
	}
	end(f);
}

/* The others of its cipher and version are alike. */
static bool is_first(const struct kssl_suite *suite)
{
	const struct kssl_suite *s = kssl_suites;

	while (s->cipher != suite->cipher || s->version != suite->version)
		s++;
	return s == suite;
}

#define EACH(array, call) \
	for (i = 0; i < ARRAY_SIZE(array); i++) \
		call(&(array)[i])

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIR\n");
		return 2;
	}
	dir = argv[1];
	mkdir(dir, 0777);
	for (i = 0; i < 256; i = 2 * i + 1)
		messages(i);
	EACH(aead_openssl, raw);
	EACH(camellia_gnutls, raw);
	EACH(cbc_openssl, raw);
	EACH(gcm_openssl, raw);
	EACH(tls13_rfc8448, raw);
	for (i = 0; i < kssl_suites_count; i++) {
		if (!is_first(&kssl_suites[i]))
			continue;
		others(&kssl_suites[i], false);
		if (kssl_suites[i].cipher->hash)
			others(&kssl_suites[i], true);
	}
	printf("# %u seeds; the reference opens %u vectors\n", written, opened);
	return !opened;
}
