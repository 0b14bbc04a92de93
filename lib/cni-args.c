/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address or a MAC that was asked for reaches the plugins in one of two ways: as capability
 * argument when any plugin of the list declares it ("ips", "mac"), else in CNI_ARGS, which every
 * plugin gets to see. Never both: host-local would take the two as two requests and fail, and
 * static wants a prefix length in CNI_ARGS. IgnoreUnknown is there for the plugins that refuse
 * keys that they do not know.
 */
#include <string.h>

#include "cni-args.h"
#include "text.h"

#define QUOTE_SIZE 128

/* CNI_ARGS has no quoting: the value must not bring a ';' along. */
static int check_value(const char *what, const char *value, const char *allowed, struct err *err)
{
	char quoted[QUOTE_SIZE];

	if (*value && value[strspn(value, allowed)] == '\0')
		return 0;
	return err_set(err, -EINVAL, "the %s \"%s\" that is asked for is invalid", what,
		text_sanitize(quoted, sizeof(quoted), value));
}

static void add_pair(struct json *pairs, const char *key, const char *value)
{
	struct json *pair = json_new_array();

	json_append(pair, json_new_string(key));
	json_append(pair, json_new_string(value));
	json_append(pairs, pair);
}

static void ask_for_ip(struct cni_args *args, const struct cni_config *config, const char *ip)
{
	if (cni_config_wants(config, "ips"))
		json_append(json_set_array(args->capabilities, "ips"), json_new_string(ip));
	else
		add_pair(args->pairs, "IP", ip);
}

static void ask_for_mac(struct cni_args *args, const struct cni_config *config, const char *mac)
{
	if (cni_config_wants(config, "mac"))
		json_set_string(args->capabilities, "mac", mac);
	else
		add_pair(args->pairs, "MAC", mac);
}

static int read_wishes(struct cni_args *args, const struct cni_config *config,
	const struct cni_runtime *runtime, struct err *err)
{
	int r = 0;

	args->pairs = json_new_array();
	if (runtime->ip || runtime->mac)
		add_pair(args->pairs, "IgnoreUnknown", "1");
	if (runtime->ip) {
		r = check_value("address", runtime->ip, "0123456789abcdefABCDEF.:/", err);
		if (r < 0)
			return r;
		ask_for_ip(args, config, runtime->ip);
	}
	if (runtime->mac) {
		r = check_value("MAC address", runtime->mac, "0123456789abcdefABCDEF:", err);
		if (r < 0)
			return r;
		ask_for_mac(args, config, runtime->mac);
	}
	/* IgnoreUnknown alone says nothing. */
	if (json_length(args->pairs) == 1)
		json_remove_at(args->pairs, 0);
	return 0;
}

static int join_pairs(struct cni_args *args, struct err *err)
{
	args->text = strdup("");
	for (size_t i = 0; args->text && i < json_length(args->pairs); i++) {
		const struct json *pair = json_at(args->pairs, i);
		const char *key = json_string(json_at(pair, 0));
		const char *value = json_string(json_at(pair, 1));
		char *longer;

		if (!key || !value || strpbrk(key, ";=") || strpbrk(value, ";="))
			return err_set(err, -EINVAL, "the kept result has invalid \"cniArgs\"");
		longer = text_format("%s%s%s=%s", args->text, i ? ";" : "", key, value);
		free(args->text);
		args->text = longer;
	}
	return args->text ? 0 : err_oom(err);
}

/* Sets in @target what @source has. */
static void merge(struct json *target, const struct json *source)
{
	if (json_type(source) != JSON_OBJECT)
		return;
	for (size_t i = 0; i < json_length(source); i++)
		json_set(target, json_key_at(source, i), json_copy(json_at(source, i)));
}

int cni_args_init(struct cni_args *args, const struct cni_config *config,
	const struct cni_runtime *runtime, const struct json *cached, struct err *err)
{
	const struct json *pairs = json_get(cached, "cniArgs");
	int r = 0;

	args->capabilities = json_new_object();
	merge(args->capabilities, json_get(cached, "capabilityArgs"));
	merge(args->capabilities, runtime->capability_args);
	if (runtime->ip || runtime->mac || json_type(pairs) != JSON_ARRAY)
		r = read_wishes(args, config, runtime, err);
	else
		args->pairs = json_copy(pairs);
	return r < 0 ? r : join_pairs(args, err);
}

void cni_args_done(struct cni_args *args)
{
	json_free(take_ptr(args->pairs));
	json_free(take_ptr(args->capabilities));
	free(take_ptr(args->text));
}
