"""Checks the oracle's expert layers, slot form and scheduled form against einsum, brute force and algebraic identities.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import math

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Act, Specials

T, D, F, E, G, K, R = 7, 6, 5, 8, 3, 3, 2
TABLE = np.array([0, 1, 0, 2, 1, 1, 0, 2])


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def some_ids(seed=0, experts=E):
    """K different experts for each token, and a few slots without."""
    random = np.random.default_rng(seed)
    ids = np.stack([random.permutation(experts)[:K] for _ in range(T)]).astype(np.int32)
    ids[0, 1] = ids[2, 0] = ids[3, :] = -1
    return ids


def dense(x, ids, p, layer):
    """A layer without loops over slots: every expert on every token, then a one-hot combination."""
    one_hot = (ids[:, :, None] == np.arange(E)) * p[:, :, None]
    return np.einsum("te,etd->td", one_hot.sum(1), np.stack([layer(x, i) for i in range(E)]))


def swiglu(g, u):
    return g / (1 + np.exp(-g)) * u


# -------------------------------------------------------------------------------------------------------- activations

REFERENCE = {
    "identity": lambda x: x, "silu": lambda x: x / (1 + np.exp(-x)), "relu": lambda x: x * (x > 0),
    "gelu": lambda x: np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x]),
    "gelu_tanh": lambda x: x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu2": lambda x: (x * (x > 0)) ** 2, "sigmoid_alpha": lambda x: x / (1 + np.exp(-x)), "tanh": np.tanh,
}


@pytest.mark.parametrize("kind", REFERENCE)
def test_activations(kind):
    x, u = np.linspace(-6, 6, 41), np.linspace(3, -5, 41)
    f = REFERENCE[kind]
    assert np.allclose(moe.activate(Act(kind), x), f(x), atol=1e-6)
    assert np.allclose(moe.activate(Act(kind), u, x), f(x) * u, atol=1e-5)
    assert np.allclose(moe.activate(Act(kind, clamp=2.0), x), f(np.minimum(x, 2)), atol=1e-6)  # no lower bound
    assert np.allclose(moe.activate(Act(kind, clamp=2.0, offset=1.0), u, x),
                       f(np.minimum(x, 2)) * (np.clip(u, -2, 2) + 1), atol=1e-5)


def test_gpt_oss_activation():
    gate, up = floats(50) * 6, floats(50, seed=1) * 6
    clamped_gate, clamped_up = np.minimum(gate, 7), np.clip(up, -7, 7)
    glu = clamped_gate * (1 / (1 + np.exp(-1.702 * clamped_gate)))
    y = moe.activate(Act("sigmoid_alpha", alpha=1.702, clamp=7.0, offset=1.0), up, gate)
    assert np.allclose(y, (clamped_up + 1) * glu, rtol=1e-5, atol=1e-6)


# -------------------------------------------------------------------------------------------------------- moe.experts


def test_gated_layer_with_biases():
    x, ids, p = floats(T, D), some_ids(), floats(T, K, seed=2)
    up, gate, down = floats(E, D, F), floats(E, D, F, seed=1), floats(E, F, D)
    bu, bg, bd = floats(E, 1, F), floats(E, 1, F, seed=1), floats(E, 1, D)
    y = moe.experts(x, ids, p, up, down, gate=gate, up_bias=bu, gate_bias=bg, down_bias=bd, act=Act("silu"))
    expected = dense(x, ids, p, lambda x, i: swiglu(x @ gate[i] + bg[i], x @ up[i] + bu[i]) @ down[i] + bd[i])
    assert np.allclose(y, expected, atol=1e-4)
    assert not y[3].any()  # no expert at all, though p is not zero


def test_input_gating_is_llama4():
    x, ids, p = floats(T, D), some_ids(), 1 / (1 + np.exp(-floats(T, K, seed=2)))
    up, gate, down = floats(E, D, F), floats(E, D, F, seed=1), floats(E, F, D)
    y = moe.experts(x, ids, p, up, down, gate=gate, act=Act("silu"), gated="on_input")
    expected = np.zeros((T, D))
    for j in range(K):  # transformers: routed_in = x * score, then every expert, then a sum
        chosen = np.eye(E)[ids[:, j]] * (ids[:, j] >= 0)[:, None]
        routed = x * p[:, j, None]
        outputs = np.stack([swiglu(routed @ gate[i], routed @ up[i]) @ down[i] for i in range(E)])
        expected += np.einsum("te,etd->td", chosen, outputs)
    assert np.allclose(y, expected, atol=1e-4)


def test_the_two_gatings_agree_on_a_linear_expert_without_bias():
    x, ids, p, up, down = floats(T, D), some_ids(), floats(T, K, seed=2), floats(E, D, F), floats(E, F, D)
    layers = [moe.experts(x, ids, p, up, down, act=Act("identity"), gated=side) for side in ("on_input", "on_output")]
    assert np.allclose(*layers, atol=1e-4)


def test_special_experts():
    specials = Specials(zero=1, identity=2, constant=2, constants=floats(2, D), mixing=floats(2, D, 2))
    x, p, up, down = floats(T, D), floats(T, K, seed=2), floats(E, D, F), floats(E, F, D)
    ids = some_ids(experts=E + 5)
    ids[1] = [8, 9, 12]
    y = moe.experts(x, ids, p, up, down, act=Act("relu"), specials=specials)
    for t in range(T):
        total = np.zeros(D)
        for i, weight in zip(ids[t], p[t]):
            if 0 <= i < E:
                total += weight * (np.maximum(x[t] @ up[i], 0) @ down[i])
            elif i in (9, 10):
                total += weight * x[t]
            elif i in (11, 12):
                a = np.exp(x[t] @ specials.mixing[i - 11])
                total += weight * (a[0] * x[t] + a[1] * specials.constants[i - 11]) / a.sum()
        assert np.allclose(y[t], total, atol=1e-4)
    plain = Specials(constant=1, constants=specials.constants[:1])
    only = moe.experts(x, np.full((T, K), E), p, up, down, act=Act("relu"), specials=plain)
    assert np.allclose(only, p.sum(1)[:, None] * plain.constants[0], atol=1e-5)


def test_shared_expert_is_expert_0_of_1():
    x, up, down = floats(T, D), floats(1, D, F), floats(1, F, D)
    gate = 1 / (1 + np.exp(-x @ floats(D, 1, seed=5)))  # Qwen2: sigmoid(x·v)
    y = moe.experts(x, np.zeros((T, 1), int), gate, up, down, act=Act("silu"))
    h = x @ up[0]
    assert np.allclose(y, gate * (h / (1 + np.exp(-h)) @ down[0]), atol=1e-4)


@pytest.mark.parametrize("element,bound", [("bf16", 2**-7), ("f16", 2**-10), ("f64", 1e-14)])
def test_element_types(element, bound):
    x, ids, p, up, down = floats(T, D), some_ids(), floats(T, K, seed=2), floats(E, D, F), floats(E, F, D)
    x, p, up, down = [moe.round_to(v, element) for v in (x, p, up, down)]
    y = moe.experts(x, ids, p, up, down, act=Act("relu"), element=element)
    exact = dense(*[v.astype(np.float64) if v is not ids else v for v in (x, ids, p)],
                  lambda x, i: np.maximum(x @ up[i].astype(np.float64), 0) @ down[i].astype(np.float64))
    assert np.array_equal(moe.round_to(y, element), y)
    assert np.abs(y - exact).max() <= 4 * bound * np.abs(exact).max()


# ----------------------------------------------------------------------------- identities of the shared-base layer


def shared_base():
    base, a, b = floats(G, D, F), floats(E, D, R), floats(E, R, F)
    return base, a, b, moe.weight_add(moe.weight_select(base, TABLE), moe.weight_mul(a, b))


def test_clusters_of_by_hand():
    clusters, slot = moe.clusters_of(np.array([[3, 0, 7], [-1, 9, 4], [0, 1, 3]]), TABLE, 2)
    assert clusters.tolist() == [[2, 0], [1, -1], [0, 1]]
    assert slot.tolist() == [[0, 1, 0], [-1, -1, 0], [0, 1, -1]]  # token 2 has a third cluster: beyond M


@pytest.mark.parametrize("most", [2, 3])
def test_base_once_per_cluster(most):
    base, a, b, w = shared_base()
    x, ids = floats(T, D), some_ids()
    clusters, slot = moe.clusters_of(ids, TABLE, most)
    fits = np.array([len({TABLE[i] for i in row if i >= 0}) <= most for row in ids])
    once = moe.spread(moe.apply(x, base, clusters), slot) + moe.apply(moe.apply(x, a, ids), b, ids)
    assert np.allclose(once[fits], moe.apply(x, w, ids)[fits], atol=1e-4) and (fits.all() or most == 2)


def test_combine_before_down():
    h, ids, p = floats(T, K, D), some_ids(), floats(T, K, seed=2)
    base, a, b, w = shared_base()
    clusters, slot = moe.clusters_of(ids, TABLE, G)
    first = moe.combine(moe.apply(moe.combine(h, p, slot, G), base, clusters))
    rest = moe.combine(moe.apply(moe.apply(h, a, ids), b, ids), p)
    assert np.allclose(first + rest, moe.combine(moe.apply(h, w, ids), p), atol=1e-4)


def test_a_scaled_row_gives_a_scaled_product():
    x, ids, p, w = floats(T, D), some_ids(), floats(T, K, seed=2), floats(E, D, F)
    before = moe.apply(moe.scale_rows(x, p), w, ids)
    assert np.allclose(before, moe.scale_rows(moe.apply(x, w, ids), p), atol=1e-5)


def test_slot_layer_is_moe_experts():
    x, ids, p = floats(T, D), some_ids(experts=E + 2), floats(T, K, seed=2)
    up, gate, down, bias = floats(E, D, F), floats(E, D, F, seed=1), floats(E, F, D), floats(E, 1, D)
    specials = Specials(zero=1, identity=1)
    real, q = moe.real_experts(ids, p, E)
    assert not q[real < 0].any() and np.array_equal(q[real >= 0], p[real >= 0])
    h = moe.activate(Act("silu"), moe.apply(x, up, real), moe.apply(x, gate, real))
    y = moe.combine(moe.apply(h, down, real) + moe.lookup(bias, real), q) + moe.special_experts(x, ids, p, E, specials)
    assert np.allclose(y, moe.experts(x, ids, p, up, down, gate=gate, down_bias=bias, act=Act("silu"), specials=specials),
                       atol=1e-4)


# ------------------------------------------------------------------------------------------------------ scheduled form


def test_group_by_hand():
    clusters = np.array([[1, -1], [0, 1]])
    slot, ids, p = np.array([[0, 0], [1, 0]]), np.array([[4, 2], [3, 0]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    row_token, offsets, pair_row, pair_expert, pair_weight = moe.group(clusters, slot, ids, p, 3)
    assert row_token.tolist() == [1, 0, 1, -1] and offsets.tolist() == [0, 1, 3, 3]
    assert pair_row.tolist() == [0, 1, 1, 2] and pair_expert.tolist() == [0, 4, 2, 3]
    assert pair_weight.tolist() == [0.4, 0.1, 0.2, 0.3]


def test_group_against_a_sort():
    ids, p = some_ids(), floats(T, K, seed=2)
    clusters, slot = moe.clusters_of(ids, TABLE, G)
    row_token, offsets, pair_row, pair_expert, pair_weight = moe.group(clusters, slot, ids, p, G)
    rows = sorted((c, t) for t in range(T) for c in clusters[t] if c >= 0)
    assert row_token.tolist() == [t for _, t in rows] + [-1] * (T * G - len(rows))
    assert offsets.tolist() == [sum(c < g for c, _ in rows) for g in range(G + 1)]
    pairs = sorted((TABLE[ids[t, j]], t, j) for t in range(T) for j in range(K) if ids[t, j] >= 0)
    assert pair_expert.tolist() == [ids[t, j] for _, t, j in pairs] + [-1] * (T * K - len(pairs))
    assert [rows[r] for r in pair_row if r >= 0] == [(c, t) for c, t, _ in pairs]
    assert np.array_equal(pair_weight[: len(pairs)], [p[t, j] for _, t, j in pairs])


def test_scheduled_layer_is_moe_experts():
    """The fused form: up with residual per pair, activation in the epilogue, down with a second segment."""
    x, ids, p = floats(T, D), some_ids(), floats(T, K, seed=2)
    ub, ua, ur, up = shared_base()
    gb, ga, gr = floats(G, D, F, seed=3), floats(E, D, R, seed=3), floats(E, R, F, seed=3)
    gate = moe.weight_add(moe.weight_select(gb, TABLE), moe.weight_mul(ga, gr))
    db, da, dr = floats(G, F, D), floats(E, F, R), floats(E, R, D)
    down = moe.weight_add(moe.weight_select(db, TABLE), moe.weight_mul(da, dr))
    bu, bg = floats(E, 1, F), floats(E, 1, F, seed=1)
    expected = moe.experts(x, ids, p, up, down, gate=gate, up_bias=bu, gate_bias=bg, act=Act("silu"))

    clusters, slot = moe.clusters_of(ids, TABLE, G)
    row_token, offsets, pair_row, pair_expert, pair_weight = moe.group(clusters, slot, ids, p, G)
    rows = moe.gather(x, row_token)
    h = moe.grouped_matmul(rows, [ub, gb], len(pair_row), bias=[bu, bg], groups=offsets, pairs=(pair_row, pair_expert),
                           residual=[(ua, ur), (ga, gr)], act=Act("silu"))
    v = moe.grouped_matmul(h, [da], len(pair_row), entries=pair_expert)
    summed = moe.scatter_combine(h, pair_row, np.zeros((len(row_token), F)), pair_weight)
    out = moe.grouped_matmul(summed, [db], len(row_token), groups=offsets, pairs=(pair_row, pair_expert),
                             segment=(v, dr, pair_weight))
    y = moe.scatter_combine(out, row_token, np.full((T, D), 99.0))
    assert np.allclose(y, expected, atol=1e-4)


def test_grouped_matmul_without_pairs():
    x, w, bias = floats(6, D), floats(G, D, F), floats(G, 1, F)
    offsets = np.array([1, 3, 3, 5])  # row 0 precedes the first group, row 5 follows the last
    y = moe.grouped_matmul(x, [w], 6, bias=[bias], groups=offsets)
    expected = np.zeros((6, F))
    expected[1:3], expected[3:5] = x[1:3] @ w[0] + bias[0], x[3:5] @ w[2] + bias[2]
    assert np.allclose(y, expected, atol=1e-5)
    by_entry = moe.grouped_matmul(x, [w], 6, bias=[bias], entries=np.array([-1, 0, 0, 2, 2, -1]))
    assert np.array_equal(y, by_entry)
    assert np.allclose(moe.grouped_matmul(x, [w[0]], 6, init=np.ones((6, F))), 1 + x @ w[0], atol=1e-5)


def test_pairs_without_expert():
    x, w, a, b, bias = floats(2, D), floats(D, F), floats(E, D, R), floats(E, R, F), floats(E, 1, F)
    row, expert = np.array([0, 1, -1]), np.array([-1, 4, 4])
    y = moe.grouped_matmul(x, [w], 3, bias=[bias], pairs=(row, expert), residual=[(a, b)])
    assert np.allclose(y, [x[0] @ w, x[1] @ w + x[1] @ a[4] @ b[4] + bias[4, 0], 0 * w[0]], atol=1e-5)
    v = floats(3, R)
    y = moe.grouped_matmul(x, [w], 2, pairs=(row, expert), segment=(v, b, None))
    assert np.allclose(y, [x[0] @ w, x[1] @ w + v[1] @ b[4]], atol=1e-5)


def test_gather_and_scatter_leave_out_what_is_outside():
    x, index = floats(3, 2), np.array([2, -1, 3, 2])
    assert np.array_equal(moe.gather(x, index), [x[2], [0, 0], [0, 0], x[2]])
    assert moe.gather(np.array([5, 6, 7]), index, -1).tolist() == [7, -1, -1, 7]
    init = np.ones((4, 2), np.float32)
    once = moe.scatter_combine(x[[0, 1, 2, 0]], index, init, np.array([1, 1, 2, 3]))
    assert np.allclose(once, [[0, 0], [0, 0], x[0] + 3 * x[0], 2 * x[2]])
    assert np.allclose(moe.scatter_combine(x[[0, 1, 2, 0]], index, init, accumulate=True)[2], 1 + 2 * x[0])
