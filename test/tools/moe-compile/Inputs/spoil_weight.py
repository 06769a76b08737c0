"""Copies tiny-mixtral's weights with one of them NaN: `spoil_weight.py FROM TO`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import sys

data = bytearray(open(sys.argv[1], "rb").read())
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
begin = start + header["model.layers.1.block_sparse_moe.experts.3.w2.weight"]["data_offsets"][0]
data[begin + 10 : begin + 12] = (0x7FC0).to_bytes(2, "little")  # bf16
open(sys.argv[2], "wb").write(data)
