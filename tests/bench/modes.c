// SPDX-License-Identifier: MIT
/*
 * The record layers under measurement.  ktls and kssl are set up alike: fixed
 * keys by setsockopt, then plain send() and recv().
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/kssl.h>
#include <linux/tls.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "onesided.h"

#define SALT_LEN	4
#define HANDSHAKE_ROUNDS	10

static int fail_errno(struct side *side, const char *what)
{
	return fail(side->error, "%s: %s", what, strerror(errno));
}

/* tcp */

static int tcp_attach(struct side *side)
{
	(void)side;
	return 0;
}

static int tcp_feed(struct side *side, const unsigned char *payload,
		    unsigned char **data, size_t *len)
{
	uint64_t at, step = side->job->write_len;

	*len = side->job->bytes;
	*data = malloc(*len);
	if (!*data)
		return fail(side->error, "no memory");
	for (at = 0; at < *len; at += step)
		memcpy(*data + at, payload, *len - at < step ? *len - at : step);
	return 0;
}

static ssize_t tcp_send(struct side *side, const void *buf, size_t len)
{
	ssize_t n = send(side->fd, buf, len, MSG_NOSIGNAL);

	return n > 0 ? n : fail_errno(side, "send");
}

static ssize_t tcp_recv(struct side *side, void *buf, size_t len)
{
	ssize_t n = recv(side->fd, buf, len, 0);

	return n >= 0 ? n : fail_errno(side, "recv");
}

static ssize_t tcp_sendfile(struct side *side, int file, off_t offset, size_t len)
{
	ssize_t n = sendfile(side->fd, file, &offset, len);

	return n > 0 ? n : fail_errno(side, "sendfile");
}

static ssize_t tcp_splice_out(struct side *side, int pipe, size_t len)
{
	ssize_t n = splice(pipe, NULL, side->fd, NULL, len, SPLICE_F_MORE);

	return n > 0 ? n : fail_errno(side, "splice from a pipe");
}

static ssize_t tcp_splice_in(struct side *side, int pipe, size_t len)
{
	ssize_t n = splice(side->fd, NULL, pipe, NULL, len, 0);

	return n > 0 ? n : fail_errno(side, "splice into a pipe");
}

static int tcp_check(struct side *side)
{
	(void)side;
	return 0;
}

/* openssl: the measured object is the client, its peer ends up as a feeder. */

static int fail_openssl(struct side *side, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return fail(side->error, "%s: %s", what, reason ? reason : "failed");
}

static int self_sign(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	int ok;

	ok = key && cert && X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
	     X509_gmtime_adj(X509_getm_notAfter(cert), 3600) && X509_set_pubkey(cert, key) &&
	     X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, cert) == 1 &&
	     SSL_CTX_use_PrivateKey(ctx, key) == 1;
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok;
}

static SSL *new_ssl(const struct suite *suite, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	SSL *ssl = NULL;

	if (ctx && SSL_CTX_set_min_proto_version(ctx, suite->version) &&
	    SSL_CTX_set_max_proto_version(ctx, suite->version) &&
	    (suite->version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, suite->openssl) :
						SSL_CTX_set_cipher_list(ctx, suite->openssl)) &&
	    SSL_CTX_set_num_tickets(ctx, 0) && (!server || self_sign(ctx))) {
		if (!suite->etm)
			SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
		ssl = SSL_new(ctx);
	}
	SSL_CTX_free(ctx);
	return ssl;
}

/* Connects the two objects by a pair of memory BIOs. */
static int connect_in_memory(SSL *client, SSL *server)
{
	BIO *client_bio, *server_bio;

	if (!BIO_new_bio_pair(&client_bio, 1 << 17, &server_bio, 1 << 17))
		return -1;
	SSL_set_bio(client, client_bio, client_bio);
	SSL_set_bio(server, server_bio, server_bio);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	return 0;
}

