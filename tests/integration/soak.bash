# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Rounds in which pods are made, used and ended while something of theirs is killed: what, and when, a
# seed says. After each round nothing may be left. Needs helpers.bash.

# Whatever belongs to pods: their own processes, those that come and go, and what runs in containers.
VICTIMS='^(podctl|podd|podd-outer|podd-uplink|podd-shim|podd-hook|crun|runc|bridge|host-local|nft|sh|sleep)$'
# Milliseconds within which a round's work is done.
MOMENTS=400

rootfs() { printf %s "$BATS_FILE_TMPDIR/rootfs"; }

# A container in a pod: published, in a network of its own, by one of the runtimes.
run_in() { # pod name
	local engine=crun
	[ $((RANDOM % 2)) = 0 ] || engine=runc
	podctl run -d --runtime $engine --name "$1/$2" --network podd -p 7700:80 --rootfs "$(rootfs)" sleep 1000
}

# The work of a round; whatever fails, fails because of the victim.
work_flat() {
	podctl create -p 7701:81 soak
	podctl start soak
	run_in soak a
	podctl port add soak 7702:82
	podctl exec soak/a true
	podctl restart -t 0 soak/a
	podctl rm -f -t 0 soak/a
	podctl stop -t 0 soak
}

work_nested() {
	podctl create soak
	podctl create soak/in
	podctl create -p 7701:81 soak/in/deep
	podctl start soak/in/deep
	run_in soak/in/deep a
	podctl egress add soak/in deny to 203.0.113.0/24
	podctl stop -t 0 soak/in
	podctl start soak/in/deep
	podctl stop -t 0 soak
}

# As runtimes use it, without podctl; one whose pod is gone is deleted by its user.
work_hook() {
	local dir=$BATS_TEST_TMPDIR/soak-bundle engine=crun
	[ $((RANDOM % 2)) = 0 ] || engine=runc
	podctl create soak
	podctl start soak
	mkdir -p "$dir"
	make_bundle "$dir" sh -c 'sleep 1000'
	podctl bundle --name a soak "$dir"
	runtime $engine run -d --bundle "$dir" soak.a </dev/null
	podctl inspect soak
	runtime $engine delete -f soak.a
	podctl stop -t 0 soak
}

work_own() {
	podctl run --name soak --rootfs "$(rootfs)" -p 7700:80 sh -c 'sleep 0.1; exit 3'
	podctl start soak/soak
	podctl run -d --restart always --name soak/b --rootfs "$(rootfs)" sh -c 'sleep 0.05'
	podctl kill soak/b
	podctl rm -f -t 0 soak/b
}

# One of the processes that are there at this moment, but not of those in the first file.
kill_one() { # file with pids that are not meant
	local pids=()
	mapfile -t pids < <(ps -e -o pid=,comm= | awk -v names="$VICTIMS" '
		FNR == NR { old[$1] = 1; next } !($1 in old) && $2 ~ names { print $1 }' "$1" -)
	[ ${#pids[@]} -gt 0 ] || return 0
	victim=${pids[RANDOM % ${#pids[@]}]}
	victim_name=$(cat "/proc/$victim/comm" 2>/dev/null) || true
	kill -9 "$victim" 2>/dev/null || true
}

# What runtimes keep of containers of which they were killed in the midst: their users delete it.
delete_leftovers() {
	local engine
	for engine in crun runc; do
		runtime $engine delete -f soak.a >/dev/null 2>&1 || true
	done
	# Of one that was killed before it had a state it knows nothing.
	find /sys/fs/cgroup -depth -type d -name soak.a -exec rmdir {} + 2>/dev/null || true
}

# soak_round SEED: needs $BATS_TEST_TMPDIR/before, a snapshot.
soak_round() {
	local works=(work_flat work_nested work_hook work_own) work moment job log=$BATS_TEST_TMPDIR/soak.log
	RANDOM=$1
	work=${works[RANDOM % 4]}
	moment=$(printf '0.%03d' $((RANDOM % MOMENTS)))
	victim='' victim_name=
	ps -e -o pid= >"$BATS_TEST_TMPDIR/not-meant"
	(
		echo "$BASHPID" >>"$BATS_TEST_TMPDIR/not-meant"
		set +e
		$work
		true
	) >"$log" 2>&1 3>&- &
	job=$!
	echo $job >>"$BATS_TEST_TMPDIR/not-meant"
	# The moment is what the seed chooses: no event is waited for.
	read -r -t "$moment" <>"$BATS_TEST_TMPDIR/never" || true
	kill_one "$BATS_TEST_TMPDIR/not-meant"
	wait $job
	delete_leftovers
	if podctl rm -f -t 0 -a >>"$log" 2>&1 && compare "$BATS_TEST_TMPDIR/before"; then
		return 0
	fi
	echo "seed $1: $work, $victim_name ($victim) killed after $moment s" >&2
	tail -n 40 "$log" >&2
	for log in "$PODD_ROOT"/*/podd.log; do [ ! -e "$log" ] || tail -n 20 "$log" >&2; done
	return 1
}

soak_begin() {
	[ -p "$BATS_TEST_TMPDIR/never" ] || mkfifo "$BATS_TEST_TMPDIR/never"
	snapshot "$BATS_TEST_TMPDIR/before"
}
