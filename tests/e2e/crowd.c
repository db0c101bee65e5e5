// SPDX-License-Identifier: MIT
/* Any number of peers in one process with one thread: an epoll, and echoes. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/err.h>
#include "crowd.h"
#include "service.h"

#define BACKLOG		4096
#define EVENTS_MAX	64

enum what { CONNECT, TICKETS, REPORT, CLOSE };

struct order {
	enum what what;
	struct sockaddr_in to;
	uint32_t count;
	int tls;
};

/**
 * struct member - a peer
 * @fd: its socket
 * @ssl: NULL: plain TCP
 * @up: the handshake is over
 * @rest: what is to be sent once there is room
 * @len: of it
 * @next: of all
 * @prev: likewise
 */
struct member {
	int fd;
	SSL *ssl;
	int up;
	char *rest;
	size_t len;
	struct member *next;
	struct member *prev;
};

static int epoll;
static SSL_CTX *contexts[2];
static struct member *all;
static struct crowd_report so_far;

/* ---- members ---- */

static void watch(struct member *m, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = m };

	SYS(epoll_ctl(epoll, op, m->fd, &event));
}

static void drop(struct member *m)
{
	if (m->next)
		m->next->prev = m->prev;
	if (m->prev)
		m->prev->next = m->next;
	else
		all = m->next;
	so_far.members--;
	SSL_free(m->ssl);
	ERR_clear_error();
	close(m->fd);
	free(m->rest);
	free(m);
}

static void lose(struct member *m, uint32_t *counter)
{
	(*counter)++;
	drop(m);
}

static void add(int fd, int tls, int server)
{
	struct member *m = calloc(1, sizeof(*m));

	CHECK(m);
	SYS(fcntl(fd, F_SETFL, O_NONBLOCK));
	m->fd = fd;
	m->up = !tls;
	if (tls) {
		m->ssl = SSL_new(contexts[server]);
		CHECK(m->ssl && SSL_set_fd(m->ssl, fd));
		if (server)
			SSL_set_accept_state(m->ssl);
		else
			SSL_set_connect_state(m->ssl);
		SSL_set_tlsext_host_name(m->ssl, "localhost");
		SSL_set1_host(m->ssl, "localhost");
	}
	m->next = all;
	if (all)
		all->prev = m;
	all = m;
	so_far.members++;
	/* A client speaks first: it is writable. */
	watch(m, EPOLL_CTL_ADD, tls && !server ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

enum result { DONE, LATER, OVER, BROKEN };

static enum result result_of(struct member *m, int ret)
{
	int error = SSL_get_error(m->ssl, ret);

	/* The queue is everybody's. */
	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return LATER;
	return error == SSL_ERROR_ZERO_RETURN ? OVER : BROKEN;
}

static enum result take(struct member *m, char *buf, size_t size, size_t *len)
{
	ssize_t n = m->ssl ? SSL_read(m->ssl, buf, size) : recv(m->fd, buf, size, 0);

	*len = n;
	if (n > 0)
		return DONE;
	if (m->ssl)
		return result_of(m, n);
	if (!n)
		return OVER;
	return errno == EAGAIN ? LATER : BROKEN;
}

/* Return: 0, or -1 without the member. */
static int give(struct member *m, const char *buf, size_t len)
{
	ssize_t n = m->ssl ? SSL_write(m->ssl, buf, len) : send(m->fd, buf, len, 0);
	char *rest;

	if (n <= 0) {
		if (m->ssl ? result_of(m, n) != LATER : errno != EAGAIN) {
			lose(m, &so_far.broken);
			return -1;
		}
		n = 0;
	}
	if ((size_t)n < len) {
		rest = malloc(len - n);
		CHECK(rest);
		memcpy(rest, buf + n, len - n);
		if (!m->rest)
			watch(m, EPOLL_CTL_MOD, EPOLLOUT);
		free(m->rest);
		m->rest = rest;
		m->len = len - n;
	} else if (m->rest) {
		free(m->rest);
		m->rest = NULL;
		watch(m, EPOLL_CTL_MOD, EPOLLIN);
	}
	return 0;
}

static void serve(struct member *m)
{
	static char buf[16384];
	enum result ret;
	size_t len;

	if (!m->up) {
		int n = SSL_do_handshake(m->ssl);

		if (n != 1 && result_of(m, n) == LATER) {
			watch(m, EPOLL_CTL_MOD, SSL_want_write(m->ssl) ? EPOLLOUT : EPOLLIN);
			return;
		}
		if (n != 1) {
			lose(m, &so_far.failed);
			return;
		}
		m->up = 1;
		so_far.established++;
		watch(m, EPOLL_CTL_MOD, EPOLLIN);
	}
	if (m->rest && give(m, m->rest, m->len))
		return;
	while (!m->rest) {
		ret = take(m, buf, sizeof(buf), &len);
		if (ret == LATER)
			return;
		if (ret == BROKEN) {
			lose(m, &so_far.broken);
			return;
		}
		if (ret == OVER) {
			if (m->ssl)
				SSL_shutdown(m->ssl);
			drop(m);
			return;
		}
		if (give(m, buf, len))
			return;
	}
}

/* ---- orders ---- */

static void send_tickets(void)
{
	struct member *m;

	for (m = all; m; m = m->next) {
		if (!m->ssl || !m->up || m->rest || !SSL_is_server(m->ssl))
			continue;
		EQ(SSL_new_session_ticket(m->ssl), 1);
		EQ(SSL_do_handshake(m->ssl), 1);
		so_far.tickets++;
	}
}

static void close_all(void)
{
	while (all) {
		if (all->ssl)
			SSL_shutdown(all->ssl);
		drop(all);
	}
}

static void obey(int orders)
{
	struct order order;
	ssize_t n = recv(orders, &order, sizeof(order), 0);
	uint32_t i;

	if (!n)
		_exit(0);
	EQ(n, sizeof(order));
	for (i = 0; order.what == CONNECT && i < order.count; i++)
		add(connect_to(&order.to), order.tls, 0);
	if (order.what == TICKETS)
		send_tickets();
	if (order.what == CLOSE)
		close_all();
	EQ(send(orders, &so_far, sizeof(so_far), 0), sizeof(so_far));
}

static void run(int orders, int tls, int plain)
{
	struct epoll_event events[EVENTS_MAX], event = { .events = EPOLLIN };
	/* What is no member. */
	int *const others[] = { &orders, &tls, &plain };
	int n, i, fd, ordered;
	unsigned int k;

	epoll = SYS(epoll_create1(EPOLL_CLOEXEC));
	for (k = 0; k < 3; k++) {
		event.data.ptr = others[k];
		SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, *others[k], &event));
	}
	for (;;) {
		ordered = 0;
		n = SYS(epoll_wait(epoll, events, EVENTS_MAX, -1));
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == &orders) {
				ordered = 1;
			} else if (events[i].data.ptr == &tls || events[i].data.ptr == &plain) {
				fd = accept4(*(int *)events[i].data.ptr, NULL, NULL, SOCK_CLOEXEC);
				if (fd >= 0)
					add(fd, events[i].data.ptr == &tls, 1);
			} else {
				serve(events[i].data.ptr);
			}
		}
		/* Last: whom it drops may be among the events. */
		if (ordered)
			obey(orders);
	}
}

