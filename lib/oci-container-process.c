/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The user, capabilities and resource limits of a container's process: see oci-container.h. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cleanup.h"
#include "oci-container-internal.h"
#include "text.h"

#define QUOTE_SIZE 100
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void oci_set_user(struct json *process, const struct rootfs_user *from)
{
	struct json *user = json_get(process, "user");
	struct json *groups;

	if (json_type(user) != JSON_OBJECT)
		user = json_set_object(process, "user");
	json_set_int(user, "uid", from->uid);
	json_set_int(user, "gid", from->gid);
	json_remove(user, "additionalGids");
	if (from->n_groups == 0)
		return;
	groups = json_set_array(user, "additionalGids");
	for (size_t i = 0; i < from->n_groups; i++)
		json_append(groups, json_new_int(from->groups[i]));
}

/* ---- capabilities ---- */

/* capabilities(7), in the order of their numbers. */
static const char *const known_capabilities[] = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH",
	"FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
	"SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};
#define CAPABILITIES_N COUNT_OF(known_capabilities)
_Static_assert(CAPABILITIES_N == 41, "number of capabilities");

const char *const oci_default_capabilities[] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER",
	"CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID",
	"CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT", NULL};

/* Bits, by place in known_capabilities. */
typedef uint64_t capability_set;

/* Those that the running kernel has: an older one refuses the others. */
static capability_set all_capabilities(void)
{
	autoclose int fd = open("/proc/sys/kernel/cap_last_cap", O_RDONLY | O_CLOEXEC);
	uint32_t last = CAPABILITIES_N - 1;
	char text[16] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
		text[strcspn(text, "\n")] = '\0';
		if (text_to_uint32(text, 0, CAPABILITIES_N - 1, &last) < 0)
			last = CAPABILITIES_N - 1;
	}
	return (UINT64_C(1) << (last + 1)) - 1;
}

