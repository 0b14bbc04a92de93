/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces: named by what they are, opened only if they are those, entered by a child. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "ns.h"

#define ALL_FLAGS (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID)

/* A process in namespaces of its own, and what leads to it. */
struct pod {
	pid_t pid;
	int release; /* closing it ends the process */
	int procdir;
	struct ns_id ids[NS_KINDS];
};

/* With @map, its ids are these; without, the caller is its root. */
static void pod_start(struct pod *pod, int flags, const struct idmap *map)
{
	int ready[2], release[2];
	struct err err = {0};
	struct proc_id id;
	char byte = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(release, O_CLOEXEC), 0);
	pod->pid = child_fork();
	if (pod->pid == 0) {
		close(release[1]);
		if (map)
			assert_int_equal(unshare(CLONE_NEWUSER | flags), 0);
		else
			enter_user_namespace(flags, 0);
		assert_int_equal(write(ready[1], &byte, 1), 1);
		assert_int_equal(read(release[0], &byte, 1), 0);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	pod->release = release[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	if (map)
		assert_int_equal(idmap_write(pod->pid, map, map, NULL), 0);
	assert_int_equal(proc_identify(pod->pid, &id), 0);
	assert_int_equal(proc_open_dir(&id, &pod->procdir), 0);
	if (ns_identify(pod->procdir, pod->ids, &err) < 0)
		fail_msg("%s", err.msg);
}

static void pod_end(struct pod *pod)
{
	close(pod->release);
	close(pod->procdir);
	child_wait(pod->pid);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		const char *oci;
		int flag;
	} expected[NS_KINDS] = {
		{"user", "user", CLONE_NEWUSER},
		{"mnt", "mount", CLONE_NEWNS},
		{"net", "network", CLONE_NEWNET},
		{"ipc", "ipc", CLONE_NEWIPC},
		{"uts", "uts", CLONE_NEWUTS},
		{"pid", "pid", CLONE_NEWPID},
	};

	for (int i = 0; i < NS_KINDS; i++) {
		assert_string_equal(ns_name((enum ns_kind)i), expected[i].name);
		assert_string_equal(ns_oci_name((enum ns_kind)i), expected[i].oci);
		assert_int_equal(ns_clone_flag((enum ns_kind)i), expected[i].flag);
	}
}

static void test_set(void **state)
{
	struct ns_set set;
	int end[2];
	char byte;

	ns_set_init(&set);
	for (int i = 0; i < NS_KINDS; i++)
		assert_int_equal(set.fds[i], -1);
	ns_set_done(&set);
	assert_int_equal(pipe2(end, O_CLOEXEC | O_NONBLOCK), 0);
	set.fds[NS_NET] = end[1];
	ns_set_done(&set);
	assert_int_equal(set.fds[NS_NET], -1);
	assert_int_equal(read(end[0], &byte, 1), 0);
	close(end[0]);
}

