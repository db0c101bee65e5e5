// SPDX-License-Identifier: GPL-2.0
/*
 * The kTLS front: the kernel's own TLS (ULP "tls", SOL_TLS, linux/tls.h) on this core,
 * for programs that know only that.  It exists with the module's parameter "ktls".
 *
 * A direction is TCP's until it gets a key, and only then the core's.  Records of every
 * content type go to the application, which sends alerts and close_notify itself.  An
 * error ends the direction it is of.  A key has no usage limit, for this ABI has no
 * way to tell of it.  A read goes past records without content, but ends where another
 * type follows them, with 0.  Whoever has the socket gets its keys back, too, by
 * getsockopt(): programs go on elsewhere with them.
 *
 * Errors are named as kTLS names them:
 *   EBADMSG	not authentic, or no content type inside; sending: out of numbers
 *   EMSGSIZE	longer than a record may be; told once, as is the next
 *   EINVAL	version octets of another version
 *   EIO	a control record, and no room for its type
 *   EKEYEXPIRED	a KeyUpdate came, and its key has not
 *
 * Tables are as in ulp.c but for these, and tests/members compares.
 *
 * struct proto, of the front:
 *   ours: ioctl setsockopt getsockopt sendmsg recvmsg splice_eof
 *
 * struct proto_ops, of the front:
 *   ours: connect poll splice_read set_rcvlowat peek_len
 */
#include <linux/inet_diag.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <net/transp_v6.h>
#include <asm/ioctls.h>
#include "kssl.h"

#define KTLS_NAME	"tls"

/* In TLS 1.3 the octet of the type counts too (RFC 8449 4). */
#define KTLS_PAYLOAD_MIN_12	64
#define KTLS_PAYLOAD_MIN_13	KSSL_PAYLOAD_MIN

/* The module's parameter "ktls". */
bool kssl_ktls;

/* Any of the structs of linux/tls.h. */
union ktls_info {
	struct tls_crypto_info info;
	u8 octets[sizeof(struct tls_crypto_info) + KSSL_IV_MAX + KSSL_KEY_MAX + sizeof(u64)];
};

/**
 * struct kssl_ktls - the front's state of a connection
 * @tx: key as it was set; no cipher type: none was
 * @rx: likewise
 * @max_payload: TLS_TX_MAX_PAYLOAD_LEN
 * @zerocopy: TLS_TX_ZEROCOPY_RO, which means nothing without a device
 * @no_pad: TLS_RX_EXPECT_NO_PAD, likewise without another way to decrypt
 * @told: an error of a header was told
 */
struct kssl_ktls {
	union ktls_info tx;
	union ktls_info rx;
	u16 max_payload;
	bool zerocopy;
	bool no_pad;
	bool told;
};

/**
 * struct ktls_cipher - a cipher of linux/tls.h
 * @type: its number there
 * @suite_12: a suite of TLS 1.2 that has it, 0 if there is none
 * @suite_13: likewise of TLS 1.3
 * @iv_len: iv, first behind struct tls_crypto_info
 * @key_len: key, which follows
 * @salt_len: salt, which follows; then the record sequence number
 */
struct ktls_cipher {
	u16 type;
	u16 suite_12;
	u16 suite_13;
	u8 iv_len;
	u8 key_len;
	u8 salt_len;
};

#define CIPHER(_type, _suite_12, _suite_13) {					\
	.type = _type, .suite_12 = _suite_12, .suite_13 = _suite_13,		\
	.iv_len = _type##_IV_SIZE, .key_len = _type##_KEY_SIZE,			\
	.salt_len = _type##_SALT_SIZE,						\
}

static const struct ktls_cipher ciphers[] = {
	CIPHER(TLS_CIPHER_AES_GCM_128, 0x009c, 0x1301),
	CIPHER(TLS_CIPHER_AES_GCM_256, 0x009d, 0x1302),
	CIPHER(TLS_CIPHER_AES_CCM_128, 0xc09c, 0x1304),
	CIPHER(TLS_CIPHER_CHACHA20_POLY1305, 0xcca8, 0x1303),
	CIPHER(TLS_CIPHER_SM4_GCM, 0, 0x00c6),
	CIPHER(TLS_CIPHER_SM4_CCM, 0, 0x00c7),
	CIPHER(TLS_CIPHER_ARIA_GCM_128, 0xc050, 0),
	CIPHER(TLS_CIPHER_ARIA_GCM_256, 0xc051, 0),
};

