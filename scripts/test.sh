#!/bin/sh
# Sets up, builds and runs the tests; the last line counts them: "N passed, N failed".
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -u
cd "$(dirname "$0")/.."

scripts/setup.sh test || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset release -DMOEC_TESTS=ON >"$log" 2>&1; then
  cat "$log"
  exit 1
fi
cmake --build --preset release || exit 1

passed=0
failed=0
# run NAME COMMAND...: runs a test runner and adds what its closing lines count.
run() {
  name=$1
  shift
  echo "== $name"
  "$@" >"$log" 2>&1
  status=$?
  cat "$log"
  counts=$(python3 scripts/count_tests.py <"$log") || counts="0 0"
  set -- $counts
  passed=$((passed + $1))
  failed=$((failed + $2))
  # A runner that died, or ran nothing, has failed whatever it counted.
  if { [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; } || [ "$1" -eq 0 ]; then
    echo "$name: exit status $status, $1 passed"
    failed=$((failed + 1))
  fi
}

MOEC_BIN=$PWD/build/bin
export MOEC_BIN
run "unit tests" build/bin/moe-unit-tests --gtest_brief=1
run "data races" build/bin/moe-pager-race-tests --gtest_brief=1
run "data races between epochs" build/bin/moe-epoch-race-tests --gtest_brief=1
run "data races between ranks" build/bin/moe-comm-race-tests --gtest_brief=1
run "lit tests" /usr/lib/llvm-22/bin/lit -sv build/test
run "value tests against NumPy" .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 test/reference test/e2e test/examples
run "Python package" .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 test/python
run "random modules" .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 test/random

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
