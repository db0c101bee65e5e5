/* SPDX-License-Identifier: MIT */
/*
 * One-sided measurement: what its files share.
 *
 * One process uses the record layer and is measured; its peer only moves bytes:
 * a sink that throws ciphertext away unread, or a feeder that sends ciphertext
 * made beforehand.  ktls and kssl get fixed keys by setsockopt, without any
 * handshake; two OpenSSL objects shake hands in memory before the clock starts.
 */
#ifndef KSSL_BENCH_ONESIDED_H
#define KSSL_BENCH_ONESIDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#define RECORD_MAX		16384	/* bytes of payload, RFC 8446 5.1, RFC 5246 6.2.1 */
#define RECORD_OVERHEAD_MAX	64
#define IV_LEN			12

/* One row per version and cipher. */
struct suite {
	const char *name;
	int version;		/* as on the wire */
	uint16_t id;		/* IANA */
	uint16_t ktls_cipher;
	const char *openssl;
	const char *cipher;	/* for EVP_CIPHER_fetch() */
	size_t key_len;
	bool explicit_nonce;	/* RFC 5288 3: 4 bytes of salt, 8 bytes in the record */
};

enum direction { SEND, RECV };

/* What the peer sees: the payload itself, or records under which keys? */
enum wire { PLAIN, FIXED_KEYS, OWN_KEYS };

/* What to measure. */
struct job {
	enum direction direction;
	const struct mode *mode;
	const struct suite *suite;
	size_t write_len;	/* payload of one send call, and of one record */
	size_t read_len;	/* buffer of one recv call */
	uint64_t bytes;		/* payload in all */
	bool check;		/* compare every byte; for no measurement */
};

/* The measured end of one transfer. */
struct side {
	const struct job *job;
	int fd;
	SSL *ssl;
	SSL *ssl_peer;
	uint64_t records;	/* as the kernel counted them, 0: it does not tell */
	char error[200];
};

/**
 * struct mode - one record layer
 * @name: as in -m
 * @wire: what goes over the connection
 * @applies: NULL: to every job; else whether to this one
 * @prepare: before anything else, not measured; may be NULL
 * @feed: turns the job's payload into what a receiver gets, @len bytes in @data
 *	(malloc), not measured
 * @attach: the record layer takes over the connected @side->fd, not measured
 * @send: like send(2)
 * @recv: like recv(2)
 * @check: did the job's bytes go through this record layer?
 * @close: release everything but @side->fd; may be NULL
 *
 * All that return int or ssize_t return -1 after a failure, with a sentence in
 * @side->error.
 */
struct mode {
	const char *name;
	enum wire wire;
	bool (*applies)(const struct job *job);
	int (*prepare)(struct side *side);
	int (*feed)(struct side *side, const unsigned char *payload,
		    unsigned char **data, size_t *len);
	int (*attach)(struct side *side);
	ssize_t (*send)(struct side *side, const void *buf, size_t len);
	ssize_t (*recv)(struct side *side, void *buf, size_t len);
	int (*check)(struct side *side);
	void (*close)(struct side *side);
};

/* Nanoseconds: of the clock, of processes, of all tasks on all processors. */
struct sample {
	uint64_t wall;
	uint64_t own;
	uint64_t own_user;
	uint64_t own_system;
	uint64_t peer;
	uint64_t busy;		/* 0: this kernel does not tell */
	uint64_t records;
};

/* onesided.c APIs: */
__attribute__((format(printf, 2, 3)))
int fail(char error[static 200], const char *format, ...);

/* records.c APIs: */
extern const struct suite suites[];
extern const size_t suite_count;
void fixed_key(const struct suite *suite, unsigned char *key, unsigned char iv[static IV_LEN]);
size_t record_overhead(const struct suite *suite);
int seal_records(const struct suite *suite, const unsigned char *payload, size_t record_len,
		 uint64_t bytes, unsigned char **data, size_t *len);
int open_records(const struct suite *suite, unsigned char *data, size_t len,
		 unsigned char **payload, uint64_t *bytes);

/* modes.c APIs: */
extern const struct mode modes[];
extern const size_t mode_count;

/* transfer.c APIs: */
int transfer(const struct job *job, struct sample *sample, char error[static 200]);

#endif /* KSSL_BENCH_ONESIDED_H */
