// SPDX-License-Identifier: MIT
/*
 * What people and programs see of a socket.  Text of others (names, causes) is stripped of
 * what is not printable.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

#define HAS(s, attr)	((s)->has & KSSL_GENL_HAS(attr))

struct strings {
	char local[64];
	char peer[64];
	char user[64];
	char comm[32];
	char profile[KSSL_PROFILE_MAX];
	char name[KSSL_NAME_MAX];
	char text[KSSL_GENL_TEXT_LEN];
	char alpn[KSSL_ALPN_MAX + 1];
	char suite[32];
	char error[32];
	const char *suite_name;
	uint16_t version;
};

/* Names and sentences may be the peer's: no escape sequences for the terminal, and UTF-8 for JSON. */
static void copy_clean(char *to, const char *from, size_t size)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if (!isascii((unsigned char)*to) || iscntrl((unsigned char)*to))
			*to = '?';
}

static void make_strings(struct strings *t, const struct kssl_genl_socket *s)
{
	uint16_t suite = s->tx.suite ? s->tx.suite : s->rx.suite;

	address_text(&s->local, t->local, sizeof(t->local));
	address_text(&s->peer, t->peer, sizeof(t->peer));
	user_text(s->uid, t->user, sizeof(t->user));
	copy_clean(t->comm, s->comm, sizeof(t->comm));
	copy_clean(t->profile, s->profile, sizeof(t->profile));
	copy_clean(t->name, s->name, sizeof(t->name));
	copy_clean(t->text, s->text, sizeof(t->text));
	copy_clean(t->alpn, (const char *)s->alpn, sizeof(t->alpn));
	error_code((int)s->error, t->error);
	t->suite_name = suite ? suite_name(suite, t->suite) : "-";
	t->version = s->tx.version ? s->tx.version : s->rx.version;
}

static json_t *dir_to_json(const struct kssl_genl_dir *dir)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "state", dir_state_name(dir->state),
			 "epoch", (json_int_t)dir->epoch, "seq", (json_int_t)dir->seq,
			 "records", (json_int_t)dir->records, "bytes", (json_int_t)dir->bytes,
			 "max_payload", (json_int_t)dir->max_payload,
			 "encrypt_then_mac", !!(dir->flags & KSSL_KEY_ETM));
}

static void add_session_flags(json_t *json, const struct kssl_genl_socket *s)
{
	if (!HAS(s, KSSL_A_SESSION_FLAGS))
		return;
	json_object_set_new(json, "resumed", json_boolean(s->session_flags & KSSL_SESSION_RESUMED));
	json_object_set_new(json, "peer_certificate", json_boolean(s->session_flags & KSSL_SESSION_PEER_CERT));
	json_object_set_new(json, "verified", json_boolean(s->session_flags & KSSL_SESSION_VERIFIED));
	json_object_set_new(json, "extended_master_secret", json_boolean(s->session_flags & KSSL_SESSION_EMS));
}

static json_t *error_to_json(const struct kssl_genl_socket *s, const struct strings *t)
{
	json_t *json = json_pack("{s:s, s:I, s:s, s:s}", "errno", t->error, "number", (json_int_t)s->error,
				 "who", who_name(s->who), "text", t->text);

	if (HAS(s, KSSL_A_ALERT))
		json_object_set_new(json, "alert", json_integer(s->alert));
	if (HAS(s, KSSL_A_X509)) {
		json_object_set_new(json, "x509", json_integer(s->x509));
		json_object_set_new(json, "x509_text", json_string(X509_verify_cert_error_string((long)s->x509)));
	}
	return json;
}

/* Renegotiations: all handshakes but the first. */
static uint32_t renegotiations(const struct kssl_genl_socket *s)
{
	return s->handshakes ? s->handshakes - 1 : 0;
}

/* How the last one stands that somebody here asked for. */
static const char *request_word(const struct kssl_genl_socket *s, char text[static 32])
{
	if (!s->request)
		return "done";
	return s->request == EINPROGRESS ? "under way" : error_code((int)s->request, text);
}

