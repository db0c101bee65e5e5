// SPDX-License-Identifier: GPL-2.0
/*
 * The control file: how control bounces between the record layer and the helper.
 * read gives one message, write takes one batch, which happens whole or not at
 * all.  File and socket hold a reference on struct kssl_sock each, never on each
 * other, so either may go first.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "kssl.h"

/* How long the helper may be behind with what the kernel did by itself, in jiffies. */
#define NEWS_DELAY	(HZ / 50)

/**
 * kssl_control_hold() - take a reference on the socket of a connection
 * @ctx: connection the caller has a reference on
 *
 * Context: Process context.
 * Return: the socket; NULL once it is closed.
 */
struct sock *kssl_control_hold(struct kssl_sock *ctx)
{
	struct sock *sk;

	spin_lock_bh(&ctx->lock);
	sk = ctx->sk;
	if (sk)
		sock_hold(sk);
	spin_unlock_bh(&ctx->lock);
	return sk;
}

/**
 * kssl_control_lock() - lock the socket of a connection
 * @ctx: connection the caller has a reference on
 *
 * Context: Process context.
 * Return: the socket, to be given to kssl_control_unlock(); NULL once it is closed.
 */
struct sock *kssl_control_lock(struct kssl_sock *ctx)
{
	struct sock *sk = kssl_control_hold(ctx);

	if (!sk)
		return NULL;
	lock_sock(sk);
	/* A close that has only tried leaves it as it was. */
	if (READ_ONCE(ctx->sk))
		return sk;
	release_sock(sk);
	sock_put(sk);
	return NULL;
}

/**
 * kssl_control_unlock() - undo kssl_control_lock()
 * @sk: what it returned
 *
 * Context: Process context.
 */
void kssl_control_unlock(struct sock *sk)
{
	release_sock(sk);
	sock_put(sk);
}

/* ---- messages to the helper ---- */

/**
 * kssl_control_post() - queue a record for the helper and start its clock
 * @ctx: connection
 * @skb: the record, see struct kssl_rx_cb; taken over
 *
 * Receiving is held after each of them, so the queue needs no bound of its own.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_control_post(struct kssl_sock *ctx, struct sk_buff *skb)
{
	unsigned long time = msecs_to_jiffies(ctx->policy.helper_ms);

	ctx->helper_due = true;
	ctx->helper_deadline = jiffies + time;
	kssl_sock_later(ctx, &ctx->helper_clock, time);
	kssl_policy_clock(ctx);
	spin_lock_bh(&ctx->lock);
	__skb_queue_tail(&ctx->messages, skb);
	spin_unlock_bh(&ctx->lock);
	wake_up_interruptible(&ctx->control_wait);
}

/**
 * kssl_control_event() - tell the helper of an event
 * @ctx: connection
 * @event: KSSL_EV_*; each is told once
 *
 * Context: Caller holds the socket lock.
 */
void kssl_control_event(struct kssl_sock *ctx, u8 event)
{
	spin_lock_bh(&ctx->lock);
	ctx->control_events |= BIT(event);
	spin_unlock_bh(&ctx->lock);
	wake_up_interruptible(&ctx->control_wait);
}

/**
 * kssl_control_updated() - the kernel did a KeyUpdate by itself
 * @ctx: connection
 *
 * Nobody waits for this, and to wake the helper costs more than the KeyUpdate did: it
 * is told of all that happened in a while at once.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_control_updated(struct kssl_sock *ctx)
{
	spin_lock_bh(&ctx->lock);
	ctx->control_events |= BIT(KSSL_EV_KEY_UPDATE);
	spin_unlock_bh(&ctx->lock);
	kssl_upcall_count(ctx, KSSL_A_STATS_KEY_UPDATES);
	kssl_genl_event(ctx, KSSL_EVENT_NL_KEY_UPDATE);
	if (ctx->attended && !delayed_work_pending(&ctx->news))
		kssl_sock_later(ctx, &ctx->news, NEWS_DELAY);
}

/**
 * kssl_control_news() - wake the helper for what is not urgent
 * @work: kssl_sock.news
 *
 * Context: Process context.
 */
void kssl_control_news(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock, news);

	wake_up_interruptible(&ctx->control_wait);
}

/**
 * kssl_control_rekey() - tell the helper that a new key is wanted
 * @ctx: connection
 * @why: KSSL_REKEY_*
 *
 * Context: Caller holds the socket lock.
 */
void kssl_control_rekey(struct kssl_sock *ctx, u8 why)
{
	spin_lock_bh(&ctx->lock);
	ctx->rekey_reasons |= why;
	spin_unlock_bh(&ctx->lock);
	kssl_control_event(ctx, KSSL_EV_REKEY);
}

/**
 * kssl_control_request() - tell the helper what the application asks for
 * @ctx: connection
 * @how: KSSL_RENEG_* or KSSL_ASK_EXPORTER
 *
 * Context: Caller holds the socket lock.
 */
void kssl_control_request(struct kssl_sock *ctx, u32 how)
{
	spin_lock_bh(&ctx->lock);
	ctx->request_how = how;
	spin_unlock_bh(&ctx->lock);
	kssl_control_event(ctx, KSSL_EV_REQUEST);
}

