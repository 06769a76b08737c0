"""Copies tiny-mixtral's samples with an output of layer 2 that lacks its last token: `misshape_samples.py FROM TO`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import sys

data = open(sys.argv[1], "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:start])
output = header["layers.2.output"]
begin, end = output["data_offsets"]
rows, width = output["shape"]
output["shape"], output["data_offsets"] = [rows - 1, width], [begin, end - 4 * width]
for entry in header.values():
    if "data_offsets" in entry and entry["data_offsets"][0] >= end:
        entry["data_offsets"] = [place - 4 * width for place in entry["data_offsets"]]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
body = data[start : start + end - 4 * width] + data[start + end :]
open(sys.argv[2], "wb").write(len(text).to_bytes(8, "little") + text + body)
