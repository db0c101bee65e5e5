// SPDX-License-Identifier: GPL-2.0
/*
 * Sending: fill -> seal -> push.
 *
 * fill copies application bytes into the open record, seal makes a finished
 * record of it, push hands finished records to TCP in order.  A record that is
 * sealed is committed: its bytes count as sent and it stays in the queue until
 * TCP has taken all of it.
 */
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include "kssl.h"

/* ---- fill ---- */

/* Undo the last @len bytes of fill(). */
static void unfill(struct kssl_buf *buf, struct msghdr *msg, unsigned int len)
{
	iov_iter_revert(&msg->msg_iter, len);
	kssl_buf_trim(buf, len);
	buf->payload_len -= len;
}

/*
 * Copy from @msg into @buf; the bytes copied, or -errno and none were.  A page that is
 * not there is -EFAULT, for it may take as long as its owner likes to come, and others
 * want tx.lock: see fault_in().
 */
static int fill(struct kssl_buf *buf, struct msghdr *msg, unsigned int want)
{
	unsigned int filled = 0;

	while (filled < want) {
		struct page *page;
		unsigned int offset;
		size_t copied;
		int n = kssl_buf_reserve(buf, 1, want - filled, false, &page, &offset);

		if (n < 0)
			return filled ? filled : n;
		pagefault_disable();
		copied = copy_page_from_iter(page, offset, n, &msg->msg_iter);
		pagefault_enable();
		buf->payload_len += copied;
		filled += copied;
		if (copied < n) {
			kssl_buf_trim(buf, n - copied);
			unfill(buf, msg, filled);
			return -EFAULT;
		}
	}
	return filled;
}

/**
 * struct pages - those that a call sends from
 * @readable: bytes of them that are known to be there
 * @faults: how often they were not, since the last record
 */
struct pages {
	size_t readable;
	unsigned int faults;
};

/*
 * Have the pages come that a record of at most @want bytes is copied from.  Caller holds
 * no lock.
 */
static int fault_in(struct msghdr *msg, struct pages *pages, u8 type, size_t want)
{
	size_t missing;

	want = min_t(size_t, msg_data_left(msg), want);
	if (!user_backed_iter(&msg->msg_iter) || ++pages->faults > KSSL_FAULTS_MAX)
		return -EFAULT;
	missing = fault_in_iov_iter_readable(&msg->msg_iter, want);
	if (fatal_signal_pending(current))
		return -EINTR;
	/* Of what is one record there is no first half. */
	if (missing == want || (missing && type != KSSL_TYPE_APPLICATION_DATA))
		return -EFAULT;
	pages->readable = want - missing;
	return 0;
}

/* ---- seal ---- */

/* In one piece, but for long padding where memory has only single pages. */
static int reserve_pieces(struct kssl_buf *buf, unsigned int len)
{
	unsigned int reserved = 0;

	while (reserved < len) {
		struct page *page;
		unsigned int offset, left = len - reserved;
		int n = kssl_buf_reserve(buf, left, left, true, &page, &offset);

		if (n < 0) {
			kssl_buf_trim(buf, reserved);
			return n;
		}
		reserved += n;
	}
	return len;
}

/* Room for what sealing puts behind a content of @payload_len; bytes of it, or -ENOMEM. */
static int reserve_suffix(const struct kssl_epoch *e, struct kssl_buf *buf,
			  unsigned int payload_len)
{
	unsigned int len = e->suite->cipher->fmt->suffix_len(e, payload_len);
	int ret = reserve_pieces(buf, len);

	if (ret == -ENOBUFS && !kssl_buf_compact(buf, KSSL_HEADER_LEN + e->prefix_len))
		ret = reserve_pieces(buf, len);
	return ret < 0 ? -ENOMEM : ret;
}

/* kssl_tx_seal(), the suffix of @suffix_len bytes being reserved. */
static int seal(struct kssl_dir *dir, struct kssl_buf *buf, u8 type, unsigned int suffix_len)
{
	struct kssl_epoch *e = dir->epoch;
	unsigned int prefix_len = KSSL_HEADER_LEN + e->prefix_len;
	struct scatterlist sg[KSSL_BUF_SEGS + 1];
	unsigned int i, entries = 1;
	int ret;

	sg_init_table(sg, KSSL_BUF_SEGS + 1);
	for (i = 0; i < buf->segs; i++) {
		unsigned int skip = i ? 0 : prefix_len;

		/* The header may be alone in its page, and ciphers trip over empty entries. */
		if (buf->seg[i].bv_len > skip)
			sg_set_page(&sg[entries++], buf->seg[i].bv_page,
				    buf->seg[i].bv_len - skip, buf->seg[i].bv_offset + skip);
	}
	sg_mark_end(&sg[entries - 1]);
	ret = e->suite->cipher->fmt->seal(e, dir->seq, dir->nonce, type,
					  page_address(buf->seg[0].bv_page) + buf->seg[0].bv_offset,
					  sg, buf->payload_len);
	if (ret)
		return -EIO;	/* not -ENOMEM: the buffer may be half encrypted */

	buf->len = prefix_len + buf->payload_len + suffix_len;
	dir->seq++;
	dir->nonce++;
	dir->records++;
	dir->used += kssl_epoch_cost(e, buf->payload_len);
	if (type == KSSL_TYPE_APPLICATION_DATA)
		dir->bytes += buf->payload_len;
	return 0;
}

