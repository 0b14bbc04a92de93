/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records of a container: they come back as they were written, and what is true now. Damaged
 * ones: test-record-damage.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record-fixture.h"

static void assert_strv(char *const *a, char *const *b)
{
	assert_int_equal(strv_length(a), strv_length(b));
	for (size_t i = 0; i < strv_length(a); i++)
		assert_string_equal(a[i], b[i]);
}

static void assert_settings(const struct container_spec *a, const struct container_spec *b)
{
	assert_int_equal(a->restart, b->restart);
	assert_int_equal(a->restart_max, b->restart_max);
	assert_int_equal(a->stop_signal, b->stop_signal);
	assert_int_equal(a->stop_timeout_s, b->stop_timeout_s);
	assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
	assert_string_equal(a->cgroup, b->cgroup);
	assert_strv(a->health.command, b->health.command);
	assert_int_equal(a->health.interval_s, b->health.interval_s);
	assert_int_equal(a->health.timeout_s, b->health.timeout_s);
	assert_int_equal(a->health.retries, b->health.retries);
	assert_int_equal(a->health.start_period_s, b->health.start_period_s);
	assert_int_equal(a->log, b->log);
	assert_string_equal(a->log_path, b->log_path);
	assert_int_equal(a->log_max_size, b->log_max_size);
	assert_int_equal(a->log_max_files, b->log_max_files);
}

