# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the table of the system calls that podd-uplink may make, from what its sources say in their
# comments:
#
#	 * System calls: read, ioctl[1 == FIONREAD], mmap[2 & PROT_EXEC == 0] (why),
#	 *   tgkill[OWN_PID]
#
# up to the end of the paragraph. In brackets is a condition on an argument, counted from 0; words
# in parentheses are for the reader. A declaration that is not understood ends the build.

function fail(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
	failed = 1
	exit 1
}

function emit(name, condition, part, index_, mask, value) {
	index_ = "ANY"; mask = "0"; value = "0"
	if (condition == "OWN_PID") {
		index_ = "OWN_PID"
	} else if (condition != "") {
		if (split(condition, part, / == /) != 2)
			fail("not a condition: " condition)
		value = part[2]
		index_ = part[1]
		if (split(part[1], part, / & /) == 2) {
			index_ = part[1]
			mask = part[2]
		}
		if (index_ !~ /^[0-5]$/)
			fail("not an argument: " condition)
	}
	printf "\t{.name = \"%s\", .action = SCMP_ACT_ALLOW, .index = %s, .mask = %s, .value = %s},\n",
		name, index_, mask, value
	n++
}

function declare(text, list, i, count, call, condition) {
	gsub(/\([^)]*\)/, "", text)
	sub(/\.[ \t]*$/, "", text)
	count = split(text, list, ",")
	for (i = 1; i <= count; i++) {
		call = list[i]
		gsub(/^[ \t]+|[ \t]+$/, "", call)
		condition = ""
		if (call == "")
			continue
		if (match(call, /\[.*\]$/)) {
			condition = substr(call, RSTART + 1, RLENGTH - 2)
			call = substr(call, 1, RSTART - 1)
		}
		if (call !~ /^[a-z0-9_]+$/)
			fail("not a system call: " call)
		emit(call, condition)
	}
}

FNR == 1 { inside = 0 }

/^ \* System calls:/ {
	inside = 1
	sub(/^ \* System calls:/, "")
	text = $0
	next
}

inside && /^ \*\// || inside && /^ \*[ \t]*$/ {
	declare(text)
	inside = 0
	next
}

inside {
	sub(/^ \*/, "")
	text = text " " $0
}

END {
	if (!failed && n == 0)
		fail("no system calls are declared anywhere")
}
