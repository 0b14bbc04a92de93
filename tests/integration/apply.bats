#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl apply: from files to pods and containers, once and again; what is changed, what is made anew,
# what is removed; and files that are wrong.

load helpers

setup_file() {
	common_setup_file
	snapshot "$BATS_FILE_TMPDIR/before"
}

teardown_file() {
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	PODS=$BATS_TEST_TMPDIR/pods.d
	mkdir -m 0700 "$PODS"
}

teardown() {
	rescue || true
	podctl rm -f -t 0 -a >/dev/null
}

# define NAME [jq program]: a pod with a container that waits, as the program changes it.
define() {
	jq -n --arg rootfs "$BATS_FILE_TMPDIR/rootfs" '{version: 1, options: {label: {team: "red"}},
		containers: {web: {options: {rootfs: $rootfs, env: {A: "1"}, "stop-signal": "KILL"},
			command: ["sleep", "1000"]}}} | '"${2:-.}" >"$PODS/$1.json"
	valid pods.d "$PODS/$1.json"
}

apply() { podctl apply --dir "$PODS" "$@"; }

# What is planned, a line each: action path.
plan() {
	apply --dry-run --format json "$@" >"$BATS_TEST_TMPDIR/plan"
	valid podctl-apply "$BATS_TEST_TMPDIR/plan"
	jq -r '.[] | .action + " " + .path' "$BATS_TEST_TMPDIR/plan"
}

# What the plan says, it does, and then there is nothing more to do.
applied() { # expected plan [options]
	local expected=$1
	shift
	equal "$(plan "$@")" "$expected"
	check 0 '' apply "$@"
	check 0 '^nothing to do$' apply "$@"
}

MADE="create net0
start net0
create net0/web
start net0/web"

started() { ctr_state net0/web .started; }

@test "a pod and a container are made and started, and then left alone" {
	define net0
	check 0 'create +net0/web +it is not there' apply --dry-run
	check 0 '^$' podctl ps -q
	applied "$MADE"
	equal "$(ctr_state net0/web .phase)" running
	equal "$(json "$(child_dir net0/web)/container.json" '.labels."io.podd.applied"')" pods.d
	equal "$(json "$(pod_dir net0)/pod.json" .labels.team)" red
	valid container "$(child_dir net0/web)/container.json"
}

@test "the directory is \$XDG_CONFIG_HOME/podd/pods.d, or root's" {
	define net0
	mkdir -p "$BATS_TEST_TMPDIR/config/podd"
	mv "$PODS" "$BATS_TEST_TMPDIR/config/podd/pods.d"
	if rootless; then
		XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config check 0 'create +net0' podctl apply --dry-run
	fi
	check 125 '/pods.d' env XDG_CONFIG_HOME=/nowhere "$PODD_STAGE/bin/podctl" apply --dry-run
	chmod 0777 "$BATS_TEST_TMPDIR/config/podd/pods.d"
	check 125 'written by others|write' podctl apply --dir "$BATS_TEST_TMPDIR/config/podd/pods.d"
}

@test "what can be changed is changed, and the container runs on" {
	define net0 '.containers.web.options += {network: "podd", egress: ["deny to 192.0.2.1"]}'
	check 0 '' apply
	since=$(started)
	define net0 '.options.publish = ["7310:7310"] | .options.egress = ["deny to 198.51.100.1"] |
		.containers.web.options += {network: "podd", publish: ["7300:80"], restart: "on-failure:3",
			egress: ["deny to 192.0.2.1 proto tcp", "allow to 192.0.2.1"]}'
	applied "change net0
change net0
change net0/web
change net0/web
change net0/web
change net0/web"
	equal "$(started)" "$since"
	equal "$(podctl port list --format json net0 | jq -r '.[] | "\(.path) \(.hostPort)"' | sort)" \
		"net0 7310"$'\n'"net0/web 7300"
	equal "$(podctl egress list --format json net0 | jq -r '.[] | "\(.path) \(.rule)"')" \
		"net0 deny to 198.51.100.1
net0/web deny to 192.0.2.1 proto tcp
net0/web allow to 192.0.2.1"
	equal "$(json "$(child_dir net0/web)/container.json" '"\(.restart) \(.restartMax)"')" "on-failure 3"
	define net0 '.containers.web.options += {network: "podd"}'
	applied "change net0
change net0
change net0/web
change net0/web
change net0/web"
	equal "$(started)" "$since"
	equal "$(podctl egress list --format json net0)" "[]"
}

