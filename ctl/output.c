/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output, see output.h. A pipe or terminal is opened anew through /proc, non-blocking, so that the
 * caller's own descriptor keeps its mode. Where that is not allowed (a terminal of another user,
 * after su), little is written at a time, and only when poll(2) says that there is room.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#include "output.h"

static int reopen(int fd)
{
	char path[sizeof("/proc/self/fd/") + 11];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void output_init(struct output *output, int fd)
{
	struct stat status = {};
	bool waits;

	*output = (struct output){.fd = fd, .own = -1};
	if (fstat(fd, &status) < 0)
		return;
	output->is_socket = S_ISSOCK(status.st_mode);
	waits = S_ISFIFO(status.st_mode) || isatty(fd);
	if (waits)
		output->own = reopen(fd);
	output->must_poll = waits && output->own < 0;
}

void output_done(struct output *output)
{
	cleanup_close(&output->own);
	output->own = -1;
}

static ssize_t write_some(const struct output *output)
{
	if (output->own >= 0)
		return write(output->own, output->data, output->length);
	if (output->is_socket)
		return send(output->fd, output->data, output->length,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	if (output->must_poll && output->length > PIPE_BUF)
		return write(output->fd, output->data, PIPE_BUF);
	return write(output->fd, output->data, output->length);
}

void output_flush(struct output *output)
{
	ssize_t n;

	while (output->length > 0) {
		n = write_some(output);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			output->error = errno;
			output->length = 0;
			return;
		}
		output->data += n;
		output->length -= (size_t)n;
		if (output->must_poll)
			return;
	}
}

void output_put(struct output *output, const void *data, size_t length)
{
	if (output->error)
		return;
	output->data = data;
	output->length = length;
	if (!output->must_poll)
		output_flush(output);
}

int output_wait_fd(const struct output *output)
{
	if (output->length == 0)
		return -1;
	return output->own >= 0 ? output->own : output->fd;
}
