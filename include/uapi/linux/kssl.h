/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * kssl: the SSL/TLS record layer of a TCP socket in the kernel, with a helper
 * that keeps doing the handshakes.  This is the whole user ABI.
 *
 * Attach:      setsockopt(fd, IPPROTO_TCP, TCP_ULP, "kssl", 4)
 * Attended:    getsockopt(fd, SOL_KSSL, KSSL_CONTROL) gives the control file.
 *              Its holder (the helper) shakes hands in the plain phase, installs
 *              keys, and answers every control record from then on.
 * Orphaned:    the helper is gone, and KSSL_POLICY_ORPHAN said that the connection
 *              lives on: the kernel does KeyUpdates, drops tickets, ignores
 *              HelloRequests and refuses renegotiations (of which SSL 3.0 ends).
 * Unattended:  setsockopt(fd, SOL_KSSL, KSSL_TX_KEY / KSSL_RX_KEY) with keys from
 *              elsewhere; control records then travel as control messages.
 * By a daemon: setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE) finds a helper by way of the
 *              generic netlink family "kssl"; the application needs no more than that.
 *
 * All lengths are bytes.  All integers are in host order unless a comment says
 * "wire".  Structs with a member "size" start with it, as the caller knows it: a longer
 * one is accepted if the bytes the kernel does not know are zero (else E2BIG), a shorter
 * one is taken as if the rest were zero.  What differs says so.
 *
 * Errors of read, write, poll and SO_ERROR on the socket, and the fatal alert
 * that goes to the peer with them (RFC 8446 6.2, RFC 5246 7.2.2).  None goes out where
 * something else has written to the stream, nor where nobody shook hands in time; a message
 * that is malformed in itself gets decode_error (50) or illegal_parameter (47) for EPROTO:
 *
 *   errno          cause                                     alert sent
 *   EBADMSG        authentication or padding failed          bad_record_mac (20)
 *   EMSGSIZE       record longer than allowed                record_overflow (22)
 *   EPROTO         record type not legal now                 unexpected_message (10)
 *   EPROTONOSUPPORT record of another version                protocol_version (70)
 *   EKEYEXPIRED    usage limit of a key, or a KeyUpdate
 *                  waits for the next key (unattended)       none
 *   ENOMEM, EIO    no memory; bytes entered or left the
 *                  stream behind our back; crypto failed     internal_error (80)
 *   ECONNABORTED   the peer sent a fatal alert               none
 *   ECONNRESET     FIN without close_notify (truncation),
 *                  or a TCP reset                            none
 *   EDQUOT         the peer exceeded a limit of struct
 *                  kssl_policy                               unexpected_message (10)
 *   ETIMEDOUT      the helper, or the peer in the middle of
 *                  a handshake, did not answer in time       internal_error (80)
 *   ESRCH          the helper is gone                        internal_error (80)
 *   EUNATCH        KSSL_HANDSHAKE, and no helper listens     none
 *   EUSERS         KSSL_HANDSHAKE, and too many of the user,
 *                  the listener or the namespace shake hands none
 *   ECANCELED      somebody with the right to has ended it   user_canceled (90)
 *   EPIPE          write after close_notify or shutdown      none
 *   ENOKEY         no key and nobody who could bring one     none
 *   EIO            (read) a control record is next and the
 *                  reader gave no room for its type          none, record stays
 *
 * The helper may fail the connection with an errno and alert of its own; kssld does
 * so with ENOENT (no such profile), EACCES (not for this user), EKEYREJECTED (a
 * certificate that is not good).
 * KSSL_ERROR tells the cause in full and stays readable.
 *
 * Everything else of the socket is as in TCP, with these differences:
 *
 *   SIOCINQ        plaintext of the records that are whole; of what is ahead of
 *                  the reader at most 64 KiB and one record are opened, which is
 *                  also all that MSG_PEEK can see
 *   SIOCOUTQ       bytes as on the wire that the peer's TCP has not acknowledged,
 *                  those that still wait for the send buffer included, and the
 *                  plaintext that MSG_MORE keeps; SIOCOUTQNSD likewise
 *   SO_RCVLOWAT    plaintext; getsockopt shows 1
 *   SO_PEEK_OFF    on every kernel
 *   MSG_MORE       keeps up to one record, with no limit of time
 *   splice         from the socket: what is left of one record in each call
 *   shutdown       SHUT_RD: what came before can be read; data that comes later
 *                  is dropped, and all else in the stream is heeded as before
 *   close          what was sent before reaches the peer as with TCP; if that
 *                  takes more than 30 seconds for want of memory, or because the
 *                  helper owes an answer, the peer gets a reset
 *   EOPNOTSUPP     MSG_OOB, MSG_ZEROCOPY, MSG_FASTOPEN, MSG_ERRQUEUE, TCP_REPAIR
 *                  and its kin, TCP_ZEROCOPY_RECEIVE, mmap, connect(AF_UNSPEC);
 *                  attaching an MPTCP socket (ENOPROTOOPT), or one in a sockmap
 *
 * Before connect() or listen() (an armed socket) these options do: KSSL_HANDSHAKE,
 * KSSL_POLICY, getsockopt() of KSSL_SUITES, KSSL_STATUS and KSSL_ERROR; the others are
 * ENOTCONN.  TCP_FASTOPEN and IPV6_ADDRFORM are EOPNOTSUPP, connect(AF_UNSPEC) is not.
 * accept() gives ECONNABORTED where there is no memory to protect a connection.  An
 * accept() that slept when its listener was armed is not ours: all calls with the socket
 * that it gives are ECONNABORTED.
 */
#ifndef _UAPI_LINUX_KSSL_H
#define _UAPI_LINUX_KSSL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KSSL_ULP_NAME		"kssl"

/* Socket level of the options and control messages below. */
#define SOL_KSSL		0x4b53

/* Socket options. */
#define KSSL_CONTROL		1	/* get: int, the control file */
#define KSSL_TX_KEY		2	/* set: struct kssl_key */
#define KSSL_RX_KEY		3	/* set: struct kssl_key */
#define KSSL_STATUS		4	/* get: struct kssl_status */
#define KSSL_ERROR		5	/* get: struct kssl_error */
#define KSSL_SUITES		6	/* get: array of struct kssl_suite_info */
#define KSSL_POLICY		7	/* set, get: struct kssl_policy */
#define KSSL_RENEGOTIATE	8	/* set: int, KSSL_RENEG_*; get: int */
#define KSSL_HANDSHAKE		9	/* set: struct kssl_handshake; get: int */
#define KSSL_SESSION		10	/* get: struct kssl_session */
#define KSSL_PEER_CHAIN		11	/* get: certificates, see struct kssl_session */
#define KSSL_EXPORTER		12	/* set: struct kssl_exporter; get: what it gave */

