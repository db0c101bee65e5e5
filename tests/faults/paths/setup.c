// SPDX-License-Identifier: MIT
/* Paths of attaching, keys, and the options that are asked for. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "fault.h"

static void end(struct conn *c)
{
	EQ(error_of(c->fd).err, 0);
	close(c->fd);
	peer_expect_alert(&c->peer, WARNING, CLOSE_NOTIFY);
	peer_expect_fin(&c->peer);
	close(c->peer.fd);
	if (c->control >= 0)
		close(c->control);
}

/* What failed left nothing behind: the same call works, and then all the others. */
void path_attach(const struct source *s)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_connect(&c);
		if (WITH_FAULT(s, nth, hit, attach(c.fd)))
			SYS(attach(c.fd));
		conn_keys(&c);
		conn_both_ways(&c, 100, 100);
		end(&c);
	}
	fault_count(s, nth - 2, 0);
}

static long call_control(struct conn *c)
{
	socklen_t len = sizeof(int);

	return getsockopt(c->fd, SOL_KSSL, KSSL_CONTROL, &c->control, &len);
}

void path_control(const struct source *s)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		conn_connect(&c);
		conn_attach(&c);
		if (WITH_FAULT(s, nth, hit, call_control(&c))) {
			EQ(status_of(c.fd).attended, 0);
			c.control = SYS(take_control(c.fd));
		}
		conn_hand_over(&c);
		conn_both_ways(&c, 100, 100);
		end(&c);
	}
	fault_count(s, nth - 2, 0);
}

static void walk_key(const struct source *s, int option)
{
	unsigned int nth;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		struct keys *k = option == KSSL_TX_KEY ? &c.peer.rx : &c.peer.tx;

		conn_connect(&c);
		conn_attach(&c);
		c.peer.rx = make_keys(1);
		c.peer.tx = make_keys(2);
		if (WITH_FAULT(s, nth, hit, set_key(c.fd, option, k))) {
			EQ(status_of(c.fd).tx.epoch + status_of(c.fd).rx.epoch, 0);
			SYS(set_key(c.fd, option, k));
		}
		if (option == KSSL_TX_KEY)
			SYS(set_key(c.fd, KSSL_RX_KEY, &c.peer.tx));
		else
			SYS(set_key(c.fd, KSSL_TX_KEY, &c.peer.rx));
		conn_both_ways(&c, 100, 100);
		end(&c);
	}
	fault_count(s, nth - 2, 0);
}

void path_tx_key(const struct source *s)
{
	walk_key(s, KSSL_TX_KEY);
}

void path_rx_key(const struct source *s)
{
	walk_key(s, KSSL_RX_KEY);
}

/* The second key of sending, while a record is open under the first. */
void path_rekey(const struct source *s)
{
	unsigned int nth, dead = 0;
	struct conn c;
	int hit = 1;

	for (nth = 1; hit; nth++) {
		struct keys next = make_keys(3);

		conn_open(&c);
		EQ(SYS(send(c.fd, "open", 4, MSG_MORE | MSG_NOSIGNAL)), 4);
		if (WITH_FAULT(s, nth, hit, set_key(c.fd, KSSL_TX_KEY, &next))) {
			EQ(status_of(c.fd).tx.epoch, 1);
			if (error_of(c.fd).err) {
				CHECK(s->what == MEMORY || error_of(c.fd).err == s->fatal);
				FAILS(set_key(c.fd, KSSL_TX_KEY, &next), error_of(c.fd).err);
				peer_expect_alert(&c.peer, FATAL, INTERNAL_ERROR);
				close(c.fd);
				close(c.peer.fd);
				dead++;
				continue;
			}
			SYS(set_key(c.fd, KSSL_TX_KEY, &next));
		}
		peer_expect(&c.peer, DATA, "open", 4);
		c.peer.rx = next;
		conn_both_ways(&c, 100, 100);
		end(&c);
	}
	fault_count(s, nth - 2, dead);
}

/* ---- asking ---- */

static long call_status(int fd)
{
	struct kssl_status status;
	socklen_t len = sizeof(status);

	return getsockopt(fd, SOL_KSSL, KSSL_STATUS, &status, &len);
}

static long call_error(int fd)
{
	struct kssl_error error;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_KSSL, KSSL_ERROR, &error, &len);
}

void path_status(const struct source *s)
{
	unsigned int nth, more;
	struct conn c;
	int hit = 1;

	conn_open(&c);
	for (nth = 1; hit; nth++)
		WITH_FAULT(s, nth, hit, call_status(c.fd));
	for (more = 1, hit = 1; hit; more++)
		WITH_FAULT(s, more, hit, call_error(c.fd));
	conn_both_ways(&c, 100, 100);
	end(&c);
	fault_count(s, nth + more - 4, 0);
}

/* What kssl remembers of the kernel's algorithms holds until a module is loaded. */
static void forget_algorithms(void)
{
	EQ(system("modprobe -r dummy; modprobe dummy"), 0);
}

/* An answer is whole, or there is none: a suite left out would be a lie. */
void path_suites(const struct source *s)
{
	struct kssl_suite_info all[4], got[4];
	socklen_t all_len = sizeof(all), len;
	unsigned int nth;
	struct conn c;
	int hit = 1;

	conn_open(&c);
	SYS(getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, all, &all_len));
	for (nth = 1; hit; nth++) {
		len = sizeof(got);
		forget_algorithms();
		if (WITH_FAULT(s, nth, hit, getsockopt(c.fd, SOL_KSSL, KSSL_SUITES, got, &len)))
			continue;
		EQ(len, all_len);
		CHECK(!memcmp(got, all, len));
	}
	end(&c);
	fault_count(s, nth - 2, 0);
}

/* FIONREAD opens the next record to see how long its content is. */
void path_queued(const struct source *s)
{
	unsigned int nth, dead = 0;
	struct conn c;
	size_t at = 0;
	int hit = 1;

	conn_open(&c);
	for (nth = 1; hit; nth++) {
		int queued = 0;

		peer_send_pattern(&c.peer, at, 100, 100);
		peer_settle(&c.peer);
		WITH_FAULT(s, nth, hit, ioctl(c.fd, FIONREAD, &queued));
		if (error_of(c.fd).err) {
			EQ(error_of(c.fd).err, s->fatal);
			dead++;
			close(c.fd);
			close(c.peer.fd);
			conn_open(&c);
			at = 0;
			continue;
		}
		CHECK(queued == 100 || (hit && !queued));
		wait_ready(c.fd, POLLIN);
		EQ(queued_bytes(c.fd), 100);
		recv_pattern(c.fd, at, 100);
		at += 100;
	}
	end(&c);
	fault_count(s, nth - 2, dead);
}