/* The names kTLS has for errors. */
static int name_of(int ret)
{
	switch (ret) {
	case -EPROTO:
		return -EBADMSG;
	case -EPROTONOSUPPORT:
		return -EINVAL;
	case -ENOPKG:
		return -ENOENT;
	default:
		return ret;
	}
}

static struct proto prots[KSSL_FAMILIES];
static struct proto_ops ops[KSSL_FAMILIES];
/* The core's, for what is as there; of the functions taken from them one suits all families. */
static const struct proto *core_prot;
static const struct proto_ops *core_ops;

static bool has_tx(const struct kssl_sock *ctx)
{
	return READ_ONCE(ctx->tx.dir.epoch);
}

static bool has_rx(const struct kssl_sock *ctx)
{
	return READ_ONCE(ctx->rx.dir.epoch);
}

/* ---- keys ---- */

static const struct ktls_cipher *find_cipher(const struct tls_crypto_info *info)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ciphers); i++)
		if (ciphers[i].type == info->cipher_type)
			return &ciphers[i];
	return NULL;
}

static u16 suite_of(const struct ktls_cipher *c, const struct tls_crypto_info *info)
{
	switch (info->version) {
	case TLS_1_2_VERSION:
		return c->suite_12;
	case TLS_1_3_VERSION:
		return c->suite_13;
	default:
		return 0;
	}
}

/* Where the parts of the struct are. */
static u8 *iv_of(union ktls_info *info)
{
	return info->octets + sizeof(info->info);
}

static u8 *key_of(const struct ktls_cipher *c, union ktls_info *info)
{
	return iv_of(info) + c->iv_len;
}

static u8 *salt_of(const struct ktls_cipher *c, union ktls_info *info)
{
	return key_of(c, info) + c->key_len;
}

static u8 *seq_of(const struct ktls_cipher *c, union ktls_info *info)
{
	return salt_of(c, info) + c->salt_len;
}

static unsigned int len_of(const struct ktls_cipher *c)
{
	return sizeof(struct tls_crypto_info) + c->iv_len + c->key_len + c->salt_len + sizeof(u64);
}

/* Does the iv travel in the record, one further in each (RFC 5288 3)? */
static bool iv_counts(const struct ktls_cipher *c, const union ktls_info *info)
{
	return info->info.version == TLS_1_2_VERSION && c->salt_len;
}

static struct kssl_epoch *make_epoch(const struct kssl_ktls *ktls, const struct ktls_cipher *c,
				     union ktls_info *info, bool tx)
{
	struct kssl_key key = {
		.version = info->info.version,
		.suite = suite_of(c, &info->info),
		.key_len = c->key_len,
		.max_payload = tx ? ktls->max_payload : 0,
	};
	struct kssl_epoch *e;

	memcpy(key.key, key_of(c, info), c->key_len);
	memcpy(key.iv, salt_of(c, info), c->salt_len);
	key.iv_len = c->salt_len;
	if (!iv_counts(c, info)) {
		memcpy(key.iv + c->salt_len, iv_of(info), c->iv_len);
		key.iv_len += c->iv_len;
	}
	e = kssl_epoch_new(&key);
	memzero_explicit(&key, sizeof(key));
	if (!IS_ERR(e))
		e->any_type = true;
	return e;
}

/* May the key follow the one before, and be beside that of the other direction? */
static int check_info(const struct kssl_ktls *ktls, const struct tls_crypto_info *info, bool tx)
{
	const struct tls_crypto_info *before = tx ? &ktls->tx.info : &ktls->rx.info;
	const struct tls_crypto_info *other = tx ? &ktls->rx.info : &ktls->tx.info;

	if (before->cipher_type && before->version != TLS_1_3_VERSION)
		return -EBUSY;
	if (before->cipher_type && memcmp(before, info, sizeof(*info)))
		return -EINVAL;
	if (other->cipher_type && memcmp(other, info, sizeof(*info)))
		return -EINVAL;
	return 0;
}

/* A key that is not the first finds the direction ours already. */
static int begin(struct kssl_sock *ctx, bool tx)
{
	const struct kssl_dir *dir = tx ? &ctx->tx.dir : &ctx->rx.dir;
	struct sock *sk = ctx->sk;

	if (dir->epoch && dir->err)
		return -dir->err;
	if (dir->epoch)
		return tx ? kssl_tx_seal_open(ctx) : 0;
	/* A writer that sleeps inside TCP would go on in clear text. */
	if (tx && sk->sk_write_pending)
		return -EBUSY;
	write_lock_bh(&sk->sk_callback_lock);
	if (tx)
		kssl_tx_begin(ctx);
	else
		kssl_rx_begin(ctx);
	write_unlock_bh(&sk->sk_callback_lock);
	return 0;
}

