#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a packet costs: builds and runs build/bench; arguments go there. The figures are in build/bench.json, too,
# and a picture of them is build/bench.svg.
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
log=$build/bench-build.log

if [ "$(id -u)" != 0 ]; then
	echo "bench: root is needed, for BPF programs: sudo make bench" >&2
	exit 1
fi
ci/install.sh build bench

mkdir -p "$build"
case " $* " in
*" --quick "*) ;;
*) set -- --control --size "$@" ;;
esac
if ! "${MAKE:-make}" -j"$(nproc)" BUILD="$build" "$build/bench" "$build/loader" size-objects >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "bench: the build failed: its end is above, all of it in $log" >&2
	exit 1
fi
exec "$build/bench" --veth --json "$build/bench.json" --svg "$build/bench.svg" "$@"
