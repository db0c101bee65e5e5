/* SPDX-License-Identifier: MIT */
/* One direction of a TCP connection as a bystander sees it: segments in, a byte stream out. */
#ifndef FLOW_H
#define FLOW_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct mark - when a stream had got how far
 * @end: bytes from its beginning
 * @tick: number of the packet that made it so; ticks count both directions together
 */
struct mark {
	uint64_t end;
	uint64_t tick;
};

/**
 * struct marks - these in order
 * @list: both members grow
 * @count: how many
 */
struct marks {
	struct mark *list;
	size_t count;
};

/* Segments that are ahead of the stream: more than a few only if something was lost. */
#define FLOW_GAPS	1024

/**
 * struct flow - one direction
 * @data: its bytes, which may lie about beyond @len
 * @len: how many are there without a gap
 * @size: room at @data
 * @ahead: parts beyond @len that are there
 * @ahead_count: how many
 * @seen: when how much was there
 * @acked: when how much of this stream the other side had acknowledged
 * @base: sequence number of the first byte
 * @has_base: it is known
 * @fin: there is a FIN, at @fin_at
 * @fin_at: stream position of the FIN
 * @fin_tick: its packet
 * @rst: tick of the first RST, or 0
 * @changed: a byte was sent again and was another one
 * @lost: more gaps than can be kept
 */
struct flow {
	uint8_t *data;
	uint64_t len;
	uint64_t size;
	struct { uint64_t from, to; } ahead[FLOW_GAPS];
	unsigned int ahead_count;
	struct marks seen;
	struct marks acked;
	uint32_t base;
	int has_base;
	int fin;
	uint64_t fin_at;
	uint64_t fin_tick;
	uint64_t rst;
	int changed;
	int lost;
};

/**
 * struct segment - what matters of a TCP segment
 * @seq: sequence number
 * @ack: acknowledged number, if @flags has one
 * @flags: as in the header
 * @data: payload
 * @len: its length
 */
struct segment {
	uint32_t seq;
	uint32_t ack;
	uint8_t flags;
	const uint8_t *data;
	uint32_t len;
};

enum {
	SEGMENT_FIN = 0x01,
	SEGMENT_SYN = 0x02,
	SEGMENT_RST = 0x04,
	SEGMENT_ACK = 0x10,
};

/* Take a segment of @flow; @back is the other direction, which it may acknowledge. */
void flow_take(struct flow *flow, struct flow *back, const struct segment *s, uint64_t tick);
void flow_free(struct flow *flow);

/* First mark that reaches @end; NULL if none does. */
const struct mark *marks_reach(const struct marks *marks, uint64_t end);

#endif
