"""Values of each scheduled-form op alone in a function, on tensors.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Row and pair counts are static here: they are not extents of the arguments. Destinations arrive full of other numbers, so
that an op that forgets to overwrite shows.
"""

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Act
from program import Program, compile_module, module_of

D, F, E, G, K, R = 6, 5, 8, 3, 4, 2
EXPERT, CLUSTER = f"expert[{E}]", f"cluster[{G}]"
TABLE = [0, 2, 0, 2, 2, 0, 0, 2]  # cluster 1 has no members


def kind_of(shape, element):
    return "tensor<" + "".join(f"{n}x" for n in shape) + element + ">"


def given(f, data, element="f32"):
    """A static argument."""
    return f.argument(np.asarray(data), element, tokens=False)


def numbers(f, *shape, element="f32"):
    return given(f, f.floats(*shape, element=element), element)


def integers(f, data):
    return given(f, np.asarray(data, np.int32), "i32")


def id_list(f, data, axis):
    return f.ids(np.asarray(data, np.int32), axis, tokens=False)


def poison(f, *shape, element="f32"):
    """A destination that holds something else."""
    return given(f, np.full(shape, 55, np.int32 if element == "i32" else np.float32), element)


# group


def group(tokens, most, k, empty=False, by_choice=False):
    def build(f):
        ids = np.stack([f.random().permutation(E)[:k] for _ in range(tokens)]).astype(np.int32)
        ids = np.where(f.random().random(ids.shape) < 0.2, np.int32(-1), ids)
        ids[-1] = -1
        if empty:
            ids[:] = -1
        if by_choice:
            clusters, slot = np.where(ids < 0, -1, np.array(TABLE)[ids]).astype(np.int32), None
        else:
            clusters, slot = moe.clusters_of(ids, TABLE, most)
        p = f.floats(tokens, k)
        expected = moe.group(clusters, slot, ids, p, G)
        axis_type = lambda shape, axis: kind_of(shape, f"!moe.id<{axis}>")
        ins = [f.ids(clusters, CLUSTER, tokens=False), f.ids(ids, EXPERT, tokens=False), given(f, p)]
        slots = integers(f, slot) if slot is not None else None
        outs = [poison(f, tokens * most, element="i32"), poison(f, G + 1, element="i32"), poison(f, tokens * k, element="i32"),
                id_list(f, np.full(tokens * k, 5), EXPERT), poison(f, tokens * k)]
        words = (f"moe.group ins({', '.join(map(str, ins))} : {', '.join(v.type for v in ins)})"
                 + (f" slots({slots} : {slots.type})" if slots else "")
                 + f" outs({', '.join(map(str, outs))} : {', '.join(v.type for v in outs)}) -> {', '.join(v.type for v in outs)}")
        elements = ["i32", "i32", "i32", "id", "f32"]
        f.give(*f.ops(words, *[(o.type, e, element) for o, e, element in zip(outs, expected, elements)]), tolerance=0)
    build.__name__ = f"group_{tokens}_{most}_{k}{'_empty' if empty else ''}{'_by_choice' if by_choice else ''}"
    return build


GROUPS = [group(7, 2, 3), group(7, 1, 1), group(7, 3, 4), group(1, 2, 2), group(5, 2, 3, empty=True), group(6, 3, 3, by_choice=True)]


# gather


def gather(f, x, index, kind, element, missing=0):
    data = moe.gather(x.data, index.data, missing)
    out = poison(f, *data.shape, element=element) if element != "id" else f.ids(np.full(data.shape, 3, np.int32), EXPERT, tokens=False)
    f.give(f.op(f"moe.gather ins({x}, {index} : {x.type}, {index.type}) outs({out} : {out.type}) -> {out.type}", out.type, data,
                element), tolerance=0)


INDEX = [3, -1, 0, 5, 3, 99, 2, -5]  # -1, beyond x, negative


def gather_rows(f):
    gather(f, numbers(f, 5, D), integers(f, INDEX), "rows", "f32")


def gather_bf16(f):
    gather(f, numbers(f, 5, D, element="bf16"), integers(f, INDEX), "rows", "bf16")


