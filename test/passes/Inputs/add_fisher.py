"""Copies a profile with Fisher information for layer 0: `add_fisher.py FROM TO EXPERTS`; 0.5 + e for gate, 2 for up, e for down.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import struct
import sys

data = open(sys.argv[1], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
experts = int(sys.argv[3])
rows = [0.5 + e for e in range(experts)] + [2.0] * experts + [float(e) for e in range(experts)]
place = len(data) - start
header["layers.0.fisher"] = {"dtype": "F64", "shape": [3, experts], "data_offsets": [place, place + 8 * len(rows)]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(len(text).to_bytes(8, "little") + text + data[start:] + struct.pack(f"<{len(rows)}d", *rows))
