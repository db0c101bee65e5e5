// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving: frame -> open -> deliver.
 *
 * frame finds the next whole record among the bytes TCP has queued, open checks
 * and decrypts it into fresh pages and takes it out of TCP, deliver hands its
 * content to the application or, for control records, to the helper.  Nothing is
 * taken out of TCP beyond the record that is opened, so no byte is ever read
 * under the wrong key.
 */
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include "kssl.h"

/* ---- frame ---- */

/*
 * Is the next record whole?  1 yes, 0 no, -errno: a header that may not be.
 * Runs under the socket's spinlock too.
 */
static int frame(struct kssl_sock *ctx, struct kssl_record_header *h)
{
	struct kssl_rx *rx = &ctx->rx;
	u8 wire[KSSL_HEADER_LEN];
	int ret;

	if (kssl_stream_available(ctx) < rx->need)
		return 0;
	ret = kssl_stream_peek(ctx, 0, sizeof(wire), wire);
	if (ret)
		return ret;
	if (rx->dir.epoch)
		ret = kssl_record_parse(wire, rx->dir.epoch, h);
	else
		ret = kssl_record_parse_plain(wire, !rx->dir.records, h);
	if (ret)
		return ret;
	rx->need = h->header_len + h->body_len;
	return kssl_stream_available(ctx) >= rx->need;
}

static bool can_open(const struct kssl_sock *ctx)
{
	const struct kssl_rx *rx = &ctx->rx;

	if (rx->held || rx->need_key || rx->control_queued || rx->dir.err)
		return false;
	return rx->dir.epoch || rx->dir.plain;
}

/**
 * kssl_rx_data_ready() - sk_data_ready: bytes came
 * @sk: socket
 *
 * Only frames and wakes; partial records wake nobody.
 *
 * Context: Caller holds the socket's spinlock, or owns the socket.
 */
void kssl_rx_data_ready(struct sock *sk)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct kssl_record_header h;

	if (!ctx || !can_open(ctx))
		return;
	if (!ctx->rx.dir.closed && !frame(ctx, &h) && !(sk->sk_shutdown & RCV_SHUTDOWN) &&
	    !tcp_epollin_ready(sk, INT_MAX))
		return;
	ctx->rx.events++;
	ctx->saved_data_ready(sk);
	/* Someone has to find out whether it is the helper's. */
	if (!ctx->rx.readers && (ctx->attended || ctx->rx.dir.closed))
		kssl_sock_later(ctx, &ctx->rx.work, 0);
}

/**
 * kssl_rx_state_change() - sk_state_change: FIN or reset
 * @sk: socket
 *
 * Context: Caller holds the socket's spinlock, or owns the socket.
 */
void kssl_rx_state_change(struct sock *sk)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	if (!ctx)
		return;
	ctx->rx.events++;
	ctx->saved_state_change(sk);
	kssl_sock_later(ctx, &ctx->rx.work, 0);
}

/* ---- open ---- */

/* An skb whose pages will hold @len bytes; @sg gets them behind its first entry. */
static struct sk_buff *alloc_plain(unsigned int len, struct scatterlist *sg, int *segs)
{
	struct sk_buff *skb = alloc_skb(0, GFP_KERNEL);
	struct page_frag *frag = &current->task_frag;
	int i = 0;

	if (!skb)
		return NULL;
	while (len) {
		unsigned int n;

		if (i == MAX_SKB_FRAGS || i + 2 > KSSL_RX_SEGS ||
		    !skb_page_frag_refill(1, frag, GFP_KERNEL)) {
			kfree_skb(skb);
			return NULL;
		}
		n = min_t(unsigned int, len, frag->size - frag->offset);
		get_page(frag->page);
		skb_fill_page_desc(skb, i, frag->page, frag->offset, n);
		sg_set_page(&sg[1 + i++], frag->page, n, frag->offset);
		frag->offset += n;
		skb->len += n;
		skb->data_len += n;
		skb->truesize += n;
		len -= n;
	}
	*segs = i;
	return skb;
}

/* The mark on the last entry of the table stays: it is what bounds skb_to_sgvec(). */
static void unmark_end(struct scatterlist *sg, int entry)
{
	if (entry != KSSL_RX_SEGS - 1)
		sg_unmark_end(&sg[entry]);
}

