// SPDX-License-Identifier: MIT
/* Failures of memory by fail-nth of the kernel, of ciphers by kssl_faulty. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fault.h"

const struct source memory = { .name = "memory", .what = MEMORY };
const struct source workers = { .name = "memory of works", .what = WORKERS };

static void write_file(const char *path, const char *text)
{
	int fd = SYS(open(path, O_WRONLY));

	EQ(SYS(write(fd, text, strlen(text))), strlen(text));
	close(fd);
}

/* ---- kssl_faulty ---- */

static const char *parameter_path(const char *parameter)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/module/kssl_faulty/parameters/%s", parameter);
	return path;
}

void faulty_set(const char *parameter, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	write_file(parameter_path(parameter), text);
}

int faulty_get(const char *parameter)
{
	char text[16] = {};
	int fd = SYS(open(parameter_path(parameter), O_RDONLY));

	SYS(read(fd, text, sizeof(text) - 1));
	close(fd);
	return atoi(text);
}

void faulty_off(void)
{
	faulty_set("what", 0);
	faulty_set("hold", 0);
}

/* ---- fail-nth, Documentation/fault-injection/fault-injection.rst ---- */

static void set_up_memory(void)
{
	static const char * const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/cache-filter", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		write_file(path, settings[i][1]);
	}
}

static int open_nth(void)
{
	static int fd = -1;

	if (fd < 0) {
		set_up_memory();
		fd = SYS(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
	}
	return fd;
}

static void set_nth(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	/* This very call may meet what was left to count. */
	while (pwrite(open_nth(), text, len, 0) < 0)
		EQ(errno, EFAULT);
}

/* What is left to count is still there if it did not come to the failure. */
static int take_nth(void)
{
	char text[16] = {};
	/* It may be this call that fails. */
	int happened = pread(open_nth(), text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	set_nth(0);
	return happened;
}

/* ---- fail-nth of the tasks that run works of an unbound queue, as ours is ---- */

static int workers_nth[256];
static unsigned int workers_count;

static void find_worker(const char *pid)
{
	char path[300], name[32] = {};
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	if (read(fd, name, sizeof(name) - 1) > 0 && !strncmp(name, "kworker/u", 9)) {
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", pid);
		CHECK(workers_count < sizeof(workers_nth) / sizeof(workers_nth[0]));
		workers_nth[workers_count] = open(path, O_RDWR | O_CLOEXEC);
		if (workers_nth[workers_count] >= 0)
			workers_count++;
	}
	close(fd);
}

static void arm_workers(unsigned int nth)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	char text[16];
	unsigned int i;

	CHECK(dir);
	set_up_memory();
	workers_count = 0;
	while ((d = readdir(dir)))
		if (isdigit(d->d_name[0]))
			find_worker(d->d_name);
	closedir(dir);
	CHECK(workers_count > 0);
	snprintf(text, sizeof(text), "%u", nth);
	/* One may have gone since. */
	for (i = 0; i < workers_count; i++)
		if (pwrite(workers_nth[i], text, strlen(text), 0) < 0)
			EQ(errno, ESRCH);
}

static int disarm_workers(void)
{
	unsigned int i;
	int hits = 0;

	for (i = 0; i < workers_count; i++) {
		char text[16] = {};

		if (pread(workers_nth[i], text, sizeof(text) - 1, 0) > 0 && !atoi(text))
			hits++;
		/* It may have gone. */
		if (pwrite(workers_nth[i], "0", 1, 0) < 0)
			EQ(errno, ESRCH);
		close(workers_nth[i]);
	}
	workers_count = 0;
	return hits;
}

/* ---- all of them ---- */

void fault_arm(const struct source *s, unsigned int nth)
{
	if (s->what == MEMORY) {
		set_nth(nth);
		return;
	}
	if (s->what == WORKERS) {
		arm_workers(nth);
		return;
	}
	faulty_set("how", s->how);
	faulty_set("err", s->error);
	faulty_set("nth", nth);
	faulty_set("what", s->what);
}

int fault_disarm(const struct source *s)
{
	int hits;

	if (s->what == MEMORY)
		return take_nth();
	if (s->what == WORKERS)
		return disarm_workers();
	hits = faulty_get("hits");
	faulty_off();
	CHECK(hits < 2);
	return hits;
}

void fault_check_errno(const struct source *s, int error)
{
	if (s->what == MEMORY) {
		/* EIO: the cipher itself had no memory in the middle of a record. */
		if (error == ENOMEM || error == ENOBUFS || error == EFAULT || error == EIO)
			return;
	} else if (s->error && (error == s->error || error == s->fatal)) {
		return;
	}
	check_failed(__FILE__, __LINE__, "%s leads to %s", s->name, error_name(error));
}

void fault_count(const struct source *s, unsigned int faults, unsigned int fatal)
{
	note("%s: %u failures in turn, %u of them fatal", s->name, faults, fatal);
	CHECK(faults > 0);
}