/**
 * kssl_control_closed() - the socket goes away
 * @ctx: connection
 * @err: positive errno, or 0 for a clean close
 *
 * Context: Caller holds the socket lock. Afterwards no file operation reaches the
 * socket any more.
 */
void kssl_control_closed(struct kssl_sock *ctx, int err)
{
	spin_lock_bh(&ctx->lock);
	ctx->sk = NULL;
	ctx->closed_err = err;
	ctx->control_events |= BIT(KSSL_EV_CLOSED);
	spin_unlock_bh(&ctx->lock);
	wake_up_interruptible(&ctx->control_wait);
}

/**
 * kssl_control_clock() - the helper did not answer in time
 * @work: kssl_sock.helper_clock
 *
 * Context: Process context.
 */
void kssl_control_clock(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     helper_clock);
	struct sock *sk = ctx->sk;

	if (!kssl_sock_trylock(ctx, work))
		return;
	/* It may have answered, and owe the next answer, before we had the lock. */
	if (ctx->helper_due && time_after_eq(jiffies, ctx->helper_deadline))
		kssl_fail(ctx, ETIMEDOUT, KSSL_WHO_HELPER, KSSL_ALERT_INTERNAL_ERROR,
			  "the helper did not answer a handshake message in time");
	release_sock(sk);
}

/* ---- read ---- */

static bool has_message(struct kssl_sock *ctx)
{
	return !skb_queue_empty_lockless(&ctx->messages) || READ_ONCE(ctx->control_events);
}

/* What an event tells beside its type. Caller holds ctx->lock. */
static void describe_event(struct kssl_sock *ctx, struct kssl_msg *msg)
{
	switch (msg->type) {
	case KSSL_EV_CLOSED:
		msg->value = ctx->closed_err;
		break;
	case KSSL_EV_FAILED:
		msg->value = ctx->error.err;
		break;
	case KSSL_EV_REKEY:
		msg->value = ctx->rekey_reasons;
		break;
	case KSSL_EV_KEY_UPDATE:
		msg->epoch = READ_ONCE(ctx->rx.dir.epochs);
		msg->value = READ_ONCE(ctx->tx.dir.epochs);
		break;
	case KSSL_EV_REQUEST:
		msg->epoch = ctx->request_id;
		msg->value = ctx->request_how;
		break;
	}
}

/* Take the next message: a record in @skb, or an event in @msg. Caller holds ctx->lock. */
static void take_message(struct kssl_sock *ctx, struct kssl_msg *msg, struct sk_buff **skb)
{
	*skb = skb_peek(&ctx->messages);
	*msg = (struct kssl_msg) { .len = sizeof(*msg) };
	if (*skb) {
		struct kssl_rx_cb *cb = kssl_rx_cb(*skb);

		msg->len += cb->len;
		msg->kind = cb->kind;
		msg->type = cb->type;
		msg->epoch = cb->epoch;
		msg->value = cb->kind == KSSL_MSG_RECORD ? cb->tx_epoch : 0;
	} else if (ctx->control_events) {
		/* CLOSED, which is the last one, has to wait for the others. */
		u32 events = ctx->control_events & ~BIT(KSSL_EV_CLOSED);

		msg->kind = KSSL_MSG_EVENT;
		msg->type = events ? __ffs(events) : KSSL_EV_CLOSED;
		describe_event(ctx, msg);
	}
}

static void drop_event(struct kssl_sock *ctx, u8 event)
{
	ctx->control_events &= ~BIT(event);
	if (event == KSSL_EV_REKEY)
		ctx->rekey_reasons = 0;
}

static ssize_t control_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct kssl_sock *ctx = iocb->ki_filp->private_data;
	bool nonblock = (iocb->ki_filp->f_flags & O_NONBLOCK) || (iocb->ki_flags & IOCB_NOWAIT);
	struct sk_buff *skb;
	struct kssl_msg msg;
	int ret;

	for (;;) {
		spin_lock_bh(&ctx->lock);
		take_message(ctx, &msg, &skb);
		if (msg.kind && msg.len <= iov_iter_count(to)) {
			if (skb)
				__skb_unlink(skb, &ctx->messages);
			else
				drop_event(ctx, msg.type);
		}
		ret = !msg.kind && !ctx->sk;
		spin_unlock_bh(&ctx->lock);

		if (msg.kind)
			break;
		if (ret)
			return 0;
		if (nonblock)
			return -EAGAIN;
		ret = wait_event_interruptible(ctx->control_wait,
					       has_message(ctx) || !READ_ONCE(ctx->sk));
		if (ret)
			return ret;
	}

	if (msg.len > iov_iter_count(to))
		return -EMSGSIZE;
	ret = copy_to_iter(&msg, sizeof(msg), to) == sizeof(msg) ? 0 : -EFAULT;
	if (!ret && skb && skb_copy_datagram_iter(skb, 0, to, msg.len - sizeof(msg)))
		ret = -EFAULT;
	if (ret) {
		/* Nothing is lost by a bad pointer. */
		spin_lock_bh(&ctx->lock);
		if (skb)
			__skb_queue_head(&ctx->messages, skb);
		else
			ctx->control_events |= BIT(msg.type);
		if (msg.type == KSSL_EV_REKEY && !skb)
			ctx->rekey_reasons |= msg.value;
		spin_unlock_bh(&ctx->lock);
	} else {
		kfree_skb(skb);
	}
	return ret ? ret : (ssize_t)msg.len;
}

