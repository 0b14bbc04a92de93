#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Containers through podctl and podd-shim: their life, exit codes, and what wrong input does.

load helpers

setup_file() {
	common_setup_file
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	RUNTIME=
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# Nothing of the container is left in its pod.
gone() { # name
	[ ! -e "$(child_dir "net0/$1")" ] || fail "$1 is still there"
	[ -z "$(ls "$(pod_dir net0)/runtime")" ] || fail "the runtime has state left"
}

@test "run prints what the program prints, and ends with its status" {
	for RUNTIME in crun runc; do
		check 0 '^hello$' box run a --rm echo hello
		check 0 '' box run a --rm true
		check 1 '' box run a --rm false
		check 7 '' box run a --rm sh -c 'exit 7'
		check 255 '' box run a --rm sh -c 'exit 255'
		# The first process of a pid namespace takes no signal from within.
		check 143 '' box run a --rm --init sh -c 'kill -TERM $$'
		check 137 '' box run a --rm --init sh -c 'kill -KILL $$'
		gone a
	done
}

@test "stdout and stderr stay apart, stdin comes through" {
	for RUNTIME in crun runc; do
		equal "$(box run a --rm sh -c 'echo out; echo err >&2' 2>/dev/null)" out
		equal "$(box run a --rm sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
		equal "$(printf 'one\ntwo\n' | box run a --rm -i cat)" $'one\ntwo'
		equal "$(echo lost | box run a --rm cat)" ""
		equal "$(box run a --rm -i cat <&-)" ""
	done
	head -c 5000000 /dev/urandom >"$BATS_TEST_TMPDIR/data"
	equal "$(box run a --rm -i cat <"$BATS_TEST_TMPDIR/data" | sha256sum)" \
		"$(sha256sum <"$BATS_TEST_TMPDIR/data")"
}

@test "a command that is not there is 127, one that cannot be run 126, a runtime's failure 125" {
	local root=$BATS_TEST_TMPDIR/root
	cp -r "$BATS_FILE_TMPDIR/rootfs" "$root"
	echo "not a program" >"$root/bin/text"
	printf '\001\002\003' >"$root/bin/garbage"
	chmod 0755 "$root/bin/garbage"
	for RUNTIME in crun runc; do
		# shellcheck disable=SC2317  # called by check
		try() { podctl run --rm --name net0/a --rootfs "$root" --runtime "$RUNTIME" "$@"; }
		check 127 'nosuch' try nosuch
		check 127 '/bin/nosuch' try /bin/nosuch
		check 126 '' try /bin/text
		check 126 '' try /bin
		check 126 '' try /bin/garbage
		check 125 '' try --ulimit nofile=99999999:99999999 true
		gone a
	done
}

@test "a start that fails has the runtime's reason and status, also in a pod that was made for it" {
	local name
	for RUNTIME in crun runc; do
		for name in d/d d; do
			check 127 'nosuchcommand' podctl run --rm --name $name --runtime $RUNTIME \
				--rootfs "$BATS_FILE_TMPDIR/rootfs" nosuchcommand
			[[ $output != *"no such pod"* ]]
			check 126 '' podctl run --rm -d --name $name --runtime $RUNTIME \
				--rootfs "$BATS_FILE_TMPDIR/rootfs" /bin
			[[ $output != *"no such pod"* ]]
		done
		check 127 'nosuchcommand' podctl run --name d/d --runtime $RUNTIME \
			--rootfs "$BATS_FILE_TMPDIR/rootfs" nosuchcommand
		[ ! -e "$(pod_dir d)" ]
	done
}

@test "wrong use of what ends with a command's status is 125, as podman's" {
	check 125 'colour' podctl run --colour
	check 125 'colour' podctl exec --colour
	check 125 'argument' podctl exec net0/a
	check 125 'colour' podctl start --colour net0
	check 125 'one container' podctl start -a net0/a net0/b
	check 125 'argument' podctl attach
	check 125 'colour' podctl create --rootfs / --colour
	check 125 'format' podctl create --rootfs / --format x net0/a true
	check 2 'colour' podctl create --colour
	check 2 'colour' podctl rm --colour
}

@test "create, start, wait, logs, rm" {
	for RUNTIME in crun runc; do
		check 0 '^net0/a$' box create a sh -c 'echo one; echo two >&2; exit 3'
		check 0 'net0/a .*created' podctl ps -a
		check 0 '' podctl start net0/a
		check 0 '^3$' podctl wait net0/a
		check 0 $'one\ntwo' podctl logs net0/a
		check 0 'exited' podctl ps -a
		equal "$(podctl ps -q | grep -c net0/a)" 0
		valid container "$(child_dir net0/a)/container.json"
		valid container-state "$(child_dir net0/a)/state.json"
		valid container-exit "$(child_dir net0/a)/exit.json"
		check 3 'one' podctl start -a net0/a
		check 0 '' podctl rm net0/a
		gone a
		check 1 'no ' podctl rm net0/a
	done
}

@test "run -d goes on in the background; stop ends it by its signal, then by KILL" {
	for RUNTIME in crun runc; do
		check 0 '^net0/a$' box run a -d sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
		await_log net0/a up
		check 0 'net0/a .*running' podctl ps
		check 0 'net0/a' podctl stop net0/a
		equal "$(json "$(child_dir net0/a)/exit.json" .status)" 5
		podctl rm net0/a
		box run a -d sh -c 'trap "" TERM; echo up; while :; do sleep 0.1; done'
		await_log net0/a up
		check 0 '' podctl stop -t 0 net0/a
		equal "$(json "$(child_dir net0/a)/exit.json" .status)" 137
		podctl rm net0/a
		box run a -d --stop-signal USR1 sh -c 'trap "exit 6" USR1; echo up; while :; do sleep 0.1; done'
		await_log net0/a up
		podctl stop net0/a
		equal "$(json "$(child_dir net0/a)/exit.json" .status)" 6
		podctl rm net0/a
		gone a
	done
}

@test "kill sends signals; rm -f ends what runs" {
	box run a -d sh -c 'trap "echo usr" USR1; echo up; while :; do sleep 0.1; done'
	await_log net0/a up
	podctl kill -s USR1 net0/a
	await_log net0/a usr
	check 125 'KILLME' podctl kill -s KILLME net0/a
	check 125 '' podctl rm net0/a
	check 0 '' podctl kill net0/a
	check 0 '^137$' podctl wait net0/a
	box run b -d sleep 1000
	check 0 'net0/b' podctl rm -f net0/b
	gone b
}

@test "exec runs a command beside: status, user, environment, directory, stdin" {
	for RUNTIME in crun runc; do
		box run a -d -e KEPT=yes sleep 1000
		check 9 '' podctl exec net0/a sh -c 'exit 9'
		check 127 'nosuch' podctl exec net0/a nosuch
		check 126 '' podctl exec net0/a /etc
		check 137 '' podctl exec net0/a sh -c 'kill -9 $$'
		check 0 '^yes more$' podctl exec -e ADDED=more net0/a sh -c 'echo $KEPT $ADDED'
		check 0 '^/tmp$' podctl exec -w /tmp net0/a sh -c 'pwd'
		check 0 '^uid=12 gid=34' podctl exec -u 12:34 net0/a id
		equal "$(echo in | podctl exec -i net0/a cat)" in
		equal "$(echo in | podctl exec net0/a cat)" ""
		podctl exec -d net0/a sh -c 'echo done >/proc/1/fd/1'
		await_log net0/a '^done$'
		head -c 3000000 /dev/zero | podctl exec -i net0/a cat | cmp -n 3000000 - /dev/zero
		podctl rm -f -t 0 net0/a
		check 125 'no ' podctl exec net0/a true
		gone a
	done
}

@test "a container sees no environment and no file of the caller's" {
	export SECRET=abc
	for RUNTIME in crun runc; do
		exec 7<"$BATS_FILE_TMPDIR/config.json"
		check 0 '' box run a --rm sh -c 'set; ls -l /proc/self/fd'
		exec 7<&-
		[[ $output != *abc* ]]
		equal "$(grep -c '^l[r-]' <<<"$output")" 4 # 0, 1, 2, and ls's own
		check 0 '^CapEff:.*00000000800405fb$' box run a --rm sh -c 'sed -n /CapEff/p /proc/self/status'
		check 0 '^Seccomp:.2$' box run a --rm sh -c 'sed -n /Seccomp:/p /proc/self/status'
		check 0 '^Seccomp:.0$' box run a --rm --security-opt seccomp=unconfined \
			sh -c 'sed -n /Seccomp:/p /proc/self/status'
		check 0 '^NoNewPrivs:.1$' box run a --rm --security-opt no-new-privileges \
			sh -c 'sed -n /NoNewPrivs/p /proc/self/status'
		check 1 'Read-only' box run a --rm sh -c 'echo 1 >/proc/sys/kernel/domainname'
		check 0 '^0$' box run a --rm sh -c 'cat /proc/kcore /proc/timer_list 2>/dev/null | wc -c'
	done
}

@test "the containers of a pod share one /dev/shm, which runs no programs" {
	for RUNTIME in crun runc; do
		box run a -d sh -c 'echo there >/dev/shm/file; cp /bin/busybox /dev/shm/busybox; echo up; sleep 1000'
		await_log net0/a up
		check 0 there box run b --rm cat /dev/shm/file
		check 126 '' box run b --rm /dev/shm/busybox true
		check 0 'nosuid,nodev,noexec' box run b --rm sh -c 'grep /dev/shm /proc/mounts'
		check 1 '' box run b --rm --shm-size 1m cat /dev/shm/file
		check 0 'size=1024k' box run b --rm --shm-size 1m sh -c 'grep /dev/shm /proc/mounts'
		podctl rm -f -t 0 net0/a
		inside net0 sh -c 'rm /dev/shm/*'
	done
}

@test "without a pod, run makes one of the name, and removes it with its last container" {
	check 0 '^hi$' podctl run --rm --name web --rootfs "$BATS_FILE_TMPDIR/rootfs" echo hi
	[ ! -e "$(pod_dir web)" ]
	podctl run -d --name web --rootfs "$BATS_FILE_TMPDIR/rootfs" sh -c 'echo up; sleep 1000'
	await_log web up
	check 0 'web/web .*running' podctl ps
	check 4 '' podctl exec web sh -c 'exit 4'
	check 0 '' podctl rm -f -t 0 web/web
	timeout 10 "$TOOL" wait-gone "$(pod_dir web)" 10 </dev/null
	podctl create --net none kept
	podctl run --rm --name kept/a --rootfs "$BATS_FILE_TMPDIR/rootfs" true
	[ ! -e "$(pod_dir kept)/locks/child-a" ]
	check 0 '^$' podctl doctor kept
	podctl rm -f kept
	podctl run --pod other --name one --rootfs "$BATS_FILE_TMPDIR/rootfs" true
	check 0 'other/one .*exited' podctl ps -a
	podctl rm other/one
	timeout 10 "$TOOL" wait-gone "$(pod_dir other)" 10 </dev/null
}

@test "a container that was killed with its podctl goes on" {
	box run a sh -c 'echo up; sleep 1000' >"$BATS_TEST_TMPDIR/out" 3>&- &
	local job=$!
	timeout 10 bash -c 'until [ -e "$0" ]; do :; done' "$(child_dir net0/a)/ctr.log"
	await_log net0/a up
	pkill -KILL -P "$job" podctl || kill -KILL "$job"
	wait "$job" || true
	check 0 'net0/a .*running' podctl ps
	check 0 '' podctl stop -t 0 net0/a
}

@test "wrong input: one error, the right status, nothing left" {
	local root=$BATS_FILE_TMPDIR/rootfs
	try() {
		local status=$1 pattern=$2
		shift 2
		check "$status" "$pattern" podctl run --name net0/a "$@"
		gone a
	}
	try 125 'nosuch' --rootfs /nosuch true
	try 125 'not a directory' --rootfs /etc/passwd true
	if rootless; then
		try 125 'own' --rootfs "$(dirname "$PODD_TEST_ADMIN")/foreign" true
	fi
	try 125 'nobody-here' --rootfs "$root" -u nobody-here true
	try 125 '/no/such' --rootfs "$root" -v /no/such:/data true
	try 125 'relative' --rootfs "$root" -v /tmp:relative true
	try 125 'nosuchruntime' --rootfs "$root" --runtime nosuchruntime true
	try 125 'seccomp' --rootfs "$root" --security-opt seccomp=/no/such true
	try 125 'NOSUCH' --rootfs "$root" --cap-add NOSUCH true
	try 125 '' --rootfs "$root" --network 'no such' true
	try 125 'memory' --rootfs "$root" --memory wrong true
	try 125 'memory-swap' --rootfs "$root" --memory 2m --memory-swap 1m true
	try 125 'restart' --rootfs "$root" --restart sometimes true
	try 125 'command' --rootfs "$root"
	try 125 'rootfs' true
	mkdir "$BATS_TEST_TMPDIR/bundle"
	try 125 'config.json' --bundle "$BATS_TEST_TMPDIR/bundle"
	echo '{"process": 3}' >"$BATS_TEST_TMPDIR/bundle/config.json"
	try 125 '' --bundle "$BATS_TEST_TMPDIR/bundle"
	echo '{{{' >"$BATS_TEST_TMPDIR/bundle/config.json"
	try 125 'config.json' --bundle "$BATS_TEST_TMPDIR/bundle"
	box create a true
	check 125 'in use|exists' box create a true
	check 125 'in use|exists' box run a true
	podctl rm net0/a
	check 125 '' podctl attach net0/a
	check 1 '' podctl rm net0/a
	check 125 'rename|name' podctl rename net0/a net0/b
}

@test "a megabyte of arguments works or is refused, and nothing hangs" {
	local args
	args=$(head -c 100000 /dev/zero | tr '\0' x)
	check '0|125' '' box run a --rm true "$args" "$args" "$args" "$args" "$args" "$args" "$args" \
		"$args" "$args" "$args"
	gone a
}

@test "attaching to what has ended is an error" {
	box run a true
	check 125 'not running|ended|exited' podctl attach net0/a
}

@test "any OCI bundle can be run" {
	make_bundle "$BATS_TEST_TMPDIR/bundle" sh -c 'echo from a bundle; exit 2'
	for RUNTIME in crun runc; do
		check 2 'from a bundle' podctl run --rm --name net0/a --runtime $RUNTIME \
			--bundle "$BATS_TEST_TMPDIR/bundle"
		check 0 '^other$' podctl run --rm --name net0/a --runtime $RUNTIME \
			--bundle "$BATS_TEST_TMPDIR/bundle" echo other
	done
	gone a
}

@test "stopping a pod ends its containers, the last started first" {
	for name in a b c; do
		box run $name -d -v "$BATS_TEST_TMPDIR:/io" sh -c \
			"trap 'echo $name >>/io/order; exit' TERM; echo up; while :; do sleep 0.05; done"
		await_log net0/$name up
	done
	podctl stop net0
	equal "$(tr -d '\n' <"$BATS_TEST_TMPDIR/order")" cba
	check 0 'net0/a .*exited' podctl ps -a
	podctl start net0
	await_log net0/a up
	check 0 'net0/a .*running' podctl ps
}

@test "a bridged container is reached by its address, one without network has loopback only" {
	for RUNTIME in crun runc; do
		box run web -d --network podd sh -c "${SERVER%%echo up*} echo up; sleep 1000"
		await_log net0/web up
		matches "$(fetch net0 "$(child_ip net0 web)")" 'I am'
		check 0 'I am' box run client --rm wget -qO- "http://$(child_ip net0 web)/"
		check 0 '^lo$' box run none --rm --network none sh -c 'ls /sys/class/net'
		check 0 'host0' box run host --rm --network host sh -c 'ls /sys/class/net'
		podctl rm -f -t 0 net0/web
		[ -z "$(find "$(pod_dir net0)/cni" -name '10.88.*')" ]
	done
}
