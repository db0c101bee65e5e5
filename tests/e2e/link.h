/* SPDX-License-Identifier: MIT */
/*
 * A TLS connection between a socket of ours under kssl and an unmodified peer,
 * and data that moves over it both ways, with a digest at each of the four ends.
 */
#ifndef LINK_H
#define LINK_H

#include <pthread.h>
#include <openssl/evp.h>
#include <libkssl.h>
#include "peer.h"
#include "watch.h"

#define DIGEST_LEN	32	/* SHA-256 */
#define EVENTS_MAX	256
#define TEXT_LEN	192

/**
 * struct event - what libkssl told
 * @event: enum kssl_event
 * @by_peer: the peer started it
 * @before: status when it began
 * @after: status when it was over
 * @text: libkssl's line for a person
 */
struct event {
	enum kssl_event event;
	int by_peer;
	struct kssl_status before;
	struct kssl_status after;
	char text[TEXT_LEN];
};

/**
 * struct stream - data one way
 * @want: bytes asked for so far
 * @made: bytes made so far, all in @source
 * @got: bytes that arrived
 * @seed: state of the generator
 * @source: digest of what was made
 * @sink: digest of what arrived
 * @buf: made and not yet sent
 * @pos: where that begins
 * @len: where it ends
 */
struct stream {
	uint64_t want;
	uint64_t made;
	uint64_t got;
	uint64_t seed;
	EVP_MD_CTX *source;
	EVP_MD_CTX *sink;
	uint8_t buf[65536];
	size_t pos;
	size_t len;
};

/**
 * struct link - a connection
 * @fd: our socket
 * @k: libkssl's view of it
 * @server: we are the server
 * @peer: who is at the other end
 * @up: data from us to the peer
 * @down: data from the peer to us
 * @sent: bytes written to @fd
 * @received: bytes read from @fd
 * @sent_digest: of those
 * @received_digest: likewise
 * @marks: the two counts after each time of reading
 * @marks_count: how many
 * @listener: where the peer connects again, -1 if it does not
 * @unwatched: set before it is made: nobody looks at the wire
 * @watch: who does, NULL if nobody
 * @at: when so many bytes of @up were sent and of @down got, together, @then is called, once
 * @then: may be NULL
 * @lock: protects @events, @events_count and @counts
 * @happened: a new one is there
 * @events: in order, the first of them
 * @events_count: how many
 * @counts: of all that there were, by what happened and by whom
 * @tell: prints an event at once, may be NULL
 */
struct link {
	int fd;
	struct kssl *k;
	int server;
	struct peer peer;
	struct stream up;
	struct stream down;
	uint64_t sent;
	uint64_t received;
	EVP_MD_CTX *sent_digest;
	EVP_MD_CTX *received_digest;
	struct wire_mark *marks;
	size_t marks_count;
	int listener;
	int unwatched;
	struct watch *watch;
	uint64_t at;
	void (*then)(struct link *l);
	pthread_mutex_t lock;
	pthread_cond_t happened;
	struct event events[EVENTS_MAX];
	int events_count;
	int counts[KSSL_EVENT_CLOSED + 1][2];
	void (*tell)(const struct link *l, const struct event *event);
};

/* Our side: a configuration that trusts the test's authority and, with @cert, has that one. */
struct kssl_config *link_config(const char *cert);

/* Without a peer: everything but a socket; and with one whose other end is returned. */
void link_init(struct link *l, int server);
int link_pair(struct link *l, int server);
/* From now on link_pair() connects @address of ours, as text, with a socket of the network namespace @peers. */
void link_place(const char *address, int peers);
/* Start the peer and connect the two by TCP. */
void link_tcp(struct link *l, const struct peer_setup *setup);
/* Our side's handshake; NULL with errno if it fails. @name: the server we want to talk to. */
struct kssl *link_handshake(struct link *l, struct kssl_config *config, const char *name);
/* All of it, which must not fail. Frees @config. */
void link_open(struct link *l, const struct peer_setup *setup, struct kssl_config *config);
/*
 * The same with the peer that is there already, a server or a client of more than one connection; the one with it is
 * over.  Nobody watches a client's, which may come before he is told.
 */
void link_again(struct link *l, struct kssl_config *config);
/* End of a good test: close both ends; what was on the wire must have been right. */
void link_close(struct link *l);

/* Move so many bytes more, both ways at once. An echo sends @up back, then @down is not asked. */
void link_move(struct link *l, uint64_t up, uint64_t down);
/*
 * Likewise, but nothing is read from our socket: until @up has arrived, more than @stuck (> 0) is under way to us, and
 * the peer can send no more.
 */
void link_move_unread(struct link *l, uint64_t up, uint64_t down, uint64_t stuck);
/* In the next link_move(), after so many bytes sent and received together, call @then. */
void link_at(struct link *l, uint64_t bytes, void (*then)(struct link *l));
/* Send something that is not data, such as a command to gnutls-serv. */
void link_send(struct link *l, const char *text);
/* A test has written to our socket by itself, in this order; or has read from it. */
void link_sent(struct link *l, const uint8_t *buf, size_t len);
void link_received(struct link *l, const uint8_t *buf, size_t len);
/* What arrived is what was sent, by number and digest. */
void link_check_data(struct link *l);
/* Digests so far, of the four ends: sent up, arrived up, sent down, arrived down. */
void link_digests(struct link *l, uint8_t digests[4][DIGEST_LEN]);

#define ANYBODY	-1	/* instead of by_peer */

/* How often this happened. */
int link_count(struct link *l, enum kssl_event event, int by_peer);
/* Wait until it has happened so often, while nothing moves but the peer's remarks. */
void link_wait(struct link *l, enum kssl_event event, int by_peer, int count);

/* The kernel carried all of it: byte counts, suite and version, and so many keys each way. */
void link_check_carried(struct link *l, unsigned int suite, unsigned int tx_epoch,
			unsigned int rx_epoch);
struct kssl_status link_status(struct link *l);
struct kssl_error link_error(struct link *l);

/* The peer that the variant asks for, with commands; the GnuTLS server can only echo lines. */
struct peer_setup usual_peer(void);
/* One more option for it. */
void add_option(struct peer_setup *setup, const char *option);

/* Data for a test that is not about bulk. */
#define SOME	300000

/* What of it to send: gnutls-cli prints what it receives with one system call for each byte. */
uint64_t up_to_peer(uint64_t bytes);

/* The suite that the variant @stack, @version, @bits agrees on. */
unsigned int usual_suite(uint16_t version, int bits);

#endif
