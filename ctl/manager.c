/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units of pods, see manager.h. The questions that podctl asks all the time are answered by files:
 * the links that "enable" makes, and /proc/PID/cgroup. systemctl is run only where a unit is to be
 * changed.
 *
 * A unit finds its pod in the manager's default directory; for one in another directory a drop-in
 * of the unit sets PODD_ROOT.
 */

#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "file.h"
#include "spawn.h"
#include "text.h"
#include "unit.h"

#define ALL_UNITS "PODD_UNITS"
#define DROP_IN "podctl.conf"
#define DROP_IN_MAX 8192
#define ROOT_LINE "Environment=\"PODD_ROOT="
#define LINGER_DIR "/var/lib/systemd/linger"
/* The unit's own time-outs are shorter. */
#define CALL_TIMEOUT_MS 400000
#define ERRORS_MAX 2048
#define ARGUMENTS_MAX 12
/* Of a pod in a pod. With Requires= the manager would stop it whenever it starts the podd around
 * again, which that pod itself does not even notice. Should the pod around be away for a moment,
 * the next try is not too soon. */
#define AROUND_FORMAT                                                                              \
	"[Unit]\nWants=%s\nAfter=%s\n[Service]\nRestartForceExitStatus=75\nRestartSec=1\n"

static bool is_user(void)
{
	return geteuid() != 0;
}

/* ---- where its files are ---- */

static char *runtime_dir(void)
{
	const char *given = getenv("XDG_RUNTIME_DIR");

	return given && *given == '/' ? strdup(given)
				      : text_format("/run/user/%u", (unsigned)geteuid());
}

/* Where "enable" puts its links. Return: allocated, or NULL. */
static char *config_dir(void)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	const struct passwd *entry;

	if (!is_user())
		return strdup("/etc/systemd/system");
	if (config && *config == '/')
		return text_format("%s/systemd/user", config);
	if (!home || *home != '/') {
		entry = getpwuid(geteuid());
		home = entry ? entry->pw_dir : NULL;
	}
	return home ? text_format("%s/.config/systemd/user", home) : NULL;
}

/* The root of the pods that units know without being told. */
static char *default_root(void)
{
	autofree char *runtime = NULL;

	if (!is_user())
		return strdup("/run/podd");
	runtime = runtime_dir();
	return runtime ? text_format("%s/podd", runtime) : NULL;
}

static bool has_link(const char *pod, const char *target, const char *suffix)
{
	autofree char *config = config_dir();
	autofree char *path = NULL;
	char name[UNIT_NAME_SIZE];
	struct stat st;

	unit_name(pod, suffix, name);
	path = config ? text_format("%s/%s/%s", config, target, name) : NULL;
	return path && lstat(path, &st) == 0;
}

static char *drop_in_dir(const char *pod)
{
	autofree char *config = config_dir();
	char name[UNIT_NAME_SIZE];

	unit_name(pod, UNIT_SERVICE, name);
	return config ? text_format("%s/%s.d", config, name) : NULL;
}

/* What stands after PODD_ROOT= in the drop-in, in the form that root_text() gives; or NULL. */
static char *drop_in_root(const char *pod)
{
	autofree char *dir = drop_in_dir(pod);
	autofree char *text = NULL;
	autoclose int dirfd = -1;
	char *root, *end;
	size_t length;

	if (!dir)
		return NULL;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || file_read(dirfd, DROP_IN, DROP_IN_MAX, &text, &length, NULL) < 0)
		return NULL;
	root = strstr(text, ROOT_LINE);
	end = root ? strstr(root, "\"\n") : NULL;
	return end ? strndup(root + strlen(ROOT_LINE), (size_t)(end - root) - strlen(ROOT_LINE))
		   : NULL;
}

/* As a unit's file wants it: '%' is doubled (systemd.unit(5), "Specifiers"), and there is no slash
 * at the end. Return: allocated, or NULL. */
static char *root_text(const char *root)
{
	size_t length = strlen(root), n = 0;
	char *text = malloc(2 * length + 1);

	while (length > 1 && root[length - 1] == '/')
		length--;
	for (size_t i = 0; text && i < length; i++) {
		if (root[i] == '%')
			text[n++] = '%';
		text[n++] = root[i];
	}
	if (text)
		text[n] = '\0';
	return text;
}

static bool is_default_root(const struct ctl *ctl)
{
	autofree char *root = default_root();
	autofree char *wanted = root ? root_text(root) : NULL;
	autofree char *ours = root_text(ctl->root);

	return ours && text_equal(ours, wanted);
}

/* Is the unit, as it is configured, one for a pod of this directory? */
static bool is_for_root(const struct ctl *ctl, const char *pod)
{
	autofree char *other = drop_in_root(pod);
	autofree char *ours = root_text(ctl->root);

	return other ? text_equal(ours, other) : is_default_root(ctl);
}

