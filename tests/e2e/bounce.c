// SPDX-License-Identifier: MIT
/*
 * What the library and the kernel do by themselves or on request: handshakes that the
 * application asks the kernel for, new keys that a policy asks for, authentication after
 * the handshake, sessions that are resumed, and connections whose helper leaves.
 */
#include <fcntl.h>
#include <signal.h>
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

static void check_all(unsigned int tx_epoch, unsigned int rx_epoch)
{
	GIVES(kssl_wait(l.k, 60000), 0);
	link_check_data(&l);
	link_check_carried(&l, usual_suite(v->version, v->bits), tx_epoch, rx_epoch);
}

static struct peer_setup willing_peer(void)
{
	struct peer_setup setup = usual_peer();

	if (setup.server && !is_13())
		add_option(&setup, "-client_renegotiation");
	return setup;
}

static void open_to(struct peer_setup setup)
{
	link_open(&l, &setup, link_config(v->server ? "ecdsa" : NULL));
	both_ways();
	check_all(1, 1);
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

/* ---- KSSL_RENEGOTIATE ---- */

static int ask(int how)
{
	return setsockopt(l.fd, SOL_KSSL, KSSL_RENEGOTIATE, &how, sizeof(how));
}

static int asked(void)
{
	socklen_t len = sizeof(int);
	int err;

	SYS(getsockopt(l.fd, SOL_KSSL, KSSL_RENEGOTIATE, &err, &len));
	return err;
}

/* As on a blocking socket; the peer has nothing to send meanwhile. */
static int ask_and_wait(int how)
{
	int ret;

	SYS(fcntl(l.fd, F_SETFL, 0));
	ret = ask(how);
	SYS(fcntl(l.fd, F_SETFL, O_NONBLOCK));
	return ret;
}

static void asked_for(void)
{
	int i;

	open_to(willing_peer());
	for (i = 1; i <= 4; i++) {
		SYS(ask_and_wait(i & 1 ? KSSL_RENEG_FULL : KSSL_RENEG_RESUME));
		EQ(asked(), 0);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, i);
		both_ways();
		check_all(1 + i, 1 + i);
	}
	FAILS(ask_and_wait(KSSL_RENEG_REQUIRE_CERT + 1), EINVAL);
	if (!v->server)
		FAILS(ask_and_wait(KSSL_RENEG_REQUEST_CERT), EINVAL);
	both_ways();
	check_all(5, 5);
	link_close(&l);
}

/* Peers put their KeyUpdate off until they have data to send. */
static void asked_for_update(void)
{
	open_to(usual_peer());
	FAILS(ask(KSSL_RENEG_FULL), EINPROGRESS);
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 1);
	EQ(asked(), EINPROGRESS);
	FAILS(ask(KSSL_RENEG_FULL), EALREADY);
	both_ways();
	both_ways();
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2);
	both_ways();
	EQ(asked(), 0);
	check_all(2, 2);
	link_close(&l);
}

static void asked_and_refused(void)
{
	struct peer_setup setup = usual_peer();

	if (v->server)
		add_option(&setup, "-no_renegotiation");
	open_to(setup);
	FAILS(ask_and_wait(KSSL_RENEG_FULL), ECONNREFUSED);
	EQ(asked(), ECONNREFUSED);
	link_wait(&l, KSSL_EVENT_REFUSED, 0, 1);
	both_ways();
	FAILS(ask_and_wait(KSSL_RENEG_FULL), v->server ? ECONNREFUSED : EOPNOTSUPP);
	both_ways();
	check_all(1, 1);
	link_close(&l);
}

/* Who may not begin may answer. */
static void asked_though_clients_may_not(void)
{
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = usual_peer();

	GIVES(kssl_config_set_client_renegotiation(config, 0), 0);
	link_open(&l, &setup, config);
	SYS(ask_and_wait(KSSL_RENEG_FULL));
	both_ways();
	check_all(2, 2);
	link_close(&l);
}

