# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of recovery share: a pod whose containers' runtimes wait at a step, and what is to
# be left when somebody was killed there. Needs helpers.bash. Tests set $engine to crun or runc.

# What the runtime is asked for until the container is up, and after its end.
BEGIN=("before create" "after create" "before start" "after start")
END=("before delete" "after delete")
# A program that goes on until it is told to end.
LIVE='trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'

setup_file() {
	common_setup_file
	use_cni_config
	use_fake_plugin
}

setup() {
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	make_gates
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	in_pod_snapshot >"$BATS_TEST_TMPDIR/in-pod"
}

teardown() {
	rescue || true
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# ---- runtimes that wait at a step ----

# $GATE/crun and $GATE/runc are the real ones but for the step that $GATE/plan names, "before VERB"
# or "after VERB": there they say their pid on one fifo and wait for another.
make_gates() {
	local name
	GATE=$BATS_TEST_TMPDIR/gate
	mkdir "$GATE"
	mkfifo "$GATE/reached" "$GATE/open"
	: >"$GATE/plan"
	cat >"$GATE/gate" <<-'SCRIPT'
		#!/bin/bash
		dir=${0%/*}
		for verb; do
			case $verb in create | start | exec | delete) break ;; esac
		done
		stop_at() {
			[ "$(<"$dir/plan")" = "$1 $verb" ] || return 1
			echo $$ >"$dir/reached"
			read -r _ <"$dir/open"
		}
		stop_at before
		[ "$(<"$dir/plan")" = "after $verb" ] || exec "${0##*/}" "$@"
		"${0##*/}" "$@"
		status=$?
		stop_at after
		exit $status
	SCRIPT
	chmod 0755 "$GATE/gate"
	for name in crun runc; do
		cp "$GATE/gate" "$GATE/$name"
	done
}

plan() { echo "$1" >"$GATE/plan"; }

# The runtime stands at the planned step; the next call shall not.
arrive() {
	gated=$(timeout 10 cat "$GATE/reached") || {
		cat "$BATS_TEST_TMPDIR/out" >&2 || true
		fail "the runtime did not come to '$(<"$GATE/plan")'"
	}
	plan ""
}

release() {
	timeout 5 bash -c 'echo >"$0"' "$GATE/open" || fail "the runtime does not wait any more"
}

await_end() { # pid
	echo "$1" >"$BATS_TEST_TMPDIR/pid"
	timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || true
	has_ended "$1" || fail "$(ps -f -p "$1") is still there"
}

# ---- what is started ----

# client VERB ARGUMENT...: podctl as a job of the test's, whose pid is $job.
client() {
	"$PODD_STAGE/bin/podctl" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
	job=$!
}

job_status() { # expected
	local status=0
	wait "$job" || status=$?
	[[ $status =~ ^($1)$ ]] ||
		fail "podctl ended with $status, not $1: $(<"$BATS_TEST_TMPDIR/out")"
}

kill_job() {
	end_process KILL "$job"
	wait "$job" || true
}

# run_until STEP SCRIPT [OPTION...]: podctl run, until its runtime stands at the step.
run_until() {
	local step=$1 script=$2
	shift 2
	plan "$step"
	client run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --runtime "$GATE/$engine" "$@" \
		sh -c "$script"
	arrive
}

# A container that is up; init and shim are its processes.
run_up() { # [option...]
	box run a -d --runtime "$GATE/$engine" "$@" sh -c "$LIVE" >/dev/null
	await_log net0/a up
	init=$(init_pid net0/a)
	shim=$(shim_pid net0/a)
}

kill_podd() { end_process KILL "$(pod_process net0 podd)"; }

# The outer container is killed; podd cleans up and ends.
kill_outer() {
	local podd
	podd=$(pod_process net0 podd)
	end_process KILL "$(pod_process net0 outer)"
	await_end "$podd"
	check 0 'net0 .*failed' podctl ps
}

# A fresh pod after that.
replace_pod() {
	podctl rm -f net0 >/dev/null
	compare "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
}

# ---- what is left ----

# The names of the pod's processes, in its user namespace and out of it, and mounts of containers.
in_pod_snapshot() {
	local own entry
	own=$(readlink "$(pod_dir net0)/ns/user" || true)
	[[ $own == user:* ]] || own=$(readlink "/proc/$(pod_process net0 outer)/ns/user")
	for entry in /proc/[0-9]*; do
		[ "$(readlink "$entry/ns/user" 2>/dev/null)" != "$own" ] || cat "$entry/comm" 2>/dev/null
	done | sort
	inside net0 sh -c 'cut -d" " -f5 /proc/self/mountinfo | grep /children/; true' | sort
	ls "$(pod_dir net0)/runtime"
}

left_nothing() {
	local shims
	shims=$(pgrep -f "podd-shim.*$PODD_ROOT" || true)
	[ -z "$shims" ] || for pid in $shims; do await_end "$pid"; done
	pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	in_pod_snapshot >"$BATS_TEST_TMPDIR/in-pod.after"
	diff -U0 "$BATS_TEST_TMPDIR/in-pod" "$BATS_TEST_TMPDIR/in-pod.after" >&2 ||
		fail "something was left in the pod"
}

# The end of a container whose shim was killed: nobody knows its status, and podctl rm takes it.
ended_unknown() {
	check 0 '(^|[^0-9])255$' podctl wait net0/a
	check 0 'net0/a .*(exited|unknown)' podctl ps -a
	equal "$(json "$(child_dir net0/a)/exit.json" .known -c || true)" false
	podctl rm net0/a
	left_nothing
}
