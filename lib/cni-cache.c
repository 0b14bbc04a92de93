/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of results, in the format and under the names that libcni uses
 * (results/NETWORK-CONTAINERID-IFNAME, kind "cniCacheV1"), so that other CNI tools that look
 * into the pod's /var/lib/cni understand it. The directory is the pod's own, but plugins can
 * write there too: what is read from it is checked like any other input.
 */
#include <limits.h>
#include <string.h>

#include "cni-cache.h"
#include "file.h"
#include "text.h"

#define CACHE_DIR "results"
#define CACHE_KIND "cniCacheV1"
/* file_write() puts a prefix and a suffix around the name. */
#define CACHE_NAME_MAX (NAME_MAX - 32)
/* A configuration in base64, its result, and the rest. */
#define CACHE_BYTES_MAX (2 * CNI_CONFIG_BYTES_MAX + CNI_RESULT_BYTES_MAX)

static char *entry_name(const struct cni_config *config, const struct cni_runtime *runtime)
{
	return text_format("%s-%s-%s", config->name, runtime->container_id, runtime->ifname);
}

int cni_cache_check_name(
	const struct cni_config *config, const struct cni_runtime *runtime, struct err *err)
{
	size_t length =
		strlen(config->name) + strlen(runtime->container_id) + strlen(runtime->ifname) + 2;

	if (length <= CACHE_NAME_MAX)
		return 0;
	return err_set(err, -ENAMETOOLONG,
		"the names of network, container and interface make %zu characters together, at "
		"most %d are possible",
		length, CACHE_NAME_MAX);
}

static char *base64(const char *data, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = (const unsigned char *)data;
	char *text = malloc((length + 2) / 3 * 4 + 1);
	char *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		size_t n = length - i < 3 ? length - i : 3;
		unsigned group = (unsigned)in[i] << 16;

		if (n > 1)
			group |= (unsigned)in[i + 1] << 8;
		if (n > 2)
			group |= in[i + 2];
		*out++ = digits[group >> 18];
		*out++ = digits[(group >> 12) & 63];
		*out++ = n > 1 ? digits[(group >> 6) & 63] : '=';
		*out++ = n > 2 ? digits[group & 63] : '=';
	}
	*out = '\0';
	return text;
}

/* Go's encoding/json, which other readers use, wants bytes as base64. */
static int encode_config(const struct cni_config *config, char **ret)
{
	autofree char *text = NULL;
	size_t length;

	if (json_write(config->document, false, &text, &length) < 0)
		return -ENOMEM;
	*ret = base64(text, length);
	return *ret ? 0 : -ENOMEM;
}

static struct json *build_entry(
	const struct cni_config *config, const struct cni_runtime *runtime, const char *encoded)
{
	struct json *entry = json_new_object();

	json_set_string(entry, "kind", CACHE_KIND);
	json_set_string(entry, "containerId", runtime->container_id);
	json_set_string(entry, "config", encoded);
	json_set_string(entry, "ifName", runtime->ifname);
	json_set_string(entry, "networkName", config->name);
	if (runtime->netns && *runtime->netns)
		json_set_string(entry, "netns", runtime->netns);
	return entry;
}

int cni_cache_save(const struct cni_config *config, const struct cni_runtime *runtime,
	const struct json *args, const struct json *capability_args, const struct json *result,
	struct err *err)
{
	autofree char *name = entry_name(config, runtime);
	autofree char *encoded = NULL;
	autofree char *text = NULL;
	autoptr(json) entry = NULL;
	autoclose int dirfd = -1;
	size_t length;
	int r;

	if (!name || encode_config(config, &encoded) < 0)
		return err_oom(err);
	entry = build_entry(config, runtime, encoded);
	if (json_length(args) > 0)
		json_set(entry, "cniArgs", json_copy(args));
	if (json_length(capability_args) > 0)
		json_set(entry, "capabilityArgs", json_copy(capability_args));
	json_set(entry, "result", json_copy(result));
	if (json_write(entry, false, &text, &length) < 0)
		return err_oom(err);
	r = file_make_dir(runtime->cache_fd, CACHE_DIR, &dirfd, err);
	if (r == 0)
		r = file_write(dirfd, name, text, length, 0600, err);
	return r < 0 ? err_wrap(err, r, "cannot keep the result of network \"%s\"", config->name)
		     : 0;
}

static int check_entry(const struct json *entry, struct err *err)
{
	static const char *const required[] = {"containerId", "ifName", "networkName"};
	const char *text = NULL;
	int r = json_read_string(entry, "kind", true, &text, err);

	if (r == 0 && strcmp(text, CACHE_KIND) != 0)
		return err_set(err, -EINVAL, "its \"kind\" is not %s", CACHE_KIND);
	for (size_t i = 0; r == 0 && i < sizeof(required) / sizeof(*required); i++)
		r = json_read_string(entry, required[i], true, &text, err);
	return r;
}

