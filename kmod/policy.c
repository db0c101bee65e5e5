// SPDX-License-Identifier: GPL-2.0
/*
 * What a connection bears, and what happens by itself: usage limits of keys, new keys
 * after so much data or time, and how long the peer may take.
 */
#include "kssl.h"

/* How often the peer gets its time again because TCP moves. */
#define PEER_EXTENSIONS	20

/* ---- setting ---- */

/**
 * kssl_policy_check() - is it a policy?
 * @policy: as the user gave it
 *
 * Return: 0 or %-EINVAL.
 */
int kssl_policy_check(const struct kssl_policy *policy)
{
	const u32 known = KSSL_POLICY_ORPHAN | KSSL_POLICY_KEY_UPDATE | KSSL_POLICY_IDENTITY |
			  KSSL_POLICY_INSECURE_EOF | KSSL_POLICY_HALF_CLOSE |
			  KSSL_POLICY_SPLIT_EMPTY | KSSL_POLICY_NO_SPLIT;

	if (policy->flags & ~known || policy->pad_to > KSSL_MAX_PAYLOAD)
		return -EINVAL;
	/* The length field of a message has three octets. */
	if (policy->lookahead > KSSL_LOOKAHEAD_MAX || policy->message_max >= 1 << 24)
		return -EINVAL;
	return 0;
}

static void set_default(u32 *value, u32 to)
{
	if (!*value)
		*value = to;
}

/* What of a usage limit is left: the stricter one, where 0 is none. */
static u64 stricter(u64 suite, u64 policy)
{
	if (!suite || !policy)
		return suite + policy ? suite + policy : U64_MAX;
	return min(suite, policy);
}

/* Where something is due, counted on from @now. */
static u64 due_at(u64 now, u64 after)
{
	return after && after < U64_MAX - now ? now + after : U64_MAX;
}

static void start_key_clock(struct kssl_sock *ctx)
{
	if (ctx->policy.rekey_ms)
		kssl_sock_later(ctx, &ctx->rekey_clock, msecs_to_jiffies(ctx->policy.rekey_ms));
}

/**
 * kssl_policy_rearm() - ask for a new key again where one is due
 * @ctx: connection
 * @dir: direction
 *
 * Context: Caller holds the socket lock.
 */
void kssl_policy_rearm(struct kssl_sock *ctx, struct kssl_dir *dir)
{
	const struct kssl_policy *p = &ctx->policy;
	u64 soft = dir == &ctx->tx.dir ? p->tx_soft : p->rx_soft;

	if (!soft && dir->epoch)
		soft = dir->epoch->suite->cipher->soft;
	/* Early enough for a handshake with a slow peer. */
	if (!soft)
		soft = dir->hard == U64_MAX ? U64_MAX : dir->hard - dir->hard / 4;
	dir->soft = min(soft, dir->hard);
	dir->bytes_due = due_at(dir->bytes, p->rekey_bytes);
	dir->records_due = due_at(dir->records, p->rekey_records);
}

static void set_limits(struct kssl_sock *ctx, struct kssl_dir *dir)
{
	bool tx = dir == &ctx->tx.dir;
	u64 limit = dir->epoch ? dir->epoch->suite->cipher->limit : 0;

	/* Without a helper nobody could have been told to ask the peer for another one. */
	if (!tx && !ctx->had_helper)
		limit = 0;
	dir->hard = stricter(limit, tx ? ctx->policy.tx_hard : ctx->policy.rx_hard);
	kssl_policy_rearm(ctx, dir);
}

/**
 * kssl_policy_new_key() - a key was taken into use
 * @ctx: connection
 * @dir: its direction
 *
 * Context: Caller holds the socket lock, and tx.lock for sending.
 */
void kssl_policy_new_key(struct kssl_sock *ctx, struct kssl_dir *dir)
{
	set_limits(ctx, dir);
	if (dir != &ctx->tx.dir)
		return;
	kssl_epoch_set_padding(dir->epoch, ctx->policy.pad_to);
	ctx->rekey = 0;
	ctx->rekey_request = false;
	start_key_clock(ctx);
}

/**
 * kssl_policy_set() - put a policy in force
 * @ctx: connection
 * @policy: a good one
 *
 * Context: Caller holds tx.lock and the socket lock.
 */
