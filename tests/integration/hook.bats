#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podd-hook: every phase under both runtimes, what they do differently, and bad input.

load helpers

setup_file() {
	common_setup_file
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
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	dir=$BATS_TEST_TMPDIR/box
}

teardown() {
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

# Moves the hook of a prepared bundle to another phase.
use_phase() { # bundle phase
	jq --arg phase "$2" '.hooks = {poststop: .hooks.poststop} +
		{($phase): [.hooks.createContainer[0] | .args[1] = $phase]}' \
		"$1/config.json" >"$1/new"
	mv "$1/new" "$1/config.json"
}

error_record() { cat "$(pod_dir net0)/children/$1/error.json"; }

# A process in a network namespace of its own below the pod, as a runtime makes it: sets $pid.
# It ends with end_namespace.
make_namespace() {
	mkdir "$BATS_TEST_TMPDIR/ns"
	mkfifo "$BATS_TEST_TMPDIR/ns/up" "$BATS_TEST_TMPDIR/ns/end"
	podctl enter net0 -- unshare -n sh -c 'exec 4<>"$0/end"; echo $$ >"$0/up"; read -r x <&4' \
		"$BATS_TEST_TMPDIR/ns" </dev/null >/dev/null 2>&1 3>&- &
	namespace_job=$!
	read -r pid <"$BATS_TEST_TMPDIR/ns/up"
}

end_namespace() {
	echo end >"$BATS_TEST_TMPDIR/ns/end"
	wait "$namespace_job"
}

state_json() { # id pid
	jq -n --arg id "$1" --argjson pid "$2" --arg bundle "$BATS_TEST_TMPDIR" \
		'{ociVersion: "1.0.2", id: $id, status: "creating", pid: $pid, bundle: $bundle}'
}

hook() { # phase [arguments...]; the state is on standard input
	"$HOOK" "$1" --root "$PODD_ROOT" "${@:2}" 3>&-
}

@test "createContainer connects under both runtimes" {
	for engine in runc crun; do
		check 0 '10\.88\.' run_child $engine net0 box 'ip -4 -o address show dev eth0'
	done
}

@test "createRuntime and prestart work as root; otherwise the error names createContainer" {
	for engine in runc crun; do
		for phase in createRuntime prestart; do
			make_bundle "$dir" sh -c 'ip -4 -o address show dev eth0'
			podctl bundle net0 "$dir"
			use_phase "$dir" $phase
			if ! rootless; then
				check 0 '10\.88\.' $engine run --bundle "$dir" net0.box </dev/null
				continue
			fi
			run $engine run --bundle "$dir" net0.box </dev/null
			[ "$status" -ne 0 ]
			[ $engine = crun ] || matches "$output" createContainer
			matches "$(error_record box)" createContainer
			[ ! -e "$(attachment net0 box)" ]
			rm -rf "$(pod_dir net0)/children/box"
		done
	done
}

@test "poststop without a pid, with pid 0, and twice" {
	for state in '{"ociVersion":"1.0.2","id":"net0.box","status":"stopped","bundle":"/"}' \
		'{"ociVersion":"1.0.2","id":"net0.box","status":"stopped","bundle":"/","pid":0}'; do
		serve crun net0 box
		end_process KILL "$(crun state net0.box | json - .pid)"
		check 0 '^$' hook poststop <<<"$state"
		check 0 '^$' hook poststop <<<"$state"
		[ ! -e "$(attachment net0 box)" ]
		crun delete net0.box
	done
}

@test "poststop works with an empty environment and in another directory" {
	serve runc net0 box
	end_process KILL "$(runc state net0.box | json - .pid)"
	cd /
	check 0 '^$' env -i "$HOOK" poststop --root "$PODD_ROOT" \
		<<<'{"ociVersion":"1.0.2","id":"net0.box","status":"stopped","bundle":"/"}'
	[ ! -e "$(attachment net0 box)" ]
	runc delete net0.box
}

@test "the pod is found by --pod, by annotation and by the id's prefix, in this order" {
	podctl create other
	none='{"ociVersion":"1.0.2","id":"nowhere","status":"creating","pid":1,"bundle":"/"}'
	check 125 '--pod.*io\.podd\.pod.*id|id.*--pod' hook createRuntime <<<"$none"
	check 125 'missing1' hook createRuntime --pod missing1 \
		<<<'{"ociVersion":"1.0.2","id":"missing3.x","status":"creating","pid":1,"bundle":"/",
			"annotations":{"io.podd.pod":"missing2"}}'
	check 125 'missing2' hook createRuntime \
		<<<'{"ociVersion":"1.0.2","id":"missing3.x","status":"creating","pid":1,"bundle":"/",
			"annotations":{"io.podd.pod":"missing2"}}'
	check 125 'missing3' hook createRuntime \
		<<<'{"ociVersion":"1.0.2","id":"missing3.x","status":"creating","pid":1,"bundle":"/"}'
	podctl rm other
}

