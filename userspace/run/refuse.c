// SPDX-License-Identifier: MIT
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "run.h"

/* Interpreters of interpreters: the kernel's limit is 5 as well. */
#define SCRIPTS_MAX	5

/* As execvp() does. -1: there is none. */
static int find(const char *program, char path[PATH_MAX])
{
	const char *at = getenv("PATH");
	size_t len;

	if (strchr(program, '/'))
		return snprintf(path, PATH_MAX, "%s", program) < PATH_MAX ? 0 : -1;
	for (at = at ? at : "/bin:/usr/bin"; ; at += len + 1) {
		len = strcspn(at, ":");
		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)len, at, len ? "/" : "./", program) < PATH_MAX &&
		    !access(path, X_OK))
			return 0;
		if (!at[len])
			return -1;
	}
}

/* The note that every Go linker writes. */
static int is_go_note(int fd, const ElfW(Phdr) *segment)
{
	char notes[4096];
	ssize_t len = pread(fd, notes, segment->p_filesz < sizeof(notes) ? segment->p_filesz : sizeof(notes),
			    segment->p_offset);
	size_t at = 0, step;
	ElfW(Nhdr) note = { 0 };

	while (len > 0 && at + sizeof(note) + 4 <= (size_t)len) {
		memcpy(&note, notes + at, sizeof(note));
		if (note.n_namesz == 4 && !memcmp(notes + at + sizeof(note), "Go\0", 4))
			return 1;
		step = sizeof(note) + ((note.n_namesz + 3ul) & ~3ul) + ((note.n_descsz + 3ul) & ~3ul);
		at += step;
	}
	return 0;
}

static const char *why_not_elf(int fd, const ElfW(Ehdr) *header)
{
	ElfW(Phdr) segment;
	int i, dynamic = 0;
	ElfW(Ehdr) own;
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (self < 0 || pread(self, &own, sizeof(own), 0) != sizeof(own))
		return "its machine could not be compared";
	close(self);
	if (header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || header->e_machine != own.e_machine)
		return "it is for another machine than the library";
	for (i = 0; i < header->e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), header->e_phoff + i * header->e_phentsize) != sizeof(segment))
			return "it is damaged";
		dynamic |= segment.p_type == PT_INTERP;
		if (segment.p_type == PT_NOTE && is_go_note(fd, &segment))
			return "it is written in Go, which has system calls of its own";
	}
	return dynamic ? NULL : "it is statically linked";
}

static const char *why_not_file(const char *path, int depth);

static const char *why_not_script(char *line, int depth)
{
	char *interpreter = line + 2 + strspn(line + 2, " \t");

	interpreter[strcspn(interpreter, " \t\n")] = 0;
	return depth < SCRIPTS_MAX ? why_not_file(interpreter, depth + 1) : "its interpreters do not end";
}

static const char *why_not_file(const char *path, int depth)
{
	union {
		ElfW(Ehdr) elf;
		char text[256];
	} start = { 0 };
	const char *why = NULL;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		why = "it cannot be read";
	} else if (st.st_mode & S_ISUID || (st.st_mode & S_ISGID && st.st_mode & 0010) ||
		   fgetxattr(fd, "security.capability", NULL, 0) > 0) {
		why = "it is setuid, setgid or has capabilities";
	} else if (pread(fd, start.text, sizeof(start) - 1, 0) > 2 && !memcmp(start.text, "#!", 2)) {
		why = why_not_script(start.text, depth);
	} else if (!memcmp(start.elf.e_ident, ELFMAG, SELFMAG)) {
		why = why_not_elf(fd, &start.elf);
	}
	if (fd >= 0)
		close(fd);
	return why;
}

const char *why_not_preloaded(const char *program)
{
	char path[PATH_MAX];

	return find(program, path) ? "there is no such program" : why_not_file(path, 0);
}
