// SPDX-License-Identifier: MIT
/*
 * The matrix: each suite in each version with each stack that has it, in both roles.
 * In each cell a handshake with a certificate of the client's, data both ways, new
 * keys (a renegotiation, or from TLS 1.3 on a KeyUpdate each way) and data under
 * them; then a second connection that resumes a session.  For the table that
 * tests/interop makes of it, what has held is told in lines "cell".
 *
 * INTEROP "K/N": every N-th cell only, from the K-th on, and nothing with Java unless
 * it is named, for its machine takes a minute to start in an emulated one.  With E2E_LEGACY set it is
 * run with an OpenSSL that has SSL 3.0, 3DES and RC4, see tests/vm/legacy-openssl, and
 * with the module unlocked, and shows those; what is not among them is shown without.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "fetch.h"

#define PATIENCE_MS	90000

/* Data one way. */
#define DATA		50000

static struct link l;

/* ---- which suites ---- */

#define KERNEL_MAX	256

#define OPENSSL_13	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" \
			"TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"

static struct kssl_suite_info kernel[KERNEL_MAX];
static unsigned int kernel_count;

static void ask_kernel(void)
{
	socklen_t len = sizeof(kernel);
	int fd;

	l.unwatched = 1;
	fd = link_pair(&l, 1);
	SYS(setsockopt(l.fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, strlen(KSSL_ULP_NAME)));
	SYS(getsockopt(l.fd, SOL_KSSL, KSSL_SUITES, kernel, &len));
	kernel_count = len / sizeof(kernel[0]);
	CHECK(kernel_count < KERNEL_MAX);
	close(l.fd);
	close(fd);
	memset(&l, 0, sizeof(l));
}

static int kernel_has(unsigned int id)
{
	unsigned int i;

	for (i = 0; i < kernel_count; i++)
		if (kernel[i].suite == id && kernel[i].version == v->version)
			return 1;
	return 0;
}

static int has_word(const SSL_CIPHER *cipher, const char *word)
{
	return strstr(SSL_CIPHER_get_name(cipher), word) != NULL;
}

static int is_cbc(const SSL_CIPHER *cipher)
{
	return SSL_CIPHER_get_cipher_nid(cipher) != NID_undef && !SSL_CIPHER_is_aead(cipher) &&
	       !has_word(cipher, "RC4");
}

static int is_weak(const SSL_CIPHER *cipher)
{
	return v->version == 0x0300 || has_word(cipher, "RC4") || has_word(cipher, "DES-CBC3");
}

static int is_ecdsa(const SSL_CIPHER *cipher)
{
	return SSL_CIPHER_get_auth_nid(cipher) == NID_auth_ecdsa;
}

/* RFC 7366 is about extensions, which SSL 3.0 has not. */
static int has_etm(void)
{
	return v->version > 0x0300 && (v->stack == OPENSSL || v->stack == OPENSSL35 || v->stack == GNUTLS);
}

static int peer_has_aria(void)
{
	return v->stack == OPENSSL || v->stack == OPENSSL35;
}

/* What the stacks are without; where it is not the stack but its programs, see below. */
static int peer_has(const SSL_CIPHER *cipher)
{
	switch (v->stack) {
	case GNUTLS:
		return !has_word(cipher, "ARIA");
	case NSS:
		/* Its database has one certificate for a name, and that is RSA's. */
		if (!v->server && is_ecdsa(cipher))
			return 0;
		return !has_word(cipher, "ARIA") && !has_word(cipher, "CCM") &&
		       (!has_word(cipher, "CAMELLIA") || (SSL_CIPHER_get_digest_nid(cipher) == NID_sha1));
	case JSSE:
		return !has_word(cipher, "ARIA") && !has_word(cipher, "CCM") && !has_word(cipher, "CAMELLIA");
	default:
		return 1;
	}
}

