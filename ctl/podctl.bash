# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bash completion for podctl. Verbs and options come from --help, so that they are always those of
# the program; pods and containers come from podctl ps, which never waits for anything.

_podctl_fill()
{
	mapfile -t COMPREPLY < <(compgen "$@")
}

# create has other options when it makes a container: those of run.
_podctl_makes_container()
{
	[[ $1 == create && " ${COMP_WORDS[*]} " =~ \ --(rootfs|bundle)[\ =] ]]
}

# The options of a verb, one on each line: "-s --signal SIGNAL", without letter or value where there
# is none.
_podctl_table()
{
	local arguments=("$@")
	_podctl_makes_container "$1" && arguments+=(--rootfs DIR)
	podctl "${arguments[@]}" --help 2>/dev/null |
		sed -n -e '/^Options:/,/^$/s/^  \(-.\), \(--[^ ]*\)/\1 \2/p' \
			-e '/^Options:/,/^$/s/^      \(--[^ ]*\)/\1/p' |
		sed 's/  .*//'
}

_podctl_options()
{
	_podctl_table "$@" | sed 's/^-. //; s/ .*//'
}

# How many of _podctl_words are the verb, one on its own or with what it does: "network ls".
_podctl_verb_words()
{
	case "${_podctl_words[0]-} ${_podctl_words[1]-}" in
	network\ *) echo 2 ;;
	port\ add | port\ rm | port\ list | egress\ add | egress\ rm | egress\ list) echo 2 ;;
	*) echo 1 ;;
	esac
}

# The long name of an option that has a value, which may be given by its letter. The verb is the
# first of _podctl_words.
_podctl_valued()
{
	local letter long value n
	n=$(_podctl_verb_words)
	while read -r letter long value; do
		[[ $letter == --* ]] && value=$long && long=$letter
		[[ -n $value && ($1 == "$letter" || $1 == "$long") ]] && echo "$long"
	done < <(_podctl_table "${_podctl_words[@]:0:n}")
}

# Words of the command so far that are neither options nor their values: the verb and its operands.
# Leaves "--root DIR" of the command line in _podctl_command. bash has "=" as a word of its own.
_podctl_operands()
{
	local i
	_podctl_command=(podctl)
	_podctl_words=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root)
			# After the verb it is an option of that: the pod's own root directory.
			[[ -n ${_podctl_words[0]-} ]] ||
				_podctl_command+=(--root "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		--) ;;
		-*)
			if [[ ${COMP_WORDS[i + 1]} == = ]]; then
				((i += 2))
			elif [[ -n ${_podctl_words[0]-} && -n $(_podctl_valued "${COMP_WORDS[i]}") ]]; then
				((i++))
			fi
			;;
		*) _podctl_words+=("${COMP_WORDS[i]}") ;;
		esac
	done
}

_podctl_paths()
{
	"${_podctl_command[@]}" ps -q "$@" 2>/dev/null
}

_podctl_networks()
{
	"${_podctl_command[@]}" network ls 2>/dev/null | sed -e 1d -e 's/ .*//'
}

