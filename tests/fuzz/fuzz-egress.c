/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Egress rules: any text is refused with the reason, or gives rules that come back the same from
 * their text and from their JSON. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct egress_rule *rule)
{
	autoptr(json) object = egress_to_json(rule);
	char text[EGRESS_TEXT_SIZE];
	struct egress_rule again;
	size_t n = 0;

	assert(egress_check(rule) == 0);
	egress_format(rule, text);
	assert(strlen(text) < EGRESS_TEXT_SIZE - 1);
	assert(egress_parse(text, &again, 1, &n, NULL) == 0 && n == 1);
	assert(memcmp(rule, &again, sizeof(again)) == 0);
	assert(egress_parse_json(object, &again, 1, &n, NULL) == 0 && n == 1);
	assert(memcmp(rule, &again, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup((const char *)data, size);
	struct egress_rule rules[EGRESS_RULES_MAX];
	struct err err = {0};
	size_t n = 0;

	if (!text)
		return 0;
	if (egress_parse(text, rules, EGRESS_RULES_MAX, &n, &err) < 0) {
		assert(err.msg[0]);
		return 0;
	}
	assert(n > 0 && n <= EGRESS_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		struct egress_packet packet = {.destination = rules[i].first,
			.port = rules[i].port_last,
			.protocol = rules[i].protocol ? rules[i].protocol : IPPROTO_TCP,
			.icmp_type = (uint8_t)(rules[i].icmp_type < 0 ? 0 : rules[i].icmp_type),
			.icmp_code = (uint8_t)(rules[i].icmp_code < 0 ? 0 : rules[i].icmp_code)};
		int match = egress_match(rules, n, &packet);

		check_again(&rules[i]);
		assert(rules[i].to != EGRESS_TO_RANGE || (match >= 0 && (size_t)match <= i));
	}
	return 0;
}