void kssl_policy_set(struct kssl_sock *ctx, const struct kssl_policy *policy)
{
	struct kssl_policy *p = &ctx->policy;

	ctx->asked_policy = *policy;
	ctx->asked_policy.size = sizeof(*policy);
	*p = *policy;
	set_default(&p->helper_ms, KSSL_HELPER_MS);
	set_default(&p->peer_ms, KSSL_PEER_MS);
	set_default(&p->lookahead, KSSL_LOOKAHEAD);
	set_default(&p->message_max, KSSL_MESSAGE_MAX);
	set_default(&p->flight_max, KSSL_FLIGHT_MAX);
	set_default(&p->starts_max, KSSL_STARTS_MAX);
	set_default(&p->starts_ms, KSSL_STARTS_MS);
	set_default(&p->useless_max, KSSL_USELESS_MAX);
	cancel_delayed_work(&ctx->rekey_clock);
	start_key_clock(ctx);
	set_limits(ctx, &ctx->tx.dir);
	set_limits(ctx, &ctx->rx.dir);
	if (ctx->tx.dir.epoch)
		kssl_epoch_set_padding(ctx->tx.dir.epoch, p->pad_to);
}

/* ---- new keys ---- */

/**
 * kssl_policy_does_updates() - can and may the kernel do a KeyUpdate itself?
 * @ctx: connection with a sending key
 *
 * Context: Caller holds the socket lock.
 */
bool kssl_policy_does_updates(const struct kssl_sock *ctx)
{
	return ctx->tx.dir.epoch->secret_len &&
	       (ctx->orphan || (ctx->attended && (ctx->policy.flags & KSSL_POLICY_KEY_UPDATE)));
}

/* Would the answer to a ClientHello of ours be found, even if nobody read any more? */
static bool is_in_sight(struct kssl_sock *ctx, bool reading)
{
	/* Who reads as fast as he can is never done; better this than the end of the key. */
	if (reading && (ctx->rekey & (KSSL_REKEY_TX | KSSL_REKEY_RX)))
		return true;
	return skb_queue_empty(&ctx->rx.queue) &&
	       kssl_stream_available(ctx) < (reading ? ctx->policy.lookahead : ctx->rx.need);
}

/**
 * kssl_policy_ask() - ask for the new key that is due, if this is the time
 * @ctx: connection
 * @reading: the application has just read the last byte that was opened
 *
 * A renegotiation holds sending until an answer comes, which may be behind data that
 * nobody reads; so it begins when everything is read.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_policy_ask(struct kssl_sock *ctx, bool reading)
{
	const struct kssl_epoch *e = ctx->tx.dir.epoch;

	if (!ctx->rekey || ctx->error.err || !e || kssl_sock_in_handshake(ctx))
		return;
	if (kssl_policy_does_updates(ctx)) {
		kssl_tx_ask(ctx, KSSL_DUE_UPDATE | (ctx->rekey_request ? KSSL_DUE_REQUEST : 0));
	} else if (ctx->attended) {
		if (!(e->ver->flags & KSSL_V_REKEY_BY_MESSAGE) && !is_in_sight(ctx, reading))
			return;
		kssl_control_rekey(ctx, ctx->rekey);
	}
	ctx->rekey = 0;
	ctx->rekey_request = false;
}

/**
 * kssl_policy_rekey() - a direction has come to where a new key is due
 * @ctx: connection
 * @dir: direction; each of its reasons counts once under one key
 *
 * Context: Caller holds the socket lock.
 */
void kssl_policy_rekey(struct kssl_sock *ctx, struct kssl_dir *dir)
{
	bool tx = dir == &ctx->tx.dir;

	if (dir->used >= dir->soft) {
		ctx->rekey |= tx ? KSSL_REKEY_TX : KSSL_REKEY_RX;
		dir->soft = U64_MAX;
	}
	if (dir->bytes >= dir->bytes_due) {
		ctx->rekey |= KSSL_REKEY_BYTES;
		dir->bytes_due = U64_MAX;
	}
	if (dir->records >= dir->records_due) {
		ctx->rekey |= KSSL_REKEY_RECORDS;
		dir->records_due = U64_MAX;
	}
	ctx->rekey_request |= !tx;
	kssl_policy_ask(ctx, false);
}

