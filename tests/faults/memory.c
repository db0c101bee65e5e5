// SPDX-License-Identifier: MIT
/* Every allocation, and every copy from and to user space, fails once in turn. */
#include "paths/fault.h"

#define CALL(name, over) static void name##_path(void) { path_##name(&memory); }
#define WORK(name, over) static void name##_path(void) { path_##name(&workers); }
#define ROW(name, over) { #name, over, name##_path },

KEY_PATHS(CALL)
SEAL_PATHS(CALL)
OPEN_PATHS(CALL)
OTHER_PATHS(CALL)
WORK_OPEN_PATHS(WORK)
WORK_SEAL_PATHS(WORK)
WORK_PUSH_PATHS(WORK)
UPDATE_PATHS(CALL)
WORK_UPDATE_PATHS(WORK)
ARM_PATHS(CALL)

static const struct test tests[] = {
	OTHER_PATHS(ROW)
	KEY_PATHS(ROW)
	SEAL_PATHS(ROW)
	OPEN_PATHS(ROW)
	WORK_OPEN_PATHS(ROW)
	WORK_SEAL_PATHS(ROW)
	WORK_PUSH_PATHS(ROW)
	UPDATE_PATHS(ROW)
	WORK_UPDATE_PATHS(ROW)
	ARM_PATHS(ROW)
	{}
};

int main(int argc, char **argv)
{
	/* Walks are long. */
	tap_backstop = 900;
	return tap_main(argc, argv, tests);
}
