// SPDX-License-Identifier: MIT
/*
 * The commands, but for probe.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

struct kssl_genl *open_client(void)
{
	char text[KSSL_GENL_TEXT_LEN];
	struct kssl_genl *g = kssl_genl_open(text, sizeof(text));

	if (!g) {
		fprintf(stderr, "kssl-ctl: %s; kssl-ctl probe says more\n", text);
		return NULL;
	}
	if (kssl_genl_version_check(g)) {
		fprintf(stderr, "kssl-ctl: %s\n", kssl_genl_error(g));
		kssl_genl_close(g);
		return NULL;
	}
	return g;
}

/* Says what failed; the exit status. */
int failed(struct kssl_genl *g, const char *what, int ret)
{
	fprintf(stderr, "kssl-ctl: %s: %s\n", what, kssl_genl_error(g));
	switch (-ret) {
	case ENOENT:
		return EXIT_NO_SUCH;
	case EPERM:
		return EXIT_NOT_PERMITTED;
	case ETIMEDOUT:
		return EXIT_TOO_LATE;
	}
	return EXIT_FAILED;
}

static int parse_id(const char *text, uint32_t *id)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || !number || number > UINT32_MAX) {
		fprintf(stderr, "kssl-ctl: '%s' is not the ID of a connection\n", text);
		return EXIT_USAGE;
	}
	*id = (uint32_t)number;
	return 0;
}

static bool is_wanted(const struct options *options, const struct kssl_genl_socket *s)
{
	return (!options->profile || !strcmp(options->profile, s->profile)) &&
	       (!options->has_pid || options->pid == s->pid) && (!options->has_uid || options->uid == s->uid);
}

/* ---- list, show, stats, version ---- */

struct collection {
	const struct options *options;
	struct kssl_genl_socket *sockets;
	size_t count;
	size_t begin;		/* of this dump */
};

