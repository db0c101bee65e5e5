// SPDX-License-Identifier: GPL-2.0
/*
 * What a network namespace has: its connections by number, those that wait for a
 * helper, who shakes hands and how many, and what became of those that failed.
 *
 * kssl_net.lock is taken inside of the socket lock.
 */
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/netns/generic.h>
#include "kssl.h"

/* Who waits when the last helper leaves gets so long until another has to be there. */
#define HELPER_GRACE	(5 * HZ)

static unsigned int handshakes_net = 16384;
module_param(handshakes_net, uint, 0444);
MODULE_PARM_DESC(handshakes_net, "first handshakes at a time in one network namespace");

static unsigned int handshakes_user = 4096;
module_param(handshakes_user, uint, 0444);
MODULE_PARM_DESC(handshakes_user, "first handshakes at a time of one user in one namespace");

static unsigned int handshakes_listener = 1024;
module_param(handshakes_listener, uint, 0444);
MODULE_PARM_DESC(handshakes_listener, "first handshakes at a time behind one listening socket");

/* A user who has handshakes under way. */
struct party {
	struct hlist_node node;
	kuid_t uid;
	unsigned int handshakes;
};

/* Who takes connections. */
struct helper {
	struct list_head entry;
	u32 portid;
};

static unsigned int net_id __read_mostly;

/**
 * kssl_net_of() - what we have for a network namespace
 * @net: namespace
 *
 * Context: Any.
 */
struct kssl_net *kssl_net_of(const struct net *net)
{
	return net_generic(net, net_id);
}

static struct kssl_net *net_of(const struct kssl_sock *ctx)
{
	return kssl_net_of(sock_net(ctx->sk));
}

/* ---- by number ---- */

/**
 * kssl_upcall_add() - give a connection its number
 * @ctx: new connection
 *
 * Context: Process context.
 * Return: 0, %-ENOMEM, or %-EBUSY without a number that is free.
 */
int kssl_upcall_add(struct kssl_sock *ctx)
{
	struct kssl_net *kn = net_of(ctx);
	int ret = xa_alloc_cyclic(&kn->socks, &ctx->id, ctx, xa_limit_31b, &kn->next_id,
				  GFP_KERNEL);

	if (ret < 0)
		return ret;
	atomic64_inc(&kn->stats[KSSL_A_STATS_SESSIONS]);
	atomic64_inc(&kn->stats[KSSL_A_STATS_ATTACHED]);
	return 0;
}

/**
 * kssl_upcall_find() - a connection of a namespace
 * @kn: namespace
 * @id: (in, out) number to begin with; the one found
 * @exact: no other one will do
 *
 * Context: Process context.
 * Return: with a reference, or NULL.
 */
struct kssl_sock *kssl_upcall_find(struct kssl_net *kn, unsigned long *id, bool exact)
{
	struct kssl_sock *ctx;

	xa_lock(&kn->socks);
	if (exact)
		ctx = xa_load(&kn->socks, *id);
	else
		ctx = xa_find(&kn->socks, id, ULONG_MAX, XA_PRESENT);
	if (ctx)
		refcount_inc(&ctx->ref);
	xa_unlock(&kn->socks);
	return ctx;
}

/* ---- how many ---- */

static struct party *find_party(struct kssl_net *kn, kuid_t uid)
{
	struct party *party;

	hash_for_each_possible(kn->users, party, node, __kuid_val(uid))
		if (uid_eq(party->uid, uid))
			return party;
	return NULL;
}

/* Count one more; @spare is used up if the user is new. Caller holds the lock. */
static bool take_off(struct kssl_net *kn, struct kssl_ask *ask, struct party **spare)
{
	struct party *party = find_party(kn, ask->who.uid);

	if (kn->handshakes >= handshakes_net || (party && party->handshakes >= handshakes_user) ||
	    (ask->listener && ask->handshakes >= handshakes_listener))
		return false;
	if (!party) {
		party = *spare;
		*spare = NULL;
		party->uid = ask->who.uid;
		hash_add(kn->users, &party->node, __kuid_val(party->uid));
	}
	party->handshakes++;
	kn->handshakes++;
	ask->handshakes++;
	return true;
}

