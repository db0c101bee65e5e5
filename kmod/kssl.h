/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The internal header of kssl; record.h has what knows no socket.
 *
 * Flow of data:  tx is fill -> seal -> push, rx is frame -> open -> deliver.
 *
 * Locks, in the order they are taken:
 *   tx.lock (mutex)    the open record, the sending key and its numbers.  Nobody
 *                      sleeps for a hold or for send buffer while holding it.
 *   lock_sock(sk)      everything else of struct kssl_sock, the queue of sealed
 *                      records and all of rx.  Sealing a record of application
 *                      data needs tx.lock alone; a batch holds both.
 *   ctx->lock          ctx->sk and the queue of messages to the helper.
 */
#ifndef _KSSL_H
#define _KSSL_H

#include <linux/bvec.h>
#include <linux/hashtable.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/mutex.h>
#include <linux/skbuff.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/sock.h>
#include <net/tls.h>
#include "record.h"

/* Limits of a connection; each is checked where it is used. */
#define KSSL_EMPTY_MAX		32	/* empty records in a row */
#define KSSL_WARNING_MAX	5	/* warning alerts in a row, CVE-2016-8610 */

/* Defaults of struct kssl_policy, as uapi/linux/kssl.h says. */
#define KSSL_HANDSHAKE_MS	30000	/* struct kssl_handshake.timeout_ms */
#define KSSL_HELPER_MS		30000
#define KSSL_PEER_MS		30000
#define KSSL_LOOKAHEAD		(64 * 1024)	/* bytes opened ahead of the reader ... */
#define KSSL_LOOKAHEAD_MEM	4		/* ... may take that many times the memory */
#define KSSL_MESSAGE_MAX	(128 * 1024)
#define KSSL_FLIGHT_MAX		(256 * 1024)
#define KSSL_STARTS_MAX		600
#define KSSL_STARTS_MS		60000
#define KSSL_USELESS_MAX	64
#define KSSL_LOOKAHEAD_MAX	(1024 * 1024)

/* Alert descriptions, RFC 8446 6. */
#define KSSL_ALERT_CLOSE_NOTIFY		0
#define KSSL_ALERT_UNEXPECTED_MESSAGE	10
#define KSSL_ALERT_BAD_RECORD_MAC	20
#define KSSL_ALERT_RECORD_OVERFLOW	22
#define KSSL_ALERT_HANDSHAKE_FAILURE	40
#define KSSL_ALERT_ILLEGAL_PARAMETER	47
#define KSSL_ALERT_DECODE_ERROR		50
#define KSSL_ALERT_PROTOCOL_VERSION	70
#define KSSL_ALERT_INTERNAL_ERROR	80
#define KSSL_ALERT_USER_CANCELED	90
#define KSSL_ALERT_NO_RENEGOTIATION	100
#define KSSL_ALERT_NONE			-1
#define KSSL_ALERT_WARNING		1
#define KSSL_ALERT_FATAL		2

struct kssl_sock;
struct kssl_ktls;

/* ---- the connection ---- */

/**
 * struct kssl_dir - one direction of a connection
 * @epoch: key in use, NULL before keys
 * @seq: sequence number of the next record
 * @nonce: explicit nonce of the next record (tx)
 * @epochs: keys installed so far
 * @plain: the helper exchanges raw records
 * @closed: close_notify sent or received
 * @err: positive errno once failed; the first one stays
 * @records: records so far
 * @bytes: application bytes so far
 * @used: what of the limit of @epoch is used up
 * @soft: of @used: where a new key is asked for
 * @hard: of @used: no more application data
 * @bytes_due: of @bytes: where a new key is asked for
 * @records_due: of @records, likewise
 */
struct kssl_dir {
	struct kssl_epoch *epoch;
	u64 seq;
	u64 nonce;
	u32 epochs;
	bool plain;
	bool closed;
	int err;
	u64 records;
	u64 bytes;
	u64 used;
	u64 soft;
	u64 hard;
	u64 bytes_due;
	u64 records_due;
};

