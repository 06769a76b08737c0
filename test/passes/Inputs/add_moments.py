"""Copies a profile with hidden moments for layer 0: `add_moments.py FROM TO WIDTH`; only the first hidden value is ever not zero.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import struct
import sys

data = open(sys.argv[1], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
width = int(sys.argv[3])
moments = struct.pack(f"<{width}d", *([1.0] + [0.0] * (width - 1)))
rows = struct.pack("<q", 7)
place = len(data) - start
header["layers.0.hidden_moments"] = {"dtype": "F64", "shape": [width], "data_offsets": [place, place + len(moments)]}
place += len(moments)
header["layers.0.hidden_rows"] = {"dtype": "I64", "shape": [1], "data_offsets": [place, place + len(rows)]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(len(text).to_bytes(8, "little") + text + data[start:] + moments + rows)
