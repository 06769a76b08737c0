"""Checks the example checkpoint: tensors against configuration, samples against a plain NumPy Mixtral block.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs NumPy alone: what PyTorch stored must follow from the weights by the block's definition.
"""

import json
import pathlib
import struct

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny-mixtral"
CONFIG = json.loads((FOLDER / "config.json").read_text())
METRICS = json.loads((FOLDER / "metrics.json").read_text())
LAYERS, D, F = (CONFIG[key] for key in ("num_hidden_layers", "hidden_size", "intermediate_size"))
E, K = CONFIG["num_local_experts"], CONFIG["num_experts_per_tok"]
# Tokens of the samples, and of what is profiled on.
T, PROFILED = 256, 1024


def read_safetensors(path):
    """Types and values of a file's tensors by name; bf16 becomes f32. Its bytes belong to one tensor each."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    types, tensors, end = {}, {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, next_begin = entry["data_offsets"]
        assert begin == end, f"{path.name}: a gap or an overlap before {name}"
        end = next_begin
        stored = {"BF16": "<u2", "F16": "<f2", "F32": "<f4"}[entry["dtype"]]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], stored).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        types[name], tensors[name] = entry["dtype"], values
    assert 8 + size + end == len(data), f"{path.name}: bytes of no tensor"
    return types, tensors


TYPES, WEIGHTS = read_safetensors(FOLDER / "model.safetensors")
SAMPLE_TYPES, SAMPLES = read_safetensors(FOLDER / "samples.safetensors")


def expert_stack(layer, matrix):
    """A matrix of all experts of a layer: [E, out, in], in double precision."""
    prefix = f"model.layers.{layer}.block_sparse_moe.experts"
    return np.stack([WEIGHTS[f"{prefix}.{expert}.{matrix}.weight"] for expert in range(E)]).astype(np.float64)


def route(x, layer):
    """Router's logits, and the experts each token chooses, best first."""
    logits = x @ WEIGHTS[f"model.layers.{layer}.block_sparse_moe.gate.weight"].astype(np.float64).T
    return logits, np.argsort(-logits, axis=1, kind="stable")[:, :K]


def mixtral_block(x, layer):
    """A Mixtral block on rows of x: every token's K best experts, weighted by the softmax over those K logits."""
    w1, w2, w3 = (expert_stack(layer, matrix) for matrix in ("w1", "w2", "w3"))
    logits, chosen = route(x, layer)
    output = np.zeros_like(x)
    for token, experts in enumerate(chosen):
        gates = np.exp(logits[token, experts] - logits[token].max())
        for expert, gate in zip(experts, gates / gates.sum()):
            activated = w1[expert] @ x[token]
            hidden = activated / (1 + np.exp(-activated)) * (w3[expert] @ x[token])
            output[token] += gate * (w2[expert] @ hidden)
    return output


