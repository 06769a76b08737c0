"""Checks the oracle's moe.route against the router formulas of published models, hand-computed cases and brute force.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The formulas are written as the models' own code states them (top-k by sorting, masks, gathers, cumulative sums), not as
the specification does.
"""

import math

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Capacity, Choice, Gates, Limit

T, N = 40, 16


def logits(rows=T, columns=N, seed=0, spread=2.0):
    return (np.random.default_rng([seed, rows, columns]).standard_normal((rows, columns)) * spread).astype(np.float32)


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def topk(x, k):
    """Values and indices as torch.topk, sorted; ties to the lowest index."""
    index = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, index, -1), index


def agree(result, ids, weights):
    assert np.array_equal(result[0], ids)
    assert np.allclose(result[1], weights, rtol=1e-5, atol=1e-7)


# ----------------------------------------------------------------------------------------------------------- families


def test_mixtral():
    x = logits()
    values, index = topk(softmax(x), 2)
    agree(moe.route(x, score="softmax", choose=Choice("top_k", 2), gates=Gates("scores", "l1")),
          index, values / values.sum(-1, keepdims=True))


def test_softmax_over_the_chosen_is_the_same_router():
    x = logits()
    renormalised = moe.route(x, score="softmax", choose=Choice("top_k", 3), gates=Gates("scores", "l1"))
    agree(moe.route(x, score="identity", choose=Choice("top_k", 3), gates=Gates("softmax")), *renormalised)


def test_qwen2_does_not_normalise():
    x = logits()
    values, index = topk(softmax(x), 4)
    agree(moe.route(x, score="softmax", choose=Choice("top_k", 4)), index, values)