/*
 * Control messages (cmsg_level SOL_KSSL).  RECORD_TYPE, unattended sockets only: one
 * __u8, the TLS content type of the record sent, or of what was received.  IDENTITY,
 * if KSSL_POLICY_IDENTITY asks for it: one __u32 with what recvmsg() gives, see
 * struct kssl_status.
 */
#define KSSL_RECORD_TYPE	1
#define KSSL_IDENTITY		2

/* Content types (RFC 8446 5.1, RFC 5246 6.2.1). */
#define KSSL_TYPE_CHANGE_CIPHER_SPEC	20
#define KSSL_TYPE_ALERT			21
#define KSSL_TYPE_HANDSHAKE		22
#define KSSL_TYPE_APPLICATION_DATA	23

/* Longest plaintext of one record (RFC 8446 5.1, RFC 5246 6.2.1). */
#define KSSL_MAX_PAYLOAD		16384

#define KSSL_KEY_MAX		32
#define KSSL_IV_MAX		16
#define KSSL_MAC_KEY_MAX	48
#define KSSL_SECRET_MAX		48
#define KSSL_RC4_SPENT_MAX	65536
#define KSSL_PAYLOAD_MIN	63	/* RFC 8449 4: 64, in TLS 1.3 with the octet of the type */

/**
 * struct kssl_key - keys of one direction
 * @size: sizeof(struct kssl_key) as the caller knows it
 * @version: protocol version as on the wire, 0x0300 to 0x0304
 * @suite: IANA cipher suite number
 * @flags: KSSL_KEY_*; unknown bits are EINVAL
 * @key_len: bytes used of @key, must be what the suite says
 * @iv_len: bytes used of @iv: the GCM/CCM salt (4), the whole IV (12); of CBC none
 *	where each record brings its own, a block up to TLS 1.0: the last one of the
 *	record before
 * @mac_key_len: bytes used of @mac_key, 0 for AEAD suites
 * @reserved: zero
 * @seq: sequence number of the next record
 * @nonce: explicit nonce of the next record sent (TLS 1.2 GCM and CCM only,
 *	RFC 5288 3); of RC4: octets of the key stream that are spent, at most
 *	KSSL_RC4_SPENT_MAX; else ignored
 * @key: cipher key
 * @iv: fixed part of the nonce
 * @mac_key: MAC key
 * @secret_len: bytes used of @secret: 0, or in TLS 1.3 as long as the suite's hash
 * @reserved2: zero
 * @max_payload: longest content of a record under this key, KSSL_PAYLOAD_MIN to
 *	KSSL_MAX_PAYLOAD; 0 for KSSL_MAX_PAYLOAD.  What max_fragment_length (RFC 6066 4) and
 *	record_size_limit (RFC 8449 4; in TLS 1.3 less the octet of the type) have led to for
 *	this direction.  The padding of TLS 1.3 counts too; a longer record of the peer's is
 *	EMSGSIZE, before it is decrypted if its length tells.  A KeyUpdate of the kernel
 *	leaves it as it is
 * @reserved3: zero
 * @secret: traffic secret that @key and @iv were derived from (RFC 8446 7.3); with
 *	it the kernel can do a KeyUpdate itself.  EOPNOTSUPP for suites with SM3; not
 *	kept where the kernel lacks the hash
 *
 * SSL 3.0, RC4, DES, RC2 and what was exported with 40 bits (RFC 2246 A.5) are EPERM
 * unless the module was loaded with legacy=1.
 *
 * Keys go in and never come out.
 */
struct kssl_key {
	__u32	size;
	__u16	version;
	__u16	suite;
	__u32	flags;
	__u8	key_len;
	__u8	iv_len;
	__u8	mac_key_len;
	__u8	reserved;
	__u64	seq;
	__u64	nonce;
	__u8	key[KSSL_KEY_MAX];
	__u8	iv[KSSL_IV_MAX];
	__u8	mac_key[KSSL_MAC_KEY_MAX];
	__u8	secret_len;
	__u8	reserved2;
	__u16	max_payload;
	__u32	reserved3;
	__u8	secret[KSSL_SECRET_MAX];
};

/*
 * struct kssl_key.flags: encrypt-then-MAC (RFC 7366), CBC suites only.  Once it was
 * in use, a CBC key without it is EINVAL (RFC 7366 3.1).
 */
#define KSSL_KEY_ETM		0x1

/**
 * enum kssl_state - what a direction is doing
 * @KSSL_STATE_NONE: attached, no keys and no helper
 * @KSSL_STATE_PLAIN: before keys; the helper exchanges raw records
 * @KSSL_STATE_ACTIVE: application data flows
 * @KSSL_STATE_HELD: waits for the helper
 * @KSSL_STATE_CLOSED: close_notify sent (tx) or received (rx)
 * @KSSL_STATE_FAILED: a fatal error, see KSSL_ERROR
 */
enum kssl_state {
	KSSL_STATE_NONE,
	KSSL_STATE_PLAIN,
	KSSL_STATE_ACTIVE,
	KSSL_STATE_HELD,
	KSSL_STATE_CLOSED,
	KSSL_STATE_FAILED,
};

/**
 * struct kssl_dir_status - one direction, as seen by KSSL_STATUS
 * @version: protocol version as on the wire, 0 before keys
 * @suite: IANA cipher suite number, 0 before keys
 * @state: enum kssl_state
 * @flags: KSSL_KEY_* of the key in use
 * @epoch: how many keys were installed so far
 * @max_payload: longest content of a record, see struct kssl_key; 0 before keys
 * @reserved2: zero
 * @seq: sequence number of the next record
 * @records: records since the attach, all types
 * @bytes: application bytes since the attach
 */
struct kssl_dir_status {
	__u16	version;
	__u16	suite;
	__u8	state;
	__u8	flags;
	__u16	max_payload;
	__u32	epoch;
	__u32	reserved2;
	__u64	seq;
	__u64	records;
	__u64	bytes;
};

