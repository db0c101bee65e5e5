// SPDX-License-Identifier: MIT
#include <openssl/hmac.h>
#include <string.h>
#include "evp.h"
#include "ref.h"

#define SSL3	0x0300
#define TLS10	0x0301
#define TLS13	0x0304

static const struct kssl_cipher *cipher_of(const struct kssl_key *key)
{
	return kssl_suite_find(key->suite, key->version)->cipher;
}

static bool is_etm(const struct kssl_key *key)
{
	return key->flags & KSSL_KEY_ETM;
}

static bool is_rc4(const struct kssl_key *key)
{
	return cipher_of(key)->hash && !cipher_of(key)->explicit_len;
}

/* RFC 5246 6.2.3.2; RFC 2246 6.2.3.2: the IV is not in the record. */
static unsigned int iv_len(const struct kssl_key *key)
{
	return key->version <= TLS10 ? 0 : cipher_of(key)->explicit_len;
}

static unsigned int length_of(const u8 *record)
{
	return record[3] << 8 | record[4];
}

static unsigned int explicit_len(const struct kssl_key *key)
{
	return key->version == TLS13 ? 0 : cipher_of(key)->hash ? iv_len(key) : cipher_of(key)->explicit_len;
}

/* RFC 8449 4, RFC 6066 4 */
static unsigned int max_payload(const struct kssl_key *key)
{
	return key->max_payload ? key->max_payload : 16384;
}

/* Longest body that may be within it. */
static unsigned int longest_body(const struct kssl_key *key)
{
	const struct kssl_cipher *cipher = cipher_of(key);

	/* RFC 8446 5.2, RFC 5246 6.2.1 */
	if (max_payload(key) == 16384)
		return 16384 + (key->version == TLS13 ? 256 : 2048);
	if (key->version == TLS13)
		return max_payload(key) + 1 + cipher->tag_len;
	return explicit_len(key) + max_payload(key) + cipher->tag_len + (cipher->hash && !is_rc4(key) ? 256 : 0);
}

int ref_header(const struct kssl_key *key, const u8 *header)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	unsigned int len = length_of(header), block = cipher->explicit_len;

	if (key->version == TLS13) {
		if (header[0] != 23)
			return -EPROTO;
		if (len > longest_body(key))
			return -EMSGSIZE;
		return len < 1 + cipher->tag_len ? -EBADMSG : 0;
	}
	/* RFC 5246 6.2.1 */
	if (header[0] != 20 && header[0] != 21 && header[0] != 22 && header[0] != 23)
		return -EPROTO;
	if (header[1] != 3 || header[2] != (key->version & 0xff))
		return -EPROTONOSUPPORT;
	if (len > longest_body(key))
		return -EMSGSIZE;
	if (!cipher->hash)
		return len < cipher->explicit_len + cipher->tag_len ? -EBADMSG : 0;
	if (is_rc4(key))
		return len < cipher->tag_len ? -EBADMSG : 0;
	/* RFC 5246 6.2.3.2, RFC 7366 3: whole blocks of IV, content, MAC and an octet of padding at least */
	if (is_etm(key)) {
		if (len < iv_len(key) + block + cipher->tag_len || (len - cipher->tag_len) % block)
			return -EBADMSG;
		return 0;
	}
	return len % block || len < iv_len(key) + cipher->tag_len + 1 ? -EBADMSG : 0;
}

static void write_number(u8 *to, unsigned int len, u64 v)
{
	while (len--) {
		to[len] = v;
		v >>= 8;
	}
}

/* RFC 5246 6.2.3.1: what is authenticated before the content. */
static void pseudo_header(u8 *to, u16 version, u64 seq, u8 type, unsigned int len)
{
	write_number(to, 8, seq);
	to[8] = type;
	write_number(to + 9, 2, version);
	write_number(to + 11, 2, len);
}

static const EVP_MD *md_of(const struct kssl_key *key)
{
	switch (cipher_of(key)->tag_len) {
	case 16:
		return EVP_md5();
	case 20:
		return EVP_sha1();
	case 32:
		return EVP_sha256();
	}
	return EVP_sha384();
}

