// SPDX-License-Identifier: GPL-2.0
/*
 * Reading: the system calls that take opened records out of the queue.
 */
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <net/compat.h>
#include "kssl.h"

/* What a reader gets when there is nothing to read: 0 is a clean end of file. */
static int rx_end(struct kssl_sock *ctx, bool *end)
{
	struct kssl_rx *rx = &ctx->rx;

	*end = true;
	if (rx->dir.closed)
		return 0;
	if (rx->dir.err)
		return -rx->dir.err;
	if (rx->deaf)
		return 0;
	if (!rx->dir.epoch && !ctx->attended)
		return rx->shut ? 0 : -ENOKEY;
	if (rx->need_key)
		return -EKEYEXPIRED;
	*end = false;
	return 0;
}

/**
 * struct reader - one call that reads
 * @msg: where to, NULL for splice
 * @flags: MSG_*
 * @type: content type of what it got so far, 0 if nothing
 * @identity: of the peer it is from
 * @at: its place, counted as kssl_rx.taken is; ahead of that with MSG_PEEK
 * @absent: bytes it has to copy and cannot, because their pages are not there
 * @control_absent: or it has to tell this much of a record, where no page is:
 * @control_at: there
 * @telling: what it was about to tell, TELL_*
 * @untold: what nobody can be told, because that page cannot be written
 * @faults: how often pages were not there, since it last got on
 */
struct reader {
	struct msghdr *msg;
	int flags;
	u8 type;
	u32 identity;
	u64 at;
	unsigned int absent;
	unsigned int control_absent;
	void __user *control_at;
	u8 telling;
	u8 untold;
	unsigned int faults;
};

enum { TELL_TYPE = 1, TELL_IDENTITY = 2 };

/* Others may have read on while it had no lock. */
static void find_place(struct kssl_sock *ctx, struct reader *r)
{
	if (r->at < ctx->rx.taken || !(r->flags & MSG_PEEK))
		r->at = ctx->rx.taken;
}

/* Bytes in the queue from the reader's place on. */
static unsigned int reader_left(struct kssl_sock *ctx, const struct reader *r)
{
	u64 end = ctx->rx.taken + ctx->rx.queued;

	return r->at < end ? end - r->at : 0;
}

/*
 * Wait until the queue holds something for the reader.  1: it does, 0: end of
 * file, or a peeker is as far ahead as one gets; -errno: neither.
 */
static int wait_for_record(struct kssl_sock *ctx, struct reader *r, bool copied, long *timeo)
{
	struct kssl_rx *rx = &ctx->rx;
	struct sock *sk = ctx->sk;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	bool end;
	int ret;

	for (;;) {
		u32 events = rx->events;
		bool full = !skb_queue_empty(&rx->queue) && !kssl_rx_may_look_ahead(ctx);

		find_place(ctx, r);
		if (reader_left(ctx, r))
			return 1;
		ret = full ? 0 : kssl_rx_next(ctx);
		if (ret > 0)
			continue;
		if (ret == -ENOMEM)
			return ret;
		ret = rx_end(ctx, &end);
		if (end || (full && copied))
			return ret;
		/* More may be behind a record that nobody takes while he looks ahead of it. */
		if ((r->flags & MSG_PEEK) && ctx->sk->sk_err)
			return -ctx->sk->sk_err;
		if (!*timeo)
			return -EAGAIN;
		if (signal_pending(current))
			return sock_intr_errno(*timeo);

		kssl_policy_clock(ctx);
		add_wait_queue(sk_sleep(sk), &wait);
		rx->readers++;
		sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		sk_wait_event(sk, timeo, READ_ONCE(rx->events) != events, &wait);
		sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		rx->readers--;
		remove_wait_queue(sk_sleep(sk), &wait);
	}
}

/*
 * A reader leaves. While it was here nobody else looked for records that are the
 * helper's; if the next one is already there, nothing will announce it again.
 */
static void reader_leaves(struct kssl_sock *ctx)
{
	if (ctx->had_helper && !ctx->rx.readers)
		kssl_rx_pump(ctx, 1);
}

