/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * seccomp profiles: see seccomp-profile.h. A rule of the engines' form that applies here becomes
 * one of the OCI runtime specification; the others are left out. Whether a syscall of that name
 * exists is for the runtime to know.
 */

#include "seccomp-profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cleanup.h"
#include "file.h"
#include "text.h"

#define PROFILE_DEFAULT PODD_DATADIR "/seccomp.json"
#define PROFILE_BYTES_MAX (1024 * 1024)
#define VERSION_DIGITS_MAX 9

/* The architecture's two names: in "arches" (those of Go), and as libseccomp has it. */
struct arch {
	const char *machine; /* uname(2) */
	const char *name;
	const char *scmp;
};

static const struct arch arches[] = {
	{"x86_64", "amd64", "SCMP_ARCH_X86_64"},
	{"i686", "x86", "SCMP_ARCH_X86"},
	{"aarch64", "arm64", "SCMP_ARCH_AARCH64"},
	{"armv7l", "arm", "SCMP_ARCH_ARM"},
	{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE"},
	{"riscv64", "riscv64", "SCMP_ARCH_RISCV64"},
	{"s390x", "s390x", "SCMP_ARCH_S390X"},
	{"loongarch64", "loong64", "SCMP_ARCH_LOONGARCH64"},
};

/* What conditions of rules are held against. */
struct machine {
	const struct arch *arch; /* NULL: unknown to us */
	uint32_t kernel_major;
	uint32_t kernel_minor;
	char *const *capabilities;
};

/* "6.1" at the front of @text. */
static int parse_version(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	char number[VERSION_DIGITS_MAX + 1];
	size_t major = text ? strspn(text, "0123456789") : 0;
	size_t minor = major && text[major] == '.' ? strspn(text + major + 1, "0123456789") : 0;

	if (minor == 0 || major > VERSION_DIGITS_MAX ||
		minor > VERSION_DIGITS_MAX)
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)major, text);
	if (text_to_uint32(number, 0, UINT32_MAX, ret_major) < 0)
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)minor, text + major + 1);
	return text_to_uint32(number, 0, UINT32_MAX, ret_minor);
}

static void machine_init(struct machine *machine, char *const *capabilities)
{
	struct utsname name;

	*machine = (struct machine){.capabilities = capabilities};
	if (uname(&name) < 0)
		return;
	parse_version(name.release, &machine->kernel_major, &machine->kernel_minor);
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++)
		if (text_equal(arches[i].machine, name.machine))
			machine->arch = &arches[i];
}

static bool has_capability(const struct machine *machine, const char *name)
{
	return name && machine->capabilities && strv_contains(machine->capabilities, name);
}

static bool has_arch(const struct machine *machine, const char *name)
{
	return machine->arch && text_equal(machine->arch->name, name);
}

/* How many of an array's texts @matches holds for. */
static size_t count(const struct machine *machine, const struct json *array,
	bool (*matches)(const struct machine *machine, const char *name))
{
	size_t n = 0;

	for (size_t i = 0; i < json_length(array); i++)
		n += matches(machine, json_string(json_at(array, i)));
	return n;
}

/* "minKernel": "4.8" */
static bool kernel_is_old(const struct machine *machine, const struct json *condition)
{
	uint32_t major, minor;

	if (parse_version(json_string(json_get(condition, "minKernel")), &major, &minor) < 0)
		return false;
	return machine->kernel_major < major ||
	       (machine->kernel_major == major && machine->kernel_minor < minor);
}

/* "includes" holds when all capabilities are there and the architecture is one of those listed;
 * "excludes" must not hold for any. */
static bool applies(const struct machine *machine, const struct json *rule)
{
	const struct json *includes = json_get(rule, "includes");
	const struct json *excludes = json_get(rule, "excludes");
	const struct json *caps = json_get(includes, "caps");
	const struct json *named = json_get(includes, "arches");

	if (count(machine, caps, has_capability) != json_length(caps))
		return false;
	if (json_length(named) > 0 && count(machine, named, has_arch) == 0)
		return false;
	if (kernel_is_old(machine, includes))
		return false;
	if (count(machine, json_get(excludes, "caps"), has_capability) > 0 ||
		count(machine, json_get(excludes, "arches"), has_arch) > 0)
		return false;
	return !json_get(excludes, "minKernel") || kernel_is_old(machine, excludes);
}

