#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A short soak, with fixed seeds; tests/soak is the long one.

load helpers
load soak

setup_file() {
	common_setup_file
}

setup() {
	soak_begin
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || podctl rm -f -t 0 -a || true
}

rounds() {
	local seed
	for seed in "$@"; do
		soak_round "$seed"
	done
}

@test "random victims: nothing is left" {
	rounds 1 2 3 4 5
}

@test "random victims, others" {
	rounds 11 12 13 14 15
}