static void test_identify(void **state)
{
	struct ns_id own[NS_KINDS], by_fd;
	struct stat st;
	struct pod pod;

	assert_int_equal(ns_identify(-1, own, NULL), 0);
	assert_int_equal(stat("/proc/self/ns/uts", &st), 0);
	assert_true(own[NS_UTS].inode == st.st_ino && own[NS_UTS].device == st.st_dev);
	pod_start(&pod, CLONE_NEWNET, NULL);
	for (int i = 0; i < NS_KINDS; i++)
		assert_true(ns_equal(&own[i], &pod.ids[i]) == (i != NS_USER && i != NS_NET));
	assert_false(
		ns_equal(&own[NS_NET], &(struct ns_id){own[NS_NET].device + 1, own[NS_NET].inode}));

	autoclose int fd = openat(pod.procdir, "ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ns_identify_fd(fd, &by_fd), 0);
	assert_true(ns_equal(&by_fd, &pod.ids[NS_NET]));
	assert_int_equal(ns_identify_fd(-1, &by_fd), -EBADF);
	pod_end(&pod);
}

static void test_open(void **state)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id ids[NS_KINDS], found;
	struct err err = {0};
	struct pod pod;

	ns_set_init(&set);
	pod_start(&pod, CLONE_NEWNET | CLONE_NEWUTS, NULL);
	memcpy(ids, pod.ids, sizeof(ids));
	ids[NS_IPC].inode = 0;
	if (ns_open(pod.procdir, ids, &set, &err) < 0)
		fail_msg("%s", err.msg);
	for (int i = 0; i < NS_KINDS; i++) {
		if (i == NS_IPC) {
			assert_int_equal(set.fds[i], -1);
			continue;
		}
		assert_int_equal(fcntl(set.fds[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(ns_identify_fd(set.fds[i], &found), 0);
		assert_true(ns_equal(&found, &pod.ids[i]));
	}
	pod_end(&pod);
}

static void test_open_another(void **state)
{
	struct ns_id ids[NS_KINDS];
	struct ns_set set = {.fds = {4711}};
	struct err err = {0};
	struct pod pod;
	int before, after;

	pod_start(&pod, CLONE_NEWNET, NULL);
	assert_int_equal(ns_identify(-1, ids, NULL), 0);
	memcpy(&ids[NS_USER], &pod.ids[NS_USER], sizeof(ids[NS_USER]));
	before = dup(0);
	close(before);
	assert_int_equal(ns_open(pod.procdir, ids, &set, &err), -ESTALE);
	assert_contains(err.msg, "net namespace");
	assert_int_equal(set.fds[0], 4711);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	pod_end(&pod);
}

static void test_open_of_the_dead(void **state)
{
	struct ns_set set = {.fds = {4711}};
	struct ns_id ids[NS_KINDS];
	struct err err = {0};
	struct pod pod;
	int dir;

	pod_start(&pod, 0, NULL);
	dir = fcntl(pod.procdir, F_DUPFD_CLOEXEC, 0);
	pod_end(&pod);
	assert_true(ns_open(dir, pod.ids, &set, &err) < 0);
	assert_contains(err.msg, "user namespace");
	assert_int_equal(set.fds[0], 4711);
	assert_true(ns_identify(dir, ids, &err) < 0);
	assert_contains(err.msg, "user namespace");
	close(dir);
}

struct joining {
	const struct pod *pod;
	struct ns_set set;
};

static void assert_joined(const struct joining *joining, const struct ns_id before[NS_KINDS])
{
	struct ns_id now[NS_KINDS];

	assert_int_equal(ns_identify(-1, now, NULL), 0);
	for (int i = 0; i < NS_KINDS; i++) {
		const struct ns_id *expected = &before[i];

		/* pid_namespaces(7): setns() changes the one of children only. */
		if (joining->set.fds[i] >= 0 && i != NS_PID)
			expected = &joining->pod->ids[i];
		assert_true(ns_equal(&now[i], expected));
	}
}

static void pid_is_joined(void *argument)
{
	const struct joining *joining = argument;
	struct ns_id now[NS_KINDS];

	assert_int_equal(ns_identify(-1, now, NULL), 0);
	assert_true(ns_equal(&now[NS_PID], &joining->pod->ids[NS_PID]));
}

static void join(void *argument)
{
	const struct joining *joining = argument;
	struct ns_id before[NS_KINDS];
	struct err err = {0};

	assert_int_equal(ns_identify(-1, before, NULL), 0);
	if (ns_join(&joining->set, &err) < 0)
		fail_msg("%s", err.msg);
	assert_joined(joining, before);
	assert_int_equal(getuid(), 0);
	assert_int_equal(getegid(), 0);
	/* Again: it is in all of them already. */
	if (ns_join(&joining->set, &err) < 0)
		fail_msg("%s", err.msg);
	assert_joined(joining, before);
	/* It has the capabilities of the pod's root. */
	assert_int_equal(sethostname("joined", 6), 0);
	if (joining->set.fds[NS_PID] >= 0)
		run_child(pid_is_joined, argument);
}

static void test_join(void **state)
{
	struct pod pod;
	struct joining joining = {.pod = &pod};

	pod_start(&pod, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS, NULL);
	assert_int_equal(ns_open(pod.procdir, pod.ids, &joining.set, NULL), 0);
	run_child(join, &joining);
	ns_set_done(&joining.set);
	pod_end(&pod);
}

static void test_join_some(void **state)
{
	struct pod pod;
	struct joining joining = {.pod = &pod};

	pod_start(&pod, ALL_FLAGS & ~CLONE_NEWPID, NULL);
	pod.ids[NS_MNT].inode = 0;
	pod.ids[NS_NET].inode = 0;
	assert_int_equal(ns_open(pod.procdir, pod.ids, &joining.set, NULL), 0);
	run_child(join, &joining);
	ns_set_done(&joining.set);
	pod_end(&pod);
}

/* Its creator is not root in it before it becomes that. */
static void become_root(void *argument)
{
	static const struct idmap map = {.n = 2, .extents = {{0, 5, 1}, {1, 0, 1}}};
	struct pod pod;
	struct joining joining = {.pod = &pod};

	pod_start(&pod, CLONE_NEWUTS, &map);
	assert_int_equal(ns_open(pod.procdir, pod.ids, &joining.set, NULL), 0);
	run_child(join, &joining);
	ns_set_done(&joining.set);
	pod_end(&pod);
}

static void test_become_root(void **state)
{
	run_with_ids(become_root, NULL);
}

/* With a pid namespace: its first process is a child of the one that made it. */
static void pid_namespace(void *argument)
{
	struct pod pod = {.release = -1};
	struct joining joining = {.pod = &pod};
	struct proc_id id;

	enter_user_namespace(ALL_FLAGS, 0);
	pod.pid = child_fork();
	if (pod.pid == 0)
		for (;;)
			pause();
	assert_int_equal(proc_identify(pod.pid, &id), 0);
	assert_int_equal(proc_open_dir(&id, &pod.procdir), 0);
	assert_int_equal(ns_identify(pod.procdir, pod.ids, NULL), 0);
	assert_int_equal(ns_open(pod.procdir, pod.ids, &joining.set, NULL), 0);
	run_child(join, &joining);
	assert_int_equal(kill(pod.pid, SIGKILL), 0);
	assert_int_equal(waitpid(pod.pid, NULL, 0), pod.pid);
}

static void test_join_pid(void **state)
{
	run_child(pid_namespace, NULL);
}

/* The namespaces of a pod belong to whoever made it: no other's child may enter. */
static void join_refused(void *argument)
{
	const struct joining *joining = argument;
	struct err err = {0};

	enter_user_namespace(0, 0);
	assert_int_equal(ns_join(&joining->set, &err), -EPERM);
	assert_contains(err.msg, "entering the pod's user namespace");
}

static void test_join_refused(void **state)
{
	struct pod pod;
	struct joining joining = {.pod = &pod};

	pod_start(&pod, CLONE_NEWNET, NULL);
	assert_int_equal(ns_open(pod.procdir, pod.ids, &joining.set, NULL), 0);
	run_child(join_refused, &joining);
	ns_set_done(&joining.set);
	pod_end(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_identify),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_another),
		cmocka_unit_test(test_open_of_the_dead),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_some),
		cmocka_unit_test(test_become_root),
		cmocka_unit_test(test_join_pid),
		cmocka_unit_test(test_join_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
