// SPDX-License-Identifier: MIT
/*
 * Data behind a Finished that was not verified is nobody's (RFC 5246 7.4.9, RFC
 * 8446 4.4.4), even when it comes in the same segment.
 */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "forger.h"
#include "link.h"

static struct link l;

/* The forger, in a process of its own, at the other end of @l. */
static pid_t start(struct forger *f)
{
	pid_t pid;

	f->server = !v->server;
	f->version = v->version;
	f->fd = link_pair(&l, v->server);
	pid = SYS(fork());
	if (!pid) {
		close(l.fd);
		_exit(forger_run(f));
	}
	close(f->fd);
	return pid;
}

static pid_t start_forger(int handshake, int honest)
{
	return start(&(struct forger) { .handshake = handshake, .honest = honest });
}

/* How it ended. */
static int join_forger(pid_t pid)
{
	int status;

	EQ(SYS(waitpid(pid, &status, 0)), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void read_exactly(const char *text)
{
	char buf[64] = "";

	EQ(SYS(recv(l.fd, buf, strlen(text), MSG_WAITALL)), strlen(text));
	CHECK(!strcmp(buf, text));
}

static struct kssl *handshake(void)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct kssl *k = link_handshake(&l, config, "localhost");

	kssl_config_free(config);
	return k;
}

/* The control: all is well if the Finished is. */
static void check_honest(int handshakes)
{
	pid_t pid = start_forger(handshakes, 1);

	CHECK(handshake());
	if (handshakes == 2)
		read_exactly(FORGER_BEFORE);
	read_exactly(FORGER_BEHIND);
	GIVES(kssl_wait(l.k, 60000), 0);
	EQ(link_status(&l).handshakes, handshakes);
	EQ(link_status(&l).rx.epoch, handshakes);
	SYS(shutdown(l.fd, SHUT_WR));
	EQ(join_forger(pid), FORGER_CLOSED);
	link_close(&l);
}

static void honest_first(void)
{
	check_honest(1);
}

static void honest_later(void)
{
	check_honest(2);
}

static void forged_first(void)
{
	pid_t pid = start_forger(1, 0);
	struct kssl_status st;
	char buf[64];

	CHECK(!handshake());
	note("%s", kssl_error(NULL));
	CHECK(recv(l.fd, buf, sizeof(buf), 0) < 0);
	st = link_status(&l);
	EQ(st.rx.epoch, 0);
	EQ(st.rx.bytes, 0);
	EQ(st.rx.state, KSSL_STATE_FAILED);
	EQ(st.tx.state, KSSL_STATE_FAILED);
	EQ(link_error(&l).who, KSSL_WHO_HELPER);
	close(l.fd);
	EQ(join_forger(pid), SSL_AD_DECRYPT_ERROR);
}

static void forged_later(void)
{
	pid_t pid = start_forger(2, 0);
	struct kssl_error error;
	struct kssl_status st;
	char buf[64];

	CHECK(handshake());
	read_exactly(FORGER_BEFORE);
	FAILS(recv(l.fd, buf, sizeof(buf), 0), EPROTO);
	FAILS(recv(l.fd, buf, sizeof(buf), 0), EPROTO);
	st = link_status(&l);
	EQ(st.rx.epoch, 2);	/* it was under the new key */
	EQ(st.rx.bytes, strlen(FORGER_BEFORE));
	EQ(st.rx.state, KSSL_STATE_FAILED);
	EQ(st.established, 0);
	error = link_error(&l);
	EQ(error.who, KSSL_WHO_HELPER);
	EQ(error.alert, SSL_AD_DECRYPT_ERROR);
	note("%s", error.text);
	EQ(join_forger(pid), SSL_AD_DECRYPT_ERROR);
	link_close(&l);
}

/* ---- another protocol ---- */

static int select_first(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)in_len;
	(void)arg;
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

/* Neither OpenSSL nor GnuTLS tell a protocol at a renegotiation, so it takes a forger. */
static struct kssl *handshake_with_alpn(void)
{
	struct kssl_config *config = link_config(NULL);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct kssl *k;

	CHECK(ctx && SSL_CTX_use_certificate_file(ctx, cert_path("ecdsa", "crt"), SSL_FILETYPE_PEM) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, cert_path("ecdsa", "key"), SSL_FILETYPE_PEM) == 1);
	SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	SSL_CTX_set_alpn_select_cb(ctx, select_first, NULL);
	GIVES(kssl_config_set_ssl_ctx(config, ctx), 0);
	SSL_CTX_free(ctx);
	k = link_handshake(&l, config, NULL);
	kssl_config_free(config);
	return k;
}

static void other_alpn(void)
{
	pid_t pid = start(&(struct forger) { .handshake = 2, .honest = 1, .alpn = "one", .other_alpn = "two" });
	struct kssl_error error;
	char byte;

	CHECK(handshake_with_alpn());
	read_exactly(FORGER_BEFORE);
	FAILS(recv(l.fd, &byte, 1, 0), EPROTO);
	error = link_error(&l);
	note("%s", error.text);
	EQ(error.who, KSSL_WHO_HELPER);
	EQ(error.alert, SSL_AD_HANDSHAKE_FAILURE);
	CHECK(!strcmp(error.text, "the ALPN protocol changed at a renegotiation"));
	EQ(link_status(&l).rx.epoch, 1);
	EQ(link_status(&l).tx.epoch, 1);
	EQ(join_forger(pid), SSL_AD_HANDSHAKE_FAILURE);
	link_close(&l);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "data behind the first Finished", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS,
		  honest_first },
		{ "data behind a forged first Finished", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS,
		  forged_first },
		{ "data behind the Finished of a renegotiation",
		  OVER_OPENSSL | OVER_ROLES | OVER_TLS12, honest_later },
		{ "data behind a forged Finished of a renegotiation",
		  OVER_OPENSSL | OVER_ROLES | OVER_TLS12, forged_later },
		{ "another ALPN protocol at a renegotiation", OVER_OPENSSL | OVER_SERVER | OVER_TLS12,
		  other_alpn },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
