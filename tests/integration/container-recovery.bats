#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever of podctl, podd, podd-shim, the runtime and the outer container is killed, at whatever
# step: the rest goes on or is cleaned up, and the machine is as it was before.

load helpers

setup_file() {
	common_setup_file
	slow_runtimes
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	RUNTIME=
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# Runtimes that say on a fifo which step they are at, and wait there until they are told to go on
# (by a line) or are killed: $BATS_FILE_TMPDIR/slow/{crun,runc}.
slow_runtimes() {
	local engine
	mkdir "$BATS_FILE_TMPDIR/slow"
	for engine in crun runc; do
		cat >"$BATS_FILE_TMPDIR/slow/$engine" <<-END
			#!/bin/bash
			dir=\$(dirname "\$0")
			for step in "\$@"; do
				if [ "\$step" = "\$(cat "\$dir/stop-at" 2>/dev/null)" ]; then
					rm "\$dir/stop-at"
					echo \$\$ >"\$dir/at"
					read -r _ <"\$dir/go"
				fi
			done
			exec /usr/sbin/$engine "\$@"
		END
		sed -i "s#/usr/sbin/$engine#$(command -v $engine)#" "$BATS_FILE_TMPDIR/slow/$engine"
		chmod 0755 "$BATS_FILE_TMPDIR/slow/$engine"
	done
	mkfifo "$BATS_FILE_TMPDIR/slow/at" "$BATS_FILE_TMPDIR/slow/go"
}

stop_at() { echo "$1" >"$BATS_FILE_TMPDIR/slow/stop-at"; }
# Prints the pid of the runtime that has come to the step.
await_step() { timeout 10 cat "$BATS_FILE_TMPDIR/slow/at"; }
go_on() { echo >"$BATS_FILE_TMPDIR/slow/go"; }

kill9() { # pid...
	kill -KILL "$@" 2>/dev/null || podctl enter net0 -- kill -KILL "$@"
}

await_exited() { await_state "$1" phase exited; } # path

nothing_left() {
	podctl rm -f -t 0 net0/a || true
	[ -z "$(ls "$(pod_dir net0)/runtime")" ] || fail "the runtime has state left"
	pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

@test "podd killed: the container goes on, and a new podd finds it" {
	for RUNTIME in crun runc; do
		box run a -d sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.05; done'
		await_log net0/a up
		kill9 "$(pod_process net0 podd)"
		check 0 '' podctl start net0
		check 0 'net0/a .*running' podctl ps
		check 5 '' podctl exec net0/a sh -c 'exit 5'
		check 0 '' podctl stop net0/a
		equal "$(json "$(child_dir net0/a)/exit.json" .status)" 3
		nothing_left
	done
}

@test "podd killed: stop, exec, wait and logs need it not" {
	box run a -d sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.05; done'
	await_log net0/a up
	kill9 "$(pod_process net0 podd)"
	check 6 '' podctl exec net0/a sh -c 'exit 6'
	check 0 up podctl logs net0/a
	check 0 '' podctl stop net0/a
	check 0 '^3$' podctl wait net0/a
	podctl start net0
	nothing_left
}

@test "the shim killed: podd ends the container, its status is unknown" {
	for RUNTIME in crun runc; do
		for network in pod podd; do
			box run a -d --network $network sleep 1000
			local init
			init=$(init_pid net0/a)
			kill9 "$(shim_pid net0/a)"
			await_exited net0/a
			equal "$(jq .known "$(child_dir net0/a)/exit.json")" false
			has_ended "$init"
			check 0 'exited' podctl ps -a
			check 0 'unknown|255' podctl wait net0/a
			nothing_left
		done
	done
}

@test "the shim killed while podd is away: the next podd cleans up" {
	box run a -d sleep 1000
	kill9 "$(pod_process net0 podd)"
	kill9 "$(shim_pid net0/a)"
	podctl start net0
	await_exited net0/a
	nothing_left
}

@test "the shim killed under an attached podctl: one error, nothing left" {
	box run a sleep 1000 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local job=$! status=0
	await_state net0/a phase running
	kill9 "$(shim_pid net0/a)"
	wait $job || status=$?
	[ $status != 0 ] && [ $status != 137 ]
	nothing_left
}

@test "the shim or the runtime killed at each step of a start" {
	for engine in crun runc; do
		for victim in shim runtime podctl podd; do
			for step in create start; do
				stop_at $step
				podctl run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" \
					--runtime "$BATS_FILE_TMPDIR/slow/$engine" sleep 1000 \
					>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
				local job=$! pid status=0
				pid=$(await_step)
				case $victim in
				shim) kill9 "$(shim_pid net0/a)" "$pid" ;;
				runtime) kill9 "$pid" ;;
				podctl)
					pkill -KILL -P $job -x podctl || kill9 $job
					go_on
					;;
				podd)
					kill9 "$(pod_process net0 podd)"
					go_on
					podctl start net0
					await_state net0/a phase running
					podctl kill net0/a
					;;
				esac
				wait $job || status=$?
				echo "$engine $victim $step: $status: $(cat "$BATS_TEST_TMPDIR/out")"
				case $victim in
				shim) equal "$status" 125 ;;
				runtime)
					equal "$status" 125
					matches "$(<"$BATS_TEST_TMPDIR/out")" "$engine $step was killed by signal 9"
					;;
				podd) equal "$status" 137 ;;
				esac
				nothing_left
			done
		done
	done
}

