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


def compile_both(text, path, isa="sm_90a", form="auto"):
    reference = compile_with(text, path / "reference", "--pipeline=reference")
    return compile_with(text, path / "cuda", "--target=cuda", f"--isas={isa}", f"--residual-form={form}"), reference


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


def layer(element, width, inner, members, rank=16, gate_rank=None):
    """Experts of clusters, `members` for each expert: two for a token, by logits that are an input. All residuals have one rank, or gate its own."""
    experts, clusters = len(members), max(members) + 1
    lines, params = [], []

    def weight(name, rows, columns, rank=rank):
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

    up, gate, down = weight("up", width, inner), weight("gate", width, inner, gate_rank or rank), weight("down", inner, width)
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
    check_rows(element, rank, rows, seed, tmp_path, monkeypatch)


def check_rows(element, rank, rows, seed, tmp_path, monkeypatch, width=72, inner=72):
    """Both choices of a token are in one cluster, which has three: a row of two pairs. Even ranks are finished in registers."""
    members = [cluster for cluster in range(len(rows)) for _ in range(3)]
    artifacts = compile_both(layer(element, width, inner, members, rank), tmp_path, form="slot" if rank % 2 else "present")
    pick = random.Random(seed)
    chosen = [tuple(pick.sample(range(3 * cluster, 3 * cluster + 3), 2)) for cluster, count in enumerate(rows) for _ in range(count)]
    pick.shuffle(chosen)
    logits = write_logits(tmp_path / "logits.safetensors", element, len(members), chosen)
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
    compare(*artifacts, BOUNDS[element], "--tokens", len(chosen), "--input", logits)


# Pairs of blocks share weights where clusters have more than 256 rows on average: no row, one, a tile of 128 less one, a tile and a row,
# two and a row; of the last pair of tiles one may have no rows.
PAIRS = ((0, 1, 127, 900), (129, 257, 1, 640))


@pytest.mark.parametrize("rows", PAIRS, ids=("few", "some"))
@pytest.mark.parametrize("element, rank, seed", (("bf16", 16, 1), ("f16", 5, 2)))
def test_rows_of_pairs(element, rank, rows, seed, tmp_path, monkeypatch):
    check_rows(element, rank, rows, seed, tmp_path, monkeypatch, width=72, inner=136)


def test_activations_are_faster_when_asked(tmp_path, monkeypatch):
    """By the instruction for tanh results are others, and about as far from the reference as rounding leaves them."""
    text = layer("bf16", 72, 72, [0, 0])
    exact, reference = compile_both(text, tmp_path)
    fast = compile_with(text, tmp_path / "fast", "--target=cuda", "--isas=sm_90a", "--fast-activations")
    assert b"tanh.approx.f32" in (fast / "library.so").read_bytes()
    assert b"tanh.approx.f32" not in (exact / "library.so").read_bytes()
    for tokens in (7, 130):  # few rows, and many
        compare(fast, reference, BOUNDS["bf16"], "--tokens", tokens)
        outputs = []
        for artifact in (exact, fast):
            tool("moe-run", artifact, "--device=cuda", "--tokens", tokens, "--output", tmp_path / "out")
            outputs.append((tmp_path / "out" / "y.safetensors").read_bytes())
        assert outputs[0] != outputs[1]


@pytest.mark.parametrize("tokens", (24, 300))
@pytest.mark.parametrize("rank", (16, 22))
def test_rows_of_tiles(rank, tokens, tmp_path, monkeypatch):
    """On sm_80: experts of 16 rows by mma.sync where tiles of few rows and of many leave their sums; widths are no multiple of a tile."""
    kernels = compile_both(layer("bf16", 136, 72, [0, 0, 0, 1, 1, 1], rank), tmp_path, "sm_80", "present")
    for seed in (1, 2):
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
        compare(*kernels, BOUNDS["bf16"], "--tokens", tokens)


@pytest.mark.parametrize("form, rank", (*(("present", rank) for rank in (8, 16, 24, 64)), ("dense", 8), ("dense", 24), ("slot", 16)))
@pytest.mark.parametrize("isa", ("sm_80", "sm_90a"))
def test_ptxas_is_content(isa, form, rank, tmp_path):
    """No spills, nothing that it made slower to keep right (C75xx), for the sizes of a large layer."""
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not here")
    text = layer("bf16", 4096, 14336, [0, 0, 1, 1], rank)
    compile_with(text, tmp_path / "layer.ptx", "--target=cuda", f"--isas={isa}", "--emit=ptx", f"--residual-form={form}")
    done = subprocess.run(["ptxas", f"-arch={isa}", "-v", tmp_path / "layer.ptx", "-o", tmp_path / "cubin"], capture_output=True, text=True)
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