static int collect(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	struct collection *c = arg;
	struct kssl_genl_socket *grown, s;
	int ret;

	if (!attrs) {
		c->count = c->begin;
		return 0;
	}
	ret = kssl_genl_parse(attrs, &s);
	if (ret)
		return ret;
	if (!is_wanted(c->options, &s) || (c->options->failed && cmd == KSSL_CMD_SESSION && !s.error))
		return 0;
	if (!(c->count & (c->count + 1))) {
		grown = realloc(c->sockets, 2 * (c->count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->sockets = grown;
	}
	c->sockets[c->count++] = s;
	return 0;
}

static int print_collection(const struct collection *c)
{
	json_t *list = c->options->json ? json_array() : NULL;
	size_t i;

	if (!list && c->count && !c->options->failed)
		print_list_header(stdout);
	for (i = 0; i < c->count; i++) {
		if (list)
			json_array_append_new(list, socket_to_json(&c->sockets[i]));
		else if (c->options->failed)
			print_failure(stdout, &c->sockets[i]);
		else
			print_list_line(stdout, &c->sockets[i]);
	}
	return list ? print_json(json_pack("{s:o}", c->options->failed ? "failed" : "connections", list)) : 0;
}

int run_list(const struct options *options, char **args)
{
	struct collection c = { .options = options };
	struct kssl_genl *g = open_client();
	int ret = 0;

	(void)args;
	if (!g)
		return EXIT_FAILED;
	if (options->failed)
		ret = kssl_genl_request(g, KSSL_CMD_FAILURE, 1, NULL, collect, &c);
	c.begin = c.count;
	if (!ret)
		ret = kssl_genl_request(g, KSSL_CMD_SESSION, 1, NULL, collect, &c);
	ret = ret ? failed(g, "list", ret) : print_collection(&c);
	free(c.sockets);
	kssl_genl_close(g);
	return ret;
}

struct one {
	uint32_t id;
	uint32_t how;
	struct kssl_genl_socket s;
};

static void put_id(struct nlmsghdr *request, void *arg)
{
	const struct one *one = arg;

	mnl_attr_put_u32(request, KSSL_A_ID, one->id);
}

static void put_id_how(struct nlmsghdr *request, void *arg)
{
	const struct one *one = arg;

	put_id(request, arg);
	mnl_attr_put_u32(request, KSSL_A_HOW, one->how);
}

static int take_one(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	struct one *one = arg;

	(void)cmd;
	return kssl_genl_parse(attrs, &one->s);
}

/* One command on one socket; 0, or the exit status after the reason was printed. */
static int ask_one(const char *id, uint8_t cmd, struct one *one)
{
	struct kssl_genl *g;
	int ret;

	if (parse_id(id, &one->id))
		return EXIT_USAGE;
	g = open_client();
	if (!g)
		return EXIT_FAILED;
	ret = kssl_genl_request(g, cmd, 0, put_id, take_one, one);
	if (ret)
		ret = failed(g, id, ret);
	kssl_genl_close(g);
	return ret;
}

int run_show(const struct options *options, char **args)
{
	struct one one = { 0 };
	int ret = ask_one(args[0], KSSL_CMD_SESSION, &one);

	if (ret)
		return ret;
	if (options->json)
		return print_json(socket_to_json(&one.s));
	print_socket(stdout, &one.s);
	return 0;
}

static int take_stats(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	(void)cmd;
	return kssl_genl_parse_stats(attrs, arg);
}

int run_stats(const struct options *options, char **args)
{
	uint64_t stats[KSSL_A_STATS_MAX + 1] = { 0 };
	struct kssl_genl *g = open_client();
	int ret;

	(void)args;
	if (!g)
		return EXIT_FAILED;
	ret = kssl_genl_request(g, KSSL_CMD_STATS, 0, NULL, take_stats, stats);
	if (ret)
		ret = failed(g, "stats", ret);
	else if (options->prometheus)
		print_prometheus(stdout, stats);
	else if (options->json)
		ret = print_json(stats_to_json(stats));
	else
		print_stats(stdout, stats);
	kssl_genl_close(g);
	return ret;
}

static int take_module(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	(void)cmd;
	if (!attrs[KSSL_A_MODULE])
		return -EBADMSG;
	snprintf(arg, 64, "%.*s", mnl_attr_get_payload_len(attrs[KSSL_A_MODULE]),
		 mnl_attr_get_str(attrs[KSSL_A_MODULE]));
	return 0;
}

static void put_abi(struct nlmsghdr *request, void *arg)
{
	(void)arg;
	mnl_attr_put_u32(request, KSSL_A_ABI, KSSL_ABI);
}

int run_version(const struct options *options, char **args)
{
	char text[KSSL_GENL_TEXT_LEN], module[64] = "";
	struct kssl_genl *g = kssl_genl_open(text, sizeof(text));
	json_t *json;
	int ret = 0;

	(void)args;
	if (g) {
		ret = kssl_genl_request(g, KSSL_CMD_VERSION, 0, put_abi, take_module, module);
		snprintf(text, sizeof(text), "%s", ret ? kssl_genl_error(g) : "");
		kssl_genl_close(g);
	}
	if (!options->json) {
		printf("kssl-ctl, interface %d\nmodule %s%s\n", KSSL_ABI, module, module[0] ? "" : text);
		return ret ? EXIT_FAILED : 0;
	}
	json = json_pack("{s:i}", "abi", KSSL_ABI);
	json_object_set_new(json, "module", module[0] ? json_string(module) : json_null());
	if (!module[0])
		json_object_set_new(json, "text", json_string(text));
	return print_json(json) || ret ? EXIT_FAILED : 0;
}

/* ---- monitor ---- */

static int take_event(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	const struct options *options = arg;
	struct kssl_genl_socket s;
	struct timespec now;
	int64_t unix_ms;

	if (cmd != KSSL_CMD_EVENT || kssl_genl_parse(attrs, &s) || !is_wanted(options, &s))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (options->json) {
		json_t *json = socket_to_json(&s);

		json_object_set_new(json, "event", json_string(event_name(s.event)));
		json_object_set_new(json, "time_ms", json_integer(unix_ms));
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
	} else {
		print_event(stdout, &s, unix_ms);
	}
	return fflush(stdout) ? -EPIPE : 0;
}

int run_monitor(const struct options *options, char **args)
{
	struct kssl_genl *g = open_client();
	struct pollfd pollfd;
	int ret;

	(void)args;
	if (!g)
		return EXIT_FAILED;
	ret = kssl_genl_join(g, KSSL_GENL_GROUP_EVENTS);
	pollfd = (struct pollfd){ .fd = kssl_genl_fd(g), .events = POLLIN };
	while (!ret) {
		if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
			ret = -errno;
		if (!ret)
			ret = kssl_genl_receive(g, take_event, (void *)options);
		if (ret == -ENOBUFS) {
			fprintf(stderr, "kssl-ctl: some events were lost\n");
			ret = 0;
		}
	}
	ret = failed(g, "monitor", ret);
	kssl_genl_close(g);
	return ret;
}

/* ---- renegotiate, rekey, close ---- */

static bool is_over(const struct kssl_genl_socket *before, const struct kssl_genl_socket *now)
{
	/* In TLS 1.3 the kernel does it, and the helper says so: before that nobody may ask for another one. */
	return now->handshakes != before->handshakes ||
	       (now->tx.version == 0x0304 && now->tx.epoch != before->tx.epoch && now->rx.epoch != before->rx.epoch &&
		now->request != EINPROGRESS);
}

/* Events are for admins only, so the connection is looked at until its counters have moved. */
static int wait_until_over(struct kssl_genl *g, struct one *one, const struct kssl_genl_socket *before, double timeout)
{
	struct timespec pause = { .tv_nsec = 20000000 }, begin, now;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		ret = kssl_genl_request(g, KSSL_CMD_SESSION, 0, put_id, take_one, one);
		if (ret == -ENOENT) {
			fprintf(stderr, "kssl-ctl: the connection was closed before it was over\n");
			return EXIT_NO_SUCH;
		}
		if (ret && ret != -EBUSY)
			return failed(g, "waiting", ret);
		if (one->s.error) {
			fprintf(stderr, "kssl-ctl: the connection has failed: %s\n", one->s.text);
			return EXIT_FAILED;
		}
		if (is_over(before, &one->s))
			return 0;
		if (one->s.request && one->s.request != EINPROGRESS) {
			fprintf(stderr, "kssl-ctl: %s\n", one->s.request == ECONNREFUSED ? "the peer has refused" :
				strerror((int)one->s.request));
			return EXIT_FAILED;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9 > timeout)
			break;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "kssl-ctl: not over after %g seconds: %s\n", timeout,
		one->s.waits & KSSL_WAITS_HELPER ? "the helper has not answered" :
		one->s.waits & KSSL_WAITS_READER ? "the answer may be behind data that the application has not read" :
		one->s.waits & KSSL_WAITS_PEER ? "the peer has not answered" : "nobody has said why");
	return EXIT_TOO_LATE;
}

static int renew(const struct options *options, const char *id, uint32_t how)
{
	struct one one = { .how = how };
	struct kssl_genl_socket before;
	struct kssl_genl *g;
	int ret;

	if (parse_id(id, &one.id))
		return EXIT_USAGE;
	g = open_client();
	if (!g)
		return EXIT_FAILED;
	ret = kssl_genl_request(g, KSSL_CMD_SESSION, 0, put_id, take_one, &one);
	before = one.s;
	if (!ret)
		ret = kssl_genl_request(g, KSSL_CMD_RENEGOTIATE, 0, put_id_how, NULL, &one);
	ret = ret ? failed(g, id, ret) : wait_until_over(g, &one, &before, options->timeout);
	if (!ret && options->json)
		ret = print_json(socket_to_json(&one.s));
	else if (!ret)
		printf("%u: handshakes %u, epoch %u/%u\n", one.id, one.s.handshakes, one.s.tx.epoch, one.s.rx.epoch);
	kssl_genl_close(g);
	return ret;
}

int run_renegotiate(const struct options *options, char **args)
{
	static const char *const names[] = {
		[KSSL_RENEG_FULL] = "full",
		[KSSL_RENEG_RESUME] = "resume",
		[KSSL_RENEG_REQUEST_CERT] = "request-cert",
		[KSSL_RENEG_REQUIRE_CERT] = "require-cert",
	};
	uint32_t how = KSSL_RENEG_FULL;

	if (args[1]) {
		while (how <= KSSL_RENEG_REQUIRE_CERT && strcmp(args[1], names[how]))
			how++;
		if (how > KSSL_RENEG_REQUIRE_CERT) {
			fprintf(stderr, "kssl-ctl: not full, resume, request-cert or require-cert: %s\n", args[1]);
			return EXIT_USAGE;
		}
	}
	return renew(options, args[0], how);
}

/* In TLS 1.3 the kernel takes FULL for a KeyUpdate both ways. */
int run_rekey(const struct options *options, char **args)
{
	return renew(options, args[0], KSSL_RENEG_FULL);
}

int run_close(const struct options *options, char **args)
{
	struct one one = { 0 };
	int ret = ask_one(args[0], KSSL_CMD_CANCEL, &one);

	return !ret && options->json ? print_json(json_pack("{s:I}", "closed", (json_int_t)one.id)) : ret;
}
