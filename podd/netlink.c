/* SPDX-License-Identifier: GPL-2.0-or-later */

/* rtnetlink requests: see netlink.h. */

#include "netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		struct fib_rule_hdr rule;
		char space[256];
	};
};

int netlink_open(int *ret_fd)
{
	struct sockaddr_nl local = {.nl_family = AF_NETLINK};
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static void begin(struct request *request, uint16_t type, uint16_t flags, size_t body)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_LENGTH(body);
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
}

static void add_attribute(struct request *request, uint16_t type, const void *data, size_t size)
{
	size_t offset = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)request + offset);

	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len = (uint32_t)(offset + RTA_ALIGN(attribute->rta_len));
}

static int transact(int fd, const struct request *request)
{
	union {
		struct nlmsghdr header;
		char space[4096];
	} answer;
	const struct nlmsgerr *result;
	ssize_t n;

	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(&answer.header, (size_t)n) || answer.header.nlmsg_type != NLMSG_ERROR ||
		(size_t)n < NLMSG_LENGTH(sizeof(*result)))
		return -EPROTO;
	result = NLMSG_DATA(&answer.header);
	return result->error;
}

static size_t address_size(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

int netlink_link_up(int fd, unsigned ifindex, unsigned mtu, unsigned queue)
{
	struct request request;
	uint32_t value = mtu, length = queue;

	begin(&request, RTM_NEWLINK, 0, sizeof(request.link));
	request.link.ifi_family = AF_UNSPEC;
	request.link.ifi_index = (int)ifindex;
	request.link.ifi_flags = IFF_UP;
	request.link.ifi_change = IFF_UP;
	if (mtu > 0)
		add_attribute(&request, IFLA_MTU, &value, sizeof(value));
	if (queue > 0)
		add_attribute(&request, IFLA_TXQLEN, &length, sizeof(length));
	return transact(fd, &request);
}

int netlink_address_add(int fd, unsigned ifindex, int family, const void *address, unsigned prefix)
{
	struct request request;

	begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(request.address));
	request.address.ifa_family = (unsigned char)family;
	request.address.ifa_prefixlen = (unsigned char)prefix;
	request.address.ifa_index = ifindex;
	if (family == AF_INET6)
		request.address.ifa_flags = IFA_F_NODAD;
	add_attribute(&request, IFA_LOCAL, address, address_size(family));
	add_attribute(&request, IFA_ADDRESS, address, address_size(family));
	return transact(fd, &request);
}

int netlink_route_default(int fd, unsigned ifindex, int family, const void *gateway)
{
	struct request request;
	uint32_t oif = ifindex;

	begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(request.route));
	request.route.rtm_family = (unsigned char)family;
	request.route.rtm_table = RT_TABLE_MAIN;
	request.route.rtm_protocol = RTPROT_STATIC;
	request.route.rtm_scope = RT_SCOPE_UNIVERSE;
	request.route.rtm_type = RTN_UNICAST;
	add_attribute(&request, RTA_GATEWAY, gateway, address_size(family));
	add_attribute(&request, RTA_OIF, &oif, sizeof(oif));
	return transact(fd, &request);
}

int netlink_rule_mark(int fd, int family, uint32_t mark, uint32_t table)
{
	struct request request;

	begin(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, sizeof(request.rule));
	request.rule.family = (unsigned char)family;
	request.rule.table = RT_TABLE_UNSPEC;
	request.rule.action = FR_ACT_TO_TBL;
	add_attribute(&request, FRA_FWMARK, &mark, sizeof(mark));
	add_attribute(&request, FRA_TABLE, &table, sizeof(table));
	return transact(fd, &request);
}

int netlink_route_local(int fd, unsigned ifindex, int family, uint32_t table)
{
	struct request request;
	uint32_t oif = ifindex;

	begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(request.route));
	request.route.rtm_family = (unsigned char)family;
	request.route.rtm_table = RT_TABLE_UNSPEC;
	request.route.rtm_protocol = RTPROT_STATIC;
	request.route.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	request.route.rtm_type = RTN_LOCAL;
	add_attribute(&request, RTA_TABLE, &table, sizeof(table));
	add_attribute(&request, RTA_OIF, &oif, sizeof(oif));
	return transact(fd, &request);
}
