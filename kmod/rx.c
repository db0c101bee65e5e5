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
#include <linux/slab.h>
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

/* Will TCP bring no more bytes?  Our own shutdown(SHUT_RD) does not stop it. */
static bool ends(const struct sock *sk)
{
	return READ_ONCE(sk->sk_err) || sock_flag(sk, SOCK_DONE) ||
	       READ_ONCE(sk->sk_state) == TCP_CLOSE;
}

static bool can_open(const struct kssl_sock *ctx)
{
	const struct kssl_rx *rx = &ctx->rx;

	if (rx->held || rx->need_key || rx->control_queued || rx->dir.err || rx->update_due)
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
	if (!ctx->rx.dir.closed && !frame(ctx, &h) && !ends(sk) && !tcp_epollin_ready(sk, INT_MAX))
		return;
	ctx->rx.events++;
	ctx->saved_data_ready(sk);
	/* Someone has to find out whether it is the helper's. */
	if (!ctx->rx.readers && (ctx->had_helper || ctx->rx.dir.closed || ctx->rx.deaf))
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

/**
 * kssl_rx_begin() - receiving is ours from here on
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock and sk_callback_lock.
 */
void kssl_rx_begin(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;

	ctx->rx.copied_seq = tcp_sk(sk)->copied_seq;
	ctx->saved_data_ready = sk->sk_data_ready;
	ctx->saved_state_change = sk->sk_state_change;
	sk->sk_data_ready = kssl_rx_data_ready;
	sk->sk_state_change = kssl_rx_state_change;
	ctx->rx.rcvlowat = sk->sk_rcvlowat;
	WRITE_ONCE(sk->sk_rcvlowat, 1);
	/* An urgent byte left out would stop the stream for ever. */
	sock_set_flag(sk, SOCK_URGINLINE);
}

/* ---- open ---- */

#define SEGS	48

/*
 * Where a record is and where its plaintext goes.  Too long for the stack and for a
 * connection at rest, so it is there while one record follows another.
 */
struct kssl_segments {
	struct scatterlist src[SEGS];
	struct scatterlist dst[SEGS];
};

static struct kssl_segments *need_segments(struct kssl_rx *rx)
{
	if (rx->segs)
		return rx->segs;
	rx->segs = kmalloc(sizeof(*rx->segs), GFP_KERNEL);
	if (rx->segs) {
		sg_init_table(rx->segs->src, SEGS);
		sg_init_table(rx->segs->dst, SEGS);
	}
	return rx->segs;
}

static void drop_segments(struct kssl_rx *rx)
{
	kfree(rx->segs);
	rx->segs = NULL;
}

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

		if (i == MAX_SKB_FRAGS || i + 2 > SEGS ||
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
	if (entry != SEGS - 1)
		sg_unmark_end(&sg[entry]);
}

/* Open the record @h, which is whole. It stays in TCP if that fails. */
static struct sk_buff *open_record(struct kssl_sock *ctx, const struct kssl_record_header *h)
{
	struct kssl_rx *rx = &ctx->rx;
	struct kssl_segments *segs = need_segments(rx);
	struct kssl_epoch *e = rx->dir.epoch;
	unsigned int prefix_len = h->header_len + e->prefix_len;
	unsigned int sealed_len = h->body_len - e->prefix_len;
	u8 prefix[KSSL_PREFIX_MAX];
	int src_segs, dst_segs, ret;
	u8 type = h->type;
	struct sk_buff *skb;

	if (!segs)
		return ERR_PTR(-ENOMEM);
	if (rx->dir.seq == U64_MAX)
		return ERR_PTR(ctx->ktls ? -EBADMSG : -EKEYEXPIRED);
	ret = kssl_stream_peek(ctx, 0, prefix_len, prefix);
	if (ret)
		return ERR_PTR(ret);
	src_segs = kssl_stream_sg(ctx, prefix_len, sealed_len, segs->src + 1, SEGS - 1);
	if (src_segs == -EMSGSIZE) {
		ret = kssl_stream_take(ctx, rx->need);
		if (ret)
			return ERR_PTR(ret);
		src_segs = kssl_stream_sg(ctx, prefix_len, sealed_len, segs->src + 1, SEGS - 1);
	}
	if (src_segs < 0)
		return ERR_PTR(src_segs);
	skb = alloc_plain(sealed_len - e->trailer_len, segs->dst, &dst_segs);
	if (!skb)
		return ERR_PTR(-ENOMEM);

	sg_mark_end(&segs->src[src_segs]);
	sg_mark_end(&segs->dst[dst_segs]);
	ret = e->suite->cipher->fmt->open(e, rx->dir.seq, prefix, segs->src, segs->dst, h->body_len,
					  &type);
	unmark_end(segs->src, src_segs);
	unmark_end(segs->dst, dst_segs);
	if (ret < 0) {
		kfree_skb(skb);
		return ERR_PTR(ret);
	}

	*kssl_rx_cb(skb) = (struct kssl_rx_cb) {
		.kind = KSSL_MSG_RECORD, .type = type, .epoch = rx->dir.epochs, .len = ret,
		.identity = rx->identity,
	};
	rx->dir.seq++;
	rx->dir.used += kssl_epoch_cost(e, ret);
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
	/* There the application sends the alert. */
	if (ctx->ktls)
		kssl_fail_dir(ctx, &ctx->rx.dir, err, KSSL_WHO_KERNEL, text);
	else
		kssl_fail(ctx, err, KSSL_WHO_KERNEL, kssl_alert_of_errno(err), text);
}

static void deliver_to_application(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);
	struct kssl_rx *rx = &ctx->rx;

	if (rx->deaf) {
		rx->control_queued = false;
		kfree_skb(skb);
		return;
	}
	/* kTLS has one without content read too, and what is queued is counted in bytes. */
	cb->empty = !cb->len;
	cb->len += cb->empty;
	WRITE_ONCE(rx->queued, rx->queued + cb->len);
	rx->queued_mem += skb->truesize;
	kssl_mem_charge(ctx->sk, skb->truesize, SK_MEM_RECV);
	__skb_queue_tail(&rx->queue, skb);
}

