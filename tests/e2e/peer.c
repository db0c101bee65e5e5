// SPDX-License-Identifier: MIT
/* Foreign programs as peers. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "peer.h"

/* Longest silence of a peer that is waited for. */
#define PATIENCE_MS	120000

const char *certs = "build/certs";

const char *cert_path(const char *name, const char *suffix)
{
	static char paths[32][256];
	static unsigned int next;
	char *path = paths[next++ % 32];

	snprintf(path, sizeof(paths[0]), "%s/%s.%s", certs, name, suffix);
	return path;
}

/* ---- command lines ---- */

struct command {
	const char *argv[48];
	int count;
	char text[4][128];
	int texts;
	char record_limit[12];
};

static void add(struct command *c, const char *word)
{
	CHECK(c->count < 47);
	c->argv[c->count++] = word;
}

static void add2(struct command *c, const char *option, const char *value)
{
	add(c, option);
	add(c, value);
}

#define add_text(c, ...)							\
	do {									\
		CHECK((c)->texts < 4);						\
		snprintf((c)->text[(c)->texts], sizeof((c)->text[0]), __VA_ARGS__); \
		add(c, (c)->text[(c)->texts++]);				\
	} while (0)

static void add_openssl_suite(struct command *c, const struct peer_setup *s)
{
	if (s->version == 0x0304) {
		add2(c, "-tls1_3", "-ciphersuites");
		add(c, s->suite ? s->suite :
		    s->bits == 256 ? "TLS_AES_256_GCM_SHA384" : "TLS_AES_128_GCM_SHA256");
		return;
	}
	add2(c, s->version == 0x0303 ? "-tls1_2" : s->version == 0x0302 ? "-tls1_1" :
	     s->version == 0x0301 ? "-tls1" : "-ssl3", "-cipher");
	if (s->version < 0x0303 && !s->suite)
		add(c, s->bits == 256 ? "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0" : "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0");
	else
		add(c, s->suite ? s->suite : s->bits == 256 ? "ECDHE-ECDSA-AES256-GCM-SHA384" :
							      "ECDHE-ECDSA-AES128-GCM-SHA256");
}

/* A newer OpenSSL lies in a directory of its own, with the C library it wants. */
static const char *openssl_of(const struct peer_setup *s)
{
	return s->stack == OPENSSL35 ? "build/peers/openssl35/openssl" : "openssl";
}

static void openssl_server(struct command *c, const struct peer_setup *s, int port)
{
	const char *cert = s->cert ? s->cert : "ecdsa";

	add2(c, openssl_of(s), "s_server");
	add(c, "-accept");
	add_text(c, "127.0.0.1:%d", port);
	add2(c, "-cert", cert_path(cert, "crt"));
	add2(c, "-key", cert_path(cert, "key"));
	add2(c, "-CAfile", cert_path("ca", "crt"));
	if (s->wants_cert) {
		add2(c, "-Verify", "1");
		add(c, "-verify_return_error");
	}
	if (s->quiet)
		add(c, "-quiet");
	add_openssl_suite(c, s);
}

static void openssl_client(struct command *c, const struct peer_setup *s, int port)
{
	add2(c, openssl_of(s), "s_client");
	add(c, "-connect");
	add_text(c, "127.0.0.1:%d", port);
	add2(c, "-servername", "localhost");
	add2(c, "-CAfile", cert_path("ca", "crt"));
	add2(c, "-verify_hostname", "localhost");
	add(c, "-verify_return_error");
	if (s->cert) {
		add2(c, "-cert", cert_path(s->cert, "crt"));
		add2(c, "-key", cert_path(s->cert, "key"));
	}
	if (s->quiet)
		add(c, "-quiet");
	if (s->session)
		add2(c, access(s->session, F_OK) ? "-sess_out" : "-sess_in", s->session);
	add_openssl_suite(c, s);
}

