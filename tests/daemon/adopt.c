// SPDX-License-Identifier: MIT
/*
 * kssl_adopt() with a pair of sockets for the control file: what the kernel is told of the
 * session, keying material, a refusal, and the memory that a connection keeps.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libkssl.h"

#define LABEL		"EXPORTER-Channel-Binding"
#define CONNECTIONS	200
/* What a connection may keep in the helper: the peer's certificates are a third of it. */
#define MEMORY_MAX	32768

#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);	\
			exit(1);						\
		}								\
	} while (0)

static const struct kssl_suite_info suites[] = {
	{ 0x1301, 0x0304, 16, 12, 0, 16 }, { 0x1302, 0x0304, 32, 12, 0, 16 },
	{ 0xc02b, 0x0303, 16, 4, 0, 16 }, { 0xc02c, 0x0303, 32, 4, 0, 16 },
};

static struct kssl_policy policy;

/* The kernel's, instead of libc's: a pair of sockets has none of them. */
int ioctl(int fd, unsigned long what, ...)
{
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, what);
	arg = va_arg(args, void *);
	va_end(args);
	if (what == KSSL_IOC_POLICY)
		policy = *(struct kssl_policy *)arg;
	if (what == KSSL_IOC_EXPORTER)
		*(struct kssl_exporter *)arg = (struct kssl_exporter) {
			.size = sizeof(struct kssl_exporter), .len = 32, .label = LABEL,
		};
	return 0;
}

/**
 * struct link - a connection, and what stands for the kernel and the peer
 * @k: connection
 * @kernel: other end of its control file
 * @ssl: peer
 * @in: what it reads
 * @out: what it wrote
 * @session: of KSSL_OP_SESSION
 * @chain: of KSSL_OP_PEER_CHAIN
 * @chain_len: bytes of it
 * @exported: of KSSL_OP_EXPORTER
 * @exported_len: bytes of it
 * @result: of KSSL_OP_RESULT
 * @error: of KSSL_OP_FAIL
 * @done: KSSL_OP_DONE came, after the above
 */
struct link {
	struct kssl *k;
	int kernel;
	SSL *ssl;
	BIO *in;
	BIO *out;
	struct kssl_session session;
	uint8_t chain[8192];
	size_t chain_len;
	uint8_t exported[64];
	size_t exported_len;
	struct kssl_result result;
	struct kssl_error error;
	int done;
};

static uint8_t batch[KSSL_BATCH_MAX];

static void take_op(struct link *l, const struct kssl_op *op, const uint8_t *payload)
{
	switch (op->op) {
	case KSSL_OP_RAW:
		BIO_write(l->in, payload, op->len);
		break;
	case KSSL_OP_SESSION:
		CHECK(op->len == sizeof(l->session) && !l->done);
		memcpy(&l->session, payload, op->len);
		break;
	case KSSL_OP_PEER_CHAIN:
		CHECK(op->len <= sizeof(l->chain) && !l->done);
		memcpy(l->chain, payload, op->len);
		l->chain_len = op->len;
		break;
	case KSSL_OP_EXPORTER:
		CHECK(op->len <= sizeof(l->exported));
		memcpy(l->exported, payload, op->len);
		l->exported_len = op->len;
		break;
	case KSSL_OP_RESULT:
		memcpy(&l->result, payload, op->len);
		break;
	case KSSL_OP_FAIL:
		memcpy(&l->error, payload, op->len);
		break;
	case KSSL_OP_DONE:
		l->done = 1;
		break;
	}
}

static void take_batches(struct link *l)
{
	ssize_t n, pos;

	while ((n = recv(l->kernel, batch, sizeof(batch), MSG_DONTWAIT)) > 0)
		for (pos = 0; pos < n;) {
			struct kssl_op op;

			memcpy(&op, batch + pos, sizeof(op));
			take_op(l, &op, batch + pos + sizeof(op));
			pos += sizeof(op) + op.len;
		}
}

static void tell(struct link *l, uint16_t kind, uint8_t type, uint32_t epoch, uint32_t value,
		 const void *payload, size_t len)
{
	struct kssl_msg msg = { .len = sizeof(msg) + len, .kind = kind, .type = type, .epoch = epoch, .value = value };
	struct iovec iov[2] = { { &msg, sizeof(msg) }, { (void *)payload, len } };
	struct msghdr hdr = { .msg_iov = iov, .msg_iovlen = 2 };

	CHECK(sendmsg(l->kernel, &hdr, 0) == (ssize_t)msg.len);
}

