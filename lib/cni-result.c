/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What plugins print: results and errors. A result is somebody else's document until it was
 * checked here; later users (the cache, the next plugin, the hosts file) rely on that.
 *
 * Between the versions that we speak only little differs: up to 0.4.0 every entry of "ips" says
 * its "version", "4" or "6"; 1.1.0 added attributes to interfaces and routes.
 */
#include <string.h>

#include "cidr.h"
#include "cni-result.h"
#include "text.h"

#define QUOTE_SIZE 256
/* What is shown of a plugin's "msg" and "details" each. */
#define ERROR_TEXT_SIZE 640

static const char *const version_names[] = {
	[CNI_0_3_0] = "0.3.0",
	[CNI_0_3_1] = "0.3.1",
	[CNI_0_4_0] = "0.4.0",
	[CNI_1_0_0] = "1.0.0",
	[CNI_1_1_0] = "1.1.0",
};
_Static_assert(
	sizeof(version_names) / sizeof(*version_names) == CNI_VERSIONS, "every version has a name");

static const char *const interface_keys_1_1[] = {"mtu", "socketPath", "pciID", NULL};
static const char *const route_keys_1_1[] = {"mtu", "advmss", "priority", "table", "scope", NULL};

const char *cni_version_name(enum cni_version version)
{
	return version_names[version];
}

int cni_version_from_name(const char *name, enum cni_version *ret)
{
	for (int version = 0; version < CNI_VERSIONS; version++) {
		if (strcmp(version_names[version], name) == 0) {
			*ret = version;
			return 0;
		}
	}
	return -EINVAL;
}

static int wrong_cidr(const char *where, const char *text, struct err *err)
{
	char quoted[QUOTE_SIZE];

	return err_set(err, -EPROTO, "%s is \"%s\", which is not an address with a prefix length",
		where, text_sanitize(quoted, sizeof(quoted), text));
}

static int check_interface(const struct json *entry, struct err *err)
{
	const char *text;
	int r = json_read_string(entry, "name", true, &text, err);

	if (r == 0)
		r = json_read_string(entry, "mac", false, &text, err);
	if (r == 0)
		r = json_read_string(entry, "sandbox", false, &text, err);
	return r;
}

static int check_ip(const struct json *entry, size_t n_interfaces, struct err *err)
{
	const char *address;
	const char *gateway;
	int64_t index;
	struct cidr cidr;
	int r;

	r = json_read_string(entry, "address", true, &address, err);
	if (r == 0)
		r = json_read_string(entry, "gateway", false, &gateway, err);
	if (r == 0)
		r = json_read_int(entry, "interface", false, 0, INT32_MAX, &index, err);
	if (r < 0)
		return r;
	if (cidr_parse(address, &cidr) < 0)
		return wrong_cidr("\"address\"", address, err);
	if (json_int(json_get(entry, "interface"), &index) == 0 && (size_t)index >= n_interfaces)
		return err_set(err, -EPROTO, "\"interface\" is %lld, but there are %zu interfaces",
			(long long)index, n_interfaces);
	return 0;
}

static int check_route(const struct json *entry, struct err *err)
{
	const char *destination;
	const char *gateway;
	struct cidr cidr;
	int r;

	r = json_read_string(entry, "dst", true, &destination, err);
	if (r == 0)
		r = json_read_string(entry, "gw", false, &gateway, err);
	if (r < 0)
		return r;
	if (cidr_parse(destination, &cidr) < 0)
		return wrong_cidr("\"dst\"", destination, err);
	return 0;
}

/* Checks each entry of one of the three lists. */
static int check_entries(
	const struct json *result, const char *key, size_t n_interfaces, struct err *err)
{
	const struct json *list = NULL;
	int r = json_read_array(result, key, false, &list, err);

	for (size_t i = 0; r == 0 && i < json_length(list); i++) {
		const struct json *entry = json_at(list, i);

		if (json_type(entry) != JSON_OBJECT)
			r = err_set(err, -EPROTO, "it is no object");
		else if (strcmp(key, "interfaces") == 0)
			r = check_interface(entry, err);
		else if (strcmp(key, "ips") == 0)
			r = check_ip(entry, n_interfaces, err);
		else
			r = check_route(entry, err);
		if (r < 0)
			return err_wrap(err, -EPROTO, "%s[%zu]", key, i);
	}
	return r < 0 ? -EPROTO : 0;
}

static int check_dns(const struct json *result, struct err *err)
{
	static const char *const lists[] = {"nameservers", "search", "options"};
	const struct json *dns = NULL;
	const char *domain;
	int r = json_read_object(result, "dns", false, &dns, err);

	if (r == 0 && dns)
		r = json_read_string(dns, "domain", false, &domain, err);
	for (size_t i = 0; r == 0 && dns && i < sizeof(lists) / sizeof(*lists); i++) {
		autostrv list = NULL;

		r = json_read_strv(dns, lists[i], false, &list, err);
	}
	return r == 0 || r == -ENOMEM ? r : -EPROTO;
}

