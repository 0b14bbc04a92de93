/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Egress rules: the text that people write, what it expands to, and which rule matches a packet;
 * see egress.h. Their JSON is in egress-json.c.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "egress-internal.h"
#include "endpoint.h"
#include "text.h"

/* Bytes of a text that a message quotes. */
#define QUOTE_SIZE 128
#define DESTINATIONS                                                                               \
	"an address, a network (10.0.0.0/8), a range (10.0.0.1-10.0.0.9), dns, gateway or any"
#define NO_ADDRESS "an address must be IPv4 (not in the form ::ffff:a.b.c.d) or IPv6"

static const struct {
	const char *name;
	uint8_t protocol;
} protocols[] = {
	{"all", EGRESS_ALL},
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{"icmp", IPPROTO_ICMP},
};

#define PROTOCOLS_N (sizeof(protocols) / sizeof(protocols[0]))

int egress_protocol_from_name(const char *name, uint8_t *ret)
{
	for (size_t i = 0; i < PROTOCOLS_N; i++) {
		if (text_equal(protocols[i].name, name)) {
			*ret = protocols[i].protocol;
			return 0;
		}
	}
	return -EINVAL;
}

const char *egress_protocol_name(uint8_t protocol)
{
	for (size_t i = 0; i < PROTOCOLS_N; i++)
		if (protocols[i].protocol == protocol)
			return protocols[i].name;
	return NULL;
}

const char *egress_to_name(uint8_t to)
{
	return to == EGRESS_TO_DNS ? "dns" : to == EGRESS_TO_GATEWAY ? "gateway" : NULL;
}

void egress_rule_init(struct egress_rule *rule)
{
	*rule = (struct egress_rule){.port_last = UINT16_MAX, .icmp_type = -1, .icmp_code = -1};
	memset(&rule->last, 0xff, sizeof(rule->last));
}

void egress_parts_init(struct egress_parts *parts)
{
	memset(parts, 0, sizeof(*parts));
	egress_rule_init(&parts->base);
}

/* ---- destinations ---- */

/* Return: 0, or -EINVAL. An IPv4 address in the clothes of IPv6 is refused: in a rule for IPv6 it
 * would match nothing. */
static int parse_address(const char *text, struct in6_addr *ret, uint8_t *ret_family)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &address.s6_addr[12]) == 1)
		*ret_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &address) == 1 && !IN6_IS_ADDR_V4MAPPED(&address))
		*ret_family = AF_INET6;
	else
		return -EINVAL;
	*ret = address;
	return 0;
}

/* Sets the last @n bits. Return: true when one of them was set. */
static bool fill_bits(struct in6_addr *address, unsigned n)
{
	bool were_set = false;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *byte = &address->s6_addr[15 - i / 8];
		uint8_t bit = (uint8_t)(1U << i % 8);

		were_set = were_set || (*byte & bit);
		*byte |= bit;
	}
	return were_set;
}

static const char *parse_network(const char *address, const char *prefix, struct egress_rule *range)
{
	uint32_t length, bits;

	if (parse_address(address, &range->first, &range->family) < 0)
		return NO_ADDRESS;
	bits = range->family == AF_INET ? 32 : 128;
	if (text_to_uint32(prefix, 0, bits, &length) < 0)
		return "its prefix must be from 0 to 32, or to 128 for IPv6";
	range->last = range->first;
	if (fill_bits(&range->last, bits - length))
		return "the address has bits beyond its prefix";
	/* Such as ::/80: the end of it is what IPv4 addresses are kept as. */
	if (range->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&range->last))
		return "it ends among the addresses that stand for IPv4";
	return NULL;
}

static const char *parse_range(const char *first, const char *last, struct egress_rule *range)
{
	uint8_t family;

	if (parse_address(first, &range->first, &range->family) < 0 ||
		parse_address(last, &range->last, &family) < 0)
		return NO_ADDRESS;
	if (family != range->family)
		return "its two addresses must both be IPv4, or both be IPv6";
	if (memcmp(&range->first, &range->last, sizeof(range->first)) > 0)
		return "its first address must not be greater than the last one";
	return NULL;
}

