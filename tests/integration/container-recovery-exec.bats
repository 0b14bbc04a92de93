#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGKILL for each of those who take part in a container's life, at each step of exec, and in the midst of plugins:
# what can go on goes on, what cannot is told, and nothing is left behind.

load helpers
load recovery

# ---- exec ----

# podctl exec of a "cat -" that waits for its input, until the runtime stands at the step.
exec_until() { # step
	plan "$1"
	[ -p "$BATS_TEST_TMPDIR/in" ] || mkfifo "$BATS_TEST_TMPDIR/in"
	exec {input}<>"$BATS_TEST_TMPDIR/in"
	"$PODD_STAGE/bin/podctl" exec -i net0/a cat - <&$input >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	arrive
}

end_input() { exec {input}<&-; }

# The container is as if nothing had happened.
still_there() {
	equal "$(init_pid net0/a)" "$init"
	check 0 '^here$' podctl exec net0/a echo here
}

EXEC=("before exec" "after exec")

@test "podctl killed at each step of exec: the command's input ends" {
	for engine in crun runc; do
		run_up
		for step in "${EXEC[@]}"; do
			exec_until "$step"
			kill_job
			release
			end_input
			while pid=$(pgrep -fx "cat -"); do
				await_end "$pid"
			done
			still_there
		done
		podctl rm -f -t 0 net0/a
		left_nothing
	done
}

@test "podd killed at each step of exec" {
	for engine in crun runc; do
		run_up
		for step in "${EXEC[@]}"; do
			exec_until "$step"
			kill_podd
			release
			kill_job
			end_input
			still_there
			podctl start net0
			still_there
		done
		podctl rm -f -t 0 net0/a
		left_nothing
	done
}

@test "the runtime killed at each step of exec" {
	for engine in crun runc; do
		run_up
		for step in "${EXEC[@]}"; do
			exec_until "$step"
			end_process KILL "$gated"
			job_status '125|137'
			end_input
			still_there
		done
		podctl rm -f -t 0 net0/a
		left_nothing
	done
}

@test "the shim killed at each step of exec" {
	for engine in crun runc; do
		for step in "${EXEC[@]}"; do
			run_up
			exec_until "$step"
			end_process KILL "$shim"
			await_end "$gated"
			await_end "$init"
			job_status '125|255'
			end_input
			ended_unknown
		done
	done
}

@test "the outer container killed at each step of exec" {
	for engine in crun runc; do
		for step in "${EXEC[@]}"; do
			run_up
			exec_until "$step"
			kill_outer
			job_status '[1-9][0-9]*'
			end_input
			replace_pod
		done
	done
}

# ---- in the midst of a create and a delete, with a network ----

# A network whose second plugin says on one fifo that it runs, and waits for a reader of the other.
gated_network() {
	mkfifo "$BATS_TEST_TMPDIR/runs" "$BATS_TEST_TMPDIR/dump"
	conflist gated "$(bridge_json chain0 10.66.0.0/24)" "$(jq -n \
		--arg log "$BATS_TEST_TMPDIR/runs" --arg dump "$BATS_TEST_TMPDIR/dump" \
		'{type: "fake", mode: "ok", log: $log, dump: $dump}')"
}

plugin_runs() { # command
	local line
	line=$(timeout 10 cat "$BATS_TEST_TMPDIR/runs") || {
		cat "$BATS_TEST_TMPDIR/out" >&2
		fail "the plugin was not called for $1"
	}
	matches "$line" "^[0-9]+ $1 "
}

open_plugin() { timeout 10 cat "$BATS_TEST_TMPDIR/dump" >/dev/null; }

# What the first child of a network makes stays: bridges, chains.
prepare_network() {
	local first
	gated_network
	client run --rm --name net0/first --rootfs "$BATS_FILE_TMPDIR/rootfs" --network gated true
	for first in ADD DEL; do
		plugin_runs $first
		open_plugin
	done
	job_status 0
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	in_pod_snapshot >"$BATS_TEST_TMPDIR/in-pod"
}

run_to_add() {
	client run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --runtime "$engine" \
		--network gated sh -c "$LIVE"
	plugin_runs ADD
}

@test "podd killed during an ADD and a DEL of a container" {
	prepare_network
	for engine in crun runc; do
		run_to_add
		kill_podd
		open_plugin
		await_log net0/a up
		podctl start net0
		podctl kill -s TERM net0/a
		plugin_runs DEL
		kill_podd
		open_plugin
		job_status 5
		podctl start net0
		podctl rm net0/a
		left_nothing
	done
}

@test "podctl killed during an ADD and a DEL of a container" {
	prepare_network
	for engine in crun runc; do
		run_to_add
		kill_job
		open_plugin
		await_log net0/a up
		client stop net0/a
		plugin_runs DEL
		kill_job
		open_plugin
		check 0 '^5$' podctl wait net0/a
		podctl rm net0/a
		left_nothing
	done
}

@test "the shim killed during an ADD: the network is taken down" {
	local cgroup
	prepare_network
	for engine in crun runc; do
		run_to_add
		cgroup=$(json "$(child_dir net0/a)/container.json" '.cgroup // ""' -r)
		end_process KILL "$(shim_pid net0/a)"
		# What runs in the container's cgroup is ended with it; without one, the ADD goes on.
		[ -n "$cgroup" ] || open_plugin
		plugin_runs DEL
		open_plugin
		job_status 125
		# It never ran: podctl run takes it back.
		[ ! -e "$(child_dir net0/a)" ]
		left_nothing
	done
}

@test "the shim of a container with a network killed: the network is taken down" {
	prepare_network
	for engine in crun runc; do
		run_to_add
		open_plugin
		await_log net0/a up
		end_process KILL "$(shim_pid net0/a)"
		plugin_runs DEL
		open_plugin
		job_status '125|255'
		ended_unknown
	done
}

@test "the shim killed during a DEL" {
	prepare_network
	for engine in crun runc; do
		run_to_add
		open_plugin
		await_log net0/a up
		shim=$(shim_pid net0/a)
		podctl kill -s TERM net0/a
		plugin_runs DEL
		end_process KILL "$shim"
		open_plugin
		job_status '125|255'
		ended_unknown
	done
}
