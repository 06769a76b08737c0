"""Loads a compiled artifact (library.so and manifest.json) and calls its functions on NumPy arrays, by ctypes alone.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Structures and status codes are those of runtime/include/moert/abi.h and dlpack.h. bfloat16 is a uint16 array of bit
patterns: numpy_weights.bf16_bits and from_bf16_bits convert.
"""

import ctypes
import json
import pathlib
from dataclasses import dataclass

import numpy as np

ABI_VERSION = 0 << 16 | 6
OK, INVALID_ARGUMENT, WORKSPACE_TOO_SMALL, INCOMPATIBLE, NOT_FOUND, IO_ERROR, OUT_OF_MEMORY, INTERNAL = range(8)
STATUS_NAMES = ["ok", "invalid argument", "workspace too small", "incompatible", "not found", "I/O error", "out of memory",
                "internal"]
CPU, CUDA, CUDA_HOST = 1, 2, 3
INT, UINT, FLOAT, BFLOAT, BOOL = 0, 1, 2, 4, 6

# element -> (NumPy storage, DLPack code, bits, name in the manifest)
ELEMENTS = {
    "f64": (np.float64, FLOAT, 64, "float64"), "f32": (np.float32, FLOAT, 32, "float32"),
    "f16": (np.float16, FLOAT, 16, "float16"), "bf16": (np.uint16, BFLOAT, 16, "bfloat16"),
    "i64": (np.int64, INT, 64, "int64"), "i32": (np.int32, INT, 32, "int32"), "i8": (np.int8, INT, 8, "int8"),
    "i1": (np.bool_, BOOL, 8, "bool"),
}
OF_MANIFEST = {name: element for element, (_, _, _, name) in ELEMENTS.items()}


class Device(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [("data", ctypes.c_void_p), ("device", Device), ("ndim", ctypes.c_int32), ("dtype", DataType),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class ErrorSink(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("capacity", ctypes.c_size_t)]


class Call(ctypes.Structure):
    """moert_call."""

    _fields_ = [("size", ctypes.c_uint32), ("abi_version", ctypes.c_uint32), ("stream", ctypes.c_void_p),
                ("workspace", ctypes.c_void_p), ("workspace_bytes", ctypes.c_uint64), ("error", ErrorSink), ("binding", ctypes.c_void_p),
                ("executor", ctypes.c_void_p), ("isa", ctypes.c_char_p)]


class ArtifactError(RuntimeError):
    """A call that did not return MOERT_OK: `status` is the code, the text is the library's message."""

    def __init__(self, status, message):
        super().__init__(f"{STATUS_NAMES[status] if 0 <= status < len(STATUS_NAMES) else status}: {message}")
        self.status = status
        self.message = message


@dataclass
class Argument:
    """One argument of a function, as the manifest states it; extents below zero are as in moert_argument."""

    name: str
    element: str
    shape: list
    is_output: bool


def view(array, element=None):
    """A DLTensor of a NumPy array, sharing its memory; uint16 arrays are bfloat16."""
    if element is None:
        element = next(name for name, row in ELEMENTS.items() if row[0] == array.dtype)
    _, code, bits, _ = ELEMENTS[element]
    tensor = Tensor()
    tensor.data = array.ctypes.data
    tensor.device = Device(CPU, 0)
    tensor.ndim = array.ndim
    tensor.dtype = DataType(code, bits, 1)
    extents, strides = (ctypes.c_int64 * array.ndim)(*array.shape), (ctypes.c_int64 * array.ndim)()
    for axis in range(array.ndim):
        strides[axis] = array.strides[axis] // array.itemsize
    tensor.shape = ctypes.cast(extents, ctypes.POINTER(ctypes.c_int64))
    tensor.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))
    tensor.owner = array, extents, strides  # keeps the memory alive
    return tensor


def changed(view, **fields):
    """A copy of a view with fields of DLTensor changed; shape and strides as lists."""
    copy = Tensor.from_buffer_copy(view)
    copy.owner = [view]
    for name, value in fields.items():
        if isinstance(value, list):
            value = (ctypes.c_int64 * len(value))(*value)
            copy.owner.append(value)
            value = ctypes.cast(value, ctypes.POINTER(ctypes.c_int64))
        setattr(copy, name, value)
    return copy


def aligned(size, alignment=64):
    """An uint8 array of `size` bytes at an aligned address."""
    room = np.empty(size + alignment, np.uint8)
    start = -room.ctypes.data % alignment
    return room[start : start + size]