@test "a state that is none is refused with what is wrong" {
	printf '' >"$BATS_TEST_TMPDIR/empty"
	printf '{"ociVersion":"1.0.2","id":"net0.b' >"$BATS_TEST_TMPDIR/truncated"
	head -c 10000000 /dev/zero | tr '\0' ' ' >"$BATS_TEST_TMPDIR/large"
	echo 'hello' >"$BATS_TEST_TMPDIR/text"
	head -c 10000 /dev/zero | tr '\0' '[' >"$BATS_TEST_TMPDIR/deep"
	echo '[]' >"$BATS_TEST_TMPDIR/array"
	echo '{"id": 5, "status": "creating", "pid": 1}' >"$BATS_TEST_TMPDIR/id"
	echo '{"id": "net0.b", "status": "creating", "pid": "1"}' >"$BATS_TEST_TMPDIR/pid"
	echo '{"id": "net0.b", "pid": 1, "annotations": [1]}' >"$BATS_TEST_TMPDIR/annotations"
	echo '{"id": "net0.b", "pid": -5}' >"$BATS_TEST_TMPDIR/negative"
	echo '{"id": "net0.b", "id": "net0.c"}' >"$BATS_TEST_TMPDIR/twice"
	echo '{"status": "creating", "pid": 1}' >"$BATS_TEST_TMPDIR/missing"
	head -c 1000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
	while read -r name pattern; do
		for phase in createContainer createRuntime prestart; do
			check 125 "$pattern" hook $phase --pod net0 <"$BATS_TEST_TMPDIR/$name"
		done
	done <<-'END'
		empty empty|nothing
		truncated :1:
		large large|bytes
		text :1:
		deep deep
		array object
		id id
		pid pid
		annotations annotations
		negative pid
		twice id|twice|duplicate
		missing id
		noise :1:
	END
}

@test "ids outside the grammar are refused" {
	long=$(printf 'a%.0s' $(seq 64))
	for id in ../x net0/../x net0. ".net0" "net0.$long" net0.UPPER 'net0.a b' net0..b; do
		check 125 "valid|a-z" hook createRuntime < <(state_json "$id" 1)
	done
	check 125 "id" hook createRuntime < <(state_json "" 1)
}

@test "a pod that is missing, not started, or of another user" {
	check 125 'nopod' hook createRuntime < <(state_json nopod.box 1)
	podctl create idle
	check 125 'idle.*(not|start|created)' hook createRuntime < <(state_json idle.box 1)
	[ ! -e "$(attachment idle box)" ]
	podctl rm idle
	theirs=/run/podd-test/foreign
	check 125 'own|permission|belong' "$HOOK" createRuntime --root "$theirs" --pod theirs \
		< <(state_json theirs.box 1)
}