def gather_numbers(f):
    gather(f, numbers(f, 5), integers(f, INDEX), "list", "f32")


def gather_integers(f):
    gather(f, integers(f, [7, 8, 9, 10, 11]), integers(f, INDEX), "list", "i32", -1)


def gather_ids(f):
    gather(f, id_list(f, [7, 1, -1, 4, 0], EXPERT), integers(f, INDEX), "list", "id", -1)


# grouped_matmul


def matmul(f, x, weights, rows, *, bias=None, offsets=None, entries=None, pairs=None, residual=None, segment=None, act=None,
           meaning=None, accumulate=False, element="f32", rounding=None):
    """Emits moe.grouped_matmul; every operand is a Value, `residual` a list of pairs, `segment` (v, b, weight or None)."""
    init = numbers(f, rows, weights[0].data.shape[-1], element=element) if accumulate else \
        poison(f, rows, weights[0].data.shape[-1], element=element)
    words = f"moe.grouped_matmul {'accumulate ' if accumulate else ''}ins({x} : {x.type}){words_of(rounding)}"

    def clause(word, values):
        nonlocal words
        if values:
            words += f" {word}({', '.join(map(str, values))} : {', '.join(v.type for v in values)})"

    clause("weights", weights)
    clause("bias", bias)
    clause("groups", [offsets] if offsets else None)
    clause("entries", [entries] if entries else None)
    clause("pair_rows", [pairs[0]] if pairs else None)
    clause("pair_experts", [pairs[1]] if pairs else None)
    clause("residual", [v for pair in residual for v in pair] if residual else None)
    if segment:
        clause("segment", [segment[0]])
        clause("expand", [segment[1]])
        clause("weighted", [segment[2]] if segment[2] else None)
    words += f" act <{act}>" if act else ""
    plain = lambda values: None if values is None else [None if v is None else v.data for v in values]
    data = moe.grouped_matmul(
        x.data, plain(weights), rows, bias=plain(bias), groups=offsets.data if offsets else None,
        entries=entries.data if entries else None, pairs=plain(pairs), residual=[plain(p) for p in residual] if residual else None,
        segment=plain(segment), act=(meaning or Act(act)) if act else None, init=init.data if accumulate else None, experts=E,
        element=element, rounding=rounding)
    f.give(f.op(f"{words} outs({init} : {init.type}) -> {init.type}", init.type, data, element))


OFFSETS = [0, 3, 3, 7]  # of 9 rows: cluster 1 is empty, two rows are beyond the end
ROWS = 9
PAIR_ROW = [0, 0, 1, 2, 4, 4, 4, 6, -1, -1]  # rows 3 and 5 have no pair
PAIR_EXPERT = [3, 1, 0, 7, 2, 2, 5, 6, -1, -1]


def inputs(f, element="f32"):
    return numbers(f, ROWS, D, element=element)


def offsets(f):
    return integers(f, OFFSETS)


def pairs(f):
    return [integers(f, PAIR_ROW), id_list(f, PAIR_EXPERT, EXPERT)]


def low_rank(f, element="f32", rows=D, axes=(EXPERT, EXPERT)):
    return [f.weight(rows, R, axes[0], element), f.weight(R, F, axes[1], element)]


def base(f, element="f32"):
    return f.weight(D, F, CLUSTER, element)


def rows_of_groups(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f))


def rows_of_groups_biased(f):
    matmul(f, inputs(f), [base(f)], ROWS, bias=[f.weight(1, F, CLUSTER)], offsets=offsets(f))


def rows_of_groups_gap(f):
    """Rows in front of the first group and behind the last are zero."""
    matmul(f, inputs(f), [base(f)], ROWS, offsets=integers(f, [2, 4, 6, 7]))


def rows_of_no_group(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=integers(f, [0, 0, 0, 0]))


def rows_activated(f):
    matmul(f, inputs(f), [base(f), base(f)], ROWS, offsets=offsets(f), act="silu")


def rows_activated_without_gate(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), act="relu2")


