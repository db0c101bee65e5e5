/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records, suites and keys: what knows no socket, and is tested in user space too.
 */
#ifndef _KSSL_RECORD_H
#define _KSSL_RECORD_H

#include <linux/refcount.h>
#include <linux/scatterlist.h>
#include <uapi/linux/kssl.h>

/* Record layer numbers; each is checked where it is used. */
#define KSSL_HEADER_LEN		5			/* RFC 8446 5.1, RFC 5246 6.2.1 */
#define KSSL_SSL2_HEADER_LEN	2			/* RFC 5246 E.2 */
#define KSSL_MAX_EXPANSION_12	2048			/* RFC 5246 6.2.3 */
#define KSSL_MAX_EXPANSION_13	256			/* RFC 8446 5.2 */
#define KSSL_RECORD_MAX		(KSSL_HEADER_LEN + KSSL_MAX_PAYLOAD + KSSL_MAX_EXPANSION_12)
#define KSSL_PREFIX_MAX		(KSSL_HEADER_LEN + 16)	/* header and explicit nonce or IV */
#define KSSL_AAD_MAX		16

struct kssl_epoch;

/* ---- suite.c: versions and suites are data ---- */

/* Properties of a protocol version. */
#define KSSL_V_INNER_TYPE	0x1	/* outer type is 23, the type is inside (RFC 8446 5.2) */
#define KSSL_V_STRICT_VERSION	0x2	/* version octets of a record are checked */
#define KSSL_V_REKEY_BY_MESSAGE	0x4	/* a rekey needs no Finished (RFC 8446 4.6.3) */
#define KSSL_V_HOLD_TX		0x8	/* an inbound control record holds sending */
#define KSSL_V_HALF_CLOSE	0x10	/* close_notify closes one direction (RFC 8446 6.1) */
#define KSSL_V_ALL_ALERTS_FATAL	0x20	/* level octet means nothing (RFC 8446 6) */
#define KSSL_V_CHAINED_IV	0x40	/* the block before is the IV (RFC 2246 6.2.3.2) */
#define KSSL_V_SSL3		0x80	/* MAC, padding and alerts of RFC 6101 */
#define KSSL_V_LOCKED		0x100	/* only with the module's parameter "legacy" */

/**
 * struct kssl_version - one protocol version
 * @wire: version number of keys and of the suite table
 * @record_wire: version octets in record headers
 * @flags: KSSL_V_*
 * @max_expansion: how much longer than KSSL_MAX_PAYLOAD a record body may be
 */
struct kssl_version {
	u16 wire;
	u16 record_wire;
	u16 flags;
	u16 max_expansion;
};

/**
 * struct kssl_fmt - how records of one kind are sealed and opened
 * @setup: make the transforms and lengths of an epoch
 * @teardown: free the transforms, also of a setup that failed
 * @suffix_len: bytes that sealing will put behind a content of that length, padding included
 * @legal_len: can a body of that length have been sealed?
 * @max_padding: longest padding outside of struct kssl_epoch.max_payload
 * @seal: encrypt in place and write header and explicit nonce or IV
 * @open: check and decrypt, find type and length of the content
 *
 * See fmt_aead.c for the contract of seal and open.
 */
struct kssl_fmt {
	int (*setup)(struct kssl_epoch *e, const struct kssl_key *key);
	void (*teardown)(struct kssl_epoch *e);
	unsigned int (*suffix_len)(const struct kssl_epoch *e, unsigned int payload_len);
	bool (*legal_len)(const struct kssl_epoch *e, unsigned int body_len);
	u16 max_padding;
	int (*seal)(struct kssl_epoch *e, u64 seq, u64 nonce, u8 type, u8 *prefix,
		    struct scatterlist *sg, unsigned int payload_len);
	int (*open)(struct kssl_epoch *e, u64 seq, const u8 *prefix,
		    struct scatterlist *src, struct scatterlist *dst,
		    unsigned int body_len, u8 *type);
};

/**
 * struct kssl_cipher - a record protection; several suites share one
 * @alg: name for the Kernel Crypto API, NULL where weak.c does it
 * @fmt: record format
 * @hash: hash of the MAC, NULL for an AEAD
 * @key_len: cipher key
 * @salt_len: fixed part of the nonce in TLS 1.2
 * @explicit_len: nonce or IV sent with each record in TLS 1.2; of CBC the block
 * @tag_len: authentication tag, or MAC
 * @locked: only with the module's parameter "legacy"
 * @limit: records that one key may protect, 0 for no limit
 * @soft: of @limit: where a new key is asked for, 0 for three quarters
 * @unit: 0, or what @limit counts instead of records: blocks of so many octets
 * @lead: octet the transform wants before the nonce, 0 for none (CCM: L - 1,
 *	RFC 3610 2.3)
 */
