"""The example checkpoint in bitsandbytes' nf4, made by NumPy: what is compiled has the values that its codes stand for.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

MODEL = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny-mixtral"
TOOLS = pathlib.Path(os.environ.get("MOEC_BIN", MODEL.parents[1] / "build" / "bin"))
sys.path.insert(0, str(MODEL))

import hidden  # noqa: E402

# QLoRA (arXiv 2305.14314), appendix E.
NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334]
    + [-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
    + [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
    np.float32,
)
BLOCK = 64


def to_bf16(values):
    """The bits of float32 values in bf16, rounded to nearest even; none is NaN."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def quantized(name, weight, nested):
    """The tensors of a weight in nf4, and the values that they stand for."""
    blocks = weight.astype(np.float32).reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1)
    codes = np.abs((blocks / scales[:, None])[..., None] - NF4).argmin(axis=-1).astype(np.uint8).reshape(-1)
    state = {"quant_type": "nf4", "blocksize": BLOCK, "dtype": "bfloat16", "shape": list(weight.shape)}
    tensors = {name: (codes[::2] << 4 | codes[1::2]).reshape(-1, 1), name + ".quant_map": NF4}
    if nested:
        offset = np.float32(scales.mean())
        levels = np.linspace(-1, 1, 256, dtype=np.float32)
        coarse = np.pad(scales - offset, (0, -len(scales) % 256)).reshape(-1, 256)
        largest = np.abs(coarse).max(axis=1)
        levels_of = np.abs((coarse / largest[:, None]).reshape(-1, 1) - levels).argmin(axis=1)[: len(scales)].astype(np.uint8)
        scales = levels[levels_of] * np.repeat(largest, 256)[: len(scales)] + offset
        tensors |= {name + ".absmax": levels_of, name + ".nested_absmax": largest, name + ".nested_quant_map": levels}
        state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": float(offset)}
    else:
        tensors[name + ".absmax"] = scales
    tensors[name + ".quant_state.bitsandbytes__nf4"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    return tensors, to_bf16(NF4[codes].reshape(-1, BLOCK) * scales[:, None]).reshape(weight.shape)


@pytest.mark.parametrize("nested", [False, True])
def test_values_are_those_of_the_codes(tmp_path, nested):
    _, weights = hidden.read(MODEL / "model.safetensors")
    tensors, expected = {}, {}
    for name, values in weights.items():
        if ".experts." in name or name.endswith("block_sparse_moe.gate.weight"):
            parts, expected[name] = quantized(name, values, nested)
            tensors |= parts
        else:
            tensors[name] = values
    folder = tmp_path / "nf4"
    folder.mkdir()
    hidden.write(folder / "model.safetensors", {}, tensors)
    config = json.loads((MODEL / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (folder / "config.json").write_text(json.dumps(config))
    command = [TOOLS / "moe-compile", folder, "--check-finite", "--opt-level=0", "--cpu=native", "--layout=row_major", "-o", tmp_path / "a"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "exact: 2955264 parameters, 5.91 MB" in done.stdout
    data = (tmp_path / "a" / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    for layer in range(4):
        prefix = f"model.layers.{layer}.block_sparse_moe."
        names = {f"layer{layer}.router": prefix + "gate.weight"}
        for expert in (0, 7, 15):
            for role, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
                names[f"layer{layer}.expert.{expert}.{role}"] = f"{prefix}experts.{expert}.{name}.weight"
        for stored, name in names.items():
            begin, end = (start + offset for offset in header[stored]["data_offsets"])
            found = np.frombuffer(data[begin:end], np.uint16).reshape(header[stored]["shape"])
            np.testing.assert_array_equal(found, expected[name].T, err_msg=stored)
    shutil.rmtree(folder)
