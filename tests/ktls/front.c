// SPDX-License-Identifier: MIT
/*
 * What programs rely on with kTLS and the kernel's own test does not look at.  Runs on tls.ko too, which has to
 * pass all but what is marked as kssl's.  Prints TAP.
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kssl.h>

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

#define ALERT	21
#define HANDSHAKE	22
#define DATA	23

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("# %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, errno); \
			return false;					\
		}							\
	} while (0)

/* Two ends of a connection, with the ULP. */
struct pair {
	int a;
	int b;
};

static bool is_kssl;

static void open_pair(struct pair *p)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	struct timeval patience = { .tv_sec = 20 };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	p->a = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len) ||
	    connect(p->a, (struct sockaddr *)&address, len)) {
		printf("Bail out! no connection: %s\n", strerror(errno));
		exit(1);
	}
	p->b = accept(listener, NULL, NULL);
	if (setsockopt(p->a, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) ||
	    setsockopt(p->b, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))) {
		printf("Bail out! no pair of sockets with the ULP tls: %s\n", strerror(errno));
		exit(1);
	}
	setsockopt(p->a, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(p->b, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	close(listener);
}

static void close_pair(struct pair *p)
{
	close(p->a);
	close(p->b);
}

static struct tls12_crypto_info_aes_gcm_128 make_info(unsigned short version, unsigned char seed)
{
	struct tls12_crypto_info_aes_gcm_128 info;

	memset(&info, seed, sizeof(info));
	info.info.version = version;
	info.info.cipher_type = TLS_CIPHER_AES_GCM_128;
	memset(info.rec_seq, 0, sizeof(info.rec_seq));
	return info;
}

static int set_key(int fd, int option, unsigned short version, unsigned char seed)
{
	struct tls12_crypto_info_aes_gcm_128 info = make_info(version, seed);

	return setsockopt(fd, SOL_TLS, option, &info, sizeof(info));
}

static ssize_t send_typed(int fd, unsigned char type, const void *data, size_t len)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(1)];
	} control = { .header = { .cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE } };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};

	*CMSG_DATA(&control.header) = type;
	return sendmsg(fd, &msg, 0);
}

/* The type of what was read, and msg_flags; -1 without a type. */
static int recv_typed(int fd, void *data, size_t len, ssize_t *got, int *flags)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(1)];
	} control;
	struct iovec iov = { data, len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	*got = recvmsg(fd, &msg, 0);
	*flags = msg.msg_flags;
	cmsg = *got < 0 ? NULL : CMSG_FIRSTHDR(&msg);
	return cmsg && cmsg->cmsg_level == SOL_TLS && cmsg->cmsg_type == TLS_GET_RECORD_TYPE ? *CMSG_DATA(cmsg) : -1;
}

static short ready(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events & POLLIN ? POLLIN : events };

	/* There may be room before what was sent has come. */
	if (poll(&pfd, 1, 10000) != 1)
		return 0;
	pfd.events = events;
	return poll(&pfd, 1, 10000) == 1 ? pfd.revents : 0;
}

