"""Checks that every source has a test of its name in the mirrored folder: `tests_mirror_sources.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

passes/FuseResidual.cpp is tested by test/passes/fuse-residual.mlir, dialects/MoE/IR/MoETypes.cpp by types.mlir,
weights/Npy.cpp by test/unit/weights/NpyTest.cpp, runtime/src/model.cpp by test/unit/runtime/ModelTest.cpp.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])

# Sources without a test of their name: what tests them instead, and why. Keep it short.
TESTED_BY = {
    # Registration has no behaviour but that inlining is allowed.
    "dialects/MoE/IR/MoEDialect.cpp": "test/dialects/MoE/IR/inlining.mlir",
    "dialects/MoERT/IR/MoERTDialect.cpp": "test/dialects/MoERT/IR/inlining.mlir",
    # Its messages are those of the verifiers that call it.
    "dialects/MoE/IR/VerifyShapes.cpp": "test/dialects/MoE/IR/slot-ops-invalid.mlir",
    # Named after what it does, as the source is after the interface.
    "dialects/MoE/Interfaces/BufferizableOpInterface.cpp": "test/dialects/MoE/Interfaces/bufferize.mlir",
    "dialects/MoERT/Interfaces/BufferizableOpInterface.cpp": "test/dialects/MoERT/Interfaces/bufferize.mlir",
    "dialects/MoE/Interfaces/TilingInterface.cpp": "test/dialects/MoE/Interfaces/tiling.mlir",
}


def plain(name):
    """A name without case, hyphens and what says that it is a test."""
    name = re.sub(r"(-invalid|-errors|Test)$", "", name)
    return re.sub(r"[^a-z0-9]", "", name.lower())


def candidates(path):
    """Folders that may hold the test of a source, and the plain names it may have."""
    folder = path.parent
    if path.is_relative_to("runtime/src"):
        return [pathlib.Path("test/unit/runtime"), pathlib.Path("test/runtime")], {plain(path.stem)}
    names = {plain(path.stem)}
    if path.parts[0] == "dialects":
        names.add(re.sub(r"^moe", "", plain(path.stem)))
    return ["test" / folder, "test/unit" / folder], names


def main():
    findings = []
    tests = project.files(root, ".mlir", ".test", ".cpp", ".c", ".py", under="test")
    sources = [
        path
        for path in project.files(root, ".c", ".cpp")
        if path.parts[0] in ("dialects", "passes", "lowering", "weights", "frontend", "regroup")
        or path.parts[0] == "runtime"
        or path.is_relative_to("tools/moe-bench")
        or path.is_relative_to("tools/PTXEmulator")
    ]
    for path in sources:
        named = TESTED_BY.pop(str(path), None)
        folders, names = candidates(path)
        own = [test for test in tests if test.parent in folders and plain(test.stem) in names]
        if named and own:
            findings.append(f"{path}: has the test {own[0]}, so the exception for it can go")
        elif named and not (root / named).exists():
            findings.append(f"{path}: {named}, which is to test it, does not exist")
        elif not named and not own:
            expected = " or ".join(str(folder) for folder in folders)
            findings.append(f"{path}: no test of that name in {expected}")
    findings += [f"{path}: exception for a source that does not exist" for path in TESTED_BY]
    project.finish(findings, len(sources), "sources")


main()
