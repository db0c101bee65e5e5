// SPDX-License-Identifier: MIT
/*
 * probe: one check after the other, from the kernel up to a handshake.  The first that
 * fails is named in a sentence, with what to do; those behind it cannot be told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

/* As compat.h of the module has it. */
#define OLDEST_MAJOR	6
#define OLDEST_MINOR	1
/* A helper that was there is waited for that long by the module (linux/kssl.h). */
#define HELPER_MS	7000
#define TEXT_LEN	512

struct probe {
	const struct options *options;
	json_t *json;
	struct kssl_genl *g;
	int fd;			/* a TCP socket with the ULP */
	char text[TEXT_LEN];
};

/* Outcomes of a check. */
enum { GOOD, BAD, NOTE };

static int say(struct probe *p, int outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int say(struct probe *p, int outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->text, sizeof(p->text), format, args);
	va_end(args);
	return outcome;
}

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = 0;
	return ok;
}

static bool file_contains(const char *path, const char *what)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) >= 0)
		found = strstr(line, what);
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* ---- the kernel and the module ---- */

static int check_kernel(struct probe *p)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return say(p, NOTE, "the kernel calls itself %s, which is no version", u.release);
	if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		return say(p, BAD, "kernel %s is too old: kssl needs %d.%d or newer", u.release, OLDEST_MAJOR,
			   OLDEST_MINOR);
	return say(p, GOOD, "kernel %s", u.release);
}

static int say_not_loaded(struct probe *p)
{
	char path[512], line[256];
	struct utsname u;

	uname(&u);
	if (read_line("/proc/sys/kernel/modules_disabled", line, sizeof(line)) && line[0] == '1')
		return say(p, BAD, "the module kssl is not loaded, and this kernel takes no more modules (kernel.modules_disabled): load it earlier, at boot");
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", u.release);
	if (!file_contains(path, "/kssl.ko"))
		return say(p, BAD, "the module kssl is not loaded, nor installed for kernel %s: install its headers, and build kssl for it (make && make install, or dkms autoinstall)",
			   u.release);
	if ((read_line("/sys/kernel/security/lockdown", line, sizeof(line)) && !strstr(line, "[none]")) ||
	    (read_line("/sys/module/module/parameters/sig_enforce", line, sizeof(line)) && line[0] == 'Y'))
		return say(p, BAD, "the module kssl is installed but not loaded, and this kernel (Secure Boot, lockdown) refuses modules without a signature it knows: sign kssl.ko and enroll the key (mokutil --import), then modprobe kssl");
	return say(p, BAD, "the module kssl is installed but not loaded: modprobe kssl");
}

static int check_module(struct probe *p)
{
	char text[KSSL_GENL_TEXT_LEN];

	p->g = kssl_genl_open(text, sizeof(text));
	if (p->g)
		return say(p, GOOD, "the module is loaded");
	if (errno != ENOENT)
		return say(p, BAD, "%s", text);
	if (!access("/sys/module/kssl", F_OK))
		return say(p, BAD, "the module kssl that is loaded is older than its netlink interface: update it, and load it again (rmmod kssl; modprobe kssl)");
	return say_not_loaded(p);
}

static int check_abi(struct probe *p)
{
	int ret = kssl_genl_version_check(p->g);

	if (ret == -EPROTONOSUPPORT)
		return say(p, BAD, "version: %s", kssl_genl_error(p->g));
	if (ret)
		return say(p, BAD, "the module does not answer as it should: %s", kssl_genl_error(p->g));
	return say(p, GOOD, "this program and the module speak the same interface, %d", KSSL_ABI);
}

static int check_admin(struct probe *p)
{
	int ret = kssl_genl_join(p->g, KSSL_GENL_GROUP_EVENTS);

	if (ret == -EPERM)
		return say(p, NOTE, "no CAP_NET_ADMIN in this network namespace: list shows your own user's connections only, and monitor nothing");
	if (ret)
		return say(p, BAD, "events: %s", kssl_genl_error(p->g));
	return say(p, GOOD, "permitted to see the connections of all users");
}

static int check_ulp(struct probe *p)
{
	char line[512] = "";

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (p->fd < 0)
		return say(p, BAD, "no TCP sockets: %m");
	if (!setsockopt(p->fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, sizeof(KSSL_ULP_NAME) - 1)) {
		if (read_line("/sys/module/kssl/parameters/ktls", line, sizeof(line)) && line[0] == 'Y')
			return say(p, NOTE, "kssl can be set on a socket (TCP_ULP); the module was loaded with ktls=1, so it is behind \"tls\" too, and tls.ko is kept out");
		return say(p, GOOD, "kssl can be set on a socket (TCP_ULP)");
	}
	if (errno == EPERM)
		return say(p, BAD, "you are not permitted to set TCP_ULP on a socket: ask the sandbox or security module that you run under");
	if (errno == ENOENT && read_line("/proc/sys/net/ipv4/tcp_available_ulp", line, sizeof(line)))
		return say(p, BAD, "TCP does not know kssl (net.ipv4.tcp_available_ulp has: %s): load the module again",
			   line);
	return say(p, BAD, "kssl cannot be set on a socket: TCP_ULP: %m");
}

