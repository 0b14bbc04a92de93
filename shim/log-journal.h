/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A container's output as entries of the journal, with the fields POD, CONTAINER, CONTAINER_ID, and
 * CONTAINER_PARTIAL_MESSAGE where a line goes on. */

#include "container.h"
#include "err.h"
#include "log.h"

struct log_journal;

/* Return: 0, -ENOENT where there is no journal, -ENOMEM. */
int log_journal_new(const struct container_spec *spec, struct log_journal **ret, struct err *err);
void log_journal_free(struct log_journal *journal);
/* An entry that the journal does not take is lost; that is said once. */
void log_journal_send(struct log_journal *journal, const struct log_entry *entry);
