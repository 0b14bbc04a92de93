/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ARP and neighbour discovery: see uplink-neighbour.h. */

#include "uplink-neighbour.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>

#include "uplink-frame.h"

struct arp_frame {
	struct ether_header ethernet;
	struct ether_arp arp;
} __attribute__((packed));

struct advertisement {
	struct ether_header ethernet;
	struct ip6_hdr ip;
	struct nd_neighbor_advert advert;
	struct nd_opt_hdr option;
	uint8_t mac[6];
} __attribute__((packed));

_Static_assert(sizeof(struct advertisement) == UPLINK_NEIGHBOUR_FRAME, "the larger of the two");

static size_t answer_arp(const struct arp_frame *question, const uint8_t mac[6],
	struct arp_frame *answer)
{
	if (question->arp.arp_op != htons(ARPOP_REQUEST))
		return 0;
	*answer = *question;
	answer->arp.arp_op = htons(ARPOP_REPLY);
	memcpy(answer->ethernet.ether_dhost, question->ethernet.ether_shost, ETH_ALEN);
	memcpy(answer->ethernet.ether_shost, mac, ETH_ALEN);
	memcpy(answer->arp.arp_sha, mac, ETH_ALEN);
	memcpy(answer->arp.arp_spa, question->arp.arp_tpa, 4);
	memcpy(answer->arp.arp_tha, question->arp.arp_sha, ETH_ALEN);
	memcpy(answer->arp.arp_tpa, question->arp.arp_spa, 4);
	return sizeof(*answer);
}

static size_t answer_solicitation(const uint8_t *frame, const uint8_t mac[6],
	struct advertisement *answer)
{
	struct {
		struct ether_header ethernet;
		struct ip6_hdr ip;
		struct nd_neighbor_solicit solicit;
	} __attribute__((packed)) question;

	memcpy(&question, frame, sizeof(question));
	memset(answer, 0, sizeof(*answer));
	memcpy(answer->ethernet.ether_dhost, question.ethernet.ether_shost, ETH_ALEN);
	memcpy(answer->ethernet.ether_shost, mac, ETH_ALEN);
	answer->ethernet.ether_type = htons(ETHERTYPE_IPV6);
	answer->ip.ip6_flow = htonl(6u << 28);
	answer->ip.ip6_plen = htons(sizeof(*answer) - offsetof(struct advertisement, advert));
	answer->ip.ip6_nxt = IPPROTO_ICMPV6;
	answer->ip.ip6_hlim = 255;
	answer->ip.ip6_src = question.solicit.nd_ns_target;
	answer->ip.ip6_dst = question.ip.ip6_src;
	answer->advert.nd_na_type = ND_NEIGHBOR_ADVERT;
	answer->advert.nd_na_flags_reserved = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
	answer->advert.nd_na_target = question.solicit.nd_ns_target;
	answer->option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
	answer->option.nd_opt_len = 1;
	memcpy(answer->mac, mac, ETH_ALEN);
	uplink_frame_checksum((uint8_t *)answer, sizeof(*answer));
	return sizeof(*answer);
}

size_t uplink_neighbour_answer(const uint8_t *frame, size_t length, const uint8_t mac[6],
	uint8_t ret[UPLINK_NEIGHBOUR_FRAME])
{
	uint16_t type;

	if (length < ETH_HLEN)
		return 0;
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (type == ETHERTYPE_ARP && length >= sizeof(struct arp_frame))
		return answer_arp((const struct arp_frame *)frame, mac, (struct arp_frame *)ret);
	if (type == ETHERTYPE_IPV6 && length >= ETH_HLEN + 40 + 24 &&
		frame[ETH_HLEN + 6] == IPPROTO_ICMPV6 &&
		frame[ETH_HLEN + 40] == ND_NEIGHBOR_SOLICIT)
		return answer_solicitation(frame, mac, (struct advertisement *)ret);
	return 0;
}

bool uplink_neighbours_ask(struct uplink_neighbours *neighbours, const uint8_t *frame,
	size_t length, const uint8_t mac[6])
{
	unsigned n = neighbours->n;

	if (n == UPLINK_QUESTIONS_MAX)
		return false;
	neighbours->answers[n].length =
		uplink_neighbour_answer(frame, length, mac, neighbours->answers[n].frame);
	neighbours->n += neighbours->answers[n].length > 0;
	return neighbours->answers[n].length > 0;
}
