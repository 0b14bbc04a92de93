#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Published ports: what clients on the host and servers in the pod see of each other.

load helpers
load data-plane

# Where the host sees which server; each has the ports of its scenarios (tests/netsay/scenario.h).
POD_PORT=7100 SHARED_PORT=7200 BRIDGED_PORT=7300

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	podctl create -p $POD_PORT-$((POD_PORT + 3)):7000-7003 -p $POD_PORT:7000/udp net0
	podctl start net0
	serve_in_pod
	# The pod's own server has 7000 to 7003 of the network that this one shares.
	box run shared -d --tmpfs /tmp -p $SHARED_PORT-$((SHARED_PORT + 3)):6000-6003 \
		-p $SHARED_PORT:6000/udp netsay serve :: 6000 /tmp
	await_log net0/shared ready
	server_box bridged --network podd -p $BRIDGED_PORT-$((BRIDGED_PORT + 3)):7000-7003 \
		-p $BRIDGED_PORT:7000/udp
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/server" ] || stop_server
	[ ! -e "$BATS_FILE_TMPDIR/pod-server" ] || end_process TERM "$(<"$BATS_FILE_TMPDIR/pod-server")"
	podctl rm -f -t 0 net0/shared net0/bridged || true
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	local name
	# What failed before may have ended them, and have left ports.
	podctl port list --format json net0 | jq -r '.[] | select(.origin == "added") | .path, .spec' |
		while read -r path && read -r spec; do podctl port rm "$path" "$spec"; done
	for name in shared bridged; do
		[ "$(ctr_state net0/$name .phase)" = running ] || podctl start net0/$name
		await_log net0/$name ready
	done
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || explain
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

# What there is to see of a port that does not answer.
explain() {
	podctl ps -a || true
	podctl port list || true
	podctl flows || true
	podctl inspect net0 || true
	tail -n 30 "$PODD_ROOT/net0/podd.log" "$PODD_ROOT/net0/events.jsonl" || true
}

# A server in the pod's own network that is no container's.
serve_in_pod() {
	mkdir "$BATS_FILE_TMPDIR/seen-in-pod"
	mkfifo "$BATS_FILE_TMPDIR/ready-in-pod"
	inside net0 bash -c 'echo $$ >"$1"; exec "$2" serve :: 7000 "$3"' serve "$BATS_FILE_TMPDIR/pod-server" \
		"$NETSAY" "$BATS_FILE_TMPDIR/seen-in-pod" >"$BATS_FILE_TMPDIR/ready-in-pod" 3>&- &
	read -r -t 10 _ <"$BATS_FILE_TMPDIR/ready-in-pod"
}

# The address that the server at a port says that it sees.
who() { "$NETSAY" who "$@"; }
whose() { "$NETSAY" whose "$@"; }

# The port is not taken on the host.
is_free() { [ -z "$(ss -Hltn "sport = :$1")" ]; }

listener() { # port: what tells listeners apart
	ss -Hltnie "sport = :$1" | grep -o 'ino:[0-9]*' | sort
}

@test "a server sees the client's own address" {
	for port in $POD_PORT $SHARED_PORT $BRIDGED_PORT; do
		equal "$(who "$HOST4" "$port")" "$HOST4" "port $port"
		equal "$(who "$HOST4" "$port" 192.0.2.53)" 192.0.2.53 "port $port"
		equal "$(who "$HOST6" "$port")" "$HOST6" "port $port"
	done
	equal "$(podctl port list --format json net0 | json - 'all(.[]; .sourceKept)')" true
}

@test "a client on the host's loopback is seen as the gateway" {
	for port in $POD_PORT $SHARED_PORT $BRIDGED_PORT; do
		equal "$(who 127.0.0.1 "$port")" 10.0.2.2 "port $port"
		equal "$(who ::1 "$port")" fd00::2 "port $port"
	done
}

@test "datagrams go there and back, with the client's own address" {
	for port in $POD_PORT $SHARED_PORT $BRIDGED_PORT; do
		equal "$(whose "$HOST4" "$port")" "$HOST4" "port $port"
		equal "$(whose "$HOST4" "$port" 192.0.2.53)" 192.0.2.53 "port $port"
		equal "$(whose "$HOST6" "$port")" "$HOST6" "port $port"
		HOST_ADDRESS=$HOST4 THERE_PORT=$port same_as_host on_host "$HOST4" datagram-sizes datagram-burst
	done
}

@test "connections to the pod's own server" {
	THERE_PORT=$POD_PORT same_as_host on_host "$HOST4" tcp
	THERE_PORT=$POD_PORT same_as_host on_host "$HOST6" tcp
}

@test "connections to a shared container" {
	THERE_PORT=$SHARED_PORT same_as_host on_host "$HOST4" tcp
	THERE_PORT=$SHARED_PORT same_as_host on_host "$HOST6" tcp
}

@test "connections to a bridged container" {
	THERE_PORT=$BRIDGED_PORT same_as_host on_host "$HOST4" tcp
	THERE_PORT=$BRIDGED_PORT same_as_host on_host "$HOST6" tcp
	THERE_PORT=$BRIDGED_PORT HOST_ADDRESS=$HOST4 same_as_host on_host 127.0.0.1 tcp
}

@test "much data, slow readers and many connections" {
	THERE_PORT=$POD_PORT same_as_host on_host "$HOST4" bulk
	THERE_PORT=$BRIDGED_PORT same_as_host on_host "$HOST6" bulk
}

@test "urgent data" {
	THERE_PORT=$POD_PORT same_as_host on_host "$HOST4" urgent
	THERE_PORT=$BRIDGED_PORT same_as_host on_host "$HOST6" urgent
}