/* ---- write: a batch ---- */

#define BATCH_KEYS	8
#define STRUCT_MAX	4096	/* what a later struct kssl_error or kssl_session may be */

/**
 * struct batch - a batch on its way from bytes to effect
 * @data: the bytes
 * @len: how many
 * @epochs: keyed transforms of its keys, in order; taken ones are NULL
 * @epochs_count: how many
 * @next_epoch: the next one to use while ops are walked
 * @updates: epochs that follow from KeyUpdates, in order; taken ones are NULL
 * @updates_count: how many
 * @tx: what sending will be like
 * @residue: of the sending key, as it was
 * @rx_held: what receiving will be like
 * @rx_plain: likewise
 * @rx_epoch: likewise
 * @etm: encrypt-then-MAC was ever in use
 * @session: from its last KSSL_OP_SESSION
 * @chain: from its last KSSL_OP_PEER_CHAIN
 * @chain_len: length of @chain
 * @error: from KSSL_OP_FAIL
 * @control_bytes: length of @records
 * @records: sealed records
 */
struct batch {
	const u8 *data;
	size_t len;
	struct kssl_epoch *epochs[BATCH_KEYS];
	unsigned int epochs_count;
	unsigned int next_epoch;
	struct kssl_epoch *updates[BATCH_KEYS];
	unsigned int updates_count;
	struct kssl_dir tx;
	void *residue;
	bool rx_held;
	bool rx_plain;
	struct kssl_epoch *rx_epoch;
	bool etm;
	struct kssl_session_info *session;
	u8 *chain;
	u32 chain_len;
	struct kssl_error error;
	unsigned int control_bytes;
	struct list_head records;
};

/* Walk the ops: the next one at *@pos, with its payload. 0 at the end, 1, or -EINVAL. */
static int next_op(const struct batch *b, size_t *pos, struct kssl_op *op, const u8 **payload)
{
	if (*pos == b->len)
		return 0;
	if (b->len - *pos < sizeof(*op))
		return -EINVAL;
	memcpy(op, b->data + *pos, sizeof(*op));
	*pos += sizeof(*op);
	if (op->len > b->len - *pos)
		return -EINVAL;
	*payload = b->data + *pos;
	*pos += op->len;
	return 1;
}

/* As kssl_sockopt_copy(), which wants more of the kernel than the batch's fuzzer has. */
static int copy_payload(void *to, size_t known, const u8 *payload, size_t len)
{
	u32 size;

	memset(to, 0, known);
	if (len < sizeof(size))
		return -EINVAL;
	memcpy(&size, payload, sizeof(size));
	if (size != len)
		return -EINVAL;
	if (len > known && memchr_inv(payload + known, 0, len - known))
		return -E2BIG;
	memcpy(to, payload, min(len, known));
	return 0;
}

static int prepare_key(struct batch *b, const u8 *payload, size_t len)
{
	struct kssl_epoch *e;
	struct kssl_key key;
	int ret;

	if (b->epochs_count == BATCH_KEYS)
		return -EINVAL;
	ret = copy_payload(&key, sizeof(key), payload, len);
	if (!ret) {
		e = kssl_epoch_new(&key);
		ret = PTR_ERR_OR_ZERO(e);
	}
	memzero_explicit(&key, sizeof(key));
	if (!ret)
		b->epochs[b->epochs_count++] = e;
	return ret;
}

static int prepare_fail(struct batch *b, const u8 *payload, size_t len)
{
	int ret = copy_payload(&b->error, sizeof(b->error), payload, len);

	if (!ret && (b->error.err <= 0 || b->error.err >= 4096))
		ret = -EINVAL;
	return ret;
}

/* How long may the payload of an op be? */
static void payload_bounds(const struct kssl_op *op, u32 *min, u32 *max)
{
	*min = 1;
	*max = KSSL_BATCH_MAX;
	switch (op->op) {
	case KSSL_OP_RAW:
	case KSSL_OP_TX_KEY:
	case KSSL_OP_RX_KEY:
		break;
	case KSSL_OP_FAIL:
	case KSSL_OP_SESSION:
		*min = sizeof(u32);
		*max = STRUCT_MAX;
		break;
	case KSSL_OP_RECORD:
		*max = KSSL_MAX_PAYLOAD;
		break;
	case KSSL_OP_KEY_UPDATE:
		*max = 1;
		break;
	case KSSL_OP_RESULT:
		*min = sizeof(struct kssl_result);
		*max = *min;
		break;
	case KSSL_OP_PEER_CHAIN:
		*min = 0;
		*max = KSSL_CHAIN_MAX;
		break;
	case KSSL_OP_EXPORTER:
		*max = KSSL_EXPORT_MAX;
		break;
	default:
		*min = 0;
		*max = 0;
	}
}

