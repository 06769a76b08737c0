"""Prints what moe-run prints of the entry `types` on seeded inputs: seeded.py SEED TOKENS INT_RANGE

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The values are docs/spec.md section 2.1 again, in Python; input number i has seed SEED + i.
"""

import struct
import sys

MASK = 0xFFFFFFFF


def bits(seed, n):
    h = (seed * 0x9E3779B9 + n * 0x85EBCA6B + 0x27D4EB2F) & MASK
    h ^= h >> 16
    h = h * 0x7FEB352D & MASK
    h ^= h >> 15
    h = h * 0x846CA68B & MASK
    return h ^ h >> 16


def value(seed, n):
    return (bits(seed, n) >> 8) * 2.0**-23 - 1


def f32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def f16(number):
    return struct.unpack("<e", struct.pack("<e", f32(number)))[0]


def bf16(number):
    (word,) = struct.unpack("<I", struct.pack("<f", number))
    word = word + 0x7FFF + (word >> 16 & 1) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", word))[0]


def main():
    seed, tokens, int_range = map(int, sys.argv[1:])
    for argument, rounded in enumerate([f32, f32, f16, bf16, None, None, None, "bool"]):
        numbers = []
        for n in range(tokens * 3):
            integer = (bits(seed + argument, n) >> 8) % int_range
            if rounded is None:
                numbers.append(integer)
            elif rounded == "bool":
                numbers.append(integer & 1)
            else:
                numbers.append(rounded(value(seed + argument, n)))
        for row in range(tokens):
            print(*(f"{number:.9g}" for number in numbers[3 * row : 3 * row + 3]))


if __name__ == "__main__":
    main()