/**
 * struct kssl_status - the connection, as seen by KSSL_STATUS
 * @size: bytes the kernel filled in
 * @attended: 1 while a helper holds the control file
 * @established: 1 when received application data is legal
 * @reserved: zero
 * @handshakes: handshakes and rekeys completed (KSSL_OP_DONE), KeyUpdates of the
 *	kernel not among them
 * @holds: how often sending was held since the attach
 * @hold_last_ns: length of the last finished hold of sending, nanoseconds
 * @hold_max_ns: longest one, nanoseconds
 * @tx: sending
 * @rx: receiving
 * @orphan: 1 if the helper is gone and the connection lives on
 * @waits: KSSL_WAITS_*: whom a handshake waits for
 * @reserved2: zero
 * @identity: how often the peer's identity had changed when the next byte to read was
 *	received; one call of recvmsg() or splice() never gives bytes of two identities
 * @key_updates_sent: KeyUpdates that the kernel did itself
 * @key_updates_received: likewise
 */
struct kssl_status {
	__u32	size;
	__u8	attended;
	__u8	established;
	__u16	reserved;
	__u32	handshakes;
	__u32	holds;
	__u64	hold_last_ns;
	__u64	hold_max_ns;
	struct kssl_dir_status tx;
	struct kssl_dir_status rx;
	__u8	orphan;
	__u8	waits;
	__u16	reserved2;
	__u32	identity;
	__u32	key_updates_sent;
	__u32	key_updates_received;
};

/* struct kssl_status.waits */
#define KSSL_WAITS_HELPER	0x1	/* its clock runs */
#define KSSL_WAITS_PEER		0x2	/* its clock runs */
#define KSSL_WAITS_READER	0x4	/* the answer may be behind data nobody reads; no clock */

/* struct kssl_error.who */
#define KSSL_WHO_NONE		0
#define KSSL_WHO_KERNEL		1
#define KSSL_WHO_HELPER		2
#define KSSL_WHO_PEER		3

/**
 * struct kssl_error - why the connection failed; sticky, all zero if it did not
 * @size: bytes the kernel filled in (for KSSL_OP_FAIL: as the caller knows it)
 * @err: positive errno
 * @who: KSSL_WHO_*
 * @alert: alert description sent, or received if @err is ECONNABORTED
 * @has_alert: 1 if @alert means something (close_notify is 0)
 * @reserved: zero
 * @x509: X.509 verification code of the helper, 0 if none
 * @text: one sentence, zero terminated
 */
struct kssl_error {
	__u32	size;
	__s32	err;
	__u8	who;
	__u8	alert;
	__u8	has_alert;
	__u8	reserved;
	__u32	x509;
	char	text[128];
};

/**
 * struct kssl_policy - what a connection bears, and what happens by itself
 * @size: sizeof(struct kssl_policy) as the caller knows it
 * @flags: KSSL_POLICY_*
 * @helper_ms: how long the helper may take to answer a control record (30000)
 * @peer_ms: how long the peer may take for its next record of a handshake (30000);
 *	does not run in the plain phase, nor while the answer may be behind data that
 *	the application has not read; begins again, 20 times at most, while TCP moves
 * @lookahead: bytes opened ahead of the reader (65536, at most 1 MiB)
 * @message_max: longest handshake message of the peer (131072, at most 2^24 - 1)
 * @flight_max: bytes of handshake messages of the peer in one handshake (262144);
 *	a record counts as 256 at least, or as what it may hold
 * @starts_max: renegotiations that the peer may start in @starts_ms (600); those that
 *	the helper has asked for do not count
 * @starts_ms: see there (60000)
 * @useless_max: handshake records outside of a renegotiation, such as KeyUpdates and
 *	tickets, in @starts_ms with no application data in between, either way (64); more
 *	where they may not hold 256 bytes
 * @tx_soft: records under one sending key until a new one is asked for
 * @tx_hard: records of application data under one sending key, then EKEYEXPIRED
 * @rx_soft: likewise, receiving
 * @rx_hard: likewise
 * @rekey_bytes: application bytes, either way, after which a new key is asked for
 * @rekey_records: records, likewise
 * @rekey_ms: time, likewise
 * @pad_to: TLS 1.3: zeros bring content and type of each record sent to a multiple of so
 *	many octets (RFC 8446 5.4), at most KSSL_MAX_PAYLOAD, or to the longest that a
 *	record may be; 0 or 1: none do
 *
 * Zero means the default: the number in brackets, for the hard limits what the suite
 * allows (RFC 8446 5.5; RFC 9147 4.5.3 for CCM), for the soft ones three quarters of
 * that, for rekey_* never.  A usage
 * limit above the suite's is the suite's.  For block ciphers of 64 bits these
 * limits count blocks; theirs are 2^20 (SP 800-67r2 3.3), and the hard ones 2^22.
 *
 * It can be set at any time after the attach; clocks that run keep their time, and an
 * orphan needs its flag before the helper goes.  Before connect() or listen() it is for
 * what connects or is accepted from then on.  A new key is
 * asked for with KSSL_EV_REKEY, up to TLS 1.2 only when the application has read, or
 * just reads, what was received, lest the peer's answer be behind it;
 * with KSSL_POLICY_KEY_UPDATE, or on an orphan, by a KeyUpdate of the kernel.
 * Unattended sockets obey tx_hard, which ends with the next key, and rx_hard if it
 * was set.
 * Exceeding message_max, flight_max, starts_max or useless_max is EDQUOT.
 */
struct kssl_policy {
	__u32	size;
	__u32	flags;
	__u32	helper_ms;
	__u32	peer_ms;
	__u32	lookahead;
	__u32	message_max;
	__u32	flight_max;
	__u32	starts_max;
	__u32	starts_ms;
	__u32	useless_max;
	__u64	tx_soft;
	__u64	tx_hard;
	__u64	rx_soft;
	__u64	rx_hard;
	__u64	rekey_bytes;
	__u64	rekey_records;
	__u32	rekey_ms;
	__u32	pad_to;
};

/* struct kssl_policy.flags */
#define KSSL_POLICY_ORPHAN	0x1	/* live on when the helper is gone */
#define KSSL_POLICY_KEY_UPDATE	0x2	/* the kernel does KeyUpdates, where keys bring a secret */
#define KSSL_POLICY_IDENTITY	0x4	/* recvmsg() gives KSSL_IDENTITY */
#define KSSL_POLICY_INSECURE_EOF 0x8	/* FIN without close_notify is an end of file */
#define KSSL_POLICY_HALF_CLOSE	0x10	/* TLS 1.2: a received close_notify does not end sending */
#define KSSL_POLICY_SPLIT_EMPTY	0x20	/* TLS 1.0: an empty record before each, see below */
#define KSSL_POLICY_NO_SPLIT	0x40	/* TLS 1.0: records as they are */