/* What a kernel is expected to have; the other suites are a matter of its configuration. */
struct expected {
	uint16_t suite;
	uint16_t version;
	const char *algorithm;
	const char *modules;
};

static const struct expected expected[] = {
	{ 0x1301, 0x0304, "gcm(aes)", "gcm, ctr, ghash-generic and aes_generic" },
	{ 0x1302, 0x0304, "gcm(aes)", "gcm, ctr, ghash-generic and aes_generic" },
	{ 0xc02f, 0x0303, "gcm(aes)", "gcm, ctr, ghash-generic and aes_generic" },
	{ 0x1303, 0x0304, "rfc7539(chacha20,poly1305)", "chacha20poly1305, chacha_generic and poly1305_generic" },
	{ 0xc013, 0x0303, "cbc(aes) and sha1", "cbc, aes_generic and sha1_generic" },
	{ 0x1304, 0x0304, "ccm(aes)", "ccm, ctr and aes_generic" },
};

#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

static int check_suites(struct probe *p)
{
	struct kssl_suite_info suites[256];
	socklen_t len = sizeof(suites);
	size_t i, j, count;
	char name[32];

	if (getsockopt(p->fd, SOL_KSSL, KSSL_SUITES, suites, &len))
		return say(p, BAD, "the module does not tell its cipher suites: KSSL_SUITES: %m");
	count = len / sizeof(suites[0]);
	for (i = 0; i < EXPECTED; i++) {
		for (j = 0; j < count; j++)
			if (suites[j].suite == expected[i].suite && suites[j].version == expected[i].version)
				break;
		if (j == count)
			return say(p, BAD, "cipher suite %s is missing: this kernel does not give the algorithm %s; it takes the kernel modules %s: are they there, and not blacklisted in /etc/modprobe.d? Then load kssl again",
				   suite_name(expected[i].suite, name), expected[i].algorithm, expected[i].modules);
	}
	if (read_line("/sys/module/kssl/parameters/legacy", name, sizeof(name)) && name[0] == 'Y')
		return say(p, NOTE, "%zu cipher suites; the module was loaded with legacy=1, so SSL 3.0, RC4, DES and RC2 are among them, all of them broken",
			   count);
	return say(p, GOOD, "%zu cipher suites", count);
}

/* ---- sockets ---- */

struct asked {
	int role;
	const char *profile;
	const char *name;
};

static int arm(int fd, const struct asked *asked, double timeout)
{
	struct kssl_handshake h = { .size = sizeof(h), .role = (uint8_t)asked->role };

	h.timeout_ms = (uint32_t)(timeout * 1000);
	if (snprintf(h.profile, sizeof(h.profile), "%s", asked->profile) >= (int)sizeof(h.profile) ||
	    snprintf(h.name, sizeof(h.name), "%s", asked->name) >= (int)sizeof(h.name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, sizeof(KSSL_ULP_NAME) - 1))
		return -1;
	return setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &h, sizeof(h));
}

/* Two ends of a TCP connection over loopback; ours has been accepted. */
static int make_pair(int *ours, int *theirs)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);
	int saved;

	*ours = -1;
	*theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener >= 0 && *theirs >= 0 && !bind(listener, (void *)&address, sizeof(address)) &&
	    !listen(listener, 1) && !getsockname(listener, (void *)&address, &len) &&
	    !connect(*theirs, (void *)&address, len))
		*ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	saved = errno;
	if (listener >= 0)
		close(listener);
	if (*ours >= 0)
		return 0;
	if (*theirs >= 0)
		close(*theirs);
	errno = saved;
	return -1;
}

static int handshake_result(int fd)
{
	socklen_t len = sizeof(int);
	int result;

	return getsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &result, &len) ? errno : result;
}

static bool is_attended(int fd)
{
	struct kssl_status status = { 0 };
	socklen_t len = sizeof(status);

	return !getsockopt(fd, SOL_KSSL, KSSL_STATUS, &status, &len) && status.attended;
}

static int say_no_helper(struct probe *p)
{
	return say(p, BAD, "no helper listens in this network namespace: start the daemon (systemctl start kssld), or see its log why it ended");
}

