// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that have the ULP and no connection yet: before connect() and listeners.
 *
 * Only their struct proto_ops is ours: the struct proto of a listener is kept by its
 * children, also by those in TIME_WAIT.  What is connected is attached by the first
 * call that comes by, and no call lets a byte through before.
 */
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <net/tcp_states.h>
#include "kssl.h"

/**
 * struct kssl_arm - an armed socket
 * @not_tls: zero, as in struct kssl_sock
 * @ask: what to do once it is connected, or NULL
 * @number: as a listener
 */
struct kssl_arm {
	struct tls_context not_tls;
	struct kssl_ask *ask;
	u32 number;
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
	kssl_ask_put(arm->ask);
	kfree(arm);
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
	struct kssl_arm *arm;
	int ret;

	if (!is_armed(sock))
		return 0;
	if (!is_open(sk))
		return -ENOTCONN;
	if (tcp_sk(sk)->repair)
		return -EOPNOTSUPP;
	arm = arm_of(sk);
	ret = kssl_sock_attach(sk, family_of(sk), arm->ask, 0);
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
	int ret;

	/* It would return before there is a connection, and data would go with the SYN. */
	if (tcp_sk(sk)->fastopen_connect)
		return -EOPNOTSUPP;
	ret = base_ops(sock)->connect(sock, address, len, flags);
	if (ret || !is_open(sk))
		return ret;
	lock_sock(sk);
	ret = attach(sock);
	if (!ret && kssl_sock_of(sk)->asked)
		ret = kssl_handshake_wait(sk, flags, false);
	release_sock(sk);
	return ret;
}

/*
 * A child of ours comes without payload and with our reference on the module; one
 * that was there before the listener was armed has no ULP at all.
 */
static int adopt(struct socket *sock, struct kssl_ask *ask, u32 listener)
{
	struct sock *sk = sock->sk;
	unsigned int family = family_of(sk);
	const struct kssl_base *base = kssl_sock_base(family);
	int ret;

	WRITE_ONCE(sock->ops, base->ops);
	if (!inet_csk_has_ulp(sk)) {
		ret = base->prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR(KSSL_ULP_NAME),
					     sizeof(KSSL_ULP_NAME) - 1);
		if (ret || !ask)
			return ret;
		lock_sock(sk);
		kssl_sock_of(sk)->listener = listener;
		kssl_handshake_begin(kssl_sock_of(sk), ask);
		release_sock(sk);
		return 0;
	}
	lock_sock(sk);
	ret = -ECONNABORTED;
	if (sk->sk_prot == &unattached[family] && is_open(sk)) {
		WRITE_ONCE(sk->sk_prot, base->prot);
		ret = kssl_sock_attach(sk, family, ask, listener);
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
	const struct proto_ops *ops = newsock->ops;
	struct kssl_ask *ask = NULL;
	u32 number = 0;
	int ret;

	ret = kssl_compat_base_accept(base_ops(sock), sock, newsock, arg);
	if (ret)
		return ret;
	lock_sock(sock->sk);
	/* Shut down and connected meanwhile, it would be no listener any more. */
	ret = is_armed(sock) ? 0 : -ECONNABORTED;
	if (!ret) {
		struct kssl_arm *arm = arm_of(sock->sk);

		number = arm->number;
		ask = arm->ask;
		if (ask)
			refcount_inc(&ask->ref);
	}
	release_sock(sock->sk);

	if (!ret)
		ret = adopt(newsock, ask, number);
	kssl_ask_put(ask);
	if (!ret) {
		/*
		 * The caller has taken one for the ops as they were, which need not have
		 * been ours if the listener was just armed; the attach its own.
		 */
		if (ops->owner == THIS_MODULE)
			module_put(THIS_MODULE);
		return 0;
	}
	WRITE_ONCE(newsock->ops, ops);
	tcp_abort(newsock->sk, ECONNABORTED);
	return -ECONNABORTED;
}

static __poll_t armed_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = base_ops(sock)->poll(file, sock, wait);

	if (!is_open(sk))
		return mask;
	if (settle(sock))
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

static int set_ask(struct socket *sock, sockptr_t optval, unsigned int optlen)
{
	struct kssl_handshake h;
	struct kssl_ask *ask;
	struct sock *sk = sock->sk;
	int ret;

	ret = kssl_sockopt_copy(&h, sizeof(h), optval, optlen);
	if (ret)
		return ret;
	ask = kssl_ask_new(&h, sk);
	if (IS_ERR(ask))
		return PTR_ERR(ask);
	lock_sock(sk);
	/* It may just have been connected. */
	ret = is_armed(sock) ? 0 : -EBUSY;
	if (!ret) {
		struct kssl_arm *arm = arm_of(sk);

		ask->listener = arm->number;
		swap(arm->ask, ask);
	}
	release_sock(sk);
	kssl_ask_put(ask);
	return ret;
}

static bool is_refused(int level, int optname)
{
	if (kssl_sockopt_refused(level, optname))
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
	return optname == KSSL_HANDSHAKE ? set_ask(sock, optval, optlen) : -ENOTCONN;
}

static int armed_getsockopt(struct socket *sock, int level, int optname, char __user *optval,
			    int __user *optlen)
{
	if (is_open(sock->sk)) {
		int ret = settle(sock);

		return ret ? ret : READ_ONCE(sock->ops)->getsockopt(sock, level, optname, optval,
								    optlen);
	}
	if (kssl_sockopt_refused(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KSSL)
		return base_ops(sock)->getsockopt(sock, level, optname, optval, optlen);
	return kssl_sockopt_get_armed(optname, optval, optlen);
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
	o->setsockopt = armed_setsockopt;
	o->getsockopt = armed_getsockopt;
	o->mmap = attached->mmap;
	o->read_sock = attached->read_sock;
	o->read_skb = attached->read_skb;
	o->sendmsg_locked = attached->sendmsg_locked;

	*p = *prot;
	p->owner = THIS_MODULE;
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
	arm->number = atomic_inc_return(&kn->listeners);
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
