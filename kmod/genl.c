// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family "kssl", as uapi/linux/kssl.h has it.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include "kssl.h"

/*
 * So long a command may wait for a socket, whose owner may sleep for as long as he likes:
 * all of generic netlink waits with it, where a family comes or goes.
 */
#define PATIENCE	HZ

enum { GROUP_HELPERS, GROUP_EVENTS };

static struct genl_family family;

/* ---- what is told of a connection ---- */

static void fill_address(struct kssl_address *a, const struct sock *sk, bool peer)
{
	const struct inet_sock *inet = inet_sk(sk);

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		a->len = sizeof(a->v6);
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = peer ? inet->inet_dport : inet->inet_sport;
		a->v6.sin6_addr = peer ? sk->sk_v6_daddr : sk->sk_v6_rcv_saddr;
		return;
	}
#endif
	a->len = sizeof(a->v4);
	a->v4.sin_family = AF_INET;
	a->v4.sin_port = peer ? inet->inet_dport : inet->inet_sport;
	a->v4.sin_addr.s_addr = peer ? inet->inet_daddr : inet->inet_rcv_saddr;
}

static u8 state_of(const struct kssl_sock *ctx)
{
	if (ctx->error.err)
		return KSSL_SESSION_STATE_FAILED;
	if (READ_ONCE(ctx->waiting))
		return KSSL_SESSION_STATE_WAITING;
	if (ctx->attended)
		return ctx->handshakes ? KSSL_SESSION_STATE_ATTENDED :
					 KSSL_SESSION_STATE_HANDSHAKE;
	return ctx->orphan ? KSSL_SESSION_STATE_ORPHAN : KSSL_SESSION_STATE_UNATTENDED;
}

/* What does not change while it waits for a helper, or is told without the lock. */
static void note_basics(struct kssl_note *note, const struct kssl_sock *ctx, const struct sock *sk)
{
	note->id = ctx->id;
	note->who = ctx->who;
	note->role = ctx->role;
	note->listener = ctx->listener;
	fill_address(&note->local, sk, false);
	fill_address(&note->peer, sk, true);
}

static void note_ask(struct kssl_note *note, const struct kssl_ask *ask)
{
	strscpy(note->profile, ask->wants.profile, sizeof(note->profile));
	strscpy(note->name, ask->wants.name, sizeof(note->name));
}

