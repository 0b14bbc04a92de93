# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the integration tests share. They run inside the namespaces that tests/isolate makes, so
# "the host" here is that isolated host. Nothing sleeps: what takes time is waited for by the
# event that ends it (a fifo that opens, a process that exits, an entry that disappears).

bats_require_minimum_version 1.5.0

TOOL=$BATS_TEST_DIRNAME/tool
SCHEMAS=$PODD_STAGE/share/podd/schemas
HOOK=$PODD_STAGE/libexec/podd/podd-hook
FAKE=$PODD_BUILD/tests/fake
HOST4=192.0.2.1
HOST6=2001:db8::1
export PODD_ROOT=${PODD_ROOT:-$XDG_RUNTIME_DIR/podd}

rootless() { [ "$PODD_TEST_MODE" != root ]; }

# Every command closes bats' own descriptor, so that no daemon keeps a finished test waiting.
podctl() { "$PODD_STAGE/bin/podctl" "$@" 3>&-; }
runc() { command runc "$@" 3>&-; }
crun() { command crun "$@" 3>&-; }

# The runtime called $1, with the options that it needs here.
runtime() {
	local name=$1
	shift
	"$name" "$@"
}

# Requests of tests/isolate's helper with root's rights.
admin() {
	local answer
	echo "$*" >"$PODD_TEST_ADMIN/request"
	read -r answer <"$PODD_TEST_ADMIN/reply"
	[ -z "$answer" ] || { echo "admin $*: $answer" && return 1; }
}

# ---- assertions ----

fail() {
	echo "$*" >&2
	return 1
}

# check STATUS PATTERN COMMAND...: it exits with that ("2|125": one of them), and its output
# matches the pattern.
check() {
	local expected=$1 pattern=$2
	shift 2
	# bats wants it said that a 127 is meant.
	if [ "$expected" = 127 ]; then run -127 "$@"; else run "$@"; fi
	[[ $status =~ ^($expected)$ ]] || fail "exit status $status, not $expected: $* -> $output"
	[[ $output =~ $pattern ]] || fail "no match for '$pattern': $* -> $output"
}

equal() {
	[ "$1" = "$2" ] || fail "'$1' is not '$2'${3:+ ($3)}"
}

matches() {
	[[ $1 =~ $2 ]] || fail "'$1' does not match '$2'"
}

json() { # file-or-"-" filter [option]
	if [ "$1" = - ]; then jq -er "${@:3}" "$2"; else jq -er "${@:3}" "$2" "$1"; fi
}

valid() { # schema file...
	local schema=$1
	shift
	"$TOOL" validate "$SCHEMAS/$schema.schema.json" "$@"
}

# end_process SIGNAL PID...: signals and waits for their ends, by pidfd.
end_process() {
	local signal=$1 pid file
	shift
	file=$(mktemp)
	kill "-$signal" "$@"
	for pid in "$@"; do
		echo "$pid" >"$file"
		timeout 5 pidwait -F "$file" || true
	done
	rm "$file"
}

# ---- pods ----

pod_dir() { printf '%s/%s' "$PODD_ROOT" "${1//\///children/}"; }

pod_process() { json "$(pod_dir "$1")/state.json" ".$2.pid"; } # pod podd|outer|uplink

attachment() { printf '%s/children/%s/attachment.json' "$(pod_dir "$1")" "$2"; } # pod child

child_ip() { # pod child [network index]
	json "$(attachment "$1" "$2")" ".networks[${3:-0}].addresses[0]" | cut -d/ -f1
}

inside() { # pod command...
	local pod=$1
	shift
	podctl enter "$pod" -- "$@"
}

# A page, asked for from inside a pod with tools that the host has for sure.
fetch() { # pod address [port]
	inside "$1" timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf "GET / HTTP/1.0\r\n\r\n" >&3 &&
		cat <&3' "$2" "${3:-80}"
}

