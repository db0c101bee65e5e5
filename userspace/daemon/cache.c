// SPDX-License-Identifier: MIT
/*
 * Sessions of clients.  One is found only by who may have it: user and network
 * namespace are part of its key, as is all that was verified when it was made.
 */
#include <pthread.h>
#include <string.h>
#include <openssl/sha.h>

#include "kssld.h"

#define SLOTS	4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Two with one slot replace each other, which costs a full handshake. */
static struct slot {
	uint8_t key[32];
	SSL_SESSION *session;
} slots[SLOTS];

static void add(EVP_MD_CTX *md, const void *data, uint32_t len)
{
	EVP_DigestUpdate(md, &len, sizeof(len));
	EVP_DigestUpdate(md, data, len);
}

/**
 * cache_key() - {uid, netns, profile, name, port, ALPN, verification, pins}
 * @r: who asks
 * @p: his profile
 * @key: (out) 32 octets
 */
void cache_key(const struct request *r, const struct profile *p, uint8_t *key)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	memset(key, 0, 32);
	if (!md)
		return;
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	add(md, &r->uid, sizeof(r->uid));
	add(md, &r->netns, sizeof(r->netns));
	add(md, p->name, strlen(p->name));
	/* A profile that was read again is another one. */
	add(md, &p->identities[0].number, sizeof(p->identities[0].number));
	add(md, r->name, strlen(r->name));
	add(md, &r->peer.sin6_port, sizeof(r->peer.sin6_port));
	add(md, r->alpn, r->alpn_len);
	add(md, &p->verify, sizeof(p->verify));
	add(md, r->pins, r->pins_count * sizeof(r->pins[0]));
	EVP_DigestFinal_ex(md, key, NULL);
	EVP_MD_CTX_free(md);
}

/* What cache_key() leaves when there was no memory: then there is no session. */
static bool is_key(const uint8_t *key)
{
	static const uint8_t none[32];

	return memcmp(key, none, sizeof(none));
}

static struct slot *slot_of(const uint8_t *key)
{
	return &slots[(key[0] | key[1] << 8) % SLOTS];
}

/**
 * cache_take() - the session to resume, if there is one
 * @key: of cache_key()
 *
 * A ticket of TLS 1.3 is used once (RFC 8446 C.4), so it is not there any more.
 */
SSL_SESSION *cache_take(const uint8_t *key)
{
	struct slot *slot = slot_of(key);
	SSL_SESSION *session = NULL;

	if (!is_key(key))
		return NULL;
	pthread_mutex_lock(&lock);
	if (slot->session && !memcmp(slot->key, key, sizeof(slot->key))) {
		session = slot->session;
		slot->session = NULL;
	}
	pthread_mutex_unlock(&lock);
	return session;
}

/** cache_put() - keep a session; the reference is the cache's from now on */
void cache_put(const uint8_t *key, SSL_SESSION *session)
{
	struct slot *slot = slot_of(key);
	SSL_SESSION *old;

	if (!is_key(key)) {
		SSL_SESSION_free(session);
		return;
	}
	pthread_mutex_lock(&lock);
	old = slot->session;
	memcpy(slot->key, key, sizeof(slot->key));
	slot->session = session;
	pthread_mutex_unlock(&lock);
	SSL_SESSION_free(old);
}
