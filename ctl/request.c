/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks a container's podd-shim, see request.h. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "shim.h"

#include "request.h"

#define ANSWER_TIMEOUT_MS 10000

/* Return: 1 when there is something to read, -ETIMEDOUT, -errno. */
static int await(int socket, int64_t deadline)
{
	struct pollfd pollfd = {.fd = socket, .events = POLLIN};
	int r;

	do {
		r = poll(&pollfd, 1, (int)deadline_left_ms(deadline, ANSWER_TIMEOUT_MS));
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? -errno : 1;
}

static int receive_answer(int socket, const char *path, struct err *err)
{
	autofree struct shim_message *message = malloc(sizeof(*message));
	int64_t deadline = deadline_now_ms() + ANSWER_TIMEOUT_MS;
	int r = message ? 1 : -ENOMEM;

	while (r > 0) {
		r = await(socket, deadline);
		if (r > 0)
			r = shim_receive(socket, message, NULL);
		if (r > 0 && message->header.type == SHIM_DONE)
			return 0;
		if (r > 0 && message->header.type == SHIM_ERROR)
			return err_set(err, -EREMOTEIO, "container %s: %s", path,
				(const char *)message->data);
	}
	if (r == 0)
		return err_set(err, -ESRCH, "container %s has just ended", path);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "the shim of container %s does not answer", path);
	return err_set(err, r, "container %s: %s", path, strerror(-r));
}

int request_connect(const struct target *target, int *ret_socket, struct err *err)
{
	int r = shim_connect(target->childfd, ret_socket, err);

	if (r == -ESRCH)
		return err_set(err, r, "container %s is not running", target->path);
	return r < 0 ? err_wrap(err, r, "container %s", target->path) : 0;
}

int request_send(int socket, const char *path, uint32_t type, uint32_t a, uint32_t b, int fd,
	struct err *err)
{
	int r = shim_send(socket, type, a, b, NULL, 0, fd);

	if (r != -EPIPE)
		return r < 0 ? err_set(err, r, "container %s: its shim cannot be reached: %s", path,
				       strerror(-r))
			     : 0;
	/* Nothing has been asked yet that SHIM_DONE could answer. */
	r = receive_answer(socket, path, err);
	return r < 0 ? r
		     : err_set(err, -EPROTO, "container %s: its shim answers what was not asked",
			       path);
}

int request_shim(const struct target *target, uint32_t type, uint32_t a, uint32_t b,
	struct err *err)
{
	autoclose int socket = -1;
	int r;

	r = request_connect(target, &socket, err);
	if (r == 0)
		r = request_send(socket, target->path, type, a, b, -1, err);
	return r < 0 ? r : receive_answer(socket, target->path, err);
}