static void land(struct kssl_net *kn, struct kssl_ask *ask)
{
	struct party *party = find_party(kn, ask->who.uid);

	kn->handshakes--;
	ask->handshakes--;
	if (!--party->handshakes) {
		hash_del(&party->node);
		kfree(party);
	}
}

/* Caller holds the lock. */
static void stop_waiting(struct kssl_net *kn, struct kssl_sock *ctx)
{
	list_del(&ctx->wait_entry);
	WRITE_ONCE(ctx->waiting, false);
	kn->waiting--;
}

/**
 * kssl_upcall_landed() - the first handshake is over, one way or another
 * @ctx: connection
 *
 * Context: Caller holds the socket lock.
 */
void kssl_upcall_landed(struct kssl_sock *ctx)
{
	struct kssl_net *kn = net_of(ctx);

	spin_lock(&kn->lock);
	if (ctx->waiting)
		stop_waiting(kn, ctx);
	if (ctx->counted)
		land(kn, ctx->ask);
	ctx->counted = false;
	spin_unlock(&kn->lock);
}

/* ---- the queue ---- */

static bool helper_listens(struct kssl_sock *ctx)
{
	struct kssl_net *kn = net_of(ctx);
	bool listens;

	spin_lock(&kn->lock);
	listens = !list_empty(&kn->helpers) ||
		  (kn->has_seen && time_before(jiffies, kn->seen + HELPER_GRACE));
	spin_unlock(&kn->lock);
	return listens;
}

static struct helper *find_helper(struct kssl_net *kn, u32 portid)
{
	struct helper *helper;

	list_for_each_entry(helper, &kn->helpers, entry)
		if (helper->portid == portid)
			return helper;
	return NULL;
}

/**
 * kssl_upcall_helper() - a helper is there
 * @kn: namespace
 * @portid: its netlink socket
 *
 * Which sockets have joined a multicast group the kernel does not tell by namespace.
 *
 * Context: Process context.
 * Return: 0 or %-ENOMEM.
 */
int kssl_upcall_helper(struct kssl_net *kn, u32 portid)
{
	struct helper *helper;

	spin_lock(&kn->lock);
	helper = find_helper(kn, portid);
	spin_unlock(&kn->lock);
	if (helper)
		return 0;
	helper = kzalloc(sizeof(*helper), GFP_KERNEL);
	if (!helper)
		return -ENOMEM;
	helper->portid = portid;
	spin_lock(&kn->lock);
	if (!find_helper(kn, portid)) {
		list_add(&helper->entry, &kn->helpers);
		helper = NULL;
	}
	spin_unlock(&kn->lock);
	kfree(helper);
	return 0;
}

/**
 * kssl_upcall_helper_gone() - a netlink socket was closed
 * @kn: namespace
 * @portid: the socket
 *
 * Context: Process context.
 */
void kssl_upcall_helper_gone(struct kssl_net *kn, u32 portid)
{
	struct helper *helper;

	spin_lock(&kn->lock);
	helper = find_helper(kn, portid);
	if (helper) {
		list_del(&helper->entry);
		kn->seen = jiffies;
		kn->has_seen = true;
	}
	spin_unlock(&kn->lock);
	kfree(helper);
}

static void set_clock(struct kssl_sock *ctx)
{
	unsigned long at = ctx->handshake_deadline;

	/* Is there a helper still? */
	if (READ_ONCE(ctx->waiting) && time_before(jiffies + HELPER_GRACE, at))
		at = jiffies + HELPER_GRACE;
	kssl_sock_later(ctx, &ctx->handshake_clock, max_t(long, at - jiffies, 0));
}

