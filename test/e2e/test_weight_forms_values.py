"""Values of expert layers in every published weight form, as stated and after the rewrites.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each function is one layer; forms and names as in docs/spec.md section 3. The same module is compiled as it is and after
chains of passes, which must not change a number beyond rounding.
"""

import numpy as np
import pytest

from program import STAGES, compile_module, module_of, programs

D, F, E, K, G, R = 12, 10, 6, 3, 3, 4
EXPERT, CLUSTER = f"expert[{E}]", f"cluster[{G}]"
TABLE = [0, 1, 0, 2, 1, 1]
EMPTY = [0, 2, 0, 2, 2, 0]  # cluster 1 has no members


def layer(f, form, targets=TABLE, down_form=None, **more):
    """A SwiGLU layer whose three matrices have one form: form(f, rows, columns) -> weight."""
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), EXPERT), f.argument(f.floats(f.tokens, K), "f32")
    f.members = f.table(targets, EXPERT, CLUSTER)
    up, gate, down = form(f, D, F), form(f, D, F), (down_form or form)(f, F, D)
    f.give(f.experts(x, ids, p, up, down, gate=gate, **more))


def plain_form(f, rows, columns):
    return f.weight(rows, columns, EXPERT)


def low_rank(f, rows, columns, rank=R):
    return f.mul(f.weight(rows, rank, EXPERT), f.weight(rank, columns, EXPERT))


def clustered(f, rows, columns):
    return f.add(f.select(f.weight(rows, columns, CLUSTER), f.members), low_rank(f, rows, columns))


def plain(f):
    layer(f, plain_form)


def clustered_base(f):
    """This project's form: a base for each cluster, a low-rank residual for each expert."""
    layer(f, clustered)


def clustered_base_with_empty_cluster(f):
    layer(f, clustered, EMPTY)


def table_that_points_outside(f):
    """A run-time table with targets that do not exist: those experts have no base, only their residual."""
    layer(f, clustered, [0, G, 0, -1, 1, 1])


def shared_beside_a_table_that_points_outside(f):
    """Select is zero there, but the shared summand is not: the sum must not be pulled through."""
    def form(f, rows, columns):
        return f.add(f.weight(rows, columns), f.select(f.weight(rows, columns, CLUSTER), f.members))
    layer(f, form, [0, G, 0, -1, 1, 1])


def clustered_base_rank_one(f):
    layer(f, lambda f, i, o: f.add(f.select(f.weight(i, o, CLUSTER), f.members), low_rank(f, i, o, 1)))


def clustered_base_input_gated(f):
    layer(f, clustered, gated="on_input")


def clustered_base_with_biases(f):
    """Biases of experts, and one that is the cluster's."""
    up_bias, gate_bias = f.weight(1, F, EXPERT), f.weight(1, F, CLUSTER)
    down_bias = f.weight(1, D, EXPERT)
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), EXPERT), f.argument(f.floats(f.tokens, K), "f32")
    f.members = f.table(TABLE, EXPERT, CLUSTER)
    f.give(f.experts(x, ids, p, clustered(f, D, F), clustered(f, F, D), gate=clustered(f, D, F), up_bias=up_bias,
                     gate_bias=f.select(gate_bias, f.members), down_bias=down_bias))


def two_tables(f):
    """Gate and up follow one clustering, down another."""
    other = f.table([2, 2, 1, 0, 1, 0], EXPERT, CLUSTER)
    layer(f, clustered, down_form=lambda f, i, o: f.add(f.select(f.weight(i, o, CLUSTER), other), low_rank(f, i, o)))


def shared_base(f):
    """D2-MoE: one base for the layer."""
    layer(f, lambda f, i, o: f.add(f.weight(i, o), low_rank(f, i, o)))


def shared_base_and_v(f):
    """D2-MoE with V shared by all experts."""
    layer(f, lambda f, i, o: f.add(f.weight(i, o), f.mul(f.weight(i, R, EXPERT), f.weight(R, o))))


def shared_base_u_and_v(f):
    """D2-MoE with both factors shared and a core for each expert."""
    layer(f, lambda f, i, o: f.add(f.weight(i, o), f.mul(f.mul(f.weight(i, R), f.weight(R, R, EXPERT)), f.weight(R, o))))


