// SPDX-License-Identifier: GPL-2.0
/*
 * The bytes TCP has received: first a part that had to be taken out of its queue,
 * then the queue itself, walked by sequence number so that overlapping segments
 * do no harm.  Knows nothing of records but how long one can be.
 */
#include <linux/slab.h>
#include "kssl.h"

/**
 * kssl_stream_available() - how many bytes of the stream are here
 * @ctx: connection
 *
 * Context: Caller holds the socket lock, or wants a hint only.
 */
unsigned int kssl_stream_available(struct kssl_sock *ctx)
{
	return ctx->rx.part_len + tcp_inq(ctx->sk);
}

static int sg_of_queue(struct sock *sk, u32 seq, unsigned int len, struct scatterlist *sg,
		       int segs)
{
	struct sk_buff *skb;
	int used = 0;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		u32 offset = seq - TCP_SKB_CB(skb)->seq;
		unsigned int n;
		int ret;

		if (!len)
			break;
		if (offset >= skb->len)
			continue;
		n = min_t(unsigned int, len, skb->len - offset);
		if (used == segs)
			return -EMSGSIZE;
		/* skb_copy_bits() sees to it itself, skb_to_sgvec() does not. */
		if (!kssl_compat_readable(skb))
			return -EIO;
		ret = skb_to_sgvec_nomark(skb, sg + used, offset, n);
		if (ret < 0)
			return ret;
		used += ret;
		seq += n;
		len -= n;
	}
	return len ? -EIO : used;
}

static int copy_of_queue(struct sock *sk, u32 seq, unsigned int len, u8 *to)
{
	struct sk_buff *skb;

	skb_queue_walk(&sk->sk_receive_queue, skb) {
		u32 offset = seq - TCP_SKB_CB(skb)->seq;
		unsigned int n;

		if (!len)
			break;
		if (offset >= skb->len)
			continue;
		n = min_t(unsigned int, len, skb->len - offset);
		if (skb_copy_bits(skb, offset, to, n))
			return -EIO;
		to += n;
		seq += n;
		len -= n;
	}
	return len ? -EIO : 0;
}

/**
 * kssl_stream_peek() - copy bytes of the record to come
 * @ctx: connection
 * @offset: where in the record
 * @len: how many; they must be available
 * @to: (out)
 *
 * Context: Caller holds the socket lock, or the socket's spinlock.
 * Return: 0, or %-EIO if TCP's queue does not hold what its numbers say.
 */
int kssl_stream_peek(struct kssl_sock *ctx, unsigned int offset, unsigned int len, u8 *to)
{
	struct kssl_rx *rx = &ctx->rx;

	if (offset < rx->part_len) {
		unsigned int n = min(len, rx->part_len - offset);

		memcpy(to, rx->part + offset, n);
		to += n;
		offset += n;
		len -= n;
	}
	return copy_of_queue(ctx->sk, tcp_sk(ctx->sk)->copied_seq + offset - rx->part_len, len,
			     to);
}

/**
 * kssl_stream_sg() - point a scatterlist at bytes of the record to come
 * @ctx: connection
 * @offset: where in the record
 * @len: how many; they must be available
 * @sg: (out) table whose last entry is marked
 * @segs: entries it has
 *
 * Context: Caller holds the socket lock, and keeps it while @sg is in use.
 * Return: entries used, %-EMSGSIZE if they do not suffice, or %-EIO.
 */
int kssl_stream_sg(struct kssl_sock *ctx, unsigned int offset, unsigned int len,
		   struct scatterlist *sg, int segs)
{
	struct kssl_rx *rx = &ctx->rx;
	int used = 0, ret;

	if (offset < rx->part_len) {
		unsigned int n = min(len, rx->part_len - offset);

		sg_set_buf(sg, rx->part + offset, n);
		used = 1;
		offset += n;
		len -= n;
	}
	ret = sg_of_queue(ctx->sk, tcp_sk(ctx->sk)->copied_seq + offset - rx->part_len, len,
			  sg + used, segs - used);
	return ret < 0 ? ret : used + ret;
}

/**
 * kssl_stream_free() - free what was taken out of TCP's queue
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_stream_free(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;

	if (!rx->part)
		return;
	kfree_sensitive(rx->part);
	rx->part = NULL;
	rx->part_len = 0;
	kssl_mem_uncharge(ctx->sk, KSSL_RECORD_MAX);
}

/**
 * kssl_stream_consume() - take bytes that were used away from the stream
 * @ctx: connection
 * @len: how many
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_stream_consume(struct kssl_sock *ctx, unsigned int len)
{
	struct kssl_rx *rx = &ctx->rx;

	if (rx->part_len) {
		unsigned int n = min(len, rx->part_len);

		rx->part_len -= n;
		memmove(rx->part, rx->part + n, rx->part_len);
		len -= n;
		if (!rx->part_len)
			kssl_stream_free(ctx);
	}
	if (len)
		tcp_read_done(ctx->sk, len);
	rx->copied_seq = tcp_sk(ctx->sk)->copied_seq;
	rx->need = KSSL_HEADER_LEN;
}

/**
 * kssl_stream_take() - move the beginning of the stream out of TCP's queue
 * @ctx: connection
 * @want: bytes of the record to come, at most KSSL_RECORD_MAX
 *
 * For a record that is larger than the receive window, or in too many pieces.
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0, %-ENOMEM or %-EIO.
 */
int kssl_stream_take(struct kssl_sock *ctx, unsigned int want)
{
	struct kssl_rx *rx = &ctx->rx;
	unsigned int n = min_t(unsigned int, want - rx->part_len, tcp_inq(ctx->sk));

	if (!rx->part) {
		rx->part = kmalloc(KSSL_RECORD_MAX, GFP_KERNEL);
		if (!rx->part)
			return -ENOMEM;
		kssl_mem_charge(ctx->sk, KSSL_RECORD_MAX, SK_MEM_RECV);
	}
	if (copy_of_queue(ctx->sk, tcp_sk(ctx->sk)->copied_seq, n, rx->part + rx->part_len))
		return -EIO;
	rx->part_len += n;
	tcp_read_done(ctx->sk, n);
	rx->copied_seq = tcp_sk(ctx->sk)->copied_seq;
	return 0;
}
