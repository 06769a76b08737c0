"""Which clusters each layer of the model meets, token after token of held-out text: a trace for moe-simulate (docs/residency.md).

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  moe-compile examples/tiny-mixtral --compress --clusters=8 --rank=16 -o small
  PYTHONPATH=python .venv-torch/bin/python examples/tiny-mixtral/trace.py small -o trace.safetensors
  moe-simulate --trace trace.safetensors --slots 12 --unit-bytes 4e6 --layer-seconds 1e-3

needs what train.py needs. Experts' clusters are those of the artifact. A request is a window of text, a step one byte of each of --sequences windows
that are decoded side by side. Hints are what a layer's router says of the input of the block --distance layers before it.
"""

import argparse
import json
import pathlib

import safetensors.torch
import torch
import transformers

import train

HERE = pathlib.Path(__file__).resolve().parent


def tables_of(artifact):
    """By layer, the cluster of each expert: tensors of the archive, which is a safetensors file."""
    with open(pathlib.Path(artifact) / "weights.safetensors", "rb") as file:
        names = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    layers = sorted(int(name.split(".")[0].removeprefix("layer")) for name in names if name.endswith(".cluster"))
    if not layers:
        raise SystemExit(f"trace.py: error: {artifact}: expected an artifact with clusters, found none")
    archive = safetensors.torch.load_file(pathlib.Path(artifact) / "weights.safetensors")
    return [archive[f"layer{layer}.cluster"].long() for layer in layers]


def inputs_of(model, windows):
    """What enters the MoE block of each layer: [windows, length, width]."""
    found = [None] * len(model.model.layers)

    def keep(number):
        return lambda module, arguments: found.__setitem__(number, arguments[0].detach())

    handles = [layer.mlp.register_forward_pre_hook(keep(number)) for number, layer in enumerate(model.model.layers)]
    model(input_ids=windows, use_cache=False)
    for handle in handles:
        handle.remove()
    return found


def clusters_met(logits, table, choices, most):
    """Whether a token meets a cluster: [..., clusters]. That of each chosen expert, or of the best expert of the `most` best clusters."""
    clusters = int(table.max()) + 1
    met = torch.zeros(*logits.shape[:-1], clusters, dtype=torch.bool)
    if not most:
        return met.scatter_(-1, table[logits.topk(choices, dim=-1).indices], True)
    best = torch.stack([logits[..., table == cluster].amax(-1) for cluster in range(clusters)], dim=-1)
    return met.scatter_(-1, best.topk(most, dim=-1).indices, True)


def side_by_side(met, sequences):
    """Steps of `sequences` windows at a time: [groups · length, clusters]."""
    groups = met.unflatten(0, (-1, sequences)).any(1)
    return groups.flatten(0, 1)


def padded(steps):
    """[steps, layers, clusters] of whether a step meets a cluster, as lists of numbers."""
    most = max(int(steps.sum(-1).max()), 1)
    numbers = torch.where(steps, torch.arange(steps.shape[-1]), -1)
    return numbers.sort(-1, descending=True).values[..., :most].int().contiguous()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", help="made of this model with --compress")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--windows", type=int, default=32, help="of held-out text (default 32)")
    parser.add_argument("--sequences", type=int, default=1, help="decoded side by side (default 1)")
    parser.add_argument("--clusters-per-token", type=int, default=0, help="two-stage routing; 0: flat choices (default)")
    parser.add_argument("--distance", type=int, default=1, help="of hints, in layers (default 1)")
    parser.add_argument("--text", type=pathlib.Path, help="instead of the text that was held out in training")
    options = parser.parse_args()
    if options.sequences < 1 or options.windows % options.sequences:
        raise SystemExit(f"trace.py: error: expected windows in whole groups of {options.sequences}, found {options.windows}")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    text = train.tokens(options.text.read_bytes() if options.text else train.read_text()[1])
    if len(text) < options.windows * train.WINDOW:
        raise SystemExit(f"trace.py: error: expected {options.windows * train.WINDOW} bytes of text, found {len(text)}")
    windows = text[: options.windows * train.WINDOW].view(-1, train.WINDOW)
    model = transformers.MixtralForCausalLM.from_pretrained(HERE, dtype=torch.float32).eval()
    tables, inputs = tables_of(options.artifact), inputs_of(model, windows)
    choices, clusters = model.config.num_experts_per_tok, int(max(table.max() for table in tables)) + 1
    used, hints = [], []
    for number, (layer, table) in enumerate(zip(model.model.layers, tables)):
        for lists, source in ((used, number), (hints, max(number - options.distance, 0))):
            met = clusters_met(inputs[source] @ layer.mlp.gate.weight.T, table, choices, options.clusters_per_token)
            lists.append(side_by_side(torch.nn.functional.pad(met, (0, clusters - met.shape[-1])), options.sequences))
    # Nothing comes before the first layer.
    hints[0] = torch.zeros_like(hints[0])
    used, hints = torch.stack(used, 1), torch.stack(hints, 1)
    right = (used & hints)[:, 1:].sum() / hints[:, 1:].sum()
    tensors = {
        "trace.used": padded(used),
        "trace.hints": padded(hints),
        "trace.requests": torch.arange(0, len(used), train.WINDOW),
    }
    metadata = {"moec.trace": json.dumps({"clusters": clusters, "version": "1.0"})}
    safetensors.torch.save_file(tensors, options.output, metadata=metadata)
    print(f"{len(used)} steps of {len(tables)} layers of {clusters} clusters, {used.sum(-1).float().mean():.2f} met by a step of a layer, {right:.1%} of hints right")


if __name__ == "__main__":
    main()
