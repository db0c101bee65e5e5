/* SPDX-License-Identifier: MIT */
/*
 * kssld: shakes hands for programs that know only sockets.
 *
 * The main thread reads the configuration, takes waiting sockets from the kernel and
 * gives each to a worker; a worker is a thread with an epoll of its own.  Private keys
 * are in another process (keys.c), one per configuration that was read.
 */
#ifndef KSSLD_H
#define KSSLD_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <openssl/ssl.h>
#include "libkssl.h"

#define KSSLD_TEXT_LEN		512
#define KSSLD_WORKERS_MAX	256

/* ---- words of the configuration ---- */

enum word_type {
	WORD_NUMBER,
	WORD_BOOL,
	WORD_STRING,
	WORD_LIST,
};

/**
 * struct word - one word of kssld.conf
 * @section: "" at the top, "profile" or "sni"
 * @name: the word
 * @type: of its value
 * @def: default as text, NULL: none
 * @choices: strings it may be, separated by blanks; NULL: any
 * @meaning: one line for a person
 */
struct word {
	const char *section;
	const char *name;
	enum word_type type;
	const char *def;
	const char *choices;
	const char *meaning;
};

extern const struct word words[];
extern const unsigned int words_count;
void words_print(FILE *out);

/* ---- who asks, and for what ---- */

/**
 * struct request - what KSSL_CMD_ACCEPT gave
 * @control: control file
 * @id: number of the socket
 * @role: KSSL_ROLE_*
 * @client_cert: KSSL_CLIENT_CERT_*
 * @timeout_ms: what is left for the handshake
 * @uid: effective user, in the initial user namespace
 * @gid: effective group, likewise
 * @pid: process
 * @netns: inode number of the network namespace
 * @comm: name of the process
 * @profile: as asked for, "" is the role's default
 * @name: server name
 * @alpn: protocols, each behind an octet with its length
 * @alpn_len: bytes used of @alpn
 * @pins: SHA-256 of acceptable keys
 * @pins_count: entries used of @pins
 * @local: address
 * @peer: address
 */
struct request {
	int control;
	uint32_t id;
	uint8_t role;
	uint8_t client_cert;
	uint32_t timeout_ms;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	uint64_t netns;
	char comm[32];
	char profile[KSSL_PROFILE_MAX];
	char name[KSSL_NAME_MAX];
	uint8_t alpn[KSSL_ALPN_MAX];
	unsigned int alpn_len;
	uint8_t pins[KSSL_PINS_MAX][KSSL_PIN_LEN];
	unsigned int pins_count;
	struct sockaddr_in6 local;
	struct sockaddr_in6 peer;
};

/* ---- profiles ---- */

/**
 * struct allow - who may use a profile
 * @everybody: no matter who
 * @uids: users
 * @uids_count: entries of @uids
 * @gids: groups
 * @gids_count: entries of @gids
 */
struct allow {
	bool everybody;
	uid_t *uids;
	unsigned int uids_count;
	gid_t *gids;
	unsigned int gids_count;
};

/**
 * struct identity - a certificate and its key
 * @server_name: pattern of the names it is for, NULL: all that have no other
 * @certificate: file
 * @key: file or URI
 * @ocsp_file: file with a response in DER, may be NULL
 * @key_index: the key process's number for the key, -1: none
 * @ocsp: response
 * @ocsp_len: bytes of it
 * @ocsp_until: when it is out of date, seconds since 1970
 * @ctx: OpenSSL's side
 * @number: no other one of this process ever had it
 */
struct identity {
	char *server_name;
	char *certificate;
	char *key;
	char *ocsp_file;
	int key_index;
	unsigned char *ocsp;
	long ocsp_len;
	int64_t ocsp_until;
	SSL_CTX *ctx;
	uint64_t number;
};

/**
 * struct profile - what a connection may be
 * @name: as in struct kssl_handshake
 * @server: role, else client
 * @line: of the configuration, where it ends
 * @verify: client: the server's certificate has to be good
 * @client_cert: server: 0 none, 1 ask, 2 demand
 * @renegotiation: the peer may start one
 * @require_answer: see kssl_config_set_require_answer()
 * @key_update: the kernel does KeyUpdates
 * @resume: sessions are resumed
 * @record_limit: see kssl_config_set_record_limit()
 * @timeout_ms: at most, for the handshake; 0: as asked for
 * @policy: for the kernel
 * @trust: file, NULL: the system's
 * @crl: file, may be NULL
 * @ciphers: of TLS 1.2, may be NULL
 * @ciphersuites: of TLS 1.3, may be NULL
 * @min_version: as on the wire
 * @max_version: as on the wire, 0: newest
 * @session_cache: sessions a server keeps
 * @session_lifetime: seconds
 * @alpn: protocols, each behind an octet with its length
 * @alpn_len: bytes of @alpn
 * @allow: who may use it
 * @identities: first the default one
 * @identities_count: entries of @identities
 */
