"""The benchmark of CUDA devices from end to end, in the emulator: its figures mean nothing there, its counts do.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from program import ROOT, bench_program, binary

SCRIPT = ROOT / "bench" / "device.py"
BUILD = pathlib.Path(binary("moe-run")).parents[1]


def bench(*arguments, **variables):
    environment = {**os.environ, "MOEC_BUILD": str(BUILD), "MOERT_CUDA_DRIVER": str(BUILD / "lib" / "libmoec-emulated-cuda.so"), **variables}
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], env=environment, capture_output=True, text=True)


def test_all_of_it(tmp_path):
    done = bench("prepare", "--quick", "--directory", tmp_path)
    assert done.returncode == 0, done.stderr
    done = bench("run", "--quick", "--directory", tmp_path, "-o", tmp_path / "table.md")
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "table.md").read_text()
    assert table == done.stdout and "tiny: 3 forms, 2 targets, 2 numbers of tokens agree" in table
    rows = [line for line in table.splitlines() if line.startswith(("| two-stage", "| flat", "| uncompressed"))]
    assert len(rows) == 6 and all(line.count("|") == 10 for line in rows)


def test_nothing_prepared(tmp_path):
    done = bench("run", "--quick", "--directory", tmp_path)
    assert done.returncode == 1 and "moe-run" in done.stderr


@pytest.mark.parametrize("variables, said", (
    ({"MOEC_EMULATOR_DEVICES": "0"}, "device.py: cuInit: "),
    ({"MOERT_CUDA_DRIVER": "libcuda-that-is-not-here.so"}, "device.py: needs the CUDA driver, found none: libcuda-that-is-not-here.so")))  # fmt: skip
def test_no_device(variables, said, tmp_path):
    """A line says what is missing, where somebody runs it without a device."""
    done = bench("run", "--quick", "--directory", tmp_path, **variables)
    assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_counts():
    """Work and bytes: by hand for one token, and against enumerated choices for clusters of a token."""
    import itertools

    device = bench_program("device")
    shape = device.Shape("by hand", 4, 8, 6, 3, 2, 1)
    assert shape.base == 96 and shape.residual == 36
    operations, moved = device.work(shape, "two-stage", 1)
    assert operations == 2 * 96 + 2 * 2 * 36 and moved == pytest.approx(2 * (96 + 2 * 36) + 16)
    assert device.work(shape, "uncompressed", 1) == (2 * 2 * 96, pytest.approx(2 * 2 * 96 + 16))
    choices = [len({e % 3 for e in chosen}) for chosen in itertools.combinations(range(6), 2)]
    assert device.clusters_of_token(shape, "flat") == pytest.approx(sum(choices) / len(choices))
    assert device.touched(8, 2, 1) == pytest.approx(2) and device.touched(8, 2, 10**6) == pytest.approx(8)
