// SPDX-License-Identifier: MIT
/*
 * Numbers into names.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* The name in IANA's list of a cipher suite that OpenSSL knows, else its number. */
const char *suite_name(uint16_t suite, char text[static 32])
{
	unsigned char wire[2] = { suite >> 8, suite & 0xff };
	static SSL *ssl;
	const SSL_CIPHER *cipher;

	if (!ssl) {
		SSL_CTX *ctx = SSL_CTX_new(TLS_method());

		ssl = ctx ? SSL_new(ctx) : NULL;
		SSL_CTX_free(ctx);
	}
	cipher = ssl ? SSL_CIPHER_find(ssl, wire) : NULL;
	if (cipher && SSL_CIPHER_standard_name(cipher))
		return SSL_CIPHER_standard_name(cipher);
	snprintf(text, 32, "0x%04x", suite);
	return text;
}

const char *version_name(uint16_t version)
{
	switch (version) {
	case 0x0300:
		return "3.0";
	case 0x0301:
		return "1.0";
	case 0x0302:
		return "1.1";
	case 0x0303:
		return "1.2";
	case 0x0304:
		return "1.3";
	}
	return "-";
}

/* What stands before the version. */
const char *protocol_name(uint16_t version)
{
	return version == 0x0300 ? "SSL" : "TLS";
}

#define NAME(table, i)	((i) < sizeof(table) / sizeof((table)[0]) && (table)[i] ? (table)[i] : "unknown")

const char *state_name(uint8_t state)
{
	static const char *const names[] = {
		[KSSL_SESSION_STATE_WAITING] = "waiting",
		[KSSL_SESSION_STATE_HANDSHAKE] = "handshake",
		[KSSL_SESSION_STATE_ATTENDED] = "attended",
		[KSSL_SESSION_STATE_ORPHAN] = "orphan",
		[KSSL_SESSION_STATE_UNATTENDED] = "unattended",
		[KSSL_SESSION_STATE_FAILED] = "failed",
		[KSSL_SESSION_STATE_BUSY] = "busy",
	};

	return NAME(names, state);
}

const char *dir_state_name(uint8_t state)
{
	static const char *const names[] = {
		[KSSL_STATE_NONE] = "none",
		[KSSL_STATE_PLAIN] = "plain",
		[KSSL_STATE_ACTIVE] = "active",
		[KSSL_STATE_HELD] = "held",
		[KSSL_STATE_CLOSED] = "closed",
		[KSSL_STATE_FAILED] = "failed",
	};

	return NAME(names, state);
}

const char *event_name(uint8_t event)
{
	static const char *const names[] = {
		[KSSL_EVENT_NL_ATTACHED] = "attached",
		[KSSL_EVENT_NL_HANDSHAKE] = "handshake",
		[KSSL_EVENT_NL_KEY_UPDATE] = "key-update",
		[KSSL_EVENT_NL_FAILED] = "failed",
		[KSSL_EVENT_NL_ORPHANED] = "orphaned",
		[KSSL_EVENT_NL_CLOSED] = "closed",
		[KSSL_EVENT_NL_REFUSED] = "refused",
		[KSSL_EVENT_NL_DECLINED] = "declined",
	};

	return NAME(names, event);
}

const char *who_name(uint8_t who)
{
	static const char *const names[] = {
		[KSSL_WHO_NONE] = "none",
		[KSSL_WHO_KERNEL] = "kernel",
		[KSSL_WHO_HELPER] = "helper",
		[KSSL_WHO_PEER] = "peer",
	};

	return NAME(names, who);
}

const char *error_code(int error, char text[static 32])
{
	const char *name = strerrorname_np(error);

	if (name)
		snprintf(text, 32, "%s", name);
	else
		snprintf(text, 32, "%d", error);
	return text;
}

void address_text(const union kssl_genl_address *address, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET)
		snprintf(text, size, "%s:%u", inet_ntop(AF_INET, &address->v4.sin_addr, ip, sizeof(ip)),
			 ntohs(address->v4.sin_port));
	else if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
		snprintf(text, size, "%s:%u", inet_ntop(AF_INET, &address->v6.sin6_addr.s6_addr[12], ip, sizeof(ip)),
			 ntohs(address->v6.sin6_port));
	else if (address->any.sa_family == AF_INET6)
		snprintf(text, size, "[%s]:%u", inet_ntop(AF_INET6, &address->v6.sin6_addr, ip, sizeof(ip)),
			 ntohs(address->v6.sin6_port));
	else
		snprintf(text, size, "-");
}

void user_text(uint32_t uid, char *text, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(text, size, "%s", user->pw_name);
	else
		snprintf(text, size, "%u", uid);
}