/**
 * kssl_genl_note() - what is told of a connection
 * @note: (out) filled in, all zero before
 * @ctx: connection
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_genl_note(struct kssl_note *note, struct kssl_sock *ctx)
{
	struct kssl_session session;

	note_basics(note, ctx, ctx->sk);
	note->state = state_of(ctx);
	note->attached = ctx->attached;
	note->error = ctx->error;
	note->has_request = ctx->request_id && ctx->request_what != KSSL_ASK_EXPORTER;
	note->request = ctx->request;
	note->pad_to = ctx->policy.pad_to;
	kssl_status_fill(ctx, &note->status);
	if (!kssl_session_fill(ctx, &session)) {
		note->has_session = true;
		note->session_flags = session.flags;
		strscpy(note->profile, session.profile, sizeof(note->profile));
		strscpy(note->name, session.name, sizeof(note->name));
		strscpy(note->alpn, session.alpn, sizeof(note->alpn));
	} else if (ctx->ask) {
		note_ask(note, ctx->ask);
	}
}

static int put_dir(struct sk_buff *skb, int attr, const struct kssl_dir_status *dir)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest ||
	    nla_put_u16(skb, KSSL_A_DIR_VERSION, dir->version) ||
	    nla_put_u16(skb, KSSL_A_DIR_SUITE, dir->suite) ||
	    nla_put_u8(skb, KSSL_A_DIR_STATE, dir->state) ||
	    nla_put_u8(skb, KSSL_A_DIR_FLAGS, dir->flags) ||
	    nla_put_u32(skb, KSSL_A_DIR_EPOCH, dir->epoch) ||
	    nla_put_u64_64bit(skb, KSSL_A_DIR_SEQ, dir->seq, KSSL_A_DIR_PAD) ||
	    nla_put_u64_64bit(skb, KSSL_A_DIR_RECORDS, dir->records, KSSL_A_DIR_PAD) ||
	    nla_put_u64_64bit(skb, KSSL_A_DIR_BYTES, dir->bytes, KSSL_A_DIR_PAD) ||
	    nla_put_u16(skb, KSSL_A_DIR_MAX_PAYLOAD, dir->max_payload))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_error(struct sk_buff *skb, const struct kssl_error *error)
{
	if (!error->err)
		return 0;
	if (nla_put_u32(skb, KSSL_A_ERROR, error->err) ||
	    nla_put_u8(skb, KSSL_A_WHO, error->who) ||
	    (error->has_alert && nla_put_u8(skb, KSSL_A_ALERT, error->alert)) ||
	    (error->x509 && nla_put_u32(skb, KSSL_A_X509, error->x509)) ||
	    nla_put_string(skb, KSSL_A_TEXT, error->text))
		return -EMSGSIZE;
	return 0;
}

static int put_who(struct sk_buff *skb, const struct kssl_who *who, struct user_namespace *ns)
{
	if (nla_put_u32(skb, KSSL_A_UID, from_kuid_munged(ns, who->uid)) ||
	    nla_put_u32(skb, KSSL_A_GID, from_kgid_munged(ns, who->gid)) ||
	    nla_put_u32(skb, KSSL_A_PID, who->pid) ||
	    nla_put_string(skb, KSSL_A_COMM, who->comm) ||
	    nla_put_u64_64bit(skb, KSSL_A_CGROUP, who->cgroup, KSSL_A_PAD))
		return -EMSGSIZE;
	return 0;
}

/* What READY and ACCEPT have in common with SESSION. */
static int put_basics(struct sk_buff *skb, const struct kssl_note *note, struct user_namespace *ns)
{
	if (nla_put_u32(skb, KSSL_A_ID, note->id) || put_who(skb, &note->who, ns) ||
	    (note->role && nla_put_u8(skb, KSSL_A_ROLE, note->role)) ||
	    (note->listener && nla_put_u32(skb, KSSL_A_LISTENER, note->listener)) ||
	    (note->profile[0] && nla_put_string(skb, KSSL_A_PROFILE, note->profile)) ||
	    (note->name[0] && nla_put_string(skb, KSSL_A_NAME, note->name)) ||
	    nla_put(skb, KSSL_A_LOCAL, note->local.len, &note->local.v6) ||
	    nla_put(skb, KSSL_A_PEER, note->peer.len, &note->peer.v6))
		return -EMSGSIZE;
	return 0;
}

static int put_session(struct sk_buff *skb, const struct kssl_note *note, unsigned long since,
		       struct user_namespace *ns)
{
	const struct kssl_status *s = &note->status;

	if (put_basics(skb, note, ns) ||
	    nla_put_u8(skb, KSSL_A_STATE, note->state) ||
	    put_dir(skb, KSSL_A_TX, &s->tx) || put_dir(skb, KSSL_A_RX, &s->rx) ||
	    nla_put_u32(skb, KSSL_A_HANDSHAKES, s->handshakes) ||
	    nla_put_u32(skb, KSSL_A_KEY_UPDATES, s->key_updates_sent + s->key_updates_received) ||
	    nla_put_u32(skb, KSSL_A_HOLDS, s->holds) ||
	    nla_put_u64_64bit(skb, KSSL_A_HOLD_MAX, s->hold_max_ns, KSSL_A_PAD) ||
	    nla_put_u8(skb, KSSL_A_WAITS, s->waits) ||
	    (note->has_request && nla_put_u32(skb, KSSL_A_REQUEST, note->request)) ||
	    (note->pad_to > 1 && nla_put_u32(skb, KSSL_A_PAD_TO, note->pad_to)) ||
	    (note->has_session && nla_put_u32(skb, KSSL_A_SESSION_FLAGS, note->session_flags)) ||
	    (note->alpn[0] && nla_put_string(skb, KSSL_A_ALPN, note->alpn)) ||
	    nla_put_u64_64bit(skb, KSSL_A_AGE, (u64)(jiffies - since) * MSEC_PER_SEC / HZ,
			      KSSL_A_PAD) ||
	    put_error(skb, &note->error))
		return -EMSGSIZE;
	return 0;
}

