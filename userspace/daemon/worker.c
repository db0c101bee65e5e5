// SPDX-License-Identifier: MIT
/*
 * Workers: a thread each, with an epoll of its own.  The main thread gives them
 * connections by way of a list and an eventfd.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kssld.h"

#define EVENTS_MAX	64
#define TICK_MS		100

enum leaving {
	LEAVING_NOT,
	LEAVING_LATER,		/* sessions go on until the deadline */
	LEAVING_NOW,		/* and here only what shakes hands does */
};

/**
 * struct worker - one thread
 * @thread: itself
 * @number: from 1 on
 * @epoll: connections, and @wake
 * @wake: something is in @fresh, or it is time to leave
 * @lock: protects @fresh
 * @fresh: not yet started
 * @all: connections
 * @leaving: enum leaving
 * @deadline: until then, milliseconds
 * @done: the thread has ended
 */
struct worker {
	pthread_t thread;
	unsigned int number;
	int epoll;
	int wake;
	pthread_mutex_t lock;
	struct conn *fresh;
	struct conn *all;
	atomic_int leaving;
	atomic_llong deadline;
	atomic_bool done;
};

static struct worker *workers;
static unsigned int workers_total;
static unsigned int turn;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void wake(struct worker *w)
{
	uint64_t one = 1;

	if (write(w->wake, &one, sizeof(one)) != sizeof(one))
		log_line(LOG_IS_ERROR, "a worker cannot be woken: %s", strerror(errno));
}

/* ---- connections ---- */

static void drop(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else if (w->all == c)
		w->all = c->next;
	kssl_free(c->k);
	settings_put(c->settings);
	free(c);
}

static void start(struct worker *w, struct conn *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->next = w->all;
	if (c->next)
		c->next->prev = c;
	w->all = c;
	if (conn_start(c) || epoll_ctl(w->epoll, EPOLL_CTL_ADD, kssl_fd(c->k), &event))
		drop(c);
}

static void start_fresh(struct worker *w)
{
	struct conn *c, *next;
	uint64_t count;

	if (read(w->wake, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&w->lock);
	c = w->fresh;
	w->fresh = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; c; c = next) {
		next = c->next;
		c->next = NULL;
		start(w, c);
	}
}

static void attend(struct conn *c)
{
	if (kssl_attend(c->k) && c->gone)
		drop(c);
}

/* ---- leaving ---- */

/* Of those that shake hands the kernel knows at the deadline that the helper is gone. */
static void leave(struct worker *w)
{
	bool late = now_ms() >= w->deadline;
	struct conn *c, *next;

	for (c = w->all; c; c = next) {
		next = c->next;
		if (!late && (w->leaving == LEAVING_LATER || !kssl_is_established(c->k)))
			continue;
		if (kssl_detach(c->k) && !late)
			continue;
		drop(c);
	}
}

static bool has_left(struct worker *w)
{
	bool empty;

	if (!w->leaving)
		return false;
	leave(w);
	pthread_mutex_lock(&w->lock);
	empty = !w->fresh;
	pthread_mutex_unlock(&w->lock);
	return empty && !w->all;
}

static void *run(void *arg)
{
	struct epoll_event events[EVENTS_MAX];
	struct worker *w = arg;
	int n, i;

	keys_set_worker(w->number);
	do {
		n = epoll_wait(w->epoll, events, EVENTS_MAX, w->leaving ? TICK_MS : -1);
		for (i = 0; i < n; i++)
			if (events[i].data.ptr)
				attend(events[i].data.ptr);
		/* Last: what it frees may be among the events. */
		start_fresh(w);
	} while (!has_left(w));
	OPENSSL_thread_stop();
	w->done = true;
	return NULL;
}

/* ---- the main thread's side ---- */

static int start_worker(struct worker *w, unsigned int number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	w->number = number;
	pthread_mutex_init(&w->lock, NULL);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event))
		return -errno;
	return -pthread_create(&w->thread, NULL, run, w);
}

/**
 * workers_start() - start the threads, all signals blocked
 * @count: how many
 *
 * Return: 0 or -errno.
 */
int workers_start(unsigned int count)
{
	int ret = 0;

	workers = calloc(count, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	for (workers_total = 0; !ret && workers_total < count; workers_total++)
		ret = start_worker(&workers[workers_total], workers_total + 1);
	return ret;
}

/** workers_give() - a new connection for the next of them */
void workers_give(struct conn *c)
{
	struct worker *w = &workers[turn++ % workers_total];

	c->worker = w;
	pthread_mutex_lock(&w->lock);
	c->next = w->fresh;
	w->fresh = c;
	pthread_mutex_unlock(&w->lock);
	wake(w);
}

/**
 * workers_leave() - let go of all connections, which live on without us
 * @seconds: until then handshakes may end
 * @at_once: sessions that are up are let go of now, else then too
 */
void workers_leave(unsigned int seconds, bool at_once)
{
	unsigned int i;

	for (i = 0; i < workers_total; i++) {
		workers[i].deadline = now_ms() + seconds * INT64_C(1000);
		workers[i].leaving = at_once ? LEAVING_NOW : LEAVING_LATER;
		wake(&workers[i]);
	}
}

/** workers_are_done() - none has a connection any more, and they have ended */
bool workers_are_done(void)
{
	unsigned int i;

	for (i = 0; i < workers_total; i++)
		if (!workers[i].done)
			return false;
	return true;
}
