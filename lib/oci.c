/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a runtime tells a hook, and what a child asks for in annotations and arguments. Runtimes
 * differ in what they leave out: runc has no pid at poststop, crun says 0, containerd leaves
 * annotations out. Everything here comes from elsewhere and is checked before it is used.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "oci.h"
#include "text.h"

#define STATE_SOURCE "OCI state on stdin"

/* Most bytes of a network's name: it becomes a part of file names. */
#define NETWORK_NAME_MAX 128

/* Bytes of a bad value that a message quotes. */
#define QUOTE_SIZE 100

int oci_check_id(const char *id, struct err *err)
{
	char quote[QUOTE_SIZE];
	bool ok = isascii(*id) && isalnum(*id) && strlen(id) <= OCI_ID_MAX;

	for (const char *c = id; ok && *c; c++)
		ok = isascii(*c) && (isalnum(*c) || strchr("_.+-", *c));
	if (ok)
		return 0;
	return err_set(err, -EINVAL,
		"\"%s\" is not a valid container id: one has letters, digits, '_', '.', '+' and "
		"'-', starts with a letter or digit, and has at most %d bytes",
		text_sanitize(quote, sizeof(quote), id), OCI_ID_MAX);
}

int oci_id_to_child(const char *id, const char *pod, char ret_child[NAME_COMPONENT_MAX + 1],
	struct err *err)
{
	char prefix[NAME_PATH_SIZE], child[NAME_COMPONENT_MAX + 1];
	const char *rest = id;
	size_t length;
	int r;

	name_path_to_id(pod, prefix);
	length = strlen(prefix);
	if (text_starts_with(id, prefix) && id[length] == '.')
		rest = id + length + 1;
	for (length = 0; length < NAME_COMPONENT_MAX && rest[length]; length++) {
		char c = rest[length];

		child[length] = (char)(c == '.' || c == '+' ? '-' : tolower((unsigned char)c));
	}
	child[length] = '\0';
	r = name_check_component(child, err);
	if (r < 0)
		return err_wrap(err, r, "container id '%s'", id);
	memcpy(ret_child, child, length + 1);
	return 0;
}

static int copy_string(
	const struct json *document, const char *key, bool required, char **ret, struct err *err)
{
	const char *text = NULL;
	int r = json_read_string(document, key, required, &text, err);

	if (r < 0 || !text)
		return r;
	*ret = strdup(text);
	return *ret ? 0 : err_oom(err);
}

static int read_annotations(const struct json *document, struct json **ret, struct err *err)
{
	const struct json *annotations = NULL;
	char quote[QUOTE_SIZE];
	int r = json_read_object(document, "annotations", false, &annotations, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_length(annotations); i++) {
		const struct json *value = json_at(annotations, i);

		text_sanitize(quote, sizeof(quote), json_key_at(annotations, i));
		if (json_type(value) != JSON_STRING)
			return err_set(err, -EINVAL,
				"\"annotations\": \"%s\" must be a string, found %s", quote,
				json_type_name(json_type(value)));
	}
	*ret = annotations ? json_copy(annotations) : json_new_object();
	return *ret ? 0 : err_oom(err);
}

static int read_state(const struct json *document, struct oci_state *state, struct err *err)
{
	int64_t pid = 0;
	int r;

	if (json_type(document) != JSON_OBJECT)
		return err_set(err, -EINVAL, "must be an object, found %s",
			json_type_name(json_type(document)));
	r = copy_string(document, "id", true, &state->id, err);
	if (r >= 0)
		r = oci_check_id(state->id, err);
	if (r >= 0)
		r = copy_string(document, "status", false, &state->status, err);
	if (r >= 0)
		r = copy_string(document, "bundle", false, &state->bundle, err);
	if (r >= 0)
		r = json_read_int(document, "pid", false, 0, INT32_MAX, &pid, err);
	if (r >= 0)
		r = read_annotations(document, &state->annotations, err);
	state->pid = (pid_t)pid;
	return r;
}

int oci_state_parse(const char *text, size_t length, struct oci_state *ret, struct err *err)
{
	cleanup(oci_state_done) struct oci_state state = {0};
	autoptr(json) document = NULL;
	int r = json_parse(STATE_SOURCE, text, length, &document, err);

	if (r < 0)
		return r;
	r = read_state(document, &state, err);
	if (r < 0)
		return err_wrap(err, r, STATE_SOURCE);
	*ret = state;
	state = (struct oci_state){0};
	return 0;
}