def test_deepseek_v2():
    x, groups, keep = logits(), 4, 2
    scores = softmax(x)
    group_scores = scores.reshape(T, groups, -1).max(-1)
    mask = np.zeros((T, groups))
    np.put_along_axis(mask, topk(group_scores, keep)[1], 1, -1)
    values, index = topk(np.where(np.repeat(mask, N // groups, -1) > 0, scores, 0.0), 3)
    agree(moe.route(x, score="softmax", limit=Limit(keep, groups, "max", "zero"), choose=Choice("top_k", 3),
                    gates=Gates("scores", scale=16.0)), index, values * 16)


@pytest.mark.parametrize("masked", ["zero", "neg_inf"])
def test_deepseek_v3(masked):
    x, bias, groups, keep = logits(), logits(1, N, 1)[0] * 0.2, 4, 2
    scores = sigmoid(x)
    choice = scores + bias
    group_scores = topk(choice.reshape(T, groups, -1), 2)[0].sum(-1)
    mask = np.zeros((T, groups))
    np.put_along_axis(mask, topk(group_scores, keep)[1], 1, -1)
    masked_scores = np.where(np.repeat(mask, N // groups, -1) > 0, choice, 0.0 if masked == "zero" else -np.inf)
    index = topk(masked_scores, 6)[1]
    weights = np.take_along_axis(scores, index, -1)
    agree(moe.route(x, score="sigmoid", bias=bias, limit=Limit(keep, groups, "top2_sum", masked), choose=Choice("top_k", 6),
                    gates=Gates("scores", "l1", 1e-20, 2.5)),
          index, weights / (weights.sum(-1, keepdims=True) + 1e-20) * 2.5)


def test_masked_zero_and_neg_inf_differ_where_keys_are_negative():
    x, bias = np.zeros((1, 4), np.float32), np.array([-0.4, -0.7, -0.8, -0.9], np.float32)  # scores 0.5
    kept = dict(score="sigmoid", bias=bias, choose=Choice("top_k", 2))
    assert moe.route(x, limit=Limit(1, 2, "max", "neg_inf"), **kept)[0].tolist() == [[0, 1]]
    assert moe.route(x, limit=Limit(1, 2, "max", "zero"), **kept)[0].tolist() == [[0, 2]]


def test_deepseek_v4_hash():
    x, tokens = logits(5), np.array([3, 0, 9, 3, -1])
    table = np.array([[1, 5], [2, 2], [7, -1], [15, 0]], np.int32)
    scores = np.sqrt(np.log1p(np.exp(x.astype(np.float64))))
    ids, weights = moe.route(x, score="sqrt_softplus", choose=Choice("hash", 2), hash_table=table, tokens=tokens,
                             gates=Gates("scores", "l1", scale=1.5))
    assert ids.tolist() == [[15, 0], [1, 5], [-1, -1], [15, 0], [-1, -1]]
    x[1, 5], x[3, 15] = math.nan, math.nan
    assert moe.route(x, score="sqrt_softplus", choose=Choice("hash", 2), hash_table=table, tokens=tokens)[0].tolist() == \
        [[15, 0], [1, -1], [-1, -1], [-1, 0], [-1, -1]]
    for t, row in [(0, [15, 0]), (1, [1, 5]), (3, [15, 0])]:
        assert np.allclose(weights[t], 1.5 * scores[t, row] / scores[t, row].sum(), rtol=1e-5)
    assert not weights[[2, 4]].any()


def test_gpt_oss():
    x = logits()
    values, index = topk(x, 4)
    agree(moe.route(x, score="identity", choose=Choice("top_k", 4), gates=Gates("softmax")), index, softmax(values))


def test_llama4():
    x = logits()
    values, index = topk(x, 1)
    scores = np.full((T, N), -np.inf)
    np.put_along_axis(scores, index, values, -1)
    agree(moe.route(x, score="identity", choose=Choice("top_k", 1), gates=Gates("sigmoid")),
          index, np.take_along_axis(sigmoid(scores), index, -1))


@pytest.mark.parametrize("jitter", [0.01, 0.2])
def test_phi_sparsemixer(jitter):
    x = logits().astype(np.float64)

    def one(scores, among):
        largest, index = topk(among, 1)
        factor = np.maximum(np.abs(scores), largest)
        masked = np.where((largest - scores) / factor > 2 * jitter, -np.inf, among)
        return index, np.take_along_axis(softmax(masked), index, -1)

    first, multiplier = one(x, x)
    without = x.copy()
    np.put_along_axis(without, first, -np.inf, -1)
    second, multiplier2 = one(x, without)
    agree(moe.route(x.astype(np.float32), score="identity", choose=Choice("sparsemixer", 2, jitter), gates=Gates("sparsemixer")),
          np.concatenate([first, second], -1), np.concatenate([multiplier, multiplier2], -1))


def test_ernie_floor():
    x, bias, floor = logits(spread=0.3), logits(1, N, 1, 0.02)[0], 0.3
    scores = softmax(x)
    index = topk(scores + bias, 3)[1]
    values = np.take_along_axis(scores, index, -1)
    total = values.sum(-1, keepdims=True)
    assert (total < floor).any() and (total > floor).any()
    agree(moe.route(x, score="softmax", bias=bias, choose=Choice("top_k", 3), gates=Gates("scores", "l1_floor", floor)),
          index, values / np.clip(total, floor, None))


def test_longcat():
    x, bias = logits(), logits(1, N, 1, 0.05)[0]
    scores = softmax(x)
    index = topk(scores + bias, 5)[1]
    agree(moe.route(x, score="softmax", bias=bias, choose=Choice("top_k", 5), gates=Gates("scores", scale=6.0)),
          index, np.take_along_axis(scores, index, -1) * 6)


@pytest.mark.parametrize("factor", [0.5, 1.25])
def test_switch_capacity(factor):
    x = logits() + logits(1, N, 1)  # some experts are more popular
    probabilities = softmax(x)
    one_hot = np.eye(N, dtype=int)[probabilities.argmax(-1)]
    capacity = math.ceil(factor * T / N)
    kept = one_hot * (np.cumsum(one_hot, 0) <= capacity)  # token priority
    assert kept.sum() < T
    index = np.where(kept.any(-1), kept.argmax(-1), -1)[:, None]
    agree(moe.route(x, score="softmax", choose=Choice("top_k", 1), capacity=Capacity(factor)),
          index, np.where(index >= 0, probabilities.max(-1, keepdims=True), 0))


def test_gshard_capacity_counts_first_choices_first():
    x, k, capacity = logits(), 2, math.ceil(0.75 * T * 2 / N)
    values, index = topk(softmax(x), k)
    one_hot = np.eye(N, dtype=int)[index].transpose(1, 0, 2)  # [k, T, N]: all first choices before second ones
    place = np.cumsum(one_hot.reshape(k * T, N), 0).reshape(k, T, N) * one_hot
    kept = ((place > 0) & (place <= capacity)).any(-1).T
    agree(moe.route(x, score="softmax", choose=Choice("top_k", k), capacity=Capacity(0.75)),
          np.where(kept, index, -1), np.where(kept, values, 0))


def test_capacity_has_a_lower_bound_and_may_drop_the_lowest():
    x = np.array([[2.0, 0], [3, 0], [1, 0], [3, 0]], np.float32)
    every = dict(score="identity", choose=Choice("top_k", 1), gates=Gates("sigmoid"))
    assert moe.route(x, capacity=Capacity(0.5), **every)[0].T.tolist() == [[0, -1, -1, -1]]
    assert moe.route(x, capacity=Capacity(0.5, at_least=3), **every)[0].T.tolist() == [[0, 0, 0, -1]]
    assert moe.route(x, capacity=Capacity(0.5, "lowest"), **every)[0].T.tolist() == [[-1, 0, -1, -1]]
    ids, weights = moe.route(x, capacity=Capacity(1.0, "lowest"), **every)
    assert ids.T.tolist() == [[-1, 0, -1, 0]] and weights[0] == 0
    lowest = moe.route(np.array([[math.inf, 1, 1]] * 2, np.float32)[:, :2], score="identity", choose=Choice("top_k", 1),
                       gates=Gates("softmax"), capacity=Capacity(0.5, "lowest"))  # inf - inf: NaN weighs least, ties by token
    assert lowest[0].T.tolist() == [[0, -1]] and np.isnan(lowest[1][0])


def test_two_stage_by_prototypes():
    table = np.array([0, 2, 1, 1, 0, 2, 3, 3, 0, 1, 2, 3, 0, 0, 0, 3])
    x, prototypes = logits(), logits(T, 5, 1)  # cluster 4 has no members, but may still be kept
    kept = topk(prototypes, 2)[1]
    inside = (table[None, :, None] == kept[:, None, :]).any(-1)
    scores = softmax(x)
    values, index = topk(np.where(inside, scores, -np.inf), 7)
    there = values > -np.inf
    values = np.where(there, values, 0)
    total = values.sum(-1, keepdims=True)
    assert (~there).any() and (total > 0).all()
    agree(moe.route(x, score="softmax", limit=Limit(2, 5, "logits"), table=table, group_logits=prototypes,
                    choose=Choice("top_k", 7), gates=Gates("scores", "l1")), np.where(there, index, -1), values / total)


def test_limits_at_the_edges_of_numbers():
    nan, inf = math.nan, math.inf
    x = np.array([[nan, 1, 5, 2], [-inf, nan, -inf, nan], [4, nan, 1, 2]], np.float32)
    run = lambda by, masked: moe.route(x, score="sqrt_softplus" if masked == "zero" else "identity", limit=Limit(1, 2, by, masked),
                                       choose=Choice("top_k", 2))
    assert run("max", "neg_inf")[0].tolist() == [[2, 3], [-1, -1], [0, -1]]
    for by in ("top2_sum", "sum"):  # a NaN counts as -inf, so does its sum
        assert run(by, "neg_inf")[0].tolist() == [[2, 3], [-1, -1], [3, 2]]
    ids, weights = run("max", "zero")
    assert ids.tolist()[0] == [2, 3] and ids.tolist()[1] == [0, 2]  # kept group 0: NaN is not chosen; 2 and 3 were masked to 0
    ids, _ = moe.route(x[:1], score="identity", limit=Limit(2, 3, "logits"), table=np.array([0, 7, 1, -1]),
                       group_logits=np.array([[-inf, -inf, -inf]]), choose=Choice("top_k", 3))
    assert ids.tolist() == [[2, -1, -1]]  # groups 0 and 1 are kept though they score -inf; columns 1 and 3 are in none


def test_group_scores_with_a_table():
    x = np.array([[5, 1, 4, 3, 2, 9]], np.float32)  # column 5 is special: in no group, never masked
    table = np.array([0, 0, 1, 1, 2])
    run = lambda by, keep: moe.route(x, score="identity", limit=Limit(keep, 4, by), table=table, choose=Choice("top_k", 3),
                                     gates=Gates("softmax"))[0].tolist()
    assert run("max", 1) == [[5, 0, 1]]
    assert run("top2_sum", 1) == [[5, 2, 3]]  # 4 + 3 beats 5 + 1, and the single 2
    assert run("sum", 1) == [[5, 2, 3]]
    assert run("max", 3) == [[5, 0, 2]]
    x[0, 4] = 8
    assert run("top2_sum", 1) == run("sum", 1) == [[5, 4, -1]]  # a group of one scores its key
    table[:] = [0, 1, 1, 1, 2]
    x[0, 4] = 2
    assert run("top2_sum", 1) == [[5, 2, 3]] and run("sum", 1) == [[5, 2, 3]]
    x[0, :4] = [8, 2, 4, 3]
    assert run("top2_sum", 1) == [[5, 0, -1]]  # 8 beats 4 + 3, but not 4 + 3 + 2
    assert run("sum", 1) == [[5, 2, 3]]


def test_sum_of_softmax_scores_is_log_sum_exp_of_logits():
    table = np.array([0, 2, 1, 1, 0, 2, 3, 3, 0, 1, 2, 3, 0, 0, 0, 3])
    x = logits()
    grouped = np.stack([np.where(table == group, np.exp(x.astype(np.float64)), 0).sum(-1) for group in range(4)], -1)
    choose = Choice("top_k", 4)
    for keep in (1, 2, 3):
        by_sum = moe.route(x, score="softmax", limit=Limit(keep, 4, "sum"), table=table, choose=choose)
        by_logits = moe.route(x, score="softmax", limit=Limit(keep, 4, "logits"), table=table, choose=choose,
                              group_logits=np.log(grouped).astype(np.float32))
        assert (by_sum[0] == by_logits[0]).all() and (by_sum[1] == by_logits[1]).all()


# ------------------------------------------------------------------------------------------- choices, norms, edge cases


def test_top_p_keeps_until_the_sum_reaches_p():
    x = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.9, 0.05, 0.03, 0.02], [0.25] * 4], np.float32))
    ids, weights = moe.route(x, score="softmax", choose=Choice("top_p", 3, 0.7), gates=Gates("scores", "l1"))
    assert ids.tolist() == [[0, 1, -1], [0, -1, -1], [0, 1, 2]]
    assert np.allclose(weights, [[5 / 8, 3 / 8, 0], [1, 0, 0], [1 / 3] * 3], atol=1e-6)
    quarters = np.zeros((1, 4), np.float32)
    assert moe.route(quarters, score="softmax", choose=Choice("top_p", 4, 0.5))[0].tolist() == [[0, 1, -1, -1]]
    assert moe.route(x, score="softmax", choose=Choice("top_p", 3, 0.0))[0].tolist() == [[0, -1, -1]] * 3


def test_threshold():
    x = np.array([[0, 2, -1, 1], [-3, -2, -5, -4], [0, 0, 0, 0]], np.float32)
    ids, weights = moe.route(x, score="sigmoid", choose=Choice("threshold", 2, 0.5), gates=Gates("scores", "l1"))
    assert ids.tolist() == [[1, 3], [-1, -1], [0, 1]] and weights[1].tolist() == [0, 0]


def test_expert_choice_against_a_sort():
    x, factor, k = logits(), 0.7, 2
    scores = softmax(x)
    capacity = min(T, math.ceil(factor * T / N))
    taken = np.zeros((T, N), bool)
    for column in range(N):
        taken[np.argsort(-scores[:, column], kind="stable")[:capacity], column] = True
    ids, weights = moe.route(x, score="softmax", choose=Choice("expert_choice", k, factor))
    for t in range(T):
        mine = sorted(np.flatnonzero(taken[t]), key=lambda c: (-scores[t, c], c))[:k]
        assert ids[t].tolist() == mine + [-1] * (k - len(mine))
        assert np.allclose(weights[t, : len(mine)], scores[t, mine], rtol=1e-5) and not weights[t, len(mine) :].any()
    assert (ids[:, 0] == -1).any()


def test_norms_by_hand():
    x = np.log(np.array([[3.0, 4.0, 1.0]], np.float32))  # sigmoid: 3/4, 4/5, 1/2
    weigh = lambda norm, eps=0.0: moe.route(x, score="sigmoid", choose=Choice("top_k", 2), gates=Gates("scores", norm, eps))[1][0]
    values = np.array([0.8, 0.75])
    assert np.allclose(weigh("l1"), values / 1.55) and np.allclose(weigh("l1", 0.5), values / 2.05)
    assert np.allclose(weigh("l2"), values / math.sqrt(0.64 + 0.5625))
    assert np.allclose(weigh("l2", 1.0), values / (math.sqrt(0.64 + 0.5625) + 1))
    assert np.allclose(weigh("l1_floor", 0.1), values / 1.55) and np.allclose(weigh("l1_floor", 2.0), values / 2)


def test_a_zero_denominator_gives_zeros():
    x = np.full((1, 4), -200, np.float32)  # sigmoid underflows to 0
    for norm in ("l1", "l2", "l1_floor"):
        ids, weights = moe.route(x, score="sigmoid", choose=Choice("top_k", 2), gates=Gates("scores", norm))
        assert ids.tolist() == [[0, 1]] and weights.tolist() == [[0, 0]]


def test_sqrt_softplus_does_not_overflow():
    x = np.array([[-100, 0, 100]], np.float32)
    weights = moe.route(x, score="sqrt_softplus", choose=Choice("top_k", 3))[1][0]
    assert np.allclose(weights, [10, math.sqrt(math.log(2)), math.exp(-50)], rtol=1e-5)


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "identity", "sqrt_softplus"])
def test_ties_go_to_the_lowest_index(score):
    gates = Gates("softmax") if score == "identity" else Gates("scores", "l1")
    ids, weights = moe.route(np.zeros((2, 6), np.float32), score=score, choose=Choice("top_k", 3), gates=gates)
    assert ids.tolist() == [[0, 1, 2]] * 2 and np.allclose(weights, 1 / 3)
    limited = moe.route(np.zeros((1, 6), np.float32), score=score, limit=Limit(2, 3, "max"), choose=Choice("top_k", 3),
                        gates=gates)
    assert limited[0].tolist() == [[0, 1, 2]]