static int openssl_prepare(struct side *side)
{
	int i, client_done = 0, server_done = 0;

	side->ssl = new_ssl(side->job->suite, false);
	side->ssl_peer = new_ssl(side->job->suite, true);
	if (!side->ssl || !side->ssl_peer || connect_in_memory(side->ssl, side->ssl_peer))
		return fail_openssl(side, "SSL_new");
	for (i = 0; i < HANDSHAKE_ROUNDS && !(client_done == 1 && server_done == 1); i++) {
		client_done = SSL_do_handshake(side->ssl);
		server_done = SSL_do_handshake(side->ssl_peer);
	}
	if (client_done != 1 || server_done != 1)
		return fail_openssl(side, "handshake in memory");
	return 0;
}

static int openssl_feed(struct side *side, const unsigned char *payload,
			unsigned char **data, size_t *len)
{
	const struct job *job = side->job;
	uint64_t left = job->bytes / job->write_len;
	size_t room = left * (job->write_len + record_overhead(job->suite, job->write_len));
	BIO *out = SSL_get_rbio(side->ssl);	/* where the peer's records come out */

	*len = 0;
	*data = malloc(room);
	while (*data && left--) {
		size_t n;

		if (SSL_write(side->ssl_peer, payload, (int)job->write_len) <= 0 ||
		    !BIO_read_ex(out, *data + *len, room - *len, &n))
			break;
		*len += n;
	}
	if (*data && *len == room)
		return 0;
	free(*data);
	return fail_openssl(side, "records made beforehand");
}

static int openssl_attach(struct side *side)
{
	return SSL_set_fd(side->ssl, side->fd) ? 0 : fail_openssl(side, "SSL_set_fd");
}

static ssize_t openssl_send(struct side *side, const void *buf, size_t len)
{
	int n = SSL_write(side->ssl, buf, (int)len);

	return n > 0 ? n : fail_openssl(side, "SSL_write");
}

static ssize_t openssl_recv(struct side *side, void *buf, size_t len)
{
	int n = SSL_read(side->ssl, buf, (int)len);

	return n > 0 ? n : fail_openssl(side, "SSL_read");
}

/* What a program has to do instead. */

static ssize_t openssl_sendfile(struct side *side, int file, off_t offset, size_t len)
{
	unsigned char buf[RECORD_MAX];
	ssize_t n = pread(file, buf, len < sizeof(buf) ? len : sizeof(buf), offset);

	return n > 0 ? openssl_send(side, buf, (size_t)n) : fail_errno(side, "pread");
}

static ssize_t openssl_splice_out(struct side *side, int pipe, size_t len)
{
	unsigned char buf[RECORD_MAX];
	ssize_t n = read(pipe, buf, len < sizeof(buf) ? len : sizeof(buf));

	return n > 0 ? openssl_send(side, buf, (size_t)n) : fail_errno(side, "read from a pipe");
}

static ssize_t openssl_splice_in(struct side *side, int pipe, size_t len)
{
	unsigned char buf[RECORD_MAX];
	ssize_t n = openssl_recv(side, buf, len < sizeof(buf) ? len : sizeof(buf));

	if (n > 0 && write(pipe, buf, (size_t)n) != n)
		return fail_errno(side, "write into a pipe");
	return n;
}

static void openssl_close(struct side *side)
{
	SSL_free(side->ssl);
	SSL_free(side->ssl_peer);
}

/* ktls and kssl */

static int raw_feed(struct side *side, const unsigned char *payload,
		    unsigned char **data, size_t *len)
{
	const struct job *job = side->job;

	if (seal_records(job->suite, payload, job->write_len, job->bytes, data, len))
		return fail(side->error, "cannot make the records beforehand");
	return 0;
}

