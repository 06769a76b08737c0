"""Memory of a call: the structures of the C interface, made once and filled in anew for each call.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Making ctypes objects costs more than a small layer does; packing numbers into those that are there does not.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Sequence

from moec import abi, tensors

# DLTensor: data, device type and number, rank, code, bits, lanes, shape, strides, byte_offset; and so many numbers behind it, its
# extents and strides.
RECORDS = [struct.Struct(f"@QiiiBBHQQQ{count}q") for count in range(2 * abi.MAX_RANK + 1)]
ROOM = RECORDS[-1].size
assert RECORDS[0].size == ctypes.sizeof(abi.Tensor)


class Frame:
    """Arguments, call and message of one call of an entry with `count` tensors, all on one device: DLPack's kind and number.
    Used by one call at a time.

    `call` is the moert_call, whose workspace the caller sets; `arguments` the array of DLTensor *."""

    __slots__ = ("sink", "call", "bytes_needed", "arguments", "_device", "_memory", "_places")

    def __init__(self, count: int, device: tuple[int, int] = (abi.CPU, 0)):
        self._device, self.sink = device, abi.Sink()
        self.call = abi.Call(size=ctypes.sizeof(abi.Call), abi_version=abi.VERSION, error=self.sink.record)
        self.bytes_needed = ctypes.c_uint64()
        self._memory = (ctypes.c_uint64 * (count * ROOM // 8))()
        base = ctypes.addressof(self._memory)
        # Where each record is in the memory, and the address of the extents behind it.
        self._places = [(start, base + start + RECORDS[0].size) for start in range(0, count * ROOM, ROOM)]
        tensors_at = [ctypes.cast(base + start, ctypes.POINTER(abi.Tensor)) for start, _ in self._places]
        self.arguments = (ctypes.POINTER(abi.Tensor) * count)(*tensors_at)

    def fill(self, views: Sequence[tensors.View]) -> None:
        """Writes the views' addresses, types, extents and strides. Who calls keeps their owners."""
        kind, number = self._device
        for (address, code, bits, shape, strides, _, lanes), (start, extents) in zip(views, self._places):
            rank = len(shape)
            # Of a higher rank the runtime reads the rank alone, and refuses it.
            numbers = (*shape, *(strides or ())) if rank <= abi.MAX_RANK else ()
            steps = 0 if strides is None else extents + 8 * rank
            RECORDS[len(numbers)].pack_into(
                self._memory, start, address, kind, number, rank, code, bits, lanes, extents, steps, 0, *numbers
            )