def test_nan_and_infinite_logits():
    nan, inf = math.nan, math.inf
    x = np.array([[nan, 1, 2, -inf], [nan, nan, nan, nan], [-inf, -inf, -inf, -inf], [nan, -inf, 3, nan]], np.float32)
    ids, weights = moe.route(x, score="identity", choose=Choice("top_k", 3), gates=Gates("softmax"))
    assert ids.tolist() == [[2, 1, -1], [-1] * 3, [-1] * 3, [2, -1, -1]]
    assert np.allclose(weights, [[1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0], [0] * 3, [0] * 3, [1, 0, 0]])
    ids, weights = moe.route(x, score="softmax", choose=Choice("top_k", 3), gates=Gates("scores", "l1"))
    assert (ids == -1).all() and not weights.any()  # a NaN logit spoils its row's softmax; so does -inf everywhere
    x = np.array([[-inf, 1, 1]], np.float32)
    ids, weights = moe.route(x, score="softmax", choose=Choice("top_k", 3))
    assert ids.tolist() == [[1, 2, 0]] and weights[0].tolist() == [0.5, 0.5, 0]


def test_no_tokens_and_one_token():
    for rows in (0, 1):
        for choose in (Choice("top_k", 2), Choice("expert_choice", 2, 1.5)):
            ids, weights = moe.route(logits(rows), score="softmax", choose=choose)
            assert ids.shape == weights.shape == (rows, 2)
        assert moe.route(logits(rows), score="softmax", choose=Choice("top_k", 2), capacity=Capacity(1.0))[0].shape == (rows, 2)


