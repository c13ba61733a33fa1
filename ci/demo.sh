#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Shows what shunt does: installs what that needs, builds, and runs hwtests/demo. Arguments go there.
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
log=$build/demo-build.log

if [ "$(id -u)" != 0 ]; then
	echo "demo: root is needed, for network namespaces and BPF programs: sudo make demo" >&2
	exit 1
fi
ci/install.sh build test

mkdir -p "$build"
echo "demo: building (log: $log)"
if ! "${MAKE:-make}" -j"$(nproc)" BUILD="$build" all "$build/quic-server" "$build/bpf/pass.bpf.o" \
	>"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "demo: the build failed: its end is above, all of it in $log" >&2
	exit 1
fi
export BUILD="$build"
exec "${PYTHON:-/usr/bin/python3}" -m hwtests.demo "$@"
