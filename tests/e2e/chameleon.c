// SPDX-License-Identifier: MIT
/* A peer that changes its mind. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "chameleon.h"

/* More than this of what it has made waits for nobody: then it makes no more. */
#define BACKLOG	65536

/* Our end of what it is told by. */
static int control;

/* ---- in its process ---- */

/**
 * struct self - the peer
 * @mind: what it wants
 * @server: role
 * @ssl: its SSL object
 * @wbio: what it writes; in memory, so that it can always read
 * @fd: its socket
 * @in: what to send
 * @out: what arrived
 * @control: where it is told
 * @got_hello: a ServerHello of this handshake came
 * @due: as client it is to begin a renegotiation
 * @urge: it is to begin one of those, or to send a KeyUpdate, when it can
 * @random: state of a generator
 * @tally: so far
 * @arrived: not yet written to @out
 * @arrived_pos: where that begins
 * @arrived_len: where it ends
 */
static struct self {
	struct mind mind;
	int server;
	SSL *ssl;
	BIO *wbio;
	int fd;
	int in;
	int out;
	int control;
	int got_hello;
	int due;
	int urge;
	uint64_t random;
	struct tally tally;
	uint8_t arrived[SSL3_RT_MAX_PLAIN_LENGTH];
	size_t arrived_pos;
	size_t arrived_len;
} me;

/* From 0 to @below - 1. */
static unsigned int any(unsigned int below)
{
	me.random ^= me.random << 13;
	me.random ^= me.random >> 7;
	me.random ^= me.random << 17;
	return (me.random >> 16) % below;
}

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
	if (!sent && message[0] == SSL3_MT_FINISHED)
		me.tally.handshakes++;
	if (message[0] == SSL3_MT_KEY_UPDATE && sent) {
		me.tally.updates_sent++;
		me.tally.updates_requested += message[len - 1];
	} else if (message[0] == SSL3_MT_KEY_UPDATE) {
		me.tally.updates_received++;
	}
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
	set_option(SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION, !m->unrest);
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

	CHECK(ctx && SSL_CTX_set_max_proto_version(ctx, v->version));
	CHECK(SSL_CTX_set_dh_auto(ctx, 1));
	SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	SSL_CTX_set_msg_callback(ctx, on_message);
	me.ssl = SSL_new(ctx);
	me.wbio = BIO_new(BIO_s_mem());
	CHECK(me.ssl && me.wbio && SSL_set_fd(me.ssl, me.fd));
	SSL_set0_wbio(me.ssl, me.wbio);
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

/* What it has written, as far as the socket takes it. */
static void flush_written(void)
{
	char *data;
	long len = BIO_get_mem_data(me.wbio, &data);
	ssize_t n = len ? write(me.fd, data, len) : 0;
	char gone[4096];

	/* If the connection is over, reading tells how. */
	if (n < 0 && errno != EAGAIN)
		n = len;
	for (; n > 0; n -= len) {
		len = (size_t)n < sizeof(gone) ? n : (long)sizeof(gone);
		EQ(BIO_read(me.wbio, gone, len), len);
	}
}

static void flush_arrived(void)
{
	ssize_t n = write(me.out, me.arrived + me.arrived_pos, me.arrived_len - me.arrived_pos);

	if (n < 0 && errno == EAGAIN)
		return;
	me.arrived_pos += SYS(n);
	if (me.arrived_pos < me.arrived_len)
		return;
	me.arrived_pos = 0;
	me.arrived_len = 0;
}

static void feel_urge(void)
{
	me.urge |= me.mind.unrest && !any(me.mind.unrest);
}

/* What comes, and what that leads to; -1, or how it ended. */
static int receive(void)
{
	int n;

	while (!me.arrived_len) {
		me.due = 0;
		ERR_clear_error();
		n = SSL_read(me.ssl, me.arrived, sizeof(me.arrived));
		if (n <= 0)
			return SSL_get_error(me.ssl, n) == SSL_ERROR_WANT_READ ? -1 : ending(n);
		me.arrived_len = n;
		/* It read on to the end of a record first, so it is still to begin. */
		me.due = !me.server && SSL_renegotiate_pending(me.ssl) && !SSL_in_init(me.ssl);
		feel_urge();
		flush_arrived();
	}
	return -1;
}

/* ---- beginnings ---- */

/* The next handshake has one of the suites. */
static void pick_suite(void)
{
	char suites[sizeof(me.mind.suites)], *suite = suites;
	int count = 1, i;

	memcpy(suites, me.mind.suites, sizeof(suites));
	for (i = 0; suites[i]; i++)
		count += suites[i] == ':';
	for (i = any(count); i; i--)
		suite = strchr(suite, ':') + 1;
	suite[strcspn(suite, ":")] = 0;
	CHECK(SSL_set_cipher_list(me.ssl, suite));
}

/* As client OpenSSL bears data up to the ServerHello, if SSL_read begins. */
static int renegotiate(void)
{
	int n;

	me.tally.started++;
	ERR_clear_error();
	EQ(SSL_renegotiate(me.ssl), 1);
	if (!me.server) {
		me.due = 1;
		return receive();
	}
	n = SSL_do_handshake(me.ssl);
	return n == 1 || SSL_get_error(me.ssl, n) == SSL_ERROR_WANT_READ ? -1 : ending(n);
}