#define KSSL_BUF_SEGS	8

/**
 * struct kssl_buf - a record on its way out
 * @list: entry of kssl_tx.queue
 * @seg: pages of the record, header included
 * @segs: how many of @seg are in use
 * @payload_len: bytes of content so far
 * @len: bytes to send, 0 until sealed
 * @sent: bytes TCP has taken
 * @control: not application data
 * @charged: charged to the socket, for TCP did not take it at once
 */
struct kssl_buf {
	struct list_head list;
	struct bio_vec seg[KSSL_BUF_SEGS];
	unsigned int segs;
	unsigned int payload_len;
	unsigned int len;
	unsigned int sent;
	bool control;
	bool charged;
};

/* Why sending is held. */
#define KSSL_HOLD_HELPER	0x1	/* KSSL_OP_HOLD, and before the first keys */
#define KSSL_HOLD_RX		0x2	/* an inbound control record waits for its answer */

/* What is due before the next record of application data. */
#define KSSL_DUE_UPDATE		0x1	/* a KeyUpdate (RFC 8446 4.6.3) ... */
#define KSSL_DUE_REQUEST	0x2	/* ... that asks for the peer's */
#define KSSL_DUE_REFUSAL	0x4	/* no_renegotiation (RFC 5246 7.2.2) */
#define KSSL_DUE_OPEN		0x8	/* the record that MSG_MORE left open, after all these */

struct kssl_tx {
	struct mutex lock;		/* see the top of this file */
	atomic_t control_waiting;	/* batches that wait for tx.lock */
	struct kssl_buf *open;		/* both locks; record of application data being filled */
	unsigned int open_bytes;	/* both locks; what is in it, and charged */

	/* lock_sock */
	struct kssl_dir dir;
	struct list_head queue;		/* sealed, in order */
	unsigned int bytes;		/* bytes in queue, unsent */
	unsigned int control_bytes;	/* those of control records */
	u32 write_seq;			/* where TCP's write_seq must be */
	u8 hold;
	u8 due;				/* KSSL_DUE_* */
	ktime_t hold_since;
	int alert;			/* alert to send by tx work, or KSSL_ALERT_NONE */
	struct delayed_work work;
};

struct kssl_rx {
	/* lock_sock */
	struct kssl_dir dir;
	struct sk_buff_head queue;	/* opened, for the application */
	unsigned int queued;		/* bytes in queue */
	unsigned int queued_mem;	/* memory they take */
	u64 taken;			/* bytes that left queue */
	unsigned int need;		/* bytes until the next record is whole */
	unsigned int readers;		/* threads inside recvmsg */
	unsigned int empties;		/* empty records in a row */
	unsigned int warnings;		/* warning alerts in a row */
	unsigned int useless;		/* control records in a row that led to nothing */
	unsigned int updates_asked;	/* KeyUpdates of the peer that we have asked for */
	unsigned int flight;		/* bytes of handshake messages in this handshake */
	unsigned int starts;		/* renegotiations the peer has started, and @useless, ... */
	unsigned long counted_since;	/* ... since then, in jiffies */
	bool expects;			/* we asked for a handshake: HelloRequest and its kin */
	u32 identity;			/* of the peer, see struct kssl_status */
	u32 copied_seq;			/* where TCP's copied_seq must be */
	u32 events;			/* moves whenever a waiting reader should look again */
	bool starved;			/* there was no memory for a record */
	bool shut;			/* shutdown(SHUT_RD): what is there can still be read */
	bool deaf;			/* that was read: what comes is not for the application */
	bool held;			/* waits for KSSL_OP_CONTINUE */
	bool established;		/* application data is legal */
	bool need_key;			/* unattended: a KeyUpdate waits for its key */
	bool control_queued;		/* unattended: a control record is not read yet */
	bool update_due;		/* a KeyUpdate came, and there was no memory for its key */
	struct kssl_message message;	/* the peer's handshake messages, up to here */
	struct kssl_message before;	/* and up to @pending */
	struct sk_buff *pending;	/* the helper has not answered this record */
	u8 *part;			/* bytes taken out of TCP before the record was whole */
	unsigned int part_len;
	int rcvlowat;			/* SO_RCVLOWAT in plaintext bytes */
	struct kssl_segments *segs;	/* NULL while there is no record to open */
	struct delayed_work work;
};

