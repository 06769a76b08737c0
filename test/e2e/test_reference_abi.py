"""Checks what a compiled artifact refuses: every wrong call is an error that says what is wrong.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import re
import shutil
import threading

import numpy as np
import pytest

import artifact
import moe_numpy as moe
from program import compile_module, module_of, programs

D, F, E, K = 8, 6, 4, 2


def layer(f):
    x, ids, p = f.tokens_of(D), f.ids(f.choices(E, K), f"expert[{E}]"), f.argument(f.floats(f.tokens, K), "f32")
    f.give(f.experts(x, ids, p, f.weight(D, F, f"expert[{E}]"), f.weight(F, D, f"expert[{E}]")))


def two_results(f):
    """A router: two results, one of integers."""
    x = f.tokens_of(E)
    ids, p = moe.route(x.data, score="softmax", choose=moe.Choice("top_k", K))
    kinds = f"tensor<?x{K}x!moe.id<expert[{E}]>>", f"tensor<?x{K}xf32>"
    f.give(*f.ops(f"moe.route {x} score softmax choose <top_k {K}> gates <scores> : ({x.type}) -> ({', '.join(kinds)})",
                  (kinds[0], ids, "id"), (kinds[1], p, "f32")))


def narrow(f):
    x = f.tokens_of(D, "bf16")
    w, kind = f.weight(D, F, element="bf16"), f"tensor<?x{F}xbf16>"
    f.give(f.op(f"moe.apply {x}, {w} : {x.type}, {w.type} -> {kind}", kind, moe.contract(x.data, w.data, "bf16"), "bf16"))


def of_rank_0(f):
    x = f.argument(np.array(1.5, np.float32), "f32", tokens=False)
    f.give(f.op(f"arith.addf {x}, {x} : {x.type}", x.type, np.array(3, np.float32), "f32"), tolerance=0)


def what_it_was_given(f):
    """An argument and a result that is returned twice: results are memory of their own."""
    x = f.tokens_of(D)
    y = f.op(f"arith.negf {x} : {x.type}", x.type, -x.data, "f32")
    f.give(x, y, y, tolerance=0)


def without_results(f):
    f.tokens_of(D)


BUILDERS = [layer, two_results, narrow, of_rank_0, what_it_was_given, without_results]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_module(module_of(programs(BUILDERS)), tmp_path_factory.mktemp("abi"))


@pytest.fixture
def call():
    """Well-formed arguments of @layer: views that a test spoils."""
    f = programs([layer])["layer"]
    return [artifact.view(np.ascontiguousarray(v)) for v in f.inputs] + [artifact.view(np.zeros((f.tokens, D), np.float32))]


def refused(compiled, views, status, pattern, **more):
    with pytest.raises(artifact.ArtifactError) as error:
        compiled.call_views("layer", views, **more)
    assert error.value.status == status and re.search(pattern, error.value.message), str(error.value)


# ------------------------------------------------------------------------------------------------------ what it exports


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_well_formed_calls_work(compiled, build):
    programs([build])[build.__name__].check(compiled)


def test_manifest_names_every_argument(compiled):
    arguments = compiled.functions["layer"]
    assert [a.element for a in arguments] == ["f32", "i32", "f32", "f32", "f32", "f32"]
    assert [a.is_output for a in arguments] == [False] * 5 + [True]
    tokens = {a.shape[0] for a in arguments[:3] + arguments[5:]}
    assert len(tokens) == 1 and tokens.pop() < -1, "the number of tokens is one class of extents"
    assert [a.shape[1:] for a in arguments] == [[D], [K], [K], [D, F], [F, D], [D]]
    assert len({a.name for a in arguments}) == len(arguments)


# ------------------------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("place,name", [(0, "float64"), (1, "int64"), (5, "float16")])
def test_wrong_type(compiled, call, place, name):
    kind = {"float64": (artifact.FLOAT, 64), "int64": (artifact.INT, 64), "float16": (artifact.FLOAT, 16)}[name]
    call[place] = artifact.changed(call[place], dtype=artifact.DataType(*kind, 1))
    refused(compiled, call, artifact.INVALID_ARGUMENT, rf"argument {place} .*dtype {name}, expected (float32|int32)")


def test_bf16_is_not_f16(compiled):
    views = [artifact.view(np.zeros((3, D), np.float16)), artifact.view(np.zeros((D, F), np.uint16)), artifact.view(np.zeros((3, F), np.uint16))]
    with pytest.raises(artifact.ArtifactError, match="argument 0 .*dtype float16, expected bfloat16"):
        compiled.call_views("narrow", views)


def test_vectors_as_elements(compiled, call):
    call[0] = artifact.changed(call[0], dtype=artifact.DataType(artifact.FLOAT, 32, 4))
    refused(compiled, call, artifact.INVALID_ARGUMENT, "argument 0 .*float32x4")


def test_wrong_rank(compiled, call):
    call[2] = artifact.changed(call[2], ndim=1)
    refused(compiled, call, artifact.INVALID_ARGUMENT, "argument 2 .*rank 1, expected 2")


@pytest.mark.parametrize("place,shape,pattern", [
    (0, [7, D + 1], rf"argument 0 .*shape\[1\] = {D + 1}, expected {D}"),
    (3, [E + 1, D, F], rf"argument 3 .*shape\[0\] = {E + 1}, expected {E}"),
    (1, [8, K], r"argument 1 .*shape\[0\] = 8, expected 7"),
    (5, [6, D], r"argument 5 .*shape\[0\] = 6, expected 7"),
    (0, [-7, D], r"argument 0 .*shape\[0\] = -7"),
])
def test_wrong_extents(compiled, call, place, shape, pattern):
    call[place] = artifact.changed(call[place], shape=shape, strides=None)
    refused(compiled, call, artifact.INVALID_ARGUMENT, pattern)


def test_negative_stride(compiled, call):
    call[0] = artifact.changed(call[0], strides=[D, -1])
    refused(compiled, call, artifact.INVALID_ARGUMENT, r"argument 0 .*stride\[1\] = -1")


def test_output_that_overlaps_itself(compiled, call):
    call[5] = artifact.changed(call[5], strides=[0, 1])
    refused(compiled, call, artifact.INVALID_ARGUMENT, "argument 5 .*overlap")


def test_output_in_an_input(compiled, call):
    call[5] = artifact.changed(call[5], data=call[0].data)
    refused(compiled, call, artifact.INVALID_ARGUMENT, "argument 5 .*overlaps argument 0")


def test_device(compiled, call):
    call[0] = artifact.changed(call[0], device=artifact.Device(artifact.CUDA, 0))
    refused(compiled, call, artifact.INVALID_ARGUMENT, r"argument 0 .*device type 2, expected 1")


def test_null(compiled, call):
    refused(compiled, [artifact.changed(call[0], data=None), *call[1:]], artifact.INVALID_ARGUMENT, "argument 0 .*null")
    refused(compiled, [None, *call[1:]], artifact.INVALID_ARGUMENT, "argument 0 .*null")


def test_number_of_arguments(compiled, call):
    refused(compiled, call[:-1], artifact.INVALID_ARGUMENT, "got 5 arguments, expected 6")
    refused(compiled, call + call[-1:], artifact.INVALID_ARGUMENT, "got 7 arguments, expected 6")


def test_misaligned_data(compiled, call):
    call[0] = artifact.changed(call[0], data=call[0].data + 2)
    refused(compiled, call, artifact.INVALID_ARGUMENT, "argument 0 .*alignment")


def test_stream_on_cpu(compiled, call):
    refused(compiled, call, artifact.INVALID_ARGUMENT, "stream", workspace=artifact.aligned(0), call=artifact.Call(stream=8))


def test_caller_of_another_version(compiled, call):
    for version in (1 << 16, 0x00010001):
        refused(compiled, call, artifact.INCOMPATIBLE, "ABI", call=artifact.Call(abi_version=version))


def test_workspace(compiled, call):
    needed = compiled.workspace_bytes("layer", call)
    assert needed > 0
    refused(compiled, call, artifact.WORKSPACE_TOO_SMALL, rf"workspace of {needed - 1} bytes, expected at least {needed}",
            workspace=artifact.aligned(needed - 1))
    refused(compiled, call, artifact.INVALID_ARGUMENT, "workspace.*alignment", workspace=artifact.aligned(needed + 64)[1:])
    compiled.call_views("layer", call, workspace=artifact.aligned(needed))


def test_workspace_grows_with_tokens_and_reads_no_data(compiled, call):
    few = compiled.workspace_bytes("layer", call)
    empty = [artifact.changed(v, data=None) for v in call]
    assert compiled.workspace_bytes("layer", empty) == few
    many = [artifact.changed(v, data=None, shape=[700, *v.shape[1:v.ndim]], strides=None) if i in (0, 1, 2, 5) else v for i, v in enumerate(empty)]
    assert compiled.workspace_bytes("layer", many) > few


def test_workspace_is_not_overrun(compiled, call):
    """Bytes behind the workspace that was asked for stay as they are."""
    needed = compiled.workspace_bytes("layer", call)
    room = artifact.aligned(needed + 4096)
    room[:] = 0xA5
    compiled.call_views("layer", call, workspace=room[:needed])
    assert (room[needed:] == 0xA5).all()


# ---------------------------------------------------------------------------------------------------------- how it is used


def test_strided_views(compiled):
    """Transposed, padded and offset views give the same numbers as compact ones."""
    f = programs([layer])["layer"]
    x, ids, p, up, down = f.inputs
    wide = np.zeros((f.tokens, D + 5), np.float32)
    wide[:, 3 : 3 + D] = x
    flipped = np.ascontiguousarray(up.transpose(2, 0, 1)).transpose(1, 2, 0)
    y = np.full((D, f.tokens), 9, np.float32)
    views = [artifact.changed(artifact.view(wide), shape=[f.tokens, D], byte_offset=12), artifact.view(np.asfortranarray(ids)),
             artifact.view(p), artifact.view(flipped), artifact.view(np.ascontiguousarray(down)), artifact.view(y.T)]
    compiled.call_views("layer", views)
    assert np.allclose(y.T, f.results[0][0].data, rtol=1e-5, atol=1e-5)


def test_calls_at_the_same_time(compiled):
    runs = [programs([layer], tokens=5 + n, seed=n)["layer"] for n in range(8)]
    failures = []

    def work(f):
        try:
            for _ in range(20):
                f.check(compiled)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f,)) for f in runs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures[0]


def test_same_input_same_bytes(compiled):
    f = programs([layer])["layer"]
    first, second = f.run(compiled)[0], f.run(compiled)[0]
    assert first.tobytes() == second.tobytes()


def test_artifact_can_be_moved(compiled, tmp_path):
    shutil.copytree(compiled.directory, tmp_path / "elsewhere")
    programs([layer])["layer"].check(artifact.Artifact(tmp_path / "elsewhere"))


def test_mismatched_manifest(compiled, tmp_path):
    shutil.copytree(compiled.directory, tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    manifest["entries"][0]["arguments"][0]["dtype"] = "float64"
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(artifact.ArtifactError, match=r"manifest.json is not the manifest of library.so: .entries\[0\].arguments\[0\].dtype"):
        artifact.Artifact(tmp_path / "other")
