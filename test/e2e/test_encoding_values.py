"""Values of params: seeded and inline sources, every encoding, recipes, and what layout and residency must not change.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Weights are read through unit rows, so each number is compared alone. Encodings are exact: the specification fixes every
rounding.
"""

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Encoding
from program import Program, compile_module, dense, module_of

IN, OUT = 32, 32

ENCODINGS = {
    "none": None, "f32": Encoding("f32"), "bf16": Encoding("bf16"), "f16": Encoding("f16"), "f8e4m3": Encoding("f8e4m3"),
    "f8e4m3_group": Encoding("f8e4m3", 16), "f8e4m3_group_f16": Encoding("f8e4m3", 32, scale="f16"),
    "f8e4m3_group_output": Encoding("f8e4m3", 16, along="output"), "int8": Encoding("int8"),
    "int8_bf16": Encoding("int8", scale="bf16"), "int8_zero_point": Encoding("int8", zero_point=True),
    "int8_group": Encoding("int8", 16), "int8_group_zero_point_f16": Encoding("int8", 8, True, "f16"),
    "int8_group_output": Encoding("int8", 4, along="output"), "int4_group_32": Encoding("int4", 32),
    "int4_group_8": Encoding("int4", 8), "int4_group_1": Encoding("int4", 1), "int4_f16": Encoding("int4", 16, scale="f16"),
    "int4_bf16": Encoding("int4", 16, scale="bf16"), "int4_zero_point": Encoding("int4", 16, True),
    "int4_zero_point_f16_output": Encoding("int4", 16, True, "f16", "output"),
    "int4_zero_point_bf16": Encoding("int4", 32, True, "bf16"), "int4_output": Encoding("int4", 8, along="output"),
    "mxfp4": Encoding("mxfp4", 32), "mxfp4_output": Encoding("mxfp4", 32, along="output"),
}


def words(encoding):
    """The attribute's text."""
    if encoding is None:
        return ""
    group = f" group {encoding.group}" if encoding.group else ""
    scale = f" scale {encoding.scale}" if encoding.scale != "f32" else ""
    along = f" along {encoding.along}" if encoding.along != "input" else ""
    return f"encoding <{encoding.format}{group}{' zero_point' if encoding.zero_point else ''}{scale}{along}>"


def awkward(f, element="f32"):
    """Normal numbers of very different size, with zero groups, ties, one-sided groups and negative zero."""
    v = f.floats(2, IN, OUT)
    v[0, :, 0] = 0
    v[0, :, 1] = np.abs(v[0, :, 1])
    v[0, :, 2] = -np.abs(v[0, :, 2])
    v[0, :, 3] = np.resize([7, -3.5, 2.5, 0.5, -0.5, 1.5, -7, 6.5], IN)  # ties of int4: s is 1
    v[0, :, 4] = np.resize([0.25, 0.75, -1.25, 1.75, 2.5, -3.5, 5, 6], IN)  # ties of E2M1
    v[0, :, 5] = -0.0
    v[0, :, 6] *= np.float32(1e-30)
    v[0, :, 7] *= np.float32(1e3)
    v[0, :, 8] *= np.exp2(np.arange(IN, dtype=np.float32) - 24)
    v[0, :, 9] = np.resize(np.float32([10.4, -10.4, 1]) * np.float32(2**-24), IN)  # an f16 scale rounds far down
    v[0, 4, :] = 0
    v[0, 5, :] *= 10
    return moe.round_to(v, element)


def encoded(name, element="f32", suffix=""):
    f = Program(f"{name}_{element}" + suffix.replace(" ", "_"))
    v = awkward(f, element)
    encoding = ENCODINGS[name]
    f.read(f.param(IN, OUT, "expert[2]", dense(v, element), moe.stored(v, encoding, element), element,
                   " ".join(filter(None, [words(encoding), suffix]))))
    return f


def overflow(name):
    """Numbers near and beyond the largest of a format, in one row, so that infinity times zero never occurs."""
    f = Program(f"overflow_{name}")
    v = np.array([[65504, 65519, 65520, -65520, 3.4e38, -3.39e38, 448, 464, 465, -480, 2**-24, 2**-25, 2**-9, 2**-10, 0, 1]],
                 np.float32)
    w = f.param(1, 16, None, dense(v), moe.stored(v, ENCODINGS[name]), suffix=words(ENCODINGS[name]))
    f.read(w)
    return f


