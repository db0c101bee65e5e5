// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include "helper.h"
#include "tap.h"

char helper_sentence[200];

static int family;
static uint32_t sequence;

/**
 * struct lookup - the family as the kernel knows it
 * @id: its number
 * @group: name of a group
 * @group_id: its number
 */
struct lookup {
	int id;
	const char *group;
	uint32_t group_id;
};

static int take_group(const struct nlattr *attr, void *arg)
{
	const struct nlattr *a;
	struct lookup *l = arg;
	const char *name = "";
	uint32_t id = 0;

	mnl_attr_for_each_nested(a, attr) {
		if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_NAME)
			name = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_ID)
			id = mnl_attr_get_u32(a);
	}
	if (l->group && !strcmp(name, l->group))
		l->group_id = id;
	return MNL_CB_OK;
}

static int take_family(const struct nlmsghdr *nlh, void *arg)
{
	struct lookup *l = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
			l->id = mnl_attr_get_u16(a);
		if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GROUPS)
			mnl_attr_parse_nested(a, take_group, l);
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *begin(char *buf, int type, int flags, int cmd, int version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++sequence;
	g->cmd = cmd;
	g->version = version;
	return nlh;
}

int helper_open(const char *group)
{
	int nl = SYS(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)), on = 1;
	char buf[16384] = { 0 };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr *nlh = begin(buf, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);
	struct lookup l = { .group = group };
	long n;

	SYS(setsockopt(nl, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)));
	SYS(setsockopt(nl, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)));
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, KSSL_GENL_NAME);
	SYS(sendto(nl, nlh, nlh->nlmsg_len, 0, (void *)&kernel, sizeof(kernel)));
	n = SYS(recv(nl, buf, sizeof(buf), 0));
	CHECK(mnl_cb_run(buf, n, sequence, 0, take_family, &l) >= 0);
	CHECK(l.id);
	family = l.id;
	if (group) {
		CHECK(l.group_id);
		if (setsockopt(nl, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &l.group_id,
			       sizeof(l.group_id))) {
			close(nl);
			return -1;
		}
	}
	/* Who has asked for sockets is a helper. */
	if (group && !strcmp(group, KSSL_GENL_GROUP_HELPERS))
		EQ(helper_ask(nl, KSSL_CMD_ACCEPT, KSSL_A_ID, INT32_MAX, 0, 0, NULL), ENOENT);
	return nl;
}

static uint64_t number(const struct nlattr *a)
{
	uint64_t value = 0;

	/* Little endian is all these tests run on. */
	if (mnl_attr_get_payload_len(a) <= sizeof(value))
		memcpy(&value, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	return value;
}

static void take(struct told *t, const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *g = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	memset(t, 0, sizeof(*t));
	t->cmd = g->cmd;
	mnl_attr_for_each(a, nlh, sizeof(*g)) {
		unsigned int type = mnl_attr_get_type(a), len = mnl_attr_get_payload_len(a);

		CHECK(type <= KSSL_A_MAX);
		t->has |= 1ULL << type;
		t->number[type] = number(a);
		if (len < sizeof(t->text[type])) {
			memcpy(t->text[type], mnl_attr_get_payload(a), len);
			t->len[type] = len;
		}
	}
}

/* The errno of an error message, and its sentence. */
static int take_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	helper_sentence[0] = 0;
	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_for_each(a, nlh, sizeof(*e))
			if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG)
				strncpy(helper_sentence, mnl_attr_get_str(a),
					sizeof(helper_sentence) - 1);
	return -e->error;
}

long helper_send(int nl, int flags, int cmd, int attr1, uint32_t value1, int attr2, uint32_t value2)
{
	char buf[200] = { 0 };
	struct nlmsghdr *nlh = begin(buf, family, flags, cmd, KSSL_GENL_VERSION);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (attr1)
		mnl_attr_put_u32(nlh, attr1, value1);
	if (attr2)
		mnl_attr_put_u32(nlh, attr2, value2);
	return sendto(nl, nlh, nlh->nlmsg_len, 0, (void *)&kernel, sizeof(kernel));
}

int helper_answer(int nl, struct told *answer)
{
	char buf[16384];
	static struct told unused;

	for (;;) {
		struct nlmsghdr *nlh = (void *)buf;
		int n = recv(nl, buf, sizeof(buf), 0);

		if (n < 0)
			return errno;
		for (; mnl_nlmsg_ok(nlh, n); nlh = mnl_nlmsg_next(nlh, &n)) {
			if (nlh->nlmsg_seq != sequence)
				continue;	/* of a group */
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return take_error(nlh);
			take(answer ? answer : &unused, nlh);
		}
	}
}

int helper_ask(int nl, int cmd, int attr1, uint32_t value1, int attr2, uint32_t value2,
	       struct told *answer)
{
	SYS(helper_send(nl, NLM_F_ACK, cmd, attr1, value1, attr2, value2));
	return helper_answer(nl, answer);
}

