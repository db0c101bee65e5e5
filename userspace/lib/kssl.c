// SPDX-License-Identifier: MIT
/*
 * The public calls on a connection.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "internal.h"
#include "keys.h"

static _Thread_local char thread_text[KSSL_TEXT_LEN] = "no error";

/* ---- making ---- */

static struct kssl *refuse(struct kssl *k, int err, const char *text)
{
	snprintf(thread_text, sizeof(thread_text), "%s", text);
	if (k)
		kssl_free(k);
	errno = err;
	return NULL;
}

static struct kssl *new_conn(int fd, const struct kssl_config *config)
{
	struct kssl *k = calloc(1, sizeof(*k));
	pthread_condattr_t attr;

	if (!k)
		return NULL;
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->changed, &attr);
	pthread_condattr_destroy(&attr);
	k->fd = fd;
	k->control = -1;
	k->epoll = -1;
	k->timer = -1;
	k->queue_tail = &k->queue;
	k->event_loop = config->event_loop;
	k->policy = config->policy;
	if (config->kernel_updates)
		k->policy.flags |= KSSL_POLICY_KEY_UPDATE;
	if (config->orphan)
		k->policy.flags |= KSSL_POLICY_ORPHAN;
	k->timeout_ms = config->timeout_ms;
	k->cb = config->cb;
	k->cb_arg = config->cb_arg;
	return k;
}

static int verify_mode(const struct kssl_config *config, int server)
{
	return server ? config->client_cert : !config->noverify;
}

static struct kssl_engine_setup new_setup(int server, const char *name, const struct kssl_config *config)
{
	return (struct kssl_engine_setup) {
		.ctx = config->ctx, .server = server, .name = name,
		.verify = verify_mode(config, server),
		.client_renegotiation = config->client_renegotiation,
		.kernel_updates = config->kernel_updates,
		.require_answer = config->require_answer, .record_limit = config->record_limit,
		.session = config->session,
		.keylog = config->keylog, .keylog_arg = config->keylog_arg,
	};
}

static int make_engine(struct kssl *k, const struct kssl_engine_setup *setup, const struct kssl_config *config)
{
	int ret;

	k->engine = kssl_engine_new(setup, &k->error);
	if (!k->engine) {
		snprintf(k->text, sizeof(k->text), "%s", k->error.text);
		return -k->error.err;
	}
	ret = config->prepare ? config->prepare(kssl_engine_ssl(k->engine), config->prepare_arg) : 0;
	if (ret)
		snprintf(k->text, sizeof(k->text), "the caller could not prepare the connection: %s", strerror(-ret));
	return ret;
}

/* ULP, suites, engine, and last the control file, which cannot be given back. */
static int attach(struct kssl *k, int server, const char *name, const struct kssl_config *config)
{
	struct kssl_engine_setup setup = new_setup(server, name, config);
	struct kssl_suite_info *suites = NULL;
	int ret = kssl_control_attach(k->fd);

	if (ret == -ENOENT)
		snprintf(k->text, sizeof(k->text), "the kernel has no kssl: is the module loaded?");
	else if (ret)
		snprintf(k->text, sizeof(k->text), "kssl cannot be put on this socket: %s", strerror(-ret));
	if (ret)
		return ret;
	ret = kssl_control_policy(k->fd, &k->policy);
	if (!ret)
		ret = kssl_control_suites(k->fd, &suites, &setup.suites_count);
	if (!ret)
		ret = kssl_control_cookie(k->fd, &k->cookie);
	if (ret) {
		snprintf(k->text, sizeof(k->text), "the socket's kssl options: %s", strerror(-ret));
		free(suites);
		return ret;
	}
	setup.suites = suites;
	ret = make_engine(k, &setup, config);
	free(suites);
	if (ret)
		return ret;
	k->control = kssl_control_open(k->fd);
	if (k->control < 0) {
		ret = k->control;
		k->control = -1;
		snprintf(k->text, sizeof(k->text), "the control file: %s", strerror(-ret));
	}
	return ret;
}

/* Any socket tells what the kernel can carry. */
static int ask_suites(struct kssl_suite_info **suites, unsigned int *count)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), ret;

	if (fd < 0)
		return -errno;
	ret = kssl_control_attach(fd);
	if (!ret)
		ret = kssl_control_suites(fd, suites, count);
	close(fd);
	return ret;
}

