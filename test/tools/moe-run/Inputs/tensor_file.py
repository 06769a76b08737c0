"""Writes a .npy or .safetensors file: tensor_file.py FILE DTYPE SHAPE VALUE...   with SHAPE as 2x3, or - of a scalar

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

In a .safetensors file the tensor's name is `value`. DTYPE is f64, f32, f16, bf16, i64, i32, i8 or bool; values of bf16
are bit patterns.
"""

import json
import struct
import sys

# DTYPE: format of struct, NumPy's name, safetensors' name
TYPES = {
    "f64": ("d", "<f8", "F64"),
    "f32": ("f", "<f4", "F32"),
    "f16": ("e", "<f2", "F16"),
    "bf16": ("H", None, "BF16"),
    "i64": ("q", "<i8", "I64"),
    "i32": ("i", "<i4", "I32"),
    "i8": ("b", "|i1", "I8"),
    "bool": ("?", "|b1", "BOOL"),
}

path, dtype, shape, *values = sys.argv[1:]
code, numpy_name, safetensors_name = TYPES[dtype]
extents = [] if shape == "-" else [int(extent) for extent in shape.split("x")]
numbers = [float(value) if code in "dfe" else int(value, 0) for value in values]
data = struct.pack(f"<{len(numbers)}{code}", *numbers)
if path.endswith(".npy"):
    header = f"{{'descr': '{numpy_name}', 'fortran_order': False, 'shape': {tuple(extents)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
else:
    tensor = {"dtype": safetensors_name, "shape": extents, "data_offsets": [0, len(data)]}
    header = json.dumps({"value": tensor})
    header += " " * (-len(header) % 8)
    start = struct.pack("<Q", len(header))
with open(path, "wb") as file:
    file.write(start + header.encode() + data)
