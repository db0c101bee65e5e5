// SPDX-License-Identifier: MIT
/* Who is at the other end: certificates of both sides, at the first handshake and later. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "link.h"

static struct link l;

static void both_ways(void)
{
	link_move(&l, up_to_peer(SOME), SOME);
}

static void check_all(unsigned int epoch)
{
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), epoch, epoch);
}

static int is_known_as(const char *name)
{
	X509 *cert = SSL_get0_peer_certificate(kssl_ssl(l.k));
	char line[128] = "";

	if (!cert)
		return 0;
	X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
	return strstr(line, name) != NULL;
}

/* ---- client certificates ---- */

static void we_show_ours(void)
{
	struct peer_setup setup = usual_peer();

	setup.wants_cert = 1;
	link_open(&l, &setup, link_config("client"));
	both_ways();
	check_all(1);
	CHECK(peer_has_said(&l.peer, "kssl client"));
	link_close(&l);
}

static void peer_shows_its(void)
{
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = usual_peer();

	setup.cert = "client";
	GIVES(kssl_config_set_client_cert(config, 2), 0);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1);
	CHECK(is_known_as("kssl client"));
	link_close(&l);
}

static void asked_and_none(void)
{
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = usual_peer();

	GIVES(kssl_config_set_client_cert(config, 1), 0);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1);
	CHECK(!SSL_get0_peer_certificate(kssl_ssl(l.k)));
	link_close(&l);
}

/* Our handshake fails with @alert, no key came into the kernel, and the peer heard of it. */
static void check_refusal(struct kssl_config *config, const char *name, int alert)
{
	struct kssl_status st;
	struct kssl_error error;
	char byte = 0;

	CHECK(!link_handshake(&l, config, name));
	note("%s", kssl_error(NULL));
	error = link_error(&l);
	EQ(error.who, KSSL_WHO_HELPER);
	st = link_status(&l);
	EQ(st.tx.state, KSSL_STATE_FAILED);
	EQ(st.tx.epoch, 0);
	EQ(st.rx.epoch, 0);
	EQ(st.tx.bytes, 0);
	CHECK(write(l.fd, &byte, 1) < 0);
	CHECK(read(l.fd, &byte, 1) < 0);
	kssl_config_free(config);
	if (v->stack == OPENSSL) {
		char text[32];

		snprintf(text, sizeof(text), "alert number %d", alert);
		peer_wait(&l.peer, text);
	} else {
		/* A server of TLS 1.3 does not take an alert before it was sent encrypted. */
		peer_wait(&l.peer, is_13() && !v->server ? "Error in handshake" : "alert");
	}
}

static void check_refused(struct kssl_config *config, const char *name, int alert)
{
	check_refusal(config, name, alert);
	close(l.fd);
	peer_kill(&l.peer);
}

static void demanded_and_none(void)
{
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = usual_peer();

	GIVES(kssl_config_set_client_cert(config, 2), 0);
	link_tcp(&l, &setup);
	/* RFC 8446 4.4.2.4: certificate_required; RFC 5246 7.4.6: handshake_failure. */
	check_refused(config, NULL, is_13() ? 116 : SSL_AD_HANDSHAKE_FAILURE);
}

/* One that is for servers only. */
static void demanded_and_unfit(void)
{
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = usual_peer();

	setup.cert = "rsa";
	GIVES(kssl_config_set_client_cert(config, 2), 0);
	link_tcp(&l, &setup);
	check_refused(config, NULL, SSL_AD_UNSUPPORTED_CERTIFICATE);
}

static void renegotiate_for_cert(struct link *link)
{
	GIVES(kssl_renegotiate(link->k, KSSL_RENEG_REQUIRE_CERT), 0);
}

static void only_later_peer_shows_its(void)
{
	struct peer_setup setup = usual_peer();

	setup.cert = "client";
	link_open(&l, &setup, link_config("ecdsa"));
	both_ways();
	check_all(1);
	CHECK(!SSL_get0_peer_certificate(kssl_ssl(l.k)));
	if (v->stack == OPENSSL) {
		renegotiate_for_cert(&l);
	} else {
		link_at(&l, up_to_peer(SOME) / 2, renegotiate_for_cert);
		both_ways();
	}
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 1);
	note("%s", l.events[l.events_count - 1].text);
	CHECK(is_known_as("kssl client"));
	both_ways();
	check_all(2);
	link_close(&l);
}

static void say_R(struct link *link)
{
	peer_command(&link->peer, "R\n");
}

static void only_later_we_show_ours(void)
{
	struct peer_setup setup = usual_peer();

	/* Else it takes the session it has, and asks for nothing. */
	add_option(&setup, "-no_resumption_on_reneg");
	link_open(&l, &setup, link_config("client"));
	both_ways();
	check_all(1);
	CHECK(!peer_has_said(&l.peer, "kssl client"));
	link_at(&l, SOME / 2, say_R);
	link_move(&l, SOME, 0);
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 1, 1);
	note("%s", l.events[l.events_count - 1].text);
	both_ways();
	check_all(2);
	CHECK(peer_has_said(&l.peer, "kssl client"));
	link_close(&l);
}