/* Open the record @h, which is whole. It stays in TCP if that fails. */
static struct sk_buff *open_record(struct kssl_sock *ctx, const struct kssl_record_header *h)
{
	struct kssl_rx *rx = &ctx->rx;
	struct kssl_epoch *e = rx->dir.epoch;
	unsigned int prefix_len = h->header_len + e->prefix_len;
	unsigned int sealed_len = h->body_len - e->prefix_len;
	u8 prefix[KSSL_PREFIX_MAX];
	int src_segs, dst_segs, ret;
	u8 type = h->type;
	struct sk_buff *skb;

	if (rx->dir.seq == U64_MAX)
		return ERR_PTR(-EKEYEXPIRED);
	ret = kssl_stream_peek(ctx, 0, prefix_len, prefix);
	if (ret)
		return ERR_PTR(ret);
	src_segs = kssl_stream_sg(ctx, prefix_len, sealed_len, rx->src + 1, KSSL_RX_SEGS - 1);
	if (src_segs == -EMSGSIZE) {
		ret = kssl_stream_take(ctx, rx->need);
		if (ret)
			return ERR_PTR(ret);
		src_segs = kssl_stream_sg(ctx, prefix_len, sealed_len, rx->src + 1,
					  KSSL_RX_SEGS - 1);
	}
	if (src_segs < 0)
		return ERR_PTR(src_segs);
	skb = alloc_plain(sealed_len - e->trailer_len, rx->dst, &dst_segs);
	if (!skb)
		return ERR_PTR(-ENOMEM);

	sg_mark_end(&rx->src[src_segs]);
	sg_mark_end(&rx->dst[dst_segs]);
	ret = e->suite->cipher->fmt->open(e, rx->dir.seq, prefix, rx->src, rx->dst, h->body_len,
					  &type);
	unmark_end(rx->src, src_segs);
	unmark_end(rx->dst, dst_segs);
	if (ret < 0) {
		kfree_skb(skb);
		return ERR_PTR(ret);
	}

	*kssl_rx_cb(skb) = (struct kssl_rx_cb) {
		.kind = KSSL_MSG_RECORD, .type = type, .epoch = rx->dir.epochs, .len = ret,
	};
	rx->dir.seq++;
	return skb;
}

/* Copy out the record @h of the plain phase. */
static struct sk_buff *copy_record(struct kssl_sock *ctx, const struct kssl_record_header *h)
{
	unsigned int len = h->header_len + h->body_len;
	struct sk_buff *skb = alloc_skb(len, GFP_KERNEL);

	if (!skb)
		return ERR_PTR(-ENOMEM);
	if (kssl_stream_peek(ctx, 0, len, skb_put(skb, len))) {
		kfree_skb(skb);
		return ERR_PTR(-EIO);
	}
	*kssl_rx_cb(skb) = (struct kssl_rx_cb) {
		.kind = KSSL_MSG_RAW, .type = h->type, .len = len,
	};
	return skb;
}

/* ---- deliver ---- */

static void fail(struct kssl_sock *ctx, int err, const char *text)
{
	kssl_fail(ctx, err, KSSL_WHO_KERNEL, kssl_alert_of_errno(err), text);
}

static void deliver_to_application(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;

	rx->queued += kssl_rx_cb(skb)->len;
	rx->queued_mem += skb->truesize;
	__skb_queue_tail(&rx->queue, skb);
}

static void deliver_to_helper(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;

	rx->held = true;
	if (rx->dir.epoch && (rx->dir.epoch->ver->flags & KSSL_V_HOLD_TX))
		kssl_tx_hold(ctx, KSSL_HOLD_RX);
	kssl_control_post(ctx, skb);
}

static void deliver_data(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;
	unsigned int len = kssl_rx_cb(skb)->len;

	if (!rx->established) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "application data before the peer's Finished");
		return;
	}
	if (!len) {
		/* Legal and not an end of file (RFC 5246 6.2.1), but not for ever. */
		kfree_skb(skb);
		if (++rx->empties > KSSL_EMPTY_MAX)
			fail(ctx, EPROTO, "too many empty records in a row");
		return;
	}
	rx->empties = 0;
	rx->warnings = 0;
	rx->dir.bytes += len;
	deliver_to_application(ctx, skb);
}

