// SPDX-License-Identifier: MIT
/*
 * The parser of the family's messages, given good ones, each of them cut at every length and
 * with every attribute left out, made too short or too long, and any octet changed; and what
 * kssl-ctl makes of the structs.  Prints TAP.  Sanitizers see what the checks do not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/genetlink.h>

#include "../../../userspace/ctl/ctl.h"

#define ROOM	4096

static const char *failure;

#define CHECK(cond)						\
	do {							\
		if (!(cond)) {					\
			failure = #cond;			\
			return;					\
		}						\
	} while (0)

/* Each message is in memory of exactly its length, so that a sanitizer sees what is read behind it. */
static struct nlmsghdr *exact(const struct nlmsghdr *message)
{
	struct nlmsghdr *copy = malloc(message->nlmsg_len);

	memcpy(copy, message, message->nlmsg_len);
	return copy;
}

static struct nlmsghdr *begin(char *room)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(room);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	message->nlmsg_type = 0x20;
	header->cmd = KSSL_CMD_SESSION;
	return message;
}

static void put_dir(struct nlmsghdr *message, int attr, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(message, (uint16_t)attr);

	mnl_attr_put_u16(message, KSSL_A_DIR_VERSION, 0x0304);
	mnl_attr_put_u16(message, KSSL_A_DIR_SUITE, 0x1302);
	mnl_attr_put_u8(message, KSSL_A_DIR_STATE, KSSL_STATE_ACTIVE);
	mnl_attr_put_u32(message, KSSL_A_DIR_EPOCH, 7);
	mnl_attr_put_u16(message, KSSL_A_DIR_MAX_PAYLOAD, 511);
	mnl_attr_put_u64(message, KSSL_A_DIR_BYTES, bytes);
	mnl_attr_nest_end(message, nest);
}

/* As the module makes it; but for the attribute @but. */
static struct nlmsghdr *session(char *room, int but)
{
	struct sockaddr_in6 peer = {
		.sin6_family = AF_INET6, .sin6_port = htons(443), .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	struct sockaddr_in local = {
		.sin_family = AF_INET, .sin_port = htons(1024), .sin_addr.s_addr = htonl(0x7f000001),
	};
	struct nlmsghdr *message = begin(room);

	if (but != KSSL_A_ID)
		mnl_attr_put_u32(message, KSSL_A_ID, 42);
	if (but != KSSL_A_COMM)
		mnl_attr_put_strz(message, KSSL_A_COMM, "curl\033[31m");
	if (but != KSSL_A_PROFILE)
		mnl_attr_put_strz(message, KSSL_A_PROFILE, "web");
	if (but != KSSL_A_LOCAL)
		mnl_attr_put(message, KSSL_A_LOCAL, sizeof(local), &local);
	if (but != KSSL_A_PEER)
		mnl_attr_put(message, KSSL_A_PEER, sizeof(peer), &peer);
	mnl_attr_put_u8(message, KSSL_A_STATE, KSSL_SESSION_STATE_ATTENDED);
	put_dir(message, KSSL_A_TX, UINT64_C(1) << 40);
	put_dir(message, KSSL_A_RX, 5);
	mnl_attr_put_u32(message, KSSL_A_HANDSHAKES, 3);
	mnl_attr_put_u32(message, KSSL_A_PAD_TO, 256);
	mnl_attr_put(message, KSSL_A_ALPN, 8, "http/1.1");
	mnl_attr_put_u32(message, KSSL_A_ERROR, EKEYREJECTED);
	mnl_attr_put_u8(message, KSSL_A_WHO, KSSL_WHO_HELPER);
	mnl_attr_put_u32(message, KSSL_A_X509, 10);
	mnl_attr_put_strz(message, KSSL_A_TEXT, "the certificate \"x\" \\ is not good\n");
	return message;
}

static int parse(const struct nlmsghdr *message, struct kssl_genl_socket *out)
{
	const struct nlattr *attrs[KSSL_A_MAX + 1];
	int ret = kssl_genl_table(message, attrs);

	return ret ? ret : kssl_genl_parse(attrs, out);
}

/* One attribute only, behind the number. */
static int parse_with(int attr, const void *data, size_t len)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct nlmsghdr *message = begin(room), *copy;
	struct kssl_genl_socket s;
	int ret;