static void set_contexts(uint16_t version)
{
	int server;

	for (server = 0; server < 2; server++) {
		contexts[server] = peer_context(server, version);
		SSL_CTX_set_mode(contexts[server], SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		SSL_CTX_set_session_cache_mode(contexts[server], SSL_SESS_CACHE_OFF);
		SSL_CTX_set_verify(contexts[server], server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	}
}

/* ---- from outside ---- */

void crowd_start(struct crowd *c, uint16_t version)
{
	int pair[2], tls = listen_on(&c->tls), plain = listen_on(&c->plain);

	SYS(listen(tls, BACKLOG));
	SYS(listen(plain, BACKLOG));
	SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	c->pid = SYS(fork());
	if (!c->pid) {
		close(pair[0]);
		explain = NULL;
		set_contexts(version);
		run(pair[1], tls, plain);
	}
	close(pair[1]);
	close(tls);
	close(plain);
	c->orders = pair[0];
}

static struct crowd_report tell(const struct crowd *c, const struct order *order)
{
	struct crowd_report report;

	EQ(send(c->orders, order, sizeof(*order), 0), sizeof(*order));
	EQ(recv(c->orders, &report, sizeof(report), 0), sizeof(report));
	return report;
}

struct crowd_report crowd_report(const struct crowd *c)
{
	return tell(c, &(struct order){ .what = REPORT });
}

void crowd_connect(const struct crowd *c, const struct sockaddr_in *to, uint32_t count, int tls)
{
	tell(c, &(struct order){ .what = CONNECT, .to = *to, .count = count, .tls = tls });
}

struct crowd_report crowd_send_tickets(const struct crowd *c)
{
	return tell(c, &(struct order){ .what = TICKETS });
}

void crowd_close(const struct crowd *c)
{
	tell(c, &(struct order){ .what = CLOSE });
}

void crowd_end(struct crowd *c)
{
	int status;

	close(c->orders);
	EQ(waitpid(c->pid, &status, 0), c->pid);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}
