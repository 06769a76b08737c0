"""ONNX Runtime as a peer of the layer suites: `onnxruntime_layer.py --suite bench/suites/layers.json [--only NAME]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The contrib operators com.microsoft.MoE (SwiGLU, f32) for problems of f16 weights, and com.microsoft.QMoE for those of int4 in groups along the
reduction, with f32 and with int8 activations. Their routers take the k best of the logits themselves. Weights are initializers, which the
operators may prepack, lent from memory: a model file holds at most 2 GB.
"""

import cases

found = cases.options(__doc__.splitlines()[0])

import sys  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8}
# gate * sigmoid(alpha * gate) * (up + beta), rows of gate and up in turn, and no limit.
SWIGLU = {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.0, "activation_beta": 0.0, "swiglu_limit": 1e30,
          "normalize_routing_weights": 1}  # fmt: skip


def in_turn(gate_up):
    """Rows of gate and up in turn, from gate first."""
    return np.ascontiguousarray(gate_up.reshape(len(gate_up), 2, -1, gate_up.shape[2]).swapaxes(1, 2)).reshape(gate_up.shape)


def quantized(matrices, group):
    """Codes, two to a byte, the even column's low; scales of groups of columns; and the matrices that they stand for."""
    experts, rows, columns = matrices.shape
    codes = np.empty((experts, rows, columns // 2), np.uint8)
    scales = np.empty((experts, rows, columns // group), np.float32)
    stored = np.empty_like(matrices)
    for entry, code, scale, values in zip(matrices, codes, scales, stored):
        groups = entry.reshape(rows, -1, group)
        scale[:] = np.abs(groups).max(axis=2) / 7
        number = np.clip(np.rint(groups / scale[:, :, None]), -8, 7)
        values[:] = (number * scale[:, :, None]).reshape(rows, columns)
        pairs = (number + 8).astype(np.uint8).reshape(rows, columns // 2, 2)
        code[:] = pairs[:, :, 0] | pairs[:, :, 1] << 4
    return codes, scales, stored


def lent(name, value):
    """An initializer whose bytes the session is handed beside the model."""
    tensor = TensorProto(name=name, data_type=TYPES[value.dtype], dims=value.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="memory")
    return tensor


def session(problem, operator, inputs, held, attributes):
    """A model of one operator, whose inputs are names in order, "" for one left out."""
    node = helper.make_node(operator, inputs, ["y"], domain="com.microsoft", k=problem["k"], **SWIGLU, **attributes)
    shapes = {"x": ["tokens", problem["width"]], "logits": ["tokens", problem["experts"]]}
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shapes["x"])], [lent(name, value) for name, value in held.items()])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = found.threads
    settings.inter_op_num_threads = 1
    settings.add_external_initializers(list(held), [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in held.values()])
    return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def contenders(problem, gate_up, down):
    """Of a problem: name, session, the weights it stands for, bytes of a weight, and the bound of its errors."""
    encoding = problem.get("encoding", "f16").split()
    if encoding[0] != "int4":
        held = {"gate_up": in_turn(gate_up), "down": down}
        yield "MoE f32", lambda: session(problem, "MoE", ["x", "logits", "gate_up", "", "down"], held, {}), (gate_up, down), 4, 1e-3
        return
    group = int(encoding[2])
    codes, scales, gate_up = quantized(gate_up, group)
    down_codes, down_scales, down = quantized(down, group)
    held = {"gate_up": in_turn(codes), "gate_up_scales": in_turn(scales), "down": down_codes, "down_scales": down_scales}
    inputs = ["x", "logits", "gate_up", "gate_up_scales", "", "down", "down_scales"]
    for label, level, bound in (("QMoE int4", 0, 1e-3), ("QMoE int4, int8 activations", 4, 0.1)):
        attributes = {"expert_weight_bits": 4, "block_size": group, "accuracy_level": level}
        yield label, lambda: session(problem, "QMoE", inputs, held, attributes), (gate_up, down), 0.5 + 4 / group, bound


def say_left_out(name, error):
    """Versions differ in what they have."""
    print(f"{name}: left out: {str(error).splitlines()[0][-160:]}", file=sys.stderr)


def bind(ready, x, routing):
    binding = ready.io_binding()
    for key, value in {"x": x, "logits": routing.logits}.items():
        binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    binding.bind_output("y")
    return binding


def run(suite, problem, tokens_list, name, ready, weights, element_bytes, bound):
    for tokens in tokens_list:
        x = np.random.default_rng(3).standard_normal((tokens, problem["width"]), dtype=np.float32)
        routings = [cases.Routing(problem, tokens, seed) for seed in range(8)]
        bindings = [bind(ready, x, routing) for routing in routings]

        def call(number):
            ready.run_with_iobinding(bindings[number])

        call(0)
        error = cases.check(bindings[0].copy_outputs_to_cpu()[0], x, routings[0], *weights, bound)
        cases.measure(found, suite, problem, routings, name, call, error, element_bytes)


for suite, problem, tokens_list in cases.problems(found, ("f16", "f32", "int4")):
    for label, make, weights, element_bytes, bound in contenders(problem, *cases.weights(problem)):
        name = f"ONNX Runtime {label}"
        try:
            ready = make()
            run(suite, problem, tokens_list, name, ready, weights, element_bytes, bound)
        except Exception as error:
            say_left_out(name, error)
