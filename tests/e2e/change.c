// SPDX-License-Identifier: MIT
/*
 * What a renegotiation may change: suite, record protection, MAC-then-encrypt to
 * encrypt-then-MAC.  And what it may not, which OpenSSL would let pass.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "chameleon.h"

/* Data each way after each step. */
#define DATA	110000

static struct link l;
static struct mind mind;

/* ---- steps ---- */

struct step {
	const char *suite;
	unsigned int id;
	int is_etm;
};

#define GCM	{ "ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, 0 }
#define MTE	{ "ECDHE-RSA-AES128-SHA", 0xc013, 0 }
#define ETM	{ "ECDHE-RSA-AES256-SHA384", 0xc028, 1 }

static unsigned int keys;

static void set_mind(const struct step *step)
{
	snprintf(mind.suites, sizeof(mind.suites), "%s:@SECLEVEL=0", step->suite);
	mind.no_etm = !step->is_etm;
}

static void check_step(const struct step *step)
{
	const int flags = step->is_etm ? KSSL_KEY_ETM : 0;

	GIVES(kssl_wait(l.k, 60000), 0);
	link_move(&l, DATA, DATA);
	link_check_data(&l);
	link_check_carried(&l, step->id, keys, keys);
	EQ(link_status(&l).tx.flags, flags);
	EQ(link_status(&l).rx.flags, flags);
	EQ(link_status(&l).handshakes, keys);
}

static void start(const struct step *step)
{
	struct kssl_config *config = agreeable_config("rsa");

	mind = (struct mind) { .alpn = "one", .name = "localhost", .cert = "rsa" };
	set_mind(step);
	chameleon_start(&l, &mind);
	CHECK(link_handshake(&l, config, "localhost"));
	kssl_config_free(config);
	SYS(fcntl(l.fd, F_SETFL, O_NONBLOCK));
	keys = 1;
	check_step(step);
}

/* Have a renegotiation begin, in which the peer wants what @mind says. */
static void begin(int by_peer)
{
	mind.renegotiate = by_peer;
	chameleon_tell(&mind);
	if (!by_peer)
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
}

static void go_to(const struct step *step, int by_peer)
{
	const unsigned int before = link_count(&l, KSSL_EVENT_RENEGOTIATED, by_peer);

	set_mind(step);
	begin(by_peer);
	link_wait(&l, KSSL_EVENT_RENEGOTIATED, by_peer, before + 1);
	note("%s", l.events[l.events_count - 1].text);
	keys++;
	check_step(step);
}

/* ---- allowed ---- */

static void walk(int by_peer)
{
	static const struct step steps[] = {
		GCM,
		MTE,					/* from AEAD to CBC */
		{ "ECDHE-RSA-AES256-SHA384", 0xc028, 0 },
		ETM,					/* from MAC-then-encrypt to encrypt-then-MAC */
		{ "ECDHE-RSA-CHACHA20-POLY1305", 0xcca8, 0 },
		{ "ECDHE-RSA-CAMELLIA128-SHA256", 0xc076, 1 },
		{ "AES256-CCM8", 0xc0a1, 0 },
		{ "DHE-RSA-AES128-SHA", 0x0033, 1 },
		GCM,
	};
	unsigned int i;

	start(&steps[0]);
	for (i = 1; i < sizeof(steps) / sizeof(steps[0]); i++)
		go_to(&steps[i], by_peer);
	SYS(shutdown(l.fd, SHUT_WR));
	EQ(chameleon_join(&l) & ~CHAMELEON_GOT_HELLO, CHAMELEON_CLOSED);
	link_close(&l);
}

static void from_suite_to_suite(void)
{
	walk(0);
}

static void from_suite_to_suite_by_peer(void)
{
	walk(1);
}

/* ---- refused ---- */

/*
 * The peer wants what @mind says now.  No answer goes out but the alert, no key
 * changes, and everybody learns @why; NULL: OpenSSL sees to it, in its own words.
 */
