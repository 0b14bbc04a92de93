#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Stages: trees over the pod's file system, and pods with a root directory of their own.

load helpers

setup_file() {
	common_setup_file
	use_cni_config
	export STAGES=$BATS_FILE_TMPDIR/stages TREE=$BATS_FILE_TMPDIR/tree OWN=$BATS_FILE_TMPDIR/own
	conflist staged "$(bridge_json staged0 10.91.0.0/24 | jq '.type = "stagebridge"')" \
		'{"type": "stagefake"}'
	mkdir -p "$STAGES/plugins/opt/cni/bin" "$STAGES/plugins/usr/lib/cni"
	cp /usr/lib/cni/bridge "$STAGES/plugins/opt/cni/bin/stagebridge"
	cp "$FAKE/cni-fake" "$STAGES/plugins/usr/lib/cni/stagefake"
	make_own
}

# A root file system with its own plugins, and what these need, but no stock ones.
make_own() {
	make_rootfs "$OWN"
	mkdir -p "$OWN/usr/lib/cni" "$OWN/var"
	cp "$FAKE/cni-fake" "$OWN/usr/lib/cni/ownfake"
	ldd "$FAKE/cni-fake" | grep -o '/[^ ]*' | while read -r file; do
		install -D "$file" "$OWN$file"
	done
	echo mine >"$OWN/etc/mine"
}

setup() {
	CNI_CONFIG=$XDG_CONFIG_HOME/cni/net.d
	rm -rf "$TREE" "$STAGES"/{one,two,three,bad,image,order,over}
	mkdir -p "$TREE/sub/deep" "$TREE/plain"
	echo host >"$TREE/file"
	echo host >"$TREE/sub/file"
	snapshot "$BATS_TEST_TMPDIR/before"
}

teardown() {
	rescue || true
	clean_pods
	for directory in "$TREE/sub" "$STAGES/one/$TREE/fresh"; do
		! mountpoint -q "$directory" || admin umount "$directory"
	done
	compare "$BATS_TEST_TMPDIR/before"
}

# What there is of the host's, with contents.
host_state() { find "$TREE" -exec stat -c '%n %f %u %g %Y' {} + | sort && cat "$TREE/file"; }

# stage NAME FILE...: a stage with these files over the tree, each saying the stage's name.
stage() {
	local name=$1 file
	shift
	for file in "$@"; do
		mkdir -p "$STAGES/$name/$(dirname "$file")"
		echo "$name" >"$STAGES/$name/$file"
	done
}

refuse() { # pattern option...
	local pattern=$1
	shift
	check 125 "$pattern" podctl create "$@" net0
	[ ! -e "$(pod_dir net0)" ]
}

# ---- plugins ----

@test "plugins that only a stage has connect containers, with both runtimes" {
	[ ! -e /opt/cni/bin/stagebridge ]
	[ ! -e /usr/lib/cni/stagefake ]
	ln -sfn plugins "$STAGES/link"
	(cd "$STAGES" && podctl create --stage link/ net0)
	equal "$(json "$(pod_dir net0)/pod.json" '.cniPluginDirs | sort | join(":")')" \
		/opt/cni/bin:/usr/lib/cni
	podctl start net0
	for engine in runc crun; do
		serve $engine net0 web --network staged
		matches "$(child_ip net0 web)" '^10\.91\.0\.'
		check 0 'I am web' fetch net0 "$(child_ip net0 web)"
		check 0 'inet 10\.91\.0\.' podctl run --rm --runtime $engine --name net0/box \
			--rootfs "$BATS_FILE_TMPDIR/rootfs" --network staged ip -4 address show dev eth0
		end_child $engine net0 web "$BATS_TEST_TMPDIR/web"
	done
	[ ! -e /opt/cni/bin/stagebridge ]
	valid pod "$(pod_dir net0)/pod.json"
	valid podctl-inspect <(podctl inspect net0)
	equal "$(podctl inspect net0 | json - '.[0].spec.stages[0]')" "$STAGES/plugins"
}

