// SPDX-License-Identifier: MIT
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "run.h"

const struct run_option run_options[OPTIONS_COUNT] = {
	[OPTION_CONNECT] = { "connect", "KSSL_RUN_CONNECT", "HOST:PORT..", 1,
		"connections to these are TLS; a host is a name, an address or *, a port a number or *" },
	[OPTION_LISTEN] = { "listen", "KSSL_RUN_LISTEN", "PORT..", 1,
		"what is accepted on these ports is TLS; * for all" },
	[OPTION_PROFILE] = { "profile", "KSSL_RUN_PROFILE", "NAME", 0,
		"profile of kssld (client; for --listen, server)" },
	[OPTION_LISTEN_PROFILE] = { "listen-profile", "KSSL_RUN_LISTEN_PROFILE", "NAME", 0,
		"another one for --listen" },
	[OPTION_NAME] = { "name", "KSSL_RUN_NAME", "NAME", 0,
		"verify this name, whatever the program looked up" },
	[OPTION_ALPN] = { "alpn", "KSSL_RUN_ALPN", "NAME[,NAME..]", 0,
		"protocols to offer or accept (the profile's)" },
	[OPTION_TIMEOUT] = { "timeout", "KSSL_RUN_TIMEOUT", "MS", 0,
		"how long a handshake may take, milliseconds (30000)" },
	[OPTION_VERBOSE] = { "verbose", "KSSL_RUN_VERBOSE", NULL, 0,
		"say on standard error what is protected and why it failed" },
};

static const char *add_connect(struct settings *s, const char *value)
{
	const char *wrong;

	if (s->connects_count == RULES_MAX)
		return "there are too many";
	wrong = rule_parse(value, &s->connects[s->connects_count]);
	if (!wrong)
		s->connects_count++;
	return wrong;
}

/* A number from 1 on, of decimal digits only. */
static int parse_number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -1;
	*value = strtoul(text, &end, 10);
	return *end || !*value || *value > max ? -1 : 0;
}

static const char *add_listen(struct settings *s, const char *value)
{
	unsigned long port = 0;

	if (s->listens_count == RULES_MAX)
		return "there are too many";
	if (strcmp(value, "*") && parse_number(value, 65535, &port))
		return "it has to be a port, a number or *";
	s->listens[s->listens_count++] = port;
	return NULL;
}

static const char *take_profile(const char *value, char profile[KSSL_PROFILE_MAX])
{
	if (!*value || strlen(value) >= KSSL_PROFILE_MAX)
		return "it is empty or too long";
	/* The kernel wants zeros behind it. */
	memset(profile, 0, KSSL_PROFILE_MAX);
	strcpy(profile, value);
	return NULL;
}

/* Each behind its length (RFC 7301 3.1). */
static const char *take_alpn(struct settings *s, const char *value)
{
	struct kssl_handshake *h = &s->handshake;
	size_t len;

	h->alpn_len = 0;
	for (;; value += len + 1) {
		len = strcspn(value, ",");
		if (!len || len > 255 || h->alpn_len + 1 + len > sizeof(h->alpn))
			return "a protocol is empty, or they are too long";
		h->alpn[h->alpn_len++] = len;
		memcpy(h->alpn + h->alpn_len, value, len);
		h->alpn_len += len;
		if (!value[len])
			break;
	}
	memcpy(s->listen_handshake.alpn, h->alpn, sizeof(h->alpn));
	s->listen_handshake.alpn_len = h->alpn_len;
	return NULL;
}

static const char *take_timeout(struct settings *s, const char *value)
{
	unsigned long ms;

	if (parse_number(value, 86400000, &ms))
		return "it has to be a number of milliseconds, at most a day";
	s->handshake.timeout_ms = s->listen_handshake.timeout_ms = ms;
	return NULL;
}

const char *settings_take(struct settings *s, enum option_id id, const char *value)
{
	const char *wrong;

	switch (id) {
	case OPTION_CONNECT:
		return add_connect(s, value);
	case OPTION_LISTEN:
		return add_listen(s, value);
	case OPTION_PROFILE:
		wrong = take_profile(value, s->handshake.profile);
		return wrong ? wrong : take_profile(value, s->listen_handshake.profile);
	case OPTION_LISTEN_PROFILE:
		return take_profile(value, s->listen_handshake.profile);
	case OPTION_NAME:
		return name_normalize(value, s->name) ? "it is empty or too long" : NULL;
	case OPTION_ALPN:
		return take_alpn(s, value);
	case OPTION_TIMEOUT:
		return take_timeout(s, value);
	case OPTION_VERBOSE:
		s->verbose = 1;
		return NULL;
	default:
		return "there is no such option";
	}
}

static const char *take_list(struct settings *s, enum option_id id, const char *value)
{
	const char *wrong = NULL;
	char word[KSSL_NAME_MAX + 16];
	size_t len;

	while (!wrong && *(value += strspn(value, " "))) {
		len = strcspn(value, " ");
		if (len >= sizeof(word))
			return "it is too long";
		memcpy(word, value, len);
		word[len] = 0;
		wrong = settings_take(s, id, word);
		value += len;
	}
	return wrong;
}

const char *settings_from_environment(struct settings *s)
{
	const char *value, *wrong = NULL;
	unsigned int id;

	memset(s, 0, sizeof(*s));
	s->handshake.size = s->listen_handshake.size = sizeof(s->handshake);
	s->handshake.role = KSSL_ROLE_CLIENT;
	s->listen_handshake.role = KSSL_ROLE_SERVER;
	strcpy(s->listen_handshake.profile, "server");
	for (id = 0; id < OPTIONS_COUNT && !wrong; id++) {
		value = getenv(run_options[id].variable);
		if (value)
			wrong = run_options[id].list ? take_list(s, id, value) : settings_take(s, id, value);
	}
	if (!wrong && !s->connects_count && !s->listens_count)
		wrong = "without --connect and --listen nothing would be protected";
	return wrong;
}