/* As attach(), with a control file from elsewhere. */
static int attach_control(struct kssl *k, int server, const char *name, const struct kssl_config *config)
{
	struct kssl_engine_setup setup = new_setup(server, name, config);
	struct kssl_suite_info *asked = NULL;
	int ret = kssl_control_prepare(k->control);

	setup.profile = config->profile;
	setup.suites = config->suites;
	setup.suites_count = config->suites_count;
	if (!ret && !setup.suites) {
		ret = ask_suites(&asked, &setup.suites_count);
		setup.suites = asked;
	}
	if (!ret)
		ret = kssl_conn_policy(k, &k->policy);
	if (ret)
		snprintf(k->text, sizeof(k->text), "the control file: %s", strerror(-ret));
	else
		ret = make_engine(k, &setup, config);
	free(asked);
	return ret;
}

/* Until the first handshake is over or the time is. */
static void shake_hands(struct kssl *k)
{
	int64_t deadline = kssl_now_ms() + k->timeout_ms;

	for (;;) {
		struct pollfd pfd = { .fd = k->control };
		int64_t left;

		kssl_conn_service(k);
		if (k->state != KSSL_CONN_HANDSHAKE)
			return;
		left = deadline - kssl_now_ms();
		if (left <= 0) {
			kssl_conn_fail(k, ETIMEDOUT, "the handshake took too long");
			return;
		}
		pfd.events = k->want_write ? POLLOUT : POLLIN;
		poll(&pfd, 1, left);
	}
}

/* An epoll of its own, so that the caller polls for input whatever we wait for. */
static int set_up_event_loop(struct kssl *k)
{
	struct itimerspec limit = {
		.it_value = { .tv_sec = k->timeout_ms / 1000,
			      .tv_nsec = k->timeout_ms % 1000 * 1000000L },
	};
	struct epoll_event event = { .events = EPOLLIN, .data.fd = -1 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		return -errno;
	k->epoll = epoll;
	k->deadline_ms = kssl_now_ms() + k->timeout_ms;
	k->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (k->timer < 0 || timerfd_settime(k->timer, 0, &limit, NULL) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, k->timer, &event))
		return -errno;
	kssl_conn_flush(k);
	return kssl_watch(k, epoll);
}

static struct kssl *run(struct kssl *k)
{
	int ret = kssl_registry_add(k);

	if (ret)
		return refuse(k, -ret, strerror(-ret));
	pthread_mutex_lock(&k->lock);
	kssl_engine_start(k->engine, &k->batch);
	if (k->event_loop) {
		ret = set_up_event_loop(k);
	} else {
		shake_hands(k);
		if (k->state == KSSL_CONN_OPEN)
			ret = kssl_attendant_add(k);
	}
	if (ret)
		snprintf(k->text, sizeof(k->text), "%s", strerror(-ret));
	else if (k->state != KSSL_CONN_OPEN && !k->event_loop)
		ret = k->error.err ? -k->error.err : -EIO;
	pthread_mutex_unlock(&k->lock);
	return ret ? refuse(k, -ret, k->text) : k;
}

static struct kssl *start(int fd, int server, const char *name, const struct kssl_config *config)
{
	struct kssl *k;
	int ret;

	if (!server && !name && !config->noverify)
		return refuse(NULL, EINVAL, "a client needs the name of its server");
	k = new_conn(fd, config);
	if (!k)
		return refuse(NULL, ENOMEM, "out of memory");
	ret = attach(k, server, name, config);
	return ret ? refuse(k, -ret, k->text) : run(k);
}

struct kssl *kssl_connect(int fd, const char *name, struct kssl_config *config)
{
	return start(fd, 0, name, config);
}

struct kssl *kssl_accept(int fd, struct kssl_config *config)
{
	return start(fd, 1, NULL, config);
}

static void fail_control(int control, int err, const char *text)
{
	struct kssl_batch batch = { 0 };
	struct kssl_error error = { .size = sizeof(error), .err = err, .who = KSSL_WHO_HELPER };

	snprintf(error.text, sizeof(error.text), "%s", text);
	kssl_batch_add(&batch, KSSL_OP_FAIL, 0, &error, sizeof(error));
	if (!batch.err)
		kssl_control_write(control, batch.buf, batch.len);
	kssl_batch_clear(&batch);
}

void kssl_refuse(int control, int err, const char *text)
{
	fail_control(control, err, text);
	close(control);
}

struct kssl *kssl_adopt(int control, int server, const char *name, struct kssl_config *config)
{
	const char *no_name = "a client needs the name of its server";
	struct kssl *k;
	int ret;

