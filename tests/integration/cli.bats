#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line: help, usage errors, exit codes, names, and what is installed beside it.

load helpers

VERBS=(create start stop rm ps inspect enter bundle hooks version "network ls" "network inspect" port
	"port add" "port rm" "port list" enable disable egress "egress add" "egress rm" "egress list" flows capture)

setup_file() {
	common_setup_file
	podctl create net0
	podctl start net0
}

teardown_file() {
	clean_pods
}

@test "every verb has --help with usage and an example" {
	check 0 'Usage' podctl --help
	for verb in "${VERBS[@]}"; do
		matches "$output" "${verb%% *}"
	done
	for verb in "${VERBS[@]}"; do
		# shellcheck disable=SC2086  # two words for network verbs
		check 0 "Usage: podctl .*${verb}.*Example" podctl $verb --help
	done
}

@test "usage errors exit with 2 and name what is wrong" {
	check 2 'verb|command|--help' podctl
	check 2 'fly' podctl fly
	check 2 'colour' podctl create --colour red net0
	check 2 'argument|POD' podctl create
	check 2 'extra' podctl create a extra
	check 2 'mtu' podctl create --mtu x a
	check 2 'mtu' podctl create --mtu 10 a
	check 2 'mtu' podctl create --mtu 70000 a
	check 2 'net.*wire' podctl create --net wire a
	check '2|125' 'label' podctl create --label =nonsense a
	check 2 'format' podctl ps --format yaml
	check 2 'needs a value|--mtu' podctl create --mtu
	check 2 'time' podctl stop -t soon net0
	check 2 'publish.*containerPort' podctl create --publish x a
	check 2 'publish.*none' podctl create --net none -p 80 a
	check 2 'egress.*allow or deny' podctl create --egress permit a
	check 2 'egress.*128' podctl create --egress 'deny port 1,2,3' --egress \
		"deny to 10.0.0.0/8$(printf ',10.0.0.1%.0s' $(seq 125))" a
	check 2 'SPEC|argument' podctl port add net0
	check 2 'containerPort' podctl port add net0 80:x
	check 2 'wait' podctl port add --wait soon net0 80
	check 2 'SPEC' podctl port rm net0
	check 2 'all' podctl port rm --all net0 80
	check 2 'allow or deny' podctl egress add net0 to 10.0.0.0/8
	check 2 'prefix' podctl egress add net0 deny to 10.0.0.0/33
	check 2 'at' podctl egress add --at 0 net0 deny
	check 2 'POSITION' podctl egress rm net0
	check 2 'POSITION' podctl egress rm net0 0
	check 2 'extra' podctl flows net0 extra
	check 2 'snaplen' podctl capture --snaplen x net0
	[ ! -e "$(pod_dir a)" ]
}

@test "bad values name the option, and what would be right" {
	for cidr in 10.0.2.0 10.0.2.0/33 10.0.2.0/26 x/24 300.0.0.0/24 10.0.2.0/7; do
		check '2|125' 'cidr|/24' podctl create --cidr "$cidr" a
	done
	for map in 1 0:0 a:b:c 0:0:0 0:0:-1 0:0:4294967296 0:4294967295:2; do
		check '2|125' 'uidmap|container:host:size' podctl create --uidmap "$map" a
	done
	check '2|125' 'overlap|uidmap' podctl create --uidmap 0:1:10 --uidmap 5:20:10 a
	[ ! -e "$(pod_dir a)" ]
}

@test "names outside the grammar are refused by every verb" {
	long=$(printf 'a%.0s' $(seq 64))
	for name in ../x '' "$long" Upper 'a b' .x a/../b a// /a a/ 'ä' $'a\nb'; do
		for verb in create start stop rm inspect; do
			check '1|2|125' 'name|a-z' podctl $verb -- "$name"
		done
		check '2|125' 'name|a-z' podctl enter "$name" -- true
	done
	short=$(printf 'a%.0s' $(seq 63))
	check 0 '' podctl create "$short"
	check 0 '' podctl rm "$short"
}

@test "a pod that does not exist" {
	check 125 'nopod' podctl start nopod
	check 125 'nopod' podctl stop nopod
	check 1 'nopod' podctl rm nopod
	check '1|125' 'nopod' podctl inspect nopod
	check 125 'nopod' podctl enter nopod -- true
	check 125 'nopod' podctl port nopod
	check 125 'nopod' podctl egress add nopod/web deny
	check 125 'nopod' podctl flows nopod
	check 125 'nopod' podctl capture nopod
	check 0 '' podctl rm -f nopod
}

@test "several pods in one call: the others are still done" {
	podctl create a
	podctl create b
	check 125 'nopod' podctl start a nopod b
	equal "$(podctl ps | grep -c '^[ab] .*running')" 2
	podctl rm -f a b
}