/*
 * Up to TLS 1.0 whoever sees a CBC record knows the IV of the next one, and may choose
 * what it protects (CVE-2011-3389).  So a record of application data is sent as two, the
 * first with one octet, or with none for KSSL_POLICY_SPLIT_EMPTY.
 */

/*
 * KSSL_RENEGOTIATE asks the helper for a handshake, as connect(2) asks TCP: set waits
 * until it is over (SO_SNDTIMEO counts), or is EINPROGRESS on a non-blocking socket,
 * and EALREADY while one is asked for.  get tells how the last one ended: 0,
 * EINPROGRESS, or the positive errno that set would have given:
 *   EOPNOTSUPP		not with this version, protocol or peer; never a helper
 *   ECONNREFUSED	the peer refused; the connection lives
 *   ENOTCONN		no handshake yet;  EINVAL: not one of KSSL_RENEG_*
 *   ESRCH		the helper is gone;  EPIPE: one direction is closed
 *   EINTR		set only: a signal came; the handshake goes on
 * or the error of the connection.  In TLS 1.3 FULL and RESUME mean a KeyUpdate both
 * ways, and the others post-handshake authentication (RFC 8446 4.6.2).
 */
#define KSSL_RENEG_FULL		0
#define KSSL_RENEG_RESUME	1	/* client: abbreviated if the server agrees */
#define KSSL_RENEG_REQUEST_CERT	2	/* server: ask for a client certificate */
#define KSSL_RENEG_REQUIRE_CERT	3	/* server: demand one */

#define KSSL_PROFILE_MAX	64
#define KSSL_NAME_MAX		256
#define KSSL_ALPN_MAX		128
#define KSSL_PIN_LEN		32
#define KSSL_PINS_MAX		4

/**
 * struct kssl_handshake - KSSL_HANDSHAKE: TLS for a program that knows only sockets
 * @size: sizeof(struct kssl_handshake) as the caller knows it
 * @flags: KSSL_HANDSHAKE_*
 * @timeout_ms: for the whole handshake, from when TCP is connected (30000)
 * @role: KSSL_ROLE_*
 * @client_cert: server: KSSL_CLIENT_CERT_*
 * @pins_count: entries used of @pins
 * @alpn_len: bytes used of @alpn
 * @profile: name of the helper's profile, "" for "client"; zeros fill the rest, of
 *	@name too
 * @name: zero terminated server name, host name or IP literal: for a client what is
 *	sent as SNI and verified, and EINVAL if empty; for a server empty
 * @alpn: protocols in order of preference, each behind an octet with its length (RFC
 *	7301 3.1); none: the profile's
 * @pins: SHA-256 of the SubjectPublicKeyInfo of the peer's certificate (RFC 7469 2.4);
 *	if there are any, one has to match
 *
 * Zero and "" mean the default: the helper's, or the number in brackets.
 *
 * Legal on a socket with the ULP:
 *   before connect() or listen(): kept; connect() and writability then mean that TCP
 *	and TLS are done, and whatever accept() gives shakes hands by itself.  Reads and
 *	writes of these wait for that, accept() does not.  Again: replaced, for what
 *	connects or is accepted from then on.
 *   on a connected socket: as connect(2): waits (SO_SNDTIMEO counts), or is EINPROGRESS
 *	on a non-blocking socket, which is writable, or has its SO_ERROR, when it is over.
 * The user, process and cgroup that set it are what the helper's answer depends on,
 * also for what a listener accepts.
 *
 * get tells how the handshake stands: 0 it is done, EINPROGRESS, or the positive errno
 * it failed with.  ENOTCONN: not begun.
 *   EINVAL	malformed; a client without a name; another than before
 *   EBADFD	bytes have been sent or read before (see KSSL_HANDSHAKE_AFTER_PLAINTEXT),
 *		or, for a client, received
 *   EBUSY	the socket has keys, or a control file
 *   EALREADY	in progress (non-blocking; else it is waited for)
 *   EISCONN	done
 *   EINTR	a signal came; the handshake goes on
 *   EUNATCH	no helper listens;  EUSERS: too many handshakes at a time
 * or the error of the connection.
 */
struct kssl_handshake {
	__u32	size;
	__u32	flags;
	__u32	timeout_ms;
	__u8	role;
	__u8	client_cert;
	__u8	pins_count;
	__u8	alpn_len;
	char	profile[KSSL_PROFILE_MAX];
	char	name[KSSL_NAME_MAX];
	__u8	alpn[KSSL_ALPN_MAX];
	__u8	pins[KSSL_PINS_MAX][KSSL_PIN_LEN];
};

/* struct kssl_handshake.role */
#define KSSL_ROLE_CLIENT	1
#define KSSL_ROLE_SERVER	2

/*
 * struct kssl_handshake.flags: plaintext went before, and all that came of it was read
 * (STARTTLS).
 */
#define KSSL_HANDSHAKE_AFTER_PLAINTEXT	0x1

/* struct kssl_handshake.client_cert */
#define KSSL_CLIENT_CERT_PROFILE	0	/* what the profile says */
#define KSSL_CLIENT_CERT_REQUEST	1	/* at least ask */
#define KSSL_CLIENT_CERT_REQUIRE	2	/* demand */

/**
 * struct kssl_session - KSSL_SESSION: what the last handshake has agreed on
 * @size: bytes the kernel filled in (for KSSL_OP_SESSION: as the caller knows it)
 * @flags: KSSL_SESSION_*
 * @verify: X.509 verification code of the peer's certificate, 0: good, or none shown
 * @chain_len: bytes that KSSL_PEER_CHAIN has, ignored in KSSL_OP_SESSION
 * @end_point_len: bytes used of @end_point
 * @reserved: zero
 * @profile: the helper's profile, zero terminated
 * @name: server name sent or received as SNI, zero terminated
 * @alpn: protocol agreed on, zero terminated
 * @end_point: channel binding tls-server-end-point: hash of the server's certificate
 *	(RFC 5929 4.1)
 *
 * ENODATA before the first handshake is over, and where the helper does not tell.
 * KSSL_PEER_CHAIN gives the peer's certificates, its own first, each in DER behind its
 * length in three octets, most significant first (RFC 5246 7.4.2); ENODATA if there are
 * none, EMSGSIZE if they do not fit.
 */