def alias(f):
    """HC-SMoE, Sub-MoE, REAP: experts that were merged into others."""
    layer(f, lambda f, i, o: f.select(f.weight(i, o, CLUSTER), f.members))


def alias_down_only(f):
    layer(f, plain_form, down_form=lambda f, i, o: f.select(f.weight(i, o, CLUSTER), f.members))


def shared_right_factor(f):
    """MoE-SVD: U for each expert, V for all."""
    layer(f, lambda f, i, o: f.mul(f.weight(i, R, EXPERT), f.weight(R, o)))


def kept_left_factors(f):
    """MoE-SVD with the U of few experts kept."""
    layer(f, lambda f, i, o: f.mul(f.select(f.weight(i, R, CLUSTER), f.members), f.weight(R, o)))


def latent_per_group(f):
    """MoLAE: A for each expert, B for each group; down mirrored."""
    layer(f, lambda f, i, o: f.mul(f.weight(i, R, EXPERT), f.select(f.weight(R, o, CLUSTER), f.members)),
          down_form=lambda f, i, o: f.mul(f.select(f.weight(i, R, CLUSTER), f.members), f.weight(R, o, EXPERT)))


def mixed(f, phi):
    """MoBE: gate and up from a basis; down dense."""
    def form(f, rows, columns):
        mix = f.mix(f.weight(rows, R, "basis[3]"), f.weight(1, 3, EXPERT), phi)
        return f.mul(mix, f.weight(R, columns, EXPERT))
    layer(f, form, down_form=plain_form)


def mixed_silu(f):
    mixed(f, "silu")


def mixed_tanh(f):
    mixed(f, "tanh")


def mixed_linear(f):
    mixed(f, None)


def mixed_on_the_output_side(f):
    """The replication's variant: the basis of down on its output side."""
    def form(f, rows, columns):
        return f.mul(f.weight(rows, R, EXPERT), f.mix(f.weight(R, columns, "basis[3]"), f.weight(1, 3, EXPERT), "silu"))
    layer(f, plain_form, down_form=form)


def mixed_by_cluster(f):
    """One mix for each cluster, chosen by the experts."""
    layer(f, lambda f, i, o: f.select(f.mix(f.weight(i, o, "basis[2]"), f.weight(1, 2, CLUSTER), "tanh"), f.members))


def tucker(f):
    """TD-MoE: U·(Σ_c e_ic·G_c)·V."""
    def form(f, rows, columns):
        core = f.mix(f.weight(R, R, "basis[3]"), f.weight(1, 3, EXPERT))
        return f.mul(f.mul(f.weight(rows, R), core), f.weight(R, columns))
    layer(f, form)


def positions(f, rows, columns, nonzeros, entries):
    """Random places; an equal pair, a padded one and three outside in each entry."""
    random = f.random()
    places = np.stack([random.integers(0, rows, (entries, nonzeros)), random.integers(0, columns, (entries, nonzeros))], -1)
    places[:, 1], places[:, 2] = places[:, 0], -1
    places[:, 3], places[:, 4], places[:, 5] = (rows, 0), (-1, 0), (0, columns)
    return places


def sparse_residual(f):
    """ResMoE: a barycentre and a sparse residual."""
    def form(f, rows, columns):
        delta = f.sparse(f.weight(1, 12, EXPERT), positions(f, rows, columns, 12, E), rows, columns)
        return f.add(f.weight(rows, columns), delta)
    layer(f, form)


def sparse_bf16(f):
    """Equal positions add, and the sum is rounded once."""
    x = f.tokens_of(D, "bf16")
    ids, p = f.ids(f.choices(E, K), EXPERT), f.argument(f.floats(f.tokens, K, element="bf16"), "bf16")
    values, places = f.weight(1, 12, EXPERT, "bf16"), np.zeros((E, 12, 2), int)
    places[:, 6:] = positions(f, D, F, 6, E)
    f.give(f.experts(x, ids, p, f.sparse(values, places, D, F), f.weight(F, D, EXPERT, "bf16"), act="<identity>"))


def clustered_low_rank_and_sparse(f):
    """MC-SMoE: everything belongs to the cluster."""
    def form(f, rows, columns):
        low = f.mul(f.weight(rows, R, CLUSTER), f.weight(R, columns, CLUSTER))
        delta = f.sparse(f.weight(1, 12, CLUSTER), positions(f, rows, columns, 12, G), rows, columns)
        return f.select(f.add(low, delta), f.members)
    layer(f, form)


