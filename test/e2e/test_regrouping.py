"""Regrouping what moe-compile wrote: there and back to the last bit, and the values of what was compiled for the new clusters.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import pathlib
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest
from interruption import kill_at_any_time
from program import binary, tool

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "tiny-mixtral"
SAMPLES = EXAMPLE / "samples.safetensors"
LAYERS = range(4)
# Similarity of inputs decides, which traffic can change.
ALPHA = 0.1
PLAIN = ("--compress", "--clusters=4", f"--alpha={ALPHA}", "--opt-level=0")
RANK = ("--rank=16",)
# The plain lowering, and kernels for one instruction set, compile sooner.
QUICK = ("--pipeline=reference",)
FORMS = {
    "flat": (*RANK, *QUICK),
    "few bits": (*RANK, *QUICK, "--base-encoding=int8 group 32", "--residual-encoding=int4 group 16"),
    "prototypes": (*RANK, *QUICK, "--two-stage=2", "--cluster-score=prototypes"),
    "paged": (*RANK, "--isas=portable", "--page-bases"),
    "no residuals": (*QUICK, "--residual=none"),
}


def permuted(profile, other):
    """The same traffic as if other experts had been fed: rows of `centroids` and `means` change places."""
    data = profile.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header, values = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    order = np.random.default_rng(7).permutation(16)
    for name, entry in header.items():
        if name.endswith((".centroids", ".means")):
            begin, end = entry["data_offsets"]
            rows = np.frombuffer(bytes(values[begin:end]), "<f4").reshape(entry["shape"])
            values[begin:end] = rows[order].tobytes()
    other.write_bytes(data[: 8 + size] + values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Profiles `then` and `now` of the example model."""
    folder = tmp_path_factory.mktemp("regrouping")
    tool("moe-compile", EXAMPLE, "--instrument", "--opt-level=0", *QUICK, "-o", folder / "exact")
    for layer in LAYERS:
        values = f"x={SAMPLES}:layers.{layer}.profile_input"
        tool("moe-run", folder / "exact", "--layer", f"layer{layer}", "--input", values, "--profile", folder / "then")
    permuted(folder / "then", folder / "now")
    return folder


def compiled(folder, name, traffic, *options):
    """The artifact of the example model, with clusters of this traffic."""
    artifact = folder / name
    if not artifact.exists():
        tool("moe-compile", EXAMPLE, *PLAIN, *options, "--profile", folder / traffic, "-o", artifact)
    return artifact


def regroup(archive, output, traffic, *options, bound=1):
    return tool("moe-regroup", archive, "--original", EXAMPLE, "--profile", traffic, "-o", output, "--alpha", ALPHA, "--max-error", bound, *options)


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back_is_the_same_to_the_last_bit(folder, tmp_path, form):
    archive = compiled(folder, form, "then", *FORMS[form]) / "weights.safetensors"
    before = archive.read_bytes()
    said = regroup(archive, tmp_path / "there", folder / "now")
    assert len(re.findall(r"layer\d: \d+ experts in new clusters", said)) == len(LAYERS), said
    assert (tmp_path / "there").read_bytes() != before
    tool("moe-archive", "verify", tmp_path / "there")
    if form in ("flat", "prototypes"):
        # What would have been compiled for that traffic has the same bytes.
        other = compiled(folder, form + " now", "now", *FORMS[form]) / "weights.safetensors"
        assert (tmp_path / "there").read_bytes() == other.read_bytes()
    regroup(tmp_path / "there", tmp_path / "back", folder / "then")
    assert (tmp_path / "back").read_bytes() == before == archive.read_bytes()


def test_the_artifact_runs_with_either_generation(folder, tmp_path):
    then, now = (compiled(folder, name, traffic, *FORMS["flat"]) for name, traffic in (("flat", "then"), ("flat now", "now")))
    regroup(then / "weights.safetensors", tmp_path / "there", folder / "now")
    shutil.copytree(then, tmp_path / "regrouped")
    shutil.copy(tmp_path / "there", tmp_path / "regrouped" / "weights.safetensors")
    said = tool("moe-run", tmp_path / "regrouped", "--steps", 2, "--tokens", 8, "--compare-with", now, "--max-error", 0)
    assert "at most max abs 0 max rel 0 rms rel 0, no NaN" in said
    different = tool("moe-run", tmp_path / "regrouped", "--steps", 2, "--tokens", 8, "--compare-with", then)
    assert "at most max abs 0 " not in different