struct kssl_session {
	__u32	size;
	__u32	flags;
	__u32	verify;
	__u32	chain_len;
	__u8	end_point_len;
	__u8	reserved[7];
	char	profile[KSSL_PROFILE_MAX];
	char	name[KSSL_NAME_MAX];
	char	alpn[256];
	__u8	end_point[64];
};

/* struct kssl_session.flags */
#define KSSL_SESSION_RESUMED	0x1
#define KSSL_SESSION_PEER_CERT	0x2	/* the peer has shown a certificate */
#define KSSL_SESSION_VERIFIED	0x4	/* and it was verified */
#define KSSL_SESSION_EMS	0x8	/* extended master secret (RFC 7627) */

#define KSSL_CHAIN_MAX		65536

#define KSSL_EXPORT_MAX		1024

/**
 * struct kssl_exporter - KSSL_EXPORTER: keying material for a protocol above (RFC 5705)
 * @size: sizeof(struct kssl_exporter) as the caller knows it
 * @len: bytes wanted, at most KSSL_EXPORT_MAX
 * @has_context: 1 if there is a context, be it empty (RFC 5705 4)
 * @context_len: bytes used of @context
 * @reserved: zero
 * @label: zero terminated, such as EXPORTER-Channel-Binding (RFC 9266)
 * @context: context value
 *
 * The helper computes it, so this is asked, waited for and answered as KSSL_RENEGOTIATE
 * is, and not both at once; get KSSL_RENEGOTIATE tells how it stands.  Then get
 * KSSL_EXPORTER gives the bytes, once; ENODATA: there are none.
 */
struct kssl_exporter {
	__u32	size;
	__u16	len;
	__u8	has_context;
	__u8	context_len;
	__u8	reserved[8];
	char	label[112];
	__u8	context[128];
};

/**
 * struct kssl_suite_info - one row of KSSL_SUITES: what this kernel can carry
 * @suite: IANA cipher suite number
 * @version: protocol version as on the wire
 * @key_len: length of the cipher key
 * @iv_len: length of struct kssl_key.iv
 * @mac_key_len: length of the MAC key; 0 for AEAD suites, so it also tells those
 *	that can have KSSL_KEY_ETM
 * @tag_len: bytes of tag or MAC in each record
 *
 * getsockopt gives as many whole rows as fit and sets optlen to their length;
 * a NULL buffer of length 0 gives the length that all rows need.
 */
struct kssl_suite_info {
	__u16	suite;
	__u16	version;
	__u8	key_len;
	__u8	iv_len;
	__u8	mac_key_len;
	__u8	tag_len;
};

/*
 * The control file.
 *
 * read() gives one message, struct kssl_msg and its payload; EMSGSIZE if the
 * buffer is too small (the message stays), EAGAIN with O_NONBLOCK, 0 after
 * KSSL_EV_CLOSED was read.  A buffer of KSSL_MSG_MAX always suffices.
 *
 * After every KSSL_MSG_RECORD and KSSL_MSG_RAW receiving is held until
 * KSSL_OP_CONTINUE, so nothing is ever read past the point where keys change.
 *
 * write() takes one batch: struct kssl_op with payload, one after the other,
 * no padding, at most KSSL_BATCH_MAX in all, 8 keys and 8 KeyUpdates.  A batch is
 * one transaction under the socket lock: all of it happens in order, or none of it
 * and the errno says why; it returns the length of the whole batch.
 *   EINVAL	malformed, an op that is not legal in this state, or records of
 *		more than KSSL_CONTROL_BUDGET bytes once sealed
 *   EAGAIN	more than KSSL_CONTROL_BUDGET would wait for the send buffer;
 *		poll for EPOLLOUT, which tells that nothing waits any more
 *   ENOPKG	this kernel lacks the suite's algorithm
 *   EOPNOTSUPP	the suite or version is not known
 *   EPERM	the suite is one of those that want the module loaded with legacy=1
 *   E2BIG	a struct has more than the kernel knows
 *   EPIPE	the socket is closed or its sending failed
 *   EINTR	a signal came first
 *   EKEYEXPIRED	out of sequence numbers
 *   ENOMEM, EIO	no memory; the cipher failed
 *   EFAULT
 */
#define KSSL_BATCH_MAX		(512 * 1024)
#define KSSL_CONTROL_BUDGET	(576 * 1024)

/**
 * struct kssl_msg - header of a message read from the control file
 * @len: bytes of the message, header included
 * @kind: KSSL_MSG_*
 * @type: content type (RECORD, RAW) or KSSL_EV_* (EVENT)
 * @flags: zero
 * @epoch: receive epoch the record was read under, 0 in the plain phase; for
 *	KSSL_EV_KEY_UPDATE the one now in use; for KSSL_EV_REQUEST its number
 * @value: sending epoch (RECORD, KSSL_EV_KEY_UPDATE); positive errno
 *	(KSSL_EV_CLOSED, KSSL_EV_FAILED); KSSL_REKEY_* (KSSL_EV_REKEY); KSSL_RENEG_* or
 *	KSSL_ASK_EXPORTER (KSSL_EV_REQUEST); else zero
 */
struct kssl_msg {
	__u32	len;
	__u16	kind;
	__u8	type;
	__u8	flags;
	__u32	epoch;
	__u32	value;
};

#define KSSL_MSG_RECORD		1	/* payload: plaintext of a control record */
#define KSSL_MSG_RAW		2	/* payload: record as on the wire, header included */
#define KSSL_MSG_EVENT		3

#define KSSL_EV_CLOSED		1	/* the socket is gone; last message */
#define KSSL_EV_EOF		2	/* FIN without close_notify */
#define KSSL_EV_CLOSE_NOTIFY	3	/* close_notify received */
#define KSSL_EV_FAILED		4	/* fatal error, see KSSL_ERROR */
#define KSSL_EV_REKEY		5	/* a new key is wanted */
#define KSSL_EV_KEY_UPDATE	6	/* the kernel did one KeyUpdate or several; wakes later */
#define KSSL_EV_REQUEST		7	/* KSSL_RENEGOTIATE; answer with KSSL_OP_RESULT */

/* struct kssl_msg.value of KSSL_EV_REKEY: all reasons since it was last read. */
#define KSSL_REKEY_TX		0x1	/* tx_soft */
#define KSSL_REKEY_RX		0x2	/* rx_soft */
#define KSSL_REKEY_BYTES	0x4
#define KSSL_REKEY_RECORDS	0x8
#define KSSL_REKEY_TIME		0x10

