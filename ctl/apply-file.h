/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * pods.d/NAME.json: what a pod and its containers shall be, see schemas/pods.d.schema.json. Options
 * are those of podctl create and podctl run, by their long names and from their tables; a text for
 * one with a value, a boolean for a flag, an array for one that may be repeated, an object for one
 * of KEY=VALUE.
 *
 * NAME.json is the pod NAME; a dot in NAME stands for '/', as in OCI ids.
 */

#include <stdbool.h>

#include "create.h"
#include "make.h"
#include "name.h"

#define APPLY_FILES_MAX 1024
#define APPLY_CONTAINERS_MAX 256
#define APPLY_PROBLEMS_MAX 256
#define APPLY_FILE_SUFFIX ".json"
/* The label of what was made from a file: its value is APPLY_LABEL_VALUE. */
#define APPLY_LABEL "io.podd.applied"
#define APPLY_LABEL_VALUE "pods.d"

struct apply_container {
	char name[NAME_COMPONENT_MAX + 1];
	bool running;
	char **command;			   /* NULL: none */
	struct container_options *options; /* their texts are in @arguments */
	char **arguments;		   /* "--memory=64m" ... */
};

struct apply_pod {
	char *file; /* its name, for messages */
	char path[NAME_PATH_SIZE];
	bool running;
	struct create_options *options;
	char **arguments;
	size_t n;
	struct apply_container *containers;
};

void apply_pod_free(struct apply_pod *pod);
CLEANUP_DEFINE(apply_pod, apply_pod_free)

/* Reads a text. What is wrong with it is appended to *problems, "FILE: PATH: reason" each, all that
 * can be found. Return: 0; -EINVAL with problems; -ENOMEM. */
int apply_file_parse(const char *file, const char *text, size_t length, struct apply_pod **ret,
	char ***problems);

/* The pod that a file is of, from its name. Return: 0, -EINVAL. */
int apply_file_pod(const char *file, char ret[NAME_PATH_SIZE], struct err *err);
