/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl prune: removes the containers that do not run. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "quantity.h"
#include "text.h"

#include "each.h"
#include "make.h"
#include "options.h"
#include "verbs.h"

struct prune_options {
	bool force;
	char **labels;         /* KEY or KEY=VALUE; all must be there */
	bool has_until;
	struct timespec until; /* created before it */
};

static bool has_label(const struct json *labels, const char *wanted)
{
	const char *separator = strchrnul(wanted, '=');
	autofree char *key = strndup(wanted, (size_t)(separator - wanted));
	const struct json *value = key ? json_get(labels, key) : NULL;

	return value && (!*separator || text_equal(json_string(value), separator + 1));
}

static bool is_older(const char *created, const struct timespec *until)
{
	static const struct timespec never;
	struct timespec time;

	return quantity_parse_time(created, &never, &time) == 0 && time.tv_sec < until->tv_sec;
}

static bool is_wanted(const struct target *target, const struct prune_options *options)
{
	struct container_spec spec;
	bool wanted;

	if (each_is_running(target))
		return false;
	if (!options->labels && !options->has_until)
		return true;
	if (container_spec_load(target->childfd, &spec, NULL) < 0)
		return false;
	wanted = !options->has_until || is_older(spec.created, &options->until);
	for (size_t i = 0; options->labels && options->labels[i]; i++)
		wanted = wanted && has_label(spec.labels, options->labels[i]);
	container_spec_done(&spec);
	return wanted;
}

/* Return: the exit status. */
static int prune_one(const struct ctl *ctl, const char *path, const struct prune_options *options)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err err = {};
	int r;

	r = target_open(ctl, path, TARGET_CONTAINER, &target, &err);
	if (r == 0 && !is_wanted(&target, options))
		return CTL_OK;
	if (r == 0)
		r = make_remove(ctl, target.pod, target.name, &err);
	/* One that somebody else removed, or has just started. */
	if (r == -ENOENT || r == -EBUSY)
		return CTL_OK;
	if (r < 0)
		return ctl_fail(r, &err);
	printf("%s\n", path);
	return CTL_OK;
}

static bool is_confirmed(void)
{
	char answer[16];

	printf("This removes every container that does not run. Continue? [y/N] ");
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Return: -1, or the exit status. */
static int read_filters(char *const *filters, struct prune_options *options)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; filters && filters[i]; i++) {
		if (text_starts_with(filters[i], "label=")) {
			if (strv_add(&options->labels, filters[i] + strlen("label=")) < 0) {
				ctl_error("out of memory");
				return CTL_FAILED;
			}
		} else if (text_starts_with(filters[i], "until=") &&
			   quantity_parse_time(
				   filters[i] + strlen("until="), &now, &options->until) == 0) {
			options->has_until = true;
		} else {
			return ctl_usage_error(&verb_prune,
				"--filter must be label=KEY[=VALUE] or until=TIME, not \"%s\"",
				filters[i]);
		}
	}
	return -1;
}

static int prune(const struct ctl *ctl, const struct prune_options *options)
{
	autostrv paths = NULL;
	struct err err = {};
	int status = CTL_OK;
	int r;

	if (!options->force && !is_confirmed())
		return CTL_OK;
	r = target_all_containers(ctl, &paths, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	for (size_t i = 0; paths[i]; i++) {
		int one = prune_one(ctl, paths[i], options);

		status = one ? one : status;
	}
	return status;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct prune_options values = {};
	autostrv filters = NULL;
	const struct option options[] = {
		{.name = "force", .letter = 'f', .flag = &values.force, .help = "do not ask"},
		{.name = "filter", .argument = "KEY=VALUE", .list = &filters,
			.help = "label=KEY[=VALUE], until=TIME (created before)"},
		{}};
	size_t n;
	int status = options_parse(&verb_prune, options, argc, argv, &n);

	if (status < 0)
		status = read_filters(filters, &values);
	if (status < 0)
		status = prune(ctl, &values);
	strv_free(values.labels);
	return status;
}

const struct ctl_verb verb_prune = {
	.name = "prune",
	.operands = "",
	.summary = "Remove the containers that do not run",
	.details = "Pods stay, unless they were made for a container by podctl run.",
	.example = "podctl prune -f --filter until=24h",
	.run = run,
};
