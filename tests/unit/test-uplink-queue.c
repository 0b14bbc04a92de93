/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages of the kernel's packet queue, made by hand: the frame around a packet is the kernel's,
 * the packet is somebody's in the pod. */

#include "uplink-queue.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

struct datagram {
	char bytes[4096] __attribute__((aligned(8)));
	size_t length;
	struct nlmsghdr *last;
};

static void put_message(struct datagram *datagram, uint16_t type)
{
	datagram->last = begin(datagram->bytes + datagram->length, type);
	datagram->length += datagram->last->nlmsg_len;
}

static void put_attribute(struct datagram *datagram, uint16_t type, const void *data, size_t size)
{
	uint32_t before = datagram->last->nlmsg_len;

	mnl_attr_put(datagram->last, type, size, data);
	datagram->length += datagram->last->nlmsg_len - before;
}

static void put_packet_header(struct datagram *datagram, uint32_t id)
{
	const struct nfqnl_msg_packet_hdr header = {.packet_id = htonl(id), .hook = 3};

	put_attribute(datagram, NFQA_PACKET_HDR, &header, sizeof(header));
}

static void put_syn(struct datagram *datagram, uint32_t id, const char *source,
	const char *destination, unsigned port)
{
	uint8_t packet[PACKET_MAX], tcp[20];
	size_t size;

	put_message(datagram, NFQNL_MSG_PACKET);
	put_packet_header(datagram, id);
	make_tcp(tcp, 4000, port, TH_SYN);
	size = make_packet(packet, source, destination, IPPROTO_TCP, tcp, sizeof(tcp));
	put_attribute(datagram, NFQA_PAYLOAD, packet, size);
}

struct handled {
	unsigned n;
	uint32_t ids[8];
	struct uplink_packet packets[8];
};

static void on_packet(void *opaque, uint32_t id, const struct uplink_packet *packet)
{
	struct handled *handled = opaque;

	assert_true(handled->n < 8);
	handled->ids[handled->n] = id;
	handled->packets[handled->n++] = *packet;
}

static struct handled handle(const struct datagram *datagram, int result)
{
	struct handled handled = {};

	assert_int_equal(uplink_queue_parse(datagram->bytes, datagram->length, on_packet, &handled),
		result);
	return handled;
}

static void packets_are_handed_on_with_their_ids(void **state)
{
	static const struct {
		const char *source, *destination;
		uint8_t family;
	} cases[] = {
		{"10.0.2.100", "1.2.3.4", AF_INET},
		{"fd00::64", "2001:db8::1", AF_INET6},
	};
	struct datagram datagram = {};
	struct handled handled;

	for (unsigned i = 0; i < 2; i++)
		put_syn(&datagram, 0x01020304 + i, cases[i].source, cases[i].destination, 80 + i);
	handled = handle(&datagram, 0);
	assert_int_equal(handled.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		struct uplink_address source = make_address(cases[i].source, 4000);
		struct uplink_address to = make_address(cases[i].destination, 80 + i);

		assert_int_equal(handled.ids[i], 0x01020304 + i);
		assert_int_equal(handled.packets[i].family, cases[i].family);
		assert_int_equal(handled.packets[i].tcp_flags, TH_SYN);
		assert_address(&handled.packets[i].source, &source);
		assert_address(&handled.packets[i].destination, &to);
	}
}

/* They need a verdict all the same. */
static void packets_that_are_none_are_handed_on_empty(void **state)
{
	static const uint8_t nonsense[] = {0x45, 0, 0};
	struct datagram datagram = {};
	struct handled handled;

	put_message(&datagram, NFQNL_MSG_PACKET);
	put_packet_header(&datagram, 1);
	put_message(&datagram, NFQNL_MSG_PACKET);
	put_packet_header(&datagram, 2);
	put_attribute(&datagram, NFQA_PAYLOAD, NULL, 0);
	put_message(&datagram, NFQNL_MSG_PACKET);
	put_packet_header(&datagram, 3);
	put_attribute(&datagram, NFQA_PAYLOAD, nonsense, sizeof(nonsense));
	handled = handle(&datagram, 0);
	assert_int_equal(handled.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(handled.ids[i], i + 1);
		assert_int_equal(handled.packets[i].family, 0);
		assert_int_equal(handled.packets[i].protocol, 0);
	}
}