/*
 * struct kssl_msg.value of KSSL_EV_REQUEST: KSSL_EXPORTER; what is wanted is read with
 * KSSL_IOC_EXPORTER and answered with KSSL_OP_EXPORTER and KSSL_OP_RESULT.
 */
#define KSSL_ASK_EXPORTER	0x100

#define KSSL_MSG_MAX		(16 + 5 + 16384 + 2048)

/*
 * ioctl() of the control file, for a helper that does not have the socket.  The
 * argument is a struct that starts with its size, as for the socket option of that
 * name.  ENOTCONN: the socket is closed.  ENODATA: nothing was asked for.
 */
#define KSSL_IOC_STATUS		_IO(0x4b, 1)	/* get: struct kssl_status */
#define KSSL_IOC_ERROR		_IO(0x4b, 2)	/* get: struct kssl_error */
#define KSSL_IOC_POLICY		_IO(0x4b, 3)	/* set: struct kssl_policy */
#define KSSL_IOC_EXPORTER	_IO(0x4b, 4)	/* get: struct kssl_exporter */

/**
 * struct kssl_op - header of one operation of a batch
 * @op: KSSL_OP_*
 * @type: content type (RECORD): ChangeCipherSpec, alert or handshake; else zero
 * @flags: zero
 * @len: bytes of payload that follow
 */
struct kssl_op {
	__u16	op;
	__u8	type;
	__u8	flags;
	__u32	len;
};

/**
 * enum kssl_op_code - what a batch can do
 * @KSSL_OP_HOLD: application writes wait (or EAGAIN) until RELEASE
 * @KSSL_OP_RAW: plain phase: payload goes out as it is (whole records)
 * @KSSL_OP_RECORD: payload of 1 byte to max_payload of the current key goes out as one
 *	record of @type under it
 * @KSSL_OP_TX_KEY: payload struct kssl_key; used from the next record on.  Where the
 *	kernel does KeyUpdates itself, only while sending is held.  EINVAL if what MSG_MORE
 *	has left open is longer than its max_payload
 * @KSSL_OP_RX_KEY: payload struct kssl_key; legal only while receiving is held,
 *	used from the next record on.  Up to TLS 1.2, and for the first key of a
 *	connection, application data is unexpected_message until ESTABLISHED
 * @KSSL_OP_RELEASE: application writes go on
 * @KSSL_OP_CONTINUE: receiving goes on
 * @KSSL_OP_ESTABLISHED: the peer's Finished is verified (RFC 5246 7.4.9)
 * @KSSL_OP_DONE: the handshake or rekey is over; counted in KSSL_STATUS
 * @KSSL_OP_FAIL: payload struct kssl_error; its alert (if has_alert) goes out as
 *	fatal, then both directions fail with err.  Must be last
 * @KSSL_OP_KEY_UPDATE: TLS 1.3, the sending key has its secret: a KeyUpdate goes out
 *	that asks the peer for one too if the payload, one octet, is 1 (RFC 8446
 *	4.6.3), and the key that follows from the secret is used from the next record on
 * @KSSL_OP_AWAIT: the peer owes a message though sending is not held; its clock runs
 *	until RELEASE or DONE
 * @KSSL_OP_IDENTITY: what is received from now on is another identity's: exactly,
 *	while receiving is held, else from some record on that nobody has read
 * @KSSL_OP_RESULT: payload struct kssl_result: how what KSSL_EV_REQUEST asked for ended
 * @KSSL_OP_SESSION: payload struct kssl_session, for the application
 * @KSSL_OP_PEER_CHAIN: payload as KSSL_PEER_CHAIN gives it, at most KSSL_CHAIN_MAX
 *	bytes; none: the peer has shown no certificate
 * @KSSL_OP_EXPORTER: payload of 1 to KSSL_EXPORT_MAX bytes, what KSSL_ASK_EXPORTER wanted
 */
enum kssl_op_code {
	KSSL_OP_HOLD = 1,
	KSSL_OP_RAW,
	KSSL_OP_RECORD,
	KSSL_OP_TX_KEY,
	KSSL_OP_RX_KEY,
	KSSL_OP_RELEASE,
	KSSL_OP_CONTINUE,
	KSSL_OP_ESTABLISHED,
	KSSL_OP_DONE,
	KSSL_OP_FAIL,
	KSSL_OP_KEY_UPDATE,
	KSSL_OP_AWAIT,
	KSSL_OP_IDENTITY,
	KSSL_OP_RESULT,
	KSSL_OP_SESSION,
	KSSL_OP_PEER_CHAIN,
	KSSL_OP_EXPORTER,
};

/**
 * struct kssl_result - answer to KSSL_EV_REQUEST
 * @id: struct kssl_msg.epoch of the event; of another one it is ignored
 * @err: 0 or positive errno
 */
struct kssl_result {
	__u32	id;
	__u32	err;
};

/*
 * Generic netlink family "kssl", per network namespace: where helpers find sockets
 * that wait for them, and people see what there is.
 *
 * A helper joins the group "helpers", sends KSSL_CMD_VERSION, and KSSL_CMD_ACCEPT until
 * that is EAGAIN; then again after each KSSL_CMD_READY, and when it has lost messages
 * (ENOBUFS).  From its first KSSL_CMD_ACCEPT until its netlink socket is closed it is
 * there.  Several helpers may: each socket goes to one of them.  EUNATCH for those
 * who wait when the last helper leaves comes 5 seconds later, so that it can be
 * restarted.
 *
 * Every failure carries a sentence (NLMSGERR_ATTR_MSG).  "Admin" means CAP_NET_ADMIN in
 * the user namespace that owns the network namespace.  Who has it not sees its own
 * user's sockets only.  EBUSY: a system call keeps the socket of KSSL_A_ID for longer
 * than a second.
 */
#define KSSL_GENL_NAME			"kssl"
#define KSSL_GENL_VERSION		1
#define KSSL_GENL_GROUP_HELPERS		"helpers"	/* KSSL_CMD_READY; admin */
#define KSSL_GENL_GROUP_EVENTS		"events"	/* KSSL_CMD_EVENT; admin */

/* What changes when a helper and the module cannot work together any more. */
#define KSSL_ABI			1