struct kssl_cipher {
	const char *alg;
	const struct kssl_fmt *fmt;
	const struct kssl_hash *hash;
	u8 key_len;
	u8 salt_len;
	u8 explicit_len;
	u8 tag_len;
	u8 unit;
	u8 lead;
	bool locked;
	u32 limit;
	u32 soft;
};

/**
 * struct kssl_suite - one IANA cipher suite in one protocol version
 * @id: IANA number
 * @version: wire number of the version
 * @cipher: its record protection
 * @kdf: TLS 1.3: hash of the key schedule, NULL where there is none for us
 */
struct kssl_suite {
	u16 id;
	u16 version;
	const struct kssl_cipher *cipher;
	const struct kssl_hash *kdf;
};

extern const struct kssl_suite kssl_suites[];
extern const unsigned int kssl_suites_count;
const struct kssl_version *kssl_version_find(u16 wire);
const struct kssl_suite *kssl_suite_find(u16 id, u16 version);
extern bool kssl_legacy;
bool kssl_suite_is_locked(const struct kssl_suite *suite);
unsigned int kssl_suite_iv_len(const struct kssl_suite *suite);
unsigned int kssl_suite_mac_key_len(const struct kssl_suite *suite);

/* ---- hash.c: the bare compression functions ---- */

#define KSSL_BLOCK_MAX		128	/* SHA-384, FIPS 180-4 1 */
#define KSSL_DIGEST_MAX		48

/**
 * struct kssl_hash - a hash of the SHA family (FIPS 180-4), or MD5 (RFC 1321)
 * @alg: name for the Kernel Crypto API
 * @index: of its back end
 * @block_len: bytes of a block
 * @word_len: bytes of a word of the chaining value
 * @words: words of the chaining value
 * @digest_len: bytes of the digest
 * @little_endian: octets of words, and of the length at the end (MD5)
 * @init: initial chaining value
 */
struct kssl_hash {
	const char *alg;
	u8 index;
	u8 block_len;
	u8 word_len;
	u8 words;
	u8 digest_len;
	bool little_endian;
	u64 init[8];
};

/* A chaining value; which member counts is for word_len to say. */
union kssl_chain {
	u32 w32[8];
	u64 w64[8];
};

extern const struct kssl_hash kssl_md5, kssl_sha1, kssl_sha256, kssl_sha384;
int kssl_hash_get(const struct kssl_hash *hash);
void kssl_hash_start(const struct kssl_hash *hash, union kssl_chain *chain);
int kssl_hash_compress(const struct kssl_hash *hash, union kssl_chain *chain, const u8 *blocks,
		       unsigned int count);
void kssl_hash_exit(void);

/* ---- mac.c: HMAC, and the MAC of SSL 3.0 ---- */

#define KSSL_MAC_LEAD_MAX	60	/* RFC 6101 5.2.3.1: SHA-1's key and its pad */

/**
 * struct kssl_mac_side - the inner or the outer hash, as the key leaves it
 * @chain: chaining value behind @before octets
 * @lead: octets that come next
 */
struct kssl_mac_side {
	union kssl_chain chain;
	u8 lead[KSSL_MAC_LEAD_MAX];
};

/**
 * struct kssl_mac - a keyed HMAC (RFC 2104) or MAC of SSL 3.0 (RFC 6101 5.2.3.1)
 * @hash: its hash
 * @inner: of the message
 * @outer: of the digest of that
 * @before: octets of the key that are compressed: a block, or none
 * @lead_len: octets used of each lead: none, unless @before is none
 * @blocks: blocks compressed so far, for whoever proves that it never depends on
 *	a secret
 */
struct kssl_mac {
	const struct kssl_hash *hash;
	struct kssl_mac_side inner;
	struct kssl_mac_side outer;
	u8 before;
	u8 lead_len;
	u32 blocks;
};

/**
 * struct kssl_mac_run - one computation
 * @mac: key
 * @chain: chaining value
 * @block: beginning of the next block
 * @fill: bytes of it
 * @total: bytes so far, leads included
 * @err: 0, or the first error of the hash
 */
struct kssl_mac_run {
	struct kssl_mac *mac;
	union kssl_chain chain;
	u8 block[KSSL_BLOCK_MAX];
	unsigned int fill;
	unsigned int total;
	int err;
};

