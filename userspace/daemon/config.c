// SPDX-License-Identifier: MIT
/*
 * kssld.conf: its words, in one table, and what they lead to.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "kssld.h"

/* What struct kssl_policy may have. */
#define LOOKAHEAD_MAX	(1024 * 1024)
#define MESSAGE_MAX	((1 << 24) - 1)

const struct word words[] = {
	{ "", "workers", WORD_NUMBER, "0", NULL, "threads that shake hands, at most 256; 0: one per processor" },
	{ "", "drain", WORD_NUMBER, "300", NULL, "seconds that sessions are attended to after an upgrade" },
	{ "", "grace", WORD_NUMBER, "5", NULL, "seconds that handshakes have to end in when the daemon stops" },
	{ "", "debug", WORD_BOOL, "no", NULL, "log each handshake, not only failures" },
	{ "", "keylog", WORD_STRING, NULL, NULL, "file to write all secrets to; for debugging only" },
	{ "", "ticket_keys", WORD_STRING, NULL, NULL, "file that keeps ticket keys, for several daemons and restarts" },
	{ "", "ticket_rotate", WORD_NUMBER, "3600", NULL, "seconds until there is a new ticket key" },

	{ "profile", "role", WORD_STRING, "server", "client server", "client or server" },
	{ "profile", "certificate", WORD_STRING, NULL, NULL, "PEM file of the certificate and its chain" },
	{ "profile", "key", WORD_STRING, NULL, NULL, "file or URI of the private key" },
	{ "profile", "ocsp", WORD_STRING, NULL, NULL,
	  "file of an OCSP response in DER that goes with the certificate" },
	{ "profile", "trust", WORD_STRING, NULL, NULL, "PEM file of certificates to trust instead of the system's" },
	{ "profile", "crl", WORD_STRING, NULL, NULL, "PEM file of revocation lists; then each certificate needs one" },
	{ "profile", "verify", WORD_BOOL, "yes", NULL, "client: the server's certificate has to be good" },
	{ "profile", "client_cert", WORD_STRING, "no", "no request require",
	  "server: whether to ask for a certificate" },
	{ "profile", "min_version", WORD_STRING, "1.2", "ssl3 1.0 1.1 1.2 1.3", "oldest version of TLS, or SSL 3.0" },
	{ "profile", "max_version", WORD_STRING, "1.3", "1.3 1.2 1.1 1.0 ssl3", "newest version of TLS, or SSL 3.0" },
	{ "profile", "ciphers", WORD_STRING, NULL, NULL, "OpenSSL's cipher list for TLS 1.2 and older" },
	{ "profile", "ciphersuites", WORD_STRING, NULL, NULL, "OpenSSL's list of suites for TLS 1.3" },
	{ "profile", "alpn", WORD_LIST, NULL, NULL, "protocols if the application names none, best first" },
	{ "profile", "allow", WORD_LIST, NULL, NULL,
	  "who may use it: everybody, user:NAME, group:NAME; default: root with a key, else everybody" },
	{ "profile", "resume", WORD_BOOL, "yes", NULL, "resume sessions" },
	{ "profile", "session_cache", WORD_NUMBER, "20480", NULL,
	  "server: sessions of TLS 1.2 without tickets to keep" },
	{ "profile", "session_lifetime", WORD_NUMBER, "7200", NULL, "server: seconds that a session can be resumed" },
	{ "profile", "renegotiation", WORD_BOOL, "yes", NULL, "server: the peer may start a renegotiation" },
	{ "profile", "require_answer", WORD_BOOL, "no", NULL, "server: a peer that ignores a HelloRequest fails" },
	{ "profile", "key_update", WORD_BOOL, "yes", NULL, "TLS 1.3: the kernel does KeyUpdates by itself" },
	{ "profile", "insecure_eof", WORD_BOOL, "no", NULL,
	  "FIN without close_notify is an end of file; truncation goes unseen" },
	{ "profile", "half_close", WORD_BOOL, "no", NULL, "TLS 1.2: a received close_notify does not end sending" },
	{ "profile", "timeout", WORD_NUMBER, "0", NULL, "milliseconds for a handshake at most; 0: as asked for" },
	{ "profile", "helper_ms", WORD_NUMBER, "0", NULL, "milliseconds that the daemon may take to answer; 0: 30000" },
	{ "profile", "peer_ms", WORD_NUMBER, "0", NULL,
	  "milliseconds for the peer's next record of a handshake; 0: 30000" },
	{ "profile", "lookahead", WORD_NUMBER, "0", NULL,
	  "bytes opened ahead of the reader, at most 1048576; 0: 65536" },
	{ "profile", "message_max", WORD_NUMBER, "0", NULL,
	  "longest handshake message of the peer, less than 16777216; 0: 131072" },
	{ "profile", "flight_max", WORD_NUMBER, "0", NULL, "bytes of the peer's messages in one handshake; 0: 262144" },
	{ "profile", "starts_max", WORD_NUMBER, "0", NULL,
	  "renegotiations that the peer may start in starts_ms; 0: 600" },
	{ "profile", "starts_ms", WORD_NUMBER, "0", NULL, "milliseconds of starts_max and useless_max; 0: 60000" },
	{ "profile", "useless_max", WORD_NUMBER, "0", NULL, "handshake records with no data in between; 0: 64" },
	{ "profile", "rekey_bytes", WORD_NUMBER, "0", NULL, "bytes until there is a new key; 0: never" },
	{ "profile", "rekey_records", WORD_NUMBER, "0", NULL, "records until there is a new key; 0: never" },
	{ "profile", "rekey_ms", WORD_NUMBER, "0", NULL, "milliseconds until there is a new key; 0: never" },
	{ "profile", "record_limit", WORD_NUMBER, "0", NULL,
	  "longest record the peer may send, 64 to 16385 (record_size_limit); 0: as long as there may be" },
	{ "profile", "pad_to", WORD_NUMBER, "0", NULL,
	  "TLS 1.3: pad records to a multiple of so many bytes, at most 16384; 0: not" },

	{ "sni", "certificate", WORD_STRING, NULL, NULL, "as in a profile, for this server name" },
	{ "sni", "key", WORD_STRING, NULL, NULL, "as in a profile, for this server name" },
	{ "sni", "ocsp", WORD_STRING, NULL, NULL, "as in a profile, for this server name" },
};

