"""What artifacts cost the model as a whole: perplexity and next-byte accuracy on held-out text, of each and of the original.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  make test-torch
  PYTHONPATH=python .venv-torch/bin/python examples/tiny-mixtral/quality.py

needs what train.py needs, and the built tools. The rows are the model in transformers, and the same with its MoE blocks
replaced (moec.torch.replace_moe) by artifacts: exact; clusters of experts with residuals of a rank, routers choosing as
before; and two-stage routers that keep M clusters for a token. Profiles for them come from other text (samples.safetensors).
"""

import argparse
import copy
import hashlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import moec.torch
import torch
import transformers
from moec import home

import train

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ("MoE blocks", "weights", "bits per byte", "perplexity", "next byte right", "as the original")


def compressed(rank, **options):
    return {"compress": True, "clusters": 4, "rank": rank, **options}


# Rows by name: options of moe-compile; those with "compress" get the profile.
ARTIFACTS = {
    "exact": {},
    "rank 32": compressed(32),
    "rank 16": compressed(16),
    "rank 16, M = 2": compressed(16, two_stage=2),
    "rank 16, M = 1": compressed(16, two_stage=1),
}


def profile_of(artifact, folder):
    """Traffic of each layer on the profiling inputs among the samples."""
    path = folder / "profile.safetensors"
    for number, name in enumerate(artifact.layers):
        values = f"x={HERE}/samples.safetensors:layers.{number}.profile_input"
        command = [home.find("bin/moe-run"), artifact.path, "--layer", name, "--input", values, "--profile", path]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return path


@torch.no_grad()
def predict(model, windows):
    """Mean natural-log loss of the windows' bytes but the first, and which byte was thought most likely at each."""
    losses, best = 0.0, []
    for part in windows.split(train.BATCH):
        logits = model(input_ids=part[:, :-1], use_cache=False).logits.flatten(0, 1)
        losses += torch.nn.functional.cross_entropy(logits, part[:, 1:].flatten(), reduction="sum").item()
        best.append(logits.argmax(-1))
    best = torch.cat(best)
    return losses / len(best), best


def measure(model_folder, windows, folder, names=tuple(ARTIFACTS)):
    """By row: bytes of MoE weights, loss, share of bytes predicted right, share predicted as by the original."""
    original = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    truth = windows[:, 1:].flatten()
    loss, expected = predict(original, windows)
    instrumented = moec.load(moec.compile(model_folder, folder / "instrumented", instrument=True))
    size = (instrumented.path / "weights.safetensors").stat().st_size
    yield "original", size, loss, (expected == truth).float().mean().item(), 1.0
    profile = profile_of(instrumented, folder)
    for name in names:
        options = {**ARTIFACTS[name], **({"profile": profile} if "compress" in ARTIFACTS[name] else {})}
        artifact = moec.load(
            moec.compile(model_folder, folder / f"artifact{len(list(folder.iterdir()))}", **options), threads=0
        )
        model = copy.deepcopy(original)
        moec.torch.replace_moe(model, artifact)
        loss, best = predict(model, windows)
        right, same = ((best == other).float().mean().item() for other in (truth, expected))
        yield name, (artifact.path / "weights.safetensors").stat().st_size, loss, right, same


def row(name, size, loss, right, same):
    """One row as it is printed."""
    cells = (
        name,
        f"{size / 1e6:.2f} MB",
        f"{loss / math.log(2):.4f}",
        f"{math.exp(loss):.3f}",
        f"{right:.2%}",
        f"{same:.2%}",
    )
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, default=HERE, help="folder of the checkpoint (default: this one)")
    parser.add_argument("--text", type=pathlib.Path, nargs="+", help="files to predict (default: the held-out text)")
    parser.add_argument("--windows", type=int, help=f"windows of {train.WINDOW} bytes, evenly spaced (default: all)")
    arguments = parser.parse_args()

    if arguments.text:
        data = b"".join(path.read_bytes() for path in arguments.text)
    else:
        data = train.read_text()[1]
        if (
            hashlib.sha256(data).hexdigest()
            != json.loads((HERE / "metrics.json").read_text())["text"]["held_out_sha256"]
        ):
            print("quality.py: warning: other packages are installed than metrics.json has digests of", file=sys.stderr)
    text = train.tokens(data)
    count = (len(text) - 1) // train.WINDOW
    if count < 1:
        raise SystemExit(f"quality.py: error: expected more than {train.WINDOW} bytes of text, found {len(text)}")
    windows = text[: count * train.WINDOW + 1].unfold(0, train.WINDOW + 1, train.WINDOW)
    if arguments.windows and arguments.windows < count:
        windows = windows[torch.linspace(0, count - 1, arguments.windows).long()]
    print(f"{windows[:, 1:].numel()} bytes in windows of {train.WINDOW}", flush=True)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for found in measure(arguments.model, windows, pathlib.Path(folder)):
            print(row(*found), flush=True)


if __name__ == "__main__":
    main()
