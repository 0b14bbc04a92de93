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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "netlink.h"
#include "spawn.h"

#define NFT_TIMEOUT_MS 10000
#define NFT_OUTPUT_MAX 4096
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

	r = netlink_link_up(netlink, index, setup->mtu);
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

static int setup_interfaces(const struct outer_setup *setup, int *ret_tap, struct err *err)
{
	autoclose int netlink = -1, tap = -1;
	int r;

	r = netlink_open(&netlink);
	if (r == 0)
		r = netlink_link_up(netlink, if_nametoindex("lo"), 0);
	if (r < 0)
		return err_set(err, r, "setting the pod's loopback interface up: %s",
			strerror(-r));
	r = setup_sysctls(setup->ipv6, err);
	if (r < 0 || !setup->has_tap)
		return r;
	r = make_tap(&tap, err);
	if (r == 0)
		r = configure_tap(netlink, setup, err);
	if (r == 0)
		*ret_tap = take_fd(&tap);
	return r;
}

static int format_rules(const struct outer_setup *setup, char *text, size_t size)
{
	char self4[INET_ADDRSTRLEN], self6[INET6_ADDRSTRLEN], line6[256] = "";

	inet_ntop(AF_INET, &setup->self4, self4, sizeof(self4));
	if (setup->ipv6) {
		inet_ntop(AF_INET6, &setup->self6, self6, sizeof(self6));
		snprintf(line6, sizeof(line6),
			"oifname \"" OUTER_TAP_NAME "\" ip6 saddr != %s masquerade\n", self6);
	}
	return snprintf(text, size,
		"table inet podd {\n"
		"chain postrouting {\n"
		"type nat hook postrouting priority srcnat; policy accept;\n"
		"oifname \"" OUTER_TAP_NAME "\" ip saddr != %s masquerade\n"
		"%s"
		"}\n"
		"}\n",
		self4, line6);
}

/* Runs nft in a process of its own: it takes longer than everything else, which goes on
 * meanwhile. What went wrong comes by the pipe; nothing means that all is well. */
static int start_rules(const struct outer_setup *setup, int *ret_fd, struct err *err)
{
	static char *const argv[] = {(char *)"nft", (char *)"-f", (char *)"-", NULL};
	char rules[1024];
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	pid = fork();
	if (pid == 0) {
		int length = format_rules(setup, rules, sizeof(rules));
		const struct spawn spawn = {
			.path = PODD_NFT,
			.argv = argv,
			.input = rules,
			.input_length = (size_t)length,
			.program_fd = -1,
			.timeout_ms = NFT_TIMEOUT_MS,
			.output_max = NFT_OUTPUT_MAX,
			.stderr_max = NFT_OUTPUT_MAX,
		};
		struct spawn_result result = {};
		struct err problem = {};
		char ending[128];
		int r;

		signal(SIGCHLD, SIG_DFL);
		r = spawn_run(&spawn, &result, &problem);
		if (r == 0 && spawn_describe(result.status, ending, sizeof(ending)) != 0)
			r = err_set(&problem, -EIO, "%s %s: %s", PODD_NFT, ending, result.errors);
		if (r < 0)
			fd_write_all(pipe_fds[1], problem.msg, strlen(problem.msg));
		_exit(0);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_errno(err, "starting a process for nft");
	}
	*ret_fd = pipe_fds[0];
	return 0;
}

int outer_network_rules(int rules, char *text, size_t size)
{
	autofree char *problem = NULL;
	size_t length;
	int r;

	r = fd_read_all(rules, ERR_MSG_MAX, &problem, &length);
	close(rules);
	if (r == 0 && length == 0)
		return 0;
	snprintf(text, size,
		"the masquerade rule could not be set, so bridged containers cannot leave the pod: %s",
		r == 0 ? problem : strerror(-r));
	return 1;
}

int outer_network_setup(const struct outer_setup *setup, int *ret_tap, int *ret_rules,
	struct err *err)
{
	autoclose int rules = -1;
	int r = 0;

	if (!setup->own_net)
		return 0;
	if (setup->has_tap)
		r = start_rules(setup, &rules, err);
	if (r == 0)
		r = setup_interfaces(setup, ret_tap, err);
	if (r == 0)
		*ret_rules = take_fd(&rules);
	return r;
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
