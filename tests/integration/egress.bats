#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Egress rules: where a pod and its containers may send to, whichever way it takes.

load helpers
load data-plane

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	start_pods
	box run client -d --network podd --cap-add NET_RAW sleep 1000
	box run sibling -d --network podd sleep 1000
}

teardown_file() {
	stop_dns
	stop_server
	podctl rm -f -t 0 net0/client net0/sibling
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	local name
	for name in client sibling; do
		[ "$(ctr_state net0/$name .phase)" = running ] || podctl start net0/$name
	done
	for name in $(rules | cut -d ' ' -f 1 | sort -u); do
		podctl egress rm --all "$name" >/dev/null
	done
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

teardown() {
	rescue_boxes client sibling || pod_compare net0 "$BATS_TEST_TMPDIR/pod"
}

# ---- what is seen of a rule ----

in_sibling() { podctl exec net0/sibling netsay "${@:2}"; }

# Programs hear of it by ICMP, so that none has to wait for its time-out.
is_denied() { # place verb
	check 1 '^EHOSTUNREACH$' "$1" "$NETSAY" "$2" "$HOST4" "$PORT"
	check 1 '^EACCES$' "$1" "$NETSAY" "$2" "$HOST6" "$PORT"
}

is_allowed() { # place verb
	check 0 "^$HOST4\$" "$1" "$NETSAY" "$2" "$HOST4" "$PORT"
	check 0 "^$HOST6\$" "$1" "$NETSAY" "$2" "$HOST6" "$PORT"
}

rules() { podctl egress list --format json "$@" | jq -r '.[] | "\(.path) \(.position) \(.rule)"'; }

# Reads what the rules must be, one a line.
rules_are() { equal "$(rules "$@")" "$(cat)"; }

# ---- lists of rules ----

@test "rules are put at their positions, listed, and taken away" {
	podctl egress add net0 allow to dns deny to 192.0.2.0/24 proto tcp port 80,443-444
	podctl egress add --at 2 net0 deny proto icmp type 8 log
	podctl egress add --format json net0/client 'allow to any' >"$BATS_TEST_TMPDIR/added"
	podctl egress list --format json >"$BATS_TEST_TMPDIR/listed"
	valid podctl-egress "$BATS_TEST_TMPDIR/added" "$BATS_TEST_TMPDIR/listed"
	equal "$(json "$BATS_TEST_TMPDIR/added" '.[] | "\(.path) \(.position)"')" "net0/client 1"
	rules_are net0 <<-'END'
		net0 1 allow to dns
		net0 2 deny proto icmp type 8 log
		net0 3 deny to 192.0.2.0/24 proto tcp port 80
		net0 4 deny to 192.0.2.0/24 proto tcp port 443-444
		net0/client 1 allow
	END
	check 0 '1 +allow to dns.*4 +deny to 192.0.2.0/24 proto tcp port 443-444' podctl egress rm net0 4 1
	rules_are net0/client <<<"net0/client 1 allow"
	rules_are net0 <<-'END'
		net0 1 deny proto icmp type 8 log
		net0 2 deny to 192.0.2.0/24 proto tcp port 80
		net0/client 1 allow
	END
	podctl egress rm --all net0
	rules_are net0 <<<"net0/client 1 allow"
}

@test "rules as Garden writes them" {
	podctl egress add net0 '{"protocol": 1, "networks": [{"start": "192.0.2.1", "end": "192.0.2.9"}],
		"ports": [{"start": 7000, "end": 7001}], "log": true}' \
		'{"protocol": "icmp", "icmps": {"type": 8, "code": 0}}' \
		'{"action": "deny", "protocol": "all", "to": "192.0.2.0/24,gateway"}'
	rules_are net0 <<-'END'
		net0 1 allow to 192.0.2.1-192.0.2.9 proto tcp port 7000-7001 log
		net0 2 allow proto icmp type 8/0
		net0 3 deny to 192.0.2.0/24
		net0 4 deny to gateway
	END
	check 0 "$HOST4" in_pod "$NETSAY" who "$HOST4" "$PORT"
	check 1 EHOSTUNREACH in_pod "$NETSAY" who "$HOST4" $((PORT + 2))
	check 1 EHOSTUNREACH in_pod "$NETSAY" whose "$HOST4" "$PORT"
	check 1 EHOSTUNREACH in_pod "$NETSAY" who 10.0.2.2 "$PORT"
}

