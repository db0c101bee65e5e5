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
 * @key: cipher key
 * @iv: salt, or the whole IV
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
	unsigned char key[32];
	unsigned char iv[16];
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
 * @key_len: bytes of @key
 * @key: cipher key
 * @nonce: the whole nonce
 * @aad: additional data
 * @aad_len: bytes of @aad
 * @plain: plaintext
 * @sealed: ciphertext and tag
 * @plain_len: bytes of @plain; @sealed has 16 more
 */
struct kssl_aead_vector {
	const char *name;
	unsigned char key_len;
	unsigned char key[32];
	unsigned char nonce[12];
	const unsigned char *aad;
	unsigned int aad_len;
	const unsigned char *plain;
	const unsigned char *sealed;
	unsigned int plain_len;
};

#endif
