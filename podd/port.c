/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sockets of published ports: see port.h. */

#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <fcntl.h>

#include "cleanup.h"

#define BACKLOG 4096
/* A free port of one family may be taken in the other one. */
#define FREE_PORT_TRIES 32

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t make_address(int family, const char *host_ip, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		ret->in.sin_port = htons(port);
		if (*host_ip)
			inet_pton(AF_INET, host_ip, &ret->in.sin_addr);
		return sizeof(ret->in);
	}
	ret->in6.sin6_port = htons(port);
	if (*host_ip)
		inet_pton(AF_INET6, host_ip, &ret->in6.sin6_addr);
	return sizeof(ret->in6);
}

uint16_t port_number(int fd)
{
	union address address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, &address.any, &size) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET ? address.in.sin_port :
							address.in6.sin6_port);
}

/* What podd-uplink relies on. */
static int set_options(int fd, int family, uint8_t protocol)
{
	const int one = 1;

	if (protocol == IPPROTO_UDP)
		return family == AF_INET ?
			       setsockopt(fd, SOL_IP, IP_PKTINFO, &one, sizeof(one)) :
			       setsockopt(fd, SOL_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	/* What is accepted inherits it. */
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int open_one(int family, const struct publish *publish, uint16_t port, int *ret_fd)
{
	bool udp = publish->protocol == IPPROTO_UDP;
	autoclose int fd = socket(family,
		(udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union address address;
	socklen_t size = make_address(family, publish->host_ip, port, &address);
	const int one = 1;

	if (fd < 0)
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	/* Connections of an earlier listener may linger. */
	if (!udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (set_options(fd, family, publish->protocol) < 0 ||
		bind(fd, &address.any, size) < 0 || (!udp && listen(fd, BACKLOG) < 0))
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int explain(const struct publish *publish, uint16_t port, int error, struct err *err)
{
	const char *protocol = publish->protocol == IPPROTO_UDP ? "udp" : "tcp";
	const char *host = *publish->host_ip ? publish->host_ip : "any address";

	switch (error) {
	case -EACCES:
		return err_set(err, error,
			"port %u/%s of the host: users may not have ports this low; publish a higher one, "
			"lower net.ipv4.ip_unprivileged_port_start, or start the pod with the listening "
			"socket (LISTEN_FDS, as systemd's .socket units do)",
			port, protocol);
	case -EADDRINUSE:
		return err_set(err, error,
			"port %u/%s of the host (%s) is in use; choose another one, or end what has it: "
			"ss -lnp %s sport = %u",
			port, protocol, host, *protocol == 'u' ? "-u" : "-t", port);
	case -EADDRNOTAVAIL:
		return err_set(err, error,
			"port %u/%s: %s is no address of this host (ip address shows them)", port,
			protocol, host);
	default:
		return err_set(err, error, "port %u/%s of the host (%s): %s", port, protocol, host,
			strerror(-error));
	}
}

/* ---- sockets that podd was started with ---- */

static bool is_wanted(int fd, int family, const struct publish *publish, uint16_t port)
{
	union address wanted;
	bool udp = publish->protocol == IPPROTO_UDP;

	make_address(family, publish->host_ip, port, &wanted);
	return sd_is_socket_sockaddr(fd, udp ? SOCK_DGRAM : SOCK_STREAM, &wanted.any,
		       family == AF_INET ? sizeof(wanted.in) : sizeof(wanted.in6),
		       udp ? -1 : 1) > 0;
}

/* podd keeps it, so that it is there for another time. */
static bool take_passed(int family, const struct publish *publish, uint16_t port, int *ret_fd)
{
	int n = sd_listen_fds(0);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		if (!is_wanted(fd, family, publish, port))
			continue;
		*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (*ret_fd < 0)
			return false;
		(void)set_options(*ret_fd, family, publish->protocol);
		(void)fcntl(*ret_fd, F_SETFL, O_NONBLOCK);
		return true;
	}
	return false;
}

/* ---- */

/* That of the address; without one both are meant. */
static bool is_of_family(const struct publish *publish, int family)
{
	return !*publish->host_ip ||
	       (strchr(publish->host_ip, ':') ? AF_INET6 : AF_INET) == family;
}

/* A dual-stack socket, as systemd makes it, serves both families. */
static unsigned take_all_passed(const struct publish *publish, uint16_t port,
	int fds[PORT_FDS_MAX])
{
	static const int families[] = {AF_INET, AF_INET6};
	unsigned n = 0;

	for (size_t i = 0; port > 0 && i < 2; i++)
		if (is_of_family(publish, families[i]))
			n += take_passed(families[i], publish, port, &fds[n]);
	return n;
}

static void close_all(int fds[PORT_FDS_MAX], unsigned n)
{
	while (n > 0)
		close(take_fd(&fds[--n]));
}

static int open_both(const struct publish *publish, uint16_t port, int fds[PORT_FDS_MAX],
	unsigned *ret_n)
{
	int r = open_one(AF_INET, publish, port, &fds[0]);

	if (r < 0)
		return r;
	r = open_one(AF_INET6, publish, port > 0 ? port : port_number(fds[0]), &fds[1]);
	/* A host without IPv6. */
	*ret_n = r == 0 ? 2 : 1;
	if (r == 0 || r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
		return 0;
	close_all(fds, 1);
	return r;
}

int port_open(const struct publish *publish, unsigned offset, int ret_fds[PORT_FDS_MAX],
	unsigned *ret_n, uint16_t *ret_port, struct err *err)
{
	uint16_t port = publish->host_port > 0 ? (uint16_t)(publish->host_port + offset) : 0;
	int fds[PORT_FDS_MAX] = {-1, -1}, r = -EADDRINUSE;
	unsigned n = take_all_passed(publish, port, fds);

	for (int i = 0; n == 0 && r == -EADDRINUSE && i < FREE_PORT_TRIES; i++) {
		if (*publish->host_ip) {
			r = open_one(is_of_family(publish, AF_INET) ? AF_INET : AF_INET6, publish,
				port, &fds[0]);
			n = r == 0;
		} else {
			r = open_both(publish, port, fds, &n);
			n = r == 0 ? n : 0;
		}
		if (port > 0)
			break;
	}
	if (n == 0)
		return explain(publish, port, r, err);
	*ret_port = port_number(fds[0]);
	*ret_n = n;
	memcpy(ret_fds, fds, sizeof(fds));
	return 0;
}

bool port_is_of(int fd, const struct publish *publish, unsigned offset)
{
	bool udp = publish->protocol == IPPROTO_UDP;
	socklen_t size = sizeof(int);
	int protocol = 0;

	return sd_is_socket(fd, AF_UNSPEC, udp ? SOCK_DGRAM : SOCK_STREAM, udp ? -1 : 1) > 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	       protocol == publish->protocol &&
	       (publish->host_port == 0 || port_number(fd) == publish->host_port + offset);
}
