/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that wait for their server. Linux does not send a SYN again while the first one is
 * still in a queue of the same machine (tcp_output.c: skb_still_in_host_queue()), but other systems
 * and slower ways do: the client sends the copy by itself.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "syn.h"
#include "talk.h"

enum {
	LINE_BYTES = 256,
	FILLERS_MAX = 64,
	FULL_MS = 200,
	WINDOW = 64240,
	COPIES = 3,
	END_SECONDS = 30
};

static int begin_connection(const char *address, uint16_t port)
{
	struct talk_peer peer;
	int fd;

	if (talk_resolve(address, port, &peer) < 0)
		return -1;
	fd = talk_socket(&peer, SOCK_STREAM | SOCK_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&peer.address, peer.length) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

int syn_full(const char *address, uint16_t port)
{
	struct pollfd waiting = {.events = POLLOUT};
	struct talk_peer peer;
	char line[LINE_BYTES];
	int listener, fillers[FILLERS_MAX], count = 0, accepted = 0, served = 0, fd, on = 1;

	if (talk_resolve(address, port, &peer) < 0)
		return 2;
	listener = socket(peer.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&peer.address, peer.length) < 0 ||
		listen(listener, 0) < 0)
		return 1;
	/* Full is it when a connection on the host itself is not there at once. */
	while (count < FILLERS_MAX) {
		waiting.fd = fillers[count++] = begin_connection(address, port);
		if (waiting.fd < 0 || poll(&waiting, 1, FULL_MS) == 0)
			break;
	}
	close(fillers[count - 1]);
	puts("full");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (int i = 0; i < count - 1; i++)
		close(fillers[i]);
	/* The fillers say nothing; until standard input ends. */
	struct pollfd both[2] = {
		{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	while (poll(both, 2, -1) > 0 && !both[1].revents) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		accepted++;
		if (recv(fd, line, 1, 0) == 1) {
			served++;
			send(fd, line, 1, MSG_NOSIGNAL);
		}
		close(fd);
	}
	printf("accepted %d, served %d\n", accepted - (count - 1), served);
	return 0;
}

/* The sequence number of the SYN that the socket has sent. Return: 0 or -errno. */
static int first_sequence(int fd, uint32_t *ret)
{
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP, queue = TCP_SEND_QUEUE, r = 0;
	socklen_t length = sizeof(*ret);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) < 0 ||
		getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, ret, &length) < 0)
		r = -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	*ret -= 1;
	return r;
}

/* The checksum of a segment without data over IPv4 (RFC 793); the kernel makes that of IPv6. */
static uint16_t checksum(
	const struct tcphdr *tcp, const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	struct {
		struct in_addr from, to;
		uint16_t protocol, length;
		struct tcphdr tcp;
	} covered = {a->sin_addr, b->sin_addr, htons(IPPROTO_TCP), htons(sizeof(*tcp)), *tcp};
	uint16_t words[sizeof(covered) / 2];
	uint32_t sum = 0;

	memcpy(words, &covered, sizeof(covered));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Sends the socket's SYN once more, without its options. Return: 0 or -errno. */
static int send_again(int fd, const struct talk_peer *peer)
{
	int raw = -1, r, offset = offsetof(struct tcphdr, check);
	struct talk_peer own = {.length = sizeof(own.address)}, to = *peer;
	const struct sockaddr_in *from = (struct sockaddr_in *)&own.address;
	struct tcphdr tcp = {.syn = 1, .doff = sizeof(tcp) / 4, .window = htons(WINDOW)};
	uint32_t sequence;

	r = first_sequence(fd, &sequence);
	if (r < 0)
		return r;
	if (getsockname(fd, (struct sockaddr *)&own.address, &own.length) < 0)
		return -errno;
	/* Ports are at the same place in both families. */
	tcp.source = from->sin_port;
	tcp.dest = ((const struct sockaddr_in *)&peer->address)->sin_port;
	tcp.seq = htonl(sequence);
	raw = socket(own.address.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (raw < 0)
		return -errno;
	if (own.address.ss_family == AF_INET6) {
		setsockopt(raw, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof(offset));
		((struct sockaddr_in6 *)&to.address)->sin6_port = 0;
	} else {
		tcp.check = checksum(&tcp, from, (const struct sockaddr_in *)&peer->address);
	}
	r = sendto(raw, &tcp, sizeof(tcp), 0, (struct sockaddr *)&to.address, to.length) < 0
		    ? -errno
		    : 0;
	close(raw);
	return r;
}

int syn_patient(const char *address, uint16_t port)
{
	int fd = begin_connection(address, port), r;
	struct pollfd waiting = {.fd = fd, .events = POLLOUT};
	struct talk_peer peer;
	char byte = 'p';

	alarm(END_SECONDS);
	talk_resolve(address, port, &peer);
	for (int i = 0; i < COPIES; i++) {
		r = send_again(fd, &peer);
		if (r < 0)
			printf("cannot ask again: %s\n", strerrorname_np(-r));
	}
	puts("asked again");
	fflush(stdout);
	/* It is not connected as long as the server is full. */
	while (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 && (errno == EAGAIN || errno == ENOTCONN))
		poll(&waiting, 1, -1);
	waiting.events = POLLIN;
	if (poll(&waiting, 1, 10000) == 1 && recv(fd, &byte, 1, 0) == 1)
		puts("answered");
	else
		printf("not answered: %s\n", talk_error(errno));
	return 0;
}
