"""Artifacts on CUDA devices, in the emulator: arrays by DLPack, streams, devices, and what is refused. No PyTorch is needed.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

MOERT_CUDA_DRIVER=libcuda.so.1 runs the same on a GPU, but for what needs a second device.
"""

import copy
import ctypes
import gc
import os
import pathlib
import pickle
import subprocess
import sys
import weakref

import moec
import numpy as np
import pytest
from moec import abi, device, tensors

# Where a GPU was asked for (conftest.py).
IS_REAL = "emulated" not in os.environ["MOERT_CUDA_DRIVER"]
X = np.linspace(-1, 1, 5 * 16, dtype=np.float32).reshape(5, 16)


@pytest.fixture(scope="module")
def expected(small_layers):
    return moec.load(small_layers["cpu"]).layer("layer0")(X)


@pytest.fixture(scope="module")
def artifact(small_layers):
    return moec.load(small_layers["cuda"], device="cuda:0")


def near(found, expected):
    return np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


class Lent:
    """An array on a device as another library lends it: what it was asked for is kept."""

    def __init__(self, array, number=None):
        self.array, self.number, self.asked = array, number, []

    def __dlpack_device__(self):
        kind, number = self.array.__dlpack_device__()
        return kind, number if self.number is None else self.number

    def __dlpack__(self, **options):
        self.asked.append(options)
        return self.array.__dlpack__()


@pytest.mark.parametrize("where", [None, "cuda", "cuda:0"])
def test_layers_run_on_a_device(small_layers, expected, where):
    artifact = moec.load(small_layers["cuda"], device=where)
    assert str(artifact.device) == "cuda:0"
    y = artifact.layer("layer0")(artifact.array(X))
    assert isinstance(y, moec.Array) and (y.shape, y.dtype) == ((5, 16), "float32")
    assert repr(y) == "<moec Array float32 [5, 16] on cuda:0>"
    assert near(y.numpy(), expected)


def test_arrays_of_others_are_used_in_place(artifact, expected):
    x, y = Lent(artifact.array(X)), Lent(artifact.array(np.zeros_like(X)))
    assert artifact.layer("layer0")(x, out=y) is y
    assert near(y.array.numpy(), expected)
    # Their library is told which stream uses them.
    for lent in (x, y):
        assert lent.asked == [{"max_version": (1, 0), "stream": artifact.device.stream or 1}]


@pytest.fixture
def stream():
    """A stream of another library, and the driver."""
    driver = ctypes.CDLL(os.environ["MOERT_CUDA_DRIVER"])
    found, context = ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuInit(0) == 0 and driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert driver.cuCtxPushCurrent_v2(context) == 0 and driver.cuStreamCreate(ctypes.byref(found), 0) == 0
    yield found, driver
    assert driver.cuStreamDestroy_v2(found) == 0 and driver.cuCtxPopCurrent_v2(ctypes.byref(context)) == 0
    assert driver.cuDevicePrimaryCtxRelease_v2(0) == 0


def test_calls_go_into_the_callers_stream(artifact, expected, stream):
    stream, driver = stream
    layer, x, zeros = artifact.layer("layer0"), Lent(artifact.array(X)), np.zeros_like(X)
    layer(x, out=artifact.array(zeros), stream=stream.value)
    y = artifact.array(zeros)
    # While the stream is captured, what is put into it does not run; what went elsewhere would.
    graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuStreamBeginCapture_v2(stream, 2) == 0
    layer(x, out=y, stream=stream.value)
    assert driver.cuStreamEndCapture(stream, ctypes.byref(graph)) == 0
    assert np.array_equal(y.numpy(), zeros)
    assert driver.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)) == 0
    assert driver.cuGraphLaunch(executable, stream) == 0 and driver.cuStreamSynchronize(stream) == 0
    assert near(y.numpy(), expected)
    assert driver.cuGraphExecDestroy(executable) == 0 and driver.cuGraphDestroy(graph) == 0
    # 0, the legacy default stream, is 1 to DLPack.
    y = artifact.array(zeros)
    layer(x, out=y, stream=0)
    assert driver.cuStreamSynchronize(None) == 0
    assert near(y.numpy(), expected)
    assert [asked["stream"] for asked in x.asked] == [stream.value, stream.value, 1]


def test_tokens_vary_and_workspaces_grow(artifact, small_layers):
    on_cpu, layer = moec.load(small_layers["cpu"]).layer("layer0"), artifact.layer("layer0")
    for tokens in (1, 40, 3, 0):
        x = np.resize(X, (tokens, 16))
        assert near(layer(artifact.array(x)).numpy(), on_cpu(x)) if tokens else layer(artifact.array(x)).shape == (0, 16)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "bool", "float64"])
