/* SPDX-License-Identifier: MIT */
/* The bystander put beside a connection of a test: capture of its port, and what wire.h objects to. */
#ifndef WATCH_H
#define WATCH_H

#include "wire.h"

struct watch;

/* Before anybody connects to @port. @server: we are the TLS server. */
struct watch *watch_start(int port, int server);

/* Our end of the connection. */
void watch_socket(struct watch *w, int fd);

/* Instead of that, if there is only one connection: our end is the TCP client or not. */
void watch_only(struct watch *w, int connected);

/* For kssl_config_set_keylog_callback(). */
void watch_key_line(const char *line, void *arg);

/* Wait until our FIN or a RST was seen, at most @ms. */
void watch_wait_end(struct watch *w, int ms);

/* End, and read what was captured. @ours, @theirs: what of data is known, see wire.h. Says what
 * was wrong; how much was. */
unsigned int watch_end(struct watch *w, const struct wire_totals *ours, const struct wire_totals *theirs);
const struct wire *watch_wire(const struct watch *w);
void watch_free(struct watch *w);

/* Likewise after a test has failed: only show the last records. */
void watch_show(struct watch *w);

#endif