#define WORDS	(sizeof(words) / sizeof(words[0]))

const unsigned int words_count = WORDS;

/** words_print() - section, name, type, default and meaning of each, by tabs */
void words_print(FILE *out)
{
	static const char *const types[] = { "number", "bool", "string", "list" };
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		fprintf(out, "%s\t%s\t%s\t%s\t%s\n", words[i].section[0] ? words[i].section : "-", words[i].name,
			types[words[i].type], words[i].def ? words[i].def : "-", words[i].meaning);
}

/* ---- the table as libconfuse wants it ---- */

/* Only the main thread reads configurations. */
static char *complaint;

static void complain(cfg_t *cfg, const char *format, va_list args)
{
	int len;

	if (complaint[0])
		return;
	len = snprintf(complaint, KSSLD_TEXT_LEN, "%.300s:%d: ", cfg->filename ? cfg->filename : "?", cfg->line);
	vsnprintf(complaint + len, KSSLD_TEXT_LEN - len, format, args);
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);
	const char *p;

	for (p = choices; len && p; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (!strncmp(p, value, len) && (p[len] == ' ' || !p[len]))
			return true;
	}
	return false;
}

static const struct word *word_of(const char *section, const char *name)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		if (!strcmp(words[i].section, section) && !strcmp(words[i].name, name))
			return &words[i];
	return NULL;
}

static bool is_in_range(const char *name, long number)
{
	if (!strcmp(name, "record_limit"))
		return !number || (number >= 64 && number <= KSSL_MAX_PAYLOAD + 1);
	if (!strcmp(name, "pad_to"))
		return number >= 0 && number <= KSSL_MAX_PAYLOAD;
	if (!strcmp(name, "lookahead"))
		return number >= 0 && number <= LOOKAHEAD_MAX;
	if (!strcmp(name, "message_max"))
		return number >= 0 && number <= MESSAGE_MAX;
	/* All but one are 32 bits in the kernel. */
	return number >= 0 && (number <= INT32_MAX || !strcmp(name, "rekey_bytes"));
}