int kssl_mac_setup(struct kssl_mac *mac, const struct kssl_hash *hash, const u8 *key,
		   unsigned int key_len);
int kssl_mac_setup_ssl3(struct kssl_mac *mac, const struct kssl_hash *hash, const u8 *key);
void kssl_mac_begin(struct kssl_mac_run *run, struct kssl_mac *mac);
void kssl_mac_update(struct kssl_mac_run *run, const u8 *data, unsigned int len);
void kssl_mac_update_sg(struct kssl_mac_run *run, struct scatterlist *sg, unsigned int offset,
			unsigned int len);
int kssl_mac_final(struct kssl_mac_run *run, u8 *digest);
#define KSSL_MAC_SLACK	7	/* readable behind a tail, which is read by words */
int kssl_mac_final_secret(struct kssl_mac_run *run, const u8 *tail, unsigned int tail_len,
			  u32 secret_len, u8 *digest);
int kssl_mac_setup_record(struct kssl_epoch *e, const struct kssl_key *key);
void kssl_mac_begin_record(struct kssl_mac_run *run, struct kssl_epoch *e, u64 seq, u8 type,
			   u32 len);
int kssl_mac_of_content(struct kssl_epoch *e, u64 seq, u8 type, struct scatterlist *sg,
			unsigned int len, u8 *digest);
unsigned int kssl_mac_whole_blocks(const struct kssl_epoch *e, unsigned int len);

/* ---- record.c: headers, pure ---- */

/**
 * struct kssl_record_header - a parsed record header
 * @type: content type on the wire
 * @version: version octets, wire order read as a number
 * @header_len: bytes of header (2 for an SSLv2-framed ClientHello)
 * @body_len: bytes that follow the header
 */
struct kssl_record_header {
	u8 type;
	u16 version;
	u16 header_len;
	u16 body_len;
};

int kssl_record_parse_plain(const u8 *wire, bool allow_ssl2, struct kssl_record_header *h);
int kssl_record_parse(const u8 *wire, const struct kssl_epoch *e, struct kssl_record_header *h);
void kssl_record_build(u8 *wire, u8 type, u16 version, unsigned int body_len);

/* ---- message.c: handshake messages, pure ---- */

#define KSSL_MESSAGE_HEADER_LEN	4			/* RFC 8446 4, RFC 5246 7.4 */

/* Handshake messages, RFC 8446 4 and RFC 5246 7.4, and what a KeyUpdate says. */
#define KSSL_HANDSHAKE_HELLO_REQUEST	0
#define KSSL_HANDSHAKE_CLIENT_HELLO	1
#define KSSL_HANDSHAKE_SERVER_HELLO	2
#define KSSL_HANDSHAKE_TICKET		4
#define KSSL_HANDSHAKE_CERTIFICATE_REQUEST	13
#define KSSL_HANDSHAKE_KEY_UPDATE	24
#define KSSL_UPDATE_NOT_REQUESTED	0
#define KSSL_UPDATE_REQUESTED		1

/**
 * struct kssl_message - where a walk over handshake messages stands
 * @header: type and length of the message
 * @have: octets of @header so far
 * @first: first octet of the body
 * @body: octets of the body so far
 */
struct kssl_message {
	u8 header[KSSL_MESSAGE_HEADER_LEN];
	u8 have;
	u8 first;
	u32 body;
};

unsigned int kssl_message_take(struct kssl_message *m, const u8 *data, unsigned int len,
			       bool *whole);
u32 kssl_message_len(const struct kssl_message *m);
bool kssl_message_is_open(const struct kssl_message *m);

/* ---- keys.c: key epochs ---- */

/**
 * struct kssl_epoch - one key of one direction
 * @ref: the direction, and every crypto job under way, hold one
 * @suite: suite and cipher
 * @ver: protocol version
 * @flags: KSSL_KEY_*
 * @prefix_len: bytes between record header and payload
 * @trailer_len: bytes at the end of a body that are not decrypted (tag, or the MAC
 *	of encrypt-then-MAC)
 * @aad_len: bytes of additional data
 * @max_payload: longest content of a record
 * @pad_to: sending: content and type are padded to a multiple of so many octets, 0: they
 *	are not; tx.lock
 * @aead: transform of an AEAD
 * @aead_req: request of the serial path; tx.lock (tx) or lock_sock (rx)
 * @cbc: transform of a block cipher
 * @cbc_req: likewise
 * @weak: a cipher of weak.c
 * @mac: its MAC
 * @any_type: receiving: records of every content type are let through, as kTLS does
 * @residue: what each record leaves to the next: the last block (RFC 2246 6.2.3.2), or
 *	the state of a stream cipher
 * @residue_len: bytes of it, 0 where each record stands for itself
 * @iv: salt or whole IV
 * @nonce: per-record nonce of the request
 * @aad: additional data of the request
 * @secret: traffic secret, from which the next key follows
 * @secret_len: bytes of it, 0 if there is none
 */