/**
 * enum kssl_cmd - commands of the family
 * @KSSL_CMD_UNSPEC: unused
 * @KSSL_CMD_VERSION: do: takes KSSL_A_ABI, gives KSSL_A_ABI and KSSL_A_MODULE.
 *	EPROTONOSUPPORT: they do not match; the sentence says what to update
 * @KSSL_CMD_READY: to "helpers": a socket waits; has what KSSL_CMD_ACCEPT gives, but for
 *	KSSL_A_CONTROL
 * @KSSL_CMD_ACCEPT: do, admin: take the socket of KSSL_A_ID, else the one that waits
 *	longest; gives KSSL_A_CONTROL, which the caller has when sendmsg() returns, and
 *	what the handshake shall be.  EAGAIN: none waits; ENOENT: not that one; EBUSY:
 *	another helper is taking it, and may fail to; EMFILE, ENFILE, ENOMEM, ENOBUFS: it
 *	goes on waiting
 * @KSSL_CMD_CANCEL: do, admin or the socket's user: fail the socket of KSSL_A_ID
 *	with ECANCELED.  ENOENT
 * @KSSL_CMD_SESSION: do with KSSL_A_ID (ENOENT), or dump: sockets with the ULP
 * @KSSL_CMD_FAILURE: dump: the last KSSL_FAILURES_MAX connections that failed and are
 *	closed, oldest first: what KSSL_CMD_SESSION gave at their end, and KSSL_A_AGE
 * @KSSL_CMD_STATS: do: counters, KSSL_A_STATS
 * @KSSL_CMD_RENEGOTIATE: do, admin or the socket's user: KSSL_A_ID, KSSL_A_HOW: as
 *	KSSL_RENEGOTIATE on a non-blocking socket.  EALREADY, EOPNOTSUPP, ENOTCONN,
 *	EPIPE, ESRCH, EINVAL likewise; the end is a KSSL_CMD_EVENT, and KSSL_A_REQUEST
 * @KSSL_CMD_EVENT: to "events": KSSL_A_EVENT and what KSSL_CMD_SESSION gives
 */
enum kssl_cmd {
	KSSL_CMD_UNSPEC,
	KSSL_CMD_VERSION,
	KSSL_CMD_READY,
	KSSL_CMD_ACCEPT,
	KSSL_CMD_CANCEL,
	KSSL_CMD_SESSION,
	KSSL_CMD_FAILURE,
	KSSL_CMD_STATS,
	KSSL_CMD_RENEGOTIATE,
	KSSL_CMD_EVENT,
};

#define KSSL_CMD_MAX		KSSL_CMD_EVENT
#define KSSL_FAILURES_MAX	128

/**
 * enum kssl_attr - attributes of the family
 * @KSSL_A_UNSPEC: unused
 * @KSSL_A_PAD: for alignment
 * @KSSL_A_ABI: u32, KSSL_ABI
 * @KSSL_A_MODULE: string, the module's version
 * @KSSL_A_ID: u32, number of the socket; none has it again for long
 * @KSSL_A_CONTROL: s32, file descriptor of the control file
 * @KSSL_A_ROLE: u8, KSSL_ROLE_*
 * @KSSL_A_FLAGS: u32, KSSL_HANDSHAKE_*
 * @KSSL_A_TIMEOUT: u32, milliseconds that are left for the handshake
 * @KSSL_A_CLIENT_CERT: u8, KSSL_CLIENT_CERT_*
 * @KSSL_A_PROFILE: string; as asked for, or once there is a session, as it is
 * @KSSL_A_NAME: string, server name; likewise
 * @KSSL_A_ALPN: ACCEPT: binary as in struct kssl_handshake; SESSION: what was agreed on
 * @KSSL_A_PINS: binary, KSSL_PIN_LEN octets each
 * @KSSL_A_UID: u32, effective user who set KSSL_HANDSHAKE, or else the ULP, in the
 *	initial user namespace for ACCEPT and EVENT, in the reader's for SESSION
 * @KSSL_A_GID: u32, effective group, likewise
 * @KSSL_A_PID: u32, its process, in the initial pid namespace
 * @KSSL_A_COMM: string, the process's name
 * @KSSL_A_CGROUP: u64, its cgroup's id (version 2 hierarchy), 0 if unknown
 * @KSSL_A_NETNS: u64, inode number of the network namespace
 * @KSSL_A_LOCAL: binary, struct sockaddr_in or sockaddr_in6
 * @KSSL_A_PEER: binary, likewise
 * @KSSL_A_LISTENER: u32, number that all sockets of one listening socket share; none: not
 *	accepted
 * @KSSL_A_STATE: u8, KSSL_SESSION_STATE_*
 * @KSSL_A_TX: nested, enum kssl_attr_dir
 * @KSSL_A_RX: nested, enum kssl_attr_dir
 * @KSSL_A_HANDSHAKES: u32, as struct kssl_status.handshakes
 * @KSSL_A_KEY_UPDATES: u32, of the kernel, both ways
 * @KSSL_A_HOLDS: u32, as in struct kssl_status
 * @KSSL_A_HOLD_MAX: u64, nanoseconds, likewise
 * @KSSL_A_WAITS: u8, KSSL_WAITS_*
 * @KSSL_A_SESSION_FLAGS: u32, struct kssl_session.flags; none: not known
 * @KSSL_A_ERROR: u32, positive errno; none: not failed
 * @KSSL_A_WHO: u8, KSSL_WHO_*
 * @KSSL_A_ALERT: u8, alert sent, or received if the error is ECONNABORTED
 * @KSSL_A_X509: u32, X.509 verification code
 * @KSSL_A_TEXT: string, one sentence
 * @KSSL_A_AGE: u64, milliseconds: SESSION since the attach, FAILURE since the end
 * @KSSL_A_HOW: u32, KSSL_RENEG_*
 * @KSSL_A_EVENT: u8, KSSL_EVENT_NL_*
 * @KSSL_A_STATS: nested, enum kssl_attr_stats
 * @KSSL_A_REQUEST: u32, how the last KSSL_RENEGOTIATE stands, as getsockopt() tells; none:
 *	there was none
 * @KSSL_A_PAD_TO: u32, as in struct kssl_policy; none: records are not padded
 */