/* Called as each value is read, so that the line is right. */
static int check_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct word *w = word_of(strcmp(cfg_name(cfg), "root") ? cfg_name(cfg) : "", cfg_opt_name(opt));
	unsigned int last = cfg_opt_size(opt) - 1;
	long number;

	if (!w || !cfg_opt_size(opt))
		return 0;
	if (w->type == WORD_NUMBER) {
		number = cfg_opt_getnint(opt, last);
		if (is_in_range(w->name, number))
			return 0;
		cfg_error(cfg, "%s cannot be %ld", w->name, number);
		return -1;
	}
	if (w->choices && !is_choice(w->choices, cfg_opt_getnstr(opt, last))) {
		cfg_error(cfg, "%s is one of: %s", w->name, w->choices);
		return -1;
	}
	if (w->type == WORD_STRING && !cfg_opt_getnstr(opt, last)[0]) {
		cfg_error(cfg, "%s is empty", w->name);
		return -1;
	}
	if (!strcmp(w->name, "allow")) {
		struct allow none = { 0 };
		int ret = allow_add(&none, cfg_opt_getnstr(opt, last));

		free(none.uids);
		free(none.gids);
		if (ret)
			cfg_error(cfg, ret == -ENOENT ? "allow: there is no \"%s\"" :
				  "allow: \"%s\" is not everybody, user:NAME or group:NAME",
				  cfg_opt_getnstr(opt, last));
		return ret ? -1 : 0;
	}
	return 0;
}

static unsigned int add_options(cfg_opt_t *opts, const char *section)
{
	unsigned int i, n = 0;

	for (i = 0; i < WORDS; i++) {
		const struct word *w = &words[i];
		cfg_opt_t number = CFG_INT(w->name, w->def ? atol(w->def) : 0, CFGF_NONE);
		cfg_opt_t boolean = CFG_BOOL(w->name, w->def && !strcmp(w->def, "yes"), CFGF_NONE);
		cfg_opt_t string = CFG_STR(w->name, w->def, CFGF_NONE);
		cfg_opt_t list = CFG_STR_LIST(w->name, NULL, CFGF_NONE);
		const cfg_opt_t *const by_type[] = { &number, &boolean, &string, &list };

		if (!strcmp(w->section, section))
			opts[n++] = *by_type[w->type];
	}
	return n;
}

static void set_checks(cfg_t *cfg)
{
	char name[80];
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		snprintf(name, sizeof(name), "%s%s%s%s", !strcmp(words[i].section, "sni") ? "profile|" : "",
			 words[i].section, words[i].section[0] ? "|" : "", words[i].name);
		cfg_set_validate_func(cfg, name, check_value);
	}
}

/* ---- from words to settings ---- */

static int fail_at(char *why, cfg_t *sec, const char *text)
{
	snprintf(why, KSSLD_TEXT_LEN, "%.300s:%d: %s %.63s: %s", sec->filename ? sec->filename : "?", sec->line,
		 cfg_name(sec), cfg_title(sec), text);
	return -EINVAL;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int version(const char *text)
{
	/* "1.0" to "1.3", or "ssl3", as checked. */
	return !strcmp(text, "ssl3") ? SSL3_VERSION : TLS1_VERSION + text[2] - '0';
}

static int read_alpn(cfg_t *sec, struct profile *p, char *why)
{
	unsigned int i;

	for (i = 0; i < cfg_size(sec, "alpn"); i++) {
		const char *name = cfg_getnstr(sec, "alpn", i);
		size_t len = strlen(name);

		if (!len || p->alpn_len + 1 + len > sizeof(p->alpn))
			return fail_at(why, sec, "alpn is empty or too long");
		p->alpn[p->alpn_len] = len;
		memcpy(p->alpn + p->alpn_len + 1, name, len);
		p->alpn_len += 1 + len;
	}
	return 0;
}

static int read_identity(cfg_t *sec, struct identity *id, char *why)
{
	id->certificate = copy(cfg_getstr(sec, "certificate"));
	id->key = copy(cfg_getstr(sec, "key"));
	id->ocsp_file = copy(cfg_getstr(sec, "ocsp"));
	if (!id->certificate != !id->key)
		return fail_at(why, sec, "certificate and key go together");
	if (id->ocsp_file && !id->certificate)
		return fail_at(why, sec, "ocsp needs a certificate");
	return 0;
}

static int read_identities(cfg_t *sec, struct profile *p, char *why)
{
	unsigned int count = cfg_size(sec, "sni"), i;
	int ret;

	p->identities = calloc(count + 1, sizeof(*p->identities));
	if (!p->identities)
		return -ENOMEM;
	p->identities_count = count + 1;
	ret = read_identity(sec, &p->identities[0], why);
	if (!ret && p->server && !p->identities[0].certificate)
		ret = fail_at(why, sec, "a server needs a certificate and a key");
	if (!ret && !p->server && count)
		ret = fail_at(why, sec, "only a server has sni sections");
	for (i = 0; !ret && i < count; i++) {
		cfg_t *sni = cfg_getnsec(sec, "sni", i);

		p->identities[i + 1].server_name = copy(cfg_title(sni));
		ret = read_identity(sni, &p->identities[i + 1], why);
		if (!ret && !p->identities[i + 1].certificate)
			ret = fail_at(why, sni, "a certificate and a key are missing");
	}
	return ret;
}

static void read_policy(cfg_t *sec, struct kssl_policy *policy)
{
	*policy = (struct kssl_policy) {
		.size = sizeof(*policy),
		.helper_ms = cfg_getint(sec, "helper_ms"),
		.peer_ms = cfg_getint(sec, "peer_ms"),
		.lookahead = cfg_getint(sec, "lookahead"),
		.message_max = cfg_getint(sec, "message_max"),
		.flight_max = cfg_getint(sec, "flight_max"),
		.starts_max = cfg_getint(sec, "starts_max"),
		.starts_ms = cfg_getint(sec, "starts_ms"),
		.useless_max = cfg_getint(sec, "useless_max"),
		.rekey_bytes = cfg_getint(sec, "rekey_bytes"),
		.rekey_records = cfg_getint(sec, "rekey_records"),
		.rekey_ms = cfg_getint(sec, "rekey_ms"),
		.pad_to = cfg_getint(sec, "pad_to"),
	};
	if (cfg_getbool(sec, "insecure_eof"))
		policy->flags |= KSSL_POLICY_INSECURE_EOF;
	if (cfg_getbool(sec, "half_close"))
		policy->flags |= KSSL_POLICY_HALF_CLOSE;
}

static int read_allow(cfg_t *sec, struct profile *p)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < cfg_size(sec, "allow"); i++)
		ret = allow_add(&p->allow, cfg_getnstr(sec, "allow", i));
	if (!cfg_size(sec, "allow"))
		ret = allow_add(&p->allow, p->identities[0].key ? "user:0" : "everybody");
	return ret;
}

