"""The picture of docs/residency.md is what the example model's trace and the simulator give today.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "tiny-mixtral"
BIN = pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin"))


def test_it_is_current(tmp_path):
    options = ["--compress", "--clusters=8", "--rank=16", "--opt-level=0", "-o", tmp_path / "small"]
    done = subprocess.run([BIN / "moe-compile", MODEL, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, MODEL / "residency_picture.py", tmp_path / "small", "-o", tmp_path / "picture.svg"]
    subprocess.run([*command, "--simulate", BIN / "moe-simulate"], check=True)
    text = (tmp_path / "picture.svg").read_text()
    assert text.count("M") > 1000
    assert text == (ROOT / "docs" / "residency.svg").read_text()
