"""Finds the tools and the runtime library: MOEC_HOME, next to the package, in its source tree, or where it is installed.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

VARIABLE = "MOEC_HOME"


def prefixes() -> list[pathlib.Path]:
    """Where bin/ and lib/ may be, the first to be looked at first. With MOEC_HOME it alone counts."""
    asked = os.environ.get(VARIABLE)
    if asked:
        return [pathlib.Path(asked)]
    package = pathlib.Path(__file__).resolve().parent
    found = [package]
    # The source tree, and what `make` builds in it.
    if (package.parents[1] / "runtime" / "include" / "moert").is_dir():
        found.append(package.parents[1] / "build")
    found.append(pathlib.Path(sys.prefix))
    compiler = shutil.which("moe-compile")
    if compiler:
        found.append(pathlib.Path(compiler).resolve().parents[1])
    found += [pathlib.Path("/usr/local"), pathlib.Path("/usr")]
    return found


def find(*names: str) -> pathlib.Path:
    """The first file of these names, relative to a prefix, such as "lib/libmoert.so"; FileNotFoundError says where it looked."""
    looked = prefixes()
    for prefix in looked:
        for name in names:
            if (prefix / name).exists():
                return prefix / name
    places = ", ".join(map(str, looked))
    raise FileNotFoundError(
        f"found no {names[0]} in {places}; set {VARIABLE} to the folder that has bin and lib, for example the build folder"
    )
