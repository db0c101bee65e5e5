// SPDX-License-Identifier: MIT
/*
 * Attacks from the wire: headers in pieces of one byte, urgent bytes, windows too
 * small for a record, segments that overlap.
 */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "conn.h"
#include "tap.h"

static void write_bytewise(struct peer *p, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		peer_write(p, data + i, 1);
}

/* ---- headers ---- */

/* Can a record under the variant's keys have a body of @len bytes? */
static int is_possible(size_t len)
{
	struct keys k = make_keys(1);
	size_t shortest = sealed_len(&k, 0) - HEADER;

	if (!is_cbc())
		return len >= shortest;
	/* RFC 7366 3: the MAC is behind the blocks */
	return len >= shortest && (len - (is_etm() ? k.suite.tag_len : 0)) % 16 == 0;
}

struct verdict {
	int error;
	int alert;
};

/* What the RFCs say of a header, in the order a receiver can tell; no error: it may be good. */
static struct verdict judge(uint8_t type, unsigned int version, unsigned int len)
{
	if (is_13() ? type != DATA : type < CCS || type > DATA)
		return (struct verdict){ EPROTO, UNEXPECTED_MESSAGE };
	if (!is_13() && version != 0x0303)
		return (struct verdict){ EPROTONOSUPPORT, PROTOCOL_VERSION };
	if (len > 16384 + (is_13() ? 256 : 2048))
		return (struct verdict){ EMSGSIZE, RECORD_OVERFLOW };
	if (!is_possible(len))
		return (struct verdict){ EBADMSG, BAD_RECORD_MAC };
	return (struct verdict){};
}

static void try_header(uint8_t type, unsigned int version, unsigned int len)
{
	uint8_t header[HEADER] = { type, version >> 8, version, len >> 8, len }, byte;
	struct verdict bad = judge(type, version, len);
	struct conn c;

	if (!bad.error)
		return;
	conn_open(&c);
	peer_send(&c.peer, DATA, "good", 4);
	write_bytewise(&c.peer, header, HEADER);
	expect_typed(c.fd, DATA, "good", 4);
	if (recv(c.fd, &byte, 1, 0) >= 0 || errno != bad.error)
		check_failed(__FILE__, __LINE__, "%02x %04x %u: %s, not %s", type, version, len,
			     error_name(errno), error_name(bad.error));
	peer_expect_alert(&c.peer, FATAL, bad.alert);
	/* What comes behind it changes nothing. */
	peer_send(&c.peer, DATA, "good", 4);
	FAILS(recv(c.fd, &byte, 1, 0), bad.error);
	EQ(error_of(c.fd).err, bad.error);
	close(c.fd);
	close(c.peer.fd);
}

