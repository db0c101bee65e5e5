/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that asks for the kernel's version.  The module is written to
 * the newest supported kernel; older ones are brought up to it here, newest
 * change first, so that dropping an old kernel means deleting the tail.
 */
#ifndef _KSSL_COMPAT_H
#define _KSSL_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "kssl needs Linux 6.1 or newer"
#endif

#include <linux/net.h>
#include <linux/socket.h>
#include <linux/tls.h>
#include <net/sock.h>
#include <net/tcp.h>

int kssl_rx_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
int kssl_ktls_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
int kssl_arm_refuse_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
int kssl_ulp_get_info(struct sock *sk, struct sk_buff *skb);
size_t kssl_ulp_get_info_size(void);

/* 7.0: recvmsg of struct proto lost addr_len */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define kssl_compat_recvmsg	kssl_rx_recvmsg
#define kssl_compat_ktls_recvmsg	kssl_ktls_recvmsg
#define kssl_compat_refuse_recvmsg	kssl_arm_refuse_recvmsg

static inline int kssl_compat_base_recvmsg(const struct proto *prot, struct sock *sk,
					   struct msghdr *msg, size_t len, int flags)
{
	return prot->recvmsg(sk, msg, len, flags);
}
#else
static inline int kssl_compat_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags,
				      int *addr_len)
{
	return kssl_rx_recvmsg(sk, msg, len, flags);
}

static inline int kssl_compat_ktls_recvmsg(struct sock *sk, struct msghdr *msg, size_t len,
					   int flags, int *addr_len)
{
	return kssl_ktls_recvmsg(sk, msg, len, flags);
}

static inline int kssl_compat_base_recvmsg(const struct proto *prot, struct sock *sk,
					   struct msghdr *msg, size_t len, int flags)
{
	int addr_len = 0;

	return prot->recvmsg(sk, msg, len, flags, &addr_len);
}

static inline int kssl_compat_refuse_recvmsg(struct sock *sk, struct msghdr *msg, size_t len,
					     int flags, int *addr_len)
{
	return kssl_arm_refuse_recvmsg(sk, msg, len, flags);
}
#endif

/* 7.0: addresses of any length are a type of their own, and diagnosis tells who asks */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define KSSL_COMPAT_SOCKADDR	struct sockaddr_unsized
static inline int kssl_compat_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	return kssl_ulp_get_info(sk, skb);
}

static inline size_t kssl_compat_get_info_size(const struct sock *sk, bool net_admin)
{
	return kssl_ulp_get_info_size();
}
#else
#define KSSL_COMPAT_SOCKADDR	struct sockaddr
static inline int kssl_compat_get_info(struct sock *sk, struct sk_buff *skb)
{
	return kssl_ulp_get_info(sk, skb);
}

static inline size_t kssl_compat_get_info_size(const struct sock *sk)
{
	return kssl_ulp_get_info_size();
}
#endif

/* 7.0: the longest content of kTLS's records can be set */
#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN	5
#define TLS_INFO_TX_MAX_PAYLOAD_LEN	7
#endif

/* 6.16: the hash contexts of the crypto library are public structs; tried from 7.0 on */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define KSSL_COMPAT_HASH_LIBRARY
#endif

/* 6.12: pages of a device, which the CPU cannot read, may be in the receive queue */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define kssl_compat_readable(skb)	skb_frags_readable(skb)
#else
#define kssl_compat_readable(skb)	true
#endif

/* 6.12: asm/unaligned.h became linux/unaligned.h */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* 6.10: accept of struct proto_ops has its arguments in a struct */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define kssl_compat_accept	kssl_arm_accept
int kssl_arm_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);

static inline int kssl_compat_base_accept(const struct proto_ops *ops, struct socket *sock,
					  struct socket *newsock, struct proto_accept_arg *arg)
{
	return ops->accept(sock, newsock, arg);
}
#else
struct proto_accept_arg {
	int flags;
	bool kern;
};

int kssl_arm_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);

static inline int kssl_compat_accept(struct socket *sock, struct socket *newsock, int flags,
				     bool kern)
{
	struct proto_accept_arg arg = { .flags = flags, .kern = kern };

	return kssl_arm_accept(sock, newsock, &arg);
}

static inline int kssl_compat_base_accept(const struct proto_ops *ops, struct socket *sock,
					  struct socket *newsock, struct proto_accept_arg *arg)
{
	return ops->accept(sock, newsock, arg->flags, arg->kern);
}
#endif

/* 6.6: ioctl of struct proto takes a pointer to a kernel int */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define KSSL_COMPAT_PROTO_IOCTL_ARG	int *
static inline int kssl_compat_ioctl_result(int value, KSSL_COMPAT_PROTO_IOCTL_ARG arg)
{
	*arg = value;
	return 0;
}
#else
#define KSSL_COMPAT_PROTO_IOCTL_ARG	unsigned long
static inline int kssl_compat_ioctl_result(int value, KSSL_COMPAT_PROTO_IOCTL_ARG arg)
{
	return put_user(value, (int __user *)arg);
}
#endif

/*
 * 6.5: sendpage is gone; pages travel as a bvec iterator with MSG_SPLICE_PAGES.
 * 6.1 defines that flag but TCP ignores it there.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define KSSL_COMPAT_SEND_FLAGS	(MSG_SPLICE_PAGES | MSG_INTERNAL_SENDMSG_FLAGS)

static inline int kssl_compat_send_page(struct sock *sk, struct page *page, unsigned int offset,
					unsigned int len, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };
	struct bio_vec bvec;

	bvec_set_page(&bvec, page, len, offset);
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, &bvec, 1, len);
	return tcp_sendmsg_locked(sk, &msg, len);
}
#else
#define KSSL_COMPAT_HAS_SENDPAGE
#define KSSL_COMPAT_SEND_FLAGS	(MSG_SENDPAGE_NOTLAST | MSG_SENDPAGE_NOPOLICY | \
				 MSG_NO_SHARED_FRAGS)

static inline int kssl_compat_send_page(struct sock *sk, struct page *page, unsigned int offset,
					unsigned int len, int flags)
{
	return do_tcp_sendpages(sk, page, offset, len, flags);
}
#endif

#endif /* _KSSL_COMPAT_H */
