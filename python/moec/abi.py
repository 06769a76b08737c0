"""The runtime's C interface by ctypes: structures, functions and statuses of runtime/include/moert.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import ctypes
import enum
import functools

from moec import home

VERSION = 0 << 16 | 6
MAX_RANK = 8
DYNAMIC = -1
INPUT, OUTPUT, BINDING = 0, 1, 2
INT, UINT, FLOAT, BFLOAT, BOOL = 0, 1, 2, 4, 6
CPU, CUDA = 1, 2
# DLPack's numbers, for messages.
DEVICES = {
    1: "CPU",
    2: "CUDA",
    3: "CUDA host memory",
    4: "OpenCL",
    7: "Vulkan",
    8: "Metal",
    10: "ROCm",
    13: "CUDA managed memory",
}


class Status(enum.IntEnum):
    """Results of the runtime's functions: moert_status_t."""

    OK = 0
    INVALID_ARGUMENT = 1
    WORKSPACE_TOO_SMALL = 2
    INCOMPATIBLE = 3
    NOT_FOUND = 4
    IO_ERROR = 5
    OUT_OF_MEMORY = 6
    INTERNAL = 7
    DEVICE_ERROR = 8
    UNAVAILABLE = 9


class Error(RuntimeError):
    """What the runtime, or this package in front of it, refused.

    `status` is a Status (a plain number for one that this package does not know); `message` and str() are the runtime's text."""

    def __init__(self, status: int, message: str):
        super().__init__(status, message)
        try:
            self.status: int = Status(status)
        except ValueError:
            self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class Device(ctypes.Structure):
    """DLDevice."""

    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class DataType(ctypes.Structure):
    """DLDataType."""

    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("dtype", DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class ManagedTensor(ctypes.Structure):
    """DLManagedTensor; its deleter takes its address."""

    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class VersionedTensor(ctypes.Structure):
    """DLManagedTensorVersioned, for reading."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


READ_ONLY = 1  # of VersionedTensor.flags


class ErrorSink(ctypes.Structure):
    """moert_error_sink."""

    _fields_ = [("text", ctypes.c_void_p), ("capacity", ctypes.c_size_t)]


class Call(ctypes.Structure):
    """moert_call."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("abi_version", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("workspace_bytes", ctypes.c_uint64),
        ("error", ErrorSink),
        ("binding", ctypes.c_void_p),
        ("executor", ctypes.c_void_p),
        ("isa", ctypes.c_char_p),
    ]


class ModelOptions(ctypes.Structure):
    """moert_model_options."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("lookahead", ctypes.c_int32),
        ("memory_budget", ctypes.c_uint64),
        ("eviction", ctypes.c_char_p),
        ("predictor", ctypes.c_char_p),
        ("idle_steps", ctypes.c_uint64),
        ("device", ctypes.POINTER(Device)),
        ("communicator", ctypes.c_void_p),
        ("placement", ctypes.c_char_p),
    ]


class PagingStatistics(ctypes.Structure):
    """moert_paging_statistics."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("hits", ctypes.c_uint64),
        ("late", ctypes.c_uint64),
        ("misses", ctypes.c_uint64),
        ("reads", ctypes.c_uint64),
        ("reads_ahead", ctypes.c_uint64),
        ("wasted", ctypes.c_uint64),
        ("failures", ctypes.c_uint64),
        ("demoted", ctypes.c_uint64),
        ("bytes_read", ctypes.c_uint64),
        ("resident_bytes", ctypes.c_uint64),
        ("slot_bytes", ctypes.c_uint64),
        ("base_bytes", ctypes.c_uint64),
        ("stall_seconds", ctypes.c_double),
        ("read_seconds", ctypes.c_double),
        ("notice", ctypes.c_char_p),
    ]


