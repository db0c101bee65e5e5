// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that have the ULP and no connection yet: before connect() and listeners.
 *
 * Only their struct proto_ops is ours: the struct proto of a listener is kept by its
 * children, also by those in TIME_WAIT.  What is connected is attached by the first
 * call that comes by, and no call lets a byte through before.
 *
 * The lists are as in ulp.c, and tests/members compares.
 *
 * struct proto, of children that are not attached:
 *   ours: close release_cb owner
 *   refused: disconnect setsockopt getsockopt sendmsg recvmsg sendpage
 *   base: ioctl splice_eof pre_connect connect accept init destroy shutdown keepalive
 *	compat_ioctl bind bind_add backlog_rcv bpf_bypass_getsockopt hash unhash rehash
 *	get_port put_port psock_update_sk_prot forward_alloc_get stream_memory_free
 *	sock_is_readable enter_memory_pressure leave_memory_pressure diag_destroy
 *   data: inuse_idx memory_allocated per_cpu_fw_alloc sockets_allocated
 *	memory_pressure sysctl_mem sysctl_wmem sysctl_rmem sysctl_wmem_offset
 *	sysctl_rmem_offset max_header no_autobind slab obj_size ipv6_pinfo_offset
 *	slab_flags freeptr_offset useroffset usersize orphan_count rsk_prot twsk_prot h
 *	name node
 *
 * struct proto_ops, of what is armed:
 *   ours: connect accept poll ioctl sendmsg recvmsg sendpage splice_read shutdown
 *	setsockopt getsockopt set_peek_off owner
 *   refused: mmap read_sock read_skb sendmsg_locked sendpage_locked
 *   base: release bind socketpair getname compat_ioctl gettstamp listen getsockopt_iter
 *	set_rcvbuf set_rcvlowat peek_len show_fdinfo splice_eof
 *   data: family
 */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <net/tcp_states.h>
#include "kssl.h"

/**
 * struct kssl_arm - an armed socket
 * @not_tls: zero, as in struct kssl_sock
 * @setup: for it once it is connected, or its children
 */
struct kssl_arm {
	struct tls_context not_tls;
	struct kssl_setup setup;
};

static struct proto_ops armed[KSSL_FAMILIES];
static struct proto unattached[KSSL_FAMILIES];

static bool is_armed(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops >= armed && ops < armed + KSSL_FAMILIES;
}

static unsigned int family_of(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 ? KSSL_FAMILY_V6 : KSSL_FAMILY_V4;
}

/* Also for who is still in a call of ours while another thread attaches the socket. */
static const struct proto_ops *base_ops(const struct socket *sock)
{
	return kssl_sock_base(family_of(sock->sk))->ops;
}

static struct kssl_arm *arm_of(const struct sock *sk)
{
	return (__force struct kssl_arm *)inet_csk(sk)->icsk_ulp_data;
}

static void free_arm(struct kssl_arm *arm)
{
	kssl_ask_put(arm->setup.ask);
	kfree(arm);
}

/* Of a listener of ours, and not attached? */
static bool is_child(const struct sock *sk)
{
	const struct proto *prot = READ_ONCE(sk->sk_prot);

	return prot >= unattached && prot < unattached + KSSL_FAMILIES;
}

/* ---- from armed to attached ---- */

static bool is_open(const struct sock *sk)
{
	return (1 << READ_ONCE(sk->sk_state)) &
	       ~(TCPF_CLOSE | TCPF_SYN_SENT | TCPF_SYN_RECV | TCPF_LISTEN);
}

/* Attach what is connected; 0 if it is attached now. Caller holds the socket lock. */
static int attach(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct kssl_setup setup;
	struct kssl_arm *arm;
	int ret;

	if (!is_armed(sock))
		return 0;
	/* What its listener would have it do was not known to who accepted it. */
	if (is_child(sk))
		return -ECONNABORTED;
	if (!is_open(sk))
		return -ENOTCONN;
	if (tcp_sk(sk)->repair)
		return -EOPNOTSUPP;
	arm = arm_of(sk);
	setup = arm->setup;
	setup.listener = 0;
	ret = kssl_sock_attach(sk, family_of(sk), &setup);
	if (!ret)
		free_arm(arm);
	return ret;
}

static int settle(struct socket *sock)
{
	int ret;

	lock_sock(sock->sk);
	ret = attach(sock);
	release_sock(sock->sk);
	return ret;
}