/* One that is under way and asks for no certificate is not what was asked for. */
static void asked_behind_another(void)
{
	struct peer_setup setup = usual_peer();

	setup.cert = "client";
	open_to(setup);
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
	SYS(ask_and_wait(KSSL_RENEG_REQUIRE_CERT));
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 2);
	CHECK(is_known_as("kssl client"));
	both_ways();
	check_all(3, 3);
	link_close(&l);
}

/* ---- certificates ---- */

static struct peer_setup peer_with_cert(void)
{
	struct peer_setup setup = usual_peer();

	setup.cert = "client";
	if (is_13())
		add_option(&setup, "-enable_pha");
	return setup;
}

static void check_authenticated(int how)
{
	unsigned int keys = is_13() ? 1 : 2;

	EQ(link_status(&l).identity, 0);
	SYS(ask_and_wait(how));
	link_wait(&l, KSSL_EVENT_AUTHENTICATED, 0, 1);
	CHECK(is_known_as("kssl client"));
	EQ(link_status(&l).identity, 1);
	both_ways();
	check_all(keys, keys);
	/* Once more changes nothing. */
	SYS(ask_and_wait(how));
	both_ways();
	EQ(link_status(&l).identity, 1);
	EQ(link_count(&l, KSSL_EVENT_AUTHENTICATED, ANYBODY), 1);
	check_all(is_13() ? 1 : 3, is_13() ? 1 : 3);
	link_close(&l);
}

static void certificate_asked_for(void)
{
	open_to(peer_with_cert());
	check_authenticated(KSSL_RENEG_REQUEST_CERT);
}

static void certificate_demanded(void)
{
	open_to(peer_with_cert());
	check_authenticated(KSSL_RENEG_REQUIRE_CERT);
}

static void certificate_declined(void)
{
	struct peer_setup setup = peer_with_cert();
	unsigned int keys = is_13() ? 1 : 2;

	setup.cert = NULL;
	open_to(setup);
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUEST_CERT), 0);
	GIVES(kssl_wait(l.k, 60000), 0);
	EQ(link_count(&l, KSSL_EVENT_AUTHENTICATED, ANYBODY), 0);
	EQ(link_status(&l).identity, 0);
	both_ways();
	check_all(keys, keys);
	link_close(&l);
}

static void certificate_not_to_be_had(void)
{
	struct peer_setup setup = usual_peer();

	setup.cert = "client";
	open_to(setup);
	FAILS(ask_and_wait(KSSL_RENEG_REQUEST_CERT), EOPNOTSUPP);
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUIRE_CERT), -EOPNOTSUPP);
	both_ways();
	check_all(1, 1);
	link_close(&l);
}

/* The Finished of it depends on how many there were, and OpenSSL was told of none. */
static void update_often(int times)
{
	int i;

	for (i = 1; i <= times; i++) {
		GIVES(kssl_key_update(l.k, 1), 0);
		link_move(&l, 100, 0);
		link_move(&l, 0, 100);
		link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2 * i);
	}
	peer_command(&l.peer, "K\n");
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 1);
	link_move(&l, 100, 100);
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 1, 2);
}

static void authenticate_after_updates(int by_kernel)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : "client");
	struct peer_setup setup = v->server ? peer_with_cert() : usual_peer();

	if (!v->server)
		add_option(&setup, "-verify=1");
	kssl_config_set_kernel_key_update(config, by_kernel);
	link_open(&l, &setup, config);
	both_ways();
	update_often(5);
	if (v->server) {
		SYS(ask_and_wait(KSSL_RENEG_REQUIRE_CERT));
		CHECK(is_known_as("kssl client"));
	} else {
		peer_command(&l.peer, "c\n");
		both_ways();
		link_wait(&l, KSSL_EVENT_TICKET, 1, 4);
		both_ways();
		CHECK(peer_has_said(&l.peer, "kssl client"));
	}
	both_ways();
	EQ(link_status(&l).key_updates_received, by_kernel ? 6 : 0);
	check_all(7, 7);
	link_close(&l);
}

