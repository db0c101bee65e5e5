// SPDX-License-Identifier: MIT
/*
 * Keys of session tickets (RFC 5077 4): one that seals and the one before it, new every so
 * often.  In a file, several daemons and the next one of a restart share them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "kssld.h"

/**
 * struct ticket_key - as in the file
 * @made: when, seconds since 1970, 0: there is none
 * @name: tells which one a ticket is sealed with
 * @cipher: AES-256-CBC
 * @mac: HMAC-SHA256
 */
struct ticket_key {
	int64_t made;
	unsigned char name[16];
	unsigned char cipher[32];
	unsigned char mac[32];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ticket_key keys[2];
static char *path;
static unsigned int lifetime = 3600;

static bool is_fresh(const struct ticket_key *key, int64_t now)
{
	return key->made && now >= key->made && now - key->made < lifetime;
}

static int rotate(int64_t now)
{
	struct ticket_key key = { .made = now };

	if (RAND_bytes(key.name, sizeof(key.name)) != 1 ||
	    RAND_priv_bytes(key.cipher, sizeof(key.cipher)) != 1 ||
	    RAND_priv_bytes(key.mac, sizeof(key.mac)) != 1)
		return -EIO;
	/* A key opens tickets for as long again as it sealed them, even if there was nothing to seal. */
	if (now - keys[0].made < 2 * (int64_t)lifetime)
		keys[1] = keys[0];
	else
		OPENSSL_cleanse(&keys[1], sizeof(keys[1]));
	keys[0] = key;
	OPENSSL_cleanse(&key, sizeof(key));
	return 0;
}

/* Whoever finds the file old makes the next key, and the others read it. */
static int refresh_file(int64_t now)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), ret = 0;
	struct ticket_key old[2] = { 0 };
	bool stale = true;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || (st.st_mode & 077) || flock(fd, LOCK_EX))
		ret = st.st_mode & 077 ? -EPERM : -errno;
	if (!ret && pread(fd, old, sizeof(old), 0) == sizeof(old)) {
		memcpy(keys, old, sizeof(keys));
		stale = !is_fresh(&keys[0], now);
	}
	if (!ret && !is_fresh(&keys[0], now))
		ret = rotate(now);
	/* A new file begins with the keys that were in force without it. */
	if (!ret && stale && pwrite(fd, keys, sizeof(keys), 0) != sizeof(keys))
		ret = -EIO;
	OPENSSL_cleanse(old, sizeof(old));
	close(fd);
	return ret;
}

static int refresh(void)
{
	int64_t now = time(NULL);

	if (is_fresh(&keys[0], now))
		return 0;
	if (path && !refresh_file(now))
		return 0;
	return is_fresh(&keys[0], now) ? 0 : rotate(now);
}

/**
 * ticket_init() - use these keys from now on
 * @file: where they are kept, NULL: nowhere
 * @seconds: until there is a new one
 * @why: (out) sentence
 *
 * Return: 0 or -errno.
 */
int ticket_init(const char *file, unsigned int seconds, char *why)
{
	char *copy = file ? strdup(file) : NULL, *old;
	int ret = 0;

	pthread_mutex_lock(&lock);
	old = path;
	path = copy;
	lifetime = seconds ? seconds : 3600;
	if (path)
		ret = refresh_file(time(NULL));
	if (ret)
		snprintf(why, KSSLD_TEXT_LEN, "ticket keys in %s: %s", file,
			 ret == -EPERM ? "others than its owner may use the file" : strerror(-ret));
	if (ret) {
		path = old;
		old = copy;
	}
	pthread_mutex_unlock(&lock);
	free(old);
	return ret;
}

static int set_keys(const struct ticket_key *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
		    EVP_MAC_CTX *mac, int encrypt)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypt);
}

/** ticket_key() - for SSL_CTX_set_tlsext_ticket_key_evp_cb() */
int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
	       int encrypt)
{
	int ret = 0, i;

	(void)ssl;
	pthread_mutex_lock(&lock);
	if (refresh()) {
		ret = -1;
	} else if (encrypt) {
		memcpy(name, keys[0].name, sizeof(keys[0].name));
		ret = RAND_bytes(iv, 16) == 1 && set_keys(&keys[0], iv, cipher, mac, 1) ? 1 : -1;
	} else {
		/* 2: one by a key that goes out of use is to be replaced. */
		for (i = 0; !ret && i < 2; i++)
			if (keys[i].made && !memcmp(name, keys[i].name, sizeof(keys[i].name)))
				ret = set_keys(&keys[i], iv, cipher, mac, 0) ? 1 + i : -1;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}
