"""Entries called by tvm-ffi's convention: through tvm-ffi, in each order of loading, and where it is absent.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import ctypes
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import moec
from moec import tensors
from moec.frame import Frame

HIDDEN = 96


class Value(ctypes.Structure):
    """TVMFFIAny."""

    _fields_ = [("type", ctypes.c_int32), ("reserved", ctypes.c_uint32), ("content", ctypes.c_void_p)]


TENSOR, POINTER, INTEGER = 7, 4, 1


@pytest.fixture
def module(artifact):
    tvm_ffi = pytest.importorskip("tvm_ffi", reason="needs tvm-ffi: make test-torch")
    return tvm_ffi.load_module(str(artifact.path / "library.so"))


def views(*arrays):
    import tvm_ffi

    return [tvm_ffi.from_dlpack(array) for array in arrays]


def called(module, layer, x):
    """What the layer's entry computes when tvm-ffi calls it."""
    y = np.full(x.shape, 77, np.float32)
    needed = module[layer.entry + "_workspace"](*views(x, y), None, layer.binding)
    assert module[layer.entry](*views(x, y, np.empty(needed, np.uint8)), layer.binding) is None
    return y


@pytest.mark.parametrize("tokens", [0, 1, 33])
def test_the_same_numbers(artifact, module, tokens):
    x = np.random.default_rng(tokens).standard_normal((tokens, HIDDEN), np.float32)
    for layer in artifact.layers.values():
        assert np.array_equal(called(module, layer, x), layer(x))


def test_strided_tensors(artifact, module):
    layer = artifact.layer("layer2")
    x = np.asfortranarray(np.random.default_rng(5).standard_normal((9, HIDDEN), np.float32))
    assert np.array_equal(called(module, layer, x), layer(x))


def test_what_is_refused(artifact, module):
    layer = artifact.layer("layer0")
    entry, x = module[layer.entry], np.zeros((3, HIDDEN), np.float32)
    with pytest.raises(ValueError, match="argument 0 'x' has dtype float64, expected float32"):
        entry(*views(x.astype(np.float64), x.copy(), np.empty(1, np.uint8)), layer.binding)
    with pytest.raises(ValueError, match="got a workspace of 0 bytes, expected at least"):
        entry(*views(x, x.copy()), None, layer.binding)
    with pytest.raises(ValueError, match="got no layer binding, expected one of"):
        entry(*views(x, x.copy()))
    with pytest.raises(TypeError, match="got 1 arguments, expected 2 tensors, and up to 3 more: workspace, layer binding, executor"):
        entry(*views(x))
    with pytest.raises(TypeError, match="argument 1 is of tvm-ffi's type 3, expected a tensor"):
        entry(*views(x), 1.5)


def in_a_new_process(function, *arguments):
    """Runs a function of this file where nothing was loaded before; what it prints, and its errors."""
    folders = [pathlib.Path(moec.__file__).parents[1], pathlib.Path(__file__).parent]
    code = f"import test_tvm_ffi; test_tvm_ffi.{function.__name__}(*{arguments!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def raise_an_error(path, artifact_first):
    if artifact_first:
        artifact = moec.load(path)
    import tvm_ffi

    module = tvm_ffi.load_module(path + "/library.so")
    assert not artifact_first or artifact.entries["block0"]
    module.block0(1, 2)


@pytest.mark.parametrize("artifact_first", [False, True])
def test_errors_are_raised_in_each_order_of_loading(artifact, module, artifact_first):
    """An import that was bound before tvm-ffi came is null."""
    done = in_a_new_process(raise_an_error, str(artifact.path), artifact_first)
    assert done.stderr.rstrip().endswith("TypeError: moec_block0: argument 0 is of tvm-ffi's type 1, expected a tensor"), done.stderr


def call_without_tvm_ffi(path):
    layer = moec.load(path).layer("layer3")
    library, found = ctypes.CDLL(path + "/library.so"), Value()
    function, query = (getattr(library, f"__tvm_ffi_{layer.entry}{suffix}") for suffix in ("", "_workspace"))
    x = np.arange(3 * HIDDEN, dtype=np.float32).reshape(3, HIDDEN) / 100
    y, workspace = np.zeros_like(x), np.empty(1 << 20, np.int8)
    frame = Frame(3)
    frame.fill([tensors.of_array(array, str(array.dtype), "") for array in (x, y, workspace)])
    args = [Value(TENSOR, 0, ctypes.addressof(pointer.contents)) for pointer in frame.arguments]
    args = (Value * 4)(*args, Value(POINTER, 0, layer.binding.value))
    assert query(None, args, 4, ctypes.byref(found)) == 0 and found.type == INTEGER and 0 < found.content <= 1 << 20
    assert function(None, args, 4, ctypes.byref(found)) == 0
    assert np.array_equal(y, layer(x))
    assert function(None, args, 1, ctypes.byref(found)) == -1  # too few
    assert function(None, args, 3, ctypes.byref(found)) == -1  # no binding
    print("called")


def test_without_tvm_ffi(artifact):
    """The functions are there and compute; errors are answered by -1."""
    done = in_a_new_process(call_without_tvm_ffi, str(artifact.path))
    assert done.stdout == "called\n", done.stderr


def test_a_binding_outlives_the_artifact(artifact):
    layer = moec.load(artifact.path).layer("layer1")
    first = layer.binding.value
    assert first and layer.binding.value == first
    assert layer.entry == "block0"