/* ---- messages of our own ---- */

/* What READY and ACCEPT tell of a connection that waits, or has just been taken. */
static int put_ask(struct sk_buff *skb, const struct kssl_sock *ctx, const struct sock *sk,
		   const struct kssl_ask *ask)
{
	struct kssl_note *note = kzalloc(sizeof(*note), GFP_KERNEL);
	const struct kssl_handshake *wants = &ask->wants;
	long left = ctx->handshake_deadline - jiffies;
	int ret = 0;

	if (!note)
		return -ENOMEM;
	note_basics(note, ctx, sk);
	note_ask(note, ask);
	if (put_basics(skb, note, &init_user_ns) ||
	    nla_put_u32(skb, KSSL_A_FLAGS, wants->flags) ||
	    nla_put_u32(skb, KSSL_A_TIMEOUT, jiffies_to_msecs(max(left, 1L))) ||
	    nla_put_u8(skb, KSSL_A_CLIENT_CERT, wants->client_cert) ||
	    (wants->alpn_len && nla_put(skb, KSSL_A_ALPN, wants->alpn_len, wants->alpn)) ||
	    (wants->pins_count &&
	     nla_put(skb, KSSL_A_PINS, wants->pins_count * KSSL_PIN_LEN, wants->pins)) ||
	    nla_put_u64_64bit(skb, KSSL_A_NETNS, sock_net(sk)->ns.inum, KSSL_A_PAD))
		ret = -EMSGSIZE;
	kfree(note);
	return ret;
}

static struct kssl_note *new_note(struct kssl_sock *ctx)
{
	struct kssl_note *note = kzalloc(sizeof(*note), GFP_KERNEL);

	if (note)
		kssl_genl_note(note, ctx);
	return note;
}

/**
 * kssl_genl_ready() - tell helpers that a connection waits
 * @ctx: connection
 *
 * If the message is lost, the helper's next KSSL_CMD_ACCEPT finds it.
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_genl_ready(struct kssl_sock *ctx)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *head = NULL;

	if (skb)
		head = genlmsg_put(skb, 0, 0, &family, 0, KSSL_CMD_READY);
	if (head && !put_ask(skb, ctx, ctx->sk, ctx->ask)) {
		genlmsg_end(skb, head);
		genlmsg_multicast_netns(&family, sock_net(ctx->sk), skb, 0, GROUP_HELPERS,
					GFP_KERNEL);
	} else {
		nlmsg_free(skb);
		genl_set_err(&family, sock_net(ctx->sk), 0, GROUP_HELPERS, -ENOBUFS);
	}
}

/**
 * kssl_genl_event() - tell who wants to know
 * @ctx: connection
 * @event: KSSL_EVENT_NL_*
 *
 * Context: Process context. Caller holds the socket lock.
 */
void kssl_genl_event(struct kssl_sock *ctx, u8 event)
{
	struct net *net = sock_net(ctx->sk);
	struct kssl_note *note;
	struct sk_buff *skb;
	void *head = NULL;

	if (!genl_has_listeners(&family, net, GROUP_EVENTS))
		return;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	note = new_note(ctx);
	if (skb && note)
		head = genlmsg_put(skb, 0, 0, &family, 0, KSSL_CMD_EVENT);
	if (head && !nla_put_u8(skb, KSSL_A_EVENT, event) &&
	    !put_session(skb, note, note->attached, &init_user_ns)) {
		genlmsg_end(skb, head);
		genlmsg_multicast_netns(&family, net, skb, 0, GROUP_EVENTS, GFP_KERNEL);
	} else {
		nlmsg_free(skb);
		genl_set_err(&family, net, 0, GROUP_EVENTS, -ENOBUFS);
	}
	kfree(note);
}

