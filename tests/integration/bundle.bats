#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl bundle: any bundle's config.json becomes one of the pod.

load helpers

setup_file() {
	common_setup_file
	snapshot "$BATS_FILE_TMPDIR/before"
	podctl create net0
	podctl start net0
}

teardown_file() {
	clean_pods
	compare "$BATS_FILE_TMPDIR/before"
}

setup() {
	dir=$BATS_TEST_TMPDIR/box
	make_bundle "$dir" true
}

config() { json "$dir/config.json" "$@"; }

@test "it says what to run, and that runs" {
	for engine in runc crun; do
		check 0 "run .*net0\.box" podctl bundle net0 "$dir"
		runtime $engine run --bundle "$dir" net0.box </dev/null
	done
}

@test "doing it twice changes nothing" {
	podctl bundle --network podd:ip=10.88.0.77 net0 "$dir"
	cp "$dir/config.json" "$dir/first"
	podctl bundle --network podd:ip=10.88.0.77 net0 "$dir"
	cmp "$dir/config.json" "$dir/first"
}

@test "other options replace what the first call wrote" {
	podctl bundle --network podd net0 "$dir"
	podctl bundle --share net net0 "$dir"
	run config '.annotations["io.podd.networks"]'
	[ "$status" -ne 0 ]
	equal "$(config '.hooks.createContainer | length')" 1
	equal "$(config '.hooks.poststop | length')" 1
	config '.linux.namespaces[] | select(.type == "network") | .path'
}

@test "fields that it does not own stay, unknown ones included" {
	jq '. + {unknown: {deep: [1, 2.5, "x", null, true]}} |
		.hooks.createContainer = [{path: "/bin/true", args: ["true"]}] |
		.annotations = {"org.example.key": "value"}' "$dir/config.json" |
		sed 's/^  "linux": {/  "linux": {"more": 9007199254740993,/' >"$dir/new"
	mv "$dir/new" "$dir/config.json"
	cp "$dir/config.json" "$dir/before"
	podctl bundle net0 "$dir"
	equal "$(config .unknown -c)" "$(json "$dir/before" .unknown -c)"
	equal "$(config '.annotations["org.example.key"]')" value
	equal "$(config '.hooks.createContainer | length')" 2
	equal "$(config '[.hooks.createContainer[].path] | index("/bin/true") != null')" true
	equal "$(config .process)" "$(json "$dir/before" .process)"
	grep -q 9007199254740993 "$dir/config.json"
}

@test "mappings are the pod's, and the user namespace is the pod's by path" {
	podctl bundle net0 "$dir"
	equal "$(config '.linux.uidMappings | map("\(.containerID):\(.hostID):\(.size)") | join(" ")')" \
		"$(json "$(pod_dir net0)/state.json" \
			'.uidMappings | map("\(.container):\(.host):\(.size)") | join(" ")')"
	path=$(config '.linux.namespaces[] | select(.type == "user") | .path')
	equal "$(readlink "$path/." 2>/dev/null || stat -Lc %i "$path")" \
		"$(inside net0 stat -Lc %i /proc/self/ns/user)"
}

@test "the bundle's own /etc/hosts is left alone" {
	jq '.mounts += [{destination: "/etc/hosts", source: "/dev/null", type: "bind",
		options: ["bind"]}]' "$dir/config.json" >"$dir/new"
	mv "$dir/new" "$dir/config.json"
	podctl bundle net0 "$dir"
	equal "$(config '[.mounts[] | select(.destination == "/etc/hosts")] | length')" 1
	equal "$(config '.mounts[] | select(.destination == "/etc/hosts") | .source')" /dev/null
}

@test "a config.json that is none is refused and left as it was" {
	while IFS='|' read -r text pattern; do
		printf '%s' "$text" >"$dir/config.json"
		check 125 "config.json.*($pattern)" podctl bundle net0 "$dir"
		equal "$(<"$dir/config.json")" "$text"
	done <<-'END'
		{"ociVersion": "1.0.2"}|linux
		{"linux": 5}|linux
		{"linux": {"namespaces": {}}}|namespaces
		{"linux": {}, "linux": {}}|duplicate|twice|linux
		not json|:1:
		{"linux": {}|:1:|end
	END
	equal "$(ls "$dir")" "$(printf 'config.json\nio')"
}

@test "a missing bundle, a missing pod and a stopped pod are told apart" {
	check 125 "$BATS_TEST_TMPDIR/none" podctl bundle net0 "$BATS_TEST_TMPDIR/none"
	check 125 "no pod.*nopod|nopod" podctl bundle nopod "$dir"
	podctl create idle
	cp "$dir/config.json" "$dir/before"
	check 125 "idle.*(start|running|stopped)" podctl bundle idle "$dir"
	cmp "$dir/config.json" "$dir/before"
	podctl rm idle
}

@test "names outside the grammar are refused" {
	long=$(printf 'a%.0s' $(seq 64))
	for name in ../x '' "$long" Upper 'a b' .x -x; do
		check '2|125' 'name|a-z' podctl bundle --name="$name" net0 "$dir"
	done
}

@test "bad --network and --share values are refused by name" {
	for value in podd:ip=1.2.3 podd:mac=zz podd:colour=red ':' podd:ip; do
		check '2|125' "${value##*:}|network" podctl bundle --network "$value" net0 "$dir"
	done
	check '2|125' everything podctl bundle --share everything net0 "$dir"
}

@test "it is written at once: a full disk leaves the old file" {
	small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
	admin tmpfs "$small" 256k
	make_bundle "$small/box" true
	cp "$small/box/config.json" "$dir/before"
	run dd if=/dev/zero of="$small/fill" bs=1k
	check 125 'No space' podctl bundle net0 "$small/box"
	cmp "$small/box/config.json" "$dir/before"
	equal "$(find "$small/box" -type f)" "$small/box/config.json"
	admin umount "$small"
}
