/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The traffic of bench/data-plane.bash that iperf3 and wrk do not make. A tool of the bench: it
 * says what is wrong and ends, and nothing else uses it.
 *
 *   traffic serve ADDRESS PORT            TCP: sends everything back; UDP: counts datagrams. Says
 *                                         "ready" when it listens.
 *   traffic ping ADDRESS PORT COUNT       one byte there and back, COUNT times, without Nagle's
 *                                         algorithm: prints p50 and p99 in microseconds
 *   traffic datagrams ADDRESS PORT SIZE   the highest rate at which less than a thousandth of the
 *                                         datagrams is lost: prints Mbit/s
 *   traffic hold ADDRESS PORT COUNT SECONDS
 *                                         opens connections, sends a byte on each and waits for it
 *                                         to come back: prints "ANSWERED of COUNT, ERRORS, LIMIT".
 *                                         Then holds them until its input ends.
 *   traffic tell SOCKET TEXT              sends the text to a unix socket and prints the answer
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

enum {
	BACKLOG = 4096,
	EVENTS_MAX = 256,
	SAMPLES_MAX = 1000000,
	SIZE_MAX_BYTES = 65507,
	/* Connections that are being made at one time: about what a busy server's backlog takes. */
	CONNECTING_MAX = 128,
	RUNS_MAX = 4096,
};

#define SECOND 1000000000LL
/* A step of the search, and how often in it datagrams are sent. */
#define STEP (SECOND / 10)
#define TICK (SECOND / 5000)

enum datagram_type { DATAGRAM_DATA, DATAGRAM_QUESTION };

struct datagram {
	uint32_t type;
	uint32_t run;
	uint32_t count; /* in an answer: how many arrived */
};

static int failed(const char *what)
{
	int r = -errno;

	fprintf(stderr, "traffic: %s: %s\n", what, strerror(-r));
	return r;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static int resolve(const char *address, const char *port, int type, struct addrinfo **ret)
{
	struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	int r = getaddrinfo(address, port, &hints, ret);

	if (r == 0)
		return 0;
	fprintf(stderr, "traffic: %s %s: %s\n", address, port, gai_strerror(r));
	return -EINVAL;
}

/* The descriptors that the system grants; return: how many. */
static rlim_t raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* A socket that is bound to the address, or connected to it. */
static int open_socket(const char *address, const char *port, int type, bool bound)
{
	struct addrinfo *info;
	int on = 1, size = 4 << 20, fd, r;

	r = resolve(address, port, type, &info);
	if (r < 0)
		return r;
	fd = socket(info->ai_family, type | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bound) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (type == SOCK_DGRAM)
			setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		r = bind(fd, info->ai_addr, info->ai_addrlen);
	} else if (fd >= 0) {
		r = connect(fd, info->ai_addr, info->ai_addrlen);
	}
	if (fd < 0 || r < 0) {
		r = failed(address);
		if (fd >= 0)
			close(fd);
	} else {
		r = fd;
	}
	freeaddrinfo(info);
	return r;
}

/* ---- serve ---- */

static int watch(int poll_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(int poll_fd, int listener)
{
	int on = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (watch(poll_fd, fd, EPOLLIN) < 0)
			close(fd);
	}
}

/* The clients send a byte and wait for it: what is sent back always finds room. */
static void send_back(int fd)
{
	char buffer[4096];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n > 0)
		n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		close(fd);
}

static void count_datagrams(int fd)
{
	static uint32_t arrived[RUNS_MAX];
	static char buffer[SIZE_MAX_BYTES];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	struct datagram datagram;
	ssize_t n;

	while ((n = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *)&from,
			&length)) >= (ssize_t)sizeof(datagram)) {
		memcpy(&datagram, buffer, sizeof(datagram));
		if (datagram.type == DATAGRAM_DATA) {
			arrived[datagram.run % RUNS_MAX]++;
			continue;
		}
		datagram.count = arrived[datagram.run % RUNS_MAX];
		sendto(fd, &datagram, sizeof(datagram), 0, (struct sockaddr *)&from, length);
		/* Numbers of runs are used again by the next client. */
		arrived[(datagram.run + 1) % RUNS_MAX] = 0;
		length = sizeof(from);
	}
}

