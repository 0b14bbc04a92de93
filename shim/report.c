/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Telling podd: see report.h. */

#include "report.h"

#include <stdio.h>

#include "varlink.h"

#define SOCKET "control.sock"

void report_text(const struct place *place, const char *type, const char *key, const char *value)
{
	struct json *parameters = json_new_object();

	json_set_string(parameters, "child", place->name);
	json_set_string(parameters, "type", type);
	if (key)
		json_set_string(json_set_object(parameters, "attributes"), key, value);
	varlink_notify(place->podfd, SOCKET, VARLINK_INTERFACE ".Report", parameters);
}

void report(const struct place *place, const char *type, const char *key, int value)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", value);
	report_text(place, type, key, number);
}
