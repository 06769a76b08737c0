"""Reads the output of pytest, lit or GoogleTest and prints how many tests passed and failed.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import re
import sys

text = sys.stdin.read()


def count(pattern):
    return sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


passed = (
    count(r"^\[  PASSED  \] (\d+) test")  # GoogleTest
    + count(r"^\s*(?:Expectedly Failed|Passed) *: *(\d+)")  # lit
    + count(r"(\d+) passed.* in [\d.:]+")  # pytest
)
failed = (
    count(r"^\[  FAILED  \] (\d+) test")
    + count(r"^\s*(?:Failed|Unresolved|Timed Out|Unexpectedly Passed) *: *(\d+)")
    + count(r"(\d+) failed.* in [\d.:]+")
    + count(r"(\d+) errors? in [\d.:]+")
)
print(passed, failed)