/* ---- who and what for ---- */

#define KSSL_VERSION	"0.5"

/* Who has asked: the process that set KSSL_HANDSHAKE, or else the ULP. */
struct kssl_who {
	kuid_t uid;
	kgid_t gid;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	u64 cgroup;
};

/**
 * struct kssl_ask - what KSSL_HANDSHAKE asks for
 * @ref: its socket, and each that shakes hands or listens for it
 * @listener: number of the listening socket, 0 for others
 * @handshakes: first handshakes under way (kssl_net.lock)
 * @who: by whom
 * @wants: what, with the defaults filled in
 */
struct kssl_ask {
	refcount_t ref;
	u32 listener;
	unsigned int handshakes;
	struct kssl_who who;
	struct kssl_handshake wants;
};

/**
 * struct kssl_taken - a connection that a helper is about to have, with a reference on each
 * @ctx: it
 * @sk: its socket, which nobody has locked
 * @ask: what for
 */
struct kssl_taken {
	struct kssl_sock *ctx;
	struct sock *sk;
	struct kssl_ask *ask;
};

/**
 * struct kssl_setup - what a connection has from the socket that was armed
 * @ask: what a helper shall do, or NULL
 * @listener: number of the socket as a listener, 0 for a connection that is no child
 * @policy: a good one; all zero if none was set
 */
struct kssl_setup {
	struct kssl_ask *ask;
	u32 listener;
	struct kssl_policy policy;
};

/* struct kssl_session as it is kept: @strings has profile, @name and @alpn are where in it. */
struct kssl_session_info {
	u32 flags;
	u32 verify;
	u8 end_point_len;
	u8 end_point[64];
	u16 name;
	u16 alpn;
	char strings[];
};

struct kssl_address {
	u8 len;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

/* What is told of a connection. */
struct kssl_note {
	u32 id;
	u32 listener;
	struct kssl_who who;
	u8 role;
	u8 state;
	bool has_request;
	int request;			/* KSSL_A_REQUEST */
	u32 pad_to;
	bool has_session;
	u32 session_flags;
	unsigned long attached;		/* jiffies */
	struct kssl_address local;
	struct kssl_address peer;
	struct kssl_status status;
	struct kssl_error error;
	char profile[KSSL_PROFILE_MAX];
	char name[KSSL_NAME_MAX];
	char alpn[256];
};

struct kssl_failure {
	struct list_head entry;
	unsigned long at;		/* jiffies */
	struct kssl_note note;
};

/* A network namespace; see upcall.c. */
struct kssl_net {
	struct xarray socks;		/* by number */
	u32 next_id;
	atomic_t listeners;		/* numbers given to listening sockets */
	atomic64_t stats[KSSL_A_STATS_MAX + 1];
	spinlock_t lock;		/* what follows */
	struct list_head helpers;	/* netlink sockets that have asked for connections */
	unsigned long seen;		/* when the last one went, in jiffies */
	bool has_seen;
	struct list_head queue;		/* those that wait */
	unsigned int waiting;
	unsigned int handshakes;
	DECLARE_HASHTABLE(users, 6);
	struct list_head failures;	/* oldest first */
	unsigned int failures_count;
};

/* KSSL_EXPORTER: the question, and what the helper has answered. */
struct kssl_export {
	struct kssl_exporter wants;
	unsigned int len;
	u8 bytes[KSSL_EXPORT_MAX];
};

/* A socket with the ULP attached. */
struct kssl_sock {
	struct tls_context not_tls;	/* zero; the kernel casts icsk_ulp_data of any ULP to it */
	refcount_t ref;			/* the socket and the control file hold one each */
	spinlock_t lock;		/* see the top of this file */
	struct sock *sk;		/* NULL once closed */
	u32 id;
	u32 listener;			/* that it was accepted from, or 0 */
	u8 role;			/* KSSL_ROLE_*, 0 if not known */
	unsigned long attached;		/* jiffies */
	struct kssl_who who;

