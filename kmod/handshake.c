// SPDX-License-Identifier: GPL-2.0
/*
 * KSSL_HANDSHAKE: the application says what it wants, a helper finds it by way of
 * upcall.c, and until the handshake is over it is waited for as connect(2) waits.
 */
#include <linux/slab.h>
#include "kssl.h"

/* ---- what is wanted ---- */

/* Strings end within their field; nothing but zeros is behind the end. */
static bool is_string(const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	return len < size && !memchr_inv(s + len, 0, size - len);
}

/* A list of names of 1 to 255 octets, each behind its length (RFC 7301 3.1). */
static bool is_alpn(const u8 *alpn, unsigned int len)
{
	while (len) {
		unsigned int name = *alpn + 1;

		if (name == 1 || name > len)
			return false;
		alpn += name;
		len -= name;
	}
	return true;
}

static int check(const struct kssl_handshake *h)
{
	if (h->flags & ~KSSL_HANDSHAKE_AFTER_PLAINTEXT)
		return -EINVAL;
	if (h->role != KSSL_ROLE_CLIENT && h->role != KSSL_ROLE_SERVER)
		return -EINVAL;
	if (!is_string(h->profile, sizeof(h->profile)) || !is_string(h->name, sizeof(h->name)))
		return -EINVAL;
	/* "No check" is nothing that could be asked for by leaving something out. */
	if (h->role == KSSL_ROLE_CLIENT ? !h->name[0] : h->name[0])
		return -EINVAL;
	if (h->client_cert > KSSL_CLIENT_CERT_REQUIRE ||
	    (h->client_cert && h->role == KSSL_ROLE_CLIENT))
		return -EINVAL;
	if (h->pins_count > KSSL_PINS_MAX || h->alpn_len > KSSL_ALPN_MAX ||
	    !is_alpn(h->alpn, h->alpn_len))
		return -EINVAL;
	return 0;
}

/**
 * kssl_who_fill() - note who the caller is
 * @who: (out) filled in
 * @sk: its socket
 *
 * Context: Process context.
 */
void kssl_who_fill(struct kssl_who *who, struct sock *sk)
{
	who->uid = current_euid();
	who->gid = current_egid();
	who->pid = task_tgid_nr(current);
	strscpy(who->comm, current->group_leader->comm, sizeof(who->comm));
#ifdef CONFIG_SOCK_CGROUP_DATA
	who->cgroup = cgroup_id(sock_cgroup_ptr(&sk->sk_cgrp_data));
#endif
}

/**
 * kssl_ask_new() - take what KSSL_HANDSHAKE says
 * @h: as it was set
 * @sk: socket it was set on
 *
 * Context: Process context.
 * Return: with one reference, or %-EINVAL, %-ENOMEM.
 */
struct kssl_ask *kssl_ask_new(const struct kssl_handshake *h, struct sock *sk)
{
	int ret = check(h);
	struct kssl_ask *ask;

	if (ret)
		return ERR_PTR(ret);
	ask = kzalloc(sizeof(*ask), GFP_KERNEL_ACCOUNT);
	if (!ask)
		return ERR_PTR(-ENOMEM);
	refcount_set(&ask->ref, 1);
	ask->wants = *h;
	if (!ask->wants.profile[0])
		strscpy(ask->wants.profile, "client", sizeof(ask->wants.profile));
	if (!ask->wants.timeout_ms)
		ask->wants.timeout_ms = KSSL_HANDSHAKE_MS;
	kssl_who_fill(&ask->who, sk);
	return ask;
}

/**
 * kssl_ask_put() - drop a reference; the last one frees
 * @ask: what was asked for, or NULL
 *
 * Context: Any.
 */
void kssl_ask_put(struct kssl_ask *ask)
{
	if (ask && refcount_dec_and_test(&ask->ref))
		kfree(ask);
}

/* ---- the handshake ---- */

/* Whoever speaks first has received nothing; and nobody has spoken before (RFC 3207 4.2). */
static bool was_used(const struct sock *sk, const struct kssl_handshake *wants)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (wants->role == KSSL_ROLE_CLIENT && tp->rcv_nxt != tp->copied_seq)
		return true;
	if (wants->flags & KSSL_HANDSHAKE_AFTER_PLAINTEXT)
		return false;
	return tp->bytes_sent || tp->write_seq != tp->snd_nxt ||
	       tp->bytes_received != tp->rcv_nxt - tp->copied_seq;
}