static const STACK_OF(SSL_CIPHER) *all_suites(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	CHECK(ctx);
	if (is_13()) {
		CHECK(SSL_CTX_set_ciphersuites(ctx, OPENSSL_13));
	} else {
		CHECK(SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"));
		CHECK(SSL_CTX_set_ciphersuites(ctx, ""));
	}
	return SSL_CTX_get_ciphers(ctx);
}

static int is_due(const SSL_CIPHER *cipher)
{
	unsigned int id = SSL_CIPHER_get_protocol_id(cipher);

	return (id >> 8 == 0x13) == is_13() && is_weak(cipher) == !!getenv("E2E_LEGACY") &&
	       kernel_has(id) && peer_has(cipher);
}

/* How many cells there have to be, by version from TLS 1.3 down to SSL 3.0, and of them with E2E_LEGACY. */
static const struct {
	int count[5];
	int weak[5];
} due[][2] = {
	[OPENSSL] = { { { 5, 79, 24, 24 }, { 0, 12, 12, 12, 12 } }, { { 5, 79, 24, 24 }, { 0, 12, 12, 12, 12 } } },
	[GNUTLS] = { { { 5, 79, 24, 24 }, { 0, 12, 12, 12 } }, { { 5, 79, 24, 24 }, { 0, 12, 12, 12 } } },
	[NSS] = { { { 3, 24, 10, 10 }, { 0, 6, 6, 6, 12 } }, { { 3, 31, 12, 12 }, { 0, 8, 8, 8, 12 } } },
	[JSSE] = { { { 3, 27, 8, 8 }, { 0, 8, 8, 8, 8 } }, { { 3, 27, 8, 8 }, { 0, 8, 8, 8, 8 } } },
	[OPENSSL35] = { { { 5, 79, 24, 24 } }, { { 5, 79, 24, 24 } } },
};

static int count_due(void)
{
	unsigned int version = 0x0304 - v->version;
	int aria = 0;

	if (getenv("E2E_LEGACY"))
		return due[v->stack][v->server].weak[version];
	/* Debian's kernels have no ARIA, the debug kernel has it. */
	if (kernel_has(0xc050) && peer_has_aria())
		aria = 8;
	return due[v->stack][v->server].count[version] + aria;
}

/* ---- peers ---- */

#define GNUTLS_ALL	"NORMAL:-VERS-ALL:+VERS-TLS1.%d:+RSA:+DHE-RSA:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:" \
			"+CAMELLIA-128-GCM:+CAMELLIA-256-GCM:+AES-128-CCM-8:+AES-256-CCM-8:+SHA256:+SHA384:+SHA1:" \
			"+3DES-CBC:+ARCFOUR-128:+MD5:" \
			"%%VERIFY_ALLOW_SIGN_WITH_SHA1%s"
#define NSS_ALL		":c02b:c02f:c02c:c030:cca9:cca8:ccaa:c009:c00a:c013:c014:c023:c024:c027:c028:009e:009f:0033:" \
			"0039:0067:006b:0045:0088:009c:009d:002f:0035:003c:003d:0041:0084:c008:c012:0016:000a:c007:c011:0005:0004"

/* One that takes any suite of the version, so that what is agreed on is for us to say. */
static struct peer_setup willing_peer(int etm, int connections)
{
	static char priority[2][512];
	struct peer_setup setup = usual_peer();

	setup.wants_cert = setup.server;
	setup.cert = setup.server ? NULL : "client";
	setup.connections = connections;
	switch (v->stack) {
	case OPENSSL:
	case OPENSSL35:
		setup.quiet = 1;
		setup.suite = is_13() ? OPENSSL_13 : "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
		if (is_13()) {
			add_option(&setup, "-cipher");
			add_option(&setup, "ALL:@SECLEVEL=0");
		}
		if (!etm)
			add_option(&setup, "-no_etm");
		if (!setup.server)
			break;
		setup.cert = "rsa";
		add_option(&setup, "-dcert");
		add_option(&setup, cert_path("ecdsa", "crt"));
		add_option(&setup, "-dkey");
		add_option(&setup, cert_path("ecdsa", "key"));
		if (!is_13())
			add_option(&setup, "-client_renegotiation");
		break;
	case GNUTLS:
		snprintf(priority[etm], sizeof(priority[etm]), "--priority=" GNUTLS_ALL, v->version - 0x0301,
			 etm ? "" : ":%NO_ETM");
		add_option(&setup, priority[etm]);
		if (!setup.server)
			break;
		setup.cert = "rsa";
		add_option(&setup, "--x509certfile");
		add_option(&setup, cert_path("ecdsa", "crt"));
		add_option(&setup, "--x509keyfile");
		add_option(&setup, cert_path("ecdsa", "key"));
		break;
	case NSS:
		if (!is_13()) {
			add_option(&setup, !setup.server && connections > 1 ? "-C" : "-c");
			add_option(&setup, NSS_ALL);
		}
		break;
	case JSSE:
		break;
	}
	return setup;
}

static struct kssl_config *config_for(const SSL_CIPHER *cipher)
{
	struct kssl_config *config = link_config(v->server ? "rsa" : "client");
	char name[80];

	snprintf(name, sizeof(name), "%s:@SECLEVEL=0", is_13() ? "ALL" : SSL_CIPHER_get_name(cipher));
	GIVES(kssl_config_set_ciphers(config, name, is_13() ? SSL_CIPHER_get_name(cipher) : NULL), 0);
	if (v->server) {
		GIVES(kssl_config_set_cert_file(config, cert_path("ecdsa", "crt"), cert_path("ecdsa", "key")), 0);
		GIVES(kssl_config_set_client_cert(config, 2), 0);
	}
	return config;
}

/* ---- NSS: selfserv takes a request, sends a file and closes; strsclnt makes a request and takes an answer ---- */

static struct fetch file;

/* With strsclnt. */
static void answer(void)
{
	static const char request[] = "GET /abc HTTP/1.0\r\n\r\n";
	struct pollfd pfd = { .fd = l.fd, .events = POLLIN };
	uint8_t buf[sizeof(request) - 1];
	size_t done;
	ssize_t n;

	for (done = 0; done < sizeof(buf); done += n) {
		EQ(SYS(poll(&pfd, 1, PATIENCE_MS)), 1);
		n = read(l.fd, buf + done, sizeof(buf) - done);
		if (n < 0 && errno == EAGAIN)
			n = 0;
		else
			CHECK(SYS(n));
		link_received(&l, buf + done, n);
	}
	CHECK(!memcmp(buf, request, sizeof(buf)));
	pfd.events = POLLOUT;
	for (done = 0; done < file.len; done += n) {
		EQ(SYS(poll(&pfd, 1, PATIENCE_MS)), 1);
		n = SYS(write(l.fd, file.contents + done, file.len - done));
		link_sent(&l, file.contents + done, n);
	}
}

/* ---- a cell ---- */

enum column { HANDSHAKE, TRANSFER, NEW_KEYS, CERTIFICATE, RESUMPTION, COLUMNS };

static const char *const columns[COLUMNS] = {
	[HANDSHAKE] = "handshake", [TRANSFER] = "data", [NEW_KEYS] = "keys", [CERTIFICATE] = "certificate",
	[RESUMPTION] = "resumption",
};

static int is_selfserv(void)
{
	return v->stack == NSS && !v->server;
}

static void move(void)
{
	if (is_selfserv()) {
		fetch_request(&file, &l, "");
		fetch_answer(&file, &l);
		return;
	}
	link_move(&l, up_to_peer(DATA), DATA);
	link_check_data(&l);
}

static void new_keys(void)
{
	if (!is_13()) {
		GIVES(kssl_renegotiate(l.k, KSSL_RENEG_FULL), 0);
		link_wait(&l, KSSL_EVENT_RENEGOTIATED, 0, 1);
		return;
	}
	GIVES(kssl_key_update(l.k, 1), 0);
	/* Some peers put the answer off until they have data to send; selfserv does not, and has only one answer. */
	if (!is_selfserv())
		move();
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2);
}

