/* SPDX-License-Identifier: GPL-2.0-or-later */

/* cgroup v2: see cgroup.h. */

#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "text.h"

#define MOUNT_POINT "/sys/fs/cgroup"
/* Files of cgroupfs are small; /proc/PID/cgroup has one line for each hierarchy. */
#define FILE_MAX (64 * 1024)
#define FREEZE_TIMEOUT_MS 10000
#define CPU_PERIOD_US 100000

static const struct {
	enum cgroup_controller bit;
	const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_CPU, "cpu"}, {CGROUP_PIDS, "pids"}};
#define CONTROLLERS_N (sizeof(controllers) / sizeof(controllers[0]))

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	for (size_t i = 0; i < CONTROLLERS_N; i++)
		if (controllers[i].bit == controller)
			return controllers[i].name;
	return "unknown";
}

/* Opens the directory of a cgroup. Return: 0, -ENOENT, -errno. */
static int open_cgroup(const char *path, int *ret)
{
	autofree char *full = NULL;
	int fd;

	/* Nothing leads out of the mount point. */
	if (path[0] != '/' || strstr(path, "/../") || text_ends_with(path, "/.."))
		return -EINVAL;
	full = text_format(MOUNT_POINT "%s", path);
	if (!full)
		return -ENOMEM;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

static int read_file(int dirfd, const char *name, char **ret)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t length;

	return fd < 0 ? -errno : fd_read_all(fd, FILE_MAX, ret, &length);
}

/* One write(2): cgroupfs takes a value as a whole. */
static int write_file(int dirfd, const char *name, const char *text)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

