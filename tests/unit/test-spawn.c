/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running helper programs: what they inherit, how they end, and what cannot hold us up. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "fixture.h"
#include "spawn.h"
#include "text.h"

#define OUTPUT_MAX (2 * 1024 * 1024)

/* Runs a shell script with the spawn's other fields as they are. */
static int run_shell(
	struct spawn spawn, const char *script, struct spawn_result *ret, struct err *err)
{
	char *copy = strdup(script);
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, copy, NULL};
	int r;

	assert_non_null(copy);
	spawn.path = "/bin/sh";
	spawn.argv = argv;
	if (spawn.output_max == 0)
		spawn.output_max = OUTPUT_MAX;
	r = spawn_run(&spawn, ret, err);
	free(copy);
	return r;
}

static void assert_output(struct spawn spawn, const char *script, const char *expected)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	struct err err = {0};

	spawn.stderr_max = 4096;
	if (run_shell(spawn, script, &result, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(result.errors, "");
	assert_string_equal(result.output, expected);
	assert_int_equal(result.output_length, strlen(expected));
	assert_int_equal(result.status, 0);
}

static void test_outcome(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	struct spawn spawn = {.stderr_max = 100};

	assert_int_equal(run_shell(spawn, "echo out; echo bad >&2; exit 3", &result, NULL), 0);
	assert_true(WIFEXITED(result.status));
	assert_int_equal(WEXITSTATUS(result.status), 3);
	assert_string_equal(result.output, "out\n");
	assert_int_equal(result.output_length, 4);
	assert_string_equal(result.errors, "bad\n");
	assert_int_equal(result.errors_length, 4);
}

static void test_no_output(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};

	assert_int_equal(run_shell((struct spawn){0}, "exit 0", &result, NULL), 0);
	assert_string_equal(result.output, "");
	assert_string_equal(result.errors, "");
	assert_int_equal(result.output_length, 0);
}

static void test_killed_by_signal(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};

	assert_int_equal(run_shell((struct spawn){0}, "kill -KILL $$", &result, NULL), 0);
	assert_true(WIFSIGNALED(result.status));
	assert_int_equal(WTERMSIG(result.status), SIGKILL);
}

static void test_input(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	size_t length = 1024 * 1024;
	autofree char *input = malloc(length);
	struct spawn spawn = {.input = input, .input_length = length};

	assert_non_null(input);
	memset(input, 'i', length);
	assert_int_equal(run_shell(spawn, "cat", &result, NULL), 0);
	assert_int_equal(result.output_length, length);
	assert_memory_equal(result.output, input, length);
	/* Somebody who does not read it is no trouble either. */
	spawn_result_done(&result);
	assert_int_equal(run_shell(spawn, "exec 0<&-; echo done", &result, NULL), 0);
	assert_string_equal(result.output, "done\n");
}

static void test_no_input(void **state)
{
	assert_output((struct spawn){0}, "cat; readlink /proc/self/fd/0", "/dev/null\n");
}

static void test_environment(void **state)
{
	char one[] = "ONE=1";
	char *environment[] = {one, NULL};
	char *argv[] = {(char[]){"env"}, NULL};
	struct spawn spawn = {.path = "/usr/bin/env", .argv = argv, .output_max = OUTPUT_MAX};
	cleanup(spawn_result_done) struct spawn_result empty = {0};
	cleanup(spawn_result_done) struct spawn_result given = {0};

	assert_int_equal(setenv("PODD_TEST_LEAK", "1", 1), 0);
	assert_int_equal(spawn_run(&spawn, &empty, NULL), 0);
	assert_string_equal(empty.output, "");
	spawn.envp = environment;
	assert_int_equal(spawn_run(&spawn, &given, NULL), 0);
	assert_string_equal(given.output, "ONE=1\n");
}

static void test_nothing_else_is_inherited(void **state)
{
	autoclose int leak = open("/dev/null", O_RDONLY);
	mode_t before = umask(077);

	assert_true(leak >= 0);
	/* 3 is the directory that ls itself has open. */
	assert_output((struct spawn){0}, "exec ls /proc/self/fd", "0\n1\n2\n3\n");
	assert_output((struct spawn){0}, "pwd; umask", "/\n0022\n");
	umask(before);
}

static void test_own_group(void **state)
{
	assert_output((struct spawn){0},
		"read -r pid name state parent group rest </proc/self/stat\n"
		"test \"$pid\" = \"$group\" && echo own",
		"own\n");
}

