/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Frames from the pod's tap, one after the other as the pod's root may send them, through the gate
 * with rules and a taker, and what answers them. The input is a byte of options and then frames,
 * each after its length in two bytes.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "uplink-frame.h"
#include "uplink-gate.h"
#include "uplink-neighbour.h"
#include "uplink-reject.h"

enum { HOST_LOOPBACK = 1, RULES = 2, TAKES = 4, BY_ADDRESS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzzed {
	struct uplink_scopes *scopes;
	struct uplink_gate *gate;
	unsigned options;
	unsigned flows;
};

static void check_checksums(const uint8_t *frame, size_t length)
{
	autofree uint8_t *again = malloc(length);

	assert(again);
	memcpy(again, frame, length);
	uplink_frame_checksum(again, length);
	assert(!memcmp(again, frame, length));
}

/* What is made here has to be right: to the gate it is a packet, and its checksums are. */
static void check_own(const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;

	assert(uplink_frame_parse(frame, length, &packet) == 0);
	check_checksums(frame, length);
}

static void on_write(void *opaque, const uint8_t *frame, size_t length, bool to_slirp)
{
	const struct fuzzed *fuzzed = opaque;

	assert(fuzzed->options & RULES);
	assert(length <= UPLINK_REJECT_MAX);
	check_own(frame, length);
}

static bool on_offer(void *opaque, struct uplink_scope *scope,
	const struct uplink_packet *packet)
{
	const struct fuzzed *fuzzed = opaque;
	unsigned sum = 0;

	assert(packet->protocol == IPPROTO_UDP && (packet->fragment || packet->transport_length >= 8));
	for (size_t i = 0; i < packet->transport_length; i++)
		sum += packet->transport[i];
	return (fuzzed->options & TAKES) && sum % 2;
}

static void on_flow(void *opaque, const struct uplink_flow_info *info)
{
	struct fuzzed *fuzzed = opaque;

	assert(info->path == UPLINK_PATH_LIBSLIRP);
	assert(++fuzzed->flows <= UPLINK_TRACKS_MAX);
}

static struct in6_addr ip(const char *text)
{
	struct in6_addr address = in6addr_any;
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1)
		return uplink_map4(four);
	(void)inet_pton(AF_INET6, text, &address);
	return address;
}

static void set_rules(struct fuzzed *fuzzed, uint32_t id, const char *text)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = 0;
	int r = egress_parse(text, rules, EGRESS_RULES_MAX, &n, NULL);

	assert(r == 0);
	r = uplink_scopes_set_rules(fuzzed->scopes, id, rules, n, NULL);
	assert(r == 0);
}

static bool fuzzed_init(struct fuzzed *fuzzed, unsigned options)
{
	struct uplink_config config = {.ipv6 = 1, .mtu = 1500, .prefix4 = 24, .prefix6 = 64,
		.host_loopback = (options & HOST_LOOPBACK) != 0};
	struct uplink_child child = {.id = 1, .up = 1, .n_addresses = 2};

	inet_pton(AF_INET, "10.0.2.0", &config.network4);
	inet_pton(AF_INET, "10.0.2.2", &config.gateway4);
	inet_pton(AF_INET, "10.0.2.3", &config.dns4);
	inet_pton(AF_INET, "10.0.2.100", &config.self4);
	config.network6 = ip("fd00::");
	config.gateway6 = ip("fd00::2");
	config.dns6 = ip("fd00::3");
	config.self6 = ip("fd00::64");
	child.addresses[0] = ip("10.89.0.2");
	child.addresses[1] = ip("fd01::2");
	*fuzzed = (struct fuzzed){.options = options};
	if (uplink_scopes_new(&config, &fuzzed->scopes, NULL) < 0 ||
		uplink_gate_new(fuzzed->scopes, &config, &fuzzed->gate, NULL) < 0 ||
		uplink_scopes_set(fuzzed->scopes, &child, NULL) < 0)
		return false;
	uplink_gate_set_writer(fuzzed->gate, on_write, fuzzed);
	uplink_gate_set_takers(fuzzed->gate, on_offer, NULL, NULL, fuzzed);
	if (options & RULES) {
		set_rules(fuzzed, 0, options & BY_ADDRESS ? "deny to 1.0.0.0/8,2001:db8::/32,dns" :
							    "deny port 25,53-60");
		set_rules(fuzzed, 1, "deny proto icmp type 8");
	}
	return true;
}

static void check_answers(const uint8_t *frame, size_t length)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	uint8_t neighbour[UPLINK_NEIGHBOUR_FRAME], answer[UPLINK_REJECT_MAX];
	struct uplink_packet packet;
	size_t n = uplink_neighbour_answer(frame, length, mac, neighbour);

	assert(n <= sizeof(neighbour));
	/* Whatever address is asked for, libslirp asks. */
	if (n == sizeof(neighbour))
		check_checksums(neighbour, n);
	(void)uplink_frame_is_of_neighbour(frame, length);
	if (uplink_frame_parse(frame, length, &packet) < 0)
		return;
	assert(packet.transport >= frame && packet.transport + packet.transport_length <=
						    frame + length);
	n = uplink_reject_answer(frame, length, &packet, answer);
	assert(n <= sizeof(answer));
	if (n > 0)
		check_own(answer, n);
	n = uplink_reject_end(frame, length, &packet, answer);
	if (n > 0)
		check_own(answer, n);
}

/* To libslirp went nothing that leads to the host's loopback, unless it may. */
static void check_passed(const struct fuzzed *fuzzed, const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	int r = uplink_frame_parse(frame, length, &packet);

	assert(r == 0 || r == -ENOMSG);
	if (r < 0 || (packet.protocol == IPPROTO_ICMPV6 && !packet.fragment))
		return;
	assert((fuzzed->options & HOST_LOOPBACK) ||
		!uplink_is_loopback(packet.family, &packet.destination.ip));
}

static void handle(struct fuzzed *fuzzed, const uint8_t *data, size_t length)
{
	autofree uint8_t *frame = malloc(length + (length == 0));

	if (!frame)
		return;
	memcpy(frame, data, length);
	if (uplink_gate_pass(fuzzed->gate, frame, length))
		check_passed(fuzzed, frame, length);
	check_answers(frame, length);
	uplink_gate_sent(fuzzed->gate, frame, length, length % 2);
	assert(!memcmp(frame, data, length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzzed fuzzed;

	if (size == 0)
		return 0;
	if (fuzzed_init(&fuzzed, data[0])) {
		for (size_t at = 1; at + 2 <= size;) {
			size_t length = (size_t)(data[at] << 8 | data[at + 1]);

			at += 2;
			if (length > size - at)
				length = size - at;
			handle(&fuzzed, data + at, length);
			at += length;
		}
		uplink_tracker_report(uplink_gate_tracker(fuzzed.gate), on_flow, &fuzzed);
	}
	uplink_gate_free(fuzzed.gate);
	uplink_scopes_free(fuzzed.scopes);
	return 0;
}
