"""Values of moe.route: the routers of published models, every stage and attribute, and the awkward inputs.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

A router is one line of ROUTERS: the stages as they are written in the IR, and the same for the oracle. Ids must be equal;
the inputs are chosen so that no choice hangs on the last bit of exp, except where numbers are equal and ties decide.
"""

import math

import numpy as np
import pytest

from moe_numpy import Capacity, Choice, Gates, Limit
from program import Program, compile_module, module_of
import moe_numpy as moe

N = 12
CLUSTERS = np.array([0, 2, 1, 1, 0, 2, 4, 4, 0, 1, 2, 0], np.int32)  # cluster 3 has no members
L1, SOFTMAX, SIGMOID = Gates("scores", "l1"), Gates("softmax"), Gates("sigmoid")


class Router:
    """A function with one moe.route: its text and what the oracle makes of it."""

    def __init__(self, score, stages, choose, gates=Gates(), *, n=N, axis=f"expert[{N}]", element="f32", bias=0.0,
                 group_logits=0, **meaning):
        self.score, self.stages, self.choose, self.gates = score, stages, choose, gates
        self.n, self.axis, self.element, self.bias, self.group_logits = n, axis, element, bias, group_logits
        self.meaning = meaning

    def program(self, name, logits, tied=False, groups=None):
        """The function on given logits [T, n]; `tied` also rounds what goes with them, so that equal sums abound; `groups`
        replaces the group logits."""
        f = Program(name, len(logits))
        element, stages, operands, given = self.element, self.stages, [], {}
        x = f.argument(moe.round_to(logits, element), element)
        operands.append(x)

        def tie(values):
            return np.round(values * 2) / 2 if tied else values

        def use(word, value, **more):
            nonlocal stages
            stages = stages.replace(f"%{word}", str(value))
            operands.append(value)
            given.update(more)

        if "%bias" in stages:
            values = moe.round_to(tie(f.floats(self.n, scale=self.bias)), element)
            use("bias", f.argument(values, element, tokens=False), bias=values)
        if "%clusters" in stages:
            use("clusters", f.table(CLUSTERS, f"expert[{N}]", "cluster[5]"), table=CLUSTERS)
        if "%groups" in stages:
            values = moe.round_to(tie(f.floats(len(logits), self.group_logits)) if groups is None else groups, element)
            use("groups", f.argument(values, element), group_logits=values)
        if "%candidates" in stages:
            members = np.array([f.random().permutation(20)[: self.n] for _ in logits], np.int32).reshape(-1, self.n)
            members[::3, 1] = members[1::4, 0] = -1
            members[2::5] = -1  # nobody stands for election
            members[3::6, 2] = total(self.axis)  # stands for nobody
            use("candidates", f.ids(members, self.axis), candidates=members)
        if "%table" in stages:
            rows = np.array([f.random().permutation(N)[: self.choose.k] for _ in range(9)], np.int32)
            rows[3, 0] = -1
            rows[4] = -1
            rows[5, 0] = N
            use("table", f.ids(rows, self.axis, tokens=False), hash_table=rows)
            tokens = f.random().integers(-1, 11, len(logits)).astype(np.int32)  # -1, 9 and 10 are not in the table
            use("tokens", f.argument(tokens, "i32"), tokens=tokens)
        k = self.choose.k
        ids, p = moe.route(x.data, score=self.score, choose=self.choose, gates=self.gates, element=element,
                           experts=total(self.axis), **given, **self.meaning)
        kinds = [f"tensor<?x{k}x!moe.id<{self.axis}>>", f"tensor<?x{k}x{element}>"]
        types = ", ".join(o.type for o in operands)
        text = f"moe.route {x} score {self.score} {stages} : ({types}) -> ({', '.join(kinds)})"
        f.give(*f.ops(text, (kinds[0], ids, "id"), (kinds[1], p, element)))
        return f


def total(axis):
    """E + S of an axis such as expert[8+2]."""
    return sum(int(n) for n in axis[axis.index("[") + 1 : -1].split("+"))


def top(k):
    return Choice("top_k", k)