static int begin(void)
{
	me.urge = 0;
	if (is_13()) {
		ERR_clear_error();
		EQ(SSL_key_update(me.ssl, any(2) ? SSL_KEY_UPDATE_REQUESTED :
				  SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		EQ(SSL_do_handshake(me.ssl), 1);
		return -1;
	}
	if (SSL_renegotiate_pending(me.ssl))
		return -1;
	pick_suite();
	return renegotiate();
}

static int change(void)
{
	int n = SYS(read(me.control, &me.mind, sizeof(me.mind)));

	if (!n)
		return CHAMELEON_CUT_OFF;
	EQ(n, sizeof(me.mind));
	if (me.mind.unrest && !me.random)
		me.random = me.mind.seed | 1;
	me.urge &= me.mind.unrest != 0;
	apply();
	/* Now, for the answer to what it begins may be its end. */
	EQ(SYS(write(me.control, &me.tally, sizeof(me.tally))), sizeof(me.tally));
	return me.mind.renegotiate ? renegotiate() : -1;
}

/* ---- its life ---- */

/*
 * Is it in a handshake, or about to be?  As client OpenSSL does not begin one between two parts of a record that comes;
 * then SSL_write would, and bear no data.
 */
static int is_busy(void)
{
	return me.due || SSL_in_init(me.ssl) || (!me.server && SSL_renegotiate_pending(me.ssl));
}

static int may_send(void)
{
	return !is_busy() && BIO_pending(me.wbio) < BACKLOG;
}

static int send_more(void)
{
	static uint8_t buf[SSL3_RT_MAX_PLAIN_LENGTH];
	size_t most = sizeof(buf);
	int n;

	if (me.mind.unrest)
		most = any(2) ? 1 + any(200) : 1 + any(sizeof(buf));
	n = SYS(read(me.in, buf, most));
	if (!n)
		return CHAMELEON_CUT_OFF;	/* the test is gone */
	ERR_clear_error();
	n = SSL_write(me.ssl, buf, n);
	if (n <= 0)
		return ending(n);
	feel_urge();
	return -1;
}

static int be(void)
{
	struct pollfd fds[4] = {
		{ .fd = me.fd },
		{ .fd = me.in },
		{ .fd = me.control },
		{ .events = POLLOUT },
	};
	int end = -1, n;

	make_ssl();
	SYS(fcntl(me.fd, F_SETFL, O_NONBLOCK));
	SYS(fcntl(me.out, F_SETFL, O_NONBLOCK));
	n = SSL_do_handshake(me.ssl);
	if (n <= 0 && SSL_get_error(me.ssl, n) != SSL_ERROR_WANT_READ)
		return ending(n);
	while (end < 0) {
		flush_written();
		fds[0].events = (me.arrived_len ? 0 : POLLIN) | (BIO_pending(me.wbio) ? POLLOUT : 0);
		fds[1].events = may_send() ? POLLIN : 0;
		fds[2].events = is_busy() ? 0 : POLLIN;
		fds[3].fd = me.arrived_len ? me.out : -1;
		SYS(poll(fds, 4, me.due && !me.arrived_len ? 0 : -1));
		if (me.urge && may_send())
			end = begin();
		else if (fds[3].revents)
			flush_arrived();
		else if (fds[2].revents & POLLHUP || fds[1].revents & POLLHUP)
			end = CHAMELEON_CUT_OFF;
		else if (fds[2].revents)
			end = change();
		else if (fds[0].revents & ~POLLOUT || me.due)
			end = receive();
		else if (fds[1].revents)
			end = send_more();
	}
	SYS(fcntl(me.fd, F_SETFL, 0));
	flush_written();
	return end | (me.got_hello ? CHAMELEON_GOT_HELLO : 0);
}

/* ---- in the test's ---- */

static int agree_to_first(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			  const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)in_len;
	(void)arg;
	*out_len = in[0];
	*out = in + 1;
	return SSL_TLSEXT_ERR_OK;
}

struct kssl_config *agreeable_config(const char *cert)
{
	static const unsigned char protocols[] = "\003one\003two";
	struct kssl_config *config = link_config(NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	char key[256];

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	CHECK(SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"));
	CHECK(SSL_CTX_set_dh_auto(ctx, 1));
	SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	if (v->server) {
		snprintf(key, sizeof(key), "%s", cert_path(cert, "key"));
		CHECK(SSL_CTX_use_certificate_file(ctx, cert_path(cert, "crt"), SSL_FILETYPE_PEM) == 1);
		CHECK(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1);
		SSL_CTX_set_alpn_select_cb(ctx, agree_to_first, NULL);
	} else {
		EQ(SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1), 0);
	}
	GIVES(kssl_config_set_ssl_ctx(config, ctx), 0);
	SSL_CTX_free(ctx);
	return config;
}

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

struct tally chameleon_tell(const struct mind *mind)
{
	struct tally tally;

	EQ(SYS(write(control, mind, sizeof(*mind))), sizeof(*mind));
	EQ(SYS(read(control, &tally, sizeof(tally))), sizeof(tally));
	return tally;
}

int chameleon_join(struct link *l)
{
	int status;

	EQ(SYS(waitpid(l->peer.pid, &status, 0)), l->peer.pid);
	l->peer.pid = 0;
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}