# The value of the option before the cursor. Fails when that option has none, or is none.
_podctl_value()
{
	local verb=$1 option=$2 current=$3
	case $option in
	--root) ;;
	-*) option=$(_podctl_valued "$option") ;;
	*) return 1 ;;
	esac
	_podctl_makes_container "$verb" && verb=run
	case $verb:$option in
	*:) return 1 ;;
	create:--net) _podctl_fill -W 'slirp none host' -- "$current" ;;
	create:--restart) _podctl_fill -W 'no on-failure always' -- "$current" ;;
	create:--uplink-path) _podctl_fill -W 'auto libslirp' -- "$current" ;;
	bundle:--share) _podctl_fill -W 'net ipc uts pid net,ipc,uts' -- "$current" ;;
	*:--share) _podctl_fill -W 'ipc uts pid ipc,uts' -- "$current" ;;
	bundle:--network | hooks:--network)
		_podctl_fill -W "$(_podctl_networks)" -- "$current"
		;;
	*:--network | *:--net)
		_podctl_fill -W "pod none host $(_podctl_networks)" -- "$current"
		;;
	hooks:--stage)
		_podctl_fill -W 'prestart createRuntime createContainer poststop' -- "$current"
		;;
	create:--stage) _podctl_fill -d -- "$current" ;;
	*:--pod) _podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current" ;;
	*:--runtime) _podctl_fill -W 'crun runc' -- "$current" ;;
	*:--restart) _podctl_fill -W 'no on-failure always unless-stopped' -- "$current" ;;
	*:--log-driver) _podctl_fill -W 'k8s-file json-file journald none' -- "$current" ;;
	*:--log-opt) _podctl_fill -W 'max-size= max-file= path=' -- "$current" ;;
	*:--security-opt)
		_podctl_fill -W 'seccomp=unconfined no-new-privileges unmask=ALL' -- "$current"
		;;
	*:--group-add) _podctl_fill -W 'keep-groups' -- "$current" ;;
	*:--mount) _podctl_fill -W 'type=bind,source= type=tmpfs,target=' -- "$current" ;;
	*:--signal | *:--stop-signal) _podctl_fill -A signal -- "$current" ;;
	*:--condition)
		_podctl_fill -W 'created starting running restarting stopping stopped healthy
			unhealthy' -- "$current"
		;;
	hooks:--format) _podctl_fill -W 'config hooks.d' -- "$current" ;;
	inspect:--format) _podctl_fill -W 'json' -- "$current" ;;
	events:--format) _podctl_fill -W 'json plain' -- "$current" ;;
	ps:--filter)
		_podctl_fill -W 'name= id= pod= status= exited= health= kind=pod kind=container
			label=' -- "$current"
		;;
	start:--filter)
		_podctl_fill -W 'restart=always restart=on-failure restart=no name= label=' -- "$current"
		;;
	events:--filter)
		_podctl_fill -W 'event= type=pod type=container pod= container=' -- "$current"
		;;
	prune:--filter) _podctl_fill -W 'label= until=' -- "$current" ;;
	*:--format) _podctl_fill -W 'json table' -- "$current" ;;
	*:--root | *:--rootfs | *:--bundle | apply:--dir) _podctl_fill -d -- "$current" ;;
	*:--env-file | *:--label-file | *:--cidfile | *:--pidfile | *:--volume)
		_podctl_fill -f -- "$current"
		;;
	capture:--write) _podctl_fill -f -- "$current" ;;
	*:--detach-keys) _podctl_fill -W 'ctrl-p,ctrl-q' -- "$current" ;;
	esac
}

_podctl_operand()
{
	local verb=$1 n=$2 current=$3
	case $verb:$n in
	start:* | restart:* | rm:* | inspect:* | wait:* | logs:1 | update:1 | rename:1)
		_podctl_fill -W "$(_podctl_paths -a)" -- "$current"
		;;
	enable:* | disable:*) _podctl_fill -W "$(_podctl_paths -a --filter kind=pod)" -- "$current" ;;
	stop:* | kill:* | pause:* | unpause:* | stats:* | exec:1 | attach:1 | top:1)
		_podctl_fill -W "$(_podctl_paths)" -- "$current"
		;;
	top:*) _podctl_fill -W 'user pid ppid pcpu etime tty time args uid gid' -- "$current" ;;
	events:* | metrics:* | apply:* | doctor:* | upgrade:*)
		_podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current"
		;;
	exec:2 | run:1 | create:2) _podctl_fill -c -- "$current" ;;
	create:1) ;;
	exec:* | run:* | create:*) _podctl_fill -f -- "$current" ;;
	bundle:1) _podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current" ;;
	bundle:2) _podctl_fill -d -- "$current" ;;
	enter:1) _podctl_fill -W "$(_podctl_paths --filter 'status=running')" -- "$current" ;;
	enter:2) _podctl_fill -c -- "$current" ;;
	enter:*) _podctl_fill -f -- "$current" ;;
	network:1) _podctl_fill -W 'ls inspect' -- "$current" ;;
	network:*) _podctl_fill -W "$(_podctl_networks)" -- "$current" ;;
	capture:1) _podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current" ;;
	flows:1) _podctl_fill -W "$(_podctl_paths)" -- "$current" ;;
	port:1 | egress:1) _podctl_fill -W "add rm list $(_podctl_paths)" -- "$current" ;;
	port:2 | egress:2) _podctl_fill -W "$(_podctl_paths)" -- "$current" ;;
	egress:*) _podctl_fill -W 'allow deny to dns gateway any proto tcp udp icmp all port type
			log' -- "$current" ;;
	help:1) _podctl_fill -W "$(_podctl_verbs)" -- "$current" ;;
	esac
}

_podctl_verbs()
{
	podctl --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_podctl()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local _podctl_command _podctl_words verb
	COMPREPLY=()
	if [[ $current == = ]]; then
		current=
	elif [[ $previous == = ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	_podctl_operands
	verb=${_podctl_words[0]-}
	_podctl_value "$verb" "$previous" "$current" && return
	if [[ -z $verb ]]; then
		_podctl_fill -W "$(_podctl_verbs) help --root --help --version" -- "$current"
	elif [[ $current == -* ]]; then
		_podctl_fill -W "$(_podctl_options "${_podctl_words[@]:0:$(_podctl_verb_words)}")" \
			-- "$current"
	else
		_podctl_operand "$verb" "${#_podctl_words[@]}" "$current"
	fi
}

complete -F _podctl podctl