static bool is_well_formed(const struct kssl_op *op, const u8 *payload)
{
	u32 min, max;

	payload_bounds(op, &min, &max);
	if (!op->op || op->op > KSSL_OP_EXPORTER || op->flags || op->len < min || op->len > max)
		return false;
	if (op->op != KSSL_OP_RECORD)
		return !op->type && (op->op != KSSL_OP_KEY_UPDATE ||
				     *payload <= KSSL_UPDATE_REQUESTED);
	return op->type >= KSSL_TYPE_CHANGE_CIPHER_SPEC && op->type <= KSSL_TYPE_HANDSHAKE;
}

/* First walk, without locks: is it well formed?  Sets up the transforms of its keys. */
static int prepare(struct batch *b)
{
	const u8 *payload;
	struct kssl_op op;
	size_t pos = 0;
	int ret;

	while ((ret = next_op(b, &pos, &op, &payload)) > 0) {
		if (!is_well_formed(&op, payload) || (op.op == KSSL_OP_FAIL && pos != b->len))
			return -EINVAL;
		if (op.op == KSSL_OP_TX_KEY || op.op == KSSL_OP_RX_KEY)
			ret = prepare_key(b, payload, op.len);
		else if (op.op == KSSL_OP_FAIL)
			ret = prepare_fail(b, payload, op.len);
		if (ret < 0)
			return ret;
	}
	return ret;
}

/*
 * May @e follow @old?  Within TLS 1.3 only the key may change (RFC 8446 4.6.3), and
 * once there was encrypt-then-MAC there is no way back (RFC 7366 3.1).
 */
static int check_successor(struct batch *b, const struct kssl_epoch *old,
			   const struct kssl_epoch *e)
{
	if (b->etm && kssl_epoch_is_mte(e))
		return -EINVAL;
	b->etm |= e->flags & KSSL_KEY_ETM;
	if (!old)
		return 0;
	if (old->ver != e->ver)
		return -EINVAL;
	if ((e->ver->flags & KSSL_V_REKEY_BY_MESSAGE) && old->suite != e->suite)
		return -EINVAL;
	return 0;
}

static int add_record(struct kssl_sock *ctx, struct batch *b, struct kssl_buf *buf)
{
	list_add_tail(&buf->list, &b->records);
	b->control_bytes += buf->len;
	if (b->control_bytes > KSSL_CONTROL_BUDGET)
		return -EINVAL;
	return ctx->tx.control_bytes + b->control_bytes > KSSL_CONTROL_BUDGET ? -EAGAIN : 0;
}

/* Seal one record of the batch, or wrap raw bytes. */
static int seal_record(struct kssl_sock *ctx, struct batch *b, u8 type, const u8 *payload,
		       unsigned int len)
{
	struct kssl_epoch *e = b->tx.epoch;
	struct kssl_buf *buf = kssl_buf_new(e ? KSSL_HEADER_LEN + e->prefix_len : 0,
					       true);
	int ret;

	if (!buf)
		return -ENOMEM;
	if (b->tx.closed)
		ret = -EPIPE;
	else if (e && len > e->max_payload)
		ret = -EINVAL;
	else
		ret = kssl_buf_add(buf, payload, len);
	if (!ret && e)
		ret = kssl_tx_seal(ctx, &b->tx, buf, type);
	else if (!ret)
		buf->len = len;
	if (ret) {
		kssl_buf_free(buf);
		return ret == -ENOBUFS ? -ENOMEM : ret;
	}
	return add_record(ctx, b, buf);
}

/* Raw bytes may lie in many pages; give each record buffer at most a record's length of them. */
static int wrap_raw(struct kssl_sock *ctx, struct batch *b, const u8 *payload, size_t len)
{
	while (len) {
		unsigned int n = min_t(size_t, len, KSSL_MAX_PAYLOAD);
		int ret = seal_record(ctx, b, 0, payload, n);

		if (ret)
			return ret;
		payload += n;
		len -= n;
	}
	return 0;
}

static int stage_tx_key(struct kssl_sock *ctx, struct batch *b)
{
	struct kssl_epoch *e = b->epochs[b->next_epoch++];

	if (check_successor(b, b->tx.epoch, e))
		return -EINVAL;
	/* It will be sealed with this key, which has room for it as the one before had. */
	if (ctx->tx.open && (ctx->tx.open->payload_len > e->max_payload ||
			     b->tx.epoch->prefix_len != e->prefix_len))
		return -EINVAL;
	/* Else this key may be the one that the kernel has just come to by itself. */
	if (b->tx.epoch && (e->ver->flags & KSSL_V_REKEY_BY_MESSAGE) && !ctx->tx.hold &&
	    kssl_policy_does_updates(ctx))
		return -EINVAL;
	kssl_epoch_set_padding(e, ctx->policy.pad_to);
	b->tx.epoch = e;
	b->tx.plain = false;
	return 0;
}

