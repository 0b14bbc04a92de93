/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Packets that somebody in the pod made: cut at every place, with options, extension headers,
 * fragments; and addresses in the forms that they come in. */

#include "uplink-packet.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

/* Parses exactly these bytes, so that a sanitizer sees what is read beyond them. */
static int parse(const uint8_t *data, size_t length, struct uplink_packet *ret)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, data, length);
	r = uplink_packet_parse(copy, length, ret);
	if (r == 0) {
		assert_true(ret->transport >= copy && ret->transport <= copy + length);
		assert_ptr_equal(ret->transport + ret->transport_length, copy + length);
	}
	free(copy);
	return r;
}

/* Refused when cut anywhere before @needed, and then nothing is returned; read from there on. */
static void check_lengths(const uint8_t *data, size_t length, size_t needed)
{
	for (size_t cut = 0; cut <= length; cut++) {
		struct uplink_packet packet = {.family = 99};

		assert_int_equal(parse(data, cut, &packet), cut < needed ? -EBADMSG : 0);
		assert_int_equal(packet.family == 99, cut < needed);
	}
}

static size_t transport(uint8_t *ret, unsigned protocol, size_t *ret_needed)
{
	*ret_needed = protocol == IPPROTO_TCP ? 20 : protocol == IPPROTO_UDP ? 8 : 4;
	memset(ret, 0, 24);
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		make_tcp(ret, 1234, 80, TH_SYN | TH_ACK);
	else
		memcpy(ret, (uint8_t[]){3, 13}, 2);
	return 24;
}

static void packets_are_read_whole_or_not(void **state)
{
	static const struct {
		const char *source, *destination;
		uint8_t family, protocol;
		size_t header;
	} cases[] = {
		{"10.0.2.100", "1.2.3.4", AF_INET, IPPROTO_TCP, 20},
		{"10.0.2.100", "1.2.3.4", AF_INET, IPPROTO_UDP, 20},
		{"10.0.2.100", "1.2.3.4", AF_INET, IPPROTO_ICMP, 20},
		{"fd00::64", "2001:db8::1", AF_INET6, IPPROTO_TCP, 40},
		{"fd00::64", "2001:db8::1", AF_INET6, IPPROTO_UDP, 40},
		{"fd00::64", "2001:db8::1", AF_INET6, IPPROTO_ICMPV6, 40},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool ports = cases[i].protocol == IPPROTO_TCP || cases[i].protocol == IPPROTO_UDP;
		struct uplink_address source = make_address(cases[i].source, ports ? 1234 : 0);
		struct uplink_address to = make_address(cases[i].destination, ports ? 80 : 0);
		uint8_t data[PACKET_MAX], payload[24];
		struct uplink_packet packet;
		size_t needed, size = transport(payload, cases[i].protocol, &needed);

		size = make_packet(data, cases[i].source, cases[i].destination, cases[i].protocol,
			payload, size);
		check_lengths(data, size, cases[i].header + needed);
		assert_int_equal(parse(data, size, &packet), 0);
		assert_int_equal(packet.family, cases[i].family);
		assert_int_equal(packet.protocol, cases[i].protocol);
		assert_address(&packet.source, &source);
		assert_address(&packet.destination, &to);
		assert_false(packet.fragment);
		assert_int_equal(packet.tcp_flags,
			cases[i].protocol == IPPROTO_TCP ? TH_SYN | TH_ACK : 0);
		assert_int_equal(packet.icmp_type, ports ? 0 : 3);
		assert_int_equal(packet.icmp_code, ports ? 0 : 13);
	}
}

static void other_protocols_have_no_ports(void **state)
{
	uint8_t data[PACKET_MAX];
	struct uplink_packet packet;
	size_t size = make_packet(data, "10.0.2.100", "1.2.3.4", IPPROTO_GRE, "", 0);

	check_lengths(data, size, 20);
	assert_int_equal(parse(data, size, &packet), 0);
	assert_int_equal(packet.source.port, 0);
	assert_int_equal(packet.transport_length, 0);
}

static void other_versions_are_none(void **state)
{
	uint8_t data[64] = {};
	struct uplink_packet packet;

	for (unsigned version = 0; version < 16; version++) {
		data[0] = (uint8_t)(version << 4 | 5);
		data[6] = IPPROTO_NONE;
		assert_int_equal(parse(data, sizeof(data), &packet),
			version == 4 || version == 6 ? 0 : -EBADMSG);
	}
}

static void ports_stand_behind_options(void **state)
{
	for (unsigned words = 0; words < 16; words++) {
		uint8_t data[60 + 20] = {0x40, [9] = IPPROTO_TCP};
		size_t header = words * 4u;
		struct uplink_packet packet;

		data[0] = (uint8_t)(0x40 | words);
		if (words < 5) {
			assert_int_equal(parse(data, sizeof(data), &packet), -EBADMSG);
			continue;
		}
		make_tcp(data + header, 1234, 80, TH_RST);
		check_lengths(data, header + 20, header + 20);
		assert_int_equal(parse(data, header + 20, &packet), 0);
		assert_int_equal(packet.destination.port, htons(80));
		assert_int_equal(packet.tcp_flags, TH_RST);
	}
}