static void headers_bytewise(void)
{
	static const uint8_t types[] = { 0, 19, 20, 21, 22, 23, 24, 128, 255 };
	static const unsigned int versions[] = { 0x0303, 0x0304, 0x0301, 0x0002, 0xffff };
	static const unsigned int lens[] = {
		0, 1, 16, 17, 23, 24, 16384 + 256, 16384 + 257, 16384 + 2048, 16384 + 2049, 65535,
	};
	unsigned int t, w, l;

	for (t = 0; t < sizeof(types); t++)
		for (w = 0; w < sizeof(versions) / sizeof(versions[0]); w++)
			for (l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
				try_header(types[t], versions[w], lens[l]);
}

/*
 * CVE-2025-39946: a bogus header, met while records have to be copied out because
 * the window is too small, ends receiving and takes in nothing more.
 */
static void cve_2025_39946_bogus_header(void)
{
	uint8_t record[RECORD_MAX], junk[4096], byte;
	struct conn c;
	size_t len;
	int i;

	memset(junk, 0xff, sizeof(junk));
	conn_connect_bufs(&c, 1, 0);
	conn_attach(&c);
	conn_keys(&c);
	memset(record, 'x', sizeof(record));
	len = seal(&c.peer.tx, DATA, junk, 1000, record);
	memcpy(record + len, junk, 300);
	write_bytewise(&c.peer, record, len + 300);
	for (i = 0; i < 1000;)
		i += SYS(recv(c.fd, junk, 7, 0));
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	for (i = 0; i < 100; i++)
		if (send(c.peer.fd, record, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	FAILS(recv(c.fd, &byte, 1, 0), EPROTO);
	EQ(status_of(c.fd).rx.records, 1);
	peer_expect_alert(&c.peer, FATAL, UNEXPECTED_MESSAGE);
}

/* ---- urgent bytes: each byte of a record once ---- */

static void urgent_at_every_byte(void)
{
	uint8_t record[RECORD_MAX];
	unsigned int i;
	struct conn c;
	size_t len;

	conn_open(&c);
	len = seal(&c.peer.tx, DATA, "urgent", 6, record);
	peer_write(&c.peer, record, len);
	expect_typed(c.fd, DATA, "urgent", 6);
	for (i = 0; i < len; i++) {
		EQ(seal(&c.peer.tx, DATA, "urgent", 6, record), len);
		if (i)
			peer_write(&c.peer, record, i);
		EQ(SYS(send(c.peer.fd, record + i, 1, MSG_OOB | MSG_NOSIGNAL)), 1);
		if (i & 1)
			ready(c.fd, POLLIN | POLLPRI);
		if (i + 1 < len)
			peer_write(&c.peer, record + i + 1, len - i - 1);
		expect_typed(c.fd, DATA, "urgent", 6);
	}
}

/* ---- segments that overlap ---- */

/* The peer's numbers as TCP_REPAIR tells them. */
static uint32_t queue_seq(int fd, int queue)
{
	socklen_t len = sizeof(uint32_t);
	uint32_t seq;

	SYS(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	SYS(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len));
	return seq;
}

struct numbers {
	uint32_t seq;
	uint32_t ack;
	struct sockaddr_in from;
	struct sockaddr_in to;
};

static void read_numbers(int fd, struct numbers *n)
{
	int on = 1, off = -1; /* without a window probe */
	socklen_t len = sizeof(n->from);

	SYS(getsockname(fd, (void *)&n->from, &len));
	len = sizeof(n->to);
	SYS(getpeername(fd, (void *)&n->to, &len));
	SYS(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	n->seq = queue_seq(fd, TCP_SEND_QUEUE);
	n->ack = queue_seq(fd, TCP_RECV_QUEUE);
	SYS(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)));
}

static uint16_t checksum(uint32_t sum, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i & 1 ? data[i] : data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* A segment as if it were the peer's: @len bytes of its stream from @at on. */
static void inject(const struct numbers *n, const uint8_t *stream, size_t at, size_t len)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
		uint8_t data[4096];
	} __attribute__((packed)) segment = {};
	size_t tcp_len = sizeof(segment.tcp) + len;
	uint8_t pseudo[12];
	int fd = SYS(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));

	CHECK(len <= sizeof(segment.data));
	segment.ip.version = 4;
	segment.ip.ihl = 5;
	segment.ip.ttl = 64;
	segment.ip.protocol = IPPROTO_TCP;
	segment.ip.tot_len = htons(sizeof(segment.ip) + tcp_len);
	segment.ip.saddr = n->from.sin_addr.s_addr;
	segment.ip.daddr = n->to.sin_addr.s_addr;
	segment.tcp.source = n->from.sin_port;
	segment.tcp.dest = n->to.sin_port;
	segment.tcp.seq = htonl(n->seq + at);
	segment.tcp.ack_seq = htonl(n->ack);
	segment.tcp.doff = 5;
	segment.tcp.ack = 1;
	segment.tcp.psh = 1;
	segment.tcp.window = htons(1000);
	memcpy(segment.data, stream + at, len);
	memcpy(pseudo, &segment.ip.saddr, 8);
	pseudo[8] = 0;
	pseudo[9] = IPPROTO_TCP;
	pseudo[10] = tcp_len >> 8;
	pseudo[11] = tcp_len;
	segment.tcp.check = htons(checksum((uint16_t)~checksum(0, pseudo, 12),
					   (void *)&segment.tcp, tcp_len));
	EQ(SYS(sendto(fd, &segment, sizeof(segment.ip) + tcp_len, 0, (void *)&n->to,
		      sizeof(n->to))), sizeof(segment.ip) + tcp_len);
	close(fd);
}

/* Segments that TCP has received. */
static unsigned int segments_in(int fd)
{
	socklen_t len = sizeof(struct tcp_info);
	struct tcp_info info;

	SYS(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_segs_in;
}

/*
 * A later part arrives first, then an earlier one that reaches into it: TCP leaves
 * both in its queue, and bytes that are there twice are one to us.
 */
static void overlap(size_t first, size_t late, size_t late_len)
{
	uint8_t stream[4096];
	struct numbers n;
	struct conn c;
	size_t len = 0;
	unsigned int in;
	int i;

	conn_open(&c);
	/* something was sent before, so that ACKs are in order */
	peer_send(&c.peer, DATA, "begin", 5);
	expect_typed(c.fd, DATA, "begin", 5);
	peer_settle(&c.peer);
	read_numbers(c.peer.fd, &n);
	for (i = 0; i < 5; i++) {
		uint8_t content[200];

		pattern(content, i * 200, 200);
		len += seal(&c.peer.tx, DATA, content, 200, stream + len);
	}
	CHECK(late + late_len <= len && late < first);
	in = segments_in(c.fd);
	inject(&n, stream, late, late_len);
	while (segments_in(c.fd) == in)
		usleep(500);
	peer_write(&c.peer, stream, first);
	peer_write(&c.peer, stream + first, len - first);
	recv_pattern(c.fd, 0, 1000);
	peer_send(&c.peer, DATA, "end", 3);
	expect_typed(c.fd, DATA, "end", 3);
	close(c.fd);
	close(c.peer.fd);
}

static void overlapping_segments(void)
{
	size_t first, late;

	for (first = 50; first < 1000; first += 117)
		for (late = 1; late < first; late += 61)
			overlap(first, late, first - late + 3);
}

/* The late part reaches to the end of all there is. */
static void overlapping_long_segments(void)
{
	size_t first, late;

	for (first = 50; first < 500; first += 61)
		for (late = 1; late < first; late += 61)
			overlap(first, late, 1000 - late);
}

static const struct test tests[] = {
	{ "headers_bytewise", FORMATS, headers_bytewise },
	{ "cve_2025_39946_bogus_header", VERSIONS, cve_2025_39946_bogus_header },
	{ "urgent_at_every_byte", VERSIONS, urgent_at_every_byte },
	{ "overlapping_segments", ONCE, overlapping_segments },
	{ "overlapping_long_segments", ONCE, overlapping_long_segments },
	{}
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