/* RFC 8446 5.1: nothing may come between the records of one message. */
static bool is_between_halves(const struct kssl_rx *rx)
{
	return (rx->dir.epoch->ver->flags & KSSL_V_INNER_TYPE) &&
	       kssl_message_is_open(&rx->message);
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
	if (is_between_halves(rx)) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "application data in the middle of a handshake message");
		return;
	}
	/* RFC 8446 5.5 */
	if (rx->dir.used > rx->dir.hard) {
		kfree_skb(skb);
		fail(ctx, EKEYEXPIRED, "the receiving key is used up");
		return;
	}
	if (!len) {
		/* Legal and not an end of file (RFC 5246 6.2.1), but not for ever. */
		if (ctx->ktls)
			deliver_to_application(ctx, skb);
		else
			kfree_skb(skb);
		if (++rx->empties > KSSL_EMPTY_MAX)
			fail(ctx, EPROTO, "too many empty records in a row");
		return;
	}
	rx->empties = 0;
	rx->warnings = 0;
	rx->useless = 0;
	rx->dir.bytes += len;
	deliver_to_application(ctx, skb);
	kssl_policy_count(ctx, &rx->dir);
}

/* close_notify came: no more data, and before TLS 1.3 none from us either. */
static void receive_close_notify(struct kssl_sock *ctx)
{
	ctx->rx.dir.closed = true;
	if (!(ctx->rx.dir.epoch->ver->flags & KSSL_V_HALF_CLOSE) &&
	    !(ctx->policy.flags & KSSL_POLICY_HALF_CLOSE))
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
	if (is_between_halves(rx)) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "a warning in the middle of a handshake message");
		return;
	}
	if (++rx->warnings >= KSSL_WARNING_MAX) {
		kfree_skb(skb);
		fail(ctx, EPROTO, "too many warning alerts in a row");
		return;
	}
	if (ctx->attended)
		kssl_bounce_to_helper(ctx, skb);
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
	if (ctx->had_helper) {
		kssl_bounce(ctx, skb);
		return;
	}
	skb_copy_bits(skb, 0, &first, 1);
	rx->need_key = type == KSSL_TYPE_CHANGE_CIPHER_SPEC ||
		       (inner && first == KSSL_HANDSHAKE_KEY_UPDATE);
	rx->control_queued = true;
	deliver_to_application(ctx, skb);
}

