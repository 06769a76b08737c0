#!/bin/sh
# Every fuzz target for some seconds, from its corpus: scripts/fuzz.sh [SECONDS] (30), after cmake --build --preset fuzz.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for corpus in test/fuzz/*/corpus; do
  name=$(basename "$(dirname "$corpus")")
  mkdir "$found/$name"
  # What it finds that is new stays out of the tree; an input that fails is left here.
  if ! "build-fuzz/bin/fuzz-$name" -max_total_time="${1:-30}" -print_final_stats=1 "$found/$name" "$corpus" >"$found/log" 2>&1; then
    cat "$found/log"
    echo "fuzz-$name: failed"
    exit 1
  fi
  echo "fuzz-$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log") inputs"
done
echo "fuzz: ok"