/* close_notify came: no more data, and before TLS 1.3 none from us either. */
static void receive_close_notify(struct kssl_sock *ctx)
{
	ctx->rx.dir.closed = true;
	if (!(ctx->rx.dir.epoch->ver->flags & KSSL_V_HALF_CLOSE))
		kssl_alert_request(ctx, KSSL_ALERT_CLOSE_NOTIFY);	/* RFC 5246 7.2.1 */
	kssl_control_event(ctx, KSSL_EV_CLOSE_NOTIFY);
}

static void receive_fatal_alert(struct kssl_sock *ctx, u8 desc)
{
	struct kssl_error error = {
		.err = ECONNABORTED, .who = KSSL_WHO_PEER, .alert = desc, .has_alert = 1,
	};

	snprintf(error.text, sizeof(error.text), "the peer sent fatal alert %u", desc);
	kssl_fail_with(ctx, &error);
}

static void deliver_alert(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;
	bool all_fatal = rx->dir.epoch->ver->flags & KSSL_V_ALL_ALERTS_FATAL;
	u8 alert[2];

	if (kssl_rx_cb(skb)->len != 2 || skb_copy_bits(skb, 0, alert, 2)) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "an alert record of the wrong length");
		return;
	}
	if (!ctx->attended && !ctx->had_helper) {
		if (alert[1] == KSSL_ALERT_CLOSE_NOTIFY)
			rx->dir.closed = true;
		rx->control_queued = true;
		deliver_to_application(ctx, skb);
		return;
	}
	if (alert[1] == KSSL_ALERT_CLOSE_NOTIFY) {
		kfree_skb(skb);
		receive_close_notify(ctx);
		return;
	}
	if (alert[0] == KSSL_ALERT_FATAL || (all_fatal && alert[1] != KSSL_ALERT_USER_CANCELED)) {
		kssl_control_post(ctx, skb);
		receive_fatal_alert(ctx, alert[1]);
		return;
	}
	if (++rx->warnings >= KSSL_WARNING_MAX) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "too many warning alerts in a row");
		return;
	}
	if (ctx->attended)
		deliver_to_helper(ctx, skb);
	else
		kfree_skb(skb);
}

/* Handshake and ChangeCipherSpec. */
static void deliver_control(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;
	bool inner = rx->dir.epoch->ver->flags & KSSL_V_INNER_TYPE;
	u8 type = kssl_rx_cb(skb)->type;
	u8 first;

	/* RFC 8446 5.1, 5; RFC 5246 6.2.1 */
	if (!kssl_rx_cb(skb)->len || (inner && type == KSSL_TYPE_CHANGE_CIPHER_SPEC)) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "a control record that is not legal here");
		return;
	}
	if (ctx->attended) {
		deliver_to_helper(ctx, skb);
		return;
	}
	if (ctx->had_helper) {
		kfree_skb(skb);
		kssl_fail(ctx, ESRCH, KSSL_WHO_KERNEL, KSSL_ALERT_INTERNAL_ERROR,
			  "a handshake message came and the helper is gone");
		return;
	}
	skb_copy_bits(skb, 0, &first, 1);
	rx->need_key = type == KSSL_TYPE_CHANGE_CIPHER_SPEC ||
		       (inner && first == KSSL_HANDSHAKE_KEY_UPDATE);
	rx->control_queued = true;
	deliver_to_application(ctx, skb);
}

static void deliver(struct kssl_sock *ctx, struct sk_buff *skb)
{
	switch (kssl_rx_cb(skb)->type) {
	case KSSL_TYPE_APPLICATION_DATA:
		deliver_data(ctx, skb);
		break;
	case KSSL_TYPE_ALERT:
		deliver_alert(ctx, skb);
		break;
	case KSSL_TYPE_HANDSHAKE:
	case KSSL_TYPE_CHANGE_CIPHER_SPEC:
		deliver_control(ctx, skb);
		break;
	default:
		kfree_skb(skb);
		fail(ctx, EPROTO, "a record of unknown type");
	}
}

/* ---- the loop ---- */

