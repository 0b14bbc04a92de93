#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job: bundles run by plain runc and plain crun, connected by the hook in a pod.

load helpers

dns() { # address answer
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --listen-address="$1" --bind-interfaces \
		--host-record="which.test,$2" --local=/test/ --pid-file="$BATS_FILE_TMPDIR/dns-$1.pid" \
		--user="$USER" --group="$USER" 3>&-
}

setup_file() {
	common_setup_file
	snapshot "$BATS_FILE_TMPDIR/before"
	start_web "$HOST4" 8080
	start_web "[$HOST6]" 8080
	dns 192.0.2.53 192.0.2.1
	dns 192.0.2.54 192.0.2.99
	podctl create net0
	podctl start net0
	# Bridge, chains and directories of the network stay; they are there from now on.
	run_child crun net0 first true
}

teardown_file() {
	for pid_file in "$BATS_FILE_TMPDIR"/dns-*.pid; do
		end_process TERM "$(<"$pid_file")"
	done
	stop_listener 8080
	stop_listener 8080
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

page() { echo "timeout 5 wget -q -O - http://$1/"; }

@test "runc and crun containers reach each other by address and by name" {
	serve runc net0 alpha
	serve crun net0 beta
	a=$(child_ip net0 alpha)
	b=$(child_ip net0 beta)
	matches "$a" '^10\.88\.'
	matches "$b" '^10\.88\.'
	[ "$a" != "$b" ]
	for engine in runc crun; do
		check 0 "I am beta" run_child $engine net0 probe "$(page "$b")"
		check 0 "I am alpha" run_child $engine net0 probe "$(page "$a")"
		check 0 "I am beta" run_child $engine net0 probe "$(page beta)"
		check 0 "I am alpha" run_child $engine net0 probe "$(page alpha)"
	done
	end_child runc net0 alpha "$BATS_TEST_TMPDIR/alpha"
	end_child crun net0 beta "$BATS_TEST_TMPDIR/beta"
}

@test "a running container sees the names of those that come later" {
	serve runc net0 alpha
	serve crun net0 beta
	init=$(runc state net0.alpha | json - .pid)
	check 0 'beta' cat "/proc/$init/root/etc/hosts"
	end_child crun net0 beta "$BATS_TEST_TMPDIR/beta"
	run grep beta "/proc/$init/root/etc/hosts"
	[ "$status" -ne 0 ]
	end_child runc net0 alpha "$BATS_TEST_TMPDIR/alpha"
}

@test "a container reaches the host's network" {
	for engine in runc crun; do
		check 0 "the host's page" run_child $engine net0 probe "$(page "$HOST4:8080")"
		check 0 "the host's page" run_child $engine net0 probe "$(page "[$HOST6]:8080")"
	done
}

@test "the pod itself reaches its containers, and they reach it" {
	serve crun net0 alpha
	check 0 "I am alpha" fetch net0 "$(child_ip net0 alpha)"
	check 0 "1 packets received" run_child runc net0 probe "ping -c 1 -W 2 10.0.2.100"
	end_child crun net0 alpha "$BATS_TEST_TMPDIR/alpha"
}

@test "containers speak IPv6 with each other" {
	serve runc net0 alpha
	six=$(json "$(attachment net0 alpha)" '.networks[0].addresses[]' | grep : | cut -d/ -f1)
	check 0 "I am alpha" run_child crun net0 probe \
		"ip -6 -o addr show dev eth0 >/dev/null; ping -6 -c 1 -W 2 $six >/dev/null && echo I am alpha"
	end_child runc net0 alpha "$BATS_TEST_TMPDIR/alpha"
}

@test "names are resolved by the host's name server, also after it changed" {
	for engine in runc crun; do
		check 0 "192\.0\.2\.1" run_child $engine net0 probe "nslookup which.test"
	done
	for request in "resolv 192.0.2.54" "resolv 192.0.2.53" "resolv-link 192.0.2.54"; do
		# shellcheck disable=SC2086  # the words of the request
		admin $request
		[ "${request##* }" = 192.0.2.53 ] && answer=192.0.2.1 || answer=192.0.2.99
		# Each query is answered, by the old server until the uplink has heard of the new one.
		for _ in $(seq 200); do
			run run_child crun net0 probe "nslookup which.test 10.0.2.3"
			[[ $output != *"Address: $answer"* && $output != *": $answer"$'\n'* ]] || break
		done
		matches "$output" "${answer//./\\.}"
	done
	admin resolv 192.0.2.53
}

@test "sysfs of a bridged container shows its own interfaces" {
	for engine in runc crun; do
		check 0 '^eth0 *lo *$' run_child $engine net0 probe \
			'echo $(ls /sys/class/net | sort)'
		check 0 'sysfs' run_child $engine net0 probe 'mount -t sysfs'
	done
}

# The kernel allows it when the netns belongs to the container's user namespace, and nothing
# covers parts of the sysfs that is there.
@test "a container with capabilities can mount sysfs itself" {
	dir=$BATS_TEST_TMPDIR/box
	make_bundle "$dir" sh -c 'mount -t sysfs own /tmp && ls /tmp/class/net'
	jq 'del(.linux.maskedPaths, .linux.readonlyPaths) |
		.mounts |= map(if .destination == "/sys" then .options = [] else . end)' \
		"$dir/config.json" >"$dir/new"
	mv "$dir/new" "$dir/config.json"
	podctl bundle net0 "$dir"
	for engine in runc crun; do
		check 0 'eth0' $engine run --bundle "$dir" net0.box </dev/null
	done
}

@test "a shared container is in the pod's own network" {
	for engine in runc crun; do
		dir=$BATS_TEST_TMPDIR/near
		make_bundle "$dir" sh -c "$SERVER"
		podctl bundle --name near --share net net0 "$dir"
		start_child $engine net0 near "$dir"
		equal "$(json "$(attachment net0 near)" .share)" shared
		equal "$(json "$(attachment net0 near)" '.networks | length')" 0
		check 0 "I am" fetch net0 127.0.0.1
		check 0 "I am" run_child runc net0 probe "$(page 10.0.2.100)"
		end_child $engine net0 near "$dir"
	done
}

@test "the program's exit status and its output come through" {
	for engine in runc crun; do
		check 37 '^said$' run_child $engine net0 probe 'echo said; exit 37'
	done
}

@test "the container's hostname and its own /etc/hosts line agree" {
	check 0 '10\.88\.[0-9.]+[[:space:]].*shop' run_child crun net0 probe 'cat /etc/hosts' \
		--hostname shop
	check 0 '^shop$' run_child runc net0 probe hostname --hostname shop
}

@test "--share ipc and uts join the pod's" {
	dir=$BATS_TEST_TMPDIR/near
	make_bundle "$dir" sh -c "$SERVER"
	check 0 '' podctl bundle --name near --share net,ipc,uts net0 "$dir"
	start_child crun net0 near "$dir"
	init=$(crun state net0.near | json - .pid)
	equal "$(readlink "/proc/$init/ns/net")" "$(inside net0 readlink /proc/self/ns/net)"
	equal "$(readlink "/proc/$init/ns/uts")" "$(inside net0 readlink /proc/self/ns/uts)"
	equal "$(readlink "/proc/$init/ns/ipc")" "$(inside net0 readlink /proc/self/ns/ipc)"
	end_child crun net0 near "$dir"
}

@test "ps shows the containers below their pod, and --tree draws it" {
	serve crun net0 alpha
	check 0 "net0/alpha.*attached" podctl ps
	check 0 "10\.88\." podctl ps
	check 0 "alpha" podctl ps --tree
	equal "$(podctl inspect net0/alpha | json - '.[0].path')" net0/alpha
	end_child crun net0 alpha "$BATS_TEST_TMPDIR/alpha"
	run podctl ps
	[[ $output != *alpha* ]]
}