@test "of what is not a rule, nothing is done" {
	podctl egress add net0 allow to dns
	check 2 'type' podctl egress add net0 deny deny proto tcp type 8
	check 2 'port' podctl egress add net0 deny port 0
	check 2 'port' podctl egress add net0 deny proto icmp port 80
	check 2 'to' podctl egress add net0 deny to 10.0.0.9-10.0.0.1
	check 2 'to' podctl egress add net0 deny to nowhere
	check 2 'protocol' podctl egress add net0 '{"protocol": 4}'
	check 2 '' podctl egress add net0 '{"protocol": 0'
	check 125 'position 3' podctl egress rm net0 1 3
	check 125 'nobody' podctl egress add net0/nobody deny
	check 2 128 podctl egress add net0 "deny port $(seq -s , 1 2 129)"
	podctl egress add net0 "deny proto tcp port $(seq -s , 1 2 253)" >/dev/null
	check 125 128 podctl egress add net0 deny
	equal "$(rules net0 | wc -l)" 128
}

@test "a container that shares the pod's network has no rules of its own" {
	box run shared -d sleep 1000
	check 125 'shares the pod.s network' podctl egress add net0/shared deny
	podctl egress add net0 deny
	check 1 EHOSTUNREACH podctl exec net0/shared netsay who "$HOST4" "$PORT"
	podctl rm -f -t 0 net0/shared
}

# ---- what they do ----

@test "what is denied fails at once, with the fast path and with libslirp" {
	need_fast_path
	for pod in net0 plain; do
		podctl egress add $pod deny to 192.0.2.1,2001:db8::1 >/dev/null
	done
	for place in in_pod in_plain_pod in_box; do
		is_denied $place who
		is_denied $place whose
		check 0 "$HOST4" $place "$NETSAY" who 192.0.2.53 "$PORT"
	done
	podctl egress add --at 1 net0 allow proto tcp port "$PORT"
	is_allowed in_pod who
	is_allowed in_box who
	is_denied in_pod whose
}

@test "echo requests are denied as such" {
	check 0 ' 0% packet loss' podctl exec net0/client ping -c 1 -W 5 "$HOST4"
	podctl egress add net0 deny proto icmp type 8
	check 1 '100% packet loss' podctl exec net0/client ping -c 1 -W 1 "$HOST4"
	is_allowed in_box who
}

@test "the name server is denied with the rest, and allowed by name" {
	for pod in net0 plain; do
		check 0 '^192\.0\.2\.1$' inside $pod "$TOOL" dns udp 10.0.2.3 which.test
		podctl egress add $pod deny
		for protocol in udp tcp; do
			check 1 'No route' inside $pod "$TOOL" dns $protocol 10.0.2.3 which.test
		done
		podctl egress add --at 1 $pod allow to dns
		for protocol in udp tcp; do
			check 0 '^192\.0\.2\.1$' inside $pod "$TOOL" dns $protocol 10.0.2.3 which.test
		done
		check 1 EHOSTUNREACH inside $pod "$NETSAY" who "$HOST4" "$PORT"
	done
	check 0 '192\.0\.2\.1' podctl exec net0/client nslookup which.test
}

@test "a container's rules are its own" {
	podctl egress add net0/client deny to 192.0.2.1,2001:db8::1
	is_denied in_box who
	is_denied in_box whose
	for place in in_sibling in_pod; do
		is_allowed $place who
		is_allowed $place whose
	done
	# What stays in the pod is nobody's business.
	check 0 ' 0% packet loss' podctl exec net0/client ping -c 1 -W 5 "$(child_ip net0 sibling)"
	podctl restart -t 0 net0/client
	is_denied in_box who
	is_allowed in_sibling who
	# It has another address now, and has ended once.
	pod_snapshot net0 "$BATS_TEST_TMPDIR/pod"
}

