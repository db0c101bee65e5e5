// SPDX-License-Identifier: MIT
/* One connection, captured and read. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "capture.h"
#include "tap.h"
#include "watch.h"

/**
 * struct watch - it at work
 * @capture: what is seen
 * @wire: what it means
 * @port: of the TCP server
 * @client_port: of the TCP client, 0 before watch_socket()
 * @only: it is the only one, whatever its port
 * @connected: our end is the TCP client
 */
struct watch {
	struct capture *capture;
	struct wire *wire;
	int port;
	int client_port;
	int only;
	int connected;
};

struct watch *watch_start(int port, int server)
{
	struct watch *w = calloc(1, sizeof(*w));

	CHECK(w);
	w->port = port;
	w->wire = wire_new(server);
	w->capture = capture_start(port);
	return w;
}

/* Port and padding lie at the same place for IPv4 and IPv6. */
static int port_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in6 addr;
	socklen_t len = sizeof(addr);

	SYS(get(fd, (struct sockaddr *)&addr, &len));
	return ntohs(addr.sin6_port);
}

void watch_socket(struct watch *w, int fd)
{
	int local = port_of(fd, getsockname), remote = port_of(fd, getpeername);

	w->connected = remote == w->port;
	w->client_port = w->connected ? local : remote;
}

void watch_only(struct watch *w, int connected)
{
	w->only = 1;
	w->connected = connected;
}

void watch_key_line(const char *line, void *arg)
{
	wire_key_line(line, ((struct watch *)arg)->wire);
}

void watch_wait_end(struct watch *w, int ms)
{
	if (w->client_port || w->only)
		capture_wait_end(w->capture, w->client_port, w->connected, ms);
}

/* Nothing if there was no connection. */
static const char *read_all(struct watch *w, const struct wire_totals *ours,
			    const struct wire_totals *theirs)
{
	const char *why = capture_stop(w->capture);
	struct flow *to_server, *from_server;

	if (why || (!w->client_port && !w->only))
		return why;
	if (!capture_flows(w->capture, w->client_port, &to_server, &from_server))
		return "nothing was captured";
	if (w->connected)
		wire_read(w->wire, to_server, from_server, ours, theirs);
	else
		wire_read(w->wire, from_server, to_server, ours, theirs);
	return NULL;
}

unsigned int watch_end(struct watch *w, const struct wire_totals *ours, const struct wire_totals *theirs)
{
	const char *why = read_all(w, ours, theirs);

	if (why)
		note("capture: %s", why);
	if (wire_objections(w->wire))
		wire_print(w->wire);
	else
		note("%s", wire_summary(w->wire));
	return wire_objections(w->wire) + !!why;
}

void watch_show(struct watch *w)
{
	const char *why = read_all(w, NULL, NULL);

	if (why)
		note("capture: %s", why);
	wire_print(w->wire);
}

const struct wire *watch_wire(const struct watch *w)
{
	return w->wire;
}

void watch_free(struct watch *w)
{
	capture_free(w->capture);
	wire_free(w->wire);
	free(w);
}
