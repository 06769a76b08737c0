"""Writes a traffic profile of two layers of 8 experts and inputs of width 32: `write_traffic.py FILE`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

What each token of a layer chose is listed below: pairs of experts, and how many tokens chose them.
"""

import json
import struct
import sys

EXPERTS, WIDTH = 8, 32
LAYERS = [
    (64, {(0, 4): 40, (1, 2): 8, (3, 7): 8}),
    (32, {(0, 2): 16, (1, 3): 16}),
]  # fmt: skip


def main():
    tensors = {}
    for number, (tokens, pairs) in enumerate(LAYERS):
        both = [[0] * EXPERTS for _ in range(EXPERTS)]
        for (i, j), count in pairs.items():
            for a, b in ((i, j), (j, i), (i, i), (j, j)):
                both[a][b] += count
        counts = [both[e][e] for e in range(EXPERTS)]
        rows = [0.0] * (EXPERTS * WIDTH)
        tensors |= {
            f"layers.{number}.tokens": ("I64", [1], "q", [tokens]),
            f"layers.{number}.counts": ("I64", [EXPERTS], "q", counts),
            f"layers.{number}.gate_sums": ("F64", [EXPERTS], "d", [count / 2 for count in counts]),
            f"layers.{number}.cooccurrence": ("I64", [EXPERTS, EXPERTS], "q", sum(both, [])),
            f"layers.{number}.centroids": ("F32", [EXPERTS, WIDTH], "f", rows),
            f"layers.{number}.means": ("F32", [EXPERTS, WIDTH], "f", rows),
        }
    header = {"__metadata__": {"moec.profile": json.dumps({"version": "0.2", "model": "traffic", "beta": 0.05})}}
    data = b""
    for name, (dtype, shape, code, numbers) in tensors.items():
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[1], "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


main()