	mnl_attr_put_u32(message, KSSL_A_ID, 1);
	mnl_attr_put(message, (uint16_t)attr, len, data);
	copy = exact(message);
	ret = parse(copy, &s);
	free(copy);
	return ret;
}

static void whole(void)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct kssl_genl_socket s;

	CHECK(!parse(session(room, 0), &s));
	CHECK(s.id == 42 && !strcmp(s.profile, "web") && s.control == -1);
	CHECK(s.tx.bytes == UINT64_C(1) << 40 && s.rx.bytes == 5 && s.tx.epoch == 7 && s.tx.suite == 0x1302);
	CHECK(s.local.v4.sin_port == htons(1024) && s.peer.v6.sin6_port == htons(443));
	CHECK(s.tx.max_payload == 511 && s.pad_to == 256);
	CHECK(s.error == EKEYREJECTED && s.x509 == 10 && s.alpn_len == 8 && !strcmp((char *)s.alpn, "http/1.1"));
	CHECK(s.has & KSSL_GENL_HAS(KSSL_A_PROFILE));
	CHECK(!(s.has & KSSL_GENL_HAS(KSSL_A_NAME)));
}

static void missing(void)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct kssl_genl_socket s;

	CHECK(parse(session(room, KSSL_A_ID), &s) == -EBADMSG);
	CHECK(!parse(session(room, KSSL_A_PROFILE), &s) && !s.profile[0]);
	CHECK(!parse(session(room, KSSL_A_PEER), &s) && !s.peer.any.sa_family);
}

static void truncated(void)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct nlmsghdr *message = session(room, 0), *copy;
	uint32_t len = message->nlmsg_len;
	struct kssl_genl_socket s;
	uint32_t cut;

	for (cut = NLMSG_HDRLEN; cut < len; cut++) {
		int ret;

		message->nlmsg_len = cut;
		copy = exact(message);
		ret = parse(copy, &s);
		free(copy);
		CHECK(!ret || ret == -EBADMSG);
		/* The number comes first, and is cut. */
		CHECK(cut >= NLMSG_HDRLEN + GENL_HDRLEN + 8 || ret);
	}
}

static void lengths(void)
{
	static const unsigned char zeros[512];
	static const struct { int attr; size_t good; } numbers[] = {
		{ KSSL_A_ROLE, 1 }, { KSSL_A_UID, 4 }, { KSSL_A_CGROUP, 8 }, { KSSL_A_STATE, 1 }, { KSSL_A_CONTROL, 4 },
		{ KSSL_A_ERROR, 4 }, { KSSL_A_AGE, 8 }, { KSSL_A_EVENT, 1 }, { KSSL_A_HOLD_MAX, 8 },
	};
	static const struct { int attr; size_t room; } texts[] = {
		{ KSSL_A_PROFILE, KSSL_PROFILE_MAX }, { KSSL_A_NAME, KSSL_NAME_MAX }, { KSSL_A_TEXT,
										       KSSL_GENL_TEXT_LEN },
	};
	char full[512];
	size_t i, len;

	memset(full, 'x', sizeof(full));
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (len = 0; len < 12; len++)
			CHECK(!parse_with(numbers[i].attr, zeros, len) == (len == numbers[i].good));
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK(!parse_with(texts[i].attr, full, texts[i].room - 1));
		CHECK(parse_with(texts[i].attr, full, texts[i].room) == -EBADMSG);
	}
	CHECK(!parse_with(KSSL_A_ALPN, full, KSSL_ALPN_MAX));
	CHECK(parse_with(KSSL_A_ALPN, full, KSSL_ALPN_MAX + 1) == -EBADMSG);
	CHECK(!parse_with(KSSL_A_PINS, full, (size_t)KSSL_PIN_LEN * KSSL_PINS_MAX));
	CHECK(parse_with(KSSL_A_PINS, full, (size_t)KSSL_PIN_LEN * (KSSL_PINS_MAX + 1)) == -EBADMSG);
	CHECK(parse_with(KSSL_A_PINS, full, KSSL_PIN_LEN - 1) == -EBADMSG);
	for (len = 0; len < 40; len++)
		CHECK(parse_with(KSSL_A_PEER, zeros, len) == -EBADMSG);
	CHECK(parse_with(KSSL_A_TX, full, 7) == -EBADMSG);
	CHECK(!parse_with(KSSL_A_MAX + 1, full, 3));	/* of a newer module */
}

