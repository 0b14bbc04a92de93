#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Output is never lost, reordered or held up: drivers, rotation, full disks, slow readers.

load helpers

setup_file() {
	common_setup_file
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	RUNTIME=
	big="i=0; while [ \$i -lt 64 ]; do cat /data; i=\$((i+1)); done"
	seq 1 200000 >"$BATS_TEST_TMPDIR/lines"
	mkdir -p "$BATS_TEST_TMPDIR/logs"
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

@test "what a container writes before it exits is in the log, whole and in order" {
	for RUNTIME in crun runc; do
		box run a -v "$BATS_TEST_TMPDIR/lines:/data:ro" sh -c "$big" >"$BATS_TEST_TMPDIR/out"
		podctl logs net0/a >"$BATS_TEST_TMPDIR/log"
		cmp "$BATS_TEST_TMPDIR/log" "$BATS_TEST_TMPDIR/out"
		equal "$(wc -l <"$BATS_TEST_TMPDIR/out")" $((64 * 200000))
		podctl rm net0/a
	done
}

@test "a long line and one without an end are marked as partial, and read again as they were" {
	for driver in k8s-file json-file; do
		box run a --log-driver $driver sh -c 'head -c 100000 /dev/zero | tr "\0" x; echo; printf end' \
			>"$BATS_TEST_TMPDIR/out"
		podctl logs net0/a | cmp - "$BATS_TEST_TMPDIR/out"
		[ "$driver" != k8s-file ] || grep -q 'stdout P x' "$(child_dir net0/a)/ctr.log"
		podctl rm net0/a
	done
}

@test "binary output survives both file forms" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/data"
	box run a --log-driver k8s-file -v "$BATS_TEST_TMPDIR/data:/data" cat /data >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/data" "$BATS_TEST_TMPDIR/out"
	podctl logs net0/a | cmp - "$BATS_TEST_TMPDIR/data"
}

@test "rotation loses nothing" {
	box run a --log-opt max-size=100k --log-opt max-file=500 -v "$BATS_TEST_TMPDIR/lines:/data:ro" \
		cat /data >/dev/null
	[ "$(find "$(child_dir net0/a)" -name 'ctr.log*' | wc -l)" -gt 20 ]
	podctl logs net0/a | cmp - "$BATS_TEST_TMPDIR/lines"
	podctl rm net0/a
	box run a --log-opt max-size=100k --log-opt max-file=3 -v "$BATS_TEST_TMPDIR/lines:/data:ro" \
		cat /data >/dev/null
	equal "$(find "$(child_dir net0/a)" -name 'ctr.log*' | wc -l)" 3
	podctl logs net0/a | cmp - <(tail -n "$(podctl logs net0/a | wc -l)" "$BATS_TEST_TMPDIR/lines")
}

@test "logs: tail, since, timestamps, following until the end" {
	box run a -d sh -c 'echo one; echo two; echo three; while [ ! -e /tmp/end ]; do sleep 0.1; done; echo last'
	await_log net0/a three
	equal "$(podctl logs --tail 1 net0/a)" three
	check 0 '^20[0-9-]+T[0-9:.]+[^ ]* three$' podctl logs -t --tail 1 net0/a
	equal "$(podctl logs --since 2100-01-01T00:00:00Z net0/a)" ""
	equal "$(podctl logs --since 1h net0/a | wc -l)" 3
	podctl logs -f net0/a >"$BATS_TEST_TMPDIR/followed" &
	podctl exec net0/a touch /tmp/end
	wait $!
	equal "$(tail -n 1 "$BATS_TEST_TMPDIR/followed")" last
}

@test "a full disk stops the log with one message, and never the container" {
	admin tmpfs "$BATS_TEST_TMPDIR/logs" 200k
	box run a --log-opt "path=$BATS_TEST_TMPDIR/logs/a.log" -v "$BATS_TEST_TMPDIR/lines:/data:ro" \
		cat /data >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/lines"
	equal "$(grep -c 'No space left' "$(child_dir net0/a)/shim.log")" 1
	podctl rm net0/a
	admin umount "$BATS_TEST_TMPDIR/logs"
}

@test "who does not read holds up nobody" {
	mkfifo "$BATS_TEST_TMPDIR/stuck"
	box run a -d -v "$BATS_TEST_TMPDIR:/io" sh -c "until [ -e /io/go ]; do echo tick; sleep 0.1; done
		i=0; while [ \$i -lt 64 ]; do cat /io/lines; i=\$((i+1)); done; echo finished"
	# It is attached, and then nobody empties the fifo any more.
	exec 8<>"$BATS_TEST_TMPDIR/stuck"
	# Not the function, whose shell alone would be killed.
	"$PODD_STAGE/bin/podctl" attach --no-stdin net0/a >&8 3>&- &
	local stuck=$! line reader
	read -rt 10 -u 8 line
	equal "$line" tick
	"$PODD_STAGE/bin/podctl" attach --no-stdin net0/a >"$BATS_TEST_TMPDIR/all" 3>&- 8>&- &
	reader=$!
	await_file "$BATS_TEST_TMPDIR/all" tick
	touch "$BATS_TEST_TMPDIR/go"
	wait $reader
	equal "$(tail -n 1 "$BATS_TEST_TMPDIR/all")" finished
	equal "$(podctl logs net0/a | tail -n 1)" finished
	end_process KILL $stuck
	exec 8<&-
}

@test "none keeps no log; json-file has docker's form" {
	box run a --log-driver none echo x
	check '125|0' '' podctl logs net0/a
	[ ! -e "$(child_dir net0/a)/ctr.log" ]
	podctl rm net0/a
	box run a --log-driver json-file sh -c 'echo "a \"quoted\" word"; echo err >&2'
	equal "$(json "$(child_dir net0/a)/ctr.log" 'select(.stream == "stdout").log')" 'a "quoted" word'
	equal "$(podctl logs net0/a 2>&1 >/dev/null)" err
}
