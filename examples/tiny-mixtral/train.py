"""Trains the example checkpoint: a byte-level language model of the Mixtral architecture, upcycled from a dense one.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  python3 -m venv /tmp/train
  /tmp/train/bin/pip install torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6
  /tmp/train/bin/python examples/tiny-mixtral/train.py --output examples/tiny-mixtral

Runs on one thread of a CPU, seeded; machines of the same kind write the same weights. Writes into the folder:

  config.json, model.safetensors   the model as on the Hugging Face hub: one tensor for each expert and matrix, bf16
  samples.safetensors              what enters and leaves each MoE block on held-out text, in f32; inputs to profile on
  metrics.json                     losses, times, load and similarity of the experts, and which text it was
"""

import argparse
import copy
import hashlib
import json
import math
import pathlib
import re
import time

import numpy
import safetensors.torch
import torch
import transformers
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

SEED = 20
WINDOW = 256  # bytes that are predicted at once
BATCH = 16  # windows in a step
PIECE = 8192  # bytes of text that are trained on, or held out, as a whole
BALANCE = 0.02  # weight of the loss that keeps the load of a layer's experts even
EXPERTS, CHOSEN = 16, 2

# Text of Debian 12 packages: base-files (licences), libpython3.11-minimal and -stdlib (code, and topics.py: prose),
# perl-modules-5.36 (prose). Three kinds of text, so that there is something for experts to specialise in.
SOURCES = (
    ("/usr/share/common-licenses", "*"),
    ("/usr/lib/python3.11", "*.py"),
    ("/usr/lib/python3.11/pydoc_data", "*.py"),
    ("/usr/share/perl/5.36.0", "**/*.pod"),
)


def read_text():
    """The bytes to train on, and those held out: every 16th piece of 8 KiB, so that they are of the same kinds."""
    everything = b""
    for folder, pattern in SOURCES:
        # Links repeat other files; _sysconfigdata differs between machines.
        files = sorted(
            path
            for path in pathlib.Path(folder).glob(pattern)
            if path.is_file() and not path.is_symlink() and not path.name.startswith("_sysconfigdata")
        )
        if not files:
            raise SystemExit(f"train.py: error: no files {folder}/{pattern}")
        everything += b"".join(path.read_bytes() for path in files)
    pieces = [everything[start : start + PIECE] for start in range(0, len(everything), PIECE)]
    held_out = b"".join(pieces[15::16])
    del pieces[15::16]
    return b"".join(pieces), held_out


def tokens(text):
    return torch.from_numpy(numpy.frombuffer(text, numpy.uint8).astype(numpy.int64))


def model_of(experts, chosen):
    """A model of random weights. One with a single expert a layer is dense: its router has nothing to choose."""
    return transformers.MixtralForCausalLM(
        transformers.MixtralConfig(
            vocab_size=256,
            hidden_size=96,
            intermediate_size=160,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=WINDOW,
            num_local_experts=experts,
            num_experts_per_tok=chosen,
            router_aux_loss_coef=BALANCE,
            initializer_range=0.05,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def upcycle(dense):
    """A model of many experts, each a copy of the dense one's expert, that computes the same until it is trained."""
    sparse = model_of(EXPERTS, CHOSEN)
    weights = dense.state_dict()
    for name, weight in sparse.state_dict().items():
        if name.endswith("mlp.gate.weight"):
            # Inputs have unit mean square, so logits have about unit variance: tokens differ in what they choose.
            weight.normal_(std=weight.shape[1] ** -0.5)
        else:
            weight.copy_(weights[name].expand_as(weight))
    return sparse


def loss_of(model, windows):
    """Mean natural-log loss of predicting each byte of the windows but the first, and the loss of uneven load."""
    output = model(input_ids=windows[:, :-1], output_router_logits=True, use_cache=False)
    loss = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), windows[:, 1:].flatten())
    # By layer: transformers' own loss would let an uneven layer hide behind another.
    uneven = [
        load_balancing_loss_func((logits,), model.config.num_local_experts, model.config.num_experts_per_tok)
        for logits in output.router_logits
    ]
    return loss, torch.stack(uneven).mean()


