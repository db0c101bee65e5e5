// SPDX-License-Identifier: MIT
/*
 * kssld: start, signals, and from a waiting socket to a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kssld.h"

#define DEFAULT_PATH	"/etc/kssl/kssld.conf"
#define VERSION		"0.5"
/* Of an upgrade: the new process says so on this one. */
#define READY_VARIABLE	"KSSLD_READY_FD"
#define HANDOVER_MS	5000

static const char *path = DEFAULT_PATH;
static bool path_given;
static char **arguments;
/* Path of this program, as it is at the start: what lies there later is the upgrade. */
static char program[PATH_MAX];
static struct settings *current;
static unsigned int workers;
static int successor = -1;

/* ---- systemd ---- */

static void notify(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (!name || !name[0] || strlen(name) >= sizeof(sa.sun_path))
		return;
	strcpy(sa.sun_path, name);
	if (name[0] == '@')
		sa.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
		   offsetof(struct sockaddr_un, sun_path) + strlen(name)) < 0)
		log_line(LOG_IS_WARNING, "systemd cannot be told \"%s\": %s", state, strerror(errno));
	close(fd);
}

/* When this returns the process before this one takes no sockets any more. */
static void take_over(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (write(fd, "", 1) != 1 || poll(&pfd, 1, HANDOVER_MS) < 0)
		log_line(LOG_IS_WARNING, "the process before this one is gone");
	close(fd);
	unsetenv(READY_VARIABLE);
}

static void say_ready(void)
{
	const char *fd = getenv(READY_VARIABLE);
	char state[64];

	if (fd)
		take_over(atoi(fd));
	snprintf(state, sizeof(state), "READY=1\nMAINPID=%d", getpid());
	notify(state);
}

/* ---- configuration ---- */

static struct settings *load(char *why)
{
	struct settings *s = settings_read(path, path_given, why);

	if (!s)
		return NULL;
	if (!workers)
		workers = s->workers ? s->workers : (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	if (workers > KSSLD_WORKERS_MAX)
		workers = KSSLD_WORKERS_MAX;
	if (!profiles_load(s, workers, why))
		return s;
	settings_put(s);
	return NULL;
}

static int use(struct settings *s, char *why)
{
	int ret = ticket_init(s->ticket_keys, s->ticket_rotate, why);

	if (!ret)
		ret = keylog_open(s->keylog, why);
	if (ret)
		return ret;
	log_set_debug(s->debug);
	settings_put(current);
	current = s;
	return 0;
}

static void reload(void)
{
	char why[KSSLD_TEXT_LEN];
	struct settings *s;

	notify("RELOADING=1");
	s = load(why);
	if (s && use(s, why)) {
		settings_put(s);
		s = NULL;
	}
	if (s)
		log_line(LOG_IS_NOTICE, "%s was read again: %u profiles", path, s->profiles_count);
	else
		log_line(LOG_IS_ERROR, "the configuration stays as it was: %s", why);
	notify("READY=1");
}

static int check(void)
{
	char why[KSSLD_TEXT_LEN];
	struct settings *s = load(why);

	if (!s) {
		fprintf(stderr, "kssld: %s\n", why);
		return 1;
	}
	printf("%s is good: %u profiles\n", path, s->profiles_count);
	settings_put(s);
	return 0;
}

/* ---- sockets that wait ---- */

static void refuse(const struct request *r, int err, const char *text)
{
	log_request(LOG_IS_WARNING, r, text);
	kssl_refuse(r->control, err, text);
}

static void take(const struct request *r)
{
	const struct profile *p = settings_find(current, r->profile, 0);
	struct conn *c;

	if (!p) {
		refuse(r, ENOENT, "the helper has no such profile");
		return;
	}
	if (!allow_is(&p->allow, r)) {
		refuse(r, EACCES, "the profile is not for this user, group or network namespace");
		return;
	}
	if (role_of(p) != r->role) {
		refuse(r, EINVAL, p->server ? "the profile is for servers" : "the profile is for clients");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		refuse(r, ENOMEM, "the helper is out of memory");
		return;
	}
	c->request = *r;
	c->settings = settings_get(current);
	c->profile = p;
	workers_give(c);
}

/* Return: whether somebody may still wait. */
static bool accept_all(void)
{
	char why[KSSLD_TEXT_LEN];
	struct request r;
	int ret;

	accept_clear();
	while (!(ret = accept_next(&r, why)))
		take(&r);
	if (ret == -EAGAIN)
		return false;
	/* Another helper is taking it, and may fail to. */
	if (ret == -EBUSY)
		return true;
	log_line(LOG_IS_ERROR, "a socket that waits cannot be taken: %s", why);
	return true;
}

/* ---- upgrade ---- */

static void start_successor(void)
{
	int pair[2];
	char fd[16];
	pid_t pid;

	if (successor >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	snprintf(fd, sizeof(fd), "%d", pair[1]);
	setenv(READY_VARIABLE, fd, 1);
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (fcntl(pair[1], F_SETFD, 0))
			_exit(1);
		execv(program, arguments);
		_exit(1);
	}
	unsetenv(READY_VARIABLE);
	close(pair[1]);
	successor = pair[0];
	if (pid < 0)
		log_line(LOG_IS_ERROR, "no process for the upgrade: %s", strerror(errno));
	else
		log_line(LOG_IS_NOTICE, "process %d is to take over", pid);
}

/* Return: whether it has. */
static bool has_taken_over(void)
{
	char byte;

	if (read(successor, &byte, 1) == 1)
		return true;
	close(successor);
	successor = -1;
	log_line(LOG_IS_ERROR, "the process that was to take over has ended; this one goes on");
	return false;
}

/* ---- the loop ---- */

static void handle(int signals, bool *stop)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload();
	else if (info.ssi_signo == SIGUSR2)
		start_successor();
	else
		*stop = true;
}

