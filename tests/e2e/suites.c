// SPDX-License-Identifier: MIT
/*
 * Every cipher suite that OpenSSL and the kernel have, with every key exchange and
 * both orders of encryption and MAC; and one of each record protection with GnuTLS.
 * A server that is a peer serves all connections of a test, a client is one for each.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include "link.h"

/* Data each way, of each suite. */
#define DATA	110000

static struct link l;

/* ---- which ones ---- */

#define KERNEL_MAX	256

static struct kssl_suite_info kernel[KERNEL_MAX];
static unsigned int kernel_count;

static void ask_kernel(void)
{
	socklen_t len = sizeof(kernel);
	int fd = link_pair(&l, 1);

	SYS(setsockopt(l.fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, strlen(KSSL_ULP_NAME)));
	SYS(getsockopt(l.fd, SOL_KSSL, KSSL_SUITES, kernel, &len));
	kernel_count = len / sizeof(kernel[0]);
	CHECK(kernel_count < KERNEL_MAX);
	close(l.fd);
	close(fd);
	memset(&l, 0, sizeof(l));
}

static const struct kssl_suite_info *kernel_has(unsigned int id)
{
	unsigned int i;

	for (i = 0; i < kernel_count; i++)
		if (kernel[i].suite == id && kernel[i].version == v->version)
			return &kernel[i];
	return NULL;
}

enum family { GCM, CHACHA20, CCM, AES_CBC, CAMELLIA_CBC };

static enum family family_of(const SSL_CIPHER *cipher)
{
	const char *name = SSL_CIPHER_get_name(cipher);

	if (strstr(name, "GCM"))
		return GCM;
	if (strstr(name, "CHACHA20"))
		return CHACHA20;
	if (strstr(name, "CCM"))
		return CCM;
	return strstr(name, "CAMELLIA") ? CAMELLIA_CBC : AES_CBC;
}

/* Two that the kernel has. OpenSSL does not tell CCM_8 from CCM, the length of the tag does. */
static int same_protection(const SSL_CIPHER *a, const SSL_CIPHER *b)
{
	return SSL_CIPHER_get_cipher_nid(a) == SSL_CIPHER_get_cipher_nid(b) &&
	       SSL_CIPHER_get_digest_nid(a) == SSL_CIPHER_get_digest_nid(b) &&
	       kernel_has(SSL_CIPHER_get_protocol_id(a))->tag_len ==
	       kernel_has(SSL_CIPHER_get_protocol_id(b))->tag_len;
}

/* ---- one of them ---- */

#define TLS13_ALL	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
#define GNUTLS_ALL	"NORMAL:-VERS-ALL:+VERS-TLS1.2:+RSA:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:" \
			"+AES-128-CCM-8:+AES-256-CCM-8:+SHA256:+SHA384"

static struct peer_setup peer_of_all(int etm)
{
	struct peer_setup setup = usual_peer();

	setup.quiet = v->stack == OPENSSL || v->server;
	setup.suite = is_13() ? TLS13_ALL : "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
	setup.cert = v->server ? NULL : "rsa";
	if (v->stack == OPENSSL) {
		if (is_13()) {
			add_option(&setup, "-cipher");
			add_option(&setup, "ALL:@SECLEVEL=0");
		}
		if (!v->server) {
			add_option(&setup, "-dcert");
			add_option(&setup, cert_path("ecdsa", "crt"));
			add_option(&setup, "-dkey");
			add_option(&setup, cert_path("ecdsa", "key"));
		}
		if (!etm)
			add_option(&setup, "-no_etm");
		return setup;
	}
	if (!v->server) {
		add_option(&setup, "--x509certfile");
		add_option(&setup, cert_path("ecdsa", "crt"));
		add_option(&setup, "--x509keyfile");
		add_option(&setup, cert_path("ecdsa", "key"));
	}
	add_option(&setup, is_13() ? "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3:+AES-128-CCM-8" :
		   etm ? "--priority=" GNUTLS_ALL : "--priority=" GNUTLS_ALL ":%NO_ETM");
	return setup;
}

static struct kssl_config *config_for(const SSL_CIPHER *cipher)
{
	struct kssl_config *config = link_config(v->server ? "rsa" : NULL);
	char name[80];

	snprintf(name, sizeof(name), "%s:@SECLEVEL=0", is_13() ? "ALL" : SSL_CIPHER_get_name(cipher));
	GIVES(kssl_config_set_ciphers(config, name, is_13() ? SSL_CIPHER_get_name(cipher) : NULL), 0);
	if (v->server)
		GIVES(kssl_config_set_cert_file(config, cert_path("ecdsa", "crt"),
						cert_path("ecdsa", "key")), 0);
	return config;
}

static void open_with(const SSL_CIPHER *cipher, const struct peer_setup *setup)
{
	note("%s", SSL_CIPHER_get_name(cipher));
	if (l.k && !v->server) {
		link_again(&l, config_for(cipher));
		return;
	}
	if (l.k)
		link_close(&l);
	memset(&l, 0, sizeof(l));
	link_open(&l, setup, config_for(cipher));
}

/* gnutls-cli is slow to print what it receives: more than a record is enough. */
static uint64_t up(void)
{
	return v->stack == GNUTLS && v->server ? DATA / 4 : DATA;
}

