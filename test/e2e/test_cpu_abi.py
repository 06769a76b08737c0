"""What CPU kernels do with arguments as hosts hand them in: strides, special numbers, threads, forks, and what they refuse.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

One layer, whose matrices have a shared base with residuals, groups of int8 and int4; every variant of it that this machine runs.
"""

import ctypes
import os
import re
import subprocess
import threading

import numpy as np
import pytest

import artifact
from program import binary, tool

WIDTH, INNER, EXPERTS, K = 40, 24, 6, 2
MODULE = """
!x = tensor<?x40xf32>
!ids = tensor<?x2x!moe.id<expert[6]>>
!p = tensor<?x2xf32>
!base = !moe.weight<40x24xf32, cluster[2]>
!a = !moe.weight<40x4xf32, expert[6]>
!b = !moe.weight<4x24xf32, expert[6]>
!w = !moe.weight<40x24xf32, expert[6]>
!d = !moe.weight<24x40xf32, expert[6]>
!t = !moe.table<expert[6] -> cluster[2]>
moe.param private @t : !t = dense<[0, 1, 0, 1, 1, 0]> : tensor<6xi32>
moe.param private @gate : !base = #moe.seeded<1 scale 0.2> encoding <f16>
moe.param private @gate_a : !a = #moe.seeded<2 scale 0.2> encoding <bf16>
moe.param private @gate_b : !b = #moe.seeded<3 scale 0.2>
moe.param private @up : !w = #moe.seeded<4 scale 0.2> encoding <int8 group 8>
moe.param private @down : !d = #moe.seeded<5 scale 0.2> encoding <int4 group 8 zero_point>
func.func @layer(%x: !x, %choices: tensor<?x2xi32>, %p: !p) -> !x {
  %ids = moe.id_cast %choices : tensor<?x2xi32> to !ids
  %t = moe.leaf @t : !t
  %base = moe.leaf @gate : !base
  %a = moe.leaf @gate_a : !a
  %b = moe.leaf @gate_b : !b
  %up = moe.leaf @up : !w
  %down = moe.leaf @down : !d
  %s = moe.weight.select %base by %t : !base, !t
  %m = moe.weight.mul %a, %b : !a, !b
  %gate = moe.weight.add %s, %m : !w, !w
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu> : (!x, !ids, !p, !w, !w, !d) -> !x
  return %y : !x
}
"""


class Binding(ctypes.Structure):
    """moert_layer_binding."""

    _fields_ = [("size", ctypes.c_uint32), ("count", ctypes.c_int32), ("tensors", ctypes.POINTER(ctypes.POINTER(artifact.Tensor))),
                ("epoch", ctypes.c_uint64)]


RUNTIME = ctypes.CDLL(os.path.join(os.path.dirname(binary("moe-run")), "..", "lib", "libmoert.so"))
HANDLE = ctypes.POINTER(ctypes.c_void_p)


def made(name, *arguments):
    """The handle that a function of the runtime makes."""
    handle = ctypes.c_void_p()
    assert getattr(RUNTIME, name)(*arguments, ctypes.byref(handle)) == artifact.OK, name
    return handle


