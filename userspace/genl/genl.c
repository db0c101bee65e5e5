// SPDX-License-Identifier: MIT
/*
 * The sockets, requests and multicast messages of a kssl_genl.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <linux/genetlink.h>

#include "genl.h"

#define BUFFER_LEN	(64 * 1024)
#define DUMP_TRIES	3	/* on a busy machine the last one is as good as any */
#define GROUPS_MAX	8

struct group {
	char name[GENL_NAMSIZ];
	uint32_t id;
};

struct kssl_genl {
	struct mnl_socket *requests;
	struct mnl_socket *multicast;
	uint16_t family;
	uint32_t seq;
	unsigned int groups_count;
	struct group groups[GROUPS_MAX];
	char text[KSSL_GENL_TEXT_LEN];
	char buffer[BUFFER_LEN] __attribute__((aligned(8)));
	/* Of its own, so that a callback can make requests. */
	char incoming[BUFFER_LEN] __attribute__((aligned(8)));
};

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	struct timeval patience = { .tv_sec = 10 };
	int on = 1;

	if (!socket)
		return NULL;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID)) {
		mnl_socket_close(socket);
		return NULL;
	}
	/* Old kernels lack the first two and answer all the same. */
	mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return socket;
}

/* One datagram: its length, or -errno. */
static ssize_t receive(struct mnl_socket *socket, char *buffer, int flags)
{
	struct sockaddr_nl from;
	struct iovec iov = { .iov_base = buffer, .iov_len = BUFFER_LEN };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t len;

	for (;;) {
		msg.msg_namelen = sizeof(from);
		len = recvmsg(mnl_socket_get_fd(socket), &msg, flags);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		if (msg.msg_namelen != sizeof(from) || from.nl_pid)
			continue;	/* not from the kernel */
		return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
	}
}

static void keep_text(char *text, const struct nlmsghdr *message, size_t skip)
{
	const char *at = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr = (const struct nlattr *)(at + MNL_ALIGN(skip));
	int left = (int)mnl_nlmsg_get_payload_len(message) - (int)MNL_ALIGN(skip);

	for (; left > 0 && mnl_attr_ok(attr, left); left -= MNL_ALIGN(attr->nla_len), attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(text, KSSL_GENL_TEXT_LEN, "%.*s", mnl_attr_get_payload_len(attr),
				 mnl_attr_get_str(attr));
}

/* What NLMSG_ERROR and NLMSG_DONE say: 0, or -errno. */
static int end_of_request(struct kssl_genl *g, const struct nlmsghdr *message)
{
	size_t len = mnl_nlmsg_get_payload_len(message), skip = sizeof(int);
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type == NLMSG_ERROR) {
		if (len < sizeof(*error))
			return -EBADMSG;
		skip = sizeof(*error);
		if (!(message->nlmsg_flags & NLM_F_CAPPED) && error->error) {
			if (error->msg.nlmsg_len < sizeof(error->msg) || error->msg.nlmsg_len > len)
				return -EBADMSG;
			skip += error->msg.nlmsg_len - sizeof(error->msg);
		}
	} else if (len < sizeof(int)) {
		return 0;
	}
	if (message->nlmsg_flags & NLM_F_ACK_TLVS)
		keep_text(g->text, message, skip);
	return error->error > 0 ? -EBADMSG : error->error;
}

/**
 * kssl_genl_table() - the attributes of a message
 * @message: of the family, or any that has a struct genlmsghdr
 * @attrs: (out) KSSL_A_MAX + 1 of them, NULL for those that did not come
 *
 * Attributes that are not known are passed over: a newer module may have more.
 *
 * Return: 0, or -EBADMSG.
 */
int kssl_genl_table(const struct nlmsghdr *message, const struct nlattr **attrs)
{
	const char *at = mnl_nlmsg_get_payload(message);
	int left = (int)mnl_nlmsg_get_payload_len(message) - GENL_HDRLEN;
	const struct nlattr *attr = (const struct nlattr *)(at + GENL_HDRLEN);

	memset(attrs, 0, (KSSL_A_MAX + 1) * sizeof(*attrs));
	if (left < 0)
		return -EBADMSG;
	while (left > 0) {
		if (!mnl_attr_ok(attr, left))
			return -EBADMSG;
		if (mnl_attr_get_type(attr) <= KSSL_A_MAX)
			attrs[mnl_attr_get_type(attr)] = attr;
		left -= MNL_ALIGN(attr->nla_len);
		attr = mnl_attr_next(attr);
	}
	return 0;
}