static void add_gnutls_suite(struct command *c, const struct peer_setup *s)
{
	add(c, "--priority");
	add_text(c, "NORMAL:-VERS-ALL:+VERS-TLS1.%d:-CIPHER-ALL:+AES-%d-%s", s->version - 0x0301, s->bits,
		 s->version < 0x0303 ? "CBC" : "GCM");
}

static void add_gnutls_cert(struct command *c, const char *cert)
{
	add2(c, "--x509certfile", cert_path(cert, "crt"));
	add2(c, "--x509keyfile", cert_path(cert, "key"));
}

static void gnutls_server(struct command *c, const struct peer_setup *s, int port)
{
	add(c, "gnutls-serv");
	add(c, "-p");
	add_text(c, "%d", port);
	/* Without these two it cannot renegotiate. */
	if (s->version < 0x0304 && s->connections < 2)
		add2(c, "--nodb", "--noticket");
	if (s->wants_cert)
		add2(c, "--require-client-cert", "--verify-client-cert");
	else
		add(c, "--disable-client-cert");
	add2(c, "--x509cafile", cert_path("ca", "crt"));
	add_gnutls_cert(c, s->cert ? s->cert : "ecdsa");
	add_gnutls_suite(c, s);
}

static void gnutls_client(struct command *c, const struct peer_setup *s, int port)
{
	add(c, "gnutls-cli");
	add(c, "-p");
	add_text(c, "%d", port);
	add2(c, "--sni-hostname", "localhost");
	add2(c, "--verify-hostname", "localhost");
	add2(c, "--x509cafile", cert_path("ca", "crt"));
	if (s->cert)
		add_gnutls_cert(c, s->cert);
	add_gnutls_suite(c, s);
	if (s->quiet)
		add2(c, "--logfile", "/proc/self/fd/2");
	else
		add(c, "--inline-commands");
	if (s->connections > 1)
		add(c, "--resume");
	if (s->connections > 1 && s->version == 0x0304)
		add(c, "--waitresumption");
	add(c, "127.0.0.1");
}

static void add_nss(struct command *c, const struct peer_setup *s, int port)
{
	add(c, "-d");
	add_text(c, "sql:%s/nss", certs);
	add(c, "-p");
	add_text(c, "%d", port);
	add(c, "-V");
	if (s->version == 0x0300)
		add(c, "ssl3:ssl3");
	else
		add_text(c, "tls1.%d:tls1.%d", s->version - 0x0301, s->version - 0x0301);
}

static void nss_server(struct command *c, const struct peer_setup *s, int port)
{
	add2(c, "selfserv", "-v");
	add2(c, "-n", s->cert ? s->cert : "rsa");
	if (s->wants_cert)
		add(c, "-rr");
	if (s->connections > 1)
		add(c, "-u");
	add_nss(c, s, port);
	add(c, "-G");
}

/* tstclnt has no second connection with suites of ours; strsclnt has, but what it receives nobody gets to see. */
static void nss_client(struct command *c, const struct peer_setup *s, int port)
{
	if (s->connections > 1) {
		add2(c, "strsclnt", "-q");
		add2(c, "-t", "1");
		add2(c, "-u", "-c");
		add_text(c, "%d", s->connections);
	} else {
		add2(c, "tstclnt", "-G");
		add2(c, "-h", "localhost");
	}
	add(c, "-4");
	if (s->cert)
		add2(c, "-n", s->cert);
	add_nss(c, s, port);
}

static void add_jsse(struct command *c, const char *role, const struct peer_setup *s, int port)
{
	add2(c, "build/tests/e2e/java/bin/java", "-XX:TieredStopAtLevel=1");
	/* It would send extensions in SSL 3.0, and wants one of them to resume. */
	if (s->version == 0x0300)
		add2(c, "-Djdk.tls.client.disableExtensions=supported_versions", "-Djdk.tls.useExtendedMasterSecret=false");
	add2(c, "-cp", "build/tests/e2e/java");
	add2(c, "Jsse", role);
	add_text(c, "%d", port);
	if (s->version <= 0x0301)
		add(c, s->version == 0x0301 ? "TLSv1" : "SSLv3");
	else
		add_text(c, "TLSv1.%d", s->version - 0x0301);
	add_text(c, "%s/java", certs);
	add_text(c, "%d", s->connections ? s->connections : 1);
	add(c, s->wants_cert ? "demand" : "no");
}

