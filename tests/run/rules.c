// SPDX-License-Identifier: MIT
/* What kssl-run protects, what it refuses, and whom it verifies: its rules and remembered names, without a kernel. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"

static int number, failed;

static void result(int good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++number, name);
	failed |= !good;
}

/*
 * Each row in a process of its own, where nothing is remembered.
 * @names: pairs "name=address", in the order they were looked up
 * @to: where the program connects to
 * @want: name to verify; "pass" or "refuse"
 */
static const struct {
	const char *what;
	const char *connects;
	const char *name;
	const char *names;
	const char *to;
	int port;
	const char *want;
} rows[] = {
	{ "a name", "a.test:443", NULL, "a.test=10.0.0.1", "10.0.0.1", 443, "a.test" },
	{ "a name in other letters, with a dot", "A.Test.:443", NULL, "a.tesT.=10.0.0.1", "10.0.0.1", 443, "a.test" },
	{ "another port", "a.test:443", NULL, "a.test=10.0.0.1", "10.0.0.1", 80, "pass" },
	{ "any port", "a.test:*", NULL, "a.test=10.0.0.1", "10.0.0.1", 80, "a.test" },
	{ "another name", "a.test:443", NULL, "b.test=10.0.0.1", "10.0.0.1", 443, "pass" },
	{ "nobody knows the name", "a.test:443", NULL, "a.test=10.0.0.1", "10.0.0.2", 443, "refuse" },
	{ "nobody knows, though --name is given", "a.test:443", "a.test", "", "10.0.0.2", 443, "refuse" },
	{ "an address by itself", "10.0.0.1:443", NULL, "", "10.0.0.1", 443, "10.0.0.1" },
	{ "an address that has a name", "10.0.0.1:443", NULL, "a.test=10.0.0.1", "10.0.0.1", 443, "a.test" },
	{ "another address", "10.0.0.1:443", NULL, "", "10.0.0.2", 443, "pass" },
	{ "an address, mapped", "10.0.0.1:443", NULL, "", "::ffff:10.0.0.1", 443, "10.0.0.1" },
	{ "IPv6", "[2001:db8::1]:443", NULL, "", "2001:db8:0::1", 443, "2001:db8::1" },
	{ "the unspecified address is the loopback's", "127.0.0.1:443", NULL, "", "0.0.0.0", 443, "127.0.0.1" },
	{ "so is that of IPv6", "[::1]:443", NULL, "", "::", 443, "::1" },
	{ "any, by name", "*:443", NULL, "a.test=10.0.0.1", "10.0.0.1", 443, "a.test" },
	{ "any, by address that was looked up", "*:443", NULL, "10.0.0.1=10.0.0.1", "10.0.0.1", 443, "10.0.0.1" },
	{ "any, unknown", "*:443", NULL, "", "10.0.0.1", 443, "refuse" },
	{ "any, unknown, --name", "*:443", "b.test", "", "10.0.0.1", 443, "b.test" },
	{ "any, two names: which?", "*:443", NULL, "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1", 443, "refuse" },
	{ "any, one name twice", "*:443", NULL, "a.test=10.0.0.1 A.test=10.0.0.1", "10.0.0.1", 443, "a.test" },
	{ "two names, one is ours", "b.test:443", NULL, "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1", 443, "b.test" },
	{ "two names, both ours", "a.test:443 b.test:443", NULL, "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1", 443,
	  "refuse" },
	{ "two names, ours goes before any", "*:443 b.test:443", NULL, "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1",
	  443, "b.test" },
	{ "an address with two names", "10.0.0.1:1", NULL, "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1", 1, "refuse" },
	{ "--name is what is verified", "*:443", "c.test", "a.test=10.0.0.1 b.test=10.0.0.1", "10.0.0.1", 443, "c.test" },
	{ "localhost needs no lookup", "localhost:443", NULL, "", "127.0.0.1", 443, "localhost" },
	{ "nor on IPv6", "localhost:443", NULL, "", "::1", 443, "localhost" },
	{ "localhost is on the loopback only", "localhost:443", NULL, "", "10.0.0.1", 443, "refuse" },
	{ "any, loopback unknown", "*:443", NULL, "", "127.0.0.1", 443, "refuse" },
	{ "the second of two addresses", "a.test:1", NULL, "a.test=10.0.0.1 a.test=10.0.0.2", "10.0.0.2", 1, "a.test" },
};

static void remember_all(const char *pairs)
{
	char text[256], *pair, *equals, *state;
	struct address address;

	strcpy(text, pairs);
	for (pair = strtok_r(text, " ", &state); pair; pair = strtok_r(NULL, " ", &state)) {
		equals = strchr(pair, '=');
		*equals = 0;
		if (address_from_text(equals + 1, &address))
			abort();
		names_remember(&address, pair);
	}
}

