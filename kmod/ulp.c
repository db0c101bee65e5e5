// SPDX-License-Identifier: GPL-2.0
/*
 * Attach and detach: what of a TCP socket is ours, what is TCP's, what is refused.
 *
 * The list has every member of any supported kernel, and tests/members compares:
 * a new one could be a way around us.  What is the base's in struct proto_ops, and
 * carries data, comes back to struct proto.
 *
 * struct proto:
 *   ours: close disconnect ioctl setsockopt getsockopt sendmsg recvmsg sendpage
 *	splice_eof release_cb owner
 *   base: pre_connect connect accept init destroy shutdown keepalive compat_ioctl
 *	bind bind_add backlog_rcv bpf_bypass_getsockopt hash unhash rehash
 *	get_port put_port psock_update_sk_prot forward_alloc_get stream_memory_free
 *	sock_is_readable enter_memory_pressure leave_memory_pressure diag_destroy
 *   data: inuse_idx memory_allocated per_cpu_fw_alloc sockets_allocated
 *	memory_pressure sysctl_mem sysctl_wmem sysctl_rmem sysctl_wmem_offset
 *	sysctl_rmem_offset max_header no_autobind slab obj_size ipv6_pinfo_offset
 *	slab_flags freeptr_offset useroffset usersize orphan_count rsk_prot twsk_prot h
 *	name node
 *
 * struct proto_ops:
 *   ours: connect poll shutdown splice_read set_rcvlowat set_peek_off peek_len owner
 *   refused: mmap read_sock read_skb sendmsg_locked sendpage_locked
 *   base: release bind socketpair accept getname ioctl compat_ioctl
 *	gettstamp listen setsockopt getsockopt getsockopt_iter set_rcvbuf show_fdinfo
 *	sendmsg recvmsg sendpage splice_eof
 *   data: family
 */
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/skmsg.h>
#include <linux/inet_diag.h>
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/transp_v6.h>
#include <asm/ioctls.h>
#include "kssl.h"

static struct proto prots[KSSL_FAMILIES];
static struct proto_ops ops[KSSL_FAMILIES];
static struct kssl_base bases[KSSL_FAMILIES];
static DEFINE_MUTEX(bases_lock);
static struct workqueue_struct *workqueue;
static struct kmem_cache *socks;

/**
 * kssl_sock_of() - the connection of a socket
 * @sk: socket with the ULP attached
 *
 * Return: the connection, or NULL once it is closed.
 */
struct kssl_sock *kssl_sock_of(const struct sock *sk)
{
	return (__force struct kssl_sock *)READ_ONCE(inet_csk(sk)->icsk_ulp_data);
}

static void free_sock(struct kssl_sock *ctx)
{
	memzero_explicit(ctx, sizeof(*ctx));
	kmem_cache_free(socks, ctx);
}

/**
 * kssl_sock_put() - drop a reference; the last one frees
 * @ctx: connection
 *
 * Context: Process context.
 */
void kssl_sock_put(struct kssl_sock *ctx)
{
	if (!refcount_dec_and_test(&ctx->ref))
		return;
	skb_queue_purge(&ctx->messages);
	kssl_session_free(ctx->session);
	kssl_ktls_free(ctx->ktls);
	kvfree(ctx->chain);
	kfree_sensitive(ctx->export);
	free_sock(ctx);
}

/**
 * kssl_sock_wake() - have readers, writers and pollers of the socket look again
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_sock_wake(struct kssl_sock *ctx)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(ctx->sk->sk_wq);
	/* Without a key, which io_uring would take for the events themselves. */
	if (skwq_has_sleeper(wq))
		wake_up_interruptible(&wq->wait);
	rcu_read_unlock();
	sk_wake_async(ctx->sk, SOCK_WAKE_WAITD, POLL_IN);
	sk_wake_async(ctx->sk, SOCK_WAKE_SPACE, POLL_OUT);
}

