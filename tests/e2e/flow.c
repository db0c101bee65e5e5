// SPDX-License-Identifier: MIT
/* TCP streams put together again from their segments. */
#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "tap.h"

static void add_mark(struct marks *marks, uint64_t end, uint64_t tick)
{
	/* Room doubles at powers of two. */
	if (!(marks->count & (marks->count - 1))) {
		size_t room = marks->count ? 2 * marks->count : 1;

		marks->list = realloc(marks->list, room * sizeof(*marks->list));
		CHECK(marks->list);
	}
	marks->list[marks->count++] = (struct mark) { .end = end, .tick = tick };
}

const struct mark *marks_reach(const struct marks *marks, uint64_t end)
{
	size_t low = 0, high = marks->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (marks->list[middle].end < end)
			low = middle + 1;
		else
			high = middle;
	}
	return low < marks->count ? &marks->list[low] : NULL;
}

/* Stream position of a sequence number, which is less than 2 GiB away from where we are. */
static int64_t position(const struct flow *flow, uint32_t seq)
{
	return (int64_t)flow->len + (int32_t)(seq - (flow->base + (uint32_t)flow->len));
}

static void make_room(struct flow *flow, uint64_t end)
{
	if (end <= flow->size)
		return;
	flow->size = end < 65536 ? 131072 : 2 * end;
	flow->data = realloc(flow->data, flow->size);
	CHECK(flow->data);
}

static void add_ahead(struct flow *flow, uint64_t from, uint64_t to)
{
	if (flow->ahead_count == FLOW_GAPS) {
		flow->lost = 1;
		return;
	}
	flow->ahead[flow->ahead_count].from = from;
	flow->ahead[flow->ahead_count++].to = to;
}

/* What was ahead may now be part of the stream. */
static void close_gaps(struct flow *flow)
{
	unsigned int i = 0;

	while (i < flow->ahead_count) {
		if (flow->ahead[i].from > flow->len) {
			i++;
			continue;
		}
		if (flow->ahead[i].to > flow->len)
			flow->len = flow->ahead[i].to;
		flow->ahead[i] = flow->ahead[--flow->ahead_count];
		i = 0;
	}
}

static void take_data(struct flow *flow, int64_t from, const uint8_t *data, uint64_t len,
		      uint64_t tick)
{
	uint64_t again;

	if (from < 0) {
		/* A keepalive probe repeats one byte from before. */
		if ((uint64_t)-from >= len)
			return;
		data -= from;
		len += from;
		from = 0;
	}
	again = (uint64_t)from < flow->len ? flow->len - from : 0;
	if (again > len)
		again = len;
	if (memcmp(flow->data ? flow->data + from : data, data, again))
		flow->changed = 1;
	data += again;
	from += again;
	len -= again;
	if (!len)
		return;
	make_room(flow, from + len);
	memcpy(flow->data + from, data, len);
	if ((uint64_t)from > flow->len) {
		add_ahead(flow, from, from + len);
		return;
	}
	flow->len = from + len;
	close_gaps(flow);
	add_mark(&flow->seen, flow->len, tick);
}

void flow_take(struct flow *flow, struct flow *back, const struct segment *s, uint64_t tick)
{
	uint32_t seq = s->seq;
	int64_t acked;

	if (s->flags & SEGMENT_SYN) {
		flow->base = ++seq;
		flow->has_base = 1;
	}
	if (s->flags & SEGMENT_RST && !flow->rst)
		flow->rst = tick;
	if (!flow->has_base || s->flags & SEGMENT_RST)
		return;
	if (s->len)
		take_data(flow, position(flow, seq), s->data, s->len, tick);
	if (s->flags & SEGMENT_FIN && !flow->fin) {
		flow->fin = 1;
		flow->fin_at = position(flow, seq) + s->len;
		flow->fin_tick = tick;
	}
	if (!(s->flags & SEGMENT_ACK) || !back->has_base)
		return;
	acked = position(back, s->ack);
	if (acked > 0 && (!back->acked.count ||
			  (uint64_t)acked > back->acked.list[back->acked.count - 1].end))
		add_mark(&back->acked, acked, tick);
}

void flow_free(struct flow *flow)
{
	free(flow->data);
	free(flow->seen.list);
	free(flow->acked.list);
	memset(flow, 0, sizeof(*flow));
}
