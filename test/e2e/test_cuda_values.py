"""CUDA kernels, run by the PTX emulator, against the reference lowering: random layers of any size, activation and routing.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each layer is a function of its number, so a failure can be repeated; MOEC_RANDOM_CUDA_LAYERS is how many to try (8 when it is
not set). On a machine with a GPU, MOERT_CUDA_DRIVER=libcuda.so.1 runs the same on it.
"""

import os
import pathlib

import numpy as np
import pytest

import moe_numpy as moe
from program import binary, module_of, tool
from test_cpu_values import BOUNDS, Layer, compile_with
from test_route_values import ROUTERS, random_logits

COUNT = int(os.environ.get("MOEC_RANDOM_CUDA_LAYERS", 8))
EMULATOR = pathlib.Path(binary("moe-run")).parents[1] / "lib" / "libmoec-emulated-cuda.so"
# Of few rows for each group, and of many: both columns of the schedule.
TOKENS = (1, 7, 150)


class NarrowLayer(Layer):
    """A layer whose weights are stored as they are, in sizes that tensor cores take."""

    def __init__(self, number, element):
        super().__init__(number, element)
        self.width, self.inner = (8 * self.random.choice((1, 3, 8, 17)) for _ in range(2))

    def encoding(self, rows):
        return self.element


def use_driver(monkeypatch):
    """The emulator's, unless a GPU's is asked for."""
    monkeypatch.setenv("MOERT_CUDA_DRIVER", os.environ.get("MOERT_CUDA_DRIVER", str(EMULATOR)))


def compare(text, path, monkeypatch, seed, bound, counts=TOKENS):
    use_driver(monkeypatch)
    reference = compile_with(text, path / "reference", "--pipeline=reference")
    kernels = compile_with(text, path / "cuda", "--target=cuda", "--isas=sm_80")
    for tokens in counts:
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed + tokens))
        tool("moe-run", kernels, "--device=cuda", "--tokens", tokens, "--compare-with", reference, "--max-error", bound)


@pytest.mark.parametrize("number", range(COUNT))
def test_layers_on_tensor_cores(number, tmp_path, monkeypatch):
    element = ("bf16", "f16")[number % 2]
    compare(NarrowLayer(number, element).text(), tmp_path, monkeypatch, number, BOUNDS[element])


def test_rows_of_several_blocks(tmp_path, monkeypatch):
    """256 places are sorted by one block: here are three."""
    compare(NarrowLayer(3, "bf16").text(), tmp_path, monkeypatch, 3, BOUNDS["bf16"], counts=(256, 600))


def sorted_rows(rows, offsets, pairs, run):
    """Rows, a list of (token, experts), sorted in runs as docs/cuda.md says: by group, then by their four least experts, then as they were."""
    group = np.searchsorted(offsets, np.arange(len(rows)), side="right")
    keys = [(group[i], (sorted(experts) + [1023] * 4)[:4], i) for i, (_, experts) in enumerate(zip(rows, pairs))]
    order = [i for first in range(0, len(rows), run) for i in sorted(range(first, min(first + run, len(rows))), key=keys.__getitem__)]
    return [rows[i] for i in order], [pairs[i] for i in order]


