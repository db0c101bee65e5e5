// SPDX-License-Identifier: MIT
/*
 * kssld with many connections, under load, flooded, killed, and used by two who do not trust each other.
 *
 * E2E_IDLE: how many connections are idle at a time (300); E2E_AT_ONCE: how many shake hands at a time (200);
 * E2E_COMPARE: also how fast OpenSSL does that.  In full, with 8 GiB of memory and an hour:
 *
 *   E2E_IDLE=10000 E2E_COMPARE=1 TAP_BACKSTOP=4000 build/tests/e2e/scale
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <openssl/bio.h>
#include "crowd.h"
#include "service.h"

#define NOBODY		65534
#define ALICE		1001
#define BOB		1002

/* Handshakes under way while connections are made. */
#define WINDOW		64
/* Three for each connection in kssld, and some. */
#define FILES		65536

static const char profiles[] =
	"workers = 2\n"
	"profile \"test\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n\tresume = no\n}\n"
	"profile \"web\" {\n\tcertificate = \"build/certs/ecdsa.crt\"\n\tkey = \"build/certs/ecdsa.key\"\n"
	"\tallow = { \"user:0\", \"user:65534\" }\n}\n";

static struct crowd crowd;

static unsigned int asked_for(const char *name, unsigned int def)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : def;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Some of the debugging is paid for in memory. */
static int is_debug_kernel(void)
{
	struct utsname name;

	SYS(uname(&name));
	return strstr(name.release, "debug") != NULL;
}

/* Until @condition, at most PATIENCE_MS. */
#define UNTIL(condition)						\
	do {								\
		double end_ = now() + PATIENCE_MS / 1000;		\
									\
		while (!(condition)) {					\
			if (now() > end_)				\
				check_failed(__FILE__, __LINE__, "never: %s", #condition); \
			usleep(20000);					\
		}							\
	} while (0)

/* ---- what is there ---- */

/* A line "@name: NUMBER" or "@name NUMBER" of @f. */
static long long value_in(FILE *f, const char *name)
{
	size_t len = strlen(name);
	char line[256];
	long long value = -1;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && strchr(": \t", line[len]))
			value = strtoll(line + len + 1, NULL, 10);
	if (value < 0)
		check_failed(__FILE__, __LINE__, "no %s", name);
	return value;
}

static long long stat_of(const char *name)
{
	FILE *f = popen("build/userspace/kssl-ctl stats", "r");
	long long value = value_in(f, name);

	EQ(pclose(f), 0);
	return value;
}

static long long value_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	long long value = value_in(f, name);

	fclose(f);
	return value;
}