json_t *socket_to_json(const struct kssl_genl_socket *s)
{
	struct strings t;
	char text[32];
	json_t *json;

	make_strings(&t, s);
	json = json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:s, s:I}",
			 "id", (json_int_t)s->id, "state", state_name(s->state), "local", t.local, "peer", t.peer,
			 "pid", (json_int_t)s->pid, "process", t.comm, "uid", (json_int_t)s->uid,
			 "gid", (json_int_t)s->gid, "user", t.user, "cgroup", (json_int_t)s->cgroup);
	if (HAS(s, KSSL_A_ROLE))
		json_object_set_new(json, "role", json_string(s->role == KSSL_ROLE_SERVER ? "server" : "client"));
	if (HAS(s, KSSL_A_LISTENER))
		json_object_set_new(json, "listener", json_integer(s->listener));
	if (HAS(s, KSSL_A_PROFILE))
		json_object_set_new(json, "profile", json_string(t.profile));
	if (HAS(s, KSSL_A_NAME))
		json_object_set_new(json, "name", json_string(t.name));
	if (HAS(s, KSSL_A_ALPN))
		json_object_set_new(json, "alpn", json_string(t.alpn));
	if (t.version) {
		json_object_set_new(json, "version", json_string(version_name(t.version)));
		json_object_set_new(json, "suite", json_string(t.suite_name));
	}
	json_object_set_new(json, "tx", dir_to_json(&s->tx));
	json_object_set_new(json, "rx", dir_to_json(&s->rx));
	if (HAS(s, KSSL_A_PAD_TO))
		json_object_set_new(json, "pad_to", json_integer(s->pad_to));
	json_object_set_new(json, "handshakes", json_integer(s->handshakes));
	json_object_set_new(json, "renegotiations", json_integer(renegotiations(s)));
	if (HAS(s, KSSL_A_REQUEST))
		json_object_set_new(json, "last_request", json_string(request_word(s, text)));
	json_object_set_new(json, "key_updates", json_integer(s->key_updates));
	json_object_set_new(json, "holds", json_integer(s->holds));
	json_object_set_new(json, "hold_max_ns", json_integer((json_int_t)s->hold_max_ns));
	json_object_set_new(json, "waits_for_helper", json_boolean(s->waits & KSSL_WAITS_HELPER));
	json_object_set_new(json, "waits_for_peer", json_boolean(s->waits & KSSL_WAITS_PEER));
	json_object_set_new(json, "waits_for_reader", json_boolean(s->waits & KSSL_WAITS_READER));
	json_object_set_new(json, "age_ms", json_integer((json_int_t)s->age_ms));
	add_session_flags(json, s);
	if (s->error)
		json_object_set_new(json, "error", error_to_json(s, &t));
	return json;
}

/* Takes the reference. */
int print_json(json_t *json)
{
	int ret = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	return ret || putchar('\n') == EOF ? EXIT_FAILED : 0;
}

void print_list_header(FILE *out)
{
	fprintf(out, "%6s  %-21s %-21s %-20s %-9s %-11s %-3s %-34s %7s %10s %10s %8s %8s %6s %s\n", "ID", "LOCAL", "PEER",
		"PROCESS", "USER", "PROFILE", "TLS", "SUITE", "EPOCH", "SENT", "RECEIVED", "REC-TX", "REC-RX", "RENEG",
		"STATE");
}

void print_list_line(FILE *out, const struct kssl_genl_socket *s)
{
	char process[48], epoch[32];
	struct strings t;

	make_strings(&t, s);
	snprintf(process, sizeof(process), "%s(%u)", t.comm, s->pid);
	snprintf(epoch, sizeof(epoch), "%u/%u", s->tx.epoch, s->rx.epoch);
	fprintf(out, "%6u  %-21s %-21s %-20s %-9s %-11s %-3s %-34s %7s %10" PRIu64 " %10" PRIu64
		" %8" PRIu64 " %8" PRIu64
		" %6u %s\n", s->id, t.local, t.peer, process, t.user, t.profile[0] ? t.profile : "-",
		version_name(t.version), t.suite_name, epoch, s->tx.bytes, s->rx.bytes, s->tx.records, s->rx.records,
		renegotiations(s), state_name(s->state));
}