static const char *text_of(int err)
{
	switch (err) {
	case EBADMSG:		return "a record is not authentic";
	case EMSGSIZE:		return "a record is longer than allowed";
	case EPROTO:		return "a record is of a type not allowed here";
	case EPROTONOSUPPORT:	return "a record is of another protocol version";
	case EKEYEXPIRED:	return "the sequence numbers of the receiving key are used up";
	default:		return "a record could not be opened";
	}
}

/* Will TCP bring no more bytes? */
static bool ends(const struct sock *sk)
{
	return READ_ONCE(sk->sk_err) || (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN) ||
	       READ_ONCE(sk->sk_state) == TCP_CLOSE;
}

/* No whole record: is it because there will be none? */
static void check_end(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;

	if (sk->sk_err) {
		kssl_fail(ctx, sk->sk_err, KSSL_WHO_PEER, KSSL_ALERT_NONE,
			  "the TCP connection was reset or failed");
	} else if (ends(sk)) {
		kssl_control_event(ctx, KSSL_EV_EOF);
		kssl_fail_dir(ctx, &ctx->rx.dir, ECONNRESET, KSSL_WHO_PEER,
			      "the peer closed the connection without close_notify");
	}
}

/*
 * Take the next record through all stages.  1: one was taken, 0: not now, -errno:
 * receiving has failed, or -ENOMEM: it has not, try again.
 */
static int next_record(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;
	struct sock *sk = ctx->sk;
	struct kssl_record_header h;
	struct sk_buff *skb;
	int ret;

	if (rx->dir.err)
		return -rx->dir.err;
	if (rx->dir.closed) {
		/* Nothing behind a close_notify counts; do not let it become a reset. */
		if (kssl_stream_available(ctx))
			kssl_stream_consume(ctx, kssl_stream_available(ctx));
		return 0;
	}
	if (!can_open(ctx)) {
		if (sk->sk_err)
			check_end(ctx);
		return 0;
	}
	if (tcp_sk(sk)->copied_seq != rx->copied_seq) {
		fail(ctx, EIO, "bytes left the stream behind the record layer");
		return -EIO;
	}

	ret = frame(ctx, &h);
	/* Even a part of a header can keep the window shut. */
	if (!ret && tcp_inq(sk) && !ends(sk) && tcp_epollin_ready(sk, INT_MAX)) {
		ret = kssl_stream_take(ctx, rx->need);
		return ret;
	}
	if (!ret) {
		check_end(ctx);
		return -rx->dir.err;
	}
	if (ret > 0) {
		skb = rx->dir.epoch ? open_record(ctx, &h) : copy_record(ctx, &h);
		ret = PTR_ERR_OR_ZERO(skb);
	}
	if (ret == -ENOMEM)
		return ret;
	if (ret < 0) {
		fail(ctx, -ret, text_of(-ret));
		return -rx->dir.err;
	}

	kssl_stream_consume(ctx, h.header_len + h.body_len);
	rx->dir.records++;
	if (rx->dir.epoch)
		deliver(ctx, skb);
	else
		deliver_to_helper(ctx, skb);
	return 1;
}

static bool may_look_ahead(const struct kssl_rx *rx)
{
	return rx->queued < KSSL_LOOKAHEAD && rx->queued_mem < KSSL_LOOKAHEAD_MEM;
}

/**
 * kssl_rx_pump() - open records until someone has something to do
 * @ctx: connection
 *
 * Opens up to the first record for the application; while a handshake is under
 * way on, up to KSSL_LOOKAHEAD bytes, so that its messages are found behind data
 * nobody reads.
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_rx_pump(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;
	bool moved = false;

	while (skb_queue_empty(&rx->queue) || (kssl_sock_in_bounce(ctx) && may_look_ahead(rx))) {
		int ret = next_record(ctx);

		if (ret == -ENOMEM)
			kssl_sock_later(ctx, &rx->work, HZ / 10);
		if (ret <= 0)
			break;
		moved = true;
	}
	if (moved) {
		rx->events++;
		kssl_sock_wake(ctx);
	}
}

/**
 * kssl_rx_work() - find out what came while no reader looks
 * @work: kssl_rx.work
 *
 * Context: Process context.
 */
