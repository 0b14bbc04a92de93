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
	pid_t pid;                   /* of what runs; 0: nothing */
	struct json *labels;         /* of a pod; NULL: none */
	char *problem;               /* why its records cannot be used, or what failed; or NULL */
};

void entry_done(struct entry *entry);

/* A pod: created, starting, running, stopping, stopped, failed, or invalid when a record cannot
 * be read, with the reason in problem. Return: 0, -ENOMEM. */
int entry_pod(int podfd, const char *path, struct entry *ret);

/* A pod whose directory cannot be opened: invalid, with the reason. Return: 0, -ENOMEM. */
int entry_pod_unreadable(const char *path, const struct err *why, struct entry *ret);

/* A container: adding, attached, detaching, exited (ended, not yet detached), failed (only an
 * error was left), or invalid. Return: 0, -ENOENT (no such child), -errno. */
int entry_container(int podfd, const char *pod, const char *name, struct entry *ret,
	struct err *err);

/* The object that schemas/podctl-ps.schema.json describes. */
struct json *entry_to_json(const struct entry *entry);

/* Loads error.json of a child. Return: 0, -ENOENT, -errno. */
int entry_load_error(int childfd, struct json **ret, struct err *err);
