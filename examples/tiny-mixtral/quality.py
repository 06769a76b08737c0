"""What artifacts cost the model as a whole: perplexity and next-byte accuracy on held-out text, of each and of the original.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  make test-torch
  PYTHONPATH=python .venv-torch/bin/python examples/tiny-mixtral/quality.py            # quality.json, docs/quality.md and .svg
  PYTHONPATH=python .venv-torch/bin/python examples/tiny-mixtral/quality.py --rows 'rank 16.*' --windows 100

needs what train.py needs, and the built tools. The rows (quality_rows.py) are the model in transformers with its MoE blocks replaced
(moec.torch.replace_moe) by artifacts. Profiles for them come from other text (samples.safetensors), Fisher information from
the text that was trained on. One thread; the whole takes half an hour.
"""

import argparse
import copy
import hashlib
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import moec.torch
import torch
import transformers
from moec import home

import fisher
import hidden
import quality_report
import quality_rows
import train

HERE = pathlib.Path(__file__).resolve().parent
# Windows of the text trained on that Fisher information is taken from.
FISHER_WINDOWS = 64


def profile_of(artifact, model, folder):
    """Traffic of each layer on the profiling inputs among the samples, and Fisher information."""
    path = folder / "profile.safetensors"
    for number, name in enumerate(artifact.layers):
        values = f"x={HERE}/samples.safetensors:layers.{number}.profile_input"
        command = [home.find("bin/moe-run"), artifact.path, "--layer", name, "--input", values, "--profile", path]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    # Gradients are those of the model's own experts.
    own = copy.deepcopy(model)
    own.set_experts_implementation("eager")
    windows = fisher.windows_of(train.tokens(train.read_text()[0]), FISHER_WINDOWS, train.SEED)
    fisher.add_to_profile(path, fisher.fisher_of(own, windows))
    return path


def weight_bytes(artifact):
    """What an artifact stores, tables and scales included, without the padding of its pages."""
    with open(artifact.path / "weights.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    kept = (value["data_offsets"] for name, value in header.items() if not name.startswith("__"))
    return sum(end - begin for begin, end in kept)


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


def measure(model_folder, windows, folder, names=tuple(quality_rows.ROWS)):
    """For the original and each row: its name and a dict of its bytes of MoE weights, loss in nats for a byte, share of bytes
    predicted right, and share predicted as by the original."""
    original = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    truth = windows[:, 1:].flatten()
    loss, expected = predict(original, windows)
    instrumented = moec.load(moec.compile(model_folder, folder / "instrumented", instrument=True))
    found = {"bytes": weight_bytes(instrumented), "loss": loss, "right": (expected == truth).float().mean().item()}
    yield "original", {**found, "same": 1.0}
    profile = profile_of(instrumented, original, folder)
    # What codes are calibrated by; forms that are whitened have none of hidden activations.
    calibration = folder / "calibration.safetensors"
    shutil.copy(profile, calibration)
    hidden.add_to_profile(calibration, model_folder)
    for number, name in enumerate(names):
        options = dict(quality_rows.ROWS[name])
        if "compress" in options or "bytes" in options:
            options |= {"profile": profile, "cache": folder / "cache"}
        if options.get("rounding") == "calibrated":
            options["profile"] = calibration
        path = moec.compile(model_folder, folder / f"artifact{number}", cpu="native", **options)
        artifact = moec.load(path)
        model = copy.deepcopy(original)
        moec.torch.replace_moe(model, artifact)
        loss, best = predict(model, windows)
        right, same = ((best == other).float().mean().item() for other in (truth, expected))
        yield name, {"bytes": weight_bytes(artifact), "loss": loss, "right": right, "same": same}


def windows_of(data, most=None):
    """Consecutive windows of a text, [count, WINDOW + 1]; at most so many, evenly spaced."""
    text = train.tokens(data)
    count = (len(text) - 1) // train.WINDOW
    if count < 1:
        raise SystemExit(f"quality.py: error: expected more than {train.WINDOW} bytes of text, found {len(text)}")
    windows = text[: count * train.WINDOW + 1].unfold(0, train.WINDOW + 1, train.WINDOW)
    return windows[torch.linspace(0, count - 1, most).long()] if most and most < count else windows


def held_out():
    """The text that the model was not trained on; a warning if it is another one."""
    data = train.read_text()[1]
    known = json.loads((HERE / "metrics.json").read_text())["text"]["held_out_sha256"]
    if hashlib.sha256(data).hexdigest() != known:
        print("quality.py: warning: other packages are installed than metrics.json has digests of", file=sys.stderr)
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, default=HERE, help="folder of the checkpoint (default: this one)")
    parser.add_argument("--text", type=pathlib.Path, nargs="+", help="files to predict (default: the held-out text)")
    parser.add_argument("--windows", type=int, help=f"windows of {train.WINDOW} bytes, evenly spaced (default: all)")
    parser.add_argument("--rows", default=".*", help="regular expression of the rows' whole names (default: all)")
    parser.add_argument("--write", action="store_true", help="put what is measured into quality.json, and write the report")
    arguments = parser.parse_args()
    if arguments.write and (arguments.text or arguments.model != HERE):
        parser.error("--write is for this model on the held-out text")

    torch.set_num_threads(1)
    data = b"".join(path.read_bytes() for path in arguments.text) if arguments.text else held_out()
    windows = windows_of(data, arguments.windows)
    names = [name for name in quality_rows.ROWS if re.fullmatch(arguments.rows, name)]
    print(f"{windows[:, 1:].numel()} bytes in windows of {train.WINDOW}", flush=True)
    print(quality_report.heading(), flush=True)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, row in measure(arguments.model, windows, pathlib.Path(folder), names):
            found[name] = row
            print(quality_report.line(name, row, found["original"]), flush=True)
            if arguments.write and name != "original":
                quality_report.update(found, windows[:, 1:].numel())


if __name__ == "__main__":
    main()
