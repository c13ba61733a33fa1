#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Builds, then boots the virtual machines of hwtests/vm; arguments go there. Their last line is the sum.
set -u
cd "$(dirname "$0")/.." || exit 1

build=${BUILD:-build}
log=$build/vm-build.log
ci/install.sh build test || exit 1

mkdir -p "$build" || exit 1
if ! "${MAKE:-make}" -j"$(nproc)" BUILD="$build" everything >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "vm: the build failed: its end is above, all of it in $log" >&2
	exit 1
fi
exec "${PYTHON:-/usr/bin/python3}" -u -m hwtests.vm "$@"
