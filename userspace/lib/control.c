// SPDX-License-Identifier: MIT
/*
 * System calls on the socket and its control file.  But for ioctl() no file operation
 * here is special to the control file, so a SOCK_SEQPACKET pair can stand in for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"

#ifndef TCP_ULP
#define TCP_ULP		31
#endif

/**
 * kssl_control_attach() - put the kssl ULP on a socket
 * @fd: connected TCP socket; one that has it already is fine
 *
 * Return: 0; -ENOENT if the kernel has no kssl, else the errno of TCP_ULP.
 */
int kssl_control_attach(int fd)
{
	socklen_t len = 0;

	if (!setsockopt(fd, IPPROTO_TCP, TCP_ULP, KSSL_ULP_NAME, sizeof(KSSL_ULP_NAME) - 1))
		return 0;
	if (errno == EEXIST && !getsockopt(fd, SOL_KSSL, KSSL_SUITES, NULL, &len))
		return 0;
	return -errno;
}

/**
 * kssl_control_suites() - what the kernel can carry
 * @fd: socket with the ULP
 * @suites: (out) rows, to be freed
 * @count: (out) how many
 *
 * Return: 0 or -errno.
 */
int kssl_control_suites(int fd, struct kssl_suite_info **suites, unsigned int *count)
{
	socklen_t len = 0;

	if (getsockopt(fd, SOL_KSSL, KSSL_SUITES, NULL, &len))
		return -errno;
	*suites = calloc(1, len + sizeof(**suites));
	if (!*suites)
		return -ENOMEM;
	if (getsockopt(fd, SOL_KSSL, KSSL_SUITES, *suites, &len)) {
		int ret = -errno;

		free(*suites);
		*suites = NULL;
		return ret;
	}
	*count = len / sizeof(**suites);
	return 0;
}

/**
 * kssl_control_policy() - what the socket bears, and what happens by itself
 * @fd: socket with the ULP
 * @policy: all of it
 *
 * Return: 0 or -errno.
 */
int kssl_control_policy(int fd, const struct kssl_policy *policy)
{
	return setsockopt(fd, SOL_KSSL, KSSL_POLICY, policy, sizeof(*policy)) ? -errno : 0;
}

/**
 * kssl_control_open() - become the socket's helper
 * @fd: socket with the ULP
 *
 * Return: the control file, non-blocking and close-on-exec, or -errno.
 */
int kssl_control_open(int fd)
{
	int control = -1, ret;
	socklen_t len = sizeof(control);

	if (getsockopt(fd, SOL_KSSL, KSSL_CONTROL, &control, &len))
		return -errno;
	ret = kssl_control_prepare(control);
	if (ret) {
		close(control);
		return ret;
	}
	return control;
}

/**
 * kssl_control_prepare() - have a control file never block
 * @control: control file
 *
 * Return: 0 or -errno.
 */
int kssl_control_prepare(int control)
{
	int flags = fcntl(control, F_GETFL);

	return flags < 0 || fcntl(control, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/**
 * kssl_control_ask() - ioctl() of the control file, for who has no socket
 * @control: control file
 * @what: KSSL_IOC_*
 * @arg: its struct, which starts with its size
 *
 * Return: 0 or -errno.
 */
int kssl_control_ask(int control, unsigned long what, void *arg)
{
	return ioctl(control, what, arg) < 0 ? -errno : 0;
}

/**
 * kssl_control_read() - next message
 * @control: control file
 * @msg: (out) message
 *
 * Return: length of the message, 0 after the last one, -EAGAIN, or -errno.
 */
int kssl_control_read(int control, union kssl_message *msg)
{
	ssize_t n;

	do {
		n = read(control, msg, sizeof(*msg));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n && ((size_t)n < sizeof(msg->head) || msg->head.len != (size_t)n))
		return -EPROTO;
	return n;
}

/**
 * kssl_control_write() - let the kernel do a batch
 * @control: control file
 * @batch: operations
 * @len: bytes of them
 *
 * Return: 0, or -errno with nothing of it done.
 */
int kssl_control_write(int control, const void *batch, size_t len)
{
	ssize_t n;

	do {
		n = write(control, batch, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/**
 * kssl_control_cookie() - a number no other socket has
 * @fd: socket
 * @cookie: (out) number
 *
 * The application may close fd and open another socket under its number; the
 * cookie tells (kssl must not dup() the socket, or close() would close nothing).
 *
 * Return: 0 or -errno.
 */
int kssl_control_cookie(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len) ? -errno : 0;
}

int kssl_control_status(int fd, struct kssl_status *status)
{
	socklen_t len = sizeof(*status);

	memset(status, 0, sizeof(*status));
	status->size = sizeof(*status);
	return getsockopt(fd, SOL_KSSL, KSSL_STATUS, status, &len) ? -errno : 0;
}

int kssl_control_error(int fd, struct kssl_error *error)
{
	socklen_t len = sizeof(*error);

	memset(error, 0, sizeof(*error));
	error->size = sizeof(*error);
	return getsockopt(fd, SOL_KSSL, KSSL_ERROR, error, &len) ? -errno : 0;
}
