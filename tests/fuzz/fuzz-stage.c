/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Hostile stages over a hostile base: a plan is made or refused, and what is planned follows no
 * link out of either, hides no directory, and leaves alone what is reserved. Each line of the input
 * makes an entry: the tree ('0' the base, '1' and '2' stages), the kind ('d'irectory, 'f'ile,
 * 'l'ink, 'w'hiteout), its path, and after a blank what a link says. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "file.h"
#include "stage.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64
#define INPUT_MAX 4096
#define RESERVED "/r"

static char scratch[] = "/tmp/podd-fuzz-XXXXXX";
static const char *const trees[] = {"0", "1", "2"};

static void remove_scratch(void)
{
	autoclose int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	file_remove_tree(tmp, strrchr(scratch, '/') + 1, NULL);
}

static int open_plainly(int dirfd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	return (int)syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how));
}

/* ---- making the trees ---- */

static void make_entry(int dirfd, char kind, const char *name, const char *text)
{
	/* What is there already stays. */
	if (kind == 'd')
		(void)mkdirat(dirfd, name, 0755);
	else if (kind == 'f')
		(void)mknodat(dirfd, name, S_IFREG | 0644, 0);
	else if (kind == 'w')
		(void)mknodat(dirfd, name, S_IFCHR | 0644, 0);
	else if (kind == 'l' && text)
		(void)!symlinkat(text, dirfd, name);
}

static void make_line(int scratchfd, char *line)
{
	char tree[2] = {line[0], '\0'};
	char *text = strchr(line, ' ');
	autoclose int fd = -1;
	char *path = line + 2, *slash;

	if (text)
		*text++ = '\0';
	if (tree[0] < '0' || tree[0] > '2' || !line[1] || strstr(path, ".."))
		return;
	fd = openat(scratchfd, tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	while ((slash = strchr(path, '/'))) {
		int next;

		*slash = '\0';
		if (*path)
			(void)mkdirat(fd, path, 0755);
		next = open_plainly(fd, path, O_PATH | O_DIRECTORY);
		if (next < 0)
			return;
		close(fd);
		fd = next;
		path = slash + 1;
	}
	if (*path)
		make_entry(fd, line[1], path, text);
}

static void make_trees(int scratchfd, char *input)
{
	char *line;
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		if (file_remove_tree(scratchfd, trees[i], NULL) < 0 ||
			mkdirat(scratchfd, trees[i], 0755) < 0)
			abort();
	while ((line = strsep(&input, "\n")) && n++ < LINES_MAX)
		if (strlen(line) > 2)
			make_line(scratchfd, line);
}

/* ---- what must be so ---- */

static bool is_directory(int dirfd, const char *path)
{
	autoclose int fd = open_plainly(dirfd, path, O_PATH | O_DIRECTORY);

	return fd >= 0;
}

static void check_node(const struct stage_plan *plan, const struct stage_node *node)
{
	bool changed = false;

	for (size_t i = 0; i < node->n_sources; i++) {
		autoclose int fd = stage_open_source(plan, &node->sources[i]);

		assert(i == 0 || node->sources[i].stage >= node->sources[i - 1].stage);
		assert((fd >= 0) == (node->kind != STAGE_ENTRY));
	}
	assert(is_directory(plan->base, *node->path ? node->path + 1 : "") ==
		(node->kind == STAGE_MERGED));
	if (node->kind == STAGE_ENTRY)
		assert(node->n_sources == 1);
	if (node->kind != STAGE_MERGED)
		assert(!node->children && node->n_sources > 0);
	if (text_starts_with(node->path, RESERVED "/") || text_equal(node->path, RESERVED))
		assert(node->kind == STAGE_MERGED && !node->changed);
	for (const struct stage_node *child = node->children; child; child = child->next) {
		changed = changed || child->kind != STAGE_MERGED;
		check_node(plan, child);
	}
	assert(node->changed == changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int scratchfd = -1;
	char one[64], two[64];
	char *stages[] = {one, two, NULL};
	char *reserved[] = {(char[]){RESERVED}, NULL};
	struct stage_plan *plan = NULL;
	autofree char *input = NULL;
	autoclose int base = -1;
	struct err err = {0};

	if (size > INPUT_MAX || memchr(data, '\0', size))
		return 0;
	if (scratchfd < 0) {
		if (!mkdtemp(scratch))
			abort();
		atexit(remove_scratch);
		scratchfd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	input = strndup((const char *)data, size);
	make_trees(scratchfd, input);
	snprintf(one, sizeof(one), "%s/1", scratch);
	snprintf(two, sizeof(two), "%s/2", scratch);
	base = openat(scratchfd, "0", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct stage_request request = {.base = base, .stages = stages, .reserved = reserved};

	if (stage_plan_new(&request, &plan, &err) == 0)
		check_node(plan, plan->top);
	else
		assert(!plan && err.msg[0]);
	stage_plan_free(plan);
	return 0;
}
