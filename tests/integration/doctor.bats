#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl doctor: what it finds, what it says of it, what --fix does, and that it does nothing without.

load helpers

# A program that goes on until it is told to end.
LIVE='trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'

setup_file() {
	common_setup_file
	use_cni_config
	use_fake_plugin
	start_web "$HOST4" 8080
}

teardown_file() {
	stop_listener 8080
}

setup() {
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	dir=$(pod_dir net0)
}

teardown() {
	rescue || true
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

start_box() { # [option...]
	podctl start net0
	box run a -d "$@" sh -c "$LIVE" >/dev/null
	await_log net0/a up
}

healthy() { check 0 '^$' podctl doctor; }

# found PATTERN: it is told, and nothing is changed by that.
found() {
	find "$PODD_ROOT" -printf '%p %y %i %s %T@\n' | sort >"$BATS_TEST_TMPDIR/was"
	check 1 "$1" podctl doctor
	find "$PODD_ROOT" -printf '%p %y %i %s %T@\n' | sort >"$BATS_TEST_TMPDIR/is"
	diff "$BATS_TEST_TMPDIR/was" "$BATS_TEST_TMPDIR/is" >&2 || fail "doctor changed something"
}

# mended PATTERN: found, and then mended, so that nothing is left.
mended() {
	found "$1"
	check 0 "$1.*; fixed: " podctl doctor --fix
	healthy
}

in_box() { inside net0 ip netns exec net0.a "$@"; }

# The host's page, as the container's network reaches it.
box_fetch() {
	in_box timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/8080" && printf "GET / HTTP/1.0\r\n\r\n" >&3 &&
		cat <&3' "$HOST4"
}

@test "of what is in order nothing is said: created, running, stopped, with containers or without" {
	check 0 '^$' podctl doctor
	podctl create --net none alone
	podctl start net0 alone
	serve crun net0 web
	box run a -d --network podd sh -c "$LIVE" >/dev/null
	box run b -d sh -c "$LIVE" >/dev/null
	box create c true >/dev/null
	await_log net0/a up
	healthy
	check 0 '^$' podctl doctor --plugins
	check 0 '^$' podctl doctor net0 alone
	podctl doctor --format json >"$BATS_TEST_TMPDIR/out"
	valid podctl-doctor "$BATS_TEST_TMPDIR/out"
	equal "$(json "$BATS_TEST_TMPDIR/out" '"\(.pods) \(.containers) \(.findings | length)"')" "2 4 0"
	podctl kill net0/b
	podctl wait net0/b
	healthy
	end_child crun net0 web "$BATS_TEST_TMPDIR/web"
	healthy
	podctl stop -t 0 net0 alone
	healthy
}

@test "wrong use, and pods that are not there" {
	check 125 'there is no pod|no such pod' podctl doctor nobody
	check 125 'format' podctl doctor --format xml
	check 125 'unknown|option' podctl doctor --mend
	podctl rm net0
	healthy
}

@test "what a reader finds in the JSON is what the schema says" {
	start_box --network podd
	touch "$dir/locks/child-gone"
	podctl doctor --format json >"$BATS_TEST_TMPDIR/out" || equal $? 1
	valid podctl-doctor "$BATS_TEST_TMPDIR/out"
	equal "$(json "$BATS_TEST_TMPDIR/out" '.findings[0] | "\(.pod) \(.check) \(.fixed)"')" \
		"net0 lock false"
	equal "$(json "$BATS_TEST_TMPDIR/out" '.left | length')" 1
	podctl doctor --fix --format json >"$BATS_TEST_TMPDIR/out"
	valid podctl-doctor "$BATS_TEST_TMPDIR/out"
	equal "$(json "$BATS_TEST_TMPDIR/out" '"\(.findings[0].fixed) \(.left | length)"')" "true 0"
}

@test "addresses and results that nobody has are given back, and those in use are not" {
	start_box --network podd
	ip=$(child_ip net0 a)
	printf 'net0.old\r\neth0' >"$dir/cni/networks/podd/10.88.0.77"
	printf 'foreign\n' >"$dir/cni/networks/podd/10.88.0.78"
	sed 's/net0\.a/net0.gone/g' "$dir/cni/results/podd-net0.a-eth0" \
		>"$dir/cni/results/podd-net0.gone-eth0"
	found "net0: lease: .*10.88.0.77.*net0.old"
	matches "$output" 'net0: lease: .*10.88.0.78.*foreign'
	mended 'net0: cache: .*net0.gone'
	[ ! -e "$dir/cni/networks/podd/10.88.0.77" ]
	[ ! -e "$dir/cni/networks/podd/10.88.0.78" ]
	[ ! -e "$dir/cni/results/podd-net0.gone-eth0" ]
	[ -e "$dir/cni/networks/podd/$ip" ]
	check 0 "$ip" in_box ip -4 address show eth0
}

@test "a kept result that names a living container's netns does not cost it its interface" {
	start_box --network podd
	sed '0,/net0\.a/s//net0.gone/' "$dir/cni/results/podd-net0.a-eth0" \
		>"$dir/cni/results/podd-net0.gone-eth0"
	equal "$(json "$dir/cni/results/podd-net0.gone-eth0" '"\(.containerId) \(.netns)"')" \
		"net0.gone /run/netns/net0.a"
	check 0 'fixed' podctl doctor --fix
	check 0 "$(child_ip net0 a)" in_box ip -4 address show eth0
	healthy
}

@test "a FIFO in place of a container's netns holds nobody up, and is replaced" {
	start_box --network podd
	inside net0 sh -c 'umount /run/netns/net0.a && rm /run/netns/net0.a && mkfifo /run/netns/net0.a'
	check 1 'net0: netns: .*net0\.a' timeout 20 podctl doctor
	check 0 'net0: netns: .*net0\.a.*fixed' timeout 30 podctl doctor --fix
	check 0 "$(child_ip net0 a)" in_box ip -4 address show eth0
	healthy
}

@test "what a FIFO in place of a container's netns has hidden is mended after it" {
	start_box --network podd
	in_box ip address flush dev eth0
	inside net0 sh -c 'umount /run/netns/net0.a && rm /run/netns/net0.a && mkfifo /run/netns/net0.a'
	check 1 'net0: netns: .*net0\.a' timeout 20 podctl doctor --fix
	check 0 'fixed' timeout 20 podctl doctor --fix
	healthy
}

@test "a lease that is missing is written again: nobody else gets the address" {
	start_box --network podd
	ip=$(child_ip net0 a)
	rm "$dir/cni/networks/podd/$ip"
	mended "net0: lease: .*$ip of container a is not kept"
	box run b -d --network podd --ip "$ip" sh -c "$LIVE" && fail "b has a's address"
	podctl rm -f net0/b
	podctl rm -f -t 0 net0/a
	[ ! -e "$dir/cni/networks/podd/$ip" ]
}

@test "GC is called where a plugin has it, with those that are valid" {
	conflist new "$(fake_json ok)"
	jq '.cniVersion = "1.1.0"' "$CNI_CONFIG/new.conflist" >"$CNI_CONFIG/x" &&
		mv "$CNI_CONFIG/x" "$CNI_CONFIG/new.conflist"
	podctl start net0
	box run a -d --network new sh -c "$LIVE" >/dev/null
	await_log net0/a up
	sed 's/net0\.a/net0.gone/g' "$dir/cni/results/new-net0.a-eth0" \
		>"$dir/cni/results/new-net0.gone-eth0"
	: >"$BATS_TEST_TMPDIR/fake.log"
	# That the fake plugin has made no interface, is told as well.
	check '0|1' 'net0: cache: .*net0.gone.*; fixed' podctl doctor --fix
	[ ! -e "$dir/cni/results/new-net0.gone-eth0" ]
	check 0 'DEL' cat "$BATS_TEST_TMPDIR/fake.log"
	check 0 'GC' cat "$BATS_TEST_TMPDIR/fake.log"
	rm "$CNI_CONFIG/new.conflist"
}

@test "plugins are asked with --plugins, unless the network says that they are not to be" {
	conflist picky "$(bridge_json br7 10.77.0.0/24)" "$(fake_json error CHECK)"
	conflist quiet "$(bridge_json br8 10.78.0.0/24)" "$(fake_json error CHECK)"
	jq '.disableCheck = true' "$CNI_CONFIG/quiet.conflist" >"$CNI_CONFIG/x" &&
		mv "$CNI_CONFIG/x" "$CNI_CONFIG/quiet.conflist"
	podctl start net0
	box run a -d --network picky sh -c "$LIVE" >/dev/null
	box run b -d --network quiet sh -c "$LIVE" >/dev/null
	await_log net0/a up
	await_log net0/b up
	healthy
	check 1 'net0: plugin: container a: CHECK: .*picky' podctl doctor --plugins
	[[ $output != *"container b"* ]]
	rm "$CNI_CONFIG"/{picky,quiet}.conflist
}

@test "/run/netns: what is left there goes, what is missing comes back" {
	start_box --network podd
	inside net0 ip netns add net0.stray
	inside net0 ip netns add mine
	mended 'net0: netns: .*net0.stray'
	check 0 'mine' inside net0 ip netns
	inside net0 umount /run/netns/net0.a
	mended 'net0: netns: .*net0.a.*is not the network namespace of container a'
	check 0 "$(child_ip net0 a)" in_box ip -4 address show eth0
	inside net0 ip netns delete mine
}

@test "an interface that is down or lacks its address is set, and reaches the host again" {
	start_box --network podd
	in_box ip link set eth0 down
	found 'net0: interface: interface eth0 of container a is down'
	matches "$output" 'net0: plugin: container a: CHECK'
	mended 'net0: interface: interface eth0 of container a is down'
	check 0 "the host's page" box_fetch
	in_box ip address delete "$(child_ip net0 a)/16" dev eth0
	mended 'net0: interface: .*lacks the address'
	inside net0 ip link set tap0 down
	mended 'net0: tap: .*tap0 is down'
	check 0 "the host's page" fetch net0 "$HOST4" 8080
	inside net0 ip route delete default
	mended 'net0: tap: .*no default IPv4 route'
	check 0 "the host's page" fetch net0 "$HOST4" 8080
	in_box ip link delete eth0
	found 'net0: interface: interface eth0 of container a is gone'
	check 1 'left: .*is gone' podctl doctor --fix
}

@test "rules that were changed are set anew, and others stay" {
	podctl start net0
	inside net0 nft list ruleset >"$BATS_TEST_TMPDIR/rules"
	inside net0 nft add table inet mine
	inside net0 nft flush chain inet podd answer
	mended 'net0: rules: the chain answer .*has 0 rules, not 4'
	inside net0 nft delete table inet podd
	mended 'net0: rules: .*lacks the chain first_in'
	check 0 "the host's page" fetch net0 "$HOST4" 8080
	inside net0 nft delete table inet mine
	# Chains are listed in the order in which they were made.
	diff <(sort "$BATS_TEST_TMPDIR/rules" | sed 's/counter packets.*bytes [0-9]*//') \
		<(inside net0 nft list ruleset | sort | sed 's/counter packets.*bytes [0-9]*//')
}

@test "directories, locks, links and sockets that were left half-way" {
	podctl start net0
	mkdir -m 0700 "$dir/children/half" "$PODD_ROOT/halfpod"
	touch "$dir/locks/child-gone"
	rm "$dir/ns/net"
	found 'net0: unfinished: container half'
	matches "$output" 'halfpod: unfinished: '
	matches "$output" 'net0: lock: locks/child-gone'
	matches "$output" 'net0: namespace: ns/net does not lead'
	mended 'net0: unfinished: container half'
	[ ! -e "$dir/children/half" ]
	[ ! -e "$PODD_ROOT/halfpod" ]
	[ ! -e "$dir/locks/child-gone" ]
	equal "$(readlink "$dir/ns/net")" "/proc/$(pod_process net0 outer)/ns/net"
	rm "$dir/control.sock"
	mended 'net0: socket: control.sock'
	rm "$dir/outer.sock"
	found 'net0: socket: outer.sock'
	check 1 'left: net0: socket: outer.sock' podctl doctor --fix
	podctl stop -t 0 net0
	for socket in control.sock outer.sock uplink.sock metrics.sock; do
		touch "$dir/$socket"
		mended "net0: left-over: it does not run, and $socket is left"
		[ ! -e "$dir/$socket" ]
	done
}

@test "a pod that runs and has lost its records is told, is not removed, and rm -f ends it" {
	for record in pod.json state.json; do
		for way in gone directory damaged; do
			[ "$record $way" != "pod.json damaged" ] || continue
			[ "$record $way" != "pod.json directory" ] || continue
			podctl create net0 2>/dev/null || true
			start_box
			outer=$(pod_process net0 outer) podd=$(pod_process net0 podd)
			shim=$(shim_pid net0/a)
			rm "$dir/$record"
			case $way in
			directory) mkdir "$dir/$record" ;;
			damaged) echo '{"version":1' >"$dir/$record" ;;
			esac
			if [ "$record" = pod.json ]; then
				found 'net0: record: it runs, but its pod.json is gone'
				check 1 'left: net0: record: it runs' podctl doctor --fix
				check 125 'runs, though its pod.json is gone' podctl rm net0
				kill -0 "$outer" "$podd"
			else
				found 'net0: record: .*state.json'
				check 1 '' podctl doctor --fix
				check 125 'state.json' podctl start net0
				kill -0 "$outer" "$podd"
			fi
			check 0 '^net0$' podctl rm -f -t 0 net0
			[ ! -e "$dir" ]
			for pid in "$outer" "$podd" "$shim"; do
				echo "$pid" >"$BATS_TEST_TMPDIR/pid"
				timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || has_ended "$pid"
			done
		done
	done
}

