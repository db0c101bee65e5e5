// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options: copy in, check, hand on.  Keys go in and never come out.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "kssl.h"

/**
 * kssl_sockopt_copy() - copy a struct that starts with its size
 * @to: (out) the struct
 * @known: its size as we know it
 * @from: from where
 * @len: what the caller says it has
 *
 * Longer than known is fine if the rest is zero, shorter means the rest is zero.
 *
 * Context: Process context, may sleep.
 * Return: 0, %-EINVAL, %-E2BIG or %-EFAULT.
 */
int kssl_sockopt_copy(void *to, size_t known, sockptr_t from, unsigned int len)
{
	u32 size;
	unsigned int i;

	if (len < sizeof(size))
		return -EINVAL;
	if (copy_from_sockptr(&size, from, sizeof(size)))
		return -EFAULT;
	if (size != len)
		return -EINVAL;
	for (i = known; i < len; i++) {
		u8 octet;

		if (i >= PAGE_SIZE)
			return -E2BIG;
		if (copy_from_sockptr_offset(&octet, from, i, 1))
			return -EFAULT;
		if (octet)
			return -E2BIG;
	}
	memset(to, 0, known);
	return copy_from_sockptr(to, from, min_t(size_t, known, len)) ? -EFAULT : 0;
}

/* KSSL_TX_KEY, KSSL_RX_KEY on an unattended socket. */
static int set_key(struct sock *sk, bool tx, sockptr_t optval, unsigned int optlen)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct kssl_dir *dir = tx ? &ctx->tx.dir : &ctx->rx.dir;
	struct kssl_epoch *e;
	struct kssl_key key;
	u64 seq, nonce;
	int ret;

	ret = kssl_sockopt_copy(&key, sizeof(key), optval, optlen);
	e = ret ? ERR_PTR(ret) : kssl_epoch_new(&key);
	seq = key.seq;
	nonce = key.nonce;
	memzero_explicit(&key, sizeof(key));
	if (IS_ERR(e))
		return PTR_ERR(e);

	if (mutex_lock_interruptible(&ctx->tx.lock)) {
		kssl_epoch_put(e);
		return -EINTR;
	}
	lock_sock(sk);
	if (ctx->had_helper)
		ret = -EBUSY;
	else if (dir->err)
		ret = -dir->err;
	else if (dir->closed)
		ret = -EPIPE;
	else if ((dir->epoch && dir->epoch->ver != e->ver) ||
		 (ctx->etm && kssl_epoch_is_mte(e)))
		ret = -EINVAL;
	else if (tx)
		ret = kssl_tx_seal_open(ctx);
	if (ret) {
		kssl_epoch_put(e);
	} else if (tx) {
		kssl_tx_set_key(ctx, e, seq, nonce);
		kssl_tx_push(ctx, 0);
	} else {
		kssl_rx_set_key(ctx, e, seq);
	}
	kssl_sock_wake(ctx);
	release_sock(sk);
	kssl_tx_leave(ctx);
	return ret;
}

/**
 * kssl_sockopt_policy() - set a policy that was checked
 * @ctx: connection the caller has a reference on
 * @policy: what it shall be
 *
 * Context: Process context, may sleep. Takes tx.lock and the socket lock.
 * Return: 0, %-EINTR, or %-ENOTCONN once the socket is closed.
 */
int kssl_sockopt_policy(struct kssl_sock *ctx, const struct kssl_policy *policy)
{
	struct sock *sk;

	/* A record may just be sealed under the limits as they are. */
	if (mutex_lock_interruptible(&ctx->tx.lock))
		return -EINTR;
	sk = kssl_control_lock(ctx);
	if (!sk) {
		mutex_unlock(&ctx->tx.lock);
		return -ENOTCONN;
	}
	kssl_policy_set(ctx, policy);
	kssl_rx_pump(ctx, 1);
	kssl_sock_wake(ctx);
	mutex_unlock(&ctx->tx.lock);
	if (ctx->tx.alert != KSSL_ALERT_NONE || ctx->tx.due)
		kssl_sock_later(ctx, &ctx->tx.work, 0);
	kssl_control_unlock(sk);
	return 0;
}

