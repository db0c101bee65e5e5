// SPDX-License-Identifier: MIT
/*
 * Stands between a program and the C library's sockets: what connects or listens where
 * kssl-run was told to gets TLS by KSSL_HANDSHAKE, or does not connect or listen.
 *
 * Nothing here allocates, locks or changes anything after the start but the remembered
 * names, so it may be called in signal handlers and after fork() and vfork().
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "run.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

#define PUBLIC __attribute__((visibility("default")))

#define CAUSE_MAX sizeof(((struct kssl_error *)0)->text)

#define FUNCTIONS(f) \
	f(socket) f(connect) f(listen) f(accept) f(accept4) f(getsockopt) \
	f(send) f(sendto) f(sendmsg) f(sendmmsg) f(write) f(writev) \
	f(recv) f(recvfrom) f(recvmsg) f(read) f(readv) \
	f(getaddrinfo) f(gai_error) \
	f(gethostbyname) f(gethostbyname2) f(gethostbyname_r) f(gethostbyname2_r)

#define POINTER(name)	__typeof__(name) *name;
#define RESOLVE(name)	real.name = dlsym(RTLD_NEXT, #name);

static struct {
	FUNCTIONS(POINTER)
} real;

static struct settings settings;
static struct stat standard_error;
static int begun;

/* --- what we say */

/* The program may long have used the number for something else. */
static int may_write(void)
{
	struct stat now;

	if (fstat(STDERR_FILENO, &now))
		return 0;
	return (now.st_dev == standard_error.st_dev && now.st_ino == standard_error.st_ino) ||
	       S_ISREG(now.st_mode) || S_ISCHR(now.st_mode);
}

__attribute__((format(printf, 1, 2)))
static void say(const char *format, ...)
{
	int saved = errno, len, more;
	char line[640];
	va_list args;

	if (!may_write())
		return;
	len = snprintf(line, sizeof(line), "kssl-run: %.64s: ", program_invocation_short_name);
	va_start(args, format);
	more = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	len += more < (int)sizeof(line) - len - 1 ? more : (int)sizeof(line) - len - 2;
	line[len++] = '\n';
	more = real.write(STDERR_FILENO, line, len);
	(void)more;
	errno = saved;
}

/* Not protected without anybody's noticing. */
static void begin(void)
{
	const char *wrong;

	if (begun)
		return;
	begun = 1;
	FUNCTIONS(RESOLVE)
	fstat(STDERR_FILENO, &standard_error);
	wrong = settings_from_environment(&settings);
	if (wrong) {
		say("what kssl-run has left in the environment is not good: %s", wrong);
		_exit(126);
	}
}

__attribute__((constructor))
static void begin_early(void)
{
	begin();
}

/* Empty: kssl had no objection. */
static void cause(int fd, char text[CAUSE_MAX])
{
	struct kssl_error error = { 0 };
	socklen_t len = sizeof(error);
	int saved = errno;

	text[0] = 0;
	if (!real.getsockopt(fd, SOL_KSSL, KSSL_ERROR, &error, &len) && error.err)
		memcpy(text, error.text, sizeof(error.text));
	text[sizeof(error.text) - 1] = 0;
	errno = saved;
}

static void tell_cause(int fd)
{
	char text[CAUSE_MAX];

	cause(fd, text);
	if (*text)
		say("%s", text);
}

static ssize_t told(int fd, ssize_t result)
{
	if (result < 0 && settings.verbose && errno != EAGAIN && errno != EINTR && errno != EINPROGRESS)
		tell_cause(fd);
	return result;
}

/* --- sockets */

static int is_tcp(int fd)
{
	socklen_t len = sizeof(int);
	int protocol = 0, saved = errno;

	/* One of MPTCP that somebody else has made is for kssl to refuse. */
	if (real.getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		errno = saved;
	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

static int is_fresh(int fd)
{
	struct tcp_info info = { .tcpi_state = TCP_CLOSE };
	socklen_t len = sizeof(info);
	int saved = errno;

	if (real.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		errno = saved;
	return info.tcpi_state == TCP_CLOSE;
}

static int has_kssl(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);
	int saved = errno;

	if (real.getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len))
		errno = saved;
	return !strncmp(name, KSSL_ULP_NAME, sizeof(name));
}

static int arm(int fd, const struct kssl_handshake *handshake)
{
	if (!has_kssl(fd) && setsockopt(fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, strlen(KSSL_ULP_NAME)))
		return -1;
	return setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, handshake, sizeof(*handshake));
}

