#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pods in pods: three deep, what they reach, who reaches them, and how they end.

load helpers
load data-plane

DEEP_PORT=7100 SHARED_PORT=7200 BRIDGED_PORT=7300
DEEP=net0/web/db

setup_file() {
	common_setup_file
	cp "$NETSAY" "$BATS_FILE_TMPDIR/rootfs/bin/netsay"
	snapshot "$BATS_FILE_TMPDIR/before"
	start_server
	podctl create net0
	podctl create net0/web
	podctl create -p $DEEP_PORT-$((DEEP_PORT + 3)):7000-7003 -p $DEEP_PORT:7000/udp $DEEP
	podctl create net0/other
	podctl start $DEEP net0/other
	deep_box own -- netsay serve :: 7000 /tmp
	deep_box shared -p $SHARED_PORT-$((SHARED_PORT + 3)):6000-6003 -p $SHARED_PORT:6000/udp \
		-- netsay serve :: 6000 /tmp
	deep_box bridged --network podd -p $BRIDGED_PORT-$((BRIDGED_PORT + 3)):7000-7003 \
		-p $BRIDGED_PORT:7000/udp -- netsay serve :: 7000 /tmp
	podctl run -d --stop-signal KILL --name net0/other/client --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp sleep 1000
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/server" ] || stop_server
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

# deep_box NAME [OPTION...] -- COMMAND...: a container that says "ready", in the deepest pod.
deep_box() {
	local name=$1
	shift
	podctl run -d --stop-signal KILL --name "$DEEP/$name" --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp "$@"
	await_log "$DEEP/$name" ready
}

who() { "$NETSAY" who "$@"; }
whose() { "$NETSAY" whose "$@"; }

in_deep_pod() { inside $DEEP "$@"; }
in_deep_box() { podctl exec $DEEP/bridged netsay "${@:2}"; }

address_of() { json "$(pod_dir "$1")/attachment.json" '.networks[0].addresses[0]' | cut -d/ -f1; }

userns_of() { readlink "/proc/$(pod_process "$1" outer)/ns/user"; }

@test "a pod in a pod is made in the namespaces of that, and has its ids" {
	[ "$(userns_of net0/web)" != "$(userns_of net0)" ]
	# The pod around is lord of it, and the other way round it is not.
	inside net0 nsenter -t "$(pod_process net0/web outer)" -U true
	check 1 'ermi' inside net0/web nsenter -t "$(pod_process net0 outer)" -U true
	equal "$(inside $DEEP cat /proc/self/uid_map | awk '{ n += $3 } END { print n }')" \
		"$(inside net0 cat /proc/self/uid_map | awk '{ n += $3 } END { print n }')"
	check 0 'cni:podd' podctl ps
	valid podctl-ps <(podctl ps --format json)
	valid pod "$(pod_dir $DEEP)/pod.json"
	valid state "$(pod_dir $DEEP)/state.json"
	valid attachment "$(pod_dir $DEEP)/attachment.json"
}

@test "podctl ps --tree draws the hierarchy" {
	check 0 '├── other .*└── web .*    └── db .*        ├── bridged' podctl ps --tree
}

@test "containers of one pod share localhost; others are reached by address and name" {
	podctl exec $DEEP/own netsay who 127.0.0.1 6000
	check 1 ECONNREFUSED podctl exec net0/other/client netsay who "$(address_of net0/web)" 7000
	podctl run -d --stop-signal KILL --name net0/web/server --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp \
		netsay serve :: 7000 /tmp
	await_log net0/web/server ready
	equal "$(podctl exec net0/other/client netsay who "$(address_of net0/web)" 7000)" \
		"$(address_of net0/other)"
	# From below by the address of the level above.
	equal "$(in_deep_box netsay who "$(address_of net0/web)" 7000)" "$(address_of $DEEP)"
	grep -q "^$(address_of net0/web)[[:space:]]web\$" "$(pod_dir net0)/etc/hosts"
	podctl rm -f -t 0 net0/web/server
}

@test "what leaves the deepest pod goes by the uplink at the top, as on the host" {
	need_fast_path
	same_as_host in_deep_pod "$HOST4" tcp
	same_as_host in_deep_box "$HOST6" tcp
	same_as_host in_deep_pod "$HOST4" datagram-sizes
	equal "$(podctl flows --format json net0 | jq '[.[] | select(.via == "libslirp" and .protocol == "tcp")] | length')" 0
}

@test "ports of the deepest pod are published by the uplink at the top, with the client's address" {
	local port
	for port in $DEEP_PORT $SHARED_PORT $BRIDGED_PORT; do
		equal "$(who "$HOST4" "$port")" "$HOST4" "port $port"
		equal "$(who "$HOST4" "$port" 192.0.2.53)" 192.0.2.53 "port $port"
		equal "$(who "$HOST6" "$port")" "$HOST6" "port $port"
		equal "$(who 127.0.0.1 "$port")" 10.89.0.1 "port $port"
	done
	THERE_PORT=$BRIDGED_PORT same_as_host on_host "$HOST4" tcp
	# There is one uplink, and it has carried them.
	equal "$(pgrep -xc podd-uplink)" 1
	equal "$(podctl port list --format json $DEEP | json - 'all(.[]; .sourceKept)')" true
}

@test "datagrams to the deepest pod go there and back, with the client's own address" {
	local port
	for port in $DEEP_PORT $SHARED_PORT $BRIDGED_PORT; do
		equal "$(whose "$HOST4" "$port")" "$HOST4" "port $port"
		equal "$(whose "$HOST6" "$port")" "$HOST6" "port $port"
		HOST_ADDRESS=$HOST4 THERE_PORT=$port same_as_host on_host "$HOST4" datagram-sizes datagram-burst
	done
}

@test "ports are added and removed while it runs" {
	podctl port add $DEEP/bridged 7400:7000
	equal "$(who "$HOST4" 7400)" "$HOST4"
	check 125 'in use' podctl port add net0 7400:7000
	podctl port rm $DEEP/bridged 7400:7000
	check 1 ECONNREFUSED who "$HOST4" 7400
}

@test "rules for a pod in a pod hold for all that is in it" {
	podctl egress add net0/web deny to "$HOST4" proto tcp
	check 0 'net0/web .*deny' podctl egress list net0/web
	check 1 'E[A-Z]+' in_deep_box netsay who "$HOST4" "$PORT"
	who "$HOST4" "$PORT"
	podctl egress rm net0/web --all
	in_deep_box netsay who "$HOST4" "$PORT"
	check 125 'podctl egress add net0/web/db' podctl egress add $DEEP/bridged deny
	check 125 'podctl egress add net0/web ' podctl egress add $DEEP deny
}

# The ways into the deepest pod, and out of it.
deep_pod_works() {
	equal "$(who "$HOST4" $BRIDGED_PORT)" "$HOST4"
	in_deep_box netsay who "$HOST4" "$PORT"
	equal "$(in_deep_box netsay who "$(address_of net0/web)" 7000)" "$(address_of $DEEP)"
}

@test "podctl doctor --fix leaves the networks of pods in pods alone" {
	local stale
	podctl run -d --stop-signal KILL --name net0/web/server --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp \
		netsay serve :: 7000 /tmp
	await_log net0/web/server ready
	check 0 '^$' podctl doctor --plugins
	# What nobody has is collected by the plugins, and that only.
	for pod in net0 net0/web; do
		stale=$(pod_dir $pod)/cni/networks/podd/10.200.0.1
		printf 'nobody\r\neth0' >"$stale"
		check 0 "$pod: lease: .*nobody.*; fixed" podctl doctor --fix
		[ ! -e "$stale" ]
		deep_pod_works
	done
	check 0 '^$' podctl doctor --fix
	deep_pod_works
	podctl rm -f -t 0 net0/web/server
}

@test "no event says that a pod in a pod was detached when its parent's supervisor is replaced" {
	end_process KILL "$(pod_process net0 podd)"
	podctl start net0
	check 0 '^$' bash -c "podctl events --since 1h --stream=false --format json net0 2>/dev/null |
		jq -c 'select(.type == \"detached\" and (.child == \"web\" or .child == \"other\"))'"
}

@test "the uplink at the top killed: the deepest pod's ports work again" {
	local uplink
	uplink=$(pod_process net0 uplink)
	end_process KILL "$uplink"
	uplink_replaced net0 "$uplink"
	check 0 answered "$NETSAY" try "$HOST4" $DEEP_PORT 20
	check 0 answered "$NETSAY" try "$HOST6" $BRIDGED_PORT 20
	equal "$(whose "$HOST4" $SHARED_PORT)" "$HOST4"
}

@test "any podd killed: connections go on, and another one takes over" {
	local pod
	start_keep on_host "$HOST4" $DEEP_PORT
	for pod in $DEEP net0/web net0; do
		end_process KILL "$(pod_process "$pod" podd)"
		ask_keep alive
		equal "$(who "$HOST4" $BRIDGED_PORT)" "$HOST4"
		podctl start "$pod"
		ask_keep alive
		equal "$(who "$HOST4" $BRIDGED_PORT)" "$HOST4"
	done
	stop_keep
	podctl port add $DEEP/bridged 7400:7000
	equal "$(who "$HOST4" 7400)" "$HOST4"
	podctl port rm $DEEP/bridged 7400:7000
}

@test "supervisors and the uplink killed: with the next start the ports are back" {
	local pod
	for pod in $DEEP net0/web net0; do
		end_process KILL "$(pod_process "$pod" podd)"
	done
	end_process KILL "$(pod_process net0 uplink)"
	podctl start net0 net0/web $DEEP
	check 0 answered "$NETSAY" try "$HOST4" $DEEP_PORT 20
	check 0 answered "$NETSAY" try "$HOST6" $BRIDGED_PORT 20
	equal "$(whose "$HOST4" $SHARED_PORT)" "$HOST4"
	check 0 "$DEEP .*$DEEP_PORT.* pod" podctl port list $DEEP
}

@test "the root of a pod, and of one in it, has no say over supervisors" {
	local pod podctl
	podctl=$(command -v podctl)
	for pod in net0 net0/web; do
		within() { inside "$pod" "$podctl" --root "$PODD_ROOT" "$@"; }
		check 125 PermissionDenied within egress add net0 deny
		check 125 PermissionDenied within port add net0 7600:80
		check 125 PermissionDenied within stop net0/other
		check 0 "$DEEP .*$DEEP_PORT" within port list $DEEP
	done
	check 0 'net0/other .*running' podctl ps
	equal "$(podctl egress list --format json net0 | json - length)" 0
}

# ---- pods of their own ----

# Every test is for itself: what a failed one left does not hinder the next.
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || podctl rm -f -t 0 a net0/bad net0/next net0/none net0/rules top || true
}