/**
 * kssl_sock_report() - carry our error to sk_err, once TCP has taken all it gets
 * @ctx: connection
 *
 * Not before: sk_err makes TCP refuse the alert.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_sock_report(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;

	if (!ctx->tx.dir.err || !ctx->rx.dir.err || ctx->reported ||
	    ctx->tx.alert != KSSL_ALERT_NONE || !list_empty(&ctx->tx.queue))
		return;
	ctx->reported = true;
	if (!sk->sk_err) {
		sk->sk_err = ctx->error.err;
		sk_error_report(sk);
	}
}

/**
 * kssl_sock_later() - run one of the connection's works, unless it is closing
 * @ctx: connection
 * @work: its tx.work, rx.work or one of its clocks
 * @delay: jiffies; replaces a delay that is running
 *
 * Context: Caller holds the socket lock, or the socket's spinlock.
 */
void kssl_sock_later(struct kssl_sock *ctx, struct delayed_work *work, unsigned long delay)
{
	if (!ctx->closing)
		mod_delayed_work(workqueue, work, delay);
}

/**
 * kssl_sock_queue() - run a work whoever is closing
 * @work: one of a connection's; if it has a delay already, that stays
 * @delay: jiffies
 *
 * Context: Any.
 */
void kssl_sock_queue(struct delayed_work *work, unsigned long delay)
{
	queue_delayed_work(workqueue, work, delay);
}

/* Works that want the socket lock. */
static const size_t works[] = {
	offsetof(struct kssl_sock, tx.work), offsetof(struct kssl_sock, rx.work),
	offsetof(struct kssl_sock, helper_clock), offsetof(struct kssl_sock, peer_clock),
	offsetof(struct kssl_sock, rekey_clock), offsetof(struct kssl_sock, handshake_clock),
};

static struct delayed_work *work_at(struct kssl_sock *ctx, unsigned int i)
{
	return (void *)ctx + works[i];
}

/* Own the socket, if nobody does; else the works @put_off are started when he lets go. */
static bool own(struct sock *sk, struct kssl_sock *ctx, u8 put_off)
{
	bool owned;

	spin_lock_bh(&sk->sk_lock.slock);
	owned = sock_owned_by_user_nocheck(sk);
	if (!owned)
		sk->sk_lock.owned = 1;
	else if (put_off)
		ctx->put_off |= put_off;
	spin_unlock_bh(&sk->sk_lock.slock);
	if (!owned)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return !owned;
}

/**
 * kssl_sock_trylock() - lock the socket for a work, which does not wait for it
 * @ctx: connection
 * @work: the work, which has to end if this fails
 *
 * Ours own no socket while they sleep at a page of the caller's, but setsockopt(2) of the
 * kernel does, for as long as somebody likes.  Works that waited for it would be all that
 * the workqueue runs.
 *
 * Context: Process context, from @work.
 * Return: false if somebody owns the socket; he starts @work again when he lets go.
 */
bool kssl_sock_trylock(struct kssl_sock *ctx, struct work_struct *work)
{
	u8 put_off = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(works); i++)
		if (&work_at(ctx, i)->work == work)
			put_off |= BIT(i);
	return own(ctx->sk, ctx, put_off);
}

/**
 * kssl_sock_lock_soon() - lock the socket, unless that takes long
 * @sk: socket the caller has a reference on
 * @patience: (in, out) jiffies that it may take
 *
 * For those whom others wait for, as kssl_sock_trylock().
 *
 * Context: Process context, may sleep.
 * Return: false if somebody owns the socket for longer, or the caller is killed.
 */
bool kssl_sock_lock_soon(struct sock *sk, long *patience)
{
	long left = wait_event_killable_timeout(sk->sk_lock.wq, own(sk, NULL, 0), *patience);

	*patience = max(left, 0L);
	return left > 0;
}

/* Runs under the spinlock.  A clock that was set again meanwhile goes on as it was set. */
static void start_put_off(struct kssl_sock *ctx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(works); i++)
		if (ctx->put_off & BIT(i) && !ctx->closing)
			kssl_sock_queue(work_at(ctx, i), 0);
	ctx->put_off = 0;
}

/* ---- struct proto ---- */

static void ulp_release_cb(struct sock *sk)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	ctx->base->prot->release_cb(sk);
	if (unlikely(ctx->put_off))
		start_put_off(ctx);
}

