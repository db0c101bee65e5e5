// SPDX-License-Identifier: MIT
/*
 * The four modes behind struct transport.  A mode that cannot do what its name
 * says fails; none falls back to another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "perf.h"

#define REKEY_WAIT_MS	30000

static int fail_errno(struct conn *conn, const char *what)
{
	set_text(conn->error, "%s: %s", what, strerror(errno));
	return -1;
}

/* Empties OpenSSL's error queue; the oldest entry is the cause. */
static void openssl_reason(char error[static PERF_TEXT_LEN], const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (!reason)
		reason = errno ? strerror(errno) : "connection closed";
	set_text(error, "%s: %s", what, reason);
	ERR_clear_error();
}

/* tcp: nothing but the socket. */

static int tcp_open(struct conn *conn)
{
	set_text(conn->protocol, "TCP");
	return 0;
}

static ssize_t tcp_send(struct conn *conn, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = send(conn->fd, buf, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? n : fail_errno(conn, "send");
}

static ssize_t tcp_recv(struct conn *conn, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(conn->fd, buf, len, 0);
	} while (n < 0 && errno == EINTR);
	return n >= 0 ? n : fail_errno(conn, "recv");
}

static int tcp_finish(struct conn *conn)
{
	return shutdown(conn->fd, SHUT_WR) ? fail_errno(conn, "shutdown") : 0;
}

static int tcp_check(struct conn *conn, uint64_t bytes)
{
	(void)conn;
	(void)bytes;
	return 0;
}

static void tcp_close(struct conn *conn)
{
	(void)conn;
}

/* openssl: the record layer in user space. */

