"""Values of each slot-form op alone in a function.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Act, Specials
from program import compile_module, module_of, programs

D, F, E, G, K, M = 6, 5, 8, 3, 4, 2
EXPERT, CLUSTER = f"expert[{E}]", f"cluster[{G}]"
TABLE = [0, 2, 1, 1, 0, 2, 2, 0]


def rows(f, *shape, element="f32"):
    """An argument [T, ...] of floats."""
    return f.argument(f.floats(f.tokens, *shape, element=element), element)


def slots(f, most, k=K):
    """Places 0 … most - 1 of k choices, some -1."""
    return f.argument(f.random().integers(-1, most, (f.tokens, k)).astype(np.int32), "i32")


def tensor(*shape, element="f32"):
    return "tensor<" + "x".join(["?", *map(str, shape), element]) + ">"


# apply


def apply(f, x, w, ids=None):
    data = moe.apply(x.data, w.data, None if ids is None else ids.data, x.element)
    kind = tensor(*data.shape[1:], element=x.element)
    at = f" at {ids.type}" if ids else ""
    return f.op(f"moe.apply {x}, {w}{f' at {ids}' if ids else ''} : {x.type}, {w.type}{at} -> {kind}", kind, data, x.element)


def apply_tokens_at_experts(f):
    f.give(apply(f, rows(f, D), f.weight(D, F, EXPERT), f.ids(f.choices(E, K), EXPERT)))


def apply_slots_at_experts(f):
    f.give(apply(f, rows(f, K, D), f.weight(D, F, EXPERT), f.ids(f.choices(E, K), EXPERT)))


def apply_tokens_at_one_cluster(f):
    f.give(apply(f, rows(f, D), f.weight(D, F, CLUSTER), f.ids(f.choices(G, 1), CLUSTER)))


def apply_tokens_to_shared(f):
    f.give(apply(f, rows(f, D), f.weight(D, F)))


def apply_slots_to_shared(f):
    f.give(apply(f, rows(f, K, D), f.weight(D, F)))


def apply_tokens_to_shared_masked(f):
    """Ids of a weight without axis only say which rows there are."""
    f.give(apply(f, rows(f, D), f.weight(D, F), f.ids(f.choices(E, K), EXPERT)))


def apply_slots_to_shared_masked(f):
    f.give(apply(f, rows(f, K, D), f.weight(D, F), f.ids(f.choices(E, K), EXPERT)))


def apply_bf16(f):
    f.give(apply(f, rows(f, D, element="bf16"), f.weight(D, F, EXPERT, "bf16"), f.ids(f.choices(E, K), EXPERT)))


def apply_f16(f):
    f.give(apply(f, rows(f, K, D, element="f16"), f.weight(D, F, element="f16")))


def apply_f64(f):
    f.give(apply(f, rows(f, D, element="f64"), f.weight(D, F, EXPERT, "f64"), f.ids(f.choices(E, K), EXPERT)))


def apply_expression(f):
    """The weight of a slot op may be any expression."""
    w = f.add(f.select(f.weight(D, F, CLUSTER), f.table(TABLE, EXPERT, CLUSTER)), f.mul(f.weight(D, 2, EXPERT), f.weight(2, F, EXPERT)))
    f.give(apply(f, rows(f, D), w, f.ids(f.choices(E, K), EXPERT)))


def apply_ids_outside(f):
    """Every op is total: numbers outside the axis mean none."""
    ids = f.random().choice(np.array([-7, -1, 0, E - 1, E, E + 1000, 2**31 - 1, -(2**31)], np.int32), (f.tokens, K))
    f.give(apply(f, rows(f, D), f.weight(D, F, EXPERT), f.ids(ids, EXPERT)))


# lookup


def lookup(f, w, ids):
    data = moe.lookup(w.data, ids.data)
    kind = tensor(*data.shape[1:], element=w.element)
    return f.op(f"moe.lookup {w} at {ids} : {w.type}, {ids.type} -> {kind}", kind, data, w.element)


def lookup_at_experts(f):
    f.give(lookup(f, f.weight(1, F, EXPERT), f.ids(f.choices(E, K), EXPERT)), tolerance=0)


def lookup_shared(f):
    f.give(lookup(f, f.weight(1, F), f.ids(f.choices(E, K), EXPERT)), tolerance=0)


def lookup_list(f):
    f.give(lookup(f, f.weight(1, F, EXPERT), f.ids(f.choices(E, 1)[:, 0], EXPERT)), tolerance=0)


def lookup_bf16(f):
    f.give(lookup(f, f.weight(1, F, EXPERT, "bf16"), f.ids(f.choices(E, K), EXPERT)), tolerance=0)


# clusters_of


def clusters_of(f, ids, most, axis=EXPERT, targets=TABLE):
    ids, table = f.ids(ids, axis), f.table(targets, EXPERT, CLUSTER)
    clusters, slot = moe.clusters_of(ids.data, table.data, most, G)
    kinds = tensor(most, element=f"!moe.id<{CLUSTER}>"), tensor(ids.data.shape[1], element="i32")
    f.give(*f.ops(f"moe.clusters_of {ids} by {table} : {ids.type}, {table.type} -> {kinds[0]}, {kinds[1]}",
                  (kinds[0], clusters, "id"), (kinds[1], slot, "i32")))


def clusters_of_all(f):
    clusters_of(f, f.choices(E, K), G)


def clusters_of_too_many(f):
    """What a token with more than M clusters gets, though it is its producer's error."""
    clusters_of(f, f.choices(E, K), M)