static int find_capability(const char *name, size_t *ret)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < CAPABILITIES_N; i++) {
		if (strcasecmp(known_capabilities[i], name) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Adds the named ones; "all" only marks *ret_all. */
static int read_set(char *const *names, capability_set *set, bool *ret_all, struct err *err)
{
	char quote[QUOTE_SIZE];
	size_t index;

	for (; names && *names; names++) {
		if (strcasecmp(*names, "all") == 0) {
			*ret_all = true;
			continue;
		}
		if (find_capability(*names, &index) < 0)
			return err_set(err, -EINVAL, "there is no capability \"%s\"",
				text_sanitize(quote, sizeof(quote), *names));
		*set |= UINT64_C(1) << index;
	}
	return 0;
}

static int write_set(capability_set set, char ***ret, struct err *err)
{
	autostrv names = calloc(1, sizeof(*names));

	if (!names)
		return err_oom(err);
	for (size_t i = 0; i < CAPABILITIES_N; i++) {
		autofree char *name = NULL;

		if (!(set >> i & 1))
			continue;
		name = text_format("CAP_%s", known_capabilities[i]);
		if (!name || strv_add(&names, name) < 0)
			return err_oom(err);
	}
	*ret = take_ptr(names);
	return 0;
}

/* What the container starts from: the base's bounding set, or podd's defaults. */
static int read_base(const struct json *base, capability_set *set, struct err *err)
{
	const struct json *capabilities = json_get(json_get(base, "process"), "capabilities");
	autostrv names = NULL;
	bool all = false;
	int r = 0;

	if (capabilities)
		r = json_read_strv(capabilities, "bounding", false, &names, err);
	if (r < 0)
		return err_wrap(err, r, OCI_CONFIG_SOURCE ": process.capabilities");
	if (!capabilities)
		return read_set((char *const *)oci_default_capabilities, set, &all, err);
	r = read_set(names, set, &all, err);
	return r < 0 ? err_wrap(err, r, OCI_CONFIG_SOURCE ": process.capabilities") : 0;
}

int oci_choose_capabilities(const struct json *base, char *const *add, char *const *drop,
	char ***ret, char ***ret_added, struct err *err)
{
	capability_set start = 0, added = 0, dropped = 0;
	bool add_all = false, drop_all = false;
	autostrv names = NULL;
	int r;

	r = read_base(base, &start, err);
	if (r == 0)
		r = read_set(add, &added, &add_all, err);
	if (r < 0)
		return err_wrap(err, r, "--cap-add");
	r = read_set(drop, &dropped, &drop_all, err);
	if (r < 0)
		return err_wrap(err, r, "--cap-drop");
	if ((add_all && drop_all) || (added & dropped))
		return err_set(err, -EINVAL, "a capability cannot be both added and dropped");
	if (add_all)
		added = all_capabilities() & ~dropped;
	start = drop_all ? 0 : start;
	r = write_set((start | added) & ~dropped, &names, err);
	if (r == 0)
		r = write_set(added, ret_added, err);
	if (r == 0)
		*ret = take_ptr(names);
	return r;
}

void oci_set_capabilities(struct json *process, char *const *names, char *const *added,
	bool is_root)
{
	struct json *object = json_set_object(process, "capabilities");
	char *const none[] = {NULL};

	/* Without the inheritable set a program's file capabilities give nothing that was not asked
	 * for; ambient ones need it (capabilities(7)). */
	json_set_strv(object, "bounding", names);
	json_set_strv(object, "effective", is_root ? names : added);
	json_set_strv(object, "permitted", is_root ? names : added);
	json_set_strv(object, "inheritable", is_root ? none : added);
	json_set_strv(object, "ambient", is_root ? none : added);
}

/* ---- resource limits ---- */

/* getrlimit(2) */
static const char *const known_rlimits[] = {"as", "core", "cpu", "data", "fsize", "locks",
	"memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
	"stack"};

static int parse_limit(const char *text, uint64_t *ret)
{
	if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return text_to_uint64(text, 0, UINT64_MAX, ret);
}

/* Numbers beyond what json_new_int() takes: RLIM_INFINITY is one. */
static struct json *new_uint64(uint64_t number)
{
	char text[24];
	struct json *value = NULL;

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return json_parse("number", text, strlen(text), &value, NULL) < 0 ? NULL : value;
}

int oci_ulimit_parse(const char *text, struct oci_ulimit *ret, struct err *err)
{
	const char *equals = strchr(text, '=');
	const char *colon = equals ? strchr(equals, ':') : NULL;
	struct oci_ulimit ulimit = {0};
	autofree char *soft = NULL;
	char quote[QUOTE_SIZE];

	text_sanitize(quote, sizeof(quote), text);
	for (size_t i = 0; equals && i < COUNT_OF(known_rlimits); i++)
		if (strlen(known_rlimits[i]) == (size_t)(equals - text) &&
			strncasecmp(known_rlimits[i], text, (size_t)(equals - text)) == 0)
			ulimit.name = known_rlimits[i];
	if (!ulimit.name)
		return err_set(err, -EINVAL,
			"ulimit \"%s\": it must be NAME=SOFT[:HARD], and NAME one of getrlimit(2) "
			"such as nofile",
			quote);
	soft = colon ? strndup(equals + 1, (size_t)(colon - equals - 1)) : strdup(equals + 1);
	if (!soft)
		return err_oom(err);
	if (parse_limit(soft, &ulimit.soft) < 0 ||
		parse_limit(colon ? colon + 1 : soft, &ulimit.hard) < 0)
		return err_set(err, -EINVAL,
			"ulimit \"%s\": a limit is a number, or \"unlimited\"", quote);
	if (ulimit.soft > ulimit.hard)
		return err_set(err, -EINVAL, "ulimit \"%s\": the soft limit is above the hard one",
			quote);
	*ret = ulimit;
	return 0;
}

static void add_rlimit(struct json *array, const struct oci_ulimit *ulimit)
{
	char type[32] = "RLIMIT_";
	struct json *object = json_new_object();
	size_t n = strlen(type);

	for (const char *c = ulimit->name; *c; c++)
		type[n++] = (char)(*c - 'a' + 'A');
	json_set_string(object, "type", type);
	json_set(object, "hard", new_uint64(ulimit->hard));
	json_set(object, "soft", new_uint64(ulimit->soft));
	for (size_t i = 0; i < json_length(array);)
		if (text_equal(json_string(json_get(json_at(array, i), "type")), type))
			json_remove_at(array, i);
		else
			i++;
	json_append(array, object);
}

int oci_set_rlimits(struct json *process, char *const *ulimits, struct err *err)
{
	struct oci_ulimit ulimit;
	struct json *array;
	int r = 0;

	if (strv_length(ulimits) == 0)
		return 0;
	r = oci_need_member(process, "rlimits", "process.rlimits", JSON_ARRAY, &array, err);
	for (; r == 0 && *ulimits; ulimits++) {
		r = oci_ulimit_parse(*ulimits, &ulimit, err);
		if (r == 0)
			add_rlimit(array, &ulimit);
	}
	return r;
}