static int is_address(const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static int expect_name(SSL *ssl, const char *name)
{
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	return SSL_set_tlsext_host_name(ssl, name) && SSL_set1_host(ssl, name);
}

static int openssl_handshake(struct conn *conn, bool server)
{
	int ret;

	errno = 0;
	ERR_clear_error();
	conn->ssl = SSL_new(conn->endpoint->ctx);
	if (!conn->ssl || !SSL_set_fd(conn->ssl, conn->fd) ||
	    (!server && !expect_name(conn->ssl, conn->endpoint->name))) {
		openssl_reason(conn->error, "SSL_new");
		return -1;
	}
	ret = server ? SSL_accept(conn->ssl) : SSL_connect(conn->ssl);
	if (ret != 1) {
		openssl_reason(conn->error, "TLS handshake");
		return -1;
	}
	set_text(conn->protocol, "%s, %s, %s", SSL_get_version(conn->ssl),
		 SSL_get_cipher(conn->ssl), OpenSSL_version(OPENSSL_VERSION_STRING));
	return 0;
}

static int openssl_open(struct conn *conn)
{
	return openssl_handshake(conn, false);
}

static int openssl_accept(struct conn *conn)
{
	return openssl_handshake(conn, true);
}

static ssize_t openssl_send(struct conn *conn, const void *buf, size_t len)
{
	size_t n;

	errno = 0;
	if (SSL_write_ex(conn->ssl, buf, len, &n) == 1)
		return (ssize_t)n;
	openssl_reason(conn->error, "SSL_write");
	return -1;
}

static ssize_t openssl_recv(struct conn *conn, void *buf, size_t len)
{
	size_t n;

	errno = 0;
	if (SSL_read_ex(conn->ssl, buf, len, &n) == 1)
		return (ssize_t)n;
	if (SSL_get_error(conn->ssl, 0) == SSL_ERROR_ZERO_RETURN)
		return 0;
	openssl_reason(conn->error, "SSL_read");
	return -1;
}

static int openssl_finish(struct conn *conn)
{
	errno = 0;
	if (SSL_shutdown(conn->ssl) >= 0)
		return tcp_finish(conn);
	openssl_reason(conn->error, "SSL_shutdown");
	return -1;
}

static void openssl_close(struct conn *conn)
{
	SSL_free(conn->ssl);
	conn->ssl = NULL;
}

/* ktls: the record layer of the kernel's tls module, set up by OpenSSL. */

static int ktls_verify(struct conn *conn)
{
	bool sender = conn->endpoint->sender;

	if (sender ? BIO_get_ktls_send(SSL_get_wbio(conn->ssl)) :
		     BIO_get_ktls_recv(SSL_get_rbio(conn->ssl))) {
		size_t len = strlen(conn->protocol);

		snprintf(conn->protocol + len, PERF_TEXT_LEN - len, ", kTLS %s",
			 sender ? "send" : "recv");
		return 0;
	}
	if (!sender && SSL_version(conn->ssl) == TLS1_3_VERSION &&
	    OpenSSL_version_num() < 0x30200000)
		set_text(conn->error,
			 "kTLS is not on for receiving: OpenSSL before 3.2 (here: %s) cannot in TLS 1.3",
			 OpenSSL_version(OPENSSL_VERSION_STRING));
	else
		set_text(conn->error,
			 "kTLS is not on for %s: no tls module, or no offload of %s by it or OpenSSL",
			 sender ? "sending" : "receiving", SSL_get_cipher(conn->ssl));
	return -1;
}

static int ktls_open(struct conn *conn)
{
	return openssl_open(conn) ? -1 : ktls_verify(conn);
}

static int ktls_accept(struct conn *conn)
{
	return openssl_accept(conn) ? -1 : ktls_verify(conn);
}

/* kssl: libkssl shakes hands, then the socket is an ordinary one. */

static int read_status(struct conn *conn)
{
	socklen_t len = sizeof(conn->status);

	conn->status.size = sizeof(conn->status);
	if (getsockopt(conn->fd, SOL_KSSL, KSSL_STATUS, &conn->status, &len))
		return fail_errno(conn, "KSSL_STATUS");
	return 0;
}

/* Runs in the attendant's thread; the report does its own locking. */
static void forward_event(struct kssl *kssl, const struct kssl_event_info *info, void *arg)
{
	const struct conn *conn = arg;

	(void)kssl;
	report_event(conn->report, conn->id, info->text);
}

static struct kssl_config *new_config(struct conn *conn)
{
	const struct options *options = conn->endpoint->options;
	struct kssl_policy policy = {
		.size = sizeof(policy), .rekey_bytes = options->rekey_bytes,
		.pad_to = (uint32_t)options->pad_to,
	};
	struct kssl_config *config = kssl_config_new();

	if (!config)
		return NULL;
	if (kssl_config_set_ssl_ctx(config, conn->endpoint->ctx) ||
	    kssl_config_set_policy(config, &policy) ||
	    kssl_config_set_record_limit(config, (unsigned int)options->record_limit)) {
		kssl_config_free(config);
		return NULL;
	}
	kssl_config_set_kernel_key_update(config, !options->bounce);
	if (options->insecure)
		kssl_config_insecure_noverify(config);
	kssl_config_set_event_callback(config, forward_event, conn);
	return config;
}

static int attended_handshake(struct conn *conn, bool server)
{
	SSL *ssl;

	conn->config = new_config(conn);
	if (!conn->config)
		return fail_errno(conn, "kssl configuration");
	if (server)
		conn->kssl = kssl_accept(conn->fd, conn->config);
	else
		conn->kssl = kssl_connect(conn->fd, conn->endpoint->name, conn->config);
	if (!conn->kssl) {
		set_text(conn->error, "kssl handshake: %.200s", kssl_error(NULL));
		return -1;
	}
	if (read_status(conn))
		return -1;
	ssl = kssl_ssl(conn->kssl);
	set_text(conn->protocol, "%s, %s, kssl send 0x%04x recv 0x%04x%s",
		 ssl ? SSL_get_version(ssl) : "TLS", ssl ? SSL_get_cipher(ssl) : "?",
		 conn->status.tx.suite, conn->status.rx.suite,
		 conn->status.tx.flags & KSSL_KEY_ETM ? ", encrypt-then-MAC" : "");
	return 0;
}

static int attended_open(struct conn *conn)
{
	return attended_handshake(conn, false);
}

static int attended_accept(struct conn *conn)
{
	return attended_handshake(conn, true);
}

/* What the kernel or the helper knows says more than the errno of a call. */
static int explain(struct conn *conn)
{
	struct kssl_error cause = { .size = sizeof(cause) };
	socklen_t len = sizeof(cause);
	char call[64];

	if (getsockopt(conn->fd, SOL_KSSL, KSSL_ERROR, &cause, &len) || !cause.err)
		return -1;
	snprintf(call, sizeof(call), "%.63s", conn->error);
	set_text(conn->error, "%s (%.*s)", call, (int)sizeof(cause.text), cause.text);
	return -1;
}

static ssize_t attended_send(struct conn *conn, const void *buf, size_t len)
{
	ssize_t n = tcp_send(conn, buf, len);

	return n < 0 ? explain(conn) : n;
}

static ssize_t attended_recv(struct conn *conn, void *buf, size_t len)
{
	ssize_t n = tcp_recv(conn, buf, len);

	return n < 0 ? explain(conn) : n;
}

/* A handshake that still runs must end before close_notify goes out. */
static int attended_finish(struct conn *conn)
{
	int err = kssl_wait(conn->kssl, REKEY_WAIT_MS);

	if (err) {
		set_text(conn->error, "a handshake did not end: %s", strerror(-err));
		return explain(conn);
	}
	return tcp_finish(conn);
}

static int attended_rekey(struct conn *conn)
{
	int err;

	if (conn->status.tx.version >= TLS1_3_VERSION)
		err = kssl_key_update(conn->kssl, 1);
	else
		err = kssl_renegotiate(conn->kssl, KSSL_RENEG_FULL);
	if (!err || err == -EALREADY)
		return 0;
	set_text(conn->error, "renegotiation: %s", kssl_error(conn->kssl));
	return -1;
}

/* The kernel's own count: bytes that went another way would be missing in it. */
static int attended_check(struct conn *conn, uint64_t bytes)
{
	const struct kssl_dir_status *dir;

	if (read_status(conn))
		return -1;
	dir = conn->endpoint->sender ? &conn->status.tx : &conn->status.rx;
	if (dir->bytes == bytes)
		return 0;
	set_text(conn->error, "kssl counted %llu bytes, but %llu went through the socket",
		 (unsigned long long)dir->bytes, (unsigned long long)bytes);
	return -1;
}

static void attended_close(struct conn *conn)
{
	shutdown(conn->fd, SHUT_RDWR);
	if (conn->kssl)
		kssl_free(conn->kssl);
	if (conn->config)
		kssl_config_free(conn->config);
	conn->kssl = NULL;
	conn->config = NULL;
}

static const struct transport transports[] = {
	{
		.name = "tcp",
		.open = tcp_open,
		.accept = tcp_open,
		.send = tcp_send,
		.recv = tcp_recv,
		.finish = tcp_finish,
		.check = tcp_check,
		.close = tcp_close,
	},
	{
		.name = "openssl",
		.tls = true,
		.open = openssl_open,
		.accept = openssl_accept,
		.send = openssl_send,
		.recv = openssl_recv,
		.finish = openssl_finish,
		.check = tcp_check,
		.close = openssl_close,
	},
	{
		.name = "ktls",
		.tls = true,
		.ssl_options = SSL_OP_ENABLE_KTLS,
		.open = ktls_open,
		.accept = ktls_accept,
		.send = openssl_send,
		.recv = openssl_recv,
		.finish = openssl_finish,
		.check = tcp_check,
		.close = openssl_close,
	},
	{
		.name = "kssl",
		.tls = true,
		.ssl_options = SSL_OP_ALLOW_CLIENT_RENEGOTIATION,
		.open = attended_open,
		.accept = attended_accept,
		.send = attended_send,
		.recv = attended_recv,
		.finish = attended_finish,
		.rekey = attended_rekey,
		.check = attended_check,
		.close = attended_close,
	},
};

const struct transport *transport_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (!strcmp(transports[i].name, name))
			return &transports[i];
	return NULL;
}

