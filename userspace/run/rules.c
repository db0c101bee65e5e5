// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "run.h"

static void map_ipv4(const struct in_addr *in, struct address *address)
{
	memset(address->octets, 0, 10);
	memset(address->octets + 10, 0xff, 2);
	memcpy(address->octets + 12, in, 4);
}

int address_equal(const struct address *a, const struct address *b)
{
	return !memcmp(a->octets, b->octets, sizeof(a->octets));
}

/* Who connects to the unspecified address gets to the loopback's. */
static void resolve_unspecified(struct address *address)
{
	static const uint8_t any4[16] = { [10] = 0xff, 0xff };

	if (IN6_IS_ADDR_UNSPECIFIED((const struct in6_addr *)address->octets))
		address->octets[15] = 1;
	else if (!memcmp(address->octets, any4, 16))
		memcpy(address->octets + 12, (uint8_t[]){ 127, 0, 0, 1 }, 4);
}

int address_from_socket(const struct sockaddr *addr, socklen_t len, struct address *address, uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (addr && len >= sizeof(in) && addr->sa_family == AF_INET) {
		memcpy(&in, addr, sizeof(in));
		map_ipv4(&in.sin_addr, address);
		*port = ntohs(in.sin_port);
	} else if (addr && len >= offsetof(struct sockaddr_in6, sin6_scope_id) && addr->sa_family == AF_INET6) {
		memcpy(&in6, addr, offsetof(struct sockaddr_in6, sin6_scope_id));
		memcpy(address->octets, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
	} else {
		return -1;
	}
	resolve_unspecified(address);
	return 0;
}

int address_from_text(const char *text, struct address *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1)
		map_ipv4(&in, address);
	else if (inet_pton(AF_INET6, text, address->octets) != 1)
		return -1;
	resolve_unspecified(address);
	return 0;
}

void address_to_text(const struct address *address, char text[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address->octets))
		inet_ntop(AF_INET, address->octets + 12, text, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address->octets, text, INET6_ADDRSTRLEN);
}

int name_normalize(const char *from, char to[KSSL_NAME_MAX])
{
	size_t i, len = strlen(from);

	if (len > 1 && from[len - 1] == '.')
		len--;
	if (!len || len >= KSSL_NAME_MAX)
		return -1;
	for (i = 0; i < len; i++)
		to[i] = tolower((unsigned char)from[i]);
	to[len] = 0;
	return 0;
}

static int parse_port(const char *text, uint16_t *port)
{
	unsigned long value;
	char *end;

	*port = 0;
	if (!strcmp(text, "*"))
		return 0;
	if (!isdigit((unsigned char)*text))
		return -1;
	value = strtoul(text, &end, 10);
	if (*end || !value || value > 65535)
		return -1;
	*port = value;
	return 0;
}

const char *rule_parse(const char *text, struct rule *rule)
{
	const char *colon = strrchr(text, ':');
	char host[KSSL_NAME_MAX];
	size_t len;
	int brackets;

	memset(rule, 0, sizeof(*rule));
	if (!colon || parse_port(colon + 1, &rule->port))
		return "it has to be host:port, the port a number or *";
	brackets = *text == '[' && colon - text > 2 && colon[-1] == ']';
	len = colon - text - 2 * brackets;
	if (!len || len >= sizeof(host))
		return "it has no host, or one that is too long";
	memcpy(host, text + brackets, len);
	host[len] = 0;
	if (!brackets && strchr(host, ':'))
		return "an address of IPv6 has to be in brackets";
	if (!strcmp(host, "*")) {
		rule->kind = HOST_ANY;
	} else if (!address_from_text(host, &rule->address)) {
		rule->kind = HOST_ADDRESS;
		strcpy(rule->name, host);
	} else {
		rule->kind = HOST_NAME;
		if (brackets || strpbrk(host, "*/[]@ ") || name_normalize(host, rule->name))
			return "its host is not a name, an address or *";
	}
	return NULL;
}

int decide_listen(const struct settings *s, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < s->listens_count; i++)
		if (!s->listens[i] || s->listens[i] == port)
			return 1;
	return 0;
}

static int is_loopback(const struct address *address)
{
	return IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)address->octets) ||
	       (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address->octets) && address->octets[12] == 127);
}

/* That one nobody needs to look up (RFC 6761 6.3), and some programs do not. */
static int has_name(const struct address *address, const char *name)
{
	unsigned int at = 0;
	const char *known;

	if (!strcmp(name, "localhost") && is_loopback(address))
		return 1;
	while ((known = names_next(address, &at)))
		if (!strcmp(known, name))
			return 1;
	return 0;
}

/* Several names: the program means one, and we do not know which. */
static const char *only_name(const struct address *address, int *several)
{
	const char *first, *other;
	unsigned int at = 0;

	first = names_next(address, &at);
	*several = 0;
	while (first && (other = names_next(address, &at)))
		*several |= !!strcmp(first, other);
	return first;
}

struct matches {
	int any;		/* by * or an address */
	int literal;		/* by an address, so the user knows it */
	int several;		/* by more than one name */
	int perhaps;		/* there is a rule with a name, and we do not know any of the address */
	const char *name;	/* by this name */
};

static void match_rule(const struct rule *rule, const struct address *address, struct matches *m)
{
	unsigned int at = 0;

	if (rule->kind == HOST_ANY) {
		m->any = 1;
	} else if (rule->kind == HOST_ADDRESS) {
		if (address_equal(&rule->address, address))
			m->any = m->literal = 1;
	} else if (has_name(address, rule->name)) {
		m->several |= m->name && strcmp(m->name, rule->name);
		m->name = rule->name;
	} else if (!names_next(address, &at)) {
		m->perhaps = 1;
	}
}

enum verdict decide_connect(const struct settings *s, const struct address *address, uint16_t port,
			    char name[KSSL_NAME_MAX], const char **why)
{
	struct matches m = { 0 };
	const char *found;
	unsigned int i;

	for (i = 0; i < s->connects_count; i++)
		if (!s->connects[i].port || s->connects[i].port == port)
			match_rule(&s->connects[i], address, &m);
	if (!m.any && !m.name && !m.perhaps)
		return VERDICT_PASS;
	if (!m.any && !m.name) {
		*why = "the name it was looked up by is not known, and it may be one that is to be protected; use --connect with the address or *, and --name";
		return VERDICT_REFUSE;
	}
	if (*s->name) {
		strcpy(name, s->name);
		return VERDICT_PROTECT;
	}
	found = m.name;
	if (!found)
		found = only_name(address, &m.several);
	if (m.several) {
		*why = "several names were looked up that lead there, so which one to verify is not known; use --connect with the name, or --name";
		return VERDICT_REFUSE;
	}
	if (!found && !m.literal) {
		*why = "the name it was looked up by is not known, so there is none to verify; use --connect with the address, or --name";
		return VERDICT_REFUSE;
	}
	if (found)
		strcpy(name, found);
	else
		address_to_text(address, name);
	return VERDICT_PROTECT;
}
