"""Codes chosen by a profile's moments: those that NumPy chooses by the formulas of the paper, and outputs that err less.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import math
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

MODEL = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny-mixtral"
SAMPLES = MODEL / "samples.safetensors"
TOOLS = pathlib.Path(os.environ.get("MOEC_BIN", MODEL.parents[1] / "build" / "bin"))
QUICK = ("--opt-level=0", "--cpu=native", "--layout=row_major")
sys.path.insert(0, str(MODEL))

import hidden  # noqa: E402


def run(tool, *arguments):
    done = subprocess.run([TOOLS / tool, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """A profile with all second moments, of inputs and of hidden activations."""
    folder = tmp_path_factory.mktemp("profile")
    run("moe-compile", MODEL, "--instrument", *QUICK, "-o", folder / "exact")
    path = folder / "profile.safetensors"
    for layer in range(4):
        values = f"x={SAMPLES}:layers.{layer}.profile_input"
        run("moe-run", folder / "exact", "--layer", f"layer{layer}", "--input", values, "--profile", path)
    counted = hidden.read(path)[1]["layers.1.counts"].sum()
    hidden.add_to_profile(path)
    # Every pair of a token and an expert that the run counted is among them.
    assert hidden.read(path)[1]["layers.1.hidden_rows"] == [counted]
    return path


def paper(weights, moments, scales, zeros, low, high):
    """Codes of IN x OUT weights by algorithm 1 of arXiv 2210.17323, one row at a time, those with the largest moments first, with
    scales [IN / group, OUT] and zero points that are given; the Hessian is inverted as it stands there."""
    size = len(moments)
    scales, zeros = (np.repeat(each, size // len(each), axis=0) for each in (scales, zeros))
    moments = moments / np.mean(np.diag(moments))
    order = np.argsort(-np.diag(moments), kind="stable")
    hessian = (moments + 0.01 * np.eye(size))[np.ix_(order, order)]
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left = weights[order].astype(np.float64)
    codes = np.zeros(weights.shape, np.int64)
    for i, row in enumerate(order):
        codes[row] = np.clip(np.rint(left[i].astype(np.float32) / scales[row]) + zeros[row], low, high)
        error = (left[i] - scales[row] * (codes[row] - zeros[row])) / upper[i, i]
        left[i + 1 :] -= np.outer(upper[i, i + 1 :], error)
    return codes


def stored_codes(folder, role, layer, expert, zeros):
    """Codes [IN, OUT] of an expert's matrix, with scales and zero points [IN / group, OUT], as the archive has them."""
    data = (folder / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = hidden.json.loads(data[8:start])
    name = f"layer{layer}.expert.{expert}.{role}"

    def part(suffix, dtype):
        entry = header[name + suffix]
        begin, end = (start + offset for offset in entry["data_offsets"])
        return np.frombuffer(data[begin:end], dtype)

    shape = (160, 96) if role == "down" else (96, 160)
    scales = part(".scales", "<f2").astype(np.float32).reshape(-1, shape[1])
    points = part(".zero_points", np.uint8).reshape(scales.shape) if zeros else np.zeros(scales.shape, np.int64)
    codes = part("", np.uint8)
    if codes.size < math.prod(shape):
        codes = np.stack([codes & 15, codes >> 4], axis=-1)
        codes = codes if zeros else (codes ^ 8).astype(np.int64) - 8
    elif not zeros:
        codes = codes.view(np.int8)
    return codes.reshape(shape).astype(np.int64), scales, points.astype(np.int64)


@pytest.mark.parametrize(
    "encoding, low, high",
    [
        ("int4 group 32 scale f16", -7, 7),
        ("int4 group 16 zero_point scale f16", 0, 15),
        ("int8 group 32 scale f16", -127, 127),
        ("int8 group 8 zero_point scale f16", 0, 255),
    ],
)
def test_codes_are_those_of_numpy(profile, tmp_path, encoding, low, high):
    run("moe-compile", MODEL, f"--encoding={encoding}", "--rounding=calibrated", "--profile", profile, *QUICK, "-o", tmp_path / "a")
    _, weights = hidden.read(MODEL / "model.safetensors")
    _, moments = hidden.read(profile)
    for layer, expert in ((0, 5), (3, 0)):
        for role, original in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
            matrix = weights[f"model.layers.{layer}.block_sparse_moe.experts.{expert}.{original}.weight"].T
            kind = "hidden" if role == "down" else "input"
            # A pass reads sums as f32, the largest of which is 1.
            sums = moments[f"layers.{layer}.{kind}_moments_full"].astype(np.float32).astype(np.float64)
            codes, scales, zeros = stored_codes(tmp_path / "a", role, layer, expert, low == 0)
            expected = paper(matrix, sums, scales, zeros, low, high)
            # A value half way between two codes may go either way, and all behind it follow.
            assert np.mean(codes == expected) > 0.99, (layer, role)


def losses(text):
    return [float(found) for found in re.findall(r"^  layer\d+: max abs .* rms rel ([0-9.e-]+)", text, re.MULTILINE)]


@pytest.mark.parametrize(
    "form",
    [
        ("--encoding=int4 group 32 scale f16",),
        ("--encoding=int4 group 32 zero_point scale f16",),
        ("--encoding=int8 group 32 scale f16",),
        ("--preset=small",),
    ],
)
def test_outputs_err_less(profile, tmp_path, form):
    """Of inputs that the profile has not seen, in every layer; least in the last one, whose inputs have least in common."""
    options = (*form, "--profile", profile, f"--samples={SAMPLES}", *QUICK, "-o", tmp_path / "a")
    nearest, calibrated = (losses(run("moe-compile", MODEL, f"--rounding={name}", *options)) for name in ("nearest", "calibrated"))
    assert len(nearest) == len(calibrated) == 4
    ratios = [after / before for before, after in zip(nearest, calibrated)]
    assert max(ratios) < 0.95 and np.mean(ratios) < 0.85, ratios


def test_input_factors_are_calibrated(profile, tmp_path):
    encodings = ("--base-encoding=int8 group 32 scale f16", "--residual-encoding=int4 group 16 scale f16")
    options = ("--compress", "--clusters=1", "--rank=48", "--whiten=full", *encodings, "--profile", profile)
    runs = (*options, f"--samples={SAMPLES}", *QUICK, "-o", tmp_path / "a")
    nearest, calibrated = (losses(run("moe-compile", MODEL, f"--rounding={name}", *runs)) for name in ("nearest", "calibrated"))
    assert len(nearest) == 4
    assert np.mean(calibrated) < np.mean(nearest), (nearest, calibrated)


def test_a_profile_is_asked_for(tmp_path):
    bad = tmp_path / "bad.safetensors"
    hidden.write(bad, {}, {"a": np.zeros(1, np.float32)})
    with pytest.raises(SystemExit, match="expected a profile, found no metadata 'moec.profile'"):
        hidden.add_to_profile(bad)
    hidden.write(bad, {"moec.profile": "1"}, {"a": np.zeros(1, np.float32)})
    with pytest.raises(SystemExit, match="expected traffic of layer 0"):
        hidden.add_to_profile(bad)
