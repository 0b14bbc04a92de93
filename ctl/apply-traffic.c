/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ports and egress rules in plans: see apply-plan-internal.h. They are compared by their texts, as
 * they were asked for and as rules are expanded to. */

#include "apply-plan-internal.h"

#include <stdio.h>
#include <string.h>

#include "egress.h"
#include "text.h"

static const char *const none[] = {NULL};

char *const *apply_or_none(char *const *strv)
{
	return strv ? strv : (char *const *)none;
}

/* Those of @wanted that are not in @have. */
static int missing_in(char *const *wanted, char *const *have, char ***ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && wanted[i]; i++)
		if (!strv_contains(have, wanted[i]) && !(*ret && strv_contains(*ret, wanted[i])))
			r = strv_add(ret, wanted[i]);
	return r;
}

static int ports_of(
	const struct planning *planning, const char *child, char *const *own, char ***ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && own && own[i]; i++)
		r = strv_add(ret, own[i]);
	for (size_t i = 0; r == 0 && i < planning->network.n_ports; i++)
		if (strcmp(planning->network.ports[i].child, child) == 0)
			r = strv_add(ret, planning->network.ports[i].spec);
	return r;
}

/* One line for each rule, as it holds. */
static int expand_rules(char *const *texts, char ***ret, struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	char text[EGRESS_TEXT_SIZE];
	size_t n;
	int r = 0;

	for (size_t i = 0; r == 0 && texts && texts[i]; i++) {
		r = egress_parse(texts[i], rules, EGRESS_RULES_MAX, &n, err);
		for (size_t j = 0; r == 0 && j < n; j++) {
			egress_format(&rules[j], text);
			r = strv_add(ret, text);
		}
	}
	return r;
}

static int rules_of(const struct planning *planning, const char *child, char ***ret)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	char text[EGRESS_TEXT_SIZE];
	size_t n = pod_network_rules(&planning->network, child, rules);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		egress_format(&rules[i], text);
		r = strv_add(ret, text);
	}
	return r;
}

static bool same(char *const *a, char *const *b)
{
	a = apply_or_none(a);
	b = apply_or_none(b);
	while (*a && text_equal(*a, *b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

void traffic_done(struct traffic *traffic)
{
	strv_free(traffic->add_ports);
	strv_free(traffic->remove_ports);
	strv_free(traffic->rules);
	strv_free(traffic->old_rules);
}

bool traffic_differs(const struct traffic *traffic)
{
	return traffic->add_ports || traffic->remove_ports ||
	       !same(traffic->rules, traffic->old_rules);
}

int traffic_compare(const struct planning *planning, const char *child, char *const *publish,
	char *const *egress, char *const *own, char *const *first, struct traffic *ret)
{
	autostrv have = NULL;
	autostrv gone = NULL;
	int r = ports_of(planning, child, own, &have);

	if (r == 0)
		r = missing_in(apply_or_none(publish), apply_or_none(have), &ret->add_ports);
	if (r == 0)
		r = missing_in(apply_or_none(have), apply_or_none(publish), &ret->remove_ports);
	if (r == 0)
		r = missing_in(apply_or_none(own), apply_or_none(publish), &gone);
	ret->own_goes = gone != NULL;
	if (r == 0)
		r = expand_rules(egress, &ret->rules, planning->err);
	if (r == 0 && first)
		r = expand_rules(first, &ret->old_rules, planning->err);
	if (r == 0)
		r = rules_of(planning, child, &ret->old_rules);
	return r;
}

/* The new rules come before the old ones, and those go then: at no time there are fewer. */
static void plan_rules(struct planning *planning, const char *path, const struct traffic *traffic)
{
	size_t n = strv_length(traffic->rules), old = strv_length(traffic->old_rules);
	struct json *command;
	char position[32];

	if (n > 0)
		apply_add_words(STEP(planning->plan, APPLY_CHANGE, path, "its egress rules differ",
				  "egress", "add", "--at", "1", path),
			traffic->rules);
	if (old == 0)
		return;
	command = STEP(planning->plan, APPLY_CHANGE, path, "its egress rules differ", "egress",
		"rm", path);
	for (size_t i = 1; i <= old; i++) {
		snprintf(position, sizeof(position), "%zu", n + i);
		json_append(command, json_new_string(position));
	}
}

void traffic_plan(struct planning *planning, const char *path, const struct traffic *traffic)
{
	if (traffic->remove_ports)
		apply_add_words(STEP(planning->plan, APPLY_CHANGE, path, "a port is not wanted",
					"port", "rm", path),
			traffic->remove_ports);
	if (traffic->add_ports)
		apply_add_words(STEP(planning->plan, APPLY_CHANGE, path, "a port is missing",
					"port", "add", path),
			traffic->add_ports);
	if (!same(traffic->rules, traffic->old_rules))
		plan_rules(planning, path, traffic);
}
