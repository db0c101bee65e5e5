/* SPDX-License-Identifier: MIT */
/*
 * The record layer once more, the plain way: flat buffers, OpenSSL, branches wherever they read best.  What kmod makes
 * of a record is compared with it.
 */
#ifndef HOST_REF_H
#define HOST_REF_H

#include "record.h"

/* No record that a test makes is longer: the longest legal one, and room for damage. */
#define REF_MAX		(KSSL_RECORD_MAX + 1024)

/* Does a header lead to a record worth opening?  0 or the errno of kssl_record_parse(). */
int ref_header(const struct kssl_key *key, const u8 *header);

/*
 * What lies inside the record before it is enciphered.  @padding: octets behind the content type of TLS 1.3, or, in
 * whole blocks, CBC's padding beyond the least.  Returns the length.
 */
unsigned int ref_inner(const struct kssl_key *key, u64 seq, u8 type, const u8 *content, unsigned int len,
		       unsigned int padding, u8 *inner);

/* Enciphers and authenticates @inner, and writes the record. @type is the inner one.  Returns the record's length. */
unsigned int ref_protect(const struct kssl_key *key, u64 seq, u64 nonce, const u8 *iv, u8 type, const u8 *inner,
			 unsigned int len, u8 *record);

/* Opens a record whose header ref_header() likes: length of @content and @type, or a negative errno. */
int ref_open(const struct kssl_key *key, u64 seq, const u8 *record, u8 *content, u8 *type);

#endif