/* RFC 6101 5.2.3.1: hash(secret, pad, hash(secret, pad, number, type, length, content)). */
static void ssl3_mac(const struct kssl_key *key, u64 seq, u8 type, const u8 *data, unsigned int len, u8 *mac)
{
	unsigned int key_len = key->mac_key_len, before = key_len + (key_len == 16 ? 48 : 40);
	static u8 message[64 + 11 + REF_MAX];

	shim_assert(len <= REF_MAX);
	memset(message, 0x36, before);
	memcpy(message, key->mac_key, key_len);
	write_number(message + before, 8, seq);
	message[before + 8] = type;
	write_number(message + before + 9, 2, len);
	memcpy(message + before + 11, data, len);
	if (!EVP_Digest(message, before + 11 + len, mac, NULL, md_of(key), NULL))
		abort();
	memset(message + key_len, 0x5c, before - key_len);
	memcpy(message + before, mac, key_len);
	if (!EVP_Digest(message, before + key_len, mac, NULL, md_of(key), NULL))
		abort();
}

static void mac_of(const struct kssl_key *key, u64 seq, u8 type, const u8 *data, unsigned int len, u8 *mac)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	const EVP_MD *md = md_of(key);
	static u8 message[13 + REF_MAX];
	unsigned int mac_len;

	if (key->version == SSL3) {
		ssl3_mac(key, seq, type, data, len, mac);
		return;
	}
	shim_assert(len <= REF_MAX);
	pseudo_header(message, key->version, seq, type, len);
	memcpy(message + 13, data, len);
	if (!HMAC(md, key->mac_key, key->mac_key_len, message, 13 + len, mac, &mac_len) || mac_len != cipher->tag_len)
		abort();
}

unsigned int ref_inner(const struct kssl_key *key, u64 seq, u8 type, const u8 *content, unsigned int len,
		       unsigned int padding, u8 *inner)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	unsigned int at = len, block = cipher->explicit_len;

	memcpy(inner, content, len);
	if (key->version == TLS13) {
		inner[at++] = type;
		memset(inner + at, 0, padding);
		return at + padding;
	}
	if (!cipher->hash)
		return at;
	if (!is_etm(key)) {
		mac_of(key, seq, type, content, len, inner + at);
		at += cipher->tag_len;
	}
	if (is_rc4(key))
		return at;
	if (key->version == SSL3) {
		/* RFC 6101 5.2.3.2: no more than a block, and anything but the last octet. */
		unsigned int least = block - at % block;

		memset(inner + at, padding, least);
		inner[at + least - 1] = least - 1;
		return at + least;
	}
	padding = block - at % block + padding / block % (256 / block) * block;
	memset(inner + at, padding - 1, padding);
	return at + padding;
}

/* RFC 5288 3, RFC 7905 2, RFC 8446 5.3 */
static void make_nonce(const struct kssl_key *key, u64 seq, const u8 *explicit, u8 *nonce)
{
	unsigned int i;
	u8 number[8];

	if (key->version != TLS13 && cipher_of(key)->explicit_len) {
		memcpy(nonce, key->iv, 4);
		memcpy(nonce + 4, explicit, 8);
		return;
	}
	write_number(number, 8, seq);
	memcpy(nonce, key->iv, 12);
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= number[i];
}

/* Additional data; @len: of the plaintext. */
static unsigned int make_aad(const struct kssl_key *key, u64 seq, u8 type, const u8 *header, unsigned int len, u8 *aad)
{
	if (key->version == TLS13) {
		memcpy(aad, header, 5);
		return 5;
	}
	pseudo_header(aad, key->version, seq, type, len);
	return 13;
}

