// SPDX-License-Identifier: MIT
/*
 * kssld's profiles, from the text of a configuration to the peer's end of a handshake,
 * without a kernel.  The test has its own clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "../../userspace/daemon/kssld.h"
#include "link.h"

#define HOUR	3600
#define DAY	86400

/* ---- what stands for the kernel ---- */

/* conn_start() asks a socket of its own what the kernel can carry. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len;
	return 0;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	(void)fd;
	CHECK(level == SOL_KSSL && name == KSSL_SUITES);
	if (value)
		memcpy(value, link_suites, *len);
	*len = link_suites_count * sizeof(link_suites[0]);
	return 0;
}

static time_t ahead;

/* OpenSSL's clock, and that of ticket keys. */
time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec + ahead;
	return now.tv_sec + ahead;
}

/* ---- configurations ---- */

#define SERVER(cert)	"certificate = \"build/certs/" cert ".crt\"\nkey = \"build/certs/" cert ".key\"\n"
#define RSA_SERVER	SERVER("rsa") "allow = { \"everybody\" }\n"
#define TRUST		"trust = \"build/certs/ca.crt\"\n"
#define CLIENT		"role = \"client\"\n" TRUST

static char dir[32];

static const char *in_dir(const char *name)
{
	static char path[2][80];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st, (void)flag, (void)where;
	return remove(path);
}

static void remove_tree(const char *path)
{
	CHECK(!nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}

static struct settings *read_conf(const char *text, char *why)
{
	struct settings *s;

	write_file("conf", text);
	s = settings_read(in_dir("conf"), true, why);
	if (s && !profiles_load(s, 1, why) && !ticket_init(s->ticket_keys, s->ticket_rotate, why) &&
	    !keylog_open(s->keylog, why))
		return s;
	settings_put(s);
	return NULL;
}

static struct settings *read_good(const char *text)
{
	char why[KSSLD_TEXT_LEN] = "";
	struct settings *s = read_conf(text, why);

	if (!s)
		printf("# %s\n", why);
	CHECK(s);
	return s;
}

/* One profile, "p". */
static struct settings *read_profile(const char *words)
{
	char text[2048];

	snprintf(text, sizeof(text), "profile \"p\" {\n%s}\n", words);
	return read_good(text);
}

static void refused_profile(const char *words, const char *why_not)
{
	char text[2048], why[KSSLD_TEXT_LEN] = "";
	struct settings *s;

	snprintf(text, sizeof(text), "profile \"p\" {\n%s}\n", words);
	s = read_conf(text, why);
	if (s || !strstr(why, why_not))
		printf("# it says: %s\n", why);
	CHECK(!s && strstr(why, why_not));
	ERR_clear_error();
}

/* ---- connections ---- */

/**
 * struct end - a connection of the daemon, and the peer's end of it
 * @c: the daemon's
 * @l: the peer's
 */
struct end {
	struct conn *c;
	struct link l;
};

/* The peer is the other role's. */
static SSL_CTX *peer_ctx(const struct settings *s, int version, const char *cert)
{
	bool server = !s->profiles[0].server;
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	char file[64];

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, "build/certs/ca.crt") == 1);
	CHECK(SSL_CTX_set_min_proto_version(ctx, version) && SSL_CTX_set_max_proto_version(ctx, version));
	if (!server)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!cert)
		return ctx;
	snprintf(file, sizeof(file), "build/certs/%s.crt", cert);
	CHECK(SSL_CTX_use_certificate_chain_file(ctx, file) == 1);
	snprintf(file, sizeof(file), "build/certs/%s.key", cert);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) == 1);
	return ctx;
}

