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
static pid_t start_forger(int handshake, int honest)
{
	struct forger f = {
		.server = !v->server, .version = v->version, .handshake = handshake, .honest = honest,
	};
	pid_t pid;

	f.fd = link_pair(&l, v->server);
	pid = SYS(fork());
	if (!pid) {
		close(l.fd);
		_exit(forger_run(&f));
	}
	close(f.fd);
	return pid;
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
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