@test "limits are changed" {
	define net0 '.containers.web.options["pids-limit"] = 50'
	check 0 '' apply
	since=$(started)
	if [ "$(json "$(child_dir net0/web)/container.json" .limits.pids)" != 50 ]; then
		# Nothing to limit it by was delegated.
		check 0 'nothing to do' apply
		return
	fi
	define net0 '.containers.web.options["pids-limit"] = 60'
	applied "change net0/web"
	define net0
	applied "change net0/web"
	equal "$(json "$(child_dir net0/web)/container.json" .limits.pids)" 0
	equal "$(started)" "$since"
}

@test "what cannot be changed is made anew, and the plan says why" {
	define net0
	check 0 '' apply
	since=$(started)
	define net0 '.containers.web.options.env.A = "2"'
	check 0 'remove +net0/web +it differs, and cannot be changed: process' apply --dry-run
	applied "remove net0/web
create net0/web
start net0/web"
	[ "$(started)" != "$since" ]
	define net0 '.containers.web.options["stop-timeout"] = 3'
	check 0 'cannot be changed: stopTimeout' apply --dry-run
	define net0 '.options.mtu = 1500'
	check 0 'remove +net0 +it differs, and cannot be changed: mtu' apply --dry-run
	applied "remove net0
$MADE"
	equal "$(json "$(pod_dir net0)/pod.json" .mtu)" 1500
}

@test "running and stopped" {
	define net0 '.containers.web.state = "stopped"'
	applied "create net0
start net0
create net0/web"
	define net0
	applied "start net0/web"
	define net0 '.state = "stopped"'
	applied "stop net0"
	define net0
	applied "start net0/web"
	podctl stop net0
	define net0 '.containers.web.state = "stopped"'
	applied "start net0
stop net0/web"
	define net0
	applied "start net0/web"
	end_process KILL "$(pod_process net0 podd)"
	equal "$(plan)" "start net0"
	applied "start net0"
}

@test "only what apply has made is removed, and only with --prune" {
	define net0 '.containers.job = .containers.web'
	define net1
	podctl create by-hand
	check 0 '' apply
	box create own true
	rm "$PODS/net1.json"
	define net0
	check 0 'nothing to do' apply
	applied "remove net1
remove net0/job" --prune
	equal "$(podctl ps -aq | sort | xargs)" "by-hand net0 net0/own net0/web"
	rm "$PODS/net0.json"
	check 125 'net0/own.*nothing was changed' apply --prune
	podctl rm net0/own
	define net2
	equal "$(plan --prune net0)" "remove net0"
	equal "$(plan --prune net2)" "create net2
start net2
create net2/web
start net2/web"
	check 125 'net9: there is no file of that pod' apply net9
}

@test "what somebody else made is not touched" {
	podctl create net0
	define net0
	define net1
	check 125 'net0.json: pod net0 is there, and podctl apply did not make it.*nothing was changed' apply
	equal "$(podctl ps -aq)" net0
	podctl rm net0
	define net0 'del(.containers)'
	check 0 '' apply
	box create web true
	define net0
	check 125 'container net0/web is there, and podctl apply did not make it' apply
	define net0 'del(.containers) | .options.mtu = 1500'
	check 125 'pod net0 must go, but podctl apply did not make container net0/web' apply
}