static int serve(const char *address, const char *port)
{
	struct epoll_event events[EVENTS_MAX];
	autoclose int listener = open_socket(address, port, SOCK_STREAM, true);
	autoclose int datagrams = open_socket(address, port, SOCK_DGRAM, true);
	autoclose int poll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (listener < 0 || datagrams < 0 || poll_fd < 0)
		return -1;
	if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0 || listen(listener, BACKLOG) < 0 ||
		watch(poll_fd, listener, EPOLLIN) < 0 || watch(poll_fd, datagrams, EPOLLIN) < 0)
		return failed("listen");
	raise_limit();
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(poll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_all(poll_fd, listener);
			else if (fd == datagrams)
				count_datagrams(datagrams);
			else
				send_back(fd);
		}
	}
}

/* ---- ping ---- */

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static int ping(const char *address, const char *port, const char *count_text)
{
	static long long samples[SAMPLES_MAX];
	autoclose int fd = -EBADF;
	uint32_t count;
	int on = 1;
	char byte = 'p';

	if (text_to_uint32(count_text, 1, SAMPLES_MAX, &count) < 0)
		return -EINVAL;
	fd = open_socket(address, port, SOCK_STREAM, false);
	if (fd < 0)
		return fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (uint32_t i = 0; i < count; i++) {
		long long start = now();

		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
			return failed("ping");
		samples[i] = now() - start;
	}
	qsort(samples, count, sizeof(samples[0]), compare);
	printf("%.1f %.1f\n", (double)samples[count / 2] / 1e3,
		(double)samples[(uint64_t)count * 99 / 100] / 1e3);
	return 0;
}

/* ---- datagrams ---- */

/* Return: how many datagrams of the run arrived, or -errno. They are in front of the question. */
static int ask(int fd, uint32_t run)
{
	struct datagram question = {.type = DATAGRAM_QUESTION, .run = run}, answer;
	struct timeval patience = {.tv_usec = 50000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (int i = 0; i < 100; i++) {
		if (send(fd, &question, sizeof(question), 0) < 0 && errno != ENOBUFS)
			return failed("send");
		while (recv(fd, &answer, sizeof(answer), 0) == (ssize_t)sizeof(answer))
			if (answer.run == run)
				return (int)answer.count;
	}
	errno = ETIMEDOUT;
	return failed("no answer");
}

/* Sends at the rate (datagrams a second) for a step. Return: the rate that was reached when not
 * one in a thousand was lost, 0 when more were, -1 when nobody answers. */
static double step(int fd, uint32_t run, size_t size, double rate)
{
	static char buffer[SIZE_MAX_BYTES];
	struct datagram datagram = {.type = DATAGRAM_DATA, .run = run};
	long long start = now(), next = start, passed = 0;
	uint32_t sent = 0;
	int arrived;

	memcpy(buffer, &datagram, sizeof(datagram));
	while (passed < STEP) {
		struct timespec until = {next / SECOND, next % SECOND};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		passed = now() - start;
		while (sent < rate * (double)passed / SECOND) {
			sent += send(fd, buffer, size, 0) > 0;
			passed = now() - start;
			if (passed >= STEP)
				break;
		}
		next += TICK;
	}
	arrived = ask(fd, run);
	if (arrived < 0)
		return -1;
	if ((uint64_t)arrived * 1000 < (uint64_t)sent * 999)
		return 0;
	return sent / ((double)passed / SECOND);
}

static int datagrams(const char *address, const char *port, const char *size_text)
{
	autoclose int fd = -EBADF;
	double low = 0, high = 0, rate = 2000, reached;
	uint32_t size, run = 0;

	if (text_to_uint32(size_text, sizeof(struct datagram), SIZE_MAX_BYTES, &size) < 0)
		return -EINVAL;
	fd = open_socket(address, port, SOCK_DGRAM, false);
	/* The first question sets the count of run 1 to 0. */
	if (fd < 0 || ask(fd, run) < 0)
		return -1;
	while ((high == 0 || high > low * 1.05) && run < RUNS_MAX - 1 && rate > 10) {
		reached = step(fd, ++run, size, rate);
		if (reached < 0)
			return -1;
		if (reached == 0)
			high = rate;
		else if (reached > low)
			low = reached;
		/* The sender cannot do more. */
		if (reached > 0 && reached < rate * 0.9)
			break;
		rate = high == 0 ? rate * 1.5 : low == 0 ? rate / 2 : (low + high) / 2;
	}
	printf("%.0f\n", low * size * 8 / 1e6);
	return 0;
}

/* ---- hold ---- */

struct holder {
	int poll_fd;
	uint32_t wanted, begun, ended, answered;
	int errors[256]; /* by errno */
};

static void connection_failed(struct holder *holder, int fd, int error)
{
	holder->errors[error & 255]++;
	holder->ended++;
	if (fd >= 0)
		close(fd);
}

static void connection_begin(struct holder *holder, const struct addrinfo *info)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	holder->begun++;
	if (fd < 0 || (connect(fd, info->ai_addr, info->ai_addrlen) < 0 && errno != EINPROGRESS) ||
		watch(holder->poll_fd, fd, EPOLLOUT) < 0)
		connection_failed(holder, fd, errno);
}

