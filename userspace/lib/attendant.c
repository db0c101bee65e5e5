// SPDX-License-Identifier: MIT
/*
 * Who exists, and the one thread per process that attends to all but those in
 * event-loop mode.  After fork() the child's copies are closed: a connection has
 * one helper, and that is the parent.
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

#include <openssl/crypto.h>

#include "internal.h"

#define EVENTS_MAX	16

/**
 * struct registry - what the process has
 * @lock: protects all of it
 * @idle: some kssl.busy went false, or @running did
 * @all: every connection
 * @table: attended connections by the number of their control file
 * @table_size: entries of @table
 * @epoll: control files and @stop, -1 without attendant
 * @stop: eventfd that ends the attendant
 * @thread: the attendant
 * @running: it exists
 * @prepared: fork and exit handlers are registered
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct kssl *all;
	struct kssl **table;
	size_t table_size;
	int epoll;
	int stop;
	pthread_t thread;
	bool running;
	bool prepared;
} registry = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.epoll = -1,
	.stop = -1,
};

/* ---- what a control file is watched for ---- */

static uint32_t wanted(const struct kssl *k)
{
	if (k->want_write)
		return EPOLLOUT;
	/* An event caused by a call of the application: be writable, that is now. */
	return k->queue ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

/**
 * kssl_watch() - watch a control file
 * @k: connection, locked or not yet known to anybody
 * @epoll: where
 *
 * Return: 0 or -errno.
 */
int kssl_watch(struct kssl *k, int epoll)
{
	struct epoll_event event = { .events = wanted(k), .data.fd = k->control };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, k->control, &event))
		return -errno;
	k->armed = event.events;
	k->epoll = epoll;
	return 0;
}

/**
 * kssl_watch_update() - watch for what is needed now
 * @k: connection, locked
 */
void kssl_watch_update(struct kssl *k)
{
	struct epoll_event event = { .events = wanted(k), .data.fd = k->control };

	if (k->epoll < 0 || !k->armed)
		return;
	/* A closed one stays only while events wait for the callback. */
	if (k->state == KSSL_CONN_CLOSED && !k->queue) {
		epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->control, NULL);
		k->armed = 0;
	} else if (event.events != k->armed) {
		epoll_ctl(k->epoll, EPOLL_CTL_MOD, k->control, &event);
		k->armed = event.events;
	}
}

/* ---- fork and exit ---- */

static void lock_registry(void)
{
	pthread_mutex_lock(&registry.lock);
}

static void unlock_registry(void)
{
	pthread_mutex_unlock(&registry.lock);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A thread that held the lock is not there any more: what it worked on is lost. */
static void disown(struct kssl *k)
{
	if (pthread_mutex_trylock(&k->lock) || k->busy) {
		k->engine = NULL;
		memset(&k->batch, 0, sizeof(k->batch));
		k->queue = NULL;
	}
	pthread_mutex_init(&k->lock, NULL);
	close_fd(&k->control);
	close_fd(&k->timer);
	if (k->event_loop)
		close_fd(&k->epoll);
	k->epoll = -1;
	k->armed = 0;
	k->busy = false;
	k->forked = true;
	k->state = KSSL_CONN_CLOSED;
}

static void start_as_child(void)
{
	struct kssl *k;

	for (k = registry.all; k; k = k->next)
		disown(k);
	registry.all = NULL;
	if (registry.table)
		memset(registry.table, 0, registry.table_size * sizeof(*registry.table));
	close_fd(&registry.epoll);
	close_fd(&registry.stop);
	registry.running = false;
	pthread_mutex_init(&registry.lock, NULL);
	pthread_cond_init(&registry.idle, NULL);
}

/* Before OpenSSL's own exit handler takes away what the attendant uses. */
static void stop_at_exit(void)
{
	struct timespec limit;
	uint64_t one = 1;

	pthread_mutex_lock(&registry.lock);
	if (registry.running && !pthread_equal(registry.thread, pthread_self()) &&
	    write(registry.stop, &one, sizeof(one)) == sizeof(one)) {
		/* Not for ever: the callback may wait for the thread that exits. */
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec++;
		while (registry.running &&
		       !pthread_cond_timedwait(&registry.idle, &registry.lock, &limit))
			;
	}
	pthread_mutex_unlock(&registry.lock);
}

/* ---- the attendant ---- */

static struct kssl *get_attended(int control)
{
	struct kssl *k = NULL;

	pthread_mutex_lock(&registry.lock);
	if (control >= 0 && (size_t)control < registry.table_size)
		k = registry.table[control];
	if (k)
		k->busy = true;
	pthread_mutex_unlock(&registry.lock);
	return k;
}

static void put_attended(struct kssl *k)
{
	pthread_mutex_lock(&registry.lock);
	k->busy = false;
	pthread_cond_broadcast(&registry.idle);
	pthread_mutex_unlock(&registry.lock);
}

static void attend(int control)
{
	struct kssl *k = get_attended(control);

	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	kssl_conn_service(k);
	pthread_mutex_unlock(&k->lock);
	kssl_event_deliver(k);
	pthread_mutex_lock(&k->lock);
	kssl_watch_update(k);
	pthread_mutex_unlock(&k->lock);
	put_attended(k);
}

static void *run_attendant(void *arg)
{
	struct epoll_event events[EVENTS_MAX];
	bool stop = false;
	int i, n;

	(void)arg;
	while (!stop) {
		n = epoll_wait(registry.epoll, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			break;
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == registry.stop)
				stop = true;
			else
				attend(events[i].data.fd);
		}
	}
	/* The process may be gone before this thread's own end would do that. */
	OPENSSL_thread_stop();
	pthread_mutex_lock(&registry.lock);
	registry.running = false;
	pthread_cond_broadcast(&registry.idle);
	pthread_mutex_unlock(&registry.lock);
	return NULL;
}