/**
 * kssl_tx_seal() - make a finished record
 * @ctx: connection
 * @dir: sending direction, or a batch's copy of it; moves on by one record
 * @buf: content, behind room for @dir->epoch's prefix
 * @type: content type
 *
 * Context: Process context. Caller holds tx.lock.
 * Return:
 * * %0 - done, @buf->len is set
 * * %-ENOMEM - no room for tag and padding; content of @buf and @dir are as before
 * * %-EKEYEXPIRED - out of sequence numbers (RFC 8446 5.3, RFC 5246 6.1)
 * * %-EIO - the cipher failed; @buf is spoilt
 */
int kssl_tx_seal(struct kssl_sock *ctx, struct kssl_dir *dir, struct kssl_buf *buf, u8 type)
{
	int suffix_len;

	lockdep_assert_held(&ctx->tx.lock);
	if (dir->seq == U64_MAX)
		return -EKEYEXPIRED;
	suffix_len = reserve_suffix(dir->epoch, buf, buf->payload_len);
	return suffix_len < 0 ? suffix_len : seal(dir, buf, type, suffix_len);
}

/*
 * Does a record of application data go out as two?  An attacker who knows the IV of what
 * he has sent next learns from one octet at most (CVE-2011-3389).
 */
static bool needs_split(const struct kssl_sock *ctx, const struct kssl_buf *buf)
{
	const struct kssl_epoch *e = ctx->tx.dir.epoch;
	u32 flags = ctx->policy.flags;

	if (likely(!(e->ver->flags & KSSL_V_CHAINED_IV)) || e->suite->cipher->fmt != &kssl_fmt_cbc)
		return false;
	return !(flags & KSSL_POLICY_NO_SPLIT) &&
	       buf->payload_len > !(flags & KSSL_POLICY_SPLIT_EMPTY);
}

/* Of the content the first octet. */
static struct bio_vec *find_first(struct kssl_buf *buf, unsigned int *offset)
{
	/* The header may be alone in its page. */
	bool alone = buf->seg[0].bv_len == KSSL_HEADER_LEN;

	*offset = alone ? 0 : KSSL_HEADER_LEN;
	return &buf->seg[alone];
}

/* Take it away; what is before moves on by one. */
static void cut_first(struct kssl_buf *buf)
{
	unsigned int offset;
	struct bio_vec *seg = find_first(buf, &offset);

	seg->bv_offset++;
	seg->bv_len--;
	buf->payload_len--;
}

/* The record that goes before @buf, not sealed; or -errno. */
static struct kssl_buf *make_first(struct kssl_sock *ctx, struct kssl_buf *buf)
{
	struct kssl_buf *first = kssl_buf_new(KSSL_HEADER_LEN, false);
	unsigned int offset;
	struct bio_vec *seg = find_first(buf, &offset);
	int ret = 0;

	if (!first)
		return ERR_PTR(-ENOMEM);
	if (!(ctx->policy.flags & KSSL_POLICY_SPLIT_EMPTY))
		ret = kssl_buf_add(first, page_address(seg->bv_page) + seg->bv_offset + offset, 1);
	if (!ret)
		return first;
	kssl_buf_free(first);
	return ERR_PTR(ret);
}

static int seal_two(struct kssl_dir *dir, struct kssl_buf *first, struct kssl_buf *buf)
{
	int first_len = reserve_suffix(dir->epoch, first, first->payload_len);
	int len = first_len < 0 ? first_len :
		  reserve_suffix(dir->epoch, buf, buf->payload_len - first->payload_len);
	int ret;

	if (len < 0)
		return len;
	ret = seal(dir, first, KSSL_TYPE_APPLICATION_DATA, first_len);
	if (ret)
		return ret;
	if (first->payload_len)
		cut_first(buf);
	return seal(dir, buf, KSSL_TYPE_APPLICATION_DATA, len);
}

/*
 * As kssl_tx_seal(), of application data; *@first is what goes before it, or NULL.  It is
 * there also if only @buf could not be sealed: its number is spent.
 */
static int seal_data(struct kssl_sock *ctx, struct kssl_buf *buf, struct kssl_buf **first)
{
	struct kssl_dir *dir = &ctx->tx.dir;
	int ret;

	*first = NULL;
	if (!needs_split(ctx, buf))
		return kssl_tx_seal(ctx, dir, buf, KSSL_TYPE_APPLICATION_DATA);
	if (dir->seq >= U64_MAX - 1)
		return -EKEYEXPIRED;
	*first = make_first(ctx, buf);
	if (IS_ERR(*first)) {
		ret = PTR_ERR(*first);
		*first = NULL;
		return ret;
	}
	ret = seal_two(dir, *first, buf);
	if (ret && !(*first)->len) {
		kssl_buf_free(*first);
		*first = NULL;
	}
	return ret;
}

/* What cannot be sealed ends the connection; but a lack of memory is no reason. */
static int fail_to_seal(struct kssl_sock *ctx, int ret)
{
	bool expired = ret == -EKEYEXPIRED;

	if (ctx->ktls) {
		kssl_fail_dir(ctx, &ctx->tx.dir, EBADMSG, KSSL_WHO_KERNEL,
			      expired ? "the sequence numbers of the sending key are used up" :
					"a record could not be sealed");
		return -EBADMSG;
	}
	kssl_fail(ctx, expired ? EKEYEXPIRED : EIO, KSSL_WHO_KERNEL,
		  expired ? KSSL_ALERT_NONE : KSSL_ALERT_INTERNAL_ERROR,
		  expired ? "the sequence numbers of the sending key are used up" :
			    "a record could not be sealed");
	return expired ? -EKEYEXPIRED : -EIO;
}

