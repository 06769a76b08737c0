"""Kernels for sm_90a, run by the PTX emulator: tiles that warpgroups multiply, against the reference lowering.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The layers here have more rows for each cluster than schedules for few rows take. MOEC_RANDOM_CUDA_LAYERS as in test_cuda_values.
"""

import json
import os
import random
import re
import shutil
import struct
import subprocess

import pytest

from program import binary, tool
from test_cpu_values import BOUNDS, compile_with
from test_cuda_values import COUNT, NarrowLayer, use_driver

BITS = {"f16": lambda x: struct.pack("<e", x), "bf16": lambda x: struct.pack("<f", x)[2:]}
NAMES = {"f16": "F16", "bf16": "BF16"}


@pytest.fixture(autouse=True)
def emulator(monkeypatch):
    use_driver(monkeypatch)


def compile_both(text, path):
    reference = compile_with(text, path / "reference", "--pipeline=reference")
    return compile_with(text, path / "cuda", "--target=cuda", "--isas=sm_90a"), reference


def compare(kernels, reference, bound, *options):
    tool("moe-run", kernels, "--device=cuda", *options, "--compare-with", reference, "--max-error", bound)


@pytest.mark.parametrize("number", range(COUNT // 2))
def test_layers_of_many_rows(number, tmp_path, monkeypatch):
    """Any activation, routing and form of weights; sizes that are no multiple of a tile."""
    element = ("bf16", "f16")[number % 2]
    layer = NarrowLayer(number, element)
    artifacts = compile_both(layer.text(), tmp_path)
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(number))
    # Above 64 rows for each cluster or expert, if each of their matrices is a group.
    compare(*artifacts, BOUNDS[element], "--tokens", 65 * layer.experts)


def layer(element, width, inner, members, rank=16):
    """Experts of clusters, `members` for each expert: two for a token, by logits that are an input."""
    experts, clusters = len(members), max(members) + 1
    lines, params = [], []

    def weight(name, rows, columns):
        kinds = []
        for part, axis, r, c in (("base", f"cluster[{clusters}]", rows, columns), ("a", f"expert[{experts}]", rows, rank),
                                 ("b", f"expert[{experts}]", rank, columns)):
            kind = f"!moe.weight<{r}x{c}x{element}, {axis}>"
            params.append(f"moe.param private @{name}.{part} : {kind} = #moe.seeded<{len(params)} scale {r ** -0.5:.4f}>")
            lines.append(f"%{name}_{part} = moe.leaf @{name}.{part} : {kind}")
            kinds.append(kind)
        full = f"!moe.weight<{rows}x{columns}x{element}, expert[{experts}]>"
        lines.append(f"%{name}_shared = moe.weight.select %{name}_base by %table : {kinds[0]}, !table")
        lines.append(f"%{name}_own = moe.weight.mul %{name}_a, %{name}_b : {kinds[1]}, {kinds[2]}")
        lines.append(f"%{name} = moe.weight.add %{name}_shared, %{name}_own : {full}, {full}")
        return full

    up, gate, down = weight("up", width, inner), weight("gate", width, inner), weight("down", inner, width)
    tokens, logits = f"tensor<?x{width}x{element}>", f"tensor<?x{experts}x{element}>"
    ids, gates = f"tensor<?x2x!moe.id<expert[{experts}]>>", f"tensor<?x2x{element}>"
    newline = "\n  "
    return f"""
!table = !moe.table<expert[{experts}] -> cluster[{clusters}]>
moe.param private @table : !table = dense<{members}> : tensor<{experts}xi32>
{newline.join(params)}
func.func @layer(%x: {tokens} {{moec.name = "x"}}, %logits: {logits} {{moec.name = "logits"}}) -> ({tokens} {{moec.name = "y"}}) {{
  %table = moe.leaf @table : !table
  {newline.join(lines)}
  %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores, l1> : ({logits}) -> ({ids}, {gates})
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu>
    : ({tokens}, {ids}, {gates}, {gate}, {up}, {down}) -> {tokens}
  return %y : {tokens}
}}"""


def write_logits(path, element, experts, chosen):
    """A file of logits by which token i chooses the two experts `chosen[i]`."""
    data = b"".join(BITS[element](4.0 - pair.index(e) if e in pair else 0.0) for pair in chosen for e in range(experts))
    header = {"logits": {"dtype": NAMES[element], "shape": [len(chosen), experts], "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return f"logits={path}:logits"


# Rows of each cluster: none, one, a tile of 128 less one, a whole one, one more, all of them.
ROWS = ((0, 1, 127, 128, 129, 65), (0, 0, 390, 0, 0, 0))


@pytest.mark.parametrize("rows", ROWS, ids=("ragged", "hot"))
@pytest.mark.parametrize("element, rank, seed", (("bf16", 16, 1), ("bf16", 64, 2), ("f16", 32, 3), ("bf16", 8, 4), ("f16", 22, 5), ("bf16", 5, 6)))
def test_rows_of_clusters(element, rank, rows, seed, tmp_path, monkeypatch):
    """Both choices of a token are in one cluster, which has three: a row of two pairs. Even ranks are finished in registers."""
    members = [cluster for cluster in range(len(rows)) for _ in range(3)]
    artifacts = compile_both(layer(element, 72, 72, members, rank), tmp_path)
    pick = random.Random(seed)
    chosen = [tuple(pick.sample(range(3 * cluster, 3 * cluster + 3), 2)) for cluster, count in enumerate(rows) for _ in range(count)]
    pick.shuffle(chosen)
    logits = write_logits(tmp_path / "logits.safetensors", element, len(members), chosen)
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
    compare(*artifacts, BOUNDS[element], "--tokens", len(chosen), "--input", logits)


@pytest.mark.parametrize("rank", (8, 16, 48, 64))
def test_ptxas_is_content(rank, tmp_path):
    """No spills, nothing that it made slower to keep right (C75xx), for the sizes of a large layer."""
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not here")
    text = layer("bf16", 4096, 14336, [0, 0, 1, 1], rank)
    compile_with(text, tmp_path / "layer.ptx", "--target=cuda", "--isas=sm_90a", "--emit=ptx")
    done = subprocess.run(["ptxas", "-arch=sm_90a", "-v", tmp_path / "layer.ptx", "-o", tmp_path / "cubin"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "C75" not in done.stderr
    assert set(re.findall(r"(\d+) bytes spill", done.stderr)) == {"0"}


# ---- seeded bugs ----

BUGS = {
    "no wait for an empty stage": (r"@P1 bra\.uni DONE", 0, "bra.uni DONE"),
    "no wait for the first full stage": (r"@P1 bra\.uni DONE", 1, "bra.uni DONE"),
    "no wait for a full stage": (r"@P1 bra\.uni DONE", 2, "bra.uni DONE"),
    "stages go back too early": (r"wgmma\.wait_group\.sync\.aligned\s+1;", 0, "wgmma.wait_group.sync.aligned 7;"),
    "sums are read too early": (r"wgmma\.wait_group\.sync\.aligned\s+0;", 0, "wgmma.wait_group.sync.aligned 1;"),
    "products are not committed": (r"wgmma\.commit_group\.sync\.aligned;", 1, ""),
    "a stage is not given back": (r"mbarrier\.arrive\.shared\.b64[^;]*;", 0, ""),
    "no bytes are expected": (r"mbarrier\.arrive\.expect_tx(\.shared\.b64[^;]*), %r\d+;", 0, r"mbarrier.arrive\1;"),
    "one box less": (r"cp\.async\.bulk\.tensor\.3d[^;]*;", 1, ""),
    "weights as if they lay by rows": (r"p, 1,  1, 0,  1;", 0, "p, 1,  1, 0,  0;"),
    "barriers before they are there": (r"bar\.sync\s+0;", 0, ""),
}


def mutate(library, pattern, occurrence, changed):
    """Changes one place of the PTX of the first kernel of warpgroups, in as many bytes."""
    data = library.read_bytes()
    begin = data.rindex(b".entry ", 0, data.index(b"wgmma"))
    end = data.index(b".entry ", data.index(b"wgmma"))
    found = list(re.finditer(pattern.encode(), data[begin:end]))[occurrence]
    text = found.expand(changed.encode())
    assert len(text) <= len(found[0])
    at = begin + found.start()
    library.write_bytes(data[:at] + text.ljust(len(found[0])) + data[at + len(found[0]):])


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A layer whose rows are longer than its ring: stages are used again, within a tile and by the next."""
    path = tmp_path_factory.mktemp("ring")
    return compile_both(layer("bf16", 392, 136, [0, 0]), path)


def run(kernels, reference, seed, monkeypatch):
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
    monkeypatch.setenv("MOEC_EMULATOR_STEPS", "200000000")
    command = [binary("moe-run"), kernels, "--device=cuda", "--tokens", "130", "--compare-with", reference, "--max-error", str(BOUNDS["bf16"])]
    return subprocess.run(command, capture_output=True, text=True)


def test_ring_is_right(ring, monkeypatch):
    for seed in (1, 2, 3):
        done = run(*ring, seed, monkeypatch)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_found(bug, ring, tmp_path, monkeypatch):
    """A kernel with one mistake is reported by the emulator, or its results are wrong."""
    kernels, reference = ring
    copy = tmp_path / "copy"
    shutil.copytree(kernels, copy)
    library = next(path for path in copy.rglob("*.so"))
    mutate(library, *BUGS[bug])
    assert any(run(copy, reference, seed, monkeypatch).returncode for seed in range(1, 9))
