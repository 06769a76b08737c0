#!/bin/sh
# The tests that need PyTorch, transformers and JAX: the Python package in them, and compiled blocks against their modules.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh torch
cmake --preset release -DMOEC_TESTS=ON >build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release --target moe-compile moe-run moe-archive moe-simulate device-time-entry moec-emulated-cuda moert
MOEC_BIN=$PWD/build/bin
export MOEC_BIN
.venv-torch/bin/python -m pytest -q -p no:cacheprovider test/python test/e2e/test_transformers_families.py \
  test/examples
