// SPDX-License-Identifier: MIT
/*
 * One connection between control file and engine: messages in, batches out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/crypto.h>

#include "internal.h"

/* Messages taken in one go before other connections have their turn. */
#define MESSAGES_MAX	16

int64_t kssl_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/** kssl_conn_is_busy() - a handshake runs, or its batch waits */
bool kssl_conn_is_busy(const struct kssl *k)
{
	/* What was begun after our close_notify, nobody will end. */
	return k->state <= KSSL_CONN_OPEN && !k->tx_closed &&
	       (kssl_engine_is_busy(k->engine) || k->batch.len);
}

/* The application may have closed the socket, and its number be another one's. */
static bool has_socket(const struct kssl *k)
{
	uint64_t cookie;

	return k->fd >= 0 && !kssl_control_cookie(k->fd, &cookie) && cookie == k->cookie;
}

static int read_status(struct kssl *k, struct kssl_status *status)
{
	if (k->fd >= 0)
		return has_socket(k) ? kssl_control_status(k->fd, status) : -ENOTCONN;
	memset(status, 0, sizeof(*status));
	status->size = sizeof(*status);
	return kssl_control_ask(k->control, KSSL_IOC_STATUS, status);
}

static int read_error(struct kssl *k, struct kssl_error *error)
{
	if (k->fd >= 0)
		return has_socket(k) ? kssl_control_error(k->fd, error) : -ENOTCONN;
	memset(error, 0, sizeof(*error));
	error->size = sizeof(*error);
	return kssl_control_ask(k->control, KSSL_IOC_ERROR, error);
}

/**
 * kssl_conn_policy() - what the connection bears from now on
 * @k: connection
 * @policy: all of it
 *
 * Return: 0 or -errno.
 */
int kssl_conn_policy(struct kssl *k, const struct kssl_policy *policy)
{
	struct kssl_policy copy = *policy;

	if (k->fd >= 0)
		return has_socket(k) ? kssl_control_policy(k->fd, policy) : -ENOTCONN;
	return kssl_control_ask(k->control, KSSL_IOC_POLICY, &copy);
}

/**
 * kssl_conn_look() - refresh @k->last from the kernel
 * @k: connection
 *
 * Keeps the old one if the application has closed the socket.
 */
void kssl_conn_look(struct kssl *k)
{
	struct kssl_status status;

	if (k->state != KSSL_CONN_CLOSED && !read_status(k, &status))
		k->last = status;
}

static void set_state(struct kssl *k, enum kssl_conn_state state)
{
	k->state = state;
	pthread_cond_broadcast(&k->changed);
}

/* The first cause stays. */
static void set_failed(struct kssl *k, const struct kssl_error *error)
{
	if (k->state >= KSSL_CONN_FAILED)
		return;
	k->error = *error;
	snprintf(k->text, sizeof(k->text), "%.*s", (int)sizeof(error->text), error->text);
	set_state(k, KSSL_CONN_FAILED);
}

/* What the engine has made of the step just written. */
static void collect(struct kssl *k)
{
	struct kssl_engine_event events[KSSL_ENGINE_EVENTS_MAX];
	unsigned int count = kssl_engine_take_events(k->engine, events), i;

	if (k->state == KSSL_CONN_HANDSHAKE && kssl_engine_is_open(k->engine))
		set_state(k, KSSL_CONN_OPEN);
	if (kssl_engine_error(k->engine)->err)
		set_failed(k, kssl_engine_error(k->engine));
	pthread_cond_broadcast(&k->changed);
	if (!count)
		return;
	kssl_conn_look(k);
	for (i = 0; i < count; i++)
		if (!events[i].sending || !k->tx_closed)
			kssl_event_queue(k, &events[i]);
}

static void refuse(struct kssl *k, int ret)
{
	char text[128];

	snprintf(text, sizeof(text), "the kernel refused what the handshake led to: %s", strerror(-ret));
	kssl_batch_clear(&k->batch);
	kssl_engine_give_up(k->engine, &k->batch, -ret, text);
	/* If this is refused too, the socket has failed or is gone. */
	if (k->batch.len)
		kssl_control_write(k->control, k->batch.buf, k->batch.len);
}

/**
 * kssl_conn_flush() - write what is in @k->batch
 * @k: connection; @k->want_write is set if the kernel has no room
 */
void kssl_conn_flush(struct kssl *k)
{
	int ret;

	k->want_write = false;
	if (k->batch.err) {
		refuse(k, k->batch.err);
	} else if (k->batch.len) {
		ret = kssl_control_write(k->control, k->batch.buf, k->batch.len);
		if (ret == -EAGAIN) {
			k->want_write = true;
			return;
		}
		if (ret == -EPIPE) {
			/* Our side is closed, or all of it: then an event tells. */
			k->tx_closed = true;
			kssl_batch_drop_output(&k->batch);
			kssl_engine_sending_closed(k->engine, &k->batch);
			if (k->batch.len)
				kssl_control_write(k->control, k->batch.buf, k->batch.len);
		} else if (ret) {
			refuse(k, ret);
		}
	}
	kssl_batch_clear(&k->batch);
	collect(k);
}

