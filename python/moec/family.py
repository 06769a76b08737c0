"""What an artifact says of the model that it was made from, for checks before layers are used in one.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from moec.abi import Error, Status
from moec.artifact import Artifact, Layer

# The first words of moe-compile on a checkpoint, which the archive of weights keeps.
SOURCE = re.compile(
    r"(?P<family>\w+), (?P<layers>\d+) MoE layers of (?P<experts>\d+) experts \((?P<choices>\d+) chosen\), hidden (?P<hidden>\d+)"
)


@dataclass(frozen=True)
class Source:
    """The model that an artifact was made from; `numbers` are those of its MoE layers in the model."""

    family: str
    experts: int
    choices: int
    hidden: int
    numbers: frozenset[int]


def source_of(artifact: Artifact) -> Source:
    """Error (INCOMPATIBLE) for an artifact that was not made from a checkpoint."""
    found = SOURCE.match(artifact.source)
    numbers = [re.fullmatch(r"layer(\d+)", name) for name in artifact.layers]
    if not found or not all(numbers):
        raise Error(
            Status.INCOMPATIBLE,
            f"{artifact.path}: expected an artifact made from a checkpoint, found one of {artifact.source or 'a module without layers of a model'!r}",
        )
    return Source(
        found["family"],
        int(found["experts"]),
        int(found["choices"]),
        int(found["hidden"]),
        frozenset(int(match[1]) for match in numbers if match),
    )


def check_is_block(layer: Layer) -> int:
    """The hidden size of a layer of a model; Error unless it is from one float32 input [tokens, hidden] to an output like it."""
    found = [(argument.dtype, argument.shape) for argument in (*layer.inputs, *layer.outputs[:1])]
    if (
        len(layer.inputs) != 1
        or len(found) != 2
        or found[0] != found[1]
        or found[0][0] != "float32"
        or len(found[0][1]) != 2
    ):
        raise Error(
            Status.INVALID_ARGUMENT,
            f"{layer.name}: expected one input x: float32 [tokens, hidden] and an output like it, found {layer!r}",
        )
    return layer.inputs[0].shape[1]
