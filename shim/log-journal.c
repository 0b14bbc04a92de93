/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sends to the journal: see log-journal.h; systemd.journal-fields(7). */

#include "log-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MESSAGE_PREFIX "MESSAGE="
/* POD, CONTAINER, CONTAINER_ID, CONTAINER_ID_FULL (as podman has it), SYSLOG_IDENTIFIER. */
#define CONSTANT_FIELDS 5

struct log_journal {
	char *fields[CONSTANT_FIELDS];
	bool has_failed;
	char message[sizeof(MESSAGE_PREFIX) + LOG_TEXT_MAX];
};

void log_journal_free(struct log_journal *journal)
{
	if (!journal)
		return;
	for (size_t i = 0; i < CONSTANT_FIELDS; i++)
		free(journal->fields[i]);
	free(journal);
}

int log_journal_new(const struct container_spec *spec, struct log_journal **ret, struct err *err)
{
	struct log_journal *journal;

	if (access(JOURNAL_SOCKET, W_OK) < 0)
		return err_errno(err, "the log driver journald needs %s", JOURNAL_SOCKET);
	journal = calloc(1, sizeof(*journal));
	if (!journal)
		return err_oom(err);
	journal->fields[0] = text_format("POD=%s", spec->pod);
	journal->fields[1] = text_format("CONTAINER=%s", spec->name);
	journal->fields[2] = text_format("CONTAINER_ID=%s", spec->id);
	journal->fields[3] = text_format("SYSLOG_IDENTIFIER=%s", spec->id);
	journal->fields[4] = text_format("CONTAINER_ID_FULL=%s", spec->id);
	memcpy(journal->message, MESSAGE_PREFIX, sizeof(MESSAGE_PREFIX));
	for (size_t i = 0; i < CONSTANT_FIELDS; i++) {
		if (!journal->fields[i]) {
			log_journal_free(journal);
			return err_oom(err);
		}
	}
	*ret = journal;
	return 0;
}

static struct iovec text_iov(const char *text)
{
	return (struct iovec){.iov_base = (char *)text, .iov_len = strlen(text)};
}

void log_journal_send(struct log_journal *journal, const struct log_entry *entry)
{
	struct iovec iov[CONSTANT_FIELDS + 3];
	int n = 0, r;

	memcpy(journal->message + strlen(MESSAGE_PREFIX), entry->text, entry->length);
	iov[n++] = (struct iovec){.iov_base = journal->message,
		.iov_len = strlen(MESSAGE_PREFIX) + entry->length};
	iov[n++] = text_iov(entry->is_stderr ? "PRIORITY=3" : "PRIORITY=6");
	for (size_t i = 0; i < CONSTANT_FIELDS; i++)
		iov[n++] = text_iov(journal->fields[i]);
	if (entry->is_partial)
		iov[n++] = text_iov("CONTAINER_PARTIAL_MESSAGE=true");
	r = sd_journal_sendv(iov, n);
	if (r < 0 && !journal->has_failed) {
		journal->has_failed = true;
		fprintf(stderr, "podd-shim: the journal does not take the output: %s\n", strerror(-r));
	}
}
