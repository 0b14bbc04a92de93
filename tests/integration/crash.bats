#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Each call by which podd's programs change files fails once, or is the last one of its program. Whatever
# that leaves can be looked at, goes on, and can be removed without a trace.
#
# Of each operation and program one place is tried, another one in each mode; with PODD_CRASH_ALL all of
# them, in both ways: make crash.

load helpers

setup_file() {
	common_setup_file
	cp "$FAKE/fault.so" "$BATS_FILE_TMPDIR/fault.so"
	admin preload "$BATS_FILE_TMPDIR/fault.so"
	snapshot "$BATS_FILE_TMPDIR/before"
}

teardown_file() {
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
	admin preload none
}

setup() {
	coproc VALIDATOR { exec "$TOOL" records "$SCHEMAS" 3>&-; }
	failures=0
}

teardown() {
	rm -f "$BATS_FILE_TMPDIR"/fault-{control,fired}
	eval "exec ${VALIDATOR[1]}>&-"
	rescue || true
	podctl rm -f -t 0 -a >/dev/null 2>&1 || true
}

arm() { # program n action
	rm -f "$BATS_FILE_TMPDIR/fault-fired"
	echo "$RANDOM-$1-$2-$3 $1 $2 $3" >"$BATS_FILE_TMPDIR/fault-control.new"
	mv "$BATS_FILE_TMPDIR/fault-control.new" "$BATS_FILE_TMPDIR/fault-control"
}

# Return: 1 when the program does not come so far.
disarm() {
	rm -f "$BATS_FILE_TMPDIR/fault-control"
	[ -e "$BATS_FILE_TMPDIR/fault-fired" ]
}

