// SPDX-License-Identifier: MIT
/*
 * The bystander of wire.h beside two openssl programs, without kssl: he can read
 * every suite and version in his table, through renegotiations and KeyUpdates, and
 * has nothing against them.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/evp.h>
#include "peer.h"
#include "watch.h"

#define PATIENCE_MS	90000
#define DATA_LEN	70000

struct suite_case {
	const char *name;	/* OpenSSL's */
	uint16_t suite;
	uint16_t version;
	const char *cert;
	const char *option;	/* of the server, or NULL */
	int etm;
};

/* One end, and what it sends. */
struct end {
	struct peer peer;
	struct wire_totals totals;
	EVP_MD_CTX *digest;
};

static struct end ends[2];
static struct watch *watch;
static char key_log[64];

static void read_key_log(void)
{
	FILE *file = fopen(key_log, "r");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		watch_key_line(line, watch);
	if (file)
		fclose(file);
	unlink(key_log);
}

static void show_remarks(unsigned int i, const struct remarks *r)
{
	note("end %u: ...%s", i, r->len < 500 ? r->text : r->text + r->len - 500);
}

static void show(void)
{
	unsigned int i;

	if (watch) {
		read_key_log();
		watch_show(watch);
	}
	for (i = 0; i < 2; i++) {
		show_remarks(i, &ends[i].peer.said);
		show_remarks(i, &ends[i].peer.complained);
	}
}

static void move(int from)
{
	static uint8_t buf[DATA_LEN];
	struct end *e = &ends[from];
	struct peer *to = &ends[!from].peer;
	size_t sent = 0, got = 0, i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = 0x80 | (i * 7 + i / 251);
	CHECK(EVP_DigestUpdate(e->digest, buf, sizeof(buf)));
	e->totals.bytes += sizeof(buf);
	while (!peer_is_idle(&e->peer))
		usleep(1000);
	while (got < sizeof(buf)) {
		static uint8_t in[65536];
		struct pollfd fds[3] = {
			{ .fd = to->out, .events = POLLIN },
			{ .fd = sent < sizeof(buf) ? e->peer.in : -1, .events = POLLOUT },
			{ .fd = e->peer.out, .events = POLLIN },
		};
		ssize_t n;

		if (!SYS(poll(fds, 3, PATIENCE_MS)))
			check_failed(__FILE__, __LINE__, "nothing moves any more");
		if (fds[1].revents)
			sent += SYS(write(e->peer.in, buf + sent, sizeof(buf) - sent));
		if (fds[2].revents)
			EQ(peer_take(&e->peer, in, sizeof(in)), 0);
		if (!fds[0].revents)
			continue;
		n = peer_take(to, in, sizeof(in));
		CHECK(n >= 0);
		got += n;
	}
}

static void both_ways(void)
{
	move(OURS);
	move(THEIRS);
}

static void start(const struct suite_case *c, struct end *server, struct end *client, const char *option)
{
	struct peer_setup setup = {
		.stack = OPENSSL, .server = 1, .version = c->version, .suite = c->name, .cert = c->cert,
		.options = { option, "-client_renegotiation", c->option },
	};

	if (c->version == 0x0304)
		setup.options[1] = "-cipher=DEFAULT:@SECLEVEL=0";
	peer_start(&server->peer, &setup, 0);
	watch = watch_start(server->peer.port, v->server);
	watch_only(watch, !v->server);
	peer_wait(&server->peer, "ACCEPT");
	setup = (struct peer_setup) {
		.stack = OPENSSL, .version = c->version, .suite = c->name,
		.options = { c->version == 0x0304 ? "-cipher=DEFAULT:@SECLEVEL=0" : NULL },
	};
	peer_start(&client->peer, &setup, server->peer.port);
	peer_wait(&client->peer, "Verify return code: 0");
}

/* New keys, from either side. */
static void new_keys(const struct suite_case *c, struct end *server, struct end *client)
{
	if (c->version == 0x0304) {
		peer_command(&client->peer, "K\n");
		both_ways();
		peer_command(&server->peer, "k\n");
		both_ways();
		return;
	}
	peer_command(&client->peer, "R\n");
	peer_wait(&client->peer, "RENEGOTIATING");
	/* The client sends when it is through; it takes data that comes before for an attack. */
	move(client == &ends[THEIRS]);
	move(client == &ends[OURS]);
}

static void try_case(const struct suite_case *c)
{
	struct end *server = &ends[v->server ? OURS : THEIRS], *client = &ends[v->server ? THEIRS : OURS];
	char option[96];
	int i;

	note("%s, version %#06x %s", c->name, c->version, c->option ? c->option : "");
	snprintf(key_log, sizeof(key_log), "/tmp/keys.%d", getpid());
	snprintf(option, sizeof(option), "-keylogfile=%s", key_log);
	memset(ends, 0, sizeof(ends));
	for (i = 0; i < 2; i++) {
		ends[i].digest = EVP_MD_CTX_new();
		CHECK(ends[i].digest && EVP_DigestInit_ex(ends[i].digest, EVP_sha256(), NULL));
	}
	explain = show;
	start(c, server, client, option);
	both_ways();
	new_keys(c, server, client);

	/* It ends when its input does. */
	close(client->peer.in);
	client->peer.in = -1;
	peer_wait(&client->peer, NULL);
	peer_wait(&server->peer, "DONE");
	watch_wait_end(watch, PATIENCE_MS);
	peer_kill(&client->peer);
	peer_kill(&server->peer);

	read_key_log();
	for (i = 0; i < 2; i++) {
		ends[i].totals.all = ends[i].totals.bytes;
		CHECK(EVP_DigestFinal_ex(ends[i].digest, ends[i].totals.digest, NULL));
		EVP_MD_CTX_free(ends[i].digest);
	}
	i = watch_end(watch, &ends[OURS].totals, &ends[THEIRS].totals);
	if (i)
		check_failed(__FILE__, __LINE__, "%d objections", i);
	EQ(wire_suite(watch_wire(watch)), c->suite);
	EQ(wire_etm(watch_wire(watch)), c->etm);
	CHECK(wire_epochs(watch_wire(watch), OURS) >= 2);
	CHECK(wire_epochs(watch_wire(watch), THEIRS) >= 2);
	watch_free(watch);
	watch = NULL;
}