static void check_certificate(void)
{
	X509 *cert = SSL_get0_peer_certificate(kssl_ssl(l.k));
	char line[128] = "";

	/* A server that demands one goes no further without it. */
	if (!v->server)
		return;
	CHECK(cert);
	X509_NAME_oneline(X509_get_subject_name(cert), line, sizeof(line));
	CHECK(strstr(line, "kssl client"));
}

static void check_keys(const SSL_CIPHER *cipher, int etm, unsigned int count)
{
	struct kssl_status st = link_status(&l);
	unsigned int flags = etm && is_cbc(cipher) ? KSSL_KEY_ETM : 0;

	EQ(st.tx.suite, SSL_CIPHER_get_protocol_id(cipher));
	EQ(st.rx.suite, SSL_CIPHER_get_protocol_id(cipher));
	EQ(st.tx.version, v->version);
	EQ(st.tx.flags, flags);
	EQ(st.rx.flags, flags);
	EQ(st.tx.epoch, count);
	EQ(st.rx.epoch, count);
	EQ(st.tx.bytes, l.sent);
	EQ(st.rx.bytes, l.received);
}

/* With the last peer, if it is a server and just like this one. */
static void open_to(const struct peer_setup *setup, int etm, struct kssl_config *config)
{
	static int last_connections, last_etm;
	int same = l.k && setup->server && last_connections == setup->connections && last_etm == etm;

	last_connections = setup->connections;
	last_etm = etm;
	if (same) {
		link_again(&l, config);
		return;
	}
	if (l.k)
		link_close(&l);
	memset(&l, 0, sizeof(l));
	link_open(&l, setup, config);
}

