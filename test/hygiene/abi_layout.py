"""Checks that test/unit/runtime/abi_layout.h states all of the C ABI: `abi_layout.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Of each header in runtime/include: the size of every struct, the offset of every field, the number of every enumerator and
constant. The build checks that what is stated is so, in C and in C++; this checks that nothing is left out.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
STRUCT = re.compile(r"^typedef struct (?:\w+ )?\{(.*?)^\} (\w+);", re.MULTILINE | re.DOTALL)
ENUM = re.compile(r"^typedef enum \{(.*?)\} \w+;", re.MULTILINE | re.DOTALL)
# A union counts as one field.
UNION = re.compile(r"union \{[^}]*\}")
# A field's name stands last, in front of its extents, or is that of a function pointer.
FIELD = re.compile(r"\(\*(\w+)\)\(|(\w+)(?:\[\w+\])?\s*$")
CONSTANT = re.compile(r"^#define (MOERT_\w+) \(*(?:-?\d|UINT64_C)", re.MULTILINE)


def stated_by(text):
    """What abi_layout.h has to state of a header, as it spells it."""
    for body, struct in STRUCT.findall(text):
        yield f"sizeof({struct}) =="
        for field in UNION.sub("union", body).split(";"):
            if field.strip():
                yield f"offsetof({struct}, {''.join(FIELD.search(field.strip()).groups(''))}) =="
    for body in ENUM.findall(text):
        for enumerator in body.split(","):
            yield f"({enumerator.split('=')[0].strip()} =="
    for constant in CONSTANT.findall(text):
        yield f"({constant} =="


def main():
    written = (root / "test/unit/runtime/abi_layout.h").read_text()
    findings, checked = [], 0
    for header in project.files(root, ".h", under="runtime/include"):
        for statement in stated_by(COMMENT.sub("", (root / header).read_text())):
            checked += 1
            if statement not in written:
                findings.append(f"{header}: test/unit/runtime/abi_layout.h does not state {statement.strip('(= ')}")
    project.finish(findings, checked, "statements")


main()
