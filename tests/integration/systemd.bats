#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Pods in units of systemd. Runs in the modes root-systemd and user-systemd of tests/isolate: as a
# service of the system's manager, so that no test is in a cgroup that its pods could be in. As root
# the pods are the system manager's, else those of the user's own manager.

load helpers

setup_file() {
	common_setup_file
	rootless || export PODD_ROOT=/run/podd
	install -d -m 0700 "$PODD_ROOT"
	UNITS=$HOME/.config/systemd/user
	rootless || UNITS=/etc/systemd/system
	export UNITS
	mkdir -p "$UNITS"
	cp "$PODD_STAGE"/lib/systemd/user/podd* "$UNITS"
	manager daemon-reload
	# What is started with the first call that needs it.
	manager show-environment >/dev/null
	! rootless || manager start dbus.service
}

teardown_file() {
	rm -rf "$UNITS"/podd*
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create -p 8080:7 -p 7 net0
}

teardown() {
	! mountpoint -q "$PODD_STAGE/libexec/podd/podd" || admin unbind "$PODD_STAGE/libexec/podd/podd"
	manager stop 'podd@*.socket' 'podd@*.service' 2>/dev/null || true
	clean_pods
	rm -rf "$UNITS"/podd@?*.d
	manager reset-failed 2>/dev/null || true
	if journal -o cat | grep -aE -A30 'ERROR: (Address|Leak)Sanitizer|runtime error:'; then
		found_in_teardown+=" sanitizers reported something;"
	fi
	if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		manager status --no-pager 'podd@*'
		rm -rf "$UNITS"/*/podd@*
		manager daemon-reload
	elif [ -n "$(find /sys/fs/cgroup -path '*/podd@*')" ]; then
		found_in_teardown+=" there is a unit's cgroup;"
	elif [ -n "$(find "$UNITS" -name 'podd@?*.service' -o -name 'podd@?*.socket')" ]; then
		found_in_teardown+=" a unit is still enabled;"
	fi
	compare "$BATS_TEST_TMPDIR/before"
}

# ---- what they share ----

# Ends when it is asked to, which the first process of a pid namespace does not by itself.
SLEEPER="trap exit TERM; sleep 1000 & wait"

manager() {
	if rootless; then systemctl --user "$@" 3>&-; else systemctl "$@" 3>&-; fi
}

journal() {
	if rootless; then journalctl -q --user "$@" 3>&-; else journalctl -q "$@" 3>&-; fi
}

property() { manager show -P "$2" "podd@$1.service"; } # instance property

active() { # instance: what the manager says
	manager is-active "podd@$1.service" || true
}

cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; } # pid

# Waits until another process has the part in the pod: podd, outer or uplink.
await_other() { # pod part pid
	await_file "$(pod_dir "$1")/state.json" "\"$2\": \\{\\s*\"pid\": (?!$3,)[0-9]"
}

# An echo service in the container, and one connection to it that stays open as fd 5.
start_echo() {
	box run echo -d nc -ll -p 7 -e cat
	inside net0 sh -c 'until [ -n "$(ss -Hltn "sport = :7")" ]; do :; done'
}
connect() { exec 5<>"/dev/tcp/$HOST4/${1:-8080}"; }
say() { # word: there and back
	local answer=
	echo "$1" >&5
	read -r -t 10 answer <&5
	equal "$answer" "$1"
}

dynamic_port() {
	podctl port list --format json net0 | jq '.[] | select(.spec != "8080:7") | .hostPort'
}

listeners() { ss -Hltne "sport = :$1" | grep -o 'ino:[0-9]*' | sort; } # port

# ---- units ----

@test "a unit starts its pod, is active once that serves, and leaves nothing when it is stopped" {
	manager start podd@net0.service
	equal "$(active net0)" active
	equal "$(json "$(pod_dir net0)/state.json" .phase)" running
	equal "$(property net0 MainPID)" "$(pod_process net0 podd)"
	equal "$(property net0 StatusText)" "Pod net0 runs"
	check 0 'uid=0' inside net0 id
	manager stop podd@net0.service
	equal "$(active net0)" inactive
	equal "$(property net0 Result)" success
	equal "$(json "$(pod_dir net0)/state.json" .phase)" stopped
}

@test "a pod's name may have anything that pods' names have" {
	podctl create a-b_c0
	manager start 'podd@a\x2db_c0.service'
	equal "$(property 'a\x2db_c0' MainPID)" "$(pod_process a-b_c0 podd)"
	check 0 '' podctl enable a-b_c0
	equal "$(manager is-enabled 'podd@a\x2db_c0.service')" enabled
	podctl rm -f a-b_c0
	equal "$(active 'a\x2db_c0')" inactive
}

