#!/bin/sh
# Runs tests: executable, tests at a time, filter. What fails is tried once more, alone: an emulated
# processor that is not given its time lets deadlines pass, and packets come in the midst of programs.
program=$1 threads=$2
shift 2
first=/run/first.$$
{ "$program" --test-threads="$threads" "$@"; echo $? >"$first.status"; } | tee "$first"
status=$(cat "$first.status")
failed=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$first")
[ -n "$failed" ] || exit "$status"
echo 'tried again, alone:'
# Names of tests have no blanks.
exec "$program" --test-threads=1 --exact $failed