	/* lock_sock */
	struct kssl_ask *ask;		/* until its handshake is over */
	bool asked;			/* there was one */
	bool told;			/* connect() has told how it ended */
	bool waiting;			/* for a helper, in kssl_net.queue (kssl_net.lock) */
	bool in_hand;			/* a helper is about to have it (kssl_net.lock) */
	bool counted;			/* among the handshakes under way */
	struct list_head wait_entry;	/* kssl_net.lock */
	unsigned long handshake_deadline;	/* jiffies */
	struct delayed_work handshake_clock;
	struct kssl_session_info *session;
	u8 *chain;			/* as KSSL_PEER_CHAIN has it */
	u32 chain_len;
	struct kssl_export *export;
	bool attended;
	bool had_helper;
	bool etm;			/* encrypt-then-MAC was ever in use (RFC 7366 3.1) */
	bool closing;			/* no work may be queued any more */
	u8 put_off;			/* works that found the socket owned */
	bool reported;			/* sk_err was set for our error */
	bool orphan;			/* the helper is gone and the connection lives */
	bool helper_due;		/* the helper owes an answer ... */
	unsigned long helper_deadline;	/* ... by then, in jiffies */
	bool awaits;			/* KSSL_OP_AWAIT */
	bool peer_due;			/* the peer owes a message ... */
	unsigned long peer_deadline;	/* ... by then, in jiffies */
	u32 peer_progress;		/* what TCP had moved by when the clock was set */
	unsigned int peer_extensions;	/* how often it was set again because TCP moved */
	struct kssl_policy policy;	/* with the defaults filled in */
	struct kssl_policy asked_policy;	/* as it was set */
	u8 rekey;			/* KSSL_REKEY_* that nobody was asked for yet */
	bool rekey_request;		/* the peer's key is meant too */
	u32 request_id;			/* of the last KSSL_RENEGOTIATE or KSSL_EXPORTER */
	u32 request_what;		/* KSSL_RENEG_*, KSSL_ASK_EXPORTER */
	int request;			/* how it stands: 0, EINPROGRESS, or why it failed */
	int *request_waiter;		/* where the thread that waits for it looks */
	u32 updates_sent;
	u32 updates_received;
	u32 handshakes;
	u32 holds;
	u64 hold_last_ns;
	u64 hold_max_ns;
	struct kssl_error error;
	struct kssl_tx tx;
	struct kssl_rx rx;
	struct delayed_work helper_clock;
	struct delayed_work peer_clock;
	struct delayed_work rekey_clock;
	struct delayed_work news;	/* tells the helper of KeyUpdates */
	struct socket *parked;		/* see close.c */
	unsigned long close_deadline;	/* of a parked connection, in jiffies */
	struct delayed_work close_work;

	/* ctx->lock */
	struct sk_buff_head messages;	/* records for the helper */
	u32 control_events;		/* bits 1 << KSSL_EV_* for the helper */
	int closed_err;			/* errno of KSSL_EV_CLOSED */
	u8 rekey_reasons;		/* value of KSSL_EV_REKEY */
	u32 request_how;		/* value of KSSL_EV_REQUEST */
	wait_queue_head_t control_wait;