static void print_cause(FILE *out, const struct kssl_genl_socket *s, const struct strings *t)
{
	fprintf(out, "%s (%s) by the %s", t->text[0] ? t->text : "no cause is known", t->error, who_name(s->who));
	if (HAS(s, KSSL_A_ALERT))
		fprintf(out, ", alert %u", s->alert);
	if (HAS(s, KSSL_A_X509))
		fprintf(out, ", certificate: %s", X509_verify_cert_error_string((long)s->x509));
}

void print_failure(FILE *out, const struct kssl_genl_socket *s)
{
	struct strings t;

	make_strings(&t, s);
	fprintf(out, "%6u  %s %s  %s(%u) %s %s: ", s->id, t.local, t.peer, t.comm, s->pid, t.user,
		t.profile[0] ? t.profile : "-");
	print_cause(out, s, &t);
	fputc('\n', out);
}

static void print_dir(FILE *out, const char *title, const struct kssl_genl_dir *dir)
{
	fprintf(out, "%-16s%s, epoch %u, %" PRIu64 " bytes in %" PRIu64 " records, next sequence number %" PRIu64 "%s",
		title, dir_state_name(dir->state), dir->epoch, dir->bytes, dir->records, dir->seq,
		dir->flags & KSSL_KEY_ETM ? ", encrypt-then-MAC" : "");
	if (dir->max_payload && dir->max_payload < KSSL_MAX_PAYLOAD)
		fprintf(out, ", at most %u bytes in each", dir->max_payload);
	fputc('\n', out);
}

void print_socket(FILE *out, const struct kssl_genl_socket *s)
{
	struct strings t;
	char text[32];

	make_strings(&t, s);
	fprintf(out, "%-16s%u\n%-16s%s\n%-16s%s\n%-16s%s\n", "id", s->id, "state", state_name(s->state), "local",
		t.local,
		"peer", t.peer);
	fprintf(out, "%-16s%s (%u) of %s\n", "process", t.comm, s->pid, t.user);
	if (HAS(s, KSSL_A_ROLE))
		fprintf(out, "%-16s%s\n", "role", s->role == KSSL_ROLE_SERVER ? "server" : "client");
	if (t.profile[0])
		fprintf(out, "%-16s%s\n", "profile", t.profile);
	if (t.name[0])
		fprintf(out, "%-16s%s\n", "name", t.name);
	if (t.alpn[0])
		fprintf(out, "%-16s%s\n", "alpn", t.alpn);
	if (t.version)
		fprintf(out, "%-16s%s %s, %s\n", "protection", protocol_name(t.version), version_name(t.version),
			t.suite_name);
	print_dir(out, "sending", &s->tx);
	print_dir(out, "receiving", &s->rx);
	if (HAS(s, KSSL_A_PAD_TO))
		fprintf(out, "%-16sto multiples of %u bytes\n", "padding", s->pad_to);
	fprintf(out, "%-16s%u, KeyUpdates of the kernel %u\n", "renegotiations", renegotiations(s), s->key_updates);
	if (HAS(s, KSSL_A_REQUEST))
		fprintf(out, "%-16s%s\n", "last request", request_word(s, text));
	fprintf(out, "%-16s%u, longest %.3f ms\n", "holds", s->holds, (double)s->hold_max_ns / 1e6);
	if (HAS(s, KSSL_A_SESSION_FLAGS))
		fprintf(out, "%-16s%s\n", "peer", s->session_flags & KSSL_SESSION_VERIFIED ? "certificate verified" :
			s->session_flags & KSSL_SESSION_PEER_CERT ? "certificate not verified" : "no certificate");
	if (s->error) {
		fprintf(out, "%-16s", "error");
		print_cause(out, s, &t);
		fputc('\n', out);
	}
}