def rows_activated_and_biased(f):
    bias = [f.weight(1, F, CLUSTER), f.weight(1, F, CLUSTER)]
    matmul(f, inputs(f), [base(f), base(f)], ROWS, bias=bias, offsets=offsets(f), act="sigmoid_alpha alpha 1.702 clamp 0.5 offset 1.0",
           meaning=Act("sigmoid_alpha", 1.702, 0.5, 1.0))


def rows_accumulated(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), accumulate=True)


def rows_of_entries(f):
    matmul(f, inputs(f), [f.weight(D, F, EXPERT)], ROWS, entries=id_list(f, [3, -1, 0, 7, 7, 1, -1, 2, 3], EXPERT))


def rows_of_entries_biased(f):
    matmul(f, inputs(f), [f.weight(D, F, EXPERT)], ROWS, bias=[f.weight(1, F, EXPERT)],
           entries=id_list(f, [3, -1, 0, 7, 7, 1, -1, 2, 3], EXPERT))


def rows_of_one_matrix(f):
    matmul(f, inputs(f), [f.weight(D, F)], ROWS)


def rows_of_one_matrix_biased_accumulated(f):
    matmul(f, inputs(f), [f.weight(D, F)], ROWS, bias=[f.weight(1, F)], accumulate=True)


def pairs_of_groups(f):
    """Without residual: the base product of each pair's row."""
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f))


def pairs_with_residual(f):
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f)])


def pairs_with_residual_biased(f):
    """With pairs the bias is the expert's."""
    matmul(f, inputs(f), [base(f)], 10, bias=[f.weight(1, F, EXPERT)], offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f)])


def pairs_with_shared_shrink(f):
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f, axes=(None, EXPERT))])


def pairs_with_shared_expand(f):
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f, axes=(EXPERT, None))])


def pairs_on_one_matrix(f):
    matmul(f, inputs(f), [f.weight(D, F)], 10, pairs=pairs(f), residual=[low_rank(f)])


def pairs_of_entries(f):
    entries = id_list(f, [3, -1, 0, 7, 7, 1, -1, 2, 3], EXPERT)
    matmul(f, inputs(f), [f.weight(D, F, EXPERT)], 10, entries=entries, pairs=pairs(f), residual=[low_rank(f)])


def pairs_without_expert(f):
    """They have the base product of their row, and neither residual nor bias."""
    some = [integers(f, PAIR_ROW), id_list(f, [3, -1, 0, 7, -1, 2, 99, 6, -1, 2], EXPERT)]
    matmul(f, inputs(f), [base(f)], 10, bias=[f.weight(1, F, EXPERT)], offsets=offsets(f), pairs=some,
           residual=[low_rank(f, axes=(None, EXPERT))])


def pairs_of_rows_outside(f):
    some = [integers(f, [0, 7, 8, 9, -2, 100, 4, 6, 2, 1]), id_list(f, [3, 1, 0, 7, 2, 2, 5, 6, 0, 1], EXPERT)]
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=some, residual=[low_rank(f)])


def offsets_that_fall(f):
    """Of groups that claim one row the first has it."""
    matmul(f, inputs(f), [base(f)], ROWS, offsets=integers(f, [0, 6, 2, 8]))


def segment_of_pairs_without_expert(f):
    some = [integers(f, PAIR_ROW), id_list(f, [3, -1, 0, 7, -1, 2, 5, 6, -1, 2], EXPERT)]
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), pairs=some, segment=segment(f, True))


def segment_of_a_row_without_group(f):
    """Zero, segment included."""
    some = [integers(f, [0, 3, 4, 5, 6, 7, 8, 8, 2, 2]), id_list(f, [3, 1, 0, 7, 2, 2, 5, 6, 0, 1], EXPERT)]
    matmul(f, inputs(f), [base(f)], ROWS, offsets=integers(f, [1, 3, 3, 7]), pairs=some, segment=segment(f, True))


def pairs_gated(f):
    matmul(f, inputs(f), [base(f), base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f), low_rank(f)], act="silu")


def pairs_gated_biased_clamped(f):
    bias = [f.weight(1, F, EXPERT), f.weight(1, F, EXPERT)]
    matmul(f, inputs(f), [base(f), base(f)], 10, bias=bias, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f), low_rank(f)],
           act="silu clamp 0.5 offset 0.25", meaning=Act("silu", clamp=0.5, offset=0.25))


