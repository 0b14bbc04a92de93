#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is shown of a pod's traffic: flows, counters and captures; what a machine without nft or its
# queue has; and the host's sockets of published ports.

load helpers
load data-plane

IPTABLES=/usr/sbin/iptables-nft-restore
NFT=/usr/sbin/nft

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	podctl create -p 7100:7400 -p 7100:7000/udp net0
	podctl start net0
	podctl create --uplink-path libslirp plain
	podctl start plain
	server_box client --network podd -p 7200:7000
}

teardown_file() {
	stop_server
	podctl rm -f -t 0 net0/client
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	[ "$(ctr_state net0/client .phase)" = running ] || podctl start net0/client
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
	processes >"$BATS_TEST_TMPDIR/processes"
}

teardown() {
	local program
	admin low-ports 0
	for program in $IPTABLES $NFT; do
		[ -e "$program" ] || { podctl rm -f lacking && admin show "$program"; }
	done
	rescue_boxes client || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
	podctl rm -f lacking handed >/dev/null 2>&1 || true
}

# From a pod to the host: a connection that both ends hold.
join() { # place address
	start_talk server on_host accept "$2" 7300
	hear server listening
	start_talk client "$1" connect "$2" 7300
	hear server accepted
	hear client connected
}

# ---- flows and counters ----

# Those to or from a port, one a line.
flows() { # path port
	podctl flows --format json "$1" >"$BATS_TEST_TMPDIR/flows"
	valid podctl-flows "$BATS_TEST_TMPDIR/flows"
	jq -r --arg port "$2" '.[] | select(.destination | endswith(":" + $port)) |
		[.path, .protocol, .direction, .via, .state, .bytesOut, .bytesIn] | join(" ")' \
		"$BATS_TEST_TMPDIR/flows"
}

# What a line of it must be once what was sent is counted: each look is a new one.
await_flow() { # path port regex
	local seen=
	until [[ $seen =~ ^($3)$ ]]; do
		seen=$(flows "$1" "$2")
	done
}

counter() { # path name
	podctl stats --network --format json "${1%/*}" |
		jq --arg path "$1" ".[] | select(.path == \$path).$2"
}

# One more of it, after the command.
counts() { # path name how-many
	equal "$(counter "$1" "$2")" "$(($(<"$BATS_TEST_TMPDIR/$2") + $3))" "$1 $2"
}

note_counters() { # path
	local name
	for name in denied failed flowsTotal fallbacks; do
		counter "$1" $name >"$BATS_TEST_TMPDIR/$name"
	done
}

@test "flows: a connection that leaves, its bytes and its states" {
	need_fast_path
	for address in $HOST4 $HOST6; do
		join in_pod "$address"
		ask client "send 100000"
		ask server "read 100000"
		ask server "send 7"
		ask client "read 7"
		await_flow net0 7300 "net0 tcp out splice open 100000 7"
		ask client shutdown
		await_flow net0 7300 "net0 tcp out splice half-closed 100000 7"
		ask server "send 5"
		ask client "read 5"
		await_flow net0 7300 "net0 tcp out splice half-closed 100000 12"
		stop_talk client server
		await_flow net0 7300 ""
	done
}

@test "flows: a connection that leaves by libslirp" {
	join in_plain_pod "$HOST4"
	ask client "send 1000"
	ask server "read 1000"
	# With the headers of what carried them.
	await_flow plain 7300 "plain tcp out libslirp [a-z-]+ 1[0-9]{3} [0-9]+"
	equal "$(flows net0 7300)" ""
	stop_talk client server
}

@test "flows: a container is named, and shown alone" {
	start_keep in_box_too "$HOST4"
	await_flow net0 "$PORT" "net0/client tcp out splice open 7 0"
	ask_keep alive
	await_flow net0/client "$PORT" "net0/client tcp out splice open 8 1"
	check 0 "net0/client +tcp +out +10\\.88\\.[0-9.:]+ +$HOST4:$PORT +splice +open +8B / 1B" podctl flows
	stop_keep
	await_flow net0/client "$PORT" ""
}

