// SPDX-License-Identifier: GPL-2.0
/*
 * KSSL_RENEGOTIATE, KSSL_EXPORTER: the application asks, the helper does it.
 */
#include <linux/slab.h>
#include "kssl.h"

static int may_ask(const struct kssl_sock *ctx, int how)
{
	if (how < KSSL_RENEG_FULL || how > KSSL_RENEG_REQUIRE_CERT)
		return -EINVAL;
	if (!ctx->attended)
		return ctx->had_helper ? -ESRCH : -EOPNOTSUPP;
	if (ctx->error.err)
		return -ctx->error.err;
	if (ctx->tx.dir.plain || ctx->rx.dir.plain)
		return -ENOTCONN;
	if (ctx->tx.dir.closed || ctx->rx.dir.closed)
		return -EPIPE;
	return ctx->request == EINPROGRESS ? -EALREADY : 0;
}

/* Wait until the request under way is over. */
static int wait_for_end(struct kssl_sock *ctx, long timeo)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct sock *sk = ctx->sk;
	int result = EINPROGRESS;
	int ret = -EINPROGRESS;

	/* Another one may begin before we wake. */
	ctx->request_waiter = &result;
	add_wait_queue(sk_sleep(sk), &wait);
	while (result == EINPROGRESS && !ctx->error.err) {
		if (!timeo)
			goto out;
		if (signal_pending(current)) {
			ret = -EINTR;
			goto out;
		}
		sk_wait_event(sk, &timeo,
			      READ_ONCE(result) != EINPROGRESS || READ_ONCE(ctx->error.err),
			      &wait);
	}
	ret = result == EINPROGRESS ? -ctx->error.err : -result;
out:
	if (result == EINPROGRESS)
		ctx->request_waiter = NULL;
	remove_wait_queue(sk_sleep(sk), &wait);
	return ret;
}

static void begin(struct kssl_sock *ctx, u32 how)
{
	ctx->request_id++;
	ctx->request_what = how;
	ctx->request = EINPROGRESS;
	kssl_control_request(ctx, how);
}

/**
 * kssl_request_begin() - have the helper shake hands
 * @ctx: connection
 * @how: KSSL_RENEG_*
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0 when it is asked, or as kssl_request_set().
 */
int kssl_request_begin(struct kssl_sock *ctx, int how)
{
	int ret = may_ask(ctx, how);

	if (!ret)
		begin(ctx, how);
	return ret;
}

static long timeout(const struct sock *sk)
{
	const struct file *file = sk->sk_socket->file;

	return sock_sndtimeo(sk, file && (file->f_flags & O_NONBLOCK));
}

/**
 * kssl_request_set() - setsockopt(KSSL_RENEGOTIATE)
 * @sk: socket
 * @how: KSSL_RENEG_*
 *
 * Context: Process context, may sleep. Takes the socket lock.
 * Return: 0 when the handshake is over, or
 * * %-EINPROGRESS - non-blocking socket, or SO_SNDTIMEO is over
 * * %-EALREADY - another one is under way
 * * %-EINTR - a signal came, the handshake goes on
 * * %-EINVAL, %-EOPNOTSUPP, %-ENOTCONN, %-ESRCH, %-EPIPE, or the helper's answer
 */
int kssl_request_set(struct sock *sk, int how)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	int ret;

	lock_sock(sk);
	ret = kssl_request_begin(ctx, how);
	if (!ret)
		ret = wait_for_end(ctx, timeout(sk));
	release_sock(sk);
	return ret;
}

static bool is_askable(const struct kssl_exporter *wants)
{
	size_t label_len = strnlen(wants->label, sizeof(wants->label));

	return wants->len && wants->len <= KSSL_EXPORT_MAX && wants->has_context <= 1 &&
	       wants->context_len <= (wants->has_context ? sizeof(wants->context) : 0) &&
	       label_len && label_len < sizeof(wants->label) &&
	       !memchr_inv(wants->reserved, 0, sizeof(wants->reserved));
}

/**
 * kssl_request_export() - setsockopt(KSSL_EXPORTER)
 * @sk: socket
 * @wants: what is asked for
 *
 * Context: Process context, may sleep. Takes the socket lock.
 * Return: 0 when getsockopt(KSSL_EXPORTER) has it, or %-EINVAL, %-ENOMEM, or as
 * kssl_request_set().
 */
int kssl_request_export(struct sock *sk, struct kssl_exporter *wants)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct kssl_export *export;
	int ret;

	if (!is_askable(wants))
		return -EINVAL;
	wants->size = sizeof(*wants);
	export = kzalloc(sizeof(*export), GFP_KERNEL_ACCOUNT);
	if (!export)
		return -ENOMEM;
	export->wants = *wants;
	lock_sock(sk);
	ret = may_ask(ctx, KSSL_RENEG_FULL);
	if (!ret) {
		swap(ctx->export, export);
		begin(ctx, KSSL_ASK_EXPORTER);
		ret = wait_for_end(ctx, timeout(sk));
	}
	release_sock(sk);
	kfree_sensitive(export);
	return ret;
}

/**
 * kssl_request_end() - the helper has answered
 * @ctx: connection
 * @id: which request
 * @err: 0 or positive errno
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_request_end(struct kssl_sock *ctx, u32 id, int err)
{
	if (id != ctx->request_id || ctx->request != EINPROGRESS)
		return;
	ctx->request = err;
	if (ctx->request_waiter)
		WRITE_ONCE(*ctx->request_waiter, err);
	ctx->request_waiter = NULL;
	if (err && ctx->request_what != KSSL_ASK_EXPORTER)
		kssl_genl_event(ctx, KSSL_EVENT_NL_REFUSED);
	kssl_sock_wake(ctx);
}