static int load_entry(int dirfd, const char *name, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	autoptr(json) entry = NULL;
	size_t length;
	int r = file_read(dirfd, name, CACHE_BYTES_MAX, &text, &length, err);

	if (r == 0)
		r = json_parse(name, text, length, &entry, err);
	if (r == 0)
		r = check_entry(entry, err);
	if (r < 0)
		return r;
	*ret = take_ptr(entry);
	return 0;
}

int cni_cache_load(const struct cni_config *config, const struct cni_runtime *runtime,
	struct json **ret, struct err *err)
{
	autofree char *name = entry_name(config, runtime);
	autoclose int dirfd = -1;
	int r;

	if (!name)
		return err_oom(err);
	r = file_open_dir(runtime->cache_fd, CACHE_DIR, &dirfd, err);
	if (r == 0)
		r = load_entry(dirfd, name, ret, err);
	return r < 0 ? err_wrap(err, r, "the kept result of network \"%s\"", config->name) : 0;
}

int cni_cache_remove(
	const struct cni_config *config, const struct cni_runtime *runtime, struct err *err)
{
	autofree char *name = entry_name(config, runtime);
	autoclose int dirfd = -1;
	int r;

	if (!name)
		return err_oom(err);
	r = file_open_dir(runtime->cache_fd, CACHE_DIR, &dirfd, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : file_remove(dirfd, name, err);
}

static void free_entries(struct json **entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_free(entries[i]);
	free(entries);
}

/* What cannot be read or is no entry is left out: others may put files there as well. */
static int load_entries(int dirfd, char *const *names, struct json **entries, size_t *n)
{
	for (size_t i = 0; names[i]; i++) {
		int r = load_entry(dirfd, names[i], &entries[*n], NULL);

		if (r == -ENOMEM)
			return r;
		if (r == 0)
			(*n)++;
	}
	return 0;
}

int cni_cache_list(int cache_fd, struct json ***ret, size_t *ret_n, struct err *err)
{
	autostrv names = NULL;
	autoclose int dirfd = -1;
	struct json **entries;
	size_t n = 0;
	int r = file_open_dir(cache_fd, CACHE_DIR, &dirfd, err);

	if (r == 0)
		r = file_list(dirfd, CNI_CACHE_ENTRIES_MAX, &names, err);
	if (r < 0 && r != -ENOENT)
		return err_wrap(err, r, "the kept results");
	entries = calloc(strv_length(names) + 1, sizeof(*entries));
	if (!entries)
		return err_oom(err);
	if (names && load_entries(dirfd, names, entries, &n) < 0) {
		free_entries(entries, n);
		return err_oom(err);
	}
	*ret = entries;
	*ret_n = n;
	return 0;
}

/* ---- the configuration that an entry was made with ---- */

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Return: the bytes, NUL-terminated, or NULL when it is no base64. */
static char *decode(const char *text, size_t *ret_length)
{
	size_t length = strlen(text), n = 0;
	autofree char *bytes = malloc(length / 4 * 3 + 4);
	unsigned group = 0, digits = 0;

	if (!bytes || length % 4)
		return NULL;
	for (; *text && *text != '='; text++) {
		int value = digit(*text);

		if (value < 0)
			return NULL;
		group = group << 6 | (unsigned)value;
		if (++digits % 4)
			continue;
		bytes[n++] = (char)(group >> 16);
		bytes[n++] = (char)(group >> 8);
		bytes[n++] = (char)group;
		group = 0;
	}
	if (strspn(text, "=") != strlen(text) || strlen(text) > 2 || digits % 4 == 1)
		return NULL;
	if (digits % 4 == 3)
		bytes[n++] = (char)(group >> 10);
	if (digits % 4 == 3)
		bytes[n++] = (char)(group >> 2);
	else if (digits % 4 == 2)
		bytes[n++] = (char)(group >> 4);
	bytes[n] = '\0';
	*ret_length = n;
	return take_ptr(bytes);
}

int cni_cache_config(const struct json *entry, struct cni_config **ret, struct err *err)
{
	const char *encoded = json_string(json_get(entry, "config"));
	autofree char *text = NULL;
	size_t length = 0;

	text = encoded ? decode(encoded, &length) : NULL;
	if (!text)
		return err_set(err, -EINVAL, "a kept result has no configuration");
	return cni_config_parse("kept configuration", text, length, ret, err);
}
