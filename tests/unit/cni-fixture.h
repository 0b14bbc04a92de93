/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the CNI tests share: a directory of their own with plugins (copies of cni-fake, or
 * scripts), a log that the fake plugin writes, and a cache. Include after <cmocka.h>.
 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "cni-config.h"
#include "fd.h"
#include "file.h"
#include "text.h"

#define FIXTURE_FILE_MAX (16 * 1024 * 1024)
#define FIXTURE_CONFIG_SIZE (16 * 1024)

struct fixture {
	char dir[64];
	char plugins[PATH_MAX];
	char log[PATH_MAX];
	char dump[PATH_MAX];
	char *plugin_dirs[2];
	int dirfd;
	int pluginsfd;
	int cache_fd;
};

static inline void fixture_path(const struct fixture *fixture, const char *name, char ret[PATH_MAX])
{
	assert_in_range(snprintf(ret, PATH_MAX, "%s/%s", fixture->dir, name), 1, PATH_MAX - 1);
}

static inline int fixture_open_new(const struct fixture *fixture, const char *name)
{
	int fd;

	assert_int_equal(mkdirat(fixture->dirfd, name, 0700), 0);
	fd = openat(fixture->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(text_copy(fixture->dir, sizeof(fixture->dir), "/tmp/podd-cni-XXXXXX"), 0);
	assert_non_null(mkdtemp(fixture->dir));
	fixture->dirfd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->dirfd >= 0);
	fixture->pluginsfd = fixture_open_new(fixture, "plugins");
	fixture->cache_fd = fixture_open_new(fixture, "cache");
	fixture_path(fixture, "plugins", fixture->plugins);
	fixture_path(fixture, "log", fixture->log);
	fixture_path(fixture, "dump", fixture->dump);
	fixture->plugin_dirs[0] = fixture->plugins;
	*state = fixture;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	autoclose int parent = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = {0};

	close(fixture->pluginsfd);
	close(fixture->cache_fd);
	close(fixture->dirfd);
	if (file_remove_tree(parent, strrchr(fixture->dir, '/') + 1, &err) < 0)
		fail_msg("%s", err.msg);
	free(fixture);
	return 0;
}

/* Makes a plugin of that type from text: a script, or anything. */
static inline void fixture_write_plugin(const struct fixture *fixture, const char *type,
	const char *data, size_t length, mode_t mode)
{
	struct err err = {0};

	if (file_write(fixture->pluginsfd, type, data, length, mode, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void fixture_write_script(
	const struct fixture *fixture, const char *type, const char *text)
{
	fixture_write_plugin(fixture, type, text, strlen(text), 0755);
}

/* Makes cni-fake a plugin of that type. It lies next to this test: ../fake/cni-fake. */
static inline void fixture_install(const struct fixture *fixture, const char *type)
{
	autofree char *data = NULL;
	autoclose int fd = -1;
	char path[PATH_MAX + 32];
	size_t length;
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	assert_true(n > 0);
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	n = strlen(path);
	snprintf(path + n, sizeof(path) - n, "/../fake/cni-fake");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fd_read_all(fd, FIXTURE_FILE_MAX, &data, &length), 0);
	fixture_write_plugin(fixture, type, data, length, 0755);
}

static inline char *fixture_read(const struct fixture *fixture, const char *name)
{
	char *text = NULL;
	size_t length;

	if (file_read(fixture->dirfd, name, FIXTURE_FILE_MAX, &text, &length, NULL) < 0)
		text = strdup("");
	assert_non_null(text);
	return text;
}

/* Asserts which calls were logged since the last time: "ADD one, ADD two, DEL one". */
static inline void fixture_assert_calls(const struct fixture *fixture, const char *expected)
{
	autofree char *log = fixture_read(fixture, "log");
	char calls[4096] = "";
	size_t used = 0;
	char *rest = log;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		char command[16];
		const char *type = strstr(line, "type=");

		if (!type || sscanf(line, "%*s %15s", command) != 1)
			continue;
		used += snprintf(calls + used, sizeof(calls) - used, "%s%s %s", used ? ", " : "",
			command, type + strlen("type="));
		assert_true(used < sizeof(calls));
	}
	assert_string_equal(calls, expected);
	file_remove(fixture->dirfd, "log", NULL);
}

/* Parses a configuration in which every LOG stands for the log and the dump. */
static inline struct cni_config *fixture_config(const struct fixture *fixture, const char *text)
{
	autofree char *entry =
		text_format("\"log\":\"%s\",\"dump\":\"%s\"", fixture->log, fixture->dump);
	struct cni_config *config = NULL;
	char whole[FIXTURE_CONFIG_SIZE] = "";
	struct err err = {0};
	size_t used = 0;

	assert_non_null(entry);
	while (*text) {
		bool log = text_starts_with(text, "LOG");

		used += snprintf(whole + used, sizeof(whole) - used, "%.*s", log ? INT_MAX : 1,
			log ? entry : text);
		assert_true(used < sizeof(whole));
		text += log ? strlen("LOG") : 1;
	}
	if (cni_config_parse("test", whole, used, &config, &err) < 0)
		fail_msg("%s", err.msg);
	return config;
}

static inline struct cni_runtime fixture_runtime(struct fixture *fixture)
{
	return (struct cni_runtime){
		.container_id = "net0.web",
		.netns = "/run/netns/net0.web",
		.ifname = "eth0",
		.plugin_dirs = fixture->plugin_dirs,
		.cache_fd = fixture->cache_fd,
	};
}