struct profile {
	char *name;
	bool server;
	int line;
	bool verify;
	int client_cert;
	bool renegotiation;
	bool require_answer;
	bool key_update;
	bool resume;
	unsigned int record_limit;
	uint32_t timeout_ms;
	struct kssl_policy policy;
	char *trust;
	char *crl;
	char *ciphers;
	char *ciphersuites;
	int min_version;
	int max_version;
	long session_cache;
	long session_lifetime;
	uint8_t alpn[KSSL_ALPN_MAX];
	unsigned int alpn_len;
	struct allow allow;
	struct identity *identities;
	unsigned int identities_count;
};

static inline int role_of(const struct profile *p)
{
	return p->server ? KSSL_ROLE_SERVER : KSSL_ROLE_CLIENT;
}

struct keys;

/**
 * struct settings - one configuration as it was read; connections keep theirs
 * @refs: who uses it
 * @workers: threads, 0: one per processor
 * @drain: seconds that sessions are attended to after an upgrade
 * @grace: seconds that handshakes have to end in at SIGTERM
 * @debug: log each handshake
 * @keylog: file for secrets, may be NULL
 * @ticket_keys: file for ticket keys, may be NULL
 * @ticket_rotate: seconds until a new ticket key
 * @profiles: profiles
 * @profiles_count: entries of @profiles
 * @keys: the key process, NULL if there are no keys
 */
struct settings {
	atomic_int refs;
	unsigned int workers;
	unsigned int drain;
	unsigned int grace;
	bool debug;
	char *keylog;
	char *ticket_keys;
	unsigned int ticket_rotate;
	struct profile *profiles;
	unsigned int profiles_count;
	struct keys *keys;
};

/* config.c */
struct settings *settings_read(const char *path, bool required, char *why);
struct settings *settings_get(struct settings *s);
void settings_put(struct settings *s);
const struct profile *settings_find(const struct settings *s, const char *name, int role);

/* allow.c */
void allow_set_namespace(uint64_t netns);
int allow_add(struct allow *allow, const char *who);
bool allow_is(const struct allow *allow, const struct request *r);

/* profile.c */
int profiles_load(struct settings *s, unsigned int workers, char *why);
void profiles_drop(struct settings *s);

/* ticket.c */
int ticket_init(const char *file, unsigned int rotate, char *why);
int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
	       int encrypt);

/* keys.c: the daemon's side, then the key process */
extern const char *keys_program;
struct keys *keys_start(char *const *uris, unsigned int count, unsigned int workers, char *why);
void keys_stop(struct keys *keys);
pid_t keys_pid(const struct keys *keys);
void keys_set_worker(unsigned int worker);
EVP_PKEY *keys_private(struct keys *keys, unsigned int index, X509 *cert, char *why);
int keys_call(struct keys *keys, uint32_t index, uint32_t op, uint32_t arg, const void *in, size_t len,
	      void *out, size_t size);
int keys_main(int argc, char **argv);

#define KEYS_SIGN	1	/* arg: number of the digest, RSA's padding */
#define KEYS_PREMASTER	2	/* arg: version of the client's hello, another that will do */
#define KEYS_ARG(low, high)	((uint32_t)(low) | (uint32_t)(high) << 16)
#define KEYS_ARG_LOW(arg)	((arg) & 0xffff)
#define KEYS_ARG_HIGH(arg)	((arg) >> 16)

/* provider.c */
EVP_PKEY *provider_key(struct keys *keys, uint32_t index, EVP_PKEY *public);

/* cache.c */
void cache_key(const struct request *r, const struct profile *p, uint8_t *key);
SSL_SESSION *cache_take(const uint8_t *key);
void cache_put(const uint8_t *key, SSL_SESSION *session);

/* ---- connections ---- */

/**
 * struct conn - a connection of a worker
 * @request: who and what
 * @settings: its configuration
 * @profile: of that
 * @worker: whose it is
 * @k: libkssl's side
 * @key: in the cache of client sessions
 * @gone: it has failed or is closed
 * @next: of its worker
 * @prev: likewise
 */
struct conn {
	struct request request;
	struct settings *settings;
	const struct profile *profile;
	struct worker *worker;
	struct kssl *k;
	uint8_t key[32];
	bool gone;
	struct conn *next;
	struct conn *prev;
};

struct conn *conn_of(const SSL *ssl);
int conn_start(struct conn *c);

/* worker.c */
int workers_start(unsigned int count);
void workers_give(struct conn *c);
void workers_leave(unsigned int seconds, bool at_once);
bool workers_are_done(void);

/* accept.c */
int accept_start(char *why);
int accept_fd(void);
int accept_next(struct request *r, char *why);
void accept_clear(void);
void accept_stop(void);

/* log.c */
enum log_priority {
	LOG_IS_ERROR = 3,
	LOG_IS_WARNING = 4,
	LOG_IS_NOTICE = 5,
	LOG_IS_INFO = 6,
	LOG_IS_DEBUG = 7,
};

void log_set_debug(bool debug);
void log_line(enum log_priority priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_request(enum log_priority priority, const struct request *r, const char *text);
int keylog_open(const char *path, char *why);
void keylog_line(const char *line, void *arg);

#endif
