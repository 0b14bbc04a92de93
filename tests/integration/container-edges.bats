#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What went wrong once in the life of containers: streams of short commands, hostile trees, readers
# that stop, many connections.

load helpers

setup_file() {
	common_setup_file
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	RUNTIME=
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

@test "what a command writes to its standard error at once is not taken for the runtime's" {
	for RUNTIME in crun runc; do
		box run a -d sleep 1000
		for _ in 1 2 3 4 5 6 7 8; do
			equal "$(podctl exec net0/a sh -c 'echo err >&2; echo out' 2>&1 | sort)" $'err\nout'
		done
		equal "$(grep -c err "$(child_dir net0/a)/shim.log" || true)" 0
		equal "$(find "$(child_dir net0/a)/run" -name 'exec*')" ""
		podctl rm -f -t 0 net0/a
	done
}

@test "detached commands and health checks can write to their standard error at any time" {
	for RUNTIME in crun runc; do
		box run a -d -v "$BATS_TEST_TMPDIR:/io" --health-interval 1 --health-retries 1 \
			--health-cmd 'sleep 0.2; echo late >&2; exit 0' sleep 1000
		podctl exec -d net0/a sh -c \
			'trap "echo pipe >/io/said; exit" PIPE; sleep 0.2; echo x >&2; echo fine >/io/said'
		await_file "$BATS_TEST_TMPDIR/said" '.'
		equal "$(cat "$BATS_TEST_TMPDIR/said")" fine
		await_state net0/a health healthy
		podctl rm -f -t 0 net0/a
		rm "$BATS_TEST_TMPDIR/said"
	done
}

@test "a program's own status 1 is not taken for one that cannot be run" {
	printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/entry"
	chmod 0755 "$BATS_TEST_TMPDIR/entry"
	cp "$BATS_TEST_TMPDIR/entry" "$BATS_TEST_TMPDIR/plain"
	chmod 0644 "$BATS_TEST_TMPDIR/plain"
	for RUNTIME in crun runc; do
		check 1 '' box run a --rm -v "$BATS_TEST_TMPDIR/entry:/entry" /entry
		check 126 '' box run a --rm -v "$BATS_TEST_TMPDIR/plain:/plain" /plain
		check 125 '' box run a --rm --init --ulimit nofile=99999999:99999999 true
		check 0 '' box run a --rm --init true
	done
}

@test "however deep a container makes its tree, it can be removed" {
	podctl run --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs:O" sh -c \
		'i=0; while [ $i -lt 300 ]; do mkdir d; touch f; cd d; i=$((i+1)); done'
	check 0 '' podctl start -a net0/a
	check 0 '' podctl rm net0/a
	[ ! -e "$(child_dir net0/a)" ]
}

@test "processes of a shared pid namespace do not outlive a killed shim" {
	box run a -d --share pid sh -c 'sleep 7654 & exec sleep 1000'
	await_file "$(child_dir net0/a)/state.json" mountNamespace
	pgrep -f 'sleep 7654'
	valid container-state "$(child_dir net0/a)/state.json"
	kill -9 "$(shim_pid net0/a)" 2>/dev/null ||
		podctl enter net0 -- kill -9 "$(shim_pid net0/a)"
	await_state net0/a phase exited
	check 1 '' pgrep -f 'sleep 7654'
	podctl rm net0/a
}

@test "a command whose reader has stopped does not keep its container from ending" {
	mkfifo "$BATS_TEST_TMPDIR/stuck"
	exec 8<>"$BATS_TEST_TMPDIR/stuck"
	box run a -d sh -c 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done'
	await_log net0/a up
	# Not the function, whose shell alone would be killed.
	"$PODD_STAGE/bin/podctl" exec net0/a yes >&8 3>&- &
	local reader=$!
	read -rt 10 -u 8 _
	check 0 '' podctl stop net0/a
	check 0 '' podctl start net0/a
	check 0 '' podctl rm -f -t 0 net0/a
	end_process KILL $reader
	wait $reader || true
	exec 8<&-
}

@test "many connections do not keep anybody from stopping a container" {
	local jobs=() i
	box run a -d sleep 1000
	for ((i = 0; i < 64; i++)); do
		"$PODD_STAGE/bin/podctl" attach --no-stdin net0/a >/dev/null 2>&1 3>&- &
		jobs+=($!)
	done
	# Served once the others are.
	check '0|125' '' podctl exec net0/a true
	check 0 '' podctl stop -t 0 net0/a
	for i in "${jobs[@]}"; do wait "$i" || true; done
	podctl rm net0/a
}

@test "a changed restart policy counts for what runs, and input reaches the next run" {
	box run a -d -v "$BATS_TEST_TMPDIR:/io" sh -c 'echo run >>/io/runs; until [ -e /io/go ]; do sleep 0.05; done; exit 1'
	await_file "$BATS_TEST_TMPDIR/runs" run
	podctl update --restart always net0/a
	touch "$BATS_TEST_TMPDIR/go"
	await_file "$BATS_TEST_TMPDIR/runs" 'run\nrun'
	podctl rm -f -t 0 net0/a
	box create a -i --restart always -v "$BATS_TEST_TMPDIR:/io" sh -c \
		'[ -e /io/second ] || { echo >/io/second; sleep 0.3; exit 1; }; wc -c >/io/count; exec sleep 1000'
	head -c 300000 /dev/zero | timeout 20 "$PODD_STAGE/bin/podctl" start -a -i net0/a 3>&- &
	await_file "$BATS_TEST_TMPDIR/count" '[0-9]'
	podctl rm -f -t 0 net0/a
	wait $! || true
}

@test "who attaches during a start that fails is told its status" {
	mkdir "$BATS_TEST_TMPDIR/gate"
	mkfifo "$BATS_TEST_TMPDIR/gate/reached" "$BATS_TEST_TMPDIR/gate/open"
	cat >"$BATS_TEST_TMPDIR/gate/crun" <<-'END'
		#!/bin/bash
		case "$*" in *" create "*)
			echo here >"${0%/*}/reached"
			read -r _ <"${0%/*}/open" ;;
		esac
		exec crun "$@"
	END
	chmod 0755 "$BATS_TEST_TMPDIR/gate/crun"
	box create a -it --runtime "$BATS_TEST_TMPDIR/gate/crun" nosuch
	"$PODD_STAGE/bin/podctl" start net0/a >/dev/null 2>&1 3>&- &
	local starter=$!
	read -rt 10 _ <"$BATS_TEST_TMPDIR/gate/reached"
	# Its terminal is raw as soon as it is attached.
	"$BATS_TEST_DIRNAME/terminal" podctl attach net0/a 3>&- <<-END
		raw
		sh echo >$BATS_TEST_TMPDIR/gate/open
		end 127
		cooked
	END
	wait $starter || true
	podctl rm -f net0/a
}