static int stage_update(struct kssl_sock *ctx, struct batch *b, u8 request)
{
	struct kssl_buf *buf;

	if (!b->tx.epoch || !b->tx.epoch->secret_len || b->updates_count == BATCH_KEYS)
		return -EINVAL;
	if (b->tx.closed)
		return -EPIPE;
	buf = kssl_tx_seal_update(ctx, &b->tx, request);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	b->updates[b->updates_count++] = b->tx.epoch;
	return add_record(ctx, b, buf);
}

static int stage_rx_key(struct batch *b)
{
	struct kssl_epoch *e = b->epochs[b->next_epoch++];

	if (!b->rx_held || check_successor(b, b->rx_epoch, e))
		return -EINVAL;
	b->rx_epoch = e;
	b->rx_plain = false;
	return 0;
}

static int stage_session(struct batch *b, const u8 *payload, u32 len)
{
	struct kssl_session *told = kmalloc(sizeof(*told), GFP_KERNEL);
	struct kssl_session_info *session;
	int ret;

	if (!told)
		return -ENOMEM;
	ret = copy_payload(told, sizeof(*told), payload, len);
	session = ret ? ERR_PTR(ret) : kssl_session_new(told);
	kfree(told);
	if (IS_ERR(session))
		return PTR_ERR(session);
	kssl_session_free(b->session);
	b->session = session;
	return 0;
}

static int stage_chain(struct batch *b, const u8 *payload, u32 len)
{
	u8 *chain = len ? kvmalloc(len, GFP_KERNEL_ACCOUNT) : NULL;

	if (len && !chain)
		return -ENOMEM;
	if (len)
		memcpy(chain, payload, len);
	kvfree(b->chain);
	b->chain = chain;
	b->chain_len = len;
	return 0;
}

/* One op of the second walk: is it legal in the state the ops before it lead to? */
static int stage_op(struct kssl_sock *ctx, struct batch *b, const struct kssl_op *op,
		    const u8 *payload)
{
	struct kssl_key key;
	int ret = 0;

	switch (op->op) {
	case KSSL_OP_HOLD:
	case KSSL_OP_FAIL:
		break;
	case KSSL_OP_RAW:
		ret = b->tx.plain ? wrap_raw(ctx, b, payload, op->len) : -EINVAL;
		break;
	case KSSL_OP_RECORD:
		ret = b->tx.epoch ? seal_record(ctx, b, op->type, payload, op->len) : -EINVAL;
		break;
	case KSSL_OP_TX_KEY:
		ret = stage_tx_key(ctx, b);
		if (!ret) {
			copy_payload(&key, sizeof(key), payload, op->len);
			b->tx.seq = key.seq;
			b->tx.nonce = key.nonce;
			b->tx.used = key.seq;
			memzero_explicit(&key, sizeof(key));
		}
		break;
	case KSSL_OP_RX_KEY:
		ret = stage_rx_key(b);
		break;
	case KSSL_OP_RELEASE:
		if (b->tx.plain)
			ret = -EINVAL;
		break;
	case KSSL_OP_CONTINUE:
		b->rx_held = false;
		break;
	case KSSL_OP_ESTABLISHED:
		if (b->rx_plain)
			ret = -EINVAL;
		break;
	case KSSL_OP_DONE:
		if (b->tx.plain || b->rx_plain)
			ret = -EINVAL;
		break;
	case KSSL_OP_KEY_UPDATE:
		ret = stage_update(ctx, b, *payload);
		break;
	case KSSL_OP_AWAIT:
	case KSSL_OP_IDENTITY:
		if (b->tx.plain || b->rx_plain)
			ret = -EINVAL;
		break;
	case KSSL_OP_RESULT:
		memcpy(&ret, payload + offsetof(struct kssl_result, err), sizeof(ret));
		ret = ret >= 0 && ret < 4096 && ret != EINPROGRESS ? 0 : -EINVAL;
		break;
	case KSSL_OP_SESSION:
		ret = stage_session(b, payload, op->len);
		break;
	case KSSL_OP_PEER_CHAIN:
		ret = stage_chain(b, payload, op->len);
		break;
	case KSSL_OP_EXPORTER:
		if (!ctx->export || ctx->export->len || op->len != ctx->export->wants.len)
			ret = -EINVAL;
		break;
	}
	return ret;
}

/* Second walk, under both locks: seal everything, touch nothing. */
static int stage(struct kssl_sock *ctx, struct batch *b)
{
	const u8 *payload;
	struct kssl_op op;
	size_t pos = 0;
	int ret;

	b->tx = ctx->tx.dir;
	b->rx_held = ctx->rx.held;
	b->rx_plain = ctx->rx.dir.plain;
	b->rx_epoch = ctx->rx.dir.epoch;
	b->etm = ctx->etm;
	ret = b->tx.epoch ? kssl_epoch_save(b->tx.epoch, &b->residue) : 0;
	if (ret)
		return ret;
	while ((ret = next_op(b, &pos, &op, &payload)) > 0) {
		ret = stage_op(ctx, b, &op, payload);
		if (ret)
			break;
	}
	/* What was sealed will never be sent. */
	if (ret && ctx->tx.dir.epoch)
		kssl_epoch_restore(ctx->tx.dir.epoch, b->residue);
	return ret;
}

