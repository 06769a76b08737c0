"""Makes the oracle, the artifact loader and the program builder importable; keeps files whole under xdist.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "reference")]


def pytest_configure(config):
    """Under pytest-xdist a file's tests stay together, so that its module is compiled once."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"