void kssl_rx_work(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     rx.work);
	struct sock *sk = ctx->sk;

	lock_sock(sk);
	kssl_rx_pump(ctx);
	release_sock(sk);
}

/**
 * kssl_rx_set_key() - open with a new key from the next record on
 * @ctx: connection
 * @e: epoch; its reference is taken over
 * @seq: sequence number of the next record
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_rx_set_key(struct kssl_sock *ctx, struct kssl_epoch *e, u64 seq)
{
	struct kssl_rx *rx = &ctx->rx;

	if (!ctx->attended)
		rx->established = true;
	else if (!rx->dir.epoch || !(e->ver->flags & KSSL_V_REKEY_BY_MESSAGE))
		rx->established = false;
	ctx->etm |= e->flags & KSSL_KEY_ETM;
	kssl_epoch_put(rx->dir.epoch);
	rx->dir.epoch = e;
	rx->dir.seq = seq;
	rx->dir.epochs++;
	rx->dir.plain = false;
	rx->need_key = false;
	rx->need = KSSL_HEADER_LEN;
	rx->events++;
}

/**
 * kssl_rx_readable() - would a read return at once?
 * @ctx: connection
 *
 * Context: Any; an answer that is out of date is put right by the next wakeup.
 */
bool kssl_rx_readable(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;

	if (!skb_queue_empty_lockless(&rx->queue))
		return true;
	if (READ_ONCE(rx->dir.err) || READ_ONCE(rx->dir.closed))
		return true;
	return !READ_ONCE(rx->dir.epoch) && !READ_ONCE(ctx->attended);
}

/**
 * kssl_rx_may_have_record() - is it worth opening a record to see who it is for?
 * @ctx: connection
 *
 * Context: Any; only a hint without the socket lock.
 */
bool kssl_rx_may_have_record(struct kssl_sock *ctx)
{
	return can_open(ctx) && (kssl_stream_available(ctx) >= READ_ONCE(ctx->rx.need) ||
				 tcp_epollin_ready(ctx->sk, INT_MAX) || ends(ctx->sk));
}

/* ---- the system calls ---- */

/* What a reader gets when there is nothing to read: 0 is a clean end of file. */
static int rx_end(struct kssl_sock *ctx, bool *end)
{
	struct kssl_rx *rx = &ctx->rx;

	*end = true;
	if (rx->dir.closed)
		return 0;
	if (rx->dir.err)
		return -rx->dir.err;
	if (!rx->dir.epoch && !ctx->attended)
		return -ENOKEY;
	if (rx->need_key)
		return -EKEYEXPIRED;
	*end = false;
	return 0;
}

/*
 * Wait until the queue holds something for the reader.  1: it does, 0: end of
 * file, -errno: neither.
 */
static int wait_for_record(struct kssl_sock *ctx, long *timeo)
{
	struct kssl_rx *rx = &ctx->rx;
	struct sock *sk = ctx->sk;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	bool end;
	int ret;

	while (skb_queue_empty(&rx->queue)) {
		u32 events = rx->events;

		ret = next_record(ctx);
		if (ret > 0)
			continue;
		if (ret == -ENOMEM)
			return ret;
		ret = rx_end(ctx, &end);
		if (end)
			return ret;
		if (!*timeo)
			return -EAGAIN;
		if (signal_pending(current))
			return sock_intr_errno(*timeo);

		add_wait_queue(sk_sleep(sk), &wait);
		rx->readers++;
		sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		sk_wait_event(sk, timeo, READ_ONCE(rx->events) != events, &wait);
		sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		rx->readers--;
		remove_wait_queue(sk_sleep(sk), &wait);
	}
	return 1;
}

/*
 * A reader leaves. While it was here nobody else looked for records that are the
 * helper's; if the next one is already there, nothing will announce it again.
 */
static void reader_leaves(struct kssl_sock *ctx)
{
	if (ctx->attended && !ctx->rx.readers)
		kssl_rx_pump(ctx);
}

/* A reader that is told of a fatal error finds it in SO_ERROR, and the alert sent. */
static void let_alert_out(struct kssl_sock *ctx)
{
	if (READ_ONCE(ctx->rx.dir.err) && !READ_ONCE(ctx->reported))
		flush_delayed_work(&ctx->tx.work);
}

