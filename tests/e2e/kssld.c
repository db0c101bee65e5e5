// SPDX-License-Identifier: MIT
/*
 * kssld, with a configuration of the test's own: programs that know only sockets, and
 * OpenSSL as their peer in a thread.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/err.h>
#include "service.h"

#define NOBODY		65534
#define EXPORT_LEN	32
#define LABEL		"EXPORTER-Channel-Binding"

static const char profiles[] =
	"workers = 2\ndebug = yes\n"
	"profile \"test\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n}\n"
	"profile \"web\" {\n\tcertificate = \"build/certs/rsa.crt\"\n\tkey = \"build/certs/rsa.key\"\n"
	"\talpn = { \"one\", \"two\" }\n}\n"
	"profile \"members\" {\n\tcertificate = \"build/certs/rsa.crt\"\n\tkey = \"build/certs/rsa.key\"\n"
	"\ttrust = \"build/certs/ca.crt\"\n\tclient_cert = \"require\"\n\tcrl = \"build/certs/crl.pem\"\n}\n"
	"profile \"premaster\" {\n\tcertificate = \"build/certs/rsa.crt\"\n\tkey = \"build/certs/rsa.key\"\n"
	"\tciphers = \"AES128-GCM-SHA256\"\n}\n"
	"profile \"edwards\" {\n\tcertificate = \"build/certs/ed25519.crt\"\n\tkey = \"build/certs/ed25519.key\"\n}\n"
	"profile \"group\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n"
	"\tallow = { \"group:65534\" }\n}\n";

static void set_up(void)
{
	service_set_up(profiles);
}

/* ---- OpenSSL as the peer ---- */

/**
 * struct peer - the other side
 * @fd: its socket
 * @server: its role
 * @ctx: one for all of its role, so that sessions can be resumed
 * @session: as client: the one to resume, then the one to resume next
 * @thread: it echoes until the end of file
 * @ok: its handshake was good
 * @verify: as client: of the server's certificate
 * @exported: what it exports
 * @alpn: what was agreed on
 */
struct peer {
	int fd;
	int server;
	SSL_CTX *ctx;
	SSL_SESSION *session;
	pthread_t thread;
	int ok;
	long verify;
	uint8_t exported[EXPORT_LEN];
	char alpn[32];
};

static SSL_CTX *contexts[2];

static SSL_CTX *make_ctx(int server)
{
	SSL_CTX *ctx = peer_context(server, v->version);

	if (!server)
		SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\003two", 4);
	return ctx;
}

static void *run_peer(void *arg)
{
	struct peer *p = arg;
	SSL *ssl = SSL_new(p->ctx);
	const unsigned char *alpn;
	unsigned int len;
	char buf[4096];
	int n;

	SSL_set_fd(ssl, p->fd);
	SSL_set_tlsext_host_name(ssl, "localhost");
	if (p->session)
		SSL_set_session(ssl, p->session);
	p->ok = (p->server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1;
	p->verify = SSL_get_verify_result(ssl);
	SSL_export_keying_material(ssl, p->exported, sizeof(p->exported), LABEL, strlen(LABEL), NULL, 0, 0);
	SSL_get0_alpn_selected(ssl, &alpn, &len);
	if (len < sizeof(p->alpn))
		memcpy(p->alpn, alpn, len);
	while (p->ok && (n = SSL_read(ssl, buf, sizeof(buf))) > 0)
		if (SSL_write(ssl, buf, n) != n)
			break;
	SSL_shutdown(ssl);
	SSL_SESSION_free(p->session);
	p->session = SSL_get1_session(ssl);
	SSL_free(ssl);
	close(p->fd);
	return NULL;
}

static void start_peer_with(struct peer *p, int fd, int server, SSL_CTX *ctx, SSL_SESSION *session)
{
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	p->server = server;
	p->ctx = ctx;
	p->session = session;
	EQ(pthread_create(&p->thread, NULL, run_peer, p), 0);
}

static void start_peer(struct peer *p, int fd, int server)
{
	if (!contexts[server])
		contexts[server] = make_ctx(server);
	start_peer_with(p, fd, server, contexts[server], NULL);
}

/* ---- sockets ---- */

/* A connected pair: ours, with the ULP, and the peer's. */
static int make_pair(int *theirs)
{
	struct sockaddr_in sa;
	int listener = listen_on(&sa), fd;

	SYS(listen(listener, 1));
	fd = connect_to(&sa);
	*theirs = SYS(accept(listener, NULL, NULL));
	close(listener);
	set_ulp(fd);
	return fd;
}

/* What the daemon says no to. */
static void refused_as(uid_t uid, const struct kssl_handshake *hs, int err)
{
	struct peer p;
	int theirs, fd = make_pair(&theirs), ret;
	struct kssl_error error;

	start_peer(&p, theirs, 1);
	/* Of this thread alone: the peer has to read a key. */
	SYS(syscall(SYS_setresuid, -1, uid, -1));
	ret = setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, hs, sizeof(*hs)) ? errno : 0;
	SYS(syscall(SYS_setresuid, -1, 0, -1));
	error = error_of(fd);
	note("%s", error.text);
	EQ(ret, err);
	EQ(error.err, err);
	EQ(error.who, KSSL_WHO_HELPER);
	CHECK(error.text[0]);
	close(fd);
	pthread_join(p.thread, NULL);
	EQ(p.ok, 0);
}