static void check_refused(int by_peer, const char *why)
{
	struct kssl_status before = link_status(&l), st;
	struct kssl_error error;
	char byte = 0;
	int end;

	begin(by_peer);
	link_wait(&l, KSSL_EVENT_FAILED, ANYBODY, 1);
	note("%s", l.events[l.events_count - 1].text);
	error = link_error(&l);
	EQ(error.err, EPROTO);
	EQ(error.who, KSSL_WHO_HELPER);
	EQ(error.has_alert, 1);
	EQ(error.alert, SSL_AD_HANDSHAKE_FAILURE);
	if (why && strcmp(error.text, why))
		check_failed(__FILE__, __LINE__, "\"%s\", not \"%s\"", error.text, why);
	FAILS(read(l.fd, &byte, 1), EPROTO);
	CHECK(write(l.fd, &byte, 1) < 0);
	st = link_status(&l);
	EQ(st.tx.epoch, before.tx.epoch);
	EQ(st.rx.epoch, before.rx.epoch);
	EQ(st.tx.state, KSSL_STATE_FAILED);
	EQ(st.rx.state, KSSL_STATE_FAILED);
	end = chameleon_join(&l);
	/* A client that is refused has seen no ServerHello of ours. */
	EQ(end, SSL_AD_HANDSHAKE_FAILURE);
	link_close(&l);
	memset(&l, 0, sizeof(l));
}

/* Up to the last of @steps, which is refused; by us and by the peer. */
static void refuse_step(const struct step *steps, int count, const char *why)
{
	int by_peer, i;

	for (by_peer = 0; by_peer < 2; by_peer++) {
		start(&steps[0]);
		for (i = 1; i < count - 1; i++)
			go_to(&steps[i], by_peer);
		set_mind(&steps[count - 1]);
		check_refused(by_peer, why);
	}
}

#define ETM_DROPPED	"encrypt-then-MAC was dropped at a renegotiation"

static void etm_dropped(void)
{
	refuse_step((const struct step[]) { ETM, MTE }, 2, ETM_DROPPED);
}

static void etm_dropped_later(void)
{
	refuse_step((const struct step[]) { MTE, ETM, GCM, GCM, MTE }, 5, ETM_DROPPED);
}

static void refuse_mind(void (*change)(void), const char *why)
{
	static const struct step gcm = GCM;
	int by_peer;

	for (by_peer = 0; by_peer < 2; by_peer++) {
		start(&gcm);
		go_to(&gcm, by_peer);
		change();
		check_refused(by_peer, why);
	}
}

static void drop_ems(void)
{
	mind.no_ems = 1;
}

static void change_name(void)
{
	strcpy(mind.name, "other.example.org");
}

static void change_cert(void)
{
	strcpy(mind.cert, "ecdsa");
	strcpy(mind.suites, "ECDHE-ECDSA-AES128-GCM-SHA256");
}

static void ems_dropped(void)
{
	refuse_mind(drop_ems, NULL);
}

static void name_changed(void)
{
	refuse_mind(change_name, "the client asked for another server name at a renegotiation");
}

static void cert_changed(void)
{
	refuse_mind(change_cert, "the server's certificate changed at a renegotiation");
}

int main(int argc, char **argv)
{
	const unsigned int both = OVER_OPENSSL | OVER_ROLES | OVER_TLS12 | OVER_SUITES;
	const unsigned int as_client = OVER_OPENSSL | OVER_CLIENT | OVER_TLS12 | OVER_SUITES;
	const unsigned int as_server = OVER_OPENSSL | OVER_SERVER | OVER_TLS12 | OVER_SUITES;
	const struct test tests[] = {
		{ "from suite to suite", both, from_suite_to_suite },
		{ "from suite to suite, by the peer", both, from_suite_to_suite_by_peer },
		{ "encrypt-then-MAC dropped", both, etm_dropped },
		{ "encrypt-then-MAC dropped after an AEAD suite", both, etm_dropped_later },
		/* A server that drops it cannot be made of OpenSSL. */
		{ "extended master secret dropped", as_server, ems_dropped },
		{ "another server name", as_server, name_changed },
		{ "another certificate of the server", as_client, cert_changed },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
