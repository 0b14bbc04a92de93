#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl events: what happened before the call, while podd was dead and while there was none, each
# once, in the order of its time, and what follows without a gap.

load helpers

setup_file() {
	common_setup_file
	snapshot "$BATS_FILE_TMPDIR/before"
}

teardown_file() {
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	podctl create net0
}

teardown() {
	rescue || true
	podctl rm -f -t 0 -a >/dev/null
}

# What has happened, a line each: pod or container, type, and what is known beside.
past() { # [options]
	podctl events --stream=false --format json "$@" >"$BATS_TEST_TMPDIR/past"
	while read -r line; do
		echo "$line" >"$BATS_TEST_TMPDIR/line"
		valid podctl-events "$BATS_TEST_TMPDIR/line"
	done < <(sort -u -t: -k1,1 "$BATS_TEST_TMPDIR/past")
	equal "$(jq -r .time "$BATS_TEST_TMPDIR/past")" "$(jq -r .time "$BATS_TEST_TMPDIR/past" | sort)"
	told <"$BATS_TEST_TMPDIR/past"
}

told() {
	jq -r '[.pod + (if .child then "/" + .child else "" end), .type, .attributes.exitCode // empty] |
		join(" ")'
}

# The log as podd has written it.
log_is_valid() { # pod
	local dir
	dir=$(pod_dir "$1")
	for file in "$dir"/events.jsonl*; do
		split -l 1 "$file" "$BATS_TEST_TMPDIR/log-line-"
		valid event "$BATS_TEST_TMPDIR"/log-line-*
		rm "$BATS_TEST_TMPDIR"/log-line-*
	done
	equal "$(cat "$dir"/events.jsonl.1 "$dir/events.jsonl" 2>/dev/null | jq .seq | uniq -d)" ""
}

start_following() { # [options]
	"$PODD_STAGE/bin/podctl" events --format json "$@" >"$BATS_TEST_TMPDIR/live" 3>&- &
	following=$!
}

stop_following() {
	end_process TERM $following
	wait $following || true
}

kill_podd() { end_process KILL "$(pod_process net0 podd)"; }

RUN_OF_A="net0/a create
net0/a start
net0/a died 3"

@test "what has happened, from the log, and only since or until then" {
	podctl start net0
	box run a sh -c 'exit 3' || true
	equal "$(past)" "net0 create
net0 started
$RUN_OF_A"
	equal "$(past --since 1h)" "$(past)"
	equal "$(past --filter event=died)" "net0/a died 3"
	past >/dev/null
	since=$(jq -r 'select(.type == "start").time' "$BATS_TEST_TMPDIR/past")
	equal "$(past --since "$since")" "net0/a start"$'\n'"net0/a died 3"
	equal "$(past --until "$since")" "net0 create
net0 started
net0/a create
net0/a start"
	equal "$(past --since 1h --until 30m)" ""
	check 0 "^$" podctl events --until 1m
	check 2 'since must be a time' podctl events --since yesterday
	podctl stop net0
	equal "$(past net0 | tail -n 2)" "net0 stopping"$'\n'"net0 stopped"
	log_is_valid net0
}

@test "podd killed: what happened without it is told by the next one, once" {
	podctl start net0
	box run a -d sh -c 'read -r x; exit 3' </dev/null
	mkfifo "$BATS_TEST_TMPDIR/go"
	box run b -d -v "$BATS_TEST_TMPDIR:/t" sh -c 'read -r x </t/go; exit 4'
	await_state net0/a phase exited
	kill_podd
	echo >"$BATS_TEST_TMPDIR/go"
	await_state net0/b phase exited
	podctl rm net0/a
	# From the records, while there is no podd.
	matches "$(past --filter container=b)" 'net0/b died 4'
	podctl start net0
	all=$(past)
	equal "$(past --filter container=b)" "net0/b create
net0/b start
net0/b died 4"
	equal "$(past --filter container=a)" "$RUN_OF_A"$'\n'"net0/a remove"
	equal "$(grep -c adopted <<<"$all")" 1
	kill_podd
	podctl start net0
	equal "$(past | grep -v adopted)" "$(grep -v adopted <<<"$all")"
	equal "$(jq -r 'select(.late and .child == "b").type' "$BATS_TEST_TMPDIR/past")" died
	log_is_valid net0
}

