"""Copies a profile with hidden moments for layer 0: `add_moments.py FROM TO WIDTH [full]`; only the first hidden value is ever not zero.

With `full` also all moments: of hidden values that have a part in common.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import struct
import sys

data = open(sys.argv[1], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
body = bytearray(data[start:])
width = int(sys.argv[3])
isFull = sys.argv[4:] == ["full"]


def add(name, dtype, shape, content):
    header[f"layers.0.{name}"] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
    body.extend(content)


add("hidden_moments", "F64", [width], struct.pack(f"<{width}d", *([3.0] * width if isFull else [1.0] + [0.0] * (width - 1))))
if isFull:
    rows = [3.0 if row == column else 2.0 for row in range(width) for column in range(width)]
    add("hidden_moments_full", "F64", [width, width], struct.pack(f"<{width * width}d", *rows))
add("hidden_rows", "I64", [1], struct.pack("<q", 7))
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(len(text).to_bytes(8, "little") + text + bytes(body))
