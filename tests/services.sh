#!/bin/sh
# Sees to it that the servers which tests talk to can be started, one line a server at the end.
#
# A server that a variable names (REDIS_URL) is used as it is. Else its program is needed, and the
# tests start one of their own, on a socket in a temporary folder (tests/servers.py). Where the
# program is missing, root on a machine with Debian's packages gets it without asking.
set -eu

need() { # <program> <package> <variable>
	eval "named=\${$3:-}"
	if [ -n "$named" ] || command -v "$1" >/dev/null; then
		return
	fi
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing $2, which the tests start"
		apt-get -qq update
		DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install --yes --no-install-recommends "$2" >/dev/null
		return
	fi
	echo "the tests need $1, and it is not on PATH. On Debian and Ubuntu: sudo apt-get install $2." \
		"Or name a server that runs already: $3=…" >&2
	exit 1
}

need redis-server redis-server REDIS_URL