/* A connection that wants a handshake, and is dropped as soon as a helper has it. */
static int check_helper(struct probe *p)
{
	static const struct asked asked = { KSSL_ROLE_SERVER, "", "" };
	struct timespec pause = { .tv_nsec = 10000000 };
	int ours, theirs, result, looks = HELPER_MS / 10, ret = 0;

	if (make_pair(&ours, &theirs))
		return say(p, BAD, "no TCP connection over loopback: %m");
	fcntl(ours, F_SETFL, O_NONBLOCK);
	result = arm(ours, &asked, 30) ? errno : 0;
	while ((result == EINPROGRESS || !result) && !is_attended(ours) && looks--) {
		result = handshake_result(ours);
		nanosleep(&pause, NULL);
	}
	if (result == EUNATCH)
		ret = say_no_helper(p);
	else if (result == EUSERS)
		ret = say(p, BAD, "too many handshakes wait already: the daemon is overloaded, or hangs");
	else if (result == EINPROGRESS && !is_attended(ours))
		ret = say(p, BAD, "a helper listens but takes no connection: the daemon hangs; its log may say why, restart it");
	else
		ret = say(p, GOOD, "a helper listens");
	close(ours);
	close(theirs);
	return ret;
}

/* ---- a handshake with a profile ---- */

static int say_failure(struct probe *p, int fd, int err)
{
	struct kssl_error error = { 0 };
	socklen_t len = sizeof(error);
	const char *profile = p->options->profile;

	if (getsockopt(fd, SOL_KSSL, KSSL_ERROR, &error, &len) || !error.err)
		error.err = err;
	error.text[sizeof(error.text) - 1] = 0;
	switch (error.err) {
	case EUNATCH:
		return say_no_helper(p);
	case ENOENT:
		return say(p, BAD, "the daemon has no profile '%s': add it to its configuration and reload it (%s)",
			   profile, error.text);
	case EACCES:
		return say(p, BAD, "profile '%s' is not for this user, or not for this: let the profile allow it, and reload the daemon (%s)",
			   profile, error.text);
	case EKEYREJECTED:
		if (error.x509)
			return say(p, BAD, "the peer's certificate is not good: %s (%s)",
				   X509_verify_cert_error_string((long)error.x509), error.text);
		return say(p, BAD, "a certificate or key is not good: %s", error.text);
	case ETIMEDOUT:
		return say(p, BAD, "the handshake did not end in time: %s", error.text);
	case EINVAL:
		return say(p, BAD, "profile '%s' does not do for this: %s; a client's is tried with --connect HOST:PORT, a server's without",
			   profile, error.text);
	case EPROTO:
		if (p->options->connect && error.who == KSSL_WHO_KERNEL)
			return say(p, BAD, "what listens at %s does not seem to speak TLS: %s", p->options->connect,
				   error.text);
	}
	return say(p, BAD, "the handshake failed: %s (%s)", error.text[0] ? error.text : "no cause is known",
		   strerror(error.err));
}

/* "host:port" or "[host]:port"; 0 or -1 */
static int split(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!len || len >= size || !colon[1])
		return -1;
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	snprintf(host, size, "%.*s", (int)len, text);
	*port = colon + 1;
	return 0;
}

static int connect_armed(struct probe *p, const struct addrinfo *to, const struct asked *asked)
{
	double seconds = p->options->timeout;
	struct timeval timeout = { .tv_sec = (time_t)seconds,
				   .tv_usec = (suseconds_t)((seconds - (time_t)seconds) * 1e6) };
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct kssl_status status = { 0 };
	socklen_t len = sizeof(status);
	int result, ret;

	if (fd < 0)
		return say(p, BAD, "no socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (arm(fd, asked, seconds)) {
		ret = say(p, BAD, "KSSL_HANDSHAKE: %m");
	} else {
		result = connect(fd, to->ai_addr, to->ai_addrlen) ? errno : handshake_result(fd);
		if (result == ECONNREFUSED && handshake_result(fd) == ENOTCONN)
			ret = say(p, BAD, "nobody listens at %s", p->options->connect);
		else if (result)
			ret = say_failure(p, fd, result == EINPROGRESS ? ETIMEDOUT : result);
		else if (getsockopt(fd, SOL_KSSL, KSSL_STATUS, &status, &len))
			ret = say(p, BAD, "KSSL_STATUS: %m");
		else
			ret = say(p, GOOD, "profile '%s' shakes hands with %s (%s %s)", p->options->profile,
				  p->options->connect, protocol_name(status.tx.version),
				  version_name(status.tx.version));
	}
	close(fd);
	return ret;
}

static int check_client(struct probe *p)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *to;
	struct asked asked = { KSSL_ROLE_CLIENT, p->options->profile, p->options->name };
	char host[NI_MAXHOST];
	const char *port;
	int ret;

	if (split(p->options->connect, host, sizeof(host), &port))
		return say(p, BAD, "--connect: '%s' is not HOST:PORT", p->options->connect);
	if (!asked.name)
		asked.name = host;
	ret = getaddrinfo(host, port, &hints, &to);
	if (ret)
		return say(p, BAD, "%s: %s", host, gai_strerror(ret));
	ret = connect_armed(p, to, &asked);
	freeaddrinfo(to);
	return ret;
}