@test "a container needs its own rules' consent and the pod's" {
	podctl egress add net0 allow to 192.0.2.1,2001:db8::1 port "$PORT" deny
	podctl egress add net0/client deny port "$PORT" allow
	is_denied in_box who
	is_allowed in_pod who
	check 1 EHOSTUNREACH in_box "$NETSAY" who "$HOST4" $((PORT + 2))
	podctl egress rm net0/client 1 >/dev/null
	is_allowed in_box who
	check 1 EHOSTUNREACH in_box "$NETSAY" who "$HOST4" $((PORT + 2))
	podctl egress rm --all net0 >/dev/null
	podctl egress add net0/client --at 1 deny
	is_denied in_box who
	is_allowed in_pod who
}

@test "a container's rules go with it" {
	box create gone --network podd --egress 'deny to 192.0.2.1' netsay who "$HOST4" "$PORT"
	check 1 EHOSTUNREACH podctl start -a net0/gone
	podctl egress add net0/gone deny to 2001:db8::1
	rules_are net0/gone <<-'END'
		net0/gone 1 deny to 192.0.2.1
		net0/gone 2 deny to 2001:db8::1
	END
	podctl rm net0/gone
	check 125 gone podctl egress list net0/gone
	check 0 "$HOST4" box run gone --rm --network podd netsay who "$HOST4" "$PORT"
	check 1 EHOSTUNREACH box run gone --rm --network podd --egress 'deny to 192.0.2.1' \
		netsay who "$HOST4" "$PORT"
	rules_are net0 <<<""
}

@test "a connection that is open is cut by a rule that forbids it" {
	need_fast_path
	for place in "in_pod net0 $HOST4" "in_box_too net0/client $HOST6" "in_box_too net0 $HOST4" \
		"in_plain_pod plain $HOST6"; do
		read -r place whose address <<<"$place"
		start_keep "$place" "$address"
		ask_keep alive
		podctl egress add "$whose" deny to 192.0.2.200
		ask_keep alive
		podctl egress add "$whose" deny port "$PORT"
		ask_keep "the end|E[A-Z]+"
		await_no_connections "( sport = :$PORT or dport = :$PORT )"
		podctl egress rm --all "$whose" >/dev/null
		stop_keep
		rm "$BATS_TEST_TMPDIR"/keep-*
	done
}

# Its first packet is held back in the pod, until there is an answer for it.
@test "a connection that is being made is answered by a rule that forbids it" {
	need_fast_path
	start_talk client in_pod connect 192.0.2.200 7300
	until podctl flows net0 | grep -q connecting; do :; done
	podctl egress add net0 deny to 192.0.2.200
	hear client EHOSTUNREACH
	stop_talk client || true
}

@test "a client of a published port is answered" {
	podctl egress add net0 deny
	server_box server --network podd -p 7400:7000 -p 7400:7000/udp
	equal "$("$NETSAY" who "$HOST4" 7400)" "$HOST4"
	equal "$("$NETSAY" whose "$HOST6" 7400)" "$HOST6"
	podctl rm -f -t 0 net0/server
}

@test "what a rule with log matches is told" {
	podctl egress add net0 deny to 192.0.2.1 proto tcp log allow to 2001:db8::1 proto udp log
	check 1 EHOSTUNREACH in_pod "$NETSAY" who "$HOST4" "$PORT"
	check 0 "$HOST6" in_pod "$NETSAY" whose "$HOST6" "$PORT"
	await_file "$(pod_dir net0)/podd.log" "egress denied: tcp from 10\\.0\\.2\\.100:[0-9]+ to 192\\.0\\.2\\.1:$PORT\$"
	await_file "$(pod_dir net0)/podd.log" "egress allowed: udp from \\[fd00::100\\]:[0-9]+ to \\[2001:db8::1\\]:$PORT\$"
}

# ---- from when to when ----

