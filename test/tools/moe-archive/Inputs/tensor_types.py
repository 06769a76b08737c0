"""Prints name, type and shape of a safetensors file's tensors, sorted: tensor_types.py FILE

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
header.pop("__metadata__", None)
for name, tensor in sorted(header.items()):
    print(name, tensor["dtype"], tensor["shape"])