@test "every error of all files is told, and nothing is done" {
	define good
	cat >"$PODS/net0.json" <<-'END'
		{"version": 2, "stat": "x", "state": "on",
		 "options": {"mtu": 5, "net": ["slirp"], "host-loopback": "yes", "nothing": 1, "publish": {"a": "b"}},
		 "containers": {"Web": {"options": {"rootfs": "here"}},
			"db": {"options": {"env": {"A=B": "c"}, "name": "x", "read-only": 1}, "command": "true"}}}
	END
	printf '{"version": 1, }' >"$PODS/net1.json"
	define net2 '.containers.web.options.rootfs = "/nowhere/at/all"'
	define net3 '.options.cidr = "10.0.0.0/33"'
	define net4 '.containers.web.options.memory = "much"'
	define Net5
	run apply
	equal "$status" 125
	for problem in 'net0.json: version: ' 'net0.json: the whole: has an unknown member "stat"' \
		'net0.json: state: must be "running" or "stopped"' 'net0.json: options.mtu: must be a number from' \
		'net0.json: options.net: may be given once only' 'net0.json: options.host-loopback: must be a bool' \
		'net0.json: options.nothing: there is no such option' 'net0.json: options.publish: must be an array' \
		'net0.json: containers.Web: ' 'net0.json: containers.Web.options: rootfs must be an absolute path' \
		'net0.json: containers.db.options.env.A=B: ' 'net0.json: containers.db.options.name: there is no such' \
		'net0.json: containers.db.options.read-only: must be a bool' \
		'net0.json: containers.db.options: rootfs or bundle is missing' \
		'net0.json: containers.db.command: must be an array' 'net1.json:1:16' \
		'net2.json: containers.web: .*/nowhere/at/all' 'net3.json: options: --cidr' \
		'net4.json: containers.web: --memory' 'Net5.json: its name: ' 'nothing was changed'; do
		matches "$output" "$problem"
	done
	equal "$(podctl ps -aq)" ""
}

@test "pods in pods: made outermost first, and removed innermost first" {
	define net0
	define net0.in 'del(.containers)'
	define net0.in.most 'del(.containers)'
	applied "$MADE
create net0/in
start net0/in
create net0/in/most
start net0/in/most"
	define net0 '.state = "stopped"'
	check 125 'net0.in.json: pod net0/in shall run, but pod net0, .*shall be stopped' apply
	define net0.in 'del(.containers) | .state = "stopped"'
	define net0.in.most 'del(.containers) | .state = "stopped"'
	check 0 '' apply
	check 0 '^nothing to do$' apply
	rm "$PODS"/*
	check 125 'net0 must go, but pod net0/in is in it' apply --prune net0
	applied "remove net0/in/most
remove net0/in
remove net0" --prune
	equal "$(podctl ps -aq)" ""
}

@test "what does not go together is told before anything is done" {
	define x.y
	define a.b.c.d.e.f.g.h.i
	define p
	define p.web
	define q '.options.root = "/nowhere/at/all"'
	define r '.options.stage = ["here"]'
	define s '.options.root = "there"'
	run apply
	equal "$status" 125
	for problem in 'x.y.json: pod x/y is in pod x, which is not there' \
		'a.b.c.d.e.f.g.h.i.json: pod .*: pods nest at most 8 deep' \
		'p.web.json: p/web is also the name of a container, in p.json' \
		'r.json: options.stage: must be absolute paths' \
		's.json: options: root must be an absolute path' 'nothing was changed'; do
		matches "$output" "$problem"
	done
	rm "$PODS"/[rs].json
	check 125 'q.json: options: --root /nowhere/at/all: ' apply
	equal "$(podctl ps -aq)" ""
}

@test "a step that fails ends it, and the next one goes on there" {
	define net0 '.containers.job = (.containers.web | .command = ["/bin/nothing"])'
	check 125 'start of net0/job failed' apply
	define net0
	check 0 '' apply --prune
	equal "$(ctr_state net0/web .phase)" running
	check 0 'nothing to do' apply
}
