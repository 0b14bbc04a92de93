/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits and restart policies of a command line: what each text means, for run and for update. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include <cmocka.h>

#include "limit.c"

#define MIB INT64_C(1048576)

/* Whether the kernel counts swap is the test's to say. */
static bool counts_swap;

bool cgroup_counts_swap(const char *path)
{
	return path && counts_swap;
}

static struct container_limits read_limits(const struct limit_request *request, const char *cgroup)
{
	struct container_limits limits = {.swap = CONTAINER_SWAP_UNLIMITED};
	struct err err = {0};

	if (limit_read(request, cgroup, &limits, &err) < 0)
		fail_msg("%s", err.msg);
	return limits;
}

static void test_swap(void **state)
{
	static const struct {
		struct limit_request request;
		int64_t memory;
		int64_t swap;
	} cases[] = {
		{{}, 0, CONTAINER_SWAP_UNLIMITED},
		{{.memory = "64m"}, 64 * MIB, 64 * MIB},
		{{.memory = "64m", .swap = "64m"}, 64 * MIB, 0},
		{{.memory = "64m", .swap = "100m"}, 64 * MIB, 36 * MIB},
		{{.memory = "64m", .swap = "-1"}, 64 * MIB, CONTAINER_SWAP_UNLIMITED},
		{{.swap = "-1"}, 0, CONTAINER_SWAP_UNLIMITED},
		{{.memory = "-1"}, 0, CONTAINER_SWAP_UNLIMITED},
		{{.memory = "0"}, 0, CONTAINER_SWAP_UNLIMITED},
	};

	counts_swap = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container_limits limits = read_limits(&cases[i].request, "/a");

		assert_int_equal(limits.memory, cases[i].memory);
		assert_int_equal(limits.swap, cases[i].swap);
	}
}

/* As podctl update has it: what is not said stays, but for the swap of a memory that is said. */
static void test_change(void **state)
{
	struct container_limits limits = {
		.memory = 64 * MIB, .swap = 0, .cpu_milli = 1500, .pids = 7};
	const struct limit_request swap = {.swap = "65m"}, memory = {.memory = "32m"},
				   none = {.memory = "-1", .cpus = "0", .pids = "-1"};

	counts_swap = true;
	assert_int_equal(limit_read(&swap, "/a", &limits, NULL), 0);
	assert_int_equal(limits.swap, MIB);
	assert_int_equal(limits.cpu_milli, 1500);
	assert_int_equal(limit_read(&memory, "/a", &limits, NULL), 0);
	assert_int_equal(limits.swap, 32 * MIB);
	assert_int_equal(limits.pids, 7);
	assert_int_equal(limit_read(&none, "/a", &limits, NULL), 0);
	assert_int_equal(limits.memory + limits.cpu_milli + limits.pids, 0);
	assert_int_equal(limits.swap, CONTAINER_SWAP_UNLIMITED);
}

/* Without swap, and a kernel that counts it, there is no file that could be written to. */
static void test_no_swap(void **state)
{
	const struct limit_request request = {.memory = "64m", .swap = "64m"};
	struct sysinfo info;

	counts_swap = false;
	assert_int_equal(sysinfo(&info), 0);
	assert_int_equal(
		read_limits(&request, "/a").swap, info.totalswap ? 0 : CONTAINER_SWAP_UNLIMITED);
}

static void test_refused(void **state)
{
	static const struct {
		struct limit_request request;
		const char *reason;
	} cases[] = {
		{{.memory = "much"}, "--memory"},
		{{.memory = "-2"}, "--memory"},
		{{.memory = "64m", .swap = "63m"}, "less than --memory"},
		{{.memory = "64m", .swap = "0"}, "--memory-swap must"},
		{{.swap = "64m"}, "needs --memory"},
		{{.cpus = "0.001"}, "--cpus"},
		{{.cpus = "x"}, "--cpus"},
		{{.pids = "2147483648"}, "--pids-limit"},
		{{.pids = "-2"}, "--pids-limit"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container_limits limits = {.pids = 3};
		struct err err = {0};

		assert_int_equal(limit_read(&cases[i].request, "/a", &limits, &err), -EINVAL);
		if (!strstr(err.msg, cases[i].reason))
			fail_msg("no \"%s\": %s", cases[i].reason, err.msg);
		assert_int_equal(limits.pids, 3);
	}
}

static void test_restart(void **state)
{
	struct container_spec spec = {.restart = RESTART_ALWAYS};
	static const char *const bad[] = {"sometimes", "", "always:3", "on-failure:x", "never:1"};

	assert_int_equal(limit_read_restart("never", &spec, NULL), 0);
	assert_int_equal(spec.restart, RESTART_NO);
	assert_int_equal(limit_read_restart("on-failure:3", &spec, NULL), 0);
	assert_int_equal(spec.restart, RESTART_ON_FAILURE);
	assert_int_equal(spec.restart_max, 3);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(limit_read_restart(bad[i], &spec, NULL), -EINVAL);
	assert_int_equal(spec.restart_max, 3);
	spec.auto_remove = true;
	assert_int_equal(limit_read_restart("always", &spec, NULL), -EINVAL);
	assert_int_equal(limit_read_restart("no", &spec, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_no_swap),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
