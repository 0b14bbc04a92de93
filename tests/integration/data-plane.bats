#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The way out: what programs in a pod and its containers see of the network is what programs on the
# host see, whichever way their connections take.

load helpers
load data-plane

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	start_pods
	box run client -d --network podd --cap-add NET_ADMIN --cap-add NET_RAW sleep 1000
}

teardown_file() {
	stop_dns
	stop_server
	podctl rm -f -t 0 net0/client
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	# What failed before may have ended it.
	[ "$(ctr_state net0/client .phase)" = running ] || podctl start net0/client
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	rescue || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

# ---- what cannot be as on the host ----

# The host's own routes give errors that no packet can carry: EINVAL of a blackhole, and with IPv4
# EACCES of "prohibit", whose ICMP message is EHOSTUNREACH or ENETUNREACH in icmp(7).
unsayable() {
	sed -E 's/^(blackhole: client: )E(INVAL|NETUNREACH|HOSTUNREACH|ACCES)$/\1an error/' |
		if [[ $address == *:* ]]; then cat; else
			sed -E 's/^(prohibited: client: )E(ACCES|NETUNREACH|HOSTUNREACH)$/\1an error/'
		fi
}

# libslirp turns every error of a route into "network unreachable", for both families.
unsayable_by_libslirp() {
	sed -E 's/^((blackhole|prohibited): client: )E(INVAL|NETUNREACH|ACCES)$/\1an error/'
}

# One connection in some hundred thousand is never answered by libslirp.
almost_all() {
	sed -E 's/^(short-connections: client: )(2000 of 2000|199[0-9] of 2000, time-out)$/\1almost all/
		s/^(busy-connections: client: )(3200 of 3200|319[0-9] of 3200, time-out)$/\1almost all/'
}

# What libslirp carries as it is. Left out, and why:
#   server-closes-first, client-closes-first   it shuts its socket down instead of closing it, so a
#                        side that closed never refuses what is sent to it afterwards
#   client-resets, client-leaves-data   a reset by the pod's side becomes an ordinary end
#   server-resets        its own socket's error is an ordinary end in some of the runs
#   resets-at-once       a reset before its side of the handshake is done is taken for a refusal
#   tells-and-resets     data that a reset follows is thrown away
LIBSLIRP_TCP=(say-and-answer client-ends-its-direction server-ends-its-direction server-leaves-data
	both-close tells-at-once one-port-two-servers)

# ---- with the fast path ----

@test "fast path: connections from the pod itself" {
	need_fast_path
	same_as_host in_pod "$HOST4" tcp
	same_as_host in_pod "$HOST6" tcp
}

@test "fast path: connections from a bridged container" {
	need_fast_path
	same_as_host in_box "$HOST4" tcp
	same_as_host in_box "$HOST6" tcp
}

@test "fast path: urgent data" {
	need_fast_path
	same_as_host in_pod "$HOST4" urgent
	same_as_host in_box "$HOST6" urgent
}

@test "fast path: much data, slow readers and many connections" {
	need_fast_path
	same_as_host in_pod "$HOST4" bulk
	same_as_host in_box "$HOST6" bulk
}

@test "fast path: connections that have ended are forgotten" {
	need_fast_path
	transcript in_pod "$HOST4" tcp short-connections busy-connections refused-often
	await_no_flows net0
}

@test "fast path: connections that fail do so with the host's error" {
	need_fast_path
	except=unsayable
	for address in $HOST4 $HOST6; do
		same_as_host in_pod "$address" reach
		same_as_host in_box "$address" reach
	done
}

# ---- with whatever the pod has ----

@test "datagrams" {
	for address in $HOST4 $HOST6; do
		same_as_host in_pod "$address" udp
		same_as_host in_box "$address" udp
	done
}

@test "a bridged container has the connections that its pod has" {
	for address in $HOST4 $HOST6; do
		same_as_host in_box "$address" "${LIBSLIRP_TCP[@]}" refused refused-often \
			refused-without-waiting
	done
}

# ---- with libslirp ----

@test "libslirp: connections" {
	same_as_host in_plain_pod "$HOST4" "${LIBSLIRP_TCP[@]}" urgent
	same_as_host in_plain_pod "$HOST6" "${LIBSLIRP_TCP[@]}" urgent
}

@test "libslirp: much data, slow readers and many connections" {
	except=almost_all
	same_as_host in_plain_pod "$HOST4" bulk
	same_as_host in_plain_pod "$HOST6" bulk
}

@test "libslirp: connections that fail, and datagrams" {
	except=unsayable_by_libslirp
	for address in $HOST4 $HOST6; do
		same_as_host in_plain_pod "$address" reach udp
	done
}

# ---- inside the pod's own networks ----

@test "connections between containers are the kernel's own" {
	server_box server --network podd
	HOST_ADDRESS=$HOST4 same_as_host in_box "$(child_ip net0 server)" tcp urgent bulk udp refused \
		refused-often
	# They see each other, and nobody in between.
	equal "$(in_box "" who "$(child_ip net0 server)" "$PORT")" "$(child_ip net0 client)"
	HOST_ADDRESS=$HOST4 same_as_host in_pod "$(child_ip net0 server)" tcp urgent refused
	box run shared -d sleep 1000
	HOST_ADDRESS=$HOST4 same_as_host in_pod 127.0.0.1 refused
	podctl rm -f -t 0 net0/shared
	podctl rm -f -t 0 net0/server
}

# ---- addresses of the pod's side ----

@test "the gateway's address reaches the host's loopback only where that is allowed" {
	for pod in net0 plain; do
		for gateway in 10.0.2.2 fd00::2; do
			check 1 '^(E[A-Z]+|time-out|nothing)$' inside $pod "$NETSAY" who $gateway "$PORT"
		done
	done
	for options in "" "--uplink-path libslirp"; do
		# shellcheck disable=SC2086  # words
		podctl create --host-loopback $options open
		podctl start open
		check 0 '^127\.0\.0\.1$' inside open "$NETSAY" who 10.0.2.2 "$PORT"
		check 0 '^::1$' inside open "$NETSAY" who fd00::2 "$PORT"
		check 0 '^127\.0\.0\.1$' inside open "$NETSAY" whose 10.0.2.2 "$PORT"
		podctl rm -f open
	done
}

@test "the name server's address answers by UDP and by TCP" {
	for pod in net0 plain; do
		for protocol in udp tcp; do
			check 0 '^192\.0\.2\.1$' inside $pod "$TOOL" dns $protocol 10.0.2.3 which.test
		done
	done
	check 0 '192\.0\.2\.1' podctl exec net0/client nslookup which.test
}

@test "the host sees its own address as the source" {
	for place in in_pod in_plain_pod in_box; do
		check 0 '^192\.0\.2\.1$' $place "$NETSAY" who "$HOST4" "$PORT"
		check 0 '^2001:db8::1$' $place "$NETSAY" who "$HOST6" "$PORT"
		check 0 '^192\.0\.2\.1$' $place "$NETSAY" whose "$HOST4" "$PORT"
	done
}

# ---- the uplink ----

waiting_syns() { ss -Htn state syn-sent dport = :7050 | wc -l; }

# The server takes nobody in, so that the host's side is still connecting when the pod asks again.
@test "a SYN that is sent again makes no second connection" {
	for place in "in_pod $HOST4" "in_pod $HOST6" "in_plain_pod $HOST4" "in_box $HOST6"; do
		address=${place#* }
		mkfifo "$BATS_TEST_TMPDIR"/{full,go,patient}
		"$NETSAY" full "$address" 7050 <"$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/full" 3>&- &
		exec {go}>"$BATS_TEST_TMPDIR/go" {full}<"$BATS_TEST_TMPDIR/full"
		read -r -t 10 line <&$full
		equal "$line" full
		${place% *} "$NETSAY" patient "$address" 7050 >"$BATS_TEST_TMPDIR/patient" 3>&- </dev/null &
		exec {patient}<"$BATS_TEST_TMPDIR/patient"
		read -r -t 20 line <&$patient
		equal "$line" "asked again"
		until [ "$(waiting_syns)" != 0 ]; do :; done
		equal "$(waiting_syns)" 1
		echo >&$go
		read -r -t 20 line <&$patient
		equal "$line" answered
		equal "$(waiting_syns)" 0
		exec {go}>&- {patient}<&-
		read -r -t 10 line <&$full
		equal "$line" "accepted 1, served 1"
		exec {full}<&-
		rm "$BATS_TEST_TMPDIR"/{full,go,patient}
	done
}

@test "the uplink killed under load: new connections work again, and nothing is left" {
	for place in in_pod in_box; do
		start_load $place "$HOST4"
		for _ in 1 2 3; do
			uplink=$(pod_process net0 uplink)
			end_process KILL "$uplink"
			uplink_replaced net0 "$uplink"
			check 0 answered $place "$NETSAY" try "$HOST4" "$PORT" 20
			check 0 answered $place "$NETSAY" try "$HOST6" "$PORT" 20
		done
		stop_load
		await_no_connections "( sport = :$PORT or dport = :$PORT )"
		await_no_flows net0
		rm "$BATS_TEST_TMPDIR"/load-*
	done
}

@test "the uplink killed: a connection that it carried ends" {
	start_keep in_pod "$HOST4"
	ask_keep alive
	uplink=$(pod_process net0 uplink)
	end_process KILL "$uplink"
	uplink_replaced net0 "$uplink"
	ask_keep "the end|E[A-Z]+|time-out"
	stop_keep
	await_no_connections "( sport = :$PORT or dport = :$PORT )"
}

@test "podd killed: connections go on" {
	start_keep in_pod "$HOST4"
	ask_keep alive
	end_process KILL "$(pod_process net0 podd)"
	ask_keep alive
	check 0 answered in_pod "$NETSAY" try "$HOST4" "$PORT" 20
	podctl start net0
	ask_keep alive
	check 0 answered in_pod "$NETSAY" try "$HOST4" "$PORT" 20
	stop_keep
}
