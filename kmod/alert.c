// SPDX-License-Identifier: GPL-2.0
/*
 * Errors and alerts: which alert goes with which errno, how a connection fails,
 * and how alerts are sent.  The first error of a connection wins and stays;
 * sk_err only carries the news.
 */
#include "kssl.h"

/**
 * kssl_alert_of_errno() - the fatal alert that goes to the peer with an error
 * @err: positive errno
 *
 * The table is that of uapi/linux/kssl.h.
 *
 * Return: alert description (RFC 8446 6.2), or KSSL_ALERT_NONE.
 */
int kssl_alert_of_errno(int err)
{
	switch (err) {
	case EBADMSG:
		return KSSL_ALERT_BAD_RECORD_MAC;
	case EMSGSIZE:
		return KSSL_ALERT_RECORD_OVERFLOW;
	case EPROTO:
	case EDQUOT:
		return KSSL_ALERT_UNEXPECTED_MESSAGE;
	case EPROTONOSUPPORT:
		return KSSL_ALERT_PROTOCOL_VERSION;
	case EKEYEXPIRED:
	case ECONNABORTED:
	case ECONNRESET:
	case EPIPE:
		return KSSL_ALERT_NONE;
	default:
		return KSSL_ALERT_INTERNAL_ERROR;
	}
}

/* The first one stays. */
static void set_error(struct kssl_sock *ctx, const struct kssl_error *error)
{
	if (ctx->error.err)
		return;
	ctx->error = *error;
	ctx->error.size = sizeof(ctx->error);
	kssl_upcall_count(ctx, KSSL_A_STATS_FAILED);
	if (error->err == ETIMEDOUT)
		kssl_upcall_count(ctx, KSSL_A_STATS_TIMEOUT);
	if (error->err == EBADMSG)
		kssl_upcall_count(ctx, KSSL_A_STATS_BAD_RECORD);
	kssl_genl_event(ctx, KSSL_EVENT_NL_FAILED);
}

/**
 * kssl_fail_with() - fail both directions, without sending an alert
 * @ctx: connection
 * @error: the cause
 *
 * Data that was opened before stays readable. The first call wins.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_fail_with(struct kssl_sock *ctx, const struct kssl_error *error)
{
	set_error(ctx, error);
	if (!ctx->tx.dir.err)
		ctx->tx.dir.err = error->err;
	if (!ctx->rx.dir.err)
		ctx->rx.dir.err = error->err;
	ctx->rx.events++;
	ctx->helper_due = false;
	cancel_delayed_work(&ctx->helper_clock);
	kssl_policy_clock(ctx);
	kssl_handshake_landed(ctx);
	kssl_control_event(ctx, KSSL_EV_FAILED);
	/* Everything sealed goes out first; then the work sets sk_err. */
	kssl_sock_later(ctx, &ctx->tx.work, 0);
	kssl_sock_wake(ctx);
}

static void make_error(struct kssl_error *error, int err, u8 who, const char *text)
{
	*error = (struct kssl_error) { .err = err, .who = who };
	strscpy(error->text, text, sizeof(error->text));
}

/**
 * kssl_fail() - fail both directions and tell the peer
 * @ctx: connection
 * @err: positive errno
 * @who: KSSL_WHO_*
 * @alert: fatal alert to send, or KSSL_ALERT_NONE
 * @text: one sentence
 *
 * Context: Caller holds the socket lock.
 */
void kssl_fail(struct kssl_sock *ctx, int err, u8 who, int alert, const char *text)
{
	struct kssl_error error;

	if (ctx->error.err && ctx->tx.dir.err && ctx->rx.dir.err)
		return;
	make_error(&error, err, who, text);
	if (alert != KSSL_ALERT_NONE && !ctx->tx.dir.err) {
		error.alert = alert;
		error.has_alert = 1;
		kssl_alert_request(ctx, alert);
	}
	kssl_fail_with(ctx, &error);
}

/**
 * kssl_fail_dir() - fail one direction; the other may go on
 * @ctx: connection
 * @dir: which one
 * @err: positive errno
 * @who: KSSL_WHO_*
 * @text: one sentence
 *
 * Context: Caller holds the socket lock.
 */
void kssl_fail_dir(struct kssl_sock *ctx, struct kssl_dir *dir, int err, u8 who, const char *text)
{
	struct kssl_error error;

	if (dir->err)
		return;
	make_error(&error, err, who, text);
	set_error(ctx, &error);
	dir->err = err;
	ctx->rx.events++;
	kssl_sock_wake(ctx);
}

