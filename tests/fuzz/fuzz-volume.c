/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Mounts as people say them: any text is refused, or gives one that a runtime may be handed. The
 * first byte chooses the grammar. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "text.h"
#include "volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(const char *target)
{
	assert(target && target[0] == '/' && target[1]);
	assert(target[strlen(target) - 1] != '/');
	assert(!strstr(target, "//"));
	assert(!strstr(target, "/../") && !text_ends_with(target, "/.."));
	assert(!strstr(target, "/./") && !text_ends_with(target, "/."));
	for (; *target; target++)
		assert((unsigned char)*target >= 0x20 && *target != 0x7f);
}

/* An option that came through as one could bring others along. */
static void check_options(char *const *options)
{
	assert(strv_length(options) > 0 && strv_length(options) <= 64);
	assert(strv_contains(options, "ro") != strv_contains(options, "rw"));
	assert(strv_contains(options, "dev") != strv_contains(options, "nodev"));
	assert(strv_contains(options, "suid") != strv_contains(options, "nosuid"));
	for (; *options; options++)
		assert(**options && !strchr(*options, ',') && !strchr(*options, ':'));
}

static void check(const struct volume *volume)
{
	check_target(volume->target);
	check_options(volume->options);
	if (volume->type == VOLUME_TMPFS) {
		assert(!volume->source && !volume->overlay);
		return;
	}
	assert(volume->source[0] == '/' || volume->source[0] == '.');
	assert(strv_contains(volume->options, "bind") != strv_contains(volume->options, "rbind"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const parsers[])(const char *, struct volume *, struct err *) = {
		volume_parse, volume_parse_mount, volume_parse_tmpfs};
	cleanup(volume_done) struct volume volume = {0};
	autofree char *text = NULL;
	struct err err = {0};

	if (size == 0)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	if (parsers[data[0] % 3](text, &volume, &err) == 0)
		check(&volume);
	else
		assert(err.msg[0] && !volume.target);
	return 0;
}
