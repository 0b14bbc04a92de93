/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See talk.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "talk.h"

enum { PERIOD = 251, BUFFER = 256 * 1024 };

void talk_say(const struct talk *talk, const char *format, ...)
{
	va_list arguments;

	if (!talk->out)
		return;
	fprintf(talk->out, "%s: %s: ", talk->scenario, talk->who);
	va_start(arguments, format);
	vfprintf(talk->out, format, arguments);
	va_end(arguments);
	fputc('\n', talk->out);
	fflush(talk->out);
}

const char *talk_error(int error)
{
	return error == EAGAIN ? "time-out" : strerrorname_np(error);
}

/* Bytes whose value says where in the stream they are, but for multiples of a prime. */
static const char *pattern(size_t position)
{
	static char bytes[BUFFER + PERIOD];

	if (bytes[1] == 0)
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(i % PERIOD + 1);
	return bytes + position % PERIOD;
}

static uint32_t sum_add(uint32_t sum, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 16777619U; /* FNV-1a */
	return sum;
}

bool talk_send(struct talk *talk, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = size - done < BUFFER ? size - done : BUFFER;
		ssize_t n = send(talk->fd, pattern(done), part, MSG_NOSIGNAL);

		if (n < 0) {
			talk_say(talk, "send: %s", talk_error(errno));
			return false;
		}
		done += (size_t)n;
	}
	talk_say(talk, "sent %zu", size);
	return true;
}

void talk_receive(struct talk *talk, size_t size)
{
	static char buffer[BUFFER];
	const char *then = "more may come";
	uint32_t sum = 2166136261U;
	size_t done = 0;

	while (done < size) {
		size_t part = size - done < BUFFER ? size - done : BUFFER;
		ssize_t n = recv(talk->fd, buffer, part, 0);

		if (n <= 0) {
			then = n == 0 ? "the end" : talk_error(errno);
			break;
		}
		sum = sum_add(sum, buffer, (size_t)n);
		done += (size_t)n;
	}
	talk_say(talk, "received %zu (%08x), then %s", done, sum, then);
}

void talk_await_bytes(struct talk *talk, size_t size)
{
	static char buffer[BUFFER];
	ssize_t n = recv(talk->fd, buffer, size, MSG_PEEK | MSG_WAITALL);

	talk_say(talk, "%zd bytes are there: %s", n,
		n < 0		    ? talk_error(errno)
		: (size_t)n == size ? "all"
				    : "not all");
}

void talk_await_end(struct talk *talk)
{
	struct pollfd waiting = {.fd = talk->fd};
	int n = poll(&waiting, 1, TALK_PATIENCE * 1000);

	talk_say(talk, "%s",
		n == 0			    ? "it does not end"
		: waiting.revents & POLLERR ? "it ends with an error"
					    : "it ends");
}

bool talk_meet(struct talk *talk)
{
	char byte = 'm';

	if (send(talk->fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(talk->fd, &byte, 1, 0) == 1)
		return true;
	talk_say(talk, "does not meet the other side: %s", talk_error(errno));
	return false;
}

void talk_shutdown(struct talk *talk)
{
	if (shutdown(talk->fd, SHUT_WR) < 0)
		talk_say(talk, "shutdown: %s", talk_error(errno));
	else
		talk_say(talk, "ends its direction");
}

void talk_close(struct talk *talk)
{
	close(talk->fd);
	talk->fd = -1;
	talk_say(talk, "closes");
}

void talk_reset(struct talk *talk)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(talk->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(talk->fd);
	talk->fd = -1;
	talk_say(talk, "resets");
}

int talk_resolve(const char *address, uint16_t port, struct talk_peer *ret)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&ret->address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ret->address;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		ret->length = sizeof(*four);
	} else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		ret->length = sizeof(*six);
	} else {
		return -EINVAL;
	}
	return 0;
}

int talk_socket(const struct talk_peer *peer, int type)
{
	struct timeval patience = {.tv_sec = TALK_PATIENCE};
	int fd = socket(peer->address.ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

int talk_connect(const char *address, uint16_t port, int type)
{
	struct talk_peer peer;
	int fd, r;

	r = talk_resolve(address, port, &peer);
	if (r < 0)
		return r;
	fd = talk_socket(&peer, type);
	if (fd < 0)
		return fd;
	r = connect(fd, (struct sockaddr *)&peer.address, peer.length) < 0 ? -errno : 0;
	if (r == 0)
		return fd;
	close(fd);
	/* What connect() says when SO_SNDTIMEO has passed. */
	return r == -EINPROGRESS ? -EAGAIN : r;
}

void talk_address(const struct sockaddr_storage *address, char *text, size_t size)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text,
			(socklen_t)size);
	else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text, (socklen_t)size);
	else
		inet_ntop(AF_INET6, &six->sin6_addr, text, (socklen_t)size);
}