	if (!server && !name && !config->noverify) {
		kssl_refuse(control, EINVAL, no_name);
		return refuse(NULL, EINVAL, no_name);
	}
	k = new_conn(-1, config);
	if (!k) {
		kssl_refuse(control, ENOMEM, "out of memory");
		return refuse(NULL, ENOMEM, "out of memory");
	}
	k->control = control;
	ret = attach_control(k, server, name, config);
	if (!ret)
		return run(k);
	fail_control(control, -ret, k->text);
	return refuse(k, -ret, k->text);
}

void kssl_free(struct kssl *k)
{
	if (!k)
		return;
	kssl_registry_remove(k);
	if (k->control >= 0)
		close(k->control);
	if (k->timer >= 0)
		close(k->timer);
	if (k->event_loop && k->epoll >= 0)
		close(k->epoll);
	kssl_engine_free(k->engine);
	kssl_batch_clear(&k->batch);
	kssl_event_drop(k);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

/* ---- asking ---- */

const char *kssl_error(const struct kssl *k)
{
	struct kssl *conn = (struct kssl *)k;

	if (!conn)
		return thread_text;
	/* A copy: the attendant may write the next one. */
	pthread_mutex_lock(&conn->lock);
	snprintf(thread_text, sizeof(thread_text), "%s", conn->text[0] ? conn->text : "no error");
	pthread_mutex_unlock(&conn->lock);
	return thread_text;
}

int kssl_is_established(const struct kssl *k)
{
	return k->state == KSSL_CONN_OPEN;
}

int kssl_fd(const struct kssl *k)
{
	return k->event_loop ? k->epoll : -1;
}

SSL *kssl_ssl(const struct kssl *k)
{
	return k->engine ? kssl_engine_ssl(k->engine) : NULL;
}

SSL_SESSION *kssl_get1_session(const struct kssl *k)
{
	struct kssl *conn = (struct kssl *)k;
	SSL_SESSION *session;

	if (conn->forked)
		return NULL;
	pthread_mutex_lock(&conn->lock);
	session = kssl_engine_get1_session(conn->engine);
	pthread_mutex_unlock(&conn->lock);
	return session;
}

int kssl_status(const struct kssl *k, struct kssl_status *status)
{
	struct kssl *conn = (struct kssl *)k;

	if (conn->forked)
		return -ESRCH;
	pthread_mutex_lock(&conn->lock);
	kssl_conn_look(conn);
	*status = conn->last;
	pthread_mutex_unlock(&conn->lock);
	return 0;
}

/* ---- doing ---- */

/* 0, or why nothing can be done with @k. */
static int usable(const struct kssl *k)
{
	if (k->forked)
		return -ESRCH;
	if (k->state == KSSL_CONN_FAILED)
		return k->error.err ? -k->error.err : -EIO;
	return k->state == KSSL_CONN_CLOSED ? -ENOTCONN : 0;
}

static void check_deadline(struct kssl *k)
{
	if (k->timer < 0)
		return;
	if (k->state == KSSL_CONN_HANDSHAKE && kssl_now_ms() >= k->deadline_ms)
		kssl_conn_fail(k, ETIMEDOUT, "the handshake took too long");
	if (k->state != KSSL_CONN_HANDSHAKE) {
		close(k->timer);
		k->timer = -1;
	}
}

int kssl_attend(struct kssl *k)
{
	int ret;

	if (k->forked)
		return -ESRCH;
	pthread_mutex_lock(&k->lock);
	if (k->state != KSSL_CONN_CLOSED)
		kssl_conn_service(k);
	check_deadline(k);
	pthread_mutex_unlock(&k->lock);
	kssl_event_deliver(k);
	pthread_mutex_lock(&k->lock);
	kssl_watch_update(k);
	ret = usable(k);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

/* What the engine put in the batch goes out; its answer is the attendant's. */
static int conclude(struct kssl *k, int ret, const char *why)
{
	if (ret)
		snprintf(k->text, sizeof(k->text), "%s", why);
	if (!ret || ret == -EIO)
		kssl_conn_flush(k);
	if (!ret)
		ret = usable(k);
	kssl_watch_update(k);
	return ret;
}

/* Locks @k if it is fit for a step of ours. */
static int begin(struct kssl *k)
{
	int ret;

	if (k->forked)
		return -ESRCH;
	pthread_mutex_lock(&k->lock);
	/* One at a time: the kernel bounds the keys of a batch. */
	if (k->want_write)
		kssl_conn_flush(k);
	ret = usable(k);
	if (!ret && k->want_write) {
		snprintf(k->text, sizeof(k->text), "the peer does not read; the last step still waits");
		ret = -EALREADY;
	}
	kssl_conn_look(k);
	if (!ret && (k->tx_closed || k->last.tx.state == KSSL_STATE_CLOSED)) {
		snprintf(k->text, sizeof(k->text), "sending is closed");
		ret = -EPIPE;
	}
	if (ret)
		pthread_mutex_unlock(&k->lock);
	else if (!kssl_engine_is_busy(k->engine))
		k->before = k->last;
	return ret;
}

int kssl_renegotiate(struct kssl *k, int how)
{
	const char *why = NULL;
	int ret = begin(k);

	if (ret)
		return ret;
	ret = kssl_engine_renegotiate(k->engine, how, &k->batch, &why);
	ret = conclude(k, ret, why);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

int kssl_key_update(struct kssl *k, int request)
{
	const char *why = NULL;
	int ret = begin(k);

	if (ret)
		return ret;
	ret = kssl_engine_key_update(k->engine, request, &k->batch, &why);
	ret = conclude(k, ret, why);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

static int put_policy(struct kssl *k, const struct kssl_policy *policy)
{
	int ret = kssl_conn_policy(k, policy);

	if (!ret)
		k->policy = *policy;
	else
		snprintf(k->text, sizeof(k->text), "the policy: %s", strerror(-ret));
	return ret;
}

int kssl_set_policy(struct kssl *k, const struct kssl_policy *policy)
{
	struct kssl_policy merged;
	int ret;

	if (k->forked)
		return -ESRCH;
	pthread_mutex_lock(&k->lock);
	ret = usable(k);
	merged = k->policy;
	if (!ret)
		ret = kssl_policy_merge(policy, KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE, &merged);
	if (!ret)
		ret = put_policy(k, &merged);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

/* With what came before answered, and nothing under way. */
static int may_detach(struct kssl *k)
{
	int ret;

	kssl_conn_service(k);
	ret = usable(k);
	if (!ret && (k->state != KSSL_CONN_OPEN || kssl_conn_is_busy(k))) {
		snprintf(k->text, sizeof(k->text), "a handshake runs");
		ret = -EBUSY;
	}
	return ret;
}

static void leave(struct kssl *k)
{
	if (k->event_loop && k->epoll >= 0)
		epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->control, NULL);
	k->armed = 0;
	close(k->control);
	k->control = -1;
	k->detached = true;
	k->state = KSSL_CONN_CLOSED;
	kssl_engine_gone(k->engine, false);
	pthread_cond_broadcast(&k->changed);
}

/* Let go of it, or have it attended to as before. */
static int detach(struct kssl *k)
{
	struct kssl_policy orphan = k->policy, before = k->policy;
	int ret = may_detach(k);

	orphan.flags |= KSSL_POLICY_ORPHAN;
	if (!ret)
		ret = put_policy(k, &orphan);
	/* Until a moment ago something may have come. */
	if (!ret) {
		ret = may_detach(k);
		if (!ret)
			leave(k);
		else
			put_policy(k, &before);
	}
	if (ret && !k->event_loop && kssl_attendant_add(k))
		kssl_conn_fail(k, ENOMEM, "nobody can attend to the connection any more");
	kssl_watch_update(k);
	return ret;
}

int kssl_detach(struct kssl *k)
{
	int ret;

	if (k->forked)
		return -ESRCH;
	if (!k->event_loop)
		kssl_attendant_remove(k);
	pthread_mutex_lock(&k->lock);
	ret = detach(k);
	pthread_mutex_unlock(&k->lock);
	kssl_event_deliver(k);
	return ret;
}

static int wait_attended(struct kssl *k, int64_t deadline)
{
	struct timespec limit = {
		.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000L,
	};
	int ret = 0;

	pthread_mutex_lock(&k->lock);
	while (!ret && kssl_conn_is_busy(k))
		ret = -pthread_cond_timedwait(&k->changed, &k->lock, &limit);
	if (!ret)
		ret = usable(k);
	pthread_mutex_unlock(&k->lock);
	return ret;
}

static int wait_in_loop(struct kssl *k, int64_t deadline)
{
	for (;;) {
		struct pollfd pfd = { .fd = k->epoll, .events = POLLIN };
		int64_t left = deadline - kssl_now_ms();
		int ret = kssl_attend(k);

		if (ret || !kssl_conn_is_busy(k))
			return ret;
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&pfd, 1, left);
	}
}

int kssl_wait(struct kssl *k, int ms)
{
	int64_t deadline = kssl_now_ms() + ms;

	if (k->forked)
		return -ESRCH;
	return k->event_loop ? wait_in_loop(k, deadline) : wait_attended(k, deadline);
}
