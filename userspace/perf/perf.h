/* SPDX-License-Identifier: MIT */
/*
 * kssl-perf: what its files share.
 *
 * A client opens a control connection (plain TCP, one JSON object per message),
 * then one connection per stream to the same port.  Each connection starts with
 * a hello: one letter and the cookie of the test; only after the server's answer
 * does a stream go over to its transport.
 */
#ifndef KSSL_PERF_H
#define KSSL_PERF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <libkssl.h>

#define PERF_PROTOCOL		2	/* version of the control messages */
#define PERF_PARALLEL_MAX	128
#define PERF_LENGTH_MAX		(16u << 20)
#define PERF_CONTROL_MAX	(1u << 20)
#define PERF_COOKIE_LEN		32	/* hexadecimal digits */
#define PERF_STALL_SECONDS	30
#define PERF_SETUP_SECONDS	60
#define PERF_TEXT_LEN		256
#define PERF_DIGEST_LEN		(2 * EVP_MAX_MD_SIZE + 1)

#define HELLO_CONTROL		'C'
#define HELLO_STREAM		'S'
#define HELLO_LEN		(1 + PERF_COOKIE_LEN)
#define HELLO_ANSWER		'+'

struct transport;

/* The command line. */
struct options {
	bool help;
	bool version;
	bool server;
	const char *host;
	const char *port;
	bool json;
	double interval;
	bool one_off;
	double seconds;
	uint64_t bytes;
	uint64_t length;
	uint64_t parallel;
	bool reverse;
	const char *mode;
	const char *tls;
	const char *suite;
	bool mte;
	const char *cert;
	const char *key;
	const char *ca;
	const char *name;
	bool insecure;
	const char *digest;
	uint64_t renegotiate;
	uint64_t rekey_bytes;
	bool bounce;
	uint64_t record_limit;
	uint64_t pad_to;
};

/* What a client asks of a server: the part of its options that concerns both. */
struct params {
	const struct transport *transport;
	int tls_version;	/* as on the wire */
	char suite[64];		/* OpenSSL's name, empty: any */
	char digest[16];	/* empty: none */
	double seconds;		/* 0: until @bytes */
	uint64_t bytes;		/* of all streams; 0: for @seconds */
	size_t length;		/* of one send or receive call */
	int parallel;
	bool reverse;		/* the server sends */
};

/* One stream as one end saw it. */
struct stream_result {
	int id;
	uint64_t bytes;
	double seconds;
	char protocol[PERF_TEXT_LEN];
	char digest[PERF_DIGEST_LEN];
	char error[PERF_TEXT_LEN];
	bool has_kernel;	/* kssl mode: KSSL_STATUS was read */
	uint64_t kernel_records;
	uint64_t kernel_bytes;
	uint64_t handshakes;
	uint64_t key_updates;	/* by the kernel, either way */
	uint64_t holds;
	uint64_t hold_max_ns;
};

/* All streams as one end saw them. */
struct summary {
	bool sender;
	int count;
	struct stream_result *streams;
	double cpu_user;	/* seconds, whole process */
	double cpu_system;
	double seconds;
	char error[PERF_TEXT_LEN];
};

/* What the transports of one end share: keys, certificates, trust. */
struct endpoint {
	const struct options *options;
	const struct transport *transport;
	const char *name;	/* whose certificate the client expects */
	bool sender;
	SSL_CTX *ctx;
};

struct report;

/* One connection of one stream. */
struct conn {
	const struct endpoint *endpoint;
	struct report *report;
	int id;
	int fd;
	SSL *ssl;
	struct kssl *kssl;
	struct kssl_config *config;
	struct kssl_status status;	/* kssl mode: the last one read */
	char protocol[PERF_TEXT_LEN];
	char error[PERF_TEXT_LEN];
};

/**
 * struct transport - how one mode moves bytes
 * @name: as in --mode
 * @tls: needs an SSL_CTX
 * @ssl_options: SSL_OP_* of that
 * @open: client handshake on the connected @conn->fd
 * @accept: server handshake
 * @send: like send(2); never 0
 * @recv: like recv(2); 0 is an orderly end of data
 * @finish: tell the peer that no more data follows; its @recv gives 0
 * @rekey: start a renegotiation or key update; NULL if the mode cannot
 * @check: after the last byte: do the facts agree with @bytes moved in this mode?
 * @close: release everything but the file descriptor
 *
 * All return -1 after a failure, with a sentence in @conn->error.
 */
