// SPDX-License-Identifier: MIT
/*
 * Preloaded into gnutls-serv, its clock of whole seconds stands still: it hangs up on everybody 30 s after they came,
 * however much they still have to say, and on a busy machine a test takes longer.
 */
#include <time.h>

time_t time(time_t *to)
{
	static time_t start;
	struct timespec now;

	if (!start) {
		clock_gettime(CLOCK_REALTIME, &now);
		start = now.tv_sec;
	}
	if (to)
		*to = start;
	return start;
}
