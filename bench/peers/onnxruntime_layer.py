"""ONNX Runtime as a peer of the layer suites: `onnxruntime_layer.py --suite bench/suites/layers.json [--only NAME]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The contrib operator com.microsoft.MoE (SwiGLU) in f32. Its router takes the k best of the logits itself; weights are graph
inputs bound to memory, since a model file holds at most 2 GB.
"""

import cases

found = cases.options(__doc__.splitlines()[0])

import sys  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402


def session(problem):
    width, inner, experts = problem["width"], problem["inner"], problem["experts"]
    shapes = {"x": ["tokens", width], "logits": ["tokens", experts], "gate_up": [experts, 2 * inner, width],
              "down": [experts, width, inner]}  # fmt: skip
    # gate * sigmoid(alpha * gate) * (up + beta), rows of gate and up in turn, and no limit.
    node = helper.make_node("MoE", ["x", "logits", "gate_up", "", "down"], ["y"], domain="com.microsoft", k=problem["k"],
                            activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.0, activation_beta=0.0,
                            swiglu_limit=1e30, normalize_routing_weights=1)  # fmt: skip
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tokens", width])])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = found.threads
    settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def run(suite, problem, tokens_list):
    name = "ONNX Runtime MoE f32"
    try:
        ready = session(problem)
    except Exception as error:  # versions differ in what they have
        print(f"{name}: left out: {str(error).splitlines()[0][-160:]}", file=sys.stderr)
        return
    gate_up, down = cases.weights(problem)
    in_turn = np.ascontiguousarray(gate_up.reshape(len(gate_up), 2, -1, problem["width"]).swapaxes(1, 2)).reshape(gate_up.shape)
    held = {key: onnxruntime.OrtValue.ortvalue_from_numpy(value) for key, value in (("gate_up", in_turn), ("down", down))}
    for tokens in tokens_list:
        x = np.random.default_rng(3).standard_normal((tokens, problem["width"]), dtype=np.float32)
        routings = [cases.Routing(problem, tokens, seed) for seed in range(8)]
        bindings = []
        for routing in routings:
            binding = ready.io_binding()
            for key, value in {"x": x, "logits": routing.logits}.items():
                binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(value))
            for key, value in held.items():
                binding.bind_ortvalue_input(key, value)
            binding.bind_output("y")
            bindings.append(binding)

        def call(number):
            ready.run_with_iobinding(bindings[number])

        try:
            call(0)
        except Exception as error:
            print(f"{name}, {tokens} tokens: left out: {str(error).splitlines()[0][-160:]}", file=sys.stderr)
            return
        error = cases.check(bindings[0].copy_outputs_to_cpu()[0], x, routings[0], gate_up, down, 1e-3)
        cases.measure(found, suite, problem, routings, name, call, error, 4)


for case in cases.problems(found):
    run(*case)
