"""Programs of bench/python run, and print what they say they do.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import re
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python"


def printed(program, *arguments):
    done = subprocess.run([sys.executable, BENCH / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_overhead(artifact):
    """A call by NumPy takes longer than its C call."""
    text = printed("overhead.py", "--artifact", str(artifact.path), "--rounds", "5", "--calls", "20")
    rows = dict(re.findall(r"^(\w[^0-9\n]*\S) +[\d.]+ +[\d.]+ +(-?[\d.]+)$", text, re.MULTILINE))
    assert float(rows["C call"]) == 0 and float(rows["NumPy"]) > 0
