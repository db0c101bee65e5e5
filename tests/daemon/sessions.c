// SPDX-License-Identifier: MIT
/*
 * What kssld keeps of sessions: whether they are resumed, over restarts and for how long,
 * and what its key log has of them.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "scene.h"

#define HOUR	3600

/* ---- sessions ---- */

/* Shakes hands; whether the session was resumed, and the one to resume next. */
static bool resumes(struct settings *s, SSL_CTX *ctx, const char *name, SSL_SESSION **session)
{
	SSL *peer = scene_new_peer(ctx, false);
	struct request r = scene_request(s);
	bool resumed;
	struct end e;

	if (name)
		SSL_set_tlsext_host_name(peer, name);
	if (*session)
		CHECK(SSL_set_session(peer, *session) == 1);
	scene_shake_hands(&e, s, &r, peer);
	CHECK(scene_is_up(&e));
	resumed = SSL_session_reused(peer);
	CHECK(!(e.l.session.flags & KSSL_SESSION_RESUMED) == !resumed);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(peer);
	/* Else OpenSSL takes it for one that went wrong. */
	SSL_set_shutdown(peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	scene_drop(&e);
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
	struct settings *s = scene_profile(RSA_SERVER "sni \"other.example\" {\n" SERVER("other") "}\n");
	SSL_CTX *tickets = scene_peer_ctx(s, TLS1_2_VERSION, NULL), *ids = scene_peer_ctx(s, TLS1_2_VERSION, NULL);
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
	scene_ahead = 3 * HOUR;
	CHECK(!resumes(s, ids, NULL, &session));
	scene_ahead = 0;
	SSL_SESSION_free(session);
	settings_put(s);
	doing = "no cache";
	s = scene_profile(RSA_SERVER "session_cache = 0\n");
	CHECK(resumes_new(s, tickets) && !resumes_new(s, ids));
	settings_put(s);
	doing = "nothing is resumed";
	s = scene_profile(RSA_SERVER "resume = no\n");
	CHECK(!resumes_new(s, tickets) && !resumes_new(s, ids));
	settings_put(s);
	SSL_CTX_free(tickets);
	SSL_CTX_free(ids);
}

/* A client's own, of TLS 1.2: a ticket of TLS 1.3 comes by way of the kernel. */
static void sessions_of_clients(void)
{
	struct settings *s = scene_profile(CLIENT), *never = scene_profile(CLIENT "resume = no\n");
	SSL_CTX *ctx = scene_peer_ctx(s, TLS1_2_VERSION, "rsa");
	struct settings *const both[] = { s, never };
	int i, j;

	SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"x", 1);
	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++) {
			struct request r = scene_request(both[i]);
			struct end e;

			doing = i ? "resume = no" : "resume = yes";
			scene_shake_hands(&e, both[i], &r, scene_new_peer(ctx, true));
			CHECK(scene_is_up(&e) && !!(e.l.session.flags & KSSL_SESSION_RESUMED) == (!i && j));
			scene_drop(&e);
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
		 "session_lifetime = 1000000\n}\n", scene_path(file), HOUR);
	return text;
}

static void save_session(SSL_SESSION *session)
{
	FILE *f = fopen(scene_path("session"), "w");

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

	snprintf(scene_dir, sizeof(scene_dir), "%s", in);
	scene_ahead = atol(seconds);
	f = fopen(scene_path("session"), "r");
	session = f ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;
	CHECK(session);
	fclose(f);
	s = scene_read(ticket_conf(file));
	ctx = scene_peer_ctx(s, TLS1_2_VERSION, NULL);
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
	snprintf(seconds, sizeof(seconds), "%ld", (long)scene_ahead);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "sessions", "resume", scene_dir, file, seconds, NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(!WEXITSTATUS(status) || WEXITSTATUS(status) == 3);
	f = fopen(scene_path("session"), "r");
	SSL_SESSION_free(*session);
	*session = f ? PEM_read_SSL_SESSION(f, NULL, NULL, NULL) : NULL;
	CHECK(*session);
	fclose(f);
	return !WEXITSTATUS(status);
}

