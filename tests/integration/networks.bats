#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# CNI networks: several for one child, arguments, and every stock plugin in a chain.

load helpers

setup_file() {
	common_setup_file
	use_cni_config
	snapshot "$BATS_FILE_TMPDIR/before"
	conflist blue "$(bridge_json blue0 10.77.0.0/24)"
	conflist red "$(bridge_json red0 10.78.0.0/24)"
	conflist tuned "$(bridge_json tuned0 10.79.0.0/24)" \
		'{"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1"},
			"capabilities": {"mac": true}}' \
		'{"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000,
			"egressRate": 8000000, "egressBurst": 800000}'
	conflist mapped "$(bridge_json mapped0 10.80.0.0/24)" \
		'{"type": "portmap", "capabilities": {"portMappings": true}}' \
		'{"type": "firewall", "backend": "iptables"}'
	conflist fixed '{"type": "bridge", "bridge": "fixed0", "ipam": {"type": "static",
		"addresses": [{"address": "10.81.0.5/24", "gateway": "10.81.0.1"}]}}'
	conflist direct '{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.82.0.0/24"}}'
	conflist sub '{"type": "macvlan", "master": "blue0", "mode": "bridge",
		"ipam": {"type": "host-local", "subnet": "10.77.1.0/24"}}'
	echo '{"cniVersion": "0.3.1", "name": "old", "type": "bridge", "bridge": "old0",
		"ipam": {"type": "host-local", "subnet": "10.83.0.0/24"}}' >"$CNI_CONFIG/old.conf"
	podctl create net0
	podctl start net0
	# Bridges and chains stay in the pod; they are there from now on.
	for network in blue red tuned mapped fixed direct old; do
		run_child crun net0 first true --network $network
	done
	run_child crun net0 first true --network mapped --publish 8085:80
}

