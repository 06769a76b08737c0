"""CUDA kernels, run by the PTX emulator, against the reference lowering: random layers of any size, activation and routing.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each layer is a function of its number, so a failure can be repeated; MOEC_RANDOM_CUDA_LAYERS is how many to try (8 when it is
not set). On a machine with a GPU, MOERT_CUDA_DRIVER=libcuda.so.1 runs the same on it.
"""

import os
import pathlib

import pytest

from program import binary, module_of, tool
from test_cpu_values import BOUNDS, Layer, compile_with
from test_route_values import ROUTERS, random_logits

COUNT = int(os.environ.get("MOEC_RANDOM_CUDA_LAYERS", 8))
EMULATOR = pathlib.Path(binary("moe-run")).parents[1] / "lib" / "libmoec-emulated-cuda.so"
# Of few rows for each group, and of many: both columns of the schedule.
TOKENS = (1, 7, 150)


class NarrowLayer(Layer):
    """A layer whose weights are stored as they are, in sizes that tensor cores take."""

    def __init__(self, number, element):
        super().__init__(number, element)
        self.width, self.inner = (8 * self.random.choice((1, 3, 8, 17)) for _ in range(2))

    def encoding(self, rows):
        return self.element


def use_driver(monkeypatch):
    """The emulator's, unless a GPU's is asked for."""
    monkeypatch.setenv("MOERT_CUDA_DRIVER", os.environ.get("MOERT_CUDA_DRIVER", str(EMULATOR)))


def compare(text, path, monkeypatch, seed, bound, counts=TOKENS):
    use_driver(monkeypatch)
    reference = compile_with(text, path / "reference", "--pipeline=reference")
    kernels = compile_with(text, path / "cuda", "--target=cuda", "--isas=sm_80")
    for tokens in counts:
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed + tokens))
        tool("moe-run", kernels, "--device=cuda", "--tokens", tokens, "--compare-with", reference, "--max-error", bound)


@pytest.mark.parametrize("number", range(COUNT))
def test_layers_on_tensor_cores(number, tmp_path, monkeypatch):
    element = ("bf16", "f16")[number % 2]
    compare(NarrowLayer(number, element).text(), tmp_path, monkeypatch, number, BOUNDS[element])


def test_rows_of_several_blocks(tmp_path, monkeypatch):
    """256 places are sorted by one block: here are three."""
    compare(NarrowLayer(3, "bf16").text(), tmp_path, monkeypatch, 3, BOUNDS["bf16"], counts=(256, 600))


@pytest.mark.parametrize("number", range(COUNT // 4))
def test_any_layers(number, tmp_path, monkeypatch):
    """What no kernel is made for goes through the reference lowering: any encoding, any size."""
    compare(Layer(number, "f32").text(), tmp_path, monkeypatch, number, BOUNDS["f32"])


def test_all_routers(tmp_path, monkeypatch):
    """The stages of a router are one kernel, a block for each token, with the sums of the reference lowering in their order."""
    use_driver(monkeypatch)
    # exp has no device code in f64.
    routers = {name: router for name, router in ROUTERS.items() if router.element != "f64"}
    text = module_of({name: router.program(name, random_logits(3, router.n)) for name, router in routers.items()})
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference", "--opt-level=1")
    kernels = compile_with(text, tmp_path / "cuda", "--target=cuda", "--isas=sm_80", "--opt-level=1")
    for number, (name, router) in enumerate(routers.items()):
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(number))
        tool("moe-run", kernels, "--device=cuda", "--entry", name, "--tokens", 19, "--int-range", 9, "--compare-with", reference,
             "--max-error", BOUNDS[router.element])
