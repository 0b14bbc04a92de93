/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The host's sockets of published ports, each test in a network of its own: what is bound, what is
 * said when it cannot be, and sockets that podd was started with. */

#include "port.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "fixture.h"

struct opened {
	int fds[PORT_FDS_MAX];
	unsigned n;
	uint16_t port;
	struct err err;
};

static int open_port(const char *spec, unsigned offset, struct opened *ret)
{
	struct publish publish;

	*ret = (struct opened){.fds = {-1, -1}};
	assert_int_equal(publish_parse(spec, &publish, NULL), 0);
	return port_open(&publish, offset, ret->fds, &ret->n, &ret->port, &ret->err);
}

static void close_opened(struct opened *opened)
{
	close_all(opened->fds, opened->n);
}

static void set_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

struct in_network {
	void (*test)(void);
};

static void enter_network(void *argument)
{
	enter_user_namespace(CLONE_NEWNET, 0);
	set_loopback_up();
	((const struct in_network *)argument)->test();
}

/* Runs a test in a child with a network of its own, in which nothing is bound. */
static void run_in_network(void (*test)(void))
{
	run_child(enter_network, &(struct in_network){test});
}

static int get_option(int fd, int level, int option)
{
	socklen_t size = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
	return value;
}

static union address address_of(int fd)
{
	union address address = {};
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, &address.any, &size), 0);
	return address;
}

/* Return: 0 or -errno of a connection to there. */
static int connect_to(int family, const char *ip, uint16_t port)
{
	union address address;
	socklen_t size = make_address(family, ip, port, &address);
	autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, &address.any, size) < 0 ? -errno : 0;
}

