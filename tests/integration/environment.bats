#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the machine can lack: space, programs, devices, directories. A clear error, nothing
# half-made.

load helpers

setup_file() {
	common_setup_file
}

setup() {
	export PODD_ROOT=$XDG_RUNTIME_DIR/podd
	small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
	admin tmpfs "$small" 512k
	snapshot "$BATS_TEST_TMPDIR/before"
}

teardown() {
	admin tun open
	[ -e /usr/bin/newuidmap ] || admin show /usr/bin/newuidmap
	rm -f "$small/fill"
	for PODD_ROOT in "$small/podd" "$XDG_RUNTIME_DIR/podd"; do
		clean_pods
	done
	rm -rf "$small/podd"
	compare "$BATS_TEST_TMPDIR/before"
	admin umount "$small"
}

fill_disk() {
	dd if=/dev/zero of="$small/fill" bs=1k 2>/dev/null || true
	run dd if=/dev/zero of="$small/more" bs=1 count=1
	[ "$status" -ne 0 ]
	rm -f "$small/more"
}

on_small_disk() {
	export PODD_ROOT=$small/podd
}

@test "full disk: create makes no pod" {
	on_small_disk
	podctl create first
	fill_disk
	check 125 'No space' podctl create net0
	[ ! -e "$(pod_dir net0)" ]
	rm "$small/fill"
	check 0 '' podctl create net0
}

@test "full disk: a pod that cannot write its state does not start" {
	on_small_disk
	podctl create net0
	fill_disk
	check 125 'No space' podctl start net0
	snapshot "$BATS_TEST_TMPDIR/failed"
	diff "$BATS_TEST_TMPDIR/before/processes" "$BATS_TEST_TMPDIR/failed/processes"
	rm "$small/fill"
	check 0 '' podctl start net0
}

@test "full disk: a running pod stops" {
	on_small_disk
	podctl create net0
	podctl start net0
	fill_disk
	check 0 '' podctl stop net0
	rm "$small/fill"
	check 0 '' podctl rm net0
}

@test "full disk: a child is not attached, and nothing of it stays" {
	on_small_disk
	podctl create net0
	podctl start net0
	run_child crun net0 first true
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle net0 "$BATS_TEST_TMPDIR/box"
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	for engine in runc crun; do
		fill_disk
		run $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" -ne 0 ]
		[ $engine = crun ] || matches "$output" 'No space|no space'
		rm "$small/fill"
		rm -rf "$(pod_dir net0)/children/box"
		pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	done
}

# Space for some records and not for others: the disk is filled but for that many pages.
@test "full disk at every step of an attachment" {
	on_small_disk
	podctl create net0
	podctl start net0
	run_child crun net0 first true
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle net0 "$BATS_TEST_TMPDIR/box"
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	failures=0
	for pages in $(seq 0 12); do
		fill_disk
		truncate -s -$((pages * 4))k "$small/fill"
		run crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" = 0 ] || failures=$((failures + 1))
		rm "$small/fill"
		rm -rf "$(pod_dir net0)/children/box"
		pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	done
	[ $failures -gt 0 ]
	[ $failures -lt 13 ]
}

@test "full disk: a child is detached" {
	on_small_disk
	podctl create net0
	podctl start net0
	run_child crun net0 first true
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	for engine in runc crun; do
		serve $engine net0 box
		fill_disk
		end_child $engine net0 box "$BATS_TEST_TMPDIR/box"
		rm "$small/fill"
		pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	done
}

@test "newuidmap is missing" {
	podctl create net0
	admin hide /usr/bin/newuidmap
	if rootless; then
		check 125 'newuidmap.*uidmap|uidmap.*newuidmap' podctl start net0
	else
		check 0 '' podctl start net0
	fi
}

@test "/dev/net/tun is missing" {
	podctl create net0
	admin tun missing
	check 125 '/dev/net/tun.*(modprobe|module|missing|exist|No such)' podctl start net0
	admin tun open
	check 0 '' podctl start net0
}

