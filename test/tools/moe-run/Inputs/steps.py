"""Prints the checksum of all outputs of --steps, of the model that %paged_weights makes: steps.py STEPS TOKENS

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

x of the first layer is seeded, that of others flows from layer to layer; ids are seeded below --int-range, which is 2.
"""

import math
import struct
import sys

from seeded import bits, f32, value

LAYERS, ARGUMENTS, WIDTH, MASK = 12, 64, 65536, (1 << 64) - 1


def layer_outputs(layer, x, ids):
    """y = x * sum(w) + b of each token's cluster, rounded as floats are."""
    weights = [(layer * 8 + cluster + 1) / 1024 for cluster in ids]
    return [f32(f32(a * (WIDTH * w)) + (w + 0.5)) for a, w in zip(x, weights)]


def flow_on(x, y):
    """The sum, divided by its root mean square."""
    both = [f32(a + b) for a, b in zip(x, y)]
    squares = 0.0
    for a in both:
        squares += a * a
    scale = math.sqrt(len(both) / squares)
    return [f32(a * scale) for a in both]


def main():
    steps, tokens = map(int, sys.argv[1:])
    checksum = 14695981039346656037
    for step in range(steps):
        for layer in range(LAYERS):
            seed = (step * LAYERS + layer) * ARGUMENTS
            x = flow_on(x, y) if layer else [f32(value(seed, n)) for n in range(tokens)]
            y = layer_outputs(layer, x, [(bits(seed + 1, n) >> 8) % 2 for n in range(tokens)])
            for byte in struct.pack(f"<{tokens}f", *y):
                checksum = (checksum ^ byte) * 1099511628211 & MASK
    print(f"{steps} steps of {LAYERS} layers: outputs fnv1a {checksum:016x}")


main()
