// SPDX-License-Identifier: MIT
#include <stdatomic.h>
#include <string.h>
#include "run.h"

struct pair {
	struct address address;
	char name[KSSL_NAME_MAX];
	atomic_int ready;
};

static struct pair pairs[NAMES_MAX];
static atomic_uint claimed;

static unsigned int pairs_count(void)
{
	unsigned int count = atomic_load(&claimed);

	return count < NAMES_MAX ? count : NAMES_MAX;
}

const char *names_next(const struct address *address, unsigned int *at)
{
	unsigned int count = pairs_count();

	while (*at < count) {
		struct pair *p = &pairs[(*at)++];

		if (atomic_load(&p->ready) && address_equal(&p->address, address))
			return p->name;
	}
	return NULL;
}

/* Two threads may remember the same pair twice; nobody minds. */
void names_remember(const struct address *address, const char *name)
{
	char normal[KSSL_NAME_MAX];
	unsigned int at = 0;
	const char *known;
	struct pair *p;

	if (name_normalize(name, normal))
		return;
	while ((known = names_next(address, &at)))
		if (!strcmp(known, normal))
			return;
	if (atomic_load(&claimed) >= NAMES_MAX)
		return;
	at = atomic_fetch_add(&claimed, 1);
	if (at >= NAMES_MAX)
		return;
	p = &pairs[at];
	p->address = *address;
	strcpy(p->name, normal);
	atomic_store(&p->ready, 1);
}