union ktls_keys {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_aes_ccm_128 ccm128;
	struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

static bool ktls_applies(const struct job *job)
{
	return job->suite->ktls_cipher;
}

/*
 * The same layout for TLS 1.3: the IV is salt and iv.  @seq is where the sequence
 * number is.
 */
#define FILL(part, suite, seq)							\
({											\
	unsigned char iv_[IV_LEN];							\
	size_t salt_ = sizeof((part)->salt);						\
											\
	fixed_key((part)->key, sizeof((part)->key), iv_);				\
	memcpy((part)->salt, iv_, salt_);						\
	if (!(suite)->explicit_len)							\
		memcpy((part)->iv, iv_ + salt_, sizeof((part)->iv));			\
	*(seq) = (part)->rec_seq;							\
	(socklen_t)sizeof(*(part));							\
})

static socklen_t ktls_fill(union ktls_keys *keys, const struct suite *suite,
			   const unsigned char **seq)
{
	memset(keys, 0, sizeof(*keys));
	keys->info.version = (uint16_t)suite->version;
	keys->info.cipher_type = suite->ktls_cipher;
	switch (suite->ktls_cipher) {
	case TLS_CIPHER_AES_GCM_128:
		return FILL(&keys->gcm128, suite, seq);
	case TLS_CIPHER_AES_GCM_256:
		return FILL(&keys->gcm256, suite, seq);
	case TLS_CIPHER_AES_CCM_128:
		return FILL(&keys->ccm128, suite, seq);
	default:
		return FILL(&keys->chacha20, suite, seq);
	}
}

static int ktls_option(const struct side *side)
{
	return is_sending(side->job->direction) ? TLS_TX : TLS_RX;
}

static int ktls_attach(struct side *side)
{
	const unsigned char *seq;
	union ktls_keys keys;
	socklen_t len = ktls_fill(&keys, side->job->suite, &seq);

	if (setsockopt(side->fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		return fail_errno(side, "ULP tls");
	if (setsockopt(side->fd, SOL_TLS, ktls_option(side), &keys, len))
		return fail_errno(side, "kTLS keys");
	return 0;
}

static bool is_recv_13(const struct job *job)
{
	return job->direction == RECV && job->suite->version == TLS1_3_VERSION && ktls_applies(job);
}

/* The promise that records carry no padding lets kTLS decrypt into user memory. */
static int ktls_nopad_attach(struct side *side)
{
	int on = 1;

	if (ktls_attach(side))
		return -1;
	if (setsockopt(side->fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)))
		return fail_errno(side, "TLS_RX_EXPECT_NO_PAD");
	return 0;
}

static int expect_records(struct side *side, uint64_t records)
{
	uint64_t expected = side->job->bytes / side->job->write_len;

	side->records = records;
	if (records >= expected)
		return 0;
	return fail(side->error, "%s counted %llu records instead of %llu", side->job->mode->name,
		    (unsigned long long)records, (unsigned long long)expected);
}

/* The sequence number that getsockopt gives is the live one. */
static int ktls_check(struct side *side)
{
	const unsigned char *seq;
	union ktls_keys keys;
	socklen_t len = ktls_fill(&keys, side->job->suite, &seq);
	uint64_t records = 0;
	int i;

	if (getsockopt(side->fd, SOL_TLS, ktls_option(side), &keys, &len))
		return fail_errno(side, "kTLS sequence number");
	for (i = 0; i < 8; i++)
		records = records << 8 | seq[i];
	return expect_records(side, records);
}

static int kssl_attach(struct side *side)
{
	const struct suite *suite = side->job->suite;
	int option = is_sending(side->job->direction) ? KSSL_TX_KEY : KSSL_RX_KEY;
	struct kssl_key key = {
		.size = sizeof(key),
		.version = (uint16_t)suite->version,
		.suite = suite->id,
		.flags = suite->etm ? KSSL_KEY_ETM : 0,
		.key_len = (uint8_t)suite->key_len,
		.iv_len = suite->hash ? 0 : suite->explicit_len ? SALT_LEN : IV_LEN,
		.mac_key_len = suite->hash ? (uint8_t)suite->tag_len : 0,
	};
	unsigned char iv[IV_LEN];

	fixed_key(key.key, key.key_len, iv);
	memcpy(key.iv, iv, key.iv_len);
	fixed_mac_key(key.mac_key, key.mac_key_len);
	if (setsockopt(side->fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, sizeof(KSSL_ULP_NAME) - 1))
		return fail_errno(side, "ULP kssl");
	if (setsockopt(side->fd, SOL_KSSL, option, &key, sizeof(key)))
		return fail_errno(side, "kssl keys");
	return 0;
}

static int kssl_check(struct side *side)
{
	struct kssl_status status = { .size = sizeof(status) };
	const struct kssl_dir_status *dir;
	socklen_t len = sizeof(status);

	if (getsockopt(side->fd, SOL_KSSL, KSSL_STATUS, &status, &len))
		return fail_errno(side, "KSSL_STATUS");
	dir = is_sending(side->job->direction) ? &status.tx : &status.rx;
	if (dir->bytes != side->job->bytes)
		return fail(side->error, "kssl counted %llu bytes instead of %llu",
			    (unsigned long long)dir->bytes, (unsigned long long)side->job->bytes);
	return expect_records(side, dir->records);
}

const struct mode modes[] = {
	{
		.name = "tcp",
		.wire = PLAIN,
		.feed = tcp_feed,
		.attach = tcp_attach,
		.send = tcp_send,
		.recv = tcp_recv,
		.sendfile = tcp_sendfile,
		.splice_out = tcp_splice_out,
		.splice_in = tcp_splice_in,
		.check = tcp_check,
	},
	{
		.name = "openssl",
		.wire = OWN_KEYS,
		.prepare = openssl_prepare,
		.feed = openssl_feed,
		.attach = openssl_attach,
		.send = openssl_send,
		.recv = openssl_recv,
		.sendfile = openssl_sendfile,
		.splice_out = openssl_splice_out,
		.splice_in = openssl_splice_in,
		.check = tcp_check,
		.close = openssl_close,
	},
	{
		.name = "ktls",
		.wire = FIXED_KEYS,
		.tls = TLS_KO,
		.applies = ktls_applies,
		.feed = raw_feed,
		.attach = ktls_attach,
		.send = tcp_send,
		.recv = tcp_recv,
		.sendfile = tcp_sendfile,
		.splice_out = tcp_splice_out,
		.splice_in = tcp_splice_in,
		.check = ktls_check,
	},
	{
		.name = "ktls-nopad",
		.wire = FIXED_KEYS,
		.tls = TLS_KO,
		.applies = is_recv_13,
		.feed = raw_feed,
		.attach = ktls_nopad_attach,
		.send = tcp_send,
		.recv = tcp_recv,
		.sendfile = tcp_sendfile,
		.splice_out = tcp_splice_out,
		.splice_in = tcp_splice_in,
		.check = ktls_check,
	},
	{
		.name = "kssl",
		.wire = FIXED_KEYS,
		.feed = raw_feed,
		.attach = kssl_attach,
		.send = tcp_send,
		.recv = tcp_recv,
		.sendfile = tcp_sendfile,
		.splice_out = tcp_splice_out,
		.splice_in = tcp_splice_in,
		.check = kssl_check,
	},
	{
		.name = "ktls-front",
		.wire = FIXED_KEYS,
		.tls = FRONT,
		.applies = ktls_applies,
		.feed = raw_feed,
		.attach = ktls_attach,
		.send = tcp_send,
		.recv = tcp_recv,
		.sendfile = tcp_sendfile,
		.splice_out = tcp_splice_out,
		.splice_in = tcp_splice_in,
		.check = ktls_check,
	},
};

const size_t mode_count = sizeof(modes) / sizeof(modes[0]);

/**
 * load_modules() - see to it that a mode's module is behind the ULP "tls"
 * @mode: mode that is next
 *
 * At first that is tls.ko.
 *
 * Return: 0, or -1 with a sentence on standard error.
 */
int load_modules(const struct mode *mode)
{
	static const char *const commands[] = {
		[TLS_KO] = "./modules tls.ko", [FRONT] = "./modules front",
	};
	static enum tls loaded = TLS_KO;

	if (mode->tls == ANY_TLS || mode->tls == loaded)
		return 0;
	loaded = mode->tls;
	if (!system(commands[loaded]))
		return 0;
	fprintf(stderr, "onesided: %s: its modules cannot be loaded\n", mode->name);
	return -1;
}
