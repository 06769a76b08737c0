"""Values of moe.experts: activations, biases, both gatings, special and shared experts, ids of -1, element types.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Act, Specials
from program import STAGES, compile_module, module_of, programs

D, F, E, K = 10, 7, 5, 3
AXIS = f"expert[{E}]"


def layer(f, act="<silu>", meaning=None, gate=True, biases=(), element="f32", scale=1.0, ids=None, experts=E, axis=AXIS,
          indexed=AXIS, **more):
    """One layer with plain weights; `biases` names those it has; `scale` stretches the tokens."""
    x = f.tokens_of(D, element, scale)
    ids = f.ids(f.choices(experts, K) if ids is None else ids, axis)
    p = f.argument(f.floats(f.tokens, ids.data.shape[1], element=element), element)
    weights = dict(up=f.weight(D, F, indexed, element), down=f.weight(F, D, indexed, element))
    if gate:
        weights["gate"] = f.weight(D, F, indexed, element)
    for bias in biases:
        weights[bias] = f.weight(1, D if bias == "down_bias" else F, indexed, element)
    f.give(f.experts(x, ids, p, act=act, activation=meaning, **weights, **more))


def plain_layer(kind, gate, text=None, meaning=None, **more):
    def build(f):
        layer(f, f"<{text or kind}>", meaning or Act(kind), gate=gate, **more)
    build.__name__ = f"act_{kind}{'_gated' if gate else ''}{'_clamped' if text and 'clamp' in text else ''}"
    return build


KINDS = ["identity", "silu", "gelu", "gelu_tanh", "relu", "relu2", "sigmoid_alpha", "tanh"]
ACTIVATIONS = [plain_layer(kind, gate) for kind in KINDS for gate in (True, False)]
CLAMPED = [plain_layer(kind, gate, f"{kind} clamp 0.5", Act(kind, clamp=0.5)) for kind in KINDS for gate in (True, False)]


def alpha(f):
    layer(f, "<sigmoid_alpha alpha 1.702>", Act("sigmoid_alpha", alpha=1.702), gate=False)


def offset_without_clamp(f):
    layer(f, "<silu offset 1.0>", Act("silu", offset=1.0))


def gpt_oss(f):
    """Biases everywhere, clamped SwiGLU with alpha and offset; large tokens, so that the clamp acts."""
    layer(f, "<sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>", Act("sigmoid_alpha", 1.702, 7.0, 1.0),
          biases=("up_bias", "gate_bias", "down_bias"), scale=5.0)


def deepseek_v4(f):
    layer(f, "<silu clamp 10.0>", Act("silu", clamp=10.0), scale=20.0)


def only_up_bias(f):
    layer(f, biases=("up_bias",))


def only_gate_bias(f):
    layer(f, biases=("gate_bias",))


def only_down_bias(f):
    layer(f, biases=("down_bias",))


def biases_without_gate(f):
    layer(f, gate=False, biases=("up_bias", "down_bias"))


def llama4(f):
    layer(f, gated="on_input")


def input_gated_with_biases(f):
    layer(f, gated="on_input", biases=("up_bias", "gate_bias", "down_bias"))


def input_gated_without_gate(f):
    layer(f, "<relu2>", gate=False, gated="on_input")


def longcat(f):
    layer(f, experts=E + 3, axis=f"expert[{E}+3]", specials="<identity 3>", numbers=Specials(identity=3))


def zero_experts(f):
    layer(f, experts=E + 2, axis=f"expert[{E}+2]", specials="<zero 2>", numbers=Specials(zero=2))


def with_constants(f, mixed=False, **more):
    constants = f.argument(f.floats(2, D), "f32", tokens=False)
    mixing = f.argument(f.floats(2, D, 2), "f32", tokens=False) if mixed else None
    numbers = Specials(1, 2, 2, constants.data, mixing.data if mixed else None)
    layer(f, experts=E + 5, axis=f"expert[{E}+5]", specials="<zero 1 identity 2 constant 2>", numbers=numbers,
          constants=constants, mixing=mixing, **more)


def constant_experts(f):
    with_constants(f)


def moe_plus_plus(f):
    with_constants(f, mixed=True)


def specials_gate_on_output_always(f):
    with_constants(f, mixed=True, gated="on_input")


def only_special_ids(f):
    ids = f.random().integers(E, E + 5, (f.tokens, K)).astype(np.int32)
    with_constants(f, mixed=True, ids=ids)


def no_expert_at_all(f):
    layer(f, ids=np.full((f.tokens, K), -1, np.int32))


def the_same_expert_twice(f):
    layer(f, ids=np.tile(np.array([[3, 3, 1]], np.int32), (f.tokens, 1)))


def weights_of_minus_one_do_not_count(f):
    """Gate weights of id -1 may be anything, even NaN."""
    x, ids = f.tokens_of(D), f.ids(f.choices(E, K), AXIS)
    weights = f.floats(f.tokens, K)
    weights[ids.data < 0] = np.nan
    f.give(f.experts(x, ids, f.argument(weights, "f32"), f.weight(D, F, AXIS), f.weight(F, D, AXIS)))


def shared_expert(f):
    """Qwen2: one expert for all tokens, gated by σ(x·v)."""
    x = f.tokens_of(D)
    ids = f.ids(np.zeros((f.tokens, 1), np.int32), "expert[1]")
    p = f.argument(moe.sigmoid(f.floats(f.tokens, 1)), "f32")
    f.give(f.experts(x, ids, p, f.weight(D, F, "expert[1]"), f.weight(F, D, "expert[1]"), gate=f.weight(D, F, "expert[1]")))


def shared_expert_without_axis(f):
    layer(f, ids=np.zeros((f.tokens, 1), np.int32), axis="expert[1]", indexed=None)


def routed_and_shared(f):
    """DeepSeek: routed experts plus two shared ones, each always on."""
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), AXIS), f.argument(f.floats(f.tokens, K), "f32")
    both = f.ids(np.tile(np.array([[0, 1]], np.int32), (f.tokens, 1)), "expert[2]")
    ones = f.argument(np.ones((f.tokens, 2), np.float32), "f32")
    routed = f.experts(x, ids, p, f.weight(D, F, AXIS), f.weight(F, D, AXIS), gate=f.weight(D, F, AXIS))
    shared = f.experts(x, both, ones, f.weight(D, F, "expert[2]"), f.weight(F, D, "expert[2]"), gate=f.weight(D, F, "expert[2]"))
    f.give(f.op(f"arith.addf {routed}, {shared} : {x.type}", x.type, routed.data + shared.data, "f32"))


def one_expert_of_one(f):
    layer(f, ids=np.zeros((f.tokens, 1), np.int32), axis="expert[1]", indexed="expert[1]")


def clusters_as_experts(f):
    """An expert layer over another axis: ids of clusters."""
    layer(f, axis=f"cluster[{E}]", indexed=f"cluster[{E}]")


def partly_shared(f):
    """Up is one matrix for all, gate and down are the experts' own."""
    x = f.tokens_of(D)
    ids, p = f.ids(f.choices(E, K), AXIS), f.argument(f.floats(f.tokens, K), "f32")
    f.give(f.experts(x, ids, p, f.weight(D, F), f.weight(F, D, AXIS), gate=f.weight(D, F, AXIS), up_bias=f.weight(1, F),
                     down_bias=f.weight(1, D)))