static void install(struct kssl_sock *ctx, const struct ktls_cipher *c, union ktls_info *info,
		    struct kssl_epoch *e, bool tx)
{
	struct kssl_dir *dir = tx ? &ctx->tx.dir : &ctx->rx.dir;
	u64 seq = get_unaligned_be64(seq_of(c, info));

	if (tx)
		kssl_tx_set_key(ctx, e, seq,
				iv_counts(c, info) ? get_unaligned_be64(iv_of(info)) : 0);
	else
		kssl_rx_set_key(ctx, e, seq);
	dir->used = 0;
	dir->soft = U64_MAX;
	dir->hard = U64_MAX;
	*(tx ? &ctx->ktls->tx : &ctx->ktls->rx) = *info;
}

static int copy_info(union ktls_info *info, const struct ktls_cipher **c, sockptr_t optval,
		     unsigned int optlen)
{
	if (copy_from_sockptr(&info->info, optval, sizeof(info->info)))
		return -EFAULT;
	*c = find_cipher(&info->info);
	if (!*c || !suite_of(*c, &info->info) || optlen != len_of(*c))
		return -EINVAL;
	if (copy_from_sockptr_offset(iv_of(info), optval, sizeof(info->info),
				     optlen - sizeof(info->info)))
		return -EFAULT;
	return 0;
}

/* TLS_TX, TLS_RX. */
static int set_info(struct sock *sk, bool tx, sockptr_t optval, unsigned int optlen)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	const struct ktls_cipher *c;
	union ktls_info info = {};
	struct kssl_epoch *e;
	int ret;

	BUILD_BUG_ON(sizeof(info) < sizeof(struct tls12_crypto_info_aes_gcm_256));
	if (sockptr_is_null(optval) || optlen < sizeof(info.info))
		return -EINVAL;
	ret = copy_info(&info, &c, optval, optlen);
	if (mutex_lock_killable(&ctx->tx.lock)) {
		memzero_explicit(&info, sizeof(info));
		return -EINTR;
	}
	/* What is busy is so whatever is set. */
	lock_sock(sk);
	if (check_info(ctx->ktls, &info.info, tx) == -EBUSY)
		ret = -EBUSY;
	else if (!ret)
		ret = check_info(ctx->ktls, &info.info, tx);
	release_sock(sk);
	/* Keys change under tx.lock only, so what was checked stays. */
	e = ret ? ERR_PTR(ret) : make_epoch(ctx->ktls, c, &info, tx);
	ret = PTR_ERR_OR_ZERO(e);
	if (ret)
		goto out;

	lock_sock(sk);
	ret = begin(ctx, tx);
	if (ret)
		kssl_epoch_put(e);
	else
		install(ctx, c, &info, e, tx);
	if (!ret && tx)
		kssl_tx_push(ctx, 0);
	kssl_sock_wake(ctx);
	release_sock(sk);
out:
	kssl_tx_leave(ctx);
	memzero_explicit(&info, sizeof(info));
	return name_of(ret);
}

/* How things stand now, as one who goes on with the key elsewhere needs it. */
static void fill_info(struct kssl_sock *ctx, const struct ktls_cipher *c, union ktls_info *info,
		      bool tx)
{
	const struct kssl_dir *dir = tx ? &ctx->tx.dir : &ctx->rx.dir;
	/* A writer that has tx.lock only may be at it. */
	u64 seq = READ_ONCE(dir->seq);
	u64 since = seq - get_unaligned_be64(seq_of(c, info));

	if (iv_counts(c, info))
		put_unaligned_be64(get_unaligned_be64(iv_of(info)) + since, iv_of(info));
	put_unaligned_be64(seq, seq_of(c, info));
}