static SSL *new_peer(SSL_CTX *ctx, bool server)
{
	SSL *ssl = SSL_new(ctx);

	CHECK(ssl);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static struct request as_asked(const struct settings *s)
{
	const struct profile *p = &s->profiles[0];
	struct request r = { .role = role_of(p), .timeout_ms = 30000, .id = 1 };

	snprintf(r.profile, sizeof(r.profile), "%s", p->name);
	if (!p->server)
		snprintf(r.name, sizeof(r.name), "localhost");
	return r;
}

/* With what was asked for, and a peer in its role. */
static void shake_hands(struct end *e, struct settings *s, const struct request *r, SSL *peer)
{
	e->c = calloc(1, sizeof(*e->c));
	CHECK(e->c);
	e->c->request = *r;
	e->c->settings = settings_get(s);
	e->c->profile = &s->profiles[0];
	e->c->request.control = link_make(&e->l, peer);
	CHECK(!conn_start(e->c));
	link_shake_hands(&e->l, e->c->k);
	if (!e->l.done)
		CHECK(e->c->gone && e->l.error.err);
}

static void drop(struct end *e)
{
	link_drop(&e->l);
	settings_put(e->c->settings);
	free(e->c);
	ERR_clear_error();
}

static bool is_up(const struct end *e)
{
	return e->l.done && SSL_is_init_finished(e->l.ssl);
}

/* As asked for, by a peer of that context; whether that was good. */
static bool tries(struct settings *s, const struct request *r, SSL_CTX *ctx)
{
	struct end e;
	bool up;

	shake_hands(&e, s, r, new_peer(ctx, !s->profiles[0].server));
	up = is_up(&e);
	drop(&e);
	return up;
}

/* Why it is not. */
static struct kssl_error fails(struct settings *s, const struct request *r, SSL_CTX *ctx)
{
	struct kssl_error error;
	struct end e;

	shake_hands(&e, s, r, new_peer(ctx, !s->profiles[0].server));
	CHECK(!is_up(&e));
	error = e.l.error;
	drop(&e);
	return error;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

#define FOR_VERSIONS(v) for (unsigned int v##_i = 0; v##_i < 2; v##_i++) for (int v = versions[v##_i], once = 1; once; once = 0)

/* ---- server names ---- */

static bool is_cert(X509 *cert, const char *name)
{
	char path[64];
	FILE *f;
	X509 *want;
	bool same;

	snprintf(path, sizeof(path), "build/certs/%s.crt", name);
	f = fopen(path, "r");
	want = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	CHECK(cert && want);
	same = !X509_cmp(cert, want);
	fclose(f);
	X509_free(want);
	return same;
}

static void server_names(void)
{
	static const struct {
		const char *name;
		const char *cert;
	} names[] = {
		{ "other.example", "other" }, { "OTHER.example", "other" }, { "a.other.example", "ecdsa" },
		{ "a.b.other.example", "rsa" }, { "another.example", "rsa" }, { "localhost", "rsa" }, { NULL, "rsa" },
	};
	struct settings *s = read_profile(RSA_SERVER "sni \"other.example\" {\n" SERVER("other") "}\n"
					  "sni \"*.other.example\" {\n" SERVER("ecdsa") "}\n");
	struct request r = as_asked(s);
	unsigned int i;

	FOR_VERSIONS(version) {
		SSL_CTX *ctx = peer_ctx(s, version, NULL);

		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			SSL *peer = new_peer(ctx, false);
			struct end e;

			doing = names[i].name ? names[i].name : "no name";
			if (names[i].name)
				SSL_set_tlsext_host_name(peer, names[i].name);
			shake_hands(&e, s, &r, peer);
			CHECK(is_up(&e) && is_cert(SSL_get0_peer_certificate(peer), names[i].cert));
			CHECK(!strcmp(e.l.session.name, names[i].name ? names[i].name : ""));
			drop(&e);
		}
		SSL_CTX_free(ctx);
	}
	settings_put(s);
}

/* ---- OCSP ---- */

/* Return: bytes of what was stapled. */
static long stapled(struct settings *s, int version, bool ask, const unsigned char **der)
{
	SSL_CTX *ctx = peer_ctx(s, version, NULL);
	SSL *peer = new_peer(ctx, false);
	static unsigned char copy[8192];
	struct request r = as_asked(s);
	const unsigned char *response;
	struct end e;
	long len;

	if (ask)
		SSL_set_tlsext_status_type(peer, TLSEXT_STATUSTYPE_ocsp);
	shake_hands(&e, s, &r, peer);
	CHECK(is_up(&e));
	len = SSL_get_tlsext_status_ocsp_resp(peer, &response);
	if (len > 0) {
		CHECK(len <= (long)sizeof(copy));
		memcpy(copy, response, len);
		*der = copy;
	}
	drop(&e);
	SSL_CTX_free(ctx);
	return len;
}

static void ocsp(void)
{
	struct settings *s = read_profile(RSA_SERVER "ocsp = \"build/certs/rsa.ocsp\"\n");
	FILE *f = fopen("build/certs/rsa.ocsp", "r");
	unsigned char file[8192];
	const unsigned char *der;
	long len;

	doing = "OCSP";
	CHECK(f);
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	FOR_VERSIONS(version) {
		CHECK(stapled(s, version, false, &der) <= 0);
		CHECK(stapled(s, version, true, &der) == len && !memcmp(der, file, len));
		ahead = 1001 * DAY;
		CHECK(stapled(s, version, true, &der) <= 0);
		ahead = 0;
	}
	settings_put(s);
	doing = "an OCSP response that is out of date already";
	ahead = 1001 * DAY;
	s = read_profile(RSA_SERVER "ocsp = \"build/certs/rsa.ocsp\"\n");
	CHECK(stapled(s, TLS1_3_VERSION, true, &der) <= 0);
	ahead = 0;
	settings_put(s);
	doing = "bad OCSP responses";
	refused_profile(RSA_SERVER "ocsp = \"build/certs/none\"\n", "No such file");
	refused_profile(RSA_SERVER "ocsp = \"build/certs/rsa.crt\"\n", "OCSP");
	refused_profile(SERVER("ecdsa") "ocsp = \"build/certs/rsa.ocsp\"\n", "OCSP");
}

/* ---- revocation ---- */

static void revocation(void)
{
	struct settings *s = read_profile(RSA_SERVER TRUST "client_cert = \"require\"\ncrl = \"build/certs/crl.pem\"\n");
	struct request r = as_asked(s);

	doing = "revoked client";
	FOR_VERSIONS(version) {
		SSL_CTX *good = peer_ctx(s, version, "client"), *revoked = peer_ctx(s, version, "revoked");
		struct kssl_error error;

		CHECK(tries(s, &r, good));
		error = fails(s, &r, revoked);
		CHECK(error.err == EKEYREJECTED && error.x509 == X509_V_ERR_CERT_REVOKED);
		SSL_CTX_free(good);
		SSL_CTX_free(revoked);
	}
	settings_put(s);
	doing = "revoked server";
	s = read_profile(CLIENT "crl = \"build/certs/crl.pem\"\n");
	r = as_asked(s);
	FOR_VERSIONS(version) {
		SSL_CTX *good = peer_ctx(s, version, "rsa"), *revoked = peer_ctx(s, version, "revoked");

		CHECK(tries(s, &r, good));
		CHECK(fails(s, &r, revoked).x509 == X509_V_ERR_CERT_REVOKED);
		SSL_CTX_free(good);
		SSL_CTX_free(revoked);
	}
	settings_put(s);
	doing = "no list";
	refused_profile(RSA_SERVER "crl = \"build/certs/none\"\n", "crl");
	refused_profile(CLIENT "crl = \"build/certs/rsa.key\"\n", "crl");
	refused_profile("role = \"client\"\ntrust = \"build/certs/none\"\n", "trust");
}

/* ---- sessions ---- */

/* Shakes hands; whether the session was resumed, and the one to resume next. */
static bool resumes(struct settings *s, SSL_CTX *ctx, const char *name, SSL_SESSION **session)
{
	SSL *peer = new_peer(ctx, false);
	struct request r = as_asked(s);
	bool resumed;
	struct end e;

	if (name)
		SSL_set_tlsext_host_name(peer, name);
	if (*session)
		CHECK(SSL_set_session(peer, *session) == 1);
	shake_hands(&e, s, &r, peer);
	CHECK(is_up(&e));
	resumed = SSL_session_reused(peer);
	CHECK(!(e.l.session.flags & KSSL_SESSION_RESUMED) == !resumed);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(peer);
	/* Else OpenSSL takes it for one that went wrong. */
	SSL_set_shutdown(peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	drop(&e);
	return resumed;
}

/* Whether a new session is resumed at once. */
static bool resumes_new(struct settings *s, SSL_CTX *ctx)
{
	SSL_SESSION *session = NULL;
	bool resumed;

	CHECK(!resumes(s, ctx, NULL, &session));
	resumed = resumes(s, ctx, NULL, &session);
	SSL_SESSION_free(session);
	return resumed;
}

static void sessions_of_servers(void)
{
	struct settings *s = read_profile(RSA_SERVER "sni \"other.example\" {\n" SERVER("other") "}\n");
	SSL_CTX *tickets = peer_ctx(s, TLS1_2_VERSION, NULL), *ids = peer_ctx(s, TLS1_2_VERSION, NULL);
	SSL_SESSION *session = NULL;

	SSL_CTX_set_options(ids, SSL_OP_NO_TICKET);
	doing = "a server's sessions";
	CHECK(resumes_new(s, tickets) && resumes_new(s, ids));
	doing = "a session of another name";
	CHECK(!resumes(s, tickets, "other.example", &session));
	CHECK(resumes(s, tickets, "other.example", &session));
	CHECK(!resumes(s, tickets, "localhost", &session));
	SSL_SESSION_free(session);
	session = NULL;
	CHECK(!resumes(s, ids, "other.example", &session));
	CHECK(resumes(s, ids, "other.example", &session));
	CHECK(!resumes(s, ids, "localhost", &session));
	SSL_SESSION_free(session);
	session = NULL;
	doing = "a session that is too old";
	CHECK(!resumes(s, ids, NULL, &session));
	ahead = 3 * HOUR;
	CHECK(!resumes(s, ids, NULL, &session));
	ahead = 0;
	SSL_SESSION_free(session);
	settings_put(s);
	doing = "no cache";
	s = read_profile(RSA_SERVER "session_cache = 0\n");
	CHECK(resumes_new(s, tickets) && !resumes_new(s, ids));
	settings_put(s);
	doing = "nothing is resumed";
	s = read_profile(RSA_SERVER "resume = no\n");
	CHECK(!resumes_new(s, tickets) && !resumes_new(s, ids));
	settings_put(s);
	SSL_CTX_free(tickets);
	SSL_CTX_free(ids);
}

/* A client's own, of TLS 1.2: a ticket of TLS 1.3 comes by way of the kernel. */
static void sessions_of_clients(void)
{
	struct settings *s = read_profile(CLIENT), *never = read_profile(CLIENT "resume = no\n");
	SSL_CTX *ctx = peer_ctx(s, TLS1_2_VERSION, "rsa");
	struct settings *const both[] = { s, never };
	int i, j;

	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1);
	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++) {
			struct request r = as_asked(both[i]);
			struct end e;

			doing = i ? "resume = no" : "resume = yes";
			shake_hands(&e, both[i], &r, new_peer(ctx, true));
			CHECK(is_up(&e) && !!(e.l.session.flags & KSSL_SESSION_RESUMED) == (!i && j));
			drop(&e);
		}
	SSL_CTX_free(ctx);
	settings_put(s);
	settings_put(never);
}