static int files_of(pid_t pid)
{
	char path[64];
	int count = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	CHECK(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

/* Once they are as many as before, five times. */
static int files_at_last(pid_t pid)
{
	int count = files_of(pid), same = 0, tries;

	for (tries = 0; same < 5 && tries < 200; tries++) {
		int before = count;

		usleep(40000);
		count = files_of(pid);
		same = count == before ? same + 1 : 0;
	}
	return count;
}

/* KiB in a kernel that is at rest: what was freed may take a while to be given back. */
static long kernel_memory(void)
{
	long memory = 0, before;
	int tries = 0;

	do {
		before = memory;
		usleep(300000);
		memory = value_of("/proc/meminfo", "Slab") + value_of("/proc/meminfo", "Percpu") +
			 value_of("/proc/meminfo", "VmallocUsed");
	} while (labs(memory - before) > 64 && ++tries < 30);
	return memory;
}

/* KiB that are no file's. */
static long memory_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return value_of(path, "RssAnon");
}

/* ---- connections ---- */

static int listener;
static struct sockaddr_in listens;

static void listen_as_server(void)
{
	struct kssl_handshake hs = as_server("web");

	listener = listen_on(&listens);
	set_ulp(listener);
	SYS(setsockopt(listener, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	SYS(listen(listener, 4096));
}

static int how_it_stands(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	SYS(getsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &err, &len));
	return err;
}

/* Armed before connect(), and under way when this returns: the first call finds it connected. */
static int begin_client(const struct sockaddr_in *to)
{
	struct kssl_handshake hs = as_client("test", "localhost");
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	struct pollfd pfd = { .fd = fd };
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	set_ulp(fd);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	FAILS(connect(fd, (const struct sockaddr *)to, sizeof(*to)), EINPROGRESS);
	while (getpeername(fd, (struct sockaddr *)&peer, &len)) {
		EQ(errno, ENOTCONN);
		usleep(1000);
	}
	SYS(poll(&pfd, 1, 0));
	return fd;
}

/* Begin @count, as the crowd's opposite. */
static void begin(int *fds, int count, int server)
{
	int i;

	if (server)
		crowd_connect(&crowd, &listens, count, 1);
	for (i = 0; i < count; i++)
		fds[i] = server ? SYS(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) :
				  begin_client(&crowd.tls);
}

/* Until the handshakes of all are over, in whatever order, and good. */
static void finish(const int *fds, int count)
{
	struct pollfd *pfds = calloc(count, sizeof(*pfds));
	int i, left;

	CHECK(pfds);
	for (i = 0; i < count; i++)
		pfds[i] = (struct pollfd) { .fd = fds[i], .events = POLLOUT };
	for (left = count; left;) {
		CHECK(SYS(poll(pfds, count, PATIENCE_MS)) > 0);
		for (i = 0; i < count; i++) {
			if (pfds[i].fd < 0 || !pfds[i].revents)
				continue;
			if (how_it_stands(fds[i]))
				note("%d of %d: %s", i, count, error_of(fds[i]).text);
			EQ(how_it_stands(fds[i]), 0);
			SYS(fcntl(fds[i], F_SETFL, 0));
			pfds[i].fd = -1;
			left--;
		}
	}
	free(pfds);
}

static void begin_and_finish(int *fds, int count, int server)
{
	int done, part;

	for (done = 0; done < count; done += part) {
		part = count - done < WINDOW ? count - done : WINDOW;
		begin(fds + done, part, server);
		finish(fds + done, part);
	}
}

static void close_all(const int *fds, int count)
{
	int i;

	for (i = 0; i < count; i++)
		close(fds[i]);
}

static int *new_fds(int count)
{
	int *fds = calloc(count, sizeof(*fds));

	CHECK(fds);
	return fds;
}

/* ---- the service at rest ---- */

static int files_at_rest;

/* What may have been closing when that was counted; fewer than any number of connections here. */
#define FILES_CLOSING	8

/* Nothing is left of all that was, in the module and the daemon. */
static void nothing_left(void)
{
	UNTIL(!stat_of("sessions"));
	EQ(stat_of("waiting"), 0);
	if (files_at_last(service_pid) != files_at_rest)
		note("kssld has %d files, at rest %d", files_of(service_pid), files_at_rest);
	UNTIL(files_of(service_pid) <= files_at_rest + FILES_CLOSING);
	UNTIL(!crowd_report(&crowd).members);
}

/* Two connections tell what one takes, for nothing tells when the daemon has come to rest. */
static void set_up(const char *conf)
{
	const struct rlimit files = { FILES, FILES };
	int fds[2], one;

	SYS(setrlimit(RLIMIT_NOFILE, &files));
	/* Whose parent has gone is ours. */
	SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
	crowd_start(&crowd, v->version);
	service_set_up(conf);
	listen_as_server();
	begin_and_finish(&fds[0], 1, 0);
	echo(fds[0], "first");
	one = files_at_last(service_pid);
	begin_and_finish(&fds[1], 1, 0);
	echo(fds[1], "second");
	files_at_rest = one - (files_at_last(service_pid) - one);
	close_all(fds, 2);
	nothing_left();
}

static void tear_down(void)
{
	nothing_left();
	close(listener);
	service_stop(SIGTERM);
	crowd_end(&crowd);
}

/* ---- idle ---- */

struct memory {
	long kernel;
	long helper;
	long peer;
};

static struct memory measure(void)
{
	return (struct memory){
		.kernel = kernel_memory(), .helper = memory_of(service_pid), .peer = memory_of(crowd.pid),
	};
}

/* The same number of connections without TLS.  Return: KiB that they took. */
static long plain_connections(int *fds, int count)
{
	const struct linger reset = { .l_onoff = 1 };
	long before = kernel_memory(), after;
	int i;

	for (i = 0; i < count; i++)
		fds[i] = connect_to(&crowd.plain);
	UNTIL(crowd_report(&crowd).members == (uint32_t)count);
	after = kernel_memory();
	for (i = 0; i < count; i++)
		SYS(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close_all(fds, count);
	UNTIL(!crowd_report(&crowd).members);
	return after - before;
}

/* Bounds, in bytes for each connection, that only a leak or a blunder exceeds. */
#define KERNEL_BOUND	16384
#define HELPER_BOUND	131072
/* KiB that come and go with what the slabs keep of things long freed. */
#define SLACK		512
/* Times that a crowd may need until the next one finds room; a leak grows each time. */
#define ROUNDS		4

static void idle(void)
{
	const unsigned int count = asked_for("E2E_IDLE", 300);
	int *fds = new_fds(count);
	struct memory before, after, closed, again, most;
	unsigned int i;
	long plain, kernel;

	set_up(profiles);
	plain = plain_connections(fds, count);
	before = measure();
	begin_and_finish(fds, count, v->server);
	UNTIL(crowd_report(&crowd).established == count + 2);
	EQ(stat_of("sessions"), count);
	EQ(stat_of("waiting"), 0);
	after = measure();
	kernel = after.kernel - before.kernel;
	note("%u connections, bytes each: kernel %ld beyond the %ld of plain TCP; kssld %ld; OpenSSL's peer %ld", count,
	     (kernel - plain) * 1024 / count, plain * 1024 / count, (after.helper - before.helper) * 1024 / count,
	     (after.peer - before.peer) * 1024 / count);
	for (i = 0; i < count; i += 1 + count / 50)
		echo(fds[i], "not dead");
	close_all(fds, count);
	nothing_left();
	closed = measure();
	note("when all are closed, KiB of kernel and kssld: %ld and %ld, of %ld and %ld", closed.kernel - before.kernel,
	     closed.helper - before.helper, kernel, after.helper - before.helper);
	/*
	 * As many again find room in what was freed; not always the first time, for each worker has its own heap, and
	 * they do not share as before.
	 */
	most = (struct memory){ .kernel = closed.kernel, .helper = after.helper };
	for (i = 0; i < ROUNDS; i++) {
		begin_and_finish(fds, count, v->server);
		close_all(fds, count);
		nothing_left();
		again = measure();
		note("when as many more are: %ld and %ld", again.kernel - before.kernel, again.helper - before.helper);
		if (again.helper - most.helper < (after.helper - before.helper) / 4 &&
		    (is_debug_kernel() || again.kernel - most.kernel < kernel / 3 + SLACK))
			break;
		most = again;
	}
	CHECK(i < ROUNDS);
	if (!is_debug_kernel())
		CHECK((kernel - plain) * 1024 / count < KERNEL_BOUND);
	CHECK((after.helper - before.helper) * 1024 / count < HELPER_BOUND);
	tear_down();
}

/* ---- at once ---- */

static void exchange(int fd, unsigned int *seed)
{
	char out[4096], in[sizeof(out)];
	size_t len = 1 + rand_r(seed) % sizeof(out), got, i;
	ssize_t n;

	for (i = 0; i < len; i++)
		out[i] = rand_r(seed) >> 8;
	EQ(send(fd, out, len, MSG_NOSIGNAL), len);
	for (got = 0; got < len; got += n) {
		n = SYS(recv(fd, in + got, len - got, 0));
		CHECK(n > 0);
	}
	CHECK(!memcmp(in, out, len));
}

/* How long OpenSSL takes for as many, between two processes with a thread each.  Return: seconds. */
static double userspace_handshakes(unsigned int count)
{
	struct crowd clients;
	double start;

	crowd_start(&clients, v->version);
	EQ(crowd_report(&clients).members, 0);
	start = now();
	crowd_connect(&clients, &crowd.tls, count, 1);
	UNTIL(crowd_report(&clients).established == count);
	start = now() - start;
	crowd_close(&clients);
	crowd_end(&clients);
	UNTIL(!crowd_report(&crowd).members);
	return start;
}

static void at_once(void)
{
	const unsigned int count = asked_for("E2E_AT_ONCE", 200);
	unsigned int i, seed = 1;
	int *fds = new_fds(count);
	double kssl, userspace = 0;

	set_up(profiles);
	if (getenv("E2E_COMPARE"))
		userspace = userspace_handshakes(count);
	/* So that all are there before the first one is over. */
	SYS(kill(service_pid, SIGSTOP));
	begin(fds, count, v->server);
	UNTIL(stat_of("waiting") == count);
	kssl = now();
	SYS(kill(service_pid, SIGCONT));
	finish(fds, count);
	kssl = now() - kssl;
	note("%u handshakes: %.0f a second", count, count / kssl);
	if (userspace)
		note("OpenSSL alone: %.0f a second; ratio %.2f", count / userspace, userspace / kssl);
	for (i = 0; i < count; i++)
		exchange(fds[i], &seed);
	close_all(fds, count);
	tear_down();
}

/* ---- under load ---- */

#define STREAMS		12

/**
 * struct stream - a connection that is never quiet
 * @fd: its socket
 * @thread: who uses it
 * @rounds: so many times came back what was sent
 */
struct stream {
	int fd;
	pthread_t thread;
	atomic_uint rounds;
};

static struct stream streams[STREAMS];
static atomic_int enough;

static void *run_stream(void *arg)
{
	struct stream *s = arg;
	unsigned int seed = s->fd;

	while (!enough) {
		exchange(s->fd, &seed);
		s->rounds++;
		/* Others want the processor too. */
		usleep(rand_r(&seed) % 20000);
	}
	return NULL;
}

static void start_streams(void)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fds[STREAMS], i;

	begin_and_finish(fds, STREAMS, v->server);
	for (i = 0; i < STREAMS; i++) {
		streams[i].fd = fds[i];
		SYS(setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
		EQ(pthread_create(&streams[i].thread, NULL, run_stream, &streams[i]), 0);
	}
}

/* Each stream goes on, and a new connection can be made. */
static void all_is_well(const char *when)
{
	unsigned int before[STREAMS];
	int fd, i;

	note("%s", when);
	for (i = 0; i < STREAMS; i++)
		before[i] = streams[i].rounds;
	begin_and_finish(&fd, 1, v->server);
	echo(fd, when);
	close(fd);
	for (i = 0; i < STREAMS; i++)
		UNTIL(streams[i].rounds >= before[i] + 2);
}

/* The peers' tickets have no reader but the kernel. */
static void tickets(void)
{
	uint32_t before = crowd_report(&crowd).tickets;

	if (!v->server && is_13())
		CHECK(crowd_send_tickets(&crowd).tickets >= before + STREAMS);
}

static void reload(void)
{
	SYS(kill(service_pid, SIGHUP));
	service_wait_told("RELOADING=1");
	service_wait_told("READY=1");
}

static void stop_streams(void)
{
	unsigned int rounds = 0;
	int i;

	enough = 1;
	for (i = 0; i < STREAMS; i++) {
		EQ(pthread_join(streams[i].thread, NULL), 0);
		EQ(error_of(streams[i].fd).err, 0);
		rounds += streams[i].rounds;
		close(streams[i].fd);
	}
	note("%u exchanges", rounds);
}

static void under_load(void)
{
	long long failed;
	pid_t old;

	set_up(profiles);
	failed = stat_of("failed");
	start_streams();
	all_is_well("before");
	tickets();
	service_write_conf("profile \"another\" {\n role = \"client\"\n}\n");
	reload();
	all_is_well("reloaded");
	old = service_pid;
	SYS(kill(old, SIGUSR2));
	service_pid = service_wait_told("READY=1");
	CHECK(service_pid > 0 && service_pid != old);
	tickets();
	all_is_well("upgraded");
	SYS(kill(old, SIGKILL));
	EQ(waitpid(old, NULL, 0), old);
	tickets();
	all_is_well("the old one killed");
	service_stop(SIGKILL);
	tickets();
	service_start();
	tickets();
	all_is_well("killed and started");
	service_stop(SIGTERM);
	service_start();
	tickets();
	all_is_well("ended and started");
	stop_streams();
	EQ(crowd_report(&crowd).broken, 0);
	EQ(crowd_report(&crowd).failed, 0);
	EQ(stat_of("failed"), failed);
	tear_down();
}

/* ---- half handshakes ---- */

#define LISTENER_LIMIT	12
#define USER_LIMIT	18

/* Sockets go some time after both ends have closed. */
static void load_module(const char *parameters)
{
	char command[128];

	UNTIL(!syscall(SYS_delete_module, "kssl", O_NONBLOCK));
	snprintf(command, sizeof(command), "modprobe kssl %s", parameters);
	EQ(system(command), 0);
}

static void as_user(uid_t uid)
{
	/* Of this thread alone. */
	SYS(syscall(SYS_setresuid, -1, uid, -1));
}

static int listen_as(uid_t uid, struct sockaddr_in *sa, uint32_t timeout_ms)
{
	struct kssl_handshake hs = as_server("web");
	int fd = listen_on(sa);

	if (timeout_ms)
		hs.timeout_ms = timeout_ms;
	set_ulp(fd);
	as_user(uid);
	SYS(setsockopt(fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)));
	as_user(0);
	SYS(listen(fd, 64));
	return fd;
}

static size_t client_hello(unsigned char *buf, size_t size)
{
	static SSL_CTX *ctx;
	SSL *ssl;
	BIO *out = BIO_new(BIO_s_mem());
	int len;

	if (!ctx)
		ctx = peer_context(0, v->version);
	ssl = SSL_new(ctx);
	CHECK(ssl && out);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	EQ(SSL_connect(ssl), -1);
	len = BIO_read(out, buf, size);
	CHECK(len > 64);
	SSL_free(ssl);
	return len;
}

/* A client that says nothing, half of a ClientHello, or stops in mid-handshake. */
static int half_client(const struct sockaddr_in *to, int how)
{
	unsigned char hello[4096];
	size_t len = client_hello(hello, sizeof(hello));
	int fd = connect_to(to);

	if (how == 1)
		EQ(send(fd, hello, len / 2, 0), len / 2);
	if (how == 2)
		EQ(send(fd, hello, len, 0), len);
	return fd;
}

struct flood {
	int listener;
	struct sockaddr_in at;
	int count;
	int clients[USER_LIMIT];
	int children[USER_LIMIT];
};

/* So many get in, and then none. */
static void flood(struct flood *f, int count)
{
	long long refused = stat_of("failed_too_many");
	int i, client, child;

	for (i = 0; i < count; i++) {
		f->clients[i] = half_client(&f->at, i % 3);
		f->children[i] = SYS(accept(f->listener, NULL, NULL));
		EQ(how_it_stands(f->children[i]), EINPROGRESS);
	}
	f->count = count;
	for (i = 0; i < 3; i++) {
		client = half_client(&f->at, i);
		child = SYS(accept(f->listener, NULL, NULL));
		EQ(how_it_stands(child), EUSERS);
		EQ(error_of(child).who, KSSL_WHO_KERNEL);
		close(child);
		close(client);
	}
	EQ(stat_of("failed_too_many"), refused + 3);
}

static void ebb(struct flood *f)
{
	close_all(f->clients, f->count);
	close_all(f->children, f->count);
	f->count = 0;
}

static void others_are_served(void)
{
	int fds[4];

	begin_and_finish(fds, 2, 0);
	begin_and_finish(fds + 2, 2, 1);
	echo(fds[0], "a client");
	echo(fds[2], "a server");
	close_all(fds, 4);
}

static void late(void)
{
	struct flood f;
	struct pollfd pfd = { .events = POLLIN };
	long long timeouts = stat_of("failed_timeout");
	int i;

	f.listener = listen_as(NOBODY, &f.at, 1000);
	for (i = 0; i < 3; i++) {
		f.clients[i] = half_client(&f.at, i);
		f.children[i] = SYS(accept(f.listener, NULL, NULL));
	}
	f.count = 3;
	for (i = 0; i < 3; i++) {
		pfd.fd = f.children[i];
		EQ(poll(&pfd, 1, PATIENCE_MS), 1);
		EQ(how_it_stands(f.children[i]), ETIMEDOUT);
	}
	EQ(stat_of("failed_timeout"), timeouts + 3);
	ebb(&f);
	close(f.listener);
}

static void half_handshakes(void)
{
	struct flood one, two;
	char parameters[96];
	int round, fd;

	snprintf(parameters, sizeof(parameters), "handshakes_listener=%d handshakes_user=%d", LISTENER_LIMIT,
		 USER_LIMIT);
	load_module(parameters);
	set_up(profiles);
	one.listener = listen_as(NOBODY, &one.at, 0);
	two.listener = listen_as(NOBODY, &two.at, 0);
	/* If one were still counted, the second round would find the limit too early. */
	for (round = 0; round < 2; round++) {
		flood(&one, LISTENER_LIMIT);
		flood(&two, USER_LIMIT - LISTENER_LIMIT);
		/* Neither can he begin one elsewhere. */
		as_user(NOBODY);
		fd = begin_client(&crowd.tls);
		as_user(0);
		EQ(how_it_stands(fd), EUSERS);
		close(fd);
		others_are_served();
		ebb(&one);
		crowd_connect(&crowd, &two.at, 1, 1);
		fd = SYS(accept(two.listener, NULL, NULL));
		echo(fd, "room again");
		close(fd);
		ebb(&two);
		UNTIL(!stat_of("sessions"));
	}
	late();
	close(one.listener);
	close(two.listener);
	tear_down();
	load_module("");
}

/* ---- two users ---- */

static const char two_profiles[] =
	"workers = 2\n"
	"profile \"test\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n}\n"
	"profile \"web\" {\n\tcertificate = \"build/certs/ecdsa.crt\"\n\tkey = \"build/certs/ecdsa.key\"\n}\n"
	"profile \"alice\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n\tallow = { \"user:1001\" }\n}\n"
	"profile \"bob\" {\n\trole = \"client\"\n\ttrust = \"build/certs/ca.crt\"\n\tallow = { \"user:1002\" }\n}\n";

/* Of a user's socket: 0 and an open connection, or why not. */
static int shake_as(uid_t uid, const char *profile, int *fd)
{
	struct kssl_handshake hs = as_client(profile, "localhost");
	int err;

	*fd = connect_to(&crowd.tls);
	set_ulp(*fd);
	as_user(uid);
	err = setsockopt(*fd, SOL_KSSL, KSSL_HANDSHAKE, &hs, sizeof(hs)) ? errno : 0;
	as_user(0);
	if (!err)
		echo(*fd, profile);
	EQ(error_of(*fd).err, err);
	return err;
}

/* kssl-ctl of @uid; its exit status, and in @out what it prints. */
static int ctl_as(uid_t uid, char *out, size_t size, const char *command, const char *arg)
{
	int pipes[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	SYS(pipe2(pipes, O_CLOEXEC));
	pid = SYS(fork());
	if (!pid) {
		explain = NULL;
		SYS(setresgid(uid, uid, uid));
		SYS(setresuid(uid, uid, uid));
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execl("build/userspace/kssl-ctl", "kssl-ctl", command, arg, NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], out + len, size - 1 - len)) > 0)
		len += n;
	out[len] = 0;
	close(pipes[0]);
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What another user's kssl-ctl says and does of session @id. */
static void is_out_of_reach(uid_t uid, const char *id)
{
	static const char *const commands[] = { "show", "renegotiate", "rekey", "close" };
	char out[4096];
	unsigned int i;
	int status;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		status = ctl_as(uid, out, sizeof(out), commands[i], id);
		if (status != 3 && status != 4)
			check_failed(__FILE__, __LINE__, "%s %s gives %d: %s", commands[i], id, status, out);
	}
	EQ(ctl_as(uid, out, sizeof(out), "monitor", NULL), 4);
	EQ(ctl_as(uid, out, sizeof(out), "list", NULL), 0);
	CHECK(!strstr(out, "alice"));
}

/* By any number: his files are not to be had of another process. */
static void has_no_file_of(uid_t uid, pid_t pid)
{
	int pidfd = SYS(syscall(SYS_pidfd_open, pid, 0)), status, fd;
	pid_t child = SYS(fork());

	if (!child) {
		explain = NULL;
		SYS(setresgid(uid, uid, uid));
		SYS(setresuid(uid, uid, uid));
		for (fd = 0; fd < 64; fd++)
			FAILS(syscall(SYS_pidfd_getfd, pidfd, fd, 0), EPERM);
		_exit(0);
	}
	close(pidfd);
	EQ(waitpid(child, &status, 0), child);
	EQ(status, 0);
}

/* The number of the session of @profile, of which there is one. */
static void find_session(const char *profile, char *id, size_t size)
{
	char line[512];
	FILE *f = popen("build/userspace/kssl-ctl list", "r");

	CHECK(f);
	id[0] = 0;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, profile))
			snprintf(id, size, "%d", atoi(line));
	EQ(pclose(f), 0);
	CHECK(atoi(id) > 0);
}

