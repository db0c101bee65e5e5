// SPDX-License-Identifier: MIT
/* kssld with a configuration of the test's own, and the sockets that it shakes hands for. */
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/capability.h>
#include "service.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif

/* ---- the daemon ---- */

pid_t service_pid;
static char dir[32];
static char conf[64];
char service_tickets[64];
static const char *beginning;
static int told = -1;

void service_write_conf(const char *more)
{
	FILE *f = fopen(conf, "w");

	CHECK(f);
	CHECK(fprintf(f, "ticket_keys = \"%s\"\n%s%s", service_tickets, beginning, more) > 0);
	CHECK(!fclose(f));
}

pid_t service_wait_told(const char *what)
{
	struct pollfd pfd = { .fd = told, .events = POLLIN };
	char text[128];
	int n, tries;

	for (tries = 0; tries < 10; tries++) {
		if (poll(&pfd, 1, PATIENCE_MS) != 1)
			break;
		n = recv(told, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = 0;
		if (strstr(text, what))
			return strstr(text, "MAINPID=") ? atoi(strstr(text, "MAINPID=") + 8) : 0;
	}
	check_failed(__FILE__, __LINE__, "kssld did not say %s", what);
}

/* Like kssld.service. */
static void drop_capabilities(void)
{
	static const int kept[] = { CAP_NET_ADMIN, CAP_DAC_READ_SEARCH, CAP_SETUID, CAP_SETGID };
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (cap != kept[0] && cap != kept[1] && cap != kept[2] && cap != kept[3] &&
		    prctl(PR_CAPBSET_DROP, cap))
			_exit(126);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(126);
}

void service_start(void)
{
	service_pid = SYS(fork());
	if (!service_pid) {
		drop_capabilities();
		execl(SERVICE_PROGRAM, "kssld", "-c", conf, NULL);
		_exit(127);
	}
	service_wait_told("READY=1");
}

void service_stop(int signal)
{
	int status;

	SYS(kill(service_pid, signal));
	EQ(waitpid(service_pid, &status, 0), service_pid);
	service_pid = 0;
	if (signal == SIGTERM)
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void clean_up(void)
{
	if (service_pid > 0)
		kill(service_pid, SIGKILL);
	unlink(conf);
	unlink(service_tickets);
	rmdir(dir);
}

void service_set_up(const char *profiles)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(dir, sizeof(dir), "/tmp/kssld-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(conf, sizeof(conf), "%s/conf", dir);
	snprintf(service_tickets, sizeof(service_tickets), "%s/tickets", dir);
	snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "kssld-test-%d", getpid());
	told = SYS(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	SYS(bind(told, (struct sockaddr *)&sa, sizeof(sa.sun_family) + 1 + strlen(sa.sun_path + 1)));
	sa.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	atexit(clean_up);
	beginning = profiles;
	service_write_conf("");
	service_start();
}

/* ---- OpenSSL as the peer ---- */

SSL_CTX *peer_context(int server, uint16_t version)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	CHECK(ctx);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_load_verify_file(ctx, "build/certs/ca.crt");
	if (server) {
		EQ(SSL_CTX_use_certificate_chain_file(ctx, "build/certs/ecdsa.crt"), 1);
		EQ(SSL_CTX_use_PrivateKey_file(ctx, "build/certs/ecdsa.key", SSL_FILETYPE_PEM), 1);
	}
	return ctx;
}

/* ---- sockets ---- */

/* Far longer than the default, which is for machines that are not emulated. */
#define HANDSHAKE_MS	240000

struct kssl_handshake as_client(const char *profile, const char *name)
{
	struct kssl_handshake hs = { .size = sizeof(hs), .role = KSSL_ROLE_CLIENT, .timeout_ms = HANDSHAKE_MS };

	snprintf(hs.profile, sizeof(hs.profile), "%s", profile);
	snprintf(hs.name, sizeof(hs.name), "%s", name);
	return hs;
}

struct kssl_handshake as_server(const char *profile)
{
	struct kssl_handshake hs = { .size = sizeof(hs), .role = KSSL_ROLE_SERVER, .timeout_ms = HANDSHAKE_MS };

	snprintf(hs.profile, sizeof(hs.profile), "%s", profile);
	return hs;
}

int listen_on(struct sockaddr_in *sa)
{
	socklen_t len = sizeof(*sa);
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	*sa = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	SYS(bind(fd, (struct sockaddr *)sa, len));
	SYS(getsockname(fd, (struct sockaddr *)sa, &len));
	return fd;
}

int connect_to(const struct sockaddr_in *sa)
{
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)));
	return fd;
}

void set_ulp(int fd)
{
	SYS(setsockopt(fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, strlen(KSSL_ULP_NAME)));
}

void echo(int fd, const char *text)
{
	char buf[64] = "";
	size_t len = strlen(text), got = 0;

	EQ(send(fd, text, len, 0), len);
	while (got < len) {
		ssize_t n = SYS(recv(fd, buf + got, len - got, 0));

		CHECK(n > 0);
		got += n;
	}
	CHECK(!memcmp(buf, text, len));
}

struct kssl_session session_of(int fd)
{
	struct kssl_session session = { .size = sizeof(session) };
	socklen_t len = sizeof(session);

	SYS(getsockopt(fd, SOL_KSSL, KSSL_SESSION, &session, &len));
	return session;
}

struct kssl_error error_of(int fd)
{
	struct kssl_error error = { .size = sizeof(error) };
	socklen_t len = sizeof(error);

	SYS(getsockopt(fd, SOL_KSSL, KSSL_ERROR, &error, &len));
	return error;
}
