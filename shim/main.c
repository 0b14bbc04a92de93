/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd-shim: one for each container that podctl starts. It is executed as root of the pod's user
 * namespace, in the pod's mount namespace (see lib/shim.h), calls the OCI runtime, holds the
 * container's streams, keeps its log and its records, and ends with it. It outlives podd.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cleanup.h"
#include "clients.h"
#include "exec.h"
#include "fd.h"
#include "lifecycle.h"
#include "place.h"
#include "reap.h"
#include "reaper.h"
#include "requests.h"
#include "runtime.h"
#include "shim.h"
#include "text.h"
#include "trim.h"

#define EXIT_FAILED 125
#define EXIT_USAGE 2
/* Memory is given back when nothing has happened for as long. */
#define TRIM_US 300000

static const char help[] =
	"Usage: podd-shim --root DIR --pod PATH --name NAME --order N [--reap]\n"
	"\n"
	"Runs one container of a pod; podctl starts it inside of the pod's namespaces.\n"
	"\n"
	"  --root DIR   where the pods are recorded\n"
	"  --pod PATH   the pod\n"
	"  --name NAME  the container's name in it\n"
	"  --order N    its place in the order of starts\n"
	"  --reap       clear up what a podd-shim that was killed left\n"
	"  --help       this text\n"
	"  --version    the version\n";

struct arguments {
	const char *root;
	const char *pod;
	const char *name;
	uint64_t order;
	bool reap;
};

struct shim {
	struct place place;
	sd_event *event;
	struct reaper *reaper;
	struct runtime *runtime;
	struct execs *execs;
	struct requests *requests;
	struct clients *clients;
	struct lifecycle *lifecycle;
	sd_event_source *trim;
	sd_event_source *post;
	bool is_busy;          /* something has happened since the timer was set */
	bool is_trimming;
};

static void shim_done(struct shim *shim)
{
	/* What ends with each of them, still needs the others. */
	clients_free(shim->clients);
	lifecycle_free(shim->lifecycle);
	requests_free(shim->requests);
	execs_free(shim->execs);
	runtime_free(shim->runtime);
	reaper_free(shim->reaper);
	sd_event_source_disable_unref(shim->trim);
	sd_event_source_disable_unref(shim->post);
	sd_event_unref(shim->event);
	place_done(&shim->place);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info,
	void *userdata)
{
	struct shim *shim = userdata;

	lifecycle_stop(shim->lifecycle, SHIM_DEFAULT, SHIM_DEFAULT);
	return 0;
}

static void set_trim(struct shim *shim)
{
	shim->is_busy = false;
	if (sd_event_source_set_time_relative(shim->trim, TRIM_US) >= 0)
		sd_event_source_set_enabled(shim->trim, SD_EVENT_ONESHOT);
}

static int on_trim(sd_event_source *source, uint64_t now, void *userdata)
{
	struct shim *shim = userdata;

	shim->is_trimming = true;
	if (shim->is_busy)
		set_trim(shim);
	else
		trim_memory();
	return 0;
}

/* After each event. It is called for the timer's own, too. */
static int on_post(sd_event_source *source, void *userdata)
{
	struct shim *shim = userdata;
	int enabled;

	if (shim->is_trimming) {
		shim->is_trimming = false;
		return 0;
	}
	shim->is_busy = true;
	if (sd_event_source_get_enabled(shim->trim, &enabled) >= 0 && enabled == SD_EVENT_OFF)
		set_trim(shim);
	return 0;
}

static int open_loop(struct shim *shim, struct err *err)
{
	int r = sd_event_new(&shim->event);

	if (r < 0)
		return err_set(err, r, "making the event loop: %s", strerror(-r));
	r = reaper_new(shim->event, &shim->reaper, err);
	return r < 0 ? r
		     : runtime_new(shim->event, shim->reaper, &shim->place, &shim->runtime, err);
}

static int watch_signals(struct shim *shim, struct err *err)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	r = sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_signal(shim->event, NULL, SIGTERM, on_terminate, shim);
	if (r >= 0)
		r = sd_event_add_time_relative(shim->event, &shim->trim, CLOCK_MONOTONIC, TRIM_US, 0,
			on_trim, shim);
	if (r >= 0)
		r = sd_event_add_post(shim->event, &shim->post, on_post, shim);
	return r < 0 ? err_set(err, r, "preparing the event loop: %s", strerror(-r)) : 0;
}