static void fail(struct kssl_sock *ctx, int err, int counter, const char *text)
{
	atomic64_inc(&net_of(ctx)->stats[counter]);
	kssl_fail(ctx, err, KSSL_WHO_KERNEL, KSSL_ALERT_NONE, text);
}

static const char no_helper[] = "no helper listens in this network namespace: is kssld running?";

/**
 * kssl_upcall_look() - go on waiting for a helper, if one listens
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_upcall_look(struct kssl_sock *ctx)
{
	if (READ_ONCE(ctx->waiting) && !helper_listens(ctx))
		fail(ctx, EUNATCH, KSSL_A_STATS_NO_HELPER, no_helper);
	else
		set_clock(ctx);
}

/**
 * kssl_upcall_submit() - have a helper take the connection
 * @ctx: connection, with what it wants
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_upcall_submit(struct kssl_sock *ctx)
{
	struct kssl_net *kn = net_of(ctx);
	struct party *spare;

	if (!helper_listens(ctx)) {
		fail(ctx, EUNATCH, KSSL_A_STATS_NO_HELPER, no_helper);
		return;
	}
	spare = kzalloc(sizeof(*spare), GFP_KERNEL);
	if (!spare) {
		kssl_fail(ctx, ENOMEM, KSSL_WHO_KERNEL, KSSL_ALERT_NONE, "out of memory");
		return;
	}
	spin_lock(&kn->lock);
	ctx->counted = take_off(kn, ctx->ask, &spare);
	if (ctx->counted) {
		list_add_tail(&ctx->wait_entry, &kn->queue);
		ctx->waiting = true;
		kn->waiting++;
	}
	spin_unlock(&kn->lock);
	kfree(spare);
	if (!ctx->counted) {
		fail(ctx, EUSERS, KSSL_A_STATS_TOO_MANY, "too many handshakes at a time");
		return;
	}
	set_clock(ctx);
	kssl_genl_ready(ctx);
}

/**
 * kssl_upcall_take() - who waits longest is about to be some helper's
 * @kn: namespace
 * @id: this one only, unless 0
 * @t: (out) the connection, for kssl_upcall_give_up()
 *
 * Without the socket lock: its owner may sleep for as long as he likes, and a helper that
 * waited for him would be nobody's helper.
 *
 * Context: Process context.
 * Return: 0, %-EAGAIN if none waits, %-EBUSY if another helper is about to have it.
 */
int kssl_upcall_take(struct kssl_net *kn, u32 id, struct kssl_taken *t)
{
	struct kssl_sock *ctx;
	int ret = -EAGAIN;

	spin_lock(&kn->lock);
	list_for_each_entry(ctx, &kn->queue, wait_entry) {
		if (id && ctx->id != id)
			continue;
		ret = ctx->in_hand ? -EBUSY : 0;
		if (ret)
			continue;
		ctx->in_hand = true;
		/* It is not removed before it has landed, for which this lock is needed. */
		refcount_inc(&ctx->ref);
		refcount_inc(&ctx->ask->ref);
		sock_hold(ctx->sk);
		*t = (struct kssl_taken){ .ctx = ctx, .sk = ctx->sk, .ask = ctx->ask };
		break;
	}
	spin_unlock(&kn->lock);
	return ret;
}

/**
 * kssl_upcall_give_up() - the helper has the connection, or could not take it
 * @kn: namespace
 * @t: of kssl_upcall_take()
 * @again: the connection goes on waiting, if it still does: behind the others, which the
 *	next helper need not fail on too
 *
 * Context: Process context, without the socket lock.
 */
void kssl_upcall_give_up(struct kssl_net *kn, struct kssl_taken *t, bool again)
{
	struct kssl_sock *ctx = t->ctx;

	spin_lock(&kn->lock);
	ctx->in_hand = false;
	if (ctx->waiting && again)
		list_move_tail(&ctx->wait_entry, &kn->queue);
	else if (ctx->waiting)
		stop_waiting(kn, ctx);
	spin_unlock(&kn->lock);
	kssl_ask_put(t->ask);
	sock_put(t->sk);
	kssl_sock_put(ctx);
}