/* Before data: wait until TCP is connected, then attach. */
static int settle_for_data(struct socket *sock, bool nonblock)
{
	struct sock *sk = sock->sk;
	long timeo = sock_sndtimeo(sk, nonblock);
	int ret = 0;

	lock_sock(sk);
	if (is_armed(sock) && (1 << sk->sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) {
		DEFINE_WAIT_FUNC(wait, woken_wake_function);

		add_wait_queue(sk_sleep(sk), &wait);
		while (!ret && (1 << sk->sk_state) & (TCPF_SYN_SENT | TCPF_SYN_RECV)) {
			if (!timeo)
				ret = -EAGAIN;
			else if (signal_pending(current))
				ret = sock_intr_errno(timeo);
			else
				sk_wait_event(sk, &timeo, !((1 << READ_ONCE(sk->sk_state)) &
					      (TCPF_SYN_SENT | TCPF_SYN_RECV)), &wait);
		}
		remove_wait_queue(sk_sleep(sk), &wait);
	}
	if (!ret)
		ret = attach(sock);
	if (ret == -ENOTCONN && sk->sk_err)
		ret = sock_error(sk);
	release_sock(sk);
	return ret;
}

/* ---- struct proto_ops of an armed socket ---- */

static int armed_connect(struct socket *sock, KSSL_COMPAT_SOCKADDR *address, int len, int flags)
{
	struct sock *sk = sock->sk;
	int ret, attached;

	/* It would return before there is a connection, and data would go with the SYN. */
	if (tcp_sk(sk)->fastopen_connect)
		return -EOPNOTSUPP;
	ret = base_ops(sock)->connect(sock, address, len, flags);
	/* EISCONN: it was connected before, and could not be attached. */
	if ((ret && ret != -EISCONN) || !is_open(sk))
		return ret;
	lock_sock(sk);
	attached = attach(sock);
	if (attached)
		ret = attached;
	else if (kssl_sock_of(sk)->asked)
		ret = kssl_handshake_wait(sk, flags, false);
	release_sock(sk);
	return ret;
}

/* It was there before the listener was armed. */
static int adopt_plain(struct socket *sock, const struct kssl_setup *setup)
{
	const struct proto_ops *ops = sock->ops;
	struct sock *sk = sock->sk;
	const struct kssl_base *base = kssl_sock_base(family_of(sk));
	struct kssl_sock *ctx;
	int ret;

	WRITE_ONCE(sock->ops, base->ops);
	ret = base->prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR(KSSL_ULP_NAME),
				     sizeof(KSSL_ULP_NAME) - 1);
	if (ret) {
		WRITE_ONCE(sock->ops, ops);
		return ret;
	}
	/*
	 * The caller has taken a reference for the ops as they were, which need not have
	 * been ours if the listener was just armed; the attach its own.
	 */
	if (ops->owner == THIS_MODULE)
		module_put(THIS_MODULE);
	ctx = kssl_sock_of(sk);
	mutex_lock(&ctx->tx.lock);
	lock_sock(sk);
	kssl_sock_set_up(ctx, setup);
	if (setup->ask)
		kssl_handshake_begin(ctx, setup->ask);
	release_sock(sk);
	kssl_tx_leave(ctx);
	return 0;
}

/* A child of ours comes without payload and with our reference on the module. */
static int adopt(struct socket *sock, const struct kssl_setup *setup)
{
	struct sock *sk = sock->sk;
	unsigned int family = family_of(sk);
	int ret = -ECONNABORTED;

	if (!inet_csk_has_ulp(sk))
		return adopt_plain(sock, setup);
	lock_sock(sk);
	if (is_child(sk) && is_open(sk)) {
		WRITE_ONCE(sk->sk_prot, kssl_sock_base(family)->prot);
		ret = kssl_sock_attach(sk, family, setup);
		if (ret)
			WRITE_ONCE(sk->sk_prot, &unattached[family]);
	}
	release_sock(sk);
	return ret;
}

/**
 * kssl_arm_accept() - accept() of an armed listener
 * @sock: listener
 * @newsock: (out) gets the child
 * @arg: how
 *
 * It does not wait for the handshake.
 *
 * Context: Process context, may sleep.
 * Return: 0, %-ECONNABORTED for a child that cannot be protected, or TCP's error.
 */