/* Any octet may be anything: no more than an answer is asked for. */
static void changed(void)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct nlmsghdr *message = session(room, 0), *copy;
	unsigned int at, value, refused = 0;
	struct kssl_genl_socket s;
	json_t *json;

	for (at = NLMSG_HDRLEN; at < message->nlmsg_len; at++) {
		for (value = 0; value < 256; value += 5) {
			copy = exact(message);
			((unsigned char *)copy)[at] = (unsigned char)value;
			if (parse(copy, &s)) {
				refused++;
			} else {
				json = socket_to_json(&s);
				CHECK(json);
				json_decref(json);
			}
			free(copy);
		}
	}
	CHECK(refused > 100);
}

static void stats(void)
{
	uint64_t counters[KSSL_A_STATS_MAX + 1];
	const struct nlattr *attrs[KSSL_A_MAX + 1];
	char room[ROOM] __attribute__((aligned(8)));
	struct nlmsghdr *message = begin(room);
	struct nlattr *nest;

	CHECK(!kssl_genl_table(message, attrs) && kssl_genl_parse_stats(attrs, counters) == -EBADMSG);
	nest = mnl_attr_nest_start(message, KSSL_A_STATS);
	mnl_attr_put_u64(message, KSSL_A_STATS_SESSIONS, 3);
	mnl_attr_put_u64(message, KSSL_A_STATS_MAX + 1, 9);
	mnl_attr_nest_end(message, nest);
	CHECK(!kssl_genl_table(message, attrs) && !kssl_genl_parse_stats(attrs, counters));
	CHECK(counters[KSSL_A_STATS_SESSIONS] == 3 && !counters[KSSL_A_STATS_FAILED]);
	message = begin(room);
	nest = mnl_attr_nest_start(message, KSSL_A_STATS);
	mnl_attr_put_u32(message, KSSL_A_STATS_SESSIONS, 3);
	mnl_attr_nest_end(message, nest);
	CHECK(!kssl_genl_table(message, attrs) && kssl_genl_parse_stats(attrs, counters) == -EBADMSG);
}

static void json(void)
{
	char room[ROOM] __attribute__((aligned(8)));
	struct kssl_genl_socket s;
	json_t *made, *read;
	json_error_t error;
	char *text;

	CHECK(!parse(session(room, 0), &s));
	made = socket_to_json(&s);
	text = json_dumps(made, 0);
	read = json_loads(text, 0, &error);
	CHECK(read && json_equal(made, read));
	CHECK(json_integer_value(json_object_get(read, "id")) == 42);
	CHECK(!strcmp(json_string_value(json_object_get(read, "suite")), "TLS_AES_256_GCM_SHA384"));
	CHECK(!strcmp(json_string_value(json_object_get(read, "version")), "1.3"));
	CHECK(!strcmp(json_string_value(json_object_get(read, "local")), "127.0.0.1:1024"));
	CHECK(!strcmp(json_string_value(json_object_get(read, "peer")), "[::1]:443"));
	CHECK(json_integer_value(json_object_get(read, "renegotiations")) == 2);
	CHECK(json_integer_value(json_object_get(json_object_get(read, "tx"), "bytes")) == (json_int_t)1 << 40);
	CHECK(!strcmp(json_string_value(json_object_get(json_object_get(read, "error"), "errno")), "EKEYREJECTED"));
	CHECK(strstr(json_string_value(json_object_get(json_object_get(read, "error"), "x509_text")), "expired"));
	json_decref(made);
	json_decref(read);
	free(text);
}

