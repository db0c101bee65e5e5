// SPDX-License-Identifier: MIT
/*
 * The key process: loads private keys, gives up its rights, and from then on signs and
 * decrypts for the workers, who name a key by its number and hold none themselves.  It is
 * a program run anew, so that nothing of a key is in memory that a worker ever had.
 *
 * One socket pair per worker, and a thread at its other end.
 */
#define OPENSSL_SUPPRESS_DEPRECATED	/* engines */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "kssld.h"

/* Ed25519 signs no digest, but in TLS 1.2 a client's whole handshake (RFC 8422 5.10). */
#define ASK_MAX		65536
#define ANSWER_MAX	2048
#define NOBODY		65534
#define FIRST_FD	3

/**
 * struct ask - what a worker wants; behind it is what is to be signed or decrypted
 * @index: which key
 * @op: KEYS_*
 * @arg: KEYS_ARG()
 * @size: most that it has room for
 */
struct ask {
	uint32_t index;
	uint32_t op;
	uint32_t arg;
	uint32_t size;
};

/**
 * struct keys - the daemon's end
 * @pid: the key process
 * @workers: entries of @fds
 * @lock: who has no number shares the first of @fds
 * @fds: one for each worker, the first for who is none
 */
struct keys {
	pid_t pid;
	unsigned int workers;
	pthread_mutex_t lock;
	int fds[];
};

const char *keys_program = "/proc/self/exe";

static _Thread_local unsigned int own_number;

static const char not_kept[] = "only RSA, ECDSA and Ed25519 keys can be kept in the key process";

static bool is_kept(const EVP_PKEY *pkey)
{
	return EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_is_a(pkey, "ED25519");
}

/* ---- the daemon's side ---- */

/** keys_set_worker() - this thread is that worker; 0: none */
void keys_set_worker(unsigned int worker)
{
	own_number = worker;
}

/**
 * keys_call() - have the key process do something
 * @keys: key process
 * @index: which key
 * @op: KEYS_*
 * @arg: KEYS_ARG()
 * @in: to sign or to decrypt
 * @len: bytes of it
 * @out: (out) result
 * @size: room there
 *
 * Return: length of the result or -errno.
 */
