"""Forms of residuals on a CUDA device (docs/cuda/tile.md), each asked for, run by the PTX emulator, against the reference lowering.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import re
import shutil

import numpy as np
import pytest

from program import tool
from test_cpu_values import BOUNDS, compile_with
from test_cuda_values import use_driver
from test_hopper_values import layer, mutate, run

# Experts' clusters: five, one and none of a cluster's; numbers of a cluster do not follow each other.
MEMBERS = [0, 2, 0, 0, 2, 3, 0, 2, 0]
# Rows of each cluster: for tiles of 16 rows, for those of 64, and for those of 128.
COUNTS = {"few": (0, 1, 7), "some": (50,), "many": (140,)}


@pytest.fixture(autouse=True)
def emulator(monkeypatch):
    use_driver(monkeypatch)


def chosen_layer(element, width, inner, members, rank, gate_rank=None):
    """The layer, whose choices and gate weights are inputs: an expert may be chosen twice."""
    text = layer(element, width, inner, members, rank, gate_rank)
    ids, gates = f"tensor<?x2x!moe.id<expert[{len(members)}]>>", f"tensor<?x2x{element}>"
    text = re.sub(r"%logits: [^{]*\{moec.name = \"logits\"\}", f'%e: tensor<?x2xi32> {{moec.name = "e"}}, %p: {gates} {{moec.name = "p"}}', text)
    return re.sub(r"%ids, %p = moe.route .*", f"%ids = moe.id_cast %e : tensor<?x2xi32> to {ids}", text)


def compile_form(form, isa, text, path, *more):
    reference = compile_with(text, path / "reference", "--pipeline=reference", "--opt-level=1")
    options = ("--target=cuda", f"--isas={isa}", f"--residual-form={form}", "--ptxas=none", *more)
    return compile_with(text, path / "cuda", *options), reference


def choices(tokens, seed, experts=len(MEMBERS)):
    """Two experts for each token: often the same one twice, sometimes none, some never."""
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, experts - 1, (tokens, 2)).astype(np.int32)
    twice = draw.random(tokens) < 0.3
    ids[twice, 1] = ids[twice, 0]
    ids[draw.random((tokens, 2)) < 0.1] = -1
    return ids


def check(artifacts, tokens, seed, path, monkeypatch, bound):
    monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
    np.save(path / "e.npy", choices(tokens, seed))
    kernels, reference = artifacts
    tool("moe-run", kernels, "--device=cuda", "--tokens", tokens, "--input", f"e={path / 'e.npy'}", "--compare-with", reference, "--max-error", bound)


@pytest.mark.parametrize("isa, form, element, rank, rows", (
    # Ranks below 16, of which a block of the dense form has several experts'; above; odd, which only slots take.
    ("sm_80", "dense", "bf16", 4, "few"), ("sm_80", "dense", "f16", 6, "some"), ("sm_80", "dense", "bf16", 22, "some"),
    ("sm_80", "present", "bf16", 4, "few"), ("sm_80", "present", "f16", 6, "some"),
    ("sm_80", "slot", "bf16", 4, "few"), ("sm_80", "slot", "f16", 5, "some"), ("sm_80", "slot", "bf16", 16, "some"),
    ("sm_90a", "dense", "f16", 6, "many"), ("sm_90a", "slot", "bf16", 6, "many")))
def test_forms(isa, form, element, rank, rows, tmp_path, monkeypatch):
    artifacts = compile_form(form, isa, chosen_layer(element, 72, 136, MEMBERS, rank), tmp_path)
    for tokens in COUNTS[rows]:
        check(artifacts, tokens, tokens + rank, tmp_path, monkeypatch, BOUNDS[element])


def test_names_say_the_form(tmp_path):
    """The kernels of each form are others, and what is asked for is what there is."""
    text = chosen_layer("bf16", 72, 72, MEMBERS, 4)
    for form, name in (("dense", "up_dense_64"), ("slot", "up_slot_64"), ("present", "up_64")):
        kernels = compile_with(text, tmp_path / f"{form}.ptx", "--target=cuda", "--isas=sm_80", "--emit=ptx", f"--residual-form={form}").read_text()
        assert f"_{name}_" in kernels and f"_{name.replace('up', 'matmul')}_" in kernels
        assert ("_places_" in kernels) == (form == "dense")


@pytest.mark.parametrize("isa, form, rows", (("sm_80", "present", "few"), ("sm_80", "slot", "some"), ("sm_90a", "present", "many")))
def test_sums_in_any_order(isa, form, rows, tmp_path, monkeypatch):
    """With --atomic-sums blocks add to one sum as they come: 136 columns are of several blocks, which several orders bring to the same within rounding."""
    artifacts = compile_form(form, isa, chosen_layer("bf16", 72, 136, MEMBERS, 6), tmp_path, "--atomic-sums")
    for tokens in COUNTS[rows]:
        check(artifacts, tokens, tokens, tmp_path, monkeypatch, BOUNDS["bf16"])


ATOMIC = r"atom(\.\w+)*\.add\.(noftz\.)?f32"


def test_sums_are_ordered_unless_asked(tmp_path):
    """Only with --atomic-sums is there an addition whose order is that of blocks."""
    text = chosen_layer("bf16", 72, 72, MEMBERS, 4)
    for more, count in (((), 0), (("--atomic-sums",), 1)):
        kernels = compile_with(text, tmp_path / f"{count}.ptx", "--target=cuda", "--isas=sm_80", "--emit=ptx", *more).read_text()
        assert bool(re.search(ATOMIC, kernels)) == bool(count)


# ---- seeded bugs ----

BUGS = {
    "an expert that a row has twice has one place": ("places", r"atom(\.\w+)*\.max\.s32", 0, lambda found: found.replace("max", "min")),
    "experts are counted before there are zeros": ("places", r"bar\.sync\s+0;", 0, lambda _: ""),
    "places are of the pair before": ("places", r"add\.s32(\s+%r\d+, %r\d+), 1;", 0, lambda found: found.replace(" 1;", " 0;")),
    "another place's pair": ("matmul_dense_64", r"setp\.eq\.b32", 0, lambda found: found.replace("eq", "ne")),
    "the matrix of the first expert": ("matmul_dense_64", r"mul\.wide\.s32(\s+%rd\d+, %r\d+), 288;", 0, lambda found: found.replace("288", "0")),
}


def test_lost_sums_are_found(tmp_path, monkeypatch):
    """A block that stores where it should add."""
    kernels, reference = compile_form("slot", "sm_80", chosen_layer("bf16", 72, 136, MEMBERS, 4), tmp_path, "--atomic-sums")
    assert run_choices(kernels, reference, 1, tmp_path, monkeypatch).returncode == 0
    mutate(next(kernels.rglob("*.so")), ATOMIC + r"\s+", 0, lambda found: re.sub(r"add\.f32\s+", "exch.b32 ", found), "up_slot_64")
    assert run_choices(kernels, reference, 1, tmp_path, monkeypatch).returncode


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return compile_form("dense", "sm_80", chosen_layer("bf16", 72, 72, MEMBERS, 4), tmp_path_factory.mktemp("dense"))


def run_choices(kernels, reference, seed, path, monkeypatch, tokens=60):
    np.save(path / "e.npy", choices(tokens, seed))
    return run(kernels, reference, seed, monkeypatch, tokens, "--input", f"e={path / 'e.npy'}")


def test_dense_is_right(dense, tmp_path, monkeypatch):
    assert run_choices(*dense, 1, tmp_path, monkeypatch).returncode == 0


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_found(bug, dense, tmp_path, monkeypatch):
    """A kernel with one mistake is reported by the emulator, or its results are wrong."""
    copy = tmp_path / "copy"
    shutil.copytree(dense[0], copy)
    kernel, pattern, occurrence, change = BUGS[bug]
    mutate(next(copy.rglob("*.so")), pattern, occurrence, change, kernel)
    assert any(run_choices(copy, dense[1], seed, tmp_path, monkeypatch).returncode for seed in range(1, 4))
