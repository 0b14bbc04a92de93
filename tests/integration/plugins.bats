#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Plugins that misbehave, what they are given, and when they run.

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
	log=$BATS_TEST_TMPDIR/fake.log
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	rm -rf "$(pod_dir net0)/children/box"
	rm -f "$CNI_CONFIG"/*
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

commands() { # of the fake plugin, in order
	awk '{ print $2 }' "$log" | tr '\n' ' '
}

# Bridge first, then the fake plugin in that mode at ADD: the bridge must be taken back.
fails_with() { # pattern mode [json]
	conflist chain "$(bridge_json chain0 10.66.0.0/24)" "$(fake_json "$2" ADD "${3:-{\}}")"
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network chain net0 "$BATS_TEST_TMPDIR/box"
	for engine in runc crun; do
		run timeout 50 $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" -ne 0 ] || fail "mode $2 was accepted"
		error=$(json "$(pod_dir net0)/children/box/error.json" .message)
		matches "$error" "$1"
		matches "$error" fake
		[ $engine = crun ] || matches "$output" "$1"
		[ ! -e "$(attachment net0 box)" ]
		rm -rf "$(pod_dir net0)/children/box"
	done
}

@test "a plugin that prints nothing" { fails_with 'nothing|no result|empty|output' nothing; }

@test "a plugin that prints garbage" { fails_with 'JSON|line 1' garbage; }

@test "a plugin that prints an error object" { fails_with 'fake' error; }

@test "a plugin that is killed by a signal" { fails_with 'signal' signal; }

@test "a plugin that floods its output" { fails_with 'much|large|bytes' flood; }

# Both runtimes at once, because it takes the whole time-out, and each on a network of its own,
# because there is one lock for each.
@test "a plugin that hangs is ended when its time is over" {
	for engine in runc crun; do
		conflist "chain-$engine" "$(bridge_json chain0 10.66.0.0/24)" "$(fake_json hang ADD)"
		make_bundle "$BATS_TEST_TMPDIR/$engine" true
		podctl bundle --network "chain-$engine" net0 "$BATS_TEST_TMPDIR/$engine"
	done
	runc run --bundle "$BATS_TEST_TMPDIR/runc" net0.runc </dev/null 3>&- &
	first=$!
	run crun run --bundle "$BATS_TEST_TMPDIR/crun" net0.crun </dev/null
	[ "$status" -ne 0 ]
	! wait $first || fail "it did not fail"
	for engine in runc crun; do
		matches "$(json "$(pod_dir net0)/children/$engine/error.json" .message)" 'fake.*(time|seconds|ms)'
		rm -rf "$(pod_dir net0)/children/$engine"
	done
	check 1 '^$' pgrep -x fake
}

@test "a plugin that leaves a daemon with its standard output does not hold us up" {
	conflist chain "$(bridge_json chain0 10.66.0.0/24)" "$(fake_json daemon ADD)"
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network chain net0 "$BATS_TEST_TMPDIR/box"
	for engine in runc crun; do
		check 0 '' timeout 20 $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
	done
	# They made sessions of their own; here they are the test's to end.
	mapfile -t daemons < <(pgrep -x fake)
	kill "${daemons[@]}" || true
}

@test "what a plugin says on stderr is kept when it fails" {
	fails_with 'the last line' stderr
}

@test "a DEL that fails is reported, and tried again" {
	conflist chain "$(bridge_json chain0 10.66.0.0/24)" "$(fake_json fail-del)"
	serve crun net0 box --network chain
	pid=$(crun state net0.box | json - .pid)
	echo "$pid" >"$BATS_TEST_TMPDIR/pid"
	echo end >"$BATS_TEST_TMPDIR/box/io/end"
	timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || true
	run crun delete net0.box
	[ -e "$(attachment net0 box)" ]
	conflist chain "$(bridge_json chain0 10.66.0.0/24)"
	jq '.networks[0].config.plugins |= map(select(.type != "fake"))' "$(attachment net0 box)" \
		>"$BATS_TEST_TMPDIR/new"
	cat "$BATS_TEST_TMPDIR/new" >"$(attachment net0 box)"
	check 0 '' "$HOOK" poststop --root "$PODD_ROOT" \
		<<<'{"ociVersion":"1.0.2","id":"net0.box","status":"stopped","bundle":"/"}'
	[ ! -e "$(attachment net0 box)" ]
}

# Waits until the container's first process, which the runtime ends, is gone.
init_has_ended() { # child
	json "$(attachment net0 "$1")" .init.pid >"$BATS_TEST_TMPDIR/pid"
	timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || true
}

# ADD fails, and so does DEL as long as there is that file.
use_stuck_plugin() {
	cat >"$BATS_FILE_TMPDIR/plugins/stuck" <<-END
		#!/bin/sh
		cat >/dev/null
		[ "\$CNI_COMMAND" = ADD ] || [ -e "$BATS_TEST_TMPDIR/stuck" ] || exit 0
		echo '{"code": 100, "msg": "stuck plugin"}'
		exit 1
	END
	chmod 0755 "$BATS_FILE_TMPDIR/plugins/stuck"
	touch "$BATS_TEST_TMPDIR/stuck"
}

@test "an ADD that cannot be taken back keeps its record, and is taken back later" {
	use_stuck_plugin
	conflist one "$(bridge_json chain0 10.66.0.0/24)"
	conflist chain "$(bridge_json chain0 10.66.0.0/24)" '{"type": "stuck"}'
	conflist never '{"type": "no-such-plugin"}'
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network one --network chain --network never net0 "$BATS_TEST_TMPDIR/box"
	for engine in runc crun; do
		touch "$BATS_TEST_TMPDIR/stuck"
		run $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" -ne 0 ]
		equal "$(json "$(attachment net0 box)" .phase)" detaching
		valid attachment "$(attachment net0 box)"
		# What was not reached has nothing to be deleted.
		equal "$(json "$(attachment net0 box)" '[.networks[].name] | join(" ")')" "one chain"
		matches "$(json "$(pod_dir net0)/children/box/error.json" .message)" \
			'stuck.*ADD.*taking it back failed.*stuck.*DEL'
		check 0 'net0\.box' inside net0 ls /run/netns
		init_has_ended box
		check 125 'rm -f' podctl rm net0/box
		rm "$BATS_TEST_TMPDIR/stuck"
		# podd's own next try may be the one that does it.
		check 0 '' "$HOOK" poststop --root "$PODD_ROOT" \
			<<<'{"ociVersion":"1.0.2","id":"net0.box","status":"stopped","bundle":"/"}'
		[ ! -e "$(attachment net0 box)" ]
		pod_compare_but_error
	done
}

pod_compare_but_error() {
	podctl rm net0/box
	pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

@test "what can never be taken back is given up by rm -f" {
	use_stuck_plugin
	conflist chain '{"type": "stuck"}'
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network chain net0 "$BATS_TEST_TMPDIR/box"
	run crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
	[ "$status" -ne 0 ]
	init_has_ended box
	check 0 '' podctl rm -f net0/box
	[ ! -e "$(pod_dir net0)/children/box" ]
	# The name is free, and the next container takes over what was bound.
	check 0 '10\.88\.' run_child runc net0 box 'ip -4 -o address'
}

@test "a plugin's environment is clean" {
	conflist chain "$(fake_json env)"
	export SECRET=visible LD_PRELOAD_X=1
	for engine in runc crun; do
		: >"$log"
		run_child $engine net0 box true --network chain
		grep -q CNI_COMMAND "$log"
		grep -q 'CNI_CONTAINERID=net0\.box' "$log"
		grep -q 'CNI_IFNAME=eth0' "$log"
		grep -q 'CNI_NETNS=/run/netns/' "$log"
		[ "$(grep -cE 'SECRET|LD_PRELOAD|XDG_|HOME=' "$log")" = 0 ]
		[ "$(grep -cE '^fd ([3-9]|[1-9][0-9])' "$log")" = 0 ]
		[ "$(grep -c '^group shared' "$log")" = 0 ]
	done
}

@test "ADD runs strictly before the program, DEL strictly after it" {
	conflist chain "$(bridge_json chain0 10.66.0.0/24)" "$(fake_json ok)"
	for engine in runc crun; do
		: >"$log"
		make_bundle "$BATS_TEST_TMPDIR/box" /bin/stamp /io/stamps
		: >"$BATS_TEST_TMPDIR/box/io/stamps"
		podctl bundle --network chain net0 "$BATS_TEST_TMPDIR/box"
		$engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		cat "$log" "$BATS_TEST_TMPDIR/box/io/stamps" | sort -n >"$BATS_TEST_TMPDIR/order"
		cat "$BATS_TEST_TMPDIR/order"
		equal "$(awk '{ print $2 == "program" ? $3 : $2 }' "$BATS_TEST_TMPDIR/order" |
			uniq | tr '\n' ' ')" "ADD begin end DEL "
	done
}

@test "ADD follows the chain, DEL the reverse" {
	conflist chain "$(fake_json ok | jq '.tag = "one"')" "$(fake_json ok | jq '.tag = "two"')"
	run_child crun net0 box true --network chain
	equal "$(commands)" "ADD ADD DEL DEL "
}

@test "a hook that waits for one network does not stop another child's" {
	mkfifo "$BATS_TEST_TMPDIR/gate"
	conflist slow "$(jq -n --arg log "$BATS_TEST_TMPDIR/gate" \
		'{type: "fake", mode: "ok", log: $log}')"
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network slow net0 "$BATS_TEST_TMPDIR/box"
	crun run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null 3>&- &
	waiting=$!
	check 0 '10\.88' run_child runc net0 other 'ip -4 -o address'
	# The fake plugin goes on when its log is read: once at ADD and once at DEL.
	cat "$BATS_TEST_TMPDIR/gate" >/dev/null
	cat "$BATS_TEST_TMPDIR/gate" >/dev/null
	wait $waiting
}
