"""Compiled layers in JAX: a function of each layer that works under jit, vmap and scan.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  f = moec.jax.function(moec.load("artifact"), "layer0")
  y = jax.jit(f)(x)

XLA calls the layer through its typed FFI, version 0.1, on its own buffers: a handler is a C function, here one that ctypes
makes, so that nothing has to be compiled against XLA's headers. jax.pure_callback would do with less, but its arguments are
arrays of JAX, and reading them waits for XLA's threads: with one CPU that hangs.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from typing import Callable

import jax
import jax.numpy as jnp
import numpy as np

from moec import abi, tensors
from moec.abi import Error, Status
from moec.artifact import Artifact, Layer
from moec.family import check_is_block

# xla/ffi/api/c_api.h: the oldest version, which later runtimes take. Its structures only grow at their ends.
MAJOR, MINOR = 0, 1
METADATA = 1  # type of the extension in which XLA asks for the version
INTERNAL = 13  # error code


class Extension(ctypes.Structure):
    """XLA_FFI_Metadata_Extension."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("metadata", ctypes.c_void_p),
    ]


class Version(ctypes.Structure):
    """XLA_FFI_Api_Version."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    ]


class Metadata(ctypes.Structure):
    """XLA_FFI_Metadata, up to what version 0.1 has."""

    _fields_ = [("struct_size", ctypes.c_size_t), ("version", Version), ("traits", ctypes.c_uint32)]


class Buffer(ctypes.Structure):
    """XLA_FFI_Buffer."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("dtype", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
    ]


class Buffers(ctypes.Structure):
    """XLA_FFI_Args and XLA_FFI_Rets."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(ctypes.POINTER(Buffer))),
    ]


class ErrorArguments(ctypes.Structure):
    """XLA_FFI_Error_Create_Args."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("message", ctypes.c_char_p),
        ("code", ctypes.c_int),
    ]


CreateError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(ErrorArguments))


class Interface(ctypes.Structure):
    """XLA_FFI_Api, up to the one function that is used."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("version", Version),
        ("internal", ctypes.c_void_p),
        ("create_error", CreateError),
    ]


class Frame(ctypes.Structure):
    """XLA_FFI_CallFrame, up to its results."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.POINTER(Extension)),
        ("interface", ctypes.POINTER(Interface)),
        ("context", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("arguments", Buffers),
        ("results", Buffers),
    ]


Handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Frame))

_handlers: dict[str, Callable] = {}
_lock = threading.Lock()


def view(buffer: Buffer, width: int) -> tensors.View:
    """A buffer of XLA as rows."""
    rows = math.prod(buffer.dims[: buffer.rank]) // width
    return tensors.View(buffer.data or 0, abi.FLOAT, 32, (rows, width), None, buffer)


def handler(layer: Layer, width: int) -> Callable:
    """The function that XLA calls for a layer."""

    def handle(pointer) -> int | None:
        frame = pointer.contents
        if frame.extension and frame.extension.contents.type == METADATA:
            metadata = Metadata.from_address(frame.extension.contents.metadata)
            metadata.version.major, metadata.version.minor = MAJOR, MINOR
            return None
        try:
            x, y = (view(buffers.buffers[0].contents, width) for buffers in (frame.arguments, frame.results))
            more = [np.empty((x.shape[0], *a.shape[1:]), tensors.ELEMENTS[a.dtype][2]) for a in layer.outputs[1:]]
            views = [tensors.of_output(array, a.dtype, a.name) for array, a in zip(more, layer.outputs[1:])]
            layer.run([x, y, *views])
        except BaseException as error:  # nothing may pass through XLA
            text = f"{layer.name}: {error}".encode()
            asked = ErrorArguments(ctypes.sizeof(ErrorArguments), None, text, INTERNAL)
            return frame.interface.contents.create_error(ctypes.byref(asked))
        return None

    return Handler(handle)


def function(artifact: Artifact, name: str) -> Callable[[jax.Array], jax.Array]:
    """A layer as a function from x [..., hidden] to y of its shape and type, on the CPU. jit, vmap and scan take it.

    float32 is read in place; bfloat16 and float16 are converted to float32, and the result is rounded back. Of a layer that
    was compiled with --instrument y alone is returned. XLA keeps handlers to the end of the process, and so is the artifact
    kept open; artifacts of one identity share them.

    Raises Error: for a layer that is not from one float32 input [tokens, hidden] to an output like it, or not on the CPU; when traced, for
    another type or width; and where derivatives are asked for, as compiled layers have none. What fails when it runs is an
    error of XLA's with the runtime's message."""
    layer = artifact.layer(name)
    width = check_is_block(layer)
    if layer.device.kind != abi.CPU:
        raise Error(Status.INVALID_ARGUMENT, f"{name}: artifact on {layer.device}, expected the CPU: JAX's calls are there")
    target = f"moec_{re.sub(r'[^0-9A-Za-z]', '_', name)}_{artifact.identity}"
    with _lock:
        if target not in _handlers:
            made = handler(layer, width)
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(made), platform="cpu", api_version=1)
            _handlers[target] = made

    @jax.custom_jvp
    def apply(x: jax.Array) -> jax.Array:
        x = jnp.asarray(x)
        if x.dtype not in (jnp.float32, jnp.bfloat16, jnp.float16):
            raise Error(
                Status.INVALID_ARGUMENT, f"{name}: x has dtype {x.dtype}, expected float32, bfloat16 or float16"
            )
        if x.ndim == 0 or x.shape[-1] != width:
            raise Error(Status.INVALID_ARGUMENT, f"{name}: x has shape {list(x.shape)}, expected [..., {width}]")
        # Any leading extents are tokens to the layer, those of vmap too.
        call = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct(x.shape, jnp.float32), vmap_method="broadcast_all")
        return call(x.astype(jnp.float32)).astype(x.dtype)

    @apply.defjvp
    def derivative(primals, tangents):
        raise Error(Status.INVALID_ARGUMENT, f"{name}: compiled layers have no gradients")

    return apply