def clusters_of_one(f):
    members = np.array([0, 4, 7], np.int32)
    clusters_of(f, members[f.random().integers(0, 3, (f.tokens, K))], 1)


def clusters_of_nothing(f):
    clusters_of(f, np.full((f.tokens, K), -1, np.int32), M)


def clusters_of_duplicates(f):
    clusters_of(f, np.tile(np.array([[5, 5, 0, 5]], np.int32), (f.tokens, 1)), G)


def clusters_of_a_table_that_points_outside(f):
    clusters_of(f, f.choices(E, K), G, targets=[0, 7, 1, -1, 3, 2, -9, 0])


# spread


def spread_clusters(f):
    x, slot = rows(f, M, F), slots(f, M)
    kind = tensor(K, F)
    f.give(f.op(f"moe.spread {x} at {slot} : {x.type} at {slot.type} -> {kind}", kind, moe.spread(x.data, slot.data), "f32"), tolerance=0)


def spread_tokens(f):
    x, kind = rows(f, F), tensor(K, F)
    f.give(f.op(f"moe.spread {x} : {x.type} -> {kind}", kind, moe.spread(x.data, count=K), "f32"), tolerance=0)


def spread_tokens_for_ids(f):
    x, ids, kind = rows(f, F), f.ids(f.choices(E, K), EXPERT), tensor(K, F)
    f.give(f.op(f"moe.spread {x} for {ids} : {x.type} for {ids.type} -> {kind}", kind, moe.spread(x.data, ids=ids.data), "f32"),
           tolerance=0)


# scale_rows


def scale_rows(f, x, p):
    data = moe.scale_rows(x.data, p.data, x.element)
    kind = tensor(*data.shape[1:], element=x.element)
    f.give(f.op(f"moe.scale_rows {x} by {p} : {x.type}, {p.type} -> {kind}", kind, data, x.element), tolerance=0)


def scale_rows_of_slots(f):
    scale_rows(f, rows(f, K, F), rows(f, K))


def scale_rows_of_tokens(f):
    scale_rows(f, rows(f, F), rows(f, K))


def scale_rows_of_a_list(f):
    scale_rows(f, rows(f, F), rows(f))


def scale_rows_bf16(f):
    scale_rows(f, rows(f, F, element="bf16"), rows(f, K, element="bf16"))


# combine


def combine(f, x, p=None, slot=None, most=None):
    data = moe.combine(x.data, None if p is None else p.data, None if slot is None else slot.data, most, x.element)
    kind = tensor(*data.shape[1:], element=x.element)
    words, types = f"{x}", x.type
    for word, value in (("weighted", p), ("into", slot)):
        words += f" {word} {value}" if value else ""
        types += f" {word} {value.type}" if value else ""
    f.give(f.op(f"moe.combine {words} : {types} -> {kind}", kind, data, x.element))


def combine_sum(f):
    combine(f, rows(f, K, F))


def combine_weighted(f):
    combine(f, rows(f, K, F), rows(f, K))


def combine_into_clusters(f):
    combine(f, rows(f, K, F), None, slots(f, M), M)


def combine_weighted_into_clusters(f):
    combine(f, rows(f, K, F), rows(f, K), slots(f, M), M)


def combine_bf16(f):
    """Sums in f32, rounds once."""
    combine(f, rows(f, K, F, element="bf16"), rows(f, K, element="bf16"))


def combine_f16_into_clusters(f):
    combine(f, rows(f, K, F, element="f16"), rows(f, K, element="f16"), slots(f, M), M)


def combine_f64(f):
    combine(f, rows(f, K, F, element="f64"), rows(f, K, element="f64"))


# activate


def activation(text, act, gated, element="f32", shape=(K, F)):
    def build(f):
        u = f.argument(f.floats(f.tokens, *shape, element=element, scale=2.0), element)
        g = f.argument(f.floats(f.tokens, *shape, element=element, scale=2.0), element) if gated else None
        data = moe.activate(act, u.data, g.data if gated else None, element)
        f.give(f.op(f"moe.activate <{text}> {u}{f' gated by {g}' if gated else ''} : {u.type}", u.type, data, element))
    build.__name__ = f"activate_{text.replace(' ', '_').replace('.', '_').replace('-', 'minus')}{'_gated' if gated else ''}_{element}_{len(shape)}"
    return build


