/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What podctl asks podd, and what it makes of the answers. The pods are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "fixture.h"

#include "supervisor.c"

/* ---- the pods: "net0" runs and has the container "web"; "old" does not run ---- */

static struct scratch hierarchy;

int ctl_open_pod(const struct ctl *ctl, const char *path, int *ret_fd, struct err *err)
{
	*ret_fd = openat(hierarchy.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(err, -ENOENT, "no such pod: %s", path) : 0;
}

int pod_open(const struct ctl *ctl, const char *path, struct pod_running *ret, struct err *err)
{
	*ret = (struct pod_running)POD_RUNNING_NONE;
	ret->state.uplink.pid = 1;
	return ctl_open_pod(ctl, path, &ret->podfd, err);
}

/* The test has the state of one that runs, or none; no process has to be there. */
bool pod_is_running(const struct pod_running *pod)
{
	return pod->state.phase == POD_RUNNING || pod->state.uplink.pid > 0;
}

void pod_running_done(struct pod_running *pod)
{
	cleanup_close(&pod->podfd);
	pod_state_done(&pod->state);
}

int lifecycle_all(const struct ctl *ctl, bool children_first, char ***ret, struct err *err)
{
	*ret = NULL;
	return strv_add(ret, "net0") < 0 ? err_oom(err) : 0;
}

int lifecycle_start(const struct ctl *ctl, const char *path, bool *ret_took_over, struct err *err)
{
	return err_set(err, -ENOSYS, "the test starts nothing");
}

int ctl_fail(int result, const struct err *err)
{
	return CTL_FAILED;
}

static const char running[] =
	"{\"version\":1,\"phase\":\"running\",\"bootId\":\"\",\"since\":\"\",\"namespaces\":{}}";

/* ---- podd ---- */

struct podd {
	int listener;
	pid_t pid;
};

/* For each call that comes on one connection, the next of the answers, which may be several: a NUL
 * lies between them. Calls that are not as expected end it. */
struct exchange {
	const char *call; /* part of it */
	const char *answer;
	size_t length;
};

#define EXCHANGE(call, answer)               \
	{                                    \
		call, answer, sizeof(answer) \
	}

static bool receive_call(int connection, const char *part)
{
	char text[512] = "";
	size_t n = 0;

	do {
		if (n == sizeof(text) || read(connection, text + n, 1) != 1)
			return false;
	} while (text[n++] != '\0');
	return strstr(text, part) != NULL;
}

static void serve(const struct podd *podd, const struct exchange *exchanges)
{
	int connection;
	bool right;

	fcntl(podd->listener, F_SETFL, 0);
	connection = accept4(podd->listener, NULL, NULL, SOCK_CLOEXEC);
	right = connection >= 0;
	for (; right && exchanges->call; exchanges++)
		right = receive_call(connection, exchanges->call) &&
			fd_write_all(connection, exchanges->answer, exchanges->length) == 0;
	_exit(right ? 0 : 1);
}

static void podd_start(struct podd *podd, const struct exchange *exchanges)
{
	autoclose int podfd = openat(hierarchy.fd, "net0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(
		fd_listen_unix(podfd, CONTROL_SOCKET, SOCK_STREAM, &podd->listener, NULL), 0);
	podd->pid = child_fork();
	if (podd->pid == 0)
		serve(podd, exchanges);
}

static void podd_finish(struct podd *podd)
{
	child_wait(podd->pid);
	close(podd->listener);
	assert_int_equal(unlinkat(hierarchy.fd, "net0/" CONTROL_SOCKET, 0), 0);
}

static int setup(void **state)
{
	scratch_init(&hierarchy);
	assert_int_equal(mkdirat(hierarchy.fd, "net0", 0700), 0);
	assert_int_equal(mkdirat(hierarchy.fd, "net0/children", 0700), 0);
	assert_int_equal(mkdirat(hierarchy.fd, "net0/children/web", 0700), 0);
	assert_int_equal(mkdirat(hierarchy.fd, "old", 0700), 0);
	put_file(hierarchy.fd, "net0/state.json", running);
	return 0;
}

static int teardown(void **state)
{
	scratch_done(&hierarchy);
	return 0;
}

/* ---- the tests ---- */

static void assert_not_opened(const char *text, int result, const char *part)
{
	struct supervisor supervisor = SUPERVISOR_NONE;
	struct ctl ctl = {};
	struct err err = {};

	assert_int_equal(supervisor_open(&ctl, text, &supervisor, &err), result);
	assert_contains(err.msg, part);
	assert_int_equal(supervisor.podfd, -1);
}

static void test_not_there(void **state)
{
	assert_not_opened("nopod", -ENOENT, "there is no pod or container 'nopod'");
	assert_not_opened("nopod/web", -ENOENT, "there is no pod or container 'nopod/web'");
	assert_not_opened("net0/db", -ENOENT, "there is no pod or container 'net0/db'");
	assert_not_opened("net0.db", -ENOENT, "there is no pod or container 'net0/db'");
	assert_not_opened("../x", -EINVAL, "../x");
	assert_not_opened("old", -ESRCH, "pod old is not running");
	/* The test's lifecycle_start() refuses: its supervisor would have been started. */
	assert_not_opened("net0", -ENOSYS, "its supervisor had died");
}

static void test_call(void **state)
{
	static const struct exchange exchanges[] = {
		EXCHANGE("\"io.podd.Pod.PortAdd\",\"parameters\":{\"child\":\"web\"}",
			"{\"parameters\":{\"n\":1}}"),
		EXCHANGE("PortAdd",
			"{\"error\":\"io.podd.Pod.PortFailed\",\"parameters\":"
			"{\"spec\":\"80:80\",\"reason\":\"in use\"}}"),
		EXCHANGE("PortAdd", "{\"error\":\"io.podd.Pod.NoSuchChild\"}"),
		EXCHANGE("Capture", "{\"error\":\"org.varlink.service.MethodNotFound\"}"),
		EXCHANGE("Capture", "{}"),
		{},
	};
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) reply = NULL;
	struct ctl ctl = {};
	struct err err = {};
	struct podd podd;
	int fd = -1;

	podd_start(&podd, exchanges);
	assert_int_equal(supervisor_open(&ctl, "net0.web", &supervisor, &err), 0);
	assert_string_equal(supervisor.path, "net0/web");
	assert_string_equal(supervisor.pod, "net0");
	assert_string_equal(supervisor.child, "web");
	assert_int_equal(supervisor_call(&supervisor, "PortAdd", supervisor_parameters(&supervisor),
				 &reply, &err),
		0);
	assert_int_equal(supervisor_number(reply, "n"), 1);
	assert_int_equal(supervisor_call(&supervisor, "PortAdd", NULL, NULL, &err), -EREMOTEIO);
	assert_string_equal(err.msg, "container net0/web: port \"80:80\": in use");
	assert_int_equal(supervisor_call(&supervisor, "PortAdd", NULL, NULL, &err), -EREMOTEIO);
	assert_contains(err.msg, "no container net0/web");
	assert_int_equal(
		supervisor_call_for_fd(&supervisor, "Capture", NULL, &fd, &err), -EREMOTEIO);
	assert_contains(err.msg, "pod net0 was started by an older podd");
	assert_int_equal(supervisor_call_for_fd(&supervisor, "Capture", NULL, &fd, &err), -EPROTO);
	assert_contains(err.msg, "no descriptor");
	assert_int_equal(fd, -1);
	podd_finish(&podd);
}

