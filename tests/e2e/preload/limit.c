// SPDX-License-Identifier: MIT
/*
 * Preloaded into the tools of NSS, which has record_size_limit (RFC 8449) but no option for
 * it: each of their sockets takes records of at most E2E_RECORD_LIMIT octets.
 */
#include <dlfcn.h>
#include <stdlib.h>

#define RECORD_SIZE_LIMIT	34	/* ssl.h of NSS */

void *SSL_ImportFD(void *model, void *fd);

void *SSL_ImportFD(void *model, void *fd)
{
	void *(*import)(void *model, void *fd) = dlsym(RTLD_NEXT, "SSL_ImportFD");
	int (*set)(void *fd, int option, int value) = dlsym(RTLD_DEFAULT, "SSL_OptionSet");
	const char *limit = getenv("E2E_RECORD_LIMIT");
	void *ssl = import(model, fd);

	if (ssl && (!limit || set(ssl, RECORD_SIZE_LIMIT, atoi(limit))))
		abort();
	return ssl;
}
