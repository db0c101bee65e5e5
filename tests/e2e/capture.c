// SPDX-License-Identifier: MIT
/* TCP segments from a packet socket. */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "capture.h"
#include "tap.h"

/* Of packets that wait to be read; far more than a receive window, so that none is ever lost. */
#define BACKLOG		(256 << 20)

/* With segmentation offload a packet may be longer than one that IP can carry. */
#define PACKET_MAX	(512 << 10)

/* Index of the loopback interface in every network namespace. */
#define LOOPBACK	1

/**
 * struct connection - one to or from the port
 * @next: an older one
 * @port: of the client
 * @flows: [0] to the server, [1] from it
 */
struct connection {
	struct connection *next;
	int port;
	struct flow flows[2];
};

struct capture {
	int fd;
	int stop;
	int port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct connection *connections;
	uint64_t ticks;
	int truncated;
	uint8_t packet[PACKET_MAX];
};

/* ---- packets ---- */

static struct connection *find(struct capture *c, int port)
{
	struct connection *n;

	for (n = c->connections; n && (port ? n->port != port : !n->flows[0].len); n = n->next)
		;
	return n;
}

/* A client's port may serve again. */
static int begins_another(const struct flow *flow, const struct segment *s)
{
	return s->flags & SEGMENT_SYN && flow->has_base && flow->base != s->seq + 1;
}

static void take_tcp(struct capture *c, const uint8_t *packet, size_t len)
{
	const struct tcphdr *tcp = (const void *)packet;
	struct segment s;
	struct connection *n;
	int to_server, port;
	size_t header;

	if (len < sizeof(*tcp) || len < 4u * tcp->doff)
		return;
	header = 4 * tcp->doff;
	to_server = ntohs(tcp->dest) == c->port;
	port = ntohs(to_server ? tcp->source : tcp->dest);
	s = (struct segment) {
		.seq = ntohl(tcp->seq), .ack = ntohl(tcp->ack_seq), .flags = packet[13],
		.data = packet + header, .len = len - header,
	};
	n = find(c, port);
	if (!n || begins_another(&n->flows[!to_server], &s)) {
		n = calloc(1, sizeof(*n));
		CHECK(n);
		n->port = port;
		n->next = c->connections;
		c->connections = n;
	}
	flow_take(&n->flows[!to_server], &n->flows[to_server], &s, ++c->ticks);
	if (s.flags & (SEGMENT_FIN | SEGMENT_RST))
		pthread_cond_broadcast(&c->changed);
}

/* Without fragments and without extension headers, which TCP of Linux does not make. */
static void take_packet(struct capture *c, size_t len)
{
	const struct iphdr *ip = (void *)c->packet;
	const struct ip6_hdr *ip6 = (void *)c->packet;
	size_t header, total;

	if (len < sizeof(*ip))
		return;
	if (ip->version == 4) {
		header = ip->ihl * 4;
		total = ntohs(ip->tot_len);
		if (ip->protocol != IPPROTO_TCP)
			return;
	} else {
		header = sizeof(*ip6);
		total = header + ntohs(ip6->ip6_plen);
		if (ip->version != 6 || len < header || ip6->ip6_nxt != IPPROTO_TCP)
			return;
		if (total == header)
			total = 0;
	}
	/* Zero where it is too long for the field. */
	if (!total || total > len)
		total = len;
	if (total > header)
		take_tcp(c, c->packet + header, total - header);
}

static void take_all(struct capture *c)
{
	ssize_t n;

	while ((n = recv(c->fd, c->packet, sizeof(c->packet), MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
		pthread_mutex_lock(&c->lock);
		if ((size_t)n > sizeof(c->packet))
			c->truncated = 1;
		else
			take_packet(c, n);
		pthread_mutex_unlock(&c->lock);
	}
}

static void *run(void *arg)
{
	struct capture *c = arg;
	struct pollfd fds[2] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = c->stop, .events = POLLIN },
	};

	do {
		poll(fds, 2, -1);
		take_all(c);
	} while (!fds[1].revents);
	return NULL;
}

/* ---- control ---- */

/* TCP with the port at either end; on loopback, which shows all twice, only what arrives. */
static void set_filter(int fd, int port)
{
	const uint32_t pkttype = SKF_AD_OFF + SKF_AD_PKTTYPE, interface = SKF_AD_OFF + SKF_AD_IFINDEX;
	const uint32_t p = port;
	struct sock_filter code[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, pkttype),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 2),
		/* 2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, interface),
		/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LOOPBACK, 17, 0),
		/* 4 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		/* 5 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		/* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 7, 0),
		/* 7 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		/* 8 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 12),
		/* 9 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		/* 10 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 0),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, p, 8, 0),
		/* 12 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
		/* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, p, 6, 7),
		/* 14 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		/* 15 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
		/* 16 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40),
		/* 17 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, p, 2, 0),
		/* 18 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
		/* 19 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, p, 0, 1),
		/* 20 */ BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
		/* 21 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	SYS(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
}

struct capture *capture_start(int port)
{
	/* Nothing may come in before the filter is there. */
	struct sockaddr_ll all = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct capture *c = calloc(1, sizeof(*c));
	int backlog = BACKLOG;

	CHECK(c);
	c->port = port;
	c->fd = SYS(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	SYS(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &backlog, sizeof(backlog)));
	set_filter(c->fd, port);
	SYS(bind(c->fd, (struct sockaddr *)&all, sizeof(all)));
	c->stop = SYS(eventfd(0, EFD_CLOEXEC));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	EQ(pthread_create(&c->thread, NULL, run, c), 0);
	return c;
}

int capture_flows(struct capture *c, int port, struct flow **to_server, struct flow **from_server)
{
	struct connection *n = find(c, port);

	if (!n)
		return 0;
	*to_server = &n->flows[0];
	*from_server = &n->flows[1];
	return 1;
}

void capture_wait_end(struct capture *c, int port, int from_client, int ms)
{
	struct flow *flows[2];
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	pthread_mutex_lock(&c->lock);
	while (!ret && (!capture_flows(c, port, &flows[0], &flows[1]) ||
			(!flows[!from_client]->fin && !flows[0]->rst && !flows[1]->rst)))
		ret = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	pthread_mutex_unlock(&c->lock);
}

const char *capture_stop(struct capture *c)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);
	struct connection *n;
	int i;

	eventfd_write(c->stop, 1);
	pthread_join(c->thread, NULL);
	SYS(getsockopt(c->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len));
	close(c->fd);
	close(c->stop);
	if (stats.tp_drops)
		return "the packet socket dropped packets";
	if (c->truncated)
		return "a packet was longer than the buffer";
	for (n = c->connections; n; n = n->next)
		for (i = 0; i < 2; i++) {
			const struct flow *f = &n->flows[i];
			const struct marks *acked = &f->acked;

			if (f->lost)
				return "too many gaps in a stream";
			if (acked->count && acked->list[acked->count - 1].end > f->len + f->fin)
				return "bytes were acknowledged that were not captured";
		}
	return NULL;
}

void capture_free(struct capture *c)
{
	struct connection *n, *next;

	for (n = c->connections; n; n = next) {
		next = n->next;
		flow_free(&n->flows[0]);
		flow_free(&n->flows[1]);
		free(n);
	}
	free(c);
}