static void ticket_keys(void)
{
	struct settings *s = scene_read(ticket_conf("tickets"));
	SSL_CTX *ctx = scene_peer_ctx(s, TLS1_2_VERSION, NULL);
	SSL_SESSION *session = NULL, *old;
	char why[KSSLD_TEXT_LEN];
	struct stat st;

	doing = "ticket keys in a file";
	CHECK(!stat(scene_path("tickets"), &st) && (st.st_mode & 0777) == 0600);
	CHECK(!resumes(s, ctx, NULL, &session));
	CHECK(resumes(s, ctx, NULL, &session));
	settings_put(s);
	s = scene_read(ticket_conf("tickets"));
	CHECK(resumes(s, ctx, NULL, &session));
	CHECK(resumes_after_restart(&session, "tickets"));
	doing = "a ticket of the key before";
	scene_ahead = HOUR + 10;
	CHECK(resumes_after_restart(&session, "tickets"));
	/* It was replaced, so that it outlives its key; and this process takes the new key from the file. */
	CHECK(resumes(s, ctx, NULL, &session));
	doing = "two rotations later";
	SSL_SESSION_up_ref(session);
	old = session;
	scene_ahead = 2 * HOUR + 20;
	CHECK(resumes_new(s, ctx));
	scene_ahead = 3 * HOUR + 30;
	CHECK(resumes_new(s, ctx));
	CHECK(!resumes(s, ctx, NULL, &old));
	SSL_SESSION_free(old);
	doing = "a key that nobody used for two rotations";
	CHECK(!resumes(s, ctx, NULL, &session) && resumes(s, ctx, NULL, &session));
	scene_ahead = 5 * HOUR + 40;
	CHECK(!resumes(s, ctx, NULL, &session));
	settings_put(s);
	doing = "another file";
	s = scene_read(ticket_conf("others"));
	CHECK(resumes(s, ctx, NULL, &session));
	CHECK(resumes_after_restart(&session, "others"));
	settings_put(s);
	scene_ahead = 0;
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	doing = "a file that others may read";
	CHECK(!chmod(scene_path("tickets"), 0644));
	CHECK(!scene_try(ticket_conf("tickets"), why) && strstr(why, "others than its owner"));
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
		 SERVER("other") "}\n}\n", scene_path("keylog"));
	s = scene_read(text);
	r = scene_request(s);
	FOR_VERSIONS(version) {
		const char *const names[] = { "localhost", "other.example" };
		SSL_CTX *ctx = scene_peer_ctx(s, version, NULL);
		int i;

		SSL_CTX_set_keylog_callback(ctx, log_key);
		for (i = 0; i < 2; i++) {
			SSL *peer = scene_new_peer(ctx, false);
			int lines = 0;
			struct end e;
			FILE *f;

			CHECK(!truncate(scene_path("keylog"), 0));
			logged[0] = 0;
			SSL_set_tlsext_host_name(peer, names[i]);
			scene_shake_hands(&e, s, &r, peer);
			CHECK(scene_is_up(&e));
			f = fopen(scene_path("keylog"), "r");
			CHECK(f);
			while (fgets(line, sizeof(line), f)) {
				CHECK(strstr(logged, line));
				lines++;
			}
			CHECK(lines == (version == TLS1_2_VERSION ? 1 : 5));
			fclose(f);
			scene_drop(&e);
		}
		SSL_CTX_free(ctx);
	}
	CHECK(!stat(scene_path("keylog"), &st) && (st.st_mode & 0777) == 0600);
	settings_put(s);
	settings_put(scene_profile(RSA_SERVER));
}

static const struct scene_test tests[] = {
	{ "sessions of servers", sessions_of_servers },
	{ "sessions of clients", sessions_of_clients },
	{ "ticket keys", ticket_keys },
	{ "key log", key_log },
};

int main(int argc, char **argv)
{
	keys_program = "build/userspace/kssld";
	if (argc == 5 && !strcmp(argv[1], "resume"))
		return resume_saved(argv[2], argv[3], argv[4]);
	return scene_main(tests, sizeof(tests) / sizeof(tests[0]));
}