static void authentication_after_updates_of_the_kernel(void)
{
	authenticate_after_updates(1);
}

static void authentication_after_updates_of_ours(void)
{
	authenticate_after_updates(0);
}

/* ---- policies ---- */

/* openssl as a client takes data in the middle of a handshake for an attack. */
static void move_much(void)
{
	int i;

	for (i = 0; i < 4; i++)
		link_move(&l, v->server && !is_13() ? 0 : SOME, SOME);
}

static void rekey(const struct kssl_policy *policy, int by_kernel)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct peer_setup setup = willing_peer();
	struct kssl_status st;

	kssl_config_set_kernel_key_update(config, by_kernel);
	GIVES(kssl_config_set_policy(config, policy), 0);
	link_open(&l, &setup, config);
	do
		move_much();
	while (link_status(&l).tx.epoch < 3);
	link_wait(&l, is_13() ? KSSL_EVENT_KEY_UPDATE : KSSL_EVENT_RENEGOTIATED, ANYBODY, 2);
	/* Enough for now; but what was due before may begin once all is read. */
	GIVES(kssl_set_policy(l.k, NULL), 0);
	do {
		st = link_status(&l);
		link_move(&l, 0, SOME);
		GIVES(kssl_wait(l.k, 60000), 0);
	} while (link_status(&l).tx.epoch != st.tx.epoch || link_status(&l).rx.epoch != st.rx.epoch);
	note("%u sending and %u receiving keys", st.tx.epoch, st.rx.epoch);
	CHECK(st.tx.epoch >= 3);
	CHECK(is_13() ? st.rx.epoch >= 2 : st.rx.epoch == st.tx.epoch);
	EQ(!!st.key_updates_sent, is_13() && by_kernel);
	check_all(st.tx.epoch, st.rx.epoch);
	link_close(&l);
}

static void new_key_after_bytes(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .rekey_bytes = 150000 };

	rekey(&policy, 0);
}

static void new_key_after_bytes_by_the_kernel(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .rekey_bytes = 150000 };

	rekey(&policy, 1);
}

static void new_key_after_records(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .rekey_records = 30 };

	rekey(&policy, 0);
}

static void new_key_before_a_limit(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .rx_soft = 30, .tx_soft = 30 };

	rekey(&policy, 0);
}

/* RFC 9113 9.2.1: not even where a new key is due. */
static void not_in_http2(void)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .rekey_bytes = 50000 };
	static const unsigned char protocols[] = { 2, 'h', '2' };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct kssl_config *config = link_config(NULL);
	struct peer_setup setup = willing_peer();

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, cert_path("ca", "crt")));
	EQ(SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols)), 0);
	GIVES(kssl_config_set_ssl_ctx(config, ctx), 0);
	SSL_CTX_free(ctx);
	GIVES(kssl_config_set_policy(config, &policy), 0);
	add_option(&setup, "-alpn=h2");
	link_open(&l, &setup, config);
	move_much();
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), -EOPNOTSUPP);
	FAILS(ask_and_wait(KSSL_RENEG_RESUME), EOPNOTSUPP);
	both_ways();
	EQ(link_count(&l, KSSL_EVENT_RENEGOTIATED, ANYBODY), 0);
	check_all(1, 1);
	link_close(&l);
}

/* A peer that does not answer is either late or may do so. */
static void renegotiate_with_stopped_peer(int require)
{
	const struct kssl_policy policy = { .size = sizeof(policy), .peer_ms = 300 };
	struct kssl_config *config = link_config("ecdsa");
	struct peer_setup setup = peer_with_cert();

	GIVES(kssl_config_set_policy(config, &policy), 0);
	kssl_config_set_require_answer(config, require);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1, 1);
	SYS(kill(l.peer.pid, SIGSTOP));
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_REQUEST_CERT), 0);
	/* As long as it may wait. */
	CHECK(link_status(&l).waits == (require ? KSSL_WAITS_PEER : 0) || link_error(&l).err == ETIMEDOUT);
}