# After a failed test: ends what the test left, so that the next one starts clean. Return: 1
# after a test that passed, whose leftovers are to be found by the comparison.
rescue() {
	local engine id pid child
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 1
	for pid in $(pgrep -f "$BATS_TEST_TMPDIR|podd-shim .*$PODD_ROOT"); do
		kill -9 "$pid" 2>/dev/null || true
	done
	for engine in runc crun; do
		for id in $($engine list -q); do
			$engine delete -f "$id" || true
		done
	done
	for child in "$PODD_ROOT"/*/children/*; do
		[ -e "$child/container.json" ] || rm -rf "$child"
	done
}

# bats runs teardown() without errexit: only its last command decides. So what is found in between is
# kept for the comparison, which is that.
found_in_teardown=

# Ends pods whatever state they are in, and finds what sanitizers reported.
clean_pods() {
	local log reports=0
	for log in "$PODD_ROOT"/*/podd.log "$PODD_ROOT"/*/children/*/podd.log; do
		[ -e "$log" ] || continue
		if grep -aE -A30 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$log"; then
			reports=1
			found_in_teardown+=" sanitizers reported something;"
		fi
	done
	podctl rm -f -a >/dev/null || found_in_teardown+=" podctl rm -f -a failed;"
	return $reports
}

# ---- before and after ----

processes() {
	local all
	# Nothing else of the test's runs while ps does, but bats' own clock.
	all=$(ps -e -o pid=,stat=,args=)
	awk -v clock="sleep ${BATS_TEST_TIMEOUT:-}" '
		$2 !~ /^Z/ && !/bats/ && $3 != "ps" && $3 !~ /^\[(bash|sleep)\]$/ {
			pid = $1
			$1 = $2 = ""
			if (substr($0, 3) != clock) print pid $0
		}' <<<"$all" | sort
}

# What there is on the host; each kind a file in the directory.
snapshot() { # directory
	mkdir -p "$1"
	processes >"$1/processes"
	awk '{ print $5, $9 == "-" ? $10 : $9 }' /proc/self/mountinfo | sort >"$1/mounts"
	lsns -n -t net -o NS | sort >"$1/netns"
	lsns -n -t user -o NS | sort >"$1/userns"
	ip -o link | cut -d: -f2 | sort >"$1/links"
	find "$PODD_ROOT" "$XDG_RUNTIME_DIR" /run/user /run/netns /tmp -xdev ! -path '/tmp/bats*' \
		! -path '*/libpod*' ! -path '/run/user/*/crun' 2>/dev/null | sort -u >"$1/files"
	# Where tests/isolate could make no cgroup, others' come and go.
	[ ! -d /sys/fs/cgroup/tests ] || find /sys/fs/cgroup -mindepth 1 -type d | sort >"$1/cgroups"
	if [ "$(id -u)" = 0 ]; then
		nft --stateless list ruleset >"$1/rules"
	fi
}

# Waits for processes that are ending, by pidfd, and compares with a new snapshot.
compare() { # directory
	local pid more after=$1.after
	snapshot "$after"
	more=$(comm -13 "$1/processes" "$after/processes")
	while read -r pid _; do
		[ -n "$pid" ] || continue
		echo "$pid" >"$1.pid"
		timeout 3 pidwait -F "$1.pid" || true
	done <<<"$more"
	snapshot "$after"
	diff -r -U0 "$1" "$after" >&2 || fail "something was left behind" || return
	[ -z "$found_in_teardown" ] || fail "teardown:$found_in_teardown" || return
	rm -rf "$after" "$1.pid"
}

# The same inside a pod. What CNI plugins keep by design is not counted: host-local's note of
# the last address and its lock, and bridges; nor is how a container of the whole file last
# ended, and of leases and veths only how many there are: it gets others when it is restarted.
pod_snapshot() { # pod directory
	mkdir -p "$2"
	inside "$1" ip -json -details link |
		jq -r '.[] | select(.linkinfo.info_kind != "bridge") | .ifname' |
		sed 's/^veth.*/veth/' | sort >"$2/links"
	inside "$1" sh -c 'ls /run/netns' >"$2/netns"
	inside "$1" sh -c 'cut -d" " -f5 /proc/self/mountinfo | grep /run/netns/; true' |
		sort >"$2/mounts"
	inside "$1" nft --stateless list ruleset >"$2/rules"
	find "$(pod_dir "$1")/cni" -type f ! -name 'last_reserved_ip*' ! -name lock -printf '%h\n' |
		sort >"$2/leases"
	find "$(pod_dir "$1")/children" -mindepth 1 ! -name exit.json | sort >"$2/children"
}

pod_compare() { # pod directory
	pod_snapshot "$1" "$2.after"
	diff -r -U0 "$2" "$2.after" >&2 || fail "something was left in pod $1" || return
	rm -rf "$2.after"
}