# Of kernels whose blocks share weights, and of launches that overlap.
BUGS_OF_PAIRS = {
    "no cluster barrier at the begin": (r"barrier\.cluster\.arrive;\s+barrier\.cluster\.wait;", 0, "bar.sync 0;"),
    "no cluster barrier at the end": (r"barrier\.cluster\.arrive;\s+barrier\.cluster\.wait;", 1, ""),
    "no wait for the cluster at the end": (r"barrier\.cluster\.wait;", 1, ""),
    "no fence behind the initialisation": (r"fence\.mbarrier_init\.release\.cluster;", 0, ""),
    "a stage waits for one block's warps": (r"mov\.b32(\s+%r\d+), 16;", 0, r"mov.b32\1, 8;"),
    "a stage waits for a warp too few": (r"mov\.b32(\s+%r\d+), 16;", 0, r"mov.b32\1, 15;"),
    "weights for one block alone": (r"mov\.b16(\s+%rs\d+), 3;", 0, r"mov.b16\1, 1;"),
    "weights for a block that there is not": (r"mov\.b16(\s+%rs\d+), 3;", 0, r"mov.b16\1, 7;"),
    "one box less": (r"cp\.async\.bulk\.tensor\.3d[^;]*;", 1, ""),
    "a stage is given back to one block, twice": (r"(mapa\.shared::cluster\.u64\s+%rd\d+, %rd\d+), 1;", 0, r"\1, 0;"),
    "a stage is given back to one block alone": (r"mbarrier\.arrive\.release\.cluster[^;]*;", 0, ""),
    "bytes of the own copies alone": (r"mov\.b32(\s+%r\d+), 32768;", 0, r"mov.b32\1, 24576;"),
    "the rows of the first block for both": (r"mov\.u32(\s+%r\d+), %cluster_ctarank;", 0, r"mov.u32\1, 0;"),
    "no wait for the kernel before": (r"griddepcontrol\.wait;", 0, ""),
}


def mutate(library, pattern, occurrence, changed, kernel="up_128"):
    """Changes one place of the PTX of a kernel, in as many bytes: `changed` is a template, or makes new text of what was found."""
    data = library.read_bytes()
    begin = re.search(rf"\.entry \w+_{kernel}_\d+\(".encode(), data).start()
    end = data.index(b".entry ", begin + 1)
    found = list(re.finditer(pattern.encode(), data[begin:end]))[occurrence]
    text = changed(found[0].decode()).encode() if callable(changed) else found.expand(changed.encode())
    assert len(text) <= len(found[0])
    at = begin + found.start()
    library.write_bytes(data[:at] + text.ljust(len(found[0])) + data[at + len(found[0]):])


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A layer whose rows are longer than its ring: stages are used again, within a tile and by the next."""
    path = tmp_path_factory.mktemp("ring")
    return compile_both(layer("bf16", 392, 136, [0, 0]), path, form="present")


@pytest.fixture(scope="module")
def long_ring(tmp_path_factory):
    """Rows that are several times as long: what is counted wrong for each turn of the ring adds up."""
    path = tmp_path_factory.mktemp("long_ring")
    return compile_both(layer("bf16", 1544, 72, [0, 0], rank=2), path, form="present")


def run(kernels, reference, seed, monkeypatch, tokens=130, *options):
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
    monkeypatch.setenv("MOEC_EMULATOR_STEPS", "400000000")
    command = [binary("moe-run"), kernels, "--device=cuda", "--tokens", str(tokens), "--compare-with", reference, "--max-error", str(BOUNDS["bf16"]), *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("fixture, tokens", (("ring", 130), ("long_ring", 300)))
def test_ring_is_right(fixture, tokens, request, monkeypatch):
    for seed in (1, 2, 3):
        done = run(*request.getfixturevalue(fixture), seed, monkeypatch, tokens)
        assert done.returncode == 0, done.stderr


def check_found(bug, ring, tmp_path, monkeypatch, tokens, kernel):
    kernels, reference = ring
    copy = tmp_path / "copy"
    shutil.copytree(kernels, copy)
    library = next(path for path in copy.rglob("*.so"))
    mutate(library, *bug, kernel=kernel)
    assert any(run(copy, reference, seed, monkeypatch, tokens).returncode for seed in range(1, 9))


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_found(bug, ring, tmp_path, monkeypatch):
    """A kernel with one mistake is reported by the emulator, or its results are wrong."""
    check_found(BUGS[bug], ring, tmp_path, monkeypatch, tokens=130, kernel="up_128")


@pytest.mark.parametrize("bug", BUGS_OF_PAIRS)
def test_bugs_of_pairs_are_found(bug, long_ring, tmp_path, monkeypatch):
    """300 rows of one cluster: two tiles, and one whose second block has no rows."""
    check_found(BUGS_OF_PAIRS[bug], long_ring, tmp_path, monkeypatch, tokens=300, kernel="up_pair_128")


def test_kernels_wait_before_they_read(tmp_path):
    """Kernels overlap: none looks at device memory in front of its griddepcontrol.wait, unless no kernel is to overlap."""
    text = layer("bf16", 72, 72, [0, 0, 1, 1])
    options = ("--target=cuda", "--isas=sm_90a", "--emit=ptx")
    kernels = compile_with(text, tmp_path / "layer.ptx", *options).read_text().split(".entry ")[1:]
    assert len(kernels) > 12
    for kernel in kernels:
        assert kernel.count("griddepcontrol.launch_dependents;") == kernel.count("griddepcontrol.wait;") == 1
        before, after = kernel.split("griddepcontrol.wait;")
        assert not re.search(r"\b(ld|st|atom|red)\.(?!param|shared)|cp\.async", before), before
        assert re.search(r"\b(ld|st)\.global", after) or "cp.async" in after
    assert "griddepcontrol" not in compile_with(text, tmp_path / "plain.ptx", *options, "--no-overlap").read_text()
