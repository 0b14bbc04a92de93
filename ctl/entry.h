/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One pod or container as podctl ps and podctl inspect show it. Made from the records and /proc
 * alone: no socket, no lock, so that it never waits for anybody.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"
#include "record.h"

struct entry {
	char path[NAME_PATH_SIZE];
	bool is_pod;
	const char *status;          /* static text: see entry_pod() and entry_container() */
	char created[RECORD_TIME_SIZE];
	char **addresses;            /* NULL: none */
	char **networks;             /* names; of a pod the kind of its network */
	char podd[RECORD_VERSION_SIZE]; /* version of a running pod's supervisor; "": not known */
	pid_t pid;                   /* of what runs; 0: nothing */
	struct json *labels;         /* of a pod, or of a container that podctl made; NULL: none */
	char *problem;               /* why its records cannot be used, or what failed; or NULL */
	bool is_made;                /* a container that podctl made: then these, too */
	bool is_running;             /* not created, not exited */
	char **command;              /* NULL: none */
	const char *health;          /* static text; "none": there is no check */
	int exit_code;               /* ENTRY_NO_EXIT: it has not ended, ENTRY_UNKNOWN_EXIT */
};

#define ENTRY_NO_EXIT (-1)
#define ENTRY_UNKNOWN_EXIT (-2)

void entry_done(struct entry *entry);

/* A pod: created, starting, running, stopping, stopped, failed, or invalid when a record cannot
 * be read, with the reason in problem. Return: 0, -ENOMEM. */
int entry_pod(int podfd, const char *path, struct entry *ret);

/* A pod whose directory cannot be opened: invalid, with the reason. Return: 0, -ENOMEM. */
int entry_pod_unreadable(const char *path, const struct err *why, struct entry *ret);

/* A container. One that a hook attached: adding, attached, detaching, exited (ended, not yet
 * detached), failed (only an error was left), or invalid; one that podctl made: created, starting,
 * running, paused, restarting, stopping, exited, or invalid. Return: 0, -ENOENT (no such child),
 * -errno. */
int entry_container(int podfd, const char *pod, const char *name, struct entry *ret,
	struct err *err);

/* Fills in a container that podctl made. Return: 0, -ENOMEM. */
int entry_fill_made(struct entry *entry, int childfd);

#define ENTRY_STATUS_SIZE 64
/* The status for people: "running (healthy)", "exited (3)". Return: @text. */
const char *entry_status(const struct entry *entry, char text[ENTRY_STATUS_SIZE]);

/* The object that schemas/podctl-ps.schema.json describes. */
struct json *entry_to_json(const struct entry *entry);

/* Loads error.json of a child. Return: 0, -ENOENT, -errno. */
int entry_load_error(int childfd, struct json **ret, struct err *err);
