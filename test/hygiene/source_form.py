"""Checks the form of every text file: `source_form.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Code begins with a line of purpose and the licence line; no file has tabs, trailing blanks, Windows line ends, a missing
last line end, or the paths of somebody's machine.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
COMMENTS = {".h": ("//", "/*"), ".c": ("//", "/*"), ".cpp": ("//",), ".td": ("//",), ".map": ("/*",), ".py": ('"""', "#"),
            ".sh": ("#",), ".test": ("#",), ".cfg": ("#",)}  # fmt: skip
# A lit test may begin with what it runs.
TESTS = (".mlir", ".test")
# Written by upstream under its own terms, or data.
FOREIGN = {"LICENSE"}
DATA = (".json", ".npy", ".safetensors", ".bin", ".png", ".svg")
TABS_NEEDED = {"Makefile"}
# In pieces, so that this file does not hold what it forbids.
MACHINE_PATH = re.compile("(?<![\\w.$}])/(?:" + "|".join(("work", "home", "root", "Users")) + ")/")


def form(path, text):
    """Findings about one file."""
    lines = text.split("\n")
    if "\r" in text:
        yield "has carriage returns"
    if text and not text.endswith("\n"):
        yield "does not end with a line end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{number}: trailing blanks"
        if "\t" in line and path.name not in TABS_NEEDED:
            yield f"{number}: tab"
        if MACHINE_PATH.search(line):
            yield f"{number}: path of a machine"
    if path.suffix not in COMMENTS:
        return
    first = next((line for line in lines if not line.startswith("#!")), "")
    if not first.startswith(COMMENTS[path.suffix]) and not (path.suffix in TESTS and first.startswith("RUN:")):
        yield "1: must begin with a comment that says its purpose"
    if project.LICENCE in first:
        yield "1: must say its purpose before the licence"
    if path.suffix not in TESTS and project.LICENCE not in "\n".join(lines[:6]):
        yield f"must say within its first lines: {project.LICENCE}"


def main():
    findings = []
    checked = 0
    for path in project.files(root):
        if path.name in FOREIGN or path.name.endswith(DATA):
            continue
        data = (root / path).read_bytes()
        if b"\0" in data:
            continue
        checked += 1
        findings += [f"{path}: {finding}" for finding in form(path, data.decode())]
    project.finish(findings, checked, "files")


main()
