/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink messages of doctor's, see doctor-netlink.h. All answers come from the kernel. */

#include "doctor-netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "cidr.h"
#include "text.h"

#define REQUEST_MAX 512
#define ANSWER_MAX 32768
#define ANSWER_TIMEOUT_S 5

struct request {
	struct nlmsghdr header;
	char payload[REQUEST_MAX];
};

static void begin(
	struct request *request, uint16_t type, uint16_t flags, const void *fixed, size_t length)
{
	*request = (struct request){.header = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(length),
					    .nlmsg_type = type,
					    .nlmsg_flags = NLM_F_REQUEST | flags}};
	memcpy(request->payload, fixed, length);
}

static void add_attribute(struct request *request, uint16_t type, const void *data, size_t length)
{
	struct nlattr attribute = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type};
	char *end = (char *)&request->header + NLMSG_ALIGN(request->header.nlmsg_len);

	memcpy(end, &attribute, sizeof(attribute));
	memcpy(end + NLA_HDRLEN, data, length);
	request->header.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + NLA_ALIGN(NLA_HDRLEN + length));
}

int doctor_netlink_open(int protocol, int *ret_fd)
{
	const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	*ret_fd = fd;
	return 0;
}

/* An attribute after the fixed part of a message; its length in *ret_length. */
static const void *find_attribute(
	const struct nlmsghdr *message, size_t fixed, uint16_t type, size_t *ret_length)
{
	const char *at = (const char *)message + NLMSG_LENGTH(NLMSG_ALIGN(fixed));
	const char *end = (const char *)message + message->nlmsg_len;

	while (end - at >= (ptrdiff_t)NLA_HDRLEN) {
		struct nlattr attribute;

		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > end - at)
			return NULL;
		if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
			*ret_length = attribute.nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		at += NLA_ALIGN(attribute.nla_len);
	}
	return NULL;
}

static bool attribute_is(const struct nlmsghdr *message, size_t fixed, uint16_t type,
	const void *data, size_t length)
{
	size_t found_length = 0;
	const void *found = find_attribute(message, fixed, type, &found_length);

	return found && found_length == length && memcmp(found, data, length) == 0;
}

typedef void (*on_message)(const struct nlmsghdr *message, void *opaque);

/* Return: 0 at the end of the answer, 1 when more is to come, -errno. */
static int take(const struct nlmsghdr *message, on_message function, void *opaque)
{
	if (message->nlmsg_type == NLMSG_DONE)
		return 0;
	if (message->nlmsg_type == NLMSG_ERROR) {
		int error;

		memcpy(&error, NLMSG_DATA(message), sizeof(error));
		return error;
	}
	if (function)
		function(message, opaque);
	return 1;
}

/* Sends the request, and calls @function for every message of the answer. With NLM_F_ACK or a dump
 * the kernel says where that ends. */
static int ask(int fd, struct request *request, on_message function, void *opaque)
{
	static char answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	int r = 1;

	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	while (r > 0) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *message = (const struct nlmsghdr *)answer;

		if (n < 0)
			return -errno;
		for (; r > 0 && NLMSG_OK(message, (uint32_t)n); message = NLMSG_NEXT(message, n))
			r = take(message, function, opaque);
	}
	return r;
}

/* ---- interfaces ---- */

static void read_link(const struct nlmsghdr *message, void *opaque)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	struct doctor_link *link = opaque;
	size_t length = 0;
	const void *mtu = find_attribute(message, sizeof(*info), IFLA_MTU, &length);

	link->index = (unsigned)info->ifi_index;
	link->up = info->ifi_flags & IFF_UP;
	if (mtu && length == sizeof(link->mtu))
		memcpy(&link->mtu, mtu, length);
}

int doctor_netlink_link(int fd, const char *name, struct doctor_link *ret)
{
	const struct ifinfomsg info = {};
	struct doctor_link link = {};
	struct request request;
	int r;

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	begin(&request, RTM_GETLINK, NLM_F_ACK, &info, sizeof(info));
	add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
	r = ask(fd, &request, read_link, &link);
	if (r == 0)
		*ret = link;
	return r;
}