static void refused(const struct kssl_handshake *hs, int err)
{
	refused_as(0, hs, err);
}

/* ---- tests ---- */

static void compare_exporter(int fd, const struct peer *p)
{
	struct kssl_exporter wanted = { .size = sizeof(wanted), .len = EXPORT_LEN, .label = LABEL };
	uint8_t out[EXPORT_LEN];
	socklen_t len = sizeof(out);

	SYS(setsockopt(fd, SOL_KSSL, KSSL_EXPORTER, &wanted, sizeof(wanted)));
	SYS(getsockopt(fd, SOL_KSSL, KSSL_EXPORTER, out, &len));
	EQ(len, EXPORT_LEN);
	CHECK(!memcmp(out, p->exported, len));
}

/* The peer's certificate, as the file has it. */
static void compare_chain(int fd, const struct kssl_session *session, const char *file)
{
	uint8_t chain[8192], *der = NULL, end_point[32];
	socklen_t len = sizeof(chain);
	FILE *f = fopen(file, "r");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	unsigned int hash_len;
	int der_len;

	CHECK(cert);
	fclose(f);
	der_len = i2d_X509(cert, &der);
	SYS(getsockopt(fd, SOL_KSSL, KSSL_PEER_CHAIN, chain, &len));
	EQ(len, session->chain_len);
	EQ(chain[0] << 16 | chain[1] << 8 | chain[2], der_len);
	CHECK(!memcmp(chain + 3, der, der_len));
	X509_digest(cert, EVP_sha256(), end_point, &hash_len);
	EQ(session->end_point_len, sizeof(end_point));
	CHECK(!memcmp(session->end_point, end_point, sizeof(end_point)));
	OPENSSL_free(der);
	X509_free(cert);
}

static void client_on_a_connected_socket(void)
{
	struct kssl_handshake hs = as_client("test", "localhost");
	struct kssl_session session;
	struct peer p;
	int theirs, fd;

	set_up();
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 1);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(fd, "hello");
	session = session_of(fd);
	CHECK(!strcmp(session.profile, "test"));
	CHECK(!strcmp(session.name, "localhost"));
	EQ(session.flags & (KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED),
	   KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED);
	EQ(session.verify, 0);
	compare_chain(fd, &session, "build/certs/ecdsa.crt");
	compare_exporter(fd, &p);
	close(fd);
	pthread_join(p.thread, NULL);
	service_stop(SIGTERM);
}

