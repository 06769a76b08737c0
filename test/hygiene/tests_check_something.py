"""Checks that no lit test can only pass: `tests_check_something.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Every test runs something and compares what comes out: with FileCheck, with expected diagnostics, with a file, by an exit
code that must not be zero, or in a Python program. One that verifies diagnostics expects some.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
RUN = re.compile(r"RUN:(.*)")
CHECKS = re.compile(r"FileCheck|verify-diagnostics|\bdiff\b|\bcmp\b|\bnot\b|%exits|%python \S*\.py")


def main():
    findings = []
    tests = project.lit_tests(root)
    for path in tests:
        text = (root / path).read_text()
        commands = "\n".join(RUN.findall(text))
        if not commands:
            findings.append(f"{path}: runs nothing")
        elif not CHECKS.search(commands):
            findings.append(f"{path}: checks nothing")
        elif "verify-diagnostics" in commands and "FileCheck" not in commands and "expected-" not in text:
            findings.append(f"{path}: verifies diagnostics but expects none")
    # What lit does not run, no one may take for a test.
    for path in project.files(root, ".mlir", ".test", under="test"):
        if path not in tests and RUN.search((root / path).read_text()):
            findings.append(f"{path}: has a RUN line but is not in the suite")
    project.finish(findings, len(tests), "tests")


main()
