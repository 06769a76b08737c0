"""Checks the oracle's stored tensors and weight expressions against hand-computed cases, brute force and algebra.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import itertools

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Encoding


def rng(seed=0):
    return np.random.default_rng(seed)


def floats(*shape, seed=0):
    return rng(seed).standard_normal(shape).astype(np.float32)


# ---------------------------------------------------------------------------------------------------- 1. arithmetic


def test_bf16_rounding_of_known_patterns():
    # 1 + 2^-8 lies half-way between 1 and 1 + 2^-7: to even, 1; a little more goes up; 1 + 3*2^-8 goes to 1 + 2^-6
    values = np.array([1 + 2**-8, 1 + 2**-8 + 2**-20, 1 + 3 * 2**-8, 3.4e38, -0.0, np.inf], np.float32)
    assert moe.bf16_bits(values).tolist() == [0x3F80, 0x3F81, 0x3F82, 0x7F80, 0x8000, 0x7F80]
    assert np.isnan(moe.round_to(np.float32("nan"), "bf16"))


def test_every_bf16_pattern_rounds_to_itself():
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = moe.from_bf16_bits(bits)
    same = moe.bf16_bits(values)
    assert np.array_equal(same[~np.isnan(values)], bits[~np.isnan(values)])


def test_f16_overflows_to_infinity():
    assert moe.round_to(np.float32([65504, 65519, 65520, -1e6]), "f16").tolist() == [65504, 65504, np.inf, -np.inf]


def test_contraction_accumulates_in_increasing_order():
    # 2^24 swallows each of the ones that follow it, but not their sum when that comes first
    x = np.array([2**24, 1, 1], np.float32)
    assert moe.contract(x, np.ones((3, 1)))[0] == 2**24
    assert moe.contract(x[::-1], np.ones((3, 1)))[0] == 2**24 + 2
    assert moe.contract(x, np.ones((3, 1)), "f64")[0] == 2**24 + 2


# ------------------------------------------------------------------------------------------------- 2. stored tensors


def seeded_with_uint32(seed, count, scale):
    """The generator once more, in wrapping uint32 arithmetic on whole arrays."""
    with np.errstate(over="ignore"):
        h = np.uint32(seed) * np.uint32(0x9E3779B9) + np.arange(count, dtype=np.uint32) * np.uint32(0x85EBCA6B)
        h += np.uint32(0x27D4EB2F)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x7FEB352D)
        h ^= h >> np.uint32(15)
        h *= np.uint32(0x846CA68B)
        h ^= h >> np.uint32(16)
    return (scale * ((h >> np.uint32(8)).astype(np.float64) * 2.0**-23 - 1)).astype(np.float32)


@pytest.mark.parametrize("seed,scale", [(0, 1.0), (1, 1.0), (7, 0.125), (2**31 + 5, 3.0)])
def test_seeded_values(seed, scale):
    values = moe.seeded(seed, (2, 5, 30), scale)
    assert np.array_equal(values.reshape(-1), seeded_with_uint32(seed, 300, scale))
    assert np.all((-scale <= values) & (values < scale)) and abs(values.mean()) < 0.1 * scale


def test_mean_of_members_and_of_nobody():
    of = floats(4, 3, 2)
    base = moe.recipe_mean(of, [0, 2, 0, 0], 3)
    assert np.allclose(base[0], (of[0] + of[2] + of[3]) / 3) and np.array_equal(base[2], of[1])
    assert not base[1].any()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_svd_is_the_best_approximation_and_has_fixed_signs(shape):
    of, base, table = floats(3, *shape), floats(2, *shape, seed=1), [1, 0, 1]
    a, b = moe.recipe_svd(of, base, table, 2)
    for i in range(3):
        difference = of[i].astype(np.float64) - base[table[i]]
        values = np.linalg.svd(difference, compute_uv=False)
        assert np.isclose(np.linalg.norm(difference - a[i] @ b[i]), np.sqrt((values[2:] ** 2).sum()))
        assert np.allclose(np.linalg.norm(a[i], axis=0), np.linalg.norm(b[i], axis=1))  # the root on either side
        for j in range(2):
            assert a[i][np.argmax(np.abs(a[i][:, j])), j] > 0
    full_a, full_b = moe.recipe_svd(of, base, table, 4)
    assert np.allclose(full_a @ full_b, of - base[table])
    alone_a, alone_b = moe.recipe_svd(of, None, None, 4)
    assert np.allclose(alone_a @ alone_b, of)


@pytest.mark.parametrize("side", ["input", "output"])
def test_mix_factors_are_least_squares(side):
    of = floats(3, 6, 4)
    mixed = floats(3, 6, 2, seed=1) if side == "input" else floats(3, 2, 4, seed=1)
    found = moe.recipe_mix_factor(of, mixed, side, noise=0)
    for i in range(3):
        left, right = (mixed[i], of[i]) if side == "input" else (mixed[i].T, of[i].T)
        best = np.linalg.lstsq(left.astype(np.float64), right.astype(np.float64), rcond=None)[0]
        assert np.allclose(found[i] if side == "input" else found[i].T, best)
    # Noise makes them smaller.
    assert np.linalg.norm(moe.recipe_mix_factor(of, mixed, side, noise=0.5)) < 0.9 * np.linalg.norm(found)


def e4m3_numbers():
    """All finite E4M3 numbers from their bit patterns."""
    numbers = []
    for code in range(256):
        sign, exponent, mantissa = -1 if code & 128 else 1, (code >> 3) & 15, code & 7
        if exponent == 15 and mantissa == 7:
            continue  # NaN
        numbers.append(sign * (mantissa / 8 * 2**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)))
    return np.array(numbers)


def test_f8_is_the_nearest_of_all_numbers():
    numbers = np.unique(e4m3_numbers())
    assert numbers.max() == 448
    assert np.array_equal(moe.round_f8e4m3(numbers), numbers)
    values = np.concatenate([floats(2000) * 2.0 ** rng(1).integers(-12, 10, 2000), [500, -1e9, 2**-10, 3 * 2**-10]])
    for v in values.astype(np.float32):
        nearest = numbers[np.argmin(np.abs(numbers - v))]
        if abs(v) == 2**-10:
            nearest = 0.0  # half-way between 0 and the smallest: to even
        if abs(v) == 3 * 2**-10:
            nearest = 2 * 2.0**-9
        assert moe.round_f8e4m3(v) == nearest


def test_e2m1_ties_go_to_the_even_code():
    ties = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 7.9, -5], np.float32)
    assert moe.round_e2m1(ties).tolist() == [0, 1, 1, 2, 2, 4, 4, 6, -4]


def test_int4_by_hand():
    v = np.array([[7.0], [-3.4], [2.5], [0.5]], np.float32)  # s = 1; 2.5 and 0.5 are ties
    assert moe.stored(v, Encoding("int4", 4))[:, 0].tolist() == [7, -3, 2, 0]
    v = np.array([[-5.0], [10.0], [2.4], [0.0]], np.float32)  # s = 1, z = 5
    assert moe.stored(v, Encoding("int4", 4, zero_point=True))[:, 0].tolist() == [-5, 10, 2, 0]
    v = np.array([[3.0], [15.0], [7.6], [9.0]], np.float32)  # all positive: lo = 0, so 0 keeps its code
    assert moe.stored(v, Encoding("int4", 4, zero_point=True))[:, 0].tolist() == [3, 15, 8, 9]


def test_int8_by_hand():
    v = np.array([[127.0], [-127.0], [0.5], [1.5], [-2.6]], np.float32)  # s = 1
    assert moe.stored(v, Encoding("int8"))[:, 0].tolist() == [127, -127, 0, 2, -3]


def test_codes_are_clamped_when_the_scale_was_rounded_down():
    v = np.array([[10.4], [-10.4], [1.0]], np.float32) * np.float32(2**-24)  # 10.4 / 7 rounds to the smallest f16
    assert (moe.stored(v, Encoding("int4", 3, scale="f16"))[:, 0] * 2**24).tolist() == [7, -7, 1]


def test_mxfp4_by_hand():
    v = np.zeros((32, 1), np.float32)
    v[:4, 0] = [24, 5, -11, 1]  # 2^(4 - 2) = 4: codes 6, 1.25 -> 1, -2.75 -> -3, 0.25 -> 0
    assert moe.stored(v, Encoding("mxfp4", 32))[:4, 0].tolist() == [24, 4, -12, 0]
    v[:4, 0] = [31, 1, 0, 0]  # 7.75 saturates at 6
    assert moe.stored(v, Encoding("mxfp4", 32))[0, 0] == 24


GROUPED = [(format, group, zero_point, along)
           for format, group in [("int8", None), ("int8", 8), ("int4", 8), ("f8e4m3", 8)]
           for zero_point in ([False] if format == "f8e4m3" else [False, True])
           for along in (["input", "output"] if group else ["input"])]


@pytest.mark.parametrize("format,group,zero_point,along", GROUPED)
@pytest.mark.parametrize("scale", ["f32", "f16", "bf16"])
def test_error_is_within_half_a_step(format, group, scale, zero_point, along):
    v = floats(2, 16, 24)
    decoded = moe.stored(v, Encoding(format, group, zero_point, scale, along))
    axis = {None: (1, 2), "input": 1, "output": 2}[along if group else None]
    if group:
        split = v.reshape(2, 2, 8, 24) if along == "input" else v.reshape(2, 16, 3, 8)
        axis = 2 if along == "input" else 3
        error = np.abs(decoded - v).reshape(split.shape)
    else:
        split, error = v, np.abs(decoded - v)
    largest = np.abs(split).max(axis, keepdims=True)
    span = np.maximum(split.max(axis, keepdims=True), 0) - np.minimum(split.min(axis, keepdims=True), 0)
    if format == "f8e4m3":
        bound = np.maximum(np.abs(split) * 2**-4, largest / 448 * 2**-10)
    else:
        bound = span / {"int8": 255, "int4": 15}[format] if zero_point else largest / {"int8": 127, "int4": 7}[format] / 2
    slack = {"f32": 1e-6, "f16": 2**-11, "bf16": 2**-8}[scale] * largest  # a rounded scale may cut the largest value
    assert np.all(error <= bound * (1 + slack) + slack)


@pytest.mark.parametrize("encoding", [Encoding("int8"), Encoding("int4", 8), Encoding("int4", 8, True), Encoding("mxfp4", 32),
                                      Encoding("f8e4m3"), Encoding("f8e4m3", 8), Encoding("bf16"), Encoding("f16")])
def test_zeros_stay_zeros_and_one_bad_group_stays_alone(encoding):
    v = floats(1, 64, 4)
    v[0, :32, 1] = 0
    decoded = moe.stored(v, encoding)
    assert not decoded[0, :32, 1].any() and decoded[0, 32:, 1].any()
    if encoding.group:
        loud = v.copy()
        loud[0, 0, 0] = 1000
        assert np.array_equal(moe.stored(loud, encoding)[0, encoding.group :], decoded[0, encoding.group :])


def test_scale_that_rounds_to_zero_decodes_to_zeros():
    v = np.full((4, 1), 1e-8, np.float32)
    assert not moe.stored(v, Encoding("int4", 4, scale="f16")).any()
    assert moe.stored(v, Encoding("int4", 4)).all()


def test_groups_along_output_are_groups_along_input_of_the_transpose():
    v = floats(2, 16, 32)
    for format, group in [("int4", 8), ("int8", 8), ("f8e4m3", 8)]:
        across = moe.stored(v, Encoding(format, group, along="output"))
        down = moe.stored(v.transpose(0, 2, 1).copy(), Encoding(format, group))
        assert np.array_equal(across, down.transpose(0, 2, 1))


# ---------------------------------------------------------------------------------------------- 3. weight expressions


def test_products_and_sums_are_those_of_einsum():
    a, b, shared = floats(3, 4, 2), floats(3, 2, 5, seed=1), floats(2, 5, seed=2)
    assert np.allclose(moe.weight_mul(a, b), np.einsum("nik,nko->nio", a, b), atol=1e-6)
    assert np.allclose(moe.weight_mul(a, shared), np.einsum("nik,ko->nio", a, shared), atol=1e-6)
    assert np.allclose(moe.weight_mul(a[0], shared), a[0] @ shared, atol=1e-6)
    assert np.array_equal(moe.weight_add(shared, b), shared + b)


def test_select_outside_is_zero():
    w = floats(2, 4, 3)
    assert np.array_equal(moe.weight_select(w, [1, -1, 2, 0]), [w[1], 0 * w[0], 0 * w[0], w[0]])


def test_select_moves_outward_over_products_and_sums():
    u, v, table = floats(2, 4, 3), floats(3, 5, seed=1), [1, 0, 1, 1]
    inside = moe.weight_mul(moe.weight_select(u, table), v)
    assert np.array_equal(inside, moe.weight_select(moe.weight_mul(u, v), table))
    other = floats(2, 4, 3, seed=2)
    assert np.array_equal(moe.weight_add(moe.weight_select(u, table), moe.weight_select(other, table)),
                          moe.weight_select(moe.weight_add(u, other), table))


@pytest.mark.parametrize("phi,function", [(None, lambda x: x), ("silu", lambda x: x / (1 + np.exp(-x))), ("tanh", np.tanh)])
def test_mix(phi, function):
    basis, alpha = floats(3, 4, 5), floats(6, 1, 3, seed=1)
    assert np.allclose(moe.weight_mix(basis, alpha, phi), function(np.einsum("em,mio->eio", alpha[:, 0], basis)), atol=1e-6)
    assert np.allclose(moe.weight_mix(basis, alpha[0], phi), moe.weight_mix(basis, alpha, phi)[0])


def test_scale_is_a_diagonal_matrix():
    w, rows, columns = floats(2, 3, 4), floats(2, 1, 3, seed=1), floats(1, 4, seed=2)
    assert np.allclose(moe.weight_scale("input", w, rows), [np.diag(rows[i, 0]) @ w[i] for i in range(2)])
    assert np.allclose(moe.weight_scale("output", w, columns), w @ np.diag(columns[0]))
    assert moe.weight_scale("output", w[0], floats(5, 1, 4)).shape == (5, 3, 4)


def test_ragged_is_a_mask():
    w, sizes = floats(4, 3, 5), [2, 9, 0, -4]
    rows, columns = moe.weight_ragged("input", w, sizes), moe.weight_ragged("output", w, sizes)
    for i, size in enumerate(sizes):
        assert np.array_equal(rows[i], w[i] * (np.arange(3) < size)[:, None])
        assert np.array_equal(columns[i], w[i] * (np.arange(5) < size))


def test_sparse_adds_equal_positions_and_skips_those_outside():
    values = np.array([[1, 2, 4, 8, 16, 32, 64]], np.float32)
    positions = np.array([[0, 1], [0, 1], [2, 0], [-1, 0], [0, -1], [0, 2], [3, 0]])
    assert moe.weight_sparse(values, positions, (3, 2)).tolist() == [[0, 3], [0, 0], [4, 0]]
    both = moe.weight_sparse(np.stack([values, values]), np.stack([positions, positions[::-1]]), (3, 2))
    assert both[1].tolist() == [[0, 96], [0, 0], [16, 0]] and both.shape == (2, 3, 2)


def test_sparse_rounds_once():
    values, positions = np.array([[1, 2**-8, 2**-8]], np.float32), np.zeros((3, 2), int)
    assert moe.weight_sparse(values, positions, (1, 1), "bf16")[0, 0] == 1 + 2**-7


def test_slices_cover_a_matrix_and_read_zero_outside():
    w = floats(2, 3, 5)
    parts = [moe.weight_slice("output", w, offset, 2) for offset in (0, 2, 4)]
    assert np.array_equal(np.concatenate(parts, 2)[:, :, :5], w) and not parts[2][:, :, 1].any()
    assert np.array_equal(moe.weight_slice("input", w, -1, 2)[:, 1], w[:, 0])


def test_a_product_with_a_mix_distributes_only_without_phi():
    basis, alpha, x = floats(3, 4, 5), floats(2, 1, 3, seed=1), floats(4, seed=2)
    folded = sum(alpha[0, 0, m] * (x @ basis[m]) for m in range(3))
    assert np.allclose(x @ moe.weight_mix(basis, alpha)[0], folded, atol=1e-5)
    assert not np.allclose(x @ moe.weight_mix(basis, alpha, "silu")[0], folded, atol=1e-2)


def test_formats_are_ordered_by_error():
    v = floats(1, 64, 8)
    errors = {name: np.abs(moe.stored(v, Encoding(*name)) - v).mean()
              for name in [("f16",), ("bf16",), ("int8", 32), ("f8e4m3", 32), ("int4", 32)]}
    assert all(a < b for a, b in itertools.pairwise(errors.values()))