@test "events tells of pods that are made later" {
	"$PODD_STAGE/bin/podctl" events --format json >"$BATS_TEST_TMPDIR/events" 3>&- &
	local events=$! i
	box run a --rm true
	await_file "$BATS_TEST_TMPDIR/events" '"child": ?"a"'
	for i in 1 2 3; do
		podctl run --rm --name "later$i" --rootfs "$BATS_FILE_TMPDIR/rootfs" sleep 0.2
		await_file "$BATS_TEST_TMPDIR/events" "\"later$i\""
	done
	end_process TERM $events
	wait $events || true
}

@test "times of health checks have a limit" {
	check 125 'at most a week' box create a --health-cmd true --health-interval 8000h true
	[ ! -e "$(child_dir net0/a)" ]
}

@test "the quota of keys does not limit the number of containers" {
	local said i
	mkfifo "$BATS_TEST_TMPDIR/hold"
	"$TOOL" hold-keys 10 <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	local holder=$!
	exec 8>"$BATS_TEST_TMPDIR/hold"
	await_file "$BATS_TEST_TMPDIR/held" .
	said=$(cat "$BATS_TEST_TMPDIR/held")
	for RUNTIME in crun runc; do
		for ((i = 0; i < 12; i++)); do
			box run "c$i" -d sleep 1000
		done
		[ "$said" = "no quota" ] || grep 'shares a session keyring' "$(child_dir net0/c11)/shim.log"
		check 0 '' podctl exec net0/c11 true
		for ((i = 0; i < 12; i++)); do
			podctl rm -f -t 0 "net0/c$i"
		done
	done
	exec 8>&-
	wait $holder
}

@test "nor the number of pods" {
	local said i
	mkfifo "$BATS_TEST_TMPDIR/hold"
	"$TOOL" hold-keys 1 <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	local holder=$!
	exec 8>"$BATS_TEST_TMPDIR/hold"
	await_file "$BATS_TEST_TMPDIR/held" .
	said=$(cat "$BATS_TEST_TMPDIR/held")
	for ((i = 0; i < 3; i++)); do
		podctl run -d --name "own$i" --rootfs "$BATS_FILE_TMPDIR/rootfs" sleep 1000
	done
	[ "$said" = "no quota" ] || grep 'a session keyring with others$' "$(child_dir own2/own2)/shim.log"
	for ((i = 0; i < 3; i++)); do
		podctl rm -f -t 0 "own$i/own$i"
	done
	exec 8>&-
	wait $holder
}
