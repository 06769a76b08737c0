"""Adds Fisher information to a profile: how much the model's loss depends on each expert's matrices.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  /tmp/train/bin/python examples/tiny-mixtral/fisher.py --profile traffic.safetensors

needs what train.py needs. The profile is one that moe-run --profile made of this model. For each layer N and window of text, the
squared gradients of the mean loss of predicting the window's bytes, summed over the entries of a matrix, are added to
layers.N.fisher [3, experts]: rows gate, up and down (docs/profile.md). Seeded; one thread of a CPU.
"""

import argparse
import pathlib

import safetensors
import safetensors.torch
import torch
import transformers

import train

HERE = pathlib.Path(__file__).resolve().parent


def windows_of(text, count, seed):
    """Random windows of a text: [count, WINDOW + 1]."""
    if len(text) <= train.WINDOW:
        raise SystemExit(f"fisher.py: error: expected more than {train.WINDOW} bytes of text, found {len(text)}")
    starts = torch.randint(len(text) - train.WINDOW, (count,), generator=torch.Generator().manual_seed(seed))
    return torch.stack([text[start : start + train.WINDOW + 1] for start in starts])


def squared_norms(experts):
    """Of the gradients of one layer's experts: [3, experts], gate, up and down."""
    # transformers keeps gate above up in one stack: [experts, 2 * inner, width].
    gate, up = experts.gate_up_proj.grad.double().chunk(2, dim=1)
    return torch.stack([grad.square().sum((1, 2)) for grad in (gate, up, experts.down_proj.grad.double())])


def fisher_of(model, windows):
    """By layer, the sum over windows of the squared gradients of each window's mean loss."""
    sums = [torch.zeros(3, model.config.num_local_experts, dtype=torch.float64) for _ in model.model.layers]
    for window in windows:
        model.zero_grad()
        loss, _ = train.loss_of(model, window[None])
        loss.backward()
        for total, layer in zip(sums, model.model.layers):
            total += squared_norms(layer.mlp.experts)
    return sums


def add_to_profile(path, sums):
    """Adds each layer's numbers to the profile, which keeps all else."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if "moec.profile" not in metadata:
        raise SystemExit(f"fisher.py: error: {path}: expected a profile, found no metadata 'moec.profile'")
    for number, fisher in enumerate(sums):
        prefix = f"layers.{number}."
        counts = tensors.get(prefix + "counts")
        if counts is None or len(counts) != fisher.shape[1]:
            found = "none" if counts is None else f"{len(counts)}"
            raise SystemExit(
                f"fisher.py: error: {path}: expected traffic of {fisher.shape[1]} experts in layer {number}, as moe-run "
                f"--profile counts it, found {found}"
            )
        before = tensors.get(prefix + "fisher")
        tensors[prefix + "fisher"] = fisher if before is None else before.double() + fisher
    partial = path.with_name(path.name + ".partial")
    safetensors.torch.save_file(tensors, partial, metadata=metadata)
    partial.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", type=pathlib.Path, required=True, help="the profile to add to")
    parser.add_argument("--model", type=pathlib.Path, default=HERE, help="folder of the checkpoint (default: this one)")
    parser.add_argument("--text", type=pathlib.Path, nargs="+", help="files to take text from (default: what was trained on)")
    parser.add_argument("--windows", type=int, default=64, help="windows of text (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=train.SEED, help="of their places (default: %(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = transformers.MixtralForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    model.set_experts_implementation("eager")
    text = b"".join(path.read_bytes() for path in arguments.text) if arguments.text else train.read_text()[0]
    sums = fisher_of(model, windows_of(train.tokens(text), arguments.windows, arguments.seed))
    add_to_profile(arguments.profile, sums)
    for number, fisher in enumerate(sums):
        shares = fisher.sum(0) / fisher.sum()
        print(f"layers.{number}: largest share {shares.max():.3f} of expert {int(shares.argmax())}, least {shares.min():.3f}")


if __name__ == "__main__":
    main()
