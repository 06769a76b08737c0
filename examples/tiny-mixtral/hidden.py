"""Adds second moments of hidden activations to a profile: what the down projections of the model's experts multiply.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  .venv/bin/python examples/tiny-mixtral/hidden.py --profile traffic.safetensors

needs NumPy alone. The profile is one that moe-run --profile made of this model; entries of an artifact return what routers decide,
not what experts do inside. Each layer's experts are computed here for the profiling inputs among the samples, and
layers.N.hidden_moments, .hidden_moments_full and .hidden_rows (docs/profile.md) become the sums over what each token's experts had.
"""

import argparse
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "U8": "|u1"}


def read(path):
    """Metadata and tensors of a safetensors file, with their types; bf16 becomes float32."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = (values.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else values
    return metadata, tensors


def write(path, metadata, tensors):
    """A safetensors file of float64, float32, float16, int64 and uint8 tensors; it appears whole or not at all."""
    names = {np.dtype(text): name for name, text in TYPES.items() if name != "BF16"}
    header, place = {"__metadata__": metadata}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": names[values.dtype], "shape": values.shape, "data_offsets": [place, place + values.nbytes]}
        place += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    content = len(text).to_bytes(8, "little") + text + b"".join(values.tobytes() for values in tensors.values())
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def hidden_of(weights, config, layer, x):
    """What the down projections of the experts chosen for rows of x multiply: [rows * choices, F], expert by expert."""
    prefix = f"model.layers.{layer}.block_sparse_moe."
    logits = x @ weights[prefix + "gate.weight"].astype(np.float64).T
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, : config["num_experts_per_tok"]]
    parts = []
    for expert in range(config["num_local_experts"]):
        rows = x[(chosen == expert).any(axis=1)]
        gate, up = (rows @ weights[f"{prefix}experts.{expert}.{name}.weight"].astype(np.float64).T for name in ("w1", "w3"))
        parts.append(gate / (1 + np.exp(-gate)) * up)
    return np.concatenate(parts)


def add_to_profile(path, model=HERE):
    """Adds each layer's moments to the profile, which keeps all else."""
    metadata, profile = read(path)
    if "moec.profile" not in metadata:
        raise SystemExit(f"hidden.py: error: {path}: expected a profile, found no metadata 'moec.profile'")
    config = json.loads((model / "config.json").read_text())
    _, weights = read(model / "model.safetensors")
    _, samples = read(HERE / "samples.safetensors")
    for layer in range(config["num_hidden_layers"]):
        if f"layers.{layer}.counts" not in profile:
            raise SystemExit(f"hidden.py: error: {path}: expected traffic of layer {layer}, as moe-run --profile counts it, found none")
        hidden = hidden_of(weights, config, layer, samples[f"layers.{layer}.profile_input"].astype(np.float64))
        moments = hidden.T @ hidden
        profile[f"layers.{layer}.hidden_rows"] = np.array([len(hidden)], "<i8")
        profile[f"layers.{layer}.hidden_moments"] = np.ascontiguousarray(np.diag(moments))
        # Products of the same numbers in another order differ in the last digit.
        profile[f"layers.{layer}.hidden_moments_full"] = (moments + moments.T) / 2
    write(path, metadata, profile)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", type=pathlib.Path, required=True, help="the profile to add to")
    add_to_profile(parser.parse_args().profile)


if __name__ == "__main__":
    main()
