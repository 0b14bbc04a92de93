/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What podd has to do with a service manager: see manager.h; sd_notify(3), sd_listen_fds(3).
 *
 * The fds that podd is started with are of three kinds. Those that an earlier podd had kept (their
 * names begin with MANAGER_KEPT) are looked through while the pod starts; what is not taken by then
 * is closed, and given up unless it is in use. A socket of a socket unit that is the pod's
 * control.sock is served. All others may be published ports, see port.c; who they are for is not
 * known, so that they stay.
 */

#include "manager.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "messages.h"
#include "pod.h"
#include "text.h"
#include "unit.h"

struct manager {
	const struct pod *pod;
	char *cgroup;
	char **names; /* of the fds from SD_LISTEN_FDS_START on */
	unsigned n;
	int control;	  /* number of the pod's control.sock in them; -1: none */
	bool has_journal; /* stderr goes there */
};

/* ---- its cgroup ---- */

/* One that podd may not write to is none for it: its unit delegates nothing. */
static void enter_cgroup(struct manager *manager)
{
	struct err err = {};

	if (unit_cgroup_of(getpid(), manager->pod->path, &manager->cgroup) < 0)
		return;
	if (unit_move_process(manager->cgroup, getpid(), &err) < 0) {
		fprintf(stderr, "podd: pod %s: %s (does the unit say Delegate=yes?)\n",
			manager->pod->path, err.msg);
		free(take_ptr(manager->cgroup));
		return;
	}
	cgroup_enable(manager->cgroup);
}

const char *manager_cgroup(const struct manager *manager)
{
	return manager ? manager->cgroup : NULL;
}

/* ---- fds that podd is started with ---- */

static int fd_of(unsigned i)
{
	return SD_LISTEN_FDS_START + (int)i;
}

static bool is_kept(const struct manager *manager, unsigned i)
{
	return text_starts_with(manager->names[i], MANAGER_KEPT);
}

/* Bound by the path of this pod's directory, however that is written. */
static bool is_control(const struct manager *manager, int fd)
{
	struct sockaddr_un address = {};
	socklen_t size = sizeof(address) - 1;
	struct stat there, ours;

	return sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0 &&
	       getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
	       address.sun_path[0] == '/' && lstat(address.sun_path, &there) == 0 &&
	       fstatat(manager->pod->podfd, "control.sock", &ours, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISSOCK(ours.st_mode) && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

static int read_fds(struct manager *manager)
{
	int n = sd_listen_fds_with_names(0, &manager->names);

	if (n < 0)
		return n == -ENOMEM ? n : 0;
	manager->n = manager->names ? (unsigned)n : 0;
	for (unsigned i = 0; i < manager->n && manager->control < 0; i++)
		if (!is_kept(manager, i) && is_control(manager, fd_of(i)))
			manager->control = fd_of(i);
	return 0;
}

int manager_take_control(struct manager *manager)
{
	return manager->control < 0 ? -1 : fcntl(manager->control, F_DUPFD_CLOEXEC, 0);
}

bool manager_owns_control(const struct manager *manager)
{
	return manager && manager->control >= 0;
}

unsigned manager_take(struct manager *manager, const char *name,
	bool (*is_it)(int fd, const void *opaque), const void *opaque, int *fds, unsigned max)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < manager->n && taken < max; i++) {
		if (!text_equal(manager->names[i], name) || !is_it(fd_of(i), opaque))
			continue;
		fds[taken] = fcntl(fd_of(i), F_DUPFD_CLOEXEC, 0);
		taken += fds[taken] >= 0;
	}
	return taken;
}

/* The number stays taken: port.c looks at all that sd_listen_fds() counts. */
static void close_kept(int fd)
{
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup3(null, fd, O_CLOEXEC);
}

void manager_settle(struct manager *manager,
	bool (*is_wanted)(const char *name, const void *opaque), const void *opaque)
{
	for (unsigned i = 0; i < manager->n; i++) {
		if (!is_kept(manager, i))
			continue;
		close_kept(fd_of(i));
		if (!is_wanted(manager->names[i], opaque))
			manager_drop(manager, manager->names[i]);
	}
}

