#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make lint: one line a stage, what a failed stage found, and the totals. Changes nothing.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-/usr/bin/python3}
build=${BUILD:-build}
findings=$(mktemp) || exit 1
trap 'rm -f "$findings"' EXIT
passed=0 failed=0

# Our files of a kind, as find's tests; what a tool made is in folders that git ignores too.
files()
{
	find . \( -name .git -o -name '__pycache__' -o -name '.*_cache' -o -name .hypothesis -o \
		-path ./build -o -path "./$build" \) -prune -o -type f \( "$@" \) -print | sort
}

needs()
{
	local tool
	for tool; do
		command -v "$tool" >/dev/null || {
			echo "$tool is missing: ci/install.sh lint (as root)"
			return 1
		}
	done
}

stage()
{
	local name=$1 from=${EPOCHREALTIME/./} word=ok

	shift
	if "$@" >"$findings" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1)) word=failed
	fi
	from=$((${EPOCHREALTIME/./} - from))
	printf '  %-14s %-7s%3d.%d s\n' "$name" "$word" $((from / 1000000)) $((from / 100000 % 10))
	[ $word = ok ] || sed 's/^/    /' "$findings"
}

format()
{
	needs clang-format-14 && files -name '*.[ch]' |
		xargs -P "$(nproc)" -n 20 clang-format-14 --dry-run -Werror
}

# What a file is compiled with decides what clang-tidy may expect of it.
tidy()
{
	local flags="-std=gnu11 -D_GNU_SOURCE -I loader -I bpf/include -I bpf/tests -I lib -I bench" bad=0

	needs clang-tidy-14 || return 1
	# Without the analyzer: it does not know that cmocka's assertions do not return.
	files -path '*/tests/*' -name '*.c' |
		tidy_files --checks=-clang-analyzer-\* -- "$flags" || bad=1
	# A kernel module has the kernel's headers, which are not here: its build has the kernel's warnings.
	files -name '*.c' ! -path '*/tests/*' ! -path './hwtests/vm/nfp/*' ! -name '*.bpf.c' |
		tidy_files -- "$flags" || bad=1
	# The offload linter's cases are wrong on purpose.
	files -name '*.bpf.c' ! -path '*/offload_cases/*' |
		tidy_files -- "-target bpf -mcpu=v3 -O2 -I bpf/include -I /usr/include/$(gcc -dumpmachine)" || bad=1
	return $bad
}

# The list of files on stdin. Its count of warnings in the system's headers is no finding.
tidy_files()
{
	local options=()

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	# shellcheck disable=SC2016 # the inner shell puts the files before the flags
	xargs -P "$(nproc)" -n 3 sh -c '
		flags=$1; shift
		clang-tidy-14 --quiet "$@" -- $flags 2>/dev/null' sh "$2" "${options[@]}" |
		sed "s|$PWD/||"
}

shells()
{
	needs shellcheck && { files -name '*.sh'; echo .ci/run; } | xargs shellcheck
}

flake()
{
	needs flake8 && files -name '*.py' | xargs flake8
}

types()
{
	needs mypy && mypy
}

tree()
{
	files -name '*' | "$python" ci/lint_tree.py "$1"
}

stage clang-format format
stage clang-tidy tidy
stage shellcheck shells
stage flake8 flake
stage mypy types
for check in licence paths length packages; do
	stage "$check" tree "$check"
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
