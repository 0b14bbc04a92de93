#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What each option of podctl run changes in the container.

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

# run_in OPTIONS... -- SCRIPT: a container that runs the shell's script.
run_in() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	box run a --rm "${options[@]}" sh -c "$2"
}

@test "environment: -e, --env-file, nothing of the caller's unless it is named" {
	export FROM_HERE=here
	printf '# a comment\nFILE=from file\nFROM_HERE\n' >"$BATS_TEST_TMPDIR/env"
	for RUNTIME in crun runc; do
		check 0 '^a b/from file/here/podd$' run_in -e 'A=a b' --env-file "$BATS_TEST_TMPDIR/env" -- \
			'echo "$A/$FILE/$FROM_HERE/$container"'
		check 0 '^here$' run_in -e FROM_HERE -- 'echo $FROM_HERE'
		check 0 '^$' run_in -- 'echo $FROM_HERE'
	done
	echo '=novalue' >"$BATS_TEST_TMPDIR/env"
	check 125 'env:1' run_in --env-file "$BATS_TEST_TMPDIR/env" -- true
	check 125 'nosuch' run_in --env-file /nosuch -- true
}

@test "user, groups, directory, host name" {
	local root=$BATS_TEST_TMPDIR/root
	cp -r "$BATS_FILE_TMPDIR/rootfs" "$root"
	printf 'root:x:0:0:root:/:/bin/sh\nwww:x:33:44::/tmp:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\nwww:x:44:\nmore:x:55:www\n' >"$root/etc/group"
	for RUNTIME in crun runc; do
		as() { podctl run --rm --name net0/a --runtime $RUNTIME --rootfs "$root" "$@"; }
		check 0 'uid=33\(www\) gid=44\(www\) groups=.*55\(more\)' as -u www id
		check 0 'uid=7 gid=55' as -u 7:more id
		check 0 'uid=7 gid=8' as -u 7:8 id
		check 0 'groups=.*66' as -u 33 --group-add 66 id
		check 0 '^/tmp$' as -u www sh -c 'echo $HOME'
		check 0 '^/www$' as -w /www pwd
		check 0 '^host7$' as --hostname host7 hostname
		check 0 'CapEff:.0000000000000000' as -u www grep CapEff /proc/self/status
	done
}

@test "mounts: -v, --mount, --tmpfs, --read-only" {
	local shared=$BATS_TEST_TMPDIR/shared
	mkdir "$shared"
	echo content >"$shared/file"
	for RUNTIME in crun runc; do
		check 0 '^content$' run_in -v "$shared:/data" -- 'cat /data/file; echo new >/data/new'
		equal "$(cat "$shared/new")" new
		check 1 'Read-only' run_in -v "$shared:/data:ro" -- 'echo x >/data/x'
		check 0 '' run_in -v "$shared:/data:z" -v "$shared:/more:Z,ro" -- 'test -e /more/file'
		check 0 '^content$' run_in --mount "type=bind,source=$shared,target=/data,readonly" -- \
			'cat /data/file; ! echo x 2>/dev/null >/data/x'
		check 0 'tmpfs.*size=64k' run_in --tmpfs /scratch:size=64k,mode=1777 -- 'grep scratch /proc/mounts'
		check 0 'tmpfs' run_in --mount type=tmpfs,dst=/scratch,tmpfs-size=65536 -- \
			'grep scratch /proc/mounts'
		check 0 '^12:34$' run_in -u 12:34 --tmpfs /scratch:U -- 'stat -c %u:%g /scratch'
		check 0 '^5:34$' run_in -u 12:34 --tmpfs /scratch:uid=5,U -- 'stat -c %u:%g /scratch'
		check 1 'Read-only' run_in --read-only -- 'echo x >/new'
		check 0 '' run_in --read-only --tmpfs /tmp -- 'echo x >/tmp/x'
		check 0 '^12:34$' run_in -u 12:34 -v "$shared:/data:U" -- 'stat -c %u:%g /data/file'
		run_in -u 0:0 -v "$shared:/data:U" -- true
		check 0 '' run_in -v "$shared:/data:O" -- 'echo changed >/data/file'
		equal "$(cat "$shared/file")" content
		rm "$shared/new"
	done
}