@test "a stage's plugins come after those of CNI_PATH and before the host's" {
	use_fake_plugin
	mkdir -p "$STAGES/order/opt/cni/bin"
	CNI_PATH=$BATS_FILE_TMPDIR/plugins podctl create --stage "$STAGES/order" net0
	equal "$(json "$(pod_dir net0)/pod.json" '.cniPluginDirs | join(":")')" \
		"$BATS_FILE_TMPDIR/plugins:/opt/cni/bin:/usr/lib/cni"
	podctl rm net0
	chmod 0777 "$STAGES/order/opt/cni/bin"
	check 0 'left out: group or others can write' podctl create --stage "$STAGES/order" net1
	equal "$(json "$(pod_dir net1)/pod.json" '.cniPluginDirs | index("/opt/cni/bin") // "none"')" none
}

# ---- files ----

@test "a stage lies over the host's directories, and the host stays as it was" {
	local before
	before=$(host_state)
	stage one "$TREE/new" "$TREE/sub/new" "$TREE/fresh/below/new" stage-top/file
	ln -s below "$STAGES/one/$TREE/fresh/link"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	for file in "$TREE/new" "$TREE/sub/new" "$TREE/fresh/below/new" "$TREE/fresh/link/new" \
		/stage-top/file; do
		equal "$(inside net0 cat "$file")" one "$file"
	done
	equal "$(inside net0 cat "$TREE/file" "$TREE/sub/file")" $'host\nhost'
	equal "$(inside net0 stat -f -c %T "$TREE/sub")" overlayfs
	equal "$(host_state)" "$before"
	[ ! -e /stage-top ]
	podctl stop net0
	equal "$(host_state)" "$before"
	equal "$(cat "$STAGES/one/$TREE/new")" one
}

@test "what is changed by a stage is read-only; what lies below stays writable, and the host's" {
	stage one "$TREE/new"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	for file in new other file; do
		check 2 'Read-only' inside net0 dash -c "echo x >$TREE/$file"
	done
	equal "$(cat "$STAGES/one/$TREE/new" "$TREE/file")" $'one\nhost'
	inside net0 dash -c "echo pod >$TREE/sub/written"
	equal "$(cat "$TREE/sub/written")" pod
	echo later >"$TREE/sub/later"
	equal "$(inside net0 cat "$TREE/sub/later")" later
}

@test "a directory keeps its mode, whatever that of the stage's is" {
	stage one "$TREE/new" "$TREE/sub/new"
	chmod 0700 "$STAGES/one$TREE" "$STAGES/one$TREE/sub"
	chmod 0755 "$TREE" "$TREE/sub"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 stat -c %a "$TREE" "$TREE/sub" | tr '\n' ' ')" '755 755 '
	equal "$(inside net0 stat -c %u "$TREE")" 0
}

@test "what is mounted below a directory under a stage is still there" {
	admin tmpfs "$TREE/sub" 1m
	echo mounted >"$TREE/sub/file"
	stage one "$TREE/new" "$TREE/sub/new"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE/new" "$TREE/sub/new" "$TREE/sub/file" "$TREE/file")" \
		$'one\none\nmounted\nhost'
	# No overlay shows what a mount hides: the kernel would refuse it.
	equal "$(inside net0 stat -f -c %T "$TREE")" tmpfs
	podctl rm -f net0
	stage two "$TREE/plain/new"
	podctl create --stage "$STAGES/two" net0
	podctl start net0
	inside net0 dash -c "echo pod >$TREE/sub/written"
	equal "$(cat "$TREE/sub/written")" pod
}

@test "what is mounted in a stage is shown, too" {
	mkdir -p "$STAGES/one/$TREE/fresh"
	admin tmpfs "$STAGES/one/$TREE/fresh" 1m
	stage one "$TREE/fresh/new" "$TREE/new"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE/fresh/new" "$TREE/new" "$TREE/file")" $'one\none\nhost'
	check 2 'Read-only' inside net0 dash -c "echo x >$TREE/fresh/new"
}

