#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Installs the Debian packages of ci/packages that are missing: ci/install.sh KIND...
# Says and does nothing when all are there; the network is only asked when one is not.
set -eu

cd "$(dirname "$0")/.."
log=${BUILD:-build}/install.log

say() {
	echo "install: $*"
}

fail() {
	echo "install: $*" >&2
	exit 1
}

# The names of all packages of the kinds given, one a line.
wanted() {
	for kind in "$@"; do
		awk -v kind="$kind" '
			!/^#/ { for (i = 2; i <= NF; i++) if ($i == kind) print $1 }' ci/packages
	done
}

# Of these names, those that are not installed, on one line. dpkg-query fails when it does not know
# a name at all, which is an answer here.
missing() {
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
	echo "$installed" | awk -v wanted="$*" '
		$1 == "installed" { have[$2] = 1 }
		END {
			n = split(wanted, names, " ")
			for (i = 1; i <= n; i++)
				if (!(names[i] in have))
					list = list (list ? " " : "") names[i]
			print list
		}'
}

require_debian_12() {
	if [ -r "${OS_RELEASE:=/etc/os-release}" ]; then
		# shellcheck source=/dev/null
		. "$OS_RELEASE"
	fi
	[ "${ID:-} ${VERSION_ID:-}" = "debian 12" ] ||
		fail "this is ${PRETTY_NAME:-no Debian}, the names are those of Debian 12: use a Debian 12" \
			"machine, or install here what stands for: $*"
}

# What apt itself gives as its reason, as far as it gives one.
reason() {
	grep '^E: ' "$log" | tail -n 1
}

[ $# -gt 0 ] || { echo "usage: ci/install.sh KIND...   (build, test, bench, lint: see ci/packages)" >&2; exit 2; }
for kind in "$@"; do
	[ -n "$(wanted "$kind")" ] || { echo "install: $kind: no such kind in ci/packages" >&2; exit 2; }
done
command -v dpkg-query >/dev/null || require_debian_12 "$(wanted "$@" | tr '\n' ' ')"

# shellcheck disable=SC2046 # one word a package is what is wanted
list=$(missing $(wanted "$@"))
[ -n "$list" ] || exit 0

require_debian_12 "$list"
[ "$(id -u)" = 0 ] || fail "packages are missing and root is needed to install them: sudo ci/install.sh $*"

mkdir -p "$(dirname "$log")"
: >"$log"
export DEBIAN_FRONTEND=noninteractive
say "missing: $list"

say "apt-get update"
# Without this mode a machine without network counts as a success.
apt-get -q -o APT::Update::Error-Mode=any update >>"$log" 2>&1 ||
	say "package lists could not all be renewed, going on with those there are ($log)"

# openssh-server and others start what they bring, which nobody asked for: where the machine has no say
# of its own in that, none is started (deb-systemd-invoke and invoke-rc.d ask this file).
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
ours="# Here while ci/install.sh of shunt installs packages: no service is started. Remove it if it stayed."
if [ ! -e "$policy" ] || grep -qxF "$ours" "$policy"; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\n%s\nexit 101\n' "$ours" >"$policy"
	chmod 755 "$policy"
fi

say "apt-get install (log: $log)"
# shellcheck disable=SC2086 # the list is words
apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install $list >>"$log" 2>&1 ||
	fail "apt-get install failed: $(reason) - check the network and /etc/apt/sources.list; all of it is in $log"

# shellcheck disable=SC2086
list=$(missing $list)
[ -z "$list" ] || fail "still missing after apt-get install: $list ($log)"
say "done"
