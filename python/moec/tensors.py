"""Views of arrays as the runtime takes them: NumPy arrays and whatever speaks DLPack, without a copy where that is possible.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from moec import abi
from moec.abi import Error, Status

# Manifest's name -> (DLPack code, bits, NumPy type that holds it). bfloat16 is held as its bits.
ELEMENTS: dict[str, tuple[int, int, np.dtype]] = {
    "float64": (abi.FLOAT, 64, np.dtype(np.float64)),
    "float32": (abi.FLOAT, 32, np.dtype(np.float32)),
    "float16": (abi.FLOAT, 16, np.dtype(np.float16)),
    "bfloat16": (abi.BFLOAT, 16, np.dtype(np.uint16)),
    "int64": (abi.INT, 64, np.dtype(np.int64)),
    "int32": (abi.INT, 32, np.dtype(np.int32)),
    "int8": (abi.INT, 8, np.dtype(np.int8)),
    "bool": (abi.BOOL, 8, np.dtype(np.bool_)),
}
NAMES = {(code, bits): name for name, (code, bits, _) in ELEMENTS.items()}
KINDS = {"f": abi.FLOAT, "i": abi.INT, "u": abi.UINT, "b": abi.BOOL}


class View(NamedTuple):
    """Strided memory of the CPU or of another device, what a DLTensor says of it, and what keeps it alive."""

    address: int  # of the first element; 0 for none
    code: int  # DLPack's
    bits: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None  # in elements; None for compact rows
    owner: Any
    lanes: int = 1


def element_of(array: np.ndarray, wanted: str, name: str) -> tuple[int, int]:
    """DLPack's code and bits of an array's type; bits of bfloat16 are taken for bfloat16 where that is wanted."""
    kind = array.dtype
    if kind.name == "bfloat16" or (wanted == "bfloat16" and kind == np.uint16):
        return abi.BFLOAT, 16
    if kind.kind not in KINDS:
        raise Error(Status.INVALID_ARGUMENT, f"argument '{name}' has dtype {kind}, expected {wanted}")
    return KINDS[kind.kind], kind.itemsize * 8


def has_plain_strides(array: np.ndarray) -> bool:
    """Whether strides are as the runtime takes them: whole elements, none negative, aligned data."""
    return array.flags.aligned and all(
        extent < 2 or (step >= 0 and step % array.itemsize == 0) for extent, step in zip(array.shape, array.strides)
    )


def of_array(array: np.ndarray, wanted: str, name: str) -> View:
    """A NumPy array, sharing its memory; its strides must be plain and its bytes in this machine's order."""
    code, bits = element_of(array, wanted, name)
    size = array.itemsize
    strides = tuple([step // size if extent > 1 else 0 for extent, step in zip(array.shape, array.strides)])
    return View(array.__array_interface__["data"][0], code, bits, array.shape, strides, array)


class Place(NamedTuple):
    """Where arguments must be: DLPack's kind and number of a device, and of a CUDA device the stream that uses them."""

    kind: int = abi.CPU
    number: int = 0
    stream: int = 0  # the address of a CUstream; 0 is the legacy default stream

    def check(self, kind: int, number: int, name: str) -> None:
        """Error where an argument is elsewhere."""
        # There is one CPU, whatever its number.
        if kind != self.kind or (kind != abi.CPU and number != self.number):
            found = "in the CPU's memory" if kind == abi.CPU else f"on {name_of(kind)} {number}"
            wanted = "the CPU" if self.kind == abi.CPU else f"{name_of(self.kind)} {self.number}"
            raise Error(Status.INVALID_ARGUMENT, f"argument '{name}' is {found}, expected {wanted}")


CPU = Place()


def name_of(kind: int) -> str:
    return abi.DEVICES.get(kind, f"a device of kind {kind}")


def of_dlpack(value: Any, name: str, writes: bool = False, place: Place = CPU) -> View:
    """Something with __dlpack__, sharing its memory. Its library makes what it wrote there visible to the place's stream."""
    place.check(*map(int, value.__dlpack_device__()), name)
    # DLPack's name of the legacy default stream is 1.
    streams = {} if place.kind == abi.CPU else {"stream": place.stream or 1}
    # PyTorch lends a tensor whose numbers are still to be negated as if they were not.
    if getattr(value, "is_neg", bool)():
        if writes:
            raise Error(Status.INVALID_ARGUMENT, f"output '{name}' is a negative view, expected plain memory")
        value = value.resolve_neg()
    try:
        try:
            capsule = value.__dlpack__(max_version=(1, 0), **streams)
        except TypeError:  # of before DLPack 1.0
            capsule = value.__dlpack__(**streams)
    except (BufferError, NotImplementedError) as error:
        raise Error(Status.INVALID_ARGUMENT, f"argument '{name}' cannot be read in place: {error}") from None
    pointer, is_valid = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_IsValid
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    is_valid.restype, is_valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
    if is_valid(capsule, b"dltensor_versioned"):
        managed = abi.VersionedTensor.from_address(pointer(capsule, b"dltensor_versioned"))
        tensor, read_only = managed.tensor, bool(managed.flags & abi.READ_ONLY)
    else:
        # On the CPU, what cannot say that it may not be written to is not; device memory has no such thing.
        tensor, read_only = abi.Tensor.from_address(pointer(capsule, b"dltensor")), place.kind == abi.CPU
    if writes and read_only:
        raise Error(Status.INVALID_ARGUMENT, f"output '{name}' cannot be written to")
    rank, dtype = tensor.ndim, tensor.dtype
    strides = tuple(tensor.strides[:rank]) if tensor.strides else None
    address = (tensor.data or 0) + tensor.byte_offset
    return View(address, dtype.code, dtype.bits, tuple(tensor.shape[:rank]), strides, (value, capsule), dtype.lanes)


def on_device(value: Any, name: str, place: Place, writes: bool = False) -> View:
    """An input or output on a device that is not the CPU: nothing is copied there unasked."""
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return of_dlpack(value, name, writes, place)
    place.check(abi.CPU, 0, name)
    raise AssertionError("a place on the CPU")


def of_input(value: Any, wanted: str, name: str) -> View:
    """An input. Masked arrays are refused. Arrays keep their type (the runtime refuses a wrong one), lists and numbers take the one that is wanted.
    Copied: negative or odd strides, data that is not aligned, bytes of another order."""
    if not isinstance(value, np.ndarray):
        if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
            return of_dlpack(value, name)
        if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
            value = np.asarray(value)
        else:
            value = np.asarray(value, ELEMENTS[wanted][2] if wanted != "bfloat16" else None)
    if isinstance(value, np.ma.MaskedArray):
        raise Error(
            Status.INVALID_ARGUMENT, f"argument '{name}' is a masked array, expected a plain one: call x.filled(number)"
        )
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if not has_plain_strides(value):
        value = np.array(value, order="C", copy=True, subok=False)
    return of_array(value, wanted, name)


def of_output(value: Any, wanted: str, name: str) -> View:
    """An output that the caller allocated; written in place or refused."""
    if not isinstance(value, np.ndarray):
        if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
            return of_dlpack(value, name, writes=True)
        raise Error(
            Status.INVALID_ARGUMENT,
            f"output '{name}' is a {type(value).__name__}, expected an array that can be written to",
        )
    if not value.flags.writeable:
        raise Error(Status.INVALID_ARGUMENT, f"output '{name}' cannot be written to")
    if not value.dtype.isnative or not has_plain_strides(value):
        raise Error(
            Status.INVALID_ARGUMENT,
            f"output '{name}' has negative or odd strides, or bytes of another order: pass a plain array",
        )
    return of_array(value, wanted, name)