static void commit_fail(struct kssl_sock *ctx, struct kssl_error *error)
{
	/* In the plain phase only the helper can read what alert the peer sent. */
	if (error->who != KSSL_WHO_PEER || error->has_alert)
		error->who = KSSL_WHO_HELPER;
	error->reserved = 0;
	error->has_alert = !!error->has_alert;
	error->text[sizeof(error->text) - 1] = 0;
	if (error->has_alert && ctx->tx.alert <= KSSL_ALERT_CLOSE_NOTIFY) {
		ctx->tx.alert = error->alert;
		kssl_alert_send_requested(ctx);
	}
	kssl_fail_with(ctx, error);
}

static void commit_continue(struct kssl_sock *ctx)
{
	ctx->rx.held = false;
	ctx->rx.events++;
	ctx->helper_due = false;
	cancel_delayed_work(&ctx->helper_clock);
	kssl_bounce_answered(ctx);
	kssl_tx_release(ctx, KSSL_HOLD_RX);
}

static void commit_release(struct kssl_sock *ctx)
{
	ctx->awaits = false;
	ctx->rx.expects = false;
	kssl_tx_release(ctx, KSSL_HOLD_HELPER);
}

static void commit_done(struct kssl_sock *ctx)
{
	ctx->awaits = false;
	ctx->rx.expects = false;
	ctx->handshakes++;
	ctx->rx.flight = 0;
	kssl_handshake_landed(ctx);
	kssl_ask_put(ctx->ask);
	ctx->ask = NULL;
	kssl_upcall_count(ctx, KSSL_A_STATS_HANDSHAKES);
	kssl_genl_event(ctx, KSSL_EVENT_NL_HANDSHAKE);
}

/* What does the helper ask the peer for? */
static void commit_record(struct kssl_sock *ctx, const struct kssl_op *op, const u8 *payload)
{
	bool inner = ctx->tx.dir.epoch->ver->flags & KSSL_V_INNER_TYPE;

	if (op->type == KSSL_TYPE_ALERT && op->len == 2 &&
	    payload[1] == KSSL_ALERT_NO_RENEGOTIATION)
		kssl_genl_event(ctx, KSSL_EVENT_NL_DECLINED);
	if (op->type != KSSL_TYPE_HANDSHAKE)
		return;
	if (*payload == (inner ? KSSL_HANDSHAKE_CERTIFICATE_REQUEST : KSSL_HANDSHAKE_HELLO_REQUEST))
		ctx->rx.expects = true;
	if (inner && *payload == KSSL_HANDSHAKE_KEY_UPDATE &&
	    op->len == KSSL_MESSAGE_HEADER_LEN + 1)
		ctx->rx.updates_asked +=
			payload[KSSL_MESSAGE_HEADER_LEN] == KSSL_UPDATE_REQUESTED;
}

static void commit_update(struct kssl_sock *ctx, struct kssl_epoch *e, u8 request)
{
	kssl_tx_set_key(ctx, e, 0, 0);
	ctx->updates_sent++;
	kssl_upcall_count(ctx, KSSL_A_STATS_KEY_UPDATES);
	kssl_genl_event(ctx, KSSL_EVENT_NL_KEY_UPDATE);
	ctx->rx.updates_asked += request;
	/* One answers all requests so far (RFC 8446 4.6.3). */
	ctx->tx.due &= ~KSSL_DUE_UPDATE;
}

static void commit_result(struct kssl_sock *ctx, const u8 *payload)
{
	struct kssl_result result;

	memcpy(&result, payload, sizeof(result));
	kssl_request_end(ctx, result.id, result.err);
}

