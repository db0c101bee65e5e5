// SPDX-License-Identifier: MIT
/*
 * Records as short as either end wants them, with stacks that have record_size_limit (RFC
 * 8449: GnuTLS, NSS) or max_fragment_length (RFC 6066 4: OpenSSL, GnuTLS), with new keys in
 * between; and padding (RFC 8446 5.4).  What is too long either end refuses.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "fetch.h"

#define LITTLE		60000	/* of data: it makes many records */
#define PATIENCE_MS	90000

static struct link l;

/* Content, of what a limit allows (RFC 8449 4). */
static unsigned int content(unsigned int limit)
{
	return limit - is_13();
}

/* As many records as that needs, and no more than those of other types beside. */
static void check_records(const struct kssl_dir_status *dir, unsigned int max_payload)
{
	EQ(dir->max_payload, max_payload);
	CHECK(dir->records >= dir->bytes / max_payload);
}

static void check_all(unsigned int tx, unsigned int rx)
{
	struct kssl_status st;

	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	st = link_status(&l);
	EQ(st.tx.version, v->version);
	EQ(st.tx.bytes, l.sent);
	EQ(st.rx.bytes, l.received);
	check_records(&st.tx, tx);
	check_records(&st.rx, rx);
}

/* gnutls-cli loses what it has read and does not go into one record: it gets that much at a time. */
#define PIECE	60

static void move_down(void)
{
	int i;

	if (v->stack != GNUTLS || !v->server)
		link_move(&l, 0, LITTLE);
	else
		for (i = 0; i < 20; i++)
			link_move(&l, 0, PIECE);
}

static void move(void)
{
	link_move(&l, up_to_peer(LITTLE), 0);
	move_down();
}

/* New keys both ways, where the peer can. */
static void new_keys(void)
{
	if (is_13()) {
		GIVES(kssl_key_update(l.k, 1), 0);
		move();
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2);
		return;
	}
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
	/* s_client takes data that comes while it writes for an attack. */
	move_down();
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 1);
}

static void open_and_move(struct peer_setup *setup, struct kssl_config *config, unsigned int tx, unsigned int rx)
{
	link_open(&l, setup, config);
	move();
	check_all(tx, rx);
	new_keys();
	move();
	check_all(tx, rx);
	link_close(&l);
}

static struct kssl_config *limited_config(unsigned int limit)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);

	GIVES(kssl_config_set_record_limit(config, limit), 0);
	return config;
}

/* GnuTLS counts content in both versions, and adds the octet of the type itself. */
static void both_limited(void)
{
	struct peer_setup setup = usual_peer();

	setup.record_limit = 1000;
	open_and_move(&setup, limited_config(600), 1000, content(600));
}

/* Only ours, and as short as there may be; less than 512 GnuTLS bears only if it is told to. */
static void ours(void)
{
	struct peer_setup setup = usual_peer();
	char priority[100];

	snprintf(priority, sizeof(priority), "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.%d:%%ALLOW_SMALL_RECORDS",
		 v->version - 0x0301);
	add_option(&setup, priority);
	open_and_move(&setup, limited_config(64), 16384, content(64));
}

/* Only the peer's.  As server we answer though we have none; as client we have to offer something. */
static void theirs(void)
{
	struct peer_setup setup = usual_peer();

	setup.record_limit = 600;
	open_and_move(&setup, limited_config(v->server ? 0 : 16385), 600, 16384);
}

/* A size that max_fragment_length has as well: GnuTLS offers both, and OpenSSL answers that one. */
static void fragments(void)
{
	struct peer_setup setup = usual_peer();

	setup.record_limit = 1024;
	open_and_move(&setup, limited_config(0), 1024, 1024);
}

static int want_fragments(SSL *ssl, void *arg)
{
	(void)arg;
	return SSL_set_tlsext_max_fragment_length(ssl, TLSEXT_max_fragment_length_512) ? 0 : -EIO;
}

static void our_fragments(void)
{
	struct kssl_config *config = limited_config(0);
	struct peer_setup setup = usual_peer();

	add_option(&setup, "-client_renegotiation");
	kssl_config_set_prepare_callback(config, want_fragments, NULL);
	open_and_move(&setup, config, 512, 512);
}

/* ---- NSS ---- */

static void with_tstclnt(void)
{
	struct peer_setup setup = usual_peer();
	struct kssl_config *config = link_config("rsa");

	setup.record_limit = 700;
	GIVES(kssl_config_set_record_limit(config, 100), 0);
	open_and_move(&setup, config, content(700), content(100));
}

/* It answers one request with a file, and with new keys only before that. */
static void with_selfserv(void)
{
	struct peer_setup setup = usual_peer();
	struct kssl_status st;
	struct fetch file;
	char line[100];

	fetch_prepare(&file, LITTLE);
	setup.record_limit = 64;
	link_open(&l, &setup, limited_config(80));
	if (!is_13()) {
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 1);
	}
	/* a request of several records */
	snprintf(line, sizeof(line), "X-Long: %080d\r\n", 0);
	fetch_request(&file, &l, line);
	fetch_answer(&file, &l);
	fetch_end(&file);
	st = link_status(&l);
	check_records(&st.tx, content(64));
	check_records(&st.rx, content(80));
	link_close(&l);
}

/* ---- padding ---- */

/* By us, and with OpenSSL by both. */
static void padding(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .pad_to = 500 };
	struct kssl_config *config = limited_config(1000);
	struct peer_setup setup = usual_peer();

	if (v->stack == OPENSSL && !v->server)
		add_option(&setup, "-record_padding=300");
	GIVES(kssl_config_set_policy(config, &policy), 0);
	link_open(&l, &setup, config);
	move();
	GIVES(kssl_key_update(l.k, 1), 0);
	move();
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2);
	check_all(16384, v->stack == OPENSSL ? 16384 : content(1000));
	link_close(&l);
}

int main(int argc, char **argv)
{
	const unsigned int versions = OVER_VERSIONS;
	const struct test tests[] = {
		{ "both limited", OVER_GNUTLS | OVER_ROLES | versions, both_limited },
		{ "our limit", OVER_GNUTLS | OVER_ROLES | versions, ours },
		{ "the peer's limit", OVER_GNUTLS | OVER_ROLES | versions, theirs },
		{ "max_fragment_length", OVER_STACKS | OVER_SERVER | versions, fragments },
		{ "max_fragment_length", OVER_OPENSSL | OVER_CLIENT | versions, our_fragments },
		{ "both limited", OVER_NSS | OVER_SERVER | OVER_SUITES | versions, with_tstclnt },
		{ "both limited", OVER_NSS | OVER_CLIENT | OVER_SUITES | versions, with_selfserv },
		{ "padding", OVER_STACKS | OVER_ROLES | OVER_TLS13, padding },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