void print_event(FILE *out, const struct kssl_genl_socket *s, int64_t unix_ms)
{
	time_t seconds = unix_ms / 1000;
	struct strings t;
	char when[32];
	struct tm tm;

	make_strings(&t, s);
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&seconds, &tm));
	fprintf(out, "%s.%03d %-10s %u %s %s %s(%u) %s", when, (int)(unix_ms % 1000), event_name(s->event), s->id,
		t.local,
		t.peer, t.comm, s->pid, t.profile[0] ? t.profile : "-");
	if (s->event == KSSL_EVENT_NL_REFUSED) {
		fprintf(out, ": %s", request_word(s, when));
	} else if (s->error) {
		fputs(": ", out);
		print_cause(out, s, &t);
	} else if (t.version) {
		fprintf(out, ": %s %s %s epoch %u/%u", protocol_name(t.version), version_name(t.version), t.suite_name,
			s->tx.epoch, s->rx.epoch);
	}
	fputc('\n', out);
}

/* ---- counters ---- */

struct counter {
	const char *name;
	const char *help;
	bool gauge;
};

static const struct counter counters[KSSL_A_STATS_MAX + 1] = {
	[KSSL_A_STATS_SESSIONS] = { "sessions", "Sockets with kssl now.", true },
	[KSSL_A_STATS_WAITING] = { "waiting", "Sockets that wait for a helper now.", true },
	[KSSL_A_STATS_ATTACHED] = { "attached", "Sockets that kssl was set on." },
	[KSSL_A_STATS_HANDSHAKES] = { "handshakes", "Handshakes completed, renegotiations among them." },
	[KSSL_A_STATS_KEY_UPDATES] = { "key_updates", "KeyUpdates of the kernel, both ways." },
	[KSSL_A_STATS_FAILED] = { "failed", "Connections that failed." },
	[KSSL_A_STATS_NO_HELPER] = { "failed_no_helper", "Of these, because no helper listened." },
	[KSSL_A_STATS_TOO_MANY] = { "failed_too_many", "Of these, because of too many handshakes at a time." },
	[KSSL_A_STATS_TIMEOUT] = { "failed_timeout", "Of these, because the helper or the peer was too slow." },
	[KSSL_A_STATS_BAD_RECORD] = { "failed_bad_record", "Of these, because authentication of a record failed." },
	[KSSL_A_STATS_TX_RECORDS] = { "closed_tx_records", "Records sent by connections that are closed." },
	[KSSL_A_STATS_TX_BYTES] = { "closed_tx_bytes", "Application bytes sent by connections that are closed." },
	[KSSL_A_STATS_RX_RECORDS] = { "closed_rx_records", "Records received by connections that are closed." },
	[KSSL_A_STATS_RX_BYTES] = { "closed_rx_bytes", "Application bytes received by connections that are closed." },
};

json_t *stats_to_json(const uint64_t *stats)
{
	json_t *json = json_object();
	int i;

	for (i = 0; i <= KSSL_A_STATS_MAX; i++)
		if (counters[i].name)
			json_object_set_new(json, counters[i].name, json_integer((json_int_t)stats[i]));
	return json;
}

void print_stats(FILE *out, const uint64_t *stats)
{
	int i;

	for (i = 0; i <= KSSL_A_STATS_MAX; i++)
		if (counters[i].name)
			fprintf(out, "%-18s %20" PRIu64 "  %s\n", counters[i].name, stats[i], counters[i].help);
}

void print_prometheus(FILE *out, const uint64_t *stats)
{
	int i;

	for (i = 0; i <= KSSL_A_STATS_MAX; i++) {
		const char *suffix = counters[i].gauge ? "" : "_total";

		if (!counters[i].name)
			continue;
		fprintf(out, "# HELP kssl_%s%s %s\n", counters[i].name, suffix, counters[i].help);
		fprintf(out, "# TYPE kssl_%s%s %s\n", counters[i].name, suffix, counters[i].gauge ? "gauge" : "counter");
		fprintf(out, "kssl_%s%s %" PRIu64 "\n", counters[i].name, suffix, stats[i]);
	}
}