def pairs_activated_without_gate(f):
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f)], act="gelu")


def pairs_accumulated(f):
    matmul(f, inputs(f), [base(f)], 10, offsets=offsets(f), pairs=pairs(f), residual=[low_rank(f)], accumulate=True)


def segment(f, weighted, shared=False, element="f32"):
    v = numbers(f, 10, R, element=element)
    expand = f.weight(R, F, None if shared else EXPERT, element)
    return v, expand, numbers(f, 10, element=element) if weighted else None


def segment_weighted(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), pairs=pairs(f), segment=segment(f, True))


def segment_unweighted(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), pairs=pairs(f), segment=segment(f, False))


def segment_shared_expand(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), pairs=pairs(f), segment=segment(f, True, shared=True))


def segment_accumulated(f):
    matmul(f, inputs(f), [base(f)], ROWS, offsets=offsets(f), pairs=pairs(f), segment=segment(f, True), accumulate=True)


def segment_on_one_matrix(f):
    matmul(f, inputs(f), [f.weight(D, F)], ROWS, pairs=pairs(f), segment=segment(f, True))


def typed(element, build):
    def typed_build(f):
        if build == "pairs":
            matmul(f, inputs(f, element), [base(f, element), base(f, element)], 10, offsets=offsets(f), pairs=pairs(f),
                   residual=[low_rank(f, element), low_rank(f, element)], act="silu", element=element)
        elif build == "rows":
            matmul(f, inputs(f, element), [base(f, element)], ROWS, offsets=offsets(f), element=element)
        else:
            matmul(f, inputs(f, element), [base(f, element)], ROWS, offsets=offsets(f), pairs=pairs(f),
                   segment=segment(f, True, element=element), element=element)
    typed_build.__name__ = f"{element}_{build}"
    return typed_build


# grouped_up


def up_projection(f, gated=True, residual=True, bias=False, shrink=True, shared=False, grouped=True, element="f32", rounding=None):
    """Emits moe.grouped_up; expected is what its three operations give."""
    x, row = inputs(f, element), integers(f, PAIR_ROW)
    if rounding:
        special(x.data)
    expert, p = id_list(f, PAIR_EXPERT, EXPERT), numbers(f, len(PAIR_ROW), element=element)
    count = 2 if gated else 1
    weights = [f.weight(D, F, CLUSTER if grouped else None, element=element) for _ in range(count)]
    biases = [f.weight(1, F, EXPERT, element=element) for _ in range(count)] if bias else []
    factors = [v for _ in range(count) for v in low_rank(f, element=element)] if residual else []
    a = f.weight(F, R, None if shared else EXPERT, element=element) if shrink else None
    where = offsets(f) if grouped else None
    outs = [poison(f, ROWS, F, element=element)] + ([poison(f, len(PAIR_ROW), R, element=element)] if shrink else [])
    clause = lambda word, values: f" {word}({', '.join(map(str, values))} : {', '.join(v.type for v in values)})" if values else ""
    h = moe.grouped_matmul(x.data, [w.data for w in weights], len(PAIR_ROW), bias=[b.data for b in biases] or None,
                           groups=where.data if grouped else None, pairs=(row.data, expert.data), experts=E, element=element,
                           residual=[(v.data, w.data) for v, w in zip(factors[::2], factors[1::2])] or None, act=Act("silu"),
                           rounding=rounding)
    data = [moe.scatter_combine(h, row.data, np.zeros((ROWS, F)), p.data, element=element)]
    if shrink:
        data.append(moe.grouped_matmul(h, [a.data], len(PAIR_ROW), entries=None if shared else expert.data, experts=E, element=element))
    types = ", ".join(o.type for o in outs)
    results = f.ops(f"moe.grouped_up ins({x} : {x.type})" + words_of(rounding) + clause("weights", weights) + clause("bias", biases) +
                    clause("groups", [where] if grouped else []) + clause("pair_rows", [row]) + clause("pair_experts", [expert]) +
                    clause("residual", factors) + clause("weighted", [p]) + " act <silu>" + clause("shrink", [a] if shrink else []) +
                    f" outs({', '.join(map(str, outs))} : {types}) -> {types}",
                    *[(o.type, d, element) for o, d in zip(outs, data)])
    for result in results:
        f.give(result)


