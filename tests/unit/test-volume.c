/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Mounts as people say them: the three grammars, what they have in common, and what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "text.h"
#include "volume.h"

typedef int (*parse_t)(const char *text, struct volume *ret, struct err *err);

struct expected {
	const char *text;
	const char *source;
	const char *target;
	const char *options; /* joined by ',' */
	bool chown;
	bool overlay;
};

static char *join(char *const *options)
{
	char *joined = strdup("");

	for (size_t i = 0; options && options[i]; i++) {
		char *longer = text_format("%s%s%s", joined, i ? "," : "", options[i]);

		free(joined);
		joined = longer;
	}
	return joined;
}

static void assert_same(const char *text, const char *what, const char *found, const char *expected)
{
	if (!text_equal(found, expected))
		fail_msg("'%s': %s is '%s' instead of '%s'", text, what, found ? found : "(null)",
			expected ? expected : "(null)");
}

static void check(parse_t parse, enum volume_type type, const struct expected *expected)
{
	cleanup(volume_done) struct volume volume = {0};
	autofree char *options = NULL;
	struct err err = {0};

	if (parse(expected->text, &volume, &err) < 0)
		fail_msg("'%s' was refused: %s", expected->text, err.msg);
	options = join(volume.options);
	assert_int_equal(volume.type, type);
	assert_same(expected->text, "the source", volume.source, expected->source);
	assert_same(expected->text, "the target", volume.target, expected->target);
	assert_same(expected->text, "the list of options", options, expected->options);
	assert_int_equal(volume.chown, expected->chown);
	assert_int_equal(volume.overlay, expected->overlay);
}

/* Nothing is handed over, and the message has the text (as far as it can be printed) and @reason. */
static void check_refused(parse_t parse, const char *text, const char *reason)
{
	struct volume volume = {.type = VOLUME_TMPFS, .chown = true};
	struct err err = {0};
	char quote[256];

	if (parse(text, &volume, &err) != -EINVAL)
		fail_msg("'%s' was taken", text);
	assert_true(volume.chown);
	assert_null(volume.target);
	if (!strstr(err.msg, text_sanitize(quote, sizeof(quote), text)))
		fail_msg("'%s' is not quoted in: %s", text, err.msg);
	if (!strstr(err.msg, reason))
		fail_msg("'%s' is not in: %s", reason, err.msg);
}

#define USUAL "rbind,rw,nosuid,nodev,rprivate"

