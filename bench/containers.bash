# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The figures of containers, for bench/run: podctl's against the runtime alone, on the same bundle in
# the same pod, and against podman.
# shellcheck disable=SC2016,SC2129,SC2154  # scripts for other shells are quoted; bench/run sets the variables

readonly CONTAINERS=300 LOG_BYTES=$((512 << 20)) LOG_RUNS=3

# Times commands inside the pod, where the shim runs the runtime: a line of milliseconds each.
timed_inside() { # count command...
	podctl enter net0 -- bash -c 'n=$1; shift; for _ in $(seq "$n"); do
		start=${EPOCHREALTIME/[.,]/}
		"$@" </dev/null >/dev/null 2>&1 || { echo "failed: $*" >&2; exit 1; }
		end=${EPOCHREALTIME/[.,]/}
		awk -v t=$((end - start)) "BEGIN { printf \"%.2f\n\", t / 1000 }"
	done' timed "$@"
}

# A bundle as podctl makes it, for the runtime alone: sets $alone.
make_alone() { # name command...
	podctl create --name "net0/$1" --rootfs "$dir/rootfs" "${@:2}" >>"$log"
	alone=$PODD_ROOT/net0/children/$1/bundle
}

figure_container_run() {
	local ours crun podman
	progress "podctl run"
	make_alone alone true
	for _ in $(seq "$runs"); do
		timed podctl run --rm --name net0/timed --rootfs "$dir/rootfs" true 4>>"$dir/ctr-run"
		timed_inside 1 crun --root "$dir/crun" run --bundle "$alone" alone >>"$dir/ctr-crun"
	done
	podman_pod timed >>"$log" 2>&1
	for _ in $(seq "$PODMAN_RUNS"); do
		timed podman run --rm --pod timed bench true 4>>"$dir/ctr-podman"
	done
	podctl rm net0/alone >>"$log"
	ours=$(median <"$dir/ctr-run")
	crun=$(median <"$dir/ctr-crun")
	podman=$(median <"$dir/ctr-podman")
	row "podctl run --rm of true in a running pod, ms" "$ours" "crun alone: $crun" "<= peer + 5" \
		"$(verdict "$ours" at-most "$(calc "$crun + 5")")"
	row "the same, against podman run --pod" "$ours" "podman: $podman" "<= 1/10" \
		"$(verdict "$(calc "$ours * 10")" at-most "$podman")"
}

figure_exec() {
	local ours crun podman
	progress "podctl exec"
	make_alone alone sleep 1000
	podctl run -d --name net0/exec --rootfs "$dir/rootfs" sleep 1000 >>"$log"
	podctl enter net0 -- crun --root "$dir/crun" run -d --bundle "$alone" alone </dev/null >>"$log" 2>&1
	podman run -d --pod timed --name exec bench sleep 1000 >>"$log" 2>&1
	for _ in $(seq "$runs"); do
		timed podctl exec net0/exec true 4>>"$dir/exec"
		timed_inside 1 crun --root "$dir/crun" exec alone true >>"$dir/exec-crun"
	done
	for _ in $(seq "$PODMAN_RUNS"); do
		timed podman exec exec true 4>>"$dir/exec-podman"
	done
	podctl enter net0 -- crun --root "$dir/crun" delete -f alone
	podctl rm net0/alone >>"$log"
	ours=$(median <"$dir/exec")
	crun=$(median <"$dir/exec-crun")
	podman=$(median <"$dir/exec-podman")
	row "podctl exec of true, ms" "$ours" "crun alone: $crun" "<= peer + 3" \
		"$(verdict "$ours" at-most "$(calc "$crun + 3")")"
	row "the same, against podman exec" "$ours" "podman: $podman" "<= 1/10" \
		"$(verdict "$(calc "$ours * 10")" at-most "$podman")"
	figure_shim_memory
	podctl rm -f -t 0 net0/exec >>"$log"
	podman pod rm -f -t 0 timed >>"$log" 2>&1
}

