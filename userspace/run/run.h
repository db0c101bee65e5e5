/* SPDX-License-Identifier: MIT */
/* What kssl-run and the library that it preloads agree on. */
#ifndef RUN_H
#define RUN_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kssl.h>

#define RUN_LIBRARY	"libkssl-run.so"

/* --- options.c */

enum option_id {
	OPTION_CONNECT,
	OPTION_LISTEN,
	OPTION_PROFILE,
	OPTION_LISTEN_PROFILE,
	OPTION_NAME,
	OPTION_ALPN,
	OPTION_TIMEOUT,
	OPTION_VERBOSE,
	OPTIONS_COUNT,
};

/**
 * struct run_option - one option of kssl-run, and the variable that carries it to the library
 * @name: without its dashes
 * @variable: environment variable
 * @value: what the usage calls its value, NULL if it has none
 * @list: takes all words up to the next option, and may be repeated
 * @help: one line
 */
struct run_option {
	const char *name;
	const char *variable;
	const char *value;
	int list;
	const char *help;
};

extern const struct run_option run_options[OPTIONS_COUNT];

#define RULES_MAX	32

/**
 * struct address - an IP address; those of IPv4 as RFC 4291 2.5.5.2 maps them
 * @octets: in network order
 */
struct address {
	uint8_t octets[16];
};

enum rule_host {
	HOST_ANY,
	HOST_ADDRESS,
	HOST_NAME,
};

struct rule {
	enum rule_host kind;
	uint16_t port;		/* 0: any */
	struct address address;
	char name[KSSL_NAME_MAX];
};

/**
 * struct settings - everything kssl-run was told
 * @connects: what to protect as a client
 * @listens: ports to protect as a server, 0: any
 * @handshake: the client's, but for its name
 * @listen_handshake: the server's
 * @name: name to verify whatever the program looked up, "" for none
 * @verbose: causes are told
 */
struct settings {
	struct rule connects[RULES_MAX];
	unsigned int connects_count;
	uint16_t listens[RULES_MAX];
	unsigned int listens_count;
	struct kssl_handshake handshake;
	struct kssl_handshake listen_handshake;
	char name[KSSL_NAME_MAX];
	int verbose;
};

/* Take the value of an option, of a list each of its words. NULL, or what is wrong with it. */
const char *settings_take(struct settings *s, enum option_id id, const char *value);
/* All options from the environment, as the library finds them. NULL, or what is wrong. */
const char *settings_from_environment(struct settings *s);

/* --- rules.c */

/* 0, or -1: not an address that TCP has. */
int address_from_socket(const struct sockaddr *addr, socklen_t len, struct address *address, uint16_t *port);
int address_from_text(const char *text, struct address *address);
int address_equal(const struct address *a, const struct address *b);
void address_to_text(const struct address *address, char text[INET6_ADDRSTRLEN]);

/* Name without its last dot, in lower case; -1: too long, or none. */
int name_normalize(const char *from, char to[KSSL_NAME_MAX]);

/* host:port, where a host is a name, an address (of IPv6 in brackets) or *, and a port a number or *. */
const char *rule_parse(const char *text, struct rule *rule);

enum verdict {
	VERDICT_PASS,		/* not ours */
	VERDICT_PROTECT,
	VERDICT_REFUSE,
};

/**
 * decide_connect() - what to do with a connect()
 * @s: settings
 * @address: where to
 * @port: where to
 * @name: for VERDICT_PROTECT the name to verify
 * @why: for VERDICT_REFUSE a sentence
 */
enum verdict decide_connect(const struct settings *s, const struct address *address, uint16_t port,
			    char name[KSSL_NAME_MAX], const char **why);
int decide_listen(const struct settings *s, uint16_t port);

/* --- names.c: which names led to which address.  Without locks: forks and signals come at any time. */

/*
 * So many pairs are remembered.  What comes later is unknown and will be refused, lest a name that was forgotten make
 * another one the only one.
 */
#define NAMES_MAX	4096

void names_remember(const struct address *address, const char *name);
/* The names of an address, one for each call; *@at begins with 0. NULL: no more. */
const char *names_next(const struct address *address, unsigned int *at);

/* --- refuse.c */

/* Why @program, as execvp() would find it, would run without the library; NULL: it would not. */
const char *why_not_preloaded(const char *program);

#endif