@test "flows: what comes by a published port" {
	need_fast_path
	start_talk server in_pod accept 0.0.0.0 7400
	hear server listening
	start_talk client on_host connect "$HOST4" 7100
	hear server accepted
	hear client connected
	ask client "send 300"
	ask server "read 300"
	ask server "send 20"
	ask server shutdown
	ask client "read 20"
	await_flow net0 7400 "net0 tcp in splice half-closed 20 300"
	stop_talk client server
	start_keep on_host "$HOST6" 7200
	ask_keep alive
	podctl flows --format json net0/client >"$BATS_TEST_TMPDIR/flows"
	equal "$(jq -r '.[] | select(.direction == "in") | .path, .source[0:13]' "$BATS_TEST_TMPDIR/flows" | xargs)" \
		"net0/client $(jq -rn --arg host "$HOST6" '"[" + $host + "]:" | .[0:13]')"
	stop_keep
}

@test "flows: connections that wait, one for a host and one for a server" {
	need_fast_path
	mkfifo "$BATS_TEST_TMPDIR"/{full,go}
	"$NETSAY" full "$HOST4" 7050 <"$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/full" 3>&- &
	exec {go}>"$BATS_TEST_TMPDIR/go" {full}<"$BATS_TEST_TMPDIR/full"
	read -r -t 10 line <&"$full"
	equal "$line" full
	start_talk client in_pod connect "$HOST4" 7050
	await_flow net0 7050 "net0 tcp out splice connecting 0 0"
	echo >&"$go"
	hear client connected
	await_flow net0 7050 "net0 tcp out splice open 0 0"
	exec {go}>&- {full}<&-
	stop_talk client
	podctl port add --wait 1h net0/client 7700:9
	podctl restart -t 0 net0/client
	start_talk client on_host connect "$HOST4" 7700
	hear client connected
	await_flow net0/client 9 "net0/client tcp in splice waiting 0 0"
	stop_talk client
	await_flow net0/client 9 ""
	podctl port rm net0/client 7700:9
}

@test "flows: datagrams, out and in" {
	check 0 "$HOST4" in_pod "$NETSAY" whose "$HOST4" "$PORT"
	await_flow net0 "$PORT" "net0 udp out (udp|libslirp) [a-z]+ [1-9][0-9]* [1-9][0-9]*"
	start_udp_server
	check 0 "$HOST4" "$NETSAY" whose "$HOST4" 7100
	equal "$(podctl flows --format json net0 | jq -r '.[] | select(.direction == "in" and .protocol == "udp") |
		.via, (.source | sub(":[0-9]+$"; "")), .bytesIn > 0' | xargs)" "udp $HOST4 true"
	end_process TERM "$(<"$BATS_TEST_TMPDIR/udp-server")"
}

# netsay's server in the pod's own network.
start_udp_server() {
	mkdir "$BATS_TEST_TMPDIR/seen"
	mkfifo "$BATS_TEST_TMPDIR/ready"
	inside net0 bash -c 'echo $$ >"$1"; exec "$2" serve :: 7000 "$3"' serve \
		"$BATS_TEST_TMPDIR/udp-server" "$NETSAY" "$BATS_TEST_TMPDIR/seen" >"$BATS_TEST_TMPDIR/ready" 3>&- &
	read -r -t 10 _ <"$BATS_TEST_TMPDIR/ready"
}

@test "counters: what was denied, refused, carried" {
	need_fast_path
	podctl stats --network --format json >"$BATS_TEST_TMPDIR/stats"
	valid podctl-stats-network "$BATS_TEST_TMPDIR/stats"
	equal "$(jq -r '.[].path' "$BATS_TEST_TMPDIR/stats" | sort | xargs)" "net0 net0/client plain"
	for path in net0 net0/client; do
		place=in_pod
		[ $path = net0 ] || place=in_box_too
		note_counters $path
		check 0 "$HOST4" $place "$NETSAY" who "$HOST4" "$PORT"
		check 1 ECONNREFUSED $place "$NETSAY" who "$HOST4" $((PORT + 9))
		counts $path failed 1
		podctl egress add $path deny to 192.0.2.1
		check 1 EHOSTUNREACH $place "$NETSAY" who "$HOST4" "$PORT"
		check 1 EHOSTUNREACH $place "$NETSAY" whose "$HOST4" "$PORT"
		podctl egress rm --all $path
		counts $path denied 2
		# The refused one was one, too.
		counts $path flowsTotal 2
		counts $path fallbacks 0
	done
	note_counters plain
	check 0 "$HOST4" in_plain_pod "$NETSAY" who "$HOST4" "$PORT"
	counts plain fallbacks 1
	counts plain flowsTotal 0
}