class Layer:
    """An artifact, and the binding of its layer."""

    def __init__(self, folder, width=WIDTH):
        self.folder, self.width = folder, width
        self.code = artifact.Artifact(folder)
        self.model = made("moert_model_open", os.fsencode(folder), None)
        self.layer = made("moert_model_find_layer", self.model, b"layer", None)
        self.binding = ctypes.cast(made("moert_layer_acquire", self.layer), ctypes.POINTER(Binding)).contents
        self.bound = [a["name"] for a in self.code.manifest["entries"][0]["arguments"] if a["role"] == "binding"]

    def call(self, views, isa=None, executor=None, binding=None, **more):
        call = artifact.Call(binding=ctypes.addressof(binding or self.binding), executor=executor, isa=isa)
        self.code.call_views("block0", views, call=call, **more)

    def run(self, inputs, isa=None, executor=None):
        y = np.full((len(inputs[0]), self.width), 77, inputs[0].dtype)
        self.call([artifact.view(v) for v in inputs] + [artifact.view(y)], isa, executor)
        return y

    def workspace_bytes(self, views, isa):
        return self.code.workspace_bytes("block0", views, artifact.Call(binding=ctypes.addressof(self.binding), isa=isa))

    def spoiled(self, name, **fields):
        """The binding with fields of one tensor changed."""
        tensors = [self.binding.tensors[i].contents for i in range(self.binding.count)]
        place = self.bound.index(name)
        tensors[place] = artifact.changed(tensors[place], **fields)
        pointers = (ctypes.POINTER(artifact.Tensor) * len(tensors))(*map(ctypes.pointer, tensors))
        binding = Binding(ctypes.sizeof(Binding), len(tensors), pointers, 1)
        binding.owner = tensors, pointers
        return binding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpu")
    (folder / "layer.mlir").write_text(MODULE)
    said = tool("moe-compile", folder / "layer.mlir", "--optimize", "--separate-weights", "--report=-", "-o", folder / "kernels")
    assert "8 operations become kernels" in said and "is lowered plainly" not in said
    tool("moe-compile", folder / "layer.mlir", "--optimize", "--separate-weights", "--pipeline=reference", "-o", folder / "reference")
    return folder


@pytest.fixture(scope="module")
def kernels(folder):
    return Layer(folder / "kernels")


@pytest.fixture(scope="module")
def reference(folder):
    return Layer(folder / "reference")


@pytest.fixture(params=["portable", "x86-64-v3", "x86-64-v4"])
def isa(request, kernels):
    try:
        kernels.run(inputs_of(1), request.param.encode())
    except artifact.ArtifactError as error:
        if error.status != artifact.INCOMPATIBLE:
            raise
        pytest.skip(error.message)
    return request.param.encode()


def inputs_of(tokens, seed=0, width=WIDTH):
    """x, choices and gates of so many tokens; one choice in six is none."""
    random = np.random.default_rng([tokens, seed])
    ids = np.array([random.permutation(EXPERTS)[:K] for _ in range(tokens)], np.int32).reshape(tokens, K)
    ids[random.random(ids.shape) < 1 / 6] = -1
    return [random.standard_normal((tokens, width)).astype(np.float32), ids, random.random((tokens, K)).astype(np.float32)]


# ------------------------------------------------------------------------------------------------------------- layouts


def wide(values):
    room = np.full((len(values), values.shape[1] + 5), 99, values.dtype)
    room[:, 3 : 3 + values.shape[1]] = values
    return room[:, 3 : 3 + values.shape[1]]


def transposed(values):
    return np.asfortranarray(values)


def sparse(values):
    room = np.full((2 * len(values), 3 * values.shape[1]), 99, values.dtype)
    room[::2, ::3] = values
    return room[::2, ::3]


def repeated(values):
    return np.broadcast_to(values[:1], values.shape)


@pytest.mark.parametrize("form", [wide, transposed, sparse, repeated], ids=lambda form: form.__name__)
@pytest.mark.parametrize("tokens", [1, 2, 7, 100])
def test_strides_change_no_bit(kernels, isa, form, tokens):
    for place in (0, 1, 2, None):
        given = [form(v) if place in (i, None) else v for i, v in enumerate(inputs_of(tokens))]
        expected = kernels.run([np.ascontiguousarray(v) for v in given], isa)
        assert kernels.run(given, isa).tobytes() == expected.tobytes(), place
        if form is repeated:
            continue
        y = form(np.zeros((tokens, WIDTH), np.float32))
        kernels.call([artifact.view(v) for v in given] + [artifact.view(y)], isa)
        assert np.ascontiguousarray(y).tobytes() == expected.tobytes()
        if y.base is not None and y.base.dtype == np.float32 and y.base.size > y.size:
            assert (y.base == 99).sum() == y.base.size - y.size, "what is beside the result stays"


# ------------------------------------------------------------------------------------------------------ what is refused