@test "of several stages the later ones win" {
	stage one "$TREE/a" "$TREE/b" "$TREE/fresh/a" "$TREE/fresh/b"
	stage two "$TREE/b" "$TREE/c" "$TREE/fresh/b"
	stage three "$TREE/file"
	podctl create --stage "$STAGES/one" --stage "$STAGES/two" --stage "$STAGES/three" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE"/{a,b,c,fresh/a,fresh/b,file,sub/file} | tr '\n' ' ')" \
		'one two two one two three host '
	podctl rm -f net0
	admin tmpfs "$TREE/sub" 1m
	podctl create --stage "$STAGES/two" --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE"/{a,b,c,fresh/a,fresh/b} | tr '\n' ' ')" 'one one two one one '
}

@test "links of the host are followed to directories, those of a stage never" {
	ln -s "$TREE/sub" "$TREE/to-sub"
	stage one "$TREE/to-sub/new"
	ln -s ../../../../../../../../etc/hostname "$STAGES/one/$TREE/out"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE/to-sub/new" "$TREE/sub/new" "$TREE/sub/file")" $'one\none\nhost'
	equal "$(inside net0 readlink "$TREE/out")" ../../../../../../../../etc/hostname
	podctl rm -f net0
	# An image's own links to the same directories change nothing.
	rm "$STAGES/one/$TREE/out"
	rm -r "$STAGES/one/$TREE/to-sub"
	ln -s sub "$STAGES/one/$TREE/to-sub"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE/to-sub/file")" host
}

@test "setuid files and devices of a stage mean nothing" {
	stage one "$TREE/fresh/program" "$TREE/program"
	chmod 4755 "$STAGES/one/$TREE/fresh/program" "$STAGES/one/$TREE/program"
	mkfifo "$STAGES/one/$TREE/fifo"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	for file in program fresh/program fifo; do
		matches "$(inside net0 findmnt -no OPTIONS -T "$TREE/$file")" 'ro,nosuid,nodev'
	done
}

# ---- what is refused ----

@test "a stage hides nothing of the kernel's, of podd's, and no tree" {
	local stage=$STAGES/bad file
	for file in proc/x sys/x dev/x run/netns/x run/xtables.lock var/lib/cni/x var/run/netns/x \
		"$PODD_ROOT/x" "$PODD_STAGE/libexec/podd/podd-hook"; do
		rm -rf "$stage"
		stage bad "$file"
		refuse "stage $stage: .*(a stage may have nothing but directories|the pod's own)" \
			--stage "$stage"
	done
	rm -rf "$stage"
	stage bad "$TREE/sub"
	refuse "is no directory, and $TREE/sub is one" --stage "$stage"
	rm -rf "$stage"
	stage bad "$TREE/file/x"
	refuse "is a directory, and $TREE/file is none" --stage "$stage"
	ln -s sub "$TREE/to-sub"
	rm -rf "$stage"
	stage bad x
	mkdir -p "$stage/$TREE"
	ln -s plain "$stage/$TREE/to-sub"
	refuse "would hide the directory to which $TREE/to-sub leads" --stage "$stage"
	ln -s nowhere "$TREE/dangling"
	rm -rf "$stage"
	stage bad "$TREE/dangling/x"
	refuse 'a link that leads to none' --stage "$stage"
}

@test "what a stage's files are called is quoted in messages" {
	mkdir -p "$STAGES/bad/proc"
	touch "$STAGES/bad/proc/"$'a\nb\e[31m'
	check 125 'proc/a\?b\?\[31m would be in /proc' podctl create --stage "$STAGES/bad" net0
}

@test "an image's empty directories hide nothing" {
	mkdir -p "$STAGES"/image/{proc,sys/fs,dev/pts,run/netns,var/lib/cni,tmp}
	stage image "$TREE/new"
	podctl create --stage "$STAGES/image" net0
	podctl start net0
	equal "$(inside net0 cat "$TREE/new")" image
	inside net0 test -e /proc/self -a -e /dev/null -a ! -e /dev/pts/nothing
}