@test "inspect shows the way out" {
	podctl inspect net0 plain >"$BATS_TEST_TMPDIR/inspect"
	valid podctl-inspect "$BATS_TEST_TMPDIR/inspect"
	equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[1].uplink | .path, .reason')" \
		"libslirp"$'\n'"the pod was created with --uplink-path libslirp"
	equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.stats.scopes[1].child')" client
	equal "$(json "$BATS_TEST_TMPDIR/inspect" 'all(.[].uplink; .sourceKept)')" true
}

# ---- captures ----

# What goes on in the background is podctl itself, not a shell around it.
start_capture() { # output [options] pod
	local output=$1
	shift
	"$PODD_STAGE/bin/podctl" capture -w "$BATS_TEST_TMPDIR/$output" "$@" 2>"$BATS_TEST_TMPDIR/$output.notes" 3>&- &
	capture_job=$!
	await_file "$BATS_TEST_TMPDIR/$output" ''
}

# It handles one thing after the other: what passed before is written then.
settled() { podctl stats --network "$1" >/dev/null; }

end_capture() { # pod
	settled "$1"
	kill -TERM "$capture_job"
	wait "$capture_job"
}

packets() { "$WIRE" pcapng "$BATS_TEST_TMPDIR/$1" | json - "$2"; } # file filter

datagram() { check 0 "$HOST4" inside "$1" "$NETSAY" whose "$HOST4" "$PORT"; } # pod

@test "capture: the packets that passed, in both directions" {
	start_capture file net0
	equal "$(podctl inspect net0 | jq '.[0].uplink.stats.capturing')" true
	datagram net0
	check 0 "$HOST6" in_box_too "" whose "$HOST6" "$PORT"
	end_capture net0
	equal "$(packets file '.interface')" tap0
	equal "$(packets file '[.packets[] | select(.payload == "who")] | map([.fromPod, .kept == .length,
		.protocol, .destination, .destinationPort] | map(tostring) | join(" ")) | .[]')" \
		"true true 17 $HOST4 $PORT"$'\n'"true true 17 $HOST6 $PORT"
	equal "$(packets file '[.packets[] | select(.payload == "192.0.2.1" and (.fromPod | not))] |
		map([.source, .sourcePort, .destination] | map(tostring) | join(" ")) | .[]')" \
		"$HOST4 $PORT 10.0.2.100"
	equal "$(packets file '[.packets[] | select(.time > now - 60 and .time < now + 60)] | length')" \
		"$(packets file '.packets | length')"
	equal "$(stat -c %a "$BATS_TEST_TMPDIR/file")" 600
	matches "$(<"$BATS_TEST_TMPDIR/file.notes")" \
		"$(packets file '.packets | length') packets, $(stat -c %s "$BATS_TEST_TMPDIR/file") bytes of pod net0"
	# It is seen to be over with the next packet.
	datagram net0
	equal "$(podctl inspect net0 | jq '.[0].uplink.stats.capturing')" false
}

@test "capture: the packets of a connection by libslirp" {
	start_capture file plain
	check 0 "$HOST4" in_plain_pod "$NETSAY" who "$HOST4" "$PORT"
	end_capture plain
	matches "$(packets file '[.packets[] | select(.protocol == 6)] | length')" '^[1-9]'
}

@test "capture: only so much of each packet" {
	start_capture file -s 50 net0
	datagram net0
	end_capture net0
	equal "$(packets file .snaplen)" 50
	equal "$(packets file 'all(.packets[]; .kept <= 50)')" true
	equal "$(packets file '[.packets[] | select(.payload == "192.0.2.")] | map([.kept, .length]) | flatten | map(tostring) | join(" ")')" \
		"50 51"
}