/* ---- commands ---- */

/* An answer with its header, or NULL with a sentence. */
static struct sk_buff *new_reply(struct genl_info *info, u8 cmd, void **head)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);

	*head = skb ? genlmsg_put_reply(skb, info, &family, 0, cmd) : NULL;
	if (!*head) {
		nlmsg_free(skb);
		GENL_SET_ERR_MSG(info, "out of memory");
		return NULL;
	}
	return skb;
}

static bool is_admin(struct sk_buff *skb, struct net *net)
{
	return netlink_ns_capable(skb, net->user_ns, CAP_NET_ADMIN);
}

/* Who sees a connection, and may end it. */
static bool may_see(struct sk_buff *skb, struct net *net, const struct kssl_who *who)
{
	return is_admin(skb, net) || uid_eq(NETLINK_CREDS(skb)->uid, who->uid);
}

/*
 * Lock the socket of a connection for a command; NULL once it is closed, and of another
 * user's it is not told whether it exists.  -EBUSY if somebody else has it.
 */
static struct sock *lock_session(struct sk_buff *skb, struct net *net, struct kssl_sock *ctx)
{
	struct sock *sk = kssl_control_hold(ctx);
	long patience = PATIENCE;

	if (!sk)
		return NULL;
	if (!may_see(skb, net, &ctx->who))
		goto put;
	if (!kssl_sock_lock_soon(sk, &patience)) {
		sock_put(sk);
		return ERR_PTR(-EBUSY);
	}
	if (READ_ONCE(ctx->sk) && may_see(skb, net, &ctx->who))
		return sk;
	release_sock(sk);
put:
	sock_put(sk);
	return NULL;
}

/* The connection of KSSL_A_ID with a reference and its socket locked, or an error. */
static struct kssl_sock *get_session(struct sk_buff *skb, struct genl_info *info,
				     struct sock **sk)
{
	struct net *net = genl_info_net(info);
	struct kssl_sock *ctx = NULL;
	unsigned long id;

	if (!info->attrs[KSSL_A_ID]) {
		GENL_SET_ERR_MSG(info, "which socket? KSSL_A_ID is missing");
		return ERR_PTR(-EINVAL);
	}
	id = nla_get_u32(info->attrs[KSSL_A_ID]);
	ctx = kssl_upcall_find(kssl_net_of(net), &id, true);
	*sk = ctx ? lock_session(skb, net, ctx) : NULL;
	if (!IS_ERR_OR_NULL(*sk))
		return ctx;
	if (ctx)
		kssl_sock_put(ctx);
	if (IS_ERR(*sk)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[KSSL_A_ID],
				    "a system call keeps the socket: try again later");
		return ERR_CAST(*sk);
	}
	NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[KSSL_A_ID],
			    "no socket of yours has this number");
	return ERR_PTR(-ENOENT);
}

static void put_back(struct kssl_sock *ctx, struct sock *sk)
{
	kssl_control_unlock(sk);
	kssl_sock_put(ctx);
}

static int do_version(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *head;
	u32 abi;

	if (!info->attrs[KSSL_A_ABI]) {
		GENL_SET_ERR_MSG(info, "whose version? KSSL_A_ABI is missing");
		return -EINVAL;
	}
	abi = nla_get_u32(info->attrs[KSSL_A_ABI]);
	if (abi < KSSL_ABI) {
		GENL_SET_ERR_MSG(info, "this program is older than the module: update it");
		return -EPROTONOSUPPORT;
	}
	if (abi > KSSL_ABI) {
		GENL_SET_ERR_MSG(info, "the module is older than this program: update it, and load it again");
		return -EPROTONOSUPPORT;
	}
	reply = new_reply(info, KSSL_CMD_VERSION, &head);
	if (!reply)
		return -ENOMEM;
	if (nla_put_u32(reply, KSSL_A_ABI, KSSL_ABI) ||
	    nla_put_string(reply, KSSL_A_MODULE, KSSL_VERSION)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);
}

