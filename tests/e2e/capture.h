/* SPDX-License-Identifier: MIT */
/*
 * What goes over a TCP port of this machine, seen by a packet socket (root only),
 * on all interfaces of the network namespace that the caller is in.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <sys/socket.h>
#include "flow.h"

struct capture;

/* Start. @port: the server's. */
struct capture *capture_start(int port);

/* Both directions of the connection whose client has @port (0: that has data), to the server and from it: only
 * while nothing is captured, or under capture_wait_end(). 0 if nothing was seen of it. */
int capture_flows(struct capture *c, int port, struct flow **to_server, struct flow **from_server);

/* Wait until the connection has ended, as far as @from_client or the server is concerned: its
 * FIN or anybody's RST. At most @ms. */
void capture_wait_end(struct capture *c, int port, int from_client, int ms);

/* End, after all that is there has been taken; the flows stay. NULL, or why it is not whole. */
const char *capture_stop(struct capture *c);
void capture_free(struct capture *c);

#endif