static void unanswered(void)
{
	renegotiate_with_stopped_peer(0);
	GIVES(kssl_wait(l.k, 1000), -ETIMEDOUT);
	/* From here on it has as much time as it needs. */
	GIVES(kssl_set_policy(l.k, NULL), 0);
	SYS(kill(l.peer.pid, SIGCONT));
	link_wait(&l, KSSL_EVENT_AUTHENTICATED, 0, 1);
	both_ways();
	check_all(is_13() ? 1 : 2, is_13() ? 1 : 2);
	link_close(&l);
}

static void unanswered_and_required(void)
{
	char byte;

	renegotiate_with_stopped_peer(1);
	link_wait(&l, KSSL_EVENT_FAILED, ANYBODY, 1);
	note("%s", l.events[l.events_count - 1].text);
	FAILS(read(l.fd, &byte, 1), ETIMEDOUT);
	EQ(link_error(&l).who, KSSL_WHO_PEER);
	SYS(kill(l.peer.pid, SIGCONT));
	link_close(&l);
}

/* ---- sessions ---- */

static void resume(struct kssl_config *first, int reused)
{
	struct peer_setup setup = usual_peer();
	struct kssl_config *config = link_config(NULL);
	SSL_SESSION *session;

	link_open(&l, &setup, first);
	both_ways();
	if (is_13())
		link_wait(&l, KSSL_EVENT_TICKET, 1, 1);
	EQ(SSL_session_reused(kssl_ssl(l.k)), 0);
	session = kssl_get1_session(l.k);
	CHECK(session);
	GIVES(kssl_config_set_session(config, session), 0);
	SSL_SESSION_free(session);
	check_all(1, 1);
	link_again(&l, config);
	both_ways();
	EQ(SSL_session_reused(kssl_ssl(l.k)), reused);
	check_all(1, 1);
	link_close(&l);
}

static void resumed(void)
{
	resume(link_config(NULL), 1);
}

static void not_resumed_for_want_of_trust(void)
{
	struct kssl_config *config = kssl_config_new();

	CHECK(config);
	kssl_config_insecure_noverify(config);
	resume(config, 0);
}

/* The newest one, after a renegotiation too. */
static void resumed_after_renegotiation(void)
{
	struct peer_setup setup = willing_peer();
	struct kssl_config *config = link_config(NULL);
	SSL_SESSION *session;

	open_to(setup);
	SYS(ask_and_wait(KSSL_RENEG_FULL));
	session = kssl_get1_session(l.k);
	CHECK(session);
	GIVES(kssl_config_set_session(config, session), 0);
	SSL_SESSION_free(session);
	link_again(&l, config);
	both_ways();
	EQ(SSL_session_reused(kssl_ssl(l.k)), 1);
	check_all(1, 1);
	link_close(&l);
}

/* ---- leaving ---- */

static void check_orphan(unsigned int tx_epoch, unsigned int rx_epoch)
{
	struct kssl_status st = link_status(&l);

	link_check_data(&l);
	EQ(st.attended, 0);
	EQ(st.orphan, 1);
	EQ(st.tx.epoch, tx_epoch);
	EQ(st.rx.epoch, rx_epoch);
	EQ(st.tx.bytes, l.sent);
	EQ(st.rx.bytes, l.received);
}

