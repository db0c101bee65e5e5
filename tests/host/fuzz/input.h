/* SPDX-License-Identifier: MIT */
/* What fuzzers make of their input: numbers, keys, buffers in pieces; and how they fail. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "record.h"

#define must(condition)	do { if (!(condition)) must_failed(__FILE__, __LINE__, #condition); } while (0)
_Noreturn void must_failed(const char *file, int line, const char *text);

/* What is left of the input.  Past its end everything is zero. */
struct input {
	const u8 *data;
	size_t len;
};

u64 input_number(struct input *in, unsigned int len);
void input_bytes(struct input *in, void *to, size_t len);

/*
 * A key for one of the rows of the table, as chosen by the input.  Returns its epoch; NULL if OpenSSL does not have the
 * cipher.
 */
struct kssl_epoch *input_epoch(struct input *in, struct kssl_key *key);

/* Some content: of what length, and which octets, the input says in a few of its own. */
unsigned int input_content(struct input *in, u8 *to, unsigned int max);

#define PIECES_MAX	32

/* A buffer in pieces, each one an allocation of its own. */
struct pieces {
	struct scatterlist sg[1 + PIECES_MAX];	/* entry 0 is free for an AEAD's additional data */
	void *mem[PIECES_MAX];
	unsigned int count;
	unsigned int len;
};

void pieces_make(struct pieces *p, struct input *in, unsigned int len);
void pieces_write(struct pieces *p, unsigned int at, const u8 *from, unsigned int len);
void pieces_read(struct pieces *p, unsigned int at, u8 *to, unsigned int len);
void pieces_free(struct pieces *p);

/* Opens a record with kmod's code: length of @content and @type, or a negative errno. */
int open_record(struct kssl_epoch *e, u64 seq, const u8 *record, struct input *in, u8 *content, u8 *type);

/* Opens it with both, and sees to it that they agree.  Returns what kmod did. */
int open_both(const struct kssl_key *key, struct kssl_epoch *e, u64 seq, const u8 *record, unsigned int len,
	      struct input *in);

#endif
