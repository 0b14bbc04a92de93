#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Real servers of Debian's as containers of a pod, used by real clients in other containers of it.

load helpers

setup_file() {
	[ -d "${PODD_SERVICES:-}" ] || fail "no root file system with the servers: \$PODD_SERVICES"
	# The servers' root file system has to be ours.
	cp -r --reflink=auto --preserve=mode,links "$PODD_SERVICES" "$BATS_FILE_TMPDIR/services"
	export PODD_ROOT=$XDG_RUNTIME_DIR/podd
	install -d -m 0700 "$PODD_ROOT"
}

setup() {
	snapshot "$BATS_TEST_TMPDIR/before"
	podctl create net0
	podctl start net0
}

teardown() {
	clean_pods
	compare "$BATS_TEST_TMPDIR/before"
}

# run VERB-OPTIONS... -- COMMAND...: a container of the servers' file system, with changes thrown
# away.
service() { # name options... command...
	local name=$1
	shift
	podctl run --name "net0/$name" --rootfs "$BATS_FILE_TMPDIR/services:O" "$@"
}

is_healthy() { [ "$(json "$(child_dir "$1")/state.json" .health)" = healthy ]; }

# Waits for the event that says so.
await_healthy() { # path
	local events=$BATS_TEST_TMPDIR/events
	rm -f "$events"
	mkfifo "$events"
	timeout 30 "$PODD_STAGE/bin/podctl" events --format json net0 >"$events" 3>&- &
	exec 9<"$events"
	while ! is_healthy "$1" && read -r -t 30 _ <&9; do :; done
	# Its next event would end it as well.
	exec 9<&-
	kill $! 2>/dev/null || true
	wait $! || true
	is_healthy "$1" || { podctl logs "$1"; fail "$1 did not become healthy"; }
}

@test "nginx serves pages to a client in another container, by localhost and by address" {
	local page=$BATS_TEST_TMPDIR/page
	mkdir "$page"
	echo "a page by nginx" >"$page/index.html"
	cat >"$BATS_TEST_TMPDIR/nginx.conf" <<-'END'
		daemon off;
		error_log /dev/stderr;
		events {}
		http {
			access_log /dev/stdout;
			server { listen 80; root /page; }
		}
	END
	for engine in crun runc; do
		service web -d --runtime $engine --read-only --tmpfs /run --tmpfs /var/lib/nginx \
			-v "$page:/page:ro" -v "$BATS_TEST_TMPDIR/nginx.conf:/etc/nginx/nginx.conf:ro" \
			--health-cmd 'wget -qO- http://127.0.0.1/' --health-interval 1 nginx
		await_healthy net0/web
		check 0 'a page by nginx' service client --rm --runtime $engine wget -qO- http://localhost/
		await_log net0/web '"GET / HTTP/1.1" 200'
		check 0 '' podctl stop net0/web
		equal "$(json "$(child_dir net0/web)/exit.json" .status)" 0
		podctl rm net0/web

		service bridged -d --runtime $engine --network podd -v "$page:/page:ro" \
			-v "$BATS_TEST_TMPDIR/nginx.conf:/etc/nginx/nginx.conf:ro" \
			--health-cmd 'wget -qO- http://127.0.0.1/' --health-interval 1 nginx
		await_healthy net0/bridged
		check 0 'a page by nginx' service client --rm --network podd wget -qO- http://bridged/
		podctl rm -f net0/bridged
	done
}


@test "redis keeps what a client in another container writes, over a restart" {
	mkdir "$BATS_TEST_TMPDIR/data"
	service redis -d -u redis -v "$BATS_TEST_TMPDIR/data:/data:U" -w /data \
		--health-cmd 'redis-cli ping' --health-interval 1 redis-server --appendonly yes
	await_healthy net0/redis
	check 0 OK service client --rm redis-cli set key value
	check 0 '' podctl stop net0/redis
	check 0 '' podctl start net0/redis
	await_healthy net0/redis
	check 0 value service client --rm redis-cli get key
	check 0 '' podctl exec net0/redis redis-cli incr count
	check 0 '' podctl rm -f net0/redis
	podctl run --rm --name net0/clean --rootfs "$BATS_FILE_TMPDIR/services:O" \
		-v "$BATS_TEST_TMPDIR/data:/data" sh -c 'rm -r /data/*; chown 0:0 /data'
}

@test "postgres answers queries of a client in another container" {
	local bin=/usr/lib/postgresql/15/bin
	mkdir "$BATS_TEST_TMPDIR/data"
	service init --rm -u postgres -v "$BATS_TEST_TMPDIR/data:/data:U" --tmpfs /run/postgresql:mode=1777 \
		$bin/initdb -D /data/db -A trust --no-locale -N >/dev/null
	service postgres -d -u postgres -v "$BATS_TEST_TMPDIR/data:/data" \
		--tmpfs /run/postgresql:mode=1777 --stop-signal INT \
		--health-cmd "$bin/pg_isready -h 127.0.0.1" --health-interval 1 \
		$bin/postgres -D /data/db -c listen_addresses=127.0.0.1 -c jit=off
	await_healthy net0/postgres
	check 0 $'\n5050$' service client --rm -u postgres $bin/psql -h 127.0.0.1 -At -c \
		'CREATE TABLE t AS SELECT generate_series(1,100) AS n; SELECT sum(n) FROM t' postgres
	check 0 '' podctl stop net0/postgres
	equal "$(json "$(child_dir net0/postgres)/exit.json" .status)" 0
	podctl rm net0/postgres
	podctl run --rm --name net0/clean --rootfs "$BATS_FILE_TMPDIR/services:O" \
		-v "$BATS_TEST_TMPDIR/data:/data" sh -c 'rm -r /data/*; chown 0:0 /data'
}