figure_shim_memory() {
	local ours conmon
	ours=$(pss "$(jq .shim.pid "$PODD_ROOT/net0/children/exec/state.json")")
	conmon=$(pss "$(podman inspect --format '{{.State.ConmonPid}}' exec)")
	ours=$(calc "$ours * 1024")
	conmon=$(calc "$conmon * 1024")
	row "PSS of a podd-shim, kB" "$ours" "conmon: $conmon" "<= 400" "$(verdict "$ours" at-most 400)"
}

# conmon by itself, as an engine runs it; its end is that of the container and of the log.
conmon_log() { # bundle
	rm -rf "$dir/conmon" && mkdir "$dir/conmon"
	podctl enter net0 -- sh -c 'cd "$1" && conmon --api-version 1 -c logged -u logged -n logged \
		-r /usr/bin/crun -b "$2" -p "$1/pid" -P "$1/conmon.pid" --exit-dir "$1" --persist-dir "$1" \
		--socket-dir-path "$1" \
		--runtime-arg --root --runtime-arg "$1/crun" -l "k8s-file:$1/log" </dev/null &&
		while [ ! -s "$1/pid" ] || [ ! -s "$1/conmon.pid" ]; do sleep 0.005; done &&
		crun --root "$1/crun" start logged &&
		pidwait -F "$1/conmon.pid"; crun --root "$1/crun" delete -f logged' \
		conmon "$dir/conmon" "$1"
}

podctl_log() {
	podctl start net0/logged && podctl wait net0/logged
}

figure_log() {
	local ours conmon rate
	progress "log throughput"
	{ yes "a line of output as a server writes them, neither very short nor very long" || true; } |
		head -c $LOG_BYTES >"$dir/data"
	podctl create --name net0/logged --rootfs "$dir/rootfs" -v "$dir/data:/data:ro" \
		cat /data >>"$log"
	for _ in $(seq $LOG_RUNS); do
		rm -f "$PODD_ROOT/net0/children/logged/ctr.log"
		timed podctl_log 4>>"$dir/log-ours"
		timed conmon_log "$PODD_ROOT/net0/children/logged/bundle" 4>>"$dir/log-conmon"
	done
	[ "$(grep -c ' F ' "$PODD_ROOT/net0/children/logged/ctr.log")" = \
		"$(grep -c ' F ' "$dir/conmon/log")" ] || failed "the logs of podd-shim and conmon differ"
	podctl rm net0/logged >>"$log"
	rm -rf "$dir/data" "$dir/conmon"
	rate=$LOG_BYTES/1e6
	ours=$(calc "$rate / $(median <"$dir/log-ours") * 1000")
	conmon=$(calc "$rate / $(median <"$dir/log-conmon") * 1000")
	row "log throughput, k8s-file, MB/s" "$ours" "conmon: $conmon" ">= 1.5 times" \
		"$(verdict "$ours" at-least "$(calc "$conmon * 1.5")")"
}

figure_containers() {
	local first last one all i
	progress "$CONTAINERS containers"
	: >"$dir/many-start"
	for i in $(seq $CONTAINERS); do
		timed podctl run -d --name "net0/c$i" --rootfs "$dir/rootfs" sleep 1000 4>>"$dir/many-start"
		[ "$i" != 1 ] || for _ in 1 2 3 4 5; do timed podctl ps 4>>"$dir/ps-one"; done
	done
	for _ in 1 2 3 4 5; do timed podctl ps 4>>"$dir/ps-all"; done
	timed podctl stop -t 0 net0 4>"$dir/many-stop"
	timed podctl rm net0 4>"$dir/many-rm"
	first=$(head -n 15 "$dir/many-start" | median)
	last=$(tail -n 15 "$dir/many-start" | median)
	row "$CONTAINERS containers in a pod; start of the last 15 against the first 15, ms" "$last" \
		"first: $first" "<= 1.3 times" "$(verdict "$last" at-most "$(calc "$first * 1.3")")"
	one=$(median <"$dir/ps-one")
	all=$(median <"$dir/ps-all")
	row "podctl ps with $CONTAINERS containers, ms (with one: $one)" "$all" "" "" ""
	row "stopping the pod with $CONTAINERS containers, then removing it, ms" \
		"$(cat "$dir/many-stop") + $(cat "$dir/many-rm")" "" "" ""
}