static const char *why_not_armed(int fd, char text[CAUSE_MAX])
{
	cause(fd, text);
	if (*text)
		return text;
	if (!has_kssl(fd))
		return errno == ENOENT ? "the kernel module kssl is not loaded" :
		       errno == EEXIST ? "the socket has another ULP" : strerrordesc_np(errno);
	return errno == EUNATCH ? "no kssld runs here" : strerrordesc_np(errno);
}

/* --- connecting */

static int refuse(const char *where, uint16_t port, const char *why, int error)
{
	say("no connection to %s port %u: %s", where, port, why);
	errno = error;
	return -1;
}

/* 0: go on, with TLS or because it is not ours. */
static int protect_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	struct kssl_handshake handshake = settings.handshake;
	char where[INET6_ADDRSTRLEN], text[CAUSE_MAX];
	struct address address;
	const char *why;
	uint16_t port;

	if (address_from_socket(to, len, &address, &port))
		return 0;
	switch (decide_connect(&settings, &address, port, handshake.name, &why)) {
	case VERDICT_PASS:
		return 0;
	case VERDICT_REFUSE:
		address_to_text(&address, where);
		return refuse(where, port, why, ECONNREFUSED);
	case VERDICT_PROTECT:
		break;
	}
	address_to_text(&address, where);
	if (arm(fd, &handshake))
		return refuse(where, port, why_not_armed(fd, text), errno);
	if (settings.verbose)
		say("TLS to %s port %u, which has to be %s", where, port, handshake.name);
	return 0;
}

PUBLIC int socket(int domain, int type, int protocol)
{
	begin();
	return real.socket(domain, type, protocol == IPPROTO_MPTCP ? IPPROTO_TCP : protocol);
}

PUBLIC int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	begin();
	/* A second call only asks how the first one stands. */
	if (settings.connects_count && is_tcp(fd) && is_fresh(fd) && protect_connect(fd, to.__sockaddr__, len))
		return -1;
	return told(fd, real.connect(fd, to, len));
}

/* Data in the first segment would be ahead of any handshake. */
static int refuses_fast_open(int fd, int flags, const struct sockaddr *to, socklen_t len)
{
	char name[KSSL_NAME_MAX], where[INET6_ADDRSTRLEN];
	struct address address;
	const char *why;
	uint16_t port;

	if (!(flags & MSG_FASTOPEN) || !is_tcp(fd) || address_from_socket(to, len, &address, &port) ||
	    decide_connect(&settings, &address, port, name, &why) == VERDICT_PASS)
		return 0;
	address_to_text(&address, where);
	refuse(where, port, "TCP Fast Open would send data before the handshake", EOPNOTSUPP);
	return 1;
}

/* --- listening */

static uint16_t local_port(int fd)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);
	struct address address;
	uint16_t port = 0;
	int saved = errno;

	if (getsockname(fd, (struct sockaddr *)&local, &len) ||
	    address_from_socket((struct sockaddr *)&local, len, &address, &port))
		errno = saved;
	return port;
}

static int is_ours(int fd)
{
	return settings.listens_count && is_tcp(fd) && decide_listen(&settings, local_port(fd));
}

static int protect_listener(int fd)
{
	char text[CAUSE_MAX];

	if (arm(fd, &settings.listen_handshake)) {
		say("nothing is accepted on port %u: %s", local_port(fd), why_not_armed(fd, text));
		return -1;
	}
	if (settings.verbose)
		say("TLS for what comes to port %u", local_port(fd));
	return 0;
}

PUBLIC int listen(int fd, int backlog)
{
	begin();
	if (is_ours(fd) && protect_listener(fd))
		return -1;
	return real.listen(fd, backlog);
}

/* It came to a listener that somebody else has opened, before we have seen that. */
static int protect_accepted(int fd)
{
	char text[CAUSE_MAX];
	int flags = fcntl(fd, F_GETFL), failed;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	failed = arm(fd, &settings.listen_handshake) && errno != EINPROGRESS;
	if (failed)
		say("a connection to port %u is closed: %s", local_port(fd), why_not_armed(fd, text));
	fcntl(fd, F_SETFL, flags);
	return failed ? -1 : 0;
}

static int accepted(int fd, int ours)
{
	if (fd < 0 || !ours || has_kssl(fd) || !protect_accepted(fd))
		return fd;
	close(fd);
	errno = ECONNABORTED;
	return -1;
}

PUBLIC int accept(int fd, __SOCKADDR_ARG from, socklen_t *len)
{
	int ours;

	begin();
	ours = is_ours(fd);
	if (ours && !has_kssl(fd) && protect_listener(fd))
		return -1;
	return accepted(real.accept(fd, from, len), ours);
}

