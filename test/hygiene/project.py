"""What the hygiene checks share: the files of the project, and how findings are reported.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import sys

LICENCE = "Part of moec, under the Apache License v2.0 with LLVM Exceptions."

# Nothing of the project: history, builds, caches, what `make demo` leaves.
IGNORED = {".git", ".venv", ".venv-torch", "__pycache__", ".pytest_cache", "demo-out"}


def files(root, *suffixes, under=None):
    """Paths of the project's files, relative to its root and sorted; only those below `under` that end in a suffix."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        here = pathlib.Path(folder).relative_to(root)
        folders[:] = [
            name
            for name in folders
            if name not in IGNORED and not (here == pathlib.Path(".") and name.startswith("build"))
        ]
        found += [here / name for name in names if name not in IGNORED]
    if under:
        found = [path for path in found if path.is_relative_to(under)]
    return sorted(path for path in found if not suffixes or path.name.endswith(suffixes))


def lit_tests(root):
    """Files that the lit suite runs: the suffixes and exclusions of test/lit.cfg.py."""
    excluded = {"Inputs", "e2e", "reference", "unit", "fuzz", "random"}
    tests = [path for path in files(root, ".mlir", ".test", under="test") if not excluded & set(path.parts)]
    return [
        path
        for path in tests
        if not path.is_relative_to("test/regression") or "RUN:" in (pathlib.Path(root) / path).read_text()
    ]


def finish(findings, checked, what):
    """Prints the findings and ends: with an error if there are any, or if nothing was looked at."""
    for finding in findings:
        print(finding)
    print(f"{checked} {what} checked, {len(findings)} findings")
    sys.exit(1 if findings or not checked else 0)