def train(name, model, text, steps, rate):
    """Trains on random windows, with a warm-up of 100 steps and a cosine down to zero. Returns the seconds it took."""
    began = time.monotonic()
    random = torch.Generator().manual_seed(SEED)
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0}], lr=rate, betas=(0.9, 0.95)
    )
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / 100, (1 + math.cos(math.pi * step / steps)) / 2)
        starts = torch.randint(len(text) - WINDOW, (BATCH,), generator=random)
        loss, uneven = loss_of(model, torch.stack([text[start : start + WINDOW + 1] for start in starts]))
        (loss + BALANCE * uneven).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 99 or step == steps - 1:
            print(
                f"{name} step {step + 1}/{steps}: {loss.item() / math.log(2):.3f} bits per byte, "
                f"load {uneven.item():.3f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    return time.monotonic() - began


@torch.no_grad()
def bits_per_byte(model, text):
    """Loss on a text cut into windows that do not overlap."""
    count = (len(text) - 1) // WINDOW
    windows = text[: count * WINDOW + 1].unfold(0, WINDOW + 1, WINDOW)
    losses = [loss_of(model, part)[0].item() * len(part) for part in windows.split(BATCH)]
    return sum(losses) / count / math.log(2)


@torch.no_grad()
def observe(model, text, windows, keep):
    """What enters and leaves each MoE block, and its router's logits, at the last bytes of evenly spaced windows."""
    found = {}

    def record(name):
        def hook(module, inputs, output):
            def rows(tensor):
                return tensor.reshape(windows, WINDOW, -1)[:, -keep:].flatten(0, 1).contiguous()

            if name.endswith("logits"):
                found[name] = rows(output[0])
            else:
                found[f"{name}.input"] = rows(inputs[0])
                found[f"{name}.output"] = rows(output)

        return hook

    handles = []
    for number, layer in enumerate(model.model.layers):
        handles.append(layer.mlp.register_forward_hook(record(f"layers.{number}")))
        handles.append(layer.mlp.gate.register_forward_hook(record(f"layers.{number}.logits")))
    starts = torch.linspace(0, len(text) - WINDOW, windows).long()
    model(input_ids=torch.stack([text[start : start + WINDOW] for start in starts]), use_cache=False)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def load(model, text):
    """For each layer the share of the choices that went to each expert."""
    counts = [torch.zeros(EXPERTS) for _ in model.model.layers]
    count = len(text) // WINDOW
    for part in text[: count * WINDOW].view(count, WINDOW).split(BATCH):
        logits = model(input_ids=part, output_router_logits=True, use_cache=False).router_logits
        for layer, rows in zip(counts, logits):
            layer += torch.bincount(rows.topk(CHOSEN).indices.flatten(), minlength=EXPERTS)
    return [[round(share, 4) for share in (layer / layer.sum()).tolist()] for layer in counts]


def similarity(weights, layers):
    """For each layer and matrix how alike its experts are.

    cosine: mean cosine between two different experts. residual: norm of what the mean of all experts leaves of them,
    relative to theirs. rank_8, rank_16, rank_32: share of the residuals' squared norm that their best approximation of
    that rank holds.
    """
    found = []
    for layer in range(layers):
        found.append({})
        for matrix in ("w1", "w2", "w3"):
            prefix = f"model.layers.{layer}.block_sparse_moe.experts"
            stack = torch.stack([weights[f"{prefix}.{expert}.{matrix}.weight"].double() for expert in range(EXPERTS)])
            flat = torch.nn.functional.normalize(stack.flatten(1))
            cosines = flat @ flat.T
            residuals = stack - stack.mean(0)
            energies = torch.linalg.svdvals(residuals).square()
            found[layer][matrix] = {
                "cosine": round(((cosines.sum() - EXPERTS) / (EXPERTS * (EXPERTS - 1))).item(), 4),
                "residual": round((residuals.norm() / stack.norm()).item(), 4),
                **{
                    f"rank_{rank}": round((energies[:, :rank].sum() / energies.sum()).item(), 4) for rank in (8, 16, 32)
                },
            }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder to write into")
    parser.add_argument("--dense-steps", type=int, default=2000, help="steps before upcycling (default: %(default)s)")
    parser.add_argument("--moe-steps", type=int, default=2000, help="steps after upcycling (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    train_bytes, held_out_bytes = read_text()
    text, held_out = tokens(train_bytes), tokens(held_out_bytes)
    metrics = {
        "text": {
            "train_bytes": len(train_bytes),
            "held_out_bytes": len(held_out_bytes),
            "train_sha256": hashlib.sha256(train_bytes).hexdigest(),
            "held_out_sha256": hashlib.sha256(held_out_bytes).hexdigest(),
        },
        "versions": {
            module.__name__: module.__version__.split("+")[0] for module in (torch, transformers, safetensors, numpy)
        },
    }
    print(json.dumps(metrics, indent=1), flush=True)

    dense = model_of(1, 1)
    seconds = train("dense", dense, text, arguments.dense_steps, 4e-3)
    metrics["dense"] = {
        "steps": arguments.dense_steps,
        "seconds": round(seconds),
        "held_out_bits_per_byte": round(bits_per_byte(dense, held_out), 4),
    }
    print(metrics["dense"], flush=True)

    sparse = upcycle(dense)
    windows = held_out[: BATCH * WINDOW].view(BATCH, WINDOW)
    with torch.no_grad():
        assert torch.allclose(sparse(windows).logits, dense(windows).logits, atol=1e-3), "upcycling changed the model"
    seconds = train("moe", sparse, text, arguments.moe_steps, 1.5e-3)
    unrounded = bits_per_byte(sparse, held_out)

    # transformers splits its fused experts into the hub's tensors as it saves. A copy is saved, as converting a model
    # also rounds what is no weight: the frequencies of its position embedding.
    copy.deepcopy(sparse).bfloat16().save_pretrained(arguments.output)
    (arguments.output / "generation_config.json").unlink(missing_ok=True)
    model = transformers.MixtralForCausalLM.from_pretrained(arguments.output, dtype=torch.float32).eval()
    # The plain loop over experts, so that the samples depend on nothing clever.
    model.set_experts_implementation("eager")
    sparse.set_experts_implementation("eager")
    with torch.no_grad():
        for weight in sparse.parameters():
            weight.copy_(weight.bfloat16())
        same = torch.equal(model(windows).logits, sparse(windows).logits)
    assert same, "the saved model computes something else"
    metrics["moe"] = {
        "steps": arguments.moe_steps,
        "seconds": round(seconds),
        "held_out_bits_per_byte_before_rounding": round(unrounded, 4),
        "held_out_bits_per_byte": round(bits_per_byte(model, held_out), 4),
    }
    print(metrics["moe"], flush=True)

    samples = observe(model, held_out, windows=8, keep=32)
    for name, tensor in observe(model, text, windows=32, keep=32).items():
        if name.endswith(".input"):
            samples[name.replace("input", "profile_input")] = tensor.half()
    safetensors.torch.save_file(samples, arguments.output / "samples.safetensors")

    metrics["held_out_load"] = load(model, held_out)
    weights = safetensors.torch.load_file(arguments.output / "model.safetensors")
    metrics["similarity"] = similarity(weights, model.config.num_hidden_layers)
    # Innermost lists and objects on one line each.
    lines = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: " ".join(match[0].split()), json.dumps(metrics, indent=1))
    (arguments.output / "metrics.json").write_text(lines + "\n")
    print(lines)
    for file in arguments.output.glob("*.safetensors"):
        file.chmod(0o644)


if __name__ == "__main__":
    main()
