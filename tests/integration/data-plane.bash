# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of the data plane share: a server of every scenario on the host (tests/netsay), its
# client in each place, and the comparison of what they saw. Needs helpers.bash.

NETSAY=$PODD_BUILD/tests/netsay/netsay
WIRE=$BATS_TEST_DIRNAME/wire
PORT=7000

# A fall-back is a failure.
need_fast_path() {
	equal "$(podctl inspect net0 | jq -r '.[0].uplink.path')" splice \
		"$(podctl inspect net0 | jq -c '.[0].uplink')"
}

# ---- the server ----

# On all addresses of the host; what it saw goes to a directory of its own.
start_server() {
	mkdir "$BATS_FILE_TMPDIR/seen"
	mkfifo "$BATS_FILE_TMPDIR/ready"
	"$NETSAY" serve :: $PORT "$BATS_FILE_TMPDIR/seen" >"$BATS_FILE_TMPDIR/ready" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/server"
	read -r -t 10 _ <"$BATS_FILE_TMPDIR/ready"
}

stop_server() { end_process TERM "$(<"$BATS_FILE_TMPDIR/server")"; }

# A name server on the host, which knows which.test: dns ADDRESS ANSWER
dns() {
	dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --listen-address="$1" --bind-interfaces \
		--host-record="which.test,$2" --local=/test/ --pid-file="$BATS_FILE_TMPDIR/dns.pid" \
		--user="$USER" --group="$USER" 3>&-
}

stop_dns() { end_process TERM "$(<"$BATS_FILE_TMPDIR/dns.pid")"; }

# A server in a container of net0: server_box NAME [OPTIONS...]
server_box() {
	local name=$1
	shift
	box run "$name" -d --tmpfs /tmp "$@" -- netsay serve :: $PORT /tmp
	await_log "net0/$name" ready
}

# rescue, that waits until these containers of net0 are known to have ended. Return: the same.
rescue_boxes() { # name...
	local name
	rescue || return 1
	for name in "$@"; do
		await_state "net0/$name" phase exited
	done
}

# A name server, net0, and plain, which is without the fast path.
start_pods() {
	dns 192.0.2.53 192.0.2.1
	podctl create net0
	podctl start net0
	podctl create --uplink-path libslirp plain
	podctl start plain
}

# ---- the client, in the place that a test names by a command before it ----

on_host() { "$@"; }
in_pod() { inside net0 "$@"; }
in_plain_pod() { inside plain "$@"; }
in_box() { podctl exec net0/client netsay "${@:2}"; }
in_box_too() { podctl exec -i net0/client netsay "${@:2}"; } # with its input

# transcript PLACE ADDRESS SCENARIO...: prints what both sides saw.
transcript() {
	local place=$1 address=$2
	shift 2
	"$place" "$NETSAY" run "$address" "${AT_PORT:-$PORT}" "t-$BASHPID-$RANDOM" "$@" </dev/null 3>&-
}