@test "all of a pod is in its unit's cgroup, whoever starts it, and ends with the unit" {
	local group pid pids=()
	box create early sh -c "$SLEEPER"
	manager start podd@net0.service
	group=$(property net0 ControlGroup)
	# The unit has started the pod's containers before it is active.
	equal "$(ctr_state net0/early .phase)" running
	check 0 '^got it$' box run foreground -i sh -c 'read x; echo got $x' <<<it
	box run late -d sh -c "$SLEEPER"
	for pid in podd outer uplink; do
		equal "$(cgroup_of "$(pod_process net0 $pid)")" "$group/podd"
		pids+=("$(pod_process net0 $pid)")
	done
	for pid in early late; do
		equal "$(cgroup_of "$(shim_pid net0/$pid)")" "$group/podd"
		matches "$(cgroup_of "$(init_pid net0/$pid)")" "^$group/podd-net0\.$pid-[0-9a-f]+\$"
		pids+=("$(shim_pid net0/$pid)" "$(init_pid net0/$pid)")
	done
	valid container "$(child_dir net0/early)/container.json"
	equal "$(json "$(child_dir net0/early)/bundle/config.json" .linux.cgroupsPath)" \
		"$(json "$(child_dir net0/early)/container.json" .cgroup)"
	check 0 'sleep 1000' manager status --no-pager podd@net0.service
	check 0 'early.*running' podctl ps
	manager stop podd@net0.service
	for pid in "${pids[@]}"; do has_ended "$pid"; done
	[ ! -e "/sys/fs/cgroup$group" ]
	# Outside of a unit the same container is where its starter may have cgroups, or in none.
	podctl start net0/early
	equal "$(active net0)" inactive
	[[ $(cgroup_of "$(init_pid net0/early)") != *podd@net0* ]]
	podctl stop -t 0 net0
}

@test "nothing that podd starts has the manager's variables or sockets" {
	local pid
	manager start podd@net0.service
	box run a -d sh -c "env; echo done; $SLEEPER"
	await_log net0/a 'done'
	check 0 '' podctl logs net0/a
	[[ $output != *NOTIFY_SOCKET* && $output != *LISTEN_* && $output != *WATCHDOG* ]]
	for pid in "$(shim_pid net0/a)" $(rootless || { pod_process net0 outer; pod_process net0 uplink; }); do
		check 1 '' grep -cE 'NOTIFY_SOCKET|LISTEN_|WATCHDOG|INVOCATION_ID' "/proc/$pid/environ"
	done
}

# ---- podd's death ----

@test "a podd that hangs is replaced by the watchdog, and a connection goes on" {
	local podd outer
	mkdir "$UNITS/podd@net0.service.d"
	printf '[Service]\nWatchdogSec=2\n' >"$UNITS/podd@net0.service.d/test.conf"
	manager daemon-reload
	podctl enable --now net0
	start_echo
	connect
	say one
	podd=$(pod_process net0 podd)
	outer=$(pod_process net0 outer)
	kill -STOP "$podd"
	say two
	await_other net0 podd "$podd"
	say three
	equal "$(property net0 NRestarts)" 1
	equal "$(pod_process net0 outer)" "$outer"
	equal "$(property net0 MainPID)" "$(pod_process net0 podd)"
	exec 5>&-
	podctl kill -s KILL net0/echo
}

@test "podd and podd-uplink may be killed at once: the host's ports stay the same sockets" {
	local podd uplink port before
	manager start podd@net0.service
	start_echo
	port=$(dynamic_port)
	before=$(listeners 8080; listeners "$port")
	[ "$(wc -l <<<"$before")" -ge 4 ]
	equal "$(property net0 NFileDescriptorStore)" 4
	podd=$(pod_process net0 podd)
	uplink=$(pod_process net0 uplink)
	# It must not start another one first.
	kill -STOP "$podd"
	end_process KILL "$uplink"
	kill -KILL "$podd"
	# Nobody is refused meanwhile.
	connect "$port"
	await_other net0 podd "$podd"
	await_other net0 uplink "$uplink"
	say one
	equal "$(listeners 8080; listeners "$port")" "$before"
	equal "$(dynamic_port)" "$port"
	equal "$(property net0 NFileDescriptorStore)" 4
	exec 5>&-
	# What is not published any more is not kept.
	podctl port add net0 8081:7
	equal "$(property net0 NFileDescriptorStore)" 6
	podctl port rm net0 8081:7
	equal "$(property net0 NFileDescriptorStore)" 4
	equal "$(listeners 8081)" ""
	podctl kill -s KILL net0/echo
	manager stop podd@net0.service
	equal "$(listeners 8080; listeners "$port")" ""
	equal "$(property net0 NFileDescriptorStore)" 0
}