@test "a supervisor that was killed is replaced, and what runs goes on" {
	start_box
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)"
	mended 'net0: podd: its supervisor has died'
	equal "$(init_pid net0/a)" "$init"
	end_process KILL "$(pod_process net0 podd)" "$(pod_process net0 uplink)"
	mended 'net0: uplink: podd-uplink has ended'
}

@test "a supervisor that hangs does not hold doctor up, and is replaced" {
	start_box
	podd=$(pod_process net0 podd)
	kill -STOP "$podd"
	check 0 "net0: podd: its supervisor \(process $podd\) does not answer.*fixed" timeout 20 \
		"$PODD_STAGE/bin/podctl" doctor --fix
	has_ended "$podd"
	healthy
}

@test "of a pod that died with its supervisor everything is removed but the records" {
	start_box --network podd
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)"
	end_process KILL "$(pod_process net0 outer)"
	mended 'net0: outer: its outer container has ended'
	has_ended "$init"
	check 0 'net0 .*stopped' podctl ps
	equal "$(ls "$dir/cni" "$dir/ns")" "$(printf '%s:\n\n%s:' "$dir/cni" "$dir/ns")"
	podctl start net0
	healthy
}

@test "a pod whose supervisor was killed in the middle of its start" {
	podctl start net0
	podctl stop net0
	jq --argjson now "$(jq -n --arg boot "$(tr -d - </proc/sys/kernel/random/boot_id)" \
		'{phase: "starting", bootId: $boot, podd: {pid: 1, startTime: 999999999}}')" \
		'. + $now' "$dir/state.json" >"$BATS_TEST_TMPDIR/state"
	cat "$BATS_TEST_TMPDIR/state" >"$dir/state.json"
	mended 'net0: outer: its supervisor was killed while the pod started'
}