static int deliver(const struct nlmsghdr *message, kssl_genl_reply_fn *reply, void *arg)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[KSSL_A_MAX + 1];

	if (kssl_genl_table(message, attrs))
		return -EBADMSG;
	return reply ? reply(header->cmd, attrs, arg) : 0;
}

struct progress {
	int over;
	int interrupted;
	int ret;
};

/* The rest is read even when the caller has had enough, so that the next request finds nothing of it. */
static void take_answer(struct kssl_genl *g, const struct nlmsghdr *message, kssl_genl_reply_fn *reply, void *arg,
			struct progress *p)
{
	int ret = 0;

	if (message->nlmsg_seq != g->seq)
		return;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		p->interrupted = 1;
	if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
		p->over = 1;
		ret = end_of_request(g, message);
	} else if (message->nlmsg_type >= NLMSG_MIN_TYPE && !p->ret) {
		ret = deliver(message, reply, arg);
	}
	if (ret && !p->ret)
		p->ret = ret;
}

static void read_answers(struct kssl_genl *g, kssl_genl_reply_fn *reply, void *arg, struct progress *p)
{
	while (!p->over) {
		ssize_t len = receive(g->requests, g->buffer, 0);
		const struct nlmsghdr *message = (const void *)g->buffer;
		int left = (int)len;

		if (len < 0) {
			p->ret = len == -EAGAIN ? -ETIMEDOUT : (int)len;
			return;
		}
		for (; left > 0 && mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
			take_answer(g, message, reply, arg, p);
		if (left) {
			p->ret = -EBADMSG;
			return;
		}
	}
}

static int ask(struct kssl_genl *g, uint16_t type, uint8_t cmd, int dump, kssl_genl_put_fn *put,
	       kssl_genl_reply_fn *reply, void *arg, int *interrupted)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(g->buffer);
	struct progress p = { 0 };
	struct genlmsghdr *header;
	ssize_t sent;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	request->nlmsg_seq = ++g->seq;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = cmd;
	header->version = KSSL_GENL_VERSION;
	if (put)
		put(request, arg);
	g->text[0] = 0;
	do
		sent = mnl_socket_sendto(g->requests, request, request->nlmsg_len);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	read_answers(g, reply, arg, &p);
	*interrupted = p.interrupted;
	return p.ret;
}

/**
 * kssl_genl_request() - ask the module
 * @g: client
 * @cmd: KSSL_CMD_*
 * @dump: 1 for a dump
 * @put: puts the attributes, NULL: none
 * @reply: gets each message of the answer, NULL: none wanted
 * @arg: for @put and @reply
 *
 * A dump that was interrupted begins again, twice at most.
 *
 * Return: 0 or -errno: the module's, for which kssl_genl_error() has its sentence, @reply's,
 * or -EBADMSG, -EMSGSIZE, -ETIMEDOUT for answers that are malformed, too long or do not come.
 */
int kssl_genl_request(struct kssl_genl *g, uint8_t cmd, int dump, kssl_genl_put_fn *put,
		      kssl_genl_reply_fn *reply, void *arg)
{
	int tries, interrupted, ret;

	for (tries = 1;; tries++) {
		interrupted = 0;
		ret = ask(g, g->family, cmd, dump, put, reply, arg, &interrupted);
		if (!interrupted || ret || tries == DUMP_TRIES)
			break;
		if (reply)
			reply(cmd, NULL, arg);
	}
	if (ret && !g->text[0])
		snprintf(g->text, sizeof(g->text), "%s", strerror(-ret));
	return ret;
}

/* ---- the family ---- */

static void put_family_name(struct nlmsghdr *request, void *arg)
{
	(void)arg;
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, KSSL_GENL_NAME);
}

