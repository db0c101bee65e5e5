// SPDX-License-Identifier: MIT
/* KeyUpdate, tickets and post-handshake authentication, with data before, meanwhile and after. */
#include <string.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "link.h"

static struct link l;

/* They bounce to libkssl instead of being the kernel's. */
static int bounced;

static void both_ways(void)
{
	link_move(&l, up_to_peer(SOME), SOME);
}

static void check_all(unsigned int tx_epoch, unsigned int rx_epoch)
{
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(0x0304, v->bits), tx_epoch, rx_epoch);
}

static void open_usual(void)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct peer_setup setup = usual_peer();

	kssl_config_set_kernel_key_update(config, !bounced);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1, 1);
}

/* Each direction was counted by the kernel, or by nobody. */
static void close_counted(unsigned int sent, unsigned int received)
{
	struct kssl_status st = link_status(&l);

	EQ(st.key_updates_sent, bounced ? 0 : sent);
	EQ(st.key_updates_received, bounced ? 0 : received);
	link_close(&l);
}

/* ---- by us ---- */

static void update(struct link *link)
{
	GIVES(kssl_key_update(link->k, 0), 0);
}

static void update_and_request(struct link *link)
{
	GIVES(kssl_key_update(link->k, 1), 0);
}

static void by_us(void)
{
	int i;

	open_usual();
	for (i = 1; i <= 3; i++) {
		link_at(&l, up_to_peer(SOME) / 2, update);
		both_ways();
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, i);
		note("%s", l.events[l.events_count - 1].text);
		check_all(1 + i, 1);
	}
	link_close(&l);
}

/* Peers put their answer off until they have data to send. */
static void by_us_with_request(void)
{
	int i;

	open_usual();
	for (i = 1; i <= 3; i++) {
		link_at(&l, up_to_peer(SOME) / 2, update_and_request);
		both_ways();
		both_ways();
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2 * i);
		note("%s", l.events[l.events_count - 1].text);
		check_all(1 + i, 1 + i);
	}
	close_counted(3, 3);
}

/* ---- by the peer ---- */

static void say_k(struct link *link)
{
	peer_command(&link->peer, link->server && v->stack == GNUTLS ? "\n^rekey1^\n" : "k\n");
}

static void say_K(struct link *link)
{
	peer_command(&link->peer, link->server && v->stack == GNUTLS ? "\n^rekey^\n" : "K\n");
}

static void by_peer(void)
{
	int i;

	open_usual();
	for (i = 1; i <= 3; i++) {
		link_at(&l, up_to_peer(SOME) / 2, say_k);
		link_move(&l, up_to_peer(SOME), 0);
		both_ways();
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, i);
		note("%s", l.events[l.events_count - 1].text);
		check_all(1, 1 + i);
	}
	link_close(&l);
}

static void by_peer_with_request(void)
{
	int i;

	open_usual();
	for (i = 1; i <= 3; i++) {
		link_at(&l, up_to_peer(SOME) / 2, say_K);
		link_move(&l, up_to_peer(SOME), 0);
		both_ways();
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 2 * i);
		note("%s", l.events[l.events_count - 1].text);
		check_all(1 + i, 1 + i);
	}
	close_counted(3, 3);
}

static void many(void)
{
	int i;

	open_usual();
	for (i = 1; i <= 20; i++) {
		update_and_request(&l);
		/* It has seen the request, so its next data comes behind the answer. */
		link_move(&l, 100, 0);
		link_move(&l, 0, 100);
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2 * i);
	}
	for (i = 1; i <= 20; i++) {
		say_K(&l);
		/* Two commands that it reads at a time are one to it. */
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 2 * i);
		link_move(&l, 100, 100);
	}
	both_ways();
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 40);
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 40);
	check_all(41, 41);
	close_counted(40, 40);
}

static void by_us_bounced(void)
{
	bounced = 1;
	by_us_with_request();
}

static void by_peer_bounced(void)
{
	bounced = 1;
	by_peer_with_request();
}

static void many_bounced(void)
{
	bounced = 1;
	many();
}

/* ---- what else comes after the handshake ---- */

static int remembered;

static int remember(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	remembered += SSL_SESSION_is_resumable(session);
	return 0;
}

/* The application only sees data; OpenSSL gets the tickets. */
static void tickets(void)
{
	struct kssl_config *config = link_config(NULL);
	struct peer_setup setup = usual_peer();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ctx, remember);
	GIVES(kssl_config_set_ssl_ctx(config, ctx), 0);
	SSL_CTX_free(ctx);
	if (v->stack == OPENSSL)
		add_option(&setup, "-num_tickets=5");
	link_open(&l, &setup, config);
	both_ways();
	link_wait(&l, KSSL_EVENT_TICKET, 1, v->stack == OPENSSL ? 5 : 1);
	CHECK(remembered >= (v->stack == OPENSSL ? 5 : 1));
	check_all(1, 1);
	link_close(&l);
}

/* Two more tickets in the middle of data, with a certificate request before them. */
static void post_handshake_auth(void)
{
	struct kssl_config *config = link_config(NULL);
	struct peer_setup setup = usual_peer();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_post_handshake_auth(ctx, 1);
	CHECK(SSL_CTX_use_certificate_file(ctx, cert_path("client", "crt"), SSL_FILETYPE_PEM) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(ctx, cert_path("client", "key"), SSL_FILETYPE_PEM) == 1);
	GIVES(kssl_config_set_ssl_ctx(config, ctx), 0);
	SSL_CTX_free(ctx);
	add_option(&setup, "-verify=1");
	link_open(&l, &setup, config);
	both_ways();
	link_wait(&l, KSSL_EVENT_TICKET, 1, 2);
	peer_command(&l.peer, "c\n");
	both_ways();
	link_wait(&l, KSSL_EVENT_TICKET, 1, 4);
	both_ways();
	CHECK(peer_has_said(&l.peer, "kssl client"));
	check_all(1, 1);
	link_close(&l);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "by us", OVER_STACKS | OVER_ROLES | OVER_TLS13, by_us },
		{ "by us, one requested", OVER_STACKS | OVER_ROLES | OVER_TLS13, by_us_with_request },
		{ "by the peer", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, by_peer },
		{ "by the peer", OVER_GNUTLS | OVER_SERVER | OVER_TLS13, by_peer },
		{ "by the peer, one requested", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, by_peer_with_request },
		{ "by the peer, one requested", OVER_GNUTLS | OVER_SERVER | OVER_TLS13, by_peer_with_request },
		{ "many in a row", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, many },
		{ "by us, one requested, bounced", OVER_STACKS | OVER_ROLES | OVER_TLS13, by_us_bounced },
		{ "by the peer, one requested, bounced", OVER_OPENSSL | OVER_ROLES | OVER_TLS13,
		  by_peer_bounced },
		{ "many in a row, bounced", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, many_bounced },
		{ "tickets", OVER_STACKS | OVER_CLIENT | OVER_TLS13, tickets },
		{ "post-handshake authentication", OVER_OPENSSL | OVER_CLIENT | OVER_TLS13, post_handshake_auth },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