static void test_signals_are_default(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	sigset_t term;
	sigset_t before;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before);
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(
		run_shell((struct spawn){0}, "kill -TERM $$; echo alive", &result, NULL), 0);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_string_equal(result.output, "");
	assert_true(WIFSIGNALED(result.status));
	assert_int_equal(WTERMSIG(result.status), SIGTERM);
}

/* A fifo whose reader sees its end only when every process that has it open is gone. */
struct fifo {
	char dir[32];
	char path[64];
	char *environment[2];
	char variable[80];
};

static void fifo_init(struct fifo *fifo)
{
	*fifo = (struct fifo){.dir = "/tmp/podd-spawn-XXXXXX"};
	assert_non_null(mkdtemp(fifo->dir));
	snprintf(fifo->path, sizeof(fifo->path), "%s/fifo", fifo->dir);
	snprintf(fifo->variable, sizeof(fifo->variable), "FIFO=%s", fifo->path);
	assert_int_equal(mkfifo(fifo->path, 0600), 0);
	fifo->environment[0] = fifo->variable;
}

static void fifo_done(struct fifo *fifo)
{
	unlink(fifo->path);
	rmdir(fifo->dir);
}

static void assert_end_of(int fd)
{
	char buffer[16];
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		;
	assert_int_equal(n, 0);
}

