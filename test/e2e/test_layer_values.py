"""Values of whole layers: router and experts in one function, with the ops of other dialects around them.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

What a rewrite concludes from a router, such as how many clusters a token can have, shows here and nowhere else.
"""

import math

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Capacity, Choice, Encoding, Gates, Limit, Specials
from program import STAGES, compile_module, dense, module_of, programs

D, F, E, G, R, K = 10, 8, 8, 4, 3, 3
EXPERT, CLUSTER = f"expert[{E}]", f"cluster[{G}]"
TABLE = [0, 2, 0, 3, 2, 2, 0, 3]  # cluster 1 has no members
L1 = Gates("scores", "l1")


def route(f, logits, score, stages, choose, gates=Gates(), *, operands=(), axis=EXPERT, **meaning):
    """Emits a moe.route; returns ids and gate weights."""
    kinds = f"tensor<?x{choose.k}x!moe.id<{axis}>>", f"tensor<?x{choose.k}xf32>"
    ids, p = moe.route(logits.data, score=score, choose=choose, gates=gates, **meaning)
    types = ", ".join(o.type for o in (logits, *operands))
    return f.ops(f"moe.route {logits} score {score} {stages} : ({types}) -> ({', '.join(kinds)})", (kinds[0], ids, "id"),
                 (kinds[1], p, "f32"))


def clustered(f, rows, columns, table):
    low_rank = f.mul(f.weight(rows, R, EXPERT), f.weight(R, columns, EXPERT))
    return f.add(f.select(f.weight(rows, columns, CLUSTER), table), low_rank)


def layer(f, x, ids, p, table, **more):
    """A SwiGLU layer of this project's form."""
    up, gate, down = clustered(f, D, F, table), clustered(f, D, F, table), clustered(f, F, D, table)
    return f.experts(x, ids, p, up, down, gate=gate, **more)


def inputs(f, columns=E):
    """Tokens and logits; the second token's logits are all NaN: nothing is chosen for it."""
    logits = f.floats(f.tokens, columns, scale=1.5)
    logits[1:2] = math.nan
    return f.tokens_of(D), f.argument(logits, "f32")


def two_stage(f, keep, by, masked="neg_inf", same_table=True, **more):
    x, logits = inputs(f)
    table = f.table(TABLE, EXPERT, CLUSTER)
    other = table if same_table else f.table([3, 1, 0, 2, 1, 0, 3, 2], EXPERT, CLUSTER)
    operands, meaning = [table], {"table": table.data}
    words = f"limit <keep {keep} of {G} by {by}{' masked zero' if masked == 'zero' else ''}> clusters {table}"
    if by == "logits":
        operands.append(f.argument(f.floats(f.tokens, G), "f32"))
        words, meaning["group_logits"] = f"{words} scored by {operands[-1]}", operands[-1].data
    ids, p = route(f, logits, "sigmoid", f"{words} choose <top_k {K}> gates <scores, l1>", Choice("top_k", K), L1, operands=operands,
                   limit=Limit(keep, G, by, masked), **meaning)
    f.give(ids, p, layer(f, x, ids, p, other, **more))


def two_stage_one_cluster(f):
    """One cluster for each token, chosen by prototypes: the base runs once."""
    two_stage(f, 1, "logits")


def two_stage_two_clusters(f):
    two_stage(f, 2, "max")


def two_stage_by_sum(f):
    two_stage(f, 1, "sum")


def two_stage_all_clusters(f):
    two_stage(f, G, "top2_sum")


def two_stage_input_gated(f):
    two_stage(f, 1, "logits", gated="on_input")


def two_stage_masked_zero(f):
    """Experts outside the kept clusters can still be chosen: a token may have more clusters than are kept."""
    two_stage(f, 1, "logits", masked="zero")


def two_stage_with_another_table(f):
    """The router's clusters are not those of the weights: its limit says nothing about them."""
    two_stage(f, 1, "logits", same_table=False)


def flat(f, score, stages, choose, gates=Gates(), columns=E, axis=EXPERT, **meaning):
    x, logits = inputs(f, columns)
    ids, p = route(f, logits, score, stages, choose, gates, axis=axis, **{k: v for k, v in meaning.items() if k in ("capacity", "limit")})
    table = f.table(TABLE, EXPERT, CLUSTER)
    f.give(layer(f, x, ids, p, table, **{k: v for k, v in meaning.items() if k not in ("capacity", "limit")}))