/**
 * kssl_sock_detach() - give the socket back to TCP
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_sock_detach(struct kssl_sock *ctx)
{
	struct sock *sk = ctx->sk;

	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_data_ready == kssl_rx_data_ready)
		sk->sk_data_ready = ctx->saved_data_ready;
	if (sk->sk_write_space == kssl_tx_write_space)
		sk->sk_write_space = ctx->saved_write_space;
	if (sk->sk_state_change == kssl_rx_state_change)
		sk->sk_state_change = ctx->saved_state_change;
	WRITE_ONCE(sk->sk_prot, ctx->base->prot);
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
}

static int ulp_disconnect(struct sock *sk, int flags)
{
	return -EOPNOTSUPP;
}

/* Bytes send() has taken and TCP has not. */
static int unsent(const struct kssl_sock *ctx)
{
	return ctx->tx.bytes + READ_ONCE(ctx->tx.open_bytes);
}

static int ulp_ioctl(struct sock *sk, int cmd, KSSL_COMPAT_PROTO_IOCTL_ARG arg)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct tcp_sock *tp = tcp_sk(sk);
	int bytes;

	lock_sock(sk);
	switch (cmd) {
	case SIOCINQ:
		kssl_rx_pump(ctx, ctx->policy.lookahead);
		bytes = ctx->rx.queued;
		break;
	case SIOCOUTQ:
		bytes = unsent(ctx) + tp->write_seq - tp->snd_una;
		break;
	case SIOCOUTQNSD:
		bytes = unsent(ctx) + tp->write_seq - tp->snd_nxt;
		break;
	default:
		release_sock(sk);
		return ctx->base->prot->ioctl(sk, cmd, arg);
	}
	release_sock(sk);
	return kssl_compat_ioctl_result(bytes, arg);
}

#ifdef KSSL_COMPAT_HAS_SENDPAGE
static int ulp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
{
	struct msghdr msg = { .msg_flags = flags | (flags & MSG_SENDPAGE_NOTLAST ? MSG_MORE : 0) };
	struct bio_vec bvec;

	bvec_set_page(&bvec, page, size, offset);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &bvec, 1, size);
	return READ_ONCE(sk->sk_prot)->sendmsg(sk, &msg, size);
}
#endif

/* ---- struct proto_ops ---- */

static __poll_t ulp_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	struct kssl_sock *ctx = kssl_sock_of(sk);
	__poll_t mask = 0;
	u8 shut;

	sock_poll_wait(file, sock, wait);
	/* Whoever waits for a handshake asks SO_ERROR next, which has to have it. */
	if (READ_ONCE(ctx->asked) && !READ_ONCE(ctx->handshakes) && READ_ONCE(ctx->error.err) &&
	    !READ_ONCE(ctx->reported))
		return 0;
	/*
	 * Who a record is for shows only when it is open.  Whoever has the lock may just
	 * now have it out of TCP's queue and not yet in ours, and wakes nobody then.
	 */
	if (!kssl_rx_readable(ctx) &&
	    (kssl_rx_may_have_record(ctx) || sock_owned_by_user_nocheck(sk))) {
		lock_sock(sk);
		kssl_rx_pump(ctx, kssl_rx_low_water(&ctx->rx));
		release_sock(sk);
	}
	/* If nobody had the lock any more, what was opened under it is in our queue. */
	smp_rmb();

	shut = READ_ONCE(sk->sk_shutdown);
	if (kssl_rx_readable(ctx))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(ctx->rx.dir.closed) || (shut & RCV_SHUTDOWN))
		mask |= EPOLLRDHUP;
	/* As TCP does; a read finds out why, if the work has not yet. */
	if (shut == SHUTDOWN_MASK || sk->sk_state == TCP_CLOSE)
		mask |= EPOLLHUP | EPOLLIN | EPOLLRDNORM;
	/* Once SO_ERROR has it; before, reads and writes have. */
	if (READ_ONCE(ctx->reported) || sk->sk_err)
		mask |= EPOLLERR;

	if (kssl_tx_writeable(ctx) && sk_stream_is_writeable(sk)) {
		mask |= EPOLLOUT | EPOLLWRNORM;
	} else if (!(shut & SEND_SHUTDOWN)) {
		sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
		set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		/* As in tcp_poll(): room that came before the bit was set wakes nobody. */
		smp_mb__after_atomic();
		if (kssl_tx_writeable(ctx) && sk_stream_is_writeable(sk))
			mask |= EPOLLOUT | EPOLLWRNORM;
	} else {
		mask |= EPOLLOUT | EPOLLWRNORM;
	}
	return mask;
}

