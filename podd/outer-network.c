/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The pod's own network: see outer-network.h. */

#include "outer-network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "netlink.h"
#include "outer-rules.h"
#include "uplink-marks.h"

/* Connections that wait for the uplink to accept them. */
#define BACKLOG 4096
/* Frames that wait for the uplink: a burst of a sender that runs while the uplink does not. */
#define TAP_QUEUE 4000
/* The uplink answers in less than a millisecond; a loaded machine takes its time. */
#define PROBE_TRIES 50
#define PROBE_WAIT_MS 100

static int write_sysctl(const char *path, const char *value)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, value, strlen(value));
}

/* Forwarding between bridges and the tap. Duplicate address detection would keep the addresses of
 * bridges unusable for a second, and in a network that is the pod's alone finds nothing. */
static int setup_sysctls(bool ipv6, struct err *err)
{
	int r;

	r = write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	if (r < 0)
		return err_set(err, r, "allowing forwarding in the pod's network: %s",
			strerror(-r));
	/* Clients of published ports are not where their packets come from. */
	(void)write_sysctl("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	(void)write_sysctl("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
	(void)write_sysctl("/proc/sys/net/ipv4/conf/lo/rp_filter", "0");
	if (!ipv6)
		return 0;
	r = write_sysctl("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	if (r == 0)
		r = write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	if (r < 0)
		return err_set(err, r,
			"preparing IPv6 in the pod's network: %s (create the pod with --no-ipv6 where "
			"the kernel has none)",
			strerror(-r));
	return 0;
}

static int make_tap(int *ret_fd, struct err *err)
{
	autoclose int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_errno(err,
			"opening /dev/net/tun, which the pod's way out needs (users must be allowed to "
			"read and write it: mode 0666 is usual)");
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_errno(err,
			"opening /dev/net/tun, which the pod's way out needs (is the kernel's tun module "
			"loaded? modprobe tun)");
	if (fd < 0)
		return err_errno(err, "opening /dev/net/tun, which the pod's way out needs");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", OUTER_TAP_NAME);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return err_errno(err, "making the interface " OUTER_TAP_NAME);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int configure_tap(int netlink, const struct outer_setup *setup, struct err *err)
{
	unsigned index = if_nametoindex(OUTER_TAP_NAME);
	const char *what = "setting " OUTER_TAP_NAME " up";
	int r;

	r = netlink_link_up(netlink, index, setup->mtu, TAP_QUEUE);
	if (r == 0) {
		what = "giving " OUTER_TAP_NAME " its IPv4 address";
		r = netlink_address_add(netlink, index, AF_INET, &setup->self4, setup->prefix4);
	}
	if (r == 0) {
		what = "adding the IPv4 default route";
		r = netlink_route_default(netlink, index, AF_INET, &setup->gateway4);
	}
	if (r == 0 && setup->ipv6) {
		what = "giving " OUTER_TAP_NAME " its IPv6 address";
		r = netlink_address_add(netlink, index, AF_INET6, &setup->self6, setup->prefix6);
	}
	if (r == 0 && setup->ipv6) {
		what = "adding the IPv6 default route";
		r = netlink_route_default(netlink, index, AF_INET6, &setup->gateway6);
	}
	if (r < 0)
		return err_set(err, r, "%s: %s", what, strerror(-r));
	return 0;
}

/* Answers to the clients of published ports, whose addresses are not the pod's, go to the sockets
 * that speak for them. */
static int setup_answers(int netlink, bool ipv6, struct err *err)
{
	unsigned lo = if_nametoindex("lo");
	int r;

	r = netlink_rule_mark(netlink, AF_INET, MARK_REPLY, MARK_TABLE);
	if (r == 0)
		r = netlink_route_local(netlink, lo, AF_INET, MARK_TABLE);
	if (r == 0 && ipv6)
		r = netlink_rule_mark(netlink, AF_INET6, MARK_REPLY, MARK_TABLE);
	if (r == 0 && ipv6)
		r = netlink_route_local(netlink, lo, AF_INET6, MARK_TABLE);
	if (r < 0)
		return err_set(err, r, "adding the route for published ports: %s", strerror(-r));
	return 0;
}

static int setup_interfaces(const struct outer_setup *setup, int *ret_tap, struct err *err)
{
	autoclose int netlink = -1, tap = -1;
	int r;

	r = netlink_open(&netlink);
	if (r == 0)
		r = netlink_link_up(netlink, if_nametoindex("lo"), 0, 0);
	if (r < 0)
		return err_set(err, r, "setting the pod's loopback interface up: %s",
			strerror(-r));
	r = setup_sysctls(setup->ipv6, err);
	if (r == 0 && setup->has_tap)
		r = make_tap(&tap, err);
	if (r == 0 && setup->has_tap)
		r = configure_tap(netlink, setup, err);
	if (r == 0 && (setup->has_tap || setup->masquerade))
		r = setup_answers(netlink, setup->ipv6, err);
	if (r == 0 && setup->has_tap)
		*ret_tap = take_fd(&tap);
	return r;
}

/* Where the rules lead first packets to. The address need not be there yet; what is accepted inherits
 * the options. */
static int make_listener(int family, const void *address, int *ret_fd, uint16_t *ret_port)
{
	autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} local = {.any.sa_family = (sa_family_t)family};
	socklen_t size = family == AF_INET ? sizeof(local.in) : sizeof(local.in6);
	const int one = 1;

	if (fd < 0)
		return -errno;
	if (family == AF_INET)
		local.in.sin_addr = *(const struct in_addr *)address;
	else
		local.in6.sin6_addr = *(const struct in6_addr *)address;
	if (setsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6,
		    family == AF_INET ? IP_FREEBIND : IPV6_FREEBIND, &one, sizeof(one)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
		bind(fd, &local.any, size) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, &local.any, &size) < 0)
		return -errno;
	*ret_port = ntohs(family == AF_INET ? local.in.sin_port : local.in6.sin6_port);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int start_rules(const struct outer_setup *setup, struct outer_net *net, struct err *err)
{
	struct outer_rules rules = {
		.ipv6 = setup->ipv6,
		.take_tcp = setup->take_tcp,
		.masquerade = setup->masquerade,
		.self4 = setup->self4,
		.self6 = setup->self6,
	};
	int r = 0;

	if (setup->take_tcp)
		r = make_listener(AF_INET, &setup->self4, &net->listen4, &rules.port4);
	if (r == 0 && setup->take_tcp && setup->ipv6)
		r = make_listener(AF_INET6, &setup->self6, &net->listen6, &rules.port6);
	if (r < 0)
		return err_set(err, r, "listening for the pod's connections: %s", strerror(-r));
	return outer_rules_start(&rules, &net->rules, err);
}

static int port_of(int fd, uint16_t *ret)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} local = {};
	socklen_t size = sizeof(local);

	if (fd < 0)
		return 0;
	if (getsockname(fd, &local.any, &size) < 0)
		return -errno;
	*ret = ntohs(local.any.sa_family == AF_INET ? local.in.sin_port : local.in6.sin6_port);
	return 0;
}