struct kssl_epoch {
	refcount_t ref;
	const struct kssl_suite *suite;
	const struct kssl_version *ver;
	u32 flags;
	u16 prefix_len;
	u16 trailer_len;
	u16 aad_len;
	u16 max_payload;
	u16 pad_to;
	struct crypto_aead *aead;
	struct aead_request *aead_req;
	struct crypto_skcipher *cbc;
	struct skcipher_request *cbc_req;
	struct kssl_rc2 *weak;
	struct kssl_mac mac;
	bool any_type;
	void *residue;
	u16 residue_len;
	u8 iv[KSSL_IV_MAX];
	u8 nonce[KSSL_IV_MAX];
	u8 aad[KSSL_AAD_MAX];
	u8 secret[KSSL_SECRET_MAX];
	u8 secret_len;
};

struct kssl_epoch *kssl_epoch_new(const struct kssl_key *key);
struct kssl_epoch *kssl_epoch_next(const struct kssl_epoch *e);
int kssl_epoch_save(const struct kssl_epoch *e, void **to);
void kssl_epoch_restore(struct kssl_epoch *e, const void *from);
u64 kssl_epoch_cost(const struct kssl_epoch *e, unsigned int payload_len);
void kssl_epoch_set_padding(struct kssl_epoch *e, unsigned int pad_to);
void kssl_epoch_put(struct kssl_epoch *e);
bool kssl_epoch_is_mte(const struct kssl_epoch *e);

/* ---- fmt_aead.c, fmt_cbc.c, fmt_stream.c ---- */
extern const struct kssl_fmt kssl_fmt_aead;
extern const struct kssl_fmt kssl_fmt_cbc;
extern const struct kssl_fmt kssl_fmt_stream;

/* ---- weak.c: ciphers that no kernel has, or not for every module ---- */

#define KSSL_WEAK_BLOCK		8

/**
 * struct kssl_rc2 - RC2 with its key expanded (RFC 2268)
 * @k: expanded key
 */
struct kssl_rc2 {
	u16 k[64];
};

/**
 * struct kssl_rc4 - RC4 between two octets
 * @s: permutation
 * @i: index
 * @j: index
 */
struct kssl_rc4 {
	u8 s[256];
	u8 i;
	u8 j;
};

void kssl_rc2_set_key(struct kssl_rc2 *rc2, const u8 *key, unsigned int len, unsigned int bits);
void kssl_rc2_encrypt(const struct kssl_rc2 *rc2, u8 *block);
void kssl_rc2_decrypt(const struct kssl_rc2 *rc2, u8 *block);
void kssl_rc2_cbc(const struct kssl_rc2 *rc2, bool encrypt, struct scatterlist *src,
		  struct scatterlist *dst, unsigned int len, u8 *iv);
void kssl_rc4_set_key(struct kssl_rc4 *rc4, const u8 *key, unsigned int len);
void kssl_rc4_crypt(struct kssl_rc4 *rc4, u8 *data, unsigned int len);
void kssl_rc4_skip(struct kssl_rc4 *rc4, unsigned int len);
void kssl_rc4_crypt_sg(struct kssl_rc4 *rc4, struct scatterlist *src, struct scatterlist *dst,
		       unsigned int len);

/* ---- crypt.c: the only caller of crypto_aead_*() and crypto_skcipher_*() ---- */
int kssl_crypt_aead_setup(struct kssl_epoch *e, const u8 *key);
void kssl_crypt_aead_teardown(struct kssl_epoch *e);
int kssl_crypt_aead(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		    struct scatterlist *dst, unsigned int len);
int kssl_crypt_cbc_setup(struct kssl_epoch *e, const u8 *key);
void kssl_crypt_cbc_teardown(struct kssl_epoch *e);
int kssl_crypt_cbc(struct kssl_epoch *e, bool encrypt, struct scatterlist *src,
		   struct scatterlist *dst, unsigned int len);
int kssl_crypt_has(const struct kssl_cipher *cipher);
int kssl_crypt_init(void);
void kssl_crypt_exit(void);

#endif /* _KSSL_RECORD_H */