static void jsse_server(struct command *c, const struct peer_setup *s, int port)
{
	add_jsse(c, "server", s, port);
}

static void jsse_client(struct command *c, const struct peer_setup *s, int port)
{
	add_jsse(c, "client", s, port);
}

/* ---- processes ---- */

static void make_pipe(int ends[2], int ours)
{
	SYS(pipe2(ends, O_CLOEXEC));
	SYS(fcntl(ends[ours], F_SETFL, O_NONBLOCK));
	fcntl(ends[ours], F_SETPIPE_SZ, 1 << 18);	/* fewer switches, if we may */
}

#define STILL "build/tests/e2e/preload/still.so"
#define LIMIT "build/tests/e2e/preload/limit.so"

static void add_limit(struct command *c, const struct peer_setup *s)
{
	if (!s->record_limit)
		return;
	if (s->stack == OPENSSL) {
		CHECK(!s->server);
		add(c, "-maxfraglen");
		add_text(c, "%u", s->record_limit);
	} else if (s->stack == GNUTLS) {
		add_text(c, "--recordsize=%u", s->record_limit);
	} else {
		CHECK(s->stack == NSS);
		snprintf(c->record_limit, sizeof(c->record_limit), "%u", s->record_limit);
	}
}

static void spawn(struct peer *p, const struct command *c)
{
	int in[2], out[2], err[2], null = SYS(open("/dev/null", O_WRONLY | O_CLOEXEC));

	SYS(access(STILL, R_OK));
	SYS(access(LIMIT, R_OK));
	make_pipe(in, 1);
	make_pipe(out, 0);
	make_pipe(err, 0);
	p->pid = SYS(fork());
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_DFL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		/* The echo server repeats there all it receives. */
		dup2(p->echo ? null : err[1], 2);
		if (!strcmp(c->argv[0], "gnutls-serv"))
			setenv("LD_PRELOAD", STILL, 1);
		if (c->record_limit[0]) {
			setenv("LD_PRELOAD", LIMIT, 1);
			setenv("E2E_RECORD_LIMIT", c->record_limit, 1);
		}
		execvp(c->argv[0], (char **)c->argv);
		dprintf(2, "%s: %s\n", c->argv[0], strerror(errno));
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(null);
	p->in = in[1];
	p->out = out[0];
	p->err = err[0];
	if (p->echo) {
		close(p->err);
		p->err = -1;
	}
}

/* A port nobody listens on now. */
static int free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(bind(fd, (struct sockaddr *)&addr, len));
	SYS(getsockname(fd, (struct sockaddr *)&addr, &len));
	close(fd);
	return ntohs(addr.sin_port);
}

void peer_start(struct peer *p, const struct peer_setup *setup, int port)
{
	static void (*const make[][2])(struct command *c, const struct peer_setup *s, int port) = {
		[OPENSSL] = { openssl_client, openssl_server },
		[GNUTLS] = { gnutls_client, gnutls_server },
		[NSS] = { nss_client, nss_server },
		[JSSE] = { jsse_client, jsse_server },
		[OPENSSL35] = { openssl_client, openssl_server },
	};
	struct command c = { .count = 0 };
	int i;

	memset(p, 0, sizeof(*p));
	if (setup->server)
		port = free_port();
	p->port = port;
	/* What tstclnt has to say goes to its standard error. */
	p->binary = setup->quiet || (setup->stack == NSS && !setup->server);
	p->echo = setup->stack == JSSE;
	make[setup->stack][setup->server](&c, setup, port);
	add_limit(&c, setup);
	for (i = 0; i < PEER_OPTIONS_MAX && setup->options[i]; i++) {
		add(&c, setup->options[i]);
		if (!strcmp(setup->options[i], "--echo"))
			p->echo = 1;
	}
	if (!strcmp(c.argv[0], "strsclnt"))
		add(&c, "localhost");
	spawn(p, &c);
}

