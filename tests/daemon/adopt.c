// SPDX-License-Identifier: MIT
/*
 * kssl_adopt() with a pair of sockets for the control file: what the kernel is told of the
 * session, keying material, a refusal, and the memory that a connection keeps.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

#define CONNECTIONS	200
/* What a connection may keep in the helper: the peer's certificates are a third of it. */
#define MEMORY_MAX	32768

static SSL_CTX *make_ctx(int server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	CHECK(ctx && SSL_CTX_load_verify_file(ctx, "build/certs/ca.crt") == 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (server)
		CHECK(SSL_CTX_use_certificate_chain_file(ctx, "build/certs/ecdsa.crt") == 1 &&
		      SSL_CTX_use_PrivateKey_file(ctx, "build/certs/ecdsa.key", SSL_FILETYPE_PEM) == 1);
	return ctx;
}

static SSL_CTX *contexts[2];

/* Version; the library is a client, unless it is to be the server. */
static void shake_hands(struct link *l, int version, int server, const char *name)
{
	struct kssl_config *config = kssl_config_new_with(contexts[server]);
	SSL *peer = SSL_new(contexts[!server]);
	struct kssl *k;

	CHECK(config);
	kssl_config_set_event_loop(config);
	kssl_config_set_orphan(config, 1);
	CHECK(!kssl_config_set_suites(config, link_suites, link_suites_count));
	CHECK(!kssl_config_set_profile(config, "test"));
	CHECK(SSL_set_min_proto_version(peer, version) && SSL_set_max_proto_version(peer, version));
	SSL_set_tlsext_host_name(peer, "localhost");
	if (server)
		SSL_set_connect_state(peer);
	else
		SSL_set_accept_state(peer);
	k = kssl_adopt(link_make(l, peer), server, name, config);
	if (!k)
		printf("# %s\n", kssl_error(NULL));
	CHECK(k);
	kssl_config_free(config);
	link_shake_hands(l, k);
}

/* ---- tests ---- */

static void what_is_told(int version, int server)
{
	struct link l;
	X509 *cert;
	uint8_t *der = NULL, want[32], hash[32];
	unsigned int hash_len;
	int len;

	shake_hands(&l, version, server, server ? NULL : "localhost");
	CHECK(l.done && kssl_is_established(l.k) && SSL_is_init_finished(l.ssl));
	CHECK(link_policy.flags == (KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE));
	CHECK(!strcmp(l.session.profile, "test") && !strcmp(l.session.name, "localhost"));
	CHECK(l.session.flags == (KSSL_SESSION_EMS | (server ? 0 : KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED)) ||
	      version == TLS1_3_VERSION);
	cert = server ? SSL_get0_peer_certificate(l.ssl) : SSL_get_certificate(l.ssl);
	CHECK(X509_digest(cert, EVP_sha256(), hash, &hash_len));
	CHECK(l.session.end_point_len == 32 && !memcmp(l.session.end_point, hash, 32));
	len = i2d_X509(cert, &der);
	CHECK(server ? !l.chain_len : l.chain_len >= (size_t)len + 3 && !memcmp(l.chain + 3, der, len));
	OPENSSL_free(der);

	link_tell(&l, KSSL_MSG_EVENT, KSSL_EV_REQUEST, 77, KSSL_ASK_EXPORTER, NULL, 0);
	kssl_attend(l.k);
	link_take_batches(&l);
	CHECK(SSL_export_keying_material(l.ssl, want, 32, LINK_LABEL, strlen(LINK_LABEL), NULL, 0, 0) == 1);
	CHECK(l.result.id == 77 && !l.result.err && l.exported_len == 32 && !memcmp(l.exported, want, 32));
	link_drop(&l);
}

static void wrong_name(int version)
{
	struct link l;

	shake_hands(&l, version, 0, "elsewhere.example");
	CHECK(!l.done && l.error.err == EKEYREJECTED && l.error.x509 == X509_V_ERR_HOSTNAME_MISMATCH);
	CHECK(l.error.who == KSSL_WHO_HELPER && strstr(l.error.text, "hostname"));
	link_drop(&l);
}

static void refusal(void)
{
	struct link l = { 0 };
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	l.kernel = pair[1];
	kssl_refuse(pair[0], EACCES, "not for you");
	link_take_batches(&l);
	CHECK(l.error.err == EACCES && l.error.who == KSSL_WHO_HELPER && !strcmp(l.error.text, "not for you"));
	CHECK(!recv(l.kernel, &pair, sizeof(pair), 0));
	close(l.kernel);
}

static void memory(int version, int server)
{
	static struct link links[CONNECTIONS];
	size_t before, each;
	int i;

	what_is_told(version, server);
	before = mallinfo2().uordblks;
	for (i = 0; i < CONNECTIONS; i++) {
		shake_hands(&links[i], version, server, server ? NULL : "localhost");
		CHECK(links[i].done);
		SSL_free(links[i].ssl);
	}
	each = (mallinfo2().uordblks - before) / CONNECTIONS;
	printf("# %zu bytes each\n", each);
	CHECK(each <= MEMORY_MAX);
	for (i = 0; i < CONNECTIONS; i++) {
		kssl_free(links[i].k);
		close(links[i].kernel);
	}
}

int main(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	int i, count = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	contexts[0] = make_ctx(0);
	contexts[1] = make_ctx(1);
	printf("1..11\n");
	for (i = 0; i < 2; i++) {
		what_is_told(versions[i], 0);
		printf("ok %d - what is told of a client's session, TLS 1.%d\n", ++count, i + 2);
		what_is_told(versions[i], 1);
		printf("ok %d - what is told of a server's session, TLS 1.%d\n", ++count, i + 2);
		wrong_name(versions[i]);
		printf("ok %d - wrong name, TLS 1.%d\n", ++count, i + 2);
		memory(versions[i], 0);
		printf("ok %d - memory of a client, TLS 1.%d\n", ++count, i + 2);
		memory(versions[i], 1);
		printf("ok %d - memory of a server, TLS 1.%d\n", ++count, i + 2);
	}
	refusal();
	printf("ok %d - refused\n", ++count);
	return 0;
}
