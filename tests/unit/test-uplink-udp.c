/* SPDX-License-Identifier: GPL-2.0-or-later */

/* UDP to the outside: real sockets there, the test is the pod. */

#include "uplink-udp.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

struct posting {
	struct looped looped;
	struct uplink_scopes *scopes;
	struct uplink_target target;
	struct uplink_udp *udp;
	unsigned n; /* frames to the pod */
	uint8_t frame[PACKET_MAX];
	struct uplink_packet packet;
	int server;
	unsigned port;
};

static void on_write(void *opaque, const uint8_t *frame, size_t length)
{
	struct posting *posting = opaque;

	assert_true(length <= sizeof(posting->frame));
	memcpy(posting->frame, frame, length);
	assert_int_equal(uplink_frame_parse(posting->frame, length, &posting->packet), 0);
	posting->n++;
}

/* The outside is a loopback address that is not the loopback's, so to speak. */
static void posting_init(struct posting *posting)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x64};
	struct sockaddr_in bound = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(bound);

	*posting = (struct posting){};
	posting->target.config = make_config();
	posting->target.config.host_loopback = true;
	looped_init(&posting->looped);
	assert_int_equal(uplink_scopes_new(&posting->target.config, &posting->scopes, NULL), 0);
	assert_int_equal(uplink_udp_new(posting->looped.loop,
				 posting->scopes, &posting->target, mac, on_write, posting,
				 &posting->udp, NULL), 0);
	posting->server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(posting->server, (struct sockaddr *)&bound, size), 0);
	assert_int_equal(getsockname(posting->server, (struct sockaddr *)&bound, &size), 0);
	posting->port = ntohs(bound.sin_port);
}

static void posting_done(struct posting *posting)
{
	turn_while_busy(&posting->looped);
	uplink_udp_free(posting->udp);
	uplink_scopes_free(posting->scopes);
	looped_done(&posting->looped);
	if (posting->server >= 0)
		close(posting->server);
}

/* To the gateway's name for the host. */
static bool post_from(struct posting *posting, const char *source, unsigned from, const void *data,
	size_t size)
{
	uint8_t packet[PACKET_MAX], udp[PACKET_MAX];
	struct uplink_packet parsed;
	size_t length = make_udp(udp, from, posting->port, data, size);

	length = make_packet(packet, source, "10.0.2.2", IPPROTO_UDP, udp, length);
	assert_int_equal(uplink_packet_parse(packet, length, &parsed), 0);
	return uplink_udp_send(posting->udp,
		uplink_scopes_of(posting->scopes, &parsed.source.ip), &parsed);
}

static bool post(struct posting *posting, unsigned from, const void *data, size_t size)
{
	return post_from(posting, "10.0.2.100", from, data, size);
}

static void datagrams_go_there_and_back(void **state)
{
	struct posting posting;
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char text[64];

	posting_init(&posting);
	assert_true(post(&posting, 4000, "hello", 5));
	uplink_udp_flush(posting.udp);
	assert_int_equal(recvfrom(posting.server, text, sizeof(text), 0, (struct sockaddr *)&from,
				 &size), 5);
	assert_int_equal(sendto(posting.server, "hi", 2, 0, (struct sockaddr *)&from, size), 2);
	turn_until(&posting.looped, posting.n == 1);
	assert_int_equal(posting.packet.source.port, htons((uint16_t)posting.port));
	assert_int_equal(posting.packet.destination.port, htons(4000));
	assert_memory_equal(posting.packet.transport + 8, "hi", 2);
	posting_done(&posting);
}

/* Gathered or not, each is one of its own. */
static void datagrams_of_one_size_stay_apart(void **state)
{
	static const size_t sizes[] = {600, 600, 600, 100, 600, 600, 700};
	struct posting posting;
	uint8_t data[1000] = {};

	posting_init(&posting);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		data[0] = (uint8_t)i;
		assert_true(post(&posting, 4000, data, sizes[i]));
	}
	uplink_udp_flush(posting.udp);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(recv(posting.server, data, sizeof(data), 0), sizes[i]);
		assert_int_equal(data[0], i);
	}
	posting_done(&posting);
}

static void an_empty_datagram_is_one(void **state)
{
	struct posting posting;
	char text[8];

	posting_init(&posting);
	assert_true(post(&posting, 4000, NULL, 0));
	assert_true(post(&posting, 4000, NULL, 0));
	uplink_udp_flush(posting.udp);
	assert_int_equal(recv(posting.server, text, sizeof(text), 0), 0);
	assert_int_equal(recv(posting.server, text, sizeof(text), 0), 0);
	posting_done(&posting);
}

static void nobody_there_is_told(void **state)
{
	struct posting posting;

	posting_init(&posting);
	close(take_fd(&posting.server));
	assert_true(post(&posting, 4000, "hello", 5));
	uplink_udp_flush(posting.udp);
	turn_until(&posting.looped, posting.n == 1);
	assert_int_equal(posting.packet.protocol, IPPROTO_ICMP);
	assert_int_equal(posting.packet.icmp_type, 3);
	assert_int_equal(posting.packet.icmp_code, 3);
	posting_done(&posting);
}

static void a_child_has_its_share_and_its_oldest_go(void **state)
{
	struct uplink_child child = {.id = 1, .up = 1, .n_addresses = 1};
	const struct uplink_address first = make_address("10.88.0.2", 1000);
	struct posting posting;

	posting_init(&posting);
	child.addresses[0] = make_ip("10.88.0.2");
	assert_int_equal(uplink_scopes_set(posting.scopes, &child, NULL), 0);
	assert_true(post(&posting, 4000, "x", 1));
	for (unsigned i = 0; i < UPLINK_CHILD_UDP_MAX + 10; i++)
		assert_true(post_from(&posting, "10.88.0.2", 1000 + i, "x", 1));
	uplink_udp_flush(posting.udp);
	assert_int_equal(uplink_scopes_find(posting.scopes, 1)->n_udp, UPLINK_CHILD_UDP_MAX);
	/* The pod's own, which is older than all of them, is still there; the child's first is not. */
	assert_int_equal(uplink_scopes_first(posting.scopes)->n_udp, 1);
	assert_int_equal(posting.udp->n, UPLINK_CHILD_UDP_MAX + 1);
	for (struct socket *socket = *bucket(posting.udp, &first, AF_INET); socket;
		socket = socket->next)
		assert_false(uplink_address_equal(&socket->source, &first));
	posting_done(&posting);
}

static void what_is_for_libslirp_is_left_to_it(void **state)
{
	struct posting posting;

	posting_init(&posting);
	posting.port = 67;
	assert_false(post(&posting, 68, "x", 1));
	posting.target.config.host_loopback = false;
	posting.port = 5000;
	assert_false(post(&posting, 4000, "x", 1));
	posting_done(&posting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_go_there_and_back),
		cmocka_unit_test(datagrams_of_one_size_stay_apart),
		cmocka_unit_test(an_empty_datagram_is_one),
		cmocka_unit_test(nobody_there_is_told),
		cmocka_unit_test(a_child_has_its_share_and_its_oldest_go),
		cmocka_unit_test(what_is_for_libslirp_is_left_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
