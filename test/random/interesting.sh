#!/bin/sh
# For moe-reduce: exit 1 while a module is valid and means something else after some pass.
#   moe-reduce module.mlir --reduction-tree='traversal-mode=0 test=test/random/interesting.sh' -o reduced.mlir
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "$root/.venv/bin/python" "$root/test/random/check.py" --interesting "$1"