FAMILIES = {
    "mixtral": Router("softmax", "choose <top_k 2> gates <scores, l1>", top(2), L1),
    "qwen2": Router("softmax", "choose <top_k 4> gates <scores>", top(4)),
    "qwen3": Router("softmax", "choose <top_k 4> gates <scores, l1>", top(4), L1),
    "deepseek_v2_lite": Router("softmax", "choose <top_k 3> gates <scores scale 1.0>", top(3)),
    "deepseek_v2": Router("softmax", "limit <keep 2 of 4 by max masked zero> choose <top_k 3> gates <scores scale 16.0>",
                          top(3), Gates(scale=16.0), limit=Limit(2, 4, "max", "zero")),
    "deepseek_v3": Router("sigmoid", "bias %bias limit <keep 2 of 4 by top2_sum masked zero> choose <top_k 4> "
                          "gates <scores, l1 eps 1.0e-20 scale 2.5>", top(4), Gates("scores", "l1", 1e-20, 2.5), bias=0.3,
                          limit=Limit(2, 4, "top2_sum", "zero")),
    "deepseek_v3_serving": Router("sigmoid", "bias %bias limit <keep 2 of 4 by top2_sum> choose <top_k 4> "
                                  "gates <scores, l1 eps 1.0e-20 scale 2.5>", top(4), Gates("scores", "l1", 1e-20, 2.5),
                                  bias=1.0, limit=Limit(2, 4, "top2_sum")),
    "kimi_k2": Router("sigmoid", "bias %bias limit <keep 1 of 1 by top2_sum> choose <top_k 4> gates <scores, l1 scale 2.827>",
                      top(4), Gates("scores", "l1", scale=2.827), bias=0.3, limit=Limit(1, 1, "top2_sum")),
    "minimax_m2": Router("sigmoid", "bias %bias choose <top_k 4> gates <scores, l1>", top(4), L1, bias=0.3),
    "deepseek_v4": Router("sqrt_softplus", "bias %bias choose <top_k 3> gates <scores, l1 scale 1.5>", top(3),
                          Gates("scores", "l1", scale=1.5), bias=0.3),
    "deepseek_v4_hash": Router("sqrt_softplus", "choose <hash 3> from %table at %tokens gates <scores, l1 scale 1.5>",
                               Choice("hash", 3), Gates("scores", "l1", scale=1.5)),
    "gpt_oss": Router("identity", "choose <top_k 4> gates <softmax>", top(4), SOFTMAX),
    "llama4": Router("identity", "choose <top_k 1> gates <sigmoid>", top(1), SIGMOID),
    "phi_3_5": Router("identity", "choose <sparsemixer 2 at 0.01> gates <sparsemixer>", Choice("sparsemixer", 2, 0.01),
                      Gates("sparsemixer")),
    "phi_3_5_wide": Router("identity", "choose <sparsemixer 2 at 0.3> gates <sparsemixer>", Choice("sparsemixer", 2, 0.3),
                           Gates("sparsemixer")),
    "ernie_4_5": Router("softmax", "bias %bias choose <top_k 3> gates <scores, l1_floor eps 1.0e-12>", top(3),
                        Gates("scores", "l1_floor", 1e-12), bias=0.05),
    "ernie_4_5_high_floor": Router("softmax", "choose <top_k 3> gates <scores, l1_floor eps 0.7>", top(3),
                                   Gates("scores", "l1_floor", 0.7)),
    "longcat": Router("softmax", "bias %bias choose <top_k 5> gates <scores scale 6.0> specials <identity 4>", top(5),
                      Gates(scale=6.0), bias=0.05, axis="expert[8+4]"),
    "moe_plus_plus": Router("softmax", "choose <top_k 2> gates <scores, l1> specials <zero 1 identity 1 constant 2>", top(2), L1,
                            axis="expert[8+4]"),
    "switch": Router("softmax", "choose <top_k 1> gates <scores> capacity <1.25 drop last>", top(1), capacity=Capacity(1.25)),
    "gshard": Router("softmax", "choose <top_k 2> gates <scores, l1> capacity <0.75 drop last>", top(2), L1,
                     capacity=Capacity(0.75)),
    "hunyuan": Router("softmax", "choose <top_k 3> gates <scores, l1> capacity <0.5 at_least 3 drop last>", top(3), L1,
                      capacity=Capacity(0.5, "last", 3)),
    "two_stage": Router("softmax", "limit <keep 2 of 5 by logits> clusters %clusters scored by %groups choose <top_k 4> "
                        "gates <scores, l1>", top(4), L1, group_logits=5, limit=Limit(2, 5, "logits")),
    "stage_one": Router("softmax", "choose <top_k 1> gates <scores>", top(1), axis=f"cluster[{N}]"),
    "stage_two": Router("softmax", "candidates %candidates choose <top_k 2> gates <scores, l1>", top(2), L1, n=6,
                        axis="expert[20]"),
}