/**
 * kssl_conn_fail() - fail for a reason outside of the handshake
 * @k: connection
 * @err: positive errno
 * @text: one sentence
 */
void kssl_conn_fail(struct kssl *k, int err, const char *text)
{
	kssl_batch_clear(&k->batch);
	kssl_engine_give_up(k->engine, &k->batch, err, text);
	kssl_conn_flush(k);
}

static void tell(struct kssl *k, enum kssl_event event, bool by_peer)
{
	const struct kssl_engine_event e = { .event = event, .by_peer = by_peer };

	kssl_event_queue(k, &e);
}

/* The kernel failed the connection; it knows why. */
static void take_failure(struct kssl *k, uint32_t err)
{
	struct kssl_error error;

	if (k->state >= KSSL_CONN_FAILED)
		return;
	if (read_error(k, &error) || !error.err) {
		memset(&error, 0, sizeof(error));
		error.err = err ? err : EIO;
		error.who = KSSL_WHO_KERNEL;
		snprintf(error.text, sizeof(error.text), "the connection failed: %s",
			 strerror(error.err));
	}
	kssl_engine_gone(k->engine, true);
	set_failed(k, &error);
	kssl_conn_look(k);
	tell(k, KSSL_EVENT_FAILED, error.who == KSSL_WHO_PEER);
}

static void take_closed(struct kssl *k, uint32_t err)
{
	if (k->state == KSSL_CONN_CLOSED)
		return;
	if (k->state == KSSL_CONN_HANDSHAKE) {
		struct kssl_error error = {
			.size = sizeof(error), .err = err ? err : ECONNRESET, .who = KSSL_WHO_KERNEL,
			.text = "the socket was closed during the handshake",
		};

		set_failed(k, &error);
	}
	kssl_engine_gone(k->engine, false);
	set_state(k, KSSL_CONN_CLOSED);
	tell(k, KSSL_EVENT_CLOSED, false);
}

/* What is about to happen begins with the status as it is. */
static void look_before(struct kssl *k)
{
	if (!k->cb || kssl_engine_is_busy(k->engine))
		return;
	kssl_conn_look(k);
	k->before = k->last;
}

/* An application wants keying material, and the kernel knows which. */
static void take_exporter(struct kssl *k, uint32_t id)
{
	struct kssl_exporter wanted = { .size = sizeof(wanted) };

	if (!kssl_control_ask(k->control, KSSL_IOC_EXPORTER, &wanted))
		kssl_engine_export(k->engine, &wanted, id, &k->batch);
}

static void take_kernel_event(struct kssl *k, const struct kssl_msg *head)
{
	switch (head->type) {
	case KSSL_EV_CLOSED:
		take_closed(k, head->value);
		break;
	case KSSL_EV_EOF:
	case KSSL_EV_CLOSE_NOTIFY:
		kssl_engine_peer_closed(k->engine, head->type == KSSL_EV_CLOSE_NOTIFY, &k->batch);
		pthread_cond_broadcast(&k->changed);
		break;
	case KSSL_EV_FAILED:
		take_failure(k, head->value);
		break;
	case KSSL_EV_KEY_UPDATE:
		look_before(k);
		kssl_engine_take_epochs(k->engine, head->epoch, head->value, &k->batch);
		break;
	case KSSL_EV_REKEY:
		look_before(k);
		kssl_engine_rekey(k->engine, head->value, &k->batch);
		break;
	case KSSL_EV_REQUEST:
		if (head->value == KSSL_ASK_EXPORTER) {
			take_exporter(k, head->epoch);
			break;
		}
		look_before(k);
		kssl_engine_request(k->engine, head->value, head->epoch, &k->batch);
		break;
	}
}

static void take_message(struct kssl *k, union kssl_message *msg)
{
	const uint8_t *payload = msg->bytes + sizeof(msg->head);
	size_t len = msg->head.len - sizeof(msg->head);

	if (msg->head.kind == KSSL_MSG_EVENT) {
		take_kernel_event(k, &msg->head);
		return;
	}
	look_before(k);
	if (msg->head.kind == KSSL_MSG_RAW)
		kssl_engine_take_raw(k->engine, payload, len, &k->batch);
	else if (msg->head.kind == KSSL_MSG_RECORD)
		kssl_engine_take_record(k->engine, &msg->head, payload, len, &k->batch);
}

/**
 * kssl_conn_service() - take what the kernel says and answer it
 * @k: connection
 *
 * Never blocks. Afterwards either there is nothing more to read, or the control
 * file is still readable, or @k->want_write is set.
 */
void kssl_conn_service(struct kssl *k)
{
	union kssl_message msg;
	int i, ret = 0;

	for (i = 0; i < MESSAGES_MAX; i++) {
		kssl_conn_flush(k);
		if (k->want_write || k->state == KSSL_CONN_CLOSED)
			break;
		ret = kssl_control_read(k->control, &msg);
		if (ret <= 0)
			break;
		take_message(k, &msg);
		OPENSSL_cleanse(&msg, ret);
	}
	if (!k->want_write)
		kssl_conn_flush(k);
	if (k->state != KSSL_CONN_CLOSED && ret <= 0 && ret != -EAGAIN && !k->want_write)
		take_closed(k, -ret);
}