/* RFC 6101 5.4.2 knows few; what it does not know may not be sent. */
static u8 ssl3_alert(u8 desc)
{
	switch (desc) {
	case KSSL_ALERT_RECORD_OVERFLOW:
		return KSSL_ALERT_BAD_RECORD_MAC;
	case KSSL_ALERT_CLOSE_NOTIFY:
	case KSSL_ALERT_UNEXPECTED_MESSAGE:
	case KSSL_ALERT_BAD_RECORD_MAC:
	case KSSL_ALERT_HANDSHAKE_FAILURE ... KSSL_ALERT_ILLEGAL_PARAMETER:
		return desc;
	default:
		return KSSL_ALERT_HANDSHAKE_FAILURE;
	}
}

/**
 * kssl_alert_send() - send an alert under the key in use
 * @ctx: connection
 * @level: KSSL_ALERT_WARNING or KSSL_ALERT_FATAL
 * @desc: alert description
 *
 * Context: Process context. Caller holds tx.lock and the socket lock.
 * Return: 0, also where there is nothing to send it with; %-ENOMEM, or the error
 * of the cipher.
 */
int kssl_alert_send(struct kssl_sock *ctx, u8 level, u8 desc)
{
	struct kssl_dir *dir = &ctx->tx.dir;
	u8 alert[KSSL_HEADER_LEN + 2];
	struct kssl_buf *buf;
	int ret;

	if (!dir->epoch && !dir->plain)
		return 0;
	if (dir->epoch && (dir->epoch->ver->flags & KSSL_V_SSL3))
		desc = ssl3_alert(desc);
	alert[KSSL_HEADER_LEN] = level;
	alert[KSSL_HEADER_LEN + 1] = desc;
	buf = kssl_buf_new(dir->epoch ? KSSL_HEADER_LEN + dir->epoch->prefix_len : 0,
			   true);
	if (!buf)
		return -ENOMEM;
	if (dir->epoch) {
		ret = kssl_buf_add(buf, alert + KSSL_HEADER_LEN, 2);
		if (!ret)
			ret = kssl_tx_seal(ctx, dir, buf, KSSL_TYPE_ALERT);
	} else {
		/* TLS 1.0 to 1.3 peers all take the version of a first flight. */
		kssl_record_build(alert, KSSL_TYPE_ALERT, 0x0301, 2);
		ret = kssl_buf_add(buf, alert, sizeof(alert));
		buf->len = sizeof(alert);
	}
	if (ret) {
		kssl_buf_free(buf);
		return ret;
	}
	kssl_tx_queue(ctx, buf);
	return 0;
}

/**
 * kssl_alert_request() - have the tx work send an alert
 * @ctx: connection
 * @desc: close_notify, or the fatal alert that ends sending
 *
 * For callers that hold the socket lock but not tx.lock. A fatal alert displaces
 * a close_notify that was not sent yet; otherwise the first one wins.
 *
 * Context: Caller holds the socket lock.
 */
void kssl_alert_request(struct kssl_sock *ctx, int desc)
{
	if (ctx->tx.alert > KSSL_ALERT_CLOSE_NOTIFY)
		return;
	ctx->tx.alert = desc;
	kssl_sock_later(ctx, &ctx->tx.work, 0);
}

/**
 * kssl_alert_send_requested() - send what kssl_alert_request() asked for
 * @ctx: connection
 *
 * Context: Process context. Caller holds tx.lock and the socket lock.
 * Return: 0, also if there is nothing to send; %-ENOMEM, and the request stays; or
 * the error of the cipher.
 */
int kssl_alert_send_requested(struct kssl_sock *ctx)
{
	struct kssl_tx *tx = &ctx->tx;
	int desc = tx->alert;
	int ret = 0;

	if (desc == KSSL_ALERT_NONE || tx->dir.closed)
		goto done;
	if (desc != KSSL_ALERT_CLOSE_NOTIFY) {
		/* Bytes the application left open are not worth more than the alert. */
		kssl_buf_free(tx->open);
		kssl_tx_set_open(ctx, NULL);
		ret = kssl_alert_send(ctx, KSSL_ALERT_FATAL, desc);
	} else if (!tx->dir.err && !tx->dir.plain) {
		ret = kssl_tx_seal_open(ctx);
		if (!ret)
			ret = kssl_alert_send(ctx, KSSL_ALERT_WARNING, desc);
		if (!ret)
			tx->dir.closed = true;
		else if (ret != -ENOMEM)
			kssl_fail_dir(ctx, &tx->dir, -ret, KSSL_WHO_KERNEL,
				      "close_notify could not be sealed");
	}
	if (ret == -ENOMEM) {
		kssl_sock_later(ctx, &tx->work, HZ / 10);
		return ret;
	}
done:
	tx->alert = KSSL_ALERT_NONE;
	return ret;
}
