/* SPDX-License-Identifier: GPL-2.0-or-later */
/* newuidmap(1) and newgidmap(1) that do not do what they should, played by scripts. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "text.h"

#include "../../lib/idmap-write.c"

struct script {
	struct scratch scratch;
	char path[64];
	struct helper helper;
};

static void start_script(struct script *script, const char *text)
{
	static const struct idmap map = {.n = 1, .extents = {{0, 1234, 1}}};
	struct err err = {0};

	scratch_init(&script->scratch);
	assert_int_equal(mkfifoat(script->scratch.fd, "fifo", 0600), 0);
	assert_int_equal(
		file_write(script->scratch.fd, "helper", text, strlen(text), 0700, &err), 0);
	snprintf(script->path, sizeof(script->path), "%s/helper", script->scratch.path);
	script->helper = (struct helper){.path = script->path, .ranges = "/etc/subuid"};
	if (start_helper(&script->helper, getpid(), &map, &err) < 0)
		fail_msg("%s", err.msg);
}

static void end_script(struct script *script)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	scratch_done(&script->scratch);
}

static void test_helper_that_hangs(void **state)
{
	struct script script;
	struct err err = {0};
	int64_t begin = deadline_now_ms();

	start_script(&script, "#!/bin/sh\necho waiting\nread -r x <\"${0%/*}/fifo\"\n");
	assert_int_equal(finish_helper(&script.helper, begin + 100, &err), -ETIMEDOUT);
	assert_contains(err.msg, "/helper did not end in time and was killed");
	assert_in_range(deadline_now_ms() - begin, 100, 10000);
	end_script(&script);
}

static void test_helper_that_refuses(void **state)
{
	struct script script;
	struct err err = {0};

	start_script(&script, "#!/bin/sh\necho \"not for $2 $3 $4\" >&2\necho\nexit 1\n");
	assert_int_equal(finish_helper(&script.helper, INT64_MAX, &err), -EPERM);
	assert_contains(err.msg, "refused the mapping: not for 0 1234 1 (is the range yours");
	end_script(&script);
}

/* What it leaves behind holds the pipe, and must not hold us. */
static void test_helper_that_leaves_a_process(void **state)
{
	struct script script;
	struct err err = {0};
	autoclose int fifo = -1;

	start_script(&script, "#!/bin/sh\n(read -r x <\"${0%/*}/fifo\") &\nexit 0\n");
	assert_int_equal(finish_helper(&script.helper, INT64_MAX, &err), 0);
	/* Opened by both, it ends. */
	fifo = openat(script.scratch.fd, "fifo", O_WRONLY | O_CLOEXEC);
	assert_true(fifo >= 0);
	end_script(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helper_that_hangs),
		cmocka_unit_test(test_helper_that_refuses),
		cmocka_unit_test(test_helper_that_leaves_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