STAGES = {
    # choices
    "everything": Router("softmax", f"choose <top_k {N}> gates <scores>", top(N)),
    "top_p": Router("softmax", "choose <top_p 5 at 0.6> gates <scores, l1>", Choice("top_p", 5, 0.6), L1),
    "top_p_only_one": Router("softmax", "choose <top_p 5 at 1.0e-6> gates <scores>", Choice("top_p", 5, 1e-6)),
    "top_p_all": Router("softmax", "choose <top_p 5 at 1.0> gates <scores>", Choice("top_p", 5, 1.0)),
    "top_p_biased": Router("softmax", "bias %bias choose <top_p 5 at 0.4> gates <scores>", Choice("top_p", 5, 0.4), bias=0.2),
    "threshold": Router("sigmoid", "choose <threshold 4 at 0.625> gates <scores, l1>", Choice("threshold", 4, 0.625), L1),
    "threshold_biased": Router("softmax", "bias %bias choose <threshold 4 at 0.1> gates <scores>", Choice("threshold", 4, 0.1),
                               bias=0.1),
    "threshold_on_logits": Router("identity", "choose <threshold 3 at 0.5> gates <softmax>", Choice("threshold", 3, 0.5), SOFTMAX),
    "expert_choice": Router("softmax", "choose <expert_choice 4 at 2.0> gates <scores>", Choice("expert_choice", 4, 2.0)),
    "expert_choice_few": Router("sigmoid", "choose <expert_choice 2 at 0.8> gates <scores, l1>", Choice("expert_choice", 2, 0.8), L1),
    "expert_choice_biased": Router("softmax", "bias %bias choose <expert_choice 3 at 1.1> gates <scores>",
                                   Choice("expert_choice", 3, 1.1), bias=0.05),
    "hash_softmax": Router("softmax", "choose <hash 2> from %table at %tokens gates <scores>", Choice("hash", 2)),
    "hash_of_logits": Router("identity", "choose <hash 2> from %table at %tokens gates <softmax>", Choice("hash", 2), SOFTMAX),
    # limits
    **{f"limit_{by}_{masked}": Router("sigmoid", f"limit <keep 2 of 4 by {by}{' masked zero' if masked == 'zero' else ''}> "
                                      "choose <top_k 5> gates <scores>", top(5), limit=Limit(2, 4, by, masked))
       for by in ("max", "top2_sum", "sum") for masked in ("neg_inf", "zero")},
    "limit_logits": Router("sigmoid", "limit <keep 2 of 4 by logits> scored by %groups choose <top_k 5> gates <scores>", top(5),
                           group_logits=4, limit=Limit(2, 4, "logits")),
    "limit_logits_zero": Router("sqrt_softplus", "limit <keep 1 of 4 by logits masked zero> scored by %groups choose <top_k 3> "
                                "gates <scores, l1>", top(3), L1, group_logits=4, limit=Limit(1, 4, "logits", "zero")),
    "limit_sum_identity": Router("identity", "limit <keep 1 of 3 by sum> choose <top_k 4> gates <softmax>", top(4), SOFTMAX,
                                 limit=Limit(1, 3, "sum")),
    "limit_sum_of_one": Router("softmax", "limit <keep 5 of 12 by sum> choose <top_k 4> gates <scores>", top(4),
                               limit=Limit(5, 12, "sum")),
    "limit_identity": Router("identity", "limit <keep 1 of 3 by max> choose <top_k 4> gates <softmax>", top(4), SOFTMAX,
                             limit=Limit(1, 3, "max")),
    **{f"clusters_{by}_{masked}": Router("softmax", f"limit <keep 2 of 5 by {by}{' masked zero' if masked == 'zero' else ''}> "
                                         "clusters %clusters choose <top_k 7> gates <scores, l1>", top(7), L1,
                                         limit=Limit(2, 5, by, masked))
       for by in ("max", "top2_sum", "sum") for masked in ("neg_inf", "zero")},
    "clusters_with_specials": Router("softmax", "bias %bias limit <keep 1 of 5 by top2_sum> clusters %clusters choose <top_k 4> "
                                     "gates <scores> specials <zero 1 identity 2>", top(4), n=15, axis="expert[12+3]", bias=0.1,
                                     limit=Limit(1, 5, "top2_sum")),
    "clusters_by_sum_with_specials": Router("softmax", "bias %bias limit <keep 2 of 5 by sum> clusters %clusters choose <top_k 4> "
                                            "gates <scores> specials <zero 1 identity 2>", top(4), n=15, axis="expert[12+3]",
                                            bias=0.1, limit=Limit(2, 5, "sum")),
    "clusters_limited_by_logits": Router("sigmoid", "limit <keep 3 of 5 by logits masked zero> clusters %clusters "
                                         "scored by %groups choose <top_k 6> gates <scores>", top(6), group_logits=5,
                                         limit=Limit(3, 5, "logits", "zero")),
    # gates
    **{f"gates_{source}_{norm}": Router("sigmoid" if source == "scores" else "identity",
                                        f"choose <top_k 3> gates <{source}, {norm} eps 0.125 scale 0.5>", top(3),
                                        Gates(source, norm, 0.125, 0.5))
       for source in ("scores", "softmax", "sigmoid") for norm in ("l1", "l2", "l1_floor")},
    "gates_logits": Router("identity", "choose <top_k 3> gates <scores scale 2.0>", top(3), Gates(scale=2.0)),
    "gates_softmax_scaled": Router("identity", "choose <top_k 3> gates <softmax scale 3.0>", top(3), Gates("softmax", scale=3.0)),
    "gates_norm_without_eps": Router("sqrt_softplus", "choose <top_k 3> gates <scores, l2>", top(3), Gates("scores", "l2")),
    # capacity
    "capacity_last_third": Router("sigmoid", "choose <top_k 3> gates <scores> capacity <0.3 drop last>", top(3),
                                  capacity=Capacity(0.3)),
    "capacity_lowest": Router("sigmoid", "choose <top_k 3> gates <scores> capacity <0.6 drop lowest>", top(3),
                              capacity=Capacity(0.6, "lowest")),
    "capacity_lowest_softmax": Router("identity", "choose <top_k 1> gates <softmax> capacity <4.0 drop lowest>", top(1), SOFTMAX,
                                      capacity=Capacity(4.0, "lowest")),
    "capacity_lowest_sigmoid": Router("identity", "choose <top_k 2> gates <sigmoid> capacity <0.4 drop lowest>", top(2), SIGMOID,
                                      capacity=Capacity(0.4, "lowest")),
    "capacity_lowest_at_least": Router("softmax", "choose <top_k 2> gates <scores> capacity <0.1 at_least 2 drop lowest>", top(2),
                                       capacity=Capacity(0.1, "lowest", 2)),
    "capacity_tiny": Router("softmax", "choose <top_k 2> gates <scores> capacity <1.0e-3 drop last>", top(2), capacity=Capacity(1e-3)),
    "capacity_with_specials": Router("softmax", "choose <top_k 3> gates <scores> capacity <0.5 drop last> specials <identity 4>",
                                     top(3), axis="expert[8+4]", capacity=Capacity(0.5)),
    "capacity_top_p": Router("softmax", "choose <top_p 3 at 0.5> gates <scores, l1> capacity <0.5 drop lowest>",
                             Choice("top_p", 3, 0.5), L1, capacity=Capacity(0.5, "lowest")),
    "capacity_hash": Router("sigmoid", "choose <hash 2> from %table at %tokens gates <scores> capacity <0.6 drop last>",
                            Choice("hash", 2), capacity=Capacity(0.6)),
    # candidates
    "candidates_sigmoid": Router("sigmoid", "candidates %candidates choose <top_k 4> gates <scores>", top(4), n=6,
                                 axis="expert[20]"),
    "candidates_logits": Router("identity", "candidates %candidates choose <top_k 5> gates <softmax>", top(5), SOFTMAX, n=6,
                                axis="expert[20]"),
    "candidates_top_p": Router("softmax", "candidates %candidates choose <top_p 4 at 0.7> gates <scores>", Choice("top_p", 4, 0.7),
                               n=6, axis="expert[20]"),
    "candidates_with_specials": Router("softmax", "candidates %candidates choose <top_k 3> gates <scores> specials <zero 4>",
                                       top(3), n=6, axis="expert[16+4]"),
    "candidates_capacity": Router("softmax", "candidates %candidates choose <top_k 2> gates <scores> capacity <1.0 drop last>",
                                  top(2), n=6, axis="expert[20]", capacity=Capacity(1.0)),
    # element types
    **{f"{kind}_{name}": Router(score, stages, choose, gates, element=kind)
       for kind in ("bf16", "f16", "f64") for name, score, stages, choose, gates in [
           ("softmax", "softmax", "choose <top_k 3> gates <scores, l1>", top(3), L1),
           ("gpt_oss", "identity", "choose <top_k 4> gates <softmax>", top(4), SOFTMAX),
           ("sigmoid", "sigmoid", "choose <top_k 3> gates <scores, l2 eps 1.0e-3 scale 2.5>", top(3),
            Gates("scores", "l2", 1e-3, 2.5))]},
}

