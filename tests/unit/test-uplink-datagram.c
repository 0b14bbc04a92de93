/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Published UDP ports: real sockets on the host's side, the test is the pod. */

#include "uplink-datagram.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

struct posting {
	struct looped looped;
	struct uplink_scopes *scopes;
	struct uplink_datagrams *datagrams;
	unsigned n; /* frames to the pod */
	uint8_t frame[PACKET_MAX];
	size_t length;
	struct uplink_packet packet;
};

static void on_write(void *opaque, const uint8_t *frame, size_t length)
{
	struct posting *posting = opaque;
	uint8_t again[PACKET_MAX];

	assert_true(length <= sizeof(posting->frame));
	memcpy(posting->frame, frame, length);
	memcpy(again, frame, length);
	uplink_frame_checksum(again, length);
	assert_memory_equal(again, frame, length);
	assert_int_equal(uplink_frame_parse(posting->frame, length, &posting->packet), 0);
	posting->length = length;
	posting->n++;
}

static void posting_init(struct posting *posting)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x64};
	const struct uplink_config config = make_config();

	*posting = (struct posting){};
	looped_init(&posting->looped);
	assert_int_equal(uplink_scopes_new(&config, &posting->scopes, NULL), 0);
	assert_int_equal(uplink_datagrams_new(posting->looped.loop,
				 posting->scopes, on_write, posting, &posting->datagrams, NULL), 0);
	uplink_datagrams_set_mac(posting->datagrams, mac);
}

static void posting_done(struct posting *posting)
{
	turn_while_busy(&posting->looped);
	uplink_datagrams_free(posting->datagrams);
	uplink_scopes_free(posting->scopes);
	looped_done(&posting->looped);
}

static int udp_socket(const char *ip, struct sockaddr_storage *ret, socklen_t *ret_size)
{
	struct uplink_address address = make_address(ip, 0);
	socklen_t size = uplink_sockaddr(&address, ret);
	int fd = socket(ret->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (ret->ss_family == AF_INET)
		setsockopt(fd, SOL_IP, IP_PKTINFO, &one, sizeof(one));
	else
		setsockopt(fd, SOL_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)ret, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &size), 0);
	*ret_size = size;
	return fd;
}

/* Publishes a port of the host, on @ip, as port 53 of the child. Return: its number there. */
static in_port_t publish(struct posting *posting, uint32_t id, uint32_t child, const char *ip)
{
	const struct uplink_port port = {.id = id, .child = child, .port = 53,
		.protocol = IPPROTO_UDP, .n_fds = 1};
	struct sockaddr_storage address;
	struct uplink_address bound;
	socklen_t size;
	int fd = udp_socket(ip, &address, &size);

	assert_int_equal(uplink_datagrams_add(posting->datagrams, &port, &fd, NULL), 0);
	assert_true(uplink_from_sockaddr(&address, &bound));
	return bound.port;
}

/* A client that is connected to there: it hears no others. */
static int client_socket(const char *from, const char *to, in_port_t port, in_port_t *ret_port)
{
	struct uplink_address server = make_address(to, ntohs(port)), bound;
	struct sockaddr_storage address;
	socklen_t size;
	int fd = udp_socket(from, &address, &size);

	assert_true(uplink_from_sockaddr(&address, &bound));
	if (ret_port)
		*ret_port = bound.port;
	size = uplink_sockaddr(&server, &address);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	return fd;
}

static void send_datagram(struct posting *posting, int fd, const char *text)
{
	unsigned before = posting->n;

	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	turn_until(&posting->looped, posting->n > before);
	assert_int_equal(posting->packet.transport_length, 8 + strlen(text));
	assert_memory_equal(posting->packet.transport + 8, text, strlen(text));
}

/* The server's answer to the last frame. Return: was it taken? */
static bool answer(struct posting *posting, const char *text)
{
	struct uplink_packet packet = posting->packet;
	uint8_t udp[PACKET_MAX];

	packet.source = posting->packet.destination;
	packet.destination = posting->packet.source;
	packet.transport = udp;
	packet.transport_length = make_udp(udp, ntohs(packet.source.port),
		ntohs(packet.destination.port), text, strlen(text));
	return uplink_datagrams_answer(posting->datagrams, &packet);
}