/* A reader that is told of a fatal error finds it in SO_ERROR, and the alert sent. */
static void let_alert_out(struct kssl_sock *ctx)
{
	if (READ_ONCE(ctx->rx.dir.err) && !READ_ONCE(ctx->reported))
		kssl_tx_let_out(ctx);
}

/*
 * put_cmsg() without waiting for a page, which may take as long as its owner likes to
 * come, while others want the socket: see fault_in().
 */
static int put_now(struct reader *r, u8 what, int level, int type, u32 len, void *data)
{
	struct msghdr *msg = r->msg;
	size_t head = msg->msg_flags & MSG_CMSG_COMPAT ? sizeof(struct compat_cmsghdr) :
							 sizeof(struct cmsghdr);
	int err = -EFAULT;

	if (r->untold & what)
		return err;
	pagefault_disable();
	err = put_cmsg(msg, level, type, len, data);
	pagefault_enable();
	if (err == -EFAULT) {
		r->telling = what;
		r->control_at = msg->msg_control_user;
		r->control_absent = min_t(size_t, msg->msg_controllen, head + len);
	}
	return err;
}

/* Tell an unattended reader the content type; -EIO: a control record and no room. */
static int put_type(struct kssl_sock *ctx, struct reader *r, u8 type)
{
	struct msghdr *msg = r->msg;
	int err = 0;

	if (msg->msg_control && ctx->ktls)
		err = put_now(r, TELL_TYPE, SOL_TLS, TLS_GET_RECORD_TYPE, sizeof(type), &type);
	else if (msg->msg_control && !ctx->had_helper)
		err = put_now(r, TELL_TYPE, SOL_KSSL, KSSL_RECORD_TYPE, sizeof(type), &type);
	if (type == KSSL_TYPE_APPLICATION_DATA || r->control_absent)
		return 0;
	return err || !msg->msg_control || (msg->msg_flags & MSG_CTRUNC) ? -EIO : 0;
}

/* Tell a reader who asked for it whose bytes it gets. */
static void put_identity(struct kssl_sock *ctx, struct reader *r, u32 identity)
{
	if (ctx->policy.flags & KSSL_POLICY_IDENTITY)
		put_now(r, TELL_IDENTITY, SOL_KSSL, KSSL_IDENTITY, sizeof(identity), &identity);
}

/* Tell what is to be known of all that this call reads: @skb is the first of it. */
static int tell(struct kssl_sock *ctx, struct reader *r, struct sk_buff *skb)
{
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);
	int ret = put_type(ctx, r, cb->type);

	if (!ret && !r->control_absent)
		put_identity(ctx, r, cb->identity);
	if (ret || r->control_absent)
		return ret;
	r->type = cb->type;
	r->identity = cb->identity;
	return 0;
}

static void copy_now(struct reader *r, struct sk_buff *skb, unsigned int offset, unsigned int n)
{
	pagefault_disable();
	if (skb_copy_datagram_msg(skb, offset, r->msg, n))
		r->absent = n;
	pagefault_enable();
}

/* Move the read position; a control record goes away whole. */
static void advance(struct kssl_sock *ctx, struct sk_buff *skb, unsigned int n)
{
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);

	cb->offset += n;
	ctx->rx.taken += n;
	WRITE_ONCE(ctx->rx.queued, ctx->rx.queued - n);
	if (cb->offset == cb->len)
		kssl_rx_retire(ctx, skb);
}

/* The record at the reader's place, and the place in it. */
static struct sk_buff *find_record(struct kssl_sock *ctx, const struct reader *r,
				   unsigned int *offset)
{
	u64 start = ctx->rx.taken;
	struct sk_buff *skb;

	skb_queue_walk(&ctx->rx.queue, skb) {
		struct kssl_rx_cb *cb = kssl_rx_cb(skb);
		unsigned int left = cb->len - cb->offset;

		if (r->at < start + left) {
			*offset = cb->offset + (r->at - start);
			return skb;
		}
		start += left;
	}
	return NULL;
}

static bool has_stopped(const struct reader *r)
{
	return unlikely(r->absent || r->control_absent);
}