/* What goes on without us, and how it ends. */
static void live_as_orphan(void)
{
	both_ways();
	check_orphan(1, 1);
	if (is_13()) {
		peer_command(&l.peer, "K\n");
		link_move(&l, 0, SOME);
		both_ways();
		check_orphan(2, 2);
	}
	FAILS(ask(KSSL_RENEG_FULL), ESRCH);
	both_ways();
	check_orphan(is_13() ? 2 : 1, is_13() ? 2 : 1);
	close(l.fd);
	l.fd = -1;
	peer_kill(&l.peer);
}

static void left(void)
{
	open_to(usual_peer());
	GIVES(kssl_detach(l.k), 0);
	GIVES(kssl_detach(l.k), -ENOTCONN);
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), -ENOTCONN);
	live_as_orphan();
	kssl_free(l.k);
	l.k = NULL;
}

static void left_by_policy(void)
{
	struct kssl_config *config = link_config(v->server ? "ecdsa" : NULL);
	struct peer_setup setup = usual_peer();

	kssl_config_set_orphan(config, 1);
	link_open(&l, &setup, config);
	both_ways();
	check_all(1, 1);
	kssl_free(l.k);
	l.k = NULL;
	live_as_orphan();
}

static void not_left_in_a_handshake(void)
{
	open_to(usual_peer());
	SYS(kill(l.peer.pid, SIGSTOP));
	GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
	GIVES(kssl_detach(l.k), -EBUSY);
	SYS(kill(l.peer.pid, SIGCONT));
	link_wait(&l, v->server ? KSSL_EVENT_RENEGOTIATED : KSSL_EVENT_REFUSED, 0, 1);
	both_ways();
	check_all(v->server ? 2 : 1, v->server ? 2 : 1);
	link_close(&l);
}

int main(int argc, char **argv)
{
	const unsigned int servers = OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS;
	const unsigned int clients = OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS;
	const unsigned int all = OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS;
	const unsigned int tls12 = OVER_OPENSSL | OVER_ROLES | OVER_TLS12;
	const unsigned int tls13 = OVER_OPENSSL | OVER_ROLES | OVER_TLS13;
	const struct test tests[] = {
		{ "asked for by the application", tls12, asked_for },
		{ "asked for by the application", tls13, asked_for_update },
		{ "asked for and refused", tls12, asked_and_refused },
		{ "asked for where clients may not begin", OVER_OPENSSL | OVER_SERVER | OVER_TLS12,
		  asked_though_clients_may_not },
		{ "asked for behind another one", OVER_OPENSSL | OVER_SERVER | OVER_TLS12,
		  asked_behind_another },
		{ "a certificate asked for later", servers, certificate_asked_for },
		{ "a certificate demanded later", servers, certificate_demanded },
		{ "a certificate asked for later, none given", servers, certificate_declined },
		{ "a certificate of a client that gives none later", OVER_OPENSSL | OVER_SERVER | OVER_TLS13,
		  certificate_not_to_be_had },
		{ "authentication after KeyUpdates of the kernel", tls13,
		  authentication_after_updates_of_the_kernel },
		{ "authentication after KeyUpdates of ours", tls13, authentication_after_updates_of_ours },
		{ "a new key after so many bytes", all, new_key_after_bytes },
		{ "a new key after so many bytes, by the kernel", tls13, new_key_after_bytes_by_the_kernel },
		{ "a new key after so many records", all, new_key_after_records },
		{ "a new key before a limit", all, new_key_before_a_limit },
		{ "no renegotiation in HTTP/2", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12, not_in_http2 },
		{ "a request that is not answered", servers, unanswered },
		{ "a request that must be answered", servers, unanswered_and_required },
		{ "a session resumed", clients, resumed },
		{ "a session that was not verified", clients, not_resumed_for_want_of_trust },
		{ "a session of a renegotiation", OVER_OPENSSL | OVER_CLIENT | OVER_TLS12,
		  resumed_after_renegotiation },
		{ "the helper leaves", all, left },
		{ "the helper is gone", all, left_by_policy },
		{ "the helper may not leave in a handshake", tls12, not_left_in_a_handshake },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