/* connect() of a socket that was connected: how its handshake stands. */
static int ulp_connect(struct socket *sock, KSSL_COMPAT_SOCKADDR *address, int len, int flags)
{
	struct sock *sk = sock->sk;
	int ret;

	if (len < (int)sizeof(sa_family_t))
		return -EINVAL;
	if (address->sa_family == AF_UNSPEC)
		return -EOPNOTSUPP;
	lock_sock(sk);
	ret = kssl_handshake_wait(sk, flags, true);
	release_sock(sk);
	return ret;
}

/* close_notify goes out here: once TCP is shut down it takes no more bytes. */
static int ulp_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	struct kssl_sock *ctx = kssl_sock_of(sk);
	int flushed = 0;
	bool stuck;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	if (mutex_lock_killable(&ctx->tx.lock))
		return -EINTR;
	lock_sock(sk);
	if (how != SHUT_RD)
		flushed = kssl_tx_flush(ctx);
	/* Of a connection that is dead there is nothing to lose. */
	stuck = flushed == -EAGAIN || flushed == -ENOMEM;
	if (how != SHUT_WR && !stuck)
		WRITE_ONCE(ctx->rx.shut, true);
	kssl_sock_wake(ctx);
	release_sock(sk);
	kssl_tx_leave(ctx);
	if (stuck)
		return -ENOBUFS;
	return ctx->base->ops->shutdown(sock, how);
}

static int ulp_set_rcvlowat(struct sock *sk, int val)
{
	/* TCP counts ciphertext: left to it, a handshake could wait for data. */
	WRITE_ONCE(kssl_sock_of(sk)->rx.rcvlowat, val ? : 1);
	return 0;
}

static int ulp_peek_len(struct socket *sock)
{
	return READ_ONCE(kssl_sock_of(sock->sk)->rx.queued);
}

static int ulp_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma)
{
	return -EOPNOTSUPP;
}

static int ulp_read_sock(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t recv_actor)
{
	return -EOPNOTSUPP;
}

static int ulp_read_skb(struct sock *sk, skb_read_actor_t recv_actor)
{
	return -EOPNOTSUPP;
}

static int ulp_sendmsg_locked(struct sock *sk, struct msghdr *msg, size_t size)
{
	return -EOPNOTSUPP;
}

#ifdef KSSL_COMPAT_HAS_SENDPAGE
static int ulp_sendpage_locked(struct sock *sk, struct page *page, int offset, size_t size,
			       int flags)
{
	return -EOPNOTSUPP;
}
#endif

/* ---- attach ---- */

static void build_tables(unsigned int family, struct proto *prot, const struct proto_ops *base)
{
	struct proto *p = &prots[family];
	struct proto_ops *o = &ops[family];

	*p = *prot;
	p->owner = THIS_MODULE;
	p->sendmsg = kssl_tx_sendmsg;
	p->recvmsg = kssl_compat_recvmsg;
	p->splice_eof = kssl_tx_splice_eof;
	p->close = kssl_close;
	p->release_cb = ulp_release_cb;
	p->disconnect = ulp_disconnect;
	p->setsockopt = kssl_sockopt_set;
	p->getsockopt = kssl_sockopt_get;
	p->ioctl = ulp_ioctl;

	*o = *base;
	o->owner = THIS_MODULE;
	o->connect = ulp_connect;
	o->poll = ulp_poll;
	o->shutdown = ulp_shutdown;
	o->splice_read = kssl_rx_splice_read;
	o->set_rcvlowat = ulp_set_rcvlowat;
	o->set_peek_off = sk_set_peek_off;
	o->peek_len = ulp_peek_len;
	o->mmap = ulp_mmap;
	o->read_sock = ulp_read_sock;
	o->read_skb = ulp_read_skb;
	o->sendmsg_locked = ulp_sendmsg_locked;
#ifdef KSSL_COMPAT_HAS_SENDPAGE
	p->sendpage = ulp_sendpage;
	o->sendpage_locked = ulp_sendpage_locked;
#endif

	bases[family].ops = base;
	kssl_arm_tables(family, prot, base, o);
	kssl_ktls_tables(family, p, o);
	/* Seen last: a base that has a prot is complete. */
	smp_store_release(&bases[family].prot, prot);
}