@test "a published port on which nobody listens inside takes no byte" {
	podctl port add net0/bridged 7400:9
	check 1 '^(E[A-Z]+|nothing)$' who "$HOST4" 7400
	podctl port rm net0/bridged 7400:9
	is_free 7400
}

@test "a port of one address is on that address only" {
	podctl port add net0/bridged 192.0.2.53:7400:7000
	# The second address of an interface is nobody's own source.
	equal "$(who 192.0.2.53 7400)" "$HOST4"
	check 1 ECONNREFUSED who "$HOST4" 7400
	podctl port rm net0/bridged 192.0.2.53:7400:7000
	check 1 ECONNREFUSED who 192.0.2.53 7400
}

@test "a port that is in use cannot be published, and nothing of the request is left" {
	check 125 "$PORT" podctl port add net0/bridged 7400:7000 "$PORT":7000
	is_free 7400
	check 125 "" podctl port add net0/bridged $POD_PORT:7000
	equal "$(who "$HOST4" $POD_PORT)" "$HOST4"
	check 125 "" podctl port rm net0/bridged 7400:7000
}

@test "ports are added and removed under load" {
	start_load on_host "$HOST4" $BRIDGED_PORT
	for _ in $(seq 10); do
		podctl port add net0/bridged 7400:7000
		equal "$(who "$HOST4" 7400)" "$HOST4"
		podctl port add net0 7401:7000
		equal "$(who "$HOST4" 7401)" "$HOST4"
		podctl port rm net0/bridged 7400:7000
		check 1 ECONNREFUSED who "$HOST4" 7400
		podctl port rm net0 7401:7000
		check 1 ECONNREFUSED who "$HOST4" 7401
	done
	stop_load
	equal "$(who "$HOST4" $BRIDGED_PORT)" "$HOST4"
}

@test "a connection goes on when its port is removed" {
	podctl port add net0/bridged 7400:7000
	start_keep on_host "$HOST4" 7400
	ask_keep alive
	podctl port rm net0/bridged 7400:7000
	ask_keep alive
	stop_keep
}

@test "a shared container that had no port is given one" {
	box run late -d --tmpfs /tmp netsay serve :: 6100 /tmp
	await_log net0/late ready
	check 0 'net0/late .*listening' podctl port add net0/late 7400:6100
	equal "$(who "$HOST4" 7400)" "$HOST4"
	podctl rm -f -t 0 net0/late
	is_free 7400
}

@test "a container's listeners outlive its restart" {
	before=$(listener $BRIDGED_PORT)
	[ -n "$before" ]
	for _ in 1 2; do
		podctl restart -t 0 net0/bridged
		check 0 answered "$NETSAY" try "$HOST4" $BRIDGED_PORT 20
		equal "$(who "$HOST6" $BRIDGED_PORT)" "$HOST6"
		equal "$(listener $BRIDGED_PORT)" "$before"
	done
	# It has another address now, and has ended.
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

@test "a container's ports go with it" {
	server_box short --network podd -p 7500:7000 -p 7500:7000/udp
	equal "$(who "$HOST4" 7500)" "$HOST4"
	podctl rm -f -t 0 net0/short
	check 1 ECONNREFUSED who "$HOST4" 7500
	[ -z "$(ss -Hlun "sport = :7500")" ] || fail "the UDP port is still taken"
}

@test "the uplink killed under load: published ports work again, and nothing is left" {
	start_load on_host "$HOST4" $BRIDGED_PORT
	for _ in 1 2 3; do
		uplink=$(pod_process net0 uplink)
		end_process KILL "$uplink"
		uplink_replaced net0 "$uplink"
		check 0 answered "$NETSAY" try "$HOST4" $BRIDGED_PORT 20
		check 0 answered "$NETSAY" try "$HOST6" $POD_PORT 20
		equal "$(who "$HOST4" $SHARED_PORT)" "$HOST4"
	done
	stop_load
	await_no_connections "( sport = :$BRIDGED_PORT or dport = :$BRIDGED_PORT )"
	await_no_flows net0
}

@test "podd killed: published connections go on, and ports stay" {
	start_keep on_host "$HOST4" $BRIDGED_PORT
	ask_keep alive
	end_process KILL "$(pod_process net0 podd)"
	ask_keep alive
	equal "$(who "$HOST4" $POD_PORT)" "$HOST4"
	podctl start net0
	ask_keep alive
	equal "$(who "$HOST4" $BRIDGED_PORT)" "$HOST4"
	podctl port add net0 7401:7000
	equal "$(who "$HOST4" 7401)" "$HOST4"
	podctl port rm net0 7401:7000
	stop_keep
}

@test "a pod's ports are there again when it is started again" {
	podctl create -p 7600:7000 short
	podctl start short
	check 1 '' who "$HOST4" 7600
	is_free 7600 && fail "nobody listens at 7600"
	podctl port add short 7601:7000
	podctl stop -t 0 short
	is_free 7600
	is_free 7601
	podctl start short
	is_free 7600 && fail "nobody listens at 7600"
	is_free 7601 && fail "nobody listens at 7601"
	podctl rm -f short
	is_free 7600
}

@test "a pod without the fast path publishes its ports too" {
	podctl create --uplink-path libslirp -p 7600-7603:7000-7003 -p 7600:7000/udp plain
	podctl start plain
	podctl run -d --name plain/server --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp \
		netsay serve :: 7000 /tmp
	await_log plain/server ready
	equal "$(who "$HOST4" 7600)" "$HOST4"
	equal "$(whose "$HOST4" 7600)" "$HOST4"
	THERE_PORT=7600 same_as_host on_host "$HOST4" say-and-answer client-ends-its-direction bulk
	podctl rm -f -t 0 plain/server
	podctl rm -f plain
}