/* ---- the end ---- */

/* What is told of connections that are gone. Caller holds the socket lock. */
static void remember(struct kssl_net *kn, struct kssl_sock *ctx)
{
	struct kssl_failure *f = kzalloc(sizeof(*f), GFP_KERNEL), *oldest = NULL;

	if (!f)
		return;
	f->at = jiffies;
	kssl_genl_note(&f->note, ctx);
	spin_lock(&kn->lock);
	list_add_tail(&f->entry, &kn->failures);
	if (kn->failures_count == KSSL_FAILURES_MAX) {
		oldest = list_first_entry(&kn->failures, struct kssl_failure, entry);
		list_del(&oldest->entry);
	} else {
		kn->failures_count++;
	}
	spin_unlock(&kn->lock);
	kfree(oldest);
}

/**
 * kssl_upcall_remove() - the connection is about to be closed
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_upcall_remove(struct kssl_sock *ctx)
{
	struct kssl_net *kn = net_of(ctx);

	kssl_upcall_landed(ctx);
	xa_erase(&kn->socks, ctx->id);
	atomic64_dec(&kn->stats[KSSL_A_STATS_SESSIONS]);
	atomic64_add(ctx->tx.dir.records, &kn->stats[KSSL_A_STATS_TX_RECORDS]);
	atomic64_add(ctx->tx.dir.bytes, &kn->stats[KSSL_A_STATS_TX_BYTES]);
	atomic64_add(ctx->rx.dir.records, &kn->stats[KSSL_A_STATS_RX_RECORDS]);
	atomic64_add(ctx->rx.dir.bytes, &kn->stats[KSSL_A_STATS_RX_BYTES]);
	kssl_genl_event(ctx, KSSL_EVENT_NL_CLOSED);
	if (ctx->error.err)
		remember(kn, ctx);
	kssl_ask_put(ctx->ask);
	ctx->ask = NULL;
}

/**
 * kssl_upcall_count() - one more of what KSSL_CMD_STATS tells
 * @ctx: connection
 * @counter: enum kssl_attr_stats
 *
 * Context: Any.
 */
void kssl_upcall_count(struct kssl_sock *ctx, int counter)
{
	atomic64_inc(&net_of(ctx)->stats[counter]);
}

static int __net_init net_init(struct net *net)
{
	struct kssl_net *kn = kssl_net_of(net);

	xa_init_flags(&kn->socks, XA_FLAGS_ALLOC1);
	spin_lock_init(&kn->lock);
	INIT_LIST_HEAD(&kn->helpers);
	INIT_LIST_HEAD(&kn->queue);
	INIT_LIST_HEAD(&kn->failures);
	hash_init(kn->users);
	return 0;
}

static void __net_exit net_exit(struct net *net)
{
	struct kssl_net *kn = kssl_net_of(net);
	struct helper *helper, *next_helper;
	struct kssl_failure *f, *next;

	list_for_each_entry_safe(helper, next_helper, &kn->helpers, entry)
		kfree(helper);
	list_for_each_entry_safe(f, next, &kn->failures, entry)
		kfree(f);
	xa_destroy(&kn->socks);
}

static struct pernet_operations net_ops = {
	.init	= net_init,
	.exit	= net_exit,
	.id	= &net_id,
	.size	= sizeof(struct kssl_net),
};

/**
 * kssl_upcall_init() - have a struct kssl_net in each namespace
 *
 * Context: Process context.
 * Return: 0 or %-ENOMEM.
 */
int kssl_upcall_init(void)
{
	return register_pernet_subsys(&net_ops);
}

/**
 * kssl_upcall_exit() - no socket has the ULP any more
 *
 * Context: Process context.
 */
void kssl_upcall_exit(void)
{
	unregister_pernet_subsys(&net_ops);
}