static void two_users(void)
{
	char id[16], out[4096];
	int fd, other, resumed;

	set_up(two_profiles);
	EQ(shake_as(ALICE, "alice", &fd), 0);
	EQ(shake_as(BOB, "bob", &other), 0);
	close(other);
	EQ(shake_as(BOB, "alice", &other), EACCES);
	close(other);
	EQ(shake_as(ALICE, "bob", &other), EACCES);
	close(other);
	find_session("alice", id, sizeof(id));
	is_out_of_reach(BOB, id);
	/* Not because nobody could. */
	EQ(ctl_as(ALICE, out, sizeof(out), "show", id), 0);
	CHECK(strstr(out, "alice"));
	echo(fd, "untouched");
	EQ(error_of(fd).err, 0);
	has_no_file_of(BOB, getpid());
	has_no_file_of(BOB, service_pid);
	EQ(ctl_as(ALICE, out, sizeof(out), "close", id), 0);
	EQ(error_of(fd).err, ECANCELED);
	close(fd);
	/* Nor does one resume the other's session, once the daemon has put it away. */
	do {
		EQ(shake_as(ALICE, "test", &fd), 0);
		resumed = session_of(fd).flags & KSSL_SESSION_RESUMED;
		close(fd);
	} while (!resumed);
	EQ(shake_as(BOB, "test", &fd), 0);
	EQ(session_of(fd).flags & KSSL_SESSION_RESUMED, 0);
	close(fd);
	tear_down();
}

static const struct test tests[] = {
	{ "idle", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, idle },
	{ "handshakes at once", OVER_OPENSSL | OVER_ROLES | OVER_TLS13, at_once },
	{ "under load", OVER_OPENSSL | OVER_ROLES | OVER_VERSIONS, under_load },
	{ "two users", OVER_OPENSSL | OVER_CLIENT | OVER_VERSIONS, two_users },
	/* The module is unloaded, so nothing else may use it. */
	{ "half handshakes", OVER_OPENSSL | OVER_SERVER | OVER_VERSIONS, half_handshakes },
	{ NULL },
};

int main(int argc, char **argv)
{
	return tap_main(argc, argv, tests);
}