static void take_group(struct kssl_genl *g, const struct nlattr *nest)
{
	struct group *group = &g->groups[g->groups_count];
	const struct nlattr *attr;
	int known = 0;

	if (g->groups_count == GROUPS_MAX)
		return;
	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID && mnl_attr_get_payload_len(attr) == 4) {
			group->id = mnl_attr_get_u32(attr);
			known |= 1;
		} else if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME) {
			snprintf(group->name, sizeof(group->name), "%.*s", mnl_attr_get_payload_len(attr),
				 mnl_attr_get_str(attr));
			known |= 2;
		}
	}
	if (known == 3)
		g->groups_count++;
}

/* The controller's numbers of attributes are all in the table's range. */
_Static_assert((int)CTRL_ATTR_MCAST_GROUPS <= (int)KSSL_A_MAX, "the table is too short");

static int take_family(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	const struct nlattr *id = attrs[CTRL_ATTR_FAMILY_ID], *groups = attrs[CTRL_ATTR_MCAST_GROUPS], *attr;
	struct kssl_genl *g = arg;

	if (cmd != CTRL_CMD_NEWFAMILY || !id || mnl_attr_get_payload_len(id) != 2)
		return -EBADMSG;
	g->family = mnl_attr_get_u16(id);
	if (groups)
		mnl_attr_for_each_nested(attr, groups)
			take_group(g, attr);
	return 0;
}

/**
 * kssl_genl_open() - open a client
 * @text: (out) what went wrong, in a sentence
 * @size: bytes of @text
 *
 * Return: the client; or NULL and errno, ENOENT if the module is not loaded.
 */
struct kssl_genl *kssl_genl_open(char *text, size_t size)
{
	struct kssl_genl *g = calloc(1, sizeof(*g));
	int interrupted, ret;

