"""Devices that artifacts run on, and arrays in their memory.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
import weakref
from typing import Any

import numpy as np

from moec import abi, tensors
from moec.abi import Error, Status

KINDS = {"cpu": abi.CPU, "cuda": abi.CUDA}


def parse(text: Any) -> abi.Device:
    """DLPack's device of "cpu", "cuda" (number 0) or "cuda:1"; or of what prints so, as torch.device does."""
    found = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", str(text))
    if not found:
        raise Error(Status.INVALID_ARGUMENT, f"expected a device such as cpu or cuda:0, found '{text}'")
    return abi.Device(KINDS[found[1]], int(found[2] or 0))


class Device:
    """What an open model is on. `kind` and `number` are DLPack's; str() is "cpu" or "cuda:0". Threads may share it."""

    def __init__(self, model: Any, handle: ctypes.c_void_p):
        self.runtime, self.model, self.handle, self.lock = abi.runtime(), model, handle, threading.Lock()
        identity, stream, sink = abi.Device(), ctypes.c_void_p(), abi.Sink()
        sink.check(self.runtime.moert_device_identity(handle, identity))
        sink.check(self.runtime.moert_device_stream(handle, stream))
        self.kind, self.number = identity.device_type, identity.device_id
        # Of calls that name no stream; 0 on the CPU.
        self.stream = stream.value or 0
        self._rooms = threading.local()

    def __str__(self) -> str:
        return "cpu" if self.kind == abi.CPU else f"cuda:{self.number}"

    def _ask(self, function: Any, *arguments: Any) -> None:
        sink = abi.Sink()
        with self.lock:
            sink.check(function(self.handle, *arguments, sink.record))

    def synchronize(self) -> None:
        """Waits for what is in `stream`; Error with what of it failed."""
        self._ask(self.runtime.moert_device_synchronize)

    def write(self, address: int, array: np.ndarray) -> None:
        """Copies a contiguous array to the device."""
        self._ask(self.runtime.moert_device_write, address, array.ctypes.data, array.nbytes)

    def read(self, array: np.ndarray, address: int) -> None:
        """Copies into a contiguous array, behind what is in `stream`."""
        self._ask(self.runtime.moert_device_read, array.ctypes.data, address, array.nbytes)

    def workspace(self, stream: int, size: int) -> tuple[Memory, int]:
        """Scratch memory of the calling thread's calls in a stream, which follow one another there; and its address."""
        rooms = self._rooms.__dict__
        if stream not in rooms or rooms[stream].size < size:
            rooms[stream] = Memory(self, size)
        return rooms[stream], rooms[stream].address


class Memory:
    """`size` bytes of a device at `address`, given back when nothing refers to them."""

    def __init__(self, device: Device, size: int):
        self.size, address, sink = size, ctypes.c_void_p(), abi.Sink()
        with device.lock:
            sink.check(device.runtime.moert_device_allocate(device.handle, size, sink.record, address))
        self.address = address.value or 0
        # Not the device, which keeps workspaces: its model, which must not close before.
        weakref.finalize(self, free, device.model, device.handle, device.lock, self.address).atexit = False


def free(model: Any, handle: ctypes.c_void_p, lock: threading.Lock, address: int) -> None:
    with lock:
        abi.runtime().moert_device_free(handle, address)


class Array:
    """An array in a device's memory, with compact rows: `shape`, `dtype` (the name that arguments have) and `device`. Other
    libraries read and write it in place by DLPack."""

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: str):
        self.device, self.shape, self.dtype = device, tuple(shape), dtype
        self._memory = Memory(device, math.prod(self.shape) * tensors.ELEMENTS[dtype][2].itemsize)

    @classmethod
    def of(cls, device: Device, values: Any, dtype: str | None = None) -> Array:
        """A copy of a NumPy array, or of what becomes one; `dtype` says that uint16 holds bfloat16."""
        array = np.ascontiguousarray(values)
        name = dtype or array.dtype.name
        if name not in tensors.ELEMENTS or array.dtype.itemsize != tensors.ELEMENTS[name][2].itemsize:
            raise Error(
                Status.INVALID_ARGUMENT, f"expected an array of {', '.join(tensors.ELEMENTS)}, found {array.dtype}"
            )
        made = cls(device, array.shape, name)
        device.write(made.address, array)
        return made

    @property
    def address(self) -> int:
        return self._memory.address

    def numpy(self) -> np.ndarray:
        """A copy in the CPU's memory; bfloat16 as the uint16 of its bits. Of what other streams do, wait for them first."""
        array = np.empty(self.shape, tensors.ELEMENTS[self.dtype][2])
        self.device.read(array, self.address)
        return array

    def __repr__(self) -> str:
        return f"<moec Array {self.dtype} {list(self.shape)} on {self.device}>"

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device.kind, self.device.number

    def __dlpack__(self, *, stream: Any = None, **others: Any) -> Any:
        """A DLManagedTensor of the same memory. Waits until it is written, so that any stream may read it."""
        self.device.synchronize()
        return lend(self)


# Structures that were lent, by their addresses, until their deleters are called.
_lent: dict[int, tuple] = {}


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _give_back(address: int) -> None:
    _lent.pop(address, None)


# Of capsules by their addresses: a destructor must not refer to what is going.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
# A capsule keeps the pointer, not a copy of the name.
_NAME = b"dltensor"


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _give_back_unused(capsule: int) -> None:
    """Of a capsule that nobody took over; one that was is renamed."""
    if _is_valid(capsule, _NAME):
        _lent.pop(_pointer(capsule, _NAME), None)


def lend(array: Array) -> Any:
    """A capsule named dltensor, which keeps the array."""
    code, bits, _ = tensors.ELEMENTS[array.dtype]
    shape = (ctypes.c_int64 * len(array.shape))(*array.shape)
    managed = abi.ManagedTensor(deleter=ctypes.cast(_give_back, ctypes.c_void_p))
    managed.tensor = abi.Tensor(
        data=array.address,
        device=abi.Device(array.device.kind, array.device.number),
        ndim=len(array.shape),
        dtype=abi.DataType(code, bits, 1),
        shape=ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)),
    )
    address = ctypes.addressof(managed)
    _lent[address] = managed, shape, array
    return _capsule(address, _NAME, ctypes.cast(_give_back_unused, ctypes.c_void_p))