static void listener_with_three_accepts(void)
{
	struct kssl_handshake hs = as_server("web");
	struct sockaddr_in sa;
	struct kssl_session session;
	struct peer p[3];
	int listener, fd, i;

	set_up();
	listener = listen_on(&sa);
	set_ulp(listener);
	SYS(setsockopt(listener, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	SYS(listen(listener, 8));
	for (i = 0; i < 3; i++) {
		start_peer(&p[i], connect_to(&sa), 0);
		fd = SYS(accept(listener, NULL, NULL));
		echo(fd, "hello");
		EQ(p[i].ok, 1);
		EQ(p[i].verify, X509_V_OK);
		CHECK(!strcmp(p[i].alpn, "two"));
		session = session_of(fd);
		CHECK(!strcmp(session.alpn, "two"));
		CHECK(!strcmp(session.name, "localhost"));
		close(fd);
		pthread_join(p[i].thread, NULL);
	}
	close(listener);
	service_stop(SIGTERM);
}

static void what_is_refused(void)
{
	struct kssl_handshake unknown = as_client("nothing", "localhost");
	struct kssl_handshake wrong_name = as_client("test", "elsewhere.example");
	struct kssl_handshake web = as_server("web");
	struct kssl_handshake pinned = as_client("test", "localhost");

	set_up();
	refused(&unknown, ENOENT);
	refused(&wrong_name, EKEYREJECTED);
	pinned.pins_count = 1;
	refused(&pinned, EKEYREJECTED);
	refused_as(NOBODY, &web, EACCES);
	service_stop(SIGTERM);
}

static void reload_and_kill(void)
{
	struct kssl_handshake fresh = as_client("fresh", "localhost"), test = as_client("test", "localhost");
	struct peer p, q;
	int theirs, fd, other;

	set_up();
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 1);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &test, sizeof(test)));
	/* A broken one changes nothing. */
	service_write_conf("bogus = 1\n");
	SYS(kill(service_pid, SIGHUP));
	service_wait_told("RELOADING=1");
	service_wait_told("READY=1");
	refused(&fresh, ENOENT);
	echo(fd, "after a broken one");
	service_write_conf("profile \"fresh\" {\n role = \"client\"\n trust = \"build/certs/ca.crt\"\n}\n");
	SYS(kill(service_pid, SIGHUP));
	service_wait_told("RELOADING=1");
	service_wait_told("READY=1");
	other = make_pair(&theirs);
	start_peer(&q, theirs, 1);
	SYS(setsockopt(other, SOL_KSSL, KSSL_HANDSHAKE, &fresh, sizeof(fresh)));
	echo(other, "new profile");
	echo(fd, "old connection");
	service_stop(SIGKILL);
	echo(fd, "no helper");
	service_start();
	echo(fd, "another helper");
	close(other);
	other = make_pair(&theirs);
	pthread_join(q.thread, NULL);
	start_peer(&q, theirs, 1);
	SYS(setsockopt(other, SOL_KSSL, KSSL_HANDSHAKE, &test, sizeof(test)));
	echo(other, "again");
	service_stop(SIGTERM);
	echo(other, "detached");
	close(fd);
	close(other);
	pthread_join(p.thread, NULL);
	pthread_join(q.thread, NULL);
}

static void renegotiation(void)
{
	struct kssl_handshake hs = as_client("test", "localhost");
	struct kssl_status before = { .size = sizeof(before) }, after = before;
	socklen_t len = sizeof(before);
	int how = KSSL_RENEG_RESUME, theirs, fd;
	struct peer p;

	set_up();
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 1);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(fd, "before");
	SYS(getsockopt(fd, SOL_KSSL, KSSL_STATUS, &before, &len));
	/* OpenSSL's server refuses a client's renegotiation unless told; the connection lives. */
	FAILS(setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), ECONNREFUSED);
	echo(fd, "after");
	SYS(getsockopt(fd, SOL_KSSL, KSSL_STATUS, &after, &len));
	EQ(after.attended, 1);
	close(fd);
	pthread_join(p.thread, NULL);
	service_stop(SIGTERM);
}

/* Two handshakes with a key that is in another process. */
static void renegotiation_by_the_server(void)
{
	struct kssl_handshake hs = as_server("web");
	struct kssl_status status = { .size = sizeof(status) };
	socklen_t len = sizeof(status);
	int how = KSSL_RENEG_FULL, theirs, fd;
	struct peer p;

	set_up();
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 0);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(fd, "before");
	SYS(setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)));
	echo(fd, "after");
	SYS(getsockopt(fd, SOL_KSSL, KSSL_STATUS, &status, &len));
	EQ(status.handshakes, 2);
	EQ(status.tx.epoch, 2);
	EQ(session_of(fd).flags & KSSL_SESSION_RESUMED, 0);
	close(fd);
	pthread_join(p.thread, NULL);
	service_stop(SIGTERM);
}

