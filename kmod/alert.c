// SPDX-License-Identifier: GPL-2.0
/*
 * Errors: which alert goes with which errno, and how a connection fails.  The
 * first error of a connection wins and stays; sk_err only carries the news.
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
	if (!ctx->error.err) {
		ctx->error = *error;
		ctx->error.size = sizeof(ctx->error);
	}
	if (!ctx->tx.dir.err)
		ctx->tx.dir.err = error->err;
	if (!ctx->rx.dir.err)
		ctx->rx.dir.err = error->err;
	ctx->rx.events++;
	ctx->helper_due = false;
	cancel_delayed_work(&ctx->helper_clock);
	kssl_control_event(ctx, KSSL_EV_FAILED);
	/* Everything sealed goes out first; then the work sets sk_err. */
	kssl_sock_later(ctx, &ctx->tx.work);
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

	if (ctx->error.err && ctx->tx.dir.err)
		return;
	make_error(&error, err, who, text);
	if (alert != KSSL_ALERT_NONE) {
		error.alert = alert;
		error.has_alert = 1;
		kssl_tx_request_alert(ctx, alert);
	}
	kssl_fail_with(ctx, &error);
}

/**
 * kssl_fail_rx() - fail receiving only; sending may go on
 * @ctx: connection
 * @err: positive errno
 * @who: KSSL_WHO_*
 * @text: one sentence
 *
 * Context: Caller holds the socket lock.
 */
void kssl_fail_rx(struct kssl_sock *ctx, int err, u8 who, const char *text)
{
	if (ctx->rx.dir.err)
		return;
	if (!ctx->error.err) {
		make_error(&ctx->error, err, who, text);
		ctx->error.size = sizeof(ctx->error);
	}
	ctx->rx.dir.err = err;
	ctx->rx.events++;
	kssl_sock_wake(ctx);
}