@test "a container whose shim was killed while there was no supervisor" {
	start_box --network podd
	init=$(init_pid net0/a)
	end_process KILL "$(pod_process net0 podd)"
	end_process KILL "$(shim_pid net0/a)"
	found 'net0: container: the shim of container a is gone'
	# The new supervisor clears up, which may take it a moment longer.
	check '0|1' 'fixed' podctl doctor --fix
	timeout 10 "$TOOL" wait-file "$(child_dir net0/a)/state.json" 10 '"phase": "exited"'
	has_ended "$init"
	healthy
}

@test "a container that ended while there was no supervisor is detached" {
	podctl start net0
	serve crun net0 web
	pid=$(json "$(attachment net0 web)" .init.pid)
	end_process KILL "$(pod_process net0 podd)"
	end_process KILL "$pid"
	found 'net0: attachment: container web .*is not detached'
	check 0 'fixed' podctl doctor --fix
	crun delete -f net0.web
	healthy
	[ ! -e "$(attachment net0 web)" ]
}

@test "what of a shim and a cgroup has lost its record is found by its name" {
	start_box
	shim=$(shim_pid net0/a)
	cp -r "$(child_dir net0/a)" "$BATS_TEST_TMPDIR/saved"
	kill -STOP "$shim"
	jq '.shim.pid = 1 | .phase = "exited"' "$BATS_TEST_TMPDIR/saved/state.json" \
		>"$(child_dir net0/a)/state.json"
	rm "$(child_dir net0/a)/lock"
	check 1 "net0: shim: a podd-shim of a \(process $shim\) runs" podctl doctor
	check 0 'fixed' podctl doctor --fix
	has_ended "$shim"
	healthy
	if [ -w /sys/fs/cgroup/cgroup.procs ]; then
		mkdir /sys/fs/cgroup/podd-nobody
		mended '^cgroup: the cgroup /podd-nobody'
		[ ! -e /sys/fs/cgroup/podd-nobody ]
	fi
}

@test "records that cannot be read are told one by one, and left as they are" {
	start_box
	echo '{' >"$dir/children/a/exit.json"
	mkdir -m 0700 "$dir/children/odd"
	echo 'nonsense' >"$dir/children/odd/attachment.json"
	cp "$dir/network.json" "$BATS_TEST_TMPDIR/network" 2>/dev/null || true
	echo '{"version":99}' >"$dir/network.json"
	found 'net0: record: container odd: '
	matches "$output" 'net0: record: .*network.json'
	check 1 'left: net0: record: container odd' podctl doctor --fix
	[ -e "$dir/children/odd/attachment.json" ]
	rm -r "$dir/children/odd" "$dir/network.json"
	[ ! -e "$BATS_TEST_TMPDIR/network" ] || cp "$BATS_TEST_TMPDIR/network" "$dir/network.json"
	healthy
}