static void copy_members(struct json *target, const struct json *source, const char *const *keys)
{
	for (; *keys; keys++) {
		const struct json *value = json_get(source, *keys);

		if (value && json_type(value) != JSON_NULL)
			json_set(target, *keys, json_copy(value));
	}
}

static int add_rule(struct json *target, const struct json *rule, size_t index, struct err *err)
{
	static const char *const keys[] = {"names", "action", "errnoRet", "args", NULL};
	const struct json *names = json_get(rule, "names");
	const char *action = json_string(json_get(rule, "action"));
	struct json *object;

	if (!action || (json_length(names) == 0 && !json_string(json_get(rule, "name"))))
		return err_set(err, -EINVAL, "syscalls[%zu] has no names or no action", index);
	object = json_new_object();
	copy_members(object, rule, keys);
	/* An older form has one name a rule. */
	if (!names) {
		struct json *array = json_set_array(object, "names");

		json_append(array, json_copy(json_get(rule, "name")));
	}
	json_append(target, object);
	return 0;
}

/* The architectures that programs here may be of: those that the profile lists for the machine's. */
static void set_architectures(struct json *target, const struct json *profile,
	const struct machine *machine)
{
	const struct json *map = json_get(profile, "archMap");
	struct json *array;

	if (json_get(profile, "architectures")) {
		json_set(target, "architectures", json_copy(json_get(profile, "architectures")));
		return;
	}
	if (!machine->arch)
		return;
	array = json_set_array(target, "architectures");
	json_append(array, json_new_string(machine->arch->scmp));
	for (size_t i = 0; i < json_length(map); i++) {
		const struct json *entry = json_at(map, i);
		const struct json *more = json_get(entry, "subArchitectures");

		if (!text_equal(json_string(json_get(entry, "architecture")), machine->arch->scmp))
			continue;
		for (size_t j = 0; j < json_length(more); j++)
			json_append(array, json_copy(json_at(more, j)));
	}
}

int seccomp_profile_convert(const struct json *profile, char *const *capabilities,
	struct json **ret, struct err *err)
{
	static const char *const keys[] = {"defaultAction", "defaultErrnoRet", "flags",
		"listenerPath", "listenerMetadata", NULL};
	autoptr(json) target = json_new_object();
	const struct json *rules = NULL;
	struct machine machine;
	struct json *array;
	int r;

	if (!json_string(json_get(profile, "defaultAction")))
		return err_set(err, -EINVAL, "there is no defaultAction");
	r = json_read_array(profile, "syscalls", false, &rules, err);
	if (r < 0)
		return r;
	machine_init(&machine, capabilities);
	copy_members(target, profile, keys);
	set_architectures(target, profile, &machine);
	array = json_set_array(target, "syscalls");
	for (size_t i = 0; r == 0 && i < json_length(rules); i++)
		if (applies(&machine, json_at(rules, i)))
			r = add_rule(array, json_at(rules, i), i, err);
	if (r == 0)
		*ret = take_ptr(target);
	return r;
}

int seccomp_profile_load(const char *path, char *const *capabilities, struct json **ret,
	struct err *err)
{
	const char *file = path ? path : PROFILE_DEFAULT;
	autoptr(json) profile = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = file_read(AT_FDCWD, file, PROFILE_BYTES_MAX, &text, &length, err);
	if (r < 0)
		return err_wrap(err, r, "the seccomp profile %s", file);
	r = json_parse(file, text, length, &profile, err);
	if (r < 0)
		return err_wrap(err, r, "the seccomp profile");
	r = seccomp_profile_convert(profile, capabilities, ret, err);
	return r < 0 ? err_wrap(err, r, "the seccomp profile %s", file) : 0;
}