@test "capture: to a pipe, whose reader may go" {
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	"$PODD_STAGE/bin/podctl" capture net0 >"$BATS_TEST_TMPDIR/pipe" 2>"$BATS_TEST_TMPDIR/notes" 3>&- &
	capture_job=$!
	exec {pipe}<"$BATS_TEST_TMPDIR/pipe"
	until [ "$(podctl inspect net0 | jq '.[0].uplink.stats.capturing')" = true ]; do :; done
	datagram net0
	settled net0
	head -c 28 <&$pipe >"$BATS_TEST_TMPDIR/head"
	equal "$(od -An -tx1 -N4 "$BATS_TEST_TMPDIR/head" | tr -d ' ')" 0a0d0d0a
	exec {pipe}<&-
	datagram net0
	wait "$capture_job"
	"$PODD_STAGE/bin/podctl" capture -w - net0 >"$BATS_TEST_TMPDIR/pipe" 2>"$BATS_TEST_TMPDIR/notes" 3>&- &
	capture_job=$!
	cat "$BATS_TEST_TMPDIR/pipe" >"$BATS_TEST_TMPDIR/file" &
	reader=$!
	until [ "$(podctl inspect net0 | jq '.[0].uplink.stats.capturing')" = true ]; do :; done
	datagram net0
	end_capture net0
	wait "$reader"
	equal "$(packets file '[.packets[] | select(.payload == "who")] | length')" 1
	matches "$(<"$BATS_TEST_TMPDIR/notes")" 'packets, [0-9]+ bytes of pod net0 written to the standard output'
}

@test "capture: not to a terminal, a link or what is not there" {
	"$BATS_TEST_DIRNAME/terminal" "$PODD_STAGE/bin/podctl" capture net0 3>&- <<-'END'
		expect not for a terminal
		end 2
	END
	ln -s target "$BATS_TEST_TMPDIR/link"
	check 125 'link' podctl capture -w "$BATS_TEST_TMPDIR/link" net0
	[ ! -e "$BATS_TEST_TMPDIR/target" ]
	check 125 'none/file' podctl capture -w "$BATS_TEST_TMPDIR/none/file" net0
	check 125 'whole pod' podctl capture -w "$BATS_TEST_TMPDIR/file" net0/client
	[ ! -e "$BATS_TEST_TMPDIR/file" ]
}

@test "capture: of two, the later one has it" {
	start_capture first net0
	first_job=$capture_job
	datagram net0
	start_capture second net0
	wait "$first_job"
	datagram net0
	end_capture net0
	for file in first second; do
		equal "$(packets $file '[.packets[] | select(.payload == "who")] | length')" 1
	done
}

@test "capture: ends with the pod" {
	podctl create lacking
	check 125 'run' podctl capture -w "$BATS_TEST_TMPDIR/file" lacking
	podctl start lacking
	start_capture file lacking
	datagram lacking
	podctl rm -f lacking
	wait "$capture_job"
	equal "$(packets file '[.packets[] | select(.payload == "who")] | length')" 1
}

# ---- a machine that lacks something ----

start_lacking() { # warning-or-nothing: options of its creation follow
	local warning=$1
	shift
	podctl create "$@" lacking
	check 0 "$warning" podctl start lacking
	podctl inspect lacking >"$BATS_TEST_TMPDIR/inspect"
	valid podctl-inspect "$BATS_TEST_TMPDIR/inspect"
}

# Kernels whose nftables have a queue have no use for it.
@test "without iptables, and without a queue of nftables, TCP goes by libslirp" {
	queue=$(podctl inspect net0 | jq -r '.[0].uplink.queue')
	admin hide $IPTABLES
	if [ "$queue" = nft ]; then
		start_lacking '^lacking$'
		equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.queue')" nft
		return
	fi
	start_lacking "warning.*TCP goes by libslirp.*$IPTABLES" -p 7500:7400
	equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.path')" libslirp
	matches "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.reason')" "$IPTABLES"
	check 0 "^$HOST4\$" inside lacking "$NETSAY" who "$HOST4" "$PORT"
	check 0 "^$HOST6\$" inside lacking "$NETSAY" who "$HOST6" "$PORT"
	equal "$(counter lacking fallbacks)" 2
	equal "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.sourceKept')" true
}