	/* set at attach, read only; what was saved, when the direction became ours */
	const struct kssl_base *base;
	struct kssl_ktls *ktls;		/* NULL unless the ULP is the kTLS front */
	void (*saved_data_ready)(struct sock *sk);
	void (*saved_write_space)(struct sock *sk);
	void (*saved_state_change)(struct sock *sk);
};

/* Of tables: each address family has its own. */
enum { KSSL_FAMILY_V4, KSSL_FAMILY_V6, KSSL_FAMILIES };

/* What was there before us, per address family. */
struct kssl_base {
	struct proto *prot;
	const struct proto_ops *ops;
};

/**
 * struct kssl_rx_cb - skb->cb of an opened record
 * @kind: KSSL_MSG_* it will have for the helper
 * @type: content type
 * @epoch: receive epoch it was opened under
 * @tx_epoch: sending epoch when it was delivered to the helper
 * @empty: kTLS: there is no content, and @len is 1
 * @identity: of the peer
 * @offset: bytes of content already delivered
 * @len: bytes of content
 */
struct kssl_rx_cb {
	u16 kind;
	u8 type;
	bool empty;
	u32 epoch;
	u32 tx_epoch;
	u32 identity;
	u32 offset;
	u32 len;
};

/*
 * So often pages may be gone again before what they are for is copied.  Some are never
 * there for a copy though faulting them in succeeds: a shadow stack is one.
 */
#define KSSL_FAULTS_MAX	16

/*
 * Memory outside TCP's queues: opened records, a record taken out before it was
 * whole, what MSG_MORE left open, sealed records.  It counts for TCP's total and
 * for the socket's cgroup, but not against SO_RCVBUF and SO_SNDBUF: there it would
 * shut the window before a handshake message behind data nobody reads, and keep a
 * record larger than the buffer out of TCP for ever.  So each has a bound of its
 * own, and within it is charged also where TCP is short of memory.  Caller holds
 * the socket lock.
 */
static inline void kssl_mem_charge(struct sock *sk, unsigned int size, int kind)
{
	int missing = size - sk->sk_forward_alloc;

	if (missing > 0)
		__sk_mem_schedule(sk, missing, kind);
	sk_mem_charge(sk, size);
}

static inline void kssl_mem_uncharge(struct sock *sk, unsigned int size)
{
	sk_mem_uncharge(sk, size);
}

/* Caller holds tx.lock and the socket lock. */
static inline void kssl_tx_set_open(struct kssl_sock *ctx, struct kssl_buf *buf)
{
	unsigned int before = ctx->tx.open_bytes, now = buf ? buf->payload_len : 0;

	if (now > before)
		kssl_mem_charge(ctx->sk, now - before, SK_MEM_SEND);
	else
		kssl_mem_uncharge(ctx->sk, before - now);
	ctx->tx.open = buf;
	WRITE_ONCE(ctx->tx.open_bytes, now);
}

/* Is the peer's next handshake message looked for? Caller holds the socket lock. */
static inline bool kssl_sock_in_bounce(const struct kssl_sock *ctx)
{
	return ctx->had_helper && (ctx->tx.hold || !ctx->rx.established || ctx->awaits ||
				   ctx->rx.expects);
}

/* Does a handshake run? Caller holds the socket lock. */
static inline bool kssl_sock_in_handshake(const struct kssl_sock *ctx)
{
	return ctx->had_helper && ((ctx->tx.hold & KSSL_HOLD_HELPER) || !ctx->rx.established);
}

static inline struct kssl_rx_cb *kssl_rx_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct kssl_rx_cb) > sizeof(skb->cb));
	return (struct kssl_rx_cb *)skb->cb;
}

/* ulp.c */
int kssl_ulp_register(void);
void kssl_ulp_unregister(void);
void kssl_ulp_release(struct sock *sk);
struct kssl_sock *kssl_sock_of(const struct sock *sk);
void kssl_sock_put(struct kssl_sock *ctx);
void kssl_sock_wake(struct kssl_sock *ctx);
void kssl_sock_report(struct kssl_sock *ctx);
void kssl_sock_later(struct kssl_sock *ctx, struct delayed_work *work, unsigned long delay);
void kssl_sock_queue(struct delayed_work *work, unsigned long delay);
bool kssl_sock_trylock(struct kssl_sock *ctx, struct work_struct *work);
bool kssl_sock_lock_soon(struct sock *sk, long *patience);
void kssl_sock_detach(struct kssl_sock *ctx);
void kssl_sock_set_up(struct kssl_sock *ctx, const struct kssl_setup *setup);
int kssl_sock_attach(struct sock *sk, unsigned int family, const struct kssl_setup *setup);
int kssl_sock_attach_ktls(struct sock *sk, unsigned int family, const struct kssl_base *tables,
			  struct kssl_ktls *ktls);