unsigned int ref_protect(const struct kssl_key *key, u64 seq, u64 nonce, const u8 *iv, u8 type, const u8 *inner,
			 unsigned int len, u8 *record)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	unsigned int outside = !cipher->hash || is_etm(key) ? cipher->tag_len : 0;
	unsigned int body_len = explicit_len(key) + len + outside;
	u8 *body = record + 5, *sealed = body + explicit_len(key);
	u8 whole_nonce[12], aad[13];

	record[0] = key->version == TLS13 ? 23 : type;
	write_number(record + 1, 2, key->version == TLS13 ? 0x0303 : key->version);
	write_number(record + 3, 2, body_len);
	if (is_rc4(key)) {
		memcpy(sealed, inner, len);
		evp_rc4(evp_find(cipher), key->key, key->nonce, sealed, len);
	} else if (cipher->hash) {
		memcpy(body, iv, iv_len(key));
		memcpy(sealed, inner, len);
		evp_cbc(evp_find(cipher), true, key->key, iv_len(key) ? iv : key->iv, sealed, len);
		if (is_etm(key))
			mac_of(key, seq, type, body, iv_len(key) + len, sealed + len);
	} else {
		write_number(body, explicit_len(key), nonce);
		make_nonce(key, seq, body, whole_nonce);
		evp_aead(evp_find(cipher), true, key->key, whole_nonce, aad,
			 make_aad(key, seq, type, record, len, aad), inner, len, sealed, cipher->tag_len);
	}
	return 5 + body_len;
}

static int open_aead(const struct kssl_key *key, u64 seq, const u8 *record, u8 *inner)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	const u8 *body = record + 5;
	unsigned int sealed_len = length_of(record) - explicit_len(key);
	unsigned int len = sealed_len - cipher->tag_len;
	u8 nonce[12], aad[13];

	make_nonce(key, seq, body, nonce);
	if (!evp_aead(evp_find(cipher), false, key->key, nonce, aad, make_aad(key, seq, record[0], record, len, aad),
		      body + explicit_len(key), sealed_len, inner, cipher->tag_len))
		return -EBADMSG;
	return len;
}

static int open_cbc(const struct kssl_key *key, u64 seq, const u8 *record, u8 *inner)
{
	const struct kssl_cipher *cipher = cipher_of(key);
	unsigned int body_len = length_of(record), mac_len = cipher->tag_len;
	const u8 *body = record + 5;
	u8 mac[EVP_MAX_MD_SIZE];
	unsigned int len, padding, i;

	if (is_etm(key)) {
		body_len -= mac_len;
		mac_of(key, seq, record[0], body, body_len, mac);
		if (memcmp(mac, body + body_len, mac_len))
			return -EBADMSG;
	}
	len = body_len - iv_len(key);
	memcpy(inner, body + iv_len(key), len);
	evp_cbc(evp_find(cipher), false, key->key, iv_len(key) ? body : key->iv, inner, len);

	padding = inner[len - 1] + 1;
	if (padding + (is_etm(key) ? 0 : mac_len) > len)
		return -EBADMSG;
	if (key->version == SSL3 && padding > cipher->explicit_len)
		return -EBADMSG;
	for (i = 0; i < padding && key->version != SSL3; i++)
		if (inner[len - 1 - i] != padding - 1)
			return -EBADMSG;
	len -= padding;
	if (is_etm(key))
		return len;
	len -= mac_len;
	mac_of(key, seq, record[0], inner, len, mac);
	return memcmp(mac, inner + len, mac_len) ? -EBADMSG : (int)len;
}

static int open_rc4(const struct kssl_key *key, u64 seq, const u8 *record, u8 *inner)
{
	unsigned int mac_len = cipher_of(key)->tag_len, len = length_of(record) - mac_len;
	u8 mac[EVP_MAX_MD_SIZE];

	memcpy(inner, record + 5, len + mac_len);
	evp_rc4(evp_find(cipher_of(key)), key->key, key->nonce, inner, len + mac_len);
	mac_of(key, seq, record[0], inner, len, mac);
	return memcmp(mac, inner + len, mac_len) ? -EBADMSG : (int)len;
}

int ref_open(const struct kssl_key *key, u64 seq, const u8 *record, u8 *content, u8 *type)
{
	int len = is_rc4(key) ? open_rc4(key, seq, record, content) :
		  cipher_of(key)->hash ? open_cbc(key, seq, record, content) : open_aead(key, seq, record, content);

	*type = record[0];
	if (len < 0)
		return len;
	if (key->version != TLS13)
		return len > (int)max_payload(key) ? -EMSGSIZE : len;
	/* RFC 8446 5.4, RFC 8449 4: padding counts */
	if (len > (int)max_payload(key) + 1)
		return -EMSGSIZE;
	while (len && !content[len - 1])
		len--;
	if (!len)
		return -EPROTO;
	*type = content[len - 1];
	return len - 1;
}