/* kTLS: whoever reads looks into it, and only a KeyUpdate means something to us. */
static void deliver_unseen(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);
	u8 first;

	if (cb->type == KSSL_TYPE_HANDSHAKE && (rx->dir.epoch->ver->flags & KSSL_V_INNER_TYPE))
		rx->need_key = !skb_copy_bits(skb, 0, &first, 1) && cb->len &&
			       first == KSSL_HANDSHAKE_KEY_UPDATE;
	rx->control_queued = true;
	deliver_to_application(ctx, skb);
}

static void deliver(struct kssl_sock *ctx, struct sk_buff *skb)
{
	if (ctx->ktls && kssl_rx_cb(skb)->type != KSSL_TYPE_APPLICATION_DATA) {
		deliver_unseen(ctx, skb);
		return;
	}
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
	case EKEYEXPIRED:	return "the receiving key is used up";
	default:		return "a record could not be opened";
	}
}

/* Is a FIN an end, as the application asked for?  Not within a record or a handshake. */
static bool may_just_end(struct kssl_sock *ctx)
{
	/* Nor is a reset one whose error somebody has taken. */
	return (ctx->policy.flags & KSSL_POLICY_INSECURE_EOF) && sock_flag(ctx->sk, SOCK_DONE) &&
	       ctx->rx.established && !kssl_sock_in_handshake(ctx) &&
	       !kssl_stream_available(ctx);
}

/*
 * Is this the end, for what cannot be opened now?  What came before a reset stays readable
 * where a key, or whoever reads what is before it, makes it so; but no helper answers any
 * more.
 */
static bool is_cut_off(struct kssl_sock *ctx)
{
	const struct kssl_rx *rx = &ctx->rx;

	if (rx->held && ctx->tx.dir.err)
		return ends(ctx->sk);
	return ctx->sk->sk_err &&
	       !((rx->need_key || rx->control_queued) && kssl_stream_available(ctx));
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
		if (may_just_end(ctx) || ctx->rx.shut) {
			ctx->rx.dir.closed = true;
			return;
		}
		kssl_fail_dir(ctx, &ctx->rx.dir, ECONNRESET, KSSL_WHO_PEER,
			      "the peer closed the connection without close_notify");
	} else if (ctx->rx.shut) {
		WRITE_ONCE(ctx->rx.deaf, true);
	}
}

/**
 * kssl_rx_next() - take the next record through all stages
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 1 if one was taken, 0 if there is none now, %-ENOMEM, or the error with
 * which receiving has failed.
 */
int kssl_rx_next(struct kssl_sock *ctx)
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
	if (rx->update_due) {
		ret = kssl_bounce_update(ctx);
		if (ret)
			return ret;
	}
	if (!can_open(ctx)) {
		if (is_cut_off(ctx))
			check_end(ctx);
		return 0;
	}
	if (tcp_sk(sk)->copied_seq != rx->copied_seq) {
		fail(ctx, EIO, "bytes left the stream behind the record layer");
		return -EIO;
	}

	ret = frame(ctx, &h);
	if (!ret)
		drop_segments(rx);
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
	if (!kssl_stream_available(ctx))
		drop_segments(rx);
	rx->dir.records++;
	if (rx->dir.epoch)
		deliver(ctx, skb);
	else
		kssl_bounce_to_helper(ctx, skb);
	return 1;
}

/**
 * kssl_rx_may_look_ahead() - may records be opened though others are unread?
 * @ctx: connection
 *
 * Context: Any; only a hint without the socket lock.
 */
bool kssl_rx_may_look_ahead(const struct kssl_sock *ctx)
{
	unsigned int max = READ_ONCE(ctx->policy.lookahead);

	return READ_ONCE(ctx->rx.queued) < max &&
	       READ_ONCE(ctx->rx.queued_mem) < KSSL_LOOKAHEAD_MEM * max;
}

/**
 * kssl_rx_low_water() - bytes that make a read worth while, SO_RCVLOWAT
 * @rx: receiving side
 */
unsigned int kssl_rx_low_water(const struct kssl_rx *rx)
{
	return max(READ_ONCE(rx->rcvlowat), 1);
}

