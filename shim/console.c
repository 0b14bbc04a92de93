/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The console socket: see console.h. */

#include "console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"

struct console {
	const struct place *place;
	sd_event_source *accept;
	sd_event_source *input; /* of the connection, until it has sent */
	int listener;
	int connection;
	char name[32];
	char path[80];
	void (*received)(void *userdata, int master);
	void *userdata;
};

/* The runtime connects, sends one message, and goes on; how long it takes for that is its affair. */
static int receive_master(int socket, int *ret)
{
	/* Some send the terminal's name along. */
	char name[512];
	size_t n_fds = 0;
	ssize_t n = fd_receive(socket, name, sizeof(name), ret, 1, &n_fds);

	if (n < 0)
		return (int)n;
	return n_fds == 1 ? 0 : -EBADMSG;
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct console *console = userdata;
	int master = -1;
	int r = receive_master(fd, &master);

	if (r == -EAGAIN)
		return 0;
	console->input = sd_event_source_disable_unref(console->input);
	if (r < 0)
		return 0;
	console->accept = sd_event_source_disable_unref(console->accept);
	console->received(console->userdata, master);
	return 0;
}

/* Only the runtime can connect; the last one counts. */
static int on_connect(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct console *console = userdata;
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (connection < 0)
		return 0;
	console->input = sd_event_source_disable_unref(console->input);
	cleanup_close(&console->connection);
	console->connection = connection;
	sd_event_add_io(sd_event_source_get_event(source), &console->input, connection, EPOLLIN,
		on_message, console);
	return 0;
}

void console_poll(struct console *console)
{
	if (console && console->accept)
		on_connect(console->accept, console->listener, EPOLLIN, console);
	if (console && console->input)
		on_message(console->input, console->connection, EPOLLIN, console);
}

int console_new(sd_event *event, const struct place *place,
	void (*received)(void *userdata, int master), void *userdata, struct console **ret,
	struct err *err)
{
	static unsigned serial;
	struct console *console = calloc(1, sizeof(*console));
	int r;

	if (!console)
		return err_oom(err);
	*console = (struct console){
		.place = place, .listener = -1, .connection = -1, .received = received,
		.userdata = userdata};
	snprintf(console->name, sizeof(console->name), "console-%u", serial++);
	/* Through the shim's own descriptor, so that its length is known. */
	snprintf(console->path, sizeof(console->path), "/proc/%d/fd/%d/%s", (int)place->self.pid,
		place->runfd, console->name);
	r = fd_listen_unix(place->runfd, console->name, SOCK_STREAM, &console->listener, err);
	if (r == 0) {
		r = sd_event_add_io(event, &console->accept, console->listener, EPOLLIN, on_connect,
			console);
		if (r < 0)
			err_set(err, r, "watching the console socket: %s", strerror(-r));
	}
	if (r < 0) {
		console_free(console);
		return r;
	}
	*ret = console;
	return 0;
}

void console_free(struct console *console)
{
	if (!console)
		return;
	sd_event_source_disable_unref(console->accept);
	sd_event_source_disable_unref(console->input);
	cleanup_close(&console->connection);
	if (console->listener >= 0)
		file_remove(console->place->runfd, console->name, NULL);
	cleanup_close(&console->listener);
	free(console);
}

const char *console_path(const struct console *console)
{
	return console->path;
}