/* The tables for a socket, or an error if something else has hold of it. */
static int find_family(struct sock *sk)
{
	unsigned int family;

	if (sk->sk_prot == &tcp_prot && sk->sk_socket->ops == &inet_stream_ops)
		family = KSSL_FAMILY_V4;
#if IS_ENABLED(CONFIG_IPV6)
	else if (sk->sk_prot == &tcpv6_prot)
		family = KSSL_FAMILY_V6;
#endif
	else
		return -EOPNOTSUPP;

	/* Pairs with build_tables(). */
	if (!smp_load_acquire(&bases[family].prot)) {
		mutex_lock(&bases_lock);
		if (!bases[family].prot)
			build_tables(family, sk->sk_prot, sk->sk_socket->ops);
		mutex_unlock(&bases_lock);
	}
	return bases[family].ops == sk->sk_socket->ops ? family : -EOPNOTSUPP;
}

static struct kssl_sock *new_sock(struct sock *sk)
{
	struct kssl_sock *ctx = kmem_cache_zalloc(socks, GFP_KERNEL_ACCOUNT);
	int ret;

	if (!ctx)
		return ERR_PTR(-ENOMEM);
	refcount_set(&ctx->ref, 1);
	spin_lock_init(&ctx->lock);
	skb_queue_head_init(&ctx->messages);
	init_waitqueue_head(&ctx->control_wait);
	INIT_DELAYED_WORK(&ctx->helper_clock, kssl_control_clock);
	INIT_DELAYED_WORK(&ctx->peer_clock, kssl_policy_peer_late);
	INIT_DELAYED_WORK(&ctx->rekey_clock, kssl_policy_key_old);
	INIT_DELAYED_WORK(&ctx->news, kssl_control_news);
	INIT_DELAYED_WORK(&ctx->handshake_clock, kssl_handshake_late);
	INIT_DELAYED_WORK(&ctx->close_work, kssl_close_work);

	mutex_init(&ctx->tx.lock);
	INIT_LIST_HEAD(&ctx->tx.queue);
	INIT_DELAYED_WORK(&ctx->tx.work, kssl_tx_work);
	ctx->tx.alert = KSSL_ALERT_NONE;

	__skb_queue_head_init(&ctx->rx.queue);
	INIT_DELAYED_WORK(&ctx->rx.work, kssl_rx_work);
	ctx->rx.need = KSSL_HEADER_LEN;

	ctx->sk = sk;
	/* Works may run before sending is ours. */
	ctx->saved_write_space = sk->sk_write_space;
	ctx->rx.counted_since = jiffies;
	kssl_policy_set(ctx, &(struct kssl_policy) {});
	ctx->attached = jiffies;
	kssl_who_fill(&ctx->who, sk);
	ret = kssl_upcall_add(ctx);
	if (ret) {
		free_sock(ctx);
		return ERR_PTR(ret);
	}
	return ctx;
}

/*
 * Context first, then callbacks, then the tables that lead to it.  An armed socket has
 * our reference for its ops already.
 */
static void publish(struct kssl_sock *ctx, const struct kssl_base *tables)
{
	struct sock *sk = ctx->sk;

	write_lock_bh(&sk->sk_callback_lock);
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, ctx);
	if (!ctx->ktls) {
		kssl_tx_begin(ctx);
		kssl_rx_begin(ctx);
	}
	WRITE_ONCE(sk->sk_prot, tables->prot);
	/* The release of the socket drops the owner of its ops. */
	if (sk->sk_socket->ops->owner != THIS_MODULE)
		__module_get(THIS_MODULE);
	WRITE_ONCE(sk->sk_socket->ops, tables->ops);
	/* As sendmsg refuses MSG_ZEROCOPY; io_uring asks beforehand. */
	clear_bit(SOCK_SUPPORT_ZC, &sk->sk_socket->flags);
	write_unlock_bh(&sk->sk_callback_lock);
	kssl_genl_event(ctx, KSSL_EVENT_NL_ATTACHED);
}

/**
 * kssl_sock_set_up() - give a connection what it has from the socket that was armed
 * @ctx: connection without keys
 * @setup: what that is; what it asks of a helper is not begun
 *
 * Context: Process context. Caller holds tx.lock, unless nobody knows of the connection
 * yet, and the socket lock.
 */
