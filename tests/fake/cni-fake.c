/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CNI plugin that goes wrong in the way its configuration asks for.
 *
 * "mode": "ok" (also without one), "nothing", "garbage", "error", "refuse" (code 1 for every
 * version but the one in "speaks"), "signal", "hang", "flood", "daemon", "stderr", "env";
 * "fail-del" is "error" for DEL only. With "on": "ADD" a mode holds for that command only and
 * the others are "ok". With "log": FILE each call appends one line to that file:
 *
 *   <CLOCK_MONOTONIC ns> <CNI_COMMAND> <CNI_CONTAINERID> <CNI_IFNAME> <CNI_NETNS> uid=.. pid=..
 * type=..
 *
 * and, with "dump": "FILE", the whole request is appended to that file. It links to nothing but
 * libc and reads JSON crudely: it serves tests, whose configurations are known.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_SIZE (1024 * 1024 + 1)
#define VALUE_SIZE 512
#define FLOOD_BYTES (100L * 1024 * 1024)
#define DAEMON_SECONDS 60

extern char **environ;

static char request[REQUEST_SIZE];

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : "-";
}

static bool is_command(const char *name)
{
	return strcmp(variable("CNI_COMMAND"), name) == 0;
}

static void read_request(void)
{
	size_t length = 0;
	ssize_t n;

	while ((n = read(0, request + length, sizeof(request) - 1 - length)) > 0)
		length += n;
}

/* The text behind "key": or NULL. */
static const char *find(const char *key)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\"%s\":", key);
	at = strstr(request, wanted);
	if (!at)
		return NULL;
	at += strlen(wanted);
	return at + strspn(at, " ");
}

/* Copies the string that @key has, or @otherwise. */
static const char *string(const char *key, const char *otherwise, char value[VALUE_SIZE])
{
	const char *at = find(key);
	size_t length;

	if (!at || *at != '"')
		return otherwise;
	length = strcspn(at + 1, "\"");
	if (length >= VALUE_SIZE)
		return otherwise;
	memcpy(value, at + 1, length);
	value[length] = '\0';
	return value;
}

static FILE *open_log(const char *key)
{
	char path[VALUE_SIZE];

	return string(key, NULL, path) ? fopen(path, "ae") : NULL;
}

static void log_call(const char *type)
{
	FILE *log = open_log("log");
	struct timespec now;

	if (!log)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(log, "%lld %s %s %s %s uid=%u pid=%d type=%s\n",
		(long long)now.tv_sec * 1000000000LL + now.tv_nsec, variable("CNI_COMMAND"),
		variable("CNI_CONTAINERID"), variable("CNI_IFNAME"), variable("CNI_NETNS"),
		(unsigned)getuid(), (int)getpid(), type);
	fclose(log);
}

static void dump_request(void)
{
	FILE *dump = open_log("dump");

	if (!dump)
		return;
	fprintf(dump, "%s\n", request);
	fclose(dump);
}

/* Environment and open descriptors, and what else a plugin inherits. */
static void log_environment(void)
{
	FILE *log = open_log("log");
	char directory[VALUE_SIZE];
	mode_t mask = umask(0);

	if (!log)
		return;
	for (char **entry = environ; *entry; entry++)
		fprintf(log, "env %s\n", *entry);
	for (int fd = 0; fd < 1024; fd++) {
		if (fd != fileno(log) && fcntl(fd, F_GETFD) >= 0)
			fprintf(log, "fd %d\n", fd);
	}
	fprintf(log, "cwd %s\numask %03o\n", getcwd(directory, sizeof(directory)), (unsigned)mask);
	fprintf(log, "group %s\n", getpgrp() == getpid() ? "own" : "shared");
	fclose(log);
}

