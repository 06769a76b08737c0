"""Checks that a safetensors file's moec.archive is the text of another file, and JSON: metadata_is.py ARCHIVE TEXT

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import struct
import sys

archive, text = sys.argv[1:]
with open(archive, "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
with open(text, encoding="utf-8") as file:
    printed = file.read()
if printed != header["__metadata__"]["moec.archive"] + "\n":
    sys.exit("expected the text of moec.archive, found another one")
records = json.loads(printed)["records"]
if not records:
    sys.exit("expected records, found none")
