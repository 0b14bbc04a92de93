#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is measured: podctl metrics, each pod's metrics.sock, and what clients of that can do to podd.

load helpers
load data-plane

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	podctl create net0
	podctl start net0
	podctl create other
	box run web -d --network podd --memory 64m sleep 1000
}

teardown_file() {
	stop_server
	podctl rm -f -t 0 net0/web
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

socket() { printf '%s/metrics.sock' "$(pod_dir net0)"; }

scrape() { # pod [curl options]
	(cd "$(pod_dir "$1")" && curl -sS --max-time 20 --unix-socket metrics.sock "${@:2}" http://podd/metrics)
}

measured() { # [pod...]: to a file that is checked
	podctl metrics "$@" >"$BATS_TEST_TMPDIR/metrics"
	"$TOOL" prometheus "$BATS_TEST_TMPDIR/metrics"
}

# The value of a sample, by its name and some labels, in the order in which they are written.
value() { # name label...
	local name=$1 labels
	shift
	labels=$(printf '%s\n' "$@" | paste -sd,)
	sed -n "s/^$name{$labels\(,[^}]*\)\?} //p" "$BATS_TEST_TMPDIR/metrics"
}

WEB='pod="net0",container="web"'

@test "all pods, and some, in Prometheus' format" {
	measured
	equal "$(value podd_pod_phase 'pod="net0"' 'phase="running"')" 1
	equal "$(value podd_pod_phase 'pod="net0"' 'phase="stopped"')" 0
	equal "$(value podd_pod_phase 'pod="other"' 'phase="created"')" 1
	equal "$(value podd_pod_phase 'pod="net0"' 'phase="restarting"')" 0
	equal "$(value podd_build_info "version=\"$(podctl version | cut -d' ' -f3)\"")" 1
	measured other
	equal "$(grep -c 'pod="net0"' "$BATS_TEST_TMPDIR/metrics" || true)" 0
	check 125 'no pod' podctl metrics nothing
}

@test "a container: its phase, its cgroup, its end" {
	box run limited -d --restart on-failure:2 --health-cmd true sh -c 'exit 3'
	await_state net0/limited phase exited
	measured net0
	equal "$(value podd_pod_children 'pod="net0"' 'phase="exited"')" 1
	equal "$(value podd_container_exit_status 'pod="net0",container="limited"')" 3
	equal "$(value podd_container_restarts_total 'pod="net0",container="limited"')" 2
	equal "$(value podd_container_running 'pod="net0",container="limited"')" 0
	matches "$(value podd_container_health 'pod="net0",container="limited"' 'health="healthy"')" '^[01]$'
	podctl rm net0/limited
	if [ "$(ctr_state net0/web '.cgroup // "none"')" != none ]; then
		matches "$(value podd_container_cpu_seconds_total "$WEB")" '^[0-9]+\.[0-9]{6}$'
	fi
}

@test "metrics.sock: the pod's own, by HTTP" {
	scrape net0 -D "$BATS_TEST_TMPDIR/head" >"$BATS_TEST_TMPDIR/metrics"
	"$TOOL" prometheus "$BATS_TEST_TMPDIR/metrics"
	matches "$(<"$BATS_TEST_TMPDIR/head")" 'HTTP/1.0 200 OK.*Content-Type: text/plain; version=0.0.4'
	matches "$(value podd_supervisor_start_time_seconds 'pod="net0"')" "^$(date +%s | cut -c1-5)"
	equal "$(stat -c %a "$(socket)")" 600
	# The same as podctl prints, but for what counts on.
	diff <(podctl metrics net0 | sed 's/ [^ ]*$//') <(sed 's/ [^ ]*$//' "$BATS_TEST_TMPDIR/metrics")
	matches "$(scrape net0 -I)" 'HTTP/1.0 200 OK'
	# With HTTP/1.0 and no header.
	matches "$(printf 'GET /metrics HTTP/1.0\r\n\r\n' | "$TOOL" raw "$(socket)")" 'podd_pod_info'
}

status_of() { # request, as printf has it
	# shellcheck disable=SC2059
	printf "$1" | "$TOOL" raw "$(socket)" | head -n 1 | tr -d '\r'
}

@test "metrics.sock: what is no request for metrics" {
	equal "$(status_of 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')" "HTTP/1.0 404 Not Found"
	equal "$(status_of 'POST /metrics HTTP/1.1\r\n\r\n')" "HTTP/1.0 405 Method Not Allowed"
	equal "$(status_of 'GET /metrics HTTP/2.0\r\n\r\n')" "HTTP/1.0 505 HTTP Version Not Supported"
	equal "$(status_of 'GET /metrics HTTP/1.1\r\nbad header\r\n\r\n')" "HTTP/1.0 400 Bad Request"
	equal "$(status_of 'GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc')" "HTTP/1.0 400 Bad Request"
	equal "$(status_of "GET /metrics HTTP/1.1\r\nX: $(printf %09000d 0)\r\n\r\n")" \
		"HTTP/1.0 431 Request Header Fields Too Large"
	equal "$(status_of 'GET /metrics?x=1 HTTP/1.1\r\n\r\n')" "HTTP/1.0 200 OK"
	equal "$(status_of 'nonsense')" ""
}

@test "metrics.sock: clients that say nothing, or too little, hold nobody up" {
	local held
	coproc CROWD { "$TOOL" crowd "$(socket)" 40 $'GET /metrics HTTP/1.1\r\nX:' 3>&-; }
	read -r -t 20 held <&"${CROWD[0]}"
	equal "$held" 16
	# podd itself answers, and podctl metrics does not need the socket.
	check 0 '"phase": "running"' timeout 5 "$PODD_STAGE/bin/podctl" inspect net0
	check 0 podd_pod_info timeout 5 "$PODD_STAGE/bin/podctl" metrics net0
	# They are given up after their time; then there is room again.
	until scrape net0 -f >"$BATS_TEST_TMPDIR/metrics" 2>"$BATS_TEST_TMPDIR/errors"; do :; done
	"$TOOL" prometheus "$BATS_TEST_TMPDIR/metrics"
	eval "exec ${CROWD[1]}>&-"
	wait "$CROWD_PID"
}

@test "podctl metrics --http answers one request, as for a socket that systemd accepted" {
	check 0 'HTTP/1.0 200 OK.*podd_pod_info.pod="other"' bash -c \
		'printf "GET /metrics HTTP/1.1\r\n\r\n" | "$1" metrics --http' sh "$PODD_STAGE/bin/podctl"
	check 0 'HTTP/1.0 404' bash -c 'printf "GET /x HTTP/1.1\r\n\r\n" | "$1" metrics --http' sh \
		"$PODD_STAGE/bin/podctl"
	check 0 'HTTP/1.0 400' bash -c 'printf "GET /x" | "$1" metrics --http' sh "$PODD_STAGE/bin/podctl"
}

# ---- counters ----

counts() { value "podd_uplink_$1_total" 'pod="net0"' 'container=""' "${@:2}"; }

talk() { check 0 "$HOST4" inside net0 "$NETSAY" who "$HOST4" "$PORT"; }

flows() {
	measured net0
	counts flows
}

@test "counters go on when the uplink is replaced, and when podd is" {
	need_fast_path
	talk
	one=$(flows)
	[ "$one" -ge 1 ]
	bytes=$(counts bytes 'direction="in"')
	uplink=$(pod_process net0 uplink)
	restarts=$(value podd_uplink_restarts_total 'pod="net0"')
	end_process KILL "$uplink"
	uplink_replaced net0 "$uplink"
	equal "$(flows)" "$one"
	equal "$(value podd_uplink_restarts_total 'pod="net0"')" $((restarts + 1))
	valid traffic "$(pod_dir net0)/traffic.json"
	talk
	equal "$(flows)" $((one + 1))
	[ "$(counts bytes 'direction="in"')" -gt "$bytes" ]
	end_process KILL "$(pod_process net0 podd)"
	podctl start net0
	equal "$(flows)" $((one + 1))
	equal "$(value podd_uplink_restarts_total 'pod="net0"')" $((restarts + 1))
	equal "$(podctl stats --network --format json net0 | jq '.[] | select(.path == "net0").flowsTotal')" \
		$((one + 1))
	podctl stop -t 0 net0
	[ ! -e "$(socket)" ]
	podctl start net0
	equal "$(flows)" 0
}