/**
 * kssl_handshake_begin() - have a helper shake hands
 * @ctx: connection without keys and helper
 * @ask: what for; a reference is taken
 *
 * What fails after this call began fails the connection.
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_handshake_begin(struct kssl_sock *ctx, struct kssl_ask *ask)
{
	refcount_inc(&ask->ref);
	ctx->ask = ask;
	ctx->who = ask->who;
	ctx->role = ask->wants.role;
	ctx->asked = true;
	ctx->handshake_deadline = jiffies + msecs_to_jiffies(ask->wants.timeout_ms);
	kssl_control_begin(ctx);
	kssl_upcall_submit(ctx);
}

/* Has the first handshake succeeded or failed? */
static bool is_over(const struct kssl_sock *ctx)
{
	return READ_ONCE(ctx->handshakes) || READ_ONCE(ctx->error.err);
}

/**
 * kssl_handshake_landed() - it is, so nobody counts or waits for it any more
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_handshake_landed(struct kssl_sock *ctx)
{
	cancel_delayed_work(&ctx->handshake_clock);
	kssl_upcall_landed(ctx);
}

/**
 * kssl_handshake_late() - it took too long, or no helper came
 * @work: kssl_sock.handshake_clock
 *
 * Context: Process context.
 */
void kssl_handshake_late(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     handshake_clock);
	struct sock *sk = ctx->sk;
	bool waiting;

	if (!kssl_sock_trylock(ctx, work))
		return;
	waiting = READ_ONCE(ctx->waiting);
	if (ctx->counted && time_after_eq(jiffies, ctx->handshake_deadline))
		kssl_fail(ctx, ETIMEDOUT,
			  waiting ? KSSL_WHO_HELPER : KSSL_WHO_PEER, KSSL_ALERT_NONE,
			  waiting ? "no helper took the socket in time" :
					 "the handshake took too long");
	else if (ctx->counted)
		kssl_upcall_look(ctx);
	release_sock(sk);
}

/* As inet_stream_connect() does; caller holds the socket lock. */
static int wait(struct kssl_sock *ctx, long timeo)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct sock *sk = ctx->sk;
	int ret = 0;

	add_wait_queue(sk_sleep(sk), &wait);
	while (!is_over(ctx)) {
		ret = -EINPROGRESS;
		if (!timeo)
			break;
		ret = sock_intr_errno(timeo);
		if (signal_pending(current))
			break;
		sk_wait_event(sk, &timeo, is_over(ctx), &wait);
		ret = 0;
	}
	remove_wait_queue(sk_sleep(sk), &wait);
	if (is_over(ctx)) {
		ret = -ctx->error.err;
		ctx->told = true;
	}
	return ret;
}

static bool is_nonblocking(const struct sock *sk, int flags)
{
	const struct file *file = sk->sk_socket->file;

	return (flags & O_NONBLOCK) || (file && (file->f_flags & O_NONBLOCK));
}

/**
 * kssl_handshake_wait() - what connect() returns of a socket that shakes hands
 * @sk: socket
 * @flags: O_NONBLOCK
 * @again: it was called before
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0 once, when the handshake is over, %-EISCONN from then on, or
 * * %-EINPROGRESS, %-EALREADY - not yet, and the socket is non-blocking
 * * %-EINTR, %-ERESTARTSYS - a signal came, the handshake goes on
 * * the error of the connection
 */
int kssl_handshake_wait(struct sock *sk, int flags, bool again)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	bool nonblock = is_nonblocking(sk, flags);

	if (ctx->error.err)
		return -ctx->error.err;
	if (!ctx->asked || (is_over(ctx) && ctx->told))
		return -EISCONN;
	if (!is_over(ctx) && nonblock && again)
		return -EALREADY;
	return wait(ctx, sock_sndtimeo(sk, nonblock));
}

static bool asks_for_another(const struct kssl_sock *ctx, const struct kssl_ask *ask)
{
	return ctx->ask && memcmp(&ctx->ask->wants, &ask->wants, sizeof(ask->wants));
}

/**
 * kssl_handshake_set() - setsockopt(KSSL_HANDSHAKE) on a connected socket
 * @sk: socket
 * @h: what it says
 *
 * Context: Process context, may sleep. Takes tx.lock and the socket lock.
 * Return: as uapi/linux/kssl.h says.
 */
