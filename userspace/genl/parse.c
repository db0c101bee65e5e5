// SPDX-License-Identifier: MIT
/*
 * Attributes into plain structs.  What has not the length of its type is malformed.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "genl.h"

enum kind { ABSENT, NUMBER, TEXT, BINARY, ADDRESS, DIRECTION };

struct field {
	enum kind kind;
	uint16_t size;		/* NUMBER: exactly; else what the struct has room for */
	uint16_t offset;
};

#define FIELD(attr_kind, member)							\
	{ attr_kind, sizeof(((struct kssl_genl_socket *)0)->member), offsetof(struct kssl_genl_socket, member) }

static const struct field fields[KSSL_A_MAX + 1] = {
	[KSSL_A_ID] = FIELD(NUMBER, id),
	[KSSL_A_CONTROL] = FIELD(NUMBER, control),
	[KSSL_A_ROLE] = FIELD(NUMBER, role),
	[KSSL_A_FLAGS] = FIELD(NUMBER, flags),
	[KSSL_A_TIMEOUT] = FIELD(NUMBER, timeout_ms),
	[KSSL_A_CLIENT_CERT] = FIELD(NUMBER, client_cert),
	[KSSL_A_PROFILE] = FIELD(TEXT, profile),
	[KSSL_A_NAME] = FIELD(TEXT, name),
	[KSSL_A_ALPN] = FIELD(BINARY, alpn),
	[KSSL_A_PINS] = FIELD(BINARY, pins),
	[KSSL_A_UID] = FIELD(NUMBER, uid),
	[KSSL_A_GID] = FIELD(NUMBER, gid),
	[KSSL_A_PID] = FIELD(NUMBER, pid),
	[KSSL_A_COMM] = FIELD(TEXT, comm),
	[KSSL_A_CGROUP] = FIELD(NUMBER, cgroup),
	[KSSL_A_NETNS] = FIELD(NUMBER, netns),
	[KSSL_A_LOCAL] = FIELD(ADDRESS, local),
	[KSSL_A_PEER] = FIELD(ADDRESS, peer),
	[KSSL_A_LISTENER] = FIELD(NUMBER, listener),
	[KSSL_A_STATE] = FIELD(NUMBER, state),
	[KSSL_A_TX] = FIELD(DIRECTION, tx),
	[KSSL_A_RX] = FIELD(DIRECTION, rx),
	[KSSL_A_HANDSHAKES] = FIELD(NUMBER, handshakes),
	[KSSL_A_KEY_UPDATES] = FIELD(NUMBER, key_updates),
	[KSSL_A_HOLDS] = FIELD(NUMBER, holds),
	[KSSL_A_HOLD_MAX] = FIELD(NUMBER, hold_max_ns),
	[KSSL_A_WAITS] = FIELD(NUMBER, waits),
	[KSSL_A_SESSION_FLAGS] = FIELD(NUMBER, session_flags),
	[KSSL_A_ERROR] = FIELD(NUMBER, error),
	[KSSL_A_WHO] = FIELD(NUMBER, who),
	[KSSL_A_ALERT] = FIELD(NUMBER, alert),
	[KSSL_A_X509] = FIELD(NUMBER, x509),
	[KSSL_A_TEXT] = FIELD(TEXT, text),
	[KSSL_A_AGE] = FIELD(NUMBER, age_ms),
	[KSSL_A_EVENT] = FIELD(NUMBER, event),
	[KSSL_A_REQUEST] = FIELD(NUMBER, request),
	[KSSL_A_PAD_TO] = FIELD(NUMBER, pad_to),
};

#define DIR_FIELD(member)								\
	{ NUMBER, sizeof(((struct kssl_genl_dir *)0)->member), offsetof(struct kssl_genl_dir, member) }

static const struct field dir_fields[KSSL_A_DIR_MAX + 1] = {
	[KSSL_A_DIR_VERSION] = DIR_FIELD(version),
	[KSSL_A_DIR_SUITE] = DIR_FIELD(suite),
	[KSSL_A_DIR_STATE] = DIR_FIELD(state),
	[KSSL_A_DIR_FLAGS] = DIR_FIELD(flags),
	[KSSL_A_DIR_EPOCH] = DIR_FIELD(epoch),
	[KSSL_A_DIR_SEQ] = DIR_FIELD(seq),
	[KSSL_A_DIR_RECORDS] = DIR_FIELD(records),
	[KSSL_A_DIR_BYTES] = DIR_FIELD(bytes),
	[KSSL_A_DIR_MAX_PAYLOAD] = DIR_FIELD(max_payload),
};