def mixtral(f):
    flat(f, "softmax", "choose <top_k 2> gates <scores, l1>", Choice("top_k", 2), L1)


def top_1(f):
    flat(f, "softmax", "choose <top_k 1> gates <scores>", Choice("top_k", 1))


def contiguous_limit(f):
    """Groups of the router that are runs of experts, not clusters of the weights."""
    flat(f, "sigmoid", "limit <keep 1 of 2 by max> choose <top_k 3> gates <scores>", Choice("top_k", 3), limit=Limit(1, 2, "max"))


def switch(f):
    flat(f, "softmax", "choose <top_k 1> gates <scores> capacity <0.75 drop last>", Choice("top_k", 1), capacity=Capacity(0.75))


def gshard_lowest(f):
    flat(f, "softmax", "choose <top_k 3> gates <scores> capacity <0.5 drop lowest>", Choice("top_k", 3), capacity=Capacity(0.5, "lowest"))


def top_p(f):
    flat(f, "softmax", "choose <top_p 4 at 0.7> gates <scores, l1>", Choice("top_p", 4, 0.7), L1)


def expert_choice(f):
    flat(f, "softmax", "choose <expert_choice 4 at 1.5> gates <scores>", Choice("expert_choice", 4, 1.5))


def llama4(f):
    flat(f, "identity", "choose <top_k 1> gates <sigmoid>", Choice("top_k", 1), Gates("sigmoid"), gated="on_input")


def longcat(f):
    flat(f, "softmax", "choose <top_k 4> gates <scores scale 6.0> specials <zero 1 identity 2>", Choice("top_k", 4), Gates(scale=6.0),
         columns=E + 3, axis=f"expert[{E}+3]", specials="<zero 1 identity 2>", numbers=Specials(1, 2))


def specials_within_a_table_limit(f):
    """Special experts are never masked; they have no cluster."""
    x, logits = inputs(f, E + 2)
    table = f.table(TABLE, EXPERT, CLUSTER)
    ids, p = route(f, logits, "softmax", f"limit <keep 1 of {G} by max> clusters {table} choose <top_k 3> gates <scores, l1> "
                   "specials <identity 2>", Choice("top_k", 3), L1, operands=[table], axis=f"expert[{E}+2]", table=table.data,
                   limit=Limit(1, G, "max"))
    f.give(layer(f, x, ids, p, table, specials="<identity 2>", numbers=Specials(identity=2)))


# Around the layer


def matmul(f, x, w, columns):
    """linalg.matmul of x [T, n] with an argument w [n, columns]."""
    kind = f"tensor<?x{columns}xf32>"
    zero = f.op("arith.constant 0 : index", "index", 0)
    extent = f.op(f"tensor.dim {x}, {zero} : {x.type}", "index", 0)
    empty = f.op(f"tensor.empty({extent}) : {kind}", kind, None)
    start = f.op("arith.constant 0.0 : f32", "f32", 0)
    filled = f.op(f"linalg.fill ins({start} : f32) outs({empty} : {kind}) -> {kind}", kind, None)
    return f.op(f"linalg.matmul ins({x}, {w} : {x.type}, {w.type}) outs({filled} : {kind}) -> {kind}", kind,
                moe.contract(x.data, w.data), "f32")


def block(f, x, table):
    """Router matrix, routed experts, a shared expert that is always on, the residual connection."""
    logits = matmul(f, x, f.argument(f.floats(D, E), "f32", tokens=False), E)
    ids, p = route(f, logits, "softmax", f"choose <top_k {K}> gates <scores, l1>", Choice("top_k", K), L1)
    routed = layer(f, x, ids, p, table)
    always = f.ids(np.zeros((f.tokens, 1), np.int32), "expert[1]")
    gate = matmul(f, x, f.argument(f.floats(D, 1), "f32", tokens=False), 1)
    shared = f.experts(x, always, gate, f.weight(D, F), f.weight(F, D), gate=f.weight(D, F))
    total = f.op(f"arith.addf {routed}, {shared} : {x.type}", x.type, routed.data + shared.data, "f32")
    return f.op(f"arith.addf {total}, {x} : {x.type}", x.type, total.data + x.data, "f32")