static int set_suite(SSL_CTX *ctx, const struct params *params)
{
	if (!params->suite[0])
		return 1;
	/* Who asks for a short tag by name shall have it. */
	SSL_CTX_set_security_level(ctx, 0);
	if (params->tls_version == TLS1_3_VERSION)
		return SSL_CTX_set_ciphersuites(ctx, params->suite);
	return SSL_CTX_set_cipher_list(ctx, params->suite);
}

static int set_own_cert(SSL_CTX *ctx, const struct options *options, const struct params *params)
{
	bool rsa = params->tls_version == TLS1_2_VERSION && params->suite[0] &&
		   !strstr(params->suite, "ECDSA");

	if (options->cert || options->key)
		return SSL_CTX_use_certificate_chain_file(ctx, options->cert ?: options->key) ==
			       1 &&
		       SSL_CTX_use_PrivateKey_file(ctx, options->key ?: options->cert,
						   SSL_FILETYPE_PEM) == 1;
	return !options->server || !self_signed(ctx, rsa);
}

static int set_trust(SSL_CTX *ctx, const struct options *options)
{
	if (options->server || options->insecure)
		return 1;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return options->ca ? SSL_CTX_load_verify_file(ctx, options->ca) :
			     SSL_CTX_set_default_verify_paths(ctx);
}

/**
 * endpoint_init() - prepare what all streams of one end share
 * @endpoint: to fill
 * @options: this end's command line, outlives @endpoint
 * @params: what the two ends agreed on
 * @error: (out) a sentence
 *
 * Return: 0, or -1 with nothing to clean up.
 */
int endpoint_init(struct endpoint *endpoint, const struct options *options,
		  const struct params *params, char error[static PERF_TEXT_LEN])
{
	SSL_CTX *ctx = NULL;

	if (params->transport->tls) {
		errno = 0;
		ERR_clear_error();
		ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
		if (!ctx || !SSL_CTX_set_min_proto_version(ctx, params->tls_version) ||
		    !SSL_CTX_set_max_proto_version(ctx, params->tls_version) ||
		    !set_suite(ctx, params) || !set_own_cert(ctx, options, params) ||
		    !set_trust(ctx, options)) {
			openssl_reason(error, "TLS configuration");
			SSL_CTX_free(ctx);
			return -1;
		}
		SSL_CTX_set_options(ctx, params->transport->ssl_options);
		if (options->mte)
			SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
		/* A client that only sends would leave tickets unread, and close with a RST. */
		if (!params->transport->rekey)
			SSL_CTX_set_num_tickets(ctx, 0);
	}
	endpoint->options = options;
	endpoint->transport = params->transport;
	endpoint->name = options->name ?: options->host;
	endpoint->sender = options->server == params->reverse;
	endpoint->ctx = ctx;
	return 0;
}

void endpoint_cleanup(struct endpoint *endpoint)
{
	SSL_CTX_free(endpoint->ctx);
	endpoint->ctx = NULL;
}