static int check_version(const struct json *result, struct err *err)
{
	const char *name = NULL;
	char quoted[QUOTE_SIZE];
	enum cni_version version;

	if (json_read_string(result, "cniVersion", false, &name, err) < 0)
		return -EPROTO;
	if (name && cni_version_from_name(name, &version) < 0)
		return err_set(err, -EPROTO, "its cniVersion is \"%s\", supported are %s",
			text_sanitize(quoted, sizeof(quoted), name), CNI_VERSIONS_TEXT);
	return 0;
}

static int check_result(const struct json *result, struct err *err)
{
	size_t n_interfaces = json_length(json_get(result, "interfaces"));
	int r;

	if (json_type(result) != JSON_OBJECT)
		return err_set(err, -EPROTO, "it is no object");
	if (json_length(json_get(result, "ips")) > CNI_ADDRESSES_MAX)
		return err_set(err, -EPROTO, "it has %zu addresses, at most %d are allowed",
			json_length(json_get(result, "ips")), CNI_ADDRESSES_MAX);
	r = check_version(result, err);
	if (r == 0)
		r = check_entries(result, "interfaces", n_interfaces, err);
	if (r == 0)
		r = check_entries(result, "ips", n_interfaces, err);
	if (r == 0)
		r = check_entries(result, "routes", n_interfaces, err);
	if (r == 0)
		r = check_dns(result, err);
	return r;
}

static void set_ip_versions(struct json *result, bool wanted)
{
	struct json *ips = json_get(result, "ips");

	for (size_t i = 0; i < json_length(ips); i++) {
		struct json *entry = json_at(ips, i);
		const char *address = json_string(json_get(entry, "address"));

		if (wanted)
			json_set_string(entry, "version", strchr(address, ':') ? "6" : "4");
		else
			json_remove(entry, "version");
	}
}

static void remove_keys(struct json *list, const char *const *keys)
{
	for (size_t i = 0; i < json_length(list); i++) {
		for (size_t key = 0; keys[key]; key++)
			json_remove(json_at(list, i), keys[key]);
	}
}

int cni_result_convert(struct json *result, enum cni_version version, struct err *err)
{
	int r = check_result(result, err);

	if (r < 0)
		return r;
	json_set_string(result, "cniVersion", cni_version_name(version));
	set_ip_versions(result, version < CNI_1_0_0);
	if (version < CNI_1_1_0) {
		remove_keys(json_get(result, "interfaces"), interface_keys_1_1);
		remove_keys(json_get(result, "routes"), route_keys_1_1);
	}
	return 0;
}

int cni_result_version(const struct json *result, enum cni_version *ret)
{
	const char *name = json_string(json_get(result, "cniVersion"));

	return name ? cni_version_from_name(name, ret) : -EINVAL;
}

/* An address without an interface is taken for the container's: plugins that make a single one
 * may leave the index out. */
static bool belongs_to(const struct json *result, const struct json *ip, const char *ifname)
{
	const struct json *interface;
	const char *name;
	int64_t index;

	if (json_int(json_get(ip, "interface"), &index) < 0)
		return true;
	interface = json_at(json_get(result, "interfaces"), index);
	name = json_string(json_get(interface, "name"));
	return name && strcmp(name, ifname) == 0;
}

int cni_result_addresses(
	const struct json *result, const char *ifname, char ***ret, struct err *err)
{
	const struct json *ips = json_get(result, "ips");
	autostrv addresses = calloc(1, sizeof(*addresses));

	if (!addresses)
		return err_oom(err);
	for (size_t i = 0; i < json_length(ips); i++) {
		const struct json *ip = json_at(ips, i);

		if (!belongs_to(result, ip, ifname))
			continue;
		if (strv_add(&addresses, json_string(json_get(ip, "address"))) < 0)
			return err_oom(err);
	}
	*ret = take_ptr(addresses);
	return 0;
}

bool cni_result_is_error(const struct json *output, int64_t *ret_code, struct err *err)
{
	const char *message = json_string(json_get(output, "msg"));
	const char *details = json_string(json_get(output, "details"));
	char clean_message[ERROR_TEXT_SIZE];
	char clean_details[ERROR_TEXT_SIZE];
	int64_t code;

	if (json_int(json_get(output, "code"), &code) < 0 || code == 0)
		return false;
	*ret_code = code;
	text_sanitize(clean_message, sizeof(clean_message), message ? message : "");
	text_sanitize(clean_details, sizeof(clean_details), details ? details : "");
	err_set(err, -EREMOTEIO, "code %lld: %s%s%s", (long long)code,
		*clean_message ? clean_message : "no message", *clean_details ? "; " : "",
		clean_details);
	return true;
}