static void exchange(const SSL_CIPHER *cipher, int etm)
{
	int is_cbc = family_of(cipher) >= AES_CBC;

	link_move(&l, up(), DATA);
	link_check_data(&l);
	link_check_carried(&l, SSL_CIPHER_get_protocol_id(cipher), 1, 1);
	EQ(link_status(&l).tx.flags, is_cbc && etm ? KSSL_KEY_ETM : 0);
	EQ(link_status(&l).rx.flags, is_cbc && etm ? KSSL_KEY_ETM : 0);
	EQ(link_count(&l, KSSL_EVENT_HANDSHAKE_DONE, v->server), 1);
}

/* Every length of padding. */
static void try_lengths(void)
{
	int i;

	for (i = 1; i <= 17; i++)
		link_move(&l, i, i);
	link_check_data(&l);
}

/* New keys under the same suite. */
static void try_update(const SSL_CIPHER *cipher)
{
	GIVES(kssl_key_update(l.k, 1), 0);
	/* The peer puts its answer off until it has data to send. */
	link_move(&l, up() / 2, 0);
	link_move(&l, up() / 2, DATA);
	link_wait(&l, KSSL_EVENT_KEY_UPDATE, 0, 2);
	link_check_data(&l);
	link_check_carried(&l, SSL_CIPHER_get_protocol_id(cipher), 2, 2);
}

/* ---- all of them ---- */

/* With GnuTLS the first of each protection: its side of the key exchange is not at issue. */
static int is_due(const STACK_OF(SSL_CIPHER) *all, int i)
{
	const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);

	if (!kernel_has(SSL_CIPHER_get_protocol_id(cipher)))
		return 0;
	if (v->stack == OPENSSL)
		return 1;
	if (strstr(SSL_CIPHER_get_name(cipher), "ARIA"))
		return 0;
	while (i-- > 0)
		if (kernel_has(SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(all, i))) &&
		    same_protection(cipher, sk_SSL_CIPHER_value(all, i)))
			return 0;
	return 1;
}

/* @each: how many there are of @family with each stack. */
static void every(enum family family, int etm, const int each[2])
{
	STACK_OF(SSL_CIPHER) *all;
	struct peer_setup setup = peer_of_all(etm);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	int i, count = 0, aria = 0;

	ask_kernel();
	CHECK(ctx && SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL:@SECLEVEL=0") &&
	      SSL_CTX_set_ciphersuites(ctx, ""));
	all = SSL_CTX_get_ciphers(ctx);
	for (i = 0; i < sk_SSL_CIPHER_num(all); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, i);

		if (family_of(cipher) != family || !is_due(all, i))
			continue;
		open_with(cipher, &setup);
		if (!count && family >= AES_CBC)
			try_lengths();
		exchange(cipher, etm);
		count++;
		aria += !!strstr(SSL_CIPHER_get_name(cipher), "ARIA");
	}
	/* Debian's kernels have no ARIA, the debug kernel has it. */
	EQ(aria, kernel_has(0xc050) && v->stack == OPENSSL && family == GCM ? 8 : 0);
	EQ(count - aria, each[v->stack]);
	link_close(&l);
	SSL_CTX_free(ctx);
}

static void gcm(void)
{
	every(GCM, 1, (const int[]) { 8, 2 });
}

static void chacha20(void)
{
	every(CHACHA20, 1, (const int[]) { 3, 1 });
}

static void ccm(void)
{
	every(CCM, 1, (const int[]) { 12, 4 });
}

static void aes_cbc_mte(void)
{
	every(AES_CBC, 0, (const int[]) { 16, 5 });
}

static void aes_cbc_etm(void)
{
	every(AES_CBC, 1, (const int[]) { 16, 5 });
}

static void camellia_cbc_mte(void)
{
	every(CAMELLIA_CBC, 0, (const int[]) { 12, 5 });
}

static void camellia_cbc_etm(void)
{
	every(CAMELLIA_CBC, 1, (const int[]) { 12, 5 });
}

/* RFC 8446 B.4 */
static void tls13(void)
{
	static const char names[][40] = {
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
		"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
	};
	struct peer_setup setup = peer_of_all(1);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const SSL_CIPHER *cipher;

		CHECK(ctx && SSL_CTX_set_ciphersuites(ctx, names[i]));
		cipher = sk_SSL_CIPHER_value(SSL_CTX_get_ciphers(ctx), 0);
		CHECK(!strcmp(SSL_CIPHER_get_name(cipher), names[i]));
		open_with(cipher, &setup);
		exchange(cipher, 0);
		try_update(cipher);
	}
	link_close(&l);
	SSL_CTX_free(ctx);
}

int main(int argc, char **argv)
{
	const unsigned int tls12 = OVER_STACKS | OVER_ROLES | OVER_TLS12 | OVER_SUITES;
	const struct test tests[] = {
		{ "AES-GCM, ARIA-GCM", tls12, gcm },
		{ "ChaCha20-Poly1305", tls12, chacha20 },
		{ "AES-CCM and CCM_8", tls12, ccm },
		{ "AES-CBC, MAC-then-encrypt", tls12, aes_cbc_mte },
		{ "AES-CBC, encrypt-then-MAC", tls12, aes_cbc_etm },
		{ "Camellia-CBC, MAC-then-encrypt", tls12, camellia_cbc_mte },
		{ "Camellia-CBC, encrypt-then-MAC", tls12, camellia_cbc_etm },
		{ "all five and a KeyUpdate", OVER_STACKS | OVER_ROLES | OVER_TLS13 | OVER_SUITES, tls13 },
		{ 0 },
	};

	return tap_main(argc, argv, tests);
}