/* To one peer that is a server.  A Java machine is slow to start; NSS gives tickets only if there are to be more. */
static int most_connections(void)
{
	if (v->stack == JSSE && !v->server)
		return 1000;
	return is_selfserv() && is_13() ? 2 : 1;
}

static void first_connection(const SSL_CIPHER *cipher, int etm)
{
	struct peer_setup setup = willing_peer(etm, most_connections());

	open_to(&setup, etm, config_for(cipher));
	EQ(SSL_session_reused(kssl_ssl(l.k)), 0);
	check_certificate();
	check_keys(cipher, etm, 1);
	if (is_selfserv()) {
		new_keys();
		move();
	} else {
		move();
		check_keys(cipher, etm, 1);
		new_keys();
		move();
	}
	check_keys(cipher, etm, 2);
}

/* In either connection of those that a session lasts for. */
static void move_in_one_of_two(void)
{
	if (v->stack != NSS || !v->server) {
		move();
		return;
	}
	answer();
}

/* As client: the session of one connection for the next. */
static void offer_session(const SSL_CIPHER *cipher, int etm)
{
	struct peer_setup setup = willing_peer(etm, v->stack == GNUTLS ? 2 : most_connections());
	struct kssl_config *config = config_for(cipher);
	SSL_SESSION *session;

	open_to(&setup, etm, config_for(cipher));
	move();
	if (is_13())
		link_wait(&l, KSSL_EVENT_TICKET, 1, 1);
	session = kssl_get1_session(l.k);
	CHECK(session);
	GIVES(kssl_config_set_session(config, session), 0);
	SSL_SESSION_free(session);
	link_again(&l, config);
}

/* As server: of two connections with the same context. */
static void await_session(const SSL_CIPHER *cipher, int etm)
{
	char session[64];
	struct peer_setup setup = willing_peer(etm, 2);
	struct kssl_config *config;
	SSL_CTX *ctx;
	char byte;

	snprintf(session, sizeof(session), "/tmp/kssl-session-%d", getpid());
	unlink(session);
	if (v->stack == OPENSSL || v->stack == OPENSSL35) {
		setup.connections = 1;
		setup.session = session;
	}
	if (l.k)
		link_close(&l);
	memset(&l, 0, sizeof(l));
	link_open(&l, &setup, config_for(cipher));
	ctx = SSL_get_SSL_CTX(kssl_ssl(l.k));
	config = kssl_config_new_with(ctx);
	CHECK(config);
	kssl_config_set_timeout(config, PATIENCE_MS);
	if (setup.session) {
		move();
		SYS(shutdown(l.fd, SHUT_WR));
		peer_wait(&l.peer, NULL);
		link_close(&l);
		memset(&l, 0, sizeof(l));
		link_open(&l, &setup, config);
		unlink(session);
		return;
	}
	/* GnuTLS's says good bye at once.  The others would take it amiss if we did not wait for theirs. */
	if (v->stack != GNUTLS) {
		move_in_one_of_two();
		SYS(shutdown(l.fd, SHUT_WR));
	}
	EQ(SYS(poll(&(struct pollfd){ .fd = l.fd, .events = POLLIN }, 1, PATIENCE_MS)), 1);
	CHECK(read(l.fd, &byte, 1) <= 0);
	link_again(&l, config);
}