/* Third walk: nothing can fail any more. */
static void commit(struct kssl_sock *ctx, struct batch *b)
{
	struct kssl_dir sealed = b->tx;
	struct kssl_buf *buf, *next;
	unsigned int next_update = 0;
	const u8 *payload;
	struct kssl_op op;
	size_t pos = 0;

	list_for_each_entry_safe(buf, next, &b->records, list) {
		list_del(&buf->list);
		kssl_tx_queue(ctx, buf);
	}
	b->next_epoch = 0;
	while (next_op(b, &pos, &op, &payload) > 0) {
		switch (op.op) {
		case KSSL_OP_HOLD:
			kssl_tx_hold(ctx, KSSL_HOLD_HELPER);
			break;
		case KSSL_OP_TX_KEY:
			kssl_tx_set_key(ctx, b->epochs[b->next_epoch], 0, 0);
			b->epochs[b->next_epoch++] = NULL;
			break;
		case KSSL_OP_RX_KEY: {
			struct kssl_key key;

			copy_payload(&key, sizeof(key), payload, op.len);
			kssl_rx_set_key(ctx, b->epochs[b->next_epoch], key.seq);
			b->epochs[b->next_epoch++] = NULL;
			memzero_explicit(&key, sizeof(key));
			break;
		}
		case KSSL_OP_RECORD:
			commit_record(ctx, &op, payload);
			break;
		case KSSL_OP_RELEASE:
			commit_release(ctx);
			break;
		case KSSL_OP_CONTINUE:
			commit_continue(ctx);
			break;
		case KSSL_OP_ESTABLISHED:
			ctx->rx.established = true;
			break;
		case KSSL_OP_DONE:
			commit_done(ctx);
			break;
		case KSSL_OP_KEY_UPDATE:
			commit_update(ctx, b->updates[next_update], *payload);
			b->updates[next_update++] = NULL;
			break;
		case KSSL_OP_AWAIT:
			ctx->awaits = true;
			break;
		case KSSL_OP_IDENTITY:
			ctx->rx.identity++;
			break;
		case KSSL_OP_RESULT:
			commit_result(ctx, payload);
			break;
		case KSSL_OP_SESSION:
			swap(ctx->session, b->session);
			break;
		case KSSL_OP_PEER_CHAIN:
			swap(ctx->chain, b->chain);
			ctx->chain_len = b->chain_len;
			break;
		case KSSL_OP_EXPORTER:
			memcpy(ctx->export->bytes, payload, op.len);
			ctx->export->len = op.len;
			break;
		}
		if (op.op == KSSL_OP_TX_KEY || op.op == KSSL_OP_RECORD ||
		    op.op == KSSL_OP_KEY_UPDATE) {
			/* Where the staged records have left the numbers. */
			ctx->tx.dir.seq = sealed.seq;
			ctx->tx.dir.nonce = sealed.nonce;
			ctx->tx.dir.records = sealed.records;
			ctx->tx.dir.used = sealed.used;
		}
		/* Half an answer is none that the kernel could give instead. */
		if (op.op == KSSL_OP_TX_KEY || op.op == KSSL_OP_RX_KEY || op.op == KSSL_OP_RECORD)
			kssl_bounce_answered(ctx);
		if (op.op == KSSL_OP_FAIL)
			commit_fail(ctx, &b->error);
	}
}

static int apply(struct kssl_sock *ctx, struct batch *b)
{
	struct sock *sk;
	int ret;

	atomic_inc(&ctx->tx.control_waiting);
	ret = mutex_lock_interruptible(&ctx->tx.lock);
	atomic_dec(&ctx->tx.control_waiting);
	if (ret)
		return -ERESTARTSYS;
	ret = -EPIPE;
	sk = kssl_control_lock(ctx);
	if (!sk)
		goto unlock;
	if (ctx->tx.dir.err)
		goto release;
	/*
	 * What MSG_MORE left open belongs before anything of ours, except where an
	 * answer has to precede data (RFC 8446 4.6.3).
	 */
	ret = ctx->tx.hold & KSSL_HOLD_RX || ctx->tx.due & (KSSL_DUE_UPDATE | KSSL_DUE_REQUEST) ?
	      0 : kssl_tx_seal_open(ctx);
	if (!ret)
		ret = stage(ctx, b);
	if (!ret)
		commit(ctx, b);
	kssl_tx_push(ctx, 0);
	kssl_rx_pump(ctx, 1);
	kssl_policy_ask(ctx, false);
	kssl_sock_wake(ctx);
release:
	mutex_unlock(&ctx->tx.lock);
	if (ctx->tx.alert != KSSL_ALERT_NONE || ctx->tx.due)
		kssl_sock_later(ctx, &ctx->tx.work, 0);
	kssl_control_unlock(sk);
	return ret;
unlock:
	mutex_unlock(&ctx->tx.lock);
	return ret;
}

static ssize_t control_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct kssl_sock *ctx = iocb->ki_filp->private_data;
	struct batch b = { .len = iov_iter_count(from) };
	unsigned int i;
	u8 *data;
	int ret;

	INIT_LIST_HEAD(&b.records);
	if (!b.len || b.len > KSSL_BATCH_MAX)
		return -EINVAL;
	data = kvmalloc(b.len, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	b.data = data;
	ret = copy_from_iter_full(data, b.len, from) ? prepare(&b) : -EFAULT;
	if (!ret)
		ret = apply(ctx, &b);

	kssl_buf_free_list(&b.records);
	for (i = 0; i < b.epochs_count; i++)
		kssl_epoch_put(b.epochs[i]);
	for (i = 0; i < b.updates_count; i++)
		kssl_epoch_put(b.updates[i]);
	kssl_session_free(b.session);
	kfree_sensitive(b.residue);
	kvfree(b.chain);
	kvfree_sensitive(data, b.len);
	return ret ? ret : b.len;
}

/* ---- the rest of the file ---- */

/* Give a struct that starts with its size, as much of it as the caller's says. */
static int give(void __user *to, const void *from, u32 known)
{
	u32 size;

	if (get_user(size, (u32 __user *)to))
		return -EFAULT;
	if (size < sizeof(size))
		return -EINVAL;
	size = min(size, known);
	if (copy_to_user(to, from, size) || put_user(size, (u32 __user *)to))
		return -EFAULT;
	return 0;
}