class Artifact:
    """A loaded artifact directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.library = ctypes.CDLL(str(self.directory / "library.so"))
        self.library.moec_manifest.restype = ctypes.c_char_p
        self.library.moec_abi_version.restype = ctypes.c_uint32
        version = self.library.moec_abi_version()
        if version >> 16 != ABI_VERSION >> 16 or version > ABI_VERSION:
            raise ArtifactError(INCOMPATIBLE, f"library has ABI {version >> 16}.{version & 0xFFFF}, this loader knows "
                                              f"{ABI_VERSION >> 16}.{ABI_VERSION & 0xFFFF}")
        self.manifest = json.loads((self.directory / "manifest.json").read_text())
        inside = json.loads(self.library.moec_manifest().decode())
        if inside != self.manifest:
            raise ArtifactError(INCOMPATIBLE, "manifest.json is not the manifest of library.so: "
                                              + first_difference(self.manifest, inside))
        self.functions = {entry["name"]: arguments_of(entry) for entry in self.manifest["entries"]}

    def entry(self, name, suffix=""):
        function = getattr(self.library, f"moec_{name}{suffix}")
        function.restype = ctypes.c_int32
        return function

    def workspace_bytes(self, name, views, call=None):
        """What the workspace query answers for these arguments."""
        bytes_needed = ctypes.c_uint64()
        self.invoke(self.entry(name, "_workspace"), views, call or Call(), ctypes.byref(bytes_needed))
        return bytes_needed.value

    def call_views(self, name, views, workspace=None, call=None):
        """Calls a function on DLTensors; the workspace is what the query asks for unless one is given."""
        call = call or Call()
        if workspace is None:
            workspace = aligned(self.workspace_bytes(name, views, call))
        call.workspace = workspace.ctypes.data
        call.workspace_bytes = workspace.size
        self.invoke(self.entry(name), views, call)

    def invoke(self, function, views, call, *more):
        """One call through the ABI; raises ArtifactError with the library's message."""
        text = ctypes.create_string_buffer(1024)
        call.size = call.size or ctypes.sizeof(Call)
        call.abi_version = call.abi_version or ABI_VERSION
        call.error = ErrorSink(ctypes.cast(text, ctypes.c_char_p), len(text))
        pointers = (ctypes.POINTER(Tensor) * len(views))(*[ctypes.pointer(v) if v is not None else None for v in views])
        status = function(ctypes.byref(call), pointers, ctypes.c_int32(len(views)), *more)
        if status != OK:
            raise ArtifactError(status, text.value.decode())

    def __call__(self, name, *inputs, shapes=None):
        """Calls a function on arrays, allocates its results and returns them as a list.

        Extents that differ from call to call are taken from the inputs; `shapes` gives whole result shapes where they
        are not there."""
        arguments = self.functions[name]
        takes = [a for a in arguments if not a.is_output]
        if len(takes) != len(inputs):
            raise TypeError(f"{name} takes {len(takes)} inputs, {len(inputs)} given")
        extents = {}
        for argument, array in zip(takes, inputs):
            for extent, size in zip(argument.shape, np.shape(array)):
                if extent < -1:
                    extents[extent] = size
        arrays = []
        given = iter(inputs)
        wanted = iter(shapes or [])
        for argument in arguments:
            kind = ELEMENTS[argument.element][0]
            if not argument.is_output:
                arrays.append(np.asarray(next(given), kind, order="C"))
                continue
            shape = next(wanted, None) or [extents.get(extent, extent) for extent in argument.shape]
            # A poisoned result shows what a function forgets to write.
            arrays.append(np.full(shape, 77, kind) if kind != np.uint16 else np.full(shape, 0x429A, kind))
        self.call_views(name, [view(a, argument.element) for a, argument in zip(arrays, arguments)])
        return [array for array, argument in zip(arrays, arguments) if argument.is_output]


def arguments_of(entry):
    """The arguments of one function of the manifest."""
    return [Argument(a["name"], OF_MANIFEST[a["dtype"]], a["shape"], a["role"] == "output") for a in entry["arguments"]]


def first_difference(a, b, path=""):
    """Where two JSON values first differ, in words."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if a.get(key) != b.get(key):
                return first_difference(a.get(key), b.get(key), f"{path}.{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (left, right) in enumerate(zip(a, b)):
            if left != right:
                return first_difference(left, right, f"{path}[{i}]")
    return f"{path or 'the whole'} is {json.dumps(a)}, not {json.dumps(b)}"
