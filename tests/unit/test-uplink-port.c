/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Published TCP ports: the test is the clients, the servers in the pod (on addresses of the loopback),
 * and podd-outer, which gives sockets. */

#include "uplink-port.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>

#include "fd.h"
#include "outer.h"
#include "uplink-fixture.h"

#define POD "127.0.0.6"
#define CHILD "127.0.0.5"
#define LONG_MS 60000

struct publishing {
	struct looped looped;
	struct uplink_scopes *scopes;
	struct uplink_flows *flows;
	struct uplink_datagrams *datagrams;
	struct uplink_ports *ports;
	int outer; /* podd-outer's end */
	unsigned asked;
};

static void on_tick(void *opaque)
{
}

static void on_write(void *opaque, const uint8_t *frame, size_t length)
{
}

static void publishing_init(struct publishing *publishing)
{
	struct uplink_config config = make_config();
	int ends[2];

	*publishing = (struct publishing){};
	inet_pton(AF_INET, POD, &config.self4);
	looped_init(&publishing->looped);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		0);
	publishing->outer = ends[1];
	assert_int_equal(uplink_scopes_new(&config, &publishing->scopes, NULL), 0);
	assert_int_equal(uplink_flows_new(publishing->looped.loop,
				 publishing->scopes, on_tick, NULL, &publishing->flows, NULL), 0);
	assert_int_equal(uplink_datagrams_new(publishing->looped.loop,
				 publishing->scopes, on_write, NULL, &publishing->datagrams, NULL), 0);
	assert_int_equal(uplink_ports_new(publishing->looped.loop,
				 publishing->flows, publishing->scopes, publishing->datagrams, false,
				 ends[0], &publishing->ports, NULL), 0);
}

static void publishing_done(struct publishing *publishing)
{
	for (struct uplink_flow *flow = uplink_flows_first(publishing->flows); flow;
		flow = flow->next)
		uplink_flow_cut(flow);
	turn_while_busy(&publishing->looped);
	uplink_ports_free(publishing->ports);
	uplink_datagrams_free(publishing->datagrams);
	uplink_flows_free(publishing->flows);
	uplink_scopes_free(publishing->scopes);
	looped_done(&publishing->looped);
	if (publishing->outer >= 0)
		close(publishing->outer);
}

/* podd-outer answers, with so many sockets as it has. Return: was it asked? */
static bool serve_outer(struct publishing *publishing, unsigned at_most)
{
	struct outer_sockets request;
	int fds[OUTER_SOCKETS_MAX];
	unsigned n = 0;

	if (recv(publishing->outer, &request, sizeof(request), MSG_DONTWAIT) !=
		(ssize_t)sizeof(request))
		return false;
	publishing->asked++;
	while (n < request.n && n < at_most)
		fds[n++] = socket(request.domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(fd_send(publishing->outer, "", 1, fds, n), 0);
	while (n > 0)
		close(fds[--n]);
	return true;
}

#define serve_until(publishing, condition)                                                         \
	turn_until(&(publishing)->looped,                                                          \
		(serve_outer(publishing, OUTER_SOCKETS_MAX), condition))

/* Return: a socket that listens; the port is 0 for any, and is set. */
static int listen_on_address(const char *ip, in_port_t *port)
{
	struct uplink_address address = make_address(ip, ntohs(*port));
	struct sockaddr_storage storage;
	socklen_t size = uplink_sockaddr(&address, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&storage, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &size), 0);
	assert_true(uplink_from_sockaddr(&storage, &address));
	*port = address.port;
	return fd;
}

static void set_child(struct publishing *publishing, bool up)
{
	struct uplink_child child = {.id = 1, .up = up, .n_addresses = 1};

	child.addresses[0] = make_ip(CHILD);
	assert_int_equal(uplink_scopes_set(publishing->scopes, &child, NULL), 0);
	if (up)
		uplink_ports_retry(publishing->ports);
}

