/* SPDX-License-Identifier: MIT */
/*
 * libkssl: TLS for a connected TCP socket through the kssl kernel module.
 *
 *	config = kssl_config_new();
 *	k = kssl_connect(fd, "www.example.org", config);
 *	... read(fd), write(fd), poll(fd), sendfile(fd) ...
 *	close(fd); kssl_free(k);
 *
 * The library does the handshake with OpenSSL, hands the keys to the kernel and
 * stays attached: renegotiations, KeyUpdates and tickets are answered by one
 * attendant thread per process (or by kssl_attend(), see kssl_fd()).
 *
 * Functions return 0 or a pointer on success; -errno, or NULL with errno set,
 * on failure.  kssl_error() has the sentence.  A struct kssl may be used by one
 * thread at a time besides the attendant; the socket itself by any number.  After a
 * fork() it is the parent's: in the child its functions give -ESRCH.
 */
#ifndef LIBKSSL_H
#define LIBKSSL_H

#include <stdint.h>
#include <openssl/ssl.h>
#include <linux/kssl.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kssl;
struct kssl_config;

/* Fresh configuration: verification of the peer on, system trust store,
 * TLS 1.2 and 1.3, attendant thread on. NULL: out of memory. */
struct kssl_config *kssl_config_new(void);
/* The same as kssl_config_new() and kssl_config_set_ssl_ctx(), at little cost. */
struct kssl_config *kssl_config_new_with(SSL_CTX *ctx);
void kssl_config_free(struct kssl_config *config);

/* PEM files. A client with a certificate offers post-handshake authentication (RFC 8446
 * 4.2.6). All return 0 or -errno (EINVAL: not usable, ENOENT: no file). */
int kssl_config_set_cert_file(struct kssl_config *config, const char *cert_chain, const char *key);
int kssl_config_set_ca_file(struct kssl_config *config, const char *path);

/* Bounds of the protocol version, wire numbers (0x0300 to 0x0304); 0 = default: TLS 1.2 and
 * newer.  TLS 1.1 and 1.0 want to be named, and OpenSSL's security level 0 in the cipher
 * string ("DEFAULT:@SECLEVEL=0"), for their signatures are of MD5 and SHA-1 (RFC 8996).
 * SSL 3.0 wants an OpenSSL that was built with it and a module that was loaded with legacy=1
 * as well, else there is no handshake, and kssl_error() says what is missing. */
int kssl_config_set_versions(struct kssl_config *config, int min, int max);
/* OpenSSL cipher string for TLS <= 1.2, and list for TLS 1.3; NULL = default.
 * What the kernel does not have is left out (KSSL_SUITES); order and security
 * level are OpenSSL's. Its default has AES-GCM, ChaCha20-Poly1305 and, after those
 * with the same key exchange, AES-CBC; AES-CCM, Camellia and ARIA want naming, and
 * from OpenSSL 3.2 on the _8 suites "@SECLEVEL=0" as well, Triple DES and RC4 an OpenSSL
 * that was built with them, and RC4 legacy=1. CBC suites use encrypt-then-MAC if the peer
 * agrees. */
int kssl_config_set_ciphers(struct kssl_config *config, const char *tls12, const char *tls13);
/* Server: 0 no client certificate, 1 ask, 2 demand. */
int kssl_config_set_client_cert(struct kssl_config *config, int mode);
/* Server: let a client start a renegotiation (default 1). It may always answer one of ours. */
int kssl_config_set_client_renegotiation(struct kssl_config *config, int allow);
/* Client: no check of the peer at all. For tests. */
void kssl_config_insecure_noverify(struct kssl_config *config);
/* TLS 1.3: let the kernel do KeyUpdates itself, its own and the answers to the peer's
 * (default 1), so that data need not wait for the library. 0: all of them bounce. */
void kssl_config_set_kernel_key_update(struct kssl_config *config, int on);
/* What the connection bears and what happens by itself: deadlines, limits, new keys after
 * so many bytes, records or milliseconds (linux/kssl.h). NULL: the defaults. Of the flags
 * KSSL_POLICY_KEY_UPDATE means nothing here, see above. -EINVAL, -E2BIG. A new key is a
 * KeyUpdate, or in TLS 1.2 a renegotiation where that can be (see kssl_renegotiate()). */
int kssl_config_set_policy(struct kssl_config *config, const struct kssl_policy *policy);
/* Server: a client that does not answer a HelloRequest, or a certificate request after the
 * handshake, within struct kssl_policy.peer_ms fails the connection (ETIMEDOUT). Default
 * 0: it may ignore them (RFC 5246 7.4.1.1). */