/**
 * kssl_tx_seal_open() - finish the record that MSG_MORE left open
 * @ctx: connection
 *
 * Context: Process context. Caller holds tx.lock and the socket lock.
 * Return: 0, also if there is none; else as kssl_tx_seal(), the record stays open
 * unless the cipher spoilt it, which fails the connection.
 */
int kssl_tx_seal_open(struct kssl_sock *ctx)
{
	struct kssl_buf *buf = ctx->tx.open, *first;
	int ret;

	if (!buf)
		return 0;
	ret = seal_data(ctx, buf, &first);
	if (ret == -ENOMEM)
		return ret;
	kssl_tx_set_open(ctx, NULL);
	if (first)
		kssl_tx_queue(ctx, first);
	if (!ret) {
		kssl_tx_queue(ctx, buf);
		return 0;
	}
	kssl_buf_free(buf);
	return fail_to_seal(ctx, ret);
}

/**
 * kssl_tx_seal_update() - make a KeyUpdate, and go on with the next key
 * @ctx: connection
 * @dir: sending direction, or a batch's copy of it, of TLS 1.3 and with a secret; its
 *	epoch is the next one afterwards, with a reference of its own
 * @request: KSSL_UPDATE_*: is the peer to send one too?
 *
 * Context: Process context. Caller holds tx.lock.
 * Return: the record, under the key before; or as kssl_tx_seal(), nothing changed.
 */
struct kssl_buf *kssl_tx_seal_update(struct kssl_sock *ctx, struct kssl_dir *dir, u8 request)
{
	const u8 update[] = { KSSL_HANDSHAKE_KEY_UPDATE, 0, 0, 1, request };
	struct kssl_epoch *next = kssl_epoch_next(dir->epoch);
	struct kssl_buf *buf;
	int ret;

	if (IS_ERR(next))
		return ERR_CAST(next);
	buf = kssl_buf_new(KSSL_HEADER_LEN + dir->epoch->prefix_len, true);
	ret = buf ? kssl_buf_add(buf, update, sizeof(update)) : -ENOMEM;
	if (!ret)
		ret = kssl_tx_seal(ctx, dir, buf, KSSL_TYPE_HANDSHAKE);
	if (ret) {
		kssl_buf_free(buf);
		kssl_epoch_put(next);
		return ERR_PTR(ret);
	}
	dir->epoch = next;
	dir->seq = 0;
	dir->nonce = 0;
	dir->used = 0;
	return buf;
}

/* ---- push ---- */

/**
 * kssl_tx_queue() - append a finished record to what goes to TCP
 * @ctx: connection
 * @buf: sealed record; the queue owns it now
 *
 * Context: Caller holds the socket lock.
 */
void kssl_tx_queue(struct kssl_sock *ctx, struct kssl_buf *buf)
{
	ctx->tx.bytes += buf->len;
	if (buf->control)
		ctx->tx.control_bytes += buf->len;
	list_add_tail(&buf->list, &ctx->tx.queue);
}

static void retire(struct kssl_sock *ctx, struct kssl_buf *buf)
{
	ctx->tx.bytes -= buf->len - buf->sent;
	if (buf->control)
		ctx->tx.control_bytes -= buf->len - buf->sent;
	if (buf->charged)
		kssl_mem_uncharge(ctx->sk, buf->len);
	list_del(&buf->list);
	kssl_buf_free(buf);
}

static void drop_queue(struct kssl_sock *ctx)
{
	struct kssl_buf *buf, *next;

	list_for_each_entry_safe(buf, next, &ctx->tx.queue, list)
		retire(ctx, buf);
}

/* What TCP did not take is ours to account for until it does. */
static void charge_queue(struct kssl_sock *ctx)
{
	struct kssl_buf *buf;

	list_for_each_entry(buf, &ctx->tx.queue, list) {
		if (buf->charged)
			continue;
		buf->charged = true;
		kssl_mem_charge(ctx->sk, buf->len, SK_MEM_SEND);
	}
}

static int push_buf(struct kssl_sock *ctx, struct kssl_buf *buf, int flags)
{
	struct sock *sk = ctx->sk;
	unsigned int i, skip = buf->sent;

	for (i = 0; i < buf->segs; i++) {
		struct bio_vec *seg = &buf->seg[i];

		while (skip < seg->bv_len) {
			bool last = i + 1 == buf->segs;
			int ret = kssl_compat_send_page(sk, seg->bv_page, seg->bv_offset + skip,
							seg->bv_len - skip,
							flags | (last ? 0 : MSG_MORE));

			ctx->tx.write_seq = tcp_sk(sk)->write_seq;
			if (ret <= 0)
				return ret ? ret : -EAGAIN;
			buf->sent += ret;
			skip += ret;
		}
		skip -= seg->bv_len;
	}
	return 0;
}

/*
 * Sending may be held until the peer answers what is in the queue: then neither Nagle's
 * wait for an ACK nor the application's cork may hold it back.
 */