int kssl_arm_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg)
{
	struct kssl_setup setup = {};
	int ret;

	/* Servers within the kernel; they give it its ops later, and those would be ours. */
	if (arg->kern)
		return -EOPNOTSUPP;
	ret = kssl_compat_base_accept(base_ops(sock), sock, newsock, arg);
	if (ret)
		return ret;
	lock_sock(sock->sk);
	/* Shut down and connected meanwhile, it would be no listener any more. */
	ret = is_armed(sock) ? 0 : -ECONNABORTED;
	if (!ret) {
		setup = arm_of(sock->sk)->setup;
		if (setup.ask)
			refcount_inc(&setup.ask->ref);
	}
	release_sock(sock->sk);

	if (!ret)
		ret = adopt(newsock, &setup);
	kssl_ask_put(setup.ask);
	if (!ret)
		return 0;
	tcp_abort(newsock->sk, ECONNABORTED);
	return -ECONNABORTED;
}

static __poll_t armed_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = base_ops(sock)->poll(file, sock, wait);
	int ret;

	if (!is_open(sk))
		return mask;
	lock_sock(sk);
	ret = attach(sock);
	/* Whoever waits for connect() asks SO_ERROR next. */
	if (ret && ret != -ENOTCONN && !sk->sk_err)
		WRITE_ONCE(sk->sk_err, -ret);
	release_sock(sk);
	if (ret)
		return EPOLLERR | EPOLLHUP;
	return READ_ONCE(sock->ops)->poll(file, sock, NULL);
}

static int armed_sendmsg(struct socket *sock, struct msghdr *msg, size_t size)
{
	int ret;

	if (msg->msg_flags & MSG_FASTOPEN)
		return -EOPNOTSUPP;
	ret = settle_for_data(sock, msg->msg_flags & MSG_DONTWAIT);
	if (ret == -ENOTCONN)
		ret = sk_stream_error(sock->sk, msg->msg_flags, -EPIPE);
	return ret ? ret : READ_ONCE(sock->ops)->sendmsg(sock, msg, size);
}

static int armed_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags)
{
	int ret = settle_for_data(sock, flags & MSG_DONTWAIT);

	return ret ? ret : READ_ONCE(sock->ops)->recvmsg(sock, msg, size, flags);
}

static ssize_t armed_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
				 size_t len, unsigned int flags)
{
	int ret = settle_for_data(sock, (flags & SPLICE_F_NONBLOCK) ||
				  (sock->file->f_flags & O_NONBLOCK));

	return ret ? ret : READ_ONCE(sock->ops)->splice_read(sock, ppos, pipe, len, flags);
}

static int armed_shutdown(struct socket *sock, int how)
{
	if (is_open(sock->sk)) {
		int ret = settle(sock);

		return ret ? ret : READ_ONCE(sock->ops)->shutdown(sock, how);
	}
	return base_ops(sock)->shutdown(sock, how);
}

static int armed_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	if (is_open(sock->sk)) {
		int ret = settle(sock);

		return ret ? ret : READ_ONCE(sock->ops)->ioctl(sock, cmd, arg);
	}
	return base_ops(sock)->ioctl(sock, cmd, arg);
}

/*
 * Its arm with the socket locked; an error; or NULL: it was connected and attached just
 * now, so the call is one of a connected socket.
 */
static struct kssl_arm *lock_arm(struct socket *sock)
{
	struct kssl_arm *arm = NULL;
	struct sock *sk = sock->sk;

	lock_sock(sk);
	if (is_child(sk))
		arm = ERR_PTR(-ECONNABORTED);
	else if (is_armed(sock))
		arm = arm_of(sk);
	if (IS_ERR_OR_NULL(arm))
		release_sock(sk);
	return arm;
}

static int set_ask(struct socket *sock, sockptr_t optval, unsigned int optlen)
{
	struct kssl_handshake h;
	struct kssl_ask *ask;
	struct kssl_arm *arm;
	int ret;

	ret = kssl_sockopt_copy(&h, sizeof(h), optval, optlen);
	if (ret)
		return ret;
	ask = kssl_ask_new(&h, sock->sk);
	if (IS_ERR(ask))
		return PTR_ERR(ask);
	arm = lock_arm(sock);
	if (!IS_ERR_OR_NULL(arm)) {
		ask->listener = arm->setup.listener;
		swap(arm->setup.ask, ask);
		release_sock(sock->sk);
	}
	kssl_ask_put(ask);
	if (arm)
		return PTR_ERR_OR_ZERO(arm);
	return READ_ONCE(sock->ops)->setsockopt(sock, SOL_KSSL, KSSL_HANDSHAKE, optval, optlen);
}

