"""Compiled layers in PyTorch: one custom operator for each layer, and MoE blocks of transformers models swapped for them.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  artifact = moec.load("artifact")
  moec.torch.replace_moe(model, artifact)         # a transformers model; generate() then runs compiled code
  y = moec.torch.operator(artifact, "layer0")(x)

Operators take float32, and bfloat16 and float16 by way of float32, on the artifact's device: in the CPU's memory, or on the
CUDA device that moec.load was given, where calls go into PyTorch's current stream. For inference only.
"""

from __future__ import annotations

import re
import threading
from typing import Any, Callable

import torch
from torch.autograd import forward_ad

from moec import abi, tensors
from moec.abi import Error, Status
from moec.artifact import Artifact, Layer
from moec.family import check_is_block, source_of

TYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int8: "int8",
    torch.bool: "bool",
}
TORCH_TYPES = {name: kind for kind, name in TYPES.items()}
CODES = {kind: tensors.ELEMENTS[name][:2] for kind, name in TYPES.items()}
# What is converted to float32 and back: the first step is exact, the second rounds once.
CONVERTED = (torch.bfloat16, torch.float16)

_operators: dict[str, Callable] = {}
_lock = threading.Lock()


_library = torch.library.Library("moec", "FRAGMENT")


def view(x: torch.Tensor) -> tensors.View:
    """A tensor as the runtime takes it, with its strides, sharing its memory."""
    code, bits = CODES[x.dtype]
    return tensors.View(x.data_ptr(), code, bits, x.shape, x.stride(), x)


def check(x: torch.Tensor, width: int, name: str, device: str = "cpu") -> None:
    """Error for an input that the layer, on a device, does not take."""
    if str(x.device) != device:
        wanted, call = ("the CPU", "x.cpu()") if device == "cpu" else (device, f"x.to('{device}')")
        raise Error(
            Status.INVALID_ARGUMENT,
            f"{name}: x is on {x.device}, expected {wanted}: call {call}, or keep the model there",
        )
    if x.layout != torch.strided:
        raise Error(Status.INVALID_ARGUMENT, f"{name}: x has layout {x.layout}, expected torch.strided: call x.to_dense()")
    if x.dtype != torch.float32 and x.dtype not in CONVERTED:
        raise Error(
            Status.INVALID_ARGUMENT, f"{name}: x has dtype {x.dtype}, expected torch.float32, bfloat16 or float16"
        )
    if x.ndim == 0 or x.shape[-1] != width:
        raise Error(Status.INVALID_ARGUMENT, f"{name}: x has shape {list(x.shape)}, expected [..., {width}]")