/* Tell an unattended reader the content type; -EIO: a control record and no room. */
static int put_type(struct msghdr *msg, u8 type, bool attended)
{
	int err = 0;

	if (msg->msg_control && !attended)
		err = put_cmsg(msg, SOL_KSSL, KSSL_RECORD_TYPE, sizeof(type), &type);
	if (type == KSSL_TYPE_APPLICATION_DATA)
		return 0;
	return err || !msg->msg_control || (msg->msg_flags & MSG_CTRUNC) ? -EIO : 0;
}

static void retire(struct kssl_sock *ctx, struct sk_buff *skb)
{
	ctx->rx.queued_mem -= skb->truesize;
	if (kssl_rx_cb(skb)->type != KSSL_TYPE_APPLICATION_DATA)
		ctx->rx.control_queued = false;
	__skb_unlink(skb, &ctx->rx.queue);
	kfree_skb(skb);
}

/* Move the read position; a control record goes away whole. */
static void advance(struct kssl_sock *ctx, struct sk_buff *skb, unsigned int n)
{
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);

	cb->offset += n;
	ctx->rx.queued -= n;
	if (cb->offset == cb->len)
		retire(ctx, skb);
}

/* Copy from the queue until @len, its end, or a change of type; bytes or -errno. */
static int deliver_to_reader(struct kssl_sock *ctx, struct msghdr *msg, size_t len,
			     struct sk_buff **peeked, int flags, u8 *type)
{
	struct sk_buff *skb, *next;
	int copied = 0;

	skb = *peeked ? skb_queue_next(&ctx->rx.queue, *peeked) : skb_peek(&ctx->rx.queue);
	for (; copied < len; skb = next) {
		struct kssl_rx_cb *cb = kssl_rx_cb(skb);
		unsigned int n = min_t(size_t, len - copied, cb->len - cb->offset);
		int ret;

		if (*type && *type != cb->type)
			break;
		if (!*type) {
			ret = put_type(msg, cb->type, ctx->had_helper);
			if (ret)
				return ret;
			*type = cb->type;
		}
		if (skb_copy_datagram_msg(skb, cb->offset, msg, n))
			return copied ? copied : -EFAULT;
		copied += n;
		next = skb_queue_is_last(&ctx->rx.queue, skb) ? NULL :
		       skb_queue_next(&ctx->rx.queue, skb);
		if (flags & MSG_PEEK) {
			if (n < cb->len - cb->offset)
				break;
			*peeked = skb;
		} else {
			advance(ctx, skb, n);
		}
		/* A control record is returned by itself. */
		if (!next || *type != KSSL_TYPE_APPLICATION_DATA)
			break;
	}
	return copied;
}

static bool reader_has_more(struct kssl_sock *ctx, struct sk_buff *peeked)
{
	return peeked ? !skb_queue_is_last(&ctx->rx.queue, peeked) :
			!skb_queue_empty(&ctx->rx.queue);
}

/**
 * kssl_rx_recvmsg() - proto.recvmsg
 * @sk: socket
 * @msg: where to
 * @len: bytes wanted; application data of several records is joined
 * @flags: MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT
 *
 * Context: Process context, may sleep.
 * Return: bytes, 0 after close_notify, or
 * * %-EOPNOTSUPP - another flag
 * * %-EIO - unattended: a control record is next and @msg has no room for its type
 * * %-EKEYEXPIRED - unattended: the next key is missing
 * * %-ENOKEY - no key, and no helper that could bring one
 * * %-EAGAIN, %-EINTR, %-ERESTARTSYS, %-ENOMEM, %-EFAULT, or the sticky error
 */