static int open_parts(struct shim *shim, uint64_t order, struct err *err)
{
	struct lifecycle_parts parts = {.place = &shim->place, .order = order};
	int r;

	parts.event = shim->event;
	parts.reaper = shim->reaper;
	parts.runtime = shim->runtime;
	r = execs_new(shim->event, &shim->place, shim->reaper, shim->runtime, &shim->execs, err);
	if (r == 0)
		r = requests_new(shim->event, &shim->requests, err);
	if (r == 0)
		r = clients_new(shim->event, &shim->place, &requests_clients_handler,
			shim->requests, &shim->clients, err);
	parts.execs = shim->execs;
	if (r == 0)
		r = lifecycle_new(&parts, &requests_lifecycle_listener, shim->requests,
			&shim->lifecycle, err);
	if (r == 0)
		requests_connect(shim->requests, shim->clients, shim->lifecycle, shim->execs);
	return r;
}

/* Takes the connection of who started the shim, if there is one. */
static int add_starter(struct shim *shim, int *fd, struct err *err)
{
	struct client *client;
	int r;

	if (*fd < 0)
		return 0;
	r = clients_add(shim->clients, take_fd(fd), &client, err);
	return r < 0 ? r : requests_set_starter(shim->requests, client, err);
}

/* Return: 0, 1 when something is left, -errno. */
static int run(struct shim *shim, const struct arguments *arguments, int *starter, struct err *err)
{
	int r;

	r = place_open(arguments->root, arguments->pod, arguments->name, &shim->place, err);
	if (r == 0)
		r = open_loop(shim, err);
	if (r == 0 && arguments->reap) {
		r = reap_begin(shim->event, &shim->place, shim->reaper, shim->runtime, err);
	} else if (r == 0) {
		r = open_parts(shim, arguments->order, err);
		if (r == 0)
			r = watch_signals(shim, err);
		if (r == 0)
			r = clients_listen(shim->clients, err);
		if (r == 0)
			r = add_starter(shim, starter, err);
		if (r == 0)
			lifecycle_start(shim->lifecycle);
	}
	if (r < 0)
		return r;
	r = sd_event_loop(shim->event);
	return r < 0 ? err_set(err, r, "the event loop failed: %s", strerror(-r)) : r;
}

/* Return: the exit status, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, 'r'},
		{"pod", required_argument, NULL, 'p'},
		{"name", required_argument, NULL, 'n'},
		{"order", required_argument, NULL, 'o'},
		{"reap", no_argument, NULL, 'R'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{},
	};
	bool has_order = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'r':
			arguments->root = optarg;
			break;
		case 'p':
			arguments->pod = optarg;
			break;
		case 'n':
			arguments->name = optarg;
			break;
		case 'o':
			has_order = text_to_uint64(optarg, 0, UINT64_MAX, &arguments->order) == 0;
			break;
		case 'R':
			arguments->reap = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("podd-shim " PACKAGE_VERSION);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc && has_order && arguments->root && arguments->pod && arguments->name)
		return -1;
	fprintf(stderr, "podd-shim: --root, --pod, --name and --order are needed (--help)\n");
	return EXIT_USAGE;
}

/* Only shim_launch() starts it with a connection there. */
static int inherited_client(void)
{
	pid_t pid;
	uid_t uid;

	if (fd_peer(SHIM_FD_CLIENT, &pid, &uid) < 0)
		return -1;
	return fcntl(SHIM_FD_CLIENT, F_SETFD, FD_CLOEXEC) < 0 ? -1 : SHIM_FD_CLIENT;
}

static void say_failed(const struct arguments *arguments, int starter, const char *reason)
{
	fprintf(stderr, "podd-shim: %s/%s: %s\n", arguments->pod, arguments->name, reason);
	if (starter >= 0)
		shim_send(starter, SHIM_ERROR, EXIT_FAILED, 0, reason, strlen(reason), -1);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {};
	cleanup(shim_done) struct shim shim = {
		.place = {.podfd = -1, .childfd = -1, .runfd = -1, .lock = -1}};
	autoclose int starter = -1;
	struct err err = {};
	int r;

	r = parse_arguments(argc, argv, &arguments);
	if (r >= 0)
		return r;
	starter = inherited_client();
	signal(SIGPIPE, SIG_IGN);
	r = run(&shim, &arguments, &starter, &err);
	if (r >= 0)
		return r;
	say_failed(&arguments, starter, err.msg);
	return EXIT_FAILED;
}