void helper_next(int nl, struct told *t)
{
	char buf[16384];
	struct nlmsghdr *nlh = (void *)buf;
	int n = SYS(recv(nl, buf, sizeof(buf), 0));

	CHECK(mnl_nlmsg_ok(nlh, n));
	EQ(nlh->nlmsg_type, family);
	take(t, nlh);
}

unsigned int helper_dump(int nl, int cmd, int attr, uint64_t value, struct told *t)
{
	unsigned int count = 0;
	static struct told one;
	char buf[16384];

	SYS(helper_send(nl, NLM_F_DUMP, cmd, 0, 0, 0, 0));
	for (;;) {
		int n = SYS(recv(nl, buf, sizeof(buf), 0));
		struct nlmsghdr *nlh = (void *)buf;

		for (; mnl_nlmsg_ok(nlh, n); nlh = mnl_nlmsg_next(nlh, &n)) {
			if (nlh->nlmsg_seq != sequence)
				continue;
			if (nlh->nlmsg_type == NLMSG_DONE)
				return count;
			CHECK(nlh->nlmsg_type != NLMSG_ERROR);
			take(&one, nlh);
			count++;
			if (t && HAS(&one, attr) && one.number[attr] == value)
				*t = one;
		}
	}
}

static int take_counter(const struct nlattr *a, void *arg)
{
	uint64_t *counters = arg;

	if (mnl_attr_get_type(a) <= KSSL_A_STATS_MAX)
		counters[mnl_attr_get_type(a)] = number(a);
	return MNL_CB_OK;
}

uint64_t helper_counter(int nl, int counter)
{
	uint64_t counters[KSSL_A_STATS_MAX + 1] = { 0 };
	struct told t;

	EQ(helper_ask(nl, KSSL_CMD_STATS, 0, 0, 0, 0, &t), 0);
	CHECK(HAS(&t, KSSL_A_STATS) && t.len[KSSL_A_STATS]);
	mnl_attr_parse_payload(t.text[KSSL_A_STATS], t.len[KSSL_A_STATS], take_counter, counters);
	return counters[counter];
}

int helper_accept(int nl, struct told *t)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	int err;

	/* The other thread may not have asked yet; the backstop ends this. */
	while ((err = helper_ask(nl, KSSL_CMD_ACCEPT, 0, 0, 0, 0, t)) == EAGAIN)
		nanosleep(&pause, NULL);
	EQ(err, 0);
	EQ(t->cmd, KSSL_CMD_ACCEPT);
	CHECK(HAS(t, KSSL_A_CONTROL));
	return t->number[KSSL_A_CONTROL];
}

/* ---- sockets that a helper is for ---- */

struct kssl_handshake wants(int role)
{
	struct kssl_handshake h = { .size = sizeof(h), .role = role };

	if (role == KSSL_ROLE_CLIENT)
		strcpy(h.name, "www.example.org");
	return h;
}

int shake(int fd, const struct kssl_handshake *h)
{
	return setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, h, sizeof(*h));
}

int how_it_stands(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	SYS(getsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &err, &len));
	return err;
}

void alone(void)
{
	int s = SYS(socket(AF_INET, SOCK_DGRAM, 0));
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	SYS(close(s));
	SYS(unshare(CLONE_NEWNET));
	s = SYS(socket(AF_INET, SOCK_DGRAM, 0));
	SYS(ioctl(s, SIOCSIFFLAGS, &lo));
	SYS(close(s));
}

socklen_t loopback(struct sockaddr_storage *a, int port)
{
	struct sockaddr_in6 *v6 = (void *)a;
	struct sockaddr_in *v4 = (void *)a;

	memset(a, 0, sizeof(*a));
	a->ss_family = v->family;
	if (v->family == AF_INET6) {
		v6->sin6_addr = in6addr_loopback;
		v6->sin6_port = port;
		return sizeof(*v6);
	}
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4->sin_port = port;
	return sizeof(*v4);
}

int listen_plain(struct sockaddr_storage *a, socklen_t *len)
{
	int fd = SYS(socket(v->family, SOCK_STREAM, 0));

	*len = loopback(a, 0);
	SYS(bind(fd, (void *)a, *len));
	SYS(listen(fd, 8));
	SYS(getsockname(fd, (void *)a, len));
	return fd;
}

void new_keys(struct conn *c)
{
	c->peer.rx = make_keys(1);
	c->peer.tx = make_keys(2);
}

void hand_over(struct conn *c)
{
	fcntl(c->fd, F_SETFL, 0);
	conn_hand_over(c);
}

int listen_armed(struct sockaddr_storage *a, socklen_t *len)
{
	struct kssl_handshake h = wants(KSSL_ROLE_SERVER);
	int fd = listen_plain(a, len);

	strcpy(h.profile, "web");
	SYS(attach(fd));
	SYS(shake(fd, &h));
	return fd;
}

int connect_plain(const struct sockaddr_storage *a, socklen_t len)
{
	int fd = SYS(socket(v->family, SOCK_STREAM, 0));

	SYS(connect(fd, (void *)a, len));
	return fd;
}
