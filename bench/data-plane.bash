# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The figures of the data plane, for bench/run: what programs in a pod, and in a bridged container
# of it, get from the network beside what they get through slirp4netns, pasta and RootlessKit's
# builtin port driver, and beside the host's own loopback. Everything in one network namespace that
# tests/isolate made, where 192.0.2.1 stands for another host.
#
# "out" and "in" say where the bytes of a connection go that the pod opens; "published" connections
# are opened by the host, from an address that is not a loopback one, as other hosts would. What a
# peer or podd cannot do stays empty and is named so in the table.
# shellcheck disable=SC2016,SC2154  # scripts for other shells are quoted; bench/run sets the variables

readonly PLANE_RUNS=${PLANE_RUNS:-5} PLANE_SECONDS=1 PINGS=5000 DATAGRAM_BYTES=1400
readonly ECHO_PORT=5307 HTTP_PORT=8090
# podd has a server of its own: one whose client vanished serves nobody for a while.
readonly IPERF_PORT=5201 IPERF_PODD_PORT=5202 PATIENCE=8
# Inside, and where the host sees them: pod, bridged child, slirp4netns, pasta, RootlessKit.
readonly INNER_IPERF=5301 INNER_HTTP=8091
declare -rA OUTER_IPERF=([podd]=5311 [bridged]=5312 [slirp]=5313 [pasta]=5314 [rootlesskit]=5315)
declare -rA OUTER_HTTP=([podd]=8111 [bridged]=8112 [slirp]=8113 [pasta]=8114 [rootlesskit]=8115)

# ---- the parties ----

# A user and network namespace until plane_end; sets ${holders[NAME]} to a process in it.
plane_namespace() { # name
	mkfifo "$dir/plane-up"
	unshare -r -n sh -c 'echo >"$0"; read -r x <"$1"' "$dir/plane-up" "$dir/plane-end" &
	holders[$1]=$!
	cat "$dir/plane-up" >/dev/null
	rm "$dir/plane-up"
}

# within PARTY COMMAND...: where the party's programs are.
within() {
	local party=$1
	shift
	case $party in
	raw) "$@" ;;
	podd) podctl enter plane -- "$@" ;;
	bridged) podctl enter plane -- nsenter -n -t "${holders[bridged]}" -- "$@" ;;
	*) nsenter --preserve-credentials -U -n -t "${holders[$party]}" -- "$@" ;;
	esac
}

plane_slirp() {
	plane_namespace slirp
	mkfifo "$dir/plane-ready"
	slirp4netns --configure --mtu=65520 --disable-host-loopback --api-socket "$dir/slirp.sock" \
		--ready-fd=5 "${holders[slirp]}" tap0 5>"$dir/plane-ready" >>"$log" 2>&1 &
	pids[slirp]=$!
	head -c 1 "$dir/plane-ready" >/dev/null
	rm "$dir/plane-ready"
	plane_slirp_forward "${OUTER_IPERF[slirp]}" $INNER_IPERF
	plane_slirp_forward "${OUTER_HTTP[slirp]}" $INNER_HTTP
}

plane_slirp_forward() { # host port, guest port
	"$traffic" tell "$dir/slirp.sock" '{"execute": "add_hostfwd", "arguments": {"proto": "tcp",
		"host_addr": "0.0.0.0", "host_port": '"$1"', "guest_addr": "10.0.2.100",
		"guest_port": '"$2"'}}' >>"$log" || failed slirp4netns
}

# Without its own copy of the host's addresses: those would be in there, not outside. It opens
# nothing by itself but what the figures need.
plane_pasta() {
	plane_namespace pasta
	pasta -f -q -4 --config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 -P "$dir/pasta.pid" \
		-t "${OUTER_IPERF[pasta]}:$INNER_IPERF,${OUTER_HTTP[pasta]}:$INNER_HTTP" -u none -T none -U none \
		"${holders[pasta]}" >>"$log" 2>&1 &
	pids[pasta]=$!
	until [ -s "$dir/pasta.pid" ]; do
		[ -e "/proc/${pids[pasta]}" ] || failed pasta
		sleep 0.005
	done
}

plane_rootlesskit() {
	mkfifo "$dir/plane-up"
	rootlesskit --net=slirp4netns --mtu=65520 --disable-host-loopback --port-driver=builtin \
		--state-dir "$dir/rootlesskit" -p "0.0.0.0:${OUTER_IPERF[rootlesskit]}:$INNER_IPERF/tcp" \
		-p "0.0.0.0:${OUTER_HTTP[rootlesskit]}:$INNER_HTTP/tcp" \
		sh -c 'echo $$ >"$0"; read -r x <"$1"' "$dir/plane-up" "$dir/plane-end" >>"$log" 2>&1 &
	read -r "holders[rootlesskit]" <"$dir/plane-up"
	rm "$dir/plane-up"
}