/* Return: the host's port by which the server's is reached. */
static in_port_t publish(struct publishing *publishing, uint32_t child, in_port_t server,
	uint32_t wait_ms)
{
	const struct uplink_port spec = {.id = 9, .child = child, .wait_ms = wait_ms,
		.port = ntohs(server), .protocol = IPPROTO_TCP, .n_fds = 1};
	in_port_t port = 0;
	int fd = listen_on_address("127.0.0.1", &port);

	assert_int_equal(uplink_ports_add(publishing->ports, &spec, &fd, NULL), 0);
	assert_int_equal(fd, -1);
	return port;
}

static int connect_client(in_port_t port)
{
	struct uplink_address address = make_address("127.0.0.1", ntohs(port));
	struct sockaddr_storage storage;
	socklen_t size = uplink_sockaddr(&address, &storage);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&storage, size), 0);
	return fd;
}

static void expect_reset(struct publishing *publishing, int client)
{
	char byte;

	serve_until(publishing, is_readable(client));
	assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
}

/* The client reaches whoever accepts from @listener. */
static void expect_service(struct publishing *publishing, int client, int listener)
{
	char bytes[8];
	int server;

	serve_until(publishing, is_readable(listener));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	serve_until(publishing, is_readable(server));
	assert_int_equal(recv(server, bytes, sizeof(bytes), 0), 5);
	assert_int_equal(send(server, "hi", 2, 0), 2);
	serve_until(publishing, is_readable(client));
	assert_int_equal(recv(client, bytes, sizeof(bytes), 0), 2);
	close(client);
	close(server);
}

static void clients_reach_the_server(void **state)
{
	static const char *const addresses[] = {POD, CHILD};

	for (uint32_t child = 0; child < 2; child++) {
		struct publishing publishing;
		in_port_t server = 0, port;
		int listener = listen_on_address(addresses[child], &server);

		publishing_init(&publishing);
		set_child(&publishing, true);
		port = publish(&publishing, child, server, LONG_MS);
		for (int i = 0; i < 20; i++)
			expect_service(&publishing, connect_client(port), listener);
		close(listener);
		publishing_done(&publishing);
	}
}

static void a_server_that_is_not_there_is_waited_for(void **state)
{
	struct publishing publishing;
	in_port_t server = 0, port;
	int listener = listen_on_address(CHILD, &server), client;

	publishing_init(&publishing);
	set_child(&publishing, false);
	port = publish(&publishing, 1, server, LONG_MS);
	client = connect_client(port);
	serve_until(&publishing, uplink_flows_first(publishing.flows));
	assert_int_equal(uplink_flows_first(publishing.flows)->state, FLOW_WAITING);
	set_child(&publishing, true);
	expect_service(&publishing, client, listener);
	close(listener);
	publishing_done(&publishing);
}

static void one_that_does_not_listen_yet_is_waited_for(void **state)
{
	struct publishing publishing;
	in_port_t server = 0, port;
	int listener = listen_on_address(CHILD, &server), client;

	close(listener);
	publishing_init(&publishing);
	set_child(&publishing, true);
	port = publish(&publishing, 1, server, LONG_MS);
	client = connect_client(port);
	serve_until(&publishing, uplink_scopes_find(publishing.scopes, 1)->counters.failed > 1);
	listener = listen_on_address(CHILD, &server);
	expect_service(&publishing, client, listener);
	close(listener);
	publishing_done(&publishing);
}

static void waiting_has_an_end(void **state)
{
	struct publishing publishing;
	in_port_t port;

	publishing_init(&publishing);
	set_child(&publishing, false);
	port = publish(&publishing, 1, htons(1), 50);
	expect_reset(&publishing, connect_client(port));
	publishing_done(&publishing);
}

/* It has had time enough to listen. */
static void one_that_refuses_is_believed(void **state)
{
	struct publishing publishing;
	in_port_t server = 0, port;

	close(listen_on_address(CHILD, &server));
	publishing_init(&publishing);
	set_child(&publishing, true);
	uplink_scopes_find(publishing.scopes, 1)->up_since_ms -= 2 * LONG_MS;
	port = publish(&publishing, 1, server, LONG_MS);
	expect_reset(&publishing, connect_client(port));
	publishing_done(&publishing);
}