static int push_queue(struct kssl_sock *ctx, int flags)
{
	struct tcp_sock *tp = tcp_sk(ctx->sk);
	struct kssl_tx *tx = &ctx->tx;
	u8 nonagle = tp->nonagle;
	int ret = 0;

	if (tx->control_bytes)
		tp->nonagle = TCP_NAGLE_OFF;
	while (!ret && !list_empty(&tx->queue)) {
		struct kssl_buf *buf = list_first_entry(&tx->queue, struct kssl_buf, list);
		unsigned int before = buf->sent;
		bool last = list_is_last(&buf->list, &tx->queue);

		ret = push_buf(ctx, buf, MSG_DONTWAIT | MSG_NOSIGNAL | (last ? flags : MSG_MORE));
		tx->bytes -= buf->sent - before;
		if (buf->control)
			tx->control_bytes -= buf->sent - before;
		if (!ret)
			retire(ctx, buf);
	}
	tp->nonagle = nonagle;
	return ret;
}

/**
 * kssl_tx_push() - hand finished records to TCP
 * @ctx: connection
 * @flags: MSG_MORE if more follows at once
 *
 * Never waits. What TCP does not take stays queued; write_space brings us back.
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0 if the queue is empty now, %-EAGAIN if not, or the error that failed
 * sending.
 */
int kssl_tx_push(struct kssl_sock *ctx, int flags)
{
	struct kssl_tx *tx = &ctx->tx;
	struct sock *sk = ctx->sk;
	int ret = 0;

	if (list_empty(&tx->queue))
		goto out;
	if (tcp_sk(sk)->write_seq != tx->write_seq) {
		drop_queue(ctx);
		kssl_fail(ctx, EIO, KSSL_WHO_KERNEL, KSSL_ALERT_NONE,
			  "bytes entered the stream behind the record layer");
		return -EIO;
	}
	ret = push_queue(ctx, flags);
	if (ret == -EAGAIN || ret == -ENOMEM) {
		ret = -EAGAIN;
		charge_queue(ctx);
		/* No ACK will bring write_space: out of memory. */
		if (!tcp_sk(sk)->packets_out)
			kssl_sock_later(ctx, &tx->work, HZ / 10);
	} else if (ret) {
		/* What the peer sent before it reset the connection stays readable. */
		drop_queue(ctx);
		kssl_fail_dir(ctx, &tx->dir, sk->sk_err ? sk->sk_err : -ret,
			      KSSL_WHO_PEER, "TCP refused to send");
	}
out:
	kssl_sock_report(ctx);
	return ret;
}

/* ---- holds and keys ---- */

/**
 * kssl_tx_hold() - keep application data from being sealed
 * @ctx: connection
 * @why: KSSL_HOLD_*
 *
 * Context: Caller holds the socket lock.
 */
void kssl_tx_hold(struct kssl_sock *ctx, u8 why)
{
	if (!ctx->tx.hold) {
		ctx->tx.hold_since = ktime_get();
		ctx->holds++;
	}
	ctx->tx.hold |= why;
}

/**
 * kssl_tx_release() - undo kssl_tx_hold()
 * @ctx: connection
 * @why: KSSL_HOLD_*
 *
 * Context: Caller holds the socket lock.
 */
void kssl_tx_release(struct kssl_sock *ctx, u8 why)
{
	if (!(ctx->tx.hold & why))
		return;
	ctx->tx.hold &= ~why;
	if (ctx->tx.hold)
		return;
	ctx->hold_last_ns = ktime_to_ns(ktime_sub(ktime_get(), ctx->tx.hold_since));
	ctx->hold_max_ns = max(ctx->hold_max_ns, ctx->hold_last_ns);
	if (ctx->tx.due)
		kssl_sock_later(ctx, &ctx->tx.work, 0);
	kssl_sock_wake(ctx);
}

/**
 * kssl_tx_set_key() - seal with a new key from the next record on
 * @ctx: connection; no record is open
 * @e: epoch; its reference is taken over
 * @seq: sequence number of the next record
 * @nonce: explicit nonce of the next record
 *
 * Context: Caller holds tx.lock and the socket lock.
 */
void kssl_tx_set_key(struct kssl_sock *ctx, struct kssl_epoch *e, u64 seq, u64 nonce)
{
	struct kssl_dir *dir = &ctx->tx.dir;

	ctx->etm |= e->flags & KSSL_KEY_ETM;
	kssl_epoch_put(dir->epoch);
	dir->epoch = e;
	dir->seq = seq;
	dir->nonce = nonce;
	dir->used = seq;
	dir->epochs++;
	dir->plain = false;
	kssl_policy_new_key(ctx, dir);
}

/* ---- what is due before data ---- */

/**
 * kssl_tx_ask() - have something sent before the next record of application data
 * @ctx: connection
 * @due: KSSL_DUE_*
 *
 * Whoever has tx.lock next does it, at the latest the work. What was asked for twice
 * is done once: not before TCP has taken all that was sealed, so that a peer which
 * only asks and does not read gets no queue out of us.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_tx_ask(struct kssl_sock *ctx, u8 due)
{
	WRITE_ONCE(ctx->tx.due, ctx->tx.due | due);
	kssl_sock_later(ctx, &ctx->tx.work, 0);
}

static int send_update(struct kssl_sock *ctx, u8 request)
{
	struct kssl_dir dir = ctx->tx.dir;
	struct kssl_buf *buf = kssl_tx_seal_update(ctx, &dir, request);

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	kssl_tx_queue(ctx, buf);
	ctx->tx.dir.records = dir.records;
	kssl_tx_set_key(ctx, dir.epoch, 0, 0);
	ctx->updates_sent++;
	ctx->rx.updates_asked += request;
	kssl_control_updated(ctx);
	return 0;
}

/*
 * Do what is due, if TCP has taken everything else or @now says so.  0 if nothing is due
 * any more, or -EAGAIN: it stays, and somebody will come back to it.
 */