/* @skb is read up to @n bytes from the reader's place on. */
static void move_on(struct kssl_sock *ctx, struct reader *r, struct sk_buff *skb, unsigned int n)
{
	r->at += n;
	r->faults = 0;
	if (r->flags & MSG_PEEK) {
		sk_peek_offset_fwd(ctx->sk, n);
	} else {
		sk_peek_offset_bwd(ctx->sk, n);
		advance(ctx, skb, n);
	}
}

/*
 * Copy from the queue until @len, its end, a change of type or identity, or a page that
 * is not there; bytes or -errno.
 */
static int deliver_to_reader(struct kssl_sock *ctx, struct reader *r, size_t len)
{
	struct msghdr *msg = r->msg;
	void *control = msg->msg_control;
	size_t controllen = msg->msg_controllen;
	unsigned int msg_flags = msg->msg_flags;
	struct sk_buff *skb, *next;
	unsigned int offset;
	int copied = 0;

	for (skb = find_record(ctx, r, &offset); skb && copied < len; skb = next) {
		struct kssl_rx_cb *cb = kssl_rx_cb(skb);
		unsigned int n = min_t(size_t, len - copied, cb->len - offset);
		bool first = !r->type;
		int ret;

		if (!first && (r->type != cb->type || r->identity != cb->identity))
			break;
		ret = first ? tell(ctx, r, skb) : 0;
		if (ret)
			return ret;
		if (!r->control_absent && !(r->flags & MSG_TRUNC) && !cb->empty)
			copy_now(r, skb, offset, n);
		if (first && has_stopped(r)) {
			/* Another record may be the first one then. */
			r->type = 0;
			msg->msg_control = control;
			msg->msg_controllen = controllen;
			msg->msg_flags = msg_flags;
		}
		if (has_stopped(r))
			break;
		copied += cb->empty ? 0 : n;
		if (ctx->ktls && offset + n == cb->len)
			msg->msg_flags |= MSG_EOR;
		next = skb_queue_is_last(&ctx->rx.queue, skb) ? NULL :
		       skb_queue_next(&ctx->rx.queue, skb);
		offset = next ? kssl_rx_cb(next)->offset : 0;
		move_on(ctx, r, skb, n);
		/* A control record is returned by itself. */
		if (r->type != KSSL_TYPE_APPLICATION_DATA)
			break;
	}
	return copied;
}

/*
 * Have the pages come that were absent, without the socket lock, and those for all that
 * can be read of @len bytes more.  Where they cannot it is -EFAULT, but for those of control
 * messages: then that is not told.
 */
static int fault_in(struct kssl_sock *ctx, struct reader *r, size_t len)
{
	struct msghdr *msg = r->msg;
	bool gives_up = ++r->faults > KSSL_FAULTS_MAX;
	size_t want = min_t(size_t, len, reader_left(ctx, r));
	int ret = 0;

	reader_leaves(ctx);
	release_sock(ctx->sk);
	if (r->control_absent) {
		if (gives_up || !msg->msg_control_is_user ||
		    fault_in_safe_writeable(r->control_at, r->control_absent)) {
			r->untold |= r->telling;
			r->faults = 0;
		}
	} else if (gives_up || !user_backed_iter(&msg->msg_iter) ||
		   want - fault_in_iov_iter_writeable(&msg->msg_iter, want) < r->absent) {
		ret = -EFAULT;
	}
	if (fatal_signal_pending(current))
		ret = -EINTR;
	lock_sock(ctx->sk);
	r->control_absent = 0;
	r->absent = 0;
	find_place(ctx, r);
	return ret;
}

/* What recvmsg leaves behind beside the bytes. */
static void reader_done(struct kssl_sock *ctx, struct msghdr *msg)
{
	/* Never 0 while a record may wait in TCP: io_uring would not come again for it. */
	msg->msg_inq = ctx->rx.queued ? ctx->rx.queued : kssl_rx_may_have_record(ctx);
}