/* The client of our own: verifies nothing, but looks at what it was shown. */
struct client {
	int fd;
	const char *name;
	SSL *ssl;
	bool connected;
};

static void *run_client(void *arg)
{
	struct client *c = arg;

	c->connected = SSL_connect(c->ssl) == 1;
	if (!c->connected)
		shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static int look_at_certificate(struct probe *p, const struct client *c)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);
	int ret;

	if (!cert)
		return say(p, BAD, "profile '%s' shows no certificate", p->options->profile);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		ret = say(p, BAD, "the certificate of profile '%s' has expired: renew it, and reload the daemon",
			  p->options->profile);
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		ret = say(p, BAD, "the certificate of profile '%s' is not valid yet: is the clock right?",
			  p->options->profile);
	else if (c->name && X509_check_host(cert, c->name, 0, 0, NULL) != 1 &&
		 X509_check_ip_asc(cert, c->name, 0) != 1)
		ret = say(p, BAD, "the certificate of profile '%s' is not for the name %s",
			  p->options->profile, c->name);
	else
		ret = say(p, GOOD, "profile '%s' shakes hands (%s, %s)", p->options->profile, SSL_get_version(c->ssl),
			  SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)));
	X509_free(cert);
	return ret;
}

static int shake_hands(struct probe *p, int fd, struct client *c)
{
	struct asked asked = { KSSL_ROLE_SERVER, p->options->profile, "" };
	pthread_t thread;
	int err, ret;

	ret = pthread_create(&thread, NULL, run_client, c);
	if (ret)
		return say(p, BAD, "no thread: %s", strerror(ret));
	err = arm(fd, &asked, p->options->timeout) ? errno : handshake_result(fd);
	ret = err ? say_failure(p, fd, err) : GOOD;
	if (err)
		shutdown(c->fd, SHUT_RDWR);
	pthread_join(thread, NULL);
	if (ret != GOOD)
		return ret;
	return c->connected ? look_at_certificate(p, c) : say(p, BAD, "OpenSSL did not like what the daemon said: %s",
							       ERR_reason_error_string(ERR_peek_last_error()));
}

static int check_server(struct probe *p)
{
	struct client c = { .name = p->options->name };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int ours, ret;

	c.ssl = ctx ? SSL_new(ctx) : NULL;
	SSL_CTX_free(ctx);
	if (!c.ssl)
		return say(p, BAD, "OpenSSL: out of memory");
	if (make_pair(&ours, &c.fd)) {
		SSL_free(c.ssl);
		return say(p, BAD, "no TCP connection over loopback: %m");
	}
	SSL_set_fd(c.ssl, c.fd);
	SSL_set_verify(c.ssl, SSL_VERIFY_NONE, NULL);
	if (c.name)
		SSL_set_tlsext_host_name(c.ssl, c.name);
	ret = shake_hands(p, ours, &c);
	SSL_free(c.ssl);
	close(ours);
	close(c.fd);
	return ret;
}

static int check_profile(struct probe *p)
{
	if (!p->options->profile)
		return say(p, NOTE, "no profile was asked for (--profile): no handshake was tried");
	return p->options->connect ? check_client(p) : check_server(p);
}

static const struct check {
	const char *name;
	int (*run)(struct probe *p);
} checks[] = {
	{ "kernel", check_kernel },
	{ "module", check_module },
	{ "abi", check_abi },
	{ "permission", check_admin },
	{ "ulp", check_ulp },
	{ "suites", check_suites },
	{ "helper", check_helper },
	{ "profile", check_profile },
};

int run_probe(const struct options *options, char **args)
{
	static const char *const outcomes[] = { [GOOD] = "ok", [BAD] = "failed", [NOTE] = "note" };
	struct probe p = { .options = options, .json = json_array(), .fd = -1 };
	int outcome = GOOD;
	size_t i;

	(void)args;
	/* Our client writes into a connection that the daemon may have failed. */
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]) && outcome != BAD; i++) {
		outcome = checks[i].run(&p);
		if (options->json)
			json_array_append_new(p.json, json_pack("{s:s, s:s, s:s}", "check", checks[i].name, "outcome",
								outcomes[outcome], "text", p.text));
		else
			printf("%-6s  %-10s  %s\n", outcomes[outcome], checks[i].name, p.text);
		fflush(stdout);
	}
	if (p.fd >= 0)
		close(p.fd);
	kssl_genl_close(p.g);
	if (options->json)
		print_json(json_pack("{s:b, s:O}", "works", outcome != BAD, "checks", p.json));
	json_decref(p.json);
	return outcome == BAD ? EXIT_FAILED : 0;
}
