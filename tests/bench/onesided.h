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
#define KEYS_MAX		48	/* bytes of a key or MAC key */
#define IV_LEN			12

/**
 * struct suite - one row per version, cipher and order of encryption and MAC
 * @name: as in -s
 * @version: as on the wire
 * @id: IANA number
 * @ktls_cipher: TLS_CIPHER_*, 0: kTLS has none
 * @openssl: OpenSSL's name of a suite with ECDSA
 * @cipher: for EVP_CIPHER_fetch()
 * @hash: of the HMAC beside a cipher in CBC mode, NULL for an AEAD
 * @key_len: cipher key
 * @explicit_len: nonce (RFC 5288 3) or IV (RFC 5246 6.2.3.2) in each record
 * @tag_len: tag or MAC in each record
 * @etm: encrypt-then-MAC (RFC 7366)
 * @ccm: EVP wants lengths announced beforehand
 */
struct suite {
	const char *name;
	int version;
	uint16_t id;
	uint16_t ktls_cipher;
	const char *openssl;
	const char *cipher;
	const char *hash;
	size_t key_len;
	size_t explicit_len;
	size_t tag_len;
	bool etm;
	bool ccm;
};

/* Which way, and by which call. */
enum direction { SEND, RECV, SENDFILE, SPLICE_OUT, SPLICE_IN, DIRECTIONS };

static inline bool is_sending(enum direction direction)
{
	return direction != RECV && direction != SPLICE_IN;
}

/* What the peer sees: the payload itself, or records under which keys? */
enum wire { PLAIN, FIXED_KEYS, OWN_KEYS };

/* Whose the ULP "tls" has to be: anybody's, the kernel's own or kssl's. */
enum tls { ANY_TLS, TLS_KO, FRONT };

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
 * @tls: which modules have to be loaded
 * @applies: NULL: to every job; else whether to this one
 * @prepare: before anything else, not measured; may be NULL
 * @feed: turns the job's payload into what a receiver gets, @len bytes in @data
 *	(malloc), not measured
 * @attach: the record layer takes over the connected @side->fd, not measured
 * @send: like send(2)
 * @recv: like recv(2)
 * @sendfile: like sendfile(2)
 * @splice_out: like splice(2) from a pipe
 * @splice_in: like splice(2) into a pipe
 * @check: did the job's bytes go through this record layer?
 * @close: release everything but @side->fd; may be NULL
 *
 * All that return int or ssize_t return -1 after a failure, with a sentence in
 * @side->error.
 */
struct mode {
	const char *name;
	enum wire wire;
	enum tls tls;
	bool (*applies)(const struct job *job);
	int (*prepare)(struct side *side);
	int (*feed)(struct side *side, const unsigned char *payload,
		    unsigned char **data, size_t *len);
	int (*attach)(struct side *side);
	ssize_t (*send)(struct side *side, const void *buf, size_t len);
	ssize_t (*recv)(struct side *side, void *buf, size_t len);
	ssize_t (*sendfile)(struct side *side, int file, off_t offset, size_t len);
	ssize_t (*splice_out)(struct side *side, int pipe, size_t len);
	ssize_t (*splice_in)(struct side *side, int pipe, size_t len);
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
void fixed_key(unsigned char *key, size_t key_len, unsigned char iv[static IV_LEN]);
void fixed_mac_key(unsigned char *key, size_t len);
size_t record_overhead(const struct suite *suite, size_t payload_len);
int seal_records(const struct suite *suite, const unsigned char *payload, size_t record_len,
		 uint64_t bytes, unsigned char **data, size_t *len);
int open_records(const struct suite *suite, unsigned char *data, size_t len,
		 unsigned char **payload, uint64_t *bytes);

/* modes.c APIs: */
extern const struct mode modes[];
extern const size_t mode_count;
int load_modules(const struct mode *mode);

/* transfer.c APIs: */
int transfer(const struct job *job, struct sample *sample, char error[static 200]);

#endif /* KSSL_BENCH_ONESIDED_H */
