"""Flips the bits of one byte: flip.py FILE PLACE

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import sys

path, place = sys.argv[1], int(sys.argv[2])
with open(path, "r+b") as file:
    file.seek(place)
    byte = file.read(1)[0]
    file.seek(place)
    file.write(bytes([byte ^ 0xFF]))