static int row_holds(unsigned int i)
{
	char name[KSSL_NAME_MAX] = "";
	const char *why = NULL, *got, *wrong;
	struct settings s;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to = { 0 };
	struct address address;
	uint16_t port;

	setenv("KSSL_RUN_CONNECT", rows[i].connects, 1);
	if (rows[i].name)
		setenv("KSSL_RUN_NAME", rows[i].name, 1);
	wrong = settings_from_environment(&s);
	if (wrong) {
		printf("# %s\n", wrong);
		return 0;
	}
	remember_all(rows[i].names);
	if (inet_pton(AF_INET, rows[i].to, &to.in.sin_addr) == 1)
		to.any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, rows[i].to, &to.in6.sin6_addr) == 1)
		to.any.sa_family = AF_INET6;
	to.in.sin_port = htons(rows[i].port);
	if (address_from_socket(&to.any, sizeof(to), &address, &port) || port != rows[i].port)
		return 0;
	switch (decide_connect(&s, &address, port, name, &why)) {
	case VERDICT_PASS:
		got = "pass";
		break;
	case VERDICT_REFUSE:
		got = why ? "refuse" : "no reason";
		break;
	default:
		got = name;
	}
	if (strcmp(got, rows[i].want))
		printf("# %s, not %s\n", got, rows[i].want);
	return !strcmp(got, rows[i].want);
}

static void run_row(unsigned int i)
{
	int status = 1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = row_holds(i);
		fflush(stdout);
		_exit(!status);
	}
	waitpid(pid, &status, 0);
	result(!status, rows[i].what);
}

static void test_bad_values(void)
{
	static const struct {
		enum option_id id;
		const char *value;
	} bad[] = {
		{ OPTION_CONNECT, "a" }, { OPTION_CONNECT, "a:" }, { OPTION_CONNECT, ":1" }, { OPTION_CONNECT, "a:0" },
		{ OPTION_CONNECT, "a:65536" }, { OPTION_CONNECT, "a:1x" }, { OPTION_CONNECT, "a:-1" },
		{ OPTION_CONNECT, "::1:443" }, { OPTION_CONNECT, "[a]:443" }, { OPTION_CONNECT, "[]:443" },
		{ OPTION_CONNECT, "*.a:443" }, { OPTION_CONNECT, "10.0.0.0/8:443" }, { OPTION_CONNECT, "" },
		{ OPTION_LISTEN, "" }, { OPTION_LISTEN, "0" }, { OPTION_LISTEN, "http" }, { OPTION_LISTEN, "65536" },
		{ OPTION_PROFILE, "" }, { OPTION_NAME, "" }, { OPTION_ALPN, "" }, { OPTION_ALPN, "h2," },
		{ OPTION_TIMEOUT, "0" }, { OPTION_TIMEOUT, "1s" }, { OPTION_TIMEOUT, "" },
	};
	struct settings s = { 0 };
	unsigned int i, good = 1;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (settings_take(&s, bad[i].id, bad[i].value))
			continue;
		printf("# --%s '%s' was taken\n", run_options[bad[i].id].name, bad[i].value);
		good = 0;
	}
	result(good && !s.connects_count && !s.listens_count, "values that are not good");
}

static void test_handshake(void)
{
	static const uint8_t alpn[] = "\2h2\10http/1.1";
	struct settings s;

	setenv("KSSL_RUN_LISTEN", "80 443", 1);
	setenv("KSSL_RUN_ALPN", "h2,http/1.1", 1);
	setenv("KSSL_RUN_TIMEOUT", "1234", 1);
	result(!settings_from_environment(&s) && s.listens_count == 2 && decide_listen(&s, 443) &&
	       !decide_listen(&s, 8080), "ports to listen on");
	result(s.listen_handshake.role == KSSL_ROLE_SERVER && !strcmp(s.listen_handshake.profile, "server") &&
	       s.handshake.role == KSSL_ROLE_CLIENT && !*s.handshake.profile &&
	       s.handshake.size == sizeof(s.handshake) && s.listen_handshake.size == sizeof(s.handshake) &&
	       s.listen_handshake.alpn_len == sizeof(alpn) - 1 && s.handshake.alpn_len == sizeof(alpn) - 1 &&
	       !memcmp(s.listen_handshake.alpn, alpn, sizeof(alpn) - 1) && s.handshake.timeout_ms == 1234 &&
	       s.listen_handshake.timeout_ms == 1234, "what the kernel is told");
	setenv("KSSL_RUN_PROFILE", "mine", 1);
	result(!settings_from_environment(&s) && !strcmp(s.handshake.profile, "mine") &&
	       !memcmp(s.listen_handshake.profile, "mine\0\0", 7), "one profile");
	setenv("KSSL_RUN_LISTEN_PROFILE", "other", 1);
	result(!settings_from_environment(&s) && !strcmp(s.handshake.profile, "mine") &&
	       !strcmp(s.listen_handshake.profile, "other"), "two profiles");
	unsetenv("KSSL_RUN_LISTEN");
	result(settings_from_environment(&s) != NULL, "nothing to protect");
}

/* A name that was forgotten would make the other one the only one. */
static void test_full_table(void)
{
	struct address address, late;
	char name[32];
	unsigned int i, at = 0;

	address_from_text("10.1.0.0", &address);
	for (i = 0; i < NAMES_MAX; i++) {
		address.octets[14] = i >> 8;
		address.octets[15] = i;
		sprintf(name, "n%u.test", i);
		names_remember(&address, name);
	}
	address_from_text("10.2.0.0", &late);
	names_remember(&late, "late.test");
	result(!names_next(&late, &at), "a full table takes no more names");
	address_from_text("10.1.0.0", &address);
	at = 0;
	result(names_next(&address, &at) && !names_next(&address, &at), "a full table keeps what it has");
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		run_row(i);
	test_bad_values();
	test_handshake();
	test_full_table();
	printf("1..%d\n", number);
	return failed;
}
