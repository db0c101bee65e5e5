// SPDX-License-Identifier: MIT
/*
 * The reference against published vectors, so that it and the module cannot be wrong
 * alike; and its own modes against those of EVP.
 */
#include <stdlib.h>
#include <string.h>
#include "cipher.h"
#include "peer.h"
#include "tap.h"

#define HEX_MAX	1024

/* Octets of a string of hexadecimal digits. */
static size_t hex(const char *digits, uint8_t *to)
{
	size_t n = 0;
	char octet[3] = {};

	for (; digits[0] && digits[1]; digits += 2) {
		memcpy(octet, digits, 2);
		CHECK(n < HEX_MAX);
		to[n++] = strtoul(octet, NULL, 16);
	}
	return n;
}

struct vector {
	struct protection p;
	const char *key, *nonce, *aad, *plain, *sealed, *tag;
};

#define RFC8998_KEY	"0123456789abcdeffedcba9876543210"
#define RFC8998_NONCE	"00001234567800000000abcd"
#define RFC8998_AAD	"feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define RFC8998_PLAIN	"aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"

static const struct vector vectors[] = {
	/* RFC 8998 A.1 */
	{ { "sm4", GCM, 16, 16, NULL }, RFC8998_KEY, RFC8998_NONCE, RFC8998_AAD, RFC8998_PLAIN,
	  "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
	  "83de3541e4c2b58177e065a9bf7b62ec" },
	/* RFC 8998 A.2 */
	{ { "sm4", CCM, 16, 16, NULL }, RFC8998_KEY, RFC8998_NONCE, RFC8998_AAD, RFC8998_PLAIN,
	  "48af93501fa62adbcd414cce6034d895dda1bf8f132f042098661572e7483094fd12e518ce062c98acee28d95df4416bed31a2f04476c18bb40c84a74b97dc5b",
	  "16842d4fa186f56ab33256971fa110f4" },
	/* draft-kato-ipsec-camellia-gcm, test cases 1 and 2 */
	{ { "camellia", GCM, 16, 16, NULL }, "00000000000000000000000000000000",
	  "000000000000000000000000", "", "", "", "f5574acc3148dfcb9015200631024df9" },
	{ { "camellia", GCM, 16, 16, NULL }, "00000000000000000000000000000000",
	  "000000000000000000000000", "", "00000000000000000000000000000000",
	  "defe3e0b5c54c94b4f2a0f5a46f6210d", "f672b94d192266c7c8c8dbb427cc989a" },
	/* The GCM specification of McGrew and Viega, test case 4 */
	{ { "aes", GCM, 16, 16, NULL }, "feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	/* RFC 8439 2.8.2 */
	{ { "chacha20", CHACHA, 32, 16, NULL },
	  "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
	  "1ae10b594f09e26a7e902ecbd0600691" },
};

static void check_vector(const struct vector *x)
{
	uint8_t key[HEX_MAX], nonce[HEX_MAX], aad[HEX_MAX], plain[HEX_MAX], sealed[HEX_MAX];
	uint8_t data[HEX_MAX], tag[HEX_MAX], made[16];
	size_t aad_len = hex(x->aad, aad), len = hex(x->plain, plain);

	EQ(hex(x->key, key), x->p.key_len);
	EQ(hex(x->nonce, nonce), 12);
	EQ(hex(x->sealed, sealed), len);
	EQ(hex(x->tag, tag), x->p.tag_len);
	memcpy(data, plain, len);
	CHECK(aead(&x->p, 1, key, nonce, aad, aad_len, data, len, made));
	CHECK(!memcmp(data, sealed, len));
	CHECK(!memcmp(made, tag, x->p.tag_len));
	CHECK(aead(&x->p, 0, key, nonce, aad, aad_len, data, len, made));
	CHECK(!memcmp(data, plain, len));
	if (x->p.mode != GCM)
		return;
	CHECK(own_gcm(&x->p, 1, key, nonce, aad, aad_len, data, len, made));
	CHECK(!memcmp(data, sealed, len));
	CHECK(!memcmp(made, tag, x->p.tag_len));
}

static void vectors_of_aeads(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		check_vector(&vectors[i]);
}

/* RFC 3610 8, packet vector #1: 8 octets in the clear, a nonce of 13, a tag of 8. */
static void vector_of_ccm(void)
{
	static const struct protection p = { "aes", CCM, 16, 8, NULL };
	uint8_t key[HEX_MAX], nonce[HEX_MAX], aad[HEX_MAX], data[HEX_MAX], want[HEX_MAX], tag[16];

	hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", key);
	EQ(hex("00000003020100a0a1a2a3a4a5", nonce), 13);
	EQ(hex("0001020304050607", aad), 8);
	EQ(hex("08090a0b0c0d0e0f101112131415161718191a1b1c1d1e", data), 23);
	EQ(hex("588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0", want), 31);
	CHECK(own_ccm(&p, 1, key, nonce, 13, aad, 8, data, 23, tag));
	CHECK(!memcmp(data, want, 23));
	CHECK(!memcmp(tag, want + 23, 8));
}

/* What is here because EVP lacks it for some ciphers gives what EVP gives for others. */
static void own_modes(void)
{
	static const struct protection ps[] = {
		{ "aes", GCM, 16, 16, NULL }, { "aes", GCM, 32, 16, NULL },
		{ "aria", GCM, 16, 16, NULL }, { "aes", CCM, 16, 16, NULL },
		{ "aes", CCM, 16, 8, NULL }, { "aes", CCM, 32, 8, NULL },
	};
	static const size_t lens[] = { 0, 1, 15, 16, 17, 31, 32, 1000, 16385 };
	uint8_t key[32], nonce[12], aad[13], tag[16], own_tag[16];
	static uint8_t data[16385], own[16385];
	unsigned int i, j;

	for (i = 0; i < sizeof(ps) / sizeof(ps[0]); i++)
		for (j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
			const struct protection *p = &ps[i];
			size_t len = lens[j];

			pattern(key, i, sizeof(key));
			pattern(nonce, i + 100, sizeof(nonce));
			pattern(aad, i + 200, sizeof(aad));
			pattern(data, j, len);
			memcpy(own, data, len);
			CHECK(aead(p, 1, key, nonce, aad, sizeof(aad), data, len, tag));
			if (p->mode == GCM)
				CHECK(own_gcm(p, 1, key, nonce, aad, sizeof(aad), own, len, own_tag));
			else
				CHECK(own_ccm(p, 1, key, nonce, 12, aad, sizeof(aad), own, len,
					      own_tag));
			CHECK(!memcmp(own, data, len));
			CHECK(!memcmp(own_tag, tag, p->tag_len));
			if (p->mode == GCM)
				CHECK(own_gcm(p, 0, key, nonce, aad, sizeof(aad), own, len, tag));
			else
				CHECK(own_ccm(p, 0, key, nonce, 12, aad, sizeof(aad), own, len, tag));
			check_pattern(own, j, len);
			tag[3] ^= 1;
			CHECK(!aead(p, 0, key, nonce, aad, sizeof(aad), data, len, tag));
		}
}

/* RFC 4231 4.3, RFC 2202 3: HMAC is EVP's, but which hash it is given is not. */
static void vectors_of_hmac(void)
{
	static const struct {
		struct protection p;
		const char *mac;
	} macs[] = {
		/* key of 0x0b, "Hi There"; zeros behind it change nothing (RFC 2104 2) */
		{ { "aes", CBC, 16, 20, "SHA1" }, "b617318655057264e28bc0b6fb378c8ef146be00" },
		{ { "aes", CBC, 16, 32, "SHA256" },
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ { "aes", CBC, 32, 48, "SHA384" },
		  "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6" },
	};
	uint8_t key[48] = {}, want[HEX_MAX], mac[64];
	unsigned int i;

	memset(key, 0x0b, 20);
	for (i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		EQ(hex(macs[i].mac, want), macs[i].p.tag_len);
		hmac(&macs[i].p, key, (const uint8_t *)"Hi There", 8, mac);
		CHECK(!memcmp(mac, want, macs[i].p.tag_len));
	}
}

/* RFC 8448 3: the client's application data. */
static void vector_of_tls13(void)
{
	uint8_t want[HEX_MAX], record[RECORD_MAX], content[RECORD_MAX], type;
	struct keys k = {
		.suite = { .suite = 0x1301, .version = 0x0304, .key_len = 16, .iv_len = 12 },
	};
	size_t len;
	int i;

	hex("17422dda596ed5d9acd890e3c63f5051", k.key);
	hex("5b78923dee08579033e523d9", k.iv);
	len = hex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
		  want);
	for (i = 0; i < 50; i++)
		content[i] = i;
	EQ(seal(&k, DATA, content, 50, record), len);
	CHECK(!memcmp(record, want, len));
	k.seq = 0;
	EQ(open_record(&k, want, len, &type, record), 50);
	EQ(type, DATA);
	CHECK(!memcmp(record, content, 50));
}

static const struct test tests[] = {
	{ "vectors_of_aeads", ONCE, vectors_of_aeads },
	{ "vector_of_ccm", ONCE, vector_of_ccm },
	{ "own_modes", ONCE, own_modes },
	{ "vectors_of_hmac", ONCE, vectors_of_hmac },
	{ "vector_of_tls13", ONCE, vector_of_tls13 },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
