/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What happened and was told to nobody: records compared with what was told. The ledger is what was
 * told last of the pod and of each child, for each type of event: what "record" it was of.
 */

#include <stdbool.h>

#include "err.h"
#include "json.h"
#include "record.h"

struct json *event_ledger_new(void);
/* Notes an event that was told. */
void event_ledger_note(struct json *ledger, const struct json *event);
/* Was it told before: the same thing, as something that was made up from a record? Asked once only
 * for each: what comes again after that is another one. */
bool event_ledger_has(struct json *ledger, const struct json *event);
/* The record of what was told last; NULL: nothing was, or nothing with a record. @child NULL: the
 * pod. */
const char *event_ledger_record(const struct json *ledger, const char *child, const char *type);

/* What a record of the child says about an event of that type that is told now; NULL: nothing.
 * Allocated. */
char *event_record(int podfd, const char *child, const char *type, const struct json *attributes);

/* The record of the end of a run that nobody saw, by when it was started. */
#define EVENT_UNSEEN "unseen "
#define EVENT_UNSEEN_SIZE (sizeof(EVENT_UNSEEN) + RECORD_TIME_SIZE)
/* Did the child's last run end so? Then that record is in @ret. */
bool event_was_unseen(int podfd, const char *child, char ret[EVENT_UNSEEN_SIZE]);

struct event_comparison {
	int podfd;
	const char *pod;
	const struct json *ledger;
	const char
		*horizon; /* what is older was told, and the log of that is gone; NULL: nothing */
	bool guess;	  /* also what has no time in a record: then it is now */
};
/* What is missing in the ledger, each with "late", as an array; the oldest first. Return: 0 or
 * -errno. */
int event_missed(const struct event_comparison *comparison, struct json **ret, struct err *err);

/* By their times; those of the same time stay as they are. Return: 0 or -ENOMEM. */
int event_sort(struct json **array);
