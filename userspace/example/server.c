// SPDX-License-Identifier: MIT
/*
 * A small HTTPS server of files, with OpenSSL alone.  server.patch ports it to libkssl, and
 * changes nothing in make_ctx() and the callbacks: they see the same handshakes as before.
 *
 *	server PORT DIRECTORY CERTIFICATE KEY [CA]
 *
 * With CA, clients show a certificate that it has issued.
 */
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct conn {
	int fd;
	SSL *ssl;
	char buf[8192];		/* requests that have come so far */
	size_t len;
};

static SSL_CTX *ctx;
static int directory;

/* ---- the SSL_CTX and its callbacks ---- */

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in,
		       unsigned int in_len, void *arg)
{
	static const unsigned char ours[] = "\10http/1.1";

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)out, len, ours, sizeof(ours) - 1, in, in_len) ==
	       OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Who asks for another server than this one is better told so than shown a certificate he cannot use. */
static int check_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)arg;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return !name || X509_check_host(SSL_get_certificate(ssl), name, 0, 0, NULL) == 1 ? SSL_TLSEXT_ERR_OK :
											   SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int log_client(int ok, X509_STORE_CTX *store)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	char name[256] = "nobody";

	if (cert)
		X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
	if (!ok || !X509_STORE_CTX_get_error_depth(store))
		fprintf(stderr, "client %s: %s\n", name,
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	return ok;
}

static void make_ctx(const char *cert, const char *key, const char *ca)
{
	ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1 ||
	    !SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"files", 5) ||
	    (ca && SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	if (ca) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, log_client);
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(ca));
	}
	/* OpenSSL refuses them otherwise since 3.0. */
	SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, check_name);
}

/* ---- HTTP ---- */

static ssize_t get(struct conn *c)
{
	return SSL_read(c->ssl, c->buf + c->len, (int)(sizeof(c->buf) - 1 - c->len));
}

static bool put(struct conn *c, const char *text)
{
	return SSL_write(c->ssl, text, (int)strlen(text)) > 0;
}

static bool put_file(struct conn *c, int file, off_t left)
{
	char buf[16384];
	ssize_t n;

	for (; left > 0; left -= n) {
		n = read(file, buf, left < (off_t)sizeof(buf) ? (size_t)left : sizeof(buf));
		if (n <= 0 || SSL_write(c->ssl, buf, (int)n) <= 0)
			return false;
	}
	return true;
}

static bool send_file(struct conn *c, const char *path)
{
	int file = strstr(path, "..") ? -1 : openat(directory, path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char head[128];
	bool ok;

	if (file < 0 || fstat(file, &st) || !S_ISREG(st.st_mode)) {
		ok = put(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	} else {
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)st.st_size);
		ok = put(c, head) && put_file(c, file, st.st_size);
	}
	if (file >= 0)
		close(file);
	return ok;
}

/* One request; false when there are no more. */
static bool answer(struct conn *c)
{
	char path[1024], *end;
	ssize_t n;

	c->buf[c->len] = 0;
	while (!(end = strstr(c->buf, "\r\n\r\n"))) {
		n = get(c);
		if (n <= 0)
			return false;
		c->len += (size_t)n;
		c->buf[c->len] = 0;
	}
	if (sscanf(c->buf, "GET /%1023s HTTP/1.1", path) != 1) {
		put(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		return false;
	}
	c->len -= (size_t)(end + 4 - c->buf);
	memmove(c->buf, end + 4, c->len);
	return send_file(c, path);
}

static void *serve(void *arg)
{
	struct conn *c = arg;

	c->ssl = SSL_new(ctx);
	if (c->ssl && SSL_set_fd(c->ssl, c->fd) && SSL_accept(c->ssl) == 1) {
		while (answer(c))
			;
		SSL_shutdown(c->ssl);
	} else {
		ERR_print_errors_fp(stderr);
	}
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	pthread_t thread;

	if (argc != 5 && argc != 6)
		errx(2, "usage: PORT DIRECTORY CERTIFICATE KEY [CA]");
	signal(SIGPIPE, SIG_IGN);
	make_ctx(argv[3], argv[4], argv[5]);
	directory = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		err(1, "%s", argv[2]);
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 128))
		err(1, "port %s", argv[1]);
	for (;;) {
		struct conn *c = calloc(1, sizeof(*c));

		if (!c)
			err(1, "memory");
		c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (c->fd >= 0 && !pthread_create(&thread, NULL, serve, c)) {
			pthread_detach(thread);
			continue;
		}
		warn("connection");
		if (c->fd >= 0)
			close(c->fd);
		free(c);
	}
}