/**
 * kssl_policy_key_old() - the keys are so old that new ones are due
 * @work: kssl_sock.rekey_clock
 *
 * Context: Process context.
 */
void kssl_policy_key_old(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     rekey_clock);
	struct sock *sk = ctx->sk;

	if (!kssl_sock_trylock(ctx, work))
		return;
	if (ctx->policy.rekey_ms) {
		ctx->rekey |= KSSL_REKEY_TIME;
		ctx->rekey_request = true;
		kssl_policy_ask(ctx, false);
	}
	release_sock(sk);
}

/* ---- the peer's clock ---- */

/**
 * kssl_policy_waits() - whom does a handshake wait for?
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 * Return: KSSL_WAITS_*, 0 if it waits for nobody.
 */
u8 kssl_policy_waits(const struct kssl_sock *ctx)
{
	if (!ctx->attended || ctx->error.err)
		return 0;
	if (ctx->helper_due)
		return KSSL_WAITS_HELPER;
	/* In the plain phase the helper has a limit of its own for all of it. */
	if (ctx->tx.dir.plain || ctx->rx.dir.plain ||
	    !(ctx->awaits || kssl_sock_in_handshake(ctx)))
		return 0;
	/* Who has closed will not go on; the helper knows what to make of it. */
	if (ctx->tx.dir.closed || ctx->rx.dir.closed || ctx->rx.dir.err)
		return 0;
	if (!skb_queue_empty(&ctx->rx.queue) && !kssl_rx_may_look_ahead(ctx))
		return KSSL_WAITS_READER;
	return KSSL_WAITS_PEER;
}

/* Moves whenever the peer acknowledges or sends something. */
static u32 progress_of(const struct kssl_sock *ctx)
{
	const struct tcp_sock *tp = tcp_sk(ctx->sk);

	return tp->snd_una + tp->rcv_nxt;
}

static void set_peer_clock(struct kssl_sock *ctx)
{
	unsigned long time = msecs_to_jiffies(ctx->policy.peer_ms);

	ctx->peer_progress = progress_of(ctx);
	ctx->peer_deadline = jiffies + time;
	kssl_sock_later(ctx, &ctx->peer_clock, time);
}

/**
 * kssl_policy_clock() - start or stop the peer's clock, as the case may be
 * @ctx: connection, of which something has changed
 *
 * Context: Caller holds the socket lock.
 */
void kssl_policy_clock(struct kssl_sock *ctx)
{
	bool due = kssl_policy_waits(ctx) == KSSL_WAITS_PEER;

	if (due == ctx->peer_due)
		return;
	ctx->peer_due = due;
	if (!due) {
		cancel_delayed_work(&ctx->peer_clock);
		return;
	}
	ctx->peer_extensions = 0;
	set_peer_clock(ctx);
}

/*
 * Our message may be behind much data on a slow path, and the answer likewise: as long
 * as TCP moves, the peer is not to blame; but not for ever.
 */
static bool may_still_come(struct kssl_sock *ctx)
{
	if (ctx->rx.starved || ctx->rx.update_due)
		return true;
	return ctx->peer_progress != progress_of(ctx) &&
	       ctx->peer_extensions++ < PEER_EXTENSIONS;
}

/**
 * kssl_policy_peer_late() - the peer did not go on with a handshake in time
 * @work: kssl_sock.peer_clock
 *
 * Context: Process context.
 */
void kssl_policy_peer_late(struct work_struct *work)
{
	struct kssl_sock *ctx = container_of(to_delayed_work(work), struct kssl_sock,
					     peer_clock);
	struct sock *sk = ctx->sk;

	if (!kssl_sock_trylock(ctx, work))
		return;
	/* Its message may be here already, and have waited for memory or for us. */
	kssl_rx_pump(ctx, 1);
	kssl_policy_clock(ctx);
	if (!ctx->peer_due || time_before(jiffies, ctx->peer_deadline))
		goto out;
	if (may_still_come(ctx))
		set_peer_clock(ctx);
	else
		kssl_fail(ctx, ETIMEDOUT, KSSL_WHO_PEER, KSSL_ALERT_INTERNAL_ERROR,
			  "the peer did not go on with a handshake in time");
out:
	release_sock(sk);
}