static const char *parse_destination(char *text, struct egress_rule *range)
{
	char *slash = strchr(text, '/'), *dash = strchr(text, '-');

	if (text_equal(text, "any"))
		return NULL;
	if (text_equal(text, "dns") || text_equal(text, "gateway")) {
		range->to = *text == 'd' ? EGRESS_TO_DNS : EGRESS_TO_GATEWAY;
		return NULL;
	}
	if (slash) {
		*slash = '\0';
		return parse_network(text, slash + 1, range);
	}
	if (!dash)
		return parse_range(text, text, range) ? "it must be " DESTINATIONS : NULL;
	*dash = '\0';
	return parse_range(text, dash + 1, range);
}

static int add_destination(struct egress_parts *parts, const struct egress_rule *range,
	struct err *err)
{
	if (parts->n_destinations == EGRESS_RULES_MAX)
		return err_set(err, -E2BIG, "more than %d destinations", EGRESS_RULES_MAX);
	parts->destinations[parts->n_destinations++] = *range;
	return 0;
}

int egress_add_destinations(struct egress_parts *parts, char *text, struct err *err)
{
	char *next = text;

	while (next) {
		char quoted[QUOTE_SIZE], *one = strsep(&next, ",");
		struct egress_rule range;
		const char *problem;
		int r;

		text_sanitize(quoted, sizeof(quoted), one);
		egress_rule_init(&range);
		problem = parse_destination(one, &range);
		if (problem)
			return err_set(err, -EINVAL, "destination \"%s\": %s", quoted, problem);
		r = add_destination(parts, &range, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int egress_add_range(struct egress_parts *parts, const char *first, const char *last,
	struct err *err)
{
	char quoted_first[QUOTE_SIZE], quoted_last[QUOTE_SIZE];
	struct egress_rule range;
	const char *problem;

	egress_rule_init(&range);
	problem = parse_range(first, last, &range);
	if (problem)
		return err_set(err, -EINVAL, "network from \"%s\" to \"%s\": %s",
			text_sanitize(quoted_first, sizeof(quoted_first), first),
			text_sanitize(quoted_last, sizeof(quoted_last), last), problem);
	return add_destination(parts, &range, err);
}

/* ---- the rest of the text ---- */

int egress_add_ports(struct egress_parts *parts, uint32_t first, uint32_t last, struct err *err)
{
	struct egress_rule *range;

	if (parts->n_ports == EGRESS_RULES_MAX)
		return err_set(err, -E2BIG, "more than %d ranges of ports", EGRESS_RULES_MAX);
	range = &parts->ports[parts->n_ports++];
	range->port_first = (uint16_t)first;
	range->port_last = (uint16_t)last;
	return 0;
}

static int read_destinations(struct egress_parts *parts, char *value, struct err *err)
{
	return egress_add_destinations(parts, value, err);
}

static int read_protocol(struct egress_parts *parts, char *value, struct err *err)
{
	char quoted[QUOTE_SIZE];

	parts->has_protocol = true;
	if (egress_protocol_from_name(value, &parts->base.protocol) < 0)
		return err_set(err, -EINVAL, "proto must be tcp, udp, icmp or all, not \"%s\"",
			text_sanitize(quoted, sizeof(quoted), value));
	return 0;
}

/* "80" or "80-89". */
static int parse_ports(char *text, uint32_t *ret_first, uint32_t *ret_last)
{
	char *last = text, *first = strsep(&last, "-");

	if (text_to_uint32(first, 1, UINT16_MAX, ret_first) < 0)
		return -EINVAL;
	*ret_last = *ret_first;
	return last ? text_to_uint32(last, *ret_first, UINT16_MAX, ret_last) : 0;
}

static int read_ports(struct egress_parts *parts, char *value, struct err *err)
{
	char *next = value;
	int r = 0;

	while (r == 0 && next) {
		char quoted[QUOTE_SIZE], *one = strsep(&next, ",");
		uint32_t first, last;

		text_sanitize(quoted, sizeof(quoted), one);
		if (parse_ports(one, &first, &last) < 0)
			return err_set(err, -EINVAL,
				"port must be from 1 to 65535, or a range of these (80-89), not "
				"\"%s\"",
				quoted);
		r = egress_add_ports(parts, first, last, err);
	}
	return r;
}

static int read_type(struct egress_parts *parts, char *value, struct err *err)
{
	char *code = value, *type = strsep(&code, "/");
	uint32_t type_number, code_number = 0;

	if (text_to_uint32(type, 0, UINT8_MAX, &type_number) < 0 ||
		(code && text_to_uint32(code, 0, UINT8_MAX, &code_number) < 0))
		return err_set(err, -EINVAL,
			"type must be a number from 0 to 255, or two: TYPE/CODE");
	parts->has_type = true;
	parts->base.icmp_type = (int16_t)type_number;
	parts->base.icmp_code = code ? (int16_t)code_number : -1;
	return 0;
}

static const struct keyword {
	const char *name;
	int (*read)(struct egress_parts *parts, char *value, struct err *err);
} keywords[] = {
	{"to", read_destinations},
	{"proto", read_protocol},
	{"port", read_ports},
	{"type", read_type},
};

#define KEYWORDS_N (sizeof(keywords) / sizeof(keywords[0]))

/* Next word of *@text, or NULL. */
static char *take_word(char **text)
{
	char *word;

	do
		word = strsep(text, " \t\n");
	while (word && !*word);
	return word;
}

/* Index of the keyword, or -EINVAL. */
static int find_keyword(const char *word)
{
	for (size_t i = 0; i < KEYWORDS_N; i++)
		if (text_equal(keywords[i].name, word))
			return (int)i;
	return -EINVAL;
}

static int read_word(struct egress_parts *parts, char *word, char **rest, unsigned *seen,
	struct err *err)
{
	char quoted[QUOTE_SIZE], *value;
	int i = find_keyword(word);
	unsigned bit = i < 0 ? 1U << KEYWORDS_N : 1U << i;

	if (i < 0 && !text_equal(word, "log"))
		return err_set(err, -EINVAL, "\"%s\" is not known",
			text_sanitize(quoted, sizeof(quoted), word));
	if (*seen & bit)
		return err_set(err, -EINVAL, "%s is there twice", word);
	*seen |= bit;
	if (i < 0) {
		parts->base.log = 1;
		return 0;
	}
	value = take_word(rest);
	if (!value)
		return err_set(err, -EINVAL, "what follows %s is missing", word);
	return keywords[i].read(parts, value, err);
}

static int read_action(struct egress_parts *parts, const char *word, struct err *err)
{
	if (text_equal(word, "deny"))
		parts->base.action = EGRESS_DENY;
	else if (!text_equal(word, "allow"))
		return err_set(err, -EINVAL, "it must begin with allow or deny");
	return 0;
}

static int parse_text(char *text, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err)
{
	struct egress_parts parts;
	unsigned seen = 0;
	char *word;
	int r;

	egress_parts_init(&parts);
	r = read_action(&parts, take_word(&text), err);
	while (r == 0 && (word = take_word(&text)))
		r = read_word(&parts, word, &text, &seen, err);
	return r < 0 ? r : egress_expand(&parts, ret, max, ret_n, err);
}

static int check_json_members(const struct json *object, struct err *err)
{
	static const char *const known[] = {
		"action", "protocol", "to", "networks", "ports", "icmps", "log"};
	char quoted[QUOTE_SIZE];

	for (size_t i = 0; i < json_length(object); i++) {
		const char *key = json_key_at(object, i);
		size_t j = 0;

		while (j < sizeof(known) / sizeof(known[0]) && !text_equal(known[j], key))
			j++;
		if (j == sizeof(known) / sizeof(known[0]))
			return err_set(err, -EINVAL, "\"%s\" is not known",
				text_sanitize(quoted, sizeof(quoted), key));
	}
	return 0;
}

static int parse_json_text(const char *text, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err)
{
	autoptr(json) object = NULL;
	int r;

	r = json_parse("JSON", text, strlen(text), &object, err);
	if (r == 0)
		r = check_json_members(object, err);
	return r < 0 ? r : egress_parse_json(object, ret, max, ret_n, err);
}

int egress_parse(const char *text, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err)
{
	autofree char *copy = NULL;
	char quoted[QUOTE_SIZE];
	int r;

	if (strlen(text) > EGRESS_INPUT_MAX)
		return err_set(err, -E2BIG, "a rule has more than %d bytes", EGRESS_INPUT_MAX);
	copy = strdup(text);
	if (!copy)
		return err_oom(err);
	r = *text == '{' ? parse_json_text(text, ret, max, ret_n, err)
			 : parse_text(copy, ret, max, ret_n, err);
	if (r == 0 || r == -ENOMEM)
		return r;
	return err_wrap(err, r, "rule \"%s\"", text_sanitize(quoted, sizeof(quoted), text));
}

/* ---- expanding ---- */

static int check_parts(const struct egress_parts *parts, struct err *err)
{
	uint8_t protocol = parts->base.protocol;

	if (parts->has_type && protocol != IPPROTO_ICMP)
		return err_set(err, -EINVAL, "a type of ICMP needs the protocol icmp");
	if (parts->n_ports && parts->has_protocol && protocol != IPPROTO_TCP &&
		protocol != IPPROTO_UDP)
		return err_set(err, -EINVAL, "ports need the protocol tcp or udp");
	return 0;
}

/* One place of the product; a list that is empty counts as one that matches anything. */
static void make_rule(const struct egress_parts *parts, const struct egress_rule *destination,
	const struct egress_rule *ports, uint8_t protocol, struct egress_rule *ret)
{
	*ret = parts->base;
	ret->protocol = protocol;
	if (destination) {
		ret->to = destination->to;
		ret->family = destination->family;
		ret->first = destination->first;
		ret->last = destination->last;
	}
	if (ports) {
		ret->port_first = ports->port_first;
		ret->port_last = ports->port_last;
	}
}

int egress_expand(const struct egress_parts *parts, struct egress_rule *ret, size_t max,
	size_t *ret_n, struct err *err)
{
	const uint8_t both[] = {IPPROTO_TCP, IPPROTO_UDP}, one[] = {parts->base.protocol};
	bool expands = parts->n_ports && !parts->has_protocol;
	size_t n_protocols = expands ? 2 : 1, n = 0;
	size_t n_destinations = parts->n_destinations ? parts->n_destinations : 1;
	size_t n_ports = parts->n_ports ? parts->n_ports : 1;
	int r;

	r = check_parts(parts, err);
	if (r < 0)
		return r;
	if (n_destinations * n_ports * n_protocols > max)
		return err_set(err, -E2BIG, "it stands for %zu rules, and there is room for %zu",
			n_destinations * n_ports * n_protocols, max);
	for (size_t i = 0; i < n_destinations; i++)
		for (size_t j = 0; j < n_ports; j++)
			for (size_t k = 0; k < n_protocols; k++)
				make_rule(parts,
					parts->n_destinations ? &parts->destinations[i] : NULL,
					parts->n_ports ? &parts->ports[j] : NULL,
					expands ? both[k] : one[0], &ret[n++]);
	*ret_n = n;
	return 0;
}

/* ---- writing ---- */

/* Prefix length of the network that the range is, or -1 when it is none. */
static int prefix_length(const struct egress_rule *rule)
{
	int bits = rule->family == AF_INET ? 32 : 128;

	for (int n = 0; n <= bits; n++) {
		struct in6_addr last = rule->first;

		if (!fill_bits(&last, (unsigned)n) &&
			memcmp(&last, &rule->last, sizeof(last)) == 0)
			return bits - n;
	}
	return -1;
}

static size_t format_range(const struct egress_rule *rule, char *ret, size_t size)
{
	int prefix = prefix_length(rule), bits = rule->family == AF_INET ? 32 : 128;
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];
	int n;

	endpoint_format_address(&rule->first, first);
	endpoint_format_address(&rule->last, last);
	if (prefix == bits)
		n = snprintf(ret, size, " to %s", first);
	else if (prefix >= 0)
		n = snprintf(ret, size, " to %s/%d", first, prefix);
	else
		n = snprintf(ret, size, " to %s-%s", first, last);
	return (size_t)n;
}

static size_t format_ports(const struct egress_rule *rule, char *ret, size_t size)
{
	if (rule->port_first == 0)
		return 0;
	if (rule->port_first == rule->port_last)
		return (size_t)snprintf(ret, size, " port %u", rule->port_first);
	return (size_t)snprintf(ret, size, " port %u-%u", rule->port_first, rule->port_last);
}

static size_t format_type(const struct egress_rule *rule, char *ret, size_t size)
{
	if (rule->icmp_type < 0)
		return 0;
	if (rule->icmp_code < 0)
		return (size_t)snprintf(ret, size, " type %d", rule->icmp_type);
	return (size_t)snprintf(ret, size, " type %d/%d", rule->icmp_type, rule->icmp_code);
}

void egress_format(const struct egress_rule *rule, char ret[EGRESS_TEXT_SIZE])
{
	size_t size = EGRESS_TEXT_SIZE, n;

	n = (size_t)snprintf(ret, size, "%s", rule->action == EGRESS_DENY ? "deny" : "allow");
	if (rule->to != EGRESS_TO_RANGE)
		n += (size_t)snprintf(ret + n, size - n, " to %s", egress_to_name(rule->to));
	else if (rule->family)
		n += format_range(rule, ret + n, size - n);
	if (rule->protocol != EGRESS_ALL)
		n += (size_t)snprintf(ret + n, size - n, " proto %s",
			egress_protocol_name(rule->protocol));
	n += format_ports(rule, ret + n, size - n);
	n += format_type(rule, ret + n, size - n);
	if (rule->log)
		snprintf(ret + n, size - n, " log");
}

/* ---- checking and matching ---- */

static bool range_is_right(const struct egress_rule *rule)
{
	bool mapped_first = IN6_IS_ADDR_V4MAPPED(&rule->first);
	bool mapped_last = IN6_IS_ADDR_V4MAPPED(&rule->last);
	struct egress_rule any;

	if (rule->family && rule->to == EGRESS_TO_RANGE)
		return (rule->family == AF_INET || rule->family == AF_INET6) &&
		       mapped_first == (rule->family == AF_INET) && mapped_first == mapped_last &&
		       memcmp(&rule->first, &rule->last, sizeof(rule->first)) <= 0;
	egress_rule_init(&any);
	return rule->family == 0 && memcmp(&rule->first, &any.first, sizeof(any.first)) == 0 &&
	       memcmp(&rule->last, &any.last, sizeof(any.last)) == 0;
}

static bool ports_are_right(const struct egress_rule *rule)
{
	if (rule->port_first == 0)
		return rule->port_last == UINT16_MAX;
	return rule->port_first <= rule->port_last &&
	       (rule->protocol == IPPROTO_TCP || rule->protocol == IPPROTO_UDP);
}

static bool type_is_right(const struct egress_rule *rule)
{
	if (rule->icmp_type == -1)
		return rule->icmp_code == -1;
	return rule->protocol == IPPROTO_ICMP && rule->icmp_type >= 0 &&
	       rule->icmp_type <= UINT8_MAX && rule->icmp_code >= -1 &&
	       rule->icmp_code <= UINT8_MAX;
}

int egress_check(const struct egress_rule *rule)
{
	static const uint8_t zero[sizeof(rule->reserved)];

	return rule->action <= EGRESS_DENY && rule->to <= EGRESS_TO_GATEWAY && rule->log <= 1 &&
			       egress_protocol_name(rule->protocol) && range_is_right(rule) &&
			       ports_are_right(rule) && type_is_right(rule) &&
			       memcmp(rule->reserved, zero, sizeof(zero)) == 0
		       ? 0
		       : -EINVAL;
}