# Pods a and a/b and a/b/c that run, with a container in the last one.
start_chain() {
	podctl create a
	podctl create a/b
	podctl create -p 7500:7000 a/b/c
	podctl start a/b/c
	podctl run -d --stop-signal KILL --name a/b/c/box --rootfs "$BATS_FILE_TMPDIR/rootfs" --tmpfs /tmp --network podd \
		netsay serve :: 7000 /tmp
	await_log a/b/c/box ready
}

end_chain() {
	podctl rm -f -t 0 a
	[ ! -e "$(pod_dir a)" ]
	[ -z "$(ss -Hltn "sport = :7500")" ] || fail "the port is still taken"
}

@test "a start starts the pods around it, a stop ends those inside first" {
	start_chain
	podctl stop -t 0 a
	for pod in a a/b a/b/c; do
		check 0 "$pod .*stopped" podctl ps -a
	done
	podctl start a/b/c
	check 0 'a .*running' podctl ps
	end_chain
}

@test "bundles of plain crun and runc run in the deepest pod" {
	for engine in crun runc; do
		check 0 '^[0-9.]+$' run_child $engine $DEEP plain "netsay who $HOST4 $PORT"
	done
	[ ! -e "$(pod_dir $DEEP)/children/plain" ]
}

@test "a pod with pods in it is not removed without -f" {
	start_chain
	podctl stop -t 0 a
	check 125 'a/b' podctl rm a
	check 0 'a/b/c' podctl ps -a
	end_chain
}