def test_arrays_come_back_as_they_went(artifact, dtype):
    values = np.arange(6).reshape(2, 3).astype(tensors.ELEMENTS[dtype][2])
    array = artifact.array(values, dtype)
    found = array.numpy()
    assert (found.dtype, array.dtype) == (values.dtype, dtype) and np.array_equal(found, values)


def test_capsules_keep_arrays_until_they_are_given_back(artifact):
    before = len(device._lent)
    array = artifact.array(X)
    view = tensors.of_dlpack(array, "x", place=tensors.Place(abi.CUDA, 0))
    assert (view.address, view.shape, view.strides) == (array.address, (5, 16), None)
    assert len(device._lent) == before + 1
    del view
    gc.collect()
    assert len(device._lent) == before


@pytest.mark.parametrize("where", ["gpu", "cuda:x", "cuda:-1", "", "cuda:0:0"])
def test_what_is_no_device(small_layers, where):
    with pytest.raises(moec.Error, match=f"^expected a device such as cpu or cuda:0, found '{where}'$") as found:
        moec.load(small_layers["cuda"], device=where)
    assert found.value.status == moec.Status.INVALID_ARGUMENT


def test_devices_that_are_not_there_and_of_another_kind(small_layers):
    with pytest.raises(moec.Error, match="needs CUDA device 7, found") as found:
        moec.load(small_layers["cuda"], device="cuda:7")
    assert found.value.status == moec.Status.NOT_FOUND
    for kind, other in (("cuda", "cpu"), ("cpu", "cuda:0")):
        with pytest.raises(moec.Error) as found:
            moec.load(small_layers[kind], device=other)
        assert found.value.status == moec.Status.INCOMPATIBLE


def test_arguments_that_are_elsewhere(artifact):
    layer, x = artifact.layer("layer0"), artifact.array(X)
    with pytest.raises(moec.Error, match="^argument 'arg0' is in the CPU's memory, expected CUDA 0$") as found:
        layer(X)
    assert found.value.status == moec.Status.INVALID_ARGUMENT
    with pytest.raises(moec.Error, match="^argument 'result0' is in the CPU's memory, expected CUDA 0$"):
        layer(x, out=np.zeros_like(X))
    with pytest.raises(moec.Error, match="^argument 'arg0' is on CUDA 1, expected CUDA 0$"):
        layer(Lent(x, number=1))
    with pytest.raises(moec.Error, match="has shape.1. = 15, expected 16"):
        layer(artifact.array(X[:, :15]), out=x)


def test_arrays_on_a_device_are_not_the_cpus(artifact, small_layers):
    layer = moec.load(small_layers["cpu"]).layer("layer0")
    with pytest.raises(moec.Error, match="^argument 'arg0' is on CUDA 0, expected the CPU$"):
        layer(artifact.array(X))
    with pytest.raises(moec.Error, match="runs on the CPU, expected no stream, found 5"):
        layer(X, stream=5)


def test_arrays_of_types_that_there_are_not(artifact):
    with pytest.raises(moec.Error, match="expected an array of float64, .*, found complex64"):
        artifact.array(np.zeros(3, np.complex64))
    with pytest.raises(moec.Error, match="found float32"):
        artifact.array(X, "bfloat16")


def test_artifacts_close_with_their_workspaces(small_layers):
    artifact = moec.load(small_layers["cuda"])
    y = artifact.layer("layer0")(artifact.array(X))
    model = weakref.ref(artifact._model)
    del artifact
    gc.collect()
    assert model() is not None and y.numpy().shape == X.shape
    del y
    gc.collect()
    assert model() is None


def test_copies_are_on_the_same_device(artifact, expected):
    again = pickle.loads(pickle.dumps(artifact))
    assert str(again.device) == "cuda:0"
    assert near(again.layer("layer0")(again.array(X)).numpy(), expected)
    assert copy.deepcopy(artifact) is artifact


SECOND = """
import sys
import moec
import numpy as np
first, second = (moec.load(sys.argv[1], device=f"cuda:{number}") for number in (0, 1))
print(second.device)
x = second.array(np.zeros((5, 16), np.float32))
print(x)
try:
    first.layer("layer0")(x)
except moec.Error as error:
    print(error)
"""


@pytest.mark.skipif(IS_REAL, reason="needs two devices, as the emulator can have")
def test_arrays_of_another_device_are_refused(small_layers):
    # The emulator's devices have one memory, so that none but the first can tell that a workspace is its own.
    command = [sys.executable, "-c", SECOND, small_layers["cuda"]]
    root = pathlib.Path(moec.__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "MOEC_EMULATOR_DEVICES": "2"}
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [
        "cuda:1",
        "<moec Array float32 [5, 16] on cuda:1>",
        "argument 'arg0' is on CUDA 1, expected CUDA 0",
    ]
