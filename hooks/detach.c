/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Detaching a container: see detach.h. A runtime's poststop may come late, when the name belongs
 * to a successor already: what tells them apart is that the successor runs, and for podd the
 * generation.
 */

#include "detach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "file.h"
#include "hierarchy.h"
#include "hosts.h"
#include "inside.h"
#include "text.h"

/* Without an outer container nothing of the pod's network is left to delete from. */
static bool has_namespaces(const struct place *place)
{
	return place->phase == POD_RUNNING || place->phase == POD_STOPPING;
}

int detach_attachment(const struct place *place, const struct request *request,
	struct attachment *attachment, bool keep_place, struct err *err)
{
	const struct inside inside = {
		.is_host = place->is_host,
		.podfd = place->podfd,
		.spec = &place->spec,
		.state = &place->state,
		.attachment = attachment,
		.netns = -1,
		.deadline = request->deadline,
	};
	int r = 0;

	attachment->phase = ATTACHMENT_DETACHING;
	/* For who looks at it; a full disk must not keep the container's lease. */
	attachment_save(place->childfd, attachment, NULL);
	if (attachment->share == ATTACHMENT_BRIDGED && has_namespaces(place))
		r = inside_del(&inside, err);
	if (r == 0 && keep_place)
		r = file_remove(place->childfd, RECORD_ATTACHMENT, err);
	else if (r == 0)
		r = drop_record(place, request, err);
	if (r < 0)
		return r;
	if (!place->is_host)
		hosts_update(place->podfd, NULL);
	tell_podd(place, "Detach", attachment, NULL);
	return 0;
}

static bool is_meant(const struct request *request, const struct attachment *attachment)
{
	if (request->generation)
		return text_equal(request->generation, attachment->generation);
	return text_equal(request->state.id, attachment->id) && !proc_alive(&attachment->init);
}

static int detach_at(const struct place *place, const struct request *request, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	int r;

	r = attachment_load(place->childfd, &attachment, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!is_meant(request, &attachment))
		return 0;
	return detach_attachment(place, request, &attachment, false, err);
}

int detach(const struct request *request, struct err *err)
{
	cleanup(place_done) struct place place;
	int r;

	place_init(&place);
	r = place_open(&place, request, false, err);
	/* No pod, or no such child, but perhaps a pod of its name: nothing is left. */
	if (r == -ENOENT || r == -EEXIST) {
		if (place.lock >= 0)
			hierarchy_drop_child_lock(place.podfd, request->child);
		return 0;
	}
	if (r == 0)
		r = detach_at(&place, request, err);
	if (r < 0) {
		/* Why it could not be attached is worth more, and so is the first try's reason. */
		if (!has_error(&place))
			keep_error(&place, request, err);
		return err_wrap(err, r, "detaching '%s/%s'", request->pod, request->child);
	}
	return 0;
}