def refused(kernels, isa, status, pattern, views, **more):
    with pytest.raises(artifact.ArtifactError) as error:
        kernels.call(views, isa, **more)
    assert error.value.status == status and re.search(pattern, error.value.message), str(error.value)


@pytest.fixture
def views():
    return [artifact.view(v) for v in inputs_of(7)] + [artifact.view(np.zeros((7, WIDTH), np.float32))]


@pytest.mark.parametrize("place,name", [(0, "arg0"), (1, "arg1"), (2, "arg2"), (3, "result0")])
def test_misaligned_data(kernels, isa, views, place, name):
    views[place] = artifact.changed(views[place], byte_offset=2)
    refused(kernels, isa, artifact.INVALID_ARGUMENT, rf"'{name}' has data at 0x\w+, expected alignment to 4 bytes", views)


def test_wrong_type(kernels, isa, views):
    views[0] = artifact.changed(views[0], dtype=artifact.DataType(artifact.FLOAT, 16, 1))
    refused(kernels, isa, artifact.INVALID_ARGUMENT, "'arg0' has dtype float16, expected float32", views)


@pytest.mark.parametrize("pipeline", ["kernels", "reference"])
@pytest.mark.parametrize("place,name", [(0, "arg0"), (1, "arg1"), (2, "arg2"), (3, "result0")])
@pytest.mark.parametrize("tokens", [0, 6, 8])
def test_another_number_of_tokens(request, pipeline, views, place, name, tokens):
    """Rows of x, ids, gates and the result are one extent: the argument that differs is named, and the one it differs from."""
    views[place] = artifact.view(np.zeros((tokens, views[place].shape[1]), np.int32 if name == "arg1" else np.float32))
    differs, found, expected = (f"{place} '{name}'", tokens, 7) if place else ("1 'arg1'", 7, tokens)
    refused(request.getfixturevalue(pipeline), None, artifact.INVALID_ARGUMENT,
            rf"argument {differs} has shape\[0\] = {found}, expected {expected}, as shape\[0\] of argument 0 'arg0'", views)


@pytest.mark.parametrize("name,shape", [("gate", [2, 2, 40, 16]), ("gate_a", [6, 1, 40, 16]), ("gate_b", [6, 2, 4, 16]), ("up", [6, 2, 40, 16]),
                                        ("up.scales", [6, 2, 5, 16]), ("down", [6, 3, 12, 16]), ("down.zero_points", [6, 3, 3, 16])])
def test_panels_that_are_not_one_run(kernels, isa, views, name, shape):
    compact = [int(np.prod(shape[axis + 1:])) for axis in range(4)]
    kernels.call(views, isa, binding=kernels.spoiled(name, strides=compact))
    for axis in range(3):
        if shape[axis] == 1:
            continue
        strides = [s + 16 if i <= axis else s for i, s in enumerate(compact)]
        refused(kernels, isa, artifact.INVALID_ARGUMENT, rf"'{re.escape(name)}' has stride\[{axis}\] = {strides[axis]}, expected {compact[axis]}: "
                "kernels read it as one run of elements", views, binding=kernels.spoiled(name, strides=strides))


def test_binding_of_another_type_or_place(kernels, isa, views):
    refused(kernels, isa, artifact.INVALID_ARGUMENT, "'gate' has dtype bfloat16, expected float16", views,
            binding=kernels.spoiled("gate", dtype=artifact.DataType(artifact.BFLOAT, 16, 1)))
    refused(kernels, isa, artifact.INVALID_ARGUMENT, "'gate' has data at .*expected alignment to 2 bytes", views,
            binding=kernels.spoiled("gate", byte_offset=1))
    refused(kernels, isa, artifact.INVALID_ARGUMENT, "'up' has null data", views, binding=kernels.spoiled("up", data=None))


def test_workspace(kernels, isa, views):
    """One byte less is refused, and nothing behind it is written."""
    needed = kernels.workspace_bytes(views, isa)
    refused(kernels, isa, artifact.WORKSPACE_TOO_SMALL, rf"workspace of {needed - 1} bytes, expected at least {needed}", views,
            workspace=artifact.aligned(needed - 1))
    room = artifact.aligned(needed + 4096)
    room[:] = 0xA5
    kernels.call(views, isa, workspace=room[:needed])
    assert (room[needed:] == 0xA5).all()


