# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# bash completion for podctl. Verbs and options come from --help, so that they are always those of
# the program; pods and containers come from podctl ps, which never waits for anything.

_podctl_fill()
{
	mapfile -t COMPREPLY < <(compgen "$@")
}

# Words of the command so far that are no options: the verb and its operands. Leaves "--root DIR"
# of the command line in _podctl_command.
_podctl_operands()
{
	local i
	_podctl_command=(podctl)
	_podctl_words=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root)
			_podctl_command+=(--root "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		-*) ;;
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
	case $verb:$option in
	create:--net) _podctl_fill -W 'slirp none host' -- "$current" ;;
	bundle:--share) _podctl_fill -W 'net ipc uts pid net,ipc,uts' -- "$current" ;;
	bundle:--network | hooks:--network)
		_podctl_fill -W "$(_podctl_networks)" -- "$current"
		;;
	hooks:--stage)
		_podctl_fill -W 'prestart createRuntime createContainer poststop' -- "$current"
		;;
	hooks:--pod) _podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current" ;;
	hooks:--format) _podctl_fill -W 'config hooks.d' -- "$current" ;;
	inspect:--format | network:--format) _podctl_fill -W 'json' -- "$current" ;;
	ps:--filter) _podctl_fill -W 'name= status= kind=pod kind=container label=' -- "$current" ;;
	*:--format) _podctl_fill -W 'json table' -- "$current" ;;
	*:--root) _podctl_fill -d -- "$current" ;;
	*:--detach-keys) _podctl_fill -W 'ctrl-p,ctrl-q' -- "$current" ;;
	exec:--env-file) _podctl_fill -f -- "$current" ;;
	exec:--user | exec:--env | exec:--workdir) ;;
	*:--mtu | *:--cidr | *:--uidmap | *:--gidmap | *:--label | *:--time) ;;
	*:--name | *:--publish | *:--hostname) ;;
	*) return 1 ;;
	esac
}

_podctl_options()
{
	podctl "$@" --help 2>/dev/null |
		sed -n '/^Options:/,/^$/s/^ [^-]*\(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p'
}

_podctl_operand()
{
	local verb=$1 n=$2 current=$3
	case $verb:$n in
	start:* | restart:* | rm:* | inspect:*)
		_podctl_fill -W "$(_podctl_paths -a)" -- "$current"
		;;
	stop:* | exec:1 | attach:1) _podctl_fill -W "$(_podctl_paths)" -- "$current" ;;
	exec:2 | run:1) _podctl_fill -c -- "$current" ;;
	exec:* | run:*) _podctl_fill -f -- "$current" ;;
	bundle:1) _podctl_fill -W "$(_podctl_paths --filter kind=pod)" -- "$current" ;;
	bundle:2) _podctl_fill -d -- "$current" ;;
	enter:1) _podctl_fill -W "$(_podctl_paths --filter 'status=running')" -- "$current" ;;
	enter:2) _podctl_fill -c -- "$current" ;;
	enter:*) _podctl_fill -f -- "$current" ;;
	network:1) _podctl_fill -W 'ls inspect' -- "$current" ;;
	network:*) _podctl_fill -W "$(_podctl_networks)" -- "$current" ;;
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
	_podctl_operands
	verb=${_podctl_words[0]-}
	_podctl_value "$verb" "$previous" "$current" && return
	if [[ -z $verb ]]; then
		_podctl_fill -W "$(_podctl_verbs) help --root --help --version" -- "$current"
	elif [[ $current == -* && $verb == network ]]; then
		_podctl_fill -W "$(_podctl_options network "${_podctl_words[1]-}")" -- "$current"
	elif [[ $current == -* ]]; then
		_podctl_fill -W "$(_podctl_options "$verb")" -- "$current"
	else
		_podctl_operand "$verb" "${#_podctl_words[@]}" "$current"
	fi
}

complete -F _podctl podctl
