"""Norms and element-wise operations beside a layer, as vector loops, against the reference lowering.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import ctypes
import os
import re

import numpy as np
import pytest

import artifact
from numpy_weights import bf16_bits, from_bf16_bits
from program import binary, tool

WIDTH = 40  # two vectors and a rest
RUNTIME = ctypes.CDLL(os.path.join(os.path.dirname(binary("moe-run")), "..", "lib", "libmoert.so"))
MODULE = """
#row = affine_map<(t, d) -> (t, d)>
#token = affine_map<(t, d) -> (t)>
#feature = affine_map<(t, d) -> (d)>
!x = tensor<?x40x@>
func.func @norm(%x: !x, %weight: tensor<40x@>) -> (!x, tensor<?x@>, tensor<40x@>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : @
  %low = arith.constant -1.0 : @
  %width = arith.constant 40.0 : @
  %tokens = tensor.dim %x, %c0 : !x
  %s = tensor.empty(%tokens) : tensor<?x@>
  %none = linalg.fill ins(%zero : @) outs(%s : tensor<?x@>) -> tensor<?x@>
  %sums = linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : !x) outs(%none : tensor<?x@>) {
  ^bb0(%a: @, %sum: @):
    %square = arith.mulf %a, %a : @
    %next = arith.addf %sum, %square : @
    linalg.yield %next : @
  } -> tensor<?x@>
  %start = linalg.fill ins(%low : @) outs(%s : tensor<?x@>) -> tensor<?x@>
  %most = linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : !x) outs(%start : tensor<?x@>) {
  ^bb0(%a: @, %before: @):
    %next = arith.maximumf %before, %a : @
    linalg.yield %next : @
  } -> tensor<?x@>
  %e = tensor.empty(%tokens) : !x
  %y = linalg.generic {indexing_maps = [#row, #token, #feature, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sums, %weight : !x, tensor<?x@>, tensor<40x@>) outs(%e : !x) {
  ^bb0(%a: @, %sum: @, %w: @, %unused: @):
    %mean = arith.divf %sum, %width : @
    %scale = math.rsqrt %mean : @
    %scaled = arith.mulf %a, %scale : @
    %weighted = arith.mulf %scaled, %w : @
    %isBelow = arith.cmpf olt, %weighted, %zero : @
    %half = arith.addf %weighted, %low : @
    %picked = arith.select %isBelow, %half, %weighted : @
    linalg.yield %picked : @
  } -> !x
  %column = tensor.empty() : tensor<40x@>
  %empty = linalg.fill ins(%zero : @) outs(%column : tensor<40x@>) -> tensor<40x@>
  %columns = linalg.generic {indexing_maps = [#row, #feature], iterator_types = ["reduction", "parallel"]} ins(%y : !x) outs(%empty : tensor<40x@>) {
  ^bb0(%a: @, %sum: @):
    %next = arith.addf %sum, %a : @
    linalg.yield %next : @
  } -> tensor<40x@>
  return %y, %most, %columns : !x, tensor<?x@>, tensor<40x@>
}
"""
# The same beside a model's norm, whose sums are f32.
WIDE_SUMS = """
func.func @wide(%x: !x, %weight: tensor<40x@>) -> !x {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %width = arith.constant 40.0 : f32
  %tokens = tensor.dim %x, %c0 : !x
  %s = tensor.empty(%tokens) : tensor<?xf32>
  %none = linalg.fill ins(%zero : f32) outs(%s : tensor<?xf32>) -> tensor<?xf32>
  %sums = linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : !x) outs(%none : tensor<?xf32>) {
  ^bb0(%a: @, %sum: f32):
    %wide = arith.extf %a : @ to f32
    %square = arith.mulf %wide, %wide : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?xf32>
  %e = tensor.empty(%tokens) : !x
  %y = linalg.generic {indexing_maps = [#row, #token, #feature, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sums, %weight : !x, tensor<?xf32>, tensor<40x@>) outs(%e : !x) {
  ^bb0(%a: @, %sum: f32, %w: @, %unused: @):
    %mean = arith.divf %sum, %width : f32
    %scale = math.rsqrt %mean : f32
    %wide = arith.extf %a : @ to f32
    %scaled = arith.mulf %wide, %scale : f32
    %narrow = arith.truncf %scaled : f32 to @
    %weighted = arith.mulf %narrow, %w : @
    linalg.yield %weighted : @
  } -> !x
  return %y : !x
}
"""
# What results differ by at most, in units of the largest: sums along rows of f32 have another order, those of f16 and bf16 do not.
BOUNDS = {"f32": 2e-6, "f16": 0.0, "bf16": 0.0}
# Sums of f32 that differ may be rounded to a neighbour.
WIDE_BOUNDS = {"f16": 2.0**-10, "bf16": 2.0**-7}


@pytest.fixture(scope="module", params=["f32", "f16", "bf16"])
def norm(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    text = MODULE if request.param == "f32" else MODULE + WIDE_SUMS
    (folder / "norm.mlir").write_text(re.sub(r"@(?!norm|wide)", request.param, text))
    tool("moe-compile", "--pipeline=reference", folder / "norm.mlir", "-o", folder / "reference")
    tool("moe-compile", "--pipeline=cpu", "--isas=portable,x86-64-v3,x86-64-v4", folder / "norm.mlir", "-o", folder / "vectors")
    return request.param, artifact.Artifact(folder / "reference"), artifact.Artifact(folder / "vectors")


@pytest.fixture(params=["portable", "x86-64-v3", "x86-64-v4"])
def isa(request, norm):
    try:
        run(norm[2], *inputs(0, norm[0]), request.param)
    except artifact.ArtifactError as error:
        if error.status != artifact.INCOMPATIBLE:
            raise
        pytest.skip(error.message)
    return request.param


def inputs(tokens, element):
    random = np.random.default_rng(tokens)
    return stored(random.standard_normal((tokens, WIDTH)), element), stored(random.standard_normal(WIDTH), element)


def stored(values, element):
    return bf16_bits(values) if element == "bf16" else values.astype({"f32": np.float32, "f16": np.float16}[element])


def numbers(stored):
    return from_bf16_bits(stored) if stored.dtype == np.uint16 else stored.astype(np.float32)


def run(code, x, weight, isa=None, executor=None, entry="norm"):
    results = [np.zeros((len(x), WIDTH), x.dtype), np.zeros(len(x), x.dtype), np.zeros(WIDTH, x.dtype)]
    results = results[:1] if entry == "wide" else results
    call = artifact.Call(isa=isa and isa.encode(), executor=executor)
    code.call_views(entry, [artifact.view(v) for v in (x, weight, *results)], call=call)
    return results


@pytest.mark.parametrize("tokens", [0, 1, 7, 100])
def test_values(norm, isa, tokens):
    element, reference, vectors = norm
    x, weight = inputs(tokens, element)
    if tokens > 3:
        x[1, 5], x[2, 37], x[3, 39] = stored(np.array([np.nan, np.inf, -np.inf]), element)
        x[0] = 0
    compare(run(vectors, x, weight, isa), run(reference, x, weight), BOUNDS[element])
    if element != "f32":
        compare(run(vectors, x, weight, isa, entry="wide"), run(reference, x, weight, entry="wide"), WIDE_BOUNDS[element])


def compare(results, others, bound):
    for got, expected in zip(map(numbers, results), map(numbers, others)):
        assert np.array_equal(np.isnan(got), np.isnan(expected))
        finite = np.isfinite(expected)
        assert np.array_equal(got[~finite & ~np.isnan(got)], expected[~finite & ~np.isnan(expected)])
        largest = np.abs(expected[finite]).max(initial=0)
        assert np.abs(got[finite] - expected[finite]).max(initial=0) <= bound * largest


def test_strides_and_threads_change_no_bit(norm, isa):
    element, _, vectors = norm
    x, weight = inputs(100, element)
    expected = [each.tobytes() for each in run(vectors, x, weight, isa)]
    room = np.full((200, 3 * WIDTH), 99, x.dtype)
    room[::2, ::3] = x
    assert [each.tobytes() for each in run(vectors, room[::2, ::3], weight, isa)] == expected
    assert [each.tobytes() for each in run(vectors, np.asfortranarray(x), weight, isa)] == expected
    pool, executor = ctypes.c_void_p(), ctypes.c_void_p()
    assert RUNTIME.moert_pool_create(3, None, ctypes.byref(pool)) == artifact.OK
    assert RUNTIME.moert_pool_executor(pool, ctypes.byref(executor)) == artifact.OK
    assert [each.tobytes() for each in run(vectors, x, weight, isa, executor)] == expected
    assert RUNTIME.moert_pool_destroy(pool) == artifact.OK
