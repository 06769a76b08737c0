"""Weights of moe programs in plain NumPy: arithmetic, stored tensors and weight expressions (specification 1 to 3).

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The first half of the oracle; moe_numpy.py is the second, says how both are meant, and re-exports this one.

Element types are strings: "f64", "f32", "f16", "bf16". Arrays that stand for an element type hold its values in the
type of computation, float32 (float64 for f64); `round_to` makes a number one of the element type. A weight is an array
[entries, IN, OUT], or [IN, OUT] when it has no axis; a table is an integer array [entries].
"""

import math
from dataclasses import dataclass

import numpy as np

# ---------------------------------------------------------------------------------------------------------------------
# 1. Arithmetic


def computing(element):
    """The NumPy type in which numbers of an element type are computed."""
    return np.float64 if element == "f64" else np.float32


def bf16_bits(values):
    """The bit patterns (uint16) of float32 values rounded to bfloat16, to nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)
    quiet = ((bits >> np.uint32(16)) | np.uint32(0x40)).astype(np.uint16)
    return np.where(np.isnan(values), quiet, rounded)


def from_bf16_bits(bits):
    """The float32 values of bfloat16 bit patterns (uint16)."""
    return (np.asarray(bits, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def round_to(values, element):
    """Values rounded to the nearest of the element type, ties to even, overflowing to infinity."""
    values = np.asarray(values, computing(element))
    if element == "bf16":
        return from_bf16_bits(bf16_bits(values))
    if element == "f16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    return values


def contract(x, w, element="f32"):
    """x [..., K] times w [K, N] -> [..., N]: accumulated in increasing k, rounded once."""
    kind = computing(element)
    x, w = np.asarray(x, kind), np.asarray(w, kind)
    total = np.zeros(x.shape[:-1] + w.shape[-1:], kind)
    for k in range(w.shape[0]):
        total = total + x[..., k, None] * w[k]
    return round_to(total, element)


def exp(x):
    """e to the x; too large a number is infinity, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x)


def sigmoid(x):
    """1 / (1 + e^-x), element-wise."""
    return (1 / (1 + exp(-x))).astype(x.dtype)


def softmax(x):
    """Softmax of one row [N], the maximum subtracted first."""
    if x.size == 0:
        return x
    with np.errstate(invalid="ignore"):
        powers = exp(x - np.max(x))
        total = x.dtype.type(0)
        for power in powers:
            total = total + power
        return powers / total


# ---------------------------------------------------------------------------------------------------------------------
# 2. Stored tensors


def seeded(seed, shape, scale=1.0):
    """2.1: the values of `#moe.seeded<seed scale s>` for a tensor of this shape, as float32."""
    value = np.empty(math.prod(shape), np.float32)
    for n in range(value.size):
        h = (seed * 0x9E3779B9 + n * 0x85EBCA6B + 0x27D4EB2F) & 0xFFFFFFFF
        h ^= h >> 16
        h = (h * 0x7FEB352D) & 0xFFFFFFFF
        h ^= h >> 15
        h = (h * 0x846CA68B) & 0xFFFFFFFF
        h ^= h >> 16
        value[n] = np.float32(scale * ((h >> 8) * 2.0**-23 - 1.0))
    return value.reshape(shape)


def recipe_mean(of, table, targets):
    """`#moe.mean`: of [n, IN, OUT] and table [n] -> [targets, IN, OUT], zero for a target without entries."""
    result = np.zeros((targets,) + of.shape[1:], np.float64)
    for target in range(targets):
        members = [of[i].astype(np.float64) for i in range(len(table)) if table[i] == target]
        if members:
            result[target] = sum(members) / len(members)
    return result


def recipe_permuted(of, permutations, side):
    """`#moe.permuted`: of [n, IN, OUT], permutations [n, IN] (side "input") or [n, OUT]."""
    return np.stack([of[i][p] if side == "input" else of[i][:, p] for i, p in enumerate(permutations)])