/* ---- ticket keys ---- */

static const char *ticket_conf(const char *file)
{
	static char text[1024];

	snprintf(text, sizeof(text), "ticket_keys = \"%s\"\nticket_rotate = %d\nprofile \"p\" {\n" RSA_SERVER
		 "session_lifetime = 1000000\n}\n", in_dir(file), HOUR);
	return text;
}

static void save_session(SSL_SESSION *session)
{
	FILE *f = fopen(in_dir("session"), "w");

	CHECK(f && PEM_write_SSL_SESSION(f, session) && !fclose(f));
}

/* Another process: what the daemon is after a restart. */
static int resume_saved(const char *in, const char *file, const char *seconds)
{
	struct settings *s;
	SSL_SESSION *session;
	SSL_CTX *ctx;
	FILE *f;
	bool resumed;

	snprintf(dir, sizeof(dir), "%s", in);
	ahead = atol(seconds);
	f = fopen(in_dir("session"), "r");
	session = f ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;
	CHECK(session);
	fclose(f);
	s = read_good(ticket_conf(file));
	ctx = peer_ctx(s, TLS1_2_VERSION, NULL);
	resumed = resumes(s, ctx, NULL, &session);
	save_session(session);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	settings_put(s);
	return resumed ? 0 : 3;
}