static int settle(struct kssl_sock *ctx, bool now)
{
	struct kssl_tx *tx = &ctx->tx;
	int ret = 0;

	if (likely(!tx->due))
		return 0;
	if (tx->dir.closed || tx->dir.err) {
		tx->due = 0;
		return 0;
	}
	if (tx->hold || (!now && !list_empty(&tx->queue)))
		return -EAGAIN;
	if ((tx->due & KSSL_DUE_REFUSAL) && (tx->dir.epoch->ver->flags & KSSL_V_SSL3)) {
		/* RFC 6101 5.4.2 has no alert for it but the last one. */
		tx->due = 0;
		kssl_fail(ctx, EPROTO, KSSL_WHO_KERNEL, KSSL_ALERT_HANDSHAKE_FAILURE,
			  "the peer renegotiates, which SSL 3.0 cannot refuse");
		return -EPROTO;
	}
	if (tx->due & KSSL_DUE_REFUSAL) {
		ret = kssl_alert_send(ctx, KSSL_ALERT_WARNING, KSSL_ALERT_NO_RENEGOTIATION);
		if (!ret)
			kssl_genl_event(ctx, KSSL_EVENT_NL_DECLINED);
	}
	if (!ret && (tx->due & (KSSL_DUE_UPDATE | KSSL_DUE_REQUEST)))
		ret = send_update(ctx, tx->due & KSSL_DUE_REQUEST ? KSSL_UPDATE_REQUESTED :
				  KSSL_UPDATE_NOT_REQUESTED);
	if (!ret)
		tx->due &= KSSL_DUE_OPEN;
	if (!ret && (tx->due & KSSL_DUE_OPEN))
		ret = kssl_tx_seal_open(ctx);
	if (ret == -ENOMEM) {
		kssl_sock_later(ctx, &tx->work, HZ / 10);
		return -EAGAIN;
	}
	WRITE_ONCE(tx->due, 0);
	return ret ? fail_to_seal(ctx, ret) : 0;
}

/* ---- the system call ---- */

/**
 * kssl_tx_leave() - give up tx.lock
 * @ctx: connection
 *
 * The work does not wait for tx.lock, lest a writer that waits for a socket somebody owns
 * stop everybody's work; what the work left is ours to restart.
 *
 * Context: Process context. The caller keeps the socket from being closed.
 */
void kssl_tx_leave(struct kssl_sock *ctx)
{
	mutex_unlock(&ctx->tx.lock);
	if (READ_ONCE(ctx->tx.alert) != KSSL_ALERT_NONE || READ_ONCE(ctx->tx.due))
		kssl_sock_later(ctx, &ctx->tx.work, 0);
}

static int tx_error(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;
	struct kssl_dir *dir = &ctx->tx.dir;

	if (dir->err)
		return -dir->err;
	if (sk->sk_err)
		return -sk->sk_err;
	/* Also while close_notify is only due: nothing of ours may slip in before it. */
	if (dir->closed || ctx->tx.alert == KSSL_ALERT_CLOSE_NOTIFY ||
	    (sk->sk_shutdown & SEND_SHUTDOWN))
		return -EPIPE;
	if (!dir->epoch && !ctx->attended)
		return -ENOKEY;
	return 0;
}

/* May a record be sealed and pushed now? */
static bool tx_open(const struct kssl_sock *ctx)
{
	return !READ_ONCE(ctx->tx.hold) && !READ_ONCE(ctx->tx.due) &&
	       list_empty_careful(&ctx->tx.queue);
}

/*
 * Take tx.lock at a record boundary, when nothing keeps a record from being
 * sealed.  On error tx.lock is not held.
 */
static int tx_enter(struct kssl_sock *ctx, long *timeo)
{
	struct sock *sk = ctx->sk;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err;

	for (;;) {
		if (mutex_lock_interruptible(&ctx->tx.lock))
			return sock_intr_errno(*timeo);
		lock_sock(sk);
		err = tx_error(ctx);
		if (!err && !ctx->tx.hold) {
			err = kssl_tx_push(ctx, 0);
			if (!err && ctx->tx.due) {
				err = settle(ctx, false);
				if (!err)
					err = kssl_tx_push(ctx, 0);
			}
			if (!err) {
				release_sock(sk);
				return 0;
			}
			if (err == -EAGAIN)
				err = 0;
		}
		kssl_tx_leave(ctx);
		if (!err && !*timeo) {
			set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
			err = -EAGAIN;
		}
		if (!err && signal_pending(current))
			err = sock_intr_errno(*timeo);
		if (!err) {
			set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
			add_wait_queue(sk_sleep(sk), &wait);
			sk->sk_write_pending++;
			sk_wait_event(sk, timeo, tx_error(ctx) || tx_open(ctx), &wait);
			sk->sk_write_pending--;
			remove_wait_queue(sk_sleep(sk), &wait);
		}
		release_sock(sk);
		if (err)
			return err;
	}
}