bool kssl_sock_is_attached(const struct sock *sk);
int kssl_sock_family(struct sock *sk);
const struct kssl_base *kssl_sock_base(unsigned int family);

/* arm.c */
void kssl_arm_tables(unsigned int family, const struct proto *prot, const struct proto_ops *base,
		     const struct proto_ops *attached);
int kssl_arm(struct sock *sk, unsigned int family);
void kssl_arm_clone(const struct request_sock *req, struct sock *newsk, const gfp_t priority);
void kssl_arm_release(struct sock *sk);

/* ktls.c */
extern bool kssl_ktls;
void kssl_ktls_tables(unsigned int family, const struct proto *prot, const struct proto_ops *ops);
bool kssl_ktls_is_table(const struct proto *prot);
int kssl_ktls_read_cmsg(struct msghdr *msg, u8 *type);
void kssl_ktls_fill_info(struct kssl_sock *ctx, struct sk_buff *skb);
void kssl_ktls_free(struct kssl_ktls *ktls);
int kssl_ktls_register(void);
void kssl_ktls_unregister(void);

/* handshake.c */
void kssl_who_fill(struct kssl_who *who, struct sock *sk);
struct kssl_ask *kssl_ask_new(const struct kssl_handshake *h, struct sock *sk);
void kssl_ask_put(struct kssl_ask *ask);
void kssl_handshake_begin(struct kssl_sock *ctx, struct kssl_ask *ask);
void kssl_handshake_landed(struct kssl_sock *ctx);
void kssl_handshake_late(struct work_struct *work);
int kssl_handshake_wait(struct sock *sk, int flags, bool again);
int kssl_handshake_set(struct sock *sk, const struct kssl_handshake *h);
int kssl_handshake_get(const struct kssl_sock *ctx);
struct kssl_session_info *kssl_session_new(const struct kssl_session *s);
void kssl_session_free(struct kssl_session_info *session);
int kssl_session_fill(const struct kssl_sock *ctx, struct kssl_session *s);

/* upcall.c */
struct kssl_net *kssl_net_of(const struct net *net);
int kssl_upcall_add(struct kssl_sock *ctx);
struct kssl_sock *kssl_upcall_find(struct kssl_net *kn, unsigned long *id, bool exact);
void kssl_upcall_submit(struct kssl_sock *ctx);
int kssl_upcall_helper(struct kssl_net *kn, u32 portid);
void kssl_upcall_helper_gone(struct kssl_net *kn, u32 portid);
void kssl_upcall_look(struct kssl_sock *ctx);
int kssl_upcall_take(struct kssl_net *kn, u32 id, struct kssl_taken *t);
void kssl_upcall_give_up(struct kssl_net *kn, struct kssl_taken *t, bool again);
void kssl_upcall_landed(struct kssl_sock *ctx);
void kssl_upcall_remove(struct kssl_sock *ctx);
void kssl_upcall_count(struct kssl_sock *ctx, int counter);
int kssl_upcall_init(void);
void kssl_upcall_exit(void);

/* genl.c */
void kssl_genl_note(struct kssl_note *note, struct kssl_sock *ctx);
void kssl_genl_ready(struct kssl_sock *ctx);
void kssl_genl_event(struct kssl_sock *ctx, u8 event);
int kssl_genl_register(void);
void kssl_genl_unregister(void);

/* close.c */
void kssl_close(struct sock *sk, long timeout);
void kssl_close_work(struct work_struct *work);

/* sockopt.c */
int kssl_sockopt_set(struct sock *sk, int level, int optname, sockptr_t optval,
		     unsigned int optlen);