/* Prints prevResult as it came, up to its closing brace. */
static bool print_previous(void)
{
	const char *at = find("prevResult");
	int depth = 0;
	bool quoted = false;

	if (!at || *at != '{')
		return false;
	for (; *at; at++) {
		putchar(*at);
		if (*at == '"' && at[-1] != '\\')
			quoted = !quoted;
		if (!quoted && *at == '{')
			depth++;
		if (!quoted && *at == '}' && --depth == 0)
			break;
	}
	return true;
}

static int succeed(void)
{
	char version[VALUE_SIZE];
	char address[VALUE_SIZE];
	const char *name = string("cniVersion", "1.0.0", version);

	if (is_command("VERSION"))
		printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0."
		       "0\","
		       "\"1.1.0\"]}\n",
			name);
	if (!is_command("ADD") || print_previous())
		return 0;
	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"br0\",\"mac\":"
	       "\"02:00:00:00:00:01\"},{\"name\":\"%s\",\"mac\":\"02:00:00:00:00:02\","
	       "\"sandbox\":\"%s\"}],\"ips\":[{%s\"address\":\"%s\",\"gateway\":\"10.9.0.1\","
	       "\"interface\":1}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}],"
	       "\"dns\":{\"nameservers\":[\"10.9.0.1\"]}}\n",
		name, variable("CNI_IFNAME"), variable("CNI_NETNS"),
		*name == '0' ? "\"version\":\"4\"," : "",
		string("address", "10.9.0.2/24", address));
	return 0;
}

static int fail(int code, const char *message)
{
	printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":\"%s\",\"details\":\"as asked\"}\n",
		code, message);
	return 1;
}

static int refuse(void)
{
	char version[VALUE_SIZE];
	char speaks[VALUE_SIZE];

	if (strcmp(string("cniVersion", "", version), string("speaks", "", speaks)) == 0)
		return succeed();
	return fail(1, "incompatible CNI versions");
}

static void hang(void)
{
	/* Only SIGKILL ends it. */
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
}

static int flood(void)
{
	static char block[64 * 1024];

	memset(block, 'x', sizeof(block));
	for (long written = 0; written < FLOOD_BYTES; written += sizeof(block)) {
		if (write(1, block, sizeof(block)) < 0)
			return 1;
	}
	return 0;
}

/* Leaves a process in a session of its own that holds stdout and stderr. */
static int leave_daemon(void)
{
	int r = succeed();
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setsid();
		alarm(DAEMON_SECONDS);
		for (;;)
			pause();
	}
	return pid < 0 ? 1 : r;
}

static int complain(void)
{
	for (int i = 0; i < 4096; i++)
		fprintf(stderr, "line %d of a long complaint\n", i);
	fprintf(stderr, "the last line\n");
	return 3;
}

static int crash(void)
{
	raise(SIGKILL);
	return 1;
}

static int act(const char *mode)
{
	if (strcmp(mode, "nothing") == 0)
		return 0;
	if (strcmp(mode, "garbage") == 0)
		return printf("this is no JSON {]\n") < 0;
	if (strcmp(mode, "error") == 0 || strcmp(mode, "fail-del") == 0)
		return fail(100, "the fake plugin fails");
	if (strcmp(mode, "refuse") == 0)
		return refuse();
	if (strcmp(mode, "signal") == 0)
		return crash();
	if (strcmp(mode, "hang") == 0)
		hang();
	if (strcmp(mode, "flood") == 0)
		return flood();
	if (strcmp(mode, "daemon") == 0)
		return leave_daemon();
	if (strcmp(mode, "stderr") == 0)
		return complain();
	if (strcmp(mode, "env") == 0)
		log_environment();
	return succeed();
}

int main(void)
{
	char mode_value[VALUE_SIZE];
	char on_value[VALUE_SIZE];
	const char *mode;
	const char *on;

	read_request();
	log_call(program_invocation_short_name);
	dump_request();
	mode = string("mode", "ok", mode_value);
	on = string("on", strcmp(mode, "fail-del") == 0 ? "DEL" : NULL, on_value);
	if (on && !is_command(on))
		mode = "ok";
	return act(mode);
}