@test "an overlay on the root file system is thrown away" {
	for RUNTIME in crun runc; do
		over() { podctl "$@"; }
		check 0 '' podctl run --runtime $RUNTIME --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs:O" \
			sh -c 'echo x >/new; rm /bin/wget; test ! -e /bin/wget'
		[ ! -e "$BATS_FILE_TMPDIR/rootfs/new" ]
		[ -e "$BATS_FILE_TMPDIR/rootfs/bin/wget" ] || [ -L "$BATS_FILE_TMPDIR/rootfs/bin/wget" ]
		check 0 '' podctl start -a net0/a
		podctl rm net0/a
	done
}

@test "what is removed in part can be removed again, and makes room for another" {
	local dir
	dir=$(child_dir net0/a)
	# As a killed shim leaves it: files of a user of the pod, which the caller cannot remove.
	leave() {
		inside net0 sh -c 'mkdir -p "$0/x" && touch "$0/x/file" && chown -R 12:34 "$0/x" &&
			chmod 0700 "$0/x"' "$dir/overlay/0"
	}
	box create a true
	leave
	# As a removal that was ended in the middle leaves it.
	rm "$dir/container.json"
	check 0 '' box create a true
	[ ! -e "$dir/overlay" ]
	leave
	if ! rootless; then
		mount -t tmpfs tmpfs "$dir/overlay/0"
		check 125 'mounted' podctl rm net0/a
		check 0 'net0/a .*created' podctl ps -a
		umount "$dir/overlay/0"
	fi
	check 0 '' podctl rm net0/a
	[ ! -e "$dir" ]
}

@test "capabilities are added and dropped" {
	for RUNTIME in crun runc; do
		check 0 'CapEff:.0000000000000000' run_in --cap-drop all -- 'grep CapEff /proc/self/status'
		check 0 'CapEff:.0000000000000001' run_in --cap-drop ALL --cap-add chown -- \
			'grep CapEff /proc/self/status'
		check 0 'CapEff:.00000000800415fb' run_in --cap-add CAP_NET_ADMIN -- \
			'grep CapEff /proc/self/status'
	done
}

@test "ulimits, init, pid namespace, share" {
	check 0 '^77$' run_in --ulimit nofile=77:88 -- 'ulimit -n'
	check 0 'catatonit|podd-init|/dev/init' run_in --init -- "cat /proc/1/cmdline | tr '\\0' ' '"
	box run b -d --share pid,ipc,uts --hostname b sleep 997
	check 0 'sleep 997' run_in --share pid -- "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
	podctl rm -f -t 0 net0/b
	check 0 '' run_in --share ipc -- true
}

@test "processes that outlive the first one of a shared pid namespace are ended" {
	box run a --share pid sh -c 'sleep 9876 & exit 0'
	check 1 '' pgrep -f 'sleep 9876'
}

@test "a file that only a supplementary group may read is readable with keep-groups" {
	local dir=/run/podd-test/grouped
	# Root may read everything.
	! rootless || check 1 'denied' run_in -v "$dir:/data" -- 'cat /data/file'
	check 0 'for the group' run_in --group-add keep-groups -v "$dir:/data" -- 'cat /data/file'
	RUNTIME=runc
	check 125 'crun' run_in --group-add keep-groups -- true
}

@test "cidfile, pidfile, labels, annotations" {
	local dir=$BATS_TEST_TMPDIR
	box run a -d --cidfile "$dir/cid" --pidfile "$dir/pid" --label tier=web --annotation note=yes \
		sleep 1000
	equal "$(cat "$dir/cid")" net0.a
	equal "$(cat "$dir/pid")" "$(init_pid net0/a)"
	check 0 'net0/a' podctl ps --filter label=tier=web
	check 0 '^yes$' jq -r .annotations.note "$(child_dir net0/a)/bundle/config.json"
	check 125 'cid' box run b --cidfile "$dir/cid" true
	podctl rm -f -t 0 net0/a
	[ ! -e "$dir/cid" ] && [ ! -e "$dir/pid" ]
}