def seeded(seed, scale=None, element="f32", name=None):
    f = Program(name or f"seeded_{seed}_{element}{'_scaled' if scale else ''}")
    source = f"#moe.seeded<{seed}{f' scale {scale}' if scale else ''}>"
    values = moe.seeded(seed, (2, 5, 3), scale or 1.0)
    f.read(f.param(5, 3, "cluster[2]", source, moe.stored(values, None, element), element))
    return f


def seeded_encoded():
    f = Program("seeded_encoded")
    values = moe.seeded(11, (IN, OUT), 0.5)
    f.read(f.param(IN, OUT, None, "#moe.seeded<11 scale 0.5>", moe.stored(values, Encoding("int4", 16)), suffix="encoding <int4 group 16>"))
    return f


TABLE = np.array([0, 2, 0, 2, 0, 3], np.int32)  # clusters 1 and 4 have no members


def sources(f, suffix=""):
    """Six expert matrices and the table of their clusters."""
    v = f.floats(6, 8, 12)
    of = f.param(8, 12, "expert[6]", dense(v), moe.stored(v, ENCODINGS["int8_group_8"] if suffix else None), suffix=suffix)
    return of, f.declare("!moe.table<expert[6] -> cluster[5]>", dense(TABLE, "i32"))


ENCODINGS["int8_group_8"] = Encoding("int8", 8)


def mean(encoding=None):
    f = Program(f"mean_{encoding or 'plain'}")
    of, table = sources(f)
    value = moe.stored(moe.recipe_mean(of.data, TABLE, 5).astype(np.float32), ENCODINGS[encoding] if encoding else None)
    f.read(f.param(8, 12, "cluster[5]", f"#moe.mean<{of.symbol} by {table}>", value, suffix=words(ENCODINGS.get(encoding))),
           tolerance=1e-6)
    return f


def svd(rank, base_encoding=None, factor_encoding=None):
    f = Program(f"svd_{rank}_{base_encoding or 'plain'}_{factor_encoding or 'plain'}")
    of, table = sources(f)
    mean_value = moe.recipe_mean(of.data, TABLE, 5).astype(np.float32)
    base = f.param(8, 12, "cluster[5]", f"#moe.mean<{of.symbol} by {table}>",
                   moe.stored(mean_value, ENCODINGS.get(base_encoding)), suffix=words(ENCODINGS.get(base_encoding)))
    a, b = moe.recipe_svd(of.data, base.data, TABLE, rank)
    names = f"rank {rank} of {of.symbol} minus {base.symbol} by {table}"
    encoding = ENCODINGS.get(factor_encoding)
    left = f.param(8, rank, "expert[6]", f"#moe.svd<input {names}>", moe.stored(a.astype(np.float32), encoding), suffix=words(encoding))
    right = f.param(rank, 12, "expert[6]", f"#moe.svd<output {names}>", moe.stored(b.astype(np.float32), encoding), suffix=words(encoding))
    # singular vectors turn by rounding / gap; the gaps of these random matrices are above 1e-2 of the largest value
    f.read(left, tolerance=1e-5)
    f.read(right, tolerance=1e-5)
    mine = f.select(base, f.op(f"moe.leaf {table} : !moe.table<expert[6] -> cluster[5]>", "!moe.table<expert[6] -> cluster[5]>", TABLE))
    whole = f.add(mine, f.mul(left, right))
    if rank == 8 and factor_encoding is None:  # whatever the base lost, the residual has absorbed
        assert np.abs(whole.data - of.data).max() < 1e-5
        whole.data = of.data
    f.read(whole, tolerance=1e-5)
    return f


def svd_alone(rank):
    """Without a base: of the matrices themselves."""
    f = Program(f"svd_{rank}_alone")
    of, _ = sources(f)
    a, b = moe.recipe_svd(of.data, None, None, rank)
    left = f.param(8, rank, "expert[6]", f"#moe.svd<input rank {rank} of {of.symbol}>", a.astype(np.float32))
    right = f.param(rank, 12, "expert[6]", f"#moe.svd<output rank {rank} of {of.symbol}>", b.astype(np.float32))
    f.read(left, tolerance=1e-5)
    f.read(right, tolerance=1e-5)
    return f