/* What the peer wrote, record by record. */
static void pass_records(struct link *l)
{
	uint8_t record[5 + 20000];

	while (!l->done && BIO_read(l->out, record, 5) == 5) {
		int len = record[3] << 8 | record[4];

		CHECK(BIO_read(l->out, record + 5, len) == len);
		tell(l, KSSL_MSG_RAW, 0, 0, 0, record, 5 + len);
		kssl_attend(l->k);
		take_batches(l);
	}
}

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
	int pair[2], i;

	memset(l, 0, sizeof(*l));
	CHECK(config && !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	kssl_config_set_event_loop(config);
	kssl_config_set_orphan(config, 1);
	CHECK(!kssl_config_set_suites(config, suites, sizeof(suites) / sizeof(suites[0])));
	CHECK(!kssl_config_set_profile(config, "test"));
	l->kernel = pair[1];
	l->ssl = SSL_new(contexts[!server]);
	l->in = BIO_new(BIO_s_mem());
	l->out = BIO_new(BIO_s_mem());
	SSL_set_bio(l->ssl, l->in, l->out);
	CHECK(SSL_set_min_proto_version(l->ssl, version) && SSL_set_max_proto_version(l->ssl, version));
	SSL_set_tlsext_host_name(l->ssl, "localhost");
	if (server)
		SSL_set_connect_state(l->ssl);
	else
		SSL_set_accept_state(l->ssl);
	l->k = kssl_adopt(pair[0], server, name, config);
	if (!l->k)
		printf("# %s\n", kssl_error(NULL));
	CHECK(l->k);
	kssl_config_free(config);
	for (i = 0; i < 6 && !l->done && !l->error.err; i++) {
		take_batches(l);
		SSL_do_handshake(l->ssl);
		pass_records(l);
	}
	take_batches(l);
	SSL_do_handshake(l->ssl);
}

static void drop(struct link *l)
{
	kssl_free(l->k);
	SSL_free(l->ssl);
	close(l->kernel);
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
	CHECK(policy.flags == (KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE));
	CHECK(!strcmp(l.session.profile, "test") && !strcmp(l.session.name, "localhost"));
	CHECK(l.session.flags == (KSSL_SESSION_EMS | (server ? 0 : KSSL_SESSION_PEER_CERT | KSSL_SESSION_VERIFIED)) ||
	      version == TLS1_3_VERSION);
	cert = server ? SSL_get0_peer_certificate(l.ssl) : SSL_get_certificate(l.ssl);
	CHECK(X509_digest(cert, EVP_sha256(), hash, &hash_len));
	CHECK(l.session.end_point_len == 32 && !memcmp(l.session.end_point, hash, 32));
	len = i2d_X509(cert, &der);
	CHECK(server ? !l.chain_len : l.chain_len >= (size_t)len + 3 && !memcmp(l.chain + 3, der, len));
	OPENSSL_free(der);

	tell(&l, KSSL_MSG_EVENT, KSSL_EV_REQUEST, 77, KSSL_ASK_EXPORTER, NULL, 0);
	kssl_attend(l.k);
	take_batches(&l);
	CHECK(SSL_export_keying_material(l.ssl, want, 32, LABEL, strlen(LABEL), NULL, 0, 0) == 1);
	CHECK(l.result.id == 77 && !l.result.err && l.exported_len == 32 && !memcmp(l.exported, want, 32));
	drop(&l);
}

static void wrong_name(int version)
{
	struct link l;

	shake_hands(&l, version, 0, "elsewhere.example");
	CHECK(!l.done && l.error.err == EKEYREJECTED && l.error.x509 == X509_V_ERR_HOSTNAME_MISMATCH);
	CHECK(l.error.who == KSSL_WHO_HELPER && strstr(l.error.text, "hostname"));
	drop(&l);
}

static void refusal(void)
{
	struct link l = { 0 };
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	l.kernel = pair[1];
	kssl_refuse(pair[0], EACCES, "not for you");
	take_batches(&l);
	CHECK(l.error.err == EACCES && l.error.who == KSSL_WHO_HELPER && !strcmp(l.error.text, "not for you"));
	CHECK(!recv(l.kernel, batch, sizeof(batch), 0));
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
