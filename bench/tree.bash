# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The figures of pods in pods, of what is killed and comes back, and of looking after many, for bench/run.
# shellcheck disable=SC2016,SC2129,SC2154  # scripts for other shells are quoted; bench/run sets the variables

readonly DOCTOR_PODS=100 DOCTOR_CHILDREN=3 DEPTH=3

# A pod in a pod does what a pod does (namespaces, mounts, rules) and what a container's ADD does.
figure_nested_start() {
	local ours add
	progress "pods in pods"
	{ podctl create nest && podctl start nest; } >>"$log"
	for _ in $(seq "$runs"); do
		podctl create nest/p >>"$log"
		settle
		timed podctl start nest/p 4>>"$dir/nested-start"
		podctl rm -f nest/p >>"$log"
	done
	podctl rm -f nest >>"$log"
	ours=$(median <"$dir/nested-start")
	add=$(median <"$dir/add")
	row "start of a pod in a pod, ms" "$ours" "a container's ADD: $add" "<= ADD + 20" \
		"$(verdict "$ours" at-most "$(calc "$add + 20")")"
}

# Out of the pod at the top, and out of the third one in it.
figure_depth() {
	local path=deep one three
	progress "throughput out of depth $DEPTH"
	podctl create deep >>"$log"
	for _ in $(seq 2 $DEPTH); do
		path=$path/in
		podctl create $path >>"$log"
	done
	podctl start $path >>"$log"
	iperf3 -s -D -I "$dir/iperf.pid" >>"$log"
	for _ in $(seq "$IPERF_RUNS"); do
		iperf podctl enter deep -- -- -P 1 >>"$dir/depth-one"
		iperf podctl enter $path -- -- -P 1 >>"$dir/depth-three"
	done
	end_iperf
	podctl rm -f deep >>"$log"
	one=$(calc "$(median <"$dir/depth-one")")
	three=$(calc "$(median <"$dir/depth-three")")
	row "TCP out of a pod $DEPTH deep, Gbit/s" "$three" "depth 1: $one" ">= 0.7 times" \
		"$(verdict "$three" at-least "$(calc "$one * 0.7")")"
}

pid_of() { jq ".$2.pid" "$PODD_ROOT/$1/state.json"; } # pod process

kill_and_start() {
	kill -9 "$(pid_of rec podd)"
	podctl start rec
}

# A short connection; one that meets a dead uplink is given up, and tried again.
connect_again() {
	local old
	old=$(pid_of rec uplink)
	kill -9 "$old"
	podctl enter rec -- bash -c 'until timeout 0.02 bash -c "exec 3<>/dev/tcp/$0/5201"; do :; done' "$HOST4"
	until [ "$(pid_of rec uplink)" != "$old" ]; do :; done
}

# Segments that were sent again by a stream during which podd was killed and started again.
sent_again() { # command
	iperf podctl enter rec -- -- -P 1 >/dev/null
	podctl enter rec -- iperf3 -c "$HOST4" -t 2 -J >"$dir/stream" 2>>"$log" &
	settle
	"$@" >>"$log"
	wait $!
	jq '.end.sum_sent.retransmits' "$dir/stream"
}

figure_recovery() {
	local podd uplink again plain
	progress "recovery"
	{ podctl create rec && podctl start rec; } >>"$log"
	iperf3 -s -D -I "$dir/iperf.pid" >>"$log"
	for _ in $(seq "$runs"); do
		settle
		timed kill_and_start 4>>"$dir/podd-back"
		settle
		timed connect_again 4>>"$dir/uplink-back"
	done
	for _ in $(seq "$IPERF_RUNS"); do
		sent_again true >>"$dir/sent-plain"
		sent_again kill_and_start >>"$dir/sent-again"
	done
	end_iperf
	podctl rm -f rec >>"$log"
	podd=$(median <"$dir/podd-back")
	uplink=$(median <"$dir/uplink-back")
	again=$(median <"$dir/sent-again")
	plain=$(median <"$dir/sent-plain")
	row "podd back after SIGKILL, with the next podctl call, ms" "$podd" "" "<= 100" \
		"$(verdict "$podd" at-most 100)"
	row "segments of a stream sent again meanwhile" "$again" "without a kill: $plain" "no more" \
		"$(verdict "$again" at-most "$plain")"
	row "new connections after SIGKILL of podd-uplink, ms" "$uplink" "" "<= 200" \
		"$(verdict "$uplink" at-most 200)"
}

figure_doctor() {
	local ours
	progress "doctor over $DOCTOR_PODS pods"
	for i in $(seq $DOCTOR_PODS); do
		podctl create "doc$i" >>"$log"
		podctl start "doc$i" >>"$log"
		for j in $(seq $DOCTOR_CHILDREN); do
			podctl run -d --name "doc$i/c$j" --network podd --stop-signal KILL --rootfs "$dir/rootfs" \
				sleep 1000 >>"$log" || failed podctl run
		done
	done
	timed podctl doctor 4>/dev/null
	for _ in $(seq "$IPERF_RUNS"); do
		timed podctl doctor 4>>"$dir/doctor"
	done
	podctl rm -f -a >>"$log"
	ours=$(median <"$dir/doctor")
	row "podctl doctor over $DOCTOR_PODS pods with $DOCTOR_CHILDREN containers each, ms" "$ours" "" \
		"< 1000" "$(verdict "$ours" at-most 1000)"
}

figure_tree() {
	figure_nested_start
	figure_depth
	figure_recovery
	figure_doctor
}
