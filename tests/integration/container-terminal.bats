#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# podctl in a real terminal: -it, job control, size, detaching and attaching, and that the caller's
# terminal is as it was after every way of ending.

load helpers

setup_file() {
	common_setup_file
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
	RUN=(podctl run -it --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" --runtime)
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# terminal COMMAND <SCRIPT: all descriptors but the standard ones closed.
terminal() { "$BATS_TEST_DIRNAME/terminal" "$@" 3>&-; }

@test "a shell in a terminal: input, status, size changes, job control" {
	for engine in crun runc; do
		terminal "${RUN[@]}" $engine --rm sh <<-'END'
			raw
			send tty && echo size $(stty size 2>/dev/null || echo none)\n
			expect /dev/(pts/0|console)
			send echo a$((1+1))b\n
			expect a2b
			send echo b$((1))g; cat\n
			expect b1g
			send once\n
			expect once\r\nonce
			send \x03
			expect ~ #
			send echo $?$((5))\n
			expect 1305
			send echo c$((1))t; cat\n
			expect c1t
			send typed\n
			expect typed\r\ntyped
			send \x1a
			expect Stopped.*\r\n~ #
			send kill -9 %1; echo $((4+4))x\n
			expect 8x
			# The first time, the shell reminds of its stopped job.
			send exit 6\nexit 6\n
			end 6
			cooked
		END
	done
}

@test "the terminal's size reaches the container, at the start and later" {
	for engine in crun runc; do
		terminal "${RUN[@]}" $engine --rm sh -c 'while :; do stty size; read -t 1 x && exit 0; done' <<-'END'
			expect 24 80
			resize 33 111
			expect 33 111
			send x\n
			end 0
			cooked
		END
	done
}

@test "detach, attach again, and end" {
	terminal "${RUN[@]}" crun sh <<-'END'
		raw
		send echo first$((1))\n
		expect first1
		send \x10\x11
		end 0
		cooked
	END
	check 0 'net0/a .*running' podctl ps
	terminal podctl attach net0/a <<-'END'
		raw
		send echo second$((2))\n
		expect second2
		send \x10\x11
		end 0
		cooked
	END
	terminal podctl attach --detach-keys ctrl-x,y net0/a <<-'END'
		raw
		send \x10\x11
		send echo third$((3))\n
		expect third3
		send \x18y
		end 0
		cooked
	END
	terminal podctl attach net0/a <<-'END'
		raw
		send exit 9\n
		end 9
		cooked
	END
	equal "$(podctl wait net0/a)" 9
}

@test "exec -it twice beside each other" {
	podctl run -d --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" sleep 1000
	terminal podctl exec -it net0/a sh <<-'END' &
		raw
		send echo one$((1)); read x </dev/tty; exit 3\n
		expect one1
		send x\n
		end 3
		cooked
	END
	terminal podctl exec -it net0/a sh <<-'END'
		raw
		send tty; echo two$((2)); exit 4\n
		expect /dev/pts/[0-9]
		expect two2
		end 4
		cooked
	END
	wait $!
}

@test "the caller's terminal is restored whatever ends podctl" {
	for signal in KILL TERM HUP; do
		terminal "${RUN[@]}" crun --rm sh <<-END
			raw
			send echo ready\$((1))\\n
			expect ready1
			signal $signal
			cooked
		END
		podctl rm -f -t 0 net0/a
	done
	# The container's end, the shim's, and the pod's.
	terminal "${RUN[@]}" crun sh <<-END
		raw
		sh podctl kill net0/a
		end 137
		cooked
	END
	podctl rm net0/a
	terminal "${RUN[@]}" crun sh <<-END
		raw
		sh kill -9 \$(jq .shim.pid $(child_dir net0/a)/state.json)
		cooked
	END
	podctl rm -f -t 0 net0/a
	terminal "${RUN[@]}" crun sh <<-END
		raw
		sh podctl stop -t 0 net0
		end 137
		cooked
	END
}

@test "several are attached at once, and all see the output" {
	podctl run -d -it --name net0/a --rootfs "$BATS_FILE_TMPDIR/rootfs" sh
	mkfifo "$BATS_TEST_TMPDIR/attached"
	terminal podctl attach net0/a <<-END &
		raw
		sh echo >$BATS_TEST_TMPDIR/attached
		expect told3
		send \\x10\\x11
		end 0
	END
	terminal podctl attach net0/a <<-END
		raw
		sh cat $BATS_TEST_TMPDIR/attached
		send echo told\$((3))\\n
		expect told3
		send \\x10\\x11
		end 0
	END
	wait $!
}

@test "without a terminal on this side, -t still gives the container one" {
	check 0 '/dev/(pts/0|console)' podctl run -t --rm --name net0/a \
		--rootfs "$BATS_FILE_TMPDIR/rootfs" tty
}