@test "the unit can be stopped at any time, also when podd was just killed" {
	local n
	for n in 1 2 3; do
		manager start podd@net0.service
		kill -KILL "$(pod_process net0 podd)"
		podctl stop net0
		equal "$(active net0)" inactive
		equal "$(json "$(pod_dir net0)/state.json" .phase)" stopped
	done
}

@test "an enabled pod can be stopped while it is being started" {
	local n
	podctl enable net0
	for n in 1 2 3 4 5; do
		manager start --no-block podd@net0.service
		podctl stop net0
		equal "$(active net0)" inactive
	done
	for n in 1 2 3; do
		manager start --no-block podd@net0.service
		podctl start net0
		equal "$(active net0)" active
		podctl stop net0
	done
}

@test "a pod whose outer container was killed is started again, with its containers" {
	local outer
	box create a sh -c "$SLEEPER"
	manager start podd@net0.service
	await_state net0/a phase running
	outer=$(pod_process net0 outer)
	kill -KILL "$outer"
	await_other net0 outer "$outer"
	await_state net0/a phase running
	equal "$(active net0)" active
	podctl stop -t 0 net0
}

@test "a container that has ended stays so when podd is replaced" {
	local podd
	box create once true
	manager start podd@net0.service
	await_state net0/once phase exited
	podd=$(pod_process net0 podd)
	kill -KILL "$podd"
	await_other net0 podd "$podd"
	# The unit is active once it has seen to the containers.
	manager start podd@net0.service
	equal "$(ctr_state net0/once .phase)" exited
	equal "$(podctl inspect net0/once | jq -r '.[0].exit.started')" \
		"$(json "$(child_dir net0/once)/exit.json" .started)"
}

# ---- the control socket ----

@test "a connection to the socket of a socket unit starts the pod" {
	local socket
	socket=$(pod_dir net0)/control.sock
	manager start podd@net0.socket
	equal "$(stat -c %a "$socket")" 600
	equal "$(active net0)" inactive
	check 0 '"product": "podd"' "$TOOL" call "$socket" org.varlink.service.GetInfo
	# The answer came from podd, which serves before it says that it is ready.
	manager start podd@net0.service
	equal "$(active net0)" active
	check 0 'net0 .*running' podctl ps
	# The socket is the manager's: another podd gets it as well.
	kill -KILL "$(pod_process net0 podd)"
	check 0 '"phase": "running"' "$TOOL" call "$socket" io.podd.Pod.Inspect
	# Without the unit's socket the pod would come back at once.
	podctl stop net0
	equal "$(active net0)" inactive
	equal "$(manager is-active podd@net0.socket || true)" inactive
	[ ! -e "$socket" ]
}

# ---- enable, disable, and podctl's other verbs ----

# As after a reboot: a user's manager is a new one, with all that it starts. What it consists of is not
# left behind.
boot() {
	local now before=$BATS_TEST_TMPDIR/before/processes of_manager='systemd --user|\(sd-pam\)|dbus.* --session'
	if rootless; then
		admin systemctl restart "user@$(id -u).service"
		manager start dbus.service
		now=$(processes)
		{ grep -vE "$of_manager" "$before" && grep -E "$of_manager" <<<"$now"; } | sort >"$before.new"
		mv "$before.new" "$before"
	else
		manager stop 'podd@*.service'
		manager start default.target
	fi
}

@test "an enabled pod is started with the manager, with its containers, and stopped with it" {
	local before
	box create a sh -c "$SLEEPER"
	check 0 'net0$' podctl enable net0
	equal "$(manager is-enabled podd@net0.service)" enabled
	equal "$(active net0)" inactive
	boot
	await_state net0 phase running
	await_state net0/a phase running
	before=$(pod_process net0 podd)
	[[ $(cgroup_of "$before") == *podd@net0.service/podd ]]
	boot
	await_other net0 podd "$before"
	await_state net0/a phase running
	check 0 '^net0$' podctl disable --now net0
	equal "$(manager is-enabled podd@net0.service || true)" disabled
	equal "$(active net0)" inactive
	boot
	equal "$(active net0)" inactive
}

