#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make test: installs what is missing, builds everything, then unit tests and pytest, beside them lint and
# the virtual machines; the last line is the sum of them all. Needs root; traffic stays in network namespaces of its own.
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "$(id -u)" != 0 ]; then
	echo "make test needs root, for network namespaces and BPF: sudo make test" \
		"(without root: make lint unit)" >&2
	exit 1
fi

export BUILD=${BUILD:-build}
python=${PYTHON:-/usr/bin/python3}
logs=$BUILD/test
passed=0 failed=0 skipped=0
mkdir -p "$logs" || exit 1

total()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

# A step that has to work before any test makes sense: its output only if it does not.
prepare()
{
	local name=$1

	shift
	printf '== %s\n' "$name"
	"$@" >"$logs/$name.log" 2>&1 && return
	tail -n 40 "$logs/$name.log"
	echo "   $name failed: $*  (all of it: $logs/$name.log)"
	failed=$((failed + 1))
	total
	exit 1
}

# A stage's own last line says how it went; a stage that ended without one has failed.
add_last_line()
{
	local good bad left

	read -r good bad left < <(tail -n 1 "$1" |
		sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p')
	passed=$((passed + ${good:-0})) failed=$((failed + ${bad:-1})) skipped=$((skipped + ${left:-0}))
}

# TAP: one line a test; "failed:" names the programs that did not end as they should.
add_unit()
{
	local good bad left

	left=$(grep -cE '^ok .*# SKIP' "$logs/unit.log")
	good=$(grep -cE '^ok ' "$logs/unit.log")
	bad=$(grep -cE '^not ok ' "$logs/unit.log")
	# A program that crashed told of no failed test.
	[ "$1" = 0 ] || [ "$bad" != 0 ] || bad=1
	echo "   $((good - left)) passed, $bad failed, $left skipped"
	[ "$bad" = 0 ] || grep -vE '^(ok |  (CC|RUN) )' "$logs/unit.log" | tail -n 40
	passed=$((passed + good - left)) failed=$((failed + bad)) skipped=$((skipped + left))
}

prepare install ci/install.sh build test lint
prepare build make -j "$(nproc)" everything

# Most of pytest waits for packets: what only computes runs beside it, and gives way.
nice timeout -k 60 2400 ci/vm.sh >"$logs/vm.log" 2>&1 &
vm=$!
nice ci/lint.sh >"$logs/lint.log" 2>&1 &
lint=$!
trap 'kill "$vm" "$lint" 2>/dev/null' EXIT

echo "== unit tests"
CMOCKA_MESSAGE_OUTPUT=TAP make unit >"$logs/unit.log" 2>&1
add_unit $?

echo "== pytest"
timeout --foreground -s INT -k 60 2400 "$python" -u -m pytest -q --tb=short --color=no hwtests |
	tee "$logs/pytest.log"
add_last_line "$logs/pytest.log"

echo "== lint"
wait "$lint"
cat "$logs/lint.log"
add_last_line "$logs/lint.log"

echo "== virtual machines"
wait "$vm"
cat "$logs/vm.log"
add_last_line "$logs/vm.log"

echo "== all of it"
total