/* Return: whether a new process has taken over. */
static bool run(int signals)
{
	struct pollfd fds[3] = {
		{ .fd = accept_fd(), .events = POLLIN }, { .fd = signals, .events = POLLIN }, { .events = POLLIN },
	};
	bool stop = false, again = accept_all();

	while (!stop) {
		fds[2].fd = successor;
		if (poll(fds, 3, again ? 200 : -1) < 0 && errno != EINTR)
			break;
		if (again || fds[0].revents)
			again = accept_all();
		if (fds[1].revents)
			handle(signals, &stop);
		if (fds[2].fd >= 0 && fds[2].revents && has_taken_over())
			return true;
	}
	return false;
}

static void leave(int signals, bool replaced)
{
	struct pollfd pfd = { .fd = signals, .events = POLLIN };

	accept_stop();
	/* The successor waits for this. */
	if (replaced)
		close(successor);
	else
		notify("STOPPING=1");
	workers_leave(replaced ? current->drain : current->grace, !replaced);
	while (!workers_are_done())
		if (poll(&pfd, 1, 50) > 0) {
			struct signalfd_siginfo info;

			/* Whoever has been replaced and is told to end, ends. */
			if (read(signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTERM)
				workers_leave(current->grace, true);
		}
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Three for each connection. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(void)
{
	char why[KSSLD_TEXT_LEN] = "";
	struct settings *s;
	struct stat netns;
	int signals = block_signals();

	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		program[0] = 0;
	prctl(PR_SET_DUMPABLE, 0);
	raise_limit();
	if (!stat("/proc/self/ns/net", &netns))
		allow_set_namespace(netns.st_ino);
	s = load(why);
	if (!s || use(s, why) || workers_start(workers) || accept_start(why)) {
		log_line(LOG_IS_ERROR, "%s", why[0] ? why : "out of memory");
		return 1;
	}
	log_line(LOG_IS_INFO, "kssld " VERSION ": %u profiles, %u workers", current->profiles_count, workers);
	/* The kernel knows of a helper from the first time it asks. */
	accept_all();
	say_ready();
	leave(signals, run(signals));
	log_line(LOG_IS_INFO, "kssld has ended");
	return 0;
}

static void help(void)
{
	printf("kssld shakes hands for programs that know only sockets (KSSL_HANDSHAKE).\n\n"
	       "  -c, --config FILE  read this configuration (" DEFAULT_PATH ")\n"
	       "  -k, --check        say whether the configuration is good, and end\n"
	       "  -w, --words        print the words of the configuration, and end\n"
	       "  -h, --help\n"
	       "  -V, --version\n\n"
	       "SIGHUP reads the configuration again, SIGUSR2 starts the program anew without a gap,\n"
	       "SIGTERM ends it; connections that are up live on.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "words", no_argument, NULL, 'w' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	bool only_check = false;
	int option;

	if (argc > 1 && !strcmp(argv[1], "--key-process"))
		return keys_main(argc, argv);
	arguments = argv;
	while ((option = getopt_long(argc, argv, "c:kwhV", options, NULL)) >= 0) {
		switch (option) {
		case 'c':
			path = optarg;
			path_given = true;
			break;
		case 'k':
			only_check = true;
			break;
		case 'w':
			words_print(stdout);
			return 0;
		case 'h':
			help();
			return 0;
		case 'V':
			puts("kssld " VERSION);
			return 0;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kssld: what is \"%s\"?\n", argv[optind]);
		return 2;
	}
	return only_check ? check() : serve();
}
