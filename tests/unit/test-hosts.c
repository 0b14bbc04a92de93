/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pod's etc/hosts: who is in it, and that nothing in a record can add a line of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "hierarchy.h"
#include "hosts.h"
#include "record-internal.h"
#include "text.h"

#define LOCALHOST "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
#define POD "10.0.2.100\tnet0\n10.0.2.2\thost.podd.internal\n"

static int make_pod(const struct scratch *scratch, enum pod_net net)
{
	cleanup(pod_spec_done) struct pod_spec spec = {0};
	int fd;

	assert_int_equal(hierarchy_make_pod(scratch->fd, "net0", &fd, NULL), 0);
	assert_int_equal(pod_spec_init(&spec, NULL), 0);
	assert_int_equal(text_copy(spec.path, sizeof(spec.path), "net0"), 0);
	spec.net = net;
	assert_int_equal(record_save(fd, RECORD_POD, pod_spec_to_json(&spec), NULL), 0);
	return fd;
}

static void child_init(struct attachment *attachment, const char *name)
{
	attachment_init(attachment);
	attachment->phase = ATTACHMENT_ATTACHED;
	assert_int_equal(text_copy(attachment->pod, sizeof(attachment->pod), "net0"), 0);
	assert_int_equal(text_copy(attachment->child, sizeof(attachment->child), name), 0);
	snprintf(attachment->id, sizeof(attachment->id), "net0.%s", name);
}

static void add_address(struct attachment *attachment, const char *address)
{
	struct attachment_network *network = &attachment->networks[0];

	if (attachment->n_networks == 0) {
		attachment->n_networks = 1;
		network->name = strdup("podd");
		network->ifname = strdup("eth0");
		network->config = json_new_object();
	}
	assert_int_equal(strv_add(&network->addresses, address), 0);
}

/* Saves the record and frees it. */
static void save(int podfd, struct attachment *attachment)
{
	autoclose int childfd = -1;
	struct err err = {0};

	assert_int_equal(hierarchy_open_child(podfd, attachment->child, true, &childfd, NULL), 0);
	if (attachment_save(childfd, attachment, &err) < 0)
		fail_msg("%s", err.msg);
	attachment_done(attachment);
}

static void assert_hosts(int podfd, const char *expected)
{
	struct err err = {0};

	if (hosts_update(podfd, &err) < 0)
		fail_msg("%s", err.msg);
	assert_file(podfd, "etc/hosts", expected);
}

static void test_pod_alone(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1;
	struct stat st;

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	assert_hosts(pod, LOCALHOST POD);
	assert_int_equal(fstatat(pod, "etc/hosts", &st, AT_SYMLINK_NOFOLLOW), 0);
	/* A container's users other than root read it too. */
	assert_int_equal(st.st_mode, S_IFREG | 0644);
}