static int get_info(struct sock *sk, bool tx, char __user *optval, int len)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	const struct ktls_cipher *c;
	union ktls_info info;
	int ret = 0;

	if (!optval || len < (int)sizeof(info.info))
		return -EINVAL;
	lock_sock(sk);
	info = tx ? ctx->ktls->tx : ctx->ktls->rx;
	c = find_cipher(&info.info);
	if (c)
		fill_info(ctx, c, &info, tx);
	release_sock(sk);
	if (!c)
		ret = -EBUSY;
	else if (len != sizeof(info.info) && len != len_of(c))
		ret = -EINVAL;
	else if (copy_to_user(optval, &info, len))
		ret = -EFAULT;
	memzero_explicit(&info, sizeof(info));
	return ret;
}

/* ---- the other options ---- */

static u16 version_of(const struct kssl_ktls *ktls)
{
	return ktls->tx.info.version ? : ktls->rx.info.version;
}

static int set_zerocopy(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	u32 value;

	if (sockptr_is_null(optval) || optlen != sizeof(value))
		return -EINVAL;
	if (copy_from_sockptr(&value, optval, sizeof(value)))
		return -EFAULT;
	if (value > 1)
		return -EINVAL;
	lock_sock(sk);
	kssl_sock_of(sk)->ktls->zerocopy = value;
	release_sock(sk);
	return 0;
}

static int set_no_pad(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	u32 value;
	int ret;

	if (sockptr_is_null(optval) || optlen < sizeof(value))
		return -EINVAL;
	if (copy_from_sockptr(&value, optval, sizeof(value)))
		return -EFAULT;
	ret = check_zeroed_sockptr(optval, sizeof(value), optlen - sizeof(value));
	if (value > 1 || ret < 1)
		return ret < 0 ? ret : -EINVAL;
	lock_sock(sk);
	if (ctx->ktls->rx.info.version == TLS_1_3_VERSION)
		ctx->ktls->no_pad = value;
	else
		ret = -EINVAL;
	release_sock(sk);
	return min(ret, 0);
}

static int set_max_payload(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	int ret = 0;
	u16 value;

	if (sockptr_is_null(optval) || optlen != sizeof(value))
		return -EINVAL;
	if (copy_from_sockptr(&value, optval, sizeof(value)))
		return -EFAULT;
	if (mutex_lock_killable(&ctx->tx.lock))
		return -EINTR;
	lock_sock(sk);
	if (ctx->tx.open)
		ret = -EBUSY;
	else if (value > KSSL_MAX_PAYLOAD ||
		 value < (version_of(ctx->ktls) == TLS_1_3_VERSION ? KTLS_PAYLOAD_MIN_13 :
			  KTLS_PAYLOAD_MIN_12))
		ret = -EINVAL;
	else
		ctx->ktls->max_payload = value;
	if (!ret && ctx->tx.dir.epoch)
		ctx->tx.dir.epoch->max_payload = value;
	release_sock(sk);
	kssl_tx_leave(ctx);
	return ret;
}

static int ktls_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
			   unsigned int optlen)
{
	if (level == SOL_KSSL)
		return -ENOPROTOOPT;
	if (level != SOL_TLS)
		return kssl_sockopt_set(sk, level, optname, optval, optlen);
	switch (optname) {
	case TLS_TX:
	case TLS_RX:
		return set_info(sk, optname == TLS_TX, optval, optlen);
	case TLS_TX_ZEROCOPY_RO:
		return set_zerocopy(sk, optval, optlen);
	case TLS_RX_EXPECT_NO_PAD:
		return set_no_pad(sk, optval, optlen);
	case TLS_TX_MAX_PAYLOAD_LEN:
		return set_max_payload(sk, optval, optlen);
	default:
		return -ENOPROTOOPT;
	}
}

static int give(const void *value, int size, char __user *optval, int __user *optlen)
{
	return put_user(size, optlen) || copy_to_user(optval, value, size) ? -EFAULT : 0;
}

static int get_other(struct sock *sk, int optname, char __user *optval, int __user *optlen,
		     int len)
{
	struct kssl_ktls *ktls = kssl_sock_of(sk)->ktls;
	u16 max_payload, version;
	u32 zerocopy, no_pad;

	lock_sock(sk);
	version = ktls->rx.info.version;
	max_payload = ktls->max_payload;
	zerocopy = ktls->zerocopy;
	no_pad = ktls->no_pad;
	release_sock(sk);

	switch (optname) {
	case TLS_TX_ZEROCOPY_RO:
		return len == sizeof(zerocopy) ?
		       give(&zerocopy, sizeof(zerocopy), optval, optlen) : -EINVAL;
	case TLS_RX_EXPECT_NO_PAD:
		return version == TLS_1_3_VERSION && len >= (int)sizeof(no_pad) ?
		       give(&no_pad, sizeof(no_pad), optval, optlen) : -EINVAL;
	case TLS_TX_MAX_PAYLOAD_LEN:
		return len == sizeof(max_payload) ?
		       give(&max_payload, sizeof(max_payload), optval, optlen) : -EINVAL;
	default:
		return -ENOPROTOOPT;
	}
}