ROUTERS = FAMILIES | STAGES


def random_logits(rows, n):
    """A mild preference for the first experts, so that capacities are reached."""
    return np.random.default_rng([rows, n]).standard_normal((rows, n)) * 1.5 + np.linspace(1, -1, n)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    programs = {name: router.program(name, random_logits(5, router.n)) for name, router in ROUTERS.items()}
    return compile_module(module_of(programs), tmp_path_factory.mktemp("routes"))


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize("tokens", [23, 1, 0])
def test_random(compiled, name, tokens):
    router = ROUTERS[name]
    router.program(name, random_logits(tokens, router.n)).check(compiled)


# Softmax of two rows with the same logits in another order may differ in the last bit, so that tokens do not tie.
COMPARES_TOKENS = {name for name, r in ROUTERS.items() if r.score == "softmax" and
                   (r.choose.kind == "expert_choice" or r.meaning.get("capacity", Capacity(1)).drop == "lowest")}


@pytest.mark.parametrize("name", sorted(set(ROUTERS) - COMPARES_TOKENS))
def test_ties(compiled, name):
    """Few different logits, then only one: the lowest index wins everywhere (R19)."""
    router = ROUTERS[name]
    logits = np.random.default_rng(3).integers(0, 3, (16, router.n)).astype(float)
    logits[-2:] = 0.5
    router.program(name, logits, tied=True).check(compiled)


