/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a container says is in its log: whole, in order, over rotation, and over a full disk. */

#include "shim-log.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <cmocka.h>

#include "fixture.h"

struct setup {
	struct scratch scratch;
	struct container_spec spec;
	struct shim_log *log;
};

static int setup(void **state)
{
	static struct setup setup;

	scratch_init(&setup.scratch);
	setup.spec = (struct container_spec){.log = LOG_K8S_FILE};
	setup.log = NULL;
	*state = &setup;
	return 0;
}

static int teardown(void **state)
{
	struct setup *setup = *state;

	shim_log_free(setup->log);
	scratch_done(&setup->scratch);
	return 0;
}

static void open_it(struct setup *setup)
{
	assert_int_equal(shim_log_open(&setup->spec, setup->scratch.fd, &setup->log, NULL), 0);
}

static void say(struct setup *setup, const char *text)
{
	shim_log_write(setup->log, false, text, strlen(text));
}

/* What is in a file without the times: from the name of the stream on, line by line. */
static void read_entries(struct setup *setup, const char *name, char *ret, size_t size)
{
	autofree char *text = NULL;
	size_t length;
	char *line, *rest;

	assert_int_equal(file_read(setup->scratch.fd, name, 8 << 20, &text, &length, NULL), 0);
	ret[0] = '\0';
	for (rest = text; (line = strsep(&rest, "\n")) && *line;) {
		char *stream = strchr(line, ' ');

		assert_non_null(stream);
		assert_true(strlen(ret) + strlen(stream) + 1 < size);
		strncat(ret, stream + 1, size - strlen(ret) - 1);
		strncat(ret, "\n", size - strlen(ret) - 1);
	}
}

static void assert_entries(struct setup *setup, const char *name, const char *expected)
{
	char text[4096];

	read_entries(setup, name, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void lines_and_parts_of_lines(void **state)
{
	struct setup *setup = *state;

	open_it(setup);
	say(setup, "one\ntwo\n\nthr");
	say(setup, "ee\n");
	shim_log_write(setup->log, true, "err\n", 4);
	say(setup, "no end");
	shim_log_flush(setup->log);
	assert_entries(setup, CONTAINER_LOG,
		"stdout F one\nstdout F two\nstdout F \nstdout P thr\nstdout F ee\nstderr F err\n"
		"stdout P no end\n");
}

static void a_long_line_is_cut(void **state)
{
	struct setup *setup = *state;
	size_t length = LOG_TEXT_MAX * 2 + 5;
	autofree char *line = malloc(length + 1);
	autofree char *text = NULL;
	size_t size;

	assert_non_null(line);
	memset(line, 'x', length);
	line[length] = '\n';
	open_it(setup);
	shim_log_write(setup->log, false, line, length + 1);
	assert_int_equal(file_read(setup->scratch.fd, CONTAINER_LOG, 1 << 20, &text, &size, NULL), 0);
	assert_int_equal(size, length + 3 * (strlen("2024-01-31T12:00:00.123456789Z stdout P ") + 1));
	assert_string_equal(text + size - 9, " F xxxxx\n");
}

static void nothing_is_lost_over_rotation(void **state)
{
	struct setup *setup = *state;
	char name[32], entries[4096], all[65536] = "", expected[65536] = "", line[32];
	unsigned files = 0;

	setup->spec.log_max_size = 1000;
	setup->spec.log_max_files = 100;
	open_it(setup);
	for (int i = 0; i < 500; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		say(setup, line);
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
			"stdout F line %d\n", i);
	}
	while (snprintf(name, sizeof(name), CONTAINER_LOG ".%u", files + 1),
		faccessat(setup->scratch.fd, name, F_OK, 0) == 0)
		files++;
	assert_in_range(files, 10, 99);
	for (unsigned n = files + 1; n-- > 0;) {
		struct stat st;

		snprintf(name, sizeof(name), n ? CONTAINER_LOG ".%u" : CONTAINER_LOG, n);
		assert_int_equal(fstatat(setup->scratch.fd, name, &st, 0), 0);
		assert_in_range(st.st_size, 1, 1000);
		read_entries(setup, name, entries, sizeof(entries));
		strncat(all, entries, sizeof(all) - strlen(all) - 1);
	}
	assert_string_equal(all, expected);
}

static void so_many_files_are_kept(void **state)
{
	struct setup *setup = *state;

	for (uint32_t keep = 1; keep <= 3; keep++) {
		char name[32];

		setup->spec.log_max_size = 100;
		setup->spec.log_max_files = keep;
		open_it(setup);
		for (int i = 0; i < 50; i++)
			say(setup, "a line of some length\n");
		shim_log_free(setup->log);
		setup->log = NULL;
		for (uint32_t n = 1; n < 5; n++) {
			snprintf(name, sizeof(name), CONTAINER_LOG ".%u", n);
			assert_int_equal(faccessat(setup->scratch.fd, name, F_OK, 0) == 0, n < keep);
			unlinkat(setup->scratch.fd, name, 0);
		}
		unlinkat(setup->scratch.fd, CONTAINER_LOG, 0);
	}
}

/* The size of a file is bounded as a disk's is: what was written stays whole, and no message comes
 * twice. */
static void a_full_disk_stops_the_log_only(void **state)
{
	const struct rlimit small = {.rlim_cur = 500, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct setup *setup = *state;
	autofree char *text = NULL;
	size_t length;

	signal(SIGXFSZ, SIG_IGN);
	open_it(setup);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 100; i++)
		say(setup, "a line of some length\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(setup->log->is_stopped);
	assert_true(setup->log->lost > 0);
	assert_int_equal(file_read(setup->scratch.fd, CONTAINER_LOG, 1 << 20, &text, &length, NULL), 0);
	assert_in_range(length, 400, 500);
	assert_int_equal(text[length - 1], '\n');
	/* Later there is room again. */
	setup->log->stopped_at -= RETRY_SECONDS;
	say(setup, "again\n");
	assert_false(setup->log->is_stopped);
	free(take_ptr(text));
	assert_int_equal(file_read(setup->scratch.fd, CONTAINER_LOG, 1 << 20, &text, &length, NULL), 0);
	assert_string_equal(text + length - strlen(" stdout F again\n"), " stdout F again\n");
}

static void a_log_somewhere_else(void **state)
{
	struct setup *setup = *state;
	char path[64];

	snprintf(path, sizeof(path), "%s/mine", setup->scratch.path);
	setup->spec.log_path = path;
	open_it(setup);
	say(setup, "here\n");
	assert_entries(setup, "mine", "stdout F here\n");
	shim_log_free(setup->log);
	setup->log = NULL;
	/* A link or something else than a file is not written to. */
	assert_int_equal(symlinkat("mine", setup->scratch.fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", setup->scratch.path);
	assert_int_equal(shim_log_open(&setup->spec, setup->scratch.fd, &setup->log, NULL), -ELOOP);
	assert_int_equal(mkfifoat(setup->scratch.fd, "fifo", 0600), 0);
	snprintf(path, sizeof(path), "%s/fifo", setup->scratch.path);
	assert_true(shim_log_open(&setup->spec, setup->scratch.fd, &setup->log, NULL) < 0);
}

static void no_log(void **state)
{
	struct setup *setup = *state;

	setup->spec.log = LOG_NONE;
	open_it(setup);
	say(setup, "lost\n");
	shim_log_flush(setup->log);
	assert_int_equal(faccessat(setup->scratch.fd, CONTAINER_LOG, F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_and_parts_of_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_lost_over_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(so_many_files_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_stops_the_log_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_log_somewhere_else, setup, teardown),
		cmocka_unit_test_setup_teardown(no_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