int kssl_sockopt_get(struct sock *sk, int level, int optname, char __user *optval,
		     int __user *optlen);
bool kssl_sockopt_refused(int level, int optname);
int kssl_sockopt_copy(void *to, size_t known, sockptr_t from, unsigned int len);
int kssl_sockopt_get_armed(int optname, const struct kssl_policy *policy, char __user *optval,
			   int __user *optlen);
int kssl_sockopt_policy(struct kssl_sock *ctx, const struct kssl_policy *policy);
void kssl_status_fill(struct kssl_sock *ctx, struct kssl_status *status);

/* buf.c */
struct kssl_buf *kssl_buf_new(unsigned int prefix_len, bool control);
int kssl_buf_reserve(struct kssl_buf *buf, unsigned int min, unsigned int want, bool last,
		     struct page **page, unsigned int *offset);
void kssl_buf_trim(struct kssl_buf *buf, unsigned int len);
int kssl_buf_add(struct kssl_buf *buf, const void *data, unsigned int len);
int kssl_buf_compact(struct kssl_buf *buf, unsigned int prefix_len);
void kssl_buf_free(struct kssl_buf *buf);
void kssl_buf_free_list(struct list_head *list);

/* tx.c */
int kssl_tx_sendmsg(struct sock *sk, struct msghdr *msg, size_t size);
void kssl_tx_splice_eof(struct socket *sock);
int kssl_tx_seal(struct kssl_sock *ctx, struct kssl_dir *dir, struct kssl_buf *buf, u8 type);
int kssl_tx_seal_open(struct kssl_sock *ctx);
void kssl_tx_queue(struct kssl_sock *ctx, struct kssl_buf *buf);
int kssl_tx_push(struct kssl_sock *ctx, int flags);
void kssl_tx_hold(struct kssl_sock *ctx, u8 why);
void kssl_tx_ask(struct kssl_sock *ctx, u8 due);
struct kssl_buf *kssl_tx_seal_update(struct kssl_sock *ctx, struct kssl_dir *dir, u8 request);
void kssl_tx_release(struct kssl_sock *ctx, u8 why);
void kssl_tx_set_key(struct kssl_sock *ctx, struct kssl_epoch *e, u64 seq, u64 nonce);
bool kssl_tx_writeable(struct kssl_sock *ctx);
void kssl_tx_leave(struct kssl_sock *ctx);
int kssl_tx_flush(struct kssl_sock *ctx);
void kssl_tx_begin(struct kssl_sock *ctx);
void kssl_tx_write_space(struct sock *sk);
void kssl_tx_work(struct work_struct *work);
void kssl_tx_let_out(struct kssl_sock *ctx);
void kssl_tx_free(struct kssl_sock *ctx);

/* stream.c */
unsigned int kssl_stream_available(struct kssl_sock *ctx);
int kssl_stream_peek(struct kssl_sock *ctx, unsigned int offset, unsigned int len, u8 *to);
int kssl_stream_sg(struct kssl_sock *ctx, unsigned int offset, unsigned int len,
		   struct scatterlist *sg, int segs);
void kssl_stream_consume(struct kssl_sock *ctx, unsigned int len);
void kssl_stream_free(struct kssl_sock *ctx);
int kssl_stream_take(struct kssl_sock *ctx, unsigned int want);

/* read.c */
int kssl_rx_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
ssize_t kssl_rx_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
			    size_t len, unsigned int flags);

/* bounce.c */
void kssl_bounce(struct kssl_sock *ctx, struct sk_buff *skb);
void kssl_bounce_to_helper(struct kssl_sock *ctx, struct sk_buff *skb);
void kssl_bounce_answered(struct kssl_sock *ctx);
void kssl_bounce_orphan(struct kssl_sock *ctx);
int kssl_bounce_update(struct kssl_sock *ctx);

