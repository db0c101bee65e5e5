// SPDX-License-Identifier: MIT
/* Connections to unmodified peers, and data over them. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "link.h"

/* Longest silence on all sides that is waited for: the machine may be emulated and busy. */
#define PATIENCE_MS	90000

/* A peer that has not sent for so long, and could, is believed to be stuck. */
#define QUIET_MS	1000

/* How much of the peer's remarks is worth showing. */
#define REMARKS_SHOWN	1000

/* How long our FIN may take to be seen before the peer is ended, which shows what happened instead. */
#define FIN_MS		3000

/* An echo server answers a line at a time. */
#define LINE_LEN	4096

/* The connection of this process, for explain_link() and conclude_link(). */
static struct link *current;

static void conclude_link(void);

static void show_remarks(struct remarks *r)
{
	char *line, *save, *text = r->text;

	if (r->len > REMARKS_SHOWN)
		text += r->len - REMARKS_SHOWN;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		note("peer: %s", line);
}

static void explain_link(void)
{
	struct link *l = current;
	struct kssl_status st;
	socklen_t len = sizeof(st);
	int i;

	for (i = 0; i < l->events_count; i++)
		note("event: %s", l->events[i].text);
	note("up: %llu asked, %llu made, %zu of them not sent, %llu arrived",
	     (unsigned long long)l->up.want, (unsigned long long)l->up.made,
	     l->up.len - l->up.pos, (unsigned long long)l->up.got);
	note("down: %llu asked, %llu made, %zu of them not sent, %llu arrived",
	     (unsigned long long)l->down.want, (unsigned long long)l->down.made,
	     l->down.len - l->down.pos, (unsigned long long)l->down.got);
	if (l->fd >= 0 && !getsockopt(l->fd, SOL_KSSL, KSSL_STATUS, &st, &len))
		note("status: tx state %u epoch %u seq %llu bytes %llu, rx state %u epoch %u seq %llu bytes %llu, %u holds",
		     st.tx.state, st.tx.epoch, (unsigned long long)st.tx.seq,
		     (unsigned long long)st.tx.bytes, st.rx.state, st.rx.epoch,
		     (unsigned long long)st.rx.seq, (unsigned long long)st.rx.bytes, st.holds);
	if (l->watch)
		watch_show(l->watch);
	if (l->k)
		note("libkssl: %s", kssl_error(l->k));
	show_remarks(&l->peer.said);
	show_remarks(&l->peer.complained);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* ---- events ---- */

static void on_event(struct kssl *k, const struct kssl_event_info *info, void *arg)
{
	struct link *l = arg;
	struct event *e;

	(void)k;
	pthread_mutex_lock(&l->lock);
	l->counts[info->event][!!info->by_peer]++;
	if (l->events_count < EVENTS_MAX) {
		e = &l->events[l->events_count];
		e->event = info->event;
		e->by_peer = info->by_peer;
		e->before = info->before;
		e->after = info->after;
		strncpy(e->text, info->text, sizeof(e->text) - 1);
		l->events_count++;
		if (l->tell)
			l->tell(l, e);
	}
	pthread_cond_broadcast(&l->happened);
	pthread_mutex_unlock(&l->lock);
}

static int count_locked(const struct link *l, enum kssl_event event, int by_peer)
{
	const int *counts = l->counts[event];

	return by_peer == ANYBODY ? counts[0] + counts[1] : counts[by_peer];
}

int link_count(struct link *l, enum kssl_event event, int by_peer)
{
	int count;

	pthread_mutex_lock(&l->lock);
	count = count_locked(l, event, by_peer);
	pthread_mutex_unlock(&l->lock);
	return count;
}

static const char *event_name(enum kssl_event event)
{
	static const char * const names[] = {
		"", "HANDSHAKE_DONE", "RENEGOTIATED", "KEY_UPDATE", "TICKET", "REFUSED", "FAILED",
		"CLOSED", "AUTHENTICATED",
	};

	return names[event];
}

/* ---- making ---- */

struct kssl_config *link_config(const char *cert)
{
	struct kssl_config *config = kssl_config_new();

	CHECK(config);
	GIVES(kssl_config_set_ca_file(config, cert_path("ca", "crt")), 0);
	if (cert)
		GIVES(kssl_config_set_cert_file(config, cert_path(cert, "crt"),
						cert_path(cert, "key")), 0);
	/* Their signatures are of MD5 and SHA-1. */
	if (is_old()) {
		GIVES(kssl_config_set_versions(config, v->version, v->version), 0);
		GIVES(kssl_config_set_ciphers(config, "ALL:@SECLEVEL=0", NULL), 0);
	}
	/* Two emulated processors may have more to do than this. */
	kssl_config_set_timeout(config, PATIENCE_MS);
	return config;
}

static void update(EVP_MD_CTX *digest, const uint8_t *buf, size_t len)
{
	CHECK(EVP_DigestUpdate(digest, buf, len));
}

static EVP_MD_CTX *new_digest(void)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	CHECK(digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL));
	return digest;
}