set_opaque() { # directory
	python3 -c 'import os,sys; os.setxattr(sys.argv[1], "user.overlay.opaque", b"y")' "$1"
}

@test "what overlayfs takes for an order to hide is refused" {
	stage bad "$TREE/new"
	mkdir -p "$STAGES/bad/$TREE/sub"
	mknod "$STAGES/bad/$TREE/sub/file" c 0 0
	refuse 'is a whiteout' --stage "$STAGES/bad"
	rm "$STAGES/bad/$TREE/sub/file"
	# A file system without such attributes has no such directories.
	! set_opaque "$STAGES/bad/$TREE/sub" || refuse 'user.overlay.opaque' --stage "$STAGES/bad"
}

@test "a stage that is not there, is no directory, or is open to others" {
	refuse "--stage $STAGES/none: No such file" --stage "$STAGES/none"
	stage bad file
	refuse 'is not a directory' --stage "$STAGES/bad/file"
	refuse "is the host's root" --stage /
	chmod 0777 "$STAGES/bad"
	refuse 'group or others can write' --stage "$STAGES/bad"
	chmod 0000 "$STAGES/bad"
	rootless && refuse 'Permission denied' --stage "$STAGES/bad"
	chmod 0755 "$STAGES/bad"
	[ ! -d /run/podd-test/foreign ] || refuse 'belongs to uid' --stage /run/podd-test/foreign
	local many=()
	for _ in 1 2 3 4 5 6 7 8 9; do
		many+=(--stage "$STAGES/plugins")
	done
	check 2 'more than 8' podctl create "${many[@]}" net0
}

@test "a stage in a directory with too much in it" {
	(cd "$TREE/sub" && mkdir {1..4100})
	stage one "$TREE/sub/new"
	podctl create --stage "$STAGES/one" net0
	check 125 "a stage changes $TREE/sub, where more than 4096 entries" podctl start net0
	(cd "$TREE/sub" && rmdir {1..10})
	podctl start net0
	equal "$(inside net0 cat "$TREE/sub/new" "$TREE/sub/file")" $'one\nhost'
}

# ---- changes ----

@test "a stage that goes away between create and start: said, and nothing is left" {
	stage one "$TREE/new"
	podctl create --stage "$STAGES/one" net0
	mv "$STAGES/one" "$STAGES/away"
	check 125 "stage: $STAGES/one: No such file" podctl start net0
	ln -s away "$STAGES/one"
	check 125 "stage: $STAGES/one: there is a link in its path now" podctl start net0
	rm "$STAGES/one"
	mv "$STAGES/away" "$STAGES/one"
	stage one proc/x
	check 125 'nothing but directories' podctl start net0
	rm -r "$STAGES/one/proc"
	chmod 0777 "$STAGES/one"
	check 125 'stage: .*group or others can write' podctl start net0
	chmod 0755 "$STAGES/one"
	podctl start net0
	equal "$(inside net0 cat "$TREE/new")" one
}

@test "a stage that changes and goes away while the pod runs harms nothing else" {
	stage one "$TREE/new" "$TREE/fresh/new"
	podctl create --stage "$STAGES/one" net0
	podctl start net0
	stage one "$TREE/fresh/later"
	inside net0 ls "$TREE/fresh" >/dev/null
	rm -r "$STAGES/one"
	# Whether that is seen is the kernel's business.
	inside net0 cat "$TREE/new" "$TREE/fresh/later" >/dev/null || true
	equal "$(inside net0 cat "$TREE/file")" host
}

@test "podd is replaced, and the pod started again, with its stages" {
	stage one "$TREE/new"
	podctl create --stage "$STAGES/one" --stage "$STAGES/plugins" net0
	podctl start net0
	end_process KILL "$(pod_process net0 podd)"
	podctl start net0
	equal "$(inside net0 cat "$TREE/new")" one
	run_child crun net0 box true --network staged
	podctl stop net0
	stage one "$TREE/second"
	podctl start net0
	equal "$(inside net0 cat "$TREE/second")" one
	run_child runc net0 box true --network staged
}

