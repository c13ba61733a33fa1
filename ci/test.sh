#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make test: installs what is missing, builds everything, then lint, the unit tests and pytest; the last
# line is the sum of them all. Needs root; traffic stays in network namespaces of its own.
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

# The numbers on a stage's own last line ("... N passed, N failed").
add_lint()
{
	local counts

	counts=$(tail -n 1 "$logs/lint.log" | grep -oE '[0-9]+' | tr '\n' ' ')
	read -r good bad _ <<<"$counts"
	passed=$((passed + ${good:-0})) failed=$((failed + ${bad:-1}))
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

add_pytest()
{
	local tests=0 errors=0 failures=0 left=0 name

	for name in tests errors failures skipped; do
		local value
		value=$(grep -oE "<testsuite [^>]*" "$logs/pytest.xml" 2>/dev/null |
			grep -oE " $name=\"[0-9]+\"" | grep -oE '[0-9]+')
		case $name in
		tests) tests=${value:-0} ;;
		errors) errors=${value:-0} ;;
		failures) failures=${value:-0} ;;
		skipped) left=${value:-0} ;;
		esac
	done
	passed=$((passed + tests - errors - failures - left))
	failed=$((failed + errors + failures)) skipped=$((skipped + left))
	# Interrupted, or nothing collected: pytest's status says so, its report does not.
	[ "$1" = 0 ] || [ $((errors + failures)) != 0 ] || failed=$((failed + 1))
}

[ -n "${SHUNT_NO_INSTALL-}" ] || prepare install ci/install.sh build test lint
prepare build make -j "$(nproc)" everything

echo "== lint"
ci/lint.sh | tee "$logs/lint.log"
add_lint

echo "== unit tests"
CMOCKA_MESSAGE_OUTPUT=TAP make unit >"$logs/unit.log" 2>&1
add_unit $?

echo "== pytest"
rm -f "$logs/pytest.xml"
timeout --foreground -s INT -k 60 1080 "$python" -m pytest -q -rs --tb=short --color=no \
	--junitxml="$logs/pytest.xml" hwtests
add_pytest $?

total