/* Bound, and for TCP listening, as somebody else would. */
static int bind_other(int family, int type, const char *ip, uint16_t port)
{
	union address address;
	socklen_t size = make_address(family, ip, port, &address);
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (family == AF_INET6)
		assert_int_equal(setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, &address.any, size), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* The number that the next fd gets: it says whether one was left open. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

/* ---- what is bound ---- */

static void tcp_on_both_families(void)
{
	struct opened opened;

	assert_int_equal(open_port("8080:80", 0, &opened), 0);
	assert_int_equal(opened.n, 2);
	assert_int_equal(opened.port, 8080);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(address_of(opened.fds[i]).any.sa_family, i ? AF_INET6 : AF_INET);
		assert_int_equal(port_number(opened.fds[i]), 8080);
		assert_int_equal(get_option(opened.fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_true(fcntl(opened.fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(opened.fds[i], F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(get_option(opened.fds[1], SOL_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(connect_to(AF_INET, "127.0.0.1", 8080), 0);
	assert_int_equal(connect_to(AF_INET6, "::1", 8080), 0);
	close_opened(&opened);
}

static void udp_on_both_families(void)
{
	struct opened opened;

	assert_int_equal(open_port("5353:53/udp", 0, &opened), 0);
	assert_int_equal(opened.n, 2);
	assert_int_equal(get_option(opened.fds[0], SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	/* Answers leave from where the question came to. */
	assert_int_equal(get_option(opened.fds[0], SOL_IP, IP_PKTINFO), 1);
	assert_int_equal(get_option(opened.fds[1], SOL_IPV6, IPV6_RECVPKTINFO), 1);
	close_opened(&opened);
}

static void tcp_and_udp_are_apart(void)
{
	struct opened tcp, udp;

	assert_int_equal(open_port("5353:53", 0, &tcp), 0);
	assert_int_equal(open_port("5353:53/udp", 0, &udp), 0);
	close_opened(&tcp);
	close_opened(&udp);
}

static void one_address_only(void)
{
	struct opened opened;

	assert_int_equal(open_port("127.0.0.1:8080:80", 0, &opened), 0);
	assert_int_equal(opened.n, 1);
	assert_int_equal(address_of(opened.fds[0]).in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(connect_to(AF_INET, "127.0.0.2", 8080), -ECONNREFUSED);
	assert_int_equal(connect_to(AF_INET6, "::1", 8080), -ECONNREFUSED);
	close_opened(&opened);
	assert_int_equal(open_port("[::1]:8080:80", 0, &opened), 0);
	assert_int_equal(opened.n, 1);
	assert_int_equal(address_of(opened.fds[0]).any.sa_family, AF_INET6);
	assert_int_equal(connect_to(AF_INET, "127.0.0.1", 8080), -ECONNREFUSED);
	close_opened(&opened);
}

static void ports_of_a_range(void)
{
	for (unsigned offset = 0; offset < 3; offset++) {
		struct opened opened;

		assert_int_equal(open_port("65533-65535:80-82", offset, &opened), 0);
		assert_int_equal(opened.port, 65533 + offset);
		assert_int_equal(port_number(opened.fds[1]), 65533 + offset);
		close_opened(&opened);
	}
}

static void any_free_port(void)
{
	struct opened opened[20];

	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(open_port(i % 2 ? "80" : "127.0.0.1::80", 0, &opened[i]), 0);
		assert_true(opened[i].port > 0);
		assert_int_equal(opened[i].n, i % 2 ? 2 : 1);
		for (unsigned n = 0; n < opened[i].n; n++)
			assert_int_equal(port_number(opened[i].fds[n]), opened[i].port);
		for (size_t before = 0; before < i; before++)
			assert_int_not_equal(opened[before].port, opened[i].port);
	}
	for (size_t i = 0; i < 20; i++)
		close_opened(&opened[i]);
}

/* ---- what cannot be ---- */

static void ports_in_use(void)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < 2; i++) {
		int other = bind_other(families[i], SOCK_STREAM, "", 8080), next = next_fd();
		struct opened opened;

		assert_int_equal(open_port("8080:80", 0, &opened), -EADDRINUSE);
		assert_contains(opened.err.msg, "port 8080/tcp of the host (any address) is in use");
		assert_contains(opened.err.msg, "ss -lnp -t sport = 8080");
		/* Of the family that was free nothing is left. */
		assert_int_equal(next_fd(), next);
		assert_int_equal(opened.n, 0);
		assert_int_equal(opened.fds[0], -1);
		close(other);
		assert_int_equal(open_port("8080:80", 0, &opened), 0);
		close_opened(&opened);
	}
}

static void udp_ports_in_use(void)
{
	int other = bind_other(AF_INET6, SOCK_DGRAM, "", 5353);
	struct opened opened;

	assert_int_equal(open_port("5353:53/udp", 0, &opened), -EADDRINUSE);
	assert_contains(opened.err.msg, "port 5353/udp");
	close(other);
}

/* Where somebody was served just now, the next one can be at once. */
static void connections_of_an_earlier_listener(void)
{
	struct opened opened;
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;
	union address address;
	socklen_t size = make_address(AF_INET, "127.0.0.1", 8080, &address);

	assert_int_equal(open_port("8080:80", 0, &opened), 0);
	assert_int_equal(connect(client, &address.any, size), 0);
	accepted = accept4(opened.fds[0], NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	close(accepted);
	close(client);
	close_opened(&opened);
	assert_int_equal(open_port("8080:80", 0, &opened), 0);
	close_opened(&opened);
}

static void addresses_of_others(void)
{
	static const char *const specs[] = {"192.0.2.1:8080:80", "[2001:db8::1]:8080:80"};

	for (size_t i = 0; i < 2; i++) {
		int next = next_fd();
		struct opened opened;

		assert_int_equal(open_port(specs[i], 0, &opened), -EADDRNOTAVAIL);
		assert_contains(opened.err.msg, "is no address of this host");
		assert_int_equal(next_fd(), next);
	}
}

static void low_ports_of_a_user(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {};
	struct opened opened;

	assert_int_equal(open_port("80:80", 0, &opened), 0);
	close_opened(&opened);
	assert_int_equal(syscall(SYS_capset, &header, none), 0);
	assert_int_equal(open_port("80:80", 0, &opened), -EACCES);
	assert_contains(opened.err.msg, "port 80/tcp");
	assert_contains(opened.err.msg, "LISTEN_FDS");
	assert_int_equal(open_port("1024:80", 0, &opened), 0);
	close_opened(&opened);
}

/* ---- sockets that podd was started with ---- */

/* From now on these are. */
static void pass(const int *fds, int n)
{
	char text[32];

	for (int i = 0; i < n; i++)
		assert_int_equal(dup2(fds[i], SD_LISTEN_FDS_START + i), SD_LISTEN_FDS_START + i);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
}

/* Bound, with numbers that are out of the way. */
static int bind_passed(int family, int type, const char *ip, uint16_t port)
{
	int fd = bind_other(family, type, ip, port), high = fcntl(fd, F_DUPFD_CLOEXEC, 100);

	assert_true(high >= 100);
	close(fd);
	return high;
}

static bool is_same(int a, int b)
{
	struct stat first, second;

	assert_int_equal(fstat(a, &first), 0);
	assert_int_equal(fstat(b, &second), 0);
	return first.st_ino == second.st_ino;
}

static void passed_sockets_are_taken(void)
{
	int fds[] = {
		bind_passed(AF_INET, SOCK_STREAM, "", 80),
		bind_passed(AF_INET6, SOCK_STREAM, "", 80),
		bind_passed(AF_INET, SOCK_DGRAM, "127.0.0.1", 53),
	};
	struct opened opened;

	pass(fds, 3);
	/* As often as somebody asks: podd keeps them. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_port("80:8080", 0, &opened), 0);
		assert_int_equal(opened.n, 2);
		assert_int_equal(opened.port, 80);
		assert_true(is_same(opened.fds[0], fds[0]));
		assert_true(is_same(opened.fds[1], fds[1]));
		assert_true(fcntl(opened.fds[0], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(opened.fds[0], F_GETFD) & FD_CLOEXEC);
		close_opened(&opened);
	}
	assert_int_equal(open_port("127.0.0.1:53:53/udp", 0, &opened), 0);
	assert_int_equal(opened.n, 1);
	assert_true(is_same(opened.fds[0], fds[2]));
	assert_int_equal(get_option(opened.fds[0], SOL_IP, IP_PKTINFO), 1);
	close_opened(&opened);
}

static void other_passed_sockets_are_left_alone(void)
{
	int fds[] = {
		bind_passed(AF_INET, SOCK_STREAM, "127.0.0.1", 8080),
		bind_passed(AF_INET, SOCK_DGRAM, "", 8081),
		open("/dev/null", O_RDONLY | O_CLOEXEC),
	};
	struct opened opened;

	pass(fds, 3);
	/* Another port, protocol, address. */
	assert_int_equal(open_port("8082:80", 0, &opened), 0);
	assert_int_equal(opened.n, 2);
	close_opened(&opened);
	assert_int_equal(open_port("8081:80", 0, &opened), 0);
	assert_false(is_same(opened.fds[0], fds[1]));
	close_opened(&opened);
	assert_int_equal(open_port("127.0.0.2:8080:80", 0, &opened), 0);
	assert_false(is_same(opened.fds[0], fds[0]));
	close_opened(&opened);
	/* That port is somebody's, on one address. */
	assert_int_equal(open_port("8080:80", 0, &opened), -EADDRINUSE);
}

/* Published on one address, it must not be open to all. */
static void a_socket_for_all_is_not_one_for_an_address(void)
{
	int fds[] = {
		bind_passed(AF_INET6, SOCK_STREAM, "", 8080),
		bind_passed(AF_INET, SOCK_STREAM, "", 8081),
	};
	struct opened opened;

	pass(fds, 2);
	assert_int_equal(open_port("127.0.0.1:8080:80", 0, &opened), 0);
	assert_int_equal(opened.n, 1);
	assert_int_equal(address_of(opened.fds[0]).any.sa_family, AF_INET);
	close_opened(&opened);
	assert_int_equal(open_port("[::1]:8081:80", 0, &opened), 0);
	assert_int_equal(opened.n, 1);
	assert_int_equal(address_of(opened.fds[0]).any.sa_family, AF_INET6);
	close_opened(&opened);
}

#define IN_NETWORK(name)                                                                           \
	static void name##_(void **state)                                                          \
	{                                                                                          \
		run_in_network(name);                                                              \
	}

IN_NETWORK(tcp_on_both_families)
IN_NETWORK(udp_on_both_families)
IN_NETWORK(tcp_and_udp_are_apart)
IN_NETWORK(one_address_only)
IN_NETWORK(ports_of_a_range)
IN_NETWORK(any_free_port)
IN_NETWORK(ports_in_use)
IN_NETWORK(udp_ports_in_use)
IN_NETWORK(connections_of_an_earlier_listener)
IN_NETWORK(addresses_of_others)
IN_NETWORK(low_ports_of_a_user)
IN_NETWORK(passed_sockets_are_taken)
IN_NETWORK(other_passed_sockets_are_left_alone)
IN_NETWORK(a_socket_for_all_is_not_one_for_an_address)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_on_both_families_),
		cmocka_unit_test(udp_on_both_families_),
		cmocka_unit_test(tcp_and_udp_are_apart_),
		cmocka_unit_test(one_address_only_),
		cmocka_unit_test(ports_of_a_range_),
		cmocka_unit_test(any_free_port_),
		cmocka_unit_test(ports_in_use_),
		cmocka_unit_test(udp_ports_in_use_),
		cmocka_unit_test(connections_of_an_earlier_listener_),
		cmocka_unit_test(addresses_of_others_),
		cmocka_unit_test(low_ports_of_a_user_),
		cmocka_unit_test(passed_sockets_are_taken_),
		cmocka_unit_test(other_passed_sockets_are_left_alone_),
		cmocka_unit_test(a_socket_for_all_is_not_one_for_an_address_),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
