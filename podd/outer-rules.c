/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The rules, as nft reads them, and for what some kernels' nftables lack as iptables does. Marks
 * are those of uplink-marks.h.
 *
 *   prerouting, output   -160   the SYN of a connection that leaves by the tap: MARK_NEW;
 *                               an answer of a published server: MARK_REPLY
 *                        -150   MARK_NEW: to the queue, or on if nobody reads it
 *                        -100   MARK_TAKE, the uplink's verdict: to its listening socket
 *   forward, input, output  0   the other verdicts: answered
 *
 * Not touched: what stays between the pod's own networks, what came by the tap, every packet but
 * the first of a connection.
 */

#include "outer-rules.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "cleanup.h"
#include "fd.h"
#include "spawn.h"
#include "text.h"
#include "uplink-marks.h"

#define TIMEOUT_MS 10000
#define OUTPUT_MAX 4096
#define RULES_MAX 4096

struct text {
	char *data;
	size_t size;
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text->length += (size_t)vsnprintf(
		text->data + text->length, text->size - text->length, format, args);
	va_end(args);
	assert(text->length < text->size);
}

/* Not by conntrack's state: a connection may come from the port of one that it still remembers. */
#define FIRST_PACKET "meta l4proto tcp tcp flags & (fin | syn | rst | ack) == syn "

static void add_first_packets(struct text *text, bool take_tcp)
{
	add(text, "chain first_in {\n"
		"type filter hook prerouting priority -160; policy accept;\n"
		"iifname { \"lo\", \"" OUTER_TAP_NAME "\" } return\n"
		"ct mark %u ct direction reply meta mark set %u return\n",
		MARK_PUBLISHED, MARK_REPLY);
	if (take_tcp)
		add(text, FIRST_PACKET "fib daddr oif \"" OUTER_TAP_NAME "\" meta mark set %u\n",
			MARK_NEW);
	add(text, "}\n"
		"chain first_out {\n"
		"type route hook output priority -160; policy accept;\n"
		"ct mark %u ct direction reply meta mark set %u return\n"
		"meta mark %u ct mark != %u ct mark set %u return\n",
		MARK_PUBLISHED, MARK_REPLY, MARK_PUBLISHED, MARK_PUBLISHED, MARK_PUBLISHED);
	if (take_tcp)
		add(text, "oifname \"" OUTER_TAP_NAME "\" " FIRST_PACKET "meta mark set %u\n",
			MARK_NEW);
	add(text, "}\n");
}

static void add_queue(struct text *text)
{
	static const char *const hooks[] = {"prerouting", "output"};

	for (int i = 0; i < 2; i++)
		add(text, "chain queue_%s {\n"
			"type filter hook %s priority -150; policy accept;\n"
			"meta mark %u queue flags bypass to %u\n"
			"}\n",
			hooks[i], hooks[i], MARK_NEW, MARK_QUEUE);
}

static void add_taking(struct text *text, const struct outer_rules *rules)
{
	static const char *const hooks[] = {"prerouting", "output"};
	char self4[INET_ADDRSTRLEN], self6[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET, &rules->self4, self4, sizeof(self4));
	inet_ntop(AF_INET6, &rules->self6, self6, sizeof(self6));
	for (int i = 0; i < 2; i++) {
		add(text, "chain take_%s {\n"
			"type nat hook %s priority -100; policy accept;\n"
			"meta mark %u meta l4proto tcp dnat ip to %s:%u\n",
			hooks[i], hooks[i], MARK_TAKE, self4, rules->port4);
		if (rules->ipv6)
			add(text, "meta mark %u meta l4proto tcp dnat ip6 to [%s]:%u\n", MARK_TAKE,
				self6, rules->port6);
		add(text, "}\n");
	}
}

static void add_answers(struct text *text)
{
	static const char *const hooks[] = {"forward", "input", "output"};

	add(text, "chain answer {\n"
		"meta mark %u meta l4proto tcp reject with tcp reset\n"
		"meta mark %u reject with icmpx type no-route\n"
		"meta mark %u reject with icmpx type host-unreachable\n"
		"meta mark %u reject with icmpx type admin-prohibited\n"
		"}\n",
		MARK_RESET, MARK_NO_ROUTE, MARK_NO_HOST, MARK_PROHIBITED);
	for (int i = 0; i < 3; i++)
		add(text, "chain answer_%s {\n"
			"type filter hook %s priority 0; policy accept;\n"
			"meta mark %u-%u jump answer\n"
			"}\n",
			hooks[i], hooks[i], MARK_RESET, MARK_PROHIBITED);
}

static void format_rules(const struct outer_rules *rules, bool take_tcp, bool queue,
	struct text *text)
{
	text->length = 0;
	add(text, "table inet podd {\n");
	add_first_packets(text, take_tcp);
	if (queue)
		add_queue(text);
	if (rules->masquerade)
		add(text, "chain leave {\n"
			"type nat hook postrouting priority 100; policy accept;\n"
			"oifname \"" OUTER_CNI_NAME "\" masquerade\n"
			"}\n");
	if (take_tcp) {
		add_taking(text, rules);
		add_answers(text);
	}
	add(text, "}\n");
}