static void test_spec_round_trip(void **state)
{
	cleanup(container_spec_done) struct container_spec a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	assert_false(container_is_made(scratch.fd));
	box_example(&a);
	assert_int_equal(container_spec_save(scratch.fd, &a, NULL), 0);
	assert_true(container_is_made(scratch.fd));
	if (container_spec_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(a.pod, b.pod);
	assert_string_equal(a.name, b.name);
	assert_string_equal(a.id, b.id);
	assert_string_equal(a.created, b.created);
	assert_string_equal(a.runtime, b.runtime);
	assert_string_equal(a.rootfs, b.rootfs);
	assert_null(b.bundle);
	assert_strv(a.command, b.command);
	assert_true(b.terminal && b.interactive && b.auto_remove && b.keep_groups && b.share_pid);
	assert_strv(a.overlays, b.overlays);
	assert_strv(a.chown, b.chown);
	assert_int_equal(a.net, b.net);
	assert_strv(a.networks, b.networks);
	assert_strv(a.publish, b.publish);
	assert_strv(a.egress, b.egress);
	assert_settings(&a, &b);
	assert_string_equal(a.pidfile, b.pidfile);
	assert_string_equal(a.cidfile, b.cidfile);
	assert_true(json_equal(a.labels, b.labels));
	assert_true(json_equal(a.annotations, b.annotations));
	assert_int_equal(json_length(b.labels), 1);
}

/* What was not asked for is not there, and the defaults are those of podman. */
static void test_spec_defaults(void **state)
{
	cleanup(container_spec_done) struct container_spec a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(container_spec_init(&a, NULL), 0);
	fill(a.pod, sizeof(a.pod), "p");
	fill(a.name, sizeof(a.name), "c");
	fill(a.id, sizeof(a.id), "p.c");
	a.runtime = strdup("/r");
	a.bundle = strdup("/b");
	assert_int_equal(container_spec_save(scratch.fd, &a, NULL), 0);
	if (container_spec_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_null(b.rootfs);
	assert_non_null(b.command);
	assert_null(b.command[0]);
	assert_null(b.overlays);
	assert_null(b.cgroup);
	assert_null(b.health.command);
	assert_int_equal(b.health.interval_s, 30);
	assert_int_equal(b.health.timeout_s, 30);
	assert_int_equal(b.health.retries, 3);
	assert_int_equal(b.stop_signal, 15);
	assert_int_equal(b.stop_timeout_s, 10);
	assert_int_equal(b.restart, RESTART_NO);
	assert_int_equal(b.log, LOG_K8S_FILE);
	assert_int_equal(b.net, CONTAINER_NET_POD);
	assert_int_equal(b.log_max_files, 1);
	assert_int_equal(b.limits.swap, CONTAINER_SWAP_UNLIMITED);
	assert_false(b.terminal || b.interactive || b.auto_remove || b.keep_groups || b.share_pid);
}

/* Numbers that JSON cannot take are not written so that nobody can read them. */
static void test_huge_numbers(void **state)
{
	cleanup(container_spec_done) struct container_spec a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	box_example(&a);
	a.limits.memory = UINT64_MAX;
	a.limits.cpu_milli = UINT32_MAX;
	assert_int_equal(container_spec_save(scratch.fd, &a, NULL), 0);
	assert_int_equal(container_spec_load(scratch.fd, &b, NULL), 0);
	assert_true(b.limits.memory == INT64_MAX);
	assert_true(b.limits.cpu_milli == UINT32_MAX);
}

/* A pidfile or cidfile is removed as long as it is the container's own, and nothing else is. */
static void test_own_file(void **state)
{
	static const char *const others[] = {"net0.ab", "net0.", "", "net0.a\n", "net0.b"};
	cleanup(scratch_done) struct scratch scratch;
	autofree char *path = NULL, *link = NULL;

	scratch_init(&scratch);
	path = text_format("%s/cid", scratch.path);
	link = text_format("%s/link", scratch.path);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(file_overwrite(scratch.fd, "cid", others[i], strlen(others[i]), 0600,
					 NULL),
			0);
		container_remove_own_file(path, "net0.a");
		assert_int_equal(access(path, F_OK), 0);
	}
	assert_int_equal(file_overwrite(scratch.fd, "cid", "net0.a", 6, 0600, NULL), 0);
	assert_int_equal(symlink(path, link), 0);
	container_remove_own_file(link, "net0.a");
	assert_int_equal(access(link, F_OK), 0);
	container_remove_own_file(path, "net0.a");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(mkfifo(path, 0600), 0);
	container_remove_own_file(path, "net0.a");
	assert_int_equal(access(path, F_OK), 0);
}

static void test_state_round_trip(void **state)
{
	cleanup(container_state_done) struct container_state a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	box_state_example(&a);
	assert_int_equal(container_state_save(scratch.fd, &a, NULL), 0);
	if (container_state_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a.phase, b.phase);
	assert_string_equal(a.boot_id, b.boot_id);
	assert_string_equal(a.since, b.since);
	assert_string_equal(a.started, b.started);
	assert_memory_equal(&a.shim, &b.shim, sizeof(a.shim));
	assert_memory_equal(&a.init, &b.init, sizeof(a.init));
	assert_int_equal(a.order, b.order);
	assert_int_equal(a.restarts, b.restarts);
	assert_true(b.stop_requested);
	assert_int_equal(a.health, b.health);
	assert_int_equal(a.health_failures, b.health_failures);
	assert_string_equal(a.cgroup, b.cgroup);
}

static void test_exit_round_trip(void **state)
{
	cleanup(container_exit_done) struct container_exit a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(container_exit_load(scratch.fd, &b, NULL), -ENOENT);
	box_exit_example(&a);
	assert_int_equal(container_exit_save(scratch.fd, &a, NULL), 0);
	if (container_exit_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(b.known);
	assert_int_equal(b.status, 137);
	assert_int_equal(b.signal, 9);
	assert_true(b.oom);
	assert_string_equal(a.started, b.started);
	assert_string_equal(a.ended, b.ended);
	assert_string_equal(a.error, b.error);
	assert_int_equal(container_exit_status(&b), 137);
	b.known = false;
	assert_int_equal(container_exit_status(&b), 255);
}

static void test_missing_records(void **state)
{
	struct container_state box = {.phase = CONTAINER_RUNNING};
	struct container_spec spec = {.stop_signal = 4711};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(container_state_load(scratch.fd, &box, NULL), 0);
	assert_int_equal(box.phase, CONTAINER_CREATED);
	assert_int_equal(container_spec_load(scratch.fd, &spec, &err), -ENOENT);
	assert_contains(err.msg, RECORD_CONTAINER);
	assert_int_equal(spec.stop_signal, 4711);
	assert_int_equal(symlinkat("/etc/passwd", scratch.fd, RECORD_CONTAINER), 0);
	assert_int_equal(container_spec_load(scratch.fd, &spec, &err), -ELOOP);
}

/* Every one has a name of its own that is read back. */
static void test_enums(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct container_state box = {.boot_id = BOOT_ID}, again;
	enum container_restart restart;
	enum container_log log;
	enum container_net net;

	scratch_init(&scratch);
	for (int i = CONTAINER_CREATED; i <= CONTAINER_EXITED; i++) {
		box.phase = (enum container_phase)i;
		box.health = (enum container_healthiness)(i % 4);
		assert_int_equal(container_state_save(scratch.fd, &box, NULL), 0);
		assert_int_equal(container_state_load(scratch.fd, &again, NULL), 0);
		assert_int_equal(again.phase, i);
		assert_int_equal(again.health, i % 4);
		container_state_done(&again);
	}
	for (int i = RESTART_NO; i <= RESTART_UNLESS_STOPPED; i++) {
		const char *name = container_restart_name((enum container_restart)i);

		assert_int_equal(container_restart_from_name(name, &restart), 0);
		assert_int_equal(restart, i);
	}
	for (int i = LOG_K8S_FILE; i <= LOG_NONE; i++) {
		const char *name = container_log_name((enum container_log)i);

		assert_int_equal(container_log_from_name(name, &log), 0);
		assert_int_equal(log, i);
	}
	for (int i = CONTAINER_NET_POD; i <= CONTAINER_NET_HOST; i++) {
		const char *name = container_net_name((enum container_net)i);

		assert_int_equal(container_net_from_name(name, &net), 0);
		assert_int_equal(net, i);
	}
	assert_int_equal(container_restart_from_name("", &restart), -EINVAL);
	assert_int_equal(container_log_from_name("syslog", &log), -EINVAL);
	assert_int_equal(container_net_from_name("bridge", &net), -EINVAL);
	assert_int_equal(net, CONTAINER_NET_HOST);
}

static void assert_now(enum container_phase recorded, const char *boot_id, struct proc_id shim,
	struct proc_id init, enum container_phase expected)
{
	struct container_state box = {.phase = recorded, .shim = shim, .init = init};

	fill(box.boot_id, sizeof(box.boot_id), boot_id);
	assert_string_equal(container_phase_name(container_phase_now(&box)),
		container_phase_name(expected));
}

static void test_phase_now(void **state)
{
	static const struct proc_id none = {0};
	char boot[PROC_BOOT_ID_SIZE];
	struct proc_id here, gone;

	assert_int_equal(proc_boot_id(boot), 0);
	assert_int_equal(proc_self(&here), 0);
	gone = (struct proc_id){.pid = here.pid, .start_time = here.start_time + 1};

	assert_now(CONTAINER_STARTING, boot, here, none, CONTAINER_STARTING);
	assert_now(CONTAINER_RUNNING, boot, here, here, CONTAINER_RUNNING);
	assert_now(CONTAINER_RESTARTING, boot, here, none, CONTAINER_RESTARTING);
	assert_now(CONTAINER_STOPPING, boot, here, here, CONTAINER_STOPPING);
	/* podd ends what lost its shim. */
	assert_now(CONTAINER_RUNNING, boot, gone, here, CONTAINER_STOPPING);
	assert_now(CONTAINER_RUNNING, boot, gone, gone, CONTAINER_EXITED);
	assert_now(CONTAINER_STARTING, boot, gone, none, CONTAINER_EXITED);
	assert_now(CONTAINER_RESTARTING, boot, none, none, CONTAINER_EXITED);
	/* Of another boot: whatever has these pids now is not ours. */
	assert_now(CONTAINER_RUNNING, BOOT_ID, here, here, CONTAINER_EXITED);
	assert_now(CONTAINER_STOPPING, "", here, here, CONTAINER_EXITED);
	assert_now(CONTAINER_CREATED, BOOT_ID, none, none, CONTAINER_CREATED);
	assert_now(CONTAINER_EXITED, boot, here, here, CONTAINER_EXITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_round_trip),
		cmocka_unit_test(test_spec_defaults),
		cmocka_unit_test(test_huge_numbers),
		cmocka_unit_test(test_own_file),
		cmocka_unit_test(test_state_round_trip),
		cmocka_unit_test(test_exit_round_trip),
		cmocka_unit_test(test_missing_records),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_phase_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