static void demanded_later_and_none(void)
{
	struct peer_setup setup = usual_peer();
	struct kssl_error error;
	uint8_t byte = 0;

	link_open(&l, &setup, link_config("ecdsa"));
	both_ways();
	check_all(1);
	renegotiate_for_cert(&l);
	link_wait(&l, KSSL_EVENT_FAILED, ANYBODY, 1);
	note("%s", l.events[l.events_count - 1].text);
	error = link_error(&l);
	EQ(error.who, KSSL_WHO_HELPER);
	EQ(error.alert, SSL_AD_HANDSHAKE_FAILURE);
	EQ(link_status(&l).rx.bytes, l.received);
	FAILS(read(l.fd, &byte, 1), error.err);
	CHECK(write(l.fd, &byte, 1) < 0);
	peer_wait(&l.peer, v->stack == OPENSSL ? "alert number 40" : "alert");
	link_close(&l);
}

/* ---- the server's certificate ---- */

static ssize_t written;

/* An application that writes as early as it can. */
static void *write_early(void *arg)
{
	static uint8_t secret[100000];
	struct kssl_status st;
	socklen_t len;

	(void)arg;
	memset(secret, 0xe5, sizeof(secret));
	do {
		len = sizeof(st);
		usleep(100);
	} while (getsockopt(l.fd, SOL_KSSL, KSSL_STATUS, &st, &len) || st.tx.state == KSSL_STATE_NONE);
	written = write(l.fd, secret, sizeof(secret));
	return NULL;
}

static void refuse_server(struct kssl_config *config, const char *name, int alert)
{
	struct peer_setup setup = usual_peer();
	pthread_t writer;

	setup.options[0] = NULL;	/* no echo: what it says matters */
	link_tcp(&l, &setup);
	EQ(pthread_create(&writer, NULL, write_early, NULL), 0);
	check_refusal(config, name, alert);
	pthread_join(writer, NULL);
	CHECK(written < 0);
	close(l.fd);
	peer_kill(&l.peer);
}

static void wrong_name(void)
{
	refuse_server(link_config(NULL), "www.example.org", SSL_AD_BAD_CERTIFICATE);
}

static void unknown_authority(void)
{
	struct kssl_config *config = link_config(NULL);

	GIVES(kssl_config_set_ca_file(config, cert_path("client", "crt")), 0);
	refuse_server(config, "localhost", SSL_AD_UNKNOWN_CA);
}

static void address_as_name(void)
{
	struct peer_setup setup = usual_peer();
	struct kssl_config *config = link_config(NULL);

	link_tcp(&l, &setup);
	CHECK(link_handshake(&l, config, "127.0.0.1"));
	kssl_config_free(config);
	link_close(&l);
	memset(&l, 0, sizeof(l));
	refuse_server(link_config(NULL), "127.0.0.2", SSL_AD_BAD_CERTIFICATE);
}

static void no_name(void)
{
	struct peer_setup setup = usual_peer();

	link_tcp(&l, &setup);
	CHECK(!link_handshake(&l, link_config(NULL), NULL));
	EQ(errno, EINVAL);
	close(l.fd);
	peer_kill(&l.peer);
}

static void not_verified(void)
{
	struct kssl_config *config = kssl_config_new();
	struct peer_setup setup = usual_peer();

	CHECK(config);
	kssl_config_insecure_noverify(config);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1);
	link_close(&l);
}

int main(int argc, char **argv)
{
	const unsigned int all_clients = OVER_STACKS | OVER_CLIENT | OVER_VERSIONS;
	const unsigned int all_servers = OVER_STACKS | OVER_SERVER | OVER_VERSIONS;
	const struct test tests[] = {
		{ "our client certificate", all_clients, we_show_ours },
		{ "the peer's client certificate", all_servers, peer_shows_its },
		{ "a client certificate asked for, none given", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS,
		  asked_and_none },
		{ "a client certificate demanded, none given", all_servers, demanded_and_none },
		{ "a client certificate demanded, unfit", all_servers, demanded_and_unfit },
		{ "our client certificate at a renegotiation", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12,
		  only_later_we_show_ours },
		{ "the peer's client certificate at a renegotiation",
		  OVER_STACKS | OVER_SERVER | OVER_TLS12, only_later_peer_shows_its },
		{ "a client certificate demanded at a renegotiation, none given",
		  OVER_STACKS | OVER_SERVER | OVER_TLS12, demanded_later_and_none },
		{ "a server with another name", all_clients, wrong_name },
		{ "a server of an unknown authority", all_clients, unknown_authority },
		{ "a server by its address", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, address_as_name },
		{ "no name of the server", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12, no_name },
		{ "no verification", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, not_verified },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