def words_of(rounding):
    return f" rounded <{rounding if rounding == 'bf16' else f'int8 group {rounding}'}>" if rounding else ""


def special(rows):
    """Rows with what does not round as other numbers do: tiny ones, denormal ones, and no row of them alone."""
    rows[1] = 0
    rows[2, :3] = [1e-31, -3e-32, 1e-40]
    rows[4, 1] = -1e30


def up_rounded_to_bf16(f):
    up_projection(f, rounding="bf16")


def up_rounded_to_int8(f):
    up_projection(f, rounding=3)


def rows_rounded_to_int8(f):
    x = inputs(f)
    special(x.data)
    matmul(f, x, [base(f)], ROWS, offsets=offsets(f), rounding=D)


def rows_rounded_to_bf16(f):
    matmul(f, inputs(f), [base(f), base(f)], ROWS, offsets=offsets(f), act="silu", rounding="bf16")


def up_of_a_layer(f):
    up_projection(f)


def up_biased(f):
    up_projection(f, bias=True)


def up_plain(f):
    up_projection(f, gated=False, residual=False, shrink=False)


def up_with_shared_shrink(f):
    up_projection(f, shared=True)


def up_on_one_matrix(f):
    up_projection(f, grouped=False)


def up_bf16(f):
    up_projection(f, residual=False, element="bf16")


# scatter_combine


def scatter(f, weighted, accumulate, element="f32", index=(2, 0, -1, 2, 99, 0, 2, -3)):
    x, at = numbers(f, 8, F, element=element), integers(f, index)
    p = numbers(f, 8, element=element) if weighted else None
    init = numbers(f, 4, F, element=element) if accumulate else poison(f, 4, F, element=element)
    data = moe.scatter_combine(x.data, at.data, init.data, p.data if p else None, accumulate, element)
    weights = f" weighted({p} : {p.type})" if p else ""
    f.give(f.op(f"moe.scatter_combine {'accumulate ' if accumulate else ''}ins({x}, {at} : {x.type}, {at.type}){weights} "
                f"outs({init} : {init.type}) -> {init.type}", init.type, data, element))


def scatter_plain(f):
    scatter(f, False, False)


def scatter_weighted(f):
    scatter(f, True, False)


def scatter_accumulated(f):
    scatter(f, True, True)


def scatter_nothing(f):
    scatter(f, True, False, index=[-1] * 8)


def scatter_f16(f):
    scatter(f, True, False, "f16", index=[2, 0, -1, 3, 99, 1, -1, -3])  # one row each: no rounding between additions


# The whole fused layer: group, gather, up with residual and activation, down with its segment, scatter.