static void connection_goes_on(struct holder *holder, const struct epoll_event *event)
{
	struct epoll_event answer = {.events = EPOLLIN | EPOLLONESHOT, .data = event->data};
	int fd = event->data.fd, error = 0;
	socklen_t length = sizeof(error);
	char byte = 'h';

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error != 0) {
		connection_failed(holder, fd, error);
	} else if (event->events & EPOLLIN) {
		if (recv(fd, &byte, 1, 0) != 1) {
			connection_failed(holder, fd, ECONNRESET);
			return;
		}
		holder->answered++;
		holder->ended++;
	} else if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 ||
		   epoll_ctl(holder->poll_fd, EPOLL_CTL_MOD, fd, &answer) < 0) {
		connection_failed(holder, fd, errno);
	}
}

static void hold_report(const struct holder *holder, rlim_t limit)
{
	const char *separator = "";
	uint32_t silent = holder->begun - holder->ended;

	printf("%u of %u,", holder->answered, holder->wanted);
	for (int i = 0; i < 256; i++)
		if (holder->errors[i] > 0) {
			printf("%s %d %s", separator, holder->errors[i], strerrorname_np(i));
			separator = " +";
		}
	if (silent > 0)
		printf("%s %u without an answer", separator, silent);
	printf("%s, descriptors: %llu\n", holder->answered == holder->wanted ? " no failure" : "",
		(unsigned long long)limit);
	fflush(stdout);
}

static int hold(const char *address, const char *port, const char *count, const char *seconds)
{
	struct holder holder = {.poll_fd = epoll_create1(EPOLL_CLOEXEC)};
	struct epoll_event events[EVENTS_MAX];
	struct addrinfo *info;
	uint32_t patience;
	long long end;
	char byte;

	if (holder.poll_fd < 0 || text_to_uint32(count, 1, UINT32_MAX, &holder.wanted) < 0 ||
		text_to_uint32(seconds, 1, 3600, &patience) < 0 ||
		resolve(address, port, SOCK_STREAM, &info) < 0)
		return -EINVAL;
	rlim_t limit = raise_limit();
	end = now() + patience * SECOND;
	while (holder.ended < holder.wanted && now() < end) {
		while (holder.begun < holder.wanted && holder.begun - holder.ended < CONNECTING_MAX)
			connection_begin(&holder, info);
		int n = epoll_wait(holder.poll_fd, events, EVENTS_MAX, 100);
		for (int i = 0; i < n; i++)
			connection_goes_on(&holder, &events[i]);
	}
	freeaddrinfo(info);
	hold_report(&holder, limit);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

/* ---- tell ---- */

static int tell(const char *path, const char *text)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char buffer[4096];
	ssize_t n;

	if (text_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
		return -ENAMETOOLONG;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 || shutdown(fd, SHUT_WR) < 0)
		return failed(path);
	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		fwrite(buffer, 1, (size_t)n, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(verb, "serve") == 0 && argc == 4)
		return serve(argv[2], argv[3]) < 0;
	if (strcmp(verb, "ping") == 0 && argc == 5)
		return ping(argv[2], argv[3], argv[4]) < 0;
	if (strcmp(verb, "datagrams") == 0 && argc == 5)
		return datagrams(argv[2], argv[3], argv[4]) < 0;
	if (strcmp(verb, "hold") == 0 && argc == 6)
		return hold(argv[2], argv[3], argv[4], argv[5]) < 0;
	if (strcmp(verb, "tell") == 0 && argc == 4)
		return tell(argv[2], argv[3]) < 0;
	fputs("usage: traffic serve|ping|datagrams|hold ADDRESS PORT ...|tell SOCKET TEXT\n",
		stderr);
	return 2;
}