def relative_error(found, expected):
    """Largest difference, relative to the largest expected value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_folder_fits():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 10_000_000


def test_configuration_is_that_of_a_mixtral():
    assert CONFIG["architectures"] == ["MixtralForCausalLM"]
    assert (CONFIG["model_type"], CONFIG["hidden_act"], CONFIG["dtype"]) == ("mixtral", "silu", "bfloat16")
    assert (LAYERS, E, K, CONFIG["vocab_size"], D, F) == (4, 16, 2, 256, 96, 160)


def test_tensors_are_those_of_the_configuration():
    heads, pairs, width = (CONFIG[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    expected = {
        "model.embed_tokens.weight": (CONFIG["vocab_size"], D),
        "model.norm.weight": (D,),
        "lm_head.weight": (CONFIG["vocab_size"], D),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        expected[f"{prefix}.input_layernorm.weight"] = (D,)
        expected[f"{prefix}.post_attention_layernorm.weight"] = (D,)
        expected[f"{prefix}.self_attn.q_proj.weight"] = (heads * width, D)
        expected[f"{prefix}.self_attn.k_proj.weight"] = (pairs * width, D)
        expected[f"{prefix}.self_attn.v_proj.weight"] = (pairs * width, D)
        expected[f"{prefix}.self_attn.o_proj.weight"] = (D, heads * width)
        expected[f"{prefix}.block_sparse_moe.gate.weight"] = (E, D)
        for expert in range(E):
            for matrix, shape in (("w1", (F, D)), ("w2", (D, F)), ("w3", (F, D))):
                expected[f"{prefix}.block_sparse_moe.experts.{expert}.{matrix}.weight"] = shape
    assert {name: values.shape for name, values in WEIGHTS.items()} == expected
    assert set(TYPES.values()) == {"BF16"}
    assert all(np.isfinite(values).all() for values in WEIGHTS.values())


def test_samples_are_those_of_the_configuration():
    expected = {}
    for layer in range(LAYERS):
        expected[f"layers.{layer}.input"] = ("F32", (T, D))
        expected[f"layers.{layer}.output"] = ("F32", (T, D))
        expected[f"layers.{layer}.logits"] = ("F32", (T, E))
        expected[f"layers.{layer}.profile_input"] = ("F16", (PROFILED, D))
    assert {name: (SAMPLE_TYPES[name], values.shape) for name, values in SAMPLES.items()} == expected
    assert all(np.isfinite(values).all() for values in SAMPLES.values())


@pytest.mark.parametrize("layer", range(LAYERS))
def test_block_gives_the_stored_logits_and_output(layer):
    # The stored side is rounded to f32 after each operation; sums of 96 and 160 products lose a few units of 6e-8.
    x = SAMPLES[f"layers.{layer}.input"].astype(np.float64)
    logits, _ = route(x, layer)
    assert relative_error(SAMPLES[f"layers.{layer}.logits"], logits) <= 2e-6
    # No choice is so close that rounding could decide it.
    ranked = -np.sort(-logits, axis=1)
    assert (ranked[:, K - 1] - ranked[:, K]).min() > 1e-5
    assert relative_error(SAMPLES[f"layers.{layer}.output"], mixtral_block(x, layer)) <= 2e-6


@pytest.mark.parametrize("layer", range(LAYERS))
def test_every_expert_is_used(layer):
    for name in ("input", "profile_input"):
        _, chosen = route(SAMPLES[f"layers.{layer}.{name}"].astype(np.float64), layer)
        assert np.bincount(chosen.ravel(), minlength=E).min() > 0
    load = METRICS["held_out_load"][layer]
    assert len(load) == E and min(load) > 0.2 / E and max(load) < 3 / E
    assert sum(load) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_profile_is_other_text(layer):
    rows = {row.tobytes() for row in SAMPLES[f"layers.{layer}.input"].astype(np.float16)}
    assert not rows & {row.tobytes() for row in SAMPLES[f"layers.{layer}.profile_input"]}


@pytest.mark.parametrize("matrix", ["w1", "w2", "w3"])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_experts_share_structure_as_documented(layer, matrix):
    stack = expert_stack(layer, matrix)
    flat = stack.reshape(E, -1) / np.linalg.norm(stack, axis=(1, 2))[:, None]
    cosine = ((flat @ flat.T).sum() - E) / (E * (E - 1))
    residuals = stack - stack.mean(0)
    # Squared singular values, largest first, from the smaller Gram matrix.
    gram = residuals @ residuals.swapaxes(1, 2) if matrix == "w2" else residuals.swapaxes(1, 2) @ residuals
    energies = np.linalg.eigvalsh(gram)[:, ::-1]
    documented = METRICS["similarity"][layer][matrix]
    assert documented["cosine"] == pytest.approx(cosine, abs=1e-4)
    assert documented["residual"] == pytest.approx(np.linalg.norm(residuals) / np.linalg.norm(stack), abs=1e-4)
    for rank in (8, 16, 32):
        assert documented[f"rank_{rank}"] == pytest.approx(energies[:, :rank].sum() / energies.sum(), abs=1e-4)
    # Neither copies of one another nor strangers.
    assert 0.3 < cosine < 0.98


def test_readme_has_the_measured_figures():
    text = (FOLDER / "README.md").read_text()
    for stage in ("dense", "moe"):
        for key in ("held_out_bits_per_byte", "seconds", "steps"):
            value = METRICS[stage][key]
            assert (f"{value:.3f}" if isinstance(value, float) else str(value)) in text, f"{stage}: {key} {value}"
    for layer in METRICS["similarity"]:
        for matrix in layer.values():
            assert f"{matrix['cosine']:.2f} / {matrix['residual']:.2f}" in text
    for rank in (8, 16, 32):
        shares = [100 * matrix[f"rank_{rank}"] for layer in METRICS["similarity"] for matrix in layer.values()]
        assert f"{min(shares):.0f} to {max(shares):.0f} %" in text
    for load in METRICS["held_out_load"]:
        assert f"{min(load) * E:.2f} to {max(load) * E:.2f}" in text
    for module, version in METRICS["versions"].items():
        assert f"{module} {version}" in text