static int read_records(struct kssl_sock *ctx, struct reader *r, size_t len, int target,
			long *timeo)
{
	int copied = 0, ret = 0;

	do {
		if (!reader_left(ctx, r)) {
			if (copied && r->type != KSSL_TYPE_APPLICATION_DATA)
				break;
			if (copied >= target) {
				if ((r->flags & MSG_PEEK && !kssl_rx_may_look_ahead(ctx)) ||
				    kssl_rx_next(ctx) <= 0)
					break;
				continue;
			}
			ret = wait_for_record(ctx, r, copied, timeo);
			if (ret <= 0)
				break;
		}
		ret = deliver_to_reader(ctx, r, len - copied);
		if (ret < 0)
			break;
		copied += ret;
		if (has_stopped(r)) {
			u64 at = r->at;

			ret = fault_in(ctx, r, len - copied);
			/* What somebody else has read meanwhile would be missing in between. */
			if (ret || (copied && r->at != at))
				break;
			continue;
		}
		/* Another type, or identity, is next; or it was control without content. */
		if (reader_left(ctx, r) || (!ret && r->type != KSSL_TYPE_APPLICATION_DATA))
			break;
	} while (copied < len);
	return copied ? copied : ret;
}

/**
 * kssl_rx_recvmsg() - proto.recvmsg
 * @sk: socket
 * @msg: where to
 * @len: bytes wanted; application data of several records is joined
 * @flags: MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_DONTWAIT
 *
 * As in TCP, MSG_TRUNC takes bytes away without copying them, and a read of no
 * bytes waits for something that could be read, which it does not in kTLS. A peeker sees at most
 * the policy's look-ahead, from SO_PEEK_OFF on if that is set.
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
	struct reader r = { .msg = msg, .flags = flags };
	int ret, target;
	bool tells;
	long timeo;

	if (flags & ~(MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL |
		      MSG_CMSG_CLOEXEC | MSG_CMSG_COMPAT))
		return -EOPNOTSUPP;

	lock_sock(sk);
	timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	target = flags & MSG_WAITALL ? len : min_t(size_t, kssl_rx_low_water(&ctx->rx), len);
	r.at = ctx->rx.taken + max(sk_peek_offset(sk, flags), 0);
	if (len) {
		ret = read_records(ctx, &r, len, target, &timeo);
	} else if (ctx->ktls) {
		ret = 0;
	} else {
		ret = wait_for_record(ctx, &r, false, &timeo);
		ret = min(ret, 0);
	}
	if (ret >= 0)
		reader_done(ctx, msg);
	reader_leaves(ctx);
	tells = ret >= 0 && tcp_sk(sk)->recvmsg_inq;
	release_sock(sk);
	if (ret < 0)
		let_alert_out(ctx);
	if (tells)
		put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(msg->msg_inq), &msg->msg_inq);
	return ret;
}

/* Data without content is no end of file. */
static bool skip_empty(struct kssl_sock *ctx)
{
	struct sk_buff *skb = skb_peek(&ctx->rx.queue);
	struct kssl_rx_cb *cb = kssl_rx_cb(skb);

	if (!cb->empty || cb->type != KSSL_TYPE_APPLICATION_DATA)
		return false;
	sk_peek_offset_bwd(ctx->sk, cb->len);
	advance(ctx, skb, cb->len);
	return true;
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
	struct reader r = {};
	struct kssl_rx_cb *cb;
	struct sk_buff *skb;
	long timeo;
	int ret;

	lock_sock(sk);
	timeo = sock_rcvtimeo(sk, nonblock);
	do
		ret = wait_for_record(ctx, &r, false, &timeo);
	while (ret > 0 && skip_empty(ctx));
	if (ret > 0) {
		skb = skb_peek(&ctx->rx.queue);
		cb = kssl_rx_cb(skb);
		if (cb->type != KSSL_TYPE_APPLICATION_DATA) {
			ret = -EINVAL;
		} else {
			ret = skb_splice_bits(skb, sk, cb->offset, pipe,
					      min_t(size_t, len, cb->len - cb->offset), flags);
			if (ret > 0) {
				advance(ctx, skb, ret);
				sk_peek_offset_bwd(sk, ret);
			}
		}
	}
	reader_leaves(ctx);
	release_sock(sk);
	if (ret < 0)
		let_alert_out(ctx);
	return ret;
}
