// SPDX-License-Identifier: MIT
/*
 * The server: one test at a time; other clients wait in the backlog.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "perf.h"

static int accept_before(int listener, uint64_t limit_ns)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
	uint64_t now = now_ns();

	if (now >= limit_ns || poll(&poll_fd, 1, (int)((limit_ns - now) / 1000000) + 1) <= 0)
		return -1;
	return accept(listener, NULL, NULL);
}

/* Takes the streams of this test; whoever else connects is turned away. */
static int take_streams(struct test *test, int listener, const char *cookie)
{
	uint64_t limit_ns = now_ns() + PERF_SETUP_SECONDS * 1000000000ull;

	while (test->count < test->params.parallel) {
		char theirs[PERF_COOKIE_LEN + 1];
		int fd = accept_before(listener, limit_ns);

		if (fd < 0) {
			set_text(test->error, "the client did not open its %d streams",
				 test->params.parallel);
			return -1;
		}
		if (hello_read(fd, theirs) != HELLO_STREAM ||
		    CRYPTO_memcmp(theirs, cookie, PERF_COOKIE_LEN) || hello_answer(fd)) {
			close(fd);
			continue;
		}
		if (test_add_stream(test, fd))
			return -1;
	}
	return test_wait_ready(test);
}

static struct summary *run_test(struct test *test, int listener, int control, const char *cookie,
				struct summary **remote)
{
	struct summary *local;
	json_t *message;

	message_send(control, json_pack("{s:b}", "accepted", 1));
	if (take_streams(test, listener, cookie)) {
		message_send(control, json_pack("{s:s}", "error", test->error));
		return NULL;
	}
	message = message_read(control, test->error);
	json_decref(message);
	if (!message)
		return NULL;
	message_send(control, json_pack("{s:b}", "start", 1));

	test_run(test);
	local = test_summary(test);
	if (local)
		message_send(control, summary_to_json(local));
	message = message_read(control, test->error);
	*remote = message ? summary_from_json(message) : NULL;
	json_decref(message);
	return local;
}

static int run_with_params(const struct options *options, const struct params *params,
			   struct report *report, int listener, int control, const char *cookie)
{
	struct summary *local = NULL, *remote = NULL;
	struct test *test = test_new(options, params, report);
	int ret = -1;

	if (!test)
		return -1;
	if (!test->error[0] && options->mode && strcmp(options->mode, params->transport->name))
		set_text(test->error, "this server serves --mode %s only", options->mode);
	if (!test->error[0] && !params->transport->rekey &&
	    (options->renegotiate || options->rekey_bytes))
		set_text(test->error, "this server renegotiates and serves --mode kssl only");
	if (test->error[0])
		message_send(control, json_pack("{s:s}", "error", test->error));
	else
		local = run_test(test, listener, control, cookie, &remote);
	if (local && remote)
		ret = report_end(report, params, local, remote);
	else
		report_error(report, test->error);
	summary_free(local);
	summary_free(remote);
	test_free(test);
	return ret;
}

static void peer_name(int fd, char *name, size_t len)
{
	struct sockaddr_storage address;
	socklen_t address_len = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &address_len) ||
	    getnameinfo((struct sockaddr *)&address, address_len, name, (socklen_t)len, NULL, 0,
			NI_NUMERICHOST))
		snprintf(name, len, "?");
}

/* 0: a whole test ran well; -1: it did not; 1: that was no test at all. */
static int serve(const struct options *options, int listener, int control)
{
	char cookie[PERF_COOKIE_LEN + 1], error[PERF_TEXT_LEN], name[NI_MAXHOST];
	struct report *report;
	struct params params;
	json_t *message;
	int ret = -1;

	if (hello_read(control, cookie) != HELLO_CONTROL || hello_answer(control))
		return 1;
	report = report_new(options->json);
	if (!report)
		return -1;
	peer_name(control, name, sizeof(name));
	message = message_read(control, error);
	if (!message) {
		report_error(report, error);
	} else if (params_from_json(&params, message, error)) {
		message_send(control, json_pack("{s:s}", "error", error));
		report_error(report, error);
	} else {
		report_start(report, &params, name);
		ret = run_with_params(options, &params, report, listener, control, cookie);
	}
	json_decref(message);
	report_free(report);
	return ret;
}

int run_server(const struct options *options)
{
	int listener = control_listen(options->port);
	int control, ret;

	if (listener < 0) {
		fprintf(stderr, "kssl-perf: cannot listen on port %s: %s\n", options->port,
			strerror(errno));
		return 1;
	}
	if (!options->json)
		printf("Listening on port %s\n", options->port);
	do {
		control = accept(listener, NULL, NULL);
		if (control < 0) {
			ret = 1;
			if (errno != EINTR && errno != ECONNABORTED)
				break;
			continue;
		}
		ret = serve(options, listener, control);
		close(control);
	} while (!options->one_off || ret > 0);
	close(listener);
	return ret ? 1 : 0;
}