KINDS = ["identity", "silu", "gelu", "gelu_tanh", "relu", "relu2", "sigmoid_alpha", "tanh"]
ACTIVATIONS = [activation(kind, Act(kind), gated) for kind in KINDS for gated in (False, True)] + [
    activation("silu clamp 1.5", Act("silu", clamp=1.5), True), activation("silu clamp 1.5", Act("silu", clamp=1.5), False),
    activation("sigmoid_alpha alpha 1.702 clamp 1.0 offset 1.0", Act("sigmoid_alpha", 1.702, 1.0, 1.0), True),
    activation("gelu offset -0.5", Act("gelu", offset=-0.5), True), activation("silu", Act("silu"), True, shape=(F,)),
    *[activation("silu", Act("silu"), True, element) for element in ("bf16", "f16", "f64")],
    activation("gelu", Act("gelu"), False, "f64"), activation("relu2", Act("relu2"), False, "bf16")]


# special experts


def real_experts(f):
    ids, p = f.ids(f.choices(E + 3, K), f"expert[{E}+3]"), rows(f, K)
    real, weights = moe.real_experts(ids.data, p.data, E)
    kind = tensor(K, element=f"!moe.id<{EXPERT}>")
    f.give(*f.ops(f"moe.real_experts {ids}, {p} : {ids.type}, {p.type} -> {kind}", (kind, real, "id"), (p.type, weights, "f32")),
           tolerance=0)


def real_experts_without_specials(f):
    """Weights of id -1 become 0 here too."""
    ids, p = f.ids(f.choices(E, K), EXPERT), rows(f, K)
    real, weights = moe.real_experts(ids.data, p.data, E)
    f.give(*f.ops(f"moe.real_experts {ids}, {p} : {ids.type}, {p.type} -> {ids.type}", (ids.type, real, "id"),
                  (p.type, weights, "f32")), tolerance=0)


def special(f, specials, text, count, constants=False, mixed=False, element="f32"):
    x = rows(f, D, element=element)
    ids, p = f.ids(f.choices(E + count, K), f"expert[{E}+{count}]"), rows(f, K, element=element)
    operands, words = [x, ids, p], f"moe.special_experts {x} to {ids} weighted {p} specials <{text}>"
    if constants:
        operands.append(f.argument(f.floats(specials.constant, D, element=element), element, tokens=False))
        words, specials.constants = words + f" constants {operands[-1]}", operands[-1].data
    if mixed:
        operands.append(f.argument(f.floats(specials.constant, D, 2, element=element), element, tokens=False))
        words, specials.mixing = words + f" mixed by {operands[-1]}", operands[-1].data
    data = moe.special_experts(x.data, ids.data, p.data, E, specials, element)
    f.give(f.op(f"{words} : ({', '.join(o.type for o in operands)}) -> {x.type}", x.type, data, element))


def special_zero(f):
    special(f, Specials(zero=4), "zero 4", 4)


def special_identity(f):
    special(f, Specials(identity=4), "identity 4", 4)


def special_constant(f):
    special(f, Specials(constant=4), "constant 4", 4, constants=True)


def special_mixed(f):
    special(f, Specials(2, 1, 3), "zero 2 identity 1 constant 3", 6, constants=True, mixed=True)


def special_bf16(f):
    special(f, Specials(1, 1, 1), "zero 1 identity 1 constant 1", 3, constants=True, mixed=True, element="bf16")


# id_cast


def id_cast_round_trip(f):
    ids = f.ids(f.choices(E, K), EXPERT)
    again = f.op(f"moe.id_cast {ids} : {ids.type} to tensor<?x{K}xi32>", f"tensor<?x{K}xi32>", ids.data, "i32")
    f.give(f.op(f"moe.id_cast {again} : {again.type} to {ids.type}", ids.type, ids.data, "id"))


OPS = [apply_tokens_at_experts, apply_slots_at_experts, apply_tokens_at_one_cluster, apply_tokens_to_shared, apply_slots_to_shared,
       apply_tokens_to_shared_masked, apply_slots_to_shared_masked, apply_bf16, apply_f16, apply_f64, apply_expression, apply_ids_outside, lookup_at_experts, lookup_shared, lookup_list,
       lookup_bf16, clusters_of_all, clusters_of_too_many, clusters_of_one, clusters_of_nothing, clusters_of_duplicates, clusters_of_a_table_that_points_outside,
       spread_clusters, spread_tokens, spread_tokens_for_ids, scale_rows_of_slots, scale_rows_of_tokens, scale_rows_of_a_list, scale_rows_bf16,
       combine_sum, combine_weighted, combine_into_clusters, combine_weighted_into_clusters, combine_bf16,
       combine_f16_into_clusters, combine_f64, *ACTIVATIONS, real_experts, real_experts_without_specials, special_zero,
       special_identity, special_constant, special_mixed, special_bf16, id_cast_round_trip]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_module(module_of(programs(OPS)), tmp_path_factory.mktemp("slot"))


@pytest.mark.parametrize("build", OPS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("tokens", [9, 1, 0])
def test_op(compiled, build, tokens):
    programs([build], tokens)[build.__name__].check(compiled)