int outer_network_restore(const struct outer_setup *setup, struct outer_net *net, struct err *err)
{
	struct outer_rules rules = {
		.ipv6 = setup->ipv6,
		.take_tcp = setup->take_tcp,
		.anew = true,
		.masquerade = setup->masquerade,
		.self4 = setup->self4,
		.self6 = setup->self6,
	};
	int r;

	if (net->tap < 0 && !setup->masquerade)
		return err_set(err, -ENODEV, "the pod has no way out, and no rules");
	r = port_of(net->listen4, &rules.port4);
	if (r == 0)
		r = port_of(net->listen6, &rules.port6);
	if (r < 0)
		return err_set(err, r, "looking at the listening sockets: %s", strerror(-r));
	return outer_rules_start(&rules, &net->rules, err);
}

int outer_network_setup(const struct outer_setup *setup, struct outer_net *net, struct err *err)
{
	int r = 0;

	if (!setup->own_net)
		return 0;
	if (setup->has_tap || setup->masquerade)
		r = start_rules(setup, net, err);
	return r < 0 ? r : setup_interfaces(setup, &net->tap, err);
}

static uint16_t checksum(const void *data, size_t length)
{
	const uint8_t *byte = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += (uint32_t)byte[i] << 8 | (i + 1 < length ? byte[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static bool is_answer(const char *packet, size_t length, const struct outer_setup *setup,
	uint16_t id)
{
	const struct iphdr *ip = (const struct iphdr *)packet;
	const struct icmphdr *icmp;

	if (length < sizeof(*ip) || length < ip->ihl * 4u + sizeof(*icmp))
		return false;
	icmp = (const struct icmphdr *)(packet + ip->ihl * 4);
	return ip->saddr == setup->gateway4.s_addr && icmp->type == ICMP_ECHOREPLY &&
	       icmp->un.echo.id == id;
}

int outer_network_probe(const struct outer_setup *setup, struct err *err)
{
	autoclose int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	struct sockaddr_in gateway = {.sin_family = AF_INET, .sin_addr = setup->gateway4};
	struct icmphdr echo = {.type = ICMP_ECHO};
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return err_errno(err, "making an ICMP socket");
	echo.un.echo.id = htons((uint16_t)getpid());
	echo.checksum = checksum(&echo, sizeof(echo));
	for (int i = 0; i < PROBE_TRIES; i++) {
		char packet[2048] __attribute__((aligned(4)));
		ssize_t n;

		if (sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&gateway,
			    sizeof(gateway)) < 0)
			return err_errno(err, "sending an echo request to the gateway");
		while (poll(&poll_fd, 1, PROBE_WAIT_MS) > 0) {
			n = recv(fd, packet, sizeof(packet), 0);
			if (n > 0 && is_answer(packet, (size_t)n, setup, echo.un.echo.id))
				return 0;
		}
	}
	return err_set(err, -ETIMEDOUT,
		"the gateway does not answer by " OUTER_TAP_NAME ": podd-uplink carries no packets");
}

int outer_network_socket(int domain, int type, bool transparent, int *ret_fd)
{
	autoclose int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1, mark = MARK_PUBLISHED;

	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* One client may speak to several servers by one port. */
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (transparent &&
		(setsockopt(fd, domain == AF_INET ? SOL_IP : SOL_IPV6,
			 domain == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one,
			 sizeof(one)) < 0 ||
			setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0))
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}
