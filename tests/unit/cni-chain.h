/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the tests of whole chains share: configurations of fake plugins, ADD, and the requests
 * that the plugins got. Include after <cmocka.h>.
 */

#include "cni-cache.h"
#include "cni-fixture.h"

#define NET(version, plugins) \
	"{\"cniVersion\":\"" version "\",\"name\":\"net\",\"plugins\":[" plugins "]}"
#define PLUGIN(type, more) "{\"type\":\"" type "\",LOG" more "}"
#define ENTRY "cache/results/net-net0.web-eth0"

static inline void install_all(const struct fixture *fixture)
{
	fixture_install(fixture, "one");
	fixture_install(fixture, "two");
	fixture_install(fixture, "three");
}

static inline int add(struct fixture *fixture, const struct cni_config *config, struct err *err)
{
	struct cni_runtime runtime = fixture_runtime(fixture);
	struct json *result = NULL;
	char **addresses = NULL;
	int r = cni_add(config, &runtime, &result, &addresses, err);

	if (r < 0) {
		assert_null(result);
		assert_null(addresses);
	}
	json_free(result);
	strv_free(addresses);
	return r;
}

static inline void added(struct fixture *fixture, const struct cni_config *config)
{
	struct err err = {0};

	if (add(fixture, config, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void assert_message(const struct err *err, const char *part)
{
	if (!strstr(err->msg, part))
		fail_msg("\"%s\" has no \"%s\"", err->msg, part);
}

/* The last requests that the fake plugins got, one by one. */
struct requests {
	char *text;
	char *rest;
};

static inline void requests_done(struct requests *requests)
{
	free(requests->text);
}

static inline struct requests read_requests(const struct fixture *fixture)
{
	struct requests requests = {.text = fixture_read(fixture, "dump")};

	requests.rest = requests.text;
	file_remove(fixture->dirfd, "dump", NULL);
	return requests;
}

static inline struct json *next_request(struct requests *requests)
{
	const char *line = strsep(&requests->rest, "\n");
	struct json *request = NULL;

	assert_non_null(line);
	assert_int_equal(json_parse("request", line, strlen(line), &request, NULL), 0);
	return request;
}

static inline bool is_kept(const struct fixture *fixture)
{
	return faccessat(fixture->dirfd, ENTRY, F_OK, 0) == 0;
}