plane_podd() {
	local publish=() child=()
	if podctl create --help | grep -q -- --publish; then
		publish=(-p "${OUTER_IPERF[podd]}:$INNER_IPERF" -p "${OUTER_HTTP[podd]}:$INNER_HTTP")
		child=(-p "${OUTER_IPERF[bridged]}:$INNER_IPERF" -p "${OUTER_HTTP[bridged]}:$INNER_HTTP")
	fi
	{
		podctl create "${publish[@]}" plane
		podctl start plane
		podctl run -d --name plane/bridged --network podd "${child[@]}" --rootfs "$dir/rootfs" sleep 1000
	} >>"$log" || failed podctl
	for party in podd bridged; do
		[ -z "$(ss -Hltn "sport = :${OUTER_IPERF[$party]}")" ] || published+=("$party")
	done
	holders[bridged]=$(jq .init.pid "$PODD_ROOT/plane/children/bridged/state.json")
	pids[podd]=$(jq .uplink.pid "$PODD_ROOT/plane/state.json")
}

# Servers that go into the background; their pids are written to files.
plane_servers() { # party address iperf-port http-port
	mkdir "$dir/nginx-$1"
	cat >"$dir/nginx-$1/conf" <<-END
		daemon on;
		user root root;  # where it is root, of one user only
		worker_processes 1;
		pid $dir/nginx-$1/pid;
		error_log $dir/nginx-$1/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			keepalive_timeout 0;
			client_body_temp_path $dir/nginx-$1; proxy_temp_path $dir/nginx-$1;
			fastcgi_temp_path $dir/nginx-$1; uwsgi_temp_path $dir/nginx-$1; scgi_temp_path $dir/nginx-$1;
			server { listen $2:$4; location / { return 200 "a short answer\n"; } }
		}
	END
	{
		within "$1" nginx -p "$dir/nginx-$1" -c "$dir/nginx-$1/conf" -e "$dir/nginx-$1/error.log"
		within "$1" iperf3 -s -D -p "$3" -I "$dir/iperf-$1.pid"
	} >>"$log" 2>&1 </dev/null || failed "servers of $1"
}

plane_begin() {
	declare -gA holders=() pids=()
	published=()
	mkfifo "$dir/plane-end" "$dir/plane-ready"
	"$traffic" serve "$HOST4" $ECHO_PORT >"$dir/plane-ready" &
	pids[echo]=$!
	head -n 1 "$dir/plane-ready" >/dev/null
	rm "$dir/plane-ready"
	# Opened for both, so that no opening waits; closing it ends the holders.
	exec 8<>"$dir/plane-end"
	plane_slirp
	plane_pasta
	plane_rootlesskit
	plane_podd
	plane_servers raw "$HOST4" $IPERF_PORT $HTTP_PORT
	iperf3 -s -D -p $IPERF_PODD_PORT -I "$dir/iperf-own.pid" >>"$log"
	for party in slirp pasta rootlesskit "${published[@]}"; do
		plane_servers "$party" 0.0.0.0 $INNER_IPERF $INNER_HTTP
	done
}

plane_end() {
	local file
	for file in "$dir"/nginx-*/pid "$dir"/iperf-*.pid; do
		kill "$(tr -d '\0' <"$file")" 2>/dev/null || true
	done
	podctl rm -f plane >>"$log" 2>&1 || true
	kill "${pids[echo]}" "${pids[slirp]}" 2>/dev/null || true
	# One line for each holder; pasta and rootlesskit end with theirs.
	printf '\n\n\n' >&8
	exec 8>&-
}

# ---- measuring; each appends to $dir/plane/FIGURE.PARTY ----

# Microseconds of CPU that everything in this bench has used, in the kernel as well.
cpu_used() { awk '/^usage_usec/ { print $2 }' /sys/fs/cgroup/cpu.stat; }

take() { # figure party command...
	local figure=$1 party=$2
	shift 2
	"$@" >>"$dir/plane/$figure.$party" 2>>"$log" || {
		echo "bench: $figure of $party failed" >>"$log"
		touch "$dir/plane/$figure.$party.failed"
	}
}

# Gbit/s, and into another file CPU seconds per GB.
plane_iperf() { # cpu-file party address port options...
	local cpu=$1 party=$2 address=$3 port=$4 before after
	shift 4
	before=$(cpu_used)
	within "$party" timeout $PATIENCE iperf3 -c "$address" -p "$port" -t $PLANE_SECONDS -J "$@" \
		>"$dir/plane/json" </dev/null || return 1
	after=$(cpu_used)
	jq -e '.end.sum_received.bits_per_second / 1e9 | select(. > 0)' "$dir/plane/json" || return 1
	jq --argjson used $((after - before)) '$used / 1e6 / (.end.sum_received.bytes / 1e9)' \
		"$dir/plane/json" >>"$dir/plane/$cpu"
}

