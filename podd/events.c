/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Events: see events.h. */

#include "events.h"

#include "manager.h"
#include "pod.h"
#include "server.h"

struct json *events_new(const struct pod *pod, const char *type, const char *child)
{
	struct json *event = json_new_object();
	char now[RECORD_TIME_SIZE];

	record_time_now(now);
	json_set_string(event, "type", type);
	json_set_string(event, "time", now);
	json_set_string(event, "pod", pod->path);
	json_set_string(event, "child", child);
	return event;
}

void events_send(struct pod *pod, const char *type, const char *child)
{
	events_send_with(pod, type, child, NULL);
}

void events_send_with(struct pod *pod, const char *type, const char *child,
	const struct json *attributes)
{
	autoptr(json) event = NULL;

	manager_tell(pod, type, child, attributes);
	if (!pod->server)
		return;
	event = events_new(pod, type, child);
	if (json_length(attributes) > 0)
		json_set(event, "attributes", json_copy(attributes));
	server_broadcast(pod->server, event);
}