static int ktls_getsockopt(struct sock *sk, int level, int optname, char __user *optval,
			   int __user *optlen)
{
	int len;

	/* Of the core's own what only tells; a helper would be one too many. */
	if (level == SOL_KSSL && optname != KSSL_STATUS && optname != KSSL_ERROR &&
	    optname != KSSL_SUITES)
		return -ENOPROTOOPT;
	if (level != SOL_TLS)
		return kssl_sockopt_get(sk, level, optname, optval, optlen);
	if (get_user(len, optlen))
		return -EFAULT;
	if (optname == TLS_TX || optname == TLS_RX)
		return get_info(sk, optname == TLS_TX, optval, len);
	return get_other(sk, optname, optval, optlen, len);
}

/* ---- data ---- */

/**
 * kssl_ktls_read_cmsg() - the content type that sendmsg() names
 * @msg: message with control messages
 * @type: (out) content type
 *
 * Context: Any.
 * Return: 0, or %-EINVAL if none of them names one, or it makes no sense.
 */
int kssl_ktls_read_cmsg(struct msghdr *msg, u8 *type)
{
	struct cmsghdr *cmsg;
	int ret = -EINVAL;

	for_each_cmsghdr(cmsg, msg) {
		if (!CMSG_OK(msg, cmsg))
			return -EINVAL;
		if (cmsg->cmsg_level != SOL_TLS)
			continue;
		if (cmsg->cmsg_type != TLS_SET_RECORD_TYPE ||
		    cmsg->cmsg_len < CMSG_LEN(sizeof(*type)) || (msg->msg_flags & MSG_MORE))
			return -EINVAL;
		*type = *(u8 *)CMSG_DATA(cmsg);
		ret = 0;
	}
	return ret;
}

static int ktls_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	int ret;

	if (!has_tx(ctx)) {
		/* Who waits for the lock while the key comes must not go on in clear text. */
		lock_sock(sk);
		if (!has_tx(ctx)) {
			ret = ctx->tx.dir.err ? -ctx->tx.dir.err :
			      tcp_sendmsg_locked(sk, msg, size);
			release_sock(sk);
			return ret;
		}
		release_sock(sk);
	}
	return kssl_tx_sendmsg(sk, msg, size);
}

static void ktls_splice_eof(struct socket *sock)
{
	struct kssl_sock *ctx = kssl_sock_of(sock->sk);

	if (has_tx(ctx))
		kssl_tx_splice_eof(sock);
	else if (ctx->base->prot->splice_eof)
		ctx->base->prot->splice_eof(sock);
}

/* Will nothing more come? */
static bool is_over(const struct kssl_sock *ctx)
{
	return READ_ONCE(ctx->sk->sk_shutdown) & RCV_SHUTDOWN;
}

/* What is wrong with a header is told only once, as long as something may come. */
static int translate(struct kssl_sock *ctx, int ret, bool nonblock)
{
	if ((ret == -EMSGSIZE || ret == -EPROTONOSUPPORT) &&
	    xchg(&ctx->ktls->told, true) && nonblock && !is_over(ctx))
		return -EAGAIN;
	return name_of(ret);
}

/**
 * kssl_ktls_recvmsg() - proto.recvmsg of the front
 * @sk: socket
 * @msg: where to
 * @len: bytes wanted
 * @flags: MSG_*
 *
 * Context: Process context, may sleep.
 * Return: bytes, or -errno as TCP or kssl_rx_recvmsg() give it, in the words of kTLS.
 */
int kssl_ktls_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	if (!has_rx(ctx) && ctx->rx.dir.err)
		return -ctx->rx.dir.err;
	/* Who sleeps in there when the key comes gets what TCP has, as with tls.ko. */
	if (!has_rx(ctx) || (flags & MSG_ERRQUEUE))
		return kssl_compat_base_recvmsg(ctx->base->prot, sk, msg, len, flags);
	return translate(ctx, kssl_rx_recvmsg(sk, msg, len, flags), flags & MSG_DONTWAIT);
}