/* The pod may have a server of its own by that number: it is not meant. */
static void a_child_that_nobody_knows_has_no_server(void **state)
{
	struct publishing publishing;
	in_port_t server = 0, port;
	int listener = listen_on_address(POD, &server);

	publishing_init(&publishing);
	port = publish(&publishing, 1, server, LONG_MS);
	expect_reset(&publishing, connect_client(port));
	assert_false(is_readable(listener));
	close(listener);
	publishing_done(&publishing);
}

static void a_removed_port_resets_who_waits(void **state)
{
	struct publishing publishing;
	in_port_t port;
	int client;

	publishing_init(&publishing);
	set_child(&publishing, false);
	port = publish(&publishing, 1, htons(1), LONG_MS);
	client = connect_client(port);
	serve_until(&publishing, uplink_flows_first(publishing.flows));
	uplink_ports_remove(publishing.ports, 9);
	uplink_ports_remove(publishing.ports, 9);
	expect_reset(&publishing, client);
	turn_while_busy(&publishing.looped);
	assert_null(uplink_flows_first(publishing.flows));
	publishing_done(&publishing);
}

/* podd-outer has no sockets left: it is asked again, but not without a pause. */
static void without_sockets_it_tries_again_later(void **state)
{
	struct publishing publishing;
	in_port_t server = 0, port;
	int listener = listen_on_address(CHILD, &server), client;
	int64_t begun_ms;

	publishing_init(&publishing);
	set_child(&publishing, true);
	port = publish(&publishing, 1, server, LONG_MS);
	client = connect_client(port);
	turn_until(&publishing.looped, serve_outer(&publishing, 0));
	do {
		begun_ms = uplink_loop_now_ms();
		publishing.asked = 0;
		for (int i = 0; i < 20; i++) {
			(void)serve_outer(&publishing, 0);
			uplink_loop_turn(publishing.looped.loop, 0);
		}
	} while (uplink_loop_now_ms() > begun_ms + RETRY_MS / 2);
	assert_true(publishing.asked < 5);
	expect_service(&publishing, client, listener);
	close(listener);
	publishing_done(&publishing);
}

static void without_podd_outer_clients_are_reset(void **state)
{
	struct publishing publishing;
	in_port_t port;

	publishing_init(&publishing);
	set_child(&publishing, true);
	port = publish(&publishing, 1, htons(1), LONG_MS);
	close(take_fd(&publishing.outer));
	expect_reset(&publishing, connect_client(port));
	publishing_done(&publishing);
}

static void ports_that_are_impossible_are_refused(void **state)
{
	struct uplink_port spec = {.id = 9, .port = 80, .protocol = IPPROTO_TCP, .n_fds = 1};
	struct publishing publishing;
	int fds[2] = {-1, -1}, file;

	publishing_init(&publishing);
	assert_int_equal(uplink_ports_add(publishing.ports, &spec, fds, NULL), -EBADF);
	spec.n_fds = 3;
	assert_int_equal(uplink_ports_add(publishing.ports, &spec, fds, NULL), -EBADF);
	/* epoll has no files; the fds stay the caller's. */
	spec.n_fds = 2;
	fds[0] = listen_on_address("127.0.0.1", &(in_port_t){0});
	file = fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(uplink_ports_add(publishing.ports, &spec, fds, NULL), -EPERM);
	assert_int_equal(fds[1], file);
	spec.n_fds = 1;
	assert_int_equal(uplink_ports_add(publishing.ports, &spec, fds, NULL), 0);
	assert_int_equal(uplink_ports_add(publishing.ports, &spec, &file, NULL), -EEXIST);
	close(file);
	publishing_done(&publishing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_reach_the_server),
		cmocka_unit_test(a_server_that_is_not_there_is_waited_for),
		cmocka_unit_test(one_that_does_not_listen_yet_is_waited_for),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(one_that_refuses_is_believed),
		cmocka_unit_test(a_child_that_nobody_knows_has_no_server),
		cmocka_unit_test(a_removed_port_resets_who_waits),
		cmocka_unit_test(without_sockets_it_tries_again_later),
		cmocka_unit_test(without_podd_outer_clients_are_reset),
		cmocka_unit_test(ports_that_are_impossible_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