complain() { # what
	echo "$program, $action at call $n of $operation ($(cat "$BATS_FILE_TMPDIR/fault-fired" 2>&1)): $1"
	cat "$PODD_ROOT"/*/podd.log "$PODD_ROOT"/*/children/*/shim.log 2>/dev/null | tail -n 20
	failures=$((failures + 1))
}

try() { # command...
	local output
	output=$(timeout 20 "$PODD_STAGE/bin/podctl" "$@" 2>&1 3>&-) || complain "podctl $*: $output"
}

# What there is after the fault: readable, of use, and removable.
examine() {
	local answer
	try ps -a --format json
	echo "$PODD_ROOT" >&"${VALIDATOR[1]}"
	read -r -t 10 answer <&"${VALIDATOR[0]}"
	[ "$answer" = valid ] || complain "$answer"
	if podctl ps -a --format json | grep -q '"invalid"'; then
		complain "$(podctl ps -a)"
	fi
	if [ -e "$PODD_ROOT/net0/pod.json" ]; then
		try start net0
	fi
	[ ! -e "$PODD_ROOT/net0" ] || try rm -f -t 0 net0
	[ -z "$(crun list -q)" ] || crun delete -f net0.a >/dev/null 2>&1 || true
	answer=$(ls -A "$PODD_ROOT")
	[ -z "$answer" ] || complain "left: $(find "$PODD_ROOT")"
	podctl rm -f -t 0 net0 >/dev/null 2>&1 || true
	rm -rf "${PODD_ROOT:?}"/*
}

# one_fault N ACTION: prepares, has the operation fail there, and looks. Return: 1 when the program has
# no such place.
one_fault() {
	local result=0
	n=$1 action=$2
	$preparation >"$BATS_TEST_TMPDIR/output" 2>&1 || fail "$preparation: $(<"$BATS_TEST_TMPDIR/output")" || exit 1
	arm "$program" "$n" "$action"
	timeout 20 bash -c "$(declare -f podctl "$operation"); $operation" >"$BATS_TEST_TMPDIR/output" 2>&1 \
		3>&- || result=$?
	if disarm; then
		examine
		[ "$failures" -lt 5 ] || fail "too many"
	else
		[ "$result" -eq 0 ] || complain "$(<"$BATS_TEST_TMPDIR/output")"
		podctl rm -f -t 0 net0 >/dev/null
		[ -z "$(crun list -q)" ] || crun delete -f net0.a >/dev/null 2>&1 || true
		return 1
	fi
}

all_faults() {
	for action in ENOSPC KILL; do
		n=1
		while one_fault "$n" "$action"; do n=$((n + 1)); done
	done
}

# The same one each time, and another one in another mode.
some_fault() { # number
	local mode actions=(ENOSPC KILL EIO)
	case $PODD_TEST_MODE in root) mode=0 ;; user) mode=1 ;; *) mode=2 ;; esac
	one_fault $((($1 * 5 + mode * 4) % 11 + 1)) "${actions[($1 + mode) % 3]}" ||
		one_fault 1 "${actions[($1 + mode) % 3]}" || true
}

# each_fault OPERATION PREPARATION PROGRAM...: functions, and in which programs calls fail.
each_fault() {
	local operation=$1 preparation=$2 program number
	shift 2
	number=$((BATS_TEST_NUMBER * 10))
	for program in "$@"; do
		number=$((number + 1))
		if [ -n "${PODD_CRASH_ALL:-}" ]; then all_faults; else some_fault $number; fi
	done
	[ "$failures" -eq 0 ]
}

nothing() { :; }
a_pod() { podctl create net0; }
a_running_pod() { podctl create net0 && podctl start net0; }
a_container() {
	a_running_pod && box run a -d --network podd --stop-signal KILL sleep 1000
}

# One that a runtime on the host starts, and the hook attaches.
a_bundle() {
	rm -rf "$BATS_TEST_TMPDIR/bundle"
	make_bundle "$BATS_TEST_TMPDIR/bundle" sleep 1000
	a_running_pod && podctl bundle --name a --network podd net0 "$BATS_TEST_TMPDIR/bundle"
}
an_attached_bundle() {
	a_bundle && crun run -d --bundle "$BATS_TEST_TMPDIR/bundle" net0.a </dev/null
}

do_attach() { crun run -d --bundle "$BATS_TEST_TMPDIR/bundle" net0.a </dev/null; }
do_detach() { crun delete -f net0.a; }
do_create() { podctl create net0; }
do_start() { podctl start net0; }
do_stop() { podctl stop -t 1 net0; }
do_run() {
	podctl run -d --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --network podd -p 7400:80 \
		--egress 'deny to 192.0.2.1' --stop-signal KILL sleep 1000
}
a_definition() {
	install -d -m 0700 "$BATS_TEST_TMPDIR/pods.d"
	jq -n --arg rootfs "$BATS_FILE_TMPDIR/rootfs" '{version: 1, containers: {a: {command: ["sleep", "1000"],
		options: {rootfs: $rootfs, "stop-signal": "KILL"}}}}' >"$BATS_TEST_TMPDIR/pods.d/net0.json"
}
do_apply() { podctl apply --dir "$BATS_TEST_TMPDIR/pods.d"; }
do_stop_container() { podctl stop -t 1 net0/a; }
do_remove_container() { podctl rm -f -t 0 net0/a; }
do_change() {
	podctl port add net0/a 7401:81
	podctl egress add net0 deny to 192.0.2.1
	podctl update --restart always net0/a
}

@test "podctl create" { each_fault do_create nothing podctl; }

@test "podctl start of a pod" { each_fault do_start a_pod podctl podd; }

@test "podctl stop of a pod" { each_fault do_stop a_container podctl podd podd-shim podd-hook; }

@test "podctl run" { each_fault do_run a_running_pod podctl podd podd-shim podd-hook; }

@test "podctl apply" { each_fault do_apply a_definition podctl; }

@test "podctl stop of a container" { each_fault do_stop_container a_container podctl podd podd-shim podd-hook; }

@test "podctl rm of a container" { each_fault do_remove_container a_container podctl podd podd-shim podd-hook; }

@test "a runtime of the host's: attaching" { each_fault do_attach a_bundle podd-hook podd; }

@test "a runtime of the host's: detaching" { each_fault do_detach an_attached_bundle podd-hook podd; }

@test "ports, egress rules, the restart policy" { each_fault do_change a_container podctl podd; }