# ---- a root directory of its own ----

@test "--root: the pod has a file system of its own" {
	podctl create --root "$OWN" net0
	podctl start net0
	equal "$(inside net0 cat /etc/mine)" mine
	check 1 'No such file' inside net0 cat "$TREE/file"
	check 1 'Read-only' inside net0 sh -c 'echo x >/etc/mine'
	inside net0 sh -ec 'echo x >/tmp/x; test -e /proc/self/root; test -e /dev/null; test -d /run/netns
		ifconfig tap0; test -d /var/lib/cni; grep -q 10.0.2.3 /etc/resolv.conf'
	inside net0 test -e "$(pod_dir net0)/pod.json"
	# Of the host's directory tree nothing is left.
	check 1 '' inside net0 grep " $TREE " /proc/self/mountinfo
	equal "$(find "$OWN" -name cni -path '*var*' | wc -l)" 0
	valid state "$(pod_dir net0)/state.json"
	equal "$(podctl inspect net0 | json - '.[0].spec.root')" "$OWN"
}

@test "--root: the pods' records are seen, wherever they are" {
	for PODD_ROOT in "$BATS_TEST_TMPDIR/deep/records" "$XDG_RUNTIME_DIR/podd-test"; do
		mkdir -p "$PODD_ROOT"
		chmod 0700 "$PODD_ROOT"
		podctl create --root "$OWN" net0
		podctl start net0
		inside net0 test -e "$PODD_ROOT/net0/pod.json"
		inside net0 test ! -e "$TREE"
		podctl rm -f net0
		rmdir "$PODD_ROOT"
	done
}

@test "--root: hooks run the plugins of that tree, and podctl's containers run" {
	conflist own '{"type": "ownfake", "mode": "ok"}'
	podctl create --root "$OWN" net0
	podctl start net0
	for RUNTIME in runc crun; do
		check 0 'hello' box run a --rm -- echo hello
		check 0 'host' box run a --rm -v "$TREE:/mnt" -- cat /mnt/file
		run_child $RUNTIME net0 box true --network own
		check 0 'hello' box run a --rm --network own -- echo hello
	done
	RUNTIME=runc check 125 'there is no plugin .*bridge.* in /usr/lib/cni' \
		box run a --rm --network podd -- true
}

@test "--root and --host-at: the host's plugins are found there, with both runtimes" {
	podctl create --root "$OWN" --host-at /mnt//host/ net0
	equal "$(json "$(pod_dir net0)/pod.json" '.hostAt')" /mnt/host
	equal "$(json "$(pod_dir net0)/pod.json" '.cniPluginDirs | join(":")')" \
		/usr/lib/cni:/mnt/host/usr/lib/cni
	podctl start net0
	equal "$(inside net0 cat "/mnt/host$TREE/file" /etc/mine)" $'host\nmine'
	for RUNTIME in runc crun; do
		serve $RUNTIME net0 web
		check 0 'I am web' inside net0 wget -q -O - "http://$(child_ip net0 web)/"
		check 0 'I am web' box run a --rm --network podd -- wget -q -O - http://web/
		check 0 "web" inside net0 ls /run/netns
		check 0 "web" inside net0 ls /mnt/host/run/netns
		end_child $RUNTIME net0 web "$BATS_TEST_TMPDIR/web"
		equal "$(inside net0 ls /run/netns /mnt/host/run/netns | grep -c web)" 0 || true
	done
	# What the host mounts or makes later is seen there.
	echo later >"$TREE/later"
	equal "$(inside net0 cat "/mnt/host$TREE/later")" later
}

