// SPDX-License-Identifier: MIT
/* A peer that changes its mind. */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "chameleon.h"

/* Our end of what it is told by. */
static int control;

/* ---- in its process ---- */

/**
 * struct self - the peer
 * @mind: what it wants
 * @server: role
 * @ssl: its SSL object
 * @fd: its socket
 * @in: what to send
 * @out: what arrived
 * @control: where it is told
 * @got_hello: a ServerHello of this handshake came
 */
static struct self {
	struct mind mind;
	int server;
	SSL *ssl;
	int fd;
	int in;
	int out;
	int control;
	int got_hello;
} me;

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	*out_len = strlen(me.mind.alpn);
	for (; in_len > in[0]; in_len -= 1 + in[0], in += 1 + in[0]) {
		*out = in + 1;
		if (in[0] == *out_len && !memcmp(in + 1, me.mind.alpn, *out_len))
			return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static void on_message(int sent, int version, int content_type, const void *buf, size_t len,
		       SSL *ssl, void *arg)
{
	const uint8_t *message = buf;

	(void)version;
	(void)ssl;
	(void)arg;
	if (content_type != SSL3_RT_HANDSHAKE || !len)
		return;
	if (message[0] == SSL3_MT_CLIENT_HELLO)
		me.got_hello = 0;
	if (!sent && message[0] == SSL3_MT_SERVER_HELLO)
		me.got_hello = 1;
}

static void set_option(uint64_t option, int on)
{
	if (on)
		SSL_set_options(me.ssl, option);
	else
		SSL_clear_options(me.ssl, option);
}

static void apply(void)
{
	struct mind *m = &me.mind;
	unsigned char protocols[sizeof(m->alpn) + 1];

	CHECK(SSL_set_cipher_list(me.ssl, m->suites));
	set_option(SSL_OP_NO_ENCRYPT_THEN_MAC, m->no_etm);
	set_option(SSL_OP_NO_EXTENDED_MASTER_SECRET, m->no_ems);
	if (me.server) {
		CHECK(SSL_use_certificate_file(me.ssl, cert_path(m->cert, "crt"), SSL_FILETYPE_PEM) == 1);
		CHECK(SSL_use_PrivateKey_file(me.ssl, cert_path(m->cert, "key"), SSL_FILETYPE_PEM) == 1);
		return;
	}
	protocols[0] = strlen(m->alpn);
	memcpy(protocols + 1, m->alpn, protocols[0]);
	EQ(SSL_set_alpn_protos(me.ssl, protocols, protocols[0] ? protocols[0] + 1 : 0), 0);
	EQ(SSL_set_tlsext_host_name(me.ssl, m->name[0] ? m->name : NULL), 1);
}

static void make_ssl(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	CHECK(ctx && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
	CHECK(SSL_CTX_set_dh_auto(ctx, 1));
	SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
				 SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_msg_callback(ctx, on_message);
	me.ssl = SSL_new(ctx);
	CHECK(me.ssl && SSL_set_fd(me.ssl, me.fd));
	SSL_CTX_free(ctx);
	if (me.server)
		SSL_set_accept_state(me.ssl);
	else
		SSL_set_connect_state(me.ssl);
	apply();
}

/* Why OpenSSL gave up. */
static int ending(int ret)
{
	int error = SSL_get_error(me.ssl, ret), reason;
	unsigned long code;

	if (error == SSL_ERROR_ZERO_RETURN)
		return CHAMELEON_CLOSED;
	while ((code = ERR_get_error())) {
		reason = ERR_GET_REASON(code);
		if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
		    reason < SSL_AD_REASON_OFFSET + CHAMELEON_CUT_OFF)
			return reason - SSL_AD_REASON_OFFSET;
		note("the peer: %s", ERR_reason_error_string(code));
	}
	return error == SSL_ERROR_SYSCALL ? CHAMELEON_CUT_OFF : CHAMELEON_CONFUSED;
}

/* What comes; -1, or how it ended. */
static int receive(void)
{
	static uint8_t buf[SSL3_RT_MAX_PLAIN_LENGTH];
	int n;

	for (;;) {
		ERR_clear_error();
		n = SSL_read(me.ssl, buf, sizeof(buf));
		if (n <= 0)
			return SSL_get_error(me.ssl, n) == SSL_ERROR_WANT_READ ? -1 : ending(n);
		EQ(SYS(write(me.out, buf, n)), n);
	}
}

/* What is to be sent; likewise. */
static int send_more(void)
{
	static uint8_t buf[SSL3_RT_MAX_PLAIN_LENGTH];
	int n = SYS(read(me.in, buf, sizeof(buf))), ret;

	if (!n)
		return CHAMELEON_CUT_OFF;	/* the test is gone */
	for (;;) {
		struct pollfd pfd = { .fd = me.fd, .events = POLLOUT };

		ERR_clear_error();
		ret = SSL_write(me.ssl, buf, n);
		if (ret > 0)
			return -1;
		if (SSL_get_error(me.ssl, ret) != SSL_ERROR_WANT_WRITE)
			return ending(ret);
		SYS(poll(&pfd, 1, -1));
	}
}

static int change(void)
{
	int n = SYS(read(me.control, &me.mind, sizeof(me.mind)));

	if (!n)
		return CHAMELEON_CUT_OFF;
	EQ(n, sizeof(me.mind));
	apply();
	/* Now, for the answer to what it begins may be its end. */
	EQ(SYS(write(me.control, "", 1)), 1);
	if (me.mind.renegotiate) {
		ERR_clear_error();
		EQ(SSL_renegotiate(me.ssl), 1);
		n = SSL_do_handshake(me.ssl);
		if (n <= 0 && SSL_get_error(me.ssl, n) != SSL_ERROR_WANT_READ)
			return ending(n);
	}
	return -1;
}

static int be(void)
{
	struct pollfd fds[3] = {
		{ .fd = me.fd, .events = POLLIN },
		{ .fd = me.in },
		{ .fd = me.control, .events = POLLIN },
	};
	int end = -1, n;

	make_ssl();
	SYS(fcntl(me.fd, F_SETFL, O_NONBLOCK));
	n = SSL_do_handshake(me.ssl);
	if (n <= 0 && SSL_get_error(me.ssl, n) != SSL_ERROR_WANT_READ)
		return ending(n);
	while (end < 0) {
		fds[1].events = SSL_in_init(me.ssl) ? 0 : POLLIN;
		SYS(poll(fds, 3, -1));
		if (fds[0].revents)
			end = receive();
		else if (fds[2].revents)
			end = change();
		else if (fds[1].revents)
			end = send_more();
	}
	return end | (me.got_hello ? CHAMELEON_GOT_HELLO : 0);
}

/* ---- in the test's ---- */

void chameleon_start(struct link *l, const struct mind *mind)
{
	int in[2], out[2], told[2];

	me.fd = link_pair(l, v->server);
	SYS(pipe2(in, O_CLOEXEC));
	SYS(pipe2(out, O_CLOEXEC));
	SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, told));
	l->peer.pid = SYS(fork());
	if (!l->peer.pid) {
		explain = NULL;
		me.mind = *mind;
		me.server = !v->server;
		me.in = in[0];
		me.out = out[1];
		me.control = told[1];
		close(l->fd);
		close(in[1]);
		close(out[0]);
		close(told[0]);
		_exit(be());
	}
	close(me.fd);
	close(in[0]);
	close(out[1]);
	close(told[1]);
	control = told[0];
	l->peer.in = in[1];
	l->peer.out = out[0];
	l->peer.err = -1;
	l->peer.binary = 1;
	SYS(fcntl(l->peer.in, F_SETFL, O_NONBLOCK));
	SYS(fcntl(l->peer.out, F_SETFL, O_NONBLOCK));
}

void chameleon_tell(const struct mind *mind)
{
	char byte;

	EQ(SYS(write(control, mind, sizeof(*mind))), sizeof(*mind));
	EQ(SYS(read(control, &byte, 1)), 1);
}

int chameleon_join(struct link *l)
{
	int status;

	EQ(SYS(waitpid(l->peer.pid, &status, 0)), l->peer.pid);
	l->peer.pid = 0;
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}
