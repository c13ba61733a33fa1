#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a packet costs: builds and runs build/bench; arguments go there. The figures are in build/bench.json, too,
# and a picture of them is build/bench.svg. Then, without arguments, what real QUIC
# connections bear: bench/whole, its figures also in build/bench-whole.json.
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
full=0
[ $# -gt 0 ] || full=1
targets="$build/bench $build/loader"
[ "$full" = 0 ] || targets="$targets $build/quic-load $build/quic-server"
case " $* " in
*" --quick "*) ;;
*)
	set -- --control --size "$@"
	targets="$targets size-objects"
	;;
esac
# shellcheck disable=SC2086 # the list is words
if ! "${MAKE:-make}" -j"$(nproc)" BUILD="$build" $targets >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "bench: the build failed: its end is above, all of it in $log" >&2
	exit 1
fi

status=0 child=
# Whoever asks this script to end means what it runs.
trap 'kill "$child" 2>/dev/null || :; status=0; wait "$child" || status=$?; exit "$status"' INT TERM HUP
run()
{
	"$@" &
	child=$!
	wait "$child" || status=$?
}
run "$build/bench" --veth --json "$build/bench.json" --svg "$build/bench.svg" "$@"
if [ "$full" = 1 ]; then
	BUILD=$build
	export BUILD
	run "${PYTHON:-/usr/bin/python3}" -m bench.whole --json "$build/bench-whole.json"
fi
exit "$status"