def recipe_svd(of, base, table, rank):
    """`#moe.svd`, both sides: of [n, IN, OUT], base [G, IN, OUT] by table [n], or [IN, OUT], or None -> A [n, IN, r], B [n, r, OUT]."""
    inputs, outputs = [], []
    for i in range(len(of)):
        difference = of[i].astype(np.float64)
        if base is not None:
            difference = difference - (base if base.ndim == 2 else base[table[i]]).astype(np.float64)
        left, values, right = np.linalg.svd(difference, full_matrices=False)
        for j in range(rank):
            if left[np.argmax(np.abs(left[:, j])), j] < 0:  # argmax: the first on a tie
                left[:, j], right[j] = -left[:, j], -right[j]
        root = np.sqrt(values[:rank])
        inputs.append(left[:, :rank] * root)
        outputs.append(root[:, None] * right[:rank])
    return np.stack(inputs), np.stack(outputs)


def recipe_mix_factor(of, mixed, side, noise=0.002):
    """`#moe.mix_factor`: of [n, IN, OUT] beside mixed [n, IN, r] (side "input") -> [n, r, OUT], or [n, r, OUT] -> [n, IN, r]."""
    if side == "output":
        flipped = recipe_mix_factor(of.transpose(0, 2, 1), mixed.transpose(0, 2, 1), "input", noise)
        return flipped.transpose(0, 2, 1)
    left, right = mixed.astype(np.float64), of.astype(np.float64)
    gram = left.transpose(0, 2, 1) @ left
    share = 2 * noise**2 * np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
    return np.linalg.solve(gram + share[:, None, None] * np.eye(gram.shape[1]), left.transpose(0, 2, 1) @ right)


@dataclass
class Encoding:
    """2.2: `<format [group g] [zero_point] [scale t] [along side]>`."""

    format: str
    group: int | None = None
    zero_point: bool = False
    scale: str = "f32"
    along: str = "input"


def rne(x):
    """Round to the nearest integer, ties to even."""
    return np.rint(x)


def round_f8e4m3(values):
    """Nearest OCP E4M3 number (4 exponent bits, bias 7, 3 mantissa bits, largest 448), saturating."""
    values = np.asarray(values, np.float32)
    size = np.minimum(np.abs(values), np.float32(448))
    _, exponent = np.frexp(size)  # size = mantissa * 2^exponent with mantissa in [1/2, 1)
    step = np.ldexp(np.float32(1), np.maximum(exponent - 1, -6) - 3)
    return np.copysign(np.minimum(rne(size / step) * step, np.float32(448)), values)


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def round_e2m1(values):
    """Nearest E2M1 number, ties to the even code, saturating at 6."""
    result = np.empty_like(values)
    for n, v in np.ndenumerate(values):
        distance = np.abs(E2M1 - np.abs(v))
        nearest = [code for code in range(8) if distance[code] == distance.min()]
        code = nearest[0] if len(nearest) == 1 else next(c for c in nearest if c % 2 == 0)
        result[n] = np.copysign(E2M1[code], v)
    return result


def decode_group(v, encoding):
    """decode(encode(v)) of one group v [n] of float32 values."""
    f32, largest = np.float32, np.max(np.abs(v))
    if largest == 0:
        return np.zeros_like(v)
    if encoding.format == "mxfp4":
        exponent = math.frexp(largest)[1] - 1  # floor(log2 |v|), exact for subnormal numbers too
        scale = np.ldexp(1.0, min(max(exponent - 2, -127), 127))
        return (round_e2m1(v / scale) * scale).astype(f32)
    if encoding.zero_point:
        levels = {"int8": 255, "int4": 15}[encoding.format]
        low, high = min(v.min(), f32(0)), max(v.max(), f32(0))
        scale = round_to((high - low) / f32(levels), encoding.scale)
        if scale == 0:
            return np.zeros_like(v)
        zero = np.clip(rne(-low / scale), 0, levels)
        return scale * (np.clip(rne(v / scale) + zero, 0, levels) - zero)
    limit = {"int8": 127, "int4": 7, "f8e4m3": 448}[encoding.format]
    scale = round_to(largest / f32(limit), encoding.scale)
    if scale == 0:
        return np.zeros_like(v)
    if encoding.format == "f8e4m3":
        return scale * round_f8e4m3(v / scale)
    return scale * np.clip(rne(v / scale), -limit, limit)