/* Let a batch, a hold or a full send buffer have its turn between two records. */
static int tx_next_record(struct kssl_sock *ctx, long *timeo)
{
	if (!atomic_read(&ctx->tx.control_waiting) && tx_open(ctx) &&
	    !READ_ONCE(ctx->tx.dir.err) && !signal_pending(current))
		return 0;
	kssl_tx_leave(ctx);
	return tx_enter(ctx, timeo);
}

/* Seal the record just filled and hand it to TCP. */
static int seal_and_push(struct kssl_sock *ctx, struct kssl_buf *buf, u8 type, bool more)
{
	struct kssl_buf *first = NULL;
	int ret = type == KSSL_TYPE_APPLICATION_DATA ? seal_data(ctx, buf, &first) :
		  kssl_tx_seal(ctx, &ctx->tx.dir, buf, type);

	if (ret == -ENOMEM)
		return ret;
	lock_sock(ctx->sk);
	if (ctx->tx.open == buf)
		kssl_tx_set_open(ctx, NULL);
	if (first)
		kssl_tx_queue(ctx, first);
	if (ret) {
		kssl_buf_free(buf);
		ret = fail_to_seal(ctx, ret);
	} else {
		kssl_tx_queue(ctx, buf);
		/* What TCP cannot take now is queued; the bytes count as sent. */
		kssl_tx_push(ctx, more ? MSG_MORE : 0);
		kssl_policy_count(ctx, &ctx->tx.dir);
		/* A peer that only listens may still have reasons for KeyUpdates. */
		ctx->rx.useless = 0;
	}
	release_sock(ctx->sk);
	return ret;
}

/* May the key protect no more application data (RFC 8446 5.5)? */
static bool is_used_up(const struct kssl_sock *ctx)
{
	u64 hard = READ_ONCE(ctx->tx.dir.hard);

	return hard != U64_MAX && READ_ONCE(ctx->tx.dir.used) >= hard;
}

/* Who manages keys himself can send a KeyUpdate and bring another one. */
static int expire(struct kssl_sock *ctx)
{
	if (!ctx->had_helper)
		return -EKEYEXPIRED;
	lock_sock(ctx->sk);
	kssl_fail(ctx, EKEYEXPIRED, KSSL_WHO_KERNEL, KSSL_ALERT_NONE, "the sending key is used up");
	kssl_tx_push(ctx, 0);
	release_sock(ctx->sk);
	return -EKEYEXPIRED;
}

static void leave_open(struct kssl_sock *ctx, struct kssl_buf *buf)
{
	lock_sock(ctx->sk);
	kssl_tx_set_open(ctx, buf);
	release_sock(ctx->sk);
}

/*
 * Take at most @most bytes of @msg into one record.  Returns how many; on an error
 * nothing of this record was taken.
 */
static int send_record(struct kssl_sock *ctx, struct msghdr *msg, u8 type, bool keep_open,
		       size_t most)
{
	unsigned int max_payload = ctx->tx.dir.epoch->max_payload;
	struct kssl_buf *buf = ctx->tx.open;
	bool more;
	int filled, ret;

	if (!buf) {
		if (type == KSSL_TYPE_APPLICATION_DATA && is_used_up(ctx))
			return expire(ctx);
		buf = kssl_buf_new(KSSL_HEADER_LEN + ctx->tx.dir.epoch->prefix_len,
				   type != KSSL_TYPE_APPLICATION_DATA);
		if (!buf)
			return -ENOMEM;
	}
	most = min3(most, (size_t)max_payload - buf->payload_len, msg_data_left(msg));
	filled = fill(buf, msg, most);
	if (filled >= 0 && filled < most && type != KSSL_TYPE_APPLICATION_DATA) {
		/* Of what is one record there is no first half. */
		unfill(buf, msg, filled);
		filled = -ENOMEM;
	}
	if (filled < 0 && filled != -ENOBUFS) {
		if (buf != ctx->tx.open)
			kssl_buf_free(buf);
		return filled;
	}
	if (filled == -ENOBUFS)
		filled = 0;
	more = msg_data_left(msg);
	if (keep_open && !more && buf->payload_len < max_payload) {
		leave_open(ctx, buf);
		return filled;
	}

	ret = seal_and_push(ctx, buf, type, more || keep_open);
	if (ret == -ENOMEM) {
		unfill(buf, msg, filled);
		if (buf == ctx->tx.open)
			leave_open(ctx, buf);
		else
			kssl_buf_free(buf);
		return -ENOMEM;
	}
	return ret ? ret : filled;
}

/* Data goes before what is of another type. */
static int send_open(struct kssl_sock *ctx)
{
	int ret;

	lock_sock(ctx->sk);
	ret = kssl_tx_seal_open(ctx);
	kssl_tx_push(ctx, 0);
	release_sock(ctx->sk);
	return ret;
}

/* fault_in() without tx.lock; as tx_enter(). */
static int tx_fault_in(struct kssl_sock *ctx, struct msghdr *msg, struct pages *pages, u8 type,
		       long *timeo)
{
	unsigned int max_payload = ctx->tx.dir.epoch->max_payload;
	int ret;

	kssl_tx_leave(ctx);
	ret = fault_in(msg, pages, type, max_payload);
	return ret ? ret : tx_enter(ctx, timeo);
}