static void second_connection(const SSL_CIPHER *cipher, int etm)
{
	if (v->server)
		await_session(cipher, etm);
	else
		offer_session(cipher, etm);
	EQ(SSL_session_reused(kssl_ssl(l.k)), 1);
	check_certificate();
	move_in_one_of_two();
	check_keys(cipher, etm, 1);
}

static void tell(const SSL_CIPHER *cipher, int etm, unsigned int done)
{
	char line[200];
	int i, len;

	len = snprintf(line, sizeof(line), "cell|%s|%s|%#06x|%s|%s|", stack_name(v->stack),
		       v->server ? "server" : "client", v->version, SSL_CIPHER_get_name(cipher),
		       is_cbc(cipher) ? etm ? "EtM" : "MtE" : "");
	for (i = 0; i < COLUMNS; i++)
		len += snprintf(line + len, sizeof(line) - len, "%s%s", i ? " " : "", done & 1 << i ? columns[i] : "-");
	note("%s", line);
}

static void cell(const SSL_CIPHER *cipher, int etm)
{
	note("%s%s", SSL_CIPHER_get_name(cipher), is_cbc(cipher) ? etm ? ", EtM" : ", MtE" : "");
	first_connection(cipher, etm);
	second_connection(cipher, etm);
	tell(cipher, etm, (1 << COLUMNS) - 1);
}

/* Is the next cell among those asked for? */
static int is_asked_for(void)
{
	const char *asked = getenv("INTEROP");
	static unsigned int at;
	unsigned int k, n;

	if (!asked)
		return 1;
	if (sscanf(asked, "%u/%u", &k, &n) != 2 || !n) {
		note("INTEROP is not K/N: %s", asked);
		CHECK(0);
	}
	/* Of few cells one, too. */
	if (n > (unsigned int)count_due())
		n = count_due();
	/* Others with other stacks and in the other role, so that "0/2" is each suite once. */
	return (at++ + v->server + v->stack) % n == k % n;
}

static void all_cells(void)
{
	const STACK_OF(SSL_CIPHER) *all = all_suites();
	int etm, i, count = 0;

	ask_kernel();
	/* First, so that what does not come about is missed. */
	note("suites|%s|%s|%#06x|%s|%d", stack_name(v->stack), v->server ? "server" : "client", v->version,
	     getenv("E2E_LEGACY") ? "weak" : "all others", count_due());
	if (v->stack == NSS)
		fetch_prepare(&file, DATA);
	for (etm = has_etm(); etm >= 0; etm--)
		for (i = 0; i < sk_SSL_CIPHER_num(all); i++) {
			const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);

			if (!is_due(cipher) || (!etm && has_etm() && !is_cbc(cipher)))
				continue;
			count++;
			if (is_asked_for())
				cell(cipher, etm);
		}
	EQ(count, count_due());
	if (l.k)
		link_close(&l);
	if (v->stack == NSS)
		fetch_end(&file);
}

int main(int argc, char **argv)
{
	const unsigned int java = getenv("INTEROP") && argc < 2 ? 0 : OVER_JSSE;
	const unsigned int some = OVER_STACKS | OVER_NSS | java | OVER_ROLES | OVER_OLD | OVER_SUITES;
	const struct test tests[] = {
		{ "every suite", some | OVER_OPENSSL35 | OVER_VERSIONS, all_cells },
		{ 0 },
	};
	/* GnuTLS as Debian builds it is without SSL 3.0. */
	const struct test legacy[] = {
		{ "every weak suite", some | OVER_TLS12, all_cells },
		{ "every weak suite", (some & ~(OVER_GNUTLS | OVER_OLD)) | OVER_SSL30, all_cells },
		{ 0 },
	};

	return tap_main(argc, argv, getenv("E2E_LEGACY") ? legacy : tests);
}