static ssize_t ktls_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
				size_t len, unsigned int flags)
{
	struct kssl_sock *ctx = kssl_sock_of(sock->sk);

	if (!has_rx(ctx) && ctx->rx.dir.err)
		return -ctx->rx.dir.err;
	if (!has_rx(ctx))
		return ctx->base->ops->splice_read(sock, ppos, pipe, len, flags);
	return translate(ctx, kssl_rx_splice_read(sock, ppos, pipe, len, flags), false);
}

/* Reads that do not wait are EAGAIN from here on, as if something were to come. */
static bool has_told_all(struct kssl_sock *ctx)
{
	return READ_ONCE(ctx->ktls->told) && skb_queue_empty_lockless(&ctx->rx.queue) &&
	       !is_over(ctx);
}

static __poll_t ktls_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	const __poll_t out = EPOLLOUT | EPOLLWRNORM;
	struct kssl_sock *ctx = kssl_sock_of(sock->sk);
	bool tx = has_tx(ctx), rx = has_rx(ctx);
	__poll_t base = 0, ours = 0;

	if (!tx || !rx)
		base = ctx->base->ops->poll(file, sock, wait);
	/* Where both look, it is waited for already. */
	if (tx || rx)
		ours = core_ops->poll(file, sock, tx && rx ? wait : NULL);
	if (rx && !skb_queue_empty_lockless(&sock->sk->sk_error_queue))
		ours |= EPOLLERR;
	if (rx && has_told_all(ctx))
		ours &= ~(EPOLLIN | EPOLLRDNORM);
	return ((tx ? ours : base) & out) | ((rx ? ours : base) & ~out);
}

static int ktls_ioctl(struct sock *sk, int cmd, KSSL_COMPAT_PROTO_IOCTL_ARG arg)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	if (cmd == SIOCINQ && !has_rx(ctx))
		return ctx->base->prot->ioctl(sk, cmd, arg);
	return core_prot->ioctl(sk, cmd, arg);
}

static int ktls_set_rcvlowat(struct sock *sk, int val)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);

	return (has_rx(ctx) ? core_ops : ctx->base->ops)->set_rcvlowat(sk, val);
}

static int ktls_peek_len(struct socket *sock)
{
	struct kssl_sock *ctx = kssl_sock_of(sock->sk);

	return (has_rx(ctx) ? core_ops : ctx->base->ops)->peek_len(sock);
}

/* ---- attach ---- */

/**
 * kssl_ktls_tables() - make the front's tables
 * @family: of tables
 * @prot: the core's
 * @core: likewise
 *
 * Context: Process context. Nobody has a socket of the family yet.
 */
void kssl_ktls_tables(unsigned int family, const struct proto *prot, const struct proto_ops *core)
{
	struct proto *p = &prots[family];
	struct proto_ops *o = &ops[family];

	core_prot = prot;
	core_ops = core;

	*p = *prot;
	p->sendmsg = ktls_sendmsg;
	p->recvmsg = kssl_compat_ktls_recvmsg;
	p->splice_eof = ktls_splice_eof;
	p->setsockopt = ktls_setsockopt;
	p->getsockopt = ktls_getsockopt;
	p->ioctl = ktls_ioctl;

	*o = *core;
	o->connect = kssl_sock_base(family)->ops->connect;
	o->poll = ktls_poll;
	o->splice_read = ktls_splice_read;
	o->set_rcvlowat = ktls_set_rcvlowat;
	o->peek_len = ktls_peek_len;
}

/**
 * kssl_ktls_is_table() - is it one of the front's?
 * @prot: protocol of a socket
 *
 * Context: Any.
 */
bool kssl_ktls_is_table(const struct proto *prot)
{
	return prot >= prots && prot < prots + KSSL_FAMILIES;
}

/* TCP_ULP "tls", under the socket lock. */
static int ktls_init(struct sock *sk)
{
	struct kssl_ktls *ktls;
	int family;

	if (sk->sk_state != TCP_ESTABLISHED)
		return -ENOTCONN;
	family = kssl_sock_family(sk);
	if (family < 0)
		return family;
	ktls = kzalloc(sizeof(*ktls), GFP_KERNEL_ACCOUNT);
	if (!ktls)
		return -ENOMEM;
	ktls->max_payload = KSSL_MAX_PAYLOAD;
	return kssl_sock_attach_ktls(sk, family, &(struct kssl_base) {
		.prot = &prots[family], .ops = &ops[family],
	}, ktls);
}

