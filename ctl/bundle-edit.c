/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changing a bundle: see bundle-edit.h. */

#include "bundle-edit.h"

#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "file.h"

#define CONFIG "config.json"

int bundle_edit_linux(int childfd, void (*edit)(struct json *section, const void *opaque),
	const void *opaque, struct err *err)
{
	autoptr(json) config = NULL;
	struct json *section;
	autofree char *text = NULL;
	autofree char *written = NULL;
	autoclose int bundle = -1;
	size_t length;
	int r;

	r = file_open_dir(childfd, CONTAINER_BUNDLE, &bundle, err);
	if (r == 0)
		r = file_read(bundle, CONFIG, JSON_BYTES_MAX, &text, &length, err);
	if (r == 0)
		r = json_parse(CONFIG, text, length, &config, err);
	if (r < 0)
		return r;
	section = json_get(config, "linux");
	if (json_type(section) != JSON_OBJECT)
		section = json_set_object(config, "linux");
	edit(section, opaque);
	r = json_write(config, false, &written, &length);
	if (r < 0)
		return err_set(err, r, "%s: %s", CONFIG, strerror(-r));
	return file_write(bundle, CONFIG, written, length, 0600, err);
}