static int read_profile(cfg_t *sec, struct profile *p, char *why)
{
	const char *client_cert = cfg_getstr(sec, "client_cert");
	int ret;

	p->name = copy(cfg_title(sec));
	p->line = sec->line;
	p->server = !strcmp(cfg_getstr(sec, "role"), "server");
	p->verify = cfg_getbool(sec, "verify");
	p->client_cert = !strcmp(client_cert, "require") ? 2 : !strcmp(client_cert, "request");
	p->renegotiation = cfg_getbool(sec, "renegotiation");
	p->require_answer = cfg_getbool(sec, "require_answer");
	p->key_update = cfg_getbool(sec, "key_update");
	p->resume = cfg_getbool(sec, "resume");
	p->timeout_ms = cfg_getint(sec, "timeout");
	p->trust = copy(cfg_getstr(sec, "trust"));
	p->crl = copy(cfg_getstr(sec, "crl"));
	p->ciphers = copy(cfg_getstr(sec, "ciphers"));
	p->ciphersuites = copy(cfg_getstr(sec, "ciphersuites"));
	p->min_version = version(cfg_getstr(sec, "min_version"));
	p->max_version = version(cfg_getstr(sec, "max_version"));
	p->session_cache = cfg_getint(sec, "session_cache");
	p->session_lifetime = cfg_getint(sec, "session_lifetime");
	p->record_limit = cfg_getint(sec, "record_limit");
	read_policy(sec, &p->policy);
	if (!p->name || !p->name[0] || strlen(p->name) >= KSSL_PROFILE_MAX)
		return fail_at(why, sec, "the name is empty or too long");
	if (p->min_version > p->max_version)
		return fail_at(why, sec, "min_version is above max_version");
	if (p->client_cert && !p->server)
		return fail_at(why, sec, "only a server asks for client_cert");
	ret = read_identities(sec, p, why);
	if (!ret)
		ret = read_alpn(sec, p, why);
	return ret ? ret : read_allow(sec, p);
}

/* What everybody may use, unless the file has a profile of that name. */
static int add_client(struct settings *s)
{
	struct profile *p = &s->profiles[s->profiles_count];

	if (settings_find(s, "client", 0))
		return 0;
	s->profiles_count++;
	p->name = strdup("client");
	p->verify = true;
	p->key_update = true;
	p->renegotiation = true;
	p->resume = true;
	p->min_version = TLS1_2_VERSION;
	p->policy.size = sizeof(p->policy);
	p->identities = calloc(1, sizeof(*p->identities));
	p->identities_count = 1;
	p->allow.everybody = true;
	return p->name && p->identities ? 0 : -ENOMEM;
}

