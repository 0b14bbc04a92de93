/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Reading and writing what several records have: shared by the modules of the records only. A
 * reader leaves its target as it was when the member is absent, and fails
 * with -EINVAL and the member's name when it is wrong.
 */

#include "record.h"

/* Loads a record and checks its version. */
int record_load(int dirfd, const char *name, struct json **ret, struct err *err);
/* Saves a record durably; takes @document over, in every case. */
int record_save(int dirfd, const char *name, struct json *document, struct err *err);
/* A document with "version". */
struct json *record_new(void);
/* True for a record of the boot that the kernel is in. What an earlier one named by pid is gone,
 * whoever has the pids now: loading leaves such processes and namespaces out. */
bool record_is_of_this_boot(const char *boot_id);

int record_read_text(const struct json *object, const char *key, bool required, char *target,
	size_t size, struct err *err);
/* A required text that @check (name_check_path() and the like) must take. */
int record_read_name(const struct json *object, const char *key,
	int (*check)(const char *name, struct err *err), char *target, size_t size,
	struct err *err);
int record_read_string(const struct json *object, const char *key, bool required, char **target,
	struct err *err);
int record_read_strv(const struct json *object, const char *key, bool required, size_t max,
	char ***target, struct err *err);
/* A required text that is one of @names (@n of them): *ret is its place among them. */
int record_read_enum(const struct json *object, const char *key, const char *const *names, size_t n,
	unsigned *ret, struct err *err);
/* The same for a name that a person gave. Return: its place, or -EINVAL. */
int record_find_name(const char *const *names, size_t n, const char *name);
/* A required object of strings with at most RECORD_LABELS_MAX members; @what names one of them in
 * messages. *target is replaced by a copy. */
int record_read_labels(const struct json *object, const char *key, const char *what,
	struct json **target, struct err *err);
void record_set_proc(struct json *object, const char *key, const struct proc_id *id);
int record_read_proc(const struct json *object, const char *key, bool required,
	struct proc_id *ret, struct err *err);
void record_set_ns(struct json *object, const char *key, const struct ns_id *id);
int record_read_ns(const struct json *object, const char *key, bool required, struct ns_id *ret,
	struct err *err);
int record_read_idmap(const struct json *object, const char *key, struct idmap *ret,
	struct err *err);