static void resumption(void)
{
	struct kssl_handshake hs = as_client("test", "localhost");
	struct sockaddr_in sa;
	int listener, fd, i, resumed;
	struct peer p;

	set_up();
	/* A session belongs to a port. */
	listener = listen_on(&sa);
	SYS(listen(listener, 1));
	/* Data may be there before the daemon has put the ticket away which came with it. */
	for (i = 0, resumed = 0; !resumed; i++) {
		fd = connect_to(&sa);
		set_ulp(fd);
		start_peer(&p, SYS(accept(listener, NULL, NULL)), 1);
		SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
		echo(fd, "hello");
		resumed = !!(session_of(fd).flags & KSSL_SESSION_RESUMED);
		CHECK(i || !resumed);
		EQ(session_of(fd).flags & KSSL_SESSION_VERIFIED, KSSL_SESSION_VERIFIED);
		close(fd);
		pthread_join(p.thread, NULL);
	}
	close(listener);
	service_stop(SIGTERM);
}

/* OpenSSL answers with the next data that it sends. */
static void key_update(int fd)
{
	int how = KSSL_RENEG_RESUME, state = EINPROGRESS;
	socklen_t len = sizeof(state);

	SYS(fcntl(fd, F_SETFL, O_NONBLOCK));
	FAILS(setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)), EINPROGRESS);
	SYS(fcntl(fd, F_SETFL, 0));
	while (state == EINPROGRESS) {
		echo(fd, "a new key");
		SYS(getsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &state, &len));
	}
	EQ(state, 0);
}

/* Put another file, of the same bytes, in the place of the program, as package managers do. */
static void replace_program(void)
{
	struct stat st;
	int from = SYS(open(SERVICE_PROGRAM, O_RDONLY)), to;

	SYS(fstat(from, &st));
	to = SYS(open(SERVICE_PROGRAM ".new", O_WRONLY | O_CREAT | O_TRUNC, 0755));
	EQ(SYS(sendfile(to, from, NULL, st.st_size)), st.st_size);
	SYS(close(from));
	SYS(close(to));
	SYS(rename(SERVICE_PROGRAM ".new", SERVICE_PROGRAM));
}

static int runs_program(pid_t pid)
{
	struct stat runs, lies;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	SYS(stat(path, &runs));
	SYS(stat(SERVICE_PROGRAM, &lies));
	return runs.st_ino == lies.st_ino && runs.st_dev == lies.st_dev;
}

static void upgrade(void)
{
	struct kssl_handshake hs = as_client("test", "localhost");
	int theirs, fd, other;
	pid_t old, new;
	struct peer p, q;

	set_up();
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 1);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	old = service_pid;
	replace_program();
	CHECK(!runs_program(old));
	SYS(kill(old, SIGUSR2));
	new = service_wait_told("READY=1");
	CHECK(new > 0 && new != old);
	CHECK(runs_program(new));
	other = make_pair(&theirs);
	start_peer(&q, theirs, 1);
	SYS(setsockopt(other, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(other, "the new one");
	/* The old one still answers for its own. */
	echo(fd, "the old one");
	if (is_13())
		key_update(fd);
	close(fd);
	pthread_join(p.thread, NULL);
	EQ(waitpid(old, NULL, 0), old);
	service_pid = 0;
	echo(other, "alone");
	close(other);
	pthread_join(q.thread, NULL);
	SYS(kill(new, SIGTERM));
	service_wait_told("STOPPING=1");
}

/* A ticket of the daemon before, which was killed. */
static void tickets_over_a_restart(void)
{
	struct kssl_handshake hs = as_server("web");
	struct peer p = { 0 };
	int i, theirs, fd;

	set_up();
	contexts[0] = make_ctx(0);
	for (i = 0; i < 3; i++) {
		fd = make_pair(&theirs);
		start_peer_with(&p, theirs, 0, contexts[0], p.session);
		SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
		echo(fd, "hello");
		EQ(session_of(fd).flags & KSSL_SESSION_RESUMED, i ? KSSL_SESSION_RESUMED : 0);
		close(fd);
		pthread_join(p.thread, NULL);
		CHECK(p.session);
		if (!i) {
			service_stop(SIGKILL);
			service_start();
		}
	}
	/* Another file of keys, and it is a stranger's. */
	service_stop(SIGTERM);
	SYS(unlink(service_tickets));
	service_start();
	fd = make_pair(&theirs);
	start_peer_with(&p, theirs, 0, contexts[0], p.session);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(fd, "hello");
	EQ(session_of(fd).flags & KSSL_SESSION_RESUMED, 0);
	close(fd);
	pthread_join(p.thread, NULL);
	SSL_SESSION_free(p.session);
	service_stop(SIGTERM);
}

static void serve_one(const char *profile, uint16_t suite)
{
	struct kssl_handshake hs = as_server(profile);
	struct kssl_status status = { .size = sizeof(status) };
	socklen_t len = sizeof(status);
	int how = KSSL_RENEG_FULL, theirs, fd = make_pair(&theirs);
	struct peer p;

	start_peer(&p, theirs, 0);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	echo(fd, "hello");
	EQ(p.verify, X509_V_OK);
	if (!is_13())
		SYS(setsockopt(fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how)));
	echo(fd, "once more");
	SYS(getsockopt(fd, SOL_KSSL, KSSL_STATUS, &status, &len));
	if (suite)
		EQ(status.tx.suite, suite);
	EQ(status.handshakes, is_13() ? 1 : 2);
	close(fd);
	pthread_join(p.thread, NULL);
}