static void other_attributes_are_of_no_interest(void **state)
{
	static const uint32_t mark = 5;
	struct datagram datagram = {};

	put_message(&datagram, NFQNL_MSG_PACKET);
	put_attribute(&datagram, NFQA_MARK, &mark, sizeof(mark));
	put_attribute(&datagram, 4711, "what is this", 12);
	put_packet_header(&datagram, 7);
	put_attribute(&datagram, NFQA_HWADDR, "odd", 3);
	assert_int_equal(handle(&datagram, 0).ids[0], 7);
}

static void messages_without_an_id_end_it(void **state)
{
	struct datagram datagram = {};

	put_syn(&datagram, 1, "10.0.2.100", "1.2.3.4", 80);
	put_message(&datagram, NFQNL_MSG_PACKET);
	put_attribute(&datagram, NFQA_PAYLOAD, "", 0);
	assert_int_equal(handle(&datagram, -ENOMSG).n, 1);
}

static void a_short_header_is_no_id(void **state)
{
	struct datagram datagram = {};

	put_message(&datagram, NFQNL_MSG_PACKET);
	put_attribute(&datagram, NFQA_PACKET_HDR, "abcdef", 6);
	assert_int_equal(handle(&datagram, -ENOMSG).n, 0);
}

static void other_messages_are_refused(void **state)
{
	static const uint16_t types[] = {NLMSG_ERROR, NLMSG_DONE, NLMSG_NOOP,
		NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT, NFNL_SUBSYS_ULOG << 8};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct datagram datagram = {};

		put_syn(&datagram, 1, "10.0.2.100", "1.2.3.4", 80);
		datagram.last->nlmsg_type = types[i];
		assert_int_equal(handle(&datagram, -ENOMSG).n, 0);
	}
}

/* Cut anywhere, nothing beyond the cut is believed. */
static void cut_datagrams_give_nothing(void **state)
{
	struct datagram datagram = {};
	size_t whole;

	put_syn(&datagram, 1, "10.0.2.100", "1.2.3.4", 80);
	whole = datagram.length;
	for (datagram.length = 0; datagram.length < whole; datagram.length++)
		assert_int_equal(handle(&datagram, 0).n, 0);
}

static void wrong_lengths_are_found(void **state)
{
	struct datagram datagram = {};
	struct nlattr *attribute;
	size_t whole;

	put_syn(&datagram, 1, "10.0.2.100", "1.2.3.4", 80);
	whole = datagram.length;
	for (uint32_t length = 0; length < whole; length++) {
		datagram.last->nlmsg_len = length;
		(void)uplink_queue_parse(datagram.bytes, datagram.length, on_packet,
			&(struct handled){});
	}
	for (unsigned bit = 12; bit < 32; bit++) {
		datagram.last->nlmsg_len = (1u << bit) + (uint32_t)whole;
		assert_int_equal(handle(&datagram, 0).n, 0);
	}
	datagram.last->nlmsg_len = UINT32_MAX;
	assert_int_equal(handle(&datagram, 0).n, 0);
	datagram.last->nlmsg_len = (uint32_t)whole;
	attribute = mnl_nlmsg_get_payload_offset(datagram.last, sizeof(struct nfgenmsg));
	for (uint32_t length = 0; length <= UINT16_MAX; length += 5) {
		attribute->nla_len = (uint16_t)length;
		(void)uplink_queue_parse(datagram.bytes, datagram.length, on_packet,
			&(struct handled){});
	}
}

/* ---- the socket ---- */

