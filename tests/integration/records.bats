#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the programs write and print is what schemas/ say.

load helpers

setup_file() {
	common_setup_file
	use_cni_config
	conflist blue "$(bridge_json blue0 10.77.0.0/24)"
	conflist bad '{"type": "no-such-plugin"}'
	podctl create --label app=shop --uidmap "0:$(id -u):1" --gidmap "0:$(id -g):1" one
	podctl create net0
	podctl create --publish 127.0.0.1:8088:80 -p 53/udp --egress 'deny to 10.0.0.0/8 log' \
		--egress '{"protocol": 0, "networks": [{"start": "1.1.1.1"}]}' idle
	podctl start one net0
	dir=$BATS_FILE_TMPDIR/alpha
	make_bundle "$dir" sh -c "$SERVER"
	podctl bundle --hostname alpha --network podd --network blue:ifname=lan0 --publish 80:80 \
		net0 "$dir"
	start_child crun net0 alpha "$dir"
	dir=$BATS_FILE_TMPDIR/near
	make_bundle "$dir" sh -c "$SERVER"
	podctl bundle --share net net0 "$dir"
	start_child runc net0 near "$dir"
	dir=$BATS_FILE_TMPDIR/broken
	make_bundle "$dir" true
	podctl bundle net0 "$dir"
	jq '.annotations["io.podd.networks"] = "bad"' "$dir/config.json" >"$dir/new"
	mv "$dir/new" "$dir/config.json"
	crun run --bundle "$dir" net0.broken </dev/null || true
}

teardown_file() {
	end_child crun net0 alpha "$BATS_FILE_TMPDIR/alpha"
	end_child runc net0 near "$BATS_FILE_TMPDIR/near"
	clean_pods
}

@test "pod.json" {
	for pod in one net0 idle; do
		valid pod "$(pod_dir $pod)/pod.json"
	done
}

@test "state.json" {
	valid state "$(pod_dir one)/state.json" "$(pod_dir net0)/state.json"
}

@test "attachment.json" {
	valid attachment "$(attachment net0 alpha)" "$(attachment net0 near)"
}

@test "error.json" {
	valid error "$(pod_dir net0)/children/broken/error.json"
}

@test "every record in the hierarchy has a schema" {
	while read -r file; do
		name=$(basename "$file" .json)
		[ -e "$SCHEMAS/$name.schema.json" ] || fail "no schema for $file"
		valid "$name" "$file"
	done < <(find "$PODD_ROOT" -name '*.json' ! -path '*/cni/*')
}

@test "what podctl prints with --format json" {
	podctl ps --format json | valid podctl-ps -
	podctl inspect net0 net0/alpha idle | valid podctl-inspect -
	podctl network ls --format json | valid podctl-network-ls -
	podctl network inspect podd blue | valid podctl-network-inspect -
	podctl version --format json | valid podctl-version -
	podctl hooks --format config --pod net0 | valid podctl-hooks -
	podctl hooks --format hooks.d --stage poststop | valid podctl-hooks-d -
	podctl create --format json fresh | valid podctl-result -
	run podctl start --format json fresh nopod
	sed '/^podctl:/d' <<<"$output" | valid podctl-result -
	podctl stop --format json fresh | valid podctl-result -
	podctl rm --format json fresh | valid podctl-result -
	make_bundle "$BATS_TEST_TMPDIR/box" true
	podctl bundle --format json net0 "$BATS_TEST_TMPDIR/box" | valid podctl-bundle -
}

@test "the control socket answers what the interface description says" {
	socket=$(pod_dir net0)/control.sock
	check 0 'io\.podd\.Pod' "$TOOL" call "$socket" org.varlink.service.GetInfo
	run "$TOOL" call "$socket" org.varlink.service.GetInterfaceDescription \
		'{"interface": "io.podd.Pod"}'
	equal "$(json - .description <<<"$output")" "$(<"$SCHEMAS/io.podd.Pod.varlink")"
	check 0 '' "$TOOL" call "$socket" io.podd.Pod.Inspect
	equal "$(json - .spec.path <<<"$output")" net0
	json - .spec <<<"$output" | valid pod -
	json - .state <<<"$output" | valid state -
	check 0 'alpha' "$TOOL" call "$socket" io.podd.Pod.Children
	check 0 '"kind": *"user"' "$TOOL" call "$socket" io.podd.Pod.Namespaces
	check 1 'MethodNotFound' "$TOOL" call "$socket" io.podd.Pod.Nothing
	check 1 'InterfaceNotFound' "$TOOL" call "$socket" org.example.Nothing
	check 1 'InvalidParameter' "$TOOL" call "$socket" io.podd.Pod.Stop '{"timeout": "x"}'
	check 1 'NoSuchChild' "$TOOL" call "$socket" io.podd.Pod.Attach \
		'{"child": "nobody", "generation": "00000000000000000000000000000000"}'
}

@test "the control socket survives what is no message" {
	socket=$(pod_dir net0)/control.sock
	for bytes in 10 100000 10000000; do
		head -c $bytes /dev/urandom | "$TOOL" raw "$socket" >/dev/null
		head -c $bytes /dev/zero | tr '\0' 'x' | "$TOOL" raw "$socket" >/dev/null
	done
	printf '{"method":"io.podd.Pod.Inspect"}\0garbage\0' | "$TOOL" raw "$socket" >/dev/null
	head -c 200000 /dev/zero | tr '\0' '[' | "$TOOL" raw "$socket" >/dev/null
	check 0 '' "$TOOL" call "$socket" io.podd.Pod.Inspect
}

@test "another user may not use the control socket" {
	[ "$(stat -c %a "$(pod_dir net0)/control.sock")" = 600 ]
	[ "$(stat -c %a "$PODD_ROOT")" = 700 ]
	[ "$(stat -c %a "$(pod_dir net0)")" = 700 ]
}