def stored(values, encoding=None, element="f32"):
    """The value of a leaf: decode(encode(v)) of [entries, IN, OUT] or [IN, OUT], in the weight's element type."""
    values = np.asarray(values)
    if encoding is None:
        return round_to(values, element)
    if encoding.format in ("f32", "bf16", "f16"):
        return round_to(round_to(values.astype(np.float32), encoding.format), element)
    result = values.astype(np.float32)
    if encoding.format == "f8e4m3" and encoding.group is None:
        return round_to(round_f8e4m3(result), element)
    for matrix in result if result.ndim == 3 else [result]:
        rows, columns = matrix.shape
        if encoding.group is None:
            matrix[:] = decode_group(matrix.reshape(-1), encoding).reshape(matrix.shape)
        elif encoding.along == "input":
            for j in range(0, rows, encoding.group):
                for column in range(columns):
                    matrix[j : j + encoding.group, column] = decode_group(matrix[j : j + encoding.group, column], encoding)
        else:
            for row in range(rows):
                for j in range(0, columns, encoding.group):
                    matrix[row, j : j + encoding.group] = decode_group(matrix[row, j : j + encoding.group], encoding)
    return round_to(result, element)


# ---------------------------------------------------------------------------------------------------------------------
# 3. Weight expressions


def entry(w, i):
    """Matrix i of a weight; a weight without axis is the same for every i."""
    return w[i] if w.ndim == 3 else w


def each(compute, *weights):
    """One matrix for each entry of the weights' common axis; one matrix if none has an axis."""
    counts = {len(w) for w in weights if w.ndim == 3}
    assert len(counts) <= 1, "W4: axes differ"
    if not counts:
        return compute(*weights)
    return np.stack([compute(*[entry(w, i) for w in weights]) for i in range(counts.pop())])


def weight_select(w, table):
    """w [n, IN, OUT] by table [m] -> [m, IN, OUT]; zero where the table points outside."""
    return np.stack([w[target] if 0 <= target < len(w) else np.zeros_like(w[0]) for target in table])


def weight_mul(left, right, element="f32"):
    """left [n,] IN, K and right [n,] K, OUT -> [n,] IN, OUT."""
    return each(lambda l, r: contract(l, r, element), left, right)


def weight_add(left, right, element="f32"):
    """left and right [n,] IN, OUT -> [n,] IN, OUT."""
    return each(lambda l, r: round_to(l + r, element), left, right)


def weight_mix(basis, alpha, phi=None, element="f32"):
    """basis [m, IN, OUT], alpha [n,] 1, m -> [n,] IN, OUT."""

    def one(a):
        total = np.zeros(basis.shape[1:], computing(element))
        for m in range(len(basis)):
            total = total + a[0, m] * basis[m]
        total = round_to(total, element)
        return {None: total, "silu": round_to(total * sigmoid(total), element), "tanh": round_to(np.tanh(total), element)}[phi]

    return each(one, alpha)


def weight_scale(side, w, d, element="f32"):
    """w [n,] IN, OUT with d [n,] 1, IN (side input: rows) or [n,] 1, OUT (side output: columns)."""
    return each(lambda m, v: round_to(v[0][:, None] * m if side == "input" else m * v[0][None, :], element), w, d)


def weight_ragged(side, w, sizes):
    """w [n, IN, OUT] with rows (columns) from sizes[i] on set to zero."""
    result = w.copy()
    for i in range(len(w)):
        kept = max(int(sizes[i]), 0)
        if side == "input":
            result[i, kept:, :] = 0
        else:
            result[i, :, kept:] = 0
    return result


def weight_sparse(values, positions, shape, element="f32"):
    """values [n,] 1, nnz at positions [n,] nnz, 2 -> [n,] IN, OUT (shape); -1 and other places outside are skipped."""

    def one(v, where):
        total = np.zeros(shape, computing(element))
        for j in range(v.shape[1]):
            row, column = int(where[j, 0]), int(where[j, 1])
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                total[row, column] += v[0, j]
        return round_to(total, element)

    return each(one, values, positions)


def weight_slice(side, w, offset, size):
    """size rows (columns) of w [n,] IN, OUT from offset on; zero where w has none."""

    def one(m):
        result = np.zeros((size, m.shape[1]) if side == "input" else (m.shape[0], size), m.dtype)
        for j in range(size):
            if side == "input" and 0 <= offset + j < m.shape[0]:
                result[j] = m[offset + j]
            if side == "output" and 0 <= offset + j < m.shape[1]:
                result[:, j] = m[:, offset + j]
        return result

    return each(one, w)