static bool resumes_after_restart(SSL_SESSION **session, const char *file)
{
	char seconds[24];
	int status;
	pid_t pid;
	FILE *f;

	save_session(*session);
	snprintf(seconds, sizeof(seconds), "%ld", (long)ahead);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "profiles", "resume", dir, file, seconds, NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(!WEXITSTATUS(status) || WEXITSTATUS(status) == 3);
	f = fopen(in_dir("session"), "r");
	SSL_SESSION_free(*session);
	*session = f ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;
	CHECK(*session);
	fclose(f);
	return !WEXITSTATUS(status);
}

static void ticket_keys(void)
{
	struct settings *s = read_good(ticket_conf("tickets"));
	SSL_CTX *ctx = peer_ctx(s, TLS1_2_VERSION, NULL);
	SSL_SESSION *session = NULL, *old;
	char why[KSSLD_TEXT_LEN];
	struct stat st;

	doing = "ticket keys in a file";
	CHECK(!stat(in_dir("tickets"), &st) && (st.st_mode & 0777) == 0600);
	CHECK(!resumes(s, ctx, NULL, &session));
	CHECK(resumes(s, ctx, NULL, &session));
	settings_put(s);
	s = read_good(ticket_conf("tickets"));
	CHECK(resumes(s, ctx, NULL, &session));
	CHECK(resumes_after_restart(&session, "tickets"));
	doing = "a ticket of the key before";
	ahead = HOUR + 10;
	CHECK(resumes_after_restart(&session, "tickets"));
	/* It was replaced, so that it outlives its key; and this process takes the new key from the file. */
	CHECK(resumes(s, ctx, NULL, &session));
	doing = "two rotations later";
	SSL_SESSION_up_ref(session);
	old = session;
	ahead = 2 * HOUR + 20;
	CHECK(resumes_new(s, ctx));
	ahead = 3 * HOUR + 30;
	CHECK(resumes_new(s, ctx));
	CHECK(!resumes(s, ctx, NULL, &old));
	SSL_SESSION_free(old);
	doing = "a key that nobody used for two rotations";
	CHECK(!resumes(s, ctx, NULL, &session) && resumes(s, ctx, NULL, &session));
	ahead = 5 * HOUR + 40;
	CHECK(!resumes(s, ctx, NULL, &session));
	settings_put(s);
	doing = "another file";
	s = read_good(ticket_conf("others"));
	CHECK(resumes(s, ctx, NULL, &session));
	CHECK(resumes_after_restart(&session, "others"));
	settings_put(s);
	ahead = 0;
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	doing = "a file that others may read";
	CHECK(!chmod(in_dir("tickets"), 0644));
	CHECK(!read_conf(ticket_conf("tickets"), why) && strstr(why, "others than its owner"));
}

