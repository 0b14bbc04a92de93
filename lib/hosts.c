/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The pod's etc/hosts: see hosts.h. Callers may run at once (hooks of several children), so it is
 * built under a lock. A child whose record cannot be read is left out: its hook says why. */

#include "hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "record.h"
#include "text.h"

#define HOSTS_LOCK_MS 10000
#define HOSTS_BYTES_MAX (1024 * 1024)
#define HOST_NAME "host.podd.internal"

/* hosts(5): one line, address first; names that are no names are left out. */
static bool is_host_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._";

	return *name && strlen(name) <= 253 && strspn(name, allowed) == strlen(name);
}

static void add_line(FILE *stream, const char *address, const struct attachment *attachment)
{
	fprintf(stream, "%s\t%s", address, attachment->child);
	if (attachment->hostname && is_host_name(attachment->hostname) &&
		!text_equal(attachment->hostname, attachment->child))
		fprintf(stream, " %s", attachment->hostname);
	for (size_t i = 0; attachment->aliases && attachment->aliases[i]; i++)
		if (is_host_name(attachment->aliases[i]))
			fprintf(stream, " %s", attachment->aliases[i]);
	fputc('\n', stream);
}

/* "10.88.0.2/16" gives the address, if it is one. */
static bool plain_address(const char *cidr, char *ret, size_t size)
{
	unsigned char binary[sizeof(struct in6_addr)];
	size_t length = strcspn(cidr, "/");

	if (length >= size)
		return false;
	memcpy(ret, cidr, length);
	ret[length] = '\0';
	return inet_pton(AF_INET, ret, binary) == 1 || inet_pton(AF_INET6, ret, binary) == 1;
}

static void add_child(FILE *stream, int podfd, const char *name, const char *self)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autoclose int childfd = -1;
	char address[INET6_ADDRSTRLEN];

	if (hierarchy_open_any_child(podfd, name, &childfd, NULL) < 0 ||
		attachment_load(childfd, &attachment, NULL) < 0)
		return;
	if (attachment.phase != ATTACHMENT_ATTACHED)
		return;
	if (attachment.share == ATTACHMENT_SHARED)
		add_line(stream, self, &attachment);
	for (size_t i = 0; i < attachment.n_networks; i++) {
		char **addresses = attachment.networks[i].addresses;

		for (size_t j = 0; addresses && addresses[j]; j++)
			if (plain_address(addresses[j], address, sizeof(address)))
				add_line(stream, address, &attachment);
	}
}

/* A pod in a pod: its first address in a network around it. */
static void find_self(int podfd, char *ret, size_t size)
{
	cleanup(attachment_done) struct attachment attachment = {};

	if (attachment_load(podfd, &attachment, NULL) == 0 && attachment.n_networks > 0 &&
		attachment.networks[0].addresses && attachment.networks[0].addresses[0])
		(void)plain_address(attachment.networks[0].addresses[0], ret, size);
}

/* ... and the host, which has there the address that it has for the pod around it. */
static void copy_host_line(FILE *stream, int podfd)
{
	autoclose int fd = openat(podfd, "../../etc/hosts", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autofree char *text = NULL;
	char *rest, *line;
	size_t length;

	if (fd < 0 || fd_read_all(fd, HOSTS_BYTES_MAX, &text, &length) < 0)
		return;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		if (text_ends_with(line, "\t" HOST_NAME))
			fprintf(stream, "%s\n", line);
}

static void write_self(
	FILE *stream, int podfd, const struct pod_spec *spec, char *self, size_t size)
{
	char leaf[NAME_COMPONENT_MAX + 1], parent[NAME_PATH_SIZE];
	struct in_addr address;

	if (spec->net == POD_NET_SLIRP) {
		address = pod_address4(spec, POD_HOST_SELF);
		inet_ntop(AF_INET, &address, self, (socklen_t)size);
	} else if (spec->net == POD_NET_CNI) {
		find_self(podfd, self, size);
	} else {
		return;
	}
	name_split(spec->path, parent, leaf);
	fprintf(stream, "%s\t%s\n", self, leaf);
	address = pod_address4(spec, POD_HOST_GATEWAY);
	if (spec->net == POD_NET_SLIRP)
		fprintf(stream, "%s\t" HOST_NAME "\n", inet_ntoa(address));
	else if (pod_spec_is_nested(spec))
		copy_host_line(stream, podfd);
}

static int write_hosts(FILE *stream, int podfd, struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	char self[INET6_ADDRSTRLEN] = "127.0.0.1";
	autostrv children = NULL;
	int r;

	r = pod_spec_load(podfd, &spec, err);
	if (r == 0)
		r = hierarchy_children(podfd, HIERARCHY_ANY, &children, err);
	if (r < 0)
		return r;
	fputs("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", stream);
	write_self(stream, podfd, &spec, self, sizeof(self));
	for (size_t i = 0; children[i]; i++)
		add_child(stream, podfd, children[i], self);
	return 0;
}

int hosts_update(int podfd, struct err *err)
{
	autoclose int etc = -1, locks = -1, lock = -1;
	autofree char *text = NULL;
	size_t length = 0;
	FILE *stream;
	int r;

	r = file_open_dir(podfd, "etc", &etc, err);
	if (r == 0)
		r = file_open_dir(podfd, "locks", &locks, err);
	if (r == 0)
		r = file_lock(locks, "hosts", HOSTS_LOCK_MS, &lock, err);
	if (r < 0)
		return r;
	stream = open_memstream(&text, &length);
	if (!stream)
		return err_oom(err);
	r = write_hosts(stream, podfd, err);
	if (fclose(stream) != 0 && r == 0)
		r = err_oom(err);
	if (r < 0)
		return r;
	return file_overwrite(etc, "hosts", text, length, 0644, err);
}
