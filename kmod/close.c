// SPDX-License-Identifier: GPL-2.0
/*
 * close(): what send() has taken reaches the peer, or the peer sees a reset.
 *
 * As a rule TCP takes everything at once and does the rest in its own time.  Where
 * it cannot, for want of memory, or must not yet, because data waits for a
 * handshake message to go first, the connection is parked: it moves to a struct
 * socket of its own and a work tries again until the deadline.
 */
#include <linux/module.h>
#include "kssl.h"

/* How long a parked connection may take, and how often it is looked at. */
#define CLOSE_TIMEOUT	(30 * HZ)
#define CLOSE_STEP	max(HZ / 20, 1)

/* Reset instead of closing: the peer must not take what it got for the whole. */
static void make_reset(struct sock *sk)
{
	sock_set_flag(sk, SOCK_LINGER);
	sk->sk_lingertime = 0;
}

/* May data that is left be sent at all?  An answer of the helper comes first (RFC 8446 4.6.3). */
static bool waits_for_helper(const struct kssl_sock *ctx)
{
	return ctx->tx.open && ctx->tx.hold && ctx->attended && !ctx->error.err;
}

/* Hand everything to TCP; false if that may still succeed later. */
static bool flush_all(struct kssl_sock *ctx, bool last)
{
	struct sock *sk = ctx->sk;
	int ret = -EAGAIN;

	if (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime)
		return true;
	if (!waits_for_helper(ctx)) {
		if (!kssl_rx_drain(ctx)) {
			kssl_tx_flush(ctx);
			make_reset(sk);
			return true;
		}
		ret = kssl_tx_flush(ctx);
	}
	if (!ret)
		return true;
	if ((ret == -EAGAIN || ret == -ENOMEM) && !last)
		return false;
	kssl_fail_dir(ctx, &ctx->tx.dir, ETIMEDOUT, KSSL_WHO_KERNEL,
		      "closed before everything could be sent");
	make_reset(sk);
	return true;
}

/* One attempt: true if @ctx is gone and TCP's own close is all that is left to do. */
static bool try_close(struct kssl_sock *ctx, bool last)
{
	struct sock *sk = ctx->sk;
	bool done;

	lock_sock(sk);
	ctx->closing = true;
	release_sock(sk);
	cancel_delayed_work_sync(&ctx->tx.work);
	cancel_delayed_work_sync(&ctx->rx.work);
	cancel_delayed_work_sync(&ctx->helper_clock);
	cancel_delayed_work_sync(&ctx->peer_clock);
	cancel_delayed_work_sync(&ctx->rekey_clock);
	cancel_delayed_work_sync(&ctx->news);
	cancel_delayed_work_sync(&ctx->handshake_clock);

	mutex_lock(&ctx->tx.lock);
	lock_sock(sk);
	done = flush_all(ctx, last);
	if (done) {
		kssl_upcall_remove(ctx);
		kssl_sock_detach(ctx);
		kssl_tx_free(ctx);
		kssl_rx_free(ctx);
		kssl_control_closed(ctx, ctx->error.err);
	} else {
		/* Go on as before, for what was cancelled too. */
		ctx->closing = false;
		kssl_sock_later(ctx, &ctx->tx.work, 0);
		kssl_sock_later(ctx, &ctx->rx.work, 0);
		kssl_sock_later(ctx, &ctx->news, 0);
		kssl_sock_later(ctx, &ctx->handshake_clock, 0);
		if (ctx->helper_due)
			kssl_sock_later(ctx, &ctx->helper_clock,
					max_t(long, ctx->helper_deadline - jiffies, 0));
		if (ctx->peer_due)
			kssl_sock_later(ctx, &ctx->peer_clock,
					max_t(long, ctx->peer_deadline - jiffies, 0));
	}
	release_sock(sk);
	mutex_unlock(&ctx->tx.lock);
	if (done)
		kssl_sock_put(ctx);
	return done;
}

/* Wait for a lingering application, as TCP does for what it has itself. */
static bool linger(struct kssl_sock *ctx, long *timeout)
{
	while (*timeout > 0 && !signal_pending(current)) {
		long step = min_t(long, *timeout, CLOSE_STEP);

		*timeout -= step - schedule_timeout_interruptible(step);
		if (try_close(ctx, false))
			return true;
	}
	return false;
}

/* TCP looks at the struct socket while it takes bytes, and the application's goes away. */
static bool park(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;
	struct socket *sock = sock_alloc();

	if (!sock)
		return false;
	sock->type = SOCK_STREAM;
	sock->state = SS_CONNECTED;
	SOCK_INODE(sock)->i_uid = sk->sk_uid;

	lock_sock(sk);
	write_lock_bh(&sk->sk_callback_lock);
	sock->sk = sk;
	rcu_assign_pointer(sk->sk_wq, &sock->wq);
	sk_set_socket(sk, sock);
	write_unlock_bh(&sk->sk_callback_lock);
	ctx->parked = sock;
	ctx->close_deadline = jiffies + CLOSE_TIMEOUT;
	release_sock(sk);

	/* The application's struct socket drops its reference. */
	__module_get(THIS_MODULE);
	kssl_sock_queue(&ctx->close_work, CLOSE_STEP);
	return true;
}

/**
 * kssl_close_work() - try again to close a parked connection
 * @work: kssl_sock.close_work
 *
 * Context: Process context.
 */
void kssl_close_work(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock, close_work);
	const struct kssl_base *base = ctx->base;
	struct socket *sock = ctx->parked;
	struct sock *sk = ctx->sk;

	if (!try_close(ctx, time_after_eq(jiffies, ctx->close_deadline))) {
		kssl_sock_queue(&ctx->close_work, CLOSE_STEP);
		return;
	}
	base->prot->close(sk, 0);
	sock->sk = NULL;
	sock_release(sock);
	module_put(THIS_MODULE);
}

/**
 * kssl_close() - proto.close
 * @sk: socket
 * @timeout: jiffies to wait for the peer (SO_LINGER)
 *
 * Context: Process context.
 */
void kssl_close(struct sock *sk, long timeout)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	const struct kssl_base *base;

	if (!ctx) {
		sk->sk_prot_creator->close(sk, timeout);
		return;
	}
	base = ctx->base;
	if (!try_close(ctx, false) && !linger(ctx, &timeout)) {
		if (park(ctx))
			return;
		try_close(ctx, true);
	}
	base->prot->close(sk, timeout);
}