/* A file with one number: "max" and what is no number are 0. */
static uint64_t read_number(int dirfd, const char *name)
{
	autofree char *text = NULL;
	uint64_t number = 0;

	if (read_file(dirfd, name, &text) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return text_to_uint64(text, 0, UINT64_MAX, &number) < 0 ? 0 : number;
}

/* The number after "@key " at the beginning of a line, or 0. */
static uint64_t find_number(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (; text; text = strchr(text, '\n')) {
		char digits[24] = "";
		uint64_t number;
		size_t n;

		text += *text == '\n';
		if (strncmp(text, key, length) != 0 || text[length] != ' ')
			continue;
		n = strcspn(text + length + 1, "\n");
		if (n < sizeof(digits))
			memcpy(digits, text + length + 1, n);
		return text_to_uint64(digits, 0, UINT64_MAX, &number) < 0 ? 0 : number;
	}
	return 0;
}

static uint64_t read_key(int dirfd, const char *name, const char *key)
{
	autofree char *text = NULL;

	return read_file(dirfd, name, &text) < 0 ? 0 : find_number(text, key);
}

bool cgroup_is_unified(void)
{
	struct statfs fs;

	return statfs(MOUNT_POINT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_of(pid_t pid, char **ret)
{
	autofree char *text = NULL;
	char path[32];
	char *line;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = read_file(AT_FDCWD, path, &text);
	if (r < 0)
		return r == -ESRCH ? -ENOENT : r;
	/* Of several hierarchies, "0::" is that of version 2 (cgroups(7)). */
	line = text_starts_with(text, "0::") ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/');
	if (!line)
		return -ENOENT;
	*ret = strndup(line, strcspn(line, "\n"));
	return *ret ? 0 : -ENOMEM;
}

/* cgroup.events tells of changes by POLLPRI (cgroup-v2.rst). What it says is read through the fd
 * that is waited on, so that no change is missed. */
static int await_event(int dirfd, const char *key, bool wanted, unsigned timeout_ms)
{
	int64_t deadline = deadline_now_ms() + timeout_ms;
	autoclose int events = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (events < 0)
		return -errno;
	for (;;) {
		struct pollfd pollfd = {.fd = events, .events = POLLPRI};
		autofree char *text = NULL;
		size_t length;
		int r;

		if (lseek(events, 0, SEEK_SET) < 0)
			return -errno;
		r = fd_read_all(events, FILE_MAX, &text, &length);
		if (r < 0)
			return r;
		if ((find_number(text, key) == 1) == wanted)
			return 0;
		r = poll(&pollfd, 1, (int)deadline_left_ms(deadline, timeout_ms));
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* ---- delegation ---- */

/* Those of ours in a list such as "cpu memory\n". */
static unsigned parse_controllers(char *list)
{
	unsigned found = 0;
	char *name;

	while ((name = strsep(&list, " \n")))
		for (size_t i = 0; i < CONTROLLERS_N; i++)
			if (strcmp(name, controllers[i].name) == 0)
				found |= controllers[i].bit;
	return found;
}

static int read_controllers(int dirfd, const char *name, unsigned *ret)
{
	autofree char *list = NULL;
	int r = read_file(dirfd, name, &list);

	if (r < 0)
		return r;
	*ret = parse_controllers(list);
	return 0;
}

static bool is_writable(int dirfd)
{
	return faccessat(dirfd, ".", W_OK | X_OK, AT_EACCESS) == 0 &&
	       faccessat(dirfd, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
	       faccessat(dirfd, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

/* Enables what can be: each by itself, so that one that is refused keeps no other away. EBUSY is
 * for a cgroup with processes in it. */
static void enable_controllers(int dirfd, unsigned wanted)
{
	for (size_t i = 0; i < CONTROLLERS_N; i++) {
		char text[16];

		if (!(wanted & controllers[i].bit))
			continue;
		snprintf(text, sizeof(text), "+%s", controllers[i].name);
		write_file(dirfd, "cgroup.subtree_control", text);
	}
}

/* False for a cgroup with processes and without a controller that there is: it could only enable it
 * without them, and crun 1.8 tries for two seconds, from the first cgroup downwards. */
static bool is_at_ease(int dirfd)
{
	autofree char *available = NULL;
	autofree char *enabled = NULL;
	autofree char *processes = NULL;

	if (read_file(AT_FDCWD, MOUNT_POINT "/cgroup.controllers", &available) < 0 ||
		read_file(dirfd, "cgroup.subtree_control", &enabled) < 0 ||
		read_file(dirfd, "cgroup.procs", &processes) < 0)
		return false;
	return processes[0] == '\0' || strcmp(available, enabled) == 0;
}

/* How well containers' cgroups can be below it. */
enum suitability { UNSUITABLE, BARE, AT_EASE, HAS_CONTROLLERS };

/* Return: 0 with the controllers that children of this cgroup have, -EACCES when it is not the
 * caller's, -errno. */
static int delegate(const char *path, unsigned *ret_controllers, enum suitability *ret)
{
	unsigned available = 0, enabled = 0;
	autoclose int dirfd = -1;
	int r;

	r = open_cgroup(path, &dirfd);
	if (r == 0 && !is_writable(dirfd))
		r = -EACCES;
	if (r == 0)
		r = read_controllers(dirfd, "cgroup.controllers", &available);
	if (r == 0)
		r = read_controllers(dirfd, "cgroup.subtree_control", &enabled);
	if (r == 0 && (available & ~enabled)) {
		enable_controllers(dirfd, available & ~enabled);
		r = read_controllers(dirfd, "cgroup.subtree_control", &enabled);
	}
	if (r < 0)
		return r;
	*ret_controllers = enabled;
	*ret = enabled ? HAS_CONTROLLERS : is_at_ease(dirfd) ? AT_EASE : BARE;
	return 0;
}

/* "/a/b" becomes "/a", "/a" becomes "/". Return: false when there is nothing above. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (path[1] == '\0')
		return false;
	slash[slash == path ? 1 : 0] = '\0';
	return true;
}

/* The nearest of the most suitable ones. Return: 0, -ENOENT, -ENOMEM. */
static int find_above(char *path, char **ret, unsigned *ret_controllers)
{
	enum suitability best = UNSUITABLE;
	autofree char *chosen = NULL;

	do {
		enum suitability found = UNSUITABLE;
		unsigned enabled = 0;

		if (delegate(path, &enabled, &found) < 0 || found <= best)
			continue;
		free(chosen);
		chosen = strdup(path);
		if (!chosen)
			return -ENOMEM;
		*ret_controllers = enabled;
		best = found;
	} while (best != HAS_CONTROLLERS && go_up(path));
	if (!chosen)
		return -ENOENT;
	*ret = take_ptr(chosen);
	return 0;
}

int cgroup_find_delegated(char **ret, unsigned *ret_controllers, struct err *err)
{
	autofree char *path = NULL;
	int r;

	if (access(MOUNT_POINT "/cgroup.controllers", F_OK) < 0)
		return err_set(err, -ENOENT, "%s is not cgroup v2", MOUNT_POINT);
	r = cgroup_of(getpid(), &path);
	if (r < 0)
		return err_set(err, -ENOENT, "this process is in no cgroup of version 2");
	r = find_above(path, ret, ret_controllers);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r < 0)
		return err_set(err, r,
			"no cgroup is delegated to the caller (systemd-run --user --scope -p "
			"Delegate=yes gives one)");
	return 0;
}

int cgroup_controllers(const char *path, unsigned *ret)
{
	autofree char *parent = strdup(path);
	autoclose int dirfd = -1;
	int r;

	if (!parent)
		return -ENOMEM;
	r = open_cgroup(path, &dirfd);
	if (r == 0)
		return read_controllers(dirfd, "cgroup.controllers", ret);
	if (r != -ENOENT || !go_up(parent))
		return r;
	r = open_cgroup(parent, &dirfd);
	return r < 0 ? r : read_controllers(dirfd, "cgroup.subtree_control", ret);
}

bool cgroup_counts_swap(const char *path)
{
	autofree char *nearest = strdup(path);
	autoclose int dirfd = -1;
	int r = nearest ? open_cgroup(nearest, &dirfd) : -ENOMEM;

	if (r == -ENOENT && go_up(nearest))
		r = open_cgroup(nearest, &dirfd);
	return r == 0 && faccessat(dirfd, "memory.swap.max", F_OK, 0) == 0;
}

static int write_pid(int dirfd, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return write_file(dirfd, "cgroup.procs", text);
}

int cgroup_move_process(const char *path, const char *name, pid_t pid, struct err *err)
{
	autoclose int parent = -1;
	autoclose int dirfd = -1;
	int r;

	r = open_cgroup(path, &parent);
	if (r == 0 && mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		dirfd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0)
		r = dirfd < 0 ? -errno : write_pid(dirfd, pid);
	return r < 0 ? err_set(err, r, "moving process %d to the cgroup %s/%s: %s", (int)pid, path,
			       name, strerror(-r))
		     : 0;
}

void cgroup_enable(const char *path)
{
	enum suitability found;
	unsigned enabled;

	(void)delegate(path, &enabled, &found);
}

/* All at once or, where one is in use, not at all. */
int cgroup_release(const char *path)
{
	autofree char *enabled = NULL;
	autoclose int dirfd = -1;
	char text[256] = "";
	char *rest, *name;
	int r;

	r = open_cgroup(path, &dirfd);
	if (r == 0)
		r = read_file(dirfd, "cgroup.subtree_control", &enabled);
	if (r < 0)
		return r;
	for (rest = enabled; (name = strsep(&rest, " \n"));)
		if (*name && strlen(text) + strlen(name) + 3 < sizeof(text)) {
			size_t used = strlen(text);

			snprintf(text + used, sizeof(text) - used, "-%s ", name);
		}
	return *text ? write_file(dirfd, "cgroup.subtree_control", text) : 0;
}

/* ---- what a cgroup does ---- */

int cgroup_stats(const char *path, struct cgroup_stats *ret)
{
	autoclose int dirfd = -1;
	int r;

	r = open_cgroup(path, &dirfd);
	if (r < 0)
		return r;
	*ret = (struct cgroup_stats){
		.cpu_us = read_key(dirfd, "cpu.stat", "usage_usec"),
		.memory = read_number(dirfd, "memory.current"),
		.memory_limit = read_number(dirfd, "memory.max"),
		.pids = read_number(dirfd, "pids.current"),
		.oom_kills = read_key(dirfd, "memory.events", "oom_kill"),
	};
	return 0;
}

/* "max" for 0. */
static void format_limit(char *target, size_t size, uint64_t value)
{
	if (value)
		snprintf(target, size, "%" PRIu64, value);
	else
		text_copy(target, size, "max");
}

static int set_limit(const char *path, int dirfd, const char *name, const char *text,
	struct err *err)
{
	int r = write_file(dirfd, name, text);

	if (r == -ENOENT)
		return err_set(err, r, "cgroup %s has no %s: its controller is not delegated", path,
			name);
	if (r < 0)
		return err_set(err, r, "writing \"%s\" to %s of cgroup %s: %s", text, name, path,
			strerror(-r));
	return 0;
}

static void format_swap(char *target, size_t size, int64_t value)
{
	if (value < 0)
		text_copy(target, size, "max");
	else
		snprintf(target, size, "%" PRId64, value);
}

/* Without a limit of the memory there is none of the swap. */
static int64_t swap_in_force(const struct container_limits *limits)
{
	return limits->memory ? limits->swap : CONTAINER_SWAP_UNLIMITED;
}

/* In an order in which no step is refused for what the next one would allow: memory before swap. */
int cgroup_set_limits(const char *path, const struct container_limits *limits,
	const struct container_limits *old, struct err *err)
{
	static const struct container_limits none;
	autoclose int dirfd = -1;
	char text[64];
	int r;

	old = old ? old : &none;
	r = open_cgroup(path, &dirfd);
	if (r < 0)
		return err_set(err, r, "cgroup %s: %s", path, strerror(-r));
	if (limits->memory != old->memory) {
		format_limit(text, sizeof(text), limits->memory);
		r = set_limit(path, dirfd, "memory.max", text, err);
	}
	if (r == 0 && swap_in_force(limits) != swap_in_force(old)) {
		format_swap(text, sizeof(text), swap_in_force(limits));
		r = set_limit(path, dirfd, "memory.swap.max", text, err);
	}
	if (r == 0 && limits->cpu_milli != old->cpu_milli) {
		format_limit(text, sizeof(text),
			(uint64_t)limits->cpu_milli * (CPU_PERIOD_US / 1000));
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %d", CPU_PERIOD_US);
		r = set_limit(path, dirfd, "cpu.max", text, err);
	}
	if (r == 0 && limits->pids != old->pids) {
		format_limit(text, sizeof(text), limits->pids);
		r = set_limit(path, dirfd, "pids.max", text, err);
	}
	return r;
}

/* ---- the freezer ---- */

static bool is_frozen(int dirfd)
{
	return read_key(dirfd, "cgroup.events", "frozen") == 1;
}

bool cgroup_is_frozen(const char *path)
{
	autoclose int dirfd = -1;

	return open_cgroup(path, &dirfd) == 0 && is_frozen(dirfd);
}

int cgroup_freeze(const char *path, bool frozen, struct err *err)
{
	autoclose int dirfd = -1;
	int r;

	r = open_cgroup(path, &dirfd);
	if (r == 0)
		r = write_file(dirfd, "cgroup.freeze", frozen ? "1" : "0");
	if (r == 0)
		r = await_event(dirfd, "frozen", frozen, FREEZE_TIMEOUT_MS);
	/* Half frozen is worse than not at all. */
	if (r == -ETIMEDOUT && frozen)
		write_file(dirfd, "cgroup.freeze", "0");
	if (r < 0)
		return err_set(err, r, "%s cgroup %s: %s", frozen ? "freezing" : "thawing", path,
			strerror(-r));
	return 0;
}

/* ---- removal ---- */

/* Deeper ones than this nobody makes by mistake. */
#define DEPTH_MAX 64

static int remove_below(int dirfd, unsigned depth);

static int remove_one(int parent, const char *name, unsigned depth)
{
	autoclose int dirfd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (dirfd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = depth == 0 ? -ELOOP : remove_below(dirfd, depth - 1);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

static int remove_below(int dirfd, unsigned depth)
{
	int copy = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		cleanup_close(&copy);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = remove_one(dirfd, entry->d_name, depth);
	closedir(dir);
	return r;
}

int cgroup_remove(const char *path, unsigned timeout_ms)
{
	const char *name = strrchr(path, '/');
	autofree char *above = NULL;
	autoclose int parent = -1;
	autoclose int dirfd = -1;
	int r;

	if (!name || !text_starts_with(name + 1, CGROUP_PREFIX))
		return -EINVAL;
	above = name == path ? strdup("/") : strndup(path, (size_t)(name - path));
	if (!above)
		return -ENOMEM;
	r = open_cgroup(path, &dirfd);
	if (r == 0)
		r = open_cgroup(above, &parent);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* All at once, so that nothing can fork away (cgroup-v2.rst; Linux 5.14). */
	write_file(dirfd, "cgroup.kill", "1");
	if (timeout_ms > 0)
		await_event(dirfd, "populated", false, timeout_ms);
	return remove_one(parent, name + 1, DEPTH_MAX);
}