enum kssl_attr {
	KSSL_A_UNSPEC,
	KSSL_A_PAD,
	KSSL_A_ABI,
	KSSL_A_MODULE,
	KSSL_A_ID,
	KSSL_A_CONTROL,
	KSSL_A_ROLE,
	KSSL_A_FLAGS,
	KSSL_A_TIMEOUT,
	KSSL_A_CLIENT_CERT,
	KSSL_A_PROFILE,
	KSSL_A_NAME,
	KSSL_A_ALPN,
	KSSL_A_PINS,
	KSSL_A_UID,
	KSSL_A_GID,
	KSSL_A_PID,
	KSSL_A_COMM,
	KSSL_A_CGROUP,
	KSSL_A_NETNS,
	KSSL_A_LOCAL,
	KSSL_A_PEER,
	KSSL_A_LISTENER,
	KSSL_A_STATE,
	KSSL_A_TX,
	KSSL_A_RX,
	KSSL_A_HANDSHAKES,
	KSSL_A_KEY_UPDATES,
	KSSL_A_HOLDS,
	KSSL_A_HOLD_MAX,
	KSSL_A_WAITS,
	KSSL_A_SESSION_FLAGS,
	KSSL_A_ERROR,
	KSSL_A_WHO,
	KSSL_A_ALERT,
	KSSL_A_X509,
	KSSL_A_TEXT,
	KSSL_A_AGE,
	KSSL_A_HOW,
	KSSL_A_EVENT,
	KSSL_A_STATS,
	KSSL_A_REQUEST,
	KSSL_A_PAD_TO,
};

#define KSSL_A_MAX		KSSL_A_PAD_TO

/* KSSL_A_STATE */
#define KSSL_SESSION_STATE_WAITING	1	/* no helper has it yet */
#define KSSL_SESSION_STATE_HANDSHAKE	2	/* the first one */
#define KSSL_SESSION_STATE_ATTENDED	3
#define KSSL_SESSION_STATE_ORPHAN	4
#define KSSL_SESSION_STATE_UNATTENDED	5	/* keys by setsockopt, or none yet */
#define KSSL_SESSION_STATE_FAILED	6
#define KSSL_SESSION_STATE_BUSY		7	/* a system call keeps it from being looked at */

/**
 * enum kssl_attr_dir - of KSSL_A_TX and KSSL_A_RX, as in struct kssl_dir_status
 * @KSSL_A_DIR_UNSPEC: unused
 * @KSSL_A_DIR_PAD: for alignment
 * @KSSL_A_DIR_VERSION: u16
 * @KSSL_A_DIR_SUITE: u16
 * @KSSL_A_DIR_STATE: u8
 * @KSSL_A_DIR_FLAGS: u8
 * @KSSL_A_DIR_EPOCH: u32
 * @KSSL_A_DIR_SEQ: u64
 * @KSSL_A_DIR_RECORDS: u64
 * @KSSL_A_DIR_BYTES: u64
 * @KSSL_A_DIR_MAX_PAYLOAD: u16
 */
enum kssl_attr_dir {
	KSSL_A_DIR_UNSPEC,
	KSSL_A_DIR_PAD,
	KSSL_A_DIR_VERSION,
	KSSL_A_DIR_SUITE,
	KSSL_A_DIR_STATE,
	KSSL_A_DIR_FLAGS,
	KSSL_A_DIR_EPOCH,
	KSSL_A_DIR_SEQ,
	KSSL_A_DIR_RECORDS,
	KSSL_A_DIR_BYTES,
	KSSL_A_DIR_MAX_PAYLOAD,
};

#define KSSL_A_DIR_MAX		KSSL_A_DIR_MAX_PAYLOAD

/**
 * enum kssl_attr_stats - of KSSL_A_STATS, all u64, of this network namespace
 * @KSSL_A_STATS_UNSPEC: unused
 * @KSSL_A_STATS_PAD: for alignment
 * @KSSL_A_STATS_SESSIONS: sockets attached now
 * @KSSL_A_STATS_WAITING: of these, waiting for a helper
 * @KSSL_A_STATS_ATTACHED: attached since the module was loaded
 * @KSSL_A_STATS_HANDSHAKES: handshakes completed, renegotiations among them
 * @KSSL_A_STATS_KEY_UPDATES: KeyUpdates of the kernel, both ways
 * @KSSL_A_STATS_FAILED: connections failed
 * @KSSL_A_STATS_NO_HELPER: of these, with EUNATCH
 * @KSSL_A_STATS_TOO_MANY: of these, with EUSERS
 * @KSSL_A_STATS_TIMEOUT: of these, with ETIMEDOUT
 * @KSSL_A_STATS_BAD_RECORD: of these, with EBADMSG
 * @KSSL_A_STATS_TX_RECORDS: records sent by connections that are closed
 * @KSSL_A_STATS_TX_BYTES: application bytes, likewise
 * @KSSL_A_STATS_RX_RECORDS: records received, likewise
 * @KSSL_A_STATS_RX_BYTES: application bytes, likewise
 */
enum kssl_attr_stats {
	KSSL_A_STATS_UNSPEC,
	KSSL_A_STATS_PAD,
	KSSL_A_STATS_SESSIONS,
	KSSL_A_STATS_WAITING,
	KSSL_A_STATS_ATTACHED,
	KSSL_A_STATS_HANDSHAKES,
	KSSL_A_STATS_KEY_UPDATES,
	KSSL_A_STATS_FAILED,
	KSSL_A_STATS_NO_HELPER,
	KSSL_A_STATS_TOO_MANY,
	KSSL_A_STATS_TIMEOUT,
	KSSL_A_STATS_BAD_RECORD,
	KSSL_A_STATS_TX_RECORDS,
	KSSL_A_STATS_TX_BYTES,
	KSSL_A_STATS_RX_RECORDS,
	KSSL_A_STATS_RX_BYTES,
};

#define KSSL_A_STATS_MAX	KSSL_A_STATS_RX_BYTES

/* KSSL_A_EVENT */
#define KSSL_EVENT_NL_ATTACHED		1
#define KSSL_EVENT_NL_HANDSHAKE		2	/* the first one, or a renegotiation, is done */
#define KSSL_EVENT_NL_KEY_UPDATE	3	/* KeyUpdates of the kernel */
#define KSSL_EVENT_NL_FAILED		4
#define KSSL_EVENT_NL_ORPHANED		5
#define KSSL_EVENT_NL_CLOSED		6
#define KSSL_EVENT_NL_REFUSED		7	/* KSSL_RENEGOTIATE; KSSL_A_REQUEST says why */
#define KSSL_EVENT_NL_DECLINED		8	/* a renegotiation of the peer's, by us */

#endif /* _UAPI_LINUX_KSSL_H */
