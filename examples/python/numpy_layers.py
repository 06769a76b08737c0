"""Layers of a compiled checkpoint on NumPy arrays: `numpy_layers.py MODEL ARTIFACT SAMPLES`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

SAMPLES is a safetensors file with layers.N.input and layers.N.output, such as examples/tiny-mixtral/samples.safetensors.
"""

import sys

import moec
import numpy as np
from safetensors.numpy import load_file

model, out, samples = sys.argv[1], sys.argv[2], load_file(sys.argv[3])
artifact = moec.load(moec.compile(model, out), threads=0)
print(artifact.source)
for number, (name, layer) in enumerate(artifact.layers.items()):
    x, y = samples[f"layers.{number}.input"], samples[f"layers.{number}.output"]
    error = np.abs(layer(x) - y).max() / np.abs(y).max()
    print(f"{name}: {layer.resident_bytes / 1e6:.2f} MB, {len(x)} tokens, max rel {error:.1e}")

# Results may go into memory of the caller's, with any strides.
rows = np.zeros((len(x), 2, x.shape[1]), np.float32)
layer(x, out=rows[:, 0])
try:
    layer(x.astype(np.float64))
except moec.Error as error:
    print(f"{error.status.name}: {error}")