def ragged_widths(f):
    """CAMERA: each expert has its own width; one has none, one says more than there is."""
    sizes = [3, F, 0, 7, F + 5, -1]
    layer(f, lambda f, i, o: f.ragged("output", plain_form(f, i, o), sizes),
          down_form=lambda f, i, o: f.ragged("input", plain_form(f, i, o), sizes))


def ragged_ranks(f):
    """A residual whose rank differs from expert to expert."""
    def form(f, rows, columns):
        ranks = [1, 4, 0, 2, 3, 4]
        low = f.mul(f.ragged("output", f.weight(rows, R, EXPERT), ranks), f.ragged("input", f.weight(R, columns, EXPERT), ranks))
        return f.add(f.select(f.weight(rows, columns, CLUSTER), f.members), low)
    layer(f, form)


def latent(f):
    """LatentMoE: experts between two projections that all share."""
    layer(f, lambda f, i, o: f.mul(f.weight(i, R), f.weight(R, o, EXPERT)),
          down_form=lambda f, i, o: f.mul(f.weight(i, R, EXPERT), f.weight(R, o)))


def latent_without_gate(f):
    """Nemotron-3: LatentMoE with ReLU² and no gate."""
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), EXPERT), f.argument(f.floats(f.tokens, K), "f32")
    up = f.mul(f.weight(D, R), f.weight(R, F, EXPERT))
    f.give(f.experts(x, ids, p, up, f.mul(f.weight(F, R, EXPERT), f.weight(R, D)), act="<relu2>"))


def scaled_shared(f):
    """IA3-like: one matrix for all, a scale for each expert's columns (up) or rows (down)."""
    layer(f, lambda f, i, o: f.scale("output", f.weight(i, o), f.weight(1, o, EXPERT)),
          down_form=lambda f, i, o: f.scale("input", f.weight(i, o), f.weight(1, i, EXPERT)))


def scaled_clustered(f):
    """KBVQ's affine: a shared product plus a scaled part of the expert's own."""
    def form(f, rows, columns):
        shared = f.mul(f.weight(rows, R), f.weight(R, columns))
        return f.add(shared, f.scale("output", f.select(f.weight(rows, columns, CLUSTER), f.members), f.weight(1, columns, EXPERT)))
    layer(f, form)


def select_of_select(f):
    """Two tables behind each other: experts of clusters of super-clusters."""
    above = f.table([1, 0, 1], CLUSTER, "cluster[2]")
    layer(f, lambda f, i, o: f.select(f.select(f.weight(i, o, "cluster[2]"), above), f.members))


def slices(f):
    """Columns and rows cut out of weights, some beyond them."""
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), EXPERT), f.argument(f.floats(f.tokens, K), "f32")
    up, down = f.slice("output", f.weight(D, 16, EXPERT), 8, F), f.slice("input", f.weight(16, D, EXPERT), 3, F)
    f.give(f.experts(x, ids, p, up, down, act="<relu>"))


FORMS = [plain, clustered_base, clustered_base_with_empty_cluster, table_that_points_outside,
         shared_beside_a_table_that_points_outside,
         clustered_base_rank_one, clustered_base_input_gated,
         clustered_base_with_biases, two_tables, shared_base, shared_base_and_v, shared_base_u_and_v, alias, alias_down_only,
         shared_right_factor, kept_left_factors, latent_per_group, mixed_silu, mixed_tanh, mixed_linear,
         mixed_on_the_output_side, mixed_by_cluster, tucker, sparse_residual, sparse_bf16, clustered_low_rank_and_sparse, ragged_widths,
         ragged_ranks, latent, latent_without_gate, scaled_shared, scaled_clustered, select_of_select, slices]

@pytest.fixture(scope="module", params=STAGES)
def compiled(request, tmp_path_factory):
    return compile_module(module_of(programs(FORMS)), tmp_path_factory.mktemp("forms"), *STAGES[request.param])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("tokens", [7, 1, 0])
def test_layer(compiled, form, tokens):
    programs([form], tokens)[form.__name__].check(compiled)


def test_text_does_not_depend_on_the_number_of_tokens():
    assert module_of(programs(FORMS, 7)) == module_of(programs(FORMS, 0))
