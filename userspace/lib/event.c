// SPDX-License-Identifier: MIT
/*
 * Events: one line for a person, and the queue in front of the callback.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "keys.h"

static const char *by_whom(const struct kssl_event_info *info)
{
	return info->by_peer ? "by peer" : "by us";
}

static const char *version_name(unsigned int version)
{
	static const char *const names[] = { "SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3" };

	return version >= KSSL_SSL30 && version <= KSSL_TLS13 ? names[version - KSSL_SSL30] : "TLS";
}

/* ", data held 12.3 ms", or nothing if sending was not held meanwhile. */
static void hold_text(const struct kssl_event_info *info, char *text, size_t size)
{
	text[0] = 0;
	if (info->after.holds != info->before.holds)
		snprintf(text, size, ", data held %.1f ms", info->after.hold_last_ns / 1e6);
}

static void describe(const struct kssl *k, const struct kssl_event_info *info, bool sending,
		     char *text, size_t size)
{
	const struct kssl_dir_status *before = sending ? &info->before.tx : &info->before.rx;
	const struct kssl_dir_status *after = sending ? &info->after.tx : &info->after.rx;
	char held[48];

	hold_text(info, held, sizeof(held));
	switch (info->event) {
	case KSSL_EVENT_HANDSHAKE_DONE:
		snprintf(text, size, "handshake %s: %s %s", by_whom(info), version_name(after->version),
			 kssl_suite_name(after->suite));
		break;
	case KSSL_EVENT_RENEGOTIATED:
		snprintf(text, size, "renegotiation %s: %s -> %s, epoch %u -> %u%s", by_whom(info),
			 kssl_suite_name(before->suite), kssl_suite_name(after->suite),
			 before->epoch, after->epoch, held);
		break;
	case KSSL_EVENT_KEY_UPDATE:
		snprintf(text, size, "KeyUpdate %s: new %s key, epoch %u -> %u%s", by_whom(info),
			 sending ? "sending" : "receiving", before->epoch, after->epoch, held);
		break;
	case KSSL_EVENT_TICKET:
		snprintf(text, size, "session ticket taken");
		break;
	case KSSL_EVENT_REFUSED:
		snprintf(text, size, info->by_peer ? "renegotiation by peer: we refused%s" :
			 "renegotiation by us: the peer refused%s", held);
		break;
	case KSSL_EVENT_FAILED:
		snprintf(text, size, "failed: %.150s", k->text);
		break;
	case KSSL_EVENT_AUTHENTICATED:
		snprintf(text, size, "the peer has shown a certificate, asked for %s", by_whom(info));
		break;
	case KSSL_EVENT_CLOSED:
		snprintf(text, size, "closed");
		break;
	}
}

/* The status was read before or after the kernel did the next one by itself. */
static void set_epochs(struct kssl_event_info *info, const struct kssl_engine_event *event)
{
	if (!event->to)
		return;
	(event->sending ? &info->before.tx : &info->before.rx)->epoch = event->from;
	(event->sending ? &info->after.tx : &info->after.rx)->epoch = event->to;
}

/**
 * kssl_event_queue() - have the callback called
 * @k: connection; @k->before and @k->last are the status before and after
 * @event: what happened
 *
 * Without memory the event is lost, the connection is not.
 */
void kssl_event_queue(struct kssl *k, const struct kssl_engine_event *event)
{
	struct kssl_queued *q;

	if (!k->cb)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	q->info.event = event->event;
	q->info.by_peer = event->by_peer;
	q->info.before = k->before;
	q->info.after = k->last;
	q->info.text = q->text;
	set_epochs(&q->info, event);
	describe(k, &q->info, event->sending, q->text, sizeof(q->text));
	*k->queue_tail = q;
	k->queue_tail = &q->next;
}

static struct kssl_queued *take(struct kssl *k)
{
	struct kssl_queued *q = k->queue;

	if (q) {
		k->queue = q->next;
		if (!k->queue)
			k->queue_tail = &k->queue;
	}
	return q;
}

/**
 * kssl_event_deliver() - call the callback with what waits for it
 * @k: connection, not locked
 */
void kssl_event_deliver(struct kssl *k)
{
	struct kssl_queued *q;

	for (;;) {
		pthread_mutex_lock(&k->lock);
		q = take(k);
		pthread_mutex_unlock(&k->lock);
		if (!q)
			return;
		k->cb(k, &q->info, k->cb_arg);
		free(q);
	}
}

/**
 * kssl_event_drop() - forget what waits
 * @k: connection about to be freed
 */
void kssl_event_drop(struct kssl *k)
{
	struct kssl_queued *q;

	while ((q = take(k)))
		free(q);
}