def test_candidates_are_a_router_over_a_gathered_row():
    x = logits(T, 4)
    members = np.stack([np.random.default_rng(t).permutation(N)[:4] for t in range(T)]).astype(np.int32)
    members[::3, 1] = -1
    members[5] = -1
    ids, weights = moe.route(x, score="softmax", candidates=members, choose=Choice("top_k", 2), gates=Gates("scores"))
    for t in range(T):
        scattered = np.full((1, N), -np.inf)
        scattered[0, members[t][members[t] >= 0]] = x[t][members[t] >= 0]
        if t == 5:
            assert ids[t].tolist() == [-1, -1] and not weights[t].any()
        else:
            values, index = topk(softmax(scattered), 2)
            assert ids[t].tolist() == index[0].tolist() and np.allclose(weights[t], values[0], rtol=1e-5)


def test_gate_weights_are_rounded_at_the_end():
    x = moe.round_to(logits(), "bf16")
    ids, weights = moe.route(x, score="softmax", choose=Choice("top_k", 2), gates=Gates("scores", "l1"), element="bf16")
    exact = moe.route(x, score="softmax", choose=Choice("top_k", 2), gates=Gates("scores", "l1"))
    assert np.array_equal(ids, exact[0]) and np.array_equal(weights, moe.round_to(exact[1], "bf16"))