/* Nothing of others' text moves the terminal's cursor, and a line is a line. */
static void text(void)
{
	char room[ROOM] __attribute__((aligned(8))), *out = NULL;
	struct kssl_genl_socket s;
	size_t size, i, lines = 0;
	FILE *file;

	CHECK(!parse(session(room, 0), &s));
	file = open_memstream(&out, &size);
	print_list_line(file, &s);
	print_failure(file, &s);
	print_event(file, &s, 1000);
	fclose(file);
	for (i = 0; i < size; i++) {
		lines += out[i] == '\n';
		CHECK(out[i] == '\n' || (out[i] >= ' ' && out[i] <= '~'));
	}
	CHECK(lines == 3 && strstr(out, "TLS_AES_256_GCM_SHA384") && strstr(out, "EKEYREJECTED"));
	free(out);
}

/* Why a renegotiation was refused, though the connection is well. */
static void refusal(void)
{
	char room[ROOM] __attribute__((aligned(8))), *out = NULL;
	struct nlmsghdr *message = session(room, 0);
	struct kssl_genl_socket s;
	json_t *json;
	size_t size;
	FILE *file;

	mnl_attr_put_u8(message, KSSL_A_EVENT, KSSL_EVENT_NL_REFUSED);
	mnl_attr_put_u32(message, KSSL_A_REQUEST, ECONNREFUSED);
	CHECK(!parse(message, &s));
	file = open_memstream(&out, &size);
	print_event(file, &s, 1000);
	fclose(file);
	CHECK(strstr(out, " refused ") && strstr(out, ": ECONNREFUSED\n"));
	free(out);
	json = socket_to_json(&s);
	CHECK(!strcmp(json_string_value(json_object_get(json, "last_request")), "ECONNREFUSED"));
	json_decref(json);
	CHECK(!strcmp(event_name(KSSL_EVENT_NL_DECLINED), "declined"));
}

static void prometheus(void)
{
	uint64_t counters[KSSL_A_STATS_MAX + 1];
	char *out = NULL, *line, *rest, name[64], type[16], named[64];
	unsigned int count = 0;
	unsigned long long value;
	size_t size;
	FILE *file;
	int i;

	for (i = 0; i <= KSSL_A_STATS_MAX; i++)
		counters[i] = UINT64_MAX - (uint64_t)i;
	file = open_memstream(&out, &size);
	print_prometheus(file, counters);
	fclose(file);
	CHECK(size && out[size - 1] == '\n');
	for (line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), count++) {
		CHECK(sscanf(line, "# HELP %63s", name) == 1 && !strncmp(name, "kssl_", 5));
		line = strtok_r(NULL, "\n", &rest);
		CHECK(line && sscanf(line, "# TYPE %63s %15s", named, type) == 2 && !strcmp(name, named));
		CHECK(!strcmp(type, strstr(name, "_total") ? "counter" : "gauge"));
		line = strtok_r(NULL, "\n", &rest);
		CHECK(line && sscanf(line, "%63s %llu", named, &value) == 2 && !strcmp(name, named));
		CHECK(value > UINT64_MAX - 100);
	}
	CHECK(count == KSSL_A_STATS_MAX - KSSL_A_STATS_PAD);
	free(out);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "a whole message", whole },
	{ "attributes that are missing", missing },
	{ "a message cut at every length", truncated },
	{ "attributes of other lengths", lengths },
	{ "a message with any octet changed", changed },
	{ "counters", stats },
	{ "JSON can be read back", json },
	{ "text has no control characters", text },
	{ "a refusal is told with its reason", refusal },
	{ "Prometheus' format", prometheus },
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

int main(void)
{
	int failures = 0;
	size_t i;

	printf("1..%zu\n", TESTS);
	for (i = 0; i < TESTS; i++) {
		failure = NULL;
		tests[i].run();
		if (failure)
			printf("# %s\n", failure);
		printf("%sok %zu - %s\n", failure ? "not " : "", i + 1, tests[i].name);
		failures += !!failure;
	}
	return !!failures;
}
