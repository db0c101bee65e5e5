/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side of the interface: socket options and the control file.
 * Knows nothing of OpenSSL.
 */
#ifndef KSSL_LIB_CONTROL_H
#define KSSL_LIB_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>

/**
 * union kssl_message - room for any message of the control file
 * @head: its header
 * @bytes: header and payload
 */
union kssl_message {
	struct kssl_msg head;
	uint8_t bytes[KSSL_MSG_MAX];
};

int kssl_control_attach(int fd);
int kssl_control_suites(int fd, struct kssl_suite_info **suites, unsigned int *count);
int kssl_control_policy(int fd, const struct kssl_policy *policy);
int kssl_control_open(int fd);
int kssl_control_read(int control, union kssl_message *msg);
int kssl_control_write(int control, const void *batch, size_t len);
int kssl_control_cookie(int fd, uint64_t *cookie);
int kssl_control_status(int fd, struct kssl_status *status);
int kssl_control_error(int fd, struct kssl_error *error);
int kssl_control_ask(int control, unsigned long what, void *arg);
int kssl_control_prepare(int control);

#endif