static void expect_datagram(struct posting *posting, int fd, const char *text)
{
	char bytes[64];

	turn_until(&posting->looped, is_readable(fd));
	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static void assert_way(const struct posting *posting, const char *source, const char *server)
{
	struct in6_addr from = make_ip(source);
	struct uplink_address to = make_address(server, 53);

	assert_memory_equal(&posting->packet.source.ip, &from, sizeof(from));
	assert_address(&posting->packet.destination, &to);
}

static struct uplink_child make_child(const char *address, bool up)
{
	struct uplink_child child = {.id = 1, .up = up, .n_addresses = 1};

	child.addresses[0] = make_ip(address);
	return child;
}

/* ---- there and back ---- */

static void questions_and_answers_in_both_families(void **state)
{
	static const struct {
		const char *host, *source, *server;
	} cases[] = {
		{"127.0.0.1", "10.0.2.2", "10.0.2.100"},
		{"::1", "fd00::2", "fd00::64"},
	};

	for (size_t i = 0; i < 2; i++) {
		struct posting posting;
		in_port_t port, own;
		int client;

		posting_init(&posting);
		port = publish(&posting, 1, 0, cases[i].host);
		client = client_socket(cases[i].host, cases[i].host, port, &own);
		send_datagram(&posting, client, "question");
		assert_way(&posting, cases[i].source, cases[i].server);
		assert_int_equal(posting.packet.source.port, own);
		assert_memory_equal(posting.frame, posting.datagrams->mac, 6);
		assert_true(answer(&posting, "answer"));
		expect_datagram(&posting, client, "answer");
		/* Nothing is a datagram as well. */
		send_datagram(&posting, client, "");
		assert_true(answer(&posting, ""));
		expect_datagram(&posting, client, "");
		assert_int_equal(posting.datagrams->n_clients, 1);
		close(client);
		posting_done(&posting);
	}
}

static void answers_leave_from_where_the_question_came_to(void **state)
{
	struct posting posting;
	in_port_t port;
	int client;

	posting_init(&posting);
	port = publish(&posting, 1, 0, "0.0.0.0");
	client = client_socket("127.0.0.1", "127.0.0.9", port, NULL);
	send_datagram(&posting, client, "question");
	assert_true(answer(&posting, "answer"));
	expect_datagram(&posting, client, "answer");
	close(client);
	posting_done(&posting);
}

static void clients_with_the_same_port_are_told_apart(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "127.0.0.2"};
	struct uplink_address sources[2];
	struct posting posting;
	in_port_t port;
	int clients[2];

	posting_init(&posting);
	port = publish(&posting, 1, 0, "0.0.0.0");
	for (int i = 0; i < 2; i++) {
		struct uplink_address address = make_address(hosts[i], 40404);

		clients[i] = client_socket(hosts[i], "127.0.0.9", port, NULL);
		assert_non_null(client_of(posting.datagrams->sockets, &address));
		sources[i] = of_age(posting.datagrams->ages.newest)->source;
	}
	assert_memory_equal(&sources[0].ip, &sources[1].ip, sizeof(sources[0].ip));
	assert_int_equal(sources[0].port, htons(40404));
	assert_int_not_equal(sources[1].port, sources[0].port);
	close(clients[0]);
	close(clients[1]);
	posting_done(&posting);
}

static void other_datagrams_are_not_taken(void **state)
{
	struct posting posting;
	in_port_t port;
	int client;

	posting_init(&posting);
	port = publish(&posting, 1, 0, "127.0.0.1");
	client = client_socket("127.0.0.1", "127.0.0.1", port, NULL);
	send_datagram(&posting, client, "question");
	posting.packet.destination.port = htons(54);
	assert_false(answer(&posting, "from another server"));
	posting.packet.destination.port = htons(53);
	posting.packet.source.port ^= htons(1);
	assert_false(answer(&posting, "to another client"));
	posting.packet.source.port ^= htons(1);
	posting.packet.fragment = true;
	assert_false(answer(&posting, "a part"));
	posting.packet.fragment = false;
	assert_true(answer(&posting, "answer"));
	expect_datagram(&posting, client, "answer");
	close(client);
	posting_done(&posting);
}

