"""What ptxas makes of the kernels, against the tables of docs/cuda: registers, shared memory, no spills, no warnings.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Where there is no ptxas, nothing of this runs: no GPU and no CUDA toolkit is needed for anything else.
"""

import itertools
import re
import shutil
import subprocess

import pytest

from program import ROOT, tool

INPUTS = ROOT / "test" / "lowering" / "CUDA" / "Inputs"
LAYER, SUMS = INPUTS / "layer.mlir", INPUTS / "sums.mlir"
FUNCTION = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")

pytestmark = pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not found")


def budgets():
    """Registers and bytes of shared memory (None where they depend on the layer) of each kernel, by target, from the document."""
    table = {}
    pages = sorted((ROOT / "docs" / "cuda").glob("*.md"))
    for line in "\n".join(page.read_text() for page in pages).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[3].isdigit():
            kernels, _, shared, registers, spills, target = cells
            assert spills == "0"
            for name, part in itertools.zip_longest(kernels.split(", "), shared.split(", ")):
                bytes_ = re.fullmatch(r"([\d,]+) B", part or "")
                table[target, name] = int(registers), bytes_ and int(bytes_[1].replace(",", ""))
    return table


def assemble(module, target, path, *options):
    """ptxas' report on all kernels of a module: (name, registers, shared bytes, bytes of stack and spills), and all it said."""
    ptx = path / "layer.ptx"
    tool("moe-compile", module, "--optimize", "--separate-weights", "--target=cuda", f"--isas={target}", "--emit=ptx", "-o", ptx, *options)
    done = subprocess.run(["ptxas", f"-arch={target}", "-v", ptx, "-o", path / "layer.cubin"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report, name, stack = [], None, 0
    for line in done.stderr.splitlines():
        if found := FUNCTION.search(line):
            name = found[1]
        elif found := SPILLS.search(line):
            stack = sum(map(int, found.groups()))
        elif found := USED.search(line):
            report.append((name, int(found[1]), int(found[2] or 0), stack))
    return report, done.stderr


def assemble_cleanly(module, target, path, *options):
    """The same report; ptxas had nothing to complain about."""
    report, said = assemble(module, target, path, *options)
    assert "warning" not in said and not re.search(r"C75\d\d", said), said
    return report


@pytest.mark.parametrize("target", ["sm_80", "sm_90a"])
def test_kernels_keep_their_budgets(target, tmp_path):
    report = []
    modules = ((SUMS,), *((LAYER, f"--residual-form={form}") for form in ("present", "dense", "slot")))
    for module, *options in modules:
        report += assemble_cleanly(module, target, tmp_path, *options)
    # Pairs of an expert are tiles from ranks of 8 on; what else a layer of such ranks has is not of the tables' sizes.
    wide = tmp_path / "rank16.mlir"
    wide.write_text(re.sub(r"<4x(\d+xbf16, expert)", r"<16x\1", LAYER.read_text().replace("x4xbf16, expert", "x16xbf16, expert")))
    report += [kernel for kernel in assemble_cleanly(wide, target, tmp_path) if re.search("_(pairs_by_expert|shrink_32)_", kernel[0])]
    assert not [name for name, _, _, stack in report if stack]
    seen = set()
    for (of, kernel), (registers, shared) in budgets().items():
        pattern = re.compile(rf"block0_{kernel}(_\d+)?")
        for name, used, smem, _ in report:
            if of == target and pattern.fullmatch(name):
                seen.add(kernel)
                assert used <= registers and (shared is None or smem == shared), f"{target} {name}: {used} registers, {smem} B"
    assert seen == {kernel for of, kernel in budgets() if of == target} and seen


def test_libraries_have_machine_code(tmp_path):
    """Beside the PTX, which a device of another architecture needs."""
    text = LAYER.read_text()
    sizes = []
    for choice in ((), ("--ptxas=none",)):
        output = tmp_path / f"layer{len(choice)}"
        tool("moe-compile", "-", "--optimize", "--separate-weights", "--target=cuda", *choice, "-o", output, text=text)
        code = (output / "library.so").read_bytes()
        assert b".target sm_80" in code and b".target sm_90a" in code
        sizes.append(code.count(b"\x7fELF"))
    assert sizes == [3, 1]  # for sm_80 and sm_90a; the library itself is the other