static void test_volume(void **state)
{
	static const struct expected cases[] = {
		{"/a:/b", "/a", "/b", USUAL, false, false},
		{"./a:/b", "./a", "/b", USUAL, false, false},
		{"../a:/b", "../a", "/b", USUAL, false, false},
		{".:/b", ".", "/b", USUAL, false, false},
		{"/:/host", "/", "/host", USUAL, false, false},
		/* The place becomes one that can be compared. */
		{"/a:/b/", "/a", "/b", USUAL, false, false},
		{"/a://b///c/./d/.", "/a", "/b/c/d", USUAL, false, false},
		{"/a:/..b/c..", "/a", "/..b/c..", USUAL, false, false},
		/* The source stays as it is. */
		{"/a/../c//:/b", "/a/../c//", "/b", USUAL, false, false},
		{"/a b:/c d", "/a b", "/c d", USUAL, false, false},
		/* What was said stands in for the default of its kind. */
		{"/a:/b:ro", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		{"/a:/b:rw", "/a", "/b", "rw,rbind,nosuid,nodev,rprivate", false, false},
		{"/a:/b:exec,dev,suid,bind,rw,rslave", "/a", "/b",
			"exec,dev,suid,bind,rw,rslave", false, false},
		{"/a:/b:noexec", "/a", "/b", "noexec," USUAL, false, false},
		/* There are no labels. */
		{"/a:/b:z", "/a", "/b", USUAL, false, false},
		{"/a:/b:Z,ro", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		/* podd's own. */
		{"/a:/b:U", "/a", "/b", USUAL, true, false},
		{"/a:/b:O", "/a", "/b", USUAL, false, true},
		{"/a:/b:ro,z,U", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(volume_parse, VOLUME_BIND, &cases[i]);
}

static void test_propagations(void **state)
{
	static const char *const names[] = {"private", "rprivate", "shared", "rshared", "slave",
		"rslave", "unbindable", "runbindable"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		autofree char *text = text_format("/a:/b:%s", names[i]);
		autofree char *options = text_format("%s,rbind,rw,nosuid,nodev", names[i]);
		struct expected expected = {text, "/a", "/b", options, false, false};

		check(volume_parse, VOLUME_BIND, &expected);
	}
}

static void test_volume_refused(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{"", "SOURCE:DESTINATION"},
		{"/a", "SOURCE:DESTINATION"},
		{":/b", "SOURCE:DESTINATION"},
		{"data:/b", "no named volumes"},
		{"/a:", "absolute"},
		{"/a:b", "absolute"},
		{"/a:./b", "absolute"},
		{"/a:/", "root directory"},
		{"/a://.//", "root directory"},
		{"/a:/b/../c", "\"..\""},
		{"/a:/..", "\"..\""},
		{"/a:/b:ro:rw", "too many"},
		{"/a:/b\nc", "control"},
		{"/a\x7f:/b", "control"},
		{"/a:/b:size=1", "no option"},
		{"/a:/b:tmpcopyup", "no option"},
		{"/a:/b:RO", "no option"},
		{"/a:/b:ro ", "no option"},
		{"/a:/b:ro,ro", "twice"},
		{"/a:/b:ro,rw", "twice"},
		{"/a:/b:shared,rslave", "twice"},
		{"/a:/b:z,Z", "twice"},
		{"/a:/b:dev,nodev", "twice"},
		{"/a:/b:bind,rbind", "twice"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(volume_parse, cases[i].text, cases[i].reason);
}

static void test_tmpfs(void **state)
{
	static const struct expected cases[] = {
		{"/tmp", NULL, "/tmp", "rw,nosuid,nodev,tmpcopyup", false, false},
		{"//tmp/./x/", NULL, "/tmp/x", "rw,nosuid,nodev,tmpcopyup", false, false},
		{"/tmp:size=64m,mode=1777", NULL, "/tmp",
			"size=64m,mode=1777,rw,nosuid,nodev,tmpcopyup", false, false},
		{"/tmp:ro,noexec,notmpcopyup", NULL, "/tmp", "ro,noexec,nosuid,nodev", false, false},
		{"/tmp:exec,dev,suid,rw,tmpcopyup", NULL, "/tmp", "exec,dev,suid,rw,tmpcopyup", false,
			false},
		{"/tmp:uid=1000,gid=0,nr_inodes=10k,noatime,sync", NULL, "/tmp",
			"uid=1000,gid=0,nr_inodes=10k,noatime,sync,rw,nosuid,nodev,tmpcopyup", false,
			false},
		{"/tmp:U", NULL, "/tmp", "rw,nosuid,nodev,tmpcopyup", true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(volume_parse_tmpfs, VOLUME_TMPFS, &cases[i]);
}

static void test_tmpfs_refused(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{"", "absolute"},
		{"tmp", "absolute"},
		{"/", "root directory"},
		{"/a/..", "\"..\""},
		{":size=1", "absolute"},
		{"/a:size=", "number"},
		{"/a:size=-1", "number"},
		{"/a:size=1,mode=rwx", "number"},
		{"/a:size", "no option"},
		{"/a:bind", "no option"},
		{"/a:rslave", "no option"},
		{"/a:O", "no option"},
		{"/a:z", "no option"},
		{"/a:/b", "no option"},
		{"/a:ro,rw", "twice"},
		{"/a:lowerdir=/x", "no option"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(volume_parse_tmpfs, cases[i].text, cases[i].reason);
}

static void test_mount_bind(void **state)
{
	static const struct expected cases[] = {
		{"type=bind,source=/a,target=/b", "/a", "/b", USUAL, false, false},
		{"src=/a,dst=/b", "/a", "/b", USUAL, false, false},
		{"destination=/b,src=./a,type=bind", "./a", "/b", USUAL, false, false},
		{"src=/a,dst=/b,ro", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		{"src=/a,dst=/b,readonly", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		{"src=/a,dst=/b,ro=true", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		{"src=/a,dst=/b,readonly=1", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false,
			false},
		{"src=/a,dst=/b,readonly=false", "/a", "/b", "rw,rbind,nosuid,nodev,rprivate", false,
			false},
		{"src=/a,dst=/b,rw=0", "/a", "/b", "ro,rbind,nosuid,nodev,rprivate", false, false},
		{"src=/a,dst=/b,bind-propagation=rshared", "/a", "/b",
			"rshared,rbind,rw,nosuid,nodev", false, false},
		{"src=/a,dst=/b,bind-nonrecursive", "/a", "/b", "bind,rw,nosuid,nodev,rprivate", false,
			false},
		{"src=/a,dst=/b,bind-nonrecursive=false", "/a", "/b",
			"rbind,rw,nosuid,nodev,rprivate", false, false},
		{"src=/a,dst=/b,relabel=shared", "/a", "/b", USUAL, false, false},
		{"src=/a,dst=/b,relabel=private", "/a", "/b", USUAL, false, false},
		{"src=/a,dst=/b,U", "/a", "/b", USUAL, true, false},
		{"src=/a,dst=/b,chown=true", "/a", "/b", USUAL, true, false},
		{"src=/a,dst=/b,U=false", "/a", "/b", USUAL, false, false},
		/* Only here can a path have such characters. */
		{"src=/a:b,dst=/c:d", "/a:b", "/c:d", USUAL, false, false},
		{"src=/a=b,dst=/c=d", "/a=b", "/c=d", USUAL, false, false},
		{"\"src=/a,b\",dst=/c", "/a,b", "/c", USUAL, false, false},
		{"dst=/c,\"src=/a\"\"b\"", "/a\"b", "/c", USUAL, false, false},
		{"\"dst=/c\",src=/a,\"ro\"", "/a", "/c", "ro,rbind,nosuid,nodev,rprivate", false,
			false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(volume_parse_mount, VOLUME_BIND, &cases[i]);
}

static void test_mount_tmpfs(void **state)
{
	static const struct expected cases[] = {
		{"type=tmpfs,dst=/tmp", NULL, "/tmp", "rw,nosuid,nodev,tmpcopyup", false, false},
		{"type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=1777", NULL, "/tmp",
			"size=67108864,mode=1777,rw,nosuid,nodev,tmpcopyup", false, false},
		/* Wherever the type stands. */
		{"tmpfs-size=1k,dst=/tmp,type=tmpfs", NULL, "/tmp",
			"size=1024,rw,nosuid,nodev,tmpcopyup", false, false},
		{"type=tmpfs,dst=/tmp,ro=true,notmpcopyup,noexec", NULL, "/tmp",
			"ro,noexec,nosuid,nodev", false, false},
		{"type=tmpfs,dst=/tmp,chown", NULL, "/tmp", "rw,nosuid,nodev,tmpcopyup", true, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(volume_parse_mount, VOLUME_TMPFS, &cases[i]);
}

static void test_mount_refused(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} cases[] = {
		{"", ""},
		{"type=bind", "missing"},
		{"src=/a", "place in the container is missing"},
		{"dst=/b", "source is missing"},
		{"type=,src=/a,dst=/b", "type must be"},
		{"type=volume,src=/a,dst=/b", "type must be"},
		{"type=bind,type=tmpfs,dst=/b", "twice"},
		{"src=/a,source=/a,dst=/b", "twice"},
		{"src=/a,dst=/b,target=/b", "twice"},
		{"src=a,dst=/b", "named volumes"},
		{"src=/a,dst=b", "absolute"},
		{"src=/a,dst=/", "root directory"},
		{"src=,dst=/b", "source"},
		{"src,dst=/b", "no option"},
		{"src=/a,dst=/b,", "no option"},
		{"src=/a,,dst=/b", "no option"},
		{"src=/a,dst=/b,ro=maybe", "true or false"},
		{"src=/a,dst=/b,ro,rw", "twice"},
		{"src=/a,dst=/b,bind-propagation=up", "no option"},
		{"src=/a,dst=/b,relabel=none", "unknown"},
		{"src=/a,dst=/b,noexec=true", "unknown"},
		{"src=/a,dst=/b,tmpfs-size=1m", "unknown"},
		{"src=/a,dst=/b,colour=red", "\"colour\""},
		{"type=tmpfs,src=/a,dst=/b", "no source"},
		{"type=tmpfs,dst=/b,tmpfs-size=much", "size"},
		{"type=tmpfs,dst=/b,tmpfs-size=", "size"},
		{"type=tmpfs,dst=/b,tmpfs-mode=999", "octal"},
		{"type=tmpfs,dst=/b,tmpfs-mode=17777", "octal"},
		{"type=tmpfs,dst=/b,bind-nonrecursive", "no option"},
		{"type=tmpfs,dst=/b,relabel=shared", "no option"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(volume_parse_mount, cases[i].text, cases[i].reason);
}

/* However much there is. */
static void check_many(parse_t parse, const char *start, const char *more)
{
	size_t length = strlen(start), step = strlen(more), n = 100000;
	autofree char *text = malloc(length + n * step + 1);
	struct volume volume = {.chown = true};
	struct err err = {0};

	assert_non_null(text);
	memcpy(text, start, length);
	for (size_t i = 0; i < n; i++)
		memcpy(text + length + i * step, more, step);
	text[length + n * step] = '\0';
	assert_int_equal(parse(text, &volume, &err), -EINVAL);
	assert_true(volume.chown);
	assert_non_null(strstr(err.msg, "more than"));
}

static void test_bounds(void **state)
{
	check_many(volume_parse_tmpfs, "/a:mode=1", ",size=1");
	check_many(volume_parse_mount, "type=tmpfs,dst=/a", ",tmpfs-size=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_volume),
		cmocka_unit_test(test_propagations),
		cmocka_unit_test(test_volume_refused),
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_tmpfs_refused),
		cmocka_unit_test(test_mount_bind),
		cmocka_unit_test(test_mount_tmpfs),
		cmocka_unit_test(test_mount_refused),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