static void init_stream(struct stream *s, uint64_t seed)
{
	s->seed = seed;
	s->source = new_digest();
	s->sink = new_digest();
}

/* A Java machine takes minutes to begin in an emulated one, so what ends the wait for a peer is its end. */
static void peer_must_live(const struct peer *p)
{
	siginfo_t info = { 0 };

	SYS(waitid(P_PID, p->pid, &info, WEXITED | WNOHANG | WNOWAIT));
	if (info.si_pid)
		check_failed(__FILE__, __LINE__, "the peer has ended before there was a connection");
}

static int connect_to(struct peer *p)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(p->port),
	};
	int fd, ret;

	for (;;) {
		fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
		if (!ret)
			return fd;
		EQ(errno, ECONNREFUSED);
		peer_must_live(p);
		close(fd);
		usleep(10000);
		if (p->err >= 0)
			peer_take_remarks(p);
	}
}

/* Where link_pair() connects: our address, and the network namespaces if there are two. */
static struct {
	const char *address;
	int ours;
	int peers;
} place = { .address = "127.0.0.1", .ours = -1, .peers = -1 };

void link_place(const char *address, int peers)
{
	place.address = address;
	place.ours = SYS(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	place.peers = peers;
}

static int peers_socket(void)
{
	int fd;

	if (place.peers >= 0)
		SYS(setns(place.peers, CLONE_NEWNET));
	fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (place.peers >= 0)
		SYS(setns(place.ours, CLONE_NEWNET));
	return fd;
}

static int listen_here(int *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(place.address) };
	socklen_t len = sizeof(addr);
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(bind(fd, (struct sockaddr *)&addr, len));
	SYS(listen(fd, 1));
	SYS(getsockname(fd, (struct sockaddr *)&addr, &len));
	*port = ntohs(addr.sin_port);
	return fd;
}

void link_init(struct link *l, int server)
{
	l->fd = -1;
	l->listener = -1;
	l->server = server;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->happened, NULL);
	init_stream(&l->up, 0x9e3779b97f4a7c15);
	init_stream(&l->down, 0xc2b2ae3d27d4eb4f);
	l->sent_digest = new_digest();
	l->received_digest = new_digest();
	current = l;
	explain = explain_link;
	conclude = conclude_link;
}

static void watch_port(struct link *l, int port)
{
	if (!l->unwatched)
		l->watch = watch_start(port, l->server);
}

static void have_socket(struct link *l, int fd)
{
	l->fd = fd;
	if (l->watch)
		watch_socket(l->watch, fd);
}

