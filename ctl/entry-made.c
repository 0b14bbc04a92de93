/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of containers that podctl made, see entry.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "container.h"
#include "text.h"

#include "entry.h"

static int fill_networks(struct entry *entry, const struct container_spec *spec)
{
	int r = 0;

	if (spec->net != CONTAINER_NET_CNI)
		return strv_add(&entry->networks, container_net_name(spec->net));
	/* "blue:ifname=lan0" */
	for (size_t i = 0; r == 0 && spec->networks && spec->networks[i]; i++) {
		const char *text = spec->networks[i];
		autofree char *name = strndup(text, strcspn(text, ":"));

		r = name ? strv_add(&entry->networks, name) : -ENOMEM;
	}
	return r;
}

static int fill_spec(struct entry *entry, const struct container_spec *spec)
{
	memcpy(entry->created, spec->created, sizeof(entry->created));
	entry->labels = json_copy(spec->labels);
	entry->command = strv_copy(spec->command);
	return entry->labels && entry->command ? fill_networks(entry, spec) : -ENOMEM;
}

/* What plugins gave it: that of a container which does not run is history. */
static int fill_addresses(struct entry *entry, int childfd)
{
	struct attachment attachment;
	int r = 0;

	if (!entry->pid || attachment_load(childfd, &attachment, NULL) < 0)
		return 0;
	for (size_t i = 0; i < attachment.n_networks; i++) {
		char *const *addresses = attachment.networks[i].addresses;

		for (size_t j = 0; r == 0 && addresses && addresses[j]; j++)
			r = strv_add(&entry->addresses, addresses[j]);
	}
	attachment_done(&attachment);
	return r;
}

static int fill_exit(struct entry *entry, int childfd)
{
	struct container_exit end;

	entry->exit_code = ENTRY_UNKNOWN_EXIT;
	if (container_exit_load(childfd, &end, NULL) < 0)
		return 0;
	if (end.known)
		entry->exit_code = end.status;
	entry->problem = take_ptr(end.error);
	container_exit_done(&end);
	return 0;
}

/* The end that is recorded is an earlier run's, unless the record says that it has ended. */
static int fill_state(struct entry *entry, const struct container_state *state, int childfd)
{
	enum container_phase phase = container_phase_now(state);

	entry->status = container_phase_name(phase);
	entry->is_running = phase != CONTAINER_CREATED && phase != CONTAINER_EXITED;
	if (entry->is_running)
		entry->health = container_healthiness_name(state->health);
	if (entry->is_running && proc_alive(&state->init))
		entry->pid = state->init.pid;
	if (phase == CONTAINER_RUNNING && state->cgroup && cgroup_is_frozen(state->cgroup))
		entry->status = "paused";
	if (phase != CONTAINER_EXITED)
		return 0;
	if (state->phase == CONTAINER_EXITED)
		return fill_exit(entry, childfd);
	entry->exit_code = ENTRY_UNKNOWN_EXIT;
	return 0;
}

static int set_problem(struct entry *entry, const struct err *err)
{
	entry->status = "invalid";
	entry->problem = strdup(err->msg);
	return entry->problem ? 0 : -ENOMEM;
}

int entry_fill_made(struct entry *entry, int childfd)
{
	struct container_spec spec;
	struct container_state state;
	struct err err = {};
	int r;

	entry->is_made = true;
	entry->exit_code = ENTRY_NO_EXIT;
	entry->health = container_healthiness_name(HEALTH_NONE);
	if (container_spec_load(childfd, &spec, &err) < 0)
		return set_problem(entry, &err);
	r = fill_spec(entry, &spec);
	container_spec_done(&spec);
	if (r < 0)
		return r;
	if (container_state_load(childfd, &state, &err) < 0)
		return set_problem(entry, &err);
	r = fill_state(entry, &state, childfd);
	container_state_done(&state);
	return r < 0 ? r : fill_addresses(entry, childfd);
}

const char *entry_status(const struct entry *entry, char text[ENTRY_STATUS_SIZE])
{
	if (entry->podd[0] && strcmp(entry->podd, PACKAGE_VERSION) != 0)
		snprintf(text, ENTRY_STATUS_SIZE, "%s (podd %s)", entry->status, entry->podd);
	else if (!entry->is_made)
		snprintf(text, ENTRY_STATUS_SIZE, "%s", entry->status);
	else if (entry->exit_code >= 0)
		snprintf(text, ENTRY_STATUS_SIZE, "%s (%d)", entry->status, entry->exit_code);
	else if (entry->exit_code == ENTRY_UNKNOWN_EXIT)
		snprintf(text, ENTRY_STATUS_SIZE, "%s (unknown)", entry->status);
	else if (strcmp(entry->health, "none") != 0)
		snprintf(text, ENTRY_STATUS_SIZE, "%s (%s)", entry->status, entry->health);
	else
		snprintf(text, ENTRY_STATUS_SIZE, "%s", entry->status);
	return text;
}
