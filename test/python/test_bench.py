"""Programs of bench/python run, and print what they say they do.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python"


def printed(program, *arguments):
    done = subprocess.run([sys.executable, BENCH / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_overhead(artifact):
    """A call by NumPy takes longer than its C call."""
    text = printed("overhead.py", "--artifact", str(artifact.path), "--rounds", "5", "--calls", "20")
    rows = dict(re.findall(r"^(\w[^0-9\n]*\S) +[\d.]+ +[\d.]+ +(-?[\d.]+)$", text, re.MULTILINE))
    assert float(rows["C call"]) == 0 and float(rows["NumPy"]) > 0


def test_replaced_model(model_folder):
    """Of each phase the contenders' times, ratios to the replaced model, and the same logits."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    arguments = ["--model", str(model_folder), "--without-compile", "--seconds", "0", "--prefill", "40", "--decode", "1,3"]
    phases = re.split(r"^((?:prefill|decode) \d+), \d+ rounds$", printed("replaced_model.py", *arguments), flags=re.MULTILINE)[1:]
    assert phases[::2] == ["prefill 40", "decode 1", "decode 3"]
    for name, text in zip(phases[::2], phases[1::2]):
        rows = re.findall(r"^(\S.*?) +[\d.]+ ms +([\d.]+)x +(\S+)$", text, re.MULTILINE)
        ways = ["eager", "batched_mm", "grouped_mm"] if name.startswith("decode") else ["eager", "grouped_mm"]
        assert [row[0] for row in rows] == [f"transformers {way}" for way in ways] + ["moec"]
        assert all(float(ratio) > 0 and float(difference) <= 1e-5 for _, ratio, difference in rows)
        assert rows[-1][1] == "1.00"


@pytest.mark.parametrize(
    "program,modules,names",
    [
        ("torch_layer.py", ["torch", "transformers"], "transformers eager f32|transformers batched_mm f32|transformers grouped_mm f32"),
        ("onnxruntime_layer.py", ["onnxruntime", "onnx"], "ONNX Runtime MoE f32|ONNX Runtime QMoE int4|ONNX Runtime QMoE int4, int8 activations"),
    ],
)
def test_peers(tmp_path, program, modules, names):
    """Each peer solves the problems of a suite, checks itself, and writes what moe-bench merges; none is left out."""
    for module in modules:
        pytest.importorskip(module)
    suite = BENCH.parents[1] / "test/tools/moe-bench/Inputs/layers.json"
    options = ["--tokens", "3", "--seconds", "0", "--rounds", "2", "--json", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, BENCH.parent / "peers" / program, "--suite", suite, *options], capture_output=True, text=True)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr[-2000:]
    results = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert set(names.split("|")) <= {result["contender"] for result in results}
    for result in results:
        is_rounded = "bf16" in result["contender"] or "int8" in result["contender"]
        assert result["median_s"] > 0 and 0 < result["max_error"] <= (0.1 if is_rounded else 1e-4)


def test_peers_of_a_device():
    """On a CPU: each contender solves a layer and checks itself; none is left out."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    options = ["--shape", "64,96,16,4,2,16", "--tokens", "1,7", "--device", "cpu", "--rounds", "1"]
    done = subprocess.run([sys.executable, BENCH.parent / "peers" / "device_layer.py", *options], capture_output=True, text=True)
    assert done.returncode == 0 and "left out" not in done.stderr, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    names = [f"transformers {way}" for way in ("grouped_mm", "batched_mm", "eager")] + ["bases and residuals by grouped_mm"]
    assert [(r["contender"], r["tokens"]) for r in results] == [(name, tokens) for name in names for tokens in (1, 7)]
    assert all(r["seconds"] > 0 and 0 < r["error"] <= 0.1 for r in results)


def test_device_bench_with_peers(tmp_path, monkeypatch):
    """The benchmark of devices in the emulator, peers on the CPU."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    build = pathlib.Path(os.environ["MOEC_BIN"]).parent
    monkeypatch.setenv("MOEC_BUILD", str(build))
    monkeypatch.setenv("MOERT_CUDA_DRIVER", str(build / "lib" / "libmoec-emulated-cuda.so"))
    script = str(BENCH.parent / "device.py")
    printed(script, "prepare", "--quick", "--directory", str(tmp_path))
    text = printed(script, "run", "--quick", "--directory", str(tmp_path), "--peers", sys.executable, "--peers-device", "cpu")
    rows = re.findall(r"^\| (transformers \w+|bases and .*) \| (\d+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", text, re.MULTILINE)
    # Of rank 4: rows of factors are 8 bytes, of which PyTorch has no grouped products.
    assert [row[1] for row in rows] == ["1", "19", "1", "1", "19"]
    assert re.findall(r"^Peers: (.*?): left out", text, re.MULTILINE) == [f"bases and residuals by grouped_mm, {n} tokens" for n in (1, 19)]