def test_rows_by_experts(tmp_path, monkeypatch):
    """A group's rows with the same experts lie beside each other; clusters, pairs and their order in a row stay as they are."""
    use_driver(monkeypatch)
    tokens, most, k, groups, experts, run = 1500, 2, 3, 3, 24, 2048
    draw = np.random.default_rng(1)
    table = np.arange(experts) % groups
    # Two clusters of each token at most, as a router in two stages chooses.
    kept = np.argsort(draw.random((tokens, groups)), axis=1)[:, :most]
    scores = np.where((table[None, :, None] == kept[:, None, :]).any(2), draw.random((tokens, experts)), -1)
    ids = np.argsort(-scores, axis=1)[:, :k].astype(np.int32)
    ids[draw.random(ids.shape) < 0.1] = -1
    clusters, slots = moe.clusters_of(ids, list(table), most)
    weights = np.float32(draw.random(ids.shape))
    row_token, offsets, pair_row, pair_expert, pair_weight = moe.group(clusters, slots, ids, weights, groups)
    used = offsets[-1]
    assert run < used < len(row_token)
    pairs = [list(zip(pair_expert[pair_row == row], pair_weight[pair_row == row])) for row in range(used)]
    experts_of = [[e for e, _ in row] for row in pairs]
    rows, order = sorted_rows(list(zip(row_token[:used], pairs)), offsets[1:], experts_of, run)
    assert order != experts_of

    rows_type, pairs_type = f"tensor<{tokens * most}xi32>", f"tensor<{tokens * k}x"
    cluster, expert = f"!moe.id<cluster[{groups}]>", f"!moe.id<expert[{experts}]>"
    ins = f"tensor<{tokens}x{most}x{cluster}>, tensor<{tokens}x{k}x{expert}>, tensor<{tokens}x{k}xf32>"
    outs = f"{rows_type}, tensor<{groups + 1}xi32>, {pairs_type}i32>, {pairs_type}{expert}>, {pairs_type}f32>"
    empties = "".join(f"  %o{i} = tensor.empty() : {kind}\n" for i, kind in enumerate(outs.split(", ")))
    text = f"""func.func @group(%c: tensor<{tokens}x{most}xi32> {{moec.name = "c"}}, %e: tensor<{tokens}x{k}xi32> {{moec.name = "e"}},
    %p: tensor<{tokens}x{k}xf32> {{moec.name = "p"}}, %s: tensor<{tokens}x{k}xi32> {{moec.name = "s"}})
    -> ({rows_type} {{moec.name = "rows"}}, tensor<{groups + 1}xi32> {{moec.name = "offsets"}}, {pairs_type}i32> {{moec.name = "pair_row"}},
        {pairs_type}i32> {{moec.name = "pair_expert"}}, {pairs_type}f32> {{moec.name = "pair_weight"}}) {{
  %clusters = moe.id_cast %c : tensor<{tokens}x{most}xi32> to tensor<{tokens}x{most}x{cluster}>
  %ids = moe.id_cast %e : tensor<{tokens}x{k}xi32> to tensor<{tokens}x{k}x{expert}>
{empties}  %g:5 = moe.group ins(%clusters, %ids, %p : {ins}) slots(%s : tensor<{tokens}x{k}xi32>) outs(%o0, %o1, %o2, %o3, %o4 : {outs}) -> {outs}
  %pair_expert = moe.id_cast %g#3 : {pairs_type}{expert}> to {pairs_type}i32>
  return %g#0, %g#1, %g#2, %pair_expert, %g#4 : {rows_type}, tensor<{groups + 1}xi32>, {pairs_type}i32>, {pairs_type}i32>, {pairs_type}f32>
}}"""
    kernels = compile_with(text, tmp_path / "group", "--target=cuda", "--isas=sm_80", passes=())
    inputs = []
    for name, data in (("c", clusters), ("e", ids), ("p", weights), ("s", slots)):
        np.save(tmp_path / f"{name}.npy", data)
        inputs += ["--input", f"{name}={tmp_path / name}.npy"]
    tool("moe-run", kernels, "--device=cuda", *inputs, "--output", tmp_path / "out")
    found = {name: np.load(tmp_path / "out" / f"{name}.npy") for name in ("rows", "offsets", "pair_row", "pair_expert", "pair_weight")}

    assert (found["offsets"] == offsets).all()
    assert list(found["rows"]) == [token for token, _ in rows] + [-1] * (len(row_token) - used)
    listed = [(row, *pair) for row, (_, pairs) in enumerate(rows) for pair in pairs]
    listed += [(-1, -1, 0)] * (tokens * k - len(listed))
    assert list(zip(found["pair_row"], found["pair_expert"], found["pair_weight"])) == listed


@pytest.mark.parametrize("number", range(COUNT // 4))
def test_any_layers(number, tmp_path, monkeypatch):
    """What no kernel is made for goes through the reference lowering: any encoding, any size."""
    compare(Layer(number, "f32").text(), tmp_path, monkeypatch, number, BOUNDS["f32"])


def test_all_routers(tmp_path, monkeypatch):
    """The stages of a router are one kernel, a block for each token, with the sums of the reference lowering in their order."""
    use_driver(monkeypatch)
    # exp has no device code in f64.
    routers = {name: router for name, router in ROUTERS.items() if router.element != "f64"}
    text = module_of({name: router.program(name, random_logits(3, router.n)) for name, router in routers.items()})
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference", "--opt-level=1")
    kernels = compile_with(text, tmp_path / "cuda", "--target=cuda", "--isas=sm_80", "--opt-level=1")
    for number, (name, router) in enumerate(routers.items()):
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(number))
        tool("moe-run", kernels, "--device=cuda", "--entry", name, "--tokens", 19, "--int-range", 9, "--compare-with", reference,
             "--max-error", BOUNDS[router.element])
