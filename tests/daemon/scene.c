// SPDX-License-Identifier: MIT
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>

#include "scene.h"

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

time_t scene_ahead;

/* OpenSSL's clock, and that of ticket keys. */
time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec + scene_ahead;
	return now.tv_sec + scene_ahead;
}

/* ---- configurations ---- */

char scene_dir[32];
const int scene_versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

const char *scene_path(const char *name)
{
	static char path[2][80];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", scene_dir, name);
	return path[turn];
}

void scene_write(const char *name, const char *text)
{
	FILE *f = fopen(scene_path(name), "w");

	CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st, (void)flag, (void)where;
	return remove(path);
}

void scene_remove(const char *path)
{
	CHECK(!nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS));
}

struct settings *scene_try(const char *text, char *why)
{
	struct settings *s;

	scene_write("conf", text);
	s = settings_read(scene_path("conf"), true, why);
	if (s && !profiles_load(s, 1, why) && !ticket_init(s->ticket_keys, s->ticket_rotate, why) &&
	    !keylog_open(s->keylog, why))
		return s;
	settings_put(s);
	return NULL;
}

struct settings *scene_read(const char *text)
{
	char why[KSSLD_TEXT_LEN] = "";
	struct settings *s = scene_try(text, why);

	if (!s)
		printf("# %s\n", why);
	CHECK(s);
	return s;
}

/* One profile, "p". */
struct settings *scene_profile(const char *words)
{
	char text[2048];

	snprintf(text, sizeof(text), "profile \"p\" {\n%s}\n", words);
	return scene_read(text);
}

void scene_refused(const char *words, const char *why_not)
{
	char text[2048], why[KSSLD_TEXT_LEN] = "";
	struct settings *s;

	snprintf(text, sizeof(text), "profile \"p\" {\n%s}\n", words);
	s = scene_try(text, why);
	if (s || !strstr(why, why_not))
		printf("# it says: %s\n", why);
	CHECK(!s && strstr(why, why_not));
	ERR_clear_error();
}

/* ---- connections ---- */

/* The peer is the other role's. */
SSL_CTX *scene_peer_ctx(const struct settings *s, int version, const char *cert)
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

SSL *scene_new_peer(SSL_CTX *ctx, bool server)
{
	SSL *ssl = SSL_new(ctx);

	CHECK(ssl);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

struct request scene_request(const struct settings *s)
{
	const struct profile *p = &s->profiles[0];
	struct request r = { .role = role_of(p), .timeout_ms = 30000, .id = 1 };

	snprintf(r.profile, sizeof(r.profile), "%s", p->name);
	if (!p->server)
		snprintf(r.name, sizeof(r.name), "localhost");
	return r;
}

/* With what was asked for, and a peer in its role. */
void scene_shake_hands(struct end *e, struct settings *s, const struct request *r, SSL *peer)
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

void scene_drop(struct end *e)
{
	link_drop(&e->l);
	settings_put(e->c->settings);
	free(e->c);
	ERR_clear_error();
}

bool scene_is_up(const struct end *e)
{
	return e->l.done && SSL_is_init_finished(e->l.ssl);
}

/* As asked for, by a peer of that context; whether that was good. */
bool scene_tries(struct settings *s, const struct request *r, SSL_CTX *ctx)
{
	struct end e;
	bool up;

	scene_shake_hands(&e, s, r, scene_new_peer(ctx, !s->profiles[0].server));
	up = scene_is_up(&e);
	scene_drop(&e);
	return up;
}

/* Why it is not. */
struct kssl_error scene_fails(struct settings *s, const struct request *r, SSL_CTX *ctx)
{
	struct kssl_error error;
	struct end e;

	scene_shake_hands(&e, s, r, scene_new_peer(ctx, !s->profiles[0].server));
	CHECK(!scene_is_up(&e));
	error = e.l.error;
	scene_drop(&e);
	return error;
}

/* ---- running them ---- */

static int run(const struct scene_test *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		test->run();
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/**
 * scene_main() - each test in a process of its own, whose clock and key processes nobody else sees
 * @tests: what there is
 * @count: of them
 *
 * Return: exit status.
 */
int scene_main(const struct scene_test *tests, unsigned int count)
{
	unsigned int i, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(scene_dir, sizeof(scene_dir), "/tmp/kssld-XXXXXX");
	if (!mkdtemp(scene_dir))
		return 1;
	printf("1..%u\n", count);
	for (i = 0; i < count; i++) {
		int bad = run(&tests[i]);

		printf("%sok %u - %s\n", bad ? "not " : "", i + 1, tests[i].name);
		failed += !!bad;
	}
	scene_remove(scene_dir);
	return failed ? 1 : 0;
}
