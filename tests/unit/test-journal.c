/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What journalctl is asked for: entries of the container that the pod's own shim has sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record-fixture.h"

static char program[64];
#undef PODD_JOURNALCTL
#define PODD_JOURNALCTL program

#include "journal.c"

int log_sink_put(struct log_sink *sink, const struct log_entry *entry)
{
	return 0;
}

static void put_program(const struct scratch *scratch)
{
	autofree char *text = text_format("#!/bin/sh\necho \"$*\" >%s/arguments\n", scratch->path);

	assert_non_null(text);
	snprintf(program, sizeof(program), "%s/journalctl", scratch->path);
	assert_int_equal(
		file_overwrite(scratch->fd, "journalctl", text, strlen(text), 0700, NULL), 0);
}

static void assert_arguments(const struct scratch *scratch, const char *end)
{
	cleanup(container_spec_done) struct container_spec spec = {0};
	autoptr(journal) journal = NULL;
	autofree char *text = NULL;
	struct err err = {0};
	size_t length;

	box_example(&spec);
	if (journal_new(scratch->fd, &spec, UINT64_MAX, false, &journal, &err) < 0 ||
		journal_copy(journal, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(file_read(scratch->fd, "arguments", 4096, &text, &length, NULL), 0);
	if (!text_ends_with(text, end))
		fail_msg("no \"%s\" at the end of %s", end, text);
}

static void test_users(void **state)
{
	cleanup(pod_state_done) struct pod_state pod = {0};
	cleanup(scratch_done) struct scratch scratch;
	autofree char *owner = NULL, *both = NULL;
	unsigned uid = geteuid();

	scratch_init(&scratch);
	put_program(&scratch);
	owner = text_format(" CONTAINER_ID=net0.web.nginx _UID=%u\n", uid);
	both = text_format(" CONTAINER_ID=net0.web.nginx _UID=%u _UID=%u\n", uid, uid + 1);
	assert_arguments(&scratch, owner);
	/* The pod's root is the owner, or with other maps somebody else. */
	state_example(&pod);
	pod.uids.n = 0;
	assert_int_equal(idmap_add(&pod.uids, 0, uid, 1, NULL), 0);
	assert_int_equal(pod_state_save(scratch.fd, &pod, NULL), 0);
	assert_arguments(&scratch, owner);
	pod.uids.n = 0;
	assert_int_equal(idmap_add(&pod.uids, 0, uid + 1, 1, NULL), 0);
	assert_int_equal(pod_state_save(scratch.fd, &pod, NULL), 0);
	assert_arguments(&scratch, both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
