#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fills a man page's template: a line @commands@, @options@, @reasons@, @packets@, @flows@, @stack@, @decapsulator@
# or @example@ becomes what the program, its headers or the example file say: a page cannot fall behind.
#
#     page.sh LOADER <template.scd >page.scd        (in the top folder; CC: the C preprocessor)
set -eu

loader=$1

# Text for scdoc: its marks escaped, also those that count only at the start of a line.
escape='function escape(text) {
	gsub(/[\\*_`]/, "\\\\&", text)
	if (text ~ /^[-\[\]|#. ]/)
		text = "\\" text
	return text
}'

# The options of a help text as a list. skip: a help text whose options are left out.
options()
{
	"$loader" help ${1:+"$1"} | awk -v skip="${2-}" "$escape"'
	BEGIN { n = split(skip, lines, "\n"); for (i = 1; i <= n; i++) common[lines[i]] = 1 }
	/^options:/ { inside = 1; next }
	/^[^ ]/ || /^$/ { inside = 0 }
	inside && !($0 in common) {
		left = $0; sub(/^ +/, "", left); sub(/   *[^ ].*/, "", left)
		help = substr($0, index($0, left) + length(left)); sub(/^ +/, "", help)
		gsub(/-?-[a-z-]+/, "*&*", left)
		n = split(left, words, " ")
		if (words[n] !~ /^\*/)
			sub(/ [^ ]+$/, " _" words[n] "_", left)
		printf "%s\n\t%s\n\n", left, escape(help)
	}'
}

command_names()
{
	"$loader" help | awk '/^commands:/ { inside = 1; next } /^$/ { inside = 0 }
		inside && /^  [a-z]/ && $1 !~ /^(help|version|completion)$/ { print $1 }'
}

commands()
{
	common=$("$loader" help | sed -n '/^options:/,/^$/p')
	for name in $(command_names); do
		"$loader" help "$name" | awk "$escape"'
		/^options:/ { exit }
		/^usage:/ {
			arguments = $0
			sub(/^usage: loader [^ ]+ \[OPTIONS\] */, "", arguments)
			printf "*shunt %s* %s\n", $3, escape(arguments)
			getline
			next
		}
		/^$/ { print; next }
		{ print "\t" escape($0) }'
		options "$name" "$common" | sed 's/^./\t&/'
		echo
	done
}

# The rows of an X-macro list of a header, as the preprocessor sees them: macro, header, row.
rows()
{
	printf '#include "%s"\n#define X(...) @row __VA_ARGS__\n%s(X)\n' "$2" "$1" |
		"${CC:-cc}" -E -P -I loader -I bpf/include -x c - |
		tr '\n' ' ' | sed 's/@row/\n&/g; s/"  *"//g' | sed -n 's/^@row //p'
}

# Cuts a row into its fields; those that are strings lose their quotes.
fields='function fields(row, list,   n, part) {
	split("", list)
	n = 0
	while (match(row, /^ *("[^"]*"|[^",]*[^", ]) *,?/)) {
		part = substr(row, 1, RLENGTH)
		row = substr(row, RLENGTH + 1)
		gsub(/^ *"?|"? *,? *$/, "", part)
		list[++n] = part
	}
	return n
}'

reasons()
{
	rows REASONS reason.h | awk "$escape $fields"'
	{ fields($0, row) }
	row[2] == "none" { next }
	{
		printf "*%s* (exit status %d)\n\t%s.%s\n\n", row[2], row[3], escape(row[4]),
			row[5] == "" ? "" : " To do: " escape(row[5]) "."
	}'
}

packets()
{
	rows LB_REASONS lb/counters.h | awk "$escape $fields"'
	{
		fields($0, row)
		printf "*%s* (%s)\n\t%s\n\n", escape(row[1]), tolower(row[2]), escape(row[3])
	}'
}

# A list of counters without verdicts.
counters()
{
	rows "$1" lb/counters.h | awk "$escape $fields"'
	{ fields($0, row); printf "*%s*\n\t%s\n\n", escape(row[1]), escape(row[2]) }'
}

while IFS= read -r line; do
	case $line in
	@commands@) commands ;;
	@options@) options ;;
	@reasons@) reasons ;;
	@packets@) packets ;;
	@flows@) counters LB_FLOW_COUNTERS ;;
	@stack@) counters LB_STACK_COUNTERS ;;
	@decapsulator@) counters LB_DECAP_COUNTERS ;;
	@example@) sed '/^# SPDX/d' loader/dist/shunt.yaml ;;
	*) printf '%s\n' "$line" ;;
	esac
done | cat -s