void oci_state_done(struct oci_state *state)
{
	free(state->id);
	free(state->status);
	free(state->bundle);
	json_free(state->annotations);
	*state = (struct oci_state){0};
}

const char *oci_annotation(const struct oci_state *state, const char *key)
{
	return json_string(json_get(state->annotations, key));
}

/* ---- networks ---- */

/* The grammar that CNI has for a network's name (specification, "Network configuration format"). */
static bool network_name_ok(const char *name)
{
	if (!isascii(*name) || !isalnum(*name) || strlen(name) > NETWORK_NAME_MAX)
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && !strchr("_.-", *name)))
			return false;
	return true;
}

static bool ip_ok(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* xx:xx:xx:xx:xx:xx, neither a multicast address nor all zeros. */
static bool mac_ok(const char *text)
{
	unsigned any = 0;
	int high, low;

	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++, text += 3) {
		high = hex_digit(text[0]);
		low = hex_digit(text[1]);
		if (high < 0 || low < 0 || (i < 5 && text[2] != ':') || (i == 0 && low & 1))
			return false;
		any |= (unsigned)(high | low);
	}
	return any != 0;
}

/* What the kernel takes (dev_valid_name()), but for the interface that is always there. */
static bool ifname_ok(const char *text)
{
	if (!*text || strlen(text) >= IFNAMSIZ || strcmp(text, "lo") == 0)
		return false;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text++)
		if (!isascii(*text) || !isgraph(*text) || *text == '/' || *text == ':')
			return false;
	return true;
}

/* What can stand behind a network's name. */
static const struct network_key {
	const char *name;
	size_t offset;
	bool (*ok)(const char *text);
	const char *expected;
} network_keys[] = {
	{"ip", offsetof(struct oci_network, ip), ip_ok, "an IPv4 or IPv6 address"},
	{"mac", offsetof(struct oci_network, mac), mac_ok,
		"a unicast address as in 02:00:00:00:00:01"},
	{"ifname", offsetof(struct oci_network, ifname), ifname_ok,
		"an interface name of 1 to 15 characters other than lo"},
};

static const struct network_key *find_key(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(network_keys) / sizeof(*network_keys); i++)
		if (strlen(network_keys[i].name) == length &&
			memcmp(network_keys[i].name, name, length) == 0)
			return &network_keys[i];
	return NULL;
}

/* One "key=value"; @whole is the text that messages quote. */
static int read_option(
	const char *option, const char *whole, struct oci_network *network, struct err *err)
{
	const char *equals = strchrnul(option, '=');
	const struct network_key *key = find_key(option, (size_t)(equals - option));
	char quote[QUOTE_SIZE];
	char **target;

	text_sanitize(quote, sizeof(quote), option);
	if (!key || !*equals)
		return err_set(err, -EINVAL,
			"network \"%s\": \"%s\" is none of ip=, mac= and ifname=", whole, quote);
	target = (char **)((char *)network + key->offset);
	if (*target)
		return err_set(
			err, -EINVAL, "network \"%s\": %s= is there twice", whole, key->name);
	if (!key->ok(equals + 1))
		return err_set(err, -EINVAL, "network \"%s\": \"%s\" is not valid: %s= takes %s",
			whole, quote, key->name, key->expected);
	*target = strdup(equals + 1);
	return *target ? 0 : err_oom(err);
}

int oci_network_parse(const char *text, struct oci_network *ret, struct err *err)
{
	cleanup(oci_network_done) struct oci_network network = {0};
	const char *colon = strchrnul(text, ':');
	const char *option = colon, *end;
	char quote[QUOTE_SIZE];

	text_sanitize(quote, sizeof(quote), text);
	network.name = strndup(text, (size_t)(colon - text));
	if (!network.name)
		return err_oom(err);
	if (!network_name_ok(network.name))
		return err_set(err, -EINVAL,
			"network \"%s\": a network's name has letters, digits, '_', '.' and '-', "
			"and starts with a letter or digit",
			quote);
	while (*option) {
		autofree char *one = NULL;
		int r;

		option++;
		end = strchrnul(option, ',');
		one = strndup(option, (size_t)(end - option));
		r = one ? read_option(one, quote, &network, err) : err_oom(err);
		if (r < 0)
			return r;
		option = end;
	}
	*ret = network;
	network = (struct oci_network){0};
	return 0;
}

void oci_network_done(struct oci_network *network)
{
	free(network->name);
	free(network->ip);
	free(network->mac);
	free(network->ifname);
	*network = (struct oci_network){0};
}
