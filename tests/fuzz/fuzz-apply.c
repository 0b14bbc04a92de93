/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions of pods as podctl apply reads them. One that is accepted has names that can be made,
 * and each of its options as an argument, in what the table points to as well; one that is not has
 * a reason.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apply-file.h"
#include "text.h"

#define LABEL APPLY_LABEL "=" APPLY_LABEL_VALUE

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Instead of verb-create.c: an option of each kind. */
struct create_options {
	const char *net;
	uint32_t mtu;
	bool host_loopback;
	char **labels;
	char **publish;
};

int create_options_new(struct create_options **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void create_options_free(struct create_options *options)
{
	if (!options)
		return;
	strv_free(options->labels);
	strv_free(options->publish);
	free(options);
}

void create_options_table(struct create_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "net", .argument = "NET", .text = &options->net},
		{.name = "mtu",
			.argument = "N",
			.number = &options->mtu,
			.min = 1280,
			.max = 65520},
		{.name = "host-loopback", .flag = &options->host_loopback},
		{.name = "label", .argument = "KEY=VALUE", .list = &options->labels},
		{.name = "publish", .argument = "SPEC", .list = &options->publish},
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		table[(*n)++] = entries[i];
}

static void check_arguments(char *const *arguments)
{
	size_t n = 0;

	for (; arguments && arguments[n]; n++)
		assert(text_starts_with(arguments[n], "--") && strchr(arguments[n], '='));
	assert(n > 0 && strcmp(arguments[n - 1], "--label=" LABEL) == 0);
}

static void check_pod(const struct apply_pod *pod)
{
	assert(strcmp(pod->path, "net0/in") == 0 && pod->n <= APPLY_CONTAINERS_MAX);
	check_arguments(pod->arguments);
	assert(strv_contains(pod->options->labels, LABEL));
	assert(pod->options->mtu == 0 || pod->options->mtu >= 1280);
	assert(!pod->options->net || strlen(pod->options->net) < JSON_BYTES_MAX);
	for (size_t i = 0; i < pod->n; i++) {
		assert(name_check_component(pod->containers[i].name, NULL) == 0);
		check_arguments(pod->containers[i].arguments);
		assert(container_options_request(pod->containers[i].options).makes_container);
		assert(!container_options_request(pod->containers[i].options).auto_remove);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoptr(apply_pod) pod = NULL;
	autostrv problems = NULL;
	int r = apply_file_parse("net0.in.json", (const char *)data, size, &pod, &problems);

	if (r == 0) {
		assert(pod && !problems);
		check_pod(pod);
	} else {
		assert(!pod && (r == -ENOMEM || (problems && problems[0])));
		assert(strv_length(problems) <= APPLY_PROBLEMS_MAX + 1);
	}
	return 0;
}
