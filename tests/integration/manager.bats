#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podd under a service manager that is none of systemd's, and what is said where there is no systemd.
# See systemd.bats for the real one.

load helpers

setup_file() {
	common_setup_file
	PODD=$PODD_STAGE/libexec/podd/podd
	export PODD
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create -p 8080:80 net0
	said=$BATS_TEST_TMPDIR/said
}

teardown() {
	rescue || true
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# manage OPTION... : runs podd under a manager in the background, until it says that it is ready.
manage() {
	"$TOOL" manage "$@" -- "$PODD" net0 >"$said" 2>"$said.err" 3>&- &
	manager=$!
	await_file "$said" '^READY=1' || { cat "$said.err" && return 1; }
}

@test "podd is ready when its pod serves, says what it does, and feeds the watchdog" {
	manage watchdog=200000
	check 0 'uid=0' inside net0 id
	equal "$(grep -c '^READY=1 STATUS=Pod net0 runs fds=0$' "$said")" 1
	await_file "$said" '^WATCHDOG=1(.|\n)*^WATCHDOG=1'
	podctl stop net0
	wait $manager
	equal "$(grep -c '^STOPPING=1' "$said")" 1
	# Not before it is.
	matches "$(grep -v WATCHDOG "$said" | tr '\n' '|')" \
		'^(FDSTORE=1 FDNAME=podd-port~~8080,80~0 fds=1\|)+READY=1.*\|STOPPING=1'
}

@test "a pod that does not start is never ready" {
	start_web "$HOST4" 8080
	check 125 'port 8080/tcp' "$TOOL" manage -- "$PODD" net0
	[[ $output != *READY* ]]
	check 125 'no pod' "$TOOL" manage -- "$PODD" nonesuch
	stop_listener 8080
}

@test "kept sockets are taken back by their names, and only when they are what the names say" {
	# The wrong port, one that is not published, and one of another name.
	manage podd-port~~8080,80~0=0.0.0.0:8081 podd-port~~9090,80~0=0.0.0.0:9090 other=0.0.0.0:7777
	equal "$(ss -Hltn 'sport = :8080' | wc -l)" 2
	equal "$(ss -Hltn 'sport = :8081')$(ss -Hltn 'sport = :9090')" ""
	# That one may be for a port that is published later.
	equal "$(ss -Hltn 'sport = :7777' | wc -l)" 1
	grep -q '^FDSTOREREMOVE=1 FDNAME=podd-port~~9090,80~0' "$said"
	podctl stop net0
	wait "$manager"
	grep -q '^FDSTOREREMOVE=1 FDNAME=podd-port~~8080,80~0' "$said"
}

@test "Launch starts a container's shim, whose socket comes along" {
	local socket
	podctl start net0
	socket=$(pod_dir net0)/control.sock
	box create a true
	box create b true
	check 0 'shim says 64' "$TOOL" launch "$socket" a 1
	equal "$(podctl wait net0/a)" 0
	check 0 '^\{\}$' "$TOOL" launch "$socket" b 0
	equal "$(podctl wait net0/b)" 0
	check 1 'NoSuchChild' "$TOOL" launch "$socket" nonesuch 0
	check 1 'InvalidParameter' "$TOOL" launch "$socket" ../a 1
	# More than one for a call is not kept.
	check 1 'closed' "$TOOL" launch "$socket" a 2
	check 0 '"product"' "$TOOL" call "$socket" org.varlink.service.GetInfo
}

@test "a container whose cgroup has no place any more gets another one" {
	local dir
	podctl start net0
	box create a sh -c 'trap exit TERM; sleep 1000 & wait'
	dir=$(child_dir net0/a)
	jq '.cgroup = "/nowhere/at-all/podd-a"' "$dir/container.json" >"$dir/.new"
	mv "$dir/.new" "$dir/container.json"
	chmod 0600 "$dir/container.json"
	podctl start net0/a
	check 0 '^no$' jq -r 'if (.cgroup // "") | startswith("/nowhere") then "yes" else "no" end' \
		"$dir/container.json"
	valid container "$dir/container.json"
	equal "$(jq -r '.linux.cgroupsPath // "none"' "$dir/bundle/config.json")" \
		"$(jq -r '.cgroup // "none"' "$dir/container.json")"
	podctl stop net0/a
	# While it has one it keeps it.
	before=$(<"$dir/container.json")
	podctl start net0/a
	equal "$(<"$dir/container.json")" "$before"
	podctl stop net0/a
}

@test "without systemd the verbs that need it say so, and all others work" {
	check 125 'no systemd here' podctl enable net0
	check 125 'no systemd here' podctl enable --now net0
	check 125 'no systemd here' podctl disable net0
	check 2 'POD|argument' podctl enable
	check 2 'format' podctl disable --format yaml net0
	check 125 'no pod' podctl enable nonesuch
	check 0 '' env PODD_UNITS=yes "$PODD_STAGE/bin/podctl" start net0
	check 0 'net0 .*running' podctl ps
	check 125 'journald needs' box run a --log-driver journald true
	check 0 '' podctl stop net0
}

@test "each message has an entry in the catalog, and each entry is a message" {
	equal "$(sed -n 's/^\t{"[^"]*", "\([0-9a-f]*\)".*/\1/p' "$abs_top_srcdir/podd/messages.h" | sort)" \
		"$(sed -n 's/^-- \([0-9a-f]*\)$/\1/p' "$PODD_STAGE/lib/systemd/catalog/podd.catalog" | sort)"
	check 0 '^9$' grep -c '^Subject: ' "$PODD_STAGE/lib/systemd/catalog/podd.catalog"
}

@test "units name the installed programs" {
	local unit program
	for unit in system user; do
		while read -r program; do
			[ -x "$program" ]
		done < <(sed -n 's/^Exec[A-Za-z]*=-\{0,1\}\([^ ]*\).*/\1/p' "$PODD_STAGE/lib/systemd/$unit"/podd*)
	done
	check 0 '^5$' grep -hc . <(grep -h '^Exec' "$PODD_STAGE"/lib/systemd/user/podd*.service)
	check 1 '' grep -r '@[a-z]*@' "$PODD_STAGE/lib/systemd"
}