@test "--root, --host-at and stages together, across restarts" {
	conflist both "$(bridge_json both0 10.92.0.0/24)" '{"type": "ownfake"}' '{"type": "onlystage"}'
	mkdir -p "$STAGES/over/usr/lib/cni"
	cp "$FAKE/cni-fake" "$STAGES/over/usr/lib/cni/onlystage"
	stage over etc/mine
	podctl create --root "$OWN" --host-at /host --stage "$STAGES/over" net0
	podctl start net0
	equal "$(inside net0 cat /etc/mine)" over
	equal "$(cat "$OWN/etc/mine")" mine
	check 0 '10\.92\.0\.' run_child crun net0 box 'ip address show dev eth0' --network both
	end_process KILL "$(pod_process net0 podd)"
	podctl start net0
	check 0 '10\.92\.0\.' run_child runc net0 box 'ip address show dev eth0' --network both
	check 0 '10\.92\.0\.' box run a --rm --network both -- ip address show dev eth0
	podctl stop net0
	podctl start net0
	check 0 '10\.92\.0\.' box run a --rm --network both -- ip address show dev eth0
}

# ---- pods in pods ----

@test "a pod in a pod with a stage has that, and its own over it" {
	stage one "$TREE/new" "$TREE/both"
	stage two "$TREE/both"
	podctl create --stage "$STAGES/one" --stage "$STAGES/plugins" net0
	podctl create --stage "$STAGES/two" net0/web
	podctl start net0/web
	equal "$(inside net0/web cat "$TREE"/{new,both,file})" $'one\ntwo\nhost'
	equal "$(inside net0 cat "$TREE"/{new,both,file})" $'one\none\nhost'
	check 0 '10\.91\.0\.' podctl run --rm --name net0/web/a --rootfs "$BATS_FILE_TMPDIR/rootfs" \
		--network staged ip address show dev eth0
	run_child crun net0/web box true --network staged
}

@test "a pod in a pod with --root has the host's file system, or a --root of its own" {
	podctl create --root "$OWN" --host-at /host net0
	podctl create net0/web
	podctl create --root "$OWN" --host-at /other net0/own
	podctl start net0/web net0/own
	equal "$(inside net0/web cat "$TREE/file")" host
	equal "$(inside net0/own cat "/other$TREE/file" /etc/mine)" $'host\nmine'
	for pod in net0/web net0/own; do
		check 0 hello podctl run --rm --name $pod/a --rootfs "$BATS_FILE_TMPDIR/rootfs" \
			--network podd echo hello
		run_child runc $pod box true
	done
	equal "$(inside net0/own grep -c "^nameserver" /etc/resolv.conf)" 1
}

@test "--root with a CNI network of the host as the way out" {
	if rootless; then
		check 2 'only root' podctl create --root "$OWN" --uplink cni:podd net0
		return
	fi
	podctl create --root "$OWN" --uplink cni:podd net0
	podctl start net0
	matches "$(inside net0 ip -4 address show dev eth0)" 'inet '
	equal "$(inside net0 cat /etc/mine)" mine
	podctl rm -f net0
	# What the host keeps of such networks by design.
	ip link delete podd0
	nft delete table ip nat
	nft delete table ip6 nat
	rm -r "$PODD_ROOT/.host" /run/netns
}

@test "--root and --host-at that cannot be" {
	check 2 'host-at needs --root' podctl create --host-at /host net0
	check 2 'must be an absolute path' podctl create --root "$OWN" --host-at host net0
	check 2 "without .:." podctl create --root "$OWN" --host-at /a:b net0
	check 2 'must not have . or ..' podctl create --root "$OWN" --host-at /a/../b net0
	check 2 'in place of' podctl create --root "$OWN" --host-at / net0
	for path in /proc/x /run /tmp/x /var /etc "$PODD_ROOT/x"; do
		refuse "in each other's place" --root "$OWN" --host-at "$path"
	done
	refuse 'No such file' --root "$OWN/none"
	refuse "is the host's root" --root /
	stage bad host/x
	refuse 'would be in /host' --root "$OWN" --host-at /host --stage "$STAGES/bad"
	podctl create --root "$OWN" --host-at /etc/mine/host net0
	check 125 '/etc/mine' podctl start net0
}