/* ---- fds for the next podd ---- */

void manager_keep(struct manager *manager, const char *name, int fd)
{
	autofree char *state = text_format("FDSTORE=1\nFDNAME=%s", name);

	assert(text_starts_with(name, MANAGER_KEPT));
	if (manager && state)
		(void)sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

void manager_drop(struct manager *manager, const char *name)
{
	if (manager)
		(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/* ---- its state ---- */

void manager_ready(struct pod *pod)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=Pod %s runs", pod->path);
	manager_tell(pod, "started", NULL, NULL);
}

void manager_stopping(struct pod *pod)
{
	(void)sd_notifyf(0, "STOPPING=1\nSTATUS=Pod %s is being stopped", pod->path);
}

void manager_waiting(struct pod *pod)
{
	(void)sd_notifyf(0, "STATUS=Pod %s failed, and will be started again", pod->path);
}

void manager_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

/* ---- the journal ---- */

/* systemd.exec(5): the device and inode of the stream to the journal. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	autofree char *own = NULL;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	own = text_format("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return text_equal(own, stream);
}

#define FIELDS_MAX 7

struct message {
	char *fields[FIELDS_MAX];
	int n;
};

static void message_done(struct message *message)
{
	for (int i = 0; i < message->n; i++)
		free(message->fields[i]);
}

static void add_field(struct message *message, char *field)
{
	assert(message->n < FIELDS_MAX);
	if (field)
		message->fields[message->n++] = field;
}

/* Its exit status, health or the like. */
static void add_attribute(struct message *message, const struct json *attributes)
{
	static const char *const keys[] = {"exitCode", "status", "health"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct json *value = json_get(attributes, keys[i]);
		autofree char *text = NULL;

		if (!value)
			continue;
		if (!json_string(value) && json_write(value, false, &text, NULL) < 0)
			return;
		add_field(message, text_format("STATUS=%s", text ? text : json_string(value)));
		return;
	}
}

void manager_tell(
	const struct pod *pod, const char *event, const char *child, const struct json *attributes)
{
	cleanup(message_done) struct message message = {};
	struct iovec iov[FIELDS_MAX];
	size_t i = 0;

	while (i < sizeof(messages) / sizeof(messages[0]) && !text_equal(messages[i].event, event))
		i++;
	if (!pod->manager || !pod->manager->has_journal ||
		i == sizeof(messages) / sizeof(messages[0]))
		return;
	add_field(&message, text_format("MESSAGE=pod %s: %s%s%s", pod->path, child ? child : "",
				    child ? " " : "", event));
	add_field(&message, text_format("MESSAGE_ID=%s", messages[i].id));
	add_field(&message, text_format("PRIORITY=%d", messages[i].priority));
	add_field(&message, text_format("EVENT=%s", event));
	add_field(&message, text_format("POD=%s", pod->path));
	if (child)
		add_field(&message, text_format("CONTAINER=%s", child));
	add_attribute(&message, attributes);
	for (int n = 0; n < message.n; n++)
		iov[n] = (struct iovec){message.fields[n], strlen(message.fields[n])};
	(void)sd_journal_sendv(iov, message.n);
}

/* ---- */

int manager_new(struct pod *pod, struct manager **ret, struct err *err)
{
	struct manager *manager = calloc(1, sizeof(*manager));

	if (!manager)
		return err_oom(err);
	manager->pod = pod;
	manager->control = -1;
	manager->has_journal = stderr_is_journal();
	enter_cgroup(manager);
	if (read_fds(manager) < 0) {
		manager_free(manager);
		return err_oom(err);
	}
	*ret = manager;
	return 0;
}

void manager_free(struct manager *manager)
{
	if (!manager)
		return;
	strv_free(manager->names);
	free(manager->cgroup);
	free(manager);
}