/**
 * kssl_ktls_free() - free the front's state, keys and all
 * @ktls: state of a connection, or NULL
 */
void kssl_ktls_free(struct kssl_ktls *ktls)
{
	kfree_sensitive(ktls);
}

/* ---- ss(8) ---- */

static u16 conf_of(const union ktls_info *info)
{
	return info->info.cipher_type ? TLS_CONF_SW : TLS_CONF_BASE;
}

/**
 * kssl_ktls_fill_info() - what ss prints of kTLS
 * @ctx: connection of the front
 * @skb: (out) message
 *
 * Context: Caller holds the socket's spinlock.
 */
void kssl_ktls_fill_info(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_ktls *ktls = ctx->ktls;
	const struct tls_crypto_info *info = ktls->tx.info.version ? &ktls->tx.info :
					     &ktls->rx.info;
	struct nlattr *nest = nla_nest_start_noflag(skb, INET_ULP_INFO_TLS);

	if (!nest)
		return;
	if ((info->version && nla_put_u16(skb, TLS_INFO_VERSION, info->version)) ||
	    (info->version && nla_put_u16(skb, TLS_INFO_CIPHER, info->cipher_type)) ||
	    nla_put_u16(skb, TLS_INFO_TXCONF, conf_of(&ktls->tx)) ||
	    nla_put_u16(skb, TLS_INFO_RXCONF, conf_of(&ktls->rx)) ||
	    (ktls->no_pad && nla_put_flag(skb, TLS_INFO_RX_NO_PAD)) ||
	    nla_put_u16(skb, TLS_INFO_TX_MAX_PAYLOAD_LEN, ktls->max_payload))
		nla_nest_cancel(skb, nest);
	else
		nla_nest_end(skb, nest);
}

/* ---- beside tls.ko ---- */

/* Whether the name is ours; the lock is held while that is found out. */
static bool is_registered;
static DEFINE_MUTEX(register_lock);

/* It was on its way already when we registered: then it must not go. */
static void keep_tls(struct module *module)
{
	mutex_lock(&register_lock);
	if (is_registered) {
		__module_get(module);
		pr_warn("kssl: tls.ko came at the same time and stays, without effect\n");
	}
	mutex_unlock(&register_lock);
}

/*
 * tls.ko does not look whether its name is taken, and takes what is not in the list of
 * ULPs out of it when it goes.  So it must not come.
 */
static int refuse_tls(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *module = data;

	if (strcmp(module->name, "tls"))
		return NOTIFY_DONE;
	if (action == MODULE_STATE_LIVE)
		keep_tls(module);
	if (action != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	pr_notice("kssl: tls.ko is kept out, for kssl was loaded with ktls=1 and is in its place\n");
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block module_notifier = { .notifier_call = refuse_tls };

static struct tcp_ulp_ops ulp_ops = {
	.name		= KTLS_NAME,
	.owner		= THIS_MODULE,
	.init		= ktls_init,
	.release	= kssl_ulp_release,
	.get_info	= kssl_compat_get_info,
	.get_info_size	= kssl_compat_get_info_size,
};

/**
 * kssl_ktls_register() - offer the front, if the module was loaded for it
 *
 * Context: Process context.
 * Return: 0, or %-EBUSY beside tls.ko: modprobe takes %-EEXIST for success.
 */
int kssl_ktls_register(void)
{
	int ret;

	if (!kssl_ktls)
		return 0;
	ret = register_module_notifier(&module_notifier);
	if (ret)
		return ret;
	mutex_lock(&register_lock);
	ret = tcp_register_ulp(&ulp_ops);
	is_registered = !ret;
	mutex_unlock(&register_lock);
	if (!ret)
		return 0;
	unregister_module_notifier(&module_notifier);
	if (ret != -EEXIST)
		return ret;
	pr_err("kssl: with ktls=1 kssl is in place of the kernel's own TLS, which is loaded: unload it first (rmmod tls)\n");
	return -EBUSY;
}

/**
 * kssl_ktls_unregister() - no more sockets; those attached hold the module
 *
 * Context: Process context.
 */
void kssl_ktls_unregister(void)
{
	if (!kssl_ktls)
		return;
	mutex_lock(&register_lock);
	tcp_unregister_ulp(&ulp_ops);
	is_registered = false;
	mutex_unlock(&register_lock);
	unregister_module_notifier(&module_notifier);
}
