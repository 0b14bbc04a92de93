/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records of the hierarchy: whatever is accepted survives being written and read again. They
 * are read from a directory: one file in it, on a tmpfs, has the names of all of them.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "fd.h"
#include "pod-network.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RECORD_STATE is RECORD_CONTAINER_STATE as well. */
static const char *const names[] = {RECORD_POD, RECORD_STATE, RECORD_ATTACHMENT, RECORD_NETWORK,
	RECORD_CONTAINER, RECORD_CONTAINER_EXIT};
static char directory[] = "/dev/shm/podd-fuzz-XXXXXX";
static int directory_fd = -1, file_fd = -1;

static void remove_directory(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(directory_fd, names[i], 0);
	rmdir(directory);
}

static void make_directory(void)
{
	if (!mkdtemp(directory))
		abort();
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file_fd = openat(directory_fd, names[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file_fd < 0)
		abort();
	atexit(remove_directory);
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
		if (linkat(directory_fd, names[0], directory_fd, names[i], 0) < 0)
			abort();
}

static void put(const void *data, size_t size)
{
	if (ftruncate(file_fd, 0) < 0 || lseek(file_fd, 0, SEEK_SET) != 0 ||
		fd_write_all(file_fd, data, size) < 0)
		abort();
}

/* Each loads one record and returns it as it is written, or NULL. */
static struct json *load_spec(int *ret, struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {0};

	*ret = pod_spec_load(directory_fd, &spec, err);
	return *ret == 0 ? pod_spec_to_json(&spec) : NULL;
}

static struct json *load_state(int *ret, struct err *err)
{
	cleanup(pod_state_done) struct pod_state state = {0};

	*ret = pod_state_load(directory_fd, &state, err);
	if (*ret < 0)
		return NULL;
	pod_state_phase_now(&state);
	return pod_state_to_json(&state);
}

static struct json *load_attachment(int *ret, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {0};

	*ret = attachment_load(directory_fd, &attachment, err);
	return *ret == 0 ? attachment_to_json(&attachment) : NULL;
}

static struct json *load_network(int *ret, struct err *err)
{
	cleanup(pod_network_done) struct pod_network network = {0};

	*ret = pod_network_load(directory_fd, &network, err);
	return *ret == 0 ? pod_network_to_json(&network) : NULL;
}

static struct json *load_container(int *ret, struct err *err)
{
	cleanup(container_spec_done) struct container_spec spec = {0};

	*ret = container_spec_load(directory_fd, &spec, err);
	return *ret == 0 ? container_spec_to_json(&spec) : NULL;
}

static struct json *load_container_state(int *ret, struct err *err)
{
	cleanup(container_state_done) struct container_state state = {0};

	*ret = container_state_load(directory_fd, &state, err);
	if (*ret < 0)
		return NULL;
	container_phase_now(&state);
	return container_state_to_json(&state);
}

static struct json *load_container_exit(int *ret, struct err *err)
{
	cleanup(container_exit_done) struct container_exit end = {0};

	*ret = container_exit_load(directory_fd, &end, err);
	if (*ret < 0)
		return NULL;
	container_exit_status(&end);
	return container_exit_to_json(&end);
}

static void check(struct json *(*load)(int *ret, struct err *err), const uint8_t *data, size_t size)
{
	autoptr(json) first = NULL;
	autoptr(json) second = NULL;
	autofree char *text = NULL;
	struct err err = {0};
	size_t length;
	int r;

	put(data, size);
	first = load(&r, &err);
	if (r < 0) {
		/* Somebody has to read why. */
		if (err.msg[0] == '\0')
			abort();
		return;
	}
	if (json_write(first, false, &text, &length) < 0)
		abort();
	put(text, length);
	second = load(&r, &err);
	if (r == -EFBIG)
		return; /* what was left out in the first one made it too large */
	if (r < 0 || !json_equal(first, second))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (directory_fd < 0)
		make_directory();
	check(load_spec, data, size);
	check(load_state, data, size);
	check(load_attachment, data, size);
	check(load_network, data, size);
	check(load_container, data, size);
	check(load_container_state, data, size);
	check(load_container_exit, data, size);
	return 0;
}