def operator(artifact: Artifact, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """A layer as an operator of PyTorch, torch.ops.moec.<layer>_<identity>: from x [..., hidden] to a new, contiguous y of
    its shape and type. torch.compile and torch.export take it as it is.

    x is on the artifact's device; on a CUDA device the call is put into PyTorch's current stream, and its workspace is memory
    of PyTorch. float32 is read in place; bfloat16 and float16 are converted to float32, and the result is rounded back. Of a layer
    that was compiled with --instrument y alone is returned.

    Operators cannot be taken back: the artifact stays open until the process ends. Artifacts of one identity share them.

    Raises Error: for a layer that is not from one float32 input [tokens, hidden] to an output like it; when called, for
    another device, type or width; and in backward(), as compiled layers have no gradients."""
    layer = artifact.layer(name)
    check_is_block(layer)
    key = re.sub(r"\W", "_", name) + "_" + artifact.identity
    if layer.device.kind != abi.CPU:
        key += f"_cuda{layer.device.number}"
    with _lock:
        if key not in _operators:
            _operators[key] = make(layer, key)
        return _operators[key]


def make(layer: Layer, key: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Registers the operator `key` for a layer; once for each key."""
    name, width, device = layer.name, layer.inputs[0].shape[1], str(layer.device)
    on_cpu = layer.device.kind == abi.CPU
    others = [(a.shape[1:], TORCH_TYPES[a.dtype]) for a in layer.outputs[1:]]

    def room(size: int) -> tuple[torch.Tensor, int]:
        memory = torch.empty(size, dtype=torch.uint8, device=device)
        return memory, memory.data_ptr()

    def run(x: torch.Tensor) -> torch.Tensor:
        is_plain = x.dtype is torch.float32 and x.dim() == 2 and x.is_cpu == on_cpu and x.layout is torch.strided
        if not is_plain or x.shape[1] != width or not on_cpu:
            check(x, width, name, device)
        rows = x if is_plain else x.reshape(-1, width).to(torch.float32)
        y = torch.empty_like(rows, memory_format=torch.contiguous_format)
        more = [torch.empty((rows.shape[0], *shape), dtype=kind, device=x.device) for shape, kind in others]
        views = [view(t) for t in (rows, y, *more)]
        if on_cpu:
            layer.run(views)
        else:
            layer.run(views, torch.cuda.current_stream(x.device).cuda_stream, room)
        return y if is_plain else y.to(x.dtype).reshape(x.shape)

    def fake(x: torch.Tensor) -> torch.Tensor:
        check(x, width, name, device)
        return torch.empty(x.shape, dtype=x.dtype, device=x.device)

    def refuse(*given: Any) -> Any:
        raise Error(
            Status.INVALID_ARGUMENT, f"{name}: compiled layers have no gradients: run the model under torch.no_grad()"
        )

    def below(x: torch.Tensor) -> torch.Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return made(x)

    class WithoutGradients(torch.autograd.Function):
        forward = staticmethod(lambda context, x: below(x))
        backward = staticmethod(refuse)

    def differentiate(x: torch.Tensor) -> torch.Tensor:
        if forward_ad.unpack_dual(x).tangent is not None:
            refuse()
        # Of what has gradients, an error is that somebody asks for them.
        return WithoutGradients.apply(x) if x.requires_grad and torch.is_grad_enabled() else below(x)

    # What torch.library.custom_op and register_autograd do, without their wrappers around each call, and forward derivatives
    # refused, which those take for zeros.
    qualified = f"moec::{key}"
    torch.library.define(qualified, "(Tensor x) -> Tensor", lib=_library, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(qualified, "CompositeExplicitAutograd", run, lib=_library)
    torch.library.impl(qualified, "Autograd", differentiate, lib=_library)
    torch.library.register_fake(qualified, fake, lib=_library)
    made = getattr(torch.ops.moec, key).default
    return made


class CompiledMoE(torch.nn.Module):
    """What replace_moe puts in the place of an MoE block: the same results for the same hidden states [batch, tokens,
    hidden]. `gate` is the model's own router, which runs only where its logits are asked for."""

    def __init__(self, artifact: Artifact, name: str, gate: torch.nn.Module, gives_logits: bool, runs_gate: bool):
        super().__init__()
        self.artifact, self.name, self.gives_logits, self.runs_gate = artifact, name, gives_logits, runs_gate
        self.gate = gate
        self.operator = operator(artifact, name)

    def __getstate__(self) -> dict:
        return {key: value for key, value in super().__getstate__().items() if key != "operator"}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.operator = operator(self.artifact, self.name)

    def extra_repr(self) -> str:
        return f"{self.artifact.path}, {self.name}"

    def forward(self, hidden_states: torch.Tensor) -> Any:
        y = self.operator(hidden_states)
        if not self.runs_gate:
            return y
        logits = self.gate(hidden_states.reshape(-1, hidden_states.shape[-1]))
        logits = logits[0] if isinstance(logits, tuple) else logits
        return (y, logits) if self.gives_logits else y


def moe_blocks(model: torch.nn.Module) -> dict[int, tuple[torch.nn.Module, str, Any]]:
    """MoE blocks of a transformers model by the number of their layer: where each is, under which name, and it."""
    body = getattr(model, "model", model)
    layers = getattr(body, "layers", None)
    if layers is None:
        raise Error(
            Status.INVALID_ARGUMENT, f"expected a transformers model with model.layers, found {type(model).__name__}"
        )
    found: dict[int, tuple[torch.nn.Module, str, Any]] = {}
    for number, layer in enumerate(layers):
        for name in ("mlp", "block_sparse_moe"):
            block = getattr(layer, name, None)
            if isinstance(block, CompiledMoE) or (hasattr(block, "experts") and hasattr(block, "gate")):
                found[number] = layer, name, block
    return found


def listed(numbers: Any) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"


def replace_moe(model: torch.nn.Module, artifact: Artifact, *, router_logits: bool = False) -> list[str]:
    """Puts compiled layers in the place of the MoE blocks of a transformers model (Mixtral, Qwen3-MoE, OLMoE; releases whose
    blocks return hidden states, and those whose blocks return router logits too), and lets go of their experts.

    Everything else of the model stays as it is, in its type: blocks take and give float32, or bfloat16 and float16 by way of
    float32. They compute what the artifact's weights say, whatever the model's were. With `router_logits` blocks run the
    model's own routers as well, so that output_router_logits=True has them.

    Returns the names of the blocks replaced, such as "layers.0.mlp". Raises Error, and has changed nothing, when the
    artifact is of another family, width, number of experts or choices, or of other layers, or when the model is not on the
    artifact's device or was replaced before. The blocks have no parameters but the router's: a model cannot be trained or saved with them."""
    source = source_of(artifact)
    config = getattr(model, "config", None)

    def refuse(what: str, found: Any, expected: Any) -> None:
        if found != expected:
            raise Error(
                Status.INCOMPATIBLE,
                f"{artifact.path}: artifact of {source.family}: it has {what} {expected}, the model has {found}",
            )

    family = getattr(config, "model_type", type(model).__name__)
    if family != source.family:
        raise Error(
            Status.INCOMPATIBLE, f"{artifact.path}: artifact of a {source.family} model, found a model of {family}"
        )
    blocks = moe_blocks(model)
    if any(isinstance(block, CompiledMoE) for _, _, block in blocks.values()):
        raise Error(Status.INVALID_ARGUMENT, "the model's MoE blocks were replaced before")
    if set(blocks) != source.numbers:
        raise Error(
            Status.INCOMPATIBLE,
            f"{artifact.path}: artifact of layers {listed(source.numbers)}, found MoE blocks in layers {listed(blocks)}: "
            f"the artifact lacks {listed(set(blocks) - source.numbers)}, the model {listed(source.numbers - set(blocks))}",
        )
    refuse("hidden size", getattr(config, "hidden_size", None), source.hidden)
    refuse(
        "experts", getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None), source.experts
    )
    refuse("choices for a token", getattr(config, "num_experts_per_tok", None), source.choices)

    made = []
    for number, (layer, name, block) in blocks.items():
        parameter = next(block.parameters())
        # What it returns differs between releases of transformers: a token tells.
        token = torch.zeros(1, 1, source.hidden, dtype=parameter.dtype, device=parameter.device)
        check(token, source.hidden, f"layer{number}", str(artifact.device))
        with torch.no_grad():
            gives_logits = isinstance(block(token), tuple)
        compiled = CompiledMoE(artifact, f"layer{number}", block.gate, gives_logits, gives_logits or router_logits)
        made.append((layer, name, compiled.train(block.training), f"layers.{number}.{name}"))
    for layer, name, compiled, _ in made:
        setattr(layer, name, compiled)
    return [path for *_, path in made]
