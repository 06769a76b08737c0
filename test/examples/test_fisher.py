"""Fisher information of the example checkpoint: gradients against differences, profiles there and back, a base made of it.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs PyTorch and transformers, as train.py does; without them there is nothing to test.
"""

import os
import pathlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import safetensors.torch  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "tiny-mixtral"
BIN = pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin"))
sys.path.insert(0, str(MODEL))

import fisher  # noqa: E402
import train  # noqa: E402

LAYERS, E = 4, 16


@pytest.fixture(scope="module")
def model():
    # In double precision, so that differences of losses have digits left.
    model = transformers.MixtralForCausalLM.from_pretrained(MODEL, dtype=torch.float64).eval()
    model.set_experts_implementation("eager")
    return model


@pytest.fixture(scope="module")
def windows():
    return fisher.windows_of(train.tokens((ROOT / "LICENSE").read_bytes()), 2, seed=4)


@pytest.mark.parametrize("layer, role, expert", [(0, 0, 3), (1, 1, 7), (2, 2, 0), (3, 0, 15)])
def test_it_is_the_slope_along_the_gradient(model, windows, layer, role, expert):
    """Along the gradient g of one matrix the loss rises by |g|^2 per step."""
    (sums,) = [fisher.fisher_of(model, windows[:1])[layer]]
    experts = model.model.layers[layer].mlp.experts
    weight = experts.down_proj if role == 2 else experts.gate_up_proj
    inner = experts.down_proj.shape[2]
    rows = slice(None) if role == 2 else slice(role * inner, (role + 1) * inner)
    gradient = weight.grad[expert, rows].clone()
    losses = []
    # Parts of the model compute in single precision whatever it is asked for: a shorter step has no digits left.
    step = 3e-3 / gradient.norm()
    with torch.no_grad():
        before = weight[expert, rows].clone()
        for sign in (1, -1):
            weight[expert, rows] = before + sign * step * gradient
            losses.append(train.loss_of(model, windows[:1])[0].item())
        weight[expert, rows] = before
    slope = (losses[0] - losses[1]) / (2 * step.item())
    # A router may choose otherwise on the way; the tokens of this text, which does not change, do not.
    assert sums[role, expert].item() == pytest.approx(slope, rel=1e-3)


def test_samples_add_up(model, windows):
    both = fisher.fisher_of(model, windows)
    first, second = (fisher.fisher_of(model, windows[n : n + 1]) for n in (0, 1))
    for all_, a, b in zip(both, first, second):
        torch.testing.assert_close(all_, a + b)
        assert all_.shape == (3, E) and (all_ > 0).all()


def tool(name, *arguments):
    return subprocess.run([BIN / name, *map(str, arguments)], capture_output=True, text=True)


def run_script(profile, *arguments):
    command = [sys.executable, MODEL / "fisher.py", "--profile", profile, "--text", ROOT / "README.md", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def test_a_base_is_made_of_it(tmp_path):
    samples, profile = MODEL / "samples.safetensors", tmp_path / "profile.safetensors"
    made = tool("moe-compile", MODEL, "--instrument", "--opt-level=0", "-o", tmp_path / "exact")
    assert made.returncode == 0, made.stderr

    def count(layer):
        source = f"x={samples}:layers.{layer}.profile_input"
        done = tool("moe-run", tmp_path / "exact", "--layer", f"layer{layer}", "--input", source, "--profile", profile)
        assert done.returncode == 0, done.stderr

    for layer in range(LAYERS):
        count(layer)
    compress = ["--compress", "--rank=16", "--profile", profile, "--dry-run"]
    none = tool("moe-compile", MODEL, *compress, "--base=fisher")
    assert none.returncode == 1 and "needs a profile with `fisher` of this layer, found none" in none.stderr

    # Twice the same seed and other seeds: one run is as the other, and runs add up.
    assert run_script(profile, "--windows=2").returncode == 0
    once = safetensors.torch.load_file(profile)
    assert run_script(profile, "--windows=2").returncode == 0
    twice = safetensors.torch.load_file(profile)
    for layer in range(LAYERS):
        key = f"layers.{layer}.fisher"
        assert once[key].dtype == torch.float64 and torch.equal(twice[key], 2 * once[key])
        assert torch.equal(once[f"layers.{layer}.counts"], twice[f"layers.{layer}.counts"])
    # More traffic leaves it.
    count(0)
    after = safetensors.torch.load_file(profile)
    assert torch.equal(after["layers.0.fisher"], twice["layers.0.fisher"])
    assert torch.equal(after["layers.0.counts"], 2 * twice["layers.0.counts"])

    plans = {base: tool("moe-compile", MODEL, *compress, f"--base={base}") for base in ("mean", "usage", "fisher")}
    assert all(plan.returncode == 0 for plan in plans.values()), plans
    assert len({plan.stdout for plan in plans.values()}) == 3


def test_what_is_no_profile_of_this_model(tmp_path):
    path = tmp_path / "none.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    done = run_script(path, "--windows=1")
    assert done.returncode == 1 and "expected a profile, found no metadata 'moec.profile'" in done.stderr
    safetensors.torch.save_file({"layers.0.counts": torch.zeros(3)}, path, metadata={"moec.profile": "{}"})
    done = run_script(path, "--windows=1")
    assert done.returncode == 1 and "expected traffic of 16 experts in layer 0" in done.stderr