@test "a cidfile in /run works; what podd-shim would write there is refused" {
	local log=$BATS_TEST_TMPDIR/log
	check 125 '/run.*XDG_RUNTIME_DIR' box run a --pidfile /run/a.pid true
	check 125 '/run.*XDG_RUNTIME_DIR' box run a --log-opt path=/run/a.log true
	ln -s /run "$BATS_TEST_TMPDIR/link"
	check 125 '/run.*XDG_RUNTIME_DIR' box run a --pidfile "$BATS_TEST_TMPDIR/link/a.pid" true
	check 0 '' box run a --rm --pidfile "$XDG_RUNTIME_DIR/a.pid" --log-opt path="$log" true
	[ ! -e "$XDG_RUNTIME_DIR/a.pid" ] && [ -e "$log" ]
	! rootless || return 0
	check 0 '' box run a --rm --cidfile /run/a.cid true
	[ ! -e /run/a.cid ]
	check 127 '' box run a --rm --cidfile /run/a.cid nosuch
	[ ! -e /run/a.cid ]
	box create a --cidfile /run/a.cid true
	equal "$(cat /run/a.cid)" net0.a
	podctl rm net0/a
	[ ! -e /run/a.cid ]
	# One that was left by a container of the same name.
	printf net0.a >/run/a.cid
	check 0 '' box run a --rm --cidfile /run/a.cid true
	printf net0.b >/run/a.cid
	check 125 'cid' box run a --rm --cidfile /run/a.cid true
	rm /run/a.cid
}

@test "what has no effect is said" {
	check 0 'warning: .*publish.*none' run_in -p 8080:80 --network none -- true
	check 0 'warning: .*tag' run_in --log-opt tag=x -- true
	check 0 'warning: .*max-size.*none' run_in --log-driver none --log-opt max-size=1m -- true
	check 0 '^$' run_in --security-opt label=disable --log-opt max-size=1m -- true
}

@test "egress rules are refused where they would not hold" {
	check 125 'egress.*shares the pod.s network.*podctl egress add net0' run_in --egress deny -- true
	check 125 'egress.*none' run_in --network none --egress deny -- true
	check 125 'egress.*host' run_in --network host --egress deny -- true
	check 125 'egress.*allow or deny' run_in --network podd --egress permit -- true
	check 0 'net0/ruled' box create ruled --network podd --egress 'deny to 10.0.0.0/8' true
	record=$(child_dir net0/ruled)/container.json
	valid container "$record"
	equal "$(json "$record" '.egress[0]')" 'deny to 10.0.0.0/8'
	podctl rm net0/ruled
}

@test "restart policies" {
	box run a -d --restart on-failure:2 sh -c 'echo run; exit 3'
	check 0 '^3$' podctl wait net0/a
	await_state net0/a phase exited
	equal "$(podctl logs net0/a | grep -c run)" 3
	podctl rm -f net0/a
	box run a -d --restart on-failure sh -c 'echo run; exit 0'
	podctl wait net0/a
	equal "$(podctl logs net0/a | grep -c run)" 1
	podctl rm -f net0/a
	box run a -d --restart always -v "$BATS_TEST_TMPDIR:/io" sh -c 'echo run >>/io/runs; exec sleep 1000'
	podctl exec net0/a true
	kill -9 "$(init_pid net0/a)" 2>/dev/null || podctl enter net0 -- kill -9 "$(init_pid net0/a)"
	await_file "$BATS_TEST_TMPDIR/runs" 'run\nrun'
	check 0 '' podctl stop -t 0 net0/a
	check 0 'exited' podctl ps -a
	podctl rm net0/a
}

has_controller() { grep -qw "$1" /sys/fs/cgroup/cgroup.subtree_control; }

