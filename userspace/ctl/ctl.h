/* SPDX-License-Identifier: MIT */
/*
 * kssl-ctl: what its files share.
 */
#ifndef KSSL_CTL_H
#define KSSL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../genl/genl.h"

/* Exit statuses, as the page has them. */
enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_SUCH = 3,
	EXIT_NOT_PERMITTED = 4,
	EXIT_TOO_LATE = 5,
};

struct options {
	bool json;
	bool failed;
	bool prometheus;
	bool help;
	bool version;
	const char *profile;
	const char *connect;
	const char *name;
	uint32_t pid;
	uint32_t uid;
	bool has_pid;
	bool has_uid;
	double timeout;		/* seconds */
};

struct command {
	const char *name;
	const char *args;
	const char *help;
	int args_min;
	int args_max;
	int (*run)(const struct options *options, char **args);
};

/* names.c */
const char *suite_name(uint16_t suite, char text[static 32]);
const char *version_name(uint16_t version);
const char *protocol_name(uint16_t version);
const char *state_name(uint8_t state);
const char *dir_state_name(uint8_t state);
const char *event_name(uint8_t event);
const char *who_name(uint8_t who);
const char *error_code(int error, char text[static 32]);
void address_text(const union kssl_genl_address *address, char *text, size_t size);
void user_text(uint32_t uid, char *text, size_t size);

/* show.c: what people and programs see of a socket, made from the same struct */
json_t *socket_to_json(const struct kssl_genl_socket *s);
json_t *stats_to_json(const uint64_t *stats);
int print_json(json_t *json);
void print_list_header(FILE *out);
void print_list_line(FILE *out, const struct kssl_genl_socket *s);
void print_failure(FILE *out, const struct kssl_genl_socket *s);
void print_socket(FILE *out, const struct kssl_genl_socket *s);
void print_event(FILE *out, const struct kssl_genl_socket *s, int64_t unix_ms);
void print_stats(FILE *out, const uint64_t *stats);
void print_prometheus(FILE *out, const uint64_t *stats);

/* commands.c */
struct kssl_genl *open_client(void);
int failed(struct kssl_genl *g, const char *what, int ret);
int run_list(const struct options *options, char **args);
int run_show(const struct options *options, char **args);
int run_stats(const struct options *options, char **args);
int run_monitor(const struct options *options, char **args);
int run_renegotiate(const struct options *options, char **args);
int run_rekey(const struct options *options, char **args);
int run_close(const struct options *options, char **args);
int run_version(const struct options *options, char **args);

/* probe.c */
int run_probe(const struct options *options, char **args);

#endif