static int set_policy(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct kssl_policy policy;
	int ret = kssl_sockopt_copy(&policy, sizeof(policy), optval, optlen);

	if (!ret)
		ret = kssl_policy_check(&policy);
	return ret ? ret : kssl_sockopt_policy(kssl_sock_of(sk), &policy);
}

static int set_handshake(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct kssl_handshake h;
	int ret = kssl_sockopt_copy(&h, sizeof(h), optval, optlen);

	return ret ? ret : kssl_handshake_set(sk, &h);
}

static int set_exporter(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	struct kssl_exporter wants;
	int ret = kssl_sockopt_copy(&wants, sizeof(wants), optval, optlen);

	return ret ? ret : kssl_request_export(sk, &wants);
}

static int set_renegotiate(struct sock *sk, sockptr_t optval, unsigned int optlen)
{
	int how;

	if (optlen != sizeof(how))
		return -EINVAL;
	if (copy_from_sockptr(&how, optval, sizeof(how)))
		return -EFAULT;
	return kssl_request_set(sk, how);
}

/**
 * kssl_sockopt_refused() - would it let bytes pass the record layer, or move TCP under it?
 * @level: of a socket option
 * @optname: of a socket option
 *
 * Context: Any.
 */
bool kssl_sockopt_refused(int level, int optname)
{
	if (level != SOL_TCP)
		return false;
	switch (optname) {
	case TCP_REPAIR:
	case TCP_REPAIR_QUEUE:
	case TCP_QUEUE_SEQ:
	case TCP_REPAIR_OPTIONS:
	case TCP_REPAIR_WINDOW:
	case TCP_ZEROCOPY_RECEIVE:
		return true;
	default:
		return false;
	}
}

/**
 * kssl_sockopt_set() - proto.setsockopt
 * @sk: socket
 * @level: SOL_KSSL, or what goes to TCP
 * @optname: KSSL_TX_KEY, KSSL_RX_KEY, KSSL_POLICY, KSSL_RENEGOTIATE, KSSL_HANDSHAKE,
 *	KSSL_EXPORTER
 * @optval: value
 * @optlen: its length
 *
 * Context: Process context, may sleep.
 * Return: 0, or
 * * %-EBUSY - the socket is, or was, attended by a helper
 * * %-EINVAL, %-E2BIG, %-EFAULT - malformed; another version than before;
 *   MAC-then-encrypt after encrypt-then-MAC (RFC 7366 3.1)
 * * %-EOPNOTSUPP, %-ENOPKG - suite unknown to this module, to this kernel; an
 *   option of TCP that would lead around the record layer
 * * %-ENOPROTOOPT - no such option
 * * %-EPIPE - the direction is closed; or its sticky error
 * * %-EINTR - a signal came
 * * KSSL_RENEGOTIATE: see kssl_request_set(); KSSL_HANDSHAKE: kssl_handshake_set();
 *   KSSL_EXPORTER: kssl_request_export()
 */
