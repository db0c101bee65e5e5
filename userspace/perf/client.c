// SPDX-License-Identifier: MIT
/*
 * The client: asks for a test, opens its streams, exchanges the results.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "perf.h"

static int make_cookie(char cookie[static PERF_COOKIE_LEN + 1])
{
	unsigned char random[PERF_COOKIE_LEN / 2];
	size_t i;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return -1;
	for (i = 0; i < sizeof(random); i++)
		sprintf(cookie + 2 * i, "%02x", random[i]);
	return 0;
}

static int connect_and_greet(const struct options *options, char kind, const char *cookie,
			     char error[static PERF_TEXT_LEN])
{
	int fd = control_connect(options->host, options->port, error);

	if (fd < 0)
		return -1;
	if (!hello_send(fd, kind, cookie))
		return fd;
	set_text(error, "the server did not answer%s",
		 kind == HELLO_CONTROL ? "; it may be busy with another test" : "");
	close(fd);
	return -1;
}

static int open_streams(struct test *test, const char *cookie)
{
	int i, fd;

	for (i = 0; i < test->params.parallel; i++) {
		fd = connect_and_greet(test->options, HELLO_STREAM, cookie, test->error);
		if (fd < 0 || test_add_stream(test, fd))
			return -1;
	}
	return test_wait_ready(test);
}

/* Everything between the control connection's hello and its close. */
static struct summary *run_test(struct test *test, int control, const char *cookie,
				struct summary **remote)
{
	struct summary *local;
	json_t *message;

	message_send(control, params_to_json(&test->params));
	message = message_read(control, test->error);
	json_decref(message);
	if (!message)
		return NULL;
	if (open_streams(test, cookie)) {
		message_send(control, json_pack("{s:s}", "error", test->error));
		return NULL;
	}
	message_send(control, json_pack("{s:b}", "start", 1));
	message = message_read(control, test->error);
	json_decref(message);
	if (!message)
		return NULL;

	test_run(test);
	local = test_summary(test);
	if (local)
		message_send(control, summary_to_json(local));
	message = message_read(control, test->error);
	*remote = message ? summary_from_json(message) : NULL;
	json_decref(message);
	return local;
}

static int run_and_report(const struct options *options, const struct params *params,
			  struct report *report)
{
	struct summary *local = NULL, *remote = NULL;
	char cookie[PERF_COOKIE_LEN + 1];
	struct test *test;
	int control, ret = 1;

	test = test_new(options, params, report);
	if (!test)
		return 1;
	if (!test->error[0] && make_cookie(cookie))
		set_text(test->error, "no random bytes");
	if (!test->error[0]) {
		control = connect_and_greet(options, HELLO_CONTROL, cookie, test->error);
		if (control >= 0) {
			report_start(report, params, options->host);
			local = run_test(test, control, cookie, &remote);
			close(control);
		}
	}
	if (local && remote)
		ret = report_end(report, params, local, remote) ? 1 : 0;
	else
		report_error(report, test->error);
	summary_free(local);
	summary_free(remote);
	test_free(test);
	return ret;
}

int run_client(const struct options *options)
{
	char error[PERF_TEXT_LEN];
	struct params params;
	struct report *report;
	int ret;

	report = report_new(options->json);
	if (!report)
		return 1;
	if (params_from_options(&params, options, error)) {
		report_error(report, error);
		ret = 2;
	} else {
		ret = run_and_report(options, &params, report);
	}
	report_free(report);
	return ret;
}