# ----------------------------------------------------------------------------------------------------- special numbers


def close(got, expected):
    """NaN and infinity at the same places, and the rest within rounding."""
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    infinite = np.isinf(expected)
    assert np.array_equal(np.isinf(got), infinite) and np.array_equal(got[infinite], expected[infinite])
    finite = np.isfinite(expected)
    largest = np.abs(expected[finite]).max(initial=0)
    assert np.abs(got[finite].astype(np.float64) - expected[finite]).max(initial=0) <= 2e-5 * largest + 1e-44


def test_no_tokens(kernels, isa):
    assert kernels.run(inputs_of(0), isa).shape == (0, WIDTH)
    assert kernels.run([np.zeros((0, WIDTH), np.float32), np.zeros((0, K), np.int32), np.zeros((0, K), np.float32)], isa).size == 0


def test_no_choices(kernels, isa):
    """Tokens whose choices are all none get zeros."""
    x, ids, p = inputs_of(9)
    assert (kernels.run([x, np.full_like(ids, -1), p], isa) == 0).all()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("tokens", [1, 3, 50])
def test_a_special_number_stays_in_its_token(kernels, reference, isa, special, tokens):
    x, ids, p = inputs_of(tokens)
    ids[0] = [4, 1]
    plain = kernels.run([x, ids, p], isa)
    for column in (0, 17, WIDTH - 1):
        spoiled = x.copy()
        spoiled[0, column] = special
        got = kernels.run([spoiled, ids, p], isa)
        assert got[1:].tobytes() == plain[1:].tobytes(), "other tokens"
        assert abs(special) == 3e38 or not np.isfinite(got[0]).all()
        close(got, reference.run([spoiled, ids, p]))
    gates = p.copy()
    gates[0, 1] = special
    got = kernels.run([x, ids, gates], isa)
    assert got[1:].tobytes() == plain[1:].tobytes(), "other tokens"
    close(got, reference.run([x, ids, gates]))


def test_denormal_numbers(kernels, reference, isa):
    x, ids, p = inputs_of(20)
    ids[:] = np.where(ids < 0, 0, ids)
    tiny = (p * 1e-39).astype(np.float32)
    got = kernels.run([x, ids, tiny], isa)
    assert ((got != 0) & (np.abs(got) < np.finfo(np.float32).tiny)).any(), "results are denormal, not flushed"
    close(got, reference.run([x, ids, tiny]))
    small = (x * 1e-39).astype(np.float32)
    close(kernels.run([small, ids, p], isa), reference.run([small, ids, p]))


# -------------------------------------------------------------------------------------------------- threads, processes


@pytest.mark.parametrize("tokens", [1, 2, 33, 400])
def test_threads_change_no_bit(kernels, isa, tokens):
    inputs = inputs_of(tokens)
    expected = kernels.run(inputs, isa)
    for threads in (1, 2, 3, 8):
        pool = made("moert_pool_create", threads, None)
        executor = made("moert_pool_executor", pool)
        for _ in range(5):
            assert kernels.run(inputs, isa, executor).tobytes() == expected.tobytes(), threads
        assert RUNTIME.moert_pool_destroy(pool) == artifact.OK


@pytest.mark.parametrize("tokens", [1, 40])
def test_moe_run_with_more_threads_than_work(folder, isa, tmp_path, tokens):
    results = []
    for threads in (1, 2, 3, 8):
        out = tmp_path / f"{threads}"
        tool("moe-run", folder / "kernels", "--tokens", tokens, "--int-range", EXPERTS, "--threads", threads, "--isa", isa.decode(), "--output", out)
        results.append(np.load(out / "result0.npy"))
    assert results[0].shape == (tokens, WIDTH) and results[0].any()
    assert all(r.tobytes() == results[0].tobytes() for r in results)