static void premaster_secrets(void)
{
	set_up();
	serve_one("premaster", 0x009c);
	service_stop(SIGTERM);
}

static void edwards_keys(void)
{
	set_up();
	serve_one("edwards", 0);
	service_stop(SIGTERM);
}

static void certificates_of_clients(void)
{
	static const char *const names[] = { "client", "revoked", NULL };
	struct kssl_handshake hs = as_server("members");
	int i, theirs, fd, ret;
	char file[64];
	struct peer p;

	set_up();
	for (i = 0; i < 3; i++) {
		SSL_CTX *ctx = make_ctx(0);
		struct kssl_error error;

		if (names[i]) {
			snprintf(file, sizeof(file), "build/certs/%s.crt", names[i]);
			EQ(SSL_CTX_use_certificate_chain_file(ctx, file), 1);
			snprintf(file, sizeof(file), "build/certs/%s.key", names[i]);
			EQ(SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM), 1);
		}
		fd = make_pair(&theirs);
		start_peer_with(&p, theirs, 0, ctx, NULL);
		ret = setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs));
		error = error_of(fd);
		if (!i) {
			EQ(ret, 0);
			echo(fd, "hello");
			EQ(session_of(fd).flags & (KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED),
			   KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED);
		} else {
			note("%s", error.text);
			EQ(ret, -1);
			EQ(error.who, KSSL_WHO_HELPER);
			EQ(error.x509, i == 1 ? X509_V_ERR_CERT_REVOKED : 0);
		}
		close(fd);
		pthread_join(p.thread, NULL);
		SSL_SESSION_free(p.session);
		SSL_CTX_free(ctx);
	}
	service_stop(SIGTERM);
}

/* The effective one counts, and no supplementary one. */
static void groups(void)
{
	struct kssl_handshake hs = as_client("group", "localhost");
	const gid_t group = NOBODY;
	int theirs, fd;
	struct peer p;

	set_up();
	SYS(syscall(SYS_setgroups, 1, &group));
	refused(&hs, EACCES);
	SYS(syscall(SYS_setgroups, 0, NULL));
	fd = make_pair(&theirs);
	start_peer(&p, theirs, 1);
	SYS(syscall(SYS_setresgid, -1, group, -1));
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	SYS(syscall(SYS_setresgid, -1, 0, -1));
	echo(fd, "hello");
	close(fd);
	pthread_join(p.thread, NULL);
	service_stop(SIGTERM);
}

static const struct test tests[] = {
	{ "client on a connected socket", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, client_on_a_connected_socket },
	{ "listener with three accepts", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS, listener_with_three_accepts },
	{ "what is refused", OVER_OPENSSL | OVER_CLIENT | OVER_TLS13, what_is_refused },
	{ "reload and kill", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, reload_and_kill },
	{ "renegotiation", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12, renegotiation },
	{ "renegotiation by the server", OVER_OPENSSL | OVER_SERVER | OVER_TLS12, renegotiation_by_the_server },
	{ "resumption", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, resumption },
	{ "tickets over a restart", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS, tickets_over_a_restart },
	{ "premaster secrets", OVER_OPENSSL | OVER_SERVER | OVER_TLS12, premaster_secrets },
	{ "Edwards keys", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS, edwards_keys },
	{ "certificates of clients", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS, certificates_of_clients },
	{ "groups", OVER_OPENSSL | OVER_CLIENT | OVER_TLS13, groups },
	{ "upgrade", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, upgrade },
	{ NULL },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
