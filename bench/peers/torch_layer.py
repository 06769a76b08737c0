"""PyTorch as a peer of the layer suites: `torch_layer.py --suite bench/suites/layers.json [--only NAME] [--tokens 1,8]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The experts of Hugging Face transformers' Qwen3-MoE block with each implementation it has (eager, batched_mm, grouped_mm), in
f32 and in bf16 (the CPU's matrix units, where it has them), and eager under torch.compile. One that does not run here is left
out, and said so.
"""

import cases

found = cases.options(__doc__.splitlines()[0])

import sys  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from transformers.models.qwen3_moe.configuration_qwen3_moe import Qwen3MoeConfig  # noqa: E402
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeExperts  # noqa: E402

torch.set_num_threads(found.threads)
torch.set_grad_enabled(False)


def make(problem, gate_up, down, dtype):
    """The experts, on the weights' own memory if they are f32."""
    config = Qwen3MoeConfig(hidden_size=problem["width"], moe_intermediate_size=problem["inner"], num_experts=problem["experts"],
                            num_experts_per_tok=problem["k"], hidden_act="silu", norm_topk_prob=True)  # fmt: skip
    with torch.device("meta"):
        experts = Qwen3MoeExperts(config)
    experts.gate_up_proj = torch.nn.Parameter(torch.from_numpy(gate_up).to(dtype), requires_grad=False)
    experts.down_proj = torch.nn.Parameter(torch.from_numpy(down).to(dtype), requires_grad=False)
    return experts, config


def run(suite, problem, tokens_list):
    gate_up, down = cases.weights(problem)
    for dtype, label, bound in ((torch.float32, "f32", 1e-3), (torch.bfloat16, "bf16", 0.1)):
        experts, config = make(problem, gate_up, down, dtype)
        compiled = None
        for tokens in tokens_list:
            x = np.random.default_rng(3).standard_normal((tokens, problem["width"]), dtype=np.float32)
            hidden = torch.from_numpy(x).to(dtype)
            routings = [cases.Routing(problem, tokens, seed) for seed in range(8)]
            ids = [torch.from_numpy(routing.ids) for routing in routings]
            gates = [torch.from_numpy(routing.gates).to(dtype) for routing in routings]
            for way in ("eager", "batched_mm", "grouped_mm", "compiled"):
                # batched_mm copies the weights of every choice.
                if way == "batched_mm" and tokens * problem["k"] > 2 * problem["experts"]:
                    continue
                config._experts_implementation = "eager" if way == "compiled" else way
                function = experts
                if way == "compiled":
                    compiled = torch.compile(experts, dynamic=True) if compiled is None else compiled
                    function = compiled

                def call(number):
                    return function(hidden, ids[number], gates[number])

                name = f"transformers {way} {label}" if way != "compiled" else f"torch.compile {label}"
                try:
                    output = call(0).float().numpy()
                except Exception as error:  # whatever a version of PyTorch lacks on this machine
                    print(f"{name}, {tokens} tokens: left out: {str(error).splitlines()[0][:120]}", file=sys.stderr)
                    continue
                error = cases.check(output, x, routings[0], gate_up, down, bound)
                cases.measure(found, suite, problem, routings, name, call, error, 4 if label == "f32" else 2)
        del experts


for case in cases.problems(found):
    run(*case)