int kssl_handshake_set(struct sock *sk, const struct kssl_handshake *h)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct kssl_ask *ask = kssl_ask_new(h, sk);
	bool again;
	int ret = 0;

	if (IS_ERR(ask))
		return PTR_ERR(ask);
	if (mutex_lock_interruptible(&ctx->tx.lock)) {
		kssl_ask_put(ask);
		return -EINTR;
	}
	lock_sock(sk);
	again = ctx->asked;
	if (again)
		ret = asks_for_another(ctx, ask) ? -EINVAL : 0;
	else if (ctx->had_helper || ctx->tx.dir.epoch || ctx->rx.dir.epoch)
		ret = -EBUSY;
	else if (ctx->error.err)
		ret = -ctx->error.err;
	else if (was_used(sk, &ask->wants))
		ret = -EBADFD;
	else
		kssl_handshake_begin(ctx, ask);
	mutex_unlock(&ctx->tx.lock);
	if (!ret)
		ret = kssl_handshake_wait(sk, 0, again);
	release_sock(sk);
	kssl_ask_put(ask);
	return ret == -ERESTARTSYS ? -EINTR : ret;
}

/**
 * kssl_handshake_get() - getsockopt(KSSL_HANDSHAKE)
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 * Return: 0, %-EINPROGRESS, %-ENOTCONN, or what it failed with.
 */
int kssl_handshake_get(const struct kssl_sock *ctx)
{
	if (ctx->error.err)
		return -ctx->error.err;
	if (!ctx->asked)
		return -ENOTCONN;
	return ctx->handshakes ? 0 : -EINPROGRESS;
}

/* ---- what came of it ---- */

/**
 * kssl_session_free() - forget what the helper has told of the session
 * @session: it, or NULL
 *
 * Context: Any.
 */
void kssl_session_free(struct kssl_session_info *session)
{
	kfree(session);
}

static size_t add_string(char *to, const char *s, size_t size)
{
	size_t len = strnlen(s, size - 1);

	memcpy(to, s, len);
	to[len] = 0;
	return len + 1;
}

/**
 * kssl_session_new() - keep what the helper tells of the session
 * @s: what it tells
 *
 * Most strings are short, and there may be many connections.
 *
 * Context: Process context.
 * Return: it, or %-EINVAL, %-ENOMEM.
 */
struct kssl_session_info *kssl_session_new(const struct kssl_session *s)
{
	struct kssl_session_info *info;

	if (s->end_point_len > sizeof(s->end_point))
		return ERR_PTR(-EINVAL);
	info = kzalloc(struct_size(info, strings, strnlen(s->profile, sizeof(s->profile)) +
				   strnlen(s->name, sizeof(s->name)) +
				   strnlen(s->alpn, sizeof(s->alpn)) + 3), GFP_KERNEL_ACCOUNT);
	if (info) {
		info->flags = s->flags;
		info->verify = s->verify;
		info->end_point_len = s->end_point_len;
		memcpy(info->end_point, s->end_point, s->end_point_len);
		info->name = add_string(info->strings, s->profile, sizeof(s->profile));
		info->alpn = info->name + add_string(info->strings + info->name, s->name,
						     sizeof(s->name));
		add_string(info->strings + info->alpn, s->alpn, sizeof(s->alpn));
	}
	return info ? info : ERR_PTR(-ENOMEM);
}

/**
 * kssl_session_fill() - KSSL_SESSION
 * @ctx: connection
 * @s: (out) filled in
 *
 * Context: Caller holds the socket lock.
 * Return: 0 or %-ENODATA.
 */
int kssl_session_fill(const struct kssl_sock *ctx, struct kssl_session *s)
{
	const struct kssl_session_info *info = ctx->session;

	if (!info)
		return -ENODATA;
	*s = (struct kssl_session) {
		.flags = info->flags, .verify = info->verify, .chain_len = ctx->chain_len,
		.end_point_len = info->end_point_len,
	};
	memcpy(s->end_point, info->end_point, info->end_point_len);
	strscpy(s->profile, info->strings, sizeof(s->profile));
	strscpy(s->name, info->strings + info->name, sizeof(s->name));
	strscpy(s->alpn, info->strings + info->alpn, sizeof(s->alpn));
	return 0;
}