teardown_file() {
	clean_pods
	rm -rf "$BATS_FILE_TMPDIR/config"
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

@test "several networks become eth0, eth1, ..." {
	for engine in runc crun; do
		check 0 'eth0.*10\.77\..*eth1.*10\.78\.' run_child $engine net0 box \
			'echo $(ip -4 -o address show)' --network blue --network red
	done
}

@test "interface names, addresses and mac addresses can be asked for" {
	for engine in runc crun; do
		check 0 'lan0.*10\.77\.0\.99/24' run_child $engine net0 box \
			'ip -4 -o address show dev lan0' --network blue:ip=10.77.0.99,ifname=lan0
		check 0 '02:00:00:00:00:07' run_child $engine net0 box 'ip link show dev eth0' \
			--network tuned:mac=02:00:00:00:00:07
	done
}

@test "children of one network reach each other, those of two networks by the pod" {
	serve runc net0 alpha --network blue
	check 0 'I am alpha' run_child crun net0 box "timeout 5 wget -q -O - http://alpha/" --network blue
	check 0 'I am alpha' run_child crun net0 box \
		"timeout 5 wget -q -O - http://$(child_ip net0 alpha)/" --network blue --network red
	end_child runc net0 alpha "$BATS_TEST_TMPDIR/alpha"
}

@test "tuning and bandwidth" {
	for engine in runc crun; do
		check 0 '^1$' run_child $engine net0 box 'cat /proc/sys/net/ipv4/conf/eth0/arp_notify' \
			--network tuned
		serve $engine net0 alpha --network tuned
		check 0 'tbf' inside net0 tc qdisc show
		end_child $engine net0 alpha "$BATS_TEST_TMPDIR/alpha"
	done
}

# Sets an annotation in a prepared bundle.
annotate() { # bundle key value
	jq --arg key "$2" --arg value "$3" '.annotations[$key] = $value' "$1/config.json" >"$1/new"
	mv "$1/new" "$1/config.json"
}

@test "capability arguments of any kind reach the plugins that declare them" {
	conflist limited "$(bridge_json tuned0 10.79.0.0/24)" \
		'{"type": "bandwidth", "capabilities": {"bandwidth": true}}'
	for engine in runc crun; do
		make_bundle "$BATS_TEST_TMPDIR/alpha" sh -c "$SERVER"
		podctl bundle --network limited net0 "$BATS_TEST_TMPDIR/alpha"
		annotate "$BATS_TEST_TMPDIR/alpha" io.podd.capability-args \
			'{"bandwidth": {"ingressRate": 4000000, "ingressBurst": 400000}, "dns": {}}'
		start_child $engine net0 alpha "$BATS_TEST_TMPDIR/alpha"
		check 0 'tbf.* rate 4Mbit' inside net0 tc qdisc show
		equal "$(json "$(attachment net0 alpha)" .capabilityArgs.bandwidth.ingressRate)" 4000000
		valid attachment "$(attachment net0 alpha)"
		end_child $engine net0 alpha "$BATS_TEST_TMPDIR/alpha"
	done
	rm "$CNI_CONFIG/limited.conflist"
}

@test "portmap and firewall" {
	for engine in runc crun; do
		serve $engine net0 alpha --network mapped --publish 8085:80
		check 0 'I am alpha' fetch net0 10.0.2.100 8085
		check 0 "$(child_ip net0 alpha)" inside net0 nft list ruleset
		end_child $engine net0 alpha "$BATS_TEST_TMPDIR/alpha"
		check 0 '' inside net0 nft list ruleset
		[[ $output != *10.80.0.* ]]
		[[ $output != *CNI-DN-* ]]
	done
	# The chains that all ports share stay, as portmap means it.
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

@test "static, ptp and a single .conf of an old version" {
	for engine in runc crun; do
		check 0 '10\.81\.0\.5/24' run_child $engine net0 box 'ip -4 -o address' --network fixed
		check 0 '10\.82\.0\.' run_child $engine net0 box 'ip -4 -o address' --network direct
		check 0 '10\.83\.0\.' run_child $engine net0 box 'ip -4 -o address' --network old
	done
}

@test "macvlan on a bridge of the pod" {
	for engine in runc crun; do
		check 0 '10\.77\.1\.' run_child $engine net0 box 'ip -4 -o address' --network sub
	done
}

@test "the cache is libcni's, and is empty afterwards" {
	serve crun net0 alpha --network blue --network red
	for network in blue:eth0 red:eth1; do
		file=$(pod_dir net0)/cni/results/${network%:*}-net0.alpha-${network#*:}
		equal "$(json "$file" .kind)" cniCacheV1
		equal "$(json "$file" .networkName)" "${network%:*}"
		equal "$(json "$file" .ifName)" "${network#*:}"
		json "$file" '.config | @base64d | fromjson | .plugins[0].type'
		json "$file" '.result.ips[0].address'
	done
	end_child crun net0 alpha "$BATS_TEST_TMPDIR/alpha"
	equal "$(find "$(pod_dir net0)/cni/results" -type f | wc -l)" 0
}

@test "DEL uses the configuration that ADD used, also when the file has gone" {
	conflist fleeting "$(bridge_json fleet0 10.84.0.0/24)"
	serve crun net0 alpha --network fleeting
	rm "$CNI_CONFIG/fleeting.conflist"
	end_child crun net0 alpha "$BATS_TEST_TMPDIR/alpha"
	[ ! -e "$(attachment net0 alpha)" ]
}

@test "network ls and inspect" {
	check 0 'podd' podctl network ls
	matches "$output" 'blue'
	matches "$output" 'tuned'
	equal "$(podctl network inspect blue | json - '.[0].config.plugins[0].bridge')" blue0
	check 0 'podd0' podctl network inspect podd
	check '1|125' 'nosuch' podctl network inspect nosuch
}

# A configuration that cannot work: the container does not start, the error says why, and
# nothing is left.
refused() { # network pattern
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network "$1" net0 "$BATS_TEST_TMPDIR/box" >/dev/null 2>&1 || {
		run podctl bundle --network "$1" net0 "$BATS_TEST_TMPDIR/box"
		matches "$output" "$2"
		return
	}
	for engine in runc crun; do
		run $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" -ne 0 ] || fail "$1 was accepted"
		matches "$(json "$(pod_dir net0)/children/box/error.json" .message)" "$2"
		[ ! -e "$(attachment net0 box)" ]
		rm -rf "$(pod_dir net0)/children/box"
	done
}

@test "a network that does not exist is named, with those that do" {
	refused nosuch 'nosuch.*blue|blue.*nosuch'
}

@test "configurations that cannot be used are refused with file and reason" {
	echo '{"cniVersion": "9.9.9", "name": "bad", "plugins": [{"type": "bridge"}]}' \
		>"$CNI_CONFIG/bad.conflist"
	refused bad '9\.9\.9'
	conflist bad '{"type": "no-such-plugin"}'
	refused bad 'no-such-plugin'
	conflist bad '{"bridge": "x"}'
	refused bad 'type'
	conflist bad '{"type": "../../bin/sh"}'
	refused bad '\.\./\.\./bin/sh|type'
	jq -n '{cniVersion: "1.0.0", name: "bad", plugins: [range(200) | {type: "bridge"}]}' \
		>"$CNI_CONFIG/bad.conflist"
	refused bad 'plugins|32|many'
	echo '{"cniVersion": "1.0.0", "name": "bad", "plugins": []}' >"$CNI_CONFIG/bad.conflist"
	refused bad 'plugin'
	echo '{"cniVersion": "1.0.0", "name": "bad", "plugins": [' >"$CNI_CONFIG/bad.conflist"
	refused bad 'bad|line'
	rm "$CNI_CONFIG/bad.conflist"
}

@test "a broken file does not disturb the other networks" {
	echo 'not json' >"$CNI_CONFIG/00-broken.conflist"
	check 0 '10\.77\.' run_child crun net0 box 'ip -4 -o address' --network blue
	check 0 'blue' podctl network ls
	rm "$CNI_CONFIG/00-broken.conflist"
}

@test "the second network's failure takes the first one back" {
	# Its DEL has nothing to complain of.
	conflist bad '{"type": "bridge", "bridge": "blue0", "ipam": {"type": "static",
		"addresses": [{"address": "none"}]}}'
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --network blue --network bad net0 "$BATS_TEST_TMPDIR/box"
	for engine in runc crun; do
		run $engine run --bundle "$BATS_TEST_TMPDIR/box" net0.box </dev/null
		[ "$status" -ne 0 ]
	done
	rm -rf "$(pod_dir net0)/children/box" "$CNI_CONFIG/bad.conflist"
}
