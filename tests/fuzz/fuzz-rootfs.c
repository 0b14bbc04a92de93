/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A hostile root file system: whatever is in /etc/passwd, /etc/group and a program, users resolve to
 * ids that there are, or do not resolve, and a program is judged. The input is three parts with a
 * 0 byte between them: a user, /etc/passwd (which serves as /etc/group as well), a program. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "rootfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch[] = "/tmp/podd-fuzz-XXXXXX";

static void remove_scratch(void)
{
	autoclose int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	file_remove_tree(tmp, strrchr(scratch, '/') + 1, NULL);
}

static int make_rootfs(void)
{
	int fd;

	if (!mkdtemp(scratch))
		abort();
	atexit(remove_scratch);
	fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mkdirat(fd, "etc", 0755) < 0 || symlinkat("passwd", fd, "etc/group") < 0)
		abort();
	return fd;
}

static void put(int rootfd, const char *name, const uint8_t *data, size_t size)
{
	autoclose int fd = openat(rootfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		abort();
}

/* The next part; the last has no end mark. */
static const uint8_t *next_part(const uint8_t **data, size_t *size, size_t *ret_length)
{
	const uint8_t *part = *data;
	const uint8_t *end = *size > 0 ? memchr(part, 0, *size) : NULL;
	size_t length = end ? (size_t)(end - part) : *size;
	size_t used = end ? length + 1 : length;

	*data += used;
	*size -= used;
	*ret_length = length;
	return part;
}

static void find_user(int rootfd, const char *text)
{
	cleanup(rootfs_user_done) struct rootfs_user user = {0};
	uint32_t gid = UINT32_MAX;

	if (rootfs_find_user(rootfd, text, &user, NULL) == 0) {
		assert(user.uid != UINT32_MAX && user.gid != UINT32_MAX);
		assert(user.home && user.home[0] == '/');
		assert(user.n_groups <= ROOTFS_GROUPS_MAX);
		for (size_t i = 0; i < user.n_groups; i++)
			assert(user.groups[i] != UINT32_MAX && user.groups[i] != user.gid);
	}
	assert((rootfs_find_group(rootfd, text, &gid, NULL) == 0) == (gid != UINT32_MAX));
}

static void judge_program(int rootfd)
{
	static const char text[] = "{\"args\":[\"/program\"],\"user\":{\"uid\":0,\"gid\":0}}";
	static struct json *process;
	autoclose int fd = openat(rootfd, "program", O_RDONLY | O_CLOEXEC);
	int r = rootfs_is_static(fd);
	int judged;

	assert(r == 0 || r == 1 || r == -ENOEXEC);
	if (!process && json_parse("process", text, strlen(text), &process, NULL) < 0)
		abort();
	judged = rootfs_judge_command(rootfd, process);
	assert(judged >= 125 && judged <= 127);
	assert(r == 0 || judged == (r == 1 ? 125 : 126));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int rootfd = -1;
	autofree char *user = NULL;
	const uint8_t *part;
	size_t length;

	if (rootfd < 0)
		rootfd = make_rootfs();
	part = next_part(&data, &size, &length);
	user = strndup((const char *)part, length);
	if (!user)
		return 0;
	part = next_part(&data, &size, &length);
	put(rootfd, "etc/passwd", part, length);
	put(rootfd, "program", data, size);
	find_user(rootfd, user);
	judge_program(rootfd);
	return 0;
}