/* The message first, the file last: what cannot be told of must not be lost. */
static int give(const struct kssl_taken *t, struct genl_info *info, int fd)
{
	struct sk_buff *reply;
	void *head;
	int ret;

	reply = new_reply(info, KSSL_CMD_ACCEPT, &head);
	if (!reply)
		return -ENOMEM;
	ret = nla_put_s32(reply, KSSL_A_CONTROL, fd) ? -EMSGSIZE :
	      put_ask(reply, t->ctx, t->sk, t->ask);
	if (ret) {
		nlmsg_free(reply);
		return ret;
	}
	genlmsg_end(reply, head);
	ret = genlmsg_reply(reply, info);
	/* EAGAIN is that nobody waits. */
	return ret == -EAGAIN ? -ENOBUFS : ret;
}

static int accept_socket(struct sk_buff *skb, struct genl_info *info)
{
	struct kssl_net *kn = kssl_net_of(genl_info_net(info));
	struct nlattr *attr = info->attrs[KSSL_A_ID];
	struct kssl_taken t;
	struct file *file;
	int fd, ret;

	ret = kssl_upcall_helper(kn, info->snd_portid);
	if (ret) {
		GENL_SET_ERR_MSG(info, "out of memory");
		return ret;
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		GENL_SET_ERR_MSG(info, "too many open files");
		return fd;
	}
	ret = kssl_upcall_take(kn, attr ? nla_get_u32(attr) : 0, &t);
	if (ret == -EBUSY) {
		GENL_SET_ERR_MSG(info, "another helper is taking it");
		goto put_fd;
	}
	if (ret) {
		GENL_SET_ERR_MSG(info, "no such socket waits");
		ret = attr ? -ENOENT : -EAGAIN;
		goto put_fd;
	}
	file = kssl_control_file(t.ctx);
	ret = PTR_ERR_OR_ZERO(file);
	if (!ret) {
		ret = give(&t, info, fd);
		if (ret)
			kssl_control_file_undo(file);
	}
	kssl_upcall_give_up(kn, &t, ret);
	if (ret) {
		GENL_SET_ERR_MSG(info, "the socket could not be handed over and goes on waiting");
		goto put_fd;
	}
	fd_install(fd, file);
	return 0;
put_fd:
	put_unused_fd(fd);
	return ret;
}

static int do_cancel(struct sk_buff *skb, struct genl_info *info)
{
	struct kssl_sock *ctx;
	struct sock *sk;

	ctx = get_session(skb, info, &sk);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	kssl_fail(ctx, ECANCELED, KSSL_WHO_KERNEL, KSSL_ALERT_USER_CANCELED,
		  "ended on request");
	put_back(ctx, sk);
	return 0;
}

static int do_renegotiate(struct sk_buff *skb, struct genl_info *info)
{
	struct kssl_sock *ctx;
	struct sock *sk;
	int ret;

	if (!info->attrs[KSSL_A_HOW]) {
		GENL_SET_ERR_MSG(info, "how? KSSL_A_HOW is missing");
		return -EINVAL;
	}
	ctx = get_session(skb, info, &sk);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	ret = kssl_request_begin(ctx, nla_get_u32(info->attrs[KSSL_A_HOW]));
	put_back(ctx, sk);
	switch (ret) {
	case 0:
		break;
	case -ESRCH:
		GENL_SET_ERR_MSG(info, "its helper is gone, so nobody can shake hands");
		break;
	case -EOPNOTSUPP:
		GENL_SET_ERR_MSG(info, "it has no helper: its keys were set by setsockopt");
		break;
	case -ENOTCONN:
		GENL_SET_ERR_MSG(info, "its first handshake is not over");
		break;
	case -EPIPE:
		GENL_SET_ERR_MSG(info, "one direction is closed");
		break;
	case -EALREADY:
		GENL_SET_ERR_MSG(info, "another one is under way");
		break;
	case -EINVAL:
		GENL_SET_ERR_MSG(info, "not one of KSSL_RENEG_*");
		break;
	default:
		GENL_SET_ERR_MSG(info, "the connection has failed");
	}
	return ret;
}