/* ---- systemctl ---- */

/* As sd_booted(3), and for a user's own manager its private socket. */
static int check_manager(struct err *err)
{
	autofree char *runtime = runtime_dir();
	autofree char *path = runtime ? text_format("%s/systemd/private", runtime) : NULL;

	if (access("/run/systemd/system", F_OK) < 0)
		return err_set(err, -EOPNOTSUPP,
			"there is no systemd here that could do this; podctl start runs pods "
			"without it");
	if (is_user() && (!path || access(path, F_OK) < 0))
		return err_set(err, -EOPNOTSUPP,
			"there is no user manager of yours (no %s): log in, or have it run all the "
			"time: loginctl enable-linger",
			path ? path : "socket");
	return 0;
}

/* What systemctl said, or how it ended. */
static int explain(
	const char *verb, const char *unit, const struct spawn_result *result, struct err *err)
{
	size_t n = result->errors ? result->errors_length : 0;
	char how[64];

	while (n > 0 && result->errors[n - 1] == '\n')
		n--;
	if (n > 0)
		return err_set(err, -EREMOTEIO, "systemctl %s %s: %.*s", verb, unit, (int)n,
			result->errors);
	spawn_describe(result->status, how, sizeof(how));
	return err_set(err, -EREMOTEIO, "systemctl %s %s: it %s", verb, unit, how);
}

/* Runs "systemctl [--user] VERB UNIT [UNIT]". */
static int call(const char *verb, const char *unit, const char *second, struct err *err)
{
	autofree char *runtime = runtime_dir();
	autofree char *variable = runtime ? text_format("XDG_RUNTIME_DIR=%s", runtime) : NULL;
	char *environment[] = {(char *)"SYSTEMD_COLORS=0", variable, NULL};
	const char *argv[ARGUMENTS_MAX] = {"systemctl", is_user() ? "--user" : "--system",
		"--no-pager", "--quiet", "--no-ask-password", verb, "--", unit, second, NULL};
	const struct spawn spawn = {
		.path = PODD_SYSTEMCTL,
		.argv = (char *const *)argv,
		.envp = environment,
		.timeout_ms = CALL_TIMEOUT_MS,
		.output_max = ERRORS_MAX,
		.stderr_max = ERRORS_MAX,
	};
	struct spawn_result result = {};
	int r = variable ? check_manager(err) : err_oom(err);

	if (r < 0)
		return r;
	r = spawn_run(&spawn, &result, err);
	if (r == 0 && result.status != 0)
		r = explain(verb, unit, &result, err);
	spawn_result_done(&result);
	return r;
}

/* ---- starting and stopping ---- */

/* Those in the unit, one of which may be dead. */
bool manager_runs(const char *pod, const struct pod_state *state)
{
	const struct proc_id *const processes[] = {&state->podd, &state->outer};

	for (size_t i = 0; i < sizeof(processes) / sizeof(processes[0]); i++) {
		autofree char *cgroup = NULL;

		if (proc_alive(processes[i]) &&
			unit_cgroup_of(processes[i]->pid, pod, &cgroup) == 0)
			return true;
	}
	return false;
}

static bool is_in_unit(const char *pod)
{
	autofree char *cgroup = NULL;

	return unit_cgroup_of(getpid(), pod, &cgroup) == 0;
}

bool manager_starts(const struct ctl *ctl, const char *pod, const struct pod_state *state)
{
	const char *all = getenv(ALL_UNITS);

	if (is_in_unit(pod))
		return false;
	if (state && manager_runs(pod, state))
		return true;
	if (!manager_is_enabled(ctl, pod) && !(text_equal(all, "yes") && is_for_root(ctl, pod)))
		return false;
	return check_manager(NULL) == 0;
}

int manager_start(const char *pod, struct err *err)
{
	char name[UNIT_NAME_SIZE];
	int r;

	unit_name(pod, UNIT_SERVICE, name);
	/* How often a person starts it is no reason to refuse it. */
	call("reset-failed", name, NULL, NULL);
	r = call("start", name, NULL, err);
	if (r == -EREMOTEIO)
		return err_set(err, r, "the unit failed; journalctl %s-u '%s' says why",
			is_user() ? "--user " : "", name);
	return r;
}

int manager_stop(const char *pod, struct err *err)
{
	char service[UNIT_NAME_SIZE], socket[UNIT_NAME_SIZE];

	if (is_in_unit(pod))
		return 0;
	unit_name(pod, UNIT_SERVICE, service);
	unit_name(pod, UNIT_SOCKET, socket);
	return call("stop", socket, service, err);
}

/* ---- enabling ---- */