/* ---- key log ---- */

static char logged[8192];

static void log_key(const SSL *ssl, const char *line)
{
	size_t len = strlen(logged);

	(void)ssl;
	snprintf(logged + len, sizeof(logged) - len, "%s\n", line);
}

/* Line by line what the peer knows too. */
static void key_log(void)
{
	char text[1024], line[512];
	struct settings *s;
	struct request r;
	struct stat st;

	doing = "key log";
	snprintf(text, sizeof(text), "keylog = \"%s\"\nprofile \"p\" {\n" RSA_SERVER "sni \"other.example\" {\n"
		 SERVER("other") "}\n}\n", in_dir("keylog"));
	s = read_good(text);
	r = as_asked(s);
	FOR_VERSIONS(version) {
		const char *const names[] = { "localhost", "other.example" };
		SSL_CTX *ctx = peer_ctx(s, version, NULL);
		int i;

		SSL_CTX_set_keylog_callback(ctx, log_key);
		for (i = 0; i < 2; i++) {
			SSL *peer = new_peer(ctx, false);
			int lines = 0;
			struct end e;
			FILE *f;

			CHECK(!truncate(in_dir("keylog"), 0));
			logged[0] = 0;
			SSL_set_tlsext_host_name(peer, names[i]);
			shake_hands(&e, s, &r, peer);
			CHECK(is_up(&e));
			f = fopen(in_dir("keylog"), "r");
			CHECK(f);
			while (fgets(line, sizeof(line), f)) {
				CHECK(strstr(logged, line));
				lines++;
			}
			CHECK(lines == (version == TLS1_2_VERSION ? 1 : 5));
			fclose(f);
			drop(&e);
		}
		SSL_CTX_free(ctx);
	}
	CHECK(!stat(in_dir("keylog"), &st) && (st.st_mode & 0777) == 0600);
	settings_put(s);
	settings_put(read_profile(RSA_SERVER));
}

