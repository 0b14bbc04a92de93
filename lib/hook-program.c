/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Running podd-hook: see hook-program.h. */

#include "hook-program.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "spawn.h"

#define PROGRAM PODD_LIBEXECDIR "/podd-hook"
#define OUTPUT_MAX (64 * 1024)

int hook_program_run(const char *const *argv, unsigned timeout_ms, struct err *err)
{
	const struct spawn spawn = {
		.path = PROGRAM,
		.argv = (char *const *)argv,
		.program_fd = -1,
		.timeout_ms = timeout_ms,
		.output_max = OUTPUT_MAX,
		.stderr_max = OUTPUT_MAX,
	};
	cleanup(spawn_result_done) struct spawn_result result = {};
	char ending[128];
	int r;

	r = spawn_run(&spawn, &result, err);
	if (r < 0)
		return r;
	if (spawn_describe(result.status, ending, sizeof(ending)) == 0)
		return 0;
	/* What it has to say of a failure is one line, which names itself. */
	result.errors[strcspn(result.errors, "\n")] = '\0';
	return *result.errors ? err_set(err, -EREMOTEIO, "%s", result.errors)
			      : err_set(err, -EREMOTEIO, "podd-hook %s", ending);
}
