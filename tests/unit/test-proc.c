/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes: named so that nothing in /proc and no reuse of a pid can fool us. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "proc.h"

/* A child that lives until it is killed, or until this process ends. */
static pid_t start_sleeper(struct proc_id *ret)
{
	pid_t pid = child_fork();

	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(proc_identify(pid, ret), 0);
	return pid;
}

static void end_sleeper(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void assert_gone(const struct proc_id *id)
{
	int fd = 4711;

	assert_false(proc_alive(id));
	assert_int_equal(proc_open(id, &fd), -ESRCH);
	assert_int_equal(proc_open_dir(id, &fd), -ESRCH);
	assert_int_equal(fd, 4711);
}

static void assert_there(const struct proc_id *id)
{
	autoclose int pidfd = -1, dir = -1;

	assert_true(proc_alive(id));
	assert_int_equal(proc_open(id, &pidfd), 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(proc_open_dir(id, &dir), 0);
	assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
	assert_true(exists(dir, "stat"));
}

static void test_self(void **state)
{
	struct proc_id self = {0}, same = {0}, parent = {0};

	assert_int_equal(proc_self(&self), 0);
	assert_int_equal(self.pid, getpid());
	assert_int_equal(proc_identify(getpid(), &same), 0);
	assert_true(self.start_time == same.start_time);
	assert_there(&self);
	assert_int_equal(proc_identify(getppid(), &parent), 0);
	/* A parent began before its child, and not before the machine. */
	assert_true(parent.start_time > 0 && parent.start_time <= self.start_time);
}

/* Field 22 as the kernel has it for a plain name, against names that look like fields. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {") Z 1 1 1 1 1", "a) b (c) Z 1", ")", "(", ") Z",
		"\n) Z 1 2 3", "", "a b c d e f g"};
	char before[16];
	struct proc_id plain, id;

	assert_int_equal(prctl(PR_GET_NAME, before), 0);
	assert_int_equal(proc_self(&plain), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(char *); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		assert_int_equal(proc_self(&id), 0);
		assert_true(id.start_time == plain.start_time);
		assert_there(&plain);
	}
	assert_int_equal(prctl(PR_SET_NAME, before), 0);
}

static void test_zombie(void **state)
{
	siginfo_t info;
	struct proc_id id, none = {.pid = 17};
	autoclose int pidfd = -1;
	pid_t pid = start_sleeper(&id);

	assert_there(&id);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_gone(&id);
	assert_int_equal(proc_identify(pid, &none), -ESRCH);
	assert_int_equal(none.pid, 17);
	/* Its parent may still hold it. */
	assert_int_equal(proc_open_child(pid, &pidfd), 0);
	assert_int_equal(proc_wait(pidfd, 0), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_gone(&id);
	assert_int_equal(proc_identify(pid, &none), -ESRCH);
}

static void test_reused_pid(void **state)
{
	struct proc_id id;
	pid_t pid = start_sleeper(&id);

	assert_there(&id);
	/* What the record of an earlier process with this pid would say. */
	id.start_time--;
	assert_gone(&id);
	id.start_time += 2;
	assert_gone(&id);
	id.start_time--;
	assert_there(&id);
	end_sleeper(pid);
}

static void test_no_pid(void **state)
{
	struct proc_id id = {.pid = 17, .start_time = 18};
	int fd = 4711;

	assert_int_equal(proc_identify(0, &id), -ESRCH);
	assert_int_equal(proc_identify(-1, &id), -ESRCH);
	assert_int_equal(proc_identify(INT32_MAX, &id), -ESRCH);
	assert_int_equal(id.pid, 17);
	assert_true(id.start_time == 18);
	assert_gone(&(struct proc_id){0});
	assert_gone(&(struct proc_id){.pid = -1});
	assert_gone(&(struct proc_id){.pid = INT32_MAX});
	assert_true(proc_open_child(INT32_MAX, &fd) < 0);
	assert_int_equal(fd, 4711);
}

static void test_directory_outlives_the_pid(void **state)
{
	autoclose int dir = -1;
	struct proc_id id;
	pid_t pid = start_sleeper(&id);

	assert_int_equal(proc_open_dir(&id, &dir), 0);
	assert_true(exists(dir, "ns/net"));
	end_sleeper(pid);
	assert_false(exists(dir, "ns/net"));
}

static void test_signal_and_wait(void **state)
{
	autoclose int pidfd = -1;
	struct proc_id id;
	pid_t pid = start_sleeper(&id);
	int status;

	assert_int_equal(proc_open(&id, &pidfd), 0);
	assert_int_equal(proc_wait(pidfd, 0), -ETIMEDOUT);
	assert_int_equal(proc_wait(pidfd, 10), -ETIMEDOUT);
	assert_int_equal(proc_signal(pidfd, 0), 0);
	assert_int_equal(proc_signal(pidfd, SIGTERM), 0);
	assert_int_equal(proc_wait(pidfd, -1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	assert_int_equal(proc_signal(pidfd, SIGTERM), -ESRCH);
	assert_int_equal(proc_wait(pidfd, 0), 0);
	assert_int_equal(proc_signal(-1, SIGTERM), -EBADF);
}

static void test_own_proc(void **state)
{
	struct proc_id init, parent;
	struct err err = {0};

	assert_true(proc_is_own());
	assert_int_equal(proc_identify(getppid(), &parent), 0);
	if (proc_container_init(&init, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(init.pid, getppid());
	assert_true(init.start_time == parent.start_time);
}

/* In a pid namespace whose /proc is still the outer one, as in a createContainer hook. */
static void hook(void *argument)
{
	const struct proc_id *init = argument;
	struct proc_id self, found;
	struct err err = {0};

	assert_false(proc_is_own());
	assert_int_equal(proc_self(&self), 0);
	assert_int_not_equal(self.pid, getpid());
	assert_true(proc_alive(&self));
	if (proc_container_init(&found, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(found.pid, init->pid);
	assert_true(found.start_time == init->start_time);
}

static void hook_of_a_shell(void *argument)
{
	hook(argument);
	run_child(hook, argument);
}

static void container_init(int told)
{
	struct proc_id init;
	pid_t outside;

	assert_int_equal(getpid(), 1);
	assert_int_equal(read(told, &outside, sizeof(outside)), sizeof(outside));
	assert_int_equal(proc_self(&init), 0);
	assert_int_equal(init.pid, outside);
	run_child(hook_of_a_shell, &init);
}

static void pid_namespace(void *argument)
{
	int tell[2];
	pid_t pid;

	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	enter_user_namespace(CLONE_NEWPID, 0);
	pid = child_fork();
	if (pid == 0) {
		container_init(tell[0]);
		_exit(0);
	}
	assert_int_equal(write(tell[1], &pid, sizeof(pid)), sizeof(pid));
	child_wait(pid);
}

static void test_foreign_proc(void **state)
{
	run_child(pid_namespace, NULL);
}

static void shared_init(int told)
{
	struct proc_id init;
	pid_t outside;

	assert_int_not_equal(getpid(), 1);
	assert_int_equal(read(told, &outside, sizeof(outside)), sizeof(outside));
	assert_int_equal(proc_self(&init), 0);
	assert_int_equal(init.pid, outside);
	run_child(hook_of_a_shell, &init);
}

/* The pid namespace has a first process already, which is not the container's. */
static void shared_pid_namespace(void *argument)
{
	int tell[2];
	pid_t pod, pid;

	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	enter_user_namespace(CLONE_NEWPID, 0);
	pod = child_fork();
	if (pod == 0)
		for (;;)
			pause();
	pid = child_fork();
	if (pid == 0) {
		shared_init(tell[0]);
		_exit(0);
	}
	assert_int_equal(write(tell[1], &pid, sizeof(pid)), sizeof(pid));
	child_wait(pid);
	assert_int_equal(kill(pod, SIGKILL), 0);
	assert_int_equal(waitpid(pod, NULL, 0), pod);
}

static void test_shared_pid_namespace(void **state)
{
	run_child(shared_pid_namespace, NULL);
}

static void test_boot_id(void **state)
{
	autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char id[PROC_BOOT_ID_SIZE], again[PROC_BOOT_ID_SIZE];
	autofree char *text = NULL;
	size_t length, n = 0;

	assert_int_equal(proc_boot_id(id), 0);
	assert_int_equal(proc_boot_id(again), 0);
	assert_string_equal(id, again);
	assert_int_equal(strlen(id), 32);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	/* As in the file, without the dashes. */
	assert_int_equal(fd_read_all(fd, 100, &text, &length), 0);
	for (size_t i = 0; i < length; i++)
		if (text[i] != '-' && text[i] != '\n')
			assert_int_equal(text[i], id[n++]);
	assert_int_equal(n, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_reused_pid),
		cmocka_unit_test(test_no_pid),
		cmocka_unit_test(test_directory_outlives_the_pid),
		cmocka_unit_test(test_signal_and_wait),
		cmocka_unit_test(test_own_proc),
		cmocka_unit_test(test_foreign_proc),
		cmocka_unit_test(test_shared_pid_namespace),
		cmocka_unit_test(test_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