int kssl_sockopt_set(struct sock *sk, int level, int optname, sockptr_t optval,
		     unsigned int optlen)
{
	if (kssl_sockopt_refused(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KSSL)
		return kssl_sock_of(sk)->base->prot->setsockopt(sk, level, optname, optval,
								optlen);
	switch (optname) {
	case KSSL_TX_KEY:
		return set_key(sk, true, optval, optlen);
	case KSSL_RX_KEY:
		return set_key(sk, false, optval, optlen);
	case KSSL_POLICY:
		return set_policy(sk, optval, optlen);
	case KSSL_RENEGOTIATE:
		return set_renegotiate(sk, optval, optlen);
	case KSSL_HANDSHAKE:
		return set_handshake(sk, optval, optlen);
	case KSSL_EXPORTER:
		return set_exporter(sk, optval, optlen);
	default:
		return -ENOPROTOOPT;
	}
}

static u8 state_of(const struct kssl_dir *dir, bool held)
{
	if (dir->err)
		return KSSL_STATE_FAILED;
	if (dir->closed)
		return KSSL_STATE_CLOSED;
	if (dir->plain)
		return KSSL_STATE_PLAIN;
	if (!dir->epoch)
		return KSSL_STATE_NONE;
	return held ? KSSL_STATE_HELD : KSSL_STATE_ACTIVE;
}

static void fill_dir(const struct kssl_dir *dir, bool held, struct kssl_dir_status *to)
{
	if (dir->epoch) {
		to->version = dir->epoch->ver->wire;
		to->suite = dir->epoch->suite->id;
		to->flags = dir->epoch->flags;
		to->max_payload = dir->epoch->max_payload;
	}
	to->state = state_of(dir, held);
	to->epoch = dir->epochs;
	to->seq = dir->seq;
	to->records = dir->records;
	to->bytes = dir->bytes;
}

/* Of the next byte to read. */
static u32 next_identity(const struct kssl_rx *rx)
{
	struct sk_buff *skb = skb_peek(&rx->queue);

	return skb ? kssl_rx_cb(skb)->identity : rx->identity;
}

/**
 * kssl_status_fill() - KSSL_STATUS
 * @ctx: connection
 * @status: (out) filled in
 *
 * Context: Caller holds the socket lock.
 */
void kssl_status_fill(struct kssl_sock *ctx, struct kssl_status *status)
{
	*status = (struct kssl_status) {
		.attended = ctx->attended && !READ_ONCE(ctx->waiting),
		.established = ctx->rx.established,
		.handshakes = ctx->handshakes,
		.holds = ctx->holds,
		.hold_last_ns = ctx->hold_last_ns,
		.hold_max_ns = ctx->hold_max_ns,
		.orphan = ctx->orphan,
		.waits = kssl_policy_waits(ctx),
		.identity = next_identity(&ctx->rx),
		.key_updates_sent = ctx->updates_sent,
		.key_updates_received = ctx->updates_received,
	};
	fill_dir(&ctx->tx.dir, ctx->tx.hold, &status->tx);
	fill_dir(&ctx->rx.dir, ctx->rx.held || ctx->rx.need_key, &status->rx);
}

/* Give a struct that starts with its size, as much of it as the caller knows. */
static int give_sized(void *from, u32 known, char __user *optval, int __user *optlen, int len)
{
	u32 size = min_t(u32, known, len);

	memcpy(from, &size, sizeof(size));
	if (len < (int)sizeof(size))
		return -EINVAL;
	if (put_user(size, optlen) || copy_to_user(optval, from, size))
		return -EFAULT;
	return 0;
}

static int get_suites(char __user *optval, int __user *optlen, int len)
{
	unsigned int i, used = 0;
	int ret;

	for (i = 0; i < kssl_suites_count; i++) {
		const struct kssl_suite *suite = &kssl_suites[i];
		struct kssl_suite_info info = {
			.suite = suite->id,
			.version = suite->version,
			.key_len = suite->cipher->key_len,
			.iv_len = kssl_suite_iv_len(suite),
			.mac_key_len = kssl_suite_mac_key_len(suite),
			.tag_len = suite->cipher->tag_len,
		};

		if (len && used + sizeof(info) > len)
			break;
		if (kssl_suite_is_locked(suite))
			continue;
		ret = kssl_crypt_has(suite->cipher);
		if (ret == -ENOPKG)
			continue;
		if (ret)
			return ret;
		if (len && copy_to_user(optval + used, &info, sizeof(info)))
			return -EFAULT;
		used += sizeof(info);
	}
	return put_user(used, optlen);
}

static int give_int(int value, char __user *optval, int __user *optlen, int len)
{
	if (len < (int)sizeof(value))
		return -EINVAL;
	if (put_user((int)sizeof(value), optlen) || put_user(value, (int __user *)optval))
		return -EFAULT;
	return 0;
}

static int get_handshake(struct kssl_sock *ctx, char __user *optval, int __user *optlen, int len)
{
	int err;

	lock_sock(ctx->sk);
	err = -kssl_handshake_get(ctx);
	release_sock(ctx->sk);
	return give_int(err, optval, optlen, len);
}

static int get_session(struct kssl_sock *ctx, char __user *optval, int __user *optlen, int len)
{
	struct kssl_session session;
	int ret;

	lock_sock(ctx->sk);
	ret = kssl_session_fill(ctx, &session);
	release_sock(ctx->sk);
	return ret ? ret : give_sized(&session, sizeof(session), optval, optlen, len);
}

static int get_chain(struct kssl_sock *ctx, char __user *optval, int __user *optlen, int len)
{
	u8 *copy = NULL;
	u32 chain_len;
	int ret = 0;

	lock_sock(ctx->sk);
	chain_len = ctx->chain_len;
	if (!chain_len)
		ret = -ENODATA;
	else if (chain_len > len)
		ret = -EMSGSIZE;
	else
		copy = kvmalloc(chain_len, GFP_KERNEL);
	if (copy)
		memcpy(copy, ctx->chain, chain_len);
	release_sock(ctx->sk);
	if (ret || !copy)
		return ret ? ret : -ENOMEM;
	if (put_user((int)chain_len, optlen) || copy_to_user(optval, copy, chain_len))
		ret = -EFAULT;
	kvfree(copy);
	return ret;
}

/* Given once. */
static int get_exporter(struct kssl_sock *ctx, char __user *optval, int __user *optlen, int len)
{
	struct kssl_export *export = NULL;
	int ret = -ENODATA;

	lock_sock(ctx->sk);
	if (ctx->export && ctx->export->len)
		ret = ctx->export->len <= len ? 0 : -EMSGSIZE;
	if (!ret)
		swap(ctx->export, export);
	release_sock(ctx->sk);
	if (ret)
		return ret;
	if (put_user((int)export->len, optlen) ||
	    copy_to_user(optval, export->bytes, export->len)) {
		ret = -EFAULT;
		lock_sock(ctx->sk);
		if (!ctx->export)
			swap(ctx->export, export);
		release_sock(ctx->sk);
	}
	kfree_sensitive(export);
	return ret;
}

/**
 * kssl_sockopt_get_armed() - getsockopt(SOL_KSSL) before there is a connection
 * @optname: KSSL_SUITES, KSSL_STATUS, KSSL_ERROR, KSSL_POLICY, KSSL_HANDSHAKE
 * @policy: as it was set
 * @optval: (out) value
 * @optlen: (in, out) its length
 *
 * Context: Process context, may sleep.
 * Return: 0, %-ENOTCONN for what only a connection has, %-ENOPROTOOPT, %-EINVAL, %-EFAULT.
 */
int kssl_sockopt_get_armed(int optname, const struct kssl_policy *policy, char __user *optval,
			   int __user *optlen)
{
	struct kssl_policy asked_policy = *policy;
	struct kssl_status status = {};
	struct kssl_error error = {};
	int len;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	switch (optname) {
	case KSSL_SUITES:
		return get_suites(optval, optlen, len);
	case KSSL_STATUS:
		return give_sized(&status, sizeof(status), optval, optlen, len);
	case KSSL_ERROR:
		return give_sized(&error, sizeof(error), optval, optlen, len);
	case KSSL_POLICY:
		return give_sized(&asked_policy, sizeof(asked_policy), optval, optlen, len);
	case KSSL_HANDSHAKE:
		return give_int(ENOTCONN, optval, optlen, len);
	case KSSL_CONTROL:
	case KSSL_RENEGOTIATE:
	case KSSL_SESSION:
	case KSSL_PEER_CHAIN:
	case KSSL_EXPORTER:
		return -ENOTCONN;
	default:
		return -ENOPROTOOPT;
	}
}

static int get_renegotiate(struct kssl_sock *ctx, char __user *optval, int __user *optlen,
			   int len)
{
	int err;

	lock_sock(ctx->sk);
	err = ctx->request == EINPROGRESS && ctx->error.err ? ctx->error.err : ctx->request;
	release_sock(ctx->sk);
	return give_int(err, optval, optlen, len);
}

static int get_control(struct sock *sk, char __user *optval, int __user *optlen, int len)
{
	int fd;

	if (len < (int)sizeof(fd))
		return -EINVAL;
	/* Room for the answer is proved before there is anything to lose. */
	if (put_user((int)sizeof(fd), optlen) || clear_user(optval, sizeof(fd)))
		return -EFAULT;
	fd = kssl_control_open(sk);
	if (fd < 0)
		return fd;
	return put_user(fd, (int __user *)optval);
}

/**
 * kssl_sockopt_get() - proto.getsockopt
 * @sk: socket
 * @level: SOL_KSSL, or what goes to TCP
 * @optname: KSSL_CONTROL, KSSL_STATUS, KSSL_ERROR, KSSL_SUITES, KSSL_POLICY,
 *	KSSL_RENEGOTIATE, KSSL_HANDSHAKE, KSSL_SESSION, KSSL_PEER_CHAIN, KSSL_EXPORTER
 * @optval: (out) value
 * @optlen: (in, out) its length
 *
 * Context: Process context, may sleep.
 * Return: 0, or
 * * %-EBUSY - KSSL_CONTROL: given out before, or keys were set
 * * %-EINVAL, %-EFAULT - too little room
 * * %-ENODATA - KSSL_SESSION, KSSL_PEER_CHAIN, KSSL_EXPORTER: there is none
 * * %-EMSGSIZE - KSSL_PEER_CHAIN, KSSL_EXPORTER: too little room
 * * %-EOPNOTSUPP - an option of TCP that would lead around the record layer
 * * %-ENOPROTOOPT - no such option
 * * %-EMFILE, %-ENFILE, %-ENOMEM
 */
int kssl_sockopt_get(struct sock *sk, int level, int optname, char __user *optval,
		     int __user *optlen)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct kssl_status status;
	struct kssl_policy policy;
	struct kssl_error error;
	int len;

	if (kssl_sockopt_refused(level, optname))
		return -EOPNOTSUPP;
	if (level != SOL_KSSL)
		return ctx->base->prot->getsockopt(sk, level, optname, optval, optlen);
	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;

	switch (optname) {
	case KSSL_CONTROL:
		return get_control(sk, optval, optlen, len);
	case KSSL_STATUS:
		lock_sock(sk);
		kssl_status_fill(ctx, &status);
		release_sock(sk);
		return give_sized(&status, sizeof(status), optval, optlen, len);
	case KSSL_ERROR:
		lock_sock(sk);
		error = ctx->error;
		release_sock(sk);
		return give_sized(&error, sizeof(error), optval, optlen, len);
	case KSSL_SUITES:
		return get_suites(optval, optlen, len);
	case KSSL_POLICY:
		lock_sock(sk);
		policy = ctx->asked_policy;
		release_sock(sk);
		return give_sized(&policy, sizeof(policy), optval, optlen, len);
	case KSSL_RENEGOTIATE:
		return get_renegotiate(ctx, optval, optlen, len);
	case KSSL_HANDSHAKE:
		return get_handshake(ctx, optval, optlen, len);
	case KSSL_SESSION:
		return get_session(ctx, optval, optlen, len);
	case KSSL_PEER_CHAIN:
		return get_chain(ctx, optval, optlen, len);
	case KSSL_EXPORTER:
		return get_exporter(ctx, optval, optlen, len);
	default:
		return -ENOPROTOOPT;
	}
}