/**
 * kssl_rx_pump() - open records until someone has something to do
 * @ctx: connection
 * @want: bytes for the application, at least one
 *
 * Opens until the application has @want bytes; while a handshake is under way on,
 * so that its messages are found behind data nobody reads. Never more than the
 * policy's look-ahead. Wakes nobody, for that was done when the bytes came; a
 * second time would be a second edge.
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_rx_pump(struct kssl_sock *ctx, unsigned int want)
{
	struct kssl_rx *rx = &ctx->rx;
	bool moved = false;

	while (skb_queue_empty(&rx->queue) ||
	       ((kssl_sock_in_bounce(ctx) || rx->queued < want) && kssl_rx_may_look_ahead(ctx))) {
		int ret = kssl_rx_next(ctx);

		if (ret == -ENOMEM) {
			rx->starved = true;
			kssl_sock_later(ctx, &rx->work, HZ / 10);
		}
		if (ret <= 0)
			break;
		moved = true;
	}
	if (moved && rx->starved) {
		rx->starved = false;
		rx->events++;
		kssl_sock_wake(ctx);
	}
	kssl_policy_clock(ctx);
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

	if (!kssl_sock_trylock(ctx, work))
		return;
	kssl_rx_pump(ctx, kssl_rx_low_water(&ctx->rx));
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
	rx->dir.used = seq;
	rx->dir.epochs++;
	rx->dir.plain = false;
	rx->need_key = false;
	rx->need = KSSL_HEADER_LEN;
	rx->events++;
	kssl_policy_new_key(ctx, &rx->dir);
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

	/* Below the low water mark only what there will be no more of is worth a read. */
	if (!skb_queue_empty_lockless(&rx->queue) &&
	    (READ_ONCE(rx->queued) >= kssl_rx_low_water(rx) || !kssl_rx_may_look_ahead(ctx) ||
	     READ_ONCE(rx->control_queued) || READ_ONCE(rx->need_key)))
		return true;
	if (READ_ONCE(rx->dir.err) || READ_ONCE(rx->dir.closed) || READ_ONCE(rx->deaf))
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
				 tcp_epollin_ready(ctx->sk, INT_MAX) || ends(ctx->sk) ||
				 (READ_ONCE(ctx->rx.shut) && !READ_ONCE(ctx->rx.deaf)));
}

/* ---- the end ---- */

/**
 * kssl_rx_retire() - drop a record from the queue
 * @ctx: connection
 * @skb: the record
 *
 * Context: Caller holds the socket lock.
 */
void kssl_rx_retire(struct kssl_sock *ctx, struct sk_buff *skb)
{
	ctx->rx.queued_mem -= skb->truesize;
	kssl_mem_uncharge(ctx->sk, skb->truesize);
	if (kssl_rx_cb(skb)->type != KSSL_TYPE_APPLICATION_DATA)
		ctx->rx.control_queued = false;
	__skb_unlink(skb, &ctx->rx.queue);
	kfree_skb(skb);
	if (unlikely(ctx->rekey) && skb_queue_empty(&ctx->rx.queue))
		kssl_policy_ask(ctx, true);
}

/* Drop the control records at the head of the queue; is application data left? */
static bool drop_control(struct kssl_sock *ctx)
{
	struct sk_buff *skb;

	while ((skb = skb_peek(&ctx->rx.queue))) {
		if (kssl_rx_cb(skb)->type == KSSL_TYPE_APPLICATION_DATA && !kssl_rx_cb(skb)->empty)
			return true;
		kssl_rx_retire(ctx, skb);
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
	} while (kssl_rx_next(ctx) > 0);

	/*
	 * What is behind a bad record, or one that held us, will never be opened, and of
	 * what comes behind shutdown(SHUT_RD) a part may be here.
	 */
	if ((ctx->rx.dir.err || ctx->rx.held || ctx->rx.need_key || ctx->rx.update_due ||
	     ctx->rx.deaf || ctx->rx.dir.closed) && tcp_inq(ctx->sk))
		kssl_stream_consume(ctx, kssl_stream_available(ctx));
	return true;
}

/**
 * kssl_rx_free() - free what receiving holds
 * @ctx: connection, no longer attached
 */
void kssl_rx_free(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;

	kssl_mem_uncharge(ctx->sk, rx->queued_mem);
	rx->queued_mem = 0;
	rx->queued = 0;
	__skb_queue_purge(&rx->queue);
	drop_segments(rx);
	kssl_bounce_answered(ctx);
	kssl_stream_free(ctx);
	kssl_epoch_put(ctx->rx.dir.epoch);
	ctx->rx.dir.epoch = NULL;
}