# ---- bundles and containers ----

APPLETS=(cat cp date dd echo env false grep head hostname httpd id ifconfig ip kill ls mkdir mkfifo
	mount nc nslookup ping ps pwd rm route sed seq sh sleep sort stat stty tail test timeout touch tr
	true tty udhcpc umount wc wget yes)

# A root file system of busybox; made once a file.
make_rootfs() { # directory
	mkdir -p "$1"/{bin,etc,dev,proc,sys,tmp,io,www}
	cp /bin/busybox "$1/bin/busybox"
	(cd "$1/bin" && for applet in "${APPLETS[@]}"; do ln -s busybox "$applet"; done)
	touch "$1/etc/hosts" "$1/etc/resolv.conf"
	echo "root:x:0:0:root:/:/bin/sh" >"$1/etc/passwd"
	[ ! -e "$FAKE/stamp" ] || cp "$FAKE/stamp" "$1/bin/stamp"
}

# make_bundle DIR COMMAND...: a bundle whose program is COMMAND, with DIR/io shared as /io.
make_bundle() {
	local dir=$1 args
	shift
	mkdir -p "$dir/io"
	[ -p "$dir/io/up" ] || mkfifo "$dir/io/up" "$dir/io/end"
	args=$(jq -n --args '$ARGS.positional' -- "$@")
	jq --argjson args "$args" --arg rootfs "$BATS_FILE_TMPDIR/rootfs" --arg io "$dir/io" '
		.process.args = $args | .root = {path: $rootfs, readonly: true} |
		.mounts += [{destination: "/tmp", source: "tmpfs", type: "tmpfs", options: []},
			{destination: "/io", source: $io, type: "bind", options: ["bind"]}]
	' "$BATS_FILE_TMPDIR/config.json" >"$dir/config.json"
}

# What runc writes for a new bundle, without a terminal and rlimits, and able to ping.
make_config() { # file
	local dir
	dir=$(mktemp -d)
	command runc spec -b "$dir"
	jq '.process.terminal = false | del(.process.rlimits) | .hostname = "box" |
		.process.capabilities |= map_values(. + ["CAP_NET_RAW", "CAP_SYS_ADMIN"])
		| .process.capabilities.ambient = [] | del(.linux.resources)' \
		"$dir/config.json" >"$1"
	rm -r "$dir"
}

common_setup_file() {
	export PODD_ROOT=$XDG_RUNTIME_DIR/podd
	mkdir -p "$PODD_ROOT"
	chmod 0700 "$PODD_ROOT"
	make_rootfs "$BATS_FILE_TMPDIR/rootfs"
	make_config "$BATS_FILE_TMPDIR/config.json"
}

# The program of a server: says on /io/up that it listens, and ends when /io/end is opened.
SERVER='echo "I am $(hostname)" >/tmp/index.html; httpd -p 80 -h /tmp; echo up >/io/up
	read -r x </io/end'
# One that only waits.
WAITER='echo up >/io/up; read -r x </io/end'

