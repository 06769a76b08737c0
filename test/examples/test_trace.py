"""Traces of the example model: which clusters its layers meet, against the routers of transformers; and moe-simulate on them.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs PyTorch and transformers, as train.py does; without them there is nothing to test.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import safetensors.torch  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "tiny-mixtral"
BIN = pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin"))
TEXT = ROOT / "LICENSE"
sys.path.insert(0, str(MODEL))

import train  # noqa: E402

LAYERS, E, K, G = 4, 16, 2, 8


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "small"
    options = ["--compress", f"--clusters={G}", "--rank=16", "--opt-level=0", "-o", path]
    done = subprocess.run([BIN / "moe-compile", MODEL, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def record(artifact, path, *arguments):
    command = [sys.executable, MODEL / "trace.py", artifact, "-o", path, "--text", TEXT, "--windows", "4", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.fixture(scope="module")
def logits():
    """Of all routers: [layers, windows, length, experts]."""
    model = transformers.MixtralForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    windows = train.tokens(TEXT.read_bytes())[: 4 * train.WINDOW].view(4, -1)
    with torch.no_grad():
        found = model(input_ids=windows, output_router_logits=True, use_cache=False).router_logits
    return torch.stack([layer.view(4, train.WINDOW, E) for layer in found])


def lists(tensor):
    return [[sorted(int(i) for i in row if i >= 0) for row in step] for step in tensor]


def test_flat_choices(artifact, logits, tmp_path):
    done = record(artifact, tmp_path / "trace")
    assert done.returncode == 0, done.stderr
    trace = safetensors.torch.load_file(tmp_path / "trace")
    archive = safetensors.torch.load_file(artifact / "weights.safetensors")
    tables = [archive[f"layer{layer}.cluster"].tolist() for layer in range(LAYERS)]
    # transformers' routers return logits or the chosen scores' softmax: the order is the same.
    chosen = logits.topk(K, dim=-1).indices.flatten(1, 2)
    expected = [
        [sorted({tables[layer][expert] for expert in chosen[layer, step].tolist()}) for layer in range(LAYERS)]
        for step in range(4 * train.WINDOW)
    ]
    assert lists(trace["trace.used"]) == expected
    assert trace["trace.requests"].tolist() == [n * train.WINDOW for n in range(4)]
    hints = lists(trace["trace.hints"])
    assert all(step[0] == [] and all(1 <= len(clusters) <= K for clusters in step[1:]) for step in hints)
    right = sum(len(set(a) & set(b)) for x, y in zip(expected, hints) for a, b in zip(x[1:], y[1:]))
    said = sum(len(clusters) for step in hints for clusters in step)
    assert f"{right / said:.1%} of hints right" in done.stdout and 0.2 < right / said < 1


def test_two_stages_side_by_side(artifact, logits, tmp_path):
    assert record(artifact, tmp_path / "one", "--clusters-per-token=1").returncode == 0
    assert record(artifact, tmp_path / "four", "--clusters-per-token=1", "--sequences=4").returncode == 0
    one, four = (lists(safetensors.torch.load_file(tmp_path / name)["trace.used"]) for name in ("one", "four"))
    assert all(len(clusters) == 1 for step in one for clusters in step)
    assert len(four) == train.WINDOW
    for step, layers in enumerate(four):
        for layer, clusters in enumerate(layers):
            assert clusters == sorted({one[n * train.WINDOW + step][layer][0] for n in range(4)})
    # A token's cluster is that of its best expert.
    archive = safetensors.torch.load_file(artifact / "weights.safetensors")
    best = logits.argmax(-1).flatten(1, 2)
    for layer in range(LAYERS):
        table = archive[f"layer{layer}.cluster"].tolist()
        assert [step[layer][0] for step in one] == [table[expert] for expert in best[layer].tolist()]


def test_moe_simulate_takes_it(artifact, tmp_path):
    assert record(artifact, tmp_path / "trace").returncode == 0
    options = ["--slots=16", "--evictions=lru", "--predictors=none,hint,clairvoyant"]
    done = subprocess.run([BIN / "moe-simulate", "--trace", tmp_path / "trace", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"4 layers of {G} clusters, 4 requests, {4 * train.WINDOW} steps; 16 slots, 50.0 % of all bases" in done.stdout
    assert len(re.findall(r"^lru ", done.stdout, re.MULTILINE)) == 3


def test_what_it_refuses(artifact, tmp_path):
    done = record(artifact, tmp_path / "trace", "--sequences=3")
    assert done.returncode == 1 and "expected windows in whole groups of 3, found 4" in done.stderr
    done = record(artifact, tmp_path / "trace", "--windows=4000")
    assert done.returncode == 1 and f"expected {4000 * train.WINDOW} bytes of text, found" in done.stderr
    exact = subprocess.run([BIN / "moe-compile", MODEL, "--opt-level=0", "-o", tmp_path / "exact"], capture_output=True)
    assert exact.returncode == 0
    done = record(tmp_path / "exact", tmp_path / "trace")
    assert done.returncode == 1 and "expected an artifact with clusters, found none" in done.stderr