static int start_thread(void)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&registry.thread, NULL, run_attendant, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret) {
		pthread_detach(registry.thread);
		registry.running = true;
	}
	return -ret;
}

static int start_attendant(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ret = 0;

	if (registry.running)
		return 0;
	if (registry.epoll < 0)
		registry.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (registry.stop < 0)
		registry.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = registry.stop;
	if (registry.epoll < 0 || registry.stop < 0 ||
	    epoll_ctl(registry.epoll, EPOLL_CTL_ADD, registry.stop, &event))
		ret = -errno;
	if (!ret)
		ret = start_thread();
	if (ret) {
		close_fd(&registry.epoll);
		close_fd(&registry.stop);
	}
	return ret;
}

static int reserve_table(size_t size)
{
	struct kssl **table;

	if (size <= registry.table_size)
		return 0;
	size *= 2;
	table = realloc(registry.table, size * sizeof(*table));
	if (!table)
		return -ENOMEM;
	memset(table + registry.table_size, 0, (size - registry.table_size) * sizeof(*table));
	registry.table = table;
	registry.table_size = size;
	return 0;
}

/**
 * kssl_registry_add() - make a connection known
 * @k: new connection
 *
 * Return: 0 or -errno.
 */
int kssl_registry_add(struct kssl *k)
{
	int ret = 0;

	pthread_mutex_lock(&registry.lock);
	if (!registry.prepared) {
		ret = -pthread_atfork(lock_registry, unlock_registry, start_as_child);
		/* After OpenSSL's start, so it runs before OpenSSL's end. */
		if (!ret && atexit(stop_at_exit))
			ret = -ENOMEM;
		registry.prepared = !ret;
	}
	if (!ret) {
		k->prev = NULL;
		k->next = registry.all;
		if (k->next)
			k->next->prev = k;
		registry.all = k;
	}
	pthread_mutex_unlock(&registry.lock);
	return ret;
}

/**
 * kssl_attendant_add() - let the attendant have a connection
 * @k: known connection, locked
 *
 * Return: 0 or -errno.
 */
int kssl_attendant_add(struct kssl *k)
{
	int ret;

	pthread_mutex_lock(&registry.lock);
	ret = start_attendant();
	if (!ret)
		ret = reserve_table(k->control + 1);
	if (!ret)
		ret = kssl_watch(k, registry.epoll);
	if (!ret)
		registry.table[k->control] = k;
	pthread_mutex_unlock(&registry.lock);
	return ret;
}

/* When this returns the attendant has done with it: no callback runs any more. */
static void take_from_attendant(struct kssl *k)
{
	if (k->control >= 0 && (size_t)k->control < registry.table_size &&
	    registry.table[k->control] == k) {
		registry.table[k->control] = NULL;
		epoll_ctl(registry.epoll, EPOLL_CTL_DEL, k->control, NULL);
	}
	while (k->busy && !pthread_equal(registry.thread, pthread_self()))
		pthread_cond_wait(&registry.idle, &registry.lock);
}

/**
 * kssl_attendant_remove() - have a connection back from the attendant
 * @k: connection, not locked
 */
void kssl_attendant_remove(struct kssl *k)
{
	pthread_mutex_lock(&registry.lock);
	take_from_attendant(k);
	pthread_mutex_unlock(&registry.lock);
	k->epoll = -1;
	k->armed = 0;
}

/**
 * kssl_registry_remove() - forget a connection
 * @k: connection, not locked
 *
 * Returns when the attendant has done with it: no callback runs any more.
 */
void kssl_registry_remove(struct kssl *k)
{
	pthread_mutex_lock(&registry.lock);
	take_from_attendant(k);
	if (k->next)
		k->next->prev = k->prev;
	if (k->prev)
		k->prev->next = k->next;
	else if (registry.all == k)
		registry.all = k->next;
	pthread_mutex_unlock(&registry.lock);
}