/* The header says more, or less, than there is. */
static void lengths_are_not_believed(void **state)
{
	struct posting posting;
	in_port_t port;
	int client;

	posting_init(&posting);
	port = publish(&posting, 1, 0, "127.0.0.1");
	client = client_socket("127.0.0.1", "127.0.0.1", port, NULL);
	send_datagram(&posting, client, "question");
	for (unsigned said = 0; said < 64; said++) {
		struct uplink_packet packet = posting.packet;
		uint8_t udp[16] = {[4] = (uint8_t)(said * 3), [5] = (uint8_t)said};

		packet.source = posting.packet.destination;
		packet.destination = posting.packet.source;
		packet.transport = udp;
		packet.transport_length = sizeof(udp);
		assert_int_equal(uplink_datagrams_answer(posting.datagrams, &packet), 0);
		udp[4] = 0;
		assert_int_equal(uplink_datagrams_answer(posting.datagrams, &packet),
			said >= 8 && said <= 16);
	}
	close(client);
	posting_done(&posting);
}

/* ---- servers ---- */

static void a_child_that_is_not_up_gets_nothing(void **state)
{
	struct uplink_child child = make_child("10.89.0.2", false);
	struct posting posting;
	in_port_t port;
	int client;

	posting_init(&posting);
	assert_int_equal(uplink_scopes_set(posting.scopes, &child, NULL), 0);
	port = publish(&posting, 1, 1, "127.0.0.1");
	client = client_socket("127.0.0.1", "127.0.0.1", port, NULL);
	assert_int_equal(send(client, "x", 1, 0), 1);
	turn_until(&posting.looped, !is_readable(posting.datagrams->sockets->fd));
	assert_int_equal(posting.n, 0);
	child.up = 1;
	assert_int_equal(uplink_scopes_set(posting.scopes, &child, NULL), 0);
	send_datagram(&posting, client, "hello");
	assert_way(&posting, "10.0.2.2", "10.89.0.2");
	close(client);
	posting_done(&posting);
}

static void a_server_that_has_moved_is_found(void **state)
{
	struct uplink_child child = make_child("10.89.0.2", true);
	struct posting posting;
	in_port_t port;
	int client;

	posting_init(&posting);
	assert_int_equal(uplink_scopes_set(posting.scopes, &child, NULL), 0);
	port = publish(&posting, 1, 1, "127.0.0.1");
	client = client_socket("127.0.0.1", "127.0.0.1", port, NULL);
	send_datagram(&posting, client, "one");
	child = make_child("10.89.0.3", true);
	assert_int_equal(uplink_scopes_set(posting.scopes, &child, NULL), 0);
	send_datagram(&posting, client, "two");
	assert_way(&posting, "10.0.2.2", "10.89.0.3");
	assert_int_equal(posting.datagrams->n_clients, 1);
	assert_int_equal(uplink_scopes_find(posting.scopes, 1)->counters.bytes_in, 3);
	close(client);
	posting_done(&posting);
}

/* ---- limits and ends ---- */

static void there_is_a_limit_and_the_oldest_go(void **state)
{
	struct posting posting;
	struct uplink_address first = make_address("192.0.2.1", 1000);

	posting_init(&posting);
	publish(&posting, 1, 0, "127.0.0.1");
	for (unsigned i = 0; i < UPLINK_CLIENTS_MAX + 5; i++) {
		struct uplink_address address = make_address("192.0.2.1", 1000 + i);

		assert_non_null(client_of(posting.datagrams->sockets, &address));
		assert_ptr_equal(client_of(posting.datagrams->sockets, &address),
			of_age(posting.datagrams->ages.newest));
	}
	assert_int_equal(posting.datagrams->n_clients, UPLINK_CLIENTS_MAX);
	first.port = htons(1005);
	assert_address(&of_age(posting.datagrams->ages.oldest)->client, &first);
	assert_int_equal(uplink_scopes_first(posting.scopes)->references,
		1 + UPLINK_CLIENTS_MAX);
	posting_done(&posting);
}

