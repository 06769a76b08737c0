"""Checks that flag, definition, file and test of each pass share one name: `pass_names.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

`FuseResidualPass` in passes/Passes.td has the flag `moe-fuse-residual`, stands in passes/**/FuseResidual.cpp, and is tested
in test/passes/**/fuse-residual.mlir. A conversion `ConvertAToBPass` has the flag `convert-a-to-b` and stands in AToB.cpp.
Every option of a pass is used by some test.
"""

import pathlib
import re
import sys

import project

root = pathlib.Path(sys.argv[1])
DEFINITION = re.compile(r'^def (\w+)\s*:\s*[\w:]*Pass\w*<"([^"]+)"(.*?)(?=^def |\Z)', re.MULTILINE | re.DOTALL)
OPTION = re.compile(r'Option<\s*"\w+",\s*"([^"]+)"')


def plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def check(folder, definition, flag, body, tests):
    """Findings about one pass."""
    if not definition.endswith("Pass"):
        yield "must end in Pass"
        return
    name = definition.removesuffix("Pass")
    names = {plain(name), plain(name.removeprefix("Convert"))}
    if flag not in ("moe-" + flag.removeprefix("moe-"), "convert-" + flag.removeprefix("convert-")):
        yield f"flag '{flag}' begins with neither moe- nor convert-"
    if plain(flag) not in (plain(name), "moe" + plain(name)):
        yield f"flag '{flag}' is another name"

    sources = [path for path in project.files(root, ".cpp", under=folder) if plain(path.stem) in names]
    if len(sources) != 1:
        yield f"must stand in one file {name}.cpp, found {[str(path) for path in sources]}"
        return
    macro = "GEN_PASS_DEF_" + definition.upper()
    if macro not in (root / sources[0]).read_text():
        yield f"{sources[0]} does not define it ({macro})"

    own = [path for path in tests if path.parent == "test" / sources[0].parent and plain(path.stem) in names]
    if not own:
        yield f"no test of its name in test/{sources[0].parent}"
    elif not any("--" + flag in (root / path).read_text() for path in own):
        yield f"{own[0]} does not run --{flag}"

    for option in OPTION.findall(body):
        used = re.compile(re.escape(flag) + r"=[^|]*" + re.escape(option))
        if not any(used.search((root / path).read_text()) for path in tests):
            yield f"no lit test uses its option {option}"


def main():
    findings = []
    checked = 0
    tests = project.lit_tests(root)
    for table in project.files(root, "Passes.td"):
        text = (root / table).read_text()
        passes = DEFINITION.findall(text)
        if len(passes) != len(re.findall(r"^def ", text, re.MULTILINE)):
            findings.append(f"{table}: not every definition could be read")
        for definition, flag, body in passes:
            checked += 1
            findings += [f"{table}: {definition}: {found}" for found in check(table.parent, definition, flag, body, tests)]
    project.finish(findings, checked, "passes")


main()