int kssl_rx_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct sk_buff *peeked = NULL;
	int copied = 0, target, ret = 0;
	u8 type = 0;
	long timeo;

	if (flags & ~(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL |
		      MSG_CMSG_CLOEXEC | MSG_CMSG_COMPAT))
		return -EOPNOTSUPP;
	if (!len)
		return 0;

	lock_sock(sk);
	timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	target = flags & MSG_WAITALL ? len : min_t(size_t, max(ctx->rx.rcvlowat, 1), len);
	while (copied < len) {
		if (!reader_has_more(ctx, peeked)) {
			if (copied && type != KSSL_TYPE_APPLICATION_DATA)
				break;
			/* Peeking never opens more than the look-ahead. */
			if (peeked && !may_look_ahead(&ctx->rx))
				break;
			if (peeked) {
				ret = next_record(ctx);
				if (ret <= 0)
					break;
				continue;
			}
			if (copied >= target) {
				if (next_record(ctx) <= 0)
					break;
				continue;
			}
			ret = wait_for_record(ctx, &timeo);
			if (ret <= 0)
				break;
		}
		ret = deliver_to_reader(ctx, msg, len - copied, &peeked, flags, &type);
		if (ret <= 0)
			break;
		copied += ret;
		if (reader_has_more(ctx, peeked) && copied < len)
			break;
	}
	reader_leaves(ctx);
	release_sock(sk);
	if (!copied && ret < 0)
		let_alert_out(ctx);
	return copied ? copied : ret;
}

/**
 * kssl_rx_splice_read() - proto_ops.splice_read
 * @sock: socket
 * @ppos: unused, sockets have no position
 * @pipe: where to
 * @len: bytes wanted
 * @flags: SPLICE_F_*
 *
 * Gives what is left of one record of application data.
 *
 * Context: Process context, may sleep.
 * Return: bytes, 0 after close_notify, %-EINVAL if a control record is next, else
 * as kssl_rx_recvmsg().
 */
ssize_t kssl_rx_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
			    size_t len, unsigned int flags)
{
	struct sock *sk = sock->sk;
	struct kssl_sock *ctx = kssl_sock_of(sk);
	bool nonblock = (flags & SPLICE_F_NONBLOCK) || (sock->file->f_flags & O_NONBLOCK);
	struct kssl_rx_cb *cb;
	struct sk_buff *skb;
	long timeo;
	int ret;

	lock_sock(sk);
	timeo = sock_rcvtimeo(sk, nonblock);
	ret = wait_for_record(ctx, &timeo);
	if (ret > 0) {
		skb = skb_peek(&ctx->rx.queue);
		cb = kssl_rx_cb(skb);
		if (cb->type != KSSL_TYPE_APPLICATION_DATA) {
			ret = -EINVAL;
		} else {
			ret = skb_splice_bits(skb, sk, cb->offset, pipe,
					      min_t(size_t, len, cb->len - cb->offset), flags);
			if (ret > 0)
				advance(ctx, skb, ret);
		}
	}
	reader_leaves(ctx);
	release_sock(sk);
	if (ret < 0)
		let_alert_out(ctx);
	return ret;
}

/* ---- the end ---- */

/* Drop the control records at the head of the queue; is application data left? */
static bool drop_control(struct kssl_sock *ctx)
{
	struct sk_buff *skb;

	while ((skb = skb_peek(&ctx->rx.queue))) {
		if (kssl_rx_cb(skb)->type == KSSL_TYPE_APPLICATION_DATA)
			return true;
		retire(ctx, skb);
	}
	return false;
}

/**
 * kssl_rx_drain() - before close: leave nothing that turns the FIN into a reset
 * @ctx: connection
 *
 * TCP resets instead of closing if bytes are unread, which can destroy our last
 * bytes at the peer. Control records nobody will answer any more are dropped;
 * unread application data keeps the reset, as users know it from TCP.
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: true if no application data is unread.
 */
bool kssl_rx_drain(struct kssl_sock *ctx)
{
	do {
		if (drop_control(ctx))
			return false;
	} while (next_record(ctx) > 0);

	/* What is behind a bad record, or one that held us, will never be opened. */
	if ((ctx->rx.dir.err || ctx->rx.held || ctx->rx.need_key) && tcp_inq(ctx->sk))
		kssl_stream_consume(ctx, kssl_stream_available(ctx));
	return true;
}

/**
 * kssl_rx_free() - free what receiving holds
 * @ctx: connection, no longer attached
 */
void kssl_rx_free(struct kssl_sock *ctx)
{
	__skb_queue_purge(&ctx->rx.queue);
	kfree_sensitive(ctx->rx.part);
	ctx->rx.part = NULL;
	kssl_epoch_put(ctx->rx.dir.epoch);
	ctx->rx.dir.epoch = NULL;
}