def awkward_rows(n, positive_infinity):
    """NaN and infinity in some, in most, in all columns, and very large numbers."""
    rows = np.random.default_rng(5).standard_normal((9, n))
    rows[0, 0] = rows[1, 2:] = rows[2] = math.nan
    rows[3, 1] = rows[4, 1:] = rows[5] = -math.inf
    rows[6, :2] = math.nan, -math.inf
    rows[7] = np.resize([3e4, -3e4], n)
    rows[8, 3] = math.inf if positive_infinity else 0.0
    return rows


# The gate of sparsemixer next to a NaN column is not specified; +inf gives inf/inf in norms and in a softmax of logits.
UNSPECIFIED = {name for name, r in ROUTERS.items() if r.choose.kind == "sparsemixer"}
WITH_INFINITY = {name for name, r in ROUTERS.items() if r.gates.norm is None and r.gates.source != "softmax"}


@pytest.mark.parametrize("name", sorted(set(ROUTERS) - UNSPECIFIED))
def test_nan_and_infinity(compiled, name):
    router = ROUTERS[name]
    program = router.program(name, awkward_rows(router.n, name in WITH_INFINITY))
    ids, weights = (v.data for v, _ in program.results)
    assert not weights[ids < 0].any()  # R16, R18: the oracle itself
    if "masked zero" not in router.stages:  # it may let a NaN be chosen
        assert not np.isnan(weights).any()
    program.check(compiled)


