// SPDX-License-Identifier: MIT
/*
 * Renegotiations with data before, during and after, as far as the peer can bear
 * data during one: openssl takes a record of data that reaches it while it writes
 * as a client in a handshake for an attack.
 *
 * With E2E_LEGACY set it is run with an OpenSSL that has SSL 3.0, 3DES and RC4, see
 * tests/vm/legacy-openssl, and shows those, with the module unlocked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "link.h"

static struct link l;

static unsigned int keys(void)
{
	return 1 + link_count(&l, KSSL_EVENT_RENEGOTIATED, 0) +
	       link_count(&l, KSSL_EVENT_RENEGOTIATED, 1);
}

static void check_all(int bits)
{
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, bits), keys(), keys());
	EQ(link_status(&l).handshakes, keys());
}

/* The last renegotiation as libkssl told it. */
static void check_event(int by_peer, unsigned int suite_before, unsigned int suite_after)
{
	const struct event *e = &l.events[l.events_count - 1];

	EQ(e->event, KSSL_EVENT_RENEGOTIATED);
	EQ(e->by_peer, by_peer);
	EQ(e->before.tx.suite, suite_before);
	EQ(e->after.tx.suite, suite_after);
	EQ(e->before.tx.epoch + 1, e->after.tx.epoch);
	EQ(e->before.rx.epoch + 1, e->after.rx.epoch);
	CHECK(e->after.holds > e->before.holds);
	note("%s", e->text);
}

static void both_ways(void)
{
	link_move(&l, up_to_peer(SOME), SOME);
}

/* ---- by us ---- */

static void renegotiate(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_FULL), 0);
}

static void resume(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_RESUME), 0);
}

/* In the middle of a stream each way, and of both at once if the peer can. */
static void in_the_middle(void (*start)(struct link *l))
{
	int count = link_count(&l, KSSL_EVENT_RENEGOTIATED, 0);

	if (v->server && v->stack == OPENSSL) {
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
		link_move(&l, 0, SOME);
	} else {
		link_at(&l, up_to_peer(SOME) / 2, start);
		both_ways();
	}
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, count + 1);
}

static void by_us(void)
{
	struct peer_setup setup = usual_peer();
	int i;

	if (setup.server && v->stack == OPENSSL)
		add_option(&setup, "-client_renegotiation");
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	both_ways();
	for (i = 0; i < 3; i++) {
		in_the_middle(renegotiate);
		check_event(0, usual_suite(v->version, v->bits), usual_suite(v->version, v->bits));
		both_ways();
		check_all(v->bits);
	}
	link_close(&l);
}

static void many(void)
{
	struct peer_setup setup = usual_peer();
	int i;

	if (setup.server && v->stack == OPENSSL)
		add_option(&setup, "-client_renegotiation");
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	for (i = 0; i < 10; i++) {
		GIVES(kssl_renegotiate(l.k, i & 1 ? KSSL_RENEG_RESUME : KSSL_RENEG_FULL), 0);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i + 1);
		link_move(&l, 100, 100);
	}
	both_ways();
	check_all(v->bits);
	link_close(&l);
}

static void abbreviated(void)
{
	struct peer_setup setup = usual_peer();

	add_option(&setup, "-client_renegotiation");
	link_open(&l, &setup, link_config(NULL));
	both_ways();
	in_the_middle(resume);
	EQ(SSL_session_reused(kssl_ssl(l.k)), 1);
	both_ways();
	check_all(v->bits);
	link_close(&l);
}

/* Only we can be told to want another suite from now on. */
static void change_suite(void)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct peer_setup setup = usual_peer();
	int other = v->bits == 128 ? 256 : 128;
	int by_peer = v->server && v->stack == OPENSSL;

	setup.suite = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
	if (v->stack == GNUTLS)
		add_option(&setup, "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2");
	if (setup.server && v->stack == OPENSSL)
		add_option(&setup, "-client_renegotiation");
	GIVES(kssl_config_set_ciphers(config, v->bits == 128 ? "ECDHE-ECDSA-AES128-GCM-SHA256" :
				      "ECDHE-ECDSA-AES256-GCM-SHA384", NULL), 0);
	link_open(&l, &setup, config);
	both_ways();
	check_all(v->bits);
	EQ(SSL_set_cipher_list(kssl_ssl(l.k), other == 128 ? "ECDHE-ECDSA-AES128-GCM-SHA256" :
			       "ECDHE-ECDSA-AES256-GCM-SHA384"), 1);
	if (by_peer) {
		peer_command(&l.peer, "R\n");
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, 1);
	} else {
		in_the_middle(renegotiate);
	}
	check_event(by_peer, usual_suite(v->version, v->bits), usual_suite(0x0303, other));
	both_ways();
	check_all(other);
	link_close(&l);
}