PUBLIC int accept4(int fd, __SOCKADDR_ARG from, socklen_t *len, int flags)
{
	int ours;

	begin();
	ours = is_ours(fd);
	if (ours && !has_kssl(fd) && protect_listener(fd))
		return -1;
	return accepted(real.accept4(fd, from, len, flags), ours);
}

/* --- names */

static void remember(const char *name, const struct addrinfo *list)
{
	struct address address;
	uint16_t port;

	for (; name && list; list = list->ai_next)
		if (!address_from_socket(list->ai_addr, list->ai_addrlen, &address, &port))
			names_remember(&address, name);
}

PUBLIC int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	int result;

	begin();
	result = real.getaddrinfo(name, service, hints, list);
	if (!result)
		remember(name, *list);
	return result;
}

/* Everybody has to ask this after getaddrinfo_a(). */
PUBLIC int gai_error(struct gaicb *request)
{
	int result;

	begin();
	result = real.gai_error(request);
	if (!result)
		remember(request->ar_name, request->ar_result);
	return result;
}

static void remember_host(const char *name, const struct hostent *host)
{
	char text[INET6_ADDRSTRLEN];
	struct address address;
	char **at;

	for (at = host ? host->h_addr_list : NULL; at && *at; at++)
		if (inet_ntop(host->h_addrtype, *at, text, sizeof(text)) && !address_from_text(text, &address))
			names_remember(&address, name);
}

PUBLIC struct hostent *gethostbyname(const char *name)
{
	struct hostent *host;

	begin();
	host = real.gethostbyname(name);
	remember_host(name, host);
	return host;
}

PUBLIC struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *host;

	begin();
	host = real.gethostbyname2(name, family);
	remember_host(name, host);
	return host;
}

PUBLIC int gethostbyname_r(const char *name, struct hostent *host, char *buf, size_t len, struct hostent **found,
			   int *error)
{
	int result;

	begin();
	result = real.gethostbyname_r(name, host, buf, len, found, error);
	if (!result)
		remember_host(name, *found);
	return result;
}

PUBLIC int gethostbyname2_r(const char *name, int family, struct hostent *host, char *buf, size_t len,
			    struct hostent **found, int *error)
{
	int result;

	begin();
	result = real.gethostbyname2_r(name, family, host, buf, len, found, error);
	if (!result)
		remember_host(name, *found);
	return result;
}

/* --- data: only to say why there is none */

PUBLIC int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int result;

	begin();
	result = real.getsockopt(fd, level, option, value, len);
	if (!result && level == SOL_SOCKET && option == SO_ERROR && settings.verbose &&
	    *len == sizeof(int) && *(int *)value)
		tell_cause(fd);
	return result;
}

PUBLIC ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	begin();
	return told(fd, real.send(fd, buf, len, flags));
}

PUBLIC ssize_t sendto(int fd, const void *buf, size_t len, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_len)
{
	begin();
	if (refuses_fast_open(fd, flags, to.__sockaddr__, to_len))
		return -1;
	return told(fd, real.sendto(fd, buf, len, flags, to, to_len));
}

PUBLIC ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	begin();
	if (refuses_fast_open(fd, flags, msg->msg_name, msg->msg_namelen))
		return -1;
	return told(fd, real.sendmsg(fd, msg, flags));
}

PUBLIC int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags)
{
	unsigned int i;

	begin();
	for (i = 0; flags & MSG_FASTOPEN && i < count; i++)
		if (refuses_fast_open(fd, flags, msgs[i].msg_hdr.msg_name, msgs[i].msg_hdr.msg_namelen))
			return -1;
	return told(fd, real.sendmmsg(fd, msgs, count, flags));
}

PUBLIC ssize_t write(int fd, const void *buf, size_t len)
{
	begin();
	return told(fd, real.write(fd, buf, len));
}

PUBLIC ssize_t writev(int fd, const struct iovec *iov, int count)
{
	begin();
	return told(fd, real.writev(fd, iov, count));
}

PUBLIC ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	begin();
	return told(fd, real.recv(fd, buf, len, flags));
}

PUBLIC ssize_t recvfrom(int fd, void *buf, size_t len, int flags, __SOCKADDR_ARG from, socklen_t *from_len)
{
	begin();
	return told(fd, real.recvfrom(fd, buf, len, flags, from, from_len));
}

PUBLIC ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	begin();
	return told(fd, real.recvmsg(fd, msg, flags));
}

PUBLIC ssize_t read(int fd, void *buf, size_t len)
{
	begin();
	return told(fd, real.read(fd, buf, len));
}

PUBLIC ssize_t readv(int fd, const struct iovec *iov, int count)
{
	begin();
	return told(fd, real.readv(fd, iov, count));
}
