/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the tests of the uplink's modules share: addresses, packets, a pod's configuration, and a
 * loop that is turned until something is there. Include it after cmocka.h. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink-loop.h"
#include "uplink-packet.h"
#include "uplink.h"

#define ETHERNET_SIZE 14
#define PACKET_MAX 2048
#define FIXTURE_WAIT_MS 10000

/* ---- addresses and packets ---- */

/* Of either family. */
static inline struct in6_addr make_ip(const char *text)
{
	struct in6_addr address = {};
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1)
		return uplink_map4(four);
	assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

static inline struct uplink_address make_address(const char *text, unsigned port)
{
	return (struct uplink_address){.ip = make_ip(text), .port = htons((uint16_t)port)};
}

/* There are bytes between that mean nothing. */
static inline void assert_address(const struct uplink_address *a, const struct uplink_address *b)
{
	assert_memory_equal(&a->ip, &b->ip, sizeof(a->ip));
	assert_int_equal(a->port, b->port);
}

/* An IP packet without options. Return: its length. */
static inline size_t make_packet(uint8_t *ret, const char *source, const char *destination,
	unsigned protocol, const void *payload, size_t size)
{
	struct in6_addr from = make_ip(source), to = make_ip(destination);
	struct in_addr four;

	if (uplink_unmap4(&from, &four)) {
		const uint8_t header[20] = {0x45, [2] = (uint8_t)((size + 20) >> 8),
			(uint8_t)(size + 20), [8] = 64, (uint8_t)protocol};

		memcpy(ret, header, 20);
		memcpy(ret + 12, from.s6_addr + 12, 4);
		memcpy(ret + 16, to.s6_addr + 12, 4);
		if (size > 0)
			memcpy(ret + 20, payload, size);
		return 20 + size;
	}
	memcpy(ret, (const uint8_t[8]){0x60, [4] = (uint8_t)(size >> 8), (uint8_t)size,
				(uint8_t)protocol, 64}, 8);
	memcpy(ret + 8, &from, 16);
	memcpy(ret + 24, &to, 16);
	if (size > 0)
		memcpy(ret + 40, payload, size);
	return 40 + size;
}

static inline size_t make_tcp(uint8_t ret[20], unsigned from, unsigned to, unsigned flags)
{
	memset(ret, 0, 20);
	ret[0] = (uint8_t)(from >> 8);
	ret[1] = (uint8_t)from;
	ret[2] = (uint8_t)(to >> 8);
	ret[3] = (uint8_t)to;
	ret[12] = 0x50;
	ret[13] = (uint8_t)flags;
	return 20;
}

static inline size_t make_udp(uint8_t *ret, unsigned from, unsigned to, const void *data,
	size_t size)
{
	const uint8_t header[8] = {(uint8_t)(from >> 8), (uint8_t)from, (uint8_t)(to >> 8),
		(uint8_t)to, (uint8_t)((size + 8) >> 8), (uint8_t)(size + 8)};

	memcpy(ret, header, 8);
	if (size > 0)
		memcpy(ret + 8, data, size);
	return 8 + size;
}

/* The Ethernet header before a packet that stands at @frame + ETHERNET_SIZE. Return: the frame's
 * length. */
static inline size_t make_frame(uint8_t *frame, size_t packet)
{
	static const uint8_t macs[12] = {0x52, 0x55, 10, 0, 2, 2, 0x52, 0x55, 10, 0, 2, 100};
	bool six = frame[ETHERNET_SIZE] >> 4 == 6;

	memcpy(frame, macs, 12);
	frame[12] = six ? 0x86 : 0x08;
	frame[13] = six ? 0xdd : 0;
	return ETHERNET_SIZE + packet;
}

/* A frame that holds a TCP segment without data. */
static inline size_t make_tcp_frame(uint8_t *frame, const char *source, unsigned from,
	const char *destination, unsigned to, unsigned flags)
{
	uint8_t tcp[20];

	make_tcp(tcp, from, to, flags);
	return make_frame(frame, make_packet(frame + ETHERNET_SIZE, source, destination,
					 IPPROTO_TCP, tcp, sizeof(tcp)));
}

static inline size_t make_udp_frame(uint8_t *frame, const char *source, unsigned from,
	const char *destination, unsigned to, const void *data, size_t size)
{
	uint8_t udp[PACKET_MAX];

	assert_true(size + 8 + 40 + ETHERNET_SIZE <= PACKET_MAX);
	size = make_udp(udp, from, to, data, size);
	return make_frame(frame, make_packet(frame + ETHERNET_SIZE, source, destination,
					 IPPROTO_UDP, udp, size));
}

static inline struct uplink_config make_config(void)
{
	struct uplink_config config = {.ipv6 = 1, .mtu = 1500, .prefix4 = 24, .prefix6 = 64};

	inet_pton(AF_INET, "10.0.2.0", &config.network4);
	inet_pton(AF_INET, "10.0.2.2", &config.gateway4);
	inet_pton(AF_INET, "10.0.2.3", &config.dns4);
	inet_pton(AF_INET, "10.0.2.100", &config.self4);
	config.network6 = make_ip("fd00::");
	config.gateway6 = make_ip("fd00::2");
	config.dns6 = make_ip("fd00::3");
	config.self6 = make_ip("fd00::64");
	return config;
}

/* ---- the loop ---- */

struct looped {
	sd_event *event;
	struct uplink_loop *loop;
};

static inline void looped_init(struct looped *looped)
{
	assert_true(sd_event_new(&looped->event) >= 0);
	assert_int_equal(uplink_loop_new(looped->event, &looped->loop, NULL), 0);
}

static inline void looped_done(struct looped *looped)
{
	uplink_loop_free(looped->loop);
	sd_event_unref(looped->event);
}

/* Turns until the condition holds; what another process or the kernel brings is looked for again
 * every few milliseconds. */
#define turn_until(looped, condition)                                                              \
	do {                                                                                       \
		int64_t end_ = uplink_loop_now_ms() + FIXTURE_WAIT_MS;                             \
                                                                                                   \
		while (!(condition)) {                                                             \
			if (uplink_loop_now_ms() > end_)                                           \
				fail_msg("this did not happen: %s", #condition);                   \
			assert_true(uplink_loop_turn((looped)->loop, 5) >= 0);                     \
		}                                                                                  \
	} while (0)

/* Turns until there is nothing more to do. */
static inline void turn_while_busy(struct looped *looped)
{
	while (uplink_loop_turn(looped->loop, 0) > 0 || uplink_loop_busy(looped->loop))
		;
}

/* ---- sockets ---- */

/* A TCP connection over the loopback: ends[0] is the client's. Both block. */
static inline void connect_tcp(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&address, size), 0);
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ends[1] >= 0);
	close(listener);
}

static inline bool is_readable(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}