/* policy.c */
int kssl_policy_check(const struct kssl_policy *policy);
void kssl_policy_set(struct kssl_sock *ctx, const struct kssl_policy *policy);
void kssl_policy_new_key(struct kssl_sock *ctx, struct kssl_dir *dir);
void kssl_policy_rearm(struct kssl_sock *ctx, struct kssl_dir *dir);
bool kssl_policy_does_updates(const struct kssl_sock *ctx);
void kssl_policy_rekey(struct kssl_sock *ctx, struct kssl_dir *dir);
void kssl_policy_ask(struct kssl_sock *ctx, bool reading);
void kssl_policy_clock(struct kssl_sock *ctx);
u8 kssl_policy_waits(const struct kssl_sock *ctx);
void kssl_policy_peer_late(struct work_struct *work);
void kssl_policy_key_old(struct work_struct *work);

/* Does a record that went by make a new key due? Caller holds the socket lock. */
static inline void kssl_policy_count(struct kssl_sock *ctx, struct kssl_dir *dir)
{
	if (unlikely(dir->used >= dir->soft || dir->bytes >= dir->bytes_due ||
		     dir->records >= dir->records_due))
		kssl_policy_rekey(ctx, dir);
}

/* request.c */
int kssl_request_begin(struct kssl_sock *ctx, int how);
int kssl_request_set(struct sock *sk, int how);
int kssl_request_export(struct sock *sk, struct kssl_exporter *wants);
void kssl_request_end(struct kssl_sock *ctx, u32 id, int err);

/* rx.c */
int kssl_rx_next(struct kssl_sock *ctx);
bool kssl_rx_may_look_ahead(const struct kssl_sock *ctx);
unsigned int kssl_rx_low_water(const struct kssl_rx *rx);
void kssl_rx_retire(struct kssl_sock *ctx, struct sk_buff *skb);
void kssl_rx_begin(struct kssl_sock *ctx);
void kssl_rx_data_ready(struct sock *sk);
void kssl_rx_state_change(struct sock *sk);
void kssl_rx_pump(struct kssl_sock *ctx, unsigned int want);
void kssl_rx_set_key(struct kssl_sock *ctx, struct kssl_epoch *e, u64 seq);
bool kssl_rx_readable(struct kssl_sock *ctx);
bool kssl_rx_may_have_record(struct kssl_sock *ctx);
bool kssl_rx_drain(struct kssl_sock *ctx);
void kssl_rx_work(struct work_struct *work);
void kssl_rx_free(struct kssl_sock *ctx);

/* control.c */
struct sock *kssl_control_hold(struct kssl_sock *ctx);
struct sock *kssl_control_lock(struct kssl_sock *ctx);
void kssl_control_unlock(struct sock *sk);
void kssl_control_begin(struct kssl_sock *ctx);
struct file *kssl_control_file(struct kssl_sock *ctx);
void kssl_control_file_undo(struct file *file);
int kssl_control_open(struct sock *sk);
void kssl_control_post(struct kssl_sock *ctx, struct sk_buff *skb);
void kssl_control_event(struct kssl_sock *ctx, u8 event);
void kssl_control_updated(struct kssl_sock *ctx);
void kssl_control_news(struct work_struct *work);
void kssl_control_rekey(struct kssl_sock *ctx, u8 why);
void kssl_control_request(struct kssl_sock *ctx, u32 how);
void kssl_control_closed(struct kssl_sock *ctx, int err);
void kssl_control_clock(struct work_struct *work);

/* alert.c */
int kssl_alert_of_errno(int err);
void kssl_fail(struct kssl_sock *ctx, int err, u8 who, int alert, const char *text);
void kssl_fail_with(struct kssl_sock *ctx, const struct kssl_error *error);
void kssl_fail_dir(struct kssl_sock *ctx, struct kssl_dir *dir, int err, u8 who, const char *text);
int kssl_alert_send(struct kssl_sock *ctx, u8 level, u8 desc);
void kssl_alert_request(struct kssl_sock *ctx, int desc);
int kssl_alert_send_requested(struct kssl_sock *ctx);

#endif /* _KSSL_H */