class ArgumentRecord(ctypes.Structure):
    """moert_argument."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("role", ctypes.c_uint8),
        ("rank", ctypes.c_uint8),
        ("shape", ctypes.c_int64 * MAX_RANK),
        ("contiguous", ctypes.c_uint8),
        ("alignment", ctypes.c_uint32),
    ]


_HANDLE, _TEXT, _OUT = ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)
_SINK, _CALL = ctypes.POINTER(ErrorSink), ctypes.POINTER(Call)
_TENSORS = ctypes.POINTER(ctypes.POINTER(Tensor))
_COUNT, _BYTES = ctypes.POINTER(ctypes.c_int32), ctypes.POINTER(ctypes.c_uint64)
# Parameters of each function that is used; all return a status.
FUNCTIONS = {
    "moert_runtime_abi_version": [ctypes.POINTER(ctypes.c_uint32)],
    "moert_model_open_with": [_TEXT, ctypes.POINTER(ModelOptions), _SINK, _OUT],
    "moert_model_paging_statistics": [_HANDLE, ctypes.POINTER(PagingStatistics)],
    "moert_model_begin_request": [_HANDLE],
    "moert_model_device": [_HANDLE, _OUT],
    "moert_device_identity": [_HANDLE, ctypes.POINTER(Device)],
    "moert_device_stream": [_HANDLE, _OUT],
    "moert_device_allocate": [_HANDLE, ctypes.c_uint64, _SINK, _OUT],
    "moert_device_free": [_HANDLE, _HANDLE],
    "moert_device_write": [_HANDLE, _HANDLE, _HANDLE, ctypes.c_uint64, _SINK],
    "moert_device_read": [_HANDLE, _HANDLE, _HANDLE, ctypes.c_uint64, _SINK],
    "moert_device_synchronize": [_HANDLE, _SINK],
    "moert_model_close": [_HANDLE],
    "moert_model_library": [_HANDLE, _OUT],
    "moert_model_set_threads": [_HANDLE, ctypes.c_int32, _SINK],
    "moert_model_source": [_HANDLE, ctypes.POINTER(_TEXT), ctypes.POINTER(_TEXT)],
    "moert_model_layer_count": [_HANDLE, _COUNT],
    "moert_model_layer_at": [_HANDLE, ctypes.c_int32, _OUT],
    "moert_model_find_layer": [_HANDLE, _TEXT, _SINK, _OUT],
    "moert_layer_name": [_HANDLE, ctypes.POINTER(_TEXT)],
    "moert_layer_entry": [_HANDLE, _OUT],
    "moert_layer_acquire": [_HANDLE, _OUT],
    "moert_layer_release": [_HANDLE, _HANDLE],
    "moert_layer_resident_bytes": [_HANDLE, _BYTES],
    "moert_layer_call": [_HANDLE, _CALL, _TENSORS, ctypes.c_int32],
    "moert_layer_workspace_bytes": [_HANDLE, _CALL, _TENSORS, ctypes.c_int32, _BYTES],
    "moert_library_manifest": [_HANDLE, ctypes.POINTER(_TEXT)],
    "moert_library_entry_count": [_HANDLE, _COUNT],
    "moert_library_entry_at": [_HANDLE, ctypes.c_int32, _OUT],
    "moert_library_find_entry": [_HANDLE, _TEXT, _SINK, _OUT],
    "moert_library_entry_name": [_HANDLE, ctypes.POINTER(_TEXT)],
    "moert_library_argument_count": [_HANDLE, _COUNT],
    "moert_library_argument": [_HANDLE, ctypes.c_int32, ctypes.POINTER(ctypes.POINTER(ArgumentRecord))],
    "moert_library_call": [_HANDLE, _CALL, _TENSORS, ctypes.c_int32],
    "moert_library_workspace_bytes": [_HANDLE, _CALL, _TENSORS, ctypes.c_int32, _BYTES],
}


@functools.lru_cache(maxsize=None)
def runtime() -> ctypes.CDLL:
    """libmoert.so, opened once; calls release Python's lock. Error when there is none, or of a version that does not fit."""
    try:
        path = home.find("lib/libmoert.so", "lib/libmoert.so.0")
        library = ctypes.CDLL(str(path))
    except FileNotFoundError as error:
        raise Error(Status.NOT_FOUND, str(error)) from None
    except OSError as error:
        raise Error(Status.IO_ERROR, f"{path}: cannot load: {error}") from None
    for name, parameters in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise Error(Status.INCOMPATIBLE, f"{path}: expected moec's runtime, found no symbol {name}") from None
        function.restype, function.argtypes = ctypes.c_int32, parameters
    version = ctypes.c_uint32()
    library.moert_runtime_abi_version(ctypes.byref(version))
    if version.value >> 16 != VERSION >> 16 or version.value < VERSION:
        raise Error(
            Status.INCOMPATIBLE,
            f"{path}: runtime of ABI {version.value >> 16}.{version.value & 0xFFFF}, expected "
            f"{VERSION >> 16}.{VERSION & 0xFFFF} of this package or a later minor",
        )
    return library


class Sink:
    """Room for a message; raises what a function put into it."""

    def __init__(self):
        self.buffer = ctypes.create_string_buffer(1024)
        self.record = ErrorSink(ctypes.addressof(self.buffer), len(self.buffer))

    def check(self, status: int, otherwise: str = "") -> None:
        """Raises Error with the message, or `otherwise` where there is none, unless the status is OK."""
        if status != Status.OK:
            text = self.buffer.value.decode(errors="replace")
            raise Error(status, text or otherwise or f"status {status}")
