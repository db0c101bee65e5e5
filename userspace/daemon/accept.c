// SPDX-License-Identifier: MIT
/*
 * Sockets that wait for a helper, by way of the kernel's netlink family.
 */
#include <errno.h>
#include <string.h>

#include "../genl/genl.h"
#include "kssld.h"

static struct kssl_genl *genl;

/**
 * accept_start() - become a helper
 * @why: (out) sentence
 *
 * Return: 0 or -errno.
 */
int accept_start(char *why)
{
	int ret;

	genl = kssl_genl_open(why, KSSLD_TEXT_LEN);
	if (!genl)
		return -errno;
	ret = kssl_genl_version_check(genl);
	if (!ret)
		ret = kssl_genl_join(genl, KSSL_GENL_GROUP_HELPERS);
	if (ret) {
		snprintf(why, KSSLD_TEXT_LEN, "%s", kssl_genl_error(genl));
		accept_stop();
	}
	return ret;
}

int accept_fd(void)
{
	return kssl_genl_fd(genl);
}

/** accept_stop() - be a helper no more */
void accept_stop(void)
{
	kssl_genl_close(genl);
	genl = NULL;
}

static int ignore(uint8_t cmd, const struct nlattr *const *attrs, void *arg)
{
	(void)cmd, (void)attrs, (void)arg;
	return 0;
}

/*
 * accept_clear() - take the messages that say that somebody waits
 *
 * Who does, accept_next() tells; so one that was lost (ENOBUFS) is not missed.
 */
void accept_clear(void)
{
	while (kssl_genl_receive(genl, ignore, NULL) == -ENOBUFS)
		;
}

static void fill(const struct kssl_genl_socket *s, struct request *r)
{
	memset(r, 0, sizeof(*r));
	r->control = s->control;
	r->id = s->id;
	r->role = s->role;
	r->client_cert = s->client_cert;
	r->timeout_ms = s->timeout_ms;
	r->uid = s->uid;
	r->gid = s->gid;
	r->pid = s->pid;
	r->netns = s->netns;
	memcpy(r->comm, s->comm, sizeof(r->comm));
	memcpy(r->profile, s->profile, sizeof(r->profile));
	memcpy(r->name, s->name, sizeof(r->name));
	r->alpn_len = s->alpn_len;
	memcpy(r->alpn, s->alpn, sizeof(r->alpn));
	r->pins_count = s->pins_count;
	memcpy(r->pins, s->pins, sizeof(r->pins));
	r->local = s->local.v6;
	r->peer = s->peer.v6;
}

/**
 * accept_next() - take the socket that waits longest
 * @r: (out) its control file, and what it shall become
 * @why: (out) sentence
 *
 * Return: 0, -EAGAIN: none waits, or -errno.
 */
int accept_next(struct request *r, char *why)
{
	struct kssl_genl_socket s;
	int ret = kssl_genl_accept(genl, 0, &s);

	if (ret) {
		snprintf(why, KSSLD_TEXT_LEN, "%s", kssl_genl_error(genl));
		return ret;
	}
	fill(&s, r);
	return 0;
}