static int set_policy(struct socket *sock, sockptr_t optval, unsigned int optlen)
{
	struct kssl_policy policy;
	struct kssl_arm *arm;
	int ret;

	ret = kssl_sockopt_copy(&policy, sizeof(policy), optval, optlen);
	if (!ret)
		ret = kssl_policy_check(&policy);
	if (ret)
		return ret;
	arm = lock_arm(sock);
	if (!IS_ERR_OR_NULL(arm)) {
		arm->setup.policy = policy;
		release_sock(sock->sk);
	}
	if (arm)
		return PTR_ERR_OR_ZERO(arm);
	return READ_ONCE(sock->ops)->setsockopt(sock, SOL_KSSL, KSSL_POLICY, optval, optlen);
}

static bool is_refused(int level, int optname)
{
	if (kssl_sockopt_refused(level, optname))
		return true;
	/* Once connected it would be TCP's again. */
	if (level == SOL_IPV6 && optname == IPV6_ADDRFORM)
		return true;
	return level == SOL_TCP && (optname == TCP_FASTOPEN || optname == TCP_FASTOPEN_CONNECT);
}

static int armed_setsockopt(struct socket *sock, int level, int optname, sockptr_t optval,
			    unsigned int optlen)
{
	if (is_open(sock->sk)) {
		int ret = settle(sock);

		return ret ? ret : READ_ONCE(sock->ops)->setsockopt(sock, level, optname, optval,
								    optlen);
	}
	if (is_refused(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KSSL)
		return base_ops(sock)->setsockopt(sock, level, optname, optval, optlen);
	switch (optname) {
	case KSSL_HANDSHAKE:
		return set_ask(sock, optval, optlen);
	case KSSL_POLICY:
		return set_policy(sock, optval, optlen);
	case KSSL_TX_KEY:
	case KSSL_RX_KEY:
	case KSSL_RENEGOTIATE:
	case KSSL_EXPORTER:
		return -ENOTCONN;
	default:
		return -ENOPROTOOPT;
	}
}

static int armed_getsockopt(struct socket *sock, int level, int optname, char __user *optval,
			    int __user *optlen)
{
	struct kssl_policy policy;
	struct kssl_arm *arm;

	if (is_open(sock->sk)) {
		int ret = settle(sock);

		return ret ? ret : READ_ONCE(sock->ops)->getsockopt(sock, level, optname, optval,
								    optlen);
	}
	if (kssl_sockopt_refused(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KSSL)
		return base_ops(sock)->getsockopt(sock, level, optname, optval, optlen);
	arm = lock_arm(sock);
	if (!arm)
		return READ_ONCE(sock->ops)->getsockopt(sock, level, optname, optval, optlen);
	if (IS_ERR(arm))
		return PTR_ERR(arm);
	policy = arm->setup.policy;
	release_sock(sock->sk);
	return kssl_sockopt_get_armed(optname, &policy, optval, optlen);
}

#ifdef KSSL_COMPAT_HAS_SENDPAGE
static ssize_t armed_sendpage(struct socket *sock, struct page *page, int offset, size_t size,
			      int flags)
{
	int ret = settle_for_data(sock, flags & MSG_DONTWAIT);

	return ret ? ret : READ_ONCE(sock->ops)->sendpage(sock, page, offset, size, flags);
}
#endif

/* ---- children nobody has accepted yet, or not by way of kssl_arm_accept() ---- */

/* TCP's close may want to disconnect. */
static void unattached_close(struct sock *sk, long timeout)
{
	const struct kssl_base *base = kssl_sock_base(family_of(sk));

	WRITE_ONCE(sk->sk_prot, base->prot);
	base->prot->close(sk, timeout);
}

/*
 * An accept() that slept while its listener was armed is TCP's, and has TCP's
 * operations for the child, some of which do not ask struct proto.  This is the last
 * that it does with the child.
 */
static void unattached_release_cb(struct sock *sk)
{
	unsigned int family = family_of(sk);
	const struct kssl_base *base = kssl_sock_base(family);
	struct socket *sock = sk->sk_socket;

	base->prot->release_cb(sk);
	if (sock && READ_ONCE(sock->ops) == base->ops) {
		__module_get(THIS_MODULE);
		WRITE_ONCE(sock->ops, &armed[family]);
	}
}

/* Listening again, it would leave this struct proto to its children. */
static int unattached_disconnect(struct sock *sk, int flags)
{
	return -EOPNOTSUPP;
}

static int unattached_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
{
	return -ECONNABORTED;
}

/**
 * kssl_arm_refuse_recvmsg() - recvmsg() of such a child
 * @sk: socket
 * @msg: where to
 * @len: how much
 * @flags: MSG_*
 *
 * Context: Process context.
 */
int kssl_arm_refuse_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	return -ECONNABORTED;
}

static int unattached_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
				 unsigned int optlen)
{
	return -ECONNABORTED;
}