def mixed(side, phi=None, bases_encoding=None, noise=None):
    """Factors beside bases and coefficients that are given: of the mix as it is stored."""
    f = Program(f"mixed_{side}_{phi or 'plain'}_{bases_encoding or 'plain'}{'' if noise is None else f'_{noise:.0%}'[:-1]}")
    of, _ = sources(f)
    rank, encoding = 8, ENCODINGS.get(bases_encoding)
    v, shares = f.floats(3, *((8, rank) if side == "input" else (rank, 12))), f.floats(6, 1, 3)
    bases = f.param(*v.shape[1:], "basis[3]", dense(v), moe.stored(v, encoding), suffix=words(encoding))
    coefficients = f.param(1, 3, "expert[6]", dense(shares), shares)
    mix = f.mix(bases, coefficients, phi)
    words_of = f"on {side}{f' phi {phi}' if phi else ''}{'' if noise is None else f' noise {noise}'}"
    factor = moe.recipe_mix_factor(of.data, mix.data, side, 0.002 if noise is None else noise).astype(np.float32)
    source = f"#moe.mix_factor<{words_of} {bases.symbol} by {coefficients.symbol} of {of.symbol}>"
    own = f.param(*factor.shape[1:], "expert[6]", source, factor)
    whole = f.mul(mix, own) if side == "input" else f.mul(own, mix)
    f.read(own, tolerance=1e-4)
    f.read(whole, tolerance=1e-4)
    return f


def permuted(side):
    """Rows or columns of each expert in an order of its own; recipes read them as any param."""
    f = Program(f"permuted_{side}")
    of, table = sources(f, suffix="encoding <int8 group 8>")
    orders = np.stack([f.random().permutation(8 if side == "input" else 12) for _ in range(6)]).astype(np.int32)
    p = f.param(8, 12, "expert[6]", f"#moe.permuted<{side} of {of.symbol} by {dense(orders, 'i32')}>",
                moe.recipe_permuted(of.data, orders, side))
    f.read(p)
    f.read(f.param(8, 12, "cluster[5]", f"#moe.mean<{p.symbol} by {table}>", moe.recipe_mean(p.data, TABLE, 5).astype(np.float32)),
           tolerance=1e-6)
    return f


def permuted_for_all():
    f = Program("permuted_for_all")
    v = f.floats(8, 12)
    of = f.param(8, 12, None, dense(v), v)
    order = f.random().permutation(12).astype(np.int32)
    f.read(f.param(8, 12, None, f"#moe.permuted<output of {of.symbol} by {dense(order, 'i32')}>", v[:, order]))
    return f


def mean_of_encoded():
    """A recipe reads what its params decode to."""
    f = Program("mean_of_encoded")
    of, table = sources(f, suffix="encoding <int8 group 8>")
    f.read(f.param(8, 12, "cluster[5]", f"#moe.mean<{of.symbol} by {table}>", moe.recipe_mean(of.data, TABLE, 5).astype(np.float32)),
           tolerance=1e-6)
    return f


PROGRAMS = {f.name: f for f in [
    *[encoded(name) for name in ENCODINGS if name != "int8_group_8"],
    *[encoded(name, element) for name in ("none", "int8", "int4_f16", "f8e4m3", "mxfp4", "f32") for element in ("bf16", "f16")],
    *[encoded(name, "f64") for name in ("f32", "bf16", "int8_group")],
    *[encoded("int8_group", suffix=f"layout {layout}") for layout in ("row_major", "panel16", "vnni2", "wgmma_a_frag")],
    *[encoded("none", "bf16", f"layout {layout}") for layout in ("panel16", "vnni2", "wgmma_a_frag")],
    *[encoded("int4_group_32", suffix=f"residency {residency}") for residency in ("pinned", "cached", "cold")],
    encoded("int4_group_32", suffix="layout panel16 residency cached"),
    overflow("f16"), overflow("bf16"), overflow("f8e4m3"),
    seeded(0), seeded(1), seeded(7, 0.125), seeded(2147483653, 3.0), seeded(5, 2.0, "bf16"), seeded(5, 2.0, "f16"), seeded(5, None, "f64"),
    seeded_encoded(), mean(), mean("bf16"), mean("int4_group_8"), mean_of_encoded(),
    permuted("input"), permuted("output"), permuted_for_all(),
    svd(1), svd(3), svd(8), svd(8, "int4_group_8"), svd(3, "int4_group_8"), svd(3, "bf16", "bf16"), svd(8, "int8_group_8", "f16"),
    svd_alone(1), svd_alone(3),
    mixed("input"), mixed("output"), mixed("input", "silu", "int8_group_8"), mixed("output", "tanh", noise=0.1), mixed("input", noise=0.5),
]}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_module(module_of(PROGRAMS), tmp_path_factory.mktemp("encodings"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_values(compiled, name):
    PROGRAMS[name].check(compiled)
