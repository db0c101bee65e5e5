// SPDX-License-Identifier: GPL-2.0
/*
 * Control records: who answers them.  As a rule the helper, to whom each is handed
 * with receiving held until it says "continue".  Where the policy says so, or there is
 * no helper any more, the kernel does what needs no certificate and no random number:
 * KeyUpdates (RFC 8446 4.6.3) and refusals.
 */
#include "kssl.h"

/* A short record costs the helper as much as this one, so it counts as much. */
#define RECORD_MIN	256

/**
 * kssl_bounce_to_helper() - hand a record to the helper and hold receiving
 * @ctx: connection
 * @skb: the record, see struct kssl_rx_cb; taken over
 *
 * Context: Caller holds the socket lock.
 */
void kssl_bounce_to_helper(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;

	rx->held = true;
	if (rx->dir.epoch && (rx->dir.epoch->ver->flags & KSSL_V_HOLD_TX))
		kssl_tx_hold(ctx, KSSL_HOLD_RX);
	/* After that hold, under which no key of ours changes by itself. */
	kssl_rx_cb(skb)->tx_epoch = ctx->tx.dir.epochs;
	rx->pending = skb_get(skb);
	kssl_control_post(ctx, skb);
}

/**
 * kssl_bounce_answered() - the helper has done with the record it had
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_bounce_answered(struct kssl_sock *ctx)
{
	kfree_skb(ctx->rx.pending);
	ctx->rx.pending = NULL;
}

/* ---- what is in a record ---- */

/* Go on to the end of a message: 1, or of the record: 0; -EDQUOT if it will be too long. */
static int next_message(struct kssl_sock *ctx, struct sk_buff *skb, unsigned int *pos)
{
	struct kssl_message *m = &ctx->rx.message;
	unsigned int len = kssl_rx_cb(skb)->len;
	bool whole = false;
	u8 octets[128];

	while (!whole && *pos < len) {
		unsigned int n = min_t(unsigned int, sizeof(octets), len - *pos);

		if (skb_copy_bits(skb, *pos, octets, n))
			return -EIO;
		*pos += kssl_message_take(m, octets, n, &whole);
		if (m->have == KSSL_MESSAGE_HEADER_LEN &&
		    kssl_message_len(m) > ctx->policy.message_max)
			return -EDQUOT;
	}
	return whole;
}

/**
 * struct contents - the messages of one record
 * @ended: how many end in it
 * @starts: how many of those start a renegotiation
 * @updates: how many are KeyUpdates
 */
struct contents {
	unsigned int ended;
	unsigned int starts;
	unsigned int updates;
};

static int look_at(struct kssl_sock *ctx, struct sk_buff *skb, struct contents *c)
{
	const struct kssl_message *m = &ctx->rx.message;
	unsigned int pos = 0;
	int ret;

	*c = (struct contents) {};
	ctx->rx.before = *m;
	if (kssl_rx_cb(skb)->type != KSSL_TYPE_HANDSHAKE)
		return 0;
	while ((ret = next_message(ctx, skb, &pos)) > 0) {
		c->ended++;
		c->starts += m->header[0] == KSSL_HANDSHAKE_HELLO_REQUEST ||
			     m->header[0] == KSSL_HANDSHAKE_CLIENT_HELLO;
		c->updates += m->header[0] == KSSL_HANDSHAKE_KEY_UPDATE;
	}
	return ret;
}

/* ---- limits ---- */

/* Who does something now and then may go on with it for ever. */
static void age_counts(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;

	if (time_before(jiffies, rx->counted_since + msecs_to_jiffies(ctx->policy.starts_ms)))
		return;
	rx->counted_since = jiffies;
	rx->starts = 0;
	rx->useless = 0;
}

/* Is it a KeyUpdate that we have asked for? */
static bool was_asked_for(struct kssl_rx *rx, const struct contents *c)
{
	if (!c->updates || !rx->updates_asked)
		return false;
	rx->updates_asked -= min(c->updates, rx->updates_asked);
	return true;
}

