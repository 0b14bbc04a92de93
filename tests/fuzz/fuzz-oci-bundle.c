/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Editing a config.json: the result can be read again, and editing it again changes nothing. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply_again(const struct json *config, const struct oci_bundle *bundle)
{
	autoptr(json) again = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	if (json_write(config, true, &text, &length) < 0)
		abort();
	r = json_parse("config.json", text, length, &again, NULL);
	if (r == -EFBIG)
		return; /* what was added made it too large */
	if (r < 0 || !json_equal(config, again))
		abort();
	if (oci_bundle_apply(again, bundle, NULL) < 0 || !json_equal(config, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct idmap ids = {.n = 1, .extents = {{0, 1000, 1}}};
	static char network[] = "podd", publish[] = "8080:80";
	char *networks[] = {network, NULL}, *published[] = {publish, NULL};
	struct oci_bundle bundle = {
		.pod = "net0",
		.root = "/r",
		.pod_dir = "/r/net0",
		.hook = "/x/podd-hook",
		.uids = &ids,
		.gids = &ids,
	};
	autoptr(json) config = NULL;
	struct err err;

	/* The last byte chooses among the options, so that a seed stays a document. */
	if (size > 0 && data[size - 1] != '}') {
		bundle.share_net = data[size - 1] & 1;
		bundle.share_ipc = bundle.share_uts = data[size - 1] & 2;
		bundle.networks = data[size - 1] & 4 ? networks : NULL;
		bundle.publish = data[size - 1] & 8 ? published : NULL;
		bundle.hostname = data[size - 1] & 16 ? "web" : NULL;
		size--;
	}
	if (json_parse("config.json", (const char *)data, size, &config, &err) < 0)
		return 0;
	if (oci_bundle_apply(config, &bundle, &err) == 0)
		apply_again(config, &bundle);
	return 0;
}
