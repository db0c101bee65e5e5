/* SPDX-License-Identifier: MIT */
/*
 * Any number of peers in one process with one thread: OpenSSL's servers and clients, or plain TCP, which send back
 * whatever comes.
 */
#ifndef CROWD_H
#define CROWD_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct crowd - such a process
 * @pid: it
 * @orders: where it takes orders and reports
 * @tls: where its TLS servers listen
 * @plain: where the plain ones do
 */
struct crowd {
	pid_t pid;
	int orders;
	struct sockaddr_in tls;
	struct sockaddr_in plain;
};

/**
 * struct crowd_report - since the crowd was started
 * @members: connections it has now
 * @established: handshakes that were good
 * @failed: handshakes that were not
 * @broken: connections that ended other than by close_notify, or FIN where there is no TLS
 * @tickets: sent by crowd_send_tickets()
 */
struct crowd_report {
	uint32_t members;
	uint32_t established;
	uint32_t failed;
	uint32_t broken;
	uint32_t tickets;
};

/* Its limit of files is ours. */
void crowd_start(struct crowd *c, uint16_t version);

/* Its members go without a word. */
void crowd_end(struct crowd *c);

struct crowd_report crowd_report(const struct crowd *c);

/* Let @count clients connect, and shake hands if @tls. */
void crowd_connect(const struct crowd *c, const struct sockaddr_in *to, uint32_t count, int tls);

/* TLS 1.3: each of its servers sends another ticket. */
struct crowd_report crowd_send_tickets(const struct crowd *c);

/* All members go: close_notify and FIN. */
void crowd_close(const struct crowd *c);

#endif
