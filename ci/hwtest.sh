#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make hwtest: the tests on a real NIC. Says what it would do; does it with YES=1. hwtests/nic/README.md
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
log=$build/hwtest-build.log

if [ -z "${NIC:-}" ]; then
	echo "usage: make hwtest NIC=IFACE [PEER=IFACE|ssh:USER@HOST:IFACE] [YES=1] [FORCE=1]" \
		"[TIERS=TIER,...] [ONLY=EXPRESSION] [SSH=COMMAND] [REPORT=DIRECTORY]" \
		"(hwtests/nic/README.md)" >&2
	exit 2
fi
if [ "$(id -u)" != 0 ]; then
	echo "hwtest: root is needed, for BPF programs: sudo make hwtest NIC=$NIC" >&2
	exit 1
fi
ci/install.sh build
python=${PYTHON:-/usr/bin/python3}
if ! "$python" -c 'from importlib.util import find_spec as there
exit(not all(map(there, ("cryptography", "pytest", "scapy"))))'; then
	echo "hwtest: apt-get install python3-cryptography python3-pytest python3-scapy" >&2
	exit 1
fi

mkdir -p "$build"
if ! "${MAKE:-make}" -j"$(nproc)" BUILD="$build" "$build/loader" >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "hwtest: the build failed: its end is above, all of it in $log" >&2
	exit 1
fi
export BUILD="$build"

set -- --nic "$NIC"
[ -z "${PEER:-}" ] || set -- "$@" --peer "$PEER"
[ "${YES:-0}" != 1 ] || set -- "$@" --yes
[ "${FORCE:-0}" != 1 ] || set -- "$@" --force
[ -z "${TIERS:-}" ] || set -- "$@" --tiers "$TIERS"
[ -z "${ONLY:-}" ] || set -- "$@" --only "$ONLY"
[ -z "${SSH:-}" ] || set -- "$@" --ssh "$SSH"
[ -z "${REPORT:-}" ] || set -- "$@" --report "$REPORT"
exec "$python" -m hwtests.nic "$@"
