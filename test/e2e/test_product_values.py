"""Products beside a layer, as kernels: any size, type and place of the factors, against sums in f64.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

y = y0 + x·w. Of f16 and bf16 the reference lowering rounds each addition, as linalg says; kernels round a sum once and are nearer to it.
"""

import ctypes
import os

import numpy as np
import pytest

import artifact
from program import binary, tool

# Rows and columns of w, types of x and w, whether w lies transposed: whole panels and not, more rows than a block, rows read in place.
PRODUCTS = [(64, 32, "f32", "f32", False), (33, 7, "f32", "f32", False), (300, 37, "f32", "bf16", False), (600, 64, "f32", "f32", False),
            (64, 24, "f32", "f16", True), (40, 16, "f16", "f16", False), (50, 20, "bf16", "bf16", True), (1, 1, "f32", "f32", False),
            (288, 48, "bf16", "bf16", False)]
TOKENS = (0, 1, 2, 3, 13, 40, 100)
UNITS = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
RUNTIME = ctypes.CDLL(os.path.join(os.path.dirname(binary("moe-run")), "..", "lib", "libmoert.so"))


def module_of(products):
    """A function for each product: a linalg.matmul, or a linalg.generic where weights are narrower and transposed."""
    lines = []
    for i, (k, n, element, stored, transposed) in enumerate(products):
        x, y = f"tensor<?x{k}x{element}>", f"tensor<?x{n}x{element}>"
        w = f"tensor<{f'{n}x{k}' if transposed else f'{k}x{n}'}x{stored}>"
        maps = f"[affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> ({'n, k' if transposed else 'k, n'})>, affine_map<(m, n, k) -> (m, n)>]"
        lines += [f"func.func @product{i}(%x: {x}, %w: {w}, %y: {y}) -> {y} {{",
                  f"  %r = linalg.matmul indexing_maps = {maps} ins(%x, %w : {x}, {w}) outs(%y : {y}) -> {y}",
                  f"  return %r : {y}", "}"]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    (folder / "products.mlir").write_text(module_of(PRODUCTS))
    tool("moe-compile", "--pipeline=cpu", "--isas=portable,x86-64-v3,x86-64-v4", folder / "products.mlir", "-o", folder / "kernels")
    return artifact.Artifact(folder / "kernels")


@pytest.fixture(params=["portable", "x86-64-v3", "x86-64-v4"])
def isa(request, code):
    try:
        run(code, 0, *factors(0, 1), request.param)
    except artifact.ArtifactError as error:
        if error.status != artifact.INCOMPATIBLE:
            raise
        pytest.skip(error.message)
    return request.param


def stored(values, element):
    """As arrays of that type: of bf16 the bits."""
    if element == "bf16":
        return ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)
    return values.astype({"f32": np.float32, "f16": np.float16}[element])


def read(values, element):
    return (values.astype(np.uint32) << 16).view(np.float32) if element == "bf16" else values.astype(np.float32)


def factors(number, tokens):
    k, n, element, narrow, transposed = PRODUCTS[number]
    random = np.random.default_rng([number, tokens])
    draw = lambda shape, kind: stored(random.standard_normal(shape, np.float32), kind)
    return draw((tokens, k), element), draw((n, k) if transposed else (k, n), narrow), draw((tokens, n), element)


def run(code, number, x, w, y, isa, executor=None):
    result = np.zeros_like(np.ascontiguousarray(y))
    call = artifact.Call(isa=isa.encode(), executor=executor)
    code.call_views(f"product{number}", [artifact.view(v) for v in (x, w, y, result)], call=call)
    return result


@pytest.mark.parametrize("number", range(len(PRODUCTS)))
def test_products(code, isa, number):
    k, _, element, narrow, transposed = PRODUCTS[number]
    for tokens in TOKENS:
        x, w, y = factors(number, tokens)
        got = read(run(code, number, x, w, y, isa), element)
        wide_x, wide_w, wide_y = read(x, element).astype(np.float64), read(w, narrow).astype(np.float64), read(y, element)
        wide_w = wide_w.T if transposed else wide_w
        expected = wide_y + wide_x @ wide_w
        sums = np.abs(wide_y) + np.abs(wide_x) @ np.abs(wide_w)
        bound = (k + 1) * UNITS["f32"] * sums + 1.01 * UNITS[element] * np.abs(expected)
        assert (np.abs(got - expected) <= bound).all(), (tokens, np.abs(got - expected).max())


def apart(values):
    room = np.full((2 * len(values), 3 * values.shape[1]), 99, values.dtype)
    room[::2, ::3] = values
    return room[::2, ::3]


@pytest.mark.parametrize("form", [apart, np.asfortranarray], ids=["apart", "transposed"])
@pytest.mark.parametrize("number", [0, 1, 4, 6])
def test_strides_change_no_bit(code, isa, number, form):
    x, w, y = factors(number, 13)
    assert run(code, number, form(x), form(w), form(y), isa).tobytes() == run(code, number, x, w, y, isa).tobytes()


@pytest.mark.parametrize("number", [0, 1, 4])
@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_special_numbers_stay_in_their_row_and_column(code, isa, number, special):
    x, w, y = factors(number, 13)
    transposed = PRODUCTS[number][4]
    plain = run(code, number, x, w, y, isa)
    spoiled = x.copy()
    spoiled[4, 5] = special
    got = run(code, number, spoiled, w, y, isa)
    assert not np.isfinite(got[4]).any()
    assert np.delete(got, 4, 0).tobytes() == np.delete(plain, 4, 0).tobytes()
    spoiled = w.T.copy() if transposed else w.copy()
    spoiled[5, 3] = special
    got = run(code, number, x, spoiled.T if transposed else spoiled, y, isa)
    assert not np.isfinite(got[:, 3]).any()
    assert np.delete(got, 3, 1).tobytes() == np.delete(plain, 3, 1).tobytes()
    zero = np.zeros_like(x)
    assert np.isnan(run(code, number, zero, spoiled.T if transposed else spoiled, y, isa)[:, 3]).all(), "0 times it is no number"


@pytest.mark.parametrize("number", [1, 3, 8])
def test_threads_change_no_bit(code, isa, number):
    inputs = factors(number, 100)
    expected = run(code, number, *inputs, isa).tobytes()
    for threads in (2, 3):
        pool = ctypes.c_void_p()
        assert RUNTIME.moert_pool_create(threads, None, ctypes.byref(pool)) == artifact.OK
        executor = ctypes.c_void_p()
        assert RUNTIME.moert_pool_executor(pool, ctypes.byref(executor)) == artifact.OK
        assert run(code, number, *inputs, isa, executor).tobytes() == expected
        assert RUNTIME.moert_pool_destroy(pool) == artifact.OK
