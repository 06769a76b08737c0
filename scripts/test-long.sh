#!/bin/sh
# The tests that take long: thousands of random modules, everything under sanitizers, and the other compiler.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."

scripts/test.sh

echo "== two thousand more random modules"
MOEC_BIN=$PWD/build/bin MOEC_RANDOM_MODULES=2000 MOEC_RANDOM_SEED=1000 \
  .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 test/random

echo "== g++, warnings are errors"
cmake --preset gcc >/dev/null
cmake --build --preset gcc
build-gcc/bin/moe-unit-tests --gtest_brief=1
/usr/lib/llvm-22/bin/lit -sv build-gcc/test

echo "== AddressSanitizer and UndefinedBehaviorSanitizer"
cmake --preset asan >/dev/null
cmake --build --preset asan
# What sanitised code poisons in LLVM's allocators, the packages' code uses without unpoisoning it.
export ASAN_OPTIONS=allow_user_poisoning=0
build-asan/bin/moe-unit-tests --gtest_brief=1
/usr/lib/llvm-22/bin/lit -sv --param seconds=900 build-asan/test
MOEC_BIN=$PWD/build-asan/bin MOEC_RANDOM_MODULES=100 MOEC_RANDOM_SEED=5000 \
  .venv/bin/python -m pytest -q -p no:cacheprovider -n 2 test/random

echo "== fuzz targets, half a minute each"
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
scripts/fuzz.sh 30

echo "test-long: ok"