# The same scenarios on the host and there show the same. A function in $except rewrites what
# cannot be the same in both. The host's part is run once a file: $HOST_ADDRESS, if it is another
# one there, at its own port; the other at $THERE_PORT.
same_as_host() { # place address scenario...
	local place=$1 address=$2 host
	shift 2
	host=$(printf '%s-' "${HOST_ADDRESS:-$address}" "$@")
	host=$BATS_FILE_TMPDIR/on-host-${host//[^a-z0-9]/-}
	[ -s "$host" ] || transcript on_host "${HOST_ADDRESS:-$address}" "$@" >"$host"
	AT_PORT=${THERE_PORT:-$PORT} transcript "$place" "$address" "$@" >"$BATS_TEST_TMPDIR/there"
	diff -U3 <("${except:-cat}" <"$host") <("${except:-cat}" <"$BATS_TEST_TMPDIR/there") >&2 ||
		fail "$place $address: not as on the host"
	[ -s "$BATS_TEST_TMPDIR/there" ] || fail "nothing ran"
}

# ---- waiting ----

# Nothing of the test's connections is left on the host, but what the kernel keeps of ended ones.
# Each ss is a new look, until bats' own time is over.
await_no_connections() { # ss-filter
	until [ -z "$(ss -Htn state connected exclude time-wait "$@")" ]; do :; done
}

# The pod's uplink carries no TCP connection any more.
await_no_flows() { # pod
	until [ "$(podctl flows --format json "$1" | jq '[.[] | select(.via == "splice")] | length')" = 0 ]; do
		:
	done
}

# Its pid is another one, and the pod's record says so.
uplink_replaced() { # pod old-pid
	await_file "$(pod_dir "$1")/state.json" "\"uplink\": *\\{[^}]*\"pid\": (?!$2\\b)[1-9]"
}

# Connections without a pause, from a place, until stop_load: start_load PLACE ADDRESS [PORT]
start_load() {
	mkfifo "$BATS_TEST_TMPDIR/load-in" "$BATS_TEST_TMPDIR/load-out"
	"$1" "$NETSAY" load "$2" "${3:-$PORT}" 4 <"$BATS_TEST_TMPDIR/load-in" \
		>"$BATS_TEST_TMPDIR/load-out" 3>&- &
	load_job=$!
	exec {load_in}>"$BATS_TEST_TMPDIR/load-in" {load_out}<"$BATS_TEST_TMPDIR/load-out"
	read -r -t 20 line <&$load_out
	equal "$line" loading
}

stop_load() {
	exec {load_in}>&-
	read -r -t 30 line <&"$load_out"
	equal "$line" "done"
	exec {load_out}<&-
	wait "$load_job"
}

# One connection that stays: start_keep PLACE ADDRESS [PORT], then ask_keep, then stop_keep.
start_keep() {
	mkfifo "$BATS_TEST_TMPDIR/keep-in" "$BATS_TEST_TMPDIR/keep-out"
	"$1" "$NETSAY" keep "$2" "${3:-$PORT}" <"$BATS_TEST_TMPDIR/keep-in" \
		>"$BATS_TEST_TMPDIR/keep-out" 3>&- &
	keep_job=$!
	exec {keep_in}>"$BATS_TEST_TMPDIR/keep-in" {keep_out}<"$BATS_TEST_TMPDIR/keep-out"
	read -r -t 20 line <&$keep_out
	equal "$line" connected
}

ask_keep() { # answer
	echo >&"$keep_in"
	read -r -t 20 line <&"$keep_out"
	matches "$line" "^($1)$"
}

stop_keep() {
	exec {keep_in}>&- {keep_out}<&-
	wait "$keep_job"
}

# ---- both sides of one connection ----

# start_talk NAME PLACE connect|accept ADDRESS PORT: then ask NAME LINE, and stop_talk NAME.
start_talk() {
	local name=$1 place=$2
	local -n job=${name}_job in=${name}_in out=${name}_out
	shift 2
	mkfifo "$BATS_TEST_TMPDIR/$name-in" "$BATS_TEST_TMPDIR/$name-out"
	"$place" "$WIRE" talk "$@" <"$BATS_TEST_TMPDIR/$name-in" >"$BATS_TEST_TMPDIR/$name-out" 3>&- &
	job=$!
	exec {in}>"$BATS_TEST_TMPDIR/$name-in" {out}<"$BATS_TEST_TMPDIR/$name-out"
}

hear() { # name answer
	local line
	local -n from=${1}_out
	read -r -t 20 line <&"$from"
	equal "$line" "$2"
}

ask() { # name line
	local -n to=${1}_in
	echo "$2" >&"$to"
	hear "$1" "done"
}

stop_talk() { # name...
	local name
	for name in "$@"; do
		local -n job=${name}_job in=${name}_in out=${name}_out
		exec {in}>&- {out}<&-
		wait "$job"
		rm "$BATS_TEST_TMPDIR/$name"-*
	done
}