@test "podctl start and stop of an enabled pod are the unit's" {
	local n
	podctl enable --now net0
	equal "$(active net0)" active
	for n in 1 2; do
		check 0 '^net0$' podctl stop -t 0 net0
		equal "$(active net0)" inactive
		check 0 '^net0$' podctl start net0
		equal "$(active net0)" active
	done
	check 0 '^net0$' podctl restart -t 0 net0
	equal "$(active net0)" active
	# A podd that was killed is the unit's to replace, whoever asks.
	kill -KILL "$(pod_process net0 podd)"
	check 0 '^net0$' podctl start net0
	# Which waits for the containers, too.
	manager start podd@net0.service
	[[ $(cgroup_of "$(pod_process net0 podd)") == *podd@net0.service/podd ]]
	podctl disable net0
	check 0 '^net0$' podctl stop net0
	equal "$(active net0)" inactive
}

@test "an enabled pod that is removed is disabled" {
	podctl enable --now net0
	check 125 'is running' podctl rm net0
	equal "$(manager is-enabled podd@net0.service)" enabled
	check 0 '^net0$' podctl rm -f net0
	equal "$(active net0)" inactive
	equal "$(manager is-enabled podd@net0.service || true)" disabled
}

@test "why a unit's pod does not start is said by podctl" {
	start_web "$HOST4" 8080
	podctl enable net0 2>/dev/null
	check 125 'port 8080/tcp.*in use' podctl start net0
	# It is not tried behind the caller's back.
	equal "$(active net0)" failed
	equal "$(property net0 NRestarts)" 0
	stop_listener 8080
	check 0 '^net0$' podctl start net0
	equal "$(active net0)" active
	podctl disable --now net0
}

@test "a pod that runs without its unit is left where it is" {
	local podd
	podctl start net0
	podd=$(pod_process net0 podd)
	check 125 'runs without it' podctl enable --now net0
	check 0 '' podctl start net0
	equal "$(pod_process net0 podd)" "$podd"
	check 0 '' podctl stop net0
	podctl start net0
	equal "$(active net0)" active
	podctl disable --now net0
}

@test "a pod in a pod starts after it, in units, and goes on when the podd around it dies" {
	local podd outer inner
	podctl create net0/a-b
	podctl create net0/a-b/c
	check 0 'net0/a-b/c' podctl enable --now net0/a-b/c
	equal "$(active net0)" active
	equal "$(active 'net0-a\x2db')" active
	equal "$(active 'net0-a\x2db-c')" active
	matches "$(property 'net0-a\x2db-c' After)" 'podd@net0-a.+2db\.service'
	outer=$(pod_process net0/a-b outer)
	inner=$(pod_process net0/a-b/c podd)
	podd=$(pod_process net0 podd)
	kill -KILL "$podd"
	await_other net0 podd "$podd"
	manager start podd@net0.service
	equal "$(active 'net0-a\x2db-c')" active
	equal "$(pod_process net0/a-b outer)" "$outer"
	equal "$(pod_process net0/a-b/c podd)" "$inner"
	podctl stop net0
	equal "$(active 'net0-a\x2db-c')" inactive
	manager start 'podd@net0-a\x2db-c.service'
	equal "$(active net0)" active
	equal "$(property net0 MainPID)" "$(pod_process net0 podd)"
	podctl rm -f net0
	[ ! -e "$UNITS/podd@net0-a\x2db.service.d" ]
}

@test "a podd that died is replaced by podctl upgrade in the pod's unit" {
	local podd
	mkdir "$UNITS/podd@net0.service.d"
	printf '[Service]\nRestart=no\n' >"$UNITS/podd@net0.service.d/test.conf"
	manager daemon-reload
	podctl enable --now net0
	podd=$(pod_process net0 podd)
	end_process KILL "$podd"
	check 0 net0 podctl upgrade net0
	equal "$(active net0)" active
	equal "$(property net0 MainPID)" "$(pod_process net0 podd)"
	matches "$(cgroup_of "$(pod_process net0 podd)")" 'podd@net0\.service/podd$'
	podctl stop net0
	equal "$(active net0)" inactive
}

@test "a version that cannot be started in the unit leaves the pod as it is, and podd for later" {
	local podd outer program=$PODD_STAGE/libexec/podd/podd
	podctl enable --now net0
	podd=$(pod_process net0 podd)
	outer=$(pod_process net0 outer)
	printf '#!/bin/sh\n[ "$1" != --check ] || exit 0\nexit 3\n' >"$BATS_TEST_TMPDIR/lies"
	chmod 0755 "$BATS_TEST_TMPDIR/lies"
	admin bind "$BATS_TEST_TMPDIR/lies" "$program"
	check 125 'its unit cannot be started again' podctl upgrade net0
	admin unbind "$program"
	equal "$(pod_process net0 outer)" "$outer"
	check 0 '' podctl start net0
	equal "$(active net0)" active
	equal "$(property net0 MainPID)" "$(pod_process net0 podd)"
	equal "$(pod_process net0 outer)" "$outer"
	podctl disable --now net0
}