/* OpenSSL 3.0 has TLS 1.3 sent by the kernel and receives it itself. */
static bool one_direction(struct pair *p)
{
	char buf[100];

	CHECK(!set_key(p->a, TLS_TX, TLS_1_3_VERSION, 1));
	CHECK(!set_key(p->b, TLS_RX, TLS_1_3_VERSION, 1));
	CHECK(send(p->b, "clear", 5, 0) == 5);
	CHECK(ready(p->a, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
	CHECK(recv(p->a, buf, sizeof(buf), 0) == 5 && !memcmp(buf, "clear", 5));
	CHECK(send(p->a, "sealed", 6, 0) == 6);
	CHECK(ready(p->b, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
	CHECK(recv(p->b, buf, sizeof(buf), 0) == 6 && !memcmp(buf, "sealed", 6));
	/* The other direction joins later. */
	CHECK(!set_key(p->b, TLS_TX, TLS_1_3_VERSION, 2));
	CHECK(!set_key(p->a, TLS_RX, TLS_1_3_VERSION, 2));
	CHECK(send(p->b, "too", 3, 0) == 3);
	CHECK(recv(p->a, buf, sizeof(buf), 0) == 3 && !memcmp(buf, "too", 3));
	return true;
}

/* Who takes a connection over gets the number of the next record, and in TLS 1.2 its nonce. */
static bool keys_back(struct pair *p)
{
	static const unsigned short versions[] = { TLS_1_2_VERSION, TLS_1_3_VERSION };
	struct tls12_crypto_info_aes_gcm_128 want, got;
	struct pair other = *p;
	char buf[10];
	int i, end;

	for (i = 0; i < 2; i++) {
		if (i)
			open_pair(&other);
		CHECK(!set_key(other.a, TLS_TX, versions[i], 7));
		CHECK(!set_key(other.b, TLS_RX, versions[i], 7));
		CHECK(send(other.a, "x", 1, 0) == 1 && recv(other.b, buf, 10, 0) == 1);
		CHECK(send(other.a, "y", 1, 0) == 1 && recv(other.b, buf, 10, 0) == 1);
		want = make_info(versions[i], 7);
		want.rec_seq[7] = 2;
		if (versions[i] == TLS_1_2_VERSION)
			want.iv[7] += 2;
		for (end = 0; end < 2; end++) {
			socklen_t len = sizeof(got);

			CHECK(!getsockopt(end ? other.b : other.a, SOL_TLS, end ? TLS_RX : TLS_TX, &got, &len));
			CHECK(len == sizeof(got) && !memcmp(&got, &want, sizeof(got)));
		}
		if (i)
			close_pair(&other);
	}
	return true;
}

/* Alerts are the program's: none goes out, none is looked at, and a FIN is an end of file. */
static bool alerts(struct pair *p)
{
	static const char close_notify[] = { 1, 0 };
	char buf[100];
	ssize_t got;
	int flags;

	CHECK(!set_key(p->a, TLS_TX, TLS_1_2_VERSION, 3));
	CHECK(!set_key(p->b, TLS_RX, TLS_1_2_VERSION, 3));
	CHECK(send_typed(p->a, ALERT, close_notify, 2) == 2);
	CHECK(send(p->a, "behind", 6, 0) == 6);
	close(p->a);
	CHECK(recv(p->b, buf, sizeof(buf), 0) < 0 && errno == EIO);
	CHECK(recv_typed(p->b, buf, sizeof(buf), &got, &flags) == ALERT && got == 2 && (flags & MSG_EOR));
	CHECK(recv_typed(p->b, buf, sizeof(buf), &got, &flags) == DATA && got == 6);
	CHECK(recv(p->b, buf, sizeof(buf), 0) == 0);
	p->a = dup(p->b);
	return true;
}

/* kssl's: a bad record is answered with an alert, as OpenSSL does; tls.ko gives the first send its error. */
static bool alert_behind_error(struct pair *p)
{
	char buf[100] = { DATA, 3, 3, 0, 40 };
	ssize_t got;
	int flags;

	CHECK(!set_key(p->b, TLS_RX, TLS_1_2_VERSION, 4));
	CHECK(!set_key(p->b, TLS_TX, TLS_1_2_VERSION, 5));
	CHECK(!set_key(p->a, TLS_RX, TLS_1_2_VERSION, 5));
	CHECK(send(p->a, buf, 45, 0) == 45);
	CHECK(recv(p->b, buf, sizeof(buf), 0) < 0 && errno == EBADMSG);
	CHECK(send_typed(p->b, ALERT, "\2\24", 2) == 2);
	CHECK(recv_typed(p->a, buf, sizeof(buf), &got, &flags) == ALERT && got == 2 && !memcmp(buf, "\2\24", 2));
	return true;
}

static bool mismatch(struct pair *p)
{
	struct tls12_crypto_info_aes_gcm_256 info = { .info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256 } };

	CHECK(!set_key(p->a, TLS_TX, TLS_1_2_VERSION, 1));
	CHECK(set_key(p->a, TLS_RX, TLS_1_3_VERSION, 1) && errno == EINVAL);
	CHECK(setsockopt(p->a, SOL_TLS, TLS_RX, &info, sizeof(info)) && errno == EINVAL);
	CHECK(set_key(p->a, TLS_TX, TLS_1_2_VERSION, 1) && errno == EBUSY);
	CHECK(setsockopt(p->a, SOL_TLS, 99, &info, sizeof(info)) && errno == ENOPROTOOPT);
	return true;
}

/* kssl's: what MSG_MORE has left open goes out with the FIN. */
static bool left_open(struct pair *p)
{
	char buf[10];

	CHECK(!set_key(p->a, TLS_TX, TLS_1_3_VERSION, 6));
	CHECK(!set_key(p->b, TLS_RX, TLS_1_3_VERSION, 6));
	CHECK(send(p->a, "open", 4, MSG_MORE) == 4);
	CHECK(!shutdown(p->a, SHUT_WR));
	CHECK(recv(p->b, buf, sizeof(buf), 0) == 4 && !memcmp(buf, "open", 4));
	CHECK(recv(p->b, buf, sizeof(buf), 0) == 0);
	return true;
}

/* kssl's: out of numbers, and the other direction goes on. */
static bool last_number(struct pair *p)
{
	struct tls12_crypto_info_aes_gcm_128 info = make_info(TLS_1_3_VERSION, 8);
	char buf[10];

	memset(info.rec_seq, 0xff, sizeof(info.rec_seq));
	CHECK(!setsockopt(p->a, SOL_TLS, TLS_TX, &info, sizeof(info)));
	CHECK(!set_key(p->a, TLS_RX, TLS_1_3_VERSION, 9));
	CHECK(!set_key(p->b, TLS_TX, TLS_1_3_VERSION, 9));
	CHECK(send(p->a, "no", 2, 0) < 0 && errno == EBADMSG);
	CHECK(send(p->b, "yes", 3, 0) == 3);
	CHECK(recv(p->a, buf, sizeof(buf), 0) == 3);
	CHECK(send(p->a, "no", 2, 0) < 0 && errno == EBADMSG);
	/* Nor does another key help, and it says so. */
	CHECK(set_key(p->a, TLS_TX, TLS_1_3_VERSION, 10) && errno == EBADMSG);
	return true;
}

/* What the peer has sent is there, and TCP has told it so. */
static bool settle(int from)
{
	int left = 1, tries;

	for (tries = 0; left && tries < 20000; tries++) {
		if (ioctl(from, SIOCOUTQ, &left))
			return false;
		usleep(1000);
	}
	return !left;
}

/* What came before shutdown() can be read behind it. */
static bool shut_read(struct pair *p)
{
	char buf[20];
	int i;

	CHECK(!set_key(p->a, TLS_RX, TLS_1_2_VERSION, 6));
	CHECK(!set_key(p->b, TLS_TX, TLS_1_2_VERSION, 6));
	for (i = 0; i < 3; i++)
		CHECK(send(p->b, "abc", 3, 0) == 3);
	CHECK(settle(p->b));
	CHECK(!shutdown(p->a, SHUT_RD));
	CHECK(recv(p->a, buf, 9, MSG_WAITALL) == 9 && !memcmp(buf, "abcabcabc", 9));
	CHECK(recv(p->a, buf, sizeof(buf), 0) == 0);
	return true;
}

/* Records of TLS 1.2 without content, numbers @first on, under the key of set_key(.., @seed). */
static bool send_empties(int fd, unsigned char seed, int first, int count)
{
	struct tls12_crypto_info_aes_gcm_128 info = make_info(TLS_1_2_VERSION, seed);
	EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
	bool ok = evp;
	int i, n;

	for (i = first; ok && i < first + count; i++) {
		unsigned char record[5 + 8 + 16] = { DATA, 3, 3, 0, 8 + 16, [12] = i };
		unsigned char aad[13] = { [7] = i, DATA, 3, 3 }, nonce[12];

		memcpy(nonce, info.salt, 4);
		memcpy(nonce + 4, record + 5, 8);
		ok = EVP_EncryptInit_ex(evp, EVP_aes_128_gcm(), NULL, info.key, nonce) &&
		     EVP_EncryptUpdate(evp, NULL, &n, aad, sizeof(aad)) && EVP_EncryptFinal_ex(evp, NULL, &n) &&
		     EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, 16, record + 13) &&
		     send(fd, record, sizeof(record), 0) == sizeof(record);
	}
	EVP_CIPHER_CTX_free(evp);
	return ok;
}

/* kssl's: a peer may not make work for ever that is no data. */
static bool no_content(struct pair *p)
{
	char buf[10];

	CHECK(!set_key(p->b, TLS_RX, TLS_1_2_VERSION, 6));
	CHECK(send_empties(p->a, 6, 0, 32));
	CHECK(settle(p->a));
	CHECK(recv(p->b, buf, sizeof(buf), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CHECK(send_empties(p->a, 6, 32, 1));
	CHECK(recv(p->b, buf, sizeof(buf), 0) < 0 && errno == EBADMSG);
	return true;
}

/* A read of no bytes waits for none. */
static bool read_nothing(struct pair *p)
{
	char byte;

	CHECK(!set_key(p->a, TLS_RX, TLS_1_3_VERSION, 6));
	CHECK(recv(p->a, &byte, 0, 0) == 0);
	return true;
}

/* Timestamps of what was sent wait in the socket's error queue. */
static bool error_queue(struct pair *p)
{
	int what = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
	char control[512];
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct pollfd pfd = { .fd = p->a };

	CHECK(!setsockopt(p->a, SOL_SOCKET, SO_TIMESTAMPING, &what, sizeof(what)));
	CHECK(!set_key(p->a, TLS_TX, TLS_1_3_VERSION, 6));
	CHECK(!set_key(p->a, TLS_RX, TLS_1_3_VERSION, 7));
	CHECK(poll(&pfd, 1, 0) == 0);
	CHECK(send(p->a, "abc", 3, 0) == 3);
	CHECK(poll(&pfd, 1, 20000) == 1 && pfd.revents == POLLERR);
	CHECK(recvmsg(p->a, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) == 0);
	CHECK(msg.msg_controllen > 0);
	CHECK(poll(&pfd, 1, 0) == 0);
	return true;
}

/* kssl's: who is told of a bad header does not find the socket readable for ever. */
static bool told_once(struct pair *p)
{
	static const char header[] = { DATA, 3, 3, 0x7f, 0x7f };
	char byte;

	CHECK(!set_key(p->a, TLS_RX, TLS_1_3_VERSION, 6));
	CHECK(send(p->b, header, sizeof(header), 0) == sizeof(header));
	CHECK(recv(p->a, &byte, 1, 0) < 0 && errno == EMSGSIZE);
	CHECK(recv(p->a, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	CHECK(!(ready(p->a, POLLIN) & POLLIN));
	/* But not that nothing more comes. */
	CHECK(!shutdown(p->b, SHUT_WR) && settle(p->b));
	CHECK(ready(p->a, POLLIN) & POLLIN);
	CHECK(recv(p->a, &byte, 1, MSG_DONTWAIT) < 0 && errno == EMSGSIZE);
	return true;
}

#define LONG	100000

/* A message of another type takes several records; data that somebody else sends meanwhile does not get into them. */
static bool between(struct pair *p)
{
	static char sent[LONG], buf[20000];
	int size = 1, flags, type, i;
	size_t typed = 0, data = 0;
	ssize_t got, j;
	pid_t child;

	CHECK(!set_key(p->a, TLS_TX, TLS_1_3_VERSION, 6));
	CHECK(!set_key(p->b, TLS_RX, TLS_1_3_VERSION, 6));
	setsockopt(p->a, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(p->b, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	memset(sent, 't', sizeof(sent));
	child = fork();
	if (!child)
		_exit(send_typed(p->a, HANDSHAKE, sent, LONG) != LONG);
	for (i = 0; i < 2; i++) {
		pid_t other = fork();

		if (!other) {
			for (i = 0; i < 200; i++)
				if (send(p->a, "d", 1, i < 199 ? MSG_MORE : 0) != 1)
					_exit(1);
			_exit(0);
		}
	}
	while (typed < LONG || data < 400) {
		type = recv_typed(p->b, buf, sizeof(buf), &got, &flags);
		CHECK(type == HANDSHAKE || type == DATA);
		CHECK(got > 0);
		for (j = 0; j < got; j++)
			CHECK(buf[j] == (type == HANDSHAKE ? 't' : 'd'));
		*(type == HANDSHAKE ? &typed : &data) += got;
	}
	CHECK(typed == LONG && data == 400);
	for (i = 0; i < 3; i++) {
		int status = 1;

		wait(&status);
		CHECK(!status);
	}
	return true;
}

static bool sleeps(pid_t pid)
{
	char path[40], text[512] = "", *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* kssl's: a writer that sleeps in TCP would go on in clear text. */
static bool asleep_writer(struct pair *p)
{
	static char zeros[1 << 20];
	pid_t pid;
	int ret, err;

	while (send(p->a, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	pid = fork();
	if (!pid) {
		while (send(p->a, zeros, sizeof(zeros), 0) > 0)
			;
		_exit(0);
	}
	CHECK(pid > 0);
	while (!sleeps(pid))
		usleep(1000);
	ret = set_key(p->a, TLS_TX, TLS_1_3_VERSION, 6);
	err = errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(ret && err == EBUSY);
	return true;
}

/* kssl's: nobody gets a helper, and who looks sees the records. */
static bool own_options(struct pair *p)
{
	struct kssl_status status = { .size = sizeof(status) };
	socklen_t len = sizeof(status);
	int fd;

	CHECK(!set_key(p->a, TLS_TX, TLS_1_3_VERSION, 6));
	CHECK(send(p->a, "one", 3, 0) == 3);
	CHECK(!getsockopt(p->a, SOL_KSSL, KSSL_STATUS, &status, &len));
	CHECK(status.tx.records == 1 && status.tx.version == 0x0304 && !status.attended);
	len = sizeof(fd);
	CHECK(getsockopt(p->a, SOL_KSSL, KSSL_CONTROL, &fd, &len) && errno == ENOPROTOOPT);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct pair *p);
	bool only_kssl;
} tests[] = {
	{ "one_direction", one_direction, false },
	{ "keys_back", keys_back, false },
	{ "alerts", alerts, false },
	{ "alert_behind_error", alert_behind_error, true },
	{ "mismatch", mismatch, false },
	{ "left_open", left_open, true },
	{ "asleep_writer", asleep_writer, true },
	{ "own_options", own_options, true },
	{ "last_number", last_number, true },
	{ "between", between, false },
	{ "shut_read", shut_read, false },
	{ "no_content", no_content, true },
	{ "read_nothing", read_nothing, false },
	{ "error_queue", error_queue, false },
	{ "told_once", told_once, true },
};

int main(int argc, char **argv)
{
	unsigned int i, count = 0, failed = 0;

	is_kssl = argc > 1 && !strcmp(argv[1], "kssl");
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct pair p;
		bool ok;

		if (tests[i].only_kssl && !is_kssl)
			continue;
		open_pair(&p);
		ok = tests[i].run(&p);
		close_pair(&p);
		failed += !ok;
		printf("%sok %u - front: %s\n", ok ? "" : "not ", ++count, tests[i].name);
	}
	printf("1..%u\n", count);
	return failed != 0;
}
