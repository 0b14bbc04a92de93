#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pods that are started again: by their restart policy, after podd's death by whoever needs it, and
# after the machine's next start.

load helpers

LIVE='trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'

setup_file() {
	common_setup_file
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
}

teardown() {
	rescue || true
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

start_pod() { # [create option...]
	podctl create "$@" net0
	podctl start net0
	dir=$(pod_dir net0)
}

kill_outer() { end_process KILL "$(pod_process net0 outer)"; }

# Waits until the pod runs again, as its record of that many restarts says.
await_restart() { # number
	await_file "$dir/state.json" "\"phase\": \"running\"[^}]*\"podd\"[^}]*}[^}]*\"restarts\": $1,"
}

# The records as an earlier boot would have left them.
age_records() {
	local file
	for file in "$dir/state.json" "$dir"/children/*/{state,attachment}.json; do
		[ -e "$file" ] || continue
		sed 's/"bootId": "[0-9a-f]*"/"bootId": "0123456789abcdef0123456789abcdef"/' "$file" \
			>"$BATS_TEST_TMPDIR/record"
		cat "$BATS_TEST_TMPDIR/record" >"$file"
	done
}

# Everything of the pod is killed at once, as by the machine's end.
kill_pod() {
	local init
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)" "$(shim_pid net0/a)"
	end_process KILL "$(pod_process net0 outer)" "$(pod_process net0 uplink)" "$init"
}

# ---- the policy ----

@test "--restart is in the record, and nothing but no, on-failure and always" {
	for policy in no on-failure always; do
		podctl create --restart $policy "p-$policy"
		valid pod "$(pod_dir "p-$policy")/pod.json"
		equal "$(json "$(pod_dir "p-$policy")/pod.json" .restart)" $policy
	done
	check 2 'restart' podctl create --restart sometimes net0
}

@test "a pod without policy stays failed when its outer container is killed" {
	start_pod
	podd=$(pod_process net0 podd)
	kill_outer
	await_file "$dir/state.json" '"phase": "failed"'
	timeout 5 bash -c 'while [ -d "/proc/$0" ]; do :; done' "$podd"
	check 0 'net0 .*failed' podctl ps
}

@test "with always and on-failure it is torn down and started again, by podd alone" {
	for policy in always on-failure; do
		start_pod --restart $policy
		podd=$(pod_process net0 podd) outer=$(pod_process net0 outer)
		kill_outer
		await_restart 1
		equal "$(pod_process net0 podd)" "$podd"
		[ "$(pod_process net0 outer)" != "$outer" ]
		valid state "$dir/state.json"
		check 0 'net0 .*running' podctl ps
		equal "$(podctl inspect net0 | json - '.[0].state.restarts')" 1
		check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
		check 0 '^$' podctl doctor
		podctl stop net0
		equal "$(json "$dir/state.json" .phase)" stopped
		podctl rm net0
	done
}

@test "its containers with a restart policy come back, in their pod's network; others do not" {
	start_pod --restart always
	box run a -d --restart always --network podd -p 18080:80 sh -c "$LIVE" >/dev/null
	box run b -d --restart on-failure sh -c "$LIVE" >/dev/null
	box run c -d sh -c "$LIVE" >/dev/null
	box run d -d --restart always sh -c "$LIVE" >/dev/null
	podctl stop -t 0 net0/d >/dev/null
	for name in a b c; do await_log "net0/$name" up; done
	kill_outer
	await_restart 1
	for name in a b; do
		await_state "net0/$name" phase running
	done
	check 0 'net0/a +container +running' podctl ps -a
	check 0 'net0/b +container +running' podctl ps -a
	check 0 'net0/c +container +exited' podctl ps -a
	check 0 'net0/d +container +exited' podctl ps -a
	check 0 '18080' podctl port list net0
	check 0 '^$' podctl doctor
}

@test "they are started in the order in which they were" {
	start_pod --restart always
	for name in c a b; do
		box run $name -d --restart always sh -c "$LIVE" >/dev/null
		await_log net0/$name up
	done
	orders=$(for name in c a b; do ctr_state net0/$name .order; done)
	kill_outer
	await_restart 1
	for name in c a b; do await_state net0/$name phase running; done
	equal "$(for name in c a b; do ctr_state net0/$name .order; done)" "$orders"
	# Whose number is lower was made earlier.
	equal "$(for name in c a b; do shim_pid net0/$name; done | sort -nc 2>&1)" ""
	check 0 '^$' podctl doctor
}

@test "one whose shim was killed before the pod ended does not come back with it" {
	start_pod --restart always
	for name in a b; do
		box run $name -d --restart always sh -c "$LIVE" >/dev/null
		await_log net0/$name up
	done
	end_process KILL "$(shim_pid net0/a)"
	await_state net0/a phase exited
	kill_outer
	await_restart 1
	await_state net0/b phase running
	check 0 'net0/a +container +exited' podctl ps -a
	equal "$(podctl wait net0/a)" 255
	check 0 '^$' podctl doctor
}

@test "what a start needs and is missing is waited for" {
	start_pod --restart always
	mv "$dir/etc" "$BATS_TEST_TMPDIR/etc"
	kill_outer
	await_file "$dir/state.json" '"restarts": 3,'
	check 0 'net0 .*(restarting|failed|starting)' podctl ps
	mv "$BATS_TEST_TMPDIR/etc" "$dir/etc"
	await_file "$dir/state.json" '"phase": "running"'
	check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
	check 0 '^$' podctl doctor
}

@test "a record that cannot be written does not end the waiting" {
	start_pod --restart always
	podd=$(pod_process net0 podd)
	# As on a full disk: no file gets any longer.
	prlimit --pid "$podd" --fsize=0:
	kill_outer
	timeout 10 bash -c 'until "$0" call "$1" io.podd.Pod.Inspect 2>&1 | grep -q "about to be started"
		do :; done' "$TOOL" "$dir/control.sock"
	prlimit --pid "$podd" --fsize=unlimited:
	await_file "$dir/state.json" '"phase": "running"[^}]*"podd"[^}]*}[^}]*"restarts": [0-9]+,'
	equal "$(pod_process net0 podd)" "$podd"
	check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
	check 0 '^$' podctl doctor
}

@test "the delay grows; while podd waits the pod is restarting, and stop ends it for good" {
	start_pod --restart always
	for n in 1 2 3; do
		kill_outer
		await_restart $n
	done
	kill_outer
	await_file "$dir/state.json" '"phase": "restarting"'
	podd=$(pod_process net0 podd)
	cp "$dir/state.json" "$BATS_TEST_TMPDIR/state"
	podctl ps --format json >"$BATS_TEST_TMPDIR/out"
	check 0 'net0 .*restarting' podctl ps
	check 125 'about to be started again|not running' podctl port add net0 18081:80
	check 0 'net0' podctl stop net0
	has_ended "$podd"
	equal "$(json "$dir/state.json" .phase)" stopped
	valid state "$BATS_TEST_TMPDIR/state"
	valid podctl-ps "$BATS_TEST_TMPDIR/out"
	check 0 '^$' podctl doctor
}

@test "a pod that was killed with all that looked after it takes its containers along" {
	start_pod
	box run a -d sh -c "$LIVE" >/dev/null
	await_log net0/a up
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)" "$(shim_pid net0/a)"
	end_process KILL "$(pod_process net0 outer)" "$(pod_process net0 uplink)"
	check 0 '' podctl rm -f net0
	has_ended "$init"
}

@test "start does not wait for the delay, and rm -f not for the pod" {
	start_pod --restart always
	for n in 1 2; do
		kill_outer
		await_restart $n
	done
	kill_outer
	await_file "$dir/state.json" '"phase": "restarting"'
	check 0 'net0' podctl start net0
	equal "$(json "$dir/state.json" '.restarts // 0')" 0
	for n in 1 2; do
		kill_outer
		await_restart $n
	done
	kill_outer
	await_file "$dir/state.json" '"phase": "restarting"'
	check 0 '' podctl rm -f net0
	[ ! -e "$dir" ]
}

@test "start --all --filter restart=always starts those, if they do not run" {
	podctl create --restart always one
	podctl create --restart always two
	podctl create --restart on-failure three
	podctl create four
	podctl start two
	podd=$(pod_process two podd)
	check 0 'one$' podctl start --all --filter restart=always
	equal "$(pod_process two podd)" "$podd"
	check 0 '^$' podctl start --all --filter restart=always
	check 0 'three .*created' podctl ps
	end_process KILL "$podd"
	check 0 'two$' podctl start --all --filter restart=always
	check '2|125' 'filter' podctl start --all --filter colour=red
	check '2|125' 'all' podctl start --all one
	check '2|125' 'missing' podctl start
	check 0 'three$' podctl start --all --filter restart=on-failure --format table
}

# ---- podd's death ----

@test "verbs that need podd start it again, and what they ask for is done" {
	start_pod
	box run a -d sh -c "$LIVE" >/dev/null
	await_log net0/a up
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)"
	check 0 '18082' podctl port add net0 18082:80
	end_process KILL "$(pod_process net0 podd)"
	check 0 '18082' podctl port list net0
	end_process KILL "$(pod_process net0 podd)"
	check 0 '' podctl egress add net0 deny to 10.9.0.0/16
	end_process KILL "$(pod_process net0 podd)"
	check 0 '10.9.0.0/16' podctl egress list net0
	end_process KILL "$(pod_process net0 podd)"
	check 0 '' podctl flows net0
	equal "$(init_pid net0/a)" "$init"
	end_process KILL "$(pod_process net0 podd)"
	check 0 'net0 .*running' podctl ps
	has_ended "$(pod_process net0 podd)"
	check 0 'ran' podctl run --rm --name net0/b --rootfs "$BATS_FILE_TMPDIR/rootfs" echo ran
	check 0 '^$' podctl doctor
}

@test "a pod whose podd was killed at any step of its start is removed at the first try" {
	local step
	for step in state.json uplink.sock outer.sock '"outer"' '"running"' ns/user etc/hosts \
		etc/resolv.conf; do
		podctl create net0 >/dev/null
		dir=$(pod_dir net0)
		podctl start net0 >"$BATS_TEST_TMPDIR/out" 2>&1 &
		job=$!
		timeout 10 bash -c 'until [ -e "$0/$1" ] || grep -qs "$1" "$0/state.json"; do :; done' \
			"$dir" "$step"
		pkill -KILL -f "^podd --root $PODD_ROOT " || true
		wait $job || true
		SECONDS=0
		check 0 '' podctl rm -f net0
		((SECONDS < 5)) || fail "removing it took $SECONDS s, killed at $step"
		[ ! -e "$dir" ]
		compare "$BATS_TEST_TMPDIR/before"
	done
}

@test "what such a start has left does not hinder the next one, and stop does not start the pod" {
	podctl create net0 >/dev/null
	dir=$(pod_dir net0)
	podctl start net0 >"$BATS_TEST_TMPDIR/out" 2>&1 &
	timeout 10 bash -c 'until grep -qs outer "$0/state.json"; do :; done' "$dir"
	pkill -KILL -f "^podd --root $PODD_ROOT " || true
	wait $! || true
	check 0 '' podctl stop net0
	check 0 'net0 .*(stopped|failed)' podctl ps
	check '0|1' '' podctl doctor --fix
	check 0 '^$' podctl doctor
	podctl start net0
	check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
}

# ---- the machine's next start ----

@test "after a reboot what was recorded is known to be stale, and is cleaned up" {
	start_pod --restart always
	box run a -d --restart always --network podd sh -c "$LIVE" >/dev/null
	await_log net0/a up
	kill_pod
	age_records
	check 0 'net0 +pod +stopped' podctl ps
	check 0 'net0/a +container +exited' podctl ps -a
	check 1 'net0: boot: ' podctl doctor
	[ -n "$(ls "$dir/cni/networks/podd")" ]
	check 0 'fixed' podctl doctor --fix
	check 0 '^$' podctl doctor
	equal "$(find "$dir/cni" "$dir/ns" "$dir/runtime" -mindepth 1 | wc -l)" 0
	equal "$(find "$dir" -type s | wc -l)" 0
	check 0 'net0' podctl start --all --filter restart=always
	check 0 'net0/a +container +running' podctl ps
	check 0 '1 packets received' inside net0 busybox ping -c 1 -W 2 10.0.2.2
}

@test "whoever has a pid of the last boot now is left alone, by start, stop, rm and doctor" {
	local pids=() verb
	start_pod
	box run a -d --network podd sh -c "$LIVE" >/dev/null
	await_log net0/a up
	kill_pod
	cp -r "$dir" "$BATS_TEST_TMPDIR/saved"
	for verb in "doctor --fix" "stop net0" "start net0" "rm -f net0/a" "rm -f net0"; do
		podctl rm -f net0 >/dev/null
		cp -r "$BATS_TEST_TMPDIR/saved" "$dir"
		age_records
		take_pids
		# shellcheck disable=SC2086
		podctl $verb >/dev/null 2>&1 || true
		for pid in "${pids[@]}"; do
			! has_ended "$pid" || fail "$verb has killed a stranger"
		done
		end_process KILL "${pids[@]}"
		wait "${pids[@]}" || true
	done
}

# Processes of the test's in the place of those that the records name, start times included.
take_pids() {
	local file filter
	pids=()
	for file in "$dir/state.json:podd outer uplink" "$dir/children/a/state.json:shim init" \
		"$dir/children/a/attachment.json:init"; do
		for filter in ${file#*:}; do
			"$BATS_FILE_TMPDIR/rootfs/bin/busybox" tail -f /dev/null 3>&- &
			pids+=($!)
			jq --argjson pid $! --argjson start "$(cut -d' ' -f22 "/proc/$!/stat")" \
				".$filter = {pid: \$pid, startTime: \$start}" "${file%%:*}" \
				>"$BATS_TEST_TMPDIR/record"
			cat "$BATS_TEST_TMPDIR/record" >"${file%%:*}"
		done
	done
}