@test "without nft, TCP goes by libslirp, and published ports hide their clients" {
	admin hide $NFT
	start_lacking "warning.*TCP goes by libslirp.*$NFT" -p 7500:7000 -p 7500:7000/udp
	equal "$(jq -r '.[0].uplink | "\(.path) \(.sourceKept)"' "$BATS_TEST_TMPDIR/inspect")" "libslirp false"
	matches "$(json "$BATS_TEST_TMPDIR/inspect" '.[0].uplink.reason')" "$NFT"
	equal "$(podctl port list --format json lacking | jq -c '[.[] | select(.protocol == "tcp").sourceKept]')" "[false]"
	check 0 "^$HOST4\$" inside lacking "$NETSAY" who "$HOST4" "$PORT"
	podctl run -d --name lacking/server --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp \
		netsay serve :: 7000 /tmp
	await_log lacking/server ready
	check 0 '^10\.0\.2\.' "$NETSAY" who "$HOST4" 7500
	check 0 '^fd00::' "$NETSAY" who "$HOST6" 7500
	podctl rm -f -t 0 lacking/server
}

# ---- sockets of the host ----

# With the sockets that the caller's service has.
handed() { "$WIRE" pass-sockets "$@" 3>&-; }

backlog() { ss -Hltn "sport = :$1" | awk '{ print $3 }' | sort -u; }

@test "sockets that podctl start was started with are those of published ports" {
	podctl create -p 192.0.2.53:7600:7000 -p 7601:7000 -p 7602:7000 -p 192.0.2.53:7603:7000/udp handed
	check 0 handed handed 192.0.2.53:7600 '[::]:7601' udp:192.0.2.53:7603 -- "$PODD_STAGE/bin/podctl" start handed
	podctl run -d --name handed/server --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp \
		netsay serve :: 7000 /tmp
	await_log handed/server ready
	equal "$(backlog 7600) $(backlog 7601) $(backlog 7602)" "7 7 4096"
	equal "$("$NETSAY" who 192.0.2.53 7600)" "$HOST4"
	equal "$("$NETSAY" who "$HOST4" 7601)" "$HOST4"
	equal "$("$NETSAY" who "$HOST6" 7601)" "$HOST6"
	equal "$("$NETSAY" whose 192.0.2.53 7603)" "$HOST4"
	uplink=$(pod_process handed uplink)
	end_process KILL "$uplink"
	uplink_replaced handed "$uplink"
	check 0 answered "$NETSAY" try 192.0.2.53 7600 20
	equal "$(backlog 7600)" 7
	podctl rm -f -t 0 handed/server
	podctl rm -f handed
	equal "$(ss -Hltun '( sport >= :7600 and sport <= :7603 )')" ""
}

@test "a port that users may not have, and who may opens it" {
	podctl create -p 192.0.2.1:700:7000 handed
	admin low-ports 1024
	if rootless; then
		not_started '700/tcp.*publish a higher one.*ip_unprivileged_port_start.*LISTEN_FDS'
	else
		check 0 '' podctl start handed
		podctl stop handed
	fi
	admin low-ports 0
	check 0 '' handed 192.0.2.1:700 -- bash -c 'echo low-ports 1024 >"$1/request" &&
		read -r _ <"$1/reply" && exec "$2" start handed' sh "$PODD_TEST_ADMIN" "$PODD_STAGE/bin/podctl"
	equal "$(backlog 700)" 7
	equal "$(podctl port list --format json handed | jq -r '.[].state')" listening
}

# The pod is as it was, and nothing of the attempt runs.
not_started() { # message
	check 125 "$1" podctl start handed
	matches "$(podctl inspect handed | json - '.[0].phase')" '^(created|stopped|failed)$'
	equal "$(processes)" "$(<"$BATS_TEST_TMPDIR/processes")"
	equal "$(ss -Hltun '( sport >= :7600 and sport <= :7603 )')" ""
}

@test "a port that cannot be had: why, and the pod is not started" {
	podctl create -p 7600:7000 -p "$PORT":7000 handed
	not_started "$PORT/tcp.*in use.*choose another.*ss -lnp -t sport = $PORT"
	podctl rm handed
	podctl create -p 7600:7000 -p 203.0.113.9:7601:7000/udp handed
	not_started '7601/udp.*203.0.113.9 is no address of this host.*ip address'
	podctl rm handed
	podctl create -p "[2001:db8::77]:7601:7000" handed
	not_started '7601/tcp.*2001:db8::77 is no address of this host'
	podctl rm handed
	podctl create -p 7600:7000 handed
	check 0 '' podctl start handed
}