void kssl_sock_set_up(struct kssl_sock *ctx, const struct kssl_setup *setup)
{
	ctx->listener = setup->listener;
	kssl_policy_set(ctx, &setup->policy);
}

/**
 * kssl_sock_attach() - put the record layer on a connected socket
 * @sk: socket with base protocol
 * @family: of its tables
 * @setup: what it has from the socket that was armed, or NULL
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0, %-ENOMEM, %-EBUSY.
 */
int kssl_sock_attach(struct sock *sk, unsigned int family, const struct kssl_setup *setup)
{
	struct kssl_sock *ctx = new_sock(sk);

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	if (setup)
		kssl_sock_set_up(ctx, setup);
	ctx->base = &bases[family];
	publish(ctx, &(struct kssl_base) { .prot = &prots[family], .ops = &ops[family] });
	sk->sk_socket->state = SS_CONNECTED;
	if (setup && setup->ask)
		kssl_handshake_begin(ctx, setup->ask);
	return 0;
}

/**
 * kssl_sock_attach_ktls() - the same for the kTLS front; TCP goes on until there are keys
 * @sk: socket with base protocol
 * @family: of its tables
 * @tables: those of the front
 * @ktls: its state of the connection, which the connection owns now; also if that fails
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0, %-ENOMEM, %-EBUSY.
 */
int kssl_sock_attach_ktls(struct sock *sk, unsigned int family, const struct kssl_base *tables,
			  struct kssl_ktls *ktls)
{
	struct kssl_sock *ctx = new_sock(sk);

	if (IS_ERR(ctx)) {
		kssl_ktls_free(ktls);
		return PTR_ERR(ctx);
	}
	ctx->ktls = ktls;
	kssl_policy_set(ctx, &(struct kssl_policy) { .flags = KSSL_POLICY_INSECURE_EOF });
	ctx->base = &bases[family];
	publish(ctx, tables);
	return 0;
}

/**
 * kssl_sock_is_attached() - has the socket our protocol?
 * @sk: socket with the ULP
 *
 * Context: Any.
 */
bool kssl_sock_is_attached(const struct sock *sk)
{
	const struct proto *prot = READ_ONCE(sk->sk_prot);

	return (prot >= prots && prot < prots + KSSL_FAMILIES) || kssl_ktls_is_table(prot);
}

/**
 * kssl_sock_base() - what is TCP's
 * @family: of tables
 *
 * Context: Any.
 */
const struct kssl_base *kssl_sock_base(unsigned int family)
{
	return &bases[family];
}

static bool has_psock(struct sock *sk)
{
	bool has;

	rcu_read_lock();
	has = sk_psock(sk);
	rcu_read_unlock();
	return has;
}

/**
 * kssl_sock_family() - the tables for a socket
 * @sk: socket, maybe with somebody else's protocol
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: family, or %-EOPNOTSUPP if something other than TCP has hold of the socket.
 */
int kssl_sock_family(struct sock *sk)
{
	/* A task may use the kernel's own, in reclaim, while it has its task_frag in hand. */
	if (!sk->sk_socket || sk->sk_kern_sock || has_psock(sk) || tcp_sk(sk)->repair)
		return -EOPNOTSUPP;
	return find_family(sk);
}

/*
 * TCP_ULP "kssl", under the socket lock.  ENOTCONN: being connected or closed by the
 * peer.  EOPNOTSUPP: not plain TCP of a user (MPTCP, sockmap, the kernel's own).
 * EBUSY: a writer or connect() sleeps inside TCP and would go on in clear text.
 */
static int ulp_init(struct sock *sk)
{
	int family = kssl_sock_family(sk);

	if (family < 0)
		return family;
	if (sk->sk_write_pending)
		return -EBUSY;
	switch (sk->sk_state) {
	case TCP_ESTABLISHED:
		return kssl_sock_attach(sk, family, NULL);
	case TCP_CLOSE:
	case TCP_SYN_SENT:
	case TCP_LISTEN:
		return kssl_arm(sk, family);
	default:
		return -ENOTCONN;
	}
}

/**
 * kssl_ulp_release() - the socket is destroyed, or a child of a listener before anybody had it
 * @sk: socket with the ULP
 *
 * Context: Any.
 */
void kssl_ulp_release(struct sock *sk)
{
	if (!kssl_sock_is_attached(sk))
		kssl_arm_release(sk);
}