	if (!g) {
		snprintf(text, size, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	g->requests = open_socket();
	g->multicast = g->requests ? open_socket() : NULL;
	ret = g->multicast ? ask(g, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, put_family_name, take_family, g,
				 &interrupted) : -errno;
	if (!ret && !g->family)
		ret = -EBADMSG;
	if (!ret)
		return g;
	if (ret == -ENOENT)
		snprintf(text, size, "the module kssl is not loaded, or is older than its netlink interface");
	else
		snprintf(text, size, "netlink: %s", strerror(-ret));
	kssl_genl_close(g);
	errno = -ret;
	return NULL;
}

/**
 * kssl_genl_close() - close a client
 * @g: client, or NULL
 */
void kssl_genl_close(struct kssl_genl *g)
{
	if (!g)
		return;
	if (g->multicast)
		mnl_socket_close(g->multicast);
	if (g->requests)
		mnl_socket_close(g->requests);
	free(g);
}

/**
 * kssl_genl_fd() - what to poll for kssl_genl_receive()
 * @g: client
 *
 * Return: the file descriptor, which stays the client's.
 */
int kssl_genl_fd(const struct kssl_genl *g)
{
	return mnl_socket_get_fd(g->multicast);
}

/**
 * kssl_genl_error() - the sentence for what failed last
 * @g: client
 *
 * Return: the sentence, good until the next call.
 */
const char *kssl_genl_error(const struct kssl_genl *g)
{
	return g->text;
}

static int fail(struct kssl_genl *g, int ret, const char *text)
{
	snprintf(g->text, sizeof(g->text), "%s", text);
	return ret;
}

/**
 * kssl_genl_join() - join a multicast group
 * @g: client
 * @group: KSSL_GENL_GROUP_*
 *
 * Return: 0, -EPERM, -ENOENT for a group that the module does not have, or -errno.
 */
int kssl_genl_join(struct kssl_genl *g, const char *group)
{
	unsigned int i;

	for (i = 0; i < g->groups_count && strcmp(g->groups[i].name, group); i++)
		;
	if (i == g->groups_count)
		return fail(g, -ENOENT, "the module does not have this group of messages");
	if (mnl_socket_setsockopt(g->multicast, NETLINK_ADD_MEMBERSHIP, &g->groups[i].id, sizeof(g->groups[i].id)))
		return fail(g, -errno, errno == EPERM ? "this takes CAP_NET_ADMIN in the network namespace" :
							strerror(errno));
	return 0;
}

/**
 * kssl_genl_receive() - take the multicast messages that are there
 * @g: client
 * @cb: gets each of them
 * @arg: for @cb
 *
 * Does not block.  Malformed messages are passed over.  @cb may make requests.
 *
 * Return: 0 when no more are there, -ENOBUFS if some were lost (call again), what @cb has
 * returned, or -errno.
 */
int kssl_genl_receive(struct kssl_genl *g, kssl_genl_reply_fn *cb, void *arg)
{
	for (;;) {
		ssize_t len = receive(g->multicast, g->incoming, MSG_DONTWAIT);
		const struct nlmsghdr *message = (const void *)g->incoming;
		int left = (int)len, ret = 0;

		if (len == -EMSGSIZE)
			continue;
		if (len < 0)
			return len == -EAGAIN ? 0 : (int)len;
		for (; left > 0 && mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			if (message->nlmsg_type == g->family)
				ret = deliver(message, cb, arg);
			if (ret && ret != -EBADMSG)
				return ret;
		}
	}
}

/* ---- commands ---- */

static void put_abi(struct nlmsghdr *request, void *arg)
{
	(void)arg;
	mnl_attr_put_u32(request, KSSL_A_ABI, KSSL_ABI);
}

static int take_abi(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	const struct nlattr *abi = attrs[KSSL_A_ABI];

	(void)cmd;
	if (!abi || mnl_attr_get_payload_len(abi) != 4)
		return -EBADMSG;
	*(uint32_t *)arg = mnl_attr_get_u32(abi);
	return 0;
}

/**
 * kssl_genl_version_check() - can this program and the module work together?
 * @g: client
 *
 * Return: 0, or -EPROTONOSUPPORT (kssl_genl_error() says what to update), or -errno.
 */
int kssl_genl_version_check(struct kssl_genl *g)
{
	uint32_t abi = 0;
	int ret = kssl_genl_request(g, KSSL_CMD_VERSION, 0, put_abi, take_abi, &abi);

	if (!ret && abi != KSSL_ABI)
		return fail(g, -EPROTONOSUPPORT, abi > KSSL_ABI ? "this program is older than the module: update it" :
			    "the module is older than this program: update it, and load it again");
	return ret;
}

struct acceptance {
	uint32_t id;
	int came;
	struct kssl_genl_socket *out;
};

static void put_acceptance(struct nlmsghdr *request, void *arg)
{
	const struct acceptance *a = arg;

	if (a->id)
		mnl_attr_put_u32(request, KSSL_A_ID, a->id);
}

static int take_acceptance(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	const struct nlattr *control = attrs[KSSL_A_CONTROL];
	struct acceptance *a = arg;
	int ret;

	if (cmd != KSSL_CMD_ACCEPT || a->came++)
		return -EBADMSG;
	ret = kssl_genl_parse(attrs, a->out);
	/* Who else would close it? */
	if (ret && control && mnl_attr_get_payload_len(control) == 4)
		close((int)mnl_attr_get_u32(control));
	if (ret)
		a->out->control = -1;
	return ret ? ret : a->out->control < 0 ? -EBADMSG : 0;
}

/**
 * kssl_genl_accept() - take a socket that waits for a helper
 * @g: client
 * @id: which one, 0: the one that waits longest
 * @out: (out) what the handshake shall be; its control file is the caller's to close
 *
 * Return: 0, -EAGAIN: none waits, -ENOENT: not that one, or -errno.
 */
int kssl_genl_accept(struct kssl_genl *g, uint32_t id, struct kssl_genl_socket *out)
{
	struct acceptance a = { .id = id, .out = out };
	int ret;

	out->control = -1;
	ret = kssl_genl_request(g, KSSL_CMD_ACCEPT, 0, put_acceptance, take_acceptance, &a);
	if (!ret && !a.came)
		ret = fail(g, -EBADMSG, "the module has answered nothing");
	if (ret && out->control >= 0) {
		close(out->control);
		out->control = -1;
	}
	return ret;
}
