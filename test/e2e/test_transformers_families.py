"""Qwen3-MoE and OLMoE checkpoints, made by transformers: each compiled MoE block against the module's own output.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs PyTorch and transformers (examples/tiny-mixtral/train.py names the versions); without them there is nothing to compare
with. The models are random, seeded and tiny; the modules compute in f32 on the weights as they are stored.
"""

import json
import re
import subprocess

import pytest

from program import binary, tool

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import safetensors.torch  # noqa: E402

TOKENS = 64
COMMON = {
    "vocab_size": 32,
    "hidden_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    # So that experts differ, and routers decide.
    "initializer_range": 0.3,
}


def qwen3(**options):
    config = {
        "num_hidden_layers": 2,
        "intermediate_size": 40,
        "moe_intermediate_size": 24,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "head_dim": 12,
        **COMMON,
        **options,
    }
    return transformers.Qwen3MoeForCausalLM(transformers.Qwen3MoeConfig(**config))


def olmoe(**options):
    config = {
        "num_hidden_layers": 2,
        "intermediate_size": 24,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        **COMMON,
        **options,
    }
    return transformers.OlmoeForCausalLM(transformers.OlmoeConfig(**config))


# Name: how the model is made, and which of its layers are MoE layers.
MODELS = {
    "qwen3-normalised": (lambda: qwen3(norm_topk_prob=True), [0, 1]),
    "qwen3-not-normalised": (lambda: qwen3(norm_topk_prob=False), [0, 1]),
    "qwen3-one-choice": (lambda: qwen3(norm_topk_prob=True, num_experts_per_tok=1), [0, 1]),
    # Every second layer is sparse, but for those named as dense.
    "qwen3-dense-layers": (lambda: qwen3(num_hidden_layers=6, decoder_sparse_step=2, mlp_only_layers=[3]), [1, 5]),
    "olmoe-normalised": (lambda: olmoe(norm_topk_prob=True), [0, 1]),
    "olmoe-not-normalised": (lambda: olmoe(norm_topk_prob=False), [0, 1]),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_blocks_compute_what_modules_do(tmp_path, name, dtype):
    make, sparse = MODELS[name]
    torch.manual_seed(list(MODELS).index(name))
    made = make()
    for layer in sparse:
        # Inputs have unit variance, so logits have; ties have no chance.
        gate = made.model.layers[layer].mlp.gate.weight
        gate.normal_(std=gate.shape[1] ** -0.5)
    folder = tmp_path / "model"
    made.to(getattr(torch, dtype)).save_pretrained(folder)
    # Other layers are what the configuration says, and have no MoE block.
    model = type(made).from_pretrained(folder, dtype=torch.float32).eval()
    model.set_experts_implementation("eager")
    assert [n for n, layer in enumerate(model.model.layers) if hasattr(layer.mlp, "experts")] == sparse
    assert json.loads((folder / "config.json").read_text())["dtype"] == dtype

    samples = {}
    for layer in sparse:
        x = torch.randn(TOKENS, COMMON["hidden_size"])
        y = model.model.layers[layer].mlp(x[None])
        y = y[0] if isinstance(y, tuple) else y
        samples[f"layers.{layer}.input"] = x
        samples[f"layers.{layer}.output"] = y.reshape(x.shape).contiguous()
    safetensors.torch.save_file(samples, tmp_path / "samples.safetensors")

    out = tmp_path / "artifact"
    said = tool("moe-compile", folder, "--instrument", "--samples", tmp_path / "samples.safetensors", "-o", out)
    assert f"{len(sparse)} MoE layers of 8 experts" in said
    listed = tool("moe-run", out, "--list")
    assert re.findall(r"^layer(\d+) runs", listed, re.MULTILINE) == [str(layer) for layer in sparse]
    for layer in sparse:
        source = f"{tmp_path}/samples.safetensors:layers.{layer}"
        # Sums of 48 and 24 products in another order.
        command = [binary("moe-run"), out, "--layer", f"layer{layer}", "--input", f"x={source}.input", "--expect", f"y={source}.output", "--max-error", "1e-4"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        # moe-compile measured the same.
        (line,) = re.findall(r"^y: (max abs .*)$", done.stdout, re.MULTILINE)
        assert f"  layer{layer}: {line}\n" in said
