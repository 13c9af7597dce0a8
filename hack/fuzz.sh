#!/usr/bin/env bash
# fuzz.sh: runs every fuzz target for some CPU-seconds: 30 of them, LOGSOURCE_SCALE times that, at most ten
# minutes. What a run finds is kept by go test in the package's testdata, and fails every test run from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
cores=$(nproc)
seconds=$((30 * ${LOGSOURCE_SCALE:-1}))
[ "$seconds" -le 600 ] || seconds=600
each=$(((seconds + cores - 1) / cores)) # go test fuzzes on every core
mapfile -t targets < <(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9]+' . | sed -E 's#^\./(.*)/[^/]*_test\.go:[0-9]+:func (.*)$#\1 \2#' | sort)
# only_late LOG: the one thing that failed is that a worker was still busy when the time was over. go test
# then fails without an input, which is no finding.
only_late() { [ "$(grep -A1 '^--- FAIL' <<<"$1" | tail -n +2)" = '    context deadline exceeded' ] && [ "$(grep -c -e '--- FAIL' -e '^panic' <<<"$1")" = 1 ]; }
n=0
for target in "${targets[@]}"; do
  read -r folder name <<<"$target"
  n=$((n + 1))
  printf 'fuzzing %d/%d: %s %s, %ss on %d cores\n' "$n" "${#targets[@]}" "$folder" "$name" "$each" "$cores" >&2
  if ! log=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "${each}s" -fuzzminimizetime 1s "./$folder" 2>&1) && ! only_late "$log"; then
    printf '%s\n' "$log" >&2
    echo "fuzz.sh: $folder $name found something; its input is in $folder/testdata/fuzz/$name" >&2
    exit 1
  fi
  printf 'figure: %s: %s\n' "$name" "$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -n 1), 0 crashes"
done