@test "rules that a pod is created with hold from its start" {
	for options in "" "--uplink-path libslirp"; do
		# shellcheck disable=SC2086  # words
		podctl create $options --egress 'deny to 192.0.2.1' --egress 'deny to 2001:db8::1 log' ruled
		podctl start ruled
		check 1 EHOSTUNREACH inside ruled "$NETSAY" who "$HOST4" "$PORT"
		rules_are ruled <<-'END'
			ruled 1 deny to 192.0.2.1
			ruled 2 deny to 2001:db8::1 log
		END
		podctl rm -f ruled
	done
}

@test "rules are there again when a pod is started again" {
	podctl create --egress 'deny to 192.0.2.1' lasting
	podctl start lasting
	podctl egress add lasting deny to 2001:db8::1 >/dev/null
	podctl egress rm lasting 1 >/dev/null
	valid network "$(pod_dir lasting)/network.json"
	podctl stop -t 0 lasting
	podctl start lasting
	rules_are lasting <<<"lasting 1 deny to 2001:db8::1"
	check 1 EACCES inside lasting "$NETSAY" who "$HOST6" "$PORT"
	check 0 "$HOST4" inside lasting "$NETSAY" who "$HOST4" "$PORT"
	podctl rm -f lasting
}

@test "rules outlive podd" {
	podctl egress add net0 deny to 192.0.2.1 >/dev/null
	podctl egress add net0/client deny to 2001:db8::1 >/dev/null
	end_process KILL "$(pod_process net0 podd)"
	is_denied in_box who
	podctl start net0
	is_denied in_box who
	rules_are net0 <<-'END'
		net0 1 deny to 192.0.2.1
		net0/client 1 deny to 2001:db8::1
	END
	podctl egress rm --all net0/client
	podctl egress rm --all net0
	is_allowed in_box who
}

# What wire runs in has the pod's or a container's network, and the host's programs.
in_box_network() { nsenter --preserve-credentials -U -n -t "$(init_pid net0/client)" "$@"; }

# start_stream PLACE: to a port that is to be forbidden and to another one, from there to the host.
start_stream() {
	mkfifo "$BATS_TEST_TMPDIR"/{count-in,count-out,stream-in}
	"$WIRE" count 7800 7801 <"$BATS_TEST_TMPDIR/count-in" >"$BATS_TEST_TMPDIR/count-out" 3>&- &
	counter=$!
	exec {count_in}>"$BATS_TEST_TMPDIR/count-in" {count_out}<"$BATS_TEST_TMPDIR/count-out"
	read -r -t 10 line <&"$count_out"
	equal "$line" ready
	"$1" "$WIRE" stream 7800 7801 "$HOST4" "$HOST6" <"$BATS_TEST_TMPDIR/stream-in" 3>&- &
	streamer=$!
	exec {stream_in}>"$BATS_TEST_TMPDIR/stream-in"
}

# Waits for what the stream has by now; $line is how much of it came that is forbidden.
await_stream() {
	echo >&"$count_in"
	read -r -t 20 line <&"$count_out"
	matches "$line" '^[0-9]+$'
}

stop_stream() {
	exec {stream_in}>&-
	wait "$streamer"
	exec {count_in}>&- {count_out}<&-
	wait "$counter"
	rm "$BATS_TEST_TMPDIR"/{count,stream}-*
}

@test "the uplink killed under a stream: nothing that is forbidden gets out" {
	for place in "in_pod net0" "in_box_network net0/client"; do
		start_stream "${place% *}"
		await_stream
		[ "$line" -gt 0 ] || fail "nothing comes that could be forbidden"
		podctl egress add "${place#* }" deny port 7800
		# What was on its way.
		await_stream
		before=$line
		for _ in 1 2 3 4; do
			uplink=$(pod_process net0 uplink)
			end_process KILL "$uplink"
			uplink_replaced net0 "$uplink"
			await_stream
			equal "$line" "$before" "$place"
		done
		stop_stream
		podctl egress rm --all "${place#* }"
	done
	is_allowed in_box who
}