/* ---- by the peer ---- */

static void say_r(struct link *link)
{
	peer_command(&link->peer, "r\n");
}

static void say_renegotiate(struct link *link)
{
	peer_command(&link->peer, "\n^renegotiate^\n");
}

static void have_peer_renegotiate(void)
{
	int count = link_count(&l, KSSL_EVENT_RENEGOTIATED, 1);

	if (v->stack == OPENSSL && v->server) {
		peer_command(&l.peer, "R\n");
	} else if (v->stack == OPENSSL) {
		link_at(&l, SOME / 2, say_r);
		link_move(&l, SOME, 0);
	} else if (v->server) {
		link_at(&l, up_to_peer(SOME) / 2, say_renegotiate);
		link_move(&l, up_to_peer(SOME), 0);
	} else {
		link_send(&l, "**REHANDSHAKE**\n");
	}
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, count + 1);
}

static void by_peer(void)
{
	struct peer_setup setup = usual_peer();
	int i;

	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	both_ways();
	for (i = 0; i < 3; i++) {
		have_peer_renegotiate();
		check_event(1, usual_suite(v->version, v->bits), usual_suite(v->version, v->bits));
		both_ways();
		check_all(v->bits);
	}
	link_close(&l);
}

static void by_both_in_turn(void)
{
	struct peer_setup setup = usual_peer();
	int i;

	if (setup.server && v->stack == OPENSSL)
		add_option(&setup, "-client_renegotiation");
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	for (i = 0; i < 3; i++) {
		in_the_middle(renegotiate);
		both_ways();
		have_peer_renegotiate();
		both_ways();
	}
	check_all(v->bits);
	EQ(keys(), 7);
	link_close(&l);
}

/* ---- refused ---- */

static void refused_by_peer(void)
{
	struct peer_setup setup = usual_peer();

	/* A server refuses unless told otherwise. */
	if (v->server)
		add_option(&setup, "-no_renegotiation");
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	both_ways();
	if (v->server) {
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
		link_move(&l, 0, SOME);
	} else {
		link_at(&l, SOME / 2, renegotiate);
		both_ways();
	}
	link_wait(&l, KSSL_EVENT_REFUSED, 0, 1);
	note("%s", l.events[l.events_count - 1].text);
	both_ways();
	check_all(v->bits);
	EQ(keys(), 1);
	if (!v->server)	/* who would refuse again */
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), -EOPNOTSUPP);
	both_ways();
	check_all(v->bits);
	link_close(&l);
}

/* Both clients take a no for a fatal error; what matters is that we live until they say so. */
static void refused_by_us(void)
{
	struct peer_setup setup = usual_peer();
	struct kssl_config *config = link_config("ecdsa");
	char byte;

	GIVES(kssl_config_set_client_renegotiation(config, 0), 0);
	link_open(&l, &setup, config);
	both_ways();
	check_all(v->bits);
	peer_command(&l.peer, v->stack == OPENSSL ? "R\n" : "\n^renegotiate^\n");
	link_wait(&l, KSSL_EVENT_REFUSED, 1, 1);
	note("%s", l.events[l.events_count - 1].text);
	link_wait(&l, KSSL_EVENT_FAILED, ANYBODY, 1);
	FAILS(read(l.fd, &byte, 1), ECONNABORTED);
	EQ(link_error(&l).err, ECONNABORTED);
	EQ(link_error(&l).who, KSSL_WHO_PEER);
	EQ(keys(), 1);
	link_close(&l);
}

/* ---- what only another OpenSSL has ---- */

static void load(const char *how)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe kssl %s", how);
	/* Sockets go some time after both ends have closed. */
	while (syscall(SYS_delete_module, "kssl", O_NONBLOCK)) {
		EQ(errno, EWOULDBLOCK);
		usleep(20000);
	}
	EQ(system(command), 0);
}