@test "/dev/net/tun is forbidden" {
	podctl create net0
	admin tun forbidden
	if rootless; then
		check 125 '/dev/net/tun.*(chmod|permission|Permission|0666)' podctl start net0
	else
		check 0 '' podctl start net0
	fi
	podctl create --net none alone
	check 0 '' podctl start alone
}

@test "without XDG_RUNTIME_DIR the user's runtime directory is used" {
	unset PODD_ROOT
	check 0 '' env -u XDG_RUNTIME_DIR "$PODD_STAGE/bin/podctl" create net0
	# Root of a user namespace has the pods of the user who made that.
	owner=$(id -u)
	rootless || owner=$(awk '$1 == 0 { print $2 }' /proc/self/uid_map)
	root=/tmp/podd-$owner
	[ ! -d "/run/user/$owner" ] || root=/run/user/$owner/podd
	[ "$owner" != 0 ] || root=/run/podd
	[ -e "$root/net0/pod.json" ]
	env -u XDG_RUNTIME_DIR "$PODD_STAGE/bin/podctl" rm net0
	rootless || rmdir "$root"
}

@test "a root that belongs to somebody else is refused" {
	theirs=/run/podd-test/foreign
	unset PODD_ROOT
	check 125 "$theirs.*(own|permission|Permission|belong)" podctl --root "$theirs" create net0
}

@test "a root that others may write is refused" {
	mkdir -m 0777 "$BATS_TEST_TMPDIR/open"
	check 125 "open.*(writ|mode|others)" podctl --root "$BATS_TEST_TMPDIR/open" create net0
	rmdir "$BATS_TEST_TMPDIR/open"
}

@test "a symbolic link in the root's place is refused" {
	mkdir "$BATS_TEST_TMPDIR/real"
	ln -s real "$BATS_TEST_TMPDIR/link"
	check 125 "link" podctl --root "$BATS_TEST_TMPDIR/link" create net0
	[ -z "$(ls "$BATS_TEST_TMPDIR/real")" ]
	rm -r "$BATS_TEST_TMPDIR/real" "$BATS_TEST_TMPDIR/link"
}

@test "a relative root is refused" {
	check '2|125' 'absolute' podctl --root here create net0
}

@test "records of another boot are recognised" {
	podctl create net0
	podctl start net0
	podctl stop net0
	jq '.phase = "running" | .bootId = "00000000000000000000000000000000" |
		.outer = {pid: 1, startTime: 1} | .podd = {pid: 1, startTime: 1}' \
		"$(pod_dir net0)/state.json" >"$BATS_TEST_TMPDIR/state"
	cat "$BATS_TEST_TMPDIR/state" >"$(pod_dir net0)/state.json"
	rm "$BATS_TEST_TMPDIR/state"
	check 0 'net0 .*stopped' podctl ps
	check 0 '' podctl start net0
	check 0 'net0 .*running' podctl ps
}

@test "damaged records are named, and do not disturb other pods" {
	podctl create bad
	podctl create good
	echo '{"version": 1' >"$(pod_dir bad)/pod.json"
	check 125 'pod.json' podctl start bad
	run podctl ps
	matches "$output" 'good'
	check 0 '' podctl start good
	echo '{"version": 99}' >"$(pod_dir bad)/pod.json"
	check 125 'version' podctl start bad
	check 0 '' podctl rm -f bad
}

@test "an XDG_RUNTIME_DIR that is a link, or open to others, is refused" {
	rootless || return 0
	unset PODD_ROOT
	mkdir "$BATS_TEST_TMPDIR/open"
	chmod 777 "$BATS_TEST_TMPDIR/open"
	ln -s "$XDG_RUNTIME_DIR" "$BATS_TEST_TMPDIR/link"
	for dir in link open; do
		check 125 'XDG_RUNTIME_DIR' env XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/$dir" \
			"$PODD_STAGE/bin/podctl" create net0
	done
	[ ! -e "$XDG_RUNTIME_DIR/podd/net0" ]
	[ ! -e "$BATS_TEST_TMPDIR/open/podd" ]
}