#define LIST                                                        \
	"{\"continues\":true,\"parameters\":{\"ports\":[{\"n\":1}," \
	"{\"child\":\"web\",\"n\":2}]}}\0"                          \
	"{\"parameters\":{\"ports\":[{\"child\":\"db\",\"n\":3},{\"child\":null,\"n\":4}]}}"

static void assert_listed(const struct json *ports, size_t i, int64_t n, const char *path)
{
	assert_int_equal(supervisor_number(json_at(ports, i), "n"), n);
	assert_string_equal(supervisor_text(json_at(ports, i), SUPERVISOR_TARGET), path);
}

static void test_list(void **state)
{
	static const struct exchange exchanges[] = {EXCHANGE("\"more\":true", LIST), {}};
	autoptr(json) all = NULL;
	autoptr(json) of_child = NULL;
	struct ctl ctl = {};
	struct podd podd;

	podd_start(&podd, exchanges);
	assert_int_equal(supervisor_list_all(&ctl, NULL, supervisor_open, "Ports", "ports", &all), -1);
	podd_finish(&podd);
	assert_int_equal(json_length(all), 4);
	assert_listed(all, 0, 1, "net0");
	assert_listed(all, 1, 2, "net0/web");
	assert_listed(all, 2, 3, "net0/db");
	assert_listed(all, 3, 4, "net0");

	podd_start(&podd, exchanges);
	assert_int_equal(supervisor_list_all(&ctl, "net0/web", supervisor_open, "Ports", "ports", &of_child), -1);
	podd_finish(&podd);
	assert_int_equal(json_length(of_child), 1);
	assert_listed(of_child, 0, 2, "net0/web");
}

static void test_list_fails(void **state)
{
	static const struct exchange exchanges[] = {EXCHANGE("Flows", "{\"parameters\":{}}"), {}};
	autoptr(json) one = NULL;
	autoptr(json) none = NULL;
	struct ctl ctl = {};
	struct podd podd;

	podd_start(&podd, exchanges);
	assert_int_equal(supervisor_list_all(&ctl, "net0", supervisor_open, "Flows", "flows", &one), CTL_FAILED);
	podd_finish(&podd);
	assert_int_equal(json_length(one), 0);
	assert_int_equal(supervisor_list_all(&ctl, "nopod", supervisor_open, "Flows", "flows", &none), CTL_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
