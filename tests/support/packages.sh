#!/bin/sh
# Installs the Debian or Ubuntu packages that the demo and the tests run their servers with.
# Where it may not, it says what to install, and leaves it to them to say what they cannot do.
set -eu

missing=""
need() { # need COMMAND-OR-FILE PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}
need dockerd docker.io
need docker docker.io
need unshare util-linux
need setpriv util-linux
need ip iproute2
need iptables iptables
need /usr/lib/postgresql postgresql
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing="$missing busybox-static"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "Installing $missing..."
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
	echo "Please install:$([ -n "$missing" ] && printf ' %s' $missing)" >&2
	echo "(names of Debian and Ubuntu packages; as root on these they are installed by themselves)" >&2
fi