@test "a pod in another directory has a unit that knows it" {
	local root=$BATS_TEST_TMPDIR/p%ods
	podctl --root "$root" create elsewhere
	check 0 'elsewhere' podctl --root "$root" enable --now elsewhere
	equal "$(active elsewhere)" active
	equal "$(property elsewhere MainPID)" "$(json "$root/elsewhere/state.json" .podd.pid)"
	# One of the same name in the usual place is another one.
	podctl create elsewhere
	check 125 'in another directory' podctl enable elsewhere
	check 0 '' podctl start elsewhere
	equal "$(property elsewhere MainPID)" "$(json "$root/elsewhere/state.json" .podd.pid)"
	podctl rm -f elsewhere
	equal "$(active elsewhere)" active
	podctl --root "$root" rm -f elsewhere
	equal "$(active elsewhere)" inactive
	[ ! -e "$UNITS/podd@elsewhere.service.d" ]
}

@test "what would keep a pod from being there after a reboot is said" {
	check 0 'empty after a reboot' podctl enable net0
	! rootless || check 0 'warning.*empty' podctl enable net0
	check 0 'linger' podctl enable --help
	check 125 'is a container; enable its pod' podctl enable "$(box create a true)"
	check 125 'no pod' podctl enable nonesuch
	podctl create --name own --rootfs "$BATS_FILE_TMPDIR/rootfs" true
	check 125 'removed with it' podctl enable own
	podctl disable net0
	# It need not be there to be disabled.
	check 0 '^nonesuch$' podctl disable nonesuch
}

@test "with PODD_UNITS, as in podd-restart.service, every pod is started in its unit" {
	check 0 'podctl start --all --filter restart=always' manager cat podd-restart.service
	PODD_UNITS=yes podctl start net0
	equal "$(active net0)" active
	podctl stop net0
	equal "$(active net0)" inactive
}

# ---- the journal ----

await_entry() { # match...
	local whose=(--system)
	! rootless || whose=(--user)
	timeout 10 journalctl -q "${whose[@]}" -f -n all "$@" 3>&- | grep -qm1 .
}

entry() { # filter match...: of the last entry
	local filter=$1
	shift
	journal -o json "$@" | tail -n 1 | jq -r "$filter"
}

@test "a container's output in the journal has its fields, and is read back" {
	podctl start net0
	box run a --log-driver journald sh -c 'echo out; echo err >&2; printf part' >/dev/null
	# journald has it a moment later.
	await_entry CONTAINER_ID_FULL=net0.a MESSAGE=part
	check 0 '' podctl logs net0/a
	equal "$(podctl logs net0/a 2>/dev/null)" $'out\npart'
	equal "$(podctl logs net0/a 2>&1 >/dev/null)" err
	box run b --log-driver journald sh -c 'echo one; echo two; echo three' >/dev/null
	await_log net0/b three
	equal "$(podctl logs --tail 2 net0/b)" $'two\nthree'
	equal "$(entry '[.POD, .CONTAINER, .CONTAINER_ID, .CONTAINER_ID_FULL, .SYSLOG_IDENTIFIER,
		.PRIORITY, .CONTAINER_PARTIAL_MESSAGE // "whole"] | join(" ")' \
		CONTAINER_ID_FULL=net0.a MESSAGE=out)" "net0 a net0.a net0.a net0.a 6 whole"
	equal "$(entry .PRIORITY CONTAINER_ID_FULL=net0.a MESSAGE=err)" 3
	equal "$(entry .CONTAINER_PARTIAL_MESSAGE CONTAINER_ID_FULL=net0.a MESSAGE=part)" true
}

@test "podd's events are in the journal, with identities and fields" {
	local uplink id
	manager start podd@net0.service
	uplink=$(pod_process net0 uplink)
	kill -KILL "$uplink"
	await_other net0 uplink "$uplink"
	box run a sh -c 'exit 7' || true
	podctl stop net0
	for id in started:6 uplink-restarted:4 died:6 stopping:6 stopped:6; do
		equal "$(entry '"\(.EVENT):\(.PRIORITY)"' POD=net0 "EVENT=${id%:*}")" "$id"
		equal "$(entry '.MESSAGE_ID | length' POD=net0 "EVENT=${id%:*}")" 32
	done
	equal "$(entry '"\(.CONTAINER) \(.STATUS)"' POD=net0 EVENT=died)" "a 7"
	# What podd says otherwise is there, too.
	check 0 'podd-uplink ended' journal -o cat "$(rootless && echo --user-unit || echo -u)" podd@net0.service
}