/* ---- policies ---- */

/* Whether a server of that profile agrees with a client of that version and those ciphers, and on which. */
static bool agrees(const char *words, int version, const char *ciphers, const char *on)
{
	char text[1024];
	struct settings *s;
	struct request r;
	struct end e;
	SSL_CTX *ctx;
	bool agreed;

	snprintf(text, sizeof(text), RSA_SERVER "%s", words);
	doing = words;
	s = read_profile(text);
	r = as_asked(s);
	ctx = peer_ctx(s, version, NULL);
	if (version == TLS1_3_VERSION)
		CHECK(SSL_CTX_set_ciphersuites(ctx, ciphers));
	else
		CHECK(SSL_CTX_set_cipher_list(ctx, ciphers));
	shake_hands(&e, s, &r, new_peer(ctx, false));
	agreed = is_up(&e);
	if (agreed && strcmp(SSL_get_cipher_name(e.l.ssl), on))
		printf("# agreed on %s\n", SSL_get_cipher_name(e.l.ssl));
	CHECK(!agreed || !strcmp(SSL_get_cipher_name(e.l.ssl), on));
	CHECK(agreed || e.l.error.err == EPROTO);
	drop(&e);
	SSL_CTX_free(ctx);
	settings_put(s);
	return agreed;
}

