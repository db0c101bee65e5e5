/* SPDX-License-Identifier: MIT */
/*
 * The reference's key schedule of TLS 1.3 (RFC 8446 7.1 to 7.3) on OpenSSL's EVP, and
 * KeyUpdates of the peer (4.6.3).
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stddef.h>
#include <stdint.h>
#include "peer.h"

/* Handshake messages, RFC 8446 4, RFC 5246 7.4. */
enum {
	HELLO_REQUEST = 0,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	NEW_SESSION_TICKET = 4,
	CERTIFICATE_REQUEST = 13,
	FINISHED = 20,
	KEY_UPDATE = 24,
};

enum { UPDATE_NOT_REQUESTED, UPDATE_REQUESTED };

/* OpenSSL's name for the hash of a suite of TLS 1.3 (RFC 8446 B.4, RFC 8998 2). */
const char *schedule_hash(uint16_t suite);
size_t schedule_hash_len(uint16_t suite);

/* HKDF-Expand-Label of @label without a context; @secret is as long as the hash. */
void expand_label(const char *hash, const uint8_t *secret, size_t secret_len, const char *label,
		  uint8_t *out, size_t len);

/* Keys of the current variant's suite, from a secret; another @seed gives other ones. */
struct keys make_secret_keys(unsigned int seed);
/* The next generation: what a KeyUpdate leads to. */
void next_generation(struct keys *k);

/* A handshake message with a body of @len octets of pattern(); its length. */
size_t make_message(uint8_t type, size_t len, uint8_t *to);
void peer_send_message(struct peer *p, uint8_t type, size_t len);
void peer_expect_message(struct peer *p, uint8_t type, size_t len);
size_t make_key_update(uint8_t request, uint8_t *to);

/* The peer sends one and has the next key. */
void peer_send_update(struct peer *p, uint8_t request);
/* The next record is one, and the next key follows. */
void peer_expect_update(struct peer *p, uint8_t request);
/* Data as peer_expect_pattern(), with KeyUpdates anywhere in it; how many. */
unsigned int peer_expect_pattern_updates(struct peer *p, size_t at, size_t len);

#endif