static void try_all(const struct suite_case *cases, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		try_case(&cases[i]);
}

#define COUNT(array)	(sizeof(array) / sizeof(array[0]))

static void aead_suites(void)
{
	static const struct suite_case tls12[] = {
		{ "ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, 0x0303, NULL, NULL, 0 },
		{ "ECDHE-RSA-AES256-GCM-SHA384", 0xc030, 0x0303, "rsa", NULL, 0 },
		{ "ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, 0x0303, NULL, NULL, 0 },
		{ "DHE-RSA-CHACHA20-POLY1305", 0xccaa, 0x0303, "rsa", NULL, 0 },
		{ "ECDHE-ECDSA-AES128-CCM", 0xc0ac, 0x0303, NULL, NULL, 0 },
		{ "ECDHE-ECDSA-AES256-CCM", 0xc0ad, 0x0303, NULL, NULL, 0 },
		{ "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0", 0xc0ae, 0x0303, NULL, NULL, 0 },
		{ "ECDHE-ECDSA-AES256-CCM8:@SECLEVEL=0", 0xc0af, 0x0303, NULL, NULL, 0 },
		{ "ECDHE-ECDSA-ARIA128-GCM-SHA256", 0xc05c, 0x0303, NULL, NULL, 0 },
		{ "DHE-RSA-ARIA256-GCM-SHA384", 0xc053, 0x0303, "rsa", NULL, 0 },
		{ "AES128-CCM", 0xc09c, 0x0303, "rsa", NULL, 0 },
	};
	static const struct suite_case tls13[] = {
		{ "TLS_AES_128_GCM_SHA256", 0x1301, 0x0304, NULL, NULL, 0 },
		{ "TLS_AES_256_GCM_SHA384", 0x1302, 0x0304, NULL, "-groups=P-384", 0 },
		{ "TLS_CHACHA20_POLY1305_SHA256", 0x1303, 0x0304, NULL, NULL, 0 },
		{ "TLS_AES_128_CCM_SHA256", 0x1304, 0x0304, NULL, NULL, 0 },
		{ "TLS_AES_128_CCM_8_SHA256", 0x1305, 0x0304, NULL, NULL, 0 },
	};

	if (is_13())
		try_all(tls13, COUNT(tls13));
	else
		try_all(tls12, COUNT(tls12));
}

static void cbc_suites(void)
{
	static const struct suite_case cases[] = {
		{ "ECDHE-ECDSA-AES128-SHA", 0xc009, 0x0303, NULL, NULL, 1 },
		{ "ECDHE-ECDSA-AES128-SHA", 0xc009, 0x0303, NULL, "-no_etm", 0 },
		{ "ECDHE-ECDSA-AES128-SHA256", 0xc023, 0x0303, NULL, NULL, 1 },
		{ "ECDHE-ECDSA-AES128-SHA256", 0xc023, 0x0303, NULL, "-no_etm", 0 },
		{ "ECDHE-ECDSA-AES256-SHA384", 0xc024, 0x0303, NULL, NULL, 1 },
		{ "ECDHE-ECDSA-AES256-SHA384", 0xc024, 0x0303, NULL, "-no_etm", 0 },
		{ "AES256-SHA256", 0x003d, 0x0303, "rsa", "-no_etm", 0 },
		{ "DHE-RSA-CAMELLIA128-SHA", 0x0045, 0x0303, "rsa", NULL, 1 },
		{ "CAMELLIA256-SHA256", 0x00c0, 0x0303, "rsa", "-no_etm", 0 },
		{ "ECDHE-ECDSA-CAMELLIA256-SHA384", 0xc073, 0x0303, NULL, NULL, 1 },
		{ "DHE-RSA-AES128-SHA", 0x0033, 0x0303, "rsa", NULL, 1 },
	};

	try_all(cases, COUNT(cases));
}

static void older_versions(void)
{
	static const struct suite_case cases[] = {
		{ "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0", 0xc00a, 0x0302, NULL, NULL, 1 },
		{ "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", 0xc009, 0x0302, NULL, "-no_etm", 0 },
		{ "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", 0xc009, 0x0301, NULL, NULL, 1 },
		{ "AES256-SHA:@SECLEVEL=0", 0x0035, 0x0301, "rsa", "-no_etm", 0 },
	};

	try_all(cases, COUNT(cases));
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "AEAD suites", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS, aead_suites },
		{ "CBC suites", OVER_OPENSSL | OVER_ROLES | OVER_TLS12, cbc_suites },
		{ "older versions", OVER_OPENSSL | OVER_ROLES | OVER_TLS12, older_versions },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