def test_callers_at_the_same_time(kernels, isa):
    """Each with a workspace of its own; NumPy and ctypes let go of Python's lock in the call."""
    cases = [(inputs_of(3 + 11 * n, n), kernels.run(inputs_of(3 + 11 * n, n), isa).tobytes()) for n in range(8)]
    failures = []

    def work(inputs, expected):
        try:
            for _ in range(30):
                assert kernels.run(inputs, isa).tobytes() == expected
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=case) for case in cases]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures[0]


def test_child_of_a_fork(kernels, isa):
    inputs = inputs_of(30)
    expected = kernels.run(inputs, isa).tobytes()
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = kernels.run(inputs, isa).tobytes() == expected
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kernels.run(inputs, isa).tobytes() == expected


def test_two_artifacts_in_one_process(kernels, reference, isa, folder, tmp_path):
    """Also two of one library: a copy under another name."""
    (tmp_path / "copy").mkdir()
    for path in (folder / "kernels").iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    other = Layer(tmp_path / "copy")
    for tokens in (5, 60):
        inputs = inputs_of(tokens)
        first = kernels.run(inputs, isa)
        close(first, reference.run(inputs))
        assert other.run(inputs, isa).tobytes() == first.tobytes() == kernels.run(inputs, isa).tobytes()


# -------------------------------------------------------------------------------------------------------- f16 and bf16