static int do_session(struct sk_buff *skb, struct genl_info *info)
{
	struct kssl_note *note;
	struct kssl_sock *ctx;
	struct sk_buff *reply;
	struct sock *sk;
	void *head;
	int ret;

	ctx = get_session(skb, info, &sk);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	note = new_note(ctx);
	put_back(ctx, sk);
	reply = note ? new_reply(info, KSSL_CMD_SESSION, &head) : NULL;
	ret = -ENOMEM;
	if (reply) {
		ret = put_session(reply, note, note->attached, sk_user_ns(NETLINK_CB(skb).sk));
		if (ret)
			nlmsg_free(reply);
	}
	if (!ret) {
		genlmsg_end(reply, head);
		ret = genlmsg_reply(reply, info);
	}
	kfree(note);
	return ret;
}

/* One message of a dump: 0, or what put_session() says. */
static int dump_note(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		     const struct kssl_note *note, unsigned long since)
{
	void *head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &family,
				 NLM_F_MULTI, cmd);

	if (!head)
		return -EMSGSIZE;
	if (put_session(skb, note, since, sk_user_ns(NETLINK_CB(cb->skb).sk))) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

/* What can be told of a connection within @patience; false once it is closed. */
static bool look_at(struct kssl_note *note, struct kssl_sock *ctx, long *patience)
{
	struct sock *sk = kssl_control_hold(ctx);
	bool open;

	if (!sk)
		return false;
	if (kssl_sock_lock_soon(sk, patience)) {
		open = READ_ONCE(ctx->sk);
		if (open)
			kssl_genl_note(note, ctx);
		release_sock(sk);
	} else {
		open = true;
		note_basics(note, ctx, sk);
		note->attached = ctx->attached;
		note->state = KSSL_SESSION_STATE_BUSY;
	}
	sock_put(sk);
	return open;
}

/* cb->args[0]: the next number. */
static int dump_sessions(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct net *net = sock_net(skb->sk);
	unsigned long id = cb->args[0];
	struct kssl_note *note = kmalloc(sizeof(*note), GFP_KERNEL);
	long patience = PATIENCE;
	struct kssl_sock *ctx;
	int ret = 0;

	if (!note)
		return -ENOMEM;
	while (!ret && (ctx = kssl_upcall_find(kssl_net_of(net), &id, false))) {
		memset(note, 0, sizeof(*note));
		if (look_at(note, ctx, &patience) && may_see(cb->skb, net, &note->who))
			ret = dump_note(skb, cb, KSSL_CMD_SESSION, note, note->attached);
		kssl_sock_put(ctx);
		if (!ret)
			id++;
	}
	cb->args[0] = id;
	kfree(note);
	return ret && !skb->len ? ret : skb->len;
}