@test "SIGTERM to the outermost podd stops all of them" {
	start_chain
	end_process TERM "$(pod_process a podd)"
	for pod in a a/b a/b/c; do
		equal "$(json "$(pod_dir $pod)/state.json" .phase)" stopped
	done
	equal "$(find "$(pod_dir a/b)/cni" -name '10.*')" ""
	end_chain
}

@test "the outermost outer container killed: the others end with it, and can be started again" {
	local podds
	start_chain
	podds=$(for pod in a a/b a/b/c; do pod_process $pod podd; done)
	end_process KILL "$(pod_process a outer)"
	for podd in $podds; do
		echo "$podd" >"$BATS_TEST_TMPDIR/pid"
		timeout 10 pidwait -F "$BATS_TEST_TMPDIR/pid" || true
	done
	check 0 'a/b/c .*failed' podctl ps -a
	podctl start a/b/c
	check 0 'a/b/c .*running' podctl ps
	end_chain
}

@test "pods with dead podds are stopped and removed all the same" {
	start_chain
	end_process KILL "$(pod_process a/b podd)" "$(pod_process a/b/c podd)"
	podctl stop -t 0 a
	check 0 'a/b/c .*(stopped|failed)' podctl ps -a
	end_chain
}

@test "what cannot be is refused before anything is made" {
	check 2 'around it|another pod' podctl create --net slirp net0/bad
	check 2 'around it|another pod' podctl create --net host net0/bad
	check 2 'ids' podctl create --uidmap 0:0:1 net0/bad
	check 2 'egress' podctl create --egress 'deny' net0/bad
	check 2 'cni:' podctl create --uplink tap net0/bad
	check 125 'no pod' podctl create nosuch/bad
	check 125 'nest at most 8|8' podctl create a/b/c/d/e/f/g/h/i
	[ ! -e "$(pod_dir net0/bad)" ]
	podctl create --uplink cni:nosuch net0/bad
	check 125 'there is no network "nosuch"' podctl start net0/bad
	check 0 'net0/bad .*failed' podctl ps -a
	podctl rm net0/bad
}

