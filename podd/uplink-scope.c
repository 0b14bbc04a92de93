/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The scopes of a pod: see uplink-scope.h. A scope that was removed while connections hold it
 * stays until the last of them ends, with its counters, but is found no more.
 */

#include "uplink-scope.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "endpoint.h"

#define HASH_SIZE 1024
#define SCOPES_MAX 4097
/* Messages of rules that log: so many at most in a second, for all rules together. */
#define LOG_MAX 10

struct place {
	struct in6_addr address;
	struct uplink_scope *scope;
	struct place *next;
};

struct uplink_scopes {
	struct uplink_scope pod;
	struct place *places[HASH_SIZE];
	struct uplink_config config;
	struct egress_addresses names; /* what "dns" and "gateway" mean */
	unsigned n;
	unsigned n_rules; /* of all */
	time_t log_second;
	unsigned logged;
};

static size_t hash(const struct in6_addr *address)
{
	uint32_t words[4];

	memcpy(words, address, sizeof(words));
	return ((words[0] ^ words[1] ^ words[2] ^ words[3]) * 0x9e3779b1u >> 16) % HASH_SIZE;
}

int uplink_scopes_new(const struct uplink_config *config, struct uplink_scopes **ret,
	struct err *err)
{
	struct uplink_scopes *scopes = calloc(1, sizeof(*scopes));

	if (!scopes)
		return err_oom(err);
	scopes->config = *config;
	scopes->pod.up = true;
	scopes->pod.references = 1;
	scopes->pod.n_addresses = config->ipv6 ? 2 : 1;
	scopes->pod.addresses[0] = uplink_map4(config->self4);
	scopes->pod.addresses[1] = config->self6;
	scopes->names.dns[0] = uplink_map4(config->dns4);
	scopes->names.gateway[0] = uplink_map4(config->gateway4);
	if (config->ipv6) {
		scopes->names.dns[1] = config->dns6;
		scopes->names.gateway[1] = config->gateway6;
	}
	*ret = scopes;
	return 0;
}

static void scope_free(struct uplink_scope *scope)
{
	free(scope->rules);
	free(scope);
}

static void remove_places(struct uplink_scopes *scopes, const struct uplink_scope *scope)
{
	for (size_t i = 0; i < HASH_SIZE; i++) {
		struct place **link = &scopes->places[i];

		while (*link) {
			struct place *place = *link;

			if (place->scope != scope) {
				link = &place->next;
				continue;
			}
			*link = place->next;
			free(place);
		}
	}
}

void uplink_scopes_free(struct uplink_scopes *scopes)
{
	if (!scopes)
		return;
	while (scopes->pod.next) {
		struct uplink_scope *scope = scopes->pod.next;

		scopes->pod.next = scope->next;
		remove_places(scopes, scope);
		scope_free(scope);
	}
	free(scopes->pod.rules);
	free(scopes);
}

struct uplink_scope *uplink_scopes_first(const struct uplink_scopes *scopes)
{
	return (struct uplink_scope *)&scopes->pod;
}

struct uplink_scope *uplink_scopes_find(const struct uplink_scopes *scopes, uint32_t id)
{
	struct uplink_scope *scope = uplink_scopes_first(scopes);

	while (scope && (scope->id != id || scope->leaving))
		scope = scope->next;
	return scope;
}

struct uplink_scope *uplink_scopes_of(const struct uplink_scopes *scopes,
	const struct in6_addr *address)
{
	const struct place *place = scopes->places[hash(address)];

	while (place && memcmp(&place->address, address, sizeof(*address)) != 0)
		place = place->next;
	return place ? place->scope : uplink_scopes_first(scopes);
}

struct uplink_scope *uplink_scope_ref(struct uplink_scope *scope)
{
	scope->references++;
	return scope;
}

void uplink_scope_unref(struct uplink_scopes *scopes, struct uplink_scope *scope)
{
	struct uplink_scope **link = &scopes->pod.next;

	if (--scope->references > 0)
		return;
	while (*link != scope)
		link = &(*link)->next;
	*link = scope->next;
	scopes->n--;
	scope_free(scope);
}

static struct uplink_scope *scope_add(struct uplink_scopes *scopes, uint32_t id)
{
	struct uplink_scope *scope;

	if (scopes->n >= SCOPES_MAX)
		return NULL;
	scope = calloc(1, sizeof(*scope));
	if (!scope)
		return NULL;
	scope->id = id;
	scope->references = 1;
	scope->next = scopes->pod.next;
	scopes->pod.next = scope;
	scopes->n++;
	return scope;
}

static int add_places(struct uplink_scopes *scopes, struct uplink_scope *scope)
{
	for (unsigned i = 0; i < scope->n_addresses; i++) {
		struct place *place = calloc(1, sizeof(*place));
		size_t h = hash(&scope->addresses[i]);

		if (!place)
			return -ENOMEM;
		place->address = scope->addresses[i];
		place->scope = scope;
		place->next = scopes->places[h];
		scopes->places[h] = place;
	}
	return 0;
}

int uplink_scopes_set(struct uplink_scopes *scopes, const struct uplink_child *child,
	struct err *err)
{
	struct uplink_scope *scope = uplink_scopes_find(scopes, child->id);