@test "followed over the death of podd: each once, and nothing is lost" {
	podctl start net0
	start_following --since 1h
	await_file "$BATS_TEST_TMPDIR/live" '"type": ?"started"'
	mkfifo "$BATS_TEST_TMPDIR/go"
	box run a -d -v "$BATS_TEST_TMPDIR:/t" sh -c 'read -r x </t/go; exit 3'
	kill_podd
	echo >"$BATS_TEST_TMPDIR/go"
	await_file "$BATS_TEST_TMPDIR/live" '"type": ?"died"'
	podctl start net0
	await_file "$BATS_TEST_TMPDIR/live" '"type": ?"adopted"'
	podctl rm net0/a
	podctl stop net0
	podctl create --rootfs "$BATS_FILE_TMPDIR/rootfs" net0/later true
	await_file "$BATS_TEST_TMPDIR/live" '"later"'
	podctl start net0
	await_state net0/later phase exited
	podctl rm net0/later
	await_file "$BATS_TEST_TMPDIR/live" '"remove"[^}]*"later"'
	podctl rm -f net0
	await_file "$BATS_TEST_TMPDIR/live" '(?s)"remove".*"remove".*"remove"'
	stop_following
	equal "$(told <"$BATS_TEST_TMPDIR/live")" "net0 create
net0 started
net0/a create
net0/a start
net0/a died 3
net0 adopted
net0/a remove
net0 stopping
net0 stopped
net0/later create
net0 started
net0/later start
net0/later died 0
net0/later remove
net0 stopping
net0 stopped
net0 remove"
}

@test "a pod that ended while nobody looked" {
	podctl start net0
	kill_podd
	end_process KILL "$(pod_process net0 outer)" "$(pod_process net0 uplink)"
	podctl start net0
	equal "$(past)" "net0 create
net0 started
net0 failed
net0 started"
}

@test "a torn last line, and lines that are none" {
	podctl start net0
	podctl stop net0
	before=$(past)
	printf '{"type": "torn", "time": "2024-01-31T12:0' >>"$(pod_dir net0)/events.jsonl"
	equal "$(past)" "$before"
	podctl start net0
	equal "$(past)" "$before"$'\n'"net0 started"
	kill_podd
	printf 'not JSON\n{"type": "x", "seq": 99}\n' >>"$(pod_dir net0)/events.jsonl"
	podctl start net0
	equal "$(past)" "$before"$'\n'"net0 started"$'\n'"net0 adopted"
}

@test "the log has a limit, and what it lost is not told again" {
	podctl start net0
	box create a true
	big=$(printf '%03000d' 0)
	# More than both files hold.
	for _ in {1..200}; do
		printf '{"method": "io.podd.Pod.Report", "parameters": {"child": "a", "type": "noise",
			"attributes": {"big": "%s"}}}\0' "$big"
	done | "$TOOL" raw "$(pod_dir net0)/control.sock" >/dev/null
	"$TOOL" call "$(pod_dir net0)/control.sock" io.podd.Pod.Report \
		"{\"child\": \"a\", \"type\": \"huge\", \"attributes\": {\"big\": \"$big$big\"}}" >/dev/null
	[ "$(cat "$(pod_dir net0)"/events.jsonl* | wc -c)" -le $((512 * 1024)) ]
	equal "$(stat -c %a "$(pod_dir net0)/events.jsonl")" 600
	kill_podd
	podctl start net0
	equal "$(past | grep -v noise)" "net0/a huge"$'\n'"net0 adopted"
	log_is_valid net0
}

@test "a full disk costs the log, not the pod" {
	podctl start net0
	kill_podd
	rm "$(pod_dir net0)/events.jsonl"
	mkdir "$(pod_dir net0)/events.jsonl"
	check 0 '' podctl start net0
	start_following
	# Without a log nothing tells when it has begun to listen.
	until grep -q '"noise"' "$BATS_TEST_TMPDIR/live"; do
		"$TOOL" call "$(pod_dir net0)/control.sock" io.podd.Pod.Report \
			'{"child": "a", "type": "noise"}' >/dev/null
	done
	stop_following
	matches "$(<"$(pod_dir net0)/podd.log")" 'events.jsonl'
	rmdir "$(pod_dir net0)/events.jsonl"
	box run b true
	matches "$(past)" 'net0/b died 0'
}

@test "of some pods, and of those in them" {
	podctl create other
	podctl start net0 other
	matches "$(past)" 'other started'
	equal "$(past other)" "other create"$'\n'"other started"
	equal "$(past --filter pod=net0 --filter type=pod)" "net0 create"$'\n'"net0 started"
	start_following --since 1h other
	await_file "$BATS_TEST_TMPDIR/live" '"started"'
	podctl rm -f other
	await_file "$BATS_TEST_TMPDIR/live" '"remove"'
	podctl create other
	await_file "$BATS_TEST_TMPDIR/live" '"remove"(?s:.*)"create"'
	stop_following
	equal "$(told <"$BATS_TEST_TMPDIR/live")" "other create
other started
other stopping
other stopped
other remove
other create"
}