bool manager_is_enabled(const struct ctl *ctl, const char *pod)
{
	return (has_link(pod, "default.target.wants", UNIT_SERVICE) ||
		       has_link(pod, "sockets.target.wants", UNIT_SOCKET)) &&
	       is_for_root(ctl, pod);
}

/* Makes the directories of a path that are missing. */
static int make_dirs(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* What the unit's drop-in has to say; "" when there is nothing. Return: 0, -EINVAL, -ENOMEM. */
static int make_drop_in(const struct ctl *ctl, const char *pod, char **ret, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1], unit[UNIT_NAME_SIZE] = "";
	autofree char *root = root_text(ctl->root);
	autofree char *variable = NULL;

	if (!root)
		return err_oom(err);
	for (const char *c = root; *c; c++)
		if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
			return err_set(err, -EINVAL,
				"the pods' directory has a character in its name that a unit's "
				"file cannot have");
	name_split(pod, parent, leaf);
	if (*parent)
		unit_name(parent, UNIT_SERVICE, unit);
	variable = is_default_root(ctl) ? strdup("")
					: text_format("[Service]\n" ROOT_LINE "%s\"\n", root);
	if (variable)
		*ret = *unit ? text_format(AROUND_FORMAT "%s", unit, unit, variable)
			     : strdup(variable);
	return variable && *ret ? 0 : err_oom(err);
}

static int write_drop_in(const char *pod, const char *text, struct err *err)
{
	autofree char *dir = drop_in_dir(pod);
	autoclose int dirfd = -1;
	int r;

	if (!dir)
		return err_oom(err);
	r = make_dirs(dir);
	if (r == 0)
		dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0 || dirfd < 0)
		return err_set(err, r < 0 ? r : -errno, "making the directory %s: %s", dir,
			strerror(r < 0 ? -r : errno));
	r = file_write(dirfd, DROP_IN, text, strlen(text), 0644, err);
	return r < 0 ? err_wrap(err, r, "%s/%s", dir, DROP_IN) : 0;
}

static void remove_drop_in(const char *pod)
{
	autofree char *dir = drop_in_dir(pod);
	autofree char *file = dir ? text_format("%s/%s", dir, DROP_IN) : NULL;

	if (file && unlink(file) == 0)
		rmdir(dir);
}

/* The pods around it: it is started after them, in their units. */
static int enable_around(const struct ctl *ctl, const char *pod, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];

	name_split(pod, parent, leaf);
	return !*parent || manager_is_enabled(ctl, parent) ? 0 : manager_enable(ctl, parent, err);
}

int manager_enable(const struct ctl *ctl, const char *pod, struct err *err)
{
	autofree char *other = drop_in_root(pod);
	autofree char *text = NULL;
	char name[UNIT_NAME_SIZE];
	int r;

	unit_name(pod, UNIT_SERVICE, name);
	r = check_manager(err);
	if (r == 0)
		r = enable_around(ctl, pod, err);
	if (r < 0)
		return r;
	if (has_link(pod, "default.target.wants", UNIT_SERVICE) && !is_for_root(ctl, pod))
		return err_set(err, -EEXIST,
			"%s is enabled for a pod of that name in another directory%s%s", name,
			other ? ": " : "", other ? other : "");
	r = make_drop_in(ctl, pod, &text, err);
	if (r == 0 && *text)
		r = write_drop_in(pod, text, err);
	else if (r == 0)
		remove_drop_in(pod);
	return r < 0 ? r : call("enable", name, NULL, err);
}

int manager_disable(const struct ctl *ctl, const char *pod, struct err *err)
{
	char service[UNIT_NAME_SIZE], socket[UNIT_NAME_SIZE];
	int r;

	unit_name(pod, UNIT_SERVICE, service);
	unit_name(pod, UNIT_SOCKET, socket);
	r = check_manager(err);
	if (r < 0 || !is_for_root(ctl, pod))
		return r;
	r = call("disable", service, socket, err);
	if (r == 0)
		remove_drop_in(pod);
	return r;
}

/* ---- what "enabled" may not mean ---- */

static bool lingers(void)
{
	const struct passwd *entry = getpwuid(geteuid());
	autofree char *path = entry ? text_format(LINGER_DIR "/%s", entry->pw_name) : NULL;

	return path && access(path, F_OK) == 0;
}

void manager_warn(const struct ctl *ctl, const char *pod)
{
	struct statfs fs;

	if (statfs(ctl->root, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		ctl_warning(
			"%s: the pods' directory %s is empty after a reboot; create pods that are "
			"to be there then in another one (--root, $PODD_ROOT)",
			pod, ctl->root);
	if (is_user() && !lingers())
		ctl_warning(
			"%s: your units run only while you are logged in; to have them started "
			"with the machine: loginctl enable-linger",
			pod);
}