/* The next attribute of a nest, NULL at its end; *@ok is 0 if it is malformed. */
static const struct nlattr *next_nested(const struct nlattr *nest, const struct nlattr *attr, int *ok)
{
	const char *begin = mnl_attr_get_payload(nest);
	const char *end = begin + mnl_attr_get_payload_len(nest);
	const char *at = attr ? (const char *)attr + MNL_ALIGN(attr->nla_len) : begin;

	if (at >= end)
		return NULL;
	*ok = mnl_attr_ok((const struct nlattr *)at, (int)(end - at));
	return *ok ? (const struct nlattr *)at : NULL;
}

static int take(const struct field *field, const struct nlattr *attr, void *to);

static int take_direction(const struct nlattr *nest, void *to)
{
	const struct nlattr *attr = NULL;
	int ok = 1;

	while ((attr = next_nested(nest, attr, &ok))) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type <= KSSL_A_DIR_MAX && dir_fields[type].kind &&
		    take(&dir_fields[type], attr, (char *)to + dir_fields[type].offset))
			return -EBADMSG;
	}
	return ok ? 0 : -EBADMSG;
}

static int take_address(const void *data, size_t len, void *to)
{
	sa_family_t family;

	if (len < sizeof(family))
		return -EBADMSG;
	memcpy(&family, data, sizeof(family));
	if (!(family == AF_INET && len == sizeof(struct sockaddr_in)) &&
	    !(family == AF_INET6 && len == sizeof(struct sockaddr_in6)))
		return -EBADMSG;
	memcpy(to, data, len);
	return 0;
}

static int take(const struct field *field, const struct nlattr *attr, void *to)
{
	const char *data = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	switch (field->kind) {
	case NUMBER:
		if (len != field->size)
			return -EBADMSG;
		memcpy(to, data, len);
		return 0;
	case TEXT:
		len = strnlen(data, len);
		if (len >= field->size)
			return -EBADMSG;
		memcpy(to, data, len);
		return 0;
	case BINARY:
		if (len > field->size)
			return -EBADMSG;
		memcpy(to, data, len);
		return 0;
	case ADDRESS:
		return take_address(data, len, to);
	case DIRECTION:
		return take_direction(attr, to);
	case ABSENT:
		break;
	}
	return 0;
}

static int take_lengths(const struct nlattr *const *attrs, struct kssl_genl_socket *out)
{
	if (attrs[KSSL_A_ALPN]) {
		size_t len = mnl_attr_get_payload_len(attrs[KSSL_A_ALPN]);

		if (len > KSSL_ALPN_MAX)
			return -EBADMSG;
		out->alpn_len = (uint8_t)len;
	}
	if (attrs[KSSL_A_PINS]) {
		size_t len = mnl_attr_get_payload_len(attrs[KSSL_A_PINS]);

		if (len % KSSL_PIN_LEN)
			return -EBADMSG;
		out->pins_count = (uint8_t)(len / KSSL_PIN_LEN);
	}
	return 0;
}

/**
 * kssl_genl_parse() - what a message tells of a socket
 * @attrs: of kssl_genl_table()
 * @out: (out) filled in, zero for what did not come
 *
 * Return: 0, or -EBADMSG: an attribute is malformed, or the number of the socket is missing.
 */
int kssl_genl_parse(const struct nlattr *const *attrs, struct kssl_genl_socket *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	out->control = -1;
	if (!attrs[KSSL_A_ID])
		return -EBADMSG;
	for (i = 0; i <= KSSL_A_MAX; i++) {
		if (!attrs[i] || !fields[i].kind)
			continue;
		if (take(&fields[i], attrs[i], (char *)out + fields[i].offset))
			return -EBADMSG;
		out->has |= KSSL_GENL_HAS(i);
	}
	return take_lengths(attrs, out);
}

/**
 * kssl_genl_parse_stats() - the counters of KSSL_CMD_STATS
 * @attrs: of kssl_genl_table()
 * @stats: (out) KSSL_A_STATS_MAX + 1 of them, by enum kssl_attr_stats
 *
 * Return: 0 or -EBADMSG.
 */
int kssl_genl_parse_stats(const struct nlattr *const *attrs, uint64_t *stats)
{
	const struct nlattr *nest = attrs[KSSL_A_STATS], *attr = NULL;
	int ok = 1;

	memset(stats, 0, (KSSL_A_STATS_MAX + 1) * sizeof(*stats));
	if (!nest)
		return -EBADMSG;
	while ((attr = next_nested(nest, attr, &ok))) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == KSSL_A_STATS_PAD || type > KSSL_A_STATS_MAX)
			continue;
		if (mnl_attr_get_payload_len(attr) != sizeof(uint64_t))
			return -EBADMSG;
		stats[type] = mnl_attr_get_u64(attr);
	}
	return ok ? 0 : -EBADMSG;
}