static int set_policy(struct kssl_sock *ctx, void __user *arg)
{
	struct kssl_policy policy;
	u32 size;
	int ret;

	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	ret = kssl_sockopt_copy(&policy, sizeof(policy), USER_SOCKPTR(arg), size);
	if (!ret)
		ret = kssl_policy_check(&policy);
	return ret ? ret : kssl_sockopt_policy(ctx, &policy);
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kssl_sock *ctx = file->private_data;
	void __user *to = (void __user *)arg;
	union {
		struct kssl_status status;
		struct kssl_error error;
		struct kssl_exporter exporter;
	} u;
	struct sock *sk;
	u32 size = 0;

	if (cmd == KSSL_IOC_POLICY)
		return set_policy(ctx, to);
	if (cmd != KSSL_IOC_STATUS && cmd != KSSL_IOC_ERROR && cmd != KSSL_IOC_EXPORTER)
		return -ENOTTY;
	sk = kssl_control_lock(ctx);
	if (!sk)
		return -ENOTCONN;
	switch (cmd) {
	case KSSL_IOC_STATUS:
		kssl_status_fill(ctx, &u.status);
		size = sizeof(u.status);
		break;
	case KSSL_IOC_ERROR:
		u.error = ctx->error;
		size = sizeof(u.error);
		break;
	case KSSL_IOC_EXPORTER:
		if (ctx->export) {
			u.exporter = ctx->export->wants;
			size = sizeof(u.exporter);
		}
		break;
	}
	kssl_control_unlock(sk);
	return size ? give(to, &u, size) : -ENODATA;
}

static __poll_t control_poll(struct file *file, poll_table *wait)
{
	struct kssl_sock *ctx = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &ctx->control_wait, wait);
	if (has_message(ctx))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!READ_ONCE(ctx->sk))
		mask |= EPOLLHUP | EPOLLIN | EPOLLRDNORM;
	else if (!READ_ONCE(ctx->tx.control_bytes))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

/* Last close of the last duplicate: the helper is gone. */
static int control_release(struct inode *inode, struct file *file)
{
	struct kssl_sock *ctx = file->private_data;
	struct sock *sk;

	if (!ctx)
		return 0;
	sk = kssl_control_lock(ctx);
	if (sk) {
		kssl_bounce_orphan(ctx);
		kssl_rx_pump(ctx, 1);
		kssl_sock_wake(ctx);
		kssl_control_unlock(sk);
	}
	kssl_sock_put(ctx);
	return 0;
}

static const struct file_operations control_fops = {
	.owner		= THIS_MODULE,
	.read_iter	= control_read,
	.write_iter	= control_write,
	.poll		= control_poll,
	.unlocked_ioctl	= control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= control_release,
};

/**
 * kssl_control_begin() - a helper is, or will be, there
 * @ctx: connection without keys and helper
 *
 * From here on the socket is attended and in the plain phase: application reads
 * and writes wait until the helper has installed keys and released them.
 *
 * Without keys there is nothing that tx.lock protects.
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_control_begin(struct kssl_sock *ctx)
{
	ctx->attended = true;
	ctx->had_helper = true;
	ctx->tx.dir.plain = true;
	ctx->rx.dir.plain = true;
	kssl_tx_hold(ctx, KSSL_HOLD_HELPER);
	kssl_rx_pump(ctx, 1);
}

/**
 * kssl_control_file() - make the control file, to be installed or undone
 * @ctx: connection
 *
 * Context: Process context.
 * Return: the file, or %-ENFILE, %-ENOMEM.
 */
struct file *kssl_control_file(struct kssl_sock *ctx)
{
	struct file *file = anon_inode_getfile("[kssl]", &control_fops, ctx,
					       O_RDWR | O_CLOEXEC);

	if (!IS_ERR(file))
		refcount_inc(&ctx->ref);
	return file;
}

/**
 * kssl_control_file_undo() - nobody gets the file
 * @file: of kssl_control_file()
 *
 * Context: Process context.
 */
void kssl_control_file_undo(struct file *file)
{
	struct kssl_sock *ctx = file->private_data;

	/* Its end is not the helper's. */
	file->private_data = NULL;
	fput(file);
	kssl_sock_put(ctx);
}

/**
 * kssl_control_open() - getsockopt(KSSL_CONTROL): become the helper
 * @sk: socket
 *
 * Context: Process context, may sleep. Takes the socket lock.
 * Return: a file descriptor, close-on-exec, or
 * * %-EBUSY - the socket has or had a control file, or has keys
 * * %-EMFILE, %-ENFILE, %-ENOMEM
 */
int kssl_control_open(struct sock *sk)
{
	struct kssl_sock *ctx = kssl_sock_of(sk);
	struct file *file;
	int fd, ret = 0;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = kssl_control_file(ctx);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}

	mutex_lock(&ctx->tx.lock);
	lock_sock(sk);
	if (ctx->had_helper || ctx->tx.dir.epoch || ctx->rx.dir.epoch || ctx->error.err)
		ret = -EBUSY;
	else
		kssl_control_begin(ctx);
	release_sock(sk);
	kssl_tx_leave(ctx);

	if (ret) {
		put_unused_fd(fd);
		kssl_control_file_undo(file);
		return ret;
	}
	fd_install(fd, file);
	return fd;
}
