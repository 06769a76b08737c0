"""Checks who may include whom: `layering.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

dialects <- passes <- lowering <- tools, and weights <- {passes, lowering, tools, runtime, frontend}. The compiler and the
runtime share one header. What regroups a running model knows the runtime by its C functions alone. Tools may use the runtime's policies of residency, which know weights alone. Weights, the runtime and
the front end (but for the importer) never see LLVM or MLIR. Every include must be understood: one that is neither the
project's, nor upstream's, nor the system's is a finding.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
INCLUDE = re.compile(r'^[ \t]*#?[ \t]*include[ \t]+(["<])([^">]+)[">]', re.MULTILINE)

LAYERS = {
    "dialects": {"dialects", "upstream"},
    "passes": {"passes", "dialects", "frontend", "weights", "upstream"},
    "lowering": {"lowering", "passes", "dialects", "weights", "abi", "upstream"},
    "frontend": {"frontend", "weights"},
    "tools": {"tools", "lowering", "passes", "dialects", "frontend", "weights", "residency", "moert", "upstream"},
    "weights": {"weights"},
    "runtime": {"runtime", "residency", "moert", "weights"},
    "regroup": {"regroup", "frontend", "moert", "weights"},
}
# Tests, examples and benchmarks use what there is.
FREE = {"test", "examples", "bench", "python"}
# Programs for machines without LLVM.
WITHOUT_UPSTREAM = {"tools/Execution", "tools/PTXEmulator", "tools/moe-archive", "tools/moe-bench", "tools/moe-cost", "tools/moe-regroup", "tools/moe-run", "tools/moe-simulate"}
# Policies of the runtime that the simulator runs too; they know nothing of the rest of it.
POLICIES = "runtime/residency"
# Of a folder that knows no MLIR, what makes IR.
WITH_UPSTREAM = {"frontend/Importer.h", "frontend/Importer.cpp"}


def layer_of(path, bracket, name):
    """What an include belongs to; None if that cannot be said."""
    first = name.split("/")[0]
    if name.startswith(POLICIES + "/"):
        return "residency"
    if name == "moert/abi.h":
        return "abi"
    if first == "moert":
        return "moert"
    if first in ("mlir", "mlir-c", "llvm", "llvm-c", "clang", "lld"):
        return "upstream"
    if first in LAYERS and "/" in name:
        # Generated files stand in the build folder.
        return first if name.endswith(".inc") or (root / name).exists() else None
    if bracket == '"' and (root / path.parent / name).exists():
        return path.parts[0]
    return "system" if bracket == "<" else None


def main():
    findings = []
    checked = 0
    for path in project.files(root, ".h", ".c", ".cpp", ".td"):
        layer = path.parts[0]
        if layer in FREE:
            continue
        if layer not in LAYERS:
            findings.append(f"{path}: '{layer}' is not a layer that layering.py knows")
            continue
        checked += 1
        if path.is_relative_to(POLICIES):
            allowed = {"residency", "weights", "system"}
        else:
            allowed = LAYERS[layer] | {"system"} | ({"abi"} if "moert" in LAYERS[layer] else set())
        if any(path.is_relative_to(part) for part in WITHOUT_UPSTREAM):
            allowed = allowed - {"upstream", "dialects", "passes", "lowering"}
        if str(path) in WITH_UPSTREAM:
            allowed = allowed | {"upstream", "dialects"}
        for match in INCLUDE.finditer((root / path).read_text()):
            bracket, name = match[1], match[2]
            found = layer_of(path, bracket, name)
            if found is None:
                findings.append(f"{path}: cannot tell what '{name}' is; spell it from the source root")
            elif found not in allowed:
                findings.append(f"{path}: {layer} must not include {name} ({found})")
    project.finish(findings, checked, "files")


main()
