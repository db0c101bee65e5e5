// SPDX-License-Identifier: MIT
/* A peer that forges its Finished. */
#include <string.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <keys.h>
#include <shim.h>
#include "forger.h"
#include "peer.h"

/**
 * struct forge - it at work
 * @f: what to do
 * @ssl: its SSL object
 * @in: what OpenSSL reads
 * @out: what OpenSSL has written
 * @changes: ChangeCipherSpecs sent so far
 * @due: the Finished to forge comes next
 * @done: it has been sent
 * @open: opens OpenSSL's records
 * @seal: seals ours
 * @handshake_secret: TLS 1.3: its traffic secret of the handshake
 * @secret: likewise for data
 */
struct forge {
	const struct forger *f;
	SSL *ssl;
	BIO *in;
	BIO *out;
	int changes;
	int due;
	int done;
	struct kssl_shim open;
	struct kssl_shim seal;
	struct kssl_secret handshake_secret;
	struct kssl_secret secret;
};

static struct forge g;

/* ---- keys ---- */

static const struct kssl_suite *suite_of(const SSL_CIPHER *cipher)
{
	const struct kssl_suite *suite;

	CHECK(cipher);
	suite = kssl_suite_find(SSL_CIPHER_get_protocol_id(cipher), g.f->version);
	CHECK(suite);
	return suite;
}

static void use_key(const struct kssl_key *key)
{
	GIVES(kssl_shim_set_key(&g.open, key, 0), 0);
	GIVES(kssl_shim_set_key(&g.seal, key, 1), 0);
}

static void use_session_key(void)
{
	const SSL_CIPHER *cipher = SSL_get_pending_cipher(g.ssl);
	struct kssl_key client, server;

	GIVES(kssl_keys_of_session(g.ssl, suite_of(cipher), cipher, &client, &server), 0);
	use_key(g.f->server ? &server : &client);
}

static void use_secret(const struct kssl_secret *secret)
{
	const SSL_CIPHER *cipher = SSL_get_pending_cipher(g.ssl);
	struct kssl_key key;

	GIVES(kssl_keys_of_secret(suite_of(cipher), SSL_CIPHER_get_handshake_digest(cipher), secret,
				  &key), 0);
	use_key(&key);
}

static void read_secret(const char *line, const char *label, struct kssl_secret *secret)
{
	const char *hex = strrchr(line, ' ');
	size_t len = 0;

	if (strncmp(line, label, strlen(label)) || line[strlen(label)] != ' ')
		return;
	CHECK(hex && OPENSSL_hexstr2buf_ex(secret->bytes, sizeof(secret->bytes), &len, hex + 1, 0));
	secret->len = len;
}

static void on_key_log(const SSL *ssl, const char *line)
{
	const int server = g.f->server;

	(void)ssl;
	read_secret(line, server ? "SERVER_HANDSHAKE_TRAFFIC_SECRET" : "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
		    &g.handshake_secret);
	read_secret(line, server ? "SERVER_TRAFFIC_SECRET_0" : "CLIENT_TRAFFIC_SECRET_0", &g.secret);
}

/* ---- records on their way out ---- */

static uint8_t flight[1 << 17];
static size_t flight_len;

static void append(const uint8_t *record, size_t len)
{
	CHECK(flight_len + len <= sizeof(flight));
	memcpy(flight + flight_len, record, len);
	flight_len += len;
}

static void append_sealed(uint8_t type, const void *payload, size_t len)
{
	uint8_t record[1024];
	int n;

	CHECK(len + KSSL_SHIM_OVERHEAD <= sizeof(record));
	n = kssl_shim_seal(&g.seal, type, payload, len, record);
	CHECK(n > 0);
	append(record, n);
}

/* The Finished as it is or not, and data. */
static void forge(uint8_t *finished, size_t len)
{
	CHECK(len > 4 && finished[0] == SSL3_MT_FINISHED);
	if (!g.f->honest)
		finished[len - 1] ^= 1;
	append_sealed(KSSL_TYPE_HANDSHAKE, finished, len);
	if (g.f->version == KSSL_TLS13)
		use_secret(&g.secret);
	append_sealed(KSSL_TYPE_APPLICATION_DATA, FORGER_BEHIND, strlen(FORGER_BEHIND));
	g.due = 0;
	g.done = 1;
}

/* TLS 1.2: the record behind the right ChangeCipherSpec. */
static void pass_tls12(const uint8_t *record, size_t len)
{
	uint8_t payload[KSSL_RECORD_MAX], type;
	int n;

	if (record[0] == KSSL_TYPE_CHANGE_CIPHER_SPEC) {
		g.due = ++g.changes == g.f->handshake;
		if (g.due)
			use_session_key();
	} else if (g.due) {
		n = kssl_shim_open(&g.open, record, len, payload, &type);
		CHECK(n > 0);
		EQ(type, KSSL_TYPE_HANDSHAKE);
		forge(payload, n);
		return;
	}
	append(record, len);
}