int doctor_netlink_up(int fd, unsigned index)
{
	const struct ifinfomsg info = {
		.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct request request;

	begin(&request, RTM_NEWLINK, NLM_F_ACK, &info, sizeof(info));
	return ask(fd, &request, NULL, NULL);
}

/* ---- addresses ---- */

struct address {
	struct cidr cidr;
	size_t length; /* of the address itself */
	unsigned index;
	bool found;
};

static int parse_address(const char *text, struct address *ret)
{
	*ret = (struct address){};
	if (cidr_parse(text, &ret->cidr) < 0)
		return -EINVAL;
	ret->length = ret->cidr.family == AF_INET6 ? sizeof(struct in6_addr)
						   : sizeof(struct in_addr);
	return 0;
}

static void look_at_address(const struct nlmsghdr *message, void *opaque)
{
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	struct address *address = opaque;

	if (info->ifa_index != address->index || info->ifa_prefixlen != address->cidr.prefix)
		return;
	address->found |= attribute_is(message, sizeof(*info), IFA_LOCAL, &address->cidr.in6,
				  address->length) ||
			  attribute_is(message, sizeof(*info), IFA_ADDRESS, &address->cidr.in6,
				  address->length);
}

int doctor_netlink_has_address(int fd, unsigned index, const char *text)
{
	struct ifaddrmsg info = {};
	struct request request;
	struct address address;
	int r;

	r = parse_address(text, &address);
	if (r < 0)
		return r;
	address.index = index;
	info.ifa_family = (unsigned char)address.cidr.family;
	begin(&request, RTM_GETADDR, NLM_F_DUMP, &info, sizeof(info));
	r = ask(fd, &request, look_at_address, &address);
	return r < 0 ? r : address.found;
}

int doctor_netlink_add_address(int fd, unsigned index, const char *text)
{
	struct ifaddrmsg info = {.ifa_index = index};
	struct request request;
	struct address address;
	int r;

	r = parse_address(text, &address);
	if (r < 0)
		return r;
	info.ifa_family = (unsigned char)address.cidr.family;
	info.ifa_prefixlen = (unsigned char)address.cidr.prefix;
	info.ifa_flags = address.cidr.family == AF_INET6 ? IFA_F_NODAD : 0;
	begin(&request, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE, &info, sizeof(info));
	add_attribute(&request, IFA_LOCAL, &address.cidr.in6, address.length);
	add_attribute(&request, IFA_ADDRESS, &address.cidr.in6, address.length);
	r = ask(fd, &request, NULL, NULL);
	return r == -EEXIST ? 0 : r;
}

/* ---- routes ---- */

struct route {
	unsigned index;
	bool found;
};

static void look_at_route(const struct nlmsghdr *message, void *opaque)
{
	const struct rtmsg *info = NLMSG_DATA(message);
	struct route *route = opaque;

	route->found |=
		info->rtm_dst_len == 0 && info->rtm_table == RT_TABLE_MAIN &&
		info->rtm_type == RTN_UNICAST &&
		attribute_is(message, sizeof(*info), RTA_OIF, &route->index, sizeof(route->index));
}

int doctor_netlink_has_default(int fd, int family, unsigned index)
{
	const struct rtmsg info = {.rtm_family = (unsigned char)family};
	struct route route = {.index = index};
	struct request request;
	int r;

	begin(&request, RTM_GETROUTE, NLM_F_DUMP, &info, sizeof(info));
	r = ask(fd, &request, look_at_route, &route);
	return r < 0 ? r : route.found;
}

int doctor_netlink_add_default(int fd, unsigned index, const char *gateway)
{
	struct rtmsg info = {.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	unsigned char bytes[sizeof(struct in6_addr)];
	struct request request;
	int family = strchr(gateway, ':') ? AF_INET6 : AF_INET;
	int r;

	if (inet_pton(family, gateway, bytes) != 1)
		return -EINVAL;
	info.rtm_family = (unsigned char)family;
	begin(&request, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, &info, sizeof(info));
	add_attribute(&request, RTA_GATEWAY, bytes,
		family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr));
	add_attribute(&request, RTA_OIF, &index, sizeof(index));
	r = ask(fd, &request, NULL, NULL);
	return r == -EEXIST ? 0 : r;
}

/* ---- rules ---- */

struct chain {
	const char *table;
	const char *name;
	int rules;
};

static void count_rule(const struct nlmsghdr *message, void *opaque)
{
	struct chain *chain = opaque;

	chain->rules += attribute_is(message, sizeof(struct nfgenmsg), NFTA_RULE_TABLE,
				chain->table, strlen(chain->table) + 1) &&
			attribute_is(message, sizeof(struct nfgenmsg), NFTA_RULE_CHAIN, chain->name,
				strlen(chain->name) + 1);
}

static uint16_t nft(unsigned type)
{
	return (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
}

int doctor_netlink_rules(int fd, uint8_t family, const char *table, const char *chain)
{
	const struct nfgenmsg generic = {.nfgen_family = family, .version = NFNETLINK_V0};
	struct chain counted = {.table = table, .name = chain};
	struct request request;
	int r;

	begin(&request, nft(NFT_MSG_GETCHAIN), NLM_F_ACK, &generic, sizeof(generic));
	add_attribute(&request, NFTA_CHAIN_TABLE, table, strlen(table) + 1);
	add_attribute(&request, NFTA_CHAIN_NAME, chain, strlen(chain) + 1);
	r = ask(fd, &request, NULL, NULL);
	if (r < 0)
		return r;
	begin(&request, nft(NFT_MSG_GETRULE), NLM_F_DUMP, &generic, sizeof(generic));
	add_attribute(&request, NFTA_RULE_TABLE, table, strlen(table) + 1);
	add_attribute(&request, NFTA_RULE_CHAIN, chain, strlen(chain) + 1);
	r = ask(fd, &request, count_rule, &counted);
	return r < 0 ? r : counted.rules;
}