# Requests a second; nothing where one in a thousand fails.
plane_http() { # party address port
	within "$1" timeout $PATIENCE wrk -t 1 -c 16 -d $PLANE_SECONDS -H "Connection: close" "http://$2:$3/" \
		</dev/null | awk '/Socket errors/ { print | "cat >&2"; errors = $4 + $6 + $8 + $10 }
		/ requests in / { requests = $1 }
		/^Requests\/sec:/ { rate = $2 }
		END { if (requests == 0 || errors * 1000 > requests) exit 1; print rate }'
}

plane_ping() { # party
	local p50 p99
	read -r p50 p99 < <(within "$1" timeout $PATIENCE "$traffic" ping "$HOST4" $ECHO_PORT $PINGS </dev/null) ||
		return 1
	echo "$p99" >>"$dir/plane/p99.$1"
	echo "$p50"
}

plane_datagrams() { # party
	within "$1" timeout $PATIENCE "$traffic" datagrams "$HOST4" $ECHO_PORT $DATAGRAM_BYTES </dev/null
}

measure_plane() {
	local party port
	for party in raw slirp pasta podd; do
		port=$IPERF_PORT
		[ $party != podd ] || port=$IPERF_PODD_PORT
		take out-1 "$party" plane_iperf "cpu.$party" "$party" "$HOST4" $port -P 1
		take out-8 "$party" plane_iperf "cpu-8.$party" "$party" "$HOST4" $port -P 8
		take in-1 "$party" plane_iperf "cpu-in.$party" "$party" "$HOST4" $port -R -P 1
		take in-8 "$party" plane_iperf "cpu-in-8.$party" "$party" "$HOST4" $port -R -P 8
		take http "$party" plane_http "$party" "$HOST4" $HTTP_PORT
		take p50 "$party" plane_ping "$party"
		take datagrams "$party" plane_datagrams "$party"
	done
	take out-1 bridged plane_iperf cpu.bridged bridged "$HOST4" $IPERF_PODD_PORT -P 1
	take in-1 bridged plane_iperf cpu-in.bridged bridged "$HOST4" $IPERF_PODD_PORT -R -P 1
	for party in rootlesskit pasta "${published[@]}"; do
		take published-in "$party" plane_iperf cpu-published raw "$HOST4" "${OUTER_IPERF[$party]}" -P 1
		take published-out "$party" plane_iperf cpu-published raw "$HOST4" "${OUTER_IPERF[$party]}" -R -P 1
	done
	take published-in spliced plane_iperf cpu-published raw 127.0.0.1 "${OUTER_IPERF[pasta]}" -P 1
	take published-out spliced plane_iperf cpu-published raw 127.0.0.1 "${OUTER_IPERF[pasta]}" -R -P 1
	for party in rootlesskit slirp pasta "${published[@]}"; do
		take published-http "$party" plane_http raw "$HOST4" "${OUTER_HTTP[$party]}"
	done
}

# Opens idle connections from the party and prints the sum of its processes' memory in kB while
# they are there; what the tool said goes to $dir/plane/held.
idle_flows() { # party connections
	local said end
	mkfifo "$dir/plane/said" "$dir/plane/hold"
	within "$1" "$traffic" hold "$HOST4" $ECHO_PORT "$2" 20 <"$dir/plane/hold" >"$dir/plane/said" 2>>"$log" &
	exec {end}>"$dir/plane/hold"
	read -r said <"$dir/plane/said" || said="failed"
	echo "$said" >"$dir/plane/held"
	calc "$(pss "${pids[$1]}") * 1024"
	exec {end}>&-
	wait $! || true
	rm "$dir/plane/said" "$dir/plane/hold"
}

# ---- the table ----

# figure party: the median with two places; "failed" where one of the runs did; or nothing
middle() {
	if [ -e "$dir/plane/$1.$2.failed" ]; then
		echo failed
	elif [ -s "$dir/plane/$1.$2" ]; then
		calc "$(median <"$dir/plane/$1.$2")"
	fi
}

declare -rA PARTY_NAMES=([raw]="host loopback" [slirp]=slirp4netns [pasta]=pasta
	[rootlesskit]="RootlessKit builtin" [spliced]="pasta, from 127.0.0.1"
	[podd]="podd, pod's own" [bridged]="podd, bridged")