/* Does the peer make us work too much? The sentence to fail with, or NULL. */
static const char *too_much(struct kssl_sock *ctx, unsigned int len, const struct contents *c)
{
	struct kssl_rx *rx = &ctx->rx;
	/* But who is not allowed longer ones has to have more of them. */
	unsigned int least = min_t(unsigned int, RECORD_MIN, rx->dir.epoch->max_payload);
	bool running = kssl_sock_in_handshake(ctx) || ctx->awaits || rx->expects;

	age_counts(ctx);
	if (!running)
		rx->flight = 0;
	rx->flight += max(len, least);
	if (rx->flight > ctx->policy.flight_max)
		return "the peer's handshake is too long";
	if (running)
		return NULL;
	rx->starts += c->starts;
	if (rx->starts > ctx->policy.starts_max)
		return "the peer starts renegotiations too often";
	if (!c->starts && !was_asked_for(rx, c))
		rx->useless++;
	return rx->useless > (u64)ctx->policy.useless_max * DIV_ROUND_UP(RECORD_MIN, least) ?
	       "too many control records in a row" : NULL;
}

static void fail(struct kssl_sock *ctx, int err, const char *text)
{
	kssl_fail(ctx, err, KSSL_WHO_KERNEL, kssl_alert_of_errno(err), text);
}

/* ---- KeyUpdate ---- */

static bool knows_next(const struct kssl_dir *dir)
{
	return dir->epoch && dir->epoch->secret_len;
}

/* Is the record just looked at one KeyUpdate and nothing else, and is it ours to answer? */
static bool is_update(const struct kssl_sock *ctx, unsigned int len, const struct contents *c)
{
	const struct kssl_message *m = &ctx->rx.message;

	return (ctx->orphan || (ctx->policy.flags & KSSL_POLICY_KEY_UPDATE)) &&
	       ctx->rx.established && knows_next(&ctx->rx.dir) && knows_next(&ctx->tx.dir) &&
	       c->ended == 1 && len == KSSL_MESSAGE_HEADER_LEN + 1 && m->body == 1 &&
	       m->header[0] == KSSL_HANDSHAKE_KEY_UPDATE && m->first <= KSSL_UPDATE_REQUESTED &&
	       !kssl_message_is_open(&ctx->rx.before);
}

/**
 * kssl_bounce_update() - take the next receiving key into use
 * @ctx: connection; a KeyUpdate has come
 *
 * Context: Process context. Caller holds the socket lock.
 * Return: 0; %-ENOMEM, and it is to be tried again before the next record; or the
 * error with which the connection has failed.
 */
int kssl_bounce_update(struct kssl_sock *ctx)
{
	struct kssl_epoch *e = kssl_epoch_next(ctx->rx.dir.epoch);
	int ret = PTR_ERR_OR_ZERO(e);

	ctx->rx.update_due = ret == -ENOMEM;
	if (ret == -ENOMEM)
		return ret;
	if (ret) {
		fail(ctx, EIO, "the key after a KeyUpdate could not be derived");
		return -EIO;
	}
	kssl_rx_set_key(ctx, e, 0);
	ctx->updates_received++;
	kssl_control_updated(ctx);
	return 0;
}

/* The answer goes out before our next data, and one answers all requests so far. */
static void receive_update(struct kssl_sock *ctx, u8 request)
{
	if (request == KSSL_UPDATE_REQUESTED)
		kssl_tx_ask(ctx, KSSL_DUE_UPDATE);
	kssl_bounce_update(ctx);
}

/* ---- without a helper ---- */

static void orphan_update(struct kssl_sock *ctx, bool last)
{
	const struct kssl_message *m = &ctx->rx.message;

	if (!last)
		/* RFC 8446 5.1 */
		fail(ctx, EPROTO, "a KeyUpdate with more behind it in its record");
	else if (m->body != 1)
		/* RFC 8446 6.2 */
		kssl_fail(ctx, EPROTO, KSSL_WHO_KERNEL, KSSL_ALERT_DECODE_ERROR,
			  "a KeyUpdate of the wrong length");
	else if (m->first > KSSL_UPDATE_REQUESTED)
		/* RFC 8446 4.6.3 */
		kssl_fail(ctx, EPROTO, KSSL_WHO_KERNEL, KSSL_ALERT_ILLEGAL_PARAMETER,
			  "a KeyUpdate that asks for something unknown");
	else if (!knows_next(&ctx->rx.dir) || !knows_next(&ctx->tx.dir))
		fail(ctx, ESRCH, "a KeyUpdate came and the helper is gone");
	else
		receive_update(ctx, m->first);
}

