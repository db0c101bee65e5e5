// SPDX-License-Identifier: MIT
/*
 * Every call of a cipher fails once in turn: at once, or late, or out of the
 * backlog of a full queue; and once in turn is only late.
 */
#include <stdlib.h>
#include <unistd.h>
#include "paths/fault.h"

/* A record half encrypted is no use, so whatever it is, it ends the connection. */
static const struct source sealing[] = {
	{ "encrypt: EIO", ENCRYPT, AT_ONCE, EIO, EIO },
	{ "encrypt: ENOMEM", ENCRYPT, AT_ONCE, ENOMEM, EIO },
	{ "encrypt: late", ENCRYPT, LATE, 0, 0 },
	{ "encrypt: late EIO", ENCRYPT, LATE, EIO, EIO },
	{ "encrypt: backlog", ENCRYPT, BACKLOG, 0, 0 },
	{ "encrypt: backlog EIO", ENCRYPT, BACKLOG, EIO, EIO },
	{}
};

/* The sealed record is still there: opening it can be tried again. */
static const struct source opening[] = {
	{ "decrypt: EIO", DECRYPT, AT_ONCE, EIO, EIO },
	{ "decrypt: EBADMSG", DECRYPT, AT_ONCE, EBADMSG, EBADMSG },
	{ "decrypt: ENOMEM", DECRYPT, AT_ONCE, ENOMEM, 0 },
	{ "decrypt: late", DECRYPT, LATE, 0, 0 },
	{ "decrypt: late EBADMSG", DECRYPT, LATE, EBADMSG, EBADMSG },
	{ "decrypt: late ENOMEM", DECRYPT, LATE, ENOMEM, 0 },
	{ "decrypt: backlog", DECRYPT, BACKLOG, 0, 0 },
	{ "decrypt: backlog EIO", DECRYPT, BACKLOG, EIO, EIO },
	{ "decrypt: backlog EBADMSG", DECRYPT, BACKLOG, EBADMSG, EBADMSG },
	{}
};

static const struct source keying[] = {
	{ "transform: ENOMEM", ALLOC, AT_ONCE, ENOMEM, 0 },
	{ "setkey: ENOMEM", SETKEY, AT_ONCE, ENOMEM, 0 },
	{ "setkey: EINVAL", SETKEY, AT_ONCE, EINVAL, 0 },
	{ "setauthsize: ENOMEM", SETAUTHSIZE, AT_ONCE, ENOMEM, 0 },
	{}
};

static void walk(const struct source *s, void (*path)(const struct source *s))
{
	faulty_off();
	for (; s->name; s++)
		/* only AEADs have that */
		if (s->what != SETAUTHSIZE || !is_cbc())
			path(s);
}

#define KEY(name, over) static void name##_key(void) { walk(keying, path_##name); }
#define SEAL(name, over) static void name##_seal(void) { walk(sealing, path_##name); }
#define OPEN(name, over) static void name##_open(void) { walk(opening, path_##name); }
#define KEY_ROW(name, over) { #name, over, name##_key },
#define SEAL_ROW(name, over) { #name, over, name##_seal },
#define OPEN_ROW(name, over) { #name, over, name##_open },

KEY_PATHS(KEY)
SEAL_PATHS(SEAL)
WORK_SEAL_PATHS(SEAL)
OPEN_PATHS(OPEN)
WORK_OPEN_PATHS(OPEN)

/* A suite that is left out because memory was short would be a lie. */
static void suites_key(void)
{
	faulty_off();
	path_suites(&keying[0]);
}

static const struct test tests[] = {
	KEY_PATHS(KEY_ROW)
	{ "suites", ONCE, suites_key },
	SEAL_PATHS(SEAL_ROW)
	WORK_SEAL_PATHS(SEAL_ROW)
	OPEN_PATHS(OPEN_ROW)
	WORK_OPEN_PATHS(OPEN_ROW)
	{}
};

int main(int argc, char **argv)
{
	if (access("/sys/module/kssl_faulty", F_OK))
		CHECK(!system("modprobe kssl_faulty"));
	/* Walks are long. */
	tap_backstop = 900;
	return tap_main(argc, argv, tests);
}
