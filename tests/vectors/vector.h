/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What a test vector of the record layer looks like.  Plain C, for the kernel
 * and for user space; the files beside it hold the vectors and name their source.
 */
#ifndef KSSL_VECTOR_H
#define KSSL_VECTOR_H

/**
 * struct kssl_record_vector - one record, sealed and open
 * @name: where it comes from
 * @version: wire number of the protocol version
 * @suite: IANA number
 * @type: content type
 * @key_len: bytes of @key
 * @iv_len: bytes of @iv
 * @mac_key_len: bytes of @mac_key
 * @etm: encrypt-then-MAC (RFC 7366)
 * @long_padding: more padding than need be
 * @key: cipher key
 * @iv: salt, or the whole IV
 * @mac_key: key of the HMAC
 * @seq: sequence number
 * @nonce: explicit nonce, 0 where there is none
 * @content: plaintext
 * @content_len: bytes of @content
 * @record: the record on the wire
 * @record_len: bytes of @record
 */
struct kssl_record_vector {
	const char *name;
	unsigned short version;
	unsigned short suite;
	unsigned char type;
	unsigned char key_len;
	unsigned char iv_len;
	unsigned char mac_key_len;
	unsigned char etm;
	unsigned char long_padding;
	unsigned char key[32];
	unsigned char iv[16];
	unsigned char mac_key[48];
	unsigned long long seq;
	unsigned long long nonce;
	const unsigned char *content;
	unsigned int content_len;
	const unsigned char *record;
	unsigned int record_len;
};

/**
 * struct kssl_aead_vector - one call of an AEAD
 * @name: where it comes from
 * @suite: IANA number of a suite with this AEAD
 * @version: wire number of its protocol version
 * @key_len: bytes of @key
 * @tag_len: bytes of the tag
 * @key: cipher key
 * @nonce: the whole nonce
 * @aad: additional data
 * @aad_len: bytes of @aad
 * @plain: plaintext
 * @sealed: ciphertext and tag
 * @plain_len: bytes of @plain; @sealed has @tag_len more
 */
struct kssl_aead_vector {
	const char *name;
	unsigned short suite;
	unsigned short version;
	unsigned char key_len;
	unsigned char tag_len;
	unsigned char key[32];
	unsigned char nonce[12];
	const unsigned char *aad;
	unsigned int aad_len;
	const unsigned char *plain;
	const unsigned char *sealed;
	unsigned int plain_len;
};

/**
 * struct kssl_digest_vector - a digest, or an HMAC
 * @name: where it comes from
 * @alg: name of the hash
 * @key: key of the HMAC
 * @key_len: bytes of @key, 0 for a bare digest
 * @data: message
 * @data_len: bytes of @data
 * @repeat: the message is @data so many times
 * @digest: result
 * @digest_len: bytes of @digest; fewer than the hash has if it is truncated
 */
struct kssl_digest_vector {
	const char *name;
	const char *alg;
	unsigned char key[25];
	unsigned int key_len;
	const void *data;
	unsigned int data_len;
	unsigned int repeat;
	unsigned char digest[48];
	unsigned int digest_len;
};

#endif