# start_child RUNTIME POD NAME DIR: runs the bundle, which podctl bundle has prepared, detached,
# and returns when its program has opened /io/up.
start_child() {
	local id=${2//\//.}.$3
	runtime "$1" run -d --bundle "$4" "$id" </dev/null >"$4/output" 2>&1 || {
		cat "$4/output"
		return 1
	}
	timeout 10 cat "$4/io/up" >/dev/null || { cat "$4/output" && fail "$id did not come up"; }
}

# Lets the program end, waits for it, and deletes the container.
end_child() { # runtime pod name dir
	local id=${2//\//.}.$3 pid
	pid=$(runtime "$1" state "$id" | json - .pid)
	echo "$pid" >"$4/pid"
	echo end >"$4/io/end"
	timeout 10 pidwait -F "$4/pid" || true
	runtime "$1" delete "$id"
}

# serve RUNTIME POD NAME [bundle options]: a server as a child, in $BATS_TEST_TMPDIR/NAME.
serve() {
	local dir=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/$3 engine=$1 pod=$2 name=$3
	shift 3
	make_bundle "$dir" sh -c "$SERVER"
	podctl bundle --name "$name" --hostname "$name" "$@" "$pod" "$dir" >/dev/null
	start_child "$engine" "$pod" "$name" "$dir"
}

# run_child RUNTIME POD NAME SCRIPT [bundle options]: in the foreground; prints what it prints.
run_child() {
	local engine=$1 pod=$2 name=$3 script=$4 dir=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/$3
	shift 4
	make_bundle "$dir" sh -c "$script"
	podctl bundle --name "$name" "$@" "$pod" "$dir" >/dev/null
	runtime "$engine" run --bundle "$dir" "${pod//\//.}.$name" </dev/null
}

# A web server on the host, and where it answers. It is a child of the test.
start_web() { # address port
	mkdir -p "$BATS_FILE_TMPDIR/www"
	echo "the host's page" >"$BATS_FILE_TMPDIR/www/index.html"
	busybox httpd -p "$1:$2" -h "$BATS_FILE_TMPDIR/www" 3>&-
}

# stop_listener PORT: ends what listens there.
stop_listener() {
	local pid
	pid=$(ss -Hltunp "sport = :$1" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
	[ -z "$pid" ] || end_process TERM "$pid"
}

# ---- CNI configurations and plugins ----

# The caller's own configuration directory; pods that are created afterwards look there.
use_cni_config() {
	export XDG_CONFIG_HOME=$BATS_FILE_TMPDIR/config
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	mkdir -p "$CNI_CONFIG"
}

# conflist NAME PLUGIN_JSON...: writes NAME.conflist.
conflist() {
	local name=$1
	shift
	printf '%s\n' "$@" | jq -s --arg name "$name" \
		'{cniVersion: "1.0.0", name: $name, plugins: .}' >"$CNI_CONFIG/$name.conflist"
}

bridge_json() { # bridge subnet
	jq -n --arg bridge "$1" --arg subnet "$2" '{type: "bridge", bridge: $bridge, isGateway: true,
		ipam: {type: "host-local", ranges: [[{subnet: $subnet}]], routes: [{dst: "0.0.0.0/0"}]}}'
}

# A plugin directory with the fake plugin, before the real ones. Needs to be owned and closed.
use_fake_plugin() {
	mkdir "$BATS_FILE_TMPDIR/plugins"
	cp "$FAKE/cni-fake" "$BATS_FILE_TMPDIR/plugins/fake"
	export CNI_PATH=$BATS_FILE_TMPDIR/plugins:/usr/lib/cni
}

fake_json() { # mode [on] [extra json]
	jq -n --arg mode "$1" --arg on "${2:-}" --arg log "$BATS_TEST_TMPDIR/fake.log" \
		--argjson more "${3:-{\}}" '{type: "fake", mode: $mode, log: $log} +
		(if $on == "" then {} else {on: $on} end) + $more'
}

# True for a process that is gone, or that only waits for its parent to look.
has_ended() { # pid
	local state
	state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
	[[ -z $state || $state == [ZX] ]]
}

# ---- containers that podctl makes ----

# box VERB NAME [OPTIONS...] -- COMMAND...: podctl run or create of net0/NAME from the file's root
# file system, with $RUNTIME where a test sets it.
box() {
	local verb=$1 name=$2
	shift 2
	podctl "$verb" --name "net0/$name" --rootfs "$BATS_FILE_TMPDIR/rootfs" \
		${RUNTIME:+--runtime "$RUNTIME"} "$@"
}

child_dir() { printf '%s/children/%s' "$(pod_dir "${1%/*}")" "${1##*/}"; } # path

ctr_state() { json "$(child_dir "$1")/state.json" "$2"; } # path filter

init_pid() { ctr_state "$1" .init.pid; }
shim_pid() { ctr_state "$1" .shim.pid; }

# Waits until the file's text matches the (python) regular expression.
await_file() { # file regex
	"$TOOL" wait-file "$1" 20 "$2" || fail "$1: $(cat "$1")"
}

# Waits until a record of the container, or of the pod, says so.
await_state() { # path member value
	local dir
	dir=$(child_dir "$1")
	[[ $1 == */* ]] || dir=$(pod_dir "$1")
	await_file "$dir/state.json" "^ *\"$2\": \"$3\""
}

# Waits until the container's log has a line that matches.
await_log() { # path regex
	timeout 10 podctl logs -f "$1" | grep -qm1 -E "$2" || fail "no '$2' in the log of $1"
}