@test "a pod that cannot be looked into hides no other" {
	podctl create --net none good
	podctl create --net none odd
	rmdir "$(pod_dir odd)/children"
	check 0 'warning: odd: .*good +pod +created.*odd +pod +invalid' podctl ps -a
	check 0 '^odd$' podctl rm -f odd
	[ ! -e "$(pod_dir odd)" ]
	podctl create --net none odd
	chmod 0777 "$(pod_dir odd)"
	check 0 'warning: odd: .*podd_pod_[a-z_]+\{pod="good"' podctl metrics
	check 0 'warning: odd: .*make it 0700' podctl stats --no-stream
	check 0 'warning: odd: .*make it 0700' podctl prune -f
	check 1 'odd: record: .*make it 0700' podctl doctor
	chmod 0700 "$(pod_dir odd)"
	podctl rm good odd
}

@test "verbs of two words have both names, and events only those that there are" {
	for verb in port egress; do
		check 0 "$verb rm " podctl $verb remove --help
		check 0 "$verb list " podctl $verb ls --help
	done
	check 0 '^NAME ' podctl network list
	check 2 'type= must be pod or container' podctl events --filter type=x
	check 2 'there is no event "created"' podctl events --filter event=created
	# Every name that the manual has is known.
	man=$BATS_TEST_DIRNAME/../../doc/podctl-events.1.md
	for event in $(sed -n '/^# EVENTS/,/^# OPTIONS/s/^\(\*\*.*\)/\1/p' "$man" | tr -d '*,'); do
		check 0 '' podctl events --stream=false --filter "event=$event"
	done
	podctl create --net none withctr
	podctl create --name withctr/c --rootfs "$BATS_FILE_TMPDIR/rootfs" true
	check 125 "'withctr/c' exists already as a container" podctl create withctr/c
	podctl rm -f withctr
	podctl port add net0 18080:80 18081:81 >/dev/null
	check 0 '18081' podctl port rm net0 18080:80
	[[ $output != *18080* ]]
	check 0 '^PATH[^0-9]*$' podctl port rm net0 18081:81
}

@test "enter has the command's exit status, 126, 127, or 128 and the signal" {
	check 0 '' inside net0 true
	check 1 '' inside net0 false
	check 42 '' inside net0 sh -c 'exit 42'
	check 127 'no-such-command' inside net0 no-such-command
	check 126 '/etc/passwd' inside net0 /etc/passwd
	check 126 '/etc' inside net0 /etc
	check 137 '' inside net0 sh -c 'kill -9 $$'
	check 143 '' inside net0 sh -c 'kill -15 $$'
}

@test "enter passes arguments, input, output and directory through" {
	check 0 '^a b\|\$HOME\|--help$' inside net0 printf '%s|%s|%s' 'a b' '$HOME' --help
	equal "$(echo through | inside net0 cat)" through
	cd "$BATS_TEST_TMPDIR"
	equal "$(inside net0 pwd)" "$PWD"
	check 125 'idle.*(not|start|created)' sh -c \
		"podctl create idle >/dev/null; podctl enter idle -- true; s=\$?; podctl rm idle; exit \$s"
}

@test "enter needs a command, and a running pod" {
	check 2 'command|CMD|argument' podctl enter net0
	check 2 'command|CMD|argument' podctl enter net0 --
}

@test "version says what runs" {
	check 0 '0\.' podctl version
	check 0 '"version"' podctl version --format json
	check 0 '0\.' podctl --version
}

@test "an output that cannot be written is an error" {
	run sh -c 'podctl ps >/dev/full'
	[ "$status" -ne 0 ]
	run sh -c 'podctl inspect net0 >/dev/full'
	[ "$status" -ne 0 ]
}

@test "every program has a man page, and bash a completion" {
	for page in man1/podctl.1 man8/podd.8 man8/podd-outer.8 man8/podd-uplink.8 man8/podd-hook.8; do
		[ -s "$PODD_STAGE/share/man/$page" ] || fail "no $page"
	done
	for verb in "${VERBS[@]}"; do
		grep -q "${verb%% *}" "$PODD_STAGE/share/man/man1/podctl.1"
	done
	completion=$PODD_STAGE/share/bash-completion/completions/podctl
	bash -n "$completion"
	check 0 'inspect' bash -c "source '$completion'; COMP_WORDS=(podctl ins); COMP_CWORD=1
		\$(complete -p podctl | sed -n 's/.*-F \([^ ]*\).*/\1/p') podctl ins podctl
		echo \"\${COMPREPLY[@]}\""
}

@test "programs that are not for people say so" {
	for program in podd podd-outer podd-uplink; do
		run "$PODD_STAGE/libexec/podd/$program" </dev/null
		[ "$status" -ne 0 ]
		[ -n "$output" ]
	done
}