	if (child->id == 0 || child->n_addresses > UPLINK_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "no child has these addresses");
	if (!scope && child->gone)
		return 0;
	if (!scope)
		scope = scope_add(scopes, child->id);
	if (!scope)
		return err_set(err, -E2BIG, "too many children for podd-uplink");
	remove_places(scopes, scope);
	memcpy(scope->name, child->name, sizeof(scope->name));
	if (child->up && !scope->up)
		scope->up_since_ms = uplink_loop_now_ms();
	scope->up = child->up;
	scope->n_addresses = child->n_addresses;
	memcpy(scope->addresses, child->addresses, sizeof(scope->addresses));
	if (child->gone) {
		scopes->n_rules -= scope->n_rules;
		scope->n_rules = 0;
		scope->leaving = true;
		scope->up = false;
		uplink_scope_unref(scopes, scope);
		return 0;
	}
	/* One that shares the pod's network is reached there, and nothing is known to be its. */
	return child->shared || add_places(scopes, scope) == 0 ? 0 : err_oom(err);
}

int uplink_scopes_set_rules(struct uplink_scopes *scopes, uint32_t id,
	const struct egress_rule *rules, size_t n, struct err *err)
{
	struct uplink_scope *scope = uplink_scopes_find(scopes, id);
	struct egress_rule *copy = NULL;

	if (!scope)
		scope = scope_add(scopes, id);
	if (!scope || n > EGRESS_RULES_MAX)
		return err_set(err, -E2BIG, "too many children or rules for podd-uplink");
	if (n > 0) {
		copy = malloc(n * sizeof(*copy));
		if (!copy)
			return err_oom(err);
		memcpy(copy, rules, n * sizeof(*copy));
	}
	free(scope->rules);
	scope->rules = copy;
	scopes->n_rules += (unsigned)n - scope->n_rules;
	scope->n_rules = (unsigned)n;
	return 0;
}

bool uplink_scope_server(const struct uplink_scope *scope, const struct in6_addr *client,
	struct in6_addr *ret)
{
	struct in_addr four;
	bool six = !uplink_unmap4(client, &four);

	if (!scope->up || scope->n_addresses == 0)
		return false;
	*ret = scope->addresses[0];
	for (unsigned i = 0; i < scope->n_addresses; i++) {
		if (!uplink_unmap4(&scope->addresses[i], &four) != six)
			continue;
		*ret = scope->addresses[i];
		break;
	}
	return true;
}

static bool is_in_prefix(const struct in6_addr *address, const struct in6_addr *network,
	unsigned prefix)
{
	unsigned bytes = prefix / 8, bits = prefix % 8;

	return !memcmp(address, network, bytes) &&
	       (bits == 0 ||
		       (address->s6_addr[bytes] ^ network->s6_addr[bytes]) >> (8 - bits) == 0);
}

/* Would an answer to it stay in the pod? */
static bool is_of_pod(const struct uplink_scopes *scopes, bool six, const struct in6_addr *address)
{
	const struct uplink_config *config = &scopes->config;
	struct in6_addr network4 = uplink_map4(config->network4);

	if (uplink_scopes_of(scopes, address)->id != 0)
		return true;
	return six ? is_in_prefix(address, &config->network6, config->prefix6) :
		     is_in_prefix(address, &network4, 96 + config->prefix4);
}

struct uplink_address uplink_scopes_client(const struct uplink_scopes *scopes, bool six,
	const struct uplink_address *client)
{
	struct uplink_address source = *client;
	struct in_addr four;
	bool client_six = !uplink_unmap4(&client->ip, &four);

	if (client_six == six &&
		!uplink_is_loopback(client_six ? AF_INET6 : AF_INET, &client->ip) &&
		!is_of_pod(scopes, six, &client->ip))
		return source;
	source.ip = six ? scopes->config.gateway6 : uplink_map4(scopes->config.gateway4);
	return source;
}

bool uplink_scopes_have_rules(const struct uplink_scopes *scopes)
{
	return scopes->n_rules > 0;
}

static bool may_log(struct uplink_scopes *scopes)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != scopes->log_second) {
		scopes->log_second = now.tv_sec;
		scopes->logged = 0;
	}
	return scopes->logged++ < LOG_MAX;
}

static void log_match(struct uplink_scopes *scopes, const struct egress_rule *rule,
	const struct uplink_packet *packet)
{
	char source[ENDPOINT_TEXT_SIZE], destination[ENDPOINT_TEXT_SIZE];

	if (!may_log(scopes))
		return;
	endpoint_format(&packet->source.ip, ntohs(packet->source.port), source);
	endpoint_format(&packet->destination.ip, ntohs(packet->destination.port), destination);
	fprintf(stderr, "podd-uplink: egress %s: %s from %s to %s\n",
		rule->action == EGRESS_DENY ? "denied" : "allowed",
		endpoint_protocol_name(packet->protocol), source, destination);
}

static bool scope_allows(struct uplink_scopes *scopes, const struct uplink_scope *scope,
	const struct uplink_packet *packet, bool quiet)
{
	const struct egress_packet asked = {
		.protocol = packet->protocol,
		.destination = packet->destination.ip,
		.addresses = &scopes->names,
		.port = ntohs(packet->destination.port),
		.icmp_type = packet->icmp_type,
		.icmp_code = packet->icmp_code,
	};
	int i = egress_match(scope->rules, scope->n_rules, &asked);

	if (i < 0)
		return true;
	if (scope->rules[i].log && !quiet)
		log_match(scopes, &scope->rules[i], packet);
	return scope->rules[i].action == EGRESS_ALLOW;
}

bool uplink_scopes_allow(struct uplink_scopes *scopes, struct uplink_scope *scope,
	const struct uplink_packet *packet, bool quiet)
{
	bool allowed = scope_allows(scopes, scope, packet, quiet) &&
		       (scope->id == 0 || scope_allows(scopes, &scopes->pod, packet, quiet));

	if (!allowed && !quiet)
		scope->counters.denied++;
	return allowed;
}