/* Whoever has CAP_NET_ADMIN in the pod's netns can send to any netlink socket there. */
static void only_the_kernel_is_listened_to(void **state)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t size = sizeof(address);
	struct uplink_queue *queue = calloc(1, sizeof(*queue));
	struct handled handled = {};
	struct datagram datagram = {};
	int sender = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	assert_non_null(queue);
	queue->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	queue->handler = on_packet;
	queue->opaque = &handled;
	assert_int_equal(bind(queue->socket, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(queue->socket, (struct sockaddr *)&address, &size), 0);
	put_syn(&datagram, 1, "10.0.2.100", "1.2.3.4", 80);
	assert_int_equal(sendto(sender, datagram.bytes, datagram.length, 0,
				 (struct sockaddr *)&address, size), datagram.length);
	assert_true(is_readable(queue->socket));
	receive(queue);
	assert_false(is_readable(queue->socket));
	assert_int_equal(handled.n, 0);
	close(sender);
	close(queue->socket);
	free(queue);
}

/* ---- verdicts ---- */

static void verdicts_are_said_with_their_marks(void **state)
{
	static const struct {
		enum queue_verdict verdict;
		uint32_t answer, mark;
		bool marked;
	} cases[] = {
		{QUEUE_DROP, NF_DROP, 0, false},
		{QUEUE_PASS, NF_ACCEPT, 0, true},
		{QUEUE_TAKE, NF_ACCEPT, MARK_TAKE, true},
		{QUEUE_RESET, NF_ACCEPT, MARK_RESET, true},
		{QUEUE_NO_ROUTE, NF_ACCEPT, MARK_NO_ROUTE, true},
		{QUEUE_NO_HOST, NF_ACCEPT, MARK_NO_HOST, true},
		{QUEUE_PROHIBITED, NF_ACCEPT, MARK_PROHIBITED, true},
	};
	struct uplink_queue queue = {};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	queue.socket = ends[0];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char buffer[512] __attribute__((aligned(8)));
		const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
		const struct nfqnl_msg_verdict_hdr *body = NULL;
		const struct nfgenmsg *message;
		const struct nlattr *attribute;
		uint32_t mark = 4711;
		ssize_t n;

		assert_int_equal(uplink_queue_decide(&queue, 99, cases[i].verdict), 0);
		n = recv(ends[1], buffer, sizeof(buffer), 0);
		assert_true(mnl_nlmsg_ok(header, (int)n));
		assert_int_equal(header->nlmsg_type, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT);
		message = mnl_nlmsg_get_payload(header);
		assert_int_equal(ntohs(message->res_id), MARK_QUEUE);
		mnl_attr_for_each (attribute, header, sizeof(*message)) {
			if (mnl_attr_get_type(attribute) == NFQA_VERDICT_HDR)
				body = mnl_attr_get_payload(attribute);
			else if (mnl_attr_get_type(attribute) == NFQA_MARK)
				mark = ntohl(mnl_attr_get_u32(attribute));
		}
		assert_non_null(body);
		assert_int_equal(ntohl(body->id), 99);
		assert_int_equal(ntohl(body->verdict), cases[i].answer);
		assert_int_equal(mark, cases[i].marked ? cases[i].mark : 4711);
	}
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(uplink_queue_decide(&queue, 99, QUEUE_PASS), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_handed_on_with_their_ids),
		cmocka_unit_test(packets_that_are_none_are_handed_on_empty),
		cmocka_unit_test(other_attributes_are_of_no_interest),
		cmocka_unit_test(messages_without_an_id_end_it),
		cmocka_unit_test(a_short_header_is_no_id),
		cmocka_unit_test(other_messages_are_refused),
		cmocka_unit_test(cut_datagrams_give_nothing),
		cmocka_unit_test(wrong_lengths_are_found),
		cmocka_unit_test(only_the_kernel_is_listened_to),
		cmocka_unit_test(verdicts_are_said_with_their_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