struct transport {
	const char *name;
	bool tls;
	uint64_t ssl_options;
	int (*open)(struct conn *conn);
	int (*accept)(struct conn *conn);
	ssize_t (*send)(struct conn *conn, const void *buf, size_t len);
	ssize_t (*recv)(struct conn *conn, void *buf, size_t len);
	int (*finish)(struct conn *conn);
	int (*rekey)(struct conn *conn);
	int (*check)(struct conn *conn, uint64_t bytes);
	void (*close)(struct conn *conn);
};

struct test;

/* One stream: a connection and the thread that moves its bytes. */
struct stream {
	struct test *test;
	struct conn conn;
	pthread_t thread;
	bool started;
	uint64_t limit;			/* bytes to send, 0: until told to stop */
	int signals;			/* SIGUSR1 that it has obeyed */
	atomic_uint_fast64_t bytes;
	uint64_t reported;		/* bytes at the last interval line */
	uint64_t end_ns;
	EVP_MD_CTX *md;
	char digest[PERF_DIGEST_LEN];
};

/*
 * One test at one end.  @lock protects @ready, @done, @running and @failed;
 * @changed tells of each change of them.
 */
struct test {
	const struct options *options;
	struct params params;
	struct endpoint endpoint;
	struct report *report;
	struct stream *streams;
	int count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int ready;
	int done;
	bool failed;
	bool running;
	atomic_bool stop;
	uint64_t start_ns;
	uint64_t last_ns;		/* time of the last interval line */
	uint64_t cpu_user_us;
	uint64_t cpu_system_us;
	char error[PERF_TEXT_LEN];
};

/* main.c APIs: */
uint64_t now_ns(void);
__attribute__((format(printf, 2, 3)))
void set_text(char text[static PERF_TEXT_LEN], const char *format, ...);
bool known_digest(const char *name);	/* the empty one too */
int signals_seen(void);	/* how many SIGUSR1 came so far */
int params_from_options(struct params *params, const struct options *options,
			char error[static PERF_TEXT_LEN]);

/* client.c, server.c APIs: exit status of the program */
int run_client(const struct options *options);
int run_server(const struct options *options);

/* control.c APIs: */
int control_listen(const char *port);
int control_connect(const char *host, const char *port, char error[static PERF_TEXT_LEN]);
int hello_send(int fd, char kind, const char *cookie);
int hello_read(int fd, char *cookie);
int hello_answer(int fd);
int message_send(int fd, json_t *message);
json_t *message_read(int fd, char error[static PERF_TEXT_LEN]);
json_t *params_to_json(const struct params *params);
int params_from_json(struct params *params, json_t *json, char error[static PERF_TEXT_LEN]);
json_t *summary_to_json(const struct summary *summary);
struct summary *summary_from_json(json_t *json);

/* test.c APIs: */
struct test *test_new(const struct options *options, const struct params *params,
		      struct report *report);
int test_add_stream(struct test *test, int fd);
int test_wait_ready(struct test *test);
void test_run(struct test *test);
struct summary *test_summary(struct test *test);
void summary_free(struct summary *summary);
void test_free(struct test *test);

/* transport.c APIs: */
const struct transport *transport_find(const char *name);
int endpoint_init(struct endpoint *endpoint, const struct options *options,
		  const struct params *params, char error[static PERF_TEXT_LEN]);
void endpoint_cleanup(struct endpoint *endpoint);

/* cert.c APIs: */
int self_signed(SSL_CTX *ctx, bool rsa);

/* report.c APIs: */
struct report *report_new(bool json);
void report_start(struct report *report, const struct params *params, const char *peer);
void report_stream(struct report *report, int id, const char *protocol);
void report_interval(struct report *report, int id, double start, double end, uint64_t bytes);
void report_event(struct report *report, int id, const char *text);
int report_end(struct report *report, const struct params *params,
	       const struct summary *local, const struct summary *remote);
void report_error(struct report *report, const char *text);
void report_free(struct report *report);

#endif /* KSSL_PERF_H */