int keys_call(struct keys *keys, uint32_t index, uint32_t op, uint32_t arg, const void *in, size_t len,
	      void *out, size_t size)
{
	unsigned int number = own_number <= keys->workers ? own_number : 0;
	struct ask ask = { .index = index, .op = op, .arg = arg, .size = size };
	struct iovec iov[2] = { { &ask, sizeof(ask) }, { (void *)in, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	uint8_t answer[4 + ANSWER_MAX];
	int32_t ret = -EPIPE;
	ssize_t n = -1;

	if (len > ASK_MAX)
		return -EMSGSIZE;
	if (!number)
		pthread_mutex_lock(&keys->lock);
	if (sendmsg(keys->fds[number], &msg, MSG_NOSIGNAL) == (ssize_t)(sizeof(ask) + len))
		do {
			n = recv(keys->fds[number], answer, sizeof(answer), 0);
		} while (n < 0 && errno == EINTR);
	if (!number)
		pthread_mutex_unlock(&keys->lock);
	if (n >= 4)
		memcpy(&ret, answer, sizeof(ret));
	if (ret > 0 && (n != 4 + ret || (size_t)ret > size))
		ret = -EPROTO;
	if (ret > 0)
		memcpy(out, answer + 4, ret);
	OPENSSL_cleanse(answer, sizeof(answer));
	return ret;
}

/* The key process has the other half of it. */
static bool is_pair(EVP_PKEY *pkey, EVP_PKEY *public)
{
	const EVP_MD *md = EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256();
	EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
	uint8_t sig[ANSWER_MAX];
	size_t len = sizeof(sig);
	bool ok = sign && verify && EVP_DigestSignInit(sign, NULL, md, NULL, pkey) == 1 &&
		  EVP_DigestSign(sign, sig, &len, (const uint8_t *)"kssld", 5) == 1 &&
		  EVP_DigestVerifyInit(verify, NULL, md, NULL, public) == 1 &&
		  EVP_DigestVerify(verify, sig, len, (const uint8_t *)"kssld", 5) == 1;

	EVP_MD_CTX_free(sign);
	EVP_MD_CTX_free(verify);
	return ok;
}

/**
 * keys_private() - something that OpenSSL takes for a private key
 * @keys: where it is; must outlive what is returned
 * @index: its number
 * @cert: the certificate it belongs to
 * @why: (out) sentence
 *
 * Return: the key, or NULL.
 */
EVP_PKEY *keys_private(struct keys *keys, unsigned int index, X509 *cert, char *why)
{
	EVP_PKEY *public = X509_get0_pubkey(cert), *pkey = NULL;

	if (!public || !is_kept(public))
		snprintf(why, KSSLD_TEXT_LEN, "%s", not_kept);
	else
		pkey = provider_key(keys, index, public);
	if (!pkey && public && is_kept(public))
		snprintf(why, KSSLD_TEXT_LEN, "out of memory");
	if (pkey && !is_pair(pkey, public)) {
		snprintf(why, KSSLD_TEXT_LEN, "the key does not belong to the certificate");
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	ERR_clear_error();
	return pkey;
}

/* ---- starting and ending it ---- */

static void run_program(const int *theirs, unsigned int count)
{
	char number[16];
	unsigned int i;

	snprintf(number, sizeof(number), "%u", count);
	/* Out of the way first: one may sit where another has to go. */
	for (i = 0; i < count; i++)
		if (dup2(theirs[i], FIRST_FD + count + i + 512) < 0)
			_exit(1);
	for (i = 0; i < count; i++)
		if (dup2(FIRST_FD + count + i + 512, FIRST_FD + i) < 0)
			_exit(1);
	close_range(FIRST_FD + count, ~0U, 0);
	execl(keys_program, "kssld", "--key-process", number, NULL);
	_exit(1);
}

static int make_pairs(struct keys *keys, int *theirs, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			return -errno;
		keys->fds[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

/* Each key is told by its own message, and answered with nothing, or a sentence. */
static int load_remote(const struct keys *keys, char *const *uris, unsigned int count, char *why)
{
	char answer[256];
	unsigned int i;

	for (i = 0; i < count; i++) {
		ssize_t n = -1;

		if (send(keys->fds[0], uris[i], strlen(uris[i]) + 1, MSG_NOSIGNAL) > 0)
			n = recv(keys->fds[0], answer, sizeof(answer) - 1, 0);
		if (n == 1)
			continue;
		answer[n > 0 ? n : 0] = 0;
		/* A URI may have a PIN in it. */
		snprintf(why, KSSLD_TEXT_LEN, "key %.200s: %s", strstr(uris[i], "pin-value") ? "of a URI" : uris[i],
			 n > 0 ? answer : "the key process has ended");
		return -EINVAL;
	}
	/* None is named so: now it serves. */
	return send(keys->fds[0], "", 1, MSG_NOSIGNAL) == 1 && recv(keys->fds[0], answer, 1, 0) == 1 ? 0 : -EPIPE;
}

/**
 * keys_start() - start the key process
 * @uris: files and URIs of private keys; their order gives the numbers
 * @count: how many
 * @workers: who will ask; the caller's main thread is another one
 * @why: (out) sentence
 *
 * Return: it, or NULL.
 */
struct keys *keys_start(char *const *uris, unsigned int count, unsigned int workers, char *why)
{
	struct keys *keys = calloc(1, sizeof(*keys) + (workers + 1) * sizeof(int));
	int theirs[KSSLD_WORKERS_MAX + 1], ret;
	unsigned int i;

	if (!keys || workers > KSSLD_WORKERS_MAX) {
		free(keys);
		return NULL;
	}
	memset(theirs, -1, sizeof(theirs));
	memset(keys->fds, -1, (workers + 1) * sizeof(int));
	pthread_mutex_init(&keys->lock, NULL);
	keys->workers = workers;
	snprintf(why, KSSLD_TEXT_LEN, "the key process cannot be started");
	ret = make_pairs(keys, theirs, workers + 1);
	if (!ret) {
		keys->pid = fork();
		if (!keys->pid)
			run_program(theirs, workers + 1);
		ret = keys->pid < 0 ? -errno : 0;
	}
	for (i = 0; i <= workers; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (!ret)
		ret = load_remote(keys, uris, count, why);
	if (!ret)
		return keys;
	keys_stop(keys);
	return NULL;
}

pid_t keys_pid(const struct keys *keys)
{
	return keys->pid;
}

/** keys_stop() - nobody will ask any more; it ends by itself */
void keys_stop(struct keys *keys)
{
	unsigned int i;

	if (!keys)
		return;
	for (i = 0; i <= keys->workers; i++)
		if (keys->fds[i] >= 0)
			close(keys->fds[i]);
	if (keys->pid > 0)
		waitpid(keys->pid, NULL, 0);
	pthread_mutex_destroy(&keys->lock);
	free(keys);
}

/* ---- the key process itself ---- */

static EVP_PKEY **loaded;
static unsigned int loaded_count;

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static EVP_PKEY *stored_key(const char *uri, UI_METHOD *ui)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, NULL, NULL, NULL);
	EVP_PKEY *pkey = NULL;

	while (store && !pkey && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (!info && OSSL_STORE_error(store))
			break;
		if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return pkey;
}

/* The engine stays as long as the key does. */
static EVP_PKEY *token_key(const char *uri, UI_METHOD *ui)
{
	ENGINE *engine = ENGINE_by_id("pkcs11");
	EVP_PKEY *pkey = NULL;

	if (engine && ENGINE_init(engine)) {
		pkey = ENGINE_load_private_key(engine, uri, ui, NULL);
		ENGINE_finish(engine);
	}
	ENGINE_free(engine);
	return pkey;
}

/* By a provider, if one knows such URIs, else by the engine that there was before there were providers. */
static EVP_PKEY *read_key(const char *uri)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(no_password, 0);
	EVP_PKEY *pkey = stored_key(uri, ui);

	if (!pkey && !strncmp(uri, "pkcs11:", 7))
		pkey = token_key(uri, ui);
	UI_destroy_method(ui);
	return pkey;
}

static const char *load(const char *uri)
{
	EVP_PKEY **more = realloc(loaded, (loaded_count + 1) * sizeof(*loaded));
	EVP_PKEY *pkey;

	if (!more)
		return "out of memory";
	loaded = more;
	pkey = read_key(uri);
	ERR_clear_error();
	if (!pkey)
		return "there is no private key that can be read without a password";
	if (!is_kept(pkey)) {
		EVP_PKEY_free(pkey);
		return not_kept;
	}
	loaded[loaded_count++] = pkey;
	return "";
}

static int load_all(int fd)
{
	char uri[4096];
	ssize_t n;

	while ((n = recv(fd, uri, sizeof(uri) - 1, 0)) > 0) {
		const char *why;

		uri[n] = 0;
		if (!uri[0])
			return 0;
		why = load(uri);
		if (send(fd, why, strlen(why) + !why[0], MSG_NOSIGNAL) < 0)
			return -1;
	}
	return -1;
}

static int give_up_rights(void)
{
	if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	if (geteuid())
		return 0;
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
	       prctl(PR_SET_DUMPABLE, 0);
}

static int sign_text(EVP_PKEY *pkey, const uint8_t *data, size_t len, uint8_t *out, size_t *out_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		 EVP_DigestSign(ctx, out, out_len, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

static int set_padding(EVP_PKEY_CTX *ctx, int padding)
{
	if (padding == RSA_PKCS1_PADDING)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1;
	return padding == RSA_PKCS1_PSS_PADDING && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int sign_digest(EVP_PKEY *pkey, uint32_t arg, const uint8_t *data, size_t len, uint8_t *out, size_t *out_len)
{
	const EVP_MD *md = EVP_get_digestbynid(KEYS_ARG_LOW(arg));
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	int ok = ctx && md && EVP_PKEY_sign_init(ctx) == 1 &&
		 (!EVP_PKEY_is_a(pkey, "RSA") || set_padding(ctx, KEYS_ARG_HIGH(arg))) &&
		 EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 && EVP_PKEY_sign(ctx, out, out_len, data, len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/*
 * As OpenSSL's server does it: what is not padded right or is of another version becomes
 * random octets, in the same time (RFC 5246 7.4.7.1).  It fails only for what anybody can
 * see on the wire: a length or a number that is not of this key.
 */
static int premaster(EVP_PKEY *pkey, uint32_t arg, const uint8_t *data, size_t len, uint8_t *out, size_t *out_len)
{
	unsigned int version = KEYS_ARG_LOW(arg), other = KEYS_ARG_HIGH(arg);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
		OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	int ok;

	if (other)
		params[1] = OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_NEGOTIATED_VERSION, &other);
	ok = ctx && EVP_PKEY_decrypt_init(ctx) == 1 &&
	     EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_WITH_TLS_PADDING) == 1 &&
	     EVP_PKEY_CTX_set_params(ctx, params) == 1 && EVP_PKEY_decrypt(ctx, out, out_len, data, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int32_t answer(const struct ask *ask, const uint8_t *data, size_t len, uint8_t *out)
{
	size_t out_len = ANSWER_MAX;
	EVP_PKEY *pkey;
	int ok;

	if (ask->index >= loaded_count)
		return -ENOENT;
	pkey = loaded[ask->index];
	if (ask->op == KEYS_SIGN && EVP_PKEY_is_a(pkey, "ED25519"))
		ok = sign_text(pkey, data, len, out, &out_len);
	else if (ask->op == KEYS_SIGN)
		ok = sign_digest(pkey, ask->arg, data, len, out, &out_len);
	else if (ask->op == KEYS_PREMASTER && EVP_PKEY_is_a(pkey, "RSA"))
		ok = premaster(pkey, ask->arg, data, len, out, &out_len);
	else
		return -EINVAL;
	ERR_clear_error();
	return ok && out_len <= ask->size ? (int32_t)out_len : -EBADMSG;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t data[ASK_MAX], out[4 + ANSWER_MAX];
	struct ask ask;
	struct iovec iov[2] = { { &ask, sizeof(ask) }, { data, sizeof(data) } };
	ssize_t n;

	while ((n = readv(fd, iov, 2)) > 0) {
		int32_t ret = (size_t)n < sizeof(ask) ? -EINVAL : answer(&ask, data, n - sizeof(ask), out + 4);

		memcpy(out, &ret, sizeof(ret));
		n = send(fd, out, 4 + (ret > 0 ? ret : 0), MSG_NOSIGNAL);
		/* It may have been a secret. */
		OPENSSL_cleanse(out, sizeof(out));
		if (n < 0)
			break;
	}
	return NULL;
}

/**
 * keys_main() - be the key process
 * @argc: 3
 * @argv: its last one is the number of sockets, from FIRST_FD on
 *
 * Return: exit status, when nobody is left who could ask.
 */
int keys_main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[2]) : 0, i;
	pthread_t threads[KSSLD_WORKERS_MAX + 1];
	sigset_t all;

	if (count < 1 || count > KSSLD_WORKERS_MAX + 1)
		return 2;
	/* It ends with those who ask, and not by a signal to their group. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_DUMPABLE, 0);
	if (load_all(FIRST_FD) || give_up_rights() || send(FIRST_FD, "", 1, MSG_NOSIGNAL) != 1)
		return 1;
	for (i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, serve, (void *)(intptr_t)(FIRST_FD + i)))
			return 1;
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