static int read_all(cfg_t *cfg, struct settings *s, char *why)
{
	unsigned int count = cfg_size(cfg, "profile"), i;
	int ret = 0;

	s->workers = cfg_getint(cfg, "workers");
	s->drain = cfg_getint(cfg, "drain");
	s->grace = cfg_getint(cfg, "grace");
	s->debug = cfg_getbool(cfg, "debug");
	s->keylog = copy(cfg_getstr(cfg, "keylog"));
	s->ticket_keys = copy(cfg_getstr(cfg, "ticket_keys"));
	s->ticket_rotate = cfg_getint(cfg, "ticket_rotate");
	s->profiles = calloc(count + 1, sizeof(*s->profiles));
	if (!s->profiles)
		return -ENOMEM;
	for (i = 0; !ret && i < count; i++) {
		s->profiles_count = i + 1;
		ret = read_profile(cfg_getnsec(cfg, "profile", i), &s->profiles[i], why);
	}
	return ret ? ret : add_client(s);
}

static int parse(cfg_t *cfg, const char *path, bool required, char *why)
{
	/* Without the file there are the defaults, but not without the right to read it. */
	FILE *f = fopen(path, "re");
	int ret = !f && (required || errno != ENOENT) ? -errno : 0;

	if (ret)
		snprintf(why, KSSLD_TEXT_LEN, "%.400s: %s", path, strerror(-ret));
	if (f) {
		free(cfg->filename);
		cfg->filename = strdup(path);
		if (cfg_parse_fp(cfg, f) != CFG_SUCCESS)
			ret = -EINVAL;
		fclose(f);
	}
	return ret;
}

/**
 * settings_read() - read a configuration
 * @path: file
 * @required: it must be there
 * @why: (out) sentence, with file and line
 *
 * Return: it, with one reference, or NULL.
 */
struct settings *settings_read(const char *path, bool required, char *why)
{
	cfg_opt_t sni[WORDS + 1] = { CFG_END() }, profile[WORDS + 2] = { CFG_END() };
	cfg_opt_t root[WORDS + 2] = { CFG_END() };
	cfg_opt_t sni_section = CFG_SEC("sni", sni, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	cfg_opt_t profile_section = CFG_SEC("profile", profile, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	const cfg_opt_t end = CFG_END();
	struct settings *s = calloc(1, sizeof(*s));
	unsigned int n;
	cfg_t *cfg;
	int ret;

	if (!s)
		return NULL;
	s->refs = 1;
	sni[add_options(sni, "sni")] = end;
	n = add_options(profile, "profile");
	profile[n] = sni_section;
	profile[n + 1] = end;
	n = add_options(root, "");
	root[n] = profile_section;
	root[n + 1] = end;

	cfg = cfg_init(root, CFGF_NONE);
	complaint = why;
	why[0] = 0;
	cfg_set_error_function(cfg, complain);
	set_checks(cfg);
	ret = parse(cfg, path, required, why);
	if (!ret)
		ret = read_all(cfg, s, why);
	cfg_free(cfg);
	if (!ret)
		return s;
	if (!why[0])
		snprintf(why, KSSLD_TEXT_LEN, "%s: %s", path, strerror(-ret));
	settings_put(s);
	return NULL;
}

static void drop_profile(struct profile *p)
{
	unsigned int i;

	for (i = 0; i < p->identities_count; i++) {
		free(p->identities[i].server_name);
		free(p->identities[i].certificate);
		free(p->identities[i].key);
		free(p->identities[i].ocsp_file);
		free(p->identities[i].ocsp);
	}
	free(p->identities);
	free(p->allow.uids);
	free(p->allow.gids);
	free(p->name);
	free(p->trust);
	free(p->crl);
	free(p->ciphers);
	free(p->ciphersuites);
}

struct settings *settings_get(struct settings *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void settings_put(struct settings *s)
{
	unsigned int i;

	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	profiles_drop(s);
	for (i = 0; i < s->profiles_count; i++)
		drop_profile(&s->profiles[i]);
	free(s->profiles);
	free(s->keylog);
	free(s->ticket_keys);
	free(s);
}

/**
 * settings_find() - the profile of that name
 * @s: configuration
 * @name: "": client
 * @role: KSSL_ROLE_* it has to have, 0: any
 *
 * Return: it, or NULL.
 */
const struct profile *settings_find(const struct settings *s, const char *name, int role)
{
	unsigned int i;

	for (i = 0; i < s->profiles_count; i++) {
		const struct profile *p = &s->profiles[i];

		if (!strcmp(p->name, name[0] ? name : "client") && (!role || role_of(p) == role))
			return p;
	}
	return NULL;
}