static void test_deadline_kills_the_group(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	cleanup(fifo_done) struct fifo fifo;
	autoclose int reader = -1;
	struct err err = {0};
	struct spawn spawn = {.timeout_ms = 1000};

	fifo_init(&fifo);
	reader = open(fifo.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	spawn.envp = fifo.environment;
	assert_int_equal(run_shell(spawn,
				 "trap '' TERM HUP INT; exec 5>\"$FIFO\"; echo x >&5\n"
				 "/bin/sleep 1000 & echo started; wait",
				 &result, &err),
		-ETIMEDOUT);
	assert_string_equal(err.msg, "/bin/sh did not end within 1000 ms and was killed");
	assert_string_equal(result.output, "started\n");
	assert_true(WIFSIGNALED(result.status));
	assert_end_of(reader);
}

static void test_end_with_the_caller(void **state)
{
	cleanup(fifo_done) struct fifo fifo;
	autoclose int reader = -1;
	char byte;
	pid_t pid;

	fifo_init(&fifo);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct spawn spawn = {.envp = fifo.environment};
		struct spawn_result result;

		run_shell(
			spawn, "exec 5>\"$FIFO\"; echo x >&5; exec /bin/sleep 1000", &result, NULL);
		_exit(1);
	}
	reader = open(fifo.path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(read(reader, &byte, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_end_of(reader);
}

static void test_daemon_does_not_hold_up(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	uint32_t pid;

	/* No deadline: that the call returns is what is tested. */
	assert_int_equal(run_shell((struct spawn){.stderr_max = 100},
				 "/usr/bin/setsid /bin/sleep 1000 & echo $!", &result, NULL),
		0);
	assert_int_equal(result.status, 0);
	*strchrnul(result.output, '\n') = '\0';
	assert_int_equal(text_to_uint32(result.output, 2, INT32_MAX, &pid), 0);
	/* It was alive, and not reaped by anybody yet. */
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void test_flood(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	struct spawn spawn = {.output_max = 100000};
	struct err err = {0};

	assert_int_equal(run_shell(spawn, "exec /usr/bin/yes", &result, &err), -EFBIG);
	assert_string_equal(err.msg, "/bin/sh wrote more than 100000 bytes and was killed");
	assert_true(WIFSIGNALED(result.status));
	assert_in_range(result.output_length, 0, 100000);
}

static void test_flood_at_the_end(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	struct spawn spawn = {.output_max = 10};

	/* It has ended before anybody looks. */
	assert_int_equal(run_shell(spawn, "echo 12345678901", &result, NULL), -EFBIG);
	spawn_result_done(&result);
	assert_int_equal(run_shell(spawn, "echo 123456789", &result, NULL), 0);
	assert_string_equal(result.output, "123456789\n");
}

static void test_end_of_stderr_is_kept(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	struct spawn spawn = {.stderr_max = 64};

	assert_int_equal(
		run_shell(spawn,
			"i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done >&2\n"
			"echo 'the last line' >&2",
			&result, NULL),
		0);
	assert_int_equal(result.errors_length, 64);
	assert_string_equal(result.errors + 64 - strlen("line 19999\nthe last line\n"),
		"line 19999\nthe last line\n");
	spawn_result_done(&result);
	spawn.stderr_max = 0;
	assert_int_equal(run_shell(spawn, "echo x >&2", &result, NULL), 0);
	assert_string_equal(result.errors, "");
}

static void refused(const char *path, int code, const char *message)
{
	char *argv[] = {(char[]){"x"}, NULL};
	struct spawn spawn = {.path = path, .argv = argv};
	struct spawn_result result;
	struct err err = {0};

	assert_int_equal(spawn_run(&spawn, &result, &err), code);
	assert_string_equal(err.msg, message);
	spawn_result_done(&result);
}

static void test_cannot_be_executed(void **state)
{
	char path[] = "/tmp/podd-spawn-XXXXXX";
	autofree char *message = NULL;
	int fd = mkstemp(path);

	refused("/nonexistent/program", -ENOENT,
		"cannot run /nonexistent/program: No such file or directory");
	refused("/etc/passwd", -EACCES, "cannot run /etc/passwd: Permission denied");
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "garbage\n", 8), 8);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	message = text_format("cannot run %s: Exec format error", path);
	refused(path, -ENOEXEC, message);
	unlink(path);
}

static void test_program_by_fd(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	autoclose int fd = open("/bin/echo", O_RDONLY | O_CLOEXEC);
	char *argv[] = {(char[]){"echo"}, (char[]){"by fd"}, NULL};
	struct spawn spawn = {.path = "/nonexistent/echo", .argv = argv, .output_max = 100};

	assert_true(fd > 2);
	spawn.program_fd = fd;
	assert_int_equal(spawn_run(&spawn, &result, NULL), 0);
	assert_string_equal(result.output, "by fd\n");
}

static void test_without_stdio(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct spawn spawn = {.input = "in", .input_length = 2, .stderr_max = 10};
		struct spawn_result result;

		for (int fd = 0; fd < 3; fd++)
			close(fd);
		if (run_shell(spawn, "cat; echo err >&2", &result, NULL) < 0)
			_exit(1);
		_exit(strcmp(result.output, "in") != 0 || strcmp(result.errors, "err\n") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_no_fd_is_left(void **state)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	int before = dup(0);
	int after;

	close(before);
	assert_int_equal(run_shell((struct spawn){0}, "echo x", &result, NULL), 0);
	refused("/nonexistent/program", -ENOENT,
		"cannot run /nonexistent/program: No such file or directory");
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	/* Nor a child. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_describe(void **state)
{
	char text[64];

	assert_int_equal(spawn_describe(0, text, sizeof(text)), 0);
	assert_string_equal(text, "exited with status 0");
	assert_int_equal(spawn_describe(3 << 8, text, sizeof(text)), 1);
	assert_string_equal(text, "exited with status 3");
	assert_int_equal(spawn_describe(SIGKILL, text, sizeof(text)), 1);
	assert_string_equal(text, "was killed by signal 9 (Killed)");
}

/* On a merged /usr that directory is good enough a root for a shell. */
static void run_in_root(void *argument)
{
	autoclose int root = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int moved = fcntl(root, F_DUPFD_CLOEXEC, 3);

	enter_user_namespace(0, 0);
	assert_output((struct spawn){.root_fd = moved}, "pwd; test -e /usr || echo no /usr",
		"/\nno /usr\n");
	/* The caller's stays what it was. */
	assert_int_equal(access("/usr", F_OK), 0);
}

static void test_root(void **state)
{
	run_child(run_in_root, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcome),
		cmocka_unit_test(test_no_output),
		cmocka_unit_test(test_killed_by_signal),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_no_input),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_nothing_else_is_inherited),
		cmocka_unit_test(test_own_group),
		cmocka_unit_test(test_signals_are_default),
		cmocka_unit_test(test_deadline_kills_the_group),
		cmocka_unit_test(test_end_with_the_caller),
		cmocka_unit_test(test_daemon_does_not_hold_up),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_flood_at_the_end),
		cmocka_unit_test(test_end_of_stderr_is_kept),
		cmocka_unit_test(test_cannot_be_executed),
		cmocka_unit_test(test_program_by_fd),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_without_stdio),
		cmocka_unit_test(test_no_fd_is_left),
		cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