/* ---- ss(8) ---- */

static u16 info_cipher(const struct kssl_epoch *e)
{
	switch (e->suite->id) {
	case 0x1301: case 0x009c: case 0x009e: case 0xc02b: case 0xc02f:
		return TLS_CIPHER_AES_GCM_128;
	case 0x1302: case 0x009d: case 0x009f: case 0xc02c: case 0xc030:
		return TLS_CIPHER_AES_GCM_256;
	case 0x1303: case 0xcca8: case 0xcca9: case 0xccaa:
		return TLS_CIPHER_CHACHA20_POLY1305;
	case 0x1304: case 0xc09c: case 0xc09e:
		return TLS_CIPHER_AES_CCM_128;
	default:
		return 0;
	}
}

/**
 * kssl_ulp_get_info() - what ss knows to print of kTLS, where it fits
 * @sk: socket with the ULP
 * @skb: (out) message
 *
 * Context: Any, without the socket's spinlock.
 * Return: 0.
 */
int kssl_ulp_get_info(struct sock *sk, struct sk_buff *skb)
{
	const struct kssl_epoch *e;
	struct kssl_sock *ctx;
	struct nlattr *nest;

	/* Nobody takes the connection away while nobody owns the socket. */
	if (!kssl_sock_is_attached(sk) || !spin_trylock_bh(&sk->sk_lock.slock))
		return 0;
	ctx = kssl_sock_of(sk);
	if (ctx && ctx->ktls)
		kssl_ktls_fill_info(ctx, skb);
	e = ctx && !ctx->ktls && !sock_owned_by_user_nocheck(sk) ? ctx->tx.dir.epoch : NULL;
	nest = e ? nla_nest_start_noflag(skb, INET_ULP_INFO_TLS) : NULL;
	if (nest) {
		if (nla_put_u16(skb, TLS_INFO_VERSION, e->ver->wire) ||
		    (info_cipher(e) && nla_put_u16(skb, TLS_INFO_CIPHER, info_cipher(e))) ||
		    nla_put_u16(skb, TLS_INFO_TXCONF, TLS_CONF_SW) ||
		    nla_put_u16(skb, TLS_INFO_RXCONF, TLS_CONF_SW))
			nla_nest_cancel(skb, nest);
		else
			nla_nest_end(skb, nest);
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	return 0;
}

/**
 * kssl_ulp_get_info_size() - room that kssl_ulp_get_info() may take
 *
 * Context: Any.
 */
size_t kssl_ulp_get_info_size(void)
{
	return nla_total_size(0) + 5 * nla_total_size(sizeof(u16)) + 2 * nla_total_size(0);
}

static struct tcp_ulp_ops ulp_ops = {
	.name		= KSSL_ULP_NAME,
	.owner		= THIS_MODULE,
	.init		= ulp_init,
	.release	= kssl_ulp_release,
	.clone		= kssl_arm_clone,
	.get_info	= kssl_compat_get_info,
	.get_info_size	= kssl_compat_get_info_size,
};

/**
 * kssl_ulp_register() - offer the ULP
 *
 * Context: Process context.
 * Return: 0, %-ENOMEM, %-EEXIST if the name is taken, or as kssl_ktls_register().
 */
int kssl_ulp_register(void)
{
	int ret = -ENOMEM;

	socks = KMEM_CACHE(kssl_sock, SLAB_ACCOUNT);
	if (!socks)
		return ret;
	workqueue = alloc_workqueue("kssl", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!workqueue)
		goto free_cache;
	/* First, for it is what may be refused. */
	ret = kssl_ktls_register();
	if (ret)
		goto free_workqueue;
	ret = tcp_register_ulp(&ulp_ops);
	if (!ret)
		return 0;
	kssl_ktls_unregister();
free_workqueue:
	destroy_workqueue(workqueue);
free_cache:
	kmem_cache_destroy(socks);
	return ret;
}

/**
 * kssl_ulp_unregister() - no more sockets; those attached hold the module
 *
 * Context: Process context.
 */
void kssl_ulp_unregister(void)
{
	kssl_ktls_unregister();
	tcp_unregister_ulp(&ulp_ops);
	destroy_workqueue(workqueue);
	rcu_barrier();
	kmem_cache_destroy(socks);
}