def whole_block(f):
    f.give(block(f, f.tokens_of(D), f.table(TABLE, EXPERT, CLUSTER)))


def two_blocks(f):
    """The second reads what the first returns; both have one table. Rounding grows through the second's router."""
    table = f.table(TABLE, EXPERT, CLUSTER)
    f.give(block(f, block(f, f.tokens_of(D), table), table), tolerance=1e-4)


def two_layers_of_one_routing(f):
    """The same choice feeds two layers, of which one gates on its input."""
    x, logits = inputs(f)
    ids, p = route(f, logits, "softmax", f"choose <top_k {K}> gates <scores>", Choice("top_k", K))
    table = f.table(TABLE, EXPERT, CLUSTER)
    f.give(layer(f, x, ids, p, table), layer(f, x, ids, p, table, gated="on_input"))


# From params


def factorised(f, base_encoding, rank, factor_encoding=None):
    """Seeded experts, a mean base and its residual by recipe; with full rank the layer is that of the original experts."""
    x, logits = inputs(f)
    ids, p = route(f, logits, "softmax", f"choose <top_k {K}> gates <scores>", Choice("top_k", K))
    symbol = f.declare(f"!moe.table<{EXPERT} -> {CLUSTER}>", dense(np.array(TABLE, np.int32), "i32"))
    table = f.op(f"moe.leaf {symbol} : !moe.table<{EXPERT} -> {CLUSTER}>", f"!moe.table<{EXPERT} -> {CLUSTER}>", np.array(TABLE))
    words = lambda e: f"encoding <{e.format}{f' group {e.group}' if e.group else ''}>" if e else ""

    def expression(seed, rows, columns):
        of = f.param(rows, columns, EXPERT, f"#moe.seeded<{seed} scale 0.5>", moe.seeded(seed, (E, rows, columns), 0.5))
        mean = moe.stored(moe.recipe_mean(of.data, TABLE, G).astype(np.float32), base_encoding)
        base = f.param(rows, columns, CLUSTER, f"#moe.mean<{of.symbol} by {symbol}>", mean, suffix=words(base_encoding))
        a, b = moe.recipe_svd(of.data, base.data, TABLE, rank)
        source = f"rank {rank} of {of.symbol} minus {base.symbol} by {symbol}>"
        left = f.param(rows, rank, EXPERT, f"#moe.svd<input {source}", moe.stored(a.astype(np.float32), factor_encoding), suffix=words(factor_encoding))
        right = f.param(rank, columns, EXPERT, f"#moe.svd<output {source}", moe.stored(b.astype(np.float32), factor_encoding), suffix=words(factor_encoding))
        w = f.add(f.select(base, table), f.mul(left, right))
        if rank == min(rows, columns) and factor_encoding is None:
            assert np.abs(w.data - of.data).max() < 1e-5
            w.data = of.data
        return w

    f.give(f.experts(x, ids, p, expression(1, D, F), expression(2, F, D), gate=expression(3, D, F)))


def factorised_exactly(f):
    factorised(f, None, F)


def factorised_exactly_on_an_int4_base(f):
    """What the base's encoding lost is in the residual."""
    factorised(f, Encoding("int4", 2), F)


def factorised_to_a_low_rank(f):
    factorised(f, Encoding("bf16"), 2, Encoding("f16"))


LAYERS = [two_stage_one_cluster, two_stage_two_clusters, two_stage_all_clusters, two_stage_input_gated, two_stage_masked_zero,
          two_stage_with_another_table, mixtral, top_1, contiguous_limit, switch, gshard_lowest, top_p, expert_choice, llama4, longcat,
          specials_within_a_table_limit, whole_block, two_blocks, two_layers_of_one_routing, factorised_exactly,
          factorised_exactly_on_an_int4_base, factorised_to_a_low_rank]


@pytest.fixture(scope="module", params=STAGES)
def compiled(request, tmp_path_factory):
    return compile_module(module_of(programs(LAYERS)), tmp_path_factory.mktemp("layers"), *STAGES[request.param])


@pytest.mark.parametrize("build", LAYERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("tokens", [17, 1, 0])
def test_layer(compiled, build, tokens):
    programs([build], tokens)[build.__name__].check(compiled)
