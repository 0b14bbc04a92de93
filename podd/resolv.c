/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The host's resolv.conf: see resolv.h. The file may be written in place, replaced by rename, or a
 * link to one that is replaced; so the file itself, /etc, and the directory of the file behind the
 * link are watched, and everything is watched anew after each change.
 */

#include "resolv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "cleanup.h"
#include "file.h"
#include "fd.h"
#include "text.h"

#define RESOLV_PATH "/etc/resolv.conf"
#define RESOLV_BYTES_MAX (64 * 1024)
#define WATCHES 3

struct resolv {
	sd_event *event;
	sd_event_source *sources[WATCHES];
	sd_event_source *later;
	char *text; /* as it was last seen */
	void (*changed)(void *userdata);
	void *userdata;
};

/* A missing file is an empty one, as for resolver(3). */
static int read_host(char **ret, struct err *err)
{
	autoclose int fd = open(RESOLV_PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	size_t length;
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) {
		*ret = strdup("");
		return *ret ? 0 : err_oom(err);
	}
	r = fd < 0 ? -errno : fd_read_all(fd, RESOLV_BYTES_MAX, &text, &length);
	if (r < 0)
		return err_set(err, r, "reading " RESOLV_PATH ": %s", strerror(-r));
	*ret = text;
	return 0;
}

static int on_later(sd_event_source *source, void *userdata);

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct resolv *resolv = userdata;

	/* Once for all that came together, and not from within the source that is replaced. */
	sd_event_source_set_enabled(resolv->later, SD_EVENT_ONESHOT);
	return 0;
}

static void watch_all(struct resolv *resolv)
{
	const uint32_t in_dir = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE;
	const uint32_t in_file = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;
	char behind[PATH_MAX];
	char *slash;

	for (int i = 0; i < WATCHES; i++)
		resolv->sources[i] = sd_event_source_disable_unref(resolv->sources[i]);
	sd_event_add_inotify(resolv->event, &resolv->sources[0], "/etc", in_dir, on_inotify, resolv);
	sd_event_add_inotify(resolv->event, &resolv->sources[1], RESOLV_PATH, in_file, on_inotify,
		resolv);
	if (!realpath(RESOLV_PATH, behind))
		return;
	slash = strrchr(behind, '/');
	*slash = '\0';
	if (!text_equal(behind, "/etc") && *behind)
		sd_event_add_inotify(resolv->event, &resolv->sources[2], behind, in_dir, on_inotify,
			resolv);
}

static int on_later(sd_event_source *source, void *userdata)
{
	struct resolv *resolv = userdata;
	char *text = NULL;

	watch_all(resolv);
	if (read_host(&text, NULL) < 0)
		return 0;
	if (text_equal(text, resolv->text)) {
		free(text);
		return 0;
	}
	free(resolv->text);
	resolv->text = text;
	resolv->changed(resolv->userdata);
	return 0;
}

int resolv_watch(sd_event *event, void (*changed)(void *userdata), void *userdata,
	struct resolv **ret, struct err *err)
{
	struct resolv *resolv = calloc(1, sizeof(*resolv));
	int r;

	if (!resolv)
		return err_oom(err);
	resolv->event = sd_event_ref(event);
	resolv->changed = changed;
	resolv->userdata = userdata;
	r = sd_event_add_defer(event, &resolv->later, on_later, resolv);
	if (r == 0)
		r = sd_event_source_set_enabled(resolv->later, SD_EVENT_OFF);
	if (r < 0) {
		resolv_free(resolv);
		return err_set(err, r, "watching " RESOLV_PATH ": %s", strerror(-r));
	}
	watch_all(resolv);
	read_host(&resolv->text, NULL);
	*ret = resolv;
	return 0;
}

void resolv_free(struct resolv *resolv)
{
	if (!resolv)
		return;
	for (int i = 0; i < WATCHES; i++)
		sd_event_source_disable_unref(resolv->sources[i]);
	sd_event_source_disable_unref(resolv->later);
	sd_event_unref(resolv->event);
	free(resolv->text);
	free(resolv);
}

static bool is_keyword(const char *line, const char *keyword)
{
	size_t length = strlen(keyword);

	return strncmp(line, keyword, length) == 0 && isspace((unsigned char)line[length]);
}

/* Copies the lines of the host's file that begin with one of the keywords to the stream. */
static int copy_lines(FILE *stream, const char *const *keywords, size_t max, struct err *err)
{
	autofree char *text = NULL;
	char *line, *rest;
	size_t used = 0;
	int r;

	r = read_host(&text, err);
	if (r < 0)
		return r;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		for (size_t i = 0; keywords[i]; i++) {
			if (!is_keyword(line, keywords[i]))
				continue;
			used += strlen(line) + 1;
			if (used > max)
				return 0;
			fprintf(stream, "%s\n", line);
		}
	}
	return 0;
}

int resolv_nameservers(size_t max, char **ret, struct err *err)
{
	static const char *const keywords[] = {"nameserver", NULL};
	autofree char *text = NULL;
	FILE *stream;
	size_t size;
	int r;

	stream = open_memstream(&text, &size);
	if (!stream)
		return err_oom(err);
	r = copy_lines(stream, keywords, max, err);
	if (fclose(stream) != 0 && r == 0)
		r = err_oom(err);
	if (r == 0)
		*ret = take_ptr(text);
	return r;
}

int resolv_for_children(const char *const *nameservers, char **ret, struct err *err)
{
	static const char *const keywords[] = {"search", "domain", "options", "sortlist", NULL};
	autofree char *text = NULL;
	FILE *stream;
	size_t size;
	int r;

	if (!nameservers)
		return read_host(ret, err);
	stream = open_memstream(&text, &size);
	if (!stream)
		return err_oom(err);
	r = copy_lines(stream, keywords, RESOLV_BYTES_MAX, err);
	for (size_t i = 0; nameservers[i]; i++)
		fprintf(stream, "nameserver %s\n", nameservers[i]);
	if (fclose(stream) != 0 && r == 0)
		r = err_oom(err);
	if (r == 0)
		*ret = take_ptr(text);
	return r;
}
