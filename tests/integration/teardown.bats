#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything goes when a container or a program ends, however it ends.

load helpers

setup_file() {
	common_setup_file
	use_cni_config
	use_fake_plugin
	snapshot "$BATS_FILE_TMPDIR/before"
	podctl create net0
	podctl start net0
	run_child crun net0 first true
}

teardown_file() {
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	podctl start net0
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	podctl start net0
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

# Sets up a watch on the child's record; gone_within_a_second is to follow what ends the child.
watch_record() { # child
	coproc WATCH { "$TOOL" wait-gone "$(attachment net0 "$1")" 1 3>&-; }
	exec {watch}>&"${WATCH[1]}"
	watch_job=$WATCH_PID
	read -r line <&"${WATCH[0]}"
	equal "$line" watching
	exec {watch_out}<&"${WATCH[0]}"
}

gone_within_a_second() {
	echo go >&"$watch"
	read -r line <&"$watch_out"
	wait "$watch_job" || fail "$line"
}

init_of() { json "$(attachment net0 "$1")" .init.pid; }

@test "a container that is killed is detached within a second, without poststop" {
	for engine in runc crun; do
		serve $engine net0 box
		watch_record box
		kill -9 "$(init_of box)"
		gone_within_a_second
		pod_compare net0 "$BATS_TEST_TMPDIR/pod"
		check 0 '' $engine delete net0.box
	done
}

@test "a container whose runtime was killed before is detached when it ends" {
	for engine in runc crun; do
		make_bundle "$BATS_TEST_TMPDIR/box" sh -c "$SERVER"
		podctl bundle net0 "$BATS_TEST_TMPDIR/box"
		command $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null >/dev/null 2>&1 3>&- &
		engine_pid=$!
		cat "$BATS_TEST_TMPDIR/box/io/up"
		kill -9 $engine_pid
		wait $engine_pid || true
		watch_record box
		echo end >"$BATS_TEST_TMPDIR/box/io/end"
		gone_within_a_second
		run $engine delete -f net0.box
	done
}

@test "a shared container that is killed is forgotten within a second" {
	for engine in runc crun; do
		serve $engine net0 box --share net
		watch_record box
		kill -9 "$(init_of box)"
		gone_within_a_second
		$engine delete net0.box
	done
}

@test "the event stream tells of children that come and go" {
	coproc EVENTS { "$TOOL" events "$(pod_dir net0)/control.sock" io.podd.Pod.Events 3>&-; }
	events_pid=$EVENTS_PID
	exec {events}<&"${EVENTS[0]}"
	read -r -t 5 line <&"$events"
	equal "$(json - .type <<<"$line")" now
	run_child crun net0 box true
	seen=
	while [[ $seen != *detach* ]] && read -r -t 5 line <&"$events"; do
		equal "$(json - .pod <<<"$line")" net0
		[ "$(jq -r '.child // ""' <<<"$line")" != box ] || seen+=" $(json - .type <<<"$line")"
	done
	matches "$seen" 'attach.*detach'
	kill "$events_pid"
	exec {events}<&-
}

@test "podd killed while containers run: it is replaced and adopts them" {
	serve runc net0 alpha
	serve crun net0 beta
	outer=$(pod_process net0 outer)
	uplink=$(pod_process net0 uplink)
	end_process KILL "$(pod_process net0 podd)"
	# Nothing of the pod is disturbed.
	check 0 'I am alpha' fetch net0 "$(child_ip net0 alpha)"
	check 0 '' podctl start net0
	equal "$(pod_process net0 outer)" "$outer"
	equal "$(pod_process net0 uplink)" "$uplink"
	check 0 'I am beta' run_child crun net0 probe 'timeout 5 wget -q -O - http://beta/'
	watch_record beta
	kill -9 "$(init_of beta)"
	gone_within_a_second
	crun delete net0.beta
	end_child runc net0 alpha "$BATS_TEST_TMPDIR/alpha"
}

@test "a container that ended while podd was dead is detached by the next podd" {
	serve crun net0 alpha
	end_process KILL "$(pod_process net0 podd)"
	end_process KILL "$(init_of alpha)"
	[ -e "$(attachment net0 alpha)" ]
	podctl start net0
	if [ -e "$(attachment net0 alpha)" ]; then
		watch_record alpha
		gone_within_a_second
	fi
	crun delete net0.alpha
}

@test "a container that started while podd was dead is watched by the next one" {
	end_process KILL "$(pod_process net0 podd)"
	serve crun net0 alpha
	podctl start net0
	watch_record alpha
	kill -9 "$(init_of alpha)"
	gone_within_a_second
	crun delete net0.alpha
}

# A network whose second plugin says on one fifo that it runs, and waits for a reader of the other.
gated_network() {
	mkfifo "$BATS_TEST_TMPDIR/runs" "$BATS_TEST_TMPDIR/gate"
	conflist gated "$(bridge_json chain0 10.66.0.0/24)" "$(jq -n \
		--arg log "$BATS_TEST_TMPDIR/runs" --arg dump "$BATS_TEST_TMPDIR/gate" \
		'{type: "fake", mode: "ok", log: $log, dump: $dump}')"
}

# The plugin has been started, and waits.
plugin_runs() { # command
	read -r _ command _ <"$BATS_TEST_TMPDIR/runs"
	equal "$command" "$1"
}

open_gate() {
	cat "$BATS_TEST_TMPDIR/gate" >/dev/null
}

@test "podd killed during an ADD" {
	gated_network
	make_bundle "$BATS_TEST_TMPDIR/box" sh -c "$WAITER"
	podctl bundle --network gated net0 "$BATS_TEST_TMPDIR/box"
	crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null 3>&- &
	running=$!
	plugin_runs ADD
	equal "$(json "$(attachment net0 box)" .phase)" adding
	end_process KILL "$(pod_process net0 podd)"
	open_gate
	cat "$BATS_TEST_TMPDIR/box/io/up"
	equal "$(json "$(attachment net0 box)" .phase)" attached
	podctl start net0
	echo end >"$BATS_TEST_TMPDIR/box/io/end"
	plugin_runs DEL
	open_gate
	wait $running
}

@test "podd killed and replaced during an ADD" {
	gated_network
	make_bundle "$BATS_TEST_TMPDIR/box" sh -c "$WAITER"
	podctl bundle --network gated net0 "$BATS_TEST_TMPDIR/box"
	crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null 3>&- &
	running=$!
	plugin_runs ADD
	end_process KILL "$(pod_process net0 podd)"
	podctl start net0
	open_gate
	cat "$BATS_TEST_TMPDIR/box/io/up"
	kill -9 "$(init_of box)"
	plugin_runs DEL
	open_gate
	wait $running || true
}

@test "podd killed during a DEL" {
	gated_network
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network gated net0 "$BATS_TEST_TMPDIR/box"
	crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null 3>&- &
	running=$!
	plugin_runs ADD
	open_gate
	plugin_runs DEL
	end_process KILL "$(pod_process net0 podd)"
	open_gate
	wait $running
}

# Under runc only: crun 1.8.1 takes no notice of a hook's death until the hook's time is over.
@test "the hook killed during an ADD leaves nothing that podd does not clean up" {
	gated_network
	make_bundle "$BATS_TEST_TMPDIR/box" sh -c "$WAITER"
	podctl bundle --network gated net0 "$BATS_TEST_TMPDIR/box"
	runc run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	running=$!
	plugin_runs ADD
	mapfile -t hooks < <(pgrep -f 'podd-hook createContainer')
	[ ${#hooks[@]} -gt 0 ]
	watch_record box
	kill -9 "${hooks[@]}"
	plugin_runs DEL
	open_gate
	gone_within_a_second
	wait $running || true
	run runc delete -f net0.box
}

@test "a killed uplink is replaced, and the pod's network works again" {
	coproc EVENTS { "$TOOL" events "$(pod_dir net0)/control.sock" io.podd.Pod.Events 3>&-; }
	events_pid=$EVENTS_PID
	exec {events}<&"${EVENTS[0]}"
	read -r -t 5 line <&"$events"
	end_process KILL "$(pod_process net0 uplink)"
	while read -r -t 10 line <&"$events"; do
		[[ $line != *uplink* ]] || break
	done
	kill "$events_pid"
	exec {events}<&-
	# What is lost on the way to the new one is sent again.
	inside net0 busybox ping -c 3 -W 2 10.0.2.2
}

@test "a killed outer container ends the pod, and everything of it is cleaned up" {
	podctl create short
	podctl start short
	podd=$(pod_process short podd)
	serve crun short box
	end_process KILL "$(pod_process short outer)"
	echo "$podd" >"$BATS_TEST_TMPDIR/pid"
	timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || true
	has_ended "$podd" || fail "$(ps -f -p "$podd" && cat "$(pod_dir short)/podd.log")"
	check 0 'short .*failed' podctl ps
	crun delete -f short.box || true
	podctl rm -f short
}

@test "stop ends running containers first, with the time that they are given" {
	podctl create short
	podctl start short
	make_bundle "$BATS_TEST_TMPDIR/polite" sh -c \
		'trap "echo bye >/io/said; exit 0" TERM; echo up >/io/up; while :; do sleep 1000 & wait; done'
	podctl bundle short "$BATS_TEST_TMPDIR/polite"
	start_child crun short polite "$BATS_TEST_TMPDIR/polite"
	make_bundle "$BATS_TEST_TMPDIR/deaf" sh -c 'trap "" TERM; echo up >/io/up; read -r x </io/end'
	podctl bundle short "$BATS_TEST_TMPDIR/deaf"
	start_child runc short deaf "$BATS_TEST_TMPDIR/deaf"
	deaf=$(json "$(attachment short deaf)" .init.pid)
	SECONDS=0
	check 0 '' podctl stop -t 2 short
	[ "$SECONDS" -ge 1 ]
	[ "$SECONDS" -le 6 ]
	equal "$(<"$BATS_TEST_TMPDIR/polite/io/said")" bye
	[ ! -e "/proc/$deaf" ]
	[ ! -e "$(attachment short polite)" ]
	[ ! -e "$(attachment short deaf)" ]
	crun delete -f short.polite
	runc delete -f short.deaf
	podctl rm short
}

@test "a hook that arrives while the pod stops is refused or taken down with it" {
	podctl create short
	podctl start short
	make_bundle "$BATS_TEST_TMPDIR/deaf" sh -c 'trap "" TERM; echo up >/io/up; read -r x </io/end'
	podctl bundle short "$BATS_TEST_TMPDIR/deaf"
	start_child runc short deaf "$BATS_TEST_TMPDIR/deaf"
	make_bundle "$BATS_TEST_TMPDIR/late" true
	podctl bundle short "$BATS_TEST_TMPDIR/late"
	coproc EVENTS { "$TOOL" events "$(pod_dir short)/control.sock" io.podd.Pod.Events 3>&-; }
	exec {events}<&"${EVENTS[0]}"
	read -r -t 5 line <&"$events"
	podctl stop -t 1 short 3>&- &
	stopping=$!
	while read -r -t 5 line <&"$events"; do
		[[ $line != *stopping* ]] || break
	done
	run crun run --bundle "$BATS_TEST_TMPDIR/late" short.late </dev/null
	[ "$status" -ne 0 ]
	matches "$(json "$(pod_dir short)/children/late/error.json" .message)" 'stop'
	wait $stopping
	exec {events}<&-
	runc delete -f short.deaf
	podctl rm short
}

@test "20 containers at once get 20 addresses, and leave nothing" {
	for i in $(seq 20); do
		make_bundle "$BATS_TEST_TMPDIR/c$i" sh -c "$WAITER"
		podctl bundle net0 "$BATS_TEST_TMPDIR/c$i" >/dev/null
	done
	pids=()
	for i in $(seq 20); do
		[ $((i % 2)) = 0 ] && engine=runc || engine=crun
		$engine run -d --bundle "$BATS_TEST_TMPDIR/c$i" "net0.c$i" </dev/null \
			>"$BATS_TEST_TMPDIR/c$i/output" 2>&1 3>&- &
		pids+=($!)
	done
	for i in $(seq 20); do
		wait "${pids[i - 1]}" || { cat "$BATS_TEST_TMPDIR/c$i/output"; fail "c$i"; }
	done
	for i in $(seq 20); do
		timeout 10 cat "$BATS_TEST_TMPDIR/c$i/io/up"
		child_ip net0 "c$i"
	done | grep -v up | sort -u >"$BATS_TEST_TMPDIR/addresses"
	equal "$(wc -l <"$BATS_TEST_TMPDIR/addresses")" 20
	# A third by itself, a third killed, a third deleted by force; all at the same time.
	pids=()
	for i in $(seq 20); do
		[ $((i % 2)) = 0 ] && engine=runc || engine=crun
		case $((i % 3)) in
		0) end_child "$engine" net0 "c$i" "$BATS_TEST_TMPDIR/c$i" & ;;
		1) { end_process KILL "$(init_of "c$i")"; $engine delete "net0.c$i"; } & ;;
		2) $engine delete -f "net0.c$i" & ;;
		esac
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p"
	done
}