static int unattached_getsockopt(struct sock *sk, int level, int optname, char __user *optval,
				 int __user *optlen)
{
	return -ECONNABORTED;
}

#ifdef KSSL_COMPAT_HAS_SENDPAGE
static int unattached_sendpage(struct sock *sk, struct page *page, int offset, size_t size,
			       int flags)
{
	return -ECONNABORTED;
}
#endif

/**
 * kssl_arm_tables() - make the tables of a family
 * @family: which one
 * @prot: TCP's
 * @base: TCP's
 * @attached: ours for connected sockets, whose refusals hold here too
 *
 * Context: Process context, once for each family.
 */
void kssl_arm_tables(unsigned int family, const struct proto *prot, const struct proto_ops *base,
		     const struct proto_ops *attached)
{
	struct proto_ops *o = &armed[family];
	struct proto *p = &unattached[family];

	*o = *base;
	o->owner = THIS_MODULE;
	o->connect = armed_connect;
	o->accept = kssl_compat_accept;
	o->poll = armed_poll;
	o->sendmsg = armed_sendmsg;
	o->recvmsg = armed_recvmsg;
	o->splice_read = armed_splice_read;
	o->shutdown = armed_shutdown;
	o->ioctl = armed_ioctl;
	o->set_peek_off = attached->set_peek_off;
	o->setsockopt = armed_setsockopt;
	o->getsockopt = armed_getsockopt;
	o->mmap = attached->mmap;
	o->read_sock = attached->read_sock;
	o->read_skb = attached->read_skb;
	o->sendmsg_locked = attached->sendmsg_locked;

	*p = *prot;
	p->owner = THIS_MODULE;
	p->close = unattached_close;
	p->release_cb = unattached_release_cb;
	p->disconnect = unattached_disconnect;
	p->sendmsg = unattached_sendmsg;
	p->recvmsg = kssl_compat_refuse_recvmsg;
	p->setsockopt = unattached_setsockopt;
	p->getsockopt = unattached_getsockopt;
#ifdef KSSL_COMPAT_HAS_SENDPAGE
	o->sendpage = armed_sendpage;
	o->sendpage_locked = attached->sendpage_locked;
	p->sendpage = unattached_sendpage;
#endif
}

/**
 * kssl_arm() - TCP_ULP on a socket that is not connected
 * @sk: socket
 * @family: of its tables
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0, %-ENOMEM, or %-EOPNOTSUPP where TCP fast open is on.
 */
int kssl_arm(struct sock *sk, unsigned int family)
{
	struct kssl_net *kn = kssl_net_of(sock_net(sk));
	struct kssl_arm *arm;

	if (tcp_sk(sk)->fastopen_connect || inet_csk(sk)->icsk_accept_queue.fastopenq.max_qlen)
		return -EOPNOTSUPP;
	arm = kzalloc(sizeof(*arm), GFP_KERNEL_ACCOUNT);
	if (!arm)
		return -ENOMEM;
	arm->setup.listener = atomic_inc_return(&kn->listeners);
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, arm);
	__module_get(THIS_MODULE);
	WRITE_ONCE(sk->sk_socket->ops, &armed[family]);
	return 0;
}

/**
 * kssl_arm_clone() - a listener's child
 * @req: request it was made for
 * @newsk: child
 * @priority: how to allocate, which this does not
 *
 * Context: Softirq.  It cannot fail: what goes wrong leaves a child that refuses data,
 * or, without a reference on the module, one that the dying listener drops.
 */
void kssl_arm_clone(const struct request_sock *req, struct sock *newsk, const gfp_t priority)
{
	rcu_assign_pointer(inet_csk(newsk)->icsk_ulp_data, NULL);
	if (try_module_get(THIS_MODULE))
		WRITE_ONCE(newsk->sk_prot, &unattached[family_of(newsk)]);
	else
		inet_csk(newsk)->icsk_ulp_ops = NULL;
}

/**
 * kssl_arm_release() - the socket is destroyed
 * @sk: armed socket, or child that was never attached
 *
 * Context: Any.
 */
void kssl_arm_release(struct sock *sk)
{
	struct kssl_arm *arm = arm_of(sk);

	if (READ_ONCE(sk->sk_prot) != sk->sk_prot_creator)
		WRITE_ONCE(sk->sk_prot, sk->sk_prot_creator);
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, NULL);
	if (arm)
		free_arm(arm);
}
