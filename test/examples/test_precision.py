"""Chosen encodings of the example model: outputs lose what the plan says, and nothing uniform is as small and as good.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import math
import os
import pathlib
import re
import subprocess

import pytest

MODEL = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny-mixtral"
SAMPLES = MODEL / "samples.safetensors"
TOOLS = pathlib.Path(os.environ.get("MOEC_BIN", MODEL.parents[1] / "build" / "bin"))
UNIFORM = ("int4 group 32 scale f16", "f8e4m3 group 32 scale f16", "int8 group 32 scale f16")
BUDGETS = (1_700_000, 2_000_000, 2_450_000)


def run(tool, *arguments):
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compiled(folder, *options):
    """Megabytes of the experts, the planned error or None, and the root mean square of the layers' measured relative errors."""
    quick = ("--opt-level=0", "--cpu=native", f"--samples={SAMPLES}")
    text = run("moe-compile", MODEL, *options, *quick, "-o", folder)
    megabytes = float(re.search(r"-> ([0-9.]+) MB \(", text)[1])
    planned = re.search(r"bytes, error ([0-9.]+)", text)
    losses = [float(found) for found in re.findall(r"^  layer\d+: max abs .* rms rel ([0-9.e-]+)", text, re.MULTILINE)]
    assert len(losses) == 4
    return megabytes, planned and float(planned[1]), math.sqrt(sum(loss * loss for loss in losses) / 4)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Rows of uniform encodings, and of those chosen for budgets."""
    folder = tmp_path_factory.mktemp("precision")
    run("moe-compile", MODEL, "--instrument", "--opt-level=0", "--cpu=native", "-o", folder / "exact")
    profile = folder / "profile.safetensors"
    for layer in range(4):
        values = f"x={SAMPLES}:layers.{layer}.profile_input"
        run("moe-run", folder / "exact", "--layer", f"layer{layer}", "--input", values, "--profile", profile)
    uniform = [compiled(folder / "artifact", f"--encoding={encoding}") for encoding in UNIFORM]
    chosen = [compiled(folder / "artifact", f"--bytes={budget}", f"--profile={profile}") for budget in BUDGETS]
    return uniform, chosen


def test_outputs_lose_what_the_plan_says(measured):
    """Errors of gate, up and down, of outputs but for down, say what a layer loses: on other inputs than the profile's."""
    for _, planned, loss in measured[1]:
        assert loss == pytest.approx(planned, rel=0.1)


def test_chosen_encodings_are_on_the_front(measured):
    uniform, chosen = measured
    for row in chosen:
        assert [other for other in uniform + chosen if other[0] <= row[0] and other[2] <= row[2]] == [row]
    assert [row[0] for row in chosen] == sorted(row[0] for row in chosen)
    # More bytes, less error: all the way from int4 to int8, and f8e4m3 is never worth it.
    worst, best = uniform[0][2], uniform[2][2]
    losses = [row[2] for row in chosen]
    assert worst > losses[0] and losses == sorted(losses, reverse=True) and losses[-1] > best
    assert uniform[1][0] == uniform[2][0] and uniform[1][2] > best