/* TLS 1.3: the encrypted record that turns out to be it. */
static void pass_tls13(const uint8_t *record, size_t len)
{
	uint8_t payload[KSSL_RECORD_MAX], type;
	int n;

	if (record[0] == KSSL_TYPE_APPLICATION_DATA && !g.done) {
		if (!g.open.suite)
			use_secret(&g.handshake_secret);
		n = kssl_shim_open(&g.open, record, len, payload, &type);
		CHECK(n > 0);
		if (type == KSSL_TYPE_HANDSHAKE && payload[0] == SSL3_MT_FINISHED) {
			forge(payload, n);
			return;
		}
		g.seal.seq++;
	}
	append(record, len);
}

/* All that OpenSSL wrote, forged where due, in one write. */
static void flush(void)
{
	uint8_t *data;
	size_t left = BIO_get_mem_data(g.out, &data);

	flight_len = 0;
	while (left) {
		size_t len = KSSL_HEADER_LEN + (data[3] << 8 | data[4]);

		CHECK(len <= left);
		(g.f->version == KSSL_TLS13 ? pass_tls13 : pass_tls12)(data, len);
		data += len;
		left -= len;
	}
	BIO_reset(g.out);
	/* Who has had enough of us may be gone. */
	if (flight_len && write(g.f->fd, flight, flight_len) != (ssize_t)flight_len)
		flight_len = 0;
}

/* ---- the conversation ---- */

static SSL_CTX *make_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, g.f->version) &&
	      SSL_CTX_set_max_proto_version(ctx, g.f->version));
	SSL_CTX_set_keylog_callback(ctx, on_key_log);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	if (g.f->server)
		CHECK(SSL_CTX_use_certificate_file(ctx, cert_path("ecdsa", "crt"),
						   SSL_FILETYPE_PEM) == 1 &&
		      SSL_CTX_use_PrivateKey_file(ctx, cert_path("ecdsa", "key"),
						  SSL_FILETYPE_PEM) == 1);
	return ctx;
}

/* More for OpenSSL to read; 0 at the end. */
static int receive(void)
{
	uint8_t buf[4096];
	ssize_t n = read(g.f->fd, buf, sizeof(buf));

	if (n <= 0)
		return 0;
	EQ(BIO_write(g.in, buf, n), n);
	return 1;
}

/* Why OpenSSL gave up: the alert it received. */
static int ending(int ret)
{
	unsigned long code;
	int reason;

	if (SSL_get_error(g.ssl, ret) == SSL_ERROR_ZERO_RETURN)
		return FORGER_CLOSED;
	while ((code = ERR_get_error())) {
		reason = ERR_GET_REASON(code);
		if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
		    reason < SSL_AD_REASON_OFFSET + 200)
			return reason - SSL_AD_REASON_OFFSET;
	}
	return FORGER_CONFUSED;
}

/* Call @step until it succeeds; -1, or how it ended. */
static int converse(int (*step)(void))
{
	for (;;) {
		int ret, error;

		ERR_clear_error();
		ret = step();
		error = SSL_get_error(g.ssl, ret);
		flush();
		if (ret > 0)
			return -1;
		if (error != SSL_ERROR_WANT_READ)
			return ending(ret);
		if (!receive())
			return FORGER_CUT_OFF;
	}
}

static int shake_hands(void)
{
	return SSL_do_handshake(g.ssl);
}

static int read_some(void)
{
	char buf[256];

	return SSL_read(g.ssl, buf, sizeof(buf));
}

int forger_run(const struct forger *f)
{
	SSL_CTX *ctx;
	int end;

	g.f = f;
	ctx = make_ctx();
	g.ssl = SSL_new(ctx);
	g.in = BIO_new(BIO_s_mem());
	g.out = BIO_new(BIO_s_mem());
	CHECK(g.ssl && g.in && g.out);
	BIO_set_mem_eof_return(g.in, -1);
	SSL_set_bio(g.ssl, g.in, g.out);
	if (f->server)
		SSL_set_accept_state(g.ssl);
	else
		SSL_set_connect_state(g.ssl);

	end = converse(shake_hands);
	if (end < 0 && f->handshake == 2) {
		EQ(SSL_write(g.ssl, FORGER_BEFORE, strlen(FORGER_BEFORE)), strlen(FORGER_BEFORE));
		flush();
		EQ(SSL_renegotiate(g.ssl), 1);
		end = converse(shake_hands);
	}
	while (end < 0)
		end = converse(read_some);
	SSL_free(g.ssl);
	SSL_CTX_free(ctx);
	return end;
}