# limit CONTROLLER OPTION VALUE FILE CONTENT: it is in force, or podctl says that it cannot be.
limit() {
	if has_controller "$1"; then
		check 0 "^$5\$" run_in "$2" "$3" -- "cat /sys/fs/cgroup/$4"
	else
		check 0 "warning.*$1" run_in "$2" "$3" -- true
	fi
}

@test "limits are in force where a cgroup with the controller is delegated; otherwise a warning" {
	for RUNTIME in crun runc; do
		limit memory --memory 64m memory.max 67108864
		limit cpu --cpus 0.5 cpu.max '50000 100000'
		limit pids --pids-limit 33 pids.max 33
	done
}

@test "no swap, unlimited swap, and as much as memory" {
	limits() { json "$(child_dir net0/a)/container.json" ".limits.$1" -r; }
	has_controller memory || {
		box create a --memory 64m --memory-swap 64m true
		equal "$(limits swap)" -1
		podctl rm net0/a
		check 125 'swap' box create a --memory 64m --memory-swap 63m true
		return
	}
	# Some kernels do not count swap.
	[ -e /sys/fs/cgroup/tests/memory.swap.max ] || return 0
	for RUNTIME in crun runc; do
		swap() { # expected options...
			check 0 "^$1\$" run_in "${@:2}" -- 'cat /sys/fs/cgroup/memory.swap.max'
		}
		swap 0 --memory 64m --memory-swap 64m
		swap max --memory 64m --memory-swap -1
		swap 67108864 --memory 64m
		swap 1048576 --memory 64m --memory-swap 65m
		box run a -d --memory 64m --memory-swap 64m sleep 1000
		check 0 '' podctl update --memory-swap -1 net0/a
		check 0 '^max$' podctl exec net0/a cat /sys/fs/cgroup/memory.swap.max
		check 0 '' podctl update --memory 32m --memory-swap 32m net0/a
		check 0 '^0$' podctl exec net0/a cat /sys/fs/cgroup/memory.swap.max
		equal "$(limits swap)" 0
		podctl rm -f -t 0 net0/a
	done
}

@test "update takes what run takes" {
	box create a --restart always true
	check 0 'net0/a' podctl update --restart never net0/a
	equal "$(json "$(child_dir net0/a)/container.json" .restart -r)" no
	check 125 'cpus' podctl update --cpus 0.001 net0/a
	check 125 'pids-limit' podctl update --pids-limit 2147483648 net0/a
	check 125 'memory-swap' podctl update --memory-swap 64m net0/a
	podctl rm net0/a
}

@test "a kill for want of memory is told apart" {
	box run a --memory 16m --init sh -c 'kill -9 $$' || true
	equal "$(json "$(child_dir net0/a)/exit.json" .status)" 137
	equal "$(jq .oom "$(child_dir net0/a)/exit.json")" false
	podctl rm net0/a
	! has_controller memory || {
		check 137 '' box run a --memory 16m sh -c 'tail /dev/zero'
		equal "$(json "$(child_dir net0/a)/exit.json" .oom)" true
	}
}

@test "pause and unpause, update" {
	if [ ! -w /sys/fs/cgroup/cgroup.subtree_control ]; then
		box run a -d sleep 1000
		check 125 'cgroup' podctl pause net0/a
		return
	fi
	for RUNTIME in crun runc; do
		box run a -d sh -c 'while :; do echo tick; sleep 0.01; done'
		await_log net0/a tick
		check 0 'net0/a' podctl pause net0/a
		check 0 'net0/a .*paused' podctl ps
		check 125 'paused' podctl exec net0/a true
		check 0 'net0/a' podctl unpause net0/a
		check 0 'net0/a .*running' podctl ps
		! has_controller pids || {
			podctl update --pids-limit 44 net0/a
			check 0 '^44$' podctl exec net0/a cat /sys/fs/cgroup/pids.max
		}
		podctl rm -f -t 0 net0/a
	done
	equal "$(find /sys/fs/cgroup -mindepth 1 -type d | grep -vc tests)" 0
}