void kssl_config_set_require_answer(struct kssl_config *config, int on);
/* The connection lives on when its helper, which is this process, is gone; see
 * kssl_detach(). Default 0: it fails at the next control record (ESRCH). */
void kssl_config_set_orphan(struct kssl_config *config, int on);
/* Client: resume this session, of kssl_get1_session(), if the server agrees; NULL: none.
 * A reference is taken. A session whose certificate was not good, or is not the server's
 * name's, is not offered. What trust it was made with is the caller's business. A ticket
 * of TLS 1.3 should be used once (RFC 8446 C.4). -ENOMEM. */
int kssl_config_set_session(struct kssl_config *config, SSL_SESSION *session);
/* Longest protected record we take, as record_size_limit tells the peer (RFC 8449): octets
 * of its content, in TLS 1.3 with type and padding; 64 to 16385. A client offers it, a
 * server answers with it to those that offer one. Default 0: a client offers none, a
 * server answers with the most there is. What the peer asks for is obeyed in any case, and
 * so is max_fragment_length (SSL_CTX_set_tlsext_max_fragment_length()). -EINVAL. */
int kssl_config_set_record_limit(struct kssl_config *config, unsigned int limit);
/* Bring your own SSL_CTX (a reference is taken): certificates, trust, callbacks
 * and options are yours; only the cipher list is narrowed to what the kernel has. It gets
 * an extension, for record_size_limit, so call this before other threads use it. */
int kssl_config_set_ssl_ctx(struct kssl_config *config, SSL_CTX *ctx);
/* Make a further SSL_CTX ready for connections of ours that a callback for server names or
 * ClientHellos moves to it (SSL_set_SSL_CTX()): without that they do not answer
 * record_size_limit. Likewise. -ENOMEM. */
int kssl_prepare_ssl_ctx(SSL_CTX *ctx);
/* No attendant thread: the caller polls kssl_fd() and calls kssl_attend(). */
void kssl_config_set_event_loop(struct kssl_config *config);
/* Milliseconds for the whole first handshake (default 30000). */
void kssl_config_set_timeout(struct kssl_config *config, int ms);

/* Called with the SSL object before its first step, to set what is this connection's own
 * (ALPN, session context, ex_data); anything but 0 is the -errno to fail with.
 * Keep off BIOs, record options and the message callback, which are the library's. */
typedef int kssl_prepare_fn(SSL *ssl, void *arg);
void kssl_config_set_prepare_callback(struct kssl_config *config, kssl_prepare_fn *cb, void *arg);
/* For kssl_adopt(): name of the profile that struct kssl_session tells (NULL: ""), and
 * what the kernel can carry (as KSSL_SUITES gives it; NULL: it is asked). -EINVAL, -ENOMEM. */
int kssl_config_set_profile(struct kssl_config *config, const char *profile);
int kssl_config_set_suites(struct kssl_config *config, const struct kssl_suite_info *suites,
			   unsigned int count);

/* What happened on the control path; called by the attendant (or kssl_attend()),
 * without locks held. Must not call kssl_free(). */
enum kssl_event {
	KSSL_EVENT_HANDSHAKE_DONE = 1,	/* the first handshake */
	KSSL_EVENT_RENEGOTIATED,	/* who tells who started it */
	KSSL_EVENT_KEY_UPDATE,		/* one direction has a new key; of those the kernel
					 * does, several may be one: compare the epochs */
	KSSL_EVENT_TICKET,		/* a NewSessionTicket was taken */
	KSSL_EVENT_REFUSED,		/* a renegotiation was refused; the connection lives */
	KSSL_EVENT_FAILED,
	KSSL_EVENT_CLOSED,		/* the socket was closed */
	KSSL_EVENT_AUTHENTICATED,	/* the peer showed a certificate after the first handshake */
};

struct kssl_event_info {
	enum kssl_event event;
	int by_peer;			/* 1: the peer started it, as far as can be known */
	struct kssl_status before;	/* status when it began */
	struct kssl_status after;
	const char *text;		/* one line for a person */
};

typedef void kssl_event_fn(struct kssl *k, const struct kssl_event_info *info, void *arg);
void kssl_config_set_event_callback(struct kssl_config *config, kssl_event_fn *cb, void *arg);

/* Who has these lines can read the connection: for debugging with the likes of Wireshark
 * only. Called with one line of a key log file (as with SSLKEYLOGFILE) for each secret, of
 * every handshake; by the thread that shakes hands, before the key is used. Secrets after
 * a KeyUpdate follow from the first ones; of those the kernel does, not every one is told. */
typedef void kssl_keylog_fn(const char *line, void *arg);
void kssl_config_set_keylog_callback(struct kssl_config *config, kssl_keylog_fn *cb, void *arg);