/* As send_record(), behind what is open of another type. */
static int send_one(struct kssl_sock *ctx, struct msghdr *msg, u8 type, bool keep_open, size_t most)
{
	int ret = 0;

	if (type != KSSL_TYPE_APPLICATION_DATA) {
		/* It is one record. */
		if (!ctx->ktls && msg_data_left(msg) > ctx->tx.dir.epoch->max_payload)
			return -EINVAL;
		/* Between two records it may be somebody else's. */
		if (ctx->tx.open)
			ret = send_open(ctx);
	}
	return ret ? ret : send_record(ctx, msg, type, keep_open, most);
}

/* The content type of a record sent on an unattended socket. */
static int read_cmsg(struct kssl_sock *ctx, struct msghdr *msg, u8 *type)
{
	struct cmsghdr *cmsg;

	if (ctx->ktls)
		return kssl_ktls_read_cmsg(msg, type);
	for_each_cmsghdr(cmsg, msg) {
		if (!CMSG_OK(msg, cmsg))
			return -EINVAL;
		if (cmsg->cmsg_level != SOL_KSSL)
			continue;
		if (cmsg->cmsg_type != KSSL_RECORD_TYPE || ctx->had_helper ||
		    cmsg->cmsg_len != CMSG_LEN(sizeof(*type)))
			return -EINVAL;
		*type = *(u8 *)CMSG_DATA(cmsg);
		if (*type < KSSL_TYPE_CHANGE_CIPHER_SPEC || *type > KSSL_TYPE_APPLICATION_DATA)
			return -EINVAL;
	}
	if (*type != KSSL_TYPE_APPLICATION_DATA &&
	    ((msg->msg_flags & MSG_MORE) || !msg_data_left(msg) ||
	     msg_data_left(msg) > KSSL_MAX_PAYLOAD))
		return -EINVAL;
	return 0;
}

/* Did the application itself send close_notify? Called before its bytes are sealed. */
static bool is_close_notify(struct msghdr *msg, u8 type)
{
	struct iov_iter iter = msg->msg_iter;
	u8 alert[2];

	return type == KSSL_TYPE_ALERT && msg_data_left(msg) == 2 &&
	       copy_from_iter(alert, 2, &iter) == 2 && alert[1] == KSSL_ALERT_CLOSE_NOTIFY;
}

/**
 * kssl_tx_sendmsg() - proto.sendmsg
 * @sk: socket
 * @msg: message; on unattended sockets a KSSL_RECORD_TYPE control message may
 *	name the content type
 * @size: bytes
 *
 * Context: Process context, may sleep.
 * Return: bytes taken, or
 * * %-EOPNOTSUPP - a flag that could lead around the record layer
 * * %-EINVAL - control message malformed or not allowed, or more than a record may hold
 * * %-EAGAIN, %-EINTR, %-ERESTARTSYS - held, no send buffer; nothing was taken
 * * %-ENOKEY - no key, and no helper that could bring one
 * * %-EPIPE - close_notify was sent
 * * %-EKEYEXPIRED - the key, or its sequence numbers, are used up; unattended, the
 *   next key ends that
 * * %-ENOMEM, %-EFAULT, or the sticky error of the connection
 */
int kssl_tx_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	long timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	u8 type = KSSL_TYPE_APPLICATION_DATA;
	bool more = msg->msg_flags & MSG_MORE;
	struct pages pages = { .readable = SIZE_MAX };
	bool closes;
	int copied = 0;
	int ret;

	if (msg->msg_flags & ~(MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR |
			       MSG_WAITALL | MSG_BATCH | MSG_CMSG_COMPAT | KSSL_COMPAT_SEND_FLAGS))
		return -EOPNOTSUPP;
	if (more && (msg->msg_flags & MSG_EOR))
		return -EINVAL;
	if (msg->msg_controllen) {
		ret = read_cmsg(ctx, msg, &type);
		if (ret)
			return ret;
	}
	closes = !ctx->ktls && is_close_notify(msg, type);

	ret = tx_enter(ctx, &timeo);
	if (ret)
		goto out;
	while (!ret && msg_data_left(msg)) {
		ret = send_one(ctx, msg, type, more, pages.readable);
		if (ret == -EFAULT) {
			ret = tx_fault_in(ctx, msg, &pages, type, &timeo);
			if (ret)
				goto out;
			continue;
		}
		if (ret < 0)
			break;
		copied += ret;
		ret = 0;
		pages = (struct pages){ .readable = SIZE_MAX };
		if (msg_data_left(msg)) {
			ret = tx_next_record(ctx, &timeo);
			if (ret)
				goto out;
		}
	}
	if (!ret && closes)
		ctx->tx.dir.closed = true;
	kssl_tx_leave(ctx);
out:
	if (copied)
		return copied;
	return ret == -EPIPE ? sk_stream_error(sk, msg->msg_flags, ret) : ret;
}

/**
 * kssl_tx_splice_eof() - the file that was spliced in ended short
 * @sock: socket
 *
 * Context: Process context, may sleep.
 */
void kssl_tx_splice_eof(struct socket *sock)
{
	struct kssl_sock *ctx = kssl_sock_of(sock->sk);

	mutex_lock(&ctx->tx.lock);
	lock_sock(sock->sk);
	if (ctx->tx.open)
		ctx->tx.due |= KSSL_DUE_OPEN;
	if (!settle(ctx, true))
		kssl_tx_push(ctx, 0);
	release_sock(sock->sk);
	kssl_tx_leave(ctx);
}