static void orphan_message(struct kssl_sock *ctx, bool last)
{
	bool inner = ctx->rx.dir.epoch->ver->flags & KSSL_V_INNER_TYPE;

	switch (ctx->rx.message.header[0]) {
	case KSSL_HANDSHAKE_TICKET:
		if (!inner)
			break;
		return;
	case KSSL_HANDSHAKE_KEY_UPDATE:
		if (!inner)
			break;
		orphan_update(ctx, last);
		return;
	case KSSL_HANDSHAKE_HELLO_REQUEST:
		if (inner)
			break;
		return;		/* RFC 5246 7.4.1.1: may be ignored */
	case KSSL_HANDSHAKE_CLIENT_HELLO:
		if (inner)
			break;
		kssl_tx_ask(ctx, KSSL_DUE_REFUSAL);
		return;
	case KSSL_HANDSHAKE_SERVER_HELLO:
		break;
	default:
		if (!inner)
			break;
		fail(ctx, ESRCH, "a handshake message came and the helper is gone");
		return;
	}
	fail(ctx, EPROTO, "a handshake message that is not legal here");
}

static void answer_as_orphan(struct kssl_sock *ctx, struct sk_buff *skb)
{
	struct kssl_rx *rx = &ctx->rx;
	unsigned int pos = 0;

	if (kssl_rx_cb(skb)->type == KSSL_TYPE_CHANGE_CIPHER_SPEC)
		fail(ctx, EPROTO, "a ChangeCipherSpec and no handshake");
	if (kssl_rx_cb(skb)->type != KSSL_TYPE_HANDSHAKE)
		return;
	rx->message = rx->before;
	while (!ctx->error.err && next_message(ctx, skb, &pos) > 0)
		orphan_message(ctx, pos == kssl_rx_cb(skb)->len);
}

/**
 * kssl_bounce_orphan() - the helper is gone
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_bounce_orphan(struct kssl_sock *ctx)
{
	struct kssl_rx *rx = &ctx->rx;

	ctx->attended = false;
	rx->events++;
	if (ctx->error.err) {
		/* Receiving may live yet, and nobody lets it go on. */
		if (rx->held)
			kssl_fail(ctx, ESRCH, KSSL_WHO_HELPER, KSSL_ALERT_NONE,
				  "the helper went away in the middle of a handshake");
		return;
	}
	kssl_request_end(ctx, ctx->request_id, ESRCH);
	if (kssl_sock_in_handshake(ctx) || (rx->held && !rx->pending) ||
	    (rx->held && !(ctx->policy.flags & KSSL_POLICY_ORPHAN))) {
		kssl_fail(ctx, ESRCH, KSSL_WHO_HELPER, KSSL_ALERT_INTERNAL_ERROR,
			  "the helper went away in the middle of a handshake");
		return;
	}
	if (!(ctx->policy.flags & KSSL_POLICY_ORPHAN))
		return;
	ctx->orphan = true;
	kssl_genl_event(ctx, KSSL_EVENT_NL_ORPHANED);
	ctx->helper_due = false;
	ctx->awaits = false;
	rx->expects = false;
	cancel_delayed_work(&ctx->helper_clock);
	if (rx->pending)
		answer_as_orphan(ctx, rx->pending);
	kssl_bounce_answered(ctx);
	rx->held = false;
	kssl_tx_release(ctx, KSSL_HOLD_RX);
	/* What the helper was asked for and had not done. */
	kssl_policy_rearm(ctx, &ctx->tx.dir);
	kssl_policy_rearm(ctx, &rx->dir);
	kssl_policy_clock(ctx);
}

/**
 * kssl_bounce() - a record of handshake messages or a ChangeCipherSpec came
 * @ctx: connection that has, or had, a helper
 * @skb: the record; taken over
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_bounce(struct kssl_sock *ctx, struct sk_buff *skb)
{
	unsigned int len = kssl_rx_cb(skb)->len;
	const char *why = "a handshake message is too long";
	struct contents c;
	int ret = look_at(ctx, skb, &c);

	if (!ret)
		why = too_much(ctx, len, &c);
	if (ret || why) {
		kfree_skb(skb);
		fail(ctx, ret == -EIO ? EIO : EDQUOT, why);
		return;
	}
	if (is_update(ctx, len, &c)) {
		kfree_skb(skb);
		receive_update(ctx, ctx->rx.message.first);
	} else if (ctx->attended) {
		kssl_bounce_to_helper(ctx, skb);
	} else if (ctx->orphan) {
		answer_as_orphan(ctx, skb);
		kfree_skb(skb);
	} else {
		kfree_skb(skb);
		fail(ctx, ESRCH, "a handshake message came and the helper is gone");
	}
}