# compare TEXT FIGURE PARTY at-least|at-most PEER:FACTOR...: a row of the figure against each peer.
# A factor of 0 sets no target.
compare() {
	local text=$1 figure=$2 party=$3 how=$4 value peer factor theirs target
	shift 4
	value=$(middle "$figure" "$party")
	for peer in "$@"; do
		factor=${peer#*:}
		peer=${peer%:*}
		theirs=$(middle "$figure" "$peer")
		[ "$how" = at-least ] && target=">=" || target="<="
		case $factor in
		0) target="" ;;
		1) target+=" peer" ;;
		*) target+=" $factor times" ;;
		esac
		if [ "$value" = failed ]; then
			row "$text" failed "${PARTY_NAMES[$peer]}: $theirs" "$target" "${target:+**missed**}"
		elif [ -z "$value" ] || [ -z "$theirs" ] || [ "$theirs" = failed ]; then
			row "$text" "${value:-not available}" "${PARTY_NAMES[$peer]}: ${theirs:-not available}" \
				"$target" "not measured"
		else
			row "$text" "$value" \
				"${PARTY_NAMES[$peer]}: $theirs ($(ratio "$value" "$theirs") times)" "$target" \
				"${target:+$(verdict "$value" "$how" "$(calc "$theirs * $factor")")}"
		fi
		text="the same"
	done
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "?"; else printf "%.2f\n", a / b }'; }

print_plane() {
	local streams figure party
	for streams in 1 8; do
		compare "TCP out, $streams stream(s), Gbit/s" out-$streams podd at-least slirp:3.5 pasta:4 raw:0.6
		compare "TCP in, $streams stream(s), Gbit/s" in-$streams podd at-least slirp:2.5 pasta:2.5 raw:0.6
	done
	compare "TCP out of a bridged container, Gbit/s" out-1 bridged at-least podd:0.8
	compare "TCP into a bridged container, Gbit/s" in-1 bridged at-least podd:0.8
	for figure in in out; do
		for party in podd bridged; do
			compare "published TCP $figure, ${PARTY_NAMES[$party]#podd, }, Gbit/s" published-$figure \
				$party at-least rootlesskit:1.25 pasta:1.5 spliced:0
		done
	done
	compare "short HTTP requests out, each a connection, 1/s" http podd at-least slirp:1.5 pasta:1
	for party in podd bridged; do
		compare "the same, published, ${PARTY_NAMES[$party]#podd, }" published-http $party at-least \
			slirp:1.5 pasta:1 rootlesskit:1
	done
	compare "one byte there and back, p50, us" p50 podd at-most pasta:1 slirp:1
	compare "one byte there and back, p99, us" p99 podd at-most pasta:1 slirp:1
	compare "UDP out without loss, $DATAGRAM_BYTES-byte datagrams, Mbit/s" datagrams podd at-least \
		slirp:1 pasta:1
	compare "CPU seconds per GB, TCP out, all processes" cpu podd at-most slirp:0.5 pasta:1
	compare "CPU seconds per GB, TCP in, all processes" cpu-in podd at-most slirp:0.5 pasta:1
}

print_flows() {
	local party before many said reached
	declare -A at_thousand=()
	for party in podd slirp pasta; do
		at_thousand[$party]=$(calc "$(idle_flows $party 1000) / 1024")
		[[ $(<"$dir/plane/held") == "1000 of 1000,"* ]] || at_thousand[$party]+=" (failed)"
	done
	reached=$(verdict "${at_thousand[podd]%% *}" at-most 8)
	[[ ${at_thousand[podd]} != *failed* ]] || reached="**missed**"
	row "PSS of podd-uplink with 1000 idle connections, MB" "${at_thousand[podd]}" \
		"slirp4netns: ${at_thousand[slirp]}, pasta: ${at_thousand[pasta]}" "<= 8" "$reached"
	before=$(calc "$(pss "${pids[podd]}") * 1024")
	many=$(idle_flows podd 10000)
	said=$(<"$dir/plane/held")
	reached="**missed**"
	[[ $said != "10000 of 10000,"* ]] || reached=reached
	row "10000 connections at once" "$said" "" "no failure" "$reached"
	row "memory of podd-uplink for each of them, kB" "$(calc "($many - $before) / ${said%% *}")" "" "" ""
}

figure_data_plane() {
	local party published traffic=$build/bench/traffic
	progress "data plane"
	mkdir "$dir/plane"
	plane_begin
	for _ in $(seq "$PLANE_RUNS"); do
		measure_plane
	done
	row "the pod's way out for TCP" \
		"$(podctl inspect plane | jq -r '.[0].uplink | [.path // "libslirp", .queue, .reason] |
			map(select(. != null)) | join(", ")')" "" "" ""
	print_plane
	print_flows
	plane_end
}