void peer_kill(struct peer *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->in);
	close(p->out);
	if (p->err >= 0)
		close(p->err);
	p->pid = 0;
}

/* ---- talking ---- */

int peer_is_idle(const struct peer *p)
{
	int waiting = 0;

	SYS(ioctl(p->in, FIONREAD, &waiting));
	return !waiting;
}

void peer_command(struct peer *p, const char *line)
{
	int ms;

	for (ms = 0; !peer_is_idle(p); ms++) {
		CHECK(ms < PATIENCE_MS);
		usleep(1000);
	}
	EQ(SYS(write(p->in, line, strlen(line))), strlen(line));
}

static void remark(struct remarks *r, const uint8_t *text, size_t len)
{
	const size_t room = sizeof(r->text) - 1;

	if (len > room) {
		text += len - room;
		len = room;
	}
	if (r->len + len > room) {
		size_t drop = r->len + len - room;

		memmove(r->text, r->text + drop, r->len - drop);
		r->len -= drop;
	}
	memcpy(r->text + r->len, text, len);
	r->len += len;
	r->text[r->len] = 0;
}

/* Length of the run of data, or of remarks, that @buf begins with. */
static size_t run_length(const uint8_t *buf, size_t len, uint8_t kind)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	size_t i = 0;
	uint64_t word;

	for (; i + 8 <= len; i += 8) {
		memcpy(&word, buf + i, 8);
		if ((word & high) != (kind ? high : 0))
			break;
	}
	while (i < len && (buf[i] & 0x80) == kind)
		i++;
	return i;
}

size_t peer_sift(struct peer *p, uint8_t *buf, size_t len)
{
	size_t from = 0, to = 0;

	if (p->binary)
		return len;
	while (from < len) {
		size_t run = run_length(buf + from, len - from, 0x80);

		if (from != to)
			memmove(buf + to, buf + from, run);
		to += run;
		from += run;
		run = run_length(buf + from, len - from, 0);
		remark(&p->said, buf + from, run);
		from += run;
	}
	return to;
}

ssize_t peer_take(struct peer *p, uint8_t *buf, size_t len)
{
	ssize_t n = read(p->out, buf, len);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	return peer_sift(p, buf, n);
}

int peer_take_remarks(struct peer *p)
{
	uint8_t buf[4096];
	ssize_t n = read(p->err, buf, sizeof(buf));

	if (n > 0)
		remark(&p->complained, buf, n);
	return n > 0;
}

int peer_has_said(const struct peer *p, const char *text)
{
	return strstr(p->said.text, text) || strstr(p->complained.text, text);
}

void peer_wait(struct peer *p, const char *text)
{
	struct pollfd fds[2] = {
		{ .fd = p->out, .events = POLLIN },
		{ .fd = p->err, .events = POLLIN },
	};
	uint8_t buf[4096];
	ssize_t n;

	while (!text || !peer_has_said(p, text)) {
		if (fds[0].fd < 0 && fds[1].fd < 0) {
			if (!text)
				return;
			check_failed(__FILE__, __LINE__, "the peer ended and never said \"%s\"", text);
		}
		if (!poll(fds, 2, PATIENCE_MS))
			check_failed(__FILE__, __LINE__, "the peer is silent and never said \"%s\"",
				     text ? text : "good bye");
		if (fds[0].revents) {
			n = peer_take(p, buf, sizeof(buf));
			EQ(n > 0 ? n : 0, 0);	/* data nobody expected */
			if (n < 0)
				fds[0].fd = -1;
		}
		if (fds[1].revents && !peer_take_remarks(p) && fds[1].revents & POLLHUP)
			fds[1].fd = -1;
	}
}