/**
 * kssl_tx_writeable() - would a write make progress?
 * @ctx: connection
 *
 * Context: Any; an answer that is out of date is put right by the next wakeup.
 */
bool kssl_tx_writeable(struct kssl_sock *ctx)
{
	struct kssl_dir *dir = &ctx->tx.dir;

	if (READ_ONCE(dir->err) || READ_ONCE(dir->closed))
		return true;
	if (!READ_ONCE(dir->epoch))
		return !READ_ONCE(ctx->attended);
	/* Until the next key, which wakes. */
	if (!ctx->had_helper && is_used_up(ctx))
		return false;
	return tx_open(ctx);
}

/**
 * kssl_tx_flush() - last chance before shutdown or close: send all, and close_notify
 * @ctx: connection
 *
 * The send buffer is widened for this bounded tail, so that it does not wait.
 *
 * Context: Process context. Caller holds tx.lock and the socket lock.
 * Return: 0 if TCP has taken everything, %-EAGAIN or %-ENOMEM if it could not for
 * now, or the error of TCP.
 */
int kssl_tx_flush(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	int sndbuf = sk->sk_sndbuf;
	u32 lowat = tp->notsent_lowat;
	int sent, ret;

	/* An answer that is due precedes what MSG_MORE has left open. */
	if (settle(ctx, true) == -EAGAIN && ctx->tx.open && !ctx->tx.hold)
		return -ENOMEM;
	if (ctx->tx.alert != KSSL_ALERT_NONE || !ctx->ktls) {
		if (ctx->tx.alert == KSSL_ALERT_NONE)
			ctx->tx.alert = KSSL_ALERT_CLOSE_NOTIFY;
		sent = kssl_alert_send_requested(ctx);
	} else {
		/* With kTLS close_notify is the application's. */
		sent = kssl_tx_seal_open(ctx);
	}

	WRITE_ONCE(sk->sk_sndbuf, INT_MAX);
	WRITE_ONCE(tp->notsent_lowat, UINT_MAX);
	ret = kssl_tx_push(ctx, 0);
	WRITE_ONCE(tp->notsent_lowat, lowat);
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	if (!ret && !sent)
		ctx->tx.dir.closed = true;
	return ret ? ret : sent;
}

/**
 * kssl_tx_begin() - sending is ours from here on
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock and sk_callback_lock.
 */
void kssl_tx_begin(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;

	ctx->tx.write_seq = tcp_sk(sk)->write_seq;
	ctx->saved_write_space = sk->sk_write_space;
	sk->sk_write_space = kssl_tx_write_space;
}

/**
 * kssl_tx_write_space() - sk_write_space: TCP has room again
 * @sk: socket
 *
 * Context: Caller holds the socket's spinlock, or owns the socket.
 */
void kssl_tx_write_space(struct sock *sk)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	if (ctx && !list_empty(&ctx->tx.queue))
		kssl_sock_later(ctx, &ctx->tx.work, 0);
	else if (ctx)
		ctx->saved_write_space(sk);
}

/* Take tx.lock if it is needed; who holds it starts the work again, see kssl_tx_leave(). */
static bool lock_if_due(struct kssl_sock *ctx)
{
	return (READ_ONCE(ctx->tx.alert) != KSSL_ALERT_NONE || READ_ONCE(ctx->tx.due)) &&
	       mutex_trylock(&ctx->tx.lock);
}

/* Caller holds the socket lock, and if @locked tx.lock. */
static void push_all(struct kssl_sock *ctx, bool locked)
{
	if (locked)
		kssl_alert_send_requested(ctx);
	if (!kssl_tx_push(ctx, 0) && (!locked || (!settle(ctx, false) && !kssl_tx_push(ctx, 0)))) {
		ctx->saved_write_space(ctx->sk);
		kssl_sock_wake(ctx);
	}
	wake_up_interruptible(&ctx->control_wait);
}

/**
 * kssl_tx_work() - push what waited for TCP, send what must not wait for anybody
 * @work: kssl_tx.work
 *
 * Context: Process context.
 */
void kssl_tx_work(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     tx.work);
	bool locked = lock_if_due(ctx);

	if (kssl_sock_trylock(ctx, work)) {
		push_all(ctx, locked);
		release_sock(ctx->sk);
	}
	if (locked)
		mutex_unlock(&ctx->tx.lock);
}

/**
 * kssl_tx_let_out() - have the work of a connection that has failed done now
 * @ctx: connection
 *
 * Context: Process context, may sleep.
 */
void kssl_tx_let_out(struct kssl_sock *ctx)
{
	bool locked;

	flush_delayed_work(&ctx->tx.work);
	if (READ_ONCE(ctx->reported) || !READ_ONCE(ctx->tx.dir.err))
		return;
	/* Perhaps it found the socket owned. */
	locked = lock_if_due(ctx);
	lock_sock(ctx->sk);
	push_all(ctx, locked);
	release_sock(ctx->sk);
	if (locked)
		kssl_tx_leave(ctx);
}

/**
 * kssl_tx_free() - free what sending holds
 * @ctx: connection, no longer attached
 */
void kssl_tx_free(struct kssl_sock *ctx)
{
	kssl_buf_free(ctx->tx.open);
	kssl_tx_set_open(ctx, NULL);
	drop_queue(ctx);
	kssl_epoch_put(ctx->tx.dir.epoch);
	ctx->tx.dir.epoch = NULL;
}
