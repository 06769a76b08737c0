"""x·A of many pairs on tensor cores (docs/cuda/shrink.md), run by the PTX emulator, against the reference lowering.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import shutil

import numpy as np
import pytest

from test_cpu_values import BOUNDS
from test_cuda_forms import MEMBERS, check, choices, chosen_layer, compile_form, run_choices
from test_cuda_values import use_driver
from test_hopper_values import mutate, run

# More than 16 rows for each cluster.
TOKENS = 150


@pytest.fixture(autouse=True)
def emulator(monkeypatch):
    use_driver(monkeypatch)


@pytest.mark.parametrize("isa, element, rank, gate_rank", (
    ("sm_80", "bf16", 8, 8), ("sm_80", "f16", 24, 24), ("sm_80", "bf16", 16, 40), ("sm_80", "bf16", 72, 72), ("sm_90a", "bf16", 16, 8)))
def test_many_pairs(isa, element, rank, gate_rank, tmp_path, monkeypatch):
    """Experts with no pair, with those of several tiles, and twice the same in a row; columns of several tiles."""
    artifacts = compile_form("present", isa, chosen_layer(element, 72, 64, MEMBERS, rank, gate_rank), tmp_path)
    check(artifacts, TOKENS, TOKENS + rank, tmp_path, monkeypatch, BOUNDS[element])


def test_many_experts(tmp_path, monkeypatch):
    """More experts than a block has threads, each of few pairs: they are counted, and their tiles planned, in several rounds."""
    experts = 300
    kernels, reference = compile_form("slot", "sm_80", chosen_layer("bf16", 64, 32, [e % 4 for e in range(experts)], 8), tmp_path)
    np.save(tmp_path / "e.npy", choices(TOKENS, 1, experts))
    done = run(kernels, reference, 1, monkeypatch, TOKENS, "--input", f"e={tmp_path / 'e.npy'}")
    assert done.returncode == 0, done.stderr


BUGS = {
    "pairs are counted before there are zeros": ("pairs_by_expert", r"bar\.sync\s+0;", 0, lambda _: ""),
    "warps do not come one behind the other": ("pairs_by_expert", r"popc\.b32", 0, lambda found: found.replace("popc", "clz ")),
    "a stage that is not there yet": ("shrink_32", r"cp\.async\.wait_group\s+2;", 0, lambda found: found.replace("2", "3")),
    "sums where a stage still is": ("shrink_32", r"bar\.sync\s+0;", 1, lambda _: ""),
    "sums without the last warp's": ("shrink_32", r"bar\.sync\s+0;", -1, lambda _: ""),
}


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    """Of five stages of terms: the last lies where sums come to lie."""
    return compile_form("present", "sm_80", chosen_layer("bf16", 264, 64, MEMBERS, 16), tmp_path_factory.mktemp("shrink"))


def test_layer_is_right(layer, tmp_path, monkeypatch):
    assert run_choices(*layer, 1, tmp_path, monkeypatch, tokens=TOKENS).returncode == 0


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_found(bug, layer, tmp_path, monkeypatch):
    """A kernel with one mistake is reported by the emulator, or its results are wrong."""
    copy = tmp_path / "copy"
    shutil.copytree(layer[0], copy)
    kernel, pattern, occurrence, change = BUGS[bug]
    mutate(next(copy.rglob("*.so")), pattern, occurrence, change, kernel)
    assert any(run_choices(copy, layer[1], seed, tmp_path, monkeypatch, tokens=TOKENS).returncode for seed in range(1, 4))