@test "capability arguments that are none are refused" {
	while read -r args pattern; do
		state=$(state_json net0.box 1 |
			jq --arg args "$args" '.annotations = {"io.podd.capability-args": $args}')
		check 125 "capability-args.*$pattern" hook createRuntime <<<"$state"
	done <<-'END'
		[1] object
		{"a": :1:
		{"a":1,"a":2} twice|duplicate
	END
	[ ! -e "$(pod_dir net0)/children/box" ]
}

@test "wrong arguments are usage errors" {
	check 2 'phase|createContainer' "$HOOK" </dev/null
	check 2 'phase|createContainer' "$HOOK" later </dev/null
	check 2 'colour' "$HOOK" createContainer --colour red </dev/null
	check 2 'pod' "$HOOK" createContainer --pod </dev/null
	check 0 'createContainer' "$HOOK" --help
}

@test "createRuntime by hand: attach, attach again, detach" {
	make_namespace
	check 0 '' hook createRuntime < <(state_json net0.box "$pid")
	equal "$(json "$(attachment net0 box)" .phase)" attached
	check 0 'eth0' inside net0 nsenter -t "$pid" -n ip -4 -o address show dev eth0
	# The same container: some runtimes call prestart as well.
	generation=$(json "$(attachment net0 box)" .generation)
	check 0 '' hook prestart < <(state_json net0.box "$pid")
	equal "$(json "$(attachment net0 box)" .generation)" "$generation"
	# Another one.
	check 125 'box.*in use' hook createRuntime < <(state_json net0.box $$)
	# A poststop while it runs is not its own.
	check 0 '' hook poststop < <(state_json net0.box 0)
	equal "$(json "$(attachment net0 box)" .phase)" attached
	end_namespace
	check 0 '' hook poststop < <(state_json net0.box 0)
	[ ! -e "$(attachment net0 box)" ]
}

@test "only the pod's own id is taken off a container's id" {
	make_namespace
	hook createRuntime --pod net0 < <(state_json app1.DB "$pid")
	equal "$(json "$(attachment net0 app1-db)" .id)" app1.DB
	# Not the same as this one, which is another container.
	check 125 'app2-db.*is gone' hook createRuntime --pod net0 < <(state_json app2.DB 2147483647)
	end_namespace
	hook poststop --pod net0 < <(state_json app1.DB 0)
	[ ! -e "$(attachment net0 app1-db)" ]
	podctl rm net0/app2-db
}

@test "a hook that is refused does not complain in the directory of a container that runs" {
	make_namespace
	hook createRuntime < <(state_json net0.box "$pid")
	check 125 'is gone' hook createRuntime < <(state_json net0.box 2147483647)
	check 125 'in use' hook createRuntime < <(state_json net0.box $$)
	[ ! -e "$(pod_dir net0)/children/box/error.json" ]
	check 125 'attached' podctl rm -f net0/box
	end_namespace
	hook poststop < <(state_json net0.box 0)
}

@test "rm does not remove what a hook is at work on" {
	check 125 'box.*is gone' hook createRuntime < <(state_json net0.box 2147483647)
	check 125 'being attached or detached' flock "$(pod_dir net0)/locks/child-box" \
		"$PODD_STAGE/bin/podctl" rm net0/box
	check 0 '' podctl rm net0/box
	check 1 'no pod or container' podctl rm net0/box
	[ ! -e "$(pod_dir net0)/locks/child-box" ]
}

leases() { find "$(pod_dir net0)/cni/networks" -name '10.88.*' | wc -l; }

@test "several hooks for the same container at once attach it once" {
	make_namespace
	state_json net0.box "$pid" >"$BATS_TEST_TMPDIR/state"
	pids=()
	for _ in 1 2 3 4; do
		hook createRuntime <"$BATS_TEST_TMPDIR/state" 3>&- &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p"
	done
	equal "$(leases)" 1
	end_namespace
	hook poststop <"$BATS_TEST_TMPDIR/state"
}

@test "two containers that want the same name at once: one gets it" {
	make_namespace
	first=$pid first_job=$namespace_job
	mv "$BATS_TEST_TMPDIR/ns" "$BATS_TEST_TMPDIR/ns1"
	make_namespace
	pids=()
	for p in "$first" "$pid"; do
		state_json net0.box "$p" >"$BATS_TEST_TMPDIR/state$p"
		hook createRuntime <"$BATS_TEST_TMPDIR/state$p" 2>"$BATS_TEST_TMPDIR/error$p" 3>&- &
		pids+=($!)
	done
	won=0
	for p in "${pids[@]}"; do
		! wait "$p" || won=$((won + 1))
	done
	equal $won 1 winners
	equal "$(leases)" 1
	matches "$(cat "$BATS_TEST_TMPDIR"/error*)" 'in use'
	end_namespace
	mv "$BATS_TEST_TMPDIR/ns1" "$BATS_TEST_TMPDIR/ns"
	rm -r "$BATS_TEST_TMPDIR/ns"
	kill "$first"
	wait "$first_job" || true
	hook poststop < <(state_json net0.box 0)
}

@test "a late poststop does not tear down a successor" {
	serve crun net0 box
	crun state net0.box >"$BATS_TEST_TMPDIR/old"
	first=$(json "$(attachment net0 box)" .generation)
	end_child crun net0 box "$BATS_TEST_TMPDIR/box"
	serve runc net0 box
	second=$(json "$(attachment net0 box)" .generation)
	[ "$first" != "$second" ]
	# By generation: podd's own way. By a poststop while the successor runs: it is not its end.
	check 0 '' "$HOOK" detach --root "$PODD_ROOT" --pod net0 --child box --generation "$first"
	[ -e "$(attachment net0 box)" ]
	check 0 '' run_child crun net0 other 'timeout 5 wget -q -O - http://box/'
	end_child runc net0 box "$BATS_TEST_TMPDIR/box"
}

@test "the runtime's hooks of other makers still run" {
	for engine in runc crun; do
		make_bundle "$dir" true
		jq --arg out "$dir/ran" '.hooks.createContainer = [{path: "/bin/sh",
			args: ["sh", "-c", "cat >/dev/null; echo ran >>\($out)"]}]' \
			"$dir/config.json" >"$dir/new"
		mv "$dir/new" "$dir/config.json"
		podctl bundle net0 "$dir"
		$engine run --bundle "$dir" net0.box </dev/null
		equal "$(<"$dir/ran")" ran
		rm "$dir/ran"
	done
}

@test "hooks prints what config.json and hooks.d want" {
	check 0 'podd-hook' podctl hooks --format config --pod net0
	json - '.hooks // . | .createContainer[0].path' <<<"$output"
	check 0 'podd-hook' podctl hooks --format hooks.d --stage poststop --pod net0
	equal "$(json - .version <<<"$output")" 1.0.0
	json - .hook.path <<<"$output"
	equal "$(json - .stages[0] <<<"$output")" poststop
}

@test "a bundle with hooks pasted by hand works without podctl bundle" {
	make_bundle "$dir" sh -c 'ip -4 -o address show dev eth0'
	podctl bundle net0 "$dir"
	podctl hooks --format config --pod net0 | jq '.hooks // .' >"$BATS_TEST_TMPDIR/hooks"
	jq --slurpfile hooks "$BATS_TEST_TMPDIR/hooks" '.hooks = $hooks[0]' "$dir/config.json" \
		>"$dir/new"
	mv "$dir/new" "$dir/config.json"
	for engine in runc crun; do
		check 0 '10\.88\.' $engine run --bundle "$dir" net0.box </dev/null
	done
}
