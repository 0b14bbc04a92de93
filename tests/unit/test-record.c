/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records: they come back as they were written, and what is true now whatever they say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <time.h>

#include "record-fixture.h"

/* ---- what is written is read ---- */

static void assert_strv(char *const *a, char *const *b)
{
	assert_int_equal(strv_length(a), strv_length(b));
	for (size_t i = 0; i < strv_length(a); i++)
		assert_string_equal(a[i], b[i]);
}

static void test_spec_round_trip(void **state)
{
	cleanup(pod_spec_done) struct pod_spec a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	spec_example(&a);
	assert_int_equal(record_save(scratch.fd, RECORD_POD, pod_spec_to_json(&a), NULL), 0);
	if (pod_spec_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(a.path, b.path);
	assert_string_equal(a.created, b.created);
	assert_int_equal(a.net, b.net);
	assert_true(b.host_loopback);
	assert_false(b.ipv6);
	assert_int_equal(b.mtu, 1500);
	assert_int_equal(b.shm_size, 8192);
	assert_true(b.auto_remove);
	assert_int_equal(b.restart, POD_RESTART_ALWAYS);
	assert_int_equal(ntohl(b.net4.s_addr), 0xc0a88000);
	assert_int_equal(b.prefix4, 20);
	assert_memory_equal(&a.uids, &b.uids, sizeof(a.uids));
	assert_memory_equal(&a.gids, &b.gids, sizeof(a.gids));
	assert_true(json_equal(a.labels, b.labels));
	assert_int_equal(json_length(b.labels), 2);
	assert_strv(a.cni_config_dirs, b.cni_config_dirs);
	assert_strv(a.cni_plugin_dirs, b.cni_plugin_dirs);
	assert_strv(a.publish, b.publish);
	assert_strv(a.egress, b.egress);
	assert_strv(a.stages, b.stages);
	assert_string_equal(a.root, b.root);
	assert_string_equal(a.host_at, b.host_at);
}

static void test_state_round_trip(void **state)
{
	cleanup(pod_state_done) struct pod_state a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	state_example(&a);
	assert_int_equal(pod_state_save(scratch.fd, &a, NULL), 0);
	if (pod_state_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a.phase, b.phase);
	assert_string_equal(a.boot_id, b.boot_id);
	assert_string_equal(a.since, b.since);
	assert_memory_equal(&a.podd, &b.podd, sizeof(a.podd));
	assert_string_equal(a.podd_version, b.podd_version);
	assert_int_equal(b.restarts, 7);
	assert_memory_equal(&a.outer, &b.outer, sizeof(a.outer));
	assert_memory_equal(&a.uplink, &b.uplink, sizeof(a.uplink));
	assert_memory_equal(a.namespaces, b.namespaces, sizeof(a.namespaces));
	assert_memory_equal(&a.host_mount, &b.host_mount, sizeof(a.host_mount));
	assert_memory_equal(&a.uids, &b.uids, sizeof(a.uids));
	assert_memory_equal(&a.gids, &b.gids, sizeof(a.gids));
	assert_string_equal(a.tap, b.tap);
	assert_strv(a.warnings, b.warnings);
	assert_string_equal(a.error, b.error);
}

static void test_attachment_round_trip(void **state)
{
	cleanup(attachment_done) struct attachment a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	attachment_example(&a);
	assert_int_equal(attachment_save(scratch.fd, &a, NULL), 0);
	if (attachment_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(a.pod, b.pod);
	assert_string_equal(a.child, b.child);
	assert_string_equal(a.id, b.id);
	assert_string_equal(a.generation, b.generation);
	assert_string_equal(a.created, b.created);
	assert_string_equal(a.boot_id, b.boot_id);
	assert_int_equal(a.phase, b.phase);
	assert_int_equal(a.share, b.share);
	assert_memory_equal(&a.init, &b.init, sizeof(a.init));
	assert_memory_equal(&a.netns, &b.netns, sizeof(a.netns));
	assert_string_equal(a.bundle, b.bundle);
	assert_string_equal(a.hostname, b.hostname);
	assert_strv(a.aliases, b.aliases);
	assert_strv(a.publish, b.publish);
	assert_true(json_equal(a.capability_args, b.capability_args));
	assert_int_equal(a.n_networks, b.n_networks);
	for (size_t i = 0; i < a.n_networks; i++) {
		assert_string_equal(a.networks[i].name, b.networks[i].name);
		assert_string_equal(a.networks[i].ifname, b.networks[i].ifname);
		assert_true(text_equal(a.networks[i].ip, b.networks[i].ip));
		assert_true(text_equal(a.networks[i].mac, b.networks[i].mac));
		assert_true(json_equal(a.networks[i].config, b.networks[i].config));
		assert_strv(a.networks[i].addresses, b.networks[i].addresses);
	}
}

/* What could not be loaded again is not saved. */
static void test_attachment_too_deep(void **state)
{
	cleanup(attachment_done) struct attachment attachment = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};
	struct json *inner;

	scratch_init(&scratch);
	attachment_example(&attachment);
	inner = attachment.capability_args;
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		inner = json_set_object(inner, "x");
	assert_int_equal(attachment_save(scratch.fd, &attachment, &err), -EFBIG);
	assert_contains(err.msg, RECORD_ATTACHMENT);
	assert_false(exists(scratch.fd, RECORD_ATTACHMENT));
}

static void test_cut_networks(void **state)
{
	cleanup(attachment_done) struct attachment attachment = {0};

	attachment_example(&attachment);
	attachment_cut_networks(&attachment, 2);
	assert_int_equal(attachment.n_networks, 2);
	attachment_cut_networks(&attachment, 1);
	assert_int_equal(attachment.n_networks, 1);
	assert_string_equal(attachment.networks[0].name, "podd");
	assert_null(attachment.networks[1].name);
	attachment_cut_networks(&attachment, 0);
	assert_int_equal(attachment.n_networks, 0);
}

/* What another boot's records name by pid and inode is nobody, whoever has them now. */
static void test_another_boot(void **state)
{
	cleanup(attachment_done) struct attachment attachment = {0}, attachment_again = {0};
	cleanup(container_state_done) struct container_state box = {0}, box_again = {0};
	cleanup(pod_state_done) struct pod_state pod = {0}, pod_again = {0};
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	state_example(&pod);
	fill(pod.boot_id, sizeof(pod.boot_id), BOOT_ID);
	assert_int_equal(pod_state_save(scratch.fd, &pod, NULL), 0);
	assert_int_equal(pod_state_load(scratch.fd, &pod_again, NULL), 0);
	assert_int_equal(pod_again.phase, pod.phase);
	assert_int_equal(pod_again.podd.pid, 0);
	assert_int_equal(pod_again.outer.pid, 0);
	assert_int_equal(pod_again.uplink.pid, 0);
	assert_int_equal(pod_again.namespaces[NS_USER].inode, 0);
	assert_int_equal(pod_again.host_mount.inode, 0);
	attachment_example(&attachment);
	fill(attachment.boot_id, sizeof(attachment.boot_id), BOOT_ID);
	assert_int_equal(attachment_save(scratch.fd, &attachment, NULL), 0);
	assert_int_equal(attachment_load(scratch.fd, &attachment_again, NULL), 0);
	assert_int_equal(attachment_again.init.pid, 0);
	assert_int_equal(attachment_again.netns.inode, 0);
	assert_string_equal(attachment_again.id, attachment.id);
	box_state_example(&box);
	fill(box.boot_id, sizeof(box.boot_id), BOOT_ID);
	assert_int_equal(container_state_save(scratch.fd, &box, NULL), 0);
	assert_int_equal(container_state_load(scratch.fd, &box_again, NULL), 0);
	assert_int_equal(box_again.shim.pid, 0);
	assert_int_equal(box_again.init.pid, 0);
	assert_int_equal(box_again.mounts.inode, 0);
}

/* Every phase and kind has a name of its own that is read back. */
static void test_enums(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct pod_state pod = {.boot_id = BOOT_ID}, pod_again;
	cleanup(attachment_done) struct attachment attachment = {0};
	struct attachment again;
	enum pod_net net;

	scratch_init(&scratch);
	for (int i = POD_STARTING; i <= POD_RESTARTING; i++) {
		pod.phase = (enum pod_phase)i;
		assert_int_equal(pod_state_save(scratch.fd, &pod, NULL), 0);
		assert_int_equal(pod_state_load(scratch.fd, &pod_again, NULL), 0);
		assert_int_equal(pod_again.phase, i);
		pod_state_done(&pod_again);
	}
	attachment_example(&attachment);
	for (int i = ATTACHMENT_ADDING; i <= ATTACHMENT_DETACHING; i++) {
		attachment.phase = (enum attachment_phase)i;
		attachment.share = (enum attachment_share)(i % 2);
		assert_int_equal(attachment_save(scratch.fd, &attachment, NULL), 0);
		assert_int_equal(attachment_load(scratch.fd, &again, NULL), 0);
		assert_int_equal(again.phase, i);
		assert_int_equal(again.share, i % 2);
		attachment_done(&again);
	}
	for (int i = POD_NET_SLIRP; i <= POD_NET_CNI; i++) {
		assert_int_equal(pod_net_from_name(pod_net_name((enum pod_net)i), &net), 0);
		assert_int_equal(net, i);
	}
	assert_int_equal(pod_net_from_name("bridge", &net), -EINVAL);
	assert_int_equal(pod_net_from_name("", &net), -EINVAL);
	assert_int_equal(net, POD_NET_CNI);
}

/* What may be absent is. */
static void test_optional_members(void **state)
{
	cleanup(pod_state_done) struct pod_state pod = {0};
	cleanup(attachment_done) struct attachment attachment = {0};
	cleanup(pod_spec_done) struct pod_spec spec = {0};
	cleanup(scratch_done) struct scratch scratch;
	autoptr(json) document = NULL;

	scratch_init(&scratch);
	put_file(scratch.fd, RECORD_STATE,
		"{\"version\":1,\"phase\":\"stopped\",\"bootId\":\"\",\"since\":\"\","
		"\"namespaces\":{}}");
	assert_int_equal(pod_state_load(scratch.fd, &pod, NULL), 0);
	assert_int_equal(pod.phase, POD_STOPPED);
	assert_int_equal(pod.outer.pid, 0);
	assert_true(pod.namespaces[NS_USER].inode == 0);
	assert_null(pod.tap);
	assert_null(pod.error);

	put_file(scratch.fd, RECORD_ATTACHMENT,
		"{\"version\":1,\"pod\":\"p\",\"child\":\"c\",\"id\":\"p.c\",\"generation\":\"\","
		"\"created\":\"\",\"bootId\":\"\",\"phase\":\"adding\",\"share\":\"bridged\","
		"\"hostname\":null,\"networks\":[]}");
	assert_int_equal(attachment_load(scratch.fd, &attachment, NULL), 0);
	assert_null(attachment.hostname);
	assert_int_equal(attachment.n_networks, 0);
	assert_int_equal(attachment.init.pid, 0);

	document = example(SPEC);
	json_remove(document, "uidMappings");
	json_remove(document, "gidMappings");
	json_remove(document, "shmSize");
	json_remove(document, "autoRemove");
	json_remove(document, "publish");
	json_remove(document, "egress");
	json_remove(document, "stages");
	json_remove(document, "root");
	json_remove(document, "hostAt");
	assert_int_equal(record_save(scratch.fd, RECORD_POD, take_ptr(document), NULL), 0);
	assert_int_equal(pod_spec_load(scratch.fd, &spec, NULL), 0);
	assert_int_equal(spec.uids.n, 0);
	assert_int_equal(spec.shm_size, 64 << 20);
	assert_false(spec.auto_remove);
	assert_null(spec.publish);
	assert_null(spec.egress);
	assert_null(spec.stages);
	assert_null(spec.root);
	assert_null(spec.host_at);
}

static void test_missing_record(void **state)
{
	struct pod_state pod = {.phase = POD_RUNNING};
	struct attachment *attachment = NULL;
	cleanup(scratch_done) struct scratch scratch;
	struct pod_spec spec = {.mtu = 4711};
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(pod_state_load(scratch.fd, &pod, NULL), 0);
	assert_int_equal(pod.phase, POD_CREATED);
	assert_int_equal(pod_spec_load(scratch.fd, &spec, &err), -ENOENT);
	assert_contains(err.msg, RECORD_POD);
	assert_int_equal(spec.mtu, 4711);
	assert_int_equal(attachment_load(scratch.fd, attachment, &err), -ENOENT);
	assert_contains(err.msg, RECORD_ATTACHMENT);
	assert_int_equal(symlinkat("/etc/passwd", scratch.fd, RECORD_STATE), 0);
	assert_int_equal(pod_state_load(scratch.fd, &pod, &err), -ELOOP);
	assert_string_equal(err.msg, "opening state.json: Too many levels of symbolic links");
}

static void test_save_fails(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct json *broken = record_new();
	struct pod_state pod = {0};
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(mkdirat(scratch.fd, RECORD_STATE, 0700), 0);
	assert_int_equal(pod_state_save(scratch.fd, &pod, &err), -EISDIR);
	assert_contains(err.msg, RECORD_STATE);
	/* One that memory did not suffice for is not written in part. */
	json_set(broken, "missing", NULL);
	assert_int_equal(record_save(scratch.fd, "broken.json", broken, &err), -ENOMEM);
	assert_contains(err.msg, "broken.json");
	assert_false(exists(scratch.fd, "broken.json"));
}

/* ---- pod.json ---- */

static void test_defaults(void **state)
{
	cleanup(pod_spec_done) struct pod_spec spec = {0};

	assert_int_equal(pod_spec_init(&spec, NULL), 0);
	assert_int_equal(spec.net, POD_NET_SLIRP);
	assert_true(spec.ipv6);
	assert_false(spec.host_loopback);
	assert_int_equal(spec.mtu, 65520);
	assert_int_equal(ntohl(spec.net4.s_addr), 0x0a000200);
	assert_int_equal(spec.prefix4, 24);
	assert_int_equal(spec.uids.n, 0);
	assert_int_equal(json_length(spec.labels), 0);
	assert_true(strv_contains(spec.cni_config_dirs, "/etc/cni/net.d"));
	assert_true(strv_contains(spec.cni_plugin_dirs, "/usr/lib/cni"));
	assert_int_equal(strlen(spec.created), strlen(SOME_TIME));
}

static void test_cidr(void **state)
{
	static const struct {
		const char *text;
		const char *part; /* NULL: fine */
	} cases[] = {
		{"172.0.0.0/8", NULL},
		{"192.168.1.128/25", NULL},
		{"223.255.255.0/24", NULL},
		{"10.0.2.0", "not an IPv4 network"},
		{"10.0.2/24", "not an IPv4 network"},
		{"10.0.2.0/", "not an IPv4 network"},
		{"/24", "not an IPv4 network"},
		{"", "not an IPv4 network"},
		{"fd00::/64", "not an IPv4 network"},
		{"10.0.2.0/24x", "not an IPv4 network"},
		{"10.0.2.0/-24", "not an IPv4 network"},
		{"10.0.2.0/33", "not an IPv4 network"},
		{" 10.0.2.0/24", "not an IPv4 network"},
		{"10.0.2.0/26", "the prefix must be from 8 to 25"},
		{"10.0.0.0/7", "the prefix must be from 8 to 25"},
		{"10.0.2.1/24", "bits beyond its prefix"},
		{"10.0.2.128/24", "bits beyond its prefix"},
		{"0.0.0.0/8", "cannot be used for hosts"},
		{"127.0.0.0/8", "cannot be used for hosts"},
		{"10.0.0.0/8", "overlaps 10.88.0.0/13"},
		{"10.88.4.0/24", "overlaps 10.88.0.0/13"},
		{"224.0.0.0/24", "cannot be used for hosts"},
		{"255.255.255.0/24", "cannot be used for hosts"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pod_spec spec = {.prefix4 = 99};
		struct err err = {0};
		int r = pod_spec_set_cidr(&spec, cases[i].text, &err);

		assert_int_equal(r, cases[i].part ? -EINVAL : 0);
		assert_true((spec.prefix4 == 99) == (cases[i].part != NULL));
		if (cases[i].part) {
			assert_contains(err.msg, cases[i].part);
			assert_contains(err.msg, cases[i].text);
		}
	}
}

static void test_addresses(void **state)
{
	struct pod_spec spec = {.prefix4 = 24};
	struct in_addr address;
	struct in6_addr address6;
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(pod_spec_set_cidr(&spec, "192.168.1.128/25", NULL), 0);
	address = pod_address4(&spec, POD_HOST_SELF);
	assert_string_equal(inet_ntop(AF_INET, &address, text, sizeof(text)), "192.168.1.228");
	address = pod_address4(&spec, POD_HOST_GATEWAY);
	assert_string_equal(inet_ntop(AF_INET, &address, text, sizeof(text)), "192.168.1.130");
	address6 = pod_address6(POD_HOST_SELF);
	assert_string_equal(inet_ntop(AF_INET6, &address6, text, sizeof(text)), "fd00::100");
	address6 = pod_address6(42);
	assert_string_equal(inet_ntop(AF_INET6, &address6, text, sizeof(text)), "fd00::42");
	address6 = pod_address6(POD_HOST_DNS);
	assert_string_equal(inet_ntop(AF_INET6, &address6, text, sizeof(text)), "fd00::3");
}

static void test_time(void **state)
{
	char first[RECORD_TIME_SIZE], second[RECORD_TIME_SIZE];
	struct tm tm = {0};
	const char *rest;

	record_time_now(first);
	record_time_now(second);
	rest = strptime(first, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(rest);
	assert_int_equal(strlen(rest), strlen(".000000Z"));
	assert_int_equal(rest[0], '.');
	assert_int_equal(strspn(rest + 1, "0123456789"), 6);
	assert_string_equal(rest + 7, "Z");
	/* UTC, and now; time(2) may be a tick behind. */
	assert_in_range(time(NULL) + 1 - timegm(&tm), 0, 61);
	assert_true(strcmp(first, second) <= 0);
}

/* ---- what is true now ---- */

static void assert_now(enum pod_phase recorded, const char *boot_id, struct proc_id podd,
	struct proc_id outer, enum pod_phase expected)
{
	struct pod_state pod = {.phase = recorded, .podd = podd, .outer = outer};

	fill(pod.boot_id, sizeof(pod.boot_id), boot_id);
	assert_string_equal(pod_phase_name(pod_state_phase_now(&pod)), pod_phase_name(expected));
}

static void test_phase_now(void **state)
{
	static const struct proc_id none = {0};
	char boot[PROC_BOOT_ID_SIZE];
	struct proc_id here, gone;

	assert_int_equal(proc_boot_id(boot), 0);
	assert_int_equal(proc_self(&here), 0);
	gone = (struct proc_id){.pid = here.pid, .start_time = here.start_time + 1};

	assert_now(POD_STARTING, boot, here, none, POD_STARTING);
	assert_now(POD_STARTING, boot, gone, none, POD_FAILED);
	assert_now(POD_RESTARTING, boot, here, none, POD_RESTARTING);
	assert_now(POD_RESTARTING, boot, gone, none, POD_FAILED);
	assert_now(POD_RUNNING, boot, here, here, POD_RUNNING);
	/* podd may be restarted; the outer container is the pod. */
	assert_now(POD_RUNNING, boot, gone, here, POD_RUNNING);
	assert_now(POD_RUNNING, boot, here, gone, POD_FAILED);
	assert_now(POD_RUNNING, boot, here, none, POD_FAILED);
	assert_now(POD_STOPPING, boot, here, here, POD_STOPPING);
	assert_now(POD_STOPPING, boot, here, gone, POD_STOPPING);
	assert_now(POD_STOPPING, boot, gone, gone, POD_FAILED);

	/* Of another boot: whatever has these pids now is not ours. */
	assert_now(POD_STARTING, BOOT_ID, here, here, POD_STOPPED);
	assert_now(POD_RUNNING, BOOT_ID, here, here, POD_STOPPED);
	assert_now(POD_STOPPING, BOOT_ID, here, here, POD_STOPPED);
	assert_now(POD_RUNNING, "", here, here, POD_STOPPED);

	assert_now(POD_CREATED, BOOT_ID, none, none, POD_CREATED);
	assert_now(POD_STOPPED, boot, here, here, POD_STOPPED);
	assert_now(POD_FAILED, BOOT_ID, none, none, POD_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec_round_trip),
		cmocka_unit_test(test_state_round_trip),
		cmocka_unit_test(test_attachment_round_trip),
		cmocka_unit_test(test_attachment_too_deep),
		cmocka_unit_test(test_cut_networks),
		cmocka_unit_test(test_another_boot),
		cmocka_unit_test(test_enums),
		cmocka_unit_test(test_optional_members),
		cmocka_unit_test(test_missing_record),
		cmocka_unit_test(test_save_fails),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_phase_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
