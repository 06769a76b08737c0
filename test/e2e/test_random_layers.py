"""Values of random layers: weight expressions, tables, biases, gating, routing and special experts in any combination.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

What nobody thought of combining. Each layer is a function of its number, so a failure can be repeated; MOEC_RANDOM_LAYERS
is how many to try (24 when it is not set).
"""

import os

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Act, Capacity, Choice, Gates, Limit, Specials
from program import STAGES, Program, compile_module, module_of

COUNT = int(os.environ.get("MOEC_RANDOM_LAYERS", 24))
E, G = 6, 3
EXPERT, CLUSTER = f"expert[{E}]", f"cluster[{G}]"


def pick(f, *options):
    return options[f.random().integers(len(options))]


def chance(f, probability):
    return bool(f.random().random() < probability)


def expression(f, rows, columns, axis, depth):
    """A random weight expression rows x columns over an axis (EXPERT, CLUSTER or None)."""
    kinds = ["leaf"]
    if axis == EXPERT:
        kinds += ["select"] * 3 + ["shared"]
    if depth > 0:
        kinds += ["add"] * 3 + ["mul"] * 3 + ["scale", "mix"]
        if axis is not None:
            kinds += ["ragged", "sparse"]
    kind = pick(f, *kinds)
    inner = lambda: pick(f, axis, axis, None) if axis != EXPERT else pick(f, EXPERT, EXPERT, None)
    if kind == "leaf":
        return f.weight(rows, columns, axis)
    if kind == "shared":
        return expression(f, rows, columns, None, depth)
    if kind == "select":
        w = expression(f, rows, columns, CLUSTER, depth)
        return f.select(w, pick(f, *f.tables)) if w.data.ndim == 3 else w
    if kind == "add":
        return f.add(expression(f, rows, columns, axis, depth - 1), expression(f, rows, columns, inner(), depth - 1))
    if kind == "mul":
        width = pick(f, 1, 3, 5)
        return f.mul(expression(f, rows, width, inner(), depth - 1), expression(f, width, columns, inner(), depth - 1))
    if kind == "scale":
        side = pick(f, "input", "output")
        return f.scale(side, expression(f, rows, columns, inner(), depth - 1), f.weight(1, rows if side == "input" else columns, inner()))
    if kind == "mix":
        return f.mix(f.weight(rows, columns, "basis[2]"), f.weight(1, 2, axis), pick(f, None, "silu", "tanh"))
    count = E if axis == EXPERT else G
    if kind == "ragged":
        side = pick(f, "input", "output")
        sizes = f.random().integers(-1, (rows if side == "input" else columns) + 2, count)
        w = expression(f, rows, columns, axis, depth - 1)
        return f.ragged(side, w, sizes) if w.data.ndim == 3 else w
    places = np.stack([f.random().integers(-1, rows + 1, (count, 5)), f.random().integers(-1, columns + 1, (count, 5))], -1)
    return f.sparse(f.weight(1, 5, axis), places, rows, columns)


def routing(f, axis, columns):
    """Ids and gate weights: given, or from a random router."""
    k = pick(f, 1, 2, 3)
    if chance(f, 0.4):
        return f.ids(f.choices(columns, k), axis), f.argument(f.floats(f.tokens, k), "f32")
    logits = f.argument(f.floats(f.tokens, columns, scale=1.5), "f32")
    words, operands, meaning = "", [logits], {}
    if columns == E and chance(f, 0.6):
        keep, by, masked = pick(f, 1, 2, 3), pick(f, "max", "logits", "top2_sum", "sum"), pick(f, "neg_inf", "neg_inf", "zero")
        table = pick(f, *f.tables)
        operands.append(table)
        words = f"limit <keep {keep} of {G} by {by}{' masked zero' if masked == 'zero' else ''}> clusters {table} "
        meaning = {"limit": Limit(keep, G, by, masked), "table": table.data}
        if by == "logits":
            operands.append(f.argument(f.floats(f.tokens, G), "f32"))
            words, meaning["group_logits"] = f"{words}scored by {operands[-1]} ", operands[-1].data
    gates = pick(f, Gates(), Gates("scores", "l1"), Gates("scores", scale=2.5))
    words += f"choose <top_k {k}> gates <scores{', l1' if gates.norm else ''}{' scale 2.5' if gates.scale != 1 else ''}>"
    if chance(f, 0.2):
        meaning["capacity"] = Capacity(0.75)
        words += " capacity <0.75 drop last>"
    if "+" in axis:
        words += " specials <zero 1 identity 2>"
    ids, p = moe.route(logits.data, score="sigmoid", choose=Choice("top_k", k), gates=gates, **meaning)
    kinds = f"tensor<?x{k}x!moe.id<{axis}>>", f"tensor<?x{k}xf32>"
    return f.ops(f"moe.route {logits} score sigmoid {words} : ({', '.join(o.type for o in operands)}) -> ({', '.join(kinds)})",
                 (kinds[0], ids, "id"), (kinds[1], p, "f32"))


def layer(number, tokens=7):
    f = Program(f"layer_{number}", tokens)
    width, hidden = pick(f, 4, 7), pick(f, 3, 6)
    outside = chance(f, 0.25)  # some targets do not exist
    f.tables = [f.table(f.random().integers(-outside, G + outside, E), EXPERT, CLUSTER) for _ in range(pick(f, 1, 1, 2))]
    axis = pick(f, EXPERT, EXPERT, f"expert[{E}+3]")
    x, (ids, p) = f.tokens_of(width), routing(f, axis, E + 3 if "+" in axis else E)
    weights = dict(up=expression(f, width, hidden, EXPERT, 2), down=expression(f, hidden, width, EXPERT, 2))
    if chance(f, 0.6):
        weights["gate"] = expression(f, width, hidden, EXPERT, 2)
    for bias, size in (("up_bias", hidden), ("gate_bias", hidden), ("down_bias", width)):
        if chance(f, 0.3) and (bias != "gate_bias" or "gate" in weights):
            weights[bias] = expression(f, 1, size, EXPERT, 1)
    act, meaning = pick(f, ("<silu>", Act("silu")), ("<relu2>", Act("relu2")), ("<identity>", Act("identity")),
                        ("<gelu clamp 0.5>", Act("gelu", clamp=0.5)))
    more = dict(specials="<zero 1 identity 2>", numbers=Specials(1, 2)) if "+" in axis else {}
    f.give(f.experts(x, ids, p, act=act, activation=meaning, gated=pick(f, "on_output", "on_output", "on_input"), **weights, **more),
           tolerance=1e-4)  # of one token, all of whose few numbers may be what is left of larger ones
    return f


@pytest.fixture(scope="module", params=STAGES)
def compiled(request, tmp_path_factory):
    text = module_of({number: layer(number) for number in range(COUNT)})
    return compile_module(text, tmp_path_factory.mktemp("random"), *STAGES[request.param])


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("tokens", [7, 1])
def test_layer(compiled, number, tokens):
    layer(number, tokens).check(compiled)