static void versions_and_ciphers(void)
{
	static const char both12[] = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
	static const char both13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

	CHECK(agrees("", TLS1_2_VERSION, both12, "ECDHE-RSA-AES256-GCM-SHA384"));
	CHECK(agrees("", TLS1_3_VERSION, both13, "TLS_AES_256_GCM_SHA384"));
	CHECK(!agrees("min_version = \"1.3\"\n", TLS1_2_VERSION, both12, ""));
	CHECK(!agrees("max_version = \"1.2\"\n", TLS1_3_VERSION, both13, ""));
	CHECK(agrees("max_version = \"1.2\"\n", TLS1_2_VERSION, both12, "ECDHE-RSA-AES256-GCM-SHA384"));
	CHECK(agrees("ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\"\n", TLS1_2_VERSION, both12,
		     "ECDHE-RSA-AES128-GCM-SHA256"));
	CHECK(!agrees("ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\"\n", TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", ""));
	CHECK(agrees("ciphersuites = \"TLS_AES_128_GCM_SHA256\"\n", TLS1_3_VERSION, both13, "TLS_AES_128_GCM_SHA256"));
	CHECK(!agrees("ciphersuites = \"TLS_AES_128_GCM_SHA256\"\n", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", ""));
	/* A key exchange by RSA is for who asks for it. */
	CHECK(!agrees("", TLS1_2_VERSION, "AES128-GCM-SHA256", ""));
	CHECK(agrees("ciphers = \"AES128-GCM-SHA256\"\n", TLS1_2_VERSION, "AES128-GCM-SHA256", "AES128-GCM-SHA256"));
	CHECK(agrees("ciphers = \"DEFAULT\"\n", TLS1_2_VERSION, "AES128-GCM-SHA256", "AES128-GCM-SHA256"));
	refused_profile(RSA_SERVER "ciphers = \"nonsense\"\n", "ciphers");
	refused_profile(RSA_SERVER "ciphersuites = \"nonsense\"\n", "ciphersuites");
}

/* Of the profile, and of who asks; with which certificate; whether that is good. */
static void client_certificates(void)
{
	static const struct {
		const char *policy;
		int asked;
		const char *cert;
		bool good;
		bool shown;
	} rows[] = {
		{ "no", 0, NULL, true, false }, { "no", 0, "client", true, false },
		{ "request", 0, NULL, true, false }, { "request", 0, "client", true, true },
		{ "require", 0, NULL, false, false }, { "require", 0, "client", true, true },
		/* A server's certificate is not for clients. */
		{ "request", 0, "rsa", false, true }, { "require", 0, "rsa", false, true },
		{ "no", KSSL_CLIENT_CERT_REQUEST, "client", true, true },
		{ "no", KSSL_CLIENT_CERT_REQUEST, NULL, true, false },
		{ "no", KSSL_CLIENT_CERT_REQUIRE, NULL, false, false },
		{ "require", KSSL_CLIENT_CERT_REQUEST, NULL, false, false },
	};
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct settings *s;

		snprintf(text, sizeof(text), RSA_SERVER TRUST "client_cert = \"%s\"\n", rows[i].policy);
		doing = rows[i].policy;
		s = read_profile(text);
		FOR_VERSIONS(version) {
			SSL_CTX *ctx = peer_ctx(s, version, rows[i].cert);
			struct request r = as_asked(s);
			struct end e;

			r.client_cert = rows[i].asked;
			shake_hands(&e, s, &r, new_peer(ctx, false));
			CHECK(e.l.done == rows[i].good);
			CHECK(e.l.done ? !e.l.chain_len == !rows[i].shown : e.l.error.err != 0);
			drop(&e);
			SSL_CTX_free(ctx);
		}
		settings_put(s);
	}
}

static void pin_of(SSL_CTX *ctx, uint8_t *pin)
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(SSL_CTX_get0_certificate(ctx)), &der);

	CHECK(len > 0);
	SHA256(der, len, pin);
	OPENSSL_free(der);
}

static void pins(void)
{
	struct settings *server = read_profile(RSA_SERVER TRUST), *client = read_profile(CLIENT);
	struct settings *no_verify = read_profile("role = \"client\"\nverify = no\n");

	doing = "pins";
	FOR_VERSIONS(version) {
		SSL_CTX *good = peer_ctx(server, version, "client"), *bad = peer_ctx(server, version, "revoked");
		SSL_CTX *none = peer_ctx(server, version, NULL), *rsa = peer_ctx(client, version, "rsa");
		SSL_CTX *ecdsa = peer_ctx(client, version, "ecdsa");
		struct request r = as_asked(server);

		/* At a server they are of the client's key, and demand one. */
		r.pins_count = 2;
		pin_of(good, r.pins[1]);
		CHECK(tries(server, &r, good));
		CHECK(fails(server, &r, bad).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		CHECK(fails(server, &r, none).err);
		r = as_asked(client);
		r.pins_count = 1;
		pin_of(rsa, r.pins[0]);
		CHECK(tries(client, &r, rsa));
		CHECK(fails(client, &r, ecdsa).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		r = as_asked(no_verify);
		CHECK(tries(no_verify, &r, ecdsa));
		r.pins_count = 1;
		pin_of(rsa, r.pins[0]);
		CHECK(tries(no_verify, &r, rsa));
		CHECK(fails(no_verify, &r, ecdsa).x509 == X509_V_ERR_APPLICATION_VERIFICATION);
		SSL_CTX_free(good);
		SSL_CTX_free(bad);
		SSL_CTX_free(none);
		SSL_CTX_free(rsa);
		SSL_CTX_free(ecdsa);
	}
	settings_put(server);
	settings_put(client);
	settings_put(no_verify);
}

static void protocols(void)
{
	struct settings *s = read_profile(RSA_SERVER "alpn = { \"one\", \"two\" }\n");

	FOR_VERSIONS(version) {
		SSL_CTX *ctx = peer_ctx(s, version, NULL);
		struct request r = as_asked(s);
		struct end e;

		doing = "the profile's protocols";
		SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\3two\3one", 8);
		shake_hands(&e, s, &r, new_peer(ctx, false));
		CHECK(is_up(&e) && !strcmp(e.l.session.alpn, "one"));
		drop(&e);
		doing = "the application's protocols";
		memcpy(r.alpn, "\3two", r.alpn_len = 4);
		shake_hands(&e, s, &r, new_peer(ctx, false));
		CHECK(is_up(&e) && !strcmp(e.l.session.alpn, "two"));
		drop(&e);
		doing = "no protocol in common";
		SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\5three", 6);
		CHECK(fails(s, &r, ctx).err == EPROTO);
		SSL_CTX_free(ctx);
	}
	settings_put(s);
}

/* ---- keys ---- */

static void keys_and_certificates(void)
{
	doing = "keys and certificates";
	refused_profile("certificate = \"build/certs/rsa.crt\"\nkey = \"build/certs/other.key\"\n", "does not belong");
	refused_profile("certificate = \"build/certs/ecdsa.crt\"\nkey = \"build/certs/client.key\"\n", "does not belong");
	refused_profile("certificate = \"build/certs/rsa.crt\"\nkey = \"build/certs/ecdsa.key\"\n", "does not belong");
	refused_profile("certificate = \"build/certs/none\"\nkey = \"build/certs/rsa.key\"\n", "certificate");
}

/* As a URI of a store: OpenSSL's own is of files. */
static void key_uris(void)
{
	char text[1024], cwd[512];
	struct settings *s;
	struct request r;
	SSL_CTX *ctx;

	doing = "a key's URI";
	CHECK(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text), "certificate = \"build/certs/rsa.crt\"\nkey = \"file:%s/build/certs/rsa.key\"\n", cwd);
	s = read_profile(text);
	r = as_asked(s);
	ctx = peer_ctx(s, TLS1_3_VERSION, NULL);
	CHECK(tries(s, &r, ctx));
	SSL_CTX_free(ctx);
	settings_put(s);
	refused_profile("certificate = \"build/certs/rsa.crt\"\nkey = \"file:/nonexistent?pin-value=1234\"\n", "URI");
}

/* A token of SoftHSM with this file's key. */
static void make_token(const char *file)
{
	char text[1024];

	CHECK(!mkdir(in_dir("tokens"), 0700));
	snprintf(text, sizeof(text), "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		 in_dir("tokens"));
	write_file("softhsm", text);
	setenv("SOFTHSM2_CONF", in_dir("softhsm"), 1);
	setenv("PKCS11_MODULE_PATH", "/usr/lib/softhsm/libsofthsm2.so", 1);
	snprintf(text, sizeof(text), "softhsm2-util --init-token --free --label kssl --so-pin 12345 --pin 1234 >%s 2>&1 && "
		 "softhsm2-util --import %s --token kssl --label web --id 01 --pin 1234 >%s 2>&1",
		 in_dir("log"), file, in_dir("log"));
	CHECK(!system(text));
	/* SoftHSM reads them each time, and the key process is nobody by then. */
	snprintf(text, sizeof(text), "chmod -R a+rX %s", dir);
	CHECK(!system(text));
}

#define TOKEN	"pkcs11:token=kssl;object=web;pin-value="

static void token_keys(void)
{
	static const char *const certs[] = { "rsa", "ecdsa" };
	char text[512];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct settings *s;
		struct request r;

		doing = certs[i];
		snprintf(text, sizeof(text), "build/certs/%s.key", certs[i]);
		make_token(text);
		snprintf(text, sizeof(text), "certificate = \"build/certs/%s.crt\"\nkey = \"" TOKEN "1234\"\n", certs[i]);
		s = read_profile(text);
		r = as_asked(s);
		FOR_VERSIONS(version) {
			SSL_CTX *ctx = peer_ctx(s, version, NULL);

			CHECK(tries(s, &r, ctx));
			SSL_CTX_free(ctx);
		}
		settings_put(s);
		snprintf(text, sizeof(text), "certificate = \"build/certs/%s.crt\"\nkey = \"" TOKEN "4321\"\n", certs[i]);
		/* A PIN is not for the log. */
		refused_profile(text, "key of a URI: ");
		remove_tree(in_dir("tokens"));
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "certificates by server name", server_names },
	{ "OCSP responses", ocsp },
	{ "revocation lists", revocation },
	{ "sessions of servers", sessions_of_servers },
	{ "sessions of clients", sessions_of_clients },
	{ "ticket keys", ticket_keys },
	{ "key log", key_log },
	{ "versions and ciphers", versions_and_ciphers },
	{ "certificates of clients", client_certificates },
	{ "pins", pins },
	{ "protocols", protocols },
	{ "keys and certificates", keys_and_certificates },
	{ "URIs of keys", key_uris },
	{ "keys of a token", token_keys },
};

#define TESTS	(sizeof(tests) / sizeof(tests[0]))

static int run(unsigned int i)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		tests[i].run();
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	unsigned int i, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	keys_program = "build/userspace/kssld";
	if (argc == 5 && !strcmp(argv[1], "resume"))
		return resume_saved(argv[2], argv[3], argv[4]);
	snprintf(dir, sizeof(dir), "/tmp/kssld-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	printf("1..%zu\n", TESTS);
	for (i = 0; i < TESTS; i++) {
		int bad = run(i);

		printf("%sok %u - %s\n", bad ? "not " : "", i + 1, tests[i].name);
		failed += !!bad;
	}
	remove_tree(dir);
	return failed ? 1 : 0;
}