static void later_fragments_have_no_ports(void **state)
{
	static const struct {
		uint8_t high, low;
		bool fragment;
	} cases[] = {
		{0, 0, false},
		{0x20, 0, false}, /* the first one: more follow */
		{0x40, 0, false}, /* never to be fragmented */
		{0, 1, true},
		{0x20, 1, true},
		{0x1f, 0xff, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t data[40] = {0x45, [6] = cases[i].high, cases[i].low, [9] = IPPROTO_TCP};
		struct uplink_packet packet;

		make_tcp(data + 20, 1234, 80, TH_SYN);
		check_lengths(data, sizeof(data), cases[i].fragment ? 20 : 40);
		assert_int_equal(parse(data, sizeof(data), &packet), 0);
		assert_int_equal(packet.fragment, cases[i].fragment);
		assert_int_equal(packet.destination.port, cases[i].fragment ? 0 : htons(80));
		assert_int_equal(packet.tcp_flags, cases[i].fragment ? 0 : TH_SYN);
	}
}

/* An address of IPv4 in a packet of IPv6 would be mistaken for who has it in IPv4. */
static void mapped_addresses_are_in_no_packet(void **state)
{
	static const char *const ways[][2] = {{"fd00::64", "2001:db8::1"}, {"::1.2.3.4", "::1"}};
	uint8_t data[PACKET_MAX];
	struct uplink_packet packet;

	for (size_t i = 0; i < 2; i++) {
		size_t size = make_packet(data, ways[i][0], ways[i][1], IPPROTO_GRE, "", 0);

		assert_int_equal(parse(data, size, &packet), 0);
		memcpy(data + 8, mapped_prefix, sizeof(mapped_prefix));
		assert_int_equal(parse(data, size, &packet), -EBADMSG);
		size = make_packet(data, ways[i][0], ways[i][1], IPPROTO_GRE, "", 0);
		memcpy(data + 24, mapped_prefix, sizeof(mapped_prefix));
		assert_int_equal(parse(data, size, &packet), -EBADMSG);
	}
}

/* ---- IPv6's extension headers ---- */

/* Appends a header: its type goes where the last "next header" is. */
static size_t put_extension(uint8_t *data, size_t at, size_t *next, uint8_t type, unsigned words)
{
	data[*next] = type;
	*next = at;
	memset(data + at, 0, 8 + 8u * words);
	if (type != IPPROTO_FRAGMENT)
		data[at + 1] = (uint8_t)words;
	return at + 8 + 8u * words;
}

static size_t end_extensions(uint8_t *data, size_t at, size_t next)
{
	data[next] = IPPROTO_UDP;
	return at + make_udp(data + at, 1234, 53, NULL, 0);
}

static void ports_stand_behind_extension_headers(void **state)
{
	uint8_t data[PACKET_MAX];
	size_t next = 6, at = make_packet(data, "fd00::64", "2001:db8::1", 0, NULL, 0);
	struct uplink_packet packet;

	at = put_extension(data, at, &next, IPPROTO_HOPOPTS, 0);
	at = put_extension(data, at, &next, IPPROTO_ROUTING, 2);
	at = put_extension(data, at, &next, IPPROTO_FRAGMENT, 0);
	at = put_extension(data, at, &next, IPPROTO_DSTOPTS, 1);
	at = end_extensions(data, at, next);
	check_lengths(data, at, at);
	assert_int_equal(parse(data, at, &packet), 0);
	assert_int_equal(packet.protocol, IPPROTO_UDP);
	assert_int_equal(packet.destination.port, htons(53));
	assert_false(packet.fragment);
}

static void the_longest_extension_header_is_measured(void **state)
{
	uint8_t data[40 + 256 * 8 + 8];
	size_t next = 6, at = make_packet(data, "fd00::64", "2001:db8::1", 0, NULL, 0);

	at = put_extension(data, at, &next, IPPROTO_DSTOPTS, 255);
	at = end_extensions(data, at, next);
	assert_int_equal(at, sizeof(data));
	check_lengths(data, at, at);
}

static void there_are_not_endlessly_many_headers(void **state)
{
	for (int n = EXTENSIONS_MAX - 1; n <= EXTENSIONS_MAX; n++) {
		uint8_t data[PACKET_MAX];
		size_t next = 6, at = make_packet(data, "fd00::64", "2001:db8::1", 0, NULL, 0);
		struct uplink_packet packet;

		for (int i = 0; i < n; i++)
			at = put_extension(data, at, &next, IPPROTO_DSTOPTS, 0);
		at = end_extensions(data, at, next);
		assert_int_equal(parse(data, at, &packet), n < EXTENSIONS_MAX ? 0 : -EBADMSG);
	}
}

static void later_fragments_of_ipv6_have_no_ports(void **state)
{
	static const struct {
		uint8_t high, low;
		bool fragment;
	} cases[] = {{0, 1, false}, {0, 6, false}, {0, 8, true}, {0xff, 0xf8, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t data[PACKET_MAX];
		size_t next = 6, at = make_packet(data, "fd00::64", "2001:db8::1", 0, NULL, 0);
		struct uplink_packet packet;

		at = put_extension(data, at, &next, IPPROTO_FRAGMENT, 0);
		data[at - 6] = cases[i].high;
		data[at - 5] = cases[i].low;
		at = end_extensions(data, at, next);
		check_lengths(data, at, cases[i].fragment ? at - 8 : at);
		assert_int_equal(parse(data, at, &packet), 0);
		assert_int_equal(packet.fragment, cases[i].fragment);
		assert_int_equal(packet.destination.port, cases[i].fragment ? 0 : htons(53));
	}
}

/* ---- addresses ---- */

static void addresses_are_mapped_and_back(void **state)
{
	struct in_addr four = {htonl(0x01020304)}, back = {};
	struct in6_addr mapped = uplink_map4(four), other = make_ip("::fffe:1.2.3.4");

	assert_true(IN6_IS_ADDR_V4MAPPED(&mapped));
	assert_true(uplink_unmap4(&mapped, &back));
	assert_int_equal(back.s_addr, four.s_addr);
	back.s_addr = 7;
	assert_false(uplink_unmap4(&other, &back));
	other = make_ip("::1.2.3.4");
	assert_false(uplink_unmap4(&other, &back));
	assert_int_equal(back.s_addr, 7);
}

static void socket_addresses_come_back_the_same(void **state)
{
	static const char *const texts[] = {"1.2.3.4", "0.0.0.0", "2001:db8::1", "::1", "::"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct uplink_address address = make_address(texts[i], 4711), back = {};
		struct sockaddr_storage storage;
		bool six = strchr(texts[i], ':');

		assert_int_equal(uplink_sockaddr(&address, &storage),
			six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		assert_int_equal(storage.ss_family, six ? AF_INET6 : AF_INET);
		assert_true(uplink_from_sockaddr(&storage, &back));
		assert_address(&address, &back);
		storage.ss_family = AF_UNIX;
		assert_false(uplink_from_sockaddr(&storage, &back));
	}
}

static bool is_loopback(const char *text, uint8_t family)
{
	struct in6_addr address = make_ip(text);

	return uplink_is_loopback(family, &address);
}

static void all_ways_to_the_loopback_are_known(void **state)
{
	static const char *const yes4[] = {"127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3"};
	static const char *const no4[] = {"10.0.2.2", "128.0.0.1", "126.255.255.255"};
	static const char *const yes6[] = {"::1", "::", "::ffff:127.0.0.1", "::127.0.0.1",
		"::ffff:8.8.8.8"};
	static const char *const no6[] = {"fd00::2", "0:0:0:0:1::1", "64:ff9b::127.0.0.1"};

	for (size_t i = 0; i < sizeof(yes4) / sizeof(*yes4); i++)
		assert_true(is_loopback(yes4[i], AF_INET));
	for (size_t i = 0; i < sizeof(no4) / sizeof(*no4); i++)
		assert_false(is_loopback(no4[i], AF_INET));
	for (size_t i = 0; i < sizeof(yes6) / sizeof(*yes6); i++)
		assert_true(is_loopback(yes6[i], AF_INET6));
	for (size_t i = 0; i < sizeof(no6) / sizeof(*no6); i++)
		assert_false(is_loopback(no6[i], AF_INET6));
}

static void groups_are_known(void **state)
{
	static const char *const yes[] = {"224.0.0.1", "239.255.255.250", "255.255.255.255",
		"240.0.0.1", "ff02::1", "ff0e::1"};
	static const char *const no[] = {"223.255.255.255", "10.0.2.255", "fe80::1", "::"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		struct in6_addr address = make_ip(yes[i]);

		assert_true(uplink_is_group(&address));
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		struct in6_addr address = make_ip(no[i]);

		assert_false(uplink_is_group(&address));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read_whole_or_not),
		cmocka_unit_test(other_protocols_have_no_ports),
		cmocka_unit_test(other_versions_are_none),
		cmocka_unit_test(ports_stand_behind_options),
		cmocka_unit_test(later_fragments_have_no_ports),
		cmocka_unit_test(mapped_addresses_are_in_no_packet),
		cmocka_unit_test(ports_stand_behind_extension_headers),
		cmocka_unit_test(the_longest_extension_header_is_measured),
		cmocka_unit_test(there_are_not_endlessly_many_headers),
		cmocka_unit_test(later_fragments_of_ipv6_have_no_ports),
		cmocka_unit_test(addresses_are_mapped_and_back),
		cmocka_unit_test(socket_addresses_come_back_the_same),
		cmocka_unit_test(all_ways_to_the_loopback_are_known),
		cmocka_unit_test(groups_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