@test "the first process killed before it runs: nobody waits for it" {
	local job pid status
	for engine in crun runc; do
		stop_at start
		podctl run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" \
			--runtime "$BATS_FILE_TMPDIR/slow/$engine" sleep 1000 \
			>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
		job=$! status=0
		pid=$(await_step)
		kill9 "$(init_pid net0/a)"
		go_on
		wait $job || status=$?
		equal "$status" 125
		matches "$(<"$BATS_TEST_TMPDIR/out")" 'killed before it ran|start'
		has_ended "$pid"
		nothing_left
	done
	stop_at start
	podctl run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --runtime "$BATS_FILE_TMPDIR/slow/crun" \
		sleep 1000 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$! status=0
	await_step
	podctl stop -t 0 net0
	wait $job || status=$?
	matches "$status" '^(125|137)$'
	check 1 '' grep 'in time' "$(pod_dir net0)/podd.log"
	podctl rm -f net0/a
}

@test "a stop that comes before the program runs has its own time" {
	local job stop status=0
	stop_at start
	podctl run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --runtime "$BATS_FILE_TMPDIR/slow/crun" \
		--stop-timeout 1000 sh -c 'trap "" TERM; sleep 1000' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	await_step
	podctl stop -t 0 net0/a &
	stop=$!
	await_state net0/a phase stopping
	go_on
	wait $job || status=$?
	equal "$status" 137
	wait $stop
	nothing_left
}

@test "the shim or the runtime killed while the container is deleted" {
	for victim in shim runtime; do
		podctl run -d --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --network podd \
			--runtime "$BATS_FILE_TMPDIR/slow/crun" sleep 1000
		stop_at delete
		kill9 "$(init_pid net0/a)"
		local pid
		pid=$(await_step)
		case $victim in
		shim) kill9 "$(shim_pid net0/a)" "$pid" ;;
		runtime) kill9 "$pid" ;;
		esac
		await_exited net0/a
		nothing_left
	done
}

@test "podctl killed during exec: the container goes on, the command's end leaves nothing" {
	for RUNTIME in crun runc; do
		box run a -d sleep 1000
		podctl exec -i net0/a sh -c 'echo up; read -r x; exit 0' <"$BATS_FILE_TMPDIR/slow/go" \
			>"$BATS_TEST_TMPDIR/out" 3>&- &
		local job=$!
		exec 8>"$BATS_FILE_TMPDIR/slow/go"
		await_file "$BATS_TEST_TMPDIR/out" up
		pkill -KILL -P $job -x podctl || kill9 $job
		exec 8>&-
		wait $job || true
		check 0 '' podctl exec net0/a true
		check 0 '' podctl stop -t 0 net0/a
		nothing_left
	done
}

@test "the outer container killed: everything of the pod ends" {
	box run a -d sleep 1000
	box run b -d --network podd sleep 1000
	local a b
	a=$(init_pid net0/a)
	b=$(init_pid net0/b)
	kill9 "$(pod_process net0 outer)"
	await_exited net0/a
	await_exited net0/b
	has_ended "$a"
	has_ended "$b"
	await_state net0 phase failed
	podctl rm -f net0
}

@test "a restart policy and a health check go on while podd is replaced" {
	box run a -d --restart always --health-cmd 'test -e /tmp/healthy' --health-interval 1 \
		-v "$BATS_TEST_TMPDIR:/io" sh -c 'echo run >>/io/runs; exec sleep 1000'
	kill9 "$(pod_process net0 podd)"
	kill9 "$(init_pid net0/a)"
	await_file "$BATS_TEST_TMPDIR/runs" 'run\nrun'
	podctl exec net0/a touch /tmp/healthy
	await_state net0/a health healthy
	podctl start net0
	check 0 'healthy' podctl ps
	podctl rm -f -t 0 net0/a
}