static void refuse(int version, const char *list, const char *why)
{
	struct kssl_config *config = link_config(NULL);
	int fd;

	GIVES(kssl_config_set_versions(config, version, version), 0);
	GIVES(kssl_config_set_ciphers(config, list, NULL), 0);
	memset(&l, 0, sizeof(l));
	l.unwatched = 1;
	fd = link_pair(&l, 0);
	CHECK(!link_handshake(&l, config, "localhost"));
	EQ(errno, ENOPKG);
	note("%s", kssl_error(NULL));
	CHECK(!strcmp(kssl_error(NULL), why));
	kssl_config_free(config);
	close(l.fd);
	close(fd);
}

/* OpenSSL would, the module would not. */
static void locked(void)
{
	load("");
	refuse(0x0300, "AES128-SHA:@SECLEVEL=0", "the module speaks SSL 3.0 only if it is loaded with legacy=1");
	refuse(0x0303, "RC4-SHA:@SECLEVEL=0",
	       "the kernel has RC4 only if the module is loaded with legacy=1, and no other suite");
}

struct weak {
	const char *name;
	unsigned int id;
	const char *gnutls;
};

static void try_weak(const struct weak *w)
{
	struct kssl_config *config = link_config(v->server ? "rsa" : NULL);
	struct peer_setup setup = usual_peer();
	char list[64], priority[128];

	note("%s", w->name);
	snprintf(list, sizeof(list), "%s:@SECLEVEL=0", w->name);
	snprintf(priority, sizeof(priority),
		 "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.%d:-CIPHER-ALL:-KX-ALL:+RSA:-MAC-ALL:%s:%%NO_ETM",
		 v->version - 0x0301, w->gnutls);
	setup.suite = list;
	setup.cert = v->server ? NULL : "rsa";
	if (v->stack == GNUTLS)
		add_option(&setup, priority);
	else if (setup.server)
		add_option(&setup, "-client_renegotiation");
	GIVES(kssl_config_set_ciphers(config, list, NULL), 0);
	memset(&l, 0, sizeof(l));
	link_open(&l, &setup, config);
	both_ways();
	in_the_middle(renegotiate);
	both_ways();
	have_peer_renegotiate();
	both_ways();
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	link_check_carried(&l, w->id, keys(), keys());
	EQ(keys(), 3);
	link_close(&l);
}

/* The suites of a version that its successors have given up. */
static void weak_suites(void)
{
	static const struct weak suites[] = {
		{ "DES-CBC3-SHA", 0x000a, "+3DES-CBC:+SHA1" },
		{ "RC4-MD5", 0x0004, "+ARCFOUR-128:+MD5" },
		{ "RC4-SHA", 0x0005, "+ARCFOUR-128:+SHA1" },
		{ "AES128-SHA", 0x002f, NULL },
	};
	size_t i;

	load("legacy=1");
	for (i = 0; i < (v->version == 0x0300 ? 4 : 3); i++)
		try_weak(&suites[i]);
}

int main(int argc, char **argv)
{
	static const struct test legacy[] = {
		{ "locked", OVER_OPENSSL | OVER_CLIENT | OVER_SSL30, locked },
		{ "weak suites", OVER_OPENSSL | OVER_ROLES | OVER_LEGACY | OVER_SUITES, weak_suites },
		{ "weak suites", OVER_GNUTLS | OVER_ROLES | OVER_TLS12 | OVER_TLS10 | OVER_SUITES, weak_suites },
		{ 0 },
	};
	static const struct test tests[] = {
		{ "by us", OVER_STACKS | OVER_ROLES | OVER_TLS12, by_us },
		{ "by the peer", OVER_STACKS | OVER_ROLES | OVER_TLS12, by_peer },
		{ "by both in turn", OVER_STACKS | OVER_ROLES | OVER_TLS12, by_both_in_turn },
		{ "by both in turn", OVER_OPENSSL | OVER_ROLES | OVER_OLD, by_both_in_turn },
		{ "many in a row", OVER_STACKS | OVER_ROLES | OVER_TLS12, many },
		{ "abbreviated", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12, abbreviated },
		{ "to another suite", OVER_STACKS | OVER_ROLES | OVER_TLS12 | OVER_KEYS, change_suite },
		{ "refused by the peer", OVER_OPENSSL | OVER_ROLES | OVER_TLS12 | OVER_OLD, refused_by_peer },
		{ "refused by us", OVER_STACKS | OVER_SERVER | OVER_TLS12, refused_by_us },
		{ 0 },
	};

	return tap_main(argc, argv, getenv("E2E_LEGACY") ? legacy : tests);
}