@pytest.mark.parametrize("name", sorted(n for n in ROUTERS if "limit" in ROUTERS[n].meaning and ROUTERS[n].meaning["limit"].masked == "neg_inf"))
def test_nothing_chosen_within_a_limit(compiled, name):
    """Every key is NaN or -inf: ids -1, weights 0 (R18), whatever groups are kept."""
    router = ROUTERS[name]
    rows = np.full((2, router.n), math.nan)
    if router.score in ("softmax", "identity"):
        rows[1] = -math.inf
    program = router.program(name, rows)
    assert all((v.data == (-1 if v.element == "i32" else 0)).all() for v, _ in program.results)
    program.check(compiled)


@pytest.mark.parametrize("name", ["clusters_max_neg_inf", "clusters_top2_sum_zero", "clusters_sum_zero", "two_stage", "clusters_with_specials",
                                  "clusters_by_sum_with_specials"])
def test_a_table_that_points_outside(compiled, name, monkeypatch):
    """Experts without a cluster are in no kept group; special ones are never masked."""
    monkeypatch.setattr(f"{__name__}.CLUSTERS", np.array([0, 2, 5, -1, 0, 2, 4, 4, 99, 1, 2, 0], np.int32))
    ROUTERS[name].program(name, random_logits(12, ROUTERS[name].n)).check(compiled)


@pytest.mark.parametrize("name", ["two_stage", "limit_logits", "limit_logits_zero", "clusters_limited_by_logits"])
def test_group_logits_at_the_edges(compiled, name):
    """NaN counts as -inf; exactly `keep` groups are kept, even of those."""
    router = ROUTERS[name]
    groups = np.random.default_rng(9).standard_normal((5, router.group_logits))
    groups[0, 1] = groups[1, 1:] = groups[2] = math.nan
    groups[3] = groups[4, 2:] = -math.inf
    router.program(name, random_logits(5, N), groups=groups).check(compiled)


def test_nan_gates_weigh_least(compiled):
    """Five tokens want expert 2, which takes four; the gate of an infinite logit is NaN."""
    logits = np.zeros((12, N))
    logits[:5, 2], logits[5:, 0] = [1, math.inf, 1, 1, 1], 1
    program = ROUTERS["capacity_lowest_softmax"].program("capacity_lowest_softmax", logits)
    assert (program.results[0][0].data[:5, 0] == [2, -1, 2, 2, 2]).all()
    program.check(compiled)


@pytest.mark.parametrize("name", ["phi_3_5", "phi_3_5_wide"])
def test_sparsemixer_with_infinite_and_equal_logits(compiled, name):
    rows = random_logits(6, N)
    rows[0, 3] = rows[1, 1:] = rows[2] = -math.inf
    rows[3] = 0  # 0/0 in the mask: nothing is masked
    rows[4] = -2
    ROUTERS[name].program(name, rows).check(compiled)


@pytest.mark.parametrize("name", ["switch", "gshard", "capacity_lowest", "expert_choice", "mixtral"])
def test_everyone_wants_the_same_expert(compiled, name):
    router = ROUTERS[name]
    logits = np.zeros((17, N))
    logits[:, 7] = np.linspace(1, 3, 17)
    router.program(name, logits).check(compiled)