/* As sd-event calls it: the timer is off by then. */
static void tick(struct posting *posting)
{
	sd_event_source *timer = posting->datagrams->timer;

	assert_true(sd_event_source_set_enabled(timer, SD_EVENT_OFF) >= 0);
	assert_int_equal(on_timer(timer, 0, posting->datagrams), 0);
}

static void silent_clients_are_forgotten(void **state)
{
	struct posting posting;
	struct uplink_address address = make_address("192.0.2.1", 1000);
	struct client *client;
	int enabled;

	posting_init(&posting);
	publish(&posting, 1, 0, "127.0.0.1");
	client = client_of(posting.datagrams->sockets, &address);
	use(client);
	client->answered = true;
	client->used_ms -= BOTH_WAYS_MS - 1000;
	tick(&posting);
	assert_int_equal(posting.datagrams->n_clients, 1);
	assert_true(sd_event_source_get_enabled(posting.datagrams->timer, &enabled) >= 0);
	assert_int_equal(enabled, SD_EVENT_ONESHOT);
	client->answered = false;
	tick(&posting);
	assert_int_equal(posting.datagrams->n_clients, 0);
	assert_true(sd_event_source_get_enabled(posting.datagrams->timer, &enabled) >= 0);
	assert_int_equal(enabled, SD_EVENT_OFF);
	posting_done(&posting);
}

static void a_removed_port_takes_its_clients_along(void **state)
{
	struct posting posting;
	in_port_t ports[2];
	int clients[2], fd;

	posting_init(&posting);
	for (int i = 0; i < 2; i++) {
		ports[i] = publish(&posting, 10 + (unsigned)i, 0, "127.0.0.1");
		clients[i] = client_socket("127.0.0.1", "127.0.0.1", ports[i], NULL);
		send_datagram(&posting, clients[i], "hello");
	}
	fd = posting.datagrams->sockets->next->fd;
	/* With an event that is there already. */
	assert_int_equal(send(clients[0], "late", 4, 0), 4);
	uplink_datagrams_remove(posting.datagrams, 10);
	uplink_datagrams_remove(posting.datagrams, 10);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(posting.datagrams->n_clients, 1);
	turn_while_busy(&posting.looped);
	assert_int_equal(posting.n, 2);
	send_datagram(&posting, clients[1], "still here");
	assert_true(answer(&posting, "answer"));
	close(clients[0]);
	close(clients[1]);
	posting_done(&posting);
}

static void sockets_that_are_not_taken_are_the_callers(void **state)
{
	const struct uplink_port port = {.id = 1, .port = 53, .protocol = IPPROTO_UDP, .n_fds = 2};
	struct posting posting;
	struct sockaddr_storage address;
	socklen_t size;
	int fds[2];

	posting_init(&posting);
	fds[0] = udp_socket("127.0.0.1", &address, &size);
	/* epoll has no files. */
	fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(uplink_datagrams_add(posting.datagrams, &port, fds, NULL), -EPERM);
	assert_null(posting.datagrams->sockets);
	turn_while_busy(&posting.looped);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
	posting_done(&posting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_and_answers_in_both_families),
		cmocka_unit_test(answers_leave_from_where_the_question_came_to),
		cmocka_unit_test(clients_with_the_same_port_are_told_apart),
		cmocka_unit_test(other_datagrams_are_not_taken),
		cmocka_unit_test(lengths_are_not_believed),
		cmocka_unit_test(a_child_that_is_not_up_gets_nothing),
		cmocka_unit_test(a_server_that_has_moved_is_found),
		cmocka_unit_test(there_is_a_limit_and_the_oldest_go),
		cmocka_unit_test(silent_clients_are_forgotten),
		cmocka_unit_test(a_removed_port_takes_its_clients_along),
		cmocka_unit_test(sockets_that_are_not_taken_are_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