@test "without a way out a pod in a pod has its loopback only" {
	podctl create --net none net0/none
	podctl start net0/none
	equal "$(inside net0/none ip -br link | awk '{ print $1 }')" lo
	podctl rm -f -t 0 net0/none
}

@test "what was set for a removed pod in a pod does not hold for the next one of that name" {
	podctl create net0/next
	podctl start net0/next
	podctl egress add net0/next deny to "$HOST4" proto tcp
	podctl rm -f -t 0 net0/next
	podctl create net0/next
	podctl start net0/next
	check 0 '^[^d]*$' podctl egress list net0/next
	inside net0/next "$NETSAY" who "$HOST4" "$PORT"
	podctl rm -f -t 0 net0/next
}

@test "podctl doctor finds that what leaves a pod in a pod is not masqueraded" {
	podctl create net0/rules
	podctl start net0/rules
	check 0 '^$' podctl doctor net0/rules
	inside net0/rules nft delete chain inet podd leave
	check 1 "net0/rules: rules: .*leave" podctl doctor net0/rules
	check 0 'fixed' podctl doctor --fix net0/rules
	check 0 '^$' podctl doctor net0/rules
	podctl rm -f -t 0 net0/rules
}

@test "a network of the host, for root" {
	if rootless; then
		check 2 'only root' podctl create --uplink cni:podd top
		return
	fi
	# What plugins keep by design: the bridge, and a table.
	podctl create --uplink cni:podd -p 7600:7000 top
	podctl start top
	inside top "$NETSAY" who "$HOST4" "$PORT"
	check 0 'top .*10\.87\.' podctl ps
	valid attachment "$(pod_dir top)/attachment.json"
	inside top ip route get "$HOST4" >/dev/null
	podctl create top/in
	podctl start top/in
	inside top/in "$NETSAY" who "$HOST4" "$PORT"
	podctl rm -f -t 0 top
	[ -z "$(find /var/lib/cni/networks /var/lib/cni/results /run/netns -name '*top*' -o -name '10.*')" ]
	ip link delete podd0
	nft delete table ip nat
	nft delete table ip6 nat
	rm -r "$PODD_ROOT/.host" /run/netns
}
