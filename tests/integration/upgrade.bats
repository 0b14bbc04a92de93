#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl upgrade: what runs goes on, whatever becomes of it; records of other versions.

load helpers

LIVE='trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'
PODD=$PODD_STAGE/libexec/podd/podd

setup_file() {
	common_setup_file
	make_versions
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	dir=$(pod_dir net0)
	podctl start net0
	podd=$(pod_process net0 podd)
	started=()
}

teardown() {
	[ ${#started[@]} = 0 ] || kill -KILL "${started[@]}" 2>/dev/null || true
	! mountpoint -q "$PODD" || admin unbind "$PODD"
	rescue || true
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# Programs that may be installed: another version (the same program with another number in it), one
# that is no program, one that ends at once, one that says that it can, and ends, and one whose interpreter is
# gone once it has said so.
make_versions() {
	local version other
	version=$("$PODD" --version | cut -d' ' -f2)
	other=$(tr '0-9' '1-90' <<<"$version")
	V=$BATS_FILE_TMPDIR/versions
	mkdir "$V"
	sed "s/${version//./\\.}/$other/g" "$PODD" >"$V/other"
	echo "no program" >"$V/none"
	printf '#!/bin/sh\nexit 3\n' >"$V/ends"
	cat >"$V/lies" <<-'SCRIPT'
		#!/bin/sh
		[ "$1" != --check ] || exit 0
		exit 3
	SCRIPT
	cat >"$V/vanishes" <<-SCRIPT
		#!$V/interpreter
		rm "$V/interpreter"
	SCRIPT
	chmod 0755 "$V"/*
	"$V/other" --version | grep -qF "$other"
	echo "$version" >"$V/version"
	echo "$other" >"$V/other-version"
}

installed() { # name
	V=$BATS_FILE_TMPDIR/versions
	! mountpoint -q "$PODD" || admin unbind "$PODD"
	[ "$1" = own ] || admin bind "$V/$1" "$PODD"
}

version_of() { json "$(pod_dir "$1")/state.json" .poddVersion; }

@test "the version is in the record, and where it is another than the installed one it is shown" {
	V=$BATS_FILE_TMPDIR/versions
	equal "$(version_of net0)" "$(<"$V/version")"
	check 0 'net0 +pod +running +[0-9a-z]' podctl ps
	installed other
	check 0 'net0' podctl upgrade net0
	equal "$(version_of net0)" "$(<"$V/other-version")"
	check 0 "net0 +pod +running \(podd $(<"$V/other-version")\)" podctl ps
	podctl ps --format json >"$BATS_TEST_TMPDIR/ps"
	podctl inspect net0 >"$BATS_TEST_TMPDIR/inspect"
	valid podctl-ps "$BATS_TEST_TMPDIR/ps"
	valid podctl-inspect "$BATS_TEST_TMPDIR/inspect"
	valid state "$dir/state.json"
	equal "$(json "$BATS_TEST_TMPDIR/ps" '.[0].outdated')" true
	equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].podd | "\(.version) \(.outdated)"')" \
		"$(<"$V/other-version") true"
	installed own
	podctl upgrade --all
	podctl ps --format json >"$BATS_TEST_TMPDIR/ps"
	json "$BATS_TEST_TMPDIR/ps" '.[0].outdated == false'
}

@test "nothing is interrupted: processes, connections, sessions; who follows events goes on" {
	local was is
	box run a -d sh -c "$LIVE" >/dev/null
	await_log net0/a up
	mkfifo "$BATS_TEST_TMPDIR"/{served,typed}
	# A connection by a published port, a session of podctl exec, and a follower of events.
	"$PODD_STAGE/bin/podctl" enter net0 -- busybox nc -l -p 18085 <"$BATS_TEST_TMPDIR/served" >"$BATS_TEST_TMPDIR/heard" 3>&- &
	started+=($!)
	exec 8>"$BATS_TEST_TMPDIR/served"
	inside net0 timeout 10 sh -c 'until [ -n "$(ss -Hltn "sport = :18085")" ]; do :; done'
	podctl port add net0 18086:18085 >/dev/null
	exec 9<>/dev/tcp/127.0.0.1/18086
	echo before >&9
	await_file "$BATS_TEST_TMPDIR/heard" before
	"$PODD_STAGE/bin/podctl" exec -i net0/a cat <"$BATS_TEST_TMPDIR/typed" \
		>"$BATS_TEST_TMPDIR/echoed" 3>&- 8>&- 9>&- &
	started+=($!)
	exec 7>"$BATS_TEST_TMPDIR/typed"
	echo before >&7
	await_file "$BATS_TEST_TMPDIR/echoed" before
	"$PODD_STAGE/bin/podctl" events --format json >"$BATS_TEST_TMPDIR/events" \
		3>&- 7>&- 8>&- 9>&- &
	started+=($!)
	timeout 10 bash -c 'until grep -q . "$1"; do "$0" exec net0/a true; done' \
		"$PODD_STAGE/bin/podctl" "$BATS_TEST_TMPDIR/events"
	was="$(init_pid net0/a) $(shim_pid net0/a) $(pod_process net0 outer) $(pod_process net0 uplink)"
	installed other
	podctl upgrade net0
	installed own
	podctl upgrade net0
	is="$(init_pid net0/a) $(shim_pid net0/a) $(pod_process net0 outer) $(pod_process net0 uplink)"
	equal "$is" "$was"
	equal "$(pod_process net0 podd)" "$podd" "podd's process stays the same"
	echo after >&9
	await_file "$BATS_TEST_TMPDIR/heard" after
	echo back >&8
	read -r -t 10 answer <&9
	equal "$answer" back
	echo after >&7
	await_file "$BATS_TEST_TMPDIR/echoed" after
	check 0 'upgrading' cat "$BATS_TEST_TMPDIR/events"
	exec 7>&-
	wait "${started[1]}"
	podctl rm -f -t 0 net0/a >/dev/null
	await_file "$BATS_TEST_TMPDIR/events" '"died"'
	exec 8>&- 9>&-
	wait "${started[0]}" || true
	end_process TERM "${started[2]}"
	wait "${started[2]}" || true
	check 0 '^$' podctl doctor
}

@test "--uplink replaces podd-uplink as well; rules and ports are as before" {
	podctl port add net0 18087:80 >/dev/null
	podctl egress add net0 deny to 10.9.0.0/16 >/dev/null
	uplink=$(pod_process net0 uplink)
	podctl upgrade --uplink net0
	[ "$(pod_process net0 uplink)" != "$uplink" ]
	check 0 '18087' podctl port list net0
	check 0 '10.9.0.0/16' podctl egress list net0
	check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
	podctl create --net none alone
	podctl start alone
	check 0 'alone' podctl upgrade --uplink alone
	check 0 '^$' podctl doctor
}

@test "a version that cannot be executed, or ends, leaves the one that ran" {
	for name in none ends; do
		installed $name
		check 125 'cannot take it over, the one that runs goes on' podctl upgrade net0
		equal "$(pod_process net0 podd)" "$podd"
		check 0 '18088' podctl port add net0 18088:80
		podctl port rm net0 18088:80 >/dev/null
	done
	installed own
	check 0 '^$' podctl doctor
}

@test "one that ends only when it is to serve is followed by the one that ran before" {
	box run a -d sh -c "$LIVE" >/dev/null
	await_log net0/a up
	init=$(init_pid net0/a)
	installed lies
	check 125 'the one that ran before was started again' podctl upgrade net0
	equal "$(version_of net0)" "$(<"$V/version")"
	check 0 '18089' podctl port add net0 18089:80
	installed own
	equal "$(init_pid net0/a)" "$init"
	check 0 '^$' podctl doctor
}

@test "one that cannot be executed any more leaves the one that ran, with all that it had" {
	box run a -d sh -c "$LIVE" >/dev/null
	await_log net0/a up
	init=$(init_pid net0/a)
	for n in 1 2; do
		ln -s /bin/sh "$BATS_FILE_TMPDIR/versions/interpreter"
		installed vanishes
		check 125 'cannot execute .*No such file.*goes on' podctl upgrade net0
		installed own
		equal "$(pod_process net0 podd)" "$podd"
		equal "$(init_pid net0/a)" "$init"
		check 0 '18089' podctl port add net0 18089:80
		podctl port rm net0 18089:80 >/dev/null
	done
	podctl upgrade net0
	equal "$(pod_process net0 podd)" "$podd"
	podctl rm -f -t 0 net0/a
	equal "$(pgrep -P "$podd" -r Z | wc -l)" 0
	check 0 '^$' podctl doctor
}

@test "a second call of Upgrade in the same moment is refused" {
	printf '{"method":"io.podd.Pod.Upgrade"}\0{"method":"io.podd.Pod.Upgrade"}\0' |
		"$TOOL" raw "$dir/control.sock" >"$BATS_TEST_TMPDIR/answers"
	check 0 'is being upgraded already' cat "$BATS_TEST_TMPDIR/answers"
	check 0 '18089' podctl port add net0 18089:80
	equal "$(pod_process net0 podd)" "$podd"
}

@test "the number of restarts goes on, in whatever podd" {
	podctl create --restart always net1
	podctl start net1
	again=$(pod_dir net1)/state.json
	end_process KILL "$(pod_process net1 outer)"
	await_file "$again" '"phase": "running"[^}]*"podd"[^}]*}[^}]*"restarts": 1,'
	podctl upgrade net1
	end_process KILL "$(pod_process net1 outer)"
	await_file "$again" '"phase": "running"[^}]*"podd"[^}]*}[^}]*"restarts": 2,'
	end_process KILL "$(pod_process net1 podd)"
	podctl upgrade net1
	equal "$(json "$again" .restarts)" 2
	# It was started to take over what runs; what it does afterwards is as ever.
	end_process KILL "$(pod_process net1 outer)"
	await_file "$again" '"phase": "running"[^}]*"podd"[^}]*}[^}]*"restarts": 3,'
	check 0 '^$' podctl doctor
}

@test "a dead supervisor is replaced; a pod that does not run is none of upgrade's business" {
	end_process KILL "$podd"
	check 0 'net0' podctl upgrade net0
	[ "$(pod_process net0 podd)" != "$podd" ]
	podctl stop net0
	check 125 'not running' podctl upgrade net0
	check 0 '^$' podctl upgrade --all
	check 2 'POD is missing' podctl upgrade
	check 125 'no pod|no such pod' podctl upgrade nobody
}

@test "a container that ends in the moment of the upgrade is cleared up by the new supervisor" {
	serve crun net0 web
	pid=$(json "$(attachment net0 web)" .init.pid)
	end_process KILL "$pid"
	podctl upgrade net0
	timeout 10 bash -c 'while [ -e "$0" ]; do :; done' "$(attachment net0 web)"
	crun delete -f net0.web
	check 0 '^$' podctl doctor
	equal "$(pgrep -P "$podd" -r Z | wc -l)" 0
}

# ---- records of other versions ----

@test "records of the first version can be read, by podd and by podctl" {
	corpus=$BATS_TEST_DIRNAME/../records/1
	podctl create --net none old >/dev/null
	old=$(pod_dir old)
	for file in pod state network attachment container container-state container-exit error; do
		valid "$file" "$corpus/$file.json"
	done
	cp "$corpus"/{pod,state,network}.json "$old/"
	mkdir -m 0700 "$old/children/web" "$old/children/db"
	cp "$corpus/attachment.json" "$old/children/web/"
	cp "$corpus/container.json" "$old/children/db/"
	cp "$corpus/container-state.json" "$old/children/db/state.json"
	cp "$corpus/container-exit.json" "$old/children/db/exit.json"
	chmod -R go= "$old"
	check 0 "$(<"$BATS_FILE_TMPDIR/versions/version")" "$PODD" --check --root "$PODD_ROOT" old
	check 0 'old +pod +stopped' podctl ps
	check 0 'old/db +container +exited' podctl ps -a
	check 0 '"path": "old/db"' podctl inspect old/db
	check 0 '"generation"' podctl inspect old/web
	check 0 'fixed' podctl doctor --fix old
	podctl rm -f old
}

@test "records of a newer version are refused, with what to do, and are not touched" {
	podctl create --net none new >/dev/null
	new=$(pod_dir new)
	sed 's/"version": 1/"version": 2/' "$new/pod.json" >"$BATS_TEST_TMPDIR/pod"
	cat "$BATS_TEST_TMPDIR/pod" >"$new/pod.json"
	check 125 'version 2.*knows only up to 1.*newer podd' podctl start new
	check 1 'version 2' podctl doctor new
	check 125 'version 2' "$PODD" --check --root "$PODD_ROOT" new
	cmp "$BATS_TEST_TMPDIR/pod" "$new/pod.json"
	podctl rm -f new
}