@pytest.fixture(scope="module", params=["f16", "bf16"])
def narrow(request, tmp_path_factory):
    """The layer whose numbers are of that type, as kernels and plain."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "layer.mlir").write_text(MODULE.replace("f32", request.param))
    options = folder / "layer.mlir", "--optimize", "--separate-weights", "--report=-", "-o"
    assert "is lowered plainly" not in tool("moe-compile", *options, folder / "kernels")
    tool("moe-compile", *options, folder / "reference", "--pipeline=reference")
    return request.param, Layer(folder / "kernels"), Layer(folder / "reference")


def rounded(values, element):
    """Floats as arrays of that type: of bf16 the bits, rounded to nearest even."""
    if element == "f16":
        return values.astype(np.float16)
    bits = values.view(np.uint32).astype(np.uint64)
    return np.where(np.isnan(values), 0x7FC0, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def widened(values, element):
    return values.astype(np.float32) if element == "f16" else (values.astype(np.uint32) << 16).view(np.float32)


def compare_narrow(narrow, x, ids, p, isa):
    """What kernels and the reference give, NaN and infinities at the same places, and the rest within rounding."""
    element, kernels, reference = narrow
    given = [rounded(x, element), ids, rounded(p, element)]
    got, expected = (widened(layer.run(given, isa if layer is kernels else None), element) for layer in (kernels, reference))
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite & ~np.isnan(got)], expected[~finite & ~np.isnan(got)])
    unit = 2.0**-11 if element == "f16" else 2.0**-8
    bound = 6 * unit * np.abs(expected[finite]).max(initial=0) + (2.0**-24 if element == "f16" else 1e-40)
    assert np.abs(got[finite].astype(np.float64) - expected[finite]).max(initial=0) <= bound
    return got


@pytest.mark.parametrize("tokens", [0, 1, 3, 50])
def test_narrow_special_numbers(narrow, isa, tokens):
    x, ids, p = inputs_of(tokens)
    plain = compare_narrow(narrow, x, ids, p, isa)
    for special in (np.nan, np.inf, -np.inf, 60000, 1e-7, -1e-39) if tokens else ():
        ids[0] = [4, 1]
        spoiled = x.copy()
        spoiled[0, 17] = special
        got = compare_narrow(narrow, spoiled, ids, p, isa)
        assert got[1:].tobytes() == plain[1:].tobytes(), "other tokens"
        compare_narrow(narrow, x, ids, np.where(np.arange(len(p))[:, None] == 0, np.float32(special), p), isa)


@pytest.mark.parametrize("form", [wide, transposed, sparse, repeated], ids=lambda form: form.__name__)
def test_narrow_strides_change_no_bit(narrow, isa, form):
    element, kernels, _ = narrow
    x, ids, p = inputs_of(7)
    given = [form(v) for v in (rounded(x, element), ids, rounded(p, element))]
    expected = kernels.run([np.ascontiguousarray(v) for v in given], isa)
    y = sparse(np.zeros((7, WIDTH), given[0].dtype))
    kernels.call([artifact.view(v) for v in given] + [artifact.view(y)], isa)
    assert np.ascontiguousarray(y).tobytes() == expected.tobytes()
    assert (y.base == 99).sum() == y.base.size - y.size, "what is beside the result stays"


# ----------------------------------------------------------------------------------------------------- rounded activations


# Whole tiles of the reduction, which tile registers take.
TILES = re.sub("encoding <.*?>", "encoding <bf16>", MODULE.replace("40", "64").replace("24", "32"))


@pytest.fixture(scope="module", params=["int8", "bf16", "tiles"])
def rounding(request, tmp_path_factory):
    """The layer with rounded rows, as kernels and plain."""
    folder = tmp_path_factory.mktemp(request.param)
    module, width, rows = MODULE.replace("encoding <f16>", "encoding <bf16>"), WIDTH, request.param
    if rows == "tiles":
        module, width, rows = TILES, 64, "bf16"
    (folder / "layer.mlir").write_text(module)
    options = folder / "layer.mlir", "--optimize", "--separate-weights", f"--activations={rows}", "--report=-", "-o"
    assert f"rounded to {rows}" in tool("moe-compile", *options, folder / "kernels")
    tool("moe-compile", *options, folder / "reference", "--pipeline=reference")
    return Layer(folder / "kernels", width), Layer(folder / "reference", width)


@pytest.mark.parametrize("isa", [b"portable", b"x86-64-v3", b"x86-64-v4", b"sapphirerapids"])
@pytest.mark.parametrize("tokens", [0, 1, 3, 50])
def test_rounded_special_numbers(rounding, isa, tokens):
    kernels, reference = rounding
    x, ids, p = inputs_of(tokens, width=kernels.width)
    ids[:1] = [4, 1]
    try:
        plain = kernels.run([x, ids, p], isa)
    except artifact.ArtifactError as error:
        if error.status != artifact.INCOMPATIBLE:
            raise
        pytest.skip(error.message)
    for special in (0, np.nan, np.inf, -np.inf, 1e30, 1e-35) if tokens else ():
        spoiled = x.copy()
        spoiled[0, 17] = special
        if special == 0:
            spoiled[0] = 1e-33
        got, expected = kernels.run([spoiled, ids, p], isa), reference.run([spoiled, ids, p])
        assert got[1:].tobytes() == plain[1:].tobytes(), "other tokens"
        assert np.array_equal(np.isnan(got), np.isnan(expected))
        finite = np.isfinite(expected)
        assert np.array_equal(got[~finite & ~np.isnan(got)], expected[~finite & ~np.isnan(got)])
        largest = np.abs(expected[finite]).max(initial=0)
        assert np.abs(got[finite].astype(np.float64) - expected[finite]).max(initial=0) <= 5e-3 * largest + 1e-37


# What of its registers this thread has in use (XINUSE).
IN_USE = """
unsigned in_use(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return low;
}
"""


def test_tile_registers_are_given_back(rounding, tmp_path):
    """Who calls a kernel has no tiles to save afterwards, and kernels have them anew in each call, on each thread."""
    kernels, _ = rounding
    x, ids, p = inputs_of(50, width=kernels.width)
    try:
        expected = kernels.run([x, ids, p], b"sapphirerapids")
    except artifact.ArtifactError as error:
        if error.status != artifact.INCOMPATIBLE:
            raise
        pytest.skip(error.message)
    (tmp_path / "in_use.c").write_text(IN_USE)
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "in_use.c", "-o", tmp_path / "in_use.so"], check=True)
    in_use, found = ctypes.CDLL(str(tmp_path / "in_use.so")).in_use, []

    def run():
        same = kernels.run([x, ids, p], b"sapphirerapids").tobytes() == expected.tobytes()
        found.append((same, in_use() >> 17 & 3))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(True, 0)] * 4