static int run(const char *program, char *const *argv, const struct text *text, struct err *err)
{
	const struct spawn spawn = {
		.path = program,
		.argv = argv,
		.input = text->data,
		.input_length = text->length,
		.program_fd = -1,
		.timeout_ms = TIMEOUT_MS,
		.output_max = OUTPUT_MAX,
		.stderr_max = OUTPUT_MAX,
	};
	struct spawn_result result = {};
	char ending[128];
	int r;

	r = spawn_run(&spawn, &result, err);
	if (r == 0 && spawn_describe(result.status, ending, sizeof(ending)) != 0)
		r = err_set(err, -EIO, "%s %s: %s", program, ending, result.errors);
	spawn_result_done(&result);
	return r;
}

static int run_nft(const struct text *text, struct err *err)
{
	static char *const argv[] = {(char *)"nft", (char *)"-f", (char *)"-", NULL};

	return run(PODD_NFT, argv, text, err);
}

static int run_restore(const char *program, const struct text *text, struct err *err)
{
	/* One binary for many names goes by this one. */
	char *const argv[] = {strrchr(program, '/') + 1, (char *)"--noflush", NULL};

	return run(program, argv, text, err);
}

/* What there is of them: each by itself, since some may be gone. */
static void remove_rules(struct text *text)
{
	static const char *const programs[] = {PODD_IPTABLES_RESTORE, PODD_IP6TABLES_RESTORE};
	static const char *const chains[] = {"PREROUTING", "OUTPUT"};

	text->length = 0;
	add(text, "table inet podd\ndelete table inet podd\n");
	run_nft(text, NULL);
	for (int i = 0; i < 4; i++) {
		text->length = 0;
		add(text, "*mangle\n-D %s -m mark --mark %u -j NFQUEUE --queue-num %u --queue-bypass\n"
			  "COMMIT\n",
			chains[i % 2], MARK_NEW, MARK_QUEUE);
		run_restore(programs[i / 2], text, NULL);
	}
}

/* Beside the caller, in a process of its own, whose status is what went wrong. Return: its pid, -errno. */
static pid_t start_restore(const char *program, const struct text *text)
{
	struct err err = {};
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_restore(program, text, &err) < 0 ? 1 : 0);
	return pid < 0 ? -errno : pid;
}

/* Why is told by another try, which nobody should need. */
static int finish_restore(pid_t pid, const char *program, const struct text *text, struct err *err)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, "waiting for %s", program);
	return status == 0 ? 0 : run_restore(program, text, err);
}

/* The kernel's NFQUEUE target, by the tools that speak its language: both side by side, they take
 * most of a pod's start. */
static int run_iptables(bool ipv6, struct text *text, struct err *err)
{
	pid_t other = 0;
	int r, six;

	text->length = 0;
	add(text, "*mangle\n");
	for (int i = 0; i < 2; i++)
		add(text, "-A %s -m mark --mark %u -j NFQUEUE --queue-num %u --queue-bypass\n",
			i == 0 ? "PREROUTING" : "OUTPUT", MARK_NEW, MARK_QUEUE);
	add(text, "COMMIT\n");
	if (ipv6)
		other = start_restore(PODD_IP6TABLES_RESTORE, text);
	r = run_restore(PODD_IPTABLES_RESTORE, text, err);
	if (other == 0)
		return r;
	six = other > 0 ? finish_restore(other, PODD_IP6TABLES_RESTORE, text, err) :
			  run_restore(PODD_IP6TABLES_RESTORE, text, err);
	return r < 0 ? r : six;
}

/* From the best to what works anywhere. */
static void set_rules(const struct outer_rules *rules, struct outer_rules_result *result)
{
	char buffer[RULES_MAX];
	struct text text = {.data = buffer, .size = sizeof(buffer)};
	struct err nft = {}, err = {};
	int r = -EOPNOTSUPP;

	if (rules->anew)
		remove_rules(&text);
	if (rules->take_tcp) {
		format_rules(rules, true, true, &text);
		r = run_nft(&text, &nft);
		result->queue = r == 0 ? OUTER_QUEUE_NFT : OUTER_QUEUE_NONE;
	}
	if (r < 0 && rules->take_tcp) {
		format_rules(rules, true, false, &text);
		r = run_nft(&text, &err);
		result->transparent = r == 0;
		if (r == 0)
			r = run_iptables(rules->ipv6, &text, &err);
		if (r == 0)
			result->queue = OUTER_QUEUE_XT;
	}
	if (r < 0 && !result->transparent) {
		format_rules(rules, false, false, &text);
		r = run_nft(&text, &err);
	}
	result->transparent |= r == 0;
	if (r < 0)
		(void)text_sanitize(result->text, sizeof(result->text), err.msg);
}

int outer_rules_start(const struct outer_rules *rules, int *ret_fd, struct err *err)
{
	struct outer_rules_result result = {};
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	pid = fork();
	if (pid == 0) {
		signal(SIGCHLD, SIG_DFL);
		set_rules(rules, &result);
		fd_write_all(pipe_fds[1], &result, sizeof(result));
		_exit(0);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_errno(err, "starting a process for nft");
	}
	*ret_fd = pipe_fds[0];
	return 0;
}

void outer_rules_wait(int fd, struct outer_rules_result *ret)
{
	autoclose int rules = fd;
	autofree char *data = NULL;
	size_t length = 0;

	if (fd_read_all(rules, sizeof(*ret), &data, &length) == 0 && length == sizeof(*ret)) {
		memcpy(ret, data, sizeof(*ret));
		return;
	}
	*ret = (struct outer_rules_result){};
	snprintf(ret->text, sizeof(ret->text), "the process that set the rules ended too soon");
}
