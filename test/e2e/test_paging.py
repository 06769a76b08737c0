"""Models under a memory budget, compiled with --page-bases: the values of a model without, and no more memory than the budget.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import importlib.util
import pathlib
import re
import subprocess

import pytest
from program import binary, tool

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "tiny-mixtral"
# 8 bases a layer of three matrices of 96 x 160 numbers of two bytes each.
SLOT = 3 * 96 * 160 * 2
COMPRESSED = ("--compress", "--clusters=8", "--rank=16")


def bench_module():
    """bench/runtime/paged_model.py."""
    spec = importlib.util.spec_from_file_location("paged_model", ROOT / "bench" / "runtime" / "paged_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """The example model twice: asking for its bases, and with all of them there."""
    folder = tmp_path_factory.mktemp("paged")
    tool("moe-compile", EXAMPLE, *COMPRESSED, "--page-bases", "-o", folder / "paged")
    tool("moe-compile", EXAMPLE, *COMPRESSED, "--page-bases", "--gates-ahead", 3, "-o", folder / "far")
    tool("moe-compile", EXAMPLE, *COMPRESSED, "-o", folder / "plain")
    return folder


def compared(artifacts, other, *options, paged="paged"):
    """Runs steps of a paged artifact and of another; all outputs must be equal to the last bit."""
    said = tool("moe-run", artifacts / paged, *options, "--compare-with", artifacts / other, "--max-error", 0)
    assert "at most max abs 0 max rel 0 rms rel 0, no NaN" in said
    return {what: int(count) for count, what in re.findall(r"(\d+) (hits|late|misses|reads)", said)}


@pytest.mark.parametrize("isa", ["portable", "x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_values_are_those_without_a_budget(artifacts, isa, tokens):
    if subprocess.run([binary("moe-run"), artifacts / "plain", "--layer", "layer0", "--isa", isa], capture_output=True).returncode:
        pytest.skip(f"this CPU lacks {isa}")
    steps = ("--steps", 6, "--tokens", tokens, "--isa", isa, "--threads", 2)
    for other in ("paged", "plain"):
        counted = compared(artifacts, other, *steps, "--memory-budget", 10 * SLOT)
        assert counted["misses"] + counted["late"] > 10 and counted["reads"] > 10
    assert compared(artifacts, "plain", *steps) == {}


@pytest.mark.parametrize("eviction", ["lru", "lfu", "next_use"])
@pytest.mark.parametrize("predictor", ["rolling", "past_request", "hint", "exact_hint"])
def test_policies_change_no_value(artifacts, eviction, predictor):
    options = ("--eviction", eviction, "--predictor", predictor, "--lookahead", 2, "--idle-steps", 2)
    counted = compared(artifacts, "paged", "--steps", 10, "--tokens", 2, "--memory-budget", 12 * SLOT, *options)
    assert counted["hits"] > 0


def test_routers_of_three_layers_ahead_change_no_value(artifacts):
    manifest = (artifacts / "far" / "manifest.json").read_text()
    assert all(name in manifest for name in ("next.router", "next2.router", "next3.router")) and "next4" not in manifest
    counted = compared(artifacts, "plain", "--steps", 6, "--tokens", 2, "--memory-budget", 12 * SLOT, "--predictor", "hint", "--lookahead", 3, paged="far")
    assert counted["hits"] > 0


def test_memory_is_within_the_budget(tmp_path):
    bench = bench_module()
    layers, clusters, hidden, inner = 6, 4, 256, 512
    bases = layers * clusters * 3 * hidden * inner * 2
    binaries = pathlib.Path(binary("moe-run")).parent
    artifact = bench.compile_model(binaries, tmp_path, bench.module(layers, clusters, 8, hidden, inner, 4))
    pinned = bench.pinned_bytes(bench.run(binaries, artifact, "--list"))
    steps = (artifact, "--steps", 4, "--tokens", 2)
    budget = bases // 4
    whole, paged = bench.run(binaries, *steps), bench.run(binaries, *steps, "--memory-budget", budget)
    assert paged.split("\n")[0] == whole.split("\n")[0]
    # Three megabytes for the library, the thread that reads, and what the runtime keeps of manifest and header.
    assert bench.weight_bytes(paged) <= 1.1 * (budget + pinned) + 3e6 < bases < bench.weight_bytes(whole)