/*
 * Handshake on a connected socket; the caller keeps fd and closes it himself.
 * Blocks until done or timed out whatever O_NONBLOCK says; in event-loop mode it
 * returns at once and kssl_attend() carries the handshake (kssl_is_established()).
 * @name: host name or IP literal to verify and to send as SNI. NULL is EINVAL
 * unless verification is off.
 */
struct kssl *kssl_connect(int fd, const char *name, struct kssl_config *config);
struct kssl *kssl_accept(int fd, struct kssl_config *config);

/* Likewise for a helper that has no socket but its control file, of KSSL_CMD_ACCEPT, which
 * it gives away, whatever becomes of it. The application learns of the session and of a
 * failure from the kernel (KSSL_SESSION, KSSL_PEER_CHAIN, KSSL_EXPORTER, KSSL_ERROR). */
struct kssl *kssl_adopt(int control, int server, const char *name, struct kssl_config *config);
/* Fail a connection that is not to be adopted: a positive errno and one sentence. */
void kssl_refuse(int control, int err, const char *text);

/* The sentence for the last failure of k (or, with NULL, of this thread's last
 * kssl_connect/kssl_accept). Never NULL. */
const char *kssl_error(const struct kssl *k);
int kssl_is_established(const struct kssl *k);

/* Event-loop mode: file descriptor to poll for POLLIN (else -1), and the work to do then.
 * kssl_attend() never blocks; 0 or -errno once the connection failed. */
int kssl_fd(const struct kssl *k);
int kssl_attend(struct kssl *k);

/* Ask for a handshake now, one of KSSL_RENEG_*. Starts it and returns;
 * KSSL_EVENT_RENEGOTIATED tells the end, or KSSL_EVENT_REFUSED. In TLS 1.3 FULL and RESUME
 * are kssl_key_update() with request, and REQUEST_CERT and REQUIRE_CERT authentication
 * after the handshake: KSSL_EVENT_AUTHENTICATED tells that the client has shown a
 * certificate; if it need not and does not, nothing does, but kssl_wait() ends.
 * -EALREADY: one is running. -EOPNOTSUPP: not with this protocol (HTTP/2) or peer (no
 * RFC 5746, has refused before, does not offer post-handshake authentication).
 * -EINVAL: only a server asks for a certificate. The application can ask for the same
 * with setsockopt(KSSL_RENEGOTIATE). Whoever starts it, a renegotiation may change the suite, but fails the connection
 * (handshake_failure) if it drops encrypt-then-MAC or the extended master secret, or
 * changes server name or the certificate that the peer had shown. The ALPN protocol
 * stays that of the first handshake. */
int kssl_renegotiate(struct kssl *k, int how);
/* TLS 1.3: new sending key; with request, ask the peer for one as well. -EALREADY: not
 * now, because a message of the peer is not complete. -EOPNOTSUPP: not in this version.
 * -ENOTCONN: before the first handshake is done. -EPIPE: sending has ended. */
int kssl_key_update(struct kssl *k, int request);
/* Block until no handshake runs, at most ms milliseconds: 0, -ETIMEDOUT, or the error. */
int kssl_wait(struct kssl *k, int ms);

/* As kssl_config_set_policy(), from now on; all of it at once. -errno of KSSL_POLICY. */
int kssl_set_policy(struct kssl *k, const struct kssl_policy *policy);

/* Newest session of a client that a later connection can resume, with the tickets that
 * came meanwhile (KSSL_EVENT_TICKET); NULL if there is none. The reference is the
 * caller's (SSL_SESSION_free()). Good after kssl_free(k) too. */
SSL_SESSION *kssl_get1_session(const struct kssl *k);

/* Read-only view for certificates, ALPN, session. Only while no handshake runs. */
SSL *kssl_ssl(const struct kssl *k);
int kssl_status(const struct kssl *k, struct kssl_status *status);

/* Leave: the connection lives on without a helper (struct kssl_status.orphan). Up to TLS
 * 1.2 renegotiations are refused from now on, which in SSL 3.0 ends it; in TLS 1.3 the
 * kernel does KeyUpdates and drops tickets; only what needs a certificate fails it.
 * -EBUSY: a handshake runs, try again later. Afterwards k knows what it knew, but does nothing (-ENOTCONN). Not to be
 * called by the callback. */
int kssl_detach(struct kssl *k);

/* Release k. While the socket is open this gives up attendance: close or shut down the
 * socket first, or detach, or the kernel fails it at the next control record. */
void kssl_free(struct kssl *k);

#ifdef __cplusplus
}
#endif
#endif /* LIBKSSL_H */