def layer(f):
    tokens, most, k = 6, 3, 3
    ids = np.stack([f.random().permutation(E)[:k] for _ in range(tokens)]).astype(np.int32)
    ids[2, 1] = ids[4] = -1
    clusters, slot = moe.clusters_of(ids, TABLE, most)
    p = f.floats(tokens, k)
    row_token, starts, pair_row, pair_expert, pair_weight = moe.group(clusters, slot, ids, p, G)
    x = numbers(f, tokens, D)
    ins = [f.ids(clusters, CLUSTER, tokens=False), f.ids(ids, EXPERT, tokens=False), given(f, p)]
    slots = integers(f, slot)
    rows, count = tokens * most, tokens * k
    outs = [poison(f, rows, element="i32"), poison(f, G + 1, element="i32"), poison(f, count, element="i32"),
            id_list(f, np.full(count, 5), EXPERT), poison(f, count)]
    types = ", ".join(o.type for o in outs)
    token, start, row, expert, weight = f.ops(
        f"moe.group ins({', '.join(map(str, ins))} : {', '.join(v.type for v in ins)}) slots({slots} : {slots.type}) "
        f"outs({', '.join(map(str, outs))} : {types}) -> {types}",
        *[(o.type, e, n) for o, e, n in zip(outs, (row_token, starts, pair_row, pair_expert, pair_weight),
                                            ("i32", "i32", "i32", "id", "f32"))])
    ub, gb, db = f.weight(D, F, CLUSTER), f.weight(D, F, CLUSTER), f.weight(F, D, CLUSTER)
    (ua, ur), (ga, gr), (da, dr) = low_rank(f), low_rank(f), (f.weight(F, R, EXPERT), f.weight(R, D, EXPERT))
    full = lambda b, a, r: moe.weight_add(moe.weight_select(b.data, TABLE), moe.weight_mul(a.data, r.data))
    expected = moe.experts(x.data, ids, p, full(ub, ua, ur), full(db, da, dr), gate=full(gb, ga, gr), act=Act("silu"))

    def out(*shape):
        return poison(f, *shape)

    def emit(words, init, data=None):
        return f.op(f"{words} outs({init} : {init.type}) -> {init.type}", init.type, data, "f32")

    xs = emit(f"moe.gather ins({x}, {token} : {x.type}, {token.type})", out(rows, D))
    where = f"groups({start} : {start.type}) pair_rows({row} : {row.type}) pair_experts({expert} : {expert.type})"
    h = emit(f"moe.grouped_matmul ins({xs} : {xs.type}) weights({ub}, {gb} : {ub.type}, {gb.type}) {where} residual({ua}, {ur}, {ga}, {gr} : "
             f"{ua.type}, {ur.type}, {ga.type}, {gr.type}) act <silu>", out(count, F))
    v = emit(f"moe.grouped_matmul ins({h} : {h.type}) weights({da} : {da.type}) entries({expert} : {expert.type})", out(count, R))
    sums = emit(f"moe.scatter_combine ins({h}, {row} : {h.type}, {row.type}) weighted({weight} : {weight.type})", out(rows, F))
    y = emit(f"moe.grouped_matmul ins({sums} : {sums.type}) weights({db} : {db.type}) {where} segment({v} : {v.type}) expand({dr} : "
             f"{dr.type}) weighted({weight} : {weight.type})", out(rows, D))
    f.give(emit(f"moe.scatter_combine ins({y}, {token} : {y.type}, {token.type})", out(tokens, D), expected))


OPS = [*GROUPS, gather_rows, gather_bf16, gather_numbers, gather_integers, gather_ids, rows_of_groups, rows_of_groups_biased,
       rows_of_groups_gap, rows_of_no_group, rows_activated, rows_activated_without_gate, rows_activated_and_biased,
       rows_accumulated, rows_of_entries, rows_of_entries_biased, rows_of_one_matrix, rows_of_one_matrix_biased_accumulated,
       pairs_of_groups, pairs_with_residual, pairs_with_residual_biased, pairs_with_shared_shrink, pairs_with_shared_expand,
       pairs_on_one_matrix, pairs_of_entries, pairs_gated, pairs_gated_biased_clamped, pairs_activated_without_gate,
       pairs_accumulated, segment_weighted, segment_unweighted, segment_shared_expand, segment_accumulated,
       segment_on_one_matrix, pairs_without_expert, pairs_of_rows_outside, offsets_that_fall, segment_of_pairs_without_expert,
       segment_of_a_row_without_group, *[typed(element, build) for element in ("bf16", "f16", "f64") for build in ("rows", "pairs", "segment")],
       up_of_a_layer, up_biased, up_plain, up_with_shared_shrink, up_on_one_matrix, up_bf16,
       up_rounded_to_bf16, up_rounded_to_int8, rows_rounded_to_int8, rows_rounded_to_bf16,
       scatter_plain, scatter_weighted, scatter_accumulated, scatter_nothing, scatter_f16, layer]


def program(build):
    f = Program(build.__name__)
    build(f)
    return f


PROGRAMS = {build.__name__: program(build) for build in OPS}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_module(module_of(PROGRAMS), tmp_path_factory.mktemp("scheduled"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_op(compiled, name):
    PROGRAMS[name].check(compiled)
