#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A pod's life: create, start, ps, inspect, enter, stop, rm, and what each option changes.

load helpers

setup_file() {
	common_setup_file
	start_web 127.0.0.1 8081
	start_web "$HOST4" 8080
}

teardown_file() {
	stop_listener 8081
	stop_listener 8080
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
}

teardown() {
	echo "$USER:200000:65536" >/etc/subuid
	echo "$USER:200000:65536" >/etc/subgid
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

phase() { json "$(pod_dir "$1")/state.json" .phase; }

@test "a pod is created, started, listed, entered, stopped and removed" {
	check 0 '^net0$' podctl create net0
	[ ! -e "$(pod_dir net0)/state.json" ]
	check 0 'net0 .*created' podctl ps
	check 0 '' podctl start net0
	equal "$(phase net0)" running
	check 0 'net0 .*running' podctl ps
	check 0 '^net0$' podctl ps -q
	check 0 'uid=0' inside net0 id
	check 0 '' podctl stop net0
	equal "$(phase net0)" stopped
	check 0 'net0 .*stopped' podctl ps
	check 0 '' podctl rm net0
	[ ! -e "$(pod_dir net0)" ]
}

@test "after stop nothing runs and nothing is mounted, only the records are there" {
	podctl create net0
	podctl start net0
	podctl stop net0
	snapshot "$BATS_TEST_TMPDIR/stopped"
	for kind in processes mounts netns userns links; do
		diff -U0 "$BATS_TEST_TMPDIR/before/$kind" "$BATS_TEST_TMPDIR/stopped/$kind"
	done
}

@test "a stopped pod starts again" {
	podctl create net0
	for _ in 1 2 3; do
		podctl start net0
		inside net0 busybox ping -c 1 -W 2 10.0.2.2
		podctl stop net0
	done
}

@test "packets leave as soon as start returns" {
	for i in 1 2 3 4 5; do
		podctl create "p$i"
		podctl start "p$i"
		check 0 "the host's page" fetch "p$i" "$HOST4" 8080
		check 0 '1 packets received' inside "p$i" busybox ping -c 1 -W 2 10.0.2.2
	done
}

@test "the pod has the host's files, a private /run and its own /var/lib/cni" {
	podctl create net0
	podctl start net0
	echo mine >"$BATS_TEST_TMPDIR/file"
	check 0 '^mine$' inside net0 cat "$BATS_TEST_TMPDIR/file"
	inside net0 sh -c 'touch /run/xtables.lock /run/only-here && mkdir -p /run/netns'
	[ ! -e /run/only-here ]
	inside net0 test -d /run/user
	inside net0 touch /var/lib/cni/seen
	[ -e "$(pod_dir net0)/cni/seen" ]
	check 0 '' inside net0 ip netns add inner
	check 0 'inner' inside net0 ip netns
	[ ! -e /run/netns/inner ]
}

@test "root in the pod may change its network, and the host's stays as it is" {
	podctl create net0
	podctl start net0
	inside net0 ip link add br9 type bridge
	inside net0 nft add table inet mine
	run ip link show br9
	[ "$status" -ne 0 ]
}

@test "the rules in the pod's network are podd's few, and none that changes addresses of what leaves" {
	podctl create --no-ipv6 four
	podctl create --uplink-path libslirp plain
	podctl create both
	podctl start four plain both
	equal "$(inside both nft list ruleset | grep -c masquerade)" 0
	equal "$(inside both nft list ruleset | grep -c 'dnat ip6')" 2
	equal "$(inside four nft list ruleset | grep -c 'dnat ip6')" 0
	equal "$(inside plain nft list ruleset | grep -c -e dnat -e queue)" 0
	equal "$(inside both nft list tables | grep -c 'inet podd')" 1
}

@test "the host's loopback is out of reach unless asked for" {
	podctl create closed
	podctl create --host-loopback open
	podctl start closed open
	run fetch closed 10.0.2.2 8081
	[ "$status" -ne 0 ]
	check 0 "the host's page" fetch open 10.0.2.2 8081
}

@test "--net none has a loopback and nothing else" {
	podctl create --net none net0
	podctl start net0
	equal "$(inside net0 ip -o link | wc -l)" 1
	check 0 '127.0.0.1' inside net0 ip -4 -o address show up
	json "$(pod_dir net0)/state.json" '.uplink == null or .uplink.pid == 0'
}

@test "--net host is the host's network" {
	podctl create --net host net0
	podctl start net0
	equal "$(inside net0 readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
	inside net0 ip link show host0
}

@test "--mtu, --cidr and --no-ipv6 reach the tap" {
	podctl create --mtu 1400 --cidr 10.99.7.0/24 --no-ipv6 net0
	podctl start net0
	tap=$(json "$(pod_dir net0)/state.json" .tap)
	check 0 'mtu 1400' inside net0 ip -o link show "$tap"
	check 0 '10\.99\.7\.100/24' inside net0 ip -o -4 address show "$tap"
	check 0 'default via 10\.99\.7\.2' inside net0 ip route
	check 0 '^$' inside net0 ip -o -6 address show dev "$tap" scope global
	check 0 '^$' inside net0 ip -6 route show default
	check 0 '10\.99\.7\.3' cat "$(pod_dir net0)/etc/resolv.conf"
	check 0 "the host's page" fetch net0 "$HOST4" 8080
}

@test "the defaults are as documented" {
	podctl create net0
	podctl start net0
	tap=$(json "$(pod_dir net0)/state.json" .tap)
	check 0 'mtu 65520' inside net0 ip -o link show "$tap"
	check 0 '10\.0\.2\.100/24' inside net0 ip -o -4 address show "$tap"
	check 0 'fd00::' inside net0 ip -o -6 address show "$tap" scope global
	check 0 '10\.0\.2\.3' cat "$(pod_dir net0)/etc/resolv.conf"
}

@test "explicit mappings are the ones in force" {
	if rootless; then
		maps=("0:$(id -u):1" 1:200100:50)
	else
		maps=(0:0:1 1:2000:50)
	fi
	podctl create --uidmap "${maps[0]}" --uidmap "${maps[1]}" \
		--gidmap "${maps[0]}" --gidmap "${maps[1]}" net0
	podctl start net0
	equal "$(inside net0 awk '{ print $1 ":" $2 ":" $3 }' /proc/self/uid_map | sort | tr '\n' ' ')" \
		"${maps[0]} ${maps[1]} "
	equal "$(inside net0 awk '{ print $1 ":" $2 ":" $3 }' /proc/self/gid_map | sort | tr '\n' ' ')" \
		"${maps[0]} ${maps[1]} "
}

@test "all subordinate ids are mapped, and without them one id with a warning" {
	podctl create full
	podctl start full
	if ! rootless; then
		equal "$(inside full awk '{ n += $3 } END { print n }' /proc/self/uid_map)" \
			"$(awk '{ n += $3 } END { print n }' /proc/self/uid_map)"
		return
	fi
	equal "$(inside full awk '{ n += $3 } END { print n }' /proc/self/uid_map)" 65537
	: >/etc/subuid
	: >/etc/subgid
	podctl create one
	check 0 'warning:.*one.*/etc/subuid' podctl start one
	equal "$(inside one awk '{ n += $3 } END { print n }' /proc/self/uid_map)" 1
	check 0 "the host's page" fetch one "$HOST4" 8080
	json "$(pod_dir one)/state.json" '.warnings | length > 0'
}

@test "ranges of subordinate ids that overlap are refused with file and line" {
	printf '%s:200000:100\n%s:200050:100\n' "$USER" "$USER" >/etc/subuid
	podctl create net0
	if rootless; then
		check 125 '/etc/subuid.*(line )?2' podctl start net0
	else
		check 0 '' podctl start net0
	fi
}

@test "labels are kept and can be asked for" {
	podctl create --label app=shop --label tier=front shop
	podctl create other
	equal "$(json "$(pod_dir shop)/pod.json" .labels.app)" shop
	check 0 '^shop$' podctl ps -q --filter label=app=shop
	check 0 '"tier": *"front"' podctl inspect shop
}

@test "inspect and ps tell the same in JSON" {
	podctl create net0
	podctl start net0
	equal "$(podctl inspect net0 | json - '.[0].path')" net0
	check 0 '' podctl ps --format json
	json - '.[] | select(.path == "net0")' <<<"$output"
}

@test "a pod that is started twice at once has one supervisor" {
	podctl create net0
	podctl start net0 3>&- &
	first=$!
	podctl start net0 3>&- &
	second=$!
	wait $first
	wait $second
	equal "$(pgrep -c -f "libexec/podd/podd .*net0\$|^podd .*net0\$")" 1
	equal "$(phase net0)" running
}

@test "a podd that begins when its podctl has been killed starts nothing" {
	local ready
	podctl create net0
	exec {ready}> >(exec true)
	wait $!
	check 0 '^$' "$PODD_STAGE/libexec/podd/podd" --root "$PODD_ROOT" --ready-fd "$ready" net0 3>&-
	exec {ready}>&-
	check 0 "net0 .*created" podctl ps -a
	podctl start net0
}

@test "start of a running pod and stop of a stopped one succeed" {
	podctl create net0
	check 0 '' podctl stop net0
	podctl start net0
	podd=$(pod_process net0 podd)
	check 0 '' podctl start net0
	equal "$(pod_process net0 podd)" "$podd"
	podctl stop net0
	check 0 '' podctl stop net0
}

@test "rm refuses a running pod, and -f ends it" {
	podctl create net0
	podctl start net0
	check 125 'running' podctl rm net0
	equal "$(phase net0)" running
	check 0 '' podctl rm -f net0
	[ ! -e "$(pod_dir net0)" ]
}

@test "rm refuses a pod whose supervisor is only about to say that it runs" {
	podctl create net0
	check 125 'supervisor' flock "$(pod_dir net0)/lock" "$PODD_STAGE/bin/podctl" rm net0
	check 0 '' podctl rm net0
}

@test "the log can be written by podd and the uplink, and read by neither" {
	podctl create net0
	podctl start net0
	flags=$(awk '/^flags/ { print $2 }' "/proc/$(pod_process net0 podd)/fdinfo/2")
	# open(2): O_ACCMODE is the lowest two bits, O_WRONLY is 1.
	matches "$flags" '[15]$'
	podctl rm -f net0
}

@test "-a stops and removes every pod" {
	for pod in a b c; do podctl create "$pod"; done
	podctl start a b
	podctl stop -a
	equal "$(podctl ps | grep -c running)" 0
	podctl rm -a
	equal "$(podctl ps -q | wc -l)" 0
}

@test "a pod that exists is not created again" {
	podctl create net0
	check 125 'net0.*exists|exists.*net0' podctl create net0
	[ -e "$(pod_dir net0)/pod.json" ]
}

@test "pods do not see each other's network" {
	podctl create a
	podctl create b
	podctl start a b
	[ "$(inside a readlink /proc/self/ns/net)" != "$(inside b readlink /proc/self/ns/net)" ]
	[ "$(inside a readlink /proc/self/ns/user)" != "$(inside b readlink /proc/self/ns/user)" ]
}

@test "the three processes have no privilege that they do not need" {
	podctl create net0
	podctl start net0
	if rootless; then
		pid=$(pod_process net0 podd)
		check 0 'CapEff:[[:space:]]*0000000000000000' grep CapEff "/proc/$pid/status"
	fi
	pid=$(pod_process net0 uplink)
	check 0 'NoNewPrivs:[[:space:]]*1' grep NoNewPrivs "/proc/$pid/status"
	check 0 'Seccomp:[[:space:]]*2' grep 'Seccomp:' "/proc/$pid/status"
	# CAP_NET_ADMIN, in the pod's user namespace: for verdicts on the pod's packets.
	for set in Inh Prm Eff Bnd Amb; do
		case $set in
		Prm | Eff) wanted=0000000000001000 ;;
		*) wanted=0000000000000000 ;;
		esac
		check 0 "Cap$set:[[:space:]]*$wanted" grep "Cap$set" "/proc/$pid/status"
	done
}