@pytest.mark.parametrize("trigger", ["period", "drift"])
def test_a_running_model_is_regrouped(folder, tmp_path, trigger):
    artifact = compiled(folder, "instrumented", "then", *RANK, "--isas=portable", "--instrument")
    before = (artifact / "weights.safetensors").read_bytes()
    how = {"period": ("--regroup-period", 0.05), "drift": ("--regroup-drift", 0.3, "--regroup-since", folder / "then")}[trigger]
    steps = ("--steps", 1500, "--tokens", 16, "--regroup", tmp_path, "--original", EXAMPLE, "--regroup-tokens", 64)
    said = tool("moe-run", artifact, *steps, *how, "--regroup-alpha", ALPHA, "--regroup-max-error", 1)
    attempts, accepted, failed, layers = map(
        int, re.search(r"regroup: (\d+) attempts, (\d+) accepted, (\d+) failed; (\d+) layers", said).groups()
    )
    assert attempts >= accepted > 0 and failed == 0 and layers > 0, said
    assert re.search(r"regroup: steps beside it: \d+ runs: min .* us, median .* us, longest .* us", said)
    if trigger == "drift":
        assert float(re.search(r"drift (\S+)", said)[1]) > 0
    # The last generation is there alone, whole, and another one of the same artifact.
    (generation,) = tmp_path.iterdir()
    assert generation.name == f"generation-{accepted}.safetensors"
    tool("moe-archive", "verify", generation)
    assert generation.read_bytes() != before == (artifact / "weights.safetensors").read_bytes()
    shutil.copytree(artifact, tmp_path / "regrouped")
    shutil.copy(generation, tmp_path / "regrouped" / "weights.safetensors")
    tool("moe-run", tmp_path / "regrouped", "--steps", 1)


def test_a_model_that_is_not_instrumented_cannot_be(folder, tmp_path):
    artifact = compiled(folder, "flat", "then", *FORMS["flat"])
    command = [binary("moe-run"), artifact, "--steps", "2", "--regroup", tmp_path, "--regroup-period", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--regroup: expected 'ids', int32 of two dimensions, as moe-compile --instrument makes it, found " in done.stderr, done.stderr
    other = subprocess.run([*command, "--original", str(ROOT / "docs")], capture_output=True, text=True)
    assert other.returncode == 1 and "docs: expected config.json in it, found none" in other.stderr, other.stderr


def test_refusals_have_numbers(folder, tmp_path):
    archive = compiled(folder, "flat", "then", *FORMS["flat"]) / "weights.safetensors"
    said = regroup(archive, tmp_path / "out", folder / "now", "--since", folder / "then", bound=0.01)
    assert re.search(r"layer0: since then drift 0.000 of load, 0.000 of pairs, 0\.\d+ of inputs", said)
    assert re.search(r"layer0: clusters stay: expected relative errors of \w+ up to 0.01, found 0\.\d+; J 0\.\d+, of the best found 0\.\d+;", said)
    assert "nothing new" in said and not (tmp_path / "out").exists()
    assert "layer0: clusters stay: expected a gain of more than 2, found " in regroup(archive, tmp_path / "out", folder / "now", "--min-gain", 2)
    alone = tool("moe-regroup", archive, "--profile", folder / "now", "-o", tmp_path / "out")
    assert "layer0: clusters stay: no originals: clusters stay, only prototypes can change\n" in alone
    for options in (("--base=usage",), ("--whiten=diagonal",)):
        other = compiled(folder, "".join(options), "then", *FORMS["flat"], *options) / "weights.safetensors"
        command = [binary("moe-regroup"), other, "--original", EXAMPLE, "--profile", folder / "now", "-o", tmp_path / "out", "--alpha", str(ALPHA)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "the archive was made with other options" in done.stderr, options
        assert not (tmp_path / "out").exists()


def test_it_can_be_killed_at_any_time(folder, tmp_path):
    archive = compiled(folder, "flat", "then", *FORMS["flat"]) / "weights.safetensors"
    command = [binary("moe-regroup"), archive, "--original", EXAMPLE, "--profile", folder / "now", "-o", tmp_path / "out"]
    kill_at_any_time([*command, "--alpha", str(ALPHA), "--max-error", "1", "--threads", "1"], archive, tmp_path / "out")
