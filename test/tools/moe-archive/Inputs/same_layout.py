"""Checks that two outputs of moe-archive list begin with the same version and layout hash: same_layout.py ONE OTHER

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import sys

first, second = (open(path, encoding="utf-8").readline().split(", ")[:2] for path in sys.argv[1:])
if first != second:
    sys.exit(f"expected {first}, found {second}")