static void test_children(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct attachment attachment;
	struct stat before, after;
	autoclose int pod = -1;

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	child_init(&attachment, "web");
	add_address(&attachment, "10.88.0.2/16");
	add_address(&attachment, "fd00:88::2/64");
	attachment.hostname = strdup("www.example.org");
	assert_int_equal(strv_add(&attachment.aliases, "front"), 0);
	assert_int_equal(strv_add(&attachment.aliases, "proxy_1"), 0);
	save(pod, &attachment);
	child_init(&attachment, "db");
	attachment.share = ATTACHMENT_SHARED;
	attachment.hostname = strdup("db");
	save(pod, &attachment);
	assert_hosts(pod, LOCALHOST POD
		"10.0.2.100\tdb\n"
		"10.88.0.2\tweb www.example.org front proxy_1\n"
		"fd00:88::2\tweb www.example.org front proxy_1\n");
	assert_int_equal(fstatat(pod, "etc/hosts", &before, 0), 0);

	/* It shrinks in its place: containers have it mounted. */
	assert_int_equal(hierarchy_remove_child(pod, "web", NULL), 0);
	assert_hosts(pod, LOCALHOST POD "10.0.2.100\tdb\n");
	assert_int_equal(fstatat(pod, "etc/hosts", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_without_slirp(void **state)
{
	static const enum pod_net nets[] = {POD_NET_NONE, POD_NET_HOST};

	for (size_t i = 0; i < 2; i++) {
		cleanup(scratch_done) struct scratch scratch;
		struct attachment attachment;
		autoclose int pod = -1;

		scratch_init(&scratch);
		pod = make_pod(&scratch, nets[i]);
		child_init(&attachment, "web");
		attachment.share = ATTACHMENT_SHARED;
		save(pod, &attachment);
		assert_hosts(pod, LOCALHOST "127.0.0.1\tweb\n");
	}
}

static void test_not_attached(void **state)
{
	static const enum attachment_phase phases[] = {ATTACHMENT_ADDING, ATTACHMENT_DETACHING};
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1, damaged = -1, empty = -1, nested = -1;

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	for (size_t i = 0; i < 2; i++) {
		struct attachment attachment;

		child_init(&attachment, i == 0 ? "adding" : "detaching");
		add_address(&attachment, "10.88.0.2/16");
		attachment.phase = phases[i];
		save(pod, &attachment);
	}
	assert_int_equal(hierarchy_open_child(pod, "damaged", true, &damaged, NULL), 0);
	put_file(damaged, RECORD_ATTACHMENT, "{\"version\": 1,");
	assert_int_equal(hierarchy_open_child(pod, "empty", true, &empty, NULL), 0);
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0/nested", &nested, NULL), 0);
	put_file(nested, RECORD_POD, "{}");
	put_file(pod, "children/file", "");
	assert_hosts(pod, LOCALHOST POD);
}

static void test_hostile_names(void **state)
{
	static const char *const names[] = {
		"x\n6.6.6.6 bank.example", "a b", "tab\tbed", "", "#comment", "caf\xc3\xa9", "a/b"};
	cleanup(scratch_done) struct scratch scratch;
	struct attachment attachment;
	autoclose int pod = -1;
	char name[255];

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	child_init(&attachment, "web");
	add_address(&attachment, "10.88.0.2/16");
	attachment.hostname = strdup("x\n6.6.6.6\tbank.example");
	assert_int_equal(strv_add(&attachment.aliases, "before"), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(char *); i++)
		assert_int_equal(strv_add(&attachment.aliases, names[i]), 0);
	assert_int_equal(strv_add(&attachment.aliases, name), 0);
	assert_int_equal(strv_add(&attachment.aliases, "after"), 0);
	save(pod, &attachment);
	assert_hosts(pod, LOCALHOST POD "10.88.0.2\tweb before after\n");
}

static void test_hostile_addresses(void **state)
{
	static const char *const addresses[] = {"6.6.6.6 bank.example/16", "", "/16", "eth0",
		"6.6.6/8", "6.6.6.6\n7.7.7.7", "::1%lo",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999/64", "10.88.0.2"};
	cleanup(scratch_done) struct scratch scratch;
	struct attachment attachment;
	autoclose int pod = -1;

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	child_init(&attachment, "web");
	for (size_t i = 0; i < sizeof(addresses) / sizeof(char *); i++)
		add_address(&attachment, addresses[i]);
	save(pod, &attachment);
	assert_hosts(pod, LOCALHOST POD "10.88.0.2\tweb\n");
}

static void test_failures(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1;
	struct err err = {0};

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	put_file(pod, RECORD_POD, "[]");
	put_file(pod, "etc/hosts", "as it was");
	assert_int_equal(hosts_update(pod, &err), -EINVAL);
	assert_contains(err.msg, RECORD_POD);
	assert_file(pod, "etc/hosts", "as it was");

	assert_int_equal(unlinkat(pod, RECORD_POD, 0), 0);
	assert_int_equal(hosts_update(pod, &err), -ENOENT);
	assert_file(pod, "etc/hosts", "as it was");
	assert_int_equal(renameat(pod, "etc", pod, "moved"), 0);
	assert_int_equal(symlinkat("moved", pod, "etc"), 0);
	assert_int_equal(hosts_update(pod, &err), -ENOTDIR);
}

static void test_link_is_not_followed(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1;

	scratch_init(&scratch);
	pod = make_pod(&scratch, POD_NET_SLIRP);
	put_file(scratch.fd, "victim", "safe");
	assert_int_equal(symlinkat("../../victim", pod, "etc/hosts"), 0);
	assert_int_equal(hosts_update(pod, NULL), -ELOOP);
	assert_file(scratch.fd, "victim", "safe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod_alone),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_without_slirp),
		cmocka_unit_test(test_not_attached),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_hostile_addresses),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_link_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