/* cb->args[0]: how many were told; new ones come behind, old ones may fall out. */
static int dump_failures(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct net *net = sock_net(skb->sk);
	struct kssl_net *kn = kssl_net_of(net);
	struct kssl_failure *copy, *f;
	int ret = 0;
	long i;

	copy = kmalloc(sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	while (!ret) {
		i = 0;
		spin_lock(&kn->lock);
		list_for_each_entry(f, &kn->failures, entry)
			if (i++ == cb->args[0]) {
				*copy = *f;
				break;
			}
		ret = list_entry_is_head(f, &kn->failures, entry);
		spin_unlock(&kn->lock);
		if (!ret && may_see(cb->skb, net, &copy->note.who))
			ret = dump_note(skb, cb, KSSL_CMD_FAILURE, &copy->note, copy->at);
		if (!ret)
			cb->args[0]++;
	}
	kfree(copy);
	return skb->len;
}

static int do_stats(struct sk_buff *skb, struct genl_info *info)
{
	struct kssl_net *kn = kssl_net_of(genl_info_net(info));
	struct nlattr *nest = NULL;
	struct sk_buff *reply;
	void *head;
	int i;

	reply = new_reply(info, KSSL_CMD_STATS, &head);
	if (!reply)
		return -ENOMEM;
	nest = nla_nest_start(reply, KSSL_A_STATS);
	for (i = KSSL_A_STATS_SESSIONS; nest && i <= KSSL_A_STATS_MAX; i++)
		if (nla_put_u64_64bit(reply, i, i == KSSL_A_STATS_WAITING ?
				      READ_ONCE(kn->waiting) : atomic64_read(&kn->stats[i]),
				      KSSL_A_STATS_PAD))
			nest = NULL;
	if (!nest) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	nla_nest_end(reply, nest);
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);
}

/* ---- the family ---- */

static const struct nla_policy policy[KSSL_A_HOW + 1] = {
	[KSSL_A_ABI]	= { .type = NLA_U32 },
	[KSSL_A_ID]	= NLA_POLICY_MIN(NLA_U32, 1),
	[KSSL_A_HOW]	= { .type = NLA_U32 },
};

static const struct genl_ops commands[] = {
	{ .cmd = KSSL_CMD_VERSION, .doit = do_version },
	{ .cmd = KSSL_CMD_ACCEPT, .doit = accept_socket, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = KSSL_CMD_CANCEL, .doit = do_cancel },
	{ .cmd = KSSL_CMD_SESSION, .doit = do_session, .dumpit = dump_sessions },
	{ .cmd = KSSL_CMD_FAILURE, .dumpit = dump_failures },
	{ .cmd = KSSL_CMD_STATS, .doit = do_stats },
	{ .cmd = KSSL_CMD_RENEGOTIATE, .doit = do_renegotiate },
};

static const struct genl_multicast_group groups[] = {
	[GROUP_HELPERS]	= { .name = KSSL_GENL_GROUP_HELPERS, .flags = GENL_MCAST_CAP_NET_ADMIN },
	[GROUP_EVENTS]	= { .name = KSSL_GENL_GROUP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

static struct genl_family family = {
	.name		= KSSL_GENL_NAME,
	.version	= KSSL_GENL_VERSION,
	.maxattr	= ARRAY_SIZE(policy) - 1,
	.policy		= policy,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= commands,
	.n_ops		= ARRAY_SIZE(commands),
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
	.resv_start_op	= KSSL_CMD_UNSPEC + 1,
};

static int socket_gone(struct notifier_block *nb, unsigned long event, void *data)
{
	struct netlink_notify *notify = data;

	if (event == NETLINK_URELEASE && notify->protocol == NETLINK_GENERIC)
		kssl_upcall_helper_gone(kssl_net_of(notify->net), notify->portid);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = socket_gone };

/**
 * kssl_genl_register() - offer the family
 *
 * Context: Process context.
 * Return: 0 or -errno.
 */
int kssl_genl_register(void)
{
	int ret = genl_register_family(&family);

	if (ret)
		return ret;
	ret = netlink_register_notifier(&notifier);
	if (ret)
		genl_unregister_family(&family);
	return ret;
}

/**
 * kssl_genl_unregister() - no more commands; those that run have ended
 *
 * Context: Process context.
 */
void kssl_genl_unregister(void)
{
	netlink_unregister_notifier(&notifier);
	genl_unregister_family(&family);
}
