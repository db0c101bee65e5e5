// SPDX-License-Identifier: MIT
/*
 * Who may use a profile.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "kssld.h"

static uint64_t own_netns;

/* The kernel's number for the network namespace this daemon is in. */
void allow_set_namespace(uint64_t netns)
{
	own_netns = netns;
}

static bool read_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*number = value;
	return !errno && !*end && value < UINT32_MAX;
}

static int add_id(uint32_t **ids, unsigned int *count, uint32_t id)
{
	uint32_t *more = realloc(*ids, (*count + 1) * sizeof(**ids));

	if (!more)
		return -ENOMEM;
	more[(*count)++] = id;
	*ids = more;
	return 0;
}

static int add_user(struct allow *allow, const char *name)
{
	const struct passwd *pw;
	uint32_t id;

	if (read_number(name, &id))
		return add_id(&allow->uids, &allow->uids_count, id);
	pw = getpwnam(name);
	return pw ? add_id(&allow->uids, &allow->uids_count, pw->pw_uid) : -ENOENT;
}

static int add_group(struct allow *allow, const char *name)
{
	const struct group *gr;
	uint32_t id;

	if (read_number(name, &id))
		return add_id(&allow->gids, &allow->gids_count, id);
	gr = getgrnam(name);
	return gr ? add_id(&allow->gids, &allow->gids_count, gr->gr_gid) : -ENOENT;
}

/**
 * allow_add() - one more who may
 * @allow: (out) who may
 * @who: "everybody", "user:NAME" or "group:NAME", where a number will do for a name
 *
 * Return: 0, -EINVAL, -ENOENT: no such user or group, -ENOMEM.
 */
int allow_add(struct allow *allow, const char *who)
{
	if (!strcmp(who, "everybody")) {
		allow->everybody = true;
		return 0;
	}
	if (!strncmp(who, "user:", 5) && who[5])
		return add_user(allow, who + 5);
	if (!strncmp(who, "group:", 6) && who[6])
		return add_group(allow, who + 6);
	return -EINVAL;
}

/**
 * allow_is() - may he?
 * @allow: who may
 * @r: who asks
 */
bool allow_is(const struct allow *allow, const struct request *r)
{
	unsigned int i;

	if (r->netns != own_netns)
		return false;
	if (allow->everybody)
		return true;
	for (i = 0; i < allow->uids_count; i++)
		if (allow->uids[i] == r->uid)
			return true;
	for (i = 0; i < allow->gids_count; i++)
		if (allow->gids[i] == r->gid)
			return true;
	return false;
}