static int accept_from(int listener, const struct peer *p)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };

	while (!SYS(poll(&pfd, 1, 100)))
		peer_must_live(p);
	return SYS(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

void link_tcp(struct link *l, const struct peer_setup *setup)
{
	int port;

	link_init(l, !setup->server);
	if (setup->server) {
		peer_start(&l->peer, setup, 0);
		watch_port(l, l->peer.port);
		have_socket(l, connect_to(&l->peer));
		return;
	}
	l->listener = listen_here(&port);
	watch_port(l, port);
	peer_start(&l->peer, setup, port);
	have_socket(l, accept_from(l->listener, &l->peer));
	if (setup->connections < 2) {
		close(l->listener);
		l->listener = -1;
	}
}

int link_pair(struct link *l, int server)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(place.address) };
	int port, listener = listen_here(&port), fd = peers_socket();

	link_init(l, server);
	watch_port(l, port);
	addr.sin_port = htons(port);
	SYS(connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	have_socket(l, SYS(accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
	close(listener);
	return fd;
}

struct kssl *link_handshake(struct link *l, struct kssl_config *config, const char *name)
{
	kssl_config_set_event_callback(config, on_event, l);
	if (l->watch)
		kssl_config_set_keylog_callback(config, watch_key_line, l->watch);
	l->k = l->server ? kssl_accept(l->fd, config) : kssl_connect(l->fd, name, config);
	return l->k;
}

static void open_connected(struct link *l, struct kssl_config *config)
{
	if (!link_handshake(l, config, "localhost")) {
		int err = errno;

		usleep(500000);
		if (l->peer.err >= 0)
			peer_take_remarks(&l->peer);
		check_failed(__FILE__, __LINE__, "handshake: %s (%s)", kssl_error(NULL),
			     error_name(err));
	}
	kssl_config_free(config);
	SYS(fcntl(l->fd, F_SETFL, O_NONBLOCK));
}

void link_open(struct link *l, const struct peer_setup *setup, struct kssl_config *config)
{
	link_tcp(l, setup);
	open_connected(l, config);
}

/* The wire carried what the test sent and received, and nothing on it was against the rules. */
static void check_wire(struct link *l, uint64_t all, int ended)
{
	struct wire_totals ours = { .bytes = l->sent, .all = all };
	struct wire_totals theirs = {
		.bytes = l->received, .all = WIRE_UNKNOWN, .ended = ended, .marks = l->marks,
		.marks_count = l->marks_count,
	};
	unsigned int objections;

	CHECK(EVP_DigestFinal_ex(l->sent_digest, ours.digest, NULL));
	CHECK(EVP_DigestFinal_ex(l->received_digest, theirs.digest, NULL));
	objections = watch_end(l->watch, &ours, &theirs);
	watch_free(l->watch);
	l->watch = NULL;
	if (objections)
		check_failed(__FILE__, __LINE__, "%u objections to what was on the wire", objections);
}

/* A test that did not close its connection in order. */
static void conclude_link(void)
{
	if (current->watch)
		check_wire(current, WIRE_UNKNOWN, 0);
}

/* Our end of it, and the peer's process if that is to end. */
static void close_ends(struct link *l, int both)
{
	uint64_t all = WIRE_UNKNOWN;
	int ended = 0;

	if (l->fd >= 0) {
		struct kssl_status st = link_status(l);

		all = st.tx.bytes;
		ended = st.rx.state == KSSL_STATE_CLOSED;
		close(l->fd);
	}
	l->fd = -1;
	link_wait(l, KSSL_EVENT_CLOSED, ANYBODY, 1);
	kssl_free(l->k);
	l->k = NULL;
	if (l->watch)
		watch_wait_end(l->watch, FIN_MS);
	if (both)
		peer_kill(&l->peer);
	if (l->watch) {
		watch_wait_end(l->watch, PATIENCE_MS);
		check_wire(l, all, ended);
	}
	EVP_MD_CTX_free(l->sent_digest);
	EVP_MD_CTX_free(l->received_digest);
	free(l->marks);
	EVP_MD_CTX_free(l->up.source);
	EVP_MD_CTX_free(l->up.sink);
	EVP_MD_CTX_free(l->down.source);
	EVP_MD_CTX_free(l->down.sink);
}

void link_again(struct link *l, struct kssl_config *config)
{
	int listener = l->listener, unwatched = l->unwatched;
	struct peer peer;

	close_ends(l, 0);
	peer = l->peer;
	memset(l, 0, sizeof(*l));
	link_init(l, listener >= 0);
	l->peer = peer;
	l->listener = listener;
	l->unwatched = unwatched;
	if (l->server) {
		have_socket(l, accept_from(listener, &l->peer));
	} else {
		watch_port(l, l->peer.port);
		have_socket(l, connect_to(&l->peer));
	}
	open_connected(l, config);
}

void link_close(struct link *l)
{
	if (l->listener >= 0)
		close(l->listener);
	l->listener = -1;
	close_ends(l, 1);
}

/* ---- moving ---- */

/* The next bytes of a stream into its buffer, which is empty. */
static void make(struct stream *s, const struct peer *p)
{
	const uint64_t high = p->binary ? 0 : UINT64_C(0x8080808080808080);
	uint64_t left = s->want - s->made, x;
	size_t len = left < sizeof(s->buf) / 2 ? left : sizeof(s->buf) / 2, i;

	/* xorshift64: cheap, and no two places look alike. */
	for (i = 0; i < len; i += 8) {
		s->seed ^= s->seed << 13;
		s->seed ^= s->seed >> 7;
		s->seed ^= s->seed << 17;
		x = s->seed | high;
		memcpy(s->buf + i, &x, 8);
	}
	update(s->source, s->buf, len);
	s->made += len;
	s->pos = 0;
	s->len = len;
}

/* Line ends, which do not count as data, for an echo. */
static void break_lines(struct stream *s)
{
	static uint8_t lines[sizeof(s->buf)];
	size_t from, to = 0, part;

	for (from = 0; from < s->len; from += part) {
		part = s->len - from < LINE_LEN ? s->len - from : LINE_LEN;
		memcpy(lines + to, s->buf + from, part);
		to += part;
		lines[to++] = '\n';
	}
	memcpy(s->buf, lines, to);
	s->len = to;
}

/* Send from a stream's buffer; 1 if anything could be sent. */
static int push(struct stream *s, int fd)
{
	ssize_t n = write(fd, s->buf + s->pos, s->len - s->pos);

	if (n < 0 && errno == EAGAIN)
		return 0;
	SYS(n);
	s->pos += n;
	return n;
}

static int has_more(const struct stream *s)
{
	return s->pos < s->len || s->made < s->want;
}

void link_sent(struct link *l, const uint8_t *buf, size_t len)
{
	l->sent += len;
	update(l->sent_digest, buf, len);
}

static uint64_t moved(const struct link *l)
{
	return l->up.made - (l->up.len - l->up.pos) + l->down.got;
}

static void call_then(struct link *l)
{
	void (*then)(struct link *l);

	while (l->then && moved(l) >= l->at) {
		then = l->then;
		l->then = NULL;
		then(l);
	}
}

static int push_up(struct link *l)
{
	struct stream *s = &l->up;
	int n;

	if (s->pos == s->len) {
		make(s, &l->peer);
		if (l->peer.echo)
			break_lines(s);
	}
	n = push(s, l->fd);
	link_sent(l, s->buf + s->pos - n, n);
	call_then(l);
	return n;
}

static int push_down(struct link *l)
{
	struct stream *s = &l->down;

	if (s->pos == s->len)
		make(s, &l->peer);
	return push(s, l->peer.in);
}

static void arrived(struct stream *s, const uint8_t *buf, size_t len)
{
	update(s->sink, buf, len);
	s->got += len;
	if (s->got > s->want)
		check_failed(__FILE__, __LINE__, "%llu bytes arrived, %llu were sent",
			     (unsigned long long)s->got, (unsigned long long)s->want);
}

void link_received(struct link *l, const uint8_t *buf, size_t len)
{
	struct wire_mark *mark = l->marks_count ? &l->marks[l->marks_count - 1] : NULL;

	l->received += len;
	update(l->received_digest, buf, len);
	if (!mark || mark->sent != l->sent) {
		if (!(l->marks_count & (l->marks_count - 1)))
			l->marks = realloc(l->marks, (2 * l->marks_count + 1) * sizeof(*mark));
		CHECK(l->marks);
		mark = &l->marks[l->marks_count++];
	}
	*mark = (struct wire_mark) { .received = l->received, .sent = l->sent };
}

static int take_socket(struct link *l)
{
	static uint8_t buf[65536];
	ssize_t n = read(l->fd, buf, sizeof(buf));

	if (n < 0 && errno == EAGAIN)
		return 0;
	SYS(n);
	if (!n)
		check_failed(__FILE__, __LINE__, "the peer closed the connection");
	link_received(l, buf, n);
	arrived(l->peer.echo ? &l->up : &l->down, buf, peer_sift(&l->peer, buf, n));
	call_then(l);
	return 1;
}

static int take_peer(struct link *l)
{
	static uint8_t buf[65536];
	ssize_t n = peer_take(&l->peer, buf, sizeof(buf));

	if (n < 0)
		check_failed(__FILE__, __LINE__, "the peer ended");
	arrived(&l->up, buf, n);
	return n > 0;
}

static int is_done(const struct link *l)
{
	return l->up.got == l->up.want && l->down.got == l->down.want && !l->then &&
	       !has_more(&l->up) && !has_more(&l->down);
}

static void move(struct link *l, uint64_t up, uint64_t down, uint64_t stuck)
{
	struct pollfd fds[4] = {
		{ .fd = l->fd },
		{ .fd = l->peer.out, .events = POLLIN },
		{ .fd = l->peer.err, .events = POLLIN },
		{ .fd = l->peer.in },
	};
	int commanded = !peer_is_idle(&l->peer);

	l->at += moved(l);
	l->up.want += up;
	if (!l->peer.echo)
		l->down.want += down;
	while (!is_done(l)) {
		int ready, quiet;

		/* A command must be alone in what the peer reads. */
		if (commanded)
			commanded = !peer_is_idle(&l->peer);
		fds[0].events = (stuck ? 0 : POLLIN) | (has_more(&l->up) ? POLLOUT : 0);
		fds[3].events = has_more(&l->down) && !commanded ? POLLOUT : 0;
		quiet = stuck && l->up.got == l->up.want && l->down.made - l->down.got > stuck;
		ready = SYS(poll(fds, 4, commanded ? 1 : quiet ? QUIET_MS : PATIENCE_MS));
		if (!ready && quiet)
			break;
		if (!ready && !commanded) {
			struct kssl_status st = link_status(l);

			check_failed(__FILE__, __LINE__, "nothing moves any more: of %llu bytes up %llu made, %zu of them not sent, %llu got; of %llu down %llu; kernel: state %d, %llu sent, state %d, %llu received",
				     (unsigned long long)l->up.want, (unsigned long long)l->up.made,
				     l->up.len - l->up.pos, (unsigned long long)l->up.got,
				     (unsigned long long)l->down.want, (unsigned long long)l->down.got,
				     st.tx.state, (unsigned long long)st.tx.bytes,
				     st.rx.state, (unsigned long long)st.rx.bytes);
		}
		if (fds[2].revents && !peer_take_remarks(&l->peer) && fds[2].revents & POLLHUP)
			fds[2].fd = -1;
		if (fds[1].revents)
			take_peer(l);
		if (fds[0].revents & ~POLLOUT)
			take_socket(l);
		if (fds[0].revents & POLLOUT)
			push_up(l);
		if (fds[3].revents & POLLOUT)
			push_down(l);
	}
	l->at = 0;
}

void link_move(struct link *l, uint64_t up, uint64_t down)
{
	move(l, up, down, 0);
}

void link_move_unread(struct link *l, uint64_t up, uint64_t down, uint64_t stuck)
{
	move(l, up, down, stuck);
}

void link_at(struct link *l, uint64_t bytes, void (*then)(struct link *l))
{
	l->at = bytes;
	l->then = then;
}

void link_send(struct link *l, const char *text)
{
	EQ(SYS(write(l->fd, text, strlen(text))), strlen(text));
	link_sent(l, (const uint8_t *)text, strlen(text));
}

/* What comes while no data is under way. What the socket has to say about its end stays there. */
static void take_remarks(struct link *l)
{
	uint8_t buf[4096];
	ssize_t n = read(l->fd, buf, sizeof(buf));

	if (n > 0) {
		link_received(l, buf, n);
		EQ(peer_sift(&l->peer, buf, n), 0);
	}
	if (l->peer.binary)
		return;
	EQ(peer_take(&l->peer, buf, sizeof(buf)) > 0, 0);
	if (l->peer.err >= 0)
		peer_take_remarks(&l->peer);
}

void link_wait(struct link *l, enum kssl_event event, int by_peer, int count)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	int have;

	for (;;) {
		pthread_mutex_lock(&l->lock);
		have = count_locked(l, event, by_peer);
		if (have < count) {
			struct timespec tick;

			clock_gettime(CLOCK_REALTIME, &tick);
			tick.tv_nsec += 50 * 1000000;
			if (tick.tv_nsec >= 1000000000) {
				tick.tv_nsec -= 1000000000;
				tick.tv_sec++;
			}
			pthread_cond_timedwait(&l->happened, &l->lock, &tick);
		}
		pthread_mutex_unlock(&l->lock);
		if (have >= count)
			return;
		take_remarks(l);
		if (now_ms() > deadline)
			check_failed(__FILE__, __LINE__, "%d of %d %s by %s", have, count,
				     event_name(event), by_peer == ANYBODY ? "anybody" :
				     by_peer ? "the peer" : "us");
	}
}

/* ---- checking ---- */

void link_digests(struct link *l, uint8_t digests[4][DIGEST_LEN])
{
	EVP_MD_CTX *ends[4] = { l->up.source, l->up.sink, l->down.source, l->down.sink };
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int i;

	for (i = 0; i < 4; i++)
		CHECK(copy && EVP_MD_CTX_copy_ex(copy, ends[i]) &&
		      EVP_DigestFinal_ex(copy, digests[i], NULL));
	EVP_MD_CTX_free(copy);
}

void link_check_data(struct link *l)
{
	uint8_t digests[4][DIGEST_LEN];

	EQ(l->up.got, l->up.want);
	EQ(l->down.got, l->down.want);
	link_digests(l, digests);
	CHECK(!memcmp(digests[0], digests[1], DIGEST_LEN));
	CHECK(!memcmp(digests[2], digests[3], DIGEST_LEN));
}

struct kssl_status link_status(struct link *l)
{
	struct kssl_status st;
	socklen_t len = sizeof(st);

	SYS(getsockopt(l->fd, SOL_KSSL, KSSL_STATUS, &st, &len));
	EQ(len, sizeof(st));
	return st;
}

struct kssl_error link_error(struct link *l)
{
	struct kssl_error error;
	socklen_t len = sizeof(error);

	SYS(getsockopt(l->fd, SOL_KSSL, KSSL_ERROR, &error, &len));
	return error;
}

struct peer_setup usual_peer(void)
{
	struct peer_setup setup = {
		.stack = v->stack, .server = !v->server, .version = v->version, .bits = v->bits,
	};

	if (v->stack == GNUTLS && !v->server)
		add_option(&setup, "--echo");
	return setup;
}

void add_option(struct peer_setup *setup, const char *option)
{
	int i = 0;

	while (setup->options[i])
		i++;
	CHECK(i < PEER_OPTIONS_MAX - 1);
	setup->options[i] = option;
}

uint64_t up_to_peer(uint64_t bytes)
{
	return v->stack == GNUTLS && v->server ? bytes / 16 : bytes;
}

unsigned int usual_suite(uint16_t version, int bits)
{
	if (version == 0x0304)
		return bits == 256 ? 0x1302 : 0x1301;
	if (version < 0x0303)
		return bits == 256 ? 0xc00a : 0xc009;
	return bits == 256 ? 0xc02c : 0xc02b;
}

static void check_direction(const struct kssl_dir_status *dir, unsigned int suite,
			    unsigned int epoch, uint64_t bytes)
{
	EQ(dir->suite, suite);
	EQ(dir->version, suite >> 8 == 0x13 ? 0x0304 : is_old() ? v->version : 0x0303);
	EQ(dir->state, KSSL_STATE_ACTIVE);
	EQ(dir->epoch, epoch);
	EQ(dir->bytes, bytes);
	CHECK(dir->records >= bytes / KSSL_MAX_PAYLOAD);
	CHECK(dir->records >= dir->epoch - 1);
}

void link_check_carried(struct link *l, unsigned int suite, unsigned int tx_epoch,
			unsigned int rx_epoch)
{
	struct kssl_status st = link_status(l);
	char name[16] = "";
	socklen_t len = sizeof(name);

	SYS(getsockopt(l->fd, IPPROTO_TCP, TCP_ULP, name, &len));
	CHECK(!strcmp(name, KSSL_ULP_NAME));
	EQ(st.attended, 1);
	EQ(st.established, 1);
	check_direction(&st.tx, suite, tx_epoch, l->sent);
	check_direction(&st.rx, suite, rx_epoch, l->received);
}