def typed(element, gate=True, gated="on_output", biases=(), specials=False):
    def build(f):
        more = dict(experts=E + 2, axis=f"expert[{E}+2]", specials="<zero 1 identity 1>", numbers=Specials(1, 1)) if specials else {}
        layer(f, element=element, gate=gate, gated=gated, biases=biases, **more)
    build.__name__ = f"{element}{'_gated' if gate else ''}_{gated}{'_biased' if biases else ''}{'_specials' if specials else ''}"
    return build


ELEMENTS = [typed(element, **more) for element in ("bf16", "f16", "f64") for more in
            ({}, {"gate": False}, {"gated": "on_input"}, {"biases": ("up_bias", "gate_bias", "down_bias")}, {"specials": True})]

LAYERS = [*ACTIVATIONS, *CLAMPED, alpha, offset_without_clamp, gpt_oss, deepseek_v4, only_up_bias, only_gate_bias, only_down_bias,
          biases_without_gate, llama4, input_gated_with_biases, input_gated_without_gate, longcat, zero_experts, constant_experts,
          moe_plus_plus, specials_gate_on_output_always, only_special_ids, no_expert_at_all, the_same_expert_twice,
          weights_of_minus_one_do_not_count, shared_expert, shared_expert_without_axis, routed_and_shared, one_expert_of_one,
          clusters_as_experts, partly_shared, *ELEMENTS]


@pytest.fixture(scope="module", params=STAGES)
def compiled(request, tmp_path_factory):
    return compile_module(module_of(programs(LAYERS)), tmp_path_factory.mktemp("experts"), *STAGES[request.param])


@pytest.mark.parametrize("build", LAYERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("tokens", [9, 1, 0])
def test_layer(compiled, build, tokens):
    programs([build], tokens)[build.__name__].check(compiled)
