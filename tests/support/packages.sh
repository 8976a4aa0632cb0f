#!/bin/sh
# Installs the Debian or Ubuntu packages that the demo and the tests run their servers with.
# Where it may not, it says what to install, and leaves it to them to say what they cannot do.
set -eu

missing=""
need() { # need COMMAND-OR-FILE PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}
need dockerd docker.io
need docker CLI
need unshare util-linux
need setpriv util-linux
need nsenter util-linux
need ip iproute2
need openssl openssl
need ssh openssh-client
need /usr/sbin/sshd openssh-server
need iptables iptables
need faketime faketime
need /usr/lib/postgresql postgresql
need /usr/sbin/haproxy haproxy
need docker-registry docker-registry
need prometheus prometheus
need /usr/sbin/debootstrap debootstrap
need chromium chromium
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing="$missing busybox-static"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

may_install=""
[ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1 || may_install=yes
[ -z "$may_install" ] || apt-get -qq update
# Newer Debian has docker's command line in a package of its own.
cli=docker.io
! apt-cache show docker-cli >/dev/null 2>&1 || cli=docker-cli
# Ubuntu has chromium as a snap only: without it the status page is not looked at in a browser.
browser=chromium
apt-cache show chromium >/dev/null 2>&1 || browser=""
missing=$(printf '%s\n' $missing | sed "s/^CLI\$/$cli/;s/^chromium\$/$browser/" | sort -u | tr '\n' ' ')

if [ -n "$may_install" ]; then
	echo "Installing $missing..."
	# Nothing shall listen on this machine that was not there before: the tests start their own.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
	echo "Please install: $missing" >&2
	echo "(names of Debian and Ubuntu packages; as root on these they are installed by themselves)" >&2
fi
