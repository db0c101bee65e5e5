/* SPDX-License-Identifier: MIT */
/*
 * The reference: the record layer of the RFCs on OpenSSL's EVP, on a plain TCP
 * socket.  It shares no line and no constant with the module.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>

#define HEADER		5
#define RECORD_MAX	(HEADER + 16384 + 2048 + 64)

/* Alerts, RFC 8446 6. */
enum {
	CLOSE_NOTIFY = 0,
	UNEXPECTED_MESSAGE = 10,
	BAD_RECORD_MAC = 20,
	RECORD_OVERFLOW = 22,
	HANDSHAKE_FAILURE = 40,
	ILLEGAL_PARAMETER = 47,
	DECODE_ERROR = 50,
	PROTOCOL_VERSION = 70,
	INTERNAL_ERROR = 80,
	USER_CANCELED = 90,
	NO_RENEGOTIATION = 100,
};

enum { WARNING = 1, FATAL = 2 };

/* Content types. */
enum { CCS = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };

/**
 * struct keys - keys of one direction, at one point of its sequence
 * @suite: suite, and lengths of what follows
 * @flags: KSSL_KEY_ETM or 0
 * @seq: sequence number of the next record
 * @nonce: explicit nonce of the next record sealed
 * @key: cipher key
 * @iv: salt, or whole IV
 * @mac_key: MAC key
 * @secret: what key and IV were derived from, see schedule.h
 * @secret_len: its length, 0 if there is none
 */
struct keys {
	struct kssl_suite_info suite;
	uint32_t flags;
	uint64_t seq;
	uint64_t nonce;
	uint8_t key[32];
	uint8_t iv[16];
	uint8_t mac_key[48];
	uint8_t secret[48];
	uint8_t secret_len;
};

/* Keys of the current variant's suite; another @seed gives other ones. */
struct keys make_keys(unsigned int seed);

/* Seal one record into @record, RECORD_MAX long; its length. Counts up. */
size_t seal(struct keys *k, uint8_t type, const void *content, size_t len, uint8_t *record);

/* The same with @version; TLS 1.3: seal @inner as it is, with the outer @type. */
size_t seal_inner(struct keys *k, uint8_t type, uint16_t version, const void *inner, size_t len,
		  uint8_t *record);

/* Octets of nonce or IV behind the header of each record. */
size_t explicit_len(const struct keys *k);
/* Length of a whole record with @len bytes of content and no more padding than it must have. */
size_t sealed_len(const struct keys *k, size_t len);

/*
 * CBC: make in @plain what is encrypted: content, MAC (unless encrypt-then-MAC) and
 * @padding octets; its length.
 */
size_t cbc_plain(const struct keys *k, uint8_t type, uint16_t version, const void *content,
		 size_t len, size_t padding, uint8_t *plain);
/* CBC: seal @plain as it is. */
size_t seal_plain(struct keys *k, uint8_t type, uint16_t version, const uint8_t *plain, size_t len,
		  uint8_t *record);
/* CBC: shortest padding, its length octet included. */
size_t least_padding(const struct keys *k, size_t len);

/* Open one record; length of the content, or -1. Counts up if it is authentic. */
long open_record(struct keys *k, const uint8_t *record, size_t len, uint8_t *type,
		 uint8_t *content);

/**
 * struct peer - the other end of the connection
 * @fd: plain TCP socket
 * @tx: what it seals with
 * @rx: what it opens with
 */
struct peer {
	int fd;
	struct keys tx;
	struct keys rx;
};

/* Octets as they are. */
void peer_write(struct peer *p, const void *data, size_t len);
/* Wait until the other end's TCP has received everything. */
void peer_settle(struct peer *p);

/* On plain TCP records of data are bytes, close_notify is the FIN, and others do not exist. */
void peer_send(struct peer *p, uint8_t type, const void *content, size_t len);
void peer_send_alert(struct peer *p, uint8_t level, uint8_t desc);
/* Application data: @len bytes of pattern() from @at on, in records of @step. */
void peer_send_pattern(struct peer *p, size_t at, size_t len, size_t step);

/* One record as on the wire; its length, 0 at the FIN. */
size_t peer_read_raw(struct peer *p, uint8_t *record);
/* One record; length of its content, -1 at the FIN. */
long peer_recv(struct peer *p, uint8_t *type, uint8_t *content);
void peer_expect(struct peer *p, uint8_t type, const void *content, size_t len);
/* Application data, in records as they come, and no empty ones. */
void peer_expect_pattern(struct peer *p, size_t at, size_t len);
void peer_expect_alert(struct peer *p, uint8_t level, uint8_t desc);
void peer_expect_fin(struct peer *p);

/* Bytes that differ everywhere: the one at @at of an endless sequence. */
uint8_t pattern_at(size_t at);
void pattern(void *to, size_t at, size_t len);
void check_pattern(const void *from, size_t at, size_t len);

#endif
