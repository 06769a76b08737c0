"""Instructions that compiled kernels lean on, in the emulator: what the PTX ISA says comes out, and what a device gave, where one was asked.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import dataclasses
import json
import math
import os
import pathlib
import pickle
import re
import subprocess
import sys
from fractions import Fraction

import pytest

from program import ROOT, bench_program, binary

EMULATOR = pathlib.Path(binary("moe-run")).parents[1] / "lib" / "libmoec-emulated-cuda.so"
# Results of a device, which `bench/device.py run --golden` writes; there are none yet.
GOLDEN = pathlib.Path(__file__).parent / "Inputs" / "micro-kernels.json"

micro = bench_program("micro_kernels")
KERNELS = micro.all_kernels()


@pytest.fixture(scope="module")
def driver():
    return micro.Driver(str(EMULATOR))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_as_expected(driver, kernel):
    found = driver.run(kernel)
    assert micro.difference(kernel, found) is None
    # Expected values that are off are noticed: each in a place of its own.
    off = bytearray(kernel.expected)
    off[len(off) // 8 * 4 + 2] ^= 0x40
    assert micro.difference(dataclasses.replace(kernel, expected=bytes(off)), found)


def test_names_are_their_own():
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS) > 30


def test_as_a_device_has_it(driver):
    """The emulator's status is what the file says."""
    status = (ROOT / "docs" / "emulator.md").read_text()
    assert ("was never compared with hardware" in status) == (not GOLDEN.exists())
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else None
    lines = []
    results, wrong = micro.check(driver, golden, lines.append)
    assert wrong == 0, lines


def test_golden_results_are_compared(driver):
    results, _ = micro.check(driver, report=lambda line: None)
    name = "ldmatrix"
    other = dict(results, **{name: "00" * (len(results[name]) // 2)})
    lines = []
    _, wrong = micro.check(driver, {"device": "of another kind", "kernels": other}, lines.append)
    assert wrong == 1 and lines[0] == f"{name}: not what of another kind made of it"


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("ldmatrix", ".x4.shared", ".x4.trans.shared"),
        ("mma.m16n8k16.bf16", "%r12, %r13}", "%r13, %r12}"),
        ("mma.m16n8k16.f16", "f16.f16", "bf16.bf16"),
        ("cp.async", "16, %r3", "16"),
        ("wgmma.m64n128k16.bf16 by columns", "1, 1, 1, 0, 1;", "1, 1, 1, 0, 0;"),
        ("box of rows of 128 swizzled bytes, inside", "mov.b32 %r16, 8", "mov.b32 %r16, 9"),
        ("mbarrier phases", ", 2;\n", ", 1;\n"),
        ("collectives", "match.any.sync.b32 %r12, %r4", "match.any.sync.b32 %r12, %r0"),
        ("floats", "div.rn.f32", "div.rn.ftz.f32"),
        ("multicast", "mov.b16 %h0, 3", "mov.b16 %h0, 1"),
        ("multicast", "mad.lo.u32 %r9, %r8, 1024, %r1", "mov.b32 %r9, %r1"),
        ("tanh.approx", "tanh.approx.f32 %r8, %r4", "mov.b32 %r8, %r4"),
    ],
)
def test_changes_are_noticed(driver, name, old, new):
    """By values, or by the emulator, whose device is then no more: hence one of its own."""
    (kernel,) = [kernel for kernel in KERNELS if kernel.name == name]
    assert old in kernel.text
    changed = dataclasses.replace(kernel, text=kernel.text.replace(old, new))
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'bench')!r}]; import pickle, micro_kernels as m; "
        f"k = pickle.load(sys.stdin.buffer); print(m.difference(k, m.Driver({str(EMULATOR)!r}).run(k)))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(changed), capture_output=True)
    assert done.returncode != 0 or done.stdout.strip() != b"None", (done.stdout, done.stderr)


def test_roundings():
    """Fractions to f32 as the processor rounds doubles that are exact."""
    for bits in range(0, 1 << 32, 7919 * 977):
        value = micro.f32_of(bits)
        if math.isfinite(value):
            assert micro.rounded_f32(Fraction(value)) == (bits if value else bits & 0x80000000 and 0)
    for value in (1 + 2.0**-24, 1 + 3 * 2.0**-24, 2.0**-150, 2.0**-149 * 1.5, 3.4028235e38, 2.0**-126 - 2.0**-150):
        assert micro.rounded_f32(Fraction(value)) == micro.f32_bits(value)
    assert micro.rounded_f32(Fraction(2) ** 128) == 0x7F800000


def test_a_program_of_its_own(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MOERT_CUDA_DRIVER", str(EMULATOR))
    monkeypatch.setattr(sys, "argv", ["micro_kernels.py", "--record", str(tmp_path / "results.json")])
    with pytest.raises(SystemExit) as ended:
        micro.main()
    assert ended.value.code == 0
    assert re.search(rf"{len(KERNELS)} as expected, 0 not, 0 not for this device", capsys.readouterr().out)
    assert len(json.loads((tmp_path / "results.json").read_text())["kernels"]) == len(KERNELS)


def test_what_a_device_lacks_is_left_out():
    environment = dict(os.environ, MOERT_CUDA_DRIVER=str(EMULATOR), MOEC_EMULATOR_CAPABILITY="8.0")
    done = subprocess.run([sys.executable, ROOT / "bench" / "micro_kernels.py"], env=environment, capture_output=True, text=True)
    newer = sum(kernel.target == "sm_90a" for kernel in KERNELS)
    assert done.returncode == 0 and f"{len(KERNELS) - newer} as expected, 0 not, {newer} not for this device" in done.stdout
