/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the verbs of podctl share: the exit codes, the verb's description, messages for people,
 * the way to a pod's directory, and the outcome of a verb that does one thing to several pods.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"
#include "err.h"
#include "json.h"

/* podman's, where podman has the same verb. */
enum ctl_status {
	CTL_OK = 0,
	CTL_MISSING = 1,        /* rm: what was named is not there */
	CTL_USAGE = 2,          /* the command line is wrong; see ctl_verb.passes_status */
	CTL_FAILED = 125,
	CTL_NOT_RUNNABLE = 126, /* the command cannot be executed */
	CTL_NOT_FOUND = 127,    /* there is no such command */
	CTL_UNKNOWN = 255,      /* nobody saw how the container ended */
};

/* What main() found out before the verb began. */
struct ctl {
	char *root;       /* of the hierarchy, absolute */
	bool root_chosen; /* by --root or $PODD_ROOT, not the default */
};

struct ctl_verb {
	const char *name;         /* "create", "network ls" */
	const char *operands;     /* "POD DIR", for the usage line */
	const char *summary;      /* one line, no full stop */
	const char *details;      /* further lines of --help, or NULL */
	const char *example;
	size_t operands_min;
	size_t operands_max;      /* SIZE_MAX: any number */
	bool command_follows;     /* options end at the second operand, a command */
	bool command_first;       /* options end at the first operand, a command */
	bool passes_status; /* ends with a command's status: wrong use is CTL_FAILED, as podman's */
	bool no_root;             /* works without a hierarchy */
	/* argv[0] is the first argument after the verb. Return: the exit status. */
	int (*run)(const struct ctl *ctl, int argc, char **argv);
};

/* "podctl: error: ..." and "podctl: warning: ..." on standard error. */
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ctl_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "podctl: ..." there: what is neither, beside an output that is for programs. */
void ctl_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints what went wrong, even when a callee left no message. Return: CTL_FAILED. */
int ctl_fail(int result, const struct err *err);
/* Prints the message and where to find help. Return: CTL_USAGE, or CTL_FAILED with
 * verb->passes_status. */
int ctl_usage_error(const struct ctl_verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the document and frees it. Return: the exit status. */
int ctl_print_json(struct json *document);

/* Checks the name and opens the pod's directory. Return: 0, -ENOENT (no such pod), -errno. */
int ctl_open_pod(const struct ctl *ctl, const char *path, int *ret_fd, struct err *err);

/* The outcome of a verb, pod by pod: the path is printed as soon as a pod is done, its error on
 * standard error; or everything at the end as one JSON array. */
struct ctl_report {
	struct json *array; /* NULL: plain lines */
	int status;
};

/* Understands "table" and "json" (or NULL). Return: 0, or -EINVAL. */
int ctl_format_is_json(const char *format, bool *ret);
void ctl_report_begin(struct ctl_report *report, bool json);
/* @failure is the exit status that a failed result stands for. */
void ctl_report_add(struct ctl_report *report, const char *path, int result, const struct err *err,
	int failure);
/* Return: the exit status. */
int ctl_report_end(struct ctl_report *report);
